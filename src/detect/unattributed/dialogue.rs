//! Dialogue: devices that talk again and again, each for a moment, with one stranger in a protocol that nothing knows.
//! In: collectors of a scene, their pairs, the names that were looked up. Out: few findings.
//! What it weighs: that nobody knows a name for the party and no bytes prove a protocol, though payload goes both ways in turns;
//! that the same devices come back, for moments and not for as long as a call, a game or a tunnel lasts; how many they are; and
//! that hardly anybody else of this traffic is talked to like that: peers of a swarm and strangers of a game are many.
//! Bounds: the [`JUDGED_MAX`] parties that talk most are held against all that are talked to.
//! A promise about rates, as the rest of the room: never above `medium`.
//! Not here: who calls the subscribers, or is fed by the clock (`unattributed`, `beaconing`).

use super::SPAN_MIN;
use crate::detect::beaconing::{is_clock, is_registrar};
use crate::detect::finding::{Finding, Severity, Technique};
use crate::detect::scene::{Group, Scene, service_of};
use crate::detect::weigh::{Reason, log_ramp, ramp, weigh};
use crate::detect::words;
use crate::population::collector::{CollectorKey, CollectorSummary, Service};
use crate::population::identity::Party;
use crate::population::pair::PairSummary;
use crate::units::Address;

/// Fewest subscribers: the k of privacy. A party without a name and a protocol needs no crowd to be strange.
const SUBSCRIBERS_MIN: u64 = 5;
/// Share of the rows that bytes may prove to be of a known protocol: a few are chance.
const KNOWN_MAX: f64 = 0.05;
/// Share of the rows that must be answered, and most flows that the party may begin.
const ANSWERED_MIN: f64 = 0.9;
const BEGUN_BY_COLLECTOR_MAX: f64 = 0.1;
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
const BULK_SUBSCRIBERS_MIN: u64 = 3;
const BULK_MIN: usize = 20;
const P_VALUE_MAX: f64 = 0.05;
/// Parties held against all others at the most: where more are talked to like that, none of them is rare.
const JUDGED_MAX: usize = 64;
/// What TCP is among IP protocols, and those that are no application's: echoes, tunnels, routing.
const TCP: u8 = 6;
const PLUMBING: [u8; 11] = [1, 2, 4, 41, 47, 50, 51, 58, 89, 103, 112];

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

/// See the file's header. `found` is what the others said.
pub(super) fn strangers(scene: &Scene<'_>, found: &mut Vec<Finding>) {
    if scene.summary.span().length() < SPAN_MIN {
        return;
    }
    let popular = || scene.collectors().iter().filter(|(_, one)| one.subscribers.count() >= BULK_SUBSCRIBERS_MIN);
    let bulk = popular().count();
    if bulk < BULK_MIN {
        return;
    }
    let talkers: Vec<(&CollectorKey, Measures)> = popular()
        .filter(|(key, one)| is_unknown(scene, key, one))
        .filter_map(|(key, one)| Some((*key, measured(scene, key, one)?)))
        .collect();
    let mut told = Vec::new();
    let is_judged = |(key, measures): &&(&CollectorKey, Measures)| {
        measures.subscribers >= SUBSCRIBERS_MIN
            && scene.coverage(key.population, measures.subscribers) <= COVERAGE_MAX
            && !is_explained(found, key.address)
    };
    let mut judged: Vec<_> = talkers.iter().filter(is_judged).collect();
    judged.sort_by(|(_, a), (_, b)| b.turns.total_cmp(&a.turns));
    for (key, measures) in judged.into_iter().take(JUDGED_MAX) {
        // Registered ones stand beside nobody: they are known.
        let others = talkers.iter().filter(|(other, theirs)| {
            other.address != key.address
                && is_as_strange(theirs, measures)
                && !scene.is_registered(Technique::UnattributedCluster, other.population, other.address)
        });
        let measures = Measures { p_value: (1 + others.count()) as f64 / (1 + bulk) as f64, ..*measures };
        let (score, _) = weigh(measures.reasons());
        let severity = match score {
            score if score >= 0.6 && measures.p_value <= P_VALUE_MAX => Severity::Medium,
            score if score >= 0.45 => Severity::Low,
            _ => continue,
        };
        let group = scene.alone(|(other, _)| other == key);
        let Some(group) = group.first() else { continue };
        told.push(finding(scene, group, &measures, severity, score));
    }
    found.extend(told);
}

