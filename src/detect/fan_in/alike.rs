//! Alike: one collector behind names and networks that have nothing in common.
//! In: the addresses of a scene and what was measured of each. Out: groups of those that are sent the same: records as long, at
//! the same port, with as much back, and, where it can be told, as often. One program on many devices reports to all of them,
//! however they are called; makers of different things agree in one of these by chance, and in all of them hardly.
//! Bounds: of the addresses that could be part of one, [`MEMBERS_MAX`] a service; one sort of these, and a look at each one's
//! neighbours by size.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use super::parts::median;
use super::{MEMBER_UPLOAD_SHARE_MIN, Measures, SUBSCRIBERS_MIN};
use crate::detect::finding::Technique;
use crate::detect::scene::{Group, Scene, service_of};
use crate::packet::facts::AppProtocol;
use crate::population::PopulationIndex;
use crate::population::collector::{CollectorSummary, Service};
use crate::population::conflict::network_of;
use crate::population::groups::{CollectorGroup, GroupName, Level};
use crate::population::sketch::Merge;
use crate::units::Address;

/// Subscribers from which on an address can be part of one.
const MEMBER_SUBSCRIBERS_MIN: u64 = 4;
/// Dispersion of the records up to which they are of one kind.
const MEMBER_DISPERSION_MAX: f64 = 0.5;
/// How far apart the median records, the upload shares and the periods of two neighbours may lie.
const RECORD_FACTOR: f64 = 1.06;
const SHARE_APART: f64 = 0.05;
const PERIOD_FACTOR: f64 = 1.3;
/// The same of the records of an address that fewer were led to by one of the names.
const REST_FACTOR: f64 = 1.25;
/// Most addresses of one service, those that most use, and how many of those that were found alike another is held against.
const MEMBERS_MAX: usize = 4_096;
const NEIGHBOURS_ASKED: usize = 16;
/// Networks (/24 or /48) that it takes; and parties: a name, or a network where there is none, is one. What has one name is judged
/// by that.
const NETWORKS_MIN: usize = 3;
const PARTIES_MIN: usize = 2;

/// What must agree.
struct Member<'s, 'a> {
    population: PopulationIndex,
    service: Option<Service>,
    app: Option<AppProtocol>,
    address: Address,
    one: &'s CollectorSummary,
    measures: &'s Measures,
    domain: Option<&'a str>,
}

impl Member<'_, '_> {
    /// Whether two are sent the same.
    fn is_like(&self, other: &Self) -> bool {
        let within = |a: f64, b: f64, factor: f64| a <= factor * b && b <= factor * a;
        let periods = self.measures.gap_s.zip(other.measures.gap_s);
        within(self.measures.record_bytes, other.measures.record_bytes, RECORD_FACTOR)
            && (self.measures.upload_share - other.measures.upload_share).abs() <= SHARE_APART
            && periods.is_none_or(|(a, b)| within(a, b, PERIOD_FACTOR))
    }

    /// Whose it is, as far as one can see.
    fn party(&self) -> (Option<&str>, Option<Address>) {
        (self.domain, self.domain.is_none().then(|| network_of(self.address)))
    }
}

