//! `trawlwatch flows`: flow rows as files that analysts' tools read.
//! In: flow rows and their features, batch by batch. Out: CSV, JSON lines or Parquet, one record a row, with the fields of
//! [`FIELDS`] and then one `f_NAME` column a feature.
//! Bounds: CSV and JSON keep nothing; Parquet keeps one row group ([`parquet::ROW_GROUP_ROWS`]).
//! A file appears whole or not at all: it is written beside its place and moved there by [`FlowSink::finish`].
//! Addresses are written as the caller shows them, also where they hide in names; words from the wire are escaped.

pub mod csv;
pub mod fields;
pub mod json;
pub mod parquet;
pub mod part_file;

#[cfg(test)]
mod tests;

use std::io::{self, Write};

use crate::flow::row::FlowColumns;
use crate::units::Address;

pub use fields::{FIELDS, FlowField};
pub use part_file::PartFile;

/// What to write for a real address: a subscriber's pseudonym, everyone else's own.
pub type Show<'a> = Box<dyn FnMut(Address) -> Address + Send + 'a>;

/// Values of features, by name; each as long as the rows. Every batch has the names that the sink was opened with.
pub type FeatureColumns<'a> = &'a [(&'a str, &'a [f32])];

/// Takes flow rows until it is finished. Errors are the writer's own: the caller tells a broken pipe from a full disk.
pub trait FlowSink {
    /// Writes a batch of rows.
    fn write(&mut self, rows: &FlowColumns, features: FeatureColumns<'_>) -> io::Result<()>;

    /// Writes what is left and puts a file into its place. Without it, a file never appears.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// A way to write flow rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlowFormat {
    /// Apache Parquet, compressed with zstd.
    Parquet,
    /// Comma-separated, with a header line.
    Csv,
    /// One JSON object a line; what is not known is left out.
    Json,
}

/// The formats, in the order in which `--help` lists them: the name on the command line, and what it is for.
pub const FLOW_FORMATS: &[(&str, FlowFormat, &str)] = &[
    ("parquet", FlowFormat::Parquet, "Apache Parquet with zstd, for notebooks and databases; needs --output"),
    ("csv", FlowFormat::Csv, "comma-separated with a header line"),
    ("json", FlowFormat::Json, "one object a line; what is not known is left out"),
];

impl FlowFormat {
    /// The format of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        FLOW_FORMATS.iter().find(|(known, ..)| *known == name).map(|&(_, format, _)| format)
    }

    /// Opens a sink for rows with these features.
    pub fn open<'a>(
        self,
        destination: Destination<'a>,
        features: &[&str],
        show: Show<'a>,
    ) -> io::Result<Box<dyn FlowSink + 'a>> {
        Ok(match self {
            Self::Parquet => Box::new(parquet::ParquetSink::new(destination, features, show)?),
            Self::Csv => Box::new(csv::CsvSink::new(destination, features, show)?),
            Self::Json => Box::new(json::JsonSink::new(destination, features, show)),
        })
    }
}

/// Where rows go.
pub enum Destination<'a> {
    /// A stream, such as standard output.
    Stream(Box<dyn Write + Send + 'a>),
    /// A file that appears when it is whole.
    File(PartFile),
}

impl<'a> Destination<'a> {
    /// A stream, with a buffer before it: rows are many and small.
    pub fn stream(out: impl Write + Send + 'a) -> Self {
        Self::Stream(Box::new(io::BufWriter::with_capacity(BUFFER_BYTES, out)))
    }

    /// Passes everything on; a file takes its place.
    pub fn commit(self) -> io::Result<()> {
        match self {
            Self::Stream(mut stream) => stream.flush(),
            Self::File(file) => file.commit(),
        }
    }
}

impl Write for Destination<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stream(stream) => stream.write(bytes),
            Self::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stream(stream) => stream.flush(),
            Self::File(file) => file.flush(),
        }
    }
}

/// Bytes gathered before a system call.
const BUFFER_BYTES: usize = 256 << 10;

/// The column of a feature: the prefix keeps features and fields apart, whatever either is called.
pub fn feature_column(name: &str) -> String {
    format!("f_{name}")
}

/// Whether a batch has the features that the sink was opened with, and as many values as rows. Anything else is our own
/// mistake and would shift columns.
fn check_batch(rows: &FlowColumns, features: FeatureColumns<'_>, names: &[String]) {
    assert_eq!(features.len(), names.len(), "as many features as the sink was opened with");
    for ((name, values), known) in features.iter().zip(names) {
        assert_eq!(name, known, "features in the order that the sink was opened with");
        assert_eq!(values.len(), rows.len(), "one value of {name} a row");
    }
}
