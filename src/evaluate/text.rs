//! Text: an evaluation as tables for people.
//! In: an evaluation. Out: lines, each figure with its interval where there is room. Bounds: long lists are cut, and say so.

use std::io::{self, Write};

use super::evaluation::{Evaluation, budgets_in_words, method};
use super::interval::Estimate;
use super::ranking::BUDGETS_PER_DAY;
use super::score::TechniqueFigures;

/// Missed operations and false alarms shown.
const LISTED_MAX: usize = 60;

/// Writes the tables.
pub fn write(out: &mut dyn Write, evaluation: &Evaluation) -> io::Result<()> {
    let Evaluation { captures, hours, benign, everywhere, .. } = evaluation;
    writeln!(
        out,
        "{captures} captures, {hours:.1} h of capture time, {} of them without any operation",
        benign.captures
    )?;
    if !evaluation.damaged.is_empty() {
        writeln!(out, "damaged or cut, the readable part scored: {}", evaluation.damaged.join(", "))?;
    }
    writeln!(out, "\nFOUND (at medium or above)")?;
    writeln!(
        out,
        "{:<34}{:>4} {:<18}{:>6}  {:<18}{:>6}  {:>9} {:>8}",
        "technique", "ops", "recall", "loose", "precision", "false", "first", "windows"
    )?;
    let named = |figures: &TechniqueFigures| figures.technique.id().to_owned();
    for figures in &evaluation.techniques {
        found(out, &named(figures), figures)?;
    }
    for (title, slices) in [("BY VARIANT", &evaluation.variants), ("BY WORLD", &evaluation.worlds)] {
        if !slices.is_empty() {
            writeln!(out, "\n{title}")?;
        }
        for slice in slices {
            let name = format!("{} {}", slice.figures.technique.id(), slice.name);
            found(out, &name, &slice.figures)?;
        }
    }
    found_within(out, evaluation)?;
    if evaluation.mixed.value.is_some() {
        writeln!(out, "\ncaptures of three techniques or more at once: recall {}", shown(evaluation.mixed))?;
    }
    ranking(out, evaluation)?;
    writeln!(out, "\nFALSE ALARMS (at medium or above, a day of capture)")?;
    for (name, rate) in [("captures without operations", benign), ("all captures", everywhere)] {
        writeln!(out, "{name:<28} {:>5} in {:.2} d: {}", rate.alarms, rate.days, shown(rate.per_day))?;
    }
    for kind in &evaluation.false_by_kind {
        writeln!(out, "  {:>5}  {:<23} {}", kind.alarms, kind.technique.id(), kind.kind)?;
    }
    promises(out, evaluation)?;
    if !evaluation.ablation.is_empty() {
        writeln!(out, "\nABLATION (operations' collectors against the others of their capture, by profile alone)")?;
        writeln!(out, "{:<52}{:<20}above 99 % of the others", "setting", "AUC")?;
    }
    for one in &evaluation.ablation {
        writeln!(out, "{:<52}{:<20}{}", one.setting, shown(one.auc), shown(one.above))?;
    }
    lists(out, evaluation)?;
    writeln!(out, "\n{}", method())
}

fn found(out: &mut dyn Write, name: &str, figures: &TechniqueFigures) -> io::Result<()> {
    let first = figures.delays.median_s.value.map_or("-".to_owned(), seconds);
    let windows = figures.delays.median_windows.map_or("-".to_owned(), |windows| format!("{windows:.1}"));
    writeln!(
        out,
        "{name:<34}{:>4} {:<18}{:>6}  {:<18}{:>6}  {first:>9} {windows:>8}",
        figures.operations,
        shown(figures.recall),
        number(figures.recall_loose.value),
        shown(figures.precision),
        figures.false_alarms,
    )
}

