//! DNS messages: header, first question, answered addresses (RFC 1035, EDNS RFC 6891).
//! In: one message, whole or cut. Out: a [`NameLookup`] for DNS proper; mDNS (RFC 6762) and LLMNR (RFC 4795) are only counted.
//! Bounds: the message; names of 255 bytes; compression pointers lead strictly backwards, so no loop can be built.
//! Not here: which answer is true (`detect`), retransmissions (each message is told).
//!
//! `simple-dns` judges this in a property test instead of doing the work: it refuses a whole message for one odd record or
//! a cut end, and it reserves space by the header's counts before it looks at a record (4 × 65,535 records from 12 bytes).

use std::hash::Hasher;

use siphasher::sip::SipHasher13;
use smallvec::SmallVec;

use crate::packet::app::notes::{AppEvent, NameRank, Notes};
use crate::packet::app::reader::Reader;
use crate::packet::app::{AppContext, names};
use crate::packet::facts::{AppProtocol, DNS_ANSWERS_MAX, DnsKind, NAME_BYTES_MAX, NameLookup};
use crate::units::{Address, Side};

/// Bytes of the header.
pub(super) const HEADER_BYTES: usize = 12;
/// Labels of a name at most: 255 bytes hold no more than 127 of them.
const LABELS_MAX: usize = 127;
/// Labels that a name has at most, nearly always.
const LABELS_USUAL: usize = 8;
/// Bytes of a message over TCP that are read; the rest (zone transfers) is passed over.
pub(super) const TCP_MESSAGE_BYTES_READ: usize = 16 << 10;

const TYPE_A: u16 = 1;
const TYPE_CNAME: u16 = 5;
const TYPE_DNAME: u16 = 39;
const TYPE_AAAA: u16 = 28;
const TYPE_OPT: u16 = 41;
const CLASS_IN: u16 = 1;
const CLASS_ANY: u16 = 255;

/// Whether a message asks or answers (the QR bit).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Query,
    Response,
}

/// Whether all that the header's counts promise was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    Whole,
    Cut,
    /// A record breaks DNS's rules: what stands before it is told, lest one odd record hide a message.
    Broken,
}

/// Why bytes are no DNS message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The bytes end too early to tell anything.
    Cut,
    /// Broken by DNS's own rules.
    Malformed,
}

/// What one message says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    id: u16,
    kind: Kind,
    opcode: u8,
    rcode: u8,
    /// First question, or the first record's owner in an answer without questions.
    question: Option<(Box<str>, u16)>,
    questions: u16,
    class: u16,
    answers: Vec<Address>,
    ttl_s: u32,
    aliases: u8,
    free_bytes: u16,
    leads: u64,
    extent: Extent,
    /// Bytes after the last record.
    trailing: usize,
}

/// The DNS dialect that a port hints at.
pub(super) fn kind_of_ports(ports: [u16; 2]) -> Option<DnsKind> {
    ports.iter().find_map(|port| match port {
        53 => Some(DnsKind::Unicast),
        5353 => Some(DnsKind::Mdns),
        5355 => Some(DnsKind::Llmnr),
        _ => None,
    })
}

/// Whether a datagram can be DNS: on DNS's ports a sound header and question are enough, on any other port the whole
/// message must be sound, of a common type, and fill the datagram.
pub(super) fn plausible(payload: &[u8], hint: Option<DnsKind>) -> bool {
    match hint {
        Some(_) => plausible_header(payload) && !matches!(parse(payload), Err(Fault::Malformed)),
        None => plausible_header(payload) && plausible_anywhere(payload),
    }
}

/// A few comparisons on the first 12 bytes, so that a foreign datagram costs a few nanoseconds.
pub(super) fn plausible_header(payload: &[u8]) -> bool {
    let Some(header) = payload.first_chunk::<HEADER_BYTES>() else { return false };
    let opcode = header[2] >> 3 & 15;
    let questions = u16::from_be_bytes([header[4], header[5]]);
    let records = [6, 8, 10].map(|at| u16::from_be_bytes([header[at], header[at + 1]]));
    // Each record takes 11 bytes and each question 5 at least, but a message may be cut: 4096 is past any honest count.
    matches!(opcode, 0 | 1 | 2 | 4 | 5 | 6) && questions <= 256 && records.iter().all(|count| *count <= 4096)
}

