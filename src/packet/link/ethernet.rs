//! Ethernet II, 802.3 with LLC and SNAP, tags, MPLS, PPPoE.
//! In: a layer that begins with a MAC header, or with what an ether type names. Out: the next step.
//! Bounds: one header a call. Not here: 802.11 and other link types, which join at `ether_type` or `llc`.

use super::{LinkReject, Step, Stepped, ended, ether_type_at, skip};
use crate::packet::layer::Layer;
use crate::packet::net;
use crate::packet::reject::Reject;

pub(crate) const ETHER_TYPE_IPV4: u16 = 0x0800;
pub(crate) const ETHER_TYPE_IPV6: u16 = 0x86dd;
/// Transparent Ethernet bridging: a whole Ethernet frame (GRE, GENEVE).
pub(crate) const ETHER_TYPE_BRIDGING: u16 = 0x6558;
pub(super) const ETHER_TYPE_PPPOE: u16 = 0x8864;

/// Up to here the field after the addresses is a length (IEEE 802.3).
const LENGTH_MAX: u16 = 1500;
/// From here on it is an ether type.
const ETHER_TYPE_MIN: u16 = 1536;
/// MPLS labels followed in one stack.
const LABELS_MAX: usize = 16;

/// A whole Ethernet frame.
pub(super) fn frame(layer: Layer<'_>) -> Stepped<'_> {
    ether_type_at(layer, 12, 14)
}

/// What follows an ether type.
pub(super) fn ether_type(kind: u16, layer: Layer<'_>) -> Stepped<'_> {
    match kind {
        ETHER_TYPE_IPV4 | ETHER_TYPE_IPV6 => Ok(Step::Ip(layer)),
        0..=LENGTH_MAX => Ok(Step::Llc(layer.trim(u32::from(kind)))),
        // 802.1Q, 802.1ad, and the ways of stacking that came before it.
        0x8100 | 0x88a8 | 0x9100 | 0x9200 => ether_type_at(layer, 2, 4),
        0x8847 | 0x8848 => Ok(Step::Mpls(layer)),
        ETHER_TYPE_PPPOE => pppoe(layer),
        ETHER_TYPE_BRIDGING => Ok(Step::Ethernet(layer)),
        // Provider backbone bridging: a service tag, then the customer's frame (IEEE 802.1ah).
        0x88e7 => skip(layer, 4).map(Step::Ethernet),
        0x8903 => skip(layer, 2).map(Step::Ethernet), // FabricPath: tree and hops, then the frame
        0x8926 => ether_type_at(layer, 4, 6),         // VN-Tag
        0x894f => service_header(layer),
        0x880b => Ok(Step::Ppp(layer)),
        0x8870 => Ok(Step::Llc(layer)), // 802.3 frames too long for their length field
        0x88e5 => secured(layer),
        known if is_other_protocol(known) => Err(Reject::NotIp.into()),
        unknown => Err(LinkReject::EtherType(unknown)),
    }
}

/// Ether types known to carry no IP packet, and 802.3 lengths that are neither length nor type.
fn is_other_protocol(kind: u16) -> bool {
    matches!(
        kind,
        1501..ETHER_TYPE_MIN
            | 0x0806 // ARP
            | 0x8035 // reverse ARP
            | 0x6000..=0x6009 // DEC
            | 0x809b | 0x80f3 // AppleTalk
            | 0x8137 | 0x8138 // IPX
            | 0x814c // SNMP
            | 0x8204 | 0x8808 | 0x8809 | 0x8863 | 0x8874 | 0x886c | 0x887b
            | 0x888e // 802.1X
            | 0x8892 // PROFINET
            | 0x8899 | 0x889a | 0x88a2 | 0x88a4 | 0x88ab | 0x88b5..=0x88b8 | 0x88ba | 0x88c7 | 0x88ca
            | 0x88cc // LLDP
            | 0x88cd | 0x88d9 | 0x88e1 | 0x88e3 | 0x88f5..=0x88f8 | 0x88fb | 0x8902 | 0x8906 | 0x8914 | 0x8915
            | 0x891d | 0x892f | 0x893a | 0x9000 | 0x9003 | 0xcafe | 0xfffe | 0xffff
    )
}

/// 802.2 LLC, with SNAP (RFC 1042, RFC 2684).
pub(super) fn llc(layer: Layer<'_>) -> Stepped<'_> {
    let [dsap, ssap, control]: [u8; 3] = layer.array(0).ok_or_else(|| ended(layer, 3))?;
    match (dsap, ssap & !1, control) {
        (0xaa, 0xaa, 0x03) => {
            let [a, b, c, d, e]: [u8; 5] = layer.array(3).ok_or_else(|| ended(layer, 8))?;
            let (organisation, kind) = (u32::from_be_bytes([0, a, b, c]), u16::from_be_bytes([d, e]));
            let rest = skip(layer, 8)?;
            match (organisation, kind) {
                (0 | 0xf8, ETHER_TYPE_MIN..) => Ok(Step::EtherType(kind, rest)),
                // Bridged Ethernet over ATM has two bytes of padding first; 1 is with, 7 without frame check sequence.
                (0x80c2, 1 | 7) => skip(rest, 2).map(Step::Ethernet),
                _ => Err(Reject::NotIp.into()),
            }
        }
        (0x06, 0x06, 0x03) => skip(layer, 3).map(Step::Ip),
        _ => Err(Reject::NotIp.into()),
    }
}

/// MACsec (IEEE 802.1AE): what is only authenticated can be read; encrypted or changed it cannot.
fn secured(layer: Layer<'_>) -> Stepped<'_> {
    let control = layer.u8(0).ok_or_else(|| ended(layer, 6))?;
    if control & 0x0c != 0 {
        return Err(Reject::Opaque.into());
    }
    // Control, length, packet number, and where bit 5 is set a channel identifier.
    let header_bytes = if control & 0x20 != 0 { 14 } else { 6 };
    ether_type_at(layer, header_bytes, header_bytes + 2)
}

/// PPPoE session stage (RFC 2516).
fn pppoe(layer: Layer<'_>) -> Stepped<'_> {
    let [version_type, code, _, _, high, low]: [u8; 6] = layer.array(0).ok_or_else(|| ended(layer, 6))?;
    match (version_type, code) {
        (0x11, 0) => {
            let length = u32::from(u16::from_be_bytes([high, low]));
            Ok(Step::Ppp(skip(layer, 6)?.trim(length)))
        }
        (0x11, _) => Err(Reject::NotIp.into()),
        _ => Err(Reject::BadLink.into()),
    }
}

/// Network service header (RFC 8300): its length in words of four bytes, and what comes next.
fn service_header(layer: Layer<'_>) -> Stepped<'_> {
    let [_, length, _, next]: [u8; 4] = layer.array(0).ok_or_else(|| ended(layer, 4))?;
    let rest = skip(layer, usize::from(length & 0x3f) * 4)?;
    match next {
        1 | 2 => Ok(Step::Ip(rest)),
        3 => Ok(Step::Ethernet(rest)),
        5 => Ok(Step::Mpls(rest)),
        _ => Err(Reject::NotIp.into()),
    }
}

/// A label stack (RFC 3032). Nothing says what is under it: IP is told by its first nibble and a header that holds
/// together, a pseudo-wire by its control word (RFC 4385) or by an ether type in the right place.
pub(super) fn mpls(layer: Layer<'_>) -> Stepped<'_> {
    let mut rest = layer;
    let mut bottom = false;
    for _ in 0..LABELS_MAX {
        let label = rest.be32(0).ok_or_else(|| ended(rest, 4))?;
        rest = skip(rest, 4)?;
        if label & 0x100 != 0 {
            bottom = true;
            break;
        }
    }
    if !bottom {
        return Err(Reject::LinkDepthExceeded.into());
    }
    let first = rest.u8(0).ok_or_else(|| ended(rest, 1))?;
    match first >> 4 {
        4 | 6 if net::is_plausible(rest) => Ok(Step::Ip(rest)),
        0 if rest.skip(4).is_some_and(looks_like_ethernet) => skip(rest, 4).map(Step::Ethernet),
        _ if looks_like_ethernet(rest) => Ok(Step::Ethernet(rest)),
        // A cut or damaged IP packet, then: its reader says how.
        4 | 6 => Ok(Step::Ip(rest)),
        _ => Err(Reject::NotIp.into()),
    }
}

/// Whether the field after two MAC addresses could be what it has to be.
fn looks_like_ethernet(layer: Layer<'_>) -> bool {
    match layer.be16(12) {
        Some(ETHER_TYPE_IPV4 | ETHER_TYPE_IPV6) => layer.skip(14).is_some_and(net::is_plausible),
        Some(0x0806 | 0x8100 | 0x88a8 | 0x8847 | 0x8863 | ETHER_TYPE_PPPOE | 0x88cc) => true,
        Some(length @ 3..=LENGTH_MAX) => layer.wire >= u32::from(length) + 14,
        _ => false,
    }
}