/// How soon, as a curve: shares of all operations.
fn found_within(out: &mut dyn Write, evaluation: &Evaluation) -> io::Result<()> {
    let of_techniques = evaluation.techniques.iter().map(|figures| (String::new(), figures));
    let of_variants = evaluation.variants.iter().map(|slice| (slice.name.clone(), &slice.figures));
    let mut lines: Vec<(&'static str, String, &TechniqueFigures)> =
        of_techniques.chain(of_variants).map(|(variant, figures)| (figures.technique.id(), variant, figures)).collect();
    lines.retain(|(.., figures)| !figures.delays.found_within.is_empty());
    lines.sort_by_key(|(.., figures)| figures.technique);
    let Some((.., first)) = lines.first() else { return Ok(()) };
    let marks: Vec<String> =
        first.delays.found_within.iter().map(|(mark, _)| format!("{:>8}", seconds(*mark))).collect();
    writeln!(
        out,
        "\nFOUND WITHIN (share of all operations, from their start)\n{:<34}{}",
        "technique",
        marks.join(" ")
    )?;
    for (technique, variant, figures) in lines {
        let shares: Vec<String> =
            figures.delays.found_within.iter().map(|(_, share)| format!("{share:>8.2}")).collect();
        writeln!(out, "{:<34}{}", format!("{technique} {variant}"), shares.join(" "))?;
    }
    Ok(())
}

fn ranking(out: &mut dyn Write, evaluation: &Evaluation) -> io::Result<()> {
    writeln!(out, "\nRANKED (all findings, against the trivial baseline)")?;
    let budgets = BUDGETS_PER_DAY.map(|budget| format!("@{budget}/d"));
    writeln!(
        out,
        "{:<23}{:<18}{:<18}{:<19}{:>5} {:>5}  {}   baseline",
        "technique",
        "avg precision",
        "of the baseline",
        "gain",
        "AUC",
        "base",
        budgets.map(|budget| format!("{budget:>6}")).join(" "),
    )?;
    for figures in evaluation.techniques.iter().filter(|figures| figures.operations > 0) {
        let (ours, theirs) = (&figures.ranking, &figures.baseline.ranking);
        writeln!(
            out,
            "{:<23}{:<18}{:<18}{:<19}{:>5} {:>5}  {}   {}",
            figures.technique.id(),
            shown(ours.average_precision),
            shown(theirs.average_precision),
            shown(figures.baseline.gain),
            number(ours.roc_auc.value),
            number(theirs.roc_auc.value),
            ours.recall_at_budget.map(|recall| format!("{:>6}", number(recall.value))).join(" "),
            theirs.recall_at_budget.map(|recall| number(recall.value)).join(" "),
        )?;
    }
    writeln!(out, "{}", budgets_in_words(evaluation.everywhere.days))
}

fn promises(out: &mut dyn Write, evaluation: &Evaluation) -> io::Result<()> {
    let kept = evaluation.promises.iter().filter(|promise| promise.observed > 0);
    writeln!(out, "\nPROMISES (p-values on captures without operations: promised and observed findings)")?;
    if evaluation.promises.iter().all(|promise| promise.observed == 0) {
        writeln!(out, "  no finding with a promised probability came")?;
    }
    for promise in kept {
        let over = if promise.observed as f64 > promise.promised.max(1.0) { "  more than promised" } else { "" };
        writeln!(
            out,
            "  {:<23} p <= {:<7} promised {:>8.2}  observed {:>4}{over}",
            promise.technique.id(),
            promise.p_value,
            promise.promised,
            promise.observed,
        )?;
    }
    writeln!(out, "thresholds set on half of the captures, false findings a day on the other half")?;
    for kept in evaluation.budgets.iter().filter(|kept| kept.observed_per_day.value.is_some_and(|rate| rate > 0.0)) {
        writeln!(
            out,
            "  {:<23} promised {:>4}/d  observed {}",
            kept.technique.id(),
            kept.promised_per_day,
            shown(kept.observed_per_day),
        )?;
    }
    Ok(())
}

fn lists(out: &mut dyn Write, evaluation: &Evaluation) -> io::Result<()> {
    if !evaluation.missed.is_empty() {
        writeln!(out, "\nMISSED")?;
    }
    for missed in evaluation.missed.iter().take(LISTED_MAX) {
        let variant = missed.variant.as_deref().unwrap_or("standard");
        let score = missed.best_score.map_or("nothing".to_owned(), |score| format!("{score:.2}"));
        let named = match missed.named_by.is_empty() {
            true => String::new(),
            false => format!(", named by {}", missed.named_by.join(", ")),
        };
        writeln!(out, "  {}: {} ({variant}), best {score}{named}", missed.capture, missed.technique.id())?;
    }
    cut(out, evaluation.missed.len())?;
    if !evaluation.false_alarms.is_empty() {
        writeln!(out, "\nFALSE")?;
    }
    for alarm in evaluation.false_alarms.iter().take(LISTED_MAX) {
        writeln!(
            out,
            "  {}: {} {} {:.2} [{}] {}",
            alarm.capture,
            alarm.severity,
            alarm.technique.id(),
            alarm.score,
            alarm.kind,
            alarm.headline,
        )?;
    }
    cut(out, evaluation.false_alarms.len())
}

fn cut(out: &mut dyn Write, all: usize) -> io::Result<()> {
    match all.checked_sub(LISTED_MAX) {
        Some(more) if more > 0 => writeln!(out, "  and {more} more (--format json lists all)"),
        _ => Ok(()),
    }
}

/// `0.95 [0.75, 1.00]`.
fn shown(estimate: Estimate) -> String {
    match (estimate.value, estimate.low, estimate.high) {
        (Some(value), Some(low), Some(high)) => format!("{value:.2} [{low:.2}, {high:.2}]"),
        (Some(value), ..) => format!("{value:.2}"),
        _ => "-".to_owned(),
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.2}"))
}

fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 600.0 => format!("{s:.0} s"),
        s if s < 36_000.0 => format!("{:.1} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
