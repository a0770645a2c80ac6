//! Flow settings: how long flows live, how much may be kept, what closes a row.
//! In: plain values from the pipeline. Out: [`FlowConfig`].
//! Bounds: every limit of the room has its field and default here. Not here: where the values are written (`cli`).

use crate::units::DurationNs;

/// How the flow table behaves. The default suits a live sensor with one-minute windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowConfig {
    /// Length of a window; rows are cut at its multiples since 1970. Zero: one row per flow, at its end.
    pub window: DurationNs,
    /// Flows alive at once; a full table ends its least recently active one. About 330 bytes a flow, taken as needed.
    pub flows_max: u32,
    /// When flows end.
    pub timeouts: Timeouts,
    /// What becomes of packets whose checksum is known to be wrong.
    pub checksums: ChecksumPolicy,
    /// What is kept of TCP payloads to prove an injection.
    pub segments: SegmentBounds,
    /// What application parsing may hold.
    pub app: AppBounds,
    /// Address pairs remembered for `pair_gap`.
    pub pairs_max: usize,
    /// Observations handed on between two window closes; what comes after is counted.
    pub observations_max: u64,
    /// Key of the table's hash, so that nobody can aim packets at one bucket. Results do not depend on it.
    pub hash_key: [u64; 2],
}

impl Default for FlowConfig {
    fn default() -> Self {
        Self {
            window: DurationNs::from_secs(60),
            flows_max: 200_000,
            timeouts: Timeouts::default(),
            checksums: ChecksumPolicy::Count,
            segments: SegmentBounds::default(),
            app: AppBounds::default(),
            pairs_max: 100_000,
            observations_max: 100_000,
            hash_key: [0x9e37_79b9_7f4a_7c15, 0xd1b5_4a32_d192_ed03],
        }
    }
}

/// When flows end. The defaults are Zeek's, so that its users find the flows they know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// No packet on an established or met-midway TCP flow.
    pub tcp_idle: DurationNs,
    /// No packet on a TCP flow whose handshake got past the first SYN but not to its end.
    pub tcp_handshake: DurationNs,
    /// From a SYN that nobody answers, whatever its repetitions.
    pub tcp_attempt: DurationNs,
    /// From a close by both sides or a reset, whatever trails it.
    pub tcp_close: DurationNs,
    /// No packet on a UDP flow.
    pub udp_idle: DurationNs,
    /// No packet on an ICMP flow.
    pub icmp_idle: DurationNs,
    /// No packet on a flow of any other protocol.
    pub other_idle: DurationNs,
    /// A row that lasts this long is handed on though its window is still open. Zero: never.
    pub active: DurationNs,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            tcp_idle: DurationNs::from_secs(300),
            tcp_handshake: DurationNs::from_secs(60),
            tcp_attempt: DurationNs::from_secs(5),
            tcp_close: DurationNs::from_secs(5),
            udp_idle: DurationNs::from_secs(60),
            icmp_idle: DurationNs::from_secs(60),
            other_idle: DurationNs::from_secs(60),
            active: DurationNs::ZERO,
        }
    }
}

/// What becomes of packets whose transport checksum is known to be wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChecksumPolicy {
    /// They count like any other: captures on a sender see checksums that its network card has yet to fill in.
    #[default]
    Count,
    /// As Zeek does: the flow knows (`C` in its history) and nothing else does; their bytes are counted as lost.
    Drop,
}

/// What is kept of TCP payloads, to compare a later segment of the same sequence range with. One pool for all flows, the
/// oldest making room; memory is `bytes_max` plus about 64 bytes for each of `records_max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentBounds {
    /// Payload bytes kept over all flows. Zero keeps nothing and compares nothing.
    pub bytes_max: usize,
    /// Segments kept over all flows.
    pub records_max: usize,
    /// Stream bytes after the handshake within which segments are kept whole (up to `whole_bytes`).
    pub opening_bytes: u64,
    /// Bytes kept of a segment within the opening.
    pub whole_bytes: usize,
    /// Bytes kept of a segment after the opening.
    pub prefix_bytes: usize,
    /// Kept segments of one direction that a new one is compared with, newest first.
    pub compared_max: usize,
    /// Age past which a kept segment is no longer compared: a race is decided within seconds.
    pub age_max: DurationNs,
    /// Conflicts told of one direction of a flow.
    pub conflicts_per_side_max: u8,
}

impl Default for SegmentBounds {
    fn default() -> Self {
        Self {
            bytes_max: 32 << 20,
            records_max: 1 << 17,
            opening_bytes: 16 << 10,
            whole_bytes: 2048,
            prefix_bytes: 256,
            compared_max: 64,
            age_max: DurationNs::from_secs(10),
            conflicts_per_side_max: 8,
        }
    }
}

/// What application parsing may hold in one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppBounds {
    /// Flows whose opening is being parsed at once. Zero parses none.
    pub states_max: u32,
    /// Stream bytes given to the parsers of those.
    pub bytes_max: usize,
}

impl Default for AppBounds {
    fn default() -> Self {
        Self { states_max: 50_000, bytes_max: 64 << 20 }
    }
}
