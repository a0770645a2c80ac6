//! Checking: whether everything in the store can be read.
//! In: a store. Out: what is wrong with it, in sentences; nothing where it is whole.
//! Bounds: [`PROBLEMS_MAX`] sentences.

use super::windows::summary_of;
use super::{Store, StoreError, count};
use crate::detect::finding::Finding;

/// Problems told of.
pub const PROBLEMS_MAX: usize = 100;

/// What a check came to.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// What is wrong.
    pub problems: Vec<String>,
    /// Captures, windows, findings, days of findings.
    pub counts: [(&'static str, u64); 4],
    /// Bytes in use.
    pub bytes: u64,
}

impl Store {
    /// Reads everything.
    ///
    /// # Errors
    /// When the database cannot even be asked.
    pub fn check(&self) -> Result<Checked, StoreError> {
        let mut problems: Vec<String> = Vec::new();
        let mut asked = self.db.prepare("PRAGMA integrity_check(100)")?;
        let said: Vec<String> = asked.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        problems.extend(said.into_iter().filter(|word| word != "ok"));
        let mut asked = self.db.prepare("PRAGMA foreign_key_check")?;
        let said = asked.query_map([], |row| {
            Ok(format!(
                "a row of {} names a row of {} that is not there",
                row.get::<_, String>(0)?,
                row.get::<_, String>(2)?
            ))
        })?;
        problems.extend(said.collect::<Result<Vec<_>, _>>()?);
        let mut asked = self.db.prepare("SELECT id, form FROM windows ORDER BY id")?;
        let mut rows = asked.query([])?;
        while let Some(row) = rows.next()? {
            if let Err(why) = summary_of(row.get_ref(1)?.as_blob().unwrap_or_default()) {
                problems.push(format!("window {}: {why}", row.get::<_, i64>(0)?));
            }
        }
        for (what, table, key) in [("finding", "findings", "id"), ("a day of finding", "sightings", "finding")] {
            let mut asked = self.db.prepare(&format!("SELECT {key}, body FROM {table} ORDER BY 1"))?;
            let mut rows = asked.query([])?;
            while let Some(row) = rows.next()? {
                if let Err(why) = serde_json::from_str::<Finding>(&row.get::<_, String>(1)?) {
                    problems.push(format!("{what} {}: {why}", row.get::<_, i64>(0)?));
                }
            }
        }
        problems.truncate(PROBLEMS_MAX);
        let rows_of = |table: &str| -> Result<u64, StoreError> {
            Ok(self.db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).map(count)?)
        };
        let counts = [
            ("captures", rows_of("captures")?),
            ("windows", rows_of("windows")?),
            ("findings", rows_of("findings")?),
            ("days of findings", rows_of("sightings")?),
        ];
        Ok(Checked { problems, counts, bytes: self.bytes()? })
    }

    /// Gives what is free back to the file system.
    ///
    /// # Errors
    /// When the database fails, for want of room above all: it is written anew beside itself.
    pub fn vacuum(&self) -> Result<(), StoreError> {
        self.db.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);")?;
        Ok(())
    }
}
