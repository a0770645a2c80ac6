//! Observations: rare facts that only packets can prove. They leave the flow stage beside the rows.
//! In: segments, messages and datagrams while their bytes are at hand. Out: small owned values.
//! Bounds: the sink is bounded by `observations_max` per window and worker; what does not fit is counted.

use crate::packet::columns::{ExportDatagram, FlowKey};
use crate::packet::facts::NameLookup;
use crate::units::{Address, DurationNs, TimestampNs};

/// One fact.
#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    /// Two different payloads for one TCP sequence range.
    SegmentConflict(Box<SegmentConflict>),
    /// A DNS message.
    Lookup(Box<NameLookup>),
    /// A datagram of flow export.
    Export(Box<ExportDatagram>),
}

/// One version of a contested segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentVersion {
    /// Number of its frame in its file, from 1.
    pub frame: u64,
    /// When it was captured.
    pub ts: TimestampNs,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Payload bytes.
    pub payload_bytes: u32,
    /// Hash of the whole captured payload (SipHash-1-3, fixed key): the same payload shot at many victims counts once.
    pub payload_hash: u64,
}

/// Two versions of the same bytes of a stream: at most one of them is the sender's.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentConflict {
    /// The flow.
    pub key: FlowKey,
    /// Index of its source in the order of the command line.
    pub file: u16,
    /// Who both versions claim to come from.
    pub sender: Address,
    /// Sender's port.
    pub sender_port: u16,
    /// Whom they were sent to: the victim.
    pub receiver: Address,
    /// Receiver's port.
    pub receiver_port: u16,
    /// First to arrive, then the other.
    pub versions: [SegmentVersion; 2],
    /// Time between the two.
    pub delta: DurationNs,
    /// Bytes that both carry for the same sequence numbers.
    pub overlap_bytes: u32,
    /// How many of those differ.
    pub differing_bytes: u32,
    /// Offset in the sender's stream (0 is the first byte after the handshake); none where the handshake was not seen.
    pub stream_offset: Option<u32>,
    /// Absolute difference of the TTLs.
    pub ttl_difference: u8,
    /// TTLs seen from this sender on this flow before the first version: an honest path rarely moves by more than one.
    pub sender_ttl_usual: Option<u8>,
}
