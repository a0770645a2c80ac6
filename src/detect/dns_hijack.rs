//! `dns-hijack`: a population's questions go to, or are answered by, a resolver that is not theirs.
//! In: parties outside that answer DNS, who asks them since when, and what each resolver says of each name. Out: a finding for
//! each resolver that many turned to or that lies, for names whose answers wander through networks that have nothing in
//! common, and for addresses to which unrelated names are led in the name of a resolver that knows better.
//! What it weighs: how many ask it, and what share of the active; whether it came into use while somebody was looking
//! (`onset`) or, over a day, its askers asked the usual resolver before and no more: a hijacked router turns, and many turn at
//! once; a person's own choice was made long ago, for some devices of a home; and lies: a bare address for a name that the usual
//! resolver leads elsewhere, given for unrelated names. A stranger that was always there tells no lies and is asked by homes
//! that ask the usual one as well is said at `low`, however many chose it.
//! Well-known public resolvers are named and left alone unless they lie: people choose them. Answers with an alias are left
//! alone: a CDN answers by where one asks from. Without `resolvers` in the policy those that most ask over each version of IP are the
//! usual ones, those inside among them, but for one that came into use later than the others, that is asked at a port of its own, or
//! that leads unrelated names to one address. What each subscriber asked of resolvers inside stands with the subscriber.
//! The trivial baseline that it must beat: subscribers of any resolver that is not listed.

pub(super) mod contradicted;
mod error_pages;
mod forwarder;
mod known;
mod onset;
mod party;
pub(super) mod public;
mod wandering;

use std::collections::{BTreeMap, BTreeSet};

use contradicted::{RACES_MIN, contradicted, is_liar, raced};
use error_pages::rewritten;
use forwarder::redirected;
use known::{AskedOfInside, Known, asked_inside};
use party::{Party53, SURELY_CHANCE, together};
use wandering::wandering;

use super::finding::{CollectorIdentity, Evidence, EvidenceValue, Finding, PopulationShare, Severity, Technique};
use super::scene::{Scene, service_of};
use super::weigh::{Reason, log_ramp, ramp, severity_of, weigh};
use super::words;
use crate::packet::facts::AppProtocol;
use crate::population::PopulationIndex;
use crate::population::answered::{Answered, Bearing};
use crate::population::collector::{CollectorKey, CollectorSummary, Service};
use crate::population::conflict::{network_of, wide_network_of};
use crate::population::identity::Party;
use crate::population::sketch::Merge;
use crate::population::span::Seen;
use crate::population::zones::Zone;
use crate::units::{Address, DurationNs};

/// A resolver is usual beside the most asked one when it has this share of that one's askers: the second of a pair.
const USUAL_SHARE: f64 = 0.3;
/// Port of DNS over TLS and over QUIC (RFC 7858, RFC 9250): what is asked there is sealed, and who is asked is not.
pub(super) const DNS_OVER_TLS: u16 = 853;
/// Port of DNS (RFC 1035).
pub(super) const DNS: u16 = 53;
/// How long after the first of the most asked ones another of them is first asked, where at least so many ask it.
const BEGUN_WITHIN: DurationNs = DurationNs::from_secs(600);
const LATE_ASKERS_MIN: u64 = 12;
/// The same beside resolvers inside, however few ask it.
const BEGUN_BESIDE_INSIDE: DurationNs = DurationNs::from_secs(240);
/// How many of those that most ask are held against others.
const HEADS_MAX: usize = 8;
/// Askers of the most asked resolver from which on it stands for the usual one where no policy says.
const USUAL_ASKERS_MIN: u64 = 5;
/// Domains that lead to one of several addresses, or to one that other strangers give as well, and networks in which others place
/// them, from which on that is a lie.
const LED_TO_SHARED_MIN: usize = 4;
/// Askers, and their share of the active, from which on no more are needed to believe that they turned to it, or to care that
/// it is not theirs.
const SURE_OF_CHANGE: [f64; 2] = [4.0, 0.03];
const SURE_OF_CHOICE: [f64; 2] = [10.0, 0.08];

/// See the file's header.
pub fn detect(scene: &Scene<'_>, findings: &mut Vec<Finding>) {
    for population in scene.summary.populations_of_zones() {
        let answers = Answers::of(scene, population);
        turned(scene, population, &answers, findings);
        wandering(scene, population, &answers, findings);
        contradicted(scene, population, &answers, findings);
        rewritten(scene, population, findings);
        redirected(scene, population, findings);
    }
}

