//! Party: one or several strange resolvers, and what those who ask them did.
//! In: who asked whom when, and what was answered. Out: how much that speaks for their having been turned, 0 to 1.
//! Not here: how wide it is, and what is said of it.

use std::collections::{BTreeMap, BTreeSet};

use super::known::{Asker, Known};
use super::onset::{Onset, Turned, is_late};
use super::public::is_public;
use super::{DNS, Resolver, is_sealed, service_of};
use crate::detect::weigh::{log_ramp, ramp};
use crate::population::identity::Party;
use crate::population::sketch::Merge;
use crate::units::{Address, DurationNs, TimestampNs};

/// Share of the askers of a resolver that somebody chose who look, over a day, as if they had turned to it: those of their
/// devices that ask the usual one fell silent, or that one woke late. One in ten on tuning seeds.
const LOOKS_TURNED: f64 = 0.15;
/// Orders of magnitude of chance between which opinion turns: from one in 25 on it is believed. Of some 600 resolvers that
/// people chose in 200 tuning captures one ever looked like that and still did at the hour's end, as with one in 34.
const CHANCE_TURNS: (f64, f64) = (0.8, 2.2);
/// Share of those who ask it and the usual one that must have turned to it for so many to be no chance: of those who ask the second
/// of two resolvers now and then, a quarter or a third have had nothing to ask the first since.
const TURNED_MIN: f64 = 0.4;
/// A chance from which on an earlier claim is taken back: of 103 resolvers that homes were turned to and that were claimed, none
/// looked like one in ten or more at the hour's end.
pub(super) const SURELY_CHANCE: f64 = 0.1;
/// The same for one of several resolvers that are judged together, how far apart these may have come into use, and how many
/// times likelier it is that some of all do.
const PART_CHANCE_MAX: f64 = 0.5;
const BEGAN_TOGETHER: DurationNs = DurationNs::from_secs(300);
const WAYS_TO_JOIN: f64 = 2.0;
/// How much likelier an honest resolver is to lead no domain elsewhere than to lead one, or some to one address: names that
/// moved, and those answered by where one asks from, are few, and lie in as many places.
const LEADS_ELSEWHERE: f64 = 0.2;
/// Share of the population between which a stranger stops being its askers' own choice, where the policy lists what they are meant
/// to ask.
const CHOSEN_SHARE: (f64, f64) = (0.12, 0.2);
/// And their number: of forty homes thirteen may have one owner.
const CHOSEN_ASKERS: (f64, f64) = (12.0, 30.0);
/// The same of a crowd: of many people with resolvers of their own few have one and the same that is no public service.
const CROWD_SHARE: (f64, f64) = (0.03, 0.06);
const CROWD_ASKERS: (f64, f64) = (30.0, 60.0);
/// The same share of a stranger that is asked over TLS.
const SEALED_SHARE: (f64, f64) = (0.14, 0.19);
/// Askers over TLS from which on that they began within the span says that somebody turned them.
const SEALED_ASKERS_MIN: u64 = 12;
/// Askers that two strangers must share, and their share of those of the one with fewer, to be one party's; and how many are held
/// against each other, the most asked ones.
const SHARED_ASKERS_MIN: usize = 5;
const SHARED_ASKERS: f64 = 0.5;
const SHARING_MAX: usize = 32;
/// Askers of each of a pair of which one is asked over IPv4 and one over IPv6.
const TWIN_ASKERS_MIN: u64 = 10;
/// Share of the population between which those who ask it alone stop being its owners, and their number: of a dozen devices two or
/// three belong to somebody who set them up.
const ALONE_SHARE: (f64, f64) = (0.05, 0.2);
const ALONE_ASKERS: (f64, f64) = (2.0, 6.0);
/// What speaks for a stranger that the policy does not list, or that merely is not the most asked one.
const STRANGE: [f64; 2] = [0.3, 0.2];
/// Slots with a question to a resolver before a subscriber counts as one that asks it alone.
const SLOTS_MIN: u32 = 3;

/// See the file's header.
pub(super) struct Party53<'a> {
    pub resolvers: Vec<&'a Resolver<'a>>,
    /// How many ask it.
    pub askers: u64,
    /// Subscribers that were active at all.
    pub active: u64,
    pub turned: Turned,
    /// Askers that never asked a usual one.
    pub only_it: u64,
    pub onset: Option<Onset>,
    /// Domains by the address that it alone leads them to.
    pub lies: BTreeMap<Party, BTreeSet<&'a str>>,
    /// Of a public one: networks in which others place the domains that it leads to one address.
    pub homes: usize,
    pub is_public: bool,
    /// Whether all of it is asked over TLS alone, at the port of that.
    is_sealed: bool,
    began: Option<TimestampNs>,
    all: Vec<Asker>,
}

