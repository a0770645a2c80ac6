//! Judged: one labelled capture after its replay.
//! In: labels, findings, when they were first seen, baselines. Out: what scoring needs of them, and which finding hits what.
//! A finding hits an operation when the technique is equal, one of its collector addresses is among the operation's, and
//! the spans overlap. A finding at `medium` or above that hits none is false, each once (CONTRACT.md). What the register
//! authorises is no alarm: neither hit nor false.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::ablation::Profiled;
use super::baselines::Candidate;
use super::labels::{Benign, Labels, Operation};
use crate::detect::finding::{Finding, Severity, Technique, Verdict};
use crate::detect::ledger::FirstSeen;
use crate::units::{Address, DurationNs, TimestampNs};

/// One labelled capture after its replay.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The labels' file name, without its ending.
    pub name: String,
    /// What is known of it.
    pub labels: Labels,
    /// What was said of it, and is not authorised.
    pub findings: Vec<Found>,
    /// Its length in days of capture time.
    pub days: f64,
    /// Length of a window.
    pub window: DurationNs,
    /// Far parties seen.
    pub far_parties: u64,
    /// What the trivial baselines rank, strongest first.
    pub baselines: BTreeMap<Technique, Vec<Candidate>>,
    /// Profiles of its collectors over the last day.
    pub profiles: Vec<Profiled>,
    /// Whether part of it was damaged or lost.
    pub lossy: bool,
}

/// As much of a finding as scoring needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The technique.
    pub technique: Technique,
    /// After the register has spoken.
    pub severity: Severity,
    /// 0 to 1.
    pub score: f64,
    /// Promised probability of such a score among benign traffic.
    pub p_value: f64,
    /// The collector's addresses, sorted.
    pub addresses: Vec<Address>,
    /// First packet.
    pub start: TimestampNs,
    /// Last packet.
    pub end: TimestampNs,
    /// End of the horizon in which it first reached `medium`.
    pub first_seen: Option<TimestampNs>,
    /// One sentence.
    pub headline: String,
}

impl Found {
    /// Of a judged finding; none where the register allows it.
    pub fn of(finding: &Finding, first_seen: &FirstSeen) -> Option<Self> {
        let allowed = matches!(finding.verdict, Verdict::Authorised { .. });
        (!allowed).then(|| Self {
            technique: finding.technique,
            severity: finding.severity,
            score: finding.score,
            p_value: finding.p_value,
            addresses: finding.collector.addresses.clone(),
            start: finding.start,
            end: finding.end,
            first_seen: first_seen.of(finding),
            headline: finding.headline.clone(),
        })
    }

    /// Whether it is an alarm: `medium` or above.
    pub fn is_loud(&self) -> bool {
        self.severity >= Severity::Medium
    }

    /// Strictly: technique, collector and span.
    pub fn hits(&self, operation: &Operation) -> bool {
        self.technique == operation.technique && self.touches(operation)
    }

    /// Loosely: collector and span.
    pub fn touches(&self, operation: &Operation) -> bool {
        shares_address(&self.addresses, &operation.collectors)
            && self.start <= operation.end
            && operation.start <= self.end
    }
}

impl Judged {
    /// Far parties that belong to no operation.
    pub fn others(&self) -> f64 {
        let of_operations: BTreeSet<&Address> = self.labels.operations.iter().flat_map(|o| &o.collectors).collect();
        self.far_parties.saturating_sub(of_operations.len() as u64) as f64
    }

    /// Loud findings that hit no operation.
    pub fn false_findings(&self) -> impl Iterator<Item = &Found> {
        let hits_none = |found: &&Found| !self.labels.operations.iter().any(|operation| found.hits(operation));
        self.findings.iter().filter(|found| found.is_loud()).filter(hits_none)
    }

    /// What a false finding is about: a kind of hard negative, the collector of another technique, or ordinary traffic.
    pub fn kind_of(&self, found: &Found) -> String {
        if let Some(operation) = self.labels.operations.iter().find(|operation| found.touches(operation)) {
            return match operation.technique == found.technique {
                true => "operation, not its collector".to_owned(),
                false => format!("collector of {}", operation.technique.id()),
            };
        }
        match self.labels.benign.iter().find(|benign| takes_part(benign, &found.addresses)) {
            Some(benign) => benign.kind.clone(),
            None => "ordinary".to_owned(),
        }
    }

    /// How long after an operation's start a strict alarm came.
    pub fn delay_of(&self, operation: &Operation) -> Option<DurationNs> {
        let alarms = self.findings.iter().filter(|found| found.is_loud() && found.hits(operation));
        alarms.filter_map(|found| found.first_seen).min().map(|at| at.since(operation.start))
    }
}

fn shares_address(a: &[Address], b: &[Address]) -> bool {
    a.iter().any(|address| b.contains(address))
}

/// Whether one of the addresses is among a hard negative's parties: addresses or prefixes, as the labels have them.
fn takes_part(benign: &Benign, addresses: &[Address]) -> bool {
    benign.parties.iter().any(|party| {
        if let Ok(ip) = party.parse::<IpAddr>() {
            return addresses.contains(&Address::from(ip));
        }
        party.parse::<ipnet::IpNet>().is_ok_and(|net| addresses.iter().any(|a| net.contains(&a.to_ip())))
    })
}
