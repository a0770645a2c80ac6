//! Members: whose traffic a stream can be a copy of, by what it has room for.
//! In: the paces of the busiest subscribers, and of a stream. Out: those added up whom it can hold, or everybody but those
//! whom it cannot. Bounds: the busy subscribers of a summary. Not here: whether the stream follows them.
//! Whoever is chosen by what the stream has room for agrees with it a little, whatever it is: see [`WithoutHeavy::by_choice`].

use super::super::series::{correlation, high_pass, shifted};

/// Share of a subscriber's busy slots in which the stream must be able to hold what the subscriber moved.
const CONTAINED_MIN: f64 = 0.97;
/// What compression may leave of the bytes.
pub(super) const COMPRESSED_MIN: f64 = 0.35;
/// Subscribers who may be left out of a copy of everybody: servers, offices, a backup. More would be a choice that fits.
const LEFT_OUT_MAX: usize = 8;
/// Turned copies of the stream for which the choice is made again.
const CHOICES: usize = 12;

/// Share of the slots in which one is loud that the stream can hold, and how many slots those are.
fn held(one: &[f64], y: &[f64], mean: f64) -> (f64, usize) {
    let loud: Vec<usize> = (0..one.len()).filter(|t| one[*t] > mean * 0.5).collect();
    // The copy may lie a slot later.
    let holds = |t: &&usize| one[**t] * COMPRESSED_MIN <= y[**t].max(y.get(**t + 1).copied().unwrap_or(0.0));
    let held = loud.iter().filter(holds).count();
    (held as f64 / loud.len().max(1) as f64, loud.len())
}

fn mean(y: &[f64]) -> f64 {
    y.iter().sum::<f64>() / y.len().max(1) as f64
}

/// The subscribers whose every burst the stream is large enough to hold, added up; none where that is nobody or everybody
/// would be (the whole has been tried).
pub(super) fn contained(others: &[Vec<f64>], y: &[f64]) -> Option<(Vec<f64>, usize)> {
    let mean = mean(y);
    let mut sum = vec![0.0; y.len()];
    let mut members = 0;
    for one in others {
        let (share, loud) = held(one, y, mean);
        if loud >= 3 && share >= CONTAINED_MIN {
            sum.iter_mut().zip(one).for_each(|(sum, bytes)| *sum += bytes);
            members += 1;
        }
    }
    (members > 0 && members < others.len()).then_some((sum, members))
}

/// Everybody but the few who moved more than the stream has room for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct WithoutHeavy {
    /// Their rate.
    pub(super) series: Vec<f64>,
    /// How many are left out.
    pub(super) left_out: usize,
}

impl WithoutHeavy {
    /// Of the rate of all, and of the busy ones each; none where nobody is too heavy, or too many are.
    pub(super) fn of(all: &[f64], busy: &[Vec<f64>], y: &[f64]) -> Option<Self> {
        let mean = mean(y);
        let is_heavy =
            |one: &&Vec<f64>| matches!(held(one, y, mean), (share, loud) if loud > 0 && share < CONTAINED_MIN);
        let heavy: Vec<&Vec<f64>> = busy.iter().filter(is_heavy).collect();
        if heavy.is_empty() || heavy.len() > LEFT_OUT_MAX {
            return None;
        }
        let mut series = all.to_vec();
        for one in &heavy {
            series.iter_mut().zip(*one).for_each(|(rest, bytes)| *rest = (*rest - bytes).max(0.0));
        }
        Some(Self { series, left_out: heavy.len() })
    }

    /// Mean and deviation of the correlation that the choice alone brings: the stream turned around a circle, and those left
    /// out whom that one has no room for. Where they would be too many, nothing is chosen, and nothing agrees.
    pub(super) fn by_choice(all: &[f64], busy: &[Vec<f64>], y: &[f64]) -> (f64, f64) {
        let turned = (1..=CHOICES).map(|turn| shifted(y, (y.len() * turn / (CHOICES + 1)) as isize));
        let agrees = |y: &[f64], rest: Self| correlation(&high_pass(&rest.series).series, &high_pass(y).series);
        let found: Vec<f64> = turned.map(|y| Self::of(all, busy, &y).map_or(0.0, |rest| agrees(&y, rest))).collect();
        let mean = found.iter().sum::<f64>() / CHOICES as f64;
        let variance = found.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / (CHOICES - 1) as f64;
        (mean, variance.sqrt().max(1.0 / (y.len().max(1) as f64).sqrt()))
    }
}
