//! Measures of histograms, one histogram a row.
//! In: rows of 12 or 16 counts (u16), never more than 16. Out: one number a row, 0 for an empty histogram.
//! For one row its counts are the lanes: padded to 16 and summed as one fixed tree. The dispatched levels take many rows and
//! make each a lane (`lanes`), in the same order of sums, so that every level gives the same bits.

#![allow(clippy::needless_range_loop, reason = "loops over lanes read several arrays at one index")]

use super::kernel;
use super::lanes::{self, Terms};
use super::logarithm::ln_one;
use super::tile::{TILE_ROWS, put, turn};

/// Lanes of a row.
const LANES: usize = 16;

/// Counts of a row as f32 lanes, those below `first` and past the end zero. Plain loops here and below: the closures of
/// `array::map` and `from_fn` stay calls inside a function compiled for another level, and cost a sixth of all features.
#[inline(always)]
fn counts<const N: usize>(row: &[u16; N], first: usize) -> [f32; LANES] {
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
    let counts = counts(row, first);
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
    let (a, b) = (counts(a, first), counts(b, first));
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

kernel! {
    /// Of each histogram: [`total_one`], [`entropy_one`] and [`mode_share_one`] of all its bins, [`bowley_one`].
    pub fn shape16(rows: &[[u16; 16]], total: &mut [f32], entropy: &mut [f32], mode_share: &mut [f32], skew: &mut [f32]) {
        let (mut columns, mut terms) = ([[0; TILE_ROWS]; 16], Terms::new());
        for from in (0..rows.len()).step_by(TILE_ROWS) {
            turn(&rows[from..], &mut columns);
            let totals = lanes::total(&columns, 0);
            put(&lanes::float(&totals), from, total);
            put(&lanes::entropy(&columns, &totals, 0, &mut terms), from, entropy);
            put(&lanes::share(&lanes::most(&columns), &totals), from, mode_share);
            put(&lanes::bowley(&columns, &totals, &mut terms), from, skew);
        }
    } plain {
        for (total, row) in total.iter_mut().zip(rows) {
            *total = total_one(row);
        }
        for (entropy, row) in entropy.iter_mut().zip(rows) {
            *entropy = entropy_one(row, 0);
        }
        for (share, row) in mode_share.iter_mut().zip(rows) {
            *share = mode_share_one(row, 0);
        }
        for (skew, row) in skew.iter_mut().zip(rows) {
            *skew = bowley_one(row);
        }
    }
}

kernel! {
    /// Of two histograms a row: [`entropy_one`] and [`upper_share_one`] of either, and [`overlap_one`].
    pub fn pair12(
        rows: [&[[u16; 12]]; 2],
        first: usize,
        upper: usize,
        entropies: [&mut [f32]; 2],
        upper_shares: [&mut [f32]; 2],
        overlap: &mut [f32],
    ) {
        let (mut columns, mut totals, mut terms) = ([[[0; TILE_ROWS]; 12]; 2], [[0; TILE_ROWS]; 2], Terms::new());
        for from in (0..overlap.len()).step_by(TILE_ROWS) {
            for s in 0..2 {
                turn(&rows[s][from..], &mut columns[s]);
                totals[s] = lanes::total(&columns[s], first);
                put(&lanes::entropy(&columns[s], &totals[s], first, &mut terms), from, entropies[s]);
                put(&lanes::share(&lanes::total(&columns[s], upper.max(first)), &totals[s]), from, upper_shares[s]);
            }
            put(&lanes::overlap(&columns, &totals, first, &mut terms), from, overlap);
        }
    } plain {
        for (rows, (entropies, upper_shares)) in rows.into_iter().zip(entropies.into_iter().zip(upper_shares)) {
            for (entropy, row) in entropies.iter_mut().zip(rows) {
                *entropy = entropy_one(row, first);
            }
            for (share, row) in upper_shares.iter_mut().zip(rows) {
                *share = upper_share_one(row, first, upper);
            }
        }
        for ((overlap, a), b) in overlap.iter_mut().zip(rows[0]).zip(rows[1]) {
            *overlap = overlap_one(a, b, first);
        }
    }
}
