//! Promises of the capture room: every variant of the savefile formats, every kind of damage, order, errors.
//! In: small files written by hand here. Not here: real captures (`capture_judge`).
#![allow(clippy::print_stdout, reason = "a test's output is for people")]

use std::io::Write;
use std::path::Path;

use proptest::prelude::*;
use trawlwatch::capture::{Captures, FaultKind, FileReport, Filter, Frame, InputPath, LinkType, OpenError};
use trawlwatch::units::{DurationNs, TimestampNs};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}
use Order::{Big, Little};

impl Order {
    fn u16(self, n: u16) -> [u8; 2] {
        if self == Big { n.to_be_bytes() } else { n.to_le_bytes() }
    }

    fn u32(self, n: u32) -> [u8; 4] {
        if self == Big { n.to_be_bytes() } else { n.to_le_bytes() }
    }
}

const MICRO: u32 = 0xa1b2_c3d4;
const NANO: u32 = 0xa1b2_3c4d;
const MODIFIED: u32 = 0xa1b2_cd34;

fn header(order: Order, magic: u32, version: (u16, u16), link: u32) -> Vec<u8> {
    let mut bytes = order.u32(magic).to_vec();
    bytes.extend(order.u16(version.0));
    bytes.extend(order.u16(version.1));
    for field in [0, 0, 65_535, link] {
        bytes.extend(order.u32(field));
    }
    bytes
}

fn record(order: Order, fields: [u32; 4], frame: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = fields.into_iter().flat_map(|field| order.u32(field)).collect();
    bytes.extend(frame);
    bytes
}

/// An ordinary little-endian microsecond record.
fn plain(seconds: u32, micros: u32, frame: &[u8]) -> Vec<u8> {
    record(Little, [seconds, micros, frame.len() as u32, frame.len() as u32], frame)
}

/// Seconds that small numbers in the tables are counted from: after damage, readers tell records by their times.
const T: u32 = 1_700_000_000;

fn ethernet() -> Vec<u8> {
    header(Little, MICRO, (2, 4), 1)
}

fn block(order: Order, kind: u32, body: &[&[u8]]) -> Vec<u8> {
    let mut body = body.concat();
    body.resize(body.len().next_multiple_of(4), 0);
    let total = order.u32(body.len() as u32 + 12);
    [&order.u32(kind)[..], &total, &body, &total].concat()
}

fn section(order: Order, version: u16) -> Vec<u8> {
    block(order, 0x0a0d_0d0a, &[&order.u32(0x1a2b_3c4d), &order.u16(version), &order.u16(0), &[0xff; 8]])
}

fn option(order: Order, code: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = [order.u16(code), order.u16(value.len() as u16)].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn interface(order: Order, link: u16, snap: u32, options: &[u8]) -> Vec<u8> {
    block(order, 1, &[&order.u16(link), &[0; 2], &order.u32(snap), options])
}

fn enhanced(order: Order, interface: u32, ticks: u64, frame: &[u8], wire: u32) -> Vec<u8> {
    let mut padded = frame.to_vec();
    padded.resize(frame.len().next_multiple_of(4), 0);
    block(
        order,
        6,
        &[
            &order.u32(interface),
            &order.u32((ticks >> 32) as u32),
            &order.u32(ticks as u32),
            &order.u32(frame.len() as u32),
            &order.u32(wire),
            &padded,
        ],
    )
}

/// A frame without its borrow.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    ts: u64,
    link: u16,
    wire: u32,
    bytes: Vec<u8>,
}

fn seen(frame: &Frame<'_>) -> Seen {
    Seen { ts: frame.ts.0, link: frame.link.0, wire: frame.wire_bytes, bytes: frame.bytes.to_vec() }
}

fn frame(ts: u64, link: u16, wire: u32, bytes: &[u8]) -> Seen {
    Seen { ts, link, wire, bytes: bytes.to_vec() }
}

fn read_file(path: &Path) -> (Vec<Seen>, FileReport) {
    let mut captures = Captures::open(&[InputPath::parse(path)]).expect("a readable capture");
    let mut frames = Vec::new();
    while let Some(frame) = captures.next_frame() {
        assert_eq!(frame.number, frames.len() as u64 + 1);
        frames.push(seen(&frame));
    }
    assert!(captures.next_frame().is_none(), "the end is the end");
    let report = captures.reports().remove(0);
    assert_eq!(report.frames, frames.len() as u64);
    (frames, report)
}

