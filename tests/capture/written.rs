//! Captures written by hand, byte by byte, and what is read back of them.
//! In: fields. Out: bytes of pcap and pcapng files in either byte order; frames and reports.

use std::io::Write;
use std::path::Path;

use trawlwatch::capture::{Captures, FileReport, Frame, InputPath};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Little,
    Big,
}
pub use Order::{Big, Little};

impl Order {
    pub fn u16(self, n: u16) -> [u8; 2] {
        if self == Big { n.to_be_bytes() } else { n.to_le_bytes() }
    }

    pub fn u32(self, n: u32) -> [u8; 4] {
        if self == Big { n.to_be_bytes() } else { n.to_le_bytes() }
    }
}

pub const MICRO: u32 = 0xa1b2_c3d4;
pub const NANO: u32 = 0xa1b2_3c4d;
pub const MODIFIED: u32 = 0xa1b2_cd34;

pub fn header(order: Order, magic: u32, version: (u16, u16), link: u32) -> Vec<u8> {
    let mut bytes = order.u32(magic).to_vec();
    bytes.extend(order.u16(version.0));
    bytes.extend(order.u16(version.1));
    for field in [0, 0, 65_535, link] {
        bytes.extend(order.u32(field));
    }
    bytes
}

pub fn record(order: Order, fields: [u32; 4], frame: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = fields.into_iter().flat_map(|field| order.u32(field)).collect();
    bytes.extend(frame);
    bytes
}

/// An ordinary little-endian microsecond record.
pub fn plain(seconds: u32, micros: u32, frame: &[u8]) -> Vec<u8> {
    record(Little, [seconds, micros, frame.len() as u32, frame.len() as u32], frame)
}

/// Seconds that small numbers in the tables are counted from: after damage, readers tell records by their times.
pub const T: u32 = 1_700_000_000;

pub fn ethernet() -> Vec<u8> {
    header(Little, MICRO, (2, 4), 1)
}

pub fn block(order: Order, kind: u32, body: &[&[u8]]) -> Vec<u8> {
    let mut body = body.concat();
    body.resize(body.len().next_multiple_of(4), 0);
    let total = order.u32(body.len() as u32 + 12);
    [&order.u32(kind)[..], &total, &body, &total].concat()
}

pub fn section(order: Order, version: u16) -> Vec<u8> {
    block(order, 0x0a0d_0d0a, &[&order.u32(0x1a2b_3c4d), &order.u16(version), &order.u16(0), &[0xff; 8]])
}

pub fn option(order: Order, code: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = [order.u16(code), order.u16(value.len() as u16)].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

pub fn interface(order: Order, link: u16, snap: u32, options: &[u8]) -> Vec<u8> {
    block(order, 1, &[&order.u16(link), &[0; 2], &order.u32(snap), options])
}

pub fn enhanced(order: Order, interface: u32, ticks: u64, frame: &[u8], wire: u32) -> Vec<u8> {
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

pub fn number(order: Order, n: u64) -> Vec<u8> {
    if order == Big { n.to_be_bytes().to_vec() } else { n.to_le_bytes().to_vec() }
}

/// A frame without its borrow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub ts: u64,
    pub link: u16,
    pub wire: u32,
    pub bytes: Vec<u8>,
}

pub fn seen(frame: &Frame<'_>) -> Seen {
    Seen { ts: frame.ts.0, link: frame.link.0, wire: frame.wire_bytes, bytes: frame.bytes.to_vec() }
}

pub fn frame(ts: u64, link: u16, wire: u32, bytes: &[u8]) -> Seen {
    Seen { ts, link, wire, bytes: bytes.to_vec() }
}

pub fn read_file(path: &Path) -> (Vec<Seen>, FileReport) {
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

pub fn read(bytes: &[u8]) -> (Vec<Seen>, FileReport) {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("room in the temporary folder");
    read_file(file.path())
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("memory")
}

pub const S: u64 = 1_000_000_000;

pub fn write(folder: &Path, name: &str, bytes: &[u8]) -> InputPath {
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("room in the temporary folder");
    InputPath::File(path)
}
