//! Codebook: which of at most 256 kinds a flow is.
//! In: a feature matrix. Out: a codeword for each row. Bounds: [`CODEWORDS_MAX`] codewords; assignment allocates nothing.
//! Fitted once, off the hot path, by linfa's k-means with one run; memberships are counted again by our own assignment,
//! because linfa's counts of several runs disagree with its own predictions.

use linfa::prelude::Fit;
use linfa::{DatasetBase, ParamGuard};
use linfa_clustering::KMeans;
use linfa_nn::distance::L2Dist;
use ndarray::Array2;
use rand_xoshiro::Xoshiro256Plus;
use rand_xoshiro::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use super::scale::{CLIP, Scaler};
use crate::features::{self, FEATURE_COUNT, FeatureMatrix};
use crate::simd::arithmetic::scale;
use crate::simd::centroid::{CENTROIDS_MAX, Centroids, ColumnBlock, NEAREST_LANES, nearest};

/// Most codewords.
pub const CODEWORDS_MAX: usize = CENTROIDS_MAX;
/// Cells of [`Codebook::grid`].
pub const GRID_CELLS: usize = 64;
/// Rounds of k-means at most: what still moves after so many moves little.
const ROUNDS_MAX: u64 = 60;

/// A way to tell flows into kinds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Codebook(Kind);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Kind {
    /// Fixed cells.
    Grid,
    /// Fitted centroids, one after the other, in scaled units.
    Fitted { scaler: Scaler, centroids: Vec<f32>, members: Vec<u64> },
}

impl Codebook {
    /// The quantiser for when there is no model: 64 cells, laid by hand and the same everywhere.
    ///
    /// `cell = orig · 16 + resp · 4 + regular · 2 + long`: `orig` and `resp` are 0 for no payload, 1 below 1 KiB, 2 below
    /// 64 KiB, 3 above; `regular` is 1 where the originator's gaps spread by less than half their mean and there are at
    /// least three of them; `long` is 1 for a flow that is ten seconds old or older.
    pub fn grid() -> Self {
        Self(Kind::Grid)
    }

    /// Fits centroids to a sample. Fewer codewords come out where the sample has fewer distinct rows.
    pub fn fit(sample: &FeatureMatrix, codewords: usize, seed: u64) -> Self {
        if sample.is_empty() {
            return Self::grid();
        }
        let scaler =
            Scaler::fit((0..FEATURE_COUNT).map(|i| sample.blocks().flat_map(|b| b.column(i).to_vec()).collect()));
        let mut scaled = Array2::<f32>::zeros((sample.rows(), FEATURE_COUNT));
        let mut row = [0.0; FEATURE_COUNT];
        for (i, mut to) in scaled.rows_mut().into_iter().enumerate() {
            sample.copy_row(i, &mut row);
            if let Some(to) = to.as_slice_mut() {
                scaler.scale_row(&row, to);
            }
        }
        let centroids = k_means(scaled, codewords.clamp(1, CODEWORDS_MAX), seed);
        Self(Kind::Fitted { scaler, members: vec![0; centroids.len() / FEATURE_COUNT], centroids })
            .without_empty(sample)
    }

