//! `cross-border-transfer`: a population's data moves in bulk to a jurisdiction that the policy does not allow.
//! In: collectors of a scene with the places of their addresses, and the policy's rules. Out: a finding for each owner
//! (autonomous system, else network) in such a country that takes more than the rule's bytes, or for the country where
//! nobody alone does.
//! What it weighs: bytes against the rule, as they were seen; on spans shorter than a day the pace of a steady stream is held
//! against the rule too, and then said to be a projection. How much more goes out than comes in: browsing a foreign site
//! moves data the other way.
//! Not here: where an address really is. A database of countries is wrong for some, and a CDN or anycast address answers from
//! near by whatever the database says; the finding says so.
//! The trivial baseline that it must beat: bytes to another country.

use std::collections::BTreeMap;

use super::finding::{CollectorIdentity, EvidenceValue, Finding, Technique};
use super::scene::{Scene, proto_of};
use super::weigh::{Reason, log_ramp, ramp, severity_of, weigh};
use super::words;
use crate::population::PopulationIndex;
use crate::population::collector::CollectorSummary;
use crate::population::conflict::network_of;
use crate::population::populations::TransferRule;
use crate::population::sketch::Merge;
use crate::units::{Address, DurationNs};

/// Addresses named in one finding, those that took most.
const ADDRESSES_MAX: usize = 64;
/// Part of the span in which a stream must have been seen before its pace is held against a day.
const STEADY_SHARE_MIN: f64 = 0.5;
/// Span below which no pace is projected.
const PROJECTED_FROM: DurationNs = DurationNs::from_secs(900);
/// Part of a day's limit that must have gone before a pace is projected: answers to visitors and guests' peers come to less.
const PROJECTED_SHARE: f64 = 0.08;
/// Seconds of a day.
const DAY_S: f64 = 86_400.0;

/// Who takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    System(u32),
    Network(Address),
    /// One that the register allows to take it.
    Registered(Address),
}

/// What an owner, or a country, took.
#[derive(Clone, Debug, Default)]
struct Taken {
    addresses: Vec<(u64, Address)>,
    whole: CollectorSummary,
}

impl Taken {
    fn add(&mut self, address: Address, one: &CollectorSummary) {
        self.addresses.push((one.totals.bytes_up(), address));
        self.whole.merge(one.clone());
    }
}

/// See the file's header.
pub fn detect(scene: &Scene<'_>, findings: &mut Vec<Finding>) {
    let mut taken: BTreeMap<(PopulationIndex, String), BTreeMap<Owner, Taken>> = BTreeMap::new();
    for (key, one) in scene.collectors() {
        let Some(rule) = scene.populations.transfer_rule(key.population) else { continue };
        let place = scene.places.of(key.address);
        let Some(country) = place.country.filter(|country| !rule.allows(country)) else { continue };
        // Whom the register allows is not summed up with neighbours whom it does not.
        let owner = match scene.is_registered(Technique::CrossBorderTransfer, key.population, key.address) {
            true => Owner::Registered(key.address),
            false => place.asn.map_or(Owner::Network(network_of(key.address)), Owner::System),
        };
        taken.entry((key.population, country)).or_default().entry(owner).or_default().add(key.address, one);
    }
    for ((population, country), owners) in taken {
        let Some(rule) = scene.populations.transfer_rule(population) else { continue };
        let mut told_of_strangers = false;
        for (owner, taken) in &owners {
            let key = match owner {
                Owner::System(number) => format!("AS{number} in {country}"),
                Owner::Network(network) => format!("{} in {country}", words::prefix(*network)),
                Owner::Registered(address) => format!("{address} in {country}"),
            };
            let found = judge(scene, population, rule, &country, key, taken);
            told_of_strangers |= found.is_some() && !matches!(owner, Owner::Registered(_));
            findings.extend(found);
        }
        let strangers = owners.into_iter().filter(|(owner, _)| !matches!(owner, Owner::Registered(_)));
        let strangers: Vec<Taken> = strangers.map(|(_, taken)| taken).collect();
        if !told_of_strangers && strangers.len() > 1 {
            let mut whole = Taken::default();
            for taken in strangers {
                whole.addresses.extend(taken.addresses);
                whole.whole.merge(taken.whole);
            }
            findings.extend(judge(scene, population, rule, &country, country.clone(), &whole));
        }
    }
}

fn judge(
    scene: &Scene<'_>,
    population: PopulationIndex,
    rule: &TransferRule,
    country: &str,
    key: String,
    taken: &Taken,
) -> Option<Finding> {
    let totals = &taken.whole.totals;
    let up = totals.bytes_up() as f64;
    let limit = rule.day_bytes_min.max(1) as f64;
    let days = words::days(taken.whole.seen.first, taken.whole.seen.last);
    let seen = up / days / limit;
    let told = projected(scene, taken).filter(|_| up >= PROJECTED_SHARE * limit);
    let pace = told.map_or(seen, |bytes_a_day| bytes_a_day / limit);
    if seen < 1.0 && pace < 1.0 {
        return None;
    }
    let [data_up, data_down] = totals.data_bytes.map(|bytes| bytes as f64);
    let upload_share = data_up / (data_up + data_down).max(1.0);
    let is_seen = seen >= 1.0;
    let reasons = vec![
        // What was seen to pass the rule is a fact; what would pass it at this pace is none yet.
        Reason::number(
            "of_daily_limit",
            seen.max(pace),
            "ratio",
            if is_seen { 1.0 } else { log_ramp(pace, 0.7, 3.0) * 0.85 },
            0.6,
        ),
        Reason::number("upload_share", upload_share, "ratio", ramp(upload_share, 0.0, 0.6).max(0.25), 0.4),
    ];
    let (score, mut evidence) = weigh(reasons);
    // A rule that was passed is no chance; a projection is as sure as its span is long.
    let span_s = scene.summary.seen.length().as_secs_f64();
    let p_value = if is_seen { 0.01 } else { (0.05 * (DAY_S / span_s.max(1.0)).sqrt() / 4.0).clamp(0.02, 1.0) };
    let severity = severity_of(score, p_value)?;
    evidence.push(words::evidence("bytes_up", EvidenceValue::Number(up), "bytes", 0.0));
    evidence.push(words::evidence("limit_a_day", EvidenceValue::Number(limit), "bytes", 0.0));
    Some(described(
        scene,
        population,
        rule,
        country,
        key,
        taken,
        (severity, score, p_value, is_seen, pace * limit),
        evidence,
    ))
}

