//! Lane: frames of one source to the workers that own their address pairs.
//! In: bursts of a source. Out: batches and, through the window clock, marks on the workers' queues; gauges.
//! Bounds: one open batch a worker; batches are recycled. A full queue is waited on for a moment, then it is loss.
//! Time: frames' own; the steady clock says how long nothing came. No allocation a packet, no lock but at a window's end.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam::channel::{Receiver, SendTimeoutError, Sender};

use super::super::bundle::Bundle;
use super::super::reader::{CLOCK_STEP_BACK, shard};
use super::super::worker::Task;
use super::super::{Config, live};
use super::clock::{self, Stopped, WindowClock};
use super::gauges::{Control, Directive, Gauges, LaneGauges};
use crate::capture::frame::Frame;
use crate::capture::live::{Burst, KernelCounts, LiveSource};
use crate::packet::shard_addresses;
use crate::units::TimestampNs;

/// How long a lane waits for frames: it looks at its orders as often.
const WAIT: Duration = Duration::from_millis(50);
/// How often the kernel's counters are read and the steady clock is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a lane that stops goes on reading what is in its ring.
const DRAIN_MAX: Duration = Duration::from_millis(700);
/// How long nothing must come for the ring to be empty: longer than the kernel keeps a block open.
const DRAIN_QUIET: Duration = Duration::from_millis(250);

/// One source and what it fills.
pub(super) struct Lane<'a> {
    source: &'a mut LiveSource,
    filer: Filer<'a>,
    control: &'a Control,
    looked: Instant,
}

/// Where frames go.
struct Filer<'a> {
    index: usize,
    gauges: &'a LaneGauges,
    all: &'a Gauges,
    clock: &'a WindowClock,
    tasks: Vec<Sender<Task>>,
    free: Receiver<Bundle>,
    open: Vec<Bundle>,
    seed: u64,
    turn: u64,
    end: Option<TimestampNs>,
    latest: TimestampNs,
    seen: Seen,
    stopped: bool,
    patience: Duration,
}

/// Since the gauges were last written.
#[derive(Default)]
struct Seen {
    frames: u64,
    wire_bytes: u64,
}

/// A bundle of one: what is live shall not wait for company.
fn one_batch() -> Bundle {
    Bundle::new(Arc::default(), 1)
}

impl<'a> Lane<'a> {
    pub(super) fn new(
        index: usize,
        source: &'a mut LiveSource,
        config: &'a Config,
        (gauges, control, clock): (&'a Gauges, &'a Control, &'a WindowClock),
        tasks: Vec<Sender<Task>>,
        free: Receiver<Bundle>,
    ) -> Self {
        let open = tasks.iter().map(|_| one_batch()).collect();
        let filer = Filer {
            index,
            gauges: &gauges.lanes[index],
            all: gauges,
            clock,
            tasks,
            free,
            open,
            seed: config.seed,
            turn: 0,
            end: None,
            latest: TimestampNs::ZERO,
            seen: Seen::default(),
            stopped: false,
            patience: live::QUEUE_PATIENCE,
        };
        Self { source, filer, control, looked: Instant::now() }
    }

    /// Reads until told otherwise, or until nobody listens.
    pub(super) fn run(mut self) {
        while self.control.directive() == Directive::Run && !self.filer.stopped {
            self.round();
        }
        if self.control.directive() == Directive::Stop && !self.filer.stopped {
            self.drain();
        }
        self.look(clock::Lane::Busy);
        let _gone = self.filer.flush().and_then(|()| self.filer.clock.leave(&self.filer.tasks));
    }

    fn round(&mut self) -> usize {
        self.filer.begin();
        let filer = &mut self.filer;
        let burst = self.source.burst(WAIT, |frame| filer.take(frame));
        let frames = match burst {
            Burst::Frames(frames) => frames,
            Burst::Gone(_) => {
                filer.gauges.is_up.store(false, Relaxed);
                0
            }
            Burst::Back => {
                filer.gauges.is_up.store(true, Relaxed);
                filer.gauges.returns.fetch_add(1, Relaxed);
                0
            }
        };
        let how = if frames == 0 { clock::Lane::Idle } else { clock::Lane::Busy };
        if frames == 0 || self.looked.elapsed() >= LOOK_EVERY {
            self.look(how);
        }
        frames
    }

    /// The kernel's counters, the steady clock, and batches that wait for company.
    fn look(&mut self, how: clock::Lane) {
        self.looked = Instant::now();
        let counts = self.source.counts();
        self.filer.report(counts, how);
        let filer = &mut self.filer;
        let flushed = if how == clock::Lane::Idle { filer.flush() } else { Ok(()) };
        let looked = flushed.and_then(|()| filer.clock.look(filer.index, how, &filer.tasks));
        filer.stopped |= looked.is_err();
    }

    /// What is in the ring when the end is called still counts.
    fn drain(&mut self) {
        let (began, mut last) = (Instant::now(), Instant::now());
        while began.elapsed() < DRAIN_MAX && last.elapsed() < DRAIN_QUIET && !self.filer.stopped {
            if self.round() > 0 {
                last = Instant::now();
            }
        }
        let counts = self.source.counts();
        let unread = counts.received.saturating_sub(counts.ring_full).saturating_sub(self.source.frames());
        self.filer.gauges.unread.store(unread, Relaxed);
    }
}

impl Filer<'_> {
    /// Notices that another lane opened or closed a window.
    fn begin(&mut self) {
        let turn = self.clock.turn();
        if turn != self.turn {
            self.turn = turn;
            self.end = self.clock.end_for(self.index);
        }
    }

