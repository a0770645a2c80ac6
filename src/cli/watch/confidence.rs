//! Confidence: what was lost or sampled away while a finding was seen, and what that takes from it.
//! In: what each window lost; findings. Out: the same findings, saying so, with a lower score and, where much was lost, a
//! lower severity.
//! Bounds: the last [`WINDOWS_MAX`] windows; what a finding lost before them is not known any more.
//! Not lowered: `critical`, which is proof in packets that were seen. What was lost cannot unprove it.

use std::collections::VecDeque;

use crate::detect::finding::{Evidence, EvidenceValue, Finding, Severity};
use crate::pipeline::live::Lost;
use crate::population::Span;
use crate::report::figures;

/// A day of one-minute windows.
const WINDOWS_MAX: usize = 1_440;
/// Confidence below which a finding is one step less severe.
const STEP_BELOW: f64 = 0.9;

/// What the last windows lost.
#[derive(Debug)]
pub struct LossLog {
    windows: VecDeque<(Span, Lost)>,
    /// One packet in so many reaches us.
    sampling: u32,
}

impl LossLog {
    /// Nothing lost yet; one packet in `sampling` is mirrored.
    pub fn new(sampling: u32) -> Self {
        Self { windows: VecDeque::new(), sampling: sampling.max(1) }
    }

    /// Notes what a window lost.
    pub fn note(&mut self, span: Span, lost: Lost) {
        if self.windows.len() >= WINDOWS_MAX {
            self.windows.pop_front();
        }
        self.windows.push_back((span, lost));
    }

    /// The part of what passed that is known, 0 to 1, where this was lost.
    pub fn confidence(&self, lost: &Lost) -> f64 {
        (1.0 - lost.share()) / f64::from(self.sampling)
    }

    /// Lowers what was seen through a gap, and says so. A whole view changes nothing.
    pub fn weaken(&self, finding: &mut Finding) {
        let touched = self.windows.iter().filter(|(span, _)| span.start <= finding.end && finding.start < span.end);
        let (mut seen, mut lost) = (0_u64, 0_u64);
        for (_, window) in touched {
            lost += window.total();
            seen += window.frames - window.queue_full.min(window.frames);
        }
        if lost == 0 && self.sampling == 1 {
            return;
        }
        let share = if seen + lost == 0 { 0.0 } else { lost as f64 / (seen + lost) as f64 };
        let confidence = (1.0 - share) / f64::from(self.sampling);
        finding.score *= confidence;
        finding.p_value += (1.0 - finding.p_value) * (1.0 - confidence) * 0.5;
        finding.evidence.push(Evidence {
            feature: "capture_confidence",
            value: EvidenceValue::Number(confidence),
            unit: "ratio",
            baseline_median: Some(1.0),
            baseline_p99: None,
            weight: 0.0,
        });
        finding.explanation.push_str(&self.words(share, lost));
        if confidence < STEP_BELOW {
            finding.severity = step_down(finding.severity);
        }
    }

    fn words(&self, share: f64, lost: u64) -> String {
        let mut words = String::new();
        if lost > 0 {
            words = format!(
                " While it was seen, {} of the packets were lost before analysis ({}): its figures are lower bounds.",
                figures::percent(share),
                figures::counted(lost, "packet"),
            );
        }
        if self.sampling > 1 {
            words.push_str(&format!(
                " The capture is sampled, one packet in {}: its figures are of that sample.",
                self.sampling
            ));
        }
        words
    }
}

fn step_down(severity: Severity) -> Severity {
    match severity {
        Severity::Critical => Severity::Critical,
        Severity::High => Severity::Medium,
        Severity::Medium => Severity::Low,
        Severity::Low | Severity::Info => severity,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::finding::{CollectorIdentity, PopulationShare, Technique};
    use crate::population::span::Seen;
    use crate::units::TimestampNs;

    fn finding(severity: Severity) -> Finding {
        let seen = Seen { first: TimestampNs(100), last: TimestampNs(150) };
        let (collector, population) = (CollectorIdentity::default(), PopulationShare::default());
        Finding { severity, score: 0.8, ..Finding::blank(Technique::PopulationFanIn, collector, population, seen) }
    }

    #[test]
    fn a_gap_lowers_what_was_seen_through_it() {
        let lost = |frames, ring_full| Lost { frames, ring_full, ..Lost::default() };
        let here = Span::new(TimestampNs(100), TimestampNs(160));
        let elsewhere = Span::new(TimestampNs(160), TimestampNs(220));
        let table = [
            ("nothing lost", 1, here, lost(100, 0), Severity::High, 0.8, ""),
            ("lost in another window", 1, elsewhere, lost(50, 50), Severity::High, 0.8, ""),
            ("a little", 1, here, lost(95, 5), Severity::High, 0.76, "5 packets"),
            ("half", 1, here, lost(50, 50), Severity::Medium, 0.4, "50 packets"),
            ("sampled", 4, here, lost(100, 0), Severity::Medium, 0.2, "one packet in 4"),
        ];
        for (name, sampling, span, lost, severity, score, said) in table {
            let mut log = LossLog::new(sampling);
            log.note(span, lost);
            let mut weakened = finding(Severity::High);
            log.weaken(&mut weakened);
            assert_eq!(weakened.severity, severity, "{name}");
            assert!((weakened.score - score).abs() < 1e-9, "{name}: {}", weakened.score);
            assert!(weakened.explanation.contains(said), "{name}: {}", weakened.explanation);
            assert_eq!(weakened.evidence.is_empty(), said.is_empty(), "{name}");
            let mut proof = finding(Severity::Critical);
            log.weaken(&mut proof);
            assert_eq!(proof.severity, Severity::Critical, "{name}");
        }
    }
}