impl<'a> Party53<'a> {
    /// One resolver alone.
    pub(super) fn of(
        known: &Known<'_>,
        resolver: &'a Resolver<'a>,
        (lies, homes): (BTreeMap<Party, BTreeSet<&'a str>>, usize),
    ) -> Self {
        let began = known.began(resolver.address).filter(|began| is_late(known, *began));
        let mut party = Self {
            resolvers: vec![resolver],
            askers: known.askers(resolver.address),
            active: known.active(),
            turned: Turned::default(),
            only_it: 0,
            onset: None,
            lies,
            homes,
            is_public: is_public(resolver.address),
            is_sealed: is_sealed(resolver.one),
            began,
            // Of a window nothing can be told but that somebody came into use in its hour.
            all: if began.is_some() || !known.is_window() { known.askers_of(resolver.address) } else { Vec::new() },
        };
        party.judge(known);
        party
    }

    /// Since when it is in use, where the span saw that begin.
    pub(super) fn began(&self) -> Option<TimestampNs> {
        self.began
    }

    fn judge(&mut self, known: &Known<'_>) {
        self.onset = self.began.and_then(|began| Onset::of(known, began, &self.all));
        self.turned = Turned::of(known, &self.all);
        let asks_it_alone = |asker: &&Asker| {
            asker.usual.is_none() && known.slots.is_some_and(|slots| slots.of_both(asker)[0].count_ones() >= SLOTS_MIN)
        };
        self.only_it = self.all.iter().filter(asks_it_alone).count() as u64;
    }

    /// How likely so late a beginning is by chance.
    pub(super) fn chance(&self) -> f64 {
        let ways = if self.resolvers.len() > 1 { WAYS_TO_JOIN } else { 1.0 };
        let leads = if self.lies.len() == 1 { LEADS_ELSEWHERE } else { 1.0 };
        self.onset.map_or(1.0, |onset| (onset.chance_of_many() * ways * leads).min(1.0))
    }

    /// Whether the span saw it come into use, and more of it makes that look like chance.
    pub(super) fn is_chance(&self) -> bool {
        self.onset.is_some() && self.chance() > SURELY_CHANCE
    }

    /// How much a change speaks, 0 to 1: that it is asked since just now, or that over a day its askers turned to it.
    pub(super) fn change(&self, known: &Known<'_>) -> f64 {
        let rare = |chance: f64| ramp(-chance.max(1e-12).log10(), CHANCE_TURNS.0, CHANCE_TURNS.1);
        // A few who begin to ask over TLS have switched it on.
        let is_own = self.is_sealed && self.askers < SEALED_ASKERS_MIN;
        let began = if is_own { 0.0 } else { rare(self.chance()) };
        // Nobody is turned to more resolvers than there are who turn: who asks so many asks those who own the names.
        let is_recursion = self.resolvers.len() > 2 && self.resolvers.len() as u64 >= self.askers;
        // The second or third resolver of a provider is asked by whomever the first kept waiting.
        let is_providers = self.resolvers.iter().all(|resolver| known.is_of_usual_operator(resolver.address));
        if self.is_public || is_recursion || is_providers {
            0.0
        } else {
            began.max(rare(self.chance_of_silence(known)))
        }
    }

    /// How much it speaks that it is not the one that they are meant to ask, and asked by those who ask it alone rather than
    /// for some of their devices.
    pub(super) fn strangeness(&self, is_listed: bool) -> f64 {
        let of_active = |subscribers: u64| subscribers as f64 / self.active.max(1) as f64;
        let share_of_only_it = ramp(of_active(self.only_it), ALONE_SHARE.0, ALONE_SHARE.1)
            * log_ramp(self.only_it as f64, ALONE_ASKERS.0, ALONE_ASKERS.1);
        // People do not choose alike: a fifth of them with one stranger whom no policy lists have not chosen it. Where it is asked over
        // TLS they may have: a browser's maker chooses for all who use it, and no network can tell them the name that clients hold
        // against its certificate (RFC 8310). Makers choose one whom everybody knows, though, and not for a quarter of all.
        let (share, askers) = (of_active(self.askers), self.askers as f64);
        // What is asked openly at a port of its own was set so, and people who do that are few.
        let is_odd = |resolver: &&Resolver<'_>| service_of(resolver.one).is_some_and(|service| service.port != DNS);
        let is_set = !self.is_sealed && !self.resolvers.is_empty() && self.resolvers.iter().all(is_odd);
        let share = match is_listed || is_set {
            true if self.is_sealed => {
                ramp(share, SEALED_SHARE.0, SEALED_SHARE.1) * log_ramp(askers, CROWD_ASKERS.0, CROWD_ASKERS.1)
            }
            true => {
                let of_few =
                    ramp(share, CHOSEN_SHARE.0, CHOSEN_SHARE.1) * log_ramp(askers, CHOSEN_ASKERS.0, CHOSEN_ASKERS.1);
                let of_many =
                    ramp(share, CROWD_SHARE.0, CROWD_SHARE.1) * log_ramp(askers, CROWD_ASKERS.0, CROWD_ASKERS.1);
                of_few.max(of_many)
            }
            false => 0.0,
        };
        // Who is called by a name at the port of the web was chosen with that name: no router and no lease can tell one.
        let is_called = !self.is_sealed && !self.resolvers.is_empty();
        let is_called = is_called && self.resolvers.iter().all(|resolver| !resolver.one.names.is_empty());
        let by_crowd = if is_called { 0.0 } else { share_of_only_it.max(share) };
        let strange = STRANGE[usize::from(!is_listed)] + 0.4 * by_crowd;
        if self.is_public { 0.05 } else { strange }
    }

    /// How likely it is that so many fell silent towards the usual ones. In an hour that says nothing: of fifteen homes with a
    /// resolver of somebody's own, five had nothing else to ask after their first question to it.
    fn chance_of_silence(&self, known: &Known<'_>) -> f64 {
        let is_day = known.slots.is_some_and(|slots| !slots.are_minutes());
        let are_most = self.turned.turned as f64 >= TURNED_MIN * self.turned.both as f64;
        if is_day && are_most { self.turned.chance(LOOKS_TURNED) } else { 1.0 }
    }

    /// Domains that are led to an address together with others.
    pub(super) fn lied(&self) -> usize {
        self.lies.values().map(BTreeSet::len).filter(|domains| *domains >= 2).sum()
    }

    /// Where outside it leads unrelated domains: one inside goes by its pseudonym, which is no address of a collector.
    pub(super) fn led_to(&self) -> impl Iterator<Item = Address> {
        self.lies.iter().filter(|(_, domains)| domains.len() >= 2).filter_map(|(party, _)| party.outside())
    }

    /// How many ask both, and of whom fewer ask: how many those are.
    fn shared_with(&self, other: &Self) -> (usize, usize) {
        let (few, many) = if self.all.len() <= other.all.len() { (self, other) } else { (other, self) };
        let asks_many = |one: &&Asker| many.all.binary_search_by_key(&one.subscriber, |it| it.subscriber).is_ok();
        (few.all.iter().filter(asks_many).count(), few.all.len())
    }

    /// Whether the same subscribers ask both, as those do whose devices were given a first and a second resolver.
    fn is_asked_with(&self, other: &Self) -> bool {
        let (shared, all) = self.shared_with(other);
        shared >= SHARED_ASKERS_MIN && shared as f64 >= SHARED_ASKERS * all as f64
    }

    /// Whether it may be one of several to which homes were turned.
    fn is_part(&self, known: &Known<'_>) -> bool {
        let late = self.onset.is_some_and(|onset| onset.chance <= PART_CHANCE_MAX);
        !self.is_public && (late || self.chance_of_silence(known) <= PART_CHANCE_MAX)
    }

    /// Whether both came into use at once.
    fn began_with(&self, other: &Self) -> bool {
        let (Some(Onset { began: a, .. }), Some(Onset { began: b, .. })) = (self.onset, other.onset) else {
            return false;
        };
        a.since(b).max(b.since(a)) <= BEGAN_TOGETHER
    }

    fn join(&mut self, known: &Known<'_>, other: Self) {
        let Self { resolvers, askers, lies, homes, is_sealed: sealed, began, all, .. } = other;
        self.resolvers.extend(resolvers);
        self.resolvers.sort_by_key(|resolver| resolver.address);
        self.is_sealed &= sealed;
        self.homes = self.homes.max(homes);
        self.askers += askers;
        self.began = self.began.zip(began).map(|(a, b)| a.min(b));
        for (address, domains) in lies {
            self.lies.entry(address).or_default().extend(domains);
        }
        self.all.extend(all);
        self.all.sort_by_key(|asker| asker.subscriber);
        let with_repeats = self.all.len() as u64;
        self.all.dedup_by(|next, one| {
            let same = next.subscriber == one.subscriber;
            if same {
                one.pair.merge(next.pair);
            }
            same
        });
        // Who asks several of them is one.
        self.askers = self.askers.saturating_sub(with_repeats - self.all.len() as u64);
        self.judge(known);
    }
}

/// Resolvers that came into use at the same time are one party's: nobody's own choice falls together with others'; and so are those
/// that the same subscribers ask, if nobody knows them.
pub(super) fn together<'a>(known: &Known<'_>, parties: Vec<Party53<'a>>) -> Vec<Party53<'a>> {
    let (parts, mut apart): (Vec<_>, Vec<_>) = parties.into_iter().partition(|party| party.is_part(known));
    let (public, strangers): (Vec<_>, Vec<_>) = apart.into_iter().partition(|party| party.is_public);
    apart = public;
    apart.extend(shared(known, strangers));
    let first_alone = apart.len();
    for party in parts {
        match apart[first_alone..].iter_mut().find(|one| one.began_with(&party) || one.is_asked_with(&party)) {
            Some(one) => one.join(known, party),
            None => apart.push(party),
        }
    }
    apart
}

/// Strangers that the same subscribers ask, joined; the most asked ones first.
fn shared<'a>(known: &Known<'_>, mut strangers: Vec<Party53<'a>>) -> Vec<Party53<'a>> {
    strangers.sort_by_key(|party| std::cmp::Reverse(party.askers));
    let rest = strangers.split_off(strangers.len().min(SHARING_MAX));
    let mut joined: Vec<Party53<'a>> = Vec::new();
    for party in strangers {
        match joined.iter_mut().find(|one| one.is_asked_with(&party)) {
            Some(one) => one.join(known, party),
            None => joined.push(party),
        }
    }
    joined.extend(rest);
    twins(known, joined)
}

/// Strangers of which one is asked over IPv4 and one over IPv6, joined: lines have either, and nobody asks both. They are of one
/// operator, and asked over the same; where the operator is not known, there must be no other that either could belong to.
fn twins<'a>(known: &Known<'_>, mut strangers: Vec<Party53<'a>>) -> Vec<Party53<'a>> {
    let version = |party: &Party53<'_>| {
        let mut v4 = party.resolvers.iter().map(|resolver| resolver.address.is_v4());
        let first = v4.next()?;
        (party.askers >= TWIN_ASKERS_MIN && v4.all(|one| one == first)).then_some(first)
    };
    let mut by_operator: BTreeMap<(Option<u32>, bool), [Vec<Address>; 2]> = BTreeMap::new();
    for party in &strangers {
        if let (Some(is_v4), Some(first)) = (version(party), party.resolvers.first()) {
            by_operator.entry((known.asn_of(first.address), party.is_sealed)).or_default()[usize::from(is_v4)]
                .push(first.address);
        }
    }
    for of_operator in by_operator.into_values() {
        let ([one], [other]) = (&of_operator[0][..], &of_operator[1][..]) else { continue };
        let place = |strangers: &[Party53<'_>], address: &Address| {
            strangers.iter().position(|party| party.resolvers.iter().any(|resolver| resolver.address == *address))
        };
        let Some(twin) = place(&strangers, other).map(|at| strangers.remove(at)) else { continue };
        if let Some(at) = place(&strangers, one) {
            strangers[at].join(known, twin);
        }
    }
    strangers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_did_not_choose_one_stranger() {
        let party = |askers: u64, active: u64, is_public: bool| Party53 {
            is_sealed: false,
            resolvers: Vec::new(),
            askers,
            active,
            turned: Turned::default(),
            only_it: 0,
            onset: None,
            lies: BTreeMap::new(),
            homes: 0,
            is_public,
            began: None,
            all: Vec::new(),
        };
        let table = [
            ("sixty of nine hundred", party(60, 900, false), true, true),
            ("where no policy says whom to ask", party(60, 900, false), false, false),
            ("twenty of nine hundred", party(20, 900, false), true, false),
            ("sixty of five thousand", party(60, 5_000, false), true, false),
            ("a fifth of a hundred and fifty", party(30, 150, false), true, true),
            ("a public one", party(60, 900, true), true, false),
            ("three of twenty, who ask nobody else", Party53 { only_it: 3, ..party(3, 20, false) }, true, false),
            ("ten of fifty, who ask nobody else", Party53 { only_it: 10, ..party(10, 50, false) }, true, true),
            ("a quarter, over TLS", Party53 { is_sealed: true, ..party(60, 240, false) }, true, true),
            ("one that is asked over TLS", Party53 { is_sealed: true, ..party(60, 900, false) }, true, false),
        ];
        for (name, party, is_listed, wanted) in table {
            assert_eq!(party.strangeness(is_listed) > 0.6, wanted, "{name}: {}", party.strangeness(is_listed));
        }
    }
}
