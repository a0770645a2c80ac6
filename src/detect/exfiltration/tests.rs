//! Hosts that send much to one party: thieves, and people whose telephones are backed up.

use super::*;
use crate::detect::register::{NoRegister, Register};
use crate::flow::row::FlowRow;
use crate::population::limits::SummaryLimits;
use crate::population::places::Places;
use crate::population::summary::tests::{TurnedOver, populations, row, summary_of};
use crate::population::{AddContext, Span, Summary};
use crate::units::TimestampNs;

const MIB: u64 = 1 << 20;
/// A whole hour.
const START: TimestampNs = TimestampNs(1_699_977_600_000_000_000);

fn after(seconds: f64) -> TimestampNs {
    START.after(DurationNs((seconds * 1e9) as u64))
}

/// Home `n` sends the party so many mebibytes and gets so many.
fn upload(n: u8, party: Address, mib_up: u64, mib_down: u64) -> FlowRow {
    row(Address::v4([10, 0, 0, n]), party, u64::from(n) * 7 % 280, mib_up * MIB + 500, mib_down * MIB + 900)
}

fn worst(rows: &[FlowRow]) -> Option<Severity> {
    worst_under(rows, &NoRegister)
}

fn worst_under(rows: &[FlowRow], register: &dyn Register) -> Option<Severity> {
    let summary = summary_of(rows, &SummaryLimits::default());
    let (populations, places) = (populations(), Places::default());
    let mut findings = Vec::new();
    detect(&Scene::new(&summary, &populations, &places, None).under(register), &mut findings);
    findings.iter().map(|finding| finding.severity).max()
}

/// The worst that is said of rows over so many seconds from [`START`] on.
fn worst_over(rows: impl IntoIterator<Item = FlowRow>, seconds: f64) -> Option<Severity> {
    let (populations, limits, places) = (populations(), SummaryLimits::default(), Places::default());
    let mut columns = crate::flow::row::FlowColumns::default();
    rows.into_iter().for_each(|row| columns.push(row));
    let mut summary = Summary::new(Span::new(START, after(seconds)));
    let mut cx = AddContext { populations: &populations, identity: &mut TurnedOver(1), limits: &limits };
    summary.add_rows(&columns, &[], &mut cx);
    let mut findings = Vec::new();
    detect(&Scene::new(&summary, &populations, &places, None), &mut findings);
    findings.iter().map(|finding| finding.severity).max()
}

#[test]
fn a_host_must_stand_out_of_its_peers() {
    let party = Address::v4([203, 0, 113, 7]);
    // What each of some homes sends the party and gets from it, mebibytes.
    type Case<'a> = (&'a str, &'a [(u64, u64)], bool);
    let many: Vec<(u64, u64)> = [(60, 0)].into_iter().chain([(0, 2); 30]).collect();
    let table: [Case<'_>; 9] = [
        ("one host, a party of its own", &[(60, 0)], true),
        ("one backup of a telephone, before anyone else's", &[(18, 0)], false),
        ("as much comes down", &[(60, 60)], false),
        ("backups of several homes", &[(60, 0), (40, 0), (50, 0)], false),
        ("far more than its peers", &[(160, 0), (3, 0), (5, 0)], true),
        ("two thefts", &[(80, 0), (80, 0)], true),
        ("others who only ask there", &[(160, 0), (0, 40), (0, 40), (0, 40)], true),
        ("one photograph album at a service that all use", &many, false),
        ("nobody", &[], false),
    ];
    for (name, homes, wanted) in table {
        let mut rows: Vec<FlowRow> = (0..60u8).map(|n| upload(n, Address::v4([198, 51, n, 9]), 0, 1)).collect();
        rows.extend((100u8..).zip(homes).map(|(n, &(up, down))| upload(n, party, up, down)));
        let found = worst(&rows);
        assert_eq!(found >= Some(Severity::Medium), wanted, "{name}: {found:?}");
    }
}

