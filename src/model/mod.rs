//! Model: what a flow is like, and how far a collector's profile is from every ordinary one.
//! In: feature matrices and profile rows (f32, as wide as the register whose hash comes with them). Out: codewords, and
//! scores whose p-values promise a rate of false findings.
//! Bounds: codewords, rows kept and bytes of a file have named limits. Time: none. Randomness: one seed.
//! Not here: which profile features exist (`population`), what a score means (`detect`).
//!
//! With a model file, collectors are held against the traffic it was fitted on; without one, [`Baseline::of_bulk`] holds them
//! against each other, and [`Codebook::grid`] sorts flows into fixed cells.

mod baseline;
mod calibrate;
mod card;
mod codebook;
mod density;
mod drift;
mod file;
mod fit;
mod mixture;
mod profiles;
mod sample;
mod scale;
mod words;

pub use baseline::{Baseline, FeatureBaseline};
pub use calibrate::Calibrator;
pub use card::{Card, Cluster};
pub use codebook::{CODEWORDS_MAX, Codebook, GRID_CELLS};
pub use density::Density;
pub use drift::{Drift, Moved};
pub use file::{FORMAT_VERSION, LoadError, MODEL_BYTES_MAX, SaveError};
pub use fit::{FitConfig, FitError, FlowRows, ProfileRows};
pub use mixture::Mixture;
pub use sample::{FLOW_ROWS_MAX, FlowSample, PARTIES_MAX, ProfileSample, Profiles};
pub use scale::{CLIP, Scaler};

use serde::{Deserialize, Serialize};

use crate::features::FeatureMatrix;
use crate::population::SpanClass;
use profiles::ProfileModel;

/// How one collector's profile stands to the ordinary ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProfileScore {
    /// Probability that an ordinary collector is as far out as this one or farther, above 0 and at most 1.
    pub p_value: f64,
    /// How far out it is: 1 is the median ordinary collector, without unit.
    pub outlier: f64,
    /// The well-populated cluster that it belongs to; none where it belongs to none, or without a model.
    pub cluster: Option<u16>,
    /// Log-likelihood under the mixture of ordinary profiles, nats; none without a model.
    pub log_likelihood: Option<f64>,
}

/// A fitted model: codebook, profile clusters, their calibration, and the card that says what they came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    card: Card,
    feature_set: u32,
    profile_set: u32,
    codebook: Codebook,
    /// For windows, hours and days: what is ordinary within a minute is not within a day.
    profiles: [ProfileModel; SpanClass::ALL.len()],
}

/// The word for a length of span.
fn span_name(class: SpanClass) -> &'static str {
    match class {
        SpanClass::Window => "window",
        SpanClass::Hour => "hour",
        SpanClass::Day => "day",
    }
}

impl Model {
    /// The flow codebook.
    pub fn codebook(&self) -> &Codebook {
        &self.codebook
    }

    /// What it was fitted on, how, and what it is not good for.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// Hash of the profile register that it was fitted on.
    pub fn profile_set(&self) -> u32 {
        self.profile_set
    }

    /// Each flow's codeword, in the matrix's order; what `codewords` held before is gone.
    pub fn assign(&self, matrix: &FeatureMatrix, codewords: &mut Vec<u16>) {
        self.codebook.assign(matrix, codewords);
    }

    /// How many features a profile has.
    pub fn profile_width(&self) -> usize {
        self.profiles[0].width()
    }

    /// Scores a profile of [`Self::profile_width`] features over a span of this length; one that is not a number counts as
    /// ordinary.
    pub fn score_profile(&self, class: SpanClass, profile: &[f32]) -> ProfileScore {
        self.profiles[class as usize].score(profile)
    }

    /// Median and quantiles of a profile feature among the ordinary collectors that it was fitted on.
    pub fn feature_baselines(&self, class: SpanClass) -> &[FeatureBaseline] {
        self.profiles[class as usize].features()
    }

    /// Whether the parts fit each other: what a file says is believed only as far as this has looked.
    fn check(&self) -> Result<(), &'static str> {
        self.codebook.check()?;
        let width = self.profile_width();
        for profiles in &self.profiles {
            profiles.check()?;
            if profiles.width() != width {
                return Err("profiles of one width for windows and of another for days");
            }
        }
        Ok(())
    }
}

/// The value at a quantile of sorted numbers: the smallest that at least `q` of them do not exceed. 0 for none.
fn quantile(sorted: &[f32], q: f64) -> f32 {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(0.0)
}

/// The middle of sorted numbers, between the two middle ones where their number is even. 0 for none.
fn median(sorted: &[f32]) -> f32 {
    let half = sorted.len() / 2;
    match (sorted.len() % 2, sorted.get(half)) {
        (_, None) => 0.0,
        (1, Some(&x)) => x,
        (_, Some(&x)) => (f64::from(sorted[half - 1]) * 0.5 + f64::from(x) * 0.5) as f32,
    }
}

#[cfg(test)]
mod tests;
