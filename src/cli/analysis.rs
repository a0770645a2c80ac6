//! Analysis: one run over captures, for every verb that reads them.
//! In: paths and a setting. Out: judged findings, the account of the run; flow rows to a file on the way.
//! Not here: how findings are written (`report`), what options mean (`setting`).

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::ProgressBar;

use super::flow_sink::FlowFile;
use super::options::FlowFormat;
use super::setting::Setting;
use super::talk::Talk;
use super::{Failed, Status};
use crate::capture::{Captures, InputPath, OpenError};
use crate::detect::analyst::Analyst;
use crate::detect::finding::Finding;
use crate::model::Codebook;
use crate::pipeline::{self, ClosedWindow, Outcome, Progress, RowsWanted, Shared};
use crate::privacy::{Key, Reveal};
use crate::population::Identity;
use crate::report::RunStats;

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
}

/// Opens the captures; those that cannot be read are said, and the run goes on with the others.
pub fn open(files: &[PathBuf], talk: &Talk) -> anyhow::Result<Captures> {
    let paths: Vec<InputPath> = files.iter().map(InputPath::parse).collect();
    let captures = Captures::open(&paths).map_err(|error| {
        let status = match error {
            OpenError::NoInput | OpenError::TooManyInputs { .. } => Status::Usage,
            _ => Status::Unreadable,
        };
        Failed { status, message: error.to_string() }
    })?;
    captures.refused().iter().for_each(|refused| talk.error(&refused.to_string()));
    Ok(captures)
}

/// Runs captures through the pipeline and the detectors.
pub fn analyse(
    files: &[PathBuf],
    setting: &Setting,
    rows: RowsWanted,
    flows: Option<(&Path, FlowFormat)>,
    talk: &Talk,
) -> anyhow::Result<Report> {
    let captures = open(files, talk)?;
    let some_refused = !captures.refused().is_empty();
    let fingerprint = captures.fingerprint();
    let key = setting.key.clone().unwrap_or_else(|| Key::derive(&fingerprint));
    let identity = Identity::new(&key);
    let reveal = if setting.reveal { Reveal::with_key(&key) } else { Reveal::Nothing };
    let mut sink = flows.map(|(path, format)| FlowFile::create(Some(path), format, setting, &identity)).transpose()?;
    let mut analyst = Analyst::new(&setting.populations, &setting.places, setting.model.as_ref());

    let codebook = setting.model.as_ref().map_or_else(Codebook::grid, |model| model.codebook().clone());
    let shared = Shared { populations: &setting.populations, identity: &identity, quantiser: &codebook };
    let config = setting.pipeline(rows, u64::from_le_bytes(fingerprint[..8].try_into().expect("32 bytes")));
    let bar = talk.progress(captures.progress().bytes_total);
    let outcome = with_bar(&bar, |progress| {
        pipeline::run(captures, &config, shared, progress, |window: ClosedWindow| -> anyhow::Result<()> {
            if let Some(sink) = &mut sink {
                sink.write(&window.rows)?;
            }
            analyst.window(window.summary);
            Ok(())
        })
    })?;
    if let Some(sink) = sink {
        sink.finish()?;
    }
    let (mut findings, account) = analyst.finish();
    findings.iter_mut().for_each(|finding| setting.policy.judge(finding));
    let stats = super::account::of(&outcome, &account, setting);
    for file in stats.files.iter().filter(|file| !file.faults.is_empty()) {
        talk.detail(&format!("{}: {}", file.path, file.first_fault.as_deref().unwrap_or_default()));
    }
    let lossy = some_refused || stats.is_lossy();
    Ok(Report { findings, stats, reveal, lossy })
}

/// Shows on a terminal how far the run is, until it has ended.
fn with_bar(
    bar: &ProgressBar,
    run: impl FnOnce(&Progress) -> anyhow::Result<Outcome>,
) -> anyhow::Result<Outcome> {
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
                bar.set_message(format!("{:.1} Mpackets, {:.2} M/s", frames as f64 / 1e6, rate / 1e6));
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        let outcome = run(&progress);
        ended.store(true, Ordering::Relaxed);
        bar.finish_and_clear();
        outcome
    })
}
