//! Collector summaries: what is known of one far party of one population.
//! In: flow rows between a subscriber and the far party. Out: counts, sketches and small sets that merge exactly.
//! Bounds: every part has its own; see the binary form for the greatest size. Not here: what it means (`profile`).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::facet::{Sample, Services};
use super::populations::PopulationIndex;
use super::sketch::{CountedSet, Distinct, LogHistogram, Merge, SketchKey, SparseCounts, VolumeSeries};
use super::span::{Seen, SpanClass};
use super::table::Weighed;
use super::texts::TextId;
use super::totals::{Totals, count};
use crate::packet::facts::AppProtocol;
use crate::simd::prefetch;
use crate::units::Address;

/// Codewords kept apart; higher ones are counted in `codewords_other`.
pub const CODEWORDS_MAX: u16 = 256;
/// Bins an octave of histograms over sizes and durations.
pub const SIZE_BITS: u32 = 2;
/// Bins an octave of histograms over gaps: 16, so that a bin is 6 % wide and a period shows.
pub const GAP_BITS: u32 = 4;
/// Longest gap told apart, in milliseconds: 2²⁷ ms are 37 hours.
pub const GAP_MS_MAX: u64 = 1 << 27;

/// Which collector, of which population's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CollectorKey {
    /// The population.
    pub population: PopulationIndex,
    /// The far party's address, as the packets have it.
    pub address: Address,
}

/// Where a service stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ServiceAt {
    /// At the collector: subscribers call it.
    Collector,
    /// At the subscriber: the far party calls in.
    Subscriber,
}

/// The port that answers, or would.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Service {
    /// IP protocol number.
    pub protocol: u8,
    /// The responder's port; zero where the protocol has none.
    pub port: u16,
    /// Which end it is at.
    pub at: ServiceAt,
}

impl SketchKey for Service {
    fn code(&self) -> u64 {
        u64::from(self.at == ServiceAt::Subscriber) << 24 | u64::from(self.protocol) << 16 | u64::from(self.port)
    }
}

impl SketchKey for AppProtocol {
    fn code(&self) -> u64 {
        *self as u64
    }
}

/// Sum and number of a feature's values in steps of 1/1024, so that means merge exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mean {
    sum_q10: u64,
    values: u64,
}

impl Mean {
    /// Adds a value; one that is negative or not finite counts as zero, the greatest step is 2²⁰.
    #[inline]
    pub fn add(&mut self, value: f32) {
        // `as` takes NaN and negative numbers to zero.
        count(&mut self.sum_q10, (value * 1024.0).min((1u64 << 30) as f32).round() as u64);
        count(&mut self.values, 1);
    }

    /// The mean; none without values.
    pub fn value(&self) -> Option<f64> {
        (self.values > 0).then(|| self.sum_q10 as f64 / 1024.0 / self.values as f64)
    }

    /// How many values it is the mean of.
    pub fn values(&self) -> u64 {
        self.values
    }
}

impl Merge for Mean {
    fn merge(&mut self, other: Self) {
        count(&mut self.sum_q10, other.sum_q10);
        count(&mut self.values, other.values);
    }
}

/// Everything a summary knows of one collector.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectorSummary {
    /// Rows, flows, packets and bytes, up from the subscribers.
    pub totals: Totals,
    /// First and last packet.
    pub seen: Seen,
    /// Subscribers, by keyed hash.
    pub subscribers: Distinct,
    /// Rows in which the responder sent payload, or TCP's handshake was completed, or both sides of a TCP flow met midway
    /// spoke without a reset.
    pub rows_answered: u64,
    /// Rows in which only one side sent packets.
    pub rows_one_way: u64,
    /// Flows that the collector began.
    pub flows_by_collector: u64,
    /// Rows of flows inside a tunnel.
    pub rows_carried: u64,
    /// Rows with a name that the client asked this collector for.
    pub rows_named: u64,
    /// Data bytes from the subscriber by row (see [`Totals::data_bytes`]), rows without any left out.
    pub upload_sizes: LogHistogram<SIZE_BITS>,
    /// Data bytes to the subscriber by row, rows without any left out.
    pub download_sizes: LogHistogram<SIZE_BITS>,
    /// Duration of rows, milliseconds.
    pub durations_ms: LogHistogram<SIZE_BITS>,
    /// Time between the beginnings of two flows of one subscriber, milliseconds from 1 to [`GAP_MS_MAX`].
    pub pair_gaps_ms: LogHistogram<GAP_BITS>,
    /// Entropy of the subscribers' payload sizes within a row, bits; rows with at least two payload packets.
    pub upload_size_entropy: Mean,
    /// Coefficient of variation of the gaps between the subscribers' packets; rows with at least three packets up.
    pub upload_gap_cv: Mean,
    /// Order changes between the sides, see `FlowColumns::turns`.
    pub turns: Mean,
    /// Rows by IP protocol number.
    pub protocols: CountedSet<u8, 8>,
    /// Rows by the port that answers.
    pub services: CountedSet<Service, 8>,
    /// Each service by itself, where there are a few.
    pub services_apart: Services,
    /// Some subscribers in time, where no services are apart; see [`Self::sample`].
    pub(super) sample: Sample,
    /// Rows by application protocol, where the bytes prove one.
    pub apps: CountedSet<AppProtocol, 8>,
    /// Rows by the name asked for (SNI, Host).
    pub names: CountedSet<TextId, 8>,
    /// Rows by that name's registrable domain.
    pub domains: CountedSet<TextId, 8>,
    /// Rows by the client's JA4.
    pub ja4: CountedSet<TextId, 8>,
    /// Rows by the fingerprint of the server's hello.
    pub server_fingerprints: CountedSet<u64, 8>,
    /// Rows by the certificate's issuer; the text is its RFC 4514 form.
    pub issuers: CountedSet<TextId, 8>,
    /// Rows by the hash of the certificate's key.
    pub certificate_keys: CountedSet<u64, 8>,
    /// Rows by flow codeword.
    pub codewords: SparseCounts,
    /// Rows whose codeword is [`CODEWORDS_MAX`] or more.
    pub codewords_other: u64,
    /// Volumes by slot.
    pub series: VolumeSeries,
}

