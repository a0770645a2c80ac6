//! Standard output or a file that grows line by line, and is opened anew when asked.
//! In: whole lines. Out: whole lines: what a full disk cut off is written on from where it stopped.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Carrier, Failure};

/// Where lines go.
pub struct LineFile {
    place: Place,
    /// Bytes of the line under way that are already written.
    written: usize,
}

enum Place {
    Stdout,
    File(File, PathBuf),
    /// Whoever read has gone.
    Closed,
}

impl LineFile {
    /// Standard output.
    pub fn stdout() -> Self {
        Self { place: Place::Stdout, written: 0 }
    }

    /// A file, behind what is in it.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { place: Place::File(append(path)?, path.to_owned()), written: 0 })
    }
}

impl Carrier for LineFile {
    fn carry(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        while self.written < bytes.len() {
            let rest = &bytes[self.written..];
            let step = match &mut self.place {
                Place::Stdout => {
                    let mut out = io::stdout().lock();
                    out.write(rest).and_then(|n| out.flush().map(|()| n))
                }
                Place::File(file, _) => file.write(rest),
                Place::Closed => return Err(Failure::Never("nobody reads it any more".to_owned())),
            };
            match step {
                Ok(0) => return Err(Failure::Later("takes no more".to_owned())),
                Ok(n) => self.written += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    (self.place, self.written) = (Place::Closed, 0);
                    return Err(Failure::Never("whoever read it has gone; what follows is dropped".to_owned()));
                }
                Err(error) => return Err(Failure::Later(self.place.words(&error))),
            }
        }
        self.written = 0;
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), String> {
        if let Place::File(file, path) = &mut self.place {
            *file = append(path).map_err(|error| format!("{}: {error}", path.display()))?;
            // The new file begins with a whole line.
            self.written = 0;
        }
        Ok(())
    }

    fn attempts_max(&self) -> Option<u32> {
        None
    }
}

impl Place {
    fn words(&self, error: &io::Error) -> String {
        match self {
            Self::File(_, path) => format!("{}: cannot be written: {error}", path.display()),
            Self::Stdout | Self::Closed => format!("standard output cannot be written: {error}"),
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_rotated_by_moving_it_and_opening_it_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, moved) = (folder.path().join("out"), folder.path().join("out.1"));
        let mut file = LineFile::open(&path).expect("opens");
        file.carry(b"one\n").expect("writes");
        std::fs::rename(&path, &moved).expect("moves");
        file.carry(b"two\n").expect("writes on in the moved file");
        file.reopen().expect("opens anew");
        file.carry(b"three\n").expect("writes");
        assert_eq!(std::fs::read_to_string(&moved).expect("reads"), "one\ntwo\n");
        assert_eq!(std::fs::read_to_string(&path).expect("reads"), "three\n");
    }
}
