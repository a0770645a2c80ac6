//! Reading: captures of the queue through the pipeline, several at once, their windows into the store.
//! In: the queue. Out: windows that count once their capture was read to its end, and the account.
//! Bounds: [`PORTION_BYTES`] of windows a reader before they are handed on; readers wait for the store.
//! Readers own nothing of the store: one thread writes, so that nothing is ever locked.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam::channel::{Sender, bounded};

use super::queue::Candidate;
use super::{NotSwept, Plan, SweepError, SweepProgress, Swept, Tools};
use crate::capture::{Captures, FaultCost, FileReport, InputPath};
use crate::packet::{Reject, RejectClass};
use crate::pipeline::{self, ClosedWindow, Config, Outcome, Progress, Shared};
use crate::report::RunStats;
use crate::report::stats::{Counts, FileStats};
use crate::store::Store;
use crate::store::captures::{CaptureAccount, ReadTo, Reading};
use crate::store::windows::StoredWindow;

/// Bytes of windows that a reader keeps before it hands them on.
pub const PORTION_BYTES: usize = 8 << 20;
/// Portions that wait for the store.
const QUEUE_PORTIONS: usize = 4;

/// What a reader says of the capture of that number in the queue.
enum Said {
    Windows(usize, Vec<StoredWindow>),
    Read(usize, Vec<StoredWindow>, Box<Read>),
    Refused(usize, String),
}

/// A capture that was read to its end.
struct Read {
    to: ReadTo,
    stats: RunStats,
}

/// The reader's own end: nobody listens any more.
struct Stopped;

/// Reads the whole queue.
pub(super) fn all(
    store: &mut Store,
    plan: &Plan,
    tools: Tools<'_>,
    run: i64,
    queue: Vec<Candidate>,
    progress: &SweepProgress,
    swept: &mut Swept,
) -> Result<(), SweepError> {
    progress.files_total.store(queue.len() as u64, Ordering::Relaxed);
    progress.bytes_total.store(queue.iter().map(|candidate| candidate.content.size).sum(), Ordering::Relaxed);
    let next = AtomicUsize::new(0);
    // One capture alone has all workers, several share them.
    let at_once = plan.jobs.max(1).min(queue.len()).min(progress.reading.len());
    let config = Config { workers: (tools.config.workers / at_once.max(1)).max(1), ..tools.config.clone() };
    let (say, said) = bounded::<Said>(QUEUE_PORTIONS);
    std::thread::scope(|scope| {
        for reading in progress.reading.iter().take(at_once) {
            let (say, queue, next, config) = (say.clone(), &queue, &next, &config);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(candidate) = queue.get(number) else { return };
                    let tools = Tools { config, ..tools };
                    if read(number, candidate, tools, reading, &say).is_err() {
                        return;
                    }
                }
            });
        }
        drop(say);
        let mut open: BTreeMap<usize, i64> = BTreeMap::new();
        // An error drops `said`: the readers see it closed and end.
        for said in said {
            keep(store, run, &queue, said, &mut open, progress, swept)?;
        }
        Ok(())
    })
}

/// Writes what a reader said.
fn keep(
    store: &mut Store,
    run: i64,
    queue: &[Candidate],
    said: Said,
    open: &mut BTreeMap<usize, i64>,
    progress: &SweepProgress,
    swept: &mut Swept,
) -> Result<(), SweepError> {
    let number = match &said {
        Said::Windows(number, _) | Said::Read(number, ..) | Said::Refused(number, _) => *number,
    };
    let candidate = &queue[number];
    let path = candidate.path.display().to_string();
    let Candidate { sensor, content, frames_from, .. } = *candidate;
    let reading = Reading { run, sensor, path: &path, content, frames_from };
    let capture = |open: &mut BTreeMap<usize, i64>| -> Result<i64, SweepError> {
        if let Some(capture) = open.get(&number) {
            return Ok(*capture);
        }
        let capture = store.begin_capture(&reading)?;
        open.insert(number, capture);
        Ok(capture)
    };
    match said {
        Said::Windows(_, windows) => {
            let capture = capture(open)?;
            store.add_windows(sensor, capture, &windows)?;
            return Ok(());
        }
        Said::Read(_, windows, read) => {
            let capture = capture(open)?;
            store.finish_capture(sensor, capture, &windows, &read.to)?;
            swept.captures += 1;
            swept.continued += u64::from(frames_from > 0);
            swept.bytes += content.size;
            add(&mut swept.stats, read.stats);
        }
        Said::Refused(_, why) => {
            if let Some(capture) = open.get(&number) {
                store.abandon_capture(*capture)?;
            }
            store.refuse_capture(&reading, &why)?;
            swept.refused.push(NotSwept { path: path.clone(), why });
        }
    }
    open.remove(&number);
    progress.files.fetch_add(1, Ordering::Relaxed);
    progress.bytes.fetch_add(content.size, Ordering::Relaxed);
    Ok(())
}

