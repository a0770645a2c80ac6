//! Interfaces of this machine, and whether each can be listened to.
//! In: nothing. Out: one [`Interface`] each, in the system's order.
//! Bounds: each is opened for a moment, with the smallest ring; nothing is read.

use super::{LiveConfig, LiveError, LiveSource, Promiscuous};
use crate::capture::frame::LinkType;

/// The smallest ring that libpcap makes of its own accord.
const PROBE_BUFFER_BYTES: u32 = 1 << 20;

/// One interface.
#[derive(Debug)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// What the system calls it, where it says.
    pub about: Option<String>,
    /// Whether it is switched on.
    pub is_up: bool,
    /// How its frames begin, or why it cannot be opened.
    pub link: Result<LinkType, LiveError>,
}

/// All interfaces that libpcap knows.
pub fn interfaces() -> Vec<Interface> {
    let devices = pcap::Device::list().unwrap_or_default();
    let each = devices.into_iter().map(|device| {
        let config = LiveConfig {
            interface: device.name.clone(),
            snap_bytes: 65_535,
            buffer_bytes: PROBE_BUFFER_BYTES,
            // A look must not change how the card listens.
            promiscuous: Promiscuous::No,
            filter: None,
            fanout_group: None,
        };
        let link = LiveSource::open(config, 0).map(|source| source.link());
        Interface { name: device.name, about: device.desc, is_up: device.flags.is_up(), link }
    });
    each.collect()
}

/// Their names.
pub(super) fn names() -> Vec<String> {
    pcap::Device::list().unwrap_or_default().into_iter().map(|device| device.name).collect()
}
