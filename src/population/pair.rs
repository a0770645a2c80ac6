//! Pairs and subscribers: who of a population gave how much to whom.
//! In: flow rows. Out: totals by pair and by subscriber, under pseudonyms.
//! Bounds: fixed size a pair; how many there are is bounded by their tables.

use serde::{Deserialize, Serialize};

use super::populations::PopulationIndex;
use super::sketch::{Distinct, Merge, Timeline};
use super::span::{Seen, SpanClass};
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
    /// Minutes of the hour with a packet's row beginning in them, bit m for minute m of UTC. Cleared in a day's summary.
    pub active_minutes: u64,
    /// Half hours of the day, bit h for the half hour h of UTC (48 bits).
    pub active_half_hours: u64,
}

// With their keys and places, the most that a summary holds.
const _: () = assert!(size_of::<(PairKey, PairSummary)>() == 184);

impl PairSummary {
    /// Marks when a row began.
    pub(super) fn mark(&mut self, ts: TimestampNs, class: SpanClass) {
        let [minute, half_hour] = bits_of(ts);
        self.active_minutes |= if class < SpanClass::Day { minute } else { 0 };
        self.active_half_hours |= half_hour;
    }

    /// Mean time between the beginnings of its flows; none with fewer than two.
    pub fn mean_gap(&self) -> Option<DurationNs> {
        let gaps = self.totals.flows.checked_sub(1).filter(|gaps| *gaps > 0)?;
        Some(DurationNs(self.begun.length().0 / gaps))
    }

    pub(super) fn rollup(&mut self, to: SpanClass) {
        if to == SpanClass::Day {
            self.active_minutes = 0;
        }
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
        self.active_minutes |= active_minutes;
        self.active_half_hours |= active_half_hours;
    }
}

impl Weighed for PairSummary {
    type Others = Totals;

    /// Bytes, something for every flow, and much for every further minute or half hour in which it was there: what comes
    /// back all day matters even where it is small, and a flood of new pairs must not push it out.
    fn weight(&self) -> u64 {
        let further = |bits: u64| u64::from(bits.count_ones().saturating_sub(1));
        let presence = (further(self.active_minutes) << 12) + (further(self.active_half_hours) << 16);
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
    /// Minutes of the hour with such a flow beginning in them. Cleared in a day's summary.
    pub active_minutes: u64,
    /// Half hours of the day, likewise.
    pub active_half_hours: u64,
}

impl AskedInside {
    pub(super) fn add(&mut self, seen: Seen, class: SpanClass) {
        count(&mut self.flows, 1);
        self.seen.merge(seen);
        let [minute, half_hour] = bits_of(seen.first);
        self.active_minutes |= if class < SpanClass::Day { minute } else { 0 };
        self.active_half_hours |= half_hour;
    }

    pub(super) fn rollup(&mut self, to: SpanClass) {
        if to == SpanClass::Day {
            self.active_minutes = 0;
        }
    }
}

impl Merge for AskedInside {
    fn merge(&mut self, other: Self) {
        let Self { flows, seen, active_minutes, active_half_hours } = other;
        count(&mut self.flows, flows);
        self.seen.merge(seen);
        self.active_minutes |= active_minutes;
        self.active_half_hours |= active_half_hours;
    }
}

/// The bit of the minute of the hour and that of the half hour of the day (UTC).
fn bits_of(ts: TimestampNs) -> [u64; 2] {
    [(60, 60), (1800, 48)].map(|(slot_s, slots)| 1 << (ts.0 / DurationNs::from_secs(slot_s).0 % slots))
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
