//! Dialogue: devices that talk again and again, each for a moment, with one stranger in a protocol that nothing knows.
//! In: collectors of a scene, their pairs, the names that were looked up. Out: few findings.
//! What it weighs: that nobody knows a name for the party and no bytes prove a protocol, though payload goes both ways in turns;
//! that the same devices come back, for moments and not for as long as a call, a game or a tunnel lasts; how many they are; and
//! that hardly anybody else of this traffic is talked to like that: peers of a swarm and strangers of a game are many.
//! Several parties at one service that the same devices talk with in turn are one.
//! Bounds: the [`JUDGED_MAX`] parties that talk most are held against all that are talked to.
//! A promise about rates, as the rest of the room: never above `medium`.
//! Not here: who calls the subscribers, or is fed by the clock (`unattributed`, `beaconing`).

use std::collections::BTreeMap;

use crate::detect::beaconing::{is_clock, is_opaque_echo, is_registrar, is_telephony};
use crate::detect::finding::{Finding, Severity, Technique};
use crate::detect::scene::{Group, Scene, service_of};
use crate::detect::weigh::{Reason, log_ramp, ramp, weigh};
use crate::detect::words;
use crate::population::PopulationIndex;
use crate::population::collector::{CollectorKey, CollectorSummary, Service, ServiceAt};
use crate::population::groups::{CollectorGroup, GroupName, Level};
use crate::population::sketch::Merge;
use crate::population::span::Seen;
use crate::units::Address;

/// Fewest subscribers: the k of privacy. A party without a name and a protocol needs no crowd to be strange.
const SUBSCRIBERS_MIN: u64 = 5;
/// Share of the rows that bytes may prove to be of a known protocol: a few are chance.
const KNOWN_MAX: f64 = 0.05;
/// Share of the rows that must be answered: of a crowd it may be that of those who were answered at all, as what is said to one of many
/// in a moment is not always answered in that moment, and half of the rows. And most flows that the party may begin: who begins them
/// all is another room's.
const ANSWERED_MIN: f64 = 0.85;
const ANSWERED_OF_CROWD_MIN: f64 = 0.5;
const BEGUN_BY_COLLECTOR_MAX: f64 = 0.7;
/// Share of the flows that a party begins from which on it may be a peer, and the subscribers that make one of these more than a peer.
const CALLS_SHARE: f64 = 0.1;
const CALLED_MIN: u64 = 12;
/// Data up over all data: outside these it is an upload, or something is fetched.
const UPLOAD_SHARE: (f64, f64) = (0.2, 0.8);
/// Turns of a row between which opinion turns. A question and its answer are two, which push, SIP and CoAP have.
const TURNS: (f64, f64) = (2.5, 5.0);
/// Upper quartile of the rows' durations, seconds, between which a moment becomes a stay.
const STAY_S: (f64, f64) = (12.0, 40.0);
/// Flows of the median subscriber, between which it comes back.
const RETURNS: (f64, f64) = (1.5, 4.0);
/// Share of the span over which the median subscriber's flows must lie: a single visit to a page of many connections does not.
const LASTS_MIN: f64 = 0.3;
/// TCP rows whose beginning was seen: of what began before the capture no protocol could be proved.
const ESTABLISHED_MIN: f64 = 0.8;
/// Share of the active subscribers from which on it is everybody's.
const COVERAGE_MAX: f64 = 0.5;
/// Collectors of as many subscribers as the bulk must have, and the most of them that may be talked to in the same way.
pub(super) const BULK_SUBSCRIBERS_MIN: u64 = 3;
pub(super) const BULK_MIN: usize = 20;
const P_VALUE_MAX: f64 = 0.05;
/// Parties held against all others at the most: where more are talked to like that, none of them is rare.
const JUDGED_MAX: usize = 64;
/// Most parties that are one in turn, and how many of them a subscriber must deal with on average.
pub(super) const IN_TURN_MAX: usize = 16;
pub(super) const IN_TURN_SHARED: f64 = 1.5;
/// Mean entropy of the sizes of a row's echoes, bits, from which on they are no measurement.
const ECHO_ENTROPY_MIN: f64 = 1.0;
/// What TCP is among IP protocols, and those that are no application's: echoes, tunnels, routing.
const TCP: u8 = 6;
pub(super) const PLUMBING: [u8; 11] = [1, 2, 4, 41, 47, 50, 51, 58, 89, 103, 112];

