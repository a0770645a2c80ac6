//! QUIC: the client hello that lies in Initial packets under keys that everyone can derive (RFC 9000, 9001; v2: RFC 9369).
//! In: datagrams of both sides. Out: handshake bytes to the TLS reader, in order of their CRYPTO offsets.
//! Bounds: [`INITIALS_MAX`] Initial packets a side are opened; CRYPTO bytes within `APP_BYTES_MAX`.
//! The server's Initial needs the client's connection id: without the client's side only the protocol is told.

mod keys;

use std::ops::Range;

use keys::{Keys, Rules, Sender};

use super::Step;
use super::notes::{AppEvent, Notes};
use super::reader::Reader;
use super::reassembly::Reassembly;
use super::tls::{Handshake, Transport};
use crate::packet::facts::AppProtocol;
use crate::units::Side;

/// Initial packets of one side that are opened: each costs about 3 µs (benches/app.rs).
pub const INITIALS_MAX: u8 = 24;

/// Longest connection id (RFC 9000 section 17.2).
const CONNECTION_ID_BYTES_MAX: usize = 20;
const LONG_HEADER: u8 = 0x80;
/// Always one in the versions that are known here (RFC 9000 section 17.2).
const FIXED_BIT: u8 = 0x40;

/// One flow's connection attempt.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    sides: [Half; 2],
    /// Who the client is and from what its keys come, once one of its Initial packets was opened.
    opened: Option<Opened>,
}

#[derive(Clone, Debug)]
struct Opened {
    client: Side,
    rules: &'static Rules,
    connection_id: Vec<u8>,
    keys: [Keys; 2],
}

#[derive(Clone, Debug)]
struct Half {
    crypto: Reassembly,
    handshake: Handshake,
    initials: u8,
    step: Step,
}

impl Default for Connection {
    fn default() -> Self {
        let half = Half {
            crypto: Reassembly::default(),
            handshake: Handshake::new(Transport::Quic),
            initials: 0,
            step: Step::More,
        };
        Self { sides: [half.clone(), half], opened: None }
    }
}

/// Whether a flow can begin with this datagram: a long header of a known version. Google's own versions before the
/// standard (`Q043`, `Q046`, `T051` …) are told, and not read.
pub(super) fn can_begin(payload: &[u8]) -> bool {
    match payload.first() {
        Some(first) if first & (LONG_HEADER | FIXED_BIT) == LONG_HEADER | FIXED_BIT => Long::parse(payload)
            .is_some_and(|(long, _)| long.rules.is_some() || is_google(long.version) || is_reserved(long.version)),
        _ => is_google_public_header(payload),
    }
}

/// A version that exists to be refused, so that servers keep able to (RFC 9000 section 15): the true one follows.
fn is_reserved(version: u32) -> bool {
    version & 0x0f0f_0f0f == 0x0a0a_0a0a
}

fn is_google(version: u32) -> bool {
    let [letter, digits @ ..] = version.to_be_bytes();
    matches!(letter, b'Q' | b'T') && digits.iter().all(u8::is_ascii_digit)
}

/// Before Q046: flags with version and an eight-byte connection id, then the version.
fn is_google_public_header(payload: &[u8]) -> bool {
    let [flags, rest @ ..] = payload else { return false };
    let mut reader = Reader::new(rest);
    flags & 0xc9 == 0x09 && reader.take(8).is_some() && reader.u32().is_some_and(is_google)
}

/// A packet with a long header.
struct Long<'a> {
    first: u8,
    version: u32,
    rules: Option<&'static Rules>,
    destination: &'a [u8],
}

/// The kinds of packets with a long header, in the order of `Rules::types`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Initial,
    ZeroRtt,
    Handshake,
    Retry,
}

impl<'a> Long<'a> {
    /// Reads a header up to both connection ids.
    fn parse(packet: &'a [u8]) -> Option<(Self, Reader<'a>)> {
        let mut reader = Reader::new(packet);
        let (first, version) = (reader.u8()?, reader.u32()?);
        if is_google(version) {
            // Q046 has both lengths in one byte: nothing behind the version is read.
            return Some((Self { first, version, rules: None, destination: &[] }, reader));
        }
        let destination = reader.vector8().filter(|id| id.len() <= CONNECTION_ID_BYTES_MAX)?;
        reader.vector8().filter(|id| id.len() <= CONNECTION_ID_BYTES_MAX)?;
        let rules = keys::rules(version);
        Some((Self { first, version, rules, destination }, reader))
    }

