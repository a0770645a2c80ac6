//! Savefiles: from bytes to frames, one reader a container.
//! In: an `Input` at a record boundary. Out: heads of frames, whose bytes stay in the input; faults into the tally.
//! Bounds: a reader looks at one record at a time, at most `FRAME_BYTES_MAX`; a search after damage is bounded by
//! [`RESYNC_BYTES_MAX`]. Not here: where bytes come from (`input`), whose turn it is (`captures`).

mod pcap;
mod pcapng;
mod resync;

use crate::units::TimestampNs;

use super::error::OpenError;
use super::fault::Tally;
use super::frame::LinkType;
use super::input::{Input, InputPath};
use super::sniff::Container;

pub use resync::RESYNC_BYTES_MAX;

/// All of a frame but its bytes, which lie at `offset` of the input until it is read on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub ts: TimestampNs,
    pub offset: u64,
    pub number: u64,
    pub captured_bytes: u32,
    pub wire_bytes: u32,
    pub link: LinkType,
}

/// How a step of a reader ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// A frame; the input stands behind it.
    Frame(Head),
    /// The input holds no whole record any more; it stands at the beginning of what is left.
    Dry,
    /// The reader has given up; the fault is counted.
    Stopped,
}

/// Byte order of a file or section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    #[inline]
    pub fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    #[inline]
    pub fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    /// The 16-bit number at `at`; none where the bytes end before it.
    #[inline]
    pub fn u16_at(self, bytes: &[u8], at: usize) -> Option<u16> {
        Some(self.u16(*bytes.get(at..)?.first_chunk()?))
    }

    /// The 32-bit number at `at`; none where the bytes end before it.
    #[inline]
    pub fn u32_at(self, bytes: &[u8], at: usize) -> Option<u32> {
        Some(self.u32(*bytes.get(at..)?.first_chunk()?))
    }
}

/// A reader of either container.
#[derive(Debug)]
pub(super) enum Reader {
    Pcap(pcap::PcapReader),
    Pcapng(pcapng::PcapngReader),
}

impl Reader {
    /// Reads the file's own header from its first bytes; `head` holds at least [`Reader::header_bytes`] of them unless
    /// the file has fewer. The input stays at its beginning.
    pub fn open(container: Container, head: &[u8], path: &InputPath) -> Result<Self, OpenError> {
        match container {
            Container::Pcap => pcap::PcapReader::open(head, path).map(Self::Pcap),
            Container::Pcapng => pcapng::PcapngReader::open(head, path).map(Self::Pcapng),
        }
    }

    /// Bytes that `open` wants to see; more would keep a live pipe waiting.
    pub fn header_bytes(container: Container) -> usize {
        match container {
            Container::Pcap => pcap::FILE_HEADER_BYTES,
            Container::Pcapng => pcapng::PcapngReader::HEADER_BYTES,
        }
    }

    /// The next frame.
    #[inline]
    pub fn step<I: Input>(&mut self, input: &mut I, tally: &mut Tally) -> Step {
        match self {
            Self::Pcap(reader) => reader.step(input, tally),
            Self::Pcapng(reader) => reader.step(input, tally),
        }
    }

    /// The input has ended for good: counts what is left.
    pub fn close<I: Input>(&mut self, input: &mut I, tally: &mut Tally) {
        match self {
            Self::Pcap(reader) => reader.close(input, tally),
            Self::Pcapng(reader) => reader.close(input, tally),
        }
    }
}
