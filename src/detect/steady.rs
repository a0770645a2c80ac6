//! Steady: whether subscribers send a party as much in every stretch of time, as programs do and people do not.
//! In: the timelines of followed subscribers. Out: how uneven the stretches are, against what chance would make of them.
//! For what has no beginnings to keep time by: records over a connection that stays open (it has one row a window, whenever its
//! packets came), and homes whose many devices stand behind one address, each with a clock of its own.
//! Bounds: those of the samples. Not here: what it means.

use crate::population::facet::{FOLLOWED_SLOTS, Sample};
use crate::population::quartiles::Quartiles;
use crate::population::sketch::Timeline;

/// Shortest stretch, seconds: two of the usual windows, so that a row more or less at its edge is not the whole of it.
const STRETCH_S: u64 = 120;
/// Whole stretches from which on a subscriber's are compared.
const STRETCHES_MIN: usize = 8;
/// Share of them in which something must have been sent.
const PRESENT_MIN: f64 = 0.9;
/// Quartile dispersion of a count that is left to chance, times the root of its mean (a normal law's quartiles).
const CHANCE: f64 = 0.674;
/// Calls a stretch that are assumed where none begins: the rows of its windows.
const CALLS_MIN: f64 = 2.0;

/// Gaps between the records of a connection that stays open from which on they are compared, their median from which on each is
/// a row of its own, share of them that began a flow, and their quartile dispersion by chance (an exponential law's).
const GAPS_MIN: usize = 6;
const GAP_MIN_S: f64 = 75.0;
const OPENED_SHARE_MAX: f64 = 0.2;
const CHANCE_OF_GAPS: f64 = 0.655;

/// How uneven the followed subscribers' stretches are: the median of them all, those among them that pause or are there too
/// short for it. 1 where calls of one size come by chance, 0 where each stretch is as the other; none where nobody can be told.
pub fn unevenness(sample: &Sample) -> Option<f64> {
    unevenness_of(sample, 0)
}

/// The same of what the party sends.
pub fn unevenness_back(sample: &Sample) -> Option<f64> {
    unevenness_of(sample, 1)
}

fn unevenness_of(sample: &Sample, side: usize) -> Option<f64> {
    let of = |line| of_one(line, side).or_else(|| of_seldom(line, side)).unwrap_or(f64::INFINITY);
    let mut all: Vec<f64> = sample.iter().map(|one| of(&one.line)).collect();
    all.sort_unstable_by(f64::total_cmp);
    all.get(all.len() / 2).copied().filter(|median| median.is_finite())
}

/// Of records that are further apart than a window, on a connection that stays open: each is a row of its own, and its rows'
/// times are its records'.
fn of_seldom(line: &Timeline<FOLLOWED_SLOTS>, side: usize) -> Option<f64> {
    let ticks = line.ticks().iter().filter(|tick| tick.bytes[side] > 0);
    let begun: u32 = ticks.clone().map(|tick| tick.flows).sum();
    let seconds: Vec<f64> = ticks.map(|tick| f64::from(tick.slot) * line.slot_s() as f64).collect();
    let is_open = begun as f64 <= OPENED_SHARE_MAX * seconds.len() as f64;
    let gaps: Vec<f64> = seconds.windows(2).map(|pair| pair[1] - pair[0]).collect();
    if !is_open || gaps.len() < GAPS_MIN {
        return None;
    }
    let gaps = Quartiles::of(gaps)?;
    (gaps.median >= GAP_MIN_S).then(|| gaps.dispersion() / CHANCE_OF_GAPS)
}

fn of_one(line: &Timeline<FOLLOWED_SLOTS>, side: usize) -> Option<f64> {
    let slots = STRETCH_S.div_ceil(line.slot_s()).max(1) as u32;
    let (first, last) = line.ticks().first().zip(line.ticks().last())?;
    // The first and the last stretch are not seen whole.
    let (from, to) = (first.slot / slots + 1, last.slot / slots);
    if (to.saturating_sub(from) as usize) < STRETCHES_MIN {
        return None;
    }
    // Fewer ticks than stretches: it is not there in all of them. So no more are made than ticks are kept.
    if (line.ticks().len() as f64) < PRESENT_MIN * f64::from(to - from) {
        return None;
    }
    let mut sent = vec![0.0; (to - from) as usize];
    let mut calls = 0.0;
    for tick in line.ticks() {
        if let Some(sum) = (tick.slot / slots).checked_sub(from).and_then(|at| sent.get_mut(at as usize)) {
            *sum += f64::from(tick.bytes[side]);
            calls += f64::from(tick.flows);
        }
    }
    let present = sent.iter().filter(|bytes| **bytes > 0.0).count() as f64 / sent.len() as f64;
    let mean_calls = (calls / sent.len() as f64).max(CALLS_MIN);
    let dispersion = Quartiles::of(sent)?.dispersion();
    (present >= PRESENT_MIN).then(|| dispersion * mean_calls.sqrt() / CHANCE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::facet::Moment;
    use crate::population::span::Seen;
    use crate::units::{Address, TimestampNs};

    /// Draws that spread evenly over 0 to 1.
    fn even(n: usize) -> f64 {
        (n as f64 * 0.754_877_666).fract()
    }

    /// Twelve homes for 80 minutes; `row` gives the flows and bytes of the n-th row, which begins `at(n)` seconds on.
    fn sample(rows: usize, at: &dyn Fn(usize) -> f64, row: &dyn Fn(usize) -> (u32, u64)) -> Sample {
        let mut sample = Sample::default();
        for home in 0..12usize {
            for n in 0..rows {
                let ts = TimestampNs(((1e6 + 20.0 * home as f64 + at(n)) * 1e9) as u64);
                let (flows, up) = row(n + 97 * home);
                let subscriber = Address::v4([10, 0, 0, home as u8]);
                sample.add(&Moment {
                    hash: home as u64,
                    subscriber,
                    seen: Seen::between(ts, ts),
                    flows,
                    moved: [up, 20],
                });
            }
        }
        sample
    }

    #[test]
    fn programs_are_told_from_people() {
        let minute = |n: usize| 60.0 * n as f64 + 20.0 * even(n);
        let by_chance = |n: usize| -> f64 { (0..n).map(|i| -40.0 * (1.0 - even(7 * i + 3)).ln()).sum() };
        // One or two records fall into a window.
        let records = |n: usize| (0, if even(n) < 0.62 { 192 } else { 96 });
        let talk = |n: usize| (0, (900.0 * (3.0 * (even(n) - 0.5)).exp()) as u64);
        let seldom = |n: usize| 150.0 * n as f64 + 20.0 * even(n);
        let now_and_then = |n: usize| -> f64 { (0..n).map(|i| -150.0 * (1.0 - even(7 * i + 3)).ln()).sum() };
        let table: [(&str, Sample, bool); 7] = [
            ("a record a minute on one connection", sample(80, &minute, &|_| (0, 420)), true),
            ("a record every 37 s on one connection", sample(80, &minute, &records), true),
            ("people who talk over one connection", sample(80, &minute, &talk), false),
            ("calls of one size by chance", sample(120, &by_chance, &|_| (1, 420)), false),
            ("a record every 150 s on one connection", sample(30, &seldom, &|_| (0, 780)), true),
            ("a word now and then over one connection", sample(30, &now_and_then, &|_| (0, 780)), false),
            ("too short to tell", sample(12, &minute, &|_| (0, 420)), false),
        ];
        for (name, sample, wanted) in table {
            let found = unevenness(&sample);
            assert_eq!(found.is_some_and(|uneven| uneven < 0.55), wanted, "{name}: {found:?}");
        }
    }
}
