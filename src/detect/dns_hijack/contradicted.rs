//! Contradicted: one address for unrelated names, in the name of a resolver that gives others their true ones.
//! In: what each resolver said of each name. Out: a finding for each address to which names are led away.
//! Who sits on the path answers in the resolver's own name, for some names and some clients: nobody turns to another resolver,
//! and the resolver seems to contradict itself. One name with two homes is a service's own choice. Unrelated names that each have
//! a home apart, and share one address beside it that no alias leads to, are not: what hosts many names hosts them in its own networks.
//! Not here: names without a home that holds still (`wandering`), resolvers that are strangers.

use std::collections::{BTreeMap, BTreeSet};

use super::{Answers, answers_askers, blank, number};
use crate::detect::finding::{CollectorIdentity, EvidenceValue, Finding, PopulationShare, Severity};
use crate::detect::scene::Scene;
use crate::detect::words;
use crate::flow::observation::ForgeryKind;
use crate::population::PopulationIndex;
use crate::population::answered::{Answered, Bearing};
use crate::population::conflict::{network_of, wide_network_of};
use crate::population::forgery::ForgeryRecord;
use crate::population::identity::Party;
use crate::population::zones::Zone;
use crate::units::Address;

/// Unrelated domains that are led to one address from which on that is told, and from which on it is no accident.
const DOMAINS_MIN: usize = 4;
const DOMAINS_SURE: usize = 8;
/// The same of a resolver that most ask and nobody lists, by what others say.
const DOMAINS_OF_LIAR: usize = 6;
/// Networks, each home to few of them, in which these domains must lie: names of one owner lie in the owner's.
const HOMES_MIN: usize = 3;
/// Share of the domains from which on a network is no single one's home: a front door of all of them.
const SHARED_HOME: f64 = 0.34;
/// Questions with two answers from which on a forger races the resolver; one or two are a client's second try.
pub(super) const RACES_MIN: usize = 3;
/// Names shown.
const NAMES_SHOWN: usize = 8;

/// What is known of an address that unrelated names share.
#[derive(Debug, Default)]
struct Shared<'a> {
    /// Domains led there, with the networks in which the same resolver places them otherwise.
    homes: BTreeMap<&'a str, BTreeSet<Address>>,
    /// Domains that have other addresses beside it, in the same network, by these.
    neighbours: BTreeMap<Address, BTreeSet<&'a str>>,
    /// In whose name.
    resolvers: BTreeSet<Party>,
}

impl Shared<'_> {
    /// Domains that are led away from a home of their own; none where the address is one of a host's doors.
    fn led_away(&self) -> Vec<&str> {
        let most = SHARED_HOME * self.homes.len() as f64;
        // An address that most of them share as well is the second of a pair.
        let single = self.neighbours.values().filter(|domains| 2 * domains.len() <= self.homes.len());
        let neighbours: BTreeSet<&str> = single.flatten().copied().collect();
        if self.homes.len() < DOMAINS_MIN || neighbours.len() as f64 > most {
            return Vec::new();
        }
        let mut tenants: BTreeMap<Address, usize> = BTreeMap::new();
        self.homes.values().flatten().for_each(|network| *tenants.entry(*network).or_default() += 1);
        let own =
            |networks: &BTreeSet<Address>| networks.iter().find(|at| tenants[*at] as f64 <= most.max(1.0)).copied();
        let led: Vec<(&str, Address)> =
            self.homes.iter().filter_map(|(domain, networks)| Some((*domain, own(networks)?))).collect();
        let apart: BTreeSet<Address> = led.iter().map(|(_, home)| *home).collect();
        if led.len() < DOMAINS_MIN || apart.len() < HOMES_MIN {
            return Vec::new();
        }
        led.into_iter().map(|(domain, _)| domain).collect()
    }
}

/// See the file's header.
pub(super) fn contradicted<'a>(
    scene: &Scene<'a>,
    population: PopulationIndex,
    answers: &Answers<'a>,
    findings: &mut Vec<Finding>,
) {
    for (address, shared) in shared(answers.names.iter().copied(), &|of, by| of == by) {
        let domains = shared.led_away();
        if !domains.is_empty() && !is_raced(scene.summary.forgeries.records(), &shared.resolvers) {
            findings.push(told(scene, population, address, &shared, &domains));
        }
    }
}

