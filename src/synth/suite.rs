//! Suites: scenarios that are written together, made by rule from the register of programs, so that a new program is in them
//! by being there. In: a suite's name, a folder. Out: its captures in that folder.
//! Seeds are kept apart: 7 to 99 ship, 100 to 199 tune, 200 to 299 report, from 1000 on models are trained.

use std::path::Path;

use super::programs::{PROGRAMS, Program, Role};
use super::scenario::{Overwrite, Scenario, ScenarioError, ScenarioWords, SynthError, SynthReport};

mod shipped;

/// One capture of a suite.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its name, without the folder.
    pub name: String,
    /// What it shows.
    pub about: String,
    words: ScenarioWords,
}

/// Captures that belong together.
pub struct Suite {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    parts: Parts,
}

/// Where the captures of a suite come from.
#[derive(Clone, Copy)]
enum Parts {
    /// As they stand, seed by seed.
    Standing(fn() -> Vec<Part>),
    /// By rule, from seeds that are counted from a number on: what is added to every seed of the suite.
    ByRule(fn(u64) -> Vec<Part>),
}

/// The suites that there are.
pub const SUITES: &[Suite] = &[
    Suite { name: "shipped", about: "what lies in captures/, byte for byte", parts: Parts::Standing(shipped::parts) },
    Suite {
        name: "small",
        about: "every technique and every world, minutes each, seeds for tuning",
        parts: Parts::ByRule(small),
    },
    Suite {
        name: "full",
        about: "20 seeds a technique, five a variant, mixed captures, days of harmless traffic, seeds for reporting",
        parts: Parts::ByRule(full),
    },
    Suite {
        name: "training",
        about: "harmless traffic of every world for models, seeds of its own",
        parts: Parts::ByRule(training),
    },
];

/// Standard captures of a technique in `full`, and captures of each of its variants.
const STANDARD_SEEDS: u64 = 20;
const VARIANT_SEEDS: u64 = 5;
const MIXED: u64 = 20;
/// Techniques that a mixed capture holds.
const MIXED_TECHNIQUES: usize = 4;
/// First seeds of each suite and of what is in it.
const TUNING: u64 = 100;
const REPORTING: u64 = 200;
const VARIANTS_FROM: u64 = 230;
const MIXED_FROM: u64 = 250;
const BENIGN_FROM: u64 = 280;
const TRAINING: u64 = 1_000;
/// As far as seeds can be shifted.
const SHIFT_MAX: u64 = 1 << 40;
/// Worlds in the order in which seeds take them: homes most often.
const ROTATION: [&str; 10] =
    ["town", "campus", "cgnat", "town", "enterprise", "town", "mobile", "town", "iot", "campus"];
const FAULTS_SEEN: [&[&str]; 5] =
    [&[], &["loss=0.01", "reorder=0.005"], &["capture-loss=0.01"], &["duplicate=0.02"], &["clock-step=-2s"]];

impl Suite {
    /// Its captures, in order.
    pub fn parts(&self) -> Vec<Part> {
        match self.parts {
            Parts::Standing(parts) => parts(),
            Parts::ByRule(parts) => parts(0),
        }
    }

    /// Captures of the same rule with every seed higher by `by`, so that nobody has looked at them yet. A seed's last digit
    /// decides the world, so a multiple of ten keeps the mixture of worlds.
    pub fn shifted(&self, by: u64) -> Result<Vec<Part>, SuiteError> {
        match self.parts {
            Parts::Standing(_) => Err(SuiteError::Standing(self.name)),
            // Seeds of different suites stay apart within a thousand; more than any sum of them stays within u64.
            Parts::ByRule(parts) if by <= SHIFT_MAX => Ok(parts(by)),
            Parts::ByRule(_) => Err(SuiteError::Shift(by)),
        }
    }

    /// The suite of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        SUITES.iter().find(|suite| suite.name == name)
    }
}

