//! `trawlwatch sweep`: archives of captures in, what is news out; the store remembers.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::notify::notify;
use super::options::{ConfigFile, FailOn, FindingFormat, Papers, SeverityWord, Shared, Sweep, parse_duration};
use super::output::Output;
use super::papers::Desk;
use super::setting::Setting;
use super::talk::Talk;
use super::watch::outlet::webhook::Webhook;
use super::{Status, options, when};
use crate::detect::finding::Severity;
use crate::model::Codebook;
use crate::pipeline::RowsWanted;
use crate::policy::size;
use crate::population::identity;
use crate::privacy::{Pseudonymiser, Reveal};
use crate::report::figures::full_time;
use crate::report::stats::FileStats;
use crate::report::{Format, Layout, Palette};
use crate::store::export::life_of;
use crate::store::query::KeptFinding;
use crate::store::retention::Retention;
use crate::store::runs::RunStart;
use crate::store::{Access, Store};
use crate::sweep::digest::Digest;
use crate::sweep::{
    Links, Plan, Rejudge, SensorNaming, SensorPattern, SweepProgress, Swept, Tools, sweep as sweep_archive,
};
use crate::units::{DurationNs, TimestampNs};

/// Most captures read at once unless `--jobs` says otherwise.
const JOBS_DEFAULT_MAX: usize = 4;
/// Most captures read at once at all.
const JOBS_MAX: usize = 64;
/// Where the store is unless an option says otherwise.
pub const STORE_DEFAULT: &str = "trawlwatch.db";

/// Walk archives of captures, remember what was done and found, report only what is new; safe to kill and rerun
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Folders, captures and globs in quotes; folders are walked to their depths
    #[arg(value_name = "PATH", required_unless_present_any = ["print_config", "rejudge", "print_unit", "print_cron"])]
    paths: Vec<PathBuf>,
    /// Judge history again under the policy and model in force, without reading any packet again; --since, --until and
    /// --sensor choose which part
    #[arg(long, help_heading = "Store")]
    rejudge: bool,
    /// Print a systemd service and timer that sweep these paths every night, and stop
    #[arg(long, help_heading = "Schedule")]
    print_unit: bool,
    /// Print a cron line that sweeps these paths every night, and stop
    #[arg(long, help_heading = "Schedule")]
    print_cron: bool,
    #[command(flatten)]
    shared: Shared,
    #[command(flatten)]
    papers: Papers,
    #[command(flatten)]
    sweep: Sweep,
}

impl Args {
    /// Lays the configuration file and the defaults under what was typed.
    pub fn under(self, file: &ConfigFile) -> Self {
        let defaults = Sweep {
            store: Some(PathBuf::from(STORE_DEFAULT)),
            format: Some(FindingFormat::Text),
            min_severity: Some(SeverityWord::Info),
            fail_on: Some(FailOn::High),
            window: Some("60s".to_owned()),
            settle: Some("10s".to_owned()),
            wait: Some("1m".to_owned()),
            ended_after: Some("1d".to_owned()),
            keep_windows: Some("7d".to_owned()),
            keep_hours: Some("92d".to_owned()),
            keep_days: Some("731d".to_owned()),
            follow: Some(false),
            ..Sweep::default()
        };
        Self {
            shared: self.shared.or(file.shared.clone()).or(options::defaults()),
            papers: self.papers.or(file.papers.clone()),
            sweep: self.sweep.or(file.sweep.clone()).or(defaults),
            ..self
        }
    }

    /// What is in force, as a configuration file.
    pub fn in_force(&self) -> anyhow::Result<String> {
        options::in_force_with_papers(&self.shared, &self.papers, "sweep", &self.sweep)
    }
}

