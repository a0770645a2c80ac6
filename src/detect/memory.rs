//! Memory: what an analyst knows, so that a run can end and another go on where it stopped.
//! In: an analyst between two windows. Out: the hour and the day so far in their binary form, the names of the day before, and the
//! findings; and back.
//! Bounds: three bounded summaries and the ledger's findings.

use serde::{Deserialize, Serialize};

use super::analyst::Analyst;
use super::finding::Finding;
use crate::population::Summary;
use crate::population::binary::BinaryError;
use crate::units::TimestampNs;

/// What an analyst knows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Memory {
    /// The hour so far.
    pub hour: Stretch,
    /// The day so far, without that hour.
    pub day: Stretch,
    /// The names of the day before, in a summary's binary form; empty for none.
    pub yesterday: Vec<u8>,
    /// Findings so far, not judged. In JSON: their form there is the one that is kept over versions.
    pub findings: String,
}

impl Default for Memory {
    /// Nothing yet: as readable as anything else that is kept, so that a run killed before its first window is gone on from.
    fn default() -> Self {
        Self { hour: Stretch::default(), day: Stretch::default(), yesterday: Vec::new(), findings: "[]".to_owned() }
    }
}

/// A stretch of time, filled so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Stretch {
    /// Where it began; none where nothing is in it.
    pub start: Option<TimestampNs>,
    /// Windows or hours in it.
    pub parts: u32,
    /// The summary's binary form.
    pub summary: Vec<u8>,
}

/// Why a memory cannot be taken up.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// A summary of it cannot be read.
    #[error(transparent)]
    Summary(#[from] BinaryError),
    /// Its findings cannot be read.
    #[error("its findings cannot be read ({0})")]
    Findings(#[from] serde_json::Error),
    /// It was made of other populations or under another key.
    #[error("it rests on other populations or another pseudonym key than this run")]
    Basis,
}

impl Analyst<'_> {
    /// What is known by now.
    pub fn memory(&self) -> Memory {
        let [hour, day] = self.horizons();
        let stretch = |(start, parts, summary): (Option<TimestampNs>, u32, &Summary)| Stretch {
            start,
            parts,
            summary: if parts > 0 { summary.to_bytes() } else { Vec::new() },
        };
        let findings = serde_json::to_string(&self.ledger().every().collect::<Vec<_>>());
        let named = Some(self.yesterday()).filter(|yesterday| !yesterday.answers.is_empty());
        Memory {
            hour: stretch(hour),
            day: stretch(day),
            yesterday: named.map(Summary::to_bytes).unwrap_or_default(),
            findings: findings.unwrap_or_else(|_| "[]".to_owned()),
        }
    }

    /// Goes on from what another run knew. `identity` and `populations` are those of this run's summaries; zero is any.
    ///
    /// # Errors
    /// With nothing changed: when the memory is damaged, or rests on something else.
    pub fn recall(&mut self, memory: &Memory, populations: u64, identity: u64) -> Result<(), MemoryError> {
        let summary = |stretch: &Stretch| match stretch.parts {
            0 => Ok(Summary::empty()),
            _ => Summary::from_bytes(&stretch.summary),
        };
        let (hour, day) = (summary(&memory.hour)?, summary(&memory.day)?);
        let yesterday = match memory.yesterday.is_empty() {
            true => Summary::empty(),
            false => Summary::from_bytes(&memory.yesterday)?,
        };
        let findings: Vec<Finding> = serde_json::from_str(&memory.findings)?;
        let differs = |theirs: u64, mine: u64| theirs != 0 && mine != 0 && theirs != mine;
        for basis in [hour.basis(), day.basis(), yesterday.basis()] {
            if differs(basis.populations, populations) || differs(basis.identity, identity) {
                return Err(MemoryError::Basis);
            }
        }
        let (hour, day) = ((memory.hour.start, memory.hour.parts, hour), (memory.day.start, memory.day.parts, day));
        self.resume(hour, day, yesterday, findings);
        Ok(())
    }
}
