//! NetFlow v5 (the fixed format that routers have spoken since the nineties): flow records on their way to whoever asked.
//! In: finished flow records. Out: datagrams of at most [`RECORDS_MAX`] records.

use crate::units::TimestampNs;

/// Most records of a datagram.
pub(crate) const RECORDS_MAX: usize = 30;

/// One flow in one direction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) source: [u8; 4],
    pub(crate) destination: [u8; 4],
    pub(crate) ports: [u16; 2],
    pub(crate) protocol: u8,
    pub(crate) tcp_flags: u8,
    pub(crate) packets: u32,
    pub(crate) bytes: u32,
    pub(crate) first: TimestampNs,
    pub(crate) last: TimestampNs,
}

/// One datagram; `booted` is when the router's clock began, `sequence` counts the records before.
pub(crate) fn datagram(records: &[Record], now: TimestampNs, booted: TimestampNs, sequence: u32) -> Vec<u8> {
    let uptime_ms = |at: TimestampNs| (at.since(booted).0 / 1_000_000) as u32;
    let mut out = Vec::with_capacity(24 + 48 * records.len());
    out.extend([0, 5]);
    out.extend((records.len() as u16).to_be_bytes());
    out.extend(uptime_ms(now).to_be_bytes());
    out.extend(((now.0 / 1_000_000_000) as u32).to_be_bytes());
    out.extend(((now.0 % 1_000_000_000) as u32).to_be_bytes());
    out.extend(sequence.to_be_bytes());
    out.extend([0; 4]);
    for record in records {
        out.extend(record.source);
        out.extend(record.destination);
        out.extend([0; 4]); // next hop
        out.extend([0, 1, 0, 2]); // interfaces
        out.extend(record.packets.to_be_bytes());
        out.extend(record.bytes.to_be_bytes());
        out.extend(uptime_ms(record.first).to_be_bytes());
        out.extend(uptime_ms(record.last).to_be_bytes());
        record.ports.iter().for_each(|port| out.extend(port.to_be_bytes()));
        out.extend([0, record.tcp_flags, record.protocol, 0]);
        out.extend([0; 4]); // autonomous systems
        out.extend([16, 24, 0, 0]); // prefix lengths
    }
    out
}
