//! Summaries: nanoseconds a row to add, and a collector to merge, with a check of the result.
//! In: rows made here from a counter. Out: one line a measurement, the best of some rounds.
//! Time: that which the thread spent on a processor, where the system tells it (others may share the machine), else wall time.
#![allow(clippy::print_stdout, reason = "its lines are its result")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use trawlwatch::flow::row::{ConnState, FlowColumns, FlowRow, SideRow};
use trawlwatch::packet::columns::FlowKey;
use trawlwatch::packet::facts::{AppFacts, AppProtocol, Ja4};
use trawlwatch::population::{
    AddContext, Level, Populations, ProfileContext, Span, SpanClass, Summary, SummaryLimits, profile_of, roll_up,
};
use trawlwatch::privacy::{Key, PseudonymCache, Pseudonymiser};
use trawlwatch::units::{Address, DurationNs, TimestampNs};

const ROWS: usize = 200_000;
const ROUNDS: usize = 5;
const START_S: u64 = 1_800_000_000;

/// SplitMix64.
fn mixed(n: u64) -> u64 {
    let mut x = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Rows of 2,000 subscribers to `collectors` parties; a third names a server.
fn rows(collectors: u64, seed: u64) -> FlowColumns {
    let names: Vec<Arc<AppFacts>> = (0..512)
        .map(|n| {
            Arc::new(AppFacts {
                protocol: Some(AppProtocol::Tls),
                server_name: Some(format!("host{}.site{}.example.com", n, n % 60).into()),
                ja4: Ja4::of(format!("t13d1516h2_8daaf6152771_{:012x}", n % 9)),
                ..AppFacts::default()
            })
        })
        .collect();
    let mut columns = FlowColumns::default();
    for n in 0..ROWS as u64 {
        let x = mixed(n ^ seed << 40);
        // The square makes some parties far more visited than others.
        let party = ((((x >> 32) * (mixed(x) >> 32)) >> 32) * collectors) >> 32;
        let subscriber = (x % 2000) as u16;
        let first = TimestampNs(DurationNs::from_secs(START_S).0 + x % 60_000_000_000);
        let side = |bytes: u64| SideRow {
            packets: 6,
            ip_bytes: bytes + 240,
            payload_bytes: bytes,
            payload_packets: 4,
            size_bins: [2, 0, 0, 0, 0, 0, 1, 1, 1, 0, 1, 0],
            gap_sum_ns: 900_000_000,
            gap_square_sum_s2: 0.4,
            ..SideRow::default()
        };
        let [b, c, d] = [(party >> 16) as u8, (party >> 8) as u8, party as u8];
        columns.push(FlowRow {
            key: FlowKey {
                addresses: [
                    Address::v4([10, 20, (subscriber >> 8) as u8, subscriber as u8]),
                    Address::v4([60 + b, c, d, 7]),
                ],
                ports: [50_000, 443],
                context: 0,
                protocol: 6,
                version: 4,
            },
            tuple_hash: x,
            ts_first: first,
            ts_last: first.after(DurationNs(x % 3_000_000_000)),
            state: ConnState::SF,
            pair_gap: DurationNs(x % 100_000_000_000),
            turns: 2,
            sides: [side(200 + x % 5000), side(x % 90_000)],
            facts: (n % 3 == 0).then(|| names[(party % 512) as usize].clone()),
            ..FlowRow::default()
        });
    }
    columns
}

fn report(name: &str, case: &str, n: usize, unit: &str, seconds: f64, check: u64) {
    let each = seconds * 1e9 / n as f64;
    println!("{name:<20} {case:<24} n={n:<8} {each:>8.1} ns/{unit}  {:>7.3} M{unit}/s  check={check:016x}", 1e3 / each);
}

/// A stretch of processor time.
struct Stretch {
    on_processor: Option<u64>,
    begun: Instant,
}

impl Stretch {
    fn begin() -> Self {
        Self { on_processor: on_processor_ns(), begun: Instant::now() }
    }

    fn seconds(&self) -> f64 {
        match self.on_processor.zip(on_processor_ns()) {
            Some((before, after)) => after.saturating_sub(before) as f64 / 1e9,
            None => self.begun.elapsed().as_secs_f64(),
        }
    }
}

/// Nanoseconds that this thread has run (Linux, proc(5)).
fn on_processor_ns() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
}