/// See the file's header: `groups` are addresses, `measures` theirs.
pub(super) fn groups<'a>(scene: &Scene<'a>, groups: &[Group<'a>], measures: &[Measures]) -> Vec<Group<'a>> {
    let members = groups.iter().zip(measures).filter(|(_, measures)| is_member(measures));
    let members = members.filter_map(|(group, measures)| {
        let [address] = *group.of.addresses.as_slice() else { return None };
        let app = group.whole.apps.by_count().first().map(|(app, _)| *app);
        let (population, service) = (group.of.population, service_of(&group.whole));
        let domain = scene.domain_of(&group.whole);
        Some(Member { population, service, app, address, one: &group.whole, measures, domain })
    });
    let mut kinds: BTreeMap<_, Vec<Member<'_, 'a>>> = BTreeMap::new();
    for member in members.filter(|m| !scene.is_registered(Technique::PopulationFanIn, m.population, m.address)) {
        kinds.entry((member.population, member.service, member.app)).or_default().push(member);
    }
    let mut found = Vec::new();
    let named = OnceCell::new();
    for mut kind in kinds.into_values().filter(|kind| kind.len() >= NETWORKS_MIN) {
        kind.sort_by_key(|member| (std::cmp::Reverse(member.measures.subscribers), member.address));
        kind.truncate(MEMBERS_MAX);
        kind.sort_by(|a, b| {
            a.measures.record_bytes.total_cmp(&b.measures.record_bytes).then(a.address.cmp(&b.address))
        });
        let mut is_taken = vec![false; kind.len()];
        for first in 0..kind.len() {
            if is_taken[first] {
                continue;
            }
            // Neighbours of neighbours: a crowd's median strays from one address to the next, and its records are one crowd's.
            let mut like = vec![first];
            for at in first + 1..kind.len() {
                let last = like.last().map_or(0.0, |last| kind[*last].measures.record_bytes);
                if kind[at].measures.record_bytes > RECORD_FACTOR * last {
                    break;
                }
                let is_like = |one: &usize| kind[at].is_like(&kind[*one]);
                if !is_taken[at] && (is_like(&first) || like.iter().rev().take(NEIGHBOURS_ASKED).any(is_like)) {
                    like.push(at);
                }
            }
            like.iter().for_each(|at| is_taken[*at] = true);
            let members: Vec<&Member<'_, 'a>> = like.into_iter().map(|at| &kind[at]).collect();
            found.extend(together(scene, &members, &named));
        }
    }
    found
}

/// Whether an address can be part of one collector among several.
fn is_member(measures: &Measures) -> bool {
    measures.subscribers >= MEMBER_SUBSCRIBERS_MIN
        && measures.upload_share >= MEMBER_UPLOAD_SHARE_MIN
        && measures.answered_share >= 0.5
        && measures.record_dispersion <= MEMBER_DISPERSION_MAX
}

/// The group of these, where they are in enough networks and of enough subscribers.
fn together<'a>(scene: &Scene<'a>, members: &[&Member<'_, 'a>], named: &OnceCell<Named<'a>>) -> Option<Group<'a>> {
    // Of one network those of one name are together elsewhere.
    let networks: BTreeSet<Address> = members.iter().map(|member| network_of(member.address)).collect();
    let parties: BTreeSet<_> = members.iter().map(|member| member.party()).collect();
    if networks.len() < NETWORKS_MIN || parties.len() < PARTIES_MIN {
        return None;
    }
    let (population, service) = (members[0].population, members[0].service);
    // Of the same names, what fewer were led to.
    let domains: BTreeSet<&str> = members.iter().filter_map(|member| member.domain).collect();
    let records = median(members.iter().map(|member| member.measures.record_bytes).collect());
    let own: BTreeSet<Address> = members.iter().map(|member| member.address).collect();
    let is_rest = |address: Address, one: &CollectorSummary| {
        let is_near = |size: f64| size <= REST_FACTOR * records && records <= REST_FACTOR * size;
        service_of(one) == service
            && !own.contains(&address)
            && one.upload_sizes.quantile(0.5).is_some_and(is_near)
            && !scene.is_registered(Technique::PopulationFanIn, population, address)
    };
    let of_names = domains.iter().filter_map(|domain| {
        let named = named.get_or_init(|| by_name(scene));
        named.get(&(population, *domain))
    });
    let rest = of_names.flatten().copied().filter(|(address, one)| is_rest(*address, one));
    let all: Vec<(Address, &CollectorSummary)> =
        members.iter().map(|member| (member.address, member.one)).chain(rest).collect();
    let mut addresses: Vec<Address> = all.iter().map(|(address, _)| *address).collect();
    addresses.sort_unstable();
    let mut whole = CollectorSummary::default();
    all.into_iter().for_each(|(_, one)| whole.merge(one.clone()));
    let of = CollectorGroup { population, name: GroupName::Alike(addresses[0]), addresses };
    let key = of.label(scene.summary);
    (whole.subscribers.count() >= SUBSCRIBERS_MIN).then(|| Group { key, level: Level::Alike, of, whole: whole.into() })
}

/// Addresses by population and domain.
type Named<'a> = BTreeMap<(PopulationIndex, &'a str), Vec<(Address, &'a CollectorSummary)>>;

/// All that have a domain.
fn by_name<'a>(scene: &Scene<'a>) -> Named<'a> {
    let mut named: Named<'a> = BTreeMap::new();
    for (key, one) in scene.collectors() {
        if let Some(domain) = scene.domain_of(one) {
            named.entry((key.population, domain)).or_default().push((key.address, one));
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::row::FlowRow;
    use crate::packet::facts::AppFacts;
    use crate::population::limits::SummaryLimits;
    use crate::population::places::Places;
    use crate::population::summary::tests::{populations, row, summary_of};

    #[test]
    fn one_program_under_many_names_is_one_collector() {
        // Network, name and length of the record that each of ten homes sends there.
        type Party = (u8, &'static str, u64);
        let table: [(&str, Vec<Party>, usize); 6] = [
            (
                "three names in three networks",
                vec![(1, "a.example", 800), (2, "b.example", 810), (3, "c.example", 790)],
                3,
            ),
            ("three without a name", vec![(1, "", 800), (2, "", 810), (3, "", 790)], 3),
            ("one name", vec![(1, "a.example", 800), (2, "a.example", 810), (3, "a.example", 790)], 0),
            ("two networks", vec![(1, "a.example", 800), (2, "b.example", 810)], 0),
            ("three makers", vec![(1, "a.example", 800), (2, "b.example", 1_200), (3, "c.example", 500)], 0),
            (
                "three names, and a maker",
                vec![(1, "a.example", 800), (2, "b.example", 810), (3, "c.example", 790), (4, "d.example", 2_000)],
                3,
            ),
        ];
        for (name, parties, wanted) in table {
            let calls = parties.iter().enumerate().flat_map(|(at, &(network, domain, bytes))| {
                (0..10u8).map(move |home| {
                    let (from, to) = (Address::v4([10, 0, at as u8, home]), Address::v4([203, 0, network, 7]));
                    let named = || AppFacts { server_name: Some(domain.into()), ..AppFacts::default() };
                    let facts = (!domain.is_empty()).then(|| std::sync::Arc::new(named()));
                    FlowRow { facts, ..row(from, to, home.into(), bytes + u64::from(home), 90) }
                })
            });
            let summary = summary_of(&calls.collect::<Vec<_>>(), &SummaryLimits::default());
            let (populations, places) = (populations(), Places::default());
            let scene = Scene::new(&summary, &populations, &places, None);
            let alone = scene.alone(|_| true);
            let measures: Vec<Measures> = alone.iter().map(|group| Measures::of(&group.whole, 60)).collect();
            let found = groups(&scene, &alone, &measures);
            let together: Vec<(usize, u64)> =
                found.iter().map(|group| (group.of.addresses.len(), group.whole.subscribers.count())).collect();
            let all: Vec<_> = (wanted > 0).then_some((wanted, 10 * wanted as u64)).into_iter().collect();
            assert_eq!(together, all, "{name}");
        }
    }
}
