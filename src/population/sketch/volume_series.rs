//! Volume series: how much moved in which slot of time.
//! In: volumes with the time they took. Out: volumes by absolute slot.
//! Bounds: [`SLOTS_MAX`] slots from the start of the summary's span; what lies before or after goes to `outside`.
//! Time: packet timestamps; slots are counted from 1970, their length is that of the summary's class.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use smallvec::SmallVec;

use super::{Merge, ascending_few, merge_few};
use crate::population::span::{SLOTS_MAX, Seen, Span, SpanClass};
use crate::simd::prefetch;
use crate::units::TimestampNs;

/// What moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Payload bytes from subscribers.
    pub bytes_up: u64,
    /// Payload bytes to subscribers.
    pub bytes_down: u64,
    /// Flows that began.
    pub flows: u32,
}

impl Merge for Volume {
    fn merge(&mut self, other: Self) {
        self.bytes_up = self.bytes_up.saturating_add(other.bytes_up);
        self.bytes_down = self.bytes_down.saturating_add(other.bytes_down);
        self.flows = self.flows.saturating_add(other.flows);
    }
}

/// Volumes by slot, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSeries {
    #[serde(deserialize_with = "ascending_few")]
    slots: SmallVec<[(u64, Volume); 1]>,
    /// None where nothing was: hardly any has something, and all have this.
    #[serde(deserialize_with = "something")]
    outside: Option<Box<Volume>>,
}

/// Reads what moved outside; that nothing did has one form only.
fn something<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<Volume>>, D::Error> {
    match Option::<Box<Volume>>::deserialize(from)? {
        Some(nothing) if *nothing == Volume::default() => Err(D::Error::custom("nothing moved outside, and is told")),
        outside => Ok(outside),
    }
}

/// Where volumes may fall: the slots of a span in its class.
#[derive(Clone, Copy, Debug)]
pub struct SlotRange {
    class: SpanClass,
    first: u64,
    last: u64,
}

impl SlotRange {
    /// The first [`SLOTS_MAX`] slots of a span. An empty span has none.
    pub fn of(span: Span, class: SpanClass) -> Self {
        if span.is_empty() {
            return Self { class, first: 1, last: 0 };
        }
        let first = class.slot_of(span.start);
        Self { class, first, last: first + span.slots(class).min(SLOTS_MAX) - 1 }
    }

    fn holds(&self, slot: u64) -> bool {
        (self.first..=self.last).contains(&slot)
    }
}

impl VolumeSeries {
    /// Starts bringing near where rows of late were added.
    pub(crate) fn fetch(&self) {
        prefetch::line(&self.slots, self.slots.len().saturating_sub(1));
    }

    /// Adds what moved during `when`, spread over its slots in proportion to the time in each; flows count in the first.
    pub fn add(&mut self, volume: Volume, when: Seen, range: &SlotRange) {
        let (first, last) = (range.class.slot_of(when.first), range.class.slot_of(when.last));
        if first == last || volume.bytes_up == 0 && volume.bytes_down == 0 {
            return self.put(first, volume, range);
        }
        // Shares by the time gone, so that they add up to the whole whatever the rounding.
        let slot_ns = range.class.slot().0;
        let length = when.last.since(when.first).0;
        let gone = |bytes: u64, until: u64| match bytes.checked_mul(until) {
            Some(product) => product / length,
            None => (u128::from(bytes) * u128::from(until) / u128::from(length)) as u64,
        };
        let until = |slot: u64| TimestampNs(slot.saturating_mul(slot_ns)).since(when.first).0.min(length);
        // Only the slots that the range holds: a hostile clock cannot make this long.
        let (from, to) = (first.max(range.first), last.min(range.last));
        let mut put = Volume::default();
        for slot in from..=to {
            let (start, end) = (until(slot), if slot == last { length } else { until(slot + 1) });
            let part = Volume {
                bytes_up: gone(volume.bytes_up, end) - gone(volume.bytes_up, start),
                bytes_down: gone(volume.bytes_down, end) - gone(volume.bytes_down, start),
                flows: if slot == first { volume.flows } else { 0 },
            };
            put.merge(part);
            if part != Volume::default() {
                self.put(slot, part, range);
            }
        }
        self.leave_outside(Volume {
            bytes_up: volume.bytes_up - put.bytes_up,
            bytes_down: volume.bytes_down - put.bytes_down,
            flows: volume.flows - put.flows,
        });
    }

    fn put(&mut self, slot: u64, volume: Volume, range: &SlotRange) {
        if !range.holds(slot) {
            return self.leave_outside(volume);
        }
        // Rows mostly come in order of time.
        match self.slots.last_mut() {
            Some((last, known)) if *last == slot => known.merge(volume),
            Some((last, _)) if *last > slot => match self.slots.binary_search_by_key(&slot, |(s, _)| *s) {
                Ok(at) => self.slots[at].1.merge(volume),
                Err(at) => self.slots.insert(at, (slot, volume)),
            },
            _ => self.slots.push((slot, volume)),
        }
    }

    /// The same in the coarser slots of another class.
    pub fn rollup(&mut self, from: SpanClass, to: SpanClass) {
        let factor = (to.slot().0 / from.slot().0).max(1);
        let mut kept = 0;
        for at in 0..self.slots.len() {
            let (slot, volume) = self.slots[at];
            match self.slots[..kept].last_mut() {
                Some((known, sum)) if *known == slot / factor => sum.merge(volume),
                _ => {
                    self.slots[kept] = (slot / factor, volume);
                    kept += 1;
                }
            }
        }
        self.slots.truncate(kept);
    }

    /// Keeps the first [`SLOTS_MAX`] slots that anything moved in.
    pub fn bound(&mut self) {
        let most = (SLOTS_MAX as usize).min(self.slots.len());
        if most < self.slots.len() {
            let left: Vec<_> = self.slots.drain(most..).collect();
            left.into_iter().for_each(|(_, volume)| self.leave_outside(volume));
        }
    }

    /// Slots in which something moved, ascending.
    pub fn slots(&self) -> &[(u64, Volume)] {
        &self.slots
    }

    /// What moved outside the span.
    pub fn outside(&self) -> Volume {
        self.outside.as_deref().copied().unwrap_or_default()
    }

    fn leave_outside(&mut self, volume: Volume) {
        if volume != Volume::default() {
            self.outside.get_or_insert_default().as_mut().merge(volume);
        }
    }
}

impl Merge for VolumeSeries {
    fn merge(&mut self, other: Self) {
        self.leave_outside(other.outside());
        merge_few(&mut self.slots, other.slots, Volume::merge);
    }
}
