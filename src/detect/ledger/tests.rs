//! One finding at the level that explains most; claims that later looks take back.

use super::*;
use crate::detect::finding::{CollectorIdentity, EvidenceValue, PopulationShare};
use crate::detect::words;
use crate::population::span::Seen;

fn finding(technique: Technique, key: &str, last: &[u8], severity: Severity, subscribers: u64) -> Finding {
    let collector = CollectorIdentity {
        collector_key: key.to_owned(),
        addresses: last.iter().map(|d| Address::v4([203, 0, 113, *d])).collect(),
        ..CollectorIdentity::default()
    };
    let share = PopulationShare { name: "residents".to_owned(), subscribers, ..PopulationShare::default() };
    let seen = Seen { first: TimestampNs(0), last: TimestampNs(1) };
    Finding {
        severity,
        score: 0.5 + 0.1 * f64::from(severity as u8),
        p_value: 0.01,
        flows: 1,
        ..Finding::blank(technique, collector, share, seen)
    }
}

#[test]
fn a_copy_of_another_population_is_no_exfiltration() {
    use Technique::{BulkExfiltration, ShadowUpload, TapCorrelation};
    // What else is said of the receiver, of another population, bytes of the upload, and whether it is still told.
    for (by, bytes_up, wanted) in
        [(TapCorrelation, 900, false), (TapCorrelation, 9_000, true), (ShadowUpload, 900, true)]
    {
        let mut upload = finding(BulkExfiltration, "a", &[1], Severity::High, 1);
        (upload.population.name, upload.bytes_up) = ("servers".to_owned(), bytes_up);
        let copy = Finding { bytes_up: 1_000, ..finding(by, "a", &[1], Severity::High, 40) };
        let mut ledger = Ledger::default();
        ledger.absorb(vec![upload, copy], &look(0, 5, Vec::new()));
        let (kept, _) = ledger.close();
        assert_eq!(kept.iter().any(|one| one.technique == BulkExfiltration), wanted, "{by:?}, {bytes_up} bytes");
    }
}

#[test]
fn several_devices_that_tell_of_themselves_are_no_tap_and_what_nobody_runs_is_no_call() {
    use Technique::{
        BeaconingImplant, PopulationFanIn, ShadowUpload, TapCorrelation, TrafficMirroring, UnattributedCluster,
    };
    let told = |one: Finding, other: Finding| -> Vec<Technique> {
        let mut ledger = Ledger::default();
        ledger.absorb(vec![one, other], &look(0, 5, Vec::new()));
        ledger.close().0.iter().map(|one| one.technique).collect()
    };
    let of = |technique, severity, subscribers| finding(technique, "a", &[1], severity, subscribers);
    for (devices, wanted) in [(3, vec![ShadowUpload]), (1, vec![TapCorrelation, ShadowUpload])] {
        let shadow = of(ShadowUpload, Severity::Medium, devices);
        assert_eq!(told(of(TapCorrelation, Severity::High, 80), shadow), wanted, "{devices} devices");
    }
    // What one order moves looks like records now and then.
    let beside =
        [(Severity::Low, vec![UnattributedCluster, PopulationFanIn]), (Severity::Medium, vec![PopulationFanIn])];
    for (severity, wanted) in beside {
        let evidence = vec![words::evidence("in_step_share", EvidenceValue::Number(1.0), "ratio", 0.4)];
        let moved = Finding { evidence, ..of(UnattributedCluster, Severity::Medium, 22) };
        assert_eq!(told(of(PopulationFanIn, severity, 22), moved), wanted, "{severity:?}");
    }
    // What can be read is no longer opaque, whoever sends it.
    for technique in [TapCorrelation, ShadowUpload] {
        let copies = of(TrafficMirroring, Severity::High, 80);
        assert_eq!(told(of(technique, Severity::Medium, 80), copies), [TrafficMirroring], "{technique:?}");
    }
    for technique in [BeaconingImplant, PopulationFanIn] {
        for severity in [Severity::Medium, Severity::Low] {
            let evidence = vec![words::evidence("ip_protocol", EvidenceValue::Number(132.0), "", 0.4)];
            let strange = Finding { evidence, ..of(UnattributedCluster, severity, 22) };
            let wanted = if severity == Severity::Medium { UnattributedCluster } else { technique };
            assert_eq!(told(of(technique, Severity::Medium, 22), strange), [wanted], "{technique:?}, {severity:?}");
        }
    }
}

