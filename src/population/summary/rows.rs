//! Flow rows into a summary.
//! In: columns, and a codeword for each row where there is a codebook. Out: counts in every table that a row concerns.
//! Bounds: a full table makes room, see `table`. This runs once a row: no allocation but for new entries.

use std::num::NonZeroU64;

use super::ahead::{Parties, ROWS_AHEAD, fetch_facts, fetch_texts, name_asked};
use super::{AddContext, Copies, Summary};
use crate::flow::row::{ConnState, FlowColumns, SIZE_BINS};
use crate::packet::facts::{AppFacts, AppProtocol, CERT_NAMES_MAX, CertificateFacts};
use crate::population::carrier::{self, CarrierKey};
use crate::population::collector::{CODEWORDS_MAX, CollectorKey, CollectorSummary, GAP_MS_MAX, Service, ServiceAt};
use crate::population::conflict::{network_of, wide_network_of};
use crate::population::facet::{DomainKey, FacetRow, Moment, Services};
use crate::population::hellos::{HelloMark, Listener, QuestionKey};
use crate::population::identity::{Party, SubscriberIdentity, keyed_tuple};
use crate::population::pace::PaceRange;
use crate::population::pair::{PairKey, SubscriberKey};
use crate::population::populations::PopulationIndex;
use crate::population::role::Role;
use crate::population::served::{SERVED_OPEN_MAX, ServedKey};
use crate::population::servers::{ServerKey, ServerMark};
use crate::population::sketch::volume_series::SlotRange;
use crate::population::sketch::{Merge, Volume};
use crate::population::span::Seen;
use crate::population::texts::{TextId, Texts};
use crate::population::totals::{Totals, count};
use crate::units::{Address, DurationNs, Side, TimestampNs};

/// IP protocol number of TCP.
const TCP: u8 = 6;
/// Registrable domains, near enough, from which on a certificate that names them is shared among owners.
const OWNERS_OF_SHARED: usize = 3;

/// A row between a subscriber and a far party.
struct Exchange<'a> {
    rows: &'a FlowColumns,
    i: usize,
    population: PopulationIndex,
    /// The subscriber's side.
    up: Side,
    codeword: Option<u16>,
    totals: Totals,
    seen: Seen,
}

impl Summary {
    /// Adds rows. `codewords` has one for each row, or none at all where there is no codebook.
    ///
    /// # Panics
    /// Where `codewords` has another length, or the summary was begun under another policy or key: both are the caller's.
    pub fn add_rows<I: SubscriberIdentity>(
        &mut self,
        rows: &FlowColumns,
        codewords: &[u16],
        cx: &mut AddContext<'_, I>,
    ) {
        assert!(codewords.is_empty() || codewords.len() == rows.len(), "one codeword a row, or none");
        if rows.is_empty() {
            return;
        }
        self.rest_on(cx);
        let mut hashes = std::mem::take(&mut self.hashes);
        hashes.clear();
        let native = (0..rows.len()).filter(|&i| rows.carrier[i].is_none());
        hashes.extend(native.map(|i| keyed_tuple(rows.tuple_hash[i], cx.identity)));
        self.native.tuples.add_all(&mut hashes);
        self.hashes = hashes;
        let range = SlotRange::of(self.span, self.class);
        let fine = PaceRange::of(self.span, self.class);
        let mut ahead = [Parties::default(); ROWS_AHEAD];
        fetch_facts(rows, 0..ROWS_AHEAD);
        for start in (0..rows.len()).step_by(ROWS_AHEAD) {
            let end = rows.len().min(start + ROWS_AHEAD);
            fetch_texts(rows, start..end);
            fetch_facts(rows, end..end + ROWS_AHEAD);
            for i in start..end {
                ahead[i - start] = self.look_ahead(rows, i, cx);
            }
            ahead[..end - start].iter().for_each(|parties| self.look_closer(parties));
            ahead[..end - start].iter().for_each(|parties| self.look_further(parties));
            for i in start..end {
                self.add_row((rows, i), codewords.get(i).copied(), (&range, &fine), &ahead[i - start], cx);
            }
        }
    }

