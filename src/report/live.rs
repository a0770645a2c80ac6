//! What a live run says: findings as they begin, grow and end; what each window saw and lost; the same for syslog.
//! In: judged findings and what became of them. Out: lines in the run's format, RFC 5424 messages.
//! Bounds: one line is built in memory. Not here: where lines go, and what happens where nobody takes them (`cli`).

use std::io::{self, Write};

use serde::Serialize;

use super::escape::{words, write_json_line};
use super::figures::{self, eve_time, finite};
use super::stats::{Counts, total};
use super::{Format, Layout, eve, finding_id, json, text};
use crate::detect::finding::{Finding, Severity};
use crate::units::TimestampNs;

/// What became of a finding since it was last told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Change {
    /// It was not there before, or had ended.
    New,
    /// Its severity rose, or it doubled.
    Grown,
    /// Nothing of it was seen for long, or it was taken back (its severity and explanation say so).
    Ended,
}

impl Change {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::New, Self::Grown, Self::Ended];

    /// The word in every output.
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Grown => "grown",
            Self::Ended => "ended",
        }
    }
}

/// What one window saw and lost.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowStats {
    /// Its number in the run, from 0.
    pub number: u64,
    /// Where it began.
    pub start: TimestampNs,
    /// The first time past it.
    pub end: TimestampNs,
    /// Frames taken in since the window before closed.
    pub frames: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// What was lost since then, by cause.
    pub drops: Counts,
    /// Part of what passed that was lost, 0 to 1.
    pub lost_share: f64,
    /// Part of what passed that findings of this window rest on: less where it was lost or sampled.
    pub confidence: f64,
}

/// Writes a finding with what became of it. Text shows a new one whole and gives the others a line.
pub fn write_change(
    format: Format,
    out: &mut dyn Write,
    finding: &Finding,
    change: Change,
    layout: Layout<'_>,
) -> io::Result<()> {
    match (format, change) {
        (Format::Json, _) => json::write_change(out, finding, Some(change.name()), layout.reveal),
        (Format::Eve, _) => eve::write_change(out, finding, Some(change.name()), layout.reveal),
        (Format::Text, Change::New) => {
            writeln!(out, "{} {}", eve_time(finding.end), line(finding, change))?;
            text::write_finding(out, finding, layout)
        }
        (Format::Text, _) => writeln!(out, "{} {}", eve_time(finding.end), line(finding, change)),
    }
}

/// A finding in a line: what became of it, how bad, who, how much.
pub fn line(finding: &Finding, change: Change) -> String {
    format!(
        "{} {} {}: {}, {} up [{}]",
        change.name(),
        finding.severity.name(),
        finding.technique.id(),
        words(&finding.headline),
        figures::bytes(finding.bytes_up),
        finding_id(finding),
    )
}

#[derive(Serialize)]
struct StatsLine<'a> {
    timestamp: String,
    event_type: &'static str,
    stats: StatsBody<'a>,
}

#[derive(Serialize)]
struct StatsBody<'a> {
    window: WindowLine,
    frames: u64,
    bytes: u64,
    drops: &'a Counts,
    lost_share: Option<f64>,
    confidence: Option<f64>,
}

#[derive(Serialize)]
struct WindowLine {
    number: u64,
    start: String,
    end: String,
}

#[derive(Serialize)]
struct EveStatsLine {
    timestamp: String,
    event_type: &'static str,
    stats: EveStatsBody,
}

#[derive(Serialize)]
struct EveStatsBody {
    capture: EveCapture,
}

#[derive(Serialize)]
struct EveCapture {
    kernel_packets: u64,
    kernel_drops: u64,
}

/// Writes what a window saw and lost; text leaves that to the status line.
pub fn write_window(format: Format, out: &mut dyn Write, stats: &WindowStats) -> io::Result<()> {
    let timestamp = eve_time(stats.end);
    match format {
        Format::Text => Ok(()),
        Format::Json => {
            let window = WindowLine { number: stats.number, start: eve_time(stats.start), end: eve_time(stats.end) };
            let body = StatsBody {
                window,
                frames: stats.frames,
                bytes: stats.bytes,
                drops: &stats.drops,
                lost_share: finite(stats.lost_share),
                confidence: finite(stats.confidence),
            };
            write_json_line(out, &StatsLine { timestamp, event_type: "stats", stats: body })
        }
        Format::Eve => {
            let capture = EveCapture { kernel_packets: stats.frames, kernel_drops: total(&stats.drops) };
            write_json_line(out, &EveStatsLine { timestamp, event_type: "stats", stats: EveStatsBody { capture } })
        }
    }
}

/// Private enterprise number of the structured data: the one set aside for documentation (RFC 5612).
const ENTERPRISE: u32 = 32_473;
/// Facility `local4`: as far as rsyslog and syslog-ng go by default, a program's own.
const FACILITY: u8 = 20;

/// Who sends, for syslog's header.
#[derive(Clone, Debug)]
pub struct SyslogSender {
    /// Name of this machine.
    pub host: String,
    /// Process id.
    pub pid: u32,
}

