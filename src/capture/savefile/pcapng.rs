//! pcapng: sections of blocks, each with its type, its length at both ends, and between them fields and options.
//! In: an input behind which a pcapng file lies. Out: frames of enhanced, simple and obsolete packet blocks; faults.
//! Bounds: [`INTERFACES_MAX`] a section, packet blocks up to [`PACKET_BLOCK_BYTES_MAX`], others up to `BLOCK_BYTES_MAX`.
//! Source: draft-ietf-opsawg-pcapng. Not here: names, secrets and comments, which are passed over.

use crate::capture::error::OpenError;
use crate::capture::fault::{FaultKind, Tally};
use crate::capture::frame::LinkType;
use crate::capture::input::{BLOCK_BYTES_MAX, FRAME_BYTES_MAX, Input, InputPath, WINDOW_BYTES_MAX};
use crate::units::TimestampNs;

use super::{Head, Order, Step, resync};

/// Interfaces kept of a section; packets of later ones count as of an unknown interface.
const INTERFACES_MAX: usize = 1 << 16;
/// Longest packet block: the longest frame and 64 KiB of options.
const PACKET_BLOCK_BYTES_MAX: u32 = FRAME_BYTES_MAX as u32 + (64 << 10);
/// Type, length, length.
pub(super) const BLOCK_BYTES_MIN: usize = 12;
const SECTION_BYTES_MIN: usize = 28;

const SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
const INTERFACE: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const NAMES: u32 = 4;
const STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;
const SECRETS: u32 = 10;
/// Types that a search after damage believes; sections prove themselves by their byte-order magic.
pub(super) const KINDS_BELIEVED: &[u32] =
    &[INTERFACE, PACKET, SIMPLE_PACKET, NAMES, STATISTICS, ENHANCED_PACKET, SECRETS];

/// An interface of the current section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interface {
    link: LinkType,
    snap_bytes: u32,
    ticks: Ticks,
    offset_s: i64,
    /// Frames that the interface's statistics say were lost, as last told.
    dropped: u64,
}

/// How ticks become nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ticks {
    /// A tick is this many nanoseconds.
    Longer(u64),
    /// This many ticks are a nanosecond.
    Shorter(u64),
    /// 2 to this power of ticks are a second.
    Binary(u32),
}

impl Ticks {
    /// From the option `if_tsresol`.
    fn from_resolution(resolution: u8) -> Self {
        let exponent = u32::from(resolution & 0x7f);
        match (resolution & 0x80, exponent) {
            (0, 0..=9) => Self::Longer(10_u64.pow(9 - exponent)),
            // From 10^-29 s on, all ticks that 64 bits can count are less than a nanosecond together.
            (0, _) => 10_u64.checked_pow(exponent - 9).map_or(Self::Longer(0), Self::Shorter),
            _ => Self::Binary(exponent),
        }
    }

    #[inline]
    fn nanoseconds(self, ticks: u64) -> u64 {
        match self {
            Self::Longer(ns) => ticks.saturating_mul(ns),
            Self::Shorter(ticks_per_ns) => ticks / ticks_per_ns,
            Self::Binary(exponent) => {
                u64::try_from((u128::from(ticks) * 1_000_000_000) >> exponent).unwrap_or(u64::MAX)
            }
        }
    }
}

impl Interface {
    #[inline]
    fn timestamp(&self, ticks: u64) -> TimestampNs {
        let ns = self.ticks.nanoseconds(ticks);
        match self.offset_s {
            0 => TimestampNs(ns),
            offset => TimestampNs(ns.saturating_add_signed(offset.saturating_mul(1_000_000_000))),
        }
    }
}

/// Whether the blocks of the current section are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    Understood,
    PassedOver,
}

/// Reads one pcapng file.
#[derive(Debug)]
pub(crate) struct PcapngReader {
    order: Order,
    section: Section,
    interfaces: Vec<Interface>,
}

/// What became of a block.
enum Block {
    Frame(Head),
    /// It gave no frame; the input stands behind it.
    Passed,
    /// The input ends inside it; the input stands before it.
    Dry,
    /// It makes no sense; the fault is counted, the input stands before it.
    Broken,
}

