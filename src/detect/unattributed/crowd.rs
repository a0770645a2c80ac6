//! Crowd: one stranger without a name with which a good part of a population deals in a protocol that nothing knows.
//! In: collectors of a scene, their pairs, the names that were looked up, what the others found. Out: few findings.
//! What it weighs: how many, and what share of all who are active; that nobody knows a name for the party and no bytes prove a
//! protocol, though the beginnings of enough connections were seen and payload goes both ways; that no other party of this traffic
//! is like that: games and swarms have many such parties with few of us each. How long each stays and how often it speaks does not
//! matter, unlike with a few (`dialogue`).
//! Several parties at one service that the same devices take turns with are one. A stranger that begins all of it, as who asks devices
//! does, must exchange more with each, again and again: scanners and monitors of the network say little.
//! A promise about rates, as the rest of the room: never above `medium`.

use std::collections::{BTreeMap, BTreeSet};

use super::dialogue::{
    BULK_MIN, BULK_SUBSCRIBERS_MIN, IN_TURN_MAX, IN_TURN_SHARED, PLUMBING, is_explained, is_nobody_known, is_stranger,
};
use crate::detect::beaconing::{is_at_telemetry, is_opaque_echo};
use crate::detect::finding::{Finding, Severity, Technique};
use crate::detect::scene::{Group, Scene, service_of};
use crate::detect::weigh::{Reason, log_ramp, ramp, weigh};
use crate::detect::words;
use crate::population::PopulationIndex;
use crate::population::collector::{CollectorKey, CollectorSummary, Service, ServiceAt};
use crate::population::groups::{CollectorGroup, GroupName, Level};
use crate::population::sketch::Merge;
use crate::units::Address;

/// Fewest subscribers of a crowd: fewer are players of one game.
const SUBSCRIBERS_MIN: u64 = 24;
/// Share of the active between which opinion turns; and above which it is everybody, and what everybody uses somebody knows.
const COVERAGE_TURNS: (f64, f64) = (0.0075, 0.03);
const COVERAGE_MAX: f64 = 0.5;
/// Data up over all data outside which only one of both says anything.
const UPLOAD_SHARE: (f64, f64) = (0.005, 0.98);
/// Data each way of each subscriber below which it is a sign of life, bytes.
const DATA_MIN: f64 = 64.0;
/// Share of the flows that a stranger who calls begins, least data each way of each subscriber, bytes, and least of its flows.
const CALLER_SHARE_MIN: f64 = 0.9;
const CALLER_DATA_MIN: f64 = 8_192.0;
const CALLER_FLOWS_MIN: u64 = 3;
/// Data up over all data of one that asks and is answered alike.
const CALLER_UPLOAD_SHARE: (f64, f64) = (0.1, 0.9);
/// TCP connections whose beginning was seen, in number or as a share, from which on a protocol would have been proved.
const BEGINNINGS_MIN: u64 = 24;
const BEGINNINGS_SHARE_MIN: f64 = 0.8;
/// Others like it, of at least half as many subscribers, from which on none is rare.
const OTHERS_MAX: usize = 1;
/// What TCP is among IP protocols.
const TCP: u8 = 6;

/// One party, or several in turn.
struct Crowd<'a> {
    population: PopulationIndex,
    members: Vec<(&'a CollectorKey, &'a CollectorSummary)>,
    service: Service,
    subscribers: u64,
}

