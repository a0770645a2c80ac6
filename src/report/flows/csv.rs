//! Flow rows as CSV (RFC 4180): a header line, then one line a row.
//! Times are RFC 3339 with nanoseconds; what is not known is empty. A text from the wire that a spreadsheet would take for
//! a formula gets a `'` before it.

use std::borrow::Cow;
use std::io;

use super::fields::{Cell, FIELDS, RowView};
use super::{Destination, FeatureColumns, FlowSink, Show, check_batch, feature_column};
use crate::flow::row::FlowColumns;
use crate::report::figures;

/// Writes CSV.
pub struct CsvSink<'a> {
    writer: csv::Writer<Destination<'a>>,
    features: Vec<String>,
    show: Show<'a>,
    cell: String,
}

impl<'a> CsvSink<'a> {
    /// Opens the sink and writes the header line.
    pub fn new(destination: Destination<'a>, features: &[&str], show: Show<'a>) -> io::Result<Self> {
        let mut writer = csv::Writer::from_writer(destination);
        for field in FIELDS {
            writer.write_field(field.name).map_err(world)?;
        }
        for name in features {
            writer.write_field(feature_column(name)).map_err(world)?;
        }
        writer.write_record(None::<&[u8]>).map_err(world)?;
        let features = features.iter().map(|name| (*name).to_owned()).collect();
        Ok(Self { writer, features, show, cell: String::new() })
    }
}

impl FlowSink for CsvSink<'_> {
    fn write(&mut self, rows: &FlowColumns, features: FeatureColumns<'_>) -> io::Result<()> {
        use std::fmt::Write as _;
        check_batch(rows, features, &self.features);
        for i in 0..rows.len() {
            let mut row = RowView::new(rows, i, &mut *self.show);
            for field in FIELDS {
                let cell = field.read(&mut row);
                self.writer.write_field(text(&cell).as_bytes()).map_err(world)?;
            }
            for (_, values) in features {
                self.cell.clear();
                if values[i].is_finite() {
                    write!(self.cell, "{}", values[i] + 0.0).expect("a string takes all");
                }
                self.writer.write_field(&self.cell).map_err(world)?;
            }
            self.writer.write_record(None::<&[u8]>).map_err(world)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        self.writer.into_inner().map_err(|error| error.into_error())?.commit()
    }
}

/// A writer's own error as it was: the crate's conversion would hide a broken pipe.
fn world(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(own) => own,
        other => io::Error::other(format!("{other:?}")),
    }
}

fn text<'c>(cell: &'c Cell<'_>) -> Cow<'c, str> {
    match cell {
        Cell::None => "".into(),
        Cell::Count(n) => n.to_string().into(),
        Cell::Real(value) => figures::finite(*value).map_or_else(String::new, |value| value.to_string()).into(),
        Cell::Time(ts) => figures::full_time(*ts).into(),
        Cell::Text(text) if text.starts_with(['=', '+', '-', '@']) => format!("'{text}").into(),
        Cell::Text(text) => Cow::Borrowed(text),
    }
}
