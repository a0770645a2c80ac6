//! Interceptors, and what looks like them, as TLS rows.

use super::*;
use crate::flow::row::FlowColumns;
use crate::packet::facts::{AppFacts, AppProtocol, CertificateFacts, Ja4};
use crate::population::places::Places;
use crate::population::summary::tests::{TurnedOver, populations, row};
use crate::population::{AddContext, Span, SpanClass, Summary, SummaryLimits};
use crate::units::{Address, TimestampNs};

const START_S: u64 = 1_000_000_000;

/// A site from which on it is the pictures of the site 60 lower.
const PICTURES: u8 = 60;

/// Sites from which on one operator has them, each in a network of its own.
const HOSTED: std::ops::Range<u8> = 30..40;

fn name_of(site: u8) -> String {
    match site.checked_sub(PICTURES) {
        Some(site) => format!("img.site{site}.example"),
        None => format!("www.site{site}.example"),
    }
}

/// A subscriber reaches a site (network 100 + n, name `www.siteN.example`) that shows an issuer and a key.
type Reached = (u8, u8, u64, u64);
/// An issuer that answers for all its sites at one address.
const AT_ONE_DOOR: u64 = 77;
/// Another that does so at the same.
const AT_THE_SAME: u64 = 78;
/// The issuer of a second host, which serves each site in a network of its own.
const AT_SECOND_HOST: u64 = 79;
/// Issuers from here on are public authorities; one that bears the name of a site's owner.
const PUBLIC: u64 = 1_000;
const OF_SITE_3: u64 = 80;
/// In place of an issuer: TLS 1.3, which shows none.
const SEALED: u64 = 0;
/// A hello that offers TLS 1.3, and one that does not.
const OFFERS_13: &str = "t13d1516h2_8daaf6152771_02713d6af862";
const OFFERS_12: &str = "t12d1516h2_8daaf6152771_02713d6af862";

fn found(reached: &[Reached], subject_of: fn(u8) -> String, ja4: &str) -> Vec<Finding> {
    let (populations, places) = (populations(), Places::default());
    let mut findings = Vec::new();
    let summary = summed(reached, subject_of, ja4);
    detect(&Scene::new(&summary, &populations, &places, None), &mut findings);
    findings
}

fn summed(reached: &[Reached], subject_of: fn(u8) -> String, ja4: &str) -> Summary {
    let (populations, limits) = (populations(), SummaryLimits::default());
    let mut cx = AddContext { populations: &populations, identity: &mut TurnedOver(1), limits: &limits };
    let at = |second: u64| TimestampNs((START_S + second) * 1_000_000_000);
    let mut summary = Summary::new(Span::new(at(0), at(300)));
    let mut rows = FlowColumns::default();
    for (n, &(client, site, issuer, key)) in reached.iter().enumerate() {
        let server = Address::v4(match site {
            _ if matches!(issuer, AT_ONE_DOOR | AT_THE_SAME) => [198, 60, 7, 9],
            _ if issuer == AT_SECOND_HOST => [199, 100 + site, 7, 9],
            _ if HOSTED.contains(&site) => [198, 90, site, 9],
            _ => [198, 100 + site, 7, 9],
        });
        let mut one = row(Address::v4([10, 0, 0, client]), server, n as u64 % 250, 900, 4_000);
        let certificate = CertificateFacts {
            // 21 to 23 are one organisation's.
            issuer: match issuer {
                PUBLIC.. => format!("CN=E{issuer},O=Let's Encrypt,C=US").into(),
                OF_SITE_3 => "CN=Site3 Internal CA,O=Site3 Holding,C=NL".into(),
                _ => format!("CN=Issuer {issuer},O=Maker {},C=NL", if issuer / 10 == 2 { 2 } else { issuer }).into(),
            },
            subject: subject_of(site).into(),
            names: vec![name_of(site).into()],
            key_hash: key,
            issuer_hash: issuer,
            valid_from_s: START_S - 30 * 86_400,
        };
        one.facts = Some(std::sync::Arc::new(AppFacts {
            protocol: Some(AppProtocol::Tls),
            server_name: Some(name_of(site).into()),
            ja4: Ja4::of(ja4),
            tls_version: Some(if issuer == SEALED { 0x0304 } else { 0x0303 }),
            server_fingerprint: Some(u64::from(issuer != SEALED)),
            certificate: (issuer != SEALED).then(|| Box::new(certificate)),
            ..AppFacts::default()
        }));
        rows.push(one);
    }
    summary.add_rows(&rows, &[], &mut cx);
    summary
}

