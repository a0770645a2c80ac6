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
const WITHIN_BEAT: (f64, f64) = (0.12, BEAT_S);
/// Seconds within which calls are one beat, whatever the period.
pub(super) const BEAT_S: f64 = 3.5;
/// Mean seconds from one second with flows to the next below which they may be a crowd, and share of these seconds with several of
/// them from which on they are: of a Poisson process with one flow in four seconds every eighth has.
const CROWDED_GAP_S: f64 = 4.0;
const CROWDED_SHARE: f64 = 0.05;
/// Most beats missed in a row that still count as the same rhythm.
const MISSED_MAX: f64 = 8.0;
/// How near to a whole number of periods such a gap must be, in periods.
const MISSED_NEAR: f64 = 0.1;

/// Spread below which gaps lean to no side: a clock's stray by the second that times are told in.
const LEANING_SPREAD_MIN: f64 = 0.05;

/// Share of the time in which a party is called at all that the calls of each must cover: what a player tells by the clock ends with
/// the film, and others watch before and after it.
pub const LASTING_MIN: f64 = 0.4;

/// How much longer than the pause that cuts datagrams into flows a period must be for chance to make it: shorter ones are the
/// pause itself, and a clock's.
const PAUSED_MIN: f64 = 0.1;

/// See the file's header.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rhythm {
    /// Subscribers whose period could be told.
    pub subscribers: usize,
    /// Subscribers that were followed, those without a period among them.
    pub followed: usize,
    /// Of these, those whose times are told too coarsely for the pace at which they call.
    pub coarse: usize,
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
        let mut coarse = 0;
        let told = sample.iter().filter_map(|one| {
            let beats = beats(&one.line)?;
            let is_coarse = beats.is_coarse(&one.line);
            coarse += usize::from(is_coarse);
            (!is_coarse).then_some(beats)
        });
        let told: Vec<Beats> = told.collect();
        let ratios = told.iter().flat_map(|one| one.gaps.iter().map(|gap| folded(*gap, one.period)));
        let mut ratios: Vec<f64> = ratios.collect();
        ratios.sort_by(f64::total_cmp);
        let quartiles = Quartiles::of(ratios.clone())?;
        let spread = quartiles.upper - quartiles.lower;
        let periods: Vec<f64> = told.iter().map(|one| one.period).collect();
        let mut deviations: Vec<f64> = ratios.iter().map(|r| (r - 1.0).abs()).collect();
        deviations.sort_by(f64::total_cmp);
        let all = Quartiles::of(periods.clone())?;
        Some(Self {
            subscribers: told.len(),
            followed: sample.len(),
            coarse,
            gaps: ratios.len() + told.len(),
            period_s: all.median,
            deviation: middle(&deviations),
            spread,
            floor: ratios[ratios.len() / 10],
            skew: if spread < LEANING_SPREAD_MIN { 0.0 } else { quartiles.skew() },
            agreement: (periods.len() > 1).then(|| 1.0 - all.dispersion()),
            lasts_s: Quartiles::of(told.iter().map(|one| one.lasts_s).collect())?.median,
        })
    }

    /// The same of calls that are told apart only after a pause, as flows of datagrams are: what comes sooner goes on with the one
    /// before, so that none of the gaps is short, whoever sends. What counts is how what follows the pause lies.
    pub fn after_pause(self, pause_s: f64) -> Self {
        let Some(rest_s) = Some(self.period_s - pause_s).filter(|rest_s| *rest_s > PAUSED_MIN * pause_s) else {
            return self;
        };
        let stretched = self.period_s / rest_s;
        Self {
            deviation: self.deviation * stretched,
            spread: self.spread * stretched,
            floor: 1.0 - (1.0 - self.floor) * stretched,
            ..self
        }
    }

    /// Share of the followed subscribers whose period could be told: the few that call often in a short span are a choice by
    /// their gaps, and say nothing of the others.
    pub fn told_share(&self) -> f64 {
        self.subscribers as f64 / self.followed.max(1) as f64
    }

    /// Whether times are told too coarsely for most of the subscribers: then a clock that does not show is none the less there.
    pub fn is_blurred(&self) -> bool {
        2 * self.coarse > self.followed
    }

    /// 0 for chance, 1 for a clock: by how narrow the gaps lie, or by the absence of short ones, whichever speaks louder.
    pub fn clockwork(&self) -> f64 {
        // Of many looks one finds the middle half of chance narrow, too: the median must lie near as well.
        let narrow = ramp(self.spread, 0.85, 0.35) * ramp(self.deviation, 0.5, 0.3);
        let floored = ramp(self.floor, 0.25, 0.55) * ramp(self.spread, 1.0, 0.7);
        narrow.max(floored)
    }

    /// Upper bound of the probability that calls without a clock (gaps of a Poisson process) look as regular: that as many of
    /// them lie as near to their median, or that as few lie below the tenth percentile's share of it (Chernoff 1952). Nine
    /// gaps look like a clock once in twenty or so; forty never do.
    pub fn chance(&self) -> f64 {
        self.chance_after(0.0)
    }

    /// The same beside calls that pause so long after each, as a share of the mean of what follows the pause: people stay on a
    /// page before they open another, and their gaps have no short ones either.
    pub fn chance_after(&self, pause: f64) -> f64 {
        let median = std::f64::consts::LN_2;
        let stretched = (pause + median) / median;
        let floor = self.floor * stretched - pause / median;
        let gaps = self.gaps.saturating_sub(self.subscribers) as f64;
        // Of an exponential law with median m, the share within d·m of m is 2^(d−1) − 2^(−d−1), below f·m it is 1 − 2^(−f).
        let below = 1.0 - libm::exp2(-floor.max(0.0));
        let narrow = chance_of_half_near(gaps, self.deviation * stretched);
        let floored = if below > 0.1 { rare(gaps, 0.1, below) } else { 1.0 };
        // Two ways to look regular are two chances.
        (2.0 * narrow.min(floored)).min(1.0)
    }
}

