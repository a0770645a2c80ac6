//! Sparse counts: how often each of a few small numbers occurred.
//! Bounds: one entry per distinct number, so at most what the caller's numbers allow. Counts saturate at 2³²−1.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{Merge, ascending_few, merge_few};

/// Counts by number, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SparseCounts {
    #[serde(deserialize_with = "ascending_few")]
    counts: SmallVec<[(u16, u32); 2]>,
}

impl SparseCounts {
    /// Counts `number` once.
    #[inline]
    pub fn add(&mut self, number: u16) {
        match self.counts.binary_search_by_key(&number, |(n, _)| *n) {
            Ok(at) => self.counts[at].1 = self.counts[at].1.saturating_add(1),
            Err(at) => self.counts.insert(at, (number, 1)),
        }
    }

    /// Numbers and counts, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u16, u32)> + '_ {
        self.counts.iter().copied()
    }

    /// How often `number` occurred.
    pub fn of(&self, number: u16) -> u32 {
        self.counts.binary_search_by_key(&number, |(n, _)| *n).map_or(0, |at| self.counts[at].1)
    }

    /// Sum of all counts.
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    /// How many distinct numbers there are.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

impl Merge for SparseCounts {
    fn merge(&mut self, other: Self) {
        merge_few(&mut self.counts, other.counts, |mine, theirs| *mine = mine.saturating_add(theirs));
    }
}
