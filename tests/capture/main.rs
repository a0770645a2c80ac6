//! Promises of the capture room: every variant of the savefile formats, every kind of damage, order, errors, filters.
//! In: small files written by hand here. Not here: real captures (`capture_judge`).
#![allow(clippy::print_stdout, reason = "a test's output is for people")]

mod damage;
mod soup;
mod sources;
mod variants;
mod written;

use trawlwatch::capture::{Filter, Frame, LinkType};
use trawlwatch::units::TimestampNs;

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
            lent: None,
        };
        assert_eq!(filter.matches(&frame), wanted, "{expression}");
        assert!(!filter.matches(&Frame { link: LinkType(113), ..frame }), "{expression}: of another link type");
    }
    let error = Filter::compile("udp prot 53", ethernet).expect_err("a slip").to_string();
    assert!(error.contains("syntax error") && error.contains("udp prot 53"), "{error}");
}
