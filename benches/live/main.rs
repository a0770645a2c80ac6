//! Live capture: the highest rate without loss beside tcpdump's and Suricata's on the same veth pair, then a soak at half of it.
//! In: a network namespace (root), tcpreplay, tcpdump, Suricata where it is installed; the program as it is built for benches.
//! Out: a table; memory, latency and loss of the soak; `TRAWLWATCH_BENCH_REPORT=FILE` also writes them there.
//! `TRAWLWATCH_SOAK_MINUTES` sets the soak's length (20 unless set), `TRAWLWATCH_SOAK_PPS` its rate, without a search;
//! `TRAWLWATCH_BENCH=smoke` makes all of it seconds. Says "not run" where namespaces or tools are missing.
#![allow(clippy::print_stdout, reason = "a bench's output is for people")]
#![allow(missing_docs, reason = "a bench has no users")]

mod contenders;
mod net;
mod rate;
mod report;
mod soak;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use contenders::PROGRAM;
use net::{Net, ran};

/// What comes and goes in a soak: each for its phase, then the next.
const PHASES: [(&str, u32, &str); 4] = [
    ("fan-in", 1003, "--operation population-fan-in:subscribers=0.3,period=60s"),
    ("mirroring", 1004, "--operation traffic-mirroring:subscribers=0.1"),
    ("nothing", 1005, ""),
    ("two", 1006, "--operation dns-tunnel --operation bulk-exfiltration"),
];
/// Length of one try of a rate: the ring alone holds no more than a fraction of it.
const TRY: Duration = Duration::from_secs(5);

fn main() {
    for tool in ["tcpreplay", "tcpdump"] {
        if !ran(Command::new(tool).arg("--version")) {
            println!("live  not run: {tool} is missing; `make live-tools` installs it");
            return;
        }
    }
    let Some(net) = Net::new() else {
        println!("live  not run: this user may not make network namespaces");
        return;
    };
    let folder = std::env::temp_dir().join(format!("trawlwatch-live-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let is_smoke = std::env::var_os("TRAWLWATCH_BENCH").is_some_and(|word| word == "smoke");
    let phases = if is_smoke { &PHASES[..1] } else { &PHASES[..] };
    let captures: Vec<PathBuf> =
        phases.iter().map(|(name, seed, operations)| net::town(PROGRAM, &folder, name, *seed, operations)).collect();
    let endless = net::endless(&folder);
    let mut plan = soak::Plan {
        captures: &captures,
        phase: Duration::from_secs(60),
        endless: &endless,
        pps: number("TRAWLWATCH_SOAK_PPS").unwrap_or(5_000.0) as u32,
        lasts: Duration::from_secs_f64(number("TRAWLWATCH_SOAK_MINUTES").unwrap_or(20.0) * 60.0),
    };
    if is_smoke {
        plan.lasts = Duration::from_secs(4);
    }
    if is_smoke || number("TRAWLWATCH_SOAK_PPS").is_some() {
        println!("{}", report::text_of_soak(&soak::run(&net, &plan)));
    } else {
        let top = rate::of_the_sender(&net, &captures[0], TRY);
        let all = rate::search(&net, &folder, &captures[0], TRY, top);
        print!("{}", report::text_of_rates(top, &all));
        let ours = all.iter().find(|one| one.who == contenders::Who::Trawlwatch).map_or(0.0, rate::Highest::pps);
        plan.pps = (ours / 2.0).max(1_000.0) as u32;
        let soaked = soak::run(&net, &plan);
        println!("{}", report::text_of_soak(&soaked));
        if let Some(place) = std::env::var_os("TRAWLWATCH_BENCH_REPORT").map(PathBuf::from) {
            report::write(&place, top, &all, &soaked).unwrap_or_else(|error| panic!("{}: {error}", place.display()));
        }
    }
    drop(net);
    let _removed = std::fs::remove_dir_all(&folder);
}

fn number(name: &str) -> Option<f64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}: not a number")))
}
