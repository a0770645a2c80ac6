//! Findings and an account to set reports from, in the tests of this room.

use crate::detect::finding::*;
use crate::report::stats::{Counts, FileStats, RunStats};
use crate::units::{Address, DurationNs, TimestampNs};

/// 2026-03-01T12:00:00Z.
pub const NOON: TimestampNs = TimestampNs(1_772_366_400_000_000_000);

/// The contract's own example.
pub fn fan_in() -> Finding {
    Finding {
        technique: Technique::PopulationFanIn,
        severity: Severity::High,
        score: 0.98,
        p_value: 0.00002,
        collector: CollectorIdentity {
            collector_key: "203.0.113.0/24".into(),
            addresses: vec![Address::v4([203, 0, 113, 7])],
            ports: vec![443],
            prefix: Some("203.0.113.0/24".into()),
            asn: None,
            country: None,
            names: vec!["c.example".into()],
        },
        population: PopulationShare {
            name: "residents".into(),
            prefixes: vec!["10.20.0.0/16".into(), "2001:db8:20::/48".into()],
            subscribers: 312,
            coverage: 0.16,
            sample: vec![Address::v4([117, 161, 29, 118]), Address::v4([117, 161, 30, 2])],
        },
        start: NOON,
        end: NOON.after(DurationNs::from_secs(6 * 3600)),
        proto: "TCP",
        app_proto: Some("tls"),
        community_id: None,
        flows: 9000,
        packets: 120_000,
        bytes_up: 12_897_485,
        bytes_down: 1_153_434,
        days: 1.0,
        evidence: vec![
            number("upload_share", 0.97, "ratio", Some(0.11), Some(0.62), 0.4),
            number("subscribers_distinct", 312.0, "subscribers", Some(3.0), Some(41.0), 0.35),
            number("period", 300.0, "s", None, None, 0.25),
        ],
        verdict: Verdict::Unregistered,
        headline: "312 subscribers of residents each upload small, alike records to c.example every 300 s".into(),
        explanation: "Sixteen per cent of the active subscribers send almost nothing but uploads to one party, at the same \
                      machine-kept interval, without looking its name up first. Ask who runs c.example and on which legal basis; \
                      if it is known, enter it in the register."
            .into(),
    }
}

/// A proof in the packets, with a hostile name.
pub fn injection() -> Finding {
    Finding {
        technique: Technique::PacketInjection,
        severity: Severity::Critical,
        score: 1.0,
        p_value: 0.0,
        collector: CollectorIdentity {
            collector_key: "198.51.100.0/24".into(),
            addresses: vec![Address::v4([198, 51, 100, 9]), Address::v4([198, 51, 100, 10])],
            ports: vec![80],
            prefix: Some("198.51.100.0/24".into()),
            asn: Some(64500),
            country: Some("NL".into()),
            names: vec!["evil\u{1b}[2J\u{202e}name.example".into()],
        },
        population: PopulationShare { subscribers: 1, coverage: f64::NAN, ..fan_in().population },
        end: NOON.after(DurationNs::from_millis(35)),
        app_proto: Some("http"),
        community_id: Some("1:LQU9qZlK+B5F3KDmev6m5PMibrg=".into()),
        flows: 1,
        packets: 2,
        bytes_up: 0,
        bytes_down: 940,
        evidence: vec![
            Evidence {
                feature: "frames",
                value: EvidenceValue::Text("12 (TTL 64, 512 bytes) and 13 (TTL 51, 428 bytes)".into()),
                unit: "",
                baseline_median: None,
                baseline_p99: None,
                weight: 0.7,
            },
            number("ttl_difference", 13.0, "hops", Some(0.0), Some(1.0), 0.3),
            number("broken", f64::NAN, "ratio", Some(f64::INFINITY), None, f64::NAN),
        ],
        headline: "Two different answers to one request of a subscriber: someone on the way shot first".into(),
        explanation: "Frames 12 and 13 carry different bytes for the same part of one stream.".into(),
        ..fan_in()
    }
}

/// Found and allowed.
pub fn authorised() -> Finding {
    Finding {
        severity: Severity::Info,
        collector: CollectorIdentity {
            collector_key: "telemetry.acme.example".into(),
            names: vec!["telemetry.acme.example".into()],
            ..fan_in().collector
        },
        verdict: Verdict::Authorised { name: "Acme OS telemetry".into(), reference: "DPIA-2026-014".into() },
        ..fan_in()
    }
}

/// Found, and an entry that would cover it has run out.
pub fn refused() -> Finding {
    Finding {
        severity: Severity::Medium,
        collector: CollectorIdentity {
            collector_key: "old.acme.example".into(),
            names: vec!["old.acme.example".into()],
            ..fan_in().collector
        },
        verdict: Verdict::Refused {
            name: "Acme OS telemetry".into(),
            reference: "DPIA-2026-014".into(),
            reason: "expired on 2026-01-01".into(),
        },
        ..fan_in()
    }
}

/// A run that lost something.
pub fn stats() -> RunStats {
    RunStats {
        span: Some((NOON, NOON.after(DurationNs::from_secs(6 * 3600)))),
        frames: 1_234_500,
        packets: 1_234_567,
        bytes: 987_654_321,
        flows: 45_678,
        flow_rows: 60_000,
        windows: 72,
        drops: Counts::new(),
        decode_errors: Counts::from([("bad-length", 3), ("truncated-ip", 12)]),
        limits: Counts::from([("flows-max", 4)]),
        files: vec![
            FileStats { path: "a.pcap".into(), frames: 1_000_000, bytes: 900_000_000, ..FileStats::default() },
            FileStats {
                path: "b\u{1b}.pcap".into(),
                frames: 234_500,
                bytes: 87_654_321,
                faults: Counts::from([("cut-record", 1)]),
                first_fault: Some("record 234501 is cut at byte 87654321".into()),
            },
        ],
        populations: vec!["residents".into()],
        looked_for: vec![Technique::PopulationFanIn, Technique::PacketInjection],
        not_seen: vec!["No DNS was captured: whether names were looked up first is not known.".into()],
        timings: [("capture", 0.75), ("detect", 0.0)].into(),
    }
}

fn number(
    feature: &'static str,
    value: f64,
    unit: &'static str,
    median: Option<f64>,
    p99: Option<f64>,
    weight: f64,
) -> Evidence {
    Evidence { feature, value: EvidenceValue::Number(value), unit, baseline_median: median, baseline_p99: p99, weight }
}
