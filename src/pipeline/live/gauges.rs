//! Gauges: what a live run shows at every moment, and how it is told to end.
//! In: counts from lanes. Out: the same to whoever looks: the status line, the metrics, the terminal view.
//! Every number has one writer, so relaxed stores are enough. Nothing here reaches a finding but what was lost.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};

/// What one lane counts.
#[derive(Debug, Default)]
pub struct LaneGauges {
    /// The interface.
    pub interface: String,
    /// Frames taken in, those that a full queue then lost included.
    pub frames: AtomicU64,
    /// Their bytes on the wire.
    pub wire_bytes: AtomicU64,
    /// Packets that the kernel lost because its ring was full.
    pub ring_full: AtomicU64,
    /// Packets that the interface lost, as far as it tells.
    pub interface_lost: AtomicU64,
    /// Frames lost because a worker's queue was full.
    pub queue_full: AtomicU64,
    /// Packets that were still in the ring at the end.
    pub unread: AtomicU64,
    /// Time of the first frame, nanoseconds since 1970; zero before it.
    pub first_ts_ns: AtomicU64,
    /// Time of the last frame, nanoseconds since 1970.
    pub last_ts_ns: AtomicU64,
    /// Nanoseconds that the last frame was old when it was read.
    pub lag_ns: AtomicU64,
    /// Whether the interface is there.
    pub is_up: AtomicBool,
    /// Times that it came back.
    pub returns: AtomicU64,
    /// Rounds of the lane's loop: it stands still when the lane does.
    pub rounds: AtomicU64,
}

/// What is seen of one worker from outside.
#[derive(Debug, Default)]
pub struct WorkerGauges {
    /// Batches that wait for it.
    pub queued: AtomicU64,
    /// Frames sent to it.
    pub frames: AtomicU64,
}

/// All of a run.
#[derive(Debug, Default)]
pub struct Gauges {
    /// By lane.
    pub lanes: Vec<LaneGauges>,
    /// By worker.
    pub workers: Vec<WorkerGauges>,
}

/// Frames seen and packets lost, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Frames taken in.
    pub frames: u64,
    /// Their bytes on the wire.
    pub wire_bytes: u64,
    /// Lost by the kernel.
    pub ring_full: u64,
    /// Lost by the interface.
    pub interface: u64,
    /// Lost between lane and worker; they are among `frames`.
    pub queue_full: u64,
    /// Left in the ring at the end.
    pub unread: u64,
}

impl Gauges {
    /// For these interfaces and so many workers.
    pub fn new(interfaces: impl IntoIterator<Item = String>, workers: usize) -> Self {
        let lane = |interface| LaneGauges { interface, is_up: AtomicBool::new(true), ..LaneGauges::default() };
        Self {
            lanes: interfaces.into_iter().map(lane).collect(),
            workers: (0..workers).map(|_| WorkerGauges::default()).collect(),
        }
    }

    /// What was seen and lost so far, over all lanes.
    pub fn lost(&self) -> Lost {
        self.lanes.iter().map(LaneGauges::lost).fold(Lost::default(), |a, b| Lost {
            frames: a.frames + b.frames,
            wire_bytes: a.wire_bytes + b.wire_bytes,
            ring_full: a.ring_full + b.ring_full,
            interface: a.interface + b.interface,
            queue_full: a.queue_full + b.queue_full,
            unread: a.unread + b.unread,
        })
    }
}

impl LaneGauges {
    /// What it saw and lost so far.
    pub fn lost(&self) -> Lost {
        Lost {
            frames: self.frames.load(Relaxed),
            wire_bytes: self.wire_bytes.load(Relaxed),
            ring_full: self.ring_full.load(Relaxed),
            interface: self.interface_lost.load(Relaxed),
            queue_full: self.queue_full.load(Relaxed),
            unread: self.unread.load(Relaxed),
        }
    }
}

impl Lost {
    /// What was added since an earlier look.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            frames: self.frames.saturating_sub(earlier.frames),
            wire_bytes: self.wire_bytes.saturating_sub(earlier.wire_bytes),
            ring_full: self.ring_full.saturating_sub(earlier.ring_full),
            interface: self.interface.saturating_sub(earlier.interface),
            queue_full: self.queue_full.saturating_sub(earlier.queue_full),
            unread: self.unread.saturating_sub(earlier.unread),
        }
    }

    /// The causes with their counts, in a fixed order.
    pub fn by_cause(&self) -> [(&'static str, u64); 4] {
        [
            ("kernel-ring-full", self.ring_full),
            ("interface", self.interface),
            ("worker-queue-full", self.queue_full),
            ("unread-at-the-end", self.unread),
        ]
    }

    /// All causes together.
    pub fn total(&self) -> u64 {
        self.by_cause().iter().map(|(_, n)| n).sum()
    }

    /// The part of what passed that was lost, 0 to 1.
    pub fn share(&self) -> f64 {
        let passed = self.frames + self.ring_full + self.interface + self.unread;
        if passed == 0 { 0.0 } else { self.total() as f64 / passed as f64 }
    }
}

/// What a run is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directive {
    /// Go on.
    Run,
    /// Read what is in the rings, close and end.
    Stop,
    /// Close and end; the same sources go on under another setting.
    Rebuild,
}

/// How a run is told to end.
#[derive(Debug, Default)]
pub struct Control(AtomicU8);

impl Control {
    /// What is to be done now.
    pub fn directive(&self) -> Directive {
        match self.0.load(Relaxed) {
            0 => Directive::Run,
            1 => Directive::Rebuild,
            _ => Directive::Stop,
        }
    }

    /// Says what is to be done; a stop is never taken back by anything but a run begun anew.
    pub fn direct(&self, directive: Directive) {
        match directive {
            Directive::Run => self.0.store(0, Relaxed),
            Directive::Rebuild => _ = self.0.fetch_max(1, Relaxed),
            Directive::Stop => _ = self.0.fetch_max(2, Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_counts_what_never_came() {
        let table = [
            ("nothing", Lost::default(), 0.0),
            ("all seen", Lost { frames: 10, ..Lost::default() }, 0.0),
            ("ring", Lost { frames: 75, ring_full: 20, interface: 5, ..Lost::default() }, 0.25),
            ("queue", Lost { frames: 100, queue_full: 50, ..Lost::default() }, 0.5),
        ];
        for (name, lost, wanted) in table {
            assert!((lost.share() - wanted).abs() < 1e-12, "{name}");
        }
    }

    #[test]
    fn a_stop_stays_a_stop() {
        let control = Control::default();
        assert_eq!(control.directive(), Directive::Run);
        control.direct(Directive::Rebuild);
        assert_eq!(control.directive(), Directive::Rebuild);
        control.direct(Directive::Stop);
        control.direct(Directive::Rebuild);
        assert_eq!(control.directive(), Directive::Stop);
    }
}
