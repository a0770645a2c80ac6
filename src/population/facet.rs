//! Facets: one service of an address, or one domain, by itself.
//! In: rows of that service or domain. Out: what is needed to judge it as a collector of its own: an address that also keeps
//! the time, or that a CDN shares among many names, does not hide what one of its services or names takes in.
//! Bounds: [`SERVICES_MAX`] services an address, past which it is a peer or a target and has none apart; [`FOLLOWED_MAX`]
//! subscribers followed in time; [`ADDRESSES_MAX`] addresses of a domain. What is kept is a function of the rows alone.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use smallvec::SmallVec;

use super::collector::{CollectorSummary, SIZE_BITS, Service, ServiceAt};
use super::populations::PopulationIndex;
use super::sketch::{
    CountedSet, Distinct, LogHistogram, Merge, SketchKey, Timeline, ascending, ascending_few, merge_ascending,
};
use super::span::Seen;
use super::table::Weighed;
use super::texts::TextId;
use super::totals::{Totals, count};
use crate::simd::prefetch;
use crate::units::Address;

/// Services of one address that are kept apart.
pub const SERVICES_MAX: usize = 4;
/// Subscribers of a collector that are followed in time: those with the smallest keyed hashes.
pub const FOLLOWED_MAX: usize = 16;
/// Subscribers by which the room of a sample grows.
const FOLLOWED_STEP: usize = 4;
/// Slots of a followed subscriber's timeline.
pub const FOLLOWED_SLOTS: usize = 64;
/// Addresses of a domain that are remembered.
pub const ADDRESSES_MAX: usize = 128;

/// One subscriber's dealings with a collector, in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Followed {
    /// Its pseudonym.
    pub subscriber: Address,
    /// Flows that began and data that moved.
    pub line: Timeline<FOLLOWED_SLOTS>,
}

// Sixteen of a collector and of each of its services.
const _: () = assert!(size_of::<(u64, Followed)>() == 56 && size_of::<(Service, Facet)>() <= 288);

/// A sample of a collector's subscribers, the same whoever draws it: those with the smallest keyed hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sample {
    followed: SmallVec<[(u64, Followed); 1]>,
}

impl Sample {
    /// Notes a row of a subscriber.
    #[inline]
    pub fn add(&mut self, moment: &Moment) {
        if self.followed.len() >= FOLLOWED_MAX && self.followed.last().is_some_and(|(most, _)| moment.hash > *most) {
            return;
        }
        let at = match self.followed.binary_search_by_key(&moment.hash, |(hash, _)| *hash) {
            Ok(at) => at,
            Err(at) => {
                self.seat(at, moment.hash, Followed { subscriber: moment.subscriber, line: Timeline::default() });
                at
            }
        };
        self.followed[at].1.line.add_over(moment.seen.first, moment.seen.last, moment.flows, moment.moved);
    }

    /// Follows one more, at its place; of a full sample the last leaves first, lest there be room for twice as many.
    fn seat(&mut self, at: usize, hash: u64, one: Followed) {
        if self.followed.len() >= FOLLOWED_MAX {
            self.followed.pop();
        } else if self.followed.len() == self.followed.capacity() {
            // By fours: most facets of an address have a few subscribers, 56 bytes each.
            self.followed.reserve_exact(FOLLOWED_STEP.min(FOLLOWED_MAX - self.followed.len()));
        }
        self.followed.insert(at, (hash, one));
    }

    /// Starts bringing near where a row is noted.
    pub(super) fn fetch(&self) {
        prefetch::line(&self.followed, 0);
        prefetch::line(&self.followed, self.followed.len() / 2);
        prefetch::line(&self.followed, self.followed.len().saturating_sub(1));
    }

    /// Follows a subscriber no more.
    pub(super) fn forget(&mut self, pseudonym: Address) {
        self.followed.retain(|(_, one)| one.subscriber != pseudonym);
    }

    /// Who is followed.
    pub fn iter(&self) -> impl Iterator<Item = &Followed> {
        self.followed.iter().map(|(_, one)| one)
    }

    /// How many are followed.
    pub fn len(&self) -> usize {
        self.followed.len()
    }

