//! `trawlwatch replay`: captures in, findings out.

use std::path::PathBuf;

use super::options::{ConfigFile, FailOn, FindingFormat, Papers, Replay, SeverityWord, Shared};
use super::output::Output;
use super::papers::{Desk, title_of};
use super::setting::{Setting, flow_format_of};
use super::talk::{Talk, colours_on_stdout};
use super::{Status, analysis, options};
use crate::detect::finding::Severity;
use crate::report::flows::FlowFormat;
use crate::report::{Format, Layout, Palette};

/// Read captures and say who collects what, and why we think so
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Captures: pcap, nanosecond pcap or pcapng; plain, .gz or .zst; `-` is standard input
    #[arg(value_name = "FILE", required_unless_present = "print_config")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    shared: Shared,
    #[command(flatten)]
    papers: Papers,
    #[command(flatten)]
    replay: Replay,
}

impl Args {
    /// Lays the configuration file and the defaults under what was typed.
    pub fn under(self, file: &ConfigFile) -> Self {
        let defaults = Replay {
            format: Some(FindingFormat::Text),
            min_severity: Some(SeverityWord::Info),
            fail_on: Some(FailOn::High),
            window: Some("60s".to_owned()),
            ..Replay::default()
        };
        Self {
            files: self.files,
            shared: self.shared.or(file.shared.clone()).or(options::defaults()),
            papers: self.papers.or(file.papers.clone()),
            replay: self.replay.or(file.replay.clone()).or(defaults),
        }
    }

    /// What is in force, as a configuration file.
    pub fn in_force(&self) -> anyhow::Result<String> {
        options::in_force_with_papers(&self.shared, &self.papers, "replay", &self.replay)
    }
}

/// Runs the verb.
pub fn run(args: Args, talk: &Talk) -> anyhow::Result<Status> {
    let setting = Setting::new(&args.shared, args.replay.window.as_deref(), talk)?;
    let replay = &args.replay;
    let flows = replay.flows.as_deref().map(|path| (Some(path), flow_format_of(path).unwrap_or(FlowFormat::Parquet)));
    let mut out = Output::create(replay.output.as_deref())?;
    let mut desk = Desk::open(&args.papers)?;
    let report = analysis::findings_beside(&args.files, &setting, flows, talk, |summary| {
        desk.window(summary, &setting.populations)
    })?;

    let floor = replay.min_severity.map_or(Severity::Info, Severity::from);
    let shown: Vec<_> = report.findings.iter().filter(|f| f.severity >= floor).cloned().collect();
    let palette = match out.is_stdout() && colours_on_stdout(args.shared.color.unwrap_or(options::ColorWhen::Auto)) {
        true => Palette::Coloured,
        false => Palette::Plain,
    };
    let format = match replay.format {
        Some(FindingFormat::Json) => Format::Json,
        Some(FindingFormat::Eve) => Format::Eve,
        Some(FindingFormat::Text) | None => Format::Text,
    };
    let layout = Layout { reveal: &report.reveal, columns: out.columns(), palette };
    format.write(&mut out, &shown, &report.stats, layout)?;
    out.finish()?;
    desk.write(&title_of(&args.files), &shown, &report.stats, &setting.populations, &report.reveal)?;

    let threshold = replay.fail_on.unwrap_or(FailOn::High).threshold();
    let found = threshold.is_some_and(|threshold| report.findings.iter().any(|f| f.severity >= threshold));
    Ok(match (found, report.lossy) {
        (true, _) => Status::Found,
        (false, true) => Status::Damaged,
        (false, false) => Status::Quiet,
    })
}
