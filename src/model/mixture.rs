//! Mixture: the clusters of ordinary profiles, as Gaussians.
//! In: scaled rows. Out: log-likelihoods and the cluster of a row. Bounds: [`COMPONENTS_MAX`] clusters.
//! Fitted by linfa for each number of clusters that the rows can carry, the best taken by the Bayesian information criterion
//! (Schwarz 1978). A diagonal Gaussian always stands as a candidate, so that constant, few or equal rows have a fit too.
//! Likelihoods are our own: linfa's add up plain exponentials, which vanish in dozens of dimensions.

use linfa::prelude::Fit;
use linfa::{DatasetBase, ParamGuard};
use linfa_clustering::GaussianMixtureModel;
use ndarray::{Array2, ArrayView2};
use rand_xoshiro::Xoshiro256Plus;
use rand_xoshiro::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

/// Most clusters.
pub const COMPONENTS_MAX: usize = 4;
/// Rows of a well-populated cluster.
const CLUSTER_ROWS_MIN: f64 = 5.0;
/// Widest rows that full covariances are tried on: time and storage grow with the square and the cube.
const WIDTH_MAX: usize = 96;
/// Added to each variance, in scaled units: a twentieth of an ordinary variance, more where rows are few.
const VARIANCE_MIN: f64 = 0.05;

/// Weighted Gaussians.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mixture {
    width: usize,
    components: Vec<Component>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Component {
    log_weight: f64,
    /// Rows that it explains, in parts.
    rows: f64,
    mean: Vec<f64>,
    /// Inverse of the covariance's lower Cholesky factor: its rows one after the other, up to the diagonal.
    whitening: Vec<f64>,
}

impl Mixture {
    /// From scaled rows, one after the other. Never fails; without rows it has no cluster.
    pub fn fit(rows: &[f32], width: usize, seed: u64) -> Self {
        let count = rows.len().checked_div(width).unwrap_or(0);
        if count == 0 {
            return Self { width, components: Vec::new() };
        }
        let values: Vec<f64> =
            rows[..count * width].iter().map(|&x| if x.is_finite() { f64::from(x) } else { 0.0 }).collect();
        let Ok(rows) = Array2::from_shape_vec((count, width), values) else { return Self::default() };
        let mut best = Self { width, components: vec![Component::diagonal(&rows)] };
        let mut best_criterion = best.criterion(&rows, 2 * width);
        let mut clusters = 1;
        while clusters <= COMPONENTS_MAX && width <= WIDTH_MAX && count >= clusters * (width + 10) {
            if let Some(fitted) = Self::full(&rows, clusters, seed) {
                let criterion = fitted.criterion(&rows, clusters * (1 + width + width * (width + 1) / 2));
                if criterion < best_criterion {
                    (best, best_criterion) = (fitted, criterion);
                }
            }
            clusters *= 2;
        }
        best
    }

    /// Each cluster's rows, in parts, and its middle in scaled units.
    pub(super) fn clusters(&self) -> impl Iterator<Item = (f64, &[f64])> {
        self.components.iter().map(|component| (component.rows, component.mean.as_slice()))
    }

    /// How many clusters there are.
    pub fn len(&self) -> usize {
        self.components.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.components.is_empty()
    }

    /// Log-likelihood of a scaled row in nats, and its most likely cluster where that is well populated.
    pub fn score(&self, row: &[f32]) -> Option<(f64, Option<u16>)> {
        assert_eq!(row.len(), self.width, "a row of the width it was fitted on");
        let row: Vec<f64> = row.iter().map(|&x| if x.is_finite() { f64::from(x) } else { 0.0 }).collect();
        let mut offset = Vec::with_capacity(self.width);
        let logs: Vec<f64> = self.components.iter().map(|c| c.log_likelihood(&row, &mut offset)).collect();
        let (best, &most) = logs.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
        let rest: f64 = logs.iter().map(|log| libm::exp(log - most)).sum();
        let populated = self.components[best].rows >= CLUSTER_ROWS_MIN;
        Some((most + libm::log(rest), populated.then_some(best as u16)))
    }

