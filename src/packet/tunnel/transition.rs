//! Tunnels of access networks and of the way to IPv6: L2TP (RFC 2661, RFC 3931), Teredo (RFC 4380), AYIYA
//! (draft-massar-v6ops-ayiya-02).
//! In: a UDP payload, for L2TPv3 also an IP one. Out: a wrapping. Bounds: one header, two Teredo indications.

use super::{Cargo, Wrapping, is_plausible};
use crate::packet::columns::TunnelKind;
use crate::packet::layer::Layer;
use crate::packet::link::Step;
use crate::packet::net::protocol;

const CONTROL: u16 = 0x8000;
const LENGTH: u16 = 0x4000;
const SEQUENCE: u16 = 0x0800;
const OFFSET: u16 = 0x0200;

/// L2TP over UDP: version 2 carries PPP, version 3 anything.
pub(super) fn l2tp(layer: Layer<'_>) -> Option<Wrapping<'_>> {
    let flags = layer.be16(0)?;
    match flags & 0xf {
        2 => l2tp_v2(layer, flags),
        3 if flags & CONTROL == 0 => l2tp_v3(layer.skip(4)?),
        _ => None,
    }
}

fn l2tp_v2(layer: Layer<'_>, flags: u16) -> Option<Wrapping<'_>> {
    // The bits that RFC 2661 reserves are zero in every honest header.
    if flags & 0x34f0 != 0 || flags & CONTROL != 0 {
        return None;
    }
    let mut layer = layer;
    let mut at = 2;
    if flags & LENGTH != 0 {
        let length = u32::from(layer.be16(at)?);
        if length > layer.wire {
            return None;
        }
        layer = layer.trim(length);
        at += 2;
    }
    let id = layer.be32(at)?;
    at += 4;
    if flags & SEQUENCE != 0 {
        at += 4;
    }
    if flags & OFFSET != 0 {
        at += 2 + usize::from(layer.be16(at)?);
    }
    let cargo = match ppp_packet(layer.skip(at)?) {
        Some(step) => Cargo::Whole(step),
        None => Cargo::NoPacket,
    };
    Some(Wrapping { kind: TunnelKind::L2tp, id, cargo })
}

/// A PPP frame that leads to a plausible IP packet; link and network control lead to none.
fn ppp_packet(layer: Layer<'_>) -> Option<Step<'_>> {
    let step = Step::Ppp(layer);
    is_plausible(step).then_some(step)
}

/// L2TPv3 data: a session, then a cookie of none, four or eight bytes and perhaps a sublayer of four, all as agreed
/// beforehand. The first reading under which a packet appears is the true one.
pub(super) fn l2tp_v3(layer: Layer<'_>) -> Option<Wrapping<'_>> {
    let id = layer.be32(0)?;
    if id == 0 {
        return None;
    }
    for at in [4, 8, 12, 16] {
        let rest = layer.skip(at)?;
        for step in [Step::Ethernet(rest), Step::Ppp(rest), Step::Ip(rest)] {
            if is_plausible(step) {
                return Some(Wrapping { kind: TunnelKind::L2tp, id, cargo: Cargo::Whole(step) });
            }
        }
    }
    None
}

/// Teredo: authentication and origin indications may come before the IPv6 packet, which must fill the datagram.
pub(super) fn teredo(layer: Layer<'_>) -> Option<Wrapping<'_>> {
    let mut rest = layer;
    if rest.be16(0)? == 1 {
        let (client, value) = (usize::from(rest.u8(2)?), usize::from(rest.u8(3)?));
        rest = rest.skip(4 + client + value + 9)?;
    }
    if rest.be16(0)? == 0 {
        rest = rest.skip(8)?;
    }
    let payload = u32::from(rest.be16(4)?);
    if rest.u8(0)? >> 4 != 6 || payload + 40 > rest.wire {
        return None;
    }
    // What is left over must be trailers: kind, length, value.
    let left = rest.wire - (payload + 40);
    if left != 0 && left < 4 {
        return None;
    }
    Some(Wrapping { kind: TunnelKind::Teredo, id: 0, cargo: Cargo::Whole(Step::Ip(rest)) })
}

/// AYIYA: lengths of identity and signature, operation (1 is forward), next header.
pub(super) fn ayiya(layer: Layer<'_>) -> Option<Wrapping<'_>> {
    let [identity, signature, operation, next]: [u8; 4] = layer.array(0)?;
    let identity_bytes = 1usize << (identity >> 4);
    let signature_bytes = usize::from(signature >> 4) * 4;
    let rest = layer.skip(8 + identity_bytes + signature_bytes)?;
    let cargo = match (operation & 0xf, next) {
        (1, protocol::IPV4 | protocol::IPV6) => Cargo::Whole(Step::Ip(rest)),
        (0..=11, _) => Cargo::NoPacket,
        _ => return None,
    };
    Some(Wrapping { kind: TunnelKind::Ayiya, id: 0, cargo })
}
