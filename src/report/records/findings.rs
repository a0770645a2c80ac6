//! Findings as a Parquet table: a row a finding; lists are joined by commas, reasons are JSON.

use std::io;
use std::path::Path;

use super::{Field, Table, text};
use crate::detect::finding::{EvidenceValue, Finding, Verdict};
use crate::privacy::Reveal;
use crate::report::escape::words;
use crate::report::finding_id;
use crate::report::flows::fields::{Cell, FieldKind};

/// The columns; their order is the order in the file.
pub const FIELDS: &[Field] = &[
    ("finding_id", FieldKind::Text, "stable id, as in JSON"),
    ("technique", FieldKind::Text, "technique id"),
    ("severity", FieldKind::Text, "critical, high, medium, low or info"),
    ("score", FieldKind::Real, "0 to 1"),
    ("p_value", FieldKind::Real, "0 to 1"),
    ("population", FieldKind::Text, "name of the population"),
    ("subscribers", FieldKind::Count, "distinct subscribers"),
    ("coverage", FieldKind::Real, "share of those active, 0 to 1"),
    ("sample", FieldKind::Text, "pseudonyms, comma-separated"),
    ("collector_key", FieldKind::Text, "address, prefix, name or system"),
    ("collector_addresses", FieldKind::Text, "comma-separated"),
    ("collector_ports", FieldKind::Text, "comma-separated"),
    ("collector_prefix", FieldKind::Text, "/24 or /48"),
    ("collector_asn", FieldKind::Count, "autonomous system"),
    ("collector_country", FieldKind::Text, "ISO 3166-1"),
    ("collector_names", FieldKind::Text, "comma-separated"),
    ("start", FieldKind::Time, "first packet"),
    ("end", FieldKind::Time, "last packet"),
    ("flows", FieldKind::Count, "flows"),
    ("packets", FieldKind::Count, "packets"),
    ("bytes_up", FieldKind::Count, "payload bytes from the population"),
    ("bytes_down", FieldKind::Count, "payload bytes to the population"),
    ("register", FieldKind::Text, "unregistered, authorised or refused"),
    ("register_entry", FieldKind::Text, "name of the entry"),
    ("register_reason", FieldKind::Text, "why it does not allow it"),
    ("evidence", FieldKind::Text, "JSON: feature → value"),
    ("headline", FieldKind::Text, "one sentence"),
    ("explanation", FieldKind::Text, "a few sentences"),
];

/// The table in the making.
pub struct FindingTable(Table);

impl FindingTable {
    /// Begins the file that is to appear at `path`.
    pub fn create(path: &Path) -> io::Result<Self> {
        Table::create(path, "finding", FIELDS).map(Self)
    }

    /// Writes all findings and puts the file into its place.
    pub fn write(mut self, findings: &[Finding], reveal: &Reveal) -> io::Result<()> {
        for finding in findings {
            self.0.push(cells(finding, reveal))?;
        }
        self.0.finish()
    }
}

fn cells(finding: &Finding, reveal: &Reveal) -> Vec<Cell<'static>> {
    let (collector, population) = (&finding.collector, &finding.population);
    let (register, entry, reason) = match &finding.verdict {
        Verdict::Unregistered => ("unregistered", String::new(), String::new()),
        Verdict::Authorised { name, .. } => ("authorised", name.clone(), String::new()),
        Verdict::Refused { name, reason, .. } => ("refused", name.clone(), reason.clone()),
    };
    let sample = population.sample.iter().map(|pseudonym| reveal.shown(*pseudonym).to_string());
    let names = collector.names.iter().map(|name| words(name).into_owned());
    vec![
        text(finding_id(finding)),
        text(finding.technique.id()),
        text(finding.severity.name()),
        Cell::Real(finding.score),
        Cell::Real(finding.p_value),
        text(population.name.clone()),
        Cell::Count(population.subscribers),
        Cell::Real(population.coverage),
        text(joined(sample)),
        text(words(&collector.collector_key).into_owned()),
        text(joined(collector.addresses.iter().map(ToString::to_string))),
        text(joined(collector.ports.iter().map(ToString::to_string))),
        text(collector.prefix.clone().unwrap_or_default()),
        collector.asn.map_or(Cell::None, |asn| Cell::Count(asn.into())),
        text(collector.country.clone().unwrap_or_default()),
        text(joined(names)),
        Cell::Time(finding.start),
        Cell::Time(finding.end),
        Cell::Count(finding.flows),
        Cell::Count(finding.packets),
        Cell::Count(finding.bytes_up),
        Cell::Count(finding.bytes_down),
        text(register),
        text(entry),
        text(reason),
        text(evidence(finding)),
        text(words(&finding.headline).into_owned()),
        text(finding.explanation.clone()),
    ]
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(",")
}

fn evidence(finding: &Finding) -> String {
    let all = finding.evidence.iter().map(|one| {
        let value = match &one.value {
            EvidenceValue::Number(value) => serde_json::json!(value),
            EvidenceValue::Text(text) => serde_json::json!(words(text)),
        };
        (one.feature.to_owned(), value)
    });
    serde_json::Value::Object(all.collect()).to_string()
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    use super::*;
    use crate::report::samples;

    #[test]
    fn findings_read_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("findings.parquet");
        let findings = [samples::fan_in(), samples::authorised(), samples::refused()];
        FindingTable::create(&path).expect("begun").write(&findings, &Reveal::Nothing).expect("written");
        let reader = SerializedFileReader::new(std::fs::File::open(&path).expect("there")).expect("Parquet");
        let rows: Vec<_> = reader.get_row_iter(None).expect("rows").map(|row| row.expect("a row")).collect();
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[0].len(), FIELDS.len());
        assert_eq!(rows[0].get_string(1).expect("a text"), "population-fan-in");
        assert_eq!(rows[0].get_ulong(6).expect("a count"), 312);
        assert_eq!(rows[1].get_string(22).expect("a text"), "authorised");
        assert_eq!(rows[2].get_string(24).expect("a text"), "expired on 2026-01-01");
    }
}
