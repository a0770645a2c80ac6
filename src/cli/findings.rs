//! `trawlwatch findings`: what sweeps have found, and what people say of it.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use super::options::{ColorWhen, ConfigFile, Papers, SeverityWord, Shared, Sweep, options};
use super::output::Output;
use super::papers::Desk;
use super::setting::Setting;
use super::sweep::{STORE_DEFAULT, silence, write_kept};
use super::talk::{Talk, colours_on_stdout};
use super::{Status, options, when};
use crate::detect::finding::{Severity, Technique};
use crate::population::identity;
use crate::privacy::{Pseudonymiser, Reveal};
use crate::report::escape::words;
use crate::report::{Format, Layout, Palette, RunStats, figures};
use crate::store::life::{MarkKind, State};
use crate::store::marks::Mark;
use crate::store::query::{FINDINGS_MAX, Filter, KeptFinding};
use crate::store::{Access, Store};

/// Runs looked through for the two that `diff` compares.
const RUNS_LOOKED_THROUGH: usize = 10_000;
/// Longest words of a mark, in characters.
const WORDS_CHARS_MAX: usize = 1000;

options! {
    /// Options of `findings` alone.
    pub struct Findings {
        /// Only findings of this sensor
        #[arg(long, global = true, value_name = "NAME", help_heading = "Filter")]
        sensor: String,
        /// Only findings seen, or told of, since then: a date, a time, `yesterday`, or so long ago (36h)
        #[arg(long, value_name = "TIME", help_heading = "Filter")]
        since: String,
        /// Only findings that began before then
        #[arg(long, value_name = "TIME", help_heading = "Filter")]
        until: String,
        /// Only findings of at least this severity
        #[arg(long, value_enum, value_name = "SEVERITY", help_heading = "Filter")]
        severity: SeverityWord,
        /// Only findings of these techniques
        #[arg(long, value_name = "TECHNIQUE", value_delimiter = ',', help_heading = "Filter")]
        technique: Vec<Technique>,
        /// Only findings in these states
        #[arg(long, value_enum, value_name = "STATE", value_delimiter = ',', help_heading = "Filter")]
        state: Vec<StateWord>,
        /// How findings are written [default: text]
        #[arg(long, global = true, value_enum, value_name = "FORMAT", help_heading = "Output")]
        format: ListFormat,
        /// Write to this file instead of standard output
        #[arg(long, short = 'o', global = true, value_name = "FILE", help_heading = "Output")]
        output: PathBuf,
    }
}

/// List what sweeps have found, show it with all evidence, acknowledge it or mark it false
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// The store [default: trawlwatch.db]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Store")]
    store: Option<PathBuf>,
    #[command(flatten)]
    findings: Findings,
    #[command(flatten)]
    shared: Shared,
    #[command(flatten)]
    papers: Papers,
    #[clap(skip)]
    sweep: Sweep,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Show one finding with all its evidence and everything that was said of it
    Show {
        /// Its id, or the beginning of it
        id: String,
    },
    /// Acknowledge a finding: someone takes care of it; it comes back when it grows
    Ack(Said),
    /// Mark a finding as a false alarm: it and what is like it are folded until they grow, and three of one technique
    /// raise that technique's bar
    False(Said),
    /// Take back what was said of a finding
    Reopen(Said),
    /// What changed between two runs
    Diff {
        /// The earlier run [default: the last but one]
        from: Option<i64>,
        /// The later run [default: the last]
        to: Option<i64>,
    },
    /// List the runs
    Runs,
}

#[derive(clap::Args, Debug)]
struct Said {
    /// The finding's id, or the beginning of it
    id: String,
    /// Why
    #[arg(long, value_name = "WORDS")]
    why: String,
    /// Who says so [default: the user's name]
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
}

/// How a list is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ListFormat {
    /// A line a finding, for people; `show` says everything
    #[default]
    Text,
    /// One JSON object a line, with what the store knows under `store`
    Json,
    /// One EVE alert a line, within Suricata's schema
    Eve,
    /// Comma-separated values, with a heading
    Csv,
}

/// A state as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StateWord {
    /// Nobody was told of it yet
    New,
    /// Told of before, but worse, wider or larger since
    Grown,
    /// Back after it had ended, or beyond what was said of it
    Reopened,
    /// Told of, and still there
    Open,
    /// Someone takes care of it
    Acknowledged,
    /// Not seen any more for as long as the sweep waits
    Ended,
    /// Marked false, or like one that was
    FalseAlarm,
}

