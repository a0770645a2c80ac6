//! Markup: HTML in the making.
//! In: our own tags as they are, everybody's text escaped. Out: a string.
//! Not here: what is said.

use std::fmt::Write as _;

use crate::report::escape::ruly;

/// A page in the making.
#[derive(Debug, Default)]
pub(super) struct Markup(String);

impl Markup {
    /// Our own markup.
    pub(super) fn raw(&mut self, markup: &str) {
        self.0.push_str(markup);
    }

    /// Anybody's text.
    pub(super) fn text(&mut self, text: &str) {
        for c in ruly(text).chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => self.0.push(c),
            }
        }
    }

    /// An element that holds text only.
    pub(super) fn element(&mut self, tag: &str, text: &str) {
        let _ = write!(self.0, "<{tag}>");
        self.text(text);
        let _ = writeln!(self.0, "</{tag}>");
    }

    /// A term and what it means, of a description list.
    pub(super) fn term(&mut self, term: &str, text: &str) {
        self.raw("<dt>");
        self.text(term);
        self.raw("</dt><dd>");
        self.text(text);
        self.raw("</dd>\n");
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}
