//! `--format text`: what a duty officer reads.
//! In: findings, worst first, and the account of the run. Out: a table, a block a finding, then what was read and lost.
//! Bounds: lines fit the page; at most [`TABLE_ROWS_MAX`] rows, [`EVIDENCE_LINES_MAX`] reasons and [`NAMES_MAX`] names are
//! printed, and what is left out is said. Words from the wire are escaped.

use std::io::{self, Write};

use super::escape::{ruly, words};
use super::figures;
use super::page::{LABEL_COLUMNS, Page, fitted};
use super::stats::{Counts, RunStats, total};
use super::{Layout, finding_id};
use crate::detect::finding::{CollectorIdentity, Evidence, EvidenceValue, Finding, Severity, Verdict};
use crate::privacy::Reveal;

/// The page is never set wider: longer lines are hard to read.
pub const COLUMNS_MAX: usize = 100;
/// The page is never set narrower: what is narrower wraps in the terminal.
pub const COLUMNS_MIN: usize = 40;
/// Rows of the table of findings.
pub const TABLE_ROWS_MAX: usize = 50;
/// Reasons printed of one finding; all of them are in `--format json`.
pub const EVIDENCE_LINES_MAX: usize = 8;
/// Names or addresses printed of one collector.
pub const NAMES_MAX: usize = 4;
/// From this page width on, evidence is set as a table and the table of findings names populations.
const WIDE: usize = 80;

/// Writes a whole report; `findings` come worst first.
pub fn write_report(
    out: &mut dyn Write,
    findings: &[&Finding],
    stats: &RunStats,
    layout: Layout<'_>,
) -> io::Result<()> {
    let mut page = page(out, layout);
    if findings.is_empty() {
        nothing_found(&mut page, stats)?;
    } else {
        table(&mut page, findings)?;
        for finding in findings {
            page.blank()?;
            block(&mut page, finding, layout.reveal)?;
        }
    }
    page.blank()?;
    account(&mut page, stats)
}

/// Writes one finding as a block.
pub fn write_finding(out: &mut dyn Write, finding: &Finding, layout: Layout<'_>) -> io::Result<()> {
    let mut page = page(out, layout);
    block(&mut page, finding, layout.reveal)?;
    page.blank()
}

/// Writes what was read and lost.
pub fn write_stats(out: &mut dyn Write, stats: &RunStats, layout: Layout<'_>) -> io::Result<()> {
    account(&mut page(out, layout), stats)
}

fn page<'a>(out: &'a mut dyn Write, layout: Layout<'_>) -> Page<'a> {
    Page::new(out, layout.columns.clamp(COLUMNS_MIN, COLUMNS_MAX), layout.palette)
}

fn nothing_found(page: &mut Page<'_>, stats: &RunStats) -> io::Result<()> {
    page.line(page.palette.heading(), "No finding.")?;
    let techniques: Vec<&str> = stats.looked_for.iter().map(|technique| technique.id()).collect();
    if techniques.is_empty() {
        return page.labelled("looked for", "nothing");
    }
    page.labelled("looked for", &techniques.join(", "))
}

/// One line a finding.
fn table(page: &mut Page<'_>, findings: &[&Finding]) -> io::Result<()> {
    let mut by_severity = Vec::new();
    for severity in [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Info] {
        let n = findings.iter().filter(|finding| finding.severity == severity).count();
        if n > 0 {
            by_severity.push(format!("{n} {}", severity.name()));
        }
    }
    let heading = format!("{}: {}", figures::counted(findings.len() as u64, "finding"), by_severity.join(", "));
    page.line(page.palette.heading(), &heading)?;
    page.blank()?;
    page.line(
        page.palette.label(),
        &table_row(page.columns, "severity", "technique", "collector", "population", "subscribers", "up"),
    )?;
    for finding in findings.iter().take(TABLE_ROWS_MAX) {
        let row = table_row(
            page.columns,
            finding.severity.name(),
            finding.technique.id(),
            &collector_short(&finding.collector),
            &words(&finding.population.name),
            &figures::count(finding.population.subscribers),
            &figures::bytes(finding.bytes_up),
        );
        page.line(page.palette.severity(finding.severity), &row)?;
    }
    match findings.len().saturating_sub(TABLE_ROWS_MAX) {
        0 => Ok(()),
        more => page.line(page.palette.label(), &format!("… and {more} more, each with its block below")),
    }
}

