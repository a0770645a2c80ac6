//! The digest: a sweep in at most [`LINES_MAX`] lines, for a mail.
//! In: what a sweep came to, and the findings that it tells of. Out: plain text. Words from the wire are escaped.

use std::io::{self, Write};

use super::Swept;
use crate::report::escape::words;
use crate::report::figures;
use crate::store::life::State;
use crate::store::query::KeptFinding;
use crate::units::TimestampNs;

/// Most lines.
pub const LINES_MAX: usize = 40;
/// Longest line, in characters.
const LINE_CHARS_MAX: usize = 160;
/// Lines kept for files that could not be swept.
const FILES_SHOWN: usize = 8;
/// Lines of findings that have ended or eased.
const OVER_SHOWN: usize = 5;

/// What a digest tells of.
#[derive(Debug)]
pub struct Digest<'a> {
    /// The store's name.
    pub store: &'a str,
    /// What it was: a sweep, or history judged again.
    pub what: &'a str,
    /// When, by the wall clock.
    pub now: TimestampNs,
    /// What it came to.
    pub swept: &'a Swept,
    /// The findings that changed, worst first, each with what became of it.
    pub told: &'a [(String, KeptFinding)],
    /// How many findings are in each state.
    pub counts: &'a [(State, u64)],
}

impl Digest<'_> {
    /// Its lines.
    pub fn lines(&self) -> Vec<String> {
        let swept = self.swept;
        let mut lines = vec![format!(
            "Trawlwatch {} of {}, run {} of {}",
            self.what,
            figures::plain_time(self.now),
            swept.run,
            self.store
        )];
        let stats = &swept.stats;
        let mut read = format!(
            "swept      {}, {}, {}, {}",
            figures::counted(swept.captures, "capture"),
            figures::bytes(swept.bytes),
            figures::counted(stats.packets, "packet"),
            figures::counted(stats.flows, "flow"),
        );
        if let Some((first, last)) = stats.span {
            read.push_str(&format!("; {}", figures::span(first, last)));
        }
        lines.push(read);
        let mut passed = vec![format!("{} known from before", figures::count(swept.known))];
        for (n, what) in [
            (swept.continued, "continued where they ended"),
            (swept.outside, "outside the time asked for"),
            (swept.strangers, "files that are no captures"),
            (swept.refused_before, "unreadable as before"),
        ] {
            if n > 0 {
                passed.push(format!("{} {what}", figures::count(n)));
            }
        }
        lines.push(format!("besides    {}", passed.join(", ")));
        lines.push(format!(
            "not swept  {} cannot be read, {} still growing, {} damaged in part",
            swept.refused.len(),
            swept.growing.len(),
            stats.files.len()
        ));
        let states: Vec<String> = (self.counts.iter().filter(|(_, n)| *n > 0))
            .map(|(state, n)| format!("{} {}", figures::count(*n), state.name()))
            .collect();
        lines.push(format!("findings   {}", if states.is_empty() { "none".to_owned() } else { states.join(", ") }));
        if swept.left_out.0 > 0 {
            lines.push(format!(
                "left out   {} windows on {} days rest on other populations than the policy now names",
                swept.left_out.0, swept.left_out.1
            ));
        }
        self.findings(&mut lines);
        self.files(&mut lines);
        lines.truncate(LINES_MAX);
        lines.into_iter().map(|line| cut(&line)).collect()
    }

    fn findings(&self, lines: &mut Vec<String>) {
        lines.push(String::new());
        if self.told.is_empty() {
            lines.push("Nothing new.".to_owned());
            return;
        }
        let trouble = self.swept.refused.len() + self.swept.growing.len() + self.swept.stats.files.len();
        let room = LINES_MAX.saturating_sub(lines.len() + trouble.min(FILES_SHOWN) + 4);
        let news = self.told.iter().filter(|(_, kept)| kept.state.is_news()).count();
        // What is over takes a few lines, and what is news the rest.
        let shown = self.told.len().min(room).min(news + OVER_SHOWN);
        for (what, kept) in &self.told[..shown] {
            let finding = &kept.finding;
            lines.push(format!(
                "{:<9} {:<8} {}  {}  {}  {} ({})",
                what.to_uppercase(),
                finding.severity.name(),
                &kept.id[..kept.id.len().min(12)],
                figures::plain_time(finding.start),
                finding.technique.id(),
                words(&finding.headline),
                words(&kept.sensor),
            ));
        }
        match self.told.len() - shown {
            0 => {}
            more => lines.push(format!("… and {more} more: `trawlwatch findings` lists them all")),
        }
    }

    fn files(&self, lines: &mut Vec<String>) {
        let damaged = self.swept.stats.files.iter();
        let damaged = damaged.map(|file| (file.path.as_str(), file.first_fault.as_deref().unwrap_or("damaged")));
        let others = self.swept.refused.iter().chain(&self.swept.growing);
        let all: Vec<(&str, &str)> =
            others.map(|file| (file.path.as_str(), file.why.as_str())).chain(damaged).collect();
        if all.is_empty() {
            return;
        }
        lines.push(String::new());
        let room = LINES_MAX.saturating_sub(lines.len() + 1);
        for (path, why) in all.iter().take(room) {
            lines.push(format!("{}: {}", words(path), words(why)));
        }
        if all.len() > room {
            lines.push(format!("… and {} more files: `--format json` lists them", all.len() - room));
        }
    }

    /// Writes the lines.
    ///
    /// # Errors
    /// The writer's own.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        self.lines().iter().try_for_each(|line| writeln!(out, "{line}"))
    }
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(LINE_CHARS_MAX) {
        None => line.to_owned(),
        Some(_) => line.chars().take(LINE_CHARS_MAX - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::NotSwept;
    use super::*;

    #[test]
    fn a_digest_fits_a_mail_whatever_happened() {
        let many = |n: usize| -> Vec<NotSwept> {
            (0..n)
                .map(|i| NotSwept { path: format!("{}/{i}.pcap", "x".repeat(300)), why: "is empty".to_owned() })
                .collect()
        };
        for (refused, growing) in [(0, 0), (3, 0), (500, 70)] {
            let swept = Swept { refused: many(refused), growing: many(growing), ..Swept::default() };
            let digest = Digest {
                store: "s",
                what: "sweep",
                now: TimestampNs(0),
                swept: &swept,
                told: &[],
                counts: &[(State::New, 2)],
            };
            let lines = digest.lines();
            assert!(lines.len() <= LINES_MAX && lines.iter().all(|line| line.chars().count() <= LINE_CHARS_MAX));
            assert!(lines.iter().any(|line| line == "Nothing new."));
            assert!(lines[3].contains(&format!("{refused} cannot be read")), "{}", lines[3]);
        }
    }
}
