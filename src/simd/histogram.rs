//! Measures of histograms, one histogram a row.
//! In: rows of 12 or 16 counts (u16), never more than 16. Out: one number a row, 0 for an empty histogram.
//! A row's counts are the lanes: padded to 16 and summed as one fixed tree, so that every level gives the same bits.

#![allow(clippy::needless_range_loop, reason = "loops over lanes read several arrays at one index")]

use super::kernel;
use super::logarithm::ln_one;

/// Lanes of a row.
const LANES: usize = 16;

/// Counts of a row as f32 lanes, those below `first` and past the end zero. Plain loops here and below: the closures of
/// `array::map` and `from_fn` stay calls inside a function compiled for another level, and cost a sixth of all features.
#[inline(always)]
fn lanes<const N: usize>(row: &[u16; N], first: usize) -> [f32; LANES] {
    const { assert!(N <= LANES) };
    let mut lanes = [0.0; LANES];
    for i in 0..N {
        lanes[i] = if i >= first { f32::from(row[i]) } else { 0.0 };
    }
    lanes
}

/// Sum of 16 lanes, halves upon halves.
#[inline(always)]
fn tree_sum(x: [f32; LANES]) -> f32 {
    let mut a = [0.0; 8];
    for i in 0..8 {
        a[i] = x[i] + x[i + 8];
    }
    let mut b = [0.0; 4];
    for i in 0..4 {
        b[i] = a[i] + a[i + 4];
    }
    (b[0] + b[2]) + (b[1] + b[3])
}

/// Shannon entropy of a row over that of `N - first` equal bins: 0 all in one bin, 1 evenly spread.
#[inline(always)]
pub fn entropy_one<const N: usize>(row: &[u16; N], first: usize) -> f32 {
    let counts = lanes(row, first);
    let mut terms = [0.0; LANES];
    for i in 0..LANES {
        // c ln c, zero for an empty bin: ln 1 is exactly zero.
        let c = counts[i];
        terms[i] = c * ln_one(if c > 0.0 { c } else { 1.0 });
    }
    let total = tree_sum(counts);
    let total = if total > 0.0 { total } else { 1.0 };
    let nats = ln_one(total) - tree_sum(terms) / total;
    let most = ln_one((N - first).max(2) as f32);
    let share = nats / most;
    if share > 0.0 { share } else { 0.0 }
}

/// Bowley's skewness (Q1 + Q3 − 2 Q2) / (Q3 − Q1) of a row, its quartiles read off by linear interpolation in the bins; 0
/// where the quartiles coincide.
#[inline(always)]
pub fn bowley_one<const N: usize>(row: &[u16; N]) -> f32 {
    let mut cumulative = [0u32; LANES];
    let mut total = 0u32;
    for (sum, &c) in cumulative.iter_mut().zip(row) {
        total += u32::from(c);
        *sum = total;
    }
    cumulative[N..].fill(total);
    let q1 = quartile(row, &cumulative, total);
    let q2 = quartile(row, &cumulative, 2 * total);
    let q3 = quartile(row, &cumulative, 3 * total);
    let width = q3 - q1;
    if width > 0.0 { (q1 + q3 - 2.0 * q2) / width } else { 0.0 }
}

/// Where a row's counts reach `target`, which is in quarters of a count (below 3 · 16 · 65535), in bins.
#[inline(always)]
fn quartile<const N: usize>(row: &[u16; N], cumulative: &[u32; LANES], target: u32) -> f32 {
    let mut bin = 0u32;
    for sum in cumulative {
        bin += u32::from(sum * 4 < target);
    }
    let bin = (bin as usize).min(N - 1);
    let below = cumulative[bin] - u32::from(row[bin]);
    bin as f32 + (target as f32 * 0.25 - below as f32) / f32::from(row[bin].max(1))
}

