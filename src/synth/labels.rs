//! Labels and policy: what is written beside a capture, as CONTRACT.md lays it down.
//! In: tallies of what was really written. Out: `NAME.labels.json`, `NAME.policy.toml`. Bounds: a line an operation.

use std::fmt::Write as _;

use serde::Serialize;

use super::programs::knobs::Knobs;
use super::programs::{Program, Role};
use super::stage::Tally;
use super::town::world::World;
use crate::units::TimestampNs;

/// The files that the labels name.
pub(crate) struct Files<'a> {
    pub(crate) capture: &'a str,
    pub(crate) policy: &'a str,
    pub(crate) geo: Option<&'a str>,
}

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
    #[serde(skip_serializing_if = "Option::is_none")]
    geo: Option<&'a str>,
    seed: u64,
    world: &'a str,
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
pub(crate) fn labels(
    files: &Files,
    (world, seed): (&World, u64),
    programs: &[(&'static Program, Knobs)],
    tallies: &[Tally],
) -> String {
    let parties = |tally: &Tally| tally.parties.iter().map(ToString::to_string).collect();
    let Files { capture, policy, geo } = *files;
    let population = world.prefixes;
    let mut labels = Labels {
        version: 1,
        capture,
        population,
        policy,
        geo,
        seed,
        world: world.name,
        operations: Vec::new(),
        benign: Vec::new(),
    };
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

/// The policy as TOML; `more` are whole tables that programs add.
pub(crate) fn policy(world: &World, registered: &[Registered], more: &[String]) -> String {
    let mut text = String::from("[[population]]\nname = \"residents\"\n");
    let prefixes = world.prefixes.map(|prefix| format!("\"{prefix}\"")).join(", ");
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
    for table in more {
        let _ = write!(text, "\n{}\n", table.trim_end());
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
