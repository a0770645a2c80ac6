//! Baselines: for each technique the trivial thing that a detector must beat.
//! In: the windows of a capture. Out: far parties ranked by one plain number each, over a day.
//! Bounds: one summary of a day, within its limits; [`CANDIDATES_MAX`] candidates a technique and capture, and all that
//! belong to an operation. Nothing here knows a detector: a baseline is one line over a summary.

use std::collections::{BTreeMap, BTreeSet};

use super::ablation::Profiled;
use super::labels::Operation;
use crate::detect::finding::{CollectorIdentity, Finding, PopulationShare, Technique, Verdict};
use crate::model::Baseline;
use crate::policy::Policy;
use crate::population::groups::CollectorGroup;
use crate::population::identity::Party;
use crate::population::places::Places;
use crate::population::profile::{PROFILE_LEN, ProfileContext, profile_of};
use crate::population::span::Seen;
use crate::population::{MergeError, Populations, SpanClass, Summary, SummaryLimits};
use crate::units::{Address, TimestampNs};

/// Candidates kept of a technique and capture.
pub const CANDIDATES_MAX: usize = 300;
/// Windows between two times that the day so far is brought within its limits.
const WINDOWS_BETWEEN_BOUNDS: u64 = 60;
/// Gaps that a regularity needs.
const GAPS_MIN: u64 = 8;
/// Collectors with fewer subscribers are no ordinary services.
const SUBSCRIBERS_MIN: u64 = 3;

/// A far party and its number.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Higher is more suspicious.
    pub score: f64,
    /// Who.
    pub addresses: Vec<Address>,
}

/// What a baseline may look at.
pub struct View<'a> {
    /// A day, or as much of it as the capture has.
    pub summary: &'a Summary,
    /// Whose data is protected.
    pub populations: &'a Populations,
    /// Where outside addresses are.
    pub places: &'a Places,
}

