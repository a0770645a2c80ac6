//! Plane: collectors by their profiles, laid out in two dimensions so that what lies apart is seen.
//! In: profiles of collectors that several subscribers share. Out: points; those of findings are marked.
//! Principal components (Pearson 1901) of profiles scaled by median and quartiles; a picture, not evidence: detectors look
//! at all dimensions. Bounds: [`PROFILES_MAX`] profiles, [`PROFILES_A_WINDOW`] looked at in each window.

use std::collections::BTreeMap;

use ndarray::{Array1, Array2};

use crate::detect::finding::{Finding, Severity};
use crate::population::collector::CollectorKey;
use crate::population::groups::CollectorGroup;
use crate::population::profile::{PROFILE_LEN, ProfileContext, profile_of};
use crate::population::{Populations, Summary};

/// Most profiles kept.
pub const PROFILES_MAX: usize = 2_000;
/// Profiles made of one window, those with most subscribers.
pub const PROFILES_A_WINDOW: usize = 500;
/// Fewest subscribers of a collector that stands in the plane: a profile of fewer says little, and would break groups down
/// that are too small.
const SUBSCRIBERS_MIN: u64 = 5;
/// Fewest points that show what is usual.
const POINTS_MIN: usize = 8;
/// Scaled values beyond this are drawn at it: one wild number must not press all else into a dot.
const SCALED_MAX: f64 = 6.0;
/// Steps of the power iteration: the picture is the same from 50 on.
const STEPS: usize = 200;

/// Points and how much of the differences they show.
#[derive(Clone, Debug, PartialEq)]
pub struct Plane {
    /// Every collector that stands in it.
    pub points: Vec<Point>,
    /// Share of the variance that the two axes hold, 0 to 1.
    pub variance_share: f64,
}

/// One collector.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Along the first and the second component.
    pub at: [f64; 2],
    /// The first finding that names it: its place in the list given, and how bad it is.
    pub finding: Option<(usize, Severity)>,
}

/// Profiles so far: the one made where most subscribers took part.
#[derive(Debug, Default)]
pub struct ProfileBook(BTreeMap<CollectorKey, (u64, [f32; PROFILE_LEN])>);

impl ProfileBook {
    /// Takes a window in.
    pub fn window(&mut self, summary: &Summary) {
        let mut popular: Vec<_> = summary
            .collectors
            .sorted()
            .into_iter()
            .map(|(key, one)| (one.subscribers.count(), *key, one))
            .filter(|(subscribers, ..)| *subscribers >= SUBSCRIBERS_MIN)
            .collect();
        if popular.is_empty() {
            return;
        }
        popular.sort_by_key(|(subscribers, key, _)| (std::cmp::Reverse(*subscribers), *key));
        let context = ProfileContext::new(summary);
        for (subscribers, key, one) in popular.into_iter().take(PROFILES_A_WINDOW) {
            let known = self.0.get(&key).map_or(0, |(known, _)| *known);
            let has_room = known > 0 || self.0.len() < PROFILES_MAX;
            if has_room && subscribers > known {
                self.0.insert(key, (subscribers, profile_of(&CollectorGroup::of(key), one, &context)));
            }
        }
    }

    /// Lays them out.
    pub fn plane(&self, findings: &[Finding], populations: &Populations) -> Option<Plane> {
        if self.0.len() < POINTS_MIN {
            return None;
        }
        let rows: Vec<&[f32; PROFILE_LEN]> = self.0.values().map(|(_, profile)| profile).collect();
        let (places, variance_share) = lay_out(&scaled(&rows));
        let named = |key: &CollectorKey| {
            let of = |finding: &Finding| {
                let is_theirs = || populations.called(&finding.population.name).contains(&key.population);
                finding.collector.addresses.contains(&key.address) && is_theirs()
            };
            let at = findings.iter().position(of)?;
            Some((at, findings[at].severity))
        };
        let points = self.0.keys().zip(places).map(|(key, at)| Point { at, finding: named(key) }).collect();
        Some(Plane { points, variance_share })
    }
}

