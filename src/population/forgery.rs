//! Forgeries: packets that their sender cannot have sent, other than contested segments, as a summary keeps them.
//! In: observations of the flow stage. Out: the first of them with all that a report says. Bounds: those of `earliest`.
//! The flow's key is not kept, and a victim stands under its pseudonym.

use serde::{Deserialize, Serialize};

use super::identity::Party;
use super::populations::PopulationIndex;
use crate::flow::observation::{Forgery, ForgeryKind, ForgeryVersion};
use crate::units::{Address, DurationNs, TimestampNs};

/// One of the two packets that contradict each other, see [`ForgeryVersion`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "as in ForgeryVersion")]
pub struct ForgedVersion {
    pub ts: TimestampNs,
    pub frame: u64,
    pub ttl: u8,
    pub leads_to: Option<Party>,
}

impl ForgedVersion {
    /// One whose address, if any, is safe to keep by what `safe` makes of it.
    pub(super) fn of(version: ForgeryVersion, safe: impl FnOnce(Address) -> Party) -> Self {
        let ForgeryVersion { frame, ts, ttl, leads_to } = version;
        Self { ts, frame, ttl, leads_to: leads_to.map(safe) }
    }
}

/// A forgery without its flow key. Ordered by (time, file, frame) of the first version, then by all the rest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ForgeryRecord {
    /// When the first version came.
    pub ts: TimestampNs,
    /// Index of its source in the order of the command line.
    pub file: u16,
    /// First to arrive, then the other.
    pub versions: [ForgedVersion; 2],
    /// What was forged.
    pub kind: ForgeryKind,
    /// Who both claim to come from.
    pub server: Party,
    /// Its port.
    pub server_port: u16,
    /// Pseudonym of whom they were sent to, whether in a population or not.
    pub victim: Address,
    /// The victim's population, where it has one.
    pub population: Option<PopulationIndex>,
    /// Time between the two.
    pub delta: DurationNs,
    /// TTL usual from this sender on this flow.
    pub sender_ttl_usual: Option<u8>,
    /// How many packets of the forged kind there were.
    pub copies: u8,
    /// IP protocol number of the flow.
    pub protocol: u8,
    /// The name that was asked for.
    pub name: Box<str>,
}

impl ForgeryRecord {
    /// A forgery between parties that are already safe to keep.
    pub(super) fn of(
        forgery: &Forgery,
        versions: [ForgedVersion; 2],
        server: Party,
        victim: Address,
        population: Option<PopulationIndex>,
    ) -> Self {
        Self {
            ts: forgery.versions[0].ts,
            file: forgery.file,
            versions,
            kind: forgery.kind,
            server,
            server_port: forgery.sender_port,
            victim,
            population,
            delta: forgery.delta,
            sender_ttl_usual: forgery.sender_ttl_usual,
            copies: forgery.copies,
            protocol: forgery.protocol,
            name: forgery.name.clone(),
        }
    }
}