fn read(bytes: &[u8]) -> (Vec<Seen>, FileReport) {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("room in the temporary folder");
    read_file(file.path())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("memory")
}

const S: u64 = 1_000_000_000;

/// Name, bytes, frames: the variants of both formats.
fn variants() -> Vec<(String, Vec<u8>, Vec<Seen>)> {
    let mut table = Vec::new();
    for order in [Little, Big] {
        let mut add = |name: &str, parts: &[Vec<u8>], frames: &[Seen]| {
            table.push((format!("{name}, {order:?}"), parts.concat(), frames.to_vec()));
        };
        let fields = |a, b, c, d| record(order, [a, b, c, d], b"abcd");
        let wanted = [frame(7 * S + 5_000, 1, 60, b"abcd")];
        add("microseconds", &[header(order, MICRO, (2, 4), 1), fields(7, 5, 4, 60)], &wanted);
        add("nanoseconds", &[header(order, NANO, (2, 4), 1), fields(7, 5_000, 4, 60)], &wanted);
        add("version 2.2 has the lengths swapped", &[header(order, MICRO, (2, 2), 1), fields(7, 5, 60, 4)], &wanted);
        add("version 2.3 has them either way", &[header(order, MICRO, (2, 3), 1), fields(7, 5, 60, 4)], &wanted);
        add("AIX's 543.0", &[header(order, MICRO, (543, 0), 1), fields(7, 5, 60, 4)], &wanted);
        add(
            "the modified format",
            &[header(order, MODIFIED, (2, 4), 1), [record(order, [7, 5, 4, 60], &[0; 8]), b"abcd".to_vec()].concat()],
            &wanted,
        );
        add(
            "check sequence bits in the link type",
            &[header(order, MICRO, (2, 4), 0x5400_0071), fields(7, 5, 4, 60)],
            &[frame(7 * S + 5_000, 113, 60, b"abcd")],
        );
        add(
            "after 2038",
            &[header(order, MICRO, (2, 4), 1), fields(4_000_000_000, 0, 4, 4)],
            &[frame(4_000_000_000 * S, 1, 4, b"abcd")],
        );
        add(
            "an empty frame",
            &[header(order, MICRO, (2, 4), 1), record(order, [7, 0, 0, 9], b""), fields(8, 0, 4, 4)],
            &[frame(7 * S, 1, 9, b""), frame(8 * S, 1, 4, b"abcd")],
        );
        add("no frame", &[header(order, MICRO, (2, 4), 1)], &[]);

        let ethernet = || [section(order, 1), interface(order, 1, 0, &[])].concat();
        add("pcapng without frames", &[section(order, 1)], &[]);
        add(
            "enhanced packet",
            &[ethernet(), enhanced(order, 0, 7_000_005, b"abcde", 60)],
            &[frame(7 * S + 5_000, 1, 60, b"abcde")],
        );
        add(
            "resolutions and offsets",
            &[
                section(order, 1),
                interface(order, 101, 0, &option(order, 9, &[9])),
                interface(order, 113, 0, &option(order, 9, &[0x80 | 10])),
                interface(order, 276, 0, &[option(order, 9, &[3]), option(order, 14, &number(order, 100))].concat()),
                enhanced(order, 0, 5, b"a", 1),
                enhanced(order, 1, 1536, b"b", 1),
                enhanced(order, 2, 2_500, b"c", 1),
            ],
            &[frame(5, 101, 1, b"a"), frame(3 * S / 2, 113, 1, b"b"), frame(102 * S + S / 2, 276, 1, b"c")],
        );
        add(
            "a negative offset",
            &[
                section(order, 1),
                interface(order, 1, 0, &option(order, 14, &number(order, (-3_i64) as u64))),
                enhanced(order, 0, 10_000_000, b"a", 1),
            ],
            &[frame(7 * S, 1, 1, b"a")],
        );
        add(
            "blocks that are passed over",
            &[
                ethernet(),
                block(order, 4, &[&[0; 4]]),
                block(order, 0x0bad, &[&[9; 7]]),
                block(order, 10, &[&[1; 40]]),
                enhanced(order, 0, 1_000_000, b"a", 1),
            ],
            &[frame(S, 1, 1, b"a")],
        );
        add(
            "a second section in the other byte order",
            &[
                ethernet(),
                enhanced(order, 0, 1_000_000, b"a", 1),
                section(if order == Big { Little } else { Big }, 1),
                interface(if order == Big { Little } else { Big }, 113, 0, &[]),
                enhanced(if order == Big { Little } else { Big }, 0, 2_000_000, b"b", 1),
            ],
            &[frame(S, 1, 1, b"a"), frame(2 * S, 113, 1, b"b")],
        );
        add(
            "the obsolete packet block",
            &[
                ethernet(),
                interface(order, 113, 0, &[]),
                block(
                    order,
                    2,
                    &[
                        &order.u16(1),
                        &order.u16(0xffff),
                        &order.u32(0),
                        &order.u32(1_000_000),
                        &order.u32(3),
                        &order.u32(77),
                        b"abc\0",
                    ],
                ),
            ],
            &[frame(S, 113, 77, b"abc")],
        );
        add(
            "options behind the packet",
            &[
                ethernet(),
                block(
                    order,
                    6,
                    &[
                        &[0; 8],
                        &order.u32(1_000_000),
                        &order.u32(1),
                        &order.u32(1),
                        b"a\0\0\0",
                        &option(order, 2, &order.u32(1)),
                        &option(order, 0, b""),
                    ],
                ),
            ],
            &[frame(S, 1, 1, b"a")],
        );
    }
    table
}

