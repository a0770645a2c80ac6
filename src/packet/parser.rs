//! The parser: batches of frames in, rows out.
//! Bounds: `ParserLimits`. One parser belongs to one worker; all frames of an address pair come to it, so that it can
//! put fragments together.
//! Time: moves by frame timestamps only.

use super::columns::{PacketColumns, TunnelRef};
use super::export::{self, ExportLimits, Templates};
use super::layer::{Layer, clamp_u32};
use super::net::fragments::{FragmentLimits, Fragments, Whole};
use super::net::{Fragment, IpPacket, LengthClaim, protocol};
use super::reject::{Reject, RejectCounts};
use super::rows::{Nest, Occasion, Store, row, told_row};
use super::transport::{self, Transport};
use super::tunnel::{self, Cargo, Wrapping};
use super::tunnels::{Tunnels, context_of};
use super::{link, net};
use crate::capture::frame::{FrameBatch, FrameRef};

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
    /// Reassembly.
    pub fragments: FragmentLimits,
    /// Flow export.
    pub exports: ExportLimits,
}

impl Default for ParserLimits {
    fn default() -> Self {
        Self {
            depth_max: 8,
            checksums: ChecksumCheck::Off,
            fragments: FragmentLimits::default(),
            exports: ExportLimits::default(),
        }
    }
}

/// Tunnel messages followed in one TCP segment: 64 KiB of the smallest rpcap packets would be more, no card sends that.
const MESSAGES_MAX: usize = 128;

/// Frames whose first bytes are asked for at once. On a mix of sizes the bytes come from memory, and 32 misses side by
/// side cost little more than one (benches/packet.rs).
const TOUCH_BLOCK: usize = 32;

/// Whether the straight line has taken care of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    Yes,
    No,
}

/// Reads a byte of each frame's first two cache lines, so that they are on their way before they are parsed.
#[inline]
fn touch(batch: &FrameBatch, frames: &[FrameRef]) {
    let sum = frames.iter().fold(0u8, |sum, frame| {
        let bytes = batch.bytes(frame);
        sum ^ bytes.first().copied().unwrap_or(0) ^ bytes.get(53).copied().unwrap_or(0)
    });
    std::hint::black_box(sum);
}

/// Frames to rows. See the module's header.
#[derive(Debug)]
pub struct Parser {
    limits: ParserLimits,
    rejects: RejectCounts,
    fragments: Fragments,
    templates: Templates,
    tunnels: Tunnels,
}

impl Parser {
    /// A parser without memory of any packet.
    pub fn new(limits: ParserLimits) -> Self {
        Self {
            rejects: RejectCounts::default(),
            fragments: Fragments::new(limits.fragments),
            templates: Templates::new(limits.exports),
            tunnels: Tunnels::default(),
            limits,
        }
    }

    /// Everything counted so far.
    pub fn rejects(&self) -> &RejectCounts {
        &self.rejects
    }

    /// Appends the rows of a batch; the caller clears the columns between batches.
    pub fn parse_batch(&mut self, batch: &FrameBatch, columns: &mut PacketColumns) {
        self.tunnels.begin(&columns.tunnels);
        let mut index = 0;
        for block in batch.frames().chunks(TOUCH_BLOCK) {
            touch(batch, block);
            for frame in block {
                self.frame(index, frame, batch.bytes(frame), columns);
                index += 1;
            }
        }
    }

    /// No more frames will come: counts the datagrams that stay incomplete as lost.
    pub fn finish(&mut self) {
        self.fragments.finish(&mut self.rejects);
    }

    #[inline]
    fn frame(&mut self, index: u32, frame: &FrameRef, bytes: &[u8], columns: &mut PacketColumns) {
        let occasion = Occasion { ts: frame.ts, frame: index, store: Store::Frame, scratch_base: 0 };
        match link::peel(frame.link, Layer::new(bytes, 0, frame.wire_bytes)) {
            Ok(layer) if self.plain(occasion, layer, columns) == Done::Yes => {}
            Ok(layer) => self.packet(occasion, Nest::OUTSIDE, layer, columns),
            Err(reject) => reject.count(&mut self.rejects),
        }
    }

    /// Nine packets of ten: whole TCP or UDP over IPv4 without options, honest lengths, no wrapping outside. The same
    /// steps as `packet` takes, laid out in one straight line (benches/packet.rs says what that brings).
    #[inline(always)]
    fn plain(&mut self, occasion: Occasion, layer: Layer<'_>, columns: &mut PacketColumns) -> Done {
        if layer.u8(0) != Some(0x45) || self.limits.checksums == ChecksumCheck::On {
            return Done::No;
        }
        let Ok(ip) = net::ipv4::read(layer) else { return Done::No };
        if ip.fragment.is_some() || ip.length != LengthClaim::Fits {
            return Done::No;
        }
        match ip.protocol {
            protocol::TCP => {
                let Ok(transport) = transport::tcp(ip.body) else { return Done::No };
                columns.push(row(occasion, Nest::OUTSIDE, &ip, &transport));
                self.tcp_payload(occasion, Nest::OUTSIDE, &ip, &transport, columns);
            }
            protocol::UDP => {
                let Ok(transport) = transport::udp(ip.body) else { return Done::No };
                columns.push(row(occasion, Nest::OUTSIDE, &ip, &transport));
                self.udp_payload(occasion, Nest::OUTSIDE, &ip, &transport, columns);
            }
            _ => return Done::No,
        }
        Done::Yes
    }

