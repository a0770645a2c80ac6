//! Looking ahead: where the next rows will write, asked for before the first of them is added.
//! In: some rows. Out: who takes part in each, and warmer caches: a row touches facts that its flow left long ago and five
//! tables that are larger than any cache, and one after the other each would wait for memory by itself.
//! Bounds: [`ROWS_AHEAD`] rows. Nothing that a summary says depends on it.

use super::{AddContext, Summary};
use crate::flow::row::FlowColumns;
use crate::packet::facts::{AppFacts, AppProtocol};
use crate::population::collector::CollectorKey;
use crate::population::facet::DomainKey;
use crate::population::identity::SubscriberIdentity;
use crate::population::pair::{PairKey, SubscriberKey};
use crate::population::role::Role;
use crate::population::softwire;
use crate::population::texts::{TextId, Texts};
use crate::simd::prefetch;
use crate::units::{Address, Side};

/// Rows looked at together: what they touch must still be near when the last of them is added.
pub(super) const ROWS_AHEAD: usize = 16;

/// Who takes part in a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parties {
    /// Addresses by side, of who is meant.
    pub(super) ends: [Address; 2],
    pub(super) role: Role,
    /// Pseudonym and keyed hash of the subscriber; of `Role::Collect` only.
    pub(super) subscriber: (Address, u64),
    /// Keyed hash of the far party, likewise.
    pub(super) far_hash: u64,
    /// Id of the name that the originator asked for.
    pub(super) asked: Option<TextId>,
}

/// Lines of [`AppFacts`].
const FACTS_LINES: usize = size_of::<AppFacts>().div_ceil(prefetch::LINE_BYTES);

/// Starts bringing the facts of some rows near.
pub(super) fn fetch_facts(rows: &FlowColumns, some: std::ops::Range<usize>) {
    let some = &rows.facts[some.start.min(rows.len())..some.end.min(rows.len())];
    some.iter().flatten().for_each(|facts| prefetch::lines(&**facts, FACTS_LINES));
}

/// Likewise the texts that they lead to, once they are near.
pub(super) fn fetch_texts(rows: &FlowColumns, some: std::ops::Range<usize>) {
    let some = &rows.facts[some.start.min(rows.len())..some.end.min(rows.len())];
    for facts in some.iter().flatten() {
        facts.server_name.iter().for_each(|name| prefetch::line(name.as_bytes(), 0));
        if let Some(certificate) = &facts.certificate {
            prefetch::lines(&**certificate, 2);
        }
    }
}

/// The name that a flow's originator asked for. A DNS query's name is what was asked, not whom.
pub(super) fn name_asked(facts: &AppFacts) -> Option<&str> {
    facts.server_name.as_deref().filter(|_| facts.protocol != Some(AppProtocol::Dns))
}

impl Default for Parties {
    fn default() -> Self {
        Self {
            ends: [Address::UNSPECIFIED; 2],
            role: Role::Special,
            subscriber: (Address::UNSPECIFIED, 0),
            far_hash: 0,
            asked: None,
        }
    }
}

impl Summary {
    /// Tells who takes part in a row, and starts bringing near where that is looked up.
    pub(super) fn look_ahead<I: SubscriberIdentity>(
        &self,
        rows: &FlowColumns,
        i: usize,
        cx: &mut AddContext<'_, I>,
    ) -> Parties {
        let carrier = rows.carrier[i].as_ref();
        let ends = [Side::Orig, Side::Resp]
            .map(|side| softwire::holder(rows.address(i, side).untranslated(), side, carrier, cx.populations));
        let role = Role::of(ends, cx.populations);
        let mut parties = Parties { ends, role, ..Parties::default() };
        if let Role::Collect { population, subscriber: up } = role {
            let (real, address) = (cx.populations.subscriber_of(ends[up.index()]), ends[up.other().index()]);
            parties.subscriber = cx.identity.both(real);
            parties.far_hash = cx.identity.hash64(address);
            let (subscriber, _) = parties.subscriber;
            self.collectors.prefetch(&CollectorKey { population, address });
            self.pairs.prefetch(&PairKey { population, collector: address, subscriber });
            self.subscribers.prefetch(&SubscriberKey { population, subscriber });
            if up == Side::Orig {
                parties.asked = rows.facts[i].as_deref().and_then(name_asked).map(Texts::id_of);
            }
        }
        parties
    }

    /// Starts bringing near what adding a row will touch, once [`Self::look_ahead`] has said where it is.
    pub(super) fn look_closer(&self, parties: &Parties) {
        let Role::Collect { population, subscriber: up } = parties.role else { return };
        let (collector, (subscriber, _)) = (parties.ends[up.other().index()], parties.subscriber);
        self.collectors.fetch(&CollectorKey { population, address: collector });
        self.pairs.fetch(&PairKey { population, collector, subscriber });
        self.subscribers.fetch(&SubscriberKey { population, subscriber });
    }

    /// Starts bringing near what lies behind what [`Self::look_closer`] asked for.
    pub(super) fn look_further(&self, parties: &Parties) {
        let Role::Collect { population, subscriber: up } = parties.role else { return };
        let address = parties.ends[up.other().index()];
        if let Some(collector) = self.collectors.of(&CollectorKey { population, address }) {
            collector.fetch_parts(parties.subscriber.1);
        }
        if let Some(domain) = parties.asked.and_then(|name| self.texts.domain_of(name)) {
            self.domains.fetch(&DomainKey { population, domain });
        }
    }
}