    /// Whether nobody is.
    pub fn is_empty(&self) -> bool {
        self.followed.is_empty()
    }
}

impl Merge for Sample {
    fn merge(&mut self, other: Self) {
        if self.followed.is_empty() {
            *self = other;
            return;
        }
        for (hash, one) in other.followed {
            match self.followed.binary_search_by_key(&hash, |(hash, _)| *hash) {
                Ok(at) => self.followed[at].1.line.merge(one.line),
                // They ascend: whoever follows lies further behind still.
                Err(FOLLOWED_MAX) => break,
                Err(at) => self.seat(at, hash, one),
            }
        }
    }
}

impl<'de> Deserialize<'de> for Sample {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Form {
            #[serde(deserialize_with = "ascending_few")]
            followed: SmallVec<[(u64, Followed); 1]>,
        }
        let Form { followed } = Form::deserialize(from)?;
        match followed.len() <= FOLLOWED_MAX {
            true => Ok(Self { followed }),
            false => Err(D::Error::custom("too many are followed")),
        }
    }
}

/// What a row tells a sample.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The subscriber's keyed hash.
    pub hash: u64,
    /// Its pseudonym.
    pub subscriber: Address,
    /// When the row began and ended.
    pub seen: Seen,
    /// One where the flow began in it, and was no old connection that spoke up again.
    pub flows: u32,
    /// Data bytes up, and all other payload both ways.
    pub moved: [u64; 2],
}

/// What a row tells a facet.
#[derive(Clone, Copy, Debug)]
pub struct FacetRow {
    /// What is counted.
    pub totals: Totals,
    /// When.
    pub seen: Seen,
    /// Whether the called side took part.
    pub answered: bool,
    /// Who, and when it began.
    pub moment: Moment,
}

/// One service or domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facet {
    /// Rows, flows, packets and bytes.
    pub totals: Totals,
    /// First and last packet.
    pub seen: Seen,
    /// Subscribers, by keyed hash.
    pub subscribers: Distinct,
    /// Rows in which the called side took part.
    pub rows_answered: u64,
    /// Data bytes from the subscriber by row, rows without any left out.
    pub upload_sizes: LogHistogram<SIZE_BITS>,
    /// Data bytes to the subscriber by row, rows without any left out.
    pub download_sizes: LogHistogram<SIZE_BITS>,
    /// Some subscribers in time.
    pub sample: Sample,
}

impl Facet {
    /// Adds a row.
    pub fn add(&mut self, row: &FacetRow) {
        self.totals.merge(row.totals);
        self.seen.merge(row.seen);
        self.subscribers.add(row.moment.hash);
        count(&mut self.rows_answered, u64::from(row.answered));
        for (sizes, bytes) in [&mut self.upload_sizes, &mut self.download_sizes].into_iter().zip(row.totals.data_bytes)
        {
            if bytes > 0 {
                sizes.add(bytes);
            }
        }
        self.sample.add(&row.moment);
    }

    /// A collector that has this facet alone, for whoever judges collectors. What no facet knows is empty.
    pub fn as_collector(&self) -> CollectorSummary {
        CollectorSummary {
            totals: self.totals,
            seen: self.seen,
            subscribers: self.subscribers.clone(),
            rows_answered: self.rows_answered,
            upload_sizes: self.upload_sizes.clone(),
            download_sizes: self.download_sizes.clone(),
            sample: self.sample.clone(),
            ..CollectorSummary::default()
        }
    }

    /// Takes a subscriber out; the set of subscribers only where the hash is at hand.
    pub(super) fn forget(&mut self, pseudonym: Address, hash: Option<u64>) {
        self.sample.forget(pseudonym);
        if let Some(hash) = hash {
            self.subscribers.forget(hash);
        }
    }

    /// The only service of an address, which has another now. Whom it follows is followed here from now on.
    fn of(whole: &mut CollectorSummary) -> Self {
        Self {
            totals: whole.totals,
            seen: whole.seen,
            subscribers: whole.subscribers.clone(),
            rows_answered: whole.rows_answered,
            upload_sizes: whole.upload_sizes.clone(),
            download_sizes: whole.download_sizes.clone(),
            sample: std::mem::take(&mut whole.sample),
        }
    }
}

