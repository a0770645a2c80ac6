//! `trawlwatch watch`: live interfaces in, findings as windows close.
//! Order of things: everything that needs a privilege or a path outside is opened first; then the process is confined
//! (`sandbox`); then threads start.

mod announcer;
mod board;
mod confidence;
mod metrics;
pub mod options;
pub(super) mod outlet;
mod packaging;
mod sandbox;
mod session;
mod start;
mod state;
mod tui;
mod voice;

use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::options::{ConfigFile, FailOn, FindingFormat, SeverityWord, Shared};
use super::setting::Setting;
use super::talk::Talk;
use super::{Status, account, options as all_options};
use crate::capture::live::{LiveError, LiveSource, interfaces};
use crate::detect::analyst::{Account, Analyst, Knowledge};
use crate::model::Codebook;
use crate::pipeline::live::{self, Control, Directive, Gauges, LiveOutcome, Role};
use crate::pipeline::{Outcome, RowsWanted, Shared as SharedRooms};
use crate::population::SummaryLimits;
use crate::population::identity::mark;
use crate::privacy::{Key, PseudonymCache, Pseudonymiser};
use crate::report::stats::FileStats;
use crate::report::{Format, Layout, Palette, RunStats};
use crate::units::TimestampNs;
use options::Watch;
use session::{Kit, Session, notify};

/// How long outlets may take to bring out what waits, once the run has ended.
const OUTLETS_END: Duration = Duration::from_millis(1_000);

/// Watch live interfaces and say as it happens who collects what
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    shared: Shared,
    #[command(flatten)]
    watch: Watch,
    /// List interfaces and link types, and why one cannot be opened, and stop
    #[arg(long, help_heading = "Input")]
    list: bool,
    /// Print a systemd unit and stop
    #[arg(long, help_heading = "Service")]
    print_unit: bool,
    /// Print a Grafana dashboard of the metrics and stop
    #[arg(long, help_heading = "Service")]
    print_dashboard: bool,
}

impl Args {
    /// Lays the configuration file and the defaults under what was typed.
    pub fn under(self, file: &ConfigFile) -> Self {
        let defaults = Watch {
            fanout: Some(1),
            snap_bytes: Some(crate::capture::live::SNAP_BYTES),
            buffer_mib: Some(crate::capture::live::BUFFER_BYTES >> 20),
            promiscuous: Some(true),
            sampling: Some(1),
            format: Some(FindingFormat::Text),
            min_severity: Some(SeverityWord::Info),
            fail_on: Some(FailOn::High),
            window: Some("60s".to_owned()),
            ended_after: Some("1h".to_owned()),
            tui: Some(false),
            no_sandbox: Some(false),
            user: Some(sandbox::USER.to_owned()),
            ..Watch::default()
        };
        Self {
            shared: self.shared.or(file.shared.clone()).or(all_options::defaults()),
            watch: self.watch.or(file.watch.clone()).or(defaults),
            ..self
        }
    }

    /// What is in force, as a configuration file.
    pub fn in_force(&self) -> anyhow::Result<String> {
        all_options::in_force(&self.shared, "watch", &self.watch)
    }
}

/// Runs the verb.
pub fn run(args: Args, talk: &Talk) -> anyhow::Result<Status> {
    let mut out = std::io::stdout();
    if args.print_unit || args.print_dashboard {
        out.write_all(if args.print_unit { packaging::UNIT } else { packaging::DASHBOARD }.as_bytes())?;
        return Ok(Status::Quiet);
    }
    if args.list {
        out.write_all(list().as_bytes())?;
        return Ok(Status::Quiet);
    }
    let mut setting = Setting::new(&args.shared, args.watch.window.as_deref(), talk)?;
    let start::Started { mut kit, mut sources, key, filter, health, kept } =
        start::start(&args.shared, &args.watch, &mut setting, talk)?;
    let view = start::view(&args.watch, &kit)?;
    health.is_ready.store(true, Relaxed);
    notify(&[sd_notify::NotifyState::Ready]);
    let ran = watch(&mut setting, &mut kit, &mut sources, &key, filter.as_ref(), kept);
    health.is_ending.store(true, Relaxed);
    notify(&[sd_notify::NotifyState::Stopping]);
    if let Some(view) = view {
        view.end();
        kit.has_view = false;
    }
    let (outcome, counted) = ran?;
    let stats = stats_of(outcome, &counted, &setting, &kit.board.gauges);
    close(&mut kit, &stats);
    let worst = kit.worst;
    kit.voice.end();
    let threshold = args.watch.fail_on.unwrap_or(FailOn::High).threshold();
    let found = threshold.is_some_and(|threshold| worst.is_some_and(|worst| worst >= threshold));
    Ok(match (found, stats.is_lossy()) {
        (true, _) => Status::Found,
        (false, true) => Status::Damaged,
        (false, false) => Status::Quiet,
    })
}

