//! Least: a few members of a set, the smallest ones, whoever put them in and in which order.
//! In: values with an order. Out: the N smallest distinct ones. Bounds: N values.
//! Two sets that share members keep the same ones, so samples of workers and windows join exactly.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use super::Merge;

/// The N smallest, ascending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Least<T, const N: usize>(Vec<T>);

impl<T, const N: usize> Default for Least<T, N> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Ord + Copy, const N: usize> Least<T, N> {
    /// Puts a value in.
    #[inline]
    pub fn add(&mut self, value: T) {
        if let Err(at) = self.0.binary_search(&value)
            && at < N
        {
            self.0.truncate(N - 1);
            self.0.insert(at, value);
        }
    }

    /// Keeps the members that `stays` names.
    pub fn retain(&mut self, stays: impl FnMut(&T) -> bool) {
        self.0.retain(stays);
    }

    /// Members, ascending.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        self.0.iter().copied()
    }

    /// How many members are kept.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Ord + Copy, const N: usize> Merge for Least<T, N> {
    fn merge(&mut self, other: Self) {
        other.0.into_iter().for_each(|value| self.add(value));
    }
}

impl<'de, T: Ord + Deserialize<'de>, const N: usize> Deserialize<'de> for Least<T, N> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let list = Vec::<T>::deserialize(from)?;
        match list.len() <= N && list.windows(2).all(|two| two[0] < two[1]) {
            true => Ok(Self(list)),
            false => Err(D::Error::custom("not the smallest of a set")),
        }
    }
}