impl From<StateWord> for State {
    fn from(word: StateWord) -> Self {
        match word {
            StateWord::New => Self::New,
            StateWord::Grown => Self::Grown,
            StateWord::Reopened => Self::Reopened,
            StateWord::Open => Self::Open,
            StateWord::Acknowledged => Self::Acknowledged,
            StateWord::Ended => Self::Ended,
            StateWord::FalseAlarm => Self::FalseAlarm,
        }
    }
}

impl Args {
    /// Lays the configuration file and the defaults under what was typed.
    pub fn under(self, file: &ConfigFile) -> Self {
        let store = self.store.or(file.sweep.store.clone()).or(Some(PathBuf::from(STORE_DEFAULT)));
        let defaults = Findings { format: Some(ListFormat::Text), ..Findings::default() };
        Self {
            store,
            shared: self.shared.or(file.shared.clone()).or(options::defaults()),
            papers: self.papers.or(file.papers.clone()),
            sweep: file.sweep.clone(),
            findings: self.findings.or(file.findings.clone()).or(defaults),
            command: self.command,
        }
    }

    /// What is in force, as a configuration file: store and bounds of silence are those of sweeps.
    pub fn in_force(&self) -> anyhow::Result<String> {
        let kept = Sweep { store: self.store.clone(), ..self.sweep.clone() };
        let own = options::in_force_with_papers(&self.shared, &self.papers, "findings", &self.findings)?;
        Ok(format!("{own}\n{}", options::in_force(&Shared::default(), "sweep", &kept)?))
    }
}

/// Runs the verb.
pub fn run(args: Args, talk: &Talk) -> anyhow::Result<Status> {
    let path = args.store.clone().unwrap_or_else(|| PathBuf::from(STORE_DEFAULT));
    let marks = matches!(args.command, Some(Command::Ack(_) | Command::False(_) | Command::Reopen(_)));
    let mut store = Store::open(&path, if marks { Access::Mark } else { Access::Read }, "")?;
    match &args.command {
        None => list(&args, &store, talk),
        Some(Command::Show { id }) => show(&args, &store, id, talk),
        Some(Command::Ack(said)) => mark(&args, &mut store, said, MarkKind::Acknowledged, talk),
        Some(Command::False(said)) => mark(&args, &mut store, said, MarkKind::FalseAlarm, talk),
        Some(Command::Reopen(said)) => mark(&args, &mut store, said, MarkKind::Reopened, talk),
        Some(Command::Diff { from, to }) => diff(&args, &store, *from, *to),
        Some(Command::Runs) => runs(&args, &store),
    }
}

fn reveal(args: &Args, store: &Store, talk: &Talk) -> anyhow::Result<Reveal> {
    if args.shared.reveal.is_none() {
        return Ok(Reveal::Nothing);
    }
    let setting = Setting::new(&args.shared, None, talk)?;
    let Some(key) = &setting.key else { return Ok(Reveal::Nothing) };
    // Under another key the words would be addresses of people who have nothing to do with it.
    store.bind_key(identity::mark(&mut &Pseudonymiser::new(key)))?;
    Ok(Reveal::with_key(key))
}

fn list(args: &Args, store: &Store, talk: &Talk) -> anyhow::Result<Status> {
    let now = when::now();
    let time = |name: &str, text: &Option<String>| text.as_deref().map(|text| when::parse(name, text, now)).transpose();
    let filter = Filter {
        since: time("--since", &args.findings.since)?,
        until: time("--until", &args.findings.until)?,
        severity: args.findings.severity.map_or(Severity::Info, Severity::from),
        techniques: args.findings.technique.clone().unwrap_or_default(),
        sensor: args.findings.sensor.clone(),
        states: args.findings.state.iter().flatten().map(|word| State::from(*word)).collect(),
        most: FINDINGS_MAX,
    };
    let found = store.findings(&filter)?;
    let reveal = reveal(args, store, talk)?;
    let mut out = Output::create(args.findings.output.as_deref())?;
    let layout = layout(args, &out, &reveal);
    match args.findings.format.unwrap_or_default() {
        ListFormat::Text => table(&mut out, &found, args.findings.state.iter().flatten().next().is_some(), layout)?,
        ListFormat::Csv => csv(&mut out, &found)?,
        ListFormat::Json => found.iter().try_for_each(|kept| write_kept(&mut out, Format::Json, kept, layout))?,
        ListFormat::Eve => found.iter().try_for_each(|kept| write_kept(&mut out, Format::Eve, kept, layout))?,
    }
    out.finish()?;
    papers(args, store, &found, &reveal, talk)
}

