//! Earliest: the first records of a kind, with all their fields, and how many there were.
//! In: records with an order that begins with time. Out: the smallest ones. Bounds: [`RECORDS_KEPT`] records of a kind.

use serde::{Deserialize, Serialize};

use super::sketch::Merge;
use super::totals::count;

/// Records kept of a kind.
pub const RECORDS_KEPT: usize = 1024;

/// The earliest records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earliest<T> {
    records: Vec<T>,
    total: u64,
}

impl<T> Default for Earliest<T> {
    fn default() -> Self {
        Self { records: Vec::new(), total: 0 }
    }
}

impl<T: Ord> Earliest<T> {
    /// The first records in order of time.
    pub fn records(&self) -> &[T] {
        &self.records
    }

    /// How many there were, kept or not.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many were not kept.
    pub fn left_out(&self) -> u64 {
        self.total.saturating_sub(self.records.len() as u64)
    }

    pub(super) fn add(&mut self, record: T) {
        count(&mut self.total, 1);
        let at = self.records.partition_point(|known| *known <= record);
        if at < RECORDS_KEPT {
            self.records.insert(at, record);
            self.records.truncate(RECORDS_KEPT);
        }
    }

    /// Keeps the records that `stays` names; how many there were stays counted.
    pub(super) fn retain(&mut self, stays: impl FnMut(&T) -> bool) {
        self.records.retain(stays);
    }

    pub(super) fn is_ordered(&self) -> bool {
        self.records.is_sorted() && self.records.len() <= RECORDS_KEPT
    }
}

impl<T: Ord> Merge for Earliest<T> {
    fn merge(&mut self, mut other: Self) {
        count(&mut self.total, other.total);
        self.records.append(&mut other.records);
        // Stable or not does not matter: equal records are equal in every field.
        self.records.sort();
        self.records.truncate(RECORDS_KEPT);
    }
}