#[test]
fn less_is_much_once_peers_can_be_known() {
    let usual = |habit: Habit, seconds| habit.usual_at_least(DurationNs::from_secs(seconds));
    let [stranger, album] = [Habit::default(), Habit { is_named: true, is_seldom: true, ..Habit::default() }];
    let ascending = [
        ("bit by bit, to a party of nobody else", Habit { is_own: true, ..stranger }),
        ("bit by bit, to several", Habit { is_own: true, is_strewn: true, ..stranger }),
        ("several that have nothing in common", Habit { is_seldom: true, is_strewn: true, ..stranger }),
        ("a stranger", stranger),
        ("a service of nobody else", Habit { is_alone: true, ..album }),
        ("an album", album),
    ];
    for pair in ascending.windows(2) {
        assert!(usual(pair[0].1, 1_000) < usual(pair[1].1, 1_000), "{} and {}", pair[0].0, pair[1].0);
    }
    assert!(ascending.iter().all(|(_, habit)| usual(*habit, 60) > usual(album, 1_000)));
}

#[test]
fn a_host_may_send_to_many_strangers() {
    // Where one host's twelve mebibytes each go, and at which port; who else sends there.
    let table = [
        ("eight strangers at one port", 8, false, false, true),
        ("two", 2, false, false, false),
        ("peers, each at a port of its own", 8, true, false, false),
        ("a service that others send to as well", 8, false, true, false),
    ];
    for (name, strangers, own_ports, others, wanted) in table {
        let mut rows: Vec<FlowRow> = (0..60u8).map(|n| upload(n, Address::v4([198, 51, n, 9]), 0, 1)).collect();
        for n in 0..strangers {
            let party = Address::v4([20 + 9 * n, 7, n, 7]);
            let mut sent = upload(100, party, 12, 0);
            sent.key.ports[1] = if own_ports { 20_000 + u16::from(n) } else { 443 };
            rows.push(sent);
            if others {
                rows.push(upload(110 + n, party, 5, 0));
            }
        }
        let found = worst(&rows);
        assert_eq!(found >= Some(Severity::Medium), wanted, "{name}: {found:?}");
    }
}

/// What is said of a window after an hour so far.
fn worst_after(before: &[FlowRow], rows: &[FlowRow], minutes_before: u64) -> Option<Severity> {
    use crate::population::summary::tests::TurnedOver;
    use crate::population::{AddContext, Span, Summary};
    let (populations, places, limits) = (populations(), Places::default(), SummaryLimits::default());
    let start = TimestampNs(1_000_000_000_000_000_000);
    let summary = |from: u64, to: u64, of: &[FlowRow]| {
        let at = |minute: u64| start.after(DurationNs::from_secs(60 * minute));
        let mut summary = Summary::new(Span::new(at(from), at(to)));
        let mut rows = crate::flow::row::FlowColumns::default();
        for one in of {
            let (ts_first, ts_last) = (at(from).after(DurationNs::from_secs(2)), at(to));
            rows.push(FlowRow { ts_first, ts_last, ..one.clone() });
        }
        let mut cx = AddContext { populations: &populations, identity: &mut TurnedOver(1), limits: &limits };
        summary.add_rows(&rows, &[], &mut cx);
        summary
    };
    let (hour, day) = (summary(0, minutes_before, before), Summary::empty());
    let window = summary(minutes_before, minutes_before + 1, rows);
    let mut findings = Vec::new();
    detect(&Scene::new(&window, &populations, &places, None).following([&hour, &day]), &mut findings);
    findings.iter().map(|finding| finding.severity).max()
}

#[test]
fn a_window_knows_what_went_before_it() {
    let party = Address::v4([203, 0, 113, 7]);
    let browsing = || (0..60u8).map(|n| upload(n, Address::v4([198, 51, n, 9]), 0, 1));
    // Minutes before, what hosts 100 and on sent the party in them and in the window, mebibytes.
    type Case<'a> = (&'a str, u64, &'a [u64], &'a [u64], bool);
    let table: [Case<'_>; 5] = [
        ("the first minutes: a telephone's backup looks the same", 3, &[], &[18], false),
        ("a quarter of an hour in which nobody else sent there", 20, &[], &[18], true),
        ("others sent there before", 20, &[0, 17, 20, 15], &[18], false),
        ("a burst that a window cuts in two", 20, &[9], &[9], true),
        ("half of such a burst", 20, &[], &[5], false),
    ];
    for (name, minutes, then, now, wanted) in table {
        let sent = |of: &[u64]| -> Vec<FlowRow> {
            let of = (100u8..).zip(of).filter(|(_, mib)| **mib > 0);
            browsing().chain(of.map(|(n, mib)| upload(n, party, *mib, 0))).collect()
        };
        let found = worst_after(&sent(then), &sent(now), minutes);
        assert_eq!(found >= Some(Severity::Medium), wanted, "{name}: {found:?}");
    }
}

