//! Identities: what servers showed of themselves in a span; where that is a window, together with the hour before it.
//! In: a scene. Out: each identity with all that is known of it, and whether the span itself showed it: of the others nothing
//! is new. An identity that answers for a third name is told in the minute in which it does, not when the hour is next looked at.
//! Bounds: those of the window's and the hour's tables; what only the hour holds is lent.

use std::borrow::Cow;

use crate::detect::scene::Scene;
use crate::population::PopulationIndex;
use crate::population::servers::{ServerKey, ServerSummary};
use crate::population::sketch::Merge;
use crate::population::texts::TextId;

/// One identity.
pub(super) struct Identity<'a> {
    pub key: ServerKey,
    pub server: Cow<'a, ServerSummary>,
    /// Whether the span showed it.
    pub is_shown: bool,
}

/// All of them, ascending.
pub(super) fn identities<'a>(scene: &Scene<'a>) -> Vec<Identity<'a>> {
    let shown = scene.summary.servers.sorted().into_iter();
    let shown = shown.map(|(key, server)| Identity { key: *key, server: Cow::Borrowed(server), is_shown: true });
    let Some(hour) = scene.hour_before() else { return shown.collect() };
    let mut all: Vec<Identity<'a>> = shown
        .map(|mut one| {
            if let Some(before) = hour.servers.of(&one.key) {
                one.server.to_mut().merge((**before).clone());
            }
            one
        })
        .collect();
    let unshown = hour.servers.sorted().into_iter().filter(|(key, _)| scene.summary.servers.of(key).is_none());
    all.extend(unshown.map(|(key, server)| Identity { key: *key, server: Cow::Borrowed(server), is_shown: false }));
    all.sort_by_key(|one| one.key);
    all
}

/// How many subscribers were active, in the span or the hour before, whichever saw more.
pub(super) fn active(scene: &Scene<'_>, population: PopulationIndex) -> u64 {
    let before = scene.hour_before().and_then(|hour| hour.populations.get(&population));
    before.map_or(0, |before| before.active.count()).max(scene.active(population))
}

/// An issuer's name: the hour before knows those that the window did not show.
pub(super) fn issuer_name<'a>(scene: &Scene<'a>, id: u64) -> Option<&'a str> {
    let id = TextId(id);
    scene.summary.texts.of(id).or_else(|| scene.hour_before()?.texts.of(id))
}
