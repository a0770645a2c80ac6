//! Streams that copy, and streams that do not.

use super::*;
use crate::detect::finding::{CollectorIdentity, Severity};
use crate::detect::register::{NoRegister, Register};
use crate::flow::pace::Pace;
use crate::flow::row::FlowRow;
use crate::population::limits::SummaryLimits;
use crate::population::places::Places;
use crate::population::summary::tests::{populations, row, summary_of};
use crate::units::{DurationNs, Side, TimestampNs};

/// Seconds of the test's window.
const SECONDS: u64 = 290;

fn at(second: u64) -> TimestampNs {
    TimestampNs(DurationNs::from_secs(1_000_000_000 + second).0)
}

/// Numbers that look like nothing, the same for ever.
fn noise(seed: u64, n: u64) -> f64 {
    let mixed = (seed << 32 | n).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed >> 40) as f64 / f64::from(1 << 24)
}

/// A home's rate at a second: bursts of a few seconds among silence, over a swell that all share.
fn rate(home: u64, second: u64) -> f64 {
    let burst = if noise(home, second / 3) < 0.12 { 20_000.0 * noise(home + 1_000, second / 3) } else { 60.0 };
    burst + 800.0 * (1.0 + (second as f64 / 90.0).sin())
}

/// A row for each minute whose bytes lie in time as told; `back` is what the other side sends.
fn rows_of(from: Address, to: Address, back: f64, rate: impl Fn(u64) -> f64) -> Vec<FlowRow> {
    rows_in(0..SECONDS, from, to, back, rate)
}

fn rows_in(
    span: std::ops::Range<u64>,
    from: Address,
    to: Address,
    back: f64,
    rate: impl Fn(u64) -> f64,
) -> Vec<FlowRow> {
    (span.start / 60..span.end.div_ceil(60))
        .map(|minute| {
            let seconds = minute * 60..(minute * 60 + 60).min(span.end);
            let mut pace = Pace::new(at(seconds.start));
            let mut sum = 0;
            for second in seconds.clone() {
                let bytes = rate(second) as u32;
                pace.add(Side::Orig, at(second), bytes);
                sum += u64::from(bytes);
            }
            let mut row = row(from, to, seconds.start, sum, (sum as f64 * back) as u64);
            row.sides[0].ip_bytes = sum;
            row.sides[1].ip_bytes = (sum as f64 * back) as u64;
            row.row_number = minute as u32;
            row.ts_last = at(seconds.end - 1);
            row.pace = Some(Box::new(pace));
            row
        })
        .collect()
}

fn found(stream: Vec<FlowRow>) -> Vec<Finding> {
    found_under(stream, &NoRegister)
}

/// Allows one address.
#[derive(Debug)]
struct Allows(Address);

impl Register for Allows {
    fn allows(&self, _: Technique, party: &CollectorIdentity, _: &str, _: TimestampNs) -> bool {
        party.addresses == [self.0]
    }

    fn is_empty(&self) -> bool {
        false
    }
}

fn found_under(stream: Vec<FlowRow>, register: &dyn Register) -> Vec<Finding> {
    let mut rows: Vec<FlowRow> = (0..24u8)
        .flat_map(|home| {
            let far = Address::v4([198, 51, 100, home]);
            rows_of(Address::v4([10, 0, 1, home]), far, 0.5, move |second| rate(home.into(), second))
        })
        .collect();
    rows.extend(stream);
    let summary = summary_of(&rows, &SummaryLimits::default());
    let (populations, places) = (populations(), Places::default());
    let mut findings = Vec::new();
    detect(&Scene::new(&summary, &populations, &places, None).under(register), &mut findings);
    findings
}

