//! A BPF filter in tcpdump's language, over frames of one link type.
//! In: an expression, compiled by libpcap. Out: whether a frame matches.
//! Bounds: a program of at most 4096 instructions (libpcap's own limit) that cannot loop.
//! Not here: filters inside the kernel, which live capture sets.

use std::fmt;

use pcap::{BpfProgram, Capture, Linktype};

use super::frame::{Frame, LinkType};

/// A compiled filter.
pub struct Filter {
    expression: String,
    link: LinkType,
    program: BpfProgram,
}

/// Why an expression is no filter.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// libpcap does not understand it.
    #[error("filter {expression:?} for link type {}: {words}; the language is described in `man pcap-filter`", link.0)]
    Expression {
        /// What was written.
        expression: String,
        /// For which link type.
        link: LinkType,
        /// libpcap's own words.
        words: String,
    },
    /// libpcap itself fails.
    #[error("libpcap gives no handle to compile filters with: {words}; is there memory left?")]
    Library {
        /// libpcap's own words.
        words: String,
    },
}

impl Filter {
    /// Compiles an expression for frames of one link type; an empty one matches all.
    ///
    /// # Errors
    /// When libpcap does not understand it, with libpcap's own words.
    pub fn compile(expression: &str, link: LinkType) -> Result<Self, FilterError> {
        let handle =
            Capture::dead(Self::dead_link(link)).map_err(|error| FilterError::Library { words: words(error) })?;
        let program = handle.compile(expression, true).map_err(|error| FilterError::Expression {
            expression: expression.to_owned(),
            link,
            words: words(error),
        })?;
        Ok(Self { expression: expression.to_owned(), link, program })
    }

    /// Whether a frame matches; one of another link type than the filter was compiled for never does.
    pub fn matches(&self, frame: &Frame<'_>) -> bool {
        frame.link == self.link && self.program.filter(frame.bytes)
    }

    /// The link type that it was compiled for.
    pub fn link(&self) -> LinkType {
        self.link
    }

    /// libpcap's `DLT_` number of a `LINKTYPE_`: the same but for the few that systems had numbered before
    /// tcpdump.org did.
    pub fn dead_link(link: LinkType) -> Linktype {
        Linktype(match link.0 {
            100 => 11,
            101 => 12,
            102 => 15,
            103 => 16,
            106 => 19,
            other => i32::from(other),
        })
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter").field("expression", &self.expression).field("link", &self.link).finish_non_exhaustive()
    }
}

fn words(error: pcap::Error) -> String {
    match error {
        pcap::Error::PcapError(words) => words,
        other => other.to_string(),
    }
}
