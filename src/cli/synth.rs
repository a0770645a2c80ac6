//! `trawlwatch synth`: labelled captures of a population, from a seed.
//! In: options. Out: captures with their labels and policies; on standard output what was written, one line a capture.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use serde::{Deserialize, Serialize};

use super::options::{ConfigFile, Shared, options};
use super::talk::Talk;
use super::{Status, options};
use crate::policy::size;
use crate::synth::suite::{SUITES, Suite};
use crate::synth::{self, FAULTS, Overwrite, PROGRAMS, Role, Scenario, ScenarioWords, SynthReport, WORLDS};

options! {
    /// Options of `synth`, as they are typed or written in `[synth]`.
    pub struct Synth {
        /// World to write [default: town]
        #[arg(long, value_name = "NAME")]
        world: String,
        /// How many subscribers [default: 200]
        #[arg(long, value_name = "N")]
        subscribers: u32,
        /// How long the capture lasts, in hours [default: 1]
        #[arg(long, value_name = "H")]
        hours: f64,
        /// When it begins [default: 2026-03-01T18:00:00Z]
        #[arg(long, value_name = "TIME")]
        start: String,
        /// How busy people are, against usual: scales how often they do things [default: 1]
        #[arg(long, value_name = "FACTOR")]
        activity: f64,
        /// How heavy films, pictures, backups and updates are, against usual [default: 1]
        #[arg(long, value_name = "FACTOR")]
        volume: f64,
        /// Add an operation; may be given several times
        #[arg(long, value_name = "KIND[:KNOB=VALUE,...]")]
        operation: Vec<String>,
        /// Add harmless traffic that resembles an operation; may be given several times
        #[arg(long, value_name = "KIND[:KNOB=VALUE,...]")]
        negative: Vec<String>,
        /// Let the capture point damage what it sees; may be given several times
        #[arg(long, value_name = "KIND=VALUE", allow_hyphen_values = true)]
        fault: Vec<String>,
        /// Seed of everything [default: 1]
        #[arg(long, value_name = "S")]
        seed: u64,
        /// Capture to write; .pcap or .pcap.zst
        #[arg(long, short, value_name = "NAME.pcap[.zst]")]
        output: PathBuf,
        /// Write a standing suite of captures into DIR instead
        #[arg(long, value_name = "NAME", conflicts_with_all = ["output", "operation", "negative"])]
        suite: String,
        /// Write only those captures of the suite whose names match this glob, or hold it
        #[arg(long, value_name = "PATTERN")]
        only: String,
        /// Write only those captures of the suite whose seeds, shifted ones where --shift-seeds is given, lie in this range
        #[arg(long, value_name = "A-B")]
        seeds: String,
        /// Add this to every seed of the suite: captures of the same kinds that nobody has seen; a multiple of ten keeps the worlds
        #[arg(long, value_name = "N")]
        shift_seeds: u64,
        /// Say the SHA-256 of large captures too (over 64 MiB): reading one again takes as long as writing it
        #[arg(long, num_args = 0, default_missing_value = "true")]
        digest: bool,
        /// Write over files that exist, and beyond what the disk seems to have room for
        #[arg(long, num_args = 0, default_missing_value = "true")]
        force: bool,
    }
}

/// Write labelled captures of a population, from a seed
///
/// Same seed, same bytes, on every machine. Beside NAME.pcap stand NAME.labels.json (what is in it) and NAME.policy.toml (the
/// policy to replay it with).
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Say which worlds, operations, negatives and suites there are, with their knobs
    #[arg(long)]
    list: bool,
    /// Folder of the suite
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    synth: Synth,
}

impl Args {
    /// Lays the configuration file and the defaults under what was typed. Who types what to write wants nothing else that a file names.
    pub fn under(self, file: &ConfigFile) -> Self {
        let mut below = file.synth.clone();
        if self.synth.output.is_some() || self.synth.operation.is_some() || self.synth.negative.is_some() {
            below = Synth { suite: None, only: None, seeds: None, shift_seeds: None, ..below };
        }
        if self.synth.suite.is_some() {
            below = Synth { output: None, operation: None, negative: None, ..below };
        }
        let defaults = Synth {
            world: Some("town".to_owned()),
            subscribers: Some(200),
            hours: Some(1.0),
            start: Some("2026-03-01T18:00:00Z".to_owned()),
            activity: Some(1.0),
            volume: Some(1.0),
            seed: Some(1),
            ..Synth::default()
        };
        // A suite says itself what its captures are.
        let synth = self.synth.or(below);
        let synth = if synth.suite.is_some() { synth } else { synth.or(defaults) };
        Self { synth, ..self }
    }

    /// What is in force, as a configuration file.
    pub fn in_force(&self) -> anyhow::Result<String> {
        options::in_force(&Shared::default(), "synth", &self.synth)
    }
}

