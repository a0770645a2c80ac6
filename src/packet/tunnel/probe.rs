//! Encapsulations that exist to watch: TZSP (routers and access points), HEP (telephony, hep_rev12), rpcap (remote
//! capture, the protocol of libpcap).
//! In: a UDP payload or a TCP segment. Out: a wrapping. Bounds: [`FIELDS_MAX`] tagged fields or chunks.

use super::{Cargo, Told, Wrapping, is_plausible};
use crate::packet::columns::TunnelKind;
use crate::packet::layer::Layer;
use crate::packet::link::Step;
use crate::units::Address;

/// Tagged fields (TZSP) or chunks (HEP) looked at in one message; both send under twenty.
const FIELDS_MAX: usize = 64;

const TZSP_RECEIVED: u8 = 0;
const TZSP_TRANSMIT: u8 = 1;
const TZSP_TAG_PADDING: u8 = 0;
const TZSP_TAG_END: u8 = 1;

/// TZSP version 1: type, encapsulated protocol, tagged fields, frame.
pub(super) fn tzsp(layer: Layer<'_>) -> Option<Wrapping<'_>> {
    let [version, kind, high, low]: [u8; 4] = layer.array(0)?;
    if version != 1 || !matches!(kind, TZSP_RECEIVED..=TZSP_TRANSMIT | 2..=5) {
        return None;
    }
    if kind > TZSP_TRANSMIT {
        return Some(Wrapping { kind: TunnelKind::Tzsp, id: 0, cargo: Cargo::NoPacket });
    }
    let mut at = 4;
    let mut ended = false;
    for _ in 0..FIELDS_MAX {
        match layer.u8(at)? {
            TZSP_TAG_PADDING => at += 1,
            TZSP_TAG_END => {
                ended = true;
                at += 1;
                break;
            }
            _ => at += 2 + usize::from(layer.u8(at + 1)?),
        }
    }
    let rest = layer.skip(at).filter(|_| ended)?;
    // The numbers are link types, with 18 for 802.11.
    let step = match u16::from_be_bytes([high, low]) {
        1 => Step::Ethernet(rest),
        18 => Step::Wifi(rest),
        other => Step::Link(other, rest),
    };
    Some(Wrapping { kind: TunnelKind::Tzsp, id: 0, cargo: Cargo::Whole(step) })
}

/// "HEP3".
pub(super) const HEP3_MAGIC: u32 = 0x4845_5033;

/// HEP: version 3 by its magic, 1 and 2 by their fixed header.
pub(super) fn hep(layer: Layer<'_>) -> Option<Wrapping<'_>> {
    let (told, id) = match layer.be32(0)? {
        HEP3_MAGIC => hep_3(layer)?,
        _ => hep_1_2(layer)?,
    };
    let cargo = if matches!(told.protocol, 6 | 17 | 132) { Cargo::Told(told) } else { Cargo::NoPacket };
    Some(Wrapping { kind: TunnelKind::Hep, id, cargo })
}

/// Chunks: vendor, kind, length (with its own six bytes), value. Vendor 0 is the protocol's own.
fn hep_3(layer: Layer<'_>) -> Option<(Told<'_>, u32)> {
    let length = u32::from(layer.be16(4)?);
    if length > layer.wire {
        return None;
    }
    let layer = layer.trim(length);
    let (mut source, mut destination, mut payload) = (None, None, None);
    let (mut ports, mut protocol, mut id) = ([0; 2], 0, 0);
    let mut at = 6;
    for _ in 0..FIELDS_MAX {
        if at as u64 >= u64::from(length) || at >= layer.bytes.len() {
            break;
        }
        let (vendor, kind, bytes) = (layer.be16(at)?, layer.be16(at + 2)?, usize::from(layer.be16(at + 4)?));
        let value = layer.skip(at + 6)?;
        if bytes < 6 {
            return None;
        }
        match (vendor, kind) {
            (0, 2) => protocol = value.u8(0)?,
            (0, 3) => source = Some(Address::v4(value.array(0)?)),
            (0, 4) => destination = Some(Address::v4(value.array(0)?)),
            (0, 5) => source = Some(Address::v6(value.array(0)?)),
            (0, 6) => destination = Some(Address::v6(value.array(0)?)),
            (0, 7) => ports[0] = value.be16(0)?,
            (0, 8) => ports[1] = value.be16(0)?,
            (0, 12) => id = value.be32(0)?,
            (0, 15) => payload = Some(value.trim(bytes as u32 - 6)),
            _ => {}
        }
        at += bytes;
    }
    let (source, destination) = (source?, destination?);
    Some((Told { source, destination, ports, protocol, payload: payload? }, id))
}

/// Version, length, family, protocol, ports, addresses; version 2 adds time and capture id.
fn hep_1_2(layer: Layer<'_>) -> Option<(Told<'_>, u32)> {
    let [version, length, family, protocol]: [u8; 4] = layer.array(0)?;
    let ports = [layer.be16(4)?, layer.be16(6)?];
    let (source, destination, fixed) = match family {
        2 => (Address::v4(layer.array(8)?), Address::v4(layer.array(12)?), 16),
        10 => (Address::v6(layer.array(8)?), Address::v6(layer.array(24)?), 40),
        _ => return None,
    };
    if usize::from(length) != fixed {
        return None;
    }
    let (payload, id) = match version {
        1 => (layer.skip(fixed)?, 0),
        2 => (layer.skip(fixed + 12)?, u32::from(u16::from_le_bytes(layer.array(fixed + 8)?))),
        _ => return None,
    };
    Some((Told { source, destination, ports, protocol, payload }, id))
}

/// Message type of a captured packet.
pub(super) const RPCAP_PACKET: u8 = 7;
const RPCAP_HEADER_BYTES: usize = 8;
/// Seconds, microseconds, captured length, wire length, number.
const RPCAP_PACKET_HEADER_BYTES: u32 = 20;

/// One whole rpcap message: version 0, type, value, length; then a packet header whose lengths must agree with it and
/// a frame that leads to a plausible IP packet. The data connection has any port, so the form must carry it all.
pub(super) fn rpcap(layer: Layer<'_>) -> Option<(Wrapping<'_>, usize)> {
    let length = layer.be32(4)?;
    let (microseconds, captured, wire) = (layer.be32(12)?, layer.be32(16)?, layer.be32(20)?);
    let frame = layer.skip(RPCAP_HEADER_BYTES + RPCAP_PACKET_HEADER_BYTES as usize)?;
    if microseconds >= 1_000_000
        || captured > wire
        || wire > 0x4_0000
        || length != captured + RPCAP_PACKET_HEADER_BYTES
        || captured > frame.wire
    {
        return None;
    }
    let mut frame = frame.trim(captured);
    frame.wire = wire;
    let step = Step::Ethernet(frame);
    let cargo = if is_plausible(step) { Cargo::Cut(step) } else { Cargo::NoPacket };
    Some((Wrapping { kind: TunnelKind::Rpcap, id: 0, cargo }, RPCAP_HEADER_BYTES + length as usize))
}
