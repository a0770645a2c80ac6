//! `--stix FILE.json`: a STIX 2.1 bundle.
//! In: judged findings. Out: for each one what was observed (addresses, names, systems, traffic), a sighting, a note with the
//! explanation, and, unless the register allows it, an indicator that others can look for.
//! Source: OASIS STIX Version 2.1 (10 June 2021); markings are TLP 2.0 as the OASIS common objects define them.
//! Bounds: [`ADDRESSES_MAX`] addresses and [`NAMES_MAX`] names a finding; the note says how many there were.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::Tlp;
use super::ids::{of_object, of_observable, uuid_of};
use crate::detect::finding::{Finding, Severity, Verdict};
use crate::report::escape::write_json_line;
use crate::report::finding_id;
use crate::units::TimestampNs;

/// Addresses written of one finding.
pub const ADDRESSES_MAX: usize = 256;
/// Names written of one finding.
pub const NAMES_MAX: usize = 32;
/// Greatest count that the standard allows for what was observed.
const OBSERVED_MAX: u64 = 999_999_999;
/// When the identity and its like were made: they never change.
const MADE: &str = "2026-01-01T00:00:00.000Z";
/// The extension that carries TLP 2.0 (OASIS common objects).
const TLP_EXTENSION: &str = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d";

/// Writes the bundle.
pub fn write(out: &mut dyn Write, findings: &[Finding], tlp: Tlp) -> io::Result<()> {
    write_json_line(out, &bundle(findings, tlp))
}

/// Objects by id: what two findings share stands once.
struct Bundle {
    objects: BTreeMap<String, Value>,
    order: Vec<String>,
    marking: &'static str,
    identity: String,
}

fn bundle(findings: &[Finding], tlp: Tlp) -> Value {
    let (marking, name) = marking_of(tlp);
    let identity = of_object("identity", "trawlwatch");
    let mut bundle = Bundle { objects: BTreeMap::new(), order: Vec::new(), marking, identity };
    bundle.put(json!({
        "type": "marking-definition", "spec_version": "2.1", "id": marking, "created": "2022-10-01T00:00:00.000Z",
        "name": tlp.label(),
        "extensions": { TLP_EXTENSION: { "extension_type": "property-extension", "tlp_2_0": name } },
    }));
    bundle.put(json!({
        "type": "identity", "spec_version": "2.1", "id": bundle.identity, "created": MADE, "modified": MADE,
        "name": "Trawlwatch", "identity_class": "system",
        "description": "A detector of bulk collection of personal data in network traffic.",
    }));
    findings.iter().for_each(|finding| bundle.finding(finding));
    let what: Vec<String> = findings.iter().map(|f| format!("{} {} {}", finding_id(f), f.start.0, f.end.0)).collect();
    let id = format!("bundle--{}", uuid_of(&format!("bundle {name} {}", what.join(" "))));
    let Bundle { mut objects, order, .. } = bundle;
    let objects: Vec<Value> = order.iter().filter_map(|id| objects.remove(id)).collect();
    json!({ "type": "bundle", "id": id, "objects": objects })
}

/// The id of a level's marking, and its word in the extension.
fn marking_of(tlp: Tlp) -> (&'static str, &'static str) {
    match tlp {
        Tlp::Clear => ("marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487", "clear"),
        Tlp::Green => ("marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb", "green"),
        Tlp::Amber => ("marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421", "amber"),
        Tlp::AmberStrict => ("marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003", "amber+strict"),
        Tlp::Red => ("marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1", "red"),
    }
}

impl Bundle {
    fn put(&mut self, object: Value) -> String {
        let id = object["id"].as_str().unwrap_or_default().to_owned();
        if !self.objects.contains_key(&id) {
            self.order.push(id.clone());
            self.objects.insert(id.clone(), object);
        }
        id
    }

    /// A cyber observable; `rest` has what does not make its id.
    fn observe(&mut self, kind: &str, contributing: Value, rest: Value) -> String {
        let id = of_observable(kind, &contributing);
        let mut object = json!({ "type": kind, "spec_version": "2.1", "id": id });
        for part in [contributing, rest] {
            if let (Some(object), Value::Object(part)) = (object.as_object_mut(), part) {
                object.extend(part);
            }
        }
        self.put(object)
    }

    /// An object of our own making.
    fn made(&mut self, kind: &str, what: &str, at: &str, properties: Value) -> String {
        let mut object = json!({
            "type": kind, "spec_version": "2.1", "id": of_object(kind, what), "created": at, "modified": at,
            "created_by_ref": self.identity, "object_marking_refs": [self.marking],
        });
        if let (Some(object), Value::Object(properties)) = (object.as_object_mut(), properties) {
            object.extend(properties);
        }
        self.put(object)
    }

