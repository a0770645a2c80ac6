//! Forged answers and resets, the other two ways of a man on the side.
//! In: forgeries of the summary. Out: one finding for each claimed sender, kind and population; answers that lead to the same
//! address are one operation, whatever resolver they claim to come from.
//! Forged answers name the addresses outside that they lead to beside the resolvers outside that they claim to come from.
//! A single reset of this kind is what a firewall does for its own network, and weighs less than many or than an answer.

use std::collections::{BTreeMap, BTreeSet};

use super::{VICTIMS_SHOWN, words};
use crate::detect::finding::{CollectorIdentity, Evidence, EvidenceValue, Finding, Severity, Technique};
use crate::detect::scene::Scene;
use crate::flow::observation::ForgeryKind;
use crate::population::PopulationIndex;
use crate::population::forgery::ForgeryRecord;
use crate::population::identity::Party;
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
    let mut first_server_of_answer: BTreeMap<(PopulationIndex, Option<Party>), Address> = BTreeMap::new();
    for record in scene.summary.forgeries.records() {
        let Some(population) = record.population else { continue };
        let server = scene.resolver_address(record.server);
        let leader = match record.kind {
            ForgeryKind::Answer => {
                *first_server_of_answer.entry((population, forged(record).leads_to)).or_insert(server)
            }
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

/// Where forged answers lead to, as a sentence with a space before it; empty where they lead nowhere.
fn leading_to(records: &[&ForgeryRecord]) -> String {
    let outside = records.iter().filter_map(|record| forged(record).leads_to?.outside());
    let outside: BTreeSet<Address> = outside.collect();
    let shown: Vec<String> = outside.iter().take(FORGERIES_SHOWN).map(Address::to_string).collect();
    match outside.len() {
        0 => String::new(),
        all if all > shown.len() => {
            format!(" The forged ones lead to {} and {} more.", shown.join(", "), all - shown.len())
        }
        _ => format!(" The forged ones lead to {}.", shown.join(", ")),
    }
}

/// Whom a finding names: who is outside, or a resolver inside, of those claimed to be the sender and those led to, else whoever is
/// claimed.
fn named(scene: &Scene<'_>, records: &[&ForgeryRecord]) -> BTreeSet<Address> {
    let parties = records.iter().flat_map(|record| forged(record).leads_to.into_iter().chain([record.server]));
    let outside = parties.filter_map(|party| party.outside()).filter(|address| !address.is_special());
    let inside = records.iter().filter_map(|record| scene.resolver_inside(record.server));
    let outside: BTreeSet<Address> = outside.chain(inside).collect();
    if outside.is_empty() { records.iter().map(|record| record.server.shown()).collect() } else { outside }
}

fn finding(
    scene: &Scene<'_>,
    (population, kind, leader): (PopulationIndex, ForgeryKind, Address),
    records: &[&ForgeryRecord],
    victims: BTreeSet<Address>,
    (severity, score): (Severity, f64),
) -> Finding {
    let servers = records.iter().map(|r| scene.resolver_address(r.server)).collect();
    let ports = records.iter().map(|r| r.server_port).collect();
    let key = if kind == ForgeryKind::Answer { "answers" } else { "resets" };
    // The name that was asked for is that of the address it was led to, and not of whoever is claimed to have answered.
    let claimed = scene.impersonated(format!("{key}:{leader}"), leader, servers, ports);
    let collector = CollectorIdentity { addresses: Vec::from_iter(named(scene, records)), ..claimed };
    let start = records.iter().map(|r| r.versions[0].ts).min().unwrap_or_default();
    let end = records.iter().map(|r| r.versions[1].ts).max().unwrap_or_default();
    let who = words::party(leader, &collector.names);
    let subscribers = victims.len() as u64;
    let towards = words::counted(subscribers, "subscriber");
    let (headline, what, cure) = match kind {
        ForgeryKind::Answer => (
            format!("DNS answers in the name of {who} were forged towards {towards}"),
            format!(
                "One DNS question was answered twice, with addresses that have nothing in common, though it was asked once.{}",
                leading_to(records)
            ),
            "Let the resolver validate DNSSEC and talk to it over TLS; find the router or peering at which the odd TTL begins.",
        ),
        ForgeryKind::Reset => (
            format!("Connections of {towards} with {who} were cut by forged resets"),
            "A reset came in the sender's name, and the sender went on as if it had never sent it.".to_owned(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::observation::{Forgery, ForgeryVersion, Observation};
    use crate::packet::facts::NameLookup;
    use crate::population::places::Places;
    use crate::population::summary::tests::{TurnedOver, populations};
    use crate::population::{AddContext, PopulationSpec, Populations, Span, Summary, SummaryLimits};
    use crate::units::{DurationNs, TimestampNs};

    const START: TimestampNs = TimestampNs(1_700_000_000_000_000_000);
    const INSIDE: Address = Address([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 9, 8, 7]);

    fn outside(n: u8) -> Address {
        Address::v4([203, 0, 113, n])
    }

    /// One question, answered by `sender` with an address, then by somebody else.
    fn answer(sender: Address, leads_to: Option<Address>) -> Observation {
        let version = |frame, ttl, leads_to| ForgeryVersion { ts: START, frame, ttl, leads_to };
        Observation::Forgery(Box::new(Forgery {
            kind: ForgeryKind::Answer,
            file: 0,
            sender,
            sender_port: 53,
            receiver: Address::v4([10, 0, 0, 1]),
            protocol: 17,
            versions: [version(1, 50, leads_to), version(2, 60, Some(Address::v4([198, 51, 100, 1])))],
            delta: DurationNs(1),
            sender_ttl_usual: None,
            copies: 1,
            name: "www.example.org".into(),
        }))
    }

    fn found(answers: &[Observation]) -> Vec<Finding> {
        found_among(&populations(), answers)
    }

    fn found_among(populations: &Populations, answers: &[Observation]) -> Vec<Finding> {
        let (places, limits) = (Places::default(), SummaryLimits::default());
        let mut summary = Summary::new(Span::new(START, START.after(DurationNs::from_secs(60))));
        let mut cx = AddContext { populations, identity: &mut TurnedOver(1), limits: &limits };
        summary.add_observations(answers, &mut cx);
        let mut findings = Vec::new();
        detect(&Scene::new(&summary, populations, &places, None), &mut findings);
        findings
    }

    #[test]
    fn forged_answers_name_where_they_lead() {
        let [resolver, place] = [outside(53), outside(7)];
        let table: [(&str, Address, Option<Address>, &[Address]); 4] = [
            ("both outside", resolver, Some(place), &[place, resolver]),
            ("a resolver inside", INSIDE, Some(place), &[place]),
            ("a name error", resolver, None, &[resolver]),
            ("nowhere", resolver, Some(Address::v4([0; 4])), &[resolver]),
        ];
        for (name, sender, leads_to, wanted) in table {
            let found = found(&[answer(sender, leads_to)]);
            assert_eq!(found.len(), 1, "{name}");
            assert_eq!(found[0].collector.addresses, wanted, "{name}");
            let is_said = found[0].explanation.contains(&place.to_string());
            assert_eq!(is_said, wanted.contains(&place), "{name}: {}", found[0].explanation);
        }
        // The summary learns from the answer itself that the name stands there: it is no name of the resolver's.
        let lookup = Observation::Lookup(Box::new(NameLookup {
            ts: START,
            client: Address::v4([10, 0, 0, 1]),
            resolver,
            name: "www.example.org".into(),
            qtype: 1,
            rcode: Some(0),
            id: 7,
            answers: vec![place],
            ttl_s: 60,
            message_bytes: 60,
            aliases: 0,
            free_bytes: 0,
            leads: 0,
        }));
        let told = found(&[lookup.clone(), answer(resolver, Some(place))]);
        assert!(told[0].headline.contains("in the name of 203.0.113.53"), "{}", told[0].headline);
        assert!(told[0].collector.names.is_empty(), "{:?}", told[0].collector.names);
        // A resolver inside that four ask is a part of the network.
        let asked = |client: u8| {
            let Observation::Lookup(one) = &lookup else { unreachable!("a look-up") };
            let (client, resolver) = (Address::v4([10, 0, 0, client]), INSIDE);
            Observation::Lookup(Box::new(NameLookup { client, resolver, answers: Vec::new(), ..(**one).clone() }))
        };
        for (clients, wanted) in [(4, vec![INSIDE, place]), (3, vec![place])] {
            let seen: Vec<Observation> = (1..=clients).map(asked).chain([answer(INSIDE, Some(place))]).collect();
            assert_eq!(found(&seen)[0].collector.addresses, wanted, "{clients} ask");
        }
        let nobody_outside = found(&[answer(INSIDE, None)]);
        assert_eq!(nobody_outside[0].collector.addresses.len(), 1);
        assert_ne!(nobody_outside[0].collector.addresses, [INSIDE], "a subscriber stands under its pseudonym");
        let resolvers = || vec!["10.9.8.7".parse().expect("an address")];
        let unlisted = populations();
        let listed = unlisted.iter().map(|(_, spec)| PopulationSpec { resolvers: resolvers(), ..spec.clone() });
        let listed = Populations::new(listed.collect()).expect("sound");
        let of_listed = found_among(&listed, &[answer(INSIDE, None)]);
        assert_eq!(of_listed[0].collector.addresses, [INSIDE], "whom the policy names stands under its name");
    }

    #[test]
    fn answers_that_lead_to_one_place_are_one_operation() {
        for (places, wanted) in [([7, 7, 7], 1), ([7, 8, 7], 2)] {
            let answers = places.into_iter().zip(100..).map(|(place, n)| answer(outside(n), Some(outside(place))));
            assert_eq!(found(&answers.collect::<Vec<_>>()).len(), wanted, "{places:?}");
        }
    }
}
