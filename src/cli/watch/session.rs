//! Session: the analysis side of a live run: windows in, news out, orders taken in between.
//! In: windows and ticks from the pipeline; signals. Out: news to the outlets, the board, the state file.
//! Bounds: those of the analyst, the announcer and the outlets' queues. Nothing here waits for an outlet.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam::channel::Receiver;

use super::announcer::{Announcer, News};
use super::board::{self, Board};
use super::confidence::LossLog;
use super::outlet::Outlet;
use super::state::{Kept, StateFile};
use super::voice::Voice;
use crate::detect::analyst::{Account, Analyst};
use crate::detect::finding::{Finding, Severity, Verdict};
use crate::pipeline::ClosedWindow;
use crate::pipeline::live::{Control, Directive, Listener, Lost};
use crate::policy::{Policy, PolicyInForce};
use crate::population::{Populations, Span};
use crate::privacy::Reveal;
use crate::report::live::{Change, SyslogSender, WindowStats, line, syslog, write_change, write_window};
use crate::report::{Format, Layout, Palette, figures};
use crate::units::{DurationNs, TimestampNs};

/// How long a finding that ended stays in the ledger: what is found again in the day so far is still known.
const LEDGER_KEEPS: DurationNs = DurationNs::from_secs(2 * 86_400);
/// Time between two signs of life for the service manager, where it asks for none in particular.
const PING_EVERY: Duration = Duration::from_secs(5);

/// What signals ask for.
#[derive(Debug, Default)]
pub struct Signals {
    /// SIGTERM, SIGINT, or a terminal view that was left.
    pub stop: Arc<AtomicBool>,
    /// SIGHUP.
    pub reload: Arc<AtomicBool>,
}

/// Where news goes.
#[derive(Default)]
pub struct Outlets {
    /// Standard output or a file.
    pub lines: Option<Outlet>,
    /// Syslog.
    pub syslog: Option<Outlet>,
    /// A webhook.
    pub webhook: Option<Outlet>,
}

/// What outlives a rebuild of the pipeline.
pub struct Kit {
    /// Who may speak.
    pub voice: Voice,
    /// Whether the terminal view has the screen, so that nobody else writes on it.
    pub has_view: bool,
    /// What signals ask for.
    pub signals: Signals,
    /// How the pipeline is told.
    pub control: Arc<Control>,
    /// What is shown.
    pub board: Arc<Board>,
    /// Where news goes.
    pub outlets: Outlets,
    /// What outlets complain of.
    pub complaints: Receiver<String>,
    /// What was told.
    pub announcer: Announcer,
    /// What was lost.
    pub losses: LossLog,
    /// The state file.
    pub state: Option<StateFile>,
    /// How news is written.
    pub format: Format,
    /// News below this is left out.
    pub floor: Severity,
    /// Quiet after which a finding has ended.
    pub ended_after: DurationNs,
    /// Whether real addresses are shown.
    pub reveal: Reveal,
    /// The policy's file.
    pub policy_path: Option<PathBuf>,
    /// The policy in force, which detectors ask as well.
    pub policy: Arc<PolicyInForce>,
    /// A policy with other populations, for the run that comes next.
    pub pending: Option<(Policy, Populations)>,
    /// Who sends, for syslog.
    pub sender: SyslogSender,
    /// Worst severity told so far.
    pub worst: Option<Severity>,
    /// When the service manager was last told that all is well.
    pub pinged: Instant,
}

/// One run of the pipeline.
pub struct Session<'a, 'k> {
    kit: &'k mut Kit,
    analyst: Analyst<'a>,
    populations: &'a Populations,
    /// Of the last window.
    last_end: TimestampNs,
    rounds: u64,
    /// By lane: whether its interface was there, and how often it had come back.
    presence: Vec<(bool, u64)>,
}

impl<'a, 'k> Session<'a, 'k> {
    /// Begins.
    pub fn new(kit: &'k mut Kit, analyst: Analyst<'a>, populations: &'a Populations) -> Self {
        let presence = presence(kit);
        Self { kit, analyst, populations, last_end: TimestampNs::ZERO, rounds: 0, presence }
    }

    /// Tells what is left to tell and writes the state.
    pub fn end(self) -> anyhow::Result<Account> {
        let Self { kit, analyst, last_end, .. } = self;
        // Kept as it is before the end is looked at: the hour goes on after a restart.
        let memory = kit.state.is_some().then(|| analyst.memory());
        let (findings, account) = analyst.finish()?;
        let findings = kit.judged(findings);
        kit.tell(&findings, last_end);
        kit.board.view().findings = findings;
        if let Some(memory) = memory {
            kit.keep(memory);
        }
        Ok(account)
    }
}

impl Listener for Session<'_, '_> {
    type Error = anyhow::Error;

