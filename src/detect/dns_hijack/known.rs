//! Known: who asked which resolver when, in a window and the hour before it, in an hour, or in a day.
//! In: a scene, the usual resolvers. Out: the askers of a resolver, what each asked the usual ones, when it was there at all,
//! and which share of all that was asked came after a moment.
//! Bounds: the pairs of the span; of the hour before a window the pairs of the askers that are followed (`facet`), looked
//! up one by one: walking that hour for each of its windows would cost more than the windows.

use std::collections::{BTreeMap, BTreeSet};

use crate::detect::scene::Scene;
use crate::population::collector::{CollectorKey, CollectorSummary};
use crate::population::conflict::wide_network_of;
use crate::population::sketch::{Merge, Timeline};
use crate::population::span::Seen;
use crate::population::{
    AskedInside, Minutes, PairKey, PairSummary, PopulationIndex, SpanClass, SubscriberKey, Summary,
};
use crate::units::{Address, DurationNs, TimestampNs};

/// Parties that answer DNS from which on who asks them all is a resolver: a device that was turned asks two, or some in turn.
const RECURSIVE_MIN: usize = 16;

/// See the file's header.
pub(super) struct Known<'a> {
    scene: &'a Scene<'a>,
    population: PopulationIndex,
    /// The hour so far where the span is one of its windows.
    hour: Option<&'a Summary>,
    /// None where the span is a window without an hour before it: too short to know a before.
    pub slots: Option<Slots>,
    /// The minutes of a day that is no longer than two hours: what began just before or after the full hour shows there.
    pub minutes: Option<Slots>,
    usual: Vec<Address>,
    /// The pairs of each usual resolver, ascending by subscriber: looked for once a scene, not for each asker.
    usual_pairs: Vec<&'a [(PairKey, &'a PairSummary)]>,
    asked_in: BTreeMap<u32, Vec<u64>>,
    /// What subscribers asked resolvers inside, which are usual, too.
    inside: AskedOfInside,
    /// Subscribers that ask so many that they are resolvers themselves: nobody turned them to each of those.
    recursive: BTreeSet<Address>,
}

/// What each subscriber that the span shows asked resolvers inside, in it and in the hour before.
pub(super) type AskedOfInside = BTreeMap<Address, AskedInside>;

/// Of one population. Those whom a window does not show are looked for in none: walking the hour for each of its windows would cost
/// more than the windows.
pub(super) fn asked_inside(scene: &Scene<'_>, population: PopulationIndex) -> AskedOfInside {
    let hour = scene.hour_before();
    let mut all = AskedOfInside::new();
    scene.summary.subscribers.each_of(|key, one| {
        let mut asked = one.asked_inside;
        if key.population == population {
            asked.merge(hour.and_then(|hour| hour.subscribers.of(key)).map(|one| one.asked_inside).unwrap_or_default());
        }
        if key.population == population && asked.flows > 0 {
            all.insert(key.subscriber, asked);
        }
    });
    all
}

/// Who asked a resolver, and what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    /// Its pseudonym.
    pub subscriber: Address,
    /// What it asked that resolver.
    pub pair: PairSummary,
    /// What it asked the usual ones; none where it never did.
    pub usual: Option<Usual>,
}

/// What one subscriber asked the usual resolvers, outside and inside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usual {
    /// First and last.
    pub seen: Seen,
    /// Flows.
    pub flows: u64,
    minutes: Minutes,
    half_hours: u64,
}

impl Usual {
    fn of(pair: &PairSummary) -> Self {
        let PairSummary { seen, totals, active_minutes: minutes, active_half_hours: half_hours, .. } = *pair;
        Self { seen, flows: totals.flows, minutes, half_hours }
    }

    fn of_inside(asked: &AskedInside) -> Self {
        let AskedInside { flows, seen, active_minutes: minutes, active_half_hours: half_hours } = *asked;
        Self { seen, flows, minutes, half_hours }
    }

    fn and(mut self, other: Self) -> Self {
        self.seen.merge(other.seen);
        self.flows += other.flows;
        self.minutes.merge(other.minutes);
        self.half_hours |= other.half_hours;
        self
    }
}

