//! Ledger: findings of many windows and horizons folded into one record each.
//! In: what the detectors say of a window, of the hour so far, of the day so far. Out: one finding per technique,
//! collector and population, worst first, the same for the same input.
//! Bounds: [`FINDINGS_MAX`] records; what does not fit is counted, the mildest are left out first.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::finding::{Finding, Severity, Technique};
use crate::units::{Address, TimestampNs};

/// Most findings kept: more than anyone reads, few enough to never matter for memory.
pub const FINDINGS_MAX: usize = 10_000;

/// What makes two reports the same finding: technique, collector, population.
type Identity = (Technique, String, String);

/// The findings so far.
#[derive(Debug, Default)]
pub struct Ledger {
    open: BTreeMap<Identity, Finding>,
    first_seen: FirstSeen,
    left_out: u64,
}

/// When each finding was first at `medium` or above: the end of the horizon that showed it, in capture time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirstSeen(BTreeMap<Identity, TimestampNs>);

impl FirstSeen {
    /// When a finding first reached `medium`; none where it never did.
    pub fn of(&self, finding: &Finding) -> Option<TimestampNs> {
        self.0.get(&identity(finding)).copied()
    }

    /// Notes that a finding was seen; the earliest time stays.
    fn note(&mut self, identity: Identity, at: TimestampNs) {
        let known = self.0.entry(identity).or_insert(at);
        *known = at.min(*known);
    }
}

fn identity(finding: &Finding) -> Identity {
    (finding.technique, finding.collector.collector_key.clone(), finding.population.name.clone())
}

impl Ledger {
    /// Takes in what was found in one horizon, which ended at `seen_at`.
    pub fn absorb(&mut self, found: Vec<Finding>, seen_at: TimestampNs) {
        for finding in found {
            let identity = identity(&finding);
            let is_full = self.open.len() >= FINDINGS_MAX;
            if finding.severity >= Severity::Medium && (!is_full || self.open.contains_key(&identity)) {
                self.first_seen.note(identity.clone(), seen_at);
            }
            match self.open.entry(identity) {
                Entry::Occupied(mut known) => fold(known.get_mut(), finding),
                Entry::Vacant(_) if is_full => self.left_out += 1,
                Entry::Vacant(free) => {
                    free.insert(finding);
                }
            }
        }
    }

    /// Findings that did not fit.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// All findings, worst first. Where one collector was judged at several levels (an address and its prefix, say) the
    /// one that explains most stays, and counts as seen when the first of them was.
    pub fn close(self) -> (Vec<Finding>, FirstSeen) {
        told(self.open.into_values().collect(), self.first_seen)
    }

    /// The same while the ledger stays open.
    pub fn told(&self) -> Vec<Finding> {
        told(self.open.values().cloned().collect(), self.first_seen.clone()).0
    }

    /// All records as they are.
    pub fn every(&self) -> impl Iterator<Item = &Finding> {
        self.open.values()
    }

    /// Forgets what ended before `ts`.
    pub fn retire(&mut self, ts: TimestampNs) {
        self.open.retain(|_, finding| finding.end >= ts);
        let open = &self.open;
        self.first_seen.0.retain(|identity, _| open.contains_key(identity));
    }
}

fn told(mut findings: Vec<Finding>, mut first_seen: FirstSeen) -> (Vec<Finding>, FirstSeen) {
    findings.sort_by(worst_first);
    let mut kept: Vec<Finding> = Vec::with_capacity(findings.len());
    for finding in findings {
        match kept.iter().find(|other| explains(other, &finding)) {
            Some(other) => {
                if let Some(at) = first_seen.of(&finding) {
                    first_seen.note(identity(other), at);
                }
            }
            None => kept.push(finding),
        }
    }
    (kept, first_seen)
}

/// Order of a report: severity, then score, then breadth, then names, so that it never depends on chance.
fn worst_first(a: &Finding, b: &Finding) -> std::cmp::Ordering {
    (b.severity.cmp(&a.severity))
        .then(b.score.total_cmp(&a.score))
        .then(b.population.subscribers.cmp(&a.population.subscribers))
        .then(a.technique.cmp(&b.technique))
        .then_with(|| a.collector.collector_key.cmp(&b.collector.collector_key))
        .then_with(|| a.population.name.cmp(&b.population.name))
}

/// Whether `other` already says what `finding` says: same technique and population, and the addresses of one hold all
/// of the other's.
fn explains(other: &Finding, finding: &Finding) -> bool {
    let holds = |outer: &[Address], inner: &[Address]| inner.iter().all(|a| outer.binary_search(a).is_ok());
    let (a, b) = (&other.collector.addresses, &finding.collector.addresses);
    other.technique == finding.technique
        && other.population.name == finding.population.name
        && !b.is_empty()
        && (holds(a, b) || holds(b, a))
}

/// Lays a later or longer look at the same finding over the known one: the span grows, the stronger evidence stays.
fn fold(known: &mut Finding, again: Finding) {
    let (start, end) = (known.start.min(again.start), known.end.max(again.end));
    let mut addresses = known.collector.addresses.clone();
    addresses.extend(&again.collector.addresses);
    addresses.sort();
    addresses.dedup();
    if (again.severity, again.score) > (known.severity, known.score)
        || ((again.severity, again.score) == (known.severity, known.score) && again.flows >= known.flows)
    {
        *known = again;
    }
    (known.start, known.end) = (start, end);
    known.collector.addresses = addresses;
}