/// Every column less its median, over its quartile distance; columns that do not differ are zero.
fn scaled(rows: &[&[f32; PROFILE_LEN]]) -> Array2<f64> {
    let mut matrix = Array2::zeros((rows.len(), PROFILE_LEN));
    for column in 0..PROFILE_LEN {
        let mut values: Vec<f64> = rows.iter().map(|row| f64::from(row[column])).collect();
        values.sort_by(f64::total_cmp);
        let at = |q: f64| values[((values.len() - 1) as f64 * q).round() as usize];
        let (median, spread) = (at(0.5), at(0.75) - at(0.25));
        let range = values[values.len() - 1] - values[0];
        // Where most are equal, the whole range has to do.
        let unit = if spread > 1e-9 { spread } else { range };
        if unit > 1e-9 {
            for (place, row) in rows.iter().enumerate() {
                matrix[(place, column)] = ((f64::from(row[column]) - median) / unit).clamp(-SCALED_MAX, SCALED_MAX);
            }
        }
    }
    matrix
}

/// Projects on the first two principal components; also says how much of the variance they hold.
fn lay_out(matrix: &Array2<f64>) -> (Vec<[f64; 2]>, f64) {
    let rows = matrix.nrows() as f64;
    let means = matrix.sum_axis(ndarray::Axis(0)) / rows;
    let centred = matrix - &means;
    let mut covariance = centred.t().dot(&centred) / rows;
    let total: f64 = covariance.diag().sum();
    let mut axes = Vec::with_capacity(2);
    let mut held = 0.0;
    for _ in 0..2 {
        let (axis, variance) = first_component(&covariance);
        let outer = |i: usize, j: usize| axis[i] * axis[j] * variance;
        covariance = Array2::from_shape_fn(covariance.dim(), |(i, j)| covariance[(i, j)] - outer(i, j));
        held += variance;
        axes.push(axis);
    }
    let places = centred.rows().into_iter().map(|row| [row.dot(&axes[0]), row.dot(&axes[1])]).collect();
    (places, if total > 0.0 { (held / total).clamp(0.0, 1.0) } else { 0.0 })
}

/// The direction of greatest variance by power iteration from a fixed start; its sign makes the largest part positive.
fn first_component(covariance: &Array2<f64>) -> (Array1<f64>, f64) {
    let width = covariance.nrows();
    let mut axis = Array1::from_shape_fn(width, |i| 1.0 + (i as f64) / width as f64);
    for _ in 0..STEPS {
        let next = covariance.dot(&axis);
        let length = next.dot(&next).sqrt();
        if length < 1e-12 {
            return (Array1::zeros(width), 0.0);
        }
        axis = next / length;
    }
    let largest = axis.iter().copied().fold(0.0, |best: f64, v| if v.abs() > best.abs() { v } else { best });
    if largest < 0.0 {
        axis.mapv_inplace(|v| -v);
    }
    let variance = axis.dot(&covariance.dot(&axis)).max(0.0);
    (axis, variance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_apart_is_seen_apart() {
        // Forty alike, one that differs in three features.
        let mut profiles: Vec<[f32; PROFILE_LEN]> =
            (0..40).map(|n| std::array::from_fn(|i| ((n * 7 + i * 13) % 11) as f32 / 11.0)).collect();
        profiles.push(std::array::from_fn(|i| if i < 3 { 9.0 } else { 0.5 }));
        let rows: Vec<&[f32; PROFILE_LEN]> = profiles.iter().collect();
        let (places, share) = lay_out(&scaled(&rows));
        let from_middle = |at: &[f64; 2]| at[0].hypot(at[1]);
        let furthest = (0..places.len()).max_by(|a, b| from_middle(&places[*a]).total_cmp(&from_middle(&places[*b])));
        assert_eq!(furthest, Some(40));
        assert!((0.05..=1.0).contains(&share), "{share}");
    }

    #[test]
    fn equal_profiles_fall_on_one_point() {
        let one = [0.5; PROFILE_LEN];
        let (places, share) = lay_out(&scaled(&[&one; 10]));
        assert!(places.iter().all(|at| *at == [0.0, 0.0]));
        assert_eq!(share, 0.0);
    }
}