    fn kind(&self, rules: &Rules) -> Kind {
        let bits = self.first >> 4 & 3;
        match rules.types.iter().position(|kind| *kind == bits) {
            Some(0) => Kind::Initial,
            Some(1) => Kind::ZeroRtt,
            Some(2) => Kind::Handshake,
            _ => Kind::Retry,
        }
    }
}

impl Connection {
    pub(super) fn is_done(&self, side: Side) -> bool {
        self.sides[side.index()].step == Step::Done
    }

    /// Reads the packets that share a datagram.
    pub(super) fn datagram(&mut self, side: Side, payload: &[u8], notes: &mut Notes) {
        let is_short = |packet: &[u8]| packet.first().is_some_and(|b| b & (LONG_HEADER | FIXED_BIT) == FIXED_BIT);
        if is_short(payload) {
            return self.short_header(side, notes);
        }
        let mut rest = payload;
        while !self.is_done(side) {
            match rest.first() {
                Some(first) if first & LONG_HEADER != 0 => {}
                Some(_) if is_short(rest) => return self.short_header(side, notes),
                // Padding after the last packet, or an older version.
                Some(_) if is_google_public_header(rest) => return self.foreign(notes),
                _ => return,
            }
            match self.long_header(side, rest, notes) {
                Some(bytes) => rest = rest.get(bytes..).unwrap_or_default(),
                None => return,
            }
        }
    }

    pub(super) fn finish(&mut self, notes: &mut Notes) {
        for half in &mut self.sides {
            half.handshake.finish(notes);
            half.step = Step::Done;
            half.crypto.clear();
        }
    }

    /// The handshake is over for the side that sends this; when the client does, the server's hello is long past, so that
    /// a capture of the client's side alone ends too.
    fn short_header(&mut self, side: Side, notes: &mut Notes) {
        match &self.opened {
            Some(opened) if opened.client == side => self.finish(notes),
            _ => self.end(side, notes),
        }
    }

    fn end(&mut self, side: Side, notes: &mut Notes) {
        let half = &mut self.sides[side.index()];
        half.handshake.finish(notes);
        half.crypto.clear();
        half.step = Step::Done;
    }

    fn foreign(&mut self, notes: &mut Notes) {
        notes.prove(AppProtocol::Quic);
        self.finish(notes);
    }

    /// Reads one packet; gives its length, or none where the datagram holds nothing more to read.
    fn long_header(&mut self, side: Side, packet: &[u8], notes: &mut Notes) -> Option<usize> {
        let (long, mut reader) = Long::parse(packet)?;
        let Some(rules) = long.rules else {
            if is_google(long.version) {
                self.foreign(notes);
            }
            return None;
        };
        notes.prove(AppProtocol::Quic);
        let kind = long.kind(rules);
        if kind == Kind::Retry {
            return None;
        }
        if kind == Kind::Initial {
            let token_bytes = varint(&mut reader)?;
            reader.take(usize::try_from(token_bytes).ok()?)?;
        }
        let length = usize::try_from(varint(&mut reader)?).ok()?;
        let number_at = packet.len() - reader.rest().len();
        let end = number_at.checked_add(length)?;
        match kind {
            // Its tag lies in the part that the capture cut off.
            Kind::Initial if end > packet.len() => notes.count(Some(AppProtocol::Quic), AppEvent::Cut),
            Kind::Initial => self.initial(side, rules, long.destination, &packet[..end], number_at, notes),
            // The client has the server's keys: its hello was accepted.
            Kind::Handshake if self.opened.as_ref().is_some_and(|o| o.client == side) => self.end(side, notes),
            Kind::Handshake | Kind::ZeroRtt | Kind::Retry => {}
        }
        Some(end)
    }

