//! Score: the figures of one technique over a set of judged captures.
//! In: judged captures, and which operations count (all, those of a variant, of a world). Out: recall, precision, ranking
//! figures with their intervals, the trivial baseline beside them, times to the first finding.

use serde::{Serialize, Serializer};

use super::baselines::{BASELINES, Candidate};
use super::interval::{self, Estimate};
use super::judged::{Found, Judged};
use super::labels::Operation;
use super::ranking::{BUDGETS_PER_DAY, Curves, Entry, RankFigures, Ranking};
use crate::detect::finding::Technique;

/// Bins of a histogram over scores from 0 to 1.
pub const SCORE_BINS: usize = 20;

/// Ranking figures with intervals.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RankEstimates {
    /// See [`RankFigures`].
    pub average_precision: Estimate,
    /// See [`RankFigures`].
    pub roc_auc: Estimate,
    /// At each of [`BUDGETS_PER_DAY`].
    pub recall_at_budget: [Estimate; BUDGETS_PER_DAY.len()],
}

/// The trivial baseline of a technique, scored the same way.
#[derive(Clone, Debug, Serialize)]
pub struct BaselineFigures {
    /// What it ranks by.
    pub about: &'static str,
    /// Its figures.
    pub ranking: RankEstimates,
    /// The detector's average precision less the baseline's; over the same draws.
    pub gain: Estimate,
}

/// Time from an operation's start to its first strict alarm, over the operations that have one.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Delays {
    /// Median, seconds.
    pub median_s: Estimate,
    /// Median, in windows.
    pub median_windows: Option<f64>,
    /// Shares of all operations that are found within 1, 2, 5, 15 and 60 minutes, 3, 6, 12 and 24 hours: (seconds, share).
    pub found_within: Vec<(f64, f64)>,
}

/// Figures of one technique.
#[derive(Clone, Debug, Serialize)]
pub struct TechniqueFigures {
    /// The technique.
    #[serde(serialize_with = "as_id")]
    pub technique: Technique,
    /// Operations in the labels.
    pub operations: u64,
    /// Operations hit at `medium` or above; share of all.
    pub recall: Estimate,
    /// Operations whose collector was named at `medium` or above, by any technique.
    pub recall_loose: Estimate,
    /// Findings at `medium` or above.
    pub alarms: u64,
    /// Those that hit no operation.
    pub false_alarms: u64,
    /// Alarms that hit an operation, of all alarms.
    pub precision: Estimate,
    /// Over all findings whatever their severity.
    pub ranking: RankEstimates,
    /// The trivial baseline.
    pub baseline: BaselineFigures,
    /// How soon.
    pub delays: Delays,
    /// Scores of findings that hit, and of those that do not, in [`SCORE_BINS`] bins.
    pub scores: [Vec<u64>; 2],
    /// ROC and precision-recall of the detector.
    pub curves: Curves,
    /// The same of the baseline.
    pub baseline_curves: Curves,
}

/// As the contract's id.
pub fn as_id<S: Serializer>(technique: &Technique, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(technique.id())
}