/// Whether the resolvers' true answers come after the false ones: then the packets prove it, and that is `packet-injection`.
pub(super) fn is_raced(forgeries: &[ForgeryRecord], resolvers: &BTreeSet<Party>) -> bool {
    raced(forgeries).iter().filter(|(server, _)| resolvers.contains(server)).map(|(_, races)| races).sum::<usize>()
        >= RACES_MIN
}

/// Questions with two answers, by whom both claim to come from.
pub(super) fn raced(forgeries: &[ForgeryRecord]) -> BTreeMap<Party, usize> {
    let mut raced: BTreeMap<Party, usize> = BTreeMap::new();
    for one in forgeries.iter().filter(|record| record.kind == ForgeryKind::Answer) {
        *raced.entry(one.server).or_default() += 1;
    }
    raced
}

/// Whether a resolver that nobody lists leads unrelated names to one address, while others place each of them at a home of its own: then it
/// is no population's own, however many ask it. Devices that were all set to it have nobody else to ask.
pub(super) fn is_liar(answers: &Answers<'_>, resolver: Address) -> bool {
    let is_it = |party: &Party| party.outside() == Some(resolver);
    let mine = answers.by_resolver.get(&Party::Outside(resolver)).into_iter().flatten();
    let shared = shared(mine.map(|at| answers.names[*at]), &|of, by| is_it(of) && !is_it(by));
    // A page of its own house says that a name is blocked, or a house's own server bears names that outsiders find elsewhere.
    let is_own_page = |address: &Address| {
        let is_private = address.as_v4().is_some_and(|octets| std::net::Ipv4Addr::from(octets).is_private());
        is_private || wide_network_of(*address) == wide_network_of(resolver)
    };
    let mut led = shared.iter().filter(|(address, _)| !is_own_page(address));
    led.any(|(_, shared)| shared.led_away().len() >= DOMAINS_OF_LIAR)
}

/// Addresses that are given without an alias for some domain, beside which a witness, given the resolver, places the name elsewhere.
fn shared<'a>(
    names: impl Iterator<Item = (&'a str, &'a Answered)>,
    is_witness: &dyn Fn(&Party, &Party) -> bool,
) -> BTreeMap<Address, Shared<'a>> {
    let mut shared: BTreeMap<Address, Shared<'a>> = BTreeMap::new();
    for (name, answered) in names {
        let Zone::Domain(domain, _) = Zone::of(name) else { continue };
        for given in answered.given.iter().filter(|given| given.bearing != Bearing::Dressed) {
            let Some(address) = given.address.outside().filter(|address| !address.is_special()) else { continue };
            let others = answered.given.iter().filter(|other| is_witness(&given.resolver, &other.resolver));
            let others = others.map(|other| Party::shown(&other.address));
            let others: Vec<Address> =
                others.filter(|other| *other != address && other.is_v4() == address.is_v4()).collect();
            let network = wide_network_of(address);
            let homes = others.iter().map(|other| wide_network_of(*other)).filter(|home| *home != network);
            let homes: BTreeSet<Address> = homes.collect();
            if homes.is_empty() {
                continue;
            }
            let one = shared.entry(address).or_default();
            for neighbour in others.iter().filter(|other| wide_network_of(**other) == network) {
                one.neighbours.entry(*neighbour).or_default().insert(domain);
            }
            one.homes.entry(domain).or_default().extend(homes);
            one.resolvers.insert(given.resolver);
        }
    }
    shared
}

/// By what a place to which names are led is found again.
pub(in crate::detect) fn key_of(address: Address) -> String {
    format!("led to:{address}")
}

