//! Volume: how much, in which direction, how fast.

use super::inputs::Inputs;
use super::{Group, LN_U32, LN_U64, Rows, features};
use crate::simd::arithmetic::{balance, ratio, rest, sum};
use crate::simd::logarithm::log1p;
use crate::units::Side;

features! {
    sides PACKETS = "packets_log", "ln(1+packets)", (0.0, LN_U32),
        "packets in the row.",
        "Moore 2005; NFStream src2dst_packets";
    sides IP_BYTES = "ip_bytes_log", "ln(1+bytes)", (0.0, LN_U64),
        "bytes of IP packets, headers counted, link layer not.",
        "Moore 2005; Zeek orig_ip_bytes";
    sides PAYLOAD_BYTES = "payload_bytes_log", "ln(1+bytes)", (0.0, LN_U64),
        "transport payload bytes as sent, retransmissions counted again.",
        "Moore 2005; Zeek orig_bytes";
    sides BYTE_RATE = "byte_rate_log", "ln(1+bytes/s)", (0.0, 49.1),
        "IP bytes a second over the row's duration, which counts as 10 ms at least.",
        "CICFlowMeter Flow Bytes/s";
    sides PAYLOAD_PACKET_SHARE = "payload_packet_share", "ratio", (0.0, 1.0),
        "share of the packets that carry payload; 0 where it sent none.",
        "Moore 2005";
    sides HEADER_SHARE = "header_share", "ratio", (0.0, 1.0),
        "share of the IP bytes that is not payload; 0 where it sent none.",
        "CICFlowMeter Header Length";
    flow PAYLOAD_BALANCE = "payload_balance", "ratio", (-1.0, 1.0),
        "Payload of the originator less that of the responder, over their sum: 1 only out, -1 only in; 0 \
         without payload.",
        "Producer-consumer ratio, Bullard and Gerth, FloCon 2014";
    flow PACKET_BALANCE = "packet_balance", "ratio", (-1.0, 1.0),
        "Packets of the originator less those of the responder, over their sum.",
        "CICFlowMeter Down/Up Ratio, made symmetric";
    flow PACKET_RATE = "packet_rate_log", "ln(1+packets/s)", (0.0, 27.6),
        "Packets of both sides a second over the row's duration, which counts as 10 ms at least.",
        "CICFlowMeter Flow Packets/s";
}

/// Fills the group's columns.
pub(super) fn fill(rows: Rows<'_>, inputs: &mut Inputs, out: &mut Group<'_, '_>) {
    let n = rows.len();
    let Inputs { packets, ip_bytes, payload_bytes, payload_packets, rate_s, scratch: [rate, both, ..], .. } = inputs;
    for s in Side::BOTH.map(Side::index) {
        log1p(&packets[s][..n], 1.0, out.column(PACKETS[s]));
        log1p(&ip_bytes[s][..n], 1.0, out.column(IP_BYTES[s]));
        log1p(&payload_bytes[s][..n], 1.0, out.column(PAYLOAD_BYTES[s]));
        ratio(&ip_bytes[s][..n], rate_s, 0.0, &mut rate[..n]);
        log1p(&rate[..n], 1.0, out.column(BYTE_RATE[s]));
        ratio(&payload_packets[s][..n], &packets[s], 0.0, out.column(PAYLOAD_PACKET_SHARE[s]));
        rest(&payload_bytes[s][..n], &ip_bytes[s], out.column(HEADER_SHARE[s]));
    }
    balance(&payload_bytes[0][..n], &payload_bytes[1], out.column(PAYLOAD_BALANCE));
    balance(&packets[0][..n], &packets[1], out.column(PACKET_BALANCE));
    sum(&packets[0], &packets[1], &mut both[..n]);
    ratio(&both[..n], rate_s, 0.0, &mut rate[..n]);
    log1p(&rate[..n], 1.0, out.column(PACKET_RATE));
}
