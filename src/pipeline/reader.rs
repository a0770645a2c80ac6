//! Reader: frames in time order from the captures to the worker that owns their address pair.
//! In: captures, a filter. Out: batches and window marks on the workers' queues.
//! Bounds: one open bundle a worker; bundles are recycled.
//! Time: a window closes when the first frame at or past its end is met. A clock that steps back by more than
//! [`CLOCK_STEP_BACK`] closes everything and starts anew, so that one wrong timestamp cannot hold all windows open.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crossbeam::channel::{Receiver, Sender};
use memmap2::Mmap;

use super::bundle::Bundle;
use super::worker::{Task, Totals};
use super::{BUNDLE_BATCHES, Config, FRAMES_A_PART, Outcome, Progress, RowsWanted};
use crate::capture::frame::{Frame, LinkType};
use crate::capture::{Captures, FileReport, Filter};
use crate::packet::shard_addresses;
use crate::population::Span;
use crate::units::{Address, DurationNs, TimestampNs};

/// A step back that no reordering explains.
pub(super) const CLOCK_STEP_BACK: DurationNs = DurationNs::from_secs(3600);
/// Frames between two looks at how far we are.
const PROGRESS_EVERY: u64 = 4096;

/// The reader's state.
pub(super) struct Reader<'a> {
    maps: Arc<[Mmap]>,
    config: &'a Config,
    tasks: Vec<Sender<Task>>,
    free: Receiver<Bundle>,
    open: Vec<Bundle>,
    progress: &'a Progress,
    filters: Vec<(LinkType, Option<Filter>)>,
    seen: Seen,
}

/// What the reader knows when it ends.
#[derive(Debug, Default)]
pub(super) struct Seen {
    files: Vec<FileReport>,
    frames: u64,
    wire_bytes: u64,
    filtered_out: u64,
    clock_steps: u64,
    windows: u64,
    span: Option<(TimestampNs, TimestampNs)>,
    latest: TimestampNs,
    window_end: Option<TimestampNs>,
    seconds: f64,
}

/// The workers are gone: whoever analyses has stopped the run.
struct Stopped;

impl<'a> Reader<'a> {
    pub(super) fn new(
        maps: Arc<[Mmap]>,
        config: &'a Config,
        tasks: Vec<Sender<Task>>,
        free: Receiver<Bundle>,
        progress: &'a Progress,
    ) -> Self {
        let open = tasks.iter().map(|_| Bundle::new(Arc::clone(&maps), BUNDLE_BATCHES)).collect();
        Self { maps, config, tasks, free, open, progress, filters: Vec::new(), seen: Seen::default() }
    }

    /// Reads to the end, or until the workers are gone.
    pub(super) fn run(mut self, mut captures: Captures) -> Seen {
        let began = Instant::now();
        // Whoever stopped the run knows why; here it only means that there is no more to do.
        let _stopped = self.read_all(&mut captures).and_then(|()| self.close_last());
        self.seen.files = captures.reports();
        self.seen.seconds = began.elapsed().as_secs_f64();
        self.seen
    }

    fn read_all(&mut self, captures: &mut Captures) -> Result<(), Stopped> {
        let workers = self.tasks.len();
        let mut count = 0_u64;
        while let Some(frame) = captures.next_frame() {
            count += 1;
            if self.leaves_out(&frame) {
                self.seen.filtered_out += 1;
                continue;
            }
            self.mark_time(frame.ts)?;
            self.seen.wire_bytes += u64::from(frame.wire_bytes);
            let worker = match workers {
                1 => 0,
                _ => shard_addresses(frame.link, frame.bytes).map_or(0, |pair| shard(pair, self.config.seed, workers)),
            };
            self.open[worker].push(&frame);
            if self.open[worker].is_full() {
                self.send(worker)?;
            }
            if count.is_multiple_of(FRAMES_A_PART) && self.config.rows == RowsWanted::All {
                self.mark(Task::HandOnRows)?;
            }
            if count.is_multiple_of(PROGRESS_EVERY) {
                self.progress.frames.store(count, Ordering::Relaxed);
                self.progress.bytes.store(captures.progress().bytes_read, Ordering::Relaxed);
            }
        }
        self.progress.frames.store(count, Ordering::Relaxed);
        self.progress.bytes.store(captures.progress().bytes_read, Ordering::Relaxed);
        self.seen.frames = count;
        Ok(())
    }

