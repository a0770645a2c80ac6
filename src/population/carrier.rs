//! Carriers and exports: who carries population traffic, or tells about it, to whom.
//! In: rows of inner flows, datagrams of flow export. Out: counts by tunnel and by export, and samples by which a copy is
//! recognised.
//! Bounds: `carriers_max` and `exports_max`; per population one count of distinct subscribers.
//! Not here: whether the receiver may have it (`detect`, `policy`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::identity::Party;
use super::populations::PopulationIndex;
use super::sketch::{CountedSet, Distinct, Kmv, Merge};
use super::span::Seen;
use super::table::Weighed;
use super::totals::count;
use crate::flow::row::CarrierRow;
use crate::packet::columns::{ExportKind, TunnelKind};

/// Sampled flows of a carrier.
pub const CARRIER_SAMPLE: usize = 1024;
/// Sampled flows that nothing carries. More than of a carrier: of a mirror of 1,000 flows among 1,000,000, this sample
/// still holds some 16.
pub const NATIVE_SAMPLE: usize = 16_384;

/// How an inner flow lay in its tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Travel {
    /// Both inner sides went the same outer way (from this index of `outer`): a copy, sent off.
    Copy(usize),
    /// The two inner sides went opposite outer ways: an honest tunnel.
    Opposite,
    /// Only one inner side was seen, going this outer way: it may be either.
    OneSided(usize),
    /// Both ways for one side: two tunnels under one name, or a path that changed.
    Mixed,
}

impl Travel {
    /// Of one row.
    pub fn of(carrier: &CarrierRow) -> Self {
        let way = |side: usize| match carrier.packets[side].map(|packets| packets > 0) {
            [true, true] => None,
            [false, false] => Some(None),
            [from_first, _] => Some(Some(usize::from(!from_first))),
        };
        match (way(0), way(1)) {
            (Some(Some(a)), Some(Some(b))) if a == b => Self::Copy(a),
            (Some(Some(_)), Some(Some(_))) => Self::Opposite,
            (Some(Some(a)), Some(None)) | (Some(None), Some(Some(a))) => Self::OneSided(a),
            _ => Self::Mixed,
        }
    }
}

/// Whether a row of an inner flow repeats traffic that flows elsewhere: then its volumes are no one's upload. Kinds that
/// only monitoring uses are copies even where one side was seen.
pub fn is_copy(carrier: &CarrierRow) -> bool {
    use TunnelKind::{ErspanI, ErspanII, ErspanIII, Hep, Rpcap, Tzsp};
    matches!(Travel::of(carrier), Travel::Copy(_))
        || matches!(carrier.kind, ErspanI | ErspanII | ErspanIII | Tzsp | Hep | Rpcap)
}

/// Which tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CarrierKey {
    /// Its kind.
    pub kind: TunnelKind,
    /// Its ends, in the canonical order of their real addresses.
    pub outer: [Party; 2],
}

/// What a tunnel carries. Two-element arrays are indexed by the outer sender, as `CarrierKey::outer`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarrierSummary {
    /// Rows of inner flows.
    pub rows: u64,
    /// Inner flows that began here.
    pub flows: u64,
    /// Inner packets.
    pub packets: [u64; 2],
    /// IP bytes of the inner packets.
    pub bytes: [u64; 2],
    /// Rows whose two inner sides went this same outer way.
    pub rows_copied: [u64; 2],
    /// Inner packets of those.
    pub packets_copied: [u64; 2],
    /// IP bytes of those.
    pub bytes_copied: [u64; 2],
    /// Rows of which one inner side was seen, going this outer way.
    pub rows_one_sided: [u64; 2],
    /// Rows whose two inner sides went opposite outer ways.
    pub rows_opposite: u64,
    /// Rows of which one inner side went both ways.
    pub rows_mixed: u64,
    /// First and last inner packet.
    pub seen: Seen,
    /// Subscribers among the inner ends, by population and keyed hash.
    pub subscribers: BTreeMap<PopulationIndex, Distinct>,
    /// All inner ends, by keyed hash.
    pub ends: Distinct,
    /// Sample of the inner flows' tuples (keyed hash).
    pub tuples: Kmv<CARRIER_SAMPLE>,
    /// Rows by outer destination port.
    pub ports: CountedSet<u16, 8>,
    /// Rows by VNI, key, session, TEID.
    pub ids: CountedSet<u32, 8>,
    /// Rows by nesting depth.
    pub depths: CountedSet<u8, 8>,
}

