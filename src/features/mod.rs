//! Features: ended flows in, one f32 column per feature out.
//! In: [`FlowColumns`]. Out: a [`FeatureMatrix`], every value finite and inside its feature's range whatever the row holds.
//! Bounds: memory as large as the largest batch met; reused, no allocation once it has grown. Time: packets' own, and only as
//! lengths: no feature tells when a flow was.
//! Not here: who is a subscriber (`population` reads originator and responder the right way round), scaling (`model`).
//!
//! Left out on purpose, because models would learn the laboratory instead of the behaviour: port numbers, addresses, TTLs, IP
//! ids, TCP window sizes, absolute times, round-trip times (they tell where the sensor stands).

mod inputs;
mod matrix;
mod shape;
mod sizes;
mod tcp;
mod timing;
mod volume;

pub use matrix::{BLOCK_ROWS, BLOCK_STRIDE, Block, FeatureMatrix};

use crate::flow::row::FlowColumns;
use crate::simd::arithmetic;
use inputs::Inputs;
use matrix::BlockMut;

/// What one column holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Feature {
    /// Its name in every output; those of one side begin with `orig_` or `resp_`.
    pub name: &'static str,
    /// Its unit. `ln(1+x)` is the natural logarithm of one more than x.
    pub unit: &'static str,
    /// Smallest and largest value that can stand in the column.
    pub range: (f32, f32),
    /// What it measures, and what it does not count.
    pub doc: &'static str,
    /// The paper or tool that it is known from.
    pub source: &'static str,
}

/// Raised when a formula changes and no name does: models trained on the old one are refused.
const FORMULA_REVISION: u32 = 1;

const GROUPS: [&[Feature]; 5] = [volume::FEATURES, sizes::FEATURES, timing::FEATURES, tcp::FEATURES, shape::FEATURES];

/// How many features there are.
pub const FEATURE_COUNT: usize = offset(GROUPS.len());

/// The register: its order is that of the columns and of every output.
pub const FEATURES: &[Feature] = &joined();

/// Hash of names, units, order and the formulas' revision: a model fits one set only.
pub const SET_HASH: u32 = set_hash();

/// The column of a name.
pub fn index_of(name: &str) -> Option<usize> {
    FEATURES.iter().position(|feature| feature.name == name)
}

/// Computes all features of all rows; what the matrix held before is gone.
pub fn compute(flows: &FlowColumns, matrix: &mut FeatureMatrix) {
    matrix.reset(flows.len());
    let (blocks, inputs) = matrix.blocks_and_inputs();
    for (start, mut block) in blocks {
        let end = start + block.rows();
        let rows = Rows { flows, start, end };
        inputs.gather(rows);
        for (group, fill) in FILLS.iter().enumerate() {
            fill(rows, inputs, &mut Group { block: &mut block, offset: OFFSETS[group] });
            // At once, while the group's columns (36 KB at most) are in the first-level cache.
            for (i, feature) in GROUPS[group].iter().enumerate() {
                arithmetic::clamp(block.column(OFFSETS[group] + i), feature.range.0, feature.range.1);
            }
        }
    }
}

type Fill = fn(Rows<'_>, &mut Inputs, &mut Group<'_, '_>);

const FILLS: [Fill; GROUPS.len()] = [volume::fill, sizes::fill, timing::fill, tcp::fill, shape::fill];
const OFFSETS: [usize; GROUPS.len()] = [offset(0), offset(1), offset(2), offset(3), offset(4)];

/// The rows of one block.
#[derive(Clone, Copy)]
struct Rows<'a> {
    flows: &'a FlowColumns,
    start: usize,
    end: usize,
}

