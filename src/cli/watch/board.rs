//! Board: what the run shows of itself between two windows: for the metrics and the terminal view.
//! In: the analysis, each time a window closes. Out: copies for whoever looks.
//! Bounds: [`FINDINGS_MAX`] findings, [`COLLECTORS_MAX`] collectors with [`TREND_MAX`] windows each, [`NOTES_MAX`] notes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::outlet::OutletCounts;
use crate::detect::finding::{Finding, Severity, Technique};
use crate::pipeline::Totals;
use crate::pipeline::live::{Gauges, Lost};
use crate::population::Summary;
use crate::report::live::Change;
use crate::units::Address;

/// Findings shown.
pub const FINDINGS_MAX: usize = 200;
/// Collectors whose trend is kept.
pub const COLLECTORS_MAX: usize = 64;
/// Windows of a trend.
pub const TREND_MAX: usize = 32;
/// Notes shown.
pub const NOTES_MAX: usize = 50;

/// What is shown.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Worst first, as they stand.
    pub findings: Vec<Finding>,
    /// How many were told, by technique, severity and change.
    pub told: BTreeMap<(Technique, Severity, Change), u64>,
    /// By address: bytes taken from the population in the last windows, risk.
    pub collectors: Vec<Collector>,
    /// What workers counted.
    pub counted: Totals,
    /// Windows closed.
    pub windows: u64,
    /// Times that the capture clock stepped back so far that windows began anew.
    pub clock_steps: u64,
    /// What the last window lost.
    pub lost_last: Lost,
    /// Confidence of the last window.
    pub confidence_last: f64,
    /// End of the last window, nanoseconds since 1970.
    pub window_end_ns: u64,
    /// Detection and report of windows, seconds.
    pub detect: Durations,
    /// Whether the last reload was taken, and when.
    pub reload: Option<(bool, u64)>,
    /// What was said, latest last.
    pub notes: VecDeque<String>,
    /// Findings open, by severity: those that are shown may have ended.
    pub open: BTreeMap<Severity, u64>,
    /// Findings open, and repeats that were folded.
    pub open_and_folded: (u64, u64),
}

/// A collector and how much it took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collector {
    /// Its address.
    pub address: Address,
    /// Greatest score of its findings; zero without one.
    pub risk: f64,
    /// Subscribers in the last window.
    pub subscribers: u64,
    /// Bytes from the population, by window, latest last.
    pub trend: VecDeque<u64>,
}

/// How long windows took, microseconds.
#[derive(Clone, Debug)]
pub struct Durations(pub Histogram<u64>);

impl Default for Durations {
    fn default() -> Self {
        // 1 µs to 1 h at two significant digits, as the pipeline's own.
        Self(Histogram::new_with_bounds(1, 3_600_000_000, 2).unwrap_or_else(|_| unreachable!("constant bounds")))
    }
}

impl Durations {
    /// Notes one window.
    pub fn note(&mut self, took: Duration) {
        self.0.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1));
    }
}

/// Shared by all who show.
#[derive(Debug)]
pub struct Board {
    /// Counters that move all the time.
    pub gauges: Arc<Gauges>,
    /// When the run began.
    pub began: Instant,
    /// Outlets by name.
    pub outlets: Vec<(&'static str, Arc<OutletCounts>)>,
    view: Mutex<View>,
}

impl Board {
    /// Of a run.
    pub fn new(gauges: Arc<Gauges>, outlets: Vec<(&'static str, Arc<OutletCounts>)>) -> Self {
        Self { gauges, began: Instant::now(), outlets, view: Mutex::default() }
    }

    /// What is shown now.
    pub fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a sentence.
    pub fn note(&self, text: &str) {
        let mut view = self.view();
        if view.notes.len() >= NOTES_MAX {
            view.notes.pop_front();
        }
        view.notes.push_back(text.to_owned());
    }
}

impl View {
    /// Takes a window's collectors in: those with a finding and those that took most stay.
    pub fn note_collectors(&mut self, mut now: Taken) {
        for collector in &mut self.collectors {
            let (bytes, subscribers) = now.remove(&collector.address).unwrap_or_default();
            collector.push(bytes, subscribers);
        }
        let new = now.into_iter().map(|(address, (bytes, subscribers))| {
            let mut collector = Collector { address, ..Collector::default() };
            collector.push(bytes, subscribers);
            collector
        });
        self.collectors.extend(new);
        for collector in &mut self.collectors {
            let of_it = |finding: &&Finding| finding.collector.addresses.binary_search(&collector.address).is_ok();
            collector.risk = self.findings.iter().filter(of_it).map(|finding| finding.score).fold(0.0, f64::max);
        }
        self.collectors
            .sort_by(|a, b| b.risk.total_cmp(&a.risk).then(b.taken().cmp(&a.taken())).then(a.address.cmp(&b.address)));
        self.collectors.truncate(COLLECTORS_MAX);
    }
}

/// What a window's collectors took: bytes from the population, subscribers.
pub type Taken = BTreeMap<Address, (u64, u64)>;

/// Of a summary.
pub fn taken(summary: &Summary) -> Taken {
    let mut now = Taken::new();
    for (key, one) in summary.collectors.sorted() {
        let entry = now.entry(key.address).or_default();
        entry.0 += one.totals.payload_bytes[0];
        entry.1 += one.subscribers.count();
    }
    now
}

impl Collector {
    /// Bytes over the trend.
    pub fn taken(&self) -> u64 {
        self.trend.iter().sum()
    }

    fn push(&mut self, bytes: u64, subscribers: u64) {
        if self.trend.len() >= TREND_MAX {
            self.trend.pop_front();
        }
        self.trend.push_back(bytes);
        self.subscribers = subscribers;
    }
}
