//! The summary of one span: everything that leaves a worker.
//! In: flow rows, codewords, observations. Out: a value that merges (see the law in the room's `mod.rs`).
//! Bounds: [`SummaryLimits`]; greatest binary size in [`SummaryLimits::bytes_max`].
//! Time: packet timestamps only. Subscribers stand in it by pseudonym and keyed hash only.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::answered::{Answered, AnsweredKey};
use super::carrier::{CarrierKey, CarrierSummary, ExportKey, ExportSummary, Native};
use super::collector::{CollectorKey, CollectorSummary};
use super::conflict::{Conflicts, InjectionKey, InjectionSummary};
use super::earliest::Earliest;
use super::facet::{DomainKey, DomainSummary};
use super::forgery::ForgeryRecord;
use super::hellos::{Question, QuestionKey};
use super::identity::{Party, SubscriberIdentity, mark};
use super::limits::{LimitHits, SummaryLimits};
use super::pace::{BUSY_MAX, Paces, STREAMS_MAX};
use super::pair::{PairKey, PairSummary, SubscriberKey, SubscriberSummary};
use super::populations::{PopulationIndex, Populations};
use super::resolved::{AnswerNames, ResolverSummary};
use super::served::{SERVED_MAX, Served, ServedKey};
use super::servers::{ServerKey, ServerSummary};
use super::sketch::{Distinct, Least, Merge, VolumeSeries};
use super::span::{Seen, Span, SpanClass};
use super::table::Bounded;
use super::texts::{TextId, Texts};
use super::totals::Totals;
use super::zones::{ZoneKey, ZoneSummary};
use crate::units::{Address, TimestampNs};

mod ahead;
mod observe;
mod rows;
mod union;
mod united;

pub use union::Room;

/// Windows told apart, the earliest ones: a day of half-minute windows.
pub const WINDOWS_MAX: usize = 2880;

/// What rows and observations are added with: whose subscribers, under which key, how many.
#[derive(Debug)]
pub struct AddContext<'a, I> {
    /// Who is protected.
    pub populations: &'a Populations,
    /// Who makes pseudonyms.
    pub identity: &'a mut I,
    /// How large the summary may grow.
    pub limits: &'a SummaryLimits,
}

/// What inner flows of a mirror count as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Copies {
    /// Nobody's volume: the traffic itself flows elsewhere, and would count twice. Their carrier counts them.
    #[default]
    Leave,
    /// Traffic like any other: right where the capture is fed by a mirror and the copies are all there is to see.
    Count,
}

/// What a summary rests on. Zero stands for nothing yet; two that differ do not merge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// [`Populations::fingerprint`].
    pub populations: u64,
    /// Tells pseudonym keys apart.
    pub identity: u64,
    /// The codebook that the codewords come from, as the caller names it.
    pub codebook: u64,
}

/// Why two summaries do not merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these summaries rest on different {what} ({mine:016x} and {theirs:016x}); make both under the same ones")]
pub struct MergeError {
    /// What differs.
    pub what: &'static str,
    /// Of the summary that was to take the other in.
    pub mine: u64,
    /// Of the other.
    pub theirs: u64,
}

/// Parties that are known to be called through a translator, the most.
const TRANSLATED_KEPT: usize = 1024;

/// What a summary knows of one population.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PopulationSummary {
    /// Rows between subscribers and parties outside.
    pub totals: Totals,
    /// Subscribers that took part in any row, inside or outside; by keyed hash.
    pub active: Distinct,
    /// Far parties, by keyed hash.
    pub collectors: Distinct,
    /// Volumes with parties outside.
    pub series: VolumeSeries,
    /// Some of the parties that were called through a translator's well-known prefix (see [`Address::untranslated`]).
    pub translated: Least<Address, TRANSLATED_KEPT>,
}

impl Merge for PopulationSummary {
    fn merge(&mut self, other: Self) {
        let Self { totals, active, collectors, series, translated } = other;
        self.totals.merge(totals);
        self.active.merge(active);
        self.collectors.merge(collectors);
        self.series.merge(series);
        self.translated.merge(translated);
    }
}

/// Totals by role. The sum over all is the sum over rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleTotals {
    /// Between a subscriber and a party outside.
    pub collect: Totals,
    /// Between members of populations.
    pub internal: Totals,
    /// Between parties outside.
    pub transit: Totals,
    /// With an end that is no party of its own.
    pub special: Totals,
    /// Copies of traffic inside a tunnel: nobody's volume, counted with its carrier.
    pub copies: Totals,
}

impl RoleTotals {
    /// Over all roles.
    pub fn all(&self) -> Totals {
        let mut sum = self.collect;
        [self.internal, self.transit, self.special, self.copies].into_iter().for_each(|t| sum.merge(t));
        sum
    }
}

impl Merge for RoleTotals {
    fn merge(&mut self, other: Self) {
        self.collect.merge(other.collect);
        self.internal.merge(other.internal);
        self.transit.merge(other.transit);
        self.special.merge(other.special);
        self.copies.merge(other.copies);
    }
}

