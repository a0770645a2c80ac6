//! Counts: whether the calls of subscribers, counted in equal stretches of time, vary less than people's do.
//! In: the timelines of followed subscribers. Out: the index of dispersion of the counts, and how probable such is by chance.
//! Source: Cox and Lewis, The Statistical Analysis of Series of Events (1966). Gaps between calls tell one device's clock;
//! behind a shared address they are those between one device and the next, and look like chance. Counts do not mind: clocks
//! added up are as even as each of them, and people added up as uneven.
//! Bounds: those of the samples; some additions for each call and length of stretch, nothing is allocated.
//! Not here: what evenness means.

use super::rhythm::BEAT_S;
use super::weigh::ramp;
use crate::population::facet::{FOLLOWED_SLOTS, Sample};
use crate::population::sketch::Timeline;

/// Into how many equal stretches the time is cut: the period is not known, and a stretch of one to two periods shows most.
/// Not two: of four calls three in eight fall two and two by chance.
const STRETCHES: std::ops::RangeInclusive<usize> = 3..=STRETCHES_MAX;
const STRETCHES_MAX: usize = 8;
/// Calls of a subscriber from which on they are counted.
const CALLS_MIN: f64 = 3.0;
/// Mean time between calls, in lengths of a beat, below which nothing is told: calls within one beat are one, which is a pause
/// after each and makes calls by chance more even.
const BEATS_APART_MIN: f64 = 10.0;
/// Slots of a timeline that a stretch must span.
const SLOTS_A_STRETCH: f64 = 4.0;
/// What chance is held to: people who stay on what they called for three tenths of the mean time that follows have an index of
/// 1 / 1.3², and are the most even that people are.
const OF_PEOPLE: f64 = 0.59;
/// Index below which it counts as this: where calls are few all fall evenly by chance, and the law used for them has no end.
const INDEX_MIN: f64 = 0.1;
/// Index between which opinion turns. A clock that strays by nearly half its period comes to 0.15 to 0.35.
const CLOCKWORK_TURNS: (f64, f64) = (0.5, 0.35);

/// See the file's header.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counts {
    /// How much the counts vary, over how much those of calls at any time would: 0 for a clock, 1 for chance, more for people
    /// who come and go.
    pub dispersion: f64,
    /// How probable it is that people's calls are as even, over all lengths of stretch; rather too high than too low.
    pub chance: f64,
}

impl Counts {
    /// Of a collector's followed subscribers, by the stretch that speaks most for a clock; none where too few calls repeat.
    pub fn of(sample: &Sample) -> Option<Self> {
        let every = || sample.iter().flat_map(|one| calls(&one.line));
        let (first, last, sum) = every()
            .fold((f64::INFINITY, f64::NEG_INFINITY, 0.0), |(first, last, sum), (at, n)| {
                (f64::min(first, at), f64::max(last, at), sum + n)
            });
        let length_s = last - first;
        let slot_s = sample.iter().map(|one| one.line.slot_s()).max()? as f64;
        if length_s * sample.len() as f64 / sum < BEATS_APART_MIN * BEAT_S {
            return None;
        }
        let is_told = |stretches: &usize| length_s / *stretches as f64 >= SLOTS_A_STRETCH * slot_s;
        let found = STRETCHES.filter(is_told).filter_map(|stretches| Self::at(sample, (first, length_s), stretches));
        found.min_by(|a, b| a.chance.total_cmp(&b.chance))
    }

    /// 0 for people, 1 for a clock.
    pub fn clockwork(&self) -> f64 {
        ramp(self.dispersion, CLOCKWORK_TURNS.0, CLOCKWORK_TURNS.1)
    }

    /// With so many stretches. Given how many calls a subscriber makes, those at any time fall into each stretch as often:
    /// their squared deviations come to one less than the stretches, with a variance of twice that and a little less.
    fn at(sample: &Sample, (first, length_s): (f64, f64), stretches: usize) -> Option<Self> {
        let free = (stretches - 1) as f64;
        let (mut deviations, mut mean, mut variance) = (0.0, 0.0, 0.0);
        for one in sample.iter() {
            let mut counts = [0.0; STRETCHES_MAX];
            for (at, calls) in calls(&one.line) {
                let stretch = ((at - first) / length_s * stretches as f64) as usize;
                counts[stretch.min(stretches - 1)] += calls;
            }
            let sum: f64 = counts.iter().sum();
            if sum < CALLS_MIN {
                continue;
            }
            let squares: f64 = counts.iter().map(|calls| calls * calls).sum();
            deviations += stretches as f64 * squares / sum - sum;
            mean += free;
            variance += 2.0 * free * (1.0 - 1.0 / sum);
        }
        let dispersion = deviations / mean;
        // A gamma law of that mean and variance, by Chernoff's bound of its lower tail.
        let ratio = (dispersion.max(INDEX_MIN) / OF_PEOPLE).min(1.0);
        let chance = (-mean * mean / variance * (ratio - 1.0 - ratio.ln())).exp();
        let tries = STRETCHES.count() as f64;
        dispersion.is_finite().then_some(Self { dispersion, chance: (tries * chance).min(1.0) })
    }
}

