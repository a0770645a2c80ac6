//! The contract's line, field by field.

use serde_json::Value;

use super::*;
use crate::privacy::{Key, Pseudonymiser};
use crate::report::samples;
use crate::units::Address;

fn line(finding: &Finding, reveal: &Reveal) -> String {
    let mut out = Vec::new();
    write_finding(&mut out, finding, reveal).expect("a vector takes all");
    String::from_utf8(out).expect("JSON is UTF-8")
}

#[test]
fn a_finding_is_the_contracts_line() {
    insta::assert_snapshot!(line(&samples::fan_in(), &Reveal::Nothing));
}

#[test]
fn fields_stand_in_the_contracts_order() {
    let text =
        line(&Finding { community_id: Some("1:x".into()), ..samples::fan_in() }, &Reveal::with_key(&Key::derive(b"k")));
    let order = [
        "timestamp",
        "event_type",
        "src_ip",
        "dest_ip",
        "proto",
        "dest_port",
        "app_proto",
        "community_id",
        "alert",
        "action",
        "signature_id",
        "rev",
        "signature",
        "category",
        "severity",
        "trawl",
        "finding_id",
        "technique",
        "principles",
        "severity",
        "score",
        "p_value",
        "collector",
        "addresses",
        "ports",
        "prefix",
        "asn",
        "country",
        "names",
        "population",
        "name",
        "subscribers",
        "coverage",
        "sample",
        "window",
        "start",
        "end",
        "flows",
        "packets",
        "bytes_up",
        "bytes_down",
        "evidence",
        "feature",
        "value",
        "unit",
        "baseline_median",
        "baseline_p99",
        "weight",
    ];
    let mut at = 0;
    for key in order {
        let found = text[at..].find(&format!("\"{key}\":")).unwrap_or_else(|| panic!("{key} is missing or too early"));
        at += found + 1;
    }
    let end = [",\"authorised\":", ",\"explanation\":"].map(|key| text.rfind(key).expect("the last fields"));
    assert!(at < end[0] && end[0] < end[1], "{end:?}");
}

#[test]
fn what_cannot_be_measured_is_null_and_what_is_unknown_is_absent() {
    let text = line(&samples::injection(), &Reveal::Nothing);
    let value: Value = serde_json::from_str(&text).expect("valid JSON");
    assert!(!text.contains("NaN") && !text.contains("inf") && !text.contains('\u{1b}') && !text.contains('\u{202e}'));
    assert_eq!(value["trawl"]["population"]["coverage"], Value::Null);
    assert_eq!(value["trawl"]["evidence"][2]["value"], Value::Null);
    assert_eq!(value["trawl"]["evidence"][2]["baseline_median"], Value::Null);
    assert_eq!(value["trawl"]["collector"]["names"][0], "evil\u{1b}[2J\u{202e}name.example");
    let bare = Finding {
        collector: crate::detect::finding::CollectorIdentity::default(),
        population: crate::detect::finding::PopulationShare::default(),
        app_proto: None,
        proto: "",
        score: f64::NAN,
        p_value: f64::NAN,
        ..samples::fan_in()
    };
    let value: Value = serde_json::from_str(&line(&bare, &Reveal::Nothing)).expect("valid JSON");
    for key in ["src_ip", "dest_ip", "proto", "dest_port", "app_proto", "community_id"] {
        assert!(value.get(key).is_none(), "{key}");
    }
    assert_eq!((&value["trawl"]["score"], &value["trawl"]["p_value"]), (&Value::from(0.0), &Value::from(1.0)));
}

#[test]
fn real_addresses_and_hashes_over_them_need_the_key() {
    let key = Key::derive(b"the key");
    let real = Address::v4([10, 20, 3, 4]);
    let mut finding = samples::injection();
    finding.population.sample = vec![Pseudonymiser::new(&key).pseudonym(real)];
    let hidden: Value = serde_json::from_str(&line(&finding, &Reveal::Nothing)).expect("valid JSON");
    let shown: Value = serde_json::from_str(&line(&finding, &Reveal::with_key(&key))).expect("valid JSON");
    assert!(hidden.get("community_id").is_none());
    assert_ne!(hidden["trawl"]["population"]["sample"][0], "10.20.3.4");
    assert_eq!(shown["community_id"], "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
    assert_eq!(shown["trawl"]["population"]["sample"][0], "10.20.3.4");
}

#[test]
fn verdicts_are_told_apart() {
    let table = [
        ("unregistered", samples::fan_in(), Value::Null, false),
        (
            "authorised",
            samples::authorised(),
            serde_json::json!({"name": "Acme OS telemetry", "reference": "DPIA-2026-014"}),
            false,
        ),
        ("refused", samples::refused(), Value::Null, true),
    ];
    for (name, finding, authorised, is_refused) in table {
        let value: Value = serde_json::from_str(&line(&finding, &Reveal::Nothing)).expect("valid JSON");
        assert_eq!(value["trawl"]["authorised"], authorised, "{name}");
        assert_eq!(value["trawl"].get("refused").is_some(), is_refused, "{name}");
    }
}

#[test]
fn the_closing_line_keeps_all_timings_in_one_place() {
    let mut out = Vec::new();
    write_stats(&mut out, &samples::stats()).expect("a vector takes all");
    let text = String::from_utf8(out).expect("JSON is UTF-8");
    insta::assert_snapshot!(text);
    let mut other = samples::stats();
    other.timings = [("capture", 9.0)].into();
    let mut out = Vec::new();
    write_stats(&mut out, &other).expect("a vector takes all");
    let strip = |text: &str| {
        let mut value: Value = serde_json::from_str(text).expect("valid JSON");
        value["stats"].as_object_mut().expect("an object").remove("timings");
        value
    };
    assert_eq!(strip(&text), strip(&String::from_utf8(out).expect("JSON is UTF-8")));
}