impl CarrierSummary {
    /// Counts one row but its ends and its tuple.
    pub(super) fn add(&mut self, carrier: &CarrierRow, flows: u64, seen: Seen) {
        count(&mut self.rows, 1);
        count(&mut self.flows, flows);
        self.seen.merge(seen);
        self.ports.add(carrier.port);
        self.ids.add(carrier.id);
        self.depths.add(carrier.depth);
        let sums = std::array::from_fn::<_, 2, _>(|way| {
            let packets = u64::from(carrier.packets[0][way]) + u64::from(carrier.packets[1][way]);
            (packets, carrier.bytes[0][way].saturating_add(carrier.bytes[1][way]))
        });
        for (way, (packets, bytes)) in sums.into_iter().enumerate() {
            count(&mut self.packets[way], packets);
            count(&mut self.bytes[way], bytes);
        }
        match Travel::of(carrier) {
            Travel::Copy(way) => {
                count(&mut self.rows_copied[way], 1);
                count(&mut self.packets_copied[way], sums[way].0);
                count(&mut self.bytes_copied[way], sums[way].1);
            }
            Travel::OneSided(way) => count(&mut self.rows_one_sided[way], 1),
            Travel::Opposite => count(&mut self.rows_opposite, 1),
            Travel::Mixed => count(&mut self.rows_mixed, 1),
        }
    }

    pub(super) fn bound(&mut self) {
        self.ports.bound();
        self.ids.bound();
        self.depths.bound();
    }
}

impl Merge for CarrierSummary {
    fn merge(&mut self, other: Self) {
        let Self {
            rows,
            flows,
            packets,
            bytes,
            rows_copied,
            packets_copied,
            bytes_copied,
            rows_one_sided,
            rows_opposite,
            rows_mixed,
            seen,
            subscribers,
            ends,
            tuples,
            ports,
            ids,
            depths,
        } = other;
        count(&mut self.rows, rows);
        count(&mut self.flows, flows);
        for way in 0..2 {
            count(&mut self.packets[way], packets[way]);
            count(&mut self.bytes[way], bytes[way]);
            count(&mut self.rows_copied[way], rows_copied[way]);
            count(&mut self.packets_copied[way], packets_copied[way]);
            count(&mut self.bytes_copied[way], bytes_copied[way]);
            count(&mut self.rows_one_sided[way], rows_one_sided[way]);
        }
        count(&mut self.rows_opposite, rows_opposite);
        count(&mut self.rows_mixed, rows_mixed);
        self.seen.merge(seen);
        merge_subscribers(&mut self.subscribers, subscribers);
        self.ends.merge(ends);
        self.tuples.merge(tuples);
        self.ports.merge(ports);
        self.ids.merge(ids);
        self.depths.merge(depths);
    }
}

impl Weighed for CarrierSummary {
    type Others = CarrierTotals;

    fn weight(&self) -> u64 {
        let ends = self.ends.count().saturating_mul(1 << 12);
        self.bytes[0].saturating_add(self.bytes[1]).saturating_add(ends)
    }

    fn to_others(&self) -> CarrierTotals {
        let both = |counts: [u64; 2]| counts[0].saturating_add(counts[1]);
        CarrierTotals { rows: self.rows, flows: self.flows, packets: both(self.packets), bytes: both(self.bytes) }
    }
}

/// What is kept of tunnels that did not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "as in CarrierSummary")]
pub struct CarrierTotals {
    pub rows: u64,
    pub flows: u64,
    pub packets: u64,
    pub bytes: u64,
}

