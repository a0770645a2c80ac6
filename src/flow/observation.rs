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
    /// A packet that its sender cannot have sent.
    Forgery(Box<Forgery>),
}

/// What was forged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum ForgeryKind {
    /// An answer to a DNS query: one question, two answers that have nothing in common.
    Answer,
    /// A reset: its sender went on as if it had never sent it.
    Reset,
}

/// One of two packets that contradict each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForgeryVersion {
    /// Number of its frame in its file, from 1.
    pub frame: u64,
    /// When it was captured.
    pub ts: TimestampNs,
    /// TTL or hop limit.
    pub ttl: u8,
    /// The least of the addresses that were answered; none where there are none.
    pub leads_to: Option<Address>,
}

/// A packet that its sender cannot have sent, beside the one that shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Forgery {
    /// What was forged.
    pub kind: ForgeryKind,
    /// Index of its source in the order of the command line.
    pub file: u16,
    /// Who both claim to come from.
    pub sender: Address,
    /// Sender's port.
    pub sender_port: u16,
    /// Whom they were sent to: the victim.
    pub receiver: Address,
    /// IP protocol number.
    pub protocol: u8,
    /// First to arrive, then the other. Of a reset: the reset, then what its sender sent after it.
    pub versions: [ForgeryVersion; 2],
    /// Time between the two.
    pub delta: DurationNs,
    /// The TTL that the sender's packets on this flow usually had before the first version.
    pub sender_ttl_usual: Option<u8>,
    /// Packets of the forged kind so far (at least one).
    pub copies: u8,
    /// The name that was asked for; empty where none was.
    pub name: Box<str>,
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
    /// Hash of the payload as far as it was captured and kept (SipHash-1-3, fixed key): the same payload shot at many
    /// victims counts once. Near the start of a stream that is the whole segment.
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
    /// How many of those are known to differ; bytes of which only one version was captured and kept are not known to.
    pub differing_bytes: u32,
    /// Offset in the sender's stream (0 is the first byte after the handshake); none where the handshake was not seen.
    pub stream_offset: Option<u32>,
    /// Absolute difference of the TTLs.
    pub ttl_difference: u8,
    /// TTLs seen from this sender on this flow before the first version: an honest path rarely moves by more than one.
    pub sender_ttl_usual: Option<u8>,
}

/// Bytes that must differ before two versions are thought to be two messages: below lie probes, padding and damage.
const DIFFERING_BYTES_MIN: u32 = 16;
/// The same of versions that came from unlike distances: an alert of TLS (RFC 8446 6) or a short order is no longer.
const DIFFERING_BYTES_ELSEWHERE_MIN: u32 = 6;
/// A race between an answer and its forgery is over within this time.
const RACE_MAX: DurationNs = DurationNs::from_secs(2);
/// An honest path moves by no more hops than this while a flow lives.
const TTL_DRIFT_MAX: u8 = 1;

impl SegmentConflict {
    /// Whether the conflict looks like a shot from the side: at least 16 bytes differ, both versions came within 2 s, and
    /// they contest the first byte after the handshake or their TTLs differ by more than one. On nine recorded QUANTUM
    /// INSERT captures this found nine, and none of 5,766 benign flows (DESIGN.md, detection notes).
    ///
    /// ```
    /// use trawlwatch::flow::observation::{SegmentConflict, SegmentVersion};
    /// use trawlwatch::packet::columns::FlowKey;
    /// use trawlwatch::units::{Address, DurationNs, TimestampNs};
    ///
    /// let version = |frame, ttl| SegmentVersion { frame, ts: TimestampNs(0), ttl, payload_bytes: 71, payload_hash: frame };
    /// let shot = SegmentConflict {
    ///     key: FlowKey::default(),
    ///     file: 0,
    ///     sender: Address::v4([198, 51, 100, 1]),
    ///     sender_port: 80,
    ///     receiver: Address::v4([10, 0, 0, 1]),
    ///     receiver_port: 40_000,
    ///     versions: [version(5, 64), version(9, 53)],
    ///     delta: DurationNs::from_millis(30),
    ///     overlap_bytes: 71,
    ///     differing_bytes: 50,
    ///     stream_offset: Some(0),
    ///     ttl_difference: 11,
    ///     sender_ttl_usual: Some(53),
    /// };
    /// assert!(shot.is_injection_like());
    /// assert!(SegmentConflict { ttl_difference: 0, ..shot.clone() }.is_injection_like(), "the first answer is contested");
    /// assert!(SegmentConflict { stream_offset: Some(900), ..shot.clone() }.is_injection_like(), "from elsewhere");
    /// let late = SegmentConflict { stream_offset: Some(900), ttl_difference: 1, ..shot.clone() };
    /// assert!(!late.is_injection_like());
    /// let brief = SegmentConflict { differing_bytes: 6, ..shot.clone() };
    /// assert!(brief.is_injection_like(), "an alert from elsewhere");
    /// assert!(!SegmentConflict { ttl_difference: 1, ..brief.clone() }.is_injection_like(), "padding, or damage");
    /// assert!(!SegmentConflict { differing_bytes: 5, ..brief }.is_injection_like());
    /// assert!(!SegmentConflict { differing_bytes: 2, ..shot.clone() }.is_injection_like());
    /// assert!(!SegmentConflict { delta: DurationNs::from_secs(3), ..shot }.is_injection_like());
    /// ```
    pub fn is_injection_like(&self) -> bool {
        is_injection_like(self.differing_bytes, self.delta, self.stream_offset, self.ttl_difference)
    }
}

/// The same of a conflict's figures, wherever they are kept.
pub fn is_injection_like(
    differing_bytes: u32,
    delta: DurationNs,
    stream_offset: Option<u32>,
    ttl_difference: u8,
) -> bool {
    let is_first_answer = stream_offset == Some(0);
    let is_elsewhere = ttl_difference > TTL_DRIFT_MAX;
    let least = if is_elsewhere { DIFFERING_BYTES_ELSEWHERE_MIN } else { DIFFERING_BYTES_MIN };
    differing_bytes >= least && delta <= RACE_MAX && (is_first_answer || is_elsewhere)
}
