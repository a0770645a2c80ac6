//! Erasing one subscriber: the right to be forgotten, everywhere in the store.
//! In: a pseudonym, its keyed hash where the key is at hand. Out: how many records held it; none holds it any more.
//! Bounds: one summary at a time. Not reached: backup copies, exports and reports that left the store, and the file system's
//! own copies; the verb says so.

use rusqlite::params;

use super::windows::{StoredWindow, summary_of};
use super::{Store, StoreError};
use crate::detect::finding::{EvidenceValue, Finding};
use crate::units::Address;

/// What stands where a pseudonym stood.
const ERASED: &str = "(erased)";

/// How much was erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Windows that held it.
    pub windows: u64,
    /// Findings, and days of findings, that held it.
    pub findings: u64,
}

impl Store {
    /// Takes a subscriber out of every window and finding, then writes the file anew, so that no free page holds it either.
    ///
    /// # Errors
    /// When the database fails, or something in it cannot be read: then nothing was changed.
    pub fn forget(&mut self, pseudonym: Address, hash: Option<u64>) -> Result<Erased, StoreError> {
        self.db.pragma_update(None, "secure_delete", true)?;
        let path = self.path.clone();
        let damaged = |what: String, why: String| StoreError::Damaged { path: path.clone(), what, why };
        let change = self.db.transaction()?;
        let mut erased = Erased::default();
        let ids: Vec<i64> = change
            .prepare("SELECT id FROM windows ORDER BY id")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for id in ids {
            let form: Vec<u8> = change.query_row("SELECT form FROM windows WHERE id = ?1", [id], |row| row.get(0))?;
            let mut summary = summary_of(&form).map_err(|why| damaged(format!("window {id}"), why))?;
            if summary.forget(pseudonym, hash) {
                let form = StoredWindow::of(&summary);
                change.execute("UPDATE windows SET form = ?2 WHERE id = ?1", params![id, form.form()])?;
                erased.windows += 1;
            }
        }
        let words = pseudonym.to_string();
        let rows: Vec<(i64, String)> = change
            .prepare("SELECT id, body FROM findings ORDER BY id")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        for (id, body) in rows {
            if let Some(body) =
                without(&body, pseudonym, &words).map_err(|why| damaged(format!("finding {id}"), why))?
            {
                change.execute("UPDATE findings SET body = ?2 WHERE id = ?1", params![id, body])?;
                erased.findings += 1;
            }
        }
        let rows: Vec<(i64, i64, String)> = change
            .prepare("SELECT finding, day_ns, body FROM sightings ORDER BY finding, day_ns")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<Result<_, _>>()?;
        for (id, day, body) in rows {
            if let Some(body) =
                without(&body, pseudonym, &words).map_err(|why| damaged(format!("finding {id}"), why))?
            {
                let update = "UPDATE sightings SET body = ?3 WHERE finding = ?1 AND day_ns = ?2";
                change.execute(update, params![id, day, body])?;
                erased.findings += 1;
            }
        }
        change.commit()?;
        self.vacuum()?;
        Ok(erased)
    }
}

/// A finding's form without a subscriber; none where it held nothing of it.
fn without(body: &str, pseudonym: Address, words: &str) -> Result<Option<String>, String> {
    let mut finding: Finding = serde_json::from_str(body).map_err(|error| error.to_string())?;
    let before = finding.clone();
    finding.population.sample.retain(|who| *who != pseudonym);
    blot(&mut finding.headline, words);
    blot(&mut finding.explanation, words);
    for evidence in &mut finding.evidence {
        if let EvidenceValue::Text(text) = &mut evidence.value {
            blot(text, words);
        }
    }
    if finding.population.sample == before.population.sample
        && finding.headline == before.headline
        && finding.explanation == before.explanation
        && finding.evidence.iter().zip(&before.evidence).all(|(a, b)| match (&a.value, &b.value) {
            (EvidenceValue::Text(a), EvidenceValue::Text(b)) => a == b,
            _ => true,
        })
    {
        return Ok(None);
    }
    serde_json::to_string(&finding).map(Some).map_err(|error| error.to_string())
}

/// Blots an address out of a text, where it stands alone and is no part of a longer one.
fn blot(text: &mut String, address: &str) {
    let is_part = |c: char| c.is_ascii_hexdigit() || c == '.' || c == ':';
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find(address) {
        let (before, after) = (&rest[..at], &rest[at + address.len()..]);
        // A full stop or colon that ends the sentence is no part of an address.
        let mut next = after.chars();
        let follows = match next.next() {
            Some('.' | ':') => next.next().is_some_and(is_part),
            Some(c) => is_part(c),
            None => false,
        };
        let alone = !before.ends_with(is_part) && !follows;
        out.push_str(before);
        out.push_str(if alone { ERASED } else { address });
        rest = after;
    }
    out.push_str(rest);
    *text = out;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_blotted_out_where_it_stands_alone() {
        let table = [
            ("host 10.1.2.3 sent", "host (erased) sent"),
            ("by 10.1.2.3.", "by (erased)."),
            ("110.1.2.3 and 10.1.2.34", "110.1.2.3 and 10.1.2.34"),
            ("10.1.2.3, 10.1.2.3", "(erased), (erased)"),
            ("nothing", "nothing"),
        ];
        for (text, wanted) in table {
            let mut text = text.to_owned();
            blot(&mut text, "10.1.2.3");
            assert_eq!(text, wanted);
        }
    }
}
