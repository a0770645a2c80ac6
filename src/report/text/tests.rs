//! What people read, as it prints.

use super::*;
use crate::report::page::Palette;
use crate::report::{Format, samples};

fn printed(findings: &[Finding], stats: &RunStats, columns: usize, palette: Palette) -> String {
    let mut out = Vec::new();
    let layout = Layout { reveal: &Reveal::Nothing, columns, palette };
    Format::Text.write(&mut out, findings, stats, layout).expect("a vector takes all");
    String::from_utf8(out).expect("text is UTF-8")
}

fn all() -> [Finding; 4] {
    [samples::fan_in(), samples::authorised(), samples::injection(), samples::refused()]
}

#[test]
fn the_page_at_100_columns() {
    insta::assert_snapshot!(printed(&all(), &samples::stats(), 100, Palette::Plain));
}

#[test]
fn the_page_at_60_columns() {
    insta::assert_snapshot!(printed(&all()[..1], &samples::stats(), 60, Palette::Plain));
}

#[test]
fn a_page_in_colour() {
    insta::assert_snapshot!(
        printed(&all()[2..3], &RunStats::default(), 100, Palette::Coloured).replace('\u{1b}', "ESC")
    );
}

#[test]
fn nothing_found_says_what_was_looked_at() {
    insta::assert_snapshot!(printed(&[], &samples::stats(), 100, Palette::Plain));
}

#[test]
fn no_line_is_too_long_and_no_escape_gets_through() {
    let mut hostile = samples::injection();
    hostile.population.name = "\u{1b}]0;title\u{7}".repeat(30);
    hostile.headline = "x".repeat(500);
    hostile.collector.names = vec!["\u{9b}31m".repeat(60); 9];
    hostile.evidence = vec![hostile.evidence[0].clone(); 20];
    for columns in [0, 40, 60, 79, 80, 100, 500] {
        let text = printed(&[hostile.clone(), samples::fan_in()], &samples::stats(), columns, Palette::Plain);
        let limit = columns.clamp(COLUMNS_MIN, COLUMNS_MAX);
        for line in text.lines() {
            assert!(line.chars().count() <= limit, "{columns}: {line}");
            assert!(!line.contains(crate::report::escape::is_unruly), "{columns}: {line:?}");
            assert_eq!(line, line.trim_end(), "{columns}");
        }
    }
}

#[test]
fn a_long_list_is_cut_and_says_so() {
    let many = vec![samples::fan_in(); TABLE_ROWS_MAX + 3];
    let text = printed(&many, &samples::stats(), 100, Palette::Plain);
    assert!(text.starts_with("53 findings: 53 high\n"), "{text}");
    assert!(text.contains("… and 3 more, each with its block below\n"));
}
