//! In step: whether the subscribers of a party act in the same moments, as those do to whom one order goes.
//! In: the timelines of followed subscribers. Out: how often the others act beside one, and how often they would by chance.
//! Each that has a clock or a mind of its own acts in moments of its own; who is told to act acts with the others, and at times that no
//! clock knows.
//! Bounds: those of the samples. Not here: what it means.

use crate::population::facet::{Followed, Sample};
use crate::population::quartiles::Quartiles;

/// Coarsest slots in which a moment can be told, seconds.
const SLOT_S_MAX: u64 = 4;
/// Fewest subscribers that are followed, and moments of each.
const SUBSCRIBERS_MIN: usize = 4;
const MOMENTS_MIN: usize = 5;
/// Share of the others that must act beside one, and how often more than chance has it.
const SHARE_MIN: f64 = 0.5;
const OVER_CHANCE: f64 = 5.0;
/// The same where an order goes to some of them, and how far the times must stray then.
const PART_SHARE_MIN: f64 = 0.15;
const PART_OVER_CHANCE: f64 = 8.0;
const PART_DEVIATION_MIN: f64 = 0.3;
/// How often more than chance where it goes from hand to hand.
const TURN_OVER_CHANCE: f64 = 4.5;
/// How far the times between moments must stray for no clock to make them: devices that begin together and call by the clock stray by a
/// hundredth, signs of life by the windows in which they are seen.
const DEVIATION_MIN: f64 = 0.08;
const DEVIATION_S_MIN: f64 = 4.0;

/// How those followed act together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InStep {
    /// Share of the others that act within a slot of one's moments, mean of all, 0 to 1.
    pub share: f64,
    /// The same were each to act as often at times of its own.
    pub by_chance: f64,
    /// Moments of the median subscriber.
    pub moments: usize,
    /// How far the times between one's moments lie from their median, at the median: 0 for a clock. As a share of it, and in seconds.
    pub deviation: f64,
    /// See there.
    pub deviation_s: f64,
}

impl InStep {
    /// Of a party's followed subscribers; none where too few act often enough, or are told too coarsely.
    pub fn of(sample: &Sample) -> Option<Self> {
        Self::from_level(sample, 0)
    }

    /// The same by the coarsest slots: who acts one after the other, a few seconds apart, acts in the same moment then, as what goes from
    /// hand to hand.
    pub fn one_by_one(sample: &Sample) -> Option<Self> {
        Self::from_level(sample, SLOT_S_MAX.ilog2() as u8)
    }

    fn from_level(sample: &Sample, least: u8) -> Option<Self> {
        let level = sample.iter().map(|one| one.line.level()).max()?.max(least);
        let slot_s = 1u64 << level;
        if slot_s > SLOT_S_MAX || sample.len() < SUBSCRIBERS_MIN {
            return None;
        }
        let slots_of = |one: &Followed| -> Vec<u32> {
            let mut slots: Vec<u32> =
                one.line.ticks().iter().map(|tick| tick.slot >> (level - one.line.level())).collect();
            slots.dedup();
            slots
        };
        let lines: Vec<Vec<u32>> = sample.iter().map(slots_of).filter(|line| line.len() >= MOMENTS_MIN).collect();
        if lines.len() < SUBSCRIBERS_MIN || 2 * lines.len() < sample.len() {
            return None;
        }
        let (first, last) =
            (lines.iter().map(|line| line[0]).min()?, lines.iter().filter_map(|line| line.last()).max()?);
        let length = f64::from(last - first) + 1.0;
        let acts_near = |line: &[u32], slot: u32| {
            let at = line.partition_point(|other| other.saturating_add(1) < slot);
            line.get(at).is_some_and(|other| *other <= slot.saturating_add(1))
        };
        let (mut beside, mut by_chance, mut all) = (0.0, 0.0, 0.0);
        for (n, one) in lines.iter().enumerate() {
            for (m, other) in lines.iter().enumerate() {
                if n != m {
                    beside += one.iter().filter(|slot| acts_near(other, **slot)).count() as f64;
                    by_chance += one.len() as f64 * (3.0 * other.len() as f64 / length).min(1.0);
                    all += one.len() as f64;
                }
            }
        }
        let mut moments: Vec<usize> = lines.iter().map(Vec::len).collect();
        moments.sort_unstable();
        let strays: Vec<(f64, f64)> = lines.iter().flat_map(|line| strays(line)).collect();
        let middle = |of: fn(&(f64, f64)) -> f64| Quartiles::of(strays.iter().map(of).collect());
        Some(Self {
            share: beside / all,
            by_chance: by_chance / all,
            moments: moments[moments.len() / 2],
            deviation: middle(|stray| stray.0)?.median,
            deviation_s: middle(|stray| stray.1)?.median * slot_s as f64,
        })
    }

