//! Levels: collectors that hide behind several addresses, or behind an address that does other things as well.
//! In: a scene. Out: groups beside the addresses themselves: one service of an address, a domain whatever serves it, and
//! like addresses of one prefix, system, server fingerprint or certificate key.
//! Bounds: at most one group an address and level.

use std::collections::BTreeMap;

use super::finding::Technique;
use super::scene::{Group, Scene};
use crate::population::PopulationIndex;
use crate::population::collector::{CollectorSummary, Service, ServiceAt};
use crate::population::facet::{DomainKey, DomainSummary, Facet};
use crate::population::groups::{CollectorGroup, GroupName, Level, name_of};
use crate::population::sketch::Merge;
use crate::units::Address;

/// Share of what an address does from which on a domain is the address.
const ALONE_SHARE: f64 = 0.9;

/// Share of a domain's rows that those of its addresses which may do this by the register can have had before the domain is
/// theirs: each of them is judged alone.
const REGISTERED_SHARE: f64 = 0.5;

/// Of the wanted: each service of addresses that have several, and each domain that is not one address alone, nor mainly
/// addresses that may do this by the register. Each is made when it is asked for: together they are a second copy of most
/// of the summary.
pub fn facets<'s, 'a>(
    scene: &'s Scene<'a>,
    technique: Technique,
    is_wanted: impl Fn(&Facet) -> bool + Copy + 's,
) -> impl Iterator<Item = Group<'a>> + 's {
    let services = scene.collectors().iter().flat_map(move |&(key, one)| {
        let apart = one.services_apart.apart().iter();
        apart.filter(move |(_, facet)| is_wanted(facet)).map(move |(service, facet)| {
            let name = GroupName::Service(key.address, *service);
            let of = CollectorGroup { population: key.population, name, addresses: vec![key.address] };
            let mut whole = facet.as_collector();
            note(&mut whole, *service);
            whole.ja4 = one.ja4.clone();
            // Of what stands at the subscribers every flow is the collector's call.
            whole.flows_by_collector = if service.at == ServiceAt::Subscriber { whole.totals.flows } else { 0 };
            group(scene, Level::Service, of, whole)
        })
    });
    let domains = scene.summary.domains.sorted().into_iter().filter(move |(_, domain)| is_wanted(&domain.facet));
    services.chain(domains.filter_map(move |(key, domain)| of_domain(scene, technique, *key, domain)))
}

fn of_domain<'a>(scene: &Scene<'a>, technique: Technique, key: DomainKey, domain: &DomainSummary) -> Option<Group<'a>> {
    let mut addresses = domain.addresses();
    let may = |address: &Address| scene.is_registered(technique, key.population, *address);
    let (registered, others): (Vec<_>, Vec<_>) = addresses.iter().copied().partition(may);
    if !registered.is_empty() {
        let theirs = registered.iter().filter_map(|address| scene.collector(key.population, *address));
        let rows: u64 = theirs.map(|one| one.totals.rows).sum();
        if others.is_empty() || rows as f64 >= REGISTERED_SHARE * domain.facet.totals.rows as f64 {
            return None;
        }
        addresses = others;
    }
    let alone = addresses.len() == 1
        && scene
            .collector(key.population, addresses[0])
            .is_some_and(|whole| domain.facet.totals.rows as f64 >= ALONE_SHARE * whole.totals.rows as f64);
    if alone {
        return None;
    }
    let of = CollectorGroup { population: key.population, name: GroupName::Domain(key.domain), addresses };
    let mut whole = domain.facet.as_collector();
    domain.services.by_count().into_iter().for_each(|(service, _)| note(&mut whole, service));
    whole.domains.add(key.domain);
    // All of it was asked for by that name.
    whole.rows_named = whole.totals.rows;
    Some(group(scene, Level::Name, of, whole))
}

/// What a facet knows of ports and protocols.
fn note(whole: &mut CollectorSummary, service: Service) {
    whole.services.add(service);
    whole.protocols.add(service.protocol);
}