/// Figures of one technique over operations that `counts` lets through. Findings that hit only others are left out.
pub fn figures(technique: Technique, captures: &[&Judged], counts: &dyn Fn(&Operation) -> bool) -> TechniqueFigures {
    let sides = Sides::of(technique, captures, counts);
    let holds: Vec<bool> = captures.iter().map(|one| operations(one, technique, counts).next().is_some()).collect();
    let draws = interval::draws(&holds, interval::ROUNDS);
    let (found, trivial) = (sides.found.figures_of(&draws), sides.trivial.figures_of(&draws));
    let gains = found.1.iter().zip(&trivial.1).map(|(a, b)| a.average_precision.zip(b.average_precision));
    // Nothing less nothing is no minus zero.
    let gain = |pair: Option<(f64, f64)>| pair.map(|(a, b)| a - b + 0.0);
    let about = BASELINES.iter().find(|baseline| baseline.technique == technique).map_or("", |baseline| baseline.about);
    let of_technique: Vec<(&Judged, &Operation)> =
        captures.iter().flat_map(|one| operations(one, technique, counts).map(|o| (*one, o))).collect();
    let all = of_technique.len() as u64;
    let counted = |is_found: &dyn Fn(&Found, &Operation) -> bool| {
        let is_found = |(one, operation): &&(&Judged, &Operation)| {
            one.findings.iter().filter(|found| found.is_loud()).any(|found| is_found(found, operation))
        };
        Estimate::share(of_technique.iter().filter(is_found).count() as u64, all)
    };
    TechniqueFigures {
        technique,
        operations: all,
        recall: counted(&|found, operation| found.hits(operation)),
        recall_loose: counted(&|found, operation| found.touches(operation)),
        alarms: sides.alarms,
        false_alarms: sides.false_alarms,
        precision: Estimate::share(sides.alarms - sides.false_alarms, sides.alarms),
        ranking: estimates(found.0, &found.1),
        baseline: BaselineFigures {
            about,
            ranking: estimates(trivial.0, &trivial.1),
            gain: Estimate::bootstrapped(
                gain(found.0.average_precision.zip(trivial.0.average_precision)),
                gains.map(gain),
            ),
        },
        delays: delays(captures, technique, counts, &draws),
        scores: sides.scores,
        curves: sides.found.curves(),
        baseline_curves: sides.trivial.curves(),
    }
}

fn operations<'a>(
    one: &'a Judged,
    technique: Technique,
    counts: &'a dyn Fn(&Operation) -> bool,
) -> impl Iterator<Item = &'a Operation> {
    one.labels.operations.iter().filter(move |o| o.technique == technique && counts(o))
}

/// Detector and baseline as rankings over the same operations.
struct Sides {
    found: Ranking,
    trivial: Ranking,
    alarms: u64,
    false_alarms: u64,
    scores: [Vec<u64>; 2],
}

impl Sides {
    fn of(technique: Technique, captures: &[&Judged], counts: &dyn Fn(&Operation) -> bool) -> Self {
        let (mut found, mut trivial) = (Vec::new(), Vec::new());
        let (mut owners, mut silent) = (Vec::new(), [Vec::new(), Vec::new()]);
        let (mut alarms, mut false_alarms) = (0, 0);
        let mut scores = [vec![0; SCORE_BINS], vec![0; SCORE_BINS]];
        for (capture, one) in captures.iter().enumerate() {
            let counted: Vec<&Operation> = operations(one, technique, counts).collect();
            let first = owners.len();
            owners.extend(counted.iter().map(|_| capture));
            let is_others = |hit: &dyn Fn(&Operation) -> bool| {
                one.labels.operations.iter().any(|o| o.technique == technique && !counts(o) && hit(o))
            };
            let sort_in = |entries: &mut Vec<Entry>, score: f64, hit: &dyn Fn(&Operation) -> bool| {
                let hits: Vec<usize> =
                    counted.iter().enumerate().filter(|(_, o)| hit(o)).map(|(at, _)| first + at).collect();
                let is_true = !hits.is_empty();
                if is_true || !is_others(hit) {
                    entries.push(Entry { score, capture, hits });
                    Some(is_true)
                } else {
                    None
                }
            };
            let (mut said, mut ranked) = (0, 0);
            for one in one.findings.iter().filter(|found| found.technique == technique) {
                let Some(is_true) = sort_in(&mut found, one.score, &|o| one.hits(o)) else { continue };
                said += u64::from(!is_true);
                let bin = (one.score * SCORE_BINS as f64).clamp(0.0, (SCORE_BINS - 1) as f64) as usize;
                scores[usize::from(!is_true)][bin] += 1;
                if one.is_loud() {
                    alarms += 1;
                    false_alarms += u64::from(!is_true);
                }
            }
            for candidate in one.baselines.get(&technique).into_iter().flatten() {
                let is_true = sort_in(&mut trivial, candidate.score, &|o| is_of(candidate, o));
                ranked += u64::from(is_true == Some(false));
            }
            silent[0].push((one.others() - said as f64).max(0.0));
            silent[1].push((one.others() - ranked as f64).max(0.0));
        }
        let days: Vec<f64> = captures.iter().map(|one| one.days).collect();
        let [of_found, of_trivial] = silent;
        Self {
            found: Ranking::new(found, owners.clone(), of_found, days.clone()),
            trivial: Ranking::new(trivial, owners, of_trivial, days),
            alarms,
            false_alarms,
            scores,
        }
    }
}

