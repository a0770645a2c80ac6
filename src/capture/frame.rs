//! Frames: what every capture source hands on.
//! In: bytes of a file, a decompressed stream or a device. Out: batches of frame references.
//! Bounds: a batch holds at most [`FRAMES_PER_BATCH`] frames and [`OWNED_BYTES_MAX`] owned bytes (those of files own none:
//! the batch shares their blocks).
//! Time: the capture's own. Not here: what is inside a frame (`packet`).

use std::sync::Arc;

use memmap2::Mmap;

use super::blocks::Block;
use crate::units::TimestampNs;

/// Frames in a full batch: hand-over costs 43 to 46 ns a packet at 256 against 65 one by one.
pub const FRAMES_PER_BATCH: usize = 256;
/// Owned bytes at which a batch is full, whatever its frames.
pub const OWNED_BYTES_MAX: usize = 1 << 20;

/// A `LINKTYPE_` value as tcpdump.org registers it (1 Ethernet, 101 raw IP, 113 Linux cooked v1 …).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkType(pub u16);

/// One frame as the source gives it, before it is filed into a batch.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// When it was captured.
    pub ts: TimestampNs,
    /// How its first bytes are to be read.
    pub link: LinkType,
    /// Length on the wire in bytes; at least the captured length.
    pub wire_bytes: u32,
    /// Its number in its file, from 1, as Wireshark counts.
    pub number: u64,
    /// Which input file it came from, an index into the order of the command line.
    pub file: u16,
    /// The captured bytes.
    pub bytes: &'a [u8],
    /// Where those bytes lie when they outlive the call.
    pub lent: Option<Lent<'a>>,
}

/// Bytes that outlive the call.
#[derive(Clone, Copy, Debug)]
pub struct Lent<'a> {
    /// Where they lie in the source's maps.
    pub place: MappedPlace,
    /// The block that holds them, and from which of its bytes on; else they are looked up in the map.
    pub block: Option<(&'a Arc<Block>, u32)>,
}

/// A place in one of the source's maps.
#[derive(Clone, Copy, Debug)]
pub struct MappedPlace {
    /// Index into the source's maps.
    pub map: u16,
    /// Offset of the first captured byte.
    pub offset: u64,
}

/// A frame in a batch: all but its bytes.
#[derive(Clone, Copy, Debug)]
pub struct FrameRef {
    /// When it was captured.
    pub ts: TimestampNs,
    /// Its number in its file, from 1.
    pub number: u64,
    offset: u64,
    /// Length on the wire in bytes.
    pub wire_bytes: u32,
    captured_bytes: u32,
    /// The first byte in the batch's block.
    block_offset: u32,
    /// The batch's block that holds the bytes, or [`NO_BLOCK`].
    block: u16,
    map: u16,
    /// Which input file it came from.
    pub file: u16,
    /// How its first bytes are to be read.
    pub link: LinkType,
}

/// The map index that stands for the batch's own bytes.
const OWNED: u16 = u16::MAX;
/// The block index of a frame that lies in no block.
const NO_BLOCK: u16 = u16::MAX;

/// A batch of frames: references into shared blocks or maps, or into bytes of its own. Reused: `clear` keeps the memory.
#[derive(Debug)]
pub struct FrameBatch {
    maps: Arc<[Mmap]>,
    owned: Vec<u8>,
    /// No more than frames: one is added only for a frame in it.
    blocks: Vec<Arc<Block>>,
    frames: Vec<FrameRef>,
}

impl FrameBatch {
    /// An empty batch over the maps of a source.
    pub fn new(maps: Arc<[Mmap]>) -> Self {
        Self { maps, owned: Vec::new(), blocks: Vec::new(), frames: Vec::with_capacity(FRAMES_PER_BATCH) }
    }

    /// Files a frame: one whose bytes are lent by reference, any other by copy.
    pub fn push(&mut self, frame: &Frame<'_>) {
        let (block, block_offset) = match frame.lent.and_then(|lent| lent.block) {
            Some((block, at)) => (self.block(block), at),
            None => (NO_BLOCK, 0),
        };
        let (map, offset) = match frame.lent {
            Some(Lent { place, .. }) => (place.map, place.offset),
            None => {
                let offset = self.owned.len() as u64;
                self.owned.extend_from_slice(frame.bytes);
                (OWNED, offset)
            }
        };
        self.frames.push(FrameRef {
            ts: frame.ts,
            number: frame.number,
            offset,
            wire_bytes: frame.wire_bytes,
            captured_bytes: frame.bytes.len() as u32,
            block_offset,
            block,
            map,
            file: frame.file,
            link: frame.link,
        });
    }

    /// The place of a block in the list, where it is put unless it is there: mostly the last, and where frames of many files
    /// take turns one that was added a little before.
    #[inline]
    fn block(&mut self, block: &Arc<Block>) -> u16 {
        let known = self.blocks.iter().rposition(|held| Arc::ptr_eq(held, block));
        known.unwrap_or_else(|| {
            self.blocks.push(Arc::clone(block));
            self.blocks.len() - 1
        }) as u16
    }

    /// The captured bytes of a frame of this batch.
    #[inline]
    pub fn bytes(&self, frame: &FrameRef) -> &[u8] {
        let (whole, start): (&[u8], usize) = match (self.blocks.get(usize::from(frame.block)), frame.map) {
            (Some(block), _) => (block.bytes(), frame.block_offset as usize),
            (None, OWNED) => (&self.owned, frame.offset as usize),
            (None, map) => (&self.maps[usize::from(map)], frame.offset as usize),
        };
        &whole[start..start + frame.captured_bytes as usize]
    }

    /// Where a frame's bytes from `from` on lie in the source's maps; none where the batch owns them.
    pub fn place(&self, frame: &FrameRef, from: u32) -> Option<MappedPlace> {
        let offset = frame.offset.saturating_add(u64::from(from));
        (frame.map != OWNED).then_some(MappedPlace { map: frame.map, offset })
    }

    /// Bytes of the source's maps, whichever batch they came in; none where they lie in no map.
    pub fn mapped(&self, place: MappedPlace, len: usize) -> Option<&[u8]> {
        let from = usize::try_from(place.offset).ok()?;
        self.maps.get(usize::from(place.map))?.get(from..from.checked_add(len)?)
    }

    /// The frames in order.
    pub fn frames(&self) -> &[FrameRef] {
        &self.frames
    }

    /// Whether another frame should go into a new batch.
    pub fn is_full(&self) -> bool {
        self.frames.len() >= FRAMES_PER_BATCH || self.owned.len() >= OWNED_BYTES_MAX
    }

    /// Whether it holds no frame.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.owned.clear();
        self.blocks.clear();
        self.frames.clear();
    }
}
