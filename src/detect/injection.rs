//! `packet-injection`: someone beside the path answers before the server does (man on the side, QUANTUM INSERT).
//! In: conflicts of the summary: two different payloads for the same bytes of a TCP stream. Out: one finding per claimed
//! server and population; conflicts that share an injected payload are one operation, whatever servers it claims.
//! The rule (see [`crate::flow::observation::SegmentConflict::is_injection_like`]): at least 16 differing bytes within
//! two seconds, and the contested bytes are the first of the answer or the two came over different paths (TTL).
//! Source: measured on the captures that fox-it published of its own shots (2015), where it finds every shot and flags none
//! of 5,766 benign flows. Not seen: a shot whose race partner the sensor misses. Forged answers and resets: `forged`.

mod forged;

use std::collections::BTreeMap;

use super::finding::{Evidence, EvidenceValue, Finding, Severity, Technique};
use super::scene::Scene;
use super::words;
use crate::population::PopulationIndex;
use crate::population::conflict::ConflictRecord;
use crate::population::span::Seen;
use crate::units::Address;

/// Benign flows in which the rule was tried and found nothing: the bound on its p-value, (0 + 1) / (n + 1).
const BENIGN_FLOWS_TRIED: f64 = 5_766.0;
/// Conflicts spelled out as evidence; the rest is counted.
const CONFLICTS_SHOWN: usize = 5;
/// Pseudonyms of victims shown.
const VICTIMS_SHOWN: usize = 5;

/// See the file's header.
pub fn detect(scene: &Scene<'_>, findings: &mut Vec<Finding>) {
    let mut groups: BTreeMap<(PopulationIndex, Address), Vec<&ConflictRecord>> = BTreeMap::new();
    let shots = scene.summary.conflicts.records().iter().filter(|record| record.is_injection_like());
    let mut first_server_of_payload: BTreeMap<(PopulationIndex, u64), Address> = BTreeMap::new();
    for shot in shots {
        let Some(population) = shot.population else { continue };
        let server = shot.server.shown();
        // The same payload shot in another server's name belongs to the operation that showed it first.
        let payload = (population, injected(shot).payload_hash);
        let leader = *first_server_of_payload.entry(payload).or_insert(server);
        groups.entry((population, leader)).or_default().push(shot);
    }
    forged::detect(scene, findings);
    findings.extend(groups.into_iter().map(|((population, leader), shots)| finding(scene, population, leader, &shots)));
}

/// Which of the two versions was injected: the one whose TTL is not the sender's usual one; failing that the first, which
/// had to win the race.
fn injected(shot: &ConflictRecord) -> &crate::population::conflict::VersionRecord {
    let [first, second] = &shot.versions;
    match shot.sender_ttl_usual {
        Some(usual) if first.ttl.abs_diff(usual) < second.ttl.abs_diff(usual) => second,
        _ => first,
    }
}

fn finding(scene: &Scene<'_>, population: PopulationIndex, leader: Address, shots: &[&ConflictRecord]) -> Finding {
    let mut victims: Vec<Address> = shots.iter().map(|shot| shot.victim).collect();
    victims.sort_unstable();
    victims.dedup();
    let servers = shots.iter().map(|shot| shot.server.shown()).collect();
    let ports = shots.iter().map(|shot| shot.server_port).collect();
    let collector = scene.impersonated(format!("injection:{leader}"), leader, servers, ports);
    let start = shots.iter().map(|s| s.versions[0].ts).min().unwrap_or_default();
    let end = shots.iter().map(|s| s.versions[1].ts.max(s.versions[0].ts)).max().unwrap_or_default();
    let subscribers = victims.len() as u64;
    let bytes_down = shots.iter().map(|s| u64::from(injected(s).payload_bytes)).sum();
    let spoken_of = words::party(leader, &collector.names);
    let share = scene.share(population, subscribers, victims.into_iter().take(VICTIMS_SHOWN).collect());
    Finding {
        severity: Severity::Critical,
        score: 1.0,
        p_value: 1.0 / (BENIGN_FLOWS_TRIED + 1.0),
        proto: "TCP",
        flows: shots.len() as u64,
        packets: 2 * shots.len() as u64,
        bytes_down,
        evidence: evidence(shots),
        headline: format!(
            "Answers in the name of {spoken_of} were injected towards {}",
            words::counted(subscribers, "subscriber")
        ),
        explanation: explanation(shots, &spoken_of),
        ..Finding::blank(Technique::PacketInjection, collector, share, Seen { first: start, last: end })
    }
}

/// The first conflicts with both frames, then the sums.
fn evidence(shots: &[&ConflictRecord]) -> Vec<Evidence> {
    let shown = shots.len().min(CONFLICTS_SHOWN);
    let weight = 0.5 / shown.max(1) as f64;
    let text = |shot: &&ConflictRecord| {
        let [a, b] = &shot.versions;
        format!(
            "frames {} and {}: TTL {} and {}, {:.3} ms apart, payload {} and {} bytes, {} of {} shared bytes differ{}",
            a.frame,
            b.frame,
            a.ttl,
            b.ttl,
            shot.delta.as_secs_f64() * 1e3,
            a.payload_bytes,
            b.payload_bytes,
            shot.differing_bytes,
            shot.overlap_bytes,
            match shot.stream_offset {
                Some(0) => ", from the first byte of the answer".to_owned(),
                Some(offset) => format!(", from byte {offset} of the stream"),
                None => String::new(),
            },
        )
    };
    let mut evidence: Vec<Evidence> = (shots.iter().take(CONFLICTS_SHOWN))
        .map(|shot| words::evidence("conflicting_segments", EvidenceValue::Text(text(shot)), "", weight))
        .collect();
    let most = |of: fn(&ConflictRecord) -> f64| shots.iter().map(|shot| of(shot)).fold(0.0, f64::max);
    for (feature, value, unit, weight) in [
        ("conflicts", shots.len() as f64, "", 0.2),
        ("ttl_difference_max", most(|shot| f64::from(shot.ttl_difference)), "hops", 0.15),
        ("differing_bytes_max", most(|shot| f64::from(shot.differing_bytes)), "bytes", 0.15),
    ] {
        evidence.push(words::evidence(feature, EvidenceValue::Number(value), unit, weight));
    }
    evidence
}

fn explanation(shots: &[&ConflictRecord], server: &str) -> String {
    let path = match shots.iter().map(|shot| shot.ttl_difference).max() {
        Some(hops) if hops > 1 => format!(
            "The two versions came over paths of different length (TTL differs by {hops}), so one of them was not sent by \
             the server."
        ),
        _ => "Both versions came with the same TTL, so the shot was made close to the server's path.".to_owned(),
    };
    format!(
        "Two different answers for the same bytes of a connection reached the subscriber within {:.0} ms. {path} That is how \
         a man on the side redirects chosen people: {server} is the server whose name was used, not who did it. Look at \
         the two frames named in the evidence, find which router or peering the odd TTL belongs to, treat the victims' \
         machines as attacked, and move the service to HTTPS with HSTS.",
        shots.iter().map(|shot| shot.delta.as_secs_f64() * 1e3).fold(0.0, f64::max).ceil(),
    )
}