    fn initial(
        &mut self,
        side: Side,
        rules: &'static Rules,
        destination: &[u8],
        packet: &[u8],
        number_at: usize,
        notes: &mut Notes,
    ) {
        let half = &mut self.sides[side.index()];
        half.initials += 1;
        if half.initials > INITIALS_MAX {
            notes.count(Some(AppProtocol::Quic), AppEvent::BufferFull);
            return self.end(side, notes);
        }
        let mut clear = packet.to_vec();
        let Some(place) = self.open(side, rules, destination, packet, &mut clear, number_at) else {
            // A server's packet before its client's, or after a Retry that was missed, cannot be opened: no fault of it.
            return notes.count(Some(AppProtocol::Quic), AppEvent::Malformed);
        };
        let payload = clear.get(place).unwrap_or_default();
        let half = &mut self.sides[side.index()];
        match half.frames(payload, notes) {
            Ok(Step::More) => {}
            Ok(Step::Done) => self.end(side, notes),
            Err(event) => {
                notes.count(Some(AppProtocol::Quic), event);
                self.end(side, notes);
            }
        }
    }

    /// Opens a packet: with the keys at hand, with those of another version of the same connection (RFC 9368), or with
    /// those of its own connection id, as the client's first and its first after a Retry need.
    fn open(
        &mut self,
        side: Side,
        rules: &'static Rules,
        destination: &[u8],
        packet: &[u8],
        clear: &mut [u8],
        number_at: usize,
    ) -> Option<Range<usize>> {
        let mut attempt = |opened: &Opened| {
            clear.copy_from_slice(packet);
            opened.keys[usize::from(opened.client != side)].open(clear, number_at)
        };
        if let Some(opened) = &self.opened {
            if let Some(place) = attempt(opened) {
                return Some(place);
            }
            if opened.rules != rules {
                let renewed = Opened::derive(opened.client, rules, &opened.connection_id);
                if let Some(place) = attempt(&renewed) {
                    self.opened = Some(renewed);
                    return Some(place);
                }
            }
            if opened.client != side {
                return None;
            }
        }
        let first = Opened::derive(side, rules, destination);
        let place = attempt(&first)?;
        self.opened = Some(first);
        Some(place)
    }
}

impl Opened {
    fn derive(client: Side, rules: &'static Rules, connection_id: &[u8]) -> Self {
        let keys = [Sender::Client, Sender::Server].map(|sender| Keys::derive(rules, connection_id, sender));
        Self { client, rules, connection_id: connection_id.to_vec(), keys }
    }
}

impl Half {
    /// Reads the frames that an Initial may hold (RFC 9000 section 12.4).
    fn frames(&mut self, payload: &[u8], notes: &mut Notes) -> Result<Step, AppEvent> {
        const MALFORMED: AppEvent = AppEvent::Malformed;
        let mut reader = Reader::new(payload);
        while let Some(kind) = reader.u8() {
            match kind {
                // PADDING, PING.
                0 | 1 => {}
                2 | 3 => skip_ack(&mut reader, kind).ok_or(MALFORMED)?,
                6 => {
                    let offset = varint(&mut reader).ok_or(MALFORMED)?;
                    let length = varint(&mut reader).ok_or(MALFORMED)?;
                    let bytes = usize::try_from(length).ok().and_then(|n| reader.take(n)).ok_or(MALFORMED)?;
                    let offset = u32::try_from(offset).map_err(|_| AppEvent::BufferFull)?;
                    self.crypto.offer(offset, bytes).map_err(|_| AppEvent::BufferFull)?;
                }
                // CONNECTION_CLOSE.
                0x1c | 0x1d => break,
                _ => return Err(MALFORMED),
            }
        }
        let ready = self.crypto.ready().len();
        if ready == 0 {
            return Ok(Step::More);
        }
        let step = self.handshake.push(self.crypto.ready(), notes);
        self.crypto.consume(ready);
        Ok(step)
    }
}

fn skip_ack(reader: &mut Reader<'_>, kind: u8) -> Option<()> {
    const WITH_ECN_COUNTS: u8 = 3;
    let (_largest, _delay) = (varint(reader)?, varint(reader)?);
    let ranges = varint(reader)?;
    varint(reader)?;
    // Each range takes two bytes at least, so the payload's end bounds the loop.
    for _ in 0..ranges {
        varint(reader)?;
        varint(reader)?;
    }
    if kind == WITH_ECN_COUNTS {
        for _ in 0..3 {
            varint(reader)?;
        }
    }
    Some(())
}

/// A variable-length integer (RFC 9000 section 16).
fn varint(reader: &mut Reader<'_>) -> Option<u64> {
    let first = reader.u8()?;
    let more = reader.take((1 << (first >> 6)) - 1)?;
    Some(more.iter().fold(u64::from(first & 0x3f), |value, byte| value << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests;
