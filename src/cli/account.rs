//! The account: what every room counted, put into one record for the reports.
//! In: the pipeline's outcome, the analyst's account. Out: [`RunStats`].

use std::collections::BTreeMap;

use super::setting::Setting;
use crate::capture::FaultCost;
use crate::detect::DETECTORS;
use crate::detect::analyst::Account;
use crate::packet::{Reject, RejectClass};
use crate::pipeline::Outcome;
use crate::report::RunStats;
use crate::report::stats::{Counts, FileStats};

/// Puts the counters of a run together.
pub fn of(outcome: &Outcome, analyst: &Account, setting: &Setting) -> RunStats {
    let rejects = |class| {
        let met = Reject::ALL.into_iter().filter(move |reject| reject.class() == class);
        met.map(|reject| (reject.name(), outcome.rejects.of(reject))).filter(|(_, n)| *n > 0)
    };
    let mut limits: Counts = rejects(RejectClass::Limit).collect();
    limits.extend(flow_limits(outcome).into_iter().filter(|(_, n)| *n > 0));
    limits.extend(analyst.limits.iter().filter(|(_, n)| **n > 0).map(|(name, n)| (*name, *n)));
    RunStats {
        span: outcome.span,
        frames: outcome.frames,
        packets: outcome.flows.packets,
        bytes: outcome.wire_bytes,
        flows: outcome.flows.flows,
        flow_rows: outcome.flows.rows,
        windows: outcome.windows,
        drops: drops(outcome),
        decode_errors: rejects(RejectClass::Damaged)
            .chain(rejects(RejectClass::Unknown))
            .chain(rejects(RejectClass::CutShort))
            .collect(),
        limits,
        files: outcome.files.iter().map(file).collect(),
        populations: setting.populations.iter().map(|(_, spec)| spec.name.clone()).collect(),
        looked_for: DETECTORS.iter().map(|detector| detector.technique).collect(),
        not_seen: analyst.not_seen.clone(),
        timings: timings(outcome),
    }
}

/// Limits of the flow stage, by the name of what could not be kept.
fn flow_limits(outcome: &Outcome) -> [(&'static str, u64); 5] {
    let flows = &outcome.flows;
    [
        ("flows-evicted", flows.evicted),
        ("address-pairs-forgotten", flows.pairs_forgotten),
        ("observations-left-out", flows.observations_dropped),
        ("openings-not-parsed", flows.app_refused),
        ("segments-overwritten", flows.segments_overwritten),
    ]
}

/// What never reached the analysis.
fn drops(outcome: &Outcome) -> Counts {
    let by_capture = outcome.files.iter().map(|file| file.frames_dropped_by_capture).sum();
    let (fragments, _) = outcome.rejects.fragments_lost();
    [("by-the-capturing-program", by_capture), ("fragments-never-completed", fragments)]
        .into_iter()
        .filter(|(_, n)| *n > 0)
        .collect()
}

fn file(report: &crate::capture::FileReport) -> FileStats {
    FileStats {
        path: report.path.to_string(),
        frames: report.frames,
        bytes: report.bytes,
        faults: report
            .faults
            .met()
            .filter(|(kind, _)| kind.cost() == FaultCost::Damage)
            .map(|(kind, n)| (kind.name(), n))
            .collect(),
        first_fault: report.first_fault.clone(),
    }
}

fn timings(outcome: &Outcome) -> BTreeMap<&'static str, f64> {
    let timings = &outcome.timings;
    BTreeMap::from([
        ("read_s", timings.read_seconds),
        ("parse_s", timings.parse_seconds),
        ("flow_s", timings.flow_seconds),
        ("summary_s", timings.summary_seconds),
        ("batch_p50_us", timings.batch_us.value_at_quantile(0.5) as f64),
        ("batch_p99_us", timings.batch_us.value_at_quantile(0.99) as f64),
        ("peak_memory_bytes", peak_memory_bytes().unwrap_or(0) as f64),
    ])
}

/// Resident memory at its highest, where the system tells it (Linux).
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
