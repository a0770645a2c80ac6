//! Frames in, packet columns out, or a counted reject.
//!
//! A frame is peeled from the outside in: `link` finds the outermost IP header, `net` reads it, `transport` reads
//! ports, a row is pushed; where the payload is a tunnel (`tunnel`), the same begins again one level deeper, and the
//! inner row refers to its tunnel. Fragments wait in `net::fragments` until their datagram is whole, which then gives
//! one row whose bytes lie in the columns' scratch.
//!
//! Bounds: every limit stands in [`ParserLimits`] with a default and a count in [`RejectCounts`].
//! Time: the packets' own. Not here: flows, streams, applications.

pub mod app;
pub mod columns;
pub mod facts;
pub mod reject;

mod export;
mod layer;
mod link;
mod net;
mod parser;
mod rows;
mod shard;
mod transport;
mod tunnel;
mod tunnels;

pub use export::{ENDPOINTS_MAX, ExportLimits};
pub use net::fragments::FragmentLimits;
pub use parser::{ChecksumCheck, Parser, ParserLimits};
pub use reject::{Reject, RejectClass, RejectCounts};
pub use shard::shard_addresses;
