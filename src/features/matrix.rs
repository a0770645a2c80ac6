//! The feature matrix: f32 columns in blocks of rows.
//! Layout: block after block; in a block column after column, [`BLOCK_STRIDE`] values each, of which the first
//! [`BLOCK_ROWS`] are rows and the rest is padding. Reused: `reset` keeps the memory.

use super::FEATURE_COUNT;
use super::inputs::Inputs;

/// Rows of a full block: one column of it is 2 KB, all columns stay in the second-level cache.
pub const BLOCK_ROWS: usize = 512;
/// Values from one column of a block to the next. Not a power of two: such strides put all columns into the same cache sets
/// and cost up to twice.
pub const BLOCK_STRIDE: usize = BLOCK_ROWS + 16;

const BLOCK_VALUES: usize = BLOCK_STRIDE * FEATURE_COUNT;

/// Rows by features.
#[derive(Clone, Debug, Default)]
pub struct FeatureMatrix {
    values: Vec<f32>,
    rows: usize,
    inputs: Inputs,
}

impl FeatureMatrix {
    /// An empty matrix.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many columns there are: [`FEATURE_COUNT`].
    pub fn width(&self) -> usize {
        FEATURE_COUNT
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// One value.
    pub fn value(&self, row: usize, feature: usize) -> f32 {
        assert!(row < self.rows && feature < FEATURE_COUNT, "row {row} of {}, feature {feature}", self.rows);
        self.values[place(row, feature)]
    }

    /// Copies a row, its features in the register's order.
    pub fn copy_row(&self, row: usize, to: &mut [f32; FEATURE_COUNT]) {
        for (feature, to) in to.iter_mut().enumerate() {
            *to = self.value(row, feature);
        }
    }

    /// The blocks in order, all full but the last.
    pub fn blocks(&self) -> impl Iterator<Item = Block<'_>> {
        let rows = self.rows;
        self.values.chunks_exact(BLOCK_VALUES).enumerate().map(move |(i, values)| Block {
            values,
            start: i * BLOCK_ROWS,
            rows: (rows - i * BLOCK_ROWS).min(BLOCK_ROWS),
        })
    }

    /// Appends a row, as samples for training are gathered.
    pub fn push_row(&mut self, row: &[f32; FEATURE_COUNT]) {
        if self.rows.is_multiple_of(BLOCK_ROWS) {
            self.values.resize(self.values.len() + BLOCK_VALUES, 0.0);
        }
        for (feature, &x) in row.iter().enumerate() {
            self.values[place(self.rows, feature)] = x;
        }
        self.rows += 1;
    }

    /// Drops all rows and keeps the memory.
    pub fn clear(&mut self) {
        self.reset(0);
    }

    /// Makes room for exactly `rows` rows, whose values are whatever was there.
    pub(super) fn reset(&mut self, rows: usize) {
        self.rows = rows;
        self.values.resize(rows.div_ceil(BLOCK_ROWS) * BLOCK_VALUES, 0.0);
    }

    /// The blocks to be written, each with the number of its first row, and the scratch that gathers their inputs.
    pub(super) fn blocks_and_inputs(&mut self) -> (impl Iterator<Item = (usize, BlockMut<'_>)>, &mut Inputs) {
        let rows = self.rows;
        let blocks = self.values.chunks_exact_mut(BLOCK_VALUES).enumerate().map(move |(i, values)| {
            let start = i * BLOCK_ROWS;
            (start, BlockMut { values, rows: (rows - start).min(BLOCK_ROWS) })
        });
        (blocks, &mut self.inputs)
    }
}

fn place(row: usize, feature: usize) -> usize {
    row / BLOCK_ROWS * BLOCK_VALUES + feature * BLOCK_STRIDE + row % BLOCK_ROWS
}

/// A block to read.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    values: &'a [f32],
    start: usize,
    rows: usize,
}

impl<'a> Block<'a> {
    /// Number of its first row in the matrix.
    pub fn start(&self) -> usize {
        self.start
    }

    /// How many rows it has, at most [`BLOCK_ROWS`].
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The rows' values of one feature.
    pub fn column(&self, feature: usize) -> &'a [f32] {
        &self.values[feature * BLOCK_STRIDE..][..self.rows]
    }
}

/// A block to write.
pub(super) struct BlockMut<'a> {
    values: &'a mut [f32],
    rows: usize,
}

impl BlockMut<'_> {
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn column(&mut self, feature: usize) -> &mut [f32] {
        &mut self.values[feature * BLOCK_STRIDE..][..self.rows]
    }

    /// Several columns at once; no feature may stand twice.
    pub(super) fn columns<const N: usize>(&mut self, features: [usize; N]) -> [&mut [f32]; N] {
        let places = features.map(|feature| feature * BLOCK_STRIDE..feature * BLOCK_STRIDE + self.rows);
        self.values.get_disjoint_mut(places).expect("columns are apart and inside the block")
    }
}
