//! Flow rows as JSON lines, as Zeek writes its JSON logs: one flat object a row, what is not known left out.
//! Times are RFC 3339 with nanoseconds.

use std::cell::RefCell;
use std::io;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::fields::{Cell, FIELDS, RowView};
use super::{Destination, FeatureColumns, FlowSink, Show, check_batch, feature_column};
use crate::flow::row::FlowColumns;
use crate::report::escape::write_json_line;
use crate::report::figures;

/// Writes JSON lines.
pub struct JsonSink<'a> {
    destination: Destination<'a>,
    features: Vec<String>,
    columns: Vec<String>,
    show: Show<'a>,
}

impl<'a> JsonSink<'a> {
    /// Opens the sink.
    pub fn new(destination: Destination<'a>, features: &[&str], show: Show<'a>) -> Self {
        let columns = features.iter().map(|name| feature_column(name)).collect();
        let features = features.iter().map(|name| (*name).to_owned()).collect();
        Self { destination, features, columns, show }
    }
}

impl FlowSink for JsonSink<'_> {
    fn write(&mut self, rows: &FlowColumns, features: FeatureColumns<'_>) -> io::Result<()> {
        check_batch(rows, features, &self.features);
        for i in 0..rows.len() {
            let row = RefCell::new(RowView::new(rows, i, &mut *self.show));
            write_json_line(&mut self.destination, &Record { row, columns: &self.columns, features, i })?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        self.destination.commit()
    }
}

/// One row on its way out.
struct Record<'r, 'a, 's> {
    /// Reading may ask the caller how an address is shown, which may fill its cache.
    row: RefCell<RowView<'a, 's>>,
    columns: &'r [String],
    features: FeatureColumns<'r>,
    i: usize,
}

impl Serialize for Record<'_, '_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let mut row = self.row.borrow_mut();
        for field in FIELDS {
            match field.read(&mut row) {
                Cell::None => {}
                Cell::Count(n) => map.serialize_entry(field.name, &n)?,
                Cell::Real(value) => {
                    if let Some(value) = figures::finite(value) {
                        map.serialize_entry(field.name, &value)?;
                    }
                }
                Cell::Time(ts) => map.serialize_entry(field.name, &figures::full_time(ts))?,
                Cell::Text(text) => map.serialize_entry(field.name, &text)?,
            }
        }
        for (column, (_, values)) in self.columns.iter().zip(self.features) {
            if values[self.i].is_finite() {
                map.serialize_entry(column, &(values[self.i] + 0.0))?;
            }
        }
        map.end()
    }
}