impl std::fmt::Debug for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Suite").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Part {
    /// The part as a scenario.
    pub fn scenario(&self) -> Result<Scenario, ScenarioError> {
        Scenario::try_from(self.words.clone())
    }

    /// The seed that everything in it comes from.
    pub fn seed(&self) -> u64 {
        self.words.seed
    }

    /// How long it lasts, in hours.
    pub fn hours(&self) -> f64 {
        self.words.hours
    }

    /// The operations in it, as they would be written on a command line.
    pub fn operations(&self) -> &[String] {
        &self.words.operations
    }

    /// The harmless traffic in it.
    pub fn negatives(&self) -> &[String] {
        &self.words.negatives
    }

    /// The command that writes it alone.
    pub fn command(&self) -> String {
        let words = &self.words;
        let mut text = format!(
            "trawlwatch synth --world {} --subscribers {} --hours {} --start {} --activity {} --volume {} --seed {}",
            words.world, words.subscribers, words.hours, words.start, words.activity, words.volume, words.seed
        );
        let options = [("operation", &words.operations), ("negative", &words.negatives), ("fault", &words.faults)];
        for (option, values) in options {
            values.iter().for_each(|value| text += &format!(" --{option} {value}"));
        }
        text + &format!(" --output {}", self.name)
    }

    /// Writes it into a folder.
    pub fn write(&self, folder: &Path, overwrite: Overwrite) -> Result<SynthReport, SuiteError> {
        Ok(self.scenario()?.write(&folder.join(&self.name), overwrite)?)
    }
}

/// Why a suite could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// A part makes no sense.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] SynthError),
    /// Its captures are what they are.
    #[error(
        "the suite {0} stands as it is written; its seeds cannot be shifted (the suites small, full and training can)"
    )]
    Standing(&'static str),
    /// Seeds would be absurdly high.
    #[error("seeds shifted by {0}: at most {SHIFT_MAX}")]
    Shift(u64),
}

fn operations() -> impl Iterator<Item = &'static Program> {
    PROGRAMS.iter().filter(|program| matches!(program.role, Role::Operation(_)))
}

fn negatives() -> impl Iterator<Item = &'static Program> {
    PROGRAMS.iter().filter(|program| program.role == Role::Negative)
}

fn small(shift: u64) -> Vec<Part> {
    let tuning = TUNING + shift;
    let mut parts = Vec::new();
    for (i, program) in operations().enumerate() {
        let seed = tuning + i as u64;
        let mut part = with_operation(program, None, seed, 0.5, "");
        part.words.faults = owned(FAULTS_SEEN[i % FAULTS_SEEN.len()]);
        parts.push(part);
    }
    for i in 0..2 {
        parts.push(mixed(tuning + 40 + i, 0.5));
    }
    for (i, world) in super::WORLDS.iter().enumerate() {
        parts.push(benign(world.name, tuning + 50 + i as u64, 0.5, Bed::THIN, 3 * i..3 * i + 7));
    }
    parts
}

fn full(shift: u64) -> Vec<Part> {
    let mut parts = Vec::new();
    for program in operations() {
        for seed in 0..STANDARD_SEEDS {
            parts.push(with_operation(program, None, shift + REPORTING + seed, 1.0, ""));
        }
        for variant in program.variants {
            for seed in 0..VARIANT_SEEDS {
                parts.push(with_operation(program, Some(variant.name), shift + VARIANTS_FROM + seed, 1.0, ""));
            }
        }
    }
    for i in 0..MIXED {
        parts.push(mixed(shift + MIXED_FROM + i, 1.0));
    }
    for (i, world) in super::WORLDS.iter().enumerate() {
        parts.push(benign(world.name, shift + BENIGN_FROM + i as u64, 6.0, Bed::LONG, 0..usize::MAX));
    }
    parts.push(benign("town", shift + BENIGN_FROM + 10, 24.0, Bed::LONG, 0..usize::MAX));
    parts
}

fn training(shift: u64) -> Vec<Part> {
    let worlds = super::WORLDS.iter().enumerate();
    worlds
        .flat_map(|(i, world)| {
            let seed = shift + TRAINING + 10 * i as u64;
            (0..3).map(move |turn| benign(world.name, seed + turn, 1.5, Bed::DENSE, 0..usize::MAX))
        })
        .collect()
}

/// How much of everything there is.
#[derive(Clone, Copy, Debug)]
struct Bed {
    subscribers: u32,
    activity: f64,
    volume: f64,
}

