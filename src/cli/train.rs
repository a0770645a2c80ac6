//! `trawlwatch train`: captures of a user's own traffic in, a model file and its card out.
//! Two passes over the captures: the first draws flow rows for the codebook, the second collectors' profiles made with it.
//! Bounds: [`FLOW_ROWS_MAX`](crate::model::FLOW_ROWS_MAX) flow rows and [`PARTIES_MAX`](crate::model::PARTIES_MAX) parties by
//! window, hour and day each, drawn by hashes, so that the same are taken whatever the order; the card says of how many.

use std::io::Write;
use std::path::PathBuf;

use anyhow::bail;

use super::analysis::{self, RowsTo};
use super::options::{ConfigFile, Shared, Train};
use super::setting::Setting;
use super::talk::Talk;
use super::{Status, evaluate, options};
use crate::flow::row::FlowColumns;
use crate::model::{FitConfig, FlowRows, FlowSample, Model, ProfileRows, ProfileSample};
use crate::population::SummaryLimits;
use crate::population::profile::{PROFILE_FEATURES, profile_set_hash};

/// Fit models on your own traffic, write a model file with its card
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Captures of ordinary traffic: pcap, nanosecond pcap or pcapng; plain, .gz or .zst
    #[arg(value_name = "FILE", required_unless_present_any = ["print_config", "labelled"])]
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
    let places = places(&args, talk)?;
    let seed = args.train.seed.unwrap_or(1);
    let codewords = args.train.codewords.unwrap_or(64);
    let config = FitConfig { seed, codewords, ..FitConfig::default() };

    let mut flows = FlowSample::default();
    for Place { setting, files } in &places {
        let mut each_rows = |rows: &FlowColumns| {
            flows.add(rows);
            Ok(())
        };
        analysis::windows(files, setting, RowsTo::Each(&mut each_rows), talk, |_| Ok(()))?;
    }
    let (seen, matrix, services) = flows.finish();
    let flows = FlowRows { matrix: &matrix, services: &services, seen };
    let (against, mut model) = match &args.train.against {
        Some(path) => (true, Model::load(path, profile_set_hash())?),
        None => (false, Model::of_flows(flows, config)?),
    };
    let mut sample = ProfileSample::new(SummaryLimits::default());
    let mut lossy = false;
    for Place { mut setting, files } in places {
        setting.model = Some(model.clone());
        lossy |=
            analysis::windows(&files, &setting, RowsTo::Nobody, talk, |window| Ok(sample.window(window.summary)?))?;
        sample.end_place()?;
    }
    let profiles = sample.finish()?;
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
        model = model.with_profiles(flows, rows, &created_from(&args), config)?;
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

/// Captures of one place, and what they are read under.
struct Place {
    setting: Setting,
    files: Vec<PathBuf>,
}

/// What is trained on: all files as one place, and every labelled capture as a place of its own under its own policy.
fn places(args: &Args, talk: &Talk) -> anyhow::Result<Vec<Place>> {
    let window = args.train.window.as_deref();
    let mut places = Vec::new();
    if !args.files.is_empty() {
        places.push(Place { setting: Setting::new(&args.shared, window, talk)?, files: args.files.clone() });
    }
    let folders = args.train.labelled.as_deref().unwrap_or_default();
    if !folders.is_empty() {
        let (labelled, refused) = evaluate::labelled(folders, &[], talk)?;
        if refused > 0 {
            bail!("train: {refused} label files were refused; mend or remove them");
        }
        for (name, labels) in labelled {
            if !labels.operations.is_empty() {
                bail!("train: {name} holds an operation; a model is fitted on ordinary traffic");
            }
            let setting = Setting::new(&evaluate::under_labels(&args.shared, &labels), window, &Talk::hushed())?;
            places.push(Place { setting, files: vec![labels.capture] });
        }
    }
    Ok(places)
}

/// The file names, as the card says them.
fn created_from(args: &Args) -> String {
    let files: Vec<&PathBuf> = args.files.iter().chain(args.train.labelled.iter().flatten()).collect();
    let name = |file: &&PathBuf| file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let shown: Vec<String> = files.iter().take(5).map(name).collect();
    let more = files.len().saturating_sub(shown.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}