/// Runs the verb.
pub fn run(mut args: Args, talk: &Talk) -> anyhow::Result<Status> {
    if args.print_unit || args.print_cron {
        return print_schedule(&args);
    }
    let store_path = args.sweep.store.clone().unwrap_or_else(|| PathBuf::from(STORE_DEFAULT));
    if args.shared.key.is_none() && args.shared.reveal.is_none() {
        args.shared.key = Some(key_beside(&store_path));
    }
    let began = when::now();
    let webhook = args.sweep.webhook.as_deref().map(Webhook::new).transpose();
    let webhook = webhook.map_err(|why| anyhow::anyhow!("--webhook {why}"))?;
    let mut plan = plan(&args, began)?;
    let mut store = Store::open(&store_path, Access::Sweep, &full_time(began))?;
    if let Some(copy) = store.copied_to() {
        talk.note(&format!(
            "{}: an earlier store was brought up; a copy is in {}",
            store_path.display(),
            copy.display()
        ));
    }
    let setting = Setting::new(&args.shared, args.sweep.window.as_deref(), talk)?;
    let Some(key) = &setting.key else { bail!("--key FILE is missing: the store's subscribers stand under it") };
    let pseudonymiser = Pseudonymiser::new(key);
    let mark = identity::mark(&mut &pseudonymiser);
    store.bind_key(mark)?;
    let config = setting.pipeline(RowsWanted::None, mark);
    plan.jobs = args.sweep.jobs.unwrap_or_else(|| setting.workers().min(JOBS_DEFAULT_MAX));
    if plan.jobs == 0 || plan.jobs > JOBS_MAX {
        bail!("--jobs {}: takes a number from 1 to {JOBS_MAX}", plan.jobs);
    }
    let grid = Codebook::grid();
    let tools = Tools {
        populations: &setting.populations,
        places: &setting.places,
        model: setting.model.as_ref(),
        codebook: setting.model.as_ref().map_or(&grid, |model| model.codebook()),
        policy: &setting.policy,
        pseudonymiser: &pseudonymiser,
        config: &config,
        clock: when::now,
    };
    let mut out = Output::create(args.sweep.output.as_deref())?;
    let mut desk = Desk::open(&args.papers)?;
    let policy = hash_of(args.shared.policy.as_deref(), args.shared.population.as_deref().unwrap_or_default())?;
    let model = hash_of(args.shared.model.as_deref(), &[])?;
    let rules = format!("{policy} {model}");
    let words = if args.rejudge { "rejudge" } else { "sweep" };
    let start =
        RunStart { kind: words, program: env!("CARGO_PKG_VERSION"), policy: &policy, model: &model, now: began };
    let changed_rules = store.judged_under()?.is_some_and(|known| known != rules);
    let progress = SweepProgress::new(plan.jobs);
    let mut swept = with_bar(talk, &progress, || sweep_archive(&mut store, &plan, tools, &start, &progress))?;
    for not in swept.refused.iter().chain(&swept.growing) {
        talk.warn(&format!("{}: {}", not.path, not.why));
    }
    if changed_rules && !args.rejudge {
        talk.note("the policy or the model is another than history was judged under; `trawlwatch sweep --rejudge` judges it again");
    }
    if swept.left_out.0 > 0 {
        talk.warn(&format!(
            "{} windows on {} days rest on other populations than the policy now names, and are not judged: only sweeping \
             their captures into a new store brings them back",
            swept.left_out.0, swept.left_out.1
        ));
    }
    let floor = args.sweep.min_severity.map_or(Severity::Info, Severity::from);
    let told = told(&store, &swept, floor)?;
    let news: Vec<&KeptFinding> = told.iter().filter(|(_, kept)| kept.state.is_news()).map(|(_, kept)| kept).collect();
    let reveal = if setting.reveal { Reveal::with_key(key) } else { Reveal::Nothing };
    swept.stats.files.extend(swept.refused.iter().chain(&swept.growing).map(|not| FileStats {
        path: not.path.clone(),
        first_fault: Some(not.why.clone()),
        ..FileStats::default()
    }));
    let shown: Vec<_> = news.iter().map(|kept| kept.finding.clone()).collect();
    let spans = shown.iter().map(|finding| (finding.start, finding.end));
    let span = spans.reduce(|(a, b), (c, d)| (a.min(c), b.max(d)));
    if let Some((from, to)) = span
        && desk.wants_windows()
    {
        store.each_window(from, to, setting.populations.fingerprint(), |summary| {
            desk.window(summary, &setting.populations)
        })?;
    }
    write(&mut out, &args, &store, &swept, &told, &reveal, words)?;
    out.finish()?;
    desk.write(&title(&args.paths, words), &shown, &swept.stats, &setting.populations, &reveal)?;
    let mut unheard = false;
    if let Some(mut webhook) = webhook.filter(|_| !news.is_empty())
        && let Err(error) = notify(&mut webhook, &news_of(&swept, &told))
    {
        // What was not heard is not told: the next sweep says it again.
        talk.error(&super::with_causes(&error));
        unheard = true;
    }
    if !unheard {
        let account = json!({"captures": swept.captures, "bytes": swept.bytes, "packets": swept.stats.packets,
            "flows": swept.stats.flows, "refused": swept.refused.len(), "days": swept.days});
        store.tell(swept.run, &swept.changes, &account.to_string(), when::now())?;
        let is_all = args.rejudge && plan.since.is_none() && plan.until.is_none() && args.sweep.sensor.is_none();
        if is_all || store.judged_under()?.is_none() {
            store.judged_all_under(&rules)?;
        }
    }
    let threshold = args.sweep.fail_on.unwrap_or(FailOn::High).threshold();
    let found = threshold.is_some_and(|least| news.iter().any(|kept| kept.finding.severity >= least));
    let nothing_read = swept.captures + swept.known + swept.outside == 0 && !swept.refused.is_empty();
    Ok(match (found, nothing_read, unheard || !swept.refused.is_empty() || swept.stats.is_lossy()) {
        (true, ..) => Status::Found,
        (_, true, _) => Status::Unreadable,
        (_, _, true) => Status::Damaged,
        _ => Status::Quiet,
    })
}