impl Bed {
    const THIN: Self = Self { subscribers: 120, activity: 0.06, volume: 0.003 };
    /// For days: rates and sizes are cut further, so that a day stays within some megabytes.
    const LONG: Self = Self { subscribers: 100, activity: 0.02, volume: 0.002 };
    /// For models.
    const DENSE: Self = Self { subscribers: 200, activity: 0.1, volume: 0.004 };
}

/// A capture with one operation, some harmless traffic beside it, in the world of the seed's turn.
fn with_operation(program: &Program, variant: Option<&'static str>, seed: u64, hours: f64, more: &str) -> Part {
    let turn = (seed % 10) as usize;
    let world = ROTATION[turn];
    // What is slow shows in a day, not in an hour.
    let slow = variant == Some("slow");
    let (hours, bed) = if slow { (24.0, Bed::LONG) } else { (hours, Bed::THIN) };
    let mut operation = program.kind.to_owned();
    let settings: Vec<String> = match variant {
        Some(name) => vec![format!("variant={name}")],
        None => quicker(program, hours),
    };
    let settings: Vec<String> = settings.into_iter().chain((!more.is_empty()).then(|| more.to_owned())).collect();
    if !settings.is_empty() {
        operation += &format!(":{}", settings.join(","));
    }
    let name = match variant {
        Some(variant) => format!("{}-{variant}-seed{seed}", program.kind),
        None => format!("{}-seed{seed}", program.kind),
    };
    let mut part = bedded(name, program.about.to_owned(), world, seed, hours, bed);
    part.words.operations.push(operation);
    part.words.negatives = unique(beside(program.kind, seed));
    part
}

/// Negatives that resemble an operation so much that counting takes them for it: each at its thinned size, or as written.
const RESEMBLING: &[(&str, &[&str])] = &[
    ("population-fan-in", &["update-check", "lapsed-entry", "push-keepalive", "site-check", "page-counter", "ntp"]),
    ("shadow-upload", &["photo-upload", "page-counter", "opaque-upload", "backup", "lapsed-entry"]),
    (
        "bulk-exfiltration",
        &[
            "backup:subscribers=0.04,bytes=6MiB",
            "photo-upload:subscribers=0.06,bytes=3MiB",
            "peer-to-peer",
            "opaque-upload",
        ],
    ),
    ("record-scraping", &["portal", "crawler", "monitor"]),
    ("traffic-mirroring", &["site-overlay", "vxlan-overlay", "flow-export-inside", "duplicated-packets"]),
    ("tap-correlation", &["site-tunnel", "branch-tunnel", "opaque-upload", "backup"]),
    ("packet-injection", &["stations", "round-robin", "duplicated-packets", "retransmissions"]),
    ("tls-interception", &["cdn-issuer", "cdn"]),
    ("dns-hijack", &["chosen-resolvers:subscribers=0.3,resolvers=2", "round-robin"]),
    ("dns-tunnel", &["name-lists", "long-names", "chosen-resolvers"]),
    ("cross-border-transfer", &["allowed-transfer", "backup", "photo-upload"]),
    ("beaconing-implant", &["update-check", "things-cloud", "push-keepalive", "ntp", "site-check"]),
    ("unattributed-cluster", &["remote-management", "scan", "portal"]),
];

/// Negatives beside one operation: two that resemble it, by turns, and two of all.
fn beside(kind: &str, seed: u64) -> impl Iterator<Item = String> {
    let turn = seed as usize;
    let alike = RESEMBLING.iter().find(|(of, _)| *of == kind).map_or(&[][..], |(_, alike)| alike);
    let alike = (0..alike.len().min(2)).map(move |i| alike[(turn + i) % alike.len()]);
    let alike = alike.map(|text| match negatives().find(|program| program.kind == text) {
        Some(program) => thinned(program),
        None => text.to_owned(),
    });
    let all: Vec<String> = negatives().map(thinned).collect();
    alike.chain((0..2).map(move |i| all[(turn * 5 + i * 7) % all.len()].clone()))
}

