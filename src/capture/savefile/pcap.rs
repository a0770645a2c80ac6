//! Classic savefiles: a header of 24 bytes, then records of 16 (or 24) and the frame.
//! In: an input behind which a pcap file lies. Out: frames; faults into the tally.
//! Bounds: a record of at most `FRAME_BYTES_MAX`. Source: draft-ietf-opsawg-pcap, and what libpcap does where files
//! break it. Not here: pcapng.

use crate::capture::error::OpenError;
use crate::capture::fault::{FaultKind, Tally};
use crate::capture::frame::LinkType;
use crate::capture::input::{FRAME_BYTES_MAX, Input, InputPath};
use crate::capture::sniff::{self, Container};
use crate::units::TimestampNs;

use super::{Head, Order, Step, resync};

pub(super) const FILE_HEADER_BYTES: usize = 24;
/// Fields of a record that every variant has.
pub(super) const RECORD_FIELDS_BYTES: usize = 16;

/// What a fraction of a second counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resolution {
    Micro,
    Nano,
}

/// Which of the two lengths of a record comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    /// Captured length first.
    Standard,
    /// Wire length first: before version 2.3, and AIX's 543.0.
    Swapped,
    /// Version 2.3 was written both ways: the smaller is the captured one.
    SmallerIsCaptured,
}

/// One record header, made sense of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub seconds: u32,
    pub fraction: u32,
    pub captured: u32,
    pub wire: u32,
}

/// Reads one savefile.
#[derive(Clone, Debug)]
pub(crate) struct PcapReader {
    order: Order,
    resolution: Resolution,
    lengths: Lengths,
    link: LinkType,
    snap_bytes: u32,
    /// 16, or 24 for the modified format of the Linux kernel patches of the 1990s (0xa1b2cd34).
    header_bytes: usize,
    started: Progress,
}

/// Whether the input stands before the file header or among records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    AtFileHeader,
    AtRecords,
}

impl PcapReader {
    pub fn open(head: &[u8], path: &InputPath) -> Result<Self, OpenError> {
        let Some(header) = head.first_chunk::<FILE_HEADER_BYTES>() else {
            return Err(OpenError::HeaderCut { path: path.clone(), bytes: head.len(), wanted: FILE_HEADER_BYTES });
        };
        Self::from_header(header).map_err(|(major, minor)| OpenError::Version {
            path: path.clone(),
            container: "pcap",
            major,
            minor,
            readable: "2.0 to 2.4",
            cure: "is the file header damaged? Otherwise rewrite it with the program that made it",
        })
    }

    /// From a header whose magic is known to be one of ours; else the version that is not understood.
    fn from_header(header: &[u8; FILE_HEADER_BYTES]) -> Result<Self, (u16, u16)> {
        let order = match header[0] {
            0xa1 => Order::Big,
            _ => Order::Little,
        };
        let [m0, m1, m2, m3, j0, j1, n0, n1, .., s0, s1, s2, s3, l0, l1, l2, l3] = *header;
        let (major, minor) = (order.u16([j0, j1]), order.u16([n0, n1]));
        let lengths = match (major, minor) {
            (2, 4) => Lengths::Standard,
            (2, 3) => Lengths::SmallerIsCaptured,
            (2, 0..=2) | (543, 0) => Lengths::Swapped,
            _ => return Err((major, minor)),
        };
        let (resolution, header_bytes) = match order.u32([m0, m1, m2, m3]) {
            0xa1b2_3c4d => (Resolution::Nano, 16),
            0xa1b2_cd34 => (Resolution::Micro, 24),
            _ => (Resolution::Micro, 16),
        };
        // The upper 16 bits say whether and how long a frame check sequence trails each frame.
        let link = LinkType(order.u32([l0, l1, l2, l3]) as u16);
        let snap_bytes = order.u32([s0, s1, s2, s3]);
        Ok(Self { order, resolution, lengths, link, snap_bytes, header_bytes, started: Progress::AtFileHeader })
    }

    #[inline]
    pub fn step<I: Input>(&mut self, input: &mut I, tally: &mut Tally) -> Step {
        if self.started == Progress::AtFileHeader {
            input.window(FILE_HEADER_BYTES);
            input.advance(FILE_HEADER_BYTES);
            self.started = Progress::AtRecords;
        }
        loop {
            let window = input.window(self.header_bytes);
            let Some(fields) = window.first_chunk::<RECORD_FIELDS_BYTES>() else { return Step::Dry };
            let record = self.record(fields);
            // Zero, or more than is believed: one comparison keeps both off the straight way.
            if record.captured.wrapping_sub(1) >= FRAME_BYTES_MAX as u32 || self.is_twice_odd(&record) {
                match self.strange(record, input, tally) {
                    Strange::Accept => {}
                    Strange::Again => continue,
                    Strange::Stop => return Step::Stopped,
                }
            }
            let captured = record.captured as usize;
            if input.window(self.header_bytes + captured).len() < self.header_bytes + captured {
                return Step::Dry;
            }
            let at = input.offset();
            let head = Head {
                ts: self.timestamp(&record, at, tally),
                offset: at + self.header_bytes as u64,
                number: 0,
                captured_bytes: record.captured,
                wire_bytes: self.wire_bytes(&record, at, tally),
                link: self.link,
            };
            input.advance(self.header_bytes + captured);
            let number = tally.frame(head.ts, record.captured, at);
            return Step::Frame(Head { number, ..head });
        }
    }