/// Whether another detector said what an address does.
fn is_explained(found: &[Finding], address: Address) -> bool {
    // Who comes back to talk comes by a clock now and then, by chance.
    let least = |one: &Finding| match one.technique {
        Technique::BeaconingImplant => Severity::Medium,
        _ => Severity::Low,
    };
    let mut named = found.iter().filter(|one| one.severity >= least(one));
    named.any(|one| one.collector.addresses.binary_search(&address).is_ok())
}

/// Whether another is talked to as much as this one, if by fewer.
fn is_as_strange(other: &Measures, one: &Measures) -> bool {
    other.turns >= TURNS.1.min(one.turns) && other.returns >= RETURNS.0 && other.stay_s <= STAY_S.1
}

/// Whether neither a name nor a protocol is known of a party that subscribers talk with.
fn is_unknown(scene: &Scene<'_>, key: &CollectorKey, one: &CollectorSummary) -> bool {
    let (rows, flows) = (one.totals.rows.max(1) as f64, one.totals.flows.max(1) as f64);
    let [up, down] = one.totals.data_bytes.map(|bytes| bytes as f64);
    let upload_share = up / (up + down).max(1.0);
    let is_of = |service: Service| service.port == 53 || PLUMBING.contains(&service.protocol);
    let is_known = service_of(one).is_some_and(is_of) || is_clock(one) || is_registrar(one);
    // A server of the house's own network has a protocol of its own, and no name that a resolver outside knows.
    let is_private = key.address.as_v4().is_some_and(|octets| std::net::Ipv4Addr::from(octets).is_private());
    one.rows_named == 0
        && one.apps.total() as f64 <= KNOWN_MAX * rows
        && one.rows_answered as f64 >= ANSWERED_MIN * rows
        && one.flows_by_collector as f64 <= BEGUN_BY_COLLECTOR_MAX * flows
        && (UPLOAD_SHARE.0..=UPLOAD_SHARE.1).contains(&upload_share)
        && !is_known
        && !is_private
        && !key.address.is_special()
        && !is_named(scene, key.address)
}

/// Whether somebody looked up a name for it, here or before.
fn is_named(scene: &Scene<'_>, address: Address) -> bool {
    let mut spans = scene.before().chain([scene.summary]);
    spans.any(|span| !span.names_of(Party::Outside(address)).is_empty())
}

/// What is told of a party whose flows were seen to begin and lie apart; the p-value is not known yet.
fn measured(scene: &Scene<'_>, key: &CollectorKey, one: &CollectorSummary) -> Option<Measures> {
    let pairs = scene.pairs_of(key.population, key.address);
    let tcp = one.protocols.iter().filter(|(protocol, _)| *protocol == TCP).map(|(_, rows)| rows).sum::<u64>();
    let established: u64 = pairs.iter().map(|(_, pair)| pair.rows_established).sum();
    if (established as f64) < ESTABLISHED_MIN * tcp as f64 {
        return None;
    }
    let middle = |of: fn(&PairSummary) -> f64| {
        let mut all: Vec<f64> = pairs.iter().map(|(_, pair)| of(pair)).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(0.0)
    };
    let lasts_s = middle(|pair| pair.seen.length().as_secs_f64());
    let span_s = scene.summary.seen.length().as_secs_f64().max(1.0);
    (lasts_s >= LASTS_MIN * span_s).then_some(Measures {
        subscribers: one.subscribers.count(),
        turns: one.turns.value().unwrap_or(0.0),
        stay_s: one.durations_ms.quantile(0.75).unwrap_or(0.0) / 1000.0,
        returns: middle(|pair| pair.totals.flows as f64),
        p_value: 1.0,
    })
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
}
