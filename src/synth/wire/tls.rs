//! TLS records and the server's side of a handshake (RFC 8446, RFC 5246).
//! In: a client's stack, a server's certificate and taste. Out: the flights of a handshake as byte sources, in order.
//! What is encrypted is opaque, in records of the lengths that the stacks send.

use std::rc::Rc;

use super::certificate::write_chain;
use super::hello::{Ask, GROUP_HYBRID, GROUP_X25519, HelloStack, opaque};
use super::payload::{Pool, Source};
use super::prefixed;
use crate::synth::dice::Dice;
use crate::units::Side;

const HANDSHAKE: u8 = 22;
const CHANGE_CIPHER_SPEC: [u8; 6] = [20, 3, 3, 0, 1, 1];
const APPLICATION_DATA: u8 = 23;
const ALERT: u8 = 21;

/// The highest version that a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerVersion {
    Tls12,
    Tls13,
}

/// What a server shows of itself.
#[derive(Clone, Debug)]
pub(crate) struct ServerStack {
    pub(crate) version: ServerVersion,
    /// Agrees to the hybrid group.
    pub(crate) hybrid: bool,
    /// Suite that it picks of TLS 1.3: 0x1301 or 0x1302; of TLS 1.2: 0xc02b or 0xc02c.
    pub(crate) suite_13: u16,
    pub(crate) suite_12: u16,
    /// Leaf and issuer.
    pub(crate) chain: Rc<[Vec<u8>; 2]>,
}

/// Bytes that one side sends in one go.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    pub(crate) side: Side,
    pub(crate) source: Source,
    pub(crate) bytes: u64,
}

impl Flight {
    fn new(side: Side, bytes: Vec<u8>) -> Self {
        Self { side, bytes: bytes.len() as u64, source: Source::bytes(bytes) }
    }
}

/// A whole handshake: the flights in order, and the record layer that both agreed on.
pub(crate) fn handshake(
    client: &HelloStack,
    server: &ServerStack,
    ask: &Ask,
    dice: &mut Dice,
    pool: &Pool,
) -> Vec<Flight> {
    let (hello, session) = client.client_hello(ask, dice, pool);
    // The first record of a hello says 1.0 for the sake of old middle boxes (RFC 8446 section 5.1).
    let mut first = Vec::with_capacity(hello.len() + 5);
    write_record(HANDSHAKE, [3, 1], &hello, &mut first);
    let first = Flight::new(Side::Orig, first);
    match (server.version, client.speaks_tls_13()) {
        (ServerVersion::Tls13, true) => {
            let [answer, finished] = tls_13(client, server, ask, &session, dice, pool);
            vec![first, answer, finished]
        }
        _ if ask.resumes => {
            let [answer, finished] = tls_12_resumed(server, &session, dice);
            vec![first, answer, finished]
        }
        _ => {
            let [answer, key, finished] = tls_12(client, server, dice, pool);
            vec![first, answer, key, finished]
        }
    }
}

fn tls_13(
    client: &HelloStack,
    server: &ServerStack,
    ask: &Ask,
    session: &[u8],
    dice: &mut Dice,
    pool: &Pool,
) -> [Flight; 2] {
    let hybrid = server.hybrid && client.offers_hybrid();
    let hello = server_hello_13(server, hybrid, ask.resumes, session, dice, pool);
    let mut head = Vec::with_capacity(256);
    write_record(HANDSHAKE, [3, 3], &hello, &mut head);
    head.extend(CHANGE_CIPHER_SPEC);
    // EncryptedExtensions, then Certificate and CertificateVerify unless both remember, then Finished.
    let hash = if server.suite_13 == 0x1302 { 48 } else { 32 };
    let chain: usize = server.chain.iter().map(|certificate| certificate.len() + 5).sum();
    let proof = if ask.resumes { 0 } else { chain + 8 + 80 };
    let sealed = 6 + 11 + proof + 4 + hash + 17;
    head.extend([APPLICATION_DATA, 3, 3, (sealed >> 8) as u8, sealed as u8]);
    let bytes = (head.len() + sealed) as u64;
    let answer = Flight {
        side: Side::Resp,
        source: Source::HeadThenOpaque { head: head.into(), base: dice.below(1 << 16) },
        bytes,
    };
    let mut finished = CHANGE_CIPHER_SPEC.to_vec();
    write_record(APPLICATION_DATA, [3, 3], &opaque(4 + hash + 17, dice, pool), &mut finished);
    [answer, Flight::new(Side::Orig, finished)]
}

