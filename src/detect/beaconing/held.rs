//! Held: devices that keep a connection open to a stranger and say the same little thing over it again and again.
//! In: collectors of a scene. Out: a finding for each to which a group of devices holds on so.
//! Such a connection has one beginning, so there are no gaps between calls to keep time by; what is said in each stretch of time is as
//! much as in the next (`steady`). Push services do just that, and say their names: here nobody knows a name for the party, and
//! hardly anybody of the population holds on to it. Messengers with an address built in are talked over, unevenly, by many.
//! A name is no excuse where next to nothing is said in no protocol that is known, at a port that is neither the web's, a product's that is
//! known, nor made to be kept open: robots wait so.
//! Chat in the clear (IRC) is for people to talk over, whatever the server's name: where as little is said in each stretch of time by
//! all, and by the server, it is robots that wait in a room.
//! Bounds: those of the samples.

use std::collections::BTreeSet;

use super::harmless::{Harmless, KEPT_OPEN};
use super::{ACTIVE_MIN, ANSWERED_MIN, CALL_BYTES_MAX, NAMELESS_P_VALUE, is_echo, is_opaque_echo, is_plumbing};
use super::{of_a_group, severity_without_a_name};
use crate::detect::finding::{Finding, Severity, Technique};
use crate::detect::in_step::are_moved;
use crate::detect::ports::is_database;
use crate::detect::scene::{Group, Scene, service_of};
use crate::detect::steady;
use crate::detect::weigh::{Reason, log_ramp, ramp, severity_of, weigh};
use crate::detect::words;
use crate::packet::facts::AppProtocol;
use crate::population::collector::{CollectorSummary, Service};
use crate::population::pair::PairSummary;
use crate::units::Address;

/// What TCP is among IP protocols.
const TCP: u8 = 6;
/// Bytes of the shortest record of TLS that carries something: header, one byte, and what proves it (RFC 8446 5.2).
const RECORD_OF_TLS_MIN: f64 = 22.0;
/// Fewest devices: the k of privacy, and more than a household's.
const DEVICES_MIN: u64 = 5;
/// Connections a device up to which it holds on to one.
const FLOWS_MAX: f64 = 2.0;
/// Rows a device (one a window) between which opinion turns.
const ROWS: (f64, f64) = (8.0, 24.0);
/// Unevenness between which opinion turns, see [`steady`].
const UNEVEN: (f64, f64) = (0.7, 0.4);
/// Share of the active between which opinion turns: what everybody holds on to somebody knows, and all things of one kind that a small
/// population has may be hit.
const COVERAGE_TURNS: (f64, f64) = (0.6, 0.2);
/// Data of a row at the most, either way: more is a stream.
const ROW_BYTES_MAX: f64 = CALL_BYTES_MAX / 4.0;
/// Share of the rows that bytes may prove to be of a known protocol, and of the devices whose connection must be seen to begin.
const KNOWN_MAX: f64 = 0.05;
const BEGUN_MIN: f64 = 0.8;
/// Data of a row at the most, either way, that is a sign of life; and the ports of the web, through which messengers go as well.
const LIFE_BYTES_MAX: f64 = 200.0;
const WEB: [u16; 4] = [80, 443, 8080, 8443];
/// Ports at which products hold connections in protocols that are not read here, and say little while nobody uses them: brokers of
/// messages, whose clients send heartbeats (IANA: AMQP, NATS, STOMP, OpenWire; Kafka's own), and music, calls, games, help from afar
/// (their makers' pages on what a firewall must let through, 2026: Spotify, Viber, Steam, Battle.net, TeamViewer).
const PRODUCTS: [u16; 16] =
    [5671, 5672, 4222, 61_613, 61_614, 61_616, 9092, 9093, 4070, 4244, 5242, 27_017, 27_018, 27_019, 1119, 5938];
/// Share of the rows that bytes must prove to be chat.
const CHAT_MIN: f64 = 0.8;

/// Whether the connections were seen to begin: of what began before the capture no protocol and no name could be known. TCP says when
/// it begins; a flow that is met midway has not.
fn is_seen_to_begin(scene: &Scene<'_>, group: &Group<'_>) -> bool {
    let pairs = group.of.addresses.iter().flat_map(|address| scene.pairs_of(group.of.population, *address));
    let is_tcp = service_of(&group.whole).is_some_and(|service| service.protocol == TCP);
    let beginnings = |pair: &PairSummary| if is_tcp { pair.rows_established } else { pair.totals.flows };
    let (begun, all) = pairs.fold((0u64, 0u64), |(begun, all), (_, pair)| (begun + beginnings(pair).min(1), all + 1));
    begun as f64 >= BEGUN_MIN * all as f64
}

