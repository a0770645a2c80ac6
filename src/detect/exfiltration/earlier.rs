//! Earlier: what was sent to a party before the span that is looked at.
//! In: the hour and the day so far, as summaries. Out: what one host sent there then, and what the others did.
//! Bounds: a walk over the pairs of each for a host that would be spoken of at `medium`; nothing is kept.

use std::collections::{BTreeMap, BTreeSet};

use super::{Sent, add_both};
use crate::detect::scene::{Group, Scene};
use crate::population::facet::DomainKey;
use crate::population::sketch::Merge;
use crate::population::span::Seen;
use crate::population::{PairKey, Summary};
use crate::units::Address;

/// What the host sent the group's addresses, and when.
pub(super) fn sent(before: &Summary, group: &Group<'_>, subscriber: Address) -> (Sent, Seen) {
    let population = group.of.population;
    let pairs = group.of.addresses.iter();
    let pairs = pairs.filter_map(|&collector| before.pairs.of(&PairKey { population, collector, subscriber }));
    pairs.fold((Sent::default(), Seen::default()), |(mut sent, mut seen), pair| {
        sent.add(Sent::by(pair));
        seen.merge(pair.seen);
        (sent, seen)
    })
}

/// Adds what each of the others sent the group's addresses, and those that its domain had then, and took from them.
pub(super) fn add_others(
    before: &Summary,
    scene: &Scene<'_>,
    group: &Group<'_>,
    subscriber: Address,
    there: &mut BTreeMap<Address, [u64; 2]>,
) {
    let population = group.of.population;
    let domain =
        scene.main_domain(&group.whole).and_then(|domain| before.domains.of(&DomainKey { population, domain }));
    let same_domain = domain.map_or_else(Vec::new, |domain| domain.addresses());
    let addresses: BTreeSet<Address> = same_domain.into_iter().chain(group.of.addresses.iter().copied()).collect();
    before.pairs.each_of(|key, pair| {
        if key.population == population && key.subscriber != subscriber && addresses.contains(&key.collector) {
            add_both(there.entry(key.subscriber).or_default(), pair.totals.data_bytes);
        }
    });
}