    /// Whether one order after the other moves a few of them, and no clock: more than chance has it, and by far.
    pub fn is_moved_in_part(&self) -> bool {
        self.is_moved_over(PART_OVER_CHANCE)
    }

    /// The same by the coarsest slots, in which chance has more and three of each hand's neighbours must be enough.
    pub fn is_moved_in_turn(&self) -> bool {
        self.is_moved_over(TURN_OVER_CHANCE)
    }

    fn is_moved_over(&self, times: f64) -> bool {
        self.share >= PART_SHARE_MIN
            && self.share >= times * self.by_chance
            && self.deviation >= PART_DEVIATION_MIN
            && self.deviation_s >= DEVIATION_S_MIN
    }

    /// Whether one order moves them, and no clock that all have in common.
    ///
    /// What a connection that stays open says has a row a window, at its first packet: those that talk all the time talk at the beginning
    /// of each, by the window's clock. Hence the seconds.
    pub fn is_moved(&self) -> bool {
        self.share >= SHARE_MIN
            && self.share >= OVER_CHANCE * self.by_chance
            && self.deviation >= DEVIATION_MIN
            && self.deviation_s >= DEVIATION_S_MIN
    }
}

/// Whether one order moves the subscribers of a party.
pub fn are_moved(sample: &Sample) -> bool {
    InStep::of(sample).is_some_and(|step| step.is_moved())
}

