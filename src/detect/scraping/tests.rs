//! Askers of one service: scrapers, crowds, monitors, partners.

use super::*;
use crate::detect::finding::Severity;
use crate::flow::row::FlowRow;
use crate::population::limits::SummaryLimits;
use crate::population::places::Places;
use crate::population::span::Seen;
use crate::population::summary::tests::{populations, row, summary_of};
use crate::units::{DurationNs, TimestampNs};

fn server() -> Address {
    Address::v4([10, 0, 0, 80])
}

fn noise(seed: u64, n: u64) -> u64 {
    ((seed << 32 | n).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seed).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40
}

/// A call of an outsider: so many questions, so many bytes for all answers.
fn call(asker: Address, second: u64, questions: u32, answers: u64, gap_s: u64) -> FlowRow {
    let mut row = row(asker, server(), second, u64::from(questions) * 200, answers);
    row.turns = 2 * questions;
    row.pair_gap = DurationNs::from_secs(gap_s);
    row
}

/// Forty people who each look at a few unlike pages.
fn people() -> Vec<FlowRow> {
    (0..40u64)
        .map(|n| {
            let asker = Address::v4([198, 51, n as u8, 9]);
            call(asker, noise(1, n) % 280, 2 + (noise(2, n) % 6) as u32, 4_000 + noise(3, n) % 90_000, 0)
        })
        .collect()
}

fn found(rows: Vec<FlowRow>) -> Vec<Finding> {
    let summary = summary_of(&rows, &SummaryLimits::default());
    let (populations, places) = (populations(), Places::default());
    let mut findings = Vec::new();
    detect(&Scene::new(&summary, &populations, &places, None), &mut findings);
    findings
}

#[test]
fn only_scrapers_are_found() {
    let one = Address::v4([203, 0, 113, 7]);
    let fleet = |n: u64| Address::v4([203, 0, 113, (n % 20) as u8]);
    let like = |n: u64| 10 * (2_000 + noise(5, n) % 400);
    let calls = |count: u64, row: &dyn Fn(u64) -> FlowRow| (0..count).map(row).collect::<Vec<_>>();
    let table: [(&str, Vec<FlowRow>, bool); 7] = [
        ("one that pulls", calls(60, &|n| call(one, n * 4, 10, like(n), 4)), true),
        ("a fleet in one network", calls(60, &|n| call(fleet(n), n * 4, 10, like(n), 80)), true),
        (
            "an office of people",
            calls(60, &|n| call(one, n * 4, 8, 5_000 + noise(6, n) % 400_000, noise(7, n) % 9)),
            false,
        ),
        ("a monitor", calls(28, &|n| call(one, n * 10, 3, 1_200, 10)), false),
        ("a backup from outside", calls(60, &|n| call(one, n * 4, 2, 40_000_000, 4)), false),
        ("one that asks seldom", calls(12, &|n| call(one, n * 20, 3, 6_000, 20)), false),
        ("nobody", Vec::new(), false),
    ];
    for (name, more, wanted) in table {
        let mut rows = people();
        rows.extend(more);
        let findings = found(rows);
        let loud: Vec<_> = findings.iter().filter(|finding| finding.severity >= Severity::Medium).collect();
        assert_eq!(!loud.is_empty(), wanted, "{name}: {findings:#?}");
        for finding in loud {
            assert!(finding.collector.addresses.contains(&one), "{name}");
            assert!(finding.evidence.iter().any(|e| e.feature == "answers" && e.baseline_median.is_some()), "{name}");
        }
    }
}

