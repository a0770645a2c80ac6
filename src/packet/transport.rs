//! Transport headers: TCP, UDP, SCTP, ICMP, ICMPv6; anything else is payload with ports zero.
//! In: the body of an IP packet. Out: ports, TCP's fields, and the payload's layer.
//! Bounds: none needed, one header is read. Not here: what the payload is (`tunnel`, `app`), streams (`flow`).

use etherparse::checksum::Sum16BitWords;

use super::columns::TcpFlags;
use super::layer::Layer;
use super::net::{IpPacket, protocol};
use super::reject::Reject;

/// What a transport header says. Ports are the sender's and the receiver's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transport<'a> {
    pub ports: [u16; 2],
    pub payload: Layer<'a>,
    pub tcp_seq: u32,
    pub tcp_ack: u32,
    pub tcp_window: u16,
    pub tcp_flags: TcpFlags,
}

impl<'a> Transport<'a> {
    fn of_ports(ports: [u16; 2], payload: Layer<'a>) -> Self {
        Self { ports, payload, tcp_seq: 0, tcp_ack: 0, tcp_window: 0, tcp_flags: 0 }
    }
}

/// Reads the transport header. A header of which enough was captured is used even when the rest was not.
#[inline]
pub(crate) fn read<'a>(protocol: u8, body: Layer<'a>) -> Result<Transport<'a>, Reject> {
    match protocol {
        protocol::TCP => tcp(body),
        protocol::UDP => udp(body),
        protocol::SCTP => fixed(body, 12).map(|head: [u8; 12]| {
            let ports = [u16::from_be_bytes([head[0], head[1]]), u16::from_be_bytes([head[2], head[3]])];
            Transport::of_ports(ports, body.skip(12).unwrap_or(body))
        }),
        protocol::ICMP => icmp(body, icmp_counterpart),
        protocol::ICMPV6 => icmp(body, icmpv6_counterpart),
        _ => Ok(Transport::of_ports([0, 0], body)),
    }
}

#[inline(always)]
pub(crate) fn tcp<'a>(body: Layer<'a>) -> Result<Transport<'a>, Reject> {
    let head: [u8; 20] = fixed(body, 20)?;
    let header_bytes = usize::from(head[12] >> 4) * 4;
    if header_bytes < 20 || header_bytes > body.wire as usize {
        return Err(Reject::BadTransport);
    }
    // Options that were not captured leave a payload of which nothing was.
    let payload = body.skip(header_bytes).unwrap_or_else(|| nothing_captured(body, header_bytes));
    Ok(Transport {
        ports: [u16::from_be_bytes([head[0], head[1]]), u16::from_be_bytes([head[2], head[3]])],
        payload,
        tcp_seq: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
        tcp_ack: u32::from_be_bytes([head[8], head[9], head[10], head[11]]),
        tcp_window: u16::from_be_bytes([head[14], head[15]]),
        tcp_flags: head[13],
    })
}

#[inline(always)]
pub(crate) fn udp<'a>(body: Layer<'a>) -> Result<Transport<'a>, Reject> {
    let head: [u8; 8] = fixed(body, 8)?;
    let ports = [u16::from_be_bytes([head[0], head[1]]), u16::from_be_bytes([head[2], head[3]])];
    let claimed = u32::from(u16::from_be_bytes([head[4], head[5]]));
    let payload = body.skip(8).unwrap_or(body);
    // UDP's own length rules where it can be true; zero and lies (offload, damage) leave the IP header's.
    let payload = match claimed.checked_sub(8) {
        Some(len) if len < payload.wire => payload.trim(len),
        _ => payload,
    };
    Ok(Transport::of_ports(ports, payload))
}

fn icmp<'a>(body: Layer<'a>, counterpart: fn(u8) -> Option<u8>) -> Result<Transport<'a>, Reject> {
    let [kind, code, ..]: [u8; 4] = fixed(body, 4)?;
    let ports = [u16::from(kind), u16::from(counterpart(kind).unwrap_or(code))];
    // Every ICMP message in use has four more bytes before its payload.
    let payload = match body.skip(8) {
        Some(payload) => payload,
        None => nothing_captured(body, 8),
    };
    Ok(Transport::of_ports(ports, payload))
}

/// The payload after a header of which the end was not captured.
#[cold]
fn nothing_captured<'a>(body: Layer<'a>, header_bytes: usize) -> Layer<'a> {
    let captured = body.bytes.len();
    let wire = body.wire.saturating_sub(super::layer::clamp_u32(header_bytes));
    Layer {
        bytes: &body.bytes[captured..],
        offset: body.offset.saturating_add(super::layer::clamp_u32(captured)),
        wire,
    }
}

#[inline(always)]
fn fixed<const N: usize>(body: Layer<'_>, needed: u32) -> Result<[u8; N], Reject> {
    body.array(0).ok_or(if body.wire < needed { Reject::BadTransport } else { Reject::TruncatedTransport })
}

/// The other message of a two-way ICMP exchange, as Community ID v1 pairs them; one-way messages have none.
pub(crate) fn icmp_counterpart(kind: u8) -> Option<u8> {
    Some(match kind {
        0 => 8,
        8 => 0,
        9 => 10,
        10 => 9,
        13 => 14,
        14 => 13,
        15 => 16,
        16 => 15,
        17 => 18,
        18 => 17,
        _ => return None,
    })
}

/// The same for ICMPv6.
pub(crate) fn icmpv6_counterpart(kind: u8) -> Option<u8> {
    Some(match kind {
        128 => 129,
        129 => 128,
        130 => 131,
        131 => 130,
        133 => 134,
        134 => 133,
        135 => 136,
        136 => 135,
        139 => 140,
        140 => 139,
        144 => 145,
        145 => 144,
        _ => return None,
    })
}

/// Whether the checksum of a wholly captured TCP, UDP or ICMP packet is wrong. A UDP checksum of zero means none
/// over IPv4 (RFC 768); everything not wholly captured counts as right.
pub(crate) fn checksum_is_wrong(ip: &IpPacket<'_>) -> bool {
    let bytes = match ip.protocol {
        // A UDP datagram may be shorter than its IP packet: only its own bytes are summed.
        protocol::UDP => {
            let claimed = ip.body.be16(4).map_or(0, u32::from);
            if ip.body.be16(6) == Some(0) && ip.version == 4 || claimed < 8 || claimed > ip.body.wire {
                return false;
            }
            ip.body.trim(claimed)
        }
        protocol::TCP | protocol::ICMPV6 | protocol::ICMP => ip.body,
        _ => return false,
    };
    if bytes.is_cut() || bytes.bytes.is_empty() {
        return false;
    }
    let sum = Sum16BitWords::new().add_slice(bytes.bytes);
    let sum = match (ip.protocol, ip.version) {
        (protocol::ICMP, _) => sum,
        (_, 4) => {
            let [source, destination] = [ip.source, ip.destination].map(|a| a.as_v4().unwrap_or_default());
            pseudo_tail(sum.to_owned().add_4bytes(source).add_4bytes(destination), ip.protocol, bytes.wire)
        }
        _ => {
            pseudo_tail(sum.to_owned().add_16bytes(ip.source.0).add_16bytes(ip.destination.0), ip.protocol, bytes.wire)
        }
    };
    sum.ones_complement() != 0
}

/// Protocol and length of the pseudo-header (RFC 768, RFC 9293, RFC 8200 section 8.1).
fn pseudo_tail(sum: Sum16BitWords, protocol: u8, length: u32) -> Sum16BitWords {
    sum.add_2bytes([0, protocol]).add_4bytes(length.to_be_bytes())
}
