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
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            read_seconds: 0.0,
            parse_seconds: 0.0,
            flow_seconds: 0.0,
            summary_seconds: 0.0,
            // 1 µs to 1 h at two significant digits: 22 KiB.
            batch_us: Histogram::new_with_bounds(1, 3_600_000_000, 2)
                .unwrap_or_else(|_| unreachable!("constant bounds")),
        }
    }
}

impl Timings {
    /// Notes one batch's way.
    pub fn batch(&mut self, latency: Duration) {
        self.batch_us.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).max(1));
    }

    /// Adds another worker's times.
    pub fn merge(&mut self, other: &Self) {
        self.parse_seconds += other.parse_seconds;
        self.flow_seconds += other.flow_seconds;
        self.summary_seconds += other.summary_seconds;
        // Same constant bounds on both sides, so adding cannot fail.
        let _same_bounds = self.batch_us.add(&other.batch_us);
    }
}
