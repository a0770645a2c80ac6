//! Stitching: what a flow table forgets at the end of a file, given back.
//! In: window summaries of several captures of one sensor, in order of time. Out: the same, with the time between two flows
//! of one pair counted where the first of them lies in an earlier capture.
//! Bounds: [`PAIRS_MAX`] pairs remembered; past it new ones are not, and that is counted.
//! A gap is counted only where the earlier flow must have ended: after [`SILENCE`] no table keeps a flow alive.

use std::collections::HashMap;

use super::collector::{CollectorKey, GAP_MS_MAX};
use super::pair::PairKey;
use super::span::Seen;
use super::summary::Summary;
use crate::units::{DurationNs, TimestampNs};

/// Most pairs remembered.
pub const PAIRS_MAX: usize = 1 << 20;
/// A flow that is silent for longer has ended (the longest idle timeout of the flow table's defaults).
pub const SILENCE: DurationNs = DurationNs::from_secs(300);

/// What is remembered of the captures before.
#[derive(Debug, Default)]
pub struct Stitcher {
    pairs: HashMap<PairKey, Memory>,
    forgotten: u64,
}

#[derive(Clone, Copy, Debug)]
struct Memory {
    begun_last: TimestampNs,
    seen_last: TimestampNs,
    capture: i64,
}

impl Stitcher {
    /// Takes a window of a capture; `capture` tells captures apart.
    pub fn stitch(&mut self, summary: &mut Summary, capture: i64) {
        let pairs: Vec<(PairKey, Seen, Seen)> =
            summary.pairs.sorted().into_iter().map(|(key, pair)| (*key, pair.begun, pair.seen)).collect();
        for (key, begun, seen) in pairs {
            let begins = begun.first <= begun.last;
            let now = Memory { begun_last: begun.last, seen_last: seen.last, capture };
            let is_full = self.pairs.len() >= PAIRS_MAX;
            match self.pairs.get_mut(&key) {
                Some(known) => {
                    let gap = begun.first.since(known.begun_last);
                    let is_other = known.capture != capture;
                    if begins
                        && is_other
                        && known.begun_last > TimestampNs::ZERO
                        && seen.first > known.seen_last.after(SILENCE)
                    {
                        let place = CollectorKey { population: key.population, address: key.collector };
                        if let Some(collector) = summary.collectors.of_mut(&place) {
                            collector.pair_gaps_ms.add((gap.0 / 1_000_000).clamp(1, GAP_MS_MAX));
                        }
                    }
                    known.capture = capture;
                    known.seen_last = known.seen_last.max(now.seen_last);
                    if begins {
                        known.begun_last = known.begun_last.max(now.begun_last);
                    }
                }
                None if is_full => self.forgotten += 1,
                None => {
                    let begun_last = if begins { now.begun_last } else { TimestampNs::ZERO };
                    self.pairs.insert(key, Memory { begun_last, ..now });
                }
            }
        }
    }

    /// Pairs that were not remembered.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::limits::SummaryLimits;
    use crate::population::summary::tests::{row, summary_of};
    use crate::units::Address;

    #[test]
    fn a_gap_across_captures_is_counted_once_and_only_where_the_flow_had_ended() {
        let (subscriber, far) = (Address::v4([10, 0, 0, 7]), Address::v4([203, 0, 113, 7]));
        let window = |second| {
            let mut row = row(subscriber, far, second, 500, 50);
            row.pair_gap = DurationNs::ZERO;
            summary_of(&[row], &SummaryLimits::default())
        };
        // Second of the earlier flow, of the later one, the captures of both, gaps wanted in the later window.
        let table = [(0, 3_600, 1, 2, 1), (0, 3_600, 1, 1, 0), (0, 120, 1, 2, 0)];
        for (earlier, later, first, second, wanted) in table {
            let mut stitcher = Stitcher::default();
            let (mut one, mut two) = (window(earlier), window(later));
            stitcher.stitch(&mut one, first);
            stitcher.stitch(&mut two, second);
            let gaps = |summary: &Summary| -> u64 {
                summary.collectors.sorted().iter().map(|(_, collector)| collector.pair_gaps_ms.total()).sum()
            };
            assert_eq!(
                (gaps(&one), gaps(&two)),
                (0, wanted),
                "{earlier} s to {later} s, captures {first} and {second}"
            );
        }
    }
}
