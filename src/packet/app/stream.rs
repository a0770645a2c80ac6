//! One side of a TCP stream: told by its own bytes, then read by that protocol's machine until nothing more is of use.
//! In: segments in any order. Out: notes. The other side is never asked, so neither can hold the other up, and the facts
//! are the same however the bytes were cut into segments.
//! Bounds: those of [`Reassembly`] and of each machine.

use super::notes::{AppEvent, Notes};
use super::preface::{self, Match, Next};
use super::reader::Reader;
use super::reassembly::Reassembly;
use super::tls::record::Records;
use super::{AppContext, Step, dns, http, irc, ssh};
use crate::packet::facts::{AppProtocol, NameLookup};
use crate::units::Side;

/// What reads a side.
#[derive(Clone, Debug)]
enum Machine {
    /// Not told yet.
    Sniff,
    /// Behind a proxy's answer or request: TLS, or nothing of use.
    Tunnel,
    Lines(preface::Lines),
    Dns(dns::TcpMessages),
    Tls(Records),
    Request(http::Request),
    Response(http::Response),
    Ssh,
    Irc,
    Done,
}

/// One side.
#[derive(Clone, Debug)]
pub(super) struct HalfStream {
    bytes: Reassembly,
    machine: Machine,
    touched: bool,
}

/// Where the notes go and where the bytes come from.
pub(super) struct Surroundings<'a> {
    pub(super) side: Side,
    pub(super) ports: [u16; 2],
    pub(super) ctx: &'a AppContext,
    pub(super) notes: &'a mut Notes,
    pub(super) lookups: &'a mut Vec<NameLookup>,
}

/// Whether a stream's first bytes can be the beginning of anything that is read here: the first byte alone refuses most.
pub(super) fn can_begin(ports: [u16; 2], first: &[u8]) -> bool {
    let Some(byte) = first.first() else { return false };
    if is_dns_port(ports) && !matches!(dns_over_tcp(first), Match::No) {
        return true;
    }
    match byte {
        0x16 => Records::can_begin(first),
        0x80 => !matches!(ssl2_hello(first), Match::No),
        0x00 | 0x03..=0x05 => preface::binary(first, &mut Notes::default()) != Match::No,
        _ if preface::is_mysql(first) => true,
        b'S' if preface::fixed(first, preface::POSTGRES_YES) != Match::No => true,
        _ => match first.first_chunk() {
            Some(four) => FIRST_FOURS.contains(&u32::from_ne_bytes(*four)) && begins(first, words()) != Match::No,
            None => begins(first, words()) != Match::No,
        },
    }
}

/// The words with which a stream can begin, of four bytes at least.
const WORDS: [&[&[u8]]; 4] =
    [&[ssh::BEGINNING, HTTP_RESPONSE, HTTP2_PREFACE], &http::METHODS, &preface::LINE_BEGINNINGS, &irc::BEGINNINGS];
const WORD_COUNT: usize = WORDS[0].len() + WORDS[1].len() + WORDS[2].len() + WORDS[3].len();

fn words() -> impl Iterator<Item = &'static [u8]> {
    WORDS.into_iter().flatten().copied()
}

/// Their first four bytes as one number each: a loop over forty numbers refuses nearly every other stream.
const FIRST_FOURS: [u32; WORD_COUNT] = {
    let mut fours = [0; WORD_COUNT];
    let (mut list, mut filled) = (0, 0);
    while list < WORDS.len() {
        let mut word = 0;
        while word < WORDS[list].len() {
            let [a, b, c, d, ..] = *WORDS[list][word] else { panic!("a word of four bytes at least") };
            fours[filled] = u32::from_ne_bytes([a, b, c, d]);
            word += 1;
            filled += 1;
        }
        list += 1;
    }
    fours
};

const HTTP_RESPONSE: &[u8] = b"HTTP/1.";
/// RFC 9113 section 3.4.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";

impl HalfStream {
    pub(super) fn new() -> Self {
        Self { bytes: Reassembly::default(), machine: Machine::Sniff, touched: false }
    }

