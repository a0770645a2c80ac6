//! Segment evidence: two different payloads for one TCP sequence range.
//! In: segments with payload, where they lie in their stream. Out: conflicts with both versions.
//! Bounds: one ring of records and one ring of bytes for all flows ([`SegmentBounds`]); the oldest make room, and what goes
//! before its age is counted. A flow holds no more than the number of its newest record: records chain back from there.
//! Payload bytes stay in the ring and leave it only as hashes and counts. Those of a mapped file are not copied: the record
//! says where they lie, and they are looked at again only where another version comes. They count against the ring all the
//! same, so that a compressed capture gives what the plain one does.
//! Compared are the bytes that were captured and kept of both versions. Not here: whether a conflict is an attack.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use super::config::SegmentBounds;
use super::observation::SegmentVersion;
use crate::capture::frame::{FrameBatch, MappedPlace};
use crate::units::{DurationNs, TimestampNs};

/// Shorter payloads are probes of window or life, whose byte is often made up.
const PAYLOAD_MIN: usize = 2;
/// Key of the payload hash: part of what observations promise.
const PAYLOAD_HASH_KEY: (u64, u64) = (0x7472_6177_6c77_6174, 0x6368_2d70_6179_6c64);

/// One segment as the table sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sighting<'a> {
    /// Relative sequence number of the first payload byte; 1 is the first after the handshake.
    pub(super) at: u64,
    /// Captured payload.
    pub(super) payload: &'a [u8],
    /// Payload bytes by the headers.
    pub(super) payload_bytes: u32,
    pub(super) ts: TimestampNs,
    pub(super) ttl: u8,
    /// What the sender's TTL usually was before.
    pub(super) ttl_usual: Option<u8>,
    /// Checksum of pseudo-header and TCP header so far, where they were captured.
    pub(super) header_sum: Option<u16>,
    pub(super) frame: u64,
    /// Where the payload lies, if it outlives the packet.
    pub(super) place: Option<MappedPlace>,
    /// By which such places are reached.
    pub(super) frames: Option<&'a FrameBatch>,
}

/// Whether a segment can overlap what its sender sent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ground {
    /// All of it is new.
    New,
    /// Part of it was sent before.
    Trodden,
}

/// Two versions of one range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Conflict {
    pub(super) versions: [SegmentVersion; 2],
    /// Relative sequence number at which the overlap begins.
    pub(super) at: u64,
    pub(super) overlap_bytes: u32,
    pub(super) differing_bytes: u32,
    pub(super) ttl_usual: Option<u8>,
    pub(super) delta: DurationNs,
}

/// The map of a record whose bytes were copied.
const IN_RING: u16 = u16::MAX;

/// A kept segment. One cache line: many are written and few are read again.
#[derive(Clone, Copy, Debug)]
struct Record {
    at: u64,
    /// Where its bytes begin, counted over all bytes ever kept.
    bytes_at: u64,
    ts: TimestampNs,
    frame: u64,
    /// Number of the record before it in the same direction, plus one; 0 for none.
    previous: u64,
    /// Where its bytes lie in the map: an offset.
    offset: u64,
    payload_bytes: u32,
    /// The map that holds its bytes, or [`IN_RING`].
    map: u16,
    kept: u16,
    header_sum: Option<u16>,
    ttl: u8,
    ttl_usual: Option<u8>,
}

const _: () = assert!(size_of::<Record>() == 64);

/// What the checksum says of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Checksum {
    Right,
    Wrong,
    /// Not all of the segment was captured and kept.
    Unknown,
}

/// The evidence of one worker.
#[derive(Debug)]
pub(super) struct Evidence {
    bounds: SegmentBounds,
    records: Vec<Record>,
    /// Records ever kept; record `n` lies at `n % records_max`.
    records_kept: u64,
    bytes: Vec<u8>,
    bytes_kept: u64,
    /// Kept segments that made room before their age.
    overwritten: u64,
    /// Conflicts of a version with its own damaged copy.
    damaged: u64,
}

