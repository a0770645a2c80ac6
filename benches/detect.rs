//! A window's end: milliseconds to merge two workers' summaries, to bound them, and of each detector, over 100,000 collectors.
//! In: rows made here from a counter. Out: one line a stage, the best of some rounds; the check is the number of collectors,
//! or of findings. `TRAWLWATCH_BENCH=smoke` makes it small.
//! Time: that which the thread spent on a processor, where the system tells it, else wall time.
#![allow(clippy::print_stdout, reason = "its lines are its result")]

use std::time::Instant;

use trawlwatch::detect::DETECTORS;
use trawlwatch::detect::scene::Scene;
use trawlwatch::flow::row::{ConnState, FlowColumns, FlowRow, SideRow};
use trawlwatch::packet::columns::FlowKey;
use trawlwatch::population::places::Places;
use trawlwatch::population::{AddContext, Populations, Span, Summary, SummaryLimits};
use trawlwatch::privacy::{Key, PseudonymCache, Pseudonymiser};
use trawlwatch::units::{Address, DurationNs, TimestampNs};

const START_S: u64 = 1_800_000_000;

/// SplitMix64.
fn mixed(n: u64) -> u64 {
    let mut x = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Every collector once, and as many rows again to the first hundredth of them.
fn rows(collectors: u64, worker: u64) -> FlowColumns {
    let mut columns = FlowColumns::default();
    for n in (worker..2 * collectors).step_by(2) {
        let x = mixed(n);
        let party = if n < collectors { n } else { x % (collectors / 100).max(1) };
        let subscriber = (x >> 20) % 20_000;
        let side = |bytes: u64| SideRow {
            packets: 6,
            ip_bytes: bytes + 240,
            payload_bytes: bytes,
            payload_packets: 4,
            ..SideRow::default()
        };
        let first = TimestampNs(DurationNs::from_secs(START_S).0 + x % 60_000_000_000);
        columns.push(FlowRow {
            key: FlowKey {
                addresses: [
                    Address::v4([10, 20, (subscriber >> 8) as u8, subscriber as u8]),
                    Address::v4([60 + (party >> 16) as u8, (party >> 8) as u8, party as u8, 7]),
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
            turns: 2,
            sides: [side(200 + x % 5000), side(x % 90_000)],
            ..FlowRow::default()
        });
    }
    columns
}

fn now_ns() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
}

/// Processor time of one call, seconds.
fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let (before, begun) = (now_ns(), Instant::now());
    let done = work();
    let seconds = before.zip(now_ns()).map(|(a, b)| b.saturating_sub(a) as f64 / 1e9);
    (seconds.unwrap_or_else(|| begun.elapsed().as_secs_f64()), done)
}

fn main() {
    let is_smoke = std::env::var("TRAWLWATCH_BENCH").is_ok_and(|size| size == "smoke");
    let (collectors, rounds) = if is_smoke { (4_000, 1) } else { (100_000, 3) };
    let (populations, places) = (Populations::default_private(), Places::default());
    let limits = SummaryLimits { collectors_max: 2 * collectors as usize, ..SummaryLimits::default() };
    let mut identity = PseudonymCache::new(Pseudonymiser::new(&Key::derive(b"bench")));
    let start = TimestampNs(DurationNs::from_secs(START_S).0);
    let span = Span::new(start, start.after(DurationNs::from_secs(60)));
    let parts = [0, 1].map(|worker| {
        let mut summary = Summary::new(span);
        let mut cx = AddContext { populations: &populations, identity: &mut identity, limits: &limits };
        summary.add_rows(&rows(collectors, worker), &[], &mut cx);
        summary
    });
    let mut best: Vec<(String, f64, u64)> = Vec::new();
    for _ in 0..rounds {
        let [mut whole, other] = parts.clone();
        let mut stages = Vec::new();
        let (seconds, merged) = timed(|| whole.merge(other));
        merged.expect("one policy, one key");
        stages.push(("merge".to_owned(), seconds, whole.collectors.len() as u64));
        let (seconds, ()) = timed(|| whole.bound(&limits));
        stages.push(("bound".to_owned(), seconds, whole.collectors.len() as u64));
        let (seconds, scene) = timed(|| Scene::new(&whole, &populations, &places, None));
        stages.push(("scene".to_owned(), seconds, scene.collectors().len() as u64));
        for detector in DETECTORS {
            let mut found = Vec::new();
            let (seconds, ()) = timed(|| (detector.detect)(&scene, &mut found));
            stages.push((format!("{:?}", detector.technique), seconds, found.len() as u64));
        }
        match best.is_empty() {
            true => best = stages,
            false => best.iter_mut().zip(stages).for_each(|(best, stage)| best.1 = best.1.min(stage.1)),
        }
    }
    let total: f64 = best.iter().map(|(_, seconds, _)| seconds).sum();
    assert_eq!(best[0].2, collectors, "every collector is in the merged summary");
    for (name, seconds, check) in best {
        println!("detect/{name:<24} n={collectors:<8} {:>9.2} ms  check={check}", seconds * 1e3);
    }
    println!("detect/{:<24} n={collectors:<8} {:>9.2} ms", "all", total * 1e3);
}
