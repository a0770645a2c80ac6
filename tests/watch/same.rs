//! What is found live is what a replay of the same packets finds: tcpdump writes on the same interface what `watch` sees
//! there, with the same timestamps, and `replay` reads that. A capture's own pace is sped up: half an hour takes seconds.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use super::net::{Net, folder, shipped};
use super::program::{Watch, accounted, news};

/// Technique and worst severity by finding.
fn found(lines: &[Value]) -> BTreeMap<String, (String, String)> {
    const ORDER: [&str; 5] = ["info", "low", "medium", "high", "critical"];
    let rank = |word: &str| ORDER.iter().position(|known| *known == word).expect("a severity");
    let mut found = BTreeMap::new();
    for line in lines {
        let word = |key: &str| line["trawl"][key].as_str().expect("a word").to_owned();
        let now = (word("technique"), word("severity"));
        let known: &mut (String, String) = found.entry(word("finding_id")).or_insert_with(|| now.clone());
        if rank(&now.1) > rank(&known.1) {
            *known = now;
        }
    }
    found
}

#[track_caller]
fn live_equals_replay(name: &str, speed: &str) {
    let Some(net) = Net::new(&["tcpreplay", "tcpdump"]) else { return };
    let folder = folder();
    let (capture, policy) = shipped(name, folder.path());
    let path = |file: &str| folder.path().join(file).to_str().expect("UTF-8").to_owned();
    let (key, policy) = (path("key"), policy.to_str().expect("UTF-8").to_owned());
    let written = path("live.pcap");
    let dump = net
        .command("tcpdump")
        .args(["-i", "vb", "-Z", "root", "-s", "0", "-B", "65536", "--time-stamp-precision=nano", "-w", &written])
        .stderr(std::process::Stdio::piped())
        .spawn();
    let mut dump = dump.expect("tcpdump starts");
    let mut said = std::io::BufReader::new(dump.stderr.take().expect("piped"));
    let mut line = String::new();
    while !line.contains("listening on") {
        assert!(std::io::BufRead::read_line(&mut said, &mut line).expect("speaks") > 0, "tcpdump: {line}");
    }
    let options = ["--format", "json", "--window", "2s", "--policy", &policy, "--key", &key];
    let watch = Watch::start(&net, &options);
    let sent = net.send(&capture, &["--multiplier", speed]);
    let ended = watch.stop();
    let stopped = Command::new("kill").args(["-INT", &dump.id().to_string()]).status().expect("kill starts");
    assert!(stopped.success() && dump.wait().expect("ends").success());

    let stats = ended.stats();
    assert_eq!(accounted(&stats), sent, "{name}: {stats}");
    assert_eq!(stats["drops"], serde_json::json!({}), "{name}: nothing is lost");
    let replayed = Command::new(env!("CARGO_BIN_EXE_trawlwatch"))
        .arg("replay")
        .args(options)
        .arg(&written)
        .output()
        .expect("the built program starts");
    let replayed = String::from_utf8(replayed.stdout).expect("JSON");
    let by_replay = super::program::stats(&replayed);
    if by_replay["frames"] != stats["frames"] {
        println!("not run: tcpdump itself lost packets");
        return;
    }
    for counted in ["packets", "bytes", "flows", "decode_errors"] {
        assert_eq!(stats[counted], by_replay[counted], "{name}: {counted}");
    }
    let (live, replay) = (found(&ended.news()), found(&news(&replayed)));
    println!("{name}: {sent} packets, {} findings", live.len());
    assert_eq!(live, replay, "{name}");
}

#[test]
fn demo() {
    live_equals_replay("demo", "450");
}

#[test]
fn injection() {
    live_equals_replay("injection", "450");
}

#[test]
fn mirroring() {
    live_equals_replay("mirroring", "450");
}

#[test]
fn exfiltration() {
    live_equals_replay("exfiltration", "600");
}

#[test]
fn benign() {
    live_equals_replay("benign", "450");
}
