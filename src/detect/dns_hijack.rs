//! `dns-hijack`: a population's questions go to, or are answered by, a resolver that is not theirs.
//! In: parties outside that answer DNS, who asks them since when, and what each resolver says of each name. Out: a finding for
//! each resolver that many turned to or that lies, and for names whose answers wander through networks that have nothing in
//! common.
//! What it weighs: how many ask it, and what share of the active; whether it came into use while somebody was looking
//! (`onset`) or its askers asked the usual resolver before and no more: a hijacked router turns, and many turn at once; a
//! person's own choice was made long ago, for some devices of a home; and lies: a bare address for a name that the usual
//! resolver leads elsewhere, given for unrelated names. A stranger that was always there tells no lies and is asked by homes
//! that ask the usual one as well is said at `low`, however many chose it.
//! Well-known public resolvers are named and left alone unless they lie: people choose them. Answers with an alias are left
//! alone: a CDN answers by where one asks from. Without `resolvers` in the policy the one that most ask is the usual one.
//! The trivial baseline that it must beat: subscribers of any resolver that is not listed.

mod error_pages;
mod onset;
mod public;
mod wandering;

use std::collections::{BTreeMap, BTreeSet};

use error_pages::rewritten;
use onset::{Onset, Profile, Turned, UsualAskers};
use public::is_public;
use wandering::wandering;

use super::finding::{CollectorIdentity, Evidence, EvidenceValue, Finding, PopulationShare, Severity, Technique};
use super::scene::Scene;
use super::weigh::{Reason, log_ramp, ramp, severity_of, weigh};
use super::words;
use crate::packet::facts::AppProtocol;
use crate::population::PopulationIndex;
use crate::population::answered::{Answered, Bearing};
use crate::population::collector::CollectorSummary;
use crate::population::conflict::{network_of, wide_network_of};
use crate::population::identity::Party;
use crate::population::sketch::Merge;
use crate::population::span::Seen;
use crate::population::zones::Zone;
use crate::units::{Address, DurationNs};

/// A resolver is usual beside the most asked one when it has this share of that one's askers: the second of a pair.
const USUAL_SHARE: f64 = 0.3;
/// Askers of the most asked resolver from which on it stands for the usual one where no policy says.
const USUAL_ASKERS_MIN: u64 = 5;
/// Share of the askers of a resolver that somebody chose who look as if they had turned to it: those of their devices that ask
/// the usual one fell silent, or that one woke late. One in ten on tuning seeds.
const LOOKS_TURNED: f64 = 0.15;
/// Orders of magnitude of chance between which opinion turns. Of some resolvers that people chose in each capture, one looks
/// like one in ten.
const CHANCE_TURNS: (f64, f64) = (0.8, 2.8);
/// The same for one of several resolvers that are judged together, and how far apart these may have come into use.
const PART_CHANCE_MAX: f64 = 0.3;
const BEGAN_TOGETHER: DurationNs = DurationNs::from_secs(900);
/// What speaks for a stranger that the policy does not list, or that merely is not the most asked one.
const STRANGE: [f64; 2] = [0.3, 0.2];
/// Flows to a resolver before a subscriber counts as one that asks it alone.
const FLOWS_MIN: u64 = 2;

/// See the file's header.
pub fn detect(scene: &Scene<'_>, findings: &mut Vec<Finding>) {
    for population in scene.summary.populations_of_zones() {
        let answers = Answers::of(scene, population);
        turned(scene, population, &answers, findings);
        wandering(scene, population, &answers, findings);
        rewritten(scene, population, findings);
    }
}

/// What each resolver said of each name.
struct Answers<'a> {
    names: Vec<(&'a str, &'a Answered)>,
    /// Who places a name at an address, whichever name: one resolver, or none alone where several do.
    placed: BTreeMap<Address, Option<Party>>,
    /// The names that each resolver gave addresses for, by their place above.
    by_resolver: BTreeMap<Party, Vec<usize>>,
}