    fn window(&mut self, window: ClosedWindow, lost: Lost) -> anyhow::Result<()> {
        let began = Instant::now();
        let ClosedWindow { number, summary, so_far, spares, .. } = window;
        let span = summary.span();
        let has_stepped_back = span.end < self.last_end;
        self.last_end = span.end;
        let kit = &mut *self.kit;
        if has_stepped_back {
            kit.board.view().clock_steps += 1;
            let to = figures::plain_time(span.start);
            kit.warn(&format!(
                "the capture clock stepped back, to {to}: what was open has ended, windows go on from there"
            ));
        }
        kit.losses.note(span, lost);
        let taken = board::taken(&summary);
        spares.give(self.analyst.window(summary)?);
        self.analyst.retire(span.end.before(LEDGER_KEEPS));
        let findings = kit.judged(self.analyst.findings());
        let new = kit.tell(&findings, span.end);
        let confidence = kit.losses.confidence(&lost);
        kit.tell_window(number, span, &lost, confidence);
        {
            let mut view = kit.board.view();
            view.open_and_folded = (kit.announcer.open() as u64, kit.announcer.folded());
            view.open = kit.announcer.open_by_severity();
            (view.counted, view.lost_last, view.confidence_last) = (so_far, lost, confidence);
            view.windows += 1;
            view.window_end_ns = span.end.0;
            view.findings = findings.into_iter().take(board::FINDINGS_MAX).collect();
            view.note_collectors(taken);
            view.detect.note(began.elapsed());
        }
        kit.say(&status_line(span, &lost, kit.announcer.open(), new));
        if kit.state.as_ref().is_some_and(StateFile::is_due) {
            let memory = self.analyst.memory();
            kit.keep(memory);
        }
        Ok(())
    }

    fn tick(&mut self) -> anyhow::Result<()> {
        let kit = &mut *self.kit;
        for complaint in kit.complaints.try_iter().collect::<Vec<_>>() {
            kit.warn(&complaint);
        }
        let presence = presence(kit);
        for (i, (now, before)) in presence.iter().zip(&self.presence).enumerate() {
            let name = &kit.board.gauges.lanes[i].interface;
            if now.1 > before.1 {
                kit.say(&format!("{name}: is back"));
            } else if before.0 && !now.0 {
                kit.warn(&format!("{name}: has gone; packets are taken in again when it is back"));
            }
        }
        self.presence = presence;
        if kit.signals.stop.load(Relaxed) {
            kit.control.direct(Directive::Stop);
        }
        if kit.signals.reload.swap(false, Relaxed) {
            kit.reload(self.populations);
        }
        let rounds: u64 = kit.board.gauges.lanes.iter().map(|lane| lane.rounds.load(Relaxed)).sum();
        if rounds != self.rounds && kit.pinged.elapsed() >= ping_every() {
            kit.pinged = Instant::now();
            self.rounds = rounds;
            notify(&[sd_notify::NotifyState::Watchdog]);
        }
        Ok(())
    }
}

fn presence(kit: &Kit) -> Vec<(bool, u64)> {
    let lanes = kit.board.gauges.lanes.iter();
    lanes.map(|lane| (lane.is_up.load(Relaxed), lane.returns.load(Relaxed))).collect()
}

impl Kit {
    /// Findings as the register and the losses leave them.
    fn judged(&self, mut findings: Vec<Finding>) -> Vec<Finding> {
        for finding in &mut findings {
            self.policy.judge(finding);
            if finding.verdict == Verdict::Unregistered {
                finding.explanation.push_str(" No register entry allows it.");
            }
            self.losses.weaken(finding);
        }
        findings.sort_by(crate::report::worst_first);
        findings
    }

    /// Sends what is news to every outlet; how much that was.
    fn tell(&mut self, findings: &[Finding], now: TimestampNs) -> usize {
        let floor = self.floor;
        let mut news = self.announcer.news(findings, now, self.ended_after);
        news.retain(|news| news.finding.severity >= floor);
        for News { change, finding } in &news {
            self.worst = self.worst.max(Some(finding.severity));
            *self.board.view().told.entry((finding.technique, finding.severity, *change)).or_default() += 1;
            self.send(finding, *change);
        }
        news.len()
    }

    fn send(&mut self, finding: &Finding, change: Change) {
        let layout =
            Layout { reveal: &self.reveal, columns: crate::report::text::COLUMNS_MAX, palette: Palette::Plain };
        let written = |format: Format| {
            let mut bytes = Vec::new();
            // Writing to memory cannot fail.
            let _ = write_change(format, &mut bytes, finding, change, layout);
            bytes
        };
        if let Some(lines) = &self.outlets.lines {
            lines.send(written(self.format));
        }
        if let Some(webhook) = &self.outlets.webhook {
            webhook.send(written(if self.format == Format::Eve { Format::Eve } else { Format::Json }));
        }
        if let Some(outlet) = &self.outlets.syslog {
            let body = match self.format {
                Format::Text => line(finding, change),
                format => String::from_utf8_lossy(&written(format)).into_owned(),
            };
            outlet.send(syslog(&self.sender, wall_clock(), finding, change, &body).into_bytes());
        }
    }