    fn finding(&mut self, finding: &Finding) {
        // The same finding, grown, is another observation: the span is part of what it is.
        let what = format!("{} {} {}", finding_id(finding), finding.start.0, finding.end.0);
        let (first, last) = (time(finding.start), time(finding.end));
        let (observed, about_traffic) = self.observables(finding);
        if observed.is_empty() {
            return;
        }
        let count = finding.flows.clamp(1, OBSERVED_MAX);
        let data = self.made(
            "observed-data",
            &what,
            &last,
            json!({
                "first_observed": first, "last_observed": last, "number_observed": count, "object_refs": observed,
            }),
        );
        let mut explained = vec![data.clone()];
        if !matches!(finding.verdict, Verdict::Authorised { .. }) {
            let indicator = self.indicator(finding, &last, about_traffic);
            self.made(
                "sighting",
                &what,
                &last,
                json!({
                    "first_seen": first, "last_seen": last, "count": count, "sighting_of_ref": indicator,
                    "observed_data_refs": [data], "where_sighted_refs": [self.identity],
                }),
            );
            explained.push(indicator);
        }
        self.made(
            "note",
            &what,
            &last,
            json!({
                "abstract": finding.headline, "content": note_of(finding), "object_refs": explained,
                "labels": [finding.technique.id()],
            }),
        );
    }

    fn indicator(&mut self, finding: &Finding, at: &str, pattern: String) -> String {
        let kind = if finding.severity >= Severity::High { "malicious-activity" } else { "anomalous-activity" };
        self.made(
            "indicator",
            &finding_id(finding),
            at,
            json!({
                "name": format!("{} by {}", finding.technique.id(), who(finding)),
                "description": finding.headline, "indicator_types": [kind], "pattern": pattern, "pattern_type": "stix",
                "valid_from": time(finding.start), "confidence": (finding.score.clamp(0.0, 1.0) * 100.0).round() as u64,
                "labels": [finding.technique.id(), finding.severity.name()],
            }),
        )
    }

    /// What was seen, and the pattern that finds it again.
    fn observables(&mut self, finding: &Finding) -> (Vec<String>, String) {
        let collector = &finding.collector;
        let mut seen = Vec::new();
        let system =
            collector.asn.map(|number| self.observe("autonomous-system", json!({ "number": number }), json!({})));
        seen.extend(system.clone());
        let mut patterns = Vec::new();
        for address in collector.addresses.iter().take(ADDRESSES_MAX).map(|address| address.to_ip()) {
            let (kind, network) = match address {
                IpAddr::V4(_) => ("ipv4-addr", "ipv4"),
                IpAddr::V6(_) => ("ipv6-addr", "ipv6"),
            };
            let rest = system.as_ref().map_or(json!({}), |system| json!({ "belongs_to_refs": [system] }));
            let id = self.observe(kind, json!({ "value": address.to_string() }), rest);
            let (contributing, rest) = traffic(finding, &id, network);
            let traffic = self.observe("network-traffic", contributing, rest);
            seen.extend([id, traffic]);
            let port = collector.ports.first().map(|port| format!(" AND network-traffic:dst_port = {port}"));
            patterns.push(format!("network-traffic:dst_ref.value = '{address}'{}", port.unwrap_or_default()));
        }
        for name in collector.names.iter().take(NAMES_MAX).filter(|name| is_domain(name)) {
            seen.push(self.observe("domain-name", json!({ "value": name }), json!({})));
            patterns.push(format!("domain-name:value = '{name}'"));
        }
        seen.dedup();
        (seen, format!("[{}]", patterns.join(" OR ")))
    }
}

/// Traffic to one address of the collector: the sender is the population and stays unnamed.
fn traffic(finding: &Finding, to: &str, network: &str) -> (Value, Value) {
    let mut protocols = vec![network.to_owned()];
    protocols.extend(Some(finding.proto.to_ascii_lowercase()).filter(|proto| !matches!(proto.as_str(), "" | "ip")));
    protocols.extend(finding.app_proto.map(str::to_owned));
    let mut contributing = Map::new();
    contributing.insert("start".into(), time(finding.start).into());
    contributing.insert("end".into(), time(finding.end).into());
    contributing.insert("dst_ref".into(), to.into());
    if let Some(port) = finding.collector.ports.first() {
        contributing.insert("dst_port".into(), (*port).into());
    }
    contributing.insert("protocols".into(), protocols.into());
    let mut rest = Map::new();
    rest.insert("is_active".into(), false.into());
    // Totals are the finding's: they belong to one address only where there is one.
    if finding.collector.addresses.len() == 1 {
        rest.insert("src_byte_count".into(), finding.bytes_up.into());
        rest.insert("dst_byte_count".into(), finding.bytes_down.into());
    }
    (Value::Object(contributing), Value::Object(rest))
}