impl<'a> Known<'a> {
    /// `usual` are the usual resolvers outside, `inside` is what was asked of resolvers inside.
    pub(super) fn of(
        scene: &'a Scene<'a>,
        population: PopulationIndex,
        usual: &BTreeSet<Address>,
        inside: AskedOfInside,
    ) -> Self {
        let hour = scene.hour_before();
        // Of a window alone there are none.
        let slots = Slots::of_span(hour.unwrap_or(scene.summary));
        let usual_pairs: Vec<_> = usual.iter().map(|address| scene.pairs_of(population, *address)).collect();
        let mut known = Self {
            scene,
            population,
            hour,
            slots,
            minutes: Slots::minutes_of_day(scene.summary),
            usual: usual.iter().copied().collect(),
            usual_pairs,
            asked_in: BTreeMap::new(),
            inside,
            recursive: BTreeSet::new(),
        };
        let all = slots.into_iter().chain(known.minutes);
        known.asked_in = all.map(|slots| (slots.number, known.questions_by_slot(slots))).collect();
        known
    }

    /// The same without the subscribers that are resolvers themselves, told by how many of all parties that answer DNS each asks.
    pub(super) fn without_resolvers(self, all: impl Iterator<Item = Address>) -> Self {
        let mut asked: BTreeMap<Address, usize> = BTreeMap::new();
        let pairs = all.flat_map(|address| self.scene.pairs_of(self.population, address));
        pairs.for_each(|(key, _)| *asked.entry(key.subscriber).or_default() += 1);
        asked.retain(|_, asked| *asked >= RECURSIVE_MIN);
        Self { recursive: asked.into_keys().collect(), ..self }
    }

    /// Whose a resolver's network is, where a file of places says so.
    pub(super) fn asn_of(&self, resolver: Address) -> Option<u32> {
        self.scene.places.of(resolver).asn
    }

    /// Whether a resolver is where usual ones are: in the same system, or, where that is not known, the same /16 or /32.
    pub(super) fn is_of_usual_operator(&self, resolver: Address) -> bool {
        let asn = self.asn_of(resolver);
        self.usual.iter().any(|usual| match (asn, self.asn_of(*usual)) {
            (Some(asn), Some(other)) => asn == other,
            _ => wide_network_of(resolver) == wide_network_of(*usual),
        })
    }

    /// Whether the span is a window.
    pub(super) fn is_window(&self) -> bool {
        self.scene.summary.class() == SpanClass::Window
    }

    /// Whether nothing is known of earlier hours.
    pub(super) fn is_first_hour(&self) -> bool {
        !self.scene.before().any(|one| one.class() == SpanClass::Day)
    }

    /// Since when a resolver is in use; none where it was before the hour, or the span has no before.
    pub(super) fn began(&self, resolver: Address) -> Option<TimestampNs> {
        let key = CollectorKey { population: self.population, address: resolver };
        let was_there = |one: &Summary| one.class() == SpanClass::Day && one.collectors.of(&key).is_some();
        if self.slots.is_none() || self.scene.before().any(was_there) {
            return None;
        }
        self.records_of(resolver).map(|one| one.seen.first).min()
    }

    /// How many asked a resolver, in the span or the hour before, whichever saw more.
    pub(super) fn askers(&self, resolver: Address) -> u64 {
        let all = self.records_of(resolver).map(|one| one.subscribers.count()).max().unwrap_or(0);
        if self.recursive.is_empty() {
            return all;
        }
        let pairs = self.scene.pairs_of(self.population, resolver).iter();
        all.saturating_sub(pairs.filter(|(key, _)| self.recursive.contains(&key.subscriber)).count() as u64)
    }

    /// How many were active at all, the same way.
    pub(super) fn active(&self) -> u64 {
        let of = |one: &Summary| one.populations.get(&self.population).map_or(0, |all| all.active.count());
        self.spans().map(of).max().unwrap_or(0)
    }

