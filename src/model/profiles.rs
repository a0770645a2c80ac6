//! Profiles: scaler, density, mixture and their calibration together.
//! In: profile rows of one width. Out: [`ProfileScore`]s. Half of the rows are held back for calibration where there are
//! enough; below that the rows are held against each other, and the mixture has no say in the p-value.

use rand_xoshiro::Xoshiro256Plus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};

use super::ProfileScore;
use super::baseline::FeatureBaseline;
use super::calibrate::Calibrator;
use super::density::Density;
use super::mixture::Mixture;
use super::scale::Scaler;

/// Rows from which half are held back.
pub(super) const ROWS_TO_SPLIT: usize = 40;
/// A profile rarer than this belongs to no cluster.
const CLUSTER_P_VALUE_MIN: f64 = 0.01;

/// See the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct ProfileModel {
    features: Vec<FeatureBaseline>,
    scaler: Scaler,
    density: Density,
    mixture: Mixture,
    by_density: Calibrator,
    by_mixture: Calibrator,
}

impl ProfileModel {
    /// From rows of finite numbers, in any order.
    pub(super) fn fit(rows: &[&[f32]], width: usize, seed: u64) -> Self {
        let mut order: Vec<&[f32]> = rows.to_vec();
        shuffle(&mut order, seed);
        let held_back = if order.len() >= ROWS_TO_SPLIT { order.len() / 2 } else { 0 };
        let (held, kept) = order.split_at(held_back);
        let scaler = Scaler::fit((0..width).map(|i| kept.iter().map(|row| row[i]).collect()));
        let scaled = |rows: &[&[f32]]| {
            let mut all = vec![0.0; rows.len() * width];
            rows.iter().zip(all.chunks_exact_mut(width.max(1))).for_each(|(row, to)| scaler.scale_row(row, to));
            all
        };
        let kept_scaled = scaled(kept);
        let density = Density::fit(&kept_scaled, width);
        let mixture = Mixture::fit(&kept_scaled, width, seed);
        let held_scaled = scaled(held);
        let held_rows = || held_scaled.chunks_exact(width.max(1));
        let (by_density, by_mixture) = match held_back {
            0 => (Calibrator::fit(density.own_scores()), Calibrator::default()),
            _ => (
                Calibrator::fit(held_rows().map(|row| density.score(row))),
                Calibrator::fit(held_rows().filter_map(|row| mixture.score(row)).map(|(log, _)| -log)),
            ),
        };
        let features = (0..width).map(|i| FeatureBaseline::of(rows.iter().map(|row| row[i]))).collect();
        Self { features, scaler, density, mixture, by_density, by_mixture }
    }

    pub(super) fn width(&self) -> usize {
        self.features.len()
    }

    pub(super) fn features(&self) -> &[FeatureBaseline] {
        &self.features
    }

    pub(super) fn clusters(&self) -> usize {
        self.mixture.len()
    }

    pub(super) fn held_back(&self) -> usize {
        self.by_mixture.len()
    }

    pub(super) fn has_tail(&self) -> bool {
        self.by_density.has_tail()
    }

    /// Two questions, so the smaller p-value counts twice (Bonferroni).
    pub(super) fn score(&self, profile: &[f32]) -> ProfileScore {
        let mut scaled = vec![0.0; self.width()];
        self.scaler.scale_row(profile, &mut scaled);
        let outlier = self.density.score(&scaled);
        let mixed = self.mixture.score(&scaled);
        let by_density = self.by_density.p_value(outlier);
        let p_value = match mixed {
            Some((log, _)) if !self.by_mixture.is_empty() => {
                (2.0 * by_density.min(self.by_mixture.p_value(-log))).min(1.0)
            }
            _ => by_density,
        };
        let cluster = mixed.and_then(|(_, cluster)| cluster).filter(|_| p_value >= CLUSTER_P_VALUE_MIN);
        ProfileScore { p_value, outlier, cluster, log_likelihood: mixed.map(|(log, _)| log) }
    }

    /// See [`super::Model::check`].
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let width = self.width();
        self.features.iter().all(FeatureBaseline::is_sound).then_some(()).ok_or("baselines that are not numbers")?;
        self.scaler.check(width)?;
        self.density.check(width)?;
        self.mixture.check(width)?;
        self.by_density.check()?;
        self.by_mixture.check()
    }
}

/// Fisher and Yates's shuffle.
pub(super) fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut rng = Xoshiro256Plus::seed_from_u64(seed);
    for i in (1..items.len()).rev() {
        // The modulo's bias is below items / 2^64.
        items.swap(i, (rng.next_u64() % (i as u64 + 1)) as usize);
    }
}
