//! What CONTRACT.md promises of the command line: statuses, streams, determinism, privacy.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use ipnet::IpNet;
use serde_json::Value;
use trawlwatch::capture::frame::FrameBatch;
use trawlwatch::capture::{Captures, InputPath};
use trawlwatch::packet::columns::PacketColumns;
use trawlwatch::packet::{Parser, ParserLimits};

use crate::run::{replay, trawlwatch};

const LIMIT: Duration = Duration::from_secs(120);

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures").join(name)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

/// Every capture that the project ships, with its policy.
fn all_shipped() -> Vec<(PathBuf, PathBuf)> {
    let folder = shipped("");
    let entries = std::fs::read_dir(&folder).expect("captures are shipped").map(|e| e.expect("readable").path());
    let mut found: Vec<(PathBuf, PathBuf)> = entries
        .filter(|path| text(path).ends_with(".pcap.zst"))
        .map(|path| (path.clone(), PathBuf::from(text(&path).replace(".pcap.zst", ".policy.toml"))))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "{}: no capture", folder.display());
    found
}

#[test]
fn the_demonstration_s_operations_are_found_and_nothing_else() {
    let (capture, policy) = (shipped("demo.pcap.zst"), shipped("demo.policy.toml"));
    let labels: Value =
        serde_json::from_slice(&std::fs::read(shipped("demo.labels.json")).expect("labels")).expect("JSON");
    let operations = labels["operations"].as_array().expect("operations");
    assert!(operations.len() >= 2 && labels["benign"].as_array().is_some_and(|benign| benign.len() >= 3));
    let loud = trawlwatch(&["replay", "--format", "json", text(&capture), "--policy", text(&policy)], LIMIT).loud();
    let is_of = |finding: &Value, operation: &Value| {
        finding["trawl"]["technique"] == operation["technique"]
            && finding["trawl"]["collector"]["addresses"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|address| operation["collectors"].as_array().is_some_and(|all| all.contains(address)))
    };
    for operation in operations {
        assert!(loud.iter().any(|finding| is_of(finding, operation)), "not found: {operation}");
    }
    for finding in &loud {
        assert!(
            operations.iter().any(|operation| is_of(finding, operation)),
            "false: {}",
            finding["alert"]["signature"]
        );
    }
}

#[test]
fn runs_and_workers_do_not_change_the_findings() {
    for (capture, policy) in all_shipped() {
        let run = |workers: &str| {
            let args = ["replay", "--format", "json", text(&capture), "--policy", text(&policy), "--workers", workers];
            let ran = trawlwatch(&args, LIMIT);
            let mut lines: Vec<Value> = ran.stdout.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
            for line in &mut lines {
                line["stats"].as_object_mut().map(|stats| stats.remove("timings"));
            }
            lines
        };
        let one = run("1");
        for workers in ["1", "2", "8"] {
            assert_eq!(run(workers), one, "{}: {workers} workers", capture.display());
        }
    }
}

#[test]
fn rows_of_a_window_without_an_end_come_in_parts_that_workers_do_not_change() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let capture = folder.path().join("rounds.pcap");
    // 40,000 questions of one datagram each, five times, ten minutes apart: all but the last ones are over when asked again.
    let (rounds, flows) = (5u32, 40_000u32);
    let mut bytes: Vec<u8> =
        [0xa1b2_c3d4u32, 2 | 4 << 16, 0, 0, 65_535, 101].iter().flat_map(|n| n.to_le_bytes()).collect();
    for n in 0..rounds * flows {
        let (round, flow) = (n / flows, n % flows);
        let frame = datagram([10, 0, (flow >> 8) as u8, flow as u8], [192, 0, 2, 1], [5_000, 5_001]);
        let header = [1_700_000_000 + round * 600 + flow / 1_000, 0, frame.len() as u32, frame.len() as u32];
        bytes.extend(header.iter().flat_map(|n| n.to_le_bytes()));
        bytes.extend(frame);
    }
    std::fs::write(&capture, bytes).expect("a capture");
    let run = |workers: &str| {
        let args = ["flows", text(&capture), "--format", "csv", "--window", "0", "-q", "--workers", workers];
        let ran = trawlwatch(&args, LIMIT);
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        ran.stdout
    };
    let one = run("1");
    assert_eq!(one.lines().count() as u32, 1 + rounds * flows, "a row for each, and what the columns are");
    assert!(run("3") == one, "three workers write other rows than one");
}