impl Merge for Facet {
    fn merge(&mut self, other: Self) {
        let Self { totals, seen, subscribers, rows_answered, upload_sizes, download_sizes, sample } = other;
        self.totals.merge(totals);
        self.seen.merge(seen);
        self.subscribers.merge(subscribers);
        count(&mut self.rows_answered, rows_answered);
        self.upload_sizes.merge(upload_sizes);
        self.download_sizes.merge(download_sizes);
        self.sample.merge(sample);
    }
}

/// The services of one address. As long as there is one, it is the whole address and costs nothing. Where there are several,
/// each follows subscribers and the address none: those with the smallest hashes of all are among those of each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Services {
    /// No row yet.
    #[default]
    None,
    /// One: what is known of it is what is known of the address.
    One(Service),
    /// Two to [`SERVICES_MAX`], ascending.
    Several(#[serde(deserialize_with = "ascending")] Vec<(Service, Facet)>),
    /// More: a peer, or the target of a scan.
    TooMany,
}

impl Services {
    /// The service that a row counts for: all that stand at subscribers are one.
    pub fn kind_of(service: Service) -> Service {
        match service.at {
            ServiceAt::Collector => service,
            ServiceAt::Subscriber => Service { protocol: 0, port: 0, at: ServiceAt::Subscriber },
        }
    }

    /// What is known of each, where there are several.
    pub fn apart(&self) -> &[(Service, Facet)] {
        match self {
            Self::Several(parts) => parts,
            _ => &[],
        }
    }

    /// Subscribers followed over all of them, where they are apart.
    pub(super) fn sample(&self) -> Option<Sample> {
        let mut all = self.apart().iter().map(|(_, facet)| facet.sample.clone());
        let first = all.next()?;
        Some(all.fold(first, |mut sample, other| {
            sample.merge(other);
            sample
        }))
    }

    /// Gives whom each followed to the address, since they are not apart any more.
    fn unite(self, whole: &mut CollectorSummary) {
        if let Self::Several(parts) = self {
            parts.into_iter().for_each(|(_, facet)| whole.sample.merge(facet.sample));
        }
    }

    /// Takes a subscriber out of each.
    pub(super) fn forget(&mut self, pseudonym: Address, hash: Option<u64>) {
        if let Self::Several(parts) = self {
            parts.iter_mut().for_each(|(_, facet)| facet.forget(pseudonym, hash));
        }
    }

    /// The only one.
    pub fn only(&self) -> Option<Service> {
        match self {
            Self::One(service) => Some(*service),
            _ => None,
        }
    }

    /// The facet that a row of this service goes to, where services are apart. `whole` is the address before that row.
    pub(super) fn facet(whole: &mut CollectorSummary, service: Service) -> Option<&mut Facet> {
        match whole.services_apart {
            Self::None => whole.services_apart = Self::One(service),
            Self::One(known) if known != service => {
                let first = (known, Facet::of(whole));
                whole.services_apart = Self::Several(vec![first]);
            }
            _ => {}
        }
        let Self::Several(parts) = &mut whole.services_apart else { return None };
        let at = match parts.binary_search_by_key(&service, |(known, _)| *known) {
            Ok(at) => at,
            Err(at) => {
                // To the number: a facet takes 280 bytes, most addresses have two or three, and a list would make room for four.
                parts.reserve_exact(1);
                parts.insert(at, (service, Facet::default()));
                at
            }
        };
        if parts.len() > SERVICES_MAX {
            std::mem::replace(&mut whole.services_apart, Self::TooMany).unite(whole);
            return None;
        }
        match &mut whole.services_apart {
            Self::Several(parts) => Some(&mut parts[at].1),
            _ => None,
        }
    }

