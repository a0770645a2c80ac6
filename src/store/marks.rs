//! Marks: what people said of a finding, kept for ever with who, why and when.
//! In: a finding's id, a kind, words. Out: the mark; the finding's state follows at once.
//! A false alarm is never forgotten: it stays in the store and is shown folded, what is like it is folded with it until it
//! grows, and three of one technique raise that technique's bar (`life::Bar`).

use rusqlite::params;

use super::findings::severity_of;
use super::life::{MarkKind, Standing};
use super::{Store, StoreError, count, kept, time};
use crate::units::{DurationNs, TimestampNs};

/// Who said what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What.
    pub kind: MarkKind,
    /// Who.
    pub who: String,
    /// Why.
    pub why: String,
    /// When, by the wall clock.
    pub at: TimestampNs,
}

impl Store {
    /// Marks a finding, and settles what follows.
    ///
    /// # Errors
    /// When there is no such finding, or the database fails.
    pub fn mark(&mut self, finding: i64, mark: &Mark, silence: DurationNs) -> Result<(), StoreError> {
        let asked = "SELECT severity, subscribers, bytes_up, last_ns FROM findings WHERE id = ?1";
        let standing = self.db.query_row(asked, [finding], |row| {
            Ok(Standing {
                severity: severity_of(row.get(0)?),
                subscribers: count(row.get(1)?),
                bytes_up: count(row.get(2)?),
                last: time(row.get(3)?),
            })
        })?;
        let standing = serde_json::to_string(&standing).expect("a standing has a form");
        self.db.execute(
            "INSERT INTO marks (finding, kind, who, why, at_ns, standing) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![finding, mark.kind.name(), mark.who, mark.why, kept(mark.at), standing],
        )?;
        self.settle(silence)?;
        Ok(())
    }

    /// What was said of a finding, the earliest first.
    ///
    /// # Errors
    /// When the database fails.
    pub fn marks_of(&self, finding: i64) -> Result<Vec<Mark>, StoreError> {
        let mut asked =
            self.db.prepare_cached("SELECT kind, who, why, at_ns FROM marks WHERE finding = ?1 ORDER BY id")?;
        let rows = asked.query_map([finding], |row| {
            let kind: String = row.get(0)?;
            let kind = MarkKind::of_name(&kind).unwrap_or(MarkKind::Reopened);
            Ok(Mark { kind, who: row.get(1)?, why: row.get(2)?, at: time(row.get(3)?) })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