/// What each resolver said of each name.
struct Answers<'a> {
    names: Vec<(&'a str, &'a Answered)>,
    /// Who places a name at an address, whichever name.
    placed: BTreeMap<Address, Vec<Party>>,
    /// The names that each resolver gave addresses for, by their place above.
    by_resolver: BTreeMap<Party, Vec<usize>>,
}

impl<'a> Answers<'a> {
    fn of(scene: &Scene<'a>, population: PopulationIndex) -> Self {
        let here = scene.summary.answered.sorted().into_iter().filter(|(key, _)| key.population == population);
        let names = here.filter_map(|(key, answered)| Some((scene.summary.texts.of(key.name)?, answered)));
        let names: Vec<(&str, &Answered)> = names.collect();
        let mut placed: BTreeMap<Address, Vec<Party>> = BTreeMap::new();
        for given in names.iter().flat_map(|(_, answered)| answered.given.iter()) {
            let by = placed.entry(Party::shown(&given.address)).or_default();
            if !by.contains(&given.resolver) {
                by.push(given.resolver);
            }
        }
        let mut by_resolver: BTreeMap<Party, Vec<usize>> = BTreeMap::new();
        for (at, (_, answered)) in names.iter().enumerate() {
            for given in answered.given.iter() {
                let mine = by_resolver.entry(given.resolver).or_default();
                if mine.last() != Some(&at) {
                    mine.push(at);
                }
            }
        }
        Self { names, placed, by_resolver }
    }

    /// Domains about which a resolver lies, by the address that it gives for them: bare, in a network in which nobody else
    /// places the name. Where others place different names it stands for a CDN, which answers by where one asks from. An address
    /// among several, or one that only other strangers give as well, is what a party leads to whatever it is asked for: that has
    /// many homes then, in networks that have nothing in common, and no CDN has them all.
    fn lies(&self, resolver: Address, strangers: &BTreeSet<Address>) -> BTreeMap<Party, BTreeSet<&'a str>> {
        let is_it = |party: &Party| party.outside() == Some(resolver);
        let is_stranger = |party: &Party| party.outside().is_some_and(|party| strangers.contains(&party));
        let placed_by = |address: &Address, is_witness: &dyn Fn(&Party) -> bool| {
            self.placed.get(address).is_some_and(|by| by.iter().any(is_witness))
        };
        let mut lies: BTreeMap<Party, BTreeSet<&str>> = BTreeMap::new();
        let mut shared: BTreeMap<Party, (BTreeSet<&str>, BTreeSet<Address>)> = BTreeMap::new();
        let mut at_home: BTreeSet<Party> = BTreeSet::new();
        let mine = self.by_resolver.get(&Party::Outside(resolver)).into_iter().flatten();
        for (name, answered) in mine.map(|at| &self.names[*at]) {
            let Zone::Domain(domain, _) = Zone::of(name) else { continue };
            for given in
                answered.given.iter().filter(|given| is_it(&given.resolver) && given.bearing != Bearing::Dressed)
            {
                let address = Party::shown(&given.address);
                // Of the same kind: who was only asked for an IPv6 address contradicts nobody who was asked for an IPv4 one.
                let homes = |is_witness: &dyn Fn(&Party) -> bool| -> BTreeSet<Address> {
                    let others = answered.given.iter().filter(|given| is_witness(&given.resolver));
                    let elsewhere = others.map(|given| Party::shown(&given.address));
                    elsewhere.filter(|a| a.is_v4() == address.is_v4()).map(wide_network_of).collect()
                };
                let is_led_away =
                    |homes: &BTreeSet<Address>| !homes.is_empty() && !homes.contains(&wide_network_of(address));
                let (anybody, known) = (|by: &Party| !is_it(by), |by: &Party| !is_it(by) && !is_stranger(by));
                if homes(&known).contains(&wide_network_of(address)) {
                    at_home.insert(given.address);
                }
                if given.bearing == Bearing::Bare && is_led_away(&homes(&anybody)) && !placed_by(&address, &anybody) {
                    lies.entry(given.address).or_default().insert(domain);
                } else if is_led_away(&homes(&known)) && !placed_by(&address, &known) {
                    let one = shared.entry(given.address).or_default();
                    one.0.insert(domain);
                    one.1.extend(homes(&known));
                }
            }
        }
        // Where any of the names is at home nearby it is its operator, whose many places all have many names.
        shared.retain(|address, (domains, homes)| {
            domains.len().min(homes.len()) >= LED_TO_SHARED_MIN && !at_home.contains(address)
        });
        // Each address of a pair is given for the same.
        let mut told: BTreeSet<&str> = lies.values().flatten().copied().collect();
        for (address, (domains, _)) in shared {
            let more: BTreeSet<&str> = domains.difference(&told).copied().collect();
            told.extend(&more);
            if !more.is_empty() {
                lies.entry(address).or_default().extend(more);
            }
        }
        lies
    }

    /// In how many networks others than a resolver place domains, none of them near where it leads them.
    fn homes(&self, resolver: Address, to: Address, domains: &BTreeSet<&str>) -> usize {
        let is_asked = |name: &str| matches!(Zone::of(name), Zone::Domain(domain, _) if domains.contains(domain));
        let given =
            self.names.iter().filter(|(name, _)| is_asked(name)).flat_map(|(_, answered)| answered.given.iter());
        let elsewhere = given.filter(|given| given.resolver.outside() != Some(resolver));
        let shown = elsewhere.map(|given| Party::shown(&given.address)).filter(|one| one.is_v4() == to.is_v4());
        let homes: BTreeSet<Address> = shown.filter(|one| *one != to).map(wide_network_of).collect();
        if homes.contains(&wide_network_of(to)) { 0 } else { homes.len() }
    }
}

