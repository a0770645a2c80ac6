//! Profiles: a collector as a row of numbers, comparable with all others.
//! In: a collector of any level, and the summary that it comes from. Out: one finite number per feature of
//! [`PROFILE_FEATURES`], in its range.
//! Bounds: the pairs of the summary. Not here: what is usual (`model`), names of collectors (`groups`).

use std::collections::BTreeMap;

use super::collector::CollectorSummary;
use super::conflict::Count;
use super::groups::CollectorGroup;
use super::identity::Party;
use super::pair::{PairKey, PairSummary};
use super::populations::PopulationIndex;
use super::quartiles::Quartiles;
use super::sketch::{Distinct, LogHistogram, Merge};
use super::summary::{PopulationSummary, Summary};
use crate::units::{Address, DurationNs};

mod register;

pub use register::{PROFILE_FEATURES, PROFILE_LEN};

/// One number of a profile.
#[derive(Clone, Copy)]
pub struct ProfileFeature {
    /// Its name in every output.
    pub name: &'static str,
    /// Its unit; `log2(1+x)` stands before units that are taken as logarithm.
    pub unit: &'static str,
    /// Least and greatest value.
    pub range: (f32, f32),
    /// What it says, and what it says where there is nothing to go by.
    pub doc: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    value: fn(&View<'_>) -> f64,
}

impl std::fmt::Debug for ProfileFeature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProfileFeature").field("name", &self.name).field("unit", &self.unit).finish_non_exhaustive()
    }
}

/// A hash over names, units and their order: a model is only good for the profiles that it was fitted on.
pub fn profile_set_hash() -> u32 {
    use std::hash::Hasher;
    let mut hasher = siphasher::sip::SipHasher13::new_with_key(b"trawl profileset");
    for feature in &PROFILE_FEATURES {
        for word in [feature.name, feature.unit] {
            hasher.write(word.as_bytes());
            hasher.write_u8(0);
        }
    }
    hasher.finish() as u32
}

/// What one subscriber gave to a group of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriberShare {
    /// Pseudonym.
    pub subscriber: Address,
    /// Everything between the two, over all addresses of the group.
    pub pair: PairSummary,
}

/// A summary, arranged for profiles: made once, used for every collector.
#[derive(Debug)]
pub struct ProfileContext<'a> {
    summary: &'a Summary,
    /// Ascending, so that a collector's pairs lie together.
    pairs: Vec<(PairKey, &'a PairSummary)>,
    /// By population, estimated once.
    active: BTreeMap<PopulationIndex, u64>,
}

impl<'a> ProfileContext<'a> {
    /// Arranges a summary.
    pub fn new(summary: &'a Summary) -> Self {
        let active = summary.populations.iter().map(|(index, population)| (*index, population.active.count()));
        Self { summary, pairs: summary.pairs.sorted_by_key(), active: active.collect() }
    }

    /// All pairs, ordered by population, collector and subscriber.
    pub fn pairs(&self) -> &[(PairKey, &'a PairSummary)] {
        &self.pairs
    }

    /// The pairs of one collector.
    pub fn pairs_of(&self, population: PopulationIndex, address: Address) -> &[(PairKey, &'a PairSummary)] {
        let place = (population, address);
        let from = self.pairs.partition_point(|(key, _)| (key.population, key.collector) < place);
        let len = self.pairs[from..].partition_point(|(key, _)| (key.population, key.collector) == place);
        &self.pairs[from..from + len]
    }

    /// Subscribers of a population that were active at all.
    pub fn active(&self, population: PopulationIndex) -> u64 {
        self.active.get(&population).copied().unwrap_or(0)
    }

    /// The summary.
    pub fn summary(&self) -> &'a Summary {
        self.summary
    }

    /// What each subscriber gave to a group, ascending by pseudonym. Only pairs that the table still holds.
    pub fn shares(&self, group: &CollectorGroup) -> Vec<SubscriberShare> {
        let mut shares: Vec<SubscriberShare> = Vec::new();
        for address in &group.addresses {
            let mine = self.pairs_of(group.population, *address).iter();
            shares.extend(mine.map(|(key, pair)| SubscriberShare { subscriber: key.subscriber, pair: **pair }));
        }
        shares.sort_by_key(|share| share.subscriber);
        shares.dedup_by(|next, known| {
            let same = next.subscriber == known.subscriber;
            if same {
                known.pair.merge(next.pair);
            }
            same
        });
        shares
    }

    /// Histogram over subscribers of the payload that each gave to a group, bytes.
    pub fn uploads(&self, group: &CollectorGroup) -> LogHistogram<2> {
        let mut uploads = LogHistogram::default();
        self.shares(group).iter().for_each(|share| uploads.add(share.pair.totals.bytes_up()));
        uploads
    }

    fn population(&self, index: PopulationIndex) -> Option<&'a PopulationSummary> {
        self.summary.populations.get(&index)
    }

