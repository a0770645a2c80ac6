//! United: what one party does to several populations, none of which shows it alone.
//! In: the summary of an hour or a day in which several populations were active, and what was found in each of them. Out: findings
//! on all of them together ([`EVERYBODY`]), of the techniques that a crowd is told by.
//! A window is not looked at in this way: what is loud shows in the hour so far. Bounds: a second copy of a summary's parties, made
//! for the look and dropped after it. What a population shows alone is said of that alone: here by three quarters, over time by
//! the ledger.

use std::collections::BTreeMap;

use super::finding::{Finding, Severity, Technique};
use super::{DETECTORS, Detector};
use crate::detect::scene::Scene;
use crate::population::collector::CollectorKey;
use crate::population::populations::EVERYBODY;
use crate::population::sketch::{Distinct, Merge};
use crate::population::{PopulationIndex, Summary};

/// Share of a finding's subscribers from which on it is a matter of the one population that they belong to.
const ONE_POPULATION_SHARE: f64 = 0.75;

/// Whether a technique is told by a crowd of subscribers and what each of them does with the party.
fn is_of_crowds(detector: &&Detector) -> bool {
    use Technique::{BeaconingImplant, PopulationFanIn, ShadowUpload, UnattributedCluster};
    matches!(detector.technique, PopulationFanIn | ShadowUpload | BeaconingImplant | UnattributedCluster)
}

/// What the scene of all populations as one shows beyond `found`, which was found in `apart`.
pub fn detect(scene: &Scene<'_>, apart: &Summary, found: &[Finding]) -> Vec<Finding> {
    let mut all = found.to_vec();
    DETECTORS.iter().filter(is_of_crowds).for_each(|detector| (detector.detect)(scene, &mut all));
    let of_all = all.split_off(found.len());
    let is_worth = |one: &Finding| one.severity >= Severity::Medium && is_of_several(one, apart);
    of_all.into_iter().filter(is_worth).collect()
}

/// Whether no population alone has nearly all of its subscribers.
fn is_of_several(finding: &Finding, apart: &Summary) -> bool {
    let mut by_population: BTreeMap<PopulationIndex, Distinct> = BTreeMap::new();
    for &population in apart.populations.keys() {
        for &address in &finding.collector.addresses {
            if let Some(one) = apart.collectors.of(&CollectorKey { population, address }) {
                by_population.entry(population).or_default().merge(one.subscribers.clone());
            }
        }
    }
    let counts = || by_population.values().map(Distinct::count);
    let (all, most) = (counts().sum::<u64>(), counts().max().unwrap_or_default());
    (most as f64) < ONE_POPULATION_SHARE * all as f64
}

/// Whether a finding on all populations is one on one of them as well, which is then the one to tell: `by` is of the same
/// party.
pub fn is_told_apart(finding: &Finding, by: &Finding) -> bool {
    let shares = || finding.collector.addresses.iter().any(|one| by.collector.addresses.binary_search(one).is_ok());
    finding.population.name == EVERYBODY
        && by.population.name != EVERYBODY
        && by.severity >= Severity::Medium
        && shares()
}
