//! Flow rows: what the flow table hands on, one row per flow and window.
//! In: totals kept per flow by the table. Out: columns, reused, from which features and summaries are made.
//! Bounds: fixed size per row; histograms and first sizes have fixed lengths.
//! Time: packet timestamps only. Not here: names, which the row carries by reference (`packet::facts`).

use std::sync::Arc;

use super::pace::Pace;
use crate::packet::columns::{FlowKey, TunnelKind};
use crate::packet::facts::AppFacts;
use crate::units::{Address, DurationNs, Side, TimestampNs};

/// Sizes and gaps kept from a row's beginning.
pub const FIRST_PACKETS: usize = 8;
/// Bins of the packet size histogram: bin b holds payload sizes in `[2^(b-1), 2^b)`, bin 0 the empty ones, the last all above.
pub const SIZE_BINS: usize = 12;
/// Bins of the gap histogram: bin b holds gaps in `[2^(2b), 2^(2b+2))` microseconds, bin 0 all below 4 µs, the last all above.
pub const GAP_BINS: usize = 16;
/// Letters of history kept.
pub const HISTORY_BYTES: usize = 24;

/// Why a row was handed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RowEnd {
    /// The window closed and the flow lives on.
    #[default]
    Window,
    /// No packet for the idle timeout.
    Idle,
    /// It lived for the active timeout.
    Active,
    /// TCP closed it (FIN on both sides, or RST) and the linger time has passed, or its tuple began anew.
    Closed,
    /// The table was full and this was its oldest flow.
    Evicted,
    /// The input ended.
    EndOfInput,
}

/// State of a connection, with Zeek's names and meanings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the variants are Zeek's conn_state values")]
pub enum ConnState {
    S0,
    S1,
    SF,
    REJ,
    S2,
    S3,
    RSTO,
    RSTR,
    RSTOS0,
    RSTRH,
    SH,
    SHR,
    #[default]
    OTH,
}

/// How the flow's beginner was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OrigBy {
    /// A SYN, or the SYN+ACK that answers one.
    Handshake,
    /// Met midway: the port that services use is the responder's.
    Ports,
    /// Nothing better: who sent first.
    #[default]
    First,
}

/// What an inner flow knows of its tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CarrierRow {
    /// Kind of the innermost wrapping.
    pub kind: TunnelKind,
    /// Outer addresses in canonical order.
    pub outer: [Address; 2],
    /// Outer destination port.
    pub port: u16,
    /// VNI, TEID, key … of the first packet.
    pub id: u32,
    /// Nesting depth, 1 for the first inner packet.
    pub depth: u8,
    /// Packets by \[inner side\]\[outer sender: index into `outer`\]. In an honest tunnel the two inner sides travel in
    /// opposite outer directions; in a mirror both travel the same way.
    pub packets: [[u32; 2]; 2],
    /// IP bytes of the inner packets, in the same order.
    pub bytes: [[u64; 2]; 2],
}

