//! PPP and the other serial lines: HDLC, Cisco HDLC, frame relay.
//! In: a layer that begins with their header. Out: the next step. Bounds: one header a call.

use super::{LinkReject, Step, Stepped, ended, ether_type_at, skip};
use crate::packet::layer::Layer;
use crate::packet::reject::Reject;

/// A PPP frame (RFC 1661): address and control may be left out, and the protocol may be one byte.
pub(super) fn frame(layer: Layer<'_>) -> Stepped<'_> {
    let layer = match layer.array(0) {
        // pppd's own link type has the direction in place of the address, and 03 after it.
        Some([0xff | 0x00, 0x03]) => skip(layer, 2)?,
        // Some capture Cisco's framing under the number of PPP; no PPP protocol has these numbers.
        Some([0x0f | 0x8f, 0x00]) => return cisco_hdlc(layer),
        _ => layer,
    };
    let first = layer.u8(0).ok_or_else(|| ended(layer, 2))?;
    let (protocol, rest) = match first & 1 {
        1 => (u16::from(first), skip(layer, 1)?),
        _ => (layer.be16(0).ok_or_else(|| ended(layer, 2))?, skip(layer, 2)?),
    };
    match protocol {
        0x0021 | 0x0057 => Ok(Step::Ip(rest)),
        0x0281 | 0x0283 => Ok(Step::Mpls(rest)),
        // Bridging (RFC 3518): flags and MAC type 1, then the frame.
        0x0031 if rest.u8(1) == Some(1) => skip(rest, 2).map(Step::Ethernet),
        0x0031 => Err(Reject::NotIp.into()),
        // Van Jacobson and robust header compression, encryption, compression, pieces of a multilink bundle.
        0x002d | 0x002f | 0x0003 | 0x0053 | 0x0055 | 0x00fb | 0x00fd | 0x003d => Err(Reject::Opaque.into()),
        // From 0x4000 on: network control, link control, authentication.
        0x4000.. | 0x0023 | 0x0025 | 0x0027 | 0x0029 | 0x002b | 0x0035 | 0x003f | 0x0049 | 0x0207 => {
            Err(Reject::NotIp.into())
        }
        unknown => Err(LinkReject::EtherType(unknown)),
    }
}

/// PPP in HDLC framing, or Cisco's, told apart by the first byte.
pub(super) fn hdlc(layer: Layer<'_>) -> Stepped<'_> {
    match layer.u8(0) {
        Some(0x0f | 0x8f) => cisco_hdlc(layer),
        _ => Ok(Step::Ppp(layer)),
    }
}

/// Cisco HDLC: address, control, ether type.
pub(super) fn cisco_hdlc(layer: Layer<'_>) -> Stepped<'_> {
    match layer.be16(2) {
        Some(0x8035 | 0x2000) => Err(Reject::NotIp.into()), // SLARP and CDP
        Some(0xfefe) => Err(Reject::NotIp.into()),          // ISO protocols
        _ => ether_type_at(layer, 2, 4),
    }
}

/// Frame relay: an address of two to four bytes, then RFC 2427's control and NLPID, or Cisco's ether type.
pub(super) fn frame_relay(layer: Layer<'_>) -> Stepped<'_> {
    // The last byte of the address has its lowest bit set (Q.922).
    let address_bytes = (2..=4)
        .find(|n| layer.u8(n - 1).is_some_and(|last| last & 1 == 1))
        .ok_or(if layer.bytes.len() < 4 { ended(layer, 4) } else { Reject::BadLink.into() })?;
    let rest = skip(layer, address_bytes)?;
    if rest.u8(0) != Some(0x03) {
        return ether_type_at(rest, 0, 2);
    }
    let nlpid_at = if rest.u8(1) == Some(0) { 2 } else { 1 };
    let nlpid = rest.u8(nlpid_at).ok_or_else(|| ended(rest, nlpid_at + 1))?;
    let rest = skip(rest, nlpid_at + 1)?;
    match nlpid {
        0xcc | 0x8e => Ok(Step::Ip(rest)),
        0xcf => Ok(Step::Ppp(rest)),
        // SNAP: organisation and kind.
        0x80 => match rest.array(0).ok_or_else(|| ended(rest, 5))? {
            [0u8, 0, 0, _, _] => ether_type_at(rest, 3, 5),
            [0, 0x80, 0xc2, 0, 1 | 7] => skip(rest, 5).map(Step::Ethernet),
            _ => Err(Reject::NotIp.into()),
        },
        _ => Err(Reject::NotIp.into()),
    }
}
