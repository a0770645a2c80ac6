//! Doors: the few places to which names are led that others reach where they are at home.
//! In: an issuer, the names that speak against it, who serves these names in the scene. Out: the door, where all of them are at one.
//! Whoever sits in the path answers at the addresses of those who are called; whoever leads names to himself, by false answers or by
//! what is set on the devices, answers at an address of his own, for many. There one issuer for all names opens them. Issuers of
//! several owners for the same names in one place are a host's with several certificates, or of somebody to whom names are led and
//! who got certificates for them: that is `dns-hijack`, and nobody is in the path.
//! Bounds: the addresses of an issuer and the names of an address, both samples.

use std::collections::{BTreeMap, BTreeSet};

use super::rivals::organisation;
use super::{Scene, ServerSummary};
use crate::population::PopulationIndex;
use crate::population::conflict::wide_network_of;
use crate::population::texts::TextId;
use crate::units::Address;

/// Addresses that a door has at the most: a pair of each version of IP.
const ADDRESSES_MAX: usize = 4;
/// Names at each of them at the least, one is a server's own; and the part of all names that are seen anywhere.
const NAMES_EACH_MIN: usize = 2;
const AT_DOOR_MIN: f64 = 0.8;
/// Share of these names that must be at home elsewhere, and networks of homes from which on no single operator has moved them.
const AWAY_MIN: f64 = 0.5;
const HOMES_MIN: usize = 3;
/// Names that are away from which on that alone is enough, with one issuer for all.
const LED_MIN: usize = 6;

/// See the file's header.
#[derive(Debug, PartialEq)]
pub(super) struct Door {
    pub(super) addresses: Vec<Address>,
    /// Names seen there that others reach in other networks, if that is most of them.
    away: usize,
    /// Owners of the certificates that are shown there.
    owners: usize,
    /// Whether the issuer's certificates are shown elsewhere, too.
    is_anywhere: bool,
}

/// Where each of some names is served.
pub(super) struct Homes(BTreeMap<TextId, Vec<Address>>);

impl Homes {
    pub(super) fn of(scene: &Scene<'_>, population: PopulationIndex, names: &BTreeSet<u64>) -> Self {
        let mut homes: BTreeMap<TextId, Vec<Address>> = BTreeMap::new();
        let here = scene.collectors().iter().filter(|(key, _)| key.population == population && !names.is_empty());
        for (key, one) in here {
            let wanted = one.names.iter().filter(|(name, _)| names.contains(&name.0));
            wanted.for_each(|(name, _)| homes.entry(name).or_default().push(key.address));
        }
        Self(homes)
    }
}

impl Door {
    /// The door at which an issuer shows `names`; none where it shows them where they are at home, or each in a place of its own.
    pub(super) fn of(
        scene: &Scene<'_>,
        (population, homes): (PopulationIndex, &Homes),
        server: &ServerSummary,
        names: &BTreeSet<u64>,
    ) -> Option<Self> {
        let mut seen_at: BTreeMap<TextId, Vec<Address>> = BTreeMap::new();
        for address in server.addresses.iter() {
            let shown = scene.collector(population, address).into_iter().flat_map(|one| one.names.iter());
            let against = shown.filter(|(name, _)| names.contains(&name.0));
            against.for_each(|(name, _)| seen_at.entry(name).or_default().push(address));
        }
        let mut each: BTreeMap<Address, usize> = BTreeMap::new();
        seen_at.values().flatten().for_each(|address| *each.entry(*address).or_default() += 1);
        each.retain(|_, names| *names >= NAMES_EACH_MIN);
        seen_at.values_mut().for_each(|at| at.retain(|address| each.contains_key(address)));
        let all = seen_at.len();
        seen_at.retain(|_, at| !at.is_empty());
        if each.is_empty() || each.len() > ADDRESSES_MAX || (seen_at.len() as f64) < AT_DOOR_MIN * all as f64 {
            return None;
        }
        let doors: BTreeSet<Address> = each.keys().map(|address| wide_network_of(*address)).collect();
        let (mut away, mut networks) = (0, BTreeSet::new());
        for (name, at) in &seen_at {
            let elsewhere = homes.0.get(name).into_iter().flatten().filter(|home| {
                !doors.contains(&wide_network_of(**home)) && at.iter().any(|at| at.is_v4() == home.is_v4())
            });
            let elsewhere: BTreeSet<Address> = elsewhere.map(|home| wide_network_of(*home)).collect();
            away += usize::from(!elsewhere.is_empty());
            networks.extend(elsewhere);
        }
        let of_doors = each.keys().filter_map(|address| scene.collector(population, *address));
        let owners = of_doors.flat_map(|one| one.issuers.iter());
        let owners: BTreeSet<Result<&str, u64>> =
            owners.map(|(issuer, _)| organisation(scene, issuer.0).ok_or(issuer.0)).collect();
        let is_elsewhere = away as f64 >= AWAY_MIN * seen_at.len() as f64 && networks.len() >= HOMES_MIN;
        let is_anywhere = server.addresses.iter().any(|address| !each.contains_key(&address));
        let (away, owners) = (if is_elsewhere { away } else { 0 }, owners.len());
        Some(Self { addresses: each.into_keys().collect(), away, owners, is_anywhere })
    }

    /// Whether several owners' certificates are shown there, or one's that others show as well where they are at home: an authority.
    pub(super) fn is_of_many(&self) -> bool {
        self.owners > 1 || self.is_anywhere
    }

    /// Whether so many names are led there that no rival's certificate need be seen: where they are at home may seal theirs.
    pub(super) fn is_led_to(&self) -> bool {
        self.owners == 1 && self.away >= LED_MIN
    }
}
