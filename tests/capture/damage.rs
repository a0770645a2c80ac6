//! Every kind of damage, mapped and streamed.
//! In: tables of captures spoiled by hand. Out: the frames that are left, the faults, the bytes passed over.

use trawlwatch::capture::FaultKind;

use super::written::*;

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