/// How many addresses a name stands for at a level.
pub type Census = BTreeMap<(Level, PopulationIndex, GroupName), usize>;

/// Counts the addresses at each of these levels, whatever they do.
pub fn census(scene: &Scene<'_>, levels: &[Level]) -> Census {
    let mut census = BTreeMap::new();
    for (key, one) in scene.collectors() {
        for level in levels {
            if let Some(name) = name_of(*level, key.address, one, |_| None) {
                *census.entry((*level, key.population, name)).or_default() += 1;
            }
        }
    }
    census
}

/// Addresses with what is known of them.
type Members<'a> = Vec<(Address, &'a CollectorSummary)>;

/// Addresses that `is_member` takes, by what they have in common at these levels; two or more each, and together at least
/// `subscribers_min` subscribers, each address' counted by itself. In one network or system only those of one name are
/// together. Those that may do this by the register are not among them.
pub fn together<'a>(
    scene: &Scene<'a>,
    technique: Technique,
    levels: &[Level],
    subscribers_min: u64,
    is_member: impl Fn(&CollectorSummary) -> bool,
) -> Vec<Group<'a>> {
    let mut named: BTreeMap<(Level, PopulationIndex, GroupName), Members<'_>> = BTreeMap::new();
    for &(key, one) in scene.collectors().iter().filter(|(_, one)| is_member(one)) {
        for level in levels {
            if let Some(name) = name_of(*level, key.address, one, |address| scene.places.of(address).asn) {
                named.entry((*level, key.population, name)).or_default().push((key.address, one));
            }
        }
    }
    let reach = |members: &Members<'_>| members.iter().map(|(_, one)| one.subscribers.count()).sum::<u64>();
    let is_enough = |members: &Members<'_>| members.len() > 1 && reach(members) >= subscribers_min;
    named.retain(|_, members| is_enough(members));
    for ((level, population, _), members) in &mut named {
        members.retain(|(address, _)| !scene.is_registered(technique, *population, *address));
        if matches!(level, Level::Prefix | Level::Asn) {
            *members = of_one_domain(scene, std::mem::take(members));
        }
    }
    let several = named.into_iter().filter(|(_, members)| is_enough(members));
    let groups = several.map(|((level, population, name), members)| {
        let of = CollectorGroup { population, name, addresses: members.iter().map(|(address, _)| *address).collect() };
        let mut whole = CollectorSummary::default();
        members.into_iter().for_each(|(_, one)| whole.merge(one.clone()));
        group(scene, level, of, whole)
    });
    groups.collect()
}

/// Neighbours with different names are different parties: of a prefix or a system, those with the name (or without any)
/// that reaches most subscribers.
fn of_one_domain<'a>(scene: &Scene<'a>, members: Members<'a>) -> Members<'a> {
    let mut reach: BTreeMap<Option<&str>, u64> = BTreeMap::new();
    for (_, one) in &members {
        *reach.entry(scene.domain_of(one)).or_default() += one.subscribers.count();
    }
    let Some((&domain, _)) = reach.iter().max_by_key(|(_, subscribers)| **subscribers) else { return members };
    members.into_iter().filter(|(_, one)| scene.domain_of(one) == domain).collect()
}

