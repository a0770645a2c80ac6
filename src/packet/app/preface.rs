//! Prefaces: what a side says before the protocol that it is really about: SOCKS 4 and 5, greetings and STARTTLS of mail
//! file and chat servers, the requests for TLS of PostgreSQL, MySQL and RDP, the PROXY line.
//! In: one side's contiguous bytes. Out: how many of them to pass over. Nothing said here is kept but the host asked for.
//! Bounds: [`PREFACE_BYTES_MAX`] bytes of lines a side. A side is judged by its own bytes alone.

use super::names;
use super::notes::{NameRank, Notes};
use super::reader::Reader;

/// Bytes of a talk in lines after which no TLS is waited for.
pub const PREFACE_BYTES_MAX: usize = 4096;
/// Longest line: twice what mail allows (RFC 5321 section 4.5.3.1).
const LINE_BYTES_MAX: usize = 2048;

/// Greetings and commands with which a talk in lines begins that may end in STARTTLS, and the PROXY line.
pub(super) const LINE_BEGINNINGS: [&[u8]; 11] =
    [b"220 ", b"220-", b"* OK", b"+OK ", b"+OK\r", b"EHLO ", b"HELO ", b"PROXY TCP", b"LHLO ", b"<?xml", b"<stream:"];

/// PostgreSQL's "yes" to a request for TLS is one letter; TLS follows at once.
pub(super) const POSTGRES_YES: &[u8] = &[b'S', 0x16, 0x03];

/// Whether bytes are what a matcher looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// They are: pass over so many.
    Yes(usize),
    No,
    /// They may be: more must come.
    Short,
}

/// A binary preface.
pub(super) fn binary(bytes: &[u8], notes: &mut Notes) -> Match {
    first_yes(mysql(bytes), binary_by_first_byte(bytes, notes))
}

fn binary_by_first_byte(bytes: &[u8], notes: &mut Notes) -> Match {
    match bytes.first() {
        Some(0x05) => socks5(bytes, notes),
        Some(0x04) => socks4_request(bytes, notes),
        Some(0x00) => first_yes(fixed(bytes, &[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]), socks4_reply(bytes)),
        Some(0x03) => rdp(bytes),
        Some(b'S') => match fixed(bytes, POSTGRES_YES) {
            Match::Yes(_) => Match::Yes(1),
            other => other,
        },
        Some(_) => Match::No,
        None => Match::Short,
    }
}

fn first_yes(one: Match, other: Match) -> Match {
    match (one, other) {
        (Match::No, other) => other,
        (one, _) => one,
    }
}

/// Compares as far as both reach.
pub(super) fn fixed(bytes: &[u8], wanted: &[u8]) -> Match {
    match bytes.len() >= wanted.len() {
        true if bytes.starts_with(wanted) => Match::Yes(wanted.len()),
        false if wanted.starts_with(bytes) => Match::Short,
        _ => Match::No,
    }
}

/// SOCKS 4 and 4A requests: version, command, port, address, user, and a name where the address is 0.0.0.x.
fn socks4_request(bytes: &[u8], notes: &mut Notes) -> Match {
    const TEXT_BYTES_MAX: usize = 255;
    if bytes.get(1).is_some_and(|command| !matches!(command, 1 | 2)) {
        return Match::No;
    }
    let mut reader = Reader::new(bytes);
    let (Some(_), Some(address)) = (reader.take(4), reader.u32()) else { return Match::Short };
    let texts = if matches!(address, 1..=255) { 2 } else { 1 };
    let mut text: &[u8] = &[];
    for _ in 0..texts {
        let Some(end) = reader.rest().iter().position(|byte| *byte == 0) else {
            return if reader.rest().len() > TEXT_BYTES_MAX { Match::No } else { Match::Short };
        };
        if end > TEXT_BYTES_MAX {
            return Match::No;
        }
        text = reader.take(end).unwrap_or_default();
        reader.u8();
    }
    if texts == 2 {
        notes.name(NameRank::Indirect, names::host_name(text));
    }
    Match::Yes(bytes.len() - reader.rest().len())
}

/// "Granted", and eight bytes in all.
fn socks4_reply(bytes: &[u8]) -> Match {
    match fixed(bytes, &[0, 0x5a]) {
        Match::Yes(_) if bytes.len() < 8 => Match::Short,
        Match::Yes(_) => Match::Yes(8),
        other => other,
    }
}

/// SOCKS 5 (RFC 1928), either side: choice of method, user and password (RFC 1929), request or reply.
fn socks5(bytes: &[u8], notes: &mut Notes) -> Match {
    let mut reader = Reader::new(bytes);
    match socks5_parts(&mut reader, notes) {
        Ok(()) => Match::Yes(bytes.len() - reader.rest().len()),
        Err(other) => other,
    }
}

