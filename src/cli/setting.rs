//! Setting: the one border where options become what is meant.
//! In: options as written. Out: a policy, populations, places, a key, bounds; every file that an option names is read here.

use std::num::NonZeroUsize;
use std::path::Path;

use anyhow::{Context, bail};

use super::options::{Shared, parse_duration};
use super::talk::Talk;
use crate::flow::FlowConfig;
use crate::model::Model;
use crate::packet::ParserLimits;
use crate::pipeline::{self, Config, RowsWanted};
use crate::policy::Policy;
use crate::population::places::Places;
use crate::population::profile::profile_set_hash;
use crate::population::{PopulationSpec, Populations, SummaryLimits};
use crate::privacy::{Key, KeyError};
use crate::report::flows::FlowFormat;
use crate::units::DurationNs;

/// Most workers that are started unasked.
const WORKERS_DEFAULT_MAX: usize = 8;
/// Most workers at all: past it the reader is what limits.
const WORKERS_MAX: usize = 256;
/// Flows kept at once unless `--flows-max` says otherwise.
const FLOWS_MAX: usize = 1_000_000;

/// What a run is meant to do.
pub struct Setting {
    /// Register, transfers.
    pub policy: Policy,
    /// Whose data is protected.
    pub populations: Populations,
    /// Where addresses are.
    pub places: Places,
    /// Trained model, if one is named.
    pub model: Option<Model>,
    /// The pseudonym key, where a file holds one.
    pub key: Option<Key>,
    /// Whether subscribers are shown in clear.
    pub reveal: bool,
    workers: usize,
    flows_max: usize,
    window: DurationNs,
    filter: Option<String>,
}

impl Setting {
    /// Reads what the options name; `window` is the verb's own.
    pub fn new(shared: &Shared, window: Option<&str>, talk: &Talk) -> anyhow::Result<Self> {
        let window = parse_duration(window.unwrap_or("60s")).map_err(anyhow::Error::msg).context("--window")?;
        let workers = shared.workers.unwrap_or_else(workers_default);
        if workers == 0 || workers > WORKERS_MAX {
            bail!("--workers {workers}: takes a number from 1 to {WORKERS_MAX}");
        }
        let flows_max = shared.flows_max.unwrap_or(FLOWS_MAX);
        if flows_max < workers {
            bail!("--flows-max {flows_max}: takes a number of at least one flow a worker ({workers})");
        }
        if let Some(expression) = &shared.filter {
            pipeline::check_filter(expression)?;
        }
        let policy = match &shared.policy {
            Some(path) => load_policy(path, talk)?,
            None => Policy::default(),
        };
        Ok(Self {
            populations: populations(&policy, shared.population.as_deref().unwrap_or_default())?,
            places: Places::open(shared.geo.as_deref().unwrap_or_default())?,
            model: shared.model.as_deref().map(|path| Model::load(path, profile_set_hash())).transpose()?,
            key: key(shared, talk)?,
            reveal: shared.reveal.is_some(),
            policy,
            workers,
            flows_max,
            window,
            filter: shared.filter.clone(),
        })
    }

    /// Threads that read and analyse.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// Threads that a round of detectors may take: as many as there are workers.
    pub fn detector_threads(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.workers).unwrap_or(NonZeroUsize::MIN)
    }

    /// The pipeline's share of it. `key` seeds every hash whose results must be the same in a rerun.
    pub fn pipeline(&self, rows: RowsWanted, seed: u64) -> Config {
        Config {
            workers: self.workers,
            // Whole flows are still handed on minute by minute, so that memory does not grow with the capture.
            window: if self.window == DurationNs::ZERO { DurationNs::from_secs(60) } else { self.window },
            filter: self.filter.clone(),
            rows,
            flow: FlowConfig {
                window: self.window,
                flows_max: u32::try_from(self.flows_max.div_ceil(self.workers)).unwrap_or(u32::MAX),
                hash_key: [seed, seed.rotate_left(32) ^ 0x5bd1_e995],
                ..FlowConfig::default()
            },
            parser: ParserLimits::default(),
            summary: SummaryLimits::default(),
            seed,
        }
    }
}

/// The format that a file's name asks for.
pub fn flow_format_of(path: &Path) -> Option<FlowFormat> {
    match path.extension()?.to_str()? {
        "parquet" => Some(FlowFormat::Parquet),
        "csv" => Some(FlowFormat::Csv),
        "json" | "jsonl" | "ndjson" => Some(FlowFormat::Json),
        _ => None,
    }
}

fn workers_default() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get().min(WORKERS_DEFAULT_MAX))
}

fn load_policy(path: &Path, talk: &Talk) -> anyhow::Result<Policy> {
    // The one place where a verb asks what day it is, and only to warn of entries that are over.
    let today = jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::now()).date();
    let (policy, warnings) = Policy::load(path, today)?;
    warnings.iter().for_each(|warning| talk.warn(&warning.to_string()));
    Ok(policy)
}

/// The policy's populations, or the prefixes of `--population`, or private address space.
fn populations(policy: &Policy, prefixes: &[String]) -> anyhow::Result<Populations> {
    let named = policy.populations();
    match (named.is_empty(), prefixes.is_empty()) {
        (false, false) => bail!("--population: the policy names populations already; leave one of the two out"),
        (false, true) => Ok(Populations::new(named.to_vec())?.with_transfers(policy.transfer_rules())),
        (true, true) => Ok(Populations::default_private()),
        (true, false) => {
            let prefixes = prefixes.iter().map(|text| prefix(text)).collect::<anyhow::Result<_>>()?;
            let name = "population".to_owned();
            Ok(Populations::new(vec![PopulationSpec { name, prefixes, jurisdiction: None, resolvers: Vec::new() }])?)
        }
    }
}

fn prefix(text: &str) -> anyhow::Result<ipnet::IpNet> {
    let text = text.trim();
    let one_address = || text.parse::<std::net::IpAddr>().ok().map(ipnet::IpNet::from);
    let net = text.parse::<ipnet::IpNet>().ok().or_else(one_address);
    net.map(|net| net.trunc())
        .with_context(|| format!("--population {text:?}: not a prefix; write for example 10.20.0.0/16"))
}

fn key(shared: &Shared, talk: &Talk) -> anyhow::Result<Option<Key>> {
    let read = |path: &Path| -> Result<Key, KeyError> {
        let (key, warning) = Key::from_file(path)?;
        if let Some(warning) = warning {
            talk.warn(&warning.to_string());
        }
        Ok(key)
    };
    match (&shared.reveal, &shared.key) {
        (Some(path), _) => Ok(Some(read(path)?)),
        (None, Some(path)) if !path.exists() => {
            let key = Key::create_file(path)?;
            talk.note(&format!("{}: a new pseudonym key; keep it, it alone turns pseudonyms back", path.display()));
            Ok(Some(key))
        }
        (None, Some(path)) => Ok(Some(read(path)?)),
        (None, None) => Ok(None),
    }
}