    #[inline]
    fn take(&mut self, frame: &Frame<'_>) {
        self.seen.frames += 1;
        self.seen.wire_bytes += u64::from(frame.wire_bytes);
        if self.latest == TimestampNs::ZERO {
            self.begin_at(frame.ts);
        }
        if self.end.is_none_or(|end| frame.ts >= end) || self.latest.since(frame.ts) > CLOCK_STEP_BACK {
            self.stopped |= self.cross(frame.ts).is_err();
        }
        self.latest = self.latest.max(frame.ts);
        let worker = match self.open.len() {
            1 => 0,
            workers => shard_addresses(frame.link, frame.bytes).map_or(0, |pair| shard(pair, self.seed, workers)),
        };
        self.open[worker].push(frame);
        if self.open[worker].is_full() {
            self.stopped |= self.send(worker).is_err();
        }
    }

    /// This lane's first frame, which may come into a window that another lane opened. One of a pipeline that was built anew
    /// over the same source is not the first.
    #[cold]
    fn begin_at(&mut self, ts: TimestampNs) {
        if self.gauges.first_ts_ns.load(Relaxed) == 0 {
            self.gauges.first_ts_ns.store(ts.0, Relaxed);
        }
    }

    /// The first frame of all, one past the window's end, or one of a clock that stepped far back.
    #[cold]
    fn cross(&mut self, ts: TimestampNs) -> Result<(), Stopped> {
        // What is counted by now belongs to the window that ends.
        self.note_frames();
        self.flush()?;
        if self.latest.since(ts) > CLOCK_STEP_BACK {
            self.latest = ts;
            self.clock.step(ts, &self.tasks)?;
        } else {
            self.clock.frame(self.index, ts, &self.tasks)?;
        }
        self.turn = self.clock.turn();
        self.end = self.clock.end_for(self.index);
        Ok(())
    }

    /// Sends what is open, whether full or not.
    fn flush(&mut self) -> Result<(), Stopped> {
        for worker in 0..self.tasks.len() {
            if !self.open[worker].is_empty() {
                self.send(worker)?;
            }
        }
        Ok(())
    }

    /// A batch to its worker; one that finds no place in time is lost, and counted.
    fn send(&mut self, worker: usize) -> Result<(), Stopped> {
        let next = self.free.try_recv().unwrap_or_else(|_| one_batch());
        let bundle = std::mem::replace(&mut self.open[worker], next);
        let count = bundle.frames() as u64;
        let task = Task::Frames { bundle, read_at: Instant::now() };
        match self.tasks[worker].send_timeout(task, self.patience) {
            Ok(()) => {
                self.all.workers[worker].frames.fetch_add(count, Relaxed);
                Ok(())
            }
            Err(SendTimeoutError::Timeout(_lost)) => {
                self.gauges.queue_full.fetch_add(count, Relaxed);
                Ok(())
            }
            Err(SendTimeoutError::Disconnected(_)) => Err(Stopped),
        }
    }

    fn note_frames(&mut self) -> u64 {
        let Seen { frames, wire_bytes } = std::mem::take(&mut self.seen);
        self.gauges.frames.fetch_add(frames, Relaxed);
        self.gauges.wire_bytes.fetch_add(wire_bytes, Relaxed);
        frames
    }

    fn report(&mut self, counts: KernelCounts, how: clock::Lane) {
        let frames = self.note_frames();
        let gauges = self.gauges;
        let is_losing = gauges.ring_full.swap(counts.ring_full, Relaxed) < counts.ring_full;
        self.patience = if is_losing { live::QUEUE_IMPATIENCE } else { live::QUEUE_PATIENCE };
        gauges.interface_lost.store(counts.interface, Relaxed);
        gauges.rounds.fetch_add(1, Relaxed);
        gauges.last_ts_ns.store(self.latest.0, Relaxed);
        if how == clock::Lane::Busy && frames > 0 {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let now_ns = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
            gauges.lag_ns.store(now_ns.saturating_sub(self.latest.0), Relaxed);
        }
        for (worker, tasks) in self.tasks.iter().enumerate() {
            self.all.workers[worker].queued.store(tasks.len() as u64, Relaxed);
        }
    }
}
