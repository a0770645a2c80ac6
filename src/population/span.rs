//! Spans: the stretch of packet time that a summary covers, and how finely its series divide it.
//! Bounds: [`SLOTS_MAX`] slots a series. Time: packet timestamps, slots aligned to 1970.

use serde::{Deserialize, Serialize};

use super::sketch::Merge;
use crate::units::{DurationNs, TimestampNs};

/// Most slots of a series: an hour of the finest ones.
pub const SLOTS_MAX: u64 = 360;

/// How long a summary reaches, and so how fine its series are. Each one's slots nest in the next one's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SpanClass {
    /// Minutes: slots of 10 seconds.
    #[default]
    Window,
    /// Hours: slots of a minute.
    Hour,
    /// Days: slots of a quarter of an hour.
    Day,
}

impl SpanClass {
    /// From fine to coarse.
    pub const ALL: [Self; 3] = [Self::Window, Self::Hour, Self::Day];

    /// Length of a slot.
    pub fn slot(self) -> DurationNs {
        match self {
            Self::Window => DurationNs::from_secs(10),
            Self::Hour => DurationNs::from_secs(60),
            Self::Day => DurationNs::from_secs(900),
        }
    }

    /// Number of the slot that holds `ts`, counted from 1970.
    pub fn slot_of(self, ts: TimestampNs) -> u64 {
        ts.0 / self.slot().0
    }
}

/// A stretch of packet time: from `start`, to just before `end`. The empty span starts after it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Where it begins.
    pub start: TimestampNs,
    /// The first time past it.
    pub end: TimestampNs,
}

impl Span {
    /// No time at all: the identity of [`Merge`].
    pub const EMPTY: Self = Self { start: TimestampNs::MAX, end: TimestampNs::ZERO };

    /// From `start` to just before `end`.
    pub fn new(start: TimestampNs, end: TimestampNs) -> Self {
        if start < end { Self { start, end } } else { Self::EMPTY }
    }

    /// Whether it holds no time.
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// How long it is.
    pub fn length(&self) -> DurationNs {
        self.end.since(self.start)
    }

    /// How many slots of `class` it touches.
    pub fn slots(&self, class: SpanClass) -> u64 {
        if self.is_empty() {
            return 0;
        }
        class.slot_of(self.end.before(DurationNs(1))) - class.slot_of(self.start) + 1
    }

    /// The finest class whose series can hold it; [`SpanClass::Day`] where none can.
    pub fn class(&self) -> SpanClass {
        SpanClass::ALL.into_iter().find(|class| self.slots(*class) <= SLOTS_MAX).unwrap_or(SpanClass::Day)
    }
}

impl Default for Span {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Merge for Span {
    fn merge(&mut self, other: Self) {
        *self = Self { start: self.start.min(other.start), end: self.end.max(other.end) };
    }
}

/// First and last packet. Nothing seen yet is the identity of [`Merge`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The earliest packet; [`TimestampNs::MAX`] where there was none.
    pub first: TimestampNs,
    /// The latest packet; [`TimestampNs::ZERO`] where there was none.
    pub last: TimestampNs,
}

impl Seen {
    /// Packets from `first` to `last`.
    pub fn between(first: TimestampNs, last: TimestampNs) -> Self {
        Self { first: first.min(last), last: last.max(first) }
    }

    /// Time from the first packet to the last.
    pub fn length(&self) -> DurationNs {
        self.last.since(self.first)
    }
}

impl Default for Seen {
    fn default() -> Self {
        Self { first: TimestampNs::MAX, last: TimestampNs::ZERO }
    }
}

impl Merge for Seen {
    fn merge(&mut self, other: Self) {
        *self = Self { first: self.first.min(other.first), last: self.last.max(other.last) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_takes_the_finest_slots_that_hold_it() {
        let secs = |s: u64| TimestampNs(DurationNs::from_secs(s).0);
        let table = [
            (0, 60, SpanClass::Window, 6),
            (5, 65, SpanClass::Window, 7),
            (0, 3600, SpanClass::Window, 360),
            (0, 3601, SpanClass::Hour, 61),
            (0, 86_400, SpanClass::Day, 96),
            (7, 7, SpanClass::Window, 0),
            (0, u64::MAX / 1_000_000_000, SpanClass::Day, 20_496_383),
        ];
        for (start, end, class, slots) in table {
            let span = Span::new(secs(start), secs(end));
            assert_eq!((span.class(), span.slots(span.class())), (class, slots), "{start} to {end}");
        }
        for two in SpanClass::ALL.windows(2) {
            assert_eq!(two[1].slot().0 % two[0].slot().0, 0, "slots nest");
        }
    }
}
