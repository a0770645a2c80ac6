//! Threads around the data's way: one reader, N workers, and the caller's thread, which merges and analyses.
//! In: captures and what the rooms need to be built. Out: one [`ClosedWindow`] after the other, flow rows in parts where they
//! are wanted, then an [`Outcome`].
//! Bounds: [`QUEUE_BUNDLES`] bundles wait for a worker, then the reader waits (replay loses nothing to a full queue); flow rows
//! are handed on every [`FRAMES_A_PART`] frames, so that those of a long window are never held all at once.
//! Time: windows close by packet time, at marks that the reader sets, so that every worker closes at the same packet
//! whatever their number. This is the only room that reads the wall clock, and only to say where time went.

mod bundle;
pub mod live;
mod reader;
mod timings;
mod worker;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use crossbeam::channel::{Receiver, Sender, bounded};

use crate::capture::{Captures, FileReport, Filter, FilterError};
use crate::features::FeatureMatrix;
use crate::flow::row::FlowColumns;
use crate::flow::{FlowConfig, FlowCounters};
use crate::model::Codebook;
use crate::packet::{ParserLimits, RejectCounts};
use crate::population::{Populations, Summary, SummaryLimits};
use crate::privacy::Pseudonymiser;
use crate::units::{DurationNs, TimestampNs};

use bundle::Bundle;
pub use timings::Timings;
pub use worker::Totals;

/// Batches of 256 frames that are handed over together: with packets of 64 bytes, waking up for each one took 18 % of all samples
/// (`benches/RESULTS.md`), for eight at a time some 3 %.
const BUNDLE_BATCHES: usize = 8;
/// Bundles that wait for one worker: they keep it busy while the reader waits for a page of the file.
const QUEUE_BUNDLES: usize = 2;
/// Windows that wait for the analysis, per worker.
const QUEUE_WINDOWS: usize = 2;
/// Frames after which rows that are wanted are handed on: a frame ends one row at most, and a row is about a kilobyte.
const FRAMES_A_PART: u64 = 1 << 16;

/// How a run is set up; meant values only.
#[derive(Clone, Debug)]
pub struct Config {
    /// Workers, at least one.
    pub workers: usize,
    /// Capture time between two closes.
    pub window: DurationNs,
    /// BPF filter, if any.
    pub filter: Option<String>,
    /// Whether the caller wants flow rows.
    pub rows: RowsWanted,
    /// Bounds and timeouts of a worker's flow table.
    pub flow: FlowConfig,
    /// Bounds of a worker's parser.
    pub parser: ParserLimits,
    /// Bounds of a window's summary.
    pub summary: SummaryLimits,
    /// Seed of the hash that spreads address pairs over workers.
    pub seed: u64,
}

impl<Q> Clone for Shared<'_, Q> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Q> Copy for Shared<'_, Q> {}

/// What the caller gets besides summaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowsWanted {
    /// Nothing.
    None,
    /// Every flow row.
    All,
}

/// Assigns flow rows to codewords; implemented by the model room's codebooks.
pub trait Quantiser: Sync {
    /// One codeword per row of the matrix.
    fn assign(&self, features: &FeatureMatrix, codewords: &mut Vec<u16>);
}

impl Quantiser for Codebook {
    fn assign(&self, features: &FeatureMatrix, codewords: &mut Vec<u16>) {
        Codebook::assign(self, features, codewords);
    }
}

/// What every worker shares, read only.
#[derive(Debug)]
pub struct Shared<'a, Q> {
    /// Whose data is protected.
    pub populations: &'a Populations,
    /// How subscribers are named outside the worker; each worker keeps a cache of its own over it.
    pub pseudonymiser: &'a Pseudonymiser,
    /// Flow codewords.
    pub quantiser: &'a Q,
}

/// A window of capture time, over all workers.
#[derive(Debug)]
pub struct ClosedWindow {
    /// Number of the window in the run, from 0.
    pub number: u64,
    /// Everything of it, merged.
    pub summary: Summary,
    /// What the workers have counted since the run began.
    pub so_far: Totals,
    /// Where the summary's memory may go when it has been looked at.
    pub spares: Spares,
}

/// Summaries that were looked at, on their way back to the workers: their tables are filled again instead of being built
/// anew, which is a page fault for every four kilobytes.
#[derive(Clone, Debug)]
pub struct Spares(Sender<Box<Summary>>);

impl Spares {
    /// Gives a summary's memory back; what was in it is forgotten. More than the workers can use go back to the system.
    pub fn give(&self, summary: Summary) {
        let _enough = self.0.try_send(Box::new(summary));
    }
}

/// How far a run is, for whoever watches.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes of the input taken in.
    pub bytes: AtomicU64,
    /// Frames taken in.
    pub frames: AtomicU64,
}

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// Of every input file.
    pub files: Vec<FileReport>,
    /// Frames read, those that the filter left out included.
    pub frames: u64,
    /// Their bytes on the wire, without those that the filter left out.
    pub wire_bytes: u64,
    /// Frames and packets that were not used, by cause.
    pub rejects: RejectCounts,
    /// What the flow tables counted.
    pub flows: FlowCounters,
    /// Frames that the filter left out.
    pub filtered_out: u64,
    /// Times that the capture clock stepped back so far that everything open was closed.
    pub clock_steps: u64,
    /// Windows closed.
    pub windows: u64,
    /// First and last capture time.
    pub span: Option<(TimestampNs, TimestampNs)>,
    /// Where the time went; differs from run to run.
    pub timings: Timings,
}