#[test]
fn a_full_disk_is_said_with_the_file_that_found_it_full() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        return println!("not run: {} is missing", full.display());
    }
    let capture = shipped("mirroring.pcap.zst");
    for args in [["flows", text(&capture), "--output"], ["replay", text(&capture), "--flows"]] {
        let ran = trawlwatch(&[&args[..], &[text(full), "-q"]].concat(), LIMIT);
        assert_eq!(ran.status, Some(2), "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("/dev/full: cannot be written"), "{args:?}: {}", ran.stderr);
    }
}

/// An IPv4 datagram of eight bytes.
fn datagram(from: [u8; 4], to: [u8; 4], ports: [u16; 2]) -> Vec<u8> {
    let mut packet = Vec::new();
    etherparse::PacketBuilder::ipv4(from, to, 64)
        .udp(ports[0], ports[1])
        .write(&mut packet, &[1; 8])
        .expect("a buffer grows");
    packet
}

#[test]
fn no_subscriber_in_clear_without_reveal() {
    for (capture, policy) in all_shipped() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let records = folder.path().join("flows.csv");
        let mut said = String::new();
        for (format, more) in [("text", &["--flows", text(&records)][..]), ("json", &[]), ("eve", &[])] {
            let args = ["replay", text(&capture), "--policy", text(&policy), "--format", format];
            let ran = trawlwatch(&[&args[..], more].concat(), LIMIT);
            assert!(matches!(ran.status, Some(0 | 1)), "{}: {:?} {}", capture.display(), ran.status, ran.stderr);
            said.push_str(&ran.stdout);
            said.push_str(&ran.stderr);
        }
        said.push_str(&std::fs::read_to_string(&records).expect("flow records"));
        let is_part_of_address = |c: char| c.is_ascii_hexdigit() || c == '.' || c == ':';
        let words: BTreeSet<&str> = said.split(|c: char| !is_part_of_address(c)).collect();
        let subscribers = subscribers(&capture, &policy);
        assert!(subscribers.len() >= 8, "{}: {} subscribers", capture.display(), subscribers.len());
        let shown: Vec<&String> = subscribers.iter().filter(|address| words.contains(address.as_str())).collect();
        assert!(shown.is_empty(), "{}: {shown:?}", capture.display());
    }
}

/// Addresses of the policy's populations as they stand in the packets, inner ones of tunnels among them.
fn subscribers(capture: &Path, policy: &Path) -> BTreeSet<String> {
    let mut captures = Captures::open(&[InputPath::parse(capture)]).expect("a shipped capture");
    let mut batch = FrameBatch::new(captures.maps());
    while let Some(frame) = captures.next_frame() {
        batch.push(&frame);
    }
    let (mut parser, mut packets) = (Parser::new(ParserLimits::default()), PacketColumns::default());
    parser.parse_batch(&batch, &mut packets);
    let prefixes = prefixes(policy);
    let addresses = packets.key.iter().flat_map(|key| key.addresses).map(|address| address.to_ip());
    let is_subscriber = |ip: &IpAddr| {
        // A prefix's own network address is EVE's `src_ip`, and nobody.
        prefixes.iter().any(|prefix| prefix.contains(ip)) && prefixes.iter().all(|prefix| prefix.network() != *ip)
    };
    addresses.filter(is_subscriber).map(|ip| ip.to_string()).collect()
}

