//! Threads around the data's way: one reader, N workers, and the caller's thread, which merges and analyses.
//! In: captures and what the rooms need to be built. Out: one [`ClosedWindow`] after the other, then an [`Outcome`].
//! Bounds: [`QUEUE_BATCHES`] batches wait for a worker, then the reader waits (replay loses nothing to a full queue).
//! Time: windows close by packet time, at marks that the reader sets, so that every worker closes at the same packet
//! whatever their number. This is the only room that reads the wall clock, and only to say where time went.

pub mod live;
mod reader;
mod timings;
mod worker;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use crossbeam::channel::{Receiver, Sender, bounded};

use crate::capture::frame::FrameBatch;
use crate::capture::{Captures, FileReport, Filter, FilterError};
use crate::features::FeatureMatrix;
use crate::flow::row::FlowColumns;
use crate::flow::{FlowConfig, FlowCounters};
use crate::model::Codebook;
use crate::packet::{ParserLimits, RejectCounts};
use crate::population::{Populations, Summary, SummaryLimits};
use crate::privacy::Pseudonymiser;
use crate::units::{DurationNs, TimestampNs};

pub use timings::Timings;
pub use worker::Totals;

/// Batches that wait for one worker: 8 of 256 frames keep it busy while the reader waits for a page of the file.
const QUEUE_BATCHES: usize = 8;
/// Windows that wait for the analysis, per worker.
const QUEUE_WINDOWS: usize = 2;

/// How a run is set up; meant values only.
#[derive(Clone, Debug)]
pub struct Config {
    /// Workers, at least one.
    pub workers: usize,
    /// Capture time between two closes.
    pub window: DurationNs,
    /// BPF filter, if any.
    pub filter: Option<String>,
    /// Whether the caller wants flow rows with each window.
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

/// What the caller gets with each window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowsWanted {
    /// The summary only.
    None,
    /// The summary, and every row with its features.
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
    /// Its rows, ordered by time and key; empty unless wanted.
    pub rows: FlowColumns,
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

/// Runs the captures through to the end. `each_window` is called on this thread, window by window; its error stops the run.
pub fn run<Q, E>(
    captures: Captures,
    config: &Config,
    shared: Shared<'_, Q>,
    progress: &Progress,
    mut each_window: impl FnMut(ClosedWindow) -> Result<(), E>,
) -> Result<Outcome, E>
where
    Q: Quantiser,
{
    let workers = config.workers.max(1);
    let (reply_to, replies) = bounded(workers * QUEUE_WINDOWS);
    let (free_to, free) = bounded::<FrameBatch>(workers * (QUEUE_BATCHES + 2));
    let (spare_to, spare) = bounded(workers);
    std::thread::scope(|scope| {
        let mut tasks = Vec::with_capacity(workers);
        for index in 0..workers {
            let (task_to, task) = bounded(QUEUE_BATCHES);
            tasks.push(task_to);
            let (reply_to, free_to, spare) = (reply_to.clone(), free_to.clone(), spare.clone());
            scope.spawn(move || worker::Worker::new(index, config, shared, spare).run(&task, &free_to, &reply_to));
        }
        drop((reply_to, free_to, spare));
        let reader = scope.spawn(move || {
            let maps = captures.maps();
            reader::Reader::new(maps, config, tasks, free, progress).run(captures)
        });
        let merged = merge_windows(&replies, workers, config, &Spares(spare_to), &mut each_window);
        // Workers that wait to hand on a window see the channel closed and end; so does the reader behind them.
        drop(replies);
        let read = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        merged.map(|workers| read.with(workers))
    })
}

/// What a worker hands on.
enum Reply {
    Window { worker: usize, number: u64, summary: Box<Summary>, rows: Box<FlowColumns>, so_far: Box<Totals> },
    End(Box<Totals>),
}

/// One worker's part of a window.
type Share = (Box<Summary>, Box<FlowColumns>, Box<Totals>);

/// Puts the workers' shares of each window together, in worker order, and hands them on in window order.
fn merge_windows<E>(
    replies: &Receiver<Reply>,
    workers: usize,
    config: &Config,
    spares: &Spares,
    each_window: &mut impl FnMut(ClosedWindow) -> Result<(), E>,
) -> Result<Totals, E> {
    let mut waiting: BTreeMap<u64, Vec<Option<Share>>> = BTreeMap::new();
    let mut totals = Totals::default();
    while let Ok(reply) = replies.recv() {
        match reply {
            Reply::End(of_worker) => totals.merge(&of_worker),
            Reply::Window { worker, number, summary, rows, so_far } => {
                let shares = waiting.entry(number).or_insert_with(|| (0..workers).map(|_| None).collect());
                shares[worker] = Some((summary, rows, so_far));
                // Every worker closes its windows in order, so the first complete one is the oldest.
                if shares.iter().all(Option::is_some) {
                    let shares = waiting.remove(&number).unwrap_or_default();
                    each_window(merge_shares(number, shares.into_iter().flatten(), config, spares))?;
                }
            }
        }
    }
    Ok(totals)
}

fn merge_shares(number: u64, shares: impl Iterator<Item = Share>, config: &Config, spares: &Spares) -> ClosedWindow {
    let (mut whole, mut rows, mut so_far) = (None::<Box<Summary>>, FlowColumns::default(), Totals::default());
    for (mut share, mut share_rows, counted) in shares {
        so_far.merge(&counted);
        rows.append(&mut share_rows);
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
    ClosedWindow { number, summary, rows: in_order(rows), so_far, spares: spares.clone() }
}

/// Rows by time and key, so that a file of them does not depend on the number of workers.
fn in_order(rows: FlowColumns) -> FlowColumns {
    let mut order: Vec<u32> = (0..rows.len() as u32).collect();
    let rank = |&i: &u32| {
        let i = i as usize;
        (rows.ts_first[i], rows.first_frame[i], rows.key[i], rows.row_number[i])
    };
    if order.is_sorted_by_key(rank) {
        return rows;
    }
    order.sort_by_cached_key(rank);
    let mut sorted = FlowColumns::default();
    for i in order {
        sorted.push(rows.row(i as usize));
    }
    sorted
}

/// Checks a filter before anything is read: it must compile for Ethernet, or for none of the usual link types.
pub fn check_filter(expression: &str) -> Result<(), FilterError> {
    Filter::compile(expression, crate::capture::frame::LinkType(1)).map(drop)
}
