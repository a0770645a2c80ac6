//! Identity: how subscribers stand in a summary.
//! In: real addresses. Out: pseudonyms and keyed hashes; real addresses of subscribers never pass this border. Of resolvers inside,
//! which several of them ask, `resolved` keeps the address.
//! Not here: how pseudonyms are made (`privacy`).

use serde::{Deserialize, Serialize};

use super::populations::{PopulationIndex, Populations};
use crate::privacy::{PseudonymCache, Pseudonymiser};
use crate::units::Address;

/// Who turns subscribers into pseudonyms. `&mut`, because the one that the workers use remembers what it made.
pub trait SubscriberIdentity {
    /// A keyed pseudonym of the same IP version.
    fn pseudonym(&mut self, real: Address) -> Address;
    /// A keyed 64-bit hash for sketches; equal under one key on every worker and machine.
    fn hash64(&mut self, real: Address) -> u64;

    /// Both at once, for whoever knows both under one look.
    fn both(&mut self, real: Address) -> (Address, u64) {
        (self.pseudonym(real), self.hash64(real))
    }
}

impl SubscriberIdentity for PseudonymCache {
    fn pseudonym(&mut self, real: Address) -> Address {
        PseudonymCache::pseudonym(self, real)
    }

    fn hash64(&mut self, real: Address) -> u64 {
        self.pseudonymiser().hash64(real)
    }

    fn both(&mut self, real: Address) -> (Address, u64) {
        PseudonymCache::both(self, real)
    }
}

impl SubscriberIdentity for &Pseudonymiser {
    fn pseudonym(&mut self, real: Address) -> Address {
        Pseudonymiser::pseudonym(self, real)
    }

    fn hash64(&mut self, real: Address) -> u64 {
        Pseudonymiser::hash64(self, real)
    }
}

/// An address of 2001:db8::/32 (documentation, RFC 3849) whose hash tells keys apart without telling anything of them.
const MARKED: Address = Address([0x20, 0x01, 0x0d, 0xb8, b'k', b'e', b'y', b' ', b'm', b'a', b'r', b'k', 0, 0, 0, 1]);

/// A number that differs between keys, never zero: summaries under different keys do not merge.
pub fn mark(identity: &mut impl SubscriberIdentity) -> u64 {
    identity.hash64(MARKED).max(1)
}

/// Keys the hash of a flow's tuple. The flow room's own is the same for everyone, so whoever knows one end and the ports
/// could find the subscriber by trying addresses.
pub fn keyed_tuple(tuple_hash: u64, identity: &mut impl SubscriberIdentity) -> u64 {
    let mut octets = *b"tuple\0\0\0........";
    octets[8..].copy_from_slice(&tuple_hash.to_be_bytes());
    identity.hash64(Address(octets))
}

/// One end of something, as a summary may keep it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Party {
    /// A member of a population, by pseudonym (an IPv6 one of its /64).
    Subscriber(PopulationIndex, Address),
    /// Anyone else, as the packets have it.
    Outside(Address),
}

impl Party {
    /// The party behind an address, a translator's seen through.
    pub fn of(address: Address, populations: &Populations, identity: &mut impl SubscriberIdentity) -> Self {
        let address = address.untranslated();
        match populations.of(address) {
            Some(population) => Self::Subscriber(population, identity.pseudonym(populations.subscriber_of(address))),
            None => Self::Outside(address),
        }
    }

    /// The outside address, where it is one.
    pub fn outside(&self) -> Option<Address> {
        match self {
            Self::Outside(address) => Some(*address),
            Self::Subscriber(..) => None,
        }
    }

    /// The pseudonym or the outside address.
    pub fn shown(&self) -> Address {
        match self {
            Self::Outside(address) | Self::Subscriber(_, address) => *address,
        }
    }
}
