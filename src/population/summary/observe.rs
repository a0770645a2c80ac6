//! Observations into a summary.
//! In: contested segments, DNS messages, flow exports. Out: counts, and the records that a report needs.
//! Bounds: as the tables'. Not here: the Community ID of a conflict, see `conflict`.

use super::{AddContext, Summary};
use crate::flow::observation::{Observation, SegmentConflict};
use crate::packet::columns::ExportDatagram;
use crate::packet::facts::NameLookup;
use crate::population::carrier::{ExportKey, ExportTotals};
use crate::population::conflict::{ConflictRecord, InjectionKey, network_of};
use crate::population::identity::{Party, SubscriberIdentity};
use crate::population::sketch::Merge;
use crate::population::span::Seen;
use crate::population::totals::count;

impl Summary {
    /// Adds observations.
    ///
    /// # Panics
    /// As [`Self::add_rows`].
    pub fn add_observations<I: SubscriberIdentity>(
        &mut self,
        observations: &[Observation],
        cx: &mut AddContext<'_, I>,
    ) {
        if observations.is_empty() {
            return;
        }
        self.rest_on(cx);
        for observation in observations {
            match observation {
                Observation::SegmentConflict(conflict) => self.add_conflict(conflict, None, cx),
                Observation::Lookup(lookup) => self.add_lookup(lookup, cx),
                Observation::Export(export) => self.add_export(export, cx),
            }
        }
    }

    /// Adds one contested segment, with a Community ID where the caller decided to show one (see `conflict`).
    ///
    /// # Panics
    /// As [`Self::add_rows`].
    pub fn add_conflict<I: SubscriberIdentity>(
        &mut self,
        conflict: &SegmentConflict,
        community_id: Option<Box<str>>,
        cx: &mut AddContext<'_, I>,
    ) {
        self.rest_on(cx);
        let real = cx.populations.subscriber_of(conflict.receiver);
        let (victim, hash) = (cx.identity.pseudonym(real), cx.identity.hash64(real));
        let server = Party::of(conflict.sender, cx.populations, cx.identity);
        let server_prefix = match server {
            Party::Outside(address) => Party::Outside(network_of(address)),
            Party::Subscriber(population, pseudonym) => Party::Subscriber(population, network_of(pseudonym)),
        };
        let mut hashes = conflict.versions.map(|version| version.payload_hash).to_vec();
        hashes.dedup();
        for payload_hash in hashes {
            let key = InjectionKey { server_prefix, payload_hash };
            let injection = self.injections.entry(key, cx.limits.injections_max);
            count(&mut injection.conflicts, 1);
            injection.victims.add(hash);
        }
        let population = cx.populations.of(conflict.receiver);
        let record = ConflictRecord { community_id, ..ConflictRecord::of(conflict, server, victim, population) };
        self.conflicts.add(record);
    }

    fn add_lookup<I: SubscriberIdentity>(&mut self, lookup: &NameLookup, cx: &mut AddContext<'_, I>) {
        let client = cx.identity.hash64(cx.populations.subscriber_of(lookup.client));
        let resolver = Party::of(lookup.resolver, cx.populations, cx.identity);
        let summary = self.resolvers.entry(resolver, cx.limits.resolvers_max);
        summary.clients.add(client);
        count(&mut summary.bytes, lookup.message_bytes.into());
        let Some(rcode) = lookup.rcode else {
            return count(&mut summary.queries_unanswered, 1);
        };
        count(&mut summary.responses, 1);
        count(&mut summary.responses_with_address, u64::from(!lookup.answers.is_empty()));
        summary.rcodes.add(rcode);
        if lookup.answers.is_empty() {
            return;
        }
        let Some((name, _)) = self.texts.add_name(&lookup.name, cx.limits.texts_max) else { return };
        for answer in &lookup.answers {
            let party = Party::of(*answer, cx.populations, cx.identity);
            let known = self.answers.entry(party, cx.limits.answers_max);
            known.names.add(name);
            known.clients.add(client);
        }
    }

    fn add_export<I: SubscriberIdentity>(&mut self, export: &ExportDatagram, cx: &mut AddContext<'_, I>) {
        let [exporter, receiver] =
            [export.exporter, export.receiver].map(|address| Party::of(address, cx.populations, cx.identity));
        let key = ExportKey { kind: export.kind, exporter, receiver, port: export.port };
        let summary = self.exports.entry(key, cx.limits.exports_max);
        let totals = ExportTotals { datagrams: 1, bytes: export.bytes.into(), records: export.records.into() };
        summary.totals.merge(totals);
        summary.seen.merge(Seen::between(export.ts, export.ts));
        for end in export.endpoints.iter().flat_map(|(source, destination)| [*source, *destination]) {
            let hash = cx.identity.hash64(cx.populations.subscriber_of(end));
            summary.ends.add(hash);
            if let Some(population) = cx.populations.of(end) {
                summary.subscribers.entry(population).or_default().add(hash);
            }
        }
    }
}
