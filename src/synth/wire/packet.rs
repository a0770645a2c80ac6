//! Packet: one planned packet, and its frame.
//! In: end points, header fields, a range of a payload source. Out: an Ethernet frame with valid lengths and checksums.
//! Bounds: [`super::FRAME_BYTES_MAX`]; options fill the 40 bytes that a TCP header has for them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::payload::{Pool, Source};
use super::{fold, sum};
use crate::units::Address;

/// Ethernet header.
pub(crate) const ETHERNET_BYTES: usize = 14;
const IPV4_BYTES: usize = 20;
const IPV6_BYTES: usize = 40;
/// UDP header (RFC 768).
pub(crate) const UDP_BYTES: usize = 8;
const TCP_BYTES: usize = 20;

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const PSH: u8 = 8;
pub(crate) const ACK: u8 = 16;

/// An address and a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Endpoint {
    pub(crate) address: Address,
    pub(crate) port: u16,
}

/// How the sender fills the IPv4 identification.
#[derive(Clone, Copy, Debug)]
pub(crate) enum IpId {
    /// This number: zero with DF (RFC 6864), a random one, or a connection's own counter.
    Fixed(u16),
    /// The next of the counter that a whole host shares (Windows, small stacks).
    Host(u32),
}

/// TCP options, padded to whole words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TcpOptions {
    bytes: [u8; 40],
    length: u8,
}

impl Default for TcpOptions {
    fn default() -> Self {
        Self { bytes: [0; 40], length: 0 }
    }
}

impl TcpOptions {
    pub(crate) fn push(&mut self, option: &[u8]) {
        let at = usize::from(self.length);
        self.bytes[at..at + option.len()].copy_from_slice(option);
        self.length += option.len() as u8;
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// The transport header.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Transport {
    Tcp {
        seq: u32,
        ack: u32,
        flags: u8,
        window: u16,
        options: TcpOptions,
    },
    Udp,
    /// Type, code and the four bytes behind the checksum.
    Icmp {
        kind: u8,
        code: u8,
        rest: [u8; 4],
    },
}

/// A range of a source.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) source: Source,
    pub(crate) from: u64,
    pub(crate) length: u16,
}

/// A packet that waits for its time.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) source: Endpoint,
    pub(crate) destination: Endpoint,
    /// TTL or hop limit at the capture point.
    pub(crate) ttl: u8,
    /// Traffic class: DSCP and ECN.
    pub(crate) class: u8,
    pub(crate) id: IpId,
    pub(crate) dont_fragment: bool,
    /// IPv6 flow label.
    pub(crate) flow_label: u32,
    pub(crate) transport: Transport,
    pub(crate) payload: Option<Piece>,
    /// Which generator's tally counts it; 0 is the town itself.
    pub(crate) label: u16,
    /// Number of the tunnel that carries it; 0 for none.
    pub(crate) carried: u8,
}

impl Plan {
    /// A packet with the usual values of fields that seldom matter.
    pub(crate) fn new(source: Endpoint, destination: Endpoint, ttl: u8, transport: Transport) -> Self {
        Self {
            source,
            destination,
            ttl,
            class: 0,
            id: IpId::Fixed(0),
            dont_fragment: true,
            flow_label: 0,
            transport,
            payload: None,
            label: 0,
            carried: 0,
        }
    }

    /// A UDP datagram.
    pub(crate) fn udp(source: Endpoint, destination: Endpoint, ttl: u8, payload: Source, length: usize) -> Self {
        let piece = Piece { source: payload, from: 0, length: length as u16 };
        Self { payload: Some(piece), dont_fragment: false, ..Self::new(source, destination, ttl, Transport::Udp) }
    }

    /// Writes the frame into `out`; `id` is the resolved identification.
    pub(crate) fn write(&self, id: u16, macs: [[u8; 6]; 2], pool: &Pool, out: &mut Vec<u8>) {
        out.clear();
        let [from, to] = macs;
        let to = multicast_mac(self.destination.address).unwrap_or(to);
        let payload = self.payload.as_ref().map_or(0, |piece| usize::from(piece.length));
        let length = self.transport_bytes() + payload;
        out.extend(to);
        out.extend(from);
        let pseudo = match (self.source.address.as_v4(), self.destination.address.as_v4()) {
            (Some(source), Some(destination)) => {
                out.extend([0x08, 0x00]);
                self.write_ipv4(source, destination, length, id, out);
                sum(&destination, sum(&source, 0))
            }
            _ => {
                out.extend([0x86, 0xdd]);
                self.write_ipv6(length, out);
                sum(&self.destination.address.0, sum(&self.source.address.0, 0))
            }
        };
        let transport_at = out.len();
        self.write_transport(length, out);
        if let Some(piece) = &self.payload {
            let at = out.len();
            out.resize(at + payload, 0);
            piece.source.fill(piece.from, &mut out[at..], pool);
        }
        self.write_checksum(pseudo, transport_at, out);
        // Ethernet pads to 60 bytes without the frame check sequence (IEEE 802.3 clause 4.2.3.3).
        if out.len() < 60 {
            out.resize(60, 0);
        }
    }