/// The byte order of a section header, where one stands at the beginning of `bytes`.
pub(super) fn section_order(bytes: &[u8]) -> Option<Order> {
    match bytes {
        [0x0a, 0x0d, 0x0d, 0x0a, _, _, _, _, 0x1a, 0x2b, 0x3c, 0x4d, ..] => Some(Order::Big),
        [0x0a, 0x0d, 0x0d, 0x0a, _, _, _, _, 0x4d, 0x3c, 0x2b, 0x1a, ..] => Some(Order::Little),
        _ => None,
    }
}

/// Whether a block may have this length.
pub(super) fn is_block_length(total: u32) -> bool {
    total >= BLOCK_BYTES_MIN as u32 && total.is_multiple_of(4) && total <= BLOCK_BYTES_MAX
}

impl PcapngReader {
    /// Bytes of the first block that `open` looks at.
    pub const HEADER_BYTES: usize = SECTION_BYTES_MIN;

    pub fn open(head: &[u8], path: &InputPath) -> Result<Self, OpenError> {
        let path = || path.clone();
        if head.len() < SECTION_BYTES_MIN {
            return Err(OpenError::HeaderCut { path: path(), bytes: head.len(), wanted: SECTION_BYTES_MIN });
        }
        let broken = |what: &str| OpenError::SectionHeader { path: path(), what: what.to_owned() };
        let order = section_order(head).ok_or_else(|| broken("no byte-order magic"))?;
        let total = order.u32_at(head, 4).unwrap_or_default();
        if !is_block_length(total) || (total as usize) < SECTION_BYTES_MIN {
            return Err(broken(&format!("its length is {total}")));
        }
        let (major, minor) = (order.u16_at(head, 12).unwrap_or_default(), order.u16_at(head, 14).unwrap_or_default());
        if major != 1 {
            let cure = "convert it with `editcap -F pcap FILE OUT.pcap`";
            return Err(OpenError::Version { path: path(), container: "pcapng", major, minor, readable: "1.x", cure });
        }
        Ok(Self { order, section: Section::Understood, interfaces: Vec::new() })
    }

    #[inline]
    pub fn step<I: Input>(&mut self, input: &mut I, tally: &mut Tally) -> Step {
        loop {
            match self.block(input, tally) {
                Block::Frame(head) => return Step::Frame(head),
                Block::Passed => {}
                Block::Dry => return Step::Dry,
                Block::Broken => {
                    if resync::pcapng(self.order, input, tally) == resync::Found::Nothing {
                        return Step::Stopped;
                    }
                }
            }
        }
    }

    pub fn close<I: Input>(&mut self, input: &mut I, tally: &mut Tally) {
        let at = input.offset();
        let left = input.window(BLOCK_BYTES_MIN).len();
        let (kind, part) = match left {
            0 => return,
            1..BLOCK_BYTES_MIN => (FaultKind::HeaderCut, "the first bytes of a block"),
            _ => (FaultKind::RecordCut, "a block"),
        };
        let frames = tally.frames;
        tally.fault(kind, at, || format!("after frame {frames} the file ends inside {part}"));
        tally.bytes_skipped += input.skip(u64::MAX);
    }

    #[inline]
    fn block<I: Input>(&mut self, input: &mut I, tally: &mut Tally) -> Block {
        let Some(&[k0, k1, k2, k3, t0, t1, t2, t3]) = input.window(8).first_chunk() else { return Block::Dry };
        if [k0, k1, k2, k3] == SECTION {
            return self.section(input, tally);
        }
        let kind = self.order.u32([k0, k1, k2, k3]);
        let total = self.order.u32([t0, t1, t2, t3]);
        let is_packet = matches!(kind, ENHANCED_PACKET | PACKET | SIMPLE_PACKET);
        let total_max = if is_packet { PACKET_BLOCK_BYTES_MAX } else { BLOCK_BYTES_MAX };
        if !is_block_length(total) || total > total_max {
            let at = input.offset();
            tally.fault(FaultKind::BlockLength, at, || format!("a block of type {kind} claims {total} bytes"));
            return Block::Broken;
        }
        let length = total as usize;
        if length > WINDOW_BYTES_MAX {
            return self.long_block(kind, total, input, tally);
        }
        let at = input.offset();
        let Some(block) = input.window(length).get(..length) else { return Block::Dry };
        if self.order.u32_at(block, length - 4) != Some(total) {
            return self.two_lengths(kind, total, input, tally);
        }
        let frame = self.body(kind, block, at, tally);
        input.advance(length);
        frame.map_or(Block::Passed, Block::Frame)
    }