macro_rules! flow_columns {
    (
        flow { $($(#[$fdoc:meta])* $field:ident : $fty:ty,)* }
        side { $($(#[$sdoc:meta])* $sfield:ident : $sty:ty,)* }
    ) => {
        /// One side's totals within a row.
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        pub struct SideRow { $($(#[$sdoc])* pub $sfield: $sty,)* }

        /// One flow in one window.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct FlowRow {
            $($(#[$fdoc])* pub $field: $fty,)*
            /// Totals by side, indexed by [`Side`].
            pub sides: [SideRow; 2],
        }

        /// One side's columns.
        #[derive(Clone, Debug, Default)]
        pub struct SideColumns { $($(#[$sdoc])* pub $sfield: Vec<$sty>,)* }

        /// Rows as columns; all have one length.
        #[derive(Clone, Debug, Default)]
        pub struct FlowColumns {
            $($(#[$fdoc])* pub $field: Vec<$fty>,)*
            /// Columns by side, indexed by [`Side`].
            pub sides: [SideColumns; 2],
        }

        impl FlowColumns {
            /// Appends a row.
            #[inline]
            pub fn push(&mut self, row: FlowRow) {
                $(self.$field.push(row.$field);)*
                for (columns, side) in self.sides.iter_mut().zip(row.sides) {
                    $(columns.$sfield.push(side.$sfield);)*
                }
            }

            /// One row, put together again.
            pub fn row(&self, i: usize) -> FlowRow {
                FlowRow {
                    $($field: self.$field[i].clone(),)*
                    sides: std::array::from_fn(|s| SideRow { $($sfield: self.sides[s].$sfield[i],)* }),
                }
            }

            /// Moves all rows of `other` to the end of these.
            pub fn append(&mut self, other: &mut Self) {
                $(self.$field.append(&mut other.$field);)*
                for (to, from) in self.sides.iter_mut().zip(other.sides.iter_mut()) {
                    $(to.$sfield.append(&mut from.$sfield);)*
                }
            }

            /// Empties the columns and keeps their memory.
            pub fn clear(&mut self) {
                $(self.$field.clear();)*
                for side in &mut self.sides { $(side.$sfield.clear();)* }
            }
        }
    };
}

flow_columns! {
    flow {
        /// Canonical key.
        key: FlowKey,
        /// Which end of the key is the originator: 0 or 1.
        orig_end: u8,
        /// How that was told.
        orig_by: OrigBy,
        /// Hash of the 5-tuple without the tunnel context, the same in every run and on every machine: SipHash-1-3
        /// under a fixed key. Joins a mirrored copy with its native flow.
        tuple_hash: u64,
        /// First packet of the whole flow.
        flow_start: TimestampNs,
        /// First packet of this row.
        ts_first: TimestampNs,
        /// Last packet of this row.
        ts_last: TimestampNs,
        /// Last packet of the whole flow so far that came while a side was still open: what trails a TCP close (the final
        /// ACK) is not counted. Zeek's `duration` is this less `flow_start`. Equals the last packet for other protocols.
        ts_open_last: TimestampNs,
        /// Rows that this flow gave before this one.
        row_number: u32,
        /// Why the row ended.
        end: RowEnd,
        /// Connection state so far, over the whole flow.
        state: ConnState,
        /// Zeek-like history so far: upper case for the originator, lower for the responder.
        history: [u8; HISTORY_BYTES],
        /// Time since the flow before this one began between the same two addresses (any ports); zero when there was none.
        /// Set on a flow's first row only.
        pair_gap: DurationNs,
        /// SYN to SYN+ACK; zero where not seen.
        rtt_syn_ack: DurationNs,
        /// Order changes between the sides that send payload: 1 for a lone request, 2 once it is answered …
        turns: u32,
        /// Bursts: runs of packets of either side with less than one second between them.
        bursts: u32,
        /// Time that lay inside bursts, the rest of the row's duration was silent.
        active: DurationNs,
        /// What carries it, where it is an inner flow.
        carrier: Option<CarrierRow>,
        /// How its bytes lay in time, where a side sent much.
        pace: Option<Box<Pace>>,
        /// What its first bytes said.
        facts: Option<Arc<AppFacts>>,
        /// The file and the number of the first frame of the row.
        first_frame: (u16, u64),
    }
    side {
        /// Packets.
        packets: u32,
        /// Bytes of IP packets by their headers.
        ip_bytes: u64,
        /// Transport payload bytes as sent, retransmissions counted again.
        payload_bytes: u64,
        /// Packets with payload.
        payload_packets: u32,
        /// Distinct payload bytes by TCP sequence numbers (Zeek's orig_bytes); equals `payload_bytes` for other protocols.
        stream_bytes: u64,
        /// Payload bytes of this row that the side sent in its first turn: before its peer spoke again. For TLS and QUIC that
        /// is the handshake's flight, which is no data that anyone collects. Zero in rows after the opening.
        opening_bytes: u32,
        /// Sum of squares of payload sizes, bytes².
        size_square_sum: u64,
        /// Smallest payload of a packet with payload, bytes.
        size_min: u16,
        /// Largest payload, bytes.
        size_max: u16,
        /// Payload sizes of the first packets with payload.
        first_sizes: [u16; FIRST_PACKETS],
        /// Microseconds from the side's packet before, for the first packets; saturating.
        first_gaps_us: [u32; FIRST_PACKETS],
        /// Packets by payload size, see [`SIZE_BINS`].
        size_bins: [u16; SIZE_BINS],
        /// Gaps between the side's packets, see [`GAP_BINS`].
        gap_bins: [u16; GAP_BINS],
        /// Sum of the gaps, nanoseconds.
        gap_sum_ns: u64,
        /// Sum of squared gaps, seconds².
        gap_square_sum_s2: f32,
        /// Smallest gap, microseconds.
        gap_min_us: u32,
        /// Largest gap, microseconds.
        gap_max_us: u32,
        /// Packets with SYN.
        syn: u16,
        /// Packets with FIN.
        fin: u16,
        /// Packets with RST.
        rst: u16,
        /// Packets with PSH.
        psh: u16,
        /// Packets with ACK and no payload.
        pure_acks: u32,
        /// TCP packets that repeat bytes sent before.
        retransmissions: u32,
        /// TCP packets that come before bytes still missing.
        out_of_order: u32,
        /// TCP packets that say window zero.
        zero_windows: u16,
        /// Smallest TTL or hop limit.
        ttl_min: u8,
        /// Largest TTL or hop limit.
        ttl_max: u8,
        /// Largest TCP window as sent, unscaled.
        window_max: u16,
    }
}

impl FlowColumns {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.key.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.key.is_empty()
    }

    /// Address of a side of row `i`.
    pub fn address(&self, i: usize, side: Side) -> Address {
        self.key[i].addresses[usize::from(self.orig_end[i]) ^ side.index()]
    }

    /// Port of a side of row `i`.
    pub fn port(&self, i: usize, side: Side) -> u16 {
        self.key[i].ports[usize::from(self.orig_end[i]) ^ side.index()]
    }
}