fn number(order: Order, n: u64) -> Vec<u8> {
    if order == Big { n.to_be_bytes().to_vec() } else { n.to_le_bytes().to_vec() }
}

#[test]
fn every_variant_is_read_and_no_fault_is_found() {
    for (name, bytes, wanted) in variants() {
        let (frames, report) = read(&bytes);
        assert_eq!(frames, wanted, "{name}");
        assert_eq!(report.first_fault, None, "{name}");
        assert_eq!(report.bytes_skipped, 0, "{name}");
    }
}

#[test]
fn compressed_captures_read_like_plain_ones() {
    for (name, bytes, wanted) in variants() {
        let (front, back) = bytes.split_at(bytes.len() / 2);
        let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4][..], &zstd(&bytes)].concat();
        let ways = [
            ("gzip", gzip(&bytes), "gzip"),
            ("two gzip members", [gzip(front), gzip(back)].concat(), "gzip"),
            ("zstd", zstd(&bytes), "zstd"),
            ("two zstd frames", [zstd(front), zstd(back)].concat(), "zstd"),
            ("a skippable frame first", skippable, "zstd"),
        ];
        for (way, bytes, compression) in ways {
            let (frames, report) = read(&bytes);
            assert_eq!((frames, report.first_fault), (wanted.clone(), None), "{name}, {way}");
            assert!(report.format.name().ends_with(compression), "{name}, {way}");
        }
    }
}

#[test]
fn plain_files_are_mapped_and_others_are_not() {
    let bytes = [ethernet(), plain(1, 0, b"abcd")].concat();
    for (bytes, is_mapped) in [(bytes.clone(), true), (gzip(&bytes), false)] {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(&bytes).expect("room");
        let mut captures = Captures::open(&[InputPath::parse(file.path())]).expect("a capture");
        let maps = captures.maps();
        assert_eq!(maps.len(), usize::from(is_mapped));
        let frame = captures.next_frame().expect("one frame");
        assert_eq!(frame.mapped.is_some(), is_mapped);
        if let Some(place) = frame.mapped {
            assert_eq!(&maps[usize::from(place.map)][place.offset as usize..], frame.bytes);
        }
        while captures.next_frame().is_some() {}
        let progress = captures.progress();
        assert_eq!((progress.bytes_read, progress.bytes_total), (bytes.len() as u64, Some(bytes.len() as u64)));
    }
}

