//! Flow export: routers telling a collector who talked to whom (NetFlow v5, v9, IPFIX, sFlow v5).
//! In: a UDP payload on any port, or a TCP segment that begins with a message of IPFIX (RFC 7011 10.4: messages follow each other without
//! any frame of their own). Out: an `ExportDatagram`, or nothing where the content is not one beyond doubt.
//! Bounds: [`ENDPOINTS_MAX`] address pairs a datagram, [`MESSAGES_MAX`] messages a segment; templates by `ExportLimits`. Time: the packets'
//! own. Not here: anything the records say but their addresses; messages that go on in the next segment; exports over SCTP or TLS.

mod netflow;
mod sflow;
mod templates;

pub use templates::ExportLimits;
pub(crate) use templates::Templates;

use super::columns::{ExportDatagram, ExportKind};
use super::layer::Layer;
use super::reject::RejectCounts;
use crate::units::{Address, TimestampNs};

/// Address pairs kept of one datagram.
pub const ENDPOINTS_MAX: usize = 64;

/// Messages of IPFIX read of one TCP segment: as many as the longest frame has room for, each with one set.
const MESSAGES_MAX: usize = 128;
/// Bytes of the shortest: its header and that of a set.
const MESSAGE_BYTES_MIN: u32 = 20;

/// Where and when a datagram was met.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub ts: TimestampNs,
    pub exporter: Address,
    pub receiver: Address,
    pub ports: [u16; 2],
}

/// What the records of a datagram say.
#[derive(Debug, Default)]
struct Records {
    count: u32,
    endpoints: Vec<(Address, Address)>,
}

impl Records {
    /// Counts a record, and keeps its end points while there is room.
    fn add(&mut self, endpoints: Option<(Address, Address)>) {
        self.count = self.count.saturating_add(1);
        if let Some(pair) = endpoints
            && self.endpoints.len() < ENDPOINTS_MAX
        {
            self.endpoints.push(pair);
        }
    }
}

/// Whether the first bytes could be an export's: what every other datagram pays.
#[inline]
pub(crate) fn could_be(payload: Layer<'_>) -> bool {
    match payload.bytes {
        [0, 5 | 9 | 10, ..] => payload.bytes.len() >= 20,
        [0, 0, 0, 5, ..] => payload.bytes.len() >= 28,
        _ => false,
    }
}

/// Reads a datagram of flow export, and learns its templates.
#[cold]
pub(crate) fn read(
    place: Place,
    payload: Layer<'_>,
    templates: &mut Templates,
    rejects: &mut RejectCounts,
) -> Option<ExportDatagram> {
    let (kind, records) = match payload.be16(0)? {
        5 => (ExportKind::NetflowV5, netflow::v5(payload)?),
        9 => (ExportKind::NetflowV9, netflow::v9(place, payload, templates, rejects)?),
        10 => (ExportKind::Ipfix, netflow::ipfix(place, payload, templates, rejects)?),
        0 => (ExportKind::Sflow, sflow::v5(payload)?),
        _ => return None,
    };
    Some(ExportDatagram {
        ts: place.ts,
        kind,
        exporter: place.exporter,
        receiver: place.receiver,
        port: place.ports[1],
        bytes: payload.wire,
        records: records.count,
        endpoints: records.endpoints,
    })
}

/// Whether the first bytes of a segment could be a message's: what every other segment pays.
#[inline]
pub(crate) fn could_be_message(payload: Layer<'_>) -> bool {
    matches!(payload.bytes, [0, 10, high, low, ..]
        if (MESSAGE_BYTES_MIN..=payload.wire).contains(&u32::from(u16::from_be_bytes([*high, *low]))))
}

/// Reads the messages of IPFIX with which a segment begins, one after the other, as if they were one datagram, and learns their
/// templates.
#[cold]
pub(crate) fn read_messages(
    place: Place,
    mut rest: Layer<'_>,
    templates: &mut Templates,
    rejects: &mut RejectCounts,
) -> Option<ExportDatagram> {
    let mut whole: Option<ExportDatagram> = None;
    for _ in 0..MESSAGES_MAX {
        let Some(length) = rest.be16(2).filter(|_| could_be_message(rest)) else { break };
        let Some(message) = read(place, rest.trim(u32::from(length)), templates, rejects) else { break };
        match &mut whole {
            None => whole = Some(message),
            Some(whole) => {
                whole.bytes = whole.bytes.saturating_add(message.bytes);
                whole.records = whole.records.saturating_add(message.records);
                let room = ENDPOINTS_MAX.saturating_sub(whole.endpoints.len());
                whole.endpoints.extend(message.endpoints.into_iter().take(room));
            }
        }
        let Some(behind) = rest.skip(usize::from(length)) else { break };
        rest = behind;
    }
    whole
}

#[cfg(test)]
mod tests;
