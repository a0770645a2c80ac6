//! Frames in, packet columns out, or a counted reject.

pub mod app;
pub mod columns;
pub mod facts;
