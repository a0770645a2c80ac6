//! Live capture: the highest rate without loss beside tcpdump's on the same veth pair, then a soak at half of it.
//! In: network namespaces (root), tcpreplay, tcpdump; the program as it is built for benches. Out: a table, one line a
//! sample, the slope of resident memory, latency. `TRAWLWATCH_SOAK_MINUTES` sets the soak's length (20 unless set);
//! `TRAWLWATCH_BENCH=smoke` makes it seconds. Says "not run" where namespaces or tools are missing.
#![allow(clippy::print_stdout, reason = "a bench's output is for people")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_trawlwatch");
/// Packets a second tried, each half as much again as the one before.
const RATES: [u32; 10] = [20_000, 30_000, 45_000, 68_000, 100_000, 150_000, 225_000, 340_000, 500_000, 750_000];

/// A namespace with a veth pair; removed when dropped.
struct Net(String);

impl Net {
    fn new() -> Option<Self> {
        let net = Self(format!("trawlbench{}", std::process::id()));
        let quiet = "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6";
        let made = ran(Command::new("ip").args(["netns", "add", &net.0]))
            && ran(net.command("sh").args(["-c", quiet]))
            && net.ip("link add va mtu 9000 type veth peer name vb mtu 9000")
            && net.ip("link set va up")
            && net.ip("link set vb up");
        made.then_some(net)
    }

    fn ip(&self, words: &str) -> bool {
        ran(Command::new("ip").args(["-n", &self.0]).args(words.split(' ')))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0, program]).stdin(Stdio::null());
        command
    }

    /// Sends a capture, over and over, for a while; packets sent and seconds taken.
    fn send(&self, capture: &Path, pps: u32, lasts: Duration) -> (u64, f64) {
        let (pps, seconds) = (format!("--pps={pps}"), format!("--duration={}", lasts.as_secs()));
        let out = self.command("tcpreplay").args(["-i", "va", "-K", "--loop=0", &pps, &seconds]).arg(capture).output();
        let out = out.expect("tcpreplay starts");
        let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        let number = |label: &str| -> f64 {
            let rest = said.split(label).nth(1).unwrap_or_else(|| panic!("tcpreplay: {said}"));
            let end = rest.trim_start().find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(0);
            rest.trim_start()[..end].parse().expect("a number")
        };
        (number("Successful packets:") as u64, number(" bytes) sent in"))
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        ran(Command::new("ip").args(["netns", "del", &self.0]));
    }
}

fn ran(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// The program under way: its lines with the moment at which each came.
struct Watch {
    child: Child,
    lines: Receiver<(SystemTime, String)>,
}

impl Watch {
    fn start(net: &Net, more: &[&str]) -> Self {
        let mut command = net.command(PROGRAM);
        command.args(["watch", "-i", "vb", "--format", "json", "--window", "5s"]).args(more);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut said = BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        while !line.contains("confined:") {
            assert!(said.read_line(&mut line).expect("speaks") > 0, "trawlwatch: {line}");
        }
        // What it says later is not wanted, and must not block it.
        std::thread::spawn(move || said.lines().map_while(Result::ok).for_each(drop));
        let (to, lines) = channel();
        let out = BufReader::new(child.stdout.take().expect("piped"));
        std::thread::spawn(move || {
            out.lines().map_while(Result::ok).try_for_each(|line| to.send((SystemTime::now(), line)))
        });
        Self { child, lines }
    }

    fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0)
    }

    /// Ends it: its lines, the closing account among them.
    fn stop(mut self) -> Vec<(SystemTime, Value)> {
        ran(Command::new("kill").args(["-TERM", &self.child.id().to_string()]));
        self.child.wait().expect("ends");
        let lines = self.lines.iter();
        lines.filter_map(|(at, line)| Some((at, serde_json::from_str(&line).ok()?))).collect()
    }
}

fn account(lines: &[(SystemTime, Value)]) -> Value {
    let closing = lines.iter().rfind(|(_, line)| line["stats"]["files"].is_array());
    closing.expect("a closing account").1["stats"].clone()
}

fn lost(account: &Value) -> u64 {
    account["drops"].as_object().into_iter().flatten().filter_map(|(_, n)| n.as_u64()).sum()
}

/// Packets that tcpdump wrote to nowhere, and that it lost, at a rate.
fn tcpdump(net: &Net, capture: &Path, pps: u32, lasts: Duration) -> (u64, u64, f64) {
    let mut command = net.command("tcpdump");
    command.args(["-i", "vb", "-Z", "root", "-B", "65536", "-w", "/dev/null"]).stderr(Stdio::piped());
    let mut child = command.spawn().expect("tcpdump starts");
    let mut said = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    while !line.contains("listening on") {
        assert!(said.read_line(&mut line).expect("speaks") > 0, "tcpdump: {line}");
    }
    let (sent, seconds) = net.send(capture, pps, lasts);
    // tcpdump's blocks stay open for a second.
    std::thread::sleep(Duration::from_millis(1_500));
    ran(Command::new("kill").args(["-INT", &child.id().to_string()]));
    child.wait().expect("ends");
    let captured = said
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_suffix(" packets captured").and_then(|n| n.trim().parse::<u64>().ok()));
    (sent, sent.saturating_sub(captured.unwrap_or(0)), seconds)
}

