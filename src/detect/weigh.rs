//! Weighing: from measured values to a score between 0 and 1.
//! In: a value and the two values between which opinion turns. Out: a weight. Nothing here knows a technique.

use super::finding::{Evidence, EvidenceValue, Severity};

/// 0 at or below `from`, 1 at or above `to`, straight between; falls instead of rising where `to` is the smaller.
pub fn ramp(value: f64, from: f64, to: f64) -> f64 {
    match (value - from) / (to - from) {
        share if share.is_nan() => 0.0,
        share => share.clamp(0.0, 1.0),
    }
}

/// The same over orders of magnitude, for counts and bytes.
pub fn log_ramp(value: f64, from: f64, to: f64) -> f64 {
    ramp(value.max(1e-12).ln(), from.ln(), to.ln())
}

/// One reason, before the weights are shared out.
#[derive(Clone, Debug)]
pub struct Reason {
    /// What was measured, and against what.
    pub evidence: Evidence,
    /// How strongly it speaks, 0 to 1.
    pub strength: f64,
    /// How much it counts beside the others, over 0.
    pub share: f64,
}

impl Reason {
    /// A number that speaks.
    pub fn number(feature: &'static str, value: f64, unit: &'static str, strength: f64, share: f64) -> Self {
        let evidence = Evidence {
            feature,
            value: EvidenceValue::Number(value),
            unit,
            baseline_median: None,
            baseline_p99: None,
            weight: 0.0,
        };
        Self { evidence, strength, share }
    }

    /// The same beside its baseline: median and 99th percentile.
    pub fn beside(mut self, baseline: Option<(f64, f64)>) -> Self {
        (self.evidence.baseline_median, self.evidence.baseline_p99) = baseline.unzip();
        self
    }
}

/// The weighted geometric mean of the strengths: one reason that fails outright fails the whole, a weak one lowers it by
/// its share. The reasons come back as evidence, weightiest first.
pub fn weigh(reasons: Vec<Reason>) -> (f64, Vec<Evidence>) {
    let total: f64 = reasons.iter().map(|r| r.share).sum();
    if total <= 0.0 {
        return (0.0, Vec::new());
    }
    let score = reasons.iter().map(|r| r.strength.max(1e-6).ln() * r.share / total).sum::<f64>().exp();
    let mut evidence: Vec<Evidence> =
        reasons.into_iter().map(|r| Evidence { weight: r.share / total, ..r.evidence }).collect();
    evidence.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.feature.cmp(b.feature)));
    (if score < 1e-3 { 0.0 } else { score }, evidence)
}

/// The severity of a behaviour that no packet proves: never `critical`.
pub fn severity_of(score: f64, p_value: f64) -> Option<Severity> {
    match (score, p_value) {
        (score, p) if score >= 0.75 && p <= 0.05 => Some(Severity::High),
        (score, _) if score >= 0.6 => Some(Severity::Medium),
        (score, _) if score >= 0.4 => Some(Severity::Low),
        (score, _) if score >= 0.25 => Some(Severity::Info),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ramps_rise_fall_and_survive_nonsense() {
        for (value, from, to, wanted) in [
            (0.0, 1.0, 2.0, 0.0),
            (1.5, 1.0, 2.0, 0.5),
            (3.0, 1.0, 2.0, 1.0),
            (0.5, 1.0, 0.0, 0.5),
            (f64::NAN, 0.0, 1.0, 0.0),
            (1.0, 1.0, 1.0, 0.0),
        ] {
            assert_eq!(ramp(value, from, to), wanted, "{value} between {from} and {to}");
        }
        assert!((log_ramp(10.0, 1.0, 100.0) - 0.5).abs() < 1e-12);
        assert_eq!(log_ramp(0.0, 1.0, 100.0), 0.0);
    }

    #[test]
    fn one_reason_that_fails_fails_the_whole() {
        let reason = |strength| Reason::number("f", 1.0, "ratio", strength, 1.0);
        assert_eq!(weigh(vec![reason(1.0), reason(1.0)]).0, 1.0);
        assert!(weigh(vec![reason(1.0), reason(0.0)]).0 < 0.01);
        assert!((weigh(vec![reason(1.0), reason(0.25)]).0 - 0.5).abs() < 1e-12);
        assert_eq!(weigh(Vec::new()).0, 0.0);
        let evidence = weigh(vec![reason(1.0), reason(0.5)]).1;
        assert!((evidence.iter().map(|e| e.weight).sum::<f64>() - 1.0).abs() < 1e-12);
    }
}
