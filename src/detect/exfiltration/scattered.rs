//! Receivers that have nothing in common but the host that sends to them.
//! In: pairs of a scene. Out: for each host, the strangers to which it alone uploads, at one service port, as one group.
//! A host that seeds a swarm sends to strangers as well: but its peers listen each at a port of its own and call it as often as
//! it calls them. What a service spreads over its addresses has other senders, at one of them or under its domain. Who may
//! have it by the register is none of them. Nor are a mail server's equals.
//! Bounds: [`RECEIVERS_MAX`] receivers a host; a host with more is no careful thief but a peer or a crawler.

use std::collections::{BTreeMap, BTreeSet};

use super::Sent;
use super::peers::PEER_BYTES_UP_MIN;
use super::relays::Relays;
use crate::detect::finding::Technique;
use crate::detect::scene::{Group, Scene};
use crate::population::PopulationIndex;
use crate::population::collector::{CollectorSummary, Service, ServiceAt};
use crate::population::groups::{CollectorGroup, GroupName, Level};
use crate::population::pair::PairSummary;
use crate::population::sketch::Merge;
use crate::units::{Address, TimestampNs};

/// Data up to one receiver: below it, it is a form or a photograph.
const PART_BYTES_MIN: u64 = 1 << 20;
/// How many times what comes back goes up.
const ONE_SIDED: u64 = 4;
/// Receivers from which on they are several.
const RECEIVERS_MIN: usize = 3;
/// Most receivers of one host.
const RECEIVERS_MAX: usize = 64;

/// One receiver of one host.
struct Receiver<'a> {
    address: Address,
    began: TimestampNs,
    pair: &'a PairSummary,
    one: &'a CollectorSummary,
}

/// See the file's header. Each group with its host and what that sent.
pub(super) fn receivers<'a>(
    scene: &Scene<'a>,
    left_out: &BTreeSet<Address>,
    relays: &Relays<'_>,
) -> Vec<(Group<'a>, Address, Sent)> {
    let mut by_host: BTreeMap<(PopulationIndex, Address, Service), Vec<Receiver<'a>>> = BTreeMap::new();
    for &(key, pair) in scene.pairs() {
        let [up, down] = pair.totals.data_bytes;
        if up < PART_BYTES_MIN || up / ONE_SIDED < down || left_out.contains(&key.collector) {
            continue;
        }
        let Some(one) = scene.collector(key.population, key.collector) else { continue };
        let others = scene.pairs_of(key.population, key.collector).iter();
        let mut others = others.filter(|(other, _)| other.subscriber != key.subscriber);
        if others.any(|(_, other)| other.totals.data_bytes[0] >= PEER_BYTES_UP_MIN) {
            continue;
        }
        let Some((service, _)) = one.services.by_count().into_iter().next() else { continue };
        if service.at == ServiceAt::Collector && one.flows_by_collector * 2 <= one.totals.flows {
            let receiver = Receiver { address: key.collector, began: pair.seen.first, pair, one };
            by_host.entry((key.population, key.subscriber, service)).or_default().push(receiver);
        }
    }
    let several = |of: &Vec<Receiver<'_>>| (RECEIVERS_MIN..=RECEIVERS_MAX).contains(&of.len());
    by_host.retain(|_, of| of.len() >= RECEIVERS_MIN);
    if by_host.is_empty() {
        return Vec::new();
    }
    let shared = domains_of_several(scene);
    for ((population, ..), of) in &mut by_host {
        let is_shared = |one| scene.domain_of(one).is_some_and(|domain| shared.contains(&(*population, domain)));
        let may = |address| scene.is_registered(Technique::BulkExfiltration, *population, address);
        of.retain(|receiver| !is_shared(receiver.one) && !may(receiver.address));
    }
    let by_host = by_host.into_iter().filter(|(_, of)| several(of));
    let by_host = by_host.filter(|((population, host, service), _)| !relays.is_post_at(*population, *host, *service));
    by_host.map(|((population, host, service), of)| together(population, host, service, of)).collect()
}

/// Domains to which more than one subscriber uploads.
fn domains_of_several<'a>(scene: &Scene<'a>) -> BTreeSet<(PopulationIndex, &'a str)> {
    let mut senders: BTreeMap<(PopulationIndex, &str), Address> = BTreeMap::new();
    let mut several = BTreeSet::new();
    for of_one in scene.pairs().chunk_by(|(a, _), (b, _)| (a.population, a.collector) == (b.population, b.collector)) {
        let mut uploaders = of_one.iter().filter(|(_, pair)| pair.totals.data_bytes[0] >= PEER_BYTES_UP_MIN);
        let Some((key, _)) = uploaders.next() else { continue };
        let one = scene.collector(key.population, key.collector);
        let Some(domain) = one.and_then(|one| scene.domain_of(one)) else { continue };
        let first = *senders.entry((key.population, domain)).or_insert(key.subscriber);
        if first != key.subscriber || uploaders.next().is_some() {
            several.insert((key.population, domain));
        }
    }
    several
}

fn together<'a>(
    population: PopulationIndex,
    host: Address,
    service: Service,
    of: Vec<Receiver<'a>>,
) -> (Group<'a>, Address, Sent) {
    let mut sent = Sent::default();
    let mut whole = CollectorSummary::default();
    for receiver in &of {
        whole.merge(receiver.one.clone());
        sent.up += receiver.pair.totals.data_bytes[0];
        sent.down += receiver.pair.totals.data_bytes[1];
        sent.flows += receiver.pair.totals.flows;
        sent.packets += receiver.pair.totals.packets_both();
    }
    // The receiver that came first stays the first, however many follow.
    let first = of.iter().min_by_key(|receiver| (receiver.began, receiver.address)).map(|receiver| receiver.address);
    let first = first.unwrap_or_default();
    let mut addresses: Vec<Address> = of.iter().map(|receiver| receiver.address).collect();
    addresses.sort_unstable();
    let key = format!("{first} and others at port {}", service.port);
    let of = CollectorGroup { population, name: GroupName::Service(first, service), addresses };
    (Group { key, level: Level::Prefix, of, whole: whole.into() }, host, sent)
}