/// Name, bytes, timestamps in seconds of the frames that are left, faults, bytes skipped.
type DamageRow = (&'static str, Vec<u8>, Vec<u64>, Vec<(FaultKind, u64)>, u64);

fn damaged_pcap() -> Vec<DamageRow> {
    use FaultKind::{CapturedBeyondWire, ClockJump, ClockStep, FilesJoined, HeaderCut, RecordCut, RecordLength};
    use FaultKind::{TimestampFraction, ZeroFilled};
    let good = |n: u32| plain(T + n, 0, b"abcdefgh");
    let run = |from: u32, to: u32| (from..to).flat_map(good).collect::<Vec<u8>>();
    let absurd =
        || plain(T + 3, 0, b"abcdefgh").iter().enumerate().map(|(i, b)| if i == 11 { 0x7f } else { *b }).collect();
    vec![
        ("cut in a record header", [ethernet(), run(1, 3), vec![1; 15]].concat(), vec![1, 2], vec![(HeaderCut, 1)], 15),
        (
            "cut in a frame",
            [ethernet(), run(1, 3), good(3)[..20].to_vec()].concat(),
            vec![1, 2],
            vec![(RecordCut, 1)],
            20,
        ),
        (
            "an absurd length",
            [ethernet(), run(1, 3), absurd(), run(4, 9)].concat(),
            vec![1, 2, 4, 5, 6, 7, 8],
            vec![(RecordLength, 1)],
            24,
        ),
        (
            "the first length is absurd",
            [ethernet(), absurd(), run(4, 9)].concat(),
            vec![4, 5, 6, 7, 8],
            vec![(RecordLength, 1)],
            24,
        ),
        (
            "absurd, then one record",
            [ethernet(), run(1, 3), absurd(), run(4, 5)].concat(),
            vec![1, 2, 4],
            vec![(RecordLength, 1)],
            24,
        ),
        ("absurd, then nothing", [ethernet(), run(1, 3), absurd()].concat(), vec![1, 2], vec![(RecordLength, 1)], 24),
        (
            "garbage",
            [ethernet(), run(1, 3), vec![0xee; 1001], run(4, 9)].concat(),
            vec![1, 2, 4, 5, 6, 7, 8],
            vec![(RecordLength, 1)],
            1001,
        ),
        (
            "a hole of zeros",
            [ethernet(), run(1, 3), vec![0; 70_000], run(4, 9)].concat(),
            vec![1, 2, 4, 5, 6, 7, 8],
            vec![(ZeroFilled, 1)],
            70_000,
        ),
        ("zeros to the end", [ethernet(), run(1, 3), vec![0; 4096]].concat(), vec![1, 2], vec![(ZeroFilled, 1)], 4096),
        (
            "more captured than sent",
            [ethernet(), record(Little, [T + 1, 0, 4, 2], b"abcd"), run(2, 3)].concat(),
            vec![1, 2],
            vec![(CapturedBeyondWire, 1)],
            0,
        ),
        (
            "a fraction too large",
            [ethernet(), record(Little, [T + 1, 1_000_000, 4, 4], b"abcd"), run(2, 3)].concat(),
            vec![1, 2],
            vec![(TimestampFraction, 1)],
            0,
        ),
        (
            "odd twice",
            [ethernet(), record(Little, [T + 1, 1_000_000, 4, 2], b"abcd"), run(2, 6)].concat(),
            vec![2, 3, 4, 5],
            vec![(RecordLength, 1)],
            20,
        ),
        (
            "the clock steps",
            [ethernet(), run(5, 6), plain(T + 4, 500_000, b"x")].concat(),
            vec![5, 4],
            vec![(ClockStep, 1)],
            0,
        ),
        ("the clock jumps", [ethernet(), run(5, 6), run(1, 2)].concat(), vec![5, 1], vec![(ClockJump, 1)], 0),
        (
            "two files joined",
            [ethernet(), run(1, 3), header(Big, NANO, (2, 4), 1), record(Big, [T + 3, 0, 1, 1], b"x")].concat(),
            vec![1, 2, 3],
            vec![(FilesJoined, 1)],
            0,
        ),
    ]
}

fn damaged_pcapng() -> Vec<DamageRow> {
    use FaultKind::{
        BlockBody, BlockLength, BlockTrailer, HeaderCut, InterfaceUnknown, RecordCut, SectionVersion, TimestampMissing,
    };
    let start = || [section(Little, 1), interface(Little, 1, 0, &[])].concat();
    let good = |n: u32| enhanced(Little, 0, u64::from(T + n) * 1_000_000, b"abcdefgh", 8);
    let run = |from: u32, to: u32| (from..to).flat_map(good).collect::<Vec<u8>>();
    let with = |mut bytes: Vec<u8>, at: usize, byte: u8| {
        bytes[at] = byte;
        bytes
    };
    let block_bytes = good(1).len() as u64;
    let simple = |wire: u32, data: &[u8]| block(Little, 3, &[&wire.to_le_bytes(), data]);
    vec![
        (
            "cut in a block header",
            [start(), run(1, 3), vec![6, 0, 0, 0, 40]].concat(),
            vec![1, 2],
            vec![(HeaderCut, 1)],
            5,
        ),
        ("cut in a block", [start(), run(1, 3), good(3)[..30].to_vec()].concat(), vec![1, 2], vec![(RecordCut, 1)], 30),
        (
            "length no multiple of four",
            [start(), run(1, 3), with(good(3), 4, 41), run(4, 6)].concat(),
            vec![1, 2, 4, 5],
            vec![(BlockLength, 1)],
            block_bytes,
        ),
        (
            "length absurd",
            [start(), run(1, 3), with(good(3), 7, 0x7f), run(4, 6)].concat(),
            vec![1, 2, 4, 5],
            vec![(BlockLength, 1)],
            block_bytes,
        ),
        (
            "length too small",
            [start(), run(1, 3), with(good(3), 4, 8), run(4, 6)].concat(),
            vec![1, 2, 4, 5],
            vec![(BlockLength, 1)],
            block_bytes,
        ),
        (
            "another length at the end",
            [start(), run(1, 3), with(good(3), 36, 44), run(4, 6)].concat(),
            vec![1, 2, 3, 4, 5],
            vec![(BlockTrailer, 1)],
            0,
        ),
        (
            "another length at the start",
            [start(), run(1, 3), with(good(3), 4, 44), run(4, 6)].concat(),
            vec![1, 2, 4, 5],
            vec![(BlockTrailer, 1)],
            block_bytes,
        ),
        (
            "frame longer than its block",
            [start(), run(1, 3), with(good(3), 20, 9), run(4, 6)].concat(),
            vec![1, 2, 4, 5],
            vec![(BlockBody, 1)],
            0,
        ),
        (
            "interface unknown",
            [start(), with(good(3), 8, 9), run(4, 6)].concat(),
            vec![4, 5],
            vec![(InterfaceUnknown, 1)],
            0,
        ),
        (
            "packet before any interface",
            [section(Little, 1), run(1, 3)].concat(),
            vec![],
            vec![(InterfaceUnknown, 2)],
            0,
        ),
        (
            "interfaces end with their section",
            [start(), run(1, 2), section(Little, 1), run(2, 3)].concat(),
            vec![1],
            vec![(InterfaceUnknown, 1)],
            0,
        ),
        (
            "a section of version 9",
            [start(), run(1, 2), section(Little, 9), run(2, 3), start(), run(3, 4)].concat(),
            vec![1, 3],
            vec![(SectionVersion, 1)],
            0,
        ),
        (
            "a simple packet has the time before it",
            [start(), run(2, 3), simple(4, b"abcd")].concat(),
            vec![2, 2],
            vec![(TimestampMissing, 1)],
            0,
        ),
        (
            "a simple packet too short",
            [start(), run(2, 3), simple(5, b"abcd")].concat(),
            vec![2],
            vec![(BlockBody, 1)],
            0,
        ),
        (
            "garbage, then a section",
            [start(), run(1, 2), vec![0xee; 101], start(), run(2, 3)].concat(),
            vec![1, 2],
            vec![(BlockLength, 1)],
            101,
        ),
        ("only garbage follows", [start(), run(1, 2), vec![0xee; 101]].concat(), vec![1], vec![(BlockLength, 1)], 101),
    ]
}

#[test]
fn damage_costs_what_it_covers_and_is_counted() {
    for (name, bytes, seconds, faults, skipped) in damaged_pcap().into_iter().chain(damaged_pcapng()) {
        for (way, bytes) in [("mapped", bytes.clone()), ("streamed", gzip(&bytes))] {
            let (frames, report) = read(&bytes);
            let met: Vec<_> = report.faults.met().collect();
            assert_eq!(met, faults, "{name}, {way}: {:?}", report.first_fault);
            assert_eq!(frames.iter().map(|f| f.ts / S - u64::from(T)).collect::<Vec<_>>(), seconds, "{name}, {way}");
            assert_eq!(report.bytes_skipped, skipped, "{name}, {way}");
            assert!(report.first_fault.is_some(), "{name}, {way}");
        }
    }
}

#[test]
fn a_broken_compressed_stream_gives_what_came_before() {
    let noise: Vec<u8> = (0..4000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let records = |from: u32| (from..from + 40).flat_map(|n| plain(n, 0, &noise[..1000])).collect::<Vec<u8>>();
    let bytes = [ethernet(), records(1)].concat();
    for (name, whole) in [("gzip", gzip(&bytes)), ("zstd", [zstd(&bytes), zstd(&records(41))].concat())] {
        let cut = &whole[..whole.len() - 20];
        let (frames, report) = read(cut);
        assert!(!frames.is_empty(), "{name}");
        assert_eq!(report.faults.of(FaultKind::StreamCut), 1, "{name}: {:?}", report.first_fault);
        let mut corrupt = whole.clone();
        let at = corrupt.len() - 4;
        corrupt[at..].fill(0x55);
        let (frames, report) = read(&corrupt);
        assert!(frames.len() >= 39, "{name}: {}", frames.len());
        assert!(report.faults.any_damage(), "{name}: {:?}", report.first_fault);
    }
}

#[test]
fn what_compresses_beyond_measure_is_read_in_bounded_memory() {
    // 64 MiB of zeros in some 64 KiB: the stream's buffer has its limit, so that all this costs is time.
    let bytes = [ethernet(), plain(T, 0, b"abcd"), vec![0; 64 << 20], plain(T, 0, b"abcd")].concat();
    for compressed in [gzip(&bytes), zstd(&bytes)] {
        let (frames, report) = read(&compressed);
        assert_eq!(frames.len(), 2);
        assert_eq!(report.bytes_skipped, 64 << 20);
    }
}

#[test]
fn statistics_of_the_capture_program_are_added_up() {
    let counters = |dropped: u64| {
        let option = [option(Little, 5, &number(Little, dropped)), option(Little, 7, &number(Little, 1))].concat();
        block(Little, 5, &[&[0; 12], &option])
    };
    let (_, report) = read(&[section(Little, 1), interface(Little, 1, 0, &[]), counters(5), counters(9)].concat());
    assert_eq!(report.frames_dropped_by_capture, 10);
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> InputPath {
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("room in the temporary folder");
    InputPath::File(path)
}

#[test]
fn several_files_are_merged_by_time_and_keep_their_own_order() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str, seconds: &[u32]| {
        let records = seconds.iter().flat_map(|&s| plain(s, 0, name.as_bytes()));
        write(folder.path(), name, &ethernet().into_iter().chain(records).collect::<Vec<u8>>())
    };
    let packed = gzip(&[ethernet(), plain(2, 0, b"d"), plain(7, 0, b"d")].concat());
    let paths = [
        file("a", &[1, 4, 9]),
        file("b", &[3, 2, 10]),
        write(folder.path(), "text", b"hello\n"),
        file("c", &[]),
        write(folder.path(), "d", &packed),
    ];
    let mut captures = Captures::open(&paths).expect("readable ones among them");
    assert!(matches!(captures.refused(), [OpenError::NotACapture { .. }]));
    let mut order = Vec::new();
    while let Some(frame) = captures.next_frame() {
        order.push((frame.ts.0 / S, frame.file, frame.number));
    }
    assert!(captures.next_frame().is_none());
    let wanted = [(1, 0, 1), (2, 4, 1), (3, 1, 1), (2, 1, 2), (4, 0, 2), (7, 4, 2), (9, 0, 3), (10, 1, 3)];
    assert_eq!(order, wanted);
    assert_eq!(
        captures.reports().iter().map(|r| (r.file, r.frames)).collect::<Vec<_>>(),
        [(0, 3), (1, 3), (3, 0), (4, 2)]
    );
    assert_eq!(captures.reports()[1].clock_step_max, DurationNs::from_secs(1));
    assert_eq!(captures.reports()[3].ts_max, Some(TimestampNs(7 * S)));
}

#[test]
fn equal_times_go_by_the_order_of_the_command_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bytes = [ethernet(), plain(1, 0, b"x"), plain(1, 0, b"y")].concat();
    let paths = ["a", "b", "c"].map(|name| write(folder.path(), name, &bytes));
    let mut captures = Captures::open(&paths).expect("captures");
    let mut files = Vec::new();
    while let Some(frame) = captures.next_frame() {
        files.push(frame.file);
    }
    assert_eq!(files, [0, 0, 1, 1, 2, 2]);
}

#[test]
fn inputs_that_cannot_be_read_are_named_with_what_they_are_and_the_cure() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pcap9 = header(Little, MICRO, (9, 1), 1);
    let mut section9 = section(Little, 9);
    let table: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("empty", vec![], &["is empty"]),
        ("empty.gz", gzip(b""), &["is empty"]),
        ("page.pcap", b"<!DOCTYPE html><html></html>".to_vec(), &["an HTML page", "download"]),
        ("notes.txt", b"12:00 IP a > b\n".to_vec(), &["is text", "tcpdump -w"]),
        ("notes.gz", gzip(b"12:00 IP a > b\n"), &["text, compressed with gzip"]),
        ("twice.gz", gzip(&gzip(&ethernet())), &["a gzip stream inside a compressed stream"]),
        ("prog", b"\x7fELF\x02".to_vec(), &["an ELF program"]),
        ("a.zip", b"PK\x03\x04".to_vec(), &["a zip archive", "unpack"]),
        ("doc.pdf", b"%PDF-1.4".to_vec(), &["a PDF document"]),
        ("short.pcap", ethernet()[..20].to_vec(), &["ends after 20 bytes", "header of 24"]),
        ("short.pcapng", section(Little, 1)[..20].to_vec(), &["ends after 20 bytes", "header of 28"]),
        ("broken.gz", gzip(&ethernet())[..12].to_vec(), &["cannot be read", "copy it again"]),
        ("v9.pcap", pcap9, &["pcap version 9.1", "2.0 to 2.4"]),
        ("v9.pcapng", std::mem::take(&mut section9), &["pcapng version 9.0", "editcap"]),
        (
            "broken.pcapng",
            [&section(Little, 1)[..8], &[0; 20]].concat(),
            &["first block is broken", "byte-order magic"],
        ),
    ];
    for (name, bytes, wanted) in table {
        let path = write(folder.path(), name, &bytes);
        let error = Captures::open(std::slice::from_ref(&path)).expect_err(name).to_string();
        for part in wanted.iter().copied().chain([path.to_string().as_str()]) {
            assert!(error.contains(part), "{name}: {error:?} does not say {part:?}");
        }
    }
    let missing = InputPath::File(folder.path().join("missing"));
    let places: [(&[InputPath], &str); 4] = [
        (&[], "no capture named"),
        (&[InputPath::parse(folder.path())], "is a directory"),
        (std::slice::from_ref(&missing), "check the path"),
        (&[missing.clone(), InputPath::parse(folder.path())], "none of the 2 inputs"),
    ];
    for (paths, wanted) in places {
        let error = Captures::open(paths).expect_err(wanted).to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn the_fingerprint_is_of_the_captures_and_not_of_how_they_come() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let long: Vec<u8> = (0..3000).flat_map(|n| plain(n, 0, &[n as u8; 500])).collect();
    let bytes = [ethernet(), long].concat();
    let other = [ethernet(), plain(1, 0, b"other")].concat();
    let of = |files: &[&[u8]]| {
        let each = files.iter().enumerate();
        let paths: Vec<_> = each.map(|(i, bytes)| write(folder.path(), &i.to_string(), bytes)).collect();
        Captures::open(&paths).expect("captures").fingerprint()
    };
    let first = of(&[&bytes, &other]);
    assert_eq!(first, of(&[&other, &bytes]), "order");
    assert_eq!(first, of(&[&gzip(&bytes), &zstd(&other)]), "compression");
    assert_ne!(first, of(&[&bytes]), "fewer files");
    assert_ne!(first, of(&[&bytes, &bytes]), "other files");
    let mut tail = bytes.clone();
    *tail.last_mut().expect("not empty") ^= 1;
    assert_eq!(of(&[&bytes]), of(&[&tail]), "beyond the first MiB");
}

