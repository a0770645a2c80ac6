//! Victims: whom a full table ends.
//! In: the living flows with the time of their latest packet. Out: the one least recently active, exactly.
//! Built when the table first is full and let go when it no longer is, so that packets pay nothing for it: an entry holds
//! the time it was filed under, and one whose flow has been active since is filed again when it comes up.
//! Bounds: at most [`ENTRIES_PER_FLOW`] entries a flow, then it is built anew.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::units::TimestampNs;

/// Entries (living and stale) a flow that the heap may hold: each flow ended otherwise leaves one behind.
const ENTRIES_PER_FLOW: usize = 4;

/// Latest packet, slot, generation of the slot.
type Entry = (TimestampNs, u32, u32);

/// The flows of a full table, least recently active first.
#[derive(Debug, Default)]
pub(super) struct Victims {
    heap: BinaryHeap<Reverse<Entry>>,
}

impl Victims {
    /// From all living flows.
    pub(super) fn of(flows: impl Iterator<Item = Entry>) -> Self {
        Self { heap: flows.map(Reverse).collect() }
    }

    /// A new flow.
    pub(super) fn add(&mut self, entry: Entry) {
        self.heap.push(Reverse(entry));
    }

    /// Whether stale entries outnumber what is worth carrying.
    pub(super) fn is_stale(&self, flows: usize) -> bool {
        self.heap.len() > flows.saturating_mul(ENTRIES_PER_FLOW)
    }

    /// Takes the least recently active flow; `latest` gives a living flow's latest packet by slot and generation.
    pub(super) fn take(&mut self, latest: impl Fn(u32, u32) -> Option<TimestampNs>) -> Option<u32> {
        while let Some(Reverse((filed, slot, generation))) = self.heap.pop() {
            match latest(slot, generation) {
                None => {}
                Some(ts) if ts == filed => return Some(slot),
                Some(ts) => self.heap.push(Reverse((ts, slot, generation))),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_active_goes_first() {
        let mut latest = [(10, 0), (20, 0), (30, 1), (5, 0)];
        let mut victims = Victims::of((0..4).map(|s| (TimestampNs(latest[s as usize].0), s, 0)));
        latest[3].0 = 25; // active since it was filed
        latest[2].1 = 2; // another flow in the slot by now
        let look = |slot: u32, generation: u32| {
            let (ts, current) = latest[slot as usize];
            (current == generation).then_some(TimestampNs(ts))
        };
        assert_eq!(std::iter::from_fn(|| victims.take(look)).collect::<Vec<_>>(), [0, 1, 3]);
    }
}
