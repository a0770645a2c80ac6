//! Flow rows as Apache Parquet, through the crate's column writers (no Arrow).
//! Counts are `UINT_64`, measures `DOUBLE`, times `TIMESTAMP(NANOS, UTC)`, words `STRING`, features `FLOAT`; all optional
//! but the features. Compressed with zstd.
//! Bounds: one row group is kept: at most [`ROW_GROUP_ROWS`] rows, ended earlier at [`ROW_GROUP_TEXT_BYTES_MAX`].

use std::io;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as PhysicalType, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, FloatType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;

use super::fields::{Cell, FIELDS, FieldKind, RowView};
use super::{Destination, FeatureColumns, FlowSink, Show, check_batch, feature_column};
use crate::flow::row::FlowColumns;

/// Rows of a row group: some 40 MB of columns in the making.
pub const ROW_GROUP_ROWS: usize = 1 << 16;
/// Bytes of words at which a row group ends before it has all its rows.
pub const ROW_GROUP_TEXT_BYTES_MAX: usize = 64 << 20;
/// Level 3 is zstd's own default.
pub(in crate::report) const ZSTD_LEVEL: i32 = 3;

/// Writes Parquet.
pub struct ParquetSink<'a> {
    writer: SerializedFileWriter<Destination<'a>>,
    names: Vec<String>,
    fields: Vec<Column>,
    features: Vec<Vec<f32>>,
    rows: usize,
    text_bytes: usize,
    show: Show<'a>,
}

impl<'a> ParquetSink<'a> {
    /// Opens the sink.
    pub fn new(destination: Destination<'a>, features: &[&str], show: Show<'a>) -> io::Result<Self> {
        let level = ZstdLevel::try_new(ZSTD_LEVEL).map_err(world)?;
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
        let schema = Arc::new(schema(features).map_err(world)?);
        Ok(Self {
            writer: SerializedFileWriter::new(destination, schema, Arc::new(properties)).map_err(world)?,
            names: features.iter().map(|name| (*name).to_owned()).collect(),
            fields: FIELDS.iter().map(|field| Column::new(field.kind)).collect(),
            features: vec![Vec::new(); features.len()],
            rows: 0,
            text_bytes: 0,
            show,
        })
    }

    /// Writes the rows at hand as a row group.
    fn flush_group(&mut self) -> Result<(), ParquetError> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        for column in &mut self.fields {
            let writer = group.next_column()?.expect("the schema has a column for each field");
            column.write(writer)?;
        }
        for values in &mut self.features {
            let mut writer = group.next_column()?.expect("the schema has a column for each feature");
            writer.typed::<FloatType>().write_batch(values, None, None)?;
            writer.close()?;
            values.clear();
        }
        group.close()?;
        (self.rows, self.text_bytes) = (0, 0);
        Ok(())
    }
}

