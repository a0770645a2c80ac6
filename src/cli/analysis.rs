//! Analysis: one run over captures, for every verb that reads them.
//! In: paths and a setting. Out: judged findings, the account of the run; flow rows to a file on the way.
//! Not here: how findings are written (`report`), what options mean (`setting`).

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::ProgressBar;
use ipnet::IpNet;

use super::flow_sink::{FlowFile, Naming};
use super::setting::Setting;
use super::talk::Talk;
use super::{Failed, Status, account};
use crate::capture::{Captures, InputPath, OpenError};
use crate::detect::analyst::{Account, Analyst, Knowledge};
use crate::detect::finding::{Finding, Verdict};
use crate::detect::ledger::FirstSeen;
use crate::flow::row::FlowColumns;
use crate::model::Codebook;
use crate::pipeline::{self, ClosedWindow, Outcome, Progress, RowsWanted, Shared};
use crate::population::{Summary, SummaryLimits};
use crate::privacy::{Key, Pseudonymiser, Reveal};
use crate::report::RunStats;
use crate::report::flows::FlowFormat;
use crate::units::Address;

/// Keys tried for one under which no population stands for itself.
const KEYS_TRIED: u8 = 64;

/// Where flow rows go, and how they are written.
pub type FlowTarget<'a> = (Option<&'a Path>, FlowFormat);

/// What a run came to.
pub struct Report {
    /// Judged, worst first.
    pub findings: Vec<Finding>,
    /// The account.
    pub stats: RunStats,
    /// Whether reports may show real addresses.
    pub reveal: Reveal,
    /// Whether part of the input was damaged or lost.
    pub lossy: bool,
    /// When each finding first reached `medium`.
    pub first_seen: FirstSeen,
}

/// Captures that are open, and the key that their subscribers stand under.
struct Opened {
    captures: Captures,
    some_refused: bool,
    seed: u64,
    key: Key,
}

