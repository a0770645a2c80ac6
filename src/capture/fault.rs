//! Faults: what is wrong with a capture, counted per file.
//! In: what the readers meet. Out: counts by kind, the first fault in words, a report per file.
//! Bounds: one array of counters and one sentence a file, however damaged it is.
//! Not here: files that cannot be read at all (`error`).

use std::fmt;

use crate::units::{DurationNs, TimestampNs};

use super::input::InputPath;
use super::sniff::Format;

/// A step back of the capture's clock beyond this is a jump: queues of a network card reorder by milliseconds, a clock
/// that is set anew steps by seconds.
pub const CLOCK_STEP_TOLERATED: DurationNs = DurationNs::from_secs(1);

/// What can be wrong inside a capture. Its order is the order of every output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum FaultKind {
    /// The file ends inside a record or block header.
    HeaderCut,
    /// The file ends inside a record or block.
    RecordCut,
    /// A record says that it holds more than [`super::input::FRAME_BYTES_MAX`].
    RecordLength,
    /// A record header of zeros, as a crash leaves them in a file that was allocated beforehand.
    ZeroFilled,
    /// A block is shorter than its fixed fields, longer than [`super::input::BLOCK_BYTES_MAX`] or no multiple of four.
    BlockLength,
    /// The length at a block's end differs from that at its start.
    BlockTrailer,
    /// A packet block whose packet does not fit in it.
    BlockBody,
    /// A packet block of an interface that the section did not describe.
    InterfaceUnknown,
    /// A section of a version that is not understood; its blocks are passed over.
    SectionVersion,
    /// The compressed stream is corrupt.
    StreamCorrupt,
    /// The compressed stream ends early.
    StreamCut,
    /// The operating system failed to read on.
    ReadFailed,
    /// The captured length exceeds the length on the wire, which is then taken to be the captured one.
    CapturedBeyondWire,
    /// The fraction of a timestamp is a second or more; the last nanosecond of its second is taken.
    TimestampFraction,
    /// A packet block that has no timestamp; that of the frame before is taken.
    TimestampMissing,
    /// The clock jumped back by more than [`CLOCK_STEP_TOLERATED`].
    ClockJump,
    /// The clock stepped back by at most [`CLOCK_STEP_TOLERATED`].
    ClockStep,
    /// Another savefile begins inside this one, as when two were joined with `cat`.
    FilesJoined,
}

/// What a fault costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultCost {
    /// Bytes or frames are lost, or their times cannot be trusted: the input was damaged.
    Damage,
    /// Nothing is lost: it is said, and that is all.
    Oddity,
}

impl FaultKind {
    /// All kinds, in output order.
    pub const ALL: [Self; 18] = [
        Self::HeaderCut,
        Self::RecordCut,
        Self::RecordLength,
        Self::ZeroFilled,
        Self::BlockLength,
        Self::BlockTrailer,
        Self::BlockBody,
        Self::InterfaceUnknown,
        Self::SectionVersion,
        Self::StreamCorrupt,
        Self::StreamCut,
        Self::ReadFailed,
        Self::CapturedBeyondWire,
        Self::TimestampFraction,
        Self::TimestampMissing,
        Self::ClockJump,
        Self::ClockStep,
        Self::FilesJoined,
    ];

    /// The name in `stats`: snake case, stable.
    pub fn name(self) -> &'static str {
        match self {
            Self::HeaderCut => "header_cut",
            Self::RecordCut => "record_cut",
            Self::RecordLength => "record_length",
            Self::ZeroFilled => "zero_filled",
            Self::BlockLength => "block_length",
            Self::BlockTrailer => "block_trailer",
            Self::BlockBody => "block_body",
            Self::InterfaceUnknown => "interface_unknown",
            Self::SectionVersion => "section_version",
            Self::StreamCorrupt => "stream_corrupt",
            Self::StreamCut => "stream_cut",
            Self::ReadFailed => "read_failed",
            Self::CapturedBeyondWire => "captured_beyond_wire",
            Self::TimestampFraction => "timestamp_fraction",
            Self::TimestampMissing => "timestamp_missing",
            Self::ClockJump => "clock_jump",
            Self::ClockStep => "clock_step",
            Self::FilesJoined => "files_joined",
        }
    }

    /// Whether the fault means that part of the input was damaged or lost (exit status 4).
    pub fn cost(self) -> FaultCost {
        match self {
            Self::CapturedBeyondWire | Self::TimestampMissing | Self::ClockStep | Self::FilesJoined => {
                FaultCost::Oddity
            }
            _ => FaultCost::Damage,
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Faults by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts {
    counts: [u64; FaultKind::ALL.len()],
}

impl FaultCounts {
    /// How often a kind was met.
    pub fn of(&self, kind: FaultKind) -> u64 {
        self.counts[kind as usize]
    }

    /// The kinds that were met, in output order.
    pub fn met(&self) -> impl Iterator<Item = (FaultKind, u64)> + '_ {
        FaultKind::ALL.into_iter().map(|kind| (kind, self.of(kind))).filter(|&(_, count)| count > 0)
    }

    /// Whether part of the input was damaged or lost.
    pub fn any_damage(&self) -> bool {
        self.met().any(|(kind, _)| kind.cost() == FaultCost::Damage)
    }

    /// Adds the counts of another file.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(other.counts) {
            *mine = mine.saturating_add(theirs);
        }
    }

    pub(super) fn add(&mut self, kind: FaultKind) {
        let count = &mut self.counts[kind as usize];
        *count = count.saturating_add(1);
    }
}