/// The reports that were asked for, over what is listed or shown.
fn papers(args: &Args, store: &Store, found: &[KeptFinding], reveal: &Reveal, talk: &Talk) -> anyhow::Result<Status> {
    let mut desk = Desk::open(&args.papers)?;
    if !desk.is_asked_for() {
        return Ok(Status::Quiet);
    }
    let setting = Setting::new(&Shared { key: None, ..args.shared.clone() }, None, talk)?;
    let shown: Vec<_> =
        found.iter().filter(|kept| kept.state != State::FalseAlarm).map(|kept| kept.finding.clone()).collect();
    let span = shown.iter().map(|finding| (finding.start, finding.end)).reduce(|(a, b), (c, d)| (a.min(c), b.max(d)));
    if let Some((from, to)) = span
        && desk.wants_windows()
    {
        store.each_window(from, to, setting.populations.fingerprint(), |summary| {
            desk.window(summary, &setting.populations)
        })?;
    }
    let stats = RunStats {
        span,
        populations: setting.populations.iter().map(|(_, spec)| spec.name.clone()).collect(),
        looked_for: crate::detect::DETECTORS.iter().map(|detector| detector.technique).collect(),
        ..RunStats::default()
    };
    desk.write(&store.path().display().to_string(), &shown, &stats, &setting.populations, reveal)?;
    Ok(Status::Quiet)
}

fn layout<'a>(args: &Args, out: &Output, reveal: &'a Reveal) -> Layout<'a> {
    let coloured = out.is_stdout() && colours_on_stdout(args.shared.color.unwrap_or(ColorWhen::Auto));
    let palette = if coloured { Palette::Coloured } else { Palette::Plain };
    Layout { reveal, columns: out.columns(), palette }
}

/// A line a finding; false alarms folded, unless states were asked for.
fn table(out: &mut dyn Write, found: &[KeptFinding], all: bool, layout: Layout<'_>) -> anyhow::Result<()> {
    let is_shown = |kept: &&KeptFinding| all || kept.state != State::FalseAlarm;
    let shown: Vec<&KeptFinding> = found.iter().filter(is_shown).collect();
    for kept in &shown {
        let finding = &kept.finding;
        let style = layout.palette.severity(finding.severity);
        writeln!(
            out,
            "{style}{:<12} {:<9}{style:#} {:<13} {}  {}  {}",
            &kept.id[..kept.id.len().min(12)],
            finding.severity.name(),
            kept.state.name(),
            finding.technique.id(),
            words(&finding.headline),
            figures::span(finding.start, finding.end),
        )?;
    }
    if shown.is_empty() {
        writeln!(out, "No finding.")?;
    }
    let folded: Vec<&KeptFinding> = found.iter().filter(|kept| !is_shown(kept)).collect();
    if !folded.is_empty() {
        writeln!(
            out,
            "{} folded as {}: {}",
            folded.len(),
            if folded.len() == 1 { "a false alarm" } else { "false alarms" },
            folded.iter().map(|kept| &kept.id[..kept.id.len().min(12)]).collect::<Vec<_>>().join(", "),
        )?;
    }
    Ok(())
}

fn csv(out: &mut dyn Write, found: &[KeptFinding]) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record([
        "finding_id",
        "sensor",
        "state",
        "severity",
        "technique",
        "score",
        "p_value",
        "collectors",
        "names",
        "population",
        "subscribers",
        "start",
        "end",
        "days",
        "flows",
        "bytes_up",
        "bytes_down",
        "headline",
    ])?;
    for kept in found {
        let finding = &kept.finding;
        let addresses: Vec<String> = finding.collector.addresses.iter().map(ToString::to_string).collect();
        let row = [
            kept.id.clone(),
            harmless(&kept.sensor),
            kept.state.name().to_owned(),
            finding.severity.name().to_owned(),
            finding.technique.id().to_owned(),
            finding.score.to_string(),
            finding.p_value.to_string(),
            addresses.join(" "),
            harmless(&finding.collector.names.join(" ")),
            harmless(&finding.population.name),
            finding.population.subscribers.to_string(),
            figures::full_time(finding.start),
            figures::full_time(finding.end),
            kept.days.to_string(),
            finding.flows.to_string(),
            finding.bytes_up.to_string(),
            finding.bytes_down.to_string(),
            harmless(&finding.headline),
        ];
        writer.write_record(row)?;
    }
    writer.flush()?;
    Ok(())
}

/// Words from the wire that no spreadsheet takes for a formula.
fn harmless(text: &str) -> String {
    let text = words(text);
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.into_owned(),
    }
}