/// A finding as an RFC 5424 message, without framing. `at` is the wall clock: syslog's time is the message's.
pub fn syslog(sender: &SyslogSender, at: TimestampNs, finding: &Finding, change: Change, body: &str) -> String {
    let level = match (change, finding.severity) {
        (Change::Ended, _) | (_, Severity::Info) => 6,
        (_, Severity::Critical) => 2,
        (_, Severity::High) => 3,
        (_, Severity::Medium) => 4,
        (_, Severity::Low) => 5,
    };
    let parameter = |name: &str, value: &str| format!(" {name}=\"{}\"", escaped(value));
    let data: String = [
        ("id", finding_id(finding)),
        ("change", change.name().to_owned()),
        ("severity", finding.severity.name().to_owned()),
        ("score", format!("{:.3}", finite(finding.score).unwrap_or(0.0))),
        ("collector", finding.collector.addresses.first().map(ToString::to_string).unwrap_or_default()),
        ("population", finding.population.name.clone()),
        ("subscribers", finding.population.subscribers.to_string()),
    ]
    .iter()
    .map(|(name, value)| parameter(name, value))
    .collect();
    format!(
        "<{}>1 {} {} trawlwatch {} {} [trawl@{ENTERPRISE}{data}] {}",
        u32::from(FACILITY) * 8 + level,
        rfc3339(at),
        header_word(&sender.host, 255),
        sender.pid,
        finding.technique.id(),
        body.trim_end().replace(['\n', '\r'], " "),
    )
}

/// Octet counting (RFC 6587), for streams.
pub fn octet_counted(message: &str) -> Vec<u8> {
    format!("{} {message}", message.len()).into_bytes()
}

fn rfc3339(at: TimestampNs) -> String {
    let instant = jiff::Timestamp::from_nanosecond(i128::from(at.0)).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    instant.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// A header field: printable ASCII without spaces, `-` where there is none.
fn header_word(text: &str, max: usize) -> String {
    let word: String = text.chars().filter(char::is_ascii_graphic).take(max).collect();
    if word.is_empty() { "-".to_owned() } else { word }
}

/// `"`, `\` and `]` are escaped in values (RFC 5424 section 6.3.3); control characters have no place there.
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for letter in value.chars().map(|letter| if letter.is_control() { ' ' } else { letter }) {
        if ['"', '\\', ']'].contains(&letter) {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privacy::Reveal;
    use crate::report::{Palette, samples};

    #[test]
    fn every_format_says_what_became_of_a_finding() {
        let layout = Layout { reveal: &Reveal::Nothing, columns: 100, palette: Palette::Plain };
        for change in Change::ALL {
            for (format, wanted) in [
                (Format::Text, format!("{} high population-fan-in", change.name())),
                (Format::Json, format!("\"change\":\"{}\"", change.name())),
                (Format::Eve, format!("\"trawl_change\":[\"{}\"]", change.name())),
            ] {
                let mut out = Vec::new();
                write_change(format, &mut out, &samples::fan_in(), change, layout).expect("memory");
                let out = String::from_utf8(out).expect("text");
                assert!(out.contains(&wanted), "{format:?}: {out}");
                assert!(format == Format::Text || out.lines().count() == 1, "{out}");
            }
        }
    }

    #[test]
    fn a_syslog_message_has_the_parts_of_rfc_5424() {
        let sender = SyslogSender { host: "sensor 1".into(), pid: 42 };
        let mut finding = samples::fan_in();
        finding.population.name = "a\"b]c\\d\n".into();
        let message = syslog(&sender, TimestampNs(1_772_366_400_000_000_000), &finding, Change::New, "two\nlines\n");
        let wanted = "<163>1 2026-03-01T12:00:00.000000Z sensor1 trawlwatch 42 population-fan-in [trawl@32473 id=\"";
        assert!(message.starts_with(wanted), "{message}");
        assert!(message.contains(" population=\"a\\\"b\\]c\\\\d \""), "{message}");
        assert!(message.ends_with("] two lines"), "{message}");
        assert!(octet_counted(&message).starts_with(format!("{} <163>1", message.len()).as_bytes()));
    }

    #[test]
    fn a_window_says_what_it_lost() {
        let stats = WindowStats {
            number: 3,
            start: TimestampNs(0),
            end: TimestampNs(60_000_000_000),
            frames: 90,
            bytes: 900,
            drops: Counts::from([("kernel-ring-full", 10)]),
            lost_share: 0.1,
            confidence: 0.9,
        };
        for (format, wanted) in [
            (Format::Text, ""),
            (Format::Json, "\"drops\":{\"kernel-ring-full\":10},\"lost_share\":0.1,\"confidence\":0.9"),
            (Format::Eve, "\"kernel_packets\":90,\"kernel_drops\":10"),
        ] {
            let mut out = Vec::new();
            write_window(format, &mut out, &stats).expect("memory");
            assert!(String::from_utf8(out).expect("text").contains(wanted), "{format:?}");
        }
    }
}