/// Several techniques at once.
fn mixed(seed: u64, hours: f64) -> Part {
    let all: Vec<&Program> = operations().collect();
    let world = ROTATION[(seed % 10) as usize];
    let mut part =
        bedded(format!("mixed-seed{seed}"), "several operations at once".to_owned(), world, seed, hours, Bed::THIN);
    let picked = (0..MIXED_TECHNIQUES.min(all.len())).map(|i| all[(seed as usize * 3 + i * 5) % all.len()]);
    part.words.operations = unique(picked.map(|program| {
        let settings = quicker(program, hours);
        if settings.is_empty() { program.kind.to_owned() } else { format!("{}:{}", program.kind, settings.join(",")) }
    }));
    let negatives: Vec<String> = negatives().map(thinned).collect();
    part.words.negatives = unique((0..3).map(|i| negatives[(seed as usize * 7 + i * 5) % negatives.len()].clone()));
    part
}

/// Harmless traffic only, with those of the negatives whose numbers (round and round) are in `which`.
fn benign(world: &str, seed: u64, hours: f64, bed: Bed, which: std::ops::Range<usize>) -> Part {
    let about = format!("no operation; harmless traffic of the world {world} that resembles some");
    let mut part = bedded(format!("benign-{world}-seed{seed}"), about, world, seed, hours, bed);
    let all: Vec<String> = negatives().map(thinned).collect();
    let count = which.len().min(all.len());
    part.words.negatives = unique((0..count).map(|i| all[(which.start + i) % all.len()].clone()));
    part
}

fn bedded(name: String, about: String, world: &str, seed: u64, hours: f64, bed: Bed) -> Part {
    // Eight homes share an address there: fewer of them would be hardly anybody.
    let (times, activity) = if world == "cgnat" { (3, bed.activity / 2.0) } else { (1, bed.activity) };
    let words = ScenarioWords {
        world: world.to_owned(),
        subscribers: bed.subscribers * times,
        hours,
        start: start_of(world, seed, hours),
        activity,
        volume: bed.volume,
        seed,
        ..ScenarioWords::default()
    };
    Part { name: format!("{name}.pcap.zst"), about, words }
}

/// Days and hours go round with the seed; offices are looked at while somebody is there, whole days from midnight.
fn start_of(world: &str, seed: u64, hours: f64) -> String {
    let day = 2 + seed % 26;
    let hour = match (world, hours > 12.0) {
        (_, true) => 0,
        ("enterprise", _) => 9 + seed % 6,
        _ => [7, 12, 15, 18, 19, 20, 21][seed as usize % 7],
    };
    format!("2026-03-{day:02}T{hour:02}:00:00Z")
}

/// Settings that let an operation show itself within the hours of a standard capture.
fn quicker(program: &Program, hours: f64) -> Vec<String> {
    let has = |name: &str| program.knobs.iter().any(|knob| knob.name == name);
    match program.kind {
        "population-fan-in" => vec![format!("period={}s", (hours * 300.0) as u32)],
        "bulk-exfiltration" => vec!["bytes=16MiB".to_owned()],
        "packet-injection" if has("visits") => vec!["visits=6".to_owned()],
        _ => Vec::new(),
    }
}

/// A harmless program at a size that lets a suite stay small.
fn thinned(program: &Program) -> String {
    let settings = match program.kind {
        "telemetry" => "subscribers=0.25,period=600s",
        "analytics" => "subscribers=0.2",
        "backup" => "subscribers=0.05,bytes=256KiB",
        "video-call" => "subscribers=0.02,lasts=6s",
        "ntp" => "subscribers=0.5,period=512s",
        "updates" => "subscribers=0.1,bytes=192KiB",
        "cdn" => "subscribers=0.2,visits=3",
        "push-keepalive" => "subscribers=0.4,period=600s",
        "ddos" => "rate=250,lasts=12s",
        "scan" => "knocks=400",
        "duplicated-packets" => "subscribers=0.05",
        "vxlan-overlay" => "calls=40",
        "photo-upload" => "subscribers=0.1,bytes=256KiB",
        "peer-to-peer" => "subscribers=0.03,bytes=24KiB,every=90s",
        "site-check" => "subscribers=0.4,period=600s",
        "site-tunnel" => "rate=6",
        "site-overlay" => "calls=400",
        "cdn-issuer" => "visits=6",
        "lapsed-entry" => "visits=2",
        // As everything else here, far below what a camera sends: at its full rate beside backups of some KiB it would be by
        // far the greatest upload of the world, to a stranger whom nobody else calls, and no negative but an exfiltration.
        "opaque-upload" => "rate=200",
        _ => "",
    };
    if settings.is_empty() { program.kind.to_owned() } else { format!("{}:{settings}", program.kind) }
}