    /// The services of two addresses taken together, or of one at two times; neither was merged yet.
    pub(super) fn joined(mine: &mut CollectorSummary, theirs: &mut CollectorSummary) -> Self {
        let [a, b] = [&mut *mine, &mut *theirs].map(|whole| std::mem::take(&mut whole.services_apart));
        let parts = |services: Self, whole: &mut CollectorSummary| match services {
            Self::One(service) => vec![(service, Facet::of(whole))],
            Self::Several(parts) => parts,
            Self::None | Self::TooMany => Vec::new(),
        };
        match (&a, &b) {
            (Self::TooMany, _) | (_, Self::TooMany) => {
                a.unite(mine);
                b.unite(theirs);
                Self::TooMany
            }
            (Self::None, _) => b,
            (_, Self::None) => a,
            (Self::One(one), Self::One(other)) if one == other => a,
            _ => {
                let mut all = parts(a, mine);
                merge_ascending(&mut all, parts(b, theirs), Facet::merge);
                if all.len() <= SERVICES_MAX {
                    return Self::Several(all);
                }
                Self::Several(all).unite(mine);
                Self::TooMany
            }
        }
    }
}

/// Which domain, of which population's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DomainKey {
    /// The population.
    pub population: PopulationIndex,
    /// The registrable domain that subscribers asked for.
    pub domain: TextId,
}

/// One registrable domain, whatever addresses serve it and whatever else these serve.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainSummary {
    /// As a collector.
    pub facet: Facet,
    /// Rows by the port that answers.
    pub services: CountedSet<Service, 4>,
    /// Addresses, by their mixed number.
    #[serde(deserialize_with = "ascending")]
    addresses: Vec<(u64, Address)>,
}

impl DomainSummary {
    /// Adds a row that asked `address` for the domain.
    pub(super) fn add(&mut self, row: &FacetRow, service: Service, address: Address) {
        self.facet.add(row);
        self.services.add(service);
        let rank = rank_of(address);
        if let Err(at) = self.addresses.binary_search_by_key(&rank, |(rank, _)| *rank)
            && at < ADDRESSES_MAX
        {
            self.addresses.truncate(ADDRESSES_MAX - 1);
            self.addresses.insert(at, (rank, address));
        }
    }

    /// Its addresses, ascending; at most [`ADDRESSES_MAX`].
    pub fn addresses(&self) -> Vec<Address> {
        let mut addresses: Vec<Address> = self.addresses.iter().map(|(_, address)| *address).collect();
        addresses.sort_unstable();
        addresses
    }

    pub(super) fn bound(&mut self) {
        self.services.bound();
    }
}

/// The order in which addresses give way: mixed, so that it follows no one's numbering.
fn rank_of(address: Address) -> u64 {
    let number = u128::from_be_bytes(address.0);
    ((number as u64).rank() ^ (number >> 64) as u64).rank()
}

impl Merge for DomainSummary {
    fn merge(&mut self, other: Self) {
        let Self { facet, services, addresses } = other;
        self.facet.merge(facet);
        self.services.merge(services);
        merge_ascending(&mut self.addresses, addresses, |_, _| {});
        self.addresses.truncate(ADDRESSES_MAX);
    }
}

impl Weighed for DomainSummary {
    type Others = Totals;

    /// As a collector's.
    fn weight(&self) -> u64 {
        let further = self.facet.subscribers.count().saturating_sub(1);
        let totals = &self.facet.totals;
        totals.bytes().saturating_add(further.saturating_mul(1 << 16)).saturating_add(totals.rows)
    }

