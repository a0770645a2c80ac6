//! Summaries in, findings out: one file per technique; one register.

pub mod finding;
