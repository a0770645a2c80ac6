//! Drift: how far traffic has moved from what a model was fitted on.
//! In: a model, flow rows and profiles of now. Out: figures, and a word for them.
//! Flow kinds are held against each other by the population stability index over codewords, Σ (now − then) · ln(now / then),
//! whose customary marks are 0.1 (little) and 0.25 (much); profiles by how many are rarer than the calibration promised, and
//! by the features whose medians moved farthest.

use std::fmt;

use super::Model;
use crate::features::FeatureMatrix;
use crate::population::SpanClass;

/// Smallest share of a codeword: one that nobody has any longer must not be infinitely far.
const SHARE_MIN: f64 = 1e-4;
/// Index up to which traffic has hardly moved, and from which on it is other traffic.
const MARKS: (f64, f64) = (0.1, 0.25);
/// Probability whose promise is held against what came.
const PROMISED: f64 = 0.05;
/// Codewords and features named.
const NAMED: usize = 5;

/// See the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    /// Population stability index over codewords; none where the model has no codebook of its own.
    pub flow_index: Option<f64>,
    /// Codewords that moved most: what they are, share then, share now.
    pub flow_kinds: Vec<(String, f64, f64)>,
    /// For windows, hours and days that had profiles: the span, how many, and the share that is rarer than one in twenty.
    pub rare: Vec<(&'static str, usize, f64)>,
    /// Profile features of the hour that moved most: name, median then, median now, ordinary deviations between them.
    pub features: Vec<(String, f32, f32, f64)>,
}

/// How much that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moved {
    /// The model speaks for this traffic.
    Little,
    /// Look at what moved.
    Some,
    /// Train again; its p-values promise nothing here.
    Much,
}

impl Model {
    /// How far `flows` and the profiles of windows, hours and days have moved from this model.
    pub fn drift(&self, flows: &FeatureMatrix, profiles: &[&[Vec<f32>]; SpanClass::ALL.len()]) -> Drift {
        let (flow_index, flow_kinds) = self.flow_drift(flows);
        let rare = SpanClass::ALL.into_iter().filter(|class| !profiles[*class as usize].is_empty());
        let rare = rare.map(|class| {
            let rows = profiles[class as usize];
            let hits = rows.iter().filter(|row| self.score_profile(class, row).p_value <= PROMISED).count();
            (super::span_name(class), rows.len(), hits as f64 / rows.len() as f64)
        });
        let hours = profiles[SpanClass::Hour as usize];
        let moved = self.feature_baselines(SpanClass::Hour).iter().zip(&self.card.profile_features).enumerate();
        let mut features: Vec<(String, f32, f32, f64)> = moved
            .map(|(i, (then, name))| {
                let mut now: Vec<f32> = hours.iter().map(|row| row[i]).collect();
                now.sort_by(f32::total_cmp);
                let now = if now.is_empty() { then.median } else { super::median(&now) };
                (name.clone(), then.median, now, then.robust_z(now))
            })
            .collect();
        features.sort_by(|a, b| b.3.abs().total_cmp(&a.3.abs()).then_with(|| a.0.cmp(&b.0)));
        features.truncate(NAMED);
        features.retain(|(.., deviations)| deviations.abs() >= 0.5);
        Drift { flow_index, flow_kinds, rare: rare.collect(), features }
    }

    fn flow_drift(&self, flows: &FeatureMatrix) -> (Option<f64>, Vec<(String, f64, f64)>) {
        let members = self.codebook.members();
        let all: u64 = members.iter().sum();
        if all == 0 || flows.rows() == 0 {
            return (None, Vec::new());
        }
        let mut codewords = Vec::new();
        self.assign(flows, &mut codewords);
        let mut now = vec![0u64; members.len()];
        codewords.iter().for_each(|&codeword| now[usize::from(codeword)] += 1);
        let share = |count: u64, of: f64| (count as f64 / of).max(SHARE_MIN);
        let shares =
            members.iter().zip(&now).map(|(&then, &now)| (share(then, all as f64), share(now, flows.rows() as f64)));
        let mut kinds: Vec<(f64, usize, f64, f64)> =
            shares.enumerate().map(|(k, (then, now))| ((now - then) * (now / then).ln(), k, then, now)).collect();
        let index = kinds.iter().map(|(part, ..)| part).sum();
        kinds.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let named = kinds.into_iter().take(NAMED).filter(|(part, ..)| *part > 0.005);
        (Some(index), named.map(|(_, k, then, now)| (self.codebook.words(k as u16), then, now)).collect())
    }
}

impl Drift {
    /// The worst of what it measured: flow kinds, or profiles much rarer than promised.
    pub fn moved(&self) -> Moved {
        let (some, much) = MARKS;
        let rarest = self.rare.iter().map(|(_, _, share)| *share).fold(0.0, f64::max);
        match self.flow_index.unwrap_or(0.0) {
            index if index >= much || rarest >= 6.0 * PROMISED => Moved::Much,
            index if index >= some || rarest >= 2.0 * PROMISED => Moved::Some,
            _ => Moved::Little,
        }
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.moved() {
            Moved::Little => "little: the model speaks for this traffic",
            Moved::Some => "some: look at what moved before trusting its p-values",
            Moved::Much => "much: train again, its p-values promise nothing here",
        };
        writeln!(f, "moved: {verdict}")?;
        if let Some(index) = self.flow_index {
            writeln!(f, "flows: stability index {index:.2} ({} is little, {} is much)", MARKS.0, MARKS.1)?;
        }
        for (words, then, now) in &self.flow_kinds {
            writeln!(f, "  {:>5.1} % -> {:>5.1} %  {words}", 100.0 * then, 100.0 * now)?;
        }
        for (span, profiles, share) in &self.rare {
            writeln!(
                f,
                "collectors by {span}: {:.1} % of {profiles} are rarer than one in twenty, 5 % are promised",
                100.0 * share
            )?;
        }
        for (name, then, now, deviations) in &self.features {
            writeln!(f, "  {name}: median {then:.2} -> {now:.2} ({deviations:+.1} ordinary deviations)")?;
        }
        Ok(())
    }
}
