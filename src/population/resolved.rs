//! Resolved names: which names were looked up for an address before anyone connected, and which resolvers answered.
//! In: DNS messages. Out: names by answered address, counts by resolver.
//! Bounds: `answers_max` addresses with 4 names each, `resolvers_max` resolvers.
//! Not kept: who looked a name up; reverse names.

use serde::{Deserialize, Serialize};

use super::conflict::Count;
use super::sketch::{CountedSet, Distinct, Merge};
use super::table::Weighed;
use super::texts::TextId;
use super::totals::count;
use crate::units::Address;

/// Names that were answered with one address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerNames {
    /// The names, by how often.
    pub names: CountedSet<TextId, 4>,
    /// Who asked, by keyed hash.
    pub clients: Distinct,
}

impl Merge for AnswerNames {
    fn merge(&mut self, other: Self) {
        self.names.merge(other.names);
        self.clients.merge(other.clients);
    }
}

impl Weighed for AnswerNames {
    type Others = Count;

    fn weight(&self) -> u64 {
        self.clients.count().saturating_mul(1 << 10).saturating_add(self.names.total())
    }

    fn to_others(&self) -> Count {
        Count(self.names.total())
    }
}

/// How many must ask a resolver inside, in a window, for it to be a part of the network.
const ASKED_BY_MIN: u64 = 4;

/// One resolver, as seen from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolverSummary {
    /// Queries that no response was seen for.
    pub queries_unanswered: u64,
    /// Responses.
    pub responses: u64,
    /// Responses that carried at least one address.
    pub responses_with_address: u64,
    /// Responses by response code.
    pub rcodes: CountedSet<u8, 8>,
    /// Bytes of all messages.
    pub bytes: u64,
    /// Who asked, by keyed hash.
    pub clients: Distinct,
    /// Of one inside that several ask, its address as the packets have it: that is no subscriber but a part of the network. What stands
    /// here before a window is bounded may be anybody's, see [`Self::address_inside`].
    pub(super) inside: Option<Address>,
}

impl ResolverSummary {
    pub(super) fn bound(&mut self) {
        self.rcodes.bound();
        // Whom one or two ask may be a person's device, and stays behind its pseudonym.
        self.inside = self.address_inside();
    }

    /// The address of one inside that is a part of the network.
    pub fn address_inside(&self) -> Option<Address> {
        self.inside.filter(|_| self.clients.count() >= ASKED_BY_MIN)
    }
}

impl Merge for ResolverSummary {
    fn merge(&mut self, other: Self) {
        let Self { queries_unanswered, responses, responses_with_address, rcodes, bytes, clients, inside } = other;
        count(&mut self.queries_unanswered, queries_unanswered);
        count(&mut self.responses, responses);
        count(&mut self.responses_with_address, responses_with_address);
        self.rcodes.merge(rcodes);
        count(&mut self.bytes, bytes);
        self.clients.merge(clients);
        // Of the several of one /64 the first.
        self.inside = self.inside.into_iter().chain(inside).min();
    }
}

impl Weighed for ResolverSummary {
    type Others = Count;

    fn weight(&self) -> u64 {
        self.clients.count().saturating_mul(1 << 10).saturating_add(self.responses)
    }

    fn to_others(&self) -> Count {
        Count(self.responses.saturating_add(self.queries_unanswered))
    }
}
