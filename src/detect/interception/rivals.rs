//! Rivals: who contradicts whom about the same names.
//! In: the issuers of a population with the names that each shows, and the names that are sealed. Out: for each issuer, how many of
//! its names others contradict that speak against it, and how many it lowers.
//! One name that two show says that one of them is false, and not which. An interceptor is contradicted by whatever owners chose, each
//! of these by the interceptor alone; so all contested names are laid to whoever has the most of them.
//! Bounds: [`ACCUSED_MAX`] owners; a list of the names of all issuers, which are sampled.

use std::collections::{BTreeMap, BTreeSet};

use super::identities::{Identity, issuer_name};
use super::{COMPARED_MIN, PopulationIndex, Scene, ServerSummary};
use crate::population::sketch::kmv::Containment;
use crate::population::{CollectorKey, CollectorSummary};

/// Owners of issuers that one name may be seen under: its own, an interceptor's, and that of a second interceptor (an employer's, by
/// leave of the register) or of a second place that serves it. A name under more is no site's: a client that says one name wherever
/// it calls (a mail server its own) makes it so.
const OWNERS_A_NAME_MAX: usize = 3;
/// Owners that are accused at the most: whoever comes after as many is contradicted for few names.
const ACCUSED_MAX: usize = 64;
/// Share of all lowered names that are one issuer's from which on they speak against it.
const LOWERED_SHARE_MIN: f64 = 0.4;
/// Rivals, and names in common with them or lowered, from which on an issuer of one network is contested.
/// A host that serves many owners' names has their certificates from the issuers that its other doors show, too.
const DOOR_RIVALS_MIN: u32 = 3;
const DOOR_NAMES_MIN: f64 = 6.0;

/// The organisation that an issuer's name says it is: one shows a site's two certificates (RSA and ECDSA) under two names of
/// its own, and is no rival of itself.
pub(super) fn organisation<'a>(scene: &Scene<'a>, issuer: u64) -> Option<&'a str> {
    let name = issuer_name(scene, issuer)?;
    name.split(',').find_map(|part| part.strip_prefix("O=").or(part.strip_prefix("o=")))
}

/// All issuers of a population, and whom each contested name speaks against.
pub(super) struct Rivals<'i, 'a> {
    pub(super) issuers: Vec<&'i Identity<'a>>,
    /// Who shows each: the organisation that its name says, or itself. By number.
    owners: Vec<usize>,
    /// By owner, the names that other owners show as well and that speak against it. An honest issuer whose sites somebody intercepts
    /// is contradicted as the interceptor is, by the interceptor alone; who is contradicted for the most names is taken to be it, and
    /// what is left speaks against the next.
    accused: BTreeMap<usize, BTreeSet<u64>>,
    /// By contested name, all who show it.
    contested: BTreeMap<u64, Vec<usize>>,
    /// Names that an issuer shows to clients who offer TLS 1.3, where others get TLS 1.3; of all issuers together.
    lowered: f64,
    /// Up to which hash all names are known.
    limit: u64,
}

impl<'i, 'a> Rivals<'i, 'a> {
    pub(super) fn of(scene: &Scene<'a>, issuers: Vec<&'i Identity<'a>>, sealed: Option<&ServerSummary>) -> Self {
        let mut numbers: BTreeMap<Result<&str, u64>, usize> = BTreeMap::new();
        let owners = issuers.iter().map(|one| {
            let next = numbers.len();
            *numbers.entry(organisation(scene, one.key.id).ok_or(one.key.id)).or_insert(next)
        });
        let owners: Vec<usize> = owners.collect();
        let limit = issuers.iter().map(|one| one.server.shown.complete_to()).fold(u64::MAX, u64::min);
        let mut shown: Vec<(u64, usize)> = Vec::new();
        for (one, owner) in issuers.iter().zip(&owners) {
            let names = one.server.shown.hashes().iter().take_while(|name| **name <= limit);
            shown.extend(names.map(|name| (*name, *owner)));
        }
        shown.sort_unstable();
        shown.dedup();
        let of_names = shown.chunk_by(|(a, _), (b, _)| a == b);
        let of_names = of_names.filter(|of_name| (2..=OWNERS_A_NAME_MAX).contains(&of_name.len()));
        let contested = of_names.map(|of_name| (of_name[0].0, of_name.iter().map(|(_, owner)| *owner).collect()));
        let contested: BTreeMap<u64, Vec<usize>> = contested.collect();
        let mut lowered: BTreeMap<usize, f64> = BTreeMap::new();
        for (one, owner) in issuers.iter().zip(&owners) {
            let names = sealed.and_then(|sealed| Lowered::of(&one.server, sealed)).map_or(0.0, Lowered::names);
            *lowered.entry(*owner).or_default() += names;
        }
        let accused = accused(&contested, &lowered);
        Self { issuers, owners, accused, contested, lowered: lowered.into_values().sum(), limit }
    }

    /// Who contradicts one of them; none where nothing can be compared.
    pub(super) fn against(&self, at: usize) -> Option<Rivalry> {
        let (own, names) = (self.owners[at], self.issuers[at].server.shown.hashes());
        let compared = names.partition_point(|name| *name <= self.limit);
        let none = BTreeSet::new();
        let accused = self.accused.get(&own).unwrap_or(&none);
        let mine: Vec<&u64> = names.iter().filter(|name| accused.contains(name)).collect();
        let others = mine.iter().filter_map(|name| self.contested.get(name)).flatten();
        let rivals: BTreeSet<usize> = others.copied().filter(|other| *other != own).collect();
        let contest = Containment { share: mine.len() as f64 / compared.max(1) as f64, compared };
        (compared > 0).then_some(Rivalry { contest, rivals: rivals.len() as u32 })
    }