/// Prefixes of every population of a policy.
fn prefixes(policy: &Path) -> Vec<IpNet> {
    let text = std::fs::read_to_string(policy).expect("a shipped policy");
    let policy: toml::Table = text.parse().expect("TOML");
    let populations = policy["population"].as_array().expect("populations");
    let written = populations.iter().flat_map(|one| one["prefixes"].as_array().expect("prefixes"));
    written.map(|prefix| prefix.as_str().expect("a text").parse().expect("a prefix")).collect()
}

#[test]
fn reveal_shows_what_the_key_hid() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let key = folder.path().join("key");
    let (capture, policy) = (shipped("demo.pcap.zst"), shipped("demo.policy.toml"));
    let run = |more: &[&str]| {
        let args = ["replay", "--format", "json", text(&capture), "--policy", text(&policy)];
        trawlwatch(&[&args[..], more].concat(), LIMIT)
    };
    let samples =
        |ran: crate::run::Ran| ran.loud().into_iter().map(|finding| finding["trawl"]["population"]["sample"].clone());
    let sample = |ran| samples(ran).find(|sample| sample[0].is_string()).expect("a finding with a sample");
    let hidden = run(&["--key", text(&key)]);
    assert!(hidden.stderr.contains("new pseudonym key"), "{}", hidden.stderr);
    let revealed = run(&["--reveal", text(&key)]);
    let address = sample(revealed)[0].as_str().expect("a sample").to_owned();
    assert!(address.starts_with("10.20.") || address.starts_with("2001:db8:20:"), "{address}");
    assert!(!sample(hidden).to_string().contains(&address));
    assert_eq!(run(&["--reveal", text(&folder.path().join("none"))]).status, Some(2));
}

#[test]
fn exit_statuses() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let write = |name: &str, bytes: &[u8]| std::fs::write(path(name), bytes).expect("written");
    let header = [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
    let record = [[1, 0, 0, 0, 0, 0, 0, 0, 14, 0, 0, 0, 14, 0, 0, 0].as_slice(), &[0xff; 14]].concat();
    write("whole.pcap", &[&header[..], &record].concat());
    write("cut.pcap", &[&header[..], &record, &record[..20]].concat());
    write("text.txt", b"no capture at all\n");
    write("empty.pcap", b"");
    write("bad.toml", b"[[population]]\nname = \"a\"\nprefixes = [\"10.0.0.0/33\"]\n");
    write("config.toml", b"[replay]\nformt = \"json\"\n");
    let (demo, policy) = (shipped("demo.pcap.zst"), shipped("demo.policy.toml"));
    let table: Vec<(&str, Vec<String>, i32, &str)> = vec![
        ("nothing in it", vec![path("whole.pcap")], 0, ""),
        ("cut", vec![path("cut.pcap")], 4, "cut.pcap"),
        ("no such file", vec![path("none.pcap")], 3, "none.pcap"),
        ("no capture", vec![path("text.txt")], 3, "text.txt"),
        ("empty", vec![path("empty.pcap")], 3, "empty.pcap"),
        ("a folder", vec![path("")], 3, "directory"),
        ("one of two unreadable", vec![path("whole.pcap"), path("none.pcap")], 4, "none.pcap"),
        ("no file", vec![], 2, "FILE"),
        ("unknown option", vec!["--fromat".into(), path("whole.pcap")], 2, "--fromat"),
        ("bad population", vec!["--population".into(), "10.0.0.0/33".into(), path("whole.pcap")], 2, "10.0.0.0/33"),
        ("bad filter", vec!["--filter".into(), "tcp prot 80".into(), path("whole.pcap")], 2, "tcp prot 80"),
        ("no workers", vec!["--workers".into(), "0".into(), path("whole.pcap")], 2, "--workers 0"),
        ("bad window", vec!["--window".into(), "5y".into(), path("whole.pcap")], 2, "5y"),
        ("bad policy", vec!["--policy".into(), path("bad.toml"), path("whole.pcap")], 2, "10.0.0.0/33"),
        ("bad configuration", vec!["--config".into(), path("config.toml"), path("whole.pcap")], 2, "formt"),
        ("no model", vec!["--model".into(), path("text.txt"), path("whole.pcap")], 2, "text.txt"),
        ("no database", vec!["--geo".into(), path("text.txt"), path("whole.pcap")], 2, "--geo"),
        ("found", vec!["--policy".into(), text(&policy).into(), text(&demo).into()], 1, ""),
        (
            "found, and none of it fails",
            vec!["--fail-on".into(), "never".into(), "--policy".into(), text(&policy).into(), text(&demo).into()],
            0,
            "",
        ),
        ("no place to write", vec!["--output".into(), path("none/x.json"), path("whole.pcap")], 2, "x.json"),
    ];
    for (name, args, status, said) in table {
        let args: Vec<&str> = std::iter::once("replay").chain(args.iter().map(String::as_str)).collect();
        let ran = trawlwatch(&args, LIMIT);
        assert_eq!(ran.status, Some(status), "{name}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{name}: {:?} not in {}", said, ran.stderr);
        let loud_errors = ran.stderr.lines().filter(|line| line.starts_with("error: ")).count();
        assert!(loud_errors <= 1, "{name}: {}", ran.stderr);
    }
}

