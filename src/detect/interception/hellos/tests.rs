//! Interceptors that speak TLS 1.3, and what looks like them, as TLS rows.

use std::num::NonZeroU64;

use super::super::detect;
use super::*;
use crate::detect::finding::Severity;
use crate::flow::row::FlowColumns;
use crate::packet::facts::{AppFacts, AppProtocol};
use crate::population::places::Places;
use crate::population::summary::tests::{TurnedOver, populations, row};
use crate::population::{AddContext, Span, Summary, SummaryLimits};
use crate::units::TimestampNs;

const START_S: u64 = 1_000_000_000;

/// A subscriber calls a site in a network (198.N) with an offer, and gets a hello.
#[derive(Clone, Copy)]
struct Call {
    client: u8,
    site: u8,
    network: u8,
    offer: u64,
    told: Hello,
}

/// A software's hello.
type Hello = (u16, u64);

const A: Hello = (TLS13, 11);
const B: Hello = (TLS13, 12);
const C: Hello = (0x0303, 13);
const D: Hello = (0x0303, 14);
/// One that only an interceptor sends.
const OWN: Hello = (TLS13, 99);
const SITES: u8 = 20;

/// Each site in a network of its own, under one of four softwares.
fn honest_call(client: u8, site: u8) -> Call {
    Call { client, site, network: 100 + site, offer: 1, told: [A, B, C, D][usize::from(site) % 4] }
}

/// Thirty subscribers at all sites.
fn honest() -> Vec<Call> {
    (0..30).flat_map(|client| (0..SITES).map(move |site| honest_call(client, site))).collect()
}

/// The calls of some more subscribers, changed.
fn with(clients: std::ops::Range<u8>, change: impl Fn(Call) -> Call) -> Vec<Call> {
    let more = clients.flat_map(|client| (0..SITES).map(move |site| honest_call(client, site)));
    honest().into_iter().chain(more.map(change)).collect()
}

fn worst(calls: &[Call]) -> Option<Severity> {
    let times = calls.iter().enumerate().map(|(n, call)| (n as u64 % 250, *call));
    worst_of(&times.collect::<Vec<_>>())
}

/// The same of calls at such seconds.
fn worst_of(calls: &[(u64, Call)]) -> Option<Severity> {
    let (populations, places) = (populations(), Places::default());
    let (summary, mut findings) = (summed(calls), Vec::new());
    detect(&Scene::new(&summary, &populations, &places, None), &mut findings);
    findings.iter().map(|finding| finding.severity).max()
}

fn summed(calls: &[(u64, Call)]) -> Summary {
    let (populations, limits) = (populations(), SummaryLimits::default());
    let mut cx = AddContext { populations: &populations, identity: &mut TurnedOver(1), limits: &limits };
    let at = |second: u64| TimestampNs((START_S + second) * 1_000_000_000);
    let mut summary = Summary::new(Span::new(at(0), at(300)));
    let mut rows = FlowColumns::default();
    for (second, call) in calls {
        let server = Address::v4([198, call.network, 7, 9]);
        let mut one = row(Address::v4([10, 0, 0, call.client]), server, *second, 900, 4_000);
        one.facts = Some(std::sync::Arc::new(AppFacts {
            protocol: Some(AppProtocol::Tls),
            server_name: Some(format!("www.site{}.example", call.site).into()),
            hello_offer: NonZeroU64::new(call.offer),
            tls_version: Some(call.told.0),
            server_fingerprint: Some(call.told.1),
            server_choice: NonZeroU64::new(call.told.1).filter(|_| call.told.0 == TLS13),
            ..AppFacts::default()
        }));
        rows.push(one);
    }
    summary.add_rows(&rows, &[], &mut cx);
    summary
}

#[test]
fn of_many_contested_hellos_one_agrees_by_chance() {
    let calls = with(40..41, |call| if call.site < 6 { Call { told: OWN, ..call } } else { call });
    let calls: Vec<Call> = calls.into_iter().filter(|call| call.client >= 40 || call.client < 3).collect();
    let summary = summed(&calls.iter().enumerate().map(|(n, call)| (n as u64 % 250, *call)).collect::<Vec<_>>());
    let (populations, places) = (populations(), Places::default());
    let scene = Scene::new(&summary, &populations, &places, None);
    let mut by_mark: BTreeMap<HelloMark, Vec<Asked<'_>>> = BTreeMap::new();
    for (key, question) in summary.hellos.sorted() {
        question.told().iter().for_each(|(mark, _)| by_mark.entry(*mark).or_default().push((key, &**question)));
    }
    let (mark, asked) = by_mark.iter().find(|(mark, _)| mark.choice == OWN.1).expect("their own");
    let score = |hellos: usize| {
        let rivals = rivals(*mark, asked);
        told_by_callers(&scene, PopulationIndex(0), *mark, asked, [rivals, hellos]).map_or(0.0, |found| found.score)
    };
    let surprise = Agreement::of(&sides(*mark, asked)).expect("told").surprise;
    assert!(score(1) >= 0.75, "alone: {} nats, {}", surprise, score(1));
    // As many as make so much luck likely.
    assert_eq!(score(surprise.exp() as usize), 0.0, "{surprise} nats");
}