#[test]
fn a_few_who_keep_time_with_doors_of_a_fleet_are_some_of_those_who_feed_it() {
    use Technique::{BeaconingImplant, PopulationFanIn};
    // The fleet, how many feed it, the beacon's addresses, how many call them, and whether the beacon is told.
    let fleet: Vec<u8> = (1..10).collect();
    type Case<'a> = (&'a [u8], u64, &'a [u8], u64, bool);
    let table: [Case<'_>; 5] = [
        (&fleet, 26, &[3, 7, 200], 3, false),
        (&fleet, 26, &[3, 200, 201], 3, true),
        (&fleet, 26, &[3, 7, 200], 9, true),
        (&fleet[..3], 26, &[2, 3, 200], 3, true),
        (&fleet, 26, &[3, 7], 9, false),
    ];
    for (doors, fed, called, callers, wanted) in table {
        let mut ledger = Ledger::default();
        let fan_in = finding(PopulationFanIn, "a", doors, Severity::High, fed);
        let beacon = finding(BeaconingImplant, "b", called, Severity::High, callers);
        ledger.absorb(vec![fan_in, beacon], &look(0, 5, Vec::new()));
        let (kept, _) = ledger.close();
        let is_told = kept.iter().any(|one| one.technique == BeaconingImplant);
        assert_eq!(is_told, wanted, "{fed} feed {doors:?}, {callers} call {called:?}");
    }
}

#[test]
fn names_that_are_led_to_who_opens_them_are_one_partys_doing() {
    use Technique::{DnsHijack, TlsInterception};
    let (many, door): (Vec<u8>, Vec<u8>) = ((1..12).collect(), vec![7]);
    // Domains that a resolver that was turned to leads elsewhere (none: in the usual one's name), how many ask it, where it leads; who
    // opens, towards how many; what is told of both. The resolver is 53.
    type Case<'a> = (&'a str, Option<f64>, u64, u8, &'a [u8], u64, Vec<Technique>);
    let (all, both) = ([&many[..], &[53]].concat(), vec![TlsInterception, DnsHijack]);
    let table: [Case<'_>; 8] = [
        ("a strange resolver, issuers of many places", Some(9.0), 50, 7, &many, 20, vec![DnsHijack]),
        ("the same, towards more than ask it", Some(9.0), 10, 7, &many, 20, both.clone()),
        ("elsewhere", Some(9.0), 50, 77, &many, 20, both.clone()),
        ("the resolver among many, and no lie proved", Some(0.0), 50, 77, &all, 20, both.clone()),
        ("a strange resolver, and a door", Some(9.0), 50, 7, &door, 20, both.clone()),
        ("in the usual resolver's name, to a door", None, 50, 7, &door, 20, vec![TlsInterception]),
        ("in its name, to issuers of many places", None, 50, 7, &many, 20, both.clone()),
        ("in its name elsewhere, and it is opened itself", None, 50, 77, &[53], 20, both),
    ];
    for (name, lied, askers, led, opened, victims, wanted) in table {
        let mut hijack = finding(DnsHijack, "r", &[led.min(53), led.max(53)], Severity::High, askers);
        match lied {
            Some(domains) => {
                let number = |feature, value| words::evidence(feature, EvidenceValue::Number(value), "", 0.2);
                hijack.evidence.extend([number(TURNED, 1.0), number("domains_led_elsewhere", domains)]);
            }
            None => hijack.collector.collector_key = contradicted::key_of(Address::v4([203, 0, 113, led])),
        }
        let opens = finding(TlsInterception, "i", opened, Severity::High, victims);
        let mut ledger = Ledger::default();
        ledger.absorb(vec![hijack, opens], &look(0, 5, Vec::new()));
        let mut told: Vec<Technique> = ledger.close().0.iter().map(|one| one.technique).collect();
        told.sort_unstable();
        assert_eq!(told, wanted, "{name}");
    }
}

