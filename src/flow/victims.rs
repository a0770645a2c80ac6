//! Victims: whom a full table ends.
//! In: the living flows with the time of their latest packet. Out: the one least recently active, exactly.
//! Built when the table first is full and let go when it no longer is, so that packets pay nothing for it: an entry holds
//! the time it was filed under, and one whose flow has been active since is filed again when it comes up.
//! New flows come in the order of time, so that nearly all of them stand in a queue; a heap holds whoever does not. Of a flood of
//! SYNs every flow is filed once and taken once, and a heap of a million missed the cache twenty times for each.
//! Bounds: at most [`ENTRIES_PER_FLOW`] entries a flow, then it is built anew.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::units::TimestampNs;

/// Entries (living and stale) a flow that may be held: each flow ended otherwise leaves one behind.
const ENTRIES_PER_FLOW: usize = 4;

/// Latest packet, slot, generation of the slot.
type Entry = (TimestampNs, u32, u8);

/// The flows of a full table, least recently active first.
#[derive(Debug, Default)]
pub(super) struct Victims {
    /// In order.
    queue: VecDeque<Entry>,
    /// Filed late.
    heap: BinaryHeap<Reverse<Entry>>,
}

impl Victims {
    /// From all living flows.
    pub(super) fn of(flows: impl Iterator<Item = Entry>) -> Self {
        let mut queue: Vec<Entry> = flows.collect();
        queue.sort_unstable();
        Self { queue: queue.into(), heap: BinaryHeap::new() }
    }

    /// A new flow.
    pub(super) fn add(&mut self, entry: Entry) {
        match self.queue.back() {
            Some(last) if *last > entry => self.heap.push(Reverse(entry)),
            _ => self.queue.push_back(entry),
        }
    }

    /// Whether stale entries outnumber what is worth carrying.
    pub(super) fn is_stale(&self, flows: usize) -> bool {
        self.queue.len() + self.heap.len() > flows.saturating_mul(ENTRIES_PER_FLOW)
    }

    /// The slot that is likely to be taken after so many others.
    pub(super) fn ahead(&self, others: usize) -> Option<u32> {
        self.queue.get(others).map(|(_, slot, _)| *slot)
    }

    /// Takes the least recently active flow; `latest` gives a living flow's latest packet by slot and generation.
    pub(super) fn take(&mut self, latest: impl Fn(u32, u8) -> Option<TimestampNs>) -> Option<u32> {
        while let Some((filed, slot, generation)) = self.pop() {
            match latest(slot, generation) {
                None => {}
                Some(ts) if ts == filed => return Some(slot),
                Some(ts) => self.heap.push(Reverse((ts, slot, generation))),
            }
        }
        None
    }

    fn pop(&mut self) -> Option<Entry> {
        match (self.queue.front(), self.heap.peek()) {
            (Some(queued), Some(Reverse(late))) if late < queued => self.heap.pop().map(|Reverse(entry)| entry),
            (None, _) => self.heap.pop().map(|Reverse(entry)| entry),
            _ => self.queue.pop_front(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_least_recently_active_goes_first() {
        let mut latest = [(10, 0), (20, 0), (30, 1), (5, 0)];
        let mut victims = Victims::of((0..4).map(|s| (TimestampNs(latest[s as usize].0), s, 0)));
        latest[3].0 = 25; // active since it was filed
        latest[2].1 = 2; // another flow in the slot by now
        let look = |slot: u32, generation: u8| {
            let (ts, current) = latest[slot as usize];
            (current == generation).then_some(TimestampNs(ts))
        };
        assert_eq!(std::iter::from_fn(|| victims.take(look)).collect::<Vec<_>>(), [0, 1, 3]);
    }
    proptest! {
        #[test]
        fn queue_and_heap_are_one_order(steps in prop::collection::vec((any::<bool>(), 0u64..50), 1..200)) {
            // Flows are added at any time, and taken in between: it is always the one of least time, then slot.
            let (mut victims, mut wanted) = (Victims::default(), std::collections::BTreeSet::new());
            for (slot, (adds, ns)) in (0u32..).zip(steps) {
                if adds {
                    victims.add((TimestampNs(ns), slot, 0));
                    wanted.insert((TimestampNs(ns), slot));
                } else {
                    let latest = |slot, _| wanted.iter().find(|(_, s)| *s == slot).map(|(ts, _)| *ts);
                    let taken = victims.take(latest);
                    prop_assert_eq!(taken, wanted.pop_first().map(|(_, slot)| slot));
                }
            }
        }
    }
}
