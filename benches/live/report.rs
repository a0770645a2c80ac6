//! What was measured, as lines and as a section of the report.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use crate::net::Sent;
use crate::rate::Highest;
use crate::soak::Soaked;

/// Marks in the report between which this section stands; what a person wrote around them stays.
const BEGIN: &str = "<!-- begin of what `make soak-report` writes -->";
const END: &str = "<!-- end of what `make soak-report` writes -->";

/// Lines for a terminal.
pub fn text_of_rates(top: Sent, all: &[Highest]) -> String {
    let mut out = format!("live/rate  the senders alone: {:.0} pkt/s\n", top.pps());
    for one in all {
        let _ = writeln!(out, "live/rate  {:<10} {} | {}", one.who.name(), held(one), not_held(one));
    }
    out
}

/// Lines for a terminal.
pub fn text_of_soak(soak: &Soaked) -> String {
    let Soaked { minutes, pps, sent, seen, lost, drops, slope, windows, .. } = soak;
    let [first, most, last] = soak.rss;
    let ([batch_p50, batch_p99], [late_p50, late_p99, latest]) = (soak.batch_us, soak.late_s);
    let ([new, grown, ended], [load_before, load_after]) = (&soak.told, &soak.load);
    format!(
        "live/soak  {minutes:.1} min at {pps} pkt/s  sent={sent} seen={seen} lost={lost} {drops}\n\
         live/soak  rss after 1 min={first:.1} most={most:.1} last={last:.1} MiB  slope={slope:+.3} MiB/min\n\
         live/soak  batch p50={batch_p50} p99={batch_p99} us  window line after its end p50={late_p50:.2} p99={late_p99:.2} \
         most={latest:.2} s  windows={windows}\n\
         live/soak  findings told: {new} new, {grown} grown, {ended} ended  load {load_before} -> {load_after}"
    )
}

/// Puts the section into a file, between its marks.
pub fn write(place: &Path, top: Sent, all: &[Highest], soak: &Soaked) -> io::Result<()> {
    let before = std::fs::read_to_string(place).unwrap_or_default();
    let (head, tail) = match (before.find(BEGIN), before.find(END)) {
        (Some(begin), Some(end)) if begin < end => (before[..begin].to_owned(), &before[end + END.len()..]),
        _ => (format!("{}\n\n# Live\n\n", before.trim_end()), "\n"),
    };
    std::fs::write(place, format!("{head}{BEGIN}\n\n{}\n{END}{tail}", markdown(top, all, soak)))
}

fn markdown(top: Sent, all: &[Highest], soak: &Soaked) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut out = format!(
        "{cores} cores, Linux {}, a sender on each and the listener beside them. The senders alone reach {:.0} pkt/s.\n\n",
        kernel.trim(),
        top.pps()
    );
    out += "| listener on one veth | highest rate without loss | next rate tried, and what it lost | µs of CPU a packet |\n";
    out += "| --- | --- | --- | --- |\n";
    for one in all {
        let cpu = one.held.map_or(f64::NAN, |heard| heard.cpu_s * 1e6 / heard.sent.packets.max(1) as f64);
        let (about, version) = (one.who.about(), one.who.version());
        let _ = writeln!(out, "| {about} ({version}) | {} | {} | {cpu:.2} |", held(one), not_held(one));
    }
    let Soaked { minutes, pps, sent, seen, lost, rss, slope, batch_us, late_s, windows, told, load, .. } = soak;
    let _ = write!(
        out,
        "\n| soak of {minutes:.0} minutes at {pps} pkt/s | |\n| --- | --- |\n\
         | packets sent, seen, lost | {sent}, {seen}, {lost} |\n\
         | resident memory after one minute, most, at the end | {:.0}, {:.0}, {:.0} MiB |\n\
         | its slope over the second half | {slope:+.3} MiB a minute |\n\
         | a batch from arrival to summary, median and 99 % | {:.1} and {:.1} ms |\n\
         | a window's line after that window's end, median, 99 %, most | {:.2}, {:.2}, {:.2} s |\n\
         | windows; findings told as new, grown, ended | {windows}; {}, {}, {} |\n\
         | load averages at the beginning; at the end | {}; {} |\n",
        rss[0],
        rss[1],
        rss[2],
        batch_us[0] / 1e3,
        batch_us[1] / 1e3,
        late_s[0],
        late_s[1],
        late_s[2],
        told[0],
        told[1],
        told[2],
        load[0],
        load[1],
    );
    out
}

fn held(one: &Highest) -> String {
    one.held.map_or_else(|| "none that was tried".to_owned(), |heard| format!("{:.0} pkt/s", heard.sent.pps()))
}

fn not_held(one: &Highest) -> String {
    let Some(heard) = one.not_held.filter(|lossy| lossy.sent.pps() > one.pps()) else {
        return "none: the senders are at their end".to_owned();
    };
    let share = heard.lost as f64 * 100.0 / heard.sent.packets.max(1) as f64;
    format!("{:.0} pkt/s: {} of {} ({share:.2} %)", heard.sent.pps(), heard.lost, heard.sent.packets)
}
