//! Timeline: what happened when, as finely as its bound allows.
//! In: flows and bytes with the time that they took. Out: sums by slot; a slot lasts 2^level seconds.
//! Bounds: N slots. The level is the lowest at which no more than N slots hold anything, so that a few events of a day keep
//! their second, and many become coarse. As the number of slots at a level only grows with what is put in, the level is a
//! function of the multiset alone, whatever the order and however it was merged.
//! Time: packet timestamps, seconds since 1970.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use smallvec::SmallVec;

use super::{Merge, grow_by_steps};
use crate::units::TimestampNs;

/// Ticks by which a line's room grows, 128 bytes: of a busy minute it holds some fifty.
const TICKS_STEP: usize = 8;
/// Coarsest level: slots of 68 years.
const LEVEL_MAX: u8 = 31;

/// What lasts longer than two of these is spread over its time, in at most [`PARTS_MAX`] parts: a download that goes on for
/// most of a minute did not move all at its beginning.
const PART_S: u64 = 16;
const PARTS_MAX: u64 = 4;
/// Bytes of less are not worth the slots that their parts would take: connections that are kept alive.
const PARTS_BYTES_MIN: u64 = 8_192;

/// What happened in one slot; sums saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// Number of the slot, counted from 1970 in its level.
    pub slot: u32,
    /// Flows that began.
    pub flows: u32,
    /// Data bytes up, and all other payload both ways.
    pub bytes: [u32; 2],
}

impl Tick {
    fn join(&mut self, other: Self) {
        self.flows = self.flows.saturating_add(other.flows);
        for way in 0..2 {
            self.bytes[way] = self.bytes[way].saturating_add(other.bytes[way]);
        }
    }
}

/// Ticks, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Timeline<const N: usize> {
    level: u8,
    ticks: SmallVec<[Tick; 1]>,
}

impl<const N: usize> Timeline<N> {
    /// Adds what happened at `ts`.
    #[inline]
    pub fn add(&mut self, ts: TimestampNs, flows: u32, bytes: [u64; 2]) {
        let second = u32::try_from(ts.0 / 1_000_000_000).unwrap_or(u32::MAX);
        let bytes = bytes.map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        self.put(Tick { slot: second >> self.level, flows, bytes });
    }

    /// Adds what happened between two times, flows at the first of them.
    #[inline]
    pub fn add_over(&mut self, first: TimestampNs, last: TimestampNs, flows: u32, bytes: [u64; 2]) {
        let lasted = last.0.saturating_sub(first.0);
        let parts = match bytes[0].saturating_add(bytes[1]) {
            PARTS_BYTES_MIN.. => (lasted / (PART_S * 1_000_000_000)).clamp(1, PARTS_MAX),
            _ => 1,
        };
        if parts == 1 {
            return self.add(first, flows, bytes);
        }
        for part in 0..parts {
            let share = bytes.map(|n| n / parts + u64::from(part < n % parts));
            let began = if part == 0 { flows } else { 0 };
            self.add(TimestampNs(first.0 + lasted / parts * part), began, share);
        }
    }

    /// Length of a slot, seconds.
    pub fn slot_s(&self) -> u64 {
        1 << self.level
    }

    /// How coarse it is: a slot lasts 2^level seconds.
    pub fn level(&self) -> u8 {
        self.level
    }

    /// Slots in which anything happened, ascending.
    pub fn ticks(&self) -> &[Tick] {
        &self.ticks
    }

    /// The same no finer than `level`.
    pub fn at_level(&self, level: u8) -> Self {
        let mut coarse = self.clone();
        coarse.coarsen(level);
        coarse
    }

    fn put(&mut self, mut tick: Tick) {
        loop {
            let at = match self.ticks.last() {
                // Rows mostly come in order of time.
                Some(last) if last.slot == tick.slot => Ok(self.ticks.len() - 1),
                Some(last) if last.slot < tick.slot => Err(self.ticks.len()),
                _ => self.ticks.binary_search_by_key(&tick.slot, |t| t.slot),
            };
            match at {
                Ok(at) => return self.ticks[at].join(tick),
                // Coarser first and one more then, not the other way: there would be room for twice as many.
                Err(_) if self.ticks.len() >= N && self.level < LEVEL_MAX => {
                    self.coarsen(self.level + 1);
                    tick.slot >>= 1;
                }
                Err(at) => {
                    grow_by_steps(&mut self.ticks, TICKS_STEP);
                    return self.ticks.insert(at, tick);
                }
            }
        }
    }

