//! Onset: whether a resolver came into use while somebody was looking.
//! In: the minutes of an hour, or the half hours of a day, in which each asker asked it and the usual resolver, or was active at
//! all. Out: how likely it is that none of them asked it earlier, had they always asked it as often as since.
//! Whoever chose his resolver long ago asks it whenever he asks anything, so the first question to it comes early. A router
//! that was set to another one asks it from then on only, and many routers from the same minute on. It matters little
//! whether the usual resolver is asked on: a device with a resolver of its own in a home that was turned goes on as before, and
//! behind an address that many homes share, all homes but one do. Who asked nobody before, but was there, would have asked it
//! then as well: as likely as it was active then, or as others asked, whichever is less.
//! Bounds: the pairs of the resolver. A single window is too short to know a before.

use std::collections::BTreeSet;

use crate::detect::scene::Scene;
use crate::population::span::Seen;
use crate::population::{PairKey, PairSummary, PopulationIndex, SpanClass, SubscriberKey};
use crate::units::{Address, DurationNs, TimestampNs};

/// Slots with a question to the resolver that count of one asker: of the minutes of an hour a few are as good as independent;
/// of the half hours of a day none are, for a device that sleeps at night is missing all night.
const SLOTS_COUNTED_HOUR: u32 = 3;
const SLOTS_COUNTED_DAY: u32 = 1;
/// Slots before the first question from which on there was a before: in the first minutes everything is new.
const BEFORE_MIN_HOUR: u32 = 5;
const BEFORE_MIN_DAY: u32 = 2;
/// Askers that must have been there before, and how many of them must have asked the usual resolver: one or two may have woken
/// late together by chance, and homes that asked nobody may have had nothing to ask.
const ASKERS_THERE_MIN: u64 = 3;
const ASKERS_BEFORE_MIN: u64 = 2;
/// How unlikely one asker's own late beginning is from which on it counts as having turned that day, and the slots counted then.
const LATE_CHANCE: f64 = 0.15;
const LATE_SLOTS: u32 = 3;
/// A question to the old resolver this long after the first to the new one still counts as turning.
const TURNING: DurationNs = DurationNs::from_secs(90);
/// Flows to each of two resolvers before anything can be told of a subscriber.
const FLOWS_MIN: u64 = 2;
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

