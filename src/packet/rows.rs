//! Rows: one packet's headers as the columns want them.
//! In: what `net` and `transport` read. Out: a `PacketRow` with its canonical key.
//! Bounds: none needed. Not here: which packets become rows (`parser`).

use super::columns::{FlowKey, NO_TUNNEL, PacketRow, PayloadPlace};
use super::layer::{Layer, clamp_u32};
use super::net::{IpPacket, protocol};
use super::transport::Transport;
use super::tunnel::Told;
use crate::units::{Address, TimestampNs};

/// Where in the nesting a layer stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nest {
    pub context: u32,
    pub tunnel: u16,
    pub depth: u8,
}

impl Nest {
    /// No tunnel yet.
    pub const OUTSIDE: Self = Self { context: 0, tunnel: NO_TUNNEL, depth: 0 };
}

/// The packet at hand: what all rows of a frame share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Occasion {
    pub ts: TimestampNs,
    pub frame: u32,
    /// Where the layers' bytes lie: in the frame, or in the scratch of reassembled datagrams.
    pub store: Store,
    /// Where the columns' scratch will stand once the datagrams above this one are put back into it.
    pub scratch_base: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Store {
    Frame,
    Scratch,
}

/// One packet as a row.
#[inline(always)]
pub(super) fn row(occasion: Occasion, nest: Nest, ip: &IpPacket<'_>, transport: &Transport<'_>) -> PacketRow {
    let (addresses, ports, from) = canonical([ip.source, ip.destination], transport.ports);
    PacketRow {
        ts: occasion.ts,
        key: FlowKey { addresses, ports, context: nest.context, protocol: ip.protocol, version: ip.version },
        from,
        frame: occasion.frame,
        ip_bytes: ip.ip_bytes,
        payload_bytes: transport.payload.wire,
        payload: place(occasion, transport.payload),
        tcp_seq: transport.tcp_seq,
        tcp_ack: transport.tcp_ack,
        tcp_window: transport.tcp_window,
        tcp_flags: transport.tcp_flags,
        ttl: ip.ttl,
        ip_id: ip.ip_id,
        tunnel: nest.tunnel,
        is_fragment: false,
        checksum_wrong: false,
    }
}

/// A packet of which a probe told the addresses: its IP bytes are what the smallest headers would have made them.
pub(super) fn told_row(occasion: Occasion, nest: Nest, ttl: u8, told: &Told<'_>) -> PacketRow {
    let (addresses, ports, from) = canonical([told.source, told.destination], told.ports);
    let (version, network_bytes) = if told.source.is_v4() { (4, 20) } else { (6, 40) };
    let transport_bytes = match told.protocol {
        protocol::TCP => 20,
        protocol::SCTP => 12,
        _ => 8,
    };
    PacketRow {
        ts: occasion.ts,
        key: FlowKey { addresses, ports, context: nest.context, protocol: told.protocol, version },
        from,
        frame: occasion.frame,
        ip_bytes: told.payload.wire.saturating_add(network_bytes + transport_bytes),
        payload_bytes: told.payload.wire,
        payload: place(occasion, told.payload),
        ttl,
        tunnel: nest.tunnel,
        ..PacketRow::default()
    }
}

fn place(occasion: Occasion, payload: Layer<'_>) -> PayloadPlace {
    PayloadPlace {
        offset: payload.offset,
        captured: clamp_u32(payload.bytes.len()),
        reassembled: occasion.store == Store::Scratch,
    }
}

/// Addresses and ports with the lower end first, and which end sent the packet.
#[inline(always)]
fn canonical(addresses: [Address; 2], ports: [u16; 2]) -> ([Address; 2], [u16; 2], u8) {
    let [source, destination] = addresses;
    let ends = addresses.map(|a| u128::from_be_bytes(a.0));
    match (ends[0], ports[0]) <= (ends[1], ports[1]) {
        true => (addresses, ports, 0),
        false => ([destination, source], [ports[1], ports[0]], 1),
    }
}
