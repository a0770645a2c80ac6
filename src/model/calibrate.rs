//! Calibration: from a score to the probability of such a score among ordinary collectors.
//! In: scores of held-back ordinary collectors, higher is stranger. Out: p-values, above 0, falling as scores rise.
//! Conformal within the held-back scores: p = (1 + how many are as high) / (1 + all). Above the highest of them that p falls on
//! as a generalised Pareto tail does (Pickands 1975), fitted by probability-weighted moments (Hosking and Wallis 1987) to the
//! upper tenth or twentieth, so that what is far out is told from what is only rare. The tail is never taken lighter than
//! exponential: a finite end point would promise what the sample cannot show. A tail that spoke for the sample's own range too
//! broke the promise there: 6.4 % of uniform scores had p ≤ 5 %.

use serde::{Deserialize, Serialize};

/// Scores kept at most; of more, evenly spaced ranks are kept.
const SCORES_MAX: usize = 1024;
/// Scores above the threshold that a tail needs.
const EXCESSES_MIN: usize = 10;
/// Below this many scores the tail begins at their 90 % quantile, from there on at the 95 %.
const MANY_SCORES: usize = 500;
/// Heaviest tail taken: at 1 its mean would be infinite.
const SHAPE_MAX: f64 = 0.95;
/// No tail fitted to thousands of scores can speak for less.
pub const P_VALUE_MIN: f64 = 1e-9;

/// Held-back scores and their tail.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibrator {
    /// Ascending, finite.
    scores: Vec<f64>,
    tail: Option<Tail>,
}

/// A generalised Pareto tail above `threshold`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Tail {
    threshold: f64,
    /// ξ, from 0 (exponential) to [`SHAPE_MAX`].
    shape: f64,
    /// σ, above 0.
    scale: f64,
}

impl Calibrator {
    /// From scores in any order; those that are not finite are left out.
    pub fn fit(scores: impl IntoIterator<Item = f64>) -> Self {
        let mut scores: Vec<f64> = scores.into_iter().filter(|score| score.is_finite()).collect();
        scores.sort_by(f64::total_cmp);
        let tail = Tail::fit(&scores);
        if scores.len() > SCORES_MAX {
            let all = scores.len();
            // Both ends stay: the largest one is where the tail's speech begins to be alone.
            scores = (0..SCORES_MAX).map(|i| scores[i * (all - 1) / (SCORES_MAX - 1)]).collect();
        }
        Self { scores, tail }
    }

    /// How many scores it stands on.
    pub fn len(&self) -> usize {
        self.scores.len()
    }

    /// Whether it stands on none: every p-value is then 1.
    pub fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }

    /// Whether it has a tail, so that p-values below 1 / (1 + scores) can come out.
    pub fn has_tail(&self) -> bool {
        self.tail.is_some()
    }

    /// Probability of this score or a higher one. A score that is not a number is no evidence: 1.
    pub fn p_value(&self, score: f64) -> f64 {
        if score.is_nan() {
            return 1.0;
        }
        match (self.tail, self.scores.last()) {
            (Some(tail), Some(&highest)) if score > highest => {
                let fall = tail.log_survival(score) - tail.log_survival(highest);
                // Infinity less infinity: a score that no number is far enough from.
                let fall = if fall.is_nan() { f64::NEG_INFINITY } else { fall.min(0.0) };
                (self.empirical(score) * libm::exp(fall)).max(P_VALUE_MIN)
            }
            _ => self.empirical(score),
        }
    }

    /// (1 + scores as high) / (1 + scores).
    fn empirical(&self, score: f64) -> f64 {
        let as_high = self.scores.len() - self.scores.partition_point(|&s| s < score);
        (1 + as_high) as f64 / (1 + self.scores.len()) as f64
    }

    /// See [`super::Model::check`].
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let sorted =
            self.scores.len() <= SCORES_MAX && self.scores.iter().all(|s| s.is_finite()) && self.scores.is_sorted();
        let tail = self.tail.is_none_or(|tail| {
            tail.threshold.is_finite()
                && (0.0..=SHAPE_MAX).contains(&tail.shape)
                && tail.scale > 0.0
                && tail.scale.is_finite()
        });
        match sorted && tail {
            true => Ok(()),
            false => Err("a calibration that is not one"),
        }
    }
}

impl Tail {
    /// By probability-weighted moments over what exceeds the threshold; none where too little does.
    fn fit(sorted: &[f64]) -> Option<Self> {
        let quantile = if sorted.len() < MANY_SCORES { 0.90 } else { 0.95 };
        let threshold = *sorted.get((sorted.len() as f64 * quantile) as usize)?;
        let excesses = &sorted[sorted.partition_point(|&s| s <= threshold)..];
        if excesses.len() < EXCESSES_MIN {
            return None;
        }
        let n = excesses.len() as f64;
        let (mut mean, mut weighted) = (0.0, 0.0);
        for (i, &score) in excesses.iter().enumerate() {
            let excess = score - threshold;
            let above = 1.0 - (i as f64 + 1.0 - 0.35) / n;
            mean += excess / n;
            weighted += above * excess / n;
        }
        let denominator = mean - 2.0 * weighted;
        let (shape, scale) = match denominator > 0.0 {
            true => (2.0 - mean / denominator, 2.0 * mean * weighted / denominator),
            false => (SHAPE_MAX, mean),
        };
        // A lighter tail than exponential is taken as exponential with the same mean.
        let (shape, scale) = if shape > 0.0 { (shape.min(SHAPE_MAX), scale) } else { (0.0, mean) };
        (scale > 0.0 && scale.is_finite()).then_some(Self { threshold, shape, scale })
    }