/// What was read of one file. Final once the source has ended; a snapshot before.
#[derive(Clone, Debug)]
pub struct FileReport {
    /// Index in the order of the command line: `Frame::file`.
    pub file: u16,
    /// Where it was read from.
    pub path: InputPath,
    /// What it is.
    pub format: Format,
    /// Frames handed on.
    pub frames: u64,
    /// Captured bytes of those.
    pub bytes: u64,
    /// Bytes of the capture passed over because they made no sense. Bytes after a point at which a stream was given up
    /// are not counted: they were never read.
    pub bytes_skipped: u64,
    /// Frames that the capturing program itself says it lost (pcapng interface statistics and drop counts).
    pub frames_dropped_by_capture: u64,
    /// Earliest timestamp.
    pub ts_min: Option<TimestampNs>,
    /// Latest timestamp.
    pub ts_max: Option<TimestampNs>,
    /// Largest step back of the clock from one frame to the next.
    pub clock_step_max: DurationNs,
    /// Faults by kind.
    pub faults: FaultCounts,
    /// The first fault that cost something, else the first one: what, and at which offset of the (decompressed) capture.
    pub first_fault: Option<String>,
}

/// The running account of one file.
#[derive(Debug)]
pub(super) struct Tally {
    pub frames: u64,
    pub bytes: u64,
    pub bytes_skipped: u64,
    pub dropped: u64,
    pub ts_min: TimestampNs,
    pub ts_max: TimestampNs,
    pub ts_last: TimestampNs,
    pub clock_step_max: DurationNs,
    pub faults: FaultCounts,
    first_fault: Option<(FaultCost, String)>,
}

impl Tally {
    pub fn new() -> Self {
        Self {
            frames: 0,
            bytes: 0,
            bytes_skipped: 0,
            dropped: 0,
            ts_min: TimestampNs::MAX,
            ts_max: TimestampNs::ZERO,
            ts_last: TimestampNs::ZERO,
            clock_step_max: DurationNs::ZERO,
            faults: FaultCounts::default(),
            first_fault: None,
        }
    }

    /// Counts a fault; only the first of each cost is ever put into words.
    #[cold]
    pub fn fault(&mut self, kind: FaultKind, offset: u64, words: impl FnOnce() -> String) {
        self.faults.add(kind);
        let worse = match &self.first_fault {
            None => true,
            Some((FaultCost::Oddity, _)) => kind.cost() == FaultCost::Damage,
            Some((FaultCost::Damage, _)) => false,
        };
        if worse {
            self.first_fault = Some((kind.cost(), format!("{} at byte {offset}", words())));
        }
    }

    /// Counts a frame and watches the clock.
    #[inline]
    pub fn frame(&mut self, ts: TimestampNs, captured: u32, offset: u64) -> u64 {
        if ts < self.ts_last {
            self.clock_stepped(ts, offset);
        }
        self.ts_last = ts;
        self.ts_min = self.ts_min.min(ts);
        self.ts_max = self.ts_max.max(ts);
        self.frames += 1;
        self.bytes += u64::from(captured);
        self.frames
    }

    #[cold]
    fn clock_stepped(&mut self, ts: TimestampNs, offset: u64) {
        let step = self.ts_last.since(ts);
        self.clock_step_max = self.clock_step_max.max(step);
        let kind = match step > CLOCK_STEP_TOLERATED {
            true => FaultKind::ClockJump,
            false => FaultKind::ClockStep,
        };
        let frame = self.frames + 1;
        self.fault(kind, offset, || format!("the clock goes back by {:.6} s before frame {frame}", step.as_secs_f64()));
    }

    pub fn report(&self, file: u16, path: InputPath, format: Format) -> FileReport {
        let seen = self.frames > 0;
        FileReport {
            file,
            path,
            format,
            frames: self.frames,
            bytes: self.bytes,
            bytes_skipped: self.bytes_skipped,
            frames_dropped_by_capture: self.dropped,
            ts_min: seen.then_some(self.ts_min),
            ts_max: seen.then_some(self.ts_max),
            clock_step_max: self.clock_step_max,
            faults: self.faults,
            first_fault: self.first_fault.as_ref().map(|(_, words)| words.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_counter_and_name() {
        let mut counts = FaultCounts::default();
        for (i, kind) in FaultKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, i, "{kind}");
            counts.add(kind);
        }
        assert_eq!(counts.met().count(), FaultKind::ALL.len());
        let mut names = FaultKind::ALL.map(FaultKind::name);
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn the_first_damage_displaces_an_earlier_oddity_and_nothing_else() {
        let mut tally = Tally::new();
        tally.fault(FaultKind::ClockStep, 1, || "odd".into());
        tally.fault(FaultKind::RecordCut, 2, || "first".into());
        tally.fault(FaultKind::RecordCut, 3, || "second".into());
        let report = tally.report(0, InputPath::Stdin, Format::PCAP_PLAIN);
        assert_eq!(report.first_fault.as_deref(), Some("first at byte 2"));
        assert!(report.faults.any_damage());
    }

    #[test]
    fn small_and_large_steps_back_are_told_apart() {
        let mut tally = Tally::new();
        for secs in [10, 9, 20, 2] {
            tally.frame(TimestampNs(secs * 1_000_000_000), 0, 0);
        }
        assert_eq!((tally.faults.of(FaultKind::ClockStep), tally.faults.of(FaultKind::ClockJump)), (1, 1));
        assert_eq!(tally.clock_step_max, DurationNs::from_secs(18));
    }
}