    fn tell_window(&self, number: u64, span: Span, lost: &Lost, confidence: f64) {
        let Some(lines) = self.outlets.lines.as_ref().filter(|_| self.format != Format::Text) else { return };
        let stats = WindowStats {
            number,
            start: span.start,
            end: span.end,
            frames: lost.frames,
            bytes: lost.wire_bytes,
            drops: lost.by_cause().into_iter().filter(|(_, n)| *n > 0).collect(),
            lost_share: lost.share(),
            confidence,
        };
        let mut bytes = Vec::new();
        let _ = write_window(self.format, &mut bytes, &stats);
        lines.send(bytes);
    }

    /// Writes the state; a disk that takes none of it is said, and stops nothing.
    fn keep(&mut self, memory: crate::detect::memory::Memory) {
        let kept = Kept::of(memory, &self.announcer);
        if let Some(Err(error)) = self.state.as_mut().map(|state| state.write(&kept)) {
            self.warn(&format!("--state: cannot be written: {error}; the one before stays"));
        }
    }

    /// SIGHUP: outputs are opened anew; a policy that is wrong is refused, and the old one stays.
    fn reload(&mut self, populations: &Populations) {
        notify(&[sd_notify::NotifyState::Reloading, monotonic()]);
        let outlets = &self.outlets;
        [&outlets.lines, &outlets.syslog, &outlets.webhook].into_iter().flatten().for_each(Outlet::reopen);
        if let Some(path) = self.policy_path.clone() {
            let today = jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::now()).date();
            let loaded = Policy::load(&path, today).map_err(anyhow::Error::from).and_then(|(policy, warnings)| {
                warnings.iter().for_each(|warning| self.warn(&warning.to_string()));
                let named = policy.populations();
                // One that names none, after one that did, means private address space; else those of the start stay.
                let meant = match (named.is_empty(), self.policy.names_populations()) {
                    (true, false) => None,
                    (true, true) => Some(Populations::default_private()),
                    (false, _) => Some(Populations::new(named.to_vec())?),
                };
                Ok((policy, meant))
            });
            let at = wall_clock().0 / 1_000_000_000;
            self.board.view().reload = Some((loaded.is_ok(), at));
            match loaded {
                Err(error) => {
                    let why = crate::cli::with_causes(&error);
                    self.warn(&format!("the policy was refused, and the old one stays in force: {why}"));
                }
                Ok((policy, Some(meant))) if meant.fingerprint() != populations.fingerprint() => {
                    self.say("the policy names other populations: what is remembered of the old ones begins anew");
                    self.pending = Some((policy, meant));
                    self.control.direct(Directive::Rebuild);
                }
                Ok((policy, _)) => {
                    self.policy.put(policy);
                    self.say("the policy was loaded again");
                }
            }
        }
        notify(&[sd_notify::NotifyState::Ready]);
    }

    /// Says a sentence where people look.
    pub fn say(&self, text: &str) {
        self.board.note(text);
        if !self.has_view {
            self.voice.note(text);
        }
    }

    /// Says something that is to be mended.
    pub fn warn(&self, text: &str) {
        self.board.note(text);
        if !self.has_view {
            self.voice.warn(text);
        }
    }
}

/// A line a window: how much came, how well it was seen, what is open.
fn status_line(span: Span, lost: &Lost, open: usize, news: usize) -> String {
    let seconds = span.length().as_secs_f64().max(1e-3);
    let losses: Vec<String> =
        lost.by_cause().iter().filter(|(_, n)| *n > 0).map(|(cause, n)| format!("{cause} {n}")).collect();
    let lost_words = match losses.is_empty() {
        true => "nothing lost".to_owned(),
        false => format!("{} lost ({})", figures::percent(lost.share()), losses.join(", ")),
    };
    format!(
        "window to {}: {}, {:.0}/s, {:.1} Mbit/s, {lost_words}; {} open, {news} new or changed",
        figures::plain_time(span.end),
        figures::counted(lost.frames, "packet"),
        lost.frames as f64 / seconds,
        lost.wire_bytes as f64 * 8.0 / seconds / 1e6,
        figures::counted(open as u64, "finding"),
    )
}

/// Now, as syslog and the metrics say it; never in a finding.
pub fn wall_clock() -> TimestampNs {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimestampNs(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}

/// Tells the service manager, where there is one.
pub fn notify(states: &[sd_notify::NotifyState<'_>]) {
    // Without a service manager nobody listens, and nothing is wrong.
    let _ = sd_notify::notify(states);
}

fn monotonic() -> sd_notify::NotifyState<'static> {
    sd_notify::NotifyState::monotonic_usec_now().unwrap_or(sd_notify::NotifyState::Custom("X_NO_CLOCK=1"))
}

/// Half of what the service manager waits for.
fn ping_every() -> Duration {
    sd_notify::watchdog_enabled().map_or(PING_EVERY, |limit| (limit / 2).min(PING_EVERY))
}