/// How far each gap between moments lies from the median one, as a share of it and in slots.
fn strays(line: &[u32]) -> Vec<(f64, f64)> {
    let gaps: Vec<f64> = line.windows(2).map(|pair| f64::from(pair[1] - pair[0])).collect();
    let middle = Quartiles::of(gaps.clone()).map_or(1.0, |gaps| gaps.median.max(1.0));
    gaps.into_iter().map(|gap| ((gap / middle - 1.0).abs(), (gap - middle).abs())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::facet::Moment;
    use crate::population::span::Seen;
    use crate::units::{Address, TimestampNs};

    /// Draws that spread over 0 to 1 without order.
    fn draw(i: u64) -> f64 {
        let x = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A dozen devices, each of which acts at some of the seconds that it is given.
    fn sample(at: &dyn Fn(u64, u64) -> Option<f64>) -> Sample {
        let mut sample = Sample::default();
        for (device, n) in (0..12u64).flat_map(|device| (0..24).map(move |n| (device, n))) {
            let Some(second) = at(device, n) else { continue };
            let ts = TimestampNs(((1e6 + second) * 1e9) as u64);
            let subscriber = Address::v4([10, 0, 0, device as u8]);
            let seen = Seen::between(ts, ts);
            sample.add(&Moment { hash: device, subscriber, seen, flows: 1, moved: [300, 300] });
        }
        sample
    }

    #[test]
    fn who_is_told_to_act_acts_with_the_others() {
        let order = |n: u64| 150.0 * n as f64 + 140.0 * draw(n);
        // Of three orders each device hears one.
        let heard = |device: u64, n: u64| draw(31 * device + n) < 0.34;
        type At<'a> = &'a dyn Fn(u64, u64) -> Option<f64>;
        let table: [(&str, At<'_>, [bool; 2]); 7] = [
            ("on one order", &|_, n| Some(order(n)), [true, true]),
            ("a little late", &|device, n| Some(order(n) + 0.8 * draw(50 * device + n)), [true, true]),
            ("some of them on each", &|device, n| heard(device, n).then(|| order(n)), [false, true]),
            ("each when it likes", &|device, n| Some(150.0 * n as f64 + 140.0 * draw(70 * device + n)), [false; 2]),
            ("by a clock that all have", &|_, n| Some(150.0 * n as f64), [false; 2]),
            (
                "as each window sees what goes on all the time",
                &|_, n| Some(60.0 * n as f64 + 3.0 * draw(n)),
                [false; 2],
            ),
            ("too seldom", &|_, n| (n < 4).then(|| order(n)), [false; 2]),
        ];
        for (name, at, wanted) in table {
            let step = InStep::of(&sample(at));
            let moved = step.map_or([false; 2], |step| [step.is_moved(), step.is_moved_in_part()]);
            assert_eq!(moved, wanted, "{name}: {step:?}");
            assert_eq!(are_moved(&sample(at)), wanted[0], "{name}");
        }
    }

    #[test]
    fn what_goes_from_hand_to_hand_is_seen_by_coarser_slots() {
        let order = |n: u64| 900.0 * n as f64 + 800.0 * draw(n);
        type At<'a> = &'a dyn Fn(u64, u64) -> f64;
        let table: [(&str, At<'_>, [bool; 2]); 3] = [
            ("three seconds each", &|device, n| order(n) + 3.0 * ((device * 7 + n * 5) % 12) as f64, [false, true]),
            ("twenty seconds each", &|device, n| order(n) + 20.0 * ((device * 7 + n * 5) % 12) as f64, [false; 2]),
            ("each when it likes", &|device, n| order(n) + 800.0 * draw(70 * device + n), [false; 2]),
        ];
        for (name, at, wanted) in table {
            let sample = sample(&|device, n| (n < 9).then(|| at(device, n)));
            let (at_once, in_turn) = (InStep::of(&sample), InStep::one_by_one(&sample));
            let moved = [
                at_once.is_some_and(|step| step.is_moved_in_part()),
                in_turn.is_some_and(|step| step.is_moved_in_turn()),
            ];
            assert_eq!(moved, wanted, "{name}: {at_once:?}, {in_turn:?}");
        }
    }

    #[test]
    fn each_bound_holds_by_itself() {
        let all = InStep { share: 0.6, by_chance: 0.1, moments: 8, deviation: 0.1, deviation_s: 5.0 };
        let part = InStep { share: 0.2, by_chance: 0.02, deviation: 0.35, ..all };
        let table = [
            ("all of them", all, [true, false]),
            ("not half of the others", InStep { share: 0.49, by_chance: 0.05, ..all }, [false, false]),
            ("chance has a fifth of it", InStep { by_chance: 0.13, ..all }, [false, false]),
            ("nearly by a clock", InStep { deviation: 0.07, ..all }, [false, false]),
            ("within the seconds of a window", InStep { deviation_s: 3.9, ..all }, [false, false]),
            ("some of them", part, [false, true]),
            ("hardly any", InStep { share: 0.14, by_chance: 0.01, ..part }, [false, false]),
            ("chance has an eighth of it", InStep { by_chance: 0.026, ..part }, [false, false]),
            ("some, nearly by a clock", InStep { deviation: 0.29, ..part }, [false, false]),
            ("some, within the seconds of a window", InStep { deviation_s: 3.9, ..part }, [false, false]),
        ];
        for (name, step, wanted) in table {
            assert_eq!([step.is_moved(), step.is_moved_in_part()], wanted, "{name}");
        }
        for (by_chance, wanted) in [(0.044, true), (0.045, false)] {
            assert_eq!(InStep { by_chance, ..part }.is_moved_in_turn(), wanted, "from hand to hand, {by_chance}");
        }
    }

    #[test]
    fn times_at_the_end_of_what_can_be_told_are_times() {
        // The last seconds that a slot's number has room for: what a forged timestamp is taken for.
        let last = f64::from(u32::MAX) - 1e6;
        let step = InStep::of(&sample(&|_, n| {
            Some(last - 150.0 * (23 - n) as f64 - 90.0 * draw(n) * f64::from(u8::from(n < 23)))
        }));
        assert!(step.is_some_and(|step| step.is_moved()), "{step:?}");
    }

    #[test]
    fn of_few_nothing_is_said() {
        let some = |devices: u64| {
            let mut few = Sample::default();
            sample(&|_, n| Some(150.0 * n as f64 + 140.0 * draw(n)))
                .iter()
                .take(devices as usize)
                .flat_map(|one| one.line.ticks().iter().map(move |tick| (one.subscriber, tick.slot)))
                .for_each(|(subscriber, slot)| {
                    let ts = TimestampNs(u64::from(slot) * 1_000_000_000);
                    let hash = u64::from(subscriber.as_v4().unwrap_or_default()[3]);
                    few.add(&Moment { hash, subscriber, seen: Seen::between(ts, ts), flows: 1, moved: [1, 1] });
                });
            InStep::of(&few).is_some()
        };
        assert!(some(4) && !some(3));
    }
}
