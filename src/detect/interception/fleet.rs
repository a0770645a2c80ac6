//! Fleets: servers of one owner that have one key under many names.
//! In: a key, the addresses that showed it, the client hellos (JA4) seen there and elsewhere. Out: whether the programs that call
//! them hardly call anybody else, in the span and the hour before it: its own servers answer it, whatever they are called. Whoever
//! sits in the path answers all programs of his victims, and these call others, too.
//! Bounds: the addresses of a key and the hellos of an address, both samples.

use std::collections::{BTreeMap, BTreeSet};

use crate::detect::scene::Scene;
use crate::population::PopulationIndex;
use crate::population::servers::ServerSummary;
use crate::population::texts::TextId;
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

/// What one hello was sent to.
#[derive(Default)]
struct Program {
    own: BTreeSet<Address>,
    others: BTreeSet<Address>,
    rows_own: u64,
}

impl Fleet {
    /// None where programs that call many others call the key's servers, too.
    pub(super) fn of(scene: &Scene<'_>, population: PopulationIndex, server: &ServerSummary) -> Option<Self> {
        let own: BTreeSet<Address> = server.addresses.iter().collect();
        let mut programs: BTreeMap<TextId, Program> = BTreeMap::new();
        let mut called = BTreeSet::new();
        let before = scene.hour_before().into_iter().flat_map(|hour| hour.collectors.sorted());
        let before = before.map(|(key, one)| (key, &**one));
        let all = scene.collectors().iter().copied().chain(before);
        for (key, one) in all.filter(|(key, one)| key.population == population && !one.ja4.is_empty()) {
            called.insert(key.address);
            let is_own = own.contains(&key.address);
            for (hello, rows) in one.ja4.iter() {
                let program = programs.entry(hello).or_default();
                program.rows_own += if is_own { rows } else { 0 };
                if is_own { &mut program.own } else { &mut program.others }.insert(key.address);
            }
        }
        let is_its_own = |program: &&Program| {
            let (own, others) = (program.own.len() as f64, program.others.len() as f64);
            own >= OWN_ADDRESSES_MIN * (own + others)
        };
        let all: u64 = programs.values().map(|program| program.rows_own).sum();
        let by_own: u64 = programs.values().filter(is_its_own).map(|program| program.rows_own).sum();
        // One stray caller, a scanner or a curious person, is nobody's program.
        if all == 0 || ((by_own + 1) as f64) < OWN_PROGRAMS_MIN * all as f64 {
            return None;
        }
        let (at_own, at_all) = (called.intersection(&own).count() as f64, called.len() as f64);
        Some(if at_own > EVERYWHERE * at_all { Self::Perhaps } else { Self::Sure })
    }
}