    /// linfa's fit; none where it does not converge or does not give proper covariances.
    fn full(rows: &Array2<f64>, clusters: usize, seed: u64) -> Option<Self> {
        let (count, width) = rows.dim();
        // Few rows a dimension: the off-diagonal is guesswork, so it weighs less beside a larger diagonal.
        let regular = VARIANCE_MIN * (1.0 + 10.0 * (width * clusters) as f64 / count as f64);
        let params = GaussianMixtureModel::params_with_rng(clusters, Xoshiro256Plus::seed_from_u64(seed))
            .n_runs(1)
            .max_n_iterations(200)
            .tolerance(1e-2)
            .reg_covariance(regular)
            .check()
            .ok()?;
        let fitted = params.fit(&DatasetBase::from(rows.view())).ok()?;
        let parts = fitted.weights().iter().zip(fitted.means().rows()).zip(fitted.covariances().outer_iter());
        let mut components = Vec::with_capacity(clusters);
        for ((&weight, mean), covariance) in parts {
            components.push(Component {
                log_weight: libm::log(weight),
                rows: weight * count as f64,
                mean: mean.to_vec(),
                whitening: whitening(covariance)?,
            });
        }
        // Largest first, so that a cluster's number means something and does not hang on the start.
        components.sort_by(|a, b| b.rows.total_cmp(&a.rows));
        let mixture = Self { width, components };
        mixture.check(width).is_ok().then_some(mixture)
    }

    /// Bayesian information criterion: lower is better.
    fn criterion(&self, rows: &Array2<f64>, parameters: usize) -> f64 {
        let mut row = Vec::new();
        let mut sum = 0.0;
        for values in rows.rows() {
            row.clear();
            row.extend(values.iter().map(|&x| x as f32));
            sum += self.score(&row).map_or(f64::NEG_INFINITY, |(log, _)| log);
        }
        parameters as f64 * libm::log(rows.nrows() as f64) - 2.0 * sum
    }

    /// See [`super::Model::check`].
    pub(super) fn check(&self, width: usize) -> Result<(), &'static str> {
        let sound = |c: &Component| {
            let finite = c.mean.iter().chain(&c.whitening).chain([&c.log_weight, &c.rows]).all(|x| x.is_finite());
            let whole = c.mean.len() == width && c.whitening.len() == width * (width + 1) / 2;
            finite && whole && (0..width).all(|i| c.whitening[diagonal(i)] > 0.0)
        };
        match self.width == width && self.components.len() <= COMPONENTS_MAX && self.components.iter().all(sound) {
            true => Ok(()),
            false => Err("a mixture whose clusters do not fit its features"),
        }
    }
}

impl Component {
    /// One Gaussian without correlations.
    fn diagonal(rows: &Array2<f64>) -> Self {
        let (count, width) = rows.dim();
        let mut whitening = vec![0.0; width * (width + 1) / 2];
        let mut mean = Vec::with_capacity(width);
        for (i, column) in rows.columns().into_iter().enumerate() {
            let middle = column.iter().sum::<f64>() / count as f64;
            let variance = column.iter().map(|x| (x - middle).powi(2)).sum::<f64>() / count as f64;
            whitening[diagonal(i)] = 1.0 / (variance + VARIANCE_MIN).sqrt();
            mean.push(middle);
        }
        Self { log_weight: 0.0, rows: count as f64, mean, whitening }
    }

    /// ln of weight times density.
    fn log_likelihood(&self, row: &[f64], offset: &mut Vec<f64>) -> f64 {
        offset.clear();
        offset.extend(row.iter().zip(&self.mean).map(|(x, m)| x - m));
        let (mut squares, mut log_determinant, mut at) = (0.0, 0.0, 0);
        for i in 0..offset.len() {
            let factors = &self.whitening[at..=at + i];
            let whitened: f64 = factors.iter().zip(offset.iter()).map(|(w, x)| w * x).sum();
            squares += whitened * whitened;
            log_determinant += libm::log(factors[i]);
            at += i + 1;
        }
        let half_log_tau = 0.5 * std::f64::consts::TAU.ln();
        self.log_weight + log_determinant - 0.5 * squares - offset.len() as f64 * half_log_tau
    }
}

