//! Application facts: the few words of a flow's opening that say who talks to whom in which protocol.
//!
//! In: one flow's payloads: TCP segments in any order with their stream offsets, or datagrams. Out: [`AppFacts`], and a
//! [`NameLookup`] for each DNS message. Bounds: [`APP_BYTES_MAX`] bytes a side and those of each parser; what meets a bound
//! is counted in [`AppCounters`]. Time: the packets'. Not here: which flow a packet belongs to, what TCP's state is.
//!
//! ```text
//! start ─▶ AppState ─┬─ stream ──▶ reassembly ─▶ (told by its bytes) ─▶ tls · http · ssh · irc · dns · prefaces ─┐
//!                    └─ datagram ────────────────▶ dns · quic ─▶ tls · dtls ─▶ tls · wireguard ───────────┴─▶ facts
//! ```
//!
//! A flow's own bytes prove its protocol; its ports are a hint only where the bytes cannot be sure (DNS). Each side is read
//! by itself, so a capture of one direction gives what that direction says.

mod dns;
mod http;
mod irc;
mod names;
mod notes;
mod preface;
mod quic;
mod reader;
mod reassembly;
mod ssh;
mod stream;
mod tls;
mod wireguard;

pub use http::HEAD_BYTES_MAX;
pub use names::registrable_domain;
pub use notes::{AppCounters, AppEvent};
pub use preface::PREFACE_BYTES_MAX;
pub use quic::INITIALS_MAX;
pub use reassembly::{APP_BYTES_MAX, RANGES_MAX};
pub use tls::{HELLO_BYTES_MAX, LEAF_BYTES_MAX};

use notes::{NameRank, Notes};
use stream::{HalfStream, Surroundings};

use crate::packet::facts::{AppFacts, AppProtocol, DnsKind, NameLookup};
use crate::units::{Address, Side, TimestampNs};

const TCP: u8 = 6;
const UDP: u8 = 17;

/// A flow met with an offset up to this may have been reordered: its beginning is waited for.
const LATE_START_BYTES_MAX: u32 = APP_BYTES_MAX as u32;

/// When a payload came, and between whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppContext {
    /// Capture time of the packet.
    pub ts: TimestampNs,
    /// The flow's originator.
    pub orig: Address,
    /// The flow's responder.
    pub resp: Address,
}

impl AppContext {
    fn address(&self, side: Side) -> Address {
        match side {
            Side::Orig => self.orig,
            Side::Resp => self.resp,
        }
    }
}

/// Whether more payload can change the facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It can: go on feeding.
    More,
    /// It cannot: take the facts and drop the state.
    Done,
}

/// What one step of a parser came to: the same, of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    More,
    Done,
}

/// What is known and awaited of one flow's application.
#[derive(Clone, Debug)]
pub struct AppState {
    notes: Notes,
    ports: [u16; 2],
    kind: Kind,
}

#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "the state lies in a box already, and most states are streams")]
enum Kind {
    Stream([HalfStream; 2]),
    Dns(DnsKind),
    Quic(Box<quic::Connection>),
    Dtls(Box<tls::dtls::Association>),
    /// One datagram says what it is, and no other says more.
    Told(AppProtocol),
}

impl Kind {
    fn of(ip_protocol: u8, ports: [u16; 2], stream_offset: u32, first_payload: &[u8]) -> Option<Self> {
        match ip_protocol {
            TCP if (1..LATE_START_BYTES_MAX).contains(&stream_offset) || stream::can_begin(ports, first_payload) => {
                Some(Self::Stream([HalfStream::new(), HalfStream::new()]))
            }
            UDP => Self::of_datagram(ports, first_payload),
            _ => None,
        }
    }

    fn of_datagram(ports: [u16; 2], payload: &[u8]) -> Option<Self> {
        let hint = dns::kind_of_ports(ports);
        if let Some(kind) = hint.filter(|_| dns::plausible(payload, hint)) {
            return Some(Kind::Dns(kind));
        }
        if quic::can_begin(payload) {
            return Some(Kind::Quic(Box::default()));
        }
        if tls::dtls::can_begin(payload) {
            return Some(Kind::Dtls(Box::default()));
        }
        if wireguard::is_message(payload) {
            return Some(Kind::Told(AppProtocol::WireGuard));
        }
        dns::plausible(payload, None).then_some(Kind::Dns(DnsKind::Unicast))
    }
}

/// How the reading of a flow begins.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "it is taken apart at once, and its caller boxes what it keeps")]
pub enum Opening {
    /// DNS datagrams: each message is read by itself.
    Resting(RestingDns),
    /// All else: messages may lie in several packets.
    State(AppState),
}

/// A flow of DNS datagrams between two of its messages: each stands for itself, so that nothing but the facts is kept. Such
/// flows are many and live until they are idle; a later message (a second answer, say) is read like the first.
#[derive(Clone, Copy, Debug)]
pub struct RestingDns {
    kind: DnsKind,
    name_rank: NameRank,
}

impl RestingDns {
    /// Takes the next datagram of `side` into the facts, as [`AppState::datagram`] would.
    pub fn datagram(
        &mut self,
        side: Side,
        payload: &[u8],
        ctx: &AppContext,
        told: (&mut AppFacts, &mut AppCounters),
        lookups: &mut Vec<NameLookup>,
    ) {
        let (facts, counters) = told;
        let mut notes = Notes::again(std::mem::take(facts), self.name_rank);
        dns::read_message(payload, payload.len(), self.kind, side, ctx, &mut notes, lookups);
        notes.count_into(counters);
        self.name_rank = notes.name_rank();
        *facts = notes.take();
    }
}

