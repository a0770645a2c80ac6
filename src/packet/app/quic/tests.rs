//! Initial keys against the RFCs' own vectors; hellos in frames of any order.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes_gcm::Aes128Gcm;
use aes_gcm::aead::AeadInOut;
use proptest::prelude::*;

use super::*;
use crate::packet::app::tests::samples::{client_hello, hex, server_hello_tls13};
use crate::packet::facts::AppFacts;

const CONNECTION_ID: &[u8] = &[0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];

#[test]
fn keys_equal_the_vectors_of_the_rfcs() {
    let table = [
        // RFC 9001 appendix A.1.
        (
            1,
            Sender::Client,
            "1f369613dd76d5467730efcbe3b1a22d",
            "fa044b2f42a3fd3b46fb255c",
            "9f50449e04a0e810283a1e9933adedd2",
        ),
        (
            1,
            Sender::Server,
            "cf3a5331653c364c88f0f379b6067e37",
            "0ac1493ca1905853b0bba03e",
            "c206b8d9b9f0f37644430b490eeaa314",
        ),
        // RFC 9369 appendix A.1.
        (
            0x6b33_43cf,
            Sender::Client,
            "8b1a0bc121284290a29e0971b5cd045d",
            "91f73e2351d8fa91660e909f",
            "45b95e15235d6f45a6b19cbcb0294ba9",
        ),
        (
            0x6b33_43cf,
            Sender::Server,
            "82db637861d55e1d011f19ea71d5d2a7",
            "dd13c276499c0249d3310652",
            "edf6d05c83121201b436e16877593c3a",
        ),
    ];
    for (version, sender, key, iv, header) in table {
        let keys = Keys::derive(keys::rules(version).expect("a known version"), CONNECTION_ID, sender);
        assert_eq!(keys.parts(), (&hex(key)[..], &hex(iv)[..], &hex(header)[..]), "{version:08x} {sender:?}");
    }
}

/// Protects an Initial packet as RFC 9001 section 5 says.
fn seal(version: u32, connection_id: &[u8], sender: Sender, number: u8, payload: &[u8]) -> Vec<u8> {
    let rules = keys::rules(version).expect("a known version");
    let keys = Keys::derive(rules, connection_id, sender);
    let (key, iv, header_key) = keys.parts();
    let destination = if sender == Sender::Client { connection_id } else { &[5; 4] };
    let mut body = payload.to_vec();
    body.resize(body.len().max(20), 0);
    let length = (0x4000 + body.len() as u16 + 17).to_be_bytes();
    let mut header = vec![0xc0 | rules.types[0] << 4];
    header.extend(version.to_be_bytes());
    header.extend([&[destination.len() as u8][..], destination, &[2, 6, 6, 0], &length, &[number]].concat());
    let mut nonce: [u8; 12] = iv.try_into().expect("twelve bytes");
    nonce[11] ^= number;
    let cipher = Aes128Gcm::new(&<[u8; 16]>::try_from(key).expect("sixteen bytes").into());
    let tag = cipher.encrypt_inout_detached(&nonce.into(), &header, (&mut body[..]).into()).expect("short enough");
    body.extend_from_slice(&tag);
    let mut mask = aes::Block::try_from(&body[3..19]).expect("a block");
    Aes128::new(&<[u8; 16]>::try_from(header_key).expect("sixteen bytes").into()).encrypt_block(&mut mask);
    let last = header.len() - 1;
    header[0] ^= mask[0] & 0x0f;
    header[last] ^= mask[1];
    [header, body].concat()
}

fn crypto(offset: usize, bytes: &[u8]) -> Vec<u8> {
    let long = |n: usize| (0x4000 + n as u16).to_be_bytes();
    [&[6][..], &long(offset), &long(bytes.len()), bytes].concat()
}

fn facts(datagrams: &[(Side, Vec<u8>)]) -> AppFacts {
    let mut connection = Connection::default();
    let mut notes = Notes::default();
    for (side, datagram) in datagrams {
        connection.datagram(*side, datagram, &mut notes);
    }
    connection.finish(&mut notes);
    notes.take()
}

