//! The bench's table, as lines and as Markdown.

use std::io;
use std::path::Path;
use std::process::Command;

use crate::Line;
use crate::captures::MIXES;
use crate::contenders::{CONTENDERS, Kind};

/// Marks in the report between which its tables stand; what a person wrote around them stays.
const BEGIN: &str = "<!-- begin of what `make bench-report` writes -->";
const END: &str = "<!-- end of what `make bench-report` writes -->";

/// One line for a terminal.
pub fn text(line: &Line) -> String {
    let Line { mix, who, packets, cost, over_floor } = line;
    format!(
        "whole/{mix:<9} {:<9} n={packets:<9} cpu={:7.3} s  wall={:7.3} s  {:8.1} ns/pkt  x{over_floor:6.2} of libpcap  {:6.0} MB",
        who.name,
        cost.cpu.as_secs_f64(),
        cost.wall.as_secs_f64(),
        cost.cpu.as_secs_f64() * 1e9 / (*packets).max(1) as f64,
        cost.bytes as f64 / 1e6,
    )
}

/// Puts the tables into a file, between their marks.
pub fn write(place: &Path, lines: &[Line]) -> io::Result<()> {
    let before = std::fs::read_to_string(place).unwrap_or_default();
    let (head, tail) = match (before.find(BEGIN), before.find(END)) {
        (Some(begin), Some(end)) if begin < end => (&before[..begin], &before[end + END.len()..]),
        _ => (before.as_str(), "\n"),
    };
    std::fs::write(place, format!("{head}{BEGIN}\n\n{}\n{END}{tail}", markdown(lines)))
}

fn markdown(lines: &[Line]) -> String {
    let mut out = format!("Machine: {}.\n", machine());
    let peers = CONTENDERS.iter().filter(|who| who.kind == Kind::Peer);
    let (there, missing): (Vec<_>, Vec<_>) = peers.partition(|who| who.is_there());
    out += &format!("Peers here: {}.", names(there.iter().map(|who| format!("{} ({})", who.name, version(who.name)))));
    out += &format!(" Not installed: {}.\n", names(missing.iter().map(|who| who.name.to_owned())));
    for mix in MIXES {
        let of_mix: Vec<&Line> = lines.iter().filter(|line| line.mix == mix.name).collect();
        let Some(first) = of_mix.first() else { continue };
        out += &format!("\n**{}**: {}; {} packets.\n\n", mix.name, mix.about, first.packets);
        out += "| who | CPU s | wall s | ns a packet | of the libpcap loop | MB |\n| --- | --- | --- | --- | --- | --- |\n";
        for line in of_mix {
            let cpu = line.cost.cpu.as_secs_f64();
            out += &format!(
                "| {} | {cpu:.2} | {:.2} | {:.0} | {:.2} | {:.0} |\n",
                line.who.about,
                line.cost.wall.as_secs_f64(),
                cpu * 1e9 / line.packets.max(1) as f64,
                line.over_floor,
                line.cost.bytes as f64 / 1e6
            );
        }
    }
    out
}

fn names(all: impl Iterator<Item = String>) -> String {
    let list: Vec<String> = all.collect();
    if list.is_empty() { "none".to_owned() } else { list.join(", ") }
}

fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split(':').nth(1)).unwrap_or("unknown");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split(' ').take(3).collect();
    format!(
        "{}, {cores} cores, Linux {}, load averages at the end {}; trawlwatch {}",
        model.trim(),
        kernel.trim(),
        load.join(" "),
        env!("CARGO_PKG_VERSION")
    )
}

fn version(name: &str) -> String {
    let query = match name {
        "nfpcapd" => ["-W", "-f", "${Version}", "nfdump"],
        "argus" => ["-W", "-f", "${Version}", "argus-server"],
        other => ["-W", "-f", "${Version}", other],
    };
    let found = Command::new("dpkg-query").args(query).output().ok().filter(|output| output.status.success());
    found.map_or_else(|| "version not told".to_owned(), |output| String::from_utf8_lossy(&output.stdout).into_owned())
}