impl<'a> Answers<'a> {
    fn of(scene: &Scene<'a>, population: PopulationIndex) -> Self {
        let here = scene.summary.answered.sorted().into_iter().filter(|(key, _)| key.population == population);
        let names = here.filter_map(|(key, answered)| Some((scene.summary.texts.of(key.name)?, answered)));
        let names: Vec<(&str, &Answered)> = names.collect();
        let mut placed: BTreeMap<Address, Option<Party>> = BTreeMap::new();
        for given in names.iter().flat_map(|(_, answered)| answered.given.iter()) {
            let by = placed.entry(Party::shown(&given.address)).or_insert(Some(given.resolver));
            *by = by.filter(|by| *by == given.resolver);
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
    /// places the name. Where others place different names it stands for a CDN, which answers by where one asks from.
    fn lies(&self, resolver: Address) -> BTreeMap<Address, BTreeSet<&'a str>> {
        let is_it = |party: &Party| party.outside() == Some(resolver);
        let by_others = |address: &Address| self.placed.get(address).is_some_and(|by| by.is_none_or(|by| !is_it(&by)));
        let mut lies: BTreeMap<Address, BTreeSet<&str>> = BTreeMap::new();
        let mine = self.by_resolver.get(&Party::Outside(resolver)).into_iter().flatten();
        for (name, answered) in mine.map(|at| &self.names[*at]) {
            for given in answered.given.iter().filter(|given| is_it(&given.resolver) && given.bearing == Bearing::Bare)
            {
                let address = Party::shown(&given.address);
                // Of the same kind: who was only asked for an IPv6 address contradicts nobody who was asked for an IPv4 one.
                let others = answered.given.iter().filter(|given| !is_it(&given.resolver));
                let elsewhere =
                    others.map(|given| Party::shown(&given.address)).filter(|a| a.is_v4() == address.is_v4());
                let networks: BTreeSet<Address> = elsewhere.map(wide_network_of).collect();
                let is_placed =
                    networks.is_empty() || networks.contains(&wide_network_of(address)) || by_others(&address);
                if !is_placed && let Zone::Domain(domain, _) = Zone::of(name) {
                    lies.entry(address).or_default().insert(domain);
                }
            }
        }
        lies
    }
}

/// A party outside that answers DNS.
struct Resolver<'a> {
    address: Address,
    one: &'a CollectorSummary,
}

/// Everybody outside whom the population asks.
fn resolvers<'a>(scene: &Scene<'a>, population: PopulationIndex) -> Vec<Resolver<'a>> {
    let answers_dns = |one: &CollectorSummary| {
        let dns: u64 = one.apps.iter().filter(|(app, _)| *app == AppProtocol::Dns).map(|(_, rows)| rows).sum();
        dns * 2 > one.totals.rows && one.rows_answered * 2 > one.totals.rows
    };
    let here = scene.collectors().iter().filter(|(key, one)| key.population == population && answers_dns(one));
    here.map(|(key, one)| Resolver { address: key.address, one }).collect()
}

/// The resolvers that the population is meant to use, or does use.
fn usual(scene: &Scene<'_>, population: PopulationIndex, all: &[Resolver<'_>]) -> (BTreeSet<Address>, bool) {
    let listed: BTreeSet<Address> = (scene.populations.spec(population).into_iter())
        .flat_map(|spec| spec.resolvers.iter().map(|ip| Address::from(*ip)))
        .collect();
    if !listed.is_empty() {
        return (listed, true);
    }
    let askers = |resolver: &Resolver<'_>| resolver.one.subscribers.count();
    let most = all.iter().map(askers).max().unwrap_or(0);
    if most < USUAL_ASKERS_MIN {
        return (BTreeSet::new(), false);
    }
    let heads = || all.iter().filter(|r| askers(r) as f64 >= USUAL_SHARE * most as f64).map(|r| r.address);
    let networks: BTreeSet<Address> = heads().map(network_of).collect();
    (all.iter().map(|r| r.address).filter(|a| networks.contains(&network_of(*a))).collect(), false)
}

