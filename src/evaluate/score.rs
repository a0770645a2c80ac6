//! Score: operations against findings.
//! In: labelled captures with the findings of their replay. Out: per technique recall, precision, average precision and
//! recall at budgets of false findings a day.
//! A finding hits an operation when the technique is equal, one of its collector addresses is among the operation's, and
//! the spans overlap. A finding at `medium` or above that hits none is false, each once (CONTRACT.md).

use std::collections::BTreeMap;

use super::labels::{Labels, Operation};
use crate::detect::finding::{Finding, Severity, Technique};

/// False findings a day of capture at which recall is given.
pub const BUDGETS_PER_DAY: [f64; 3] = [0.1, 1.0, 10.0];

/// One labelled capture after its replay.
#[derive(Clone, Debug)]
pub struct Scored {
    /// What is known of it.
    pub labels: Labels,
    /// What was said of it.
    pub findings: Vec<Finding>,
    /// Its length in days of capture time.
    pub days: f64,
}

/// Figures of one technique over a set of captures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TechniqueScore {
    /// Operations in the labels.
    pub operations: u64,
    /// Operations hit at `medium` or above.
    pub found: u64,
    /// Operations whose collector was named at `medium` or above, by any technique.
    pub found_loosely: u64,
    /// Findings at `medium` or above that hit no operation.
    pub false_findings: u64,
    /// Area under the precision-recall curve over all findings whatever their severity, 0 to 1.
    pub average_precision: f64,
    /// Recall at each of [`BUDGETS_PER_DAY`], thresholding the score.
    pub recall_at_budget: [f64; BUDGETS_PER_DAY.len()],
}

impl TechniqueScore {
    /// Share of the operations found; 1 where there was none to find.
    pub fn recall(&self) -> f64 {
        if self.operations == 0 { 1.0 } else { self.found as f64 / self.operations as f64 }
    }
}

/// Scores every technique that stands in a label or in a finding.
pub fn score(captures: &[Scored]) -> BTreeMap<Technique, TechniqueScore> {
    let days: f64 = captures.iter().map(|c| c.days).sum();
    let named = captures
        .iter()
        .flat_map(|c| c.labels.operations.iter().map(|o| o.technique).chain(c.findings.iter().map(|f| f.technique)));
    let techniques: std::collections::BTreeSet<Technique> = named.collect();
    techniques.into_iter().map(|technique| (technique, score_one(technique, captures, days))).collect()
}

fn score_one(technique: Technique, captures: &[Scored], days: f64) -> TechniqueScore {
    let mut figures = TechniqueScore::default();
    // Every finding of the technique as (score, the operations it hits); operations are numbered over all captures.
    let mut ranked: Vec<(f64, Vec<usize>)> = Vec::new();
    let mut first = 0;
    for capture in captures {
        let operations: Vec<&Operation> =
            capture.labels.operations.iter().filter(|o| o.technique == technique).collect();
        let loud = |f: &&Finding| f.severity >= Severity::Medium;
        for operation in &operations {
            figures.operations += 1;
            figures.found += u64::from(capture.findings.iter().filter(loud).any(|f| hits(f, operation)));
            figures.found_loosely += u64::from(capture.findings.iter().filter(loud).any(|f| touches(f, operation)));
        }
        for finding in capture.findings.iter().filter(|f| f.technique == technique) {
            let hit: Vec<usize> =
                (operations.iter().enumerate()).filter(|(_, o)| hits(finding, o)).map(|(at, _)| first + at).collect();
            if hit.is_empty() && finding.severity >= Severity::Medium {
                figures.false_findings += 1;
            }
            ranked.push((finding.score, hit));
        }
        first += operations.len();
    }
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    figures.average_precision = average_precision(&ranked, first);
    figures.recall_at_budget = BUDGETS_PER_DAY.map(|budget| recall_within(&ranked, first, budget * days));
    figures
}

/// Strictly: technique, collector and span.
fn hits(finding: &Finding, operation: &Operation) -> bool {
    finding.technique == operation.technique && touches(finding, operation)
}

/// Loosely: collector and span.
fn touches(finding: &Finding, operation: &Operation) -> bool {
    finding.collector.addresses.iter().any(|a| operation.collectors.contains(a))
        && finding.start <= operation.end
        && operation.start <= finding.end
}

/// Mean over the operations of the precision at which each is first found; 1 where there is nothing to find or to say.
fn average_precision(ranked: &[(f64, Vec<usize>)], operations: usize) -> f64 {
    if operations == 0 {
        return if ranked.is_empty() { 1.0 } else { 0.0 };
    }
    let (mut found, mut hits, mut sum) = (vec![false; operations], 0_u32, 0.0);
    for (rank, (_, hit)) in ranked.iter().enumerate() {
        hits += u32::from(!hit.is_empty());
        for &operation in hit {
            if !std::mem::replace(&mut found[operation], true) {
                sum += f64::from(hits) / (rank + 1) as f64;
            }
        }
    }
    sum / operations as f64
}

/// Share of the operations found before more than `budget` false findings are.
fn recall_within(ranked: &[(f64, Vec<usize>)], operations: usize, budget: f64) -> f64 {
    if operations == 0 {
        return 1.0;
    }
    let (mut found, mut false_findings) = (vec![false; operations], 0.0);
    for (_, hit) in ranked {
        false_findings += f64::from(u8::from(hit.is_empty()));
        if false_findings > budget {
            break;
        }
        hit.iter().for_each(|&operation| found[operation] = true);
    }
    found.iter().filter(|f| **f).count() as f64 / operations as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn average_precision_rewards_true_findings_that_come_first() {
        for (name, ranked, operations, wanted) in [
            ("all first", vec![(0.9, vec![0]), (0.8, vec![1]), (0.1, vec![])], 2, 1.0),
            ("one false first", vec![(0.9, vec![]), (0.8, vec![0])], 1, 0.5),
            ("one missed", vec![(0.9, vec![0])], 2, 0.5),
            ("nothing to find, nothing said", vec![], 0, 1.0),
        ] {
            assert!((average_precision(&ranked, operations) - wanted).abs() < 1e-12, "{name}");
        }
    }

    #[test]
    fn a_budget_of_false_findings_cuts_the_list() {
        let ranked = vec![(0.9, vec![0]), (0.8, vec![]), (0.7, vec![1]), (0.6, vec![]), (0.5, vec![2])];
        for (budget, wanted) in [(0.0, 1.0 / 3.0), (1.0, 2.0 / 3.0), (2.0, 1.0)] {
            assert!((recall_within(&ranked, 3, budget) - wanted).abs() < 1e-12, "{budget}");
        }
    }
}
