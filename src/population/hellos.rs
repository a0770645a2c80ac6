//! Hellos: with which hello servers answer, by what was asked for, of whom and how.
//! In: TLS rows of subscribers that named their server and offered TLS 1.3. Out: for each question the hellos that answered
//! it, and some of the subscribers that got each.
//! A question is a name, the network that was called, and what the client offered. One server software answers one question
//! in one way; another offer or another network of the same name (a second CDN) may honestly get another hello, and is
//! another question.
//! Bounds: `hellos_max` questions, [`HELLOS_KEPT`] hellos of each, [`TOLD_KEPT`] subscribers of each of those.
//! Not here: whether it is the server who answers (`detect`).

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::conflict::Count;
use super::populations::PopulationIndex;
use super::sketch::{Least, Merge, ascending_few, merge_few};
use super::span::Seen;
use super::table::Weighed;
use super::texts::TextId;
use super::totals::count;
use crate::units::Address;

/// Hellos kept of one question.
pub const HELLOS_KEPT: usize = 8;
/// Subscribers kept of one hello.
pub const TOLD_KEPT: usize = 32;
/// Addresses kept of one question.
pub const PLACES_KEPT: usize = 4;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QuestionKey {
    /// The population.
    pub population: PopulationIndex,
    /// The server's name.
    pub name: TextId,
    /// The /24 or /48 that was called.
    pub network: Address,
    /// What the client offered, see [`hello_offer`](crate::packet::facts::AppFacts::hello_offer).
    pub offer: u64,
}

/// A server's hello. Ordered by its hash, a part of a SHA-256: the order in which hellos give way favours none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HelloMark {
    /// What it shows of the server, resumed sessions left out of account: see
    /// [`server_choice`](crate::packet::facts::AppFacts::server_choice). 0 below TLS 1.3, where the hello depends on more of
    /// the offer than a question tells.
    pub choice: u64,
    /// The version agreed on.
    pub version: u16,
}

/// A subscriber who got a hello. Ordered by hash: pseudonyms keep prefixes, and the first of them would be neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Listener {
    /// Keyed hash.
    pub hash: u64,
    /// Pseudonym.
    pub subscriber: Address,
}

/// Who got one hello.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Rows.
    pub rows: u64,
    /// Some subscribers: the same ones at every question.
    pub subscribers: Least<Listener, TOLD_KEPT>,
    /// First and last packet.
    pub seen: Seen,
}

/// The answers to one question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The name's registrable domain; none before a row was added.
    pub domain: Option<TextId>,
    /// Some addresses that were called.
    pub places: Least<Address, PLACES_KEPT>,
    #[serde(deserialize_with = "ascending_few")]
    told: SmallVec<[(HelloMark, Told); 1]>,
}

impl Question {
    /// Adds an answer.
    pub(super) fn add(&mut self, domain: TextId, place: Address, hello: HelloMark, listener: Listener, seen: Seen) {
        self.domain = self.domain.max(Some(domain));
        self.places.add(place);
        let at = match self.told.binary_search_by_key(&hello, |(known, _)| *known) {
            Ok(at) => at,
            Err(HELLOS_KEPT) => return,
            Err(at) => {
                self.told.insert(at, (hello, Told::default()));
                self.told.truncate(HELLOS_KEPT);
                at
            }
        };
        let told = &mut self.told[at].1;
        count(&mut told.rows, 1);
        told.subscribers.add(listener);
        told.seen.merge(seen);
    }

    /// The hellos that answered it.
    pub fn told(&self) -> &[(HelloMark, Told)] {
        &self.told
    }

    /// Takes a subscriber out.
    pub(super) fn forget(&mut self, pseudonym: Address) {
        self.told.iter_mut().for_each(|(_, told)| told.subscribers.retain(|one| one.subscriber != pseudonym));
    }
}

impl Merge for Told {
    fn merge(&mut self, other: Self) {
        let Self { rows, subscribers, seen } = other;
        count(&mut self.rows, rows);
        self.subscribers.merge(subscribers);
        self.seen.merge(seen);
    }
}

impl Merge for Question {
    /// Of more hellos than are kept the first stay: whoever is among the first of all is so in every part, so nothing that
    /// stays was ever left out.
    fn merge(&mut self, other: Self) {
        let Self { domain, places, told } = other;
        self.domain = self.domain.max(domain);
        self.places.merge(places);
        merge_few(&mut self.told, told, Told::merge);
        self.told.truncate(HELLOS_KEPT);
    }
}

impl Weighed for Question {
    type Others = Count;

    /// What is answered in several ways first, then what many ask.
    fn weight(&self) -> u64 {
        let subscribers: usize = self.told.iter().map(|(_, told)| told.subscribers.len()).sum();
        ((self.told.len() as u64) << 32).saturating_add(subscribers as u64)
    }

    fn to_others(&self) -> Count {
        Count(self.told.iter().fold(0, |sum, (_, told)| sum.saturating_add(told.rows)))
    }
}
