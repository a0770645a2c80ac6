//! Outlets: where news goes: standard output or a file, syslog, a webhook. Each has a thread and a queue of its own.
//! In: bytes, one piece of news each. Out: the same at their place, in order, late if it must be.
//! Bounds: [`QUEUE_MAX`] pieces a queue; what finds no place is dropped and counted. Nothing here ever makes the capture wait.

pub mod file;
pub mod syslog;
pub mod webhook;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};

/// Pieces of news that wait for one outlet.
const QUEUE_MAX: usize = 1_024;
/// Complaints that wait to be said.
const COMPLAINTS_MAX: usize = 64;
/// How often an outlet without work looks at its orders.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// First pause after a failure; doubled with each further one.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How a piece of news failed.
#[derive(Debug)]
pub enum Failure {
    /// It may work later.
    Later(String),
    /// It will never work: the piece is dropped.
    Never(String),
}

/// What brings bytes to their place.
pub trait Carrier: Send + 'static {
    /// Brings one piece there, whole.
    fn carry(&mut self, bytes: &[u8]) -> Result<(), Failure>;

    /// Opens its place anew, as after a rotation.
    fn reopen(&mut self) -> Result<(), String> {
        Ok(())
    }

    /// Attempts after which a piece is dropped; none for as long as it takes.
    fn attempts_max(&self) -> Option<u32>;
}

/// What an outlet has done.
#[derive(Debug, Default)]
pub struct OutletCounts {
    /// Pieces that arrived.
    pub carried: AtomicU64,
    /// Pieces dropped.
    pub dropped: AtomicU64,
    /// Attempts that failed.
    pub failures: AtomicU64,
}

/// An outlet that is open.
pub struct Outlet {
    name: &'static str,
    queue: Sender<Vec<u8>>,
    orders: Arc<Orders>,
    counts: Arc<OutletCounts>,
    done: Receiver<()>,
}

/// What an outlet is told past its queue: a rotation may be what makes room on a full disk, and never waits behind it.
#[derive(Debug, Default)]
struct Orders {
    reopen: AtomicBool,
    close: AtomicBool,
}

/// The way complaints take to whoever may speak.
#[derive(Clone, Debug)]
pub struct Complaints(Sender<String>);

impl Complaints {
    /// The way, and its end.
    pub fn new() -> (Self, Receiver<String>) {
        let (to, from) = bounded(COMPLAINTS_MAX);
        (Self(to), from)
    }

    /// Says something, if there is room.
    pub fn say(&self, text: String) {
        let _full = self.0.try_send(text);
    }
}