    /// Whether one of an issuer's addresses showed another owner's certificates as well, in the span or the hour before.
    pub(super) fn meets(&self, scene: &Scene<'_>, population: PopulationIndex, at: usize) -> bool {
        let own = organisation(scene, self.issuers[at].key.id).ok_or(self.issuers[at].key.id);
        let is_other = |one: &CollectorSummary| {
            one.issuers.iter().any(|(issuer, _)| organisation(scene, issuer.0).ok_or(issuer.0) != own)
        };
        self.issuers[at].server.addresses.iter().any(|address| {
            let key = CollectorKey { population, address };
            let before = scene.hour_before().and_then(|hour| hour.collectors.of(&key));
            scene.collector(population, address).into_iter().chain(before.map(|one| &**one)).any(is_other)
        })
    }

    /// The names that speak against an issuer: those that others contradict, and those that it lowers.
    pub(super) fn names_against(&self, at: usize, sealed: Option<&ServerSummary>) -> BTreeSet<u64> {
        let mut names = self.accused.get(&self.owners[at]).cloned().unwrap_or_default();
        if let Some(sealed) = sealed {
            let own = self.issuers[at].server.names.hashes();
            names.extend(own.iter().filter(|name| sealed.names.hashes().binary_search(name).is_ok()));
        }
        names
    }

    /// What an issuer lowers, where it lowers most of all that is lowered: where many do, it is TLS 1.3 that somebody else brings in.
    pub(super) fn lowered(&self, at: usize, sealed: Option<&ServerSummary>) -> Option<Lowered> {
        let lowered = Lowered::of(&self.issuers[at].server, sealed?)?;
        (lowered.names() >= LOWERED_SHARE_MIN * self.lowered).then_some(lowered)
    }
}

/// The contested names of each owner, each name with the one that it speaks against: whoever is contradicted for the most names, of
/// equals who lowers the most.
fn accused(contested: &BTreeMap<u64, Vec<usize>>, lowered: &BTreeMap<usize, f64>) -> BTreeMap<usize, BTreeSet<u64>> {
    let names_lowered = |owner: &usize| lowered.get(owner).map_or(0, |names| *names as u64);
    // Of each who is not accused yet, the names that another such shows as well.
    let mut open: BTreeMap<usize, BTreeSet<u64>> = BTreeMap::new();
    for (name, owners) in contested {
        owners.iter().for_each(|owner| _ = open.entry(*owner).or_default().insert(*name));
    }
    let mut accused = BTreeMap::new();
    while accused.len() < ACCUSED_MAX
        && let Some((owner, _)) =
            (open.iter()).max_by_key(|(owner, names)| (names.len(), names_lowered(owner), std::cmp::Reverse(**owner)))
        && let owner = *owner
        && let Some(names) = open.remove(&owner)
    {
        for name in &names {
            // One that is left with a name is contradicted by nobody who is not accused; two still contradict each other.
            let left: Vec<usize> = contested[name]
                .iter()
                .copied()
                .filter(|other| open.get(other).is_some_and(|open| open.contains(name)))
                .collect();
            if let [last] = left[..]
                && let Some(of_last) = open.get_mut(&last)
            {
                of_last.remove(name);
            }
        }
        open.retain(|_, names| !names.is_empty());
        accused.insert(owner, names);
    }
    accused
}

/// Names for which an issuer answers and others see other issuers. Names, not domains: a site and its pictures are mostly
/// served by two parties that have their certificates from two issuers.
#[derive(Clone, Copy)]
pub(super) struct Rivalry {
    pub(super) contest: Containment,
    /// How many other owners' issuers those are.
    pub(super) rivals: u32,
}

impl Rivalry {
    /// Whether several owners contradict it for several names. Such owners are strangers to each other, whatever operator has
    /// their servers: one may have all that a small population calls.
    pub(super) fn is_broad(self) -> bool {
        self.rivals >= 2 && self.names() >= COMPARED_MIN as f64
    }

    /// Whether so many owners contradict it that one network is enough: names may be led to the interceptor's own door.
    pub(super) fn is_of_one_door(self, lowered: Option<Lowered>) -> bool {
        let names = self.names() + lowered.map_or(0.0, Lowered::names);
        // What seals its certificates is a rival like another.
        self.rivals + u32::from(lowered.is_some()) >= DOOR_RIVALS_MIN && names >= DOOR_NAMES_MIN
    }

    pub(super) fn names(&self) -> f64 {
        (self.contest.share * self.contest.compared as f64).round()
    }
}

/// Names of an issuer for which a client that offers TLS 1.3 gets less and a certificate, where others get TLS 1.3.
#[derive(Clone, Copy)]
pub(super) struct Lowered(pub(super) Containment);

impl Lowered {
    pub(super) fn of(server: &ServerSummary, sealed: &ServerSummary) -> Option<Self> {
        server.names.contained_in(&sealed.names).map(Self)
    }

    pub(super) fn names(self) -> f64 {
        (self.0.share * self.0.compared as f64).round()
    }
}
