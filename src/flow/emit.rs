//! From a record to a row.
//! In: a living flow and why it is handed on. Out: one [`FlowRow`], and a record ready for its next row.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use super::ledger::Ledger;
use super::observation::Observation;
use super::orient::{TCP, UDP};
use super::record::{ColdFlow, HotFlow};
use super::row::{ConnState, FlowColumns, FlowRow, RowEnd};
use super::tcp::{self, Endpoint};
use crate::packet::columns::FlowKey;
use crate::units::DurationNs;

/// The fixed key of [`tuple_hash`]: part of what rows promise, never to be changed.
const TUPLE_HASH_KEY: (u64, u64) = (0x7472_6177_6c77_6174, 0x6368_2d74_7570_6c65);

/// Where rows and observations go.
pub(super) struct Sink<'a> {
    pub(super) rows: &'a mut FlowColumns,
    pub(super) observations: &'a mut Vec<Observation>,
}

/// Takes a row out of a flow of this key and clears its totals for the next; TCP's linger time is `close`.
#[inline]
pub(super) fn take_row(
    ledger: &mut Ledger,
    key: FlowKey,
    (hot, cold): (&mut HotFlow, &mut ColdFlow),
    end: RowEnd,
    close: DurationNs,
) -> FlowRow {
    let mut ends = hot.sides.whole(hot.ts_last, &cold.history);
    let state = state(key.protocol, &ends, cold);
    let mut streams = [None; 2];
    if key.protocol == TCP {
        streams = ends.each_ref().map(|side| Some(side.stream_bytes.saturating_sub(side.stream_told)));
        // Of a flow that is over nobody asks again.
        if matches!(end, RowEnd::Window | RowEnd::Active) {
            ends.iter_mut().for_each(|side| side.stream_told = side.stream_bytes);
            hot.sides.keep(&ends, hot.ts_last, &mut cold.history);
        }
    }
    // The ledger goes by ends of the key, rows by sides.
    let is_turned = hot.orig_end & 1 == 1;
    if is_turned {
        streams.swap(0, 1);
    }
    let [turns, bursts] = hot.take_counts(&mut cold.history);
    let mut sides = ledger.take(&mut hot.account, streams);
    if is_turned {
        sides.swap(0, 1);
    }
    let row = FlowRow {
        key,
        orig_end: hot.orig_end,
        orig_by: hot.orig_by(),
        tuple_hash: tuple_hash(&key),
        flow_start: cold.flow_start,
        ts_first: hot.row_start,
        ts_last: hot.ts_last,
        ts_open_last: hot.ts_open_last(hot.ts_last, close, &cold.history),
        row_number: cold.rows(),
        end,
        state,
        history: cold.history.letters(),
        pair_gap: cold.take_pair_gap(),
        rtt_syn_ack: cold.handshake.took(),
        turns,
        bursts,
        active: std::mem::replace(&mut hot.active, DurationNs::ZERO),
        carrier: cold.take_carrier(),
        pace: cold.take_pace(),
        facts: cold.reading.facts().cloned(),
        first_frame: cold.first_frame(),
        sides,
    };
    cold.note_row();
    hot.close_row();
    row
}

fn state(protocol: u8, ends: &[Endpoint; 2], cold: &ColdFlow) -> ConnState {
    let spoke = ends.each_ref().map(Endpoint::has_spoken);
    match (protocol, spoke) {
        (TCP, _) => tcp::conn_state(ends, &cold.history),
        (UDP, [true, true]) => ConnState::SF,
        (UDP, [true, false]) => ConnState::S0,
        (UDP, [false, true]) => ConnState::SHR,
        _ => ConnState::OTH,
    }
}

/// Hash of a key without its tunnel context: SipHash-1-3 over addresses, ports (big-endian), protocol and version.
pub(super) fn tuple_hash(key: &FlowKey) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(TUPLE_HASH_KEY.0, TUPLE_HASH_KEY.1);
    let mut bytes = [0; 38];
    bytes[..16].copy_from_slice(&key.addresses[0].0);
    bytes[16..32].copy_from_slice(&key.addresses[1].0);
    bytes[32..34].copy_from_slice(&key.ports[0].to_be_bytes());
    bytes[34..36].copy_from_slice(&key.ports[1].to_be_bytes());
    (bytes[36], bytes[37]) = (key.protocol, key.version);
    hasher.write(&bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Address;

    #[test]
    fn the_tuple_hash_is_fixed_and_blind_to_tunnels() {
        let key = FlowKey {
            addresses: [Address::v4([10, 0, 0, 1]), Address::v4([10, 0, 0, 2])],
            ports: [1000, 443],
            context: 0,
            protocol: TCP,
            version: 4,
        };
        assert_eq!(tuple_hash(&key), tuple_hash(&FlowKey { context: 7, ..key }));
        assert_ne!(tuple_hash(&key), tuple_hash(&FlowKey { ports: [1001, 443], ..key }));
    }
}
