//! Slabs: records by number, in pieces that never move.
//! In: records. Out: a reference by number, at two dependent loads of which the first is always cached.
//! Bounds: the caller's; memory is taken a piece at a time and given back only from the front. A piece is large, so that
//! huge pages fit into it; what of it was never used costs addresses and no memory.

use super::pages;

/// Bytes of a piece, at most: fifteen huge pages lie in it wherever it begins.
const PIECE_BYTES: usize = 32 << 20;

/// Records by number.
#[derive(Debug)]
pub(super) struct Slab<T, const BYTES: usize = PIECE_BYTES> {
    pieces: Vec<Vec<T>>,
    len: usize,
}

impl<T, const BYTES: usize> Slab<T, BYTES> {
    /// Records of one piece: a power of two, so that finding one takes no division.
    const PIECE: usize = 1 << (BYTES / size_of::<T>()).ilog2();

    pub(super) fn new() -> Self {
        Self { pieces: Vec::new(), len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of its records.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.len * size_of::<T>()
    }

    /// Appends a record; tells whether that took new memory.
    pub(super) fn push(&mut self, record: T) -> bool {
        let grows = self.len == self.pieces.len() * Self::PIECE;
        if grows {
            let piece = Vec::with_capacity(Self::PIECE);
            pages::ask_for_huge(&piece);
            self.pieces.push(piece);
        }
        self.pieces[self.len / Self::PIECE].push(record);
        self.len += 1;
        grows
    }

    /// Gives back the memory of pieces that lie wholly before a record; nobody asks for those again.
    pub(super) fn let_go_before(&mut self, slot: u32) {
        self.pieces[..slot as usize / Self::PIECE].iter_mut().for_each(|piece| *piece = Vec::new());
    }

    #[inline]
    pub(super) fn at(&self, slot: u32) -> &T {
        &self.pieces[slot as usize / Self::PIECE][slot as usize % Self::PIECE]
    }

    #[inline]
    pub(super) fn at_mut(&mut self, slot: u32) -> &mut T {
        &mut self.pieces[slot as usize / Self::PIECE][slot as usize % Self::PIECE]
    }
}

/// Records that come and go: the one given back last, which is the nearest, is used again first.
#[derive(Debug)]
pub(super) struct Pool<T> {
    pub(super) slab: Slab<T>,
    pub(super) free: Vec<u32>,
}

impl<T> Pool<T> {
    pub(super) fn new() -> Self {
        Self { slab: Slab::new(), free: Vec::new() }
    }

    /// A place; what it held before is still in it.
    pub(super) fn take(&mut self, vacant: impl FnOnce() -> T) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            let place = self.slab.len() as u32;
            self.slab.push(vacant());
            place
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_keep_their_numbers_over_pieces() {
        let mut slab: Slab<u32, 2500> = Slab::new();
        let grown = (0..3 * 512).filter(|&n| slab.push(n)).count();
        assert_eq!(grown, 3);
        *slab.at_mut(700) = 7;
        assert_eq!([*slab.at(0), *slab.at(700), *slab.at(1535), slab.len() as u32], [0, 7, 1535, 1536]);
        slab.let_go_before(1100);
        assert_eq!([*slab.at(1024), *slab.at(1535), slab.len() as u32], [1024, 1535, 1536], "the third piece stays");
        assert_eq!(slab.pieces[1].capacity(), 0);
    }
}
