//! Packets in, ended flows and observations out.

pub mod observation;
pub mod row;
