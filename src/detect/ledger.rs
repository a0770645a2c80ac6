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

/// How many times the subscribers of its largest part a wide finding must have to be the better explanation.
const WIDER: f64 = 1.5;

/// Share of a finding's addresses that another must hold to speak of the same party.
const SAME_SHARE: f64 = 0.7;

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
    /// one that explains most stays, and counts as seen when the first of them was; where two techniques say the same of
    /// one collector, the one that says more of it stays.
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
    let outdone: Vec<bool> = findings.iter().map(|finding| findings.iter().any(|by| outdoes(by, finding))).collect();
    let mut outdone = outdone.into_iter();
    findings.retain(|_| !outdone.next().unwrap_or_default());
    promote(&mut findings);
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

/// A wide finding takes over the severity of the narrower ones that it holds where it explains more than any of them: two or
/// more of them, or half as many subscribers again as the largest.
fn promote(findings: &mut [Finding]) {
    let taken: Vec<Option<(Severity, f64, f64)>> = findings
        .iter()
        .map(|wide| {
            let is_part = |part: &&Finding| {
                part.collector.addresses.len() < wide.collector.addresses.len() && explains(wide, part)
            };
            let parts: Vec<&Finding> = findings.iter().filter(is_part).collect();
            let largest = parts.iter().map(|part| part.population.subscribers).max()?;
            let is_more = parts.len() > 1 || wide.population.subscribers as f64 >= WIDER * largest as f64;
            let worst = parts.into_iter().min_by(|a, b| worst_first(a, b)).filter(|_| is_more)?;
            let is_worse = (worst.severity, worst.score) > (wide.severity, wide.score);
            is_worse.then_some((worst.severity, worst.score, worst.p_value))
        })
        .collect();
    for (finding, taken) in findings.iter_mut().zip(taken) {
        if let Some((severity, score, p_value)) = taken {
            (finding.severity, finding.score, finding.p_value) = (severity, score, p_value);
        }
    }
}

/// Whether `by`, of another technique, says more of the same collector: uploads that follow their subscribers' activity are
/// more than a fan-in, all is more than a behaviour without a name, and of a fan-in and a beacon the stronger one stays: many
/// who send much and get little are a fan-in, few who say the same both ways a beacon, and each is weakly the other.
fn outdoes(by: &Finding, finding: &Finding) -> bool {
    use Technique::{
        BeaconingImplant, BulkExfiltration, PopulationFanIn, ShadowUpload, TapCorrelation, TrafficMirroring,
    };
    let says_more = match (finding.technique, by.technique) {
        (PopulationFanIn, ShadowUpload) => by.severity >= Severity::Medium,
        (PopulationFanIn, BeaconingImplant) => by.severity >= Severity::Medium && by.severity > finding.severity,
        (BeaconingImplant, ShadowUpload) => by.severity >= Severity::Low,
        (BeaconingImplant, PopulationFanIn) => by.severity >= finding.severity,
        // A stream of copies is an upload too.
        (BulkExfiltration, TrafficMirroring | TapCorrelation) => by.severity >= Severity::Medium,
        (Technique::UnattributedCluster, other) => {
            other != Technique::UnattributedCluster && by.severity >= Severity::Low
        }
        _ => false,
    };
    says_more
        && by.population.name == finding.population.name
        && !finding.collector.addresses.is_empty()
        && finding.collector.addresses.iter().all(|a| by.collector.addresses.binary_search(a).is_ok())
}

