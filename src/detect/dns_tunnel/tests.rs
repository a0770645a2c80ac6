//! Tunnels and what looks like them, as DNS messages.

use super::*;
use crate::flow::observation::Observation;
use crate::packet::facts::NameLookup;
use crate::population::places::Places;
use crate::population::summary::tests::{TurnedOver, populations};
use crate::population::{AddContext, Populations, Span, Summary, SummaryLimits};
use crate::units::TimestampNs;

const HOUR_NS: u64 = 3_600_000_000_000;

/// A question, then its answer.
#[derive(Clone)]
struct Asked {
    client: u8,
    name: String,
    qtype: u16,
    answer: Option<[u8; 4]>,
    free_bytes: u16,
}

/// Which way a question goes: straight to the outside, or to a resolver of the population, which asks outside in its turn.
#[derive(Clone, Copy, Debug)]
enum Way {
    Straight,
    Relayed,
    /// Only the first leg is seen.
    Inside,
}

fn summary_of(populations: &Populations, asked: &[Asked], way: Way) -> Summary {
    summary_asking(populations, asked, way, Address::v4([192, 0, 2, 53]))
}

/// The same of another resolver outside.
fn summary_asking(populations: &Populations, asked: &[Asked], way: Way, outside: Address) -> Summary {
    let limits = SummaryLimits::default();
    let mut cx = AddContext { populations, identity: &mut TurnedOver(1), limits: &limits };
    let mut summary = Summary::new(Span::new(TimestampNs(HOUR_NS), TimestampNs(2 * HOUR_NS)));
    let mut observations = Vec::new();
    for (n, asked) in asked.iter().enumerate() {
        let lookup = |rcode: Option<u8>, client, resolver| NameLookup {
            ts: TimestampNs(HOUR_NS + n as u64),
            client,
            resolver,
            name: asked.name.as_str().into(),
            qtype: asked.qtype,
            rcode,
            id: n as u16,
            answers: asked.answer.filter(|_| rcode.is_some()).map(Address::v4).into_iter().collect(),
            ttl_s: 60,
            message_bytes: 90,
            aliases: 0,
            free_bytes: rcode.map_or(0, |_| asked.free_bytes),
            leads: 0,
        };
        let rcode = if asked.answer.is_none() && asked.free_bytes == 0 { 3 } else { 0 };
        let client = Address::v4([10, 0, 0, asked.client]);
        let relay = Address::v4([10, 0, 0, 200]);
        let legs = match way {
            Way::Straight => vec![(client, outside)],
            Way::Relayed => vec![(client, relay), (relay, outside)],
            Way::Inside => vec![(client, relay)],
        };
        for (client, resolver) in legs {
            observations.push(Observation::Lookup(Box::new(lookup(None, client, resolver))));
            observations.push(Observation::Lookup(Box::new(lookup(Some(rcode), client, resolver))));
        }
    }
    summary.add_observations(&observations, &mut cx);
    summary
}

fn found(asked: &[Asked], way: Way) -> Vec<Finding> {
    let populations = populations();
    let (summary, places) = (summary_of(&populations, asked, way), Places::default());
    let mut findings = Vec::new();
    detect(&Scene::new(&summary, &populations, &places, None), &mut findings);
    findings
}

/// Letters that look random, from a counter.
fn noise(n: u64, length: usize, digits: &[u8]) -> String {
    let mut x = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..length)
        .map(|_| {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(digits[(x >> 40) as usize % digits.len()])
        })
        .collect()
}

const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567";
const HEX: &[u8] = b"0123456789abcdef";

/// The reverse name of an address of a site: 2^80 of them are one site's to spell.
fn reverse(site: &str, n: u64) -> String {
    let site: std::net::Ipv6Addr = format!("{site}::").parse().expect("a site");
    let address = u128::from(site) | u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15) & 0xffff_ffff_ffff_ffff;
    let digits: Vec<String> = (0..32).map(|at| format!("{:x}", address >> (4 * at) & 15)).collect();
    format!("{}.ip6.arpa", digits.join("."))
}

