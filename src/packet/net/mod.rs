//! Internet layer: IPv4 and IPv6 headers.
//! In: a layer that begins with an IP header. Out: who, to whom, what protocol, and the layer after all IP headers.
//! Bounds: IPv6 extension headers by `ipv6::EXTENSIONS_MAX`; the body never reaches past the header's total length.
//! Not here: reassembly (`fragments`), ports (`transport`).

pub(super) mod fragments;
pub(super) mod ipv4;
pub(super) mod ipv6;

use super::layer::Layer;
use super::reject::Reject;
use crate::units::Address;

/// IP protocol numbers that the parser acts on (IANA).
pub(crate) mod protocol {
    pub const ICMP: u8 = 1;
    pub const IPV4: u8 = 4;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const IPV6: u8 = 41;
    pub const GRE: u8 = 47;
    pub const ICMPV6: u8 = 58;
    pub const NO_NEXT_HEADER: u8 = 59;
    pub const ETHER_IP: u8 = 97;
    pub const L2TP: u8 = 115;
    pub const SCTP: u8 = 132;
    pub const MPLS_IN_IP: u8 = 137;
    pub const AUTHENTICATION: u8 = 51;
}

/// What an IP header says, extension headers included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IpPacket<'a> {
    pub version: u8,
    pub source: Address,
    pub destination: Address,
    /// Of the header after all IP headers.
    pub protocol: u8,
    pub ttl: u8,
    /// IPv4 identification, 0 for IPv6.
    pub ip_id: u16,
    /// Whole packet by its header; by the frame where the header leaves it open or lies.
    pub ip_bytes: u32,
    /// After all IP headers.
    pub body: Layer<'a>,
    /// Where the body is a piece of a datagram.
    pub fragment: Option<Fragment>,
    /// How the header's length stands to the bytes that were on the wire.
    pub length: LengthClaim,
    /// IPv4 header checksum holds, where it was looked at; always for IPv6.
    pub header_bytes: u32,
}

/// A piece of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fragment {
    /// Offset of its first byte in the datagram's payload, bytes.
    pub offset: u32,
    /// Whether more pieces follow.
    pub more: More,
    /// The datagram's identification.
    pub id: u32,
}

/// Whether a fragment is the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum More {
    Follows,
    Last,
}

/// How an IP header's length stands to the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LengthClaim {
    /// It fits.
    Fits,
    /// Left open (zero: segmentation offload, big TCP, jumbogram by the frame's length).
    Open,
    /// It claims more than there was.
    Beyond,
}

/// Reads the IP header(s) that `layer` begins with, whichever version the first nibble says.
#[inline]
pub(crate) fn read<'a>(layer: Layer<'a>) -> Result<IpPacket<'a>, Reject> {
    match layer.u8(0).map(|b| b >> 4) {
        Some(4) => ipv4::read(layer),
        Some(6) => ipv6::read(layer),
        Some(_) => Err(Reject::BadIpVersion),
        None if layer.wire == 0 => Err(Reject::BadIpVersion),
        None => Err(Reject::TruncatedNetwork),
    }
}

/// The address pair (source, destination) that `read` would give, where it gives any.
pub(crate) fn addresses(layer: Layer<'_>) -> Option<(Address, Address)> {
    match layer.u8(0)? >> 4 {
        4 => ipv4::addresses(layer),
        6 => ipv6::addresses(layer),
        _ => None,
    }
}
