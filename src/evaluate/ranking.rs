//! Ranking: how well scores put operations before everything else.
//! In: ranked entries (findings, or a baseline's candidates), each with the operations that it hits. Out: average precision,
//! area under the ROC curve, recall at budgets of false findings a day, curves.
//! Equal scores come together: an entry gains nothing from the order among its equals. Every capture has a weight, so that a
//! bootstrap over captures is one walk over the sorted entries a round.

use serde::Serialize;

/// False findings a day of capture at which recall is given.
pub const BUDGETS_PER_DAY: [f64; 3] = [0.1, 1.0, 10.0];
/// Points kept of a curve at most.
const CURVE_POINTS_MAX: usize = 200;

/// One thing that was said, and what it hits.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// How strongly it was said; any scale, higher first.
    pub score: f64,
    /// Of which capture, by its place.
    pub capture: usize,
    /// The operations that it hits, by their place over all captures; none for a false one.
    pub hits: Vec<usize>,
}

/// All entries of one technique over a set of captures.
#[derive(Clone, Debug, Default)]
pub struct Ranking {
    entries: Vec<Entry>,
    operations: Vec<usize>,
    silent: Vec<f64>,
    days: Vec<f64>,
}

/// What a ranking comes to; none where there is nothing to find.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RankFigures {
    /// Mean over the operations of the precision at which each is first found, 0 to 1.
    pub average_precision: Option<f64>,
    /// Probability that an operation scores over a far party that belongs to none, equal ones half.
    pub roc_auc: Option<f64>,
    /// Share of the operations found before more false findings come than each of [`BUDGETS_PER_DAY`] allows.
    pub recall_at_budget: [Option<f64>; BUDGETS_PER_DAY.len()],
}

/// Curves for people to look at.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Curves {
    /// False-positive rate over far parties, true-positive rate over operations.
    pub roc: Vec<(f64, f64)>,
    /// Recall, precision.
    pub precision_recall: Vec<(f64, f64)>,
}

impl Ranking {
    /// `operations` names each operation's capture; `silent` counts, by capture, the far parties of no operation of which
    /// nothing was said; `days` is each capture's length.
    pub fn new(mut entries: Vec<Entry>, operations: Vec<usize>, silent: Vec<f64>, days: Vec<f64>) -> Self {
        entries.sort_by(|a, b| b.score.total_cmp(&a.score));
        Self { entries, operations, silent, days }
    }

    /// Operations to be found.
    pub fn operations(&self) -> usize {
        self.operations.len()
    }

    /// Figures with every capture counted as often as its weight says.
    pub fn figures(&self, weights: &[f64]) -> RankFigures {
        let of_operations: f64 = self.operations.iter().map(|&capture| weights[capture]).sum();
        if of_operations <= 0.0 {
            return RankFigures::default();
        }
        let days: f64 = self.days.iter().zip(weights).map(|(days, weight)| days * weight).sum();
        let silent: f64 = self.silent.iter().zip(weights).map(|(silent, weight)| silent * weight).sum();
        let (mut precision_sum, mut pairs_won) = (0.0, 0.0);
        let mut recall_at = [0.0; BUDGETS_PER_DAY.len()];
        let last = self.walk(weights, |step| {
            precision_sum += step.newly_found * step.true_entries / (step.true_entries + step.false_entries);
            pairs_won += step.newly_false * (step.found - 0.5 * step.newly_found);
            for (recall, budget) in recall_at.iter_mut().zip(BUDGETS_PER_DAY) {
                if step.false_entries <= budget * days {
                    *recall = step.found;
                }
            }
        });
        let others = last.false_entries + silent;
        pairs_won += silent * (last.found + 0.5 * (of_operations - last.found));
        RankFigures {
            average_precision: Some(precision_sum / of_operations),
            roc_auc: (others > 0.0).then(|| pairs_won / (others * of_operations)),
            recall_at_budget: recall_at.map(|found| Some(found / of_operations)),
        }
    }

    /// The curves, every capture counted once.
    pub fn curves(&self) -> Curves {
        let weights = vec![1.0; self.days.len()];
        let (operations, silent) = (self.operations.len() as f64, self.silent.iter().sum::<f64>());
        if operations == 0.0 {
            return Curves::default();
        }
        let mut steps = Vec::new();
        let last = self.walk(&weights, |step| steps.push(*step));
        let others = (last.false_entries + silent).max(1.0);
        let mut roc: Vec<(f64, f64)> =
            steps.iter().map(|step| (step.false_entries / others, step.found / operations)).collect();
        roc.insert(0, (0.0, 0.0));
        roc.push((1.0, 1.0));
        let precision = |step: &Step| step.true_entries / (step.true_entries + step.false_entries);
        let mut precision_recall: Vec<(f64, f64)> =
            steps.iter().map(|step| (step.found / operations, precision(step))).collect();
        // From the axis on: before anything is found the first precision holds.
        precision_recall.splice(0..0, precision_recall.first().map(|first| (0.0, first.1)));
        Curves { roc: thinned(roc), precision_recall: thinned(precision_recall) }
    }

    /// The score from which on no more than `budget_per_day` false entries a day come; none where all may come.
    pub fn threshold(&self, weights: &[f64], budget_per_day: f64) -> Option<f64> {
        let days: f64 = self.days.iter().zip(weights).map(|(days, weight)| days * weight).sum();
        let mut threshold = None;
        self.walk(weights, |step| {
            if step.false_entries > budget_per_day * days && threshold.is_none() {
                threshold = Some(step.score);
            }
        });
        threshold
    }