#[test]
fn tunnels_and_what_looks_like_them() {
    let ask =
        |client: u8, name: String, answer: Option<[u8; 4]>| Asked { client, name, qtype: 1, answer, free_bytes: 0 };
    let there = Some([198, 51, 100, 9]);
    let of = |count: u64, one: &dyn Fn(u64) -> Asked| (0..count).map(one).collect::<Vec<_>>();
    let table: Vec<(&str, Vec<Asked>, Option<Severity>)> = vec![
        (
            "names out",
            of(100, &|n| ask(1, format!("{}.t.example", noise(n, 50, LETTERS)), there)),
            Some(Severity::High),
        ),
        (
            "through eight domains",
            of(96, &|n| ask(1, format!("{}.t{}.example", noise(n, 40, LETTERS), n % 8), there)),
            Some(Severity::High),
        ),
        (
            "short names, long answers",
            of(150, &|n| Asked {
                qtype: 16,
                free_bytes: 180,
                ..ask(1, format!("{}.t.example", noise(n, 6, LETTERS)), None)
            }),
            Some(Severity::High),
        ),
        ("no domain at all", of(100, &|n| ask(1, format!("x.{}9", noise(n, 40, HEX)), there)), Some(Severity::High)),
        ("a few long names", of(6, &|n| ask(1, format!("{}.t.example", noise(n, 50, LETTERS)), there)), None),
        (
            "a name of a CDN, again and again",
            of(200, &|n| ask(1, format!("{}.c.example", noise(n % 5, 40, HEX)), there)),
            None,
        ),
        (
            "generated names that all ask for",
            of(300, &|n| ask((n % 10) as u8, format!("{}.c.example", noise(n / 10, 30, HEX)), there)),
            None,
        ),
        (
            "a block list",
            of(400, &|n| ask(1, format!("{}.{}.7.5.list.example", n % 250, n / 250), Some([127, 0, 0, 2]))),
            None,
        ),
        (
            "digests of files",
            of(200, &|n| ask(1, format!("{}.hash.example", noise(n, 32, HEX)), Some([127, 0, 0, 2]))),
            Some(Severity::Info),
        ),
        (
            "lists of addresses and of digests, one owner's",
            of(200, &|n| match n % 2 {
                0 => ask(1, format!("{}.hash.example", noise(n, 40, HEX)), None),
                _ => ask(1, format!("{}.{}.7.5.list.hash.example", n % 250, n / 250), None),
            }),
            Some(Severity::Info),
        ),
        (
            "a list beside names that carry",
            of(400, &|n| match n % 2 {
                0 => ask(1, format!("{}.hash.example", noise(n, 48, LETTERS)), None),
                _ => ask(1, format!("{}.{}.7.5.list.hash.example", n % 250, n / 250), None),
            }),
            Some(Severity::High),
        ),
        (
            "shortened digests of which no verdict is seen",
            of(24, &|n| ask(1, format!("{}.q.hash.example", noise(n, 26 + 6 * (n as usize % 2), HEX)), None)),
            None,
        ),
        (
            "shortened digests that lead to one place",
            of(60, &|n| ask(1, format!("{}.q.hash.example", noise(n, 26, HEX)), there)),
            None,
        ),
        (
            "the same, and data back in the place of addresses",
            of(60, &|n| {
                let octet = |at: u64| (n * 4 + at).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0];
                ask(1, format!("{}.q.hash.example", noise(n, 26, HEX)), Some([octet(0), octet(1), octet(2), octet(3)]))
            }),
            Some(Severity::High),
        ),
        (
            "hexadecimal names out",
            of(600, &|n| ask(1, format!("{}.t.example", noise(n, 30, HEX)), there)),
            Some(Severity::High),
        ),
        (
            "short digests",
            of(200, &|n| {
                ask(1, format!("a-0.19-b3086.{}.hash.example", noise(n, 26, LETTERS)), Some([127, 0, 0, 128]))
            }),
            Some(Severity::Info),
        ),
        (
            "a list of names",
            of(200, &|n| ask(1, format!("www.{}.com.dbl.example", noise(n, 12, LETTERS)), Some([127, 0, 1, 2]))),
            Some(Severity::Info),
        ),
        (
            "names out, answered like a list",
            of(200, &|n| ask(1, format!("{}.t.example", noise(n, 48, LETTERS)), Some([127, 0, 0, 1]))),
            Some(Severity::High),
        ),
        ("a network of one's own", of(200, &|n| ask(1, format!("{}.corp.local", noise(n, 40, HEX)), None)), None),
        ("reverse names", of(200, &|n| ask(1, format!("{}.2.0.192.in-addr.arpa", n), None)), None),
        (
            "reverse names of one site, hundreds and all new",
            of(200, &|n| ask(1, reverse("2001:db8:1", n), None)),
            Some(Severity::High),
        ),
        ("the population's own", of(200, &|n| ask(1, reverse("2001:db8:20", n), None)), None),
        ("of as many sites", of(200, &|n| ask(1, reverse(&format!("2001:db8:{n:x}"), n), None)), None),
        (
            "a number that each of thirty devices writes into its names",
            of(600, &|n| ask((n % 30) as u8, format!("{}.m.example", noise(n, 18, HEX)), there)),
            None,
        ),
        (
            "the same, and one that carries",
            of(900, &|n| match n {
                0..600 => ask((n % 30) as u8, format!("{}.m.example", noise(n, 18, HEX)), there),
                _ => ask(1, format!("{}.m.example", noise(n, 40, LETTERS)), there),
            }),
            Some(Severity::High),
        ),
        (
            "many domains, a name each",
            of(300, &|n| ask(1, format!("www.{}.example", noise(n, 20, LETTERS)), there)),
            None,
        ),
    ];
    for ((name, asked, wanted), way) in table.iter().flat_map(|case| [(case, Way::Straight), (case, Way::Relayed)]) {
        let findings = found(asked, way);
        let worst = findings.iter().map(|finding| finding.severity).max();
        assert_eq!(worst, *wanted, "{name}, {way:?}: {findings:#?}");
        // Names without a domain are told by whom they were asked of.
        let most = if *name == "no domain at all" && matches!(way, Way::Relayed) { 2 } else { 1 };
        assert!(findings.len() <= most, "{name}, {way:?}: {}", findings.len());
        for finding in findings {
            let real = Address::v4([10, 0, 0, 1]);
            assert!(!finding.population.sample.contains(&real), "{name}: a subscriber shows");
            assert!(!finding.explanation.contains("10.0.0.1"), "{name}: a subscriber shows");
        }
    }
}

