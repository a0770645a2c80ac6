//! Tunnels: is this payload another packet, and where does it begin?
//! In: an IP protocol or a pair of ports, and the payload. Out: a `Wrapping`, or nothing where the content disagrees.
//! Bounds: one header a call; nesting is the parser's (`depth_max`). Time: none.
//!
//! A port alone proves nothing: games, DNS and encrypted traffic use every port there is. So a header must hold together
//! here, and what it leads to must be a plausible IP header before the parser believes it. On ports that are not a
//! tunnel's own, only forms that are certain count: header, inner header, its checksum and its length must all agree.

mod gre;
mod mobile;
mod overlay;
mod probe;
mod transition;

use super::columns::TunnelKind;
use super::layer::Layer;
use super::link::Step;
use super::net::{self, IpPacket, protocol};
use crate::units::Address;

/// A tunnel header that holds together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wrapping<'a> {
    pub kind: TunnelKind,
    /// VNI, TEID, key, session; 0 for none.
    pub id: u32,
    pub cargo: Cargo<'a>,
}

/// What a tunnel carries.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cargo<'a> {
    /// A frame or packet, all of it.
    Whole(Step<'a>),
    /// A frame of which the mirror may have cut off the end: its lengths are true, its bytes may be fewer.
    Cut(Step<'a>),
    /// Words about a packet, and its payload (HEP).
    Told(Told<'a>),
    /// The form is a tunnel's, but what it carries here is no IP packet (ARP, a keep-alive, control).
    NoPacket,
}

/// A packet of which the tunnel tells the addresses instead of carrying the headers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told<'a> {
    pub source: Address,
    pub destination: Address,
    pub ports: [u16; 2],
    pub protocol: u8,
    pub payload: Layer<'a>,
}

/// How sure the form alone makes us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    /// The port is the tunnel's own: a plausible inner packet is enough.
    Own,
    /// Any other: every check there is must hold.
    Foreign,
}

/// A tunnel directly over IP.
pub(crate) fn over_ip<'a>(ip: &IpPacket<'a>) -> Option<Wrapping<'a>> {
    match ip.protocol {
        protocol::IPV4 => Some(Wrapping { kind: TunnelKind::IpInIp, id: 0, cargo: Cargo::Whole(Step::Ip(ip.body)) }),
        protocol::IPV6 => {
            let kind = if ip.version == 4 { TunnelKind::SixInFour } else { TunnelKind::IpInIp };
            Some(Wrapping { kind, id: 0, cargo: Cargo::Whole(Step::Ip(ip.body)) })
        }
        protocol::GRE => gre::read(ip.body),
        protocol::L2TP => transition::l2tp_v3(ip.body),
        protocol::MPLS_IN_IP => Some(overlay::mpls(ip.body)),
        _ => None,
    }
}

/// A tunnel over UDP.
#[inline]
pub(crate) fn over_udp<'a>(ports: [u16; 2], payload: Layer<'a>) -> Option<Wrapping<'a>> {
    // The shortest of them all is four bytes of MPLS and an IPv4 header.
    if payload.bytes.len() < 24 {
        return None;
    }
    by_port(ports[1], payload).or_else(|| by_port(ports[0], payload)).or_else(|| by_form(payload))
}

fn by_port<'a>(port: u16, payload: Layer<'a>) -> Option<Wrapping<'a>> {
    match port {
        4789 | 8472 => overlay::vxlan(payload, Port::Own),
        4790 => overlay::vxlan_gpe(payload),
        6081 => overlay::geneve(payload, Port::Own),
        6635 => Some(overlay::mpls(payload)),
        4754 => gre::read(payload),
        2152 => mobile::gtp_u(payload, Port::Own),
        1701 => transition::l2tp(payload),
        3544 => transition::teredo(payload),
        5072 => transition::ayiya(payload),
        37008 => probe::tzsp(payload),
        9060..=9063 => probe::hep(payload),
        _ => None,
    }
}

/// A tunnel on a port that is not its own. The first test of each form is on the fixed bits of its header, so that
/// other traffic costs a few comparisons.
#[inline]
fn by_form<'a>(payload: Layer<'a>) -> Option<Wrapping<'a>> {
    let head = payload.be32(0)?;
    match head {
        0x0800_0000 => overlay::vxlan(payload, Port::Foreign),
        probe::HEP3_MAGIC => probe::hep(payload),
        0x0100_0001 | 0x0101_0001 => probe::tzsp(payload).filter(|found| leads_to_certainty(found)),
        _ if head >> 16 & 0xf8ff == 0x30ff => mobile::gtp_u(payload, Port::Foreign),
        _ if head & 0xc0ff_ffff == 0x6558 => overlay::geneve(payload, Port::Foreign),
        _ => None,
    }
}

/// A tunnel message inside a TCP segment, and how many bytes it takes.
#[inline]
pub(crate) fn over_tcp<'a>(payload: Layer<'a>) -> Option<(Wrapping<'a>, usize)> {
    match payload.bytes {
        [0, probe::RPCAP_PACKET, ..] => probe::rpcap(payload),
        [b'H', b'E', b'P', b'3', high, low, ..] => {
            let wrapping = probe::hep(payload)?;
            Some((wrapping, usize::from(u16::from_be_bytes([*high, *low]))))
        }
        _ => None,
    }
}

/// Whether what is wrapped is an IP packet beyond doubt.
fn leads_to_certainty(found: &Wrapping<'_>) -> bool {
    matches!(&found.cargo, Cargo::Whole(step) if is_certain(*step))
}

/// Whether what a step leads to is an IP packet beyond doubt: for ports that are not the tunnel's own.
fn is_certain(step: Step<'_>) -> bool {
    super::link::follow(step).is_ok_and(net::is_certain)
}

/// Whether what a step leads to is a plausible IP packet.
fn is_plausible(step: Step<'_>) -> bool {
    super::link::follow(step).is_ok_and(net::is_plausible)
}

#[cfg(test)]
mod tests;
