//! What is usual: resolvers inside, a provider's others, ports, names; changes near the full hour.

use super::*;

/// Forty homes, of which some ask a stranger from a second on, and another that they asked before; the stranger's port.
fn turned_from([usual, stranger]: [[u8; 4]; 2], second: u64, turned: std::ops::Range<u8>, port: u16) -> Summary {
    const HERE: [u8; 4] = [198, 18, 5, 9];
    let asked = (0..40u8).map(|home| (home, turned.contains(&home))).flat_map(|(home, is_turned)| {
        (0..12u64).map(move |n| {
            let at = 60 + 280 * n + u64::from(home);
            let to = if is_turned && at >= second { stranger } else { usual };
            (home, to, at, "www.a.example", HERE)
        })
    });
    let asked: Vec<Asked> = asked.collect();
    let mut summary = summed_at(&asked, port, stranger);
    summary.rollup(SpanClass::Hour);
    summary
}

/// As [`summed`], with a resolver at a port of its own.
fn summed_at(asked: &[Asked], port: u16, of: [u8; 4]) -> Summary {
    let (populations, limits) = (residents(), SummaryLimits::default());
    let (at_own, others): (Vec<Asked>, Vec<Asked>) = asked.iter().partition(|one| one.1 == of && port != DNS);
    let mut summary = summed(&others, &[], [0, 3_600]);
    let mut rows = FlowColumns::default();
    for (client, resolver, second, ..) in at_own {
        let mut one = row(Address::v4([10, 0, 0, client]), Address::v4(resolver), second, 60, 90);
        one.key.ports = one.key.ports.map(|known| if known == 443 { port } else { known });
        one.facts = Some(std::sync::Arc::new(AppFacts { protocol: Some(AppProtocol::Dns), ..AppFacts::default() }));
        rows.push(one);
    }
    let mut cx = AddContext { populations: &populations, identity: &mut TurnedOver(1), limits: &limits };
    summary.add_rows(&rows, &[], &mut cx);
    summary
}

fn told_unlisted(summary: &Summary, stranger: [u8; 4]) -> Option<Severity> {
    let spec = PopulationSpec { resolvers: Vec::new(), ..spec_of_residents() };
    let (populations, places) = (Populations::new(vec![spec]).expect("sound"), Places::default());
    let mut findings = Vec::new();
    detect(&Scene::new(summary, &populations, &places, None), &mut findings);
    let of_it = findings.iter().filter(|one| one.collector.addresses.contains(&Address::v4(stranger)));
    of_it.map(|one| one.severity).max()
}

#[test]
fn resolvers_inside_are_usual_and_a_providers_other_one_is_no_stranger() {
    const INSIDE: [u8; 4] = [10, 0, 0, 250];
    const NEIGHBOUR: [u8; 4] = [192, 0, 77, 53];
    let loud = Some(Severity::Medium);
    // Whom they asked before and whom since, from which second on, how many, at which port; whether it is told.
    let table = [
        ("turned away from one inside", [INSIDE, STRANGER], 1_500, 0..14, DNS, true),
        ("turned away from one outside", [THEIRS, STRANGER], 1_500, 0..14, DNS, true),
        ("to the provider's other one", [THEIRS, NEIGHBOUR], 1_500, 0..14, DNS, false),
        ("nobody turned", [INSIDE, STRANGER], 9_999, 0..14, DNS, false),
        ("dozens in the first minutes", [INSIDE, STRANGER], 420, 0..36, DNS, true),
        ("a few in the first minutes", [INSIDE, STRANGER], 420, 0..4, DNS, false),
        ("a crowd at a port of its own from the beginning", [INSIDE, STRANGER], 0, 0..30, 1_053, true),
        ("a crowd at the port of all", [INSIDE, STRANGER], 0, 0..30, DNS, false),
        ("a few at a port of its own", [INSIDE, STRANGER], 0, 0..4, 1_053, false),
    ];
    for (name, [usual, stranger], second, homes, port, wanted) in table {
        let told = told_unlisted(&turned_from([usual, stranger], second, homes, port), stranger);
        assert_eq!(told >= loud, wanted, "{name}: {told:?}");
    }
}

#[test]
fn a_change_near_the_full_hour_is_seen_in_a_short_day() {
    // Forty minutes before the hour and forty after it: the change two minutes after it.
    let day = |turned: u8| {
        let hours = 3_600 - START_S % 3_600;
        let asked = (0..40u8).flat_map(|home| {
            (0..16u64).map(move |n| {
                let at = hours + 1_200 + 300 * n + u64::from(home);
                let to = if home < turned && at >= hours + 3_720 { STRANGER } else { THEIRS };
                (home, to, at, "www.a.example", [198, 18, 5, 9])
            })
        });
        let mut summary = summed(&asked.collect::<Vec<_>>(), &[], [hours + 1_200, hours + 6_000]);
        summary.rollup(SpanClass::Day);
        let (populations, places) = (residents(), Places::default());
        let mut findings = Vec::new();
        detect(&Scene::new(&summary, &populations, &places, None), &mut findings);
        findings.iter().map(|one| one.severity).max()
    };
    assert!(day(8) >= Some(Severity::Medium), "{:?}", day(8));
    assert!(day(0).is_none(), "{:?}", day(0));
}

#[test]
fn who_is_called_by_a_name_at_the_port_of_the_web_was_chosen() {
    // Ten of forty ask a stranger over UDP, and ask the web's port for a name there or do not.
    let told = |name: Option<&str>, over_https: u64| {
        let homes = 0..40u8;
        let ask = |home: u8| {
            let to = if home < 14 { STRANGER } else { THEIRS };
            [20, 900, 1_800, 2_700].map(|second| (home, to, second, "www.a.example", [198, 18, 5, 9]))
        };
        let asked: Vec<Asked> = homes.flat_map(ask).collect();
        let mut summary = summed(&asked, &[], [0, 3_600]);
        let mut rows = FlowColumns::default();
        for n in 0..over_https {
            let mut one = row(Address::v4([10, 0, 0, (n % 14) as u8]), Address::v4(STRANGER), 30 + n, 900, 4_000);
            let facts =
                AppFacts { protocol: Some(AppProtocol::Tls), server_name: name.map(Into::into), ..AppFacts::default() };
            one.facts = Some(std::sync::Arc::new(facts));
            rows.push(one);
        }
        let (populations, places, limits) = (residents(), Places::default(), SummaryLimits::default());
        let mut cx = AddContext { populations: &populations, identity: &mut TurnedOver(1), limits: &limits };
        summary.add_rows(&rows, &[], &mut cx);
        summary.rollup(SpanClass::Hour);
        let mut findings = Vec::new();
        detect(&Scene::new(&summary, &populations, &places, None), &mut findings);
        findings.iter().map(|one| one.severity).max()
    };
    assert!(told(None, 0) >= Some(Severity::Medium), "a stranger without a name: {:?}", told(None, 0));
    assert!(told(Some("dns.a.example"), 20) < Some(Severity::Medium), "one with a name");
    assert!(told(None, 400) < Some(Severity::Medium), "no resolver: mostly asked for something else");
}