/// The pseudonym key's file where no option names one: beside the store, never in it.
pub fn key_beside(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(".key");
    PathBuf::from(name)
}

/// Ages and size as options have them; `sweep` and `store vacuum` share them.
pub fn retention(sweep: &Sweep) -> anyhow::Result<Retention> {
    let defaults = Retention::default();
    let age = |name: &str, text: &Option<String>, default: DurationNs| match text {
        None => Ok(default),
        Some(text) => parse_duration(text).map_err(anyhow::Error::msg).with_context(|| name.to_owned()),
    };
    let bytes_max = match &sweep.size_max {
        None => None,
        Some(text) => {
            Some(size::parse(text).with_context(|| format!("--size-max {text:?}: write for example 20 GiB"))?)
        }
    };
    Ok(Retention {
        windows: age("--keep-windows", &sweep.keep_windows, defaults.windows)?,
        hours: age("--keep-hours", &sweep.keep_hours, defaults.hours)?,
        days: age("--keep-days", &sweep.keep_days, defaults.days)?,
        bytes_max,
    })
}

/// Silence after which a finding has ended.
pub fn silence(sweep: &Sweep) -> anyhow::Result<DurationNs> {
    let text = sweep.ended_after.as_deref().unwrap_or("1d");
    parse_duration(text).map_err(anyhow::Error::msg).context("--ended-after")
}

fn plan(args: &Args, now: TimestampNs) -> anyhow::Result<Plan> {
    let sweep = &args.sweep;
    let length = |name: &str, text: &Option<String>| {
        let text = text.as_deref().unwrap_or("0");
        parse_duration(text).map_err(anyhow::Error::msg).with_context(|| name.to_owned())
    };
    let naming = match (&sweep.sensor, &sweep.sensor_from) {
        (Some(name), _) if name.is_empty() || name.chars().any(char::is_control) => {
            bail!("--sensor {name:?}: takes a name of visible characters")
        }
        (Some(name), _) => SensorNaming::Named(name.clone()),
        (None, Some(pattern)) => SensorNaming::Pattern(SensorPattern::parse(pattern).context("--sensor-from")?),
        (None, None) => SensorNaming::Default,
    };
    let time = |name: &str, text: &Option<String>| text.as_deref().map(|text| when::parse(name, text, now)).transpose();
    Ok(Plan {
        inputs: args.paths.clone(),
        links: if sweep.follow == Some(true) { Links::Follow } else { Links::PassOver },
        naming,
        since: time("--since", &sweep.since)?,
        until: time("--until", &sweep.until)?,
        settle: length("--settle", &sweep.settle)?,
        wait: length("--wait", &sweep.wait)?,
        jobs: 1,
        silence: silence(sweep)?,
        retention: retention(sweep)?,
        rejudge: if args.rejudge { Rejudge::All } else { Rejudge::Changed },
    })
}

