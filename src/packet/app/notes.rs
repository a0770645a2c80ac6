//! Notes: what the parsers of one flow have found so far, and how often they met a bound or a fault.
//! In: single findings of either side, in whatever order the sides arrive. Out: [`AppFacts`] and counts.
//! Bounds: those of `facts`. A finding has a fixed rank, so that the order of arrival changes nothing.

use crate::packet::facts::{AppFacts, AppProtocol};

/// What can befall a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AppEvent {
    /// Read to its end.
    Parsed,
    /// Broken by its own rules: nothing more is read from that side (DNS: from that message).
    Malformed,
    /// Ended early: the capture or the flow ends within it. What was there is used.
    Cut,
    /// A bound was met: [`super::APP_BYTES_MAX`] and the limits of each parser.
    BufferFull,
}

impl AppEvent {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Parsed, Self::Malformed, Self::Cut, Self::BufferFull];

    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Parsed => "parsed",
            Self::Malformed => "malformed",
            Self::Cut => "cut",
            Self::BufferFull => "buffer_full",
        }
    }
}

/// Rows of the counters: the protocols, then what was not told yet.
const ROWS: usize = AppProtocol::ALL.len() + 1;

fn row(protocol: Option<AppProtocol>) -> usize {
    protocol.map_or(ROWS - 1, |p| p as usize)
}

/// Messages by protocol and fate, over many flows. Merging is addition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppCounters {
    counts: [[u64; AppEvent::ALL.len()]; ROWS],
}

impl AppCounters {
    /// Messages of a protocol (none: not told yet) that met this fate.
    pub fn of(&self, protocol: Option<AppProtocol>, event: AppEvent) -> u64 {
        self.counts[row(protocol)][event as usize]
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().flatten().zip(other.counts.iter().flatten()) {
            *mine = mine.saturating_add(*theirs);
        }
    }
}

/// The rank of a server name: a higher one replaces a lower.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NameRank {
    #[default]
    None,
    /// Told a proxy, or read from a DNS response alone.
    Indirect,
    /// HTTP Host, DNS query.
    Host,
    /// TLS or QUIC SNI.
    Sni,
}

/// The facts and counts of one flow.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes {
    facts: AppFacts,
    revision: u32,
    name_rank: NameRank,
    version_settled: bool,
    alpn_settled: bool,
    is_retry_asked: bool,
    counts: [[u32; AppEvent::ALL.len()]; ROWS],
}

impl Notes {
    /// Goes on from facts that were taken; their name was of this rank.
    pub(super) fn again(facts: AppFacts, name_rank: NameRank) -> Self {
        Self { facts, name_rank, ..Self::default() }
    }

    pub(super) fn name_rank(&self) -> NameRank {
        self.name_rank
    }

    pub(super) fn facts(&self) -> &AppFacts {
        &self.facts
    }

    /// The facts, to be changed.
    pub(super) fn edit(&mut self) -> &mut AppFacts {
        self.revision = self.revision.wrapping_add(1);
        &mut self.facts
    }

    pub(super) fn take(&mut self) -> AppFacts {
        std::mem::take(&mut self.facts)
    }

    /// Changes whenever the facts do.
    pub(super) fn revision(&self) -> u32 {
        self.revision
    }

    /// The flow's bytes prove `protocol`. What opens the way (HTTP CONNECT) yields to what goes through it.
    pub(super) fn prove(&mut self, protocol: AppProtocol) {
        let yields = matches!(self.facts.protocol, None | Some(AppProtocol::Http | AppProtocol::Stun));
        if yields && self.facts.protocol != Some(protocol) {
            self.edit().protocol = Some(protocol);
        }
    }

    /// The name that the client asks for, by the best that says it.
    pub(super) fn name(&mut self, rank: NameRank, name: Option<Box<str>>) {
        if name.is_some() && rank > self.name_rank {
            self.name_rank = rank;
            self.edit().server_name = name;
        }
    }

    /// The version that the client offers; the server's word stays.
    pub(super) fn version_offered(&mut self, version: u16) {
        if !self.version_settled {
            self.edit().tls_version = Some(version);
        }
    }

    /// The version that the server chose.
    pub(super) fn version_chosen(&mut self, version: u16) {
        self.version_settled = true;
        self.edit().tls_version = Some(version);
    }

    /// A server asked for a second hello.
    pub(super) fn retry_asked(&mut self) {
        self.is_retry_asked = true;
    }

    /// Whether a server has answered the first hello with its own: then no second one comes (RFC 8446 section 4.1.4).
    pub(super) fn is_hello_answered(&self) -> bool {
        self.version_settled && !self.is_retry_asked
    }

    /// The first ALPN id that the client offers; the server's word stays.
    pub(super) fn alpn_offered(&mut self, id: Box<str>) {
        if !self.alpn_settled {
            self.edit().alpn = Some(id);
        }
    }

    /// The ALPN id that the server chose.
    pub(super) fn alpn_chosen(&mut self, id: Box<str>) {
        self.alpn_settled = true;
        self.edit().alpn = Some(id);
    }

    pub(super) fn count(&mut self, protocol: Option<AppProtocol>, event: AppEvent) {
        let cell = &mut self.counts[row(protocol)][event as usize];
        *cell = cell.saturating_add(1);
    }

    pub(super) fn count_into(&self, counters: &mut AppCounters) {
        for (total, count) in counters.counts.iter_mut().flatten().zip(self.counts.iter().flatten()) {
            *total = total.saturating_add(u64::from(*count));
        }
    }
}
