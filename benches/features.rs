//! Features: nanoseconds a flow, at each level that this machine has; every line's answer is checked against the scalar one.
//! `cargo bench --bench features`. Batches of 512 rows stay in cache; one of 20,000 (15 MB of rows) comes from memory.
#![allow(missing_docs, reason = "a program")]
#![allow(clippy::print_stdout, reason = "a bench prints")]

use std::time::Instant;

use trawlwatch::features::{self, FEATURE_COUNT, FeatureMatrix};
use trawlwatch::flow::row::{FlowColumns, FlowRow, SideRow};
use trawlwatch::simd;
use trawlwatch::units::{DurationNs, TimestampNs};

fn main() {
    // The level is chosen once a process: this bench runs itself once for each.
    let levels = simd::Level::ALL.into_iter().filter(|level| level.is_available());
    if std::env::var_os("TRAWLWATCH_SIMD").is_none() {
        let me = std::env::current_exe().expect("a running program has a path");
        let (mut checks, mut outputs) = (Vec::new(), Vec::new());
        for level in levels {
            let run = std::process::Command::new(&me).env("TRAWLWATCH_SIMD", level.name()).output().expect("starts");
            let lines = String::from_utf8_lossy(&run.stdout).into_owned();
            print!("{lines}");
            assert!(run.status.success(), "{}", level.name());
            checks.push(
                lines.lines().filter_map(|line| line.split("check=").nth(1).map(str::to_owned)).collect::<Vec<_>>(),
            );
            outputs.push(lines);
        }
        ratios(&outputs);
        assert!(checks.windows(2).all(|pair| pair[0] == pair[1]), "every level gives the same bits: {checks:?}");
        return;
    }
    for (name, batch, rows) in [("in-cache", 512, 400_000), ("from-memory", 20_000, 400_000)] {
        let flows = flows(batch);
        let mut matrix = FeatureMatrix::new();
        features::compute(&flows, &mut matrix);
        let check = checksum(&matrix);
        // Many short rounds and the best of them: on a machine that others use, a long round measures the others.
        let mut best = f64::INFINITY;
        for _ in 0..rows / batch * 3 {
            let start = Instant::now();
            features::compute(std::hint::black_box(&flows), &mut matrix);
            best = best.min(start.elapsed().as_secs_f64() / batch as f64 * 1e9);
        }
        assert_eq!(check, checksum(&matrix), "the same rows give the same features");
        println!(
            "features/compute  {:<8} {name:<11}  n={rows} x {FEATURE_COUNT}  {best:.1} ns/flow  {:.2} Mflow/s  check={check:08x}",
            simd::level().name(),
            1e3 / best
        );
    }
}

/// How many times faster than the scalar code, line by line.
fn ratios(outputs: &[String]) {
    let nanoseconds = |output: &String| -> Vec<(String, String, f64)> {
        let lines = output.lines().filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let at = words.iter().position(|word| *word == "ns/flow")?;
            Some((words[1].to_owned(), words[2].to_owned(), words[at - 1].parse().ok()?))
        });
        lines.collect()
    };
    let all: Vec<_> = outputs.iter().map(nanoseconds).collect();
    let Some(scalar) = all.iter().find(|lines| lines.first().is_some_and(|line| line.0 == "scalar")) else { return };
    for lines in all.iter().filter(|lines| *lines != scalar) {
        for ((level, batch, ns), (_, _, plain)) in lines.iter().zip(scalar) {
            println!("features/ratio    {level:<8} {batch:<11}  {:.1} times as fast as scalar", plain / ns);
        }
    }
}

fn checksum(matrix: &FeatureMatrix) -> u32 {
    let mut row = [0.0; FEATURE_COUNT];
    (0..matrix.rows()).fold(0x811c_9dc5u32, |hash, i| {
        matrix.copy_row(i, &mut row);
        row.iter().fold(hash, |hash, x| (hash ^ x.to_bits()).wrapping_mul(0x0100_0193))
    })
}

/// Flows of a plausible mix, from a fixed seed.
fn flows(rows: usize) -> FlowColumns {
    let mut state = 11u64;
    let mut next = move |max: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % (max + 1)
    };
    let mut columns = FlowColumns::default();
    for _ in 0..rows {
        let mut row = FlowRow::default();
        row.key.protocol = if next(2) == 0 { 17 } else { 6 };
        row.ts_first = TimestampNs(next(1 << 40));
        row.ts_last = row.ts_first.after(DurationNs(next(1 << 36)));
        row.active = DurationNs(next(1 << 34));
        row.turns = next(40) as u32;
        row.bursts = 1 + next(5) as u32;
        for side in &mut row.sides {
            let packets = 1 + (1u64 << next(10));
            let payload_packets = next(packets);
            *side = SideRow {
                packets: packets as u32,
                payload_packets: payload_packets as u32,
                payload_bytes: payload_packets * (1 + next(1400)),
                ..SideRow::default()
            };
            side.ip_bytes = side.payload_bytes + 40 * packets;
            side.stream_bytes = side.payload_bytes;
            side.size_square_sum = side.payload_bytes * (1 + next(1400));
            side.first_sizes = std::array::from_fn(|_| next(1400) as u16);
            side.size_bins = std::array::from_fn(|_| next(packets / 6) as u16);
            side.gap_bins = std::array::from_fn(|_| next(packets / 8) as u16);
            side.gap_sum_ns = next(1 << 36);
            side.gap_square_sum_s2 = next(1 << 20) as f32 * 0.01;
        }
        columns.push(row);
    }
    columns
}