fn group<'a>(scene: &Scene<'a>, level: Level, of: CollectorGroup, whole: CollectorSummary) -> Group<'a> {
    Group { key: of.label(scene.summary), level, of, whole: whole.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::finding::CollectorIdentity;
    use crate::detect::register::{NoRegister, Register};
    use crate::flow::row::FlowRow;
    use crate::packet::facts::AppFacts;
    use crate::population::limits::SummaryLimits;
    use crate::population::places::Places;
    use crate::population::summary::tests::{populations, row, summary_of};
    use crate::units::TimestampNs;

    /// Allows one address.
    #[derive(Debug)]
    struct Allows(Address);

    impl Register for Allows {
        fn allows(&self, technique: Technique, party: &CollectorIdentity, _: &str, _: TimestampNs) -> bool {
            technique == Technique::UnattributedCluster && party.addresses == [self.0]
        }

        fn is_empty(&self) -> bool {
            false
        }
    }

    #[test]
    fn who_may_is_no_part_of_what_its_neighbours_do() {
        let far = |last: u8| Address::v4([203, 0, 113, last]);
        let rows: Vec<_> =
            (0..30u8).map(|n| row(Address::v4([10, 0, 0, n]), far(n % 3), u64::from(n), 900, 100)).collect();
        let summary = summary_of(&rows, &SummaryLimits::default());
        let (populations, places) = (populations(), Places::default());
        let (nobody, allows) = (NoRegister, Allows(far(1)));
        let table: [(&str, &dyn Register, Technique, Vec<Address>); 3] = [
            ("nobody may", &nobody, Technique::UnattributedCluster, vec![far(0), far(1), far(2)]),
            ("one may", &allows, Technique::UnattributedCluster, vec![far(0), far(2)]),
            ("one may something else", &allows, Technique::ShadowUpload, vec![far(0), far(1), far(2)]),
        ];
        for (name, register, technique, wanted) in table {
            let scene = Scene::new(&summary, &populations, &places, None).under(register);
            let groups = together(&scene, technique, &[Level::Prefix], 8, |_| true);
            let found: Vec<_> = groups.into_iter().map(|group| group.of.addresses).collect();
            assert_eq!(found, [wanted], "{name}");
        }
    }

    #[test]
    fn who_calls_in_is_not_called() {
        let far = Address::v4([203, 0, 113, 7]);
        let home = |n: u8| Address::v4([10, 0, 0, n]);
        let polls = (0..12u8).map(|n| row(far, home(n), u64::from(n), 300, 900));
        let visits = (0..3u8).map(|n| row(home(n), far, u64::from(n), 300, 900));
        let summary = summary_of(&polls.chain(visits).collect::<Vec<_>>(), &SummaryLimits::default());
        let (populations, places) = (populations(), Places::default());
        let scene = Scene::new(&summary, &populations, &places, None);
        let groups = facets(&scene, Technique::PopulationFanIn, |_| true);
        let flows = groups.map(|group| (group.whole.totals.flows, group.whole.flows_by_collector));
        assert_eq!(flows.collect::<std::collections::BTreeSet<_>>(), [(3, 0), (12, 12)].into());
    }

    #[test]
    fn a_domain_that_is_mainly_registered_is_nobodys() {
        let far = |last: u8| Address::v4([203, 0, 113, last]);
        let named = |n: u8, party: Address| {
            let facts = AppFacts { server_name: Some("a.maker.example".into()), ..AppFacts::default() };
            let one = row(Address::v4([10, 0, 0, n]), party, u64::from(n), 900, 100);
            FlowRow { facts: Some(std::sync::Arc::new(facts)), ..one }
        };
        let nobody = NoRegister;
        let allows = Allows(far(1));
        // Rows to the registered address and to two others of the domain.
        type Case<'a> = (&'a str, &'a dyn Register, u8, u8, Vec<Vec<Address>>);
        let table: [Case<'_>; 3] = [
            ("nobody may", &nobody, 20, 5, vec![vec![far(1), far(2), far(3)]]),
            ("mainly one that may", &allows, 20, 5, vec![]),
            ("a few to one that may", &allows, 5, 20, vec![vec![far(2), far(3)]]),
        ];
        for (name, register, to_registered, to_other, wanted) in table {
            let registered = (0..to_registered).map(|n| named(n, far(1)));
            let rows: Vec<_> = registered.chain((0..to_other).map(|n| named(100 + n, far(2 + n % 2)))).collect();
            let summary = summary_of(&rows, &SummaryLimits::default());
            let (populations, places) = (populations(), Places::default());
            let scene = Scene::new(&summary, &populations, &places, None).under(register);
            let groups = facets(&scene, Technique::UnattributedCluster, |_| true);
            let domains = groups.filter(|group| group.level == Level::Name);
            assert_eq!(domains.map(|group| group.of.addresses).collect::<Vec<_>>(), wanted, "{name}");
        }
    }
}
