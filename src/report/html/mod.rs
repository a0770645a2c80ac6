//! `--report FILE.html`: one page that a manager reads and an engineer works from.
//! In: judged findings, the account of the run, the album's pictures. Out: one self-contained file: no script, nothing from
//! elsewhere, so it opens on a machine without a network and prints.
//! Bounds: [`FINDINGS_MAX`] findings in full, [`text::EVIDENCE_LINES_MAX`](super::text::EVIDENCE_LINES_MAX) and more reasons
//! each; what is left out is said. Words from the wire are escaped twice: unruly characters written out, then for HTML.

mod account;
mod advice;
mod finding;
mod markup;
mod plots;
mod style;

use std::io::{self, Write};

use super::album::Pictures;
use super::stats::RunStats;
use super::{exchange::Tlp, worst_first};
use crate::detect::finding::{Finding, Severity};
use crate::privacy::Reveal;
use markup::Markup;

/// Findings written in full; the table names all.
pub const FINDINGS_MAX: usize = 500;

/// What a page is made of.
#[derive(Clone, Copy, Debug)]
pub struct Paper<'a> {
    /// What it is about, in a few words: the capture's name, the sensor, the night.
    pub title: &'a str,
    /// Judged findings, in the order in which the pictures were taken.
    pub findings: &'a [Finding],
    /// What was read and lost.
    pub stats: &'a RunStats,
    /// Pictures of the findings.
    pub pictures: &'a Pictures,
    /// Whether real addresses of subscribers are shown.
    pub reveal: &'a Reveal,
    /// How far it may be passed on.
    pub tlp: Tlp,
}

/// Writes the page.
pub fn write(out: &mut dyn Write, paper: &Paper<'_>) -> io::Result<()> {
    let mut order: Vec<usize> = (0..paper.findings.len()).collect();
    order.sort_by(|a, b| worst_first(&paper.findings[*a], &paper.findings[*b]));
    let mut page = Markup::default();
    page.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    page.raw("<meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n");
    // Nothing may be fetched, whatever a name from the wire tries; the style is the page's own.
    page.raw(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n",
    );
    page.element("title", &format!("Trawlwatch: {}", paper.title));
    page.raw("<style>\n");
    page.raw(&style::sheet());
    page.raw("</style>\n</head>\n<body>\n");
    head(&mut page, paper);
    page.raw("<main>\n");
    verdict(&mut page, paper);
    if !order.is_empty() {
        overview(&mut page, paper, &order);
        if let Some(plane) = &paper.pictures.plane {
            plots::plane_section(&mut page, plane);
        }
        page.raw("<section aria-labelledby=\"findings\">\n<h2 id=\"findings\">Findings, worst first</h2>\n");
        for (number, at) in order.iter().take(FINDINGS_MAX).enumerate() {
            finding::write(&mut page, paper, *at, number + 1);
        }
        if order.len() > FINDINGS_MAX {
            let more = order.len() - FINDINGS_MAX;
            page.element(
                "p",
                &format!("{more} more findings stand in the table only; --format json has them in full."),
            );
        }
        page.raw("</section>\n");
    }
    account::write(&mut page, paper);
    page.raw("</main>\n");
    foot(&mut page);
    page.raw("</body>\n</html>\n");
    out.write_all(page.as_str().as_bytes())
}

fn head(page: &mut Markup, paper: &Paper<'_>) {
    page.raw("<header>\n<p class=\"tlp\">");
    page.text(paper.tlp.label());
    page.raw("</p>\n<h1>Who collects whose data</h1>\n<p class=\"subject\">");
    page.text(paper.title);
    if let Some((start, end)) = paper.stats.span {
        page.raw("<br>");
        page.text(&super::figures::span(start, end));
    }
    page.raw("</p>\n</header>\n");
}

/// Two sentences for who reads no further.
fn verdict(page: &mut Markup, paper: &Paper<'_>) {
    let count = |severity| paper.findings.iter().filter(|f| f.severity == severity).count() as u64;
    let serious = count(Severity::Critical) + count(Severity::High);
    page.raw("<section class=\"verdict\" aria-label=\"In short\">\n<p class=\"lead\">");
    page.text(&match (paper.findings.len(), serious) {
        (0, _) => "Nothing was found that collects this population's data in bulk.".to_owned(),
        (n, 0) => format!("{}, none of them urgent.", super::figures::counted(n as u64, "finding")),
        (n, serious) => format!(
            "{} of {} {} action now.",
            super::figures::count(serious),
            super::figures::counted(n as u64, "finding"),
            if serious == 1 { "needs" } else { "need" }
        ),
    });
    page.raw("</p>\n<ul class=\"tally\">\n");
    for severity in [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Info] {
        page.raw(&format!("<li class=\"{0}\"><b>{1}</b> {0}</li>\n", severity.name(), count(severity)));
    }
    page.raw("</ul>\n<p>");
    page.text(&account::what_was_read(paper.stats));
    page.raw("</p>\n</section>\n");
}

fn overview(page: &mut Markup, paper: &Paper<'_>, order: &[usize]) {
    page.raw("<section aria-labelledby=\"overview\">\n<h2 id=\"overview\">Overview</h2>\n<table class=\"overview\">\n<thead><tr>");
    for head in ["Severity", "Technique", "Collector", "Population", "Subscribers", "Sent out"] {
        page.raw("<th scope=\"col\">");
        page.text(head);
        page.raw("</th>");
    }
    page.raw("</tr></thead>\n<tbody>\n");
    for (number, at) in order.iter().enumerate() {
        finding::row(page, &paper.findings[*at], number + 1);
    }
    page.raw("</tbody>\n</table>\n</section>\n");
}

fn foot(page: &mut Markup) {
    page.raw("<footer>\n<p>");
    page.text(&format!(
        "Made by Trawlwatch {}. Times are the packets' own, in UTC. Subscribers stand here under keyed pseudonyms; \
         collectors are named in clear. A finding is a measured behaviour and a reason to look, not a judgement of intent.",
        env!("CARGO_PKG_VERSION")
    ));
    page.raw("</p>\n</footer>\n");
}

#[cfg(test)]
mod tests;
