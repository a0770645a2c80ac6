//! Fit: from a user's own traffic to a model.
//! In: flow features and collector profiles. Out: a [`Model`] with its card. Bounds: rows used; of more, a sample drawn from
//! the seed. The same input and seed give the same model on one kind of machine (linfa's matrix products differ in their last
//! bits between processors).

use super::card::{Card, Cluster};
use super::codebook::{CODEWORDS_MAX, Codebook};
use super::profiles::{ProfileModel, ROWS_TO_SPLIT, shuffle};
use super::{Model, words};
use crate::features::{FEATURE_COUNT, FEATURES, FeatureMatrix, SET_HASH};
use crate::population::SpanClass;
use crate::population::collector::Service;

/// Flow rows that a codebook can be fitted on at all.
const FLOW_ROWS_MIN: usize = 1;

/// Flows: a row each.
#[derive(Clone, Copy, Debug)]
pub struct FlowRows<'a> {
    /// Their features.
    pub matrix: &'a FeatureMatrix,
    /// The service of each, for words only; empty where nobody asks.
    pub services: &'a [Service],
    /// Rows that they were drawn from.
    pub seen: u64,
}

/// Collector profiles of windows, hours and days (in the order of [`SpanClass::ALL`]): one row each, as wide as their register.
#[derive(Clone, Copy, Debug)]
pub struct ProfileRows<'a> {
    /// Names of the register, in order.
    pub names: &'a [&'a str],
    /// Hash of the register.
    pub set_hash: u32,
    /// The rows; none is allowed, then the model has a codebook only.
    pub rows: [&'a [Vec<f32>]; SpanClass::ALL.len()],
    /// The service of each, for words only; empty where nobody asks.
    pub services: [&'a [Service]; SpanClass::ALL.len()],
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
    /// Fits a model: its codebook on flows, its three models of collectors on profiles made with that codebook.
    pub fn fit(
        flows: FlowRows<'_>,
        profiles: ProfileRows<'_>,
        created_from: &str,
        config: FitConfig,
    ) -> Result<Self, FitError> {
        Self::of_flows(flows, config)?.with_profiles(flows, profiles, created_from, config)
    }

    /// A model that knows flows only: what profiles are made with.
    pub fn of_flows(flows: FlowRows<'_>, config: FitConfig) -> Result<Self, FitError> {
        if flows.matrix.rows() < FLOW_ROWS_MIN {
            return Err(FitError::TooFewFlows { found: flows.matrix.rows(), needed: FLOW_ROWS_MIN });
        }
        if !(1..=CODEWORDS_MAX).contains(&config.codewords) {
            return Err(FitError::Codewords { found: config.codewords });
        }
        let used = sample(flows.matrix, config.flow_rows_max, config.seed);
        Ok(Self {
            card: Card::default(),
            feature_set: SET_HASH,
            profile_set: 0,
            codebook: Codebook::fit(&used, config.codewords, config.seed),
            profiles: Default::default(),
        })
    }

    /// The same with what is ordinary of collectors, and its card.
    pub fn with_profiles(
        mut self,
        flows: FlowRows<'_>,
        profiles: ProfileRows<'_>,
        created_from: &str,
        config: FitConfig,
    ) -> Result<Self, FitError> {
        profiles.rows.iter().try_for_each(|rows| check(profiles.names, rows))?;
        self.profile_set = profiles.set_hash;
        self.profiles = profiles.rows.map(|rows| {
            let mut rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
            if rows.len() > config.profile_rows_max {
                shuffle(&mut rows, config.seed);
                rows.truncate(config.profile_rows_max);
            }
            ProfileModel::fit(&rows, profiles.names.len(), config.seed)
        });
        self.card = card(&self, flows, &profiles, created_from, config);
        Ok(self)
    }
}

fn check(names: &[&str], rows: &[Vec<f32>]) -> Result<(), FitError> {
    for (row, values) in rows.iter().enumerate() {
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

fn card(model: &Model, flows: FlowRows<'_>, profiles: &ProfileRows<'_>, created_from: &str, config: FitConfig) -> Card {
    let flow_rows_used = flows.matrix.rows().min(config.flow_rows_max);
    let used = |rows: &[Vec<f32>]| rows.len().min(config.profile_rows_max);
    let offered: usize = profiles.rows.iter().map(|rows| rows.len()).sum();
    let held_back: usize = model.profiles.iter().map(ProfileModel::held_back).sum();
    let trimmed: u32 = model.profiles.iter().map(ProfileModel::trimmed).sum();
    let members = model.codebook.members();
    let largest = members.iter().max().copied().unwrap_or(0) as f64 / flow_rows_used.max(1) as f64;
    let mut figures = vec![
        ("codewords".to_owned(), model.codebook.len() as f64),
        ("share of the largest codeword".to_owned(), largest),
        ("profiles left out as pockets far from all others".to_owned(), f64::from(trimmed)),
    ];
    for class in SpanClass::ALL {
        let (rows, of) = (profiles.rows[class as usize], &model.profiles[class as usize]);
        let rare = |level: f64| rows.iter().filter(|row| of.score(row).p_value <= level).count() as f64;
        let span = super::span_name(class);
        figures.push((format!("{span}: profiles"), rows.len() as f64));
        figures.push((format!("{span}: clusters"), of.clusters() as f64));
        figures.push((format!("{span}: share with p ≤ 0.05"), rare(0.05) / rows.len().max(1) as f64));
        figures.push((format!("{span}: share with p ≤ 0.01"), rare(0.01) / rows.len().max(1) as f64));
    }
    Card {
        created_from: created_from.to_owned(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        seed: config.seed,
        flow_rows_offered: flows.seen,
        flow_rows_used: flow_rows_used as u64,
        profile_rows_offered: offered as u64,
        profile_rows_used: profiles.rows.iter().map(|rows| used(rows) as u64).sum(),
        profile_rows_held_back: held_back as u64,
        flow_features: FEATURES.iter().map(|feature| feature.name.to_owned()).collect(),
        profile_features: profiles.names.iter().map(|&name| name.to_owned()).collect(),
        figures,
        limits: limits(model, flows, profiles, config),
        codewords: flow_kinds(model, flows),
        clusters: SpanClass::ALL.into_iter().flat_map(|class| collector_kinds(model, profiles, class)).collect(),
    }
}

/// What the model is not good for.
fn limits(model: &Model, flows: FlowRows<'_>, profiles: &ProfileRows<'_>, config: FitConfig) -> Vec<String> {
    let mut limits = vec![
        "Fitted on what it was given as ordinary. A party counts once however long it is there, and pockets of alike \
         strangers of up to 5 % of the parties are left out; an operation behind more addresses than that, in networks of \
         their own, is part of what this model calls ordinary."
            .to_owned(),
        "Flow features depend on where the sensor stands and on the window's length: fit and use in the same place. \
         `trawlwatch train --against` tells how far traffic has moved."
            .to_owned(),
        "A p-value is a promise only for traffic like the calibration's.".to_owned(),
    ];
    let used = flows.matrix.rows().min(config.flow_rows_max) as u64;
    if flows.seen > used {
        limits.push(format!("Only {used} of {} flow rows were used, drawn by a hash of the flow.", flows.seen));
    }
    for class in SpanClass::ALL {
        let (rows, of) = (profiles.rows[class as usize].len(), &model.profiles[class as usize]);
        let span = super::span_name(class);
        if rows > config.profile_rows_max {
            limits.push(format!(
                "Only {} of {rows} profiles by {span} were used, drawn at random.",
                config.profile_rows_max
            ));
        }
        if rows < ROWS_TO_SPLIT {
            limits.push(format!(
                "{rows} profiles by {span} are too few to hold any back: p-values come from distances among them alone."
            ));
        }
        if !of.has_tail() {
            limits.push(format!(
                "Too few scores by {span} for a tail: no p-value is below one over the number of calibration profiles."
            ));
        }
    }
    limits
}

fn flow_kinds(model: &Model, flows: FlowRows<'_>) -> Vec<Cluster> {
    let mut codewords = Vec::new();
    model.assign(flows.matrix, &mut codewords);
    let of = |codeword: u16| {
        codewords.iter().zip(flows.services).filter(move |(is, _)| **is == codeword).map(|(_, service)| *service)
    };
    let count = |codeword: u16| codewords.iter().filter(|is| **is == codeword).count() as u64;
    let kind = |number: u16| Cluster {
        of: "flow".to_owned(),
        number,
        members: count(number),
        share: count(number) as f64 / codewords.len().max(1) as f64,
        words: model.codebook.words(number),
        services: words::services(of(number)),
    };
    (0..model.codebook.len() as u16).map(kind).collect()
}

fn collector_kinds(model: &Model, profiles: &ProfileRows<'_>, class: SpanClass) -> Vec<Cluster> {
    let (rows, services) = (profiles.rows[class as usize], profiles.services[class as usize]);
    let of = &model.profiles[class as usize];
    let numbers: Vec<Option<u16>> = rows.iter().map(|row| of.score(row).cluster).collect();
    let names: Vec<String> = profiles.names.iter().map(|&name| name.to_owned()).collect();
    let kind = |(number, (_, words)): (usize, (f64, String))| {
        let is_member = |is: &Option<u16>| *is == Some(number as u16);
        let members = numbers.iter().filter(|is| is_member(is)).count() as u64;
        let served = numbers.iter().zip(services).filter(|(is, _)| is_member(is)).map(|(_, service)| *service);
        Cluster {
            of: super::span_name(class).to_owned(),
            number: number as u16,
            members,
            share: members as f64 / rows.len().max(1) as f64,
            words,
            services: words::services(served),
        }
    };
    of.cluster_words(&names).into_iter().enumerate().map(kind).collect()
}
