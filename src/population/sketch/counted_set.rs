//! Counted set: the members of a small set and how often each came.
//! In: keys. Out: counts; what is not kept is in `others`, so that totals stay exact.
//! Bounds: 8·N members while adding and merging, N after [`CountedSet::bound`].

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{Merge, ascending_few, merge_few};

/// Members kept for each member that will be reported, while rows come in.
pub const SLACK: usize = 8;

/// A key with a number of its own: equal numbers mean equal keys.
pub trait SketchKey: Ord + Copy {
    /// The number.
    fn code(&self) -> u64;

    /// The number, mixed (the finaliser of SplitMix64, a bijection): the order in which members give way.
    #[inline]
    fn rank(&self) -> u64 {
        let mut x = self.code().wrapping_add(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
}

macro_rules! number_keys {
    ($($ty:ty),*) => { $(impl SketchKey for $ty {
        #[inline]
        fn code(&self) -> u64 { (*self).into() }
    })* };
}
number_keys!(u8, u16, u32, u64);

/// Keys and counts. Up to 8·N distinct keys all are kept. Past that, those with the smallest [`SketchKey::rank`] stay
/// (bottom-k): a rule that knows neither order nor workers, at the price that a frequent key may be among those that go.
/// [`Self::bound`] then keeps the N most frequent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "K: Serialize", deserialize = "K: Ord + Deserialize<'de>"))]
pub struct CountedSet<K, const N: usize> {
    #[serde(deserialize_with = "ascending_few")]
    kept: SmallVec<[(K, u64); 1]>,
    others: u64,
}

impl<K, const N: usize> Default for CountedSet<K, N> {
    fn default() -> Self {
        Self { kept: SmallVec::new(), others: 0 }
    }
}

impl<K: SketchKey, const N: usize> CountedSet<K, N> {
    /// Most members while adding.
    pub const KEPT_MAX: usize = SLACK * N;

    /// Counts `key` once.
    #[inline]
    pub fn add(&mut self, key: K) {
        match self.kept.binary_search_by(|(k, _)| k.cmp(&key)) {
            Ok(at) => self.kept[at].1 = self.kept[at].1.saturating_add(1),
            Err(at) => {
                self.kept.insert(at, (key, 1));
                self.trim();
            }
        }
    }

    /// Members with their counts, by key.
    pub fn iter(&self) -> impl Iterator<Item = (K, u64)> + '_ {
        self.kept.iter().copied()
    }

    /// Members, most frequent first, equal ones by key.
    pub fn by_count(&self) -> Vec<(K, u64)> {
        let mut list = self.kept.to_vec();
        list.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        list
    }

    /// Counts of keys that are not kept.
    pub fn others(&self) -> u64 {
        self.others
    }

    /// Sum of all counts.
    pub fn total(&self) -> u64 {
        self.kept.iter().fold(self.others, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// How many members are kept; the set had more where [`Self::others`] is not zero.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.others == 0
    }

    /// Keeps the N most frequent members (equal ones: the lower key) and moves the rest to the others.
    pub fn bound(&mut self) {
        if self.kept.len() <= N {
            return;
        }
        let mut list = self.by_count();
        for (_, count) in list.drain(N..) {
            self.others = self.others.saturating_add(count);
        }
        list.sort_by_key(|(key, _)| *key);
        self.kept = SmallVec::from_vec(list);
    }

    fn trim(&mut self) {
        while self.kept.len() > Self::KEPT_MAX {
            let last = (0..self.kept.len()).max_by_key(|at| self.kept[*at].0.rank());
            let Some(at) = last else { return };
            let (_, count) = self.kept.remove(at);
            self.others = self.others.saturating_add(count);
        }
    }
}

impl<K: SketchKey, const N: usize> Merge for CountedSet<K, N> {
    fn merge(&mut self, other: Self) {
        self.others = self.others.saturating_add(other.others);
        merge_few(&mut self.kept, other.kept, |mine, theirs| *mine = mine.saturating_add(theirs));
        self.trim();
    }
}