    /// False entries above a score, and the days that they fall in.
    pub fn false_above(&self, weights: &[f64], threshold: Option<f64>) -> (f64, f64) {
        let above = |entry: &&Entry| threshold.is_none_or(|threshold| entry.score > threshold);
        let false_entries = self.entries.iter().filter(above).filter(|entry| entry.hits.is_empty());
        let days = self.days.iter().zip(weights).map(|(days, weight)| days * weight).sum();
        (false_entries.map(|entry| weights[entry.capture]).sum(), days)
    }

    /// One step for each score, from the highest down.
    fn walk(&self, weights: &[f64], mut each: impl FnMut(&Step)) -> Step {
        let mut known = vec![false; self.operations.len()];
        let mut step = Step::default();
        for group in self.entries.chunk_by(|a, b| a.score == b.score) {
            (step.newly_found, step.newly_false, step.score) = (0.0, 0.0, group[0].score);
            let mut any = false;
            for entry in group.iter().filter(|entry| weights[entry.capture] > 0.0) {
                any = true;
                let weight = weights[entry.capture];
                match entry.hits.is_empty() {
                    true => step.newly_false += weight,
                    false => step.true_entries += weight,
                }
                for &operation in &entry.hits {
                    if !std::mem::replace(&mut known[operation], true) {
                        step.newly_found += weight;
                    }
                }
            }
            if any {
                step.found += step.newly_found;
                step.false_entries += step.newly_false;
                each(&step);
            }
        }
        step
    }
}

/// Where a walk down the scores stands.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    score: f64,
    newly_found: f64,
    newly_false: f64,
    found: f64,
    true_entries: f64,
    false_entries: f64,
}

/// At most so many points, both ends among them.
fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let all = points.len();
    match all <= CURVE_POINTS_MAX {
        true => points,
        false => (0..CURVE_POINTS_MAX).map(|i| points[i * (all - 1) / (CURVE_POINTS_MAX - 1)]).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranking(entries: &[(f64, &[usize])], operations: usize, silent: f64, days: f64) -> Ranking {
        let entry = |(score, hits): &(f64, &[usize])| Entry { score: *score, capture: 0, hits: hits.to_vec() };
        Ranking::new(entries.iter().map(entry).collect(), vec![0; operations], vec![silent], vec![days])
    }

    #[test]
    fn average_precision_and_auc_of_known_lists() {
        type Case<'a> = (&'a str, &'a [(f64, &'a [usize])], usize, f64, Option<f64>, Option<f64>);
        let cases: [Case<'_>; 7] = [
            ("all first", &[(0.9, &[0]), (0.8, &[1]), (0.1, &[])], 2, 1.0, Some(1.0), Some(1.0)),
            ("one false first", &[(0.9, &[]), (0.8, &[0])], 1, 0.0, Some(0.5), Some(0.0)),
            ("one missed", &[(0.9, &[0])], 2, 2.0, Some(0.5), Some(0.75)),
            ("a tie", &[(0.9, &[0]), (0.9, &[])], 1, 0.0, Some(0.5), Some(0.5)),
            ("nothing said", &[], 1, 5.0, Some(0.0), Some(0.5)),
            ("nothing to find", &[(0.9, &[])], 0, 5.0, None, None),
            ("one finding, two operations", &[(0.9, &[0, 1]), (0.3, &[])], 2, 0.0, Some(1.0), Some(1.0)),
        ];
        for (name, entries, operations, silent, precision, auc) in cases {
            let figures = ranking(entries, operations, silent, 1.0).figures(&[1.0]);
            assert_eq!((figures.average_precision, figures.roc_auc), (precision, auc), "{name}");
        }
    }

    #[test]
    fn a_budget_of_false_findings_cuts_the_list() {
        let entries: [(f64, &[usize]); 5] = [(0.9, &[0]), (0.8, &[]), (0.7, &[1]), (0.6, &[]), (0.5, &[2])];
        for (days, wanted) in [(0.05, [1.0, 1.0, 1.0]), (1.0, [1.0, 2.0, 3.0]), (10.0, [2.0, 3.0, 3.0])] {
            let figures = ranking(&entries, 3, 0.0, days).figures(&[1.0]);
            assert_eq!(figures.recall_at_budget, wanted.map(|found| Some(found / 3.0)), "{days} days");
        }
        let ranking = ranking(&entries, 3, 0.0, 1.0);
        assert_eq!(ranking.threshold(&[1.0], 1.0), Some(0.6));
        assert_eq!(ranking.false_above(&[1.0], Some(0.6)), (1.0, 1.0));
        assert_eq!(ranking.threshold(&[1.0], 2.0), None);
    }

    #[test]
    fn a_weight_counts_a_capture_again() {
        let entry = |score, capture, hits: &[usize]| Entry { score, capture, hits: hits.to_vec() };
        let both = vec![entry(0.9, 0, &[0]), entry(0.8, 1, &[]), entry(0.7, 1, &[1])];
        let ranking = Ranking::new(both, vec![0, 1], vec![0.0; 2], vec![1.0; 2]);
        assert_eq!(ranking.figures(&[1.0, 0.0]).average_precision, Some(1.0));
        let twice = ranking.figures(&[0.0, 2.0]);
        assert_eq!((twice.average_precision, twice.recall_at_budget[1]), (Some(0.5), Some(1.0)));
        let curves = ranking.curves();
        assert_eq!(curves.roc, [(0.0, 0.0), (0.0, 0.5), (1.0, 0.5), (1.0, 1.0), (1.0, 1.0)]);
        assert_eq!(curves.precision_recall, [(0.0, 1.0), (0.5, 1.0), (0.5, 0.5), (1.0, 2.0 / 3.0)]);
    }
}
