//! K minimum values: a sample of a set by its smallest hashes, which two sets draw alike.
//! In: 64-bit hashes. Out: the number of distinct ones, and which share of one set lies in another.
//! Bounds: K hashes of 8 bytes.
//! Source: Bar-Yossef et al. 2002; Beyer et al., "On synopses for distinct-value estimation under multiset operations", 2007.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Merge, merge_smallest};

/// The K smallest hashes, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Kmv<const K: usize> {
    hashes: Vec<u64>,
}

/// Which share of one set lies in another, as far as the samples can tell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Containment {
    /// The share, 0 to 1.
    pub share: f64,
    /// On how many members of the first set that rests; the standard error is √(share·(1 − share)/compared).
    pub compared: usize,
}

impl<const K: usize> Kmv<K> {
    /// Puts a hash in.
    #[inline]
    pub fn add(&mut self, hash: u64) {
        let full = self.hashes.len() >= K;
        if full && self.hashes.last().is_some_and(|greatest| hash >= *greatest) {
            return;
        }
        if let Err(at) = self.hashes.binary_search(&hash) {
            if full {
                self.hashes.pop();
            }
            self.hashes.insert(at, hash);
        }
    }

    /// Puts many in: one walk over the sample instead of one for each. `hashes` is left sorted, and without those that could
    /// not have stayed.
    pub fn add_all(&mut self, hashes: &mut Vec<u64>) {
        if let Some(greatest) = self.hashes.last().filter(|_| self.hashes.len() >= K) {
            hashes.retain(|hash| hash < greatest);
        }
        hashes.sort_unstable();
        hashes.dedup();
        // From behind, so that the lists are merged in place.
        let (mut mine, mut theirs) = (self.hashes.len(), hashes.len());
        self.hashes.resize(mine + theirs, 0);
        let mut repeated = false;
        while theirs > 0 {
            let from_mine = mine > 0 && self.hashes[mine - 1] >= hashes[theirs - 1];
            repeated |= from_mine && self.hashes[mine - 1] == hashes[theirs - 1];
            self.hashes[mine + theirs - 1] = if from_mine { self.hashes[mine - 1] } else { hashes[theirs - 1] };
            (mine, theirs) = if from_mine { (mine - 1, theirs) } else { (mine, theirs - 1) };
        }
        if repeated {
            self.hashes.dedup();
        }
        self.hashes.truncate(K);
    }

    /// Estimated number of distinct hashes: exact below K, after that with a standard error of 1/√(K − 2).
    pub fn estimate(&self) -> f64 {
        match self.hashes.last() {
            Some(greatest) if self.hashes.len() >= K => (K - 1) as f64 / ((*greatest as f64 + 1.0) / 2f64.powi(64)),
            _ => self.hashes.len() as f64,
        }
    }

    /// Which share of this set lies in `other`. None where the samples have nothing to compare.
    pub fn contained_in<const M: usize>(&self, other: &Kmv<M>) -> Option<Containment> {
        // Below this both samples are complete.
        let limit = self.complete_to().min(other.complete_to());
        let mine = &self.hashes[..self.hashes.partition_point(|hash| *hash <= limit)];
        let shared = mine.iter().filter(|hash| other.hashes.binary_search(hash).is_ok()).count();
        (!mine.is_empty()).then(|| Containment { share: shared as f64 / mine.len() as f64, compared: mine.len() })
    }

    /// Jaccard index of two sets; none where both are empty.
    pub fn jaccard(&self, other: &Self) -> Option<f64> {
        let mut union = self.hashes.clone();
        merge_smallest(&mut union, &other.hashes, K);
        let both = |hash: &&u64| self.hashes.binary_search(hash).is_ok() && other.hashes.binary_search(hash).is_ok();
        (!union.is_empty()).then(|| union.iter().filter(both).count() as f64 / union.len() as f64)
    }

    /// How many hashes are kept.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether nothing was put in.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// The hashes that are kept, ascending.
    pub fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    /// Up to which hash none that was put in is missing.
    pub fn complete_to(&self) -> u64 {
        match self.hashes.last() {
            Some(greatest) if self.hashes.len() >= K => *greatest,
            _ => u64::MAX,
        }
    }
}

impl<const K: usize> Merge for Kmv<K> {
    fn merge(&mut self, other: Self) {
        if !other.hashes.is_empty() {
            merge_smallest(&mut self.hashes, &other.hashes, K);
        }
    }
}

impl<'de, const K: usize> Deserialize<'de> for Kmv<K> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Form {
            hashes: Vec<u64>,
        }
        let Form { hashes } = Form::deserialize(from)?;
        match hashes.len() <= K && hashes.windows(2).all(|two| two[0] < two[1]) {
            true => Ok(Self { hashes }),
            false => Err(D::Error::custom("hashes do not ascend or are too many")),
        }
    }
}
