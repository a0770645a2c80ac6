//! Pace: how the bytes of a heavy row lay in time, second by second.
//! In: packets of a side that has already sent [`PACED_FROM`], and [`PACED_BYTES`], in this row. Out: bytes by second and side.
//! Bounds: [`PACE_SECONDS`] seconds a row; later ones count in the last. Light rows have none: they are short or say little.
//! Time: packet timestamps.

use crate::units::{DurationNs, Side, TimestampNs};

/// Packets of a side within a row from which on its bytes are told by second: a copy of what a small office does is some packets
/// a minute.
pub const PACED_FROM: u32 = 12;
/// IP bytes likewise: mice and floods of small packets never pay for it.
pub const PACED_BYTES: u64 = 4 << 10;
/// Seconds told apart: a window of a minute, wherever its second begins.
pub const PACE_SECONDS: usize = 64;

/// IP bytes by second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Second of the first entry, counted from 1970.
    first: u64,
    /// By side, then by second.
    bytes: [[u32; PACE_SECONDS]; 2],
}

impl Pace {
    /// Nothing yet, from the second of `ts` on.
    pub fn new(ts: TimestampNs) -> Self {
        Self { first: second_of(ts), bytes: [[0; PACE_SECONDS]; 2] }
    }

    /// Counts a packet. One from before the beginning counts in the first second.
    pub fn add(&mut self, side: Side, ts: TimestampNs, ip_bytes: u32) {
        let at = second_of(ts).saturating_sub(self.first).min(PACE_SECONDS as u64 - 1) as usize;
        let bytes = &mut self.bytes[side.index()][at];
        *bytes = bytes.saturating_add(ip_bytes);
    }

    /// When its first second begins.
    pub fn start(&self) -> TimestampNs {
        TimestampNs(self.first.saturating_mul(DurationNs::from_secs(1).0))
    }

    /// Every second in which anything moved: when it begins, bytes by side.
    pub fn seconds(&self) -> impl Iterator<Item = (TimestampNs, [u64; 2])> + '_ {
        (0..PACE_SECONDS).filter_map(|at| {
            let bytes = [u64::from(self.bytes[0][at]), u64::from(self.bytes[1][at])];
            let ts = self.start().after(DurationNs::from_secs(at as u64));
            (bytes != [0, 0]).then_some((ts, bytes))
        })
    }
}

fn second_of(ts: TimestampNs) -> u64 {
    ts.0 / DurationNs::from_secs(1).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_stand_in_their_seconds() {
        let at = |ms: u64| TimestampNs(DurationNs::from_millis(1_000_000_000 + ms).0);
        let mut pace = Pace::new(at(500));
        for (ms, side, bytes) in [
            (500, Side::Orig, 10),
            (0, Side::Orig, 1),
            (1_200, Side::Resp, 7),
            (900_000, Side::Orig, 3),
            (1_900, Side::Orig, 5),
        ] {
            pace.add(side, at(ms), bytes);
        }
        let told: Vec<_> = pace.seconds().collect();
        assert_eq!(told, [(at(0), [11, 0]), (at(1_000), [5, 7]), (at(63_000), [3, 0])]);
    }
}
