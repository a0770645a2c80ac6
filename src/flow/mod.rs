//! Packets in, ended flows and observations out.
//!
//! A flow is what two ends say to each other under one [`FlowKey`](crate::packet::columns::FlowKey): both directions
//! together. The table ([`FlowTable`]) keeps the living ones and hands on a row for each flow and window; the rare facts
//! that only packets prove leave beside the rows as observations. Rows belong to windows by packet time, and every ending is
//! decided by the flow's own packets or by [`FlowTable::close_window`], so that what a row says depends neither on when an
//! expiry is noticed nor on which other flows the same worker holds.

pub mod community_id;
pub mod observation;
pub mod pace;
pub mod row;

mod app;
mod arrival;
mod border;
mod config;
mod count;
mod counters;
mod emit;
mod forgery;
mod handshake;
mod history;
mod index;
mod key;
mod ledger;
mod orient;
mod pages;
mod pairs;
mod record;
mod segments;
mod slab;
mod table;
mod tcp;
mod told;
mod totals;
mod victims;

pub use community_id::community_id;
pub use config::{AppBounds, ChecksumPolicy, FlowConfig, SegmentBounds, Timeouts};
pub use counters::FlowCounters;
pub use table::FlowTable;