/// A party outside that answers DNS.
struct Resolver<'a> {
    address: Address,
    one: &'a CollectorSummary,
}

/// Whether a party is asked over TLS or QUIC, and hardly otherwise.
fn is_sealed(one: &CollectorSummary) -> bool {
    service_of(one).is_some_and(|service| service.port == DNS_OVER_TLS)
}

/// Everybody outside whom the population asks.
fn resolvers<'a>(scene: &Scene<'a>, population: PopulationIndex) -> Vec<Resolver<'a>> {
    let answers_dns = |one: &CollectorSummary| {
        let dns: u64 = one.apps.iter().filter(|(app, _)| *app == AppProtocol::Dns).map(|(_, rows)| rows).sum();
        let is_asked = dns * 2 > one.totals.rows || is_sealed(one);
        // Who asks here himself, of a server of names inside, is answered too.
        is_asked && one.rows_answered * 2 > one.totals.rows && one.flows_by_collector * 2 <= one.totals.flows
    };
    // Whoever is mostly asked over HTTPS may be asked once in a window, and over UDP.
    let answered_before = |key: &CollectorKey| {
        let before = scene.hour_before().and_then(|hour| hour.collectors.of(key));
        before.is_none_or(|one| answers_dns(one))
    };
    let here = scene.collectors().iter().filter(|(key, one)| key.population == population && answers_dns(one));
    let here = here.filter(|(key, _)| answered_before(key));
    here.map(|(key, one)| Resolver { address: key.address, one }).collect()
}

