//! Who is a stranger, and how strange.

use super::*;
use crate::population::collector::Service;

#[test]
fn a_peer_that_calls_many_homes_polls_no_devices() {
    const APART: [u16; 8] = [20_001, 31_000, 45_120, 6_881, 51_413, 27_001, 33_333, 60_100];
    // Ports at which the party calls, how often it is called itself, how many bytes of an answer are one more than the last.
    type Case<'a> = (&'a str, &'a [u16], u64, u64, f64);
    let table: [Case<'_>; 5] = [
        ("one who polls a port of eight devices", &[7_547; 8], 0, 400, 1.0),
        ("one who polls eight behind a translator", &APART, 0, 10, 1.0),
        ("a peer of eight homes", &APART, 0, 400, 0.0),
        ("such a peer that is called as well", &APART[..6], 2, 400, 0.0),
        ("a service that people call", &[], 8, 10, 0.0),
    ];
    for (name, calls, called, unlike, wanted) in table {
        let mut whole = CollectorSummary::default();
        for n in 0..calls.len() as u64 + called {
            whole.upload_sizes.add(1_400 + unlike * n);
            whole.download_sizes.add(120);
        }
        for port in calls {
            whole.services.add(Service { protocol: 17, port: *port, at: ServiceAt::Subscriber });
        }
        (0..called).for_each(|_| whole.services.add(Service { protocol: 6, port: 443, at: ServiceAt::Collector }));
        whole.flows_by_collector = calls.len() as u64;
        whole.totals.flows = calls.len() as u64 + called;
        assert_eq!(unasked(&whole), wanted, "{name}");
    }
}

#[test]
fn who_polls_again_and_again_is_strange_whatever_the_bulk_is() {
    let poller = Measures {
        subscribers: 14,
        upload_share: 0.6,
        answered_share: 1.0,
        unasked: 1.0,
        begun_by_collector: 1.0,
        calls_each: 6.0,
        outlier: 0.9,
        p_value: 0.04,
    };
    let table: [(&str, Measures, Option<Severity>); 4] = [
        ("a poller", poller, Some(Severity::Medium)),
        ("a survey", Measures { calls_each: 1.2, ..poller }, None),
        ("one whom few answer", Measures { answered_share: 0.5, ..poller }, None),
        ("one of several", Measures { p_value: 0.1, ..poller }, Some(Severity::Low)),
    ];
    for (name, measures, wanted) in table {
        let (score, _) = weigh(measures.reasons());
        assert_eq!(measures.severity(score), wanted, "{name}: {score}");
    }
}

#[test]
fn who_calls_one_server_is_no_stranger_to_those_who_call_it() {
    use crate::population::limits::SummaryLimits;
    use crate::population::summary::tests::{row, summary_of};
    let far = Address::v4([203, 0, 113, 7]);
    let home = |n: u64| Address::v4([10, 0, 0, n as u8]);
    // Calls of the party, and of subscribers to it, each to or from the n-th home.
    let table: [(&str, Vec<u64>, Vec<u64>, f64); 4] = [
        ("a page whose machine visits a server inside", vec![0; 20], (1..9).collect(), 0.0),
        ("one who polls nine, two of which call it as well", (0..9).collect(), vec![3, 4], 9.0 / 11.0),
        ("one who polls nine", (0..9).collect(), Vec::new(), 1.0),
        ("a page", Vec::new(), (1..9).collect(), 0.0),
    ];
    for (name, calls, called, wanted) in table {
        let call = |from: Address, to: Address, n: usize| row(from, to, n as u64, 300, 900);
        let out = calls.iter().enumerate().map(|(n, to)| call(far, home(*to), n));
        let rows: Vec<_> = out.chain(called.iter().enumerate().map(|(n, from)| call(home(*from), far, n))).collect();
        let summary = summary_of(&rows, &SummaryLimits::default());
        let (_, whole) = summary.collectors.sorted()[0];
        let share = begun_by_collector(whole);
        assert!((share - wanted).abs() < 1e-9, "{name}: {share}");
    }
}

#[test]
fn a_visitor_is_no_fleet_with_peers_beside_it() {
    use crate::population::limits::SummaryLimits;
    use crate::population::places::Places;
    use crate::population::summary::tests::{populations, row, summary_of};
    let far = |last: u64| Address::v4([203, 0, 113, last as u8]);
    let call = |from: Address, home: u64, n: u64, port: u16| {
        let mut one = row(from, Address::v4([10, 0, 0, home as u8]), n, 300, 900);
        // The home's address is the lower one of the two.
        one.key.ports[0] = port;
        one
    };
    let visits = (0..40).map(|n| call(far(1), 99, n, 443));
    let peers = (0..9).map(|n| call(far(2 + n % 3), n, n, 20_000 + n as u16));
    let polls = (0..24).map(|n| call(far(1 + n % 3), n, n, 7_547));
    for (name, rows, wanted) in
        [("a visitor and peers", visits.chain(peers).collect::<Vec<_>>(), false), ("a fleet", polls.collect(), true)]
    {
        let summary = summary_of(&rows, &SummaryLimits::default());
        let (populations, places) = (populations(), Places::default());
        let scene = Scene::new(&summary, &populations, &places, None);
        let groups = levels::together(&scene, Technique::UnattributedCluster, &[Level::Prefix], 8, |_| true);
        assert_eq!(groups.len(), 1, "{name}");
        assert_eq!(ask_for_the_same(&scene, &groups[0]), wanted, "{name}");
    }
}

