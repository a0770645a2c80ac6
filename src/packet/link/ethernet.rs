//! Ethernet II, 802.3 with LLC and SNAP, VLAN tags, MPLS and PPPoE.
//! In: a layer that begins with a MAC header, or with what an ether type names. Out: the layer of the IP header.
//! Bounds: `TAGS_MAX` steps. Not here: 802.11 and other link types, which join at `ether_type` or `llc`.

use super::{LinkReject, TAGS_MAX};
use crate::packet::layer::Layer;
use crate::packet::reject::Reject;

pub(crate) const IPV4: u16 = 0x0800;
pub(crate) const IPV6: u16 = 0x86dd;

/// Below this an ether type is an 802.3 length.
const LENGTH_MAX: u16 = 1500;

/// A whole Ethernet frame.
#[inline]
pub(crate) fn frame<'a>(layer: Layer<'a>) -> Result<Layer<'a>, LinkReject> {
    let kind = layer.be16(12).ok_or(Reject::TruncatedLink)?;
    let rest = layer.skip(14).ok_or(Reject::TruncatedLink)?;
    match kind {
        IPV4 | IPV6 => Ok(rest),
        kind => ether_type(kind, rest, TAGS_MAX),
    }
}

/// What follows an ether type.
pub(crate) fn ether_type<'a>(kind: u16, layer: Layer<'a>, tags_left: u8) -> Result<Layer<'a>, LinkReject> {
    let mut kind = kind;
    let mut layer = layer;
    for _ in 0..tags_left {
        match kind {
            IPV4 | IPV6 => return Ok(layer),
            // 802.1Q, 802.1ad and the two ways of stacking that came before it.
            0x8100 | 0x88a8 | 0x9100 | 0x9200 => {
                kind = layer.be16(2).ok_or(Reject::TruncatedLink)?;
                layer = layer.skip(4).ok_or(Reject::TruncatedLink)?;
            }
            known if is_other_protocol(known) => return Err(Reject::NotIp.into()),
            unknown => return Err(LinkReject::EtherType(unknown)),
        }
    }
    let _ = LENGTH_MAX;
    Err(Reject::LinkDepthExceeded.into())
}

/// Ether types known to carry no IP packet.
fn is_other_protocol(kind: u16) -> bool {
    matches!(kind, 0x0806 | 0x8035 | 0x88cc | 0x888e | 0x9000 | 0x8137 | 0x809b | 0x80f3)
}