/// Interquartile range over the median of all gaps between flows of the followed subscribers, whatever their number; none of
/// fewer than `least`. A clock's are alike before anybody's period can be told; people come back after seconds and after hours.
pub fn spread_so_far(sample: &Sample, least: usize) -> Option<f64> {
    let mut gaps = Vec::new();
    for line in sample.iter().map(|one| &one.line) {
        let starts = line.ticks().iter().filter(|tick| tick.flows > 0).map(|tick| f64::from(tick.slot));
        let mut beat = f64::NEG_INFINITY;
        for start in starts.map(|slot| slot * line.slot_s() as f64) {
            if beat.is_finite() && start - beat >= WITHIN_BEAT.1 {
                gaps.push(start - beat);
            }
            if start - beat >= WITHIN_BEAT.1 {
                beat = start;
            }
        }
    }
    let quartiles = Quartiles::of(gaps.clone()).filter(|_| gaps.len() >= least)?;
    Some((quartiles.upper - quartiles.lower) / quartiles.median.max(1e-9))
}

/// Upper bound of the probability that half of so many gaps of a Poisson process lie within this share of their median.
pub fn chance_of_half_near(gaps: f64, deviation: f64) -> f64 {
    let near = libm::sinh(std::f64::consts::LN_2 * deviation.clamp(0.0, 1.0));
    if near < 0.5 { rare(gaps, 0.5, near) } else { 1.0 }
}

