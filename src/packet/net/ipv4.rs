//! IPv4 (RFC 791).
//! In: a layer whose first nibble is 4. Out: an `IpPacket`.
//! Bounds: header 20 to 60 bytes. Not here: options' meaning, reassembly.

use etherparse::checksum::Sum16BitWords;

use super::{Fragment, IpPacket, LengthClaim, More};
use crate::packet::layer::Layer;
use crate::packet::reject::Reject;
use crate::units::Address;

/// Bytes of a header without options.
pub(crate) const HEADER_BYTES_MIN: u32 = 20;

const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET_MASK: u16 = 0x1fff;

#[inline(always)]
pub(in crate::packet) fn read<'a>(layer: Layer<'a>) -> Result<IpPacket<'a>, Reject> {
    let Some(head) = layer.bytes.first_chunk::<20>() else {
        return Err(if layer.wire < HEADER_BYTES_MIN { Reject::BadHeaderLength } else { Reject::TruncatedNetwork });
    };
    let header_bytes = u32::from(head[0] & 0x0f) * 4;
    if header_bytes < HEADER_BYTES_MIN || header_bytes > layer.wire {
        return Err(Reject::BadHeaderLength);
    }
    let total = u32::from(u16::from_be_bytes([head[2], head[3]]));
    let (ip_bytes, length) = match total {
        // Segmentation offload and big TCP leave the total length zero: the frame's own length is all there is.
        0 => (layer.wire, LengthClaim::Open),
        total if total < header_bytes => return Err(Reject::BadHeaderLength),
        total if total > layer.wire => (layer.wire, LengthClaim::Beyond),
        total => (total, LengthClaim::Fits),
    };
    let Some(body) = layer.trim(ip_bytes).skip(header_bytes as usize) else {
        return Err(Reject::TruncatedNetwork);
    };
    let flags = u16::from_be_bytes([head[6], head[7]]);
    let ip_id = u16::from_be_bytes([head[4], head[5]]);
    let fragment = (flags & (MORE_FRAGMENTS | OFFSET_MASK) != 0).then(|| Fragment {
        offset: u32::from(flags & OFFSET_MASK) * 8,
        more: if flags & MORE_FRAGMENTS != 0 { More::Follows } else { More::Last },
        id: u32::from(ip_id),
    });
    Ok(IpPacket {
        version: 4,
        source: Address::v4([head[12], head[13], head[14], head[15]]),
        destination: Address::v4([head[16], head[17], head[18], head[19]]),
        protocol: head[9],
        ttl: head[8],
        ip_id,
        ip_bytes,
        body,
        fragment,
        length,
        header_bytes,
    })
}

pub(super) fn addresses(layer: Layer<'_>) -> Option<(Address, Address)> {
    Some((Address::v4(layer.array(12)?), Address::v4(layer.array(16)?)))
}

/// Whether the header's checksum is right (RFC 1071): all words with it sum to all ones.
pub(super) fn header_sum_holds(header: &[u8]) -> bool {
    Sum16BitWords::new().add_slice(header).ones_complement() == 0
}
