//! Window clock: lanes agree on where a window ends.
//! In: what each lane saw: a frame past the end, or the end passed on the steady clock. Out: marks to every worker.
//! Bounds: one open window. A lane takes the lock when it crosses an end and twenty times a second.
//! Time: a window closes when every lane has passed its end. One that has nothing to read passes it [`IDLE_LATENESS`]
//! after the end, one that reads frames of a clock that stepped back [`BUSY_LATENESS`] after it. "After the end" is told
//! by a steady clock from the window's first frame on, so a step of the capture clock moves no deadline. Frames that
//! come in later are counted in the window that is then open.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam::channel::Sender;

use super::super::worker::Task;
use crate::population::Span;
use crate::units::{DurationNs, TimestampNs};

/// From a window's end until a lane without frames has passed it: longer than the kernel keeps a block open.
const IDLE_LATENESS: Duration = Duration::from_millis(400);
/// The same for a lane that reads frames: within the two seconds of an alarm.
const BUSY_LATENESS: Duration = Duration::from_millis(1_400);

/// How a lane came to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// It has nothing to read.
    Idle,
    /// It reads frames.
    Busy,
}

/// The workers are gone.
#[derive(Debug)]
pub(super) struct Stopped;

/// The open window, shared by all lanes.
#[derive(Debug)]
pub(super) struct WindowClock {
    window: DurationNs,
    lanes: usize,
    /// Rises with every window opened or closed, so that lanes notice without the lock.
    turn: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: Option<Open>,
    left: usize,
    windows: u64,
    clock_steps: u64,
}

#[derive(Debug)]
struct Open {
    end: TimestampNs,
    /// The end on the steady clock.
    due: Instant,
    passed: Vec<bool>,
}

impl WindowClock {
    pub(super) fn new(window: DurationNs, lanes: usize) -> Self {
        Self { window, lanes, turn: AtomicU64::new(0), state: Mutex::default() }
    }

    /// Changes when the window did.
    pub(super) fn turn(&self) -> u64 {
        self.turn.load(Ordering::Acquire)
    }

    /// The open window's end, as a lane should watch for it: never, once that lane has passed it.
    pub(super) fn end_for(&self, lane: usize) -> Option<TimestampNs> {
        let state = self.lock();
        state.open.as_ref().map(|open| if open.passed[lane] { TimestampNs::MAX } else { open.end })
    }

    /// A lane has a frame of this time, which may be the first, or past the end.
    pub(super) fn frame(&self, lane: usize, ts: TimestampNs, tasks: &[Sender<Task>]) -> Result<(), Stopped> {
        let mut state = self.lock();
        if let Some(open) = &mut state.open {
            if ts < open.end {
                return Ok(());
            }
            open.passed[lane] = true;
            if !open.passed.iter().all(|passed| *passed) {
                return Ok(());
            }
            self.close(&mut state, tasks)?;
        }
        self.open(&mut state, ts, tasks)
    }

    /// A lane looks at the steady clock.
    pub(super) fn look(&self, lane: usize, how: Lane, tasks: &[Sender<Task>]) -> Result<(), Stopped> {
        let mut state = self.lock();
        let Some(open) = &mut state.open else { return Ok(()) };
        let lateness = if how == Lane::Idle { IDLE_LATENESS } else { BUSY_LATENESS };
        if Instant::now() < open.due + lateness {
            return Ok(());
        }
        open.passed[lane] = true;
        if open.passed.iter().all(|passed| *passed) { self.close(&mut state, tasks) } else { Ok(()) }
    }

    /// The capture clock stepped back: everything open ends.
    pub(super) fn step(&self, ts: TimestampNs, tasks: &[Sender<Task>]) -> Result<(), Stopped> {
        let mut state = self.lock();
        state.clock_steps += 1;
        if state.open.take().is_some() {
            state.windows += 1;
            mark(tasks, &Task::CloseAll)?;
        }
        self.open(&mut state, ts, tasks)
    }