    /// Everybody who asked a resolver; in a window, those of before who are followed.
    pub(super) fn askers_of(&self, resolver: Address) -> Vec<Asker> {
        let here = self.scene.pairs_of(self.population, resolver);
        let mut pairs: BTreeMap<Address, PairSummary> =
            here.iter().map(|(key, pair)| (key.subscriber, **pair)).collect();
        if let Some(hour) = self.hour {
            let followed = self.records_of(resolver).map(|one| one.sample());
            let mut anybody: BTreeSet<Address> = pairs.keys().copied().collect();
            followed.for_each(|sample| anybody.extend(sample.iter().map(|one| one.subscriber)));
            for subscriber in anybody {
                let key = PairKey { population: self.population, collector: resolver, subscriber };
                if let Some(before) = hour.pairs.of(&key) {
                    pairs.entry(subscriber).or_default().merge(*before);
                }
            }
        }
        let askers = pairs.into_iter().filter(|(subscriber, _)| !self.recursive.contains(subscriber));
        askers.map(|(subscriber, pair)| Asker { subscriber, pair, usual: self.asked_by(subscriber) }).collect()
    }

    /// Share of the slots of all who ask the usual resolvers that lie at or after this one.
    pub(super) fn share_from(&self, slots: Slots, slot: u32) -> f64 {
        let asked_in = self.asked_in.get(&slots.number).map_or(&[][..], Vec::as_slice);
        let after: u64 = asked_in.iter().skip(slot as usize).sum();
        after as f64 / asked_in.iter().sum::<u64>().max(1) as f64
    }

    /// The slots in which a subscriber did anything at all, and how many of these were over when something began.
    pub(super) fn there(&self, slots: Slots, subscriber: Address, began: TimestampNs) -> [u32; 2] {
        let key = SubscriberKey { population: self.population, subscriber };
        let mine = self.spans().filter_map(|one| one.subscribers.of(&key));
        let line = mine.map(|one| one.line.clone()).reduce(|mut all, more| {
            all.merge(more);
            all
        });
        // 64 or 2,048 seconds: what lasts for a slot counts once.
        line.map_or([0; 2], |line| {
            let line = line.at_level(slots.slot_s.ilog2() as u8 + 1);
            [line.ticks().len() as u32, over_by(&line, began)]
        })
    }

    /// What one subscriber asked the usual resolvers; none where it never did.
    fn asked_by(&self, subscriber: Address) -> Option<Usual> {
        let here = self.usual_pairs.iter().filter_map(|pairs| {
            let at = pairs.binary_search_by(|(other, _)| other.subscriber.cmp(&subscriber)).ok()?;
            Some(pairs[at].1)
        });
        let before = self.hour.into_iter().flat_map(|hour| {
            let key = move |collector| PairKey { population: self.population, collector, subscriber };
            self.usual.iter().filter_map(move |address| hour.pairs.of(&key(*address)))
        });
        let inside = self.inside.get(&subscriber).map(Usual::of_inside);
        here.chain(before).map(Usual::of).chain(inside).reduce(Usual::and)
    }

    /// How many ask the usual resolvers in each slot; in a window, those who are followed.
    fn questions_by_slot(&self, slots: Slots) -> Vec<u64> {
        let mut asked = vec![0; slots.number as usize];
        if self.hour.is_none() {
            for (_, pair) in self.usual_pairs.iter().copied().flatten() {
                let bits = slots.of(pair);
                (0..slots.number).filter(|at| bits >> at & 1 == 1).for_each(|at| asked[at as usize] += 1);
            }
            for bits in self.inside.values().map(|inside| slots.of_usual(&Usual::of_inside(inside))) {
                (0..slots.number).filter(|at| bits >> at & 1 == 1).for_each(|at| asked[at as usize] += 1);
            }
            return asked;
        }
        // A line of few moments is finer than a minute: what lies in one counts once.
        let inside = self.inside.iter();
        let mut bits: BTreeMap<Address, u128> =
            inside.map(|(subscriber, asked)| (*subscriber, slots.of_usual(&Usual::of_inside(asked)))).collect();
        let followed: Vec<_> =
            self.usual.iter().flat_map(|address| self.records_of(*address)).map(|one| one.sample()).collect();
        for one in followed.iter().flat_map(|sample| sample.iter()) {
            let mine = bits.entry(one.subscriber).or_default();
            for tick in one.line.ticks() {
                let second = u64::from(tick.slot) * one.line.slot_s();
                *mine |= 1 << slots.at(TimestampNs(DurationNs::from_secs(second).0));
            }
        }
        for bits in bits.into_values() {
            (0..slots.number).filter(|at| bits >> at & 1 == 1).for_each(|at| asked[at as usize] += 1);
        }
        asked
    }