/// Runs the pipeline until the end, once for every set of populations that was in force.
fn watch(
    setting: &mut Setting,
    kit: &mut Kit,
    sources: &mut [LiveSource],
    key: &Key,
    filter: Option<&seccompiler::BpfProgram>,
    mut kept: Option<Box<state::Kept>>,
) -> anyhow::Result<(LiveOutcome, Account)> {
    let pseudonymiser = Pseudonymiser::new(key);
    let identity = mark(&mut PseudonymCache::new(pseudonymiser.clone()));
    let grid = Codebook::grid();
    let limits = SummaryLimits::default();
    let mut all = LiveOutcome::default();
    loop {
        let quantiser = setting.model.as_ref().map_or(&grid, |model| model.codebook());
        let (populations, places) = (&setting.populations, &setting.places);
        let register = Arc::clone(&kit.policy);
        let mut analyst = Analyst::new(Knowledge {
            populations,
            places,
            model: setting.model.as_ref(),
            register: &*register,
            limits: &limits,
            // A confined thread starts no others.
            threads: NonZeroUsize::MIN,
        });
        if let Some(kept) = kept.take() {
            match analyst.recall(&kept.memory, populations.fingerprint(), identity) {
                Ok(()) => kit.say("--state: goes on from what the last run knew"),
                Err(error) => set_aside(kit, &error.to_string()),
            }
        }
        let config = setting.pipeline(RowsWanted::None, identity);
        let shared = SharedRooms { populations, pseudonymiser: &pseudonymiser, quantiser };
        let confine = |_: Role| {
            if let Some(filter) = filter {
                // Tried on a thread of its own before the start: it does not fail here.
                let _confined = sandbox::confine_thread(filter);
            }
        };
        let (gauges, control) = (Arc::clone(&kit.board.gauges), Arc::clone(&kit.control));
        let mut session = Session::new(kit, analyst, populations);
        let outcome = live::run(sources, &config, shared, (&gauges, &control), &confine, &mut session)?;
        let counted = session.end()?;
        all.counted.merge(&outcome.counted);
        all.windows += outcome.windows;
        all.clock_steps += outcome.clock_steps;
        match (control.directive(), kit.pending.take()) {
            (Directive::Rebuild, Some((policy, populations))) => {
                control.direct(Directive::Run);
                kit.policy.put(policy);
                setting.populations = populations;
            }
            _ => return Ok((all, counted)),
        }
    }
}

/// A state that does not fit this run is kept under another name.
fn set_aside(kit: &Kit, why: &str) {
    let to = kit.state.as_ref().map(state::StateFile::set_aside);
    let place = match to {
        Some(Ok(to)) => to.display().to_string(),
        Some(Err(error)) => format!("nowhere ({error})"),
        None => return,
    };
    kit.warn(&format!("--state: not used, because {why}; set aside as {place}, and begun anew"));
}