    /// Subscribers that looked up a name before any address of the group answered for it; none where the summary holds
    /// no answer at all.
    fn lookers(&self, group: &CollectorGroup) -> Option<u64> {
        let Count(left) = self.summary.answers.others();
        if self.summary.answers.is_empty() && *left == 0 {
            return None;
        }
        let mut clients = Distinct::default();
        for address in &group.addresses {
            if let Some(answer) = self.summary.answers.of(&Party::Outside(*address)) {
                clients.merge(answer.clients.clone());
            }
        }
        Some(clients.count())
    }
}

/// The profile of a collector: `collector` is the merge of the group's addresses, as [`roll_up`](super::roll_up) gives it.
/// Every number is finite and within its feature's range, whatever the summary holds.
pub fn profile_of(group: &CollectorGroup, collector: &CollectorSummary, cx: &ProfileContext<'_>) -> [f32; PROFILE_LEN] {
    let view = View::of(group, collector, cx);
    std::array::from_fn(|i| {
        let feature = &PROFILE_FEATURES[i];
        let (least, most) = feature.range;
        let value = (feature.value)(&view) as f32;
        if value.is_finite() { value.clamp(least, most) } else { least }
    })
}

/// What the features look at.
struct View<'a> {
    collector: &'a CollectorSummary,
    population: Option<&'a PopulationSummary>,
    /// Subscribers of the population that were active at all.
    active: u64,
    subscribers: f64,
    /// Payload up by flow row, per subscriber that gave any.
    uploads: Option<Quartiles>,
    /// Mean time between flows, per subscriber with at least three.
    periods: Option<Quartiles>,
    lookers: Option<u64>,
}

/// Fewest flows of a pair from which its period is told.
const PERIOD_FLOWS_MIN: u64 = 3;

impl<'a> View<'a> {
    fn of(group: &CollectorGroup, collector: &'a CollectorSummary, cx: &ProfileContext<'a>) -> Self {
        let (mut uploads, mut periods) = (Vec::new(), Vec::new());
        let mut look = |pair: &PairSummary| {
            let totals = &pair.totals;
            uploads.extend((totals.bytes_up() > 0).then(|| totals.bytes_up() as f64 / totals.rows.max(1) as f64));
            let gap = pair.mean_gap().filter(|gap| *gap > DurationNs::ZERO && totals.flows >= PERIOD_FLOWS_MIN);
            periods.extend(gap.map(DurationNs::as_secs_f64));
        };
        match group.addresses[..] {
            // One address has one pair a subscriber.
            [address] => cx.pairs_of(group.population, address).iter().for_each(|(_, pair)| look(pair)),
            _ => cx.shares(group).iter().for_each(|share| look(&share.pair)),
        }
        // One subscriber is like no other.
        let alike = |values: Vec<f64>| (values.len() >= 2).then(|| Quartiles::of(values)).flatten();
        Self {
            collector,
            population: cx.population(group.population),
            active: cx.active(group.population),
            subscribers: collector.subscribers.count() as f64,
            uploads: alike(uploads),
            periods: alike(periods),
            lookers: cx.lookers(group),
        }
    }

    /// Mean by subscriber; at least one is there, whatever the estimate says.
    fn per_subscriber(&self, n: u64) -> f64 {
        n as f64 / self.subscribers.max(1.0)
    }

    fn of_rows(&self, n: u64) -> f64 {
        ratio(n as f64, self.collector.totals.rows as f64)
    }

    fn gaps(&self) -> Option<Quartiles> {
        let gaps = &self.collector.pair_gaps_ms;
        Some(Quartiles { lower: gaps.quantile(0.25)?, median: gaps.quantile(0.5)?, upper: gaps.quantile(0.75)? })
    }
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

fn log2_1p(value: f64) -> f64 {
    value.max(0.0).ln_1p() / std::f64::consts::LN_2
}

/// Shannon entropy of counts, bits.
fn entropy(counts: impl Iterator<Item = u64>) -> f64 {
    let (mut total, mut sum) = (0.0, 0.0);
    for count in counts.filter(|count| *count > 0).map(|count| count as f64) {
        total += count;
        sum += count * count.log2();
    }
    if total > 0.0 { (total.log2() - sum / total).max(0.0) } else { 0.0 }
}

#[cfg(test)]
mod tests;