/// The findings that changed, worst first, with what became of each.
fn told(store: &Store, swept: &Swept, floor: Severity) -> anyhow::Result<Vec<(String, KeptFinding)>> {
    let mut told = Vec::new();
    for change in swept.changes.iter().filter(|change| change.severity >= floor || !change.state.is_news()) {
        let kept = store.finding(change.finding)?;
        let what = if change.eased && !change.state.is_news() { "eased" } else { change.state.name() };
        told.push((what.to_owned(), kept));
    }
    // News first, then what has ended or eased.
    told.sort_by_key(|(_, kept)| !kept.state.is_news());
    Ok(told)
}

fn write(
    out: &mut Output,
    args: &Args,
    store: &Store,
    swept: &Swept,
    told: &[(String, KeptFinding)],
    reveal: &Reveal,
    what: &str,
) -> anyhow::Result<()> {
    let format = match args.sweep.format {
        Some(FindingFormat::Json) => Format::Json,
        Some(FindingFormat::Eve) => Format::Eve,
        Some(FindingFormat::Text) | None => {
            let (counts, name) = (store.counts()?, store.path().display().to_string());
            let digest = Digest { store: &name, what, now: when::now(), swept, told, counts: &counts };
            return Ok(digest.write(out)?);
        }
    };
    let layout = Layout { reveal, columns: out.columns(), palette: Palette::Plain };
    for (_, kept) in told {
        write_kept(out, format, kept, layout)?;
    }
    format.write_stats(out, &swept.stats, layout)?;
    Ok(())
}

/// A finding as a line; in JSON with what the store knows of it, under `store`.
pub fn write_kept(out: &mut dyn Write, format: Format, kept: &KeptFinding, layout: Layout<'_>) -> anyhow::Result<()> {
    let mut line = Vec::new();
    format.write_finding(&mut line, &kept.finding, layout)?;
    if format == Format::Json
        && let Some(open) = line.strip_suffix(b"}\n")
    {
        let life = serde_json::to_string(&life_of(kept))?;
        line = [open, b",\"store\":", life.as_bytes(), b"}\n"].concat();
    }
    Ok(out.write_all(&line)?)
}

/// What a webhook gets.
fn news_of(swept: &Swept, told: &[(String, KeptFinding)]) -> serde_json::Value {
    let news: Vec<serde_json::Value> = told
        .iter()
        .map(|(what, kept)| {
            let finding = &kept.finding;
            let addresses: Vec<String> = finding.collector.addresses.iter().map(ToString::to_string).collect();
            json!({"what": what, "finding_id": kept.id, "sensor": kept.sensor, "technique": finding.technique.id(),
                "severity": finding.severity.name(), "headline": finding.headline, "collectors": addresses,
                "population": finding.population.name, "subscribers": finding.population.subscribers,
                "start": full_time(finding.start), "end": full_time(finding.end)})
        })
        .collect();
    let text = match news.len() {
        1 => format!("trawlwatch: {}", told[0].1.finding.headline),
        n => format!("trawlwatch: {n} findings changed, the worst: {}", told[0].1.finding.headline),
    };
    json!({"text": text, "run": swept.run, "captures": swept.captures, "findings": news})
}

fn title(paths: &[PathBuf], what: &str) -> String {
    match paths {
        [] => what.to_owned(),
        paths => format!("{what} of {}", super::papers::title_of(paths)),
    }
}