#[test]
fn a_file_that_grows_is_read_to_its_new_end() {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    let half = plain(2, 0, b"second");
    file.write_all(&[ethernet(), plain(1, 0, b"first"), half[..18].to_vec()].concat()).expect("room");
    let mut captures = Captures::open(&[InputPath::parse(file.path())]).expect("a capture");
    assert_eq!(captures.next_frame().map(|f| f.bytes.to_vec()).as_deref(), Some(&b"first"[..]));
    file.write_all(&[&half[18..], &plain(3, 0, b"third")].concat()).expect("room");
    for wanted in [b"second".to_vec(), b"third".to_vec()] {
        assert_eq!(captures.next_frame().map(|f| f.bytes.to_vec()), Some(wanted));
    }
    assert!(captures.next_frame().is_none());
    assert_eq!(captures.reports()[0].first_fault, None);
}

#[test]
fn a_fifo_is_a_stream() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    if !made.is_ok_and(|status| status.success()) {
        println!("not run: no mkfifo here");
        return;
    }
    let bytes = gzip(&[ethernet(), plain(1, 0, b"abcd")].concat());
    let writer = std::thread::spawn({
        let path = path.clone();
        move || std::fs::write(path, bytes)
    });
    let (frames, report) = read_file(&path);
    writer.join().expect("the writer lives").expect("the fifo was read");
    assert_eq!((frames.len(), report.first_fault), (1, None));
}

