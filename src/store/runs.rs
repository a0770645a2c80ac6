//! Runs: when someone swept or judged again, with what.
//! In: a run's beginning and end. Out: the list. A run without an end was cut short, or is under way.

use rusqlite::params;

use super::{Store, StoreError, kept, time};
use crate::units::TimestampNs;

/// What a run was begun with.
#[derive(Clone, Debug)]
pub struct RunStart<'a> {
    /// `sweep` or `rejudge`.
    pub kind: &'a str,
    /// Version of the program.
    pub program: &'a str,
    /// Hash of the policy in force.
    pub policy: &'a str,
    /// Hash of the model in force; empty without one.
    pub model: &'a str,
    /// The wall clock.
    pub now: TimestampNs,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its number.
    pub id: i64,
    /// `sweep` or `rejudge`.
    pub kind: String,
    /// When it began.
    pub started: TimestampNs,
    /// When it ended.
    pub ended: Option<TimestampNs>,
    /// Hash of the policy.
    pub policy: String,
}

impl Store {
    /// Begins a run.
    ///
    /// # Errors
    /// When the database fails.
    pub fn begin_run(&self, start: &RunStart<'_>) -> Result<i64, StoreError> {
        self.db.execute(
            "INSERT INTO runs (kind, program, policy, model, started_ns) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![start.kind, start.program, start.policy, start.model, kept(start.now)],
        )?;
        Ok(self.db.last_insert_rowid())
    }

    /// The last `most` runs, the latest first.
    ///
    /// # Errors
    /// When the database fails.
    pub fn runs(&self, most: usize) -> Result<Vec<Run>, StoreError> {
        let asked = "SELECT id, kind, started_ns, ended_ns, policy FROM runs ORDER BY id DESC LIMIT ?1";
        let mut asked = self.db.prepare_cached(asked)?;
        let rows = asked.query_map([most as i64], |row| {
            Ok(Run {
                id: row.get(0)?,
                kind: row.get(1)?,
                started: time(row.get(2)?),
                ended: row.get::<_, Option<i64>>(3)?.map(time),
                policy: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Under which policy and model all of history was judged last.
    ///
    /// # Errors
    /// When the database fails.
    pub fn judged_under(&self) -> Result<Option<String>, StoreError> {
        self.meta("judged-under")
    }

    /// Notes under which policy and model all of history is judged now.
    ///
    /// # Errors
    /// When the database fails.
    pub fn judged_all_under(&self, rules: &str) -> Result<(), StoreError> {
        self.set_meta("judged-under", rules)
    }
}
