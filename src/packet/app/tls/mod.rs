//! TLS handshakes, whatever carries them: TLS records, QUIC CRYPTO frames, DTLS fragments.
//! In: one side's handshake bytes in order. Out: notes of client hello, server hello and leaf certificate.
//! Bounds: a hello of [`HELLO_BYTES_MAX`], a leaf certificate of [`LEAF_BYTES_MAX`]; other messages are passed over unread.
//! A side is told by its messages, not by who opened the flow. Not here: anything encrypted.

mod certificate;
mod client_hello;
pub(super) mod dtls;
mod ja4;
mod offer;
pub(super) mod record;
mod server_hello;

use std::num::NonZeroU64;

use client_hello::{ClientHello, Extent};
use server_hello::{Answer, ServerHello};

use super::Step;
use super::names;
use super::notes::{AppEvent, NameRank, Notes};
use super::reader::Reader;
use crate::packet::facts::AppProtocol;

/// Longest hello that is read. With post-quantum key shares honest ones come to 2 KiB.
pub const HELLO_BYTES_MAX: usize = 16 << 10;
/// Longest leaf certificate that is read. Those with a hundred names come to 8 KiB.
pub const LEAF_BYTES_MAX: usize = 24 << 10;

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;
const SERVER_HELLO_DONE: u8 = 14;
/// Type and 24 bits of length.
const MESSAGE_HEADER_BYTES: usize = 4;
const TLS13: u16 = 0x0304;

/// What carries a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    /// Records over TCP.
    Tls,
    /// CRYPTO frames.
    Quic,
    /// Datagrams.
    Dtls,
}

/// GREASE (RFC 8701): `?A?A`, both bytes alike.
pub(super) fn is_grease(number: u16) -> bool {
    number & 0x0f0f == 0x0a0a && number >> 8 == number & 0xff
}

/// The first 8 bytes of a hash, big-endian.
fn first_u64(hash: &[u8]) -> u64 {
    hash.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// Where one side's handshake stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing read yet.
    Start,
    /// The client's first hello was read; a second may follow.
    ClientHello,
    /// The server's hello was read, a certificate may follow.
    ServerHello,
    /// The server asked for a second hello: its own comes once more.
    ServerRetry,
}

/// One side's handshake.
#[derive(Clone, Debug)]
pub(super) struct Handshake {
    transport: Transport,
    stage: Stage,
    /// Bytes of a message that is not whole yet.
    pending: Vec<u8>,
    /// Bytes of a message that is passed over.
    skip: usize,
}

/// What became of the message at the front.
enum Message {
    /// Read, or to be passed over: so many bytes, whether they are there or not.
    Past(usize),
    /// Its end is not here yet.
    Incomplete,
    /// Nothing more is of use on this side.
    Last,
}

impl Handshake {
    pub(super) fn new(transport: Transport) -> Self {
        Self { transport, stage: Stage::Start, pending: Vec::new(), skip: 0 }
    }

    /// Whether a second hello, of either side, may follow.
    pub(super) fn awaits_retry(&self) -> bool {
        matches!(self.stage, Stage::ClientHello | Stage::ServerRetry)
    }

    /// Whether a second hello of a client is all that may follow.
    fn awaits_second_hello(&self) -> bool {
        self.stage == Stage::ClientHello
    }

    fn protocol(&self) -> AppProtocol {
        if self.transport == Transport::Quic { AppProtocol::Quic } else { AppProtocol::Tls }
    }

    /// Reads on. The bytes follow those pushed before.
    pub(super) fn push(&mut self, bytes: &[u8], notes: &mut Notes) -> Step {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        let bytes = bytes.get(skipped..).unwrap_or_default();
        if bytes.is_empty() {
            return Step::More;
        }
        // A message that lies whole in one segment is read from there, without a copy.
        let mut joined = std::mem::take(&mut self.pending);
        let mut rest = if joined.is_empty() {
            bytes
        } else {
            joined.extend_from_slice(bytes);
            joined.as_slice()
        };
        loop {
            match self.message(rest, notes) {
                Message::Past(count) if count <= rest.len() => rest = &rest[count..],
                Message::Past(count) => {
                    self.skip = count - rest.len();
                    return Step::More;
                }
                Message::Last => return Step::Done,
                Message::Incomplete => break,
            }
        }
        if !rest.is_empty() {
            let read = joined.len().saturating_sub(rest.len());
            if joined.is_empty() {
                joined = rest.to_vec();
            } else {
                joined.drain(..read);
            }
            self.pending = joined;
        }
        Step::More
    }

    /// Forgets a message that will not be completed (DTLS: another one came).
    fn abandon_message(&mut self) {
        self.pending = Vec::new();
        self.skip = 0;
    }

    /// The flow ends: a client hello that was cut still says whom it is for.
    pub(super) fn finish(&mut self, notes: &mut Notes) {
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() {
            return;
        }
        notes.count(Some(self.protocol()), AppEvent::Cut);
        if let (Some(&CLIENT_HELLO), Stage::Start) = (pending.first(), self.stage) {
            let body = pending.get(MESSAGE_HEADER_BYTES..).unwrap_or_default();
            if let Some(hello) = ClientHello::parse(body, self.transport) {
                notes.prove(self.protocol());
                note_names(&hello, notes);
            }
        }
    }

