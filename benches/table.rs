//! Flow table: nanoseconds a packet, beside a floor measured in the same run (hash each key, store a word in sequence).
//! Lines: 200,000 places filled to 10 … 100 %, bare segments; the same with crafted keys, with payloads; a flood of SYNs that
//! never meet again.
//! The check is over all rows; the packets in them must be those that went in.

use std::hash::BuildHasher;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::FixedState;
use trawlwatch::capture::{Frame, FrameBatch, LinkType};
use trawlwatch::flow::row::FlowColumns;
use trawlwatch::flow::{FlowConfig, FlowTable};
use trawlwatch::packet::columns::{FlowKey, NO_TUNNEL, PacketColumns, PacketRow, PayloadPlace};
use trawlwatch::units::{Address, DurationNs, TimestampNs};

/// Places in the table.
const FLOWS_MAX: u32 = 200_000;
/// Packets of a batch, as the pipeline has them.
const BATCH: usize = 256;
/// Batches between two looks at the clock.
const ROUND: usize = 16;
/// Payload of the packets that have one: two per maximum segment.
const PAYLOAD_BYTES: u32 = 724;
const SYN: u8 = 2;
const ACK: u8 = 16;

/// What kind of packets go in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Load {
    /// Segments without payload, over so many flows.
    Bare(u64),
    /// The same with keys as someone makes them who wants them in one place: they differ in the high bits of two words only,
    /// which a plain sum or product of the words throws away.
    Crafted(u64),
    /// In-order payload, over so many flows.
    Payload(u64),
    /// SYNs, each of a flow of its own.
    Flood,
}

/// A fixed sequence of numbers without pattern (splitmix64).
fn mix(n: u64) -> u64 {
    let z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb) ^ z >> 31
}

fn row(n: u64, load: Load, sent: &mut [u32]) -> PacketRow {
    let flow = match load {
        Load::Bare(flows) | Load::Payload(flows) | Load::Crafted(flows) => mix(n) % flows,
        Load::Flood => n,
    };
    let payload = if matches!(load, Load::Payload(_)) { PAYLOAD_BYTES } else { 0 };
    let [.., b, c, d] = (flow as u32).to_be_bytes();
    let far = Address::v4([203, 0, 113, d]);
    let (addresses, ports) = match load {
        // The words of a key are little-endian: the last byte of each eight is the highest.
        Load::Crafted(_) => {
            let crafted = Address([0x20, 0, 0, 0, 0, 0, 0, b, 0, 0, 0, 0, 0, 0, c, d]);
            ([crafted, far], [443, 443])
        }
        _ => ([Address::v4([10, b, c, d]), far], [1024 + (flow % 50_000) as u16, 443]),
    };
    let seq = match sent.get_mut(flow as usize) {
        Some(next) => {
            *next = next.wrapping_add(payload);
            next.wrapping_sub(payload)
        }
        None => 1,
    };
    PacketRow {
        ts: TimestampNs(1_700_000_000_000_000_000 + n * 100),
        key: FlowKey { addresses, ports, context: 0, protocol: 6, version: 4 },
        from: 0,
        frame: (n % BATCH as u64) as u32,
        ip_bytes: 40 + payload,
        payload_bytes: payload,
        payload: PayloadPlace { offset: 0, captured: payload, reassembled: false },
        tcp_seq: seq,
        tcp_flags: if load == Load::Flood { SYN } else { ACK },
        tcp_window: 1000,
        ttl: 60,
        tunnel: NO_TUNNEL,
        ..PacketRow::default()
    }
}

fn batches(packets: u64, load: Load) -> Vec<PacketColumns> {
    let mut sent = vec![1; if load == Load::Flood { 0 } else { FLOWS_MAX as usize }];
    let mut all = Vec::new();
    for n in 0..packets {
        if n % BATCH as u64 == 0 {
            all.push(PacketColumns::default());
        }
        let row = row(n, load, &mut sent);
        all.last_mut().expect("pushed above").push(row);
    }
    all
}

