//! QUIC Initial protection: keys that anyone on the path can derive (RFC 9001 section 5.2, RFC 9369 section 3.3).
//! In: version, the client's first destination connection id, one protected packet. Out: its payload in the clear.
//! Bounds: one packet. Not here: any other packet type: their keys are secret.

use std::ops::Range;

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes_gcm::Aes128Gcm;
use aes_gcm::aead::AeadInOut;
use hkdf::Hkdf;
use sha2::Sha256;

const TAG_BYTES: usize = 16;
const SAMPLE_BYTES: usize = 16;

/// What a version does its own way.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rules {
    salt: [u8; 20],
    labels: [&'static [u8]; 3],
    /// The two type bits of an Initial, a 0-RTT, a Handshake and a Retry packet.
    pub(super) types: [u8; 4],
}

const LABELS_V1: [&[u8]; 3] = [b"quic key", b"quic iv", b"quic hp"];
const TYPES_V1: [u8; 4] = [0, 1, 2, 3];

const V1: Rules = Rules {
    salt: [
        0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb,
        0x7f, 0x0a,
    ],
    labels: LABELS_V1,
    types: TYPES_V1,
};
const V2: Rules = Rules {
    salt: [
        0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd,
        0x2e, 0xd9,
    ],
    labels: [b"quicv2 key", b"quicv2 iv", b"quicv2 hp"],
    types: [1, 2, 3, 0],
};
const DRAFT_29: Rules = Rules {
    salt: [
        0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90,
        0xa8, 0x99,
    ],
    labels: LABELS_V1,
    types: TYPES_V1,
};
const DRAFT_23: Rules = Rules {
    salt: [
        0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe, 0xf9,
        0xf5, 0x02,
    ],
    labels: LABELS_V1,
    types: TYPES_V1,
};

/// The rules of a version: 1, 2, and the late drafts, which differ by their salt. 0xfaceb002 is draft 27 by another name.
pub(super) fn rules(version: u32) -> Option<&'static Rules> {
    match version {
        0x0000_0001 | 0xff00_0021..=0xff00_0022 => Some(&V1),
        0x6b33_43cf => Some(&V2),
        0xff00_001d..=0xff00_0020 => Some(&DRAFT_29),
        0xff00_0017..=0xff00_001c | 0xface_b002 => Some(&DRAFT_23),
        _ => None,
    }
}

/// Who protects with these keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    Client,
    Server,
}

/// One sender's keys.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    key: [u8; 16],
    iv: [u8; 12],
    header: [u8; 16],
}

impl Keys {
    /// Keys of a sender, from the client's first destination connection id.
    pub(super) fn derive(rules: &Rules, connection_id: &[u8], sender: Sender) -> Self {
        let initial = Hkdf::<Sha256>::new(Some(&rules.salt), connection_id);
        let mut secret = [0; 32];
        expand(&initial, if sender == Sender::Client { b"client in" } else { b"server in" }, &mut secret);
        let mut keys = Self { key: [0; 16], iv: [0; 12], header: [0; 16] };
        if let Ok(secret) = Hkdf::<Sha256>::from_prk(&secret) {
            expand(&secret, rules.labels[0], &mut keys.key);
            expand(&secret, rules.labels[1], &mut keys.iv);
            expand(&secret, rules.labels[2], &mut keys.header);
        }
        keys
    }

    /// Key, nonce base and header key.
    #[cfg(test)]
    pub(super) fn parts(&self) -> (&[u8], &[u8], &[u8]) {
        (&self.key, &self.iv, &self.header)
    }

    /// Takes the protection off `packet`, whose packet number begins at `number_at`; gives where its payload lies, or none
    /// where these are not its keys; then the packet is spoilt.
    pub(super) fn open(&self, packet: &mut [u8], number_at: usize) -> Option<Range<usize>> {
        let sample = packet.get(number_at + 4..number_at + 4 + SAMPLE_BYTES)?;
        let mut mask = aes::Block::try_from(sample).ok()?;
        Aes128::new(&self.header.into()).encrypt_block(&mut mask);
        let first = packet.first_mut()?;
        *first ^= mask[0] & 0x0f;
        let number_bytes = usize::from(*first & 3) + 1;
        let mut nonce = self.iv;
        // Initial packets are few: their truncated number is the number.
        let number = packet.get_mut(number_at..number_at + number_bytes)?;
        for (byte, mask) in number.iter_mut().zip(&mask[1..]) {
            *byte ^= mask;
        }
        for (nonce, byte) in nonce[12 - number_bytes..].iter_mut().zip(number) {
            *nonce ^= *byte;
        }
        let (header, sealed) = packet.split_at_mut_checked(number_at + number_bytes)?;
        let (body, tag) = sealed.split_at_mut_checked(sealed.len().checked_sub(TAG_BYTES)?)?;
        let tag = aes_gcm::Tag::try_from(&*tag).ok()?;
        let cipher = Aes128Gcm::new(&self.key.into());
        cipher.decrypt_inout_detached(&nonce.into(), header, (&mut *body).into(), &tag).ok()?;
        let start = header.len();
        Some(start..start + body.len())
    }
}

/// HKDF-Expand-Label (RFC 8446 section 7.1) with an empty context.
fn expand(secret: &Hkdf<Sha256>, label: &[u8], out: &mut [u8]) {
    let length = (out.len() as u16).to_be_bytes();
    let label_bytes = [6 + label.len() as u8];
    // Only an output of over 255 hashes is refused; ours are shorter than two.
    let _ = secret.expand_multi_info(&[&length, &label_bytes, b"tls13 ", label, &[0]], out);
}
