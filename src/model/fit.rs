//! Fit: from a user's own traffic to a model.
//! In: flow features and collector profiles. Out: a [`Model`] with its card. Bounds: rows used; of more, a sample drawn from
//! the seed. The same input and seed give the same model on one kind of machine (linfa's matrix products differ in their last
//! bits between processors).

use super::Model;
use super::card::Card;
use super::codebook::{CODEWORDS_MAX, Codebook};
use super::profiles::{ProfileModel, ROWS_TO_SPLIT, shuffle};
use crate::features::{FEATURE_COUNT, FEATURES, FeatureMatrix, SET_HASH};

/// Flow rows that a codebook can be fitted on at all.
const FLOW_ROWS_MIN: usize = 1;

/// Collector profiles: one row each, as wide as their register.
#[derive(Clone, Copy, Debug)]
pub struct ProfileRows<'a> {
    /// Names of the register, in order.
    pub names: &'a [&'a str],
    /// Hash of the register.
    pub set_hash: u32,
    /// The rows.
    pub rows: &'a [Vec<f32>],
}

/// What a model is fitted on.
#[derive(Clone, Copy, Debug)]
pub struct FitInput<'a> {
    /// Features of ended flows.
    pub flow_features: &'a FeatureMatrix,
    /// Profiles of collectors; none is allowed, then the model has a codebook only.
    pub profiles: ProfileRows<'a>,
    /// Where all this comes from, for the card.
    pub created_from: &'a str,
}

/// How.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FitConfig {
    /// Of everything random.
    pub seed: u64,
    /// Codewords wanted, 1 to [`CODEWORDS_MAX`].
    pub codewords: usize,
    /// Flow rows used at most.
    pub flow_rows_max: usize,
    /// Profiles used at most.
    pub profile_rows_max: usize,
}

impl Default for FitConfig {
    fn default() -> Self {
        // 30,000 rows into 64 codewords take 17 s on two busy cores (benches/codewords.rs), and time grows with rows and codewords.
        Self { seed: 1, codewords: 64, flow_rows_max: 30_000, profile_rows_max: 4_000 }
    }
}

/// Why no model could be fitted.
#[derive(Debug, thiserror::Error, PartialEq)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum FitError {
    #[error("no flow to fit on: {found} flow rows, {needed} needed; give captures that hold IP traffic")]
    TooFewFlows { found: usize, needed: usize },
    #[error("{found} codewords asked for; from 1 to {max} can be had", max = CODEWORDS_MAX)]
    Codewords { found: usize },
    #[error("profile row {row} has {found} values, its register {needed}; both must come from one build")]
    Width { row: usize, found: usize, needed: usize },
    #[error("profile row {row}: {name} is {value}, not a finite number")]
    NotFinite { row: usize, name: String, value: f32 },
}

impl Model {
    /// Fits a model.
    pub fn fit(input: FitInput<'_>, config: FitConfig) -> Result<Self, FitError> {
        check(&input, config)?;
        let flows = sample(input.flow_features, config.flow_rows_max, config.seed);
        let codebook = Codebook::fit(&flows, config.codewords, config.seed);
        let mut rows: Vec<&[f32]> = input.profiles.rows.iter().map(Vec::as_slice).collect();
        if rows.len() > config.profile_rows_max {
            shuffle(&mut rows, config.seed);
            rows.truncate(config.profile_rows_max);
        }
        let profiles = ProfileModel::fit(&rows, input.profiles.names.len(), config.seed);
        let mut model = Self {
            card: Card::default(),
            feature_set: SET_HASH,
            profile_set: input.profiles.set_hash,
            codebook,
            profiles,
        };
        model.card = card(&input, config, &model, (flows.rows(), rows.len()));
        Ok(model)
    }
}

