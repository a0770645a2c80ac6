//! Reassembly of IPv4 and IPv6 fragments (RFC 815's aim with a plain buffer).
//! In: fragments. Out: the datagram once it is whole, or a count once it never will be.
//! Bounds: `FragmentLimits`: datagrams, bytes, age. Buffers are kept and reused.
//! A whole datagram is one packet whose IP bytes are one header and the payload, as Zeek counts it (the logs of its GTP
//! traces); the later fragments' headers are not counted. What never becomes whole is counted by
//! `RejectCounts::fragments_lost`.
//! Time: moves by frame timestamps only. Overlap: the first bytes to arrive stay; what differs is counted.

use std::collections::VecDeque;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::{Fragment, IpPacket, More};
use crate::packet::layer::{Layer, clamp_u32};
use crate::packet::reject::{Reject, RejectCounts};
use crate::units::{Address, DurationNs, TimestampNs};

/// Longest datagram payload there can be: lengths have sixteen bits.
const DATAGRAM_BYTES_MAX: u32 = 65_535;
/// Separate stretches of one datagram; a datagram of minimal pieces arriving in order makes one.
const STRETCHES_MAX: usize = 64;

/// What bounds reassembly.
#[derive(Clone, Copy, Debug)]
pub struct FragmentLimits {
    /// Datagrams put together at a time; the oldest makes room.
    pub datagrams_max: usize,
    /// Payload bytes held at a time.
    pub bytes_max: usize,
    /// Time that a datagram may take (60 s: RFC 8200 section 4.5).
    pub age_max: DurationNs,
}

impl Default for FragmentLimits {
    fn default() -> Self {
        Self { datagrams_max: 1024, bytes_max: 16 << 20, age_max: DurationNs::from_secs(60) }
    }
}

/// Which datagram a fragment belongs to (RFC 791, RFC 8200), within its tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct DatagramKey {
    source: Address,
    destination: Address,
    id: u32,
    context: u32,
    /// 0 for IPv6, whose identification stands alone.
    protocol: u8,
    version: u8,
}

/// The first fragment's header: what the whole datagram's row says.
#[derive(Clone, Copy, Debug)]
struct Head {
    protocol: u8,
    ttl: u8,
    header_bytes: u32,
}

/// One datagram on its way.
#[derive(Debug, Default)]
struct Datagram {
    began: TimestampNs,
    key: Option<DatagramKey>,
    head: Option<Head>,
    bytes: Vec<u8>,
    /// Received stretches (from, to), sorted, not touching.
    stretches: Vec<(u32, u32)>,
    /// Payload length, once the last fragment is there.
    total: Option<u32>,
    /// Everything before this was captured; `u32::MAX` as long as no fragment was cut.
    captured_to: u32,
    packets: u64,
    ip_bytes: u64,
}

/// A datagram that is whole. Its payload is at [`Fragments::whole`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whole {
    pub protocol: u8,
    pub ttl: u8,
    pub header_bytes: u32,
    pub payload_bytes: u32,
}

/// The datagrams on their way.
#[derive(Debug)]
pub(crate) struct Fragments {
    limits: FragmentLimits,
    by_key: HashMap<DatagramKey, u32, FixedState>,
    datagrams: Vec<Datagram>,
    free: Vec<u32>,
    /// In order of beginning; entries whose datagram is done are skipped.
    ages: VecDeque<(u32, DatagramKey, TimestampNs)>,
    bytes_held: usize,
    whole: Vec<u8>,
}

impl Fragments {
    pub fn new(limits: FragmentLimits) -> Self {
        Self {
            limits,
            by_key: HashMap::with_hasher(FixedState::with_seed(0)),
            datagrams: Vec::new(),
            free: Vec::new(),
            ages: VecDeque::new(),
            bytes_held: 0,
            whole: Vec::new(),
        }
    }

    /// The captured payload of the datagram that `add` completed last.
    pub fn whole(&self) -> &[u8] {
        &self.whole
    }

