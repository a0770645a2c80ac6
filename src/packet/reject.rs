//! Rejects: what the parser could not use, as counts.
//! In: one `count` for each event. Out: mergeable counters with names for the `stats` report.
//! Bounds: one counter a kind; of unknown numbers the first [`UNKNOWN_NUMBERS_MAX`] kinds met.
//! Not here: anything about a single packet; a bad packet is a number, never a log line.

use std::collections::BTreeMap;

/// Distinct unknown link types and ether types of which the number itself is kept.
pub const UNKNOWN_NUMBERS_MAX: usize = 32;

/// What a reject says about the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RejectClass {
    /// Nothing is wrong: the frame is not an IP packet, or waits for its other fragments.
    Ordinary,
    /// The capture holds less than was sent, by its snap length.
    CutShort,
    /// The bytes contradict themselves.
    Damaged,
    /// Something this program does not know.
    Unknown,
    /// A limit of `ParserLimits` was reached.
    Limit,
}

macro_rules! rejects {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $class:ident;)*) => {
        /// Why a frame, a layer of it or a fragment gave no row (or less of one than it should have).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Reject { $($(#[$doc])* $variant,)* }

        impl Reject {
            /// All of them; the order is the order of reports.
            pub const ALL: [Self; [$(Self::$variant),*].len()] = [$(Self::$variant),*];

            /// The name in reports.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Whether this is damage, a limit, or nothing wrong at all.
            pub fn class(self) -> RejectClass {
                match self { $(Self::$variant => RejectClass::$class,)* }
            }
        }
    };
}

rejects! {
    /// A frame of another network protocol: ARP, LLDP, spanning tree, 802.11 management …
    NotIp = "not-ip", Ordinary;
    /// The same inside a tunnel.
    InnerNotIp = "inner-not-ip", Ordinary;
    /// A tunnel's port or protocol number whose content is no tunnel's: the bytes stay payload.
    InnerDoubted = "inner-doubted", Ordinary;
    /// 802.11, MACsec or PPP payload that is encrypted or compressed, so that no IP header can be read.
    Opaque = "opaque-link-payload", Ordinary;
    /// A fragment that waits for the rest of its datagram.
    FragmentHeld = "fragment-held", Ordinary;
    /// A datagram that was never completed (each counts once).
    FragmentLost = "fragment-lost", Ordinary;
    /// A fragment that overlaps an earlier one; the first one's bytes are kept.
    FragmentOverlap = "fragment-overlap", Damaged;
    /// A fragment whose offset and length cannot be part of a datagram.
    FragmentImpossible = "fragment-impossible", Damaged;
    /// A fragment of a captured length below its true one: its datagram cannot be put together.
    FragmentCut = "fragment-cut", CutShort;
    /// The captured bytes end inside the link header.
    TruncatedLink = "truncated-link", CutShort;
    /// The captured bytes end inside the IP header or its extensions.
    TruncatedNetwork = "truncated-network", CutShort;
    /// The captured bytes end inside the transport header.
    TruncatedTransport = "truncated-transport", CutShort;
    /// A link header that contradicts itself.
    BadLink = "bad-link", Damaged;
    /// Neither version 4 nor version 6 where an IP header should be.
    BadIpVersion = "bad-ip-version", Damaged;
    /// An IP header or extension whose length cannot be.
    BadHeaderLength = "bad-header-length", Damaged;
    /// An IP header that claims more bytes than the frame had on the wire; the frame's length is used.
    LengthBeyondFrame = "length-beyond-frame", Damaged;
    /// A transport header that does not fit in its IP packet.
    BadTransport = "bad-transport", Damaged;
    /// A link type that is not known.
    UnknownLinkType = "unknown-link-type", Unknown;
    /// An ether type (or PPP protocol) that is neither IP nor known to be something else.
    UnknownEtherType = "unknown-ether-type", Unknown;
    /// Tunnels nested deeper than `depth_max`.
    DepthExceeded = "depth-exceeded", Limit;
    /// More link headers (tags, labels) in one frame than anything honest has.
    LinkDepthExceeded = "link-depth-exceeded", Limit;
    /// More distinct tunnels in one batch than a row can refer to.
    TunnelsFull = "tunnels-full", Limit;
    /// A datagram dropped half-finished because the reassembly limits were reached.
    FragmentEvicted = "fragment-evicted", Limit;
    /// Export templates dropped because the template limit was reached.
    TemplatesFull = "templates-full", Limit;
}

/// Counts by kind. `merge` is associative and commutative: of unknown numbers the smallest are kept, and one that is
/// among the smallest of all is among the smallest of every part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectCounts {
    counts: [u64; Reject::ALL.len()],
    /// IP packets and IP bytes (by their headers) that gave no row because they are fragments of datagrams not put together.
    fragment_packets_lost: u64,
    fragment_bytes_lost: u64,
    unknown_links: BTreeMap<u16, u64>,
    unknown_ether_types: BTreeMap<u16, u64>,
}

