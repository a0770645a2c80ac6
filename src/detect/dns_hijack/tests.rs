//! Resolvers that were turned to, chosen, or lie.

use super::*;
use crate::flow::observation::Observation;
use crate::flow::row::FlowColumns;
use crate::packet::facts::{AppFacts, NameLookup};
use crate::population::places::Places;
use crate::population::populations::PopulationSpec;
use crate::population::summary::tests::{TurnedOver, row};
use crate::population::{AddContext, Populations, Span, SpanClass, Summary, SummaryLimits};
use crate::units::TimestampNs;

const START_S: u64 = 1_000_000_000;
const THEIRS: [u8; 4] = [192, 0, 2, 53];
const STRANGER: [u8; 4] = [203, 0, 113, 66];
const SECOND: [u8; 4] = [198, 51, 100, 66];
/// Stands for an IPv6 address.
const SIX: [u8; 4] = [6; 4];

/// Stands for two addresses in two networks.
const PAIR: [u8; 4] = [7; 4];

/// A subscriber asks a resolver for a name at a second and is given an address.
type Asked = (u8, [u8; 4], u64, &'static str, [u8; 4]);

fn found(asked: &[Asked]) -> Vec<Finding> {
    found_beside(asked, &[])
}

/// The same, where subscribers were served at some addresses too, each at a second.
fn found_beside(asked: &[Asked], served: &[(u8, u64, [u8; 4])]) -> Vec<Finding> {
    let mut summary = summed(asked, served, [0, 3_600]);
    summary.rollup(SpanClass::Hour);
    let (populations, places) = (residents(), Places::default());
    let mut findings = Vec::new();
    detect(&Scene::new(&summary, &populations, &places, None), &mut findings);
    findings
}

fn spec_of_residents() -> PopulationSpec {
    PopulationSpec {
        name: "residents".to_owned(),
        prefixes: vec!["10.0.0.0/8".parse().expect("a prefix")],
        jurisdiction: None,
        resolvers: vec![std::net::IpAddr::from(THEIRS)],
    }
}

fn residents() -> Populations {
    Populations::new(vec![spec_of_residents()]).expect("sound")
}

/// What a stretch saw of it, from one second to another.
fn summed(asked: &[Asked], served: &[(u8, u64, [u8; 4])], [from, to]: [u64; 2]) -> Summary {
    summed_of(&residents(), asked, served, [from, to])
}

/// The same of these residents.
fn summed_of(
    populations: &Populations,
    asked: &[Asked],
    served: &[(u8, u64, [u8; 4])],
    [from, to]: [u64; 2],
) -> Summary {
    let limits = SummaryLimits::default();
    let mut cx = AddContext { populations, identity: &mut TurnedOver(1), limits: &limits };
    let at = |second: u64| TimestampNs((START_S + second) * 1_000_000_000);
    let mut summary = Summary::new(Span::new(at(from), at(to)));
    let mut rows = FlowColumns::default();
    let mut observations = Vec::new();
    let asked = asked.iter().filter(|one| (from..to).contains(&one.2));
    for (n, &(client, resolver, second, name, answer)) in asked.enumerate() {
        let (client, resolver) = (Address::v4([10, 0, 0, client]), Address::v4(resolver));
        let mut one = row(client, resolver, second, 60, 90);
        one.ts_last = one.ts_first;
        one.key.ports = one.key.ports.map(|port| if port == 443 { DNS } else { port });
        one.facts = Some(std::sync::Arc::new(AppFacts { protocol: Some(AppProtocol::Dns), ..AppFacts::default() }));
        rows.push(one);
        observations.push(Observation::Lookup(Box::new(NameLookup {
            ts: at(second),
            client,
            resolver,
            name: name.into(),
            qtype: 1,
            rcode: Some(0),
            id: n as u16,
            answers: match answer {
                SIX => vec![Address([0x20; 16])],
                PAIR => vec![Address::v4([203, 0, 113, 99]), Address::v4([198, 51, 100, 99])],
                one => vec![Address::v4(one)],
            },
            ttl_s: 60,
            message_bytes: 90,
            aliases: 0,
            free_bytes: 0,
            leads: 0,
        })));
    }
    for &(client, second, address) in served.iter().filter(|one| (from..to).contains(&one.1)) {
        rows.push(row(Address::v4([10, 0, 0, client]), Address::v4(address), second, 700, 40_000));
    }
    summary.add_rows(&rows, &[], &mut cx);
    summary.add_observations(&observations, &mut cx);
    summary
}

/// A protocol, and a name that is asked for in it.
type Spoken = (AppProtocol, Option<&'static str>);
const TLS: Spoken = (AppProtocol::Tls, None);

/// Adds who calls whom at which second, at a port.
fn add_calls(
    summary: &mut Summary,
    calls: impl Iterator<Item = (u8, Address, u64)>,
    port: u16,
    (protocol, name): &Spoken,
) {
    let facts = AppFacts { protocol: Some(*protocol), server_name: name.map(Into::into), ..AppFacts::default() };
    let facts = std::sync::Arc::new(facts);
    let mut rows = FlowColumns::default();
    for (home, to, second) in calls {
        let mut one = row(Address::v4([10, 0, 0, home]), to, second, 600, 4_000);
        one.key.ports = one.key.ports.map(|known| if known == 443 { port } else { known });
        one.facts = Some(facts.clone());
        rows.push(one);
    }
    let (populations, limits) = (residents(), SummaryLimits::default());
    let mut cx = AddContext { populations: &populations, identity: &mut TurnedOver(1), limits: &limits };
    summary.add_rows(&rows, &[], &mut cx);
}

#[test]
fn resolvers_that_are_not_theirs() {
    const HERE: [u8; 4] = [198, 18, 5, 9];
    const LURE: [u8; 4] = [203, 0, 113, 99];
    // Forty subscribers ask theirs all the time; what is special comes on top.
    let usual = |from: u8, seconds: &[u64]| -> Vec<Asked> {
        let ask = |client: u8| seconds.iter().map(move |s| (client, THEIRS, *s, "www.a.example", HERE));
        (from..40).flat_map(ask).collect()
    };
    let turned = |count: u8, to: &[[u8; 4]]| -> Vec<Asked> {
        let mut asked = usual(count, &[10, 900, 2_000, 3_000]);
        for client in 0..count {
            let to = to[usize::from(client) % to.len()];
            asked.extend([10, 300, 900].map(|second| (client, THEIRS, second, "www.a.example", HERE)));
            asked.extend([1_500, 2_000, 3_000].map(|second| (client, to, second, "www.a.example", HERE)));
        }
        asked
    };
    let chosen = |count: u8, which: [u8; 4]| -> Vec<Asked> {
        let mut asked = usual(0, &[10, 900, 2_000, 3_000]);
        for client in 0..count {
            asked.extend([20, 1_000, 3_100].map(|second| (client, which, second, "www.a.example", HERE)));
        }
        asked
    };
    // A third of the homes asks a stranger since just now; and the devices that have a resolver of their own go on.
    let late = |count: u8, second: u64| -> Vec<Asked> {
        let mut asked = usual(0, &[10, 300, 600, 900, 1_200, 1_800, 2_400, 3_000]);
        for client in 0..count {
            asked.extend([second, 2_700, 3_100].map(|second| (client, STRANGER, second, "www.a.example", HERE)));
        }
        asked
    };
    let mut lying = chosen(4, STRANGER);
    for (name, second) in [("www.b.example", 50), ("www.c.example", 60), ("www.d.example", 70)] {
        lying.extend([(30, THEIRS, second, name, HERE), (1, STRANGER, second, name, LURE)]);
    }
    // A CDN by where one asks from: what the stranger gives for some names, the usual one gives for others.
    let mut placed = lying.clone();
    placed.push((31, THEIRS, 90, "www.z.example", LURE));
    // One asks them for the IPv6 addresses of the same names, and nobody else does.
    let mut other_kind = chosen(4, STRANGER);
    for (name, second) in [("www.b.example", 50), ("www.c.example", 60), ("www.d.example", 70)] {
        other_kind.extend([(30, THEIRS, second, name, HERE), (1, STRANGER, second, name, SIX)]);
    }
    let table = [
        ("it was asked for another kind of address", other_kind, None),
        ("it stands where others lead as well", placed, None),
        ("all ask theirs", usual(0, &[10, 900]), None),
        ("turned at once", turned(8, &[STRANGER]), Some(Severity::High)),
        ("turned to two", turned(8, &[STRANGER, SECOND]), Some(Severity::High)),
        ("turned, and asked beside the usual one", late(10, 2_000), Some(Severity::High)),
        ("chosen by many long ago", late(13, 20), Some(Severity::Low)),
        ("one's own choice", chosen(2, STRANGER), None),
        ("a public one", chosen(10, [9, 9, 9, 9]), None),
        ("it lies", lying, Some(Severity::High)),
    ];
    for (name, asked, wanted) in table {
        let findings = found(&asked);
        assert_eq!(findings.iter().map(|finding| finding.severity).max(), wanted, "{name}: {findings:#?}");
        assert!(findings.len() <= 1, "{name}: {}", findings.len());
    }
}

#[test]
fn homes_that_asked_nobody_before_were_turned_if_they_were_there() {
    const HERE: [u8; 4] = [198, 18, 5, 9];
    let everybody = (0..40).flat_map(|client| {
        [10, 300, 600, 900, 1_200, 1_800, 2_400, 3_000].map(|second| (client, THEIRS, second, "www.a.example", HERE))
    });
    let mut asked: Vec<Asked> = everybody.collect();
    // Two who asked theirs before, and four who had the names that they used.
    let turned = [0, 1, 50, 51, 52, 53];
    for client in turned {
        asked.extend([2_000, 2_700, 3_100].map(|second| (client, STRANGER, second, "www.a.example", HERE)));
    }
    let visits =
        |from: u64| turned.map(|client| (0..8).map(move |n| (client, from + 180 * n, HERE))).into_iter().flatten();
    let there = found_beside(&asked, &visits(60).collect::<Vec<_>>());
    assert_eq!(there.iter().map(|finding| finding.severity).collect::<Vec<_>>(), [Severity::High]);
    // Guests who come with a resolver of their own.
    let guests = found_beside(&asked, &visits(2_000).collect::<Vec<_>>());
    assert!(guests.iter().all(|finding| finding.severity <= Severity::Low), "{guests:#?}");
}

#[test]
fn homes_that_were_not_there_yet_count_beside_as_many_that_were() {
    const HERE: [u8; 4] = [198, 18, 5, 9];
    const DOZEN: [u8; 12] = [50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61];
    let asked = |turned: &[u8]| -> Vec<Asked> {
        let usual = [10, 300, 900, 1_800, 2_400, 2_700, 3_000, 3_300];
        let usual = (0..40).flat_map(|client| usual.map(|second| (client, THEIRS, second, "www.a.example", HERE)));
        let once =
            turned.iter().zip(0..).map(|(client, n)| (*client, STRANGER, 2_000 + 130 * n, "www.a.example", HERE));
        usual.chain(once).collect()
    };
    let visits = |clients: &[u8]| -> Vec<(u8, u64, [u8; 4])> {
        clients.iter().flat_map(|client| (0..8).map(move |n| (*client, 60 + 180 * n, HERE))).collect()
    };
    // Who asks once after half an hour; who of them used something before; whether that is told.
    let table: [(&str, &[u8], &[u8], bool); 7] = [
        ("three who asked theirs before", &[0, 1, 2], &[], false),
        ("the same and three who arrived", &[0, 1, 2, 50, 51, 52], &[], true),
        ("two, and many who arrived", &[0, 1, 50, 51, 52, 53, 54, 55], &[], false),
        ("one who asked before, five who were there", &[0, 50, 51, 52, 53, 54], &[50, 51, 52, 53, 54], true),
        ("one who asked before, three who were there", &[0, 50, 51, 52], &[50, 51, 52], false),
        ("six who were there", &[50, 51, 52, 53, 54, 55], &[50, 51, 52, 53, 54, 55], false),
        ("a dozen who were there", &DOZEN, &DOZEN, true),
    ];
    for (name, turned, there, wanted) in table {
        let findings = found_beside(&asked(turned), &visits(there));
        assert_eq!(findings.iter().any(|one| one.severity >= Severity::Medium), wanted, "{name}: {findings:#?}");
    }
}

/// Forty subscribers ask theirs; from half past on eight of them ask a stranger, one after the other.
fn turning(stranger_before: bool) -> Vec<Asked> {
    const HERE: [u8; 4] = [198, 18, 5, 9];
    let usual = (0..40).flat_map(|client| (0..60).map(move |n| (client, n * 60 + u64::from(client))));
    let usual = usual.filter(|(client, second)| *client >= 8 || *second < 1_800);
    let mut asked: Vec<Asked> = usual.map(|(client, second)| (client, THEIRS, second, "www.a.example", HERE)).collect();
    for client in 0..8 {
        let from = 1_800 + 20 * u64::from(client);
        asked.extend((0..6).map(|n| (client, STRANGER, from + 60 * n, "www.a.example", HERE)));
    }
    if stranger_before {
        asked.extend([30, 400].map(|second| (20, STRANGER, second, "www.a.example", HERE)));
    }
    asked
}

/// What the window from one second to another is told as, after the hour so far and what went before that.
fn found_in_window(asked: &[Asked], [from, to]: [u64; 2], day: &Summary) -> Option<Severity> {
    let mut hour = summed(asked, &[], [0, from]);
    hour.rollup(SpanClass::Hour);
    let window = summed(asked, &[], [from, to]);
    let (populations, places) = (residents(), Places::default());
    let mut findings = Vec::new();
    detect(&Scene::new(&window, &populations, &places, None).following([&hour, day]), &mut findings);
    findings.iter().map(|finding| finding.severity).max()
}

#[test]
fn answers_in_the_name_of_a_public_resolver_lie_where_they_lead_what_has_many_homes_to_one() {
    const PUBLIC: [u8; 4] = [9, 9, 9, 9];
    const LURE: [u8; 4] = [203, 0, 113, 99];
    const NAMES: [&str; 4] = ["www.a.example", "www.b.example", "www.c.example", "www.d.example"];
    // In how many networks the usual resolver places the four names; where the public one leads them; whether that is told.
    for (homes, led, wanted) in [(4u8, LURE, true), (2, LURE, false), (4, [198, 20, 5, 77], false)] {
        let mut asked: Vec<Asked> = Vec::new();
        for client in 0..40 {
            for (name, n) in NAMES.into_iter().zip(0u8..) {
                let second = 10 + 60 * u64::from(n) + u64::from(client);
                let (who, answer) = if client < 10 { (PUBLIC, led) } else { (THEIRS, [198, 18 + n % homes, 5, 9]) };
                asked.push((client, who, second, name, answer));
            }
        }
        let key = format!("resolver:{}", Address::v4(PUBLIC));
        let of_resolver = found(&asked).into_iter().filter(|finding| finding.collector.collector_key == key);
        let severity = of_resolver.map(|finding| finding.severity).max();
        assert_eq!(severity >= Some(Severity::Medium), wanted, "{homes} homes, led to {led:?}: {severity:?}");
    }
}

#[test]
fn a_window_knows_the_hour_before_it() {
    let none = Summary::empty();
    let asked = turning(false);
    assert_eq!(found_in_window(&asked, [1_740, 1_800], &none), None, "nothing yet");
    assert_eq!(found_in_window(&asked, [1_860, 1_920], &none), Some(Severity::High), "two minutes later");
    let known = found_in_window(&turning(true), [1_860, 1_920], &none);
    assert!(known < Some(Severity::Medium), "asked since the hour began: {known:?}");
    let mut day = summed(&[(20, STRANGER, 10, "www.a.example", [198, 18, 5, 9])], &[], [0, 60]);
    day.rollup(SpanClass::Day);
    let known = found_in_window(&asked, [1_860, 1_920], &day);
    assert!(known < Some(Severity::Medium), "asked earlier that day: {known:?}");
}

#[test]
fn what_more_of_the_hour_makes_look_like_chance_is_doubted() {
    // Three asked theirs in the first minute; all began to ask anything while the hour went on.
    let asked: Vec<Asked> = (0..40)
        .flat_map(|client| {
            let at = |second: u64| second + u64::from(client) * 50;
            let first = if client < 16 { STRANGER } else { THEIRS };
            [(client, first, at(700)), (client, THEIRS, at(800)), (client, THEIRS, at(1_200))]
        })
        .chain((0..3).map(|client| (client, THEIRS, 50)))
        .map(|(client, resolver, second)| (client, resolver, second, "www.a.example", [198, 18, 5, 9]))
        .collect();
    let mut hour = summed(&asked, &[], [0, 3_600]);
    hour.rollup(SpanClass::Hour);
    let (populations, places) = (residents(), Places::default());
    let key = format!("resolver:{}", Address::v4(STRANGER));
    let scene = Scene::new(&hour, &populations, &places, None);
    let scene = scene.after([(Technique::DnsHijack, key)].into());
    detect(&scene, &mut Vec::new());
    let doubts = scene.into_doubts();
    assert!(doubts.len() == 1 && doubts[0].since.is_none(), "{doubts:?}");
}

/// Of so many homes these ask a stranger beside theirs, all along; over TLS where `sealed`.
fn beside(homes: u8, strange: u8, sealed: bool) -> Option<Severity> {
    beside_since(0, homes, strange, sealed)
}

/// The same where they do so from a second on.
fn beside_since(since: u64, homes: u8, strange: u8, sealed: bool) -> Option<Severity> {
    let theirs = (0..homes).flat_map(|home| [10, 900, 1_800, 2_700].map(|second| (home, THEIRS, second)));
    let stranger = (0..strange).flat_map(|home| [20, 1_000, 1_900, 2_800].map(|second| (home, STRANGER, second)));
    let asked = theirs.chain(stranger.filter(|one| one.2 >= since));
    let asked: Vec<Asked> =
        asked.map(|(home, to, second)| (home, to, second, "www.a.example", [198, 18, 5, 9])).collect();
    let (populations, places) = (residents(), Places::default());
    let (sealed_ones, open): (Vec<Asked>, Vec<Asked>) = asked.into_iter().partition(|one| sealed && one.1 == STRANGER);
    let mut summary = summed(&open, &[], [0, 3_600]);
    let calls = sealed_ones.into_iter().map(|(home, to, second, ..)| (home, Address::v4(to), second));
    add_calls(&mut summary, calls, DNS_OVER_TLS, &TLS);
    summary.rollup(SpanClass::Hour);
    let mut findings = Vec::new();
    detect(&Scene::new(&summary, &populations, &places, None), &mut findings);
    findings.iter().map(|finding| finding.severity).max()
}

#[test]
fn a_resolver_inside_that_asks_many_was_not_turned_to_each_of_them() {
    let names = |n: u8| ["www.a.example", "www.b.example", "www.c.example"][usize::from(n % 3)];
    // Forty homes ask theirs; four devices ask so many strangers from the half of the hour on.
    let of = |strangers: u8| {
        let homes = (0..40u8).flat_map(|home| [10, 900, 1_800, 2_700].map(move |second| (home, THEIRS, second)));
        let asked = (100..104u8).flat_map(|device| {
            let all = (0..strangers).flat_map(move |k| [1_850, 2_400, 3_000].map(|second| (k, second)));
            let before = (0..6u64).map(move |n| (device, THEIRS, 60 + 280 * n));
            before.chain(all.map(move |(k, second)| (device, [203, 0, 113, k], second)))
        });
        let all = homes.chain(asked).map(|(from, to, second)| (from, to, second, names(to[3]), [198, 18, 5, 9]));
        found(&all.collect::<Vec<_>>()).iter().map(|finding| finding.severity).max()
    };
    assert!(of(2) >= Some(Severity::Medium), "devices that were turned: {:?}", of(2));
    assert!(of(20) < Some(Severity::Medium), "resolvers: {:?}", of(20));
}

#[test]
fn a_few_who_begin_to_ask_over_tls_have_switched_it_on() {
    for (strange, sealed, wanted) in [(8, false, true), (8, true, false), (30, true, true)] {
        let found = beside_since(1_500, 200, strange, sealed);
        assert_eq!(found >= Some(Severity::Medium), wanted, "{strange}, sealed {sealed}: {found:?}");
    }
}

#[test]
fn a_fifth_of_many_homes_have_not_chosen_alike() {
    for sealed in [false, true] {
        // Asked over TLS, it may be what a program's maker chose for all who use it, but not for a quarter of all.
        for (homes, strange, wanted) in [(200, 50, true), (200, 26, false), (200, 16, false), (40, 9, false)] {
            let found = beside(homes, strange, sealed);
            assert_eq!(found >= Some(Severity::Medium), wanted, "{strange} of {homes}, sealed {sealed}: {found:?}");
        }
    }
}

#[test]
fn answers_that_wander() {
    let forged: [(&str, u8, u8); 8] = [
        ("www.a.example", 31, 1),
        ("www.a.example", 104, 2),
        ("www.b.example", 31, 3),
        ("www.b.example", 199, 4),
        ("www.c.example", 104, 5),
        ("www.c.example", 31, 6),
        ("www.d.example", 199, 7),
        ("www.d.example", 31, 8),
    ];
    let asked: Vec<Asked> =
        forged.iter().map(|(name, net, last)| (1, THEIRS, u64::from(*last), *name, [*net, 13, 88, *last])).collect();
    assert_eq!(found(&asked).iter().map(|f| f.severity).collect::<Vec<_>>(), [Severity::Medium]);
    // One owner's names, in networks where others have names too: he answers as he likes, or writes data there.
    let tenants = [("www.x.example", 9), ("www.y.example", 10), ("www.z.example", 11)];
    let mut of_one: Vec<Asked> =
        tenants.iter().map(|(name, last)| (1, THEIRS, u64::from(*last), *name, [31, 13, 88, *last])).collect();
    of_one.extend(asked.iter().map(|(client, resolver, second, name, address)| {
        let below = ["a.t.example", "b.t.example", "c.t.example", "d.t.example"];
        (*client, *resolver, *second, below[usize::from(name.as_bytes()[4] - b'a')], *address)
    }));
    assert!(found(&of_one).is_empty());
    // Nodes of a CDN, wherever they stand: whoever is led there is served there.
    let nodes: Vec<_> = asked.iter().map(|(_, _, _, _, address)| (1, 1_000, *address)).collect();
    assert!(found_beside(&asked, &nodes).is_empty());
    // Two networks of one owner: the same names in both.
    let owner: Vec<Asked> = ["www.a.example", "www.b.example", "www.c.example", "www.d.example"]
        .into_iter()
        .flat_map(|name| [(1, THEIRS, 1, name, [180, 163, 150, 33]), (1, THEIRS, 2, name, [220, 181, 174, 97])])
        .collect();
    assert!(found(&owner).is_empty());
}

#[test]
fn strangers_that_the_same_ask_are_one() {
    const HERE: [u8; 4] = [198, 18, 5, 9];
    // Sixteen of forty ask two strangers; or eight ask the one, and eight others the other.
    let asked = |second_from: u8| -> Vec<Asked> {
        let ask = |client: u8, which: [u8; 4]| {
            [20, 40, 1_000, 3_100].map(|second| (client, which, second, "www.a.example", HERE))
        };
        let theirs = (0..40).flat_map(|client| ask(client, THEIRS));
        let first = (0..if second_from == 0 { 16 } else { 8 }).flat_map(|client| ask(client, STRANGER));
        theirs.chain(first).chain((second_from..16).flat_map(|client| ask(client, SECOND))).collect()
    };
    let told = |second_from: u8| {
        let findings = found(&asked(second_from));
        let addresses: Vec<usize> = findings.iter().map(|finding| finding.collector.addresses.len()).collect();
        (addresses, findings.iter().map(|finding| finding.population.subscribers).max())
    };
    assert_eq!(told(0), (vec![2], Some(16)));
    assert!(told(8).0.iter().all(|addresses| *addresses == 1));
    // Homes that are turned to the one, and to the other seven minutes later.
    let late = (0..40u8).flat_map(|home| {
        (0..30u64).map(move |n| {
            let second = 20 + 119 * n;
            let to = match second {
                1_500..=1_900 if home < 10 => STRANGER,
                1_901.. if home < 10 => {
                    if n % 2 == 0 {
                        STRANGER
                    } else {
                        SECOND
                    }
                }
                _ => THEIRS,
            };
            (home, to, second, "www.a.example", HERE)
        })
    });
    let findings = found(&late.collect::<Vec<_>>());
    assert_eq!(findings.iter().map(|one| one.collector.addresses.len()).collect::<Vec<_>>(), [2], "{findings:#?}");
}

#[test]
fn who_leads_all_names_to_a_pair_or_with_others_to_one_place_lies() {
    const NAMES: [&str; 4] = ["www.a.example", "www.b.example", "www.c.example", "www.d.example"];
    const LURE: [u8; 4] = [203, 0, 113, 99];
    const NEAR: &str = "www.e.example";
    // How many of the names lead where, who leads there, and whether the usual resolver places each in a network of its own.
    type Case<'a> = (&'a str, usize, [u8; 4], &'a [[u8; 4]], bool, bool);
    let table: [Case<'_>; 5] = [
        ("four homes, one pair", 4, PAIR, &[STRANGER], true, true),
        ("three homes", 3, PAIR, &[STRANGER], true, false),
        ("a CDN with four customers", 4, PAIR, &[STRANGER], false, false),
        ("two strangers, one place", 4, LURE, &[STRANGER, SECOND], true, true),
        ("two strangers, a CDN", 4, LURE, &[STRANGER, SECOND], false, false),
    ];
    for (case, led, lure, strangers, at_home, wanted) in table {
        let asked = NAMES.iter().enumerate().flat_map(|(n, &name)| {
            let home = if at_home { [20 + n as u8, 1, 1, 1] } else { [20, 1, 1, n as u8] };
            let strange = if n < led { lure } else { home };
            (0..3u8).flat_map(move |client| {
                let at = 10 * u64::from(client) + n as u64;
                let theirs = [(client, THEIRS, 5 + at, name, home)];
                strangers.iter().map(move |one| (client, *one, at, name, strange)).chain(theirs)
            })
        });
        let found = found(&asked.collect::<Vec<_>>());
        let stranger = found.iter().find(|one| one.collector.addresses.contains(&Address::v4(STRANGER)));
        assert_eq!(stranger.is_some_and(|one| one.severity >= Severity::High), wanted, "{case}: {found:?}");
    }
    // An operator of many places, near one of which the usual resolver places a fifth name.
    for is_near in [false, true] {
        let asked = NAMES.iter().enumerate().flat_map(|(n, &name)| {
            let strange = [STRANGER, SECOND].map(|one| (1, one, n as u64, name, LURE));
            strange.into_iter().chain([(1, THEIRS, 9, name, [20 + n as u8, 1, 1, 1])])
        });
        let home = if is_near { [203, 0, 7, 7] } else { [30, 1, 1, 1] };
        let fifth = [(2, STRANGER, 20, NEAR, LURE), (2, SECOND, 20, NEAR, LURE), (2, THEIRS, 21, NEAR, home)];
        let found = found(&asked.chain(fifth).collect::<Vec<_>>());
        let is_led = |one: &Finding| one.collector.addresses.contains(&Address::v4(LURE));
        assert_eq!(found.iter().any(is_led), !is_near, "{is_near}: {found:?}");
    }
}

/// The same where no policy says whom to ask.
fn found_unlisted(asked: &[Asked]) -> Vec<Finding> {
    let mut summary = summed(asked, &[], [0, 3_600]);
    summary.rollup(SpanClass::Hour);
    let spec = PopulationSpec { resolvers: Vec::new(), ..spec_of_residents() };
    let (populations, places) = (Populations::new(vec![spec]).expect("sound"), Places::default());
    let mut findings = Vec::new();
    detect(&Scene::new(&summary, &populations, &places, None), &mut findings);
    findings
}

#[test]
fn whom_most_ask_is_theirs_unless_it_lies_or_came_late() {
    let names = ["www.a.example", "www.b.example", "www.c.example", "www.d.example", "www.e.example", "www.f.example"];
    let asked = |liar: bool| -> Vec<Asked> {
        let of_one = |client: u8, n: u8, to| {
            let home = if liar && to == STRANGER { [198, 60, 7, 9] } else { [20 + n, 20, n, 9] };
            (client, to, u64::from(client) * 30 + u64::from(n), names[usize::from(n)], home)
        };
        let all = (0..40u8).flat_map(|client| (0..6u8).map(move |n| (client, n)));
        all.map(|(client, n)| of_one(client, n, if client < 30 { STRANGER } else { THEIRS })).collect()
    };
    let told = |findings: &[Finding]| {
        let mut loud = findings.iter().filter(|one| one.severity >= Severity::Medium);
        loud.any(|one| one.collector.addresses.contains(&Address::v4(STRANGER)))
    };
    assert!(told(&found_unlisted(&asked(true))), "all names lead to one address");
    assert!(!told(&found_unlisted(&asked(false))), "an honest one is theirs");
    assert!(told(&found_unlisted(&turning(false))), "one to which all turn at once");
}

#[test]
fn a_stranger_with_an_address_of_each_version_is_one() {
    let told = |v4: u8, v6: u8| {
        let theirs = (0..200u8).flat_map(|home| [10, 900, 1_800].map(|second| (home, THEIRS, second)));
        let asked: Vec<Asked> =
            theirs.map(|(home, to, second)| (home, to, second, "www.a.example", [198, 18, 5, 9])).collect();
        let mut summary = summed(&asked, &[], [0, 3_600]);
        let resolver = Address([0x20, 0x01, 0x0d, 0xb9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
        let homes = (0..v4).map(|home| (home, Address::v4(STRANGER)));
        let homes = homes.chain((100..100 + v6).map(|home| (home, resolver)));
        let calls = homes.flat_map(|(home, to)| [20, 1_000, 1_900].map(|second| (home, to, second)));
        add_calls(&mut summary, calls, DNS_OVER_TLS, &TLS);
        let (populations, places) = (residents(), Places::default());
        summary.rollup(SpanClass::Hour);
        let mut findings = Vec::new();
        detect(&Scene::new(&summary, &populations, &places, None), &mut findings);
        let loud = findings.into_iter().filter(|one| one.severity >= Severity::Medium);
        loud.map(|one| one.collector.addresses.len()).max()
    };
    assert_eq!(told(26, 26), Some(2), "a quarter of all, by two roads");
    assert_eq!(told(26, 0), None, "an eighth");
}

mod forwarder;
mod usual;
