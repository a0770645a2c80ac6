//! Application facts: the few words of a flow's opening that say who talks to whom in which protocol.
//! In: what `packet::app` parsed. Out: small owned values that a flow row carries.
//! Bounds: every string and list has its limit here. Payload bytes, paths' queries, cookies and credentials never enter.

use std::num::NonZeroU64;

use crate::units::{Address, TimestampNs};

/// Longest name kept, in bytes (RFC 1035 section 2.3.4).
pub const NAME_BYTES_MAX: usize = 255;
/// Subject names kept of one certificate.
pub const CERT_NAMES_MAX: usize = 8;
/// Answer addresses kept of one DNS response.
pub const DNS_ANSWERS_MAX: usize = 16;

/// The application protocol that a flow's own bytes prove (never its port alone).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the variants are the protocols' own names")]
pub enum AppProtocol {
    Dns,
    Tls,
    Quic,
    Http,
    Ssh,
    Stun,
    WireGuard,
    Irc,
}

/// Which of the protocols that share the DNS message format a flow speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DnsKind {
    /// DNS proper: its messages are look-ups, and become [`NameLookup`]s.
    #[default]
    Unicast,
    /// Multicast DNS (RFC 6762): neighbours talk among themselves, no resolver is asked.
    Mdns,
    /// LLMNR (RFC 4795): likewise.
    Llmnr,
}

impl AppProtocol {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 8] =
        [Self::Dns, Self::Tls, Self::Quic, Self::Http, Self::Ssh, Self::Stun, Self::WireGuard, Self::Irc];

    /// The name in EVE's `app_proto`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::Quic => "quic",
            Self::Http => "http",
            Self::Ssh => "ssh",
            Self::Stun => "stun",
            Self::WireGuard => "wireguard",
            Self::Irc => "irc",
        }
    }
}

/// What is known of one flow's application, in the order in which it becomes known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppFacts {
    /// The protocol, once its bytes prove it: the innermost where one opens the way for another (CONNECT, then TLS).
    pub protocol: Option<AppProtocol>,
    /// The name that the client asks for: TLS or QUIC SNI, else HTTP Host (lower case, no port), else the name that it
    /// gave a proxy, or the first DNS query name. Under Encrypted Client Hello the SNI is the outer, public one.
    pub server_name: Option<Box<str>>,
    /// First ALPN that the client offers, or the one the server chose once known.
    pub alpn: Option<Box<str>>,
    /// JA4 of the client hello.
    pub ja4: Option<Ja4>,
    /// Hash of what the client hello lets a TLS 1.3 server choose from that shows in its answer: the suites of TLS 1.3 in the
    /// client's order, and the transport. JA4 sorts the suites, and a telephone without AES in its silicon is answered
    /// otherwise than one with it. None where TLS 1.3 is not offered.
    pub hello_offer: Option<NonZeroU64>,
    /// As `server_fingerprint`, but the same whether a session was resumed or not; none below TLS 1.3.
    pub server_choice: Option<NonZeroU64>,
    /// TLS version as negotiated (0x0303 is TLS 1.2, 0x0304 TLS 1.3); as offered until the server answers.
    pub tls_version: Option<u16>,
    /// Cipher suite that the server chose.
    pub tls_cipher: Option<u16>,
    /// Fingerprint of the server's hello: a hash of version, cipher and the order of its extensions.
    pub server_fingerprint: Option<u64>,
    /// The server's certificate, where TLS 1.2 or older shows it.
    pub certificate: Option<Box<CertificateFacts>>,
    /// What few flows say, in a place of its own: facts are kept of every living flow that says anything.
    pub seldom: Option<Box<SeldomFacts>>,
    /// Whether the flow's DNS messages are look-ups.
    pub dns_kind: DnsKind,
    /// DNS queries seen in the flow.
    pub dns_queries: u32,
    /// DNS responses seen in the flow.
    pub dns_answers: u32,
}

impl AppFacts {
    /// What few flows say; nothing where this one says none of it.
    pub fn seldom(&self) -> &SeldomFacts {
        static NOTHING: SeldomFacts = SeldomFacts {
            ja4_retry: None,
            http_method: None,
            http_path: None,
            http_status: None,
            ssh_banners: [None, None],
        };
        self.seldom.as_deref().unwrap_or(&NOTHING)
    }

