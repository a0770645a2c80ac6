//! Measures of short sequences, one sequence a row.
//! In: rows of 8 values (u16), and how many were met (those past the eighth were not kept). Out: one number a row.

#![allow(clippy::needless_range_loop, reason = "loops over lanes read several arrays at one index")]

use super::kernel;
use super::tile::{TILE_ROWS, put, turn};

/// Sum of a row's values.
#[inline(always)]
pub fn sum_one<const N: usize>(row: &[u16; N]) -> f32 {
    row.iter().map(|&x| u32::from(x)).sum::<u32>() as f32
}

/// Share of equal ones among the neighbours of the first `met` values; 0 with fewer than two.
#[inline(always)]
pub fn equal_share_one<const N: usize>(row: &[u16; N], met: u32) -> f32 {
    let pairs = (met as usize).min(N).saturating_sub(1);
    let equal = row.windows(2).take(pairs).filter(|pair| pair[0] == pair[1]).count();
    equal as f32 / pairs.max(1) as f32
}

kernel! {
    /// Of each sequence: its first value, [`sum_one`], [`equal_share_one`].
    pub fn outline8(rows: &[[u16; 8]], met: &[u32], first: &mut [f32], sum: &mut [f32], equal_share: &mut [f32]) {
        let mut columns = [[0; TILE_ROWS]; 8];
        for from in (0..rows.len()).step_by(TILE_ROWS) {
            turn(&rows[from..], &mut columns);
            let met = &met[from..];
            let mut pairs = [0u16; TILE_ROWS];
            for (pairs, &met) in pairs.iter_mut().zip(met) {
                *pairs = met.min(8).saturating_sub(1) as u16;
            }
            let (mut firsts, mut sums, mut equals) = ([0.0; TILE_ROWS], [0u32; TILE_ROWS], [0u16; TILE_ROWS]);
            for i in 0..8 {
                for r in 0..TILE_ROWS {
                    sums[r] += u32::from(columns[i][r]);
                }
            }
            for i in 1..8 {
                for r in 0..TILE_ROWS {
                    let equal = columns[i - 1][r] == columns[i][r] && (i as u16) <= pairs[r];
                    equals[r] += u16::from(equal);
                }
            }
            let mut shares = [0.0; TILE_ROWS];
            let mut floats = [0.0; TILE_ROWS];
            for r in 0..TILE_ROWS {
                firsts[r] = f32::from(columns[0][r]);
                floats[r] = sums[r] as f32;
                shares[r] = f32::from(equals[r]) / f32::from(pairs[r].max(1));
            }
            put(&firsts, from, first);
            put(&floats, from, sum);
            put(&shares, from, equal_share);
        }
    } plain {
        for (first, row) in first.iter_mut().zip(rows) {
            *first = f32::from(row[0]);
        }
        for (sum, row) in sum.iter_mut().zip(rows) {
            *sum = sum_one(row);
        }
        for ((share, row), &met) in equal_share.iter_mut().zip(rows).zip(met) {
            *share = equal_share_one(row, met);
        }
    }
}
