//! Labels: what is known of a capture, as CONTRACT.md lays the file `NAME.labels.json` down.
//! In: JSON text. Out: meant values, or an error that names the file and what is wrong with it.
//! Bounds: a file is read whole; it holds a line per operation, not per packet.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::detect::finding::Technique;
use crate::units::{Address, TimestampNs};

/// The version of the label format that this build reads.
const VERSION: u32 = 1;

/// What is known of one capture.
#[derive(Clone, Debug)]
pub struct Labels {
    /// The capture, beside the labels.
    pub capture: PathBuf,
    /// The policy to replay it with, beside the labels.
    pub policy: Option<PathBuf>,
    /// The country and ASN database to replay it with, beside the labels.
    pub geo: Option<PathBuf>,
    /// The population, where no policy names it.
    pub population: Vec<String>,
    /// The seed it was made from, where the labels or the file's name say.
    pub seed: Option<u64>,
    /// The world it shows, where the labels say.
    pub world: Option<String>,
    /// What is to be found.
    pub operations: Vec<Operation>,
    /// What resembles it and is not to be found.
    pub benign: Vec<Benign>,
}

/// One operation in a capture.
#[derive(Clone, Debug)]
pub struct Operation {
    /// How it collects.
    pub technique: Technique,
    /// Which way it was run, where it has a name: `slow`, `evasive`, `spread` …; none for the standard one.
    pub variant: Option<String>,
    /// Any address of its collector.
    pub collectors: Vec<Address>,
    /// When it began.
    pub start: TimestampNs,
    /// When it ended.
    pub end: TimestampNs,
    /// How many it touched.
    pub subscribers: u64,
}

/// Traffic that resembles an operation and is none. Other keys are its writer's notes, as in an operation.
#[derive(Clone, Debug, Deserialize)]
pub struct Benign {
    /// What it is.
    pub kind: String,
    /// Who takes part.
    #[serde(default)]
    pub parties: Vec<String>,
    /// Why it is hard to tell.
    #[serde(default)]
    pub why_hard: String,
}

/// Why labels were refused.
#[derive(Debug, thiserror::Error)]
pub enum LabelsError {
    /// The file could not be read.
    #[error("{}: cannot read the labels: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not what the contract says.
    #[error("{}: {reason}", .path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u32,
    capture: PathBuf,
    #[serde(default)]
    population: Vec<String>,
    policy: Option<PathBuf>,
    geo: Option<PathBuf>,
    seed: Option<u64>,
    world: Option<String>,
    #[serde(default)]
    operations: Vec<WrittenOperation>,
    #[serde(default)]
    benign: Vec<Benign>,
}

#[derive(Deserialize)]
struct WrittenOperation {
    technique: String,
    variant: Option<String>,
    collectors: Vec<String>,
    start: String,
    end: String,
    #[serde(default)]
    subscribers: u64,
}

impl Labels {
    /// Reads a label file; the capture and the policy are looked for beside it.
    pub fn load(path: &Path) -> Result<Self, LabelsError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| LabelsError::Read { path: path.to_owned(), source })?;
        let refused = |reason: String| LabelsError::Refused { path: path.to_owned(), reason };
        let mut labels = Self::parse(&text).map_err(refused)?;
        labels.seed = labels.seed.or_else(|| seed_in(path));
        let folder = path.parent().unwrap_or(Path::new(""));
        labels.capture = folder.join(&labels.capture);
        labels.policy = labels.policy.map(|policy| folder.join(policy));
        labels.geo = labels.geo.map(|geo| folder.join(geo));
        Ok(labels)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let written: Written = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if written.version != VERSION {
            return Err(format!("labels of version {}, this build reads version {VERSION}", written.version));
        }
        let operations = written.operations.into_iter().enumerate();
        Ok(Self {
            capture: written.capture,
            policy: written.policy,
            geo: written.geo,
            population: written.population,
            seed: written.seed,
            world: written.world,
            operations: operations
                .map(|(at, op)| op.meant().map_err(|e| format!("operation {}: {e}", at + 1)))
                .collect::<Result<_, _>>()?,
            benign: written.benign,
        })
    }
}

impl WrittenOperation {
    fn meant(self) -> Result<Operation, String> {
        let address = |text: &String| {
            text.parse::<IpAddr>().map(Address::from).map_err(|_| format!("{text:?} is not an address"))
        };
        Ok(Operation {
            technique: self.technique.parse().map_err(|e| format!("{e}"))?,
            variant: self.variant,
            collectors: self.collectors.iter().map(address).collect::<Result<_, _>>()?,
            start: timestamp(&self.start)?,
            end: timestamp(&self.end)?,
            subscribers: self.subscribers,
        })
    }
}

/// The seed that a file's name says: the number behind the last `seed`, else the one at the end of the name, as in
/// `town-seed31.labels.json` or `town-31.labels.json`.
fn seed_in(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let stem = name.split('.').next()?;
    let number = |text: &str| {
        let digits = text.trim_start_matches(['-', '_', '=']);
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        digits[..end].parse().ok()
    };
    let named = stem.rfind("seed").and_then(|at| number(&stem[at + 4..]));
    named.or_else(|| number(stem.rsplit(['-', '_']).next().filter(|_| stem.contains(['-', '_']))?))
}

/// An RFC 3339 time as nanoseconds since 1970.
fn timestamp(text: &str) -> Result<TimestampNs, String> {
    let time: jiff::Timestamp = text.parse().map_err(|e| format!("{text:?} is not a time: {e}"))?;
    u64::try_from(time.as_nanosecond()).map(TimestampNs).map_err(|_| format!("{text:?} lies outside 1970 to 2554"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"version":1,"capture":"a.pcap","population":["10.20.0.0/16"],"policy":"a.policy.toml",
        "operations":[{"technique":"population-fan-in","collectors":["203.0.113.7"],
            "start":"2026-03-01T12:00:00Z","end":"2026-03-01T13:00:00Z","subscribers":312}],
        "benign":[{"kind":"backup","parties":["198.51.100.9"],"why_hard":"uploads more than it downloads, every night"}]}"#;

    #[test]
    fn the_contract_s_example_is_read() {
        let labels = Labels::parse(GOOD).expect("good labels");
        assert_eq!(labels.operations[0].technique, Technique::PopulationFanIn);
        assert_eq!(labels.operations[0].end.since(labels.operations[0].start).as_secs_f64(), 3600.0);
        assert_eq!(labels.benign[0].kind, "backup");
    }

    #[test]
    fn a_file_s_name_says_its_seed() {
        for (name, wanted) in [
            ("town-seed31.labels.json", Some(31)),
            ("a/town-seed-7-slow.labels.json", Some(7)),
            ("town_0042.labels.json", Some(42)),
            ("demo.labels.json", None),
            ("gre-v2x.labels.json", None),
            ("1000.labels.json", None),
        ] {
            assert_eq!(seed_in(Path::new(name)), wanted, "{name}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (name, from, to, wanted) in [
            ("version", "\"version\":1", "\"version\":9", "version 9"),
            ("technique", "population-fan-in", "fan-in", "operation 1: unknown technique \"fan-in\""),
            ("address", "203.0.113.7", "203.0.113", "\"203.0.113\" is not an address"),
            ("time", "2026-03-01T12:00:00Z", "noon", "\"noon\" is not a time"),
            ("key", "\"capture\"", "\"captures\"", "unknown field `captures`"),
        ] {
            let refused = Labels::parse(&GOOD.replacen(from, to, 1)).expect_err(name);
            assert!(refused.contains(wanted), "{name}: {refused}");
        }
    }
}
