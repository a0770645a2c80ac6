//! Conflicts: two payloads for one sequence range, as a summary keeps them.
//! In: observations of the flow stage. Out: the first of them with all that a report says, and victims by payload.
//! Bounds: those of `earliest`, `injections_max` pairs of server prefix and payload.
//!
//! The flow's key is not kept, and a victim stands under its pseudonym. A Community ID is a hash over the real addresses:
//! with the server and the ports known, the victim behind it is found by trying addresses. So [`ConflictRecord::community_id`]
//! is empty unless the caller puts one in, knowing that its output may name subscribers; one made over pseudonymous
//! addresses joins with this program's own flow records and reveals nothing.

use serde::{Deserialize, Serialize};

use super::earliest::Earliest;
use super::identity::Party;
use super::populations::PopulationIndex;
use super::sketch::{Distinct, Merge};
use super::table::Weighed;
use super::totals::count;
use crate::flow::observation::{SegmentConflict, SegmentVersion, is_injection_like};
use crate::units::{Address, DurationNs, TimestampNs};

/// One version of a contested segment, see [`SegmentVersion`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "as in SegmentVersion")]
pub struct VersionRecord {
    pub ts: TimestampNs,
    pub frame: u64,
    pub ttl: u8,
    pub payload_bytes: u32,
    pub payload_hash: u64,
}

impl From<SegmentVersion> for VersionRecord {
    fn from(version: SegmentVersion) -> Self {
        let SegmentVersion { frame, ts, ttl, payload_bytes, payload_hash } = version;
        Self { ts, frame, ttl, payload_bytes, payload_hash }
    }
}

/// A conflict without its flow key. Ordered by (time, file, frame) of the first version, then by all the rest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConflictRecord {
    /// When the first version came.
    pub ts: TimestampNs,
    /// Index of its source in the order of the command line.
    pub file: u16,
    /// First to arrive, then the other.
    pub versions: [VersionRecord; 2],
    /// Who both versions claim to come from.
    pub server: Party,
    /// Its port.
    pub server_port: u16,
    /// Pseudonym of whom they were sent to, whether in a population or not.
    pub victim: Address,
    /// The victim's port.
    pub victim_port: u16,
    /// The victim's population, where it has one.
    pub population: Option<PopulationIndex>,
    /// Time between the two.
    pub delta: DurationNs,
    /// Bytes that both carry for the same sequence numbers.
    pub overlap_bytes: u32,
    /// How many of those differ.
    pub differing_bytes: u32,
    /// Offset in the sender's stream; none where the handshake was not seen.
    pub stream_offset: Option<u32>,
    /// Absolute difference of the TTLs.
    pub ttl_difference: u8,
    /// TTL usual from this sender on this flow.
    pub sender_ttl_usual: Option<u8>,
    /// IP protocol number of the flow.
    pub protocol: u8,
    /// Community ID of the flow, only where the caller decided to give one.
    pub community_id: Option<Box<str>>,
}

impl ConflictRecord {
    /// See [`SegmentConflict::is_injection_like`].
    pub fn is_injection_like(&self) -> bool {
        is_injection_like(self.differing_bytes, self.delta, self.stream_offset, self.ttl_difference)
    }

    /// A conflict between parties that are already safe to keep.
    pub(super) fn of(
        conflict: &SegmentConflict,
        server: Party,
        victim: Address,
        population: Option<PopulationIndex>,
    ) -> Self {
        Self {
            ts: conflict.versions[0].ts,
            file: conflict.file,
            versions: conflict.versions.map(VersionRecord::from),
            server,
            server_port: conflict.sender_port,
            victim,
            victim_port: conflict.receiver_port,
            population,
            delta: conflict.delta,
            overlap_bytes: conflict.overlap_bytes,
            differing_bytes: conflict.differing_bytes,
            stream_offset: conflict.stream_offset,
            ttl_difference: conflict.ttl_difference,
            sender_ttl_usual: conflict.sender_ttl_usual,
            protocol: conflict.key.protocol,
            community_id: None,
        }
    }
}

/// The conflicts of a summary: the first by time, file and frame.
pub type Conflicts = Earliest<ConflictRecord>;

/// A payload that one of two versions carried, and the prefix it claims to come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InjectionKey {
    /// The sender's /24 or /48, host bits zero (of a subscriber: of its pseudonym).
    pub server_prefix: Party,
    /// Hash of the payload.
    pub payload_hash: u64,
}

/// Whom it was sent to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InjectionSummary {
    /// Conflicts with this payload as either version.
    pub conflicts: u64,
    /// Victims, by keyed hash.
    pub victims: Distinct,
}

impl Merge for InjectionSummary {
    fn merge(&mut self, other: Self) {
        count(&mut self.conflicts, other.conflicts);
        self.victims.merge(other.victims);
    }
}

impl Weighed for InjectionSummary {
    type Others = Count;

    fn weight(&self) -> u64 {
        self.victims.count().saturating_mul(1 << 16).saturating_add(self.conflicts)
    }

    fn to_others(&self) -> Count {
        Count(self.conflicts)
    }
}

/// A count that merges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count(pub u64);

impl Merge for Count {
    fn merge(&mut self, other: Self) {
        count(&mut self.0, other.0);
    }
}

/// The network of an address by which collectors and servers are grouped: IPv4 /24, IPv6 /48.
pub fn network_of(address: Address) -> Address {
    let mut octets = address.0;
    let from = if address.is_v4() { 15 } else { 6 };
    octets[from..].fill(0);
    Address(octets)
}

/// The network within which one operator's addresses lie: IPv4 /16, IPv6 /32.
pub fn wide_network_of(address: Address) -> Address {
    let mut octets = address.0;
    let from = if address.is_v4() { 14 } else { 4 };
    octets[from..].fill(0);
    Address(octets)
}
