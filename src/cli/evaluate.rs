//! `trawlwatch evaluate`: labelled captures in, figures of the detectors out.
//! Each capture is replayed in process, through the same rooms as `replay`, under the policy that its labels name.
//! Bounds: `--jobs` captures at once; folders are walked [`FOLDERS_DEEP_MAX`] deep. The order of captures never shows.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, bail};

use super::options::{ConfigFile, Evaluate, FigureFormat, HalfWord, Shared, parse_duration};
use super::output::Output;
use super::setting::Setting;
use super::talk::Talk;
use super::{Failed, Status, analysis, options};
use crate::evaluate::baselines::Gatherer;
use crate::evaluate::split::{Half, Split};
use crate::evaluate::{Evaluation, Found, Judged, Labels, page, text};
use crate::units::DurationNs;

/// Ending of the files that this verb looks for.
const LABELS_ENDING: &str = ".labels.json";
/// Folders inside folders that are looked into.
const FOLDERS_DEEP_MAX: usize = 8;
/// Most captures at once: past it memory is what limits.
const JOBS_MAX: usize = 64;

/// Score labelled captures: recall, precision, false findings a day, beside trivial baselines
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Folders with labelled captures (NAME.labels.json beside each), or label files
    #[arg(value_name = "DIR", required_unless_present_any = ["print_config", "labels"])]
    folders: Vec<PathBuf>,
    #[command(flatten)]
    shared: Shared,
    #[command(flatten)]
    evaluate: Evaluate,
}

impl Args {
    /// Lays the configuration file and the defaults under what was typed.
    pub fn under(self, file: &ConfigFile) -> Self {
        let defaults =
            Evaluate { format: Some(FigureFormat::Text), window: Some("60s".to_owned()), ..Evaluate::default() };
        Self {
            folders: self.folders,
            shared: self.shared.or(file.shared.clone()).or(options::defaults()),
            evaluate: self.evaluate.or(file.evaluate.clone()).or(defaults),
        }
    }

    /// What is in force, as a configuration file.
    pub fn in_force(&self) -> anyhow::Result<String> {
        options::in_force(&self.shared, "evaluate", &self.evaluate)
    }
}

/// Runs the verb.
pub fn run(args: Args, talk: &Talk) -> anyhow::Result<Status> {
    let options = &args.evaluate;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = options.jobs.unwrap_or(cores.min(JOBS_MAX));
    if jobs == 0 || jobs > JOBS_MAX {
        bail!("--jobs {jobs}: takes a number from 1 to {JOBS_MAX}");
    }
    if let Some(recall) = options.fail_under.filter(|recall| !(0.0..=1.0).contains(recall)) {
        bail!("--fail-under {recall}: takes a share from 0 to 1");
    }
    let split = options.split.as_deref().map(str::parse::<Split>).transpose().context("--split")?;
    let window = parse_duration(options.window.as_deref().unwrap_or("60s")).map_err(anyhow::Error::msg)?;
    let mut out = Output::create(options.output.as_deref())?;

    let (captures, refused) = labelled(&args.folders, options.labels.as_deref().unwrap_or_default(), talk)?;
    let captures = match split {
        Some(split) => split.choose(captures, options.half.map(HalfWord::meant))?,
        None => captures,
    };
    let judged = replayed(&captures, &args.shared, options.window.as_deref(), window, jobs, talk);
    let unread = captures.len() - judged.len();
    if judged.is_empty() {
        let message = "no labelled capture could be read".to_owned();
        return Err(Failed { status: Status::Unreadable, message }.into());
    }
    let evaluation = match options.ablation.unwrap_or(false) {
        true => Evaluation::of(&judged).with_ablation(&judged),
        false => Evaluation::of(&judged),
    };
    match options.format.unwrap_or(FigureFormat::Text) {
        FigureFormat::Text => text::write(&mut out, &evaluation)?,
        FigureFormat::Json => {
            serde_json::to_writer_pretty(&mut out, &evaluation)?;
            std::io::Write::write_all(&mut out, b"\n")?;
        }
        FigureFormat::Html => page::write(&mut out, &evaluation)?,
    }
    out.finish()?;
    let falls_short = options.fail_under.zip(evaluation.worst_recall()).is_some_and(|(wanted, worst)| worst < wanted);
    Ok(match (falls_short, refused + unread > 0 || !evaluation.damaged.is_empty()) {
        (true, _) => Status::Found,
        (false, true) => Status::Damaged,
        (false, false) => Status::Quiet,
    })
}

