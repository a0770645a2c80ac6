//! Blocks: a plain file read in pieces that the batches share, so that no frame is copied and no page is mapped.
//! In: an open file and its length. Out: windows of bytes, and the block and place in it of every frame.
//! Bounds: [`BLOCK_BYTES`] a block unless one record is longer, [`BLOCKS_BYTES_MAX`] over all files of a run; as many blocks as
//! batches in flight refer to, and two. A block is written before its first frame is lent and not again until no batch refers to it.
//! Walking a map instead takes as much processor time (page faults where reading copies), but its pages count as the process'
//! own: 2,353 MB at the most for a file of 1.9 GB that takes 450 in blocks.
//! Not here: compressed files and pipes (`input`), which file comes next (`captures`).

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::input::{Input, WINDOW_BYTES_MAX};

/// Bytes of a block: it stays in the second-level cache between the system's copy and the walk over its records.
const BLOCK_BYTES: usize = 256 << 10;
/// Bytes of the current blocks of all files together.
const BLOCKS_BYTES_MAX: usize = 16 << 20;
/// Files of a run up to which each is read in blocks: every one takes a descriptor, of which a process may have 1,024.
pub(super) const BLOCK_FILES_MAX: usize = BLOCKS_BYTES_MAX / BLOCK_BYTES;

/// A piece of a file.
#[derive(Debug, Default)]
pub struct Block {
    bytes: Vec<u8>,
}

impl Block {
    /// Its bytes; what lies behind them in the file is in another block.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A file at a position that moves forward.
#[derive(Debug)]
pub(super) struct Blocks {
    file: File,
    /// What is read and walked over now.
    current: Arc<Block>,
    /// Earlier ones, which batches may still refer to, oldest first.
    lent: VecDeque<Arc<Block>>,
    /// The position in the current block.
    start: usize,
    /// Offset in the file of the current block's first byte.
    base: u64,
    /// Bytes of the file when it was opened: what comes later is somebody else's to notice.
    bytes_total: u64,
    failure: Option<io::Error>,
}

impl Blocks {
    pub fn new(file: File, bytes_total: u64) -> Self {
        let current = Arc::new(Block::default());
        Self { file, current, lent: VecDeque::new(), start: 0, base: 0, bytes_total, failure: None }
    }

    /// The block of a frame that the last window covered, and where in it the frame begins.
    #[inline]
    pub fn place(&self, offset: u64) -> (&Arc<Block>, u32) {
        (&self.current, offset.saturating_sub(self.base) as u32)
    }

    /// What ended the file before its time.
    pub fn failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// Moves the rest of the current block to the beginning of the next and reads on, to at least `want` bytes where the file has them.
    #[cold]
    fn fill(&mut self, want: usize) {
        assert!(want <= WINDOW_BYTES_MAX, "a reader wants a window of {want} bytes");
        let position = self.offset();
        let left = self.current.bytes.len() - self.start;
        let unread = self.bytes_total.saturating_sub(position);
        let wanted = want.max(BLOCK_BYTES).min(usize::try_from(unread).unwrap_or(usize::MAX));
        if wanted <= left {
            return;
        }
        let mut next = self.vacant();
        // A block that nobody else refers to has one owner: it was looked for, or is new.
        let Some(block) = Arc::get_mut(&mut next) else { return };
        block.bytes.resize(wanted, 0);
        block.bytes[..left].copy_from_slice(&self.current.bytes[self.start..]);
        let mut end = left;
        while end < wanted {
            match self.file.read_at(&mut block.bytes[end..], position + end as u64) {
                Ok(0) => break,
                Ok(n) => end += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failure = Some(error);
                    break;
                }
            }
        }
        if end < wanted {
            // Somebody has cut the file, or it cannot be read on: its end is here now.
            self.bytes_total = position + end as u64;
        }
        block.bytes.truncate(end);
        self.lent.push_back(std::mem::replace(&mut self.current, next));
        self.base = position;
        self.start = 0;
    }

    /// A block that no batch refers to any longer, or a new one.
    fn vacant(&mut self) -> Arc<Block> {
        let free = self.lent.iter_mut().position(|block| Arc::get_mut(block).is_some());
        free.and_then(|at| self.lent.remove(at)).unwrap_or_default()
    }
}

impl Input for Blocks {
    #[inline]
    fn window(&mut self, want: usize) -> &[u8] {
        if self.current.bytes.len() - self.start < want {
            self.fill(want);
        }
        &self.current.bytes[self.start..]
    }

