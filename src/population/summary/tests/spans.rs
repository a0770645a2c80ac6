//! Whole hours of rows, and look-ups beside them, for what looks at them.

use super::*;

/// Somebody is told where a name leads.
pub(crate) fn looked_up(client: Address, name: &str, address: Address, ts: TimestampNs) -> Observation {
    Observation::Lookup(Box::new(NameLookup {
        ts,
        client,
        resolver: Address::v4([192, 0, 2, 53]),
        name: name.into(),
        qtype: 1,
        rcode: Some(0),
        id: 1,
        answers: vec![address],
        ttl_s: 60,
        message_bytes: 90,
        aliases: 0,
        free_bytes: 0,
        leads: 0,
    }))
}

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