    fn packet(&mut self, occasion: Occasion, nest: Nest, layer: Layer<'_>, columns: &mut PacketColumns) {
        let ip = match net::read(layer) {
            Ok(ip) => ip,
            Err(reject) => return self.rejects.count(reject),
        };
        if ip.length == LengthClaim::Beyond {
            self.rejects.count(Reject::LengthBeyondFrame);
        }
        match ip.fragment {
            None => self.datagram(occasion, nest, &ip, columns),
            Some(piece) => self.fragment(occasion, nest, &ip, piece, columns),
        }
    }

    /// A whole datagram: its row, and what it carries.
    #[inline]
    fn datagram(&mut self, occasion: Occasion, nest: Nest, ip: &IpPacket<'_>, columns: &mut PacketColumns) {
        if ip.protocol == protocol::AUTHENTICATION {
            return self.authenticated(occasion, nest, ip, columns);
        }
        let transport = match transport::read(ip.protocol, ip.body) {
            Ok(transport) => transport,
            Err(reject) => return self.rejects.count(reject),
        };
        let mut row = row(occasion, nest, ip, &transport);
        if self.limits.checksums == ChecksumCheck::On {
            row.checksum_wrong = transport::checksum_is_wrong(ip);
        }
        columns.push(row);
        match ip.protocol {
            protocol::TCP => self.tcp_payload(occasion, nest, ip, &transport, columns),
            protocol::UDP => self.udp_payload(occasion, nest, ip, &transport, columns),
            protocol::ICMP | protocol::ICMPV6 => {}
            _ => {
                if let Some(wrapping) = tunnel::over_ip(ip) {
                    self.inner(occasion, nest, ip, 0, wrapping, columns);
                }
            }
        }
    }

    /// IPv4 with an authentication header: the datagram is what comes after it, as in IPv6.
    #[cold]
    fn authenticated(&mut self, occasion: Occasion, nest: Nest, ip: &IpPacket<'_>, columns: &mut PacketColumns) {
        match net::ipv6::extensions_end(ip.protocol, ip.body) {
            Ok((protocol, body)) if protocol != protocol::AUTHENTICATION => {
                self.datagram(occasion, nest, &IpPacket { protocol, body, ..*ip }, columns);
            }
            Ok(_) => self.rejects.count(Reject::BadHeaderLength),
            Err(reject) => self.rejects.count(reject),
        }
    }

    #[inline]
    fn tcp_payload(
        &mut self,
        occasion: Occasion,
        nest: Nest,
        ip: &IpPacket<'_>,
        transport: &Transport<'_>,
        columns: &mut PacketColumns,
    ) {
        if let Some(found) = tunnel::over_tcp(transport.payload) {
            self.messages(occasion, nest, ip, transport, found, columns);
        } else if export::could_be_message(transport.payload) {
            let place = place_of(occasion, ip, transport);
            let read = export::read_messages(place, transport.payload, &mut self.templates, &mut self.rejects);
            columns.exports.extend(read);
        }
    }

    #[inline]
    fn udp_payload(
        &mut self,
        occasion: Occasion,
        nest: Nest,
        ip: &IpPacket<'_>,
        transport: &Transport<'_>,
        columns: &mut PacketColumns,
    ) {
        if let Some(wrapping) = tunnel::over_udp(transport.ports, transport.payload) {
            self.inner(occasion, nest, ip, transport.ports[1], wrapping, columns);
        } else if export::could_be(transport.payload) {
            let place = place_of(occasion, ip, transport);
            if let Some(datagram) = export::read(place, transport.payload, &mut self.templates, &mut self.rejects) {
                columns.exports.push(datagram);
            }
        }
    }