    fn add_row<I: SubscriberIdentity>(
        &mut self,
        (rows, i): (&FlowColumns, usize),
        codeword: Option<u16>,
        (range, fine): (&SlotRange, &PaceRange),
        parties: &Parties,
        cx: &mut AddContext<'_, I>,
    ) {
        let seen = Seen::between(rows.ts_first[i], rows.ts_last[i]);
        self.seen.merge(seen);
        let ends = parties.ends;
        let is_copy = match &rows.carrier[i] {
            Some(carrier) => {
                self.add_carrier(rows, i, cx);
                self.copies == Copies::Leave && carrier::is_copy(carrier)
            }
            None => {
                count(&mut self.native.rows, 1);
                let packets = u64::from(rows.sides[0].packets[i]) + u64::from(rows.sides[1].packets[i]);
                count(&mut self.native.packets, packets);
                false
            }
        };
        if is_copy {
            return self.roles.copies.merge(Totals::of_row(rows, i, Side::Orig));
        }
        let role = parties.role;
        self.paces.add((rows, i), ends, role, fine, (cx.populations, &mut *cx.identity));
        match role {
            Role::Collect { population, subscriber: up } => {
                let totals = Totals::of_row(rows, i, up);
                self.roles.collect.merge(totals);
                let exchange = Exchange { rows, i, population, up, codeword, totals, seen };
                self.add_exchange(&exchange, parties, range, cx);
            }
            Role::Internal => {
                let totals = Totals::of_row(rows, i, Side::Orig);
                self.roles.internal.merge(totals);
                let is_question = is_answered(rows, i) && is_dns(rows, i) && totals.flows > 0;
                for (end, is_asker) in ends.into_iter().zip([is_question, false]) {
                    let Some(population) = cx.populations.of(end) else { continue };
                    let of = cx.populations.subscriber_of(end);
                    let hash = cx.identity.hash64(of);
                    self.populations.entry(population).or_default().active.add(hash);
                    // Its work with its own servers is what it does, too.
                    let key = SubscriberKey { population, subscriber: cx.identity.pseudonym(of) };
                    let one = self.subscribers.entry(key, cx.limits.subscribers_max);
                    one.line.add_over(seen.first, seen.last, u32::from(totals.flows > 0), totals.moved());
                    if is_asker {
                        one.asked_inside.add(seen);
                    }
                }
            }
            Role::Transit => self.roles.transit.merge(Totals::of_row(rows, i, Side::Orig)),
            Role::Special => self.roles.special.merge(Totals::of_row(rows, i, Side::Orig)),
        }
    }

