//! The user plane of a mobile network: what telephones send and get travels in GTP-U between base stations and a gateway.
//! In: a frame of a subscriber. Out: the frames that the capture point sees instead.
//! Source: 3GPP TS 29.281 (port 2152, a tunnel endpoint each way). Not here: signalling (GTP-C, PFCP).

use super::Town;
use crate::synth::dice::Dice;
use crate::synth::wire::packet::{ETHERNET_BYTES, Endpoint, Plan};
use crate::synth::wire::wrap::{Outer, Wrapping};
use crate::units::Address;

const GTP_U_PORT: u16 = 2_152;

/// Base stations and their gateway.
pub(crate) struct UserPlane {
    /// For each station: up, down.
    tunnels: Vec<[Outer; 2]>,
    /// Whence tunnel endpoints are counted.
    first: [u32; 2],
}

impl UserPlane {
    pub(crate) fn new(stations: Vec<Address>, gateway: Address, dice: &mut Dice) -> Self {
        let end = |address| Endpoint { address, port: GTP_U_PORT };
        let tunnels = stations.into_iter().map(|station| {
            let mut outer =
                |ends, ttl| Outer { wrapping: Wrapping::GtpU, ends, ttl, session: 0, number: 0, id: dice.short() };
            [outer([end(station), end(gateway)], 62), outer([end(gateway), end(station)], 253)]
        });
        let tunnels = tunnels.collect();
        Self { tunnels, first: [dice.int() >> 4, dice.int() >> 4] }
    }

    /// The frames in whose place a subscriber's frame is seen; none for what is no subscriber's.
    pub(crate) fn wrap(&mut self, plan: &Plan, frame: &[u8]) -> Option<Vec<Box<[u8]>>> {
        let (way, subscriber) = match Town::subscriber_of(plan.source.address) {
            Some(subscriber) => (0, subscriber),
            None => (1, Town::subscriber_of(plan.destination.address)?),
        };
        let station = subscriber as usize % self.tunnels.len().max(1);
        let outer = &mut self.tunnels.get_mut(station)?[way];
        outer.session = self.first[way].wrapping_add(subscriber);
        Some(outer.frames(&frame[..frame.len().min(ETHERNET_BYTES + plan.ip_bytes())]))
    }
}