    /// The tunnel messages of a TCP segment, one after the other.
    #[cold]
    fn messages(
        &mut self,
        occasion: Occasion,
        nest: Nest,
        ip: &IpPacket<'_>,
        transport: &Transport<'_>,
        first: (Wrapping<'_>, usize),
        columns: &mut PacketColumns,
    ) {
        let (mut wrapping, mut used) = first;
        let mut rest = transport.payload;
        for _ in 0..MESSAGES_MAX {
            self.inner(occasion, nest, ip, transport.ports[1], wrapping, columns);
            let Some(next) = rest.skip(used).filter(|_| used > 0) else { return };
            rest = next;
            match tunnel::over_tcp(rest) {
                Some(found) => (wrapping, used) = found,
                None => return,
            }
        }
    }

    /// What a tunnel carries, one level deeper.
    fn inner(
        &mut self,
        occasion: Occasion,
        nest: Nest,
        outer: &IpPacket<'_>,
        outer_port: u16,
        wrapping: Wrapping<'_>,
        columns: &mut PacketColumns,
    ) {
        let layer = match wrapping.cargo {
            Cargo::NoPacket => return self.rejects.count(Reject::InnerNotIp),
            Cargo::Told(told) => {
                if let Some(nest) = self.enter(nest, outer, outer_port, &wrapping, columns) {
                    columns.push(told_row(occasion, nest, outer.ttl, &told));
                }
                return;
            }
            Cargo::Whole(step) => link::follow(step).map(|layer| (layer, net::is_plausible(layer))),
            Cargo::Cut(step) => link::follow(step).map(|layer| (net::uncut(layer), net::is_plausible_cut(layer))),
        };
        match layer {
            Ok((layer, true)) => {
                if let Some(nest) = self.enter(nest, outer, outer_port, &wrapping, columns) {
                    self.packet(occasion, nest, layer, columns);
                }
            }
            Ok((layer, false)) => self.rejects.count(match layer.is_cut() {
                true => Reject::TruncatedNetwork,
                false => Reject::InnerDoubted,
            }),
            Err(link::LinkReject::Plain(Reject::BadLink)) => self.rejects.count(Reject::InnerDoubted),
            Err(link::LinkReject::Plain(Reject::NotIp) | link::LinkReject::EtherType(_)) => {
                self.rejects.count(Reject::InnerNotIp);
            }
            Err(reject) => reject.count(&mut self.rejects),
        }
    }

    /// The nesting inside a tunnel; none past the limits.
    fn enter(
        &mut self,
        nest: Nest,
        outer: &IpPacket<'_>,
        outer_port: u16,
        wrapping: &Wrapping<'_>,
        columns: &mut PacketColumns,
    ) -> Option<Nest> {
        if nest.depth >= self.limits.depth_max {
            self.rejects.count(Reject::DepthExceeded);
            return None;
        }
        let depth = nest.depth + 1;
        let tunnel = self.tunnels.index_of(
            TunnelRef {
                kind: wrapping.kind,
                outer_source: outer.source,
                outer_destination: outer.destination,
                outer_port,
                id: wrapping.id,
                depth,
            },
            &mut columns.tunnels,
        );
        let Some(tunnel) = tunnel else {
            self.rejects.count(Reject::TunnelsFull);
            return None;
        };
        let context = context_of(nest.context, wrapping.kind, outer.source, outer.destination);
        Some(Nest { context, tunnel, depth })
    }

    /// A piece of a datagram; where it completes it, the datagram.
    #[cold]
    fn fragment(
        &mut self,
        occasion: Occasion,
        nest: Nest,
        ip: &IpPacket<'_>,
        piece: Fragment,
        columns: &mut PacketColumns,
    ) {
        let Some(whole) = self.fragments.add(nest.context, ip, piece, occasion.ts, &mut self.rejects) else {
            return;
        };
        let start = columns.scratch.len();
        columns.scratch.extend_from_slice(self.fragments.whole());
        // The rows of the datagram are pushed while its bytes are read: they step out of the columns meanwhile, and a
        // datagram inside it, put together too, finds its place behind them.
        let scratch = std::mem::take(&mut columns.scratch);
        let offset = occasion.scratch_base.saturating_add(clamp_u32(start));
        let body = Layer::new(&scratch[start..], offset, whole.payload_bytes);
        let scratch_base = occasion.scratch_base.saturating_add(clamp_u32(scratch.len()));
        let occasion = Occasion { store: Store::Scratch, scratch_base, ..occasion };
        self.reassembled(occasion, nest, ip, whole, body, columns);
        let inner = std::mem::replace(&mut columns.scratch, scratch);
        columns.scratch.extend_from_slice(&inner);
    }

    fn reassembled(
        &mut self,
        occasion: Occasion,
        nest: Nest,
        last: &IpPacket<'_>,
        whole: Whole,
        body: Layer<'_>,
        columns: &mut PacketColumns,
    ) {
        let end = match last.version {
            // What was split may begin with extension headers of its own.
            6 => net::ipv6::extensions_end(whole.protocol, body),
            _ => Ok((whole.protocol, body)),
        };
        match end {
            Ok((protocol, body)) => {
                let ip_bytes = whole.header_bytes.saturating_add(whole.payload_bytes);
                let (ttl, header_bytes) = (whole.ttl, whole.header_bytes);
                let ip = IpPacket { protocol, ttl, ip_bytes, header_bytes, body, fragment: None, ..*last };
                self.datagram(occasion, nest, &ip, columns);
            }
            Err(reject) => self.rejects.count(reject),
        }
    }
}

/// Where and when what may be an export was met.
fn place_of(occasion: Occasion, ip: &IpPacket<'_>, transport: &Transport<'_>) -> export::Place {
    export::Place { ts: occasion.ts, exporter: ip.source, receiver: ip.destination, ports: transport.ports }
}

#[cfg(test)]
pub(crate) mod tests;
