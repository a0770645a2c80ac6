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
    /// All IP headers together.
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
#[inline]
pub(crate) fn addresses(layer: Layer<'_>) -> Option<(Address, Address)> {
    match layer.u8(0)? >> 4 {
        4 => ipv4::addresses(layer),
        6 => ipv6::addresses(layer),
        _ => None,
    }
}

/// Whether a layer begins with an IP header that holds together and fits: enough to believe a tunnel on its own port.
pub(crate) fn is_plausible(layer: Layer<'_>) -> bool {
    match Claim::of(layer) {
        Some(claim) => claim.bytes == 0 || claim.bytes <= layer.wire,
        None => false,
    }
}

/// The same where a mirror may have cut the packet: its length may reach past what is there.
pub(crate) fn is_plausible_cut(layer: Layer<'_>) -> bool {
    Claim::of(layer).is_some()
}

/// A cut packet with its true length back.
pub(crate) fn uncut(layer: Layer<'_>) -> Layer<'_> {
    let claimed = Claim::of(layer).map_or(0, |claim| claim.bytes);
    Layer { wire: layer.wire.max(claimed), ..layer }
}

/// Whether it is an IP packet beyond doubt: it fills the layer but for padding, and its checksum holds (IPv4), or it
/// leads to a header that can be (IPv6).
pub(crate) fn is_certain(layer: Layer<'_>) -> bool {
    let Some(claim) = Claim::of(layer) else { return false };
    if claim.bytes == 0 || claim.bytes > layer.wire || layer.wire - claim.bytes > PADDING_MAX {
        return false;
    }
    match claim.version {
        4 => layer.bytes.get(..claim.header_bytes as usize).is_some_and(ipv4::header_sum_holds),
        _ => match ipv6::read(layer) {
            Ok(ip) => ip.fragment.is_some() || matches!(ip.protocol, 4 | 6 | 17 | 41 | 47 | 50 | 58 | 59 | 132),
            Err(_) => false,
        },
    }
}

/// Bytes that may follow a packet in its frame: Ethernet pads a 20-byte packet to 46, and a trailer may come on top.
const PADDING_MAX: u32 = 32;

/// What an IP header claims of its lengths, where they can be.
struct Claim {
    version: u8,
    header_bytes: u32,
    /// Whole packet; 0 where left open.
    bytes: u32,
}

impl Claim {
    fn of(layer: Layer<'_>) -> Option<Self> {
        let first = layer.u8(0)?;
        match first >> 4 {
            4 if layer.bytes.len() >= 20 => {
                let (header_bytes, bytes) = (u32::from(first & 0x0f) * 4, u32::from(layer.be16(2)?));
                let honest = header_bytes >= ipv4::HEADER_BYTES_MIN
                    && header_bytes <= layer.wire
                    && (bytes == 0 || bytes >= header_bytes);
                honest.then_some(Self { version: 4, header_bytes, bytes })
            }
            6 if layer.bytes.len() >= 40 => {
                let payload = u32::from(layer.be16(4)?);
                let bytes = if payload == 0 { 0 } else { payload + ipv6::HEADER_BYTES };
                Some(Self { version: 6, header_bytes: ipv6::HEADER_BYTES, bytes })
            }
            _ => None,
        }
    }
}