/// A baseline's candidate has no span: it is the day's.
fn is_of(candidate: &Candidate, operation: &Operation) -> bool {
    candidate.addresses.iter().any(|address| operation.collectors.contains(address))
}

impl Ranking {
    /// Figures over all captures, and over each draw.
    fn figures_of(&self, draws: &[Vec<f64>]) -> (RankFigures, Vec<RankFigures>) {
        let once = vec![1.0; draws.first().map_or(0, Vec::len)];
        let rounds = if self.operations() == 0 { &[][..] } else { draws };
        (self.figures(&once), rounds.iter().map(|weights| self.figures(weights)).collect())
    }
}

fn estimates(figures: RankFigures, draws: &[RankFigures]) -> RankEstimates {
    let over = |of: &dyn Fn(&RankFigures) -> Option<f64>| Estimate::bootstrapped(of(&figures), draws.iter().map(of));
    RankEstimates {
        average_precision: over(&|f| f.average_precision),
        roc_auc: over(&|f| f.roc_auc),
        recall_at_budget: std::array::from_fn(|i| over(&|f| f.recall_at_budget[i])),
    }
}

/// Times of which the share found until then is given, seconds.
const DELAY_MARKS_S: [f64; 9] = [60.0, 120.0, 300.0, 900.0, 3_600.0, 10_800.0, 21_600.0, 43_200.0, 86_400.0];

fn delays(
    captures: &[&Judged],
    technique: Technique,
    counts: &dyn Fn(&Operation) -> bool,
    draws: &[Vec<f64>],
) -> Delays {
    let mut delays: Vec<(f64, f64, usize)> = Vec::new();
    let mut all = 0;
    for (at, one) in captures.iter().enumerate() {
        for operation in operations(one, technique, counts) {
            all += 1;
            if let Some(delay) = one.delay_of(operation) {
                let seconds = delay.as_secs_f64();
                delays.push((seconds, seconds / one.window.as_secs_f64().max(1e-9), at));
            }
        }
    }
    if delays.is_empty() {
        return Delays::default();
    }
    delays.sort_by(|a, b| a.0.total_cmp(&b.0));
    let median = |weights: &dyn Fn(usize) -> f64| {
        let total: f64 = delays.iter().map(|(_, _, at)| weights(*at)).sum();
        let mut gone = 0.0;
        let past = delays.iter().find(|(_, _, at)| {
            gone += weights(*at);
            gone >= 0.5 * total && total > 0.0
        });
        past.map(|(seconds, windows, _)| (*seconds, *windows))
    };
    let whole = median(&|_| 1.0);
    let drawn = draws.iter().map(|weights| median(&|at| weights[at]).map(|(seconds, _)| seconds));
    Delays {
        median_s: Estimate::bootstrapped(whole.map(|(seconds, _)| seconds), drawn),
        median_windows: whole.map(|(_, windows)| windows),
        found_within: DELAY_MARKS_S
            .map(|mark| {
                (mark, delays.iter().filter(|(seconds, _, _)| *seconds <= mark).count() as f64 / f64::from(all))
            })
            .to_vec(),
    }
}