/// Allows single addresses of lower numbers than this.
#[derive(Debug)]
struct AllowsBelow(Address);

impl Register for AllowsBelow {
    fn allows(&self, _: Technique, party: &CollectorIdentity, _: &str, _: TimestampNs) -> bool {
        party.addresses.len() == 1 && party.addresses[0] < self.0
    }

    fn is_empty(&self) -> bool {
        false
    }
}

#[test]
fn who_may_have_it_is_no_stranger_among_others() {
    let party = |n: u8| Address::v4([20 + 9 * n, 7, n, 7]);
    let mut rows: Vec<FlowRow> = (0..60u8).map(|n| upload(n, Address::v4([198, 51, n, 9]), 0, 1)).collect();
    rows.extend((0..8).map(|n| upload(100, party(n), 12, 0)));
    for (allowed, wanted) in [(0, true), (2, true), (6, false), (8, false)] {
        let found = worst_under(&rows, &AllowsBelow(party(allowed)));
        assert_eq!(found >= Some(Severity::Medium), wanted, "{allowed} of 8 registered: {found:?}");
    }
}

#[test]
fn a_stream_that_always_stood_is_a_habit() {
    let at = |hours: f64| after(hours * 3_600.0);
    // When the one flow begins and ends, hours of eight; whether it is several.
    let table = [
        ("from before to after", 0.1, 7.9, 1, Some(Severity::Low)),
        ("it came after an hour", 1.0, 7.9, 1, Some(Severity::Medium)),
        ("it ended", 0.1, 6.0, 1, Some(Severity::Medium)),
        ("call after call", 0.1, 7.9, 40, Some(Severity::Medium)),
    ];
    for (name, from, to, flows, wanted) in table {
        let step = (to - from) / flows as f64;
        let rows = (0..flows).map(|n| FlowRow {
            ts_first: at(from + n as f64 * step),
            ts_last: at(from + (n + 1) as f64 * step),
            ..upload(100, Address::v4([203, 0, 113, 7]), 60 / flows, 0)
        });
        assert_eq!(worst_over(rows, 8.0 * 3_600.0), wanted, "{name}");
    }
}

#[test]
fn who_asks_for_the_same_name_uses_the_same_service() {
    // The names that two homes upload to, at an address each.
    let table = [
        ("one name", ["up.drive.example", "up.drive.example"], false),
        ("two customers of one hoster", ["files1.hoster.example", "files2.hoster.example"], true),
        ("two parties", ["up.drive.example", "up.other.example"], true),
    ];
    for (name, parties, wanted) in table {
        let mut rows: Vec<FlowRow> = (0..60u8).map(|n| upload(n, Address::v4([198, 51, n, 9]), 0, 1)).collect();
        for (n, party) in (0u8..).zip(parties) {
            let facts = crate::packet::facts::AppFacts { server_name: Some(party.into()), ..Default::default() };
            let sent = upload(100 + n, Address::v4([203, 0, n, 7]), 60 - 20 * u64::from(n), 0);
            rows.push(FlowRow { facts: Some(std::sync::Arc::new(facts)), ..sent });
        }
        let found = worst(&rows);
        assert_eq!(found >= Some(Severity::Medium), wanted, "{name}: {found:?}");
    }
}

#[test]
fn what_a_mail_server_sends_another_is_post() {
    for (port_asked, port_sent, wanted) in [(25, 25, false), (443, 25, true), (25, 443, true)] {
        let party = Address::v4([203, 0, 113, 7]);
        let mut rows: Vec<FlowRow> = (0..60u8).map(|n| upload(n, Address::v4([198, 51, n, 9]), 0, 1)).collect();
        let mut sent = upload(100, party, 60, 0);
        sent.key.ports[1] = port_sent;
        rows.push(sent);
        let mut asked = row(Address::v4([192, 0, 2, 25]), Address::v4([10, 0, 0, 100]), 9, 900, 200);
        asked.key.ports[0] = port_asked;
        rows.push(asked);
        let found = worst(&rows);
        assert_eq!(found >= Some(Severity::Medium), wanted, "asked at {port_asked}, sends to {port_sent}: {found:?}");
    }
}

