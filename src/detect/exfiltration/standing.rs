//! Standing: a stream that was there when the looking began and is there still: a camera's, a sensor's.
//! In: what one host sent one party, now and before. Out: whether it is such a stream.
//! A habit that is older than the capture is no news, and only its owner knows what it is. Within hours it shows by its evenness:
//! a codec or a sensor sets the pace, whereas what is carried off goes as fast as the line allows, and comes to an end.
//! Bounds: the slots of the party's series, of the span and of what went before.

use super::{Case, earlier};
use crate::detect::scene::{Group, Scene};
use crate::population::Summary;
use crate::population::collector::CollectorKey;
use crate::population::quartiles::Quartiles;
use crate::population::sketch::Merge;
use crate::units::{Address, DurationNs};

/// How long such a stream must have been looked at to be a habit however uneven, and how near to the ends of what was looked at
/// it must reach.
const STANDING_AFTER: DurationNs = DurationNs::from_secs(6 * 3_600);
const STANDING_NEAR: DurationNs = DurationNs::from_secs(900);
/// The same of one that is even.
const EVEN_AFTER: DurationNs = DurationNs::from_secs(600);
/// The part of what was looked at that it may miss at each end, as one in so many: 900 s of six hours; and at the least, as
/// windows begin before the first packet and end after the last.
const NEAR_PART: u64 = 24;
const NEAR_MIN: DurationNs = DurationNs::from_secs(75);
/// Quartile dispersion of what goes in a slot. Cameras of a quiet scene have 0.05, of a street 0.15; pieces of a store that is
/// carried off come with pauses between them.
const EVEN_MAX: f64 = 0.25;
/// Slots below which it is not held against it: a day's are a quarter of an hour long.
const SLOTS_MIN: usize = 4;
/// Bytes a second of the best cameras (4 Mbit/s): more is as fast as the line allows.
const PACE_MAX: f64 = 500_000.0;

/// Whether it is one flow to each address that was there when the looking began and is there still.
pub(super) fn is_standing(scene: &Scene<'_>, group: &Group<'_>, subscriber: Address, case: &Case) -> bool {
    let (mut looked, mut seen, mut flows) = (scene.summary.span(), case.seen, case.sent.flows);
    for before in scene.before() {
        looked.merge(before.span());
        let (sent, then) = earlier::sent(before, group, subscriber);
        seen.merge(then);
        // A short span's case has them already, and then they are one or two.
        flows = flows.max(sent.flows);
    }
    let length = looked.length();
    let near = DurationNs(length.0 / NEAR_PART).clamp(NEAR_MIN, STANDING_NEAR);
    let reaches = seen.first.since(looked.start) <= near && looked.end.since(seen.last) <= near;
    if !reaches || flows > group.of.addresses.len() as u64 {
        return false;
    }
    length >= STANDING_AFTER || length >= EVEN_AFTER && is_even(scene, group, case)
}

/// Whether as much goes in each slot, at no more than a camera's pace.
fn is_even(scene: &Scene<'_>, group: &Group<'_>, case: &Case) -> bool {
    let pace = case.sent.up as f64 / case.seen.length().as_secs_f64().max(1.0);
    let mut rates: Vec<f64> = scene.before().flat_map(|before| rates(before, group)).collect();
    rates.extend(self::rates(scene.summary, group));
    let too_few = rates.len() < SLOTS_MIN;
    pace <= PACE_MAX && (too_few || Quartiles::of(rates).is_some_and(|rates| rates.dispersion() <= EVEN_MAX))
}

/// What went to the group in each slot but the first and the last, which are not whole, bytes a second.
fn rates(of: &Summary, group: &Group<'_>) -> Vec<f64> {
    let slot_s = of.class().slot().as_secs_f64();
    let mut rates = Vec::new();
    for &address in &group.of.addresses {
        let Some(one) = of.collectors.of(&CollectorKey { population: group.of.population, address }) else { continue };
        let slots = one.series.slots();
        let [(first, _), .., (last, _)] = slots else { continue };
        // Slots without any are not kept.
        let whole = (last - first - 1) as usize;
        let inner = slots[1..slots.len() - 1].iter().map(|(_, volume)| volume.bytes_up as f64 / slot_s);
        rates.extend(inner);
        rates.extend(std::iter::repeat_n(0.0, whole.saturating_sub(slots.len() - 2).min(slots.len())));
    }
    rates
}
