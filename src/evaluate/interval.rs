//! Intervals: how far a figure can be trusted.
//! In: counts, or a figure that can be computed with captures weighted. Out: 95 % intervals.
//! Shares are exact binomial (Clopper and Pearson 1934) and rates exact Poisson (Garwood 1936), because a bootstrap of
//! "all found" or "none false" has no width; the rest is a percentile bootstrap over captures, which are what is
//! independent (Efron 1979), with one seed. Captures that hold an operation and those that hold none are drawn apart.

use rand_xoshiro::Xoshiro256Plus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use serde::Serialize;

/// Part of the probability that an interval leaves out on each side.
const OUTSIDE: f64 = 0.025;
/// Rounds of a bootstrap.
pub const ROUNDS: usize = 400;
/// Seed of the draws.
pub const SEED: u64 = 0x7261_776c;
/// Halvings of a search: more than a double has bits.
const HALVINGS: u32 = 100;

/// A figure with its 95 % interval; none where there is nothing to compute it from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// The figure.
    pub value: Option<f64>,
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

impl Estimate {
    /// `hits` of `all`.
    pub fn share(hits: u64, all: u64) -> Self {
        if all == 0 {
            return Self::default();
        }
        let (k, n) = (hits.min(all), all);
        // The lower end is where as many or more become rare, the upper where as few or fewer do.
        let low = if k == 0 { 0.0 } else { crossing(0.0, 1.0, |p| 1.0 - binomial_below(k, n, p) > OUTSIDE) };
        let high = if k == n { 1.0 } else { crossing(0.0, 1.0, |p| binomial_below(k + 1, n, p) < OUTSIDE) };
        Self { value: Some(k as f64 / n as f64), low: Some(low), high: Some(high) }
    }

    /// `events` in `days`, a day.
    pub fn rate(events: u64, days: f64) -> Self {
        if days <= 0.0 {
            return Self::default();
        }
        let top = 10.0 * (events as f64 + 5.0);
        let low =
            if events == 0 { 0.0 } else { crossing(0.0, top, |mean| 1.0 - poisson_below(events, mean) > OUTSIDE) };
        let high = crossing(0.0, top, |mean| poisson_below(events + 1, mean) < OUTSIDE);
        Self { value: Some(events as f64 / days), low: Some(low / days), high: Some(high / days) }
    }

    /// A figure and what it is over draws of captures. `None` draws are left out.
    pub fn bootstrapped(value: Option<f64>, draws: impl Iterator<Item = Option<f64>>) -> Self {
        let mut draws: Vec<f64> = draws.flatten().filter(|draw| draw.is_finite()).collect();
        draws.sort_by(f64::total_cmp);
        let at = |q: f64| draws.get(((draws.len() as f64 - 1.0) * q).round().max(0.0) as usize).copied();
        Self { value, low: value.and(at(OUTSIDE)), high: value.and(at(1.0 - OUTSIDE)) }
    }
}

/// Weights of captures, one list a round. `holds` says which captures hold an operation.
pub fn draws(holds: &[bool], rounds: usize) -> Vec<Vec<f64>> {
    let strata = [true, false].map(|kind| (0..holds.len()).filter(|&i| holds[i] == kind).collect::<Vec<_>>());
    let mut rng = Xoshiro256Plus::seed_from_u64(SEED);
    let one = |_| {
        let mut weights = vec![0.0; holds.len()];
        for stratum in &strata {
            for _ in stratum {
                // The modulo's bias is below captures / 2^64.
                weights[stratum[(rng.next_u64() % stratum.len() as u64) as usize]] += 1.0;
            }
        }
        weights
    };
    (0..rounds).map(one).collect()
}

/// Where a condition that is false at `low` and true at `high`, or the other way round, changes.
fn crossing(mut low: f64, mut high: f64, is_past: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if is_past(middle) { high = middle } else { low = middle }
    }
    0.5 * (low + high)
}

/// Probability of fewer than `k` hits in `n` at probability `p`.
fn binomial_below(k: u64, n: u64, p: f64) -> f64 {
    let (log_p, log_q) = (libm::log(p), libm::log1p(-p));
    let mut log_choose = 0.0;
    let mut sum = 0.0;
    for i in 0..k.min(n + 1) {
        sum += libm::exp(log_choose + i as f64 * log_p + (n - i) as f64 * log_q);
        log_choose += libm::log((n - i) as f64) - libm::log((i + 1) as f64);
    }
    sum.min(1.0)
}

/// Probability of fewer than `k` events where `mean` are expected.
fn poisson_below(k: u64, mean: f64) -> f64 {
    let mut log_term = -mean;
    let mut sum = 0.0;
    for i in 0..k {
        sum += libm::exp(log_term);
        log_term += libm::log(mean) - libm::log((i + 1) as f64);
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_intervals_are_those_of_the_tables() {
        // Clopper-Pearson and Garwood, as R's binom.test and poisson.test give them.
        for (hits, all, low, high) in
            [(0, 10, 0.0, 0.3085), (10, 10, 0.6915, 1.0), (19, 20, 0.7513, 0.9987), (5, 10, 0.1871, 0.8129)]
        {
            let got = Estimate::share(hits, all);
            let near = |end: Option<f64>, wanted: f64| end.is_some_and(|end| (end - wanted).abs() < 1e-4);
            assert!(near(got.low, low) && near(got.high, high), "{hits} of {all}: {got:?}");
        }
        for (events, days, low, high) in [(0, 1.0, 0.0, 3.6889), (1, 2.0, 0.01266, 2.7858), (10, 1.0, 4.7954, 18.3904)]
        {
            let got = Estimate::rate(events, days);
            let near = |end: Option<f64>, wanted: f64| end.is_some_and(|end| (end - wanted).abs() < 1e-3);
            assert!(near(got.low, low) && near(got.high, high), "{events} in {days}: {got:?}");
        }
        assert_eq!(Estimate::share(0, 0), Estimate::default());
        assert_eq!(Estimate::rate(3, 0.0), Estimate::default());
    }

    #[test]
    fn draws_keep_their_strata_and_their_seed() {
        let holds = [true, true, false, true, false];
        let rounds = draws(&holds, 50);
        assert_eq!(rounds, draws(&holds, 50));
        for weights in &rounds {
            let of = |kind| holds.iter().zip(weights).filter(|(h, _)| **h == kind).map(|(_, w)| w).sum::<f64>();
            assert_eq!((of(true), of(false)), (3.0, 2.0), "{weights:?}");
        }
        assert!(rounds.iter().any(|weights| weights != &rounds[0]));
    }
}
