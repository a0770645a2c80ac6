//! Wandering: names whose answers move through networks that have nothing in common.
//! In: what each resolver said of each name, and where the population was served. Out: one finding for all such names.
//! Whoever forges answers for chosen names draws from a small pool of strangers' addresses; a service's own move little.
//! Not here: who turned to which resolver.

use std::collections::{BTreeMap, BTreeSet};

use super::contradicted::is_raced;
use super::{Answers, answers_askers, blank, number};
use crate::detect::finding::{CollectorIdentity, EvidenceValue, Finding, PopulationShare, Severity};
use crate::detect::scene::Scene;
use crate::detect::words;
use crate::population::PopulationIndex;
use crate::population::answered::{Answered, Bearing};
use crate::population::collector::CollectorSummary;
use crate::population::conflict::network_of;
use crate::population::identity::Party;
use crate::population::zones::Zone;
use crate::units::Address;

/// Unrelated domains whose names' answers wander, from which on that is said; and from which on it is no accident. Names of one
/// domain are answered as its owner likes, and a tunnel's owner writes data there.
const WANDERING_MIN: usize = 2;
const WANDERING_SURE: usize = 4;
/// Unrelated domains that a network is answered for, bare, before it may be a forger's.
const POOLED_MIN: usize = 3;
/// Bytes down a row, headers included, from which on a party has served something: a refused handshake has a few hundred.
const SERVED_BYTES_MIN: u64 = 1_000;
/// Names shown.
const NAMES_SHOWN: usize = 8;

/// Names whose bare answers lie in networks that have nothing in common, in networks that are answered for other names too:
/// a forger draws from a small pool, whatever is asked.
pub(super) fn wandering<'a>(
    scene: &Scene<'a>,
    population: PopulationIndex,
    answers: &Answers<'a>,
    findings: &mut Vec<Finding>,
) {
    let bare = |answered: &Answered| -> Vec<(Party, Address)> {
        let given = answered.given.iter().filter(|given| given.bearing == Bearing::Bare);
        given.map(|given| (given.resolver, Party::shown(&given.address))).collect()
    };
    // Nothing but bare answers: a name that also has an alias or several addresses is served from many places. And in two
    // networks at least: where too few names are, no name's domain need be told.
    let wanderer = |(name, answered): &(&'a str, &Answered)| {
        let given = bare(answered);
        let first = given.iter().find_map(|(_, address)| address.as_v4());
        let is_spread =
            given.iter().any(|(_, address)| address.as_v4().is_some_and(|[a, ..]| first.is_some_and(|[b, ..]| a != b)));
        (given.len() == answered.given.len() && is_spread).then_some((*name, given))
    };
    let candidates: Vec<(&str, Vec<(Party, Address)>)> = answers.names.iter().filter_map(wanderer).collect();
    if candidates.len() < WANDERING_MIN {
        return;
    }
    let mut tenants: BTreeMap<Address, BTreeSet<&str>> = BTreeMap::new();
    for (name, answered) in &answers.names {
        let Zone::Domain(domain, _) = Zone::of(name) else { continue };
        for (_, address) in bare(answered) {
            tenants.entry(network_of(address)).or_default().insert(domain);
        }
    }
    let mut names: Vec<&str> = Vec::new();
    let mut parties: BTreeSet<Party> = BTreeSet::new();
    let mut pool: BTreeSet<Address> = BTreeSet::new();
    for (name, given) in candidates {
        if !wanders(&given, &tenants, |address| is_served(scene, population, address)) {
            continue;
        }
        names.push(name);
        parties.extend(given.iter().map(|(resolver, _)| *resolver));
        pool.extend(given.iter().map(|(_, address)| *address));
    }
    let domains: BTreeSet<&str> = names.iter().map(|name| domain_of(name)).collect();
    if domains.len() < WANDERING_MIN || is_raced(scene.summary.forgeries.records(), &parties) {
        return;
    }
    let (severity, score) = match domains.len() {
        WANDERING_SURE.. => (Severity::Medium, 0.7),
        _ => (Severity::Low, 0.5),
    };
    let addresses: Vec<Address> = parties.iter().map(Party::shown).collect();
    let shown = names.iter().take(NAMES_SHOWN).copied().collect::<Vec<_>>().join(", ");
    let askers = answers_askers(scene, population, &addresses);
    findings.push(Finding {
        severity,
        score,
        p_value: 0.02,
        evidence: vec![
            number("domains_wandering", domains.len() as f64, "domains", 0.3),
            number("names_wandering", names.len() as f64, "names", 0.3),
            number("addresses_in_pool", pool.len() as f64, "addresses", 0.2),
            words::evidence("names", EvidenceValue::Text(shown), "", 0.2),
        ],
        headline: format!("{} are answered with addresses that cannot all be theirs", words::counted(names.len() as u64, "name")),
        explanation: format!(
            "For {} the answers name one address at a time, in networks that have nothing in common, and the same \
             networks are answered for unrelated names. No service moves like that: somebody between the resolver and the \
             name servers, or the resolver itself, forges answers for chosen names. Compare them with answers over an \
             encrypted resolver; DNSSEC validation at the resolver makes such answers fail.",
            words::counted(names.len() as u64, "name"),
        ),
        flows: names.len() as u64,
        ..blank(
            scene,
            population,
            CollectorIdentity { collector_key: "wandering answers".to_owned(), addresses, ..Default::default() },
            PopulationShare { subscribers: askers, ..PopulationShare::default() },
            scene.summary.seen,
        )
    });
}

