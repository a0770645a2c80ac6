//! Rhythm: whether the flows of some subscribers begin by the clock.
//! In: the timelines of followed subscribers. Out: period, regularity, agreement; none where too little repeats.
//! Source: RITA's beacon score (median absolute deviation and Bowley's skew of the gaps), each gap against its subscriber's
//! own median, so that devices of different periods still count together. A gap of twice the period is a beat that was
//! missed; a handful of flows at once is one beat.
//! Bounds: those of the samples. Not here: what a rhythm means.

use super::weigh::ramp;
use crate::population::facet::{FOLLOWED_SLOTS, Sample};
use crate::population::quartiles::Quartiles;
use crate::population::sketch::Timeline;

/// Gaps of one subscriber from which its period is told.
const OWN_GAPS_MIN: usize = 3;
/// Slots that a period must span: below, a timeline is too coarse to tell a clock from a crowd.
const SLOTS_A_PERIOD: f64 = 4.0;
/// Gaps shorter than this share of the upper quartile, and than so many seconds, lie within one beat.
const WITHIN_BEAT: (f64, f64) = (0.12, 3.5);
/// Most beats missed in a row that still count as the same rhythm.
const MISSED_MAX: f64 = 8.0;
/// How near to a whole number of periods such a gap must be, in periods.
const MISSED_NEAR: f64 = 0.1;

/// See the file's header.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rhythm {
    /// Subscribers whose period could be told.
    pub subscribers: usize,
    /// Subscribers that were followed, those without a period among them.
    pub followed: usize,
    /// Gaps between beats, over all of them.
    pub gaps: usize,
    /// Median over subscribers of their median gap, seconds.
    pub period_s: f64,
    /// Median of |gap / own median − 1|: 0 for a clock, some 0.6 for chance.
    pub deviation: f64,
    /// Interquartile range of gap / own median: 0 for a clock, 1.6 for chance.
    pub spread: f64,
    /// Tenth percentile of gap / own median: 1 for a clock, 0.15 for chance. People come in bursts, timers do not.
    pub floor: f64,
    /// Bowley's skew of the same, −1 to 1: near 0 for machines.
    pub skew: f64,
    /// One less the quartile dispersion of the periods over subscribers; none for one subscriber.
    pub agreement: Option<f64>,
    /// Median over subscribers of the time from the first beat to the last, seconds.
    pub lasts_s: f64,
}

impl Rhythm {
    /// Of a collector's followed subscribers.
    pub fn of(sample: &Sample) -> Option<Self> {
        let told: Vec<Beats> = sample.iter().filter_map(|one| beats(&one.line)).collect();
        let ratios = told.iter().flat_map(|one| one.gaps.iter().map(|gap| folded(*gap, one.period)));
        let mut ratios: Vec<f64> = ratios.collect();
        ratios.sort_by(f64::total_cmp);
        let quartiles = Quartiles::of(ratios.clone())?;
        let periods: Vec<f64> = told.iter().map(|one| one.period).collect();
        let mut deviations: Vec<f64> = ratios.iter().map(|r| (r - 1.0).abs()).collect();
        deviations.sort_by(f64::total_cmp);
        let all = Quartiles::of(periods.clone())?;
        Some(Self {
            subscribers: told.len(),
            followed: sample.len(),
            gaps: ratios.len() + told.len(),
            period_s: all.median,
            deviation: middle(&deviations),
            spread: quartiles.upper - quartiles.lower,
            floor: ratios[ratios.len() / 10],
            skew: quartiles.skew(),
            agreement: (periods.len() > 1).then(|| 1.0 - all.dispersion()),
            lasts_s: Quartiles::of(told.iter().map(|one| one.lasts_s).collect())?.median,
        })
    }

    /// Share of the followed subscribers whose period could be told: the few that call often in a short span are a choice by
    /// their gaps, and say nothing of the others.
    pub fn told_share(&self) -> f64 {
        self.subscribers as f64 / self.followed.max(1) as f64
    }

    /// 0 for chance, 1 for a clock: by how narrow the gaps lie, or by the absence of short ones, whichever speaks louder.
    pub fn clockwork(&self) -> f64 {
        // Of many looks one finds the middle half of chance narrow, too: the median must lie near as well.
        let narrow = ramp(self.spread, 0.85, 0.35) * ramp(self.deviation, 0.5, 0.3);
        let floored = ramp(self.floor, 0.25, 0.55) * ramp(self.spread, 1.0, 0.7);
        narrow.max(floored)
    }
}

/// One subscriber's rhythm, seconds.
struct Beats {
    /// The median gap.
    period: f64,
    /// From the first beat to the last.
    lasts_s: f64,
    /// The other gaps, ascending.
    gaps: Vec<f64>,
}

