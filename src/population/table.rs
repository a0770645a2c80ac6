//! Table: a map of a summary that merges exactly and can be bounded.
//! In: keys with values that merge. Out: the same in ascending order; what was moved out, as a total.
//! Bounds: [`Bounded::entry`] takes the limit; [`Bounded::bound`] enforces it after merging. Merging never drops.
//! The hash is seeded anew in each process, so that no one can choose colliding keys; its order is never seen outside.

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use smallvec::SmallVec;

use self::entries::Entries;
use super::sketch::Merge;
use super::totals::count;
use crate::simd::prefetch;

mod entries;

/// Lines of a value that are brought near: more do not fit into what a core may wait for at once.
const LINES_FETCHED: usize = 16;
/// Values whose weights are asked for ahead of the one that is weighed.
const WEIGHTS_AHEAD: usize = 8;
/// Entries looked up together when one table takes another in.
const MERGED_AHEAD: usize = 8;
/// An empty table keeps room for at most this many times the entries that were there.
const ROOM_KEPT: usize = 4;

/// A value of a bounded table.
pub trait Weighed: Merge + Default {
    /// What is kept of an entry that is moved out.
    type Others: Merge + Default;
    /// How much it matters that the entry stays.
    fn weight(&self) -> u64;
    /// What is kept of it when it goes.
    fn to_others(&self) -> Self::Others;
    /// Starts bringing it near.
    fn fetch(&self) {
        prefetch::lines(self, (size_of::<Self>() / prefetch::LINE_BYTES + 1).min(LINES_FETCHED));
    }
    /// Starts bringing near what [`Self::weight`] looks at, where that is not beside the key.
    fn fetch_weight(&self) {}
    /// Takes another's content in; the memory that the other leaves behind, empty, where it has any of its own.
    fn take_in(&mut self, other: Self) -> Option<Self> {
        self.merge(other);
        None
    }
    /// Its memory, empty, where it has any of its own.
    fn emptied(self) -> Option<Self> {
        None
    }
}

impl<T: Weighed> Weighed for Box<T> {
    type Others = T::Others;

    fn weight(&self) -> u64 {
        (**self).weight()
    }

    fn to_others(&self) -> Self::Others {
        (**self).to_others()
    }

    fn fetch(&self) {
        (**self).fetch();
    }

    fn fetch_weight(&self) {
        (**self).fetch_weight();
    }

    fn take_in(&mut self, mut other: Self) -> Option<Self> {
        (**self).merge(std::mem::take(&mut *other));
        Some(other)
    }

    fn emptied(mut self) -> Option<Self> {
        *self = T::default();
        Some(self)
    }
}

/// A map, the total of what it does not hold, and how many entries were moved there.
#[derive(Debug)]
pub struct Bounded<K, V: Weighed> {
    map: Entries<K, V>,
    others: V::Others,
    moved: u64,
    /// Empty values for the next new keys: memory that went out of use. A record of a kilobyte that goes back to the allocator
    /// and is asked for again costs more than filling it.
    spare: Vec<V>,
}

impl<K, V: Weighed> Default for Bounded<K, V> {
    fn default() -> Self {
        Self { map: Entries::default(), others: V::Others::default(), moved: 0, spare: Vec::new() }
    }
}

impl<K: Clone, V: Weighed + Clone> Clone for Bounded<K, V>
where
    V::Others: Clone,
{
    fn clone(&self) -> Self {
        Self { map: self.map.clone(), others: self.others.clone(), moved: self.moved, spare: Vec::new() }
    }
}

impl<K: Ord + Copy + std::hash::Hash, V: Weighed> Bounded<K, V> {
    /// The value of a key, made where there is none. A full table first moves its lightest quarter to the others: whoever
    /// floods it with new keys cannot keep a heavy one out, and the cost is spread over the next quarter.
    #[inline]
    pub fn entry(&mut self, key: K, most: usize) -> &mut V {
        if self.map.len() >= most && self.map.of(&key).is_none() {
            self.keep_heaviest(most.saturating_sub(most / 4 + 1));
        }
        let spare = &mut self.spare;
        self.map.entry(key, || spare.pop().unwrap_or_default())
    }

    /// Takes another's entries and total in, and leaves it empty but for its memory.
    pub(super) fn take_in(&mut self, other: &mut Self) {
        let used = other.map.len();
        self.others.merge(std::mem::take(&mut other.others));
        count(&mut self.moved, std::mem::take(&mut other.moved));
        // The larger map takes the smaller in: merging is commutative.
        if other.map.len() > self.map.len() {
            std::mem::swap(&mut self.map, &mut other.map);
        }
        let mut leaving = other.map.drain();
        let mut ahead: SmallVec<[(K, V); MERGED_AHEAD]> = SmallVec::new();
        loop {
            ahead.extend(leaving.by_ref().take(MERGED_AHEAD));
            if ahead.is_empty() {
                break;
            }
            // Each is somewhere else in the larger map: looked up in a row, they wait for memory together.
            ahead.iter().for_each(|(key, _)| self.prefetch(key));
            ahead.iter().for_each(|(key, _)| self.fetch(key));
            for entry in ahead.drain(..) {
                self.map.join(entry, |known, value| other.spare.extend(known.take_in(value)));
            }
        }
        drop(leaving);
        other.keep_room_for(used);
    }

