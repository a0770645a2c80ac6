//! Output: where results go: standard output, or a file that appears whole or not at all.
//! Bounds: one buffer. Not here: what is written (`report`).

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use crate::report::text;

/// Where results go.
pub struct Output {
    target: Target,
}

enum Target {
    Stdout(BufWriter<io::Stdout>),
    File { partial: PathBuf, path: PathBuf, file: BufWriter<File> },
}

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot be written: {source}; check that its folder exists, is writable and has room", .path.display())]
pub struct OutputError {
    path: PathBuf,
    source: io::Error,
}

impl Output {
    /// Standard output, or the file: written beside it under a `.partial` name, renamed when it is whole. Devices and
    /// pipes are written in place.
    pub fn create(path: Option<&Path>) -> Result<Self, OutputError> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            return Ok(Self { target: Target::Stdout(BufWriter::with_capacity(1 << 16, io::stdout())) });
        };
        let in_place = path.metadata().is_ok_and(|meta| !meta.is_file());
        let mut partial = path.as_os_str().to_owned();
        if !in_place {
            partial.push(".partial");
        }
        let partial = PathBuf::from(partial);
        let file = File::create(&partial).map_err(|source| OutputError { path: path.to_owned(), source })?;
        Ok(Self { target: Target::File { partial, path: path.to_owned(), file: BufWriter::with_capacity(1 << 16, file) } })
    }

    /// Whether results go to standard output.
    pub fn is_stdout(&self) -> bool {
        matches!(self.target, Target::Stdout(_))
    }

    /// How wide a page may be: the terminal's width, else the widest that text reports use.
    pub fn columns(&self) -> usize {
        let terminal = self.is_stdout() && io::stdout().is_terminal();
        let width = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|_| terminal);
        width.unwrap_or(text::COLUMNS_MAX)
    }

    /// Flushes; a file gets its name now.
    pub fn finish(mut self) -> anyhow::Result<()> {
        self.flush()?;
        if let Target::File { partial, path, .. } = &self.target
            && partial != path
        {
            std::fs::rename(partial, path).map_err(|source| OutputError { path: path.clone(), source })?;
        }
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.target {
            Target::Stdout(out) => out.write(bytes),
            Target::File { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.target {
            Target::Stdout(out) => out.flush(),
            Target::File { file, .. } => file.flush(),
        }
    }
}

impl Drop for Output {
    /// A run that failed leaves no half file behind.
    fn drop(&mut self) {
        if let Target::File { partial, path, .. } = &self.target
            && partial != path
        {
            // After `finish` the partial file has its name already and there is nothing to remove.
            let _gone = std::fs::remove_file(partial);
        }
    }
}
