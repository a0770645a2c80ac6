//! A round: every detector over one scene.
//! In: a scene, and how many threads may be used. Out: findings in the register's order, whoever was done first.
//! Bounds: one list of findings a detector. A detector sees nothing of what another one finds beside it, but the last, which
//! looks at what all others found.

use std::cell::OnceCell;
use std::num::NonZeroUsize;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::detect::finding::Finding;
use crate::detect::scene::Scene;
use crate::detect::{DETECTORS, Detector};

/// Pairs from which on a summary is worth threads: of fewer a round takes less than waking them does.
pub(super) const PAIRS_MIN: usize = 2_000;

/// The threads of an analyst's rounds. They are kept from one to the next: a thread that ends gives its memory back to the system.
#[derive(Debug)]
pub(super) struct Rounds {
    threads: NonZeroUsize,
    /// None inside where the system grants no threads.
    pool: OnceCell<Option<ThreadPool>>,
}

impl Rounds {
    /// On so many threads, which begin when the first large summary is looked at.
    pub(super) fn on(threads: NonZeroUsize) -> Self {
        Self { threads, pool: OnceCell::new() }
    }

    /// What all detectors find.
    pub(super) fn over(&self, scene: &Scene<'_>) -> Vec<Finding> {
        let Some((last, others)) = DETECTORS.split_last() else { return Vec::new() };
        let look = |detector: &Detector| {
            let mut found = Vec::new();
            (detector.detect)(scene, &mut found);
            found
        };
        let lists: Vec<Vec<Finding>> = match self.pool_for(scene) {
            // One by one: a few take most of the time.
            Some(pool) => pool.install(|| others.par_iter().with_max_len(1).map(look).collect()),
            None => others.iter().map(look).collect(),
        };
        let mut found = lists.concat();
        (last.detect)(scene, &mut found);
        found
    }

    fn pool_for(&self, scene: &Scene<'_>) -> Option<&ThreadPool> {
        if self.threads.get() == 1 || scene.pairs().len() < PAIRS_MIN {
            return None;
        }
        let named = |n| format!("detect-{n}");
        let begin = || ThreadPoolBuilder::new().num_threads(self.threads.get()).thread_name(named).build().ok();
        self.pool.get_or_init(begin).as_ref()
    }
}
