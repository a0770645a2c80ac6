//! Tests of the page: self-contained, escaped, well formed, whatever the findings hold.

use super::*;
use crate::report::album::Pair;
use crate::report::album::curve::Curve;
use crate::report::album::plane::{Plane, Point};
use crate::report::samples;
use crate::units::{DurationNs, TimestampNs};

fn pictures(findings: &[Finding]) -> Pictures {
    let curve = |scale: u64| Curve {
        start: samples::NOON,
        slot: DurationNs::from_secs(60),
        bytes: (0..90).map(|i| (i * 37 % 17 + 1) * scale).collect(),
    };
    let point = |i: usize| Point {
        at: [(i % 7) as f64 - 3.0, (i % 5) as f64 - 2.0],
        finding: (i == 3).then_some((0, findings[0].severity)),
    };
    Pictures {
        curves: findings.iter().map(|_| Some(Pair { collector: curve(100), population: curve(9_000) })).collect(),
        plane: Some(Plane { points: (0..40).map(point).collect(), variance_share: 0.61 }),
        curves_left_out: 2,
    }
}

fn page(findings: &[Finding], pictures: &Pictures) -> String {
    let stats = samples::stats();
    let paper = Paper { title: "a.pcap", findings, stats: &stats, pictures, reveal: &Reveal::Nothing, tlp: Tlp::Amber };
    let mut out = Vec::new();
    write(&mut out, &paper).expect("a vector takes all");
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn the_page_is_self_contained_and_says_everything() {
    let findings = [samples::fan_in(), samples::injection(), samples::authorised(), samples::refused()];
    let page = page(&findings, &pictures(&findings));
    for wanted in [
        "<!DOCTYPE html>",
        "TLP:AMBER",
        "population-fan-in",
        "packet-injection",
        "203.0.113.7",
        "DPIA-2026-014",
        "expired on 2026-01-01",
        "What to do next",
        "How certain, and why",
        "No DNS was captured",
        "cut-record".replace('-', " ").as_str(),
        "prefers-color-scheme:dark",
        "@media print",
    ] {
        assert!(page.contains(wanted), "{wanted}");
    }
    // Nothing that runs or loads: no script, no address to fetch from.
    for refused in ["<script", "src=", "http://", "https://", "@import", "url(", "<link", "<iframe", "onload"] {
        assert!(!page.contains(refused), "{refused}");
    }
    // Worst first: the critical one comes before the high one.
    let first = page.find("id=\"f1\"").expect("a first article");
    assert!(page[first..first + 400].contains("packet-injection"));
}

#[test]
fn names_from_the_wire_stay_words() {
    let mut finding = samples::fan_in();
    finding.collector.names = vec!["<script>alert(1)</script>".into(), "a\"onload='x".into(), "\u{202e}evil".into()];
    finding.headline = "<img src=x onerror=alert(1)>".into();
    let findings = [finding];
    let page = page(&findings, &pictures(&findings));
    for refused in ["<script", "<img", "\u{202e}", "\"onload"] {
        assert!(!page.contains(refused), "{refused}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)"));
}

#[test]
fn every_tag_is_closed_in_order() {
    let findings = [samples::fan_in(), samples::injection()];
    for (name, page) in [
        ("findings", page(&findings, &pictures(&findings))),
        ("without pictures", page(&findings, &Pictures::default())),
        ("nothing found", page(&[], &Pictures::default())),
    ] {
        let mut open: Vec<&str> = Vec::new();
        for tag in page.split('<').skip(1) {
            let end = tag.find('>').unwrap_or_else(|| panic!("{name}: <{tag}"));
            let inside = &tag[..end];
            let word = inside.trim_start_matches('/').split([' ', '/', '\n']).next().unwrap_or_default();
            let is_void = matches!(word, "!DOCTYPE" | "meta" | "br") || inside.ends_with('/');
            match inside.starts_with('/') {
                true => assert_eq!(open.pop(), Some(word), "{name}"),
                false if !is_void => open.push(word),
                false => {}
            }
        }
        assert!(open.is_empty(), "{name}: {open:?}");
    }
}

#[test]
fn odd_numbers_break_no_picture() {
    let mut finding = samples::fan_in();
    for value in [0.0, -3.0, f64::NAN, f64::INFINITY, 1e300, 1e-300] {
        for evidence in &mut finding.evidence {
            evidence.value = crate::detect::finding::EvidenceValue::Number(value);
        }
        let findings = [finding.clone()];
        let mut pictures = pictures(&findings);
        pictures.curves = vec![Some(Pair {
            collector: Curve { start: TimestampNs::MAX, slot: DurationNs(u64::MAX), bytes: vec![0] },
            population: Curve { start: TimestampNs::MAX, slot: DurationNs(u64::MAX), bytes: vec![u64::MAX] },
        })];
        if let Some(plane) = &mut pictures.plane {
            plane.points[0].at = [value, value];
        }
        let page = page(&findings, &pictures);
        assert!(!page.contains("NaN") && !page.contains("inf\""), "{value}");
    }
}
