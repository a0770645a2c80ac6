//! Scene: everything a detector may look at: one summary and what is known besides.
//! In: a summary of a window, an hour or a day. Out: collectors judged alone and together, their pairs, names, places.
//! Bounds: those of the summary; groups are made of its collectors, so there are never more than three times as many.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use super::finding::{CollectorIdentity, Finding, PopulationShare, Technique};
use super::looks::{Doubt, DoubtGround};
use super::register::{NoRegister, Register};
use super::words;
use crate::model::{Baseline, Model, ProfileScore};
use crate::packet::facts::AppProtocol;
use crate::population::collector::{CollectorKey, CollectorSummary, Service, ServiceAt};
use crate::population::groups::{CollectorGroup, Level, Member, roll_up_where};
use crate::population::identity::Party;
use crate::population::pace::Paces;
use crate::population::places::Places;
use crate::population::profile::{PROFILE_LEN, ProfileContext, profile_of};
use crate::population::texts::TextId;
use crate::population::{PairKey, PairSummary, PopulationIndex, Populations, SpanClass, Summary};
use crate::units::{Address, DurationNs, TimestampNs};

/// Names shown of one collector.
const NAMES_SHOWN: usize = 8;
/// Ports shown of one collector.
const PORTS_SHOWN: usize = 8;
/// Pseudonyms shown of one finding.
const SAMPLE: usize = 5;
/// Profiles of the bulk that a look stands on: of more, every n-th by address. Medians and quantiles of a thousand are as good
/// as those of all, and a profile of every popular collector was a fifth of a look.
const BULK_PROFILES_MAX: usize = 1000;
/// Inner bytes over all bytes of an address, headers counted, from which on it is there for its tunnel.
const TUNNEL_SHARE_MIN: f64 = 0.3;
/// Share of the rows at TCP port 443 that must be proved to be TLS for what is not proved to be anything to mean anything. Of those
/// whose handshake was seen, where these are so many: a connection that is met midway has shown what it is before.
const TLS_AT_HTTPS_MIN: f64 = 0.3;
const ESTABLISHED_TOLD: u64 = 16;
/// Share of an address' named rows from which on it belongs to one domain; a shared CDN address stays below.
const DOMAIN_SHARE_MIN: f64 = 0.8;

/// What a detector looks at.
pub struct Scene<'a> {
    /// What happened.
    pub summary: &'a Summary,
    /// Whose data is protected.
    pub populations: &'a Populations,
    /// Where outside addresses are.
    pub places: &'a Places,
    /// The trained model, where there is one.
    pub model: Option<&'a Model>,
    before: Vec<&'a Summary>,
    named_before: Option<&'a Summary>,
    paces_before: Option<&'a Paces>,
    register: &'a dyn Register,
    claimed: BTreeSet<(Technique, String)>,
    doubts: Mutex<Vec<Doubt>>,
    collectors: Vec<(&'a CollectorKey, &'a CollectorSummary)>,
    profiles: ProfileContext<'a>,
}

/// What is known of a group's addresses together.
#[derive(Debug)]
pub enum Whole<'a> {
    /// One address, as the summary has it.
    Lent(&'a CollectorSummary),
    /// Put together. Apart from the group: a list of thousands would else hold two kilobytes for each that is only lent.
    Made(Box<CollectorSummary>),
}

impl std::ops::Deref for Whole<'_> {
    type Target = CollectorSummary;

    fn deref(&self) -> &CollectorSummary {
        match self {
            Self::Lent(one) => one,
            Self::Made(whole) => whole,
        }
    }
}

impl From<CollectorSummary> for Whole<'_> {
    fn from(whole: CollectorSummary) -> Self {
        Self::Made(Box::new(whole))
    }
}

/// One collector, at one level.
pub struct Group<'a> {
    /// What stays the same when it is found again.
    pub key: String,
    /// The level.
    pub level: Level,
    /// Whose data, and which addresses.
    pub of: CollectorGroup,
    /// All of them as one.
    pub whole: Whole<'a>,
}