impl<'a> Rows<'a> {
    /// The block's part of a column.
    fn of<T>(&self, column: &'a [T]) -> &'a [T] {
        &column[self.start..self.end]
    }

    fn len(&self) -> usize {
        self.end - self.start
    }
}

/// The columns of one group of features within a block.
struct Group<'b, 'm> {
    block: &'b mut BlockMut<'m>,
    offset: usize,
}

impl Group<'_, '_> {
    /// The column of the group's feature at `index`.
    fn column(&mut self, index: usize) -> &mut [f32] {
        self.block.column(self.offset + index)
    }

    /// The columns of several features of the group.
    fn columns<const N: usize>(&mut self, indices: [usize; N]) -> [&mut [f32]; N] {
        self.block.columns(indices.map(|index| self.offset + index))
    }
}

/// ln(1 + the largest u64), and so on: upper ends of ranges.
const LN_U64: f32 = 44.4;
const LN_U32: f32 = 22.2;
const LN_U16: f32 = 11.1;

/// Features before a group.
const fn offset(group: usize) -> usize {
    let (mut sum, mut i) = (0, 0);
    while i < group {
        sum += GROUPS[i].len();
        i += 1;
    }
    sum
}

const fn joined() -> [Feature; FEATURE_COUNT] {
    let mut all = [GROUPS[0][0]; FEATURE_COUNT];
    let (mut at, mut group) = (0, 0);
    while group < GROUPS.len() {
        let mut i = 0;
        while i < GROUPS[group].len() {
            all[at] = GROUPS[group][i];
            at += 1;
            i += 1;
        }
        group += 1;
    }
    all
}

/// FNV-1a, 32 bits, over `name NUL unit NUL` of each feature in order.
const fn set_hash() -> u32 {
    let mut hash = fnv1a(0x811c_9dc5, &FORMULA_REVISION.to_le_bytes());
    let mut i = 0;
    while i < FEATURES.len() {
        hash = fnv1a(fnv1a(hash, FEATURES[i].name.as_bytes()), &[0]);
        hash = fnv1a(fnv1a(hash, FEATURES[i].unit.as_bytes()), &[0]);
        i += 1;
    }
    hash
}

const fn fnv1a(mut hash: u32, bytes: &[u8]) -> u32 {
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u32).wrapping_mul(0x0100_0193);
        i += 1;
    }
    hash
}

/// Writes a group's part of the register and a constant per feature: its index, or for `sides` the indices of both.
macro_rules! features {
    ($($kind:ident $id:ident = $name:literal, $unit:literal, ($low:expr, $high:expr), $doc:literal, $source:literal;)*) => {
        $crate::features::features! { @walk (0) [] $($kind $id = $name, $unit, ($low, $high), $doc, $source;)* }
    };
    (@walk ($at:expr) [$($done:expr,)*]) => {
        pub(super) const FEATURES: &[$crate::features::Feature] = &[$($done,)*];
    };
    (@walk ($at:expr) [$($done:expr,)*]
        sides $id:ident = $name:literal, $unit:literal, ($low:expr, $high:expr), $doc:literal, $source:literal; $($rest:tt)*) => {
        const $id: [usize; 2] = [$at, $at + 1];
        $crate::features::features! { @walk ($at + 2) [$($done,)*
            $crate::features::Feature {
                name: concat!("orig_", $name),
                unit: $unit,
                range: ($low, $high),
                doc: concat!("Originator: ", $doc),
                source: $source,
            },
            $crate::features::Feature {
                name: concat!("resp_", $name),
                unit: $unit,
                range: ($low, $high),
                doc: concat!("Responder: ", $doc),
                source: $source,
            },
        ] $($rest)* }
    };
    (@walk ($at:expr) [$($done:expr,)*]
        flow $id:ident = $name:literal, $unit:literal, ($low:expr, $high:expr), $doc:literal, $source:literal; $($rest:tt)*) => {
        const $id: usize = $at;
        $crate::features::features! { @walk ($at + 1) [$($done,)*
            $crate::features::Feature { name: $name, unit: $unit, range: ($low, $high), doc: $doc, source: $source },
        ] $($rest)* }
    };
}
use features;

#[cfg(test)]
mod tests;
