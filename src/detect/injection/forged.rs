//! Forged answers and resets, the other two ways of a man on the side.
//! In: forgeries of the summary. Out: one finding for each claimed sender, kind and population; answers with the same forged
//! addresses are one operation, whatever resolver they claim to come from.
//! A single reset of this kind is what a firewall does for its own network, and weighs less than many or than an answer.

use std::collections::{BTreeMap, BTreeSet};

use super::{VICTIMS_SHOWN, words};
use crate::detect::finding::{Evidence, EvidenceValue, Finding, Severity, Technique};
use crate::detect::scene::Scene;
use crate::flow::observation::ForgeryKind;
use crate::population::PopulationIndex;
use crate::population::forgery::ForgeryRecord;
use crate::population::span::Seen;
use crate::units::Address;

/// Forgeries spelled out as evidence; the rest is counted.
const FORGERIES_SHOWN: usize = 5;
/// An honest path moves by no more hops than this.
const TTL_DRIFT_MAX: u8 = 1;
/// Questions and flows of the real captures in which nothing was to be found and nothing was: bound of the p-value.
const BENIGN_TRIED: f64 = 5_000.0;

/// See the file's header.
pub(super) fn detect(scene: &Scene<'_>, findings: &mut Vec<Finding>) {
    let mut groups: BTreeMap<(PopulationIndex, ForgeryKind, Address), Vec<&ForgeryRecord>> = BTreeMap::new();
    let mut first_server_of_answer: BTreeMap<(PopulationIndex, u64), Address> = BTreeMap::new();
    for record in scene.summary.forgeries.records() {
        let Some(population) = record.population else { continue };
        let server = record.server.shown();
        let leader = match record.kind {
            ForgeryKind::Answer => *first_server_of_answer.entry((population, forged(record).hash)).or_insert(server),
            ForgeryKind::Reset => server,
        };
        groups.entry((population, record.kind, leader)).or_default().push(record);
    }
    for ((population, kind, leader), records) in groups {
        let victims = records.iter().map(|record| record.victim).collect::<BTreeSet<_>>();
        let elsewhere = records.iter().filter(|record| hops(record) > TTL_DRIFT_MAX).count();
        let (severity, score) = match kind {
            ForgeryKind::Answer if elsewhere > 0 || records.len() >= 2 => (Severity::Critical, 1.0),
            ForgeryKind::Answer => (Severity::High, 0.85),
            ForgeryKind::Reset if elsewhere > 0 && (records.len() >= 3 || victims.len() >= 2) => (Severity::High, 0.9),
            ForgeryKind::Reset => (Severity::Low, 0.5),
        };
        findings.push(finding(scene, (population, kind, leader), &records, victims, (severity, score)));
    }
}

/// Which of the two was forged: a reset is; of two answers the first, which had to win the race.
fn forged(record: &ForgeryRecord) -> &crate::population::forgery::ForgedVersion {
    &record.versions[0]
}

/// How far apart the two came from, in hops.
fn hops(record: &ForgeryRecord) -> u8 {
    record.versions[0].ttl.abs_diff(record.versions[1].ttl)
}

fn finding(
    scene: &Scene<'_>,
    (population, kind, leader): (PopulationIndex, ForgeryKind, Address),
    records: &[&ForgeryRecord],
    victims: BTreeSet<Address>,
    (severity, score): (Severity, f64),
) -> Finding {
    let servers = records.iter().map(|r| r.server.shown()).collect();
    let ports = records.iter().map(|r| r.server_port).collect();
    let key = if kind == ForgeryKind::Answer { "answers" } else { "resets" };
    let collector = scene.impersonated(format!("{key}:{leader}"), leader, servers, ports);
    let start = records.iter().map(|r| r.versions[0].ts).min().unwrap_or_default();
    let end = records.iter().map(|r| r.versions[1].ts).max().unwrap_or_default();
    let who = words::party(leader, &collector.names);
    let subscribers = victims.len() as u64;
    let towards = words::counted(subscribers, "subscriber");
    let (headline, what, cure) = match kind {
        ForgeryKind::Answer => (
            format!("DNS answers in the name of {who} were forged towards {towards}"),
            "One DNS question was answered twice, with addresses that have nothing in common, though it was asked once.",
            "Let the resolver validate DNSSEC and talk to it over TLS; find the router or peering at which the odd TTL begins.",
        ),
        ForgeryKind::Reset => (
            format!("Connections of {towards} with {who} were cut by forged resets"),
            "A reset came in the sender's name, and the sender went on as if it had never sent it.",
            "A firewall of the network itself may do this by its rules: see whether one does; else find the router at which the \
             odd TTL begins.",
        ),
    };
    let flows = records.len() as u64;
    let share = scene.share(population, subscribers, victims.into_iter().take(VICTIMS_SHOWN).collect());
    Finding {
        severity,
        score,
        p_value: if severity >= Severity::High { 1.0 / (BENIGN_TRIED + 1.0) } else { 0.1 },
        proto: if records.iter().any(|record| record.protocol == 6) { "TCP" } else { "UDP" },
        app_proto: (kind == ForgeryKind::Answer).then_some("dns"),
        flows,
        packets: 2 * flows,
        evidence: evidence(records),
        headline,
        explanation: format!(
            "{what} That happened {} within {:.0} ms at most; the two came with TTLs up to {} apart. {who} is the party whose \
             name was used, not who did it. {cure}",
            words::counted(flows, "time"),
            records.iter().map(|record| record.delta.as_secs_f64() * 1e3).fold(0.0, f64::max).ceil(),
            records.iter().map(|record| hops(record)).max().unwrap_or(0),
        ),
        ..Finding::blank(Technique::PacketInjection, collector, share, Seen { first: start, last: end })
    }
}

/// The first forgeries with both frames, then the sums.
fn evidence(records: &[&ForgeryRecord]) -> Vec<Evidence> {
    let shown = records.len().min(FORGERIES_SHOWN);
    let weight = 0.5 / shown.max(1) as f64;
    let text = |record: &&ForgeryRecord| {
        let [a, b] = &record.versions;
        let name = if record.name.is_empty() { String::new() } else { format!(", {}", record.name) };
        let usual = record.sender_ttl_usual.map_or(String::new(), |ttl| format!(" (usually {ttl})"));
        format!(
            "frames {} and {}: TTL {} and {}{usual}, {:.3} ms apart{name}",
            a.frame,
            b.frame,
            a.ttl,
            b.ttl,
            record.delta.as_secs_f64() * 1e3
        )
    };
    let mut evidence: Vec<Evidence> = (records.iter().take(FORGERIES_SHOWN))
        .map(|record| words::evidence("contradicting_packets", EvidenceValue::Text(text(record)), "", weight))
        .collect();
    let most = records.iter().map(|record| f64::from(hops(record))).fold(0.0, f64::max);
    let victims = records.iter().map(|record| record.victim).collect::<BTreeSet<_>>().len();
    for (feature, value, unit, weight) in [
        ("forgeries", records.len() as f64, "", 0.2),
        ("ttl_difference_max", most, "hops", 0.15),
        ("victims", victims as f64, "subscribers", 0.15),
    ] {
        evidence.push(words::evidence(feature, EvidenceValue::Number(value), unit, weight));
    }
    evidence
}
