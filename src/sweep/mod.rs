//! Archives of captures through the pipeline into the store, and what of it is news.
//! In: paths, a plan, the store. Out: what was swept and what was not, and what people have to be told.
//! Bounds: as many captures at once as the plan says; windows of a capture are kept in portions of
//! [`ingest::PORTION_BYTES`]; the list of files is bounded by [`walk::FILES_MAX`].
//! Time: capture time, but for the age of files, against a clock that the caller gives.
//!
//! # Order
//! Captures are read in order of their first packet, whatever their names, several at once. Each is read by itself: a flow that
//! crosses from one file into the next is counted in both, its bytes and packets once. What spans files is put together
//! afterwards, over the windows of one sensor and day: times between flows (`population::stitch`), hours, the day. So the
//! findings do not depend on which capture was read when, by how many at once, or in how many sweeps.

mod content;
pub mod digest;
mod ingest;
mod judge;
mod queue;
pub mod sensor;
mod walk;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::{Codebook, Model};
use crate::pipeline::{Config, Progress};
use crate::policy::Policy;
use crate::population::Populations;
use crate::population::places::Places;
use crate::privacy::Pseudonymiser;
use crate::report::RunStats;
use crate::store::findings::Change;
use crate::store::retention::{Retained, Retention};
use crate::store::runs::RunStart;
use crate::store::{Store, StoreError};
use crate::units::{DurationNs, TimestampNs};

pub use sensor::{SensorNaming, SensorPattern};
pub use walk::Links;

/// What is to be swept, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Files, folders and globs.
    pub inputs: Vec<PathBuf>,
    /// Whether symbolic links are followed.
    pub links: Links,
    /// Which capture is of which sensor.
    pub naming: SensorNaming,
    /// Captures that begin at or after this.
    pub since: Option<TimestampNs>,
    /// Captures that begin before this.
    pub until: Option<TimestampNs>,
    /// A file that changed less than this ago may still grow.
    pub settle: DurationNs,
    /// How long files that still grow are waited for, altogether.
    pub wait: DurationNs,
    /// Captures read at once, at least one.
    pub jobs: usize,
    /// Silence after which a finding has ended.
    pub silence: DurationNs,
    /// How long what is kept.
    pub retention: Retention,
    /// Judge history again, under the policy and model in force.
    pub rejudge: Rejudge,
}

/// Which days are judged again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejudge {
    /// Those that got new windows.
    Changed,
    /// All within `since` and `until`.
    All,
}

/// What reading and judging need besides.
#[derive(Clone, Copy, Debug)]
pub struct Tools<'a> {
    /// Whose data is protected.
    pub populations: &'a Populations,
    /// Where addresses are.
    pub places: &'a Places,
    /// The trained model, where there is one.
    pub model: Option<&'a Model>,
    /// Flow codewords.
    pub codebook: &'a Codebook,
    /// The register.
    pub policy: &'a Policy,
    /// Who makes pseudonyms: under the store's key.
    pub pseudonymiser: &'a Pseudonymiser,
    /// How captures are read; its workers are those of one capture.
    pub config: &'a Config,
    /// The wall clock, for ages of files and times of runs.
    pub clock: fn() -> TimestampNs,
}

/// How far a sweep is, for whoever watches.
#[derive(Debug, Default)]
pub struct SweepProgress {
    /// Captures to read.
    pub files_total: AtomicU64,
    /// Captures read.
    pub files: AtomicU64,
    /// Bytes to read.
    pub bytes_total: AtomicU64,
    /// Bytes read: of captures that were read to their end.
    pub bytes: AtomicU64,
    /// Of the captures that are being read, one a job.
    pub reading: Vec<Progress>,
    /// Days still to be judged.
    pub days: AtomicU64,
}

impl SweepProgress {
    /// For so many captures at once.
    pub fn new(jobs: usize) -> Self {
        Self { reading: (0..jobs.max(1)).map(|_| Progress::default()).collect(), ..Self::default() }
    }

    /// Bytes read, those of captures that are being read included.
    pub fn bytes_read(&self) -> u64 {
        let reading: u64 = self.reading.iter().map(|progress| progress.bytes.load(Ordering::Relaxed)).sum();
        self.bytes.load(Ordering::Relaxed) + reading
    }
}

/// A capture that was not swept, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotSwept {
    /// Its path.
    pub path: String,
    /// Why not, in words.
    pub why: String,
}

/// What a sweep came to.
#[derive(Debug, Default)]
pub struct Swept {
    /// The run.
    pub run: i64,
    /// The account of what was read.
    pub stats: RunStats,
    /// Captures read.
    pub captures: u64,
    /// Of those, captures that were continued.
    pub continued: u64,
    /// Captures that were known already.
    pub known: u64,
    /// Files that are no captures.
    pub strangers: u64,
    /// Captures that begin outside `since` and `until`.
    pub outside: u64,
    /// Captures that cannot be read, told of for the first time.
    pub refused: Vec<NotSwept>,
    /// Captures that could not be read in an earlier sweep either.
    pub refused_before: u64,
    /// Captures that still grow.
    pub growing: Vec<NotSwept>,
    /// Bytes of the captures read.
    pub bytes: u64,
    /// Days judged.
    pub days: u64,
    /// Windows left out of judging because they rest on other populations, and the days that they are of.
    pub left_out: (u64, u64),
    /// What became coarser.
    pub retained: Retained,
    /// What people have to be told, worst first.
    pub changes: Vec<Change>,
}

/// Why a sweep ended early. What was done until then is kept, and the next one goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A path that was named.
    #[error("{path}: {why}")]
    Input {
        /// The path.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// Summaries of one day that do not go together.
    #[error("the store's windows of one day do not go together: {0}")]
    Merge(#[from] crate::population::MergeError),
}

/// Sweeps: reads what is new, judges what changed, settles every finding's state. The caller tells people, then calls
/// [`Store::tell`]; until then the same changes come out of every further sweep.
///
/// # Errors
/// See [`SweepError`].
pub fn sweep(
    store: &mut Store,
    plan: &Plan,
    tools: Tools<'_>,
    start: &RunStart<'_>,
    progress: &SweepProgress,
) -> Result<Swept, SweepError> {
    store.drop_half_read()?;
    let run = store.begin_run(start)?;
    let mut swept = Swept { run, ..Swept::default() };
    let queue = queue::fill(store, plan, tools.clock, run, &mut swept)?;
    ingest::all(store, plan, tools, run, queue, progress, &mut swept)?;
    if plan.rejudge == Rejudge::All {
        let (from, to) = (plan.since.unwrap_or(TimestampNs::ZERO), plan.until.unwrap_or(TimestampNs::MAX));
        let only = match &plan.naming {
            SensorNaming::Named(name) => Some(store.sensor(name)?),
            _ => None,
        };
        store.mark_stale(from, to, only)?;
    }
    let stale = store.stale_days()?;
    progress.days.store(stale.len() as u64, Ordering::Relaxed);
    for day in stale {
        judge::day(store, day, tools, &mut swept.stats)?;
        swept.days += 1;
        progress.days.fetch_sub(1, Ordering::Relaxed);
    }
    swept.left_out = store.left_out()?;
    swept.changes = store.settle(plan.silence)?;
    swept.retained = store.retain(&plan.retention, &tools.config.summary)?;
    swept.stats.populations = tools.populations.iter().map(|(_, spec)| spec.name.clone()).collect();
    swept.stats.looked_for = crate::detect::DETECTORS.iter().map(|detector| detector.technique).collect();
    Ok(swept)
}