    fn coarsen(&mut self, level: u8) {
        let level = level.min(LEVEL_MAX);
        let by = level.saturating_sub(self.level);
        if by == 0 {
            return;
        }
        self.level = level;
        self.ticks.iter_mut().for_each(|tick| tick.slot >>= by);
        self.ticks.dedup_by(|next, known| {
            let same = next.slot == known.slot;
            if same {
                known.join(*next);
            }
            same
        });
    }
}

impl<const N: usize> Merge for Timeline<N> {
    fn merge(&mut self, mut other: Self) {
        if self.ticks.is_empty() {
            *self = other;
            return;
        }
        self.coarsen(other.level);
        other.coarsen(self.level);
        for tick in other.ticks {
            // It may have become coarser on the way.
            self.put(Tick { slot: tick.slot >> (self.level - other.level), ..tick });
        }
    }
}

impl<'de, const N: usize> Deserialize<'de> for Timeline<N> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Form {
            level: u8,
            ticks: Vec<Tick>,
        }
        let Form { level, ticks } = Form::deserialize(from)?;
        let ascends = ticks.windows(2).all(|two| two[0].slot < two[1].slot);
        match ascends && ticks.len() <= N && level <= LEVEL_MAX {
            true => Ok(Self { level, ticks: SmallVec::from_vec(ticks) }),
            false => Err(D::Error::custom("not a timeline")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(seconds: &[u32]) -> Timeline<8> {
        let mut line = Timeline::default();
        seconds.iter().for_each(|s| line.add(TimestampNs(u64::from(*s) * 1_000_000_000), 1, [100, 10]));
        line
    }

    #[test]
    fn few_events_keep_their_second_and_many_become_coarse() {
        let slots = |line: &Timeline<8>| line.ticks().iter().map(|tick| tick.slot).collect::<Vec<_>>();
        let few = line(&[7200, 0, 3600]);
        assert_eq!((few.slot_s(), slots(&few)), (1, vec![0, 3600, 7200]));
        let many = line(&(0..64).collect::<Vec<_>>());
        assert_eq!((many.slot_s(), slots(&many)), (8, (0..8).collect()));
        assert!(many.ticks().iter().all(|tick| tick.flows == 8 && tick.bytes == [800, 80]));
        assert_eq!(slots(&few.at_level(12)), vec![0, 1], "slots of 4096 s");
    }

    #[test]
    fn what_lasts_is_spread_and_nothing_of_it_is_lost() {
        let second = |s: u64| TimestampNs(s * 1_000_000_000);
        let mut line = Timeline::<8>::default();
        line.add_over(second(100), second(150), 1, [9_001, 200]);
        let found: Vec<_> = line.ticks().iter().map(|tick| (tick.slot, tick.flows, tick.bytes)).collect();
        assert_eq!(found, [(100, 1, [3_001, 67]), (116, 0, [3_000, 67]), (133, 0, [3_000, 66])]);
        for (what, last, bytes) in [("short", 115, [9_000, 0]), ("little", 900, [4_000, 4_000])] {
            let mut line = Timeline::<8>::default();
            line.add_over(second(100), second(last), 1, bytes);
            assert_eq!(line.ticks().len(), 1, "{what}");
        }
    }

    proptest! {
        #[test]
        fn a_timeline_is_a_function_of_what_was_put_in(
            mut all in prop::collection::vec(prop_oneof![0u32..40, 0u32..100_000, any::<u32>()], 0..60),
            cut in 0usize..60,
        ) {
            let whole = line(&all);
            let (a, b) = all.split_at(cut.min(all.len()));
            let (mut left, mut right) = (line(a), line(b));
            left.merge(line(b));
            right.merge(line(a));
            prop_assert_eq!(&left, &whole);
            prop_assert_eq!(&right, &whole);
            all.reverse();
            prop_assert_eq!(&line(&all), &whole);
            prop_assert!(whole.ticks().len() <= 8);
            let bytes = postcard::to_allocvec(&whole).expect("memory");
            prop_assert_eq!(postcard::from_bytes::<Timeline<8>>(&bytes).expect("its own form"), whole);
        }
    }
}
