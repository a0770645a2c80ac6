//! Groups: one collector behind many addresses.
//! In: a summary, a level. Out: the collectors of that level, each the exact merge of its addresses' summaries.
//! Bounds: at most one group an address and level. Not here: where databases of autonomous systems come from (`places`).

use super::collector::{CollectorKey, CollectorSummary, Service, ServiceAt};
use super::conflict::network_of;
use super::populations::PopulationIndex;
use super::sketch::{CountedSet, Merge, SketchKey};
use super::summary::Summary;
use super::texts::TextId;
use crate::units::Address;

/// By what addresses are taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Each by itself.
    Address,
    /// One service of an address that has a few.
    Service,
    /// IPv4 /24, IPv6 /48.
    Prefix,
    /// The registrable domain that more than half of an address's named rows ask for.
    Name,
    /// The server fingerprint that more than half of an address's rows with one show.
    Fingerprint,
    /// The certificate key, likewise.
    CertificateKey,
    /// The autonomous system, by the closure given.
    Asn,
    /// What is done with it, which no address has by itself.
    Alike,
}

impl Level {
    /// From narrow to wide.
    pub const ALL: [Self; 8] = [
        Self::Address,
        Self::Service,
        Self::Prefix,
        Self::Name,
        Self::Fingerprint,
        Self::CertificateKey,
        Self::Asn,
        Self::Alike,
    ];
}

/// What a group's addresses have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupName {
    /// One address.
    Address(Address),
    /// One service of it.
    Service(Address, Service),
    /// The network's address.
    Prefix(Address),
    /// A registrable domain.
    Domain(TextId),
    /// A server fingerprint.
    Fingerprint(u64),
    /// Hash of a certificate's key.
    CertificateKey(u64),
    /// An autonomous system.
    Asn(u32),
    /// The first of addresses that are dealt with alike.
    Alike(Address),
}

/// A collector of some level.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CollectorGroup {
    /// Of whose data.
    pub population: PopulationIndex,
    /// What its addresses have in common.
    pub name: GroupName,
    /// Its addresses, ascending.
    pub addresses: Vec<Address>,
}

impl CollectorGroup {
    /// One address by itself.
    pub fn of(key: CollectorKey) -> Self {
        let CollectorKey { population, address } = key;
        Self { population, name: GroupName::Address(address), addresses: vec![address] }
    }

    /// The group's name in words that last from run to run: an address, a prefix, a domain, `AS64500`.
    pub fn label(&self, summary: &Summary) -> String {
        match self.name {
            GroupName::Address(address) => address.to_string(),
            GroupName::Service(address, service) => match service.at {
                ServiceAt::Collector => format!("{address} port {}/{}", service.port, protocol(service.protocol)),
                ServiceAt::Subscriber => format!("{address} calling in"),
            },
            GroupName::Prefix(network) => format!("{network}/{}", if network.is_v4() { 24 } else { 48 }),
            GroupName::Domain(id) => summary.texts.of(id).map_or_else(|| format!("name:{:016x}", id.0), str::to_owned),
            GroupName::Fingerprint(hash) => format!("fingerprint:{hash:016x}"),
            GroupName::CertificateKey(hash) => format!("key:{hash:016x}"),
            GroupName::Asn(number) => format!("AS{number}"),
            GroupName::Alike(first) => format!("like {first}"),
        }
    }
}

/// The collectors of a level in ascending order. An address that has nothing to be named by at this level (no majority
/// name, no known system) is in no group.
pub fn roll_up(
    summary: &Summary,
    level: Level,
    asn_of: impl Fn(Address) -> Option<u32>,
) -> Vec<(CollectorGroup, CollectorSummary)> {
    let collectors: Vec<Member<'_>> = summary.collectors.sorted().into_iter().map(|(key, one)| (key, &**one)).collect();
    roll_up_where(&collectors, level, asn_of, |_| true)
}

/// An address as a group has it.
pub type Member<'a> = (&'a CollectorKey, &'a CollectorSummary);

