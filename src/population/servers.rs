//! Servers: what TLS servers show of themselves, and how far one identity reaches.
//! In: rows of TLS flows that subscribers began. Out: by identity (key, issuer, hello) the domains, networks and subscribers.
//! Bounds: `servers_max` identities, each with samples of fixed size. Not here: which identity is false (`detect`).

use serde::{Deserialize, Serialize};

use super::conflict::Count;
use super::populations::PopulationIndex;
use super::sketch::{Distinct, Kmv, Least, Merge};
use super::span::Seen;
use super::table::Weighed;
use super::texts::TextId;
use super::totals::count;
use crate::units::Address;

/// Addresses of one identity kept.
pub const ADDRESSES_KEPT: usize = 64;
/// Domains and subscribers of one identity kept.
pub const MEMBERS_KEPT: usize = 8;
/// Hashes by which networks and subjects are counted.
const COUNTED: usize = 64;
/// Hashes of names that are compared between what is sealed and what is open, and between issuers. With 64 of them a
/// CDN's hundred domains left three of an interceptor's five to compare.
pub const NAMES_COUNTED: usize = 256;

/// What makes an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ServerMark {
    /// The key of the certificate.
    Key,
    /// The certificate's issuer.
    Issuer,
    /// The server's hello: version, cipher, order of extensions.
    Hello,
    /// None: TLS 1.3 was agreed on, which seals the certificate. One for each population, of id 0.
    Sealed,
}

/// Which identity, shown to which population.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServerKey {
    /// The population.
    pub population: PopulationIndex,
    /// What kind of mark.
    pub mark: ServerMark,
    /// Its hash.
    pub id: u64,
}

/// What stands behind one identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerSummary {
    /// Rows of flows that showed it.
    pub rows: u64,
    /// Rows whose certificate had begun to be valid less than two days before.
    pub rows_young: u64,
    /// Whom it was shown to, by keyed hash.
    pub subscribers: Distinct,
    /// Some of them, by pseudonym.
    pub subscriber_sample: Least<Address, MEMBERS_KEPT>,
    /// Registrable domains that were asked for.
    pub domains: Kmv<NAMES_COUNTED>,
    /// Some of them.
    pub domain_sample: Least<TextId, MEMBERS_KEPT>,
    /// Networks (/16 or /32) that it was seen in.
    pub networks: Kmv<COUNTED>,
    /// Subjects of its certificates.
    pub subjects: Kmv<COUNTED>,
    /// Names that were asked for by clients that offer TLS 1.3: of [`ServerMark::Sealed`] those that agreed to it, of an issuer
    /// those that did not.
    pub names: Kmv<NAMES_COUNTED>,
    /// Names that were asked for, whatever the client offers; of [`ServerMark::Issuer`] only.
    pub shown: Kmv<NAMES_COUNTED>,
    /// Some addresses that it was seen at.
    pub addresses: Least<Address, ADDRESSES_KEPT>,
    /// First and last packet.
    pub seen: Seen,
}

impl ServerSummary {
    /// Takes a subscriber out.
    pub(super) fn forget(&mut self, pseudonym: Address, hash: Option<u64>) {
        self.subscriber_sample.retain(|subscriber| *subscriber != pseudonym);
        if let Some(hash) = hash {
            self.subscribers.forget(hash);
        }
    }
}

impl Merge for ServerSummary {
    fn merge(&mut self, other: Self) {
        let Self {
            rows,
            rows_young,
            subscribers,
            subscriber_sample,
            domains,
            domain_sample,
            networks,
            subjects,
            names,
            shown,
            addresses,
            seen,
        } = other;
        count(&mut self.rows, rows);
        count(&mut self.rows_young, rows_young);
        self.subscribers.merge(subscribers);
        self.subscriber_sample.merge(subscriber_sample);
        self.domains.merge(domains);
        self.domain_sample.merge(domain_sample);
        self.networks.merge(networks);
        self.subjects.merge(subjects);
        self.names.merge(names);
        self.shown.merge(shown);
        self.addresses.merge(addresses);
        self.seen.merge(seen);
    }
}

impl Weighed for ServerSummary {
    type Others = Count;

    fn weight(&self) -> u64 {
        (self.domains.len() as u64).saturating_mul(1 << 16).saturating_add(self.rows)
    }

    fn to_others(&self) -> Count {
        Count(self.rows)
    }
}
