//! Client hello: what a client offers (RFC 8446 section 4.1.2, RFC 6347 section 4.2.1).
//! In: a handshake message's body, whole or cut. Out: borrowed lists, in wire order.
//! Bounds: the body; nothing is copied. Not here: its fingerprint (`ja4`).
//!
//! Read by hand and not by `tls-parser` (which judges it in a property test): that crate stops at the first extension it
//! finds odd and drops the rest without a word, which changes a fingerprint, and it reads no hello that the capture cut.

use super::{Transport, is_grease};
use crate::packet::app::reader::{Reader, u16s};

pub(super) const EXT_SERVER_NAME: u16 = 0;
pub(super) const EXT_ALPN: u16 = 16;
const EXT_SIGNATURE_ALGORITHMS: u16 = 13;
pub(super) const EXT_PRE_SHARED_KEY: u16 = 41;
pub(super) const EXT_SUPPORTED_VERSIONS: u16 = 43;

/// Bytes of the random value.
pub(super) const RANDOM_BYTES: usize = 32;
/// Bytes of a session id at most.
pub(super) const SESSION_ID_BYTES_MAX: usize = 32;

/// How much of the hello was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of it, and its lengths agree.
    Whole,
    /// A list reaches past the end: the fields before it are good.
    Cut,
}

/// A client hello.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientHello<'a> {
    pub(super) extent: Extent,
    pub(super) legacy_version: u16,
    ciphers: &'a [u8],
    extensions: &'a [u8],
}

impl<'a> ClientHello<'a> {
    /// Reads a body; none where not even the version and the session id are sound.
    pub(super) fn parse(body: &'a [u8], transport: Transport) -> Option<Self> {
        let mut reader = Reader::new(body);
        let legacy_version = reader.u16()?;
        reader.take(RANDOM_BYTES)?;
        let mut hello = Self { extent: Extent::Cut, legacy_version, ciphers: &[], extensions: &[] };
        let Some(session_bytes) = reader.u8().map(usize::from) else { return Some(hello) };
        if session_bytes > SESSION_ID_BYTES_MAX {
            return None;
        }
        if reader.take(session_bytes).is_none() {
            return Some(hello);
        }
        if transport == Transport::Dtls && reader.vector8().is_none() {
            return Some(hello);
        }
        let Some(cipher_bytes) = reader.u16().map(usize::from) else { return Some(hello) };
        if cipher_bytes % 2 == 1 {
            return None;
        }
        hello.ciphers = reader.take_at_most(cipher_bytes);
        if hello.ciphers.len() < cipher_bytes || reader.vector8().is_none() {
            return Some(hello);
        }
        if reader.is_empty() {
            // SSL 3.0 to TLS 1.2 may end here, without any extension.
            hello.extent = Extent::Whole;
            return Some(hello);
        }
        let Some(extension_bytes) = reader.u16().map(usize::from) else { return Some(hello) };
        hello.extensions = reader.take_at_most(extension_bytes);
        let mut walk = Extensions(Reader::new(hello.extensions));
        walk.by_ref().for_each(drop);
        if hello.extensions.len() == extension_bytes && walk.0.is_empty() {
            hello.extent = Extent::Whole;
        }
        Some(hello)
    }

    /// Cipher suites in the client's order, GREASE included.
    pub(super) fn ciphers(&self) -> impl Iterator<Item = u16> + use<'a> {
        u16s(self.ciphers)
    }

    /// Extension types in the client's order, GREASE included.
    pub(super) fn extension_types(&self) -> impl Iterator<Item = u16> + use<'a> {
        Extensions(Reader::new(self.extensions)).map(|(number, _)| number)
    }

    fn extension(&self, wanted: u16) -> Option<Reader<'a>> {
        Extensions(Reader::new(self.extensions))
            .find(|(number, _)| *number == wanted)
            .map(|(_, content)| Reader::new(content))
    }

    /// The host name asked for (RFC 6066 section 3).
    pub(super) fn server_name(&self) -> Option<&'a [u8]> {
        const HOST_NAME: u8 = 0;
        let mut list = Reader::new(self.extension(EXT_SERVER_NAME)?.vector16()?);
        loop {
            let kind = list.u8()?;
            let name = list.vector16()?;
            if kind == HOST_NAME {
                return Some(name);
            }
        }
    }

    /// The first ALPN id offered (RFC 7301).
    pub(super) fn alpn_first(&self) -> Option<&'a [u8]> {
        Reader::new(self.extension(EXT_ALPN)?.vector16()?).vector8()
    }

    /// Signature algorithms in the client's order.
    pub(super) fn signature_algorithms(&self) -> impl Iterator<Item = u16> + use<'a> {
        u16s(self.extension(EXT_SIGNATURE_ALGORITHMS).and_then(|mut e| e.vector16()).unwrap_or_default())
    }

    /// The highest version offered: by supported_versions, else by the hello's own field. DTLS counts downwards.
    pub(super) fn version(&self, transport: Transport) -> u16 {
        let listed = u16s(self.extension(EXT_SUPPORTED_VERSIONS).and_then(|mut e| e.vector8()).unwrap_or_default())
            .filter(|version| !is_grease(*version));
        let highest = match transport {
            Transport::Dtls => listed.min(),
            Transport::Tls | Transport::Quic => listed.max(),
        };
        highest.unwrap_or(self.legacy_version)
    }
}

/// Walks (type, content) pairs; ends where one is not whole.
pub(super) struct Extensions<'a>(pub(super) Reader<'a>);

impl<'a> Iterator for Extensions<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let mut ahead = self.0;
        let pair = (ahead.u16()?, ahead.vector16()?);
        self.0 = ahead;
        Some(pair)
    }
}
