//! Modest: what is much where everybody sends little.
//! In: the pairs of a scene. Out: what one subscriber usually sends one party, where the host's upload towers above every
//! other that the scene holds, or all but one. A customer register of a small office is a few MB, as an album is: among people who all send
//! kilobytes it is seen for what it is, beside albums it is not.
//! Bounds: one walk over the pairs, for a host that is judged and whose party is nobody else's.

use std::ops::RangeInclusive;

use super::earlier::Earlier;
use super::peers::Peers;
use super::{Bulk, Group, Scene};
use crate::detect::finding::Technique;
use crate::population::PairKey;
use crate::units::DurationNs;

/// Subscribers that must have been seen before "everybody" means anything, and from which on nothing that one of them does is strange.
const ACTIVE: RangeInclusive<u64> = 12..=800;
/// Subscribers from which on one of them has a film to show.
const ACTIVE_FEW: u64 = 200;
/// Other pairs with any upload, likewise.
const PAIRS_MIN: usize = 100;
/// Time likewise: what one host sends first is always the largest so far.
const SEEN_FOR_MIN: DurationNs = DurationNs::from_secs(600);
/// How many times the largest of all other uploads it must be, of few and of many.
const TOWERS: f64 = 2.5;
const TOWERS_OF_MANY: f64 = 5.0;
/// So many times that must it be of the largest but one, beside one that is larger.
const BESIDE_ONE: f64 = 2.0;
/// How many times the largest of them is still usual.
const OVER_LARGEST: f64 = 1.5;
/// What is never much.
const BYTES_UP_MIN: f64 = 512.0 * 1024.0;
/// One in so many of the active may have to do with the party besides.
const CALLERS_PER: u64 = 20;

/// What is usual there, bytes; none where the upload is one of several large ones or little was seen.
pub(super) fn usual<'a>(scene: &Scene<'a>, group: &Group<'_>, bulk: &Bulk<'a>, up: u64, peers: Peers) -> Option<f64> {
    let population = group.of.population;
    let active = scene.active(population);
    let is_of_many = active > ACTIVE_FEW;
    // One of many has a film to show, at a site that has a name: only what has none is strange there.
    let is_nameless = group.whole.rows_named == 0 && scene.domain_of(&group.whole).is_none();
    let callers_max = if is_of_many { 0 } else { active / CALLERS_PER };
    let is_its_own = peers.senders == 0 && peers.callers <= callers_max && (is_nameless || !is_of_many);
    if !is_its_own || !ACTIVE.contains(&active) || scene.summary.span().length() < SEEN_FOR_MIN {
        return None;
    }
    // Nobody else uploads there: the rest of what goes there is the same host's, under another of its addresses.
    let is_same = |address| group.of.addresses.binary_search(&address).is_ok();
    let may = |key: &PairKey| scene.is_registered(Technique::BulkExfiltration, key.population, key.collector);
    let before = bulk.earlier(scene).iter().flat_map(Earlier::pairs);
    let (mut largest, mut second, mut pairs) = (0, 0, 0);
    for (key, pair) in scene.pairs().iter().chain(before).filter(|(key, _)| !is_same(key.collector)) {
        let up = pair.totals.data_bytes[0];
        pairs += usize::from(up > 0);
        if up > second && !may(key) {
            (largest, second) = if up > largest { (up, largest) } else { (largest, up) };
        }
    }
    let towers = if is_of_many { TOWERS_OF_MANY } else { TOWERS };
    let over = |other: u64, times: f64| up as f64 >= times * other as f64;
    let usual = match () {
        () if over(largest, towers) => largest,
        () if over(second, BESIDE_ONE * towers) => second,
        () => return None,
    };
    (pairs >= PAIRS_MIN).then_some((OVER_LARGEST * usual as f64).max(BYTES_UP_MIN))
}