    /// Makes room for so many entries at once, so that the index does not grow again and again.
    pub(super) fn make_room(&mut self, entries: usize) {
        self.map.make_room(entries);
    }

    /// The same table, empty but for its memory.
    pub(super) fn cleared(mut self) -> Self {
        let used = self.map.len();
        if used > 0 {
            self.spare.extend(self.map.drain().filter_map(|(_, value)| value.emptied()));
            self.keep_room_for(used);
        }
        Self { others: V::Others::default(), moved: 0, ..self }
    }

    /// Gives back the memory that so many entries would not need: one busy hour is not kept all day.
    fn keep_room_for(&mut self, entries: usize) {
        self.spare.truncate(entries);
        self.map.keep_room_for(entries);
        if self.spare.capacity() / ROOM_KEPT > entries {
            self.spare.shrink_to(entries);
        }
    }

    /// Starts bringing near what [`Self::entry`] will want. Looked up for several keys in a row, they wait for memory together.
    #[inline]
    pub(super) fn fetch(&self, key: &K) {
        if let Some(value) = self.map.likely(key) {
            value.fetch();
        }
    }

    /// Starts bringing near what [`Self::fetch`] will look at.
    #[inline]
    pub(super) fn prefetch(&self, key: &K) {
        self.map.prefetch(key);
    }

    /// The value of a key.
    pub fn of(&self, key: &K) -> Option<&V> {
        self.map.of(key)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.map.len() == 0
    }

    /// All entries in ascending order of their keys: the only order in which they are seen.
    pub fn sorted(&self) -> Vec<(&K, &V)> {
        // Keys stand in the list while it is sorted: to follow a pointer for each comparison misses the cache each time.
        let mut list: Vec<(K, (&K, &V))> = self.map.iter().map(|(key, value)| (*key, (key, value))).collect();
        list.sort_unstable_by_key(|(key, _)| *key);
        list.into_iter().map(|(_, entry)| entry).collect()
    }

    /// The same with the keys at hand, for whoever searches the list by them.
    pub fn sorted_by_key(&self) -> Vec<(K, &V)> {
        let mut list: Vec<(K, &V)> = self.map.iter().map(|(key, value)| (*key, value)).collect();
        list.sort_unstable_by_key(|(key, _)| *key);
        list
    }

    /// The total of what is not in the map.
    pub fn others(&self) -> &V::Others {
        &self.others
    }

    /// How many entries were moved to the others. One that came back and was moved again counts again.
    pub fn moved(&self) -> u64 {
        self.moved
    }

    /// Keeps the `most` heaviest entries, equal ones by key, and moves the rest to the others.
    pub fn bound(&mut self, most: usize) {
        if self.map.len() > most {
            self.keep_heaviest(most);
        }
    }

    /// A copy under other keys; what falls together is merged.
    pub(super) fn rekeyed(&self, to: impl Fn(K) -> K) -> Self
    where
        V: Clone,
        V::Others: Clone,
    {
        let mut copy = Self { others: self.others.clone(), moved: self.moved, ..Self::default() };
        copy.make_room(self.len());
        for (key, value) in self.map.iter() {
            copy.map.join((to(*key), value.clone()), |known, value| drop(known.take_in(value)));
        }
        copy
    }

    /// Shows every entry; `look` must not depend on the order in which it is called.
    pub fn each_of(&self, mut look: impl FnMut(&K, &V)) {
        self.map.iter().for_each(|(key, value)| look(key, value));
    }

    /// Changes every value; `change` must not depend on the order in which it is called.
    pub(super) fn each(&mut self, change: impl FnMut(&mut V)) {
        self.map.values_mut().for_each(change);
    }

