//! Retention: old windows become hours, old hours become days, old days go.
//! In: ages and a size. Out: a smaller store that says the same in coarser slots. Ages are capture time, counted back from
//! each sensor's last capture, so that an archive of last year keeps its detail until it grows.
//! What is lost: a day that was rolled up can still be judged again, but by hours instead of minutes. Findings, marks and the
//! list of captures are never thrown away here: what was swept is not swept again.

use rusqlite::params;

use super::captures::DAY;
use super::windows::{StoredWindow, summary_of};
use super::{Store, StoreError, count, kept, time};
use crate::population::stitch::Stitcher;
use crate::population::{MergeError, SpanClass, Summary, SummaryLimits};
use crate::units::{DurationNs, TimestampNs};

const HOUR: DurationNs = DurationNs::from_secs(3_600);

/// How long what is kept, and how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Windows as they were made.
    pub windows: DurationNs,
    /// Hours.
    pub hours: DurationNs,
    /// Days.
    pub days: DurationNs,
    /// Most bytes of the store; none where there is no limit.
    pub bytes_max: Option<u64>,
}

impl Default for Retention {
    /// A week, a quarter, two years.
    fn default() -> Self {
        let days = |n: u64| DurationNs::from_secs(n * 86_400);
        Self { windows: days(7), hours: days(92), days: days(731), bytes_max: None }
    }
}

/// What became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// Days whose windows became hours.
    pub to_hours: u64,
    /// Days whose hours became one summary.
    pub to_days: u64,
    /// Days that went.
    pub dropped: u64,
}

impl Store {
    /// Makes the store as small as it is to be.
    ///
    /// # Errors
    /// When the database fails or a window cannot be read.
    pub fn retain(&mut self, retention: &Retention, limits: &SummaryLimits) -> Result<Retained, StoreError> {
        let mut done = Retained::default();
        for (sensor, _) in self.sensors()? {
            let Some(latest) = self.latest_of(sensor)? else { continue };
            let steps = [(SpanClass::Window, retention.windows), (SpanClass::Hour, retention.hours)];
            for (class, age) in steps {
                for day in self.days_of(sensor, class, latest.before(age))? {
                    self.coarsen(sensor, day, class, limits)?;
                    match class {
                        SpanClass::Window => done.to_hours += 1,
                        _ => done.to_days += 1,
                    }
                }
            }
            for day in self.days_of(sensor, SpanClass::Day, latest.before(retention.days))? {
                self.drop_day(sensor, day)?;
                done.dropped += 1;
            }
        }
        if let Some(most) = retention.bytes_max {
            self.shrink_to(most, limits, &mut done)?;
        }
        if done != Retained::default() {
            self.db.execute_batch("PRAGMA incremental_vacuum")?;
        }
        Ok(done)
    }

