//! Baseline: the capture's own bulk, for when there is no model.
//! In: the profiles of all collectors of a capture. Out: medians, quantiles, robust deviations and p-values.
//! Bounds: none of its own; n log n in rows. A fifth of the rows may be poison: medians and median deviations do not follow
//! them, and what lies far out is left out of the ranks and quantiles that the rest is held against.
//! Honest when small: with n others no p-value is below 1 / (n + 1), and a lone collector's is 1.

use serde::{Deserialize, Serialize};

use super::calibrate::Calibrator;
use super::scale::{Scaler, robust_spread};
use super::{ProfileScore, median, quantile};

/// How many spreads above the median score a row must lie to count as not of the bulk.
const FAR_SPREADS: f64 = 6.0;
/// Share of the rows that is always of the bulk.
const BULK_SHARE: f64 = 0.8;

/// What is usual of one profile feature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FeatureBaseline {
    /// Median, in the feature's unit.
    pub median: f32,
    /// 99th percentile, in the feature's unit.
    pub p99: f32,
    /// An ordinary deviation, in the feature's unit; above 0.
    pub spread: f32,
}

impl FeatureBaseline {
    /// Of values in any order; those that are not finite are left out.
    pub fn of(values: impl IntoIterator<Item = f32>) -> Self {
        let mut sorted: Vec<f32> = values.into_iter().filter(|x| x.is_finite()).collect();
        sorted.sort_by(f32::total_cmp);
        let (middle, spread) = robust_spread(&sorted);
        Self { median: middle, p99: quantile(&sorted, 0.99), spread: spread as f32 }
    }

    /// How many ordinary deviations a value lies above the median; 0 for what is not a number.
    pub fn robust_z(&self, value: f32) -> f64 {
        let z = (f64::from(value) - f64::from(self.median)) / f64::from(self.spread);
        if z.is_nan() { 0.0 } else { z }
    }

    pub(super) fn is_sound(&self) -> bool {
        self.median.is_finite() && self.p99.is_finite() && self.spread.is_finite() && self.spread > 0.0
    }
}

/// See the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    scaler: Scaler,
    features: Vec<FeatureBaseline>,
    /// Distance of each row from the bulk's middle.
    distances: Vec<f64>,
    /// Median distance, above 0.
    unit: f64,
    /// Distance up to which a row is of the bulk.
    far: f64,
    bulk: Calibrator,
    bulk_rows: usize,
}

impl Baseline {
    /// From the profiles of all collectors, all of one width. Values that are not numbers count as ordinary.
    pub fn of_bulk<R: AsRef<[f32]>>(rows: &[R]) -> Self {
        let width = rows.first().map_or(0, |row| row.as_ref().len());
        assert!(rows.iter().all(|row| row.as_ref().len() == width), "all profiles come from one register");
        let column = |i: usize| rows.iter().map(move |row| row.as_ref()[i]);
        let scaler = Scaler::fit((0..width).map(|i| column(i).collect()));
        let distances: Vec<f64> = rows.iter().map(|row| distance(&scaler, row.as_ref())).collect();
        let mut sorted: Vec<f32> = distances.iter().map(|&d| d as f32).collect();
        sorted.sort_by(f32::total_cmp);
        let (middle, spread) = robust_spread(&sorted);
        let far = (f64::from(middle) + FAR_SPREADS * spread).max(f64::from(quantile(&sorted, BULK_SHARE)));
        // Ranks are compared as f32 on both sides: `far` itself came through it.
        let of_bulk = |d: &f64| f64::from(*d as f32) <= far;
        let features = (0..width)
            .map(|i| FeatureBaseline::of(column(i).zip(&distances).filter(|(_, d)| of_bulk(d)).map(|(x, _)| x)));
        Self {
            features: features.collect(),
            bulk: Calibrator::fit(distances.iter().copied().filter(of_bulk)),
            bulk_rows: distances.iter().filter(|d| of_bulk(d)).count(),
            unit: f64::from(median(&sorted)).max(0.1),
            scaler,
            far,
            distances,
        }
    }

    /// How many rows it stands on.
    pub fn len(&self) -> usize {
        self.distances.len()
    }

    /// Whether it stands on none.
    pub fn is_empty(&self) -> bool {
        self.distances.is_empty()
    }

    /// How many of the rows are of the bulk; the others lie far out.
    pub fn bulk_len(&self) -> usize {
        self.bulk_rows
    }

    /// What is usual of each feature among the bulk, in the order of the profile register.
    pub fn features(&self) -> &[FeatureBaseline] {
        &self.features
    }

