//! `--format json`: one object a line, in the order of the contract's fields.
//! In: a judged finding, or the account of the run. Out: Suricata's EVE `alert` with ours under `trawl`, or the closing
//! `stats`.
//! Bounds: one line is built in memory and written at once, so a broken pipe never leaves half a line behind.
//! Numbers are finite: a value that cannot be measured is `null`.
//!
//! `community_id` is a plain hash over real addresses and ports. Of a population whose prefix is known, every address can be
//! tried in seconds, so it would undo the pseudonyms: it is written only where real addresses are shown (`--reveal`).

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::IpAddr;

use serde::Serialize;

use super::escape::write_json_line;
use super::figures::{eve_time, finite};
use super::finding_id;
use super::stats::{Counts, FileStats, RunStats};
use crate::detect::finding::{Evidence, EvidenceValue, Finding, Verdict};
use crate::privacy::Reveal;
use crate::units::TimestampNs;

/// Writes a finding as one line.
pub fn write_finding(out: &mut dyn Write, finding: &Finding, reveal: &Reveal) -> io::Result<()> {
    write_change(out, finding, None, reveal)
}

/// Writes a finding of a live run, with what became of it: `trawl.change`.
pub(super) fn write_change(
    out: &mut dyn Write,
    finding: &Finding,
    change: Option<&'static str>,
    reveal: &Reveal,
) -> io::Result<()> {
    let trawl = Trawl { change, ..Trawl::of(finding, reveal) };
    write_json_line(out, &Line { outer: Outer::of(finding, reveal), alert: Alert::of(finding), trawl })
}

/// Writes the line that closes the stream.
pub fn write_stats(out: &mut dyn Write, stats: &RunStats) -> io::Result<()> {
    let line = StatsLine { timestamp: stats_time(stats), event_type: "stats", stats: StatsBody::of(stats) };
    write_json_line(out, &line)
}

/// When the account was closed: the last packet's time, never the wall clock's.
pub(super) fn stats_time(stats: &RunStats) -> String {
    eve_time(stats.span.map_or(TimestampNs::ZERO, |(_, last)| last))
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    outer: Outer<'a>,
    alert: Alert<'a>,
    trawl: Trawl<'a>,
}

/// The fields before `alert`; what is not known is left out, as Suricata does.
#[derive(Serialize)]
pub(super) struct Outer<'a> {
    timestamp: String,
    event_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dest_ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "str::is_empty")]
    proto: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dest_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_proto: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    community_id: Option<&'a str>,
}

impl<'a> Outer<'a> {
    /// `timestamp` is the last packet that belongs to the finding: the moment from which it could be known.
    pub(super) fn of(finding: &'a Finding, reveal: &Reveal) -> Self {
        Self {
            timestamp: eve_time(finding.end),
            event_type: "alert",
            src_ip: finding.population.prefixes.first().and_then(|prefix| network(prefix)),
            dest_ip: finding.collector.addresses.first().map(|address| address.to_ip()),
            proto: finding.proto,
            dest_port: finding.collector.ports.first().copied(),
            app_proto: finding.app_proto,
            community_id: finding.community_id.as_deref().filter(|_| reveal.is_real()),
        }
    }
}

/// The network address of a prefix in CIDR form, or a plain address.
fn network(prefix: &str) -> Option<IpAddr> {
    match prefix.parse::<ipnet::IpNet>() {
        Ok(net) => Some(net.network()),
        Err(_) => prefix.parse().ok(),
    }
}

#[derive(Serialize)]
pub(super) struct Alert<'a> {
    action: &'static str,
    signature_id: u32,
    rev: u32,
    signature: &'a str,
    category: &'static str,
    severity: u8,
}

impl<'a> Alert<'a> {
    pub(super) fn of(finding: &'a Finding) -> Self {
        Self {
            action: "allowed",
            signature_id: finding.technique.signature_id(),
            rev: 1,
            signature: &finding.headline,
            category: finding.technique.id(),
            severity: finding.severity.eve(),
        }
    }
}

#[derive(Serialize)]
struct Trawl<'a> {
    finding_id: String,
    /// Only in live runs: `new`, `grown` or `ended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<&'static str>,
    technique: &'static str,
    principles: &'static [u8],
    severity: &'static str,
    score: f64,
    p_value: f64,
    collector: Collector<'a>,
    population: Population<'a>,
    window: Window,
    flows: u64,
    packets: u64,
    bytes_up: u64,
    bytes_down: u64,
    evidence: Vec<EvidenceLine<'a>>,
    authorised: Option<Entry<'a>>,
    /// Only where an entry nearly covers the finding. Not inside `authorised`: who asks whether that is null must not take
    /// a refusal for a permission.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<Refusal<'a>>,
    explanation: &'a str,
}

#[derive(Serialize)]
struct Collector<'a> {
    addresses: Vec<IpAddr>,
    ports: &'a [u16],
    prefix: Option<&'a str>,
    asn: Option<u32>,
    country: Option<&'a str>,
    names: &'a [String],
}

