//! 802.11 data frames, and the headers that capture drivers put before them.
//! In: a layer that begins with such a header. Out: the next step. Bounds: one header a call; of an aggregate of frames
//! (A-MSDU) the first is read. Not here: management and control frames (not IP), encrypted ones (opaque).

use super::{LinkReject, Step, Stepped, ended, skip};
use crate::packet::layer::Layer;
use crate::packet::reject::Reject;

/// Radiotap flags (radiotap.org, field 1): padding between header and payload, and a frame check that failed.
const RADIOTAP_DATA_PAD: u8 = 0x20;
const RADIOTAP_BAD_FCS: u8 = 0x40;
/// Bytes before the radiotap fields that come before the flags: none, or the 64-bit timer.
const RADIOTAP_PRESENT_MAX: usize = 8;

/// An 802.11 frame.
pub(super) fn frame(layer: Layer<'_>) -> Stepped<'_> {
    data(layer, Padding::None)
}

/// Whether the payload begins at a multiple of four bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Padding {
    None,
    ToWord,
}

fn data(layer: Layer<'_>, padding: Padding) -> Stepped<'_> {
    let [control, flags]: [u8; 2] = layer.array(0).ok_or_else(|| ended(layer, 2))?;
    let (kind, subtype) = (control >> 2 & 3, control >> 4);
    if control & 3 != 0 {
        return Err(Reject::BadLink.into());
    }
    // Data frames are type 2; those with bit 2 of the subtype hold no data.
    if kind != 2 || subtype & 4 != 0 {
        return Err(Reject::NotIp.into());
    }
    if flags & 0x40 != 0 {
        return Err(Reject::Opaque.into());
    }
    let quality = subtype & 8 != 0;
    // A fourth address between bridges, two bytes of quality of service, four of high throughput control.
    let mut header_bytes = 24;
    if flags & 3 == 3 {
        header_bytes += 6;
    }
    let quality_at = header_bytes;
    if quality {
        header_bytes += 2;
        if flags & 0x80 != 0 {
            header_bytes += 4;
        }
    }
    if padding == Padding::ToWord {
        header_bytes = (header_bytes + 3) & !3;
    }
    // A later piece of a fragmented frame (sequence control at 22) does not begin with a header.
    if layer.u8(22).is_some_and(|sequence| sequence & 0x0f != 0) {
        return Err(Reject::NotIp.into());
    }
    let rest = skip(layer, header_bytes)?;
    match quality && layer.u8(quality_at).is_some_and(|q| q & 0x80 != 0) {
        true => {
            let length = rest.be16(12).ok_or_else(|| ended(rest, 14))?;
            Ok(Step::Llc(skip(rest, 14)?.trim(u32::from(length))))
        }
        false => Ok(Step::Llc(rest)),
    }
}

/// Radiotap: version 0, length, fields.
pub(super) fn radiotap(layer: Layer<'_>) -> Stepped<'_> {
    let head: [u8; 8] = layer.array(0).ok_or_else(|| ended(layer, 8))?;
    let length = usize::from(u16::from_le_bytes([head[2], head[3]]));
    if head[0] != 0 || length < 8 {
        return Err(Reject::BadLink.into());
    }
    let flags = radiotap_flags(layer).unwrap_or(0);
    if flags & RADIOTAP_BAD_FCS != 0 {
        return Err(Reject::BadLink.into());
    }
    let padding = if flags & RADIOTAP_DATA_PAD != 0 { Padding::ToWord } else { Padding::None };
    data(skip(layer, length)?, padding)
}

/// The flags field, where there is one: after the words that say which fields are present, and after the timer.
fn radiotap_flags(layer: Layer<'_>) -> Option<u8> {
    let present = u32::from_le_bytes(layer.array(4)?);
    if present & 2 == 0 {
        return None;
    }
    let mut at = 4;
    for _ in 0..RADIOTAP_PRESENT_MAX {
        let word = u32::from_le_bytes(layer.array(at)?);
        at += 4;
        if word & 0x8000_0000 == 0 {
            break;
        }
    }
    if present & 1 != 0 {
        at = ((at + 7) & !7) + 8;
    }
    layer.u8(at)
}

/// Prism: message code and length in the host's order, or in truth an AVS header.
pub(super) fn prism(layer: Layer<'_>) -> Stepped<'_> {
    let head: [u8; 8] = layer.array(0).ok_or_else(|| ended(layer, 8))?;
    if head[..3] == [0x80, 0x21, 0x10] {
        return avs(layer);
    }
    let [.., a, b, c, d] = head;
    let length = u32::from_le_bytes([a, b, c, d]).min(u32::from_be_bytes([a, b, c, d]));
    skip(layer, length as usize).map(Step::Wifi)
}

/// AVS: magic, length in network order.
pub(super) fn avs(layer: Layer<'_>) -> Stepped<'_> {
    let length = layer.be32(4).ok_or_else(|| ended(layer, 8))?;
    skip(layer, length as usize).map(Step::Wifi)
}

/// Per-packet information: version, flags, length, link type, little-endian all.
pub(super) fn ppi(layer: Layer<'_>) -> Stepped<'_> {
    let head: [u8; 8] = layer.array(0).ok_or_else(|| ended(layer, 8))?;
    let length = usize::from(u16::from_le_bytes([head[2], head[3]]));
    let link = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    let link = u16::try_from(link).map_err(|_| LinkReject::Plain(Reject::BadLink))?;
    if length < 8 {
        return Err(Reject::BadLink.into());
    }
    Ok(Step::Link(link, skip(layer, length)?))
}