    /// The same, to be changed.
    pub fn seldom_mut(&mut self) -> &mut SeldomFacts {
        self.seldom.get_or_insert_default()
    }
}

/// JA4 of a client hello (FoxIO, BSD-3-Clause): 36 ASCII characters, in place, since every client of TLS has one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ja4([u8; Self::BYTES]);

impl Ja4 {
    /// Characters of a fingerprint.
    pub const BYTES: usize = 36;

    /// From its text; none where that is no fingerprint by its length.
    pub fn of(text: impl AsRef<[u8]>) -> Option<Self> {
        text.as_ref().try_into().ok().filter(|bytes: &[u8; Self::BYTES]| bytes.is_ascii()).map(Self)
    }
}

impl std::ops::Deref for Ja4 {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl std::fmt::Debug for Ja4 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&**self, f)
    }
}

/// What the application says in few flows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeldomFacts {
    /// JA4 of the second client hello, where the server asked for one (HelloRetryRequest, RFC 8446 section 4.1.4).
    pub ja4_retry: Option<Ja4>,
    /// HTTP method of the first request.
    pub http_method: Option<Box<str>>,
    /// HTTP path of the first request, at most 255 bytes: cut off before its query, fragment or parameters (`?`, `#`,
    /// `;`), and without scheme, credentials and host where it names them. Of CONNECT: host and port.
    pub http_path: Option<Box<str>>,
    /// HTTP status of the first answer.
    pub http_status: Option<u16>,
    /// SSH identification strings, client's and server's (RFC 4253 section 4.2).
    pub ssh_banners: [Option<Box<str>>; 2],
}

/// What a leaf certificate says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Issuer as an RFC 4514 string, at most 255 bytes.
    pub issuer: Box<str>,
    /// Subject as an RFC 4514 string, at most 255 bytes.
    pub subject: Box<str>,
    /// DNS names of the subject alternative name, else the common name; at most [`CERT_NAMES_MAX`].
    pub names: Vec<Box<str>>,
    /// First 8 bytes of SHA-256 over the subject public key info.
    pub key_hash: u64,
    /// First 8 bytes of SHA-256 over the issuer's DER.
    pub issuer_hash: u64,
    /// When it begins to be valid, in seconds since 1970; 0 where it says an earlier time.
    pub valid_from_s: u64,
}

/// One DNS message: a response, or a query (`rcode` tells). A question that was answered gives both; two different
/// answers to it give two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameLookup {
    /// When the message was captured.
    pub ts: TimestampNs,
    /// Who asked.
    pub client: Address,
    /// Whom it asked.
    pub resolver: Address,
    /// Name asked for, lower case, no trailing dot (the root is `.`), bytes that are not printable as `\xNN`. Past
    /// [`NAME_BYTES_MAX`] its beginning is left out, not its domain.
    pub name: Box<str>,
    /// Query type (1 A, 28 AAAA …).
    pub qtype: u16,
    /// Response code; none for a query.
    pub rcode: Option<u8>,
    /// Message id.
    pub id: u16,
    /// Addresses answered, at most [`DNS_ANSWERS_MAX`].
    pub answers: Vec<Address>,
    /// Smallest TTL of those, seconds.
    pub ttl_s: u32,
    /// Bytes of the whole message, as far as captured (TCP: as its length prefix says).
    pub message_bytes: u16,
    /// Aliases (CNAME, DNAME) among the answers.
    pub aliases: u8,
    /// Bytes of answers whose content the zone's owner is free to choose: TXT, NULL, CNAME, MX, SRV and what is unknown.
    /// Addresses, signatures and service bindings are none.
    pub free_bytes: u16,
    /// Where answers lead that are no addresses (MX, SRV, NAPTR, SVCB, HTTPS): a hash of all of them, in whatever order; 0 where none does.
    pub leads: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_of_a_flow_are_few_bytes() {
        // With the two counts of a shared place they fill 152 of the 160 bytes that an allocator gives for them.
        assert_eq!(size_of::<AppFacts>(), 136);
    }

    #[test]
    fn a_fingerprint_has_its_length() {
        let text = "t13d1516h2_8daaf6152771_02713d6af862";
        assert_eq!(Ja4::of(text).as_deref(), Some(text));
        assert_eq!((Ja4::of(&text[1..]), Ja4::of("é".repeat(18))), (None, None));
    }
}