/// One trivial baseline.
pub struct Trivial {
    /// The technique that must beat it.
    pub technique: Technique,
    /// What it ranks by, in words.
    pub about: &'static str,
    rank: fn(&View<'_>, &mut Scores),
}

/// Scores by far party; the greatest stays.
type Scores = BTreeMap<Vec<Address>, f64>;

/// All of them, in the contract's order.
pub const BASELINES: &[Trivial] = &[
    Trivial { technique: Technique::PopulationFanIn, about: "distinct subscribers of an address", rank: fan_in },
    Trivial { technique: Technique::ShadowUpload, about: "data bytes up to an address", rank: bytes_up },
    Trivial { technique: Technique::BulkExfiltration, about: "data bytes up of one pair", rank: pair_bytes_up },
    Trivial { technique: Technique::RecordScraping, about: "data bytes out to who calls in", rank: served_bytes },
    Trivial { technique: Technique::TrafficMirroring, about: "tunnel packets and export datagrams", rank: tunnelled },
    Trivial { technique: Technique::TapCorrelation, about: "IP bytes to one far end", rank: ip_bytes_up },
    Trivial { technique: Technique::PacketInjection, about: "conflicting overlaps of any kind", rank: conflicts },
    Trivial { technique: Technique::TlsInterception, about: "names that one issuer answers for", rank: issuer_names },
    Trivial {
        technique: Technique::DnsHijack,
        about: "messages of resolvers that are not the policy's",
        rank: resolvers,
    },
    Trivial { technique: Technique::DnsTunnel, about: "bytes of DNS messages of one resolver", rank: dns_bytes },
    Trivial {
        technique: Technique::BeaconingImplant,
        about: "regularity of the times between flows",
        rank: regularity,
    },
    Trivial { technique: Technique::CrossBorderTransfer, about: "data bytes up to another country", rank: abroad },
    Trivial {
        technique: Technique::UnattributedCluster,
        about: "distance of the profile from the bulk",
        rank: outliers,
    },
];

fn raise(scores: &mut Scores, addresses: Vec<Address>, score: f64) {
    if score > 0.0 {
        let known = scores.entry(addresses).or_insert(score);
        *known = known.max(score);
    }
}

fn fan_in(view: &View<'_>, scores: &mut Scores) {
    for (key, one) in view.summary.collectors.sorted() {
        raise(scores, vec![key.address], one.subscribers.count() as f64);
    }
}

fn bytes_up(view: &View<'_>, scores: &mut Scores) {
    for (key, one) in view.summary.collectors.sorted() {
        raise(scores, vec![key.address], one.totals.data_bytes[0] as f64);
    }
}

fn ip_bytes_up(view: &View<'_>, scores: &mut Scores) {
    for (key, one) in view.summary.collectors.sorted() {
        raise(scores, vec![key.address], one.totals.ip_bytes[0] as f64);
    }
}

fn pair_bytes_up(view: &View<'_>, scores: &mut Scores) {
    for (key, pair) in view.summary.pairs.sorted() {
        raise(scores, vec![key.collector], pair.totals.data_bytes[0] as f64);
    }
}

fn served_bytes(view: &View<'_>, scores: &mut Scores) {
    for (key, one) in view.summary.collectors.sorted() {
        if 2 * one.flows_by_collector > one.totals.flows {
            raise(scores, vec![key.address], one.totals.data_bytes[0] as f64);
        }
    }
}

fn tunnelled(view: &View<'_>, scores: &mut Scores) {
    let mut packets: BTreeMap<Address, u64> = BTreeMap::new();
    for (key, carrier) in view.summary.carriers.sorted() {
        for (at, party) in key.outer.iter().enumerate() {
            if let Some(address) = party.outside() {
                // Indexed by the sender: what an end receives is the other's.
                *packets.entry(address).or_default() += carrier.packets[1 - at];
            }
        }
    }
    for (key, export) in view.summary.exports.sorted() {
        if let Some(address) = key.receiver.outside() {
            *packets.entry(address).or_default() += export.totals.datagrams;
        }
    }
    packets.into_iter().for_each(|(address, packets)| raise(scores, vec![address], packets as f64));
}

fn conflicts(view: &View<'_>, scores: &mut Scores) {
    let mut by_server: BTreeMap<Address, u64> = BTreeMap::new();
    for address in view.summary.conflicts.records().iter().filter_map(|record| record.server.outside()) {
        *by_server.entry(address).or_default() += 1;
    }
    by_server.into_iter().for_each(|(address, conflicts)| raise(scores, vec![address], conflicts as f64));
}

fn issuer_names(view: &View<'_>, scores: &mut Scores) {
    let mut by_issuer: BTreeMap<_, (BTreeSet<_>, BTreeSet<Address>)> = BTreeMap::new();
    for (key, one) in view.summary.collectors.sorted() {
        for (issuer, _) in one.issuers.iter() {
            let (names, addresses) = by_issuer.entry(issuer).or_default();
            names.extend(one.names.iter().map(|(name, _)| name));
            addresses.insert(key.address);
        }
    }
    for (names, addresses) in by_issuer.into_values() {
        raise(scores, addresses.into_iter().collect(), names.len() as f64);
    }
}

fn resolvers(view: &View<'_>, scores: &mut Scores) {
    let meant: BTreeSet<Address> = view.populations.iter().flat_map(|(_, spec)| spec.resolver_addresses()).collect();
    for (party, resolver) in view.summary.resolvers.sorted() {
        if let Some(address) = party.outside().filter(|address| !meant.contains(address)) {
            raise(scores, vec![address], (resolver.responses + resolver.queries_unanswered) as f64);
        }
    }
}

fn dns_bytes(view: &View<'_>, scores: &mut Scores) {
    for (party, resolver) in view.summary.resolvers.sorted() {
        if let Some(address) = party.outside() {
            raise(scores, vec![address], resolver.bytes as f64);
        }
    }
}

/// The inverse of the times' median deviation over their median.
fn regularity(view: &View<'_>, scores: &mut Scores) {
    for (key, one) in view.summary.collectors.sorted() {
        let gaps = &one.pair_gaps_ms;
        let spread = gaps.median_deviation().zip(gaps.quantile(0.5)).map(|(deviation, median)| deviation / median);
        if let Some(spread) = spread.filter(|spread| spread.is_finite() && gaps.total() >= GAPS_MIN) {
            raise(scores, vec![key.address], 1.0 / (spread + 1e-3));
        }
    }
}

fn abroad(view: &View<'_>, scores: &mut Scores) {
    for (key, one) in view.summary.collectors.sorted() {
        let home = view.populations.spec(key.population).and_then(|spec| spec.jurisdiction.clone());
        let country = view.places.of(key.address).country;
        if country.is_some() && country != home {
            raise(scores, vec![key.address], one.totals.data_bytes[0] as f64);
        }
    }
}

fn outliers(view: &View<'_>, scores: &mut Scores) {
    let (addresses, profiles) = profiles(view.summary);
    let bulk = Baseline::of_bulk(&profiles);
    for (row, address) in addresses.into_iter().enumerate() {
        raise(scores, vec![address], bulk.score_member(row).outlier);
    }
}

/// Collectors that are services at all, and their profiles.
fn profiles(summary: &Summary) -> (Vec<Address>, Vec<[f32; PROFILE_LEN]>) {
    let context = ProfileContext::new(summary);
    let popular = summary.collectors.sorted().into_iter().filter(|(_, one)| one.subscribers.count() >= SUBSCRIBERS_MIN);
    popular.map(|(key, one)| (key.address, profile_of(&CollectorGroup::of(*key), one, &context))).unzip()
}

/// Gathers a capture's days and ranks them.
pub struct Gatherer<'a> {
    populations: &'a Populations,
    places: &'a Places,
    limits: SummaryLimits,
    day: Summary,
    windows: u64,
    scores: Vec<Scores>,
    far_parties: BTreeSet<Address>,
    names: BTreeMap<Address, Vec<String>>,
    profiles: Vec<Profiled>,
}

