//! Records: findings and window summaries as Parquet tables, for notebooks and databases.
//! In: findings, or the summary of each window. Out: one table a file, a row a finding, or a row a window, population and
//! collector. All columns are optional; types as in the flow table (`flows::parquet`).
//! Bounds: one row group of [`ROW_GROUP_ROWS`] rows in memory. A file appears whole or not at all.

pub mod findings;
pub mod windows;

use std::io;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use super::flows::PartFile;
use super::flows::fields::{Cell, FieldKind};
use super::flows::parquet::{Column, ZSTD_LEVEL, optional, world};

/// Rows of a row group.
pub const ROW_GROUP_ROWS: usize = 1 << 14;

/// A column of a table: its name, what its values are, what it says.
pub type Field = (&'static str, FieldKind, &'static str);

/// A table in the making.
struct Table {
    writer: SerializedFileWriter<PartFile>,
    columns: Vec<Column>,
    rows: usize,
}

impl Table {
    fn create(path: &Path, name: &str, fields: &[Field]) -> io::Result<Self> {
        let built = || -> Result<_, ParquetError> {
            let columns: Result<Vec<_>, ParquetError> =
                fields.iter().map(|(name, kind, _)| Ok(Arc::new(optional(name, *kind)?))).collect();
            let schema = Type::group_type_builder(name).with_fields(columns?).build()?;
            let level = ZstdLevel::try_new(ZSTD_LEVEL)?;
            Ok((schema, WriterProperties::builder().set_compression(Compression::ZSTD(level)).build()))
        };
        let (schema, properties) = built().map_err(world)?;
        let file = PartFile::create(path)?;
        Ok(Self {
            writer: SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties)).map_err(world)?,
            columns: fields.iter().map(|(_, kind, _)| Column::new(*kind)).collect(),
            rows: 0,
        })
    }

    /// Appends a row: a cell a column, in their order.
    fn push<'a>(&mut self, cells: impl IntoIterator<Item = Cell<'a>>) -> io::Result<()> {
        let mut pushed = 0;
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            column.push(cell);
            pushed += 1;
        }
        assert_eq!(pushed, self.columns.len(), "a cell a column");
        self.rows += 1;
        if self.rows == ROW_GROUP_ROWS { self.flush_group().map_err(world) } else { Ok(()) }
    }

    fn flush_group(&mut self) -> Result<(), ParquetError> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        for column in &mut self.columns {
            column.write(group.next_column()?.expect("the schema has a column for each field"))?;
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.flush_group().map_err(world)?;
        self.writer.into_inner().map_err(world)?.commit()
    }
}

/// Words, or nothing where there are none.
fn text(text: impl Into<String>) -> Cell<'static> {
    let text: String = text.into();
    if text.is_empty() { Cell::None } else { Cell::Text(text.into()) }
}
