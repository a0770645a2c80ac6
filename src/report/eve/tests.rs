//! Every line against the keys and types of Suricata's `etc/schema.json` (branch of version 7 and later).

use serde_json::Value;

use super::*;
use crate::report::samples;

/// A JSON type of the schema.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Integer,
    Object(&'static [(&'static str, Kind)]),
    /// Any key, each an array of strings.
    OpenTexts,
}

/// Of the schema's root, alert and stats: the keys that matter here. It allows no other key than those it lists.
const ROOT: &[(&str, Kind)] = &[
    ("timestamp", Kind::Text),
    ("event_type", Kind::Text),
    ("src_ip", Kind::Text),
    ("src_port", Kind::Integer),
    ("dest_ip", Kind::Text),
    ("dest_port", Kind::Integer),
    ("proto", Kind::Text),
    ("app_proto", Kind::Text),
    ("community_id", Kind::Text),
    ("alert", Kind::Object(ALERT)),
    ("stats", Kind::Object(STATS)),
];
const ALERT: &[(&str, Kind)] = &[
    ("action", Kind::Text),
    ("category", Kind::Text),
    ("gid", Kind::Integer),
    ("metadata", Kind::OpenTexts),
    ("rev", Kind::Integer),
    ("rule", Kind::Text),
    ("severity", Kind::Integer),
    ("signature", Kind::Text),
    ("signature_id", Kind::Integer),
];
const STATS: &[(&str, Kind)] = &[
    ("uptime", Kind::Integer),
    ("decoder", Kind::Object(&[("pkts", Kind::Integer), ("bytes", Kind::Integer), ("invalid", Kind::Integer)])),
    ("flow", Kind::Object(&[("total", Kind::Integer), ("tcp", Kind::Integer), ("udp", Kind::Integer)])),
];

fn check(at: &str, value: &Value, kind: Kind) {
    match kind {
        Kind::Text => assert!(value.is_string(), "{at}: {value}"),
        Kind::Integer => assert!(value.is_u64() || value.is_i64(), "{at}: {value}"),
        Kind::Object(known) => {
            for (key, value) in value.as_object().unwrap_or_else(|| panic!("{at}: no object")) {
                let found = known.iter().find(|(name, _)| name == key);
                let (_, kind) = found.unwrap_or_else(|| panic!("{at}.{key}: not in the schema"));
                check(&format!("{at}.{key}"), value, *kind);
            }
        }
        Kind::OpenTexts => {
            for (key, values) in value.as_object().unwrap_or_else(|| panic!("{at}: no object")) {
                let values = values.as_array().unwrap_or_else(|| panic!("{at}.{key}: no array"));
                assert!(!values.is_empty() && values.iter().all(Value::is_string), "{at}.{key}: {values:?}");
            }
        }
    }
}

/// `^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d+[+\-]\d+$`, the schema's pattern.
fn is_eve_time(text: &str) -> bool {
    let form: String = text.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    form == "9999-99-99T99:99:99.999999+9999"
}

fn checked(text: &[u8]) -> Value {
    let value: Value = serde_json::from_slice(text).expect("valid JSON");
    check("", &value, Kind::Object(ROOT));
    assert!(is_eve_time(value["timestamp"].as_str().expect("a text")), "{value}");
    value
}

#[test]
fn every_line_satisfies_the_schema() {
    for finding in [samples::fan_in(), samples::injection(), samples::authorised(), samples::refused()] {
        let mut out = Vec::new();
        write_finding(&mut out, &finding, &Reveal::Nothing).expect("a vector takes all");
        let value = checked(&out);
        assert_eq!(value["event_type"], "alert");
        assert_eq!(value["alert"]["metadata"]["trawl_technique"][0], finding.technique.id());
    }
    let mut out = Vec::new();
    write_stats(&mut out, &samples::stats()).expect("a vector takes all");
    let value = checked(&out);
    assert_eq!(
        (&value["event_type"], &value["stats"]["decoder"]["invalid"]),
        (&Value::from("stats"), &Value::from(15))
    );
}

#[test]
fn the_metadata_says_what_trawl_says() {
    let mut out = Vec::new();
    write_finding(&mut out, &samples::refused(), &Reveal::Nothing).expect("a vector takes all");
    insta::assert_snapshot!(String::from_utf8(out).expect("JSON is UTF-8"));
}
