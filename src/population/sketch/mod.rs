//! Sketches: small values that merge exactly.
//! In: keys, hashes and sizes. Out: counts, estimates, quantiles.
//! Bounds: each has a greatest size. Every one is a function of the multiset that was put in, so that order, splitting and
//! merging change nothing; counts are integers and saturate.

pub mod counted_set;
pub mod distinct;
pub mod kmv;
pub mod least;
pub mod log_histogram;
pub mod sparse;
pub mod timeline;
pub mod volume_series;

pub use counted_set::{CountedSet, SketchKey};
pub use distinct::Distinct;
pub use kmv::Kmv;
pub use least::Least;
pub use log_histogram::LogHistogram;
pub use sparse::SparseCounts;
pub use timeline::{Tick, Timeline};
pub use volume_series::{Volume, VolumeSeries};

use serde::de::{Deserialize, Deserializer, Error};
use smallvec::{Array, SmallVec};

/// A value that merges: associative, commutative, with its `Default` as the identity.
pub trait Merge {
    /// Takes the other's content in.
    fn merge(&mut self, other: Self);
}

impl<T: Merge> Merge for Box<T> {
    fn merge(&mut self, other: Self) {
        (**self).merge(*other);
    }
}

/// Merges two lists that ascend by key; `join` adds the values of a key that both have.
pub(crate) fn merge_ascending<K: Ord + Copy, V>(mine: &mut Vec<(K, V)>, theirs: Vec<(K, V)>, join: impl Fn(&mut V, V)) {
    if theirs.is_empty() {
        return;
    }
    if mine.is_empty() {
        *mine = theirs;
        return;
    }
    let mut merged = Vec::with_capacity(mine.len().max(theirs.len()));
    let (mut left, mut right) = (std::mem::take(mine).into_iter().peekable(), theirs.into_iter().peekable());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        match a.0.cmp(&b.0) {
            std::cmp::Ordering::Less => merged.extend(left.next()),
            std::cmp::Ordering::Greater => merged.extend(right.next()),
            std::cmp::Ordering::Equal => {
                let (Some((key, mut value)), Some((_, other))) = (left.next(), right.next()) else { break };
                join(&mut value, other);
                merged.push((key, value));
            }
        }
    }
    merged.extend(left);
    merged.extend(right);
    *mine = merged;
}

/// Makes room for one more where a list is full: so many at once, where it would have room for twice as many as it holds.
/// Of lists that are kept by the ten thousand a fifth was room that nobody used.
fn grow_by_steps<A: Array>(list: &mut SmallVec<A>, step: usize) {
    if list.len() == list.capacity() && list.len() >= step {
        list.reserve_exact(step);
    }
}

/// Members of a list up to which it is merged one by one: most that come in have one or two.
const FEW: usize = 4;

/// As [`merge_ascending`], for lists that keep their first members in place. Most collectors, and most windows of the rest,
/// have one row: what that brings costs no memory of its own.
pub(crate) fn merge_few<K, V, A>(mine: &mut SmallVec<A>, theirs: SmallVec<A>, join: impl Fn(&mut V, V))
where
    K: Ord + Copy,
    A: Array<Item = (K, V)>,
{
    if mine.is_empty() {
        *mine = theirs;
    } else if theirs.len() <= FEW {
        for (key, value) in theirs {
            match mine.binary_search_by(|(known, _)| known.cmp(&key)) {
                Ok(at) => join(&mut mine[at].1, value),
                Err(at) => mine.insert(at, (key, value)),
            }
        }
    } else {
        let mut both = std::mem::take(mine).into_vec();
        merge_ascending(&mut both, theirs.into_vec(), join);
        *mine = SmallVec::from_vec(both);
    }
}

/// As [`ascending`], for lists that keep their first members in place.
pub(crate) fn ascending_few<'de, D, K, V, A>(from: D) -> Result<SmallVec<A>, D::Error>
where
    D: Deserializer<'de>,
    K: Ord + Deserialize<'de>,
    V: Deserialize<'de>,
    A: Array<Item = (K, V)>,
{
    ascending(from).map(SmallVec::from_vec)
}

/// Reads a list that must ascend strictly by key: one value has one binary form only.
pub(crate) fn ascending<'de, D, K, V>(from: D) -> Result<Vec<(K, V)>, D::Error>
where
    D: Deserializer<'de>,
    K: Ord + Deserialize<'de>,
    V: Deserialize<'de>,
{
    let list = Vec::<(K, V)>::deserialize(from)?;
    match list.windows(2).all(|two| two[0].0 < two[1].0) {
        true => Ok(list),
        false => Err(D::Error::custom("keys do not ascend")),
    }
}

/// Merges two ascending lists without repeats, and keeps the `most` smallest.
pub(crate) fn merge_smallest(mine: &mut Vec<u64>, theirs: &[u64], most: usize) {
    let mut merged = Vec::with_capacity(most.min(mine.len() + theirs.len()));
    let (mut a, mut b) = (mine.iter().copied().peekable(), theirs.iter().copied().peekable());
    while merged.len() < most {
        let next = match (a.peek(), b.peek()) {
            (Some(x), Some(y)) => *x.min(y),
            (Some(x), None) | (None, Some(x)) => *x,
            (None, None) => break,
        };
        a.next_if_eq(&next);
        b.next_if_eq(&next);
        merged.push(next);
    }
    *mine = merged;
}

#[cfg(test)]
mod tests;