/// Bytes a day at the pace of this span; none where the span is too short, a day long, or the stream no steady one.
fn projected(scene: &Scene<'_>, taken: &Taken) -> Option<f64> {
    let span = scene.summary.seen.length();
    if span < PROJECTED_FROM || span.as_secs_f64() >= DAY_S {
        return None;
    }
    let series = taken.whole.series.slots();
    let slots = (span.0 / scene.summary.class().slot().0 + 1) as f64;
    // Half of the bytes may have come in one burst, the rest must be spread.
    let bytes: Vec<u64> = series.iter().map(|(_, volume)| volume.bytes_up).filter(|bytes| *bytes > 0).collect();
    let total: u64 = bytes.iter().sum();
    let steady =
        bytes.len() as f64 / slots >= STEADY_SHARE_MIN && bytes.iter().all(|one| one.saturating_mul(2) <= total);
    steady.then(|| taken.whole.totals.bytes_up() as f64 * DAY_S / span.as_secs_f64().max(1.0))
}

#[expect(clippy::too_many_arguments, reason = "each is a word of the finding, and there is one caller")]
fn described(
    scene: &Scene<'_>,
    population: PopulationIndex,
    rule: &TransferRule,
    country: &str,
    key: String,
    taken: &Taken,
    (severity, score, p_value, is_seen, day_bytes): (super::finding::Severity, f64, f64, bool, f64),
    evidence: Vec<super::finding::Evidence>,
) -> Finding {
    let whole = &taken.whole;
    let mut addresses = taken.addresses.clone();
    addresses.sort_by(|a, b| b.cmp(a));
    let all = addresses.len();
    addresses.truncate(ADDRESSES_MAX);
    let mut addresses: Vec<Address> = addresses.into_iter().map(|(_, address)| address).collect();
    let asn = addresses.first().and_then(|address| scene.places.of(*address).asn);
    addresses.sort();
    let names = scene.names_of(&addresses);
    let who = match addresses.as_slice() {
        [one] if all == 1 => words::party(*one, &names),
        _ => format!("{key} ({all} addresses)"),
    };
    let services = whole.services.by_count();
    let mut ports: Vec<u16> = services.iter().map(|(service, _)| service.port).filter(|port| *port != 0).collect();
    ports.dedup();
    let subscribers = whole.subscribers.count();
    let share = scene.share(population, subscribers, Vec::new());
    let collector = CollectorIdentity {
        collector_key: key,
        prefix: (all == 1).then(|| addresses.first().map(|a| words::prefix(*a))).flatten(),
        addresses,
        ports,
        asn,
        country: Some(country.to_owned()),
        names,
    };
    let allowed = if rule.allow.is_empty() { rule.from.clone() } else { rule.allow.join(", ") };
    let how_much = match is_seen {
        true => format!(
            "{} went there, {} a day are what the policy bears",
            words::bytes(whole.totals.bytes_up()),
            words::bytes(rule.day_bytes_min)
        ),
        false => format!(
            "{} went there steadily in {}, which comes to {} a day at that pace (a projection); {} a day are what the policy \
             bears",
            words::bytes(whole.totals.bytes_up()),
            words::seconds(scene.summary.seen.length().as_secs_f64()),
            words::bytes(day_bytes as u64),
            words::bytes(rule.day_bytes_min)
        ),
    };
    Finding {
        severity,
        score,
        p_value,
        headline: format!(
            "Data of {} moves in bulk to {country}: {}",
            share.name,
            words::bytes(whole.totals.bytes_up())
        ),
        explanation: format!(
            "{} of {} sent data to {who}, in {country} by the --geo database. The policy allows {allowed} for data of {}. \
             {how_much}. The database may be wrong for an address, and a CDN or anycast address may be answered from near by: \
             ask the receiver where the data is kept, then allow the country, register the receiver with its legal basis, or \
             stop the transfer.",
            words::counted(subscribers, "subscriber"),
            share.name,
            rule.from,
        ),
        proto: proto_of(whole),
        app_proto: super::scene::app_of(whole),
        flows: whole.totals.flows,
        packets: whole.totals.packets_both(),
        bytes_up: whole.totals.bytes_up(),
        bytes_down: whole.totals.bytes_down(),
        evidence,
        ..Finding::blank(Technique::CrossBorderTransfer, collector, share, whole.seen)
    }
}

#[cfg(test)]
mod tests;