#[test]
fn a_claim_is_doubted_where_more_answers_are_unlike() {
    let one = Address::v4([203, 0, 113, 7]);
    type Case<'a> = (&'a str, &'a dyn Fn(u64) -> u64, usize);
    let table: [Case<'_>; 2] =
        [("of all sizes", &|n| 5_000 + noise(6, n) % 400_000, 1), ("alike", &|n| 20_000 + noise(5, n) % 4_000, 0)];
    for (name, answers, wanted) in table {
        let mut rows = people();
        rows.extend((0..60).map(|n| call(one, n * 4, 8, answers(n), noise(7, n) % 9)));
        let summary = summary_of(&rows, &SummaryLimits::default());
        let (populations, places) = (populations(), Places::default());
        let claimed = [(Technique::RecordScraping, one.to_string())].into();
        let scene = Scene::new(&summary, &populations, &places, None).after(claimed);
        detect(&scene, &mut Vec::new());
        let doubts = scene.into_doubts();
        assert_eq!(doubts.len(), wanted, "{name}: {doubts:?}");
    }
}

#[test]
fn subscribers_that_call_out_are_no_service() {
    let far = Address::v4([203, 0, 113, 7]);
    let rows = (0..200).map(|n| {
        let mut row = row(server(), far, n, 20_000, 500);
        row.turns = 40;
        row
    });
    assert!(found(rows.collect()).is_empty());
}

#[test]
fn a_monitor_is_no_fleet_with_its_neighbours() {
    let [monitor, other, third] = [7, 8, 9].map(|last| Address::v4([203, 0, 113, last]));
    let reads = |asker: Address| (0..10u64).map(move |n| call(asker, n * 25, 8, 40_000 + noise(8, n) % 9_000, 25));
    let clock = (0..28u64).map(|n| call(monitor, n * 10, 3, 1_200, 10));
    let rows: Vec<FlowRow> = clock.chain(reads(other)).chain(reads(third)).collect();
    let summary = summary_of(&rows, &SummaryLimits::default());
    let (populations, places) = (populations(), Places::default());
    let scene = Scene::new(&summary, &populations, &places, None);
    let served = scene.summary.served.sorted();
    let all: Vec<(Address, &Served)> = served.iter().map(|(key, one)| (key.asker, &***one)).collect();
    let key = served[0].0;
    let stretch = Stretch { class: SpanClass::Window, end: summary.span().end };
    let found = pulls(&scene, stretch, (key.population, key.server, key.protocol, key.port), &all);
    let fleets: Vec<_> = found.iter().filter(|pull| pull.addresses.len() > 1).map(|pull| &pull.addresses).collect();
    assert_eq!(fleets, [&vec![other, third]]);
}

#[test]
fn a_browser_that_many_visitors_have_is_no_fleet() {
    // Addresses together, answers of the median one, likeness, whether that is many where others get 6 and nine of ten 19.
    let table = [
        ("a fleet", 16, false, 60.0, 0.3, true),
        ("a fleet that asks little each, all alike", 60, true, 9.0, 0.08, true),
        ("visitors with one browser", 16, false, 7.0, 0.37, false),
        ("the browser of most visitors, beside monitors", 40, true, 24.0, 0.34, false),
        ("one address", 1, false, 960.0, 0.37, true),
    ];
    for (name, members, is_common_client, each, dispersion, wanted) in table {
        let measures = Measures {
            exchanges: each * members as f64,
            pace: Pace::Untold,
            usual_alike: None,
            rows: 100.0,
            usual: Some((6.0, 19.0)),
            answer_bytes: 12_000.0,
            dispersion,
            steadiness: 1.0,
            a_minute: each * members as f64 / 60.0,
            answer_share: 0.96,
            of_service: 0.5,
            askers: 71,
            members,
            each,
            is_client: members > 1,
            is_common_client,
            is_store: false,
            is_monitor: false,
        };
        assert_eq!(measures.many() > 0.5, wanted, "{name}: {}", measures.many());
        // With nobody else to compare with, a fingerprint alone makes no fleet of people who read unlike pages.
        let alone = Measures { usual: None, of_service: 0.8, ..measures };
        let is_told = wanted && (members == 1 || dispersion < 0.1);
        assert_eq!(alone.many() > 0.5, is_told, "{name}, and few others: {}", alone.many());
    }
}

#[test]
fn a_search_engine_that_walks_a_site_with_few_visitors_pulls_no_records() {
    // An hour's pages of one address: how many, how unlike, in how many minutes, and what others of the site ask.
    type Case<'a> = (&'a str, f64, f64, f64, Option<(f64, f64)>, bool);
    let table: [Case<'_>; 8] = [
        ("a robot, and few others", 260.0, 0.24, 60.0, None, false),
        (
            "padded records at a robot's pace, beside many who look at three pages",
            160.0,
            0.233,
            60.0,
            Some((3.0, 4.0)),
            true,
        ),
        ("a robot whose pages are rather like", 149.0, 0.21, 60.0, None, false),
        ("a robot's means of two pages", 116.0, 0.173, 35.0, None, false),
        ("the same of a whole hour", 261.0, 0.197, 59.0, None, false),
        ("like records at a robot's pace", 260.0, 0.1, 60.0, None, true),
        ("pages of all sizes, faster than any robot", 960.0, 0.24, 60.0, None, true),
        ("the same in a few minutes", 260.0, 0.24, 10.0, Some((3.0, 4.0)), true),
    ];
    for (name, exchanges, dispersion, minutes, usual, wanted) in table {
        let measures = Measures {
            exchanges,
            pace: Pace::Untold,
            usual_alike: None,
            rows: 0.5 * exchanges,
            usual,
            answer_bytes: 2_500.0,
            dispersion,
            steadiness: 0.9,
            a_minute: exchanges / minutes,
            answer_share: 0.94,
            of_service: 0.8,
            askers: 5,
            members: 1,
            each: exchanges,
            is_client: false,
            is_common_client: false,
            is_store: false,
            is_monitor: false,
        };
        let score = weigh(measures.reasons()).0;
        assert_eq!(score >= 0.6, wanted, "{name}: {score}");
    }
}

