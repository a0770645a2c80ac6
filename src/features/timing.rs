//! Timing: how long, how regular. Gaps are those between packets of one side, so that an answer's delay is not among them.

use super::inputs::Inputs;
use super::{Group, LN_U32, LN_U64, Rows, features};
use crate::simd::arithmetic::{ratio, spread_of_gaps};
use crate::simd::convert::{from_between, from_durations, from_u32, from_u64};
use crate::simd::logarithm::log1p;

/// ln(1 + the longest time in seconds).
const LN_SECONDS: f32 = 23.7;

features! {
    flow DURATION = "duration_log", "ln(1+ms)", (0.0, 30.6),
        "First to last packet of the row.",
        "Moore 2005; Zeek duration";
    flow AGE = "age_log", "ln(1+s)", (0.0, LN_SECONDS),
        "First packet of the whole flow to the last of the row: more than the duration for a flow of several windows.",
        "Own: long-lived flows, as RITA's long connections";
    flow PAIR_GAP = "pair_gap_log", "ln(1+s)", (0.0, LN_SECONDS),
        "Since the flow before began between the same two addresses; 0 where there was none.",
        "RITA interval of connections";
    flow ACTIVE_SHARE = "active_share", "ratio", (0.0, 1.0),
        "Share of the duration inside bursts, which a silence of one second ends; 1 for a single instant.",
        "CICFlowMeter Active Mean";
    sides GAP_MEAN = "gap_mean_log", "ln(1+us)", (0.0, LN_U64),
        "mean gap.",
        "Moore 2005; CICFlowMeter IAT Mean";
    sides GAP_SPREAD = "gap_spread", "ratio", (0.0, 16.0),
        "standard deviation of gaps over their mean: 0 for a clock, 1 for chance, above for bursts.",
        "CICFlowMeter IAT Std; Goh and Barabasi 2008, burstiness";
    sides GAP_MIN = "gap_min_log", "ln(1+us)", (0.0, LN_U32),
        "smallest gap.",
        "CICFlowMeter IAT Min";
    sides GAP_MAX = "gap_max_log", "ln(1+us)", (0.0, LN_U32),
        "largest gap, 71 minutes at most.",
        "CICFlowMeter IAT Max";
    sides GAP_SKEW = "gap_skew", "ratio", (-1.0, 1.0),
        "Bowley skewness of the histogram of the gaps' logarithms: 0 for a symmetric one.",
        "Bowley 1901; RITA interval skew";
}

/// Fills the group's columns.
pub(super) fn fill(rows: Rows<'_>, inputs: &mut Inputs, out: &mut Group<'_, '_>) {
    let n = rows.len();
    let flows = rows.flows;
    let Inputs { gaps, gap_skew, duration_s, scratch: [work, mean, ..], .. } = inputs;
    log1p(&duration_s[..n], 1e3, out.column(DURATION));
    from_between(rows.of(&flows.flow_start), rows.of(&flows.ts_last), &mut work[..n]);
    log1p(&work[..n], 1e-9, out.column(AGE));
    from_durations(rows.of(&flows.pair_gap), 1.0, &mut work[..n]);
    log1p(&work[..n], 1e-9, out.column(PAIR_GAP));
    from_durations(rows.of(&flows.active), 1e-9, &mut work[..n]);
    ratio(&work[..n], duration_s, 1.0, out.column(ACTIVE_SHARE));
    for (s, side) in flows.sides.iter().enumerate() {
        from_u64(rows.of(&side.gap_sum_ns), &mut work[..n]);
        ratio(&work[..n], &gaps[s], 0.0, &mut mean[..n]);
        log1p(&mean[..n], 1e-3, out.column(GAP_MEAN[s]));
        let column = out.column(GAP_SPREAD[s]);
        spread_of_gaps(&gaps[s][..n], rows.of(&side.gap_sum_ns), rows.of(&side.gap_square_sum_s2), column);
        from_u32(rows.of(&side.gap_min_us), &mut work[..n]);
        log1p(&work[..n], 1.0, out.column(GAP_MIN[s]));
        from_u32(rows.of(&side.gap_max_us), &mut work[..n]);
        log1p(&work[..n], 1.0, out.column(GAP_MAX[s]));
        out.column(GAP_SKEW[s]).copy_from_slice(&gap_skew[s][..n]);
    }
}