/// The same over collectors that are at hand, ascending, and only for groups whose members are `wanted`: putting one
/// together costs a merge an address, and most groups are of no interest to whoever asks, who may also take members out.
pub fn roll_up_where(
    collectors: &[Member<'_>],
    level: Level,
    asn_of: impl Fn(Address) -> Option<u32>,
    wanted: impl Fn(&mut Vec<Member<'_>>) -> bool,
) -> Vec<(CollectorGroup, CollectorSummary)> {
    let named = collectors
        .iter()
        .enumerate()
        .filter_map(|(at, (key, one))| Some((key.population, name_of(level, key.address, one, &asn_of)?, at)));
    let mut named: Vec<(PopulationIndex, GroupName, usize)> = named.collect();
    named.sort_unstable();
    let mut groups = Vec::new();
    let mut members: Vec<Member<'_>> = Vec::new();
    for group in named.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
        members.clear();
        members.extend(group.iter().map(|(.., at)| collectors[*at]));
        if !wanted(&mut members) {
            continue;
        }
        let mut sum = CollectorSummary::default();
        members.iter().for_each(|(_, one)| sum.merge((*one).clone()));
        let (population, name, _) = group[0];
        let addresses = members.iter().map(|(key, _)| key.address).collect();
        groups.push((CollectorGroup { population, name, addresses }, sum));
    }
    groups
}

/// What an address is named by at a level; none where it has nothing to be named by. A service is an address' only one.
pub fn name_of(
    level: Level,
    address: Address,
    collector: &CollectorSummary,
    asn_of: impl Fn(Address) -> Option<u32>,
) -> Option<GroupName> {
    match level {
        Level::Address => Some(GroupName::Address(address)),
        Level::Service => collector.services_apart.only().map(|service| GroupName::Service(address, service)),
        Level::Prefix => Some(GroupName::Prefix(network_of(address))),
        Level::Name => majority(&collector.domains).map(GroupName::Domain),
        Level::Fingerprint => majority(&collector.server_fingerprints).map(GroupName::Fingerprint),
        Level::CertificateKey => majority(&collector.certificate_keys).map(GroupName::CertificateKey),
        Level::Asn => asn_of(address).map(GroupName::Asn),
        Level::Alike => None,
    }
}

fn protocol(number: u8) -> String {
    match number {
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        132 => "sctp".to_owned(),
        other => format!("protocol {other}"),
    }
}

/// The member that has more than half of all counts.
fn majority<K: SketchKey, const N: usize>(set: &CountedSet<K, N>) -> Option<K> {
    let half = set.total() / 2;
    set.iter().find(|(_, count)| *count > half).map(|(key, _)| key)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::packet::facts::AppFacts;
    use crate::population::limits::SummaryLimits;
    use crate::population::summary::tests::{row, summary_of};

    #[test]
    fn addresses_roll_up_by_what_they_share() {
        let far = |last: u8| Address::v4([203, 0, 113, last]);
        let rows: Vec<_> = (0..40u8)
            .map(|n| {
                let mut row = row(Address::v4([10, 0, 0, n]), far(n % 4), 10, 100, 10);
                let name = ["a.spy.example", "b.spy.example", "other.example", ""][usize::from(n % 4)];
                row.facts = Some(Arc::new(AppFacts {
                    server_name: Some(name.into()),
                    server_fingerprint: (n % 4 < 2).then_some(77),
                    ..AppFacts::default()
                }));
                row
            })
            .collect();
        let summary = summary_of(&rows, &SummaryLimits::default());
        let odd = |address: Address| (address.0[15] % 2 == 1).then_some(64_500);
        let table = [
            (
                Level::Address,
                vec![("203.0.113.0", 1, 10), ("203.0.113.1", 1, 10), ("203.0.113.2", 1, 10), ("203.0.113.3", 1, 10)],
            ),
            (Level::Prefix, vec![("203.0.113.0/24", 4, 40)]),
            (Level::Name, vec![("other.example", 1, 10), ("spy.example", 2, 20)]),
            (Level::Fingerprint, vec![("fingerprint:000000000000004d", 2, 20)]),
            (Level::CertificateKey, vec![]),
            (Level::Asn, vec![("AS64500", 2, 20)]),
        ];
        for (level, wanted) in table {
            let groups = roll_up(&summary, level, odd);
            let mut found: Vec<_> = groups
                .iter()
                .map(|(group, sum)| (group.label(&summary), group.addresses.len(), sum.subscribers.count()))
                .collect();
            found.sort();
            let wanted: Vec<_> = wanted.into_iter().map(|(l, a, s)| (l.to_owned(), a, s)).collect();
            assert_eq!(found, wanted, "{level:?}");
        }
    }
}
