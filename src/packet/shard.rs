//! The cheap look at a frame's outermost address pair, by which frames are given to workers.
//! In: a frame. Out: who and to whom, or nothing where the parser would give no row either.
//! Bounds: reads the link header and the addresses. Time: none.
//! Both directions and all fragments of a pair must reach one worker: hash the pair unordered.

use super::layer::Layer;
use super::{link, net};
use crate::capture::frame::LinkType;
use crate::units::Address;

/// Source and destination of a frame's outermost IP header. Agrees with the parser: wherever a frame gives a row, its
/// outermost one has this pair.
#[inline]
pub fn shard_addresses(link: LinkType, bytes: &[u8]) -> Option<(Address, Address)> {
    // The wire length decides how far a packet reaches, never where its addresses stand.
    let layer = Layer::new(bytes, 0, u32::MAX);
    net::addresses(link::peel(link, layer).ok()?)
}