/// Whether hardly more than signs of life is said, in no protocol that is known and at no port that is the web's, a product's, a
/// database's, or made to be kept open.
fn is_sign_of_life(whole: &CollectorSummary) -> bool {
    let most = whole.totals.data_bytes.iter().copied().max().unwrap_or(0) as f64;
    let is_products = |port: u16| WEB.contains(&port) || PRODUCTS.contains(&port) || is_database(TCP, port);
    let is_own = |service: Service| service.protocol == TCP && !is_products(service.port);
    most <= LIFE_BYTES_MAX * whole.totals.rows as f64 && service_of(whole).is_some_and(is_own)
}

/// Whether most of it is chat in the clear.
fn is_chat(whole: &CollectorSummary) -> bool {
    let chat: u64 = whole.apps.iter().filter(|(app, _)| *app == AppProtocol::Irc).map(|(_, rows)| rows).sum();
    chat as f64 >= CHAT_MIN * whole.totals.rows as f64
}

/// Whether what is said in a stretch of time is shorter than the shortest record of TLS: then no name was said in a beginning that
/// nobody saw, and who keeps connections of systems' and makers' services open is not so brief.
fn is_too_short_for_tls(whole: &CollectorSummary, row_bytes: f64) -> bool {
    row_bytes < RECORD_OF_TLS_MIN && service_of(whole).is_some_and(|service| service.protocol == TCP)
}