/// Resolvers that subscribers have turned to.
fn turned(scene: &Scene<'_>, population: PopulationIndex, answers: &Answers<'_>, findings: &mut Vec<Finding>) {
    let all = resolvers(scene, population);
    let (usual, is_listed) = usual(scene, population, &all);
    if usual.is_empty() {
        return;
    }
    let median = {
        let mut askers: Vec<u64> = all.iter().map(|r| r.one.subscribers.count()).collect();
        askers.sort_unstable();
        askers.get(askers.len() / 2).copied().unwrap_or(0) as f64
    };
    let strange = all.iter().filter(|r| !usual.contains(&r.address) && !r.address.is_special());
    let askers = UsualAskers::of(scene, population, &usual);
    let profile = Profile::of(scene, &askers);
    let parties = strange.map(|r| Party53::of(scene, population, r, (&askers, &profile), answers));
    for party in together(parties.collect()) {
        let askers = party.askers;
        let share = scene.coverage(population, askers);
        // A public resolver asks from elsewhere, and a CDN answers it otherwise than the usual one.
        let (no_lie, sure_lie) = if party.is_public { (2.0, 8.0) } else { (0.0, 3.0) };
        let proof = ramp(party.lied() as f64, no_lie, sure_lie);
        let behaviour = party.behaviour(scene.coverage(population, party.only_it), is_listed);
        let wide = ramp(share, 0.0, 0.08).max(proof);
        let many = log_ramp(askers as f64, 1.0, 10.0).max(proof);
        let (turned, lied) = (party.turned.turned as f64, party.lied() as f64);
        let late = party.onset.map_or(1.0, Onset::chance_of_many);
        let reasons = vec![
            Reason::number("askers", askers as f64, "subscribers", many, 0.2).beside(Some((median, median))),
            Reason::number("share_of_active", share, "ratio", wide, 0.2),
            Reason::number("chance_of_late_start", late, "probability", behaviour.max(proof), 0.2),
            Reason::number("subscribers_turned", turned, "subscribers", behaviour.max(proof), 0.2),
            Reason::number("domains_led_elsewhere", lied, "domains", proof.max(behaviour), 0.2),
        ];
        let (score, evidence) = weigh(reasons);
        // No calibration yet: the complement of the score, and a lie that is proved.
        let p_value = if proof >= 0.6 { 0.001 } else { (1.0 - score).clamp(0.01, 1.0) };
        let for_severity = if score >= 0.75 { p_value.min(0.05) } else { p_value };
        let severity = severity_of(score, for_severity);
        let finding = told(scene, population, &party);
        if severity < Some(Severity::Medium) {
            let key = (population, finding.collector.collector_key.as_str());
            scene.doubt_since(Technique::DnsHijack, key, finding.packets, score, finding.start);
        }
        let Some(severity) = severity else { continue };
        findings.push(Finding { severity, score, p_value, evidence, ..finding });
    }
}

/// One or several strange resolvers, as one party.
struct Party53<'a> {
    resolvers: Vec<&'a Resolver<'a>>,
    askers: u64,
    turned: Turned,
    /// Askers that never asked a usual one.
    only_it: u64,
    onset: Option<Onset>,
    lies: BTreeMap<Address, BTreeSet<&'a str>>,
    is_public: bool,
}

