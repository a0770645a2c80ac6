//! Announcer: what of the findings is news.
//! In: all findings, judged, each time a window closes. Out: which are new, have grown, have ended.
//! Bounds: [`REMEMBERED_MAX`] findings; past it those that ended longest ago are forgotten.
//! Time: capture time. Repeats between two pieces of news are counted and not told.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::detect::finding::{Finding, Severity};
use crate::report::finding_id;
use crate::report::live::Change;
use crate::units::{DurationNs, TimestampNs};

/// Findings remembered, ended ones included.
const REMEMBERED_MAX: usize = 50_000;
/// Growth of bytes, flows or subscribers from which on a finding is told again.
const GROWTH_TOLD: u64 = 2;

/// What was last told of a finding.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Told {
    severity: Severity,
    flows: u64,
    bytes_up: u64,
    subscribers: u64,
    /// The last packet of it that is known.
    end: TimestampNs,
    is_open: bool,
    /// Windows in which it went on without being told.
    folded: u64,
    /// As it last stood, while it is open: one that is found no more still has an end to be told.
    #[serde(default)]
    last: Option<Box<Finding>>,
}

/// What has been told so far. Kept with `--state`, so that a restart repeats nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Announcer {
    told: BTreeMap<String, Told>,
}

/// A piece of news.
#[derive(Clone, Debug)]
pub struct News {
    /// What became of it.
    pub change: Change,
    /// The finding as it stands.
    pub finding: Finding,
}

impl Announcer {
    /// What is news at `now`; a finding of which nothing was seen for `ended_after` has ended.
    pub fn news(&mut self, findings: &[Finding], now: TimestampNs, ended_after: DurationNs) -> Vec<News> {
        let mut news = Vec::new();
        for finding in findings {
            let id = finding_id(finding);
            let is_over = now.since(finding.end) > ended_after;
            let mut tell = |change| news.push(News { change, finding: finding.clone() });
            match self.told.get_mut(&id) {
                None => {
                    tell(Change::New);
                    self.told.insert(id, Told::of(finding));
                }
                // Found again in what is remembered, without a packet that was not known.
                Some(told) if !told.is_open && finding.end <= told.end => {}
                Some(told) if !told.is_open => {
                    tell(Change::New);
                    *told = Told::of(finding);
                }
                Some(told) if is_over => {
                    tell(Change::Ended);
                    (told.is_open, told.end, told.last) = (false, told.end.max(finding.end), None);
                }
                // Taken back by a look that saw more: whoever was told of an alarm is told that it is none.
                Some(told) if told.is_taken_back(finding) => {
                    tell(Change::Ended);
                    *told = Told::of(finding);
                }
                Some(told) if told.has_grown(finding) => {
                    tell(Change::Grown);
                    *told = Told::of(finding);
                }
                Some(told) => {
                    told.folded += u64::from(finding.end > told.end);
                    told.end = told.end.max(finding.end);
                    told.last = Some(Box::new(finding.clone()));
                }
            }
        }
        // What is not among the findings any more: more was seen, and another finding says it better, or its population was
        // taken out of the policy.
        let is_over = |told: &&mut Told| told.is_open && now.since(told.end) > ended_after;
        for told in self.told.values_mut().filter(is_over) {
            told.is_open = false;
            news.extend(told.last.take().map(|finding| News { change: Change::Ended, finding: *finding }));
        }
        self.forget();
        news
    }

    /// Findings that have not ended.
    pub fn open(&self) -> usize {
        self.told.values().filter(|told| told.is_open).count()
    }

    /// The same by the severity that was last told.
    pub fn open_by_severity(&self) -> BTreeMap<Severity, u64> {
        let mut open = BTreeMap::new();
        self.told.values().filter(|told| told.is_open).for_each(|told| *open.entry(told.severity).or_default() += 1);
        open
    }

    /// Windows in which a finding went on and was not told again.
    pub fn folded(&self) -> u64 {
        self.told.values().map(|told| told.folded).sum()
    }

    fn forget(&mut self) {
        while self.told.len() > REMEMBERED_MAX {
            let oldest = self.told.iter().min_by_key(|(_, told)| (told.is_open, told.end)).map(|(id, _)| id.clone());
            let Some(id) = oldest else { return };
            self.told.remove(&id);
        }
    }
}

