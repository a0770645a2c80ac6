//! Forwarder: a resolver inside that hands on what it is asked to somebody else from one moment on.
//! In: resolvers outside with those who ask them, which resolvers inside several ask. Out: a finding for each stranger to which one of
//! these was turned.
//! Whoever gets at the router or the server that answers a house has all who live there, and none of their devices asks anybody else than
//! before. One asker is all that can be seen of it: so it must have asked another for a while, have stopped, and have kept on with the
//! stranger. Well-known resolvers, and another address of the same operator, are a choice.
//! Bounds: the pairs of a span. Resolvers that ask the owners of names themselves ask many, and nobody turns those.

use std::collections::BTreeMap;

use super::public::is_public;
use super::{blank, number, resolvers};
use crate::detect::finding::{CollectorIdentity, Finding, PopulationShare, Severity};
use crate::detect::scene::Scene;
use crate::detect::weigh::{log_ramp, severity_of};
use crate::detect::words;
use crate::population::conflict::wide_network_of;
use crate::population::identity::Party;
use crate::population::span::Seen;
use crate::population::{PairSummary, PopulationIndex};
use crate::units::{Address, DurationNs};

/// Subscribers that must ask it.
const CLIENTS_MIN: u64 = 4;
/// Flows of a forwarder over the answers of the resolvers that the policy lists here, from which on it is one of them.
const HANDED_ON_MIN: f64 = 0.2;
/// Parties that a forwarder asks at the most, before and after together.
const UPSTREAMS_MAX: usize = 6;
/// Flows, and time, from which on one was asked for a while.
const FLOWS_MIN: u64 = 8;
const ASKED_FOR: DurationNs = DurationNs::from_secs(300);
/// How long the one may still be asked when the other is.
const OVERLAP_MAX: DurationNs = DurationNs::from_secs(60);
/// The most that it scores: an administrator may have chosen.
const SCORE_MAX: f64 = 0.74;

/// See the file's header.
pub(super) fn redirected(scene: &Scene<'_>, population: PopulationIndex, findings: &mut Vec<Finding>) {
    let mut by_forwarder: BTreeMap<Address, Vec<(Address, &PairSummary)>> = BTreeMap::new();
    for resolver in resolvers(scene, population) {
        for (key, pair) in scene.pairs_of(population, resolver.address) {
            by_forwarder.entry(key.subscriber).or_default().push((resolver.address, pair));
        }
    }
    let listed: Vec<Address> =
        scene.populations.spec(population).into_iter().flat_map(|spec| spec.resolver_addresses()).collect();
    for (forwarder, upstreams) in by_forwarder {
        let inside = Party::Subscriber(population, forwarder);
        let handed_on = upstreams.iter().map(|(_, pair)| pair.totals.flows).sum();
        let clients = clients_of(scene, inside).max(clients_of_listed(scene, population, &listed, handed_on));
        if upstreams.len() > UPSTREAMS_MAX || clients < CLIENTS_MIN {
            continue;
        }
        let Some(turn) = Turn::of(&upstreams) else { continue };
        let asn = |address: Address| scene.places.of(address).asn;
        let is_same = |other: &Address| match (asn(turn.to), asn(*other)) {
            (Some(one), Some(other)) => one == other,
            _ => wide_network_of(turn.to) == wide_network_of(*other),
        };
        let is_chosen = is_public(turn.to) || listed.contains(&turn.to) || turn.before.iter().any(is_same);
        if is_chosen || turn.to.is_special() {
            continue;
        }
        findings.extend(finding(scene, population, (inside, clients), &turn));
    }
}

/// How many ask a resolver inside that answers, here or before.
fn clients_of(scene: &Scene<'_>, inside: Party) -> u64 {
    let spans = [scene.summary].into_iter().chain(scene.before());
    let answering = spans.filter_map(|one| one.resolvers.of(&inside)).filter(|one| one.responses > 0);
    answering.map(|one| one.clients.count()).max().unwrap_or(0)
}

