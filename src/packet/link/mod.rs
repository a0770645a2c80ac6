//! Link layer: from the first byte of a frame to the IP header in it.
//! In: a frame and its `LINKTYPE_`. Out: the layer that begins with the IP header, or why there is none.
//! Bounds: [`STEPS_MAX`] headers, tags and labels a frame. Not here: tunnels between IP hosts (`tunnel`); what is peeled
//! off here (tags, MPLS, PPPoE, pseudo-wires) is the operator's own wiring and makes no nesting of its own.

mod ethernet;
mod ppp;
mod pseudo;
mod wifi;

use super::layer::Layer;
use super::reject::{Reject, RejectCounts};
use crate::capture::frame::LinkType;

/// Ether types, as far as other rooms name them.
pub(crate) use ethernet::{ETHER_TYPE_BRIDGING, ETHER_TYPE_IPV4, ETHER_TYPE_IPV6};

/// Headers followed in one frame: a pseudo-wire with QinQ outside and in and a label stack stays below twenty.
const STEPS_MAX: u8 = 32;

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

/// What a header says comes next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step<'a> {
    /// An IP header.
    Ip(Layer<'a>),
    /// What an ether type names.
    EtherType(u16, Layer<'a>),
    /// A MAC header.
    Ethernet(Layer<'a>),
    /// An 802.2 header.
    Llc(Layer<'a>),
    /// A stack of MPLS labels.
    Mpls(Layer<'a>),
    /// A PPP frame, with or without address and control bytes.
    Ppp(Layer<'a>),
    /// An 802.11 header.
    Wifi(Layer<'a>),
    /// A frame of another link type.
    Link(u16, Layer<'a>),
}

type Stepped<'a> = Result<Step<'a>, LinkReject>;

/// The layer that begins with the frame's outermost IP header.
#[inline]
pub(crate) fn peel<'a>(link: LinkType, layer: Layer<'a>) -> Result<Layer<'a>, LinkReject> {
    if link.0 == 1
        && let (Some(ETHER_TYPE_IPV4 | ETHER_TYPE_IPV6), Some(rest)) = (layer.be16(12), layer.skip(14))
    {
        return Ok(rest);
    }
    follow(Step::Link(link.0, layer))
}

/// Follows the headers from `step` to an IP header.
pub(crate) fn follow<'a>(step: Step<'a>) -> Result<Layer<'a>, LinkReject> {
    let mut step = step;
    for _ in 0..STEPS_MAX {
        step = match step {
            Step::Ip(layer) => return Ok(layer),
            Step::EtherType(kind, layer) => ethernet::ether_type(kind, layer)?,
            Step::Ethernet(layer) => ethernet::frame(layer)?,
            Step::Llc(layer) => ethernet::llc(layer)?,
            Step::Mpls(layer) => ethernet::mpls(layer)?,
            Step::Ppp(layer) => ppp::frame(layer)?,
            Step::Wifi(layer) => wifi::frame(layer)?,
            Step::Link(number, layer) => link_type(number, layer)?,
        };
    }
    Err(Reject::LinkDepthExceeded.into())
}

/// The register of link types (tcpdump.org/linktypes.html).
fn link_type(number: u16, layer: Layer<'_>) -> Stepped<'_> {
    match number {
        0 | 108 => pseudo::null(layer),
        1 => Ok(Step::Ethernet(layer)),
        8 => skip(layer, 16).map(Step::Ip), // SLIP: 16 bytes of direction and of compressed header
        9 | 166 => Ok(Step::Ppp(layer)),    // PPP; pppd puts a direction in the place of the address byte
        10 => skip(layer, 13).map(Step::Llc), // FDDI
        // Raw IP under its several numbers: BSD's 12 and 14, LINKTYPE_RAW, _IPV4, _IPV6.
        12 | 14 | 101 | 228 | 229 => Ok(Step::Ip(layer)),
        50 => ppp::hdlc(layer),
        51 => ethernet::ether_type(ethernet::ETHER_TYPE_PPPOE, layer),
        100 => Ok(Step::Llc(layer)), // ATM, RFC 1483
        104 => ppp::cisco_hdlc(layer),
        105 => Ok(Step::Wifi(layer)),
        107 => ppp::frame_relay(layer),
        113 => pseudo::cooked(layer),
        119 => wifi::prism(layer),
        127 => wifi::radiotap(layer),
        163 => wifi::avs(layer),
        192 => wifi::ppi(layer),
        // The same with a direction byte before.
        204 => skip(layer, 1).map(Step::Ppp),
        205 => ppp::cisco_hdlc(skip(layer, 1)?),
        206 => ppp::frame_relay(skip(layer, 1)?),
        226 => skip(layer, 24).map(Step::Ip), // Solaris IPNET
        239 => pseudo::nflog(layer),
        242 => ether_type_at(layer, 40, 44), // IP over InfiniBand: a global routing header before
        258 => pseudo::pktap(layer),
        276 => ether_type_at(layer, 0, 20),  // Linux cooked v2
        284 => ether_type_at(layer, 16, 18), // Marvell DSA tag
        285 => ether_type_at(layer, 20, 22), // the same with an ether type of its own
        other => Err(LinkReject::LinkType(other)),
    }
}

/// The bytes after a header of fixed length.
fn skip(layer: Layer<'_>, header_bytes: usize) -> Result<Layer<'_>, LinkReject> {
    layer.skip(header_bytes).ok_or_else(|| ended(layer, header_bytes))
}

/// An ether type at `at`, its payload from `payload` on.
fn ether_type_at(layer: Layer<'_>, at: usize, payload: usize) -> Stepped<'_> {
    let kind = layer.be16(at).ok_or_else(|| ended(layer, at + 2))?;
    Ok(Step::EtherType(kind, skip(layer, payload)?))
}

/// Why a header is not there: not captured, or never whole.
#[cold]
fn ended(layer: Layer<'_>, needed: usize) -> LinkReject {
    LinkReject::Plain(if (layer.wire as usize) < needed { Reject::BadLink } else { Reject::TruncatedLink })
}

#[cfg(test)]
mod tests;
