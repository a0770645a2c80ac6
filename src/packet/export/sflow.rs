//! sFlow v5 (sflow.org/sflow_version_5.txt).
//! In: a UDP payload. Out: its flow samples, or nothing where lengths do not agree to the byte.
//! Bounds: [`SAMPLES_MAX`] samples of [`RECORDS_MAX`] records.

use super::Records;
use crate::packet::layer::Layer;
use crate::packet::link::{self, Step};
use crate::packet::net;
use crate::units::Address;

const SAMPLES_MAX: u32 = 256;
const RECORDS_MAX: u32 = 64;

/// A datagram: agent, sequence, uptime, samples.
pub(super) fn v5(payload: Layer<'_>) -> Option<Records> {
    let agent_bytes = match (payload.be32(0)?, payload.be32(4)?) {
        (5, 1) => 4,
        (5, 2) => 16,
        _ => return None,
    };
    let head = payload.skip(8 + agent_bytes)?;
    let samples = head.be32(12)?;
    if samples == 0 || samples > SAMPLES_MAX {
        return None;
    }
    let mut rest = head.skip(16)?;
    let mut records = Records::default();
    for _ in 0..samples {
        let (Some(kind), Some(length)) = (rest.be32(0), rest.be32(4)) else {
            return rest.is_cut().then_some(records);
        };
        // Everything in XDR is a multiple of four bytes long.
        if !length.is_multiple_of(4) || u64::from(length) + 8 > u64::from(rest.wire) {
            return None;
        }
        let body = rest.skip(8)?.trim(length);
        match kind {
            1 => sample(body, 32, &mut records),
            3 => sample(body, 44, &mut records),
            _ => {}
        }
        match rest.skip(length as usize + 8) {
            Some(next) => rest = next,
            None => return Some(records),
        }
    }
    (rest.wire == 0).then_some(records)
}

/// A flow sample: a head of fixed length that ends in the number of records.
fn sample(body: Layer<'_>, head_bytes: usize, records: &mut Records) {
    let Some(count) = body.be32(head_bytes - 4) else { return };
    let Some(mut rest) = body.skip(head_bytes) else { return };
    let mut endpoints = None;
    for _ in 0..count.min(RECORDS_MAX) {
        let (Some(kind), Some(length)) = (rest.be32(0), rest.be32(4)) else { break };
        let Some(record) = rest.skip(8) else { break };
        endpoints = endpoints.or_else(|| record_endpoints(kind, record.trim(length)));
        match rest.skip((length as usize).saturating_add(8)) {
            Some(next) => rest = next,
            None => break,
        }
    }
    records.add(endpoints);
}

/// The end points of a record: a sampled header, or sampled IPv4 or IPv6 fields.
fn record_endpoints(kind: u32, record: Layer<'_>) -> Option<(Address, Address)> {
    match kind {
        1 => {
            let (protocol, captured) = (record.be32(0)?, record.be32(12)?);
            let header = record.skip(16)?.trim(captured);
            let step = match protocol {
                1 => Step::Ethernet(header),
                6 => Step::Wifi(header),
                7 => Step::Ppp(header),
                11 | 12 => Step::Ip(header),
                13 => Step::Mpls(header),
                _ => return None,
            };
            let packet = link::follow(step).ok()?;
            net::is_plausible_cut(packet).then(|| net::addresses(packet)).flatten()
        }
        3 => Some((Address::v4(record.array(8)?), Address::v4(record.array(12)?))),
        4 => Some((Address::v6(record.array(8)?), Address::v6(record.array(24)?))),
        _ => None,
    }
}
