//! Ablation: what each group of profile features and each model brings, and what others would bring instead.
//! In: the profiles of a day's collectors, and which of them belong to an operation. Out: for each setting the probability that
//! an operation's collector lies farther out than another one of its capture, and how many stand above all but 1 % of those.
//! Every setting sees one capture's own collectors and no label: what it finds is what `unattributed-cluster` could start from.
//! Bounds: [`ROWS_MAX`] collectors a capture; linfa's alternatives are quadratic.

use linfa::traits::{Fit, Transformer};
use linfa::{DatasetBase, ParamGuard};
use linfa_clustering::{Dbscan, KMeans, Optics};
use linfa_nn::CommonNearestNeighbour;
use linfa_nn::distance::L2Dist;
use ndarray::Array2;
use rand_xoshiro::Xoshiro256Plus;
use rand_xoshiro::rand_core::SeedableRng;
use serde::Serialize;

use super::interval::{self, Estimate};
use super::judged::Judged;
use crate::model::{Baseline, Density, Mixture, Scaler};
use crate::population::PROFILE_FEATURES;
use crate::units::Address;

/// Collectors of a capture that are compared at most.
pub const ROWS_MAX: usize = 1_500;
/// Fewest collectors that say anything of each other.
const ROWS_MIN: usize = 20;
/// Neighbours that make a dense place, for linfa's density clusterings.
const DENSE_POINTS: usize = 5;
/// Clusters of k-means.
const CLUSTERS: usize = 8;
/// Share of the other collectors that may stand above.
const ABOVE: f64 = 0.01;

/// The profile of one collector over a day.
#[derive(Clone, Debug)]
pub struct Profiled {
    /// Who.
    pub address: Address,
    /// One number a feature of the register.
    pub row: Vec<f32>,
}

/// Groups of features by what they look at; a feature that is in none counts as `other`.
const GROUPS: &[(&str, &[&str])] = &[
    ("breadth", &["subscribers_log2", "coverage"]),
    (
        "direction",
        &["upload_share", "producer_consumer_ratio", "answered_share", "one_way_share", "begun_by_collector_share"],
    ),
    (
        "sizes",
        &[
            "upload_row_median_log2",
            "download_row_median_log2",
            "upload_concentration",
            "download_concentration",
            "upload_likeness",
            "upload_size_entropy",
        ],
    ),
    (
        "time",
        &[
            "gap_median_log2",
            "gap_skew",
            "gap_deviation",
            "gap_regular_share",
            "period_agreement",
            "upload_gap_cv_log2",
            "duration_median_log2",
            "turns_log2",
            "synchrony",
            "persistence",
        ],
    ),
    ("volume", &["upload_per_subscriber_log2", "flows_per_subscriber_log2", "packets_per_row_log2"]),
    (
        "identity",
        &[
            "named_share",
            "looked_up_share",
            "names_log2",
            "domains_log2",
            "fingerprints_log2",
            "service_entropy",
            "protocol_entropy",
            "carried_share",
        ],
    ),
    ("flow codewords", &["codeword_entropy"]),
];

/// What one setting comes to.
#[derive(Clone, Debug, Serialize)]
pub struct Ablated {
    /// The setting.
    pub setting: String,
    /// Mean over captures: probability that an operation's collector lies farther out than another one.
    pub auc: Estimate,
    /// Mean over captures: share of the operations' collectors above all but 1 % of the others.
    pub above: Estimate,
}

/// Every setting over all captures that hold an operation.
pub fn of(judged: &[Judged]) -> Vec<Ablated> {
    let mut captures: Vec<&Judged> = judged.iter().collect();
    captures.sort_by(|a, b| a.name.cmp(&b.name));
    let tables: Vec<Table> = captures.iter().filter_map(|one| Table::of(one)).collect();
    let draws = interval::draws(&vec![true; tables.len()], interval::ROUNDS);
    settings().into_iter().map(|(setting, score)| measured(setting, &tables, &draws, &*score)).collect()
}

/// One capture's collectors.
struct Table {
    rows: Vec<Vec<f32>>,
    is_operation: Vec<bool>,
}

impl Table {
    fn of(one: &Judged) -> Option<Self> {
        let belongs = |address: &Address| one.labels.operations.iter().any(|o| o.collectors.contains(address));
        // Those of an operation are kept whatever their number.
        let mut kept: Vec<&Profiled> = one.profiles.iter().filter(|profiled| belongs(&profiled.address)).collect();
        let operations = kept.len();
        kept.extend(one.profiles.iter().filter(|profiled| !belongs(&profiled.address)).take(ROWS_MAX));
        let is_operation: Vec<bool> = (0..kept.len()).map(|i| i < operations).collect();
        let rows: Vec<Vec<f32>> = kept.into_iter().map(|profiled| profiled.row.clone()).collect();
        (operations > 0 && rows.len() >= ROWS_MIN).then_some(Self { rows, is_operation })
    }

