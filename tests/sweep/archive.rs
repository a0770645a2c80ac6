//! An archive to sweep: a synthetic town's capture, cut into files by time, under names that say nothing of their order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use trawlwatch::synth::{Overwrite, Scenario, ScenarioWords};

use crate::run::{Ran, trawlwatch};

const LIMIT: Duration = Duration::from_secs(120);
/// Bytes of a pcap's file header and of a record's.
const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;

/// A folder with an archive in it, and room for stores.
pub struct Archive {
    folder: TempDir,
    pub policy: PathBuf,
}

/// Words of a quiet town of some hours, with a fan-in.
pub fn quiet_town(subscribers: u32, hours: f64, operation: &str, seed: u64) -> ScenarioWords {
    ScenarioWords {
        subscribers,
        hours,
        start: "2026-03-02T00:00:00Z".to_owned(),
        activity: 0.01,
        volume: 0.001,
        operations: vec![operation.to_owned()],
        seed,
        ..ScenarioWords::default()
    }
}

impl Archive {
    /// Writes the town's capture and cuts it into files of `seconds`.
    pub fn cut(words: ScenarioWords, seconds: u32) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let whole = folder.path().join("whole.pcap");
        Scenario::try_from(words).expect("a scenario").write(&whole, Overwrite::Never).expect("written");
        let bytes = std::fs::read(&whole).expect("a capture");
        let captures = folder.path().join("captures");
        std::fs::create_dir(&captures).expect("made");
        let files = by_time(&bytes, seconds);
        let n = files.len();
        for (place, records) in files.into_iter().enumerate() {
            // 7 has no common divisor with 24 or 12: every name once, none in order.
            let name = captures.join(format!("{:02}.pcap", (place * 7) % n.max(1)));
            std::fs::write(name, [&bytes[..FILE_HEADER], &records[..]].concat()).expect("written");
        }
        Self { policy: folder.path().join("whole.policy.toml"), folder }
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder of the captures.
    pub fn captures(&self) -> PathBuf {
        self.at("captures")
    }

    /// `sweep` over the archive with a store of that name; one key for all stores, so that they can be compared.
    pub fn sweep(&self, store: &str, more: &[&str]) -> Ran {
        trawlwatch(&words(&self.sweep_args(store, more)), LIMIT)
    }

    pub fn sweep_args(&self, store: &str, more: &[&str]) -> Vec<String> {
        let mut args = vec!["sweep".to_owned(), "--store".to_owned(), text(&self.at(store)).to_owned()];
        let key = self.at("key");
        let usual = [("--settle", "0"), ("--format", "json"), ("--key", text(&key)), ("--policy", text(&self.policy))];
        for (option, value) in usual.into_iter().filter(|(option, _)| !more.contains(option)) {
            args.extend([option.to_owned(), value.to_owned()]);
        }
        if !more.contains(&"--rejudge") {
            args.push(text(&self.captures()).to_owned());
        }
        args.extend(more.iter().map(|word| (*word).to_owned()));
        args
    }

    /// Another verb on a store.
    pub fn ask(&self, store: &str, args: &[&str]) -> Ran {
        let path = self.at(store);
        trawlwatch(&[args, &["--store", text(&path)]].concat(), LIMIT)
    }

    /// Every finding of a store as `findings --format json` tells it.
    pub fn findings(&self, store: &str) -> Vec<Value> {
        let ran = self.ask(store, &["findings", "--format", "json"]);
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        ran.findings()
    }

    /// Captures as the store exports them, in order of their first packet.
    pub fn swept(&self, store: &str) -> Vec<Value> {
        let ran = self.ask(store, &["store", "export"]);
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        let lines = ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let mut captures: Vec<Value> = lines.filter(|line| line["kind"] == "capture").collect();
        captures.sort_by_key(|line| (line["first"].to_string(), line["path"].to_string(), line["frames"].to_string()));
        captures
    }
}

/// The records of a little-endian pcap, by whole multiples of `seconds`.
fn by_time(bytes: &[u8], seconds: u32) -> Vec<Vec<u8>> {
    let mut files: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    let mut rest = &bytes[FILE_HEADER..];
    while !rest.is_empty() {
        let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().expect("four bytes"));
        let length = RECORD_HEADER + word(8) as usize;
        files.entry(word(0) / seconds).or_default().extend(&rest[..length]);
        rest = &rest[length..];
    }
    files.into_values().collect()
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

pub fn words(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}
