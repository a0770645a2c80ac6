//! QUIC v1 packets (RFC 9000, RFC 9001): Initials that decrypt, and what comes after, which nobody but the ends can read.
//! In: handshake messages, connection ids. Out: datagrams. Bounds: datagrams of [`DATAGRAM_BYTES`].

use aes::Aes128;
use aes::cipher::BlockCipherEncrypt;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes128Gcm, Nonce};
use hkdf::Hkdf;
use sha2::Sha256;

use super::hello::opaque;
use super::payload::{Pool, Source};
use crate::synth::dice::Dice;
use crate::units::Side;

/// UDP payload of a client's first datagrams (Chrome's choice; RFC 9000 section 14.1 asks for 1,200).
pub(crate) const DATAGRAM_BYTES: usize = 1250;
/// RFC 9001 section 5.2.
const INITIAL_SALT: [u8; 20] = [
    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f,
    0x0a,
];
const TAG_BYTES: usize = 16;
/// Bytes of the packet number that our Initials carry.
const NUMBER_BYTES: usize = 4;

/// Connection ids: what the client made up for the server, and what the server chose for itself. Clients of this kind use
/// an empty one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ids {
    pub(crate) first: [u8; 8],
    pub(crate) server: [u8; 8],
}

/// Keys of one side's Initials.
struct Keys {
    packet: Aes128Gcm,
    iv: [u8; 12],
    header: Aes128,
}

impl Keys {
    fn new(first_id: &[u8], side: Side) -> Self {
        let secret = Hkdf::<Sha256>::new(Some(&INITIAL_SALT), first_id);
        let mut own = [0; 32];
        let label = if side == Side::Orig { "client in" } else { "server in" };
        expand(&secret, label, &mut own);
        let own = Hkdf::<Sha256>::from_prk(&own).expect("32 bytes are a key of HKDF-SHA256");
        let (mut key, mut iv, mut header) = ([0; 16], [0; 12], [0; 16]);
        expand(&own, "quic key", &mut key);
        expand(&own, "quic iv", &mut iv);
        expand(&own, "quic hp", &mut header);
        Self { packet: Aes128Gcm::new(&key.into()), iv, header: Aes128::new(&header.into()) }
    }
}

/// HKDF-Expand-Label of TLS 1.3 with an empty context (RFC 8446 section 7.1).
fn expand(secret: &Hkdf<Sha256>, label: &str, out: &mut [u8]) {
    let mut full = Vec::with_capacity(32);
    full.extend((out.len() as u16).to_be_bytes());
    super::prefixed(&mut full, 1, |full| {
        full.extend(b"tls13 ");
        full.extend(label.as_bytes());
    });
    full.push(0);
    secret.expand(&full, out).expect("32 bytes are less than HKDF-SHA256 can give");
}

/// The client's first datagram: its hello, padded.
pub(crate) fn client_initial(ids: &Ids, hello: &[u8]) -> Vec<u8> {
    let mut frames = Vec::with_capacity(DATAGRAM_BYTES);
    write_crypto(hello, &mut frames);
    let mut out = Vec::with_capacity(DATAGRAM_BYTES);
    write_initial(ids, Side::Orig, 1, frames, DATAGRAM_BYTES, &mut out);
    out
}

/// The server's first datagrams: its hello in an Initial, the rest of its flight (`sealed` bytes) behind it in Handshake packets.
pub(crate) fn server_flight(ids: &Ids, hello: &[u8], sealed: usize, dice: &mut Dice, pool: &Pool) -> Vec<Vec<u8>> {
    let mut frames = vec![0x02, 0x01, 0x00, 0x00, 0x00]; // ACK of packet 1
    write_crypto(hello, &mut frames);
    let mut first = Vec::with_capacity(DATAGRAM_BYTES);
    let length = frames.len();
    write_initial(ids, Side::Resp, 0, frames, length + INITIAL_OVERHEAD, &mut first);
    let mut left = sealed;
    let mut datagrams = Vec::new();
    let mut datagram = first;
    loop {
        let room = DATAGRAM_BYTES - datagram.len();
        let body = left.max(64).min(room.saturating_sub(HANDSHAKE_OVERHEAD));
        write_handshake(ids, Side::Resp, body, dice, pool, &mut datagram);
        left = left.saturating_sub(body);
        datagrams.push(std::mem::take(&mut datagram));
        if left == 0 {
            return datagrams;
        }
    }
}