/// The ServerHello of TLS 1.3 as a handshake message; QUIC carries the same.
pub(crate) fn server_hello_13(
    server: &ServerStack,
    hybrid: bool,
    resumes: bool,
    session: &[u8],
    dice: &mut Dice,
    pool: &Pool,
) -> Vec<u8> {
    server_hello(server.suite_13, session, dice, |dice, out| {
        if resumes {
            out.extend([0, 41, 0, 2, 0, 0]);
        }
        out.extend([0, 51]);
        prefixed(out, 2, |out| {
            let (group, share) = match hybrid {
                true => (GROUP_HYBRID, opaque(1120, dice, pool)),
                false => (GROUP_X25519, opaque(32, dice, pool)),
            };
            out.extend(group.to_be_bytes());
            prefixed(out, 2, |out| out.extend(share));
        });
        out.extend([0, 43, 0, 2, 3, 4]);
    })
}

fn server_hello(
    suite: u16,
    session: &[u8],
    dice: &mut Dice,
    extensions: impl FnOnce(&mut Dice, &mut Vec<u8>),
) -> Vec<u8> {
    let mut out = vec![2];
    prefixed(&mut out, 3, |out| {
        out.extend([3, 3]);
        out.extend(dice.bytes::<32>());
        prefixed(out, 1, |out| out.extend(session));
        out.extend(suite.to_be_bytes());
        out.push(0);
        prefixed(out, 2, |out| extensions(dice, out));
    });
    out
}

fn write_extensions_12(client: &HelloStack, out: &mut Vec<u8>) {
    out.extend([0xff, 0x01, 0, 1, 0]);
    out.extend([0, 11, 0, 2, 1, 0]);
    out.extend([0, 35, 0, 0]);
    out.extend([0, 23, 0, 0]);
    if let Some(protocol) = client.first_alpn() {
        out.extend([0, 16]);
        prefixed(out, 2, |out| prefixed(out, 2, |out| prefixed(out, 1, |out| out.extend(protocol.as_bytes()))));
    }
}

fn tls_12(client: &HelloStack, server: &ServerStack, dice: &mut Dice, pool: &Pool) -> [Flight; 3] {
    let session = dice.bytes::<32>();
    let hello = server_hello(server.suite_12, &session, dice, |_, out| write_extensions_12(client, out));
    let mut answer = Vec::with_capacity(2048);
    write_record(HANDSHAKE, [3, 3], &hello, &mut answer);
    let mut certificate = vec![11];
    prefixed(&mut certificate, 3, |out| write_chain(server.chain.as_slice(), out));
    write_record(HANDSHAKE, [3, 3], &certificate, &mut answer);
    let mut exchange = vec![12];
    prefixed(&mut exchange, 3, |out| {
        out.extend([3, 0, 23]);
        prefixed(out, 1, |out| write_point(dice, pool, out));
        out.extend([4, 3]);
        prefixed(out, 2, |out| write_signature(dice, pool, out));
    });
    write_record(HANDSHAKE, [3, 3], &exchange, &mut answer);
    write_record(HANDSHAKE, [3, 3], &[14, 0, 0, 0], &mut answer);

    let mut key = vec![16];
    prefixed(&mut key, 3, |out| prefixed(out, 1, |out| write_point(dice, pool, out)));
    let mut second = Vec::new();
    write_record(HANDSHAKE, [3, 3], &key, &mut second);
    second.extend(CHANGE_CIPHER_SPEC);
    write_record(HANDSHAKE, [3, 3], &opaque(40, dice, pool), &mut second);

    let mut last = Vec::new();
    let mut ticket = vec![4];
    prefixed(&mut ticket, 3, |out| {
        out.extend(7200u32.to_be_bytes());
        prefixed(out, 2, |out| out.extend(opaque(192, dice, pool)));
    });
    write_record(HANDSHAKE, [3, 3], &ticket, &mut last);
    last.extend(CHANGE_CIPHER_SPEC);
    write_record(HANDSHAKE, [3, 3], &opaque(40, dice, pool), &mut last);
    [Flight::new(Side::Resp, answer), Flight::new(Side::Orig, second), Flight::new(Side::Resp, last)]
}

fn tls_12_resumed(server: &ServerStack, session: &[u8], dice: &mut Dice) -> [Flight; 2] {
    let hello = server_hello(server.suite_12, session, dice, |_, out| {
        out.extend([0xff, 0x01, 0, 1, 0]);
        out.extend([0, 23, 0, 0]);
    });
    let mut answer = Vec::new();
    write_record(HANDSHAKE, [3, 3], &hello, &mut answer);
    let mut finished = [CHANGE_CIPHER_SPEC.to_vec(), vec![HANDSHAKE, 3, 3, 0, 40]].concat();
    finished.extend(dice.bytes::<40>());
    answer.extend(&finished);
    let mut second = finished;
    let at = second.len() - 40;
    dice.fill(&mut second[at..]);
    [Flight::new(Side::Resp, answer), Flight::new(Side::Orig, second)]
}

/// The alert that says goodbye, as either version encrypts it.
pub(crate) fn close_notify(dice: &mut Dice, pool: &Pool) -> Vec<u8> {
    let mut out = Vec::new();
    write_record(ALERT, [3, 3], &opaque(19, dice, pool), &mut out);
    out[0] = APPLICATION_DATA;
    out
}

