//! What a summary takes of memory: rows go in while an allocator adds up what was asked for and not given back. No clock and no
//! system has a say in it, so that the numbers are the same on every machine.
#![allow(unsafe_code, reason = "an allocator cannot be written without; it hands every call on as it came")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use trawlwatch::flow::row::{ConnState, FlowColumns, FlowRow, SideRow};
use trawlwatch::packet::columns::FlowKey;
use trawlwatch::population::{AddContext, Populations, Span, Summary, SummaryLimits};
use trawlwatch::privacy::{Key, PseudonymCache, Pseudonymiser};
use trawlwatch::units::{Address, DurationNs, TimestampNs};

struct Weighing;

thread_local! {
    // Const and without a destructor, so that reading them allocates nothing itself.
    static BYTES: Cell<i64> = const { Cell::new(0) };
    static MOST: Cell<i64> = const { Cell::new(0) };
}

fn note(bytes: i64) {
    let _gone = BYTES.try_with(|held| {
        held.set(held.get() + bytes);
        let _gone = MOST.try_with(|most| most.set(most.get().max(held.get())));
    });
}

// SAFETY: every call goes to the system's allocator unchanged; adding up touches no memory that it manages.
unsafe impl GlobalAlloc for Weighing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size() as i64);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        note(-(layout.size() as i64));
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        note(bytes as i64 - layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.realloc(place, layout, bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Weighing = Weighing;

/// A whole minute.
const START: TimestampNs = TimestampNs(1_772_359_200_000_000_000);

/// One row of a subscriber to one of a party's services.
fn row(subscriber: u32, party: u32, service: u16) -> FlowRow {
    let [_, b, c, d] = subscriber.to_be_bytes();
    let [_, _, y, z] = party.to_be_bytes();
    let side = |bytes: u64| SideRow {
        packets: 2,
        ip_bytes: bytes + 80,
        payload_bytes: bytes,
        payload_packets: 1,
        syn: 1,
        ..SideRow::default()
    };
    let first = START.after(DurationNs(u64::from(subscriber % 50) * 1_000_000_000));
    FlowRow {
        key: FlowKey {
            addresses: [Address::v4([10, b, c, d]), Address::v4([203, 0, y, z])],
            ports: [50_000, 443 + service],
            context: 0,
            protocol: 6,
            version: 4,
        },
        tuple_hash: u64::from(subscriber) << 32 | u64::from(party),
        ts_first: first,
        ts_last: first.after(DurationNs(3_000_000_000)),
        state: ConnState::SF,
        turns: 2,
        sides: [side(300 + u64::from(subscriber % 100)), side(900)],
        ..FlowRow::default()
    }
}

/// What is held in the end, and at the most, of a summary of rows, and how many pairs it has.
fn weighed(rows: impl Iterator<Item = FlowRow>, limits: &SummaryLimits) -> (i64, i64, usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let key = Key::create_file(&folder.path().join("key")).expect("a key");
    let (populations, mut identity) = (Populations::default_private(), PseudonymCache::new(Pseudonymiser::new(&key)));
    let mut cx = AddContext { populations: &populations, identity: &mut identity, limits };
    let mut summary = Summary::new(Span::new(START, START.after(DurationNs::from_secs(60))));
    let (mut block, mut rows) = (FlowColumns::default(), rows.peekable());
    let mut add = |summary: &mut Summary, block: &mut FlowColumns| {
        let before = BYTES.with(Cell::get);
        MOST.with(|most| most.set(before));
        summary.add_rows(block, &[], &mut cx);
        block.clear();
        (BYTES.with(Cell::get) - before, MOST.with(Cell::get) - before)
    };
    let (mut held, mut most) = (0, 0);
    while rows.peek().is_some() {
        rows.by_ref().take(1024).for_each(|row| block.push(row));
        let (more, at_most) = add(&mut summary, &mut block);
        most = most.max(held + at_most);
        held += more;
    }
    (held, most, summary.pairs.len())
}

#[test]
fn a_pair_and_a_party_take_what_they_took() {
    // Thirty subscribers a party over three services: 60,000 pairs of one row.
    let rows = (0..60_000u32).map(|n| row(n / 3, n.wrapping_mul(40_503) % 2_000, (n % 3) as u16));
    let (held, most, pairs) = weighed(rows, &SummaryLimits::default());
    assert_eq!((pairs, held), (60_000, most), "nothing is held for a while only");
    // 184 and a word or four of index a pair, 5 to 6 KB a party and a third of a kilobyte a subscriber.
    let a_pair = held / pairs as i64;
    assert!((400..500).contains(&a_pair), "{a_pair} bytes a pair with its share of party and subscriber");
}

#[test]
fn a_full_table_of_pairs_stays_as_large_as_it_was_when_it_became_full() {
    // Full to seven eighths of a power of two, where a hash table has no room for what is marked as gone.
    const MOST: u32 = 14_336;
    const SUBSCRIBERS: u32 = 5_120;
    const PARTIES: u32 = 28;
    let limits = SummaryLimits { pairs_max: MOST as usize, subscribers_max: 64, ..SummaryLimits::default() };
    // Each pair once, and all parties among the first of them.
    let pair = |n: u32| row(n % SUBSCRIBERS, (n + n / SUBSCRIBERS) % PARTIES, 0);
    let (full, _, pairs) = weighed((0..MOST).map(pair), &limits);
    assert_eq!(pairs, MOST as usize);
    let (flooded, most, _) = weighed((0..SUBSCRIBERS * PARTIES).map(pair), &limits);
    assert!(flooded < full * 11 / 10, "{flooded} bytes after ten times as many pairs, {full} before");
    // What says which leave: a weight a pair twice, and the keys of those as light as the border.
    assert!(most < full * 14 / 10, "{most} bytes at the most, {full} before");
}

#[test]
fn the_program_gives_freed_pages_back_soon() {
    // The allocator prints what it goes by when a program ends; a symbol that it did not read would be told nowhere else.
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_trawlwatch"));
    let told =
        program.arg("--version").env("_RJEM_MALLOC_CONF", "stats_print:true").output().expect("the program runs");
    let told = String::from_utf8_lossy(&told.stderr);
    assert!(told.contains("opt.dirty_decay_ms: 2000 "), "{told}");
}
