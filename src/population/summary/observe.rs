//! Observations into a summary.
//! In: contested segments, DNS messages, flow exports. Out: counts, and the records that a report needs.
//! Bounds: as the tables'. Not here: the Community ID of a conflict, see `conflict`.

use super::{AddContext, Summary};
use crate::flow::observation::{Forgery, Observation, SegmentConflict};
use crate::packet::columns::ExportDatagram;
use crate::packet::facts::NameLookup;
use crate::population::answered::{AnsweredKey, Bearing, Given};
use crate::population::carrier::{ExportKey, ExportTotals};
use crate::population::conflict::{ConflictRecord, InjectionKey, network_of};
use crate::population::forgery::{ForgedVersion, ForgeryRecord};
use crate::population::identity::{Party, SubscriberIdentity};
use crate::population::populations::PopulationIndex;
use crate::population::sketch::Merge;
use crate::population::span::Seen;
use crate::population::texts::{TextId, Texts};
use crate::population::totals::count;
use crate::population::zones::{Below, NO_DOMAIN, SampledName, Zone, ZoneKey, reverse_zone, reversed};
use crate::units::Address;

/// Response code NXDOMAIN (RFC 1035 section 4.1.1).
const NAME_ERROR: u8 = 3;

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
                Observation::Forgery(forgery) => self.add_forgery(forgery, cx),
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

    fn add_forgery<I: SubscriberIdentity>(&mut self, forgery: &Forgery, cx: &mut AddContext<'_, I>) {
        let victim = cx.identity.pseudonym(cx.populations.subscriber_of(forgery.receiver));
        let server = answering(forgery.sender, cx);
        let population = cx.populations.of(forgery.receiver);
        let versions = forgery
            .versions
            .map(|version| ForgedVersion::of(version, |address| Party::of(address, cx.populations, cx.identity)));
        self.forgeries.add(ForgeryRecord::of(forgery, versions, server, victim, population));
    }

    fn add_lookup<I: SubscriberIdentity>(&mut self, lookup: &NameLookup, cx: &mut AddContext<'_, I>) {
        let (asker, client) = cx.identity.both(cx.populations.subscriber_of(lookup.client));
        let resolver = answering(lookup.resolver, cx);
        let population = cx.populations.of(lookup.client);
        let name = Texts::id_of(&lookup.name);
        if let Some(population) = population {
            self.add_to_zone((lookup, name), population, (asker, client), resolver, cx);
        }
        let summary = self.resolvers.entry(resolver, cx.limits.resolvers_max);
        summary.clients.add(client);
        if population.is_some() && matches!(resolver, Party::Subscriber(..)) {
            summary.inside.add(lookup.resolver);
        }
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
        let Some((name, _)) = self.texts.add_name_under(name, &lookup.name, cx.limits.texts_max) else { return };
        for answer in &lookup.answers {
            let party = Party::of(*answer, cx.populations, cx.identity);
            let known = self.answers.entry(party, cx.limits.answers_max);
            known.names.add(name);
            known.clients.add(client);
        }
        if let Some(population) = population {
            let key = AnsweredKey { population, name };
            let answered = self.answered.entry(key, cx.limits.answered_max);
            count(&mut answered.responses, 1);
            let bearing = match (lookup.aliases, lookup.answers.len()) {
                (0, 1) => Bearing::Bare,
                (0, _) => Bearing::Several,
                _ => Bearing::Dressed,
            };
            for answer in &lookup.answers {
                let address = Party::of(*answer, cx.populations, cx.identity);
                answered.given.add(Given::new(resolver, address, bearing));
            }
        }
    }

    /// Files a message under the registrable domain that it asks for.
    fn add_to_zone<I: SubscriberIdentity>(
        &mut self,
        (lookup, name): (&NameLookup, TextId),
        population: PopulationIndex,
        (asker, client): (Address, u64),
        resolver: Party,
        cx: &mut AddContext<'_, I>,
    ) {
        let texts_max = cx.limits.texts_max;
        let (zone, below) = match Zone::of(&lookup.name) {
            Zone::Local => {
                // Neighbours' names are their addresses.
                let address = reversed(&lookup.name).filter(|bytes| cx.populations.of(Address(*bytes)).is_none());
                let Some(text) = address.and_then(reverse_zone) else { return };
                (self.texts.add_text(&text, texts_max), Below::OF_REVERSE)
            }
            Zone::Domain(domain, labels) => (self.texts.add_text(domain, texts_max), Below::of(labels)),
            Zone::Stray => {
                let text = format!("{NO_DOMAIN}{}", resolver.shown());
                (self.texts.add_text(&text, texts_max), Below::of(&lookup.name))
            }
        };
        let summary = self.zones.entry(ZoneKey { population, zone }, cx.limits.zones_max);
        let side = usize::from(lookup.rcode.is_some());
        count(&mut summary.bytes[side], lookup.message_bytes.into());
        summary.clients.add(client);
        summary.client_sample.add(asker);
        summary.resolvers.add(resolver);
        summary.qtypes.add(lookup.qtype);
        summary.seen.merge(Seen::between(lookup.ts, lookup.ts));
        let within = cx.populations.of(lookup.resolver.untranslated()).is_some();
        count(&mut summary.messages_within, within.into());
        if below.bytes > 0 {
            let sampled = SampledName { bytes: below.bytes, form: below.form, asker, shared: false, within };
            summary.names.add(name.0, sampled);
        }
        match lookup.rcode {
            None => count(&mut summary.queries, 1),
            Some(rcode) => {
                let verdict = |address: &Address| matches!(address.as_v4(), Some([127, ..]));
                let has_address = !lookup.answers.is_empty();
                let is_verdict = has_address && lookup.answers.iter().all(verdict);
                count(&mut summary.responses, 1);
                count(&mut summary.responses_with_address, u64::from(has_address));
                count(&mut summary.responses_loopback, u64::from(is_verdict));
                count(&mut summary.responses_no_name, u64::from(rcode == NAME_ERROR));
                count(&mut summary.free_bytes, lookup.free_bytes.into());
            }
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

/// Who answers: a resolver that the policy names is no subscriber while it does, wherever it stands.
fn answering<I: SubscriberIdentity>(address: Address, cx: &mut AddContext<'_, I>) -> Party {
    match cx.populations.is_resolver(address) {
        true => Party::Outside(address.untranslated()),
        false => Party::of(address, cx.populations, cx.identity),
    }
}