/// Share of the fullest bin among the bins from `first`.
#[inline(always)]
pub fn mode_share_one<const N: usize>(row: &[u16; N], first: usize) -> f32 {
    let (mut most, mut total) = (0u32, 0u32);
    for &c in &row[first..] {
        most = most.max(u32::from(c));
        total += u32::from(c);
    }
    most as f32 / total.max(1) as f32
}

/// What two rows share: the sum of the smaller shares, 1 for equal shapes, 0 for disjoint or empty ones.
#[inline(always)]
pub fn overlap_one<const N: usize>(a: &[u16; N], b: &[u16; N], first: usize) -> f32 {
    let (a, b) = (lanes(a, first), lanes(b, first));
    let (sum_a, sum_b) = (tree_sum(a), tree_sum(b));
    let (sum_a, sum_b) = (if sum_a > 0.0 { sum_a } else { 1.0 }, if sum_b > 0.0 { sum_b } else { 1.0 });
    let mut smaller = [0.0; LANES];
    for i in 0..LANES {
        let (p, q) = (a[i] / sum_a, b[i] / sum_b);
        smaller[i] = if p < q { p } else { q };
    }
    tree_sum(smaller)
}

/// Share of the bins `from..` among the bins from `first`.
#[inline(always)]
pub fn upper_share_one<const N: usize>(row: &[u16; N], first: usize, from: usize) -> f32 {
    let (mut upper, mut total) = (0u32, 0u32);
    for (i, &c) in row.iter().enumerate().skip(first) {
        total += u32::from(c);
        upper += if i >= from { u32::from(c) } else { 0 };
    }
    upper as f32 / total.max(1) as f32
}

/// Sum of a row's counts.
#[inline(always)]
pub fn total_one<const N: usize>(row: &[u16; N]) -> f32 {
    let mut total = 0u32;
    for &c in row {
        total += u32::from(c);
    }
    total as f32
}

macro_rules! histogram_kernels {
    ($($len:literal => $entropy:ident, $bowley:ident, $mode_share:ident, $overlap:ident, $upper_share:ident, $total:ident;)*) => {$(
        kernel! {
            /// See [`entropy_one`].
            pub fn $entropy(rows: &[[u16; $len]], first: usize, out: &mut [f32]) {
                for (y, row) in out.iter_mut().zip(rows) {
                    *y = entropy_one(row, first);
                }
            }
        }
        kernel! {
            /// See [`bowley_one`].
            pub fn $bowley(rows: &[[u16; $len]], out: &mut [f32]) {
                for (y, row) in out.iter_mut().zip(rows) {
                    *y = bowley_one(row);
                }
            }
        }
        kernel! {
            /// See [`mode_share_one`].
            pub fn $mode_share(rows: &[[u16; $len]], first: usize, out: &mut [f32]) {
                for (y, row) in out.iter_mut().zip(rows) {
                    *y = mode_share_one(row, first);
                }
            }
        }
        kernel! {
            /// See [`overlap_one`].
            pub fn $overlap(a: &[[u16; $len]], b: &[[u16; $len]], first: usize, out: &mut [f32]) {
                for ((y, a), b) in out.iter_mut().zip(a).zip(b) {
                    *y = overlap_one(a, b, first);
                }
            }
        }
        kernel! {
            /// See [`upper_share_one`].
            pub fn $upper_share(rows: &[[u16; $len]], first: usize, from: usize, out: &mut [f32]) {
                for (y, row) in out.iter_mut().zip(rows) {
                    *y = upper_share_one(row, first, from);
                }
            }
        }
        kernel! {
            /// See [`total_one`].
            pub fn $total(rows: &[[u16; $len]], out: &mut [f32]) {
                for (y, row) in out.iter_mut().zip(rows) {
                    *y = total_one(row);
                }
            }
        }
    )*};
}

histogram_kernels! {
    12 => entropy12, bowley12, mode_share12, overlap12, upper_share12, total12;
    16 => entropy16, bowley16, mode_share16, overlap16, upper_share16, total16;
}