/// See the file's header.
pub(super) fn crowds(scene: &Scene<'_>, found: &mut Vec<Finding>) {
    let popular = || scene.collectors().iter().filter(|(_, one)| one.subscribers.count() >= BULK_SUBSCRIBERS_MIN);
    if popular().count() < BULK_MIN {
        return;
    }
    let mut by_service: BTreeMap<(PopulationIndex, Service), Vec<_>> = BTreeMap::new();
    let mut all: Vec<Crowd<'_>> = Vec::new();
    for (key, one) in popular() {
        if let Some(service) = service_of(one).filter(|_| is_caller(scene, key, one)) {
            let subscribers = one.subscribers.count();
            all.push(Crowd { population: key.population, members: vec![(*key, *one)], service, subscribers });
        }
        if !is_dealt_with(scene, key, one) {
            continue;
        }
        let at_them = service_of(one).filter(|service| service.at == ServiceAt::Collector);
        if let Some(service) = at_them {
            by_service.entry((key.population, service)).or_default().push((*key, *one));
        }
    }
    for ((population, service), members) in by_service {
        if (2..=IN_TURN_MAX).contains(&members.len()) {
            let each: u64 = members.iter().map(|(_, one)| one.subscribers.count()).sum();
            let subscribers = subscribers_of(scene, population, &members);
            if each as f64 >= IN_TURN_SHARED * subscribers as f64 || is_one_party_twice(&members) {
                all.push(Crowd { population, members, service, subscribers });
                continue;
            }
        }
        let alone = members.into_iter().map(|member| Crowd {
            population,
            subscribers: member.1.subscribers.count(),
            members: vec![member],
            service,
        });
        all.extend(alone);
    }
    // Of what is met midway nothing is known: it may be anybody's push service.
    all.retain(|crowd| shows_beginnings(scene, crowd));
    let is_told = |crowd: &&Crowd<'_>| {
        let others = all.iter().filter(|other| {
            other.population == crowd.population
                && !std::ptr::eq(*other, *crowd)
                && other.subscribers * 2 >= crowd.subscribers
        });
        crowd.subscribers >= SUBSCRIBERS_MIN
            && others.take(OTHERS_MAX + 1).count() <= OTHERS_MAX
            && !crowd.members.iter().any(|(key, _)| is_explained(found, key.address))
    };
    let told = all.iter().filter(is_told).filter_map(|crowd| finding(scene, crowd)).collect::<Vec<_>>();
    found.extend(told);
}

/// Whether subscribers deal with a party of which neither a name nor a protocol is known.
fn is_dealt_with(scene: &Scene<'_>, key: &CollectorKey, one: &CollectorSummary) -> bool {
    let [up, down] = one.totals.data_bytes.map(|bytes| bytes as f64);
    let share = up / (up + down).max(1.0);
    let least = DATA_MIN * one.subscribers.count() as f64;
    // What reports at the port of CoAP is sealed by keys that were agreed on long ago.
    !is_at_telemetry(one)
        && (UPLOAD_SHARE.0..=UPLOAD_SHARE.1).contains(&share)
        && up >= least
        && down >= least
        && is_nobody_known(scene, key, one)
}

/// Whether a party of which neither a name nor a protocol is known calls subscribers again and again and exchanges a good deal with
/// each.
fn is_caller(scene: &Scene<'_>, key: &CollectorKey, one: &CollectorSummary) -> bool {
    let [up, down] = one.totals.data_bytes.map(|bytes| bytes as f64);
    let share = up / (up + down).max(1.0);
    let subscribers = one.subscribers.count();
    let is_plumbing = service_of(one).is_some_and(|service| PLUMBING.contains(&service.protocol));
    (CALLER_UPLOAD_SHARE.0..=CALLER_UPLOAD_SHARE.1).contains(&share)
        && up.min(down) >= CALLER_DATA_MIN * subscribers as f64
        && one.flows_by_collector as f64 >= CALLER_SHARE_MIN * one.totals.flows.max(1) as f64
        && one.totals.flows >= CALLER_FLOWS_MIN * subscribers
        && (!is_plumbing || is_opaque_echo(one))
        && is_stranger(scene, key, one)
}

/// Whether all that is at a service of its own is one address of each version of IP: devices take the one that their line has, and no
/// turns.
fn is_one_party_twice(members: &[(&CollectorKey, &CollectorSummary)]) -> bool {
    let [(a, _), (b, _)] = members else { return false };
    a.address.is_v4() != b.address.is_v4()
}

