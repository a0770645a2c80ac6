//! Scripts: what the two ends of a connection say to each other, round after round.
//! In: distributions. Out: rounds: how long the client waits, how much it sends, how long the server thinks, how much it sends.

use crate::synth::dice::{Dice, secs};
use crate::units::DurationNs;

/// Most bytes of one side in one round.
const ROUND_BYTES_MAX: f64 = 4e9;

/// How many bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Amount {
    Nothing,
    Fixed(f64),
    LogNormal { median: f64, sigma: f64 },
    Pareto { low: f64, alpha: f64, high: f64 },
}

impl Amount {
    pub(crate) fn draw(self, dice: &mut Dice) -> u64 {
        let bytes = match self {
            Self::Nothing => return 0,
            Self::Fixed(bytes) => bytes,
            Self::LogNormal { median, sigma } => dice.lognormal(median, sigma),
            Self::Pareto { low, alpha, high } => dice.pareto(low, alpha, high),
        };
        bytes.clamp(1.0, ROUND_BYTES_MAX) as u64
    }

    /// The same shape with a tail cut at another scale.
    pub(crate) fn limited(self, by: f64) -> Self {
        match self {
            Self::Pareto { low, alpha, high } => Self::Pareto { low, alpha, high: (high * by).max(low * 4.0) },
            other => other.scaled(by),
        }
    }

    /// The same shape at another scale.
    pub(crate) fn scaled(self, by: f64) -> Self {
        match self {
            Self::Nothing => Self::Nothing,
            Self::Fixed(bytes) => Self::Fixed(bytes * by),
            Self::LogNormal { median, sigma } => Self::LogNormal { median: median * by, sigma },
            Self::Pareto { low, alpha, high } => Self::Pareto { low: low * by, alpha, high: high * by },
        }
    }
}

/// How long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Gap {
    None,
    Exponential {
        mean_s: f64,
    },
    LogNormal {
        median_s: f64,
        sigma: f64,
    },
    /// Every so often, give or take a share.
    Regular {
        every_s: f64,
        jitter: f64,
    },
}

impl Gap {
    pub(crate) fn draw(self, dice: &mut Dice) -> DurationNs {
        secs(match self {
            Self::None => 0.0,
            Self::Exponential { mean_s } => dice.exponential(mean_s),
            Self::LogNormal { median_s, sigma } => dice.lognormal(median_s, sigma),
            Self::Regular { every_s, jitter } => every_s * dice.between(1.0 - jitter, 1.0 + jitter),
        })
    }
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    ClientFin,
    ServerFin,
    ClientReset,
    /// It just stays silent.
    Never,
}

/// A conversation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Script {
    pub(crate) rounds: u32,
    /// Before the first round.
    pub(crate) first: Gap,
    /// Before each later round.
    pub(crate) wait: Gap,
    pub(crate) up: Amount,
    pub(crate) down: Amount,
    /// How long the server thinks, on average.
    pub(crate) think_s: f64,
    pub(crate) close: Close,
}

/// One question and its answer; without `up` the server speaks unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Round {
    pub(crate) wait: DurationNs,
    pub(crate) up: u64,
    pub(crate) think: DurationNs,
    pub(crate) down: u64,
}

impl Script {
    /// One question.
    pub(crate) const fn once(up: Amount, down: Amount) -> Self {
        Self { rounds: 1, first: Gap::None, wait: Gap::None, up, down, think_s: 0.03, close: Close::ClientFin }
    }

    /// The next round; none when all is said.
    pub(crate) fn next(&mut self, done: u32, dice: &mut Dice) -> Option<Round> {
        if done >= self.rounds {
            return None;
        }
        let wait = if done == 0 { self.first } else { self.wait };
        Some(Round {
            wait: wait.draw(dice),
            up: self.up.draw(dice),
            think: DurationNs(dice.secs_exponential(self.think_s).0 + 300_000),
            down: self.down.draw(dice),
        })
    }
}