#[test]
fn interceptors_and_what_looks_like_them() {
    let own = |site: u8| format!("CN=www.site{site}.example");
    // Twenty sites under three issuers, a key each, reached by thirty subscribers; what is special comes on top.
    let honest = || (0..30u8).flat_map(|c| (0..20u8).map(move |s| (c, s, u64::from(s % 3) + 1, 1_000 + u64::from(s))));
    let opened = |keys: fn(u8) -> u64| -> Vec<Reached> {
        honest().chain((40..46u8).flat_map(|c| (0..20u8).map(move |s| (c, s, 99, keys(s))))).collect()
    };
    let shared = |site: u8| format!("CN=*.cdn{}.example", site / 20);
    type Case = (&'static str, Vec<Reached>, fn(u8) -> String, Option<Severity>);
    let pictures = (0..30u8).flat_map(|c| (0..20u8).map(move |s| (c, PICTURES + s, u64::from((s + 1) % 3) + 1, 2_000)));
    let keyed = |(c, s, issuer, key): Reached| (c, s, issuer, key + u64::from(s));
    // A third each sees a site under one of three names.
    let twofold =
        (0..30u8).flat_map(|c| (0..20u8).map(move |s| (c, s, 21 + u64::from(c % 3), 3_000 + 100 * u64::from(c % 3))));
    let table: [Case; 7] = [
        ("honest issuers", honest().collect(), own, None),
        ("sites whose pictures another party serves", honest().chain(pictures.map(keyed)).collect(), own, None),
        ("an organisation that issues under three names", twofold.map(keyed).collect(), own, None),
        ("one issuer, one key", opened(|_| 7), own, Some(Severity::High)),
        ("one issuer, a key each", opened(|s| 7_000 + u64::from(s)), own, Some(Severity::High)),
        ("one certificate for many names", (0..30).map(|n| (n, n % 20, 1, 5)).collect(), shared, None),
        (
            "one issuer for all there is",
            (0..60).map(|n| (n % 30, n % 20, 1, 50 + u64::from(n % 20))).collect(),
            own,
            None,
        ),
    ];
    for (name, reached, subject_of, wanted) in table {
        // What an issuer shows is contested whatever the clients offer: old programs are intercepted as well.
        for offer in [OFFERS_13, OFFERS_12] {
            let findings = found(&reached, subject_of, offer);
            let worst = findings.iter().map(|finding| finding.severity).max();
            assert_eq!(worst, wanted, "{name}, {offer}: {findings:#?}");
        }
    }
}

#[test]
fn a_window_knows_what_the_hour_before_it_showed() {
    let own = |site: u8| format!("CN=www.site{site}.example");
    let honest = (0..30u8).flat_map(|c| (0..20u8).map(move |s| (c, s, u64::from(s % 3) + 1, 1_000 + u64::from(s))));
    let opened = |sites: std::ops::Range<u8>, key: fn(u8) -> u64| sites.map(move |s| (40, s, 99, key(s)));
    let (populations, places) = (populations(), Places::default());
    for (name, key) in [("one key", (|_| 7) as fn(u8) -> u64), ("a key each", |s| 7_000 + u64::from(s))] {
        let mut hour = summed(&honest.clone().chain(opened(0..4, key)).collect::<Vec<_>>(), own, OFFERS_13);
        hour.rollup(SpanClass::Hour);
        let window = summed(&opened(4..6, key).collect::<Vec<_>>(), own, OFFERS_13);
        let told = |scene: Scene<'_>| {
            let mut findings = Vec::new();
            detect(&scene, &mut findings);
            findings.iter().map(|finding| finding.severity).max()
        };
        let none = Summary::empty();
        assert_eq!(told(Scene::new(&window, &populations, &places, None)), None, "{name}: alone");
        let after = Scene::new(&window, &populations, &places, None).following([&hour, &none]);
        assert_eq!(told(after), Some(Severity::High), "{name}: after the hour so far");
        // Nothing is new of whom the window did not show.
        let other = summed(&[(3, 7, 2, 1_007)], own, OFFERS_13);
        let after = Scene::new(&other, &populations, &places, None).following([&hour, &none]);
        assert_eq!(told(after), None, "{name}: somebody else");
    }
}

