//! Asked: few devices whose records are as much questions, which are calls of an implant and no collection.
//! In: what is measured of a group that speaks up as a fan-in. Out: whether that is so, and the finding told as what it is.
//! A collector of records says that it has them, and many give them. Who calls a master says the same few words each time and is told
//! something each time, over a connection held open or a new one: more than a quarter of the data is the answer. Nothing but the
//! number of devices and what comes back tells both apart where both keep time, so the bounds stand between what was seen of each: calls
//! of at most 16 devices, 423 bytes, 0.73 of the data; records that small of 28 devices or more, 0.75 of the data or more.
//! Bounds: none of its own.

use super::Measures;
use crate::detect::finding::{Finding, Technique};
use crate::detect::scene::Group;
use crate::detect::words;

/// Devices up to which a group has an implant in common, and not a product that everybody buys.
const DEVICES_MAX: u64 = 20;
/// Median record, bytes, up to which it is a question.
const QUESTION_BYTES_MAX: f64 = 450.0;
/// Quartile dispersion of the questions: who has nothing to say says the same.
const DISPERSION_MAX: f64 = 0.1;
/// Share of the data, handshakes left out, that goes up at the most.
const UPLOAD_SHARE_MAX: f64 = 0.74;
/// Share of the records that must be answered.
const ANSWERED_MIN: f64 = 0.9;

/// Whether they are.
pub(super) fn is_asked(measures: &Measures) -> bool {
    measures.subscribers <= DEVICES_MAX
        && measures.record_bytes <= QUESTION_BYTES_MAX
        && measures.record_dispersion <= DISPERSION_MAX
        && measures.upload_share <= UPLOAD_SHARE_MAX
        && measures.answered_share >= ANSWERED_MIN
        && measures.begun_by_collector < 0.5
}

/// The finding as that of the technique which such calls are.
pub(super) fn retold(finding: Finding, group: &Group<'_>, measures: &Measures) -> Finding {
    let who = group.spoken(&finding.collector.names);
    let counted = words::counted(measures.subscribers, "subscriber");
    Finding {
        technique: Technique::BeaconingImplant,
        headline: format!("{counted} ask {who} the same little thing again and again"),
        explanation: format!(
            "{counted} ask {who} something of {} at the median again and again, each time in nearly as many bytes, \
             whatever their people do, and are told something each time: {:.0} % of the data is the answer. Collectors of \
             records are told by more devices and say less. Find the device (`--reveal` with the key, or the DHCP and NAT \
             logs), see which program calls, and whether anybody installed it; if it is a service that should be there, \
             register the collector in the policy.",
            words::bytes(measures.record_bytes as u64),
            100.0 * (1.0 - measures.upload_share),
        ),
        ..finding
    }
}