    /// A block whose lengths differ: with a sound block behind it only its last four bytes are wrong.
    #[cold]
    fn two_lengths<I: Input>(&mut self, kind: u32, total: u32, input: &mut I, tally: &mut Tally) -> Block {
        let (at, length) = (input.offset(), total as usize);
        tally.fault(FaultKind::BlockTrailer, at, || {
            format!("a block of type {kind} is {total} bytes long by its start and not by its end")
        });
        if !resync::block_follows(self.order, input, length) {
            return Block::Broken;
        }
        let Some(block) = input.window(length).get(..length) else { return Block::Dry };
        let frame = self.body(kind, block, at, tally);
        input.advance(length);
        frame.map_or(Block::Passed, Block::Frame)
    }

    /// What a whole block holds.
    #[inline]
    fn body(&mut self, kind: u32, block: &[u8], at: u64, tally: &mut Tally) -> Option<Head> {
        match (self.section, kind) {
            (Section::PassedOver, _) => None,
            (_, ENHANCED_PACKET | PACKET) => self.packet(kind, block, at, tally),
            (_, SIMPLE_PACKET) => self.simple_packet(block, at, tally),
            (_, INTERFACE) => self.interface(block, at, tally),
            (_, STATISTICS) => self.statistics(block, tally),
            _ => None,
        }
    }

    /// Enhanced packet blocks, and the obsolete ones, which differ in the interface field only.
    #[inline]
    fn packet(&mut self, kind: u32, block: &[u8], at: u64, tally: &mut Tally) -> Option<Head> {
        const DATA_AT: usize = 28;
        let Some(fields) = block.first_chunk::<DATA_AT>() else { return body_broken(kind, at, tally) };
        let [.., i0, i1, i2, i3, h0, h1, h2, h3, l0, l1, l2, l3, c0, c1, c2, c3, w0, w1, w2, w3] = *fields;
        let order = self.order;
        let interface_id = match kind {
            PACKET => u32::from(order.u16([i0, i1])),
            _ => order.u32([i0, i1, i2, i3]),
        };
        let ticks = u64::from(order.u32([h0, h1, h2, h3])) << 32 | u64::from(order.u32([l0, l1, l2, l3]));
        let (captured, wire) = (order.u32([c0, c1, c2, c3]), order.u32([w0, w1, w2, w3]));
        if captured as usize > (block.len() - DATA_AT).saturating_sub(4).min(FRAME_BYTES_MAX) {
            return body_broken(kind, at, tally);
        }
        let Some(interface) = self.interfaces.get(interface_id as usize) else {
            return interface_unknown(interface_id, at, tally);
        };
        let options_at = DATA_AT + (captured as usize).next_multiple_of(4);
        if options_at + 8 <= block.len() || kind == PACKET {
            let told = match kind {
                PACKET => Some(u64::from(order.u16([i2, i3]))).filter(|&count| count != 0xffff),
                _ => number_option(order, block, options_at, EPB_DROPCOUNT),
            };
            tally.dropped = tally.dropped.saturating_add(told.unwrap_or(0));
        }
        let (ts, link) = (interface.timestamp(ticks), interface.link);
        if captured > wire {
            captured_beyond_wire(captured, wire, at, tally);
        }
        let number = tally.frame(ts, captured, at);
        Some(Head {
            ts,
            offset: at + DATA_AT as u64,
            number,
            captured_bytes: captured,
            wire_bytes: wire.max(captured),
            link,
        })
    }