impl Evidence {
    pub(super) fn new(bounds: SegmentBounds) -> Self {
        Self {
            bounds,
            records: Vec::new(),
            records_kept: 0,
            bytes: Vec::new(),
            bytes_kept: 0,
            overwritten: 0,
            damaged: 0,
        }
    }

    /// Segments kept so far, those that made room too early, conflicts that were transmission damage.
    pub(super) fn counts(&self) -> [u64; 3] {
        [self.records_kept, self.overwritten, self.damaged]
    }

    /// Compares a segment with what its direction sent before and keeps it. `newest` is the direction's chain; `tell` gets
    /// each conflict.
    pub(super) fn take(
        &mut self,
        newest: &mut u64,
        seen: &Sighting<'_>,
        ground: Ground,
        mut tell: impl FnMut(Conflict),
    ) {
        if seen.payload.len() < PAYLOAD_MIN || self.bounds.bytes_max == 0 || self.bounds.records_max == 0 {
            return;
        }
        if ground == Ground::Trodden {
            if self.is_repetition(*newest, seen) {
                return;
            }
            let checksum = checksum_of(seen.header_sum, seen.payload, seen.payload_bytes);
            let mut damaged = 0;
            for record in self.chain(*newest, seen.ts) {
                let Some(conflict) = self.compare(&record, seen) else { continue };
                // One copy right and the other wrong: the network damaged it. Both wrong is a card's checksum to come.
                match (
                    checksum_of(record.header_sum, self.bytes_of(&record, seen.frames), record.payload_bytes),
                    checksum,
                ) {
                    (Checksum::Right, Checksum::Wrong) | (Checksum::Wrong, Checksum::Right) => damaged += 1,
                    _ => tell(conflict),
                }
            }
            self.damaged += damaged;
        }
        *newest = self.keep(*newest, seen);
    }

    /// Whether one kept segment holds all of this one, and the same bytes: then it is a version already known.
    fn is_repetition(&self, newest: u64, seen: &Sighting<'_>) -> bool {
        let end = seen.at.saturating_add(u64::from(seen.payload_bytes));
        self.chain(newest, seen.ts).any(|record| {
            let holds = record.at <= seen.at && record.end() >= end;
            holds && matches!(self.difference(&record, seen), Some((compared, 0)) if compared > 0)
        })
    }

