//! Peers: the other subscribers that deal with a party.
//! In: pairs of the party's addresses, and of those that serve its domain. Out: how many deal with it, how many send it more than
//! questions, how much the largest of them sends.
//! Of two hosts that upload to one address without a name, or under one hoster's domain, both may be thieves: it takes two others
//! to make a service. Where both ask for the same name it takes one.
//! Bounds: an entry a subscriber that deals with the party.

use std::collections::{BTreeMap, BTreeSet};

use super::CALLERS;
use crate::detect::scene::{Group, Scene};
use crate::population::collector::{CollectorKey, CollectorSummary};
use crate::population::texts::TextId;
use crate::population::{PairSummary, Summary};
use crate::units::Address;

/// What a peer sends the same party, at the least: below it, it asks and does not upload.
pub(super) const PEER_BYTES_UP_MIN: u64 = 64 << 10;
/// Peers that mainly upload from which on a party is a service.
const UPLOADERS_MIN: usize = 2;
/// The same of those who ask for the same name.
const UPLOADERS_BY_NAME_MIN: usize = 1;
/// Share of the named rows of an address from which on its name is one.
const NAME_SHARE_MIN: f64 = 0.8;

/// Other subscribers that upload to the same party.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Peers {
    /// How many send it more than questions.
    pub(super) senders: u64,
    /// How many deal with it at all.
    pub(super) callers: u64,
    /// The most that one of them sends it, where several mainly upload; otherwise none.
    pub(super) largest_up: u64,
}

impl Peers {
    /// Whether others use the party as the host does: upload to it, or deal with it in any number.
    pub(super) fn are_users(&self) -> bool {
        self.largest_up > 0 || self.callers as f64 >= CALLERS.0
    }
}

/// What one of the others sent and took.
#[derive(Clone, Copy, Debug, Default)]
struct Dealings {
    /// With all addresses of the party and its domain.
    all: [u64; 2],
    /// With those of the party's own name.
    by_name: [u64; 2],
}

/// What each of the others sent a party, or the domain that it serves, and took from it.
#[derive(Debug)]
pub(super) struct There {
    subscriber: Address,
    name: Option<TextId>,
    by_other: BTreeMap<Address, Dealings>,
}

impl There {
    /// In the span that is looked at.
    pub(super) fn of(scene: &Scene<'_>, group: &Group<'_>, subscriber: Address) -> Self {
        let population = group.of.population;
        let domain = scene.domain_of(&group.whole);
        let same_domain = (scene.collectors().iter())
            .filter(|(key, one)| key.population == population && domain.is_some() && scene.domain_of(one) == domain)
            .map(|(key, _)| key.address);
        let addresses: BTreeSet<Address> = same_domain.chain(group.of.addresses.iter().copied()).collect();
        let mut there = Self { subscriber, name: main_name(&group.whole), by_other: BTreeMap::new() };
        for address in addresses {
            let is_named = there.is_named(scene.summary, CollectorKey { population, address });
            for (key, pair) in scene.pairs_of(population, address) {
                there.add(key.subscriber, is_named, pair);
            }
        }
        there
    }

    /// Whether an address serves the party's own name.
    pub(super) fn is_named(&self, of: &Summary, key: CollectorKey) -> bool {
        self.name.is_some() && of.collectors.of(&key).and_then(|one| main_name(one)) == self.name
    }

    /// Takes in what somebody exchanged with such an address.
    pub(super) fn add(&mut self, subscriber: Address, is_named: bool, pair: &PairSummary) {
        if subscriber == self.subscriber {
            return;
        }
        let dealings = self.by_other.entry(subscriber).or_default();
        add_both(&mut dealings.all, pair.totals.data_bytes);
        if is_named {
            add_both(&mut dealings.by_name, pair.totals.data_bytes);
        }
    }

    /// What it comes to. Of those of the other address family one may be the host itself: a host with both is two
    /// addresses, and where many have both each is seen twice.
    pub(super) fn peers(&self) -> Peers {
        let others = || self.by_other.iter().map(|(address, one)| (address.is_v4() == self.subscriber.is_v4(), one));
        let hosts = |of: &dyn Fn(&Dealings) -> bool| {
            let (alike, unlike): (Vec<_>, Vec<_>) =
                others().filter(|(_, one)| of(one)).partition(|(is_alike, _)| *is_alike);
            alike.len().max(unlike.len().saturating_sub(1))
        };
        let largest = |of: fn(&Dealings) -> [u64; 2], least: usize| {
            let is_upload = |one: &Dealings| of(one)[0] >= PEER_BYTES_UP_MIN && of(one)[0] > of(one)[1];
            let most = others().map(|(_, one)| one).filter(|one| is_upload(one)).map(|one| of(one)[0]).max();
            most.filter(|_| hosts(&is_upload) >= least).unwrap_or(0)
        };
        Peers {
            senders: hosts(&|one| one.all[0] >= PEER_BYTES_UP_MIN) as u64,
            callers: hosts(&|_| true) as u64,
            largest_up: largest(|one| one.all, UPLOADERS_MIN).max(largest(|one| one.by_name, UPLOADERS_BY_NAME_MIN)),
        }
    }
}

/// The name that nearly all named rows of a collector ask for.
fn main_name(one: &CollectorSummary) -> Option<TextId> {
    let (id, rows) = one.names.by_count().into_iter().next()?;
    (rows as f64 >= NAME_SHARE_MIN * one.names.total().max(1) as f64).then_some(id)
}

fn add_both(sum: &mut [u64; 2], bytes: [u64; 2]) {
    sum.iter_mut().zip(bytes).for_each(|(sum, bytes)| *sum = sum.saturating_add(bytes));
}