    /// Takes one fragment; gives the datagram when this was the last piece missing.
    pub fn add(
        &mut self,
        context: u32,
        ip: &IpPacket<'_>,
        piece: Fragment,
        ts: TimestampNs,
        rejects: &mut RejectCounts,
    ) -> Option<Whole> {
        self.expire(ts, rejects);
        let to = piece.offset.saturating_add(ip.body.wire);
        let odd = piece.more == More::Follows && !ip.body.wire.is_multiple_of(8);
        if to > DATAGRAM_BYTES_MAX || ip.body.wire == 0 || odd {
            rejects.count(Reject::FragmentImpossible);
            rejects.count_fragments_lost(1, u64::from(ip.ip_bytes));
            return None;
        }
        if ip.body.is_cut() {
            rejects.count(Reject::FragmentCut);
        }
        let protocol = if ip.version == 4 { ip.protocol } else { 0 };
        let (source, destination, id, version) = (ip.source, ip.destination, piece.id, ip.version);
        let key = DatagramKey { source, destination, id, context, protocol, version };
        let slot = match self.by_key.get(&key) {
            Some(slot) => *slot,
            None => self.begin(key, ts, rejects),
        };
        let datagram = &mut self.datagrams[slot as usize];
        let held_before = datagram.bytes.len();
        let put = datagram.put(ip, piece, to);
        self.bytes_held = self.bytes_held + datagram.bytes.len() - held_before;
        match put {
            Ok(Overlap::None) => {}
            Ok(Overlap::Differs) => rejects.count(Reject::FragmentOverlap),
            Err(reject) => {
                rejects.count(reject);
                rejects.count_fragments_lost(1, u64::from(ip.ip_bytes));
                return None;
            }
        }
        let whole = datagram.whole();
        match whole {
            Some(whole) => {
                self.whole.clear();
                let captured = datagram.captured_to.min(whole.payload_bytes) as usize;
                self.whole.extend_from_slice(&datagram.bytes[..captured.min(datagram.bytes.len())]);
                self.end(slot);
            }
            None => {
                rejects.count(Reject::FragmentHeld);
                while self.bytes_held > self.limits.bytes_max && !self.by_key.is_empty() {
                    self.evict_oldest(rejects);
                }
            }
        }
        whole
    }

    /// Counts everything still incomplete as lost: no more frames will come.
    pub fn finish(&mut self, rejects: &mut RejectCounts) {
        while let Some((slot, key, began)) = self.ages.pop_front() {
            if self.is_alive(slot, &key, began) {
                self.lose(slot, Reject::FragmentLost, rejects);
            }
        }
    }

    /// Gives up what is too old at `now`.
    fn expire(&mut self, now: TimestampNs, rejects: &mut RejectCounts) {
        while let Some((slot, key, began)) = self.ages.front().copied() {
            let alive = self.is_alive(slot, &key, began);
            if alive && now.since(began) <= self.limits.age_max {
                break;
            }
            self.ages.pop_front();
            if alive {
                self.lose(slot, Reject::FragmentLost, rejects);
            }
        }
    }

    fn begin(&mut self, key: DatagramKey, ts: TimestampNs, rejects: &mut RejectCounts) -> u32 {
        while self.by_key.len() >= self.limits.datagrams_max.max(1) {
            self.evict_oldest(rejects);
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.datagrams.push(Datagram::default());
            clamp_u32(self.datagrams.len() - 1)
        });
        let datagram = &mut self.datagrams[slot as usize];
        datagram.began = ts;
        datagram.key = Some(key);
        datagram.captured_to = u32::MAX;
        self.by_key.insert(key, slot);
        // Datagrams that are done leave their entry behind an older one that is not: sweep before they pile up.
        if self.ages.len() > 2 * self.limits.datagrams_max.max(1) {
            let (by_key, datagrams) = (&self.by_key, &self.datagrams);
            self.ages.retain(|(slot, key, began)| {
                by_key.get(key) == Some(slot) && datagrams[*slot as usize].began == *began
            });
        }
        self.ages.push_back((slot, key, ts));
        slot
    }

    fn evict_oldest(&mut self, rejects: &mut RejectCounts) {
        while let Some((slot, key, began)) = self.ages.pop_front() {
            if self.is_alive(slot, &key, began) {
                return self.lose(slot, Reject::FragmentEvicted, rejects);
            }
        }
    }

    fn is_alive(&self, slot: u32, key: &DatagramKey, began: TimestampNs) -> bool {
        let datagram = &self.datagrams[slot as usize];
        datagram.key.as_ref() == Some(key) && datagram.began == began
    }

    fn lose(&mut self, slot: u32, reject: Reject, rejects: &mut RejectCounts) {
        let datagram = &self.datagrams[slot as usize];
        rejects.count(reject);
        rejects.count_fragments_lost(datagram.packets, datagram.ip_bytes);
        self.end(slot);
    }

    /// Frees a slot and keeps its memory.
    fn end(&mut self, slot: u32) {
        let datagram = &mut self.datagrams[slot as usize];
        if let Some(key) = datagram.key.take() {
            self.by_key.remove(&key);
        }
        self.bytes_held = self.bytes_held.saturating_sub(datagram.bytes.len());
        datagram.bytes.clear();
        datagram.stretches.clear();
        datagram.head = None;
        datagram.total = None;
        datagram.packets = 0;
        datagram.ip_bytes = 0;
        self.free.push(slot);
    }
}

