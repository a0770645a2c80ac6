//! Scenario: what is to be written, checked once and meant ever after.
//! In: words of a command line. Out: a [`Scenario`], and from it a capture with its labels and its policy.

use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::dice::Seeds;
use super::faults::{CapturePoint, FaultError, Faults};
use super::labels::{self, Registered};
use super::places;
use super::programs::knobs::{self, KnobError, Knobs};
use super::programs::{Install, Program};
use super::stage::{Cx, Stage, Tally, Tap};
use super::town::world::{WORLDS, World};
use super::town::{HOMES_MAX, Town, habits, network};
use super::write::{CaptureWriter, WriteError, Written};
use crate::units::{DurationNs, TimestampNs};

/// Longest capture, in hours: a year.
const HOURS_MAX: f64 = 8_784.0;
/// Seconds between 1970 and the year 2106, where a pcap's clock ends.
const PCAP_CLOCK_END_S: u64 = u32::MAX as u64;

/// What was asked for, as it was written.
#[derive(Clone, Debug)]
pub struct ScenarioWords {
    /// Name of the world.
    pub world: String,
    /// How many subscribers.
    pub subscribers: u32,
    /// How long, in hours.
    pub hours: f64,
    /// When it begins, RFC 3339.
    pub start: String,
    /// How busy people are, against usual.
    pub activity: f64,
    /// How heavy pictures, films, backups and updates are, against usual.
    pub volume: f64,
    /// `KIND:knob=value,…`.
    pub operations: Vec<String>,
    /// `KIND:knob=value,…`.
    pub negatives: Vec<String>,
    /// `KIND=value`: what the capture point does to the traffic.
    pub faults: Vec<String>,
    /// The seed.
    pub seed: u64,
}

impl Default for ScenarioWords {
    fn default() -> Self {
        Self {
            world: "town".to_owned(),
            subscribers: 200,
            hours: 1.0,
            start: "2026-03-01T18:00:00Z".to_owned(),
            activity: 1.0,
            volume: 1.0,
            operations: Vec::new(),
            negatives: Vec::new(),
            faults: Vec::new(),
            seed: 1,
        }
    }
}

