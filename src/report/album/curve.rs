//! Curves: volume over time, in slots that grow with the time that they cover.
//! In: the series of each window's populations and collectors. Out: bytes by slot, for one party or several together.
//! Bounds: [`CURVES_MAX`] curves, the heaviest first come first; [`SLOTS_MAX`] slots: past that, two become one.
//! Time: packet time; slots are counted from 1970, so that windows may come in any order.

use std::collections::BTreeMap;

use crate::population::sketch::volume_series::VolumeSeries;
use crate::population::{PopulationIndex, Summary};
use crate::units::{Address, DurationNs, TimestampNs};

/// Most curves kept: what a busy day's findings could ever ask for, in some 100 MB at worst.
pub const CURVES_MAX: usize = 20_000;
/// Most slots of a curve: about one a pixel column of the picture.
pub const SLOTS_MAX: u64 = 240;
/// The finest slot.
const SLOT_NS_MIN: u64 = 10_000_000_000;

/// One curve, without gaps.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// When the first slot begins.
    pub start: TimestampNs,
    /// Length of a slot.
    pub slot: DurationNs,
    /// Bytes by slot.
    pub bytes: Vec<u64>,
}

/// Whose curve: a population's own, or that of one far party of it.
type Whose = (PopulationIndex, Option<Address>);

/// Every curve, all with the same slots.
#[derive(Debug)]
pub struct CurveBook {
    slot_ns: u64,
    range: Option<(u64, u64)>,
    curves: BTreeMap<Whose, BTreeMap<u64, u64>>,
    left_out: u64,
}

impl Default for CurveBook {
    fn default() -> Self {
        Self { slot_ns: SLOT_NS_MIN, range: None, curves: BTreeMap::new(), left_out: 0 }
    }
}

impl CurveBook {
    /// Takes a window in.
    pub fn window(&mut self, summary: &Summary) {
        let slot_ns = summary.class().slot().0;
        for (index, population) in &summary.populations {
            self.add((*index, None), &population.series, slot_ns);
        }
        let mut collectors = summary.collectors.sorted();
        // The heaviest first, so that they are the ones that find room.
        collectors.sort_by_key(|(key, one)| (std::cmp::Reverse(one.totals.bytes()), **key));
        for (key, one) in collectors {
            self.add((key.population, Some(key.address)), &one.series, slot_ns);
        }
    }

    /// Curves that found no room.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// These populations as one.
    pub fn of_populations(&self, populations: &[PopulationIndex]) -> Option<Curve> {
        self.curve(populations.iter().filter_map(|population| self.curves.get(&(*population, None))))
    }

    /// Several addresses as one, over these populations.
    pub fn of_addresses(&self, populations: &[PopulationIndex], addresses: &[Address]) -> Option<Curve> {
        let whose = populations.iter().flat_map(|&one| addresses.iter().map(move |&address| (one, Some(address))));
        self.curve(whose.filter_map(|whose| self.curves.get(&whose)))
    }

    fn curve<'a>(&self, parts: impl Iterator<Item = &'a BTreeMap<u64, u64>>) -> Option<Curve> {
        let (first, last) = self.range?;
        let mut bytes = vec![0u64; (last - first + 1) as usize];
        let mut any = false;
        for (slot, n) in parts.flatten() {
            let sum = &mut bytes[(slot - first) as usize];
            *sum = sum.saturating_add(*n);
            any = true;
        }
        any.then(|| Curve {
            start: TimestampNs(first.saturating_mul(self.slot_ns)),
            slot: DurationNs(self.slot_ns),
            bytes,
        })
    }

    fn add(&mut self, whose: Whose, series: &VolumeSeries, slot_ns: u64) {
        if self.curves.len() >= CURVES_MAX && !self.curves.contains_key(&whose) {
            self.left_out += 1;
            return;
        }
        for (slot, volume) in series.slots() {
            let at_ns = slot.saturating_mul(slot_ns);
            self.make_room(at_ns);
            let slot = at_ns / self.slot_ns;
            let sum = self.curves.entry(whose).or_default().entry(slot).or_default();
            *sum = sum.saturating_add(volume.bytes_up.saturating_add(volume.bytes_down));
        }
    }

    /// Widens the range to hold a time; doubles the slots while it is too wide.
    fn make_room(&mut self, at_ns: u64) {
        let slot = at_ns / self.slot_ns;
        let (mut first, mut last) = self.range.map_or((slot, slot), |(first, last)| (first.min(slot), last.max(slot)));
        while last - first >= SLOTS_MAX {
            self.slot_ns = self.slot_ns.saturating_mul(2);
            (first, last) = (first / 2, last / 2);
            for curve in self.curves.values_mut() {
                let mut coarse: BTreeMap<u64, u64> = BTreeMap::new();
                for (slot, n) in std::mem::take(curve) {
                    let sum = coarse.entry(slot / 2).or_default();
                    *sum = sum.saturating_add(n);
                }
                *curve = coarse;
            }
        }
        self.range = Some((first, last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(times_s: &[(u64, u64)]) -> CurveBook {
        let mut book = CurveBook::default();
        let whose = (PopulationIndex(0), None);
        for (second, bytes) in times_s {
            book.make_room(second * 1_000_000_000);
            let slot = second * 1_000_000_000 / book.slot_ns;
            *book.curves.entry(whose).or_default().entry(slot).or_default() += bytes;
        }
        book
    }

    #[test]
    fn slots_grow_with_the_time_and_no_byte_is_lost() {
        for (name, times, slots, slot_s) in [
            ("one slot", vec![(100, 5)], 1, 10),
            ("an hour's third", vec![(0, 1), (1200, 2)], 121, 10),
            ("a day", vec![(0, 1), (43_200, 2), (86_399, 4)], 135, 640),
            ("backwards", vec![(86_399, 4), (0, 1)], 135, 640),
        ] {
            let curve = book(&times).of_populations(&[PopulationIndex(0)]).expect(name);
            assert_eq!((curve.bytes.len(), curve.slot), (slots, DurationNs::from_secs(slot_s)), "{name}");
            assert_eq!(curve.bytes.iter().sum::<u64>(), times.iter().map(|(_, n)| n).sum::<u64>(), "{name}");
            assert!(curve.bytes.len() as u64 <= SLOTS_MAX, "{name}");
        }
    }

    #[test]
    fn nobody_s_curve_is_none() {
        assert_eq!(CurveBook::default().of_populations(&[PopulationIndex(0)]), None);
        let book = book(&[(1, 1)]);
        assert_eq!(book.of_addresses(&[PopulationIndex(0)], &[Address::v4([192, 0, 2, 1])]), None);
    }
}
