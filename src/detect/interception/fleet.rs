//! Fleets: servers of one owner that have one key under many names.
//! In: a key, the addresses that showed it, the client hellos (JA4) seen there and elsewhere. Out: whether the programs that call
//! them hardly call anybody else, in the span and the hour before it: its own servers answer it, whatever they are called. Whoever
//! sits in the path answers all programs of his victims, and these call others, too.
//! Bounds: the addresses of a key and the hellos of an address, both samples; of who calls whom, one look at the span and the hour.

use std::collections::{BTreeMap, BTreeSet};

use crate::detect::scene::Scene;
use crate::population::servers::ServerSummary;
use crate::population::texts::TextId;
use crate::population::{CollectorKey, CollectorSummary, PopulationIndex};
use crate::units::Address;

/// Share of the rows at the key's addresses that its own programs have, and share of the addresses that one calls that are the key's.
const OWN_PROGRAMS_MIN: f64 = 0.9;
const OWN_ADDRESSES_MIN: f64 = 0.5;
/// Share of all addresses with hellos from which on the key is where everybody goes: where all devices are of one kind, their one
/// program calls everybody there is.
const EVERYWHERE: f64 = 0.5;

/// How sure it is that a key is a fleet's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fleet {
    /// Its own programs call it, and others call others.
    Sure,
    /// Its own programs call it, and hardly anything else was seen to be called.
    Perhaps,
}

/// Who calls whom, in the span and the hour before it: looked up for each key, gathered once.
pub(super) struct Programs {
    /// The addresses that a hello was sent to.
    called: BTreeMap<(PopulationIndex, TextId), BTreeSet<Address>>,
    /// The hellos that were sent to an address, with how many rows.
    callers: BTreeMap<CollectorKey, BTreeMap<TextId, u64>>,
    /// Addresses that any hello was sent to.
    all: BTreeMap<PopulationIndex, usize>,
}

impl Programs {
    pub(super) fn of(scene: &Scene<'_>) -> Self {
        let (mut called, mut callers, mut all) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut note = |key: &CollectorKey, one: &CollectorSummary| {
            for (hello, rows) in one.ja4.iter() {
                let to: &mut BTreeSet<Address> = called.entry((key.population, hello)).or_default();
                to.insert(key.address);
                *callers.entry(*key).or_insert_with(BTreeMap::new).entry(hello).or_default() += rows;
            }
        };
        scene.collectors().iter().for_each(|(key, one)| note(key, one));
        if let Some(hour) = scene.hour_before() {
            hour.collectors.each_of(|key, one| note(key, one));
        }
        callers.keys().for_each(|key| *all.entry(key.population).or_default() += 1);
        Self { called, callers, all }
    }
}

impl Fleet {
    /// None where programs that call many others call the key's servers, too.
    pub(super) fn of(programs: &Programs, population: PopulationIndex, server: &ServerSummary) -> Option<Self> {
        let at_own = server.addresses.iter().map(|address| CollectorKey { population, address });
        let at_own: Vec<&BTreeMap<TextId, u64>> = at_own.filter_map(|key| programs.callers.get(&key)).collect();
        let (mut all, mut by_own) = (0, 0);
        let mut by_hello: BTreeMap<TextId, (usize, u64)> = BTreeMap::new();
        for (hello, rows) in at_own.iter().copied().flatten() {
            let (addresses, sum) = by_hello.entry(*hello).or_default();
            (*addresses, *sum) = (*addresses + 1, *sum + rows);
        }
        for (hello, (own, rows)) in by_hello {
            let called = programs.called.get(&(population, hello)).map_or(0, BTreeSet::len);
            all += rows;
            by_own += if own as f64 >= OWN_ADDRESSES_MIN * called as f64 { rows } else { 0 };
        }
        // One stray caller, a scanner or a curious person, is nobody's program.
        if all == 0 || ((by_own + 1) as f64) < OWN_PROGRAMS_MIN * all as f64 {
            return None;
        }
        let everywhere = programs.all.get(&population).copied().unwrap_or(0);
        let is_everywhere = at_own.len() as f64 > EVERYWHERE * everywhere as f64;
        Some(if is_everywhere { Self::Perhaps } else { Self::Sure })
    }
}
