//! The life of a finding: told once, acknowledged, marked false, judged again when the register changes.

use serde_json::Value;

use crate::archive::{Archive, quiet_town, text};

fn archive() -> Archive {
    Archive::cut(quiet_town(40, 1.0, "population-fan-in:subscribers=0.9,period=240s,jitter=0.05", 11), 1_800)
}

fn fan_in(findings: &[Value]) -> &Value {
    let mut all = findings.iter().filter(|finding| finding["trawl"]["technique"] == "population-fan-in");
    all.next().unwrap_or_else(|| panic!("no fan-in in {findings:?}"))
}

#[test]
fn history_is_judged_again_without_packets_after_the_register_changed() {
    let archive = archive();
    let swept = archive.sweep("s.db", &["--fail-on", "medium"]);
    assert_eq!(swept.status, Some(1), "{}", swept.stderr);
    let found = swept.findings();
    let before = fan_in(&found);
    assert_eq!(before["trawl"]["authorised"], Value::Null);
    let collector = before["trawl"]["collector"]["addresses"][0].as_str().expect("an address").to_owned();
    std::fs::remove_dir_all(archive.captures()).expect("removed");

    let policy = std::fs::read_to_string(&archive.policy).expect("a policy");
    let with = |expires: &str| {
        let entry = format!(
            "{policy}\n[[authorised]]\nname = \"Agreed\"\ncollectors = [\"{collector}/32\"]\nlegal_basis = \"contract\"\n\
             reference = \"R-1\"\n{expires}\n"
        );
        let path = archive.at("other.policy.toml");
        std::fs::write(&path, entry).expect("written");
        path
    };
    // Added: it is allowed, and stays as a record.
    let policy = with("");
    let judged = archive.sweep("s.db", &["--rejudge", "--fail-on", "medium", "--policy", text(&policy)]);
    assert_eq!(judged.status, Some(0), "{}{}", judged.stdout, judged.stderr);
    let now = archive.findings("s.db");
    assert_eq!(fan_in(&now)["trawl"]["authorised"]["reference"], "R-1");
    assert_eq!(fan_in(&now)["trawl"]["severity"], "info");
    let diff = archive.ask("s.db", &["findings", "diff"]);
    assert!(diff.stdout.contains("eased"), "{}", diff.stdout);
    // Expired before it happened: told again, and why.
    let policy = with("expires = 2026-01-01");
    let judged = archive.sweep("s.db", &["--rejudge", "--fail-on", "medium", "--policy", text(&policy)]);
    assert_eq!(judged.status, Some(1), "{}", judged.stderr);
    let told = judged.findings();
    assert_eq!(fan_in(&told)["store"]["state"], "grown");
    assert_eq!(fan_in(&told)["trawl"]["severity"], before["trawl"]["severity"]);
    assert!(fan_in(&told)["trawl"]["refused"]["reason"].to_string().contains("expired on 2026-01-01"));
    // And once more with nothing changed: nothing to tell.
    let again = archive.sweep("s.db", &["--rejudge", "--fail-on", "medium", "--policy", text(&policy)]);
    assert_eq!((again.status, again.findings().len()), (Some(0), 0));
}

#[test]
fn marks_stand_until_it_grows_and_false_alarms_are_folded() {
    let archive = archive();
    let found = archive.sweep("s.db", &[]).findings();
    let id = fan_in(&found)["trawl"]["finding_id"].as_str().expect("an id").to_owned();
    let state = || fan_in(&archive.findings("s.db"))["store"]["state"].as_str().expect("a state").to_owned();
    assert_eq!(
        archive.ask("s.db", &["findings", "false", &id[..8], "--who", "ann"]).status,
        Some(2),
        "why is asked for"
    );
    let marks = [("ack", "acknowledged"), ("false", "false-alarm"), ("reopen", "reopened")];
    for (verb, wanted) in marks {
        let ran = archive.ask("s.db", &["findings", verb, &id[..8], "--who", "ann", "--why", "because"]);
        assert_eq!((ran.status, state().as_str()), (Some(0), wanted), "{verb}: {}", ran.stderr);
        // A sweep changes nothing of it, but that what was reopened is told.
        archive.sweep("s.db", &[]);
        assert_eq!(state(), if verb == "reopen" { "reopened" } else { wanted }, "{verb}, after a sweep");
    }
    archive.ask("s.db", &["findings", "false", &id, "--who", "ann", "--why", "our own backup"]);
    let list = archive.ask("s.db", &["findings"]).stdout;
    assert!(list.contains("folded as") && list.contains(&id[..12]), "{list}");
    let shown = archive.ask("s.db", &["findings", "show", &id]).stdout;
    for wanted in ["our own backup", "acknowledged by ann", "record_dispersion", "state       false-alarm"] {
        assert!(shown.contains(wanted), "{wanted} in {shown}");
    }
    // Filters.
    let rows = |args: &[&str]| {
        let ran = archive.ask("s.db", &[&["findings", "--format", "csv"], args].concat());
        ran.stdout.lines().count() - 1
    };
    let all = rows(&[]);
    assert!(all >= 1);
    assert_eq!(rows(&["--state", "new,grown"]), 0);
    assert_eq!(rows(&["--technique", "packet-injection"]), 0);
    assert_eq!(rows(&["--sensor", "nowhere"]), 0);
    assert_eq!(rows(&["--since", "yesterday"]), all, "told of today");
    assert_eq!(rows(&["--until", "2026-03-01"]), 0);
    assert_eq!(archive.ask("s.db", &["findings", "show", "ffffffff"]).status, Some(2));
}

#[test]
fn a_subscriber_is_forgotten_everywhere() {
    let archive = archive();
    let found = archive.sweep("s.db", &[]).findings();
    let pseudonym = fan_in(&found)["trawl"]["population"]["sample"][0].as_str().expect("a pseudonym").to_owned();
    let bytes = |text: &str| match text.parse::<std::net::IpAddr>().expect("an address") {
        std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        std::net::IpAddr::V6(v6) => v6.octets(),
    };
    let key = archive.at("key");
    assert!(found[0].to_string().contains(&pseudonym));
    // The export holds addresses as lists of octets. Asked for whole: 10.0.0.1 is where 10.0.0.12 begins too.
    let octets = bytes(&pseudonym).map(|octet| octet.to_string()).join(",");
    let octets_said = || archive.ask("s.db", &["store", "export"]).stdout.contains(&format!("[{octets}]"));
    assert!(octets_said(), "it is there before it is forgotten");
    let forgot = archive.ask("s.db", &["store", "forget", &pseudonym, "--key", text(&key)]);
    assert_eq!(forgot.status, Some(0), "{}", forgot.stderr);
    assert!(!forgot.stderr.contains("from 0 windows"), "{}", forgot.stderr);
    assert!(!octets_said(), "its octets stand in a finding");
    assert!(!archive.ask("s.db", &["findings", "--format", "json"]).stdout.contains(&format!("\"{pseudonym}\"")));
    let again = archive.ask("s.db", &["store", "forget", &pseudonym, "--key", text(&key)]);
    assert!(again.stderr.contains("from 0 windows and 0 records"), "{}", again.stderr);
    // What is judged again does not bring it back.
    let judged = archive.sweep("s.db", &["--rejudge"]);
    assert!(!judged.stdout.contains(&format!("\"{pseudonym}\"")) && matches!(judged.status, Some(0 | 1)));
    assert_eq!(archive.ask("s.db", &["store", "check"]).status, Some(0));
}