fn unique(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for text in texts {
        if !kept.contains(&text) {
            kept.push(text);
        }
    }
    kept
}

fn owned(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_part_of_every_suite_makes_sense() {
        for suite in SUITES {
            let parts = suite.parts();
            for part in &parts {
                part.scenario().unwrap_or_else(|e| panic!("{}/{}: {e}", suite.name, part.name));
                assert!(!part.about.is_empty(), "{}/{}", suite.name, part.name);
            }
            let names: BTreeSet<&str> = parts.iter().map(|part| part.name.as_str()).collect();
            assert_eq!(names.len(), parts.len(), "{}: two parts have one name", suite.name);
        }
    }

    #[test]
    fn seeds_that_tune_report_and_train_are_never_the_same() {
        for (name, low, high) in
            [("shipped", 7, 99), ("small", 100, 199), ("full", 200, 299), ("training", 1_000, 1_999)]
        {
            let parts = Suite::named(name).expect("a suite").parts();
            assert!(parts.iter().all(|part| (low..=high).contains(&part.seed())), "{name}");
        }
    }

    #[test]
    fn a_shifted_suite_has_the_same_kinds_from_other_seeds() {
        let full = Suite::named("full").expect("a suite");
        let (own, shifted) = (full.parts(), full.shifted(300).expect("made by rule"));
        assert_eq!(own.len(), shifted.len());
        for (own, shifted) in own.iter().zip(&shifted) {
            assert_eq!(own.seed() + 300, shifted.seed(), "{}", own.name);
            // Which techniques are mixed goes round with the seed.
            let operations = own.operations() == shifted.operations() || own.name.starts_with("mixed-");
            assert!(operations, "{}: {:?}", own.name, shifted.operations());
            assert_eq!(own.words.world, shifted.words.world, "{}", own.name);
            shifted.scenario().unwrap_or_else(|e| panic!("{}: {e}", shifted.name));
        }
        assert!(matches!(full.shifted(u64::MAX), Err(SuiteError::Shift(_))));
        let shipped = Suite::named("shipped").expect("a suite");
        assert!(matches!(shipped.shifted(10), Err(SuiteError::Standing("shipped"))));
    }

    #[test]
    fn every_operation_has_negatives_that_resemble_it() {
        for program in operations() {
            let alike = RESEMBLING.iter().find(|(of, _)| *of == program.kind).map(|(_, alike)| *alike);
            let alike = alike.unwrap_or_else(|| panic!("{}: resembled by nothing", program.kind));
            for kind in alike {
                let kind = kind.split(':').next().unwrap_or_default();
                assert!(negatives().any(|negative| negative.kind == kind), "{}: no negative {kind}", program.kind);
            }
        }
        assert_eq!(RESEMBLING.len(), operations().count());
    }

    #[test]
    fn suites_hold_what_they_promise() {
        let parts = |name: &str| Suite::named(name).expect("a suite").parts();
        for name in ["shipped", "small", "full"] {
            let parts = parts(name);
            for program in operations() {
                let of = |text: &&String| text.split(':').next() == Some(program.kind);
                let seeds: BTreeSet<u64> =
                    parts.iter().filter(|p| p.operations().iter().any(|o| of(&o))).map(Part::seed).collect();
                let wanted = if name == "full" { STANDARD_SEEDS as usize } else { 1 };
                assert!(seeds.len() >= wanted, "{name}: {} has {} seeds", program.kind, seeds.len());
            }
        }
        let full = parts("full");
        let benign: f64 = full.iter().filter(|part| part.operations().is_empty()).map(Part::hours).sum();
        assert!(benign >= 48.0, "{benign} hours");
        for program in negatives() {
            let of = |text: &String| text.split(':').next() == Some(program.kind);
            assert!(full.iter().any(|part| part.negatives().iter().any(of)), "{} is missing", program.kind);
        }
        for (i, program) in operations().enumerate() {
            for variant in program.variants {
                let wanted = format!("variant={}", variant.name);
                let found = full.iter().filter(|p| p.operations().iter().any(|o| o.contains(&wanted))).count();
                assert!(found >= VARIANT_SEEDS as usize, "{i} {wanted}");
            }
        }
    }
}
