//! A page of text: lines that fit their columns.
//! In: words that are harmless already (`escape`). Out: wrapped, indented and perhaps coloured lines.
//! Bounds: no line is longer than the page; a word that is longer than its line is broken.
//! A column is taken for a character: what may be wider or narrower from the wire is escaped before.

use std::io::{self, Write};

use anstyle::{AnsiColor, Color, Style};

use crate::detect::finding::Severity;

/// Colours, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Palette {
    /// No escape sequence at all.
    #[default]
    Plain,
    /// Severities in colour, labels dimmed.
    Coloured,
}

impl Palette {
    /// How a severity looks.
    pub fn severity(self, severity: Severity) -> Style {
        let foreground = |colour: AnsiColor| Style::new().fg_color(Some(Color::Ansi(colour)));
        self.only_coloured(match severity {
            Severity::Critical => foreground(AnsiColor::Red).bold().invert(),
            Severity::High => foreground(AnsiColor::Red).bold(),
            Severity::Medium => foreground(AnsiColor::Yellow).bold(),
            Severity::Low => foreground(AnsiColor::Cyan),
            Severity::Info => Style::new().dimmed(),
        })
    }

    /// How a heading looks.
    pub fn heading(self) -> Style {
        self.only_coloured(Style::new().bold())
    }

    /// How a label looks.
    pub fn label(self) -> Style {
        self.only_coloured(Style::new().dimmed())
    }

    fn only_coloured(self, style: Style) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Coloured => style,
        }
    }
}

/// Columns before the words of a labelled line.
pub(super) const LABEL_COLUMNS: usize = 14;

/// A page being written.
pub(super) struct Page<'a> {
    out: &'a mut dyn Write,
    pub(super) columns: usize,
    pub(super) palette: Palette,
}

impl<'a> Page<'a> {
    pub(super) fn new(out: &'a mut dyn Write, columns: usize, palette: Palette) -> Self {
        Self { out, columns, palette }
    }

    /// An empty line.
    pub(super) fn blank(&mut self) -> io::Result<()> {
        self.out.write_all(b"\n")
    }

    /// One line in one style; cut where it is too long.
    pub(super) fn line(&mut self, style: Style, text: &str) -> io::Result<()> {
        let text = fitted(text.trim_end(), self.columns);
        writeln!(self.out, "{style}{text}{style:#}")
    }

    /// Text with a label before it, wrapped under itself.
    pub(super) fn labelled(&mut self, label: &str, text: &str) -> io::Result<()> {
        let style = self.palette.label();
        let mut label = format!("  {label:<width$}", width = LABEL_COLUMNS - 2);
        for line in wrapped(text, self.columns.saturating_sub(LABEL_COLUMNS)) {
            writeln!(self.out, "{style}{label}{style:#}{line}")?;
            label = " ".repeat(LABEL_COLUMNS);
        }
        Ok(())
    }

    /// Text wrapped at an indent.
    pub(super) fn paragraph(&mut self, indent: usize, style: Style, text: &str) -> io::Result<()> {
        for line in wrapped(text, self.columns.saturating_sub(indent)) {
            writeln!(self.out, "{:indent$}{style}{line}{style:#}", "")?;
        }
        Ok(())
    }
}

/// `text` in lines of at most `columns` characters, broken at spaces, else within the word.
pub(super) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split_whitespace() {
        let mut word = word;
        let mut length = word.chars().count();
        if used > 0 && used + 1 + length > columns {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        while length > columns {
            let cut = word.char_indices().nth(columns).map_or(word.len(), |(at, _)| at);
            lines.push(word[..cut].to_owned());
            word = &word[cut..];
            length -= columns;
        }
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        line.push_str(word);
        used += length;
    }
    if used > 0 || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// At most `columns` characters of `text`; what is cut ends in `…`.
pub(super) fn fitted(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(columns.saturating_sub(1)).collect();
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_words_are_broken() {
        assert_eq!(wrapped("a bb ccc", 4), ["a bb", "ccc"]);
        assert_eq!(wrapped("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
        assert_eq!(wrapped("", 4), [""]);
        assert_eq!(fitted("abcdef", 4), "abc…");
    }

    proptest! {
        #[test]
        fn no_line_is_too_long_and_no_word_is_lost(text: String, columns in 1usize..40) {
            let lines = wrapped(&text, columns);
            prop_assert!(lines.iter().all(|line| line.chars().count() <= columns));
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters(&lines.concat()), letters(&text));
        }
    }
}