/// Who asked the usual resolvers: the pairs of each, ascending by subscriber. Looked for once a scene, not for each asker.
#[derive(Debug)]
pub(super) struct UsualAskers<'a>(Vec<&'a [(PairKey, &'a PairSummary)]>);

impl<'a> UsualAskers<'a> {
    pub(super) fn of(scene: &'a Scene<'_>, population: PopulationIndex, usual: &BTreeSet<Address>) -> Self {
        Self(usual.iter().map(|address| scene.pairs_of(population, *address)).collect())
    }

    /// What one subscriber asked them; none where it never did.
    pub(super) fn asked_by(&self, subscriber: Address) -> Option<Usual> {
        let mut all: Option<Usual> = None;
        for pairs in &self.0 {
            let Ok(at) = pairs.binary_search_by(|(other, _)| other.subscriber.cmp(&subscriber)) else { continue };
            let PairSummary { seen, totals, active_minutes, active_half_hours, .. } = *pairs[at].1;
            let all = all.get_or_insert(Usual { seen, flows: 0, minutes: 0, half_hours: 0 });
            all.seen.first = all.seen.first.min(seen.first);
            all.seen.last = all.seen.last.max(seen.last);
            all.flows += totals.flows;
            all.minutes |= active_minutes;
            all.half_hours |= active_half_hours;
        }
        all
    }
}

/// What one subscriber asked the usual resolvers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usual {
    /// First and last.
    pub seen: Seen,
    /// Flows.
    pub flows: u64,
    minutes: u64,
    half_hours: u64,
}

impl Onset {
    /// Of one resolver; none where the span has no slots, or nobody asked anything before.
    pub(super) fn of(
        scene: &Scene<'_>,
        population: PopulationIndex,
        resolver: Address,
        (usual, profile): (&UsualAskers<'_>, &Profile),
    ) -> Option<Self> {
        let pairs = scene.pairs_of(population, resolver);
        let began = pairs.iter().map(|(_, pair)| pair.seen.first).min()?;
        let slots = Slots::of_span(scene)?;
        let earlier = slots.before(began);
        let (before_min, counted_max) = match slots.number {
            60 => (BEFORE_MIN_HOUR, SLOTS_COUNTED_HOUR),
            _ => (BEFORE_MIN_DAY, SLOTS_COUNTED_DAY),
        };
        if earlier < (1 << before_min) - 1 {
            return None;
        }
        let (mut askers_before, mut askers_there, mut chance) = (0, 0, 1.0);
        for (key, pair) in pairs {
            let usual = usual.asked_by(key.subscriber);
            let [here, there] = slots.of_both(pair, usual.as_ref());
            let (before, picked) = ((there & earlier).count_ones(), here.count_ones().min(counted_max));
            let of_asker = match before {
                0 => {
                    let by_own = slots.idle_before(scene, (population, key.subscriber), began, picked);
                    askers_there += u64::from(by_own < 1.0);
                    by_own.max(profile.share_from(slots.at(began)).powi(picked as i32))
                }
                _ => {
                    (askers_before, askers_there) = (askers_before + 1, askers_there + 1);
                    none_before((here | there).count_ones(), before, picked)
                }
            };
            chance *= of_asker.max(ASKER_CHANCE_MIN);
        }
        (askers_there > 0).then_some(Self { began, askers_before, askers_there, chance })
    }

    /// How likely so late a beginning is; certain where too few had asked before.
    pub(super) fn chance_of_many(self) -> f64 {
        let are_many = self.askers_there >= ASKERS_THERE_MIN && self.askers_before >= ASKERS_BEFORE_MIN;
        if are_many { self.chance } else { 1.0 }
    }

    /// Two resolvers that are one party's.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            began: self.began.min(other.began),
            askers_before: self.askers_before + other.askers_before,
            askers_there: self.askers_there + other.askers_there,
            chance: self.chance * other.chance,
        }
    }
}

/// Askers of which it can be told whether they turned, and those that did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Turned {
    /// Asked both, enough to tell.
    pub told: u64,
    /// Asked the usual one before and not since; or, over a day, began late by themselves.
    pub turned: u64,
}

impl Turned {
    /// Of one asker: what it asked the resolver, and what the usual ones.
    pub(super) fn of(scene: &Scene<'_>, pair: &PairSummary, usual: &Usual) -> Self {
        if usual.flows < FLOWS_MIN || pair.totals.flows < FLOWS_MIN {
            return Self::default();
        }
        let Seen { first, last } = usual.seen;
        let is_over = first < pair.seen.first && last <= pair.seen.first.after(TURNING) && last < pair.seen.last;
        // In an hour a device's first question comes late by chance too often, and silence is all that tells.
        let is_late = || {
            Slots::of_span(scene).filter(|slots| slots.number != 60).is_some_and(|slots| {
                let [here, there] = slots.of_both(pair, Some(usual));
                let before = (there & slots.before(pair.seen.first)).count_ones();
                none_before((here | there).count_ones(), before, here.count_ones().min(LATE_SLOTS)) <= LATE_CHANCE
            })
        };
        Self { told: 1, turned: u64::from(is_over || is_late()) }
    }

    /// How likely it is that so many look as if they had turned, where one in `1 / each` does anyway.
    pub(super) fn chance(self, each: f64) -> f64 {
        chance_of_as_many(self.turned, self.told, each)
    }

    /// Of two resolvers.
    pub(super) fn and(self, other: Self) -> Self {
        Self { told: self.told + other.told, turned: self.turned + other.turned }
    }
}

/// When the population asks the usual resolvers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Profile {
    /// How many subscribers ask in each slot; none of a span without slots.
    askers: Vec<u64>,
}

impl Profile {
    /// Of a population.
    pub(super) fn of(scene: &Scene<'_>, usual: &UsualAskers<'_>) -> Self {
        let Some(slots) = Slots::of_span(scene) else { return Self { askers: Vec::new() } };
        let mut askers = vec![0; slots.number as usize];
        for (_, pair) in usual.0.iter().copied().flatten() {
            let asked = slots.of(pair);
            (0..slots.number).filter(|at| asked >> at & 1 == 1).for_each(|at| askers[at as usize] += 1);
        }
        Self { askers }
    }

