//! SIMD: kernels over columns, for the rooms that work on very many rows alike.
//! In: slices. Out: slices of the same length, written whole. Bounds: none allocates.
//! Law: every dispatched version gives the same bits as the scalar one. What makes it hold: Rust never fuses a multiplication
//! and an addition nor reorders floats; sums across lanes are written out as one fixed tree; logarithms are our own.
//! Not here: what the numbers mean (`features`, `model`).
//!
//! One body a kernel, compiled once for each level (`multiversion`), chosen in one place ([`level`]). Where rows hold short
//! arrays, rows become the lanes (`tile`, `lanes`) and the scalar level goes row by row. `TRAWLWATCH_SIMD=scalar` in the
//! environment forces it, so that a test run can compare.

mod dispatch;

pub mod arithmetic;
pub mod centroid;
pub mod convert;
pub mod histogram;
mod lanes;
pub mod logarithm;
pub(crate) mod prefetch;
pub mod sequence;
mod tile;

pub(crate) use dispatch::kernel;
pub use dispatch::{Level, level};

#[cfg(test)]
mod tests;