/// The summary of one span.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Summary {
    /// How rows are taken while it is filled; no part of its value.
    #[serde(skip)]
    copies: Copies,
    /// Hashes of a block's rows, on their way into a sample; no part of its value.
    #[serde(skip)]
    hashes: Vec<u64>,
    basis: Basis,
    class: SpanClass,
    span: Span,
    windows: Vec<TimestampNs>,
    /// First and last packet of any row.
    pub seen: Seen,
    /// Totals by role.
    pub roles: RoleTotals,
    /// By population.
    pub populations: BTreeMap<PopulationIndex, PopulationSummary>,
    /// By population and far party.
    pub collectors: Bounded<CollectorKey, Box<CollectorSummary>>,
    /// By population and registrable domain, whatever addresses serve it.
    pub domains: Bounded<DomainKey, Box<DomainSummary>>,
    /// By population, far party and subscriber.
    pub pairs: Bounded<PairKey, PairSummary>,
    /// By population and subscriber.
    pub subscribers: Bounded<SubscriberKey, SubscriberSummary>,
    /// By service inside and who asks it.
    pub served: Bounded<ServedKey, Box<Served>>,
    /// Rates over fine slots.
    pub paces: Paces,
    /// By tunnel.
    pub carriers: Bounded<CarrierKey, Box<CarrierSummary>>,
    /// Flows that nothing carries.
    pub native: Native,
    /// By flow export.
    pub exports: Bounded<ExportKey, ExportSummary>,
    /// Contested segments.
    pub conflicts: Conflicts,
    /// By server prefix and contested payload.
    pub injections: Bounded<InjectionKey, InjectionSummary>,
    /// Names by the address that was answered for them.
    pub answers: Bounded<Party, AnswerNames>,
    /// By resolver.
    pub resolvers: Bounded<Party, ResolverSummary>,
    /// By name, what was answered.
    pub answered: Bounded<AnsweredKey, Answered>,
    /// By registrable domain that was asked for.
    pub zones: Bounded<ZoneKey, Box<ZoneSummary>>,
    /// By identity of TLS servers.
    pub servers: Bounded<ServerKey, Box<ServerSummary>>,
    /// By question to a TLS server, the hellos that answered it.
    pub hellos: Bounded<QuestionKey, Box<Question>>,
    /// Forged answers and resets.
    pub forgeries: Earliest<ForgeryRecord>,
    /// Names, fingerprints and issuers behind the ids.
    pub texts: Texts,
}

impl Summary {
    /// The summary of nothing: the identity of merging.
    pub fn empty() -> Self {
        Self::default()
    }

    /// A summary of one window, to be filled. Workers that share a window must give the same span.
    pub fn new(span: Span) -> Self {
        let windows = if span.is_empty() { Vec::new() } else { vec![span.start] };
        Self { class: span.class(), span, windows, ..Self::default() }
    }

    /// Names the codebook that the codewords come from (any number but zero).
    pub fn with_codebook(mut self, codebook: u64) -> Self {
        self.basis.codebook = codebook;
        self
    }

    /// Says what inner flows of a mirror count as; [`Copies::Leave`] where nothing is said.
    pub fn with_copies(mut self, copies: Copies) -> Self {
        self.copies = copies;
        self
    }

    /// The stretch of time that it covers.
    pub fn span(&self) -> Span {
        self.span
    }

    /// How fine its series are.
    pub fn class(&self) -> SpanClass {
        self.class
    }

    /// What it rests on.
    pub fn basis(&self) -> Basis {
        self.basis
    }

    /// Starts of the windows that it was merged from, ascending; the first [`WINDOWS_MAX`].
    pub fn windows(&self) -> &[TimestampNs] {
        &self.windows
    }

    /// The same in coarser slots, so that merging many windows stays small. A finer class than its own changes nothing.
    /// Rolling up what was merged equals merging what was rolled up.
    pub fn rollup(&mut self, to: SpanClass) {
        let from = self.class;
        if to <= from {
            return;
        }
        self.class = to;
        self.populations.values_mut().for_each(|population| population.series.rollup(from, to));
        self.collectors.each(|collector| collector.rollup(from, to));
        self.served.each(|served| served.rollup(to));
        self.paces.rollup(from, to);
    }