#[test]
fn every_verb_prints_the_configuration_in_force_and_reads_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    let table: [(&str, &[&str], &str); 9] = [
        ("replay", &["--format", "json"], "format = \"json\""),
        ("sweep", &["--store", "night.db"], "store = \"night.db\""),
        ("watch", &["--interface", "lo"], "interface = [\"lo\"]"),
        ("flows", &["--format", "csv"], "format = \"csv\""),
        ("train", &["--window", "30s"], "window = \"30s\""),
        ("evaluate", &["--jobs", "1"], "jobs = 1"),
        ("findings", &["--severity", "high"], "severity = \"high\""),
        ("store", &["vacuum", "--keep-days", "9d"], "keep-days = \"9d\""),
        ("synth", &["--subscribers", "30", "--operation", "dns-tunnel"], "subscribers = 30"),
    ];
    for (verb, typed, wanted) in table {
        let file = path(&format!("{verb}.toml"));
        let first = trawlwatch(&[&[verb, "--print-config"], typed].concat(), LIMIT);
        assert!(first.status == Some(0) && first.stdout.contains(wanted), "{verb}: {} {}", first.stdout, first.stderr);
        std::fs::write(&file, &first.stdout).expect("written");
        let verbs: &[&str] = if verb == "store" { &["store", "vacuum"] } else { &[verb] };
        let again = trawlwatch(&[verbs, &["--print-config", "--config", text(&file)]].concat(), LIMIT);
        assert_eq!((again.status, &again.stdout), (Some(0), &first.stdout), "{verb}: {}", again.stderr);
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("ours").count(), table.len(), "printing writes nothing else");
}