/// What a capture's baselines come to.
pub struct Gathered {
    /// By technique, strongest first; everyone, not yet cut.
    pub ranked: BTreeMap<Technique, Vec<Candidate>>,
    /// Far parties seen.
    pub far_parties: u64,
    /// Names of the far parties that have any.
    pub names: BTreeMap<Address, Vec<String>>,
    /// Profiles of collectors over the last day.
    pub profiles: Vec<Profiled>,
}

impl<'a> Gatherer<'a> {
    /// Before the first window.
    pub fn new(populations: &'a Populations, places: &'a Places) -> Self {
        Self {
            populations,
            places,
            limits: SummaryLimits::default(),
            day: Summary::empty(),
            windows: 0,
            scores: vec![Scores::new(); BASELINES.len()],
            far_parties: BTreeSet::new(),
            names: BTreeMap::new(),
            profiles: Vec::new(),
        }
    }

    /// Takes a window in.
    ///
    /// # Errors
    /// When it was made under another policy, key or codebook than the windows before.
    pub fn window(&mut self, summary: &Summary) -> Result<(), MergeError> {
        let day_of = |summary: &Summary| summary.span().start.0 / 86_400_000_000_000;
        if self.windows > 0 && !self.day.span().is_empty() && day_of(&self.day) != day_of(summary) {
            self.close_day();
        }
        let mut summary = summary.clone();
        summary.rollup(SpanClass::Day);
        self.day.merge(summary)?;
        self.windows += 1;
        if self.windows.is_multiple_of(WINDOWS_BETWEEN_BOUNDS) {
            self.day.bound(&self.limits);
        }
        Ok(())
    }

