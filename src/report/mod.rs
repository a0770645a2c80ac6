//! Findings to text, JSON, EVE, HTML, STIX, MISP and Parquet; flow rows to CSV, JSON and Parquet; the closing `stats`.
//! In: judged findings, counters, flow rows. Out: bytes to a writer that the caller opened, or a file that appears whole.
//! Bounds: what is printed of one finding has limits with names; nothing is kept between findings.
//! Time: the packets' own; only `stats.timings` knows a wall clock, and only because the pipeline measured it.
//! Not here: where output goes, whether a terminal listens, what a broken pipe means (`cli`): a writer's error is passed up
//! as it came.

pub mod album;
pub mod escape;
pub mod eve;
pub mod exchange;
pub mod figures;
pub mod flows;
pub mod html;
pub mod json;
pub mod live;
mod page;
pub mod records;
pub mod stats;
pub mod text;

#[cfg(test)]
mod samples;

use std::io::{self, Write};

use sha2::{Digest, Sha256};

use crate::detect::finding::Finding;
use crate::privacy::Reveal;

pub use page::Palette;
pub use stats::RunStats;

/// A way to write findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// For people: worst first, then what was read and lost.
    Text,
    /// One object a line as the contract has it, then the `stats` line.
    Json,
    /// The same for readers that hold every line against Suricata's published schema.
    Eve,
}

/// The formats, in the order in which `--help` lists them: the name on the command line, and what it is for.
pub const FORMATS: &[(&str, Format, &str)] = &[
    ("text", Format::Text, "for people: worst first, then what was read and lost"),
    ("json", Format::Json, "one object a line: Suricata's EVE alert with ours under `trawl`"),
    ("eve", Format::Eve, "one object a line that satisfies Suricata's published EVE schema"),
];

/// How a report is laid out.
#[derive(Clone, Copy, Debug)]
pub struct Layout<'a> {
    /// Whether real addresses of subscribers are shown.
    pub reveal: &'a Reveal,
    /// Columns of the page; text only. Made to fit [`text::COLUMNS_MIN`] to [`text::COLUMNS_MAX`].
    pub columns: usize,
    /// Colours; text only. The caller knows whether a terminal listens and what `NO_COLOR` says.
    pub palette: Palette,
}

impl Format {
    /// The format of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        FORMATS.iter().find(|(known, ..)| *known == name).map(|&(_, format, _)| format)
    }

    /// Writes a whole report: the findings, worst first, and what closes them.
    pub fn write(
        self,
        out: &mut dyn Write,
        findings: &[Finding],
        stats: &RunStats,
        layout: Layout<'_>,
    ) -> io::Result<()> {
        let mut sorted: Vec<&Finding> = findings.iter().collect();
        sorted.sort_by(|a, b| worst_first(a, b));
        match self {
            Self::Text => text::write_report(out, &sorted, stats, layout)?,
            Self::Json | Self::Eve => {
                for finding in sorted {
                    self.write_finding(out, finding, layout)?;
                }
                self.write_stats(out, stats, layout)?;
            }
        }
        out.flush()
    }

    /// Writes one finding, as a live watch does when a window closes.
    pub fn write_finding(self, out: &mut dyn Write, finding: &Finding, layout: Layout<'_>) -> io::Result<()> {
        match self {
            Self::Text => text::write_finding(out, finding, layout),
            Self::Json => json::write_finding(out, finding, layout.reveal),
            Self::Eve => eve::write_finding(out, finding, layout.reveal),
        }
    }

    /// Writes what closes a stream of findings.
    pub fn write_stats(self, out: &mut dyn Write, stats: &RunStats, layout: Layout<'_>) -> io::Result<()> {
        match self {
            Self::Text => text::write_stats(out, stats, layout),
            Self::Json => json::write_stats(out, stats),
            Self::Eve => eve::write_stats(out, stats),
        }
    }
}

/// Order of every report: severity as judged, then score, breadth and names, so that it never depends on chance.
pub fn worst_first(a: &Finding, b: &Finding) -> std::cmp::Ordering {
    (b.severity.cmp(&a.severity))
        .then(b.score.total_cmp(&a.score))
        .then(b.population.subscribers.cmp(&a.population.subscribers))
        .then(a.technique.cmp(&b.technique))
        .then_with(|| finding_id(a).cmp(&finding_id(b)))
}

/// Hexadecimal digits of a finding's id: 80 bits, so that even a million findings rarely share one (chance 4 in 10^13).
pub const FINDING_ID_DIGITS: usize = 20;

/// `trawl.finding_id`: the same for the same technique, collector and population in every run. The start of a SHA-256 over
/// the three, each with its length before it, so that no two triples run together.
pub fn finding_id(finding: &Finding) -> String {
    let collector = match finding.collector.collector_key.as_str() {
        "" => {
            let mut addresses: Vec<String> = finding.collector.addresses.iter().map(ToString::to_string).collect();
            addresses.sort_unstable();
            addresses.join(",")
        }
        key => key.to_owned(),
    };
    let mut hash = Sha256::new();
    for part in [finding.technique.id(), &collector, &finding.population.name] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut digits: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    digits.truncate(FINDING_ID_DIGITS);
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::finding::Severity;
    use crate::units::Address;

    #[test]
    fn every_format_is_found_by_its_name() {
        for &(name, format, about) in FORMATS {
            assert_eq!(Format::of_name(name), Some(format), "{name}");
            assert!(!about.is_empty(), "{name}");
        }
        assert_eq!(Format::of_name("yaml"), None);
    }

    #[test]
    fn an_id_depends_on_technique_collector_and_population_only() {
        let finding = samples::fan_in();
        let mut other = finding.clone();
        (other.score, other.flows, other.severity) = (0.1, 7, Severity::Low);
        assert_eq!(finding_id(&finding), finding_id(&other));
        assert_eq!(finding_id(&finding).len(), FINDING_ID_DIGITS);
        other.population.name = "others".into();
        assert_ne!(finding_id(&finding), finding_id(&other));

        // Without a key of its own, the sorted addresses stand for the collector.
        let mut unkeyed = finding.clone();
        unkeyed.collector.collector_key.clear();
        let mut turned = unkeyed.clone();
        unkeyed.collector.addresses = vec![Address::v4([1, 2, 3, 4]), Address::v4([5, 6, 7, 8])];
        turned.collector.addresses = vec![Address::v4([5, 6, 7, 8]), Address::v4([1, 2, 3, 4])];
        assert_eq!(finding_id(&unkeyed), finding_id(&turned));
    }

    #[test]
    fn worst_comes_first() {
        let mut findings = [samples::authorised(), samples::fan_in(), samples::injection()];
        findings.sort_by(worst_first);
        let severities: Vec<Severity> = findings.iter().map(|f| f.severity).collect();
        assert_eq!(severities, [Severity::Critical, Severity::High, Severity::Info]);
    }

    #[test]
    fn a_broken_pipe_is_passed_up() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let layout = Layout { reveal: &Reveal::Nothing, columns: 100, palette: Palette::Plain };
        for &(name, format, _) in FORMATS {
            let error = format.write(&mut Broken, &[samples::fan_in()], &samples::stats(), layout).expect_err(name);
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe, "{name}");
        }
    }
}
