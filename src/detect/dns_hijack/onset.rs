//! Onset: whether a resolver came into use while somebody was looking.
//! In: the minutes of an hour, or the half hours of a day, in which each asker asked it and the usual resolver, or was active at
//! all. Out: how likely it is that none of them asked it earlier, had they always asked it as often as since.
//! Whoever chose his resolver long ago asks it whenever he asks anything, so the first question to it comes early. A router
//! that was set to another one asks it from then on only, and many routers from the same minute on. It matters little
//! whether the usual resolver is asked on: a device with a resolver of its own in a home that was turned goes on as before, and
//! behind an address that many homes share, all homes but one do. Who asked nobody before, but was there, would have asked it
//! then as well; who was not there yet is one arrival, by everybody's clock, and no more of these count than of those who were
//! there: guests who come with a resolver of their own say nothing. Of each asker two things are believed no more than the other:
//! how its own questions lie in time, which says too much where one device asks all day and another, the one with the resolver,
//! now and then; and how everybody's lie.
//! Bounds: the askers of the resolver.

use super::known::{Asker, Known, Slots};
use crate::population::span::Seen;
use crate::units::{DurationNs, TimestampNs};

/// Slots with a question to the resolver that count of one asker: of the minutes of an hour a few are as good as independent;
/// of the half hours of a day none are, for a device that sleeps at night is missing all night.
const SLOTS_COUNTED_HOUR: u32 = 4;
const SLOTS_COUNTED_DAY: u32 = 1;
/// Slots before the first question from which on there was a before: in the first minutes everything is new. Where nothing is
/// known of earlier hours they count less: in two of fifty captures nobody asked a resolver that 7 to 15 homes had chosen in the
/// first six or eight minutes, and each home's chance of that, multiplied, looked like one in 50 to 250 (see [`FIRST_TIMES`]).
const BEFORE_MIN_HOUR: u32 = 5;
const BEFORE_MIN_FIRST_HOUR: u32 = 4;
const BEFORE_MIN_DAY: u32 = 1;
/// Slots of a first hour before which a beginning is so many times likelier than the askers' chances make it: of 360 resolvers
/// that an eighth to a third of the homes had chosen, in 120 captures, three looked like one in 60 to 500, all of them asked
/// first in minutes 11 to 13. Homes are used in visits, and no visit to such a resolver in a while is less rare than no question.
const EARLY_SLOTS: u32 = 15;
const EARLY_TIMES: f64 = 3.0;
/// The same of the first minutes of all, in which only that dozens begin at once is no chance.
const FIRST_SLOTS: u32 = 10;
const FIRST_TIMES: f64 = 1e4;
/// Askers that must have been there before, and how many of them must have asked the usual resolver: one or two may have woken
/// late together by chance, and homes that asked nobody may have had nothing to ask.
const ASKERS_THERE_MIN: u64 = 3;
const ASKERS_BEFORE_MIN: u64 = 2;
/// So many that were there are no chance, even if only one of them had asked the usual one: homes of a mobile network that ask
/// twice an hour have mostly asked nobody yet, and were there.
const ASKERS_THERE_MANY: u64 = 5;
/// Of so many none need have asked the usual one: where that is asked over IPv4 and this one over IPv6 a device goes by two addresses.
const ASKERS_THERE_CROWD: u64 = 12;
/// How unlikely one asker's own late beginning is from which on it counts as having turned that day, and the slots counted then.
const LATE_CHANCE: f64 = 0.15;
const LATE_SLOTS: u32 = 3;
/// A question to the old resolver this long after the first to the new one still counts as turning.
const TURNING: DurationNs = DurationNs::from_secs(90);
/// Flows to each of two resolvers before anything can be told of a subscriber.
const FLOWS_MIN: u64 = 2;
/// And to both before an asker counts as one that turned: two to each, in any order, lie apart by chance for one in six.
const FLOWS_OF_BOTH_MIN: u64 = 6;
/// The least that one asker makes of the chance: no single home can tell what many do.
const ASKER_CHANCE_MIN: f64 = 0.05;

/// When askers began to ask a resolver, and how likely that is by chance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Onset {
    /// The first question to it.
    pub began: TimestampNs,
    /// Askers that had asked the usual resolver before.
    pub askers_before: u64,
    /// Askers that had done so, or anything else.
    pub askers_there: u64,
    /// Upper bound of the probability that none of them asked it before, had they asked it as often as since.
    pub chance: f64,
}

impl Onset {
    /// Of one resolver, or of several that are one party's, by the slots that tell most; none where the span has no slots, or nobody
    /// asked anything before.
    pub(super) fn of(known: &Known<'_>, began: TimestampNs, askers: &[Asker]) -> Option<Self> {
        let all = known.slots.into_iter().chain(known.minutes);
        let by_each = all.filter_map(|slots| Self::by(known, slots, began, askers));
        by_each.min_by(|a, b| a.chance_of_many().total_cmp(&b.chance_of_many()))
    }

