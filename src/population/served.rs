//! Served: what services inside gave to whom outside.
//! In: rows in which a subscriber is asked and answers. Out: per service and asker how often, how much, how alike, when.
//! Bounds: [`SERVED_MAX`] pairs of service and asker, the weightiest; fixed-size parts.
//! Not here: whether that is scraping (`detect`). A home that nobody calls has no entry, so most rows never come here.

use serde::{Deserialize, Serialize};

use super::collector::{GAP_BITS, GAP_MS_MAX};
use super::populations::PopulationIndex;
use super::sketch::{CountedSet, LogHistogram, Merge};
use super::span::{Seen, SpanClass};
use super::table::Weighed;
use super::texts::TextId;
use super::totals::{Totals, count};
use crate::units::{Address, DurationNs, TimestampNs};

/// Pairs of service and asker that are kept.
pub const SERVED_MAX: usize = 16_384;
/// The same while a window is filled: the choice is made at its end.
pub(in crate::population) const SERVED_OPEN_MAX: usize = 65_536;

/// A service inside and who asks it. Ordered by service, so that one service's askers lie together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServedKey {
    /// The server's population.
    pub population: PopulationIndex,
    /// Pseudonym of the server.
    pub server: Address,
    /// IP protocol number.
    pub protocol: u8,
    /// Its port.
    pub port: u16,
    /// Who asks, as the packets have it.
    pub asker: Address,
}

/// What a service gave one asker. Sizes are payload bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// Rows, flows, packets and bytes; up is what the service gave.
    pub totals: Totals,
    /// Questions: times that the asker spoke and was answered.
    pub exchanges: u64,
    /// Mean bytes of an answer, by row.
    pub answer_sizes: LogHistogram<GAP_BITS>,
    /// Time between the beginnings of two flows, milliseconds.
    pub gaps_ms: LogHistogram<GAP_BITS>,
    /// First and last packet.
    pub seen: Seen,
    /// Minutes of the hour in which a row began. Cleared in a day's summary.
    pub active_minutes: u64,
    /// Half hours of the day in which a row began.
    pub active_half_hours: u64,
    /// Rows by the asker's JA4.
    pub ja4: CountedSet<TextId, 4>,
}

impl Served {
    pub(super) fn add(&mut self, totals: Totals, turns: u32, pair_gap: DurationNs, seen: Seen, class: SpanClass) {
        let exchanges = u64::from(turns.div_ceil(2)).max(1);
        self.totals.merge(totals);
        count(&mut self.exchanges, exchanges);
        self.answer_sizes.add(totals.data_bytes[0] / exchanges);
        if pair_gap > DurationNs::ZERO {
            self.gaps_ms.add((pair_gap.0 / 1_000_000).clamp(1, GAP_MS_MAX));
        }
        self.seen.merge(seen);
        self.mark(seen.first, class);
    }

    fn mark(&mut self, ts: TimestampNs, class: SpanClass) {
        let bit = |slot_s: u64, slots: u64| 1u64 << (ts.0 / DurationNs::from_secs(slot_s).0 % slots);
        if class < SpanClass::Day {
            self.active_minutes |= bit(60, 60);
        }
        self.active_half_hours |= bit(1800, 48);
    }

    pub(super) fn rollup(&mut self, to: SpanClass) {
        if to == SpanClass::Day {
            self.active_minutes = 0;
        }
    }

    pub(super) fn bound(&mut self) {
        self.ja4.bound();
    }
}

impl Merge for Served {
    fn merge(&mut self, other: Self) {
        let Self { totals, exchanges, answer_sizes, gaps_ms, seen, active_minutes, active_half_hours, ja4 } = other;
        self.totals.merge(totals);
        count(&mut self.exchanges, exchanges);
        self.answer_sizes.merge(answer_sizes);
        self.gaps_ms.merge(gaps_ms);
        self.seen.merge(seen);
        self.active_minutes |= active_minutes;
        self.active_half_hours |= active_half_hours;
        self.ja4.merge(ja4);
    }
}

impl Weighed for Served {
    type Others = Totals;

    /// Every answer counts a kilobyte beside its bytes: many small records matter as much as a few large files.
    fn weight(&self) -> u64 {
        self.totals.bytes().saturating_add(self.exchanges.saturating_mul(1 << 10))
    }

    fn to_others(&self) -> Totals {
        self.totals
    }
}
