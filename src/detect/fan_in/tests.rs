//! Fan-ins by their times: people, clocks, what waits for news.

use super::*;
use crate::detect::finding::CollectorIdentity;
use crate::detect::register::{NoRegister, Register};
use crate::population::facet::{Moment, Sample};
use crate::population::sketch::Merge;
use crate::population::span::Seen;
use crate::units::TimestampNs;

#[test]
fn times_that_could_be_told_and_show_no_clock_are_a_measurement() {
    // Gaps of twelve homes, seconds: the same draws from an even spread each time.
    let even = |n: usize| (n as f64 * 0.754_877_666).fract();
    type Case<'a> = (&'a str, usize, &'a dyn Fn(usize) -> f64, bool);
    let table: [Case<'_>; 3] = [
        ("people", 9, &|n| -300.0 * (1.0 - even(n)).ln(), true),
        ("a clock with jitter", 9, &|n| 300.0 * (0.8 + 0.4 * even(n)), false),
        ("too few to tell", 2, &|n| -300.0 * (1.0 - even(n)).ln(), false),
    ];
    for (name, calls, gap, wanted) in table {
        let mut sample = Sample::default();
        for home in 0..12u8 {
            let mut at = 1e6;
            for n in 0..calls {
                at += gap(usize::from(home) * calls + n);
                sample.add(&Moment {
                    hash: u64::from(home),
                    subscriber: Address::v4([10, 0, 0, home]),
                    seen: Seen::between(TimestampNs((at * 1e9) as u64), TimestampNs((at * 1e9) as u64)),
                    flows: 1,
                    moved: [800, 90],
                });
            }
        }
        let whole = CollectorSummary::following(sample);
        assert_eq!(is_untimed(&whole), wanted, "{name}");
    }
}

#[test]
fn a_dozen_devices_of_many_that_name_their_maker_are_a_product() {
    use crate::packet::facts::AppFacts;
    use crate::population::limits::SummaryLimits;
    use crate::population::places::Places;
    use crate::population::summary::tests::{populations, row, summary_of};
    let maker = Address::v4([203, 0, 113, 7]);
    // Devices that call, others that are active, whether they ask for the maker by name.
    let table = [
        ("a dozen cameras", 12, 238, true, true),
        ("a dozen that call a party without a name", 12, 238, false, false),
        ("a dozen of a hundred", 12, 88, true, false),
        ("eighteen of two hundred and fifty", 18, 232, true, true),
        ("two dozen of them", 24, 226, true, false),
    ];
    for (name, devices, others, is_named, wanted) in table {
        let call = |n: u8, to: Address| row(Address::v4([10, 0, 0, n]), to, n.into(), 800, 90);
        let mut rows: Vec<_> = (0..devices).map(|n| call(n, maker)).collect();
        if is_named {
            let facts = AppFacts { server_name: Some("cloud.maker.example".into()), ..AppFacts::default() };
            rows.iter_mut().for_each(|row| row.facts = Some(std::sync::Arc::new(facts.clone())));
        }
        rows.extend((devices..devices + others).map(|n| call(n, Address::v4([198, 51, 100, 1]))));
        let summary = summary_of(&rows, &SummaryLimits::default());
        let (populations, places) = (populations(), Places::default());
        let scene = Scene::new(&summary, &populations, &places, None);
        let group = scene.alone(|(key, _)| key.address == maker).pop().expect("called");
        let measures = Measures::of(&group.whole, scene.active(group.of.population));
        assert_eq!(is_product(&scene, &group, &measures), wanted, "{name}: {measures:?}");
    }
}

