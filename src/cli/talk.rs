//! Talk: the one door to standard error, and the progress bar.
//! In: sentences. Out: lines on standard error, coloured and with a bar only on a terminal and never with `NO_COLOR`.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Global;
use super::options::ColorWhen;

/// How loud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Loudness {
    Quiet,
    Normal,
    Verbose,
    Chatty,
}

/// What is said to people while a verb runs.
#[derive(Debug)]
pub struct Talk {
    loudness: Loudness,
    warned: AtomicBool,
}

impl Talk {
    /// As loud as `-v` and `-q` ask.
    pub fn new(global: &Global) -> Self {
        let loudness = match (global.quiet, global.verbose) {
            (true, _) => Loudness::Quiet,
            (_, 0) => Loudness::Normal,
            (_, 1) => Loudness::Verbose,
            _ => Loudness::Chatty,
        };
        Self { loudness, warned: AtomicBool::new(false) }
    }

    /// Says errors only: for runs inside a run, whose captures are named by the outer one.
    pub fn hushed() -> Self {
        Self { loudness: Loudness::Quiet, warned: AtomicBool::new(false) }
    }

    /// Another of the same loudness, for a thread of its own.
    pub fn twin(&self) -> Self {
        Self { loudness: self.loudness, warned: AtomicBool::new(false) }
    }

    /// Something that ends the run.
    pub fn error(&self, text: &str) {
        self.line("error", anstyle::AnsiColor::Red, text);
    }

    /// Something the user should know, and mend.
    pub fn warn(&self, text: &str) {
        self.warned.store(true, Ordering::Relaxed);
        if self.loudness > Loudness::Quiet {
            self.line("warning", anstyle::AnsiColor::Yellow, text);
        }
    }

    /// Something worth knowing.
    pub fn note(&self, text: &str) {
        if self.loudness > Loudness::Quiet {
            self.line("note", anstyle::AnsiColor::Cyan, text);
        }
    }

    /// Something worth knowing with `-v`.
    pub fn detail(&self, text: &str) {
        if self.loudness >= Loudness::Verbose {
            self.line("note", anstyle::AnsiColor::Cyan, text);
        }
    }

    /// A bar over bytes on a terminal, hidden elsewhere and with `-q`. `bytes_total` is unknown for streams.
    pub fn progress(&self, bytes_total: Option<u64>) -> ProgressBar {
        if self.loudness == Loudness::Quiet || !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let (bar, template) = match bytes_total {
            Some(total) => (
                ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(5)),
                "{bar:24} {bytes}/{total_bytes} {msg} {eta} left",
            ),
            None => (
                ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5)),
                "{spinner} {bytes} {msg} {elapsed}",
            ),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(500));
        bar
    }

    fn line(&self, label: &str, color: anstyle::AnsiColor, text: &str) {
        let style = color.on_default().bold();
        // Standard error is best effort: there is nowhere left to say that it failed.
        let _ = writeln!(anstream::stderr().lock(), "{style}{label}:{style:#} {}", printable(text));
    }
}

/// Text that may hold names from the wire: control characters are shown, never sent to the terminal.
fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| if c.is_control() && c != '\n' { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect()
}

/// Whether results on standard output are coloured.
pub fn colours_on_stdout(when: ColorWhen) -> bool {
    match when {
        ColorWhen::Always => true,
        ColorWhen::Never => false,
        // NO_COLOR counts when present and not empty (no-color.org).
        ColorWhen::Auto => {
            std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        }
    }
}