/// What the client answers: an acknowledgement and its Finished.
pub(crate) fn client_finished(ids: &Ids, dice: &mut Dice, pool: &Pool) -> Vec<u8> {
    let mut out = Vec::with_capacity(DATAGRAM_BYTES);
    write_initial(ids, Side::Orig, 2, vec![0x02, 0x00, 0x00, 0x00, 0x00], 60, &mut out);
    write_handshake(ids, Side::Orig, 64, dice, pool, &mut out);
    // Whatever holds an Initial is 1,200 bytes or more: a short packet and padding behind it.
    let rest = DATAGRAM_BYTES - out.len();
    let Source::Framed { head, head_bytes, .. } = short_packet(ids, Side::Orig, dice) else { return out };
    out.extend(&head[..usize::from(head_bytes)]);
    out.extend(opaque(rest - usize::from(head_bytes), dice, pool));
    out
}

/// A 1-RTT packet of any length.
pub(crate) fn short_packet(ids: &Ids, side: Side, dice: &mut Dice) -> Source {
    let mut head = [0; 20];
    // Fixed bit; spin bit off; the rest is under header protection.
    head[0] = 0x40 | (dice.word() as u8 & 0x1f);
    let mut head_bytes = 1;
    if side == Side::Orig {
        head[1..9].copy_from_slice(&ids.server);
        head_bytes = 9;
    }
    Source::Framed { head, head_bytes, base: dice.below(1 << 16) }
}

fn write_crypto(message: &[u8], out: &mut Vec<u8>) {
    out.extend([0x06, 0x00]);
    out.extend((0x4000 | message.len() as u16).to_be_bytes());
    out.extend(message);
}

/// Destination id, then source id, each behind its length.
fn write_ids(ids: &Ids, side: Side, number: u32, out: &mut Vec<u8>) {
    let to: &[u8] = match (side, number) {
        (Side::Resp, _) => &[],
        (Side::Orig, 0 | 1) => &ids.first,
        (Side::Orig, _) => &ids.server,
    };
    let from: &[u8] = if side == Side::Orig { &[] } else { &ids.server };
    for id in [to, from] {
        super::prefixed(out, 1, |out| out.extend(id));
    }
}

/// Header, ids, token length, length field, packet number and tag of an Initial.
const INITIAL_OVERHEAD: usize = 1 + 4 + 2 + 8 + 1 + 2 + NUMBER_BYTES + TAG_BYTES;

/// Writes one Initial that fills `bytes`.
fn write_initial(ids: &Ids, side: Side, number: u32, mut frames: Vec<u8>, bytes: usize, out: &mut Vec<u8>) {
    frames.resize(frames.len().max(bytes - INITIAL_OVERHEAD), 0);
    let start = out.len();
    out.push(0xc0 | (NUMBER_BYTES as u8 - 1));
    out.extend(1u32.to_be_bytes());
    write_ids(ids, side, number, out);
    out.push(0); // no token
    out.extend((0x4000 | (NUMBER_BYTES + frames.len() + TAG_BYTES) as u16).to_be_bytes());
    let number_at = out.len();
    out.extend(number.to_be_bytes());
    let keys = Keys::new(&ids.first, side);
    let mut nonce = keys.iv;
    for (byte, number) in nonce[8..].iter_mut().zip(number.to_be_bytes()) {
        *byte ^= number;
    }
    let sealed = keys
        .packet
        .encrypt(&Nonce::from(nonce), Payload { msg: &frames, aad: &out[start..] })
        .expect("an Initial is shorter than AES-GCM can take");
    out.extend(sealed);
    let mut mask = [0; 16];
    mask.copy_from_slice(&out[number_at + 4..number_at + 20]);
    let mut block = mask.into();
    keys.header.encrypt_block(&mut block);
    out[start] ^= block[0] & 0x0f;
    for i in 0..NUMBER_BYTES {
        out[number_at + i] ^= block[1 + i];
    }
}