    /// Bytes in use.
    ///
    /// # Errors
    /// When the database fails.
    pub fn bytes(&self) -> Result<u64, StoreError> {
        let ask = |pragma: &str| self.db.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0));
        let (pages, free, size) = (ask("page_count")?, ask("freelist_count")?, ask("page_size")?);
        Ok(count((pages - free) * size))
    }

    /// The oldest day gives way, by whatever it is kept in, until the size is right.
    fn shrink_to(&mut self, most: u64, limits: &SummaryLimits, done: &mut Retained) -> Result<(), StoreError> {
        for class in SpanClass::ALL {
            while self.bytes()? > most {
                let asked = "SELECT sensor, start_ns FROM windows WHERE class = ?1 ORDER BY start_ns LIMIT 1";
                let oldest = self
                    .db
                    .prepare_cached(asked)?
                    .query_map([class as i64], |row| Ok((row.get::<_, i64>(0)?, time(row.get(1)?).slot_start(DAY))))?
                    .next()
                    .transpose()?;
                let Some((sensor, day)) = oldest else { break };
                match class {
                    SpanClass::Day => {
                        self.drop_day(sensor, day)?;
                        done.dropped += 1;
                    }
                    class => {
                        self.coarsen(sensor, day, class, limits)?;
                        match class {
                            SpanClass::Window => done.to_hours += 1,
                            _ => done.to_days += 1,
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Days that end at or before a time and hold summaries of a class.
    fn days_of(&self, sensor: i64, class: SpanClass, before: TimestampNs) -> Result<Vec<TimestampNs>, StoreError> {
        let asked = "SELECT DISTINCT start_ns - start_ns % ?4 FROM windows WHERE sensor = ?1 AND class = ?2 AND start_ns < ?3 \
                     ORDER BY 1";
        let mut asked = self.db.prepare_cached(asked)?;
        let ends = kept(before.slot_start(DAY));
        let rows = asked
            .query_map(params![sensor, class as i64, ends, kept(TimestampNs(DAY.0))], |row| Ok(time(row.get(0)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Merges the summaries of one class of a day into those of the next: one an hour, or one for the day.
    fn coarsen(
        &mut self,
        sensor: i64,
        day: TimestampNs,
        class: SpanClass,
        limits: &SummaryLimits,
    ) -> Result<(), StoreError> {
        let (to, slot) = match class {
            SpanClass::Window => (SpanClass::Hour, HOUR),
            _ => (SpanClass::Day, DAY),
        };
        let mut made: Vec<StoredWindow> = Vec::new();
        let mut open: Option<(TimestampNs, i64, Summary)> = None;
        let mut stitcher = Stitcher::default();
        {
            let mut asked = self.db.prepare_cached(
                "SELECT w.id, w.capture, w.start_ns, w.populations, w.form FROM windows w LEFT JOIN captures c ON c.id = \
                 w.capture WHERE w.sensor = ?1 AND w.class = ?2 AND w.start_ns >= ?3 AND w.start_ns < ?4 AND (c.id IS NULL \
                 OR c.state = 'done') ORDER BY w.populations, w.start_ns, c.first_ns, c.mark, c.frames_from, w.id",
            )?;
            let mut rows = asked.query(params![sensor, class as i64, kept(day), kept(day.after(DAY))])?;
            while let Some(row) = rows.next()? {
                let (id, capture, start): (i64, Option<i64>, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let populations: i64 = row.get(3)?;
                let form = row.get_ref(4)?.as_blob().unwrap_or_default();
                let mut summary = summary_of(form).map_err(|why| self.damaged(format!("window {id}"), why))?;
                if let Some(capture) = capture {
                    stitcher.stitch(&mut summary, capture);
                }
                summary.rollup(to);
                let place = time(start).slot_start(slot);
                match &mut open {
                    Some((at, basis, so_far)) if (*at, *basis) == (place, populations) => {
                        let merged = so_far.merge(summary);
                        merged.map_err(|why: MergeError| self.damaged(format!("window {id}"), why))?;
                        so_far.bound(limits);
                    }
                    _ => {
                        if let Some((.., full)) = open.replace((place, populations, summary)) {
                            made.push(StoredWindow::of(&full));
                        }
                    }
                }
            }
        }
        made.extend(open.map(|(.., full)| StoredWindow::of(&full)));
        let change = self.db.transaction()?;
        change.execute(
            "DELETE FROM windows WHERE sensor = ?1 AND class = ?2 AND start_ns >= ?3 AND start_ns < ?4",
            params![sensor, class as i64, kept(day), kept(day.after(DAY))],
        )?;
        made.iter().try_for_each(|window| window.insert(&change, sensor, None))?;
        change.commit()?;
        Ok(())
    }

    /// Throws a day's summaries away. Its findings stay, and cannot be judged again.
    fn drop_day(&mut self, sensor: i64, day: TimestampNs) -> Result<(), StoreError> {
        let change = self.db.transaction()?;
        change.execute(
            "DELETE FROM windows WHERE sensor = ?1 AND start_ns >= ?2 AND start_ns < ?3",
            params![sensor, kept(day), kept(day.after(DAY))],
        )?;
        change.execute("DELETE FROM days WHERE sensor = ?1 AND day_ns = ?2", params![sensor, kept(day)])?;
        change.commit()?;
        Ok(())
    }
}
