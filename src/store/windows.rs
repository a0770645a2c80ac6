//! Windows: summaries as the store keeps them, by sensor and time.
//! In: summaries. Out: the same. Bounds: [`FORM_BYTES_MAX`] a summary before compression; read one at a time.

use std::io::Read;

use rusqlite::{Connection, params};

use super::captures::DAY;
use super::{Store, StoreError, kept, number, time};
use crate::population::{Span, SpanClass, Summary};
use crate::units::TimestampNs;

/// Longest binary form read back: what the summary's own limits allow, rounded up.
pub const FORM_BYTES_MAX: u64 = 2 << 30;
/// Level of zstd: 9 was 4 % smaller at three times the cost.
const LEVEL: i32 = 3;

/// A summary ready to be kept.
#[derive(Clone, Debug)]
pub struct StoredWindow {
    span: Span,
    class: SpanClass,
    populations: u64,
    flows: u64,
    form: Vec<u8>,
}

/// A day of one sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// The sensor.
    pub sensor: i64,
    /// When it begins.
    pub start: TimestampNs,
}

/// A window that was kept.
#[derive(Debug)]
pub struct KeptWindow {
    /// Number of the capture that it is of; none once it was rolled up.
    pub capture: Option<i64>,
    /// When it begins.
    pub start: TimestampNs,
    /// The summary.
    pub summary: Summary,
}

impl StoredWindow {
    /// A summary in the form in which it is kept.
    pub fn of(summary: &Summary) -> Self {
        let form = zstd::bulk::compress(&summary.to_bytes(), LEVEL).expect("compressing in memory cannot fail");
        Self {
            span: summary.span(),
            class: summary.class(),
            populations: summary.basis().populations,
            flows: summary.roles.all().flows,
            form,
        }
    }

    pub(super) fn form(&self) -> &[u8] {
        &self.form
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.form.len()
    }

    pub(super) fn insert(&self, db: &Connection, sensor: i64, capture: Option<i64>) -> Result<(), StoreError> {
        let mut insert = db.prepare_cached(
            "INSERT INTO windows (sensor, capture, class, start_ns, end_ns, populations, flows, form) VALUES (?1, ?2, ?3, \
             ?4, ?5, ?6, ?7, ?8)",
        )?;
        insert.execute(params![
            sensor,
            capture,
            self.class as i64,
            kept(self.span.start),
            kept(self.span.end),
            self.populations.cast_signed(),
            number(self.flows),
            self.form
        ])?;
        Ok(())
    }
}

/// A summary from the form in which it is kept.
pub(super) fn summary_of(form: &[u8]) -> Result<Summary, String> {
    let mut bytes = Vec::new();
    let decoder = zstd::Decoder::new(form).map_err(|error| error.to_string())?;
    decoder.take(FORM_BYTES_MAX).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Summary::from_bytes(&bytes).map_err(|error| error.to_string())
}

impl Store {
    /// Days whose findings are not those of their windows any more, by sensor and time.
    ///
    /// # Errors
    /// When the database fails.
    pub fn stale_days(&self) -> Result<Vec<Day>, StoreError> {
        let asked = "SELECT sensor, day_ns FROM days WHERE stale = 1 ORDER BY sensor, day_ns";
        let mut asked = self.db.prepare_cached(asked)?;
        let rows = asked.query_map([], |row| Ok(Day { sensor: row.get(0)?, start: time(row.get(1)?) }))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Marks days to be judged again: those that begin in the span, of one sensor or all.
    ///
    /// # Errors
    /// When the database fails.
    pub fn mark_stale(&self, from: TimestampNs, to: TimestampNs, sensor: Option<i64>) -> Result<usize, StoreError> {
        let change = "UPDATE days SET stale = 1 WHERE day_ns >= ?1 AND day_ns < ?2 AND (?3 IS NULL OR sensor = ?3)";
        let from = from.slot_start(DAY);
        Ok(self.db.execute(change, params![kept(from), kept(to), sensor])?)
    }

    /// Hands on the windows of a day in order of time, then of their captures' beginnings; how many were left out because
    /// they rest on other populations.
    ///
    /// # Errors
    /// When a window cannot be read, or `each` fails.
    pub fn windows_of<E: From<StoreError>>(
        &self,
        day: Day,
        populations: u64,
        mut each: impl FnMut(KeptWindow) -> Result<(), E>,
    ) -> Result<u64, E> {
        let mut asked = self
            .db
            .prepare_cached(
                "SELECT w.id, w.capture, w.start_ns, w.populations, w.form FROM windows w LEFT JOIN captures c ON c.id = \
                 w.capture WHERE w.sensor = ?1 AND w.start_ns >= ?2 AND w.start_ns < ?3 AND (c.id IS NULL OR c.state = \
                 'done') ORDER BY w.start_ns, w.class DESC, c.first_ns, c.mark, c.frames_from, w.id",
            )
            .map_err(StoreError::from)?;
        let ends = kept(day.start.after(DAY));
        let mut rows = asked.query(params![day.sensor, kept(day.start), ends]).map_err(StoreError::from)?;
        let mut left_out = 0;
        while let Some(row) = rows.next().map_err(StoreError::from)? {
            let read = |row: &rusqlite::Row<'_>| -> Result<(i64, Option<i64>, i64, i64), rusqlite::Error> {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            };
            let (id, capture, start, rests_on) = read(row).map_err(StoreError::from)?;
            // Zero: nothing of a population was in it, so that it rests on none.
            if rests_on != 0 && rests_on.cast_unsigned() != populations {
                left_out += 1;
                continue;
            }
            let form = row.get_ref(4).map_err(StoreError::from)?.as_blob().unwrap_or_default();
            let summary = summary_of(form).map_err(|why| self.damaged(format!("window {id}"), why))?;
            each(KeptWindow { capture, start: time(start), summary })?;
        }
        Ok(left_out)
    }

    /// Hands on every window that begins in the span or holds its beginning, of all sensors in order of time.
    ///
    /// # Errors
    /// When a window cannot be read, or `each` fails.
    pub fn each_window<E: From<StoreError>>(
        &self,
        from: TimestampNs,
        to: TimestampNs,
        populations: u64,
        mut each: impl FnMut(&Summary) -> Result<(), E>,
    ) -> Result<(), E> {
        let asked = "SELECT w.id, w.form FROM windows w LEFT JOIN captures c ON c.id = w.capture WHERE w.end_ns > ?1 AND \
                     w.start_ns <= ?2 AND w.populations IN (0, ?3) AND (c.id IS NULL OR c.state = 'done') ORDER BY \
                     w.start_ns, w.sensor, c.first_ns, c.mark, w.id";
        let mut asked = self.db.prepare_cached(asked).map_err(StoreError::from)?;
        let mut rows =
            asked.query(params![kept(from), kept(to), populations.cast_signed()]).map_err(StoreError::from)?;
        while let Some(row) = rows.next().map_err(StoreError::from)? {
            let id: i64 = row.get(0).map_err(StoreError::from)?;
            let form = row.get_ref(1).map_err(StoreError::from)?.as_blob().unwrap_or_default();
            each(&summary_of(form).map_err(|why| self.damaged(format!("window {id}"), why))?)?;
        }
        Ok(())
    }
}
