//! The whole program beside the cheapest thing that could read the same file, and beside its peers: processor time of whole
//! processes, in turn, in one run, over captures that are made once from fixed seeds.
//! Out: a line a contender and capture; `TRAWLWATCH_BENCH_REPORT=FILE` also writes the table there.
//! `TRAWLWATCH_BENCH=smoke` makes it small; `TRAWLWATCH_BENCH_PACKETS=N` sets how many packets 100 % are, `…_ROUNDS=N` how
//! often each runs, `…_ONLY=imix,min64` and `…_WHO=libpcap,replay` choose.
#![allow(clippy::print_stdout, reason = "a bench's output is for people")]
#![allow(missing_docs, reason = "a bench has no users")]

mod captures;
mod contenders;
mod frames;
mod report;

use std::path::{Path, PathBuf};
use std::time::Duration;

use contenders::{CONTENDERS, Contender, Cost, Kind};

/// Packets of a mix of 100 %: five hundred thousand flows of the IMIX.
const PACKETS: u64 = 3_500_000;
const PACKETS_SMOKE: u64 = 21_000;
/// Peers run on the plain mixes only; the rest is about this program's own bounds.
const MIXES_OF_PEERS: &[&str] = &["imix", "min64"];

/// What one contender cost on one capture, medians.
pub struct Line {
    pub mix: &'static str,
    pub who: &'static Contender,
    pub packets: u64,
    pub cost: Cost,
    /// Processor time over the libpcap loop's in the same run.
    pub over_floor: f64,
}

fn main() {
    let mut args = std::env::args().skip(1);
    if let (Some(which), Some(capture)) = (args.next().filter(|arg| arg.starts_with("floor-")), args.next()) {
        return println!("{}", contenders::floor(&which, Path::new(&capture)));
    }
    let is_smoke = std::env::var("TRAWLWATCH_BENCH").is_ok_and(|size| size == "smoke");
    let packets = number("TRAWLWATCH_BENCH_PACKETS").unwrap_or(if is_smoke { PACKETS_SMOKE } else { PACKETS });
    let rounds = number("TRAWLWATCH_BENCH_ROUNDS").unwrap_or(if is_smoke { 1 } else { 5 });
    let (only, chosen) = (list("TRAWLWATCH_BENCH_ONLY"), list("TRAWLWATCH_BENCH_WHO"));
    let is_wanted = |list: &[String], name: &str| list.is_empty() || list.iter().any(|wanted| wanted == name);
    let folder = target().join("whole-bench");
    let out = folder.join("out");
    std::fs::create_dir_all(&out).unwrap_or_else(|error| panic!("{}: {error}", out.display()));
    let there: Vec<&Contender> = CONTENDERS
        .iter()
        .filter(|who| who.kind == Kind::Floor || is_wanted(&chosen, who.name))
        .filter(|who| !(is_smoke && who.kind == Kind::Peer) && who.is_there())
        .collect();
    let mut lines = Vec::new();
    for mix in captures::MIXES.iter().filter(|mix| is_wanted(&only, mix.name)) {
        let (capture, packets) =
            captures::make(&folder, mix, packets).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let takes_part = |who: &&&Contender| who.kind != Kind::Peer || MIXES_OF_PEERS.contains(&mix.name);
        let those: Vec<&'static Contender> = there.iter().filter(takes_part).copied().collect();
        let costs = rounds_of(&those, &capture, &out, packets, rounds);
        let floor = costs.first().map_or(Duration::ZERO, |cost| cost.cpu);
        for (who, cost) in those.into_iter().zip(costs) {
            let over_floor = cost.cpu.as_secs_f64() / floor.as_secs_f64().max(1e-9);
            let line = Line { mix: mix.name, who, packets, cost, over_floor };
            println!("{}", report::text(&line));
            lines.push(line);
        }
    }
    if let Some(place) = std::env::var_os("TRAWLWATCH_BENCH_REPORT").map(PathBuf::from) {
        report::write(&place, &lines).unwrap_or_else(|error| panic!("{}: {error}", place.display()));
    }
}

/// Everyone in turn, round after round, so that what the machine does meanwhile falls on all alike; medians.
fn rounds_of(those: &[&Contender], capture: &Path, out: &Path, packets: u64, rounds: u64) -> Vec<Cost> {
    let mut costs: Vec<Vec<Cost>> = those.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds.max(1) {
        for (who, costs) in those.iter().zip(&mut costs) {
            costs.push(who.run(capture, out, packets).unwrap_or_else(|error| panic!("{}: {error}", who.name)));
        }
    }
    costs.into_iter().map(median).collect()
}

fn median(mut costs: Vec<Cost>) -> Cost {
    let bytes = costs.iter().map(|cost| cost.bytes).max().unwrap_or(0);
    costs.sort_by_key(|cost| cost.wall);
    let wall = costs[costs.len() / 2].wall;
    costs.sort_by_key(|cost| cost.cpu);
    Cost { cpu: costs[costs.len() / 2].cpu, wall, bytes }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.replace('_', "").parse().unwrap_or_else(|_| panic!("{name}={text}: not a number")))
}

fn list(name: &str) -> Vec<String> {
    std::env::var(name).map(|text| text.split(',').map(|word| word.trim().to_owned()).collect()).unwrap_or_default()
}

fn target() -> PathBuf {
    // This bench lies in TARGET/release/deps.
    let own = std::env::current_exe().expect("this bench is running");
    own.ancestors().nth(3).map_or_else(|| PathBuf::from("target"), Path::to_path_buf)
}