impl Group<'_> {
    /// Whether one of its addresses is among these.
    pub fn is_at(&self, addresses: &BTreeSet<Address>) -> bool {
        self.of.addresses.iter().any(|address| addresses.contains(address))
    }

    /// The group as a person would name it.
    pub fn spoken(&self, names: &[String]) -> String {
        match (self.level, self.of.addresses.first()) {
            (Level::Address, Some(address)) => words::party(*address, names),
            (Level::Service, _) => self.key.clone(),
            (Level::Alike, Some(first)) => format!("{first} and {} others alike", self.of.addresses.len() - 1),
            _ => format!("{} ({} addresses)", self.key, self.of.addresses.len()),
        }
    }
}

impl<'a> Scene<'a> {
    /// Sorts the summary out once, for all detectors.
    pub fn new(
        summary: &'a Summary,
        populations: &'a Populations,
        places: &'a Places,
        model: Option<&'a Model>,
    ) -> Self {
        let collectors = summary.collectors.sorted().into_iter().map(|(key, one)| (key, &**one)).collect();
        let profiles = ProfileContext::new(summary);
        Self {
            summary,
            populations,
            places,
            model,
            before: Vec::new(),
            named_before: None,
            paces_before: None,
            register: &NoRegister,
            claimed: BTreeSet::new(),
            doubts: Mutex::default(),
            collectors,
            profiles,
        }
    }

    /// The same where somebody may collect.
    pub fn under(self, register: &'a dyn Register) -> Self {
        Self { register, ..self }
    }

    /// The same after looks that claimed these collectors.
    pub fn after(self, claimed: BTreeSet<(Technique, String)>) -> Self {
        Self { claimed, ..self }
    }

    /// The same where these stretches went before the span; what is empty is none.
    pub fn following(self, before: [&'a Summary; 2]) -> Self {
        Self { before: before.into_iter().filter(|one| one.span().length() > DurationNs::ZERO).collect(), ..self }
    }

    /// The same after a day of which only its names are known.
    pub fn after_names_of(self, yesterday: &'a Summary) -> Self {
        Self { named_before: Some(yesterday), ..self }
    }

    /// The same beside the paces of the window just before.
    pub fn beside(self, paces_before: Option<&'a Paces>) -> Self {
        Self { paces_before, ..self }
    }

    /// The paces of the window just before this one, slot for slot as fine; none where the span is no window or the first.
    pub fn paces_before(&self) -> Option<&'a Paces> {
        self.paces_before
    }

