//! Page: an evaluation as one HTML file that needs nothing else: tables, ROC and precision-recall curves, histograms of scores.
//! In: an evaluation. Out: HTML with inline SVG and styles, in light and dark; no script, nothing fetched.
//! Bounds: curves hold at most some hundred points; lists are cut, and say so. Every text from outside is escaped.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::evaluation::{Evaluation, budgets_in_words, method};
use super::interval::Estimate;
use super::ranking::BUDGETS_PER_DAY;
use super::score::{SCORE_BINS, TechniqueFigures};

/// Missed operations and false alarms shown.
const LISTED_MAX: usize = 200;
/// Side of a chart's plot, in SVG units.
const PLOT: f64 = 180.0;
/// Room for a chart's numbers on its left and below it.
const MARGIN: f64 = 30.0;

const STYLE: &str = include_str!("page.css");

/// Writes the page.
pub fn write(out: &mut dyn Write, evaluation: &Evaluation) -> io::Result<()> {
    let mut page = String::new();
    let Evaluation { captures, hours, benign, everywhere, .. } = evaluation;
    let _ = write!(
        page,
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>Trawlwatch: evaluation</title><style>{STYLE}</style><main><h1>Evaluation</h1>\
         <p>{captures} labelled captures, {hours:.1} hours of capture time; {} of them hold no operation.</p>\
         <p class=dim>{}</p>",
        benign.captures,
        escaped(&method())
    );
    if !evaluation.damaged.is_empty() {
        let _ = write!(
            page,
            "<p class=bad>Damaged or cut; the readable part was scored: {}</p>",
            escaped(&evaluation.damaged.join(", "))
        );
    }
    found(&mut page, "Found", evaluation.techniques.iter().map(|figures| (String::new(), figures)));
    ranked(&mut page, evaluation);
    for (title, slices) in [("By variant", &evaluation.variants), ("By world", &evaluation.worlds)] {
        if !slices.is_empty() {
            found(&mut page, title, slices.iter().map(|slice| (slice.name.clone(), &slice.figures)));
        }
    }
    let _ =
        write!(page, "<h2>False alarms</h2><p>At medium or above, a day of capture time.</p><div class=scroll><table>");
    let _ = write!(page, "<tr><th>captures<th class=n>days<th class=n>alarms<th class=n>a day");
    for (name, rate) in [("without operations", benign), ("all", everywhere)] {
        let _ = write!(
            page,
            "<tr><td>{name}<td class=n>{:.2}<td class=n>{}<td class=n>{}",
            rate.days,
            rate.alarms,
            shown(rate.per_day)
        );
    }
    page.push_str("</table></div>");
    let kinds = evaluation.false_by_kind.iter().map(|kind| {
        [kind.technique.id().to_owned(), kind.kind.clone(), kind.alarms.to_string()].map(|text| escaped(&text))
    });
    table(&mut page, ["technique", "about", "alarms"], kinds);
    promises(&mut page, evaluation);
    ablation(&mut page, evaluation);
    lists(&mut page, evaluation);
    page.push_str("</main></html>\n");
    out.write_all(page.as_bytes())
}

fn found<'a>(page: &mut String, title: &str, rows: impl Iterator<Item = (String, &'a TechniqueFigures)>) {
    let _ = write!(
        page,
        "<h2>{title}</h2><div class=scroll><table><tr><th>technique<th class=n>operations<th class=n>recall\
         <th class=n>right collector<th class=n>precision<th class=n>false<th class=n>first alarm<th class=n>windows"
    );
    for (name, figures) in rows {
        let first = figures.delays.median_s.value.map_or("–".to_owned(), |seconds| format!("{seconds:.0} s"));
        let windows = figures.delays.median_windows.map_or("–".to_owned(), |windows| format!("{windows:.1}"));
        let _ = write!(
            page,
            "<tr><td>{} <small>{}</small><td class=n>{}<td class=n>{}<td class=n>{}<td class=n>{}<td class=n>{}\
             <td class=n>{first}<td class=n>{windows}",
            figures.technique.id(),
            escaped(&name),
            figures.operations,
            shown(figures.recall),
            shown(figures.recall_loose),
            shown(figures.precision),
            figures.false_alarms
        );
    }
    page.push_str("</table></div>");
}

