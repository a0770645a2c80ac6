//! Every variant of the savefile formats, plain and compressed.
//! In: tables of captures written by hand. Out: the frames they hold, and no fault.

use std::io::Write;

use trawlwatch::capture::frame::Lent;
use trawlwatch::capture::{Captures, InputPath};

use super::written::*;

/// Name, bytes, frames: the variants of both formats.
pub fn variants() -> Vec<(String, Vec<u8>, Vec<Seen>)> {
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
        assert_eq!(frame.lent.is_some(), is_mapped);
        if let Some(Lent { place, block }) = frame.lent {
            assert_eq!(&maps[usize::from(place.map)][place.offset as usize..], frame.bytes);
            let (block, at) = block.expect("a block");
            assert_eq!(&block.bytes()[at as usize..], frame.bytes);
        }
        while captures.next_frame().is_some() {}
        let progress = captures.progress();
        assert_eq!((progress.bytes_read, progress.bytes_total), (bytes.len() as u64, Some(bytes.len() as u64)));
    }
}