/// Session tickets that a TLS 1.3 server sends of its own accord.
pub(crate) fn tickets(count: usize, dice: &mut Dice, pool: &Pool) -> Flight {
    let mut out = Vec::new();
    for _ in 0..count {
        write_record(APPLICATION_DATA, [3, 3], &opaque(234 + 17, dice, pool), &mut out);
    }
    Flight::new(Side::Resp, out)
}

fn write_record(kind: u8, version: [u8; 2], body: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    out.extend(version);
    prefixed(out, 2, |out| out.extend(body));
}

/// An uncompressed point of P-256.
fn write_point(dice: &mut Dice, pool: &Pool, out: &mut Vec<u8>) {
    out.push(4);
    out.extend(opaque(64, dice, pool));
}

/// An ECDSA signature in DER.
fn write_signature(dice: &mut Dice, pool: &Pool, out: &mut Vec<u8>) {
    out.extend([0x30, 68]);
    for _ in 0..2 {
        out.extend([0x02, 32, 0x41]);
        out.extend(opaque(31, dice, pool));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::dice::Seeds;
    use crate::synth::wire::certificate::Issuer;
    use crate::synth::wire::hello::{ANDROID, CHROME, FIREFOX, MBEDTLS, OPENSSL, SAFARI, SCHANNEL};
    use tls_parser::{TlsMessage, TlsMessageHandshake, parse_tls_extensions, parse_tls_plaintext};

    fn server(version: ServerVersion, dice: &mut Dice) -> ServerStack {
        let issuer = Issuer::new("NL", "Example Trust", "Example Trust R3", dice);
        let chain = issuer.chain(&["www.kalo.example".to_owned()], dice).into();
        ServerStack { version, hybrid: true, suite_13: 0x1301, suite_12: 0xc02b, chain }
    }

    /// Walks the records of a flight and hands each plain handshake message to `see`.
    fn messages(flight: &Flight, pool: &Pool, see: &mut dyn FnMut(&TlsMessageHandshake)) {
        let mut bytes = vec![0; flight.bytes as usize];
        flight.source.fill(0, &mut bytes, pool);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let length = 5 + usize::from(u16::from_be_bytes([rest[3], rest[4]]));
            if rest[0] == 22
                && let Ok((_, record)) = parse_tls_plaintext(&rest[..length])
            {
                for message in &record.msg {
                    if let TlsMessage::Handshake(handshake) = message {
                        see(handshake);
                    }
                }
            }
            rest = &rest[length..];
        }
    }

    #[test]
    fn every_stack_s_handshake_parses() {
        let seeds = Seeds::new(1);
        let pool = Pool::new(&seeds);
        let mut dice = seeds.dice("tls", 0);
        for stack in [CHROME, FIREFOX, SAFARI, ANDROID, SCHANNEL, OPENSSL, MBEDTLS] {
            for version in [ServerVersion::Tls12, ServerVersion::Tls13] {
                for resumes in [false, true] {
                    for name in [None, Some("www.kalo.example")] {
                        let ask = Ask { name, resumes, quic_source_id: None };
                        let flights = handshake(&stack, &server(version, &mut dice), &ask, &mut dice, &pool);
                        let (mut hellos, mut certificates) = (0, 0);
                        for flight in &flights {
                            messages(flight, &pool, &mut |message| match message {
                                TlsMessageHandshake::ClientHello(hello) => {
                                    let (rest, _) = parse_tls_extensions(hello.ext.unwrap_or(&[])).expect("extensions");
                                    assert!(rest.is_empty(), "{}", stack.name);
                                    hellos += 1;
                                }
                                TlsMessageHandshake::ServerHello(hello) => {
                                    let (rest, _) = parse_tls_extensions(hello.ext.unwrap_or(&[])).expect("extensions");
                                    assert!(rest.is_empty(), "{}", stack.name);
                                    hellos += 1;
                                }
                                TlsMessageHandshake::Certificate(chain) => certificates += chain.cert_chain.len(),
                                _ => {}
                            });
                        }
                        assert_eq!(hellos, 2, "{} {version:?} resumes {resumes}", stack.name);
                        let shown = !resumes && (version == ServerVersion::Tls12 || !stack.speaks_tls_13());
                        assert_eq!(certificates, if shown { 2 } else { 0 }, "{} {version:?}", stack.name);
                    }
                }
            }
        }
    }

    #[test]
    fn padded_hellos_have_the_length_of_their_stack() {
        let seeds = Seeds::new(1);
        let pool = Pool::new(&seeds);
        let ask = Ask { name: Some("www.kalo.example"), resumes: false, quic_source_id: None };
        for (stack, bytes) in [(SAFARI, 512), (ANDROID, 512)] {
            let (hello, _) = stack.client_hello(&ask, &mut seeds.dice("hello", 0), &pool);
            assert_eq!(hello.len(), bytes, "{}", stack.name);
        }
    }
}