    /// A party outside, in the span and the hour before.
    fn records_of(&self, address: Address) -> impl Iterator<Item = &'a CollectorSummary> {
        let key = CollectorKey { population: self.population, address };
        self.spans().filter_map(move |one| one.collectors.of(&key)).map(|one| &**one)
    }

    fn spans(&self) -> impl Iterator<Item = &'a Summary> + use<'a> {
        self.hour.into_iter().chain([self.scene.summary])
    }
}

/// Slots of a line that were over at a moment.
fn over_by<const N: usize>(line: &Timeline<N>, at: TimestampNs) -> u32 {
    let slot_ns = DurationNs::from_secs(line.slot_s()).0;
    line.ticks().iter().filter(|tick| (u64::from(tick.slot) + 1).saturating_mul(slot_ns) <= at.0).count() as u32
}

/// The minutes of an hour, or of two, or the half hours of a day, from the span's first on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots {
    /// How many there are.
    pub number: u32,
    slot_s: u64,
    first: u32,
}

/// Days up to which their minutes are told apart.
const MINUTES_OF_DAY: DurationNs = DurationNs::from_secs(119 * 60);

impl Slots {
    fn of_span(summary: &Summary) -> Option<Self> {
        match summary.class() {
            SpanClass::Window => None,
            SpanClass::Hour => Some(Self::from(summary, Minutes::NUMBER, 60)),
            SpanClass::Day => Some(Self::from(summary, 48, 1_800)),
        }
    }

    fn minutes_of_day(summary: &Summary) -> Option<Self> {
        let is_short = summary.class() == SpanClass::Day && summary.span().length() <= MINUTES_OF_DAY;
        is_short.then(|| Self::from(summary, Minutes::NUMBER, 60))
    }

    fn from(summary: &Summary, number: u32, slot_s: u64) -> Self {
        let slots = Self { number, slot_s, first: 0 };
        Self { first: slots.at(summary.span().start), ..slots }
    }

    /// Whether they are minutes.
    pub(super) fn are_minutes(self) -> bool {
        self.number == Minutes::NUMBER
    }

    /// The slot of a moment.
    pub(super) fn at(self, ts: TimestampNs) -> u32 {
        let slot = (ts.0 / DurationNs::from_secs(self.slot_s).0 % u64::from(self.number)) as u32;
        (slot + self.number - self.first) % self.number
    }

    /// Bits of the slots before that of `ts`.
    pub(super) fn before(self, ts: TimestampNs) -> u128 {
        (1 << self.at(ts)) - 1
    }

    /// Slots in which somebody asked a resolver, and the usual ones.
    pub(super) fn of_both(self, asker: &Asker) -> [u128; 2] {
        [self.of(&asker.pair), asker.usual.map_or(0, |usual| self.of_usual(&usual))]
    }

    fn of_usual(self, usual: &Usual) -> u128 {
        self.in_order(usual.minutes, usual.half_hours)
    }

    fn of(self, pair: &PairSummary) -> u128 {
        self.in_order(pair.active_minutes, pair.active_half_hours)
    }

    fn in_order(self, minutes: Minutes, half_hours: u64) -> u128 {
        in_order(if self.are_minutes() { minutes.bits() } else { half_hours.into() }, self.first, self.number)
    }
}

/// Slots of a clock's round as bits from the span's first on.
fn in_order(bits: u128, first: u32, slots: u32) -> u128 {
    (bits >> first | bits << (slots - first)) & ((1 << slots) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_begins_where_the_span_does() {
        assert_eq!(in_order(0b1011, 0, 60), 0b1011);
        assert_eq!(in_order(1 << 46 | 1 << 59 | 1, 46, 60), 1 | 1 << 13 | 1 << 14);
    }
}
