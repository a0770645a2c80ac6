//! What sweeps remember, in one SQLite file.
//! In: captures done, window summaries, judged findings, people's marks. Out: the same, asked for; findings with their life.
//! Bounds: retention by age and size (`retention`); a window's form is at most [`windows::FORM_BYTES_MAX`] long.
//! Time: capture time, but for runs and marks, whose wall-clock times the caller gives.
//! Not here: how captures become windows and windows findings (`sweep`).
//!
//! # What is in it, and what is not
//! Subscribers stand in it by pseudonym and keyed hash only, all under one key. The key is not in the store: it lies in a file
//! of its own (`STORE.key` unless `--key` names another), so that a copy of the store alone reveals no one. The store knows
//! the key by a number derived from it, and refuses another one, under which nothing would join.
//!
//! # Kill it at any moment
//! A capture's windows count once its row says `done`, in the same transaction that brings the last of them. A day's findings
//! are a function of that day's windows and the policy; they replace the day's earlier ones in one transaction. What was told
//! to people is noted last. So whatever a kill cut off is done again by the next sweep, and nothing is done twice.

pub mod captures;
pub mod check;
pub mod erase;
pub mod export;
pub mod findings;
pub mod life;
mod lock;
pub mod marks;
pub mod query;
pub mod retention;
pub mod runs;
mod schema;
pub mod windows;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::units::TimestampNs;

pub use schema::VERSION;

/// How long another process's write is waited for.
const BUSY: Duration = Duration::from_secs(30);

/// A store that is open.
#[derive(Debug)]
pub struct Store {
    db: Connection,
    path: PathBuf,
    copied_to: Option<PathBuf>,
    _lock: Option<lock::Lock>,
}

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is none.
    #[error("{}: there is no store; `trawlwatch sweep --store {} PATH` makes one", .path.display(), .path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Something else stands there.
    #[error("{}: is a database, but not a store of this program; name another file", .path.display())]
    Stranger {
        /// The file.
        path: PathBuf,
    },
    /// A later build made it.
    #[error("{}: a store of version {found}, this build knows up to {known}; use the build that made it, or a later one", .path.display())]
    Later {
        /// The store.
        path: PathBuf,
        /// Its version.
        found: i32,
        /// Ours.
        known: i32,
    },
    /// An earlier build made it, and this verb changes no store.
    #[error(
        "{}: a store of version {found}, this build works with {known}; `trawlwatch store check` brings it up (a copy is kept)",
        .path.display()
    )]
    Earlier {
        /// The store.
        path: PathBuf,
        /// Its version.
        found: i32,
        /// Ours.
        known: i32,
    },
    /// Another sweep is at work.
    #[error("{}: in use by {holder}; wait until it ends", .store.display())]
    Held {
        /// The store.
        store: PathBuf,
        /// Process, host, since when.
        holder: String,
    },
    /// The lock file cannot be used.
    #[error("{}: cannot be locked: {source}; check that its folder is writable", .path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The pseudonyms in it were made under another key.
    #[error("{}: was made under another pseudonym key; name that key's file with --key", .path.display())]
    Key {
        /// The store.
        path: PathBuf,
    },
    /// Something in it cannot be read.
    #[error("{}: {what} is damaged ({why}); `trawlwatch store check` says how much of the store is", .path.display())]
    Damaged {
        /// The store.
        path: PathBuf,
        /// What.
        what: String,
        /// Why it cannot be read.
        why: String,
    },
    /// What was asked for is not there.
    #[error("no finding {0:?} in the store; `trawlwatch findings` lists them")]
    NoFinding(String),
    /// More than one thing answers to a name.
    #[error(
        "{0:?} is the beginning of several findings' ids ({1}); write more of it, or name the sensor with --sensor"
    )]
    Ambiguous(String, String),
    /// The database itself fails.
    #[error("the store: {0}")]
    Database(#[from] rusqlite::Error),
}

/// What a verb does with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Sweeps, and everything that rewrites much of it: alone, and creates it where it is missing.
    Sweep,
    /// The same, but it must be there.
    Alone,
    /// Small changes beside a sweep: marks.
    Mark,
    /// No change.
    Read,
}