/// Sixty subscribers are active, and a resolver asks for all of them: below sixty domains once each, and below one as `name` says.
fn found_behind_a_resolver(names: u64, length: usize) -> Option<Severity> {
    use crate::population::summary::tests::row;
    let populations = populations();
    let ask = |name: String| Asked { client: 200, name, qtype: 1, answer: Some([198, 51, 100, 9]), free_bytes: 0 };
    let usual = (0..60).flat_map(|n| (0..4).map(move |k| ask(format!("www{k}.site{n}.example"))));
    let names = (0..names).map(|n| ask(format!("{}.edge.cdn.example", noise(n, length, HEX))));
    let mut summary = summary_of(&populations, &usual.chain(names).collect::<Vec<_>>(), Way::Straight);
    let mut rows = crate::flow::row::FlowColumns::default();
    for n in 0..60u8 {
        let mut one = row(Address::v4([10, 0, 0, n]), Address::v4([198, 51, n, 9]), 0, 900, 9_000);
        (one.ts_first, one.ts_last) = (TimestampNs(HOUR_NS + 1), TimestampNs(HOUR_NS + 2));
        rows.push(one);
    }
    let limits = SummaryLimits::default();
    let mut cx = AddContext { populations: &populations, identity: &mut TurnedOver(1), limits: &limits };
    summary.add_rows(&rows, &[], &mut cx);
    let mut findings = Vec::new();
    detect(&Scene::new(&summary, &populations, &Places::default(), None), &mut findings);
    findings.iter().map(|finding| finding.severity).max()
}

#[test]
fn a_resolver_asks_for_many_guests_of_a_cdn() {
    assert_eq!(found_behind_a_resolver(60, 24), None, "a name each of sixty guests");
    assert_eq!(found_behind_a_resolver(400, 48), Some(Severity::High), "what no sixty guests have");
}