#[test]
fn who_waits_for_news_over_an_open_connection_reports_nothing() {
    let alike = Measures {
        subscribers: 21,
        coverage: 0.3,
        upload_share: 0.0,
        answered_share: 1.0,
        record_bytes: 352.0,
        record_dispersion: 0.046,
        gap_s: None,
        gap_spread: None,
        clockwork: None,
        early_spread: None,
        lasting: None,
        unevenness: None,
        bytes_per_subscriber: 9_000.0,
        records_per_subscriber: 40.0,
        begun_by_collector: 0.0,
    };
    let chance = Measures { upload_share: 0.77, record_bytes: 2_670.0, records_per_subscriber: 1.6, ..alike };
    let table = [
        ("a drive that waits for news", Measures { upload_share: 0.667, unevenness: Some(0.1), ..alike }, false),
        ("records that are confirmed", Measures { upload_share: 0.9, unevenness: Some(0.1), ..alike }, true),
        (
            "as much back, by the clock of new calls",
            Measures { upload_share: 0.68, clockwork: Some(1.0), ..alike },
            true,
        ),
        (
            "a check of the network, by the clock",
            Measures { upload_share: 0.59, record_bytes: 140.0, clockwork: Some(1.0), ..alike },
            false,
        ),
        ("a few that people sent, alike by chance", Measures { record_dispersion: 0.231, ..chance }, false),
        ("a few that are alike", Measures { record_dispersion: 0.05, ..chance }, true),
    ];
    for (name, measures, wanted) in table {
        let (score, _) = weigh(measures.reasons(&Usual::default()));
        assert_eq!(severity_of(score, 0.0) >= Some(Severity::Medium), wanted, "{name}: {score}");
    }
}

#[test]
fn a_monitor_of_one_server_is_no_fan_in_of_those_who_ask_its_machine_the_time() {
    use crate::population::limits::SummaryLimits;
    use crate::population::places::Places;
    use crate::population::summary::tests::{populations, row, summary_of};
    let far = Address::v4([203, 0, 113, 7]);
    let home = |n: u64| Address::v4([10, 0, 0, n as u8]);
    // Bytes and calls of the first subscriber beside those of eleven others, 400 bytes in each call.
    for (name, bytes, calls, others, wanted) in [
        ("one server is asked all day", 900, 60, 2, true),
        ("a device that calls anew all day", 4, 60, 2, false),
        ("all alike", 400, 4, 4, false),
    ] {
        let first = (0..calls).map(|n| row(far, home(0), 4 * n, 100, bytes));
        let rest = (1..12).flat_map(|n| (0..others).map(move |call| row(home(n), far, 9 * n + 60 * call, 400, 90)));
        let summary = summary_of(&first.chain(rest).collect::<Vec<_>>(), &SummaryLimits::default());
        let (populations, places) = (populations(), Places::default());
        let scene = Scene::new(&summary, &populations, &places, None);
        let groups = scene.alone(|_| true);
        assert_eq!(groups.len(), 1, "{name}");
        assert_eq!(is_of_one(&scene, &groups[0]), wanted, "{name}");
    }
}

