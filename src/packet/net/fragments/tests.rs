//! Pieces of datagrams in any order, against the datagram that was cut up.

use proptest::prelude::*;

use super::*;
use crate::packet::columns::PacketColumns;
use crate::packet::parser::tests::{batch_of, parse};
use crate::packet::{Parser, ParserLimits};

/// A UDP datagram of `len` payload bytes whose content tells where it comes from.
fn datagram(len: usize) -> Vec<u8> {
    let mut bytes = vec![0x03, 0xe8, 0x07, 0xd0];
    bytes.extend((len as u16 + 8).to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend((0..len).map(|i| (i * 7 % 251) as u8));
    bytes
}

/// An IPv4 packet with a piece of a datagram from byte `from` on.
fn v4(id: u16, from: usize, more: bool, piece: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x45, 0];
    bytes.extend((piece.len() as u16 + 20).to_be_bytes());
    bytes.extend(id.to_be_bytes());
    bytes.extend(((from as u16 / 8) | if more { 0x2000 } else { 0 }).to_be_bytes());
    bytes.extend([64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    bytes.extend(piece);
    bytes
}

/// The same over IPv6.
fn v6(id: u32, from: usize, more: bool, piece: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend((piece.len() as u16 + 8).to_be_bytes());
    bytes.extend([44, 64]);
    bytes.extend([1; 32]);
    bytes.extend([17, 0]);
    bytes.extend((from as u16 | u16::from(more)).to_be_bytes());
    bytes.extend(id.to_be_bytes());
    bytes.extend(piece);
    bytes
}

type Cutter = fn(u32, usize, bool, &[u8]) -> Vec<u8>;

fn cut(whole: &[u8], step: usize, id: u32, with: Cutter) -> Vec<Vec<u8>> {
    let last = whole.len().div_ceil(step) - 1;
    whole.chunks(step).enumerate().map(|(i, piece)| with(id, i * step, i < last, piece)).collect()
}

fn parse_all(frames: &[Vec<u8>]) -> (crate::capture::FrameBatch, PacketColumns, Parser) {
    let refs: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    parse(101, &refs)
}

const V4: Cutter = |id, from, more, piece| v4(id as u16, from, more, piece);
const V6: Cutter = v6;

proptest! {
    #[test]
    fn pieces_in_any_order_give_the_datagram(
        len in 1usize..3000, step in 1usize..80, six in any::<bool>(), seed in any::<u64>(), twice in any::<bool>(),
    ) {
        let whole = datagram(len);
        let mut frames = cut(&whole, step * 8, 9, if six { V6 } else { V4 });
        prop_assume!(frames.len() > 1 && frames.len() <= 60);
        if twice {
            let again = frames[0].clone();
            frames.insert(1, again);
        }
        // Any fixed shuffle will do.
        frames.sort_by_key(|f| f.iter().fold(seed, |h, b| h.rotate_left(5) ^ u64::from(*b)).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (batch, columns, parser) = parse_all(&frames);
        prop_assert_eq!(columns.len(), 1, "{:?}", parser.rejects());
        let row = columns.row(0);
        prop_assert_eq!(row.key.ports, [1000, 2000]);
        prop_assert_eq!(row.payload_bytes as usize, len);
        prop_assert_eq!(row.ip_bytes as usize, whole.len() + if six { 40 } else { 20 });
        prop_assert!(row.payload.reassembled);
        prop_assert_eq!(columns.payload_of(0, &batch), &whole[8..]);
        prop_assert_eq!(parser.rejects().of(Reject::FragmentOverlap), 0);
    }
}

#[test]
fn the_first_bytes_win_and_a_conflict_is_counted() {
    let whole = datagram(40);
    let mut frames = cut(&whole, 16, 1, V4);
    let mut other = frames[1].clone();
    *other.last_mut().expect("not empty") ^= 0xff;
    frames.insert(2, other);
    let (batch, columns, parser) = parse_all(&frames);
    assert_eq!(columns.payload_of(0, &batch), &whole[8..]);
    assert_eq!(parser.rejects().of(Reject::FragmentOverlap), 1);
}

#[test]
fn what_stays_incomplete_is_counted_with_its_bytes() {
    let whole = datagram(100);
    let mut frames = cut(&whole, 16, 1, V4);
    frames.pop();
    let refs: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    let (_, columns, mut parser) = parse(101, &refs);
    assert!(columns.is_empty());
    assert_eq!(parser.rejects().of(Reject::FragmentLost), 0);
    parser.finish();
    assert_eq!(parser.rejects().of(Reject::FragmentLost), 1);
    assert_eq!(parser.rejects().fragments_lost(), (6, 6 * 36));
}

#[test]
fn age_and_number_and_bytes_are_bounded() {
    let first = |id: u16| v4(id, 0, true, &datagram(992));
    // One second apart each: an age of 10 s leaves 11 alive.
    let frames: Vec<Vec<u8>> = (0..100).map(first).collect();
    let refs: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    let limits = |datagrams_max, bytes_max, secs| ParserLimits {
        fragments: FragmentLimits { datagrams_max, bytes_max, age_max: DurationNs::from_secs(secs) },
        ..ParserLimits::default()
    };
    #[rustfmt::skip]
    let table = [
        ("age", limits(1000, 1 << 20, 10), 89, 0),
        ("number", limits(7, 1 << 20, 1000), 0, 93),
        ("bytes", limits(1000, 5000, 1000), 0, 95),
    ];
    for (name, limits, lost, evicted) in table {
        let mut parser = Parser::new(limits);
        parser.parse_batch(&batch_of(101, &refs), &mut PacketColumns::default());
        let rejects = parser.rejects();
        assert_eq!((rejects.of(Reject::FragmentLost), rejects.of(Reject::FragmentEvicted)), (lost, evicted), "{name}");
        parser.finish();
        assert_eq!(parser.rejects().fragments_lost().0, 100, "{name}");
    }
}

#[test]
fn a_fragment_cut_by_the_snap_length_leaves_the_part_before_it() {
    let whole = datagram(100);
    let frames = cut(&whole, 64, 1, V4);
    let mut batch = crate::capture::FrameBatch::new(std::sync::Arc::from(Vec::new()));
    for (i, bytes) in frames.iter().enumerate() {
        batch.push(&crate::capture::Frame {
            ts: TimestampNs(1),
            link: crate::capture::LinkType(101),
            wire_bytes: bytes.len() as u32,
            number: i as u64 + 1,
            file: 0,
            bytes: if i == 0 { &bytes[..60] } else { bytes },
            lent: None,
        });
    }
    let mut parser = Parser::new(ParserLimits::default());
    let mut columns = PacketColumns::default();
    parser.parse_batch(&batch, &mut columns);
    let row = columns.row(0);
    assert_eq!((row.payload_bytes, row.payload.captured), (100, 32));
    assert_eq!(columns.payload_of(0, &batch), &whole[8..40]);
    assert_eq!(parser.rejects().of(Reject::FragmentCut), 1);
}

#[test]
fn fragments_inside_a_fragmented_tunnel_are_put_together_too() {
    // IP in IP; the inner datagram's pieces are each cut up again outside.
    let whole = datagram(300);
    let inner = cut(&whole, 160, 5, V4);
    let mut frames = Vec::new();
    for (id, packet) in inner.iter().enumerate() {
        for mut outer in cut(packet, 64, 100 + id as u32, V4) {
            outer[9] = 4;
            outer[12..16].copy_from_slice(&[198, 51, 100, 1]);
            frames.push(outer);
        }
    }
    let (batch, columns, parser) = parse_all(&frames);
    // Two outer datagrams, and one inner.
    assert_eq!(columns.len(), 3, "{:?}", parser.rejects());
    assert_eq!(columns.key[2].ports, [1000, 2000]);
    assert_eq!(columns.payload_of(2, &batch), &whole[8..]);
    assert_eq!(columns.payload_of(1, &batch), inner[1]);
}

#[test]
fn done_datagrams_do_not_pile_up_behind_an_old_one() {
    let mut fragments = Fragments::new(FragmentLimits::default());
    let mut rejects = RejectCounts::default();
    let add = |fragments: &mut Fragments, bytes: &[u8], rejects: &mut RejectCounts| {
        let ip = super::super::read(Layer::new(bytes, 0, bytes.len() as u32)).expect("sound");
        fragments.add(0, &ip, ip.fragment.expect("a fragment"), TimestampNs(1), rejects)
    };
    add(&mut fragments, &v4(65_535, 0, true, &[0; 8]), &mut rejects);
    for id in 0..20_000 {
        assert!(add(&mut fragments, &v4(id, 0, true, &[0; 8]), &mut rejects).is_none());
        assert!(add(&mut fragments, &v4(id, 8, false, &[0; 8]), &mut rejects).is_some());
    }
    assert!(fragments.ages.len() <= 2 * fragments.limits.datagrams_max + 1, "{}", fragments.ages.len());
    assert!(fragments.datagrams.len() <= 2);
    assert_eq!(fragments.bytes_held, 8);
}
