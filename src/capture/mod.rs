//! Where frames come from: savefiles (in blocks or mapped), streams; faults are part of the source.
//! In: paths. Out: frames in time order, and per file what was read and what was damaged.
//! Bounds: one map and some blocks a plain file, one buffer of at most [`input::WINDOW_BYTES_MAX`] a stream; nothing grows with the input.
//! Time: the captures' own. Not here: what is inside a frame (`packet`).

pub mod blocks;
pub mod captures;
pub mod error;
pub mod fault;
pub mod filter;
pub mod frame;
pub mod input;
pub mod live;
pub mod savefile;
pub mod sniff;

pub use captures::{Captures, Progress};
pub use error::OpenError;
pub use fault::{FaultCost, FaultCounts, FaultKind, FileReport};
pub use filter::{Filter, FilterError};

pub use frame::{Frame, FrameBatch, FrameRef, LinkType};
pub use input::InputPath;
