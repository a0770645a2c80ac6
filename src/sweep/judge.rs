//! Judging: the windows of a day become that day's findings.
//! In: a day of one sensor. Out: its findings, judged by the register, in the store.
//! Bounds: one window, one hour and one day at a time; what the analyst's own limits allow.
//! A function of the day's windows, the policy, the model and the places alone: judging again changes nothing.

use super::{SweepError, Tools};
use crate::detect::analyst::{Analyst, Knowledge};
use crate::detect::finding::Verdict;
use crate::population::Summary;
use crate::population::stitch::Stitcher;
use crate::report::RunStats;
use crate::store::Store;
use crate::store::windows::{Day, KeptWindow};
use crate::units::TimestampNs;

/// Judges a day.
pub(super) fn day(store: &mut Store, day: Day, tools: Tools<'_>, stats: &mut RunStats) -> Result<(), SweepError> {
    let limits = &tools.config.summary;
    let mut analyst =
        Analyst::new(Knowledge { populations: tools.populations, places: tools.places, model: tools.model, limits });
    let mut stitcher = Stitcher::default();
    let mut open: Option<(TimestampNs, Summary)> = None;
    let left_out = store.windows_of(day, tools.populations.fingerprint(), |window| -> Result<(), SweepError> {
        let KeptWindow { capture, start, mut summary } = window;
        if let Some(capture) = capture {
            stitcher.stitch(&mut summary, capture);
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
    let (mut findings, account) = analyst.finish()?;
    for finding in &mut findings {
        tools.policy.judge(finding);
        if finding.verdict == Verdict::Unregistered {
            finding.explanation.push_str(" No register entry allows it.");
        }
    }
    store.replace_day(day, &findings, left_out)?;
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