impl Outlet {
    /// Starts the outlet's thread.
    pub fn start(name: &'static str, carrier: impl Carrier, complaints: &Complaints) -> std::io::Result<Self> {
        let (queue, parcels) = bounded(QUEUE_MAX);
        let (done_to, done) = bounded(1);
        let counts = Arc::new(OutletCounts::default());
        let orders = Arc::new(Orders::default());
        let postman = Postman {
            name,
            carrier,
            counts: Arc::clone(&counts),
            orders: Arc::clone(&orders),
            complaints: complaints.clone(),
            is_failing: false,
        };
        std::thread::Builder::new().name(format!("out-{name}")).spawn(move || {
            postman.run(&parcels);
            let _nobody = done_to.send(());
        })?;
        Ok(Self { name, queue, orders, counts, done })
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What it has done.
    pub fn counts(&self) -> &Arc<OutletCounts> {
        &self.counts
    }

    /// Takes a piece of news, or counts it as dropped.
    pub fn send(&self, bytes: Vec<u8>) {
        if self.queue.try_send(bytes).is_err() {
            self.counts.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Asks for its place to be opened anew.
    pub fn reopen(&self) {
        self.orders.reopen.store(true, Relaxed);
    }

    /// Brings out what waits, no later than `deadline`; whether all of it went.
    pub fn close(self, deadline: Instant) -> bool {
        self.orders.close.store(true, Relaxed);
        drop(self.queue);
        self.done.recv_deadline(deadline).is_ok()
    }
}

struct Postman<C> {
    name: &'static str,
    carrier: C,
    counts: Arc<OutletCounts>,
    orders: Arc<Orders>,
    complaints: Complaints,
    is_failing: bool,
}

impl<C: Carrier> Postman<C> {
    fn run(mut self, parcels: &Receiver<Vec<u8>>) {
        loop {
            let parcel = parcels.recv_timeout(LOOK_EVERY);
            self.heed_reopen();
            match parcel {
                Ok(bytes) => self.bring(&bytes),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn bring(&mut self, bytes: &[u8]) {
        let mut pause = PAUSE_MIN;
        for attempt in 1.. {
            let (is_last, words) = match self.carrier.carry(bytes) {
                Ok(()) => {
                    self.counts.carried.fetch_add(1, Relaxed);
                    if std::mem::take(&mut self.is_failing) {
                        self.complaints.say(format!("{}: works again", self.name));
                    }
                    return;
                }
                Err(Failure::Never(words)) => (true, words),
                Err(Failure::Later(words)) => (self.carrier.attempts_max().is_some_and(|most| attempt >= most), words),
            };
            self.counts.failures.fetch_add(1, Relaxed);
            // Said once, not for every piece.
            if !std::mem::replace(&mut self.is_failing, true) {
                self.complaints.say(format!("{}: {words}; the capture goes on", self.name));
            }
            if is_last || !self.wait(pause) {
                self.counts.dropped.fetch_add(1, Relaxed);
                return;
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Waits before another attempt; false when there is no time left for one.
    fn wait(&mut self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        while Instant::now() < until {
            if self.orders.close.load(Relaxed) {
                return false;
            }
            if self.heed_reopen() {
                return true;
            }
            std::thread::sleep(LOOK_EVERY.min(pause));
        }
        true
    }

    /// Opens its place anew where that was asked for.
    fn heed_reopen(&mut self) -> bool {
        if !self.orders.reopen.swap(false, Relaxed) {
            return false;
        }
        if let Err(words) = self.carrier.reopen() {
            self.complaints.say(format!("{}: cannot be opened anew: {words}; the old one stays in use", self.name));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Fails as often as told, then keeps what comes.
    struct Stubborn {
        failures: u32,
        kept: Arc<Mutex<Vec<Vec<u8>>>>,
        attempts_max: Option<u32>,
    }

    impl Carrier for Stubborn {
        fn carry(&mut self, bytes: &[u8]) -> Result<(), Failure> {
            if self.failures > 0 {
                self.failures -= 1;
                return Err(Failure::Later("no".into()));
            }
            self.kept.lock().expect("no panic").push(bytes.to_vec());
            Ok(())
        }

        fn attempts_max(&self) -> Option<u32> {
            self.attempts_max
        }
    }

    #[test]
    fn what_fails_is_tried_again_and_then_dropped() {
        for (name, failures, attempts_max, carried, dropped) in
            [("at once", 0, Some(3), 2, 0), ("at the second attempt", 1, Some(3), 2, 0), ("never", 9, Some(1), 0, 2)]
        {
            let (complaints, heard) = Complaints::new();
            let kept = Arc::default();
            let carrier = Stubborn { failures, kept: Arc::clone(&kept), attempts_max };
            let outlet = Outlet::start("test", carrier, &complaints).expect("a thread");
            outlet.send(b"one".to_vec());
            outlet.send(b"two".to_vec());
            let counts = Arc::clone(outlet.counts());
            let deadline = Instant::now() + Duration::from_secs(20);
            while counts.carried.load(Relaxed) + counts.dropped.load(Relaxed) < 2 && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
            assert!(outlet.close(deadline), "{name}");
            assert_eq!((counts.carried.load(Relaxed), counts.dropped.load(Relaxed)), (carried, dropped), "{name}");
            assert_eq!(kept.lock().expect("no panic").len() as u64, carried, "{name}");
            assert_eq!(heard.try_iter().next().is_some(), failures > 0, "{name}");
        }
    }
}