    /// Takes out the entries that `keep` refuses; nothing of them stays behind in the others' total.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&K) -> bool) {
        self.map.retain(|key| keep(key), drop);
    }

    /// The value of a key, where there is one.
    pub(super) fn of_mut(&mut self, key: &K) -> Option<&mut V> {
        self.map.of_mut(key)
    }

    /// What each entry weighs, in the order of the map, which stays the same between two walks.
    fn weights(&self) -> Vec<u64> {
        let values = || self.map.iter().map(|(_, value)| value);
        // What is heavy to look up is asked for ahead.
        values().take(WEIGHTS_AHEAD).for_each(V::fetch_weight);
        let mut ahead = values().skip(WEIGHTS_AHEAD);
        let weigh = |value: &V| {
            ahead.next().inspect(|next| next.fetch_weight());
            value.weight()
        };
        values().map(weigh).collect()
    }

    #[cold]
    fn keep_heaviest(&mut self, most: usize) {
        let Some(leaving) = self.map.len().checked_sub(most).filter(|leaving| *leaving > 0) else { return };
        let weights = self.weights();
        let border = *weights.clone().select_nth_unstable(leaving - 1).1;
        // Of those as light as the border, the ones with the greatest keys leave.
        let lighter = weights.iter().filter(|weight| **weight < border).count();
        let is_as_light = |weight: &u64| *weight == border;
        let mut as_light: Vec<K> = Vec::with_capacity(weights.iter().filter(|weight| is_as_light(weight)).count());
        let keys = self.map.iter().map(|(key, _)| *key).zip(&weights);
        as_light.extend(keys.filter(|(_, weight)| is_as_light(weight)).map(|(key, _)| key));
        let stay = as_light.len() - (leaving - lighter);
        let first_to_leave = *as_light.select_nth_unstable(stay).1;
        let mut weights = weights.into_iter();
        let stays = |key: &K| {
            let weight = weights.next().unwrap_or(u64::MAX);
            weight > border || weight == border && *key < first_to_leave
        };
        self.map.retain(stays, |value| {
            self.others.merge(value.to_others());
            count(&mut self.moved, 1);
            self.spare.extend(value.emptied());
        });
    }
}

impl<K: Ord + Copy + std::hash::Hash, V: Weighed> Merge for Bounded<K, V> {
    fn merge(&mut self, mut other: Self) {
        self.take_in(&mut other);
    }
}

impl<K, V> Serialize for Bounded<K, V>
where
    K: Ord + Copy + std::hash::Hash + Serialize,
    V: Weighed + Serialize,
    V::Others: Serialize,
{
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (self.moved, &self.others, self.sorted()).serialize(to)
    }
}

impl<'de, K, V> Deserialize<'de> for Bounded<K, V>
where
    K: Ord + Copy + std::hash::Hash + Deserialize<'de>,
    V: Weighed + Deserialize<'de>,
    V::Others: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (moved, others, Ascending(map)) = <(u64, V::Others, Ascending<K, V>)>::deserialize(from)?;
        Ok(Self { map, others, moved, spare: Vec::new() })
    }
}

/// A map read from an ascending list.
struct Ascending<K, V>(Entries<K, V>);

impl<'de, K, V> Deserialize<'de> for Ascending<K, V>
where
    K: Ord + Copy + std::hash::Hash + Deserialize<'de>,
    V: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct List<K, V>(std::marker::PhantomData<(K, V)>);
        impl<'de, K, V> Visitor<'de> for List<K, V>
        where
            K: Ord + Copy + std::hash::Hash + Deserialize<'de>,
            V: Deserialize<'de>,
        {
            type Value = Entries<K, V>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("entries in ascending order")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut map = Entries::default();
                let mut last: Option<K> = None;
                while let Some((key, value)) = list.next_element::<(K, V)>()? {
                    if last.is_some_and(|last| last >= key) {
                        return Err(A::Error::custom("entries do not ascend"));
                    }
                    last = Some(key);
                    map.join((key, value), |_, _| {});
                }
                Ok(map)
            }
        }
        from.deserialize_seq(List(std::marker::PhantomData)).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::population::pace::StreamedBytes;

    #[derive(Clone, Debug, Default, PartialEq)]
    struct Heavy(u64);

    impl Merge for Heavy {
        fn merge(&mut self, other: Self) {
            self.0 += other.0;
        }
    }

    impl Weighed for Heavy {
        type Others = StreamedBytes;

        fn weight(&self) -> u64 {
            self.0
        }

        fn to_others(&self) -> StreamedBytes {
            StreamedBytes(self.0)
        }
    }

    proptest! {
        #[test]
        fn the_heaviest_stay_and_of_equal_ones_those_with_the_least_keys(
            weights in prop::collection::vec(0u64..6, 0..80),
            most in 0usize..90,
        ) {
            let mut table = Bounded::<u32, Box<Heavy>>::default();
            for (key, weight) in (0u32..).zip(&weights) {
                table.entry(key, usize::MAX).0 = *weight;
            }
            table.bound(most);
            let mut wanted: Vec<(u32, u64)> = (0u32..).zip(weights.iter().copied()).collect();
            wanted.sort_by_key(|(key, weight)| (std::cmp::Reverse(*weight), *key));
            let left: u64 = wanted.iter().skip(most).map(|(_, weight)| weight).sum();
            let moved = wanted.len().saturating_sub(most) as u64;
            wanted.truncate(most);
            wanted.sort_unstable();
            let kept: Vec<(u32, u64)> = table.sorted().into_iter().map(|(key, value)| (*key, value.0)).collect();
            prop_assert_eq!(kept, wanted);
            prop_assert_eq!((table.others().0, table.moved()), (left, moved));
            // What left lends its memory to the next, and nothing else.
            prop_assert_eq!(table.entry(u32::MAX, usize::MAX).0, 0);
        }
    }
}