impl Default for RejectCounts {
    fn default() -> Self {
        Self {
            counts: [0; Reject::ALL.len()],
            fragment_packets_lost: 0,
            fragment_bytes_lost: 0,
            unknown_links: BTreeMap::new(),
            unknown_ether_types: BTreeMap::new(),
        }
    }
}

impl RejectCounts {
    /// Counts one event.
    #[inline]
    pub fn count(&mut self, reject: Reject) {
        self.count_many(reject, 1);
    }

    /// Counts several.
    pub fn count_many(&mut self, reject: Reject, times: u64) {
        let slot = &mut self.counts[reject as usize];
        *slot = slot.saturating_add(times);
    }

    /// Counts a frame of an unknown link type and remembers the number.
    pub fn count_link_type(&mut self, number: u16) {
        self.count(Reject::UnknownLinkType);
        count_number(&mut self.unknown_links, number, 1);
    }

    /// Counts a frame of an unknown ether type and remembers the number.
    pub fn count_ether_type(&mut self, number: u16) {
        self.count(Reject::UnknownEtherType);
        count_number(&mut self.unknown_ether_types, number, 1);
    }

    /// Counts fragments that never became a row.
    pub fn count_fragments_lost(&mut self, packets: u64, ip_bytes: u64) {
        self.fragment_packets_lost = self.fragment_packets_lost.saturating_add(packets);
        self.fragment_bytes_lost = self.fragment_bytes_lost.saturating_add(ip_bytes);
    }

    /// How often it happened.
    pub fn of(&self, reject: Reject) -> u64 {
        self.counts[reject as usize]
    }

    /// Sum over a class.
    pub fn of_class(&self, class: RejectClass) -> u64 {
        Reject::ALL.iter().filter(|r| r.class() == class).fold(0, |sum, r| sum.saturating_add(self.of(*r)))
    }

    /// Every kind with its count, zero or not, in the order of reports.
    pub fn iter(&self) -> impl Iterator<Item = (Reject, u64)> + '_ {
        Reject::ALL.iter().map(|r| (*r, self.of(*r)))
    }

    /// Fragments (packets, IP bytes) that never became a row: what the rows' sums are short of.
    pub fn fragments_lost(&self) -> (u64, u64) {
        (self.fragment_packets_lost, self.fragment_bytes_lost)
    }

    /// Unknown link types met, with counts, in order of number.
    pub fn unknown_links(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        self.unknown_links.iter().map(|(number, count)| (*number, *count))
    }

    /// Unknown ether types met, with counts, in order of number.
    pub fn unknown_ether_types(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        self.unknown_ether_types.iter().map(|(number, count)| (*number, *count))
    }

    /// Adds the counts of another parser.
    pub fn merge(&mut self, other: &Self) {
        for (ours, theirs) in self.counts.iter_mut().zip(other.counts) {
            *ours = ours.saturating_add(theirs);
        }
        self.count_fragments_lost(other.fragment_packets_lost, other.fragment_bytes_lost);
        for (number, count) in &other.unknown_links {
            count_number(&mut self.unknown_links, *number, *count);
        }
        for (number, count) in &other.unknown_ether_types {
            count_number(&mut self.unknown_ether_types, *number, *count);
        }
    }
}

/// Keeps the smallest [`UNKNOWN_NUMBERS_MAX`] numbers, so that the result depends on the set and not on its order.
fn count_number(map: &mut BTreeMap<u16, u64>, number: u16, times: u64) {
    if let Some(count) = map.get_mut(&number) {
        *count = count.saturating_add(times);
        return;
    }
    if map.len() >= UNKNOWN_NUMBERS_MAX {
        match map.last_key_value() {
            Some((largest, _)) if *largest > number => map.pop_last(),
            _ => return,
        };
    }
    map.insert(number, times);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_merging_adds() {
        let names: std::collections::BTreeSet<_> = Reject::ALL.iter().map(|r| r.name()).collect();
        assert_eq!(names.len(), Reject::ALL.len());
        let (mut a, mut b) = (RejectCounts::default(), RejectCounts::default());
        a.count(Reject::NotIp);
        b.count_link_type(300);
        b.count(Reject::NotIp);
        let (mut ab, mut ba) = (a.clone(), b.clone());
        ab.merge(&b);
        ba.merge(&a);
        assert_eq!(ab, ba);
        assert_eq!(ab.of(Reject::NotIp), 2);
        assert_eq!(ab.of_class(RejectClass::Unknown), 1);
        assert_eq!(ab.unknown_links().collect::<Vec<_>>(), [(300, 1)]);
    }

    #[test]
    fn unknown_numbers_are_bounded() {
        let mut counts = RejectCounts::default();
        for number in (0..1000).rev() {
            counts.count_link_type(number);
        }
        assert_eq!(counts.of(Reject::UnknownLinkType), 1000);
        assert_eq!(counts.unknown_links().count(), UNKNOWN_NUMBERS_MAX);
        assert_eq!(counts.unknown_links().next(), Some((0, 1)));
    }
}