impl Store {
    /// Opens a store. `since` is what others read while this one holds the lock.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn open(path: &Path, access: Access, since: &str) -> Result<Self, StoreError> {
        if access != Access::Sweep && !path.exists() {
            return Err(StoreError::Missing { path: path.to_owned() });
        }
        let alone = matches!(access, Access::Sweep | Access::Alone);
        let lock = alone.then(|| lock::Lock::take(path, since)).transpose()?;
        let flags = match access {
            Access::Sweep => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
            _ => OpenFlags::SQLITE_OPEN_READ_WRITE,
        };
        let is_new = !path.exists();
        let mut db = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        if is_new {
            private(path);
        }
        db.busy_timeout(BUSY)?;
        // A file that is no database at all says so at the first question.
        db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0)).map_err(
            |error| match error.sqlite_error_code() {
                Some(rusqlite::ErrorCode::NotADatabase) => StoreError::Stranger { path: path.to_owned() },
                _ => StoreError::Database(error),
            },
        )?;
        db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        db.pragma_update(None, "foreign_keys", true)?;
        let migrate = if alone { schema::Migrate::Allowed } else { schema::Migrate::Never };
        let copied_to = schema::bring_up(&mut db, path, migrate)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        // A killed process loses nothing; after a power failure the last transactions may be done again.
        db.pragma_update(None, "synchronous", "NORMAL")?;
        db.set_prepared_statement_cache_capacity(64);
        Ok(Self { db, path: path.to_owned(), copied_to, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The copy that was made before an earlier version was brought up.
    pub fn copied_to(&self) -> Option<&Path> {
        self.copied_to.as_deref()
    }

    /// Binds the store to a pseudonym key, known by its mark; refused where it is bound to another.
    ///
    /// # Errors
    /// [`StoreError::Key`].
    pub fn bind_key(&self, mark: u64) -> Result<(), StoreError> {
        let mark = format!("{mark:016x}");
        match self.meta("key")? {
            None => self.set_meta("key", &mark),
            Some(known) if known == mark => Ok(()),
            Some(_) => Err(StoreError::Key { path: self.path.clone() }),
        }
    }

    /// A word that the store remembers.
    pub(crate) fn meta(&self, name: &str) -> Result<Option<String>, StoreError> {
        let value = self.db.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0)).optional()?;
        Ok(value)
    }

    pub(crate) fn set_meta(&self, name: &str, value: &str) -> Result<(), StoreError> {
        let upsert = "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2";
        self.db.execute(upsert, [name, value])?;
        Ok(())
    }

    /// The number of a sensor, made where it is new.
    ///
    /// # Errors
    /// When the database fails.
    pub fn sensor(&self, name: &str) -> Result<i64, StoreError> {
        self.db.execute("INSERT INTO sensors (name) VALUES (?1) ON CONFLICT (name) DO NOTHING", [name])?;
        Ok(self.db.query_row("SELECT id FROM sensors WHERE name = ?1", [name], |row| row.get(0))?)
    }

    /// All sensors, by number.
    ///
    /// # Errors
    /// When the database fails.
    pub fn sensors(&self) -> Result<Vec<(i64, String)>, StoreError> {
        let mut asked = self.db.prepare_cached("SELECT id, name FROM sensors ORDER BY id")?;
        let rows = asked.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn damaged(&self, what: impl Into<String>, why: impl ToString) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), what: what.into(), why: why.to_string() }
    }
}

/// A new store is its owner's alone: who collects what is as sensitive as who is collected.
fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    // Best effort: a file system without permissions has none to set.
    let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600));
}

/// A time as SQLite keeps it.
fn kept(ts: TimestampNs) -> i64 {
    i64::try_from(ts.0).unwrap_or(i64::MAX)
}

/// The same, back.
fn time(kept: i64) -> TimestampNs {
    TimestampNs(u64::try_from(kept).unwrap_or(0))
}

/// A count as SQLite keeps it.
fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// The same, back.
fn count(kept: i64) -> u64 {
    u64::try_from(kept).unwrap_or(0)
}