fn plausible_anywhere(payload: &[u8]) -> bool {
    /// A, NS, CNAME, SOA, NULL, PTR, MX, TXT, KEY, AAAA, SRV, NAPTR, DS, DNSKEY, TLSA, SVCB, HTTPS, ANY, CAA, PRIVATE.
    const COMMON: [u16; 20] = [1, 2, 5, 6, 10, 12, 15, 16, 25, 28, 33, 35, 43, 48, 52, 64, 65, 255, 257, 65399];
    if payload[4..6] != [0, 1] || payload[2] >> 3 & 15 != 0 {
        return false;
    }
    parse(payload).is_ok_and(|m| {
        m.extent == Extent::Whole
            && m.trailing == 0
            && matches!(m.class, CLASS_IN | CLASS_ANY)
            && m.question.is_some_and(|(_, qtype)| COMMON.contains(&qtype))
    })
}

/// Reads one message that `sender` sent, notes it, and tells the look-up.
pub(super) fn read_message(
    bytes: &[u8],
    whole_bytes: usize,
    kind: DnsKind,
    sender: Side,
    ctx: &AppContext,
    notes: &mut Notes,
    lookups: &mut Vec<NameLookup>,
) {
    let dns = Some(AppProtocol::Dns);
    let message = match parse(bytes) {
        Ok(message) => message,
        Err(fault) => {
            return notes.count(dns, if fault == Fault::Cut { AppEvent::Cut } else { AppEvent::Malformed });
        }
    };
    notes.prove(AppProtocol::Dns);
    let event = match message.extent {
        Extent::Whole => AppEvent::Parsed,
        Extent::Cut => AppEvent::Cut,
        Extent::Broken => AppEvent::Malformed,
    };
    notes.count(dns, event);
    let facts = notes.edit();
    facts.dns_kind = kind;
    match message.kind {
        Kind::Query => facts.dns_queries = facts.dns_queries.saturating_add(1),
        Kind::Response => facts.dns_answers = facts.dns_answers.saturating_add(1),
    }
    let Some((name, qtype)) = message.question else { return };
    let rank = if message.kind == Kind::Query { NameRank::Host } else { NameRank::Indirect };
    notes.name(rank, Some(name.clone()));
    if kind != DnsKind::Unicast || message.opcode != 0 {
        return;
    }
    let (client, rcode) = match message.kind {
        Kind::Query => (sender, None),
        Kind::Response => (sender.other(), Some(message.rcode)),
    };
    lookups.push(NameLookup {
        ts: ctx.ts,
        client: ctx.address(client),
        resolver: ctx.address(client.other()),
        name,
        qtype,
        rcode,
        id: message.id,
        answers: message.answers,
        ttl_s: message.ttl_s,
        message_bytes: u16::try_from(whole_bytes).unwrap_or(u16::MAX),
        aliases: message.aliases,
        free_bytes: message.free_bytes,
        leads: message.leads,
    });
}

fn parse(message: &[u8]) -> Result<Message, Fault> {
    let mut reader = Reader::new(message);
    let mut header = [0u16; 6];
    for field in &mut header {
        *field = reader.u16().ok_or(Fault::Cut)?;
    }
    let [id, flags, questions, records @ ..] = header;
    let mut parsed = Message {
        id,
        kind: if flags & 0x8000 == 0 { Kind::Query } else { Kind::Response },
        opcode: (flags >> 11 & 15) as u8,
        rcode: (flags & 15) as u8,
        question: None,
        questions,
        class: CLASS_IN,
        answers: Vec::new(),
        ttl_s: 0,
        aliases: 0,
        free_bytes: 0,
        leads: 0,
        extent: Extent::Whole,
        trailing: 0,
    };
    parsed.extent = match read_sections(message, &mut reader, &mut parsed, records) {
        Ok(()) => Extent::Whole,
        Err(Fault::Cut) if parsed.question.is_some() => Extent::Cut,
        Err(Fault::Malformed) if parsed.question.is_some() => Extent::Broken,
        // Without even a question's name there is nothing to use.
        Err(fault) => return Err(fault),
    };
    parsed.trailing = reader.rest().len();
    Ok(parsed)
}

