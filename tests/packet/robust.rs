//! Nothing that a frame can hold makes the parser panic, grow or lie about where bytes are.

use std::sync::Arc;

use proptest::prelude::*;
use trawlwatch::capture::{Frame, FrameBatch, LinkType};
use trawlwatch::packet::columns::{NO_TUNNEL, PacketColumns};
use trawlwatch::packet::{ChecksumCheck, Parser, ParserLimits, RejectCounts, shard_addresses};
use trawlwatch::units::TimestampNs;

use super::{all_files, captures_dir, parse};

/// Link types with a reader, and two without.
const LINKS: &[u16] = &[
    0, 1, 8, 9, 10, 12, 14, 50, 51, 100, 101, 104, 105, 107, 108, 113, 119, 127, 163, 166, 192, 204, 205, 206, 226,
    228, 229, 239, 242, 258, 276, 284, 285, 147, 65535,
];

/// IP protocols that lead somewhere.
const PROTOCOLS: &[u8] = &[0, 1, 4, 6, 17, 41, 43, 44, 47, 51, 58, 60, 97, 115, 132, 135, 137];

/// Ports of tunnels, and two others.
const PORTS: &[u16] = &[0, 4789, 8472, 4790, 6081, 2152, 37008, 1701, 3544, 5072, 6635, 9060, 4754, 53];

/// How tunnels and exports begin.
const HEADS: &[&[u8]] = &[
    &[8, 0, 0, 0],
    &[0x30, 0xff],
    &[0, 0, 0x65, 0x58],
    b"HEP3\0\x60",
    &[0, 5, 0, 1],
    &[0, 9, 0, 1],
    &[0, 10, 0, 100],
    &[0, 0, 0, 5, 0, 0, 0, 1],
    &[0, 7],
    &[1, 0, 0, 1],
    &[0x10, 0, 0x88, 0xbe],
    &[0x10, 0, 0x22, 0xeb],
    &[0x30, 0x01, 0x88, 0x0b],
];

/// Parses frames and reads every row's payload; every row must lie within its frame and its own lengths.
fn check(frames: &[(u16, u32, &[u8])]) -> (PacketColumns, RejectCounts) {
    let mut batch = FrameBatch::new(Arc::from(Vec::new()));
    for (i, (link, wire_bytes, bytes)) in frames.iter().enumerate() {
        let ts = TimestampNs(i as u64 * 1_000_000);
        let (link, number) = (LinkType(*link), i as u64 + 1);
        batch.push(&Frame { ts, link, wire_bytes: *wire_bytes, number, file: 0, bytes, lent: None });
    }
    let mut parser = Parser::new(ParserLimits { checksums: ChecksumCheck::On, ..ParserLimits::default() });
    let mut columns = PacketColumns::default();
    parser.parse_batch(&batch, &mut columns);
    parser.finish();
    // Without checksums most packets take the straight line: the same rows must come out.
    let mut straight = PacketColumns::default();
    Parser::new(ParserLimits::default()).parse_batch(&batch, &mut straight);
    assert_eq!(straight.len(), columns.len());
    for i in 0..columns.len() {
        let (a, b) = (straight.row(i), columns.row(i));
        assert_eq!((a.key, a.from, a.ip_bytes, a.payload_bytes), (b.key, b.from, b.ip_bytes, b.payload_bytes));
        assert_eq!((a.payload.offset, a.payload.captured), (b.payload.offset, b.payload.captured));
        assert_eq!((a.tcp_seq, a.tcp_ack, a.tcp_flags, a.tunnel), (b.tcp_seq, b.tcp_ack, b.tcp_flags, b.tunnel));
    }
    let mut last_frame = u32::MAX;
    for i in 0..columns.len() {
        let row = columns.row(i);
        assert_eq!(columns.payload_of(i, &batch).len(), row.payload.captured as usize);
        assert!(row.payload.captured <= row.payload_bytes, "{row:?}");
        assert!(row.payload_bytes <= row.ip_bytes, "{row:?}");
        assert!(row.tunnel == NO_TUNNEL || usize::from(row.tunnel) < columns.tunnels.len());
        assert_eq!(row.tunnel == NO_TUNNEL, row.key.context == 0, "{row:?}");
        assert!((row.key.addresses[0], row.key.ports[0]) <= (row.key.addresses[1], row.key.ports[1]));
        if row.frame != last_frame {
            let frame = &batch.frames()[row.frame as usize];
            let (from, to) = (usize::from(row.from), 1 - usize::from(row.from));
            let pair = (row.key.addresses[from], row.key.addresses[to]);
            assert_eq!(shard_addresses(frame.link, batch.bytes(frame)), Some(pair), "{row:?}");
            last_frame = row.frame;
        }
    }
    (columns, parser.rejects().clone())
}

