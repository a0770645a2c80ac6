//! Bulk: what is usual among the other collectors of a capture.
//! In: the addresses of a scene with enough subscribers to be popular, and what was measured of each. Out: median and 99th
//! percentile of every measure, and the conformal p-value of a score among theirs.
//! Bounds: one sort for each measure, however many are judged after.

use super::{BULK_SUBSCRIBERS_MIN, Measures};
use crate::detect::scene::Group;
use crate::detect::weigh::weigh;
use crate::population::groups::Level;

/// Median and 99th percentile of each measure over the bulk; none where there is nothing to compare with.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usual {
    pub(super) subscribers: Option<(f64, f64)>,
    pub(super) upload_share: Option<(f64, f64)>,
    pub(super) record_dispersion: Option<(f64, f64)>,
    pub(super) gap_spread: Option<(f64, f64)>,
    pub(super) record_bytes: Option<(f64, f64)>,
    pub(super) answered_share: Option<(f64, f64)>,
    pub(super) begun_by_collector: Option<(f64, f64)>,
}

impl Usual {
    /// Each is sorted once a scene, however many are judged after.
    fn of(measures: &[Measures]) -> Self {
        let beside = |of: fn(&Measures) -> f64| {
            let mut values: Vec<f64> = measures.iter().map(of).filter(|v| v.is_finite()).collect();
            values.sort_by(f64::total_cmp);
            let at = |q: f64| values[((values.len() - 1) as f64 * q).round() as usize];
            (values.len() >= 3).then(|| (at(0.5), at(0.99)))
        };
        Self {
            subscribers: beside(|m| m.subscribers as f64),
            upload_share: beside(|m| m.upload_share),
            record_dispersion: beside(|m| m.record_dispersion),
            gap_spread: beside(|m| m.gap_spread.unwrap_or(f64::NAN)),
            record_bytes: beside(|m| m.record_bytes),
            answered_share: beside(|m| m.answered_share),
            begun_by_collector: beside(|m| m.begun_by_collector),
        }
    }
}

/// The capture's other collectors: what is usual here.
pub(super) struct Bulk {
    pub(super) usual: Usual,
    /// Ascending.
    scores: Vec<f64>,
}

impl Bulk {
    /// Every address with enough subscribers to be popular at all.
    pub(super) fn of(groups: &[Group<'_>], measures: &[Measures]) -> Self {
        let is_popular =
            |group: &Group<'_>, m: &Measures| group.level == Level::Address && m.subscribers >= BULK_SUBSCRIBERS_MIN;
        let popular = groups.iter().zip(measures).filter(|(group, m)| is_popular(group, m));
        let measures: Vec<Measures> = popular.map(|(_, m)| *m).collect();
        let usual = Usual::of(&measures);
        let mut scores: Vec<f64> = measures.iter().map(|m| weigh(m.reasons(&usual)).0).collect();
        scores.sort_by(f64::total_cmp);
        Self { usual, scores }
    }

    /// Conformal p-value of a score among the others: the one that is judged counts as one of them.
    pub(super) fn p_value(&self, score: f64, members: usize) -> f64 {
        let as_high = self.scores.len() - self.scores.partition_point(|other| *other < score);
        let others_as_high = as_high.saturating_sub(members);
        (others_as_high + 1) as f64 / (self.scores.len().max(members) + 1 - members.min(self.scores.len())) as f64
    }
}