#[test]
fn one_finding_comes_out_at_the_level_that_explains_most() {
    use Severity::{High, Low, Medium};
    use Technique::{
        BeaconingImplant, PopulationFanIn, ShadowUpload, TapCorrelation, TrafficMirroring, UnattributedCluster,
    };
    let fan_in = |key, last: &[u8], severity, n| finding(PopulationFanIn, key, last, severity, n);
    let table = [
        (
            "many addresses of one name",
            vec![
                fan_in("a", &[1], High, 20),
                fan_in("b", &[2], High, 22),
                fan_in("spy.example", &[1, 2, 3], Medium, 60),
            ],
            vec![("spy.example", High)],
        ),
        (
            "a prefix that adds nothing",
            vec![fan_in("a", &[1], High, 50), fan_in("p", &[1, 2], Medium, 52)],
            vec![("a", High)],
        ),
        (
            "a prefix that adds half",
            vec![fan_in("a", &[1], High, 40), fan_in("p", &[1, 2], Low, 60)],
            vec![("p", High)],
        ),
        ("two strangers", vec![fan_in("a", &[1], High, 40), fan_in("b", &[2], Low, 60)], vec![("a", High), ("b", Low)]),
        (
            "following is more than a fan-in; of a fan-in and a beacon the stronger stays",
            vec![
                fan_in("a", &[1], High, 40),
                finding(ShadowUpload, "a", &[1], Medium, 40),
                fan_in("b", &[2], Low, 40),
                finding(BeaconingImplant, "b", &[2], Medium, 40),
                fan_in("c", &[3], Medium, 30),
                finding(BeaconingImplant, "c", &[3], Medium, 30),
                fan_in("d", &[4], Low, 20),
                finding(BeaconingImplant, "d", &[4], Low, 20),
            ],
            // Of a fan-in and a beacon the worse one stays, and the fan-in where they are equal.
            vec![("a", Medium), ("b", Medium), ("c", Medium), ("d", Low)],
        ),
        (
            "what has a name is not unattributed",
            vec![
                finding(UnattributedCluster, "a", &[1], Medium, 40),
                fan_in("p", &[1, 2], Low, 60),
                finding(UnattributedCluster, "c", &[3], Medium, 40),
            ],
            vec![("c", Medium), ("p", Low)],
        ),
        (
            "flow records are no opaque stream",
            vec![
                finding(TapCorrelation, "a", &[1], High, 40),
                finding(TrafficMirroring, "a", &[1], High, 40),
                finding(TapCorrelation, "b", &[2], High, 40),
                finding(TrafficMirroring, "b", &[2], Low, 40),
            ],
            vec![("a", High), ("b", High), ("b", Low)],
        ),
        (
            "copies that each device wraps are no records",
            vec![finding(PopulationFanIn, "a", &[1], High, 40), finding(TrafficMirroring, "a", &[1], Medium, 40)],
            vec![("a", Medium)],
        ),
    ];
    for (name, found, wanted) in table {
        let mut ledger = Ledger::default();
        ledger.absorb(found, &look(0, 5, Vec::new()));
        let (kept, _) = ledger.close();
        let kept: Vec<_> = kept.iter().map(|f| (f.collector.collector_key.as_str(), f.severity)).collect();
        assert_eq!(kept, wanted, "{name}");
    }
}

/// A look from one minute to another.
fn look(from_min: u64, to_min: u64, doubts: Vec<Doubt>) -> Look {
    let at = |minute: u64| TimestampNs(minute * 60_000_000_000);
    Look { span: Span::new(at(from_min), at(to_min)), is_whole_hour: to_min - from_min == 60, doubts }
}

/// Of the same collector, not convinced.
fn doubt(packets: u64) -> Doubt {
    Doubt {
        technique: Technique::PopulationFanIn,
        collector_key: "a".to_owned(),
        population: "residents".to_owned(),
        packets,
        length: crate::units::DurationNs::from_secs(3_600),
        score: 0.3,
        since: None,
        ground: DoubtGround::MoreOfTheSame,
    }
}

