//! `--format eve`: for readers that hold every line against Suricata's published schema (`etc/schema.json`).
//! In: a judged finding, or the account of the run. Out: an `alert` whose root and `alert` hold known keys only, ours in
//! `alert.metadata` (key → array of strings, which the schema leaves open since Suricata 7), or a `stats` with the
//! counters that the schema knows.
//! Left out of `stats`: what has no key there (drops by cause, limits, files, timings); `--format json` has it.

use std::io::{self, Write};

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::escape::write_json_line;
use super::figures::{eve_time, finite};
use super::finding_id;
use super::json::{Alert, Outer, stats_time};
use super::stats::{RunStats, total};
use crate::detect::finding::{Evidence, EvidenceValue, Finding, Verdict};
use crate::privacy::Reveal;

/// Writes a finding as one line.
pub fn write_finding(out: &mut dyn Write, finding: &Finding, reveal: &Reveal) -> io::Result<()> {
    write_change(out, finding, None, reveal)
}

/// Writes a finding of a live run, with what became of it: `trawl_change`.
pub(super) fn write_change(
    out: &mut dyn Write,
    finding: &Finding,
    change: Option<&'static str>,
    reveal: &Reveal,
) -> io::Result<()> {
    let mut metadata = metadata(finding, reveal);
    metadata.0.extend(change.map(|change| ("trawl_change", vec![change.to_owned()])));
    let alert = EveAlert { alert: Alert::of(finding), metadata };
    write_json_line(out, &Line { outer: Outer::of(finding, reveal), alert })
}

/// Writes the line that closes the stream.
pub fn write_stats(out: &mut dyn Write, stats: &RunStats) -> io::Result<()> {
    let decoder = Decoder { pkts: stats.packets, bytes: stats.bytes, invalid: total(&stats.decode_errors) };
    let body = StatsBody { decoder, flow: FlowCounters { total: stats.flows } };
    write_json_line(out, &StatsLine { timestamp: stats_time(stats), event_type: "stats", stats: body })
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    outer: Outer<'a>,
    alert: EveAlert<'a>,
}

#[derive(Serialize)]
struct EveAlert<'a> {
    #[serde(flatten)]
    alert: Alert<'a>,
    metadata: Metadata,
}

/// Keys with their values, in the order in which they are written.
struct Metadata(Vec<(&'static str, Vec<String>)>);

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, values) in &self.0 {
            map.serialize_entry(key, values)?;
        }
        map.end()
    }
}

/// The fields of `trawl`, flattened. The prefix keeps them apart from the keys that rule writers use (`policy`, `tag` …).
fn metadata(finding: &Finding, reveal: &Reveal) -> Metadata {
    let (collector, population) = (&finding.collector, &finding.population);
    let (authorised, refused) = match &finding.verdict {
        Verdict::Unregistered => (vec![], vec![]),
        Verdict::Authorised { name, reference } => (vec![name.clone(), reference.clone()], vec![]),
        Verdict::Refused { name, reference, reason } => (vec![], vec![name.clone(), reference.clone(), reason.clone()]),
    };
    let sample = population.sample.iter().map(|pseudonym| reveal.shown(*pseudonym).to_string()).collect();
    let all = vec![
        ("trawl_finding_id", vec![finding_id(finding)]),
        ("trawl_technique", vec![finding.technique.id().to_owned()]),
        ("trawl_principles", finding.technique.principles().iter().map(ToString::to_string).collect()),
        ("trawl_severity", vec![finding.severity.name().to_owned()]),
        ("trawl_score", number(finding.score)),
        ("trawl_p_value", number(finding.p_value)),
        ("trawl_collector_addresses", collector.addresses.iter().map(ToString::to_string).collect()),
        ("trawl_collector_ports", collector.ports.iter().map(ToString::to_string).collect()),
        ("trawl_collector_prefix", collector.prefix.iter().cloned().collect()),
        ("trawl_collector_asn", collector.asn.iter().map(ToString::to_string).collect()),
        ("trawl_collector_country", collector.country.iter().cloned().collect()),
        ("trawl_collector_names", collector.names.clone()),
        ("trawl_population", vec![population.name.clone()]),
        ("trawl_subscribers", vec![population.subscribers.to_string()]),
        ("trawl_coverage", number(population.coverage)),
        ("trawl_sample", sample),
        ("trawl_window_start", vec![eve_time(finding.start)]),
        ("trawl_window_end", vec![eve_time(finding.end)]),
        ("trawl_flows", vec![finding.flows.to_string()]),
        ("trawl_packets", vec![finding.packets.to_string()]),
        ("trawl_bytes_up", vec![finding.bytes_up.to_string()]),
        ("trawl_bytes_down", vec![finding.bytes_down.to_string()]),
        ("trawl_evidence", finding.evidence.iter().map(evidence).collect()),
        ("trawl_authorised", authorised),
        ("trawl_refused", refused),
        ("trawl_explanation", vec![finding.explanation.clone()]),
    ];
    Metadata(all.into_iter().filter(|(_, values)| !values.is_empty()).collect())
}

/// `upload_share=0.97 unit=ratio baseline_median=0.11 baseline_p99=0.62 weight=0.4`.
fn evidence(evidence: &Evidence) -> String {
    let mut out = match &evidence.value {
        EvidenceValue::Number(value) => format!("{}={}", evidence.feature, shortest(*value)),
        EvidenceValue::Text(text) => format!("{}={text}", evidence.feature),
    };
    if !evidence.unit.is_empty() {
        out.push_str(&format!(" unit={}", evidence.unit));
    }
    let rest = [
        ("baseline_median", evidence.baseline_median),
        ("baseline_p99", evidence.baseline_p99),
        ("weight", Some(evidence.weight)),
    ];
    for (key, value) in rest {
        if let Some(value) = value.and_then(finite) {
            out.push_str(&format!(" {key}={value}"));
        }
    }
    out
}

fn number(value: f64) -> Vec<String> {
    finite(value).map(|value| value.to_string()).into_iter().collect()
}

fn shortest(value: f64) -> String {
    finite(value).map_or_else(|| "null".to_owned(), |value| value.to_string())
}

#[derive(Serialize)]
struct StatsLine {
    timestamp: String,
    event_type: &'static str,
    stats: StatsBody,
}

#[derive(Serialize)]
struct StatsBody {
    decoder: Decoder,
    flow: FlowCounters,
}

#[derive(Serialize)]
struct Decoder {
    pkts: u64,
    bytes: u64,
    invalid: u64,
}

#[derive(Serialize)]
struct FlowCounters {
    total: u64,
}

#[cfg(test)]
mod tests;
