//! Pairs and subscribers: who of a population gave how much to whom.
//! In: flow rows. Out: totals by pair and by subscriber, under pseudonyms.
//! Bounds: fixed size a pair; how many there are is bounded by their tables.

use serde::{Deserialize, Serialize};

use super::populations::PopulationIndex;
use super::sketch::{Distinct, Merge, Timeline};
use super::span::Seen;
use super::table::Weighed;
use super::totals::{Totals, count};
use crate::units::{Address, DurationNs, TimestampNs};

/// A subscriber and a collector. Ordered by collector, so that one collector's pairs lie together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PairKey {
    /// The subscriber's population.
    pub population: PopulationIndex,
    /// The far party, as the packets have it.
    pub collector: Address,
    /// Pseudonym of the subscriber.
    pub subscriber: Address,
}

/// What one subscriber exchanged with one collector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairSummary {
    /// Rows, flows, packets and bytes.
    pub totals: Totals,
    /// First and last packet.
    pub seen: Seen,
    /// Beginnings of the first and of the last flow that began here.
    pub begun: Seen,
    /// Largest payload that one row carried up, bytes.
    pub upload_row_max: u64,
    /// Rows of flows whose TCP handshake was completed.
    pub rows_established: u64,
    /// Minutes with a row beginning in them.
    pub active_minutes: Minutes,
    /// Half hours of the day, bit h for the half hour h of UTC (48 bits).
    pub active_half_hours: u64,
}

// With their keys and places, the most that a summary holds.
const _: () = assert!(size_of::<(PairKey, PairSummary)>() == 192);

impl PairSummary {
    /// Marks when a row began.
    pub(super) fn mark(&mut self, ts: TimestampNs) {
        self.active_minutes.mark(ts);
        self.active_half_hours |= half_hour_of(ts);
    }

    /// Mean time between the beginnings of its flows; none with fewer than two.
    pub fn mean_gap(&self) -> Option<DurationNs> {
        let gaps = self.totals.flows.checked_sub(1).filter(|gaps| *gaps > 0)?;
        Some(DurationNs(self.begun.length().0 / gaps))
    }
}

impl Merge for PairSummary {
    fn merge(&mut self, other: Self) {
        let Self { totals, seen, begun, upload_row_max, rows_established, active_minutes, active_half_hours } = other;
        self.totals.merge(totals);
        self.seen.merge(seen);
        self.begun.merge(begun);
        self.upload_row_max = self.upload_row_max.max(upload_row_max);
        count(&mut self.rows_established, rows_established);
        self.active_minutes.merge(active_minutes);
        self.active_half_hours |= active_half_hours;
    }
}

impl Weighed for PairSummary {
    type Others = Totals;

    /// Bytes, something for every flow, and much for every further minute or half hour in which it was there: what comes
    /// back all day matters even where it is small, and a flood of new pairs must not push it out.
    fn weight(&self) -> u64 {
        let further = |marked: u32| u64::from(marked.saturating_sub(1));
        let half_hours = self.active_half_hours.count_ones();
        let presence = (further(self.active_minutes.count()) << 12) + (further(half_hours) << 16);
        self.totals.bytes().saturating_add(self.totals.flows.saturating_mul(256)).saturating_add(presence)
    }

    fn to_others(&self) -> Totals {
        self.totals
    }
}

/// Which subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SubscriberKey {
    /// Its population.
    pub population: PopulationIndex,
    /// Its pseudonym.
    pub subscriber: Address,
}

/// Slots of a subscriber's own timeline.
pub const ACTIVITY_SLOTS: usize = 64;

/// What one subscriber exchanged with all far parties.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriberSummary {
    /// Rows, flows, packets and bytes.
    pub totals: Totals,
    /// First and last packet.
    pub seen: Seen,
    /// Far parties, by keyed hash.
    pub collectors: Distinct,
    /// Flows that began and data that moved, with all far parties and with others inside.
    pub line: Timeline<ACTIVITY_SLOTS>,
    /// What it asked resolvers inside.
    pub asked_inside: AskedInside,
}

/// What one subscriber asked resolvers inside, which are nobody's far party.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedInside {
    /// Flows that were answered.
    pub flows: u64,
    /// First and last packet.
    pub seen: Seen,
    /// Minutes with such a flow beginning in them.
    pub active_minutes: Minutes,
    /// Half hours of the day, likewise.
    pub active_half_hours: u64,
}

impl AskedInside {
    pub(super) fn add(&mut self, seen: Seen) {
        count(&mut self.flows, 1);
        self.seen.merge(seen);
        self.active_minutes.mark(seen.first);
        self.active_half_hours |= half_hour_of(seen.first);
    }
}

impl Merge for AskedInside {
    fn merge(&mut self, other: Self) {
        let Self { flows, seen, active_minutes, active_half_hours } = other;
        count(&mut self.flows, flows);
        self.seen.merge(seen);
        self.active_minutes.merge(active_minutes);
        self.active_half_hours |= active_half_hours;
    }
}

/// Minutes in which something was done, of two hours in turn: two hours apart they cannot be told from each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minutes([u64; 2]);

impl Minutes {
    /// How many there are.
    pub const NUMBER: u32 = 120;

    pub(super) fn mark(&mut self, ts: TimestampNs) {
        let minute = ts.0 / DurationNs::from_secs(60).0 % u64::from(Self::NUMBER);
        self.0[(minute / 60) as usize] |= 1 << (minute % 60);
    }

    /// Bit m for the minute m, counted in UTC from an even hour on.
    pub fn bits(self) -> u128 {
        u128::from(self.0[0]) | u128::from(self.0[1]) << 60
    }

    /// How many are marked.
    pub fn count(self) -> u32 {
        self.0.iter().map(|hour| hour.count_ones()).sum()
    }
}

impl Merge for Minutes {
    fn merge(&mut self, Self([even, odd]): Self) {
        self.0[0] |= even;
        self.0[1] |= odd;
    }
}

/// The bit of the half hour of the day (UTC).
fn half_hour_of(ts: TimestampNs) -> u64 {
    1 << (ts.0 / DurationNs::from_secs(1_800).0 % 48)
}

impl Merge for SubscriberSummary {
    fn merge(&mut self, other: Self) {
        let Self { totals, seen, collectors, line, asked_inside } = other;
        self.totals.merge(totals);
        self.seen.merge(seen);
        self.collectors.merge(collectors);
        self.line.merge(line);
        self.asked_inside.merge(asked_inside);
    }
}

impl Weighed for SubscriberSummary {
    type Others = Totals;

    fn weight(&self) -> u64 {
        self.totals.bytes().saturating_add(self.totals.rows)
    }

    fn to_others(&self) -> Totals {
        self.totals
    }
}