fn told(
    scene: &Scene<'_>,
    population: PopulationIndex,
    address: Address,
    shared: &Shared<'_>,
    domains: &[&str],
) -> Finding {
    let resolvers: Vec<Address> = shared.resolvers.iter().map(|party| scene.resolver_address(*party)).collect();
    // A resolver that answers with a page of its own house filters, or asks its guests to log in.
    let is_own_page = resolvers.iter().any(|resolver| network_of(*resolver) == network_of(address));
    let (severity, score) = match domains.len() {
        _ if is_own_page => (Severity::Low, 0.5),
        DOMAINS_SURE.. => (Severity::High, 0.9),
        _ => (Severity::Medium, 0.7),
    };
    let shown = domains.iter().take(NAMES_SHOWN).copied().collect::<Vec<_>>().join(", ");
    let known = |party: &Party| party.outside().or_else(|| scene.resolver_inside(*party));
    let named: BTreeSet<Address> = shared.resolvers.iter().filter_map(known).chain([address]).collect();
    let askers = answers_askers(scene, population, &resolvers);
    let counted = words::counted(domains.len() as u64, "unrelated domain");
    Finding {
        severity,
        score,
        p_value: 0.01,
        evidence: vec![
            number("domains_led_elsewhere", domains.len() as f64, "domains", 0.6),
            words::evidence("domains", EvidenceValue::Text(shown), "", 0.4),
        ],
        headline: format!("{counted} are led to {address} in the name of the usual resolver"),
        explanation: format!(
            "Some who ask for {counted} are given {address}, others are told by the same resolver where \
             each of them is at home, in networks that have nothing in common. No host keeps such names behind one address \
             beside their own: somebody on the path answers in the resolver's name, or the resolver itself lies to some. \
             Compare the hop limits and the times of the answers, ask for these names over an encrypted resolver, and find \
             who is behind {address}.",
        ),
        flows: domains.len() as u64,
        ..blank(
            scene,
            population,
            CollectorIdentity {
                collector_key: key_of(address),
                // A pseudonym is no address of a collector.
                addresses: named.into_iter().collect(),
                names: Vec::new(),
                ..Default::default()
            },
            PopulationShare { subscribers: askers, ..PopulationShare::default() },
            scene.summary.seen,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::forgery::ForgedVersion;
    use crate::units::{DurationNs, TimestampNs};

    #[test]
    fn names_apart_that_share_one_address_are_led_there_and_a_hosts_are_not() {
        let network = |n: u8| Address::v4([n, 20, 0, 0]);
        let names = ["a.test", "b.test", "c.test", "d.test", "e.test", "f.test"];
        // The homes of the n-th domain, how many have a neighbour of the address, and how many are led away.
        type Homes = fn(u8) -> Vec<u8>;
        let table: [(&str, Homes, usize, usize); 5] = [
            ("each has a home", |n| vec![10 + n], 0, 6),
            ("each has a home, and the forger a second address", |n| vec![10 + n, 99], 0, 6),
            ("all are behind the same doors", |_| vec![10, 11, 12], 0, 0),
            ("all are behind doors here", |n| vec![10 + n], 4, 0),
            ("two owners", |n| vec![10 + n % 2], 0, 0),
        ];
        for (name, homes, neighbours, wanted) in table {
            let homes = names.iter().zip(0..).map(|(name, n)| (*name, homes(n).into_iter().map(network).collect()));
            let single = names.iter().take(neighbours).zip(0..);
            let single = single.map(|(name, n)| (Address::v4([99, 20, 1, n]), BTreeSet::from([*name])));
            let mut shared =
                Shared { homes: homes.collect(), neighbours: single.collect(), resolvers: BTreeSet::new() };
            assert_eq!(shared.led_away().len(), wanted, "{name}");
            // A second address of all of them changes nothing.
            shared.neighbours.insert(Address::v4([99, 20, 2, 2]), names.into());
            assert_eq!(shared.led_away().len(), wanted, "{name}, at a pair of addresses");
        }
    }

    #[test]
    fn who_races_the_resolver_is_told_by_its_packets() {
        let resolver = |n: u8| Party::Outside(Address::v4([192, 0, 2, n]));
        let forged = |server, kind| ForgeryRecord {
            ts: TimestampNs(1),
            file: 0,
            versions: [ForgedVersion { ts: TimestampNs(1), frame: 1, ttl: 60, leads_to: None }; 2],
            kind,
            server,
            server_port: 53,
            victim: Address::v4([10, 0, 0, 1]),
            population: None,
            delta: DurationNs(1),
            sender_ttl_usual: None,
            copies: 1,
            protocol: 17,
            name: "a.test".into(),
        };
        let resolvers = BTreeSet::from([resolver(53)]);
        let table = [
            ("answers twice, again and again", vec![forged(resolver(53), ForgeryKind::Answer); 3], true),
            ("once or twice", vec![forged(resolver(53), ForgeryKind::Answer); 2], false),
            ("in another's name", vec![forged(resolver(54), ForgeryKind::Answer); 3], false),
            ("resets", vec![forged(resolver(53), ForgeryKind::Reset); 3], false),
        ];
        for (name, forgeries, wanted) in table {
            assert_eq!(is_raced(&forgeries, &resolvers), wanted, "{name}");
        }
    }
}
