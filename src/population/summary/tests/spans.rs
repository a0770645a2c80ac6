//! Whole hours of rows, for what looks at them.

use super::*;

/// The hour from [`START_S`] on, of these rows.
pub(crate) fn hour_of(rows: &FlowColumns) -> Summary {
    hour_with(rows, &[])
}

/// The same, and what was observed beside them.
pub(crate) fn hour_with(rows: &FlowColumns, observed: &[Observation]) -> Summary {
    let (populations, limits) = (populations(), SummaryLimits::default());
    let mut cx = AddContext { populations: &populations, identity: &mut TurnedOver(1), limits: &limits };
    let start = TimestampNs(DurationNs::from_secs(START_S).0);
    let mut summary = Summary::new(Span::new(start, start.after(DurationNs::from_secs(3_600))));
    summary.add_rows(rows, &[], &mut cx);
    summary.add_observations(observed, &mut cx);
    summary.rollup(SpanClass::Hour);
    summary
}
