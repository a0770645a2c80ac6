//! One finding on the page: what, who, whose, how certain and why, what to do next.
//! In: a finding and its pictures. Out: an article, and a row of the overview.

use super::markup::Markup;
use super::{Paper, advice, plots};
use crate::detect::finding::{CollectorIdentity, Evidence, EvidenceValue, Finding, Severity, Verdict};
use crate::report::{figures, finding_id};

/// Names and addresses shown of a collector.
const NAMES_MAX: usize = 12;
/// Reasons shown.
const EVIDENCE_MAX: usize = 24;

/// Writes the article of `paper.findings[at]`, the `number`th of the page.
pub(super) fn write(page: &mut Markup, paper: &Paper<'_>, at: usize, number: usize) {
    let finding = &paper.findings[at];
    let severity = finding.severity.name();
    page.raw(&format!("<article id=\"f{number}\" aria-labelledby=\"h{number}\">\n<p><span class=\"badge {severity}\">{severity}</span> "));
    page.text(finding.technique.id());
    page.raw(" <span class=\"quiet\"><code>");
    page.text(&finding_id(finding));
    page.raw(&format!("</code></span></p>\n<h3 id=\"h{number}\">"));
    page.text(&finding.headline);
    page.raw("</h3>\n");
    page.element("p", &finding.explanation);
    facts(page, paper, finding);
    match paper.pictures.curves.get(at).and_then(Option::as_ref) {
        Some(pair) => plots::over_time(page, pair, number),
        None => {
            let why = "this finding rests on single packets or on a tunnel, not on the volume of one party";
            page.raw(&format!("<p class=\"quiet\">No picture over time: {why}.</p>\n"));
        }
    }
    if let Some(plane) =
        paper.pictures.plane.as_ref().filter(|p| p.points.iter().any(|p| p.finding.is_some_and(|(f, _)| f == at)))
    {
        plots::in_plane(page, plane, at, number);
    }
    certainty(page, finding);
    reasons(page, &finding.evidence);
    page.raw("<h4>What to do next</h4>\n<ol>\n");
    if matches!(finding.verdict, Verdict::Authorised { .. }) {
        page.element("li", "Nothing urgent: the register allows it. Check that the entry is still what was agreed.");
    } else {
        advice::steps(finding.technique).iter().for_each(|step| page.element("li", step));
    }
    page.raw("</ol>\n</article>\n");
}

/// One row of the overview.
pub(super) fn row(page: &mut Markup, finding: &Finding, number: usize) {
    let severity = finding.severity.name();
    let href = if number <= super::FINDINGS_MAX { format!("<a href=\"#f{number}\">") } else { String::new() };
    page.raw(&format!("<tr><td data-label=\"Severity\"><span class=\"badge {severity}\">{severity}</span></td>"));
    page.raw("<td data-label=\"Technique\"><span>");
    page.raw(&href);
    page.text(finding.technique.id());
    page.raw(if href.is_empty() { "</span></td>" } else { "</a></span></td>" });
    for (label, text, class) in [
        ("Collector", short(&finding.collector), ""),
        ("Population", finding.population.name.clone(), ""),
        ("Subscribers", figures::count(finding.population.subscribers), " class=\"number\""),
        ("Sent out", figures::bytes(finding.bytes_up), " class=\"number\""),
    ] {
        page.raw(&format!("<td{class} data-label=\"{label}\"><span>"));
        page.text(&text);
        page.raw("</span></td>");
    }
    page.raw("</tr>\n");
}

fn short(collector: &CollectorIdentity) -> String {
    let first = collector.addresses.first().map(ToString::to_string).unwrap_or_default();
    let named = collector.names.first().map_or(first.clone(), |name| format!("{name} ({first})"));
    match collector.addresses.len() {
        0 | 1 => named,
        n => format!("{named} and {} more", figures::counted(n as u64 - 1, "address").replace("addresss", "addresses")),
    }
}

fn facts(page: &mut Markup, paper: &Paper<'_>, finding: &Finding) {
    let (collector, population) = (&finding.collector, &finding.population);
    page.raw("<dl>\n");
    page.term("Addresses", &some(collector.addresses.iter().map(ToString::to_string)));
    if !collector.names.is_empty() {
        page.term("Names", &some(collector.names.iter().cloned()));
    }
    if !collector.ports.is_empty() {
        page.term("Ports", &format!("{} {}", finding.proto, some(collector.ports.iter().map(ToString::to_string))));
    }
    let place: Vec<String> =
        [collector.prefix.clone(), collector.asn.map(|asn| format!("AS{asn}")), collector.country.clone()]
            .into_iter()
            .flatten()
            .collect();
    if !place.is_empty() {
        page.term("Place", &place.join(", "));
    }
    let share = figures::percent(population.coverage);
    let of = figures::counted(population.subscribers, "subscriber");
    page.term("Population", &format!("{}: {of}, {share} of those active", population.name));
    if !population.sample.is_empty() {
        let shown = population.sample.iter().map(|pseudonym| paper.reveal.shown(*pseudonym).to_string());
        page.term(if paper.reveal.is_real() { "Subscribers" } else { "Pseudonyms" }, &some(shown));
    }
    page.term("Span", &figures::span(finding.start, finding.end));
    page.term(
        "Traffic",
        &format!(
            "{}, {}, {} up, {} down",
            figures::counted(finding.flows, "flow"),
            figures::counted(finding.packets, "packet"),
            figures::bytes(finding.bytes_up),
            figures::bytes(finding.bytes_down)
        ),
    );
    page.term("Register", &register(&finding.verdict));
    let principles: Vec<String> = finding.technique.principles().iter().map(ToString::to_string).collect();
    page.term("Principles", &format!("{} of the initiative on global data security", principles.join(", ")));
    page.raw("</dl>\n");
}

