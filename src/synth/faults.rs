//! Faults: what a capture point does to honest traffic before it reaches the file.
//! In: frames in time order, settings written as `KIND=VALUE`. Out: frames in the order in which the file holds them.
//! Bounds: frames that wait for their turn, at most [`WAITING_MAX`]. A clock that steps moves only what the file says of time:
//! labels keep the true one. Not here: losses on the way, which senders mend (`town::loss`).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::dice::{Dice, Seeds, secs};
use super::write::{CaptureWriter, WriteError, Written};
use crate::units::{DurationNs, TimestampNs};

/// Frames that may wait; more pass at once.
const WAITING_MAX: usize = 4_096;
/// Mean length of a run of frames that a full buffer drops.
const RUN_MEAN: f64 = 12.0;

/// What can go wrong: name, what its value says, lowest and highest value.
pub const FAULTS: &[(&str, &str, f64, f64)] = &[
    ("loss", "share of TCP segments lost on the way and sent again", 0.0, 0.3),
    ("reorder", "share of frames that the capture point sees late, behind others", 0.0, 0.5),
    ("duplicate", "share of frames that it sees twice", 0.0, 0.5),
    ("capture-loss", "share of frames that it drops, in runs", 0.0, 0.9),
    ("clock-step", "seconds that its clock jumps, forth or back, in the middle of the capture", -3_600.0, 3_600.0),
    ("snap", "bytes of each frame that it keeps", 60.0, 65_535.0),
];

/// What goes wrong in one scenario.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Faults {
    pub(crate) loss: Option<f64>,
    reorder: f64,
    duplicate: f64,
    capture_loss: f64,
    clock_step_s: f64,
    snap: Option<u32>,
}

/// Why a fault was refused: what was written, and what would have been right.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("fault {text:?}: {wanted}")]
pub struct FaultError {
    /// What was written.
    pub text: String,
    /// What would have been right.
    pub wanted: String,
}

impl Faults {
    pub(crate) fn parse(texts: &[String]) -> Result<Self, FaultError> {
        let mut faults = Self::default();
        for text in texts {
            let refused = |wanted: String| FaultError { text: text.clone(), wanted };
            let known = || FAULTS.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(", ");
            let (name, value) = text
                .split_once('=')
                .ok_or_else(|| refused(format!("not of the form KIND=VALUE; kinds: {}", known())))?;
            let Some((_, _, low, high)) = FAULTS.iter().find(|(known, ..)| *known == name) else {
                return Err(refused(format!("unknown; known: {}", known())));
            };
            let number = value.trim_end_matches('s').parse::<f64>().ok().filter(|n| (*low..=*high).contains(n));
            let number = number.ok_or_else(|| refused(format!("a number between {low} and {high}")))?;
            match name {
                "loss" => faults.loss = Some(number),
                "reorder" => faults.reorder = number,
                "duplicate" => faults.duplicate = number,
                "capture-loss" => faults.capture_loss = number,
                "clock-step" => faults.clock_step_s = number,
                _ => faults.snap = Some(number as u32),
            }
        }
        Ok(faults)
    }
}

/// A frame that waits.
type Waiting = Reverse<(TimestampNs, u64, Box<[u8]>)>;

/// A capture with a capture point in front of it.
pub(crate) struct CapturePoint {
    out: CaptureWriter,
    faults: Faults,
    waiting: BinaryHeap<Waiting>,
    count: u64,
    /// Frames still to be dropped of a run.
    run_left: u64,
    step_at: TimestampNs,
    dice: Dice,
}

impl CapturePoint {
    pub(crate) fn new(out: CaptureWriter, faults: Faults, span: [TimestampNs; 2], seeds: &Seeds) -> Self {
        let mut dice = seeds.dice("faults", 0);
        let lasts_s = span[1].since(span[0]).as_secs_f64();
        let step_at = span[0].after(dice.secs_between(0.35 * lasts_s, 0.65 * lasts_s));
        Self { out, faults, waiting: BinaryHeap::new(), count: 0, run_left: 0, step_at, dice }
    }

    /// A frame passes.
    pub(crate) fn write(&mut self, at: TimestampNs, frame: &[u8]) -> Result<(), WriteError> {
        if self.faults == Faults::default() || self.is_only_loss() {
            return self.out.write(at, frame, frame.len());
        }
        while self.waiting.peek().is_some_and(|Reverse((due, ..))| *due <= at) {
            self.release()?;
        }
        if self.drops() {
            return Ok(());
        }
        if self.dice.chance(self.faults.duplicate) {
            let late = at.after(self.dice.secs_between(0.000_002, 0.000_05));
            self.hold(late, frame)?;
        }
        if self.dice.chance(self.faults.reorder) {
            let late = at.after(self.dice.secs_between(0.000_05, 0.003));
            return self.hold(late, frame);
        }
        self.keep(at, frame)
    }