#[test]
fn a_camera_is_a_habit_within_the_hour() {
    let at = |minutes: f64| after(minutes * 60.0);
    // When its one flow begins and ends, minutes of forty, and the mebibytes that go in it.
    let table = [
        ("a camera", 0.2, 39.8, 60, Some(Severity::Low)),
        ("it came after ten minutes", 10.0, 39.8, 60, Some(Severity::High)),
        ("it ended", 0.2, 25.0, 60, Some(Severity::High)),
        ("as fast as the line allows", 0.2, 39.8, 6_000, Some(Severity::High)),
    ];
    for (name, from, to, mib, wanted) in table {
        let stream = upload(100, Address::v4([203, 0, 113, 7]), mib, 0);
        let stream = FlowRow { ts_first: at(from), ts_last: at(to), ..stream };
        assert_eq!(worst_over(browsing(40.0).chain([stream]), 2_400.0), wanted, "{name}");
    }
}

/// Sixty homes that browse, from the first of so many minutes to the last.
fn browsing(minutes: f64) -> impl Iterator<Item = FlowRow> {
    (0..60u8).map(move |n| {
        let ts = after(minutes * 59.99 * f64::from(n) / 59.0);
        FlowRow { ts_first: ts, ts_last: ts, ..upload(n, Address::v4([198, 51, n, 9]), 0, 1) }
    })
}

#[test]
fn a_store_that_goes_to_a_name_at_once_is_told() {
    let facts = crate::packet::facts::AppFacts { server_name: Some("up.drop.example".into()), ..Default::default() };
    let facts = Some(std::sync::Arc::new(facts));
    // Mebibytes in one go: an album, and what no album explains, with a name or without one.
    let table = [
        ("an album", 10, &facts, false),
        ("a store of records", 16, &facts, true),
        ("to nobody that says its name", 13, &None, true),
    ];
    for (name, mib, facts, wanted) in table {
        let sent = upload(100, Address::v4([203, 0, 113, 7]), mib, 0);
        let sent = FlowRow { ts_first: after(1_800.0), ts_last: after(1_820.0), facts: facts.clone(), ..sent };
        let found = worst_over(browsing(60.0).chain([sent]), 3_600.0);
        assert_eq!(found >= Some(Severity::Medium), wanted, "{name}: {found:?}");
    }
}

#[test]
fn who_was_asked_before_a_window_is_asked_in_it() {
    let (party, home) = (Address::v4([203, 0, 113, 7]), Address::v4([10, 0, 0, 100]));
    let browsing = || (0..60u8).map(|n| upload(n, Address::v4([198, 51, n, 9]), 0, 1));
    for (name, party_calls, wanted) in [("a server inside", true, false), ("a host that sends again", false, true)] {
        let part = |row_number: u32, mib: u64| {
            let one = match party_calls {
                true => row(party, home, 30, 900, mib * MIB),
                false => row(home, party, 30, mib * MIB, 900),
            };
            FlowRow { row_number, ..one }
        };
        let then: Vec<FlowRow> = browsing().chain([part(0, 5), part(0, 4)]).collect();
        let now: Vec<FlowRow> = browsing().chain([part(u32::from(party_calls), 30)]).collect();
        let found = worst_after(&then, &now, 20);
        assert_eq!(found >= Some(Severity::Medium), wanted, "{name}: {found:?}");
    }
}