#[test]
fn a_beacon_that_is_told_something_is_no_fan_in_and_homes_asleep_are_no_stations() {
    use Severity::{High, Low, Medium};
    use Technique::{BeaconingImplant, PopulationFanIn, UnattributedCluster};
    let with = |feature, value, mut finding: Finding| {
        finding.evidence = vec![words::evidence(feature, EvidenceValue::Number(value), "ratio", 0.2)];
        finding
    };
    let one = |technique, severity| finding(technique, "a", &[1], severity, 12);
    let table = [
        (
            "answers of half of what is asked",
            with("upload_share", 0.67, one(PopulationFanIn, High)),
            one(BeaconingImplant, High),
            (BeaconingImplant, High),
        ),
        (
            "records that are acknowledged",
            with("upload_share", 0.9, one(PopulationFanIn, High)),
            one(BeaconingImplant, High),
            (PopulationFanIn, High),
        ),
        (
            "a weaker beacon",
            with("upload_share", 0.67, one(PopulationFanIn, High)),
            one(BeaconingImplant, Medium),
            (PopulationFanIn, High),
        ),
        (
            "homes asleep that are collected from",
            with("upload_share", 0.8, one(PopulationFanIn, High)),
            with("devices_otherwise_share", 0.1, one(BeaconingImplant, Low)),
            (PopulationFanIn, High),
        ),
        (
            "a dialogue that keeps time by chance",
            with("turns_per_row", 20.0, one(UnattributedCluster, Medium)),
            one(BeaconingImplant, Low),
            (UnattributedCluster, Medium),
        ),
        (
            "packets of a protocol that nobody runs",
            with("ip_protocol", 99.0, one(UnattributedCluster, Medium)),
            one(PopulationFanIn, Low),
            (UnattributedCluster, Medium),
        ),
        (
            "what else nobody explains, and may be records",
            with("profile_outlier", 9.0, one(UnattributedCluster, Medium)),
            one(PopulationFanIn, Low),
            (PopulationFanIn, Low),
        ),
    ];
    for (name, a, b, wanted) in table {
        let findings = told(vec![a, b], FirstSeen::default()).0;
        let first = findings.first().map(|finding| (finding.technique, finding.severity));
        assert_eq!(first, Some(wanted), "{name}");
    }
}

#[test]
fn what_is_fetched_from_abroad_is_told_once() {
    use Technique::{BulkExfiltration, CrossBorderTransfer};
    let one = |technique, severity| finding(technique, "a", &[1], severity, 1);
    for (share, abroad, wanted) in [(1.0, Severity::High, 1), (1.0, Severity::Low, 2), (0.0, Severity::High, 2)] {
        let evidence = vec![words::evidence("begun_by_collector_share", EvidenceValue::Number(share), "ratio", 0.1)];
        let fetched = Finding { evidence, ..one(BulkExfiltration, Severity::High) };
        let mut ledger = Ledger::default();
        ledger.absorb(vec![fetched, one(CrossBorderTransfer, abroad)], &look(0, 5, Vec::new()));
        assert_eq!(ledger.close().0.len(), wanted, "{share}, {abroad:?}");
    }
}

#[test]
fn who_asks_of_each_upload_doubts_nothing_that_the_rate_of_all_tells() {
    for (feature, wanted) in [("rate_correlation", Severity::Medium), ("follows_activity", Severity::Low)] {
        let evidence = vec![words::evidence(feature, EvidenceValue::Number(0.6), "ratio", 0.3)];
        let claim = Finding { evidence, ..finding(Technique::ShadowUpload, "a", &[1], Severity::Medium, 8) };
        let more = Doubt { technique: Technique::ShadowUpload, ..doubt(100 * claim.packets) };
        let mut ledger = Ledger::default();
        ledger.absorb(vec![claim], &look(0, 5, Vec::new()));
        ledger.absorb(Vec::new(), &look(0, 60, vec![more]));
        assert_eq!(ledger.close().0[0].severity, wanted, "{feature}");
    }
}

#[test]
fn that_a_party_came_into_use_is_doubted_only_by_who_saw_it_before() {
    for (since, wanted) in [(0, Severity::Low), (1, Severity::Medium), (2, Severity::Medium)] {
        let mut ledger = Ledger::default();
        let claim = finding(Technique::PopulationFanIn, "a", &[1], Severity::Medium, 20);
        ledger.absorb(vec![Finding { packets: 10, start: TimestampNs(1), ..claim }], &look(0, 60, Vec::new()));
        let doubt = Doubt { since: Some(TimestampNs(since)), ..doubt(90) };
        ledger.absorb(Vec::new(), &look(0, 1_440, vec![doubt]));
        assert_eq!(ledger.told()[0].severity, wanted, "in use since {since}");
    }
}

#[test]
fn that_others_do_the_same_needs_no_more_packets() {
    for (ground, packets, wanted) in [
        (DoubtGround::Others, 12, Severity::Low),
        (DoubtGround::Others, 8, Severity::High),
        (DoubtGround::MoreOfTheSame, 12, Severity::High),
    ] {
        let mut ledger = Ledger::default();
        let claim = finding(Technique::PopulationFanIn, "a", &[1], Severity::High, 20);
        ledger.absorb(vec![Finding { packets: 10, ..claim }], &look(0, 8, Vec::new()));
        ledger.absorb(Vec::new(), &look(0, 60, vec![Doubt { ground, ..doubt(packets) }]));
        assert_eq!(ledger.told()[0].severity, wanted, "{ground:?}, {packets} packets");
    }
}

