//! The lock of a store: one sweep at a time.
//! In: the store's path. Out: a lock that the system takes back when its holder ends, however it ends.
//! Bounds: [`HOLDER_BYTES_MAX`] bytes of the holder's words are read. On a network file system that does not carry `flock`
//! from host to host, only sweeps of one host exclude each other.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::StoreError;

const HOLDER_BYTES_MAX: u64 = 256;

/// Held while it lives.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock, or says who holds it. `since` is written beside the holder's process and host.
    pub(super) fn take(store: &Path, since: &str) -> Result<Self, StoreError> {
        let path = beside(store, ".lock");
        let world = |source| StoreError::Lock { path: path.clone(), source };
        let mut file =
            File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(world)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = (&file).take(HOLDER_BYTES_MAX).read_to_string(&mut holder);
                let holder = match holder.trim() {
                    "" => "another process".to_owned(),
                    holder => holder.chars().filter(|c| !c.is_control()).collect(),
                };
                return Err(StoreError::Held { store: store.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(world(source)),
        }
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = if host.trim().is_empty() { "this host" } else { host.trim() };
        let words = format!("process {} on {host} since {since}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(words.as_bytes()))
            .map_err(world)?;
        Ok(Self { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The words go; the file stays, so that no two processes ever lock two files of one name.
        let _ = self.file.set_len(0);
    }
}

/// `store.db` and `.lock` give `store.db.lock`.
pub(super) fn beside(store: &Path, ending: &str) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