    fn protocol(&self) -> u8 {
        match self.transport {
            Transport::Tcp { .. } => 6,
            Transport::Udp => 17,
            Transport::Icmp { .. } if self.source.address.is_v4() => 1,
            Transport::Icmp { .. } => 58,
        }
    }

    fn transport_bytes(&self) -> usize {
        match &self.transport {
            Transport::Tcp { options, .. } => TCP_BYTES + options.as_slice().len(),
            Transport::Udp => UDP_BYTES,
            Transport::Icmp { .. } => 8,
        }
    }

    fn write_ipv4(&self, source: [u8; 4], destination: [u8; 4], length: usize, id: u16, out: &mut Vec<u8>) {
        let fragment = if self.dont_fragment { 0x4000 } else { 0 };
        write_ipv4_header(
            &Ipv4Header {
                source,
                destination,
                class: self.class,
                id,
                fragment,
                ttl: self.ttl,
                protocol: self.protocol(),
            },
            length,
            out,
        );
    }

    fn write_ipv6(&self, length: usize, out: &mut Vec<u8>) {
        let first = 6 << 28 | u32::from(self.class) << 20 | (self.flow_label & 0xf_ffff);
        out.extend(first.to_be_bytes());
        out.extend((length as u16).to_be_bytes());
        out.extend([self.protocol(), self.ttl]);
        out.extend(self.source.address.0);
        out.extend(self.destination.address.0);
    }

    fn write_transport(&self, length: usize, out: &mut Vec<u8>) {
        match &self.transport {
            Transport::Tcp { seq, ack, flags, window, options } => {
                out.extend(self.source.port.to_be_bytes());
                out.extend(self.destination.port.to_be_bytes());
                out.extend(seq.to_be_bytes());
                out.extend(ack.to_be_bytes());
                let words = (TCP_BYTES + options.as_slice().len()) / 4;
                out.extend([(words as u8) << 4, *flags]);
                out.extend(window.to_be_bytes());
                out.extend([0; 4]);
                out.extend(options.as_slice());
            }
            Transport::Udp => {
                out.extend(self.source.port.to_be_bytes());
                out.extend(self.destination.port.to_be_bytes());
                out.extend((length as u16).to_be_bytes());
                out.extend([0; 2]);
            }
            Transport::Icmp { kind, code, rest } => {
                out.extend([*kind, *code, 0, 0]);
                out.extend(rest);
            }
        }
    }

    fn write_checksum(&self, pseudo: u64, at: usize, out: &mut [u8]) {
        let length = out.len() - at;
        let pseudo = pseudo + u64::from(self.protocol()) + length as u64;
        let (place, seed) = match self.transport {
            Transport::Tcp { .. } => (16, pseudo),
            Transport::Udp => (6, pseudo),
            Transport::Icmp { .. } if self.source.address.is_v4() => (2, 0),
            Transport::Icmp { .. } => (2, pseudo),
        };
        let mut checksum = fold(sum(&out[at..], seed));
        if checksum == 0 && matches!(self.transport, Transport::Udp) {
            checksum = 0xffff; // zero would say that there is none (RFC 768)
        }
        out[at + place..at + place + 2].copy_from_slice(&checksum.to_be_bytes());
    }

    /// Bytes of the IP packet.
    pub(crate) fn ip_bytes(&self) -> usize {
        let header = if self.source.address.is_v4() { IPV4_BYTES } else { IPV6_BYTES };
        header + self.transport_bytes() + self.payload.as_ref().map_or(0, |piece| usize::from(piece.length))
    }
}

/// What an IPv4 header says, but for its lengths.
pub(crate) struct Ipv4Header {
    pub(crate) source: [u8; 4],
    pub(crate) destination: [u8; 4],
    pub(crate) class: u8,
    pub(crate) id: u16,
    /// Flags and offset as the header has them.
    pub(crate) fragment: u16,
    pub(crate) ttl: u8,
    pub(crate) protocol: u8,
}

/// Appends the header of an IPv4 packet with `length` bytes behind it.
pub(crate) fn write_ipv4_header(header: &Ipv4Header, length: usize, out: &mut Vec<u8>) {
    let at = out.len();
    out.extend([0x45, header.class]);
    out.extend(((IPV4_BYTES + length) as u16).to_be_bytes());
    out.extend(header.id.to_be_bytes());
    out.extend(header.fragment.to_be_bytes());
    out.extend([header.ttl, header.protocol, 0, 0]);
    out.extend(header.source);
    out.extend(header.destination);
    let checksum = fold(sum(&out[at..], 0));
    out[at + 10..at + 12].copy_from_slice(&checksum.to_be_bytes());
}