    /// Whether nothing more is of use on this side.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.machine, Machine::Done)
    }

    /// Whether all that may still come is a second client hello.
    pub(super) fn awaits_second_hello(&self) -> bool {
        matches!(&self.machine, Machine::Tls(records) if records.awaits_second_hello())
    }

    /// Whether any byte of this side was seen.
    pub(super) fn is_touched(&self) -> bool {
        self.touched
    }

    /// Takes a segment.
    pub(super) fn segment(&mut self, offset: u32, payload: &[u8], around: &mut Surroundings<'_>) {
        if self.is_done() || payload.is_empty() {
            return;
        }
        self.touched = true;
        let filed = if self.bytes.is_next(offset) {
            let read = self.machine.advance(payload, around);
            self.bytes.pass(read, payload)
        } else {
            self.bytes.offer(offset, payload).map(|()| {
                let read = self.machine.advance(self.bytes.ready(), around);
                self.bytes.consume(read);
            })
        };
        if filed.is_err() {
            let protocol = self.machine.protocol();
            self.finish(around.notes);
            around.notes.count(protocol, AppEvent::BufferFull);
        }
        if self.is_done() {
            self.bytes.clear();
        }
    }

    /// The flow ends: what is there is used.
    pub(super) fn finish(&mut self, notes: &mut Notes) {
        let ready = self.bytes.ready();
        match &mut self.machine {
            Machine::Tls(records) => records.finish(notes),
            Machine::Request(request) => request.finish(ready, notes),
            Machine::Response(response) => response.finish(ready, notes),
            _ => {}
        }
        self.machine = Machine::Done;
        self.bytes.clear();
    }
}

impl Machine {
    fn protocol(&self) -> Option<AppProtocol> {
        match self {
            Self::Sniff | Self::Tunnel | Self::Lines(_) | Self::Done => None,
            Self::Dns(_) => Some(AppProtocol::Dns),
            Self::Tls(_) => Some(AppProtocol::Tls),
            Self::Request(_) | Self::Response(_) => Some(AppProtocol::Http),
            Self::Ssh => Some(AppProtocol::Ssh),
            Self::Irc => Some(AppProtocol::Irc),
        }
    }

    /// Reads on; gives how many bytes are done with. Each turn either takes bytes, changes the machine, or ends.
    fn advance(&mut self, ready: &[u8], around: &mut Surroundings<'_>) -> usize {
        let mut read = 0;
        loop {
            let rest = ready.get(read..).unwrap_or_default();
            let (count, next) = self.turn(rest, around);
            read += count;
            match next {
                Some(next) => *self = next,
                None => return read,
            }
            if matches!(self, Self::Done) {
                return ready.len();
            }
        }
    }

    /// One turn: bytes taken, and the machine that goes on (none: wait for more bytes).
    fn turn(&mut self, ready: &[u8], around: &mut Surroundings<'_>) -> (usize, Option<Self>) {
        match self {
            Self::Done => (ready.len(), None),
            Self::Sniff => sniff(ready, around),
            Self::Tunnel => (0, tunnel(ready)),
            Self::Lines(lines) => {
                let (read, next) = lines.advance(ready);
                let next = match next {
                    Next::More => None,
                    Next::Binary => Some(Self::Tunnel),
                    Next::Stream => Some(Self::Sniff),
                    Next::Nothing => Some(Self::Done),
                };
                (read, next)
            }
            Self::Dns(messages) => {
                let (read, step) = messages.advance(ready, around.side, around.ctx, around.notes, around.lookups);
                (read, matches!(step, dns::TcpStep::Foreign).then_some(Self::Done))
            }
            Self::Tls(records) => {
                let (read, step) = records.advance(ready, around.notes);
                (read, (step == Step::Done).then_some(Self::Done))
            }
            Self::Request(request) => match request.advance(ready, around.notes) {
                http::Head::Incomplete => (0, None),
                http::Head::Read(read, after) => (read, Some(Self::after_head(after))),
            },
            Self::Response(response) => {
                let (read, step, after) = response.advance(ready, around.notes);
                (read, (step == Step::Done).then(|| Self::after_head(after)))
            }
            Self::Ssh => {
                let step = ssh::advance(ready, around.side, around.notes);
                (0, (step == Step::Done).then_some(Self::Done))
            }
            // A talk in other lines may end in TLS.
            Self::Irc => match irc::advance(ready, around.notes) {
                (Step::More, _) => (0, None),
                (_, true) => (0, Some(Self::Done)),
                (_, false) => (0, Some(Self::Lines(preface::Lines::default()))),
            },
        }
    }

    fn after_head(after: http::After) -> Self {
        match after {
            http::After::Body => Self::Done,
            http::After::Tunnel => Self::Tunnel,
        }
    }
}

/// TLS or nothing; none while too few bytes tell.
fn tunnel(ready: &[u8]) -> Option<Machine> {
    if !Records::can_begin(ready) {
        return Some(Machine::Done);
    }
    (ready.len() >= Records::SURE_BYTES).then(|| Machine::Tls(Records::new()))
}