/// Runs the captures through to the end. `each_window` is called on this thread, window by window, and `each_rows` before it
/// with the rows that ended since, part by part, the rows of some 65,536 frames in order of time and key; an error of either stops the run.
pub fn run<Q, E>(
    captures: Captures,
    config: &Config,
    shared: Shared<'_, Q>,
    progress: &Progress,
    mut each_rows: impl FnMut(FlowColumns) -> Result<(), E>,
    mut each_window: impl FnMut(ClosedWindow) -> Result<(), E>,
) -> Result<Outcome, E>
where
    Q: Quantiser,
{
    let workers = config.workers.max(1);
    let (reply_to, replies) = bounded(workers * QUEUE_WINDOWS);
    let (free_to, free) = bounded::<Bundle>(workers * (QUEUE_BUNDLES + 2));
    let (spare_to, spare) = bounded(workers);
    std::thread::scope(|scope| {
        let mut tasks = Vec::with_capacity(workers);
        for index in 0..workers {
            let (task_to, task) = bounded(QUEUE_BUNDLES);
            tasks.push(task_to);
            let (reply_to, free_to, spare) = (reply_to.clone(), free_to.clone(), spare.clone());
            scope.spawn(move || worker::Worker::new(index, config, shared, spare).run(&task, &free_to, &reply_to));
        }
        drop((reply_to, free_to, spare));
        let reader = scope.spawn(move || {
            let maps = captures.maps();
            reader::Reader::new(maps, config, tasks, free, progress).run(captures)
        });
        let merged = merge(&replies, workers, config, &Spares(spare_to), (&mut each_rows, &mut each_window));
        // Workers that wait to hand on a window see the channel closed and end; so does the reader behind them.
        drop(replies);
        let read = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        merged.map(|workers| read.with(workers))
    })
}

/// What a worker hands on.
enum Reply {
    Rows { worker: usize, number: u64, rows: Box<FlowColumns> },
    Window { worker: usize, number: u64, summary: Box<Summary>, so_far: Box<Totals> },
    End(Box<Totals>),
}

/// One worker's part of a window.
type Share = (Box<Summary>, Box<Totals>);

/// Workers' shares of what they all hand on by number, until all of them are there.
struct Waiting<T>(BTreeMap<u64, Vec<Option<T>>>);

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Waiting<T> {
    /// Takes a share; all shares, in worker order, where it was the last. Every worker hands on in order, so what is complete
    /// first is the oldest.
    fn take(&mut self, (worker, workers): (usize, usize), number: u64, share: T) -> Option<Vec<T>> {
        let shares = self.0.entry(number).or_insert_with(|| (0..workers).map(|_| None).collect());
        shares[worker] = Some(share);
        let complete = shares.iter().all(Option::is_some);
        complete.then(|| self.0.remove(&number).unwrap_or_default().into_iter().flatten().collect())
    }
}

/// Puts the workers' shares together, in worker order, and hands them on in the order of the capture.
fn merge<E>(
    replies: &Receiver<Reply>,
    workers: usize,
    config: &Config,
    spares: &Spares,
    (each_rows, each_window): (
        &mut impl FnMut(FlowColumns) -> Result<(), E>,
        &mut impl FnMut(ClosedWindow) -> Result<(), E>,
    ),
) -> Result<Totals, E> {
    let (mut parts, mut windows) = (Waiting::default(), Waiting::default());
    let mut totals = Totals::default();
    while let Ok(reply) = replies.recv() {
        match reply {
            Reply::End(of_worker) => totals.merge(&of_worker),
            Reply::Rows { worker, number, rows } => {
                if let Some(shares) = parts.take((worker, workers), number, rows) {
                    let joined = shares.into_iter().reduce(|mut whole, mut rows| {
                        whole.append(&mut rows);
                        whole
                    });
                    in_order(*joined.unwrap_or_default(), each_rows)?;
                }
            }
            Reply::Window { worker, number, summary, so_far } => {
                if let Some(shares) = windows.take((worker, workers), number, (summary, so_far)) {
                    each_window(merge_shares(number, shares.into_iter(), config, spares))?;
                }
            }
        }
    }
    Ok(totals)
}

fn merge_shares(number: u64, shares: impl Iterator<Item = Share>, config: &Config, spares: &Spares) -> ClosedWindow {
    let (mut whole, mut so_far) = (None::<Box<Summary>>, Totals::default());
    for (mut share, counted) in shares {
        so_far.merge(&counted);
        match &mut whole {
            None => whole = Some(share),
            Some(whole) => {
                whole.take_in(&mut share).expect("all workers have one policy, one key and one codebook");
                spares.give(*share);
            }
        }
    }
    let mut summary = whole.map_or_else(Summary::empty, |whole| *whole);
    summary.bound(&config.summary);
    ClosedWindow { number, summary, so_far, spares: spares.clone() }
}

/// Hands rows on by time and key, so that a file of them does not depend on the number of workers, so many at a time: those of
/// the last part are as many as flows were alive, and no second copy of them all is made.
fn in_order<E>(rows: FlowColumns, each_rows: &mut impl FnMut(FlowColumns) -> Result<(), E>) -> Result<(), E> {
    let mut order: Vec<u32> = (0..rows.len() as u32).collect();
    let rank = |&i: &u32| {
        let i = i as usize;
        (rows.ts_first[i], rows.first_frame[i], rows.key[i], rows.row_number[i])
    };
    if order.is_sorted_by_key(rank) {
        return each_rows(rows);
    }
    order.sort_by_cached_key(rank);
    for some in order.chunks(FRAMES_A_PART as usize) {
        let mut sorted = FlowColumns::default();
        some.iter().for_each(|i| sorted.push(rows.row(*i as usize)));
        each_rows(sorted)?;
    }
    Ok(())
}

/// Checks a filter before anything is read: it must compile for Ethernet, or for none of the usual link types.
pub fn check_filter(expression: &str) -> Result<(), FilterError> {
    Filter::compile(expression, crate::capture::frame::LinkType(1)).map(drop)
}