#[derive(Serialize)]
struct Population<'a> {
    name: &'a str,
    subscribers: u64,
    coverage: Option<f64>,
    sample: Vec<String>,
}

#[derive(Serialize)]
struct Window {
    start: String,
    end: String,
}

#[derive(Serialize)]
struct EvidenceLine<'a> {
    feature: &'static str,
    value: Value<'a>,
    unit: &'static str,
    baseline_median: Option<f64>,
    baseline_p99: Option<f64>,
    weight: Option<f64>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Value<'a> {
    Number(Option<f64>),
    Text(&'a str),
}

#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    reference: &'a str,
}

#[derive(Serialize)]
struct Refusal<'a> {
    name: &'a str,
    reference: &'a str,
    reason: &'a str,
}

impl<'a> Trawl<'a> {
    fn of(finding: &'a Finding, reveal: &Reveal) -> Self {
        let (collector, population) = (&finding.collector, &finding.population);
        let (authorised, refused) = match &finding.verdict {
            Verdict::Unregistered => (None, None),
            Verdict::Authorised { name, reference } => (Some(Entry { name, reference }), None),
            Verdict::Refused { name, reference, reason } => (None, Some(Refusal { name, reference, reason })),
        };
        Self {
            finding_id: finding_id(finding),
            change: None,
            technique: finding.technique.id(),
            principles: finding.technique.principles(),
            severity: finding.severity.name(),
            score: finite(finding.score).unwrap_or(0.0),
            p_value: finite(finding.p_value).unwrap_or(1.0),
            collector: Collector {
                addresses: collector.addresses.iter().map(|address| address.to_ip()).collect(),
                ports: &collector.ports,
                prefix: collector.prefix.as_deref(),
                asn: collector.asn,
                country: collector.country.as_deref(),
                names: &collector.names,
            },
            population: Population {
                name: &population.name,
                subscribers: population.subscribers,
                coverage: finite(population.coverage),
                sample: population.sample.iter().map(|pseudonym| reveal.shown(*pseudonym).to_string()).collect(),
            },
            window: Window { start: eve_time(finding.start), end: eve_time(finding.end) },
            flows: finding.flows,
            packets: finding.packets,
            bytes_up: finding.bytes_up,
            bytes_down: finding.bytes_down,
            evidence: finding.evidence.iter().map(EvidenceLine::of).collect(),
            authorised,
            refused,
            explanation: &finding.explanation,
        }
    }
}

impl<'a> EvidenceLine<'a> {
    fn of(evidence: &'a Evidence) -> Self {
        Self {
            feature: evidence.feature,
            value: match &evidence.value {
                EvidenceValue::Number(value) => Value::Number(finite(*value)),
                EvidenceValue::Text(text) => Value::Text(text),
            },
            unit: evidence.unit,
            baseline_median: evidence.baseline_median.and_then(finite),
            baseline_p99: evidence.baseline_p99.and_then(finite),
            weight: finite(evidence.weight),
        }
    }
}

#[derive(Serialize)]
struct StatsLine<'a> {
    timestamp: String,
    event_type: &'static str,
    stats: StatsBody<'a>,
}

#[derive(Serialize)]
struct StatsBody<'a> {
    first_packet: Option<String>,
    last_packet: Option<String>,
    frames: u64,
    packets: u64,
    bytes: u64,
    flows: u64,
    flow_rows: u64,
    windows: u64,
    drops: &'a Counts,
    decode_errors: &'a Counts,
    limits: &'a Counts,
    files: Vec<FileLine<'a>>,
    populations: &'a [String],
    looked_for: Vec<&'static str>,
    not_seen: &'a [String],
    timings: BTreeMap<&'static str, Option<f64>>,
}

#[derive(Serialize)]
struct FileLine<'a> {
    path: &'a str,
    frames: u64,
    bytes: u64,
    faults: &'a Counts,
    first_fault: Option<&'a str>,
}

impl<'a> StatsBody<'a> {
    fn of(stats: &'a RunStats) -> Self {
        Self {
            first_packet: stats.span.map(|(first, _)| eve_time(first)),
            last_packet: stats.span.map(|(_, last)| eve_time(last)),
            frames: stats.frames,
            packets: stats.packets,
            bytes: stats.bytes,
            flows: stats.flows,
            flow_rows: stats.flow_rows,
            windows: stats.windows,
            drops: &stats.drops,
            decode_errors: &stats.decode_errors,
            limits: &stats.limits,
            files: stats.files.iter().map(FileLine::of).collect(),
            populations: &stats.populations,
            looked_for: stats.looked_for.iter().map(|technique| technique.id()).collect(),
            not_seen: &stats.not_seen,
            timings: stats.timings.iter().map(|(stage, s)| (*stage, finite(*s))).collect(),
        }
    }
}

impl<'a> FileLine<'a> {
    fn of(file: &'a FileStats) -> Self {
        Self {
            path: &file.path,
            frames: file.frames,
            bytes: file.bytes,
            faults: &file.faults,
            first_fault: file.first_fault.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests;
