//! Kept: how a finding's words and numbers come back from where it was kept.
//! In: what serde reads. Out: words of this program as `&'static str`, numbers that may be no number.
//! Bounds: [`WORDS_MAX`] words of [`WORD_BYTES_MAX`] bytes are made for the life of the program; what asks for more is refused.

use std::collections::BTreeSet;
use std::sync::Mutex;

use serde::de::{Deserialize, Deserializer, Error};

/// A word of this program. Its name keeps serde from borrowing it from what is read.
pub type Word = &'static str;

/// Most different words: names of features, units and protocols are some hundreds.
const WORDS_MAX: usize = 4096;
/// Longest word.
const WORD_BYTES_MAX: usize = 64;

static WORDS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// A word of the program.
pub(super) fn word<'de, D: Deserializer<'de>>(from: D) -> Result<Word, D::Error> {
    intern(&String::deserialize(from)?).map_err(D::Error::custom)
}

/// The same, or nothing.
pub(super) fn word_or_none<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'static str>, D::Error> {
    Option::<String>::deserialize(from)?.map(|text| intern(&text)).transpose().map_err(D::Error::custom)
}

/// The one copy of a word.
fn intern(text: &str) -> Result<&'static str, &'static str> {
    let mut words = WORDS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(known) = words.get(text) {
        return Ok(known);
    }
    if text.len() > WORD_BYTES_MAX || words.len() >= WORDS_MAX {
        return Err("not a word of this program");
    }
    let made: &'static str = Box::leak(text.to_owned().into_boxed_str());
    words.insert(made);
    Ok(made)
}

/// Numbers that may be none: JSON has no word for what is not a number, and keeps it as nothing.
pub(super) mod number {
    use serde::de::{Deserialize, Deserializer};
    use serde::ser::Serializer;

    pub fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        match value.is_finite() {
            true => to.serialize_f64(*value),
            false => to.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        Ok(Option::<f64>::deserialize(from)?.unwrap_or(f64::NAN))
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::{
        CollectorIdentity, Evidence, EvidenceValue, Finding, PopulationShare, Severity, Technique, Verdict,
    };
    use super::*;
    use crate::units::{Address, TimestampNs};

    #[test]
    fn a_finding_comes_back_as_it_went() {
        let evidence = |value| Evidence {
            feature: "gap_spread",
            value,
            unit: "ratio",
            baseline_median: Some(0.25),
            baseline_p99: None,
            weight: 0.5,
        };
        let finding = Finding {
            technique: Technique::PopulationFanIn,
            severity: Severity::High,
            score: 0.75,
            p_value: 1e-9,
            collector: CollectorIdentity {
                collector_key: "203.0.113.7".to_owned(),
                addresses: vec![Address::v4([203, 0, 113, 7])],
                ..CollectorIdentity::default()
            },
            population: PopulationShare { name: "residents".to_owned(), subscribers: 9, ..PopulationShare::default() },
            start: TimestampNs(1),
            end: TimestampNs(u64::MAX),
            proto: "TCP",
            app_proto: Some("tls"),
            community_id: None,
            flows: 1,
            packets: 2,
            bytes_up: 3,
            bytes_down: u64::MAX,
            days: 1.0,
            evidence: vec![
                evidence(EvidenceValue::Number(0.5)),
                evidence(EvidenceValue::Text("a \"word\"".to_owned())),
            ],
            verdict: Verdict::Refused { name: "n".into(), reference: "r".into(), reason: "expired".into() },
            headline: "h".to_owned(),
            explanation: "e".to_owned(),
        };
        let kept = serde_json::to_string(&finding).expect("a finding has a form");
        assert_eq!(serde_json::from_str::<Finding>(&kept).expect("reads"), finding);
        let unknown = Finding { score: f64::NAN, ..finding };
        let kept = serde_json::to_string(&unknown).expect("a finding has a form");
        assert!(serde_json::from_str::<Finding>(&kept).expect("reads").score.is_nan());
    }

    #[test]
    fn words_are_bounded() {
        assert_eq!(intern("ratio"), intern("ratio"));
        assert!(intern(&"x".repeat(WORD_BYTES_MAX + 1)).is_err());
    }
}
