//! Trawlwatch: who collects a population's personal data in bulk, how, and on what evidence.
//!
//! The rooms stand in the order in which data travels; a room uses only rooms above it (`tests/tidy.rs` checks that).
//!
//! ```text
//! frames ─▶ capture ─▶ packet ─▶ flow ─▶ features ─▶ population ─▶ model ─▶ detect ─▶ policy ─▶ report
//!           bytes      columns   ended    f32         mergeable     scores   findings  verdicts
//!                      + rejects flows +  columns     summaries
//!                                observations
//! ```

pub mod units;

pub mod simd;

pub mod capture;

pub mod packet;

pub mod flow;

pub mod features;

pub mod privacy;

pub mod population;

pub mod model;

pub mod detect;

pub mod policy;

pub mod report;

pub mod store;

pub mod pipeline;

pub mod sweep;

pub mod synth;

pub mod evaluate;

pub mod cli;