#[test]
fn a_claim_holds_until_a_look_that_saw_more_knows_better() {
    use Severity::{High, Low, Medium};
    let claim =
        |severity, packets| vec![Finding { packets, ..finding(Technique::PopulationFanIn, "a", &[1], severity, 20) }];
    type Round = (Vec<Finding>, u64, u64, Option<u64>);
    let table: [(&str, Vec<Round>, Severity); 8] = [
        ("an hour that saw more", vec![(claim(High, 10), 0, 8, None), (vec![], 0, 60, Some(40))], Low),
        ("an hour with nothing more", vec![(claim(High, 10), 0, 8, None), (vec![], 0, 60, Some(12))], High),
        ("an hour that could not tell", vec![(claim(High, 10), 0, 8, None), (vec![], 0, 60, None)], High),
        ("an hour that says it too", vec![(claim(Medium, 10), 0, 8, None), (claim(High, 40), 0, 60, None)], High),
        (
            "the stronger claim falls, the longer one stays",
            vec![(claim(High, 10), 0, 8, None), (claim(Medium, 12), 0, 16, None), (vec![], 0, 32, Some(17))],
            Medium,
        ),
        (
            "taken back, and said again by a whole day",
            vec![(claim(High, 10), 0, 8, None), (vec![], 0, 60, Some(40)), (claim(Medium, 900), 0, 1_440, None)],
            Medium,
        ),
        (
            "one hour of four",
            vec![
                (claim(Medium, 40), 0, 60, None),
                (vec![], 60, 120, Some(38)),
                (vec![], 120, 180, Some(45)),
                (vec![], 180, 240, Some(41)),
            ],
            Low,
        ),
        (
            "an operation of one hour, and a trickle after it",
            vec![
                (claim(Medium, 40), 0, 60, None),
                (vec![], 60, 120, Some(4)),
                (vec![], 120, 180, Some(3)),
                (vec![], 180, 240, Some(4)),
            ],
            Medium,
        ),
    ];
    for (name, rounds, wanted) in table {
        let mut ledger = Ledger::default();
        for (found, from, to, packets) in rounds {
            ledger.absorb(found, &look(from, to, packets.map(doubt).into_iter().collect()));
        }
        let told = ledger.told();
        assert_eq!(told[0].severity, wanted, "{name}");
        let (closed, first_seen) = ledger.close();
        assert_eq!(closed, told, "{name}");
        let is_loud = wanted >= Medium;
        assert_eq!(first_seen.of(&told[0]).is_some(), is_loud, "{name}: taken back, and seen");
        assert_eq!(told[0].explanation.contains("taken back"), !is_loud, "{name}: {}", told[0].explanation);
    }
}

#[test]
fn what_is_no_record_goes_where_it_should_not_and_a_pair_is_explained_by_one_of_it() {
    let moved = finding(Technique::CrossBorderTransfer, "a", &[1, 2], Severity::High, 30);
    let sent = |bytes: f64| Finding {
        evidence: vec![words::evidence("record_bytes", EvidenceValue::Number(bytes), "bytes", 0.1)],
        ..finding(Technique::PopulationFanIn, "b", &[2, 3], Severity::High, 30)
    };
    assert!(outdoes(&moved, &sent(20_000.0)), "pictures");
    assert!(!outdoes(&moved, &sent(900.0)), "records are told wherever they go");
    let mut elsewhere = sent(20_000.0);
    elsewhere.population.name = "another".to_owned();
    assert!(!outdoes(&moved, &elsewhere), "another population's");
    assert!(!outdoes(&Finding { severity: Severity::Low, ..moved }, &sent(20_000.0)), "a hint says no more");
    let pair = Finding {
        evidence: vec![words::evidence("share_of_active", EvidenceValue::Number(0.1), "ratio", 0.6)],
        ..finding(Technique::UnattributedCluster, "c", &[4, 5], Severity::Medium, 40)
    };
    let calls = |severity| finding(Technique::BeaconingImplant, "d", &[4], severity, 20);
    assert!(outdoes(&calls(Severity::Medium), &pair));
    assert!(!outdoes(&calls(Severity::Low), &pair));
    assert!(!outdoes(&finding(Technique::BeaconingImplant, "e", &[6], Severity::High, 20), &pair), "another party");
}
