//! The schema and its versions.
//! In: an open database. Out: one of this build's version, or a refusal. An earlier one is copied before it is changed.
//! Times are nanoseconds since 1970; what lies past the year 2262 is kept as that year.

use std::path::Path;

use rusqlite::Connection;

use super::StoreError;
use super::lock::beside;

/// Marks the file as ours: `TRWL`.
pub(super) const APPLICATION_ID: i32 = 0x5452_574c;

/// What makes version n of version n − 1; the first makes an empty database version 1.
pub(super) const MIGRATIONS: &[&str] = &[
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
     CREATE TABLE sensors (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
     CREATE TABLE runs (
       id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, program TEXT NOT NULL,
       policy TEXT NOT NULL, model TEXT NOT NULL, started_ns INTEGER NOT NULL, ended_ns INTEGER) STRICT;
     CREATE TABLE captures (
       id INTEGER PRIMARY KEY,
       sensor INTEGER NOT NULL REFERENCES sensors (id) ON DELETE CASCADE,
       run INTEGER NOT NULL REFERENCES runs (id),
       path TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('reading', 'done', 'refused')),
       size INTEGER NOT NULL, head BLOB NOT NULL, mark BLOB NOT NULL,
       frames_from INTEGER NOT NULL, frames_to INTEGER NOT NULL,
       first_ns INTEGER, last_ns INTEGER, account TEXT NOT NULL) STRICT;
     CREATE INDEX captures_head ON captures (head);
     CREATE TABLE windows (
       id INTEGER PRIMARY KEY,
       sensor INTEGER NOT NULL REFERENCES sensors (id) ON DELETE CASCADE,
       capture INTEGER REFERENCES captures (id) ON DELETE CASCADE,
       class INTEGER NOT NULL, start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL,
       populations INTEGER NOT NULL, flows INTEGER NOT NULL, form BLOB NOT NULL) STRICT;
     CREATE INDEX windows_time ON windows (sensor, start_ns);
     CREATE INDEX windows_capture ON windows (capture);
     CREATE TABLE days (
       sensor INTEGER NOT NULL REFERENCES sensors (id) ON DELETE CASCADE,
       day_ns INTEGER NOT NULL, stale INTEGER NOT NULL, left_out INTEGER NOT NULL DEFAULT 0,
       PRIMARY KEY (sensor, day_ns)) STRICT, WITHOUT ROWID;
     CREATE TABLE findings (
       id INTEGER PRIMARY KEY,
       sensor INTEGER NOT NULL REFERENCES sensors (id) ON DELETE CASCADE,
       finding_id TEXT NOT NULL, technique TEXT NOT NULL, population TEXT NOT NULL,
       state TEXT NOT NULL DEFAULT 'new', shown INTEGER NOT NULL DEFAULT 0, note TEXT,
       severity INTEGER NOT NULL DEFAULT 0, score REAL NOT NULL DEFAULT 0, subscribers INTEGER NOT NULL DEFAULT 0,
       bytes_up INTEGER NOT NULL DEFAULT 0, first_ns INTEGER NOT NULL DEFAULT 0, last_ns INTEGER NOT NULL DEFAULT 0,
       days INTEGER NOT NULL DEFAULT 0, told TEXT,
       alike INTEGER REFERENCES findings (id) ON DELETE SET NULL,
       places TEXT NOT NULL DEFAULT '[]', body TEXT NOT NULL DEFAULT '',
       UNIQUE (sensor, finding_id)) STRICT;
     CREATE INDEX findings_last ON findings (last_ns);
     CREATE TABLE sightings (
       finding INTEGER NOT NULL REFERENCES findings (id) ON DELETE CASCADE,
       day_ns INTEGER NOT NULL, severity INTEGER NOT NULL, unjudged INTEGER NOT NULL,
       score REAL NOT NULL, flows INTEGER NOT NULL,
       first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL, body TEXT NOT NULL,
       PRIMARY KEY (finding, day_ns)) STRICT, WITHOUT ROWID;
     CREATE TABLE marks (
       id INTEGER PRIMARY KEY,
       finding INTEGER NOT NULL REFERENCES findings (id) ON DELETE CASCADE,
       kind TEXT NOT NULL CHECK (kind IN ('acknowledged', 'false-alarm', 'reopened')),
       who TEXT NOT NULL, why TEXT NOT NULL, at_ns INTEGER NOT NULL, standing TEXT NOT NULL) STRICT;
     CREATE INDEX marks_finding ON marks (finding);
     CREATE TABLE events (
       run INTEGER NOT NULL REFERENCES runs (id),
       finding INTEGER NOT NULL REFERENCES findings (id) ON DELETE CASCADE,
       kind TEXT NOT NULL, severity INTEGER NOT NULL, PRIMARY KEY (run, finding)) STRICT, WITHOUT ROWID;",
    "CREATE INDEX sightings_day ON sightings (day_ns);
     CREATE INDEX events_finding ON events (finding);
     ALTER TABLE runs ADD COLUMN account TEXT NOT NULL DEFAULT '{}';",
];

/// The version that this build writes.
pub const VERSION: i32 = MIGRATIONS.len() as i32;

/// Whether the file may be changed to this build's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Migrate {
    /// It may; nobody else uses it.
    Allowed,
    /// It may not.
    Never,
}

/// Brings the database to this build's version; the copy that was made before, where one was.
pub(super) fn bring_up(
    db: &mut Connection,
    path: &Path,
    migrate: Migrate,
) -> Result<Option<std::path::PathBuf>, StoreError> {
    let found: i32 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let owner: i32 = db.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if tables > 0 && owner != APPLICATION_ID {
        return Err(StoreError::Stranger { path: path.to_owned() });
    }
    if found > VERSION {
        return Err(StoreError::Later { path: path.to_owned(), found, known: VERSION });
    }
    if found == VERSION {
        return Ok(None);
    }
    if migrate == Migrate::Never {
        return Err(StoreError::Earlier { path: path.to_owned(), found, known: VERSION });
    }
    let copy = match tables {
        0 => None,
        _ => Some(copy_of(db, path, found)?),
    };
    let change = db.transaction()?;
    for (number, migration) in MIGRATIONS.iter().enumerate().skip(usize::try_from(found).unwrap_or(0)) {
        change.execute_batch(migration)?;
        change.pragma_update(None, "user_version", number as i32 + 1)?;
    }
    change.pragma_update(None, "application_id", APPLICATION_ID)?;
    change.commit()?;
    Ok(copy)
}

/// A whole copy beside the store: `store.db.v1.backup`. One that is there already is older, and stays.
fn copy_of(db: &Connection, path: &Path, version: i32) -> Result<std::path::PathBuf, StoreError> {
    let mut copy = beside(path, &format!(".v{version}.backup"));
    for number in 2.. {
        if !copy.exists() {
            break;
        }
        copy = beside(path, &format!(".v{version}.backup-{number}"));
    }
    db.execute("VACUUM INTO ?1", [copy.to_string_lossy()])?;
    Ok(copy)
}