impl Merge for CarrierTotals {
    fn merge(&mut self, other: Self) {
        count(&mut self.rows, other.rows);
        count(&mut self.flows, other.flows);
        count(&mut self.packets, other.packets);
        count(&mut self.bytes, other.bytes);
    }
}

/// Flows that nothing carries: what a copy would be a copy of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Native {
    /// Sample of their tuples (keyed hash, as in [`CarrierSummary::tuples`]).
    pub tuples: Kmv<NATIVE_SAMPLE>,
    /// Rows.
    pub rows: u64,
    /// Packets.
    pub packets: u64,
}

impl Merge for Native {
    fn merge(&mut self, other: Self) {
        self.tuples.merge(other.tuples);
        count(&mut self.rows, other.rows);
        count(&mut self.packets, other.packets);
    }
}

/// Which flow export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ExportKey {
    /// The protocol.
    pub kind: ExportKind,
    /// Who exports.
    pub exporter: Party,
    /// Who receives.
    pub receiver: Party,
    /// The receiver's port.
    pub port: u16,
}

/// What an export tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportSummary {
    /// Datagrams, their payload bytes and the records in them.
    pub totals: ExportTotals,
    /// First and last datagram.
    pub seen: Seen,
    /// Subscribers among the end points that records name, by population and keyed hash.
    pub subscribers: BTreeMap<PopulationIndex, Distinct>,
    /// All end points, by keyed hash.
    pub ends: Distinct,
}

impl Merge for ExportSummary {
    fn merge(&mut self, other: Self) {
        let Self { totals, seen, subscribers, ends } = other;
        self.totals.merge(totals);
        self.seen.merge(seen);
        merge_subscribers(&mut self.subscribers, subscribers);
        self.ends.merge(ends);
    }
}

impl Weighed for ExportSummary {
    type Others = ExportTotals;

    fn weight(&self) -> u64 {
        self.totals.bytes.saturating_add(self.ends.count().saturating_mul(1 << 12))
    }

    fn to_others(&self) -> ExportTotals {
        self.totals
    }
}

/// Counts of flow export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportTotals {
    /// Datagrams.
    pub datagrams: u64,
    /// Their UDP payload bytes.
    pub bytes: u64,
    /// Flow records or samples in them.
    pub records: u64,
}

impl Merge for ExportTotals {
    fn merge(&mut self, other: Self) {
        count(&mut self.datagrams, other.datagrams);
        count(&mut self.bytes, other.bytes);
        count(&mut self.records, other.records);
    }
}

fn merge_subscribers(mine: &mut BTreeMap<PopulationIndex, Distinct>, theirs: BTreeMap<PopulationIndex, Distinct>) {
    for (population, subscribers) in theirs {
        mine.entry(population).or_default().merge(subscribers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Address;

    #[test]
    fn how_an_inner_flow_travelled() {
        let table = [
            ([[1, 0], [1, 0]], Travel::Copy(0)),
            ([[0, 5], [0, 1]], Travel::Copy(1)),
            ([[3, 0], [0, 2]], Travel::Opposite),
            ([[0, 3], [2, 0]], Travel::Opposite),
            ([[0, 3], [0, 0]], Travel::OneSided(1)),
            ([[0, 0], [3, 0]], Travel::OneSided(0)),
            ([[1, 1], [3, 0]], Travel::Mixed),
            ([[0, 0], [0, 0]], Travel::Mixed),
        ];
        for (packets, wanted) in table {
            let carrier = CarrierRow {
                kind: TunnelKind::Gre,
                outer: [Address::UNSPECIFIED; 2],
                port: 0,
                id: 0,
                depth: 1,
                packets,
                bytes: [[0; 2]; 2],
            };
            assert_eq!(Travel::of(&carrier), wanted, "{packets:?}");
            assert_eq!(is_copy(&carrier), matches!(wanted, Travel::Copy(_)), "{packets:?}");
            assert!(is_copy(&CarrierRow { kind: TunnelKind::ErspanII, ..carrier }), "{packets:?}");
        }
    }
}
