//! `trawlwatch train`: captures of a user's own traffic in, a model file and its card out.
//! Two passes over the captures: the first draws flow rows for the codebook, the second collectors' profiles made with it.
//! Bounds: [`FLOW_ROWS_MAX`](crate::model::FLOW_ROWS_MAX) flow rows and [`PARTIES_MAX`](crate::model::PARTIES_MAX) parties by
//! window, hour and day each, drawn by hashes, so that the same are taken whatever the order; the card says of how many.

use std::io::Write;
use std::path::PathBuf;

use anyhow::bail;

use super::options::{ConfigFile, Shared, Train};
use super::setting::Setting;
use super::talk::Talk;
use super::{Status, analysis, options};
use crate::model::{FitConfig, FlowRows, FlowSample, Model, ProfileRows, ProfileSample};
use crate::pipeline::RowsWanted;
use crate::population::SummaryLimits;
use crate::population::profile::{PROFILE_FEATURES, profile_set_hash};

/// Fit models on your own traffic, write a model file with its card
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Captures of ordinary traffic: pcap, nanosecond pcap or pcapng; plain, .gz or .zst
    #[arg(value_name = "FILE", required_unless_present = "print_config")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    shared: Shared,
    #[command(flatten)]
    train: Train,
}

impl Args {
    /// Lays the configuration file and the defaults under what was typed.
    pub fn under(self, file: &ConfigFile) -> Self {
        let defaults = Train { window: Some("60s".to_owned()), seed: Some(1), codewords: Some(64), ..Train::default() };
        Self {
            files: self.files,
            shared: self.shared.or(file.shared.clone()).or(options::defaults()),
            train: self.train.or(file.train.clone()).or(defaults),
        }
    }

    /// What is in force, as a configuration file.
    pub fn in_force(&self) -> anyhow::Result<String> {
        options::in_force(&self.shared, "train", &self.train)
    }
}

/// Runs the verb.
pub fn run(args: Args, talk: &Talk) -> anyhow::Result<Status> {
    if args.train.output.is_none() && args.train.against.is_none() {
        bail!("train: --output FILE is missing; name the model file to write, for example mine.trwl");
    }
    if args.files.iter().any(|file| file.as_os_str() == "-") {
        bail!("train: reads its input twice, so it cannot come from standard input; name files");
    }
    let mut setting = Setting::new(&args.shared, args.train.window.as_deref(), talk)?;
    let seed = args.train.seed.unwrap_or(1);
    let codewords = args.train.codewords.unwrap_or(64);
    let config = FitConfig { seed, codewords, ..FitConfig::default() };

    let mut flows = FlowSample::default();
    analysis::windows(&args.files, &setting, RowsWanted::All, talk, |window| {
        flows.add(&window.rows);
        Ok(())
    })?;
    let (seen, matrix, services) = flows.finish();
    let flows = FlowRows { matrix: &matrix, services: &services, seen };
    let (against, fitted) = match &args.train.against {
        Some(path) => (true, Model::load(path, profile_set_hash())?),
        None => (false, Model::of_flows(flows, config)?),
    };
    setting.model = Some(fitted);
    let mut sample = ProfileSample::new(SummaryLimits::default());
    let lossy =
        analysis::windows(&args.files, &setting, RowsWanted::None, talk, |window| Ok(sample.window(window.summary)?))?;
    let profiles = sample.finish()?;
    let Some(mut model) = setting.model.take() else { bail!("train: no model was made") };
    let mut out = std::io::stdout().lock();
    if against {
        write!(out, "{}", model.drift(&matrix, &profiles.each_ref().map(|one| one.rows.as_slice())))?;
    } else {
        let rows = ProfileRows {
            names: &NAMES,
            set_hash: profile_set_hash(),
            rows: profiles.each_ref().map(|one| one.rows.as_slice()),
            services: profiles.each_ref().map(|one| one.services.as_slice()),
        };
        model = model.with_profiles(flows, rows, &created_from(&args.files), config)?;
    }
    if let Some(output) = args.train.output.as_deref().filter(|_| !against) {
        model.save(output)?;
        let counts = profiles.each_ref().map(|one| one.rows.len());
        talk.note(&format!(
            "{}: fitted on {} of {seen} flow rows and on profiles of {} parties by window, {} by hour and {} by day; the card \
             beside it says more",
            output.display(),
            matrix.rows(),
            counts[0],
            counts[1],
            counts[2],
        ));
    }
    if args.train.explain.unwrap_or(false) {
        write!(out, "{}", model.card().explained())?;
    }
    Ok(if lossy { Status::Damaged } else { Status::Quiet })
}

/// Names of the profile register, in order.
const NAMES: [&str; PROFILE_FEATURES.len()] = {
    let mut names = [""; PROFILE_FEATURES.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = PROFILE_FEATURES[i].name;
        i += 1;
    }
    names
};

/// The file names, as the card says them.
fn created_from(files: &[PathBuf]) -> String {
    let name = |file: &PathBuf| file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let shown: Vec<String> = files.iter().take(5).map(name).collect();
    let more = files.len().saturating_sub(shown.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}
