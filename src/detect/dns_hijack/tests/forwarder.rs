//! Resolvers inside that were pointed at somebody else.

use super::*;

const INSIDE: [u8; 4] = [10, 0, 0, 9];
const UPSTREAM: [u8; 4] = [198, 51, 100, 53];
/// In the same /16 as that.
const BESIDE: [u8; 4] = [198, 51, 7, 53];
const PUBLIC: [u8; 4] = [9, 9, 9, 9];

/// Homes that ask the resolver inside for an hour, and what it asks of whom from which second to which.
fn asked(homes: u8, forwarded: &[([u8; 4], [u64; 2])]) -> Vec<Asked> {
    let homes = (0..homes).flat_map(|home| (0..12u64).map(move |n| (20 + home, INSIDE, 300 * n + u64::from(home))));
    let handed_on =
        forwarded.iter().flat_map(|(to, [from, until])| (*from..*until).step_by(60).map(|second| (9, *to, second)));
    homes.chain(handed_on).map(|(who, whom, second)| (who, whom, second, "www.page.example", SECOND)).collect()
}

#[test]
fn a_resolver_inside_that_is_turned_to_a_stranger_is_told() {
    let many: Vec<([u8; 4], [u64; 2])> = (0..20).map(|n| ([198, 51, 100 + n, 53], [u64::from(n), 3_600])).collect();
    type Case<'a> = (&'a str, u8, &'a [([u8; 4], [u64; 2])], bool);
    let table: [Case<'_>; 9] = [
        ("from one moment on", 12, &[(UPSTREAM, [0, 1_200]), (STRANGER, [1_200, 3_600])], true),
        ("whom hardly anybody asks", 3, &[(UPSTREAM, [0, 1_200]), (STRANGER, [1_200, 3_600])], false),
        ("always the stranger", 12, &[(STRANGER, [0, 3_600])], false),
        ("both, in turn", 12, &[(UPSTREAM, [0, 3_600]), (STRANGER, [1_200, 3_600])], false),
        ("another of the same operator", 12, &[(UPSTREAM, [0, 1_200]), (BESIDE, [1_200, 3_600])], false),
        ("one that people choose", 12, &[(UPSTREAM, [0, 1_200]), (PUBLIC, [1_200, 3_600])], false),
        ("one that the policy names", 12, &[(UPSTREAM, [0, 1_200]), (THEIRS, [1_200, 3_600])], false),
        ("for a moment before", 12, &[(UPSTREAM, [0, 200]), (STRANGER, [200, 3_600])], false),
        ("one that asks the owners of names", 12, &many, false),
    ];
    for (name, homes, forwarded, wanted) in table {
        let findings = found(&asked(homes, forwarded));
        let told =
            |one: &&Finding| one.collector.addresses == [Address::v4(STRANGER)] && one.severity >= Severity::Medium;
        assert_eq!(findings.iter().any(|one| told(&one)), wanted, "{name}: {findings:#?}");
        let loud = findings.iter().filter(|one| one.severity >= Severity::Medium).count();
        assert_eq!(loud, usize::from(wanted), "{name}: {findings:#?}");
    }
}

#[test]
fn one_that_the_policy_lists_is_known_by_how_much_it_asks() {
    let spec = PopulationSpec { resolvers: vec![std::net::IpAddr::from(INSIDE)], ..spec_of_residents() };
    let populations = Populations::new(vec![spec]).expect("sound");
    let turned = [(UPSTREAM, [0, 1_200]), (STRANGER, [1_200, 3_600])];
    for (name, homes, wanted) in [("a house's", 12, true), ("a device of a large house", 80, false)] {
        let mut summary = summed_of(&populations, &asked(homes, &turned), &[], [0, 3_600]);
        summary.rollup(SpanClass::Hour);
        let (places, mut findings) = (Places::default(), Vec::new());
        detect(&Scene::new(&summary, &populations, &places, None), &mut findings);
        let told =
            |one: &Finding| one.collector.addresses == [Address::v4(STRANGER)] && one.severity >= Severity::Medium;
        assert_eq!(findings.iter().any(told), wanted, "{name}: {findings:#?}");
    }
}