/// What a name belongs to: its registrable domain, or itself where that cannot be told.
fn domain_of(name: &str) -> &str {
    match Zone::of(name) {
        Zone::Domain(domain, _) => domain,
        _ => name,
    }
}

/// Whether the population was served at an address: what answers there keeps what the name promised, as a CDN's node does
/// that many unrelated names share. A forger's pool is of strangers' addresses, where nothing answers or nothing useful.
fn is_served(scene: &Scene<'_>, population: PopulationIndex, address: Address) -> bool {
    let is_it = |one: &CollectorSummary| {
        let asked = one.totals.rows;
        one.rows_answered * 2 > asked && one.totals.bytes_down() / asked.max(1) >= SERVED_BYTES_MIN
    };
    scene.collector(population, address).is_some_and(is_it)
}

/// Whether a name's answers lie in networks with nothing in common, one of which is answered for unrelated names and serves
/// nobody. Two networks of one owner have the same tenants.
fn wanders(
    given: &[(Party, Address)],
    tenants: &BTreeMap<Address, BTreeSet<&str>>,
    is_served: impl Fn(Address) -> bool,
) -> bool {
    let first = |network: &Address| network.as_v4().map(|octets| octets[0]);
    let networks: BTreeSet<Address> =
        given.iter().map(|(_, address)| network_of(*address)).filter(Address::is_v4).collect();
    let of = |network: &Address| tenants.get(network);
    let is_pooled = |network: &Address| of(network).is_some_and(|domains| domains.len() >= POOLED_MIN);
    let is_one_owner = |a: &Address, b: &Address| {
        let (Some(a), Some(b)) = (of(a), of(b)) else { return false };
        let common = a.intersection(b).count();
        common >= 2 && common * 3 > 2 * a.len().max(b.len())
    };
    let apart = |a: &Address| networks.iter().any(|b| first(a) != first(b) && !is_one_owner(a, b));
    let related = |a: &Address| networks.iter().any(|b| first(a) != first(b) && is_one_owner(a, b));
    let is_empty =
        |network: &Address| !given.iter().any(|(_, address)| network_of(*address) == *network && is_served(*address));
    let is_forged = |network: &Address| is_pooled(network) && apart(network) && is_empty(network);
    networks.iter().any(is_forged) && !networks.iter().any(related)
}