/// The resolvers that the population is meant to use, or does use.
fn usual(
    scene: &Scene<'_>,
    population: PopulationIndex,
    all: &[Resolver<'_>],
    answers: &Answers<'_>,
    inside: &AskedOfInside,
) -> (BTreeSet<Address>, bool) {
    let listed: BTreeSet<Address> =
        (scene.populations.spec(population).into_iter()).flat_map(|spec| spec.resolver_addresses()).collect();
    if !listed.is_empty() {
        return (listed, true);
    }
    // A window shows few of them: the hour before it knows more.
    let askers = |resolver: &Resolver<'_>| {
        let key = CollectorKey { population, address: resolver.address };
        let earlier = scene.before().filter_map(|one| one.collectors.of(&key)).map(|one| one.subscribers.count());
        earlier.max().unwrap_or(0).max(resolver.one.subscribers.count())
    };
    let first_seen = |resolver: &Resolver<'_>| {
        let key = CollectorKey { population, address: resolver.address };
        let earlier = scene.before().filter_map(|one| one.collectors.of(&key)).map(|one| one.seen.first);
        earlier.min().unwrap_or(resolver.one.seen.first).min(resolver.one.seen.first)
    };
    let mut asked: Vec<&Resolver<'_>> = all.iter().filter(|r| askers(r) >= USUAL_ASKERS_MIN).collect();
    asked.sort_by_key(|r| (std::cmp::Reverse(askers(r)), r.address));
    asked.truncate(HEADS_MAX);
    asked.retain(|r| !public::is_public(r.address) && is_liar(answers, r.address));
    let is_honest = |r: &&Resolver<'_>| !asked.iter().any(|liar| liar.address == r.address);
    let honest: Vec<&Resolver<'_>> = all.iter().filter(is_honest).collect();
    // Resolvers inside are as usual as any; where they are asked, whoever comes later is not, however few ask him.
    let most_inside = Some(inside.len() as u64).filter(|askers| *askers >= USUAL_ASKERS_MIN);
    let most = honest.iter().map(|r| askers(r)).chain(most_inside).max().unwrap_or(0);
    if most < USUAL_ASKERS_MIN {
        return (BTreeSet::new(), false);
    }
    // Lines that have IPv6 alone are given resolvers of their own.
    let most_of = |is_v4: bool| {
        let of_version = honest.iter().filter(|r| r.address.is_v4() == is_v4 && !public::is_public(r.address));
        of_version.map(|r| askers(r)).chain(most_inside).max().filter(|most| *most >= USUAL_ASKERS_MIN)
    };
    let most_of = [false, true].map(most_of);
    let is_head = |r: &&&Resolver<'_>| {
        let of_version = most_of[usize::from(r.address.is_v4())].unwrap_or(most);
        !public::is_public(r.address) && askers(r) as f64 >= USUAL_SHARE * of_version as f64
            || askers(r) as f64 >= USUAL_SHARE * most as f64
    };
    // All that a population has are asked from the beginning on; one to which many turn later is none of them.
    let began_inside = inside.values().map(|asked| asked.seen.first).min().filter(|_| most_inside.is_some());
    let began = honest.iter().filter(is_head).map(|r| first_seen(r)).chain(began_inside).min().unwrap_or_default();
    let (late_askers_min, begun_within) = match most_inside {
        Some(_) => (0, BEGUN_BESIDE_INSIDE),
        None => (LATE_ASKERS_MIN, BEGUN_WITHIN),
    };
    let is_late = |r: &Resolver<'_>| askers(r) >= late_askers_min && first_seen(r).since(began) > begun_within;
    // No router and no lease names another port.
    let is_plain = |r: &&&Resolver<'_>| service_of(r.one).is_none_or(|service| service.port == DNS);
    let heads = || honest.iter().filter(is_head).filter(|r| !is_late(r)).filter(is_plain).map(|r| r.address);
    let networks: BTreeSet<Address> = heads().map(network_of).collect();
    (honest.iter().map(|r| r.address).filter(|a| networks.contains(&network_of(*a))).collect(), false)
}

