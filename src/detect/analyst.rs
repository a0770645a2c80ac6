//! Analyst: windows in, findings out.
//! In: one summary a window. Out: findings over windows, hours and days, folded by the ledger.
//! Bounds: one summary of the hour so far and one of the day so far, each within the summary's own limits; the paces of one window.
//! Time: capture time. A window is looked at when it closes, the hour so far after 2, 3, 4, 6, 8, 12 … windows and at its end,
//! the day so far after 2, 3, 4, 6, 8, 12 and 16 hours and at its end; so what is loud shows at once, and what is slow shows
//! when enough of it is there or half as long again after.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use super::finding::Finding;
use super::ledger::{FirstSeen, Ledger};
use super::looks::{Doubt, Look};
use super::register::Register;
use super::scene::Scene;
use super::united;
use crate::model::Model;
use crate::population::pace::Paces;
use crate::population::places::Places;
use crate::population::{MergeError, Populations, Span, SpanClass, Summary, SummaryLimits};
use crate::units::{Address, DurationNs, TimestampNs};

mod round;

use round::Rounds;

const HOUR: DurationNs = DurationNs::from_secs(3_600);
const DAY: DurationNs = DurationNs::from_secs(86_400);

/// What the detectors know besides the summaries.
#[derive(Clone, Copy, Debug)]
pub struct Knowledge<'a> {
    /// Whose data is protected.
    pub populations: &'a Populations,
    /// Where outside addresses are.
    pub places: &'a Places,
    /// The trained model, where there is one.
    pub model: Option<&'a Model>,
    /// Who may collect.
    pub register: &'a dyn Register,
    /// Bounds of the hour's and the day's summary.
    pub limits: &'a SummaryLimits,
    /// Threads that a round of detectors may take. What is found does not depend on it.
    pub threads: NonZeroUsize,
}

/// Looks at windows, hours and days.
#[derive(Debug)]
pub struct Analyst<'a> {
    knowledge: Knowledge<'a>,
    hour: Horizon,
    day: Horizon,
    /// Names of the day before.
    yesterday: Summary,
    /// When the last window ended, and its paces by the second: the hour keeps them by four.
    last: Option<(TimestampNs, Paces)>,
    ledger: Ledger,
    account: Account,
    rounds: Rounds,
    /// All populations as one, where there are several.
    all_populations: Option<Populations>,
}

/// Whether what is looked at is an hour that is over.
#[derive(Clone, Copy, Debug)]
enum Hour {
    Open,
    Over,
}

/// A stretch of time that is filled window by window.
#[derive(Debug)]
struct Horizon {
    length: DurationNs,
    class: SpanClass,
    start: Option<TimestampNs>,
    so_far: Summary,
    parts: u32,
}

/// What the analyst counted, for the report.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Limits of summaries and of the ledger that were reached.
    pub limits: BTreeMap<&'static str, u64>,
    /// What this input could not show, in whole sentences.
    pub not_seen: Vec<String>,
    /// Subscribers seen, over all populations; an estimate past some hundreds.
    pub subscribers: u64,
    /// When each finding first reached `medium`.
    pub first_seen: FirstSeen,
}

impl<'a> Analyst<'a> {
    /// Without memory of any window.
    pub fn new(knowledge: Knowledge<'a>) -> Self {
        Self {
            knowledge,
            hour: Horizon::new(HOUR, SpanClass::Hour),
            day: Horizon::new(DAY, SpanClass::Day),
            yesterday: Summary::empty(),
            last: None,
            ledger: Ledger::default(),
            account: Account::default(),
            rounds: Rounds::on(knowledge.threads),
            all_populations: (knowledge.populations.iter().count() > 1).then(|| knowledge.populations.united()),
        }
    }

    /// Takes a window in. The summary was bounded. What comes back is empty: memory for another window, for whoever makes some.
    ///
    /// # Errors
    /// When it was made under another policy, key or codebook than the windows before.
    pub fn window(&mut self, mut summary: Summary) -> Result<Summary, MergeError> {
        let start = summary.span().start;
        if self.hour.is_past(start) {
            self.close_hour()?;
        }
        if self.day.is_past(start) {
            self.close_day();
        }
        self.note_limits(summary.limit_hits().named());
        self.look(&summary, Hour::Open);
        self.last = Some((summary.span().end, summary.paces.clone()));
        let hits = self.hour.add(&mut summary, self.knowledge.limits)?;
        self.note_limits(hits);
        // What repeats slowly is found after a time in proportion to its slowness.
        if is_looked_at(self.hour.parts) {
            let so_far = std::mem::take(&mut self.hour.so_far);
            self.look(&so_far, Hour::Open);
            self.hour.so_far = so_far;
        }
        Ok(summary)
    }