fn frames() -> FrameBatch {
    let mut frames = FrameBatch::new(Arc::from([]));
    let bytes = vec![0x5a; PAYLOAD_BYTES as usize];
    for number in 0..BATCH as u64 {
        let (ts, wire_bytes) = (TimestampNs(0), PAYLOAD_BYTES);
        frames.push(&Frame { ts, link: LinkType(1), wire_bytes, number, file: 0, bytes: &bytes, lent: None });
    }
    frames
}

/// Processor time of this thread, so that others on the machine cost little; wall time where the system does not tell it.
fn now() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    match text.split(' ').next().and_then(|ns| ns.parse().ok()) {
        Some(ns) => Duration::from_nanos(ns),
        None => START.get_or_init(Instant::now).elapsed(),
    }
}

/// Hash and store: what any table at least does.
fn floor(batches: &[PacketColumns]) -> Duration {
    let state = FixedState::with_seed(7);
    let mut stored = Vec::with_capacity(batches.len() * BATCH);
    let started = now();
    for batch in batches {
        stored
            .extend(batch.key.iter().zip(&batch.ip_bytes).map(|(key, bytes)| state.hash_one(key) ^ u64::from(*bytes)));
    }
    let spent = now() - started;
    black_box(&stored);
    spent
}

/// Runs a table over the batches; returns the time of the packets alone and a check over the rows.
fn table(batches: &[PacketColumns], frames: &FrameBatch, packets: u64) -> (Duration, u32) {
    let config = FlowConfig { window: DurationNs::ZERO, flows_max: FLOWS_MAX, ..FlowConfig::default() };
    let mut table = FlowTable::new(config);
    let (mut rows, mut observations) = (FlowColumns::default(), Vec::new());
    // The first half fills the table; the second is measured.
    let (fill, measured) = batches.split_at(batches.len() / 2);
    let (mut told, mut check) = (0, 0);
    let mut drain = |rows: &mut FlowColumns| {
        for i in 0..rows.len() {
            told += u64::from(rows.sides[0].packets[i]);
            check = mix(check ^ rows.tuple_hash[i]).wrapping_add(rows.sides[0].ip_bytes[i]);
        }
        rows.clear();
    };
    for batch in fill {
        table.apply(batch, frames, &mut rows, &mut observations);
        drain(&mut rows);
    }
    let mut spent = Duration::ZERO;
    for batches in measured.chunks(ROUND) {
        let started = now();
        for batch in batches {
            table.apply(batch, frames, &mut rows, &mut observations);
        }
        spent += now() - started;
        drain(&mut rows);
    }
    table.finish(&mut rows, &mut observations);
    drain(&mut rows);
    assert_eq!(told, packets, "every packet is in a row");
    (spent, (check ^ check >> 32) as u32)
}

#[expect(clippy::print_stdout, reason = "a bench's output is its purpose")]
fn main() {
    let smoke = std::env::var("TRAWLWATCH_BENCH").is_ok_and(|size| size == "smoke");
    let (packets, rounds) = if smoke { (1 << 16, 1) } else { (1 << 21, 3) };
    let frames = frames();
    let shares = [10, 25, 50, 75, 100].map(|share| (format!("bare {share:>3} %"), Load::Bare(200_000 * share / 100)));
    let others = [
        ("crafted 100 %".to_owned(), Load::Crafted(200_000)),
        ("payload 100 %".to_owned(), Load::Payload(200_000)),
        ("SYN flood".to_owned(), Load::Flood),
    ];
    for (name, load) in shares.into_iter().chain(others) {
        let batches = batches(packets, load);
        let ns = |spent: Duration, packets: u64| spent.as_nanos() as f64 / packets as f64;
        let mut best = (f64::MAX, f64::MAX, 0);
        for _ in 0..rounds {
            let (spent, check) = table(&batches, &frames, packets);
            best = (best.0.min(ns(spent, packets / 2)), best.1.min(ns(floor(&batches), packets)), check);
        }
        let (own, floor, check) = best;
        println!(
            "flow/table    {name:<14} n={:<8} {own:6.1} ns/pkt  {:5.1} Mpkt/s  floor {floor:4.1} ns  ratio {:4.1}  check={check:08x}",
            packets / 2,
            1e3 / own,
            own / floor,
        );
    }
}
