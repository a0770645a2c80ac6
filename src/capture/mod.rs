//! Where frames come from: savefiles (mapped), streams; faults are part of the source.

pub mod frame;