/// Resolvers that subscribers have turned to.
fn turned(scene: &Scene<'_>, population: PopulationIndex, answers: &Answers<'_>, findings: &mut Vec<Finding>) {
    let all = resolvers(scene, population);
    let inside = asked_inside(scene, population);
    let (usual, is_listed) = usual(scene, population, &all, answers, &inside);
    if usual.is_empty() && (inside.len() as u64) < USUAL_ASKERS_MIN {
        return;
    }
    let median = {
        let mut askers: Vec<u64> = all.iter().map(|r| r.one.subscribers.count()).collect();
        askers.sort_unstable();
        askers.get(askers.len() / 2).copied().unwrap_or(0) as f64
    };
    let strange = all.iter().filter(|r| !usual.contains(&r.address) && !r.address.is_special());
    let known =
        Known::of(scene, population, &usual, inside).without_resolvers(all.iter().map(|resolver| resolver.address));
    // What somebody else says in its name, in a race that the packets prove, is no lie of its own.
    let raced = raced(scene.summary.forgeries.records());
    let is_raced = |address| raced.get(&Party::Outside(address)).is_some_and(|races| *races >= RACES_MIN);
    let unknown = all.iter().map(|resolver| resolver.address);
    let unknown: BTreeSet<Address> = unknown.filter(|one| !usual.contains(one) && !public::is_public(*one)).collect();
    let lies = |address| {
        let lies = if is_raced(address) { BTreeMap::new() } else { answers.lies(address, &unknown) };
        // Asked of public ones alone, which are few: each looks through all names.
        let is_asked = |domains: &BTreeSet<&str>| public::is_public(address) && domains.len() >= LED_TO_SHARED_MIN;
        let homes = lies.iter().filter(|(_, domains)| is_asked(domains));
        let homes = homes.map(|(to, domains)| answers.homes(address, Party::shown(to), domains)).max();
        (lies, homes.unwrap_or(0))
    };
    let parties = strange.map(|r| Party53::of(&known, r, lies(r.address)));
    for party in together(&known, parties.filter(|party| party.askers > 0).collect()) {
        let (score, proof, evidence) = weighed(&known, &party, is_listed, median);
        // No calibration yet: the complement of the score, and a lie that is proved.
        let p_value = if proof >= 0.6 { 0.001 } else { (1.0 - score).clamp(0.01, 1.0) };
        let for_severity = if score >= 0.75 { p_value.min(0.05) } else { p_value };
        let severity = severity_of(score, for_severity);
        let finding = told(scene, population, &party);
        if severity < Some(Severity::Medium) {
            let key = (population, finding.collector.collector_key.as_str());
            match party.is_chance() {
                true => scene.doubt(Technique::DnsHijack, key, finding.packets, score),
                false => scene.doubt_since(Technique::DnsHijack, key, finding.packets, score, finding.start),
            }
        }
        let Some(severity) = severity else { continue };
        findings.push(Finding { severity, score, p_value, evidence, ..finding });
    }
}

/// How strongly all reasons speak, how far a lie is proved, and the evidence.
fn weighed(known: &Known<'_>, party: &Party53<'_>, is_listed: bool, median: f64) -> (f64, f64, Vec<Evidence>) {
    let (askers, lied) = (party.askers as f64, party.lied() as f64);
    let share = (askers / party.active.max(1) as f64).min(1.0);
    // A public resolver asks from elsewhere, and a CDN answers it otherwise than the usual one, but not with one address for names that
    // are at home in as many networks as they are: then somebody answers in its name.
    let is_answered_elsewhere = party.is_public && party.homes < LED_TO_SHARED_MIN;
    let (no_lie, sure_lie) = if is_answered_elsewhere { (2.0, 8.0) } else { (0.0, 3.0) };
    let proof = ramp(lied, no_lie, sure_lie);
    let (change, strangeness) = (party.change(known), party.strangeness(is_listed));
    let [askers_sure, share_sure] = if change > strangeness { SURE_OF_CHANGE } else { SURE_OF_CHOICE };
    let behaviour = change.max(strangeness).max(proof);
    let wide = ramp(share, 0.0, share_sure).max(proof);
    let many = log_ramp(askers, 1.0, askers_sure).max(proof);
    let (turned, late) = (party.turned.turned as f64, party.chance());
    let (score, evidence) = weigh(vec![
        Reason::number("askers", askers, "subscribers", many, 0.2).beside(Some((median, median))),
        Reason::number("share_of_active", share, "ratio", wide, 0.2),
        Reason::number("chance_of_late_start", late, "probability", behaviour, 0.2),
        Reason::number("subscribers_turned", turned, "subscribers", behaviour, 0.2),
        Reason::number("domains_led_elsewhere", lied, "domains", behaviour, 0.2),
    ]);
    (score, proof, evidence)
}