    /// What was seen before the span: the hour and the day so far, none of it twice.
    pub fn before(&self) -> impl Iterator<Item = &'a Summary> {
        self.before.iter().copied()
    }

    /// The hour so far, where the span is one of its windows.
    pub fn hour_before(&self) -> Option<&'a Summary> {
        let is_window = self.summary.class() == SpanClass::Window;
        self.before().find(|before| is_window && before.class() == SpanClass::Hour)
    }

    /// A resolver's address: as the packets have it, of one inside where several ask it, else its pseudonym.
    pub fn resolver_address(&self, resolver: Party) -> Address {
        self.resolver_inside(resolver).unwrap_or_else(|| resolver.shown())
    }

    /// The address of a resolver inside that several ask.
    pub fn resolver_inside(&self, resolver: Party) -> Option<Address> {
        std::iter::once(self.summary).chain(self.before()).find_map(|one| one.resolvers.of(&resolver)?.address_inside())
    }

    /// For how long anything was looked at by the span's end.
    pub fn known_for(&self) -> DurationNs {
        let lengths = self.before.iter().map(|one| one.span().length());
        lengths.fold(self.summary.span().length(), |sum, length| DurationNs(sum.0.saturating_add(length.0)))
    }

    /// Notes that a party (its key, its packets in this span) was measured and does not come to `medium`: of account where it
    /// did before.
    pub fn doubt(&self, technique: Technique, party: (PopulationIndex, &str), packets: u64, score: f64) {
        self.note(technique, party, packets, score, None, DoubtGround::MoreOfTheSame);
    }

    /// The same because others were seen to deal with the party in the same way.
    pub fn doubt_by_others(&self, technique: Technique, party: (PopulationIndex, &str), packets: u64, score: f64) {
        self.note(technique, party, packets, score, None, DoubtGround::Others);
    }

    /// The same where what was claimed is that the party came into use: only a look that saw it in use before the claim
    /// began knows better, for after that nothing tells it from one that was always there.
    pub fn doubt_since(
        &self,
        technique: Technique,
        party: (PopulationIndex, &str),
        packets: u64,
        score: f64,
        since: TimestampNs,
    ) {
        self.note(technique, party, packets, score, Some(since), DoubtGround::MoreOfTheSame);
    }

    fn note(
        &self,
        technique: Technique,
        (population, key): (PopulationIndex, &str),
        packets: u64,
        score: f64,
        since: Option<TimestampNs>,
        ground: DoubtGround,
    ) {
        if self.claimed.is_empty() || !self.claimed.contains(&(technique, key.to_owned())) {
            return;
        }
        let Some(spec) = self.populations.spec(population) else { return };
        let doubt = Doubt {
            technique,
            collector_key: key.to_owned(),
            population: spec.name.clone(),
            packets,
            length: self.summary.span().length(),
            score,
            since,
            ground,
        };
        self.doubts.lock().unwrap_or_else(PoisonError::into_inner).push(doubt);
    }

    /// What was noted, by technique: detectors may have worked side by side, and each one's own doubts are in order.
    pub fn into_doubts(self) -> Vec<Doubt> {
        let mut doubts = self.doubts.into_inner().unwrap_or_else(PoisonError::into_inner);
        doubts.sort_by_key(|doubt| doubt.technique);
        doubts
    }

    /// Whether the register allows this address the technique: it is then judged alone, and no part of what others do.
    pub fn is_registered(&self, technique: Technique, population: PopulationIndex, address: Address) -> bool {
        let Some(spec) = self.populations.spec(population).filter(|_| !self.register.is_empty()) else { return false };
        let place = self.places.of(address);
        let asked = self.collector(population, address).into_iter().flat_map(|one| one.names.iter());
        let asked = asked.filter_map(|(id, _)| self.summary.texts.of(id));
        let names: BTreeSet<&str> = asked.chain(self.looked_up(address)).collect();
        let party = CollectorIdentity {
            collector_key: address.to_string(),
            addresses: vec![address],
            asn: place.asn,
            country: place.country,
            names: names.into_iter().map(str::to_owned).collect(),
            ..CollectorIdentity::default()
        };
        self.register.allows(technique, &party, &spec.name, self.summary.seen.last)
    }

    /// Every collector alone that is `wanted`.
    pub fn alone(&self, wanted: impl Fn(&Member<'_>) -> bool) -> Vec<Group<'a>> {
        let alone = self.collectors.iter().filter(|member| wanted(member)).map(|&(key, one)| Group {
            key: key.address.to_string(),
            level: Level::Address,
            of: CollectorGroup::of(*key),
            whole: Whole::Lent(one),
        });
        alone.collect()
    }

    /// Every collector alone, and every /24 or /48, registrable domain and autonomous system that holds at least two, where
    /// the members (ascending) are `wanted`: what cannot come to a finding need not be put together. Members that may do this
    /// stand alone.
    pub fn groups(&self, technique: Technique, wanted: impl Fn(&[Member<'_>]) -> bool) -> Vec<Group<'a>> {
        let mut groups = self.alone(|member| wanted(std::slice::from_ref(member)));
        for level in [Level::Prefix, Level::Name, Level::Asn] {
            let asn_of = |address| self.places.of(address).asn;
            let may = |(key, _): &Member<'_>| self.is_registered(technique, key.population, key.address);
            let several = roll_up_where(&self.collectors, level, asn_of, |members| {
                if members.len() < 2 || !wanted(members) {
                    return false;
                }
                members.retain(|member| !may(member));
                members.len() > 1 && wanted(members)
            });
            groups.extend(several.into_iter().map(|(of, whole)| Group {
                key: of.label(self.summary),
                level,
                of,
                whole: whole.into(),
            }));
        }
        groups
    }

    /// How far the profile of each group that is `wanted` (by its place) lies from the ordinary ones: by the trained model, else
    /// by this summary's own collectors of at least `subscribers_min` subscribers, of very many a share. In the order of
    /// `groups`; none where one has too few, or is not wanted: a profile looks at every pair of its group.
    pub fn profile_scores(
        &self,
        groups: &[Group<'_>],
        subscribers_min: u64,
        wanted: impl Fn(usize) -> bool,
    ) -> Vec<Option<ProfileScore>> {
        let is_popular = |at: usize| groups[at].whole.subscribers.count() >= subscribers_min;
        let is_alone = |at: &usize| groups[*at].level == Level::Address;
        let popular = (0..groups.len()).filter(|at| self.model.is_none() && is_alone(at) && is_popular(*at));
        let mut drawn: Vec<usize> = popular.collect();
        // Whoever is judged is among them no more often than anybody else.
        let every = drawn.len().div_ceil(BULK_PROFILES_MAX).max(1);
        drawn = drawn.into_iter().step_by(every).collect();
        let profile = |at: usize| {
            let is_wanted = drawn.binary_search(&at).is_ok() || wanted(at) && is_popular(at);
            is_wanted.then(|| profile_of(&groups[at].of, &groups[at].whole, &self.profiles))
        };
        let profiles: Vec<Option<[f32; PROFILE_LEN]>> = (0..groups.len()).map(profile).collect();
        let judged = profiles.iter().enumerate().map(|(at, profile)| profile.filter(|_| wanted(at)));
        if let Some(model) = self.model {
            let class = self.summary.class();
            return judged.map(|profile| profile.map(|profile| model.score_profile(class, &profile))).collect();
        }
        let bulk: Vec<[f32; PROFILE_LEN]> = drawn.iter().filter_map(|at| profiles[*at]).collect();
        let baseline = Baseline::of_bulk(&bulk);
        judged.map(|profile| profile.map(|profile| baseline.score(&profile))).collect()
    }

    /// The registrable domain that nearly all named rows of a collector ask for.
    pub fn domain_of(&self, one: &CollectorSummary) -> Option<&'a str> {
        self.main_domain(one).and_then(|id| self.summary.texts.of(id))
    }

    /// The same as it is kept: one domain has one id, whatever the summary.
    pub fn main_domain(&self, one: &CollectorSummary) -> Option<TextId> {
        let (id, rows) = one.domains.by_count().into_iter().next()?;
        let share = rows as f64 / one.domains.total().max(1) as f64;
        (share >= DOMAIN_SHARE_MIN).then_some(id)
    }

    /// Whether somebody looked up a name for it, here or before.
    pub fn is_looked_up(&self, address: Address) -> bool {
        self.looked_up(address).next().is_some()
    }

    /// The same for one of these.
    pub fn is_looked_up_as(&self, address: Address, is_wanted: impl Fn(&str) -> bool) -> bool {
        self.looked_up(address).any(is_wanted)
    }

    /// Names that were looked up for it, here, then before: on the day before, too.
    fn looked_up(&self, address: Address) -> impl Iterator<Item = &'a str> {
        let spans = [self.summary].into_iter().chain(self.before.clone()).chain(self.named_before);
        spans.flat_map(move |span| span.names_of(Party::Outside(address)))
    }

    /// The pairs of one collector.
    pub fn pairs_of(&self, population: PopulationIndex, address: Address) -> &[(PairKey, &'a PairSummary)] {
        self.profiles.pairs_of(population, address)
    }

    /// All pairs, ordered by population, collector and subscriber.
    pub fn pairs(&self) -> &[(PairKey, &'a PairSummary)] {
        self.profiles.pairs()
    }

    /// The summary as profiles want it.
    pub fn profiles(&self) -> &ProfileContext<'a> {
        &self.profiles
    }

    /// Outside addresses at which a tunnel with inner flows ends, where it is a good part of what they exchange with the
    /// population: one packet in a tunnel, whatever is in it, makes nobody else's upload a copy.
    pub fn tunnel_ends(&self) -> BTreeSet<Address> {
        let mut inner: BTreeMap<Address, u64> = BTreeMap::new();
        for (key, carrier) in self.summary.carriers.sorted() {
            for address in key.outer.iter().filter_map(Party::outside) {
                let sum = inner.entry(address).or_default();
                *sum = carrier.bytes.iter().fold(*sum, |sum, bytes| sum.saturating_add(*bytes));
            }
        }
        let outer = |address: Address| {
            let ones = self.populations.iter().filter_map(|(population, _)| self.collector(population, address));
            ones.map(|one| one.totals.bytes_up().saturating_add(one.totals.bytes_down())).fold(0, u64::saturating_add)
        };
        inner.retain(|address, bytes| *bytes as f64 >= TUNNEL_SHARE_MIN * outer(*address) as f64);
        inner.into_keys().collect()
    }

    /// Whether applications show at all: of what is cut to its first hundred bytes, or was lost, no protocol and no name is known,
    /// and then nothing is strange for having none. Told by the one port at which nearly all speak one protocol.
    pub fn shows_applications(&self) -> bool {
        let at_https = |one: &CollectorSummary| {
            service_of(one).is_some_and(|at| (at.protocol, at.port, at.at) == (6, 443, ServiceAt::Collector))
        };
        let (mut tls, mut rows, mut established) = (0u64, 0u64, 0u64);
        for (key, one) in self.collectors.iter().filter(|(_, one)| at_https(one)) {
            let is_tls = one.apps.iter().filter(|(app, _)| *app == AppProtocol::Tls).map(|(_, rows)| rows).sum();
            tls = tls.saturating_add(is_tls);
            rows = rows.saturating_add(one.totals.rows);
            let pairs = self.pairs_of(key.population, key.address).iter();
            established = pairs.fold(established, |sum, (_, pair)| sum.saturating_add(pair.rows_established));
        }
        let all = if established >= ESTABLISHED_TOLD { established } else { rows };
        tls as f64 >= TLS_AT_HTTPS_MIN * all as f64
    }

    /// All collectors, ordered by population and address.
    pub fn collectors(&self) -> &[(&'a CollectorKey, &'a CollectorSummary)] {
        &self.collectors
    }

    /// One collector.
    pub fn collector(&self, population: PopulationIndex, address: Address) -> Option<&'a CollectorSummary> {
        let place = CollectorKey { population, address };
        self.collectors.binary_search_by(|(key, _)| (*key).cmp(&place)).ok().map(|at| self.collectors[at].1)
    }

    /// Subscribers of a population that were active at all.
    pub fn active(&self, population: PopulationIndex) -> u64 {
        self.profiles.active(population)
    }

    /// Share of the active subscribers, 0 to 1.
    pub fn coverage(&self, population: PopulationIndex, subscribers: u64) -> f64 {
        (subscribers as f64 / self.active(population).max(1) as f64).min(1.0)
    }

    /// Name and prefixes of a population.
    pub fn population(&self, population: PopulationIndex) -> PopulationShare {
        let Some(spec) = self.populations.spec(population) else { return PopulationShare::default() };
        PopulationShare {
            name: spec.name.clone(),
            prefixes: spec.prefixes.iter().map(ToString::to_string).collect(),
            ..PopulationShare::default()
        }
    }

    /// Names of these addresses: those that were asked for (SNI, Host) first, then those that were looked up.
    pub fn names_of(&self, addresses: &[Address]) -> Vec<String> {
        let mut asked: BTreeMap<TextId, u64> = BTreeMap::new();
        for (key, one) in &self.collectors {
            if addresses.binary_search(&key.address).is_ok() {
                one.names.iter().for_each(|(id, rows)| *asked.entry(id).or_default() += rows);
            }
        }
        let mut asked: Vec<(u64, &str)> =
            asked.into_iter().filter_map(|(id, rows)| Some((rows, self.summary.texts.of(id)?))).collect();
        asked.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        let looked_up = addresses.iter().flat_map(|&address| self.looked_up(address));
        let mut seen = BTreeSet::new();
        let all = asked.into_iter().map(|(_, name)| name).chain(looked_up);
        all.filter(|name| seen.insert(*name)).take(NAMES_SHOWN).map(str::to_owned).collect()
    }

    /// Names of a group: of a domain those below it, whatever else its addresses serve.
    fn names_for(&self, group: &Group<'_>) -> Vec<String> {
        let names = self.names_of(&group.of.addresses);
        if group.level != Level::Name {
            return names;
        }
        let below = |name: &String| name == &group.key || name.ends_with(&format!(".{}", group.key));
        let names: Vec<String> = names.into_iter().filter(below).collect();
        if names.is_empty() { vec![group.key.clone()] } else { names }
    }

    /// `subscribers` of a population, those in `sample` among them.
    pub fn share(&self, population: PopulationIndex, subscribers: u64, sample: Vec<Address>) -> PopulationShare {
        let coverage = self.coverage(population, subscribers);
        PopulationShare { subscribers, coverage, sample, ..self.population(population) }
    }

    /// A finding about a group that says nothing yet: who, whose, when and how much.
    pub fn blank(&self, technique: Technique, group: &Group<'_>) -> Finding {
        let whole = &group.whole;
        let mut sample: Vec<Address> = whole.sample().iter().take(SAMPLE).map(|one| one.subscriber).collect();
        sample.sort_unstable();
        let population = self.share(group.of.population, whole.subscribers.count(), sample);
        Finding {
            proto: proto_of(whole),
            app_proto: app_of(whole),
            flows: whole.totals.flows,
            packets: whole.totals.packets_both(),
            bytes_up: whole.totals.bytes_up(),
            bytes_down: whole.totals.bytes_down(),
            ..Finding::blank(technique, self.identity(group), population, whole.seen)
        }
    }

    /// A party whose name was used: several addresses of one network, told by the first.
    pub fn impersonated(
        &self,
        collector_key: String,
        leader: Address,
        addresses: BTreeSet<Address>,
        ports: BTreeSet<u16>,
    ) -> CollectorIdentity {
        let (place, addresses) = (self.places.of(leader), Vec::from_iter(addresses));
        CollectorIdentity {
            collector_key,
            prefix: Some(words::prefix(leader)),
            asn: place.asn,
            country: place.country,
            names: self.names_of(&addresses),
            addresses,
            ports: Vec::from_iter(ports),
        }
    }

    /// Who a group is.
    pub fn identity(&self, group: &Group<'_>) -> CollectorIdentity {
        let services = group.whole.services.by_count();
        let at_collector = services.iter().filter(|(service, _)| service.at == ServiceAt::Collector);
        let mut ports: Vec<u16> = at_collector.map(|(service, _)| service.port).filter(|port| *port != 0).collect();
        ports.dedup();
        ports.truncate(PORTS_SHOWN);
        let prefixes: BTreeSet<String> = group.of.addresses.iter().map(|a| words::prefix(*a)).collect();
        let place = group.of.addresses.first().map(|a| self.places.of(*a)).unwrap_or_default();
        CollectorIdentity {
            collector_key: group.key.clone(),
            addresses: group.of.addresses.clone(),
            ports,
            prefix: (prefixes.len() == 1).then(|| prefixes.into_iter().next()).flatten(),
            asn: place.asn,
            country: place.country,
            names: self.names_for(group),
        }
    }
}

/// EVE's word for the protocol that most rows of a collector use.
pub fn proto_of(whole: &CollectorSummary) -> &'static str {
    match whole.protocols.by_count().first() {
        Some((6, _)) => "TCP",
        Some((17, _)) => "UDP",
        Some((132, _)) => "SCTP",
        Some((1, _)) => "ICMP",
        Some((58, _)) => "IPv6-ICMP",
        _ => "IP",
    }
}

/// EVE's word for the application that most rows of a collector speak.
pub fn app_of(whole: &CollectorSummary) -> Option<&'static str> {
    whole.apps.by_count().first().map(|(app, _)| app.name())
}

/// The port that most rows of a collector call, if there is one.
pub fn service_of(whole: &CollectorSummary) -> Option<Service> {
    whole.services.by_count().first().map(|(service, _)| *service)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::row::CarrierRow;
    use crate::packet::columns::TunnelKind;
    use crate::population::limits::SummaryLimits;
    use crate::population::summary::tests::{populations, row, summary_of};

    #[test]
    fn a_packet_in_a_tunnel_makes_nobody_a_tunnels_end() {
        let [device, far] = [Address::v4([10, 0, 0, 7]), Address::v4([203, 0, 113, 7])];
        let [router, sink] = [Address::v4([10, 0, 0, 254]), Address::v4([198, 51, 100, 9])];
        // Bytes of the population that are wrapped, beside a hundred thousand that the same party is given openly.
        for (wrapped, wanted) in [(500, false), (20_000, false), (90_000, true)] {
            let mut inner = row(device, far, 10, 1_000, 200);
            inner.key.context = 9;
            inner.carrier = Some(CarrierRow {
                kind: TunnelKind::Gre,
                outer: [router, sink],
                port: 0,
                id: 1,
                depth: 1,
                packets: [[4, 0], [4, 0]],
                bytes: [[wrapped, 0], [0, 0]],
            });
            let summary = summary_of(&[inner, row(device, sink, 20, 100_000, 200)], &SummaryLimits::default());
            let (populations, places) = (populations(), Places::default());
            let ends = Scene::new(&summary, &populations, &places, None).tunnel_ends();
            assert_eq!(ends.contains(&sink), wanted, "{wrapped} bytes");
        }
    }
}
