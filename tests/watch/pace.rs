//! Each shipped capture at its own pace, live: frames arrive in seconds and carry the capture's own times (`stamped`), so
//! that windows are as long as they were. What is found, counted and told is what `replay` makes of the same file.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use super::net::{Net, folder, shipped};
use super::program::{Watch, accounted, news, stats};
use super::stamped;

/// What is last said of a finding.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    technique: String,
    severity: String,
    collectors: BTreeSet<String>,
}

fn by_id(lines: &[Value]) -> BTreeMap<String, Told> {
    let word = |line: &Value, key: &str| line["trawl"][key].as_str().expect("a word").to_owned();
    let told = lines.iter().map(|line| {
        let collectors = line["trawl"]["collector"]["addresses"].as_array().expect("a list");
        let collectors = collectors.iter().map(|address| address.as_str().expect("an address").to_owned()).collect();
        let told = Told { technique: word(line, "technique"), severity: word(line, "severity"), collectors };
        (word(line, "finding_id"), told)
    });
    told.collect()
}

#[track_caller]
fn live_is_replay(name: &str) {
    let Some(net) = Net::new(&[]) else { return };
    let folder = folder();
    let (capture, policy) = shipped(name, folder.path());
    let key = folder.path().join("key");
    let mut options = vec!["--format", "json", "--policy", policy.to_str().expect("UTF-8"), "--key"];
    options.push(key.to_str().expect("UTF-8"));
    let places = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("captures/{name}.mmdb"));
    if places.is_file() {
        options.extend(["--geo", places.to_str().expect("UTF-8")]);
    }
    let frames = stamped::frames(&capture);
    let watch = Watch::start(&net, &options);
    let sent = match stamped::send(net.name(), "va", &frames) {
        Ok(sent) => sent,
        Err(error) => {
            println!("not run: this kernel lets no frame have a time of its own ({error})");
            return;
        }
    };
    let ended = watch.stop();
    let of_live = ended.stats();
    assert_eq!(accounted(&of_live), sent, "{name}: {of_live}");
    assert_eq!(of_live["drops"], serde_json::json!({}), "{name}: nothing is lost");
    let replayed = Command::new(env!("CARGO_BIN_EXE_trawlwatch")).arg("replay").args(&options).arg(&capture).output();
    let replayed = String::from_utf8(replayed.expect("the built program starts").stdout).expect("JSON");
    let of_replay = stats(&replayed);
    if of_live["windows"].as_u64() < Some(20) {
        println!("not run: this kernel stamps packets anew on their way through a veth pair");
        return;
    }
    for counted in ["packets", "bytes", "flows", "windows", "decode_errors", "first_packet", "last_packet"] {
        assert_eq!(of_live[counted], of_replay[counted], "{name}: {counted}");
    }
    let (live, replay) = (by_id(&ended.news()), by_id(&news(&replayed)));
    println!("{name}: {sent} packets, {} findings, {} told live", replay.len(), live.len());
    assert!(!replay.is_empty(), "{name}: an operation is in it, or what is called harmless");
    for (id, told) in &replay {
        let known = live.get(id).unwrap_or_else(|| panic!("{name}: {id} was not told live: {told:?}"));
        assert_eq!((&known.technique, &known.severity), (&told.technique, &told.severity), "{name}: {id}");
    }
    // A replay speaks once, at the end. What was told on the way is of the same doings, before all of them were seen; and what
    // no technique explained on the way, one may explain in the end (CONTRACT, `unattributed-cluster`).
    for (id, told) in live.iter().filter(|(id, _)| !replay.contains_key(*id)) {
        let is_of = |later: &Told| {
            let is_same = later.technique == told.technique || told.technique == "unattributed-cluster";
            is_same && !later.collectors.is_disjoint(&told.collectors)
        };
        assert!(replay.values().any(is_of), "{name}: {id} was told live only: {told:?}");
    }
}

/// A test for each capture that ships.
macro_rules! each {
    ($($test:ident $name:literal),* $(,)?) => {
        $(#[test] fn $test() { live_is_replay($name); })*
        const NAMES: &[&str] = &[$($name),*];
    };
}

each! {
    beaconing_implant "beaconing-implant",
    benign "benign",
    cross_border_transfer "cross-border-transfer",
    demo "demo",
    dns_hijack "dns-hijack",
    dns_tunnel "dns-tunnel",
    exfiltration "exfiltration",
    injection "injection",
    mirroring "mirroring",
    record_scraping "record-scraping",
    shadow_upload "shadow-upload",
    tap_correlation "tap-correlation",
    tls_interception "tls-interception",
    unattributed_cluster "unattributed-cluster",
}

#[test]
fn every_shipped_capture_is_among_them() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let names = std::fs::read_dir(folder).expect("captures").flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        name.strip_suffix(".pcap.zst").map(str::to_owned)
    });
    let shipped: BTreeSet<String> = names.collect();
    assert_eq!(shipped, NAMES.iter().map(|name| (*name).to_owned()).collect());
}
