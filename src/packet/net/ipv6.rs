//! IPv6 (RFC 8200) with its extension headers.
//! In: a layer whose first nibble is 6. Out: an `IpPacket` whose body lies after all extension headers.
//! Bounds: [`EXTENSIONS_MAX`] extension headers. Not here: their options' meaning, but for the jumbogram's length.

use super::{Fragment, IpPacket, LengthClaim, More, protocol};
use crate::packet::layer::Layer;
use crate::packet::reject::Reject;
use crate::units::Address;

/// Extension headers followed in one packet; honest ones have three or four.
const EXTENSIONS_MAX: usize = 16;
/// Bytes of the fixed header.
pub(crate) const HEADER_BYTES: u32 = 40;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;
const MOBILITY: u8 = 135;
const HOST_IDENTITY: u8 = 139;
const SHIM6: u8 = 140;

/// Hop-by-hop option that holds the length of a jumbogram (RFC 2675).
const OPTION_JUMBO: u8 = 0xc2;
const OPTION_PAD1: u8 = 0;

pub(super) fn read<'a>(layer: Layer<'a>) -> Result<IpPacket<'a>, Reject> {
    let Some(head) = layer.bytes.first_chunk::<40>() else {
        return Err(if layer.wire < HEADER_BYTES { Reject::BadHeaderLength } else { Reject::TruncatedNetwork });
    };
    let payload = u32::from(u16::from_be_bytes([head[4], head[5]]));
    let next = head[6];
    let claimed = match payload {
        0 => jumbo_bytes(layer, next).map(|bytes| bytes.saturating_add(HEADER_BYTES)),
        payload => Some(payload + HEADER_BYTES),
    };
    let (ip_bytes, length) = match claimed {
        // No payload at all is honest only when nothing follows; else it is big TCP, whose length is the frame's.
        None if next == protocol::NO_NEXT_HEADER => (HEADER_BYTES, LengthClaim::Fits),
        None => (layer.wire, LengthClaim::Open),
        Some(total) if total > layer.wire => (layer.wire, LengthClaim::Beyond),
        Some(total) => (total, LengthClaim::Fits),
    };
    let whole = layer.trim(ip_bytes);
    let body = whole.skip(HEADER_BYTES as usize).ok_or(Reject::TruncatedNetwork)?;
    let Extensions { protocol, body, fragment } = extensions(next, body)?;
    Ok(IpPacket {
        version: 6,
        source: Address(*head[8..].first_chunk().ok_or(Reject::TruncatedNetwork)?),
        destination: Address(*head[24..].first_chunk().ok_or(Reject::TruncatedNetwork)?),
        protocol,
        ttl: head[7],
        ip_id: 0,
        ip_bytes,
        body,
        fragment,
        length,
        header_bytes: ip_bytes.saturating_sub(body.wire),
    })
}

pub(super) fn addresses(layer: Layer<'_>) -> Option<(Address, Address)> {
    Some((Address(layer.array(8)?), Address(layer.array(24)?)))
}

struct Extensions<'a> {
    protocol: u8,
    body: Layer<'a>,
    fragment: Option<Fragment>,
}

/// Follows the chain up to a header that is not an extension, or into the first fragment header that really splits.
#[inline]
pub(crate) fn extensions_end(first: u8, body: Layer<'_>) -> Result<(u8, Layer<'_>), Reject> {
    extensions(first, body).map(|e| (e.protocol, e.body))
}

#[inline]
fn extensions<'a>(first: u8, body: Layer<'a>) -> Result<Extensions<'a>, Reject> {
    let (mut next, mut body) = (first, body);
    for _ in 0..EXTENSIONS_MAX {
        let bytes = match next {
            HOP_BY_HOP | ROUTING | DESTINATION | HOST_IDENTITY | SHIM6 => (usize::from(byte(body, 1)?) + 1) * 8,
            // Mobility headers end the chain when nothing comes after them, which is always so today (RFC 6275).
            MOBILITY if body.u8(0) == Some(protocol::NO_NEXT_HEADER) => break,
            MOBILITY => (usize::from(byte(body, 1)?) + 1) * 8,
            // The authentication header counts in words of four bytes, less two (RFC 4302).
            protocol::AUTHENTICATION => (usize::from(byte(body, 1)?) + 2) * 4,
            FRAGMENT => {
                let field = body.be16(2).ok_or_else(|| ended(body, 4))?;
                let id = body.be32(4).ok_or_else(|| ended(body, 8))?;
                let (offset, more) = (u32::from(field & 0xfff8), field & 1);
                if offset != 0 || more != 0 {
                    let more = if more == 1 { More::Follows } else { More::Last };
                    let (protocol, body) = (byte(body, 0)?, body.skip(8).ok_or_else(|| ended(body, 8))?);
                    return Ok(Extensions { protocol, body, fragment: Some(Fragment { offset, more, id }) });
                }
                8
            }
            _ => break,
        };
        next = byte(body, 0)?;
        body = body.skip(bytes).ok_or_else(|| ended(body, bytes))?;
    }
    Ok(Extensions { protocol: next, body, fragment: None })
}

#[inline]
fn byte(body: Layer<'_>, at: usize) -> Result<u8, Reject> {
    body.u8(at).ok_or_else(|| ended(body, at + 1))
}

/// Why `needed` bytes are not there: never sent, or not captured.
#[cold]
fn ended(body: Layer<'_>, needed: usize) -> Reject {
    if (body.wire as usize) < needed { Reject::BadHeaderLength } else { Reject::TruncatedNetwork }
}

/// The payload length that a jumbo option holds, where the first extension header is hop-by-hop.
fn jumbo_bytes(layer: Layer<'_>, next: u8) -> Option<u32> {
    if next != HOP_BY_HOP {
        return None;
    }
    let options = layer.skip(HEADER_BYTES as usize)?;
    let end = (usize::from(options.u8(1)?) + 1) * 8;
    let mut at = 2;
    while at < end {
        match options.u8(at)? {
            OPTION_PAD1 => at += 1,
            OPTION_JUMBO if options.u8(at + 1)? == 4 => return options.be32(at + 2),
            _ => at += 2 + usize::from(options.u8(at + 1)?),
        }
    }
    None
}