    /// How many codewords there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Kind::Grid => GRID_CELLS,
            Kind::Fitted { members, .. } => members.len(),
        }
    }

    /// Never: a codebook has at least one codeword.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows of the fitting sample that have each codeword; empty for the grid.
    pub fn members(&self) -> &[u64] {
        match &self.0 {
            Kind::Grid => &[],
            Kind::Fitted { members, .. } => members,
        }
    }

    /// A few words that tell a codeword from the others: the features in which its centroid lies farthest out.
    pub fn describe(&self, codeword: u16) -> String {
        let cell = usize::from(codeword);
        match &self.0 {
            Kind::Grid => {
                let volume = |level: usize| ["nothing", "under 1 KiB", "under 64 KiB", "64 KiB or more"][level % 4];
                let gaps = ["irregular", "regular"][cell / 2 % 2];
                let age = ["short", "long"][cell % 2];
                format!("out {}, in {}, {gaps}, {age}", volume(cell / 16), volume(cell / 4))
            }
            Kind::Fitted { centroids, .. } => {
                let Some(centroid) = centroids.chunks_exact(FEATURE_COUNT).nth(cell) else { return String::new() };
                let mut order: Vec<usize> = (0..FEATURE_COUNT).collect();
                order.sort_by(|&a, &b| centroid[b].abs().total_cmp(&centroid[a].abs()).then(a.cmp(&b)));
                let words =
                    order.iter().take(3).map(|&i| format!("{} {:+.1}", features::FEATURES[i].name, centroid[i]));
                words.collect::<Vec<_>>().join(", ")
            }
        }
    }

    /// A codeword as people would say it: what either side sends, how long it lasts, then what tells it from the others.
    pub fn words(&self, codeword: u16) -> String {
        let Kind::Fitted { scaler, centroids, .. } = &self.0 else { return self.describe(codeword) };
        let Some(centroid) = centroids.chunks_exact(FEATURE_COUNT).nth(usize::from(codeword)) else {
            return String::new();
        };
        let value = |column: usize| f64::from(scaler.unscaled(column, centroid[column])).exp_m1().max(0.0);
        let [orig, resp, _, packets, _, duration] = GRID_COLUMNS;
        let bytes = |n: f64| match n {
            n if n < 1_024.0 => format!("{n:.0} B"),
            n if n < 1_048_576.0 => format!("{:.1} KiB", n / 1_024.0),
            n => format!("{:.1} MiB", n / 1_048_576.0),
        };
        let lasts = match value(duration) {
            ms if ms < 1_000.0 => format!("{ms:.0} ms"),
            ms => format!("{:.1} s", ms / 1e3),
        };
        format!(
            "sends {} in {:.0} packets, receives {}, lasts {lasts}; {}",
            bytes(value(orig)),
            value(packets),
            bytes(value(resp)),
            self.describe(codeword)
        )
    }

    /// Each row's codeword, in order; what `codewords` held before is gone.
    pub fn assign(&self, matrix: &FeatureMatrix, codewords: &mut Vec<u16>) {
        codewords.clear();
        codewords.resize(matrix.rows(), 0);
        match &self.0 {
            Kind::Grid => assign_grid(matrix, codewords),
            Kind::Fitted { scaler, centroids, .. } => {
                assign_nearest(matrix, scaler, Centroids { values: centroids, width: FEATURE_COUNT }, codewords);
            }
        }
    }

    /// Counts the members of each codeword and drops those that have none.
    fn without_empty(self, sample: &FeatureMatrix) -> Self {
        let mut codewords = Vec::new();
        self.assign(sample, &mut codewords);
        let Kind::Fitted { scaler, centroids, mut members } = self.0 else { return self };
        codewords.iter().for_each(|&k| members[usize::from(k)] += 1);
        let kept = |k: &usize| members[*k] > 0;
        let centroids =
            centroids.chunks_exact(FEATURE_COUNT).enumerate().filter(|(k, _)| kept(k)).flat_map(|(_, c)| c.to_vec());
        let centroids = centroids.collect();
        members.retain(|&n| n > 0);
        Self(Kind::Fitted { scaler, centroids, members })
    }

    /// See [`super::Model::check`].
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let Kind::Fitted { scaler, centroids, members } = &self.0 else { return Ok(()) };
        scaler.check(FEATURE_COUNT)?;
        let whole =
            !members.is_empty() && members.len() <= CODEWORDS_MAX && centroids.len() == members.len() * FEATURE_COUNT;
        match whole && centroids.iter().all(|x| x.is_finite()) {
            true => Ok(()),
            false => Err("a codebook whose centroids do not fit its features"),
        }
    }
}

/// One run of linfa's k-means over scaled rows; duplicates among its centroids are left for `without_empty`.
fn k_means(scaled: Array2<f32>, codewords: usize, seed: u64) -> Vec<f32> {
    let rows = scaled.nrows();
    let params = KMeans::params_with(codewords.min(rows), Xoshiro256Plus::seed_from_u64(seed), L2Dist)
        .n_runs(1)
        .max_n_iterations(ROUNDS_MAX)
        .tolerance(1e-3);
    let dataset = DatasetBase::from(scaled);
    let fitted = params.check().ok().and_then(|params| params.fit(&dataset).ok());
    match fitted {
        Some(model) => model.centroids().iter().copied().collect(),
        // Only an infinite inertia ends here, which clipped rows cannot have; their first row is then the one codeword.
        None => dataset.records().row(0).to_vec(),
    }
}

/// Scales 64 rows at a time into 16 KB of stack, which stay in the first-level cache, and asks the kernel.
fn assign_nearest(matrix: &FeatureMatrix, scaler: &Scaler, centroids: Centroids<'_>, codewords: &mut [u16]) {
    let mut scaled = [0.0f32; FEATURE_COUNT * NEAREST_LANES];
    let mut distances = [0.0f32; NEAREST_LANES];
    for block in matrix.blocks() {
        for from in (0..block.rows()).step_by(NEAREST_LANES) {
            let rows = (block.rows() - from).min(NEAREST_LANES);
            for (feature, to) in scaled.chunks_exact_mut(NEAREST_LANES).enumerate() {
                let (median, inverse) = scaler.of(feature);
                scale(&block.column(feature)[from..from + rows], median, inverse, CLIP, to);
            }
            let start = block.start() + from;
            let values = ColumnBlock { values: &scaled, stride: NEAREST_LANES, width: FEATURE_COUNT };
            nearest(values, centroids, &mut codewords[start..start + rows], &mut distances[..rows]);
        }
    }
}

/// Columns that the grid looks at.
const GRID_COLUMNS: [usize; 6] = [
    column("orig_payload_bytes_log"),
    column("resp_payload_bytes_log"),
    column("orig_gap_spread"),
    column("orig_packets_log"),
    column("age_log"),
    column("duration_log"),
];