fn register(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Unregistered => "no entry covers it".to_owned(),
        Verdict::Authorised { name, reference } => format!("allowed by {name} ({reference})"),
        Verdict::Refused { name, reference, reason } => format!("{name} ({reference}) does not allow it: {reason}"),
    }
}

fn some(all: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = all.collect();
    let shown = all[..all.len().min(NAMES_MAX)].join(", ");
    match all.len().saturating_sub(NAMES_MAX) {
        0 => shown,
        more => format!("{shown} … and {more} more"),
    }
}

/// How certain it is, in words that say what the numbers mean.
fn certainty(page: &mut Markup, finding: &Finding) {
    page.raw("<h4>How certain, and why</h4>\n");
    let sure = match finding.severity {
        Severity::Critical => "Proved by the packets themselves.",
        Severity::High => "Strong evidence; only knowledge that is not on the wire could explain it otherwise.",
        Severity::Medium => "Worth a look: the behaviour fits, and harmless explanations remain.",
        Severity::Low => "A hint, kept for the record.",
        Severity::Info => "Known and allowed, or of interest only.",
    };
    let rare = match finding.p_value {
        p if p > 0.0 && p < 1.0 && finding.severity != Severity::Critical => {
            format!(
                " Among ordinary traffic a score like this is expected about once in {}.",
                figures::count((1.0 / p).round() as u64)
            )
        }
        _ => String::new(),
    };
    page.element("p", &format!("{sure} Score {} of 1.{rare}", figures::measured(finding.score)));
}

fn reasons(page: &mut Markup, evidence: &[Evidence]) {
    if evidence.is_empty() {
        return;
    }
    // Proofs are not measured against what is usual: columns that would be empty are left out.
    let is_compared = evidence.iter().any(|one| one.baseline_median.is_some() || one.baseline_p99.is_some());
    page.raw("<table class=\"evidence\">\n<thead><tr><th scope=\"col\">Measured</th><th scope=\"col\">Value</th>");
    if is_compared {
        page.raw("<th scope=\"col\">Usual</th><th scope=\"col\">1 in 100 above</th>");
        page.raw("<th scope=\"col\">Against the usual</th>");
    }
    page.raw("<th scope=\"col\">Weight</th></tr></thead>\n<tbody>\n");
    for one in evidence.iter().take(EVIDENCE_MAX) {
        reason(page, one, is_compared);
    }
    page.raw("</tbody>\n</table>\n");
    if evidence.len() > EVIDENCE_MAX {
        page.element("p", &format!("{} more reasons stand in --format json.", evidence.len() - EVIDENCE_MAX));
    }
}

fn reason(page: &mut Markup, one: &Evidence, is_compared: bool) {
    page.raw("<tr><th scope=\"row\">");
    page.text(&one.feature.replace('_', " "));
    page.raw("</th>");
    cell(page, "Value", &value_of(one));
    if is_compared {
        let usual = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| in_unit(value, one.unit));
        cell(page, "Usual", &usual(one.baseline_median));
        cell(page, "1 in 100 above", &usual(one.baseline_p99));
        page.raw("<td class=\"meter\" data-label=\"Against the usual\">");
        match (&one.value, one.baseline_median, one.baseline_p99) {
            (EvidenceValue::Number(value), Some(median), Some(p99)) => plots::meter(page, *value, median, p99),
            _ => page.raw("<span>nothing to compare with</span>"),
        }
        page.raw("</td>");
    }
    page.raw("<td class=\"number\" data-label=\"Weight\"><span>");
    page.text(&if one.weight > 0.0 { figures::percent(one.weight) } else { "–".to_owned() });
    page.raw("</span></td></tr>\n");
}

fn cell(page: &mut Markup, label: &str, text: &str) {
    page.raw(&format!("<td data-label=\"{label}\"><span>"));
    page.text(text);
    page.raw("</span></td>");
}

fn value_of(one: &Evidence) -> String {
    match &one.value {
        EvidenceValue::Number(value) if matches!(one.unit, "ratio" | "bytes") => in_unit(*value, one.unit),
        EvidenceValue::Number(value) => format!("{} {}", figures::measured(*value), one.unit),
        EvidenceValue::Text(text) => text.clone(),
    }
}

/// A value as people read its unit: shares as per cent, bytes by their size.
fn in_unit(value: f64, unit: &str) -> String {
    match unit {
        "ratio" if (0.0..=1.0).contains(&value) => figures::percent(value),
        "bytes" if (0.0..1e18).contains(&value) => figures::bytes(value as u64),
        _ => figures::measured(value),
    }
}