    fn simple_packet(&mut self, block: &[u8], at: u64, tally: &mut Tally) -> Option<Head> {
        const DATA_AT: usize = 12;
        let Some(wire) = self.order.u32_at(block, 8).filter(|_| block.len() >= DATA_AT + 4) else {
            return body_broken(SIMPLE_PACKET, at, tally);
        };
        let Some(interface) = self.interfaces.first() else { return interface_unknown(0, at, tally) };
        let snap_bytes = match interface.snap_bytes {
            0 => u32::MAX,
            snap => snap,
        };
        let room = (block.len() - DATA_AT - 4).min(FRAME_BYTES_MAX) as u32;
        let (captured, link) = (wire.min(snap_bytes), interface.link);
        if captured > room {
            return body_broken(SIMPLE_PACKET, at, tally);
        }
        let frame = tally.frames + 1;
        tally.fault(FaultKind::TimestampMissing, at, || format!("frame {frame} has no timestamp"));
        let ts = tally.ts_last;
        let number = tally.frame(ts, captured, at);
        Some(Head { ts, offset: at + DATA_AT as u64, number, captured_bytes: captured, wire_bytes: wire, link })
    }

    fn interface(&mut self, block: &[u8], at: u64, tally: &mut Tally) -> Option<Head> {
        let order = self.order;
        let (Some(link), Some(snap_bytes)) = (order.u16_at(block, 8), order.u32_at(block, 12)) else {
            return body_broken(INTERFACE, at, tally);
        };
        if self.interfaces.len() == INTERFACES_MAX {
            return interface_unknown(INTERFACES_MAX as u32, at, tally);
        }
        let mut interface =
            Interface { link: LinkType(link), snap_bytes, ticks: Ticks::from_resolution(6), offset_s: 0, dropped: 0 };
        for (code, value) in options(order, block, 16) {
            match (code, value) {
                (IF_TSRESOL, &[resolution, ..]) => interface.ticks = Ticks::from_resolution(resolution),
                (IF_TSOFFSET, _) => interface.offset_s = number(order, value).unwrap_or(0) as i64,
                _ => {}
            }
        }
        self.interfaces.push(interface);
        None
    }

    fn statistics(&mut self, block: &[u8], tally: &mut Tally) -> Option<Head> {
        let order = self.order;
        let interface = order.u32_at(block, 8).and_then(|id| self.interfaces.get_mut(id as usize))?;
        let told = [ISB_IFDROP, ISB_OSDROP].map(|code| number_option(order, block, 20, code).unwrap_or(0));
        let dropped = told[0].saturating_add(told[1]);
        // The counters run from the beginning of the capture: only what is new since the last block counts.
        tally.dropped = tally.dropped.saturating_add(dropped.saturating_sub(interface.dropped));
        interface.dropped = interface.dropped.max(dropped);
        None
    }

    #[cold]
    fn section<I: Input>(&mut self, input: &mut I, tally: &mut Tally) -> Block {
        let at = input.offset();
        let window = input.window(SECTION_BYTES_MIN);
        if window.len() < SECTION_BYTES_MIN {
            return Block::Dry;
        }
        let order = section_order(window);
        let total = order.and_then(|order| order.u32_at(window, 4)).unwrap_or(0);
        let is_long_enough = total as usize >= SECTION_BYTES_MIN && is_block_length(total);
        let (Some(order), true) = (order, is_long_enough && total as usize <= WINDOW_BYTES_MAX) else {
            tally.fault(FaultKind::BlockLength, at, || "a section header makes no sense".to_owned());
            return Block::Broken;
        };
        let version = order.u16_at(window, 12).zip(order.u16_at(window, 14)).unwrap_or_default();
        let length = total as usize;
        if input.window(length).len() < length {
            return Block::Dry;
        }
        self.order = order;
        self.interfaces.clear();
        self.section = match version {
            (1, _) => Section::Understood,
            (major, minor) => {
                tally.fault(FaultKind::SectionVersion, at, || format!("a section of version {major}.{minor}"));
                Section::PassedOver
            }
        };
        input.advance(length);
        Block::Passed
    }

