//! A long run: operations that come and go, flows that never end; memory, latency, loss.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::contenders::{Watch, account, lost};
use crate::net::{Net, Pace};

/// Packets a second of the flows that never end.
const ENDLESS_PPS: u32 = 400;
/// Length of a run of the sender of flows that never end: it is begun again until the soak is over.
const ENDLESS_RUN: Duration = Duration::from_secs(5);

/// What is sent, and for how long.
pub struct Plan<'a> {
    /// Sent one after the other, round and round, for `phase` each.
    pub captures: &'a [PathBuf],
    pub phase: Duration,
    pub endless: &'a Path,
    pub pps: u32,
    pub lasts: Duration,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Soaked {
    pub minutes: f64,
    pub pps: u32,
    pub sent: u64,
    pub seen: u64,
    pub lost: u64,
    pub drops: String,
    /// Resident memory in MiB: after the first minute, the most, at the end.
    pub rss: [f64; 3],
    /// MiB a minute over the second half.
    pub slope: f64,
    /// Batch from arrival to summary, microseconds: median, 99 %.
    pub batch_us: [f64; 2],
    /// A window's line after that window's end, seconds: median, 99 %, most.
    pub late_s: [f64; 3],
    pub windows: u64,
    /// Findings told as new, grown, ended.
    pub told: [usize; 3],
    pub load: [String; 2],
}

pub fn run(net: &Net, plan: &Plan<'_>) -> Soaked {
    let load = load();
    let watch = Watch::start(net, &["--ended-after", "60s"]);
    let (began, is_over) = (Instant::now(), AtomicBool::new(false));
    let mut samples: Vec<(f64, f64)> = Vec::new();
    let sent = std::thread::scope(|scope| {
        let endless = scope.spawn(|| {
            let mut sent = 0;
            while !is_over.load(Relaxed) {
                sent += net.send(plan.endless, Pace::PacketsPerSecond(ENDLESS_PPS), ENDLESS_RUN, 1).packets;
            }
            sent
        });
        let sending = scope.spawn(|| {
            let mut sent = 0;
            for capture in plan.captures.iter().cycle() {
                let rest = plan.lasts.saturating_sub(began.elapsed());
                if rest < Duration::from_secs(1) {
                    break;
                }
                sent += net.send(capture, Pace::PacketsPerSecond(plan.pps), rest.min(plan.phase), 1).packets;
            }
            is_over.store(true, Relaxed);
            sent
        });
        while !is_over.load(Relaxed) {
            std::thread::sleep(Duration::from_secs(1));
            samples.push((began.elapsed().as_secs_f64(), watch.resident_kib() as f64 / 1024.0));
            if samples.len().is_multiple_of(60) {
                println!(
                    "live/soak  {:.0} s  rss={:.1} MiB  load {}",
                    began.elapsed().as_secs_f64(),
                    watch_rss(&samples),
                    self::load()
                );
            }
        }
        sending.join().expect("sends") + endless.join().expect("sends")
    });
    std::thread::sleep(Duration::from_secs(1));
    let lines = watch.stop();
    let account = account(&lines);
    let mut late: Vec<f64> = lines.iter().filter_map(|(at, line)| lateness(*at, line)).collect();
    late.sort_by(f64::total_cmp);
    let at = |q: f64| {
        late.get(((late.len() as f64 * q) as usize).min(late.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
    };
    let timing = |name: &str| account["timings"][name].as_f64().unwrap_or(f64::NAN);
    let told = |change: &str| lines.iter().filter(|(_, line)| line["trawl"]["change"] == change).count();
    let settled = samples.iter().find(|(second, _)| *second >= 60.0).or(samples.first());
    // The first half fills tables; what grows after it grows for ever.
    let late_half = &samples[samples.len() / 2..];
    Soaked {
        minutes: began.elapsed().as_secs_f64() / 60.0,
        pps: plan.pps,
        sent,
        seen: account["frames"].as_u64().unwrap_or(0),
        lost: lost(&account),
        drops: account["drops"].to_string(),
        rss: [
            settled.map_or(0.0, |sample| sample.1),
            samples.iter().map(|sample| sample.1).fold(0.0, f64::max),
            watch_rss(&samples),
        ],
        slope: slope(late_half) * 60.0,
        batch_us: [timing("batch_p50_us"), timing("batch_p99_us")],
        late_s: [at(0.5), at(0.99), at(1.0)],
        windows: account["windows"].as_u64().unwrap_or(0),
        told: ["new", "grown", "ended"].map(told),
        load: [load, self::load()],
    }
}

fn watch_rss(samples: &[(f64, f64)]) -> f64 {
    samples.last().map_or(0.0, |sample| sample.1)
}

fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// Seconds from a window's end until its line came.
fn lateness(came: SystemTime, line: &Value) -> Option<f64> {
    let end = line["stats"]["window"]["end"].as_str()?;
    let end = jiff::fmt::strtime::parse("%Y-%m-%dT%H:%M:%S%.f%z", end).ok()?.to_timestamp().ok()?;
    Some(came.duration_since(UNIX_EPOCH).ok()?.as_secs_f64() - end.as_nanosecond() as f64 / 1e9)
}

/// Least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len().max(1) as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / n, y + point.1 / n));
    let (over, under) = points
        .iter()
        .fold((0.0, 0.0), |(over, under), point| (over + (point.0 - x) * (point.1 - y), under + (point.0 - x).powi(2)));
    if under == 0.0 { 0.0 } else { over / under }
}