fn show(args: &Args, store: &Store, id: &str, talk: &Talk) -> anyhow::Result<Status> {
    let kept = store.finding(store.row_of(id, args.findings.sensor.as_deref())?)?;
    let reveal = reveal(args, store, talk)?;
    let mut out = Output::create(args.findings.output.as_deref())?;
    let layout = layout(args, &out, &reveal);
    match args.findings.format.unwrap_or_default() {
        ListFormat::Json => write_kept(&mut out, Format::Json, &kept, layout)?,
        ListFormat::Eve => write_kept(&mut out, Format::Eve, &kept, layout)?,
        ListFormat::Csv => csv(&mut out, std::slice::from_ref(&kept))?,
        ListFormat::Text => {
            Format::Text.write_finding(&mut out, &kept.finding, layout)?;
            writeln!(out, "  {:<12}{} on {}", "state", kept.state.name(), words(&kept.sensor))?;
            writeln!(
                out,
                "  {:<12}{}; the figures are those of the worst",
                "seen",
                figures::counted(kept.days, "day")
            )?;
            if let Some(other) = &kept.alike {
                writeln!(out, "  {:<12}it is like {other}, which was marked false", "folded")?;
            }
            for mark in &kept.marks {
                let (who, why) = (words(&mark.who), words(&mark.why));
                writeln!(
                    out,
                    "  {:<12}{} by {who}, {}: {why}",
                    "said",
                    mark.kind.name(),
                    figures::plain_time(mark.at)
                )?;
            }
        }
    }
    out.finish()?;
    papers(args, store, &[kept], &reveal, talk)
}

fn mark(args: &Args, store: &mut Store, said: &Said, kind: MarkKind, talk: &Talk) -> anyhow::Result<Status> {
    let user = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok()).filter(|user| !user.is_empty());
    let who = said.who.clone().or(user).context("--who NAME is missing: a mark says who made it")?;
    for (option, text) in [("--who", &who), ("--why", &said.why)] {
        if text.trim().is_empty() || text.chars().count() > WORDS_CHARS_MAX {
            bail!("{option}: takes 1 to {WORDS_CHARS_MAX} characters");
        }
    }
    let row = store.row_of(&said.id, args.findings.sensor.as_deref())?;
    let mark = Mark { kind, who, why: said.why.clone(), at: when::now() };
    store.mark(row, &mark, silence(&args.sweep)?)?;
    let kept = store.finding(row)?;
    talk.note(&format!("{}: {}", kept.id, kept.state.name()));
    Ok(Status::Quiet)
}

fn diff(args: &Args, store: &Store, from: Option<i64>, to: Option<i64>) -> anyhow::Result<Status> {
    let runs = store.runs(RUNS_LOOKED_THROUGH)?;
    let to = match to.or(runs.iter().find(|run| run.ended.is_some()).map(|run| run.id)) {
        Some(to) => to,
        None => bail!("no run has ended yet: there is nothing to compare"),
    };
    let before = runs.iter().find(|run| run.id < to && run.ended.is_some()).map(|run| run.id);
    let from = from.or(before).unwrap_or(0);
    let mut out = Output::create(args.findings.output.as_deref())?;
    let events = store.events(from, to)?;
    let layout = Layout { reveal: &Reveal::Nothing, columns: out.columns(), palette: Palette::Plain };
    for event in &events {
        let kept = store.finding(event.finding)?;
        match args.findings.format.unwrap_or_default() {
            ListFormat::Json => write_kept(&mut out, Format::Json, &kept, layout)?,
            ListFormat::Eve => write_kept(&mut out, Format::Eve, &kept, layout)?,
            ListFormat::Csv => bail!("--format csv: `diff` writes text, json or eve"),
            ListFormat::Text => {
                let id = &kept.id[..kept.id.len().min(12)];
                writeln!(
                    out,
                    "run {:<5} {:<9} {id} {:<9} {}  {}",
                    event.run,
                    event.kind,
                    event.severity.name(),
                    kept.finding.technique.id(),
                    words(&kept.finding.headline),
                )?;
            }
        }
    }
    if events.is_empty() && args.findings.format.unwrap_or_default() == ListFormat::Text {
        writeln!(out, "Nothing changed between run {from} and run {to}.")?;
    }
    out.finish()?;
    Ok(Status::Quiet)
}

fn runs(args: &Args, store: &Store) -> anyhow::Result<Status> {
    let mut out = Output::create(args.findings.output.as_deref())?;
    for run in store.runs(RUNS_LOOKED_THROUGH)? {
        let ended = run.ended.map_or_else(|| "cut short, or under way".to_owned(), figures::plain_time);
        writeln!(
            out,
            "{:<5} {:<8} {}  to {ended}  policy {}",
            run.id,
            run.kind,
            figures::plain_time(run.started),
            run.policy
        )?;
    }
    out.finish()?;
    Ok(Status::Quiet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_from_the_wire_is_a_formula() {
        for (text, wanted) in [("=cmd()", "'=cmd()"), ("a=b", "a=b"), ("-1", "'-1"), ("", "")] {
            assert_eq!(harmless(text), wanted);
        }
    }
}