    fn add_exchange<I: SubscriberIdentity>(
        &mut self,
        x: &Exchange<'_>,
        parties: &Parties,
        range: &SlotRange,
        cx: &mut AddContext<'_, I>,
    ) {
        let address = parties.ends[x.up.other().index()];
        let ((subscriber, hash), far_hash) = (parties.subscriber, parties.far_hash);
        let population = x.population;
        let volume = Volume {
            bytes_up: x.totals.bytes_up(),
            bytes_down: x.totals.bytes_down(),
            flows: u32::from(x.totals.flows > 0),
        };

        let whole = self.populations.entry(population).or_default();
        whole.totals.merge(x.totals);
        whole.active.add(hash);
        whole.collectors.add(far_hash);
        whole.series.add(volume, x.seen, range);
        if x.rows.address(x.i, x.up.other()) != address {
            whole.translated.add(address);
        }

        let collector = self.collectors.entry(CollectorKey { population, address }, cx.limits.collectors_max);
        let at = if x.up == Side::Orig { ServiceAt::Collector } else { ServiceAt::Subscriber };
        let service = Service { protocol: x.rows.key[x.i].protocol, port: x.rows.port(x.i, Side::Resp), at };
        let flows = u32::from(x.totals.flows > 0);
        // A TCP flow met midway is an old connection that spoke up again: nobody called.
        let is_call = service.protocol != TCP || x.rows.sides[Side::Orig.index()].syn[x.i] > 0;
        let begun = flows * u32::from(is_call);
        let moment = Moment { hash, subscriber, seen: x.seen, flows: begun, moved: x.totals.moved() };
        let row = FacetRow { totals: x.totals, seen: x.seen, answered: is_answered(x.rows, x.i), moment };
        match Services::facet(collector, Services::kind_of(service)) {
            Some(facet) => facet.add(&row),
            None => collector.sample.add(&moment),
        }
        collector.subscribers.add(hash);
        collector.series.add(volume, x.seen, range);
        collector.add(x, service, row.answered);
        if let Some(facts) = &x.rows.facts[x.i] {
            let asked = collector.add_facts(facts, x.up, parties.asked, &mut self.texts, cx.limits.texts_max);
            if let Some((_, domain)) = asked {
                let domain = self.domains.entry(DomainKey { population, domain }, cx.limits.domains_max);
                domain.add(&row, service, address);
            }
            if x.up == Side::Orig {
                self.add_server(facts, asked, x, (address, subscriber, hash), cx);
            }
        }

        let pair = self.pairs.entry(PairKey { population, collector: address, subscriber }, cx.limits.pairs_max);
        pair.totals.merge(x.totals);
        pair.seen.merge(x.seen);
        if x.totals.flows > 0 {
            pair.begun.merge(Seen::between(x.seen.first, x.seen.first));
        }
        pair.upload_row_max = pair.upload_row_max.max(x.totals.bytes_up());
        count(&mut pair.rows_established, u64::from(is_established(x.rows, x.i)));
        pair.mark(x.seen.first);

        if x.up == Side::Resp && is_answered(x.rows, x.i) {
            self.add_served(x, subscriber, address);
        }
        let one = self.subscribers.entry(SubscriberKey { population, subscriber }, cx.limits.subscribers_max);
        one.totals.merge(x.totals);
        one.seen.merge(x.seen);
        one.collectors.add(far_hash);
        one.line.add_over(x.seen.first, x.seen.last, flows, x.totals.moved());
    }

    /// A subscriber was asked and answered.
    fn add_served(&mut self, x: &Exchange<'_>, server: Address, asker: Address) {
        let (protocol, port) = (x.rows.key[x.i].protocol, x.rows.port(x.i, Side::Resp));
        let key = ServedKey { population: x.population, server, protocol, port, asker };
        let served = self.served.entry(key, SERVED_OPEN_MAX);
        // The handshake's turns ask for nothing.
        let is_secret = |facts: &AppFacts| matches!(facts.protocol, Some(AppProtocol::Tls | AppProtocol::Quic));
        let greeted = x.totals.flows > 0 && x.rows.facts[x.i].as_deref().is_some_and(is_secret);
        let turns = x.rows.turns[x.i].saturating_sub(if greeted { 2 } else { 0 });
        served.add(x.totals, turns, x.rows.pair_gap[x.i], x.seen, self.class);
        if let Some(ja4) = x.rows.facts[x.i].as_ref().and_then(|facts| facts.ja4.as_ref()) {
            // The collector's set has entered the text already.
            served.ja4.add(TextId::of(ja4));
        }
    }

