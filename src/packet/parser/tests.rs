//! Rows of packets that `etherparse` builds: what went in must come out.

use std::sync::Arc;

use etherparse::PacketBuilder;

use super::*;
use crate::capture::frame::{Frame, LinkType};
use crate::packet::shard_addresses;
use crate::units::{Address, TimestampNs};

pub(crate) fn batch_of(link: u16, frames: &[&[u8]]) -> FrameBatch {
    let mut batch = FrameBatch::new(Arc::from(Vec::new()));
    for (i, bytes) in frames.iter().enumerate() {
        batch.push(&Frame {
            ts: TimestampNs(1_000_000_000 * (i as u64 + 1)),
            link: LinkType(link),
            wire_bytes: bytes.len() as u32,
            number: i as u64 + 1,
            file: 0,
            bytes,
            lent: None,
        });
    }
    batch
}

pub(crate) fn parse(link: u16, frames: &[&[u8]]) -> (FrameBatch, PacketColumns, Parser) {
    let batch = batch_of(link, frames);
    let mut parser = Parser::new(ParserLimits { checksums: ChecksumCheck::On, ..ParserLimits::default() });
    let mut columns = PacketColumns::default();
    parser.parse_batch(&batch, &mut columns);
    (batch, columns, parser)
}

#[test]
fn a_tcp_packet_becomes_a_row() {
    let mut bytes = Vec::new();
    PacketBuilder::ethernet2([1; 6], [2; 6])
        .ipv4([192, 0, 2, 9], [192, 0, 2, 1], 61)
        .tcp(40000, 443, 7, 1024)
        .ack(99)
        .write(&mut bytes, b"hello")
        .expect("writes to memory");
    bytes.extend([0; 3]); // Ethernet padding
    let (batch, columns, parser) = parse(1, &[&bytes]);
    assert_eq!(columns.len(), 1);
    let row = columns.row(0);
    assert_eq!(row.key.addresses, [Address::v4([192, 0, 2, 1]), Address::v4([192, 0, 2, 9])]);
    assert_eq!((row.key.ports, row.from, row.key.protocol, row.key.version), ([443, 40000], 1, 6, 4));
    assert_eq!((row.ip_bytes, row.payload_bytes, row.ttl), (45, 5, 61));
    assert_eq!((row.tcp_seq, row.tcp_ack, row.tcp_window, row.tcp_flags), (7, 99, 1024, 16));
    assert!(!row.checksum_wrong);
    assert_eq!(columns.payload_of(0, &batch), b"hello");
    assert_eq!(*parser.rejects(), RejectCounts::default());
    let pair = shard_addresses(LinkType(1), &bytes);
    assert_eq!(pair, Some((Address::v4([192, 0, 2, 9]), Address::v4([192, 0, 2, 1]))));
}

#[test]
fn a_udp_packet_over_ipv6_with_a_wrong_checksum_is_marked() {
    let mut bytes = Vec::new();
    PacketBuilder::ethernet2([1; 6], [2; 6])
        .ipv6([1; 16], [2; 16], 64)
        .udp(5353, 53)
        .write(&mut bytes, &[9; 20])
        .expect("writes to memory");
    let right = parse(1, &[&bytes]).1.row(0);
    assert_eq!((right.ip_bytes, right.payload_bytes, right.key.version, right.checksum_wrong), (68, 20, 6, false));
    *bytes.last_mut().expect("not empty") ^= 1;
    assert!(parse(1, &[&bytes]).1.row(0).checksum_wrong);
}