proptest! {
    #[test]
    fn byte_soup_never_panics(
        link in prop::sample::select(LINKS), bytes in prop::collection::vec(any::<u8>(), 0..400), more in 0u32..2000,
    ) {
        let wire = bytes.len() as u32 + more;
        check(&[(link, wire, &bytes)]);
    }

    /// Soup that gets past the first headers: an IPv4 or IPv6 header with a given protocol before it.
    #[test]
    fn soup_behind_an_ip_header_never_panics(
        protocol in prop::sample::select(PROTOCOLS),
        ports in prop::sample::select(PORTS),
        head in prop::sample::select(HEADS),
        soup in prop::collection::vec(any::<u8>(), 0..300),
        six in any::<bool>(),
    ) {
        let mut payload = Vec::new();
        if protocol == 17 || protocol == 6 {
            payload.extend(ports.to_be_bytes());
            payload.extend(ports.to_be_bytes());
            payload.extend(if protocol == 17 { &[0u8, 0, 0, 0][..] } else { &[0, 0, 0, 1, 0, 0, 0, 1, 0x50, 16, 0, 9, 0, 0, 0, 0] });
        }
        payload.extend(head);
        payload.extend(&soup);
        let mut bytes = Vec::new();
        if six {
            bytes.extend([0x60, 0, 0, 0]);
            bytes.extend((payload.len() as u16).to_be_bytes());
            bytes.extend([protocol, 64]);
            bytes.extend([1; 32]);
        } else {
            bytes.extend([0x45, 0]);
            bytes.extend((payload.len() as u16 + 20).to_be_bytes());
            bytes.extend([0, 1, 0, 0, 64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
        }
        bytes.extend(payload);
        check(&[(101, bytes.len() as u32, &bytes)]);
    }

    /// Any set of fragments of any shape: bounded, never a panic, and all packets accounted for.
    #[test]
    fn fragment_soup_is_accounted_for(pieces in prop::collection::vec((0u16..4, 0u16..40, any::<bool>(), 0usize..80), 1..60)) {
        let frames: Vec<Vec<u8>> = pieces.iter().map(|(id, offset, more, len)| {
            let mut bytes = vec![0x45, 0];
            bytes.extend((*len as u16 + 20).to_be_bytes());
            bytes.extend(id.to_be_bytes());
            bytes.extend((offset | if *more { 0x2000 } else { 0 }).to_be_bytes());
            bytes.extend([64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
            bytes.extend(std::iter::repeat_n(7, *len));
            bytes
        }).collect();
        let refs: Vec<(u16, u32, &[u8])> = frames.iter().map(|f| (101, f.len() as u32, f.as_slice())).collect();
        check(&refs);
    }
}

/// Every frame of every capture, cut at every length (the short ones) or at forty of them.
#[test]
fn truncations_of_real_frames_never_panic() {
    let Some(dir) = captures_dir("truncations") else { return };
    each_sample(&dir, 4, |link, wire, bytes| {
        let step = (bytes.len() / 40).max(1);
        let cuts: Vec<(u16, u32, &[u8])> =
            (0..bytes.len()).step_by(step).map(|len| (link, wire, &bytes[..len])).collect();
        check(&cuts);
    });
}

/// Real frames with every bit of their first 120 bytes turned, one at a time.
#[test]
fn bit_flips_of_real_frames_never_panic() {
    let Some(dir) = captures_dir("bit flips") else { return };
    each_sample(&dir, 1, |link, wire, bytes| {
        let bits = bytes.len().min(120) * 8;
        let flipped: Vec<Vec<u8>> = (0..bits)
            .step_by(3)
            .map(|bit| {
                let mut copy = bytes.to_vec();
                copy[bit / 8] ^= 1 << (bit % 8);
                copy
            })
            .collect();
        let frames: Vec<(u16, u32, &[u8])> = flipped.iter().map(|f| (link, wire, f.as_slice())).collect();
        check(&frames);
    });
}

/// The first frames of each capture.
fn each_sample(dir: &std::path::Path, per_file: usize, mut with: impl FnMut(u16, u32, &[u8])) {
    for file in all_files(dir) {
        let mut left = per_file;
        parse(&file, ParserLimits::default(), |batch, _| {
            for frame in batch.frames().iter().take(std::mem::take(&mut left)) {
                with(frame.link.0, frame.wire_bytes, batch.bytes(frame));
            }
        });
    }
}