    fn by(known: &Known<'_>, slots: Slots, began: TimestampNs, askers: &[Asker]) -> Option<Self> {
        if !is_late_in(known, slots, began) {
            return None;
        }
        let counted_max = if slots.are_minutes() { SLOTS_COUNTED_HOUR } else { SLOTS_COUNTED_DAY };
        let (earlier, share) = (slots.before(began), known.share_from(slots, slots.at(began)));
        let mut onset = Self { began, askers_before: 0, askers_there: 0, chance: 1.0 };
        let mut arrived = 0;
        if known.is_first_hour() && slots.are_minutes() {
            onset.chance = match slots.at(began) {
                ..FIRST_SLOTS => FIRST_TIMES,
                FIRST_SLOTS..EARLY_SLOTS => EARLY_TIMES,
                _ => 1.0,
            };
        }
        for asker in askers {
            let [here, there] = slots.of_both(asker);
            let (before, picked) = ((there & earlier).count_ones(), here.count_ones().min(counted_max));
            let by_own = match before {
                0 => {
                    let [all, before] = known.there(slots, asker.subscriber, began);
                    none_before(all, before, picked)
                }
                _ => none_before((here | there).count_ones(), before, picked),
            };
            let is_there = before > 0 || by_own < 1.0;
            onset.askers_before += u64::from(before > 0);
            onset.askers_there += u64::from(is_there);
            arrived += u64::from(!is_there);
            onset.chance *= by_own.max(share.powi(picked as i32)).max(ASKER_CHANCE_MIN);
        }
        onset.chance *= share.max(ASKER_CHANCE_MIN).powi(arrived.min(onset.askers_there) as i32);
        onset.chance = onset.chance.min(1.0);
        (onset.askers_there > 0).then_some(onset)
    }

    /// How likely so late a beginning is; certain where too few had asked before.
    pub(super) fn chance_of_many(self) -> f64 {
        let Self { askers_there: there, askers_before: before, .. } = self;
        let are_enough = there >= ASKERS_THERE_MIN && before >= ASKERS_BEFORE_MIN;
        let are_many = there >= ASKERS_THERE_MANY && before > 0 || there >= ASKERS_THERE_CROWD;
        if are_enough || are_many { self.chance } else { 1.0 }
    }
}

/// Whether enough of the span had passed when something began.
pub(super) fn is_late(known: &Known<'_>, began: TimestampNs) -> bool {
    known.slots.into_iter().chain(known.minutes).any(|slots| is_late_in(known, slots, began))
}

fn is_late_in(known: &Known<'_>, slots: Slots, began: TimestampNs) -> bool {
    let before_min = match slots.are_minutes() {
        true if known.is_first_hour() => BEFORE_MIN_FIRST_HOUR,
        true => BEFORE_MIN_HOUR,
        false => BEFORE_MIN_DAY,
    };
    slots.at(began) >= before_min
}

/// Askers of which it can be told whether they turned, and those that did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Turned {
    /// Asked both, however seldom.
    pub both: u64,
    /// Asked both, enough to tell.
    pub told: u64,
    /// Asked the usual one before and not since; or, over a day, began late by themselves.
    pub turned: u64,
}

impl Turned {
    /// Of all askers of a resolver.
    pub(super) fn of(known: &Known<'_>, askers: &[Asker]) -> Self {
        let mut turned = Self::default();
        for asker in askers {
            let Some(usual) = asker.usual else { continue };
            turned.both += 1;
            let flows = [usual.flows, asker.pair.totals.flows];
            if flows.iter().any(|flows| *flows < FLOWS_MIN) {
                continue;
            }
            let (Seen { first, last }, new) = (usual.seen, asker.pair.seen);
            let is_over = first < new.first && last <= new.first.after(TURNING) && last < new.last;
            turned.told += 1;
            let are_enough = flows.iter().sum::<u64>() >= FLOWS_OF_BOTH_MIN;
            turned.turned += u64::from(are_enough && is_over || began_late(known, asker));
        }
        turned
    }

    /// How likely it is that so many look as if they had turned, where one in `1 / each` does anyway.
    pub(super) fn chance(self, each: f64) -> f64 {
        chance_of_as_many(self.turned, self.told, each)
    }
}

/// Whether an asker of a day began late by itself. In an hour a device's first question comes late by chance too often.
fn began_late(known: &Known<'_>, asker: &Asker) -> bool {
    known.slots.filter(|slots| !slots.are_minutes()).is_some_and(|slots| {
        let [here, there] = slots.of_both(asker);
        let before = (there & slots.before(asker.pair.seen.first)).count_ones();
        none_before((here | there).count_ones(), before, here.count_ones().min(LATE_SLOTS)) <= LATE_CHANCE
    })
}

/// The probability that of `all` slots, `picked` drawn without putting back are none of the first `before`.
fn none_before(all: u32, before: u32, picked: u32) -> f64 {
    let left =
        |drawn: u32| f64::from((all - before).saturating_sub(drawn)) / f64::from(all.saturating_sub(drawn).max(1));
    if before == 0 { 1.0 } else { (0..picked).map(left).product() }
}

/// Upper bound of the probability that of `all` at least `seen` are such as one in `1 / each` is (Chernoff 1952).
fn chance_of_as_many(seen: u64, all: u64, each: f64) -> f64 {
    let (n, share) = (all as f64, seen as f64 / all.max(1) as f64);
    if share <= each {
        return 1.0;
    }
    let rest = if share < 1.0 { (1.0 - share) * ((1.0 - share) / (1.0 - each)).ln() } else { 0.0 };
    (-n * (share * (share / each).ln() + rest)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_drawn_without_putting_back() {
        for (all, before, picked, wanted) in
            [(10, 0, 3, 1.0), (10, 5, 1, 0.5), (10, 5, 2, 0.5 * 4.0 / 9.0), (3, 2, 1, 1.0 / 3.0), (4, 2, 3, 0.0)]
        {
            let chance = none_before(all, before, picked);
            assert!((chance - wanted).abs() < 1e-12, "{all} {before} {picked}: {chance}");
        }
    }

    #[test]
    fn many_of_a_kind_are_rare() {
        assert_eq!(chance_of_as_many(1, 5, 0.2), 1.0);
        assert!((chance_of_as_many(8, 8, 0.2) - 0.2f64.powi(8)).abs() < 1e-12);
        assert!(chance_of_as_many(2, 3, 0.2) > 0.1 && chance_of_as_many(6, 8, 0.2) < 0.01);
    }
}
