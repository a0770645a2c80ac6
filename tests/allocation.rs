//! After start the packets of known flows allocate nothing: parser, table and columns are filled and emptied again and again
//! while an allocator counts. What may take memory is new: a flow, a row, a fact.
#![allow(unsafe_code, reason = "an allocator cannot be written without; it hands every call on as it came")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use etherparse::PacketBuilder;
use trawlwatch::capture::{Captures, Frame, FrameBatch, InputPath, LinkType};
use trawlwatch::features::{self, FeatureMatrix};
use trawlwatch::flow::row::FlowColumns;
use trawlwatch::flow::{FlowConfig, FlowTable, SegmentBounds};
use trawlwatch::packet::columns::PacketColumns;
use trawlwatch::packet::{Parser, ParserLimits};
use trawlwatch::units::TimestampNs;

struct Counting;

thread_local! {
    // Const and without a destructor, so that reading it allocates nothing itself.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn note() {
    let _gone = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches no memory that it manages.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        note();
        // SAFETY: as above.
        unsafe { System.realloc(place, layout, bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const FLOWS: u16 = 200;

/// One packet of each flow, in both directions in turn: TCP with payload, and datagrams that are nothing known.
fn packets(round: u32) -> impl Iterator<Item = (TimestampNs, Vec<u8>)> {
    (0..FLOWS).map(move |flow| {
        let (home, far) = ([10, 20, (flow >> 8) as u8, flow as u8], [203, 0, 113, (flow % 50) as u8]);
        let mut bytes = Vec::new();
        let ethernet = PacketBuilder::ethernet2([2; 6], [4; 6]);
        let payload = [0x81; 300];
        match flow % 3 {
            0 => ethernet.ipv4(home, far, 64).udp(40_000, 5_000).write(&mut bytes, &payload),
            1 => {
                let seq = 1 + round * 300;
                ethernet.ipv4(home, far, 64).tcp(40_000, 8_080, seq, 500).ack(1).write(&mut bytes, &payload)
            }
            _ => ethernet.ipv4(far, home, 60).tcp(443, 40_001, 1, 500).ack(1 + round).write(&mut bytes, &[]),
        }
        .expect("memory");
        (TimestampNs(1_772_359_200_000_000_000 + u64::from(round) * 1_000_000 + u64::from(flow) * 1_000), bytes)
    })
}

fn batch(round: u32) -> FrameBatch {
    let mut batch = FrameBatch::new(Arc::from([]));
    for (flow, (ts, bytes)) in (1..).zip(packets(round)) {
        let wire_bytes = bytes.len() as u32;
        let number = u64::from(round) * u64::from(FLOWS) + flow;
        batch.push(&Frame { ts, link: LinkType(1), wire_bytes, number, file: 0, bytes: &bytes, lent: None });
    }
    batch
}

/// The same packets as a savefile.
fn savefile(rounds: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let words = |file: &mut Vec<u8>, words: &[u32]| file.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    // Nanoseconds; version 2.4; Ethernet.
    words(&mut file, &[0xa1b2_3c4d, 4 << 16 | 2, 0, 0, 65_535, 1]);
    for (ts, bytes) in (0..rounds).flat_map(packets) {
        let (seconds, fraction, len) = (ts.0 / 1_000_000_000, ts.0 % 1_000_000_000, bytes.len() as u32);
        words(&mut file, &[seconds as u32, fraction as u32, len, len]);
        file.extend(bytes);
    }
    file
}

#[test]
fn packets_of_known_flows_allocate_nothing() {
    let mut parser = Parser::new(ParserLimits::default());
    // The pool of evidence takes memory until it is at its bound; here it is so after some batches.
    let segments = SegmentBounds { bytes_max: 1 << 16, records_max: 256, ..SegmentBounds::default() };
    let mut table = FlowTable::new(FlowConfig { segments, ..FlowConfig::default() });
    let (mut packets, mut rows, mut observations) = (PacketColumns::default(), FlowColumns::default(), Vec::new());
    let batches: Vec<FrameBatch> = (0..60).map(batch).collect();
    let mut take = |batches: &[FrameBatch]| {
        let before = ALLOCATIONS.with(Cell::get);
        for frames in batches {
            packets.clear();
            parser.parse_batch(frames, &mut packets);
            table.apply(&packets, frames, &mut rows, &mut observations);
        }
        ALLOCATIONS.with(Cell::get) - before
    };
    // After ten packets a row is summed up, for which a flow takes memory once more.
    let (first, rest) = batches.split_at(20);
    assert!(take(first) > 0, "flows begin: the counter counts");
    assert_eq!(take(rest), 0, "40 batches of known flows");
    assert_eq!(table.len(), usize::from(FLOWS));

    // Rows and their features use the same memory window after window.
    let mut matrix = FeatureMatrix::default();
    table.finish(&mut rows, &mut observations);
    assert_eq!(rows.len(), usize::from(FLOWS));
    features::compute(&rows, &mut matrix);
    let before = ALLOCATIONS.with(Cell::get);
    (0..20).for_each(|_| features::compute(&rows, &mut matrix));
    assert_eq!(ALLOCATIONS.with(Cell::get) - before, 0, "features of as many rows again");
}

#[test]
fn from_the_file_to_the_table_known_flows_allocate_nothing() {
    const ROUNDS: u32 = 60;
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("known.pcap");
    std::fs::write(&place, savefile(ROUNDS)).expect("a file");
    let mut captures = Captures::open(&[InputPath::parse(&place)]).expect("a capture");
    let (mut parser, segments) =
        (Parser::new(ParserLimits::default()), SegmentBounds { records_max: 256, ..SegmentBounds::default() });
    let mut table = FlowTable::new(FlowConfig { segments, ..FlowConfig::default() });
    let (mut frames, mut packets) = (FrameBatch::new(captures.maps()), PacketColumns::default());
    let (mut rows, mut observations) = (FlowColumns::default(), Vec::new());
    let mut counts = Vec::new();
    loop {
        let before = ALLOCATIONS.with(Cell::get);
        while !frames.is_full() && captures.next_frame().map(|frame| frames.push(&frame)).is_some() {}
        if frames.is_empty() {
            break;
        }
        packets.clear();
        parser.parse_batch(&frames, &mut packets);
        table.apply(&packets, &frames, &mut rows, &mut observations);
        frames.clear();
        counts.push(ALLOCATIONS.with(Cell::get) - before);
    }
    let (first, rest) = counts.split_at(counts.len() / 4);
    assert!(first.iter().sum::<u64>() > 0, "flows begin: the counter counts");
    assert_eq!(rest.iter().sum::<u64>(), 0, "{counts:?}");
    assert_eq!((table.len(), table.counters().packets), (usize::from(FLOWS), u64::from(ROUNDS) * u64::from(FLOWS)));
}
