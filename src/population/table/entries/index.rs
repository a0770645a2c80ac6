//! The index from hashes to places: open addressing over one array of words.
//! In: half a hash and a place. Out: the places that carry it, in probing order.
//! Bounds: at most half full, so that a search is short and mostly reads one line; grows by doubling, moving words only. Entries
//! never leave it one by one: a table that lets some go is filed anew, so that no markers are left behind.

use crate::simd::prefetch;

/// Words at the start: a cache line.
const WORDS_MIN: usize = 8;
/// An empty index keeps room for at most this many times the entries that were there.
const ROOM_KEPT: usize = 4;

/// A word that holds nothing. Not zero: zeros come from the system as one page that all share until it is written to, so that every
/// page would be mapped twice, once when it is searched and once more, told to all processors, when something is filed in it.
const FREE: u64 = u64::MAX;

/// Hash and place in one word: the hash in the upper half, the place in the lower.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    words: Vec<u64>,
    len: usize,
}

impl Index {
    /// Starts bringing near where a hash is looked for.
    #[inline]
    pub(super) fn prefetch(&self, hash: u32) {
        prefetch::line(&self.words, self.home(hash));
    }

    /// The place under this hash that `is_it` recognises.
    #[inline]
    pub(super) fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mut at = self.home(hash);
        loop {
            let word = *self.words.get(at)?;
            if word == FREE {
                return None;
            }
            let place = word as u32;
            if (word >> 32) as u32 == hash && is_it(place) {
                return Some(place);
            }
            at = (at + 1) & self.mask();
        }
    }

    /// Files a place whose key is not there yet.
    pub(super) fn insert(&mut self, hash: u32, place: u32) {
        self.make_room(self.len + 1);
        self.file(u64::from(hash) << 32 | u64::from(place));
        self.len += 1;
    }

    /// Makes room for so many entries in all.
    pub(super) fn make_room(&mut self, entries: usize) {
        if entries * 2 > self.words.len() {
            let words = vec![FREE; (entries * 2).next_power_of_two().max(WORDS_MIN)];
            let old = std::mem::replace(&mut self.words, words);
            old.into_iter().filter(|&word| word != FREE).for_each(|word| self.file(word));
        }
    }

    /// Forgets everything; the room stays.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.len) > 0 {
            self.words.fill(FREE);
        }
    }

    /// Gives back the room that so many entries would not need; of an empty index only.
    pub(super) fn keep_room_for(&mut self, entries: usize) {
        if self.words.len() / (2 * ROOM_KEPT) > entries {
            self.words = Vec::new();
        }
    }

    /// Bytes of its array.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
    }

    fn mask(&self) -> usize {
        self.words.len().wrapping_sub(1)
    }

    /// Past the end where there is no word at all.
    fn home(&self, hash: u32) -> usize {
        hash as usize & self.mask()
    }

    fn file(&mut self, word: u64) {
        let mut at = self.home((word >> 32) as u32);
        while self.words[at] != FREE {
            at = (at + 1) & self.mask();
        }
        self.words[at] = word;
    }
}
