//! Link layer: from the first byte of a frame to the IP header in it.
//! In: a frame and its `LINKTYPE_`. Out: the layer that begins with the IP header, or why there is none.
//! Bounds: [`TAGS_MAX`] tags and labels a frame. Not here: tunnels between IP hosts (`tunnel`); what is peeled off here
//! (tags, MPLS, PPPoE, pseudo-wires) is the operator's own wiring and makes no nesting of its own.

pub(super) mod ethernet;

use super::layer::Layer;
use super::reject::{Reject, RejectCounts};
use crate::capture::frame::LinkType;

/// Tags, labels and encapsulations followed in one frame: QinQ and a label stack together stay below ten.
pub(crate) const TAGS_MAX: u8 = 24;

/// Why a frame holds no IP header that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkReject {
    /// A reason without a number.
    Plain(Reject),
    /// A link type that is not known.
    LinkType(u16),
    /// An ether type that is not known.
    EtherType(u16),
}

impl LinkReject {
    /// Counts it.
    #[cold]
    pub fn count(self, counts: &mut RejectCounts) {
        match self {
            Self::Plain(reject) => counts.count(reject),
            Self::LinkType(number) => counts.count_link_type(number),
            Self::EtherType(number) => counts.count_ether_type(number),
        }
    }
}

impl From<Reject> for LinkReject {
    fn from(reject: Reject) -> Self {
        Self::Plain(reject)
    }
}

/// The layer that begins with the frame's outermost IP header.
#[inline]
pub(crate) fn peel<'a>(link: LinkType, layer: Layer<'a>) -> Result<Layer<'a>, LinkReject> {
    match link.0 {
        1 => ethernet::frame(layer),
        other => peel_other(other, layer),
    }
}

fn peel_other<'a>(link: u16, layer: Layer<'a>) -> Result<Layer<'a>, LinkReject> {
    match link {
        // Raw IP under its several numbers: BSD's 12 and 14, LINKTYPE_RAW, _IPV4, _IPV6.
        12 | 14 | 101 | 228 | 229 => Ok(layer),
        other => Err(LinkReject::LinkType(other)),
    }
}