impl FlowSink for ParquetSink<'_> {
    fn write(&mut self, rows: &FlowColumns, features: FeatureColumns<'_>) -> io::Result<()> {
        check_batch(rows, features, &self.names);
        for i in 0..rows.len() {
            let mut row = RowView::new(rows, i, &mut *self.show);
            for (column, field) in self.fields.iter_mut().zip(FIELDS) {
                self.text_bytes += column.push(field.read(&mut row));
            }
            for (column, (_, values)) in self.features.iter_mut().zip(features) {
                column.push(values[i] + 0.0);
            }
            self.rows += 1;
            if self.rows == ROW_GROUP_ROWS || self.text_bytes >= ROW_GROUP_TEXT_BYTES_MAX {
                self.flush_group().map_err(world)?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.flush_group().map_err(world)?;
        self.writer.into_inner().map_err(world)?.commit()
    }
}

fn schema(features: &[&str]) -> Result<Type, ParquetError> {
    let mut columns = Vec::with_capacity(FIELDS.len() + features.len());
    for field in FIELDS {
        columns.push(Arc::new(optional(field.name, field.kind)?));
    }
    for name in features {
        let column = Type::primitive_type_builder(&feature_column(name), PhysicalType::FLOAT)
            .with_repetition(Repetition::REQUIRED)
            .build()?;
        columns.push(Arc::new(column));
    }
    Type::group_type_builder("flow").with_fields(columns).build()
}

/// The column of a field that may be unknown.
pub(in crate::report) fn optional(name: &str, kind: FieldKind) -> Result<Type, ParquetError> {
    let (physical, logical) = match kind {
        FieldKind::Count => (PhysicalType::INT64, Some(LogicalType::integer(64, false))),
        FieldKind::Real => (PhysicalType::DOUBLE, None),
        FieldKind::Time => (PhysicalType::INT64, Some(LogicalType::timestamp(true, TimeUnit::NANOS))),
        FieldKind::Text => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
    };
    Type::primitive_type_builder(name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()
}

/// A field's values in the making: only those that are known, and which rows have one.
pub(in crate::report) struct Column {
    /// 1 for a row with a value, 0 for one without.
    levels: Vec<i16>,
    values: Values,
}

enum Values {
    Integers(Vec<i64>),
    Reals(Vec<f64>),
    /// All words one after the other, and where each ends.
    Texts {
        bytes: Vec<u8>,
        ends: Vec<usize>,
    },
}

impl Column {
    pub(in crate::report) fn new(kind: FieldKind) -> Self {
        let values = match kind {
            FieldKind::Count | FieldKind::Time => Values::Integers(Vec::new()),
            FieldKind::Real => Values::Reals(Vec::new()),
            FieldKind::Text => Values::Texts { bytes: Vec::new(), ends: Vec::new() },
        };
        Self { levels: Vec::new(), values }
    }

    /// Appends a value; says how many bytes of words it has.
    pub(in crate::report) fn push(&mut self, cell: Cell<'_>) -> usize {
        let mut text_bytes = 0;
        match (&mut self.values, cell) {
            // Parquet keeps unsigned numbers in the bits of signed ones.
            (Values::Integers(values), Cell::Count(n)) => values.push(n as i64),
            // Past 2262 there are no signed nanoseconds.
            (Values::Integers(values), Cell::Time(ts)) => values.push(i64::try_from(ts.0).unwrap_or(i64::MAX)),
            (Values::Reals(values), Cell::Real(value)) if value.is_finite() => values.push(value + 0.0),
            (Values::Texts { bytes, ends }, Cell::Text(text)) => {
                text_bytes = text.len();
                bytes.extend_from_slice(text.as_bytes());
                ends.push(bytes.len());
            }
            (_, Cell::None | Cell::Real(_)) => {
                self.levels.push(0);
                return 0;
            }
            (_, cell) => unreachable!("the register gives no {cell:?} for this kind of field"),
        }
        self.levels.push(1);
        text_bytes
    }

    /// Writes the column and empties it.
    pub(in crate::report) fn write(&mut self, mut writer: SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let levels = Some(self.levels.as_slice());
        match &mut self.values {
            Values::Integers(values) => {
                writer.typed::<Int64Type>().write_batch(values, levels, None)?;
                values.clear();
            }
            Values::Reals(values) => {
                writer.typed::<DoubleType>().write_batch(values, levels, None)?;
                values.clear();
            }
            Values::Texts { bytes, ends } => {
                // One allocation for all words of the column; each value is a slice of it.
                let whole = ByteArray::from(std::mem::take(bytes));
                let mut values = Vec::with_capacity(ends.len());
                let mut start = 0;
                for end in ends.drain(..) {
                    values.push(whole.slice(start, end - start));
                    start = end;
                }
                writer.typed::<ByteArrayType>().write_batch(&values, levels, None)?;
            }
        }
        self.levels.clear();
        writer.close()
    }
}

/// A writer's own error as it was; everything else says that it is Parquet's.
pub(in crate::report) fn world(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(own) => *own,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}