#[test]
fn who_pulls_at_an_even_pace_is_told_before_he_has_many() {
    let measures = Measures {
        exchanges: 66.0,
        pace: Pace::Even,
        usual_alike: Some(2.0),
        rows: 5.0,
        usual: Some((4.0, 12.0)),
        answer_bytes: 2_060.0,
        dispersion: 0.06,
        steadiness: STEADY_SESSION,
        a_minute: 18.0,
        answer_share: 0.88,
        of_service: 0.4,
        askers: 12,
        members: 1,
        each: 66.0,
        is_client: false,
        is_common_client: false,
        is_store: false,
        is_monitor: false,
    };
    let table = [
        ("like records in each of three minutes", measures, true),
        ("and pauses", Measures { pace: Pace::Untold, ..measures }, false),
        ("pages of an office that are alike for once", Measures { dispersion: 0.25, rows: 14.0, ..measures }, false),
        (
            "means of so few rows that they are alike by chance",
            Measures { dispersion: 0.12, rows: 3.0, ..measures },
            false,
        ),
    ];
    for (name, measures, wanted) in table {
        let score = weigh(measures.reasons()).0;
        assert_eq!(score >= 0.6, wanted, "{name}: {score}");
    }
}

#[test]
fn a_pace_is_even_while_no_minute_is_without_questions() {
    use SpanClass::{Hour, Window};
    // Seconds at which questions come, and how many at each; when the summary ends.
    let every = |gap: u64, times: u64| (0..times).map(|n| gap * n).collect::<Vec<_>>();
    type Case<'a> = (&'a str, Vec<u64>, u64, u64, SpanClass, Pace);
    let table: [Case<'_>; 9] = [
        ("each minute", every(20, 10), 1, 200, Hour, Pace::Even),
        ("two minutes so far", every(20, 6), 1, 120, Hour, Pace::Untold),
        ("two minutes, faster than people", every(20, 6), 5, 120, Hour, Pace::Fast),
        ("and no more since", every(20, 6), 5, 240, Hour, Pace::Untold),
        ("a minute, faster than people", every(19, 4), 9, 60, Hour, Pace::Untold),
        ("a window", every(20, 6), 5, 120, Window, Pace::Untold),
        ("three minutes, fast and no more since", every(20, 9), 5, 400, Hour, Pace::Even),
        ("a pause of some minutes", vec![0, 30, 70, 110, 400, 430, 470], 9, 480, Hour, Pace::Untold),
        ("longer than a session", every(20, 60), 9, 1_200, Hour, Pace::Untold),
    ];
    for (name, seconds, each, end, class, wanted) in table {
        let start = TimestampNs(1_699_977_600_000_000_000);
        let at = |second: u64| start.after(DurationNs::from_secs(second));
        let served = Served {
            active_minutes: seconds.iter().fold(0, |minutes, second| minutes | 1 << (second / 60 % 60)),
            seen: Seen::between(start, at(seconds.iter().max().copied().unwrap_or_default())),
            exchanges: each * seconds.len() as u64,
            ..Served::default()
        };
        assert_eq!(Stretch { class, end: at(end) }.pace(&served), wanted, "{name}");
    }
}

