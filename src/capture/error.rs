//! What keeps an input from being read at all, with the place, what was found there, and the cure.
//! Not here: damage inside a readable capture, which is counted (`fault`).

use std::io;

use super::input::InputPath;

/// Why an input could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The list of inputs is empty.
    #[error("no capture named; give one or more files, or `-` for standard input")]
    NoInput,
    /// More inputs than can be numbered.
    #[error("{count} inputs named; one run reads at most {max}: split the list")]
    TooManyInputs {
        /// How many were named.
        count: usize,
        /// How many are possible.
        max: usize,
    },
    /// The operating system refuses.
    #[error("{path}: cannot be read: {source}; {cure}", cure = cure_of(source))]
    Unreadable {
        /// The input.
        path: InputPath,
        /// What the operating system says.
        source: io::Error,
    },
    /// A directory.
    #[error("{path}: is a directory; name the captures in it, for example {path}/*.pcap")]
    Directory {
        /// The input.
        path: InputPath,
    },
    /// A terminal, on which nobody types a capture.
    #[error("{path}: is a terminal; pipe a capture into it, for example `tcpdump -w - | trawlwatch replay -`")]
    Terminal {
        /// The input.
        path: InputPath,
    },
    /// No byte in it.
    #[error("{path}: is empty (0 bytes); was the capture stopped before its first write?")]
    Empty {
        /// The input.
        path: InputPath,
    },
    /// Something else than a capture.
    #[error("{path}: is {what}, not a capture; {cure}")]
    NotACapture {
        /// The input.
        path: InputPath,
        /// What it looks like.
        what: String,
        /// What to do.
        cure: &'static str,
    },
    /// It begins like a capture and ends inside the file's own header.
    #[error("{path}: ends after {bytes} bytes, inside the file header of {wanted}; copy it again from its origin")]
    HeaderCut {
        /// The input.
        path: InputPath,
        /// Bytes that there are.
        bytes: usize,
        /// Bytes of the header.
        wanted: usize,
    },
    /// A version that nobody reads.
    #[error("{path}: is {container} version {major}.{minor}; this build reads {readable}: {cure}")]
    Version {
        /// The input.
        path: InputPath,
        /// `pcap` or `pcapng`.
        container: &'static str,
        /// Major version found.
        major: u16,
        /// Minor version found.
        minor: u16,
        /// Versions that are read.
        readable: &'static str,
        /// What to do.
        cure: &'static str,
    },
    /// A first pcapng block that makes no sense.
    #[error("{path}: begins like pcapng, but its first block is broken ({what}); copy it again from its origin")]
    SectionHeader {
        /// The input.
        path: InputPath,
        /// What is broken.
        what: String,
    },
    /// Several inputs, and none could be read.
    #[error("none of the {} inputs could be read:\n{}", errors.len(), lines(errors))]
    NoneReadable {
        /// Why, in the order of the command line.
        errors: Vec<OpenError>,
    },
}

fn cure_of(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "check the path",
        io::ErrorKind::PermissionDenied => "make it readable for this user, or pipe it in: `sudo cat FILE | … -`",
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            "the compressed stream is broken from its start; copy it again from its origin"
        }
        // zstd's own words for a window beyond 128 MiB, which only `--long` makes.
        _ if error.to_string().contains("too much memory") => {
            "it wants more memory than is given: pipe it, `zstd -dc --long=31 FILE | trawlwatch replay -`"
        }
        _ => "check the device or file system that holds it",
    }
}

fn lines(errors: &[OpenError]) -> String {
    errors.iter().map(|error| format!("  {error}")).collect::<Vec<_>>().join("\n")
}