    fn without(&self, dropped: &[usize]) -> Vec<Vec<f32>> {
        let keep = |row: &Vec<f32>| {
            row.iter().enumerate().filter(|(i, _)| !dropped.contains(i)).map(|(_, x)| *x).collect::<Vec<f32>>()
        };
        self.rows.iter().map(keep).collect()
    }
}

type Score = dyn Fn(&Table) -> Vec<f64>;

fn settings() -> Vec<(String, Box<Score>)> {
    let mut settings: Vec<(String, Box<Score>)> = vec![
        ("own bulk, most deviant quarter (in use)".to_owned(), Box::new(|table| bulk(&table.rows))),
        (
            "distance to the fifth neighbour (in use, trained)".to_owned(),
            Box::new(|table| neighbour(&scaled(&table.rows))),
        ),
        ("Gaussian mixture (in use, trained)".to_owned(), Box::new(|table| mixture(&scaled(&table.rows)))),
        ("k-means, distance to a crowd".to_owned(), Box::new(|table| k_means(&scaled(&table.rows)))),
        ("DBSCAN, noise and small clusters".to_owned(), Box::new(|table| dbscan(&scaled(&table.rows)))),
        ("OPTICS, reachability".to_owned(), Box::new(|table| optics(&scaled(&table.rows)))),
    ];
    for (group, names) in GROUPS {
        let dropped = columns(names);
        settings.push((format!("own bulk without {group}"), Box::new(move |table| bulk(&table.without(&dropped)))));
    }
    settings
}

fn columns(names: &[&str]) -> Vec<usize> {
    names.iter().filter_map(|name| PROFILE_FEATURES.iter().position(|feature| feature.name == *name)).collect()
}

fn measured(setting: String, tables: &[Table], draws: &[Vec<f64>], score: &Score) -> Ablated {
    let of_captures: Vec<(f64, f64)> =
        tables.iter().map(|table| separation(&score(table), &table.is_operation)).collect();
    let mean = |weights: Option<&[f64]>, of: &dyn Fn(&(f64, f64)) -> f64| {
        let weight = |i: usize| weights.map_or(1.0, |weights| weights[i]);
        let total: f64 = (0..of_captures.len()).map(weight).sum();
        let sum: f64 = of_captures.iter().enumerate().map(|(i, pair)| weight(i) * of(pair)).sum();
        (total > 0.0).then(|| sum / total)
    };
    let over = |of: &dyn Fn(&(f64, f64)) -> f64| {
        Estimate::bootstrapped(mean(None, of), draws.iter().map(|weights| mean(Some(weights), of)))
    };
    Ablated { setting, auc: over(&|pair| pair.0), above: over(&|pair| pair.1) }
}

/// Area under the ROC curve, and the share of operations above all but 1 % of the others.
fn separation(scores: &[f64], is_operation: &[bool]) -> (f64, f64) {
    let of = |kind: bool| scores.iter().zip(is_operation).filter(move |(_, is)| **is == kind).map(|(score, _)| *score);
    let mut others: Vec<f64> = of(false).collect();
    others.sort_by(f64::total_cmp);
    if others.is_empty() {
        return (0.5, 0.0);
    }
    let (mut won, mut above, mut all) = (0.0, 0.0, 0.0);
    for score in of(true) {
        let below = others.partition_point(|other| *other < score) as f64;
        let same = others.partition_point(|other| *other <= score) as f64 - below;
        let share = (below + 0.5 * same) / others.len() as f64;
        won += share;
        above += f64::from(u8::from(share >= 1.0 - ABOVE));
        all += 1.0;
    }
    (won / all, above / all)
}

fn bulk(rows: &[Vec<f32>]) -> Vec<f64> {
    let baseline = Baseline::of_bulk(rows);
    (0..rows.len()).map(|row| baseline.score_member(row).outlier).collect()
}

/// Scaled as a model scales them, one row after the other.
fn scaled(rows: &[Vec<f32>]) -> Array2<f32> {
    let width = rows.first().map_or(0, Vec::len);
    let scaler = Scaler::fit((0..width).map(|i| rows.iter().map(|row| row[i]).collect()));
    let mut all = vec![0.0; rows.len() * width];
    rows.iter().zip(all.chunks_exact_mut(width.max(1))).for_each(|(row, to)| scaler.scale_row(row, to));
    Array2::from_shape_vec((rows.len(), width), all).unwrap_or_default()
}

fn flat(rows: &Array2<f32>) -> Vec<f32> {
    rows.iter().copied().collect()
}

fn neighbour(rows: &Array2<f32>) -> Vec<f64> {
    let density = Density::fit(&flat(rows), rows.ncols());
    let own = |row: ndarray::ArrayView1<'_, f32>| density.score(&row.to_vec());
    rows.rows().into_iter().map(own).collect()
}

fn mixture(rows: &Array2<f32>) -> Vec<f64> {
    let fitted = Mixture::fit(&flat(rows), rows.ncols(), interval::SEED);
    let unlikely = |row: ndarray::ArrayView1<'_, f32>| fitted.score(&row.to_vec()).map_or(0.0, |(log, _)| -log);
    rows.rows().into_iter().map(unlikely).collect()
}