/// What is measured of one party.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Measures {
    subscribers: u64,
    turns: f64,
    stay_s: f64,
    returns: f64,
    p_value: f64,
}

impl Measures {
    fn reasons(&self) -> Vec<Reason> {
        let (subscribers, p) = (self.subscribers as f64, self.p_value);
        vec![
            Reason::number("turns_per_row", self.turns, "turns", ramp(self.turns, TURNS.0, TURNS.1), 0.25),
            Reason::number("stay_upper_quartile", self.stay_s, "s", ramp(self.stay_s, STAY_S.1, STAY_S.0), 0.2),
            Reason::number(
                "returns_per_subscriber",
                self.returns,
                "flows",
                ramp(self.returns, RETURNS.0, RETURNS.1),
                0.2,
            ),
            Reason::number("subscribers_distinct", subscribers, "subscribers", log_ramp(subscribers, 2.0, 10.0), 0.15),
            Reason::number("share_as_strange", p, "ratio", ramp(p, 2.0 * P_VALUE_MAX, P_VALUE_MAX), 0.2),
        ]
    }
}

/// A party that subscribers talk with: one address, or several that they take turns with at one service.
struct Talker<'a> {
    population: PopulationIndex,
    members: Vec<(&'a CollectorKey, &'a CollectorSummary)>,
    service: Option<Service>,
    measures: Measures,
}

/// See the file's header. `found` is what the others said.
pub(super) fn strangers(scene: &Scene<'_>, found: &mut Vec<Finding>) {
    let popular = || scene.collectors().iter().filter(|(_, one)| one.subscribers.count() >= BULK_SUBSCRIBERS_MIN);
    let bulk = popular().count();
    if bulk < BULK_MIN {
        return;
    }
    let unknown: Vec<_> = popular().filter(|(key, one)| is_unknown(scene, key, one)).copied().collect();
    let talkers = unknown.iter().filter_map(|member| Talker::of(scene, vec![*member]));
    let talkers: Vec<Talker<'_>> = talkers.chain(in_turn(scene, &unknown)).collect();
    let mut told = Vec::new();
    let is_judged = |talker: &&Talker<'_>| {
        talker.measures.subscribers >= if talker.calls() { CALLED_MIN } else { SUBSCRIBERS_MIN }
            && scene.coverage(talker.population, talker.measures.subscribers) <= COVERAGE_MAX
            && !talker.members.iter().any(|(key, _)| is_explained(found, key.address))
    };
    let mut judged: Vec<_> = talkers.iter().filter(is_judged).collect();
    // Several before one of them: what is told of all is not told of each.
    judged.sort_by(|a, b| b.members.len().cmp(&a.members.len()).then(b.measures.turns.total_cmp(&a.measures.turns)));
    for talker in judged.into_iter().take(JUDGED_MAX) {
        let addresses: Vec<Address> = talker.members.iter().map(|(key, _)| key.address).collect();
        // Registered ones stand beside nobody: they are known. Of several in turn each is a part, and no other.
        let others = talkers.iter().filter(|other| other.members.len() == 1).filter(|other| {
            let address = other.members[0].0.address;
            !addresses.contains(&address)
                && is_as_strange(&other.measures, &talker.measures)
                && !scene.is_registered(Technique::UnattributedCluster, other.population, address)
        });
        let measures = Measures { p_value: (1 + others.count()) as f64 / (1 + bulk) as f64, ..talker.measures };
        let (score, _) = weigh(measures.reasons());
        let severity = match score {
            score if score >= 0.6 && measures.p_value <= P_VALUE_MAX => Severity::Medium,
            score if score >= 0.45 => Severity::Low,
            _ => continue,
        };
        let is_told = |one: &Finding| addresses.iter().any(|address| one.collector.addresses.contains(address));
        if !told.iter().any(|one: &Finding| one.severity >= severity && is_told(one)) {
            let group = talker.group(scene);
            told.extend(group.map(|group| finding(scene, &group, &measures, severity, score)));
        }
    }
    found.extend(told);
}

