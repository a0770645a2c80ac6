//! In turn: parties with nothing in common but the devices that call them, one after the other.
//! In: collectors of a scene and their pairs. Out: groups of parties at one service port that the same devices call.
//! An implant that makes up the names of its masters, or has a list of their addresses, calls each of them for some minutes: too
//! seldom to tell a clock, and no network, owner or name joins them. The devices do: whoever calls the one calls the others.
//! Bounds: [`PARTIES_MAX`] parties at a port; where more are called by that many, the port is everybody's.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::is_plumbing;
use crate::detect::finding::Technique;
use crate::detect::scene::{Group, Scene, service_of};
use crate::population::PopulationIndex;
use crate::population::collector::{CollectorSummary, Service, ServiceAt};
use crate::population::groups::{CollectorGroup, GroupName, Level, Member};
use crate::population::sketch::Merge;
use crate::units::Address;

/// Devices: fewer are a household, more have a service in common. And the fewest parties that they take in turn.
const DEVICES: RangeInclusive<u64> = 5..=256;
const PARTIES_MIN: usize = 4;
/// Most parties at a port that so many devices call.
const PARTIES_MAX: usize = 256;
/// Share of the devices of two parties that must call both.
const SHARED_MIN: f64 = 0.6;

/// A party with those who call it.
struct Called<'a> {
    member: Member<'a>,
    devices: BTreeSet<Address>,
}

/// See the file's header.
pub(super) fn groups<'a>(scene: &Scene<'a>) -> Vec<Group<'a>> {
    let mut by_service: BTreeMap<(PopulationIndex, Service), Vec<Member<'a>>> = BTreeMap::new();
    for &(key, one) in scene.collectors() {
        let service = service_of(one).filter(|service| service.at == ServiceAt::Collector && service.port > 0);
        let is_called =
            DEVICES.contains(&one.subscribers.count()) && 2 * one.flows_by_collector < one.totals.flows.max(1);
        if let Some(service) = service.filter(|_| is_called && !is_plumbing(one)) {
            by_service.entry((key.population, service)).or_default().push((key, one));
        }
    }
    by_service.retain(|_, members| (PARTIES_MIN..=PARTIES_MAX).contains(&members.len()));
    let mut groups = Vec::new();
    for ((population, _), members) in by_service {
        let may = |address| scene.is_registered(Technique::BeaconingImplant, population, address);
        let mut rest: Vec<Called<'a>> = members.into_iter().map(|member| called(scene, member)).collect();
        // Whom most call first: the others are held against it.
        rest.sort_by(|a, b| b.devices.len().cmp(&a.devices.len()).then(a.member.0.address.cmp(&b.member.0.address)));
        while let Some(first) = rest.first().map(|one| one.devices.clone()) {
            let (alike, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(|one| is_shared(&first, &one.devices));
            rest = others;
            let alike: Vec<Member<'a>> =
                alike.into_iter().map(|one| one.member).filter(|(key, _)| !may(key.address)).collect();
            let domains: BTreeSet<_> = alike.iter().map(|(_, one)| scene.domain_of(one)).collect();
            // What one name joins is judged by that.
            if alike.len() >= PARTIES_MIN && (domains.len() > 1 || domains.contains(&None)) {
                groups.push(together(population, &alike));
            }
        }
    }
    groups
}

fn called<'a>(scene: &Scene<'a>, member: Member<'a>) -> Called<'a> {
    let pairs = scene.pairs_of(member.0.population, member.0.address);
    Called { member, devices: pairs.iter().map(|(key, _)| key.subscriber).collect() }
}

fn is_shared(some: &BTreeSet<Address>, others: &BTreeSet<Address>) -> bool {
    let both = some.intersection(others).count() as f64;
    both >= SHARED_MIN * (some.len() + others.len()) as f64 - SHARED_MIN * both
}

fn together<'a>(population: PopulationIndex, members: &[Member<'a>]) -> Group<'a> {
    let mut addresses: Vec<Address> = members.iter().map(|(key, _)| key.address).collect();
    addresses.sort_unstable();
    let mut whole = CollectorSummary::default();
    members.iter().for_each(|(_, one)| whole.merge((*one).clone()));
    let first = addresses.first().copied().unwrap_or_default();
    let of = CollectorGroup { population, name: GroupName::Alike(first), addresses };
    Group { key: format!("{first} and others in turn"), level: Level::Alike, of, whole: whole.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::limits::SummaryLimits;
    use crate::population::places::Places;
    use crate::population::summary::tests::{populations, row, summary_of};

    #[test]
    fn parties_are_joined_by_those_who_call_them() {
        // How many parties, how many devices call each, and how many of these each party has for itself.
        for (name, parties, devices, own, wanted) in [
            ("in turn", 6u8, 8u8, 0u8, vec![6]),
            ("in turn, not all by all", 6, 8, 1, vec![6]),
            ("each its own", 6, 8, 6, vec![]),
            ("too few", 3, 8, 0, vec![]),
            ("of a household", 6, 4, 0, vec![]),
        ] {
            let calls = (0..parties).flat_map(|party| (0..devices).map(move |n| (party, n)));
            let rows = calls.map(|(party, n)| {
                let device = if n < own { 20 + 10 * party + n } else { n };
                let (from, to) = (Address::v4([10, 0, 0, device]), Address::v4([203, 0, party, 7]));
                row(from, to, 240 * u64::from(party) + u64::from(n), 160, 220)
            });
            let summary = summary_of(&rows.collect::<Vec<_>>(), &SummaryLimits::default());
            let (populations, places) = (populations(), Places::default());
            let found = groups(&Scene::new(&summary, &populations, &places, None));
            assert_eq!(found.iter().map(|one| one.of.addresses.len()).collect::<Vec<_>>(), wanted, "{name}");
        }
    }
}
