//! `--misp FILE.json`: one MISP event.
//! In: judged findings. Out: an event whose attributes are the collectors' addresses, names and systems, each with its
//! finding's headline, and a comment a finding with the explanation. Source: the MISP core format (draft-dulaunoy-misp-core-format).
//! Bounds: those of [`stix`](super::stix) for addresses and names.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::Tlp;
use super::ids::uuid_of;
use super::stix::{ADDRESSES_MAX, NAMES_MAX, is_domain, note_of, time};
use crate::detect::finding::{Finding, Severity, Verdict};
use crate::report::escape::write_json_line;
use crate::report::{figures, finding_id};
use crate::units::TimestampNs;

/// Writes the event.
pub fn write(out: &mut dyn Write, findings: &[Finding], tlp: Tlp) -> io::Result<()> {
    write_json_line(out, &event(findings, tlp))
}

fn event(findings: &[Finding], tlp: Tlp) -> Value {
    let worst = findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Info);
    let last = findings.iter().map(|finding| finding.end).max().unwrap_or(TimestampNs::ZERO);
    let ids: Vec<String> = findings.iter().map(|f| format!("{} {}", finding_id(f), f.end.0)).collect();
    let mut tags = vec![json!({ "name": tlp.label().to_ascii_lowercase() })];
    let mut techniques: Vec<&str> = findings.iter().map(|finding| finding.technique.id()).collect();
    techniques.sort_unstable();
    techniques.dedup();
    tags.extend(techniques.iter().map(|id| json!({ "name": format!("trawlwatch:technique=\"{id}\"") })));
    json!({ "Event": {
        "uuid": uuid_of(&format!("misp event {}", ids.join(" "))).to_string(),
        "info": format!("Trawlwatch: {}", figures::counted(findings.len() as u64, "finding")),
        "date": figures::plain_date(last),
        "timestamp": seconds(last),
        "threat_level_id": threat_level(worst),
        "analysis": "1",
        "distribution": "0",
        "published": false,
        "Orgc": { "name": "Trawlwatch", "uuid": uuid_of("misp organisation").to_string() },
        "Tag": tags,
        "Attribute": findings.iter().flat_map(attributes).collect::<Vec<Value>>(),
    } })
}

/// 1 high, 2 medium, 3 low, 4 undefined.
fn threat_level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "1",
        Severity::Medium => "2",
        Severity::Low => "3",
        Severity::Info => "4",
    }
}

fn seconds(ts: TimestampNs) -> String {
    (ts.0 / 1_000_000_000).to_string()
}

fn attributes(finding: &Finding) -> Vec<Value> {
    let collector = &finding.collector;
    // What the register allows is context, never something to block.
    let to_ids = finding.severity >= Severity::Medium && !matches!(finding.verdict, Verdict::Authorised { .. });
    let attribute = |kind: &str, category: &str, value: String, to_ids: bool| {
        json!({
            "uuid": uuid_of(&format!("misp attribute {kind} {value} {}", finding_id(finding))).to_string(),
            "type": kind, "category": category, "value": value, "to_ids": to_ids, "disable_correlation": false,
            "comment": finding.headline, "timestamp": seconds(finding.end),
            "first_seen": time(finding.start), "last_seen": time(finding.end),
            "Tag": [{ "name": format!("trawlwatch:technique=\"{}\"", finding.technique.id()) }],
        })
    };
    let network = "Network activity";
    let mut all: Vec<Value> = Vec::new();
    for address in collector.addresses.iter().take(ADDRESSES_MAX) {
        all.push(match collector.ports.first() {
            Some(port) => attribute("ip-dst|port", network, format!("{address}|{port}"), to_ids),
            None => attribute("ip-dst", network, address.to_string(), to_ids),
        });
    }
    let names = collector.names.iter().take(NAMES_MAX).filter(|name| is_domain(name));
    all.extend(names.map(|name| attribute("hostname", network, name.clone(), to_ids)));
    all.extend(collector.asn.map(|asn| attribute("AS", network, format!("AS{asn}"), false)));
    all.push(attribute("comment", "External analysis", note_of(finding), false));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    #[test]
    fn an_event_names_collectors_and_nobody_else() {
        let findings = [samples::fan_in(), samples::authorised()];
        let event = event(&findings, Tlp::AmberStrict);
        let event = &event["Event"];
        assert_eq!(event["Tag"][0]["name"], "tlp:amber+strict");
        let attributes = event["Attribute"].as_array().expect("attributes");
        let of = |kind: &str| attributes.iter().filter(|a| a["type"] == kind).collect::<Vec<_>>();
        assert_eq!(of("ip-dst|port")[0]["value"], "203.0.113.7|443");
        assert_eq!(of("ip-dst|port")[0]["to_ids"], true);
        assert_eq!(of("ip-dst|port")[1]["to_ids"], false, "what is allowed is not to be blocked");
        assert_eq!(of("comment").len(), 2);
        let text = event.to_string();
        for subscriber in &findings[0].population.sample {
            assert!(!text.contains(&subscriber.to_string()), "{subscriber}");
        }
    }
}