fn read_sections<'a>(
    message: &'a [u8],
    reader: &mut Reader<'a>,
    parsed: &mut Message,
    [answers, authorities, additionals]: [u16; 3],
) -> Result<(), Fault> {
    for number in 0..parsed.questions {
        let name = if number == 0 { Some(read_name(message, reader)?) } else { skip_name(reader).map(|()| None)? };
        let qtype = reader.u16();
        if let Some(name) = name {
            // A question cut within its type still says its name.
            parsed.question = Some((name, qtype.unwrap_or(0)));
        }
        qtype.ok_or(Fault::Cut)?;
        let class = reader.u16().ok_or(Fault::Cut)?;
        if number == 0 {
            // The top bit is mDNS's "unicast answer, please" (RFC 6762 section 5.4).
            parsed.class = class & 0x7fff;
        }
    }
    for number in 0..answers {
        read_record(message, reader, parsed, number == 0)?;
    }
    for _ in 0..u32::from(authorities) + u32::from(additionals) {
        skip_name(reader)?;
        let rtype = reader.u16().ok_or(Fault::Cut)?;
        reader.u16().ok_or(Fault::Cut)?;
        let ttl = reader.u32().ok_or(Fault::Cut)?;
        reader.vector16().ok_or(Fault::Cut)?;
        if rtype == TYPE_OPT {
            // The upper eight bits of the response code (RFC 6891 section 6.1.3); past 255 it stays there.
            let rcode = u16::from((ttl >> 24) as u8) << 4 | u16::from(parsed.rcode);
            parsed.rcode = u8::try_from(rcode).unwrap_or(u8::MAX);
        }
    }
    Ok(())
}

/// One answer: keeps an address and the smallest TTL.
fn read_record<'a>(message: &'a [u8], reader: &mut Reader<'a>, parsed: &mut Message, first: bool) -> Result<(), Fault> {
    let owner = if first && parsed.question.is_none() {
        Some(read_name(message, reader)?)
    } else {
        skip_name(reader).map(|()| None)?
    };
    let rtype = reader.u16().ok_or(Fault::Cut)?;
    if let Some(owner) = owner {
        parsed.question = Some((owner, rtype));
    }
    let class = reader.u16().ok_or(Fault::Cut)? & 0x7fff;
    let ttl = reader.u32().ok_or(Fault::Cut)?;
    let value = reader.vector16().ok_or(Fault::Cut)?;
    if is_free(rtype) {
        parsed.free_bytes = parsed.free_bytes.saturating_add(u16::try_from(value.len()).unwrap_or(u16::MAX));
    }
    if LEADING.contains(&rtype) {
        parsed.leads = parsed.leads.wrapping_add(lead(rtype, value));
    }
    parsed.aliases = parsed.aliases.saturating_add(u8::from(matches!(rtype, TYPE_CNAME | TYPE_DNAME)));
    let address = match (class, rtype, value) {
        (CLASS_IN, TYPE_A, value) => value.try_into().ok().map(Address::v4),
        (CLASS_IN, TYPE_AAAA, value) => value.try_into().ok().map(Address::v6),
        _ => return Ok(()),
    };
    let address = address.ok_or(Fault::Malformed)?;
    parsed.ttl_s = if parsed.answers.is_empty() { ttl } else { parsed.ttl_s.min(ttl) };
    if parsed.answers.len() < DNS_ANSWERS_MAX {
        parsed.answers.push(address);
    }
    Ok(())
}

/// Types of records that lead to another service by a name: MX, SRV, NAPTR, SVCB, HTTPS.
const LEADING: [u16; 5] = [15, 33, 35, 64, 65];

/// A hash of where a record leads, whatever the case of the letters; never 0.
fn lead(rtype: u16, value: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new_with_key(b"trawl dns leads.");
    hasher.write_u16(rtype);
    let mut lower = [0; 64];
    for piece in value.chunks(lower.len()) {
        let lower = &mut lower[..piece.len()];
        lower.copy_from_slice(piece);
        lower.make_ascii_lowercase();
        hasher.write(lower);
    }
    hasher.finish().max(1)
}

/// Whether a zone's owner can write into a record of this type whatever he likes, and the client reads it.
fn is_free(rtype: u16) -> bool {
    /// A, NS, SOA, AAAA, DS, SSHFP, RRSIG, NSEC, DNSKEY, NSEC3, NSEC3PARAM, TLSA, SVCB, HTTPS, CAA.
    const BOUND: [u16; 15] = [TYPE_A, 2, 6, TYPE_AAAA, 43, 44, 46, 47, 48, 50, 51, 52, 64, 65, 257];
    !BOUND.contains(&rtype)
}

