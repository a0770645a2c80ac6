//! Account: what was read, what was lost and what could not be seen, on the page.
//! In: the stats of a run. Out: sentences and tables. Bounds: [`FILES_MAX`] files are listed, damaged ones first.

use super::Paper;
use super::markup::Markup;
use crate::report::figures;
use crate::report::stats::{Counts, FileStats, RunStats, total};

/// Files listed.
const FILES_MAX: usize = 100;

/// One sentence on the input.
pub(super) fn what_was_read(stats: &RunStats) -> String {
    let mut text = format!(
        "Read: {} in {}, {} of traffic.",
        figures::counted(stats.packets, "packet"),
        figures::counted(stats.flows, "flow"),
        figures::bytes(stats.bytes)
    );
    if !stats.populations.is_empty() {
        text += &format!(" Protected: {}.", stats.populations.join(", "));
    }
    let lost = total(&stats.drops);
    let damaged = stats.files.iter().filter(|file| total(&file.faults) > 0).count() as u64;
    let mut missing = Vec::new();
    if lost > 0 {
        missing.push(format!("{} lost", figures::counted(lost, "packet")));
    }
    if damaged > 0 {
        missing.push(figures::counted(damaged, "damaged file"));
    }
    if !missing.is_empty() {
        text += &format!(" Not everything could be read: {}; what is missing may hide something.", missing.join(", "));
    }
    text
}

/// The section at the end.
pub(super) fn write(page: &mut Markup, paper: &Paper<'_>) {
    let stats = paper.stats;
    page.raw(
        "<section aria-labelledby=\"account\">\n<h2 id=\"account\">What was looked at, and what was not</h2>\n<dl>\n",
    );
    let techniques: Vec<&str> = stats.looked_for.iter().map(|technique| technique.id()).collect();
    page.term("Looked for", &if techniques.is_empty() { "nothing".to_owned() } else { techniques.join(", ") });
    page.term("Windows", &figures::count(stats.windows));
    page.term("Lost before analysis", &listed(&stats.drops, "nothing"));
    page.term("Packets not understood", &listed(&stats.decode_errors, "none"));
    page.term("Limits reached", &listed(&stats.limits, "none"));
    page.raw("</dl>\n");
    let mut not_seen = stats.not_seen.clone();
    if paper.pictures.curves_left_out > 0 {
        let n = figures::count(paper.pictures.curves_left_out);
        not_seen.push(format!("Curves of {n} small collectors were not kept for this page."));
    }
    if !not_seen.is_empty() {
        page.raw("<h3>Not seen</h3>\n<ul>\n");
        for sentence in &not_seen {
            page.element("li", sentence);
        }
        page.raw("</ul>\n");
    }
    files(page, &stats.files);
    page.raw("</section>\n");
}

fn files(page: &mut Markup, files: &[FileStats]) {
    if files.is_empty() {
        return;
    }
    let mut order: Vec<&FileStats> = files.iter().collect();
    order.sort_by_key(|file| total(&file.faults) == 0);
    page.raw("<h3>Files</h3>\n<table class=\"overview\">\n<thead><tr>");
    page.raw("<th scope=\"col\">File</th><th scope=\"col\">Frames</th><th scope=\"col\">Bytes</th><th scope=\"col\">Damage</th>");
    page.raw("</tr></thead>\n<tbody>\n");
    for file in order.iter().take(FILES_MAX) {
        page.raw("<tr><td data-label=\"File\">");
        page.text(&file.path);
        page.raw("</td><td class=\"number\" data-label=\"Frames\">");
        page.text(&figures::count(file.frames));
        page.raw("</td><td class=\"number\" data-label=\"Bytes\">");
        page.text(&figures::bytes(file.bytes));
        page.raw("</td><td data-label=\"Damage\">");
        let damage = listed(&file.faults, "none");
        page.text(&match &file.first_fault {
            Some(first) if total(&file.faults) > 0 => format!("{damage}: {first}"),
            _ => damage,
        });
        page.raw("</td></tr>\n");
    }
    page.raw("</tbody>\n</table>\n");
    if files.len() > FILES_MAX {
        page.element(
            "p",
            &format!("{} more files, without damage or listed by --format json.", files.len() - FILES_MAX),
        );
    }
}

fn listed(counts: &Counts, none: &str) -> String {
    let met: Vec<String> = counts
        .iter()
        .filter(|(_, n)| **n > 0)
        .map(|(cause, n)| format!("{} {}", figures::count(*n), cause.replace('-', " ")))
        .collect();
    if met.is_empty() { none.to_owned() } else { met.join(", ") }
}