    fn to_others(&self) -> Totals {
        self.facet.totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::collector::CollectorKey;
    use crate::population::limits::SummaryLimits;
    use crate::population::summary::tests::{row, summary_of};
    use crate::units::TimestampNs;

    #[test]
    fn a_full_sample_has_room_for_no_more_than_it_may_follow() {
        let moment = |hash: u64| Moment {
            hash: hash.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            subscriber: Address::v4([10, 0, 0, hash as u8]),
            seen: Seen::between(TimestampNs(hash), TimestampNs(hash)),
            flows: 1,
            moved: [1, 2],
        };
        let (mut one, mut other) = (Sample::default(), Sample::default());
        (0..100).for_each(|hash| one.add(&moment(hash)));
        (50..200).for_each(|hash| other.add(&moment(hash)));
        let mut whole = Sample::default();
        (0..200).for_each(|hash| whole.add(&moment(hash)));
        assert_eq!((one.len(), one.followed.capacity()), (FOLLOWED_MAX, FOLLOWED_MAX));
        one.merge(other);
        assert_eq!(one.followed.capacity(), FOLLOWED_MAX);
        let who = |sample: &Sample| sample.iter().map(|one| one.subscriber).collect::<Vec<_>>();
        assert_eq!(who(&one), who(&whole));
    }

    #[test]
    fn services_of_one_address_are_apart_and_cost_nothing_while_there_is_one() {
        let far = Address::v4([203, 0, 113, 7]);
        let of_ports = |ports: &[u16]| {
            let rows: Vec<_> = (0..60u8)
                .map(|n| {
                    let mut row = row(Address::v4([10, 0, 0, n]), far, u64::from(n), 1000, 10);
                    row.key.ports[usize::from(row.orig_end) ^ 1] = ports[usize::from(n) % ports.len()];
                    row
                })
                .collect();
            let summary = summary_of(&rows, &SummaryLimits::default());
            let key = CollectorKey { population: PopulationIndex(0), address: far };
            summary.collectors.of(&key).expect("the collector").services_apart.clone()
        };
        assert!(of_ports(&[443]).only().is_some_and(|service| service.port == 443));
        let two = of_ports(&[443, 123]);
        let parts: Vec<_> =
            two.apart().iter().map(|(s, f)| (s.port, f.subscribers.count(), f.sample.len(), f.totals.rows)).collect();
        assert_eq!(parts, [(123, 30, FOLLOWED_MAX, 30), (443, 30, FOLLOWED_MAX, 30)]);
        assert_eq!(of_ports(&[1, 2, 3, 4, 5]), Services::TooMany);
    }

    #[test]
    fn whom_services_follow_is_whom_the_address_would_follow() {
        let far = Address::v4([203, 0, 113, 7]);
        let of = |service: &dyn Fn(u8) -> u16, span: std::ops::Range<u8>| {
            let rows = span.map(|n| {
                // Each subscriber comes back at another service.
                let mut row = row(Address::v4([10, 0, 0, n % 40]), far, u64::from(n), 1000, 10);
                row.key.ports[usize::from(row.orig_end) ^ 1] = service(n);
                row
            });
            summary_of(&rows.collect::<Vec<_>>(), &SummaryLimits::default())
        };
        let of_far = |summary: &crate::population::summary::Summary| {
            let key = CollectorKey { population: PopulationIndex(0), address: far };
            summary.collectors.of(&key).expect("the collector").as_ref().clone()
        };
        let wanted = of_far(&of(&|_| 443, 0..120)).sample().into_owned();
        assert_eq!(wanted.len(), FOLLOWED_MAX);
        for services in [1, 2, 3, 4, 5, 7] {
            let service = move |n: u8| 443 + u16::from(n) % services;
            let at_once = of_far(&of(&service, 0..120));
            let mut taken_together = of(&service, 0..50);
            taken_together.merge(of(&service, 50..120)).expect("one basis");
            assert_eq!(at_once.sample().as_ref(), &wanted, "{services} services");
            assert_eq!(of_far(&taken_together), at_once, "{services} services of two windows");
        }
        // One that has too many takes in one that has few.
        let mut many = of(&|n| u16::from(n), 0..60);
        many.merge(of(&|n| 443 + u16::from(n % 2), 60..120)).expect("one basis");
        assert_eq!(of_far(&many).sample().as_ref(), &wanted);
    }

    #[test]
    fn a_sample_draws_the_same_whoever_draws_it() {
        let moment = |n: u64| Moment {
            hash: n.rank(),
            subscriber: Address::v4([10, 0, 0, n as u8]),
            seen: Seen::between(TimestampNs(n * 1_000_000_000), TimestampNs(n * 1_000_000_000)),
            flows: 1,
            moved: [n, 0],
        };
        let of = |numbers: &mut dyn Iterator<Item = u64>| {
            let mut sample = Sample::default();
            numbers.for_each(|n| sample.add(&moment(n)));
            sample
        };
        let whole = of(&mut (0..200));
        let mut halves = of(&mut (100..200));
        halves.merge(of(&mut (0..100).rev()));
        assert_eq!((whole.len(), &halves), (FOLLOWED_MAX, &whole));
    }
}
