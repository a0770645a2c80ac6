//! Earlier: what was sent to a party before the span that is looked at.
//! In: the hour and the day so far, as summaries. Out: what one host sent there then, and what the others did.
//! Bounds: each is sorted once a look, when a host would be spoken of at `medium`; for each such host, a search for its party.

use std::collections::BTreeSet;

use super::{Bulk, Sent, There};
use crate::detect::scene::{Group, Scene};
use crate::population::collector::CollectorKey;
use crate::population::facet::DomainKey;
use crate::population::sketch::Merge;
use crate::population::span::Seen;
use crate::population::{PairKey, PairSummary, Summary};
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

/// One such stretch, sorted out.
pub(super) struct Earlier<'a> {
    summary: &'a Summary,
    /// By population, collector and subscriber.
    pairs: Vec<(PairKey, &'a PairSummary)>,
    /// What subscribers sent one party then, bytes: 98 % of them no more.
    pub(super) usual: Option<f64>,
}

impl<'a> Earlier<'a> {
    pub(super) fn of(summary: &'a Summary) -> Self {
        let pairs = summary.pairs.sorted_by_key();
        let usual = Bulk::of_pairs(pairs.iter().map(|(_, pair)| *pair)).quantile(0.98);
        Self { summary, pairs, usual }
    }

    /// What was exchanged then.
    pub(super) fn pairs(&self) -> &[(PairKey, &'a PairSummary)] {
        &self.pairs
    }

    /// Adds what each of the others exchanged with the group's addresses, and with those that its domain had then.
    pub(super) fn add_others(&self, scene: &Scene<'_>, group: &Group<'_>, there: &mut There) {
        let population = group.of.population;
        let domains = &self.summary.domains;
        let domain = scene.main_domain(&group.whole).and_then(|domain| domains.of(&DomainKey { population, domain }));
        let same_domain = domain.map_or_else(Vec::new, |domain| domain.addresses());
        let addresses: BTreeSet<Address> = same_domain.into_iter().chain(group.of.addresses.iter().copied()).collect();
        for address in addresses {
            let party = (population, address);
            let is_named = there.is_named(self.summary, CollectorKey { population, address });
            let from = self.pairs.partition_point(|(key, _)| (key.population, key.collector) < party);
            let theirs = self.pairs[from..].iter().take_while(|(key, _)| (key.population, key.collector) == party);
            theirs.for_each(|(key, pair)| there.add(key.subscriber, is_named, pair));
        }
    }
}
