//! Overlays of data centres: VXLAN (RFC 7348), VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe-12), GENEVE (RFC 8926), MPLS over
//! UDP and IP (RFC 7510, RFC 4023).
//! In: a UDP payload. Out: a wrapping. Bounds: one header.

use super::{Cargo, Port, Wrapping, is_certain};
use crate::packet::columns::TunnelKind;
use crate::packet::layer::Layer;
use crate::packet::link::{ETHER_TYPE_BRIDGING, Step};

/// The flag that says that the network identifier counts.
const VXLAN_INSTANCE: u8 = 0x08;
/// VXLAN-GPE: the last byte of the first word names what follows.
const VXLAN_NEXT_PROTOCOL: u8 = 0x04;
/// GENEVE: this packet is for the end point itself.
const GENEVE_CONTROL: u8 = 0x80;

pub(super) fn vxlan(layer: Layer<'_>, port: Port) -> Option<Wrapping<'_>> {
    let flags = layer.u8(0)?;
    let id = layer.be24(4)?;
    let step = Step::Ethernet(layer.skip(8)?);
    // Reserved bits are to be ignored, and implementations do use them.
    if flags & VXLAN_INSTANCE == 0 || port == Port::Foreign && (layer.u8(7) != Some(0) || !is_certain(step)) {
        return None;
    }
    Some(Wrapping { kind: TunnelKind::Vxlan, id, cargo: Cargo::Whole(step) })
}

pub(super) fn vxlan_gpe(layer: Layer<'_>) -> Option<Wrapping<'_>> {
    let (flags, next) = (layer.u8(0)?, layer.u8(3)?);
    if flags & VXLAN_NEXT_PROTOCOL == 0 {
        return vxlan(layer, Port::Own);
    }
    let rest = layer.skip(8)?;
    let step = match next {
        1 | 2 => Step::Ip(rest),
        3 => Step::Ethernet(rest),
        4 => Step::EtherType(0x894f, rest),
        5 => Step::Mpls(rest),
        _ => return None,
    };
    Some(Wrapping { kind: TunnelKind::Vxlan, id: layer.be24(4)?, cargo: Cargo::Whole(step) })
}

pub(super) fn geneve(layer: Layer<'_>, port: Port) -> Option<Wrapping<'_>> {
    let [version_options, flags, ..]: [u8; 8] = layer.array(0)?;
    let (kind, id) = (layer.be16(2)?, layer.be24(4)?);
    if version_options >> 6 != 0 {
        return None;
    }
    let rest = layer.skip(8 + usize::from(version_options & 0x3f) * 4)?;
    let step = match kind {
        ETHER_TYPE_BRIDGING => Step::Ethernet(rest),
        other => Step::EtherType(other, rest),
    };
    if port == Port::Foreign && (layer.u8(7) != Some(0) || !is_certain(step)) {
        return None;
    }
    let cargo = if flags & GENEVE_CONTROL != 0 { Cargo::NoPacket } else { Cargo::Whole(step) };
    Some(Wrapping { kind: TunnelKind::Geneve, id, cargo })
}

/// A label stack; its first label is the identifier.
pub(super) fn mpls(layer: Layer<'_>) -> Wrapping<'_> {
    let label = layer.be32(0).unwrap_or(0) >> 12;
    Wrapping { kind: TunnelKind::MplsInUdp, id: label, cargo: Cargo::Whole(Step::Mpls(layer)) }
}