fn assign_grid(matrix: &FeatureMatrix, codewords: &mut [u16]) {
    let volume = |log: f32| u16::from(log > 0.0) + u16::from(log >= 6.932_4) + u16::from(log >= 11.090_37);
    for block in matrix.blocks() {
        let [orig, resp, spread, packets, age, duration] = GRID_COLUMNS.map(|i| block.column(i));
        for (i, to) in codewords[block.start()..][..block.rows()].iter_mut().enumerate() {
            // Four packets have three gaps: ln(1 + 4) = 1.609; ten seconds: ln(1 + 10) = 2.398, in milliseconds 9.210.
            let regular = u16::from(spread[i] < 0.5 && packets[i] > 1.6);
            let long = u16::from(age[i] >= 2.397_8 || duration[i] >= 9.210_4);
            *to = volume(orig[i]) * 16 + volume(resp[i]) * 4 + regular * 2 + long;
        }
    }
}

/// A feature's column by its name, looked up when the program is built.
const fn column(name: &str) -> usize {
    let mut i = 0;
    while i < features::FEATURES.len() {
        let (a, b) = (features::FEATURES[i].name.as_bytes(), name.as_bytes());
        let mut at = 0;
        while at < a.len() && at < b.len() && a[at] == b[at] {
            at += 1;
        }
        if at == a.len() && at == b.len() {
            return i;
        }
        i += 1;
    }
    panic!("no such feature")
}

#[cfg(test)]
mod tests {
    use linfa::prelude::Predict;
    use proptest::prelude::*;

    use super::*;
    use crate::model::tests::blobs;

    #[test]
    fn nearest_is_what_linfa_predicts() {
        let sample = blobs(900, 12, 3);
        let Codebook(Kind::Fitted { scaler, centroids, members }) = Codebook::fit(&sample, 24, 5) else {
            panic!("fitted")
        };
        let k = centroids.len() / FEATURE_COUNT;
        let fixed = Array2::from_shape_vec((k, FEATURE_COUNT), centroids.clone()).expect("whole centroids");
        let mut scaled = Array2::<f32>::zeros((sample.rows(), FEATURE_COUNT));
        let mut row = [0.0; FEATURE_COUNT];
        for (i, mut to) in scaled.rows_mut().into_iter().enumerate() {
            sample.copy_row(i, &mut row);
            scaler.scale_row(&row, to.as_slice_mut().expect("rows are contiguous"));
        }
        // One round from our own centroids moves linfa's; so predict is asked of a model that stands where they stand.
        let model = KMeans::params(k)
            .n_runs(1)
            .max_n_iterations(1)
            .init_method(linfa_clustering::KMeansInit::Precomputed(fixed.clone()))
            .fit(&DatasetBase::from(scaled.clone()))
            .expect("fits");
        let moved: Vec<f32> = model.centroids().iter().copied().collect();
        let theirs = model.predict(&scaled);
        let ours = Codebook(Kind::Fitted { scaler, centroids: moved, members });
        let mut codewords = Vec::new();
        ours.assign(&sample, &mut codewords);
        let different = theirs.iter().zip(&codewords).filter(|(a, b)| **a != usize::from(**b)).count();
        assert_eq!(different, 0, "of {}", codewords.len());
    }

    #[test]
    fn a_fit_is_the_same_twice_and_its_members_are_all_rows() {
        let sample = blobs(700, 9, 1);
        let (a, b) = (Codebook::fit(&sample, 16, 7), Codebook::fit(&sample, 16, 7));
        assert_eq!(a, b);
        assert_eq!(a.members().iter().sum::<u64>(), 700);
        assert!(a.check().is_ok() && a.len() <= 16 && a.len() >= 9, "{}", a.len());
        assert!(!a.describe(0).is_empty());
    }

    #[test]
    fn degenerate_samples_give_a_codebook() {
        let cases = [("no row", 0, 1), ("one row", 1, 1), ("the same row", 50, 1), ("fewer rows than codewords", 5, 5)];
        for (name, rows, kinds) in cases {
            let sample = blobs(rows, kinds, 2);
            let mut same = FeatureMatrix::new();
            let mut row = [0.0; FEATURE_COUNT];
            for _ in 0..rows {
                sample.copy_row(0, &mut row);
                same.push_row(&row);
            }
            for sample in [&sample, &same] {
                let codebook = Codebook::fit(sample, 64, 1);
                assert!(codebook.check().is_ok(), "{name}");
                let mut codewords = vec![3; 7];
                codebook.assign(sample, &mut codewords);
                assert_eq!(codewords.len(), rows, "{name}");
                assert!(codewords.iter().all(|&k| usize::from(k) < codebook.len()), "{name}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn grid_cells_are_in_range_and_say_what_they_are(seed in any::<u64>(), rows in 0usize..600) {
            let sample = blobs(rows, 40, seed);
            let mut codewords = Vec::new();
            Codebook::grid().assign(&sample, &mut codewords);
            prop_assert_eq!(codewords.len(), rows);
            for &k in &codewords {
                prop_assert!(usize::from(k) < GRID_CELLS);
                prop_assert!(!Codebook::grid().describe(k).is_empty());
            }
        }
    }
}
