//! Evaluation: everything that a set of judged captures says about the detectors.
//! In: judged captures. Out: figures by technique, variant and world; false alarms by kind; rates on benign traffic; whether
//! promises are kept; every operation missed and every false alarm, for whoever mends a detector.
//! Time: the captures' own.

use std::collections::BTreeMap;

use serde::Serialize;

use super::ablation::{self, Ablated};
use super::interval::{self, Estimate};
use super::judged::{Found, Judged};
use super::labels::Operation;
use super::ranking::{BUDGETS_PER_DAY, Entry, Ranking};
use super::score::{TechniqueFigures, as_id, figures};
use crate::detect::finding::Technique;

/// Promised probabilities that are held against what came.
const PROMISES: [f64; 5] = [1e-5, 1e-4, 1e-3, 1e-2, 5e-2];
/// Techniques at once from which on a capture is a mixed one.
const MIXED_MIN: usize = 3;

/// See the file.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    /// Captures scored.
    pub captures: u64,
    /// Their hours of capture time.
    pub hours: f64,
    /// Seeds that they come from, where known.
    pub seeds: Vec<u64>,
    /// Captures of which a part was damaged or lost.
    pub damaged: Vec<String>,
    /// By technique, in the contract's order; those that stand in a label or in a finding.
    pub techniques: Vec<TechniqueFigures>,
    /// The same by variant: operations run in another way than the standard one, and the standard one beside them.
    pub variants: Vec<Slice>,
    /// The same by world, where the labels name one.
    pub worlds: Vec<Slice>,
    /// Operations of captures that hold at least three techniques at once, found strictly.
    pub mixed: Estimate,
    /// False alarms by technique and kind of traffic.
    pub false_by_kind: Vec<FalseKind>,
    /// Captures without any operation.
    pub benign: FalseRate,
    /// All captures.
    pub everywhere: FalseRate,
    /// Promised probability against observed frequency, on captures without any operation.
    pub promises: Vec<Promise>,
    /// Thresholds set on one half of the captures so that a budget holds, and what they let through on the other half.
    pub budgets: Vec<BudgetKept>,
    /// What each group of features and each model brings; empty unless asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ablation: Vec<Ablated>,
    /// Operations that were not found strictly.
    pub missed: Vec<Missed>,
    /// False alarms, worst first.
    pub false_alarms: Vec<FalseAlarm>,
}

/// Figures of a technique over some of its operations.
#[derive(Clone, Debug, Serialize)]
pub struct Slice {
    /// The variant's or the world's name.
    pub name: String,
    /// The figures.
    pub figures: TechniqueFigures,
}

/// How many false alarms of one technique are about one kind of traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FalseKind {
    /// The technique.
    #[serde(serialize_with = "as_id")]
    pub technique: Technique,
    /// A kind of hard negative, `collector of …`, or `ordinary`.
    pub kind: String,
    /// How many.
    pub alarms: u64,
}

/// False alarms a day.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FalseRate {
    /// Captures.
    pub captures: u64,
    /// Days of capture time.
    pub days: f64,
    /// False alarms in them.
    pub alarms: u64,
    /// A day.
    pub per_day: Estimate,
    /// By technique: its id and its own rate.
    pub by_technique: Vec<(String, Estimate)>,
}

/// A promise and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Promise {
    /// The technique.
    #[serde(serialize_with = "as_id")]
    pub technique: Technique,
    /// Promised probability: findings with a p-value up to this.
    pub p_value: f64,
    /// How many such findings chance would give: the probability times the far parties seen.
    pub promised: f64,
    /// How many came, whatever their severity.
    pub observed: u64,
}

/// A threshold on one half of the captures, and its price on the other.
#[derive(Clone, Debug, Serialize)]
pub struct BudgetKept {
    /// The technique.
    #[serde(serialize_with = "as_id")]
    pub technique: Technique,
    /// False findings a day that were promised.
    pub promised_per_day: f64,
    /// What came on the captures that did not set the threshold.
    pub observed_per_day: Estimate,
}

/// An operation that was not found strictly.
#[derive(Clone, Debug, Serialize)]
pub struct Missed {
    /// The capture.
    pub capture: String,
    /// The technique.
    #[serde(serialize_with = "as_id")]
    pub technique: Technique,
    /// The variant; none for the standard one.
    pub variant: Option<String>,
    /// Subscribers that it touched.
    pub subscribers: u64,
    /// Techniques that named its collector at `medium` or above.
    pub named_by: Vec<&'static str>,
    /// Best score of a finding that hits it below `medium`.
    pub best_score: Option<f64>,
}

/// An alarm that hits no operation.
#[derive(Clone, Debug, Serialize)]
pub struct FalseAlarm {
    /// The capture.
    pub capture: String,
    /// The technique.
    #[serde(serialize_with = "as_id")]
    pub technique: Technique,
    /// Severity's name.
    pub severity: &'static str,
    /// 0 to 1.
    pub score: f64,
    /// What it is about.
    pub kind: String,
    /// What it says.
    pub headline: String,
}