#[test]
fn who_contradicts_several_owners_is_told_within_one_operators_networks() {
    let own = |site: u8| format!("CN=www.site{site}.example");
    let honest = || HOSTED.flat_map(|s| (0..30u8).map(move |c| (c, s, u64::from(s % 3) + 1, 1_000 + u64::from(s))));
    let opened = |sites: std::ops::Range<u8>| sites.map(|s| (40, s, 99, 7_000 + u64::from(s)));
    let worst = |reached: Vec<Reached>| found(&reached, own, OFFERS_12).iter().map(|finding| finding.severity).max();
    assert_eq!(worst(honest().collect()), None, "three issuers at one operator's");
    assert!(worst(honest().chain(opened(30..34)).collect()) >= Some(Severity::Medium), "four sites contradicted");
    assert_eq!(worst(honest().chain(opened(30..32)).collect()), None, "two sites may be one owner's");
}

#[test]
fn a_lowered_version_contests() {
    let own = |site: u8| format!("CN=www.site{site}.example");
    // Twenty sites of which three out of four speak TLS 1.3, reached by thirty subscribers; what is special comes on top.
    let issuer_of = |site: u8| if site.is_multiple_of(4) { 1 } else { SEALED };
    let honest = || (0..30u8).flat_map(|c| (0..20u8).map(move |s| (c, s, issuer_of(s), 1_000 + u64::from(s))));
    let opened = |sites: std::ops::Range<u8>, clients: std::ops::Range<u8>, issuer: u64| -> Vec<Reached> {
        let shown = clients.flat_map(|c| sites.clone().map(move |s| (c, s, issuer, 7_000 + u64::from(s))));
        honest().chain(shown).collect()
    };
    let at = |sites: &[u8], issuer: u64| -> Vec<Reached> {
        let shown = sites.iter().map(|site| (40, *site, issuer, 7_000 + u64::from(*site)));
        honest().chain(shown).collect()
    };
    let table: [(&str, Vec<Reached>, &str, Option<Severity>); 13] = [
        (
            "one under its own issuer else, two sealed, one alone",
            at(&[0, 1, 2, 21], 99),
            OFFERS_13,
            Some(Severity::High),
        ),
        ("the same among many", at(&[0, 1, 2, 21, 22, 23, 24, 25], 99), OFFERS_13, None),
        ("two under their own issuer else, two sealed", at(&[0, 4, 1, 2], 99), OFFERS_13, Some(Severity::High)),
        ("one of each kind", at(&[0, 1, 21, 22], 99), OFFERS_13, None),
        ("two of each kind among many", at(&[0, 4, 1, 2, 21, 22, 23, 24, 25, 26, 27, 28, 29], 99), OFFERS_13, None),
        ("honest servers, new and old", honest().collect(), OFFERS_13, None),
        ("six see one issuer everywhere", opened(0..20, 40..46, 99), OFFERS_13, Some(Severity::High)),
        ("six see it for three that are sealed else", opened(1..4, 40..46, 99), OFFERS_13, None),
        ("six see it for six", opened(1..9, 40..46, 99), OFFERS_13, Some(Severity::High)),
        ("one sees it for a few", opened(1..8, 40..41, 99), OFFERS_13, Some(Severity::High)),
        ("old programs see the servers' issuer", opened(0..20, 40..46, 1), OFFERS_12, None),
        ("two old machines in two fleets", opened(1..3, 40..46, 1), OFFERS_13, None),
        ("one sees it for one owner's", opened(1..3, 40..46, 99), OFFERS_13, None),
    ];
    for (name, reached, ja4, wanted) in table {
        let findings = found(&reached, own, ja4);
        let worst = findings.iter().map(|finding| finding.severity).max();
        assert_eq!(worst, wanted, "{name}: {findings:#?}");
    }
}