    /// What the server of a TLS flow showed of itself, asked for by a name and its domain.
    fn add_server<I: SubscriberIdentity>(
        &mut self,
        facts: &AppFacts,
        asked: Option<(TextId, TextId)>,
        x: &Exchange<'_>,
        (address, subscriber, hash): (Address, Address, u64),
        cx: &mut AddContext<'_, I>,
    ) {
        let certificate = facts.certificate.as_deref();
        let marks = [
            certificate.map(|shown| (ServerMark::Key, shown.key_hash)),
            certificate.map(|shown| (ServerMark::Issuer, shown.issuer_hash)),
            facts.server_fingerprint.map(|hello| (ServerMark::Hello, hello)),
            is_sealed(facts).then_some((ServerMark::Sealed, 0)),
        ];
        if marks.iter().all(Option::is_none) {
            return;
        }
        let offers_13 = facts.ja4.as_deref().is_some_and(|ja4| ja4.get(1..3) == Some("13"));
        let is_over_tcp = facts.ja4.as_deref().is_some_and(|ja4| ja4.starts_with('t'));
        let subject = certificate.map(|shown| TextId::of(&shown.subject).0);
        let network = cx.identity.hash64(wide_network_of(address));
        let is_shared = offers_13 && certificate.is_some_and(|shown| is_of_many(shown, facts.server_name.as_deref()));
        for (mark, id) in marks.into_iter().flatten() {
            let key = ServerKey { population: x.population, mark, id };
            let server = self.servers.entry(key, cx.limits.servers_max);
            count(&mut server.rows, 1);
            count(&mut server.rows_young, u64::from(certificate.is_some_and(|shown| is_young(shown, x.seen.first))));
            server.subscribers.add(hash);
            server.subscriber_sample.add(subscriber);
            server.networks.add(network);
            server.addresses.add(address);
            server.seen.merge(x.seen);
            if let Some((name, domain)) = asked {
                server.domains.add(domain.0);
                server.domain_sample.add(domain);
                // Over TCP: what answers over QUIC is another server, and is never asked for less.
                let is_compared = mark == ServerMark::Sealed || mark == ServerMark::Issuer && !is_shared;
                if is_compared && offers_13 && is_over_tcp {
                    server.names.add(name.0);
                }
                if mark == ServerMark::Issuer {
                    server.shown.add(name.0);
                }
            }
            if let Some(subject) = subject {
                server.subjects.add(subject);
            }
        }
        if let Some((name, domain)) = asked
            && let (Some(_), Some(version)) = (facts.server_fingerprint, facts.tls_version)
            && let Some(offer) = facts.hello_offer
        {
            let key = QuestionKey { population: x.population, name, network: network_of(address), offer: offer.get() };
            let question = self.hellos.entry(key, cx.limits.hellos_max);
            let hello = HelloMark { choice: facts.server_choice.map_or(0, NonZeroU64::get), version };
            question.add(domain, address, hello, Listener { hash, subscriber }, x.seen);
        }
    }

    fn add_carrier<I: SubscriberIdentity>(&mut self, rows: &FlowColumns, i: usize, cx: &mut AddContext<'_, I>) {
        let Some(carrier) = &rows.carrier[i] else { return };
        let ends = [Side::Orig, Side::Resp].map(|side| rows.address(i, side).untranslated());
        let outer = carrier.outer.map(|address| Party::of(address, cx.populations, cx.identity));
        let summary = self.carriers.entry(CarrierKey { kind: carrier.kind, outer }, cx.limits.carriers_max);
        let seen = Seen::between(rows.ts_first[i], rows.ts_last[i]);
        summary.add(carrier, u64::from(rows.row_number[i] == 0), seen);
        summary.tuples.add(keyed_tuple(rows.tuple_hash[i], cx.identity));
        for end in ends {
            let hash = cx.identity.hash64(cx.populations.subscriber_of(end));
            summary.ends.add(hash);
            if let Some(population) = cx.populations.of(end) {
                summary.subscribers.entry(population).or_default().add(hash);
            }
        }
    }
}

