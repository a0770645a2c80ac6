//! Fleet: things that do nothing but report to the party that they name.
//! In: a scene's collectors and pairs. Out: whether most devices of a group deal with no other party, and the words for it.
//! A weather station, a meter, a display calls its maker by the clock all its life, as an implant would. What tells an implant is
//! the device around it, which has a life of its own: it visits pages, or reports to its own maker as well. Look-ups, the time,
//! echoes, and whoever calls the device or does not answer it are no life.
//! Bounds: one pass over the pairs of the span where any group is loud and named, and over a group's own for each.

use std::collections::BTreeMap;

use super::is_plumbing_of_networks;
use crate::detect::finding::{EvidenceValue, Finding};
use crate::detect::scene::{Group, Scene};
use crate::detect::words;
use crate::population::PopulationIndex;
use crate::population::collector::CollectorSummary;
use crate::units::Address;

/// Share of the devices that must name the party: a stranger without a name is nobody's maker.
pub(super) const NAMED_MIN: f64 = 0.5;
/// Devices of a group, and the share of them that may have a life of their own.
const DEVICES_MIN: usize = 3;
const OTHERWISE_MAX: f64 = 0.34;
/// Share of a party's rows that it must answer to count as somebody's other partner.
const ANSWERED_MIN: f64 = 0.5;

/// How many parties each subscriber deals with of its own accord.
pub(super) struct Lives(BTreeMap<(PopulationIndex, Address), usize>);

impl Lives {
    /// Of all subscribers of a scene.
    pub(super) fn of(scene: &Scene<'_>) -> Self {
        let mut partners: BTreeMap<(PopulationIndex, Address), usize> = BTreeMap::new();
        for (key, _) in scene.collectors().iter().filter(|(_, one)| is_partner(one)) {
            for (pair, _) in scene.pairs_of(key.population, key.address) {
                *partners.entry((pair.population, pair.subscriber)).or_default() += 1;
            }
        }
        Self(partners)
    }

    /// Share of the devices that call a group which deal with somebody besides; none of too few devices.
    pub(super) fn otherwise_share(&self, scene: &Scene<'_>, group: &Group<'_>) -> Option<f64> {
        let population = group.of.population;
        // Each device, with how many of its partners are the group's own.
        let mut devices: BTreeMap<Address, usize> = BTreeMap::new();
        for address in &group.of.addresses {
            let is_partner = scene.collector(population, *address).is_some_and(is_partner);
            for (pair, _) in scene.pairs_of(population, *address) {
                *devices.entry(pair.subscriber).or_default() += usize::from(is_partner);
            }
        }
        let partners = |device: Address| self.0.get(&(population, device)).copied().unwrap_or(0);
        let otherwise = devices.iter().filter(|(device, own)| partners(**device) > **own).count();
        (devices.len() >= DEVICES_MIN).then(|| otherwise as f64 / devices.len() as f64)
    }
}

/// Whether so few deal with anybody else that the group are things with one purpose.
pub(super) fn is_fleet(otherwise_share: f64) -> bool {
    otherwise_share <= OTHERWISE_MAX
}

/// Says in a finding what the devices are.
pub(super) fn add_to(finding: &mut Finding, otherwise_share: f64) {
    let value = EvidenceValue::Number(otherwise_share);
    finding.evidence.push(words::evidence("devices_otherwise_share", value, "ratio", 0.0));
    finding.explanation += " Most of these devices deal with nobody else, and they name whom they call: so do stations and \
                            meters that report to their maker, which behaviour alone does not tell from an implant.";
}

/// Whether subscribers deal with a party of their own accord.
fn is_partner(one: &CollectorSummary) -> bool {
    !is_plumbing_of_networks(one)
        && one.rows_answered as f64 >= ANSWERED_MIN * one.totals.rows as f64
        && 2 * one.flows_by_collector < one.totals.flows.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::limits::SummaryLimits;
    use crate::population::places::Places;
    use crate::population::summary::tests::{populations, row, summary_of};

    #[test]
    fn stations_that_only_report_are_a_fleet_and_machines_that_do_more_are_not() {
        let outside = |last: u64| Address::v4([203, 0, 113, last as u8]);
        let device = |n: u64| Address::v4([10, 0, 0, n as u8]);
        // How many of nine devices deal with somebody else, and whether they are the ones who call.
        for (name, others, they_call, wanted) in [
            ("stations", 0, true, true),
            ("stations, two of which were visited by their owner", 2, true, true),
            ("machines", 9, true, false),
            ("stations that a scanner visits", 9, false, true),
        ] {
            let calls = (0..27).map(|n| row(device(n % 9), outside(7), n, 300, 200));
            let rest = (0..others).map(|n| {
                let (from, to) = if they_call { (device(n), outside(8)) } else { (outside(8), device(n)) };
                row(from, to, n, 300, 900)
            });
            let summary = summary_of(&calls.chain(rest).collect::<Vec<_>>(), &SummaryLimits::default());
            let (populations, places) = (populations(), Places::default());
            let scene = Scene::new(&summary, &populations, &places, None);
            let group = &scene.alone(|(key, _)| key.address == outside(7))[0];
            assert_eq!(Lives::of(&scene).otherwise_share(&scene, group).is_some_and(is_fleet), wanted, "{name}");
        }
    }
}
