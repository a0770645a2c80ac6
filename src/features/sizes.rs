//! Sizes: how large the packets with payload are, and how alike.

use super::inputs::Inputs;
use super::{Group, LN_U16, Rows, features};
use crate::simd::arithmetic::{balance, ratio, spread};
use crate::simd::convert::from_u16;
use crate::simd::logarithm::log1p;
use crate::simd::sequence::outline8;

features! {
    sides SIZE_MEAN = "size_mean_log", "ln(1+bytes)", (0.0, LN_U16),
        "mean payload of the packets that carry any.",
        "Moore 2005; CICFlowMeter Packet Length Mean";
    sides SIZE_SPREAD = "size_spread", "ratio", (0.0, 16.0),
        "standard deviation of payload sizes over their mean: 0 for equal sizes.",
        "Moore 2005; CICFlowMeter Packet Length Std";
    sides SIZE_MIN = "size_min_log", "ln(1+bytes)", (0.0, LN_U16),
        "smallest payload of a packet that carries any.",
        "CICFlowMeter Packet Length Min";
    sides SIZE_MAX = "size_max_log", "ln(1+bytes)", (0.0, LN_U16),
        "largest payload.",
        "CICFlowMeter Packet Length Max";
    sides FIRST_SIZE = "first_size_log", "ln(1+bytes)", (0.0, LN_U16),
        "payload of the first packet that carries any.",
        "Bernaille 2006, early application identification";
    sides FIRST_SHARE = "first_share", "ratio", (0.0, 1.0),
        "share of the payload that the first eight packets with payload carry; 1 where there is no payload.",
        "Bernaille 2006; NFStream splt";
    sides FIRST_EQUAL = "first_equal_share", "ratio", (0.0, 1.0),
        "share of neighbours among the first eight payload sizes that are equal; 0 with fewer than two.",
        "RITA data size dispersion, over the first packets";
    flow SIZE_BALANCE = "size_balance", "ratio", (-1.0, 1.0),
        "Mean payload of the originator's packets less the responder's, over their sum.",
        "Producer-consumer ratio, over sizes";
}

/// Fills the group's columns.
pub(super) fn fill(rows: Rows<'_>, inputs: &mut Inputs, out: &mut Group<'_, '_>) {
    let n = rows.len();
    let Inputs { payload_bytes, payload_packets, scratch: [mean_orig, mean_resp, work, sum], .. } = inputs;
    for (s, mean) in [mean_orig, mean_resp].into_iter().enumerate() {
        let side = &rows.flows.sides[s];
        ratio(&payload_bytes[s][..n], &payload_packets[s], 0.0, &mut mean[..n]);
        log1p(&mean[..n], 1.0, out.column(SIZE_MEAN[s]));
        let column = out.column(SIZE_SPREAD[s]);
        spread(rows.of(&side.payload_packets), rows.of(&side.payload_bytes), rows.of(&side.size_square_sum), column);
        from_u16(rows.of(&side.size_min), &mut work[..n]);
        log1p(&work[..n], 1.0, out.column(SIZE_MIN[s]));
        from_u16(rows.of(&side.size_max), &mut work[..n]);
        log1p(&work[..n], 1.0, out.column(SIZE_MAX[s]));
        first_sizes(rows, s, &payload_bytes[s][..n], [work, sum], out);
    }
    let Inputs { scratch: [mean_orig, mean_resp, ..], .. } = inputs;
    balance(&mean_orig[..n], &mean_resp[..n], out.column(SIZE_BALANCE));
}

/// The features of the first eight sizes.
fn first_sizes(rows: Rows<'_>, s: usize, payload_bytes: &[f32], work: [&mut [f32]; 2], out: &mut Group<'_, '_>) {
    let (n, [first, sum]) = (rows.len(), work);
    let side = &rows.flows.sides[s];
    let (sizes, packets) = (rows.of(&side.first_sizes), rows.of(&side.payload_packets));
    outline8(sizes, packets, &mut first[..n], &mut sum[..n], out.column(FIRST_EQUAL[s]));
    log1p(&first[..n], 1.0, out.column(FIRST_SIZE[s]));
    ratio(&sum[..n], payload_bytes, 1.0, out.column(FIRST_SHARE[s]));
}
