//! Shape: the order of the talk and the outline of its histograms.

use super::inputs::Inputs;
use super::{Group, LN_U32, Rows, features};
use crate::simd::arithmetic::{ratio, sum};
use crate::simd::convert::from_u32;
use crate::simd::histogram::pair12;
use crate::simd::logarithm::log1p;
use crate::units::Side;

/// First bin of sizes that holds payload.
const WITH_PAYLOAD: usize = 1;
/// First bin of sizes of 1,024 bytes and more.
const LARGE: usize = 11;

features! {
    flow TURNS = "turns_log", "ln(1+turns)", (0.0, LN_U32),
        "Order changes between the sides that send payload: 1 for a lone request, 2 once it is answered.",
        "Zhang and Paxson 2000, interactive traffic";
    flow TURN_SHARE = "turn_share", "ratio", (0.0, 1.0),
        "Turns over packets with payload: 1 for a strict dialogue, near 0 for a transfer.",
        "Zhang and Paxson 2000";
    flow BURSTS = "bursts_log", "ln(1+bursts)", (0.0, LN_U32),
        "Runs of packets with less than a second between them.",
        "CICFlowMeter Bulk and Active counts";
    flow BURST_PACKETS = "burst_packets_log", "ln(1+packets)", (0.0, 22.9),
        "Packets of both sides a burst.",
        "CICFlowMeter Bulk Packet Avg";
    flow SIZE_OVERLAP = "size_overlap", "ratio", (0.0, 1.0),
        "What the two sides' histograms of payload sizes share: 1 for equal shapes, as in relays and calls.",
        "Swain and Ballard 1991, histogram intersection";
    sides SIZE_ENTROPY = "size_entropy", "ratio", (0.0, 1.0),
        "Shannon entropy of the histogram of payload sizes, over the largest possible.",
        "Shannon 1948; Moore 2005";
    sides LARGE_SHARE = "large_share", "ratio", (0.0, 1.0),
        "share of the packets with payload that carry 1,024 bytes or more.",
        "Moore 2005; nearly full packets show bulk";
    sides GAP_ENTROPY = "gap_entropy", "ratio", (0.0, 1.0),
        "Shannon entropy of the histogram of gaps, over the largest possible.",
        "Shannon 1948; Gianvecchio and Wang 2007, covert timing";
    sides GAP_MODE_SHARE = "gap_mode_share", "ratio", (0.0, 1.0),
        "share of the gaps in the fullest bin of their histogram; 0 without gaps.",
        "RITA interval mode";
}

/// Fills the group's columns.
pub(super) fn fill(rows: Rows<'_>, inputs: &mut Inputs, out: &mut Group<'_, '_>) {
    let n = rows.len();
    let flows = rows.flows;
    let Inputs { packets, payload_packets, gap_entropy, gap_mode_share, scratch: [work, both, per, _], .. } = inputs;
    from_u32(rows.of(&flows.turns), &mut work[..n]);
    log1p(&work[..n], 1.0, out.column(TURNS));
    sum(&payload_packets[0], &payload_packets[1], &mut both[..n]);
    ratio(&work[..n], both, 0.0, out.column(TURN_SHARE));
    from_u32(rows.of(&flows.bursts), &mut work[..n]);
    log1p(&work[..n], 1.0, out.column(BURSTS));
    sum(&packets[0], &packets[1], &mut both[..n]);
    ratio(&both[..n], work, 0.0, &mut per[..n]);
    log1p(&per[..n], 1.0, out.column(BURST_PACKETS));
    let [orig, resp] = &flows.sides;
    let [entropy_orig, entropy_resp, large_orig, large_resp, overlap] =
        out.columns([SIZE_ENTROPY[0], SIZE_ENTROPY[1], LARGE_SHARE[0], LARGE_SHARE[1], SIZE_OVERLAP]);
    pair12(
        [rows.of(&orig.size_bins), rows.of(&resp.size_bins)],
        WITH_PAYLOAD,
        LARGE,
        [entropy_orig, entropy_resp],
        [large_orig, large_resp],
        overlap,
    );
    for s in Side::BOTH.map(Side::index) {
        out.column(GAP_ENTROPY[s]).copy_from_slice(&gap_entropy[s][..n]);
        out.column(GAP_MODE_SHARE[s]).copy_from_slice(&gap_mode_share[s][..n]);
    }
}
