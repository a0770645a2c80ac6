//! GRE (RFC 2784, RFC 2890), its version 1 for PPTP (RFC 2637), NVGRE (RFC 7637), and ERSPAN I, II, III over it
//! (draft-foschiano-erspan-03).
//! In: the bytes after the IP header. Out: a wrapping. Bounds: one header, [`ROUTES_MAX`] source routes.

use super::{Cargo, Wrapping, is_plausible};
use crate::packet::columns::TunnelKind;
use crate::packet::layer::Layer;
use crate::packet::link::{ETHER_TYPE_BRIDGING, Step};

const CHECKSUM: u16 = 0x8000;
const ROUTING: u16 = 0x4000;
const KEY: u16 = 0x2000;
const SEQUENCE: u16 = 0x1000;
/// Version 1 only: an acknowledgement number follows.
const ACKNOWLEDGEMENT: u16 = 0x0080;
const VERSION: u16 = 0x0007;

const PROTOCOL_PPP: u16 = 0x880b;
const PROTOCOL_ERSPAN: u16 = 0x88be;
const PROTOCOL_ERSPAN_III: u16 = 0x22eb;
const PROTOCOL_WCCP: u16 = 0x883e;
/// ERSPAN: the mirror cut the frame to fit.
const ERSPAN_TRUNCATED: u32 = 0x400;
/// Source route entries followed (RFC 1701), which nobody sends any more.
const ROUTES_MAX: usize = 8;

pub(super) fn read(layer: Layer<'_>) -> Option<Wrapping<'_>> {
    let (flags, protocol) = (layer.be16(0)?, layer.be16(2)?);
    match flags & VERSION {
        0 => version_0(layer, flags, protocol),
        1 if protocol == PROTOCOL_PPP && flags & KEY != 0 => pptp(layer, flags),
        _ => None,
    }
}

fn version_0(layer: Layer<'_>, flags: u16, protocol: u16) -> Option<Wrapping<'_>> {
    let mut at = 4;
    if flags & (CHECKSUM | ROUTING) != 0 {
        at += 4;
    }
    let mut key = 0;
    if flags & KEY != 0 {
        key = layer.be32(at)?;
        at += 4;
    }
    if flags & SEQUENCE != 0 {
        at += 4;
    }
    if flags & ROUTING != 0 {
        at = after_routes(layer, at)?;
    }
    let rest = layer.skip(at)?;
    match protocol {
        PROTOCOL_ERSPAN if flags & SEQUENCE == 0 => {
            Some(Wrapping { kind: TunnelKind::ErspanI, id: 0, cargo: Cargo::Whole(Step::Ethernet(rest)) })
        }
        PROTOCOL_ERSPAN => erspan_ii(rest),
        PROTOCOL_ERSPAN_III => erspan_iii(rest),
        // WCCP v2 puts a header of its own before the packet, v1 does not.
        PROTOCOL_WCCP => {
            let packet = if is_plausible(Step::Ip(rest)) { rest } else { rest.skip(4)? };
            Some(gre(key, Step::Ip(packet)))
        }
        // Access points of one make send 802.11 frames, by a range of numbers and 0x9000.
        0x8200..=0x8210 | 0x9000 => Some(gre(key, Step::Wifi(rest))),
        // NVGRE's key is a 24-bit network and an 8-bit flow; the network is what stays.
        ETHER_TYPE_BRIDGING => {
            let network = if flags & KEY != 0 { key >> 8 } else { 0 };
            Some(gre(network, Step::Ethernet(rest)))
        }
        // A keep-alive that routers send to have it sent back.
        0 => Some(Wrapping { kind: TunnelKind::Gre, id: key, cargo: Cargo::NoPacket }),
        other => Some(gre(key, Step::EtherType(other, rest))),
    }
}

fn gre(id: u32, step: Step<'_>) -> Wrapping<'_> {
    Wrapping { kind: TunnelKind::Gre, id, cargo: Cargo::Whole(step) }
}

/// Source routes end with an entry of family and length zero.
fn after_routes(layer: Layer<'_>, at: usize) -> Option<usize> {
    let mut at = at;
    for _ in 0..ROUTES_MAX {
        let (family, length) = (layer.be16(at)?, usize::from(layer.u8(at + 3)?));
        at += 4 + length;
        if family == 0 && length == 0 {
            return Some(at);
        }
    }
    None
}

/// Version 1: the key is payload length and call; a packet without a sequence number is an acknowledgement alone.
fn pptp(layer: Layer<'_>, flags: u16) -> Option<Wrapping<'_>> {
    let (length, call) = (layer.be16(4)?, layer.be16(6)?);
    let mut at = 8;
    if flags & SEQUENCE != 0 {
        at += 4;
    }
    if flags & ACKNOWLEDGEMENT != 0 {
        at += 4;
    }
    let rest = layer.skip(at)?;
    if u32::from(length) > rest.wire {
        return None;
    }
    let cargo = match flags & SEQUENCE != 0 && length > 0 {
        true => Cargo::Whole(Step::Ppp(rest.trim(u32::from(length)))),
        false => Cargo::NoPacket,
    };
    Some(Wrapping { kind: TunnelKind::Pptp, id: u32::from(call), cargo })
}

/// Type II: version 1, VLAN, class, encapsulation, truncated, session; then port index.
fn erspan_ii(layer: Layer<'_>) -> Option<Wrapping<'_>> {
    let head = layer.be32(0)?;
    if head >> 28 != 1 {
        return None;
    }
    let step = Step::Ethernet(layer.skip(8)?);
    Some(Wrapping { kind: TunnelKind::ErspanII, id: head & 0x3ff, cargo: mirrored(head, step) })
}

/// Type III: version 2; timestamp; group, frame type, hardware, direction; a platform header where the last bit says so.
fn erspan_iii(layer: Layer<'_>) -> Option<Wrapping<'_>> {
    let (head, tail) = (layer.be32(0)?, layer.be16(10)?);
    if head >> 28 != 2 {
        return None;
    }
    let header_bytes = if tail & 1 != 0 { 20 } else { 12 };
    let rest = layer.skip(header_bytes)?;
    let step = match tail >> 10 & 0x1f {
        0 => Step::Ethernet(rest),
        2 => Step::Ip(rest),
        _ => return Some(Wrapping { kind: TunnelKind::ErspanIII, id: head & 0x3ff, cargo: Cargo::NoPacket }),
    };
    Some(Wrapping { kind: TunnelKind::ErspanIII, id: head & 0x3ff, cargo: mirrored(head, step) })
}

fn mirrored(head: u32, step: Step<'_>) -> Cargo<'_> {
    if head & ERSPAN_TRUNCATED != 0 { Cargo::Cut(step) } else { Cargo::Whole(step) }
}
