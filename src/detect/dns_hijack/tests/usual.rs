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
    let (at_own, at_usual): (Vec<Asked>, Vec<Asked>) = asked.partition(|one| one.1 == stranger && port != DNS);
    let mut summary = summed(&at_usual, &[], [0, 3_600]);
    let calls = at_own.into_iter().map(|(home, to, second, ..)| (home, Address::v4(to), second));
    add_calls(&mut summary, calls, port, &(AppProtocol::Dns, None));
    summary.rollup(SpanClass::Hour);
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
        ("dozens in the first minutes", [INSIDE, STRANGER], 320, 0..36, DNS, true),
        ("a few in the first minutes", [INSIDE, STRANGER], 320, 0..10, DNS, false),
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
fn a_change_near_the_full_hour_is_seen_in_a_day() {
    // From twenty past to so many minutes later forty homes ask theirs; some ask a stranger as well, from so many minutes past the hour on.
    let day = |minutes: u64, turned: u8, from: i64| {
        let hour = 3_600 - START_S % 3_600;
        let at = move |home: u8, n: u64| hour + 1_200 + 300 * n + u64::from(home);
        let all = (0..40u8).flat_map(move |home| (0..minutes / 5).map(move |n| (home, at(home, n))));
        let asked = all.flat_map(|(home, second)| {
            let is_turned = home < turned && second >= (hour + 3_600).saturating_add_signed(60 * from);
            let one = |to| (home, to, second, "www.a.example", [198, 18, 5, 9]);
            [Some(one(THEIRS)), is_turned.then(|| one(STRANGER))].into_iter().flatten()
        });
        let asked: Vec<Asked> = asked.collect();
        let mut summary = summed(&asked, &[], [hour + 1_200, hour + 1_200 + 60 * minutes]);
        summary.rollup(SpanClass::Day);
        told_unlisted(&summary, STRANGER) >= Some(Severity::Medium)
    };
    assert!(day(80, 4, 2), "four within two hours, by the minute");
    assert!(!day(180, 4, 2), "four within three hours");
    assert!(!day(80, 0, 2), "nobody");
    // Half an hour earlier, in the second half hour of a day: by how many they are.
    let day = |turned: u8| day(180, turned, -28);
    assert!(day(38) && !day(4), "in the second half hour");
}

#[test]
fn who_is_called_by_a_name_at_the_port_of_the_web_was_chosen() {
    // Ten of forty ask a stranger over UDP, and ask the web's port for a name there or do not.
    let told = |name: Option<&'static str>, over_https: u64| {
        let homes = 0..40u8;
        let ask = |home: u8| {
            let to = if home < 14 { STRANGER } else { THEIRS };
            [20, 900, 1_800, 2_700].map(|second| (home, to, second, "www.a.example", [198, 18, 5, 9]))
        };
        let asked: Vec<Asked> = homes.flat_map(ask).collect();
        let mut summary = summed(&asked, &[], [0, 3_600]);
        let calls = (0..over_https).map(|n| ((n % 14) as u8, Address::v4(STRANGER), 30 + n));
        add_calls(&mut summary, calls, 443, &(AppProtocol::Tls, name));
        let (populations, places) = (residents(), Places::default());
        summary.rollup(SpanClass::Hour);
        let mut findings = Vec::new();
        detect(&Scene::new(&summary, &populations, &places, None), &mut findings);
        findings.iter().map(|one| one.severity).max()
    };
    assert!(told(None, 0) >= Some(Severity::Medium), "a stranger without a name: {:?}", told(None, 0));
    assert!(told(Some("dns.a.example"), 20) < Some(Severity::Medium), "one with a name");
    assert!(told(None, 400) < Some(Severity::Medium), "no resolver: mostly asked for something else");
}

#[test]
fn whoever_the_hour_shows_to_be_asked_over_https_is_no_resolver_in_a_window() {
    // Fourteen of forty who ask a stranger's pages all hour, and twelve of these a name of it in the window after that.
    let told = |over_https: u64| {
        let theirs = (0..40u8).flat_map(|home| [20, 900, 1_700].map(|second| (home, THEIRS, second)));
        let strange = (0..12u8).map(|home| (home, STRANGER, 1_810));
        let asked =
            theirs.chain(strange).map(|(home, to, second)| (home, to, second, "www.a.example", [198, 18, 5, 9]));
        let asked: Vec<Asked> = asked.collect();
        let mut hour = summed(&asked, &[], [0, 1_800]);
        let calls = (0..over_https).map(|n| ((n % 14) as u8, Address::v4(STRANGER), 900 + n));
        add_calls(&mut hour, calls, 443, &TLS);
        hour.rollup(SpanClass::Hour);
        let window = summed(&asked, &[], [1_800, 1_860]);
        let (populations, places) = (residents(), Places::default());
        let mut findings = Vec::new();
        detect(&Scene::new(&window, &populations, &places, None).following([&hour, &Summary::empty()]), &mut findings);
        findings.iter().any(|one| one.collector.addresses.contains(&Address::v4(STRANGER)))
    };
    assert!(told(0), "a resolver that came into use");
    assert!(!told(60), "a site that answers for names, too");
}

#[test]
fn who_asked_twice_here_and_twice_there_has_not_turned() {
    // Over a day twenty of forty ask the one so often, then the other, from the beginning on.
    let told = |each: u64| {
        let asked = (0..40u8).flat_map(|home| {
            let to = move |n: u64| if home < 20 && n >= each { STRANGER } else { THEIRS };
            (0..2 * each)
                .map(move |n| (home, to(n), 60 + 3_600 * n + u64::from(home), "www.a.example", [198, 18, 5, 9]))
        });
        // Somebody asks it from the beginning on.
        let first = [(39, STRANGER, 30, "www.a.example", [198, 18, 5, 9])];
        let mut summary = summed(&asked.chain(first).collect::<Vec<_>>(), &[], [0, 80_000]);
        summary.rollup(SpanClass::Day);
        let (populations, places) = (residents(), Places::default());
        let mut findings = Vec::new();
        detect(&Scene::new(&summary, &populations, &places, None), &mut findings);
        let of_it = findings.iter().filter(|one| one.collector.addresses.contains(&Address::v4(STRANGER)));
        of_it
            .flat_map(|one| &one.evidence)
            .any(|one| one.feature == "subscribers_turned" && one.value == EvidenceValue::Number(20.0))
    };
    assert!(told(3), "six times");
    assert!(!told(2), "four times");
}