/// Tells the protocol. The candidates are asked in a fixed order and the first that can say neither yes nor no waits, so
/// that the answer does not depend on how many bytes came at once.
fn sniff(ready: &[u8], around: &mut Surroundings<'_>) -> (usize, Option<Machine>) {
    type Candidate = fn(&[u8], &mut Surroundings<'_>) -> (Match, Machine);
    const CANDIDATES: [Candidate; 9] = [
        |ready, around| {
            let dns = if is_dns_port(around.ports) { dns_over_tcp(ready) } else { Match::No };
            (dns, Machine::Dns(dns::TcpMessages::default()))
        },
        |ready, _| {
            let tls = match (Records::can_begin(ready), ready.len() >= Records::SURE_BYTES) {
                (true, true) => Match::Yes(0),
                (true, false) => Match::Short,
                (false, _) => Match::No,
            };
            (tls, Machine::Tls(Records::new()))
        },
        |ready, around| {
            let hello = ssl2_hello(ready);
            if let (Match::Yes(_), Some(version)) = (hello, Reader::new(ready.get(3..).unwrap_or_default()).u16()) {
                around.notes.prove(AppProtocol::Tls);
                around.notes.count(Some(AppProtocol::Tls), AppEvent::Parsed);
                around.notes.version_offered(version);
            }
            (hello, Machine::Done)
        },
        |ready, around| (preface::binary(ready, around.notes), Machine::Sniff),
        |ready, _| (begins(ready, [ssh::BEGINNING]), Machine::Ssh),
        |ready, _| (begins(ready, irc::BEGINNINGS), Machine::Irc),
        |ready, _| (begins(ready, [HTTP_RESPONSE]), Machine::Response(http::Response::default())),
        |ready, _| (begins(ready, http::METHODS), Machine::Request(http::Request::default())),
        |ready, around| {
            let http2 = begins(ready, [HTTP2_PREFACE]);
            if matches!(http2, Match::Yes(_)) {
                around.notes.prove(AppProtocol::Http);
                around.notes.count(Some(AppProtocol::Http), AppEvent::Parsed);
                around.notes.alpn_offered("h2c".into());
            }
            (http2, Machine::Done)
        },
    ];
    for candidate in CANDIDATES {
        match candidate(ready, around) {
            (Match::Yes(count), machine) => return (count, Some(machine)),
            (Match::Short, _) => return (0, None),
            (Match::No, _) => {}
        }
    }
    let text = ready.first().is_some_and(|byte| byte.is_ascii_graphic());
    (0, Some(if text { Machine::Lines(preface::Lines::default()) } else { Machine::Done }))
}

/// Whether bytes begin with one of the words. Nothing of the words is passed over: their machine reads them.
fn begins<'a>(ready: &[u8], words: impl IntoIterator<Item = &'a [u8]>) -> Match {
    let mut found = Match::No;
    for word in words {
        match preface::fixed(ready, word) {
            Match::Yes(_) => return Match::Yes(0),
            Match::Short => found = Match::Short,
            Match::No => {}
        }
    }
    found
}

fn is_dns_port(ports: [u16; 2]) -> bool {
    ports.contains(&53)
}

/// A length and a sound header. Over TCP only on DNS's own port: two bytes of length and a header are no proof elsewhere.
fn dns_over_tcp(bytes: &[u8]) -> Match {
    let mut reader = Reader::new(bytes);
    match (reader.u16(), reader.rest().len() >= dns::HEADER_BYTES) {
        (Some(length), true) if usize::from(length) >= dns::HEADER_BYTES && dns::plausible_header(reader.rest()) => {
            Match::Yes(0)
        }
        (_, true) => Match::No,
        (_, false) => Match::Short,
    }
}

/// A client hello in the form of SSL 2 (RFC 5246 appendix E.2), which clients up to about 2010 sent to offer TLS: no SNI,
/// no JA4, but the server's answer is an ordinary one.
fn ssl2_hello(bytes: &[u8]) -> Match {
    if bytes.first().is_some_and(|byte| *byte != 0x80) || bytes.get(2).is_some_and(|kind| *kind != 1) {
        return Match::No;
    }
    match ssl2_lengths_agree(bytes) {
        Some(true) => Match::Yes(0),
        Some(false) => Match::No,
        None => Match::Short,
    }
}

/// Whether the four lengths of such a hello make a whole; none while they are not all here.
fn ssl2_lengths_agree(bytes: &[u8]) -> Option<bool> {
    let mut reader = Reader::new(bytes);
    let length = reader.u16()? & 0x7fff;
    reader.u8()?;
    let version = reader.u16()?;
    let [ciphers, session, challenge] = [reader.u16()?, reader.u16()?, reader.u16()?];
    // Type, version and the three lengths take nine bytes.
    let whole = u32::from(ciphers) + u32::from(session) + u32::from(challenge) + 9 == u32::from(length);
    Some(whole && matches!(version, 2 | 0x0300..=0x0303) && ciphers % 3 == 0 && (16..=32).contains(&challenge))
}