    pub fn close<I: Input>(&mut self, input: &mut I, tally: &mut Tally) {
        let at = input.offset();
        let window = input.window(self.header_bytes);
        let left = window.len();
        if left == 0 {
            return;
        }
        match window.first_chunk::<RECORD_FIELDS_BYTES>().filter(|_| left >= self.header_bytes) {
            None => {
                tally.fault(FaultKind::HeaderCut, at, || format!("the file ends after {left} bytes of a record header"))
            }
            Some(fields) => {
                let wanted = self.record(fields).captured;
                let frame = tally.frames + 1;
                tally.fault(FaultKind::RecordCut, at, || {
                    format!("the file ends inside frame {frame} of {wanted} bytes")
                });
            }
        }
        tally.bytes_skipped += input.skip(u64::MAX);
    }

    #[inline]
    pub(super) fn record(&self, fields: &[u8; RECORD_FIELDS_BYTES]) -> Record {
        let [t0, t1, t2, t3, f0, f1, f2, f3, c0, c1, c2, c3, w0, w1, w2, w3] = *fields;
        let (first, second) = (self.order.u32([c0, c1, c2, c3]), self.order.u32([w0, w1, w2, w3]));
        let (captured, wire) = match self.lengths {
            Lengths::Standard => (first, second),
            Lengths::Swapped => (second, first),
            Lengths::SmallerIsCaptured => (first.min(second), first.max(second)),
        };
        Record { seconds: self.order.u32([t0, t1, t2, t3]), fraction: self.order.u32([f0, f1, f2, f3]), captured, wire }
    }

    #[inline]
    fn fraction_max(&self) -> u32 {
        match self.resolution {
            Resolution::Micro => 999_999,
            Resolution::Nano => 999_999_999,
        }
    }

    /// One oddity can be the writer's; two in one record are damage.
    #[inline]
    fn is_twice_odd(&self, record: &Record) -> bool {
        record.captured > record.wire && record.fraction > self.fraction_max()
    }

    #[inline]
    fn timestamp(&self, record: &Record, at: u64, tally: &mut Tally) -> TimestampNs {
        let mut fraction = record.fraction;
        if fraction > self.fraction_max() {
            let frame = tally.frames + 1;
            tally.fault(FaultKind::TimestampFraction, at, || {
                format!(
                    "frame {frame} has {fraction} as the fraction of a second, at most {} is possible",
                    self.fraction_max()
                )
            });
            fraction = self.fraction_max();
        }
        let fraction_ns = match self.resolution {
            Resolution::Micro => u64::from(fraction) * 1000,
            Resolution::Nano => u64::from(fraction),
        };
        TimestampNs(u64::from(record.seconds) * 1_000_000_000 + fraction_ns)
    }

    #[inline]
    fn wire_bytes(&self, record: &Record, at: u64, tally: &mut Tally) -> u32 {
        if record.captured > record.wire {
            let (frame, Record { captured, wire, .. }) = (tally.frames + 1, *record);
            tally.fault(FaultKind::CapturedBeyondWire, at, || {
                format!("frame {frame} has {captured} bytes captured of {wire} on the wire")
            });
        }
        record.wire.max(record.captured)
    }

    /// A record that is empty, too long or odd in two ways.
    #[cold]
    fn strange<I: Input>(&mut self, record: Record, input: &mut I, tally: &mut Tally) -> Strange {
        let at = input.offset();
        let window = input.window(FILE_HEADER_BYTES);
        if let Some(joined) = self.joined(window) {
            tally.fault(FaultKind::FilesJoined, at, || "another savefile begins".to_owned());
            *self = joined;
            self.started = Progress::AtRecords;
            input.advance(FILE_HEADER_BYTES);
            return Strange::Again;
        }
        if record.captured == 0 {
            let zeros = record.seconds == 0 && record.fraction == 0 && record.wire == 0;
            if !zeros {
                return Strange::Accept;
            }
            tally.fault(FaultKind::ZeroFilled, at, || "a record header of zeros".to_owned());
        } else {
            let (frame, Record { captured, wire, fraction, .. }) = (tally.frames + 1, record);
            tally.fault(FaultKind::RecordLength, at, || {
                format!("frame {frame} claims {captured} bytes of {wire} and a fraction of {fraction}: no such frame")
            });
        }
        match resync::pcap(self, input, tally) {
            resync::Found::Record => Strange::Again,
            resync::Found::Nothing => Strange::Stop,
        }
    }

    /// The reader of a savefile that begins here, as after `cat a.pcap b.pcap`.
    fn joined(&self, window: &[u8]) -> Option<Self> {
        let header = window.first_chunk::<FILE_HEADER_BYTES>()?;
        let is_pcap = matches!(sniff::container(header), Ok(Container::Pcap));
        // The time zone has been zero in every file of the last decades: a guard against a clock that happens to show
        // the magic number (in 2055).
        let is_zone_zero = header[8..12] == [0; 4];
        (is_pcap && is_zone_zero).then(|| Self::from_header(header).ok()).flatten()
    }

    /// Length of a record's header.
    pub(super) fn header_bytes(&self) -> usize {
        self.header_bytes
    }

    /// Whether a record header can follow damage: stricter than what is accepted in sequence.
    pub(super) fn is_plausible(&self, record: &Record) -> bool {
        let captured_max = match self.snap_bytes {
            snap @ 1..=resync::CAPTURED_BYTES_MAX => snap,
            _ => resync::CAPTURED_BYTES_MAX,
        };
        (1..=captured_max).contains(&record.captured)
            && (record.captured..=FRAME_BYTES_MAX as u32).contains(&record.wire)
            && record.fraction <= self.fraction_max()
    }
}

/// What to do about a strange record.
enum Strange {
    Accept,
    Again,
    Stop,
}