/// Set for the child of the next test.
const CHILD: &str = "TRAWLWATCH_TEST_STDIN";

#[test]
fn standard_input_is_a_stream() {
    if std::env::var_os(CHILD).is_some() {
        let mut captures = Captures::open(&[InputPath::parse("-")]).expect("a capture");
        let mut frames = 0;
        while captures.next_frame().is_some() {
            frames += 1;
        }
        assert_eq!((frames, captures.reports()[0].path.to_string().as_str()), (2, "standard input"));
        assert_eq!(captures.progress().bytes_total, None);
        return;
    }
    let bytes = [ethernet(), plain(1, 0, b"abcd"), plain(2, 0, b"abcd")].concat();
    for bytes in [bytes.clone(), gzip(&bytes), zstd(&bytes)] {
        let mut child = std::process::Command::new(std::env::current_exe().expect("this test's own path"))
            .args(["--exact", "standard_input_is_a_stream"])
            .env(CHILD, "1")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("this test starts itself");
        child.stdin.take().expect("piped").write_all(&bytes).expect("the child reads");
        assert!(child.wait().expect("the child ends").success());
    }
}

#[test]
fn filters_speak_tcpdumps_language() {
    let mut udp = vec![0; 60];
    udp[12..14].copy_from_slice(&[8, 0]);
    udp[14] = 0x45;
    udp[23] = 17;
    udp[26..34].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
    udp[34..38].copy_from_slice(&[0, 53, 0x30, 0x39]);
    let table = [
        ("", true),
        ("udp", true),
        ("tcp", false),
        ("udp port 53", true),
        ("src host 10.0.0.2", false),
        ("dst net 10.0.0.0/24 and not port 80", true),
        ("greater 1000", true),
        ("less 1000", false),
    ];
    let ethernet = LinkType(1);
    for (expression, wanted) in table {
        let filter = Filter::compile(expression, ethernet).expect(expression);
        let frame = Frame {
            ts: TimestampNs::ZERO,
            link: ethernet,
            wire_bytes: 1500,
            number: 1,
            file: 0,
            bytes: &udp,
            mapped: None,
        };
        assert_eq!(filter.matches(&frame), wanted, "{expression}");
        assert!(!filter.matches(&Frame { link: LinkType(113), ..frame }), "{expression}: of another link type");
    }
    let error = Filter::compile("udp prot 53", ethernet).expect_err("a slip").to_string();
    assert!(error.contains("syntax error") && error.contains("udp prot 53"), "{error}");
}

