//! Findings: what each day showed, folded into one record each, and what of it people have to be told.
//! In: a day's judged findings. Out: records with a state; after a report, the note that it was told.
//! Bounds: [`RECENT_DAYS`] days besides the worst give a record its addresses.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, params};

use super::captures::DAY;
use super::life::{Bar, Facts, MarkKind, Standing, State, Told, state_of};
use super::windows::Day;
use super::{Store, StoreError, count, kept, number, time};
use crate::detect::finding::{Finding, Severity};
use crate::report::finding_id;
use crate::units::{DurationNs, TimestampNs};

/// Days whose addresses a record shows, beside those of its worst day.
const RECENT_DAYS: usize = 8;

/// A day's finding, and what it was before the register spoke: so that another register can speak of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting {
    /// As judged.
    pub finding: Finding,
    /// Its severity before.
    pub unjudged: Severity,
}

/// Something that people have to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Row of the finding.
    pub finding: i64,
    /// What became of it.
    pub state: State,
    /// Its severity as shown.
    pub severity: Severity,
    /// Whether it is milder than when it was told of: a register entry allows it now, say.
    pub eased: bool,
}

/// The severity of that rank.
pub(super) fn severity_of(rank: i64) -> Severity {
    match rank {
        0 => Severity::Info,
        1 => Severity::Low,
        2 => Severity::Medium,
        3 => Severity::High,
        _ => Severity::Critical,
    }
}

/// What a finding's collector goes by: false alarms are alike where they share one of these.
fn places_of(finding: &Finding) -> Vec<String> {
    let collector = &finding.collector;
    let addresses = collector.addresses.iter().map(ToString::to_string);
    let system = collector.asn.map(|asn| format!("AS{asn}"));
    let all = addresses.chain(collector.prefix.clone()).chain(system).chain(collector.names.iter().cloned());
    all.take(256).collect()
}

