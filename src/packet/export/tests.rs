//! Datagrams by hand: what is accepted, and what one byte off is not.

use super::*;
use crate::packet::columns::PacketColumns;
use crate::packet::parser::tests::parse;
use crate::packet::{Parser, ParserLimits, Reject};

fn datagram(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let builder = etherparse::PacketBuilder::ipv4([192, 0, 2, 1], [198, 51, 100, 1], 60).udp(2055, 9995);
    builder.write(&mut bytes, payload).expect("memory");
    bytes
}

fn exports(payloads: &[&[u8]]) -> (PacketColumns, Parser) {
    let frames: Vec<Vec<u8>> = payloads.iter().map(|p| datagram(p)).collect();
    let refs: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    let (_, columns, parser) = parse(101, &refs);
    (columns, parser)
}

const PAIR: [u8; 8] = [10, 0, 0, 9, 203, 0, 113, 7];

fn pair() -> (Address, Address) {
    (Address::v4([10, 0, 0, 9]), Address::v4([203, 0, 113, 7]))
}

fn v5(count: u16) -> Vec<u8> {
    let mut bytes = [&[0, 5][..], &count.to_be_bytes(), &[0, 0, 0, 1, 0x60, 0, 0, 0], &[0; 12]].concat();
    for _ in 0..count {
        bytes.extend([&PAIR[..], &[0; 40]].concat());
    }
    bytes
}

fn sets(version: u16, sets: &[&[u8]]) -> Vec<u8> {
    let body = sets.concat();
    let head = match version {
        9 => [&[0, 9, 0, 1, 0, 0, 0, 1, 0x60, 0, 0, 0][..], &[0, 0, 0, 1, 0, 0, 0, 7]].concat(),
        _ => [&[0, 10][..], &(body.len() as u16 + 16).to_be_bytes(), &[0x60, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 7]].concat(),
    };
    [head, body].concat()
}

const V9_TEMPLATE: &[u8] = &[0, 0, 0, 20, 1, 0, 0, 3, 0, 8, 0, 4, 0, 12, 0, 4, 0, 1, 0, 4];
const V9_DATA: &[u8] = &[1, 0, 0, 16, 10, 0, 0, 9, 203, 0, 113, 7, 0, 0, 1, 0];
/// A variable-length field of an enterprise stands before the addresses.
const IPFIX_TEMPLATE: &[u8] = &[0, 2, 0, 24, 1, 1, 0, 3, 0x80, 8, 0xff, 0xff, 0, 0, 0, 99, 0, 8, 0, 4, 0, 12, 0, 4];
const IPFIX_DATA: &[u8] = &[1, 1, 0, 16, 3, b'a', b'b', b'c', 10, 0, 0, 9, 203, 0, 113, 7];

fn sflow() -> Vec<u8> {
    let header = [&[2; 12][..], &[8, 0, 0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0], &PAIR, &[0; 20]].concat();
    let record = [
        &[0, 0, 0, 1][..],
        &(header.len() as u32 + 18).to_be_bytes(),
        &[0, 0, 0, 1, 0, 0, 5, 0, 0, 0, 0, 4],
        &(header.len() as u32).to_be_bytes(),
        &header,
        &[0; 2],
    ]
    .concat();
    let sample = [&[0; 28][..], &[0, 0, 0, 1], &record].concat();
    let head = [&[0, 0, 0, 5, 0, 0, 0, 1, 192, 0, 2, 1][..], &[0; 12], &[0, 0, 0, 1]].concat();
    [head, [&[0, 0, 0, 1][..], &(sample.len() as u32).to_be_bytes(), &sample].concat()].concat()
}

#[test]
fn every_kind_gives_its_end_points() {
    let v9 = sets(9, &[V9_TEMPLATE, V9_DATA]);
    let ipfix = sets(10, &[IPFIX_TEMPLATE, IPFIX_DATA]);
    let table = [
        (ExportKind::NetflowV5, v5(3), 3),
        (ExportKind::NetflowV9, v9, 1),
        (ExportKind::Ipfix, ipfix, 1),
        (ExportKind::Sflow, sflow(), 1),
    ];
    for (kind, payload, records) in table {
        let (columns, _) = exports(&[&payload]);
        assert_eq!(columns.exports.len(), 1, "{kind:?}");
        let export = &columns.exports[0];
        assert_eq!((export.kind, export.records, export.port), (kind, records, 9995));
        assert_eq!(export.bytes as usize, payload.len(), "{kind:?}");
        assert_eq!(export.endpoints, vec![pair(); records as usize], "{kind:?}");
        // One byte more, or one less, and it is no export any more.
        let longer = [&payload[..], &[1]].concat();
        for other in [&longer[..], &payload[..payload.len() - 1]] {
            assert_eq!(exports(&[other]).0.exports.len(), 0, "{kind:?}");
        }
    }
}

