//! The measures of [`super::histogram`] for a tile of rows at once: a row is a lane, so that nothing is added across lanes.
//! In: the columns of a tile, one a bin. Out: a number for each row, with the bits of the function of one row.

#![allow(clippy::needless_range_loop, reason = "loops over lanes read several arrays at one index")]

use super::logarithm::ln_one;
use super::tile::{COUNTS_MAX, Column, TILE_ROWS};

/// Places for what is worked out bin by bin; made once for many tiles, because clearing them costs as much as a measure.
pub(super) struct Terms {
    floats: [Column<f32>; COUNTS_MAX],
    sums: [Column<i32>; COUNTS_MAX],
}

impl Terms {
    #[inline(always)]
    pub(super) fn new() -> Self {
        Self { floats: [[0.0; TILE_ROWS]; COUNTS_MAX], sums: [[0; TILE_ROWS]; COUNTS_MAX] }
    }

    /// Adds the floats up, in the order in which `histogram` adds the lanes of a row.
    #[inline(always)]
    fn tree_sum(&self) -> Column<f32> {
        let (x, mut out) = (&self.floats, [0.0; TILE_ROWS]);
        for r in 0..TILE_ROWS {
            let a = (x[0][r] + x[8][r]) + (x[4][r] + x[12][r]);
            let b = (x[1][r] + x[9][r]) + (x[5][r] + x[13][r]);
            let c = (x[2][r] + x[10][r]) + (x[6][r] + x[14][r]);
            let d = (x[3][r] + x[11][r]) + (x[7][r] + x[15][r]);
            out[r] = (a + c) + (b + d);
        }
        out
    }

    /// Whatever an earlier measure left in bins that this one passes over.
    #[inline(always)]
    fn clear_but(&mut self, bins: std::ops::Range<usize>) {
        for b in (0..bins.start).chain(bins.end..COUNTS_MAX) {
            self.floats[b] = [0.0; TILE_ROWS];
        }
    }
}

/// Sum of the counts from bin `first`.
#[inline(always)]
pub(super) fn total<const N: usize>(columns: &[Column<u16>; N], first: usize) -> Column<i32> {
    let mut total = [0; TILE_ROWS];
    for column in &columns[first..] {
        for r in 0..TILE_ROWS {
            total[r] += i32::from(column[r]);
        }
    }
    total
}

/// Whole numbers as f32.
#[inline(always)]
pub(super) fn float(whole: &Column<i32>) -> Column<f32> {
    let mut float = [0.0; TILE_ROWS];
    for r in 0..TILE_ROWS {
        float[r] = whole[r] as f32;
    }
    float
}

/// Part of a total, 0 of an empty one.
#[inline(always)]
pub(super) fn share(part: &Column<i32>, total: &Column<i32>) -> Column<f32> {
    let mut share = [0.0; TILE_ROWS];
    for r in 0..TILE_ROWS {
        share[r] = part[r] as f32 / total[r].max(1) as f32;
    }
    share
}

/// The largest count.
#[inline(always)]
pub(super) fn most<const N: usize>(columns: &[Column<u16>; N]) -> Column<i32> {
    let mut most = [0; TILE_ROWS];
    for column in columns {
        for r in 0..TILE_ROWS {
            most[r] = column[r].max(most[r]);
        }
    }
    let mut wide = [0; TILE_ROWS];
    for r in 0..TILE_ROWS {
        wide[r] = i32::from(most[r]);
    }
    wide
}

/// See [`super::histogram::entropy_one`].
#[inline(always)]
pub(super) fn entropy<const N: usize>(
    columns: &[Column<u16>; N],
    total: &Column<i32>,
    first: usize,
    terms: &mut Terms,
) -> Column<f32> {
    terms.clear_but(first..N);
    for b in first..N {
        for r in 0..TILE_ROWS {
            let c = f32::from(columns[b][r]);
            terms.floats[b][r] = c * ln_one(if c > 0.0 { c } else { 1.0 });
        }
    }
    let mut entropy = terms.tree_sum();
    let most = ln_one((N - first).max(2) as f32);
    for r in 0..TILE_ROWS {
        let total = total[r].max(1) as f32;
        let share = (ln_one(total) - entropy[r] / total) / most;
        entropy[r] = if share > 0.0 { share } else { 0.0 };
    }
    entropy
}

/// See [`super::histogram::bowley_one`].
#[inline(always)]
pub(super) fn bowley<const N: usize>(
    columns: &[Column<u16>; N],
    total: &Column<i32>,
    terms: &mut Terms,
) -> Column<f32> {
    let mut sum = [0; TILE_ROWS];
    for b in 0..N {
        for r in 0..TILE_ROWS {
            sum[r] += i32::from(columns[b][r]);
        }
        terms.sums[b] = sum;
    }
    let sums = &terms.sums[..N];
    let quartiles = [quartile(sums, total, 1), quartile(sums, total, 2), quartile(sums, total, 3)];
    let mut skew = [0.0; TILE_ROWS];
    for r in 0..TILE_ROWS {
        let [q1, q2, q3] = [quartiles[0][r], quartiles[1][r], quartiles[2][r]];
        let width = q3 - q1;
        let above = width > 0.0;
        let quotient = (q1 + q3 - 2.0 * q2) / if above { width } else { 1.0 };
        skew[r] = if above { quotient } else { 0.0 };
    }
    skew
}

/// Where the running sums reach so many quarters of the total. The bin is found by counting those before it, and what it holds
/// as the difference of the last sum below and the first at or above: no lane looks anything up.
#[inline(always)]
fn quartile(sums: &[Column<i32>], total: &Column<i32>, quarters: i32) -> Column<f32> {
    let mut quartile = [0.0; TILE_ROWS];
    for r in 0..TILE_ROWS {
        let target = quarters * total[r];
        // 4 · sum < target, in whole numbers.
        let least = (target + 3) >> 2;
        let (mut bin, mut below, mut reached) = (0, 0, i32::MAX);
        for sums in sums {
            let sum = sums[r];
            let before = sum < least;
            bin = if before { bin + 1 } else { bin };
            below = if before { sum } else { below };
            reached = if before { reached } else { reached.min(sum) };
        }
        let count = (reached - below).max(1);
        quartile[r] = bin as f32 + (target as f32 * 0.25 - below as f32) / count as f32;
    }
    quartile
}

/// See [`super::histogram::overlap_one`].
#[inline(always)]
pub(super) fn overlap<const N: usize>(
    columns: &[[Column<u16>; N]; 2],
    totals: &[Column<i32>; 2],
    first: usize,
    terms: &mut Terms,
) -> Column<f32> {
    terms.clear_but(first..N);
    let [a, b] = columns;
    for i in first..N {
        for r in 0..TILE_ROWS {
            let p = f32::from(a[i][r]) / totals[0][r].max(1) as f32;
            let q = f32::from(b[i][r]) / totals[1][r].max(1) as f32;
            terms.floats[i][r] = if p < q { p } else { q };
        }
    }
    terms.tree_sum()
}