impl Told {
    fn of(finding: &Finding) -> Self {
        Self {
            severity: finding.severity,
            flows: finding.flows,
            bytes_up: finding.bytes_up,
            subscribers: finding.population.subscribers,
            end: finding.end,
            is_open: true,
            folded: 0,
            last: Some(Box::new(finding.clone())),
        }
    }

    fn is_taken_back(&self, finding: &Finding) -> bool {
        self.severity >= Severity::Medium && finding.severity < Severity::Medium
    }

    fn has_grown(&self, finding: &Finding) -> bool {
        let doubled = |before: u64, now: u64| before > 0 && now >= before.saturating_mul(GROWTH_TOLD);
        finding.severity > self.severity
            || doubled(self.flows, finding.flows)
            || doubled(self.bytes_up, finding.bytes_up)
            || doubled(self.subscribers, finding.population.subscribers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::finding::{CollectorIdentity, PopulationShare, Technique};
    use crate::population::span::Seen;

    fn finding(flows: u64, end_s: u64) -> Finding {
        let collector = CollectorIdentity { collector_key: "203.0.113.7".into(), ..CollectorIdentity::default() };
        let share = PopulationShare { name: "residents".into(), subscribers: 9, ..PopulationShare::default() };
        let seen = Seen { first: TimestampNs(0), last: TimestampNs(end_s * 1_000_000_000) };
        let blank = Finding::blank(Technique::PopulationFanIn, collector, share, seen);
        Finding { severity: Severity::High, score: 0.9, flows, ..blank }
    }

    #[test]
    fn a_finding_is_told_when_it_is_news() {
        let mut announcer = Announcer::default();
        let table = [
            ("the first time", finding(10, 60), 60, Some(Change::New)),
            ("the same again", finding(10, 60), 120, None),
            ("a little more", finding(15, 120), 180, None),
            ("twice as much", finding(20, 180), 180, Some(Change::Grown)),
            ("quiet, but not for long", finding(20, 180), 3_000, None),
            ("quiet for an hour", finding(20, 180), 4_000, Some(Change::Ended)),
            ("ended, and remembered", finding(20, 180), 4_060, None),
            ("back again", finding(21, 4_100), 4_120, Some(Change::New)),
            ("taken back", Finding { severity: Severity::Low, ..finding(22, 4_160) }, 4_160, Some(Change::Ended)),
            ("low, and told", Finding { severity: Severity::Low, ..finding(23, 4_220) }, 4_220, None),
            ("said again", finding(24, 4_280), 4_280, Some(Change::Grown)),
        ];
        for (name, finding, now_s, wanted) in table {
            // As a restart would have it.
            let kept = serde_json::to_string(&announcer).expect("a form");
            announcer = serde_json::from_str(&kept).expect("reads");
            let now = TimestampNs(now_s * 1_000_000_000);
            let news = announcer.news(&[finding], now, DurationNs::from_secs(3_600));
            assert_eq!(news.first().map(|news| news.change), wanted, "{name}");
        }
        assert_eq!(announcer.open(), 1);
    }

    #[test]
    fn what_is_found_no_more_ends_once() {
        let mut announcer = Announcer::default();
        fn at(announcer: &mut Announcer, findings: &[Finding], now_s: u64) -> Vec<(Change, u64)> {
            let kept = serde_json::to_string(announcer).expect("a form");
            *announcer = serde_json::from_str(&kept).expect("reads");
            let now = TimestampNs(now_s * 1_000_000_000);
            let news = announcer.news(findings, now, DurationNs::from_secs(3_600));
            news.iter().map(|news| (news.change, news.finding.flows)).collect()
        }
        assert_eq!(at(&mut announcer, &[finding(10, 60)], 60), [(Change::New, 10)]);
        assert_eq!(at(&mut announcer, &[finding(12, 120)], 120), []);
        assert_eq!(announcer.open_by_severity(), BTreeMap::from([(Severity::High, 1)]));
        for (now_s, wanted) in [(180, None), (3_800, Some((Change::Ended, 12))), (9_000, None)] {
            assert_eq!(at(&mut announcer, &[], now_s).first().copied(), wanted, "{now_s}");
        }
        assert!(announcer.open_by_severity().is_empty());
    }
}