/// Parties at one service that the same subscribers talk with, each now and then.
fn in_turn<'a>(
    scene: &Scene<'a>,
    unknown: &[(&'a CollectorKey, &'a CollectorSummary)],
) -> impl Iterator<Item = Talker<'a>> {
    let mut by_service: BTreeMap<(PopulationIndex, Service), Vec<(&CollectorKey, &CollectorSummary)>> = BTreeMap::new();
    for (key, one) in unknown {
        // Who calls in has a port of each subscriber's own choice, and no service.
        let at_them = service_of(one).filter(|service| service.at == ServiceAt::Collector && service.port > 0);
        if let Some(service) = at_them {
            by_service.entry((key.population, service)).or_default().push((*key, *one));
        }
    }
    by_service.retain(|_, members| (2..=IN_TURN_MAX).contains(&members.len()));
    let together = by_service.into_iter().filter_map(|((_, service), members)| {
        let all: u64 = members.iter().map(|(_, one)| one.subscribers.count()).sum();
        let talker = Talker::of(scene, members)?;
        // Strangers that happen to have one port have each their own few.
        let is_shared = all as f64 >= IN_TURN_SHARED * talker.measures.subscribers as f64;
        is_shared.then_some(Talker { service: Some(service), ..talker })
    });
    together.collect::<Vec<_>>().into_iter()
}

/// Whether another detector said what an address does, and not under its breath: who comes back to talk comes by a clock now and
/// then, or says as much each time, by chance.
pub(super) fn is_explained(found: &[Finding], address: Address) -> bool {
    let mut named = found.iter().filter(|one| one.severity >= Severity::Medium);
    named.any(|one| one.collector.addresses.binary_search(&address).is_ok())
}

/// Whether another is talked to as much as this one, if by fewer.
fn is_as_strange(other: &Measures, one: &Measures) -> bool {
    other.turns >= TURNS.1.min(one.turns) && other.returns >= RETURNS.0 && other.stay_s <= STAY_S.1
}

/// Whether neither a name nor a protocol is known of a party that subscribers talk with.
fn is_unknown(scene: &Scene<'_>, key: &CollectorKey, one: &CollectorSummary) -> bool {
    let [up, down] = one.totals.data_bytes.map(|bytes| bytes as f64);
    let upload_share = up / (up + down).max(1.0);
    (UPLOAD_SHARE.0..=UPLOAD_SHARE.1).contains(&upload_share) && is_nobody_known(scene, key, one)
}

/// The same of a party that subscribers deal with, whoever of both says more.
pub(super) fn is_nobody_known(scene: &Scene<'_>, key: &CollectorKey, one: &CollectorSummary) -> bool {
    let is_plumbing = service_of(one).is_some_and(|service| PLUMBING.contains(&service.protocol));
    is_stranger(scene, key, one)
        && one.flows_by_collector as f64 <= BEGUN_BY_COLLECTOR_MAX * one.totals.flows.max(1) as f64
        && (!is_plumbing || is_said_in_echoes(one))
}

/// Whether echoes carry what no system's `ping` sends, and now this and now that of it: who measures a path sends the same again.
fn is_said_in_echoes(one: &CollectorSummary) -> bool {
    is_opaque_echo(one) && one.upload_size_entropy.value().is_some_and(|bits| bits >= ECHO_ENTROPY_MIN)
}

/// The same, whoever of both begins, in whatever protocol, where what subscribers say is answered.
pub(super) fn is_stranger(scene: &Scene<'_>, key: &CollectorKey, one: &CollectorSummary) -> bool {
    is_nameless(scene, key, one) && is_answered(scene, key, one)
}

/// Whether neither a name nor a protocol is known of a party, answered or not.
pub(super) fn is_nameless(scene: &Scene<'_>, key: &CollectorKey, one: &CollectorSummary) -> bool {
    let rows = one.totals.rows.max(1) as f64;
    let is_of = |service: Service| service.port == 53;
    let is_known = service_of(one).is_some_and(is_of) || is_clock(one) || is_registrar(one) || is_telephony(one);
    // A server of the house's own network has a protocol of its own, and no name that a resolver outside knows.
    let is_private = key.address.as_v4().is_some_and(|octets| std::net::Ipv4Addr::from(octets).is_private());
    one.rows_named == 0
        && one.apps.total() as f64 <= KNOWN_MAX * rows
        && !is_known
        && !is_private
        && !key.address.is_special()
        && !scene.is_looked_up(key.address)
}

/// Whether what subscribers say to a party is answered.
pub(super) fn is_answered(scene: &Scene<'_>, key: &CollectorKey, one: &CollectorSummary) -> bool {
    let share = one.rows_answered as f64 / one.totals.rows.max(1) as f64;
    let is_crowd = one.subscribers.count() >= CALLED_MIN && share >= ANSWERED_OF_CROWD_MIN;
    share >= ANSWERED_MIN || is_crowd && is_said_both_ways(scene, key)
}