impl CollectorSummary {
    fn add(&mut self, x: &Exchange<'_>, service: Service, answered: bool) {
        let Exchange { rows, i, up, .. } = *x;
        let [upward, downward] = [&rows.sides[up.index()], &rows.sides[up.other().index()]];
        self.totals.merge(x.totals);
        self.seen.merge(x.seen);
        count(&mut self.rows_answered, u64::from(answered));
        count(&mut self.rows_one_way, u64::from(upward.packets[i] == 0 || downward.packets[i] == 0));
        count(&mut self.flows_by_collector, if up == Side::Resp { x.totals.flows } else { 0 });
        count(&mut self.rows_carried, u64::from(rows.carrier[i].is_some()));
        for (sizes, bytes) in [&mut self.upload_sizes, &mut self.download_sizes].into_iter().zip(x.totals.data_bytes) {
            if bytes > 0 {
                sizes.add(bytes);
            }
        }
        self.durations_ms.add(x.seen.length().0 / 1_000_000);
        let gap = rows.pair_gap[i];
        if gap > DurationNs::ZERO {
            self.pair_gaps_ms.add((gap.0 / 1_000_000).clamp(1, GAP_MS_MAX));
        }
        if upward.payload_packets[i] >= 2 {
            self.upload_size_entropy.add(entropy_bits(&upward.size_bins[i]));
        }
        let gaps = upward.packets[i].saturating_sub(1);
        if gaps >= 2 {
            self.upload_gap_cv.add(variation(gaps, upward.gap_sum_ns[i], upward.gap_square_sum_s2[i]));
        }
        self.turns.add(rows.turns[i] as f32);
        self.protocols.add(service.protocol);
        self.services.add(service);
        match x.codeword {
            Some(codeword) if codeword < CODEWORDS_MAX => self.codewords.add(codeword),
            Some(_) => count(&mut self.codewords_other, 1),
            None => {}
        }
    }

    /// Gives the name that the row asked the collector for, and its registrable domain; `asked` is that name's id.
    fn add_facts(
        &mut self,
        facts: &AppFacts,
        up: Side,
        asked: Option<TextId>,
        texts: &mut Texts,
        texts_max: usize,
    ) -> Option<(TextId, TextId)> {
        if let Some(protocol) = facts.protocol {
            self.apps.add(protocol);
        }
        if let Some(ja4) = &facts.ja4 {
            self.ja4.add(texts.add_text(ja4, texts_max));
        }
        // The rest speaks of the responder: it is the collector's only where the subscriber called.
        if up != Side::Orig {
            return None;
        }
        let asked = name_asked(facts).zip(asked).and_then(|(name, id)| texts.add_name_under(id, name, texts_max));
        if let Some((name, domain)) = asked {
            count(&mut self.rows_named, 1);
            self.names.add(name);
            self.domains.add(domain);
        }
        if let Some(fingerprint) = facts.server_fingerprint {
            self.server_fingerprints.add(fingerprint);
        }
        if let Some(certificate) = &facts.certificate {
            self.issuers.add(texts.add_under(TextId(certificate.issuer_hash), &certificate.issuer, texts_max));
            self.certificate_keys.add(certificate.key_hash);
        }
        asked
    }
}

/// Whether a server answered with TLS 1.3.
fn is_sealed(facts: &AppFacts) -> bool {
    facts.tls_version == Some(0x0304) && facts.server_fingerprint.is_some() && facts.certificate.is_none()
}

/// Whether a certificate stands for the sites of several owners, the one asked for among them: a CDN has such ones on a part of its
/// servers, and who opens what others send makes one for each name. Of more names than are kept the one asked for may be left out.
fn is_of_many(shown: &CertificateFacts, asked: Option<&str>) -> bool {
    fn owner(name: &str) -> &str {
        &name[name.rmatch_indices('.').nth(1).map_or(0, |(at, _)| at + 1)..]
    }
    let is_first = |at: &usize| !shown.names[..*at].iter().any(|name| owner(name) == owner(&shown.names[*at]));
    let owners = (0..shown.names.len()).filter(is_first).count();
    let stands_for = |asked: &str| {
        let parent = asked.split_once('.').map(|(_, parent)| parent);
        let is = |name: &str| name == asked || name.strip_prefix("*.").is_some_and(|of| Some(of) == parent);
        shown.names.iter().any(|name| is(name))
    };
    owners >= OWNERS_OF_SHARED && (shown.names.len() >= CERT_NAMES_MAX || asked.is_some_and(stands_for))
}