#[test]
fn like_records_faster_than_people_ask_are_told_in_two_minutes() {
    // Two connections of a scraper, beside others one of whom got as many pages of all sizes.
    let measures = Measures {
        exchanges: 36.0,
        pace: Pace::Fast,
        rows: 3.0,
        usual: Some((7.0, 40.0)),
        usual_alike: Some(2.0),
        answer_bytes: 2_060.0,
        dispersion: 0.05,
        steadiness: STEADY_SESSION,
        a_minute: 18.0,
        answer_share: 0.88,
        of_service: 0.3,
        askers: 9,
        members: 1,
        each: 36.0,
        is_client: false,
        is_common_client: false,
        is_store: false,
        is_monitor: false,
    };
    let table = [
        ("like records", measures, true),
        ("that came to an end", Measures { pace: Pace::Even, ..measures }, false),
        ("where others get as many like answers", Measures { usual_alike: Some(20.0), ..measures }, false),
        ("beside nobody to compare with", Measures { usual: None, usual_alike: None, ..measures }, false),
        ("somewhat like pages", Measures { exchanges: 63.0, dispersion: 0.157, rows: 13.0, ..measures }, false),
        ("too few", Measures { exchanges: 24.0, ..measures }, false),
    ];
    for (name, measures, wanted) in table {
        let score = weigh(measures.reasons()).0;
        assert_eq!(score >= 0.6, wanted, "{name}: {score}");
    }
}

#[test]
fn a_scraper_that_begins_within_the_hour_is_told_in_its_second_minute() {
    let one = Address::v4([203, 0, 113, 7]);
    // Bytes of all answers up to a second.
    type Case<'a> = (&'a str, fn(u64) -> u64, bool);
    let table: [Case<'_>; 2] = [
        ("like records", |n| 12 * (2_000 + noise(5, n) % 200), true),
        ("pages of all sizes", |n| 9_000 * n * n, false),
    ];
    for (name, answers, wanted) in table {
        let calls = |seconds: [u64; 2]| seconds.map(|second| call(one, second, 12, answers(second - 180), 0));
        let mut hour = summary_of(&[people(), calls([185, 215]).to_vec()].concat(), &SummaryLimits::default());
        hour.rollup(SpanClass::Hour);
        let window = summary_of(&calls([245, 275]), &SummaryLimits::default());
        let (populations, places, none) = (populations(), Places::default(), crate::population::Summary::empty());
        for (before, wanted) in [(&none, false), (&hour, wanted)] {
            let mut findings = Vec::new();
            detect(&Scene::new(&window, &populations, &places, None).following([before, &none]), &mut findings);
            let loud = findings.iter().any(|finding| finding.severity >= Severity::Medium);
            assert_eq!(loud, wanted, "{name}: {findings:#?}");
        }
    }
}

#[test]
fn a_monitor_that_resumes_its_sessions_is_one_still() {
    // Milliseconds between calls and how far they stray, sizes of the answers by turns, answers a call.
    type Case<'a> = (&'a str, u64, u64, [u64; 3], u64, bool);
    let table: [Case<'_>; 5] = [
        ("always the same", 30_000, 3_000, [420, 420, 420], 2, true),
        ("with and without a certificate", 30_000, 400, [340, 340, 520], 2, true),
        ("and at no good clock", 30_000, 3_000, [340, 340, 520], 2, false),
        ("as often as records are pulled", 12_000, 150, [340, 340, 520], 2, false),
        ("many answers a call", 30_000, 400, [340, 340, 520], 8, false),
    ];
    for (name, gap_ms, strays_ms, sizes, a_call, wanted) in table {
        let mut served = Served::default();
        for n in 0..90u64 {
            served.answer_sizes.add(sizes[n as usize % 3]);
            served.gaps_ms.add(gap_ms + n * 2 * strays_ms / 90 - strays_ms);
            served.totals.flows += 1;
            served.exchanges += a_call;
        }
        assert_eq!(is_monitor(&served, dispersion(&served)), wanted, "{name}: {}", dispersion(&served));
    }
}