impl AppState {
    /// A state for a flow whose first payload is `first_payload`; none where those bytes can be nothing that is read here,
    /// which a few comparisons tell. `ports` are the originator's and the responder's.
    pub fn start(ip_protocol: u8, ports: [u16; 2], first_payload: &[u8]) -> Option<Box<Self>> {
        Self::start_at(ip_protocol, ports, 0, first_payload)
    }

    /// The same where the first payload seen of a TCP flow lies at `stream_offset`: past zero its bytes cannot be judged,
    /// and where the beginning may only be late (reordered) a state waits for it.
    pub fn start_at(ip_protocol: u8, ports: [u16; 2], stream_offset: u32, first_payload: &[u8]) -> Option<Box<Self>> {
        Kind::of(ip_protocol, ports, stream_offset, first_payload).map(|kind| Box::new(Self::of(kind, ports)))
    }

    /// The same, but for flows of DNS datagrams, of which nothing need be held.
    pub fn open_at(ip_protocol: u8, ports: [u16; 2], stream_offset: u32, first_payload: &[u8]) -> Option<Opening> {
        Some(match Kind::of(ip_protocol, ports, stream_offset, first_payload)? {
            Kind::Dns(kind) => Opening::Resting(RestingDns { kind, name_rank: NameRank::None }),
            kind => Opening::State(Self::of(kind, ports)),
        })
    }

    fn of(kind: Kind, ports: [u16; 2]) -> Self {
        Self { notes: Notes::default(), ports, kind }
    }

    /// Takes a TCP payload of `side` that begins `stream_offset` bytes after the side's first byte (modulo 2³², as sequence
    /// numbers count; for a flow met midway, after the first byte seen). Segments may come in any order, repeat and
    /// overlap. DNS messages go to `lookups`.
    pub fn stream(
        &mut self,
        side: Side,
        stream_offset: u32,
        payload: &[u8],
        ctx: &AppContext,
        lookups: &mut Vec<NameLookup>,
    ) -> Progress {
        let Kind::Stream(halves) = &mut self.kind else { return Progress::Done };
        let mut around = Surroundings { side, ports: self.ports, ctx, notes: &mut self.notes, lookups };
        halves[side.index()].segment(stream_offset, payload, &mut around);
        self.progress()
    }

    /// Takes a UDP payload of `side`.
    pub fn datagram(
        &mut self,
        side: Side,
        payload: &[u8],
        ctx: &AppContext,
        lookups: &mut Vec<NameLookup>,
    ) -> Progress {
        match &mut self.kind {
            Kind::Stream(_) => return Progress::Done,
            Kind::Dns(kind) => {
                dns::read_message(payload, payload.len(), *kind, side, ctx, &mut self.notes, lookups);
            }
            Kind::Quic(connection) => connection.datagram(side, payload, &mut self.notes),
            Kind::Dtls(association) => association.datagram(side, payload, &mut self.notes),
            Kind::Told(protocol) => self.notes.prove(*protocol),
        }
        self.progress()
    }

    /// Whether payload of `side` can still change the facts: a caller need not feed what cannot.
    pub fn wants(&self, side: Side) -> bool {
        match &self.kind {
            Kind::Stream(halves) => !halves[side.index()].is_done(),
            Kind::Dns(_) => true,
            Kind::Quic(connection) => !connection.is_done(side),
            Kind::Dtls(association) => !association.is_done(side),
            Kind::Told(protocol) => self.notes.facts().protocol != Some(*protocol),
        }
    }

    fn progress(&self) -> Progress {
        let done = match &self.kind {
            // A foreign first side ends it too, lest every unknown protocol's second side be waited for.
            Kind::Stream(halves) => {
                let is_foreign = self.notes.facts().protocol.is_none();
                // A client that was answered at once sends no second hello: none of its later bytes are waited for.
                let is_answered = self.notes.is_hello_answered();
                halves.iter().all(|half| {
                    half.is_done() || is_answered && half.awaits_second_hello() || !half.is_touched() && is_foreign
                })
            }
            Kind::Dns(_) => false,
            Kind::Quic(_) | Kind::Dtls(_) | Kind::Told(_) => Side::BOTH.iter().all(|side| !self.wants(*side)),
        };
        if done { Progress::Done } else { Progress::More }
    }

    /// The facts so far.
    pub fn facts(&self) -> &AppFacts {
        self.notes.facts()
    }

    /// A number that changes whenever the facts do: an unchanged one spares a copy.
    pub fn revision(&self) -> u32 {
        self.notes.revision()
    }

    /// The flow ends: what was cut is used as far as it goes, the facts are moved out, and every buffer is dropped.
    pub fn take_facts(&mut self) -> AppFacts {
        match &mut self.kind {
            Kind::Stream(halves) => halves.iter_mut().for_each(|half| half.finish(&mut self.notes)),
            Kind::Dns(_) | Kind::Told(_) => {}
            Kind::Quic(connection) => connection.finish(&mut self.notes),
            Kind::Dtls(association) => association.finish(&mut self.notes),
        }
        self.notes.take()
    }

    /// Adds this flow's counts to `counters`: once, when the state is dropped, after [`Self::take_facts`].
    pub fn count_into(&self, counters: &mut AppCounters) {
        self.notes.count_into(counters);
    }
}

#[cfg(test)]
mod tests;