fn told(scene: &Scene<'_>, population: PopulationIndex, party: &Party53<'_>) -> Finding {
    let addresses: Vec<Address> = party.resolvers.iter().map(|resolver| resolver.address).collect();
    let names = scene.names_of(&addresses);
    let who = match addresses.as_slice() {
        [one] => words::party(*one, &names),
        [first, others @ ..] => format!("{} and {} more", words::party(*first, &names), others.len()),
        [] => String::new(),
    };
    let pairs = addresses.iter().flat_map(|address| scene.pairs_of(population, *address).iter().take(5));
    let mut sample: Vec<Address> = pairs.map(|(key, _)| key.subscriber).collect();
    sample.sort_unstable();
    sample.dedup();
    sample.truncate(5);
    let mut change = match party.turned.turned {
        0 => String::new(),
        all => format!(" Of these {all} asked the usual resolver before, and have not since."),
    };
    let chance = party.chance();
    if let Some(onset) = party.onset.filter(|_| chance <= SURELY_CHANCE) {
        change += &format!(
            " Nobody asked it before this began, though {} of them were there, and {} asked the usual one: had they always \
             asked it as often as since, that would happen once in {:.0} times.",
            onset.askers_there,
            onset.askers_before,
            (1.0 / chance).min(1e6),
        );
    }
    let lie = party.lies.iter().filter(|(_, domains)| domains.len() >= 2).max_by_key(|(_, domains)| domains.len());
    let lie = lie.map_or(String::new(), |(party_led_to, domains)| {
        let address = Party::shown(party_led_to);
        let shown: Vec<&str> = domains.iter().take(3).copied().collect();
        format!(
            " Unrelated domains, {} in all (such as {}), are led to {address}, where no other resolver places them: proof \
             of a lie.",
            party.lied(),
            shown.join(", ")
        )
    });
    let sum = |of: fn(&CollectorSummary) -> u64| party.resolvers.iter().map(|r| of(r.one)).sum::<u64>();
    let services: BTreeSet<Service> = party.resolvers.iter().filter_map(|r| service_of(r.one)).collect();
    let mut seen = Seen::default();
    party.resolvers.iter().for_each(|resolver| seen.merge(resolver.one.seen));
    seen.first = party.began().unwrap_or(seen.first).min(seen.first);
    let askers = words::counted(party.askers, "subscriber");
    let mut finding = Finding {
        headline: format!("{askers} of the population ask {who}, which is not their resolver"),
        explanation: format!(
            "{askers} of the {} seen send their DNS questions to {who}.{change}{lie} Whoever answers \
             them sees every name that they visit and can lead them anywhere. See in the homes' routers which resolver is \
             set and who set it (a DHCP option, malware, a provider's change); set the right one, and block or register \
             this one.",
            party.active,
        ),
        flows: sum(|one| one.totals.flows),
        packets: sum(|one| one.totals.packets_both()),
        bytes_up: sum(|one| one.totals.bytes_up()),
        bytes_down: sum(|one| one.totals.bytes_down()),
        ..blank(
            scene,
            population,
            CollectorIdentity {
                collector_key: format!("resolver:{}", addresses.first().copied().unwrap_or_default()),
                prefix: addresses.first().filter(|_| addresses.len() == 1).map(|address| words::prefix(*address)),
                // Whoever stands where it leads is its party too.
                addresses: {
                    let all: BTreeSet<Address> = addresses.iter().copied().chain(party.led_to()).collect();
                    all.into_iter().collect()
                },
                names,
                ..Default::default()
            },
            PopulationShare { subscribers: party.askers, sample, ..PopulationShare::default() },
            seen,
        )
    };
    finding.collector.ports = services.iter().map(|service| service.port).filter(|port| *port != 0).collect();
    finding.collector.ports.dedup();
    if services.iter().all(|service| service.protocol == 6) {
        finding.proto = "TCP";
    }
    // Of all who were there, not only in the last window.
    finding.population.coverage = (party.askers as f64 / party.active.max(1) as f64).min(1.0);
    finding
}

fn answers_askers(scene: &Scene<'_>, population: PopulationIndex, resolvers: &[Address]) -> u64 {
    let of = |address: &Address| scene.collector(population, *address).map_or(1, |one| one.subscribers.count());
    resolvers.iter().map(of).max().unwrap_or(1)
}

/// What every finding of this technique has.
fn blank(
    scene: &Scene<'_>,
    population: PopulationIndex,
    collector: CollectorIdentity,
    share: PopulationShare,
    seen: Seen,
) -> Finding {
    let place = collector.addresses.first().map(|address| scene.places.of(*address)).unwrap_or_default();
    let mut addresses = collector.addresses;
    addresses.sort_unstable();
    addresses.dedup();
    let collector =
        CollectorIdentity { ports: vec![53], asn: place.asn, country: place.country, addresses, ..collector };
    let population = scene.share(population, share.subscribers, share.sample);
    Finding {
        proto: "UDP",
        app_proto: Some("dns"),
        ..Finding::blank(Technique::DnsHijack, collector, population, seen)
    }
}

fn number(feature: &'static str, value: f64, unit: &'static str, weight: f64) -> Evidence {
    words::evidence(feature, EvidenceValue::Number(value), unit, weight)
}

#[cfg(test)]
mod tests;