#[test]
fn the_gaps_of_a_name_speak_for_each_of_its_addresses() {
    use crate::flow::row::{FlowColumns, FlowRow};
    use crate::packet::facts::AppFacts;
    use crate::population::limits::SummaryLimits;
    use crate::population::places::Places;
    use crate::population::summary::tests::{TurnedOver, populations, row};
    use crate::population::{AddContext, Span, Summary};
    use crate::units::DurationNs;
    let start = TimestampNs(1_699_977_600_000_000_000);
    let at = |second: f64| start.after(DurationNs((second * 1e9) as u64));
    let even = |n: usize| (n as f64 * 0.754_877_666).fract();
    // When each of thirty homes sends a record to one of four addresses of one name, seconds.
    let people = |n: usize, i: usize| 50.0 * (1.0 + 60.0 * even(5 * n + i).powi(3) + i as f64);
    let clock = |n: usize, i: usize| 40.0 * even(n) + 900.0 * (i as f64 + 0.1 * even(31 * n + i));
    type When<'a> = &'a dyn Fn(usize, usize) -> f64;
    let table: [(&str, When<'_>, bool); 2] = [("people", &people, true), ("a clock", &clock, false)];
    for (name, when, is_people) in table {
        let (populations, places, limits) = (populations(), Places::default(), SummaryLimits::default());
        let mut rows = FlowColumns::default();
        for n in 0..120usize {
            let (home, i) = (n % 30, n / 30);
            let facts = AppFacts { server_name: Some("b.counter.example".into()), ..AppFacts::default() };
            let far = Address::v4([203, 0, 113, ((home + i) % 4) as u8]);
            let mut one = row(Address::v4([10, 0, 0, home as u8]), far, 0, 600, 90);
            one.sides[0].syn = 1;
            let ts = at(when(home, i).min(3_500.0));
            let facts = Some(std::sync::Arc::new(facts));
            rows.push(FlowRow { ts_first: ts, ts_last: ts, pair_gap: DurationNs::ZERO, facts, ..one });
        }
        let mut summary = Summary::new(Span::new(start, at(3_600.0)));
        let mut cx = AddContext { populations: &populations, identity: &mut TurnedOver(1), limits: &limits };
        summary.add_rows(&rows, &[], &mut cx);
        let scene = Scene::new(&summary, &populations, &places, None);
        for group in scene.alone(|_| true) {
            let alone = Measures::of(&group.whole, 30);
            assert_eq!(alone.early_spread, None, "{name}: each home came to each address once");
            let part = alone.as_part(&scene, &group);
            let spread = part.early_spread.expect("the name has four of each home");
            assert_eq!(spread > EARLY_SPREAD, is_people, "{name}: {spread}");
            assert_eq!(part.tells_times(), is_people, "{name}: what people do takes a claim back");
            let twice = Measures { records_per_subscriber: 2.0, ..part };
            assert_eq!(twice.timed(1.0) > BY_PEOPLE, !is_people, "{name}");
        }
    }
}

#[test]
fn a_few_reports_an_hour_are_not_collected_yet() {
    let hour = DurationNs::from_secs(3_600);
    let gave = |records: f64, bytes: f64| {
        let whole = CollectorSummary::following(Sample::default());
        Measures { records_per_subscriber: records, bytes_per_subscriber: bytes, ..Measures::of(&whole, 1) }
    };
    let table = [
        ("a printer's page counters in an hour", gave(3.0, 5_800.0), hour, false),
        ("a thermostat's signs of life in an hour", gave(6.0, 2_200.0), hour, false),
        ("records every five minutes for an hour", gave(12.0, 13_000.0), hour, true),
        ("records every minute for four", gave(4.0, 4_400.0), DurationNs::from_secs(240), true),
        ("three in a day", gave(3.0, 7_000.0), DurationNs::from_secs(86_400), true),
        ("three an hour for a day", gave(72.0, 90_000.0), DurationNs::from_secs(86_400), true),
        (
            "four an hour of a third of all",
            Measures { subscribers: 90, coverage: 0.3, ..gave(4.0, 2_400.0) },
            hour,
            true,
        ),
        (
            "four an hour of a few of them",
            Measures { subscribers: 90, coverage: 0.05, ..gave(4.0, 2_400.0) },
            hour,
            false,
        ),
    ];
    for (name, measures, span, wanted) in table {
        assert_eq!(measures.is_collected(span), wanted, "{name}");
    }
}

#[test]
fn what_a_player_tells_while_somebody_watches_is_of_sessions() {
    // Twenty homes for an hour, a record a minute: all the time, or for eight minutes each, one after the other.
    let told = |minutes: u64, later_s: u64| {
        let (mut sample, mut all) = (Sample::default(), Seen::default());
        for (home, n) in (0..20u64).flat_map(|home| (0..minutes).map(move |n| (home, n))) {
            let ts = TimestampNs((1_000_000 + later_s * home + 60 * n + home % 7) * 1_000_000_000);
            let seen = Seen::between(ts, ts);
            all.merge(seen);
            let subscriber = Address::v4([10, 0, 0, home as u8]);
            sample.add(&Moment { hash: home, subscriber, seen, flows: 1, moved: [900, 20] });
        }
        let mut whole = CollectorSummary::following(sample);
        whole.seen = all;
        Measures::of(&whole, 100)
    };
    assert!(!told(58, 2).is_of_sessions(), "an agent that runs on");
    assert!(told(8, 160).is_of_sessions(), "a player, an evening of homes one after the other");
}

#[test]
fn a_question_each_time_or_a_word_of_few_is_a_sign_of_life() {
    let whole = CollectorSummary::following(Sample::default());
    let table = [
        ("records", 0.9, 0.1, 1_000.0, false),
        ("as much asked as told", 0.65, 0.1, 1_000.0, true),
        ("the same of a good part", 0.65, 0.3, 1_000.0, false),
        ("a word of few", 0.9, 0.1, 200.0, true),
        ("a word of many", 0.9, 0.2, 200.0, false),
    ];
    for (name, upload_share, coverage, record_bytes, wanted) in table {
        let measures = Measures { upload_share, coverage, record_bytes, ..Measures::of(&whole, 1) };
        assert_eq!(measures.is_sign_of_life(), wanted, "{name}");
    }
}

#[test]
fn one_key_under_many_names_is_one_party_however_large_each_is() {
    use crate::flow::row::FlowRow;
    use crate::packet::facts::{AppFacts, CertificateFacts};
    use crate::population::limits::SummaryLimits;
    use crate::population::places::Places;
    use crate::population::summary::tests::{populations, row, summary_of};
    // Names under one key, ten homes each; the addresses that are one party.
    for (names, wanted) in [(8u8, Some(8)), (4, None)] {
        let rows = (0..names).flat_map(|name| (0..10u8).map(move |home| (name, home))).map(|(name, home)| {
            let certificate = CertificateFacts {
                issuer: "CN=An authority".into(),
                subject: format!("CN=www.site{name}.example").into(),
                names: vec![format!("www.site{name}.example").into()],
                key_hash: 9,
                issuer_hash: 5,
                valid_from_s: 0,
            };
            let facts = AppFacts {
                server_name: Some(format!("www.site{name}.example").into()),
                certificate: Some(Box::new(certificate)),
                ..AppFacts::default()
            };
            let one = row(Address::v4([10, 0, name, home]), Address::v4([203, name, 113, 7]), 10, 2_000, 300);
            FlowRow { facts: Some(std::sync::Arc::new(facts)), ..one }
        });
        let summary = summary_of(&rows.collect::<Vec<_>>(), &SummaryLimits::default());
        let (populations, places) = (populations(), Places::default());
        let scene = Scene::new(&summary, &populations, &places, None);
        let level = [Level::CertificateKey];
        let groups = levels::together(&scene, Technique::PopulationFanIn, &level, SUBSCRIBERS_MIN, is_member_like);
        let census = levels::census(&scene, &level);
        let parties = groups.into_iter().filter_map(|group| coherent(&scene, group, &census));
        assert_eq!(parties.map(|group| group.of.addresses.len()).max(), wanted, "{names} names");
    }
}

#[test]
fn what_few_ask_again_and_again_is_a_call_and_what_many_tell_a_record() {
    let whole = CollectorSummary::following(Sample::default());
    let calls = Measures {
        subscribers: 16,
        record_bytes: 423.0,
        record_dispersion: 0.07,
        upload_share: 0.73,
        answered_share: 1.0,
        begun_by_collector: 0.0,
        ..Measures::of(&whole, 1)
    };
    let table = [
        ("questions of a few", calls, true),
        ("the same of as many as buy a product", Measures { subscribers: 28, ..calls }, false),
        ("records", Measures { record_bytes: 478.0, ..calls }, false),
        ("now this and now that", Measures { record_dispersion: 0.2, ..calls }, false),
        ("no more than that it was heard", Measures { upload_share: 0.75, ..calls }, false),
        ("nobody answers", Measures { answered_share: 0.5, ..calls }, false),
        ("who asks them", Measures { begun_by_collector: 1.0, ..calls }, false),
    ];
    for (name, measures, wanted) in table {
        assert_eq!(asked::is_asked(&measures), wanted, "{name}");
    }
}

/// Allows everybody everything.
#[derive(Debug)]
struct Allows;

impl Register for Allows {
    fn allows(&self, _: Technique, _: &CollectorIdentity, _: &str, _: TimestampNs) -> bool {
        true
    }

    fn is_empty(&self) -> bool {
        false
    }
}

/// Devices of a hundred and twenty that send a party records over an hour and a half, `at(device, record)` seconds on, by a name or
/// none: what is told of it, and how loudly.
fn told(
    bytes: [u64; 2],
    devices: u8,
    at: &dyn Fn(u64, u64) -> u64,
    name: Option<&str>,
    register: &dyn Register,
) -> Vec<(Technique, Severity)> {
    use crate::flow::row::FlowColumns;
    use crate::packet::facts::AppFacts;
    use crate::population::places::Places;
    use crate::population::summary::tests::{TurnedOver, populations, row};
    use crate::population::{AddContext, Span, Summary, SummaryLimits};
    let (populations, limits, places) = (populations(), SummaryLimits::default(), Places::default());
    let start = TimestampNs(1_000_000_000_000_000_000);
    let mut summary = Summary::new(Span::new(start, start.after(DurationNs::from_secs(5_400))));
    let mut cx = AddContext { populations: &populations, identity: &mut TurnedOver(1), limits: &limits };
    let mut rows = FlowColumns::default();
    for device in 0..120u8 {
        let (home, page) = (Address::v4([10, 0, 0, device]), Address::v4([198, 51, 100, device % 25]));
        rows.push(row(home, page, 41 * u64::from(device), 800, 9_000));
        for record in 0..if device < devices { 30 } else { 0 } {
            let mut one = row(home, Address::v4([203, 0, 113, 7]), at(device.into(), record), bytes[0], bytes[1]);
            one.ts_last = one.ts_first.after(DurationNs::from_secs(1));
            let facts = |name: &str| AppFacts { server_name: Some(name.into()), ..AppFacts::default() };
            one.facts = name.map(|name| std::sync::Arc::new(facts(name)));
            rows.push(one);
        }
    }
    summary.add_rows(&rows, &[], &mut cx);
    let mut findings = Vec::new();
    detect(&Scene::new(&summary, &populations, &places, None).under(register), &mut findings);
    findings.iter().map(|finding| (finding.technique, finding.severity)).collect()
}

#[test]
fn a_clock_of_ones_own_collects_and_one_order_for_all_does_not() {
    let own = |device: u64, record: u64| 180 * record + 7 * device % 180 + record * record % 11;
    // At no regular times, all in the same second.
    let order = |_: u64, record: u64| 170 * record + record * record * 37 % 127;
    let loud = |told: Vec<(Technique, Severity)>| {
        told.into_iter().filter(|(_, severity)| *severity >= Severity::Medium).map(|(technique, _)| technique).collect()
    };
    let by = |bytes, devices, at| -> Vec<Technique> { loud(told(bytes, devices, at, None, &NoRegister)) };
    assert_eq!(by([900, 60], 24, &own), [Technique::PopulationFanIn], "records by the clock");
    assert_eq!(by([900, 60], 24, &order), [], "the same on one order");
    let named = told([900, 60], 24, &order, Some("in.maker.example"), &NoRegister);
    assert_eq!(loud(named), [Technique::PopulationFanIn], "on the order of one that they name");
    assert_eq!(by([420, 170], 16, &own), [Technique::BeaconingImplant], "questions of a few");
    let under = told([420, 170], 16, &own, None, &Allows);
    assert_eq!(loud(under), [Technique::PopulationFanIn], "who may have them, has records");
}

#[test]
fn what_renews_an_association_is_no_record() {
    use crate::packet::facts::AppProtocol;
    let rows = |stun: u64, others: u64| {
        let mut whole = CollectorSummary::default();
        (0..stun).for_each(|_| whole.apps.add(AppProtocol::Stun));
        (0..others).for_each(|_| whole.apps.add(AppProtocol::Tls));
        whole.totals.rows = 20;
        is_led_by_stun(&whole)
    };
    assert!(rows(11, 0) && rows(12, 8));
    assert!(!rows(10, 0) && !rows(9, 11) && !rows(0, 20));
}