#[test]
fn what_towers_over_all_that_others_send_is_much() {
    let party = Address::v4([203, 0, 113, 7]);
    let home = |n: u16| Address::v4([10, 0, (n >> 8) as u8, n as u8]);
    let sent = |n: u16, to: Address, kib: u64| row(home(n), to, u64::from(n) % 280, kib << 10, 900);
    let other = |n: u16| Address::v4([198, 51, n as u8, 9]);
    // Homes that send two pages a little each, what else others send, what host 300 sends, KiB; whether that is told.
    let table: [(&str, u16, Vec<FlowRow>, u64, bool); 8] = [
        ("among people who send kilobytes", 60, vec![], 2_500, true),
        ("beside an album", 60, vec![sent(3, other(77), 1_800)], 2_500, true),
        ("beside two albums", 60, vec![sent(3, other(77), 1_800), sent(4, other(78), 1_800)], 2_500, false),
        ("where others send as well", 60, vec![sent(3, party, 300), sent(4, party, 300)], 2_500, false),
        ("of few", 8, vec![], 2_500, false),
        ("of many, to a party without a name", 220, vec![], 2_500, true),
        ("of many, to one with a name", 220, vec![named(sent(300, party, 2_500))], 0, false),
        ("a photograph", 60, vec![], 600, false),
    ];
    for (name, homes, more, kib, wanted) in table {
        let pages = (0..homes).flat_map(|n| [sent(n, other(n), 40), sent(n, other(n + 1), 60)]);
        let rows = pages.chain(more).chain((kib > 0).then(|| sent(300, party, kib)));
        let found = worst_over(rows.map(moved), 1_200.0);
        assert_eq!(found >= Some(Severity::Medium), wanted, "{name}: {found:?}");
    }
}

/// The same row to a party that says its name.
fn named(row: FlowRow) -> FlowRow {
    let facts = crate::packet::facts::AppFacts { server_name: Some("a.site.example".into()), ..Default::default() };
    FlowRow { facts: Some(std::sync::Arc::new(facts)), ..row }
}

/// The same row within the first minutes from [`START`] on.
fn moved(row: FlowRow) -> FlowRow {
    let ts = after((row.key.ports[0] % 1_000) as f64 + 60.0);
    FlowRow { ts_first: ts, ts_last: ts, ..row }
}

#[test]
fn a_host_of_both_families_is_one_user() {
    let party = Address::v4([203, 0, 113, 7]);
    let summary = summary_of(&[upload(1, party, 9, 0), upload(2, party, 9, 0)], &SummaryLimits::default());
    let (populations, places) = (populations(), Places::default());
    let scene = Scene::new(&summary, &populations, &places, None);
    let group = &scene.alone(|_| true)[0];
    let of = |subscriber: Address| There::of(&scene, group, subscriber).peers();
    let own = scene.pairs_of(group.of.population, party)[0].0.subscriber;
    assert_eq!((of(own).senders, of(Address::v4([10, 0, 0, 9])).senders), (1, 2), "of one family");
    let unlike = of(Address::v6([0xfd; 16]));
    assert_eq!((unlike.senders, unlike.callers), (1, 1), "one of the other family may be the host itself");
}

#[test]
fn what_is_shown_to_an_audience_is_a_call() {
    use crate::packet::facts::{AppFacts, AppProtocol};
    let party = Address::v4([203, 0, 113, 7]);
    // Mebibytes up and down, whether STUN led there.
    for (name, up, down, is_stun, wanted) in [
        ("slides shown to an audience", 60, 12, true, false),
        ("the same of a stranger's", 60, 12, false, true),
        ("what brings nothing back", 60, 1, true, true),
    ] {
        let mut rows: Vec<FlowRow> = (0..60u8).map(|n| upload(n, Address::v4([198, 51, n, 9]), 0, 1)).collect();
        let protocol = is_stun.then_some(AppProtocol::Stun);
        let facts = std::sync::Arc::new(AppFacts { protocol, ..AppFacts::default() });
        rows.push(FlowRow { facts: Some(facts), ..upload(100, party, up, down) });
        let found = worst(&rows);
        assert_eq!(found >= Some(Severity::Medium), wanted, "{name}: {found:?}");
    }
}

#[test]
fn a_stranger_who_has_a_database_poured_out_is_no_visitor() {
    // Port, bytes that are asked with; whether it is told.
    for (port, asked, wanted) in [(3306, 40_000, true), (443, 40_000, false), (3306, 9_000_000, false)] {
        let party = Address::v4([203, 0, 113, 7]);
        let mut rows: Vec<FlowRow> = (0..60u8).map(|n| upload(n, Address::v4([198, 51, n, 9]), 0, 1)).collect();
        let mut one = row(party, Address::v4([10, 0, 0, 100]), 40, asked, 60 * MIB);
        one.key.ports[usize::from(one.orig_end == 0)] = port;
        rows.push(one);
        assert_eq!(worst(&rows) >= Some(Severity::Medium), wanted, "{port}, {asked}");
    }
}
