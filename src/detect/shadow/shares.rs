//! Shares: how much of what goes between subscribers and a party goes up, and how much of it is sealed.
//! In: what a summary knows of a party. Out: shares, 0 to 1.

use crate::detect::scene::service_of;
use crate::packet::facts::AppProtocol;
use crate::population::collector::CollectorSummary;

/// Bytes that a TLS server sends after its first flight whatever it is told: two session tickets (RFC 8446 section 4.6.1), the
/// settings of HTTP/2, the head of an empty answer.
const TLS_ANSWER_BYTES: f64 = 512.0;
/// Data up over all data below which a party is asked, however its answers are sealed. What a server says to a report of two
/// hundred bytes is twice as long as that (0.35 of the data goes up), to one of less than that three times.
const ASKED_SHARE_MAX: f64 = 0.25;

/// Data up over data both ways.
pub(super) fn upload_share(whole: &CollectorSummary) -> f64 {
    let [up, down] = whole.totals.data_bytes.map(|bytes| bytes as f64);
    up / (up + down).max(1.0)
}

/// The same without what a TLS server says to whatever it is told. Not for addresses taken together: of a popular network's
/// many small services the smallest answers would be left.
pub(super) fn upload_share_unanswered(whole: &CollectorSummary) -> f64 {
    let sealed = sealed_share(whole);
    let [up, down] = whole.totals.data_bytes.map(|bytes| bytes as f64);
    let answered = (down - sealed * whole.totals.flows as f64 * TLS_ANSWER_BYTES).max(0.0);
    match upload_share(whole) {
        share if share < ASKED_SHARE_MAX => share,
        _ => up / (up + answered).max(1.0),
    }
}

/// Share of a party's flows that are TLS or QUIC.
pub(super) fn sealed_share(whole: &CollectorSummary) -> f64 {
    let is_sealed = |app: &AppProtocol| matches!(app, AppProtocol::Tls | AppProtocol::Quic);
    match whole.apps.total() {
        // A domain is known from what its callers asked for: but for plain HTTP, in a hello.
        0 => f64::from(u8::from(!whole.domains.is_empty() && service_of(whole).is_some_and(|at| at.port != 80))),
        all => {
            whole.apps.iter().filter(|(app, _)| is_sealed(app)).map(|(_, rows)| rows).sum::<u64>() as f64 / all as f64
        }
    }
}
