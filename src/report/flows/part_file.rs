//! A file that appears whole or not at all.
//! In: bytes. Out: a file at its path, moved there in one step once everything is on the disk; until then, and for ever
//! where the run is cut short, only `.NAME.PID.part` beside it, which is removed when dropped.
//! What is no plain file (a device, a pipe) is written as it goes, and never replaced.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::BUFFER_BYTES;

/// A file in the making.
#[derive(Debug)]
pub struct PartFile {
    path: PathBuf,
    /// None where the bytes go to `path` itself.
    part: Option<PathBuf>,
    /// None once it is in its place.
    file: Option<BufWriter<File>>,
}

impl PartFile {
    /// Begins the file that is to appear at `path`; what is there stays until then.
    pub fn create(path: &Path) -> io::Result<Self> {
        // Through a link to what it names, so that the link stays.
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let is_special = std::fs::metadata(&path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir());
        let (part, file) = match is_special {
            true => (None, File::options().write(true).open(&path)?),
            false => {
                let part = part_of(&path)?;
                let file = File::create(&part)?;
                (Some(part), file)
            }
        };
        Ok(Self { path, part, file: Some(BufWriter::with_capacity(BUFFER_BYTES, file)) })
    }

    /// Puts the file into its place.
    pub fn commit(mut self) -> io::Result<()> {
        let Some(mut buffered) = self.file.take() else { return Ok(()) };
        let Some(part) = self.part.take() else { return buffered.flush() };
        let moved = buffered
            .flush()
            .and_then(|()| buffered.get_ref().sync_all())
            .and_then(|()| std::fs::rename(&part, &self.path));
        if moved.is_err() {
            let _ = std::fs::remove_file(&part);
        }
        moved
    }
}

/// The hidden name beside `path`: the same file system, so that moving is one step.
fn part_of(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not the name of a file"))?;
    let mut part = std::ffi::OsString::from(".");
    part.push(name);
    part.push(format!(".{}.part", std::process::id()));
    Ok(path.with_file_name(part))
}

impl Write for PartFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_mut().expect("only commit, which consumes it, takes the file").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().expect("only commit, which consumes it, takes the file").flush()
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if let Some(part) = self.part.take() {
            let _ = std::fs::remove_file(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("out.csv");
        let names = || std::fs::read_dir(dir.path()).expect("a directory").count();

        let mut part = PartFile::create(&path).expect("a part");
        part.write_all(b"half").expect("written");
        assert_eq!((path.exists(), names()), (false, 1));
        drop(part);
        assert_eq!(names(), 0, "what is given up leaves nothing");

        std::fs::write(&path, b"old").expect("written");
        let mut part = PartFile::create(&path).expect("a part");
        part.write_all(b"new").expect("written");
        assert_eq!(std::fs::read(&path).expect("read"), b"old");
        part.commit().expect("moved");
        assert_eq!((std::fs::read(&path).expect("read"), names()), (b"new".to_vec(), 1));
        #[cfg(unix)]
        {
            let link = dir.path().join("link");
            std::os::unix::fs::symlink(&path, &link).expect("a link");
            let mut part = PartFile::create(&link).expect("a part");
            part.write_all(b"linked").expect("written");
            part.commit().expect("moved");
            assert_eq!((std::fs::read(&path).expect("read"), link.is_symlink()), (b"linked".to_vec(), true));
            let mut null = PartFile::create(Path::new("/dev/null")).expect("a device");
            null.write_all(b"gone").expect("written");
            null.commit().expect("written through");
            assert!(!std::fs::metadata("/dev/null").expect("still there").is_file());
        }
        assert!(PartFile::create(Path::new("/")).is_err());
        assert!(PartFile::create(&dir.path().join("none/out.csv")).is_err());
    }
}
