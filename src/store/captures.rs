//! Captures that sweeps have seen: done, half read, refused.
//! In: a capture's content (length, head, mark), what reading it came to. Out: whether it is known, and how far it was read.
//! A capture that was appended to has one row for each time that it was read; each begins at the frame where the last ended.

use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::windows::StoredWindow;
use super::{Store, StoreError, count, kept, number};
use crate::units::{DurationNs, TimestampNs};

/// A day: what findings are judged by.
pub const DAY: DurationNs = DurationNs::from_secs(86_400);

/// What tells a capture from another, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// Bytes of the file.
    pub size: u64,
    /// Hash of its beginning: finds those that may be the same.
    pub head: [u8; 32],
    /// Hash over samples of all of it.
    pub mark: [u8; 32],
}

/// How a known capture was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Read to its end.
    Done,
    /// It could not be read.
    Refused,
}

/// A capture of which the beginning may be known.
#[derive(Clone, Debug)]
pub struct Known {
    /// Bytes that it had.
    pub size: u64,
    /// See [`Content::mark`].
    pub mark: [u8; 32],
    /// Frames read of it, from its beginning.
    pub frames: u64,
    /// How it was left.
    pub left: Left,
    /// Number of its sensor.
    pub sensor: i64,
}

/// What reading a capture came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CaptureAccount {
    /// Packets.
    pub packets: u64,
    /// Flows.
    pub flows: u64,
    /// Bytes on the wire.
    pub wire_bytes: u64,
    /// Damage by kind.
    pub faults: BTreeMap<String, u64>,
    /// The first damage, or why it could not be read, in words.
    pub words: Option<String>,
}

/// A capture that is being read.
#[derive(Clone, Debug)]
pub struct Reading<'a> {
    /// The run.
    pub run: i64,
    /// Its sensor.
    pub sensor: i64,
    /// Its path, for people.
    pub path: &'a str,
    /// What it is.
    pub content: Content,
    /// Frames that were read before.
    pub frames_from: u64,
}

/// Where reading ended.
#[derive(Clone, Debug)]
pub struct ReadTo {
    /// Frames from the capture's beginning.
    pub frames: u64,
    /// First and last capture time.
    pub span: Option<(TimestampNs, TimestampNs)>,
    /// What it came to.
    pub account: CaptureAccount,
}

impl Store {
    /// What is left of a run that was cut short: half-read captures, with all their windows.
    ///
    /// # Errors
    /// When the database fails.
    pub fn drop_half_read(&self) -> Result<usize, StoreError> {
        Ok(self.db.execute("DELETE FROM captures WHERE state = 'reading'", [])?)
    }

