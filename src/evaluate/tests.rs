//! The room as a whole: captures made by hand, and what their scores must be.

use super::baselines::Candidate;
use super::labels::{Benign, Operation};
use super::*;
use crate::detect::finding::{Severity, Technique};
use crate::units::{Address, DurationNs, TimestampNs};

/// Seconds after the first capture's start.
fn at(seconds: u64) -> TimestampNs {
    TimestampNs::ZERO.after(DurationNs::from_secs(seconds))
}

fn far(last: u8) -> Address {
    Address::v4([203, 0, 113, last])
}

fn operation(technique: Technique, variant: Option<&str>, collector: u8) -> Operation {
    Operation {
        technique,
        variant: variant.map(str::to_owned),
        collectors: vec![far(collector)],
        start: at(600),
        end: at(3_600),
        subscribers: 20,
    }
}

fn found(technique: Technique, severity: Severity, score: f64, collector: u8, seen: Option<u64>) -> Found {
    Found {
        technique,
        severity,
        score,
        p_value: 0.001,
        addresses: vec![far(collector)],
        start: at(700),
        end: at(3_000),
        first_seen: seen.map(at),
        headline: "a <b>name</b> from the wire".to_owned(),
    }
}

fn judged(name: &str, operations: Vec<Operation>, findings: Vec<Found>) -> Judged {
    let benign =
        Benign { kind: "backup".to_owned(), parties: vec!["203.0.113.99".to_owned()], why_hard: String::new() };
    let candidates = vec![
        Candidate { score: 30.0, addresses: vec![far(50)] },
        Candidate { score: 20.0, addresses: vec![far(1)] },
        Candidate { score: 10.0, addresses: vec![far(2)] },
    ];
    Judged {
        name: name.to_owned(),
        labels: Labels {
            capture: "x.pcap".into(),
            policy: None,
            geo: None,
            population: Vec::new(),
            seed: Some(5),
            world: Some("town".to_owned()),
            operations,
            benign: vec![benign],
        },
        findings,
        days: 0.5,
        window: DurationNs::from_secs(60),
        far_parties: 11,
        baselines: [(Technique::PopulationFanIn, candidates)].into(),
        profiles: Vec::new(),
        lossy: false,
    }
}

/// Two operations of which the slow one is only hinted at, one told under another name, a false alarm about a backup.
fn three_captures() -> Vec<Judged> {
    use Technique::{BulkExfiltration, PopulationFanIn, ShadowUpload};
    vec![
        judged(
            "a",
            vec![operation(PopulationFanIn, None, 1), operation(PopulationFanIn, Some("slow"), 2)],
            vec![
                found(PopulationFanIn, Severity::High, 0.9, 1, Some(720)),
                found(PopulationFanIn, Severity::Low, 0.5, 2, None),
                found(PopulationFanIn, Severity::Medium, 0.6, 99, Some(900)),
            ],
        ),
        judged(
            "b",
            vec![operation(BulkExfiltration, None, 3)],
            vec![found(ShadowUpload, Severity::Medium, 0.7, 3, Some(1_000))],
        ),
        judged("c", Vec::new(), vec![found(BulkExfiltration, Severity::Medium, 0.65, 7, Some(1_000))]),
    ]
}

#[test]
fn figures_follow_the_contract() {
    let evaluation = Evaluation::of(&three_captures());
    let of = |technique| evaluation.techniques.iter().find(|f| f.technique == technique).expect("it stands in a label");
    let fan_in = of(Technique::PopulationFanIn);
    assert_eq!((fan_in.operations, fan_in.recall.value, fan_in.alarms, fan_in.false_alarms), (2, Some(0.5), 2, 1));
    // 0.9 hits, 0.6 is false, 0.5 hits: (1 + 2/3) / 2.
    assert!(fan_in.ranking.average_precision.value.is_some_and(|ap| (ap - 5.0 / 6.0).abs() < 1e-12));
    // The baseline puts a stranger first in each of three captures, and the two collectors of `a` behind them.
    let baseline = fan_in.baseline.ranking.average_precision.value.expect("ranked");
    assert!(baseline < 0.5 && fan_in.baseline.gain.value.is_some_and(|gain| gain > 0.3), "{baseline}");
    assert_eq!(fan_in.delays.median_s.value, Some(120.0));
    assert_eq!(fan_in.delays.median_windows, Some(2.0));
    let exfiltration = of(Technique::BulkExfiltration);
    assert_eq!((exfiltration.recall.value, exfiltration.recall_loose.value), (Some(0.0), Some(1.0)));

    let kinds: Vec<(&str, &str, u64)> =
        evaluation.false_by_kind.iter().map(|k| (k.technique.id(), k.kind.as_str(), k.alarms)).collect();
    assert_eq!(
        kinds,
        [
            ("population-fan-in", "backup", 1),
            ("shadow-upload", "collector of bulk-exfiltration", 1),
            ("bulk-exfiltration", "ordinary", 1)
        ]
    );
    assert_eq!((evaluation.benign.alarms, evaluation.benign.per_day.value), (1, Some(2.0)));
    assert_eq!(evaluation.everywhere.alarms, 3);
    let missed: Vec<_> = evaluation.missed.iter().map(|m| (m.capture.as_str(), m.best_score, &m.named_by)).collect();
    assert_eq!(missed, [("a", Some(0.5), &vec![]), ("b", None, &vec!["shadow-upload"])]);
    assert_eq!((evaluation.seeds.as_slice(), evaluation.worst_recall()), (&[5][..], Some(0.0)));
}

#[test]
fn a_variant_is_scored_apart_from_its_siblings() {
    let evaluation = Evaluation::of(&three_captures());
    let variants: Vec<_> = (evaluation.variants.iter())
        .map(|slice| (slice.name.as_str(), slice.figures.recall.value, slice.figures.alarms))
        .collect();
    // The slow one's alarms leave out the finding that hits the standard one.
    assert_eq!(variants, [("standard", Some(1.0), 2), ("slow", Some(0.0), 1)]);
    assert!(evaluation.worlds.iter().all(|slice| slice.name == "town"));
}

#[test]
fn neither_order_nor_rerun_changes_anything() {
    let mut turned = three_captures();
    turned.reverse();
    let text = |captures: &[Judged]| serde_json::to_string(&Evaluation::of(captures)).expect("has a JSON form");
    assert_eq!(text(&three_captures()), text(&turned));
}

#[test]
fn text_and_page_say_what_was_missed_and_what_is_false() {
    let evaluation = Evaluation::of(&three_captures());
    let (mut plain, mut html) = (Vec::new(), Vec::new());
    text::write(&mut plain, &evaluation).expect("written");
    page::write(&mut html, &evaluation).expect("written");
    let (plain, html) = (String::from_utf8(plain).expect("text"), String::from_utf8(html).expect("text"));
    for wanted in ["0.50 [0.01, 0.99]", "MISSED", "named by shadow-upload", "[backup]", "BY VARIANT", "120 s"] {
        assert!(plain.contains(wanted), "{wanted} in\n{plain}");
    }
    for wanted in ["<polyline class=ours", "a &lt;b&gt;name&lt;/b&gt;", "prefers-color-scheme:dark", "backup"] {
        assert!(html.contains(wanted), "{wanted}");
    }
    for unwanted in ["<script", "http://", "https://", "<b>name"] {
        assert!(!html.contains(unwanted), "{unwanted}");
    }
}
