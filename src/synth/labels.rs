//! Labels and policy: what is written beside a capture, as CONTRACT.md lays it down.
//! In: tallies of what was really written. Out: `NAME.labels.json`, `NAME.policy.toml`. Bounds: a line an operation.

use std::fmt::Write as _;

use serde::Serialize;

use super::programs::knobs::Knobs;
use super::programs::{Program, Role};
use super::stage::Tally;
use crate::units::TimestampNs;

/// Prefixes of the town's homes.
pub(crate) const POPULATION: [&str; 2] = ["10.20.0.0/16", "2001:db8:20::/48"];

/// What the register of the policy says of one collector.
#[derive(Clone, Debug)]
pub(crate) struct Registered {
    pub(crate) name: String,
    pub(crate) collectors: Vec<String>,
    pub(crate) reference: String,
}

#[derive(Serialize)]
struct Labels<'a> {
    version: u32,
    capture: &'a str,
    population: [&'a str; 2],
    policy: &'a str,
    operations: Vec<OperationLabel<'a>>,
    benign: Vec<BenignLabel<'a>>,
}

#[derive(Serialize)]
struct OperationLabel<'a> {
    technique: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'a str>,
    collectors: Vec<String>,
    start: String,
    end: String,
    subscribers: u64,
}

#[derive(Serialize)]
struct BenignLabel<'a> {
    kind: &'a str,
    parties: Vec<String>,
    why_hard: &'a str,
}

/// The labels as JSON. An operation that wrote no packet is left out: there is nothing to find.
pub(crate) fn labels(capture: &str, policy: &str, programs: &[(&'static Program, Knobs)], tallies: &[Tally]) -> String {
    let parties = |tally: &Tally| tally.parties.iter().map(ToString::to_string).collect();
    let mut labels =
        Labels { version: 1, capture, population: POPULATION, policy, operations: Vec::new(), benign: Vec::new() };
    for ((program, knobs), tally) in programs.iter().zip(tallies) {
        match (program.role, tally.first) {
            (Role::Operation(technique), Some(first)) => labels.operations.push(OperationLabel {
                technique: technique.id(),
                variant: knobs.variant(),
                collectors: parties(tally),
                start: iso(first),
                end: iso(tally.last),
                subscribers: tally.subscribers.len() as u64,
            }),
            (Role::Operation(_), None) => {}
            (Role::Negative, _) => {
                labels.benign.push(BenignLabel { kind: program.kind, parties: parties(tally), why_hard: program.fact });
            }
        }
    }
    let mut text = serde_json::to_string_pretty(&labels).unwrap_or_default();
    text.push('\n');
    text
}

/// The policy as TOML.
pub(crate) fn policy(registered: &[Registered]) -> String {
    let mut text = String::from("[[population]]\nname = \"residents\"\n");
    let prefixes = POPULATION.map(|prefix| format!("\"{prefix}\"")).join(", ");
    let _ = write!(text, "prefixes = [{prefixes}]\njurisdiction = \"NL\"\nresolvers = [\"192.0.2.53\"]\n");
    for entry in registered {
        let collectors: Vec<_> = entry.collectors.iter().map(|collector| format!("\"{collector}\"")).collect();
        let _ = write!(
            text,
            "\n[[authorised]]\nname = \"{}\"\ncollectors = [{}]\npopulations = [\"residents\"]\n\
             techniques = [\"population-fan-in\"]\nlegal_basis = \"contract\"\nreference = \"{}\"\nexpires = 2031-01-01\n\
             max_bytes_per_subscriber_per_day = \"4 MiB\"\n",
            entry.name,
            collectors.join(", "),
            entry.reference
        );
    }
    text
}

/// A time as ISO 8601 in UTC.
pub(crate) fn iso(at: TimestampNs) -> String {
    match jiff::Timestamp::from_nanosecond(i128::from(at.0)) {
        Ok(time) => time.to_string(),
        Err(_) => String::from("9999-12-31T23:59:59Z"),
    }
}