    /// Captures whose beginning is this head, the longest first.
    ///
    /// # Errors
    /// When the database fails.
    pub fn captures_of_head(&self, head: &[u8; 32]) -> Result<Vec<Known>, StoreError> {
        let mut asked = self.db.prepare_cached(
            "SELECT size, mark, frames_to, state, sensor FROM captures WHERE head = ?1 AND state != 'reading' ORDER BY \
             size DESC, frames_to DESC, id DESC",
        )?;
        let rows = asked.query_map([head], |row| {
            Ok(Known {
                size: count(row.get(0)?),
                mark: row.get(1)?,
                frames: count(row.get(2)?),
                left: if row.get::<_, String>(3)? == "done" { Left::Done } else { Left::Refused },
                sensor: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Lengths below `most` of known captures: such short ones have a head that is all of them.
    ///
    /// # Errors
    /// When the database fails.
    pub fn short_lengths(&self, most: u64) -> Result<Vec<u64>, StoreError> {
        let asked = "SELECT DISTINCT size FROM captures WHERE size < ?1 AND state != 'reading' ORDER BY size DESC";
        let mut asked = self.db.prepare_cached(asked)?;
        let rows = asked.query_map([number(most)], |row| Ok(count(row.get(0)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Notes that a capture is being read; its windows do not count yet.
    ///
    /// # Errors
    /// When the database fails.
    pub fn begin_capture(&self, reading: &Reading<'_>) -> Result<i64, StoreError> {
        let Reading { run, sensor, path, content, frames_from } = reading;
        self.db.execute(
            "INSERT INTO captures (sensor, run, path, state, size, head, mark, frames_from, frames_to, account) VALUES \
             (?1, ?2, ?3, 'reading', ?4, ?5, ?6, ?7, ?7, '{}')",
            params![sensor, run, path, number(content.size), content.head, content.mark, number(*frames_from)],
        )?;
        Ok(self.db.last_insert_rowid())
    }

    /// Keeps some windows of a capture that is being read.
    ///
    /// # Errors
    /// When the database fails.
    pub fn add_windows(&mut self, sensor: i64, capture: i64, windows: &[StoredWindow]) -> Result<(), StoreError> {
        let change = self.db.transaction()?;
        windows.iter().try_for_each(|window| window.insert(&change, sensor, Some(capture)))?;
        change.commit()?;
        Ok(())
    }

    /// Keeps the last windows of a capture, makes all of them count, and marks the days that they change. All or nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub fn finish_capture(
        &mut self,
        sensor: i64,
        capture: i64,
        windows: &[StoredWindow],
        read: &ReadTo,
    ) -> Result<(), StoreError> {
        let account = serde_json::to_string(&read.account).expect("an account has a form");
        let change = self.db.transaction()?;
        windows.iter().try_for_each(|window| window.insert(&change, sensor, Some(capture)))?;
        change.execute(
            "UPDATE captures SET state = 'done', frames_to = ?2, first_ns = ?3, last_ns = ?4, account = ?5 WHERE id = ?1",
            params![
                capture,
                number(read.frames),
                read.span.map(|(first, _)| kept(first)),
                read.span.map(|(_, last)| kept(last)),
                account
            ],
        )?;
        change.execute(
            "INSERT INTO days (sensor, day_ns, stale) SELECT DISTINCT ?1, start_ns - start_ns % ?3, 1 FROM windows WHERE \
             capture = ?2 ON CONFLICT (sensor, day_ns) DO UPDATE SET stale = 1",
            params![sensor, capture, number(DAY.0)],
        )?;
        change.commit()?;
        Ok(())
    }

    /// Forgets a capture that was begun.
    ///
    /// # Errors
    /// When the database fails.
    pub fn abandon_capture(&self, capture: i64) -> Result<(), StoreError> {
        self.db.execute("DELETE FROM captures WHERE id = ?1 AND state = 'reading'", [capture])?;
        Ok(())
    }

    /// Notes a capture that cannot be read, so that the next sweep does not tell of it as new.
    ///
    /// # Errors
    /// When the database fails.
    pub fn refuse_capture(&self, reading: &Reading<'_>, why: &str) -> Result<(), StoreError> {
        let account = CaptureAccount { words: Some(why.to_owned()), ..CaptureAccount::default() };
        let account = serde_json::to_string(&account).expect("an account has a form");
        let Reading { run, sensor, path, content, .. } = reading;
        self.db.execute(
            "INSERT INTO captures (sensor, run, path, state, size, head, mark, frames_from, frames_to, account) VALUES \
             (?1, ?2, ?3, 'refused', ?4, ?5, ?6, 0, 0, ?7)",
            params![sensor, run, path, number(content.size), content.head, content.mark, account],
        )?;
        Ok(())
    }

    /// The latest capture time of a sensor. Times that lie more than a day ahead of the last run's clock are a broken clock's:
    /// by one of them everything else would be old.
    ///
    /// # Errors
    /// When the database fails.
    pub fn latest_of(&self, sensor: i64) -> Result<Option<TimestampNs>, StoreError> {
        let asked = "SELECT max(last_ns) FROM captures WHERE sensor = ?1 AND state = 'done' AND last_ns - ?2 <= (SELECT \
                     max(started_ns) FROM runs)";
        let last: Option<Option<i64>> =
            self.db.query_row(asked, params![sensor, number(DAY.0)], |row| row.get(0)).optional()?;
        Ok(last.flatten().map(super::time))
    }
}