/// The Ethernet address of an IP multicast group (RFC 1112 section 6.4, RFC 2464 section 7).
fn multicast_mac(address: Address) -> Option<[u8; 6]> {
    match address.to_ip() {
        IpAddr::V4(v4) if v4.is_multicast() => multicast_mac_v4(v4),
        IpAddr::V6(v6) if v6.is_multicast() => multicast_mac_v6(v6),
        _ => None,
    }
}

fn multicast_mac_v4(group: Ipv4Addr) -> Option<[u8; 6]> {
    let [_, b, c, d] = group.octets();
    Some([0x01, 0x00, 0x5e, b & 0x7f, c, d])
}

fn multicast_mac_v6(group: Ipv6Addr) -> Option<[u8; 6]> {
    let [.., a, b, c, d] = group.octets();
    Some([0x33, 0x33, a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::dice::Seeds;

    fn end(ip: &str, port: u16) -> Endpoint {
        Endpoint { address: ip.parse::<IpAddr>().expect("an address").into(), port }
    }

    #[test]
    fn frames_are_what_etherparse_says_they_are() {
        let pool = Pool::new(&Seeds::new(1));
        let mut options = TcpOptions::default();
        options.push(&[2, 4, 5, 0xb4]);
        let tcp = Transport::Tcp { seq: 7, ack: 9, flags: SYN, window: 64_240, options };
        let udp = Transport::Udp;
        let icmp = Transport::Icmp { kind: 8, code: 0, rest: [1, 2, 3, 4] };
        let icmp6 = Transport::Icmp { kind: 128, code: 0, rest: [1, 2, 3, 4] };
        let (v4, v6) = (["10.20.0.1", "203.0.113.7"], ["2001:db8:20::1", "2001:db8::7"]);
        for (name, [from, to], transport) in [
            ("tcp4", v4, tcp),
            ("tcp6", v6, tcp),
            ("udp4", v4, udp),
            ("udp6", v6, udp),
            ("icmp", v4, icmp),
            ("icmp6", v6, icmp6),
        ] {
            for length in [0u16, 1, 64, 1400] {
                let piece = Piece { source: Source::Framed { head: [0; 20], head_bytes: 0, base: 5 }, from: 0, length };
                let plan = Plan { payload: Some(piece), ..Plan::new(end(from, 1234), end(to, 443), 63, transport) };
                let mut out = Vec::new();
                plan.write(77, [[2; 6], [4; 6]], &pool, &mut out);
                verify(&out).unwrap_or_else(|e| panic!("{name} {length}: {e}"));
            }
        }
    }

    /// Whether every checksum of a frame is right.
    pub(crate) fn verify(frame: &[u8]) -> Result<(), String> {
        use etherparse::{NetSlice, SlicedPacket, TransportSlice};
        let sliced = SlicedPacket::from_ethernet(frame).map_err(|e| e.to_string())?;
        let (source, destination): (IpAddr, IpAddr) = match &sliced.net {
            Some(NetSlice::Ipv4(ip)) => {
                let header = ip.header().to_header();
                if header.calc_header_checksum() != header.header_checksum {
                    return Err("IPv4 header checksum".into());
                }
                (header.source.into(), header.destination.into())
            }
            Some(NetSlice::Ipv6(ip)) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
            _ => return Err("no IP".into()),
        };
        let (said, right) = match (&sliced.transport, source, destination) {
            (Some(TransportSlice::Tcp(tcp)), IpAddr::V4(s), IpAddr::V4(d)) => {
                (tcp.checksum(), tcp.calc_checksum_ipv4(s.octets(), d.octets()).map_err(|e| e.to_string())?)
            }
            (Some(TransportSlice::Tcp(tcp)), IpAddr::V6(s), IpAddr::V6(d)) => {
                (tcp.checksum(), tcp.calc_checksum_ipv6(s.octets(), d.octets()).map_err(|e| e.to_string())?)
            }
            (Some(TransportSlice::Udp(udp)), IpAddr::V4(s), IpAddr::V4(d)) => {
                let header = udp.to_header();
                (
                    udp.checksum(),
                    header.calc_checksum_ipv4_raw(s.octets(), d.octets(), udp.payload()).map_err(|e| e.to_string())?,
                )
            }
            (Some(TransportSlice::Udp(udp)), IpAddr::V6(s), IpAddr::V6(d)) => {
                let header = udp.to_header();
                (
                    udp.checksum(),
                    header.calc_checksum_ipv6_raw(s.octets(), d.octets(), udp.payload()).map_err(|e| e.to_string())?,
                )
            }
            (Some(TransportSlice::Icmpv4(icmp)), ..) => {
                (icmp.checksum(), icmp.icmp_type().calc_checksum(icmp.payload()))
            }
            (Some(TransportSlice::Icmpv6(icmp)), IpAddr::V6(s), IpAddr::V6(d)) => (
                icmp.checksum(),
                icmp.icmp_type().calc_checksum(s.octets(), d.octets(), icmp.payload()).map_err(|e| e.to_string())?,
            ),
            _ => return Err("no transport".into()),
        };
        if said == right { Ok(()) } else { Err(format!("checksum {said:04x}, should be {right:04x}")) }
    }
}
