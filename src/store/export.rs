//! Export: the store as lines of JSON that any program reads.
//! In: a store. Out: one object a line: sensors, runs, captures, findings with their marks. Summaries stay: they are binary,
//! and the `findings` that came of them are here. Subscribers stand under their pseudonyms.

use std::io::{self, Write};

use serde_json::json;

use super::query::{Filter, KeptFinding};
use super::{Store, StoreError, time};
use crate::report::escape::write_json_line;
use crate::report::figures::eve_time;

/// Why an export ended.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Whoever takes it.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<rusqlite::Error> for ExportError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Store {
    /// Writes everything but the summaries.
    ///
    /// # Errors
    /// The store's, or the writer's own.
    pub fn export(&self, out: &mut dyn Write) -> Result<(), ExportError> {
        for (_, name) in self.sensors()? {
            write_json_line(out, &json!({"kind": "sensor", "name": name}))?;
        }
        for run in self.runs(usize::MAX >> 1)?.into_iter().rev() {
            let line = json!({
                "kind": "run", "run": run.id, "what": run.kind, "policy": run.policy,
                "started": eve_time(run.started), "ended": run.ended.map(eve_time),
            });
            write_json_line(out, &line)?;
        }
        let mut asked = self.db.prepare(
            "SELECT n.name, c.path, c.state, c.size, c.frames_from, c.frames_to, c.first_ns, c.last_ns, c.account FROM \
             captures c JOIN sensors n ON n.id = c.sensor ORDER BY c.id",
        )?;
        let mut rows = asked.query([])?;
        while let Some(row) = rows.next()? {
            let when = |at: usize| row.get::<_, Option<i64>>(at).map(|ns| ns.map(|ns| eve_time(time(ns))));
            let account: serde_json::Value =
                serde_json::from_str(&row.get::<_, String>(8)?).unwrap_or(serde_json::Value::Null);
            let line = json!({
                "kind": "capture", "sensor": row.get::<_, String>(0)?, "path": row.get::<_, String>(1)?,
                "state": row.get::<_, String>(2)?, "bytes": row.get::<_, i64>(3)?,
                "frames": [row.get::<_, i64>(4)?, row.get::<_, i64>(5)?], "first": when(6)?, "last": when(7)?,
                "account": account,
            });
            write_json_line(out, &line)?;
        }
        let all = Filter { most: usize::MAX >> 1, ..Filter::default() };
        for kept in self.findings(&all)? {
            let finding = serde_json::to_value(&kept.finding).map_err(io::Error::from)?;
            write_json_line(out, &json!({"kind": "finding", "store": life_of(&kept), "finding": finding}))?;
        }
        Ok(())
    }
}

/// What the store knows of a finding besides its record.
pub fn life_of(kept: &KeptFinding) -> serde_json::Value {
    let marks: Vec<serde_json::Value> = kept
        .marks
        .iter()
        .map(|mark| json!({"kind": mark.kind.name(), "who": mark.who, "why": mark.why, "at": eve_time(mark.at)}))
        .collect();
    json!({
        "finding_id": kept.id, "sensor": kept.sensor, "state": kept.state.name(), "days": kept.days,
        "folded_under": kept.alike, "marks": marks,
    })
}