impl Store {
    /// Puts a day's findings in the place of those that it had, and folds every record that this changes. All or nothing.
    ///
    /// # Errors
    /// When the database fails, or a record in it cannot be read.
    pub fn replace_day(&mut self, day: Day, sightings: &[Sighting], left_out: u64) -> Result<(), StoreError> {
        let path = self.path.clone();
        let change = self.db.transaction()?;
        let start = kept(day.start);
        let mut touched: BTreeSet<i64> = {
            let asked = "SELECT s.finding FROM sightings s JOIN findings f ON f.id = s.finding WHERE f.sensor = ?1 AND \
                         s.day_ns = ?2";
            let mut asked = change.prepare_cached(asked)?;
            let rows = asked.query_map(params![day.sensor, start], |row| row.get(0))?;
            rows.collect::<Result<_, _>>()?
        };
        for id in &touched {
            change.execute("DELETE FROM sightings WHERE finding = ?1 AND day_ns = ?2", params![id, start])?;
        }
        for Sighting { finding, unjudged } in sightings {
            let id = finding_id(finding);
            change.execute(
                "INSERT INTO findings (sensor, finding_id, technique, population) VALUES (?1, ?2, ?3, ?4) ON CONFLICT \
                 (sensor, finding_id) DO NOTHING",
                params![day.sensor, id, finding.technique.id(), finding.population.name],
            )?;
            let asked = "SELECT id FROM findings WHERE sensor = ?1 AND finding_id = ?2";
            let row: i64 = change.query_row(asked, params![day.sensor, id], |row| row.get(0))?;
            let body = serde_json::to_string(finding).expect("a finding has a form");
            change.execute(
                "INSERT OR REPLACE INTO sightings (finding, day_ns, severity, unjudged, score, flows, first_ns, last_ns, body) VALUES \
                 (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    row,
                    start,
                    finding.severity as i64,
                    *unjudged as i64,
                    if finding.score.is_finite() { finding.score } else { 0.0 },
                    number(finding.flows),
                    kept(finding.start),
                    kept(finding.end),
                    body
                ],
            )?;
            touched.insert(row);
        }
        for id in touched {
            fold(&change, id).map_err(|error| match error {
                FoldError::Database(error) => StoreError::Database(error),
                FoldError::Form(why) => {
                    StoreError::Damaged { path: path.clone(), what: format!("finding {id}"), why: why.to_string() }
                }
            })?;
        }
        change.execute(
            "UPDATE days SET stale = 0, left_out = ?3 WHERE sensor = ?1 AND day_ns = ?2",
            params![day.sensor, start, number(left_out)],
        )?;
        change.commit()?;
        Ok(())
    }

    /// What a day showed when it was judged last.
    ///
    /// # Errors
    /// When the database fails, or a record in it cannot be read.
    pub fn sightings_of(&self, day: Day) -> Result<Vec<Sighting>, StoreError> {
        let mut asked = self.db.prepare_cached(
            "SELECT s.body, s.unjudged FROM sightings s JOIN findings f ON f.id = s.finding WHERE f.sensor = ?1 AND s.day_ns \
             = ?2 ORDER BY f.finding_id",
        )?;
        let rows = asked.query_map(params![day.sensor, kept(day.start)], |row| {
            Ok((row.get::<_, String>(0)?, severity_of(row.get(1)?)))
        })?;
        let mut sightings = Vec::new();
        for row in rows {
            let (body, unjudged) = row?;
            let finding = serde_json::from_str(&body).map_err(|why| self.damaged("a day's finding", why))?;
            sightings.push(Sighting { finding, unjudged });
        }
        Ok(sightings)
    }

    /// Brings every finding into the state that follows from what is known; what people have to be told. What nobody was
    /// ever told of and no day holds any more goes. Doing it again changes nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub fn settle(&mut self, silence: DurationNs) -> Result<Vec<Change>, StoreError> {
        let silent_before = self.silent_before(silence)?;
        let rows = self.standings()?;
        let marks = self.last_marks()?;
        let (mut bars, mut false_ones): (BTreeMap<&str, Bar>, Vec<(&Row, Standing)>) = Default::default();
        for row in &rows {
            if let Some((MarkKind::FalseAlarm, then)) = marks.get(&row.id) {
                bars.entry(&row.technique).or_default().add(row.score);
                false_ones.push((row, *then));
            }
        }
        let mut changes = Vec::new();
        let mut writes = Vec::new();
        for row in &rows {
            let mark = marks.get(&row.id).copied();
            let like = false_ones.iter().find(|(other, _)| other.id != row.id && row.is_like(other));
            let facts = Facts {
                now: row.standing,
                days: row.days,
                told: row.told,
                mark,
                alike: like.filter(|_| mark.is_none()).map(|(_, then)| *then),
                silent_before: silent_before.get(&row.sensor).copied().unwrap_or_default(),
            };
            let state = state_of(&facts);
            let folded =
                (state == State::FalseAlarm && mark.is_none()).then(|| like.map(|(other, _)| other.id)).flatten();
            let (shown, note) = match (state, bars.get(row.technique.as_str())) {
                (State::FalseAlarm, _) | (_, None) => (row.standing.severity, None),
                (_, Some(bar)) => bar.shown(row.standing.severity, row.score),
            };
            let eased = row.told.is_some_and(|told| row.standing.severity < told.standing.severity);
            let ended_now = state == State::Ended && row.told.is_some_and(|told| told.state != State::Ended);
            if state.is_news() || ended_now || (eased && row.days > 0) {
                changes.push(Change { finding: row.id, state, severity: shown, eased });
            }
            writes.push((row.id, state, shown, note, folded, row.days == 0 && row.told.is_none()));
        }
        let write = self.db.transaction()?;
        for (id, state, shown, note, folded, is_nothing) in writes {
            match is_nothing {
                true => write
                    .execute("DELETE FROM findings WHERE id = ?1 AND id NOT IN (SELECT finding FROM marks)", [id])?,
                false => write.execute(
                    "UPDATE findings SET state = ?2, shown = ?3, note = ?4, alike = ?5 WHERE id = ?1",
                    params![id, state.name(), shown as i64, note, folded],
                )?,
            };
        }
        write.commit()?;
        changes.sort_by_key(|change| (std::cmp::Reverse(change.severity), change.finding));
        Ok(changes)
    }

    /// Notes that people were told: what is news now is none any more. Ends the run. All or nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub fn tell(&mut self, run: i64, changes: &[Change], account: &str, now: TimestampNs) -> Result<(), StoreError> {
        let rows = self.standings()?;
        let write = self.db.transaction()?;
        for change in changes {
            let kind = if change.eased && !change.state.is_news() { "eased" } else { change.state.name() };
            write.execute(
                "INSERT OR REPLACE INTO events (run, finding, kind, severity) VALUES (?1, ?2, ?3, ?4)",
                params![run, change.finding, kind, change.severity as i64],
            )?;
        }
        for row in rows {
            let told = Told { standing: row.standing, state: row.state };
            let told = serde_json::to_string(&told).expect("a standing has a form");
            write.execute("UPDATE findings SET told = ?2 WHERE id = ?1", params![row.id, told])?;
        }
        write.execute("UPDATE runs SET ended_ns = ?2, account = ?3 WHERE id = ?1", params![run, kept(now), account])?;
        write.commit()?;
        Ok(())
    }

    /// Windows that were left out when days were judged, because they rest on other populations; and the days.
    ///
    /// # Errors
    /// When the database fails.
    pub fn left_out(&self) -> Result<(u64, u64), StoreError> {
        let asked = "SELECT coalesce(sum(left_out), 0), count(*) FROM days WHERE left_out > 0";
        Ok(self.db.query_row(asked, [], |row| Ok((count(row.get(0)?), count(row.get(1)?))))?)
    }

    /// By sensor, the time before which silence means an end.
    fn silent_before(&self, silence: DurationNs) -> Result<BTreeMap<i64, TimestampNs>, StoreError> {
        let mut asked = self.db.prepare_cached("SELECT sensor, max(day_ns) FROM days GROUP BY sensor")?;
        let rows = asked.query_map([], |row| Ok((row.get::<_, i64>(0)?, time(row.get(1)?).after(DAY))))?;
        let mut latest = BTreeMap::new();
        for row in rows {
            let (sensor, last_day_ends) = row?;
            let last = self.latest_of(sensor)?.map_or(last_day_ends, |last| last.min(last_day_ends));
            latest.insert(sensor, last.before(silence));
        }
        Ok(latest)
    }

    fn standings(&self) -> Result<Vec<Row>, StoreError> {
        let mut asked = self.db.prepare_cached(
            "SELECT id, sensor, technique, population, severity, score, subscribers, bytes_up, last_ns, days, told, places, \
             state FROM findings ORDER BY id",
        )?;
        let rows = asked.query_map([], |row| {
            let told: Option<String> = row.get(10)?;
            Ok(Row {
                id: row.get(0)?,
                sensor: row.get(1)?,
                technique: row.get(2)?,
                population: row.get(3)?,
                standing: Standing {
                    severity: severity_of(row.get(4)?),
                    subscribers: count(row.get(6)?),
                    bytes_up: count(row.get(7)?),
                    last: time(row.get(8)?),
                },
                score: row.get(5)?,
                days: count(row.get(9)?),
                told: told.and_then(|told| serde_json::from_str(&told).ok()),
                places: serde_json::from_str(&row.get::<_, String>(11)?).unwrap_or_default(),
                state: State::of_name(&row.get::<_, String>(12)?).unwrap_or(State::New),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn last_marks(&self) -> Result<BTreeMap<i64, (MarkKind, Standing)>, StoreError> {
        let mut asked = self.db.prepare_cached("SELECT finding, kind, standing FROM marks ORDER BY id")?;
        let rows = asked
            .query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?)))?;
        let mut last = BTreeMap::new();
        for row in rows {
            let (finding, kind, standing) = row?;
            let standing = serde_json::from_str(&standing).map_err(|why| self.damaged("a mark", why))?;
            if let Some(kind) = MarkKind::of_name(&kind) {
                last.insert(finding, (kind, standing));
            }
        }
        Ok(last)
    }
}

/// A finding without its words.
#[derive(Debug)]
struct Row {
    id: i64,
    sensor: i64,
    technique: String,
    population: String,
    standing: Standing,
    score: f64,
    days: u64,
    told: Option<Told>,
    places: BTreeSet<String>,
    state: State,
}

impl Row {
    fn is_like(&self, other: &Self) -> bool {
        self.technique == other.technique
            && self.population == other.population
            && !self.places.is_disjoint(&other.places)
    }
}

enum FoldError {
    Database(rusqlite::Error),
    Form(serde_json::Error),
}

impl From<rusqlite::Error> for FoldError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// Makes a record of what its days hold: the worst day speaks, the span is that of all.
fn fold(db: &Connection, id: i64) -> Result<(), FoldError> {
    let asked = "SELECT count(*), min(first_ns), max(last_ns) FROM sightings WHERE finding = ?1";
    let (days, first, last): (i64, Option<i64>, Option<i64>) =
        db.query_row(asked, [id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let asked = "SELECT body FROM sightings WHERE finding = ?1 ORDER BY severity DESC, score DESC, flows DESC, day_ns DESC \
                 LIMIT 1";
    let worst: Option<String> = db.query_row(asked, [id], |row| row.get(0)).optional()?;
    let (Some(worst), Some(first), Some(last)) = (worst, first, last) else {
        // The words of when it was a finding stay, for whoever asks what became of it.
        db.execute("UPDATE findings SET days = 0 WHERE id = ?1", [id])?;
        return Ok(());
    };
    let mut finding: Finding = serde_json::from_str(&worst).map_err(FoldError::Form)?;
    (finding.start, finding.end) = (time(first), time(last));
    let mut addresses: BTreeSet<_> = finding.collector.addresses.iter().copied().collect();
    let mut asked = db.prepare_cached("SELECT body FROM sightings WHERE finding = ?1 ORDER BY day_ns DESC LIMIT ?2")?;
    let recent = asked.query_map(params![id, RECENT_DAYS as i64], |row| row.get::<_, String>(0))?;
    for body in recent {
        let day: Finding = serde_json::from_str(&body?).map_err(FoldError::Form)?;
        addresses.extend(day.collector.addresses);
    }
    finding.collector.addresses = addresses.into_iter().collect();
    let body = serde_json::to_string(&finding).map_err(FoldError::Form)?;
    let places = serde_json::to_string(&places_of(&finding)).map_err(FoldError::Form)?;
    db.execute(
        "UPDATE findings SET severity = ?2, shown = ?2, score = ?3, subscribers = ?4, bytes_up = ?5, first_ns = ?6, last_ns \
         = ?7, days = ?8, places = ?9, body = ?10 WHERE id = ?1",
        params![
            id,
            finding.severity as i64,
            if finding.score.is_finite() { finding.score } else { 0.0 },
            number(finding.population.subscribers),
            number(finding.bytes_up),
            first,
            last,
            days,
            places,
            body
        ],
    )?;
    Ok(())
}