fn ranked(page: &mut String, evaluation: &Evaluation) {
    page.push_str(
        "<h2>Ranked, against the trivial baseline</h2><p><span class=key></span>this program \
         <span class=\"key t\"></span>the trivial baseline. Histograms: scores of findings that hit an operation, and of those \
         that hit none.</p><div class=cards>",
    );
    for figures in evaluation.techniques.iter().filter(|figures| figures.operations > 0) {
        let (ours, theirs) = (&figures.ranking, &figures.baseline.ranking);
        let _ = write!(
            page,
            "<div class=card><h3>{}</h3><small>baseline: {}</small><div class=charts>",
            figures.technique.id(),
            escaped(figures.baseline.about)
        );
        let (curves, trivial) = (&figures.curves, &figures.baseline_curves);
        curve_chart(page, "false-positive rate", "true-positive rate", &curves.roc, &trivial.roc);
        curve_chart(page, "recall", "precision", &curves.precision_recall, &trivial.precision_recall);
        histogram(page, &figures.scores);
        page.push_str("</div><table><tr><th><th class=n>average precision<th class=n>ROC AUC");
        for budget in BUDGETS_PER_DAY {
            let _ = write!(page, "<th class=n>recall at {budget} a day");
        }
        for (name, ranking) in [("this program", ours), ("baseline", theirs)] {
            let _ = write!(
                page,
                "<tr><td>{name}<td class=n>{}<td class=n>{}",
                shown(ranking.average_precision),
                shown(ranking.roc_auc)
            );
            ranking.recall_at_budget.iter().for_each(|recall| {
                let _ = write!(page, "<td class=n>{}", shown(*recall));
            });
        }
        let _ = write!(page, "<tr><td>gain<td class=n>{}</table></div>", shown(figures.baseline.gain));
    }
    let _ = write!(page, "</div><p class=dim>{}</p>", escaped(&budgets_in_words(evaluation.everywhere.days)));
}

/// What each setting of the profile models comes to, where somebody asked.
fn ablation(page: &mut String, evaluation: &Evaluation) {
    if evaluation.ablation.is_empty() {
        return;
    }
    page.push_str(
        "<h2>Ablation</h2><p>Operations' collectors against the other far parties of their capture, by profile alone: what \
         each model brings, and what the model in use loses without a group of features.</p>",
    );
    let rows = evaluation.ablation.iter().map(|one| [escaped(&one.setting), shown(one.auc), shown(one.above)]);
    table(page, ["setting", "ROC AUC", "above 99 % of the others"], rows);
}

/// Two curves over the unit square.
fn curve_chart(page: &mut String, x: &str, y: &str, ours: &[(f64, f64)], theirs: &[(f64, f64)]) {
    frame(page, x, y);
    for (class, points) in [("theirs", theirs), ("ours", ours)] {
        let place = |(x, y): &(f64, f64)| format!("{:.1},{:.1}", MARGIN + x * PLOT, 8.0 + (1.0 - y) * PLOT);
        let points: Vec<String> = points.iter().map(place).collect();
        let _ = write!(page, "<polyline class={class} points=\"{}\"/>", points.join(" "));
    }
    page.push_str("</svg>");
}

/// Scores of findings that hit upwards, of those that do not downwards.
fn histogram(page: &mut String, scores: &[Vec<u64>; 2]) {
    frame(page, "score", "findings");
    let most = scores.iter().flatten().max().copied().unwrap_or(0).max(1) as f64;
    let (width, half) = (PLOT / SCORE_BINS as f64, PLOT / 2.0);
    for (side, class) in ["bar-hit", "bar-false"].into_iter().enumerate() {
        for (bin, count) in scores[side].iter().enumerate().filter(|(_, count)| **count > 0) {
            // Square roots: one finding must be seen beside a thousand.
            let high = (*count as f64 / most).sqrt() * (half - 4.0);
            let top = if side == 0 { 8.0 + half - high } else { 8.0 + half };
            let left = MARGIN + bin as f64 * width;
            let _ = write!(
                page,
                "<rect class={class} x={left:.1} y={top:.1} width={:.1} height={high:.1}><title>{count}</title></rect>",
                width - 1.0
            );
        }
    }
    let _ = write!(page, "<text x=34 y=20>hits</text><text x=34 y={}>false</text></svg>", PLOT + 2.0);
}

