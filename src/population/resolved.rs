//! Resolved names: which names were looked up for an address before anyone connected, and which resolvers answered.
//! In: DNS messages. Out: names by answered address, counts by resolver.
//! Bounds: `answers_max` addresses with 4 names each, `resolvers_max` resolvers.
//! Not kept: who looked a name up; reverse names.

use serde::{Deserialize, Serialize};

use super::conflict::Count;
use super::sketch::{CountedSet, Distinct, Least, Merge};
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
    /// Of one inside, its addresses as the packets have them, where it is asked; before a window is bounded they may be anybody's.
    pub(super) inside: Least<Address, 2>,
}

impl ResolverSummary {
    pub(super) fn bound(&mut self) {
        self.rcodes.bound();
        if self.address_inside().is_none() {
            self.inside = Least::default();
        }
    }

    /// The address of one inside that several ask and that answers: that is no subscriber but a part of the network. Whom fewer ask
    /// may be a person's device, and stays behind its pseudonym; so does who is asked and never answers, as anybody may be, and
    /// several of one /64, which share a pseudonym and of which nobody knows who answers.
    pub fn address_inside(&self) -> Option<Address> {
        let mut all = self.inside.iter();
        let only = all.next().filter(|_| all.next().is_none());
        only.filter(|_| self.responses > 0 && self.clients.count() >= ASKED_BY_MIN)
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
        self.inside.merge(inside);
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
