//! Robust scaling: each feature less its median, over its spread, clipped.
//! In: rows of finite f32. Out: the same rows in units of an ordinary deviation, within ±[`CLIP`].
//! A minority of wild rows moves neither median nor spread.

use serde::{Deserialize, Serialize};

use super::{median, quantile};
use crate::simd::arithmetic::scale_one;

/// Largest scaled value: one wild feature must not outweigh all others together.
pub const CLIP: f32 = 8.0;

/// Interquartile range of a normal distribution over its standard deviation.
const IQR_OF_NORMAL: f64 = 1.349;
/// Standard deviation over median absolute deviation, of a normal distribution.
const SIGMA_OF_MAD: f64 = 1.4826;
/// Smallest spread, as a share of the median's size or of 1: a constant column must not turn a rounding error into a wonder.
const SPREAD_SHARE_MIN: f64 = 0.01;

/// Median and inverse spread of each feature.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scaler {
    medians: Vec<f32>,
    inverses: Vec<f32>,
}

impl Scaler {
    /// Fits on columns, each in any order; the spread of a column is the first of these that is not nothing: interquartile
    /// range, median absolute deviation, mean absolute deviation, 1 % of the median's size or of 1.
    pub fn fit(columns: impl IntoIterator<Item = Vec<f32>>) -> Self {
        let mut scaler = Self::default();
        for mut column in columns {
            column.retain(|x| x.is_finite());
            column.sort_by(f32::total_cmp);
            let (middle, spread) = robust_spread(&column);
            scaler.medians.push(middle);
            scaler.inverses.push((1.0 / spread) as f32);
        }
        scaler
    }

    /// A scaler that leaves everything as it is but for the clipping.
    pub fn identity(width: usize) -> Self {
        Self { medians: vec![0.0; width], inverses: vec![1.0; width] }
    }

    /// How many features it scales.
    pub fn width(&self) -> usize {
        self.medians.len()
    }

    /// Median and inverse spread of a feature.
    pub fn of(&self, feature: usize) -> (f32, f32) {
        (self.medians[feature], self.inverses[feature])
    }

    /// The value that stands at a scaled one.
    pub(super) fn unscaled(&self, feature: usize, scaled: f32) -> f32 {
        let (median, inverse) = self.of(feature);
        median + scaled / inverse
    }

    /// Scales a row; what is not a number becomes 0, which is ordinary.
    pub fn scale_row(&self, row: &[f32], to: &mut [f32]) {
        assert!(row.len() == self.width() && to.len() == self.width(), "a row of {} features", self.width());
        for (i, (to, &x)) in to.iter_mut().zip(row).enumerate() {
            let (middle, inverse) = self.of(i);
            *to = if x.is_nan() { 0.0 } else { scale_one(x, middle, inverse, CLIP) };
        }
    }

    /// See [`super::Model::check`].
    pub(super) fn check(&self, width: usize) -> Result<(), &'static str> {
        let sound =
            self.medians.iter().all(|x| x.is_finite()) && self.inverses.iter().all(|x| x.is_finite() && *x > 0.0);
        match sound && self.medians.len() == width && self.inverses.len() == width {
            true => Ok(()),
            false => Err("a scaler that does not fit its features"),
        }
    }
}

/// Median and spread of sorted finite numbers; the spread is above zero.
pub(super) fn robust_spread(sorted: &[f32]) -> (f32, f64) {
    let middle = median(sorted);
    let floor = SPREAD_SHARE_MIN * f64::from(middle).abs().max(1.0);
    let iqr = f64::from(quantile(sorted, 0.75)) - f64::from(quantile(sorted, 0.25));
    let mut deviations: Vec<f32> = sorted.iter().map(|&x| (f64::from(x) - f64::from(middle)).abs() as f32).collect();
    deviations.sort_by(f32::total_cmp);
    let mean_deviation = deviations.iter().map(|&d| f64::from(d)).sum::<f64>() / deviations.len().max(1) as f64;
    let candidates = [iqr / IQR_OF_NORMAL, f64::from(median(&deviations)) * SIGMA_OF_MAD, mean_deviation];
    // Within f32, so that its inverse is neither zero nor infinite.
    let spread = candidates.into_iter().find(|&spread| spread > floor).unwrap_or(floor);
    (middle, spread.min(1e30))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_of_known_columns() {
        let normal_like: Vec<f32> = (0..101).map(|i| i as f32).collect();
        let cases: [(&str, Vec<f32>, f32, f64); 5] = [
            ("nothing", vec![], 0.0, 0.01),
            ("one", vec![300.0], 300.0, 3.0),
            ("even steps", normal_like, 50.0, 50.0 / 1.349),
            ("constant", vec![5.0; 40], 5.0, 0.05),
            ("nine zeros and a one", [vec![0.0; 9], vec![1.0]].concat(), 0.0, 0.1),
        ];
        for (name, column, middle, spread) in cases {
            let got = robust_spread(&column);
            assert!((got.0 - middle).abs() < 1e-6 && (got.1 - spread).abs() < 1e-6, "{name}: {got:?}");
        }
    }

    #[test]
    fn a_fifth_of_wild_rows_hides_nothing() {
        let column: Vec<f32> = (0..100).map(|i| if i < 80 { (i % 10) as f32 } else { 1e9 }).collect();
        let scaler = Scaler::fit([column]);
        let mut scaled = [0.0];
        scaler.scale_row(&[1e9], &mut scaled);
        assert_eq!(scaled[0], CLIP);
        scaler.scale_row(&[f32::NAN], &mut scaled);
        assert_eq!(scaled[0], 0.0);
        assert!(scaler.check(1).is_ok() && scaler.check(2).is_err());
    }
}
