//! Density: how far a profile is from its neighbours among the ordinary ones.
//! In: scaled rows. Out: the distance to the k-th nearest ordinary row, in units of what is usual among those themselves.
//! Bounds: [`POINTS_MAX`] rows kept. The search is linfa's, and linear: trees do not help in dozens of dimensions.

use linfa_nn::distance::L2Dist;
use linfa_nn::{CommonNearestNeighbour, NearestNeighbour};
use ndarray::{ArrayView1, ArrayView2};
use serde::{Deserialize, Serialize};

use super::median;

/// Rows kept at most: three models of spans, 35 features and 400 rows are 168 kB of a file.
pub(super) const POINTS_MAX: usize = 400;
/// Which neighbour counts: one lone twin, or four, do not make a profile ordinary.
const NEIGHBOUR: usize = 5;
/// Which one counts where pockets are looked for: more than a pocket of 5 % of the rows has members, by chance too.
const POCKET_NEIGHBOUR_SHARE: f64 = 0.09;
/// Smallest usual distance: where the ordinary rows are all the same, the next one is not infinitely strange.
const UNIT_MIN: f64 = 0.1;

/// Largest scaled coordinate that a model may hold: squares of differences, summed over a profile, stay far below the
/// largest f32. Scaled rows are clipped long before.
const COORDINATE_MAX: f32 = 1e12;

/// Ordinary rows and their usual distance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Density {
    width: usize,
    points: Vec<f32>,
    neighbour: usize,
    unit: f64,
}

impl Density {
    /// From scaled rows, one after the other; of more than [`POINTS_MAX`] the first ones (they come shuffled).
    pub fn fit(rows: &[f32], width: usize) -> Self {
        Self::with_neighbour(rows, width, |_| NEIGHBOUR)
    }

    /// The same where a pocket of alike rows, 5 % of all, must not be each other's neighbours.
    pub(super) fn beyond_pockets(rows: &[f32], width: usize) -> Self {
        Self::with_neighbour(rows, width, |count| (count as f64 * POCKET_NEIGHBOUR_SHARE) as usize)
    }

    fn with_neighbour(rows: &[f32], width: usize, neighbour: impl Fn(usize) -> usize) -> Self {
        let width = width.max(1);
        let count = (rows.len() / width).min(POINTS_MAX);
        let points = rows[..count * width].to_vec();
        // With few rows the k-th neighbour of most is already a stranger.
        let neighbour = neighbour(count).min(count / 4).max(1);
        let mut density = Self { width, points, neighbour, unit: 1.0 };
        let mut usual: Vec<f32> = density.own_scores().map(|score| score as f32).collect();
        usual.sort_by(f32::total_cmp);
        density.unit = f64::from(median(&usual)).max(UNIT_MIN);
        density
    }

    /// The usual distance, in scaled units; above 0.
    pub(super) fn unit(&self) -> f64 {
        self.unit
    }

    /// How many rows it stands on.
    pub fn len(&self) -> usize {
        self.points.len() / self.width.max(1)
    }

    /// Whether it stands on none.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// Distance of a scaled row to its k-th ordinary neighbour, 1 being usual; 1 where there is no ordinary row at all.
    pub fn score(&self, row: &[f32]) -> f64 {
        if self.is_empty() {
            return 1.0;
        }
        self.distance(row, self.neighbour) / self.unit
    }

    /// The same for each of its own rows, the row itself not counted as its neighbour.
    pub fn own_scores(&self) -> impl Iterator<Item = f64> {
        let alone = self.len() < 2;
        self.points.chunks_exact(self.width.max(1)).map(move |row| match alone {
            true => 1.0,
            false => self.distance(row, self.neighbour + 1) / self.unit,
        })
    }

    /// Distance to the `nth` nearest row, or to the farthest where there are fewer.
    fn distance(&self, row: &[f32], nth: usize) -> f64 {
        assert_eq!(row.len(), self.width, "a row of the width it was fitted on");
        // Not a number would stop the search, and so would a square that overflows; scaled rows hold neither.
        let row: Vec<f32> =
            row.iter().map(|&x| if x.is_finite() { x.clamp(-COORDINATE_MAX, COORDINATE_MAX) } else { 0.0 }).collect();
        let points = ArrayView2::from_shape((self.len(), self.width), &self.points);
        let Ok(points) = points else { return self.unit };
        let nearest = CommonNearestNeighbour::LinearSearch.from_batch(&points, L2Dist);
        let found = nearest.ok().and_then(|index| {
            let found = index.k_nearest(ArrayView1::from(&row), nth).ok()?;
            let (point, _) = found.last()?;
            Some(point.iter().zip(&row).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>())
        });
        found.map_or(self.unit, f64::sqrt)
    }

    /// See [`super::Model::check`].
    pub(super) fn check(&self, width: usize) -> Result<(), &'static str> {
        let whole =
            self.width == width.max(1) && self.points.len().is_multiple_of(self.width) && self.len() <= POINTS_MAX;
        let sound = self.unit >= UNIT_MIN && self.unit.is_finite() && (1..=NEIGHBOUR).contains(&self.neighbour);
        match whole && sound && self.points.iter().all(|x| x.abs() <= COORDINATE_MAX) {
            true => Ok(()),
            false => Err("a density whose rows do not fit its features"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_of_known_crowds() {
        let line: Vec<f32> = (0..100).map(|i| i as f32).collect();
        let cases: [(&str, Vec<f32>, f32, f64, f64); 6] = [
            ("nobody", vec![], 3.0, 1.0, 1.0),
            ("one, itself", vec![3.0], 3.0, 0.0, 0.0),
            ("all the same, itself", vec![3.0; 50], 3.0, 0.0, 0.0),
            ("all the same, another", vec![3.0; 50], 4.0, 10.0, 10.0),
            ("in a line", line.clone(), 50.2, 0.5, 1.5),
            ("far from a line", line, 600.0, 150.0, 200.0),
        ];
        for (name, rows, asked, low, high) in cases {
            let density = Density::fit(&rows, 1);
            let score = density.score(&[asked]);
            assert!((low..=high).contains(&score), "{name}: {score}");
            assert!(density.check(1).is_ok(), "{name}");
            assert_eq!(density.own_scores().count(), rows.len(), "{name}");
        }
    }
}
