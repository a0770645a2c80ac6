//! Legs: the way of a name from who asks to who owns it, where a resolver inside asks for others.
//! In: the domains of all populations of a scene. Out: whom names were handed to, as far outside as it was seen; and of two findings
//! about the same names, one by who asks and one by the resolver that asks in its turn, the first.
//! Bounds: one address or some for each domain that was asked for outside; of a finding its domains, and it is held against those about
//! one of the same, of which there is one for each population.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::detect::finding::{Finding, Severity};
use crate::detect::scene::Scene;
use crate::population::Summary;
use crate::population::texts::TextId;
use crate::population::zones::{ZoneKey, ZoneSummary};
use crate::units::Address;

/// Share of the names of one leg that the other must show.
const SAME_NAMES: f64 = 0.5;
/// Askers up to which a leg is that of a house's resolvers.
const RELAYS_MAX: u64 = 4;

/// Who, outside, was asked for names of each domain, by any population: none of those that the policy lists.
type Strangers = BTreeMap<TextId, BTreeSet<Address>>;

/// See the file's header.
pub(super) struct Legs<'a, 'b> {
    scene: &'b Scene<'a>,
    beyond: OnceCell<Strangers>,
}

impl<'a, 'b> Legs<'a, 'b> {
    pub(super) fn of(scene: &'b Scene<'a>) -> Self {
        Self { scene, beyond: OnceCell::new() }
    }

    fn all_strangers(&self) -> Strangers {
        let mut beyond = Strangers::new();
        for (key, zone) in self.scene.summary.zones.sorted() {
            let strangers: Vec<Address> = strangers(self.scene, zone).collect();
            if !strangers.is_empty() {
                beyond.entry(key.zone).or_default().extend(strangers);
            }
        }
        beyond
    }

    /// How many strangers outside were asked, as far as they are kept.
    pub(super) fn asked_outside(&self, zone: &ZoneSummary) -> usize {
        strangers(self.scene, zone).count()
    }

    /// Whom names were handed to: strangers outside where any were seen, on whichever leg; else the resolvers that the policy names;
    /// else those inside.
    pub(super) fn addresses(&self, zones: &[ZoneKey], all: &ZoneSummary) -> Vec<Address> {
        let own: BTreeSet<Address> = strangers(self.scene, all).collect();
        if !own.is_empty() {
            return own.into_iter().collect();
        }
        let beyond = self.beyond.get_or_init(|| self.all_strangers());
        let beyond: BTreeSet<Address> =
            zones.iter().filter_map(|key| beyond.get(&key.zone)).flatten().copied().collect();
        let listed = || all.resolvers.iter().filter_map(|party| party.outside()).collect::<BTreeSet<_>>();
        let inside = || all.resolvers.iter().map(|party| self.scene.resolver_address(party)).collect::<BTreeSet<_>>();
        let first = [beyond].into_iter().chain([listed(), inside()]).find(|some| !some.is_empty());
        first.unwrap_or_default().into_iter().collect()
    }
}

fn strangers(scene: &Scene<'_>, zone: &ZoneSummary) -> impl Iterator<Item = Address> {
    let outside = zone.resolvers.iter().filter_map(|party| party.outside());
    outside.filter(|address| !scene.populations.is_resolver(*address))
}

/// A finding with the domains that it is of, and what is known of all of them together.
pub(super) struct Told {
    pub(super) finding: Finding,
    pub(super) zones: Vec<ZoneKey>,
    /// Whether any of it was asked of a resolver inside.
    pub(super) is_within: bool,
    pub(super) clients: u64,
}

impl Told {
    /// Whether it is of the questions that a resolver inside asks in its turn, and `other`, at one of the same domains, of those that
    /// it was asked.
    fn repeats(&self, other: &Self, summary: &Summary, [own, theirs]: [&ZoneKey; 2]) -> bool {
        let shares_names = || {
            let (own, theirs) = (summary.zones.of(own)?, summary.zones.of(theirs)?);
            Some(own.names.share_in(&theirs.names) >= SAME_NAMES)
        };
        !self.is_within
            && other.is_within
            && self.clients <= RELAYS_MAX
            && other.finding.severity >= self.finding.severity.min(Severity::Medium)
            && shares_names() == Some(true)
    }
}

/// Each tunnel once, by who asks.
pub(super) fn once(summary: &Summary, told: Vec<Told>) -> Vec<Finding> {
    let mut within: BTreeMap<TextId, Vec<(&ZoneKey, &Told)>> = BTreeMap::new();
    for one in told.iter().filter(|one| one.is_within) {
        one.zones.iter().for_each(|key| within.entry(key.zone).or_default().push((key, one)));
    }
    let repeats = |one: &Told| {
        let mut beside =
            one.zones.iter().flat_map(|own| within.get(&own.zone).into_iter().flatten().map(move |it| (own, it)));
        beside.any(|(own, (theirs, other))| one.repeats(other, summary, [own, theirs]))
    };
    let keep: Vec<bool> = told.iter().map(|one| !repeats(one)).collect();
    told.into_iter().zip(keep).filter(|(_, keep)| *keep).map(|(one, _)| one.finding).collect()
}
