//! Questions to the store: which findings, in which state, since when; what a run changed.
//! In: a filter. Out: findings with their life, the worst first. Bounds: [`Filter::most`] of them.

use rusqlite::types::Value;

use super::findings::severity_of;
use super::life::State;
use super::marks::Mark;
use super::{Store, StoreError, count, kept, number};
use crate::detect::finding::{Finding, Severity, Technique};
use crate::units::TimestampNs;

/// Findings asked for at most, where nothing else is said.
pub const FINDINGS_MAX: usize = 10_000;

/// Which findings.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Last packet, or told of, at or after this.
    pub since: Option<TimestampNs>,
    /// First packet before this.
    pub until: Option<TimestampNs>,
    /// Shown as at least this.
    pub severity: Severity,
    /// Of these techniques; all where empty.
    pub techniques: Vec<Technique>,
    /// Of this sensor.
    pub sensor: Option<String>,
    /// In these states; all where empty.
    pub states: Vec<State>,
    /// At most so many.
    pub most: usize,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            since: None,
            until: None,
            severity: Severity::Info,
            techniques: Vec::new(),
            sensor: None,
            states: Vec::new(),
            most: FINDINGS_MAX,
        }
    }
}

/// A finding that the store keeps.
#[derive(Clone, Debug)]
pub struct KeptFinding {
    /// Its row: a number of this store.
    pub row: i64,
    /// Its id, the same in every store and report.
    pub id: String,
    /// Name of its sensor.
    pub sensor: String,
    /// Its state.
    pub state: State,
    /// Days that hold it.
    pub days: u64,
    /// The false alarm that it is folded under.
    pub alike: Option<String>,
    /// What was said of it, the earliest first.
    pub marks: Vec<Mark>,
    /// The record, with the severity that it is shown with.
    pub finding: Finding,
}

/// Something that a run told of.
#[derive(Clone, Debug)]
pub struct Event {
    /// The run.
    pub run: i64,
    /// Row of the finding.
    pub finding: i64,
    /// New, grown, reopened, ended or eased.
    pub kind: String,
    /// The severity then.
    pub severity: Severity,
}