/// Where flow rows go, part by part.
pub enum RowsTo<'a> {
    /// Nobody wants them.
    Nobody,
    /// To a file, or to standard output.
    File(FlowTarget<'a>),
    /// To this.
    Each(&'a mut dyn FnMut(&FlowColumns) -> anyhow::Result<()>),
}

impl<'a> RowsTo<'a> {
    /// To a file, where one is named.
    fn file(target: Option<FlowTarget<'a>>) -> Self {
        target.map_or(Self::Nobody, Self::File)
    }
}

/// The same, open.
enum RowSink<'a, 'b> {
    None,
    File(Box<FlowFile<'b>>),
    Each(&'a mut dyn FnMut(&FlowColumns) -> anyhow::Result<()>),
}

/// Runs captures through the pipeline and the detectors; flow rows go to `flows` on the way, and every window is shown to
/// `each_window` before the detectors take it in.
pub fn findings_beside(
    files: &[PathBuf],
    setting: &Setting,
    flows: Option<FlowTarget<'_>>,
    talk: &Talk,
    mut each_window: impl FnMut(&Summary) -> anyhow::Result<()>,
) -> anyhow::Result<Report> {
    let opened = open(files, setting, talk)?;
    let reveal = if setting.reveal { Reveal::with_key(&opened.key) } else { Reveal::Nothing };
    let some_refused = opened.some_refused;
    let limits = SummaryLimits::default();
    let mut analyst = Analyst::new(Knowledge {
        populations: &setting.populations,
        places: &setting.places,
        model: setting.model.as_ref(),
        register: &setting.policy,
        limits: &limits,
        // While packets are read, workers use the processors; at the input's end they are free.
        threads: setting.detector_threads(),
    });
    let outcome = run(opened, setting, RowsTo::file(flows), talk, |window| {
        each_window(&window.summary)?;
        window.spares.give(analyst.window(window.summary)?);
        Ok(())
    })?;
    let (mut findings, counted) = analyst.finish()?;
    for finding in &mut findings {
        setting.policy.judge(finding);
        if finding.verdict == Verdict::Unregistered {
            finding.explanation.push_str(" No register entry allows it.");
        }
    }
    let stats = account_of(&outcome, &counted, setting, talk);
    let lossy = some_refused || stats.is_lossy();
    Ok(Report { findings, stats, reveal, lossy, first_seen: counted.first_seen })
}

/// Runs captures through the pipeline for their flow rows alone.
pub fn flows(files: &[PathBuf], setting: &Setting, target: FlowTarget<'_>, talk: &Talk) -> anyhow::Result<Report> {
    let opened = open(files, setting, talk)?;
    let some_refused = opened.some_refused;
    let outcome = run(opened, setting, RowsTo::File(target), talk, |_| Ok(()))?;
    let stats = account_of(&outcome, &Account::default(), setting, talk);
    let lossy = some_refused || stats.is_lossy();
    Ok(Report { findings: Vec::new(), stats, reveal: Reveal::Nothing, lossy, first_seen: FirstSeen::default() })
}

/// Runs captures through the pipeline, rows in parts and window by window; whether part of the input was damaged or lost.
pub fn windows(
    files: &[PathBuf],
    setting: &Setting,
    rows: RowsTo<'_>,
    talk: &Talk,
    each_window: impl FnMut(ClosedWindow) -> anyhow::Result<()>,
) -> anyhow::Result<bool> {
    let opened = open(files, setting, talk)?;
    let some_refused = opened.some_refused;
    let outcome = run(opened, setting, rows, talk, each_window)?;
    Ok(some_refused || account_of(&outcome, &Account::default(), setting, talk).is_lossy())
}

/// Opens the captures; those that cannot be read are said, and the run goes on with the others.
fn open(files: &[PathBuf], setting: &Setting, talk: &Talk) -> anyhow::Result<Opened> {
    let paths: Vec<InputPath> = files.iter().map(InputPath::parse).collect();
    let captures = Captures::open(&paths).map_err(|error| {
        let status = match error {
            OpenError::NoInput | OpenError::TooManyInputs { .. } => Status::Usage,
            _ => Status::Unreadable,
        };
        Failed { status, message: error.to_string() }
    })?;
    captures.refused().iter().for_each(|refused| talk.error(&refused.to_string()));
    let some_refused = !captures.refused().is_empty();
    let fingerprint = captures.fingerprint();
    let key = setting.key.clone().unwrap_or_else(|| derived_key(&fingerprint, setting));
    let seed = fingerprint.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte));
    Ok(Opened { captures, some_refused, seed, key })
}

/// The key that the captures themselves give. One under which a population's prefix would stand for itself is passed over:
/// its pseudonyms would be as good, but no reader could tell them from addresses.
fn derived_key(fingerprint: &[u8; 32], setting: &Setting) -> Key {
    let keys = (0..KEYS_TRIED).map(|n| match n {
        0 => Key::derive(fingerprint),
        n => Key::derive(&[&fingerprint[..], &[n]].concat()),
    });
    let is_mistaken = |key: &Key| {
        let pseudonymiser = Pseudonymiser::new(key);
        let prefixes: Vec<IpNet> = setting.populations.iter().flat_map(|(_, spec)| spec.prefixes.clone()).collect();
        let stands_for = |net: &IpNet| {
            let address = pseudonymiser.pseudonym(Address::from(net.network())).to_ip();
            IpNet::new(address, net.prefix_len()).map_or(*net, |net| net.trunc())
        };
        let overlap = |a: &IpNet, b: &IpNet| a.contains(b) || b.contains(a);
        prefixes.iter().map(stands_for).any(|image| prefixes.iter().any(|net| overlap(&image, net)))
    };
    keys.clone().find(|key| !is_mistaken(key)).unwrap_or_else(|| Key::derive(fingerprint))
}

/// The pipeline, with a bar, rows to where they are wanted, and every window to `each_window`.
fn run(
    opened: Opened,
    setting: &Setting,
    rows: RowsTo<'_>,
    talk: &Talk,
    mut each_window: impl FnMut(ClosedWindow) -> anyhow::Result<()>,
) -> anyhow::Result<Outcome> {
    let pseudonymiser = Pseudonymiser::new(&opened.key);
    let naming =
        || Naming { populations: &setting.populations, pseudonymiser: (!setting.reveal).then_some(&pseudonymiser) };
    let mut sink = match rows {
        RowsTo::Nobody => RowSink::None,
        RowsTo::File((path, format)) => RowSink::File(Box::new(FlowFile::create(path, format, naming())?)),
        RowsTo::Each(each) => RowSink::Each(each),
    };
    let grid = Codebook::grid();
    let quantiser = setting.model.as_ref().map_or(&grid, |model| model.codebook());
    let shared = Shared { populations: &setting.populations, pseudonymiser: &pseudonymiser, quantiser };
    let wanted = if matches!(sink, RowSink::None) { RowsWanted::None } else { RowsWanted::All };
    let config = setting.pipeline(wanted, opened.seed);
    let bar = talk.progress(opened.captures.progress().bytes_total);
    let outcome = with_bar(&bar, |progress| {
        let each_rows = |rows: FlowColumns| match &mut sink {
            RowSink::None => Ok(()),
            RowSink::File(file) => Ok(file.write(&rows)?),
            RowSink::Each(each) => each(&rows),
        };
        pipeline::run(opened.captures, &config, shared, progress, each_rows, &mut each_window)
    })?;
    if let RowSink::File(file) = sink {
        file.finish()?;
    }
    Ok(outcome)
}

fn account_of(outcome: &Outcome, counted: &Account, setting: &Setting, talk: &Talk) -> RunStats {
    let stats = account::of(outcome, counted, setting);
    for file in stats.files.iter().filter(|file| !file.faults.is_empty()) {
        talk.warn(&format!("{}: {}", file.path, file.first_fault.as_deref().unwrap_or("damaged")));
    }
    stats
}

/// Shows on a terminal how far the run is, until it has ended.
fn with_bar(bar: &ProgressBar, run: impl FnOnce(&Progress) -> anyhow::Result<Outcome>) -> anyhow::Result<Outcome> {
    if bar.is_hidden() {
        return run(&Progress::default());
    }
    let (progress, ended) = (Progress::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                let frames = progress.frames.load(Ordering::Relaxed);
                bar.set_position(progress.bytes.load(Ordering::Relaxed));
                let rate = frames as f64 / bar.elapsed().as_secs_f64().max(1e-3);
                bar.set_message(format!("{:.1} M packets, {:.2} M/s", frames as f64 / 1e6, rate / 1e6));
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        let outcome = run(&progress);
        ended.store(true, Ordering::Relaxed);
        bar.finish_and_clear();
        outcome
    })
}