/// Whether nearly each who deals with a party says something to it and is told something.
pub(super) fn is_said_both_ways(scene: &Scene<'_>, key: &CollectorKey) -> bool {
    let pairs = scene.pairs_of(key.population, key.address);
    let both = pairs.iter().filter(|(_, pair)| pair.totals.data_bytes.iter().all(|bytes| *bytes > 0));
    both.count() as f64 >= ANSWERED_MIN * pairs.len() as f64
}

/// Whether connections of TCP were seen to begin: of what began before the capture no protocol could be proved.
fn are_seen_to_begin(scene: &Scene<'_>, members: &[(&CollectorKey, &CollectorSummary)]) -> bool {
    let of_tcp = |one: &CollectorSummary| {
        one.protocols.iter().filter(|(protocol, _)| *protocol == TCP).map(|(_, rows)| rows).sum::<u64>()
    };
    let pairs = members.iter().flat_map(|(key, _)| scene.pairs_of(key.population, key.address));
    let established: u64 = pairs.map(|(_, pair)| pair.rows_established).sum();
    let tcp: u64 = members.iter().map(|(_, one)| of_tcp(one)).sum();
    established as f64 >= ESTABLISHED_MIN * tcp as f64
}

/// The same of one.
pub(super) fn is_seen_to_begin(scene: &Scene<'_>, key: &CollectorKey, one: &CollectorSummary) -> bool {
    are_seen_to_begin(scene, &[(key, one)])
}

impl<'a> Talker<'a> {
    /// Whether it calls as well as it is called, as peers do.
    fn calls(&self) -> bool {
        let sum = |of: fn(&CollectorSummary) -> u64| self.members.iter().map(|(_, one)| of(one)).sum::<u64>() as f64;
        sum(|one| one.flows_by_collector) > CALLS_SHARE * sum(|one| one.totals.flows)
    }

    /// What is told of a party whose flows were seen to begin and lie apart; the p-value is not known yet.
    fn of(scene: &Scene<'a>, members: Vec<(&'a CollectorKey, &'a CollectorSummary)>) -> Option<Self> {
        let population = members.first()?.0.population;
        let mut by_subscriber: BTreeMap<Address, (Seen, u64)> = BTreeMap::new();
        for (key, pair) in members.iter().flat_map(|(key, _)| scene.pairs_of(population, key.address)) {
            let (seen, flows) = by_subscriber.entry(key.subscriber).or_default();
            seen.merge(pair.seen);
            *flows += pair.totals.flows;
        }
        if !are_seen_to_begin(scene, &members) {
            return None;
        }
        let middle = |of: fn(&(Seen, u64)) -> f64| {
            let mut all: Vec<f64> = by_subscriber.values().map(of).collect();
            all.sort_by(f64::total_cmp);
            all.get(all.len() / 2).copied().unwrap_or(0.0)
        };
        let lasts_s = middle(|(seen, _)| seen.length().as_secs_f64());
        let span_s = scene.summary.seen.length().as_secs_f64().max(1.0);
        let rows = members.iter().map(|(_, one)| one.totals.rows as f64).sum::<f64>().max(1.0);
        let turns = members.iter().map(|(_, one)| one.turns.value().unwrap_or(0.0) * one.totals.rows as f64);
        let stays = members.iter().map(|(_, one)| one.durations_ms.quantile(0.75).unwrap_or(0.0) / 1000.0);
        // Of one address as it was counted: not all of its pairs need be kept.
        let subscribers = match members.as_slice() {
            [(_, one)] => one.subscribers.count(),
            _ => by_subscriber.len() as u64,
        };
        let measures = Measures {
            subscribers,
            turns: turns.sum::<f64>() / rows,
            stay_s: stays.fold(0.0, f64::max),
            returns: middle(|(_, flows)| *flows as f64),
            p_value: 1.0,
        };
        (lasts_s >= LASTS_MIN * span_s).then_some(Self { population, members, service: None, measures })
    }

