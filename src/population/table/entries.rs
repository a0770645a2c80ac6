//! Entries: keys with values, found by hash, in pieces that never move.
//! In: keys with values. Out: the same, in no order that is seen outside.
//! A hash table that keeps its entries in place has up to twice the room that they take, holds the old one and the new one
//! while it grows, and grows although nothing was added where entries leave and others come. Here entries lie close together beside
//! an index of a word each, and their room grows a piece at a time.
//! Bounds: the caller's; [`PIECE_BYTES`] a piece, of which the last may be empty in part.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;

use self::index::Index;

mod index;

/// Bytes of a piece, at most: little enough that what is left empty does not count, enough that few are asked for.
const PIECE_BYTES: usize = 64 << 10;

/// Entries filed together.
const FILED_AHEAD: usize = 16;

/// The entries of one table.
#[derive(Clone, Debug)]
pub(super) struct Entries<K, V> {
    index: Index,
    pieces: Vec<Vec<(K, V)>>,
    len: usize,
    hashing: RandomState,
}

impl<K, V> Default for Entries<K, V> {
    fn default() -> Self {
        Self { index: Index::default(), pieces: Vec::new(), len: 0, hashing: RandomState::default() }
    }
}

impl<K, V> Entries<K, V> {
    /// Entries of one piece: a power of two, so that finding one takes no division.
    const PIECE: usize = match PIECE_BYTES / size_of::<(K, V)>() {
        0 => 1,
        entries => 1 << entries.ilog2(),
    };

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// All entries; twice in a row in the same order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        Walk { entries: self.pieces.iter().flatten(), left: self.len }
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.pieces.iter_mut().flatten().map(|(_, value)| value)
    }

    fn at(&self, at: u32) -> &(K, V) {
        &self.pieces[at as usize / Self::PIECE][at as usize % Self::PIECE]
    }

    fn at_mut(&mut self, at: u32) -> &mut (K, V) {
        &mut self.pieces[at as usize / Self::PIECE][at as usize % Self::PIECE]
    }

    /// Appends an entry, which the index does not know of yet.
    fn push(&mut self, entry: (K, V)) -> u32 {
        let (piece, at) = (self.len / Self::PIECE, self.len as u32);
        if piece == self.pieces.len() {
            // The first grows as it must, since most tables stay small.
            self.pieces.push(if piece == 0 { Vec::new() } else { Vec::with_capacity(Self::PIECE) });
        }
        self.pieces[piece].push(entry);
        self.len += 1;
        at
    }

    /// Takes all entries out; the room that they had stays. To be walked to its end: what is not taken would stay behind unfiled.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (K, V)> {
        self.index.clear();
        self.len = 0;
        self.pieces.iter_mut().flat_map(|piece| piece.drain(..))
    }

    /// Gives back the room that more than so many entries would need; of an empty table only.
    pub(super) fn keep_room_for(&mut self, entries: usize) {
        self.pieces.truncate(entries.div_ceil(Self::PIECE).max(1));
        self.index.keep_room_for(entries);
    }
}

/// Entries whose number is known: a list of a quarter of a million of them that grew by doubling took twice its room, and half
/// as much again while it grew.
struct Walk<I> {
    entries: I,
    left: usize,
}

impl<I: Iterator> Iterator for Walk<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.left = self.left.saturating_sub(1);
        self.entries.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }

    fn fold<B, F: FnMut(B, I::Item) -> B>(self, init: B, each: F) -> B {
        self.entries.fold(init, each)
    }
}

impl<K: Copy + Eq + Hash, V> Entries<K, V> {
    /// Half a hash is enough: of a quarter of a million entries one in twenty thousand shares it with another.
    fn hash(&self, key: &K) -> u32 {
        (self.hashing.hash_one(key) >> 32) as u32
    }

    fn find(&self, key: &K) -> Option<u32> {
        self.index.find(self.hash(key), |at| self.at(at).0 == *key)
    }

    pub(super) fn of(&self, key: &K) -> Option<&V> {
        self.find(key).map(|at| &self.at(at).1)
    }

    pub(super) fn of_mut(&mut self, key: &K) -> Option<&mut V> {
        self.find(key).map(|at| &mut self.at_mut(at).1)
    }

    /// Starts bringing near where a key is looked for.
    pub(super) fn prefetch(&self, key: &K) {
        self.index.prefetch(self.hash(key));
    }

    /// The value that most likely is the key's: told without looking at the entry, for whoever asks for it ahead.
    pub(super) fn likely(&self, key: &K) -> Option<&V> {
        self.index.find(self.hash(key), |_| true).map(|at| &self.at(at).1)
    }

    /// The value of a key, made where there is none.
    #[inline]
    pub(super) fn entry(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let at = match self.find(&key) {
            Some(at) => at,
            None => self.insert_new(key, make()),
        };
        &mut self.at_mut(at).1
    }

    /// Gives the value of a key that is there to `join`, or adds the entry.
    pub(super) fn join(&mut self, (key, value): (K, V), join: impl FnOnce(&mut V, V)) {
        match self.find(&key) {
            Some(at) => join(&mut self.at_mut(at).1, value),
            None => {
                self.insert_new(key, value);
            }
        }
    }

    fn insert_new(&mut self, key: K, value: V) -> u32 {
        let hash = self.hash(&key);
        let at = self.push((key, value));
        self.index.insert(hash, at);
        at
    }