fn check(input: &FitInput<'_>, config: FitConfig) -> Result<(), FitError> {
    if input.flow_features.rows() < FLOW_ROWS_MIN {
        return Err(FitError::TooFewFlows { found: input.flow_features.rows(), needed: FLOW_ROWS_MIN });
    }
    if !(1..=CODEWORDS_MAX).contains(&config.codewords) {
        return Err(FitError::Codewords { found: config.codewords });
    }
    let names = input.profiles.names;
    for (row, values) in input.profiles.rows.iter().enumerate() {
        if values.len() != names.len() {
            return Err(FitError::Width { row, found: values.len(), needed: names.len() });
        }
        if let Some((name, &value)) = names.iter().zip(values).find(|(_, value)| !value.is_finite()) {
            return Err(FitError::NotFinite { row, name: (*name).to_owned(), value });
        }
    }
    Ok(())
}

/// All rows, or as many as may be used, drawn without replacement and kept in their order.
fn sample(all: &FeatureMatrix, rows_max: usize, seed: u64) -> FeatureMatrix {
    let mut chosen: Vec<usize> = (0..all.rows()).collect();
    if chosen.len() > rows_max {
        shuffle(&mut chosen, seed);
        chosen.truncate(rows_max.max(1));
        chosen.sort_unstable();
    }
    let mut sample = FeatureMatrix::new();
    let mut row = [0.0; FEATURE_COUNT];
    for i in chosen {
        all.copy_row(i, &mut row);
        sample.push_row(&row);
    }
    sample
}

fn card(input: &FitInput<'_>, config: FitConfig, model: &Model, (flows, profiles): (usize, usize)) -> Card {
    let offered = (input.flow_features.rows(), input.profiles.rows.len());
    let held_back = model.profiles.held_back();
    let members = model.codebook.members();
    let largest = members.iter().max().copied().unwrap_or(0) as f64 / flows.max(1) as f64;
    let alerts = |level: f64| {
        let hits = input.profiles.rows.iter().filter(|row| model.score_profile(row).p_value <= level).count();
        hits as f64 / offered.1.max(1) as f64
    };
    let mut limits = vec![
        "Fitted on what it was given as ordinary: an operation that ran in that traffic is part of what it calls ordinary.".to_owned(),
        "Flow features depend on where the sensor stands and on the window's length: fit and use in the same place.".to_owned(),
        "A p-value is a promise only for traffic like the calibration's.".to_owned(),
    ];
    if offered.0 > flows {
        limits.push(format!("Only {flows} of {} flow rows were used, drawn at random.", offered.0));
    }
    if offered.1 > profiles {
        limits.push(format!("Only {profiles} of {} collector profiles were used, drawn at random.", offered.1));
    }
    if profiles < ROWS_TO_SPLIT {
        limits.push(format!(
            "{profiles} collector profiles are too few to hold any back: p-values come from distances among them alone."
        ));
    }
    if !model.profiles.has_tail() {
        limits.push(
            "Too few scores for a tail: no p-value is below one over the number of calibration profiles.".to_owned(),
        );
    }
    Card {
        created_from: input.created_from.to_owned(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        seed: config.seed,
        flow_rows_offered: offered.0 as u64,
        flow_rows_used: flows as u64,
        profile_rows_offered: offered.1 as u64,
        profile_rows_used: profiles as u64,
        profile_rows_held_back: held_back as u64,
        flow_features: FEATURES.iter().map(|feature| feature.name.to_owned()).collect(),
        profile_features: input.profiles.names.iter().map(|&name| name.to_owned()).collect(),
        figures: vec![
            ("codewords".to_owned(), model.codebook.len() as f64),
            ("share of the largest codeword".to_owned(), largest),
            ("profile clusters".to_owned(), model.profiles.clusters() as f64),
            ("share of the offered profiles with p ≤ 0.05".to_owned(), alerts(0.05)),
            ("share of the offered profiles with p ≤ 0.01".to_owned(), alerts(0.01)),
        ],
        limits,
        codewords: members.iter().enumerate().map(|(k, &rows)| (rows, model.codebook.describe(k as u16))).collect(),
    }
}
