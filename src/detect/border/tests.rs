//! Transfers against a rule, with a database of one country.

use super::*;
use crate::detect::finding::Severity;
use crate::flow::row::FlowRow;
use crate::population::limits::SummaryLimits;
use crate::population::places::Places;
use crate::population::populations::{PopulationSpec, Populations};
use crate::population::summary::tests::{populations, row, summary_of};

/// The same populations under a jurisdiction and a rule.
fn under(jurisdiction: Option<&str>, rules: Vec<TransferRule>) -> Populations {
    let specs = populations()
        .iter()
        .map(|(_, spec)| PopulationSpec { jurisdiction: jurisdiction.map(str::to_owned), ..spec.clone() })
        .collect();
    Populations::new(specs).expect("sound").with_transfers(rules)
}

fn rule(allow: &[&str], mebibytes: u64) -> TransferRule {
    let allow = allow.iter().map(|code| (*code).to_owned()).collect();
    TransferRule { from: "DE".to_owned(), allow, day_bytes_min: mebibytes << 20 }
}

/// Twenty subscribers send 40 MiB in all to two addresses; the database places all of 0.0.0.0/1 in the Netherlands.
fn rows(up: u64, down: u64) -> Vec<FlowRow> {
    (0..200u64)
        .map(|n| {
            let far = Address::v4([64, 0, 113, (n % 2) as u8]);
            row(Address::v4([10, 0, 0, (n % 20) as u8]), far, n, up / 200, down / 200)
        })
        .collect()
}

#[test]
fn what_the_policy_does_not_bear_is_found() {
    let places = Places::from_bytes(vec![crate::population::places::tests::database()]).expect("sound");
    let (big, small) = (rows(40 << 20, 1 << 20), rows(40 << 20, 4 << 30));
    let not_allowed = || vec![rule(&["FR"], 10)];
    type Case<'a> = (&'a str, Populations, &'a Places, &'a [FlowRow], Option<Severity>);
    let table: [Case<'_>; 7] = [
        ("past the rule", under(Some("DE"), not_allowed()), &places, &big, Some(Severity::High)),
        ("browsing", under(Some("DE"), not_allowed()), &places, &small, Some(Severity::Low)),
        ("allowed", under(Some("DE"), vec![rule(&["NL"], 10)]), &places, &big, None),
        ("below the rule", under(Some("DE"), vec![rule(&["FR"], 100)]), &places, &big, None),
        ("another law", under(Some("BE"), not_allowed()), &places, &big, None),
        ("no rule", under(Some("DE"), Vec::new()), &places, &big, None),
        ("no places", under(Some("DE"), not_allowed()), &Places::default(), &big, None),
    ];
    for (name, populations, places, rows, wanted) in table {
        let summary = summary_of(rows, &SummaryLimits::default());
        let mut findings = Vec::new();
        detect(&Scene::new(&summary, &populations, places, None), &mut findings);
        let worst = findings.iter().map(|finding| finding.severity).max();
        assert!(
            worst == wanted || wanted == Some(Severity::Low) && worst < Some(Severity::Medium),
            "{name}: {worst:?}"
        );
        for finding in findings {
            assert_eq!(finding.collector.country.as_deref(), Some("NL"), "{name}");
            assert_eq!((finding.collector.addresses.len(), finding.population.subscribers), (2, 20), "{name}");
            assert!(finding.explanation.contains("CDN or anycast"), "{name}: {}", finding.explanation);
        }
    }
}

/// Allows one address whatever it does.
#[derive(Debug)]
struct Allowing(Address);

impl crate::detect::register::Register for Allowing {
    fn allows(&self, _: Technique, party: &CollectorIdentity, _: &str, _: crate::units::TimestampNs) -> bool {
        party.addresses == [self.0]
    }

    fn is_empty(&self) -> bool {
        false
    }
}

#[test]
fn whom_the_register_allows_is_not_summed_up_with_a_neighbour() {
    let places = Places::from_bytes(vec![crate::population::places::tests::database()]).expect("sound");
    let [allowed, other] = [0, 1].map(|last| Address::v4([64, 0, 113, last]));
    let register = Allowing(allowed);
    let summary = summary_of(&rows(40 << 20, 1 << 20), &SummaryLimits::default());
    // Each was sent 20 MiB. Mebibytes a day that the rule bears, and who is told.
    for (mebibytes, wanted) in [(10, vec![other, allowed]), (30, vec![])] {
        let populations = under(Some("DE"), vec![rule(&["FR"], mebibytes)]);
        let mut findings = Vec::new();
        detect(&Scene::new(&summary, &populations, &places, None).under(&register), &mut findings);
        let told: Vec<Address> = findings.iter().flat_map(|one| one.collector.addresses.clone()).collect();
        assert_eq!((told, findings.len()), (wanted.clone(), wanted.len()), "{mebibytes} MiB a day");
    }
}
