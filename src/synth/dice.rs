//! Dice: every chance of a synthetic world, from one seed.
//! In: the scenario's seed, a purpose and a number. Out: a stream of draws that depends on nothing else, so that adding an
//! operation to a scenario does not move one packet of the homes that it does not touch.
//! Same draws on every machine: integer generators, and `libm` where the platform's own mathematics may round otherwise.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng as SmallSeedableRng};
use sha2::{Digest, Sha256};

use crate::units::DurationNs;

/// The root of all dice of a scenario.
#[derive(Clone, Debug)]
pub(crate) struct Seeds {
    seed: u64,
}

impl Seeds {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Dice of their own for the `index`-th thing of a kind. ChaCha8 under a hashed key makes the states of any two of
    /// them independent; the draws themselves are xoshiro256++'s, whose 32 bytes of state fit into every connection.
    pub(crate) fn dice(&self, purpose: &str, index: u64) -> Dice {
        let mut key = Sha256::new();
        key.update(b"trawlwatch synth 1");
        key.update(self.seed.to_le_bytes());
        key.update(purpose.as_bytes());
        let mut source = ChaCha8Rng::from_seed(key.finalize().into());
        source.set_stream(index);
        let mut state = [0; 32];
        source.fill_bytes(&mut state);
        Dice(Xoshiro256PlusPlus::from_seed(state))
    }

    /// `bytes` pseudo-random bytes.
    pub(crate) fn pool(&self, bytes: usize) -> Vec<u8> {
        let mut pool = vec![0; bytes];
        self.dice("pool", 0).fill(&mut pool);
        pool
    }
}

/// A stream of draws.
#[derive(Clone, Debug)]
pub(crate) struct Dice(Xoshiro256PlusPlus);

impl Dice {
    /// Dice for a thing that this one gives birth to.
    pub(crate) fn fork(&mut self) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(self.0.next_u64()))
    }

    pub(crate) fn word(&mut self) -> u64 {
        self.0.next_u64()
    }

    pub(crate) fn short(&mut self) -> u16 {
        (self.word() >> 48) as u16
    }

    pub(crate) fn int(&mut self) -> u32 {
        (self.word() >> 32) as u32
    }

    /// A whole number in `0..n`; 0 for an empty range.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.word()) * u128::from(n)) >> 64) as u64
    }

    /// An index into a list of `n`.
    pub(crate) fn index(&mut self, n: usize) -> usize {
        self.below(n as u64) as usize
    }

    /// One of them. The list is never empty: the lists are constants of this room.
    pub(crate) fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.index(list.len())]
    }

    /// Uniform in `[0, 1)`, 53 bits.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.word() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Exponential with this mean.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * libm::log(1.0 - self.unit())
    }

    /// Standard normal (Box and Muller; the second of the pair is not kept).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.unit()));
        radius * libm::cos(2.0 * core::f64::consts::PI * self.unit())
    }

    /// Log-normal with this median; `sigma` is the deviation of the logarithm.
    pub(crate) fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        median * libm::exp(sigma * self.normal())
    }

    /// Pareto from `low` up, cut at `high`.
    pub(crate) fn pareto(&mut self, low: f64, alpha: f64, high: f64) -> f64 {
        (low * libm::pow(1.0 - self.unit(), -1.0 / alpha)).min(high)
    }

    /// An index drawn with these weights.
    pub(crate) fn weighted(&mut self, weights: &[f64]) -> usize {
        let mut left = self.unit() * weights.iter().sum::<f64>();
        for (i, weight) in weights.iter().enumerate() {
            left -= weight;
            if left < 0.0 {
                return i;
            }
        }
        weights.len().saturating_sub(1)
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// Uniform between two lengths of time, in seconds.
    pub(crate) fn secs_between(&mut self, low: f64, high: f64) -> DurationNs {
        secs(self.between(low, high))
    }

    /// Exponential length of time with a mean in seconds.
    pub(crate) fn secs_exponential(&mut self, mean: f64) -> DurationNs {
        secs(self.exponential(mean))
    }

    /// `length`, give or take a share of it, never negative.
    pub(crate) fn about(&mut self, length: DurationNs, share: f64) -> DurationNs {
        scaled(length, self.between(1.0 - share, 1.0 + share))
    }
}

/// Seconds as a length of time; negative ones are zero.
pub(crate) fn secs(seconds: f64) -> DurationNs {
    DurationNs((seconds.max(0.0) * 1e9) as u64)
}

/// A length of time, `factor` times.
pub(crate) fn scaled(length: DurationNs, factor: f64) -> DurationNs {
    DurationNs((length.0 as f64 * factor.max(0.0)) as u64)
}

/// Zipf's law over `n` ranks: rank `k` (from 0) has weight `1 / (k + 1)^s`.
#[derive(Clone, Debug)]
pub(crate) struct Zipf {
    cumulative: Vec<f64>,
}

impl Zipf {
    pub(crate) fn new(n: usize, s: f64) -> Self {
        let mut sum = 0.0;
        let cumulative = (1..=n)
            .map(|rank| {
                sum += libm::pow(rank as f64, -s);
                sum
            })
            .collect();
        Self { cumulative }
    }

    /// A rank, from 0.
    pub(crate) fn draw(&self, dice: &mut Dice) -> usize {
        let at = dice.unit() * self.cumulative.last().copied().unwrap_or(0.0);
        self.cumulative.partition_point(|sum| *sum <= at).min(self.cumulative.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_the_same_for_ever() {
        // The bytes of every shipped capture hang on these.
        let mut dice = Seeds::new(7).dice("test", 3);
        let drawn = [dice.word(), dice.word(), dice.fork().word()];
        assert_eq!(drawn, [11_435_760_412_507_040_151, 735_030_716_750_640_333, 976_542_933_180_643_710]);
        assert_eq!(format!("{:.12}", dice.lognormal(100.0, 1.5)), "7.390546934912");
    }

    #[test]
    fn purposes_and_numbers_do_not_share_draws() {
        let seeds = Seeds::new(7);
        let first = |purpose, index| seeds.dice(purpose, index).word();
        let drawn = [first("a", 0), first("a", 1), first("b", 0), Seeds::new(8).dice("a", 0).word()];
        for (i, one) in drawn.iter().enumerate() {
            assert!(drawn.iter().skip(i + 1).all(|other| other != one), "{drawn:x?}");
        }
    }

    #[test]
    fn distributions_have_their_middles() {
        let mut dice = Seeds::new(1).dice("middles", 0);
        let mut drawn: Vec<f64> = (0..20_001).map(|_| dice.lognormal(800.0, 1.2)).collect();
        drawn.sort_by(f64::total_cmp);
        assert!((700.0..900.0).contains(&drawn[10_000]), "{}", drawn[10_000]);
        let mean = (0..20_000).map(|_| dice.exponential(3.0)).sum::<f64>() / 20_000.0;
        assert!((2.9..3.1).contains(&mean), "{mean}");
        let zipf = Zipf::new(50, 1.0);
        let firsts = (0..20_000).filter(|_| zipf.draw(&mut dice) == 0).count();
        assert!((4000..4900).contains(&firsts), "{firsts}");
    }
}
