//! Answered: which addresses a name was given, by which resolvers, so that lies show beside the truth.
//! In: DNS responses to subscribers that carry addresses. Out: for each name up to [`GIVEN_KEPT`] pairs of resolver and address.
//! Bounds: `answered_max` names. Not here: which of two answers is true (`detect`).

use std::hash::Hasher;

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

use super::conflict::Count;
use super::identity::Party;
use super::populations::PopulationIndex;
use super::sketch::{Least, Merge};
use super::table::Weighed;
use super::texts::TextId;
use super::totals::count;

/// Pairs of resolver and address kept of a name.
pub const GIVEN_KEPT: usize = 12;

/// Which name, answered to which population.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AnsweredKey {
    /// The population.
    pub population: PopulationIndex,
    /// The name.
    pub name: TextId,
}

/// How an answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Bearing {
    /// One address and no alias: what a forger sends, and small sites.
    Bare,
    /// With an alias.
    Dressed,
    /// Among others, without an alias.
    Several,
}

/// One answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Given {
    /// A hash of the rest: the order in which answers give way.
    rank: u64,
    /// Who gave it.
    pub resolver: Party,
    /// The address.
    pub address: Party,
    /// How.
    pub bearing: Bearing,
}

impl Given {
    /// An answer, ranked.
    pub fn new(resolver: Party, address: Party, bearing: Bearing) -> Self {
        let mut hasher = SipHasher13::new_with_key(b"trawl dns answer");
        for party in [resolver, address] {
            hasher.write(&party.shown().0);
        }
        hasher.write_u8(bearing as u8);
        Self { rank: hasher.finish(), resolver, address, bearing }
    }
}

/// The answers to one name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// The answers.
    pub given: Least<Given, GIVEN_KEPT>,
    /// Responses with addresses.
    pub responses: u64,
}

impl Merge for Answered {
    fn merge(&mut self, other: Self) {
        self.given.merge(other.given);
        count(&mut self.responses, other.responses);
    }
}

impl Weighed for Answered {
    type Others = Count;

    /// What was answered in several ways first, then what is asked for often.
    fn weight(&self) -> u64 {
        (self.given.len() as u64).saturating_mul(1 << 8).saturating_add(self.responses)
    }

    fn to_others(&self) -> Count {
        Count(self.responses)
    }
}