/// The account of the whole run.
fn stats_of(outcome: LiveOutcome, counted: &Account, setting: &Setting, gauges: &Gauges) -> RunStats {
    let lost = gauges.lost();
    let seen = gauges.lanes.iter().filter(|lane| lane.frames.load(Relaxed) > 0);
    let times = seen.map(|lane| (lane.first_ts_ns.load(Relaxed), lane.last_ts_ns.load(Relaxed)));
    let span = times.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    let outcome = Outcome {
        files: Vec::new(),
        frames: lost.frames,
        wire_bytes: lost.wire_bytes,
        rejects: outcome.counted.rejects,
        flows: outcome.counted.flows,
        filtered_out: 0,
        clock_steps: outcome.clock_steps,
        windows: outcome.windows,
        span: span.map(|(first, last)| (TimestampNs(first), TimestampNs(last))),
        timings: outcome.counted.timings,
    };
    let mut stats = account::of(&outcome, counted, setting);
    stats.drops.extend(lost.by_cause().into_iter().filter(|(_, n)| *n > 0));
    stats.files = (gauges.lanes.iter())
        .map(|lane| FileStats {
            path: lane.interface.clone(),
            frames: lane.frames.load(Relaxed),
            bytes: lane.wire_bytes.load(Relaxed),
            ..FileStats::default()
        })
        .collect();
    stats
}

/// The account goes out last; then outlets have a moment for what waits.
fn close(kit: &mut Kit, stats: &RunStats) {
    let outlets = std::mem::take(&mut kit.outlets);
    if let Some(lines) = &outlets.lines {
        let layout = Layout { reveal: &kit.reveal, columns: crate::report::text::COLUMNS_MAX, palette: Palette::Plain };
        let mut bytes = Vec::new();
        // Writing to memory cannot fail.
        let _ = kit.format.write_stats(&mut bytes, stats, layout);
        lines.send(bytes);
    }
    let deadline = Instant::now() + OUTLETS_END;
    for outlet in [outlets.lines, outlets.syslog, outlets.webhook].into_iter().flatten() {
        let (name, counts) = (outlet.name(), Arc::clone(outlet.counts()));
        let all_went = outlet.close(deadline);
        let dropped = counts.dropped.load(Relaxed);
        if !all_went || dropped > 0 {
            kit.warn(&format!(
                "{name}: {dropped} messages did not arrive{}",
                if all_went { "" } else { ", others still wait" }
            ));
        }
    }
}

/// Interfaces, a line each.
fn list() -> String {
    let all = interfaces();
    let width = all.iter().map(|interface| interface.name.chars().count()).max().unwrap_or(0).max("interface".len());
    let mut out = format!("{:<width$} {:<5} {:<22} {}\n", "interface", "state", "link type", "remark");
    let mut is_refused = false;
    for interface in all {
        is_refused |= matches!(interface.link, Err(LiveError::Permission { .. }));
        let state = if interface.is_up { "up" } else { "down" };
        let (link, remark) = match &interface.link {
            Ok(link) => (link_name(link.0), interface.about.clone().unwrap_or_default()),
            Err(error) => {
                let (said, name) = (error.to_string(), format!("{}: ", interface.name));
                ("–".to_owned(), said.strip_prefix(&name).unwrap_or(&said).to_owned())
            }
        };
        let line = format!("{:<width$} {state:<5} {link:<22} {remark}", interface.name);
        out.push_str(line.trim_end());
        out.push('\n');
    }
    if is_refused {
        out.push_str(start::permission_cure().trim_start_matches("; "));
        out.push('\n');
    }
    out
}

/// The names that matter of tcpdump.org's list.
fn link_name(link: u16) -> String {
    let name = match link {
        0 => "BSD loopback",
        1 => "Ethernet",
        101 => "raw IP",
        105 => "802.11",
        113 => "Linux cooked",
        127 => "802.11 with radiotap",
        276 => "Linux cooked v2",
        _ => "other",
    };
    format!("{name} ({link})")
}

/// The report's format.
fn format_of(word: Option<FindingFormat>) -> Format {
    match word {
        Some(FindingFormat::Json) => Format::Json,
        Some(FindingFormat::Eve) => Format::Eve,
        Some(FindingFormat::Text) | None => Format::Text,
    }
}

/// How the pipeline is told, before it runs.
fn control() -> Arc<Control> {
    Arc::default()
}