    /// The kept segments of a direction, newest first, as far as they are still there and young enough.
    fn chain(&self, newest: u64, now: TimestampNs) -> impl Iterator<Item = Record> + '_ {
        let mut next = newest;
        std::iter::from_fn(move || {
            let number = next.checked_sub(1)?;
            let record = *self.record(number)?;
            next = record.previous;
            (apart(now, record.ts) <= self.bounds.age_max).then_some(record)
        })
        .take(self.bounds.compared_max)
    }

    /// A record by number, unless record and bytes have made room.
    fn record(&self, number: u64) -> Option<&Record> {
        let oldest = self.records_kept.saturating_sub(self.records.len() as u64);
        if number < oldest || number >= self.records_kept {
            return None;
        }
        let record = self.records.get((number % self.bounds.records_max as u64) as usize)?;
        (self.bytes_kept - record.bytes_at <= self.bounds.bytes_max as u64).then_some(record)
    }

    fn bytes_of<'a>(&'a self, record: &Record, frames: Option<&'a FrameBatch>) -> &'a [u8] {
        if record.map != IN_RING {
            let place = MappedPlace { map: record.map, offset: record.offset };
            return frames.and_then(|frames| frames.mapped(place, usize::from(record.kept))).unwrap_or_default();
        }
        let start = (record.bytes_at % self.bounds.bytes_max as u64) as usize;
        self.bytes.get(start..start + usize::from(record.kept)).unwrap_or_default()
    }

    /// How many of the bytes known of both versions were compared, and how many differ; none where they do not overlap.
    fn difference(&self, record: &Record, seen: &Sighting<'_>) -> Option<(usize, u32)> {
        let from = record.at.max(seen.at);
        let kept = self.bytes_of(record, seen.frames).get((from - record.at) as usize..)?;
        let new = seen.payload.get((from - seen.at) as usize..)?;
        let pairs = kept.iter().zip(new);
        Some((pairs.len(), pairs.filter(|(a, b)| a != b).count() as u32))
    }

    fn compare(&self, record: &Record, seen: &Sighting<'_>) -> Option<Conflict> {
        let (_, differing_bytes) = self.difference(record, seen)?;
        if differing_bytes == 0 {
            return None;
        }
        let at = record.at.max(seen.at);
        let end = record.end().min(seen.at.saturating_add(u64::from(seen.payload_bytes)));
        let kept_of_new = self.bounds.kept_of(seen);
        let first = SegmentVersion {
            frame: record.frame,
            ts: record.ts,
            ttl: record.ttl,
            payload_bytes: record.payload_bytes,
            payload_hash: payload_hash(self.bytes_of(record, seen.frames)),
        };
        let second = SegmentVersion {
            frame: seen.frame,
            ts: seen.ts,
            ttl: seen.ttl,
            payload_bytes: seen.payload_bytes,
            payload_hash: payload_hash(&seen.payload[..kept_of_new]),
        };
        Some(Conflict {
            versions: [first, second],
            at,
            overlap_bytes: u32::try_from(end.saturating_sub(at)).unwrap_or(u32::MAX),
            differing_bytes,
            ttl_usual: record.ttl_usual,
            delta: apart(seen.ts, record.ts),
        })
    }

    /// Keeps a segment; returns its number plus one.
    fn keep(&mut self, previous: u64, seen: &Sighting<'_>) -> u64 {
        let kept = self.bounds.kept_of(seen);
        let place = seen.place.filter(|place| place.map != IN_RING);
        let bytes_at = self.reserve(kept);
        if place.is_none() {
            self.write(bytes_at, &seen.payload[..kept]);
        }
        let record = Record {
            at: seen.at,
            bytes_at,
            ts: seen.ts,
            frame: seen.frame,
            previous,
            offset: place.map_or(0, |place| place.offset),
            payload_bytes: seen.payload_bytes,
            map: place.map_or(IN_RING, |place| place.map),
            kept: kept as u16,
            header_sum: seen.header_sum,
            ttl: seen.ttl,
            ttl_usual: seen.ttl_usual,
        };
        let place = (self.records_kept % self.bounds.records_max as u64) as usize;
        match self.records.get_mut(place) {
            Some(old) => {
                self.overwritten += u64::from(apart(seen.ts, old.ts) < self.bounds.age_max);
                *old = record;
            }
            None => {
                // All at once: places never used cost no memory, and growing by doubling copied every record twice.
                let most = self.bounds.records_max - self.records.len();
                self.records.reserve_exact(most);
                self.records.push(record);
            }
        }
        self.records_kept += 1;
        self.records_kept
    }

    /// Room for bytes in one piece; returns where they begin, counted over all bytes ever kept.
    fn reserve(&mut self, bytes: usize) -> u64 {
        let capacity = self.bounds.bytes_max as u64;
        let left = capacity - self.bytes_kept % capacity;
        if left < bytes as u64 {
            self.bytes_kept += left;
        }
        let at = self.bytes_kept;
        self.bytes_kept += bytes as u64;
        at
    }

    /// Writes bytes into the ring, where room was made for them.
    fn write(&mut self, at: u64, bytes: &[u8]) {
        let start = (at % self.bounds.bytes_max as u64) as usize;
        let end = start + bytes.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[start..end].copy_from_slice(bytes);
    }
}

