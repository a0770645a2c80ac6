//! Bundles: batches that go to one worker together.
//! In: frames. Out: full batches, handed over as one. Each hand-over wakes a thread that waits for it, which costs what a hundred
//! packets do, so that one batch at a time is dear where one side is quicker than the other: always.
//! Bounds: as many batches as it was made for, and [`BUNDLE_BYTES_MAX`] with what the last frame goes over it. Reused: what the
//! worker gives back keeps its memory.

use std::sync::Arc;

use memmap2::Mmap;

use crate::capture::frame::{Frame, FrameBatch};

/// Captured bytes at which a bundle is full, whatever its batches: those that wait for a worker are held in memory.
const BUNDLE_BYTES_MAX: usize = 2 << 20;

/// Batches of which the first are filled, in order.
#[derive(Debug)]
pub(super) struct Bundle {
    maps: Arc<[Mmap]>,
    batches: Vec<FrameBatch>,
    /// How many are full; the next, where there is one, is being filled.
    full: usize,
    most: usize,
    bytes: usize,
}

impl Bundle {
    /// Nothing yet, of frames over the maps of a source; `most` batches at the most, at least one.
    pub(super) fn new(maps: Arc<[Mmap]>, most: usize) -> Self {
        Self { maps, batches: Vec::with_capacity(most), full: 0, most: most.max(1), bytes: 0 }
    }

    /// Files a frame.
    #[inline]
    pub(super) fn push(&mut self, frame: &Frame<'_>) {
        if self.full == self.batches.len() {
            self.batches.push(FrameBatch::new(Arc::clone(&self.maps)));
        }
        let batch = &mut self.batches[self.full];
        batch.push(frame);
        self.bytes += frame.bytes.len();
        self.full += usize::from(batch.is_full());
    }

    /// Whether another frame should go into a new one.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.full >= self.most || self.bytes >= BUNDLE_BYTES_MAX
    }

    /// Whether it holds no frame.
    pub(super) fn is_empty(&self) -> bool {
        self.batches.first().is_none_or(FrameBatch::is_empty)
    }

    /// Frames in it.
    pub(super) fn frames(&self) -> usize {
        self.batches.iter().map(|batch| batch.frames().len()).sum()
    }

    /// Shows every batch in order, and empties it at once: the blocks of a batch go back while the next is worked on.
    pub(super) fn drain(&mut self, mut work: impl FnMut(&FrameBatch)) {
        for batch in self.batches.iter_mut().take_while(|batch| !batch.is_empty()) {
            work(batch);
            batch.clear();
        }
        (self.full, self.bytes) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::frame::{FRAMES_PER_BATCH, LinkType};
    use crate::units::TimestampNs;

    fn frame(number: u64, bytes: &[u8]) -> Frame<'_> {
        let wire_bytes = bytes.len() as u32;
        Frame { ts: TimestampNs(number), link: LinkType(1), wire_bytes, number, file: 0, bytes, lent: None }
    }

    /// Numbers of the frames in it, batch by batch; it is empty afterwards.
    fn drained(bundle: &mut Bundle) -> Vec<Vec<u64>> {
        let mut batches = Vec::new();
        bundle.drain(|batch| batches.push(batch.frames().iter().map(|frame| frame.number).collect()));
        assert!(bundle.is_empty() && !bundle.is_full() && bundle.frames() == 0);
        batches
    }

    #[test]
    fn frames_come_out_as_they_went_in() {
        let mut bundle = Bundle::new(Arc::default(), 3);
        assert!(bundle.is_empty());
        // Used again: full, half full, and full once more.
        for frames in [3 * FRAMES_PER_BATCH, FRAMES_PER_BATCH + 7, 3 * FRAMES_PER_BATCH] {
            for number in 0..frames as u64 {
                assert!(!bundle.is_full(), "frame {number} of {frames} finds room");
                bundle.push(&frame(number, b"some bytes"));
            }
            assert_eq!((bundle.frames(), bundle.is_full()), (frames, frames == 3 * FRAMES_PER_BATCH));
            let numbers: Vec<u64> = (0..frames as u64).collect();
            let wanted: Vec<Vec<u64>> = numbers.chunks(FRAMES_PER_BATCH).map(<[u64]>::to_vec).collect();
            assert_eq!(drained(&mut bundle), wanted);
        }
    }

    #[test]
    fn large_frames_fill_it_by_their_bytes() {
        let (mut bundle, bytes) = (Bundle::new(Arc::default(), 8), vec![0; 256 << 10]);
        for number in 0..BUNDLE_BYTES_MAX as u64 / bytes.len() as u64 {
            assert!(!bundle.is_full());
            bundle.push(&frame(number, &bytes));
        }
        assert!(bundle.is_full());
        assert_eq!(drained(&mut bundle).concat(), (0..8).collect::<Vec<u64>>());
    }
}