fn beats(line: &Timeline<FOLLOWED_SLOTS>) -> Option<Beats> {
    let slot_s = line.slot_s() as f64;
    let starts: Vec<f64> =
        line.ticks().iter().filter(|tick| tick.flows > 0).map(|tick| f64::from(tick.slot) * slot_s).collect();
    let raw: Vec<f64> = starts.windows(2).map(|two| two[1] - two[0]).collect();
    let least = (WITHIN_BEAT.0 * Quartiles::of(raw.clone())?.upper).min(WITHIN_BEAT.1);
    let mut gaps: Vec<f64> = Vec::with_capacity(raw.len());
    let mut beat = *starts.first()?;
    for start in &starts[1..] {
        if start - beat >= least {
            gaps.push(start - beat);
            beat = *start;
        }
    }
    if gaps.len() < OWN_GAPS_MIN {
        return None;
    }
    gaps.sort_by(f64::total_cmp);
    let lasts_s = gaps.iter().sum();
    // The gap that is the median says nothing about how far the others lie from it: with three gaps it would be a third.
    let period = gaps.remove(gaps.len() / 2);
    (slot_s <= 1.0 || period >= SLOTS_A_PERIOD * slot_s).then_some(Beats { period, lasts_s, gaps })
}

/// A gap against the period, missed beats taken out.
fn folded(gap: f64, period: f64) -> f64 {
    let ratio = gap / period.max(1e-9);
    let beats = ratio.round();
    let is_missed = (2.0..=MISSED_MAX).contains(&beats) && (ratio - beats).abs() <= MISSED_NEAR;
    if is_missed { ratio / beats } else { ratio }
}

fn middle(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::facet::Moment;
    use crate::units::{Address, TimestampNs};

    /// A subscriber that calls at these seconds.
    fn sample(calls: &[Vec<f64>]) -> Sample {
        let mut sample = Sample::default();
        for (n, times) in calls.iter().enumerate() {
            for at in times {
                let ts = TimestampNs((1e9 * (1_000_000.0 + at)) as u64);
                let subscriber = Address::v4([10, 0, 0, n as u8]);
                sample.add(&Moment { hash: n as u64, subscriber, ts, flows: 1, data_bytes: [100, 50] });
            }
        }
        sample
    }

    /// Draws that spread evenly over 0 to 1.
    fn even(n: usize) -> impl Iterator<Item = f64> {
        (0..n).map(|i| (i as f64 * 0.754_877_666).fract())
    }

    fn after(gaps: impl Iterator<Item = f64>) -> Vec<f64> {
        gaps.scan(0.0, |at, gap| Some(std::mem::replace(at, *at + gap))).collect()
    }

    #[test]
    fn clocks_are_told_from_people() {
        let table: [(&str, Vec<f64>, f64, f64); 6] = [
            ("a clock", after((0..40).map(|_| 60.0)), 0.99, 1.0),
            ("a clock with a fifth of jitter", after(even(40).map(|u| 60.0 * (0.8 + 0.4 * u))), 0.99, 1.0),
            ("half of jitter", after(even(40).map(|u| 60.0 * (0.5 + u))), 0.7, 1.0),
            ("missed beats", after((0..40).map(|n| if n % 5 == 0 { 180.0 } else { 60.0 })), 0.99, 1.0),
            ("two flows a beat", after((0..60).map(|n| if n % 2 == 0 { 2.0 } else { 58.0 })), 0.99, 1.0),
            ("chance", after(even(60).map(|u| -60.0 * (1.0 - u).ln())), 0.0, 0.2),
        ];
        for (name, times, low, high) in table {
            let rhythm = Rhythm::of(&sample(&[times])).unwrap_or_else(|| panic!("{name}: nothing told"));
            let clockwork = rhythm.clockwork();
            assert!((low..=high).contains(&clockwork), "{name}: {clockwork} {rhythm:?}");
            assert_eq!(rhythm.agreement, None, "{name}");
        }
    }

    #[test]
    fn what_repeats_too_little_or_is_too_dense_is_not_told() {
        assert_eq!(Rhythm::of(&sample(&[vec![0.0, 60.0, 120.0]])), None);
        // Every 10 s for an hour: the timeline had to become as coarse as the period.
        assert_eq!(Rhythm::of(&sample(&[after((0..360).map(|_| 10.0))])), None);
        let two =
            Rhythm::of(&sample(&[after((0..9).map(|_| 60.0)), after((0..9).map(|_| 61.0))])).expect("two periods");
        assert!(two.agreement.is_some_and(|agreement| agreement > 0.98) && two.subscribers == 2, "{two:?}");
    }
}
