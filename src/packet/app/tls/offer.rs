//! Offer: a client hello as a TLS 1.3 server sees it that has to choose.
//! In: a client hello. Out: a hash that is equal where one server chooses alike.
//! A server hello of TLS 1.3 (RFC 8446 section 4.1.3) says the suite, and has a key share and the version; all else is sealed.
//! So the suites of TLS 1.3 in the client's order decide how it looks, and the transport, as a site may answer QUIC with
//! another software. A group that the server does not like is asked for again, and leaves the hello itself as it is.
//! Bounds: the hello's own. Not here: JA4, which sorts the suites.

use std::hash::Hasher;
use std::num::NonZeroU64;

use siphasher::sip::SipHasher13;

use super::client_hello::ClientHello;
use super::{TLS13, Transport};

/// First byte of the suites of TLS 1.3 (RFC 8446 section B.4).
const SUITES_13: u16 = 0x13;

/// The hash; none where TLS 1.3 is not offered.
pub(super) fn offer(hello: &ClientHello<'_>, transport: Transport) -> Option<NonZeroU64> {
    if hello.version(transport) != TLS13 {
        return None;
    }
    let mut hasher = SipHasher13::new_with_key(b"trawl tls offer ");
    hasher.write_u8(u8::from(transport == Transport::Quic));
    hello.ciphers().filter(|suite| suite >> 8 == SUITES_13).for_each(|suite| hasher.write(&suite.to_be_bytes()));
    NonZeroU64::new(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::app::tests::samples;

    /// A hello with these suites and extensions.
    fn offered(suites: &[u16], extensions: &[u8], transport: Transport) -> Option<NonZeroU64> {
        let mut body = samples::client_hello_body(extensions);
        // Behind version, random and an empty session id: six bytes of suites and their length.
        let list: Vec<u8> = suites.iter().flat_map(|suite| suite.to_be_bytes()).collect();
        body.splice(35..43, [&(list.len() as u16).to_be_bytes()[..], &list].concat());
        let hello = ClientHello::parse(&body, transport).expect("a hello");
        offer(&hello, transport)
    }

    #[test]
    fn what_shows_in_the_answer_and_nothing_else() {
        let plain = samples::client_extensions("www.example.net");
        let one = offered(&[0x1301, 0x1302, 0xc02f], &plain, Transport::Tls);
        assert!(one.is_some());
        let other = samples::client_extensions("a.example");
        type Case<'a> = (&'a str, &'a [u16], &'a [u8], Transport, bool);
        let table: [Case<'_>; 6] = [
            ("another name", &[0x1301, 0x1302, 0xc02f], &other, Transport::Tls, true),
            ("GREASE and other old suites", &[0x3a3a, 0x1301, 0x1302, 0xc030], &plain, Transport::Tls, true),
            ("another order", &[0x1302, 0x1301, 0xc02f], &plain, Transport::Tls, false),
            ("another suite", &[0x1303, 0x1302, 0xc02f], &plain, Transport::Tls, false),
            ("over QUIC", &[0x1301, 0x1302, 0xc02f], &plain, Transport::Quic, false),
            ("TLS 1.2", &[0x1301, 0x1302, 0xc02f], &[], Transport::Tls, false),
        ];
        for (name, suites, extensions, transport, alike) in table {
            assert_eq!(offered(suites, extensions, transport) == one, alike, "{name}");
        }
        assert_eq!(offered(&[0x1301, 0xc02f], &[], Transport::Tls), None);
    }
}
