//! Looking ahead: where the next rows will write, asked for before the first of them is added.
//! In: some rows. Out: who takes part in each, and warmer caches: a row touches three tables that are larger than any cache,
//! and one after the other each would wait for memory by itself.
//! Bounds: [`ROWS_AHEAD`] rows. Nothing that a summary says depends on it.

use super::{AddContext, Summary};
use crate::flow::row::FlowColumns;
use crate::population::collector::CollectorKey;
use crate::population::identity::SubscriberIdentity;
use crate::population::pair::{PairKey, SubscriberKey};
use crate::population::role::Role;
use crate::units::{Address, Side};

/// Rows looked at together: what they touch must still be near when the last of them is added.
pub(super) const ROWS_AHEAD: usize = 16;

/// Who takes part in a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parties {
    /// Addresses by side.
    pub(super) ends: [Address; 2],
    pub(super) role: Role,
    /// Pseudonym and keyed hash of the subscriber; of `Role::Collect` only.
    pub(super) subscriber: (Address, u64),
    /// Keyed hash of the far party, likewise.
    pub(super) far_hash: u64,
}

impl Default for Parties {
    fn default() -> Self {
        Self {
            ends: [Address::UNSPECIFIED; 2],
            role: Role::Special,
            subscriber: (Address::UNSPECIFIED, 0),
            far_hash: 0,
        }
    }
}

impl Summary {
    /// Tells who takes part in a row, and starts bringing near what adding it will touch.
    pub(super) fn look_ahead<I: SubscriberIdentity>(
        &self,
        rows: &FlowColumns,
        i: usize,
        cx: &mut AddContext<'_, I>,
    ) -> Parties {
        let ends = [rows.address(i, Side::Orig), rows.address(i, Side::Resp)];
        let role = Role::of(ends, cx.populations);
        let mut parties = Parties { ends, role, ..Parties::default() };
        if let Role::Collect { population, subscriber: up } = role {
            let (real, address) = (cx.populations.subscriber_of(ends[up.index()]), ends[up.other().index()]);
            parties.subscriber = cx.identity.both(real);
            parties.far_hash = cx.identity.hash64(address);
            let (subscriber, _) = parties.subscriber;
            self.collectors.fetch(&CollectorKey { population, address });
            self.pairs.fetch(&PairKey { population, collector: address, subscriber });
            self.subscribers.fetch(&SubscriberKey { population, subscriber });
        }
        parties
    }
}
