//! The index from flow keys to slots: open addressing over one array of words.
//! In: a 32-bit tag of the key and a slot. Out: the slots that carry a tag, in probing order.
//! Bounds: at most half full; grows by doubling, moving words only, never flows. Not here: keys and what a slot holds.

/// Words at the start: one page.
const BUCKETS_MIN: usize = 512;

/// A word that holds nothing. Not zero: zeros come from the system as one page that all share until it is written to, so that every
/// page would be mapped twice, once when it is searched and once more, told to all processors, when a flow is filed in it.
const FREE: u64 = u64::MAX;

/// Tag and slot in one word, so that a miss costs one cache line: tag in the upper half, slot in the lower.
#[derive(Debug)]
pub(super) struct Index {
    buckets: Vec<u64>,
    live: usize,
}

/// The two halves of a product, one over the other.
pub(super) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ (product >> 64) as u64
}

impl Index {
    pub(super) fn new() -> Self {
        Self { buckets: vec![FREE; BUCKETS_MIN], live: 0 }
    }

    /// Starts bringing a tag's first bucket into the cache.
    pub(super) fn prefetch(&self, tag: u32) {
        crate::simd::prefetch::line(&self.buckets, self.home(tag));
    }

    /// The first slot under this tag: nearly always the one, and the caller compares keys.
    pub(super) fn first(&self, tag: u32) -> Option<u32> {
        self.find(tag, |_| true)
    }

    /// The slot under this tag that `is_it` recognises.
    pub(super) fn find(&self, tag: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let mask = self.mask();
        let mut at = self.home(tag);
        loop {
            let word = self.buckets[at];
            if word == FREE {
                return None;
            }
            if (word >> 32) as u32 == tag && is_it(slot_of(word)) {
                return Some(slot_of(word));
            }
            at = (at + 1) & mask;
        }
    }

    /// Files a slot; the caller knows that its key is not there yet. Returns whether the array had to grow.
    pub(super) fn insert(&mut self, tag: u32, slot: u32) -> bool {
        let full = (self.live + 1) * 2 > self.buckets.len();
        if full {
            self.grow();
        }
        self.place(u64::from(tag) << 32 | u64::from(slot));
        self.live += 1;
        full
    }

    /// Takes a slot out and moves what it had pushed aside back towards home, so that no markers are left behind.
    pub(super) fn remove(&mut self, tag: u32, slot: u32) {
        let mask = self.mask();
        let word = u64::from(tag) << 32 | u64::from(slot);
        let mut hole = self.home(tag);
        while self.buckets[hole] != word {
            assert!(self.buckets[hole] != FREE, "a live flow is always in the index");
            hole = (hole + 1) & mask;
        }
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let next = self.buckets[at];
            if next == FREE {
                break;
            }
            // A word may fill the hole unless its home lies between the hole and where it stands.
            let from_home = at.wrapping_sub(self.home((next >> 32) as u32)) & mask;
            if from_home >= (at.wrapping_sub(hole) & mask) {
                self.buckets[hole] = next;
                hole = at;
            }
        }
        self.buckets[hole] = FREE;
        self.live -= 1;
    }

    /// Bytes of its array.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.buckets.len() * size_of::<u64>()
    }

    fn mask(&self) -> usize {
        self.buckets.len() - 1
    }

    fn home(&self, tag: u32) -> usize {
        tag as usize & self.mask()
    }

    fn place(&mut self, word: u64) {
        let mask = self.mask();
        let mut at = self.home((word >> 32) as u32);
        while self.buckets[at] != FREE {
            at = (at + 1) & mask;
        }
        self.buckets[at] = word;
    }

    fn grow(&mut self) {
        let mut doubled = Vec::with_capacity(self.buckets.len() * 2);
        // Before any of it is touched.
        super::pages::ask_for_huge(&doubled);
        doubled.resize(self.buckets.len() * 2, FREE);
        let old = std::mem::replace(&mut self.buckets, doubled);
        for word in old.into_iter().filter(|&word| word != FREE) {
            self.place(word);
        }
    }
}

fn slot_of(word: u64) -> u32 {
    word as u32
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_index_is_a_map_from_tag_and_slot(steps in prop::collection::vec((any::<bool>(), 0u32..40, 0u32..600), 1..1500)) {
            // Few tags, so that they collide; `slot` decides which of them it is under.
            let mut index = Index::new();
            let mut model = BTreeMap::new();
            for (add, spread, slot) in steps {
                let tag = spread.wrapping_mul(0x0800_0001);
                if add && !model.contains_key(&slot) {
                    index.insert(tag, slot);
                    model.insert(slot, tag);
                } else if let Some(tag) = model.remove(&slot) {
                    index.remove(tag, slot);
                }
            }
            for slot in 0..600u32 {
                let wanted = model.get(&slot);
                for spread in 0..40u32 {
                    let tag = spread.wrapping_mul(0x0800_0001);
                    let found = index.find(tag, |s| s == slot);
                    prop_assert_eq!(found.is_some(), wanted == Some(&tag));
                }
            }
            prop_assert_eq!(index.live, model.len());
        }
    }
}