/// A row of the table: the collector takes what the fixed columns leave.
fn table_row(
    columns: usize,
    severity: &str,
    technique: &str,
    collector: &str,
    population: &str,
    subscribers: &str,
    up: &str,
) -> String {
    if columns < WIDE {
        let rest = columns.saturating_sub(9 + 20 + 1 + 12);
        let collector = fitted(collector, rest);
        return format!("{severity:<9}{technique:<20} {collector:<rest$}{subscribers:>12}");
    }
    let rest = columns.saturating_sub(9 + 20 + 1 + 1 + 16 + 12 + 11);
    let (collector, population) = (fitted(collector, rest), fitted(population, 16));
    format!("{severity:<9}{technique:<20} {collector:<rest$} {population:<16}{subscribers:>12}{up:>11}")
}

/// The collector in a word: its first name, else its first address, else its prefix.
fn collector_short(collector: &CollectorIdentity) -> String {
    let (first, others) = match (collector.names.first(), collector.addresses.first()) {
        (Some(name), _) => (words(name).into_owned(), collector.names.len() - 1),
        (None, Some(address)) => (address.to_string(), collector.addresses.len() - 1),
        (None, None) => (collector.prefix.as_deref().map_or("unknown", |prefix| prefix).to_owned(), 0),
    };
    match others {
        0 => first,
        n => format!("{first} (+{n})"),
    }
}

fn block(page: &mut Page<'_>, finding: &Finding, reveal: &Reveal) -> io::Result<()> {
    let severity = finding.severity.name().to_uppercase();
    let title = format!("{severity}  {}  {}", finding.technique.id(), finding_id(finding));
    page.line(page.palette.severity(finding.severity), &title)?;
    page.paragraph(2, page.palette.heading(), &ruly(&finding.headline))?;
    page.labelled("collector", &collector_long(finding))?;
    let population = &finding.population;
    let mut who = format!("{}: {}", words(&population.name), figures::counted(population.subscribers, "subscriber"));
    if population.coverage.is_finite() {
        who.push_str(&format!(", {} of those active", figures::percent(population.coverage)));
    }
    page.labelled("population", &who)?;
    if !population.sample.is_empty() {
        let sample: Vec<String> =
            population.sample.iter().map(|pseudonym| reveal.shown(*pseudonym).to_string()).collect();
        let kind = if reveal.is_real() { "real addresses" } else { "pseudonyms" };
        page.labelled("", &format!("such as {} ({kind})", sample.join(", ")))?;
    }
    page.labelled("span", &figures::span(finding.start, finding.end))?;
    let traffic = format!(
        "{}, {}, {} up, {} down",
        figures::counted(finding.flows, "flow"),
        figures::counted(finding.packets, "packet"),
        figures::bytes(finding.bytes_up),
        figures::bytes(finding.bytes_down)
    );
    page.labelled("traffic", &traffic)?;
    if let Some(id) = finding.community_id.as_deref().filter(|_| reveal.is_real()) {
        page.labelled("community id", &words(id))?;
    }
    let score = format!("{} (p = {})", figures::measured(finding.score), figures::measured(finding.p_value));
    page.labelled("score", &score)?;
    evidence(page, &finding.evidence)?;
    page.labelled("register", &verdict(&finding.verdict))?;
    for part in finding.explanation.lines() {
        page.paragraph(2, anstyle::Style::new(), &ruly(part))?;
    }
    Ok(())
}

fn collector_long(finding: &Finding) -> String {
    let collector = &finding.collector;
    let mut parts = Vec::new();
    if !collector.names.is_empty() {
        let names: Vec<String> = collector.names.iter().map(|name| words(name).into_owned()).collect();
        parts.push(some_of(&names));
    }
    if !collector.addresses.is_empty() {
        let addresses: Vec<String> = collector.addresses.iter().map(ToString::to_string).collect();
        parts.push(some_of(&addresses));
    }
    if let Some(prefix) = collector.prefix.as_deref().filter(|_| collector.addresses.len() != 1) {
        parts.push(format!("in {}", words(prefix)));
    }
    let ports: Vec<String> = collector.ports.iter().map(ToString::to_string).collect();
    let protocol = [finding.proto, finding.app_proto.unwrap_or("")].join(" ");
    match ports.is_empty() {
        true if protocol.trim().is_empty() => {}
        true => parts.push(protocol.trim().to_owned()),
        false => parts.push(format!("port {} {}", some_of(&ports), protocol.trim())),
    }
    parts.extend(collector.asn.map(|asn| format!("AS{asn}")));
    parts.extend(collector.country.as_deref().map(|country| words(country).into_owned()));
    match parts.is_empty() {
        true => "unknown".to_owned(),
        false => parts.join("; ").trim_end().to_owned(),
    }
}

