//! Totals: what is counted of every group of rows.
//! Bounds: fixed size; sums saturate (saturating addition of counts is associative and commutative).

use serde::{Deserialize, Serialize};

use super::sketch::Merge;
use crate::flow::row::FlowColumns;
use crate::packet::facts::{AppFacts, AppProtocol};
use crate::units::Side;

/// Which way, seen from the subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Direction {
    /// From the subscriber to the far party.
    Up = 0,
    /// From the far party to the subscriber.
    Down = 1,
}

/// Counts over rows. Two-element arrays are indexed by [`Direction`]; where no end is a subscriber, `Up` is the
/// originator's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Flow rows: a flow gives one a window.
    pub rows: u64,
    /// Flows that began here: rows that are the first of their flow.
    pub flows: u64,
    /// Packets.
    pub packets: [u64; 2],
    /// Transport payload bytes as sent, retransmissions counted again.
    pub payload_bytes: [u64; 2],
    /// The same without the first flight of either side where TLS or QUIC is proved: hellos and certificates are nobody's
    /// data, and on short flows they are most of the bytes.
    pub data_bytes: [u64; 2],
    /// Bytes of IP packets by their headers.
    pub ip_bytes: [u64; 2],
}

impl Totals {
    /// What row `i` adds, with `up` the side that counts as [`Direction::Up`].
    #[inline]
    pub fn of_row(rows: &FlowColumns, i: usize, up: Side) -> Self {
        let [up, down] = [&rows.sides[up.index()], &rows.sides[up.other().index()]];
        let is_encrypted = |facts: &AppFacts| matches!(facts.protocol, Some(AppProtocol::Tls | AppProtocol::Quic));
        let data = match rows.facts[i].as_deref().is_some_and(is_encrypted) {
            true => [up, down].map(|side| side.payload_bytes[i].saturating_sub(side.opening_bytes[i].into())),
            false => [up.payload_bytes[i], down.payload_bytes[i]],
        };
        Self {
            rows: 1,
            flows: u64::from(rows.row_number[i] == 0),
            packets: [up.packets[i].into(), down.packets[i].into()],
            payload_bytes: [up.payload_bytes[i], down.payload_bytes[i]],
            data_bytes: data,
            ip_bytes: [up.ip_bytes[i], down.ip_bytes[i]],
        }
    }

    /// Data bytes up; and all other payload, both ways, with the first flights: what was given, and what else moved.
    pub fn moved(&self) -> [u64; 2] {
        let up = self.data_bytes[Direction::Up as usize];
        [up, self.bytes().saturating_sub(up)]
    }

    /// Payload bytes from the subscriber.
    pub fn bytes_up(&self) -> u64 {
        self.payload_bytes[Direction::Up as usize]
    }

    /// Payload bytes to the subscriber.
    pub fn bytes_down(&self) -> u64 {
        self.payload_bytes[Direction::Down as usize]
    }

    /// Payload bytes both ways.
    pub fn bytes(&self) -> u64 {
        self.bytes_up().saturating_add(self.bytes_down())
    }

    /// Packets both ways.
    pub fn packets_both(&self) -> u64 {
        self.packets[0].saturating_add(self.packets[1])
    }
}

impl Merge for Totals {
    #[inline]
    fn merge(&mut self, other: Self) {
        self.rows = self.rows.saturating_add(other.rows);
        self.flows = self.flows.saturating_add(other.flows);
        for way in 0..2 {
            self.packets[way] = self.packets[way].saturating_add(other.packets[way]);
            self.payload_bytes[way] = self.payload_bytes[way].saturating_add(other.payload_bytes[way]);
            self.data_bytes[way] = self.data_bytes[way].saturating_add(other.data_bytes[way]);
            self.ip_bytes[way] = self.ip_bytes[way].saturating_add(other.ip_bytes[way]);
        }
    }
}

/// Adds a term to a count, staying at the top.
#[inline]
pub fn count(into: &mut u64, n: u64) {
    *into = into.saturating_add(n);
}