#[test]
fn a_known_hello_is_a_hint() {
    let findings = found(&[(1, 1, 1, 1)], |site| format!("CN={site}"), KNOWN_HELLOS[0].0);
    assert_eq!(findings.iter().map(|finding| finding.severity).collect::<Vec<_>>(), [Severity::Low]);
    assert_eq!(findings[0].population.subscribers, 1);
}

#[test]
fn honest_issuers_beside_an_interceptor_are_not_told() {
    let own = |site: u8| format!("CN=www.site{site}.example");
    // Twenty sites under four issuers, reached by thirty subscribers; six more are shown what 99 makes.
    let honest = || (0..30u8).flat_map(|c| (0..20u8).map(move |s| (c, s, u64::from(1 + s % 4), 1_000 + u64::from(s))));
    let opened = (40..46u8).flat_map(|c| (0..20u8).map(move |s| (c, s, 99, 7_000 + u64::from(s))));
    let all: Vec<Reached> = honest().chain(opened.clone()).collect();
    let findings = found(&all, own, OFFERS_12);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert!(findings[0].explanation.contains("CN=Issuer 99"), "{findings:#?}");
    // A second one, an employer's for half of the sites and other people, changes nothing for the first, and is told as well.
    let employers = (50..54u8).flat_map(|c| (0..12u8).map(move |s| (c, s, 98, 8_000 + u64::from(s))));
    let findings = found(&all.iter().copied().chain(employers).collect::<Vec<_>>(), own, OFFERS_12);
    let said = |maker: &str| findings.iter().any(|finding| finding.explanation.contains(maker));
    assert!(findings.len() == 2 && said("CN=Issuer 99") && said("CN=Issuer 98"), "{findings:#?}");
    // A name that is said to everybody is no site's: here the first is, under each of the four issuers.
    let mail = (0..4u8).map(|n| (30, 0, u64::from(1 + n), 9_000 + u64::from(n)));
    let findings = found(&honest().chain(mail).collect::<Vec<_>>(), own, OFFERS_12);
    assert!(findings.is_empty(), "{findings:#?}");
}

#[test]
fn names_may_be_led_to_an_interceptors_door() {
    let own = |site: u8| format!("CN=www.site{site}.example");
    // Twenty sites under four issuers, or sealed, reached by thirty subscribers; six more are led elsewhere for some of them.
    let led = |sites: u8, issuer_of: fn(u8) -> u64| -> Vec<Reached> {
        let honest = (0..30u8).flat_map(|c| (0..20u8).map(move |s| (c, s, issuer_of(s), 1_000 + u64::from(s))));
        let led = (40..46u8).flat_map(|c| (0..sites).map(move |s| (c, s, AT_ONE_DOOR, 7_000 + u64::from(s))));
        honest.chain(led).collect()
    };
    let table: [(&str, Vec<Reached>, bool); 5] = [
        ("many names that are sealed at home", led(12, |_| SEALED), true),
        ("many names of four owners", led(12, |site| 1 + u64::from(site % 4)), true),
        (
            "many names, most of them sealed",
            led(12, |site| if site % 4 < 2 { SEALED } else { u64::from(site % 4) }),
            true,
        ),
        ("a few", led(4, |site| 1 + u64::from(site % 4)), false),
        ("a host's that renews them elsewhere", led(12, |_| 1), false),
    ];
    for (name, reached, wanted) in table {
        let findings = found(&reached, own, OFFERS_13);
        let is_told = findings.iter().any(|one| one.severity >= Severity::Medium);
        assert_eq!(is_told, wanted, "{name}: {findings:#?}");
        let at_door = findings.iter().filter(|one| one.severity >= Severity::Medium);
        assert!(
            at_door.flat_map(|one| &one.collector.addresses).all(|one| *one == Address::v4([198, 60, 7, 9])),
            "{name}"
        );
    }
    // Certificates of two owners for the same names are got, not made.
    let honest = (0..30u8).flat_map(|c| (0..20u8).map(move |s| (c, s, 1 + u64::from(s % 4), 1_000 + u64::from(s))));
    let issuer = |c: u8| if c < 43 { AT_ONE_DOOR } else { AT_THE_SAME };
    let led = (40..46u8).flat_map(|c| (0..12u8).map(move |s| (c, s, issuer(c), 7_000 + u64::from(s))));
    let findings = found(&honest.chain(led).collect::<Vec<_>>(), own, OFFERS_13);
    assert!(findings.iter().all(|one| one.severity < Severity::Medium), "{findings:#?}");
}