    /// Makes room in the index for so many entries; that of the entries themselves grows by pieces.
    pub(super) fn make_room(&mut self, entries: usize) {
        self.index.make_room(entries);
    }

    /// Keeps what `keep` says, asked in the order of [`Self::iter`]; what leaves goes to `leave`. The last entries take the
    /// places of those that left: where a quarter leaves, three quarters need not move.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&K) -> bool, mut leave: impl FnMut(V)) {
        let leaving = (0u32..).zip(self.iter()).filter(|(_, (key, _))| !keep(key)).map(|(at, _)| at);
        let leaving: Vec<u32> = leaving.collect();
        // From behind, so that whoever is last stays, or leaves now.
        for at in leaving.into_iter().rev() {
            if let Some((_, value)) = self.take_out(at) {
                leave(value);
            }
        }
        // A full table lets a quarter go and takes as many in again.
        self.pieces.truncate((self.len + self.len / 3).div_ceil(Self::PIECE).max(1));
        self.file_all();
    }

    /// Takes an entry out and puts the last one into its place; the index knows of neither.
    fn take_out(&mut self, at: u32) -> Option<(K, V)> {
        let last = self.pieces[(self.len - 1) / Self::PIECE].pop()?;
        self.len -= 1;
        Some(if at as usize == self.len { last } else { std::mem::replace(self.at_mut(at), last) })
    }

    /// Files every entry anew, some at a time: each goes to another line of the index.
    fn file_all(&mut self) {
        self.index.clear();
        let mut hashes = [0; FILED_AHEAD];
        for start in (0..self.len).step_by(FILED_AHEAD) {
            let some = start as u32..self.len.min(start + FILED_AHEAD) as u32;
            for (at, hash) in some.clone().zip(&mut hashes) {
                *hash = self.hash(&self.at(at).0);
                self.index.prefetch(*hash);
            }
            some.zip(hashes).for_each(|(at, hash)| self.index.insert(hash, at));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// So large that a piece holds four of them.
    type Wide = [u64; 1 << 11];

    fn wide(number: u64) -> Wide {
        [number; 1 << 11]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn entries_are_a_map(steps in prop::collection::vec((0u32..24, 0u64..4), 1..60)) {
            let mut entries = Entries::<u32, Wide>::default();
            let mut map = BTreeMap::<u32, u64>::new();
            for (key, step) in steps {
                match step {
                    0 => {
                        entries.retain(|known| *known % 5 != key % 5, drop);
                        map.retain(|known, _| *known % 5 != key % 5);
                    }
                    1 if key < 3 => {
                        let taken: BTreeMap<u32, u64> = entries.drain().map(|(key, value)| (key, value[9])).collect();
                        prop_assert_eq!(taken, std::mem::take(&mut map));
                        entries.keep_room_for(key as usize);
                    }
                    1 => entries.join((key, wide(1)), |known, value| known[9] += value[9]),
                    _ => entries.entry(key, || wide(0))[9] += 1,
                }
                match step {
                    0 => {}
                    1 if key < 3 => {}
                    _ => *map.entry(key).or_default() += 1,
                }
                prop_assert_eq!(entries.len(), map.len());
                let all: BTreeMap<u32, u64> = entries.iter().map(|(key, value)| (*key, value[9])).collect();
                prop_assert_eq!(&all, &map);
                prop_assert_eq!(entries.of(&key).map(|value| value[9]), map.get(&key).copied());
                prop_assert_eq!(entries.likely(&key).map(|value| value[9]), map.get(&key).copied());
            }
        }
    }

    #[test]
    fn a_list_of_all_entries_takes_the_room_of_its_entries() {
        let mut entries = Entries::<u64, u64>::default();
        (0..5000).for_each(|key| *entries.entry(key, || 0) += key);
        let keys: Vec<u64> = entries.iter().map(|(key, _)| *key).collect();
        assert_eq!((keys.len(), keys.capacity()), (5000, 5000));
        let mut walk = entries.iter();
        walk.by_ref().take(4990).for_each(drop);
        assert_eq!((walk.size_hint(), walk.count()), ((10, Some(10)), 10));
    }

    #[test]
    fn a_table_kept_at_its_limit_takes_no_more_room_than_at_first() {
        let mut entries = Entries::<u64, [u64; 18]>::default();
        let bytes = |entries: &Entries<u64, [u64; 18]>| {
            let of_pieces = entries.pieces.iter().map(|piece| piece.capacity() * size_of::<(u64, [u64; 18])>());
            of_pieces.sum::<usize>() + entries.index.bytes()
        };
        const MOST: u64 = 7 << 13;
        for key in 0..MOST {
            entries.entry(key, || [key; 18]);
        }
        let full = bytes(&entries);
        assert!(full < MOST as usize * (19 * 8 + 20), "{full} bytes for {MOST} entries");
        for round in 1..20 {
            // The oldest quarter leaves and as many come: a hash table in place would have taken twice its room.
            entries.retain(|key| *key >= round * MOST / 4, drop);
            for key in 0..MOST / 4 {
                entries.entry(MOST + (round - 1) * MOST / 4 + key, || [key; 18]);
            }
            assert_eq!(entries.len(), MOST as usize);
            assert!(bytes(&entries) <= full + PIECE_BYTES, "{} bytes, at first {full}", bytes(&entries));
        }
    }
}
