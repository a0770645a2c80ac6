//! Slabs: records by number, in pieces that never move.
//! In: records. Out: a reference by number, at two dependent loads of which the first is always cached.
//! Bounds: the caller's; memory is taken a piece at a time and never given back before the end.

/// Records of one piece: a piece of flows is some hundred kilobytes, so that growing is never a stall.
const PIECE: usize = 512;

/// Records by number.
#[derive(Debug)]
pub(super) struct Slab<T> {
    pieces: Vec<Vec<T>>,
    len: usize,
}

impl<T> Slab<T> {
    pub(super) fn new() -> Self {
        Self { pieces: Vec::new(), len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Appends a record; tells whether that took new memory.
    pub(super) fn push(&mut self, record: T) -> bool {
        let grows = self.len == self.pieces.len() * PIECE;
        if grows {
            self.pieces.push(Vec::with_capacity(PIECE));
        }
        self.pieces[self.len / PIECE].push(record);
        self.len += 1;
        grows
    }

    pub(super) fn at(&self, slot: u32) -> &T {
        &self.pieces[slot as usize / PIECE][slot as usize % PIECE]
    }

    pub(super) fn at_mut(&mut self, slot: u32) -> &mut T {
        &mut self.pieces[slot as usize / PIECE][slot as usize % PIECE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_keep_their_numbers_over_pieces() {
        let mut slab = Slab::new();
        let grown = (0..3 * PIECE as u32).filter(|&n| slab.push(n)).count();
        assert_eq!(grown, 3);
        *slab.at_mut(700) = 7;
        assert_eq!([*slab.at(0), *slab.at(700), *slab.at(1535), slab.len() as u32], [0, 7, 1535, 1536]);
    }
}