/// See the file's header.
pub(super) fn detect(
    scene: &Scene<'_>,
    harmless: &Harmless<'_, '_>,
    tunnels: &BTreeSet<Address>,
    findings: &mut Vec<Finding>,
) {
    let is_held = |group: &Group<'_>| {
        let whole = &group.whole;
        let (rows, devices) = (whole.totals.rows.max(1) as f64, whole.subscribers.count() as f64);
        let most = whole.totals.data_bytes.iter().copied().max().unwrap_or(0) as f64;
        whole.totals.data_bytes.iter().all(|bytes| *bytes > 0)
            && whole.totals.flows as f64 <= FLOWS_MAX * devices
            && rows >= ROWS.0 * devices
            && most <= ROW_BYTES_MAX * rows
            && (is_chat(whole) || whole.apps.total() as f64 <= KNOWN_MAX * rows)
            && (is_seen_to_begin(scene, group) || is_too_short_for_tls(whole, most / rows))
            && whole.rows_answered as f64 >= ANSWERED_MIN * rows
            && whole.flows_by_collector * 2 < whole.totals.flows.max(1)
            && !is_plumbing(whole)
            && (!is_echo(whole) || is_opaque_echo(whole))
            && !service_of(whole).is_some_and(|service| KEPT_OPEN.contains(&service.port))
    };
    let is_looked_up = |group: &Group<'_>| group.of.addresses.iter().any(|address| scene.is_looked_up(*address));
    let is_named = |group: &Group<'_>| group.whole.rows_named > 0 || is_looked_up(group);
    let is_candidate = |group: &Group<'_>| is_chat(&group.whole) || is_sign_of_life(&group.whole) || !is_named(group);
    if !scene.shows_applications() {
        return;
    }
    let groups = scene.alone(|(_, one)| one.subscribers.count() >= DEVICES_MIN);
    for group in groups.into_iter().filter(|group| is_held(group) && !group.is_at(tunnels) && is_candidate(group)) {
        // What one order moves has no clock of its own: `unattributed` speaks of that.
        if are_moved(&group.whole.sample()) {
            continue;
        }
        let (devices, population) = (group.whole.subscribers.count(), group.of.population);
        let coverage = (scene.active(population) >= ACTIVE_MIN).then(|| scene.coverage(population, devices));
        let (sent, back) = (steady::unevenness(&group.whole.sample()), steady::unevenness_back(&group.whole.sample()));
        let (is_chat, is_life) = (is_chat(&group.whole), is_sign_of_life(&group.whole));
        // Where next to nothing is said, one side's clock is enough: the other says now and then what there is to say.
        let unevenness = match is_life {
            true => sent.into_iter().chain(back).min_by(f64::total_cmp),
            false => sent,
        };
        let Some(unevenness) = unevenness else { continue };
        if is_chat && back.is_some_and(|back| back > UNEVEN.0) {
            continue;
        }
        let rows = group.whole.totals.rows as f64 / devices as f64;
        let mut reasons = vec![
            Reason::number("unevenness", unevenness, "ratio", ramp(unevenness, UNEVEN.0, UNEVEN.1), 0.35),
            Reason::number("rows_per_device", rows, "rows", log_ramp(rows, ROWS.0 / 2.0, ROWS.1), 0.2),
        ];
        reasons.extend(of_a_group(devices, coverage, COVERAGE_TURNS, [0.2, 0.25]));
        let (score, evidence) = weigh(reasons);
        // That names do not show matters to what is told for want of one.
        let judged = match is_named(&group) {
            true => severity_of(score, NAMELESS_P_VALUE).map(|severity| (severity.min(Severity::Medium), score)),
            false => severity_without_a_name(harmless, &group, score),
        };
        let Some((severity, score)) = judged else { continue };
        let blank = scene.blank(Technique::BeaconingImplant, &group);
        let who = group.spoken(&blank.collector.names);
        let counted = words::counted(devices, "subscriber");
        let why = match (is_chat, is_named(&group)) {
            (true, _) => "They speak IRC, which is for people to chat over: robots wait for orders in such rooms.",
            (_, true) => {
                "What they speak is no protocol that is known, at a port of its own, and says no more than that they are \
                 there: so one waits for orders."
            }
            _ => {
                "Nobody looked its name up and nobody asks for one: the program knows the address. Push services say their names."
            }
        };
        findings.push(Finding {
            severity,
            score,
            p_value: NAMELESS_P_VALUE,
            evidence,
            headline: format!("{counted} hold a connection to {who} and report over it by the clock"),
            explanation: format!(
                "{counted} keep a connection to {who} open and exchange as little with it in one stretch of time as in the \
                 next, whatever their people do. {why} Find out which program holds the connection, who \
                 installed it, and what answers there; register it in the policy if it may, or block it.",
            ),
            ..blank
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::row::{ConnState, FlowColumns, FlowRow};
    use crate::packet::facts::AppFacts;
    use crate::population::places::Places;
    use crate::population::summary::tests::{TurnedOver, populations, row};
    use crate::population::{AddContext, Span, SpanClass, Summary, SummaryLimits};
    use crate::units::{DurationNs, TimestampNs};

    const START: TimestampNs = TimestampNs(1_700_000_000_000_000_000);
    const PORT: u16 = 4_444;

    /// So many devices hold on for forty minutes and say `bytes(device, minute)` in each, among sixty that browse as is known or not.
    fn found(
        devices: u8,
        bytes: &dyn Fn(u8, u64) -> u64,
        change: &dyn Fn(&mut FlowRow),
        browsed: Option<AppProtocol>,
    ) -> Option<Severity> {
        found_among(60, devices, bytes, change, browsed)
    }

    /// The same among so many parties that are browsed.
    fn found_among(
        parties: u8,
        devices: u8,
        bytes: &dyn Fn(u8, u64) -> u64,
        change: &dyn Fn(&mut FlowRow),
        browsed: Option<AppProtocol>,
    ) -> Option<Severity> {
        let (populations, limits, places) = (populations(), SummaryLimits::default(), Places::default());
        let mut summary = Summary::new(Span::new(START, START.after(DurationNs::from_secs(2_400))));
        let mut cx = AddContext { populations: &populations, identity: &mut TurnedOver(1), limits: &limits };
        let mut rows = FlowColumns::default();
        let at = |seconds: u64| START.after(DurationNs::from_secs(seconds));
        for n in 0..60u8 {
            let mut one = row(Address::v4([10, 0, 0, n]), Address::v4([198, 51, n % parties, 9]), 0, 900, 9_000);
            let facts = AppFacts { protocol: browsed, ..AppFacts::default() };
            one.facts = Some(std::sync::Arc::new(facts));
            rows.push(FlowRow { ts_first: at(u64::from(n) * 40), ts_last: at(u64::from(n) * 40 + 5), ..one });
        }
        for device in 100..100 + devices {
            for minute in 0..40 {
                let up = bytes(device, minute);
                let mut one = row(Address::v4([10, 0, 0, device]), Address::v4([203, 0, 113, 7]), 0, up, up / 2);
                one.key.ports[1] = PORT;
                (one.ts_first, one.ts_last) = (at(60 * minute + u64::from(device % 50)), at(60 * minute + 59));
                one.row_number = minute as u32;
                change(&mut one);
                rows.push(one);
            }
        }
        summary.add_rows(&rows, &[], &mut cx);
        summary.rollup(SpanClass::Hour);
        let mut findings = Vec::new();
        let scene = Scene::new(&summary, &populations, &places, None);
        detect(&scene, &Harmless::of(&scene), &BTreeSet::new(), &mut findings);
        findings.iter().map(|finding| finding.severity).max()
    }

    #[test]
    fn who_holds_on_to_a_stranger_and_says_the_same_is_told() {
        let same = |_: u8, _: u64| 24;
        let talk = |device: u8, minute: u64| 20 + 900 * ((u64::from(device) * 7 + minute * 13) % 11) * (minute % 3);
        let nothing = |_: &mut FlowRow| {};
        let named = |one: &mut FlowRow| {
            let facts = AppFacts { server_name: Some("push.maker.example".into()), ..AppFacts::default() };
            one.facts = Some(std::sync::Arc::new(facts));
        };
        let at_port = |one: &mut FlowRow, port: u16| {
            named(one);
            let port_of_mine = one.key.ports.iter().position(|port| *port == PORT).expect("its own");
            one.key.ports[port_of_mine] = port;
        };
        let push = |one: &mut FlowRow| at_port(one, 5228);
        let web = |one: &mut FlowRow| at_port(one, 443);
        let music = |one: &mut FlowRow| at_port(one, 4070);
        let database = |one: &mut FlowRow| at_port(one, 5432);
        let more = |_: u8, _: u64| 900;
        let reports = |device: u8, minute: u64| 2 + 50 * u64::from((u64::from(device) * 7 + minute * 13) % 11 < 3);
        let pinged = |one: &mut FlowRow| {
            named(one);
            one.sides[1].payload_bytes = 2;
        };
        let known = |one: &mut FlowRow| {
            let facts = AppFacts { protocol: Some(AppProtocol::Ssh), ..AppFacts::default() };
            one.facts = Some(std::sync::Arc::new(facts));
        };
        let mqtt = |one: &mut FlowRow| one.key.ports[1] = 1883;
        let anew = |one: &mut FlowRow| one.row_number = 0;
        let order = |one: &mut FlowRow| {
            let minute = u64::from(one.row_number);
            one.ts_first = START.after(DurationNs::from_secs(60 * minute + minute * minute * 37 % 53));
        };
        let chat = |one: &mut FlowRow| {
            let facts = AppFacts {
                protocol: Some(AppProtocol::Irc),
                server_name: Some("irc.a.example".into()),
                ..AppFacts::default()
            };
            one.facts = Some(std::sync::Arc::new(facts));
        };
        let chat_of_people = |one: &mut FlowRow| {
            chat(one);
            let minute = one.ts_first.since(START).as_secs_f64() as u64 / 60;
            one.sides[1].payload_bytes = 40 + 900 * ((minute * 13) % 11) * (minute % 3);
        };
        type Change<'a> = &'a dyn Fn(&mut FlowRow);
        type Bytes<'a> = &'a dyn Fn(u8, u64) -> u64;
        let midway = |one: &mut FlowRow| one.state = ConnState::OTH;
        let brief = |_: u8, _: u64| 4;
        let table: [(&str, u8, Bytes<'_>, Change<'_>, Option<Severity>); 21] = [
            ("twelve devices", 12, &same, &nothing, Some(Severity::Medium)),
            ("two fifths of a small population", 40, &same, &nothing, Some(Severity::Medium)),
            ("most of it", 120, &same, &nothing, None),
            ("a household's", 3, &same, &nothing, None),
            ("a messenger that is talked over", 12, &talk, &nothing, None),
            ("push, which says its name", 12, &same, &push, None),
            ("a messenger, which says its name", 12, &same, &web, None),
            ("a player of music at its own port", 12, &same, &music, None),
            ("a pool of connections to a database", 12, &same, &database, None),
            ("signs of life to who says his name", 12, &same, &named, Some(Severity::Medium)),
            ("the same, and reports now and then", 12, &reports, &pinged, Some(Severity::Medium)),
            ("more than signs of life", 12, &more, &named, None),
            ("a protocol that is known", 12, &same, &known, None),
            ("connections that began before the capture", 12, &same, &midway, None),
            ("the same, in less than TLS could say it", 12, &brief, &midway, Some(Severity::Medium)),
            ("a broker of messages", 12, &same, &mqtt, None),
            ("robots in a room of chat", 12, &same, &chat, Some(Severity::Medium)),
            ("people in one, who talk", 12, &talk, &chat, None),
            ("people who listen", 12, &same, &chat_of_people, None),
            ("call after call, which has gaps to keep time by", 12, &same, &anew, None),
            ("all in the same moments, at no regular times", 12, &same, &order, None),
        ];
        for (name, devices, bytes, change, wanted) in table {
            assert_eq!(found(devices, bytes, change, Some(AppProtocol::Tls)), wanted, "{name}");
        }
        assert_eq!(found(12, &same, &nothing, None), None, "a capture that shows no applications");
    }

    #[test]
    fn where_nobodys_name_shows_only_who_says_one_is_told_aloud() {
        let same = |_: u8, _: u64| 24;
        let named = |one: &mut FlowRow| {
            let facts = AppFacts { server_name: Some("c2.a.example".into()), ..AppFacts::default() };
            one.facts = Some(std::sync::Arc::new(facts));
        };
        let nothing = |_: &mut FlowRow| {};
        let tls = Some(AppProtocol::Tls);
        assert_eq!(found_among(20, 12, &same, &nothing, tls), Some(Severity::Low));
        assert_eq!(found_among(20, 12, &same, &named, tls), Some(Severity::Medium));
    }
}
