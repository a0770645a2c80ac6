//! TCP and its neighbours: which transport, how the connection went.

use super::inputs::Inputs;
use super::{Group, Rows, features};
use crate::flow::row::ConnState;
use crate::packet::columns::FlowKey;
use crate::simd::arithmetic::{ratio, rest, sum};
use crate::simd::convert::{from_u16, from_u32, from_u64};
use crate::simd::kernel;

/// IP protocol numbers.
const TCP: u8 = 6;
const UDP: u8 = 17;

features! {
    flow IS_TCP = "is_tcp", "0 or 1", (0.0, 1.0),
        "Carried by TCP.",
        "NFStream protocol";
    flow IS_UDP = "is_udp", "0 or 1", (0.0, 1.0),
        "Carried by UDP, QUIC counted here.",
        "NFStream protocol";
    flow ESTABLISHED = "established", "0 or 1", (0.0, 1.0),
        "The handshake was seen whole: Zeek's S1, SF, S2, S3, RSTO and RSTR.",
        "Zeek conn_state";
    sides SYN_SHARE = "syn_share", "ratio", (0.0, 1.0),
        "share of its packets with SYN.",
        "CICFlowMeter SYN Flag Count";
    sides RST_SHARE = "rst_share", "ratio", (0.0, 1.0),
        "share of its packets with RST.",
        "CICFlowMeter RST Flag Count";
    sides PSH_SHARE = "psh_share", "ratio", (0.0, 1.0),
        "share of its packets with PSH.",
        "Moore 2005; CICFlowMeter PSH Flag Count";
    sides RESENT_SHARE = "resent_share", "ratio", (0.0, 1.0),
        "share of its payload bytes that it had sent before; 0 for other protocols.",
        "Moore 2005, retransmitted bytes";
    sides UNORDERED_SHARE = "unordered_share", "ratio", (0.0, 1.0),
        "share of its packets that repeat bytes or come before bytes still missing.",
        "Moore 2005, out-of-order packets";
}

/// Fills the group's columns.
pub(super) fn fill(rows: Rows<'_>, inputs: &mut Inputs, out: &mut Group<'_, '_>) {
    let n = rows.len();
    let flows = rows.flows;
    let [is_tcp, is_udp, is_established] = out.columns([IS_TCP, IS_UDP, ESTABLISHED]);
    protocols(rows.of(&flows.key), is_tcp, is_udp);
    established(rows.of(&flows.state), is_established);
    let Inputs { packets, payload_bytes, scratch: [work, more, both, _], .. } = inputs;
    for (s, side) in flows.sides.iter().enumerate() {
        for (column, flag) in [(SYN_SHARE[s], &side.syn), (RST_SHARE[s], &side.rst), (PSH_SHARE[s], &side.psh)] {
            from_u16(rows.of(flag), &mut work[..n]);
            ratio(&work[..n], &packets[s], 0.0, out.column(column));
        }
        from_u64(rows.of(&side.stream_bytes), &mut work[..n]);
        rest(&work[..n], &payload_bytes[s], out.column(RESENT_SHARE[s]));
        from_u32(rows.of(&side.retransmissions), &mut work[..n]);
        from_u32(rows.of(&side.out_of_order), &mut more[..n]);
        sum(&work[..n], &more[..n], &mut both[..n]);
        ratio(&both[..n], &packets[s], 0.0, out.column(UNORDERED_SHARE[s]));
    }
}

kernel! {
    /// 1 where a flow is carried by TCP, or by UDP, and 0 where it is not.
    pub fn protocols(keys: &[FlowKey], tcp: &mut [f32], udp: &mut [f32]) {
        for ((tcp, udp), key) in tcp.iter_mut().zip(udp).zip(keys) {
            *tcp = if key.protocol == TCP { 1.0 } else { 0.0 };
            *udp = if key.protocol == UDP { 1.0 } else { 0.0 };
        }
    }
}

kernel! {
    /// 1 where the handshake was seen whole, 0 where it was not.
    pub fn established(states: &[ConnState], out: &mut [f32]) {
        use ConnState::{RSTO, RSTR, S1, S2, S3, SF};
        for (is, state) in out.iter_mut().zip(states) {
            *is = if matches!(state, S1 | SF | S2 | S3 | RSTO | RSTR) { 1.0 } else { 0.0 };
        }
    }
}
