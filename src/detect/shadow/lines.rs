//! Lines: what one followed subscriber gave a collector, beside what it exchanged with everyone else.
//! In: its own timeline and the collector's of it. Out: slots, and uploads with what had moved before each.
//! Bounds: [`SLOTS_MAX`] slots; as many uploads as a timeline has slots.

use crate::detect::scene::{Group, Scene};
use crate::population::SubscriberKey;
use crate::population::facet::Followed;
use crate::population::sketch::{Tick, Timeline};

/// Slots looked at of one subscriber, bounding hostile clocks.
const SLOTS_MAX: u32 = 2_048;
/// Data below which what goes up in a flow from before is no upload: an alert, a ping.
const ALERT_BYTES: u32 = 64;

/// One slot of a subscriber: bytes that it exchanged with others in it; with those of the slot before, of late; and data that
/// it gave the collector.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Slot {
    pub(super) others: f64,
    pub(super) recent: f64,
    pub(super) given: f64,
}

/// One upload, as exactly as both timelines tell its time: bytes that its subscriber had exchanged with others of late, and since
/// it last gave the collector anything; data that each flow gave.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Upload {
    pub(super) recent: f64,
    pub(super) since: f64,
    pub(super) size: f64,
}

/// One subscriber.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Line {
    pub(super) slots: Vec<Slot>,
    pub(super) uploads: Vec<Upload>,
}

/// One subscriber, from its first activity to its last.
pub(super) fn line(scene: &Scene<'_>, group: &Group<'_>, one: &Followed, level: u8) -> Option<Line> {
    let key = SubscriberKey { population: group.of.population, subscriber: one.subscriber };
    let own = &scene.summary.subscribers.of(&key)?.line;
    line_of(own, &one.line, level)
}

/// The same of what it exchanged with all and with the collector; none where either is not known so finely.
pub(super) fn line_of<const N: usize, const M: usize>(
    own: &Timeline<N>,
    given: &Timeline<M>,
    level: u8,
) -> Option<Line> {
    let finest = own.level().max(given.level());
    if finest > level {
        return None;
    }
    let slots = slots_of(&own.at_level(level), &given.at_level(level))?;
    let uploads = uploads_of(&own.at_level(finest), &given.at_level(finest), 2 << (level - finest));
    Some(Line { slots, uploads })
}

/// Bytes of a tick, whoever sent them.
fn both(tick: &Tick) -> f64 {
    f64::from(tick.bytes[0]) + f64::from(tick.bytes[1])
}

fn slots_of<const N: usize, const M: usize>(own: &Timeline<N>, given: &Timeline<M>) -> Option<Vec<Slot>> {
    let (first, last) = (own.ticks().first()?.slot, own.ticks().last()?.slot);
    if last - first >= SLOTS_MAX {
        return None;
    }
    let mut slots = vec![Slot::default(); (last - first + 1) as usize];
    own.ticks().iter().for_each(|tick| slots[(tick.slot - first) as usize].others = both(tick));
    for tick in given.ticks() {
        if let Some(slot) = tick.slot.checked_sub(first).and_then(|at| slots.get_mut(at as usize)) {
            slot.others = (slot.others - both(tick)).max(0.0);
            slot.given = f64::from(tick.bytes[0]);
        }
    }
    let mut before = 0.0;
    for slot in &mut slots {
        slot.recent = slot.others + std::mem::replace(&mut before, slot.others);
    }
    Some(slots)
}

/// What was given when, with what had moved in the `late` slots up to then, and since the last time.
fn uploads_of<const N: usize, const M: usize>(own: &Timeline<N>, given: &Timeline<M>, late: u32) -> Vec<Upload> {
    let to_collector = |slot: u32| {
        let at = given.ticks().binary_search_by_key(&slot, |tick| tick.slot);
        at.map_or(0.0, |at| both(&given.ticks()[at]))
    };
    let moved = own.ticks().iter().map(|tick| (tick.slot, (both(tick) - to_collector(tick.slot)).max(0.0)));
    let moved: Vec<(u32, f64)> = moved.collect();
    let between = |after: Option<u32>, until: u32| {
        let start = after.map_or(0, |after| moved.partition_point(|(slot, _)| *slot <= after));
        moved[start..].iter().take_while(|(slot, _)| *slot <= until).map(|(_, bytes)| bytes).sum()
    };
    let mut last = None;
    let ticks = given.ticks().iter().filter(|tick| tick.bytes[0] > if tick.flows > 0 { 0 } else { ALERT_BYTES });
    let uploads = ticks.map(|tick| Upload {
        recent: between(tick.slot.checked_sub(late), tick.slot),
        since: between(last.replace(tick.slot), tick.slot),
        size: f64::from(tick.bytes[0]) / f64::from(tick.flows.max(1)),
    });
    uploads.collect()
}