/// Why a scenario was refused.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// There is no such world.
    #[error("unknown world {name:?}; known: {known}")]
    World {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A number lies outside its range.
    #[error("{what} is {value}, must lie between {low} and {high}")]
    Range {
        /// What.
        what: &'static str,
        /// What was written.
        value: f64,
        /// Lowest that is allowed.
        low: f64,
        /// Highest that is allowed.
        high: f64,
    },
    /// The start is no time, or lies outside what a pcap's clock can say.
    #[error("start {text:?} is not a time between 1970 and 2106 such as 2026-03-01T18:00:00Z")]
    Start {
        /// What was written.
        text: String,
    },
    /// Two operations or negatives of which a world has one.
    #[error("{kind} stands twice; a scenario has at most one of it")]
    Twice {
        /// Which.
        kind: &'static str,
    },
    /// A program's settings.
    #[error(transparent)]
    Knob(#[from] KnobError),
    /// A fault of the capture point.
    #[error(transparent)]
    Fault(#[from] FaultError),
}

/// What is to be written.
#[derive(Clone, Debug)]
pub struct Scenario {
    world: &'static World,
    subscribers: u32,
    start: TimestampNs,
    lasts: DurationNs,
    activity: f64,
    volume: f64,
    programs: Vec<(&'static Program, Knobs)>,
    faults: Faults,
    seed: u64,
}

/// What was written.
#[derive(Clone, Debug)]
pub struct SynthReport {
    /// The capture.
    pub capture: PathBuf,
    /// Its labels.
    pub labels: PathBuf,
    /// Its policy.
    pub policy: PathBuf,
    /// Its country and ASN database, where a program needs one.
    pub geo: Option<PathBuf>,
    /// Figures of the capture.
    pub written: Written,
    /// What each operation and negative put into it: kind, packets, subscribers.
    pub programs: Vec<(&'static str, u64, u64)>,
}

impl SynthReport {
    /// SHA-256 of the capture, read back.
    pub fn sha256(&self) -> Result<String, SynthError> {
        let failed = |source| WriteError::Io { path: self.capture.clone(), source };
        let mut file = std::fs::File::open(&self.capture).map_err(failed)?;
        let (mut hash, mut piece) = (Sha256::new(), vec![0; 1 << 18]);
        loop {
            match file.read(&mut piece).map_err(failed)? {
                0 => break,
                read => hash.update(&piece[..read]),
            }
        }
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// Whether files that exist may be written over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// Refuse.
    Never,
    /// Write over them.
    Allowed,
}

/// Why a scenario could not be written.
pub type SynthError = WriteError;

impl TryFrom<ScenarioWords> for Scenario {
    type Error = ScenarioError;

    fn try_from(words: ScenarioWords) -> Result<Self, ScenarioError> {
        let Some(world) = World::named(&words.world) else {
            let known = WORLDS.iter().map(|world| world.name).collect::<Vec<_>>().join(", ");
            return Err(ScenarioError::World { name: words.world, known });
        };
        range("subscribers", f64::from(words.subscribers), 1.0, f64::from(HOMES_MAX))?;
        range("hours", words.hours, 0.001, HOURS_MAX)?;
        range("activity", words.activity, 0.001, 100.0)?;
        range("volume", words.volume, 0.0001, 100.0)?;
        let time = words.start.parse::<jiff::Timestamp>().ok();
        let seconds = time.and_then(|time| u64::try_from(time.as_second()).ok());
        let lasts_s = (words.hours * 3600.0) as u64;
        let Some(seconds) = seconds.filter(|seconds| seconds + lasts_s < PCAP_CLOCK_END_S) else {
            return Err(ScenarioError::Start { text: words.start });
        };
        let mut programs = Vec::new();
        for text in &words.operations {
            programs.push(knobs::parse(text, true)?);
        }
        for text in &words.negatives {
            programs.push(knobs::parse(text, false)?);
        }
        for single in ["packet-injection", "tls-interception", "vxlan-overlay"] {
            let mut found = programs.iter().filter(|(program, _)| program.kind == single);
            if let (Some((program, _)), Some(_)) = (found.next(), found.next()) {
                return Err(ScenarioError::Twice { kind: program.kind });
            }
        }
        for text in world.beside {
            let (program, knobs) = knobs::parse(text, false)?;
            if !programs.iter().any(|(known, _): &(&Program, _)| known.kind == program.kind) {
                programs.push((program, knobs));
            }
        }
        Ok(Self {
            world,
            subscribers: words.subscribers,
            start: TimestampNs(seconds * 1_000_000_000),
            lasts: DurationNs((words.hours * 3.6e12) as u64),
            activity: words.activity,
            volume: words.volume,
            programs,
            faults: Faults::parse(&words.faults)?,
            seed: words.seed,
        })
    }
}

fn range(what: &'static str, value: f64, low: f64, high: f64) -> Result<(), ScenarioError> {
    if (low..=high).contains(&value) { Ok(()) } else { Err(ScenarioError::Range { what, value, low, high }) }
}

impl Scenario {
    /// Writes the capture to `path`, its labels and its policy beside it.
    pub fn write(&self, path: &Path, overwrite: Overwrite) -> Result<SynthReport, SynthError> {
        let beside = Beside::of(path)?;
        for file in [path, &beside.labels, &beside.policy, &beside.geo] {
            if overwrite == Overwrite::Never && file.exists() {
                return Err(WriteError::Exists { path: file.to_owned() });
            }
        }
        let mut stage = Stage::new(self.start, self.start.after(self.lasts));
        self.play(&mut stage, path, beside)
    }

    /// Every frame with the label of the program that sent it: its number among operations and negatives from 1, 0 for nobody.
    #[cfg(test)]
    pub(super) fn witness(&self, folder: &Path) -> Vec<super::stage::Witnessed> {
        let mut stage = Stage::new(self.start, self.start.after(self.lasts));
        stage.witnessed = Some(Vec::new());
        let path = folder.join("witnessed.pcap");
        let beside = Beside::of(&path).expect("a good name");
        self.play(&mut stage, &path, beside).expect("a capture");
        stage.witnessed.unwrap_or_default()
    }

    fn play(&self, stage: &mut Stage, path: &Path, beside: Beside) -> Result<SynthReport, SynthError> {
        let seeds = Seeds::new(self.seed);
        let (mut town, mut taps, registered) = self.set(&seeds, self.subscribers, stage);
        let out = CaptureWriter::create(path)?;
        let mut out = CapturePoint::new(out, self.faults, [stage.start, stage.end], &seeds);
        stage.run(&mut town, &mut taps, &mut out)?;
        let written = out.finish()?;
        self.describe(path, beside, written, &stage.tallies[1..], &registered, &town)
    }

    /// Sets the stage: the world, everybody in it, and what the register says of them.
    pub(super) fn set(
        &self,
        seeds: &Seeds,
        subscribers: u32,
        stage: &mut Stage,
    ) -> (Town, Vec<Box<dyn Tap>>, Vec<Registered>) {
        let mut town = Town::new(self.world, seeds, subscribers, self.activity, self.volume, stage);
        let (mut taps, mut registered) = (Vec::new(), Vec::new());
        network::install(&mut Cx { stage: &mut *stage, town: &mut town }, &mut registered);
        habits::install(&mut Cx { stage: &mut *stage, town: &mut town });
        self.install(stage, &mut town, &mut taps, &mut registered);
        town.loss = self.faults.loss.unwrap_or(town.loss);
        (town, taps, registered)
    }

    /// Begin and end.
    pub(super) fn span(&self) -> [TimestampNs; 2] {
        [self.start, self.start.after(self.lasts)]
    }

    pub(super) fn subscribers(&self) -> u32 {
        self.subscribers
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn faults(&self) -> Faults {
        self.faults
    }

    pub(super) fn world(&self) -> &'static World {
        self.world
    }

    fn install(
        &self,
        stage: &mut Stage,
        town: &mut Town,
        taps: &mut Vec<Box<dyn Tap>>,
        registered: &mut Vec<Registered>,
    ) {
        for (program, knobs) in &self.programs {
            stage.tallies.push(Tally::default());
            let label = (stage.tallies.len() - 1) as u16;
            let cx = &mut Cx { stage: &mut *stage, town: &mut *town };
            (program.install)(knobs, &mut Install { cx, taps, registered, label });
        }
    }

    fn describe(
        &self,
        path: &Path,
        beside: Beside,
        written: Written,
        tallies: &[Tally],
        registered: &[Registered],
        town: &Town,
    ) -> Result<SynthReport, SynthError> {
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let placed = self.placed(town);
        let geo = placed.is_some().then(|| name(&beside.geo));
        let files = labels::Files { capture: &name(path), policy: &name(&beside.policy), geo: geo.as_deref() };
        let text = labels::labels(&files, (self.world, self.seed), &self.programs, tallies);
        write_text(&beside.labels, text.as_bytes())?;
        write_text(&beside.policy, labels::policy(self.world, registered, &town.policy_more).as_bytes())?;
        match placed {
            Some(database) => write_text(&beside.geo, &database)?,
            // Left from another scenario of this name, it would say where things are not.
            None => drop(std::fs::remove_file(&beside.geo)),
        }
        let counted = (self.programs.iter())
            .zip(tallies)
            .map(|((program, _), tally)| (program.kind, tally.packets, tally.subscribers.len() as u64))
            .collect();
        Ok(SynthReport {
            capture: path.to_owned(),
            labels: beside.labels,
            policy: beside.policy,
            geo: geo.map(|_| beside.geo),
            written,
            programs: counted,
        })
    }
}

impl Scenario {
    /// The country and ASN database, where a program has placed anything.
    fn placed(&self, town: &Town) -> Option<Vec<u8>> {
        if town.places.is_empty() {
            return None;
        }
        let mut placed = town.catalogue.places();
        for prefix in self.world.prefixes {
            if let Ok(net) = prefix.parse::<ipnet::IpNet>() {
                placed.push(places::Placed::new(net.addr().into(), net.prefix_len(), "NL", 64_590, "Own network"));
            }
        }
        placed.extend(town.places.iter().cloned());
        Some(places::database(&placed, self.start.0 / 1_000_000_000))
    }
}

/// The files beside a capture.
pub(super) struct Beside {
    labels: PathBuf,
    policy: PathBuf,
    geo: PathBuf,
}

impl Beside {
    pub(super) fn of(path: &Path) -> Result<Self, SynthError> {
        let refused = || WriteError::Name { path: path.to_owned() };
        let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(refused)?;
        let stem = name.strip_suffix(".pcap").or(name.strip_suffix(".pcap.zst")).filter(|stem| !stem.is_empty());
        let stem = stem.ok_or_else(refused)?;
        Ok(Self {
            labels: path.with_file_name(format!("{stem}.labels.json")),
            policy: path.with_file_name(format!("{stem}.policy.toml")),
            geo: path.with_file_name(format!("{stem}.mmdb")),
        })
    }
}

fn write_text(path: &Path, text: &[u8]) -> Result<(), SynthError> {
    std::fs::write(path, text).map_err(|source| WriteError::Io { path: path.to_owned(), source })
}
