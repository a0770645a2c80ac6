//! Timings: where a run's time went, by stage, and how long a batch took from reading to summary.
//! In: durations by the wall clock. Out: sums and an hdrhistogram. Nothing here reaches a finding.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Where the time went, over all workers.
#[derive(Clone, Debug)]
pub struct Timings {
    /// Reading, sharding and waiting on full queues.
    pub read_seconds: f64,
    /// Frames to packets.
    pub parse_seconds: f64,
    /// Packets to flows.
    pub flow_seconds: f64,
    /// Rows to features, codewords and summaries.
    pub summary_seconds: f64,
    /// Latency of a batch from the reader's hand to the flow table's end, microseconds.
    pub batch_us: Histogram<u64>,
    /// Parsing of a batch, microseconds.
    pub parse_us: Histogram<u64>,
    /// A batch through the flow table, microseconds.
    pub flow_us: Histogram<u64>,
    /// A block of rows to features, codewords and summary, microseconds.
    pub summary_us: Histogram<u64>,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            read_seconds: 0.0,
            parse_seconds: 0.0,
            flow_seconds: 0.0,
            summary_seconds: 0.0,
            batch_us: empty(),
            parse_us: empty(),
            flow_us: empty(),
            summary_us: empty(),
        }
    }
}

impl Timings {
    /// Notes one batch's way.
    pub fn batch(&mut self, latency: Duration) {
        note(&mut self.batch_us, latency);
    }

    /// Notes how long parsing a batch and filing it into flows took.
    pub fn parsed(&mut self, parse: Duration, flow: Duration) {
        self.parse_seconds += parse.as_secs_f64();
        self.flow_seconds += flow.as_secs_f64();
        note(&mut self.parse_us, parse);
        note(&mut self.flow_us, flow);
    }

    /// Notes how long summarising a block took.
    pub fn summarised(&mut self, took: Duration) {
        self.summary_seconds += took.as_secs_f64();
        note(&mut self.summary_us, took);
    }

    /// Adds another worker's times.
    pub fn merge(&mut self, other: &Self) {
        self.parse_seconds += other.parse_seconds;
        self.flow_seconds += other.flow_seconds;
        self.summary_seconds += other.summary_seconds;
        // Same constant bounds on both sides, so adding cannot fail.
        for (mine, theirs) in [
            (&mut self.batch_us, &other.batch_us),
            (&mut self.parse_us, &other.parse_us),
            (&mut self.flow_us, &other.flow_us),
            (&mut self.summary_us, &other.summary_us),
        ] {
            let _same_bounds = mine.add(theirs);
        }
    }
}

/// 1 µs to 1 h at two significant digits: 22 KiB.
fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000, 2).unwrap_or_else(|_| unreachable!("constant bounds"))
}

fn note(histogram: &mut Histogram<u64>, took: Duration) {
    histogram.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1));
}