fn socks5_parts(reader: &mut Reader<'_>, notes: &mut Notes) -> Result<(), Match> {
    const PASSWORD: u8 = 2;
    let short = Match::Short;
    reader.u8();
    let count = reader.u8().ok_or(short)?;
    let mut ahead = *reader;
    let next = ahead.u8().ok_or(short)?;
    // A server names one method; that is told from a list of methods by what follows it.
    let server = count == 0 || count == PASSWORD && next == 1;
    if server {
        if count == PASSWORD {
            expect(reader, 1)?;
            expect(reader, 0)?;
        }
    } else {
        if count > 16 {
            return Err(Match::No);
        }
        reader.take(usize::from(count)).ok_or(short)?;
        if reader.rest().first() == Some(&1) {
            reader.u8();
            reader.vector8().ok_or(short)?;
            reader.vector8().ok_or(short)?;
        }
    }
    expect(reader, 5)?;
    // Request: CONNECT. Reply: succeeded.
    expect(reader, if server { 0 } else { 1 })?;
    expect(reader, 0)?;
    let name = match reader.u8().ok_or(short)? {
        1 => reader.take(4).map(|_| None),
        3 => reader.vector8().map(Some),
        4 => reader.take(16).map(|_| None),
        _ => return Err(Match::No),
    };
    let name = name.ok_or(short)?;
    reader.u16().ok_or(short)?;
    if let Some(name) = name.filter(|_| !server) {
        notes.name(NameRank::Indirect, names::host_name(name));
    }
    Ok(())
}

fn expect(reader: &mut Reader<'_>, wanted: u8) -> Result<(), Match> {
    match reader.u8() {
        Some(byte) if byte == wanted => Ok(()),
        Some(_) => Err(Match::No),
        None => Err(Match::Short),
    }
}

/// RDP: one TPKT packet (RFC 1006) with an X.224 connection request or confirm, then TLS.
fn rdp(bytes: &[u8]) -> Match {
    let [_, reserved, rest @ ..] = bytes else { return Match::Short };
    if *reserved != 0 {
        return Match::No;
    }
    let (Some(length), Some(code)) = (Reader::new(rest).u16(), bytes.get(5)) else { return Match::Short };
    let length = usize::from(length);
    if !(11..=512).contains(&length) || !matches!(code & 0xf0, 0xe0 | 0xd0) {
        return Match::No;
    }
    if bytes.len() < length { Match::Short } else { Match::Yes(length) }
}

/// MySQL: packets with 24 bits of little-endian length and a number. The server greets with number 0 and version 10; the
/// client's request for TLS has number 1, 32 bytes, and the capability bit that says so.
fn mysql(bytes: &[u8]) -> Match {
    const HEADER_BYTES: usize = 4;
    const GREETING: u8 = 10;
    const TLS_BIT: u8 = 0x08;
    let shape: [&dyn Fn(u8) -> bool; 6] = match bytes.get(3) {
        Some(1) => [&|b| b == 32, &|b| b == 0, &|b| b == 0, &|_| true, &|_| true, &|b| b & TLS_BIT != 0],
        _ => [&|b| (40..=200).contains(&b), &|b| b == 0, &|b| b == 0, &|b| b == 0, &|b| b == GREETING, &|b| b > b' '],
    };
    if !bytes.iter().zip(shape).all(|(byte, holds)| holds(*byte)) {
        // Below four bytes the client's shape is still possible.
        let client = bytes.len() < HEADER_BYTES && [32, 0, 0].starts_with(bytes);
        return if client { Match::Short } else { Match::No };
    }
    let whole = HEADER_BYTES + bytes.first().map_or(0, |length| usize::from(*length));
    if bytes.len() < whole.max(6) { Match::Short } else { Match::Yes(whole) }
}

/// A quick look for the same.
pub(super) fn is_mysql(bytes: &[u8]) -> bool {
    matches!(bytes, [_, 0, 0, 0, 10, ..] | [32, 0, 0, 1, ..])
}

/// A talk in lines, passed over. XMPP talks in tags: a line that begins with `<` ends with `>`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lines {
    passed: usize,
}

/// What a line is followed by.
pub(super) enum Next {
    /// Waits for more bytes.
    More,
    /// Bytes that are no text: perhaps TLS.
    Binary,
    /// The PROXY line is over: the stream proper begins.
    Stream,
    /// No TLS will come.
    Nothing,
}

impl Lines {
    /// Passes over whole lines; gives how many bytes.
    pub(super) fn advance(&mut self, ready: &[u8]) -> (usize, Next) {
        let mut read = 0;
        loop {
            let rest = ready.get(read..).unwrap_or_default();
            match rest.first() {
                None => return (read, Next::More),
                Some(0x16) => return (read, Next::Binary),
                Some(_) => {}
            }
            let within = rest.get(..LINE_BYTES_MAX).unwrap_or(rest);
            let last = if rest.starts_with(b"<") { b'>' } else { b'\n' };
            let Some(end) = within.iter().position(|byte| *byte == last) else {
                let hopeless = within.len() == LINE_BYTES_MAX || self.passed + rest.len() > PREFACE_BYTES_MAX;
                return (read, if hopeless { Next::Nothing } else { Next::More });
            };
            read += end + 1;
            self.passed += end + 1;
            if within.starts_with(b"PROXY TCP") {
                return (read, Next::Stream);
            }
            if self.passed > PREFACE_BYTES_MAX {
                return (read, Next::Nothing);
            }
        }
    }
}