impl Store {
    /// The findings of a filter, worst first.
    ///
    /// # Errors
    /// When the database fails, or a record cannot be read.
    pub fn findings(&self, filter: &Filter) -> Result<Vec<KeptFinding>, StoreError> {
        let mut asked = "SELECT f.id FROM findings f JOIN sensors n ON n.id = f.sensor WHERE f.shown >= ?".to_owned();
        let mut values = vec![Value::from(filter.severity as i64)];
        if let Some(since) = filter.since {
            asked.push_str(
                " AND (f.last_ns >= ? OR EXISTS (SELECT 1 FROM events e JOIN runs r ON r.id = e.run WHERE e.finding = f.id \
                 AND r.started_ns >= ?))",
            );
            values.extend([kept(since).into(), kept(since).into()]);
        }
        if let Some(until) = filter.until {
            asked.push_str(" AND f.first_ns < ?");
            values.push(kept(until).into());
        }
        if let Some(sensor) = &filter.sensor {
            asked.push_str(" AND n.name = ?");
            values.push(sensor.clone().into());
        }
        let mut any_of = |column: &str, names: Vec<&'static str>| {
            if !names.is_empty() {
                asked.push_str(&format!(" AND {column} IN ({})", vec!["?"; names.len()].join(", ")));
                values.extend(names.into_iter().map(|name| Value::from(name.to_owned())));
            }
        };
        any_of("f.technique", filter.techniques.iter().map(|technique| technique.id()).collect());
        any_of("f.state", filter.states.iter().map(|state| state.name()).collect());
        asked.push_str(" ORDER BY f.shown DESC, f.score DESC, f.subscribers DESC, f.finding_id, n.name LIMIT ?");
        values.push(number(filter.most as u64).into());
        let mut asked = self.db.prepare(&asked)?;
        let rows: Vec<i64> =
            asked.query_map(rusqlite::params_from_iter(values), |row| row.get(0))?.collect::<Result<_, _>>()?;
        rows.into_iter().map(|row| self.finding(row)).collect()
    }

    /// One finding, by its row.
    ///
    /// # Errors
    /// When it is not there, or cannot be read.
    pub fn finding(&self, row: i64) -> Result<KeptFinding, StoreError> {
        let mut asked = self.db.prepare_cached(
            "SELECT f.finding_id, n.name, f.state, f.days, f.shown, f.note, f.body, a.finding_id FROM findings f JOIN \
             sensors n ON n.id = f.sensor LEFT JOIN findings a ON a.id = f.alike WHERE f.id = ?1",
        )?;
        let (id, sensor, state, days, shown, note, body, alike) = asked.query_row([row], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, String>(2)?,
                row.get::<_, i64>(3)?,
                row.get::<_, i64>(4)?,
                row.get::<_, Option<String>>(5)?,
                row.get::<_, String>(6)?,
                row.get::<_, Option<String>>(7)?,
            ))
        })?;
        let mut finding: Finding =
            serde_json::from_str(&body).map_err(|why| self.damaged(format!("finding {id}"), why))?;
        finding.severity = severity_of(shown);
        if let Some(note) = note {
            finding.explanation.push(' ');
            finding.explanation.push_str(&note);
        }
        let state = State::of_name(&state).unwrap_or(State::New);
        Ok(KeptFinding { row, id, sensor, state, days: count(days), alike, marks: self.marks_of(row)?, finding })
    }

    /// The row of the finding whose id begins so, on this sensor where one is named.
    ///
    /// # Errors
    /// When there is none, or several.
    pub fn row_of(&self, id: &str, sensor: Option<&str>) -> Result<i64, StoreError> {
        let is_id = (4..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_id {
            return Err(StoreError::NoFinding(id.to_owned()));
        }
        let mut asked = self.db.prepare_cached(
            "SELECT f.id, f.finding_id, n.name FROM findings f JOIN sensors n ON n.id = f.sensor WHERE f.finding_id LIKE ?1 \
             || '%' AND (?2 IS NULL OR n.name = ?2) ORDER BY f.id LIMIT 4",
        )?;
        let rows = asked.query_map(rusqlite::params![id.to_lowercase(), sensor], |row| {
            Ok((row.get::<_, i64>(0)?, format!("{} of {}", row.get::<_, String>(1)?, row.get::<_, String>(2)?)))
        })?;
        let found: Vec<(i64, String)> = rows.collect::<Result<_, _>>()?;
        match found.as_slice() {
            [] => Err(StoreError::NoFinding(id.to_owned())),
            [(row, _)] => Ok(*row),
            several => {
                let names: Vec<&str> = several.iter().map(|(_, name)| name.as_str()).collect();
                Err(StoreError::Ambiguous(id.to_owned(), names.join(", ")))
            }
        }
    }

    /// What runs after `from`, up to and with `to`, told of; for each finding the last that was said.
    ///
    /// # Errors
    /// When the database fails.
    pub fn events(&self, from: i64, to: i64) -> Result<Vec<Event>, StoreError> {
        let mut asked = self.db.prepare_cached(
            "SELECT max(run), finding, kind, severity FROM events WHERE run > ?1 AND run <= ?2 GROUP BY finding ORDER BY \
             severity DESC, finding",
        )?;
        let rows = asked.query_map([from, to], |row| {
            let severity = severity_of(row.get(3)?);
            Ok(Event { run: row.get(0)?, finding: row.get(1)?, kind: row.get(2)?, severity })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many findings are in each state.
    ///
    /// # Errors
    /// When the database fails.
    pub fn counts(&self) -> Result<Vec<(State, u64)>, StoreError> {
        let mut asked = self.db.prepare_cached("SELECT state, count(*) FROM findings GROUP BY state")?;
        let rows = asked.query_map([], |row| Ok((row.get::<_, String>(0)?, count(row.get(1)?))))?;
        let all: Vec<(String, u64)> = rows.collect::<Result<_, _>>()?;
        let of = |state: State| all.iter().find(|(name, _)| name == state.name()).map_or(0, |(_, n)| *n);
        Ok(State::ALL.into_iter().map(|state| (state, of(state))).collect())
    }
}