/// When a subscriber called, and how often then: one beat is one call, but where slots are longer than a beat what began in
/// each of them is counted, for a line that is full has something in every slot.
fn calls(line: &Timeline<FOLLOWED_SLOTS>) -> impl Iterator<Item = (f64, f64)> {
    let slot_s = line.slot_s() as f64;
    let mut beat = f64::NEG_INFINITY;
    line.ticks().iter().filter(|tick| tick.flows > 0).filter_map(move |tick| {
        let at = f64::from(tick.slot) * slot_s;
        if slot_s > BEAT_S {
            return Some((at, f64::from(tick.flows)));
        }
        let is_new = at - beat >= BEAT_S;
        if is_new {
            beat = at;
        }
        is_new.then_some((at, 1.0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::facet::Moment;
    use crate::population::span::Seen;
    use crate::units::{Address, TimestampNs};

    /// Draws between 0 and 1.
    struct Draws(u64);

    impl Draws {
        fn next(&mut self) -> f64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((self.0 >> 11) as f64 + 0.5) / (1u64 << 53) as f64
        }
    }

    /// Homes for an hour, so many devices behind the address of each, that call after `gap` seconds again and again.
    fn sample(homes: u8, devices: usize, draws: &mut Draws, gap: impl Fn(&mut Draws) -> f64) -> Sample {
        let mut sample = Sample::default();
        for home in 0..homes {
            for _ in 0..devices {
                let mut at = -2_000.0 * draws.next();
                while at < 3_600.0 {
                    if at >= 0.0 {
                        let ts = TimestampNs(((1e6 + at) * 1e9) as u64);
                        let subscriber = Address::v4([10, 0, 0, home]);
                        sample.add(&Moment {
                            hash: u64::from(home),
                            subscriber,
                            seen: Seen::between(ts, ts),
                            flows: 1,
                            moved: [800, 90],
                        });
                    }
                    at += gap(draws);
                }
            }
        }
        sample
    }

    #[test]
    fn clocks_behind_one_address_are_told_from_people_behind_one() {
        let mut draws = Draws(3);
        for (name, devices, is_clock) in [("one device", 1, true), ("four", 4, true), ("two people", 2, false)] {
            let told = |draws: &mut Draws| {
                let sample = match is_clock {
                    true => sample(16, devices, draws, |draws| 600.0 * (0.55 + 0.9 * draws.next())),
                    false => sample(16, devices, draws, |draws| 460.0 * (0.3 - draws.next().ln())),
                };
                Counts::of(&sample).is_some_and(|counts| counts.chance <= 1e-4 && counts.clockwork() >= 0.5)
            };
            let told = (0..100).filter(|_| told(&mut draws)).count();
            assert!(if is_clock { told >= 70 } else { told == 0 }, "{name}: {told} of 100");
        }
    }

    #[test]
    fn chance_is_as_rare_as_it_is_said_to_be() {
        let mut draws = Draws(7);
        for (homes, mean_s) in [(8, 300.0), (8, 900.0), (16, 150.0), (16, 900.0)] {
            let rounds = 2_000;
            let mut said = 0;
            for _ in 0..rounds {
                let people = sample(homes, 1, &mut draws, |draws| mean_s / 1.3 * (0.3 - draws.next().ln()));
                said += usize::from(Counts::of(&people).is_some_and(|counts| counts.chance <= 1e-2));
            }
            assert!(said <= rounds / 100, "{homes} homes every {mean_s} s: {said} of {rounds} rarer than one in 100");
        }
    }

    #[test]
    fn a_line_without_room_is_not_even_for_that() {
        let mut draws = Draws(11);
        // Three hundred calls an hour at any time: something in each of its 64 slots.
        let dense = sample(16, 1, &mut draws, |draws| -12.0 * draws.next().ln());
        assert!(Counts::of(&dense).is_none_or(|counts| counts.dispersion > 0.7), "{:?}", Counts::of(&dense));
        let forty = sample(16, 1, &mut draws, |draws| -90.0 * draws.next().ln());
        assert!(Counts::of(&forty).is_some_and(|counts| counts.dispersion > 0.7), "{:?}", Counts::of(&forty));
        assert_eq!(Counts::of(&Sample::default()), None);
    }
}
