//! Content decides what was done: renamed is known, appended is continued, growing waits, broken is told of once.

use std::io::Write;
use std::path::Path;

use serde_json::Value;
use trawlwatch::store::{Access, Store};

use crate::archive::{Archive, quiet_town};

fn frames(captures: &[Value]) -> u64 {
    captures.iter().map(|one| one["frames"][1].as_u64().unwrap_or(0) - one["frames"][0].as_u64().unwrap_or(0)).sum()
}

fn packets(captures: &[Value]) -> u64 {
    captures.iter().map(|one| one["account"]["packets"].as_u64().unwrap_or(0)).sum()
}

fn small() -> Archive {
    Archive::cut(quiet_town(10, 1.0, "population-fan-in:subscribers=0.9,period=120s", 5), 1_200)
}

#[test]
fn renamed_is_known_and_appended_is_continued() {
    let archive = small();
    archive.sweep("whole.db", &[]);
    let whole = archive.swept("whole.db");

    let file = archive.captures().join("00.pcap");
    let bytes = std::fs::read(&file).expect("a capture");
    // Cut in the middle of a record, as a capture is that is being written; then two more times.
    for (part, continued) in [(bytes.len() / 3, 0), (bytes.len() / 2, 1), (bytes.len(), 2)] {
        std::fs::write(&file, &bytes[..part]).expect("written");
        let swept = archive.sweep("parts.db", &[]);
        assert!(matches!(swept.status, Some(0 | 1 | 4)), "{}", swept.stderr);
        let of_file = archive.swept("parts.db").iter().filter(|one| one["frames"][0] != 0).count();
        assert_eq!(of_file, continued, "captures that were continued");
    }
    let parts = archive.swept("parts.db");
    assert_eq!((frames(&parts), packets(&parts)), (frames(&whole), packets(&whole)), "every frame once");
    let key = |finding: &Value| (finding["trawl"]["finding_id"].clone(), finding["trawl"]["packets"].clone());
    let found = |store: &str| archive.findings(store).iter().map(key).collect::<Vec<_>>();
    assert_eq!(found("parts.db"), found("whole.db"));

    // Renamed, moved and copied: nothing is read again.
    let moved = archive.captures().join("deeper");
    std::fs::create_dir(&moved).expect("made");
    std::fs::rename(&file, moved.join("another-name")).expect("moved");
    std::fs::copy(archive.captures().join("01.pcap"), moved.join("copy.pcap")).expect("copied");
    archive.sweep("whole.db", &[]);
    assert_eq!(archive.swept("whole.db"), whole);
}

#[test]
fn what_still_grows_waits_and_what_is_broken_is_told_of_once() {
    let archive = small();
    let garbage = archive.captures().join("broken.pcap");
    std::fs::write(&garbage, [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0]).expect("written");
    std::fs::write(archive.captures().join("README.md"), "no capture").expect("written");
    let first = archive.sweep("s.db", &["--fail-on", "never"]);
    assert_eq!(first.status, Some(4), "{}", first.stderr);
    assert!(first.stderr.contains("broken.pcap: ends after 10 bytes"), "{}", first.stderr);
    assert!(!first.stderr.contains("README.md"), "{}", first.stderr);
    let stats = first.stats().expect("a closing line");
    assert!(stats["stats"]["files"].to_string().contains("broken.pcap"), "{stats}");
    let second = archive.sweep("s.db", &["--fail-on", "never"]);
    assert_eq!((second.status, second.stderr.contains("broken.pcap")), (Some(0), false), "{}", second.stderr);

    // Written to just now: left to the next sweep, which finds it.
    let growing = archive.captures().join("01.pcap");
    let mut file = std::fs::File::options().append(true).open(&growing).expect("a capture");
    file.write_all(&[]).expect("written");
    file.set_modified(std::time::SystemTime::now()).expect("touched");
    let waiting = archive.sweep("g.db", &["--settle", "1h", "--wait", "0", "--fail-on", "never"]);
    assert!(waiting.stderr.contains("01.pcap: still grows"), "{}", waiting.stderr);
    assert_eq!(archive.swept("g.db").len(), 0, "all were written within the hour");
    archive.sweep("g.db", &["--fail-on", "never"]);
    assert_eq!(archive.swept("g.db").iter().filter(|one| one["state"] == "done").count(), 3);
}

#[test]
fn since_until_and_sensors_choose() {
    let archive = small();
    let until = ["--until", "2026-03-02T00:20:00Z", "--fail-on", "never"];
    archive.sweep("s.db", &until);
    assert_eq!(archive.swept("s.db").len(), 1, "the first 20 minutes");
    archive.sweep("s.db", &["--since", "2026-03-02T00:40:00Z", "--fail-on", "never"]);
    assert_eq!(archive.swept("s.db").len(), 2);
    archive.sweep("s.db", &["--fail-on", "never", "--sensor", "west"]);
    let sensors: Vec<Value> = archive.swept("s.db").iter().map(|one| one["sensor"].clone()).collect();
    assert_eq!(sensors, ["default", "west", "default"]);
    let by_path = archive.sweep("p.db", &["--fail-on", "never", "--sensor-from", "captures/{}.pcap"]);
    assert_eq!(by_path.status, Some(0), "{}", by_path.stderr);
    let mut sensors: Vec<String> = archive.swept("p.db").iter().map(|one| one["sensor"].to_string()).collect();
    sensors.sort();
    assert_eq!(sensors, ["\"00\"", "\"01\"", "\"02\""]);
}

#[test]
fn two_sweeps_of_one_store_exclude_each_other() {
    let archive = small();
    let path = archive.at("s.db");
    let held = Store::open(&path, Access::Sweep, "noon").expect("a store");
    let refused = archive.sweep("s.db", &[]);
    assert_eq!(refused.status, Some(2));
    let holder = format!("in use by process {} on ", std::process::id());
    assert!(refused.stderr.contains(&holder) && refused.stderr.contains("since noon"), "{}", refused.stderr);
    // Who only looks does not wait.
    assert_eq!(archive.ask("s.db", &["findings"]).status, Some(0));
    drop(held);
    assert_ne!(archive.sweep("s.db", &[]).status, Some(2));
}

#[test]
fn another_key_is_refused_and_no_address_is_in_the_store() {
    let archive = small();
    archive.sweep("s.db", &[]);
    let args = archive.sweep_args("s.db", &[]);
    let other = archive.at("other.key");
    let key = args.iter().position(|word| word == "--key").expect("a key");
    let mut args = args;
    args[key + 1] = other.to_str().expect("a UTF-8 path").to_owned();
    let refused = crate::run::trawlwatch(&crate::archive::words(&args), std::time::Duration::from_secs(60));
    assert_eq!(refused.status, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("made under another pseudonym key"), "{}", refused.stderr);
    let said = archive.ask("s.db", &["store", "export"]).stdout
        + &archive.ask("s.db", &["findings", "--format", "json"]).stdout;
    let addresses = said.split(|c: char| !c.is_ascii_digit() && c != '.').filter(|word| word.starts_with("10.20."));
    // The population's own prefix is EVE's `src_ip`.
    assert!(
        addresses.clone().all(|word| word.trim_end_matches('.') == "10.20.0.0"),
        "{:?}",
        addresses.collect::<Vec<_>>()
    );
    assert!(Path::new(&archive.at("key")).exists());
}
