//! Codewords: nanoseconds a flow for the nearest of 64 centroids, plain, at each level, and by linfa's `predict`.
//! `cargo bench --bench codewords`. Every line's answer is checked: the levels agree with each other and with linfa.
#![allow(missing_docs, reason = "a program")]
#![allow(clippy::print_stdout, reason = "a bench prints")]

use std::time::Instant;

use linfa::DatasetBase;
use linfa::prelude::{Fit, Predict};
use linfa_clustering::{KMeans, KMeansInit};
use ndarray::Array2;
use trawlwatch::features::{FEATURE_COUNT, FEATURES, FeatureMatrix};
use trawlwatch::model::{Codebook, FitConfig};
use trawlwatch::simd::Level;
use trawlwatch::simd::centroid::{Centroids, ColumnBlock, nearest};

const CENTROIDS: usize = 64;
const ROWS: usize = 512;
const STRIDE: usize = ROWS + 64;

fn main() {
    let mut state = 5u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 21) as f32 - 4.0
    };
    let values: Vec<f32> = (0..STRIDE * FEATURE_COUNT).map(|_| next()).collect();
    let centres: Vec<f32> = (0..CENTROIDS * FEATURE_COUNT).map(|_| next()).collect();
    let rows = Array2::from_shape_fn((ROWS, FEATURE_COUNT), |(i, d)| values[d * STRIDE + i]);
    let fixed = Array2::from_shape_vec((CENTROIDS, FEATURE_COUNT), centres).expect("whole centroids");
    let model = KMeans::params(CENTROIDS)
        .n_runs(1)
        .max_n_iterations(1)
        .init_method(KMeansInit::Precomputed(fixed))
        .fit(&DatasetBase::from(rows.clone()))
        .expect("fits");
    let centres: Vec<f32> = model.centroids().iter().copied().collect();
    let wanted: Vec<u16> = model.predict(&rows).iter().map(|&k| k as u16).collect();

    let block = ColumnBlock { values: &values, stride: STRIDE, width: FEATURE_COUNT };
    let centroids = Centroids { values: &centres, width: FEATURE_COUNT };
    let (mut indices, mut distances) = (vec![0u16; ROWS], vec![0f32; ROWS]);
    let mut fastest = f64::INFINITY;
    for level in Level::ALL.into_iter().filter(|level| level.is_available()) {
        let ns = best_of(|| nearest::at(level, std::hint::black_box(block), centroids, &mut indices, &mut distances));
        assert_eq!(indices, wanted, "{} agrees with linfa", level.name());
        line("model/nearest", level.name(), ns, &indices);
        fastest = fastest.min(ns);
    }
    let mut theirs = Vec::new();
    // On one thread, as ours: it takes every core that it finds.
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    let mut predict = || theirs = model.predict(std::hint::black_box(&rows)).iter().map(|&k| k as u16).collect();
    let ns = alone.install(|| best_of(&mut predict));
    line("model/nearest", "linfa", ns, &theirs);
    println!("model/ratio    fastest    {:.1} times as fast as linfa, the same answers", ns / fastest);

    // The whole assignment: scaling, nearest, from a feature matrix; and the grid that needs no model.
    let mut matrix = FeatureMatrix::new();
    for row in rows.rows() {
        matrix.push_row(&std::array::from_fn(|d| {
            let (low, high) = FEATURES[d].range;
            low + (high - low) * (row[d] + 4.0) / 8.0
        }));
    }
    let mut codewords = Vec::new();
    for (name, codebook) in [("fitted", Codebook::fit(&matrix, CENTROIDS, 1)), ("grid", Codebook::grid())] {
        let ns = best_of(|| codebook.assign(std::hint::black_box(&matrix), &mut codewords));
        assert!(codewords.iter().all(|&k| usize::from(k) < codebook.len()), "{name}");
        line("model/assign", name, ns, &codewords);
    }
    fit(&matrix);
}

/// One whole fit of as many rows as `FitConfig` uses at most: what `train` waits for.
fn fit(kinds: &FeatureMatrix) {
    let rows_max = FitConfig::default().flow_rows_max;
    let mut sample = FeatureMatrix::new();
    let mut row = [0.0; FEATURE_COUNT];
    for i in 0..rows_max {
        kinds.copy_row(i * 7 % kinds.rows(), &mut row);
        row[i % FEATURE_COUNT] *= 0.9;
        sample.push_row(&row);
    }
    let start = Instant::now();
    let codebook = Codebook::fit(&sample, CENTROIDS, 1);
    let us = start.elapsed().as_secs_f64() / rows_max as f64 * 1e6;
    assert_eq!(codebook.members().iter().sum::<u64>(), rows_max as u64, "every row is a member");
    println!(
        "model/fit      linfa      n={rows_max} x {FEATURE_COUNT} -> {}  {us:.1} us/flow  {:.1} s",
        codebook.len(),
        us * rows_max as f64 / 1e6
    );
}

/// Nanoseconds a row, the best of many short rounds: on a machine that others use, a long round measures the others.
fn best_of(mut run: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..400 {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed().as_secs_f64() / ROWS as f64 * 1e9);
    }
    best
}

fn line(stage: &str, name: &str, ns: f64, codewords: &[u16]) {
    let check = codewords.iter().fold(0x811c_9dc5u32, |hash, &k| (hash ^ u32::from(k)).wrapping_mul(0x0100_0193));
    println!(
        "{stage:<14} {name:<9}  n={ROWS} x {FEATURE_COUNT} -> {CENTROIDS}  {ns:.1} ns/flow  {:.2} Mflow/s  check={check:08x}",
        1e3 / ns
    );
}
