//! The parser: batches of frames in, rows out.
//! Bounds: `ParserLimits`. One parser belongs to one worker; all frames of an address pair come to it, so that it can
//! put fragments together.
//! Time: moves by frame timestamps only.

use super::columns::{FlowKey, NO_TUNNEL, PacketColumns, PacketRow, PayloadPlace};
use super::layer::{Layer, clamp_u32};
use super::net::{IpPacket, LengthClaim};
use super::reject::{Reject, RejectCounts};
use super::transport::{self, Transport};
use super::{link, net};
use crate::capture::frame::{FrameBatch, FrameRef};
use crate::units::TimestampNs;

/// Whether transport checksums are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumCheck {
    /// No: most captures hold packets whose checksum the network card had yet to fill in.
    Off,
    /// Yes, where the whole packet was captured: `checksum_wrong` is set, the row is pushed all the same.
    On,
}

/// What bounds a parser.
#[derive(Clone, Debug)]
pub struct ParserLimits {
    /// Tunnels in tunnels that are followed.
    pub depth_max: u8,
    /// Whether checksums are computed.
    pub checksums: ChecksumCheck,
}

impl Default for ParserLimits {
    fn default() -> Self {
        Self { depth_max: 8, checksums: ChecksumCheck::Off }
    }
}

/// Frames to rows. See the module's header.
#[derive(Debug)]
pub struct Parser {
    limits: ParserLimits,
    rejects: RejectCounts,
}

/// Where in the nesting a layer stands.
#[derive(Clone, Copy, Debug)]
struct Nest {
    context: u32,
    tunnel: u16,
    depth: u8,
}

/// The packet at hand: what all rows of a frame share.
#[derive(Clone, Copy, Debug)]
struct Occasion {
    ts: TimestampNs,
    frame: u32,
    reassembled: bool,
}

impl Parser {
    /// A parser without memory of any packet.
    pub fn new(limits: ParserLimits) -> Self {
        Self { limits, rejects: RejectCounts::default() }
    }

    /// Everything counted so far.
    pub fn rejects(&self) -> &RejectCounts {
        &self.rejects
    }

    /// Appends the rows of a batch; the caller clears the columns between batches.
    pub fn parse_batch(&mut self, batch: &FrameBatch, columns: &mut PacketColumns) {
        for (index, frame) in batch.frames().iter().enumerate() {
            self.frame(clamp_u32(index), frame, batch.bytes(frame), columns);
        }
    }

    #[inline]
    fn frame(&mut self, index: u32, frame: &FrameRef, bytes: &[u8], columns: &mut PacketColumns) {
        let occasion = Occasion { ts: frame.ts, frame: index, reassembled: false };
        match link::peel(frame.link, Layer::new(bytes, 0, frame.wire_bytes)) {
            Ok(layer) => self.packet(occasion, Nest { context: 0, tunnel: NO_TUNNEL, depth: 0 }, layer, columns),
            Err(reject) => reject.count(&mut self.rejects),
        }
    }

    #[inline]
    fn packet(&mut self, occasion: Occasion, nest: Nest, layer: Layer<'_>, columns: &mut PacketColumns) {
        let ip = match net::read(layer) {
            Ok(ip) => ip,
            Err(reject) => return self.rejects.count(reject),
        };
        if ip.length == LengthClaim::Beyond {
            self.rejects.count(Reject::LengthBeyondFrame);
        }
        if ip.fragment.is_some() {
            return self.rejects.count(Reject::FragmentHeld);
        }
        let transport = match transport::read(ip.protocol, ip.body) {
            Ok(transport) => transport,
            Err(reject) => return self.rejects.count(reject),
        };
        let checksum_wrong = self.limits.checksums == ChecksumCheck::On && transport::checksum_is_wrong(&ip);
        columns.push(row(occasion, nest, &ip, &transport, checksum_wrong));
    }
}

/// One packet as a row.
#[inline]
fn row(
    occasion: Occasion,
    nest: Nest,
    ip: &IpPacket<'_>,
    transport: &Transport<'_>,
    checksum_wrong: bool,
) -> PacketRow {
    let (key, from) = canonical(ip, transport.ports, nest.context);
    PacketRow {
        ts: occasion.ts,
        key,
        from,
        frame: occasion.frame,
        ip_bytes: ip.ip_bytes,
        payload_bytes: transport.payload.wire,
        payload: PayloadPlace {
            offset: transport.payload.offset,
            captured: clamp_u32(transport.payload.bytes.len()),
            reassembled: occasion.reassembled,
        },
        tcp_seq: transport.tcp_seq,
        tcp_ack: transport.tcp_ack,
        tcp_window: transport.tcp_window,
        tcp_flags: transport.tcp_flags,
        ttl: ip.ttl,
        ip_id: ip.ip_id,
        tunnel: nest.tunnel,
        is_fragment: false,
        checksum_wrong,
    }
}

/// The key with its lower end first, and which end sent the packet.
#[inline]
fn canonical(ip: &IpPacket<'_>, ports: [u16; 2], context: u32) -> (FlowKey, u8) {
    let source = (u128::from_be_bytes(ip.source.0), ports[0]);
    let destination = (u128::from_be_bytes(ip.destination.0), ports[1]);
    let (protocol, version) = (ip.protocol, ip.version);
    match source <= destination {
        true => (FlowKey { addresses: [ip.source, ip.destination], ports, context, protocol, version }, 0),
        false => {
            let (addresses, ports) = ([ip.destination, ip.source], [ports[1], ports[0]]);
            (FlowKey { addresses, ports, context, protocol, version }, 1)
        }
    }
}

#[cfg(test)]
mod tests;