/// Place of a diagonal element in rows packed up to the diagonal.
fn diagonal(i: usize) -> usize {
    i * (i + 1) / 2 + i
}

/// Inverse of the lower Cholesky factor; none for a matrix that is not positive definite.
fn whitening(covariance: ArrayView2<'_, f64>) -> Option<Vec<f64>> {
    let width = covariance.nrows();
    let at = |i: usize, j: usize| i * (i + 1) / 2 + j;
    let mut factor = vec![0.0; width * (width + 1) / 2];
    for i in 0..width {
        for j in 0..=i {
            let known: f64 = (0..j).map(|k| factor[at(i, k)] * factor[at(j, k)]).sum();
            let rest = covariance[(i, j)] - known;
            factor[at(i, j)] = match i == j {
                true if rest > 0.0 => rest.sqrt(),
                true => return None,
                false => rest / factor[at(j, j)],
            };
        }
    }
    let mut inverse = vec![0.0; factor.len()];
    for i in 0..width {
        inverse[at(i, i)] = 1.0 / factor[at(i, i)];
        for j in 0..i {
            let known: f64 = (j..i).map(|k| factor[at(i, k)] * inverse[at(k, j)]).sum();
            inverse[at(i, j)] = -known / factor[at(i, i)];
        }
    }
    Some(inverse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::normals;

    #[test]
    fn the_whitening_of_a_known_matrix() {
        // [[4, 2], [2, 5]] = L Lᵗ with L = [[2, 0], [1, 2]]; its inverse is [[½, 0], [−¼, ½]].
        let covariance = Array2::from_shape_vec((2, 2), vec![4.0, 2.0, 2.0, 5.0]).expect("two by two");
        assert_eq!(whitening(covariance.view()), Some(vec![0.5, -0.25, 0.5]));
        assert_eq!(whitening(Array2::zeros((2, 2)).view()), None);
    }

    #[test]
    fn two_crowds_give_two_clusters() {
        let mut rows = normals(600, 3, 1);
        rows.chunks_exact_mut(3).skip(400).for_each(|row| row.iter_mut().for_each(|x| *x += 6.0));
        let mixture = Mixture::fit(&rows, 3, 9);
        assert_eq!(mixture.len(), 2);
        let (inside, first) = mixture.score(&[0.0, 0.0, 0.0]).expect("has clusters");
        let (_, second) = mixture.score(&[6.0, 6.0, 6.0]).expect("has clusters");
        let (outside, _) = mixture.score(&[8.0, -8.0, 8.0]).expect("has clusters");
        assert_eq!((first, second), (Some(0), Some(1)));
        assert!(outside < inside - 30.0, "{outside} {inside}");
        assert_eq!(mixture, Mixture::fit(&rows, 3, 9), "one seed, one fit");
    }

    #[test]
    fn degenerate_rows_have_a_fit() {
        let equal_columns: Vec<f32> = normals(200, 1, 4).iter().flat_map(|&x| [x, x, 1.0]).collect();
        let cases: [(&str, Vec<f32>, usize); 7] = [
            ("no row", vec![], 3),
            ("no column", vec![], 0),
            ("one row", vec![1.0, 2.0, 3.0], 3),
            ("the same row", vec![2.0; 900], 3),
            ("one column twice and a constant", equal_columns, 3),
            ("two values", (0..400).map(|i| (i / 2 % 2) as f32).collect(), 2),
            ("wider than long", normals(20, 60, 5), 60),
        ];
        for (name, rows, width) in cases {
            let mixture = Mixture::fit(&rows, width, 1);
            assert!(mixture.check(width).is_ok(), "{name}");
            let score = mixture.score(&vec![8.0; width]);
            assert_eq!(score.is_none(), rows.is_empty(), "{name}");
            assert!(score.is_none_or(|(log, _)| log.is_finite()), "{name}: {score:?}");
        }
    }
}
