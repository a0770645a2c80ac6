//! What a run read, lost and took.
//! In: counters of every stage, filled in by the pipeline. Out: the record behind the closing `stats` line and the foot of
//! the text report.
//! Everything but `timings` is the same in every run over the same input.

use std::collections::BTreeMap;

use crate::detect::finding::Technique;
use crate::units::TimestampNs;

/// Counters by cause; only causes that happened need an entry.
pub type Counts = BTreeMap<&'static str, u64>;

/// The account of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunStats {
    /// First and last packet time; none where nothing could be read.
    pub span: Option<(TimestampNs, TimestampNs)>,
    /// Frames read.
    pub frames: u64,
    /// IP packets parsed, inner ones of tunnels included; a frame may hold several, or none.
    pub packets: u64,
    /// Bytes of the frames on the wire.
    pub bytes: u64,
    /// Flows (not rows).
    pub flows: u64,
    /// Rows that the flow table handed on: one a flow and window.
    pub flow_rows: u64,
    /// Windows closed.
    pub windows: u64,
    /// What was lost before it was analysed, by cause.
    pub drops: Counts,
    /// Packets that could not be parsed, by kind.
    pub decode_errors: Counts,
    /// Limits that were reached, and how often.
    pub limits: Counts,
    /// The input files, in the order of the command line.
    pub files: Vec<FileStats>,
    /// Names of the populations that were watched.
    pub populations: Vec<String>,
    /// Techniques that were looked for.
    pub looked_for: Vec<Technique>,
    /// What could not be seen in this input, in whole sentences ("No DNS was captured: …").
    pub not_seen: Vec<String>,
    /// Seconds by stage. The only part that differs between two runs over the same input.
    pub timings: BTreeMap<&'static str, f64>,
}

/// The account of one input file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileStats {
    /// Its path as the user gave it.
    pub path: String,
    /// Frames read of it.
    pub frames: u64,
    /// Bytes read of it.
    pub bytes: u64,
    /// Damage by kind; empty where it is whole.
    pub faults: Counts,
    /// The first damage in words, with its place.
    pub first_fault: Option<String>,
}

impl RunStats {
    /// Whether part of the input was damaged or lost (exit status 4).
    pub fn is_lossy(&self) -> bool {
        total(&self.drops) > 0 || self.files.iter().any(|file| total(&file.faults) > 0)
    }
}

/// The sum of all causes.
pub fn total(counts: &Counts) -> u64 {
    counts.values().fold(0, |sum, n| sum.saturating_add(*n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_damage_or_drops_and_not_a_bad_packet() {
        let damaged = FileStats { faults: Counts::from([("cut-record", 1)]), ..FileStats::default() };
        let table = [
            ("nothing", RunStats::default(), false),
            (
                "a bad packet",
                RunStats { decode_errors: Counts::from([("bad-length", 9)]), ..RunStats::default() },
                false,
            ),
            ("a drop", RunStats { drops: Counts::from([("queue-full", 1)]), ..RunStats::default() }, true),
            (
                "a cause that did not happen",
                RunStats { drops: Counts::from([("kernel", 0)]), ..RunStats::default() },
                false,
            ),
            ("a damaged file", RunStats { files: vec![damaged], ..RunStats::default() }, true),
        ];
        for (name, stats, wanted) in table {
            assert_eq!(stats.is_lossy(), wanted, "{name}");
        }
        assert_eq!(total(&Counts::from([("a", u64::MAX), ("b", 1)])), u64::MAX);
    }
}