/// Whether a name from the wire is one that a `domain-name` may hold; nothing else gets into a pattern.
pub(super) fn is_domain(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
    };
    name.len() <= 253 && name.contains('.') && name.split('.').all(label) && name.parse::<IpAddr>().is_err()
}

/// The collector as a short name.
pub(super) fn who(finding: &Finding) -> String {
    let collector = &finding.collector;
    let name = collector.names.iter().find(|name| is_domain(name)).cloned();
    let address = || collector.addresses.first().map(ToString::to_string);
    name.or_else(address).unwrap_or_else(|| collector.collector_key.clone())
}

/// What a person should know, counts instead of people.
pub(super) fn note_of(finding: &Finding) -> String {
    let population = &finding.population;
    let register = match &finding.verdict {
        Verdict::Unregistered => "No register entry covers it.".to_owned(),
        Verdict::Authorised { name, reference } => format!("Authorised by {name} ({reference})."),
        Verdict::Refused { name, reference, reason } => {
            format!("{name} ({reference}) does not authorise it: {reason}.")
        }
    };
    format!(
        "{}\n\nTechnique {} (score {:.2}, p {:.2e}), severity {}. {} subscribers of {}, {} addresses of the collector. {register}",
        finding.explanation,
        finding.technique.id(),
        finding.score,
        finding.p_value,
        finding.severity.name(),
        population.subscribers,
        population.name,
        finding.collector.addresses.len(),
    )
}

/// STIX time: RFC 3339 in UTC with milliseconds.
pub(super) fn time(ts: TimestampNs) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(ts.0)).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    fn written(findings: &[Finding]) -> Value {
        let mut out = Vec::new();
        write(&mut out, findings, Tlp::Amber).expect("a vector takes all");
        serde_json::from_slice(&out).expect("JSON")
    }

    fn objects<'a>(bundle: &'a Value, kind: &str) -> Vec<&'a Value> {
        let all = bundle["objects"].as_array().expect("objects");
        all.iter().filter(|object| object["type"] == kind).collect()
    }

    #[test]
    fn a_finding_becomes_what_others_can_look_for() {
        let bundle = written(&[samples::fan_in(), samples::authorised(), samples::injection()]);
        for (kind, wanted) in [
            ("marking-definition", 1),
            ("identity", 1),
            ("ipv4-addr", 3),
            ("observed-data", 3),
            ("indicator", 2),
            ("sighting", 2),
            ("note", 3),
        ] {
            assert_eq!(objects(&bundle, kind).len(), wanted, "{kind}");
        }
        let indicator = objects(&bundle, "indicator")[0];
        let pattern = indicator["pattern"].as_str().expect("a pattern");
        assert!(pattern.contains("network-traffic:dst_ref.value = '203.0.113.7'"), "{pattern}");
        assert!(pattern.contains("domain-name:value = 'c.example'"), "{pattern}");
    }

    #[test]
    fn every_reference_leads_to_an_object() {
        let bundle = written(&[samples::fan_in(), samples::refused()]);
        let all = bundle["objects"].as_array().expect("objects");
        let known: Vec<&str> = all.iter().filter_map(|object| object["id"].as_str()).collect();
        for object in all.iter().filter_map(Value::as_object) {
            for (key, value) in object.iter().filter(|(key, _)| key.ends_with("_ref") || key.ends_with("_refs")) {
                let ids = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
                for id in ids {
                    assert!(known.contains(&id.as_str().unwrap_or_default()), "{}: {key} {id}", object["id"]);
                }
            }
        }
    }

    #[test]
    fn no_subscriber_and_no_odd_name_gets_in() {
        let mut finding = samples::fan_in();
        finding.collector.names = vec!["a' OR [x".into(), "c.example".into(), "10.1.2.3".into()];
        let text = written(&[finding.clone()]).to_string();
        for subscriber in &finding.population.sample {
            assert!(!text.contains(&subscriber.to_string()), "{subscriber}");
        }
        assert!(!text.contains("OR [x"));
        assert_eq!(written(&[finding.clone()]), written(&[finding]), "the same bytes in every run");
    }
}