/// Header, ids, length field, packet number and tag of a Handshake packet.
const HANDSHAKE_OVERHEAD: usize = 1 + 4 + 2 + 8 + 2 + 2 + TAG_BYTES;

fn write_handshake(ids: &Ids, side: Side, body: usize, dice: &mut Dice, pool: &Pool, out: &mut Vec<u8>) {
    out.push(0xe0 | (dice.word() as u8 & 0x0f));
    out.extend(1u32.to_be_bytes());
    write_ids(ids, side, 2, out);
    let sealed = 2 + body + TAG_BYTES;
    out.extend((0x4000 | sealed as u16).to_be_bytes());
    out.extend(opaque(sealed, dice, pool));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::dice::Seeds;

    /// Takes the protection off one Initial and gives its frames.
    fn opened(ids: &Ids, side: Side, packet: &[u8]) -> Vec<u8> {
        let keys = Keys::new(&ids.first, side);
        let to_bytes = usize::from(packet[5]);
        let from_bytes = usize::from(packet[6 + to_bytes]);
        // First byte, version, both ids behind their lengths, no token, a length of two bytes.
        let number_at = 1 + 4 + 1 + to_bytes + 1 + from_bytes + 1 + 2;
        let mut mask = [0; 16];
        mask.copy_from_slice(&packet[number_at + 4..number_at + 20]);
        let mut block = mask.into();
        keys.header.encrypt_block(&mut block);
        let mut plain = packet.to_vec();
        plain[0] ^= block[0] & 0x0f;
        assert_eq!(plain[0], 0xc3, "an Initial with a number of four bytes");
        for i in 0..4 {
            plain[number_at + i] ^= block[1 + i];
        }
        let length = usize::from(u16::from_be_bytes([plain[number_at - 2], plain[number_at - 1]]) & 0x3fff);
        let mut nonce = keys.iv;
        for i in 0..4 {
            nonce[8 + i] ^= plain[number_at + i];
        }
        let payload = Payload { msg: &plain[number_at + 4..number_at + length], aad: &plain[..number_at + 4] };
        keys.packet.decrypt(&Nonce::from(nonce), payload).expect("the tag fits")
    }

    #[test]
    fn initials_open_with_the_keys_of_their_connection() {
        let seeds = Seeds::new(1);
        let mut dice = seeds.dice("quic", 0);
        let ids = Ids { first: dice.bytes(), server: dice.bytes() };
        let hello = vec![7; 300];
        let datagram = client_initial(&ids, &hello);
        assert_eq!(datagram.len(), DATAGRAM_BYTES);
        let frames = opened(&ids, Side::Orig, &datagram);
        assert_eq!(frames[..4], [0x06, 0x00, 0x41, 0x2c], "CRYPTO at 0, 300 bytes");
        assert_eq!(frames[4..304], hello[..]);
        let pool = Pool::new(&seeds);
        let flight = server_flight(&ids, &[9; 90], 1_900, &mut dice, &pool);
        assert_eq!(opened(&ids, Side::Resp, &flight[0])[5..9], [0x06, 0x00, 0x40, 0x5a], "CRYPTO behind an ACK");
        assert!(flight.iter().all(|datagram| datagram.len() <= DATAGRAM_BYTES));
    }

    #[test]
    fn keys_are_those_of_rfc_9001_appendix_a() {
        let secret = Hkdf::<Sha256>::new(Some(&INITIAL_SALT), &[0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08]);
        let mut own = [0; 32];
        expand(&secret, "client in", &mut own);
        assert_eq!(own[..8], [0xc0, 0x0c, 0xf1, 0x51, 0xca, 0x5b, 0xe0, 0x75]);
        let mut key = [0; 16];
        expand(&Hkdf::<Sha256>::from_prk(&own).expect("a key"), "quic key", &mut key);
        assert_eq!(key[..8], [0x1f, 0x36, 0x96, 0x13, 0xdd, 0x76, 0xd5, 0x46]);
    }
}