    /// Ranks what was gathered.
    pub fn finish(mut self) -> Gathered {
        self.close_day();
        let ranked = BASELINES.iter().zip(self.scores).map(|(baseline, scores)| {
            let mut list: Vec<Candidate> =
                scores.into_iter().map(|(addresses, score)| Candidate { score, addresses }).collect();
            list.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.addresses.cmp(&b.addresses)));
            (baseline.technique, list)
        });
        Gathered {
            ranked: ranked.collect(),
            far_parties: self.far_parties.len() as u64,
            names: self.names,
            profiles: self.profiles,
        }
    }

    fn close_day(&mut self) {
        let mut day = std::mem::take(&mut self.day);
        day.bound(&self.limits);
        let view = View { summary: &day, populations: self.populations, places: self.places };
        BASELINES.iter().zip(&mut self.scores).for_each(|(baseline, scores)| (baseline.rank)(&view, scores));
        let (addresses, rows) = profiles(&day);
        if !rows.is_empty() {
            let profiled = |(address, row): (Address, [f32; PROFILE_LEN])| Profiled { address, row: row.to_vec() };
            self.profiles = addresses.into_iter().zip(rows).map(profiled).collect();
        }
        for (key, one) in day.collectors.sorted() {
            self.far_parties.insert(key.address);
            let asked = one.names.iter().filter_map(|(id, _)| day.texts.of(id));
            let names: Vec<String> =
                asked.chain(day.names_of(Party::Outside(key.address))).map(str::to_owned).collect();
            if !names.is_empty() {
                self.names.insert(key.address, names);
            }
        }
    }
}

impl Gathered {
    /// The candidates to be scored: without those that the register allows (a detector's findings are spared those too), the
    /// strongest and all that belong to an operation.
    pub fn candidates(
        &self,
        policy: &Policy,
        populations: &Populations,
        operations: &[Operation],
    ) -> BTreeMap<Technique, Vec<Candidate>> {
        let wanted: BTreeSet<&Address> = operations.iter().flat_map(|operation| &operation.collectors).collect();
        let cut = |(&technique, list): (&Technique, &Vec<Candidate>)| {
            let mut kept = Vec::new();
            for candidate in list {
                let is_wanted = candidate.addresses.iter().any(|address| wanted.contains(address));
                let has_room = kept.len() < CANDIDATES_MAX;
                if (is_wanted || has_room) && !self.is_allowed(technique, candidate, policy, populations) {
                    kept.push(candidate.clone());
                }
            }
            (technique, kept)
        };
        self.ranked.iter().map(cut).collect()
    }

    /// Whether the register would allow a finding about this candidate.
    fn is_allowed(
        &self,
        technique: Technique,
        candidate: &Candidate,
        policy: &Policy,
        populations: &Populations,
    ) -> bool {
        let of = |name: String| PopulationShare { name, ..PopulationShare::default() };
        populations.iter().any(|(_, spec)| {
            let names = candidate.addresses.iter().filter_map(|address| self.names.get(address)).flatten();
            let collector = CollectorIdentity {
                addresses: candidate.addresses.clone(),
                names: names.cloned().collect(),
                ..CollectorIdentity::default()
            };
            let never = Seen { first: TimestampNs::ZERO, last: TimestampNs::ZERO };
            let mut finding = Finding::blank(technique, collector, of(spec.name.clone()), never);
            policy.judge(&mut finding);
            matches!(finding.verdict, Verdict::Authorised { .. })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_technique_has_its_baseline() {
        let listed: Vec<Technique> = BASELINES.iter().map(|baseline| baseline.technique).collect();
        assert_eq!(listed, Technique::ALL);
        assert!(BASELINES.iter().all(|baseline| !baseline.about.is_empty()));
    }

    #[test]
    fn nothing_seen_ranks_no_one() {
        let (populations, places) = (Populations::default_private(), Places::default());
        let gathered = Gatherer::new(&populations, &places).finish();
        assert_eq!(gathered.far_parties, 0);
        assert!(gathered.ranked.values().all(Vec::is_empty) && gathered.ranked.len() == BASELINES.len());
    }
}