    /// Sends window marks where `ts` lies past the open window's end.
    fn mark_time(&mut self, ts: TimestampNs) -> Result<(), Stopped> {
        let seen = &mut self.seen;
        seen.span = Some(seen.span.map_or((ts, ts), |(first, last)| (first.min(ts), last.max(ts))));
        match seen.window_end {
            None => self.open_window(ts)?,
            Some(end) if ts >= end => {
                self.close(Task::CloseWindow { end })?;
                self.open_window(ts)?;
            }
            Some(_) if seen.latest.since(ts) > CLOCK_STEP_BACK => {
                seen.clock_steps += 1;
                seen.latest = ts;
                self.close(Task::CloseAll)?;
                self.open_window(ts)?;
            }
            Some(_) => {}
        }
        self.seen.latest = self.seen.latest.max(ts);
        Ok(())
    }

    fn close_last(&mut self) -> Result<(), Stopped> {
        match self.seen.window_end {
            Some(_) => self.close(Task::CloseAll),
            None => Ok(()),
        }
    }

    fn open_window(&mut self, ts: TimestampNs) -> Result<(), Stopped> {
        let start = ts.slot_start(self.config.window);
        let end = start.after(self.config.window);
        self.seen.window_end = Some(end);
        let span = Span::new(start, end);
        self.tasks.iter().try_for_each(|task| task.send(Task::Open { span }).map_err(|_| Stopped))
    }

    fn close(&mut self, mark: Task) -> Result<(), Stopped> {
        self.seen.windows += 1;
        self.mark(mark)
    }

    /// Sends what is open, then the mark, to every worker: all of them meet it at the same packet.
    fn mark(&mut self, mark: Task) -> Result<(), Stopped> {
        for worker in 0..self.tasks.len() {
            if !self.open[worker].is_empty() {
                self.send(worker)?;
            }
            self.tasks[worker].send(mark.again()).map_err(|_| Stopped)?;
        }
        Ok(())
    }

    fn send(&mut self, worker: usize) -> Result<(), Stopped> {
        let next = self.free.try_recv().unwrap_or_else(|_| Bundle::new(Arc::clone(&self.maps), BUNDLE_BATCHES));
        let bundle = std::mem::replace(&mut self.open[worker], next);
        self.tasks[worker].send(Task::Frames { bundle, read_at: Instant::now() }).map_err(|_| Stopped)
    }

    fn leaves_out(&mut self, frame: &Frame<'_>) -> bool {
        let Some(expression) = &self.config.filter else { return false };
        let at = self.filters.iter().position(|(link, _)| *link == frame.link).unwrap_or_else(|| {
            // A filter that cannot be compiled for a link type (say `ether host` on raw IP) matches nothing there.
            self.filters.push((frame.link, Filter::compile(expression, frame.link).ok()));
            self.filters.len() - 1
        });
        !self.filters[at].1.as_ref().is_some_and(|filter| filter.matches(frame))
    }
}

impl Seen {
    /// Puts the reader's and the workers' accounts together.
    pub(super) fn with(self, workers: Totals) -> Outcome {
        let mut timings = workers.timings;
        timings.read_seconds = self.seconds;
        Outcome {
            files: self.files,
            frames: self.frames,
            wire_bytes: self.wire_bytes,
            rejects: workers.rejects,
            flows: workers.flows,
            filtered_out: self.filtered_out,
            clock_steps: self.clock_steps,
            windows: self.windows,
            span: self.span,
            timings,
        }
    }
}

/// The worker of an address pair, the same for both directions: packets of a pair, their fragments and the flows that a
/// tunnel between them carries meet in one place.
pub(super) fn shard((a, b): (Address, Address), seed: u64, workers: usize) -> usize {
    let half = |address: Address| {
        let word = u128::from_be_bytes(address.0);
        (word as u64 ^ (word >> 64) as u64 ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    };
    let mixed = (half(a) ^ half(b)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    // Multiply-shift instead of a division: the high bits are the well-mixed ones.
    ((u128::from(mixed) * workers as u128) >> 64) as usize
}