/// Reads one capture.
fn read(
    number: usize,
    candidate: &Candidate,
    tools: Tools<'_>,
    reading: &Progress,
    say: &Sender<Said>,
) -> Result<(), Stopped> {
    let send = |said: Said| say.send(said).map_err(|_| Stopped);
    let mut captures = match Captures::open(&[InputPath::File(candidate.path.clone())]) {
        Ok(captures) => captures,
        Err(error) => return send(Said::Refused(number, error.to_string())),
    };
    // A capture that grew: what was counted before is passed over, frame by frame, because only who has read the file's
    // beginning knows what its later blocks mean.
    let passed_over = (0..candidate.frames_from).take_while(|_| captures.next_frame().is_some()).count() as u64;
    let shared =
        Shared { populations: tools.populations, pseudonymiser: tools.pseudonymiser, quantiser: tools.codebook };
    let (mut portion, mut bytes) = (Vec::new(), 0);
    let outcome = pipeline::run(
        captures,
        tools.config,
        shared,
        reading,
        |_| Ok(()),
        |window: ClosedWindow| {
            let stored = StoredWindow::of(&window.summary);
            bytes += stored.bytes();
            portion.push(stored);
            if bytes >= PORTION_BYTES {
                bytes = 0;
                return send(Said::Windows(number, std::mem::take(&mut portion)));
            }
            Ok(())
        },
    )?;
    reading.bytes.store(0, Ordering::Relaxed);
    let stats = account(&outcome);
    let words = outcome.files.iter().find_map(|file| file.first_fault.clone());
    let faults = stats.files.iter().flat_map(|file| &file.faults).map(|(kind, n)| ((*kind).to_owned(), *n)).collect();
    let to = ReadTo {
        frames: passed_over + outcome.frames,
        span: outcome.span,
        account: CaptureAccount { packets: stats.packets, flows: stats.flows, wire_bytes: stats.bytes, faults, words },
    };
    send(Said::Read(number, portion, Box::new(Read { to, stats })))
}

/// The account of one capture.
fn account(outcome: &Outcome) -> RunStats {
    let rejects = |class| {
        let met = Reject::ALL.into_iter().filter(move |reject| reject.class() == class);
        met.map(|reject| (reject.name(), outcome.rejects.of(reject))).filter(|(_, n)| *n > 0)
    };
    let flows = &outcome.flows;
    let mut limits: Counts = rejects(RejectClass::Limit).collect();
    let of_flows = [
        ("flows-evicted", flows.evicted),
        ("address-pairs-forgotten", flows.pairs_forgotten),
        ("observations-left-out", flows.observations_dropped),
        ("openings-not-parsed", flows.app_refused),
        ("segments-overwritten", flows.segments_overwritten),
    ];
    limits.extend(of_flows.into_iter().filter(|(_, n)| *n > 0));
    let by_capture = outcome.files.iter().map(|file| file.frames_dropped_by_capture).sum();
    let drops =
        [("by-the-capturing-program", by_capture), ("fragments-never-completed", outcome.rejects.fragments_lost().0)];
    RunStats {
        span: outcome.span,
        frames: outcome.frames,
        packets: flows.packets,
        bytes: outcome.wire_bytes,
        flows: flows.flows,
        flow_rows: flows.rows,
        windows: outcome.windows,
        drops: drops.into_iter().filter(|(_, n)| *n > 0).collect(),
        decode_errors: rejects(RejectClass::Damaged)
            .chain(rejects(RejectClass::Unknown))
            .chain(rejects(RejectClass::CutShort))
            .collect(),
        limits,
        files: outcome.files.iter().map(file).filter(|file| !file.faults.is_empty()).collect(),
        ..RunStats::default()
    }
}

fn file(report: &FileReport) -> FileStats {
    let damage = report.faults.met().filter(|(kind, _)| kind.cost() == FaultCost::Damage);
    FileStats {
        path: report.path.to_string(),
        frames: report.frames,
        bytes: report.bytes,
        faults: damage.map(|(kind, n)| (kind.name(), n)).collect(),
        first_fault: report.first_fault.clone(),
    }
}

/// Adds one account to another.
fn add(sum: &mut RunStats, more: RunStats) {
    sum.span = match (sum.span, more.span) {
        (Some((first, last)), Some((begins, ends))) => Some((first.min(begins), last.max(ends))),
        (known, other) => known.or(other),
    };
    for (to, from) in [
        (&mut sum.frames, more.frames),
        (&mut sum.packets, more.packets),
        (&mut sum.bytes, more.bytes),
        (&mut sum.flows, more.flows),
        (&mut sum.flow_rows, more.flow_rows),
        (&mut sum.windows, more.windows),
    ] {
        *to = to.saturating_add(from);
    }
    for (to, from) in
        [(&mut sum.drops, more.drops), (&mut sum.decode_errors, more.decode_errors), (&mut sum.limits, more.limits)]
    {
        for (cause, n) in from {
            let known: &mut u64 = to.entry(cause).or_default();
            *known = known.saturating_add(n);
        }
    }
    sum.files.extend(more.files);
}
