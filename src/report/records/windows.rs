//! Window summaries as a Parquet table: a row a window, population and far party, and one without a party for the
//! population's totals. Far parties stand in clear, subscribers only as counts.

use std::io;
use std::path::Path;

use super::{Field, Table, text};
use crate::population::collector::CollectorSummary;
use crate::population::totals::Totals;
use crate::population::{Populations, Summary};
use crate::report::escape::words;
use crate::report::flows::fields::{Cell, FieldKind};

/// The columns; their order is the order in the file.
pub const FIELDS: &[Field] = &[
    ("window_start", FieldKind::Time, "where the window begins"),
    ("window_end", FieldKind::Time, "the first time past it"),
    ("population", FieldKind::Text, "name of the population"),
    ("collector", FieldKind::Text, "the far party's address; none for the population's totals"),
    ("subscribers", FieldKind::Count, "distinct subscribers; an estimate past some hundreds"),
    ("flows", FieldKind::Count, "flows that began in the window"),
    ("packets_up", FieldKind::Count, "packets from subscribers"),
    ("packets_down", FieldKind::Count, "packets to subscribers"),
    ("bytes_up", FieldKind::Count, "payload bytes from subscribers"),
    ("bytes_down", FieldKind::Count, "payload bytes to subscribers"),
    ("rows_answered", FieldKind::Count, "flow rows in which the called side took part"),
    ("upload_median_bytes", FieldKind::Real, "median of what a flow row sends up, bytes"),
    ("gap_median_s", FieldKind::Real, "median time between two flows of one subscriber, seconds"),
    ("port", FieldKind::Count, "the port that answers most rows"),
    ("app", FieldKind::Text, "the application of most rows, where the bytes prove one"),
    ("domain", FieldKind::Text, "the registrable domain asked for most"),
];

/// Writes the table window by window.
pub struct WindowTable(Table);

impl WindowTable {
    /// Begins the file that is to appear at `path`.
    pub fn create(path: &Path) -> io::Result<Self> {
        Table::create(path, "window", FIELDS).map(Self)
    }

    /// Appends a window's rows, populations and parties in ascending order.
    pub fn window(&mut self, summary: &Summary, populations: &Populations) -> io::Result<()> {
        let span = summary.span();
        let name = |index| populations.spec(index).map(|spec| spec.name.clone()).unwrap_or_default();
        let head = |index| [Cell::Time(span.start), Cell::Time(span.end), text(name(index))];
        for (index, population) in &summary.populations {
            let mut cells: Vec<Cell<'_>> = head(*index).into();
            cells.extend([Cell::None, Cell::Count(population.active.count())]);
            cells.extend(volume(&population.totals));
            cells.resize(FIELDS.len(), Cell::None);
            self.0.push(cells)?;
        }
        for (key, one) in summary.collectors.sorted() {
            let mut cells: Vec<Cell<'_>> = head(key.population).into();
            cells.extend([text(key.address.to_string()), Cell::Count(one.subscribers.count())]);
            cells.extend(volume(&one.totals));
            cells.extend(behaviour(one, summary));
            self.0.push(cells)?;
        }
        Ok(())
    }

    /// Puts the file into its place.
    pub fn finish(self) -> io::Result<()> {
        self.0.finish()
    }
}

fn volume(totals: &Totals) -> [Cell<'static>; 5] {
    let [up, down] = totals.packets;
    [totals.flows, up, down, totals.bytes_up(), totals.bytes_down()].map(Cell::Count)
}

fn behaviour(one: &CollectorSummary, summary: &Summary) -> [Cell<'static>; 6] {
    let real = |value: Option<f64>| value.map_or(Cell::None, Cell::Real);
    let port = one.services.by_count().first().map(|(service, _)| service.port).filter(|port| *port != 0);
    let domain = one.domains.by_count().first().and_then(|(id, _)| summary.texts.of(*id));
    [
        Cell::Count(one.rows_answered),
        real(one.upload_sizes.quantile(0.5)),
        real(one.pair_gaps_ms.quantile(0.5).map(|ms| ms / 1000.0)),
        port.map_or(Cell::None, |port| Cell::Count(port.into())),
        one.apps.by_count().first().map_or(Cell::None, |(app, _)| text(app.name())),
        domain.map_or(Cell::None, |domain| text(words(domain).into_owned())),
    ]
}