/// The same of those that the policy lists, which stand for themselves and not behind a pseudonym: one that hands on a good part of what
/// they answer is one of them, as no person's device asks so much.
fn clients_of_listed(scene: &Scene<'_>, population: PopulationIndex, listed: &[Address], handed_on: u64) -> u64 {
    let spans = || [scene.summary].into_iter().chain(scene.before());
    let here = listed.iter().filter(|address| scene.populations.of(**address) == Some(population));
    let answered = here.filter_map(|address| {
        let known = spans().filter_map(|one| one.resolvers.of(&Party::Outside(*address)));
        known.map(|one| (one.responses, one.clients.count())).max()
    });
    let (responses, clients) = answered.fold((0, 0), |(sum, most): (u64, u64), (n, of)| (sum + n, most.max(of)));
    if responses > 0 && handed_on as f64 >= HANDED_ON_MIN * responses as f64 { clients } else { 0 }
}

/// From whom to whom.
struct Turn {
    before: Vec<Address>,
    to: Address,
    after: PairSummary,
    /// Flows to the others before.
    flows_before: u64,
}

impl Turn {
    /// Of all that one asks; none where it asks one alone, or goes on with the others.
    fn of(upstreams: &[(Address, &PairSummary)]) -> Option<Self> {
        let asked: Vec<_> = upstreams.iter().filter(|(_, pair)| is_asked_for_a_while(pair)).collect();
        let (to, after) = **asked.iter().max_by_key(|(address, pair)| (pair.seen.first, *address))?;
        let others = || upstreams.iter().filter(|(address, _)| *address != to);
        let has_stopped = others().all(|(_, pair)| pair.seen.last <= after.seen.first.after(OVERLAP_MAX));
        let before: Vec<Address> = asked.iter().map(|(address, _)| *address).filter(|address| *address != to).collect();
        let flows_before = others().map(|(_, pair)| pair.totals.flows).sum();
        (has_stopped && !before.is_empty()).then_some(Self { before, to, after: *after, flows_before })
    }
}

fn is_asked_for_a_while(pair: &PairSummary) -> bool {
    pair.totals.flows >= FLOWS_MIN && pair.seen.length() >= ASKED_FOR
}

fn finding(
    scene: &Scene<'_>,
    population: PopulationIndex,
    (inside, clients): (Party, u64),
    turn: &Turn,
) -> Option<Finding> {
    let (flows, before) = (turn.after.totals.flows as f64, turn.flows_before as f64);
    let score = 0.5 + 0.15 * log_ramp(flows, 4.0, 40.0) + 0.1 * log_ramp(before, 4.0, 40.0);
    let score = score.min(SCORE_MAX);
    let severity = severity_of(score, 0.05)?.min(Severity::Medium);
    let (to, resolver) = (turn.to, scene.resolver_address(inside));
    let others: Vec<String> = turn.before.iter().map(Address::to_string).collect();
    let collector = CollectorIdentity {
        collector_key: format!("upstream:{to}"),
        addresses: vec![to],
        names: scene.names_of(&[to]),
        ..CollectorIdentity::default()
    };
    let share = PopulationShare { subscribers: clients, ..PopulationShare::default() };
    let seen = Seen { first: turn.after.seen.first, last: turn.after.seen.last };
    let counted = words::counted(clients, "subscriber");
    Some(Finding {
        severity,
        score,
        p_value: 0.05,
        evidence: vec![
            number("questions_handed_on", flows, "flows", 0.5),
            number("questions_before", before, "flows", 0.3),
            number("askers_of_forwarder", clients as f64, "subscribers", 0.2),
        ],
        flows: turn.after.totals.flows,
        packets: turn.after.totals.packets_both(),
        bytes_up: turn.after.totals.bytes_up(),
        bytes_down: turn.after.totals.bytes_down(),
        headline: format!("The resolver of {counted} asks {to} from one moment on"),
        explanation: format!(
            "The resolver {resolver}, which {counted} ask, handed on what it was asked to {} and then, from one moment on, to {to} \
             alone, a stranger of another operator. Their devices ask whom they always asked, and {to} learns every name and \
             may answer as it likes. See who changed the resolver's configuration and when; register the new one in the policy \
             if it may, or turn it back.",
            others.join(" and "),
        ),
        ..blank(scene, population, collector, share, seen)
    })
}