/// How many subscribers deal with any of several parties.
fn subscribers_of(
    scene: &Scene<'_>,
    population: PopulationIndex,
    members: &[(&CollectorKey, &CollectorSummary)],
) -> u64 {
    let pairs = members.iter().flat_map(|(key, _)| scene.pairs_of(population, key.address));
    pairs.map(|(pair, _)| pair.subscriber).collect::<BTreeSet<Address>>().len() as u64
}

/// Whether enough connections were seen from their beginning for a protocol to be proved, if it were a known one.
fn shows_beginnings(scene: &Scene<'_>, crowd: &Crowd<'_>) -> bool {
    let of_tcp = |one: &CollectorSummary| {
        one.protocols.iter().filter(|(protocol, _)| *protocol == TCP).map(|(_, rows)| rows).sum::<u64>()
    };
    let tcp: u64 = crowd.members.iter().map(|(_, one)| of_tcp(one)).sum();
    let pairs = crowd.members.iter().flat_map(|(key, _)| scene.pairs_of(crowd.population, key.address));
    let established: u64 = pairs.map(|(_, pair)| pair.rows_established).sum();
    established >= BEGINNINGS_MIN || established as f64 >= BEGINNINGS_SHARE_MIN * tcp as f64
}

fn finding(scene: &Scene<'_>, crowd: &Crowd<'_>) -> Option<Finding> {
    let coverage = scene.coverage(crowd.population, crowd.subscribers);
    let many = crowd.subscribers as f64;
    let (score, evidence) = weigh(vec![
        Reason::number("subscribers_distinct", many, "subscribers", log_ramp(many, 12.0, 36.0), 0.4),
        Reason::number("share_of_active", coverage, "ratio", ramp(coverage, COVERAGE_TURNS.0, COVERAGE_TURNS.1), 0.6),
    ]);
    let severity = match score {
        _ if coverage > COVERAGE_MAX => return None,
        0.6.. => Severity::Medium,
        0.45.. => Severity::Low,
        _ => return None,
    };
    let mut addresses: Vec<Address> = crowd.members.iter().map(|(key, _)| key.address).collect();
    addresses.sort_unstable();
    let mut whole = CollectorSummary::default();
    crowd.members.iter().for_each(|(_, one)| whole.merge((*one).clone()));
    let first = *addresses.first()?;
    let calls = 2 * whole.flows_by_collector > whole.totals.flows;
    let caller = if calls { " It is the one who calls: these devices answer strangers." } else { "" };
    let (key, level, name) = match addresses.as_slice() {
        [one] => (one.to_string(), Level::Address, GroupName::Address(*one)),
        _ => {
            let key = format!("{first} and others at port {}", crowd.service.port);
            (key, Level::Prefix, GroupName::Service(first, crowd.service))
        }
    };
    let of = CollectorGroup { population: crowd.population, name, addresses };
    let group = Group { key, level, of, whole: whole.into() };
    let blank = scene.blank(Technique::UnattributedCluster, &group);
    let who = group.spoken(&blank.collector.names);
    let subscribers = words::counted(crowd.subscribers, "subscriber");
    Some(Finding {
        severity,
        score,
        p_value: 0.05,
        evidence,
        headline: format!("{subscribers} deal with {who} in a protocol that nothing knows"),
        explanation: format!(
            "{subscribers}, {:.0} % of those seen, deal with {who}: data goes both ways, nobody looked up a name for it, nobody \
             asks it for one, and the bytes belong to no protocol that is known here, though their beginnings were seen. No other \
             party of this traffic is like that.{caller} Find the devices, see which program talks, and register the party in the \
             policy if it may: messengers with an address built in do so.",
            100.0 * coverage,
        ),
        ..blank
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::row::{ConnState, FlowColumns};
    use crate::packet::facts::{AppFacts, AppProtocol};
    use crate::population::places::Places;
    use crate::population::summary::tests::{hour_of, populations, row};

    #[test]
    fn a_crowd_at_a_stranger_is_told_and_a_few_or_a_known_protocol_are_not() {
        // Parties, devices of 230 that deal with each of them in turn, bytes of a row from who begins and to them, whether the protocol
        // is known, whether the parties begin, their port.
        type Case = (&'static str, u8, u8, [u64; 2], [bool; 2], u16, Option<Severity>);
        let table: [Case; 9] = [
            ("forty at one", 1, 40, [300, 900], [false, false], 40_411, Some(Severity::Medium)),
            ("forty at three in turn", 3, 40, [300, 900], [false, false], 40_411, Some(Severity::Medium)),
            ("players of one game", 1, 12, [300, 900], [false, false], 40_411, None),
            ("everybody", 1, 200, [300, 900], [false, false], 40_411, None),
            ("a sign of life", 1, 40, [5, 5], [false, false], 40_411, None),
            (
                "one who calls forty, and exchanges much",
                1,
                40,
                [3_000, 3_000],
                [false, true],
                40_411,
                Some(Severity::Medium),
            ),
            ("one who calls forty, and says little", 1, 40, [80, 80], [false, true], 40_411, None),
            ("a known protocol", 1, 40, [300, 900], [true, false], 40_411, None),
            ("things at the port of CoAP", 1, 40, [300, 900], [false, false], 5_684, None),
        ];
        for (name, parties, devices, [up, down], [is_known, calls], port, wanted) in table {
            let deals = (0..devices).flat_map(|n| (0..6u8).map(move |k| (n, k))).map(|(n, k)| {
                let (device, party) = (Address::v4([10, 0, 0, n]), Address::v4([203, 0, 113, k % parties]));
                let (from, to) = if calls { (party, device) } else { (device, party) };
                let mut one = row(from, to, 40 * u64::from(k), up, down);
                let service = if one.orig_end == 0 { 1 } else { 0 };
                (one.key.protocol, one.key.ports[service]) = (17, port);
                let facts = AppFacts { protocol: Some(AppProtocol::Ssh), ..AppFacts::default() };
                one.facts = is_known.then(|| std::sync::Arc::new(facts));
                one
            });
            let known =
                || Some(std::sync::Arc::new(AppFacts { protocol: Some(AppProtocol::Tls), ..AppFacts::default() }));
            let browsed = (0..230u8).map(|n| {
                let mut one =
                    row(Address::v4([10, 0, 0, n]), Address::v4([198, 51, 100, n % 25]), n.into(), 800, 9_000);
                one.facts = known();
                one
            });
            // Push services, whose connections were there before: they are no second stranger.
            let held = (0..120u8).map(|n| {
                let push = Address::v4([198, 51, 101, n % 3]);
                let mut one = row(Address::v4([10, 0, 0, n]), push, n.into(), 300, 300);
                (one.state, one.key.ports[1]) = (ConnState::OTH, 5_228);
                one
            });
            let mut rows = FlowColumns::default();
            deals.chain(browsed).chain(held).for_each(|row| rows.push(row));
            let (summary, populations, places, mut found) =
                (hour_of(&rows), populations(), Places::default(), Vec::new());
            let scene = Scene::new(&summary, &populations, &places, None);
            crowds(&scene, &mut found);
            assert_eq!(found.iter().map(|one| one.severity).max(), wanted, "{name}: {found:#?}");
            assert!(found.iter().all(|one| one.collector.addresses.len() == usize::from(parties)), "{name}");
        }
    }

    #[test]
    fn one_address_of_each_version_at_a_service_of_its_own_is_one_party() {
        let one = CollectorSummary::default();
        let of = |n: u8| CollectorKey { population: PopulationIndex(0), address: Address::v4([203, 0, 113, n]) };
        let v6 = CollectorKey { address: Address([0x20; 16]), ..of(1) };
        let members =
            |keys: &[CollectorKey]| is_one_party_twice(&keys.iter().map(|key| (key, &one)).collect::<Vec<_>>());
        assert!(members(&[of(1), v6]));
        assert!(!members(&[of(1), of(2)]));
        assert!(!members(&[of(1), of(2), v6]));
    }
}