    /// The p-value of one of the rows that it stands on, held against the others.
    pub fn score_member(&self, row: usize) -> ProfileScore {
        let distance = self.distances[row];
        let others = self.bulk_rows.saturating_sub(1);
        let p_value = match f64::from(distance as f32) <= self.far {
            // Its own place in the ranks is taken out of them: (1 + r) of (1 + n) becomes r of n.
            true => (self.bulk.p_value(distance) * (self.bulk_rows + 1) as f64 - 1.0) / self.bulk_rows.max(1) as f64,
            false => self.bulk.p_value(distance),
        };
        self.scored(distance, p_value.max(1.0 / (others + 1) as f64))
    }

    /// The p-value of a row that is not among them.
    pub fn score(&self, row: &[f32]) -> ProfileScore {
        let distance = if row.len() == self.scaler.width() { distance(&self.scaler, row) } else { 0.0 };
        self.scored(distance, self.bulk.p_value(distance).max(1.0 / (self.bulk_rows + 1) as f64))
    }

    fn scored(&self, distance: f64, p_value: f64) -> ProfileScore {
        ProfileScore { p_value: p_value.min(1.0), outlier: distance / self.unit, cluster: None, log_likelihood: None }
    }
}

/// Mean size of the most deviant quarter of a row's scaled features: all of them would drown two that are far out, and the
/// largest alone would follow any one odd feature.
fn distance(scaler: &Scaler, row: &[f32]) -> f64 {
    let mut scaled = vec![0.0; scaler.width()];
    scaler.scale_row(row, &mut scaled);
    scaled.iter_mut().for_each(|x| *x = x.abs());
    scaled.sort_by(|a, b| b.total_cmp(a));
    let quarter = scaled.len().div_ceil(4);
    scaled.iter().take(quarter).map(|&x| f64::from(x)).sum::<f64>() / quarter.max(1) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::tests::normals;

    fn rows(count: usize, width: usize, seed: u64) -> Vec<Vec<f32>> {
        normals(count, width, seed).chunks_exact(width).map(<[f32]>::to_vec).collect()
    }

    #[test]
    fn small_bulks_promise_little() {
        assert!(Baseline::of_bulk::<Vec<f32>>(&[]).score(&[]).p_value == 1.0);
        for count in [1usize, 2, 3, 9] {
            let baseline = Baseline::of_bulk(&rows(count, 8, 3));
            let stranger = baseline.score(&[1e9; 8]).p_value;
            assert!((stranger - 1.0 / (count + 1) as f64).abs() < 1e-9, "{count}: {stranger}");
            for row in 0..count {
                let member = baseline.score_member(row).p_value;
                assert!(member >= 1.0 / count as f64 - 1e-9, "{count}: {member}");
            }
        }
        assert_eq!(Baseline::of_bulk(&rows(1, 8, 3)).score_member(0).p_value, 1.0);
    }

    #[test]
    fn a_fifth_of_poison_does_not_hide_and_does_not_move_the_quantiles() {
        for poison in [1usize, 10, 20] {
            let mut all = rows(100, 12, 5);
            // Alike among themselves and far from the others, in a third of the features.
            all.iter_mut().take(poison).for_each(|row| row[..4].fill(40.0));
            let baseline = Baseline::of_bulk(&all);
            assert_eq!(baseline.bulk_len(), 100 - poison, "{poison}");
            for row in 0..poison {
                let score = baseline.score_member(row);
                assert!(score.p_value <= 0.02 && score.outlier > 2.0, "{poison}: {score:?}");
            }
            let feature = baseline.features()[0];
            assert!(feature.p99 < 4.0 && feature.median.abs() < 0.6 && feature.robust_z(40.0) > 20.0, "{feature:?}");
        }
    }

    #[test]
    fn members_of_an_even_bulk_have_even_p_values() {
        let baseline = Baseline::of_bulk(&rows(400, 10, 8));
        for level in [0.05, 0.2, 0.5] {
            let low = (0..400).filter(|&row| baseline.score_member(row).p_value <= level).count() as f64 / 400.0;
            assert!((low - level).abs() < 0.03 + level * 0.1, "{level}: {low}");
        }
    }

    proptest! {
        #[test]
        fn scores_are_numbers_whatever_the_rows(
            all in prop::collection::vec(prop::collection::vec(prop_oneof![Just(0.0f32), -1.0f32..1.0, proptest::num::f32::ANY], 5), 0..30),
            asked in prop::collection::vec(proptest::num::f32::ANY, 5),
        ) {
            let baseline = Baseline::of_bulk(&all);
            let members = (0..all.len()).map(|row| baseline.score_member(row));
            for score in members.chain([baseline.score(&asked)]) {
                prop_assert!(score.p_value > 0.0 && score.p_value <= 1.0 && score.outlier.is_finite(), "{score:?}");
            }
            prop_assert!(baseline.features().iter().all(FeatureBaseline::is_sound));
        }
    }
}
