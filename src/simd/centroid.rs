//! Nearest centroid: the assignment of rows to codewords.
//! In: a block of columns and up to [`CENTROIDS_MAX`] centroids. Out: for each row the index of the nearest one (squared
//! Euclidean distance, features added up in order) and that distance; ties go to the lowest index.
//! A distance that is not a number is never the nearest; a row all of whose distances are such stays at centroid 0.

use super::kernel;

/// Most centroids: an index fits a byte.
pub const CENTROIDS_MAX: usize = 256;
/// Rows at a time: four registers of 512 bits or eight of 256 hold the sums of one centroid.
pub const NEAREST_LANES: usize = 64;

/// A block of columns: column d begins at `d * stride` and has at least the block's rows, rounded up to [`NEAREST_LANES`].
#[derive(Clone, Copy, Debug)]
pub struct ColumnBlock<'a> {
    /// The values.
    pub values: &'a [f32],
    /// Distance between the beginnings of two columns.
    pub stride: usize,
    /// Columns.
    pub width: usize,
}

/// Centroids, one after the other, `width` values each.
#[derive(Clone, Copy, Debug)]
pub struct Centroids<'a> {
    /// The values.
    pub values: &'a [f32],
    /// Values of one centroid.
    pub width: usize,
}

/// The nearest centroid of row `i`: the plain form.
pub fn nearest_one(block: ColumnBlock<'_>, i: usize, centroids: Centroids<'_>) -> (u16, f32) {
    let mut best = (0u16, f32::INFINITY);
    for (k, centroid) in centroids.values.chunks_exact(centroids.width).enumerate() {
        let mut sum = 0.0f32;
        for (d, &c) in centroid.iter().enumerate() {
            let difference = block.values[d * block.stride + i] - c;
            sum += difference * difference;
        }
        if sum < best.1 {
            best = (k as u16, sum);
        }
    }
    best
}

kernel! {
    /// The nearest centroid of the first `indices.len()` rows, and its squared distance.
    pub fn nearest(block: ColumnBlock<'_>, centroids: Centroids<'_>, indices: &mut [u16], distances: &mut [f32]) {
        check(block, centroids, indices, distances);
        let mut start = 0;
        for (indices, distances) in indices.chunks_mut(NEAREST_LANES).zip(distances.chunks_mut(NEAREST_LANES)) {
            let mut best = [f32::INFINITY; NEAREST_LANES];
            let mut best_index = [0u32; NEAREST_LANES];
            for (k, centroid) in centroids.values.chunks_exact(centroids.width).enumerate() {
                let mut sums = [0.0f32; NEAREST_LANES];
                for (d, &c) in centroid.iter().enumerate() {
                    let from = d * block.stride + start;
                    let Some(column) = block.values[from..].first_chunk::<NEAREST_LANES>() else { return };
                    for (sum, &x) in sums.iter_mut().zip(column) {
                        let difference = x - c;
                        *sum += difference * difference;
                    }
                }
                for ((best, index), sum) in best.iter_mut().zip(&mut best_index).zip(sums) {
                    let nearer = sum < *best;
                    *best = if nearer { sum } else { *best };
                    *index = if nearer { k as u32 } else { *index };
                }
            }
            for ((to, from), (d, b)) in indices.iter_mut().zip(best_index).zip(distances.iter_mut().zip(best)) {
                *to = from as u16;
                *d = b;
            }
            start += NEAREST_LANES;
        }
    } plain {
        check(block, centroids, indices, distances);
        for (i, (index, distance)) in indices.iter_mut().zip(distances).enumerate() {
            (*index, *distance) = nearest_one(block, i, centroids);
        }
    }
}

/// What the kernel relies on. A breach is ours, not the data's.
fn check(block: ColumnBlock<'_>, centroids: Centroids<'_>, indices: &[u16], distances: &[f32]) {
    let rows = indices.len().next_multiple_of(NEAREST_LANES);
    assert_eq!(indices.len(), distances.len(), "a distance for each index");
    assert!(block.width == centroids.width && block.width > 0, "columns are the centroids' features");
    assert!(rows <= block.stride, "columns are padded to whole groups of lanes");
    assert!((block.width - 1) * block.stride + rows <= block.values.len(), "the block holds all its columns");
    assert_eq!(centroids.values.len() % centroids.width, 0, "whole centroids");
    assert!(centroids.values.len() / centroids.width <= CENTROIDS_MAX, "an index fits a byte");
}