/// Tells one policy, or one model, from another: a hash of the file and of the prefixes named beside it.
fn hash_of(path: Option<&Path>, words: &[String]) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    if let Some(path) = path {
        hash.update(std::fs::read(path).with_context(|| path.display().to_string())?);
    }
    words.iter().for_each(|word| hash.update(word.as_bytes()));
    if path.is_none() && words.is_empty() {
        return Ok("none".to_owned());
    }
    Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// Files, bytes and time left, on a terminal.
fn with_bar<T>(talk: &Talk, progress: &SweepProgress, run: impl FnOnce() -> T) -> T {
    let bar = talk.progress(Some(0));
    if bar.is_hidden() {
        return run();
    }
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                let of = |n: &std::sync::atomic::AtomicU64| n.load(Ordering::Relaxed);
                bar.set_length(of(&progress.bytes_total));
                bar.set_position(progress.bytes_read());
                bar.set_message(match of(&progress.days) {
                    0 => format!("{}/{} captures,", of(&progress.files), of(&progress.files_total)),
                    days => format!("{days} days to judge,"),
                });
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        let result = run();
        ended.store(true, Ordering::Relaxed);
        bar.finish_and_clear();
        result
    })
}

/// A service with its timer, or a line for cron, that run what was typed.
fn print_schedule(args: &Args) -> anyhow::Result<Status> {
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("trawlwatch"));
    let folder = std::env::current_dir()?;
    let typed = std::env::args().skip(1).filter(|arg| arg != "--print-unit" && arg != "--print-cron");
    let command: Vec<String> =
        std::iter::once(program.display().to_string()).chain(typed).map(|word| quoted(&word)).collect();
    let store = args.sweep.store.clone().unwrap_or_else(|| PathBuf::from(STORE_DEFAULT));
    let beside = folder.join(store).parent().map_or_else(|| folder.clone(), Path::to_owned);
    let mut writable = vec![folder.display().to_string()];
    if beside != folder {
        writable.push(beside.display().to_string());
    }
    let (command, folder, writable) = (command.join(" "), folder.display().to_string(), writable.join(" "));
    let mut out = std::io::stdout().lock();
    if args.print_cron {
        // cron turns an unescaped percent sign into a line end, and mails what is printed.
        let command = command.replace('%', "\\%");
        writeln!(out, "# Every night at 2:30; cron mails the digest where MAILTO is set.")?;
        writeln!(out, "30 2 * * * cd {} && {command}", quoted(&folder))?;
        return Ok(Status::Quiet);
    }
    let command = command.replace('%', "%%").replace('$', "$$");
    write!(
        out,
        "# /etc/systemd/system/trawlwatch-sweep.service\n\
         [Unit]\n\
         Description=Trawlwatch: sweep of captures\n\
         \n\
         [Service]\n\
         Type=oneshot\n\
         WorkingDirectory={folder}\n\
         ExecStart={command}\n\
         # 1: findings, 4: part of the input was damaged. Neither is a failure of the service; 2 and 3 are.\n\
         SuccessExitStatus=1 4\n\
         Nice=10\n\
         IOSchedulingClass=idle\n\
         NoNewPrivileges=yes\n\
         ProtectSystem=strict\n\
         ReadWritePaths={writable}\n\
         ProtectHome=read-only\n\
         UMask=0077\n\
         \n\
         # /etc/systemd/system/trawlwatch-sweep.timer\n\
         [Unit]\n\
         Description=Trawlwatch: every night\n\
         \n\
         [Timer]\n\
         OnCalendar=*-*-* 02:30:00\n\
         RandomizedDelaySec=10min\n\
         Persistent=true\n\
         \n\
         [Install]\n\
         WantedBy=timers.target\n"
    )?;
    Ok(Status::Quiet)
}

/// A word as a shell, and systemd, take it whole.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        for (word, wanted) in [("a/b.pcap", "a/b.pcap"), ("*.pcap", "'*.pcap'"), ("it's", "'it'\\''s'"), ("", "''")] {
            assert_eq!(quoted(word), wanted);
        }
    }
}