    /// A lane ends; the last one closes what is open.
    pub(super) fn leave(&self, tasks: &[Sender<Task>]) -> Result<(), Stopped> {
        let mut state = self.lock();
        state.left += 1;
        if state.left < self.lanes || state.open.take().is_none() {
            return Ok(());
        }
        state.windows += 1;
        mark(tasks, &Task::CloseAll)
    }

    /// Windows closed, and steps back.
    pub(super) fn account(&self) -> (u64, u64) {
        let state = self.lock();
        (state.windows, state.clock_steps)
    }

    fn open(&self, state: &mut State, ts: TimestampNs, tasks: &[Sender<Task>]) -> Result<(), Stopped> {
        let start = ts.slot_start(self.window);
        let end = start.after(self.window);
        let due = Instant::now() + Duration::from_nanos(end.since(ts).0);
        state.open = Some(Open { end, due, passed: vec![false; self.lanes] });
        self.turn.fetch_add(1, Ordering::Release);
        mark(tasks, &Task::Open { span: Span::new(start, end) })
    }

    fn close(&self, state: &mut State, tasks: &[Sender<Task>]) -> Result<(), Stopped> {
        let Some(open) = state.open.take() else { return Ok(()) };
        state.windows += 1;
        self.turn.fetch_add(1, Ordering::Release);
        mark(tasks, &Task::CloseWindow { end: open.end })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A lane that panicked takes the run down; until then the state is as good as it was.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn mark(tasks: &[Sender<Task>], task: &Task) -> Result<(), Stopped> {
    tasks.iter().try_for_each(|to| to.send(task.again()).map_err(|_| Stopped))
}

#[cfg(test)]
mod tests {
    use crossbeam::channel::{Receiver, unbounded};

    use super::*;

    fn said(tasks: &Receiver<Task>) -> String {
        let letter = |task: Task| match task {
            Task::Open { .. } => 'O',
            Task::CloseWindow { .. } => 'C',
            Task::CloseAll => 'A',
            Task::HandOnRows => 'R',
            Task::Frames { .. } => 'F',
        };
        tasks.try_iter().map(letter).collect()
    }

    #[test]
    fn a_window_closes_when_the_last_lane_has_passed_it() {
        let (to, from) = unbounded();
        let tasks = [to];
        let clock = WindowClock::new(DurationNs::from_secs(10), 2);
        let at = |secs: u64| TimestampNs(1_000_000_000 * secs);
        clock.frame(0, at(101), &tasks).expect("open");
        clock.frame(1, at(105), &tasks).expect("inside");
        assert_eq!(said(&from), "O");
        clock.frame(0, at(111), &tasks).expect("past");
        assert_eq!(
            (said(&from).as_str(), clock.end_for(0), clock.end_for(1)),
            ("", Some(TimestampNs::MAX), Some(at(110)))
        );
        clock.frame(1, at(112), &tasks).expect("past");
        assert_eq!((said(&from).as_str(), clock.end_for(0)), ("CO", Some(at(120))));
        clock.step(at(3), &tasks).expect("back");
        assert_eq!((said(&from).as_str(), clock.end_for(1)), ("AO", Some(at(10))));
        clock.leave(&tasks).expect("one");
        assert_eq!(said(&from), "");
        clock.leave(&tasks).expect("both");
        assert_eq!((said(&from).as_str(), clock.account()), ("A", (3, 1)));
    }

    #[test]
    fn without_frames_the_steady_clock_closes() {
        let (to, from) = unbounded();
        let tasks = [to];
        let clock = WindowClock::new(DurationNs::from_millis(20), 1);
        clock.frame(0, TimestampNs(1_000_000_000_000), &tasks).expect("open");
        clock.look(0, Lane::Idle, &tasks).expect("early");
        assert_eq!(said(&from), "O");
        std::thread::sleep(IDLE_LATENESS + Duration::from_millis(30));
        clock.look(0, Lane::Busy, &tasks).expect("busy lanes wait longer");
        assert_eq!(said(&from), "");
        clock.look(0, Lane::Idle, &tasks).expect("due");
        assert_eq!((said(&from).as_str(), clock.end_for(0)), ("C", None));
    }
}