    fn message(&mut self, bytes: &[u8], notes: &mut Notes) -> Message {
        let mut reader = Reader::new(bytes);
        let (Some(kind), Some(length)) = (reader.u8(), reader.u24()) else { return Message::Incomplete };
        let length = length as usize;
        let whole = MESSAGE_HEADER_BYTES + length;
        match (kind, self.stage) {
            (CLIENT_HELLO | SERVER_HELLO, _) if length > HELLO_BYTES_MAX => {
                notes.count(Some(self.protocol()), AppEvent::BufferFull);
                Message::Last
            }
            (CLIENT_HELLO, Stage::Start | Stage::ClientHello) => match reader.take(length) {
                Some(body) => self.client_hello(body, whole, notes),
                None => Message::Incomplete,
            },
            (SERVER_HELLO, Stage::Start | Stage::ServerRetry) => match reader.take(length) {
                Some(body) => self.server_hello(body, whole, notes),
                None => Message::Incomplete,
            },
            // Two lengths at least, or there is no leaf in it.
            (CERTIFICATE, Stage::ServerHello) if length < 6 => Message::Past(whole),
            (CERTIFICATE, Stage::ServerHello) => self.certificate(reader, length, notes),
            (SERVER_HELLO_DONE, _) => Message::Last,
            // HelloRequest, HelloVerifyRequest, session tickets and OCSP answers may stand around the hellos.
            (0 | 3 | 4 | 22, _) | (_, Stage::ServerHello) => Message::Past(whole),
            (_, Stage::Start | Stage::ServerRetry) => {
                notes.count(Some(self.protocol()), AppEvent::Malformed);
                Message::Last
            }
            // The client goes on with keys: there was no retry.
            (_, Stage::ClientHello) => Message::Last,
        }
    }

    fn client_hello(&mut self, body: &[u8], whole: usize, notes: &mut Notes) -> Message {
        let protocol = self.protocol();
        let Some(hello) = ClientHello::parse(body, self.transport) else {
            notes.count(Some(protocol), AppEvent::Malformed);
            return Message::Last;
        };
        notes.prove(protocol);
        if self.stage == Stage::Start {
            note_names(&hello, notes);
        }
        if hello.extent == Extent::Cut {
            // The message is whole but its lists reach past its end: its names are used, its fingerprint would be a lie.
            notes.count(Some(protocol), AppEvent::Malformed);
            return Message::Last;
        }
        notes.count(Some(protocol), AppEvent::Parsed);
        let ja4 = ja4::ja4(&hello, self.transport);
        if self.stage == Stage::ClientHello {
            notes.edit().seldom_mut().ja4_retry = ja4;
            return Message::Last;
        }
        let facts = notes.edit();
        facts.ja4 = ja4;
        facts.hello_offer = offer::offer(&hello, self.transport);
        let version = hello.version(self.transport);
        notes.version_offered(version);
        self.stage = Stage::ClientHello;
        match self.transport {
            // Only TLS 1.3 knows a second hello. Drafts of it (0x7fxx, 0xffxx) number higher.
            Transport::Tls | Transport::Quic if version >= TLS13 => Message::Past(whole),
            _ => Message::Last,
        }
    }

    fn server_hello(&mut self, body: &[u8], whole: usize, notes: &mut Notes) -> Message {
        let protocol = self.protocol();
        let Some(hello) = ServerHello::parse(body) else {
            notes.count(Some(protocol), AppEvent::Malformed);
            return Message::Last;
        };
        notes.prove(protocol);
        notes.count(Some(protocol), AppEvent::Parsed);
        if hello.answer == Answer::Retry {
            self.stage = Stage::ServerRetry;
            notes.retry_asked();
            return Message::Past(whole);
        }
        notes.version_chosen(hello.version);
        let facts = notes.edit();
        facts.tls_cipher = Some(hello.cipher);
        facts.server_fingerprint = Some(hello.fingerprint);
        facts.server_choice = NonZeroU64::new(hello.choice).filter(|_| hello.version == TLS13);
        if let Some(id) = hello.alpn {
            notes.alpn_chosen(names::token(id));
        }
        self.stage = Stage::ServerHello;
        let encrypted = match self.transport {
            Transport::Tls | Transport::Quic => hello.version >= TLS13,
            Transport::Dtls => hello.version == 0xfefc,
        };
        if encrypted { Message::Last } else { Message::Past(whole) }
    }

    /// The leaf stands first and is read as soon as it is whole; the rest of the chain is not needed.
    fn certificate(&self, mut message: Reader<'_>, length: usize, notes: &mut Notes) -> Message {
        let protocol = Some(self.protocol());
        let (Some(_), Some(leaf_bytes)) = (message.u24(), message.u24()) else { return Message::Incomplete };
        let over = match leaf_bytes as usize {
            bytes if bytes + 6 > length => Some(AppEvent::Malformed),
            bytes if bytes > LEAF_BYTES_MAX => Some(AppEvent::BufferFull),
            _ => None,
        };
        if let Some(event) = over {
            notes.count(protocol, event);
            return Message::Last;
        }
        let Some(der) = message.take(leaf_bytes as usize) else { return Message::Incomplete };
        match certificate::read(der) {
            Some(certificate) => {
                notes.count(protocol, AppEvent::Parsed);
                notes.edit().certificate = Some(Box::new(certificate));
            }
            None => notes.count(protocol, AppEvent::Malformed),
        }
        Message::Last
    }
}

/// Notes whom a hello is for.
fn note_names(hello: &ClientHello<'_>, notes: &mut Notes) {
    notes.name(NameRank::Sni, hello.server_name().and_then(names::host_name));
    if let Some(id) = hello.alpn_first().filter(|id| !id.is_empty()) {
        notes.alpn_offered(names::token(id));
    }
}

#[cfg(test)]
mod tests;