#[test]
fn strangers_side_by_side_are_no_fleet() {
    let table = [
        ("one who polls eight", 8, 1, true),
        ("seven are no group", 7, 1, false),
        ("a fleet of twelve and its devices", 24, 12, true),
        ("twelve visitors of nine servers", 9, 12, false),
    ];
    for (name, subscribers, addresses, wanted) in table {
        let mut whole = CollectorSummary::default();
        (0..subscribers).for_each(|n: u64| whole.subscribers.add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        assert_eq!(reaches_many(&whole, addresses), wanted, "{name}");
    }
}

#[test]
fn who_is_asked_as_often_as_not_is_no_stranger() {
    let nearer = Measures {
        subscribers: 8,
        upload_share: 0.96,
        answered_share: 1.0,
        unasked: 1.0,
        begun_by_collector: 1.0,
        calls_each: 1.0,
        outlier: 1.64,
        p_value: 0.048,
    };
    assert_eq!(nearer.severity(0.75), Some(Severity::Medium), "one who polls eight at one port");
    assert_eq!(Measures { unasked: 0.8, ..nearer }.severity(0.75), Some(Severity::Low), "as near, by the clock");
    let table = [
        ("calls all of them", 1.0, 1.0, 0.9, Some(Severity::Medium)),
        ("calls all of them now and then", 0.39, 1.0, 0.79, Some(Severity::Medium)),
        ("is called by the clock", 0.8, 0.0, 0.79, Some(Severity::Medium)),
        ("a mail server that half of its callers poll", 0.49, 0.54, 0.83, Some(Severity::Low)),
        ("unasked and ordinary", 1.0, 1.0, 0.3, None),
    ];
    for (name, unasked, begun_by_collector, score, wanted) in table {
        let measures = Measures {
            subscribers: 17,
            upload_share: 0.95,
            answered_share: 1.0,
            unasked,
            begun_by_collector,
            calls_each: 1.0,
            outlier: 3.4,
            p_value: 0.015,
        };
        assert_eq!(measures.severity(score), wanted, "{name}");
    }
}

#[test]
fn what_brings_as_much_back_is_no_stranger() {
    let table =
        [("a site that is asked whether the network is there", 0.552, false), ("a register that is fed", 0.9, true)];
    for (name, upload_share, wanted) in table {
        let measures = Measures {
            subscribers: 47,
            upload_share,
            answered_share: 1.0,
            unasked: 0.8,
            begun_by_collector: 0.0,
            calls_each: 1.0,
            outlier: 2.47,
            p_value: 0.02,
        };
        let (score, _) = weigh(measures.reasons());
        assert_eq!(measures.severity(score) >= Some(Severity::Medium), wanted, "{name}: {score}");
    }
}

#[test]
fn one_households_clock_speaks_for_nobody_else() {
    use crate::population::facet::{Moment, Sample};
    use crate::population::span::Seen;
    use crate::units::TimestampNs;
    // Sixteen homes, so many of which call every five minutes; the others call twice.
    for (by_clock, wanted) in [(1, false), (3, false), (14, true)] {
        let mut sample = Sample::default();
        for home in 0..16u8 {
            let calls = if home < by_clock { 12 } else { 2 };
            for n in 0..calls {
                let at = 1e6 + 300.0 * f64::from(n) + 17.0 * f64::from(home);
                let (hash, subscriber) = (u64::from(home), Address::v4([10, 0, 0, home]));
                let ts = TimestampNs((at * 1e9) as u64);
                sample.add(&Moment { hash, subscriber, seen: Seen::between(ts, ts), flows: 1, moved: [300, 200] });
            }
        }
        let whole = CollectorSummary::following(sample);
        assert_eq!(unasked(&whole) >= UNASKED_MIN, wanted, "{by_clock} of 16: {}", unasked(&whole));
    }
}

#[test]
fn a_time_server_that_leaves_some_unanswered_is_no_stranger() {
    let party = |port: u16, bytes: u64| {
        let mut whole = CollectorSummary::default();
        whole.services.add(Service { protocol: 17, port, at: ServiceAt::Collector });
        (whole.totals.packets, whole.totals.data_bytes) = ([10, 5], [10 * bytes, 5 * bytes]);
        (0..10).for_each(|_| whole.upload_sizes.add(bytes));
        (0..5).for_each(|_| whole.download_sizes.add(bytes));
        whole
    };
    for (name, port, bytes, wanted) in
        [("a clock", 123, 48, false), ("what hides on its port", 123, 600, true), ("another", 4_123, 48, true)]
    {
        assert_eq!(is_candidate(&party(port, bytes)), wanted, "{name}");
    }
}