    /// Closes what is open and gives all findings, worst first.
    ///
    /// # Errors
    /// See [`Self::window`].
    pub fn finish(mut self) -> Result<(Vec<Finding>, Account), MergeError> {
        match self.day.parts {
            // The only hour is the day: nobody looks at it a second time.
            0 => _ = self.look_at_hour().inspect(|day| self.note_day(day)),
            _ => {
                self.close_hour()?;
                self.close_day();
            }
        }
        let left_out = self.ledger.left_out();
        if left_out > 0 {
            self.account.limits.insert("findings", left_out);
        }
        let (findings, first_seen) = self.ledger.close();
        self.account.first_seen = first_seen;
        Ok((findings, self.account))
    }

    /// The findings so far, worst first, each once.
    pub fn findings(&self) -> Vec<Finding> {
        self.ledger.told()
    }

    /// Forgets findings that ended before `ts`: a run without an end must.
    pub fn retire(&mut self, ts: TimestampNs) {
        self.ledger.retire(ts);
    }

    /// What was counted so far.
    pub fn account(&self) -> &Account {
        &self.account
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(super) fn yesterday(&self) -> &Summary {
        &self.yesterday
    }

    /// The hour so far and the day so far: start, parts, summary.
    pub(super) fn horizons(&self) -> [(Option<TimestampNs>, u32, &Summary); 2] {
        [&self.hour, &self.day].map(|horizon| (horizon.start, horizon.parts, &horizon.so_far))
    }

    /// Goes on from where another analyst was.
    pub(super) fn resume(
        &mut self,
        hour: (Option<TimestampNs>, u32, Summary),
        day: (Option<TimestampNs>, u32, Summary),
        yesterday: Summary,
        findings: Vec<Finding>,
    ) {
        (self.hour.start, self.hour.parts, self.hour.so_far) = hour;
        (self.day.start, self.day.parts, self.day.so_far) = day;
        self.yesterday = yesterday;
        for finding in findings {
            let span = Span::new(finding.start, TimestampNs(finding.end.0.saturating_add(1)));
            self.ledger.absorb(vec![finding], &Look { span, is_whole_hour: false, doubts: Vec::new() });
        }
    }

    /// The hour that is over, where there is one, looked at.
    fn look_at_hour(&mut self) -> Option<Summary> {
        let parts = self.hour.parts;
        let mut hour = self.hour.take();
        if parts > 1 && !is_looked_at(parts) {
            let hits = bound(&mut hour, self.knowledge.limits);
            self.note_limits(hits);
            self.look(&hour, Hour::Over);
        }
        (parts > 0).then_some(hour)
    }

    fn close_hour(&mut self) -> Result<(), MergeError> {
        let Some(mut hour) = self.look_at_hour() else { return Ok(()) };
        let hits = self.day.add(&mut hour, self.knowledge.limits)?;
        self.note_limits(hits);
        // What is slow shows after a time in proportion to its slowness, here too; the end of the day looks once more.
        if is_looked_at(self.day.parts) {
            let so_far = std::mem::take(&mut self.day.so_far);
            self.look(&so_far, Hour::Open);
            self.day.so_far = so_far;
        }
        Ok(())
    }

    fn close_day(&mut self) {
        let parts = self.day.parts;
        let mut day = self.day.take();
        if parts == 0 {
            return;
        }
        self.note_day(&day);
        // A day of one hour has been looked at as that hour, one of 2, 3, 4, 6, 8 … when the last of them closed.
        if parts > 1 && !is_looked_at(parts) {
            let hits = bound(&mut day, self.knowledge.limits);
            self.note_limits(hits);
            self.look(&day, Hour::Open);
        }
        // A lease outlasts midnight: what was looked up in the evening is called by that name in the night.
        self.yesterday = day.names_only();
    }

    fn look(&mut self, summary: &Summary, hour: Hour) {
        let Knowledge { populations, places, model, register, .. } = self.knowledge;
        let before = [&self.hour.so_far, &self.day.so_far];
        let scene = Scene::new(summary, populations, places, model)
            .under(register)
            .following(before)
            .after_names_of(&self.yesterday);
        let last =
            self.last.as_ref().filter(|(end, _)| summary.class() == SpanClass::Window && *end == summary.span().start);
        let scene = scene.after(self.ledger.claimed()).beside(last.map(|(_, paces)| paces));
        let mut found = self.rounds.over(&scene);
        let (of_all, doubts_of_all) = self.look_at_all(&scene, &found).unwrap_or_default();
        found.extend(of_all);
        add_translated(&scene, &mut found);
        let mut doubts = scene.into_doubts();
        doubts.extend(doubts_of_all);
        let look = Look { span: summary.span(), is_whole_hour: matches!(hour, Hour::Over), doubts };
        self.ledger.absorb(found, &look);
    }

    /// What several populations show together, where there are several.
    fn look_at_all(&self, apart: &Scene<'_>, found: &[Finding]) -> Option<(Vec<Finding>, Vec<Doubt>)> {
        let summary = apart.summary;
        let populations = self.all_populations.as_ref().filter(|_| summary.class() != SpanClass::Window)?;
        let Knowledge { places, model, register, .. } = self.knowledge;
        let all = summary.united()?;
        let before = [&self.hour.so_far, &self.day.so_far];
        let scene = Scene::new(&all, populations, places, model).under(register).following(before);
        let scene = scene.after_names_of(&self.yesterday).after(self.ledger.claimed());
        let of_all = united::detect(&scene, apart, found);
        Some((of_all, scene.into_doubts()))
    }

    fn note_limits(&mut self, hits: impl IntoIterator<Item = (&'static str, u64)>) {
        for (name, hits) in hits.into_iter().filter(|(_, hits)| *hits > 0) {
            *self.account.limits.entry(name).or_default() += hits;
        }
    }

    /// Whether the policy's rules about transfers could be held against anything.
    fn note_transfers(&mut self) {
        let Knowledge { populations, places, .. } = self.knowledge;
        let ruled = populations.iter().any(|(index, _)| populations.transfer_rule(index).is_some());
        let sentence = match (ruled, places.is_empty()) {
            (true, true) => {
                "Where data goes was not judged: the policy has [[transfer]] rules, but no --geo database says \
                where addresses are."
            }
            (true, false) => return,
            (false, _) => {
                "Where data goes was not judged: no [[transfer]] rule of the policy speaks of a population here."
            }
        };
        if !self.account.not_seen.iter().any(|said| said == sentence) {
            self.account.not_seen.push(sentence.to_owned());
        }
    }

    fn note_day(&mut self, day: &Summary) {
        self.note_unseen(day);
        self.note_transfers();
    }

    /// What a reader must know before trusting that nothing was found.
    fn note_unseen(&mut self, day: &Summary) {
        let subscribers: u64 = day.populations.values().map(|population| population.active.count()).sum();
        self.account.subscribers = self.account.subscribers.max(subscribers);
        let mut say = |sentence: &str| {
            if !self.account.not_seen.iter().any(|said| said == sentence) {
                self.account.not_seen.push(sentence.to_owned());
            }
        };
        if day.roles.all().rows > 0 && subscribers == 0 {
            say("No subscriber of the population was seen: name its prefixes with --population or in the policy.");
        }
        if day.roles.all().rows > 0 && day.resolvers.is_empty() {
            say("No DNS was seen: names come from TLS and HTTP alone.");
        }
    }
}

/// Whether a horizon is looked at when it holds so many parts: 2ⁿ and 3 · 2ⁿ, one by one up to four. Each look costs what
/// the summary holds; these come to some two a doubling.
fn is_looked_at(parts: u32) -> bool {
    let odd = parts >> parts.trailing_zeros().min(31);
    parts > 1 && (odd == 1 || odd == 3)
}

impl Horizon {
    fn new(length: DurationNs, class: SpanClass) -> Self {
        Self { length, class, start: None, so_far: Summary::empty(), parts: 0 }
    }

    fn is_past(&self, ts: TimestampNs) -> bool {
        self.start.is_some_and(|start| ts.slot_start(self.length) != start)
    }

    /// Takes a part in; what had to give way in the longer stretch, by limit. It is brought within its limits when somebody
    /// is about to look, and whenever a table is over: a walk over the whole hour for each of its windows would cost more
    /// than the windows.
    fn add(&mut self, part: &mut Summary, limits: &SummaryLimits) -> Result<Vec<(&'static str, u64)>, MergeError> {
        self.start.get_or_insert(part.span().start.slot_start(self.length));
        part.rollup(self.class);
        self.so_far.take_in(part)?;
        self.parts += 1;
        let is_due = is_looked_at(self.parts) || self.so_far.is_over(limits);
        Ok(if is_due { bound(&mut self.so_far, limits) } else { Vec::new() })
    }

    fn take(&mut self) -> Summary {
        (self.start, self.parts) = (None, 0);
        std::mem::take(&mut self.so_far)
    }
}

/// Brings a summary within its limits; what had to give way, by limit.
fn bound(summary: &mut Summary, limits: &SummaryLimits) -> Vec<(&'static str, u64)> {
    let before = summary.limit_hits().named();
    summary.bound(limits);
    let after = summary.limit_hits().named();
    after.into_iter().zip(before).map(|((name, after), (_, before))| (name, after.saturating_sub(before))).collect()
}

/// Says of each party that was called through a translator how it was called, too: who looks for the packets, or blocks the party for
/// callers without IPv4, needs that.
fn add_translated(scene: &Scene<'_>, found: &mut [Finding]) {
    if found.is_empty() {
        return;
    }
    let called: BTreeSet<Address> = scene.summary.populations.values().flat_map(|one| one.translated.iter()).collect();
    for finding in found {
        let addresses = &mut finding.collector.addresses;
        let more: Vec<Address> = addresses
            .iter()
            .filter(|address| called.contains(address))
            .filter_map(|address| address.translated())
            .collect();
        addresses.extend(more);
        addresses.sort_unstable();
        addresses.dedup();
    }
}

#[cfg(test)]
mod tests;
