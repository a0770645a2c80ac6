//! Forgetting: one subscriber taken out of a summary, for whoever asks for erasure.
//! In: a pseudonym, and its keyed hash where the key is at hand. Out: the summary without either.
//! What stays: sums over many (bytes, flows, histograms), which hold no one's name; a dense count of distinct subscribers,
//! which no longer knows its members; sampled hashes of flow tuples, which are keyed and name no one without the key.

use super::identity::Party;
use super::sketch::Distinct;
use super::summary::Summary;
use crate::units::Address;

impl Summary {
    /// Takes a subscriber out; whether anything of it was there.
    pub fn forget(&mut self, pseudonym: Address, hash: Option<u64>) -> bool {
        let before = self.to_bytes();
        let is_party = |party: &Party| matches!(party, Party::Subscriber(_, who) if *who == pseudonym);
        self.pairs.retain(|key| key.subscriber != pseudonym);
        self.subscribers.retain(|key| key.subscriber != pseudonym);
        self.carriers.retain(|key| !key.outer.iter().any(is_party));
        self.exports.retain(|key| !is_party(&key.exporter) && !is_party(&key.receiver));
        self.served.retain(|key| key.server != pseudonym);
        self.paces.busy.retain(|key| key.subscriber != pseudonym);
        self.paces.streams.retain(|key| !is_party(&key.from));
        self.answers.retain(|party| !is_party(party));
        self.resolvers.retain(|party| !is_party(party));
        self.injections.retain(|key| !is_party(&key.server_prefix));
        self.conflicts.retain(|record| record.victim != pseudonym && !is_party(&record.server));
        self.forgeries.retain(|record| {
            let leads_to = record.versions.iter().filter_map(|version| version.leads_to.as_ref());
            record.victim != pseudonym && !leads_to.chain([&record.server]).any(is_party)
        });
        self.zones.each(|zone| zone.forget(pseudonym, hash));
        self.servers.each(|server| server.forget(pseudonym, hash));
        self.hellos.each(|question| question.forget(pseudonym));
        self.answered.each(|answered| {
            answered.given.retain(|given| !is_party(&given.resolver) && !is_party(&given.address));
        });
        self.collectors.each(|collector| {
            collector.sample.forget(pseudonym);
            collector.services_apart.forget(pseudonym, hash);
        });
        self.domains.each(|domain| domain.facet.forget(pseudonym, hash));
        if let Some(hash) = hash {
            let out = |set: &mut Distinct| {
                set.forget(hash);
            };
            self.populations.values_mut().for_each(|population| out(&mut population.active));
            self.collectors.each(|collector| out(&mut collector.subscribers));
            self.carriers.each(|carrier| {
                carrier.subscribers.values_mut().for_each(out);
                out(&mut carrier.ends);
            });
            self.exports.each(|export| {
                export.subscribers.values_mut().for_each(out);
                out(&mut export.ends);
            });
            self.injections.each(|injection| out(&mut injection.victims));
            self.answers.each(|answer| out(&mut answer.clients));
            self.resolvers.each(|resolver| out(&mut resolver.clients));
        }
        self.to_bytes() != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::identity::SubscriberIdentity;
    use crate::population::limits::SummaryLimits;
    use crate::population::summary::tests::{TurnedOver, row, summary_of};

    #[test]
    fn a_forgotten_subscriber_leaves_no_byte() {
        let far = Address::v4([203, 0, 113, 7]);
        let rows: Vec<_> = (0..20u8).map(|n| row(Address::v4([10, 0, 0, n]), far, u64::from(n), 500, 50)).collect();
        let mut summary = summary_of(&rows, &SummaryLimits::default());
        let mut identity = TurnedOver(1);
        let real = Address::v4([10, 0, 0, 7]);
        let (pseudonym, hash) = (identity.pseudonym(real), identity.hash64(real));
        let holds = |summary: &Summary| summary.to_bytes().windows(16).any(|bytes| bytes == pseudonym.0);
        assert!(holds(&summary));
        let others = summary.pairs.len();
        assert!(summary.forget(pseudonym, Some(hash)));
        assert!(!holds(&summary));
        assert_eq!(summary.pairs.len(), others - 1);
        let active: Vec<u64> = summary.populations.values().map(|population| population.active.count()).collect();
        assert_eq!(active, [19]);
        assert!(!summary.forget(pseudonym, Some(hash)), "nothing is left to forget");
        assert!(Summary::from_bytes(&summary.to_bytes()).is_ok());
    }
}