fn k_means(rows: &Array2<f32>) -> Vec<f64> {
    let params = KMeans::params_with(CLUSTERS, Xoshiro256Plus::seed_from_u64(interval::SEED), L2Dist).n_runs(1);
    let fitted = params.check().ok().and_then(|params| params.fit(&DatasetBase::from(rows.clone())).ok());
    let Some(fitted) = fitted else { return vec![0.0; rows.nrows()] };
    let square = |centroid: usize, row: usize| {
        fitted.centroids().row(centroid).iter().zip(rows.row(row)).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>()
    };
    let nearest = |row: usize, of: &[usize]| {
        let all = of.iter().map(|&centroid| (square(centroid, row), centroid));
        all.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((0.0, 0))
    };
    let all: Vec<usize> = (0..fitted.centroids().nrows()).collect();
    let mut members = vec![0; all.len()];
    (0..rows.nrows()).for_each(|row| members[nearest(row, &all).1] += 1);
    // A stranger is its own centroid: only crowds count.
    let crowds: Vec<usize> = all.into_iter().filter(|&centroid| members[centroid] >= DENSE_POINTS).collect();
    (0..rows.nrows()).map(|row| nearest(row, &crowds).0).collect()
}

/// How near rows must be for a dense place: what nine of ten have their fifth neighbour within.
fn reach(rows: &Array2<f32>) -> f32 {
    let mut distances = neighbour_distances(rows);
    distances.sort_by(f32::total_cmp);
    distances.get(distances.len() * 9 / 10).copied().unwrap_or(1.0).max(0.1)
}

fn neighbour_distances(rows: &Array2<f32>) -> Vec<f32> {
    let distance =
        |a: usize, b: usize| rows.row(a).iter().zip(rows.row(b)).map(|(x, y)| (x - y) * (x - y)).sum::<f32>().sqrt();
    let fifth = |i: usize| {
        let mut all: Vec<f32> = (0..rows.nrows()).filter(|&j| j != i).map(|j| distance(i, j)).collect();
        let nth = (DENSE_POINTS - 1).min(all.len().saturating_sub(1));
        if all.is_empty() { 0.0 } else { *all.select_nth_unstable_by(nth, f32::total_cmp).1 }
    };
    (0..rows.nrows()).map(fifth).collect()
}

fn dbscan(rows: &Array2<f32>) -> Vec<f64> {
    let params = Dbscan::params_with(DENSE_POINTS, L2Dist, CommonNearestNeighbour::LinearSearch).tolerance(reach(rows));
    let Ok(params) = params.check() else { return vec![0.0; rows.nrows()] };
    let labels = params.transform(rows);
    let size = |label: usize| labels.iter().filter(|other| **other == Some(label)).count() as f64;
    labels.iter().map(|label| label.map_or(1.0, |label| 1.0 / (1.0 + size(label)))).collect()
}

fn optics(rows: &Array2<f32>) -> Vec<f64> {
    let params = Optics::params_with(DENSE_POINTS, L2Dist, CommonNearestNeighbour::LinearSearch)
        .tolerance(reach(rows) * 4.0)
        .check();
    let mut scores = vec![f64::MAX; rows.nrows()];
    let Some(analysis) = params.ok().map(|params| params.transform(rows.view())) else {
        return vec![0.0; rows.nrows()];
    };
    for sample in analysis.iter() {
        // The first of each cluster has no reachability: how dense its own place is stands in.
        let reached = sample.reachability_distance().or(*sample.core_distance());
        if let (Some(score), Some(distance)) = (scores.get_mut(sample.index()), reached) {
            *score = f64::from(distance);
        }
    }
    scores
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_of_a_group_exists_and_stands_once() {
        let mut all: Vec<usize> = GROUPS.iter().flat_map(|(_, names)| columns(names)).collect();
        let named: usize = GROUPS.iter().map(|(_, names)| names.len()).sum();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), named, "a name of the register changed, or stands in two groups");
    }

    #[test]
    fn every_setting_tells_one_far_row_from_a_crowd() {
        let wave = |i: usize, f: usize| ((i * 7 + f * 13) % 11) as f32 * 0.1;
        let mut rows: Vec<Vec<f32>> =
            (0..60).map(|i| (0..PROFILE_FEATURES.len()).map(|f| wave(i, f)).collect()).collect();
        rows[0].iter_mut().for_each(|x| *x += 9.0);
        let is_operation: Vec<bool> = (0..60).map(|i| i == 0).collect();
        let table = Table { rows, is_operation };
        for (setting, score) in settings() {
            let scores = score(&table);
            assert!(scores.iter().all(|score| score.is_finite()), "{setting}");
            let (auc, _) = separation(&scores, &table.is_operation);
            assert!(auc > 0.9, "{setting}: {auc}");
        }
    }

    #[test]
    fn separation_of_known_scores() {
        let is_operation = [true, false, false, false, true];
        assert_eq!(separation(&[9.0, 1.0, 2.0, 3.0, 2.0], &is_operation), (0.75, 0.5));
        assert_eq!(separation(&[1.0; 5], &is_operation), (0.5, 0.0));
    }
}
