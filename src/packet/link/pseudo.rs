//! Headers that no wire carries: BSD loopback, Linux cooked, netfilter's log, Apple's tap.
//! In: a layer that begins with such a header. Out: the next step.
//! Bounds: [`ATTRIBUTES_MAX`] attributes of a netfilter log record.

use super::{LinkReject, Step, Stepped, ended, ether_type_at, skip};
use crate::packet::layer::Layer;
use crate::packet::reject::Reject;

/// Attributes looked at in one record; the kernel writes about twelve.
const ATTRIBUTES_MAX: usize = 64;
/// The attribute that holds the packet (`NFULA_PAYLOAD`).
const ATTRIBUTE_PAYLOAD: u16 = 9;

/// BSD loopback: an address family in the byte order of the machine that captured, or in network order.
pub(super) fn null(layer: Layer<'_>) -> Stepped<'_> {
    let family = layer.be32(0).ok_or_else(|| ended(layer, 4))?;
    // One of the two readings is below 65536 for every family there is.
    let family = family.min(family.swap_bytes());
    let rest = skip(layer, 4)?;
    match family {
        // AF_INET, and AF_INET6 of Linux, BSD/OS and NetBSD, FreeBSD, Darwin.
        2 | 10 | 24 | 28 | 30 => Ok(Step::Ip(rest)),
        _ => Err(Reject::NotIp.into()),
    }
}

/// Linux cooked v1: packet type, device type, address, protocol.
pub(super) fn cooked(layer: Layer<'_>) -> Stepped<'_> {
    match layer.be16(14) {
        Some(0x0004) => skip(layer, 16).map(Step::Llc),
        // 1 is Novell's bare 802.3, others below the ether types are the kernel's own (CAN, …).
        Some(0..1536) => Err(Reject::NotIp.into()),
        _ => ether_type_at(layer, 14, 16),
    }
}

/// Netfilter log: family, version, id, then attributes in the byte order of the machine that captured.
pub(super) fn nflog(layer: Layer<'_>) -> Stepped<'_> {
    let [family, version]: [u8; 2] = layer.array(0).ok_or_else(|| ended(layer, 4))?;
    if version != 0 {
        return Err(Reject::BadLink.into());
    }
    if !matches!(family, 2 | 10) {
        return Err(Reject::NotIp.into());
    }
    let mut rest = skip(layer, 4)?;
    for _ in 0..ATTRIBUTES_MAX {
        let [a, b, c, d]: [u8; 4] = rest.array(0).ok_or_else(|| ended(rest, 4))?;
        let (mut length, mut kind) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        // Kinds are small numbers: where one is not, the record is big-endian.
        if kind > 0x3ff {
            (length, kind) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        }
        if length < 4 {
            return Err(Reject::BadLink.into());
        }
        if kind == ATTRIBUTE_PAYLOAD {
            return Ok(Step::Ip(skip(rest.trim(u32::from(length)), 4)?));
        }
        rest = skip(rest, (usize::from(length) + 3) & !3)?;
    }
    Err(Reject::BadLink.into())
}

/// Apple's tap: header length, record type, link type, little-endian all.
pub(super) fn pktap(layer: Layer<'_>) -> Stepped<'_> {
    let head: [u8; 12] = layer.array(0).ok_or_else(|| ended(layer, 12))?;
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    let link = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
    let link = u16::try_from(link).map_err(|_| LinkReject::Plain(Reject::BadLink))?;
    if length < 12 {
        return Err(Reject::BadLink.into());
    }
    Ok(Step::Link(link, skip(layer, length as usize)?))
}