    #[inline]
    fn advance(&mut self, bytes: usize) {
        self.start += bytes;
        assert!(self.start <= self.current.bytes.len(), "a reader advances beyond its window");
    }

    fn skip(&mut self, bytes: u64) -> u64 {
        let step = bytes.min(self.bytes_total.saturating_sub(self.offset()));
        let held = (self.current.bytes.len() - self.start) as u64;
        match step <= held {
            true => self.start += step as usize,
            false => {
                // Over bytes that were not read: the block is used up, and the next begins behind them.
                let held = self.current.bytes.len();
                self.base = self.offset() + step - held as u64;
                self.start = held;
            }
        }
        step
    }

    #[inline]
    fn offset(&self) -> u64 {
        self.base + self.start as u64
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(bytes: &[u8]) -> Blocks {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(bytes).expect("room");
        Blocks::new(file, bytes.len() as u64)
    }

    fn numbered(len: usize) -> Vec<u8> {
        (0..len).map(|n| (n % 251) as u8).collect()
    }

    #[test]
    fn windows_go_on_over_the_borders_of_blocks() {
        let bytes = numbered(3 * BLOCK_BYTES + 17);
        let mut blocks = file(&bytes);
        let mut at = 0;
        while at < bytes.len() {
            let want = (1000 + at % 777).min(bytes.len() - at);
            assert_eq!(&blocks.window(want)[..want], &bytes[at..at + want]);
            assert_eq!(blocks.offset(), at as u64);
            let (block, place) = blocks.place(at as u64);
            assert_eq!(&block.bytes()[place as usize..][..want], &bytes[at..at + want]);
            blocks.advance(want);
            at += want;
        }
        assert!(blocks.window(1).is_empty() && blocks.failure().is_none());
    }

    #[test]
    fn what_a_batch_refers_to_is_not_written_again() {
        let bytes = numbered(4 * BLOCK_BYTES);
        let mut blocks = file(&bytes);
        blocks.window(10);
        let kept = Arc::clone(blocks.place(0).0);
        for _ in 0..3 {
            blocks.advance(BLOCK_BYTES);
            blocks.window(10);
        }
        assert_eq!(kept.bytes(), &bytes[..BLOCK_BYTES]);
        assert_eq!(blocks.lent.len(), 2, "the one that is kept and the one before the current");
    }

    #[test]
    fn a_window_longer_than_a_block_and_a_skip_past_what_was_read() {
        let bytes = numbered(6 * BLOCK_BYTES);
        let mut blocks = file(&bytes);
        assert!(blocks.window(2 * BLOCK_BYTES).len() >= 2 * BLOCK_BYTES);
        blocks.advance(5);
        assert_eq!(blocks.skip(5 * BLOCK_BYTES as u64), 5 * BLOCK_BYTES as u64);
        assert_eq!(blocks.window(3)[..3], bytes[5 * BLOCK_BYTES + 5..][..3]);
        assert_eq!(blocks.skip(u64::MAX), BLOCK_BYTES as u64 - 5);
        assert!(blocks.window(1).is_empty());
    }

    #[test]
    fn skips_leave_no_blocks_behind() {
        // Blocks of a pcapng file that nobody reads, each longer than a block of ours.
        let mut blocks = file(&numbered(40 * BLOCK_BYTES));
        for n in 0..20u64 {
            assert_eq!(blocks.window(1)[0], (n * 2 * BLOCK_BYTES as u64 % 251) as u8);
            assert_eq!(blocks.skip(2 * BLOCK_BYTES as u64), 2 * BLOCK_BYTES as u64);
        }
        assert_eq!(blocks.offset(), 40 * BLOCK_BYTES as u64);
        assert!(blocks.lent.len() <= 1, "{} blocks", blocks.lent.len());
    }

    #[test]
    fn a_file_cut_while_it_is_read_ends_there() {
        let bytes = numbered(3 * BLOCK_BYTES);
        let mut blocks = file(&bytes);
        blocks.window(10);
        blocks.file.set_len(BLOCK_BYTES as u64 + 100).expect("a shorter file");
        blocks.advance(BLOCK_BYTES);
        assert_eq!(blocks.window(200), &bytes[BLOCK_BYTES..BLOCK_BYTES + 100]);
        assert!(blocks.failure().is_none());
    }
}