impl HalfWord {
    fn meant(self) -> Half {
        match self {
            Self::Reporting => Half::Reporting,
            Self::Tuning => Half::Tuning,
        }
    }
}

/// The labels of folders and files in order of their paths, and how many were refused.
pub(super) fn labelled(
    folders: &[PathBuf],
    files: &[PathBuf],
    talk: &Talk,
) -> anyhow::Result<(Vec<(String, Labels)>, usize)> {
    let mut paths = Vec::new();
    for folder in folders {
        match folder.is_dir() {
            true => walk(folder, FOLDERS_DEEP_MAX, &mut paths),
            false => paths.push(folder.clone()),
        }
    }
    paths.extend(files.iter().cloned());
    paths.sort();
    paths.dedup();
    if paths.is_empty() {
        let folders: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
        let message = format!("{}: no file that ends in {LABELS_ENDING}", folders.join(", "));
        return Err(Failed { status: Status::Unreadable, message }.into());
    }
    let (mut captures, mut refused) = (Vec::new(), 0);
    for path in paths {
        match Labels::load(&path) {
            Ok(labels) => captures.push((name_of(&path), labels)),
            Err(error) => {
                talk.error(&error.to_string());
                refused += 1;
            }
        }
    }
    Ok((captures, refused))
}

/// The labels' path without its ending: captures of one name in two folders stay apart.
fn name_of(path: &Path) -> String {
    let name = path.display().to_string();
    name.strip_suffix(LABELS_ENDING).unwrap_or(&name).to_owned()
}

fn walk(folder: &Path, deep: usize, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && deep > 0 {
            walk(&path, deep - 1, paths);
        } else if path.to_str().is_some_and(|name| name.ends_with(LABELS_ENDING)) {
            paths.push(path);
        }
    }
}

/// Replays every capture, some at once; those that cannot be read are said and left out.
fn replayed(
    captures: &[(String, Labels)],
    shared: &Shared,
    window_text: Option<&str>,
    window: DurationNs,
    jobs: usize,
    talk: &Talk,
) -> Vec<Judged> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let shared = Shared { workers: shared.workers.or((jobs > 1).then_some(1)), ..shared.clone() };
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(captures.len()) {
            scope.spawn(|| {
                while let Some((name, labels)) = captures.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match replay(name, labels, &shared, window_text, window) {
                        Ok(judged) => {
                            talk.detail(&format!("{name}: {} findings", judged.findings.len()));
                            done.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(judged);
                        }
                        Err(error) => talk.error(&format!("{name}: {error:#}")),
                    }
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Options with the policy, the population and the places that a capture's labels name.
pub(super) fn under_labels(shared: &Shared, labels: &Labels) -> Shared {
    let mut shared = shared.clone();
    if labels.policy.is_some() {
        (shared.policy, shared.population) = (labels.policy.clone(), None);
    } else if !labels.population.is_empty() && shared.policy.is_none() {
        shared.population = Some(labels.population.clone());
    }
    shared.geo = shared.geo.or_else(|| labels.geo.clone().map(|path| vec![path]));
    shared
}

/// One capture through the same rooms as `replay`.
fn replay(
    name: &str,
    labels: &Labels,
    shared: &Shared,
    window_text: Option<&str>,
    window: DurationNs,
) -> anyhow::Result<Judged> {
    let talk = Talk::hushed();
    let setting = Setting::new(&under_labels(shared, labels), window_text, &talk)?;
    let mut gatherer = Gatherer::new(&setting.populations, &setting.places);
    let files = [labels.capture.clone()];
    let report = analysis::findings_beside(&files, &setting, None, &talk, |summary| Ok(gatherer.window(summary)?))?;
    let gathered = gatherer.finish();
    let length = report.stats.span.map_or(DurationNs::ZERO, |(first, last)| last.since(first));
    Ok(Judged {
        name: name.to_owned(),
        labels: labels.clone(),
        findings: report.findings.iter().filter_map(|finding| Found::of(finding, &report.first_seen)).collect(),
        days: length.as_secs_f64() / 86_400.0,
        window,
        far_parties: gathered.far_parties,
        profiles: gathered.profiles.clone(),
        baselines: gathered.candidates(&setting.policy, &setting.populations, &labels.operations),
        lossy: report.lossy,
    })
}
