//! Profiles: scaler, density, mixture and their calibration together.
//! In: profile rows of one width. Out: [`ProfileScore`]s. Half of the rows are held back for calibration where there are
//! enough; below that the rows are held against each other, and the mixture has no say in the p-value.

use std::collections::BTreeSet;

use rand_xoshiro::Xoshiro256Plus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};

use super::ProfileScore;
use super::baseline::FeatureBaseline;
use super::calibrate::Calibrator;
use super::density::Density;
use super::mixture::Mixture;
use super::scale::{Scaler, robust_spread};

/// Rows from which half are held back.
pub(super) const ROWS_TO_SPLIT: usize = 40;
/// A profile rarer than this belongs to no cluster.
const CLUSTER_P_VALUE_MIN: f64 = 0.01;
/// Share of the rows that may be left out as pockets: poison in what was given as ordinary.
const TRIMMED_MAX: f64 = 0.05;
/// Spreads above the median from which on a row lies far out.
const FAR_SPREADS: f64 = 6.0;
/// Alike rows far out that make a pocket: lone strangers are part of what is ordinary, and stay.
const POCKET_MIN: usize = 3;

/// See the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct ProfileModel {
    features: Vec<FeatureBaseline>,
    scaler: Scaler,
    density: Density,
    mixture: Mixture,
    by_density: Calibrator,
    by_mixture: Calibrator,
    trimmed: u32,
}

impl ProfileModel {
    /// From rows of finite numbers, in any order. Pockets of alike rows far from all others are left out and counted: who
    /// collects in the traffic that a model is fitted on must not become ordinary by it.
    pub(super) fn fit(rows: &[&[f32]], width: usize, seed: u64) -> Self {
        let mut order: Vec<&[f32]> = rows.to_vec();
        shuffle(&mut order, seed);
        let pockets = pockets(&order, width);
        let trimmed = pockets.len() as u32;
        let mut place = 0..order.len();
        order.retain(|_| place.next().is_some_and(|i| !pockets.contains(&i)));
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
        let features = (0..width).map(|i| FeatureBaseline::of(order.iter().map(|row| row[i]))).collect();
        Self { features, scaler, density, mixture, by_density, by_mixture, trimmed }
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

    /// Each cluster's rows, in parts, and the features in which it lies farthest out: feature, value, ordinary deviations.
    pub(super) fn cluster_words(&self, names: &[String]) -> Vec<(f64, String)> {
        let one = |(rows, mean): (f64, &[f64])| {
            let mut order: Vec<usize> = (0..mean.len()).collect();
            order.sort_by(|&a, &b| mean[b].abs().total_cmp(&mean[a].abs()).then(a.cmp(&b)));
            let word = |&i: &usize| {
                let value = self.scaler.unscaled(i, mean[i] as f32);
                format!("{} {value:.2} ({:+.1})", names.get(i).map_or("", String::as_str), mean[i])
            };
            (rows, order.iter().take(4).map(word).collect::<Vec<_>>().join(", "))
        };
        self.mixture.clusters().map(one).collect()
    }

    pub(super) fn held_back(&self) -> usize {
        self.by_mixture.len()
    }

    /// Rows left out as pockets.
    pub(super) fn trimmed(&self) -> u32 {
        self.trimmed
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

/// Places of rows that lie far from the bulk and have at least two others beside them there, the farthest first and at most
/// [`TRIMMED_MAX`] of all.
fn pockets(rows: &[&[f32]], width: usize) -> BTreeSet<usize> {
    if rows.len() < ROWS_TO_SPLIT || width == 0 {
        return BTreeSet::new();
    }
    let scaler = Scaler::fit((0..width).map(|i| rows.iter().map(|row| row[i]).collect()));
    let mut scaled = vec![0.0; rows.len() * width];
    rows.iter().zip(scaled.chunks_exact_mut(width)).for_each(|(row, to)| scaler.scale_row(row, to));
    let density = Density::beyond_pockets(&scaled, width);
    let scores: Vec<f64> = scaled.chunks_exact(width).map(|row| density.score(row)).collect();
    let mut sorted: Vec<f32> = scores.iter().map(|&score| score as f32).collect();
    sorted.sort_by(f32::total_cmp);
    let (middle, spread) = robust_spread(&sorted);
    let far = f64::from(middle) + FAR_SPREADS * spread;
    let mut strangers: Vec<usize> = (0..rows.len()).filter(|&i| scores[i] > far).collect();
    strangers.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    let row = |i: usize| &scaled[i * width..(i + 1) * width];
    let apart =
        |a: usize, b: usize| row(a).iter().zip(row(b)).map(|(x, y)| f64::from(x - y).powi(2)).sum::<f64>().sqrt();
    // As near to each other as ordinary rows are to their neighbours.
    let is_beside = |&i: &usize| strangers.iter().filter(|&&j| apart(i, j) <= density.unit()).count() >= POCKET_MIN;
    let most = (rows.len() as f64 * TRIMMED_MAX) as usize;
    strangers.iter().copied().filter(is_beside).take(most).collect()
}

/// Fisher and Yates's shuffle.
pub(super) fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut rng = Xoshiro256Plus::seed_from_u64(seed);
    for i in (1..items.len()).rev() {
        // The modulo's bias is below items / 2^64.
        items.swap(i, (rng.next_u64() % (i as u64 + 1)) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::normals;

    #[test]
    fn a_pocket_of_poison_does_not_become_ordinary() {
        const WIDTH: usize = 6;
        const STRANGER: [f32; WIDTH] = [5.0, 5.0, 6.0, 0.0, 0.0, -5.0];
        for poison in [0usize, 4, 20] {
            let mut values = normals(400, WIDTH, 12);
            // Alike among themselves: one collector behind many addresses, in traffic that was given as ordinary.
            for (i, x) in values.iter_mut().enumerate().take(poison * WIDTH) {
                *x = STRANGER[i % WIDTH] + 0.1 * *x;
            }
            let rows: Vec<&[f32]> = values.chunks_exact(WIDTH).collect();
            let model = ProfileModel::fit(&rows, WIDTH, 3);
            let score = model.score(&STRANGER);
            assert!(score.p_value <= 0.011 && score.cluster.is_none(), "{poison}: {score:?}");
            assert!(model.trimmed() as usize >= poison * 9 / 10, "{poison}: {}", model.trimmed());
            let others = normals(300, WIDTH, 78);
            let rare = others.chunks_exact(WIDTH).filter(|row| model.score(row).p_value <= 0.05).count();
            assert!(rare <= 27, "{poison}: {rare} of 300 at 0.05");
        }
    }
}