/// Best of some rounds.
fn best(mut round: impl FnMut() -> f64) -> f64 {
    (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min)
}

fn main() {
    let (populations, limits) = (Populations::default_private(), SummaryLimits::default());
    let mut identity = PseudonymCache::new(Pseudonymiser::new(&Key::derive(b"bench")));
    let start = TimestampNs(DurationNs::from_secs(START_S).0);
    let span = Span::new(start, start.after(DurationNs::from_secs(60)));
    let mut fill = |columns: &FlowColumns, codewords: &[u16]| {
        let mut summary = Summary::new(span);
        let mut cx = AddContext { populations: &populations, identity: &mut identity, limits: &limits };
        let begun = Stretch::begin();
        summary.add_rows(columns, codewords, &mut cx);
        (begun.seconds(), summary)
    };
    let codewords: Vec<u16> = (0..ROWS).map(|n| (mixed(n as u64) % 64) as u16).collect();
    let mut many = Vec::new();
    for (case, collectors) in [("100 collectors", 100), ("10k collectors", 10_000)] {
        let columns = rows(collectors, 1);
        let seconds = best(|| fill(&columns, &codewords).0);
        let (_, summary) = fill(&columns, &codewords);
        assert_eq!(summary.roles.collect.rows, ROWS as u64);
        let check = summary.to_bytes().iter().fold(0, |sum, byte| mixed(sum ^ u64::from(*byte)));
        report("population/add_rows", case, ROWS, "row", seconds, check);
        many.push(summary);
    }
    let Some(mine) = many.pop() else { return };
    let (_, theirs) = fill(&rows(10_000, 2), &codewords);
    let both = mine.collectors.len() + theirs.collectors.len();
    let mut merged = Summary::empty();
    let seconds = best(|| {
        let (mut sum, other) = (mine.clone(), theirs.clone());
        let begun = Stretch::begin();
        sum.merge(other).expect("one basis");
        merged = sum;
        begun.seconds()
    });
    let mut other_way = theirs.clone();
    other_way.merge(mine.clone()).expect("one basis");
    let bytes = merged.to_bytes();
    assert!(bytes == other_way.to_bytes(), "merging is commutative");
    let check = bytes.iter().fold(0, |sum, byte| mixed(sum ^ u64::from(*byte)));
    report("population/merge", "2 windows", both, "collector", seconds, check);

    let seconds = best(|| {
        let begun = Stretch::begin();
        black_box(merged.to_bytes());
        begun.seconds()
    });
    report("population/to_bytes", &format!("{} kB", bytes.len() / 1000), bytes.len(), "B", seconds, bytes.len() as u64);
    let seconds = best(|| {
        let begun = Stretch::begin();
        black_box(Summary::from_bytes(&bytes).expect("its own form"));
        begun.seconds()
    });
    report("population/from_bytes", "the same", bytes.len(), "B", seconds, bytes.len() as u64);

    let size = |bytes: Vec<u8>, entries: usize| bytes.len() / entries.max(1);
    println!(
        "population/size      {} B/collector ({}), {} B/pair ({}), {} B/subscriber ({})",
        size(postcard::to_allocvec(&merged.collectors).expect("to memory"), merged.collectors.len()),
        merged.collectors.len(),
        size(postcard::to_allocvec(&merged.pairs).expect("to memory"), merged.pairs.len()),
        merged.pairs.len(),
        size(postcard::to_allocvec(&merged.subscribers).expect("to memory"), merged.subscribers.len()),
        merged.subscribers.len(),
    );

    merged.rollup(SpanClass::Hour);
    merged.bound(&limits);
    let (mut check, mut groups) = (0, 0);
    let seconds = best(|| {
        let begun = Stretch::begin();
        let cx = ProfileContext::new(&merged);
        let list = roll_up(&merged, Level::Address, |_| None);
        groups = list.len();
        check = list.iter().fold(0, |sum, (group, collector)| {
            profile_of(group, collector, &cx).iter().fold(sum, |sum, value| mixed(sum ^ u64::from(value.to_bits())))
        });
        begun.seconds()
    });
    report("population/profile", "by address", groups, "collector", seconds, check);
}