    /// A block that no window holds and that gives no frame.
    #[cold]
    fn long_block<I: Input>(&mut self, kind: u32, total: u32, input: &mut I, tally: &mut Tally) -> Block {
        let at = input.offset();
        let body = u64::from(total) - 4;
        let skipped = input.skip(body);
        if skipped < body {
            tally.fault(FaultKind::RecordCut, at, || format!("the file ends inside a block of type {kind}"));
            tally.bytes_skipped += skipped;
            return Block::Dry;
        }
        match self.order.u32_at(input.window(4), 0) {
            Some(trailer) if trailer == total => {
                input.advance(4);
                Block::Passed
            }
            _ => {
                tally.fault(FaultKind::BlockTrailer, at, || format!("a block of type {kind} has two lengths"));
                tally.bytes_skipped += skipped;
                Block::Broken
            }
        }
    }
}

const IF_TSRESOL: u16 = 9;
const IF_TSOFFSET: u16 = 14;
const EPB_DROPCOUNT: u16 = 4;
const ISB_IFDROP: u16 = 5;
const ISB_OSDROP: u16 = 7;

/// The options of a block from `at` up to its trailer; ends at the first that does not fit.
fn options(order: Order, block: &[u8], at: usize) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = block.len().checked_sub(4).and_then(|end| block.get(at..end)).unwrap_or_default();
    std::iter::from_fn(move || {
        let (code, length) = (order.u16_at(rest, 0)?, usize::from(order.u16_at(rest, 2)?));
        let value = rest.get(4..4 + length)?;
        rest = rest.get(4 + length.next_multiple_of(4)..).unwrap_or_default();
        (code != 0).then_some((code, value))
    })
}

fn number(order: Order, value: &[u8]) -> Option<u64> {
    let (first, second) = (u64::from(order.u32_at(value, 0)?), u64::from(order.u32_at(value, 4)?));
    Some(match order {
        Order::Little => second << 32 | first,
        Order::Big => first << 32 | second,
    })
}

fn number_option(order: Order, block: &[u8], at: usize, wanted: u16) -> Option<u64> {
    options(order, block, at).find(|&(code, _)| code == wanted).and_then(|(_, value)| number(order, value))
}

#[cold]
fn captured_beyond_wire(captured: u32, wire: u32, at: u64, tally: &mut Tally) {
    let frame = tally.frames + 1;
    tally.fault(FaultKind::CapturedBeyondWire, at, || {
        format!("frame {frame} has {captured} bytes captured of {wire} on the wire")
    });
}

#[cold]
fn body_broken(kind: u32, at: u64, tally: &mut Tally) -> Option<Head> {
    tally.fault(FaultKind::BlockBody, at, || format!("a block of type {kind} is too short for what it says it holds"));
    None
}

#[cold]
fn interface_unknown(interface: u32, at: u64, tally: &mut Tally) -> Option<Head> {
    tally.fault(FaultKind::InterfaceUnknown, at, || format!("interface {interface} is not described"));
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_nanoseconds() {
        let table = [
            ("microseconds", 6, 1_500_000, 1_500_000_000),
            ("nanoseconds", 9, 1_500_000, 1_500_000),
            ("seconds", 0, 3, 3_000_000_000),
            ("picoseconds", 12, 1_999, 1),
            ("1e-127", 127, u64::MAX, 0),
            ("2^-20", 0x80 | 20, 3 << 19, 1_500_000_000),
            ("2^-32, NTP", 0x80 | 32, 1 << 31, 500_000_000),
            ("2^0", 0x80, 2, 2_000_000_000),
            ("2^-127", 0xff, u64::MAX, 0),
            ("overflow", 0, u64::MAX, u64::MAX),
        ];
        for (name, resolution, ticks, wanted) in table {
            assert_eq!(Ticks::from_resolution(resolution).nanoseconds(ticks), wanted, "{name}");
        }
    }

    #[test]
    fn options_end_where_they_no_longer_fit() {
        let mut block = vec![9, 0, 1, 0, 3, 0, 0, 0, 14, 0, 200, 0];
        block.extend([0; 4]);
        let met: Vec<_> = options(Order::Little, &block, 0).collect();
        assert_eq!(met, [(9, &[3_u8][..])]);
    }
}