#[test]
fn who_may_have_a_copy_takes_no_neighbour_with_it() {
    let all = |second: u64| (0..24).map(|home| rate(home, second)).sum::<f64>();
    let router = Address::v4([203, 0, 113, 200]);
    let (authority, operations) = (Address::v4([203, 0, 114, 7]), Address::v4([203, 0, 115, 9]));
    let streams = || {
        let copy = rows_of(router, authority, 0.0, |second| all(second) * 0.6);
        copy.into_iter().chain(rows_of(router, operations, 0.0, |second| 0.2 * rate(99, second))).collect::<Vec<_>>()
    };
    let loud = |findings: Vec<Finding>| findings.into_iter().filter(|one| one.severity >= Severity::Medium);
    let told = |findings| loud(findings).flat_map(|one| one.collector.addresses).collect::<BTreeSet<_>>();
    assert_eq!(told(found_under(streams(), &NoRegister)), [authority, operations].into(), "both, as one sender's");
    let under = found_under(streams(), &Allows(authority));
    assert_eq!(told(under), [authority].into(), "the register speaks of him afterwards");
}

#[test]
fn only_copies_are_found() {
    let all = |second: u64| (0..24).map(|home| rate(home, second)).sum::<f64>();
    let some = |second: u64| (0..5).map(|home| rate(home, second)).sum::<f64>();
    let swell = |second: u64| 20_000.0 * (1.5 + (second as f64 / 90.0).sin());
    let (inside, outside) = (Address::v4([10, 0, 9, 9]), Address::v4([203, 0, 113, 200]));
    let far = Address::v4([203, 0, 113, 7]);
    type Rate<'a> = &'a dyn Fn(u64) -> f64;
    let table: [(&str, Address, f64, Rate<'_>, bool); 10] = [
        ("a log of everything", inside, 0.0, &|s| all(s) * 0.02, true),
        ("a copy of everything", inside, 0.0, &|s| all(s) * 1.6, true),
        ("from beyond the population", outside, 0.0, &|s| all(s) * 1.6, true),
        ("two seconds late", inside, 0.01, &|s| all(s.saturating_sub(2)) * 1.6, true),
        ("compressed, with chaff", inside, 0.0, &|s| all(s) * 0.6 + 9_000.0 * noise(77, s), true),
        ("a copy of five homes of twenty-four", inside, 0.0, &|s| some(s) * 1.55, true),
        ("the shared swell alone", inside, 0.0, &swell, false),
        ("bursts of its own", inside, 0.0, &|s| 20.0 * rate(99, s), false),
        ("steady", inside, 0.0, &|_| 30_000.0, false),
        ("an honest tunnel, both ways", inside, 0.6, &|s| all(s) * 1.6, false),
    ];
    for (name, from, back, rate, wanted) in table {
        let findings = found(rows_of(from, far, back, rate));
        let loud: Vec<_> = findings.iter().filter(|f| f.severity >= super::super::finding::Severity::Medium).collect();
        assert_eq!(loud.iter().any(|f| f.collector.addresses == [far]), wanted, "{name}: {findings:#?}");
        assert!(wanted || loud.is_empty(), "{name}");
        for finding in loud {
            assert!(finding.p_value < 0.001 && finding.evidence.len() >= 7, "{name}");
            assert!(!finding.explanation.contains("10.0.9.9"), "{name}: a subscriber is named");
        }
    }
}

#[test]
fn what_many_send_of_themselves_is_no_copy_of_all() {
    let far = Address::v4([203, 0, 113, 7]);
    for (senders, wanted) in [
        (2, Some(Technique::TapCorrelation)),
        (3, Some(Technique::TapCorrelation)),
        (4, Some(Technique::ShadowUpload)),
        (24, None),
    ] {
        let shares = (0..24u8).map(|home| (home, home % senders));
        let streams = (0..senders).flat_map(|sender| {
            let own: Vec<u8> = shares.clone().filter(|(_, of)| *of == sender).map(|(home, _)| home).collect();
            let rate = move |second: u64| own.iter().map(|home| rate((*home).into(), second)).sum::<f64>();
            rows_of(Address::v4([10, 0, 9, sender]), far, 0.0, rate)
        });
        let findings = found(streams.collect());
        let mut told = findings.iter().filter(|found| found.severity >= Severity::Medium);
        assert_eq!(told.next().map(|found| found.technique), wanted, "{senders} senders: {findings:#?}");
        let of_themselves = findings.iter().filter(|found| found.technique == Technique::ShadowUpload);
        assert!(of_themselves.clone().all(|found| found.severity <= Severity::Medium), "it is inferred");
        assert!(of_themselves.clone().all(|found| found.population.subscribers == u64::from(senders)), "{findings:#?}");
    }
}

#[test]
fn who_may_have_copies_of_several_has_copies() {
    let far = Address::v4([203, 0, 113, 7]);
    let streams = || {
        let of = |sender: u8| {
            let rate = move |second: u64| (0..6).map(|n| rate(u64::from(sender) + 4 * n, second)).sum::<f64>();
            rows_of(Address::v4([10, 0, 9, sender]), far, 0.0, rate)
        };
        (0..4u8).flat_map(of).collect::<Vec<_>>()
    };
    let told = |findings: Vec<Finding>| findings.into_iter().map(|one| one.technique).collect::<BTreeSet<_>>();
    assert_eq!(told(found_under(streams(), &NoRegister)), [Technique::ShadowUpload].into());
    assert_eq!(told(found_under(streams(), &Allows(far))), [Technique::TapCorrelation].into());
}

/// What is found where two servers move far more than all homes, in bursts of their own.
fn found_beside_servers(stream: Vec<FlowRow>) -> Vec<Finding> {
    let servers = (0..2u8).flat_map(|server| {
        let far = Address::v4([198, 51, 101, server]);
        let rate = move |second: u64| 40.0 * rate(200 + u64::from(server), second);
        rows_of(Address::v4([10, 0, 8, server]), far, 0.5, rate)
    });
    found(servers.chain(stream).collect())
}

#[test]
fn a_copy_of_all_but_the_heaviest_is_found() {
    let all = |second: u64| (0..24).map(|home| rate(home, second)).sum::<f64>();
    let (inside, far) = (Address::v4([10, 0, 9, 9]), Address::v4([203, 0, 113, 7]));
    type Rate<'a> = &'a dyn Fn(u64) -> f64;
    let table: [(&str, Rate<'_>, bool); 4] = [
        ("a copy of the homes", &|s| all(s) * 1.6, true),
        ("compressed, with chaff", &|s| all(s) * 0.6 + 9_000.0 * noise(77, s), true),
        ("bursts of its own", &|s| 20.0 * rate(99, s), false),
        ("bursts of its own, as large as the homes together", &|s| (300..324).map(|home| rate(home, s)).sum(), false),
    ];
    for (name, rate, wanted) in table {
        let findings = found_beside_servers(rows_of(inside, far, 0.0, rate));
        let loud = findings.iter().filter(|f| f.severity >= super::super::finding::Severity::Medium);
        assert_eq!(loud.count() > 0, wanted, "{name}: {findings:#?}");
    }
}

#[test]
fn a_copy_is_large_or_exact() {
    let both = Of::Whole("both ways");
    for (name, ratio, correlation, of, wanted) in [
        ("a fiftieth, roughly", 0.017, 0.73, both, 0.0..0.01),
        ("a twentieth, roughly", 0.043, 0.44, both, 0.1..0.3),
        ("headers alone", 0.07, 0.7, both, 0.4..0.7),
        ("a log of everything", 0.02, 0.97, both, 0.99..1.01),
        ("a copy among much else", 0.5, 0.4, both, 0.99..1.01),
        ("a copy with padding and chaff, where little moves", 3.8, 0.5, Of::Rest(2), 0.7..0.8),
        ("a backup beside a home that moves a little then", 44.0, 0.5, Of::Subset(1), 0.0..0.01),
        ("a copy of both ways, held against the lesser one", 12.0, 0.6, Of::Whole("sent"), 0.99..1.01),
    ] {
        let found = is_of_a_copy(ratio, correlation, of);
        assert!(wanted.contains(&found), "{name}: {found}");
    }
}

#[test]
fn ends_that_carry_little_are_told_with_those_that_are_followed() {
    let (inside, far, light) =
        (Address::v4([10, 0, 9, 9]), Address::v4([203, 0, 113, 7]), Address::v4([198, 51, 102, 7]));
    let all = |second: u64| (0..24).map(|home| rate(home, second)).sum::<f64>();
    let mut stream = rows_of(inside, far, 0.0, |s| all(s) * 1.1);
    stream.extend((0..4).map(|minute| row(inside, light, 60 * minute, 900, 0)));
    // A home calls somebody alone, too.
    stream.push(row(Address::v4([10, 0, 1, 1]), Address::v4([198, 51, 103, 7]), 30, 900, 0));
    let findings = found(stream);
    let loud = findings.iter().find(|finding| finding.severity >= super::super::finding::Severity::Medium);
    assert_eq!(loud.map(|finding| finding.collector.addresses.as_slice()), Some([light, far].as_slice()));
}

#[test]
fn what_is_too_short_for_a_window_is_told_with_the_window_before() {
    let (inside, far) = (Address::v4([10, 0, 9, 9]), Address::v4([203, 0, 113, 7]));
    let all = |second: u64| (0..24).map(|home| rate(home, second)).sum::<f64>();
    let summary = |span: std::ops::Range<u64>| {
        let homes = (0..24u8).flat_map(|home| {
            let (from, to) = (Address::v4([10, 0, 1, home]), Address::v4([198, 51, 100, home]));
            rows_in(span.clone(), from, to, 0.5, move |second| rate(home.into(), second))
        });
        let stream = rows_in(span.clone(), inside, far, 0.0, |s| all(s) * 1.6);
        summary_of(&homes.chain(stream).collect::<Vec<_>>(), &SummaryLimits::default())
    };
    let (before, here) = (summary(0..240), summary(240..275));
    let (populations, places) = (populations(), Places::default());
    for (name, beside, wanted) in [("alone", None, 0), ("with the one before", Some(&before.paces), 1)] {
        let mut findings = Vec::new();
        detect(&Scene::new(&here, &populations, &places, None).beside(beside), &mut findings);
        let loud = findings.iter().filter(|f| f.severity >= super::super::finding::Severity::Medium);
        assert_eq!(loud.count(), wanted, "{name}: {findings:#?}");
    }
}

#[test]
fn one_burst_in_two_minutes_is_no_copy() {
    let minute = DurationNs::from_secs(60);
    for (name, length, slots, agreement, p_value, wanted) in [
        ("a minute, every part of it", Length::Window, 60, 1.0, 1e-3, false),
        ("a minute but a part of it", Length::Window, 60, 0.83, 1e-9, true),
        ("two minutes, surely", Length::TwoWindows, 118, 0.83, 1e-6, false),
        ("two minutes, as some streams of a day do", Length::TwoWindows, 113, 1.0, 2e-5, true),
        ("two minutes, but for two parts of them", Length::TwoWindows, 118, 0.67, 1e-9, true),
        ("two minutes, silent in one of them", Length::TwoWindows, 42, 0.67, 1e-7, true),
        ("an hour", Length::Longer, 900, 0.67, 1e-3, false),
    ] {
        assert_eq!(length.of_slots(slots, minute).may_be_chance(agreement, p_value), wanted, "{name}");
    }
}

#[test]
fn where_calls_are_relayed_is_known_by_its_port() {
    for (protocol, port, wanted) in [(17, 3478, true), (6, 5349, true), (17, 4433, false), (50, 3478, false)] {
        assert_eq!(is_relay(protocol << 16 | port), wanted, "{port}/{protocol}");
    }
    // A copy that goes there is a hint.
    let all = |second: u64| (0..24).map(|home| rate(home, second)).sum::<f64>();
    let copy = |port: u16| {
        let mut rows = rows_of(Address::v4([10, 0, 9, 9]), Address::v4([203, 0, 113, 7]), 0.0, |s| all(s) * 0.6);
        rows.iter_mut().for_each(|row| row.key.ports = row.key.ports.map(|one| if one == 443 { port } else { one }));
        found(rows).into_iter().map(|one| one.severity).max()
    };
    assert!(copy(4433) >= Some(super::super::finding::Severity::Medium));
    assert_eq!(copy(3478), Some(super::super::finding::Severity::Low));
}

#[test]
fn the_tail_is_the_normal_one() {
    for (z, wanted) in [(0.0, 0.5), (1.0, 0.158_655), (3.0, 1.349_9e-3), (6.0, 9.866e-10)] {
        assert!((tail(z) / wanted - 1.0).abs() < 0.03, "{z}: {}", tail(z));
    }
}
