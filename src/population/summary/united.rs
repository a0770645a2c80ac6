//! United: what parties do over all populations together.
//! In: a summary of several populations. Out: the same as if they were one, of what crowds are told by: far parties, domains, pairs,
//! subscribers, names, tunnels. What is said of one population's own (its services, resolvers, questions) stays out.
//! Bounds: those of the summary that it is made of.

use std::collections::BTreeMap;

use super::{PopulationSummary, Summary};
use crate::population::populations::PopulationIndex;
use crate::population::sketch::Merge;

/// What stands for all of them.
const ALL: PopulationIndex = PopulationIndex(0);

impl Summary {
    /// All populations as one; none where fewer than two have subscribers that were active.
    pub fn united(&self) -> Option<Self> {
        let active = self.populations.values().filter(|population| population.active.count() > 0);
        if active.count() < 2 {
            return None;
        }
        let mut all = PopulationSummary::default();
        self.populations.values().for_each(|population| all.merge(population.clone()));
        let mut united = Self {
            basis: self.basis,
            class: self.class,
            span: self.span,
            windows: self.windows.clone(),
            seen: self.seen,
            roles: self.roles,
            populations: BTreeMap::from([(ALL, all)]),
            collectors: self.collectors.rekeyed(|key| super::CollectorKey { population: ALL, ..key }),
            domains: self.domains.rekeyed(|key| super::DomainKey { population: ALL, ..key }),
            pairs: self.pairs.rekeyed(|key| super::PairKey { population: ALL, ..key }),
            subscribers: self.subscribers.rekeyed(|key| super::SubscriberKey { population: ALL, ..key }),
            carriers: self.carriers.clone(),
            answers: self.answers.clone(),
            texts: self.texts.clone(),
            ..Self::default()
        };
        united.collectors.each(|collector| collector.bound());
        united.domains.each(|domain| domain.bound());
        Some(united)
    }
}