impl Record {
    fn end(&self) -> u64 {
        self.at.saturating_add(u64::from(self.payload_bytes))
    }
}

impl SegmentBounds {
    /// Bytes kept of a segment: more near the start of its stream, never more than the ring holds.
    fn kept_of(&self, seen: &Sighting<'_>) -> usize {
        let bound = if seen.at <= self.opening_bytes { self.whole_bytes } else { self.prefix_bytes };
        seen.payload.len().min(bound).min(self.bytes_max).min(usize::from(u16::MAX))
    }
}

/// Time between two packets, whichever way the clock went.
fn apart(a: TimestampNs, b: TimestampNs) -> DurationNs {
    DurationNs(a.0.abs_diff(b.0))
}

/// Adds bytes to a ones' complement sum (RFC 1071); all but the last piece of a sum have even lengths.
pub(super) fn add_sum(sum: u16, bytes: &[u8]) -> u16 {
    let mut total = u64::from(sum);
    let mut pairs = bytes.chunks_exact(2);
    for pair in &mut pairs {
        total += u64::from(u16::from_be_bytes([pair[0], pair[1]]));
    }
    if let [last] = pairs.remainder() {
        total += u64::from(*last) << 8;
    }
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

fn checksum_of(header_sum: Option<u16>, payload: &[u8], payload_bytes: u32) -> Checksum {
    match header_sum {
        Some(sum) if payload.len() == payload_bytes as usize => match add_sum(sum, payload) {
            0xffff => Checksum::Right,
            _ => Checksum::Wrong,
        },
        _ => Checksum::Unknown,
    }
}

fn payload_hash(bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(PAYLOAD_HASH_KEY.0, PAYLOAD_HASH_KEY.1);
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sighting(at: u64, payload: &[u8], frame: u64) -> Sighting<'_> {
        let payload_bytes = payload.len() as u32;
        Sighting {
            at,
            payload,
            payload_bytes,
            ts: TimestampNs(frame),
            ttl: 64,
            ttl_usual: None,
            header_sum: None,
            frame,
            place: None,
            frames: None,
        }
    }

    /// Where each segment begins and what it holds.
    type Segments<'a> = &'a [(u64, &'a [u8])];
    /// Both frames, overlapping bytes, differing bytes.
    type Told = (u64, u64, u32, u32);

    /// Feeds one direction; returns what was told of each conflict.
    fn conflicts(bounds: SegmentBounds, list: Segments<'_>) -> Vec<Told> {
        let mut evidence = Evidence::new(bounds);
        let (mut newest, mut found) = (0, Vec::new());
        for (n, &(at, payload)) in list.iter().enumerate() {
            evidence.take(&mut newest, &sighting(at, payload, n as u64 + 1), Ground::Trodden, |c| {
                found.push((c.versions[0].frame, c.versions[1].frame, c.overlap_bytes, c.differing_bytes));
            });
        }
        found
    }

    #[test]
    fn conflicts_and_their_look_alikes() {
        let cases: [(&str, Segments, &[Told]); 9] = [
            ("two payloads", &[(1, b"abcdef"), (1, b"abXXefgh")], &[(1, 2, 6, 2)]),
            ("a repetition", &[(1, b"abcdef"), (1, b"abcdef")], &[]),
            ("cut otherwise", &[(1, b"abcdef"), (3, b"cd"), (2, b"bcdefgh"), (1, b"abcdefgh")], &[]),
            ("a probe of one byte", &[(1, b"abcdef"), (6, b"X")], &[]),
            ("no overlap", &[(1, b"abcdef"), (7, b"XXXX")], &[]),
            (
                "a third version",
                &[(1, b"abcd"), (1, b"xxxx"), (1, b"yyyy")],
                &[(1, 2, 4, 4), (2, 3, 4, 4), (1, 3, 4, 4)],
            ),
            ("a version again", &[(1, b"abcd"), (1, b"xxxx"), (1, b"abcd"), (1, b"xxxx")], &[(1, 2, 4, 4)]),
            ("part of a version again", &[(1, b"abcdef"), (1, b"xxxxxx"), (2, b"xxx")], &[(1, 2, 6, 6)]),
            ("overlap in the middle", &[(1, b"abcdef"), (4, b"deXX")], &[(1, 2, 3, 1)]),
        ];
        for (name, list, wanted) in cases {
            assert_eq!(conflicts(SegmentBounds::default(), list), wanted, "{name}");
        }
    }

    #[test]
    fn only_what_is_known_of_both_is_compared() {
        let mut evidence = Evidence::new(SegmentBounds::default());
        let (mut newest, mut found) = (0, 0);
        let cut = Sighting { payload_bytes: 100, ..sighting(1, b"abcd", 1) };
        evidence.take(&mut newest, &cut, Ground::New, |_| found += 1);
        evidence.take(&mut newest, &sighting(1, b"abcdZZZZ", 2), Ground::Trodden, |_| found += 1);
        assert_eq!(found, 0, "the snap length hid the rest");
    }

    #[test]
    fn old_evidence_is_not_compared_and_early_loss_is_counted() {
        let bounds = SegmentBounds { records_max: 2, ..SegmentBounds::default() };
        let mut evidence = Evidence::new(bounds);
        let (mut newest, mut found) = (0, 0);
        for frame in 1..=3 {
            evidence.take(&mut newest, &sighting(frame * 10, b"abcd", frame), Ground::New, |_| found += 1);
        }
        evidence.take(&mut newest, &sighting(10, b"zzzz", 4), Ground::Trodden, |_| found += 1);
        assert_eq!((found, evidence.counts()), (0, [4, 2, 0]));

        let mut evidence = Evidence::new(SegmentBounds::default());
        let late = Sighting { ts: TimestampNs(11_000_000_000), ..sighting(1, b"zzzz", 2) };
        let mut newest = 0;
        evidence.take(&mut newest, &sighting(1, b"abcd", 1), Ground::New, |_| found += 1);
        evidence.take(&mut newest, &late, Ground::Trodden, |_| found += 1);
        assert_eq!(found, 0);
    }

    #[test]
    fn a_damaged_copy_is_no_conflict() {
        let sum = |payload: &[u8]| Some(!add_sum(0, payload));
        let mut evidence = Evidence::new(SegmentBounds::default());
        let (mut newest, mut found) = (0, 0);
        let damaged = Sighting { header_sum: sum(b"abcdefg"), ..sighting(1, b"abXdefg", 1) };
        let right = Sighting { header_sum: sum(b"abcdefg"), ..sighting(1, b"abcdefg", 2) };
        let other = Sighting { header_sum: sum(b"abcdefZ"), ..sighting(1, b"abcdefZ", 3) };
        evidence.take(&mut newest, &damaged, Ground::New, |_| found += 1);
        evidence.take(&mut newest, &right, Ground::Trodden, |_| found += 1);
        assert_eq!((found, evidence.counts()[2]), (0, 1));
        evidence.take(&mut newest, &other, Ground::Trodden, |_| found += 1);
        assert_eq!(found, 1, "two right ones conflict");
    }

    proptest! {
        #[test]
        fn any_cutting_of_one_stream_agrees(
            cuts in prop::collection::vec((0usize..400, 1usize..80), 1..200),
            bytes_max in 1usize..3000, records_max in 1usize..50,
        ) {
            let stream: Vec<u8> = (0..512u32).map(|n| (n * 7 % 251) as u8).collect();
            let bounds = SegmentBounds { bytes_max, records_max, ..SegmentBounds::default() };
            let list: Vec<_> = cuts.iter().map(|&(at, len)| (at as u64 + 1, &stream[at..at + len])).collect();
            prop_assert_eq!(conflicts(bounds, &list), []);
        }
    }
}