    /// Share of the slots of all subscribers that lie at or after this one.
    fn share_from(&self, slot: u32) -> f64 {
        let after: u64 = self.askers.iter().skip(slot as usize).sum();
        after as f64 / self.askers.iter().sum::<u64>().max(1) as f64
    }
}

/// The minutes of an hour or the half hours of a day, from the span's first on.
#[derive(Clone, Copy, Debug)]
struct Slots {
    number: u32,
    slot_s: u64,
    first: u32,
}

impl Slots {
    fn of_span(scene: &Scene<'_>) -> Option<Self> {
        let (number, slot_s) = match scene.summary.class() {
            SpanClass::Window => return None,
            SpanClass::Hour => (60, 60),
            SpanClass::Day => (48, 1_800),
        };
        let slots = Self { number, slot_s, first: 0 };
        Some(Self { first: slots.at(scene.summary.span().start), ..slots })
    }

    /// The probability that of the slots in which a subscriber did anything at all, `picked` are none of those before `began`.
    fn idle_before(
        self,
        scene: &Scene<'_>,
        (population, subscriber): (PopulationIndex, Address),
        began: TimestampNs,
        picked: u32,
    ) -> f64 {
        let Some(own) = scene.summary.subscribers.of(&SubscriberKey { population, subscriber }) else { return 1.0 };
        // 64 or 2,048 seconds: what lasts for a slot counts once.
        let own = own.line.at_level(self.slot_s.ilog2() as u8 + 1);
        let slot_ns = DurationNs::from_secs(own.slot_s()).0;
        let ticks = own.ticks();
        let before = ticks.iter().filter(|tick| (u64::from(tick.slot) + 1).saturating_mul(slot_ns) <= began.0).count();
        none_before(ticks.len() as u32, before as u32, picked)
    }

    fn at(self, ts: TimestampNs) -> u32 {
        let slot = (ts.0 / DurationNs::from_secs(self.slot_s).0 % u64::from(self.number)) as u32;
        (slot + self.number - self.first) % self.number
    }

    /// Bits of the slots before that of `ts`.
    fn before(self, ts: TimestampNs) -> u64 {
        (1 << self.at(ts)) - 1
    }

    /// Slots in which a subscriber asked this one, and the usual ones.
    fn of_both(self, pair: &PairSummary, usual: Option<&Usual>) -> [u64; 2] {
        let usual = usual.map_or(0, |usual| if self.number == 60 { usual.minutes } else { usual.half_hours });
        [self.of(pair), in_order(usual, self.first, self.number)]
    }

    /// Slots in which a subscriber asked this one.
    fn of(self, pair: &PairSummary) -> u64 {
        let bits = if self.number == 60 { pair.active_minutes } else { pair.active_half_hours };
        in_order(bits, self.first, self.number)
    }
}

/// Slots of a clock's round as bits from the span's first on.
fn in_order(bits: u64, first: u32, slots: u32) -> u64 {
    (bits >> first | bits << (slots - first)) & ((1 << slots) - 1)
}

/// The probability that of `all` slots, `picked` drawn without putting back are none of the first `before`.
fn none_before(all: u32, before: u32, picked: u32) -> f64 {
    (0..picked).map(|drawn| f64::from((all - before).saturating_sub(drawn)) / f64::from(all - drawn)).product()
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
    fn a_round_begins_where_the_span_does() {
        assert_eq!(in_order(0b1011, 0, 60), 0b1011);
        assert_eq!(in_order(1 << 46 | 1 << 59 | 1, 46, 60), 1 | 1 << 13 | 1 << 14);
    }

    #[test]
    fn many_of_a_kind_are_rare() {
        assert_eq!(chance_of_as_many(1, 5, 0.2), 1.0);
        assert!((chance_of_as_many(8, 8, 0.2) - 0.2f64.powi(8)).abs() < 1e-12);
        assert!(chance_of_as_many(2, 3, 0.2) > 0.1 && chance_of_as_many(6, 8, 0.2) < 0.01);
    }
}
