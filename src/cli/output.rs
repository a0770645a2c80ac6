//! Output: where findings go: standard output, or a file that appears whole or not at all.
//! Bounds: one buffer. Not here: what is written (`report`).

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use crate::report::flows::{Destination, PartFile};
use crate::report::text;

/// Where results go.
pub struct Output {
    destination: Destination<'static>,
    path: Option<PathBuf>,
}

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot be written: {source}; check that its folder exists, is writable and has room", .path.display())]
pub struct OutputError {
    path: PathBuf,
    source: io::Error,
}

impl OutputError {
    /// Says which file it is about.
    pub fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { path, source }
    }
}

impl Output {
    /// Standard output, or a file. The file is begun now, so that a folder that cannot be written is said before the work.
    pub fn create(path: Option<&Path>) -> Result<Self, OutputError> {
        let path = path.filter(|path| *path != Path::new("-"));
        let destination = match path {
            Some(path) => Destination::File(PartFile::create(path).map_err(OutputError::at(path))?),
            None => Destination::stream(io::stdout()),
        };
        Ok(Self { destination, path: path.map(Path::to_owned) })
    }

    /// Whether results go to standard output.
    pub fn is_stdout(&self) -> bool {
        self.path.is_none()
    }

    /// How wide a page may be: `COLUMNS` on a terminal, else the widest that text reports use.
    pub fn columns(&self) -> usize {
        let terminal = self.is_stdout() && io::stdout().is_terminal();
        let width = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|_| terminal);
        width.unwrap_or(text::COLUMNS_MAX)
    }

    /// Passes everything on; a file takes its place now.
    pub fn finish(self) -> anyhow::Result<()> {
        match self.path {
            Some(path) => self.destination.commit().map_err(OutputError::at(&path))?,
            None => self.destination.commit()?,
        }
        Ok(())
    }
}

/// Says where it went wrong: at a file, or at standard output. An interruption and a reader that has gone stay what they are:
/// others tell them by kind.
pub fn named(error: io::Error, path: Option<&Path>) -> io::Error {
    match (error.kind(), path) {
        (io::ErrorKind::Interrupted | io::ErrorKind::BrokenPipe, _) => error,
        (_, Some(path)) => io::Error::other(OutputError { path: path.to_owned(), source: error }),
        (kind, None) => io::Error::new(kind, format!("standard output cannot be written: {error}")),
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.destination.write(bytes).map_err(|error| named(error, self.path.as_deref()))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.destination.flush().map_err(|error| named(error, self.path.as_deref()))
    }
}