#[test]
fn what_synth_writes_can_stand_in_a_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let config = "[synth]\nsubscribers = 10\nhours = 0.1\nactivity = 0.1\nvolume = 0.01\n";
    std::fs::write(path("small.toml"), config).expect("written");
    let written = |name: &str, options: &[&str]| {
        let ran = trawlwatch(&[&["synth", "-o", &path(name)], options].concat(), LIMIT);
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        std::fs::read(path(name)).expect("a capture")
    };
    let typed = ["--subscribers", "10", "--hours", "0.1", "--activity", "0.1", "--volume", "0.01"];
    let (read, typed) = (written("a.pcap", &["--config", &path("small.toml")]), written("b.pcap", &typed));
    assert!(read == typed && read.len() > 24, "{} and {} bytes", read.len(), typed.len());
    for (args, said) in [
        (&["--suite", "smoke"][..], "synth --suite smoke DIR"),
        (&["some-folder"], "--suite"),
        (&["--only", "x", "-o", &path("c.pcap")], "--only"),
    ] {
        let ran = trawlwatch(&[&["synth"], args].concat(), LIMIT);
        assert!(ran.status == Some(2) && ran.stderr.contains(said), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let demo = shipped("demo.pcap.zst");
    let mut child = Command::new(env!("CARGO_BIN_EXE_trawlwatch"))
        .args(["flows", text(&demo)])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the built program starts");
    drop(child.stdout.take());
    let ended = child.wait_with_output().expect("a child of ours");
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    assert!(ended.stderr.is_empty(), "{}", String::from_utf8_lossy(&ended.stderr));
}

#[test]
fn standard_input_gives_what_the_file_gives() {
    let (demo, policy) = (shipped("demo.pcap.zst"), shipped("demo.policy.toml"));
    let findings = |ran: &str| ran.lines().filter(|l| l.contains("\"alert\"")).map(str::to_owned).collect::<Vec<_>>();
    let args = ["replay", "--format", "json", "--policy", text(&policy)];
    let from_file = trawlwatch(&[&args[..], &[text(&demo)]].concat(), LIMIT);
    let mut child = Command::new(env!("CARGO_BIN_EXE_trawlwatch"))
        .args([&args[..], &["-"]].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the built program starts");
    let bytes = std::fs::read(&demo).expect("the demonstration");
    let mut stdin = child.stdin.take().expect("piped");
    let feeder = std::thread::spawn(move || stdin.write_all(&bytes));
    let piped = child.wait_with_output().expect("a child of ours");
    feeder.join().expect("no panic").expect("all of it was read");
    assert_eq!(findings(&String::from_utf8_lossy(&piped.stdout)), findings(&from_file.stdout));
}

#[test]
fn a_model_of_ones_own_traffic_serves_as_baseline() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let model = folder.path().join("own.trwl");
    let (benign, benign_policy) = (shipped("benign.pcap.zst"), shipped("benign.policy.toml"));
    // 64 codewords take ten times as long without optimisation, and what this shows does not hang on their number.
    let args =
        ["train", text(&benign), "--policy", text(&benign_policy), "--codewords", "16", "--output", text(&model)];
    let trained = trawlwatch(&args, LIMIT);
    assert_eq!(trained.status, Some(0), "{}", trained.stderr);
    let card = std::fs::read_dir(folder.path()).expect("readable").map(|e| e.expect("readable").path());
    assert!(card.into_iter().any(|path| text(&path).ends_with(".md")), "a card beside the model");
    let (demo, policy) = (shipped("demo.pcap.zst"), shipped("demo.policy.toml"));
    let args = ["replay", "--format", "json", text(&demo), "--policy", text(&policy), "--model", text(&model)];
    let techniques = |ran: &crate::run::Ran| -> BTreeSet<String> {
        ran.loud().iter().map(|finding| finding["trawl"]["technique"].to_string()).collect()
    };
    let with = trawlwatch(&args, LIMIT);
    let without = trawlwatch(&args[..args.len() - 2], LIMIT);
    assert_eq!(techniques(&with), techniques(&without), "{}", with.stderr);
}

#[test]
fn injection_shots_at_the_frames_that_are_known() {
    let Some(root) = crate::captures::folder() else {
        println!("not run: no real captures beside this checkout");
        return;
    };
    let truth = std::fs::read_to_string(root.join("injection/TRUTH.tsv")).expect("readable");
    let shots: Vec<Vec<&str>> = truth.lines().skip(1).map(|line| line.split('\t').collect()).collect();
    for shot in &shots {
        let ran = replay(&root.join("injection").join(shot[0]), &[]);
        let found = ran.findings();
        let wanted = format!("frames {} and {}: TTL {} and {},", shot[1], shot[2], shot[4], shot[5]);
        assert!(
            found.iter().any(|finding| finding["trawl"]["technique"] == "packet-injection"
                && finding["trawl"]["severity"] == "critical"
                && finding["trawl"]["evidence"].to_string().contains(&wanted)),
            "{}: {wanted}",
            shot[0]
        );
        assert_eq!(ran.status, Some(1));
    }
    assert_eq!(shots.len(), 4);
}
