//! Error pages: resolvers that answer where there is no name.
//! In: names that were answered. Out: a finding for each provider's page for mistyped names that somebody was led to.

use std::collections::BTreeSet;

use super::{answers_askers, blank, number};
use crate::detect::finding::{CollectorIdentity, Finding, PopulationShare, Severity};
use crate::detect::scene::Scene;
use crate::population::PopulationIndex;
use crate::population::identity::Party;
use crate::units::Address;

/// Where providers send those who mistype a name, instead of saying that there is none.
const ERROR_PAGES: [&str; 12] = [
    "searchguide.level3.com",
    "search.dnsassist.verizon.net",
    "dnserrorassist.att.net",
    "finder.cox.net",
    "searchassist.verizon.com",
    "dnssearch.rr.com",
    "search.centurylink.com",
    "www.dnsrsearch.com",
    "search5.comcast.com",
    "navigationshilfe1.t-online.de",
    "www.barefruit.co.uk",
    "domainnotfound.optimum.net",
];

/// Questions for a provider's page for mistyped names: its resolver answers where there is no name.
pub(super) fn rewritten(scene: &Scene<'_>, population: PopulationIndex, findings: &mut Vec<Finding>) {
    for (key, answered) in scene.summary.answered.sorted() {
        let Some(page) = scene.summary.texts.of(key.name).filter(|name| ERROR_PAGES.contains(name)) else { continue };
        if key.population != population {
            continue;
        }
        let parties: BTreeSet<Party> = answered.given.iter().map(|given| given.resolver).collect();
        let addresses: Vec<Address> = parties.iter().map(Party::shown).collect();
        let askers = answers_askers(scene, population, &addresses);
        findings.push(Finding {
            severity: Severity::Low,
            score: 0.45,
            p_value: 0.2,
            evidence: vec![number("answers_of_error_page", answered.responses as f64, "responses", 1.0)],
            headline: format!("Names that do not exist lead to {page}"),
            explanation: format!(
                "Somebody was led to {page}, the page of a provider whose resolver answers with an address of its own where \
                 a name does not exist. Mail, search suffixes and security checks that rely on that answer go astray, and \
                 the provider sees every mistyped name. Use a resolver that says so when a name does not exist."
            ),
            flows: answered.responses,
            ..blank(
                scene,
                population,
                CollectorIdentity {
                    collector_key: format!("error page:{page}"),
                    addresses,
                    names: vec![page.to_owned()],
                    ..Default::default()
                },
                PopulationShare { subscribers: askers, ..PopulationShare::default() },
                scene.summary.seen,
            )
        });
    }
}