/// Both ways to read the same bytes; none where they are refused.
fn both_ways(bytes: &[u8]) -> [Option<(Vec<Seen>, FileReport)>; 2] {
    [bytes.to_vec(), gzip(bytes)].map(|bytes| {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(&bytes).expect("room");
        Captures::open(&[InputPath::parse(file.path())]).ok().map(|_| read_file(file.path()))
    })
}

fn hold_the_laws(bytes: &[u8]) -> Result<(), TestCaseError> {
    let [mapped, streamed] = both_ways(bytes);
    prop_assert_eq!(mapped.is_some(), streamed.is_some());
    if let (Some((frames, report)), Some((streamed_frames, streamed_report))) = (mapped, streamed) {
        let captured: usize = frames.iter().map(|frame| frame.bytes.len()).sum();
        prop_assert!(captured as u64 + report.bytes_skipped <= bytes.len() as u64);
        prop_assert!(frames.iter().all(|frame| frame.wire as usize >= frame.bytes.len()));
        prop_assert_eq!(frames, streamed_frames);
        prop_assert_eq!(report.faults, streamed_report.faults);
        prop_assert_eq!(report.bytes_skipped, streamed_report.bytes_skipped);
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_byte_soup_panics_or_hangs(start in 0_usize..8, soup in prop::collection::vec(any::<u8>(), 0..3000)) {
        let starts = [
            vec![],
            ethernet(),
            header(Big, NANO, (2, 4), 1),
            header(Little, MODIFIED, (2, 4), 1),
            section(Little, 1),
            [section(Big, 1), interface(Big, 1, 0, &[])].concat(),
            vec![0x1f, 0x8b, 8, 0],
            vec![0x28, 0xb5, 0x2f, 0xfd],
        ];
        hold_the_laws(&[starts[start].clone(), soup].concat())?;
    }

    #[test]
    fn no_spoiled_capture_panics_or_hangs(
        variant in any::<prop::sample::Index>(),
        copies in 1_usize..5,
        wounds in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let table = variants();
        let mut bytes = table[variant.index(table.len())].1.repeat(copies);
        for (at, byte) in wounds {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let cut = cut.index(bytes.len() * 2);
        bytes.truncate(cut);
        hold_the_laws(&bytes)?;
    }
}