    /// ln of the probability of a score at least this high, among those above the threshold.
    fn log_survival(&self, score: f64) -> f64 {
        let x = (score - self.threshold).max(0.0) / self.scale;
        match self.shape < 1e-9 {
            true => -x,
            false => -libm::log1p(self.shape * x) / self.shape,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_xoshiro::Xoshiro256Plus;
    use rand_xoshiro::rand_core::{RngCore, SeedableRng};

    use super::*;

    /// Above 0 and below 1.
    fn uniform(rng: &mut Xoshiro256Plus) -> f64 {
        ((rng.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    type Draw = fn(&mut Xoshiro256Plus) -> f64;
    const DRAWS: [(&str, Draw); 4] = [
        ("uniform", |rng| uniform(rng)),
        ("exponential", |rng| -uniform(rng).ln()),
        ("pareto, shape 1/3", |rng| uniform(rng).powf(-1.0 / 3.0)),
        ("half normal", |rng| {
            let radius = (-2.0 * uniform(rng).ln()).sqrt();
            (radius * (std::f64::consts::TAU * uniform(rng)).cos()).abs()
        }),
    ];

    #[test]
    fn p_values_are_uniform_under_the_null() {
        for (name, draw) in DRAWS {
            for held_back in [300, 3000] {
                let mut rng = Xoshiro256Plus::seed_from_u64(held_back);
                let mut hits = [0u32; 5];
                let levels = [0.5, 0.1, 0.05, 0.01, 0.002];
                let (rounds, per_round) = (40, 2000);
                for _ in 0..rounds {
                    let calibrator = Calibrator::fit((0..held_back).map(|_| draw(&mut rng)));
                    for _ in 0..per_round {
                        let p = calibrator.p_value(draw(&mut rng));
                        levels.iter().zip(&mut hits).for_each(|(level, hit)| *hit += u32::from(p <= *level));
                    }
                }
                for (level, hit) in levels.iter().zip(hits) {
                    let rate = f64::from(hit) / f64::from(rounds * per_round);
                    // Never much more than promised; not uselessly less where the sample itself can speak.
                    assert!(rate <= level * 1.25 + 0.0006, "{name}, {held_back} held back, level {level}: {rate}");
                    if *level >= 0.01 && held_back == 3000 && name != "uniform" {
                        assert!(rate >= level * 0.6, "{name}, {held_back} held back, level {level}: {rate}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_far_score_is_told_from_a_rare_one() {
        let mut rng = Xoshiro256Plus::seed_from_u64(1);
        let calibrator = Calibrator::fit((0..1000).map(|_| -uniform(&mut rng).ln()));
        assert!(calibrator.has_tail());
        let (rare, far) = (calibrator.p_value(7.0), calibrator.p_value(14.0));
        assert!((5e-5..2e-3).contains(&rare) && far < rare / 30.0 && far >= P_VALUE_MIN, "{rare} {far}");
    }

    #[test]
    fn few_scores_promise_little() {
        let cases: [(&str, Vec<f64>, f64, f64); 5] = [
            ("none", vec![], 9.0, 1.0),
            ("one, above it", vec![1.0], 9.0, 0.5),
            ("nine, above all", (0..9).map(f64::from).collect(), 99.0, 0.1),
            ("equal ones, above", vec![2.0; 99], 3.0, 0.01),
            ("equal ones, the same", vec![2.0; 99], 2.0, 1.0),
        ];
        for (name, scores, score, wanted) in cases {
            let got = Calibrator::fit(scores).p_value(score);
            assert!((got - wanted).abs() < 1e-12, "{name}: {got}");
        }
        assert_eq!(Calibrator::fit([f64::NAN, f64::INFINITY, 1.0]).len(), 1);
    }

    proptest! {
        #[test]
        fn p_values_fall_and_never_reach_zero(
            scores in prop::collection::vec(prop_oneof![-1e3f64..1e3, Just(5.0), -1e300f64..1e300], 0..400),
            mut asked in prop::collection::vec(proptest::num::f64::ANY, 2..30),
        ) {
            let calibrator = Calibrator::fit(scores.iter().copied());
            prop_assert!(calibrator.check().is_ok());
            asked.extend(scores.iter().take(20));
            asked.retain(|x| !x.is_nan());
            asked.sort_by(f64::total_cmp);
            let mut before = 1.0;
            for score in asked {
                let p = calibrator.p_value(score);
                prop_assert!(p > 0.0 && p <= before, "{score}: {p} after {before}");
                before = p;
            }
            prop_assert_eq!(calibrator.p_value(f64::NAN), 1.0);
        }
    }
}
