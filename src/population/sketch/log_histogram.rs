//! Log histogram: sizes and times over the whole range of 64 bits with one relative error.
//! In: integers. Out: counts by bin, quantiles.
//! Bounds: (65 − S)·2^S bins at most (252 for S = 2, 976 for S = 4); only those that occur take room.

use serde::{Deserialize, Serialize};

use super::{Merge, SparseCounts};

/// A histogram with 2^S bins an octave: numbers below 2^S each have a bin of their own, above that a bin is 2^−S of its
/// octave wide (25 % of the lower border for S = 2, 6 % for S = 4), as in HdrHistogram.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogHistogram<const S: u32> {
    bins: SparseCounts,
}

impl<const S: u32> LogHistogram<S> {
    /// The bin of a value.
    #[inline]
    pub fn bin_of(value: u64) -> u16 {
        let octave = 63 - (value | 1).leading_zeros();
        if octave < S {
            return value as u16;
        }
        let within = (value >> (octave - S)) - (1 << S);
        ((octave - S + 1) << S) as u16 + within as u16
    }

    /// Smallest value of a bin.
    pub fn lower(bin: u16) -> u64 {
        let (row, within) = (u32::from(bin) >> S, u64::from(bin) & ((1 << S) - 1));
        match row {
            0 => within,
            _ => ((1 << S) + within).checked_shl(row - 1).unwrap_or(u64::MAX),
        }
    }

    /// How many values a bin holds.
    pub fn width(bin: u16) -> u64 {
        let row = u32::from(bin) >> S;
        1u64.checked_shl(row.saturating_sub(1)).unwrap_or(u64::MAX)
    }

    /// The middle of a bin.
    pub fn middle(bin: u16) -> f64 {
        Self::lower(bin) as f64 + (Self::width(bin) - 1) as f64 / 2.0
    }

    /// Counts one value.
    #[inline]
    pub fn add(&mut self, value: u64) {
        self.bins.add(Self::bin_of(value));
    }

    /// Bins and counts, ascending.
    pub fn bins(&self) -> &SparseCounts {
        &self.bins
    }

    /// How many values were counted.
    pub fn total(&self) -> u64 {
        self.bins.total()
    }

    /// The value below which a share `q` of all lies, taken as evenly spread within its bin. None without values.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let total = self.total();
        // Ranks as spreadsheets and R's type 7 have them: 0 is the least, total − 1 the greatest.
        let rank = q.clamp(0.0, 1.0) * total.checked_sub(1)? as f64;
        let mut below = 0u64;
        for (bin, count) in self.bins.iter() {
            let count = u64::from(count);
            if rank < (below + count) as f64 {
                let inside = (rank - below as f64 + 0.5) / count as f64;
                let reach = (Self::width(bin) - 1) as f64;
                return Some(Self::lower(bin) as f64 + reach * inside.min(1.0));
            }
            below += count;
        }
        self.bins.iter().next_back().map(|(bin, _)| Self::middle(bin))
    }

    /// Largest share of values that lie in two neighbouring bins, and the lower of these: the mode, wherever the bins'
    /// borders fall. None without values.
    pub fn mode(&self) -> Option<Mode> {
        let total = self.total();
        let mut best: Option<Mode> = None;
        for (bin, count) in self.bins.iter() {
            let both = u64::from(count) + u64::from(self.bins.of(bin.saturating_add(1)));
            let share = both as f64 / total as f64;
            if best.is_none_or(|known| share > known.share) {
                best = Some(Mode { bin, share });
            }
        }
        best
    }

    /// Median of the distances from the median (MAD); none without values.
    pub fn median_deviation(&self) -> Option<f64> {
        let median = self.quantile(0.5)?;
        let home = Self::bin_of(median as u64);
        let mut distances: Vec<(f64, u64)> = self
            .bins
            .iter()
            .map(|(bin, count)| {
                // Values that share the median's bin cannot be told from it.
                let distance = if bin == home { 0.0 } else { (Self::middle(bin) - median).abs() };
                (distance, u64::from(count))
            })
            .collect();
        distances.sort_by(|a, b| a.0.total_cmp(&b.0));
        let half = self.total().div_ceil(2);
        let mut below = 0;
        distances.into_iter().find_map(|(distance, count)| {
            below += count;
            (below >= half).then_some(distance)
        })
    }
}

/// Where most values lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mode {
    /// The lower of two neighbouring bins.
    pub bin: u16,
    /// Their share of all values, 0 to 1.
    pub share: f64,
}

impl<const S: u32> Merge for LogHistogram<S> {
    fn merge(&mut self, other: Self) {
        self.bins.merge(other.bins);
    }
}