#[test]
fn a_mint_at_one_door_is_told_from_a_host_with_one_key() {
    let known = |domains: std::ops::Range<u64>| {
        let mut server = ServerSummary { rows: 40, ..ServerSummary::default() };
        domains.for_each(|domain| server.domains.add(domain.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        server
    };
    let sealed = known(20..60);
    // Domains of the key, its subjects, share of young certificates.
    let table = [
        ("made as they are needed, for domains reached elsewhere", 0..30, 30.0, 0.6, true),
        ("made long ago", 0..30, 30.0, 0.0, false),
        ("domains that nobody reaches elsewhere", 100..130, 30.0, 0.6, false),
        ("a few customers", 20..24, 4.0, 0.6, false),
    ];
    for (name, domains, subjects, young, wanted) in table {
        assert_eq!(is_mint_at_a_door(&known(domains), subjects, young, Some(&sealed)), wanted, "{name}");
    }
}

#[test]
fn two_other_issuers_may_be_two_hosts_of_the_same_sites() {
    let table = [(2, 0.6, true), (2, 0.8, false), (3, 0.4, false)];
    for (rivals, contested_share, wanted) in table {
        assert_eq!(is_of_two_hosts(rivals, contested_share), wanted, "{rivals} issuers, {contested_share}");
    }
}

#[test]
fn a_host_has_one_key_in_its_two_or_three_networks() {
    // Sites of so many owners, each in a network of its own, under one key in certificates of 30 days.
    for (sites, wanted) in [(3, Some(Severity::Low)), (6, Some(Severity::High))] {
        let shown = (0..48).map(|n| (n as u8, (n % sites) as u8, 500 + n as u64 % sites as u64, 9));
        // Their programs call others, too.
        let reached: Vec<Reached> = shown.chain((0..48).map(|n| (n as u8, 40 + (n % 20) as u8, SEALED, 0))).collect();
        let told = found(&reached, |site| format!("CN=site{site}"), OFFERS_12);
        assert_eq!(told.iter().map(|one| one.severity).max(), wanted, "{sites} networks");
    }
}

#[test]
fn a_fleet_with_one_key_is_called_by_its_own_program() {
    let keyed = |sites: std::ops::Range<u8>| -> Vec<Reached> {
        (0..48u8).map(|n| (n, sites.start + n % sites.len() as u8, 500 + u64::from(n), 9)).collect()
    };
    let others: Vec<Reached> = (0..48u8).map(|n| (n, 40 + n % 20, SEALED, 0)).collect();
    let subject = |site: u8| format!("CN=site{site}");
    // Who calls the sites of the key, and who the others.
    for (name, theirs, of_others, with_others, wanted) in [
        ("the program that calls others, too", OFFERS_12, OFFERS_12, true, Some(Severity::High)),
        ("a program of its own", OFFERS_13, OFFERS_12, true, None),
        (
            "the one program that there is, all of whose calls it answers",
            OFFERS_12,
            OFFERS_12,
            false,
            Some(Severity::Low),
        ),
    ] {
        let mut summary = summed(&keyed(0..8), subject, theirs);
        if with_others {
            summary.merge(summed(&others, subject, of_others)).expect("alike");
        }
        let (populations, places, mut findings) = (populations(), Places::default(), Vec::new());
        detect(&Scene::new(&summary, &populations, &places, None), &mut findings);
        assert_eq!(findings.iter().map(|one| one.severity).max(), wanted, "{name}: {findings:#?}");
    }
}

#[test]
fn who_is_in_the_path_answers_where_the_others_answer() {
    let own = |site: u8| format!("CN=www.site{site}.example");
    // Twenty sites under four issuers; six subscribers see six of them under another issuer, at the same addresses or at others.
    let honest = (0..30u8).flat_map(|c| (0..20u8).map(move |s| (c, s, 1 + u64::from(s % 4), 1_000 + u64::from(s))));
    let honest: Vec<Reached> = honest.collect();
    let second = |issuer: u64| -> Vec<Reached> {
        let other = (40..46u8).flat_map(|c| (0..6u8).map(move |s| (c, s, issuer, 7_000 + u64::from(s))));
        honest.iter().copied().chain(other).collect()
    };
    let worst = |reached: &[Reached]| found(reached, own, OFFERS_12).iter().map(|one| one.severity).max();
    assert!(worst(&second(99)) >= Some(Severity::Medium));
    assert!(worst(&second(AT_SECOND_HOST)) < Some(Severity::Medium), "{:?}", worst(&second(AT_SECOND_HOST)));
}

#[test]
fn an_issuer_that_nobody_knows_between_public_ones_is_a_stranger() {
    use Severity::{High, Low};
    let own = |site: u8| format!("CN=www.site{site}.example");
    let honest = |first: u64| {
        let of = move |site: u8| first + u64::from(site % 4);
        (0..30u8).flat_map(move |c| (0..20u8).map(move |s| (c, s, of(s), 4_000 + u64::from(s))))
    };
    // Sites that nobody else was seen at, so that no rival shows.
    let shown = |sites: std::ops::Range<u8>, issuer: u64| {
        (40..46u8).flat_map(move |c| sites.clone().map(move |s| (c, s, issuer, 7_000 + u64::from(s))))
    };
    let issuer_of = |site: u8| if site.is_multiple_of(4) { PUBLIC } else { SEALED };
    let sealed = || (0..30u8).flat_map(move |c| (0..20u8).map(move |s| (c, s, issuer_of(s), 4_000 + u64::from(s))));
    let of_sealed = || (0..30u8).flat_map(move |c| (0..20u8).map(move |s| (c, s, SEALED, 4_000 + u64::from(s))));
    let table: [(&str, Vec<Reached>, Option<Severity>); 10] = [
        ("twenty of a stranger's", honest(PUBLIC).chain(shown(20..40, 99)).collect(), Some(High)),
        ("seven of a company's", honest(PUBLIC).chain(shown(20..27, 99)).collect(), None),
        ("where hardly anybody is public", honest(1).chain(shown(20..40, 99)).collect(), None),
        (
            "where a third is not public",
            honest(PUBLIC).chain(shown(20..30, 98)).chain(shown(30..50, 99)).collect(),
            None,
        ),
        (
            "twelve of a stranger's in three networks",
            honest(PUBLIC).chain(shown(30..40, 99)).chain(shown(41..43, 99)).collect(),
            None,
        ),
        ("another public one's", honest(PUBLIC).chain(shown(20..40, PUBLIC + 9)).collect(), None),
        ("an owner's of one of them", honest(PUBLIC).chain(shown(1..9, OF_SITE_3)).collect(), None),
        ("one that lowers eight sealed sites", sealed().chain(shown(1..9, 99)).collect(), Some(High)),
        ("a public one that does", sealed().chain(shown(1..9, PUBLIC + 9)).collect(), Some(Low)),
        ("a public one that lowers all", of_sealed().chain(shown(0..20, PUBLIC + 9)).collect(), Some(High)),
    ];
    for (name, reached, wanted) in table {
        let findings = found(&reached, own, OFFERS_13);
        let worst = findings.iter().map(|finding| finding.severity).max();
        assert_eq!(worst, wanted, "{name}: {findings:#?}");
    }
}