#[test]
fn texts_that_many_write_are_one_tunnel_and_a_survey_of_resolvers_is_none() {
    let there = Some([198, 51, 100, 9]);
    // Thirty devices ask for eight names each.
    let of_many = |length: usize| -> Vec<Asked> {
        let name = |n: u64| format!("{}.t.example", noise(n, length, LETTERS));
        let ask = |n: u64| Asked { client: (n % 30) as u8 + 1, name: name(n), qtype: 1, answer: there, free_bytes: 0 };
        (0..240).map(ask).collect()
    };
    let severity = |found: Vec<Finding>| found.iter().map(|one| one.severity).max();
    assert!(severity(found(&of_many(56), Way::Straight)) >= Some(Severity::Medium), "texts");
    assert!(severity(found(&of_many(16), Way::Straight)) < Some(Severity::Medium), "a number for each guest");
    // One device asks eight resolvers, or two, for two hundred names.
    for (resolvers, wanted) in [(8u8, false), (2, true)] {
        let populations = populations();
        let mut summary = Summary::empty();
        for resolver in 0..resolvers {
            let name = |n: u64| format!("{}.t.example", noise(n + 1_000 * u64::from(resolver), 40, LETTERS));
            let ask = |n: u64| Asked { client: 1, name: name(n), qtype: 1, answer: there, free_bytes: 0 };
            let asked: Vec<Asked> = (0..200 / u64::from(resolvers)).map(ask).collect();
            let outside = Address::v4([203, 0, 113, resolver]);
            summary.merge(summary_asking(&populations, &asked, Way::Straight, outside)).expect("of one kind");
        }
        let places = Places::default();
        let mut findings = Vec::new();
        detect(&Scene::new(&summary, &populations, &places, None), &mut findings);
        assert_eq!(severity(findings) >= Some(Severity::Medium), wanted, "{resolvers} resolvers");
    }
}

#[test]
fn a_tunnel_through_a_resolver_of_another_population_is_told_once_and_names_who_owns_it() {
    use crate::population::PopulationSpec;
    let relay = std::net::IpAddr::from([10, 0, 0, 200]);
    let populations_with = |resolvers: Vec<std::net::IpAddr>| {
        let spec = |name: &str, prefix: &str| PopulationSpec {
            name: name.to_owned(),
            prefixes: vec![prefix.parse().expect("a prefix")],
            jurisdiction: None,
            resolvers: resolvers.clone(),
        };
        Populations::new(vec![spec("people", "10.0.0.0/25"), spec("servers", "10.0.0.128/25")]).expect("sound")
    };
    let ask = |n: u64| {
        let name = format!("{}.t.example", noise(n, 50, LETTERS));
        Asked { client: 1, name, qtype: 1, answer: Some([198, 51, 100, 9]), free_bytes: 0 }
    };
    let asked: Vec<Asked> = (0..100).map(ask).collect();
    let ask_a_site = |client: u8| Asked { client, name: "www.a.example".to_owned(), ..ask(0) };
    let of = |asked: &[Asked], populations: &Populations, way: Way| {
        let summary = summary_of(populations, asked, way);
        let mut findings = Vec::new();
        detect(&Scene::new(&summary, populations, &Places::default(), None), &mut findings);
        let told = findings.into_iter().map(|one| (one.population.name, one.collector.addresses));
        told.collect::<Vec<_>>()
    };
    let outside = vec![Address::v4([192, 0, 2, 53])];
    for resolvers in [vec![], vec![relay]] {
        let populations = populations_with(resolvers);
        assert_eq!(of(&asked, &populations, Way::Relayed), [("people".to_owned(), outside.clone())]);
        assert_eq!(of(&asked, &populations, Way::Straight), [("people".to_owned(), outside.clone())]);
    }
    // The second leg unseen: the resolver that the policy lists stands in clear, another inside by pseudonym, unless several ask it.
    let in_clear = vec![Address::v4([10, 0, 0, 200])];
    let others = (2..5).map(ask_a_site);
    let asked_by_four: Vec<Asked> = asked.iter().cloned().chain(others).collect();
    for (name, asked, listed, wanted) in [
        ("listed", &asked, vec![relay], true),
        ("asked by one", &asked, vec![], false),
        ("asked by four", &asked_by_four, vec![], true),
    ] {
        let told = of(asked, &populations_with(listed), Way::Inside);
        assert!(told.len() == 1 && (told[0].1 == in_clear) == wanted, "{name}: {told:?}");
    }
}