/// Whether `other` already says what `finding` says: same technique and population, and the addresses of one hold most of
/// the other's.
fn explains(other: &Finding, finding: &Finding) -> bool {
    let holds = |outer: &[Address], inner: &[Address]| {
        let shared = inner.iter().filter(|a| outer.binary_search(a).is_ok()).count();
        shared as f64 >= SAME_SHARE * inner.len() as f64
    };
    let (a, b) = (&other.collector.addresses, &finding.collector.addresses);
    // Whoever carries data in names has the resolver's address in common with everybody: there the domain tells.
    let is_one_party = |a: &Finding, b: &Finding| {
        !matches!(a.technique, Technique::DnsTunnel)
            || a.collector.names.iter().any(|name| b.collector.names.contains(name))
    };
    other.technique == finding.technique
        && is_one_party(other, finding)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::finding::{CollectorIdentity, PopulationShare};
    use crate::population::span::Seen;

    fn finding(technique: Technique, key: &str, last: &[u8], severity: Severity, subscribers: u64) -> Finding {
        let collector = CollectorIdentity {
            collector_key: key.to_owned(),
            addresses: last.iter().map(|d| Address::v4([203, 0, 113, *d])).collect(),
            ..CollectorIdentity::default()
        };
        let share = PopulationShare { name: "residents".to_owned(), subscribers, ..PopulationShare::default() };
        let seen = Seen { first: TimestampNs(0), last: TimestampNs(1) };
        Finding {
            severity,
            score: 0.5 + 0.1 * f64::from(severity as u8),
            p_value: 0.01,
            flows: 1,
            ..Finding::blank(technique, collector, share, seen)
        }
    }

    #[test]
    fn one_finding_comes_out_at_the_level_that_explains_most() {
        use Severity::{High, Low, Medium};
        use Technique::{BeaconingImplant, PopulationFanIn, ShadowUpload, UnattributedCluster};
        let fan_in = |key, last: &[u8], severity, n| finding(PopulationFanIn, key, last, severity, n);
        let table = [
            (
                "many addresses of one name",
                vec![
                    fan_in("a", &[1], High, 20),
                    fan_in("b", &[2], High, 22),
                    fan_in("spy.example", &[1, 2, 3], Medium, 60),
                ],
                vec![("spy.example", High)],
            ),
            (
                "a prefix that adds nothing",
                vec![fan_in("a", &[1], High, 50), fan_in("p", &[1, 2], Medium, 52)],
                vec![("a", High)],
            ),
            (
                "a prefix that adds half",
                vec![fan_in("a", &[1], High, 40), fan_in("p", &[1, 2], Low, 60)],
                vec![("p", High)],
            ),
            (
                "two strangers",
                vec![fan_in("a", &[1], High, 40), fan_in("b", &[2], Low, 60)],
                vec![("a", High), ("b", Low)],
            ),
            (
                "following is more than a fan-in; of a fan-in and a beacon the stronger stays",
                vec![
                    fan_in("a", &[1], High, 40),
                    finding(ShadowUpload, "a", &[1], Medium, 40),
                    fan_in("b", &[2], Low, 40),
                    finding(BeaconingImplant, "b", &[2], Medium, 40),
                    fan_in("c", &[3], Medium, 30),
                    finding(BeaconingImplant, "c", &[3], Medium, 30),
                    fan_in("d", &[4], Low, 20),
                    finding(BeaconingImplant, "d", &[4], Low, 20),
                ],
                // Of a fan-in and a beacon the worse one stays, and the fan-in where they are equal.
                vec![("a", Medium), ("b", Medium), ("c", Medium), ("d", Low)],
            ),
            (
                "what has a name is not unattributed",
                vec![
                    finding(UnattributedCluster, "a", &[1], Medium, 40),
                    fan_in("p", &[1, 2], Low, 60),
                    finding(UnattributedCluster, "c", &[3], Medium, 40),
                ],
                vec![("c", Medium), ("p", Low)],
            ),
        ];
        for (name, found, wanted) in table {
            let mut ledger = Ledger::default();
            ledger.absorb(found, TimestampNs(5));
            let (kept, _) = ledger.close();
            let kept: Vec<_> = kept.iter().map(|f| (f.collector.collector_key.as_str(), f.severity)).collect();
            assert_eq!(kept, wanted, "{name}");
        }
    }
}