// A size for which the allocator gives no more than is asked for; the next one is 896.
const _: () = assert!(size_of::<CollectorSummary>() <= 768);

impl CollectorSummary {
    /// The same in coarser slots.
    pub(super) fn rollup(&mut self, from: SpanClass, to: SpanClass) {
        self.series.rollup(from, to);
    }

    /// Some subscribers in time. Where services are apart, each follows its own, and these are put together here.
    pub fn sample(&self) -> Cow<'_, Sample> {
        self.services_apart.sample().map_or(Cow::Borrowed(&self.sample), Cow::Owned)
    }

    /// One of which no more is known than whom it follows.
    #[cfg(test)]
    pub(crate) fn following(sample: Sample) -> Self {
        Self { sample, ..Self::default() }
    }

    /// Starts bringing near what a row of this subscriber touches outside the record itself.
    pub(super) fn fetch_parts(&self, subscriber: u64) {
        self.subscribers.fetch(subscriber);
        self.sample.fetch();
        self.series.fetch();
    }

    /// Keeps the most frequent members of every small set.
    pub(super) fn bound(&mut self) {
        self.protocols.bound();
        self.services.bound();
        self.apps.bound();
        self.names.bound();
        self.domains.bound();
        self.ja4.bound();
        self.server_fingerprints.bound();
        self.issuers.bound();
        self.certificate_keys.bound();
        self.series.bound();
    }

    /// Texts that it refers to.
    pub(super) fn texts(&self) -> impl Iterator<Item = TextId> + '_ {
        let sets = [&self.names, &self.domains, &self.ja4, &self.issuers];
        sets.into_iter().flat_map(|set| set.iter().map(|(id, _)| id))
    }
}

impl Merge for CollectorSummary {
    fn merge(&mut self, mut other: Self) {
        self.services_apart = Services::joined(self, &mut other);
        // Taken apart, so that a new field cannot be forgotten.
        let Self {
            totals,
            seen,
            subscribers,
            rows_answered,
            rows_one_way,
            flows_by_collector,
            rows_carried,
            rows_named,
            upload_sizes,
            download_sizes,
            durations_ms,
            pair_gaps_ms,
            upload_size_entropy,
            upload_gap_cv,
            turns,
            protocols,
            services,
            services_apart: _, // joined above, while both were whole
            sample,
            apps,
            names,
            domains,
            ja4,
            server_fingerprints,
            issuers,
            certificate_keys,
            codewords,
            codewords_other,
            series,
        } = other;
        self.totals.merge(totals);
        self.seen.merge(seen);
        self.subscribers.merge(subscribers);
        count(&mut self.rows_answered, rows_answered);
        count(&mut self.rows_one_way, rows_one_way);
        count(&mut self.flows_by_collector, flows_by_collector);
        count(&mut self.rows_carried, rows_carried);
        count(&mut self.rows_named, rows_named);
        self.upload_sizes.merge(upload_sizes);
        self.download_sizes.merge(download_sizes);
        self.durations_ms.merge(durations_ms);
        self.pair_gaps_ms.merge(pair_gaps_ms);
        self.upload_size_entropy.merge(upload_size_entropy);
        self.upload_gap_cv.merge(upload_gap_cv);
        self.turns.merge(turns);
        self.protocols.merge(protocols);
        self.services.merge(services);
        self.sample.merge(sample);
        self.apps.merge(apps);
        self.names.merge(names);
        self.domains.merge(domains);
        self.ja4.merge(ja4);
        self.server_fingerprints.merge(server_fingerprints);
        self.issuers.merge(issuers);
        self.certificate_keys.merge(certificate_keys);
        self.codewords.merge(codewords);
        count(&mut self.codewords_other, codewords_other);
        self.series.merge(series);
    }
}

impl Weighed for CollectorSummary {
    type Others = Totals;

    /// Bytes, and much for every further subscriber: a scan of many addresses by one host must not push out who listens
    /// to many subscribers, nor who takes much from one.
    fn weight(&self) -> u64 {
        let further = self.subscribers.count().saturating_sub(1);
        self.totals.bytes().saturating_add(further.saturating_mul(1 << 16)).saturating_add(self.totals.rows)
    }

    fn to_others(&self) -> Totals {
        self.totals
    }

    fn fetch_weight(&self) {
        prefetch::lines(&self.totals, 2);
        prefetch::lines(&self.subscribers, 1);
    }
}