/// Whether a certificate had begun to be valid less than two days before it was shown.
fn is_young(shown: &CertificateFacts, at: TimestampNs) -> bool {
    let at_s = at.0 / 1_000_000_000;
    shown.valid_from_s > 0 && at_s.saturating_sub(shown.valid_from_s) < 2 * 86_400
}

/// Whether TCP's handshake was completed, as the state tells it.
fn is_established(rows: &FlowColumns, i: usize) -> bool {
    use ConnState::{RSTO, RSTR, S1, S2, S3, SF};
    rows.key[i].protocol == TCP && matches!(rows.state[i], S1 | SF | S2 | S3 | RSTO | RSTR)
}

fn is_dns(rows: &FlowColumns, i: usize) -> bool {
    rows.facts[i].as_deref().is_some_and(|facts| facts.protocol == Some(AppProtocol::Dns))
}

/// Whether the far side took part: it sent payload as the responder, or completed the handshake, or, in a TCP flow met
/// midway, sent anything but resets.
fn is_answered(rows: &FlowColumns, i: usize) -> bool {
    let [orig, resp] = &rows.sides;
    let midway = || {
        rows.key[i].protocol == TCP
            && rows.state[i] == ConnState::OTH
            && orig.packets[i] > 0
            && resp.packets[i] > u32::from(resp.rst[i])
    };
    resp.payload_bytes[i] > 0 || is_established(rows, i) || midway()
}

/// Entropy of a packet size histogram, 0 to log2(12) bits. `libm`, because the standard library's logarithm may differ
/// between machines and the sum must not.
fn entropy_bits(bins: &[u16; SIZE_BINS]) -> f32 {
    let total: u32 = bins[1..].iter().map(|n| u32::from(*n)).sum(); // bin 0: packets without payload
    if total == 0 {
        return 0.0;
    }
    let sum: f32 = bins[1..].iter().filter(|n| **n > 0).map(|n| f32::from(*n) * libm::log2f(f32::from(*n))).sum();
    (libm::log2f(total as f32) - sum / total as f32).max(0.0)
}

/// Coefficient of variation of gaps from their sum and sum of squares; 0 where there is no time in them.
fn variation(gaps: u32, sum_ns: u64, square_sum_s2: f32) -> f32 {
    let sum_s = sum_ns as f64 / 1e9;
    if sum_ns == 0 || !square_sum_s2.is_finite() {
        return 0.0;
    }
    (f64::from(gaps) * f64::from(square_sum_s2) / (sum_s * sum_s) - 1.0).max(0.0).sqrt() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_of_many_owners_is_no_mints() {
        let many = ["a.example", "*.b.example", "c.example"];
        let table: [(&str, &[&str], &str, bool); 6] = [
            ("one of its names", &many, "c.example", true),
            ("below one of its names", &many, "www.b.example", true),
            ("none of its names", &many, "d.example", false),
            ("two levels below", &many, "x.www.b.example", false),
            ("one owner's", &["a.example", "www.a.example", "*.a.example"], "a.example", false),
            ("more than are kept", &["a.x", "b.x", "c.x", "d.x", "e.x", "f.x", "g.x", "h.x"], "z.x", true),
        ];
        for (name, names, asked, wanted) in table {
            let names = names.iter().map(|name| (*name).into()).collect();
            let shown = CertificateFacts { names, ..CertificateFacts::default() };
            assert_eq!(is_of_many(&shown, Some(asked)), wanted, "{name}");
        }
    }
}