/// A coin that each pair of client and site tosses once.
fn coin(client: u8, site: u8) -> bool {
    (u64::from(client) << 8 | u64::from(site)).rank() % 2 == 0
}

#[test]
fn one_hello_for_whatever_they_ask() {
    use Severity::High;
    let table: [(&str, Vec<Call>, Option<Severity>); 12] = [
        ("honest servers", honest(), None),
        ("six get a hello of somebody's own", with(40..46, |call| Call { told: OWN, ..call }), Some(High)),
        ("six get the commonest hello", with(40..46, |call| Call { told: A, ..call }), Some(High)),
        ("one gets it", with(40..41, |call| Call { told: OWN, ..call }), Some(High)),
        (
            "six get it at some sites",
            with(40..46, |call| if call.site % 3 == 0 { Call { told: OWN, ..call } } else { call }),
            Some(High),
        ),
        ("more than half of all get it", with(40..80, |call| Call { told: OWN, ..call }), Some(High)),
        (
            "fleets, half of each renewed",
            with(40..70, |call| if coin(call.client, call.site) { Call { told: A, ..call } } else { call }),
            None,
        ),
        (
            "one operator's roll-out, in many networks",
            with(40..46, |call| if call.told == B { Call { told: A, ..call } } else { call }),
            None,
        ),
        ("telephones without AES", with(40..46, |call| Call { offer: 2, told: OWN, ..call }), None),
        ("a second CDN, by their resolver", with(40..46, |call| Call { network: 90, told: OWN, ..call }), None),
        (
            "three sites of one owner",
            with(40..46, |call| if call.site < 3 { Call { told: A, ..call } } else { call }),
            None,
        ),
        ("old programs", with(40..46, |call| Call { offer: 3, told: C, ..call }), None),
    ];
    for (name, calls, wanted) in table {
        assert_eq!(worst(&calls), wanted, "{name}");
    }
}

/// Thirty subscribers call each site every half minute for five minutes; from a second on, those of some sites and callers are told
/// something else.
fn since(second: u64, sites: std::ops::Range<u8>, callers: std::ops::Range<u8>, told: Hello) -> Option<Severity> {
    let calls = (0..30u8).flat_map(|client| (0..SITES).map(move |site| honest_call(client, site)));
    let calls = calls.flat_map(|call| {
        let from = (u64::from(call.client) * 7 + u64::from(call.site) * 11) % 100;
        [from, from + 100, from + 190].map(|at| (at, call))
    });
    let calls =
        calls.map(|(at, call)| match at >= second && sites.contains(&call.site) && callers.contains(&call.client) {
            true => (at, Call { told, ..call }),
            false => (at, call),
        });
    worst_of(&calls.collect::<Vec<_>>())
}

#[test]
fn a_hello_that_comes_to_many_owners_at_one_moment() {
    let is_told = |found: Option<Severity>| found >= Some(Severity::Medium);
    assert!(is_told(since(150, 0..SITES, 0..12, OWN)), "a part of the callers, everywhere, from the middle on");
    assert!(is_told(since(150, 0..12, 0..30, OWN)), "all callers, at a list of sites");
    assert!(!is_told(since(150, 0..3, 0..30, OWN)), "a roll-out at three sites");
    assert!(!is_told(since(150, 0..12, 0..0, OWN)), "nothing");
    // Every second caller always drew the new half of each fleet.
    let renewed = |call: Call| if coin(call.client, call.site) { Call { told: OWN, ..call } } else { call };
    let calls =
        honest().into_iter().flat_map(|call| [20, 120, 220].map(|at| (at + u64::from(call.client), renewed(call))));
    assert!(!is_told(worst_of(&calls.collect::<Vec<_>>())), "fleets half renewed since the beginning");
}