    /// Brings every table and small set within its limit: the heaviest stay (equal ones by key), the rest moves to the
    /// others' totals. A function of the summary alone; done once at a window's end, after the workers were merged.
    pub fn bound(&mut self, limits: &SummaryLimits) {
        self.populations.values_mut().for_each(|population| population.series.bound());
        self.collectors.bound(limits.collectors_max);
        self.collectors.each(|collector| collector.bound());
        self.domains.bound(limits.domains_max);
        self.domains.each(|domain| domain.bound());
        self.pairs.bound(limits.pairs_max);
        self.subscribers.bound(limits.subscribers_max);
        self.served.bound(SERVED_MAX);
        self.served.each(|served| served.bound());
        self.paces.bound();
        self.carriers.bound(limits.carriers_max);
        self.carriers.each(|carrier| carrier.bound());
        self.exports.bound(limits.exports_max);
        self.injections.bound(limits.injections_max);
        self.answers.bound(limits.answers_max);
        self.answers.each(|answer| answer.names.bound());
        self.resolvers.bound(limits.resolvers_max);
        self.resolvers.each(ResolverSummary::bound);
        self.answered.bound(limits.answered_max);
        self.zones.bound(limits.zones_max);
        self.zones.each(|zone| zone.bound());
        self.servers.bound(limits.servers_max);
        self.hellos.bound(limits.hellos_max);
        let mut wanted: Vec<TextId> = Vec::new();
        self.collectors.each_of(|_, collector| wanted.extend(collector.texts()));
        self.domains.each_of(|key, _| wanted.push(key.domain));
        self.served.each_of(|_, served| wanted.extend(served.ja4.iter().map(|(id, _)| id)));
        self.answers.each_of(|_, answer| wanted.extend(answer.names.iter().map(|(id, _)| id)));
        self.answered.each_of(|key, _| wanted.push(key.name));
        self.zones.each_of(|key, _| wanted.push(key.zone));
        for (key, server) in self.servers.sorted() {
            wanted.push(TextId(key.id));
            wanted.extend(server.domain_sample.iter());
        }
        // What everybody answers alike is never named.
        self.hellos.each_of(|_, question| wanted.extend(question.domain.filter(|_| question.told().len() > 1)));
        wanted.sort_unstable();
        wanted.dedup();
        self.texts.bound(&wanted, limits.texts_max);
    }

    /// Whether a table holds more than its limit, so that [`Self::bound`] would move entries out.
    pub fn is_over(&self, limits: &SummaryLimits) -> bool {
        let tables = [
            (self.collectors.len(), limits.collectors_max),
            (self.domains.len(), limits.domains_max),
            (self.pairs.len(), limits.pairs_max),
            (self.subscribers.len(), limits.subscribers_max),
            (self.served.len(), SERVED_MAX),
            (self.paces.streams.len(), STREAMS_MAX),
            (self.paces.busy.len(), BUSY_MAX),
            (self.carriers.len(), limits.carriers_max),
            (self.exports.len(), limits.exports_max),
            (self.injections.len(), limits.injections_max),
            (self.answers.len(), limits.answers_max),
            (self.resolvers.len(), limits.resolvers_max),
            (self.answered.len(), limits.answered_max),
            (self.zones.len(), limits.zones_max),
            (self.servers.len(), limits.servers_max),
            (self.hellos.len(), limits.hellos_max),
            (self.texts.len(), limits.texts_max),
        ];
        tables.iter().any(|(entries, most)| entries > most)
    }

    /// How often each limit made something give way.
    pub fn limit_hits(&self) -> LimitHits {
        LimitHits {
            collectors: self.collectors.moved(),
            domains: self.domains.moved(),
            pairs: self.pairs.moved(),
            subscribers: self.subscribers.moved(),
            carriers: self.carriers.moved(),
            exports: self.exports.moved(),
            injections: self.injections.moved(),
            conflicts: self.conflicts.left_out(),
            answers: self.answers.moved(),
            resolvers: self.resolvers.moved(),
            answered: self.answered.moved(),
            zones: self.zones.moved(),
            servers: self.servers.moved(),
            hellos: self.hellos.moved(),
            forgeries: self.forgeries.left_out(),
            texts: self.texts.missed(),
            served: self.served.moved(),
            streams: self.paces.streams.moved(),
        }
    }

    /// Names looked up for an outside address, most frequent first.
    pub fn names_of(&self, party: Party) -> Vec<&str> {
        let names = self.answers.of(&party).map(|answer| answer.names.by_count()).unwrap_or_default();
        names.into_iter().filter_map(|(id, _)| self.texts.of(id)).collect()
    }

    /// Populations of which DNS messages were seen.
    pub fn populations_of_zones(&self) -> Vec<PopulationIndex> {
        let mut populations: Vec<PopulationIndex> = self.zones.sorted().iter().map(|(key, _)| key.population).collect();
        populations.dedup();
        populations
    }

    /// Whether the lists that are not tables are in order, as every summary has them.
    pub(super) fn is_ordered(&self) -> bool {
        self.conflicts.is_ordered()
            && self.forgeries.is_ordered()
            && self.windows.is_sorted()
            && self.windows.len() <= WINDOWS_MAX
    }

    fn rest_on<I: SubscriberIdentity>(&mut self, cx: &mut AddContext<'_, I>) {
        let now = Basis { populations: cx.populations.fingerprint(), identity: mark(cx.identity), codebook: 0 };
        self.basis = self.basis.joined(now).expect("one summary is filled with one policy and one key");
    }
}

impl Basis {
    fn joined(self, other: Self) -> Result<Self, MergeError> {
        let join = |what, mine: u64, theirs: u64| match (mine, theirs) {
            (mine, theirs) if mine == 0 || theirs == 0 || mine == theirs => Ok(mine.max(theirs)),
            (mine, theirs) => Err(MergeError { what, mine, theirs }),
        };
        Ok(Self {
            populations: join("populations", self.populations, other.populations)?,
            identity: join("pseudonym keys", self.identity, other.identity)?,
            codebook: join("codebooks", self.codebook, other.codebook)?,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