#[test]
fn hellos_of_both_sides_in_both_versions() {
    let hello = client_hello("www.example.net");
    for version in [1, 0x6b33_43cf, 0xff00_001d] {
        let first =
            seal(version, CONNECTION_ID, Sender::Client, 0, &[crypto(120, &hello[120..]), vec![1, 0, 0]].concat());
        let second = seal(
            version,
            CONNECTION_ID,
            Sender::Client,
            1,
            &[vec![0, 2, 0, 0, 0, 0], crypto(0, &hello[..120])].concat(),
        );
        let answer = seal(version, CONNECTION_ID, Sender::Server, 0, &crypto(0, &server_hello_tls13()));
        assert!(can_begin(&first), "{version:08x}");
        let coalesced = [second.clone(), vec![0; 30]].concat();
        let found = facts(&[(Side::Orig, first), (Side::Orig, coalesced), (Side::Resp, answer)]);
        assert_eq!(found.server_name.as_deref(), Some("www.example.net"), "{version:08x}");
        assert_eq!(found.alpn.as_deref(), Some("h2"), "{version:08x}");
        assert!(found.ja4.as_deref().is_some_and(|ja4| ja4.starts_with("q13d0205h2")), "{:?}", found.ja4);
        assert_eq!((found.tls_version, found.tls_cipher), (Some(0x0304), Some(0x1301)), "{version:08x}");
    }
}

#[test]
fn the_clients_short_header_ends_it_all() {
    let mut connection = Connection::default();
    let mut notes = Notes::default();
    let hello = seal(1, CONNECTION_ID, Sender::Client, 0, &crypto(0, &client_hello("www.example.net")));
    connection.datagram(Side::Orig, &hello, &mut notes);
    assert!(!connection.is_done(Side::Orig) && !connection.is_done(Side::Resp), "a second hello may follow");
    connection.datagram(Side::Orig, &[0x40; 40], &mut notes);
    assert!(connection.is_done(Side::Orig) && connection.is_done(Side::Resp));
}

#[test]
fn a_retry_changes_the_keys_and_a_server_may_change_the_version() {
    let hello = client_hello("www.example.net");
    // The first Initial was lost on its way to us; the one after the Retry has another connection id.
    let half = seal(1, CONNECTION_ID, Sender::Client, 0, &crypto(0, &hello[..100]));
    let whole = seal(1, &[9; 12], Sender::Client, 1, &crypto(0, &hello));
    let answer = seal(0x6b33_43cf, &[9; 12], Sender::Server, 0, &crypto(0, &server_hello_tls13()));
    let found = facts(&[(Side::Orig, half), (Side::Orig, whole), (Side::Resp, answer)]);
    assert_eq!(found.server_name.as_deref(), Some("www.example.net"));
    assert_eq!(found.tls_cipher, Some(0x1301));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn frames_in_any_order_and_number_give_the_same_facts(
        cuts in proptest::collection::vec(10usize..90, 1..6),
        per_packet in 1usize..5,
        seed in any::<u64>(),
    ) {
        let hello = client_hello("www.example.net");
        let wanted = facts(&[(Side::Orig, seal(1, CONNECTION_ID, Sender::Client, 0, &crypto(0, &hello)))]);
        let mut frames = Vec::new();
        let (mut at, mut i) = (0, 0);
        while at < hello.len() {
            let end = (at + cuts[i % cuts.len()]).min(hello.len());
            frames.push(crypto(at, &hello[at..end]));
            (at, i) = (end, i + 1);
        }
        let len = frames.len();
        let mut state = seed | 1;
        for i in (1..len).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            frames.swap(i, (state >> 33) as usize % (i + 1));
        }
        let per_packet = per_packet.max(len.div_ceil(usize::from(INITIALS_MAX)));
        let datagrams: Vec<_> = frames
            .chunks(per_packet)
            .enumerate()
            .map(|(n, frames)| (Side::Orig, seal(1, CONNECTION_ID, Sender::Client, n as u8, &frames.concat())))
            .collect();
        prop_assert_eq!(facts(&datagrams), wanted);
    }

    #[test]
    fn a_datagram_cut_or_flipped_is_survived(cut in 0usize..600, at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut packet = seal(1, CONNECTION_ID, Sender::Client, 0, &crypto(0, &client_hello("www.example.net")));
        let place = at.index(packet.len());
        packet[place] ^= 1 << bit;
        // A flip anywhere in a sealed packet is found, but for the token and length that say where it ends.
        let flipped = facts(&[(Side::Orig, packet.clone())]);
        prop_assert!(flipped.server_name.is_none() || flipped.server_name.as_deref() == Some("www.example.net"));
        packet.truncate(cut);
        let _ = facts(&[(Side::Orig, packet)]);
    }
}
