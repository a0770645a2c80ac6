//! A round: every detector over one scene.
//! In: a scene, and how many threads may be used. Out: findings in the register's order, whoever was done first.
//! Bounds: one list of findings a detector. A detector sees nothing of what another one finds beside it, but the last, which
//! looks at what all others found.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::detect::finding::Finding;
use crate::detect::scene::Scene;
use crate::detect::{DETECTORS, Detector};

/// Pairs from which on a summary is worth threads: of fewer a round takes less than starting them does.
const PAIRS_MIN: usize = 2_000;

/// What all detectors find.
pub(super) fn over(scene: &Scene<'_>, threads: NonZeroUsize) -> Vec<Finding> {
    let Some((last, others)) = DETECTORS.split_last() else { return Vec::new() };
    let mut found = Vec::new();
    if threads.get() == 1 || scene.pairs().len() < PAIRS_MIN {
        others.iter().for_each(|detector| (detector.detect)(scene, &mut found));
    } else {
        side_by_side(others, scene, threads.get().min(others.len()), &mut found);
    }
    (last.detect)(scene, &mut found);
    found
}

/// The detectors on several threads, of which the caller's is one. Each takes the next that nobody has taken.
fn side_by_side(detectors: &[Detector], scene: &Scene<'_>, threads: usize, found: &mut Vec<Finding>) {
    let next = AtomicUsize::new(0);
    let lists = Mutex::new(Vec::with_capacity(detectors.len()));
    let work = || {
        while let Some((at, detector)) = {
            let at = next.fetch_add(1, Ordering::Relaxed);
            detectors.get(at).map(|detector| (at, detector))
        } {
            let mut own = Vec::new();
            (detector.detect)(scene, &mut own);
            lists.lock().unwrap_or_else(PoisonError::into_inner).push((at, own));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            // Where no thread is to be had, those that there are do all of it.
            let started = std::thread::Builder::new().name("detect".to_owned()).spawn_scoped(scope, work);
            if started.is_err() {
                break;
            }
        }
        work();
    });
    let mut lists = lists.into_inner().unwrap_or_else(PoisonError::into_inner);
    lists.sort_unstable_by_key(|(at, _)| *at);
    found.extend(lists.into_iter().flat_map(|(_, own)| own));
}
