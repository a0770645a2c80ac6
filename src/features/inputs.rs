//! Inputs: the integer columns that several groups need, as f32, for one block of rows.
//! Bounds: [`BLOCK_ROWS`] values each, allocated once.

use super::Rows;
use super::matrix::BLOCK_ROWS;
use crate::simd::{convert, histogram, kernel};
use crate::units::Side;

/// Shortest length of time that rates are taken over, seconds: one packet has no rate of its own.
const RATE_SECONDS_MIN: f32 = 0.01;

/// A column of one block.
pub(super) type Column = Vec<f32>;

/// Gathered inputs; two-element arrays are indexed by [`Side`]. Only the block's rows of each column mean anything.
#[derive(Clone, Debug)]
pub(super) struct Inputs {
    pub packets: [Column; 2],
    pub ip_bytes: [Column; 2],
    pub payload_bytes: [Column; 2],
    pub payload_packets: [Column; 2],
    /// Gaps that the sums and histograms of gaps are over.
    pub gaps: [Column; 2],
    /// Measures of the histograms of gaps, all made in one go.
    pub gap_entropy: [Column; 2],
    pub gap_mode_share: [Column; 2],
    pub gap_skew: [Column; 2],
    /// First to last packet of the row.
    pub duration_s: Column,
    /// The same, at least [`RATE_SECONDS_MIN`].
    pub rate_s: Column,
    /// Places for what a group works out on its way.
    pub scratch: [Column; 4],
}

impl Default for Inputs {
    fn default() -> Self {
        let column = || vec![0.0; BLOCK_ROWS];
        let pair = || [column(), column()];
        Self {
            packets: pair(),
            ip_bytes: pair(),
            payload_bytes: pair(),
            payload_packets: pair(),
            gaps: pair(),
            gap_entropy: pair(),
            gap_mode_share: pair(),
            gap_skew: pair(),
            duration_s: column(),
            rate_s: column(),
            scratch: [column(), column(), column(), column()],
        }
    }
}

impl Inputs {
    /// Fills the columns with a block's rows.
    pub(super) fn gather(&mut self, rows: Rows<'_>) {
        let n = rows.len();
        for s in Side::BOTH.map(Side::index) {
            let side = &rows.flows.sides[s];
            convert::from_u32(rows.of(&side.packets), &mut self.packets[s][..n]);
            convert::from_u64(rows.of(&side.ip_bytes), &mut self.ip_bytes[s][..n]);
            convert::from_u64(rows.of(&side.payload_bytes), &mut self.payload_bytes[s][..n]);
            convert::from_u32(rows.of(&side.payload_packets), &mut self.payload_packets[s][..n]);
            histogram::shape16(
                rows.of(&side.gap_bins),
                &mut self.gaps[s][..n],
                &mut self.gap_entropy[s][..n],
                &mut self.gap_mode_share[s][..n],
                &mut self.gap_skew[s][..n],
            );
            raise_to_packets(rows.of(&side.packets), &mut self.gaps[s][..n]);
        }
        convert::from_between(rows.of(&rows.flows.ts_first), rows.of(&rows.flows.ts_last), &mut self.duration_s[..n]);
        seconds(&mut self.duration_s[..n], &mut self.rate_s[..n]);
    }
}

kernel! {
    /// A row that goes on from an earlier window has one gap more than packets less one; a saturated histogram fewer.
    pub fn raise_to_packets(packets: &[u32], gaps: &mut [f32]) {
        for (gaps, &packets) in gaps.iter_mut().zip(packets) {
            let least = packets.saturating_sub(1) as f32;
            *gaps = if *gaps > least { *gaps } else { least };
        }
    }
}

kernel! {
    /// Nanoseconds to seconds, and what rates are taken over.
    pub fn seconds(durations: &mut [f32], rates: &mut [f32]) {
        for (duration, rate) in durations.iter_mut().zip(rates) {
            let seconds = *duration * 1e-9;
            *duration = seconds;
            *rate = if seconds > RATE_SECONDS_MIN { seconds } else { RATE_SECONDS_MIN };
        }
    }
}