/// Captures up to this size are read again for their digest whether or not somebody asks: some hundredths of a second.
const DIGEST_UNASKED_BYTES: u64 = 64 << 20;
/// From this size on a capture is announced before it is written.
const LARGE_BYTES: u64 = 1 << 30;

/// Captures of a suite that a list names.
const PARTS_LISTED_MAX: usize = 30;

/// Runs the verb.
pub fn run(args: &Args, talk: &Talk) -> anyhow::Result<Status> {
    let mut out = std::io::stdout().lock();
    if args.list {
        list(&mut out)?;
        return Ok(Status::Quiet);
    }
    let synth = &args.synth;
    let overwrite = if synth.force.unwrap_or(false) { Overwrite::Allowed } else { Overwrite::Never };
    match (&synth.suite, &args.dir) {
        (Some(suite), Some(dir)) => {
            write_suite(suite, dir, &Chosen::try_from(synth)?, overwrite, talk, &mut out)?;
            return Ok(Status::Quiet);
        }
        (Some(suite), None) => bail!("--suite {suite}: needs the folder to write into: synth --suite {suite} DIR"),
        (None, Some(dir)) => bail!("{}: a folder is for a suite, which --suite NAME names", dir.display()),
        (None, None) => {}
    }
    let of_a_suite = [
        ("--only", synth.only.is_some()),
        ("--seeds", synth.seeds.is_some()),
        ("--shift-seeds", synth.shift_seeds.is_some()),
    ];
    if let Some((name, _)) = of_a_suite.iter().find(|(_, is_set)| *is_set) {
        bail!("{name}: chooses captures of a suite, which --suite NAME DIR names");
    }
    let Some(output) = &synth.output else {
        bail!("--output NAME.pcap[.zst] is missing; --list says what can be written")
    };
    if output.as_os_str() == "-" {
        bail!("--output -: a capture is written with its labels beside it, so it needs a file's name");
    }
    let scenario = Scenario::try_from(ScenarioWords::from(synth))?;
    look_ahead(&scenario, output, overwrite, talk)?;
    say(&scenario.write(output, overwrite)?, synth.digest.unwrap_or(false), talk, &mut out)?;
    Ok(Status::Quiet)
}

impl From<&Synth> for ScenarioWords {
    fn from(synth: &Synth) -> Self {
        Self {
            world: synth.world.clone().unwrap_or_default(),
            subscribers: synth.subscribers.unwrap_or_default(),
            hours: synth.hours.unwrap_or_default(),
            start: synth.start.clone().unwrap_or_default(),
            activity: synth.activity.unwrap_or_default(),
            volume: synth.volume.unwrap_or_default(),
            operations: synth.operation.clone().unwrap_or_default(),
            negatives: synth.negative.clone().unwrap_or_default(),
            faults: synth.fault.clone().unwrap_or_default(),
            seed: synth.seed.unwrap_or_default(),
        }
    }
}

/// Says how large a capture will be where it is large, and refuses what the disk has no room for.
fn look_ahead(scenario: &Scenario, path: &Path, overwrite: Overwrite, talk: &Talk) -> anyhow::Result<()> {
    let forecast = scenario.forecast(path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // What is written over makes room first.
    let there = std::fs::metadata(path).map_or(0, |file| file.len());
    let room = synth::room_bytes(folder).map(|bytes| bytes.saturating_add(there));
    let about = if forecast.is_exact { "" } else { "about " };
    let size = size::show(forecast.file_bytes);
    let cure = "make people quieter (--activity 0.1), their transfers lighter (--volume 0.01), the capture shorter (--hours), \
                or pack it (NAME.pcap.zst)";
    if let Some(room) = room.filter(|room| forecast.file_bytes > *room) {
        let room = size::show(room);
        if overwrite == Overwrite::Never {
            bail!(
                "{}: {about}{size} would be written, and {room} are free there; {cure}; --force writes it all the same",
                path.display()
            );
        }
        talk.warn(&format!("{}: {about}{size} will be written, and {room} are free there", path.display()));
    } else if forecast.file_bytes >= LARGE_BYTES {
        talk.note(&format!(
            "{}: {about}{} packets, {size} will be written; to get less, {cure}",
            path.display(),
            forecast.packets
        ));
    }
    Ok(())
}

/// Which captures of a suite are wanted.
struct Chosen {
    only: Option<(String, globset::GlobMatcher)>,
    seeds: Option<(u64, u64)>,
    shift: u64,
}

impl TryFrom<&Synth> for Chosen {
    type Error = anyhow::Error;

    fn try_from(args: &Synth) -> anyhow::Result<Self> {
        let glob = |text: &String| {
            let glob = globset::Glob::new(text).with_context(|| format!("--only {text}: not a pattern"))?;
            anyhow::Ok((text.clone(), glob.compile_matcher()))
        };
        let range = |text: &String| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let number = |text: &str| text.trim().parse::<u64>().ok();
            let range = number(first).zip(number(last)).filter(|(first, last)| first <= last);
            range.with_context(|| format!("--seeds {text}: not a range such as 200-219"))
        };
        Ok(Self {
            only: args.only.as_ref().map(glob).transpose()?,
            seeds: args.seeds.as_ref().map(range).transpose()?,
            shift: args.shift_seeds.unwrap_or(0),
        })
    }
}