/// Whether a fragment said something else than an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overlap {
    None,
    Differs,
}

impl Datagram {
    /// Files a fragment that ends at `to`.
    fn put(&mut self, ip: &IpPacket<'_>, piece: Fragment, to: u32) -> Result<Overlap, Reject> {
        let beyond = self.total.is_some_and(|total| to > total || piece.more == More::Last && to != total);
        let behind = piece.more == More::Last && self.stretches.last().is_some_and(|(_, last)| *last > to);
        if beyond || behind {
            return Err(Reject::FragmentImpossible);
        }
        if self.stretches.len() >= STRETCHES_MAX {
            return Err(Reject::FragmentEvicted);
        }
        if piece.more == More::Last {
            self.total = Some(to);
        }
        if piece.offset == 0 && self.head.is_none() {
            // The whole datagram has no fragment header.
            let header_bytes = ip.header_bytes - if ip.version == 6 { 8.min(ip.header_bytes) } else { 0 };
            self.head = Some(Head { protocol: ip.protocol, ttl: ip.ttl, header_bytes });
        }
        self.packets += 1;
        self.ip_bytes = self.ip_bytes.saturating_add(u64::from(ip.ip_bytes));
        let captured = piece.offset + clamp_u32(ip.body.bytes.len());
        if captured < to {
            self.captured_to = self.captured_to.min(captured);
        }
        if self.bytes.len() < to as usize {
            self.bytes.resize(to as usize, 0);
        }
        let overlap = self.copy_new(piece.offset, ip.body);
        self.mark(piece.offset, to);
        Ok(overlap)
    }

    /// Copies what no earlier fragment brought; compares the rest.
    fn copy_new(&mut self, from: u32, body: Layer<'_>) -> Overlap {
        let mut overlap = Overlap::None;
        let mut at = from;
        let end = from + clamp_u32(body.bytes.len());
        let piece = |a: u32, b: u32| &body.bytes[(a - from) as usize..(b - from) as usize];
        for (have_from, have_to) in &self.stretches {
            let (a, b) = ((*have_from).max(at), (*have_to).min(end));
            if a >= b {
                continue;
            }
            if at < a {
                self.bytes[at as usize..a as usize].copy_from_slice(piece(at, a));
            }
            if self.bytes[a as usize..b as usize] != *piece(a, b) {
                overlap = Overlap::Differs;
            }
            at = b;
        }
        if at < end {
            self.bytes[at as usize..end as usize].copy_from_slice(piece(at, end));
        }
        overlap
    }

    /// Adds a stretch and joins it with its neighbours.
    fn mark(&mut self, from: u32, to: u32) {
        let first = self.stretches.partition_point(|(_, end)| *end < from);
        let last = self.stretches.partition_point(|(begin, _)| *begin <= to);
        let joined = match self.stretches.get(first..last) {
            Some([(a, _), .., (_, b)]) => (from.min(*a), to.max(*b)),
            Some([(a, b)]) => (from.min(*a), to.max(*b)),
            _ => (from, to),
        };
        self.stretches.splice(first..last.max(first), [joined]);
    }

    fn whole(&self) -> Option<Whole> {
        let (head, total) = (self.head?, self.total?);
        (self.stretches == [(0, total)]).then_some(Whole {
            protocol: head.protocol,
            ttl: head.ttl,
            header_bytes: head.header_bytes,
            payload_bytes: total,
        })
    }
}

#[cfg(test)]
mod tests;
