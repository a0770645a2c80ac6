//! Judging: the windows of a day become that day's findings.
//! In: a day of one sensor. Out: its findings, judged by the register, in the store.
//! Bounds: one window, one hour and one day at a time; what the analyst's own limits allow.
//! A function of the day's windows, the policy, the model and the places alone: judging again changes nothing. Of a day whose
//! windows were rolled up, what they showed once stays, and the register in force speaks of it.

use std::num::NonZeroUsize;

use super::{SweepError, Tools};
use crate::detect::analyst::{Analyst, Knowledge};
use crate::detect::finding::{Finding, Verdict};
use crate::population::Summary;
use crate::population::stitch::Stitcher;
use crate::report::{RunStats, finding_id};
use crate::store::Store;
use crate::store::findings::Sighting;
use crate::store::windows::{Day, KeptWindow};
use crate::units::TimestampNs;

/// What is said where no entry covers a finding.
const NO_ENTRY: &str = " No register entry allows it.";

/// Judges a day.
pub(super) fn day(store: &mut Store, day: Day, tools: Tools<'_>, stats: &mut RunStats) -> Result<(), SweepError> {
    let limits = &tools.config.summary;
    let mut analyst = Analyst::new(Knowledge {
        populations: tools.populations,
        places: tools.places,
        model: tools.model,
        register: tools.policy,
        limits,
        threads: NonZeroUsize::new(tools.config.workers).unwrap_or(NonZeroUsize::MIN),
    });
    let mut stitcher = Stitcher::default();
    let mut open: Option<(TimestampNs, Summary)> = None;
    let mut is_coarse = false;
    let left_out = store.windows_of(day, tools.populations.fingerprint(), |window| -> Result<(), SweepError> {
        let KeptWindow { capture, start, mut summary } = window;
        match capture {
            Some(capture) => stitcher.stitch(&mut summary, capture),
            None => is_coarse = true,
        }
        match &mut open {
            // The end of one capture and the beginning of the next are one window.
            Some((at, so_far)) if *at == start => {
                so_far.merge(summary)?;
                so_far.bound(limits);
            }
            _ => {
                if let Some((_, full)) = open.replace((start, summary)) {
                    analyst.window(full)?;
                }
            }
        }
        Ok(())
    })?;
    if let Some((_, last)) = open {
        analyst.window(last)?;
    }
    let (findings, account) = analyst.finish()?;
    let as_found = |finding: Finding| Sighting { unjudged: finding.severity, finding };
    let mut sightings: Vec<Sighting> = findings.into_iter().map(as_found).collect();
    if is_coarse {
        add_known(&mut sightings, store.sightings_of(day)?);
    }
    for sighting in &mut sightings {
        judge(sighting, tools);
    }
    store.replace_day(day, &sightings, left_out)?;
    for (name, hits) in account.limits {
        *stats.limits.entry(name).or_default() += hits;
    }
    if stitcher.forgotten() > 0 {
        *stats.limits.entry("pairs-not-stitched").or_default() += stitcher.forgotten();
    }
    for sentence in account.not_seen {
        if !stats.not_seen.contains(&sentence) {
            stats.not_seen.push(sentence);
        }
    }
    Ok(())
}

/// What was seen in finer windows, where what is seen now is not stronger.
fn add_known(sightings: &mut Vec<Sighting>, known: Vec<Sighting>) {
    for known in known {
        let id = finding_id(&known.finding);
        let rank = |sighting: &Sighting| (sighting.unjudged, sighting.finding.score);
        match sightings.iter_mut().find(|sighting| finding_id(&sighting.finding) == id) {
            None => sightings.push(known),
            Some(now) if rank(&known) > rank(now) => *now = known,
            Some(_) => {}
        }
    }
}

/// The register's word, in the place of any that was spoken before.
fn judge(sighting: &mut Sighting, tools: Tools<'_>) {
    let finding = &mut sighting.finding;
    finding.severity = sighting.unjudged;
    if let Some(words) = finding.explanation.strip_suffix(NO_ENTRY) {
        finding.explanation.truncate(words.len());
    }
    tools.policy.judge(finding);
    if finding.verdict == Verdict::Unregistered {
        finding.explanation.push_str(NO_ENTRY);
    }
}