/// Chernoff's bound for a share of `seen` among `n` where each counts with probability `expected`.
fn rare(n: f64, seen: f64, expected: f64) -> f64 {
    let expected = expected.clamp(1e-6, 1.0 - 1e-6);
    let divergence = seen * (seen / expected).ln() + (1.0 - seen) * ((1.0 - seen) / (1.0 - expected)).ln();
    (-n * divergence).exp()
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

impl Beats {
    /// Whether slots are too long to tell a clock of this period from a crowd.
    fn is_coarse(&self, line: &Timeline<FOLLOWED_SLOTS>) -> bool {
        let slot_s = line.slot_s() as f64;
        slot_s > 1.0 && self.period < SLOTS_A_PERIOD * slot_s
    }
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
    if slot_s <= 1.0 && is_crowded(line) {
        return None;
    }
    gaps.sort_by(f64::total_cmp);
    let lasts_s = gaps.iter().sum();
    // The gap that is the median says nothing about how far the others lie from it: with three gaps it would be a third.
    let period = gaps.remove(gaps.len() / 2);
    Some(Beats { period, lasts_s, gaps })
}

/// Whether so many flows come by chance that nearly every second or two has some: then gaps are a second or two long, and alike, and
/// seconds with several flows tell it from a clock that ticks as fast.
fn is_crowded(line: &Timeline<FOLLOWED_SLOTS>) -> bool {
    let ticks = line.ticks().iter().filter(|tick| tick.flows > 0);
    let (seconds, several) =
        ticks.clone().fold((0u32, 0u32), |(n, several), tick| (n + 1, several + u32::from(tick.flows > 1)));
    let length = ticks.clone().next_back().zip(ticks.clone().next()).map_or(0, |(last, first)| last.slot - first.slot);
    f64::from(length) < CROWDED_GAP_S * f64::from(seconds) && f64::from(several) > CROWDED_SHARE * f64::from(seconds)
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
    use crate::population::span::Seen;
    use crate::units::{Address, TimestampNs};

    /// A subscriber that calls at these seconds.
    fn sample(calls: &[Vec<f64>]) -> Sample {
        let mut sample = Sample::default();
        for (n, times) in calls.iter().enumerate() {
            for at in times {
                let ts = TimestampNs((1e9 * (1_000_000.0 + at)) as u64);
                let subscriber = Address::v4([10, 0, 0, n as u8]);
                sample.add(&Moment {
                    hash: n as u64,
                    subscriber,
                    seen: Seen::between(ts, ts),
                    flows: 1,
                    moved: [100, 50],
                });
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
            let chance = rhythm.chance();
            assert_eq!(chance < 1e-3, low > 0.5, "{name}: {chance}");
        }
    }

    #[test]
    fn a_crowd_of_calls_is_no_clock_of_a_second() {
        // Calls a second by chance, for five minutes; and a clock that ticks every other second.
        for per_s in [0.4, 1.0, 3.0] {
            let times = after(even((300.0 * per_s) as usize).map(|u| -(1.0 - u).ln() / per_s));
            assert_eq!(Rhythm::of(&sample(&[times])), None, "{per_s} a second");
        }
        let clock = Rhythm::of(&sample(&[after((0..60).map(|_| 2.0))])).expect("a clock");
        assert!(clock.deviation < 0.1 && clock.gaps > 50, "{clock:?}");
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

    #[test]
    fn a_clock_told_by_the_second_leans_to_no_side() {
        // Now and then a second late: the lower quartile lies below the median, and nothing is meant by it.
        let times = after((0..40).map(|n| if n % 3 == 0 { 59.0 } else { 60.0 }));
        let clock = Rhythm::of(&sample(&[times])).expect("a clock");
        assert!(clock.skew == 0.0 && clock.spread > 0.0, "{clock:?}");
    }

    #[test]
    fn what_is_told_too_coarsely_is_no_proof_of_people() {
        // One calls seldom, two so often that their timelines had to become coarse.
        let often = || after((0..360).map(|_| 10.0));
        let seldom = || after((0..40).map(|_| 90.0));
        for (name, calls, wanted) in [
            ("most are coarse", vec![seldom(), often(), often()], true),
            ("one of three is", vec![seldom(), seldom(), often()], false),
        ] {
            let rhythm = Rhythm::of(&sample(&calls)).expect("a clock");
            assert_eq!(rhythm.is_blurred(), wanted, "{name}: {rhythm:?}");
        }
    }

    #[test]
    fn few_gaps_show_people_before_they_show_a_clock() {
        let clock = |n: usize| after(even(3).map(|u| 300.0 * (0.8 + 0.4 * u)).map(|gap| gap + n as f64));
        let people = |n: usize| after((0..3).map(|i| -300.0 * (1.0 - (0.37 * (3 * n + i) as f64).fract()).ln()));
        let of = |homes: &dyn Fn(usize) -> Vec<f64>, n: usize| {
            spread_so_far(&sample(&(0..n).map(homes).collect::<Vec<_>>()), 6)
        };
        assert!(of(&clock, 6).is_some_and(|spread| spread < 0.5), "{:?}", of(&clock, 6));
        assert!(of(&people, 6).is_some_and(|spread| spread > 0.8), "{:?}", of(&people, 6));
        assert_eq!(of(&clock, 2), None, "four gaps are too few");
    }

    #[test]
    fn people_who_stay_on_a_page_are_no_clock() {
        // Twelve homes with three to eight gaps each, a pause of three tenths of the mean in each gap.
        let mut state = 11u64;
        let mut unit = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 11) as f64 + 0.5) / (1u64 << 53) as f64
        };
        let (rounds, mut alone, mut beside_pauses) = (1_000, 0, 0);
        for _ in 0..rounds {
            let homes: Vec<Vec<f64>> =
                (0..12).map(|home| after((0..=3 + home % 6).map(|_| 600.0 * (0.3 - unit().ln())))).collect();
            let rhythm = Rhythm::of(&sample(&homes)).expect("a rhythm");
            alone += u32::from(rhythm.chance() <= 1e-4);
            beside_pauses += u32::from(rhythm.chance_after(0.3) <= 1e-4);
        }
        assert!(alone >= 10 && beside_pauses <= 2, "{alone} and {beside_pauses} of {rounds}");
        let clock = Rhythm::of(&sample(&[after(even(40).map(|u| 60.0 * (0.8 + 0.4 * u)))])).expect("a clock");
        assert!(clock.chance_after(0.3) < 1e-4, "{}", clock.chance_after(0.3));
    }

    #[test]
    fn datagrams_cut_by_silence_are_no_clock() {
        let mut state = 5u64;
        let mut unit = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 11) as f64 + 0.5) / (1u64 << 53) as f64
        };
        let people: Vec<Vec<f64>> = (0..8).map(|_| after((0..12).map(|_| 60.0 - 50.0 * unit().ln()))).collect();
        let people = Rhythm::of(&sample(&people)).expect("a rhythm");
        assert!(people.clockwork() > 0.5, "as it is told: {people:?}");
        let seen = people.after_pause(60.0);
        assert!(seen.clockwork() < 0.2 && seen.deviation > 0.4, "{seen:?}");
        let clock = Rhythm::of(&sample(&[after(even(40).map(|u| 118.0 + 4.0 * u))])).expect("a clock");
        assert!(clock.after_pause(60.0).clockwork() > 0.9, "{clock:?}");
        let kept = Rhythm::of(&sample(&[after(even(40).map(|_| 61.0))])).expect("a clock");
        assert_eq!(kept.after_pause(60.0), kept, "the pause itself");
    }

    #[test]
    fn chance_is_as_rare_as_it_is_said_to_be() {
        // Poisson calls of one subscriber, as many times as the bound says that one of them looks like a clock.
        let mut state = 7u64;
        let mut unit = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 11) as f64 + 0.5) / (1u64 << 53) as f64
        };
        for (gaps, level) in [(9, 0.05), (9, 0.01), (20, 0.05), (40, 0.01)] {
            let rounds = 2_000;
            let mut said = 0;
            for _ in 0..rounds {
                let times = after((0..=gaps).map(|_| -600.0 * unit().ln()));
                said += u32::from(Rhythm::of(&sample(&[times])).is_some_and(|rhythm| rhythm.chance() <= level));
            }
            let rate = f64::from(said) / f64::from(rounds);
            assert!(rate <= level, "{gaps} gaps: {rate} of chance were said to be rarer than {level}");
        }
    }
}