    fn group(&self, scene: &Scene<'a>) -> Option<Group<'a>> {
        let addresses: Vec<Address> = self.members.iter().map(|(key, _)| key.address).collect();
        let first = addresses.first().copied().unwrap_or_default();
        let Some(service) = self.service else {
            return scene
                .alone(|(key, _)| key.population == self.population && key.address == first)
                .into_iter()
                .next();
        };
        let mut whole = CollectorSummary::default();
        self.members.iter().for_each(|(_, one)| whole.merge((*one).clone()));
        let of = CollectorGroup { population: self.population, name: GroupName::Service(first, service), addresses };
        let key = format!("{first} and others at port {}", service.port);
        Some(Group { key, level: Level::Prefix, of, whole: whole.into() })
    }
}

fn finding(scene: &Scene<'_>, group: &Group<'_>, measures: &Measures, severity: Severity, score: f64) -> Finding {
    let blank = scene.blank(Technique::UnattributedCluster, group);
    let who = group.spoken(&blank.collector.names);
    let (_, evidence) = weigh(measures.reasons());
    let subscribers = words::counted(measures.subscribers, "subscriber");
    Finding {
        severity,
        score,
        p_value: measures.p_value,
        evidence,
        headline: format!("{subscribers} keep talking with {who} in a protocol that nothing knows"),
        explanation: format!(
            "{subscribers} come back to {who} again and again, {:.0} times each, for a moment every time, and talk with it in \
             turns. Nobody looked up a name for it, nobody asks it for one, and the bytes belong to no protocol that is known \
             here. Games, calls and tunnels stay longer, and swarms have many such parties. Find the devices, see which program \
             talks, and register the party in the policy if it may: messengers with an address built in do so.",
            measures.returns,
        ),
        ..blank
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_back_and_talks_is_strange_and_who_asks_or_stays_is_not() {
        let talker = Measures { subscribers: 12, turns: 20.0, stay_s: 5.0, returns: 10.0, p_value: 0.02 };
        let table = [
            ("twelve that come back to talk", talker, true),
            ("five of them", Measures { subscribers: 5, turns: 9.0, returns: 6.0, ..talker }, true),
            ("a question and its answer", Measures { turns: 2.0, ..talker }, false),
            ("a game", Measures { stay_s: 59.0, ..talker }, false),
            ("one visit each", Measures { returns: 1.0, ..talker }, false),
            ("one peer of a swarm", Measures { p_value: 0.2, ..talker }, false),
        ];
        for (name, measures, wanted) in table {
            let (score, _) = weigh(measures.reasons());
            assert_eq!(score >= 0.6, wanted, "{name}: {score}");
        }
    }

    #[test]
    fn a_crowd_is_answered_if_each_of_it_is_and_echoes_that_vary_say_something() {
        use crate::population::limits::SummaryLimits;
        use crate::population::places::Places;
        use crate::population::summary::tests::{populations, row, summary_of};
        let far = Address::v4([203, 0, 113, 7]);
        // Devices, of how many messages of each every second is not answered, and how many devices never are.
        let table = [
            ("all answered, in time", 8, 4, 0, 0, true),
            ("half not in that moment, of a few", 8, 4, 2, 0, false),
            ("half not in that moment, of a crowd", 16, 4, 2, 0, true),
            ("a third of them never", 18, 4, 0, 6, false),
            ("most not", 16, 4, 3, 0, false),
        ];
        for (name, devices, messages, late, never, wanted) in table {
            let rows = (0..devices * messages).map(|i| {
                let (device, n) = (i % devices, i / devices);
                let answer = if n < late || device < never { 0 } else { 300 };
                let mut one = row(Address::v4([10, 0, 0, device]), far, i.into(), 200, answer);
                one.key.protocol = 17;
                one
            });
            let summary = summary_of(&rows.collect::<Vec<_>>(), &SummaryLimits::default());
            let (populations, places) = (populations(), Places::default());
            let scene = Scene::new(&summary, &populations, &places, None);
            let (key, one) = scene.collectors()[0];
            assert_eq!(is_answered(&scene, key, one), wanted, "{name}");
        }
        // Bytes of an echo, and how many of its packets are in each bin of sizes.
        for (name, bytes, bins, wanted) in [
            ("this and that", 300, [0, 0, 0, 0, 0, 0, 3, 3, 3, 3, 0, 0], true),
            ("the same again", 300, [0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0], false),
            ("what systems send", 56, [0, 0, 0, 0, 0, 0, 6, 6, 0, 0, 0, 0], false),
        ] {
            let mut one = row(Address::v4([10, 0, 0, 1]), far, 0, 4 * bytes, 4 * bytes);
            one.key.protocol = 1;
            one.key.ports = [0, 0];
            one.sides.iter_mut().for_each(|side| side.size_bins = bins);
            let summary = summary_of(&[one], &SummaryLimits::default());
            let (_, whole) = summary.collectors.sorted()[0];
            assert_eq!(is_said_in_echoes(whole), wanted, "{name}");
        }
    }
}