impl Evaluation {
    /// Of judged captures, in any order.
    pub fn of(judged: &[Judged]) -> Self {
        let mut captures: Vec<&Judged> = judged.iter().collect();
        captures.sort_by(|a, b| a.name.cmp(&b.name));
        let benign: Vec<&Judged> = captures.iter().copied().filter(|one| one.labels.operations.is_empty()).collect();
        let techniques = techniques_in(&captures);
        let mut seeds: Vec<u64> = captures.iter().filter_map(|one| one.labels.seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        Self {
            captures: captures.len() as u64,
            hours: captures.iter().map(|one| one.days * 24.0).sum(),
            seeds,
            damaged: captures.iter().filter(|one| one.lossy).map(|one| one.name.clone()).collect(),
            techniques: techniques.iter().map(|&technique| figures(technique, &captures, &|_| true)).collect(),
            variants: variants(&techniques, &captures),
            worlds: worlds(&techniques, &captures),
            mixed: mixed(&captures),
            false_by_kind: false_by_kind(&captures),
            benign: rate(&benign, &techniques),
            everywhere: rate(&captures, &techniques),
            promises: promises(&benign, &techniques),
            budgets: budgets(&captures, &techniques),
            ablation: Vec::new(),
            missed: captures.iter().flat_map(|one| missed(one)).collect(),
            false_alarms: false_alarms(&captures),
        }
    }

    /// The same with what each group of features and each model brings.
    pub fn with_ablation(mut self, judged: &[Judged]) -> Self {
        self.ablation = ablation::of(judged);
        self
    }

    /// The lowest strict recall over the techniques that have operations; none where none has.
    pub fn worst_recall(&self) -> Option<f64> {
        self.techniques.iter().filter_map(|figures| figures.recall.value).min_by(f64::total_cmp)
    }
}

fn techniques_in(captures: &[&Judged]) -> Vec<Technique> {
    let stands = |technique: &Technique| {
        captures.iter().any(|one| {
            one.labels.operations.iter().any(|o| o.technique == *technique)
                || one.findings.iter().any(|f| f.technique == *technique)
        })
    };
    Technique::ALL.into_iter().filter(stands).collect()
}

/// Name of the way in which an operation was run.
fn variant_of(operation: &Operation) -> &str {
    operation.variant.as_deref().unwrap_or("standard")
}

fn variants(techniques: &[Technique], captures: &[&Judged]) -> Vec<Slice> {
    let mut slices = Vec::new();
    for &technique in techniques {
        let operations = || captures.iter().flat_map(|one| &one.labels.operations).filter(|o| o.technique == technique);
        let mut names: Vec<&str> = operations().map(variant_of).collect();
        names.sort_unstable_by_key(|name| (*name != "standard", *name));
        names.dedup();
        for name in names.iter().filter(|_| names.len() > 1 || names != ["standard"]) {
            let figures = figures(technique, captures, &|operation| variant_of(operation) == *name);
            slices.push(Slice { name: (*name).to_owned(), figures });
        }
    }
    slices
}

fn worlds(techniques: &[Technique], captures: &[&Judged]) -> Vec<Slice> {
    let mut by_world: BTreeMap<&str, Vec<&Judged>> = BTreeMap::new();
    for one in captures {
        if let Some(world) = one.labels.world.as_deref() {
            by_world.entry(world).or_default().push(one);
        }
    }
    let of_world = |(world, captures): (&str, Vec<&Judged>)| {
        let slice = |&technique: &Technique| {
            let figures = figures(technique, &captures, &|_| true);
            let speaks = figures.operations > 0 || figures.alarms > 0;
            speaks.then(|| Slice { name: world.to_owned(), figures })
        };
        techniques.iter().filter_map(slice).collect::<Vec<_>>()
    };
    by_world.into_iter().flat_map(of_world).collect()
}

fn is_found(one: &Judged, operation: &Operation) -> bool {
    one.findings.iter().any(|found| found.is_loud() && found.hits(operation))
}

fn mixed(captures: &[&Judged]) -> Estimate {
    let is_mixed = |one: &&&Judged| {
        let mut techniques: Vec<Technique> = one.labels.operations.iter().map(|o| o.technique).collect();
        techniques.sort_unstable();
        techniques.dedup();
        techniques.len() >= MIXED_MIN
    };
    let (mut found, mut all) = (0, 0);
    for one in captures.iter().filter(is_mixed) {
        all += one.labels.operations.len() as u64;
        found += one.labels.operations.iter().filter(|operation| is_found(one, operation)).count() as u64;
    }
    Estimate::share(found, all)
}

fn false_by_kind(captures: &[&Judged]) -> Vec<FalseKind> {
    let mut kinds: BTreeMap<(Technique, String), u64> = BTreeMap::new();
    for one in captures {
        for found in one.false_findings() {
            *kinds.entry((found.technique, one.kind_of(found))).or_default() += 1;
        }
    }
    kinds.into_iter().map(|((technique, kind), alarms)| FalseKind { technique, kind, alarms }).collect()
}

fn rate(captures: &[&Judged], techniques: &[Technique]) -> FalseRate {
    // The sum of nothing is minus zero.
    let days = captures.iter().map(|one| one.days).sum::<f64>() + 0.0;
    let count = |of: &dyn Fn(&Found) -> bool| {
        captures.iter().flat_map(|one| one.false_findings()).filter(|found| of(found)).count() as u64
    };
    let alarms = count(&|_| true);
    let by_technique = techniques.iter().map(|&technique| {
        (technique.id().to_owned(), Estimate::rate(count(&|found| found.technique == technique), days))
    });
    FalseRate {
        captures: captures.len() as u64,
        days,
        alarms,
        per_day: Estimate::rate(alarms, days),
        by_technique: by_technique.collect(),
    }
}

fn promises(benign: &[&Judged], techniques: &[Technique]) -> Vec<Promise> {
    let far_parties: u64 = benign.iter().map(|one| one.far_parties).sum();
    let mut promises = Vec::new();
    for &technique in techniques.iter().filter(|_| far_parties > 0) {
        for p_value in PROMISES {
            let low = |found: &&Found| found.technique == technique && found.p_value <= p_value;
            let observed = benign.iter().flat_map(|one| &one.findings).filter(low).count() as u64;
            promises.push(Promise { technique, p_value, promised: p_value * far_parties as f64, observed });
        }
    }
    promises
}

/// Both halves set a threshold for the other one, by turns of captures in order of name.
fn budgets(captures: &[&Judged], techniques: &[Technique]) -> Vec<BudgetKept> {
    if captures.len() < 2 {
        return Vec::new();
    }
    let halves = [0, 1].map(|half| (0..captures.len()).map(|i| f64::from(u8::from(i % 2 == half))).collect::<Vec<_>>());
    let mut kept = Vec::new();
    for &technique in techniques {
        let mut entries = Vec::new();
        for (capture, one) in captures.iter().enumerate() {
            let is_false = |found: &&Found| !one.labels.operations.iter().any(|operation| found.touches(operation));
            let mine = one.findings.iter().filter(|found| found.technique == technique).filter(is_false);
            entries.extend(mine.map(|found| Entry { score: found.score, capture, hits: Vec::new() }));
        }
        let days = captures.iter().map(|one| one.days).collect();
        let ranking = Ranking::new(entries, Vec::new(), vec![0.0; captures.len()], days);
        for budget in BUDGETS_PER_DAY {
            let (mut events, mut days) = (0.0, 0.0);
            for (set, held) in [(0, 1), (1, 0)] {
                let (passed, over) = ranking.false_above(&halves[held], ranking.threshold(&halves[set], budget));
                events += passed;
                days += over;
            }
            let observed_per_day = Estimate::rate(events as u64, days);
            kept.push(BudgetKept { technique, promised_per_day: budget, observed_per_day });
        }
    }
    kept
}

fn missed(one: &Judged) -> Vec<Missed> {
    let unfound = one.labels.operations.iter().filter(|operation| !is_found(one, operation));
    unfound
        .map(|operation| {
            let naming = one.findings.iter().filter(|found| found.is_loud() && found.touches(operation));
            let mut named_by: Vec<&'static str> = naming.map(|found| found.technique.id()).collect();
            named_by.sort_unstable();
            named_by.dedup();
            let quiet = one.findings.iter().filter(|found| found.hits(operation)).map(|found| found.score);
            Missed {
                capture: one.name.clone(),
                technique: operation.technique,
                variant: operation.variant.clone(),
                subscribers: operation.subscribers,
                named_by,
                best_score: quiet.max_by(f64::total_cmp),
            }
        })
        .collect()
}

fn false_alarms(captures: &[&Judged]) -> Vec<FalseAlarm> {
    let mut alarms: Vec<(&Judged, &Found)> =
        captures.iter().flat_map(|one| one.false_findings().map(move |found| (*one, found))).collect();
    alarms.sort_by(|(_, a), (_, b)| b.severity.cmp(&a.severity).then(b.score.total_cmp(&a.score)));
    let told = |(one, found): (&Judged, &Found)| FalseAlarm {
        capture: one.name.clone(),
        technique: found.technique,
        severity: found.severity.name(),
        score: found.score,
        kind: one.kind_of(found),
        headline: found.headline.clone(),
    };
    alarms.into_iter().map(told).collect()
}

/// How many false findings each budget comes to over these captures: below one, a single false finding is too much.
pub fn budgets_in_words(days: f64) -> String {
    let allowed = BUDGETS_PER_DAY.map(|budget| format!("{budget} a day: {:.0}", (budget * days).floor()));
    format!("False findings that each budget allows over these {days:.2} days of capture: {}.", allowed.join(", "))
}

/// How the figures were computed, in a sentence that stands under every table of them.
pub fn method() -> String {
    format!(
        "95 % intervals: recall and precision exact binomial, rates exact Poisson, the rest a bootstrap over captures ({} \
         rounds, seed {:#x}). Budgets are false findings a day of capture.",
        interval::ROUNDS,
        interval::SEED,
    )
}