#[test]
fn messages_follow_each_other_in_a_segment() {
    let (template, data) = (sets(10, &[IPFIX_TEMPLATE]), sets(10, &[IPFIX_DATA]));
    let long: Vec<u8> = sets(10, &[&IPFIX_DATA.repeat(20)]);
    // What is read of each: records and bytes.
    let (first, each) = (template.len() as u32, data.len() as u32);
    let most = MESSAGES_MAX as u32;
    type Case = (&'static str, Vec<u8>, Option<(u32, u32)>);
    let table: [Case; 6] = [
        ("one after the other", [&template[..], &data, &data].concat(), Some((2, first + 2 * each))),
        ("the last goes on in the next", [&template[..], &data, &long[..100]].concat(), Some((1, first + each))),
        ("what goes on from the last", [&long[100..], &data].concat(), None),
        ("no message", [&[0, 10, 0, 20], &[7; 16][..]].concat(), None),
        ("a version that has no lengths", sets(9, &[V9_TEMPLATE, V9_DATA]), None),
        (
            "more than are read",
            [template.clone(), data.repeat(MESSAGES_MAX)].concat(),
            Some((most - 1, first + (most - 1) * each)),
        ),
    ];
    for (name, payload, wanted) in table {
        let mut bytes = Vec::new();
        let builder = etherparse::PacketBuilder::ipv4([192, 0, 2, 1], [198, 51, 100, 1], 60).tcp(2055, 9995, 1, 1_000);
        builder.write(&mut bytes, &payload).expect("memory");
        let (batch, checked, _) = parse(101, &[&bytes]);
        // And by the short way of most packets.
        let mut plain = PacketColumns::default();
        Parser::new(ParserLimits::default()).parse_batch(&batch, &mut plain);
        for columns in [checked, plain] {
            let read: Vec<(u32, u32)> = columns.exports.iter().map(|one| (one.records, one.bytes)).collect();
            assert_eq!(read, Vec::from_iter(wanted), "{name}");
            let kept = columns.exports.iter().map(|one| one.endpoints.len()).max().unwrap_or(0);
            assert_eq!(kept, wanted.map_or(0, |(records, _)| ENDPOINTS_MAX.min(records as usize)), "{name}");
        }
    }
}

#[test]
fn a_template_serves_later_datagrams_of_its_exporter() {
    let (template, data) = (sets(9, &[V9_TEMPLATE]), sets(9, &[V9_DATA]));
    let (columns, _) = exports(&[&data, &template, &data]);
    let found: Vec<_> = columns.exports.iter().map(|e| (e.records, e.endpoints.len())).collect();
    assert_eq!(found, [(0, 0), (0, 0), (1, 1)]);
}

#[test]
fn templates_and_end_points_are_bounded() {
    let mut templates = Vec::new();
    for id in 256..9000u16 {
        templates.push(sets(9, &[&[&[0, 0, 0, 12][..], &id.to_be_bytes(), &[0, 1, 0, 8, 0, 4]].concat()]));
    }
    let refs: Vec<&[u8]> = templates.iter().map(Vec::as_slice).collect();
    let (_, parser) = exports(&refs);
    assert_eq!(parser.rejects().of(Reject::TemplatesFull), 9000 - 256 - 4096);
    let data = [&[1, 0][..], &(4u16 + 12 * 100).to_be_bytes(), &[&PAIR[..], &[0; 4]].concat().repeat(100)].concat();
    let (columns, _) = exports(&[&sets(9, &[V9_TEMPLATE, &data])]);
    assert_eq!((columns.exports[0].records, columns.exports[0].endpoints.len()), (100, ENDPOINTS_MAX));
}

#[test]
fn what_only_begins_like_an_export_is_none() {
    let dns_like = [&[0, 5, 0, 1][..], &[0; 40]].concat();
    let no_set = sets(10, &[]);
    let bad_set = sets(9, &[&[0, 77, 0, 4]]);
    let old_clock = [&v5(1)[..8], &[0, 0, 0, 1], &v5(1)[12..]].concat();
    for payload in [dns_like, no_set, bad_set, old_clock, vec![0, 9], vec![0, 0, 0, 5, 0, 0, 0, 9]] {
        assert!(exports(&[&payload]).0.exports.is_empty(), "{payload:?}");
    }
}