    fn is_only_loss(&self) -> bool {
        self.faults == Faults { loss: self.faults.loss, ..Faults::default() }
    }

    fn drops(&mut self) -> bool {
        if self.run_left > 0 {
            self.run_left -= 1;
            return true;
        }
        let begins = self.faults.capture_loss / (RUN_MEAN * (1.0 - self.faults.capture_loss)).max(1e-9);
        let drops = self.faults.capture_loss > 0.0 && self.dice.chance(begins);
        if drops {
            self.run_left = self.dice.exponential(RUN_MEAN - 0.5) as u64;
        }
        drops
    }

    fn hold(&mut self, due: TimestampNs, frame: &[u8]) -> Result<(), WriteError> {
        if self.waiting.len() >= WAITING_MAX {
            self.release()?;
        }
        self.count += 1;
        self.waiting.push(Reverse((due, self.count, frame.into())));
        Ok(())
    }

    fn release(&mut self) -> Result<(), WriteError> {
        match self.waiting.pop() {
            Some(Reverse((due, _, frame))) => self.keep(due, &frame),
            None => Ok(()),
        }
    }

    fn keep(&mut self, at: TimestampNs, frame: &[u8]) -> Result<(), WriteError> {
        let step = DurationNs(secs(self.faults.clock_step_s.abs()).0);
        let said = match at >= self.step_at {
            true if self.faults.clock_step_s < 0.0 => at.before(step),
            true => at.after(step),
            false => at,
        };
        let kept = self.faults.snap.map_or(frame.len(), |snap| frame.len().min(snap as usize));
        self.out.write(said, &frame[..kept], frame.len())
    }

    /// Nothing more will pass.
    pub(crate) fn finish(mut self) -> Result<Written, WriteError> {
        while !self.waiting.is_empty() {
            self.release()?;
        }
        self.out.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(texts: &[&str]) -> Result<Faults, FaultError> {
        Faults::parse(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, wanted) in [
            ("loss", "KIND=VALUE"),
            ("fire=1", "unknown; known: loss, reorder"),
            ("loss=2", "between 0 and 0.3"),
            ("snap=10", "between 60 and 65535"),
            ("clock-step=soon", "a number"),
        ] {
            assert!(parse(&[text]).expect_err(text).wanted.contains(wanted), "{text}");
        }
        assert_eq!(parse(&["clock-step=-2s", "snap=96"]).map(|f| (f.clock_step_s, f.snap)), Ok((-2.0, Some(96))));
    }

    /// Times, kept lengths and first bytes of what comes out when a frame a millisecond goes in for `n` milliseconds.
    fn through(texts: &[&str], n: u64) -> Vec<(u64, u32, u32)> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.pcap");
        let out = CaptureWriter::create(&path).expect("a file");
        let span = [TimestampNs(1_000_000_000), TimestampNs(1_000_000_000 + n * 1_000_000)];
        let mut point = CapturePoint::new(out, parse(texts).expect("good"), span, &Seeds::new(3));
        for i in 0..n {
            let mut frame = [0; 200];
            frame[..8].copy_from_slice(&i.to_be_bytes());
            point.write(TimestampNs(1_000_000_000 + i * 1_000_000), &frame).expect("written");
        }
        point.finish().expect("written");
        let bytes = std::fs::read(&path).expect("the file");
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let (mut at, mut out) = (24, Vec::new());
        while at < bytes.len() {
            let number = u32::from_be_bytes([bytes[at + 20], bytes[at + 21], bytes[at + 22], bytes[at + 23]]);
            out.push((u64::from(word(at)) * 1_000_000_000 + u64::from(word(at + 4)), word(at + 8), number));
            at += 16 + word(at + 8) as usize;
        }
        out
    }

    #[test]
    fn each_fault_does_what_it_says() {
        let n = 20_000;
        let share = |count: usize| count as f64 / n as f64;
        let lost = share(n - through(&["capture-loss=0.1"], n as u64).len());
        assert!((0.07..0.13).contains(&lost), "{lost}");
        let twice = share(through(&["duplicate=0.1"], n as u64).len() - n);
        assert!((0.08..0.12).contains(&twice), "{twice}");
        let shuffled = through(&["reorder=0.1"], n as u64);
        let late = share(shuffled.windows(2).filter(|pair| pair[1].2 < pair[0].2).count());
        assert!(shuffled.len() == n && (0.02..0.12).contains(&late), "{late}");
        assert!(shuffled.is_sorted_by_key(|frame| frame.0), "times still run forward");
        let stepped = through(&["clock-step=-2"], n as u64);
        assert_eq!(stepped.windows(2).filter(|pair| pair[1].0 < pair[0].0).count(), 1);
        assert!(through(&["snap=96"], 10).iter().all(|frame| frame.1 == 96));
        assert_eq!(through(&["loss=0.01"], 10), through(&[], 10));
    }
}
