//! Packet stage: nanoseconds a packet over frames made in memory, with a sum that says what was computed.
//! Lines: a bare walk over the frames, `etherparse::SlicedPacket` on the same, and the parser with its columns.

#![expect(clippy::print_stdout, reason = "the lines are the result")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use etherparse::{PacketBuilder, SlicedPacket, TransportSlice};
use trawlwatch::capture::{Frame, FrameBatch, LinkType};
use trawlwatch::packet::columns::PacketColumns;
use trawlwatch::packet::{Parser, ParserLimits};
use trawlwatch::units::TimestampNs;

/// Batches in a round: 4 MiB of 64-byte frames, out of the second-level cache as real batches are.
const BATCHES: usize = 256;
/// Rounds, of which the fastest is printed: others share the machine.
const ROUNDS: usize = 40;

/// A frame of `bytes` bytes in all, TCP or UDP, IPv4 or IPv6, from flow `n`.
fn frame(n: usize, bytes: usize, mix: bool) -> Vec<u8> {
    let mut frame = Vec::new();
    let (a, b) = ([10, 0, (n >> 8) as u8, n as u8], [203, 0, 113, (n % 199) as u8]);
    let port = 1024 + (n % 50_000) as u16;
    let ethernet = PacketBuilder::ethernet2([2; 6], [4; 6]);
    match (mix, n % 10) {
        (true, 7..9) => {
            let builder = ethernet.ipv4(a, b, 60).udp(port, 443);
            builder.write(&mut frame, &vec![0; bytes.saturating_sub(42)]).expect("memory");
        }
        (true, 9) => {
            let (mut six, mut other) = ([0x20; 16], [0x21; 16]);
            six[12..].copy_from_slice(&a);
            other[12..].copy_from_slice(&b);
            let builder = ethernet.ipv6(six, other, 60).tcp(port, 443, n as u32, 500).ack(1);
            builder.write(&mut frame, &vec![0; bytes.saturating_sub(74)]).expect("memory");
        }
        _ => {
            let builder = ethernet.ipv4(a, b, 60).tcp(port, 443, n as u32, 500).ack(1);
            builder.write(&mut frame, &vec![0; bytes.saturating_sub(54)]).expect("memory");
        }
    }
    frame.resize(bytes.max(frame.len()), 0);
    frame
}

/// Batches of frames whose sizes come from `size`.
fn batches(size: impl Fn(usize) -> usize, mix: bool) -> Vec<FrameBatch> {
    let mut all = Vec::new();
    let mut n = 0usize;
    for _ in 0..BATCHES {
        let mut batch = FrameBatch::new(Arc::from(Vec::new()));
        while !batch.is_full() {
            let bytes = frame(n.wrapping_mul(7919), size(n), mix);
            let (ts, wire_bytes) = (TimestampNs(n as u64 * 1000), bytes.len() as u32);
            let link = LinkType(1);
            batch.push(&Frame { ts, link, wire_bytes, number: n as u64 + 1, file: 0, bytes: &bytes, lent: None });
            n += 1;
        }
        all.push(batch);
    }
    all
}

/// The fastest of the rounds, as one line; gives nanoseconds a packet.
fn measure(name: &str, set: &str, batches: &[FrameBatch], mut round: impl FnMut(&FrameBatch) -> u64) -> f64 {
    let packets: usize = batches.iter().map(|b| b.frames().len()).sum();
    let (mut best, mut check) = (f64::MAX, 0u64);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        check = batches.iter().fold(0, |sum, batch| sum.wrapping_add(round(black_box(batch))));
        best = best.min(start.elapsed().as_secs_f64());
    }
    let ns = best * 1e9 / packets as f64;
    println!("packet/{name:<14} {set:<6} n={packets:<8} {ns:6.1} ns/pkt {:7.1} Mpkt/s  check={check:016x}", 1e3 / ns);
    ns
}

fn walk(batch: &FrameBatch) -> u64 {
    batch.frames().iter().fold(0, |sum, frame| {
        let bytes = batch.bytes(frame);
        sum.wrapping_add(u64::from(bytes[12]) + u64::from(bytes[26]) + bytes.len() as u64)
    })
}

fn judge(batch: &FrameBatch) -> u64 {
    batch.frames().iter().fold(0, |sum, frame| {
        let packet = SlicedPacket::from_ethernet(batch.bytes(frame)).expect("a sound frame");
        sum.wrapping_add(match packet.transport {
            Some(TransportSlice::Tcp(tcp)) => {
                u64::from(tcp.source_port()) + u64::from(tcp.destination_port()) + tcp.payload().len() as u64
            }
            Some(TransportSlice::Udp(udp)) => {
                u64::from(udp.source_port()) + u64::from(udp.destination_port()) + udp.payload().len() as u64
            }
            _ => 0,
        })
    })
}

fn main() {
    // 7:4:1, the usual simple mix, in an order without a period that a branch predictor learns.
    let imix = |n: usize| match n.wrapping_mul(0x9e37_79b9) >> 16 & 0xfff {
        0..2389 => 64,
        2389..3754 => 594,
        _ => 1514,
    };
    for (set, batches) in [("min64", batches(|_| 64, false)), ("imix", batches(imix, true))] {
        let bare = measure("walk", set, &batches, walk);
        let sliced = measure("etherparse", set, &batches, judge);
        let mut parser = Parser::new(ParserLimits::default());
        let mut columns = PacketColumns::default();
        let mut parse = |batch: &FrameBatch| {
            columns.clear();
            parser.parse_batch(batch, &mut columns);
            let ports = columns.key.iter().map(|k| u64::from(k.ports[0]) + u64::from(k.ports[1]));
            let payload = columns.payload_bytes.iter().map(|b| u64::from(*b));
            black_box(&columns);
            ports.zip(payload).fold(0u64, |sum, (p, b)| sum.wrapping_add(p + b))
        };
        let ours = measure("parse", set, &batches, &mut parse);
        println!(
            "packet/ratio          {set:<6} parse/etherparse={:.2} parse-walk={:.1} ns/pkt",
            ours / sliced,
            ours - bare
        );
    }
}
