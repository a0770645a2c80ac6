//! Server hello: what the server chose (RFC 8446 section 4.1.3), and a fingerprint of how it said so.
//! In: a handshake message's whole body. Out: version, cipher suite, ALPN, fingerprint, with and without resumption.
//! Bounds: the body. Not here: certificates.

use sha2::{Digest, Sha256};

use super::client_hello::{
    EXT_ALPN, EXT_PRE_SHARED_KEY, EXT_SUPPORTED_VERSIONS, Extensions, RANDOM_BYTES, SESSION_ID_BYTES_MAX,
};
use super::is_grease;
use crate::packet::app::reader::Reader;

/// The random value that makes a server hello a HelloRetryRequest: SHA-256 of "HelloRetryRequest" (RFC 8446 section 4.1.3).
const RETRY_RANDOM: [u8; RANDOM_BYTES] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
    0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// Whether the server is content with the client's hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It goes on.
    Hello,
    /// It asks for a second hello.
    Retry,
}

/// A server hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ServerHello<'a> {
    pub(super) answer: Answer,
    /// Negotiated version.
    pub(super) version: u16,
    /// Cipher suite chosen.
    pub(super) cipher: u16,
    /// ALPN id chosen, where it is not encrypted (TLS 1.2 and older).
    pub(super) alpn: Option<&'a [u8]>,
    /// First 8 bytes of SHA-256 over the hello's own version, the negotiated one, cipher suite, compression, and the types
    /// of the extensions in their order without GREASE: all as 16-bit numbers, big-endian.
    pub(super) fingerprint: u64,
    /// The same without the extension by which a server takes a session up again (RFC 8446 section 4.2.11).
    pub(super) choice: u64,
}

impl<'a> ServerHello<'a> {
    /// Reads a body.
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let legacy_version = reader.u16()?;
        let random = reader.take(RANDOM_BYTES)?;
        let session_id = reader.vector8()?;
        if session_id.len() > SESSION_ID_BYTES_MAX {
            return None;
        }
        let cipher = reader.u16()?;
        let compression = reader.u8()?;
        let extensions = if reader.is_empty() { &[] } else { reader.vector16()? };
        let walk = || Extensions(Reader::new(extensions));
        let content = |wanted| walk().find(|(number, _)| *number == wanted).map(|(_, content)| Reader::new(content));
        let version = content(EXT_SUPPORTED_VERSIONS).and_then(|mut e| e.u16()).unwrap_or(legacy_version);
        let alpn = content(EXT_ALPN).and_then(|mut e| Reader::new(e.vector16()?).vector8());
        let fingerprint = |left_out: Option<u16>| {
            let mut hash = Sha256::new();
            for number in [legacy_version, version, cipher, u16::from(compression)] {
                hash.update(number.to_be_bytes());
            }
            for (number, _) in walk().filter(|(number, _)| !is_grease(*number) && Some(*number) != left_out) {
                hash.update(number.to_be_bytes());
            }
            super::first_u64(&hash.finalize())
        };
        let answer = if random == RETRY_RANDOM { Answer::Retry } else { Answer::Hello };
        let resumed = content(EXT_PRE_SHARED_KEY).is_some();
        let whole = fingerprint(None);
        let choice = if resumed { fingerprint(Some(EXT_PRE_SHARED_KEY)) } else { whole };
        Some(Self { answer, version, cipher, alpn, fingerprint: whole, choice })
    }
}