fn frame(page: &mut String, x: &str, y: &str) {
    let (width, height) = (MARGIN + PLOT + 8.0, PLOT + MARGIN + 8.0);
    let _ = write!(
        page,
        "<svg viewBox=\"0 0 {width} {height}\" role=img aria-label=\"{y} over {x}\">\
         <rect class=frame x={MARGIN} y=8 width={PLOT} height={PLOT} />\
         <text x={:.0} y={:.0} text-anchor=middle>{x}</text><text transform=\"translate(10 {:.0}) rotate(-90)\" \
         text-anchor=middle>{y}</text><text x={MARGIN} y={:.0}>0</text><text x={:.0} y={:.0} text-anchor=end>1</text>",
        MARGIN + PLOT / 2.0,
        PLOT + 32.0,
        8.0 + PLOT / 2.0,
        PLOT + 20.0,
        MARGIN + PLOT,
        PLOT + 20.0,
    );
}

fn promises(page: &mut String, evaluation: &Evaluation) {
    page.push_str(
        "<h2>Promises</h2><p>Findings with a p-value up to the first figure on captures without operations.</p>",
    );
    let kept = evaluation.promises.iter().filter(|promise| promise.observed > 0);
    let rows = kept.map(|promise| {
        [
            promise.technique.id().to_owned(),
            promise.p_value.to_string(),
            format!("{:.2}", promise.promised),
            promise.observed.to_string(),
        ]
    });
    table(page, ["technique", "p-value", "promised", "observed"], rows);
    page.push_str("<p>Thresholds set on one half of the captures, and the false findings a day on the other half.</p>");
    let rows = evaluation
        .budgets
        .iter()
        .map(|kept| [kept.technique.id().to_owned(), kept.promised_per_day.to_string(), shown(kept.observed_per_day)]);
    table(page, ["technique", "promised a day", "observed a day"], rows);
}

fn lists(page: &mut String, evaluation: &Evaluation) {
    if !evaluation.missed.is_empty() {
        let _ = write!(page, "<h2>Missed</h2>");
        let rows = evaluation.missed.iter().take(LISTED_MAX).map(|missed| {
            [
                escaped(&missed.capture),
                format!("{} {}", missed.technique.id(), escaped(missed.variant.as_deref().unwrap_or("standard"))),
                missed.best_score.map_or("nothing".to_owned(), |score| format!("{score:.2}")),
                missed.named_by.join(", "),
            ]
        });
        table(page, ["capture", "operation", "best score", "collector named by"], rows);
        cut(page, evaluation.missed.len());
    }
    if !evaluation.false_alarms.is_empty() {
        let _ = write!(page, "<h2>False</h2>");
        let rows = evaluation.false_alarms.iter().take(LISTED_MAX).map(|alarm| {
            [
                escaped(&alarm.capture),
                format!("{} {}", alarm.severity, alarm.technique.id()),
                format!("{:.2}", alarm.score),
                escaped(&alarm.kind),
                escaped(&alarm.headline),
            ]
        });
        table(page, ["capture", "alarm", "score", "about", "what it says"], rows);
        cut(page, evaluation.false_alarms.len());
    }
}

fn cut(page: &mut String, all: usize) {
    if all > LISTED_MAX {
        let _ = write!(page, "<p class=dim>and {} more: --format json lists all.</p>", all - LISTED_MAX);
    }
}

/// A table of cells that are escaped already.
fn table<const N: usize>(page: &mut String, heads: [&str; N], rows: impl Iterator<Item = [String; N]>) {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        page.push_str("<p class=dim>none</p>");
        return;
    }
    page.push_str("<div class=scroll><table><tr>");
    heads.iter().for_each(|head| {
        let _ = write!(page, "<th>{head}");
    });
    for row in rows {
        page.push_str("<tr>");
        row.iter().for_each(|cell| {
            let _ = write!(page, "<td>{cell}");
        });
    }
    page.push_str("</table></div>");
}

/// A figure with its interval.
fn shown(estimate: Estimate) -> String {
    match (estimate.value, estimate.low, estimate.high) {
        (Some(value), Some(low), Some(high)) => format!("{value:.2} <small>{low:.2} to {high:.2}</small>"),
        (Some(value), ..) => format!("{value:.2}"),
        _ => "–".to_owned(),
    }
}

/// Text as HTML shows it; names may come from the wire.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            letter if letter.is_control() => out.push('\u{fffd}'),
            letter => out.push(letter),
        }
    }
    out
}