impl Chosen {
    fn holds(&self, name: &str, seed: u64) -> bool {
        self.only.as_ref().is_none_or(|(text, glob)| name.contains(text.as_str()) || glob.is_match(name))
            && self.seeds.is_none_or(|(first, last)| (first..=last).contains(&seed))
    }
}

fn write_suite(
    name: &str,
    dir: &Path,
    chosen: &Chosen,
    overwrite: Overwrite,
    talk: &Talk,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let Some(suite) = Suite::named(name) else {
        let known: Vec<_> = SUITES.iter().map(|suite| suite.name).collect();
        bail!("unknown suite {name:?}; known: {}", known.join(", "));
    };
    let mut parts = if chosen.shift == 0 { suite.parts() } else { suite.shifted(chosen.shift)? };
    parts.retain(|part| chosen.holds(&part.name, part.seed()));
    if parts.is_empty() {
        let shifted = if chosen.shift == 0 { "" } else { ", and --seeds takes seeds with --shift-seeds added" };
        bail!("no capture of the suite {name} is chosen; --list says which there are{shifted}");
    }
    std::fs::create_dir_all(dir).with_context(|| format!("{}: cannot make the folder", dir.display()))?;
    for part in parts {
        look_ahead(&part.scenario()?, &dir.join(&part.name), overwrite, talk)?;
        say(&part.write(dir, overwrite)?, true, talk, out)?;
    }
    Ok(())
}

fn say(report: &SynthReport, digest: bool, talk: &Talk, out: &mut impl Write) -> anyhow::Result<()> {
    let (packets, bytes) = (report.written.packets, report.written.file_bytes);
    write!(out, "{}  packets={packets}  bytes={bytes}", report.capture.display())?;
    if digest || bytes <= DIGEST_UNASKED_BYTES {
        write!(out, "  sha256={}", report.sha256()?)?;
    }
    writeln!(out)?;
    for (kind, packets, subscribers) in &report.programs {
        talk.detail(&format!("{kind}: {packets} packets of its own, {subscribers} subscribers"));
        if *packets == 0 && kind != &"retransmissions" {
            talk.warn(&format!("{kind} wrote no packet: the capture is too short or too small for it"));
        }
    }
    Ok(())
}

fn list(out: &mut impl Write) -> anyhow::Result<()> {
    writeln!(out, "Worlds (--world)")?;
    for world in WORLDS {
        writeln!(out, "  {:<20} {}", world.name, world.about)?;
    }
    for (title, operations) in [("Operations (--operation)", true), ("Negatives (--negative)", false)] {
        writeln!(out, "\n{title}")?;
        for program in PROGRAMS.iter().filter(|program| matches!(program.role, Role::Operation(_)) == operations) {
            writeln!(out, "  {:<20} {}", program.kind, program.about)?;
            let why = if operations { "shows by:" } else { "hard because:" };
            writeln!(out, "  {:<20} {why} {}", "", program.fact)?;
            for knob in program.knobs {
                writeln!(out, "      {:<12} {} [{}]", knob.name, knob.about, knob.default)?;
            }
            for variant in program.variants {
                writeln!(out, "      variant={:<12} {} ({})", variant.name, variant.about, variant.settings)?;
            }
        }
    }
    writeln!(out, "\nFaults (--fault KIND=VALUE)")?;
    for (name, about, low, high) in FAULTS {
        writeln!(out, "  {name:<20} {about} [{low} to {high}]")?;
    }
    writeln!(out, "\nSuites (--suite NAME DIR)")?;
    for suite in SUITES {
        let parts = suite.parts();
        writeln!(out, "  {:<20} {} ({} captures)", suite.name, suite.about, parts.len())?;
        for part in parts.iter().take(PARTS_LISTED_MAX) {
            writeln!(out, "      {:<40} {}", part.name, part.about)?;
            writeln!(out, "      {:<40} {}", "", part.command())?;
        }
        if parts.len() > PARTS_LISTED_MAX {
            writeln!(out, "      and {} more", parts.len() - PARTS_LISTED_MAX)?;
        }
    }
    Ok(())
}
