//! Live runs: one lane per interface or fanout queue, N workers, and the caller's thread, which merges and analyses.
//! In: open sources and a [`Control`]. Out: one [`ClosedWindow`] after the other with what was lost in it, then an
//! [`LiveOutcome`].
//! Bounds: [`QUEUE_BATCHES`] batches wait for a worker; a batch that finds no place within [`QUEUE_PATIENCE`] is dropped and
//! counted by frames. Meanwhile the kernel's ring takes packets in, and counts what it cannot; once it does, lanes wait no
//! longer than [`QUEUE_IMPATIENCE`], so that one slow worker does not cost the others their packets.
//! Time: windows close by packet time, or, where no packet says so, when their end has passed on a steady clock (`clock`).

mod clock;
mod gauges;
mod lane;

use std::time::{Duration, Instant};

use crossbeam::channel::{RecvTimeoutError, bounded};

use super::bundle::Bundle;
use super::worker::{Task, Totals, Worker};
use super::{ClosedWindow, Config, Quantiser, Reply, Shared, Spares, Waiting, merge_shares};
use crate::capture::live::LiveSource;

pub use gauges::{Control, Directive, Gauges, LaneGauges, Lost, WorkerGauges};

/// Batches that wait for one worker: 64 of 256 frames ride out some 10 ms of a stalled worker at a million packets a second.
pub const QUEUE_BATCHES: usize = 64;
/// How long a lane waits for a place in a queue before it drops a batch, while the kernel's ring takes packets in.
pub const QUEUE_PATIENCE: Duration = Duration::from_millis(200);
/// The same once the ring itself has begun to lose packets.
pub const QUEUE_IMPATIENCE: Duration = Duration::from_millis(1);
/// Windows that wait for the analysis, per worker.
const QUEUE_WINDOWS: usize = 4;
/// How often the caller's thread is called while nothing closes.
const TICK: Duration = Duration::from_millis(200);

/// The kinds of thread that a run starts, for whoever wants to confine them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads a source.
    Lane,
    /// Parses and counts.
    Worker,
}

/// What the caller hears of a run.
pub trait Listener {
    /// Why the caller stops.
    type Error;

    /// A window has closed; `lost` is what was lost since the one before.
    fn window(&mut self, window: ClosedWindow, lost: Lost) -> Result<(), Self::Error>;

    /// At least five times a second.
    fn tick(&mut self) -> Result<(), Self::Error>;
}

/// What a live run came to.
#[derive(Debug, Default)]
pub struct LiveOutcome {
    /// What workers counted.
    pub counted: Totals,
    /// Windows closed.
    pub windows: u64,
    /// Times that the capture clock stepped back so far that everything open was closed.
    pub clock_steps: u64,
}

/// Runs until the control says otherwise. The listener is called on this thread, `confine` first on every new one.
pub fn run<Q: Quantiser, L: Listener>(
    sources: &mut [LiveSource],
    config: &Config,
    shared: Shared<'_, Q>,
    (gauges, control): (&Gauges, &Control),
    confine: &(dyn Fn(Role) + Sync),
    listener: &mut L,
) -> Result<LiveOutcome, L::Error> {
    let workers = config.workers.max(1);
    let (reply_to, replies) = bounded(workers * QUEUE_WINDOWS);
    let (free_to, free) = bounded::<Bundle>(workers * QUEUE_BATCHES);
    let (spare_to, spare) = bounded(workers);
    let clock = clock::WindowClock::new(config.window, sources.len());
    let clock = &clock;
    std::thread::scope(|scope| {
        let mut tasks = Vec::with_capacity(workers);
        for index in 0..workers {
            let (task_to, task) = bounded::<Task>(QUEUE_BATCHES);
            tasks.push(task_to);
            let (reply_to, free_to, spare) = (reply_to.clone(), free_to.clone(), spare.clone());
            let started = std::thread::Builder::new().name(format!("worker-{index}"));
            let work = move || {
                let worker = Worker::new(index, config, shared, spare);
                confine(Role::Worker);
                worker.run(&task, &free_to, &reply_to);
            };
            started.spawn_scoped(scope, work).expect("the system starts a thread");
        }
        drop((reply_to, free_to, spare));
        for (index, source) in sources.iter_mut().enumerate() {
            let lane = lane::Lane::new(index, source, config, (gauges, control, clock), tasks.clone(), free.clone());
            let started = std::thread::Builder::new().name(format!("lane-{index}"));
            let read = move || {
                confine(Role::Lane);
                lane.run();
            };
            started.spawn_scoped(scope, read).expect("the system starts a thread");
        }
        drop((tasks, free));
        let merged = listen(&replies, config, &Spares(spare_to), gauges, listener);
        if merged.is_err() {
            control.direct(Directive::Stop);
        }
        // Workers that wait to hand on a window see the channel closed and end; so do the lanes before them.
        drop(replies);
        let counted = merged?;
        let (windows, clock_steps) = clock.account();
        Ok(LiveOutcome { counted, windows, clock_steps })
    })
}

/// Puts the workers' shares of each window together, and hands them on in window order.
fn listen<L: Listener>(
    replies: &crossbeam::channel::Receiver<Reply>,
    config: &Config,
    spares: &Spares,
    gauges: &Gauges,
    listener: &mut L,
) -> Result<Totals, L::Error> {
    let workers = config.workers.max(1);
    let mut waiting = Waiting::default();
    let mut totals = Totals::default();
    let mut lost_before = gauges.lost();
    let mut ticked = Instant::now();
    loop {
        match replies.recv_timeout(TICK) {
            Ok(Reply::End(of_worker)) => totals.merge(&of_worker),
            // Nobody wants rows of a run without an end.
            Ok(Reply::Rows { .. }) => {}
            Ok(Reply::Window { worker, number, summary, so_far }) => {
                if let Some(shares) = waiting.take((worker, workers), number, (summary, so_far)) {
                    let lost = gauges.lost();
                    let window = merge_shares(number, shares.into_iter(), config, spares);
                    listener.window(window, lost.since(&lost_before))?;
                    lost_before = lost;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(totals),
        }
        if ticked.elapsed() >= TICK {
            listener.tick()?;
            ticked = Instant::now();
        }
    }
}