/// The highest rate of the ladder at which nothing is lost, by each; the first loss ends a column.
fn table(net: &Net, capture: &Path, lasts: Duration) -> u32 {
    println!("live/rate  asked pkt/s   trawlwatch: sent/s   lost      tcpdump: sent/s   lost");
    let (mut best, mut best_of_tcpdump) = (0, 0);
    for pps in RATES {
        let watch = Watch::start(net, &[]);
        let (sent, seconds) = net.send(capture, pps, lasts);
        let lines = watch.stop();
        let account = account(&lines);
        let ours = lost(&account);
        let seen = account["frames"].as_u64().expect("a number");
        let drops = |cause: &str| account["drops"][cause].as_u64().unwrap_or(0);
        assert_eq!(
            seen + drops("kernel-ring-full") + drops("unread-at-the-end"),
            sent,
            "seen and lost are what was sent"
        );
        let (sent_too, theirs, seconds_too) = tcpdump(net, capture, pps, lasts);
        let rate = sent as f64 / seconds;
        println!("live/rate  {pps:>11}   {rate:>18.0}   {ours:<8}  {:>15.0}   {theirs}", sent_too as f64 / seconds_too);
        best = if ours == 0 { best.max(rate as u32) } else { best };
        best_of_tcpdump =
            if theirs == 0 { best_of_tcpdump.max((sent_too as f64 / seconds_too) as u32) } else { best_of_tcpdump };
        // The sender is at its end, or both have lost: further rungs say nothing.
        if rate < f64::from(pps) * 0.8 || (ours > 0 && theirs > 0) {
            break;
        }
    }
    println!("live/loss-free  trawlwatch={best} pkt/s  tcpdump={best_of_tcpdump} pkt/s");
    best
}

/// Runs at a rate for long: memory, latency, loss.
fn soak(net: &Net, capture: &Path, pps: u32, lasts: Duration) {
    let watch = Watch::start(net, &[]);
    let began = Instant::now();
    let mut samples = Vec::new();
    let sent = std::thread::scope(|scope| {
        let sending = scope.spawn(|| net.send(capture, pps, lasts).0);
        while !sending.is_finished() {
            std::thread::sleep(Duration::from_secs(1));
            samples.push((began.elapsed().as_secs_f64(), watch.resident_kib() as f64));
        }
        sending.join().expect("sends")
    });
    std::thread::sleep(Duration::from_secs(1));
    let lines = watch.stop();
    let account = account(&lines);
    // The first half fills tables; what grows after it grows for ever.
    let late: Vec<(f64, f64)> = samples[samples.len() / 2..].to_vec();
    let mut late_by_window: Vec<f64> = lines.iter().filter_map(|(at, line)| lateness(*at, line)).collect();
    late_by_window.sort_by(f64::total_cmp);
    let at = |q: f64| late_by_window.get((late_by_window.len() as f64 * q) as usize).copied().unwrap_or(f64::NAN);
    let timing = |name: &str| account["timings"][name].as_f64().unwrap_or(f64::NAN);
    println!(
        "live/soak  {:.1} min at {pps} pkt/s  sent={sent} seen={} lost={}  rss first={:.0} last={:.0} MiB slope={:+.3} MiB/min",
        began.elapsed().as_secs_f64() / 60.0,
        account["frames"],
        lost(&account),
        samples.first().map_or(0.0, |s| s.1 / 1024.0),
        samples.last().map_or(0.0, |s| s.1 / 1024.0),
        slope(&late) * 60.0 / 1024.0,
    );
    println!(
        "live/soak  batch p50={} p99={} us  window line after its end p50={:.2} p99={:.2} s  windows={}  findings told={}",
        timing("batch_p50_us"),
        timing("batch_p99_us"),
        at(0.5),
        at(0.99),
        account["windows"],
        lines.iter().filter(|(_, line)| line["event_type"] == "alert").count()
    );
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

/// Ten minutes of a town with operations that come and go, and flows that never end: the capture is sent round and round.
fn capture(folder: &Path) -> PathBuf {
    let to = folder.join("soak.pcap");
    let options = "synth --world town --subscribers 60 --hours 0.1 --start 2026-03-02T19:00:00Z --activity 0.05 --volume 0.003 \
                   --seed 3 --operation population-fan-in:subscribers=0.3,period=60s --operation traffic-mirroring:subscribers=0.1 \
                   --negative push-keepalive:subscribers=0.5 --force --output";
    assert!(ran(Command::new(PROGRAM).args(options.split_whitespace()).arg(&to)), "synth writes {}", to.display());
    to
}

fn main() {
    let tools = ["tcpreplay", "tcpdump"];
    let missing = tools.into_iter().find(|tool| !ran(Command::new(tool).arg("--version")));
    if let Some(tool) = missing {
        println!("live  not run: {tool} is missing; `make live-tools` installs it");
        return;
    }
    let Some(net) = Net::new() else {
        println!("live  not run: this user may not make network namespaces");
        return;
    };
    let folder = std::env::temp_dir().join(format!("trawlwatch-live-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let capture = capture(&folder);
    let is_smoke = std::env::var_os("TRAWLWATCH_BENCH").is_some_and(|word| word == "smoke");
    let minutes =
        std::env::var("TRAWLWATCH_SOAK_MINUTES").ok().and_then(|text| text.parse::<f64>().ok()).unwrap_or(20.0);
    if is_smoke {
        soak(&net, &capture, 5_000, Duration::from_secs(4));
    } else {
        let best = table(&net, &capture, Duration::from_secs(6));
        soak(&net, &capture, (best / 2).max(1_000), Duration::from_secs_f64(minutes * 60.0));
    }
    drop(net);
    let _removed = std::fs::remove_dir_all(&folder);
}