/// The first few, and how many more there are.
fn some_of(all: &[String]) -> String {
    let first = all[..all.len().min(NAMES_MAX)].join(", ");
    match all.len().saturating_sub(NAMES_MAX) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

fn evidence(page: &mut Page<'_>, all: &[Evidence]) -> io::Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    let shown = &all[..all.len().min(EVIDENCE_LINES_MAX)];
    let is_number = |one: &&Evidence| matches!(one.value, EvidenceValue::Number(_));
    let is_wide = page.columns >= WIDE;
    if is_wide && shown.iter().any(|one| is_number(&one)) {
        let heading = evidence_row(page.columns, "", "measured", "usual", "p99", "weight");
        page.line(page.palette.label(), &format!("  {:<width$}{heading}", "evidence", width = LABEL_COLUMNS - 2))?;
        for one in shown.iter().filter(is_number) {
            let baseline = |value: Option<f64>| value.map_or("-".to_owned(), figures::measured);
            let row = evidence_row(
                page.columns,
                one.feature,
                &measured(one),
                &baseline(one.baseline_median),
                &baseline(one.baseline_p99),
                &figures::percent(one.weight),
            );
            page.line(anstyle::Style::new(), &format!("{:LABEL_COLUMNS$}{row}", ""))?;
        }
    }
    for one in shown.iter().filter(|one| !is_wide || !is_number(one)) {
        let mut line = format!("{}: {}", one.feature, measured(one));
        if let Some(median) = one.baseline_median {
            line.push_str(&format!(", usually {}", figures::measured(median)));
        }
        if let Some(p99) = one.baseline_p99 {
            line.push_str(&format!(", p99 {}", figures::measured(p99)));
        }
        page.labelled(if is_wide { "" } else { "evidence" }, &line)?;
    }
    match all.len() - shown.len() {
        0 => Ok(()),
        more => page.labelled("", &format!("and {more} more in --format json")),
    }
}

fn evidence_row(columns: usize, feature: &str, measured: &str, usual: &str, p99: &str, weight: &str) -> String {
    let rest = columns.saturating_sub(LABEL_COLUMNS + 20 + 11 + 11 + 9);
    let (feature, measured) = (fitted(feature, rest), fitted(measured, 19));
    format!("{feature:<rest$}{measured:>20}{usual:>11}{p99:>11}{weight:>9}")
}

fn measured(evidence: &Evidence) -> String {
    let value = match &evidence.value {
        EvidenceValue::Number(value) => figures::measured(*value),
        EvidenceValue::Text(text) => words(text).into_owned(),
    };
    match evidence.unit {
        "" => value,
        unit => format!("{value} {unit}"),
    }
}

fn verdict(verdict: &Verdict) -> String {
    let entry = |name: &str, reference: &str| match reference {
        "" => format!("\"{}\"", words(name)),
        reference => format!("\"{}\" ({})", words(name), words(reference)),
    };
    match verdict {
        Verdict::Unregistered => "no entry covers it".to_owned(),
        Verdict::Authorised { name, reference } => format!("authorised by {}", entry(name, reference)),
        Verdict::Refused { name, reference, reason } => {
            format!("not authorised: {} does not cover it: {}", entry(name, reference), ruly(reason))
        }
    }
}

/// What was read, what was lost, what could not be seen.
fn account(page: &mut Page<'_>, stats: &RunStats) -> io::Result<()> {
    page.line(page.palette.heading(), "Read and lost")?;
    let mut read = format!(
        "{}, {}, {}, {}",
        figures::counted(stats.files.len() as u64, "file"),
        figures::counted(stats.packets, "packet"),
        figures::bytes(stats.bytes),
        figures::counted(stats.flows, "flow")
    );
    if let Some((first, last)) = stats.span {
        read.push_str(&format!(", {}", figures::span(first, last)));
    }
    page.labelled("read", &read)?;
    if !stats.populations.is_empty() {
        let names: Vec<String> = stats.populations.iter().map(|name| words(name).into_owned()).collect();
        page.labelled("watched", &some_of(&names))?;
    }
    let lost = [("dropped", &stats.drops), ("not decoded", &stats.decode_errors), ("limits hit", &stats.limits)];
    let damaged: Vec<_> = stats.files.iter().filter(|file| total(&file.faults) > 0).collect();
    if damaged.is_empty() && lost.iter().all(|(_, counts)| total(counts) == 0) {
        page.labelled("lost", "nothing")?;
    }
    for (label, counts) in lost {
        if total(counts) > 0 {
            page.labelled(label, &causes(counts))?;
        }
    }
    for file in damaged {
        let first = file.first_fault.as_deref().map_or_else(String::new, |fault| format!("; first: {}", ruly(fault)));
        page.labelled("damaged", &format!("{}: {}{first}", ruly(&file.path), causes(&file.faults)))?;
    }
    for sentence in &stats.not_seen {
        page.labelled("not seen", &ruly(sentence))?;
    }
    Ok(())
}

fn causes(counts: &Counts) -> String {
    let parts: Vec<String> =
        counts.iter().filter(|(_, n)| **n > 0).map(|(cause, n)| format!("{cause} {}", figures::count(*n))).collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests;
