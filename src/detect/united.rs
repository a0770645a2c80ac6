//! United: what one party does to several populations, none of which shows it alone.
//! In: the summary of an hour or a day in which several populations were active, and what was found in each of them. Out: findings
//! on all of them together ([`EVERYBODY`]), of the techniques that a crowd is told by.
//! A window is not looked at in this way: what is loud shows in the hour so far. Bounds: a second copy of a summary's parties, made
//! for the look and dropped after it. What a population shows alone is said of that alone: here by three quarters, over time by
//! the ledger. Where the register allows the party some populations, what is left must be enough by the same share.

use std::collections::BTreeMap;

use super::DETECTORS;
use super::finding::{Finding, Severity, Technique};
use crate::detect::scene::Scene;
use crate::population::PopulationIndex;
use crate::population::populations::EVERYBODY;
use crate::population::sketch::{Distinct, Merge};

/// Share of a finding's subscribers that is nearly all of them.
const MOST: f64 = 0.75;

/// What is told by a crowd of subscribers and what each of them does with the party.
const OF_CROWDS: [Technique; 4] =
    [Technique::PopulationFanIn, Technique::ShadowUpload, Technique::BeaconingImplant, Technique::UnattributedCluster];

/// What the scene of all populations as one shows beyond `found`, which was found in the scene of each of them `apart`.
pub fn detect(scene: &Scene<'_>, apart: &Scene<'_>, found: &[Finding]) -> Vec<Finding> {
    let mut all = found.to_vec();
    let of_crowds = DETECTORS.iter().filter(|detector| OF_CROWDS.contains(&detector.technique));
    of_crowds.for_each(|detector| (detector.detect)(scene, &mut all));
    let of_all = all.split_off(found.len());
    let is_worth = |one: &Finding| one.severity >= Severity::Medium && is_of_several(one, apart);
    of_all.into_iter().filter(is_worth).collect()
}

/// Whether nearly all of its subscribers belong to populations of which the party may not do this, and not nearly all to one.
fn is_of_several(finding: &Finding, apart: &Scene<'_>) -> bool {
    let mut by_population: BTreeMap<PopulationIndex, [Distinct; 2]> = BTreeMap::new();
    for &population in apart.summary.populations.keys() {
        for &address in &finding.collector.addresses {
            if let Some(one) = apart.collector(population, address) {
                let may = apart.is_registered(finding.technique, population, address);
                by_population.entry(population).or_default()[usize::from(may)].merge(one.subscribers.clone());
            }
        }
    }
    let counts = |may: usize| by_population.values().map(move |subscribers| subscribers[may].count());
    let [mine, others] = [0, 1].map(|may| counts(may).sum::<u64>() as f64);
    let most = counts(0).max().unwrap_or_default() as f64;
    mine >= MOST * (mine + others) && most < MOST * mine
}

/// Whether a finding on all populations is one on one of them as well, which is then the one to tell: `by` says of the same party
/// what crowds are told by.
pub fn is_told_apart(finding: &Finding, by: &Finding) -> bool {
    let shares = || finding.collector.addresses.iter().any(|one| by.collector.addresses.binary_search(one).is_ok());
    finding.population.name == EVERYBODY
        && by.population.name != EVERYBODY
        && by.severity >= Severity::Medium
        && OF_CROWDS.contains(&by.technique)
        && shares()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::finding::{CollectorIdentity, PopulationShare};
    use crate::units::Address;

    #[test]
    fn what_one_population_shows_is_said_of_that_one() {
        let finding = |technique: Technique, population: &str, last: u8, severity: Severity| {
            let addresses = vec![Address::v4([203, 0, 113, last])];
            let collector = CollectorIdentity { addresses, ..CollectorIdentity::default() };
            let whose = PopulationShare { name: population.to_owned(), ..PopulationShare::default() };
            Finding { severity, ..Finding::blank(technique, collector, whose, Default::default()) }
        };
        let of_all = finding(Technique::BeaconingImplant, EVERYBODY, 7, Severity::High);
        let table = [
            ("the same of one", finding(Technique::BeaconingImplant, "staff", 7, Severity::Medium), true),
            ("another crowd's of one", finding(Technique::PopulationFanIn, "staff", 7, Severity::High), true),
            ("hardly of one", finding(Technique::BeaconingImplant, "staff", 7, Severity::Low), false),
            ("of another party", finding(Technique::BeaconingImplant, "staff", 8, Severity::High), false),
            ("of who stands in its way", finding(Technique::TlsInterception, "staff", 7, Severity::High), false),
            ("itself", of_all.clone(), false),
        ];
        for (name, by, wanted) in table {
            assert_eq!(is_told_apart(&of_all, &by), wanted, "{name}");
        }
        let of_one = finding(Technique::BeaconingImplant, "staff", 7, Severity::High);
        assert!(!is_told_apart(&of_one, &of_one));
    }
}
