//! `trawlwatch train`: captures of a user's own traffic in, a model file and its card out.
//! Two passes over the captures: the first gathers flow features for the codebook, the second the collectors' profiles.
//! Bounds: [`FLOW_ROWS_MAX`] flow rows (by a hash of the flow, so that the same rows are taken whatever the order) and
//! [`PROFILE_ROWS_MAX`] profiles; what is fitted of those is said in the card.

use std::path::PathBuf;

use anyhow::bail;

use super::options::{ConfigFile, Shared, Train};
use super::setting::Setting;
use super::talk::Talk;
use super::{Status, analysis, options};
use crate::features::{self, FEATURE_COUNT, FeatureMatrix};
use crate::flow::row::FlowColumns;
use crate::model::{FitConfig, FitInput, Model, ProfileRows};
use crate::pipeline::RowsWanted;
use crate::population::groups::{CollectorGroup, Level, roll_up};
use crate::population::profile::{PROFILE_FEATURES, ProfileContext, profile_of, profile_set_hash};
use crate::population::{SpanClass, Summary};

/// Flow rows kept for the fit: 64 features of them take 51 MB.
const FLOW_ROWS_MAX: usize = 200_000;
/// Profiles kept for the fit.
const PROFILE_ROWS_MAX: usize = 100_000;
/// Collectors with fewer subscribers are no ordinary services, and are not profiled.
const SUBSCRIBERS_MIN: u64 = 3;

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
    let Some(output) = args.train.output.as_deref() else {
        bail!("train: --output FILE is missing; name the model file to write, for example mine.trwl");
    };
    if args.files.iter().any(|file| file.as_os_str() == "-") {
        bail!("train: reads its input twice, so it cannot come from standard input; name files");
    }
    let mut setting = Setting::new(&args.shared, args.train.window.as_deref(), talk)?;
    let seed = args.train.seed.unwrap_or(1);
    let codewords = args.train.codewords.unwrap_or(64);
    let config = FitConfig { seed, codewords, ..FitConfig::default() };
    let created_from = created_from(&args.files);

    let sample = flow_sample(&args.files, &setting, talk)?;
    let quantiser = Model::fit(input(&sample, &[], &created_from), config)?;
    setting.model = Some(quantiser);
    let (profiles, lossy) = profiles(&args.files, &setting, talk)?;
    let model = Model::fit(input(&sample, &profiles, &created_from), config)?;
    model.save(output)?;
    talk.note(&format!(
        "{}: fitted on {} flow rows and {} collector profiles; the card beside it says more",
        output.display(),
        sample.rows(),
        profiles.len(),
    ));
    Ok(if lossy { Status::Damaged } else { Status::Quiet })
}

fn input<'a>(sample: &'a FeatureMatrix, profiles: &'a [Vec<f32>], created_from: &'a str) -> FitInput<'a> {
    const NAMES: [&str; PROFILE_FEATURES.len()] = {
        let mut names = [""; PROFILE_FEATURES.len()];
        let mut i = 0;
        while i < names.len() {
            names[i] = PROFILE_FEATURES[i].name;
            i += 1;
        }
        names
    };
    let profiles = ProfileRows { names: &NAMES, set_hash: profile_set_hash(), rows: profiles };
    FitInput { flow_features: sample, profiles, created_from }
}

/// The file names, as the card says them.
fn created_from(files: &[PathBuf]) -> String {
    let name = |file: &PathBuf| file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let shown: Vec<String> = files.iter().take(5).map(name).collect();
    let more = files.len().saturating_sub(shown.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

/// Features of the flows with the smallest hashes.
fn flow_sample(files: &[PathBuf], setting: &Setting, talk: &Talk) -> anyhow::Result<FeatureMatrix> {
    let mut kept: Vec<(u64, [f32; FEATURE_COUNT])> = Vec::new();
    let mut matrix = FeatureMatrix::new();
    let mut threshold = u64::MAX;
    analysis::windows(files, setting, RowsWanted::All, talk, |window| {
        features::compute(&window.rows, &mut matrix);
        for i in 0..window.rows.len() {
            let rank = rank_of(&window.rows, i);
            if rank < threshold {
                let mut row = [0.0; FEATURE_COUNT];
                matrix.copy_row(i, &mut row);
                kept.push((rank, row));
            }
        }
        if kept.len() > 2 * FLOW_ROWS_MAX {
            threshold = keep_smallest(&mut kept);
        }
        Ok(())
    })?;
    if kept.len() > FLOW_ROWS_MAX {
        keep_smallest(&mut kept);
    }
    kept.sort_by_key(|(rank, _)| *rank);
    let mut sample = FeatureMatrix::new();
    kept.iter().for_each(|(_, row)| sample.push_row(row));
    Ok(sample)
}

/// A number that depends on the row alone and spreads evenly (SplitMix64's finisher).
fn rank_of(rows: &FlowColumns, i: usize) -> u64 {
    let mut z = rows.tuple_hash[i] ^ rows.ts_first[i].0.rotate_left(32) ^ u64::from(rows.row_number[i]);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn keep_smallest(kept: &mut Vec<(u64, [f32; FEATURE_COUNT])>) -> u64 {
    kept.select_nth_unstable_by_key(FLOW_ROWS_MAX, |(rank, _)| *rank);
    kept.truncate(FLOW_ROWS_MAX);
    kept.iter().map(|(rank, _)| *rank).max().unwrap_or(u64::MAX)
}

/// Profiles of the collectors of every hour, alone and by prefix and name.
fn profiles(files: &[PathBuf], setting: &Setting, talk: &Talk) -> anyhow::Result<(Vec<Vec<f32>>, bool)> {
    let mut profiles = Vec::new();
    let mut hour = Summary::empty();
    let take = |summary: &Summary, profiles: &mut Vec<Vec<f32>>| {
        let context = ProfileContext::new(summary);
        let alone =
            summary.collectors.sorted().into_iter().map(|(key, one)| (CollectorGroup::of(*key), (**one).clone()));
        let several = [Level::Prefix, Level::Name].into_iter().flat_map(|level| roll_up(summary, level, |_| None));
        for (group, whole) in alone.chain(several.filter(|(group, _)| group.addresses.len() > 1)) {
            if whole.subscribers.count() >= SUBSCRIBERS_MIN && profiles.len() < PROFILE_ROWS_MAX {
                profiles.push(profile_of(&group, &whole, &context).to_vec());
            }
        }
    };
    let lossy = analysis::windows(files, setting, RowsWanted::None, talk, |window| {
        let (start, first) = (window.summary.span().start, hour.span().start);
        let an_hour = SpanClass::Hour;
        if hour.windows().len() > 1 && an_hour.slot_of(start) / 60 != an_hour.slot_of(first) / 60 {
            take(&std::mem::take(&mut hour), &mut profiles);
        }
        let mut summary = window.summary;
        summary.rollup(an_hour);
        Ok(hour.merge(summary)?)
    })?;
    take(&hour, &mut profiles);
    Ok((profiles, lossy))
}
