//! Hellos against `tls-parser`, and DTLS.

use proptest::prelude::*;

use super::*;
use crate::packet::app::tests::samples;
use crate::units::Side;

#[test]
fn grease_is_sixteen_numbers() {
    let found: Vec<u16> = (0..=u16::MAX).filter(|n| is_grease(*n)).collect();
    assert_eq!(found.len(), 16);
    assert!(found.contains(&0x0a0a) && found.contains(&0xfafa) && !found.contains(&0x0a1a));
}

#[test]
fn a_hello_cut_anywhere_never_lies() {
    let whole = samples::client_hello("www.example.net");
    for end in 0..whole.len() {
        let mut notes = Notes::default();
        let mut handshake = Handshake::new(Transport::Tls);
        handshake.push(&whole[..end], &mut notes);
        handshake.finish(&mut notes);
        assert!(notes.facts().ja4.is_none(), "a cut hello has no fingerprint: {end}");
        let name = notes.facts().server_name.as_deref();
        assert!(matches!(name, None | Some("www.example.net")), "{name:?} at {end}");
    }
}

/// A DTLS record of epoch zero.
fn dtls_record(body: &[u8]) -> Vec<u8> {
    [&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1][..], &(body.len() as u16).to_be_bytes(), body].concat()
}

fn fragment(kind: u8, sequence: u16, body: &[u8], from: usize, to: usize) -> Vec<u8> {
    let u24 = |n: usize| (n as u32).to_be_bytes()[1..].to_vec();
    [&[kind][..], &u24(body.len()), &sequence.to_be_bytes(), &u24(from), &u24(to - from), &body[from..to]].concat()
}

#[test]
fn dtls_fragments_in_any_order() {
    let hello = samples::client_hello_body(&samples::client_extensions("www.example.net"));
    // DTLS has a cookie behind the session id.
    let hello = [&[0xfe, 0xfd][..], &hello[2..35], &[0], &hello[35..]].concat();
    let flight = samples::server_flight_tls12();
    let (answer, rest) = flight.split_at(4 + u32::from_be_bytes([0, flight[1], flight[2], flight[3]]) as usize);
    let certificate = &rest[4..4 + u32::from_be_bytes([0, rest[1], rest[2], rest[3]]) as usize];
    let middle = hello.len() / 2;
    let first = dtls_record(&fragment(1, 1, &hello, middle, hello.len()));
    assert!(dtls::can_begin(&first));
    let mut association = dtls::Association::default();
    let mut notes = Notes::default();
    association.datagram(Side::Orig, &first, &mut notes);
    association.datagram(Side::Orig, &dtls_record(&fragment(1, 1, &hello, 0, middle)), &mut notes);
    association.datagram(Side::Resp, &dtls_record(&fragment(2, 1, &answer[4..], 0, answer.len() - 4)), &mut notes);
    for (from, to) in [(400, certificate.len()), (0, 200), (200, 400)] {
        association.datagram(Side::Resp, &dtls_record(&fragment(11, 2, certificate, from, to)), &mut notes);
    }
    let facts = notes.facts();
    assert_eq!(facts.server_name.as_deref(), Some("www.example.net"));
    assert!(facts.ja4.as_deref().is_some_and(|ja4| ja4.starts_with('d')), "{:?}", facts.ja4);
    assert!(facts.certificate.is_some());
    assert!(association.is_done(Side::Orig) && association.is_done(Side::Resp));
}

fn extension_list() -> impl Strategy<Value = Vec<(u16, Vec<u8>)>> {
    // Types that `tls-parser` takes as they come: it refuses what it knows better.
    let number = (0x4000u16..0xf000).prop_filter("known to it", |n| *n != 13172 && *n != 0xffce);
    proptest::collection::vec((number, proptest::collection::vec(any::<u8>(), 0..20)), 0..12)
}

proptest! {
    /// Where `tls-parser` reads a hello, this reads the same lists.
    #[test]
    fn agrees_with_tls_parser(extensions in extension_list(), cut in proptest::option::of(0usize..300)) {
        let list: Vec<u8> = extensions.iter().flat_map(|(n, c)| samples::extension(*n, c)).collect();
        let mut body = samples::client_hello_body(&list);
        if let Some(cut) = cut {
            body.truncate(cut);
        }
        if let Ok((rest, theirs)) = tls_parser::parse_tls_handshake_client_hello(&body) {
            let ours = ClientHello::parse(&body, Transport::Tls).expect("what they read, we read");
            prop_assert_eq!(ours.legacy_version, theirs.version.0);
            prop_assert!(ours.ciphers().eq(theirs.ciphers.iter().map(|c| c.0)));
            if rest.is_empty() && theirs.ext.is_some() {
                let (_, theirs) = tls_parser::parse_tls_extensions(theirs.ext.unwrap_or_default())
                    .expect("a list without an end mark cannot fail");
                let theirs: Vec<u16> = theirs.iter().map(|e| match e {
                    tls_parser::TlsExtension::Unknown(number, _) => number.0,
                    tls_parser::TlsExtension::Grease(number, _) => *number,
                    other => panic!("not unknown: {other:?}"),
                }).collect();
                prop_assert_eq!(ours.extension_types().collect::<Vec<_>>(), theirs);
                prop_assert_eq!(ours.extent, Extent::Whole);
            }
        }
    }
}
