//! Parts: which of the addresses that share a prefix, a name, a fingerprint or a key are parts of one collector.
//! In: such a group, its members' summaries. Out: the group of those that are sent the same kind of records.
//! Bounds: those of the group.

use std::collections::{BTreeMap, BTreeSet};

use super::SUBSCRIBERS_MIN;
use crate::detect::levels::Census;
use crate::detect::scene::{Group, Scene};
use crate::population::collector::CollectorSummary;
use crate::population::groups::{CollectorGroup, Level};
use crate::population::sketch::Merge;
use crate::units::Address;

/// Records of such addresses differ by no more than this factor at the median.
const ALIKE_FACTOR: f64 = 2.0;
/// Share of the addresses of a fingerprint that must behave like parts of a collector for it to be one party's.
const IDENTITY_SHARE_MIN: f64 = 0.6;
/// Names from which on one fingerprint under many of them is a fleet.
const FLEET_NAMES_MIN: usize = 6;

/// The group without the addresses that only happen to stand beside a collector: in one /24 or behind one name there are
/// unrelated services. None where fewer than two are left.
pub(super) fn coherent<'a>(scene: &Scene<'a>, group: Group<'a>, census: &Census) -> Option<Group<'a>> {
    let population = group.of.population;
    let members =
        group.of.addresses.iter().filter_map(|&address| Some((address, scene.collector(population, address)?)));
    // One fingerprint or key under many names is one party that hides; one prefix with many names is a neighbourhood.
    let members = match group.level {
        Level::Fingerprint | Level::CertificateKey => of_one_identity(scene, &group, members.collect(), census)?,
        // Neighbours are of one name already, see `levels`.
        _ => members.collect(),
    };
    let middle = median(members.iter().filter_map(|(_, one)| one.upload_sizes.quantile(0.5)).collect());
    let alike = |one: &CollectorSummary| {
        one.upload_sizes
            .quantile(0.5)
            .is_some_and(|size| size <= middle * ALIKE_FACTOR && middle <= size * ALIKE_FACTOR)
    };
    let (mut addresses, mut whole) = (Vec::new(), CollectorSummary::default());
    for (address, one) in members.into_iter().filter(|(_, one)| alike(one)) {
        addresses.push(address);
        whole.merge(one.clone());
    }
    // A few makers on one kind of server are no fleet; a key is one party's whatever it calls itself.
    let domains = addresses.iter().filter_map(|&address| scene.domain_of(scene.collector(population, address)?));
    let names = domains.collect::<BTreeSet<&str>>().len();
    if group.level == Level::Fingerprint && (2..FLEET_NAMES_MIN).contains(&names) {
        return None;
    }
    let of = CollectorGroup { addresses, ..group.of };
    (of.addresses.len() > 1).then_some(Group { of, whole: whole.into(), ..group })
}

/// A fingerprint that many ordinary services show is nobody's, and a domain that is large enough is judged by its name: what
/// is left are small pieces under many names. None where the fingerprint says nothing.
fn of_one_identity<'a>(
    scene: &Scene<'a>,
    group: &Group<'a>,
    members: Vec<(Address, &'a CollectorSummary)>,
    census: &Census,
) -> Option<Vec<(Address, &'a CollectorSummary)>> {
    let all = census.get(&(group.level, group.of.population, group.of.name)).copied().unwrap_or(0);
    if (members.len() as f64) < IDENTITY_SHARE_MIN * all as f64 {
        return None;
    }
    let mut reach: BTreeMap<&str, u64> = BTreeMap::new();
    let domain = |one: &CollectorSummary| scene.domain_of(one);
    for (_, one) in &members {
        if let Some(domain) = domain(one) {
            *reach.entry(domain).or_default() += one.subscribers.count();
        }
    }
    // One key under so many names is one party's, however large each of its names is.
    let is_fleet = group.level == Level::CertificateKey && reach.len() >= FLEET_NAMES_MIN;
    let is_small = |one: &CollectorSummary| is_fleet || domain(one).is_none_or(|name| reach[name] < SUBSCRIBERS_MIN);
    let small: Vec<_> = members.into_iter().filter(|(_, one)| is_small(one)).collect();
    Some(small)
}

/// The middle one of several values, 0 of none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