#[test]
fn a_monitor_that_asks_from_several_posts_in_turn_is_one_still() {
    // Gaps in seconds, by turns, and how far the sizes of the answers stray.
    let table: [(&str, [u64; 3], u64, bool); 4] = [
        ("by the minute, from three posts", [60, 120, 180], 4, true),
        ("pages of all sizes", [60, 120, 180], 4_000, false),
        ("at no minute", [47, 105, 200], 4, false),
        ("as often as records are pulled", [4, 6, 8], 4, false),
    ];
    for (name, gaps_s, strays, wanted) in table {
        let mut served = Served::default();
        for n in 0..90u64 {
            served.answer_sizes.add(1_200 + noise(3, n) % strays);
            served.gaps_ms.add(1_000 * gaps_s[n as usize % 3] + noise(5, n) % 400);
            served.totals.flows += 1;
            served.exchanges += 1;
        }
        assert_eq!(is_monitor(&served, dispersion(&served)), wanted, "{name}: {}", dispersion(&served));
    }
}

#[test]
fn one_opaque_session_is_somebody_who_works_elsewhere() {
    let one = Address::v4([203, 0, 113, 7]);
    let like = |n: u64| 10 * (2_000 + noise(5, n) % 400);
    // Connections over which as much is asked, and the port.
    for (name, flows, port, wanted) in [
        ("one at the port of HTTPS, without TLS", 1u64, 443, Some(Severity::Low)),
        ("many such", 60, 443, Some(Severity::High)),
        ("one at another port", 1, 5_432, Some(Severity::High)),
    ] {
        let pulls = (0..60u64).map(|n| {
            let mut row = call(one, n * 4, 10, like(n), 4);
            row.row_number = if n < flows { 0 } else { n as u32 };
            let at = usize::from(row.key.addresses[1] == server());
            row.key.ports[at] = port;
            row
        });
        let found = found(people().into_iter().chain(pulls).collect());
        let severity = found.iter().find(|f| f.collector.addresses == [one]).map(|f| f.severity);
        assert_eq!(severity.map(|severity| severity.min(Severity::High)), wanted, "{name}: {found:?}");
    }
}

#[test]
fn a_few_answers_that_differ_are_somebodys_work() {
    let of = |exchanges: f64, dispersion: f64, members: usize| Measures {
        exchanges,
        pace: Pace::Untold,
        rows: 10.0,
        usual: None,
        usual_alike: None,
        answer_bytes: 900.0,
        dispersion,
        steadiness: 0.8,
        a_minute: 3.0,
        answer_share: 0.8,
        of_service: 0.5,
        askers: 12,
        members,
        each: 10.0,
        is_client: members > 1,
        is_common_client: false,
        is_store: false,
        is_monitor: false,
    };
    let table = [
        ("a hundred that differ", of(100.0, 0.15, 1), true),
        ("a hundred alike", of(100.0, 0.1, 1), false),
        ("three hundred of a dozen pages", of(300.0, 0.28, 3), true),
        ("three hundred that differ a little", of(300.0, 0.15, 1), false),
        ("very many", of(700.0, 0.3, 1), false),
        ("a fleet, a few each", of(100.0, 0.15, 40), false),
    ];
    for (name, measures, wanted) in table {
        assert_eq!(measures.is_somebodys(), wanted, "{name}");
    }
}

#[test]
fn records_are_asked_for_over_datagrams_at_three_ports() {
    let one = Address::v4([203, 0, 113, 7]);
    for (port, wanted) in [(53, true), (161, true), (443, true), (123, false)] {
        let over_udp = |mut row: FlowRow| {
            row.key.protocol = UDP;
            row.key.ports = row.key.ports.map(|known| if known == 443 { port } else { known });
            row
        };
        let pulled = (0..60).map(|n| over_udp(call(one, n * 4, 10, 10 * (2_000 + noise(5, n) % 400), 4)));
        let findings = found(people().into_iter().map(over_udp).chain(pulled).collect());
        let is_told = findings.iter().any(|finding| finding.severity >= Severity::Medium);
        assert_eq!(is_told, wanted, "port {port}: {findings:#?}");
    }
}

#[test]
fn fewer_answers_of_a_directory_are_many() {
    let one = Address::v4([203, 0, 113, 7]);
    for (port, wanted) in [(389, true), (5432, true), (443, false)] {
        // Ninety answers, twelve times a few, alike.
        let rows = (0..12).map(|n| {
            let mut row = call(one, n * 20, 8, 10 * (2_000 + noise(5, n) % 200), 4);
            row.key.ports[usize::from(row.orig_end == 0)] = port;
            row
        });
        let loud = found(rows.collect()).iter().any(|finding| finding.severity >= Severity::Medium);
        assert_eq!(loud, wanted, "port {port}");
    }
}