impl<'a> Party53<'a> {
    fn of(
        scene: &Scene<'_>,
        population: PopulationIndex,
        resolver: &'a Resolver<'a>,
        (usual, profile): (&UsualAskers<'_>, &Profile),
        answers: &'a Answers<'_>,
    ) -> Self {
        let mut party = Self {
            resolvers: vec![resolver],
            askers: resolver.one.subscribers.count(),
            turned: Turned::default(),
            only_it: 0,
            onset: Onset::of(scene, population, resolver.address, (usual, profile)),
            lies: answers.lies(resolver.address),
            is_public: is_public(resolver.address),
        };
        for (key, pair) in scene.pairs_of(population, resolver.address) {
            match usual.asked_by(key.subscriber) {
                Some(usual) => party.turned = party.turned.and(Turned::of(scene, pair, &usual)),
                None => party.only_it += u64::from(pair.totals.flows >= FLOWS_MIN),
            }
        }
        party
    }

    /// How much what its askers did speaks, 0 to 1: having turned, or being asked since just now, else not being the one
    /// that they are meant to ask, and by those who ask it alone rather than for some of their devices.
    fn behaviour(&self, share_of_only_it: f64, is_listed: bool) -> f64 {
        if self.is_public {
            return 0.05;
        }
        let rare = |chance: f64| ramp(-chance.max(1e-12).log10(), CHANCE_TURNS.0, CHANCE_TURNS.1);
        let onset = self.onset.map_or(0.0, |onset| rare(onset.chance_of_many()));
        let strange = STRANGE[usize::from(!is_listed)] + 0.4 * ramp(share_of_only_it, 0.05, 0.2);
        onset.max(rare(self.turned.chance(LOOKS_TURNED))).max(strange)
    }

    /// Domains that are led to an address together with others.
    fn lied(&self) -> usize {
        self.lies.values().map(BTreeSet::len).filter(|domains| *domains >= 2).sum()
    }

    /// Whether it may be one of several to which homes were turned.
    fn is_part(&self) -> bool {
        let late = self.onset.is_some_and(|onset| onset.chance <= PART_CHANCE_MAX);
        !self.is_public && (late || self.turned.chance(LOOKS_TURNED) <= PART_CHANCE_MAX)
    }

    /// Whether both came into use at once.
    fn began_with(&self, other: &Self) -> bool {
        let (Some(a), Some(b)) = (self.onset, other.onset) else { return false };
        a.began.since(b.began).max(b.began.since(a.began)) <= BEGAN_TOGETHER
    }

    fn join(&mut self, other: Self) {
        let Self { resolvers, askers, turned, only_it, onset, lies, is_public: _ } = other;
        self.resolvers.extend(resolvers);
        self.askers += askers;
        self.turned = self.turned.and(turned);
        self.only_it += only_it;
        self.onset = self.onset.zip(onset).map(|(a, b)| a.and(b)).or(self.onset).or(onset);
        for (address, domains) in lies {
            self.lies.entry(address).or_default().extend(domains);
        }
        self.resolvers.sort_by_key(|resolver| resolver.address);
    }
}

/// Resolvers that came into use at the same time are one party's: nobody's own choice falls together with others'.
fn together(parties: Vec<Party53<'_>>) -> Vec<Party53<'_>> {
    let (parts, mut apart): (Vec<_>, Vec<_>) = parties.into_iter().partition(Party53::is_part);
    let first_alone = apart.len();
    for party in parts {
        match apart[first_alone..].iter_mut().find(|known| known.began_with(&party)) {
            Some(known) => known.join(party),
            None => apart.push(party),
        }
    }
    apart
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
    if let Some(onset) = party.onset.filter(|onset| onset.chance_of_many() <= PART_CHANCE_MAX) {
        change += &format!(
            " Nobody asked it before this began, though {} of them were there, and {} asked the usual one: had they always \
             asked it as often as since, that would happen once in {:.0} times.",
            onset.askers_there,
            onset.askers_before,
            (1.0 / onset.chance_of_many()).min(1e6),
        );
    }
    let lie = party.lies.iter().filter(|(_, domains)| domains.len() >= 2).max_by_key(|(_, domains)| domains.len());
    let lie = lie.map_or(String::new(), |(address, domains)| {
        let shown: Vec<&str> = domains.iter().take(3).copied().collect();
        format!(
            " Unrelated domains, {} in all (such as {}), are led to {address}, where no other resolver places them: proof \
             of a lie.",
            party.lied(),
            shown.join(", ")
        )
    });
    let sum = |of: fn(&CollectorSummary) -> u64| party.resolvers.iter().map(|r| of(r.one)).sum::<u64>();
    let mut seen = Seen::default();
    party.resolvers.iter().for_each(|resolver| seen.merge(resolver.one.seen));
    let askers = words::counted(party.askers, "subscriber");
    Finding {
        headline: format!("{askers} of the population ask {who}, which is not their resolver"),
        explanation: format!(
            "{askers} of the {} seen send their DNS questions to {who}.{change}{lie} Whoever answers \
             them sees every name that they visit and can lead them anywhere. See in the homes' routers which resolver is \
             set and who set it (a DHCP option, malware, a provider's change); set the right one, and block or register \
             this one.",
            scene.active(population),
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
                addresses,
                names,
                ..Default::default()
            },
            PopulationShare { subscribers: party.askers, sample, ..PopulationShare::default() },
            seen,
        )
    }
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