/// A label's first byte, told apart.
enum LabelStart {
    Root,
    Label(usize),
    /// Its low six bits.
    Pointer(usize),
}

fn label_start(byte: u8) -> Result<LabelStart, Fault> {
    match byte {
        0 => Ok(LabelStart::Root),
        1..=63 => Ok(LabelStart::Label(usize::from(byte))),
        0xc0.. => Ok(LabelStart::Pointer(usize::from(byte & 0x3f))),
        // 0b01 and 0b10 are reserved (RFC 1035 section 4.1.4) or withdrawn (RFC 6891 section 5).
        _ => Err(Fault::Malformed),
    }
}

/// Steps over a name without following it.
fn skip_name(reader: &mut Reader<'_>) -> Result<(), Fault> {
    let mut bytes = 0;
    loop {
        match label_start(reader.u8().ok_or(Fault::Cut)?)? {
            LabelStart::Root => return Ok(()),
            LabelStart::Pointer(_) => return reader.u8().map(drop).ok_or(Fault::Cut),
            LabelStart::Label(count) => {
                reader.take(count).ok_or(Fault::Cut)?;
                bytes += count + 1;
                if bytes >= NAME_BYTES_MAX {
                    return Err(Fault::Malformed);
                }
            }
        }
    }
}

/// Reads a name and follows its compression pointers, each to before where the part that it ends began.
fn read_name<'a>(message: &'a [u8], reader: &mut Reader<'a>) -> Result<Box<str>, Fault> {
    let mut labels: SmallVec<[&[u8]; LABELS_USUAL]> = SmallVec::new();
    let mut bytes = 0;
    let mut part_start = message.len() - reader.rest().len();
    let mut part = *reader;
    let mut followed = false;
    loop {
        match label_start(part.u8().ok_or(Fault::Cut)?)? {
            LabelStart::Root => break,
            LabelStart::Label(length) => {
                bytes += length + 1;
                if labels.len() == LABELS_MAX || bytes >= NAME_BYTES_MAX {
                    return Err(Fault::Malformed);
                }
                labels.push(part.take(length).ok_or(Fault::Cut)?);
            }
            LabelStart::Pointer(high) => {
                let target = high << 8 | usize::from(part.u8().ok_or(Fault::Cut)?);
                if !followed {
                    *reader = part;
                    followed = true;
                }
                if target >= part_start {
                    return Err(Fault::Malformed);
                }
                part_start = target;
                part = Reader::new(message.get(target..).ok_or(Fault::Malformed)?);
            }
        }
    }
    if !followed {
        *reader = part;
    }
    Ok(names::dns_name(labels.iter().copied()))
}

/// DNS over TCP: messages behind two bytes of length (RFC 1035 section 4.2.2).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TcpMessages {
    /// Bytes of the message that are passed over unread.
    skip: usize,
}

/// What one step over a stream came to.
pub(super) enum TcpStep {
    /// Waits for more bytes.
    More,
    /// The stream is no DNS.
    Foreign,
}

impl TcpMessages {
    /// Reads all whole messages of `ready`; gives how many bytes are done with.
    pub(super) fn advance(
        &mut self,
        ready: &[u8],
        sender: Side,
        ctx: &AppContext,
        notes: &mut Notes,
        lookups: &mut Vec<NameLookup>,
    ) -> (usize, TcpStep) {
        let mut reader = Reader::new(ready);
        loop {
            self.skip -= reader.take_at_most(self.skip).len();
            let mut ahead = reader;
            let Some(length) = ahead.u16().map(usize::from) else { break };
            if length < HEADER_BYTES {
                return (ready.len(), TcpStep::Foreign);
            }
            let read = length.min(TCP_MESSAGE_BYTES_READ);
            let Some(message) = ahead.take(read) else { break };
            if !plausible(message, Some(DnsKind::Unicast)) {
                return (ready.len(), TcpStep::Foreign);
            }
            read_message(message, length, DnsKind::Unicast, sender, ctx, notes, lookups);
            self.skip = length - read;
            reader = ahead;
        }
        (ready.len() - reader.rest().len(), TcpStep::More)
    }
}

#[cfg(test)]
mod tests;
