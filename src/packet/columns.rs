//! Packet columns: what the parser writes and the flow table reads, one row per IP packet of any nesting depth.
//! In: frames. Out: one row for each packet that has an IP header, outer ones before the inner ones of the same frame.
//! Bounds: rows per frame by the nesting limit; `scratch` by the reassembly limit. Buffers are reused, `clear` keeps memory.
//! Not here: payload bytes (they stay in the frame; a row says where).

use crate::capture::frame::{FrameBatch, FrameRef};
use crate::units::{Address, TimestampNs};

/// The two ends of a flow in canonical order, so that both directions give one key. ICMP: ports hold type and code as
/// Community ID v1 pairs them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(C)]
pub struct FlowKey {
    /// Lower end first, by (address, port).
    pub addresses: [Address; 2],
    /// Ports in the order of `addresses`; zero where the protocol has none.
    pub ports: [u16; 2],
    /// Which tunnel carries the packet: 0 for none, else a hash of the tunnel kinds and outer address pairs, so that a
    /// mirrored copy never mixes with the native flow.
    pub context: u32,
    /// IP protocol number of the transport header.
    pub protocol: u8,
    /// 4 or 6.
    pub version: u8,
}

/// Which end of the key sent a packet: an index into `FlowKey::addresses`.
pub type EndIndex = u8;

/// Where a packet's captured transport payload lies.
#[derive(Clone, Copy, Debug, Default)]
pub struct PayloadPlace {
    /// Offset in the frame, or in `scratch` where `reassembled`.
    pub offset: u32,
    /// Captured payload length in bytes; may be less than the row's `payload_bytes`.
    pub captured: u32,
    /// The bytes lie in `PacketColumns::scratch`.
    pub reassembled: bool,
}

/// How population traffic can be wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs, reason = "the variants are the protocols' own names")]
pub enum TunnelKind {
    Gre,
    ErspanI,
    ErspanII,
    ErspanIII,
    IpInIp,
    SixInFour,
    Vxlan,
    Geneve,
    GtpU,
    Tzsp,
    L2tp,
    Teredo,
    MplsInUdp,
    Hep,
    Rpcap,
    Ayiya,
    Pptp,
}

/// The wrapping of an inner packet. One per distinct tunnel in a batch; rows refer to it by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TunnelRef {
    /// Kind of the innermost wrapping.
    pub kind: TunnelKind,
    /// Sender and receiver of the outer packet, in the direction of this packet.
    pub outer_source: Address,
    /// Receiver of the outer packet.
    pub outer_destination: Address,
    /// Outer destination port (0 for IP protocols).
    pub outer_port: u16,
    /// VNI, TEID, GRE key, ERSPAN session, … ; 0 where there is none.
    pub id: u32,
    /// Nesting depth of the inner packet: 1 for the first inner one.
    pub depth: u8,
}

/// `PacketColumns::tunnel` of a packet that nothing wraps.
pub const NO_TUNNEL: u16 = u16::MAX;

/// TCP flags as the header has them (FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128).
pub type TcpFlags = u8;

/// One parsed packet, to be pushed.
#[derive(Clone, Copy, Debug, Default)]
pub struct PacketRow {
    /// Capture time.
    pub ts: TimestampNs,
    /// Canonical flow key.
    pub key: FlowKey,
    /// Which end sent it.
    pub from: EndIndex,
    /// Index of the frame in the batch.
    pub frame: u32,
    /// Bytes of the IP packet by its header (IPv6: header included; jumbo and segmentation offload by the frame's length).
    pub ip_bytes: u32,
    /// Bytes after the transport header by the IP header's length, captured or not.
    pub payload_bytes: u32,
    /// Where the captured part of the payload lies.
    pub payload: PayloadPlace,
    /// TCP sequence number.
    pub tcp_seq: u32,
    /// TCP acknowledgement number.
    pub tcp_ack: u32,
    /// TCP window as sent, unscaled.
    pub tcp_window: u16,
    /// TCP flags; zero for other protocols.
    pub tcp_flags: TcpFlags,
    /// IPv4 TTL or IPv6 hop limit.
    pub ttl: u8,
    /// IPv4 identification, 0 for IPv6.
    pub ip_id: u16,
    /// Index into `PacketColumns::tunnels`, or [`NO_TUNNEL`].
    pub tunnel: u16,
    /// A fragment that could not be put together, or a row that stands for one: its ports are zero.
    pub is_fragment: bool,
    /// TCP or UDP checksum known to be wrong (whole packet captured, not zeroed by offload): Zeek ignores such packets.
    pub checksum_wrong: bool,
}

macro_rules! packet_columns {
    ($($field:ident : $ty:ty),* $(,)?) => {
        /// The columns; all have one length.
        #[derive(Debug, Default)]
        #[allow(missing_docs, reason = "each column is documented at its field in PacketRow")]
        pub struct PacketColumns {
            $(pub $field: Vec<$ty>,)*
            /// The distinct tunnels that rows refer to.
            pub tunnels: Vec<TunnelRef>,
            /// Reassembled datagrams of this batch.
            pub scratch: Vec<u8>,
            /// Flow exports met in this batch.
            pub exports: Vec<ExportDatagram>,
        }

        impl PacketColumns {
            /// Appends a row.
            #[inline(always)]
            pub fn push(&mut self, row: PacketRow) {
                $(self.$field.push(row.$field);)*
            }

            /// Empties the columns and keeps their memory.
            pub fn clear(&mut self) {
                $(self.$field.clear();)*
                self.tunnels.clear();
                self.scratch.clear();
                self.exports.clear();
            }

            /// One row, put together again.
            pub fn row(&self, i: usize) -> PacketRow {
                PacketRow { $($field: self.$field[i]),* }
            }
        }
    };
}

packet_columns! {
    ts: TimestampNs, key: FlowKey, from: EndIndex, frame: u32, ip_bytes: u32, payload_bytes: u32, payload: PayloadPlace,
    tcp_seq: u32, tcp_ack: u32, tcp_window: u16, tcp_flags: TcpFlags, ttl: u8, ip_id: u16, tunnel: u16,
    is_fragment: bool, checksum_wrong: bool,
}

impl PacketColumns {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.ts.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.ts.is_empty()
    }

    /// The captured payload of row `i`.
    pub fn payload_of<'a>(&'a self, i: usize, frames: &'a FrameBatch) -> &'a [u8] {
        let place = self.payload[i];
        let (from, len) = (place.offset as usize, place.captured as usize);
        match place.reassembled {
            true => &self.scratch[from..from + len],
            false => &frames.bytes(self.frame_of(i, frames))[from..from + len],
        }
    }

    /// The frame that row `i` came in.
    pub fn frame_of<'a>(&self, i: usize, frames: &'a FrameBatch) -> &'a FrameRef {
        &frames.frames()[self.frame[i] as usize]
    }
}

/// Which flow-export protocol a datagram speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs, reason = "the variants are the protocols' own names")]
pub enum ExportKind {
    NetflowV5,
    NetflowV9,
    Ipfix,
    Sflow,
}

/// One datagram of flow export: who tells whom about which end points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportDatagram {
    /// When it was captured.
    pub ts: TimestampNs,
    /// The protocol.
    pub kind: ExportKind,
    /// Who exports.
    pub exporter: Address,
    /// Who receives.
    pub receiver: Address,
    /// The receiver's port.
    pub port: u16,
    /// UDP payload bytes.
    pub bytes: u32,
    /// Flow records or samples in it.
    pub records: u32,
    /// End points that the records name: (source, destination), at most 64 a datagram.
    pub endpoints: Vec<(Address, Address)>,
}
