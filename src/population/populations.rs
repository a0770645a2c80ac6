//! Populations: whose address space is protected.
//! In: named prefixes, as the policy means them. Out: which population an address belongs to, and which subscriber it is.
//! Bounds: [`POPULATIONS_MAX`] populations, [`PREFIXES_MAX`] prefixes; a look-up is a binary search over disjoint ranges.
//! Not here: what the far end is (`role`), pseudonyms (`identity`).

use std::hash::Hasher;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

use crate::units::Address;

/// Most populations of one policy.
pub const POPULATIONS_MAX: usize = 4096;
/// Most prefixes over all populations.
pub const PREFIXES_MAX: usize = 1 << 20;
/// What all populations together are called; no single one may be.
pub const EVERYBODY: &str = "all populations";

/// Which population, by its place in the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PopulationIndex(pub u16);

/// One population, as the policy means it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PopulationSpec {
    /// Its name in every output.
    pub name: String,
    /// Its address space. Host bits are ignored.
    pub prefixes: Vec<IpNet>,
    /// ISO 3166-1 code of the law it lives under, where the policy says.
    pub jurisdiction: Option<String>,
    /// The resolvers it is meant to use.
    pub resolvers: Vec<IpAddr>,
}

impl PopulationSpec {
    /// The resolvers that it is meant to use, as summaries know them.
    pub fn resolver_addresses(&self) -> impl Iterator<Item = Address> + '_ {
        self.resolvers.iter().map(|ip| Address::from(*ip).untranslated())
    }
}

/// Where a jurisdiction's data may go, as the policy means it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferRule {
    /// ISO 3166-1 code of the jurisdiction.
    pub from: String,
    /// Codes of the countries that are allowed; its own always is.
    pub allow: Vec<String>,
    /// Bytes a day from which a transfer is one.
    pub day_bytes_min: u64,
}

impl TransferRule {
    /// Whether data may go to that country.
    pub fn allows(&self, country: &str) -> bool {
        country == self.from || self.allow.iter().any(|allowed| allowed == country)
    }
}

/// Why a set of populations was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PopulationsError {
    /// Two have one name.
    #[error("population {name:?} is declared twice; join their prefixes under one name")]
    SameName {
        /// The name.
        name: String,
    },
    /// The name of all together.
    #[error(
        "no population may be called {EVERYBODY:?}: that is what findings call all of them together; choose another name"
    )]
    Everybody,
    /// It protects no one.
    #[error("population {name:?} has no prefix; add at least one to `prefixes`")]
    NoPrefix {
        /// Its name.
        name: String,
    },
    /// One prefix in two populations: the longest match would have two answers.
    #[error(
        "prefix {prefix} belongs to both {first:?} and {second:?}; keep it in one, or give one of them a longer prefix"
    )]
    SamePrefix {
        /// The prefix.
        prefix: IpNet,
        /// The population that has it first.
        first: String,
        /// The other.
        second: String,
    },
    /// Over a limit.
    #[error("{found} {what}, at most {most} are handled; aggregate them")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many may be.
        most: usize,
    },
}

/// All populations, ready for look-ups.
#[derive(Clone, Debug)]
pub struct Populations {
    specs: Vec<PopulationSpec>,
    v4: Ranges<u32>,
    v6: Ranges<u128>,
    fingerprint: u64,
    transfers: Vec<TransferRule>,
    /// Of all of them, ascending.
    resolvers: Vec<Address>,
}

impl Populations {
    /// Populations as declared. A prefix may lie inside another one's: the longest match counts.
    pub fn new(specs: Vec<PopulationSpec>) -> Result<Self, PopulationsError> {
        let prefixes: usize = specs.iter().map(|spec| spec.prefixes.len()).sum();
        for (what, found, most) in
            [("populations", specs.len(), POPULATIONS_MAX), ("population prefixes", prefixes, PREFIXES_MAX)]
        {
            if found > most {
                return Err(PopulationsError::TooMany { what, found, most });
            }
        }
        check_names(&specs)?;
        Self::sound(specs)
    }

    /// All of them as one, called [`EVERYBODY`].
    pub fn united(&self) -> Self {
        let specs = || self.specs.iter();
        let mut prefixes: Vec<IpNet> = specs().flat_map(|spec| spec.prefixes.iter().copied()).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        let resolvers = specs().flat_map(|spec| spec.resolvers.iter().copied()).collect();
        let all = PopulationSpec { name: EVERYBODY.to_owned(), prefixes, jurisdiction: None, resolvers };
        Self::sound(vec![all]).expect("what is sound apart is so together")
    }

    fn sound(specs: Vec<PopulationSpec>) -> Result<Self, PopulationsError> {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (index, spec) in specs.iter().enumerate() {
            let index = PopulationIndex(index as u16);
            for prefix in &spec.prefixes {
                match unmapped(*prefix) {
                    IpNet::V4(net) => v4.push(Declared {
                        first: net.network().into(),
                        last: net.broadcast().into(),
                        index,
                        prefix: IpNet::V4(net.trunc()),
                    }),
                    IpNet::V6(net) => v6.push(Declared {
                        first: net.network().into(),
                        last: net.broadcast().into(),
                        index,
                        prefix: IpNet::V6(net.trunc()),
                    }),
                }
            }
        }
        let (v4, v6) = (Ranges::of(v4, &specs)?, Ranges::of(v6, &specs)?);
        let fingerprint = fingerprint(&specs);
        let mut resolvers: Vec<Address> = specs.iter().flat_map(PopulationSpec::resolver_addresses).collect();
        resolvers.sort_unstable();
        Ok(Self { specs, v4, v6, fingerprint, transfers: Vec::new(), resolvers })
    }

    /// What stands where the policy names none: private IPv4 (RFC 1918), unique local IPv6 (RFC 4193) and the shared
    /// space behind carriers' translators (RFC 6598), as one population called "private".
    pub fn default_private() -> Self {
        let prefixes = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"];
        let prefixes = prefixes.iter().map(|text| text.parse().expect("literal prefixes")).collect();
        let spec = PopulationSpec { name: "private".to_owned(), prefixes, jurisdiction: None, resolvers: Vec::new() };
        Self::new(vec![spec]).expect("the literal prefixes are sound")
    }

    /// The population with the longest prefix that holds `address`.
    #[inline]
    pub fn of(&self, address: Address) -> Option<PopulationIndex> {
        match address.as_v4() {
            Some(octets) => self.v4.find(u32::from_be_bytes(octets)),
            None => self.v6.find(u128::from_be_bytes(address.0)),
        }
    }

    /// The subscriber behind an address: an IPv4 address as it is, of an IPv6 address its /64 (RFC 4291 section 2.5.1 gives
    /// the lower half to the host, and privacy extensions change it daily).
    #[inline]
    pub fn subscriber_of(&self, address: Address) -> Address {
        match address.is_v4() {
            true => address,
            false => {
                let mut octets = address.0;
                octets[8..].fill(0);
                Address(octets)
            }
        }
    }

    /// What was declared for a population; none for an index of other populations than these.
    pub fn spec(&self, index: PopulationIndex) -> Option<&PopulationSpec> {
        self.specs.get(usize::from(index.0))
    }

    /// Whether any population is meant to ask this address.
    pub fn is_resolver(&self, address: Address) -> bool {
        self.resolvers.binary_search(&address.untranslated()).is_ok()
    }

    /// The same with rules about where their data may go. Rules are no part of the fingerprint: summaries stay good when
    /// they change.
    pub fn with_transfers(self, transfers: Vec<TransferRule>) -> Self {
        Self { transfers, ..self }
    }

    /// The rule for a population's data; none where it has no jurisdiction or the policy does not speak of it.
    pub fn transfer_rule(&self, index: PopulationIndex) -> Option<&TransferRule> {
        let jurisdiction = self.spec(index)?.jurisdiction.as_deref()?;
        self.transfers.iter().find(|rule| rule.from == jurisdiction)
    }

    /// Those that a finding's population stands for: one, or all of them where it is [`EVERYBODY`].
    pub fn called(&self, name: &str) -> Vec<PopulationIndex> {
        self.iter().filter(|(_, spec)| name == EVERYBODY || spec.name == name).map(|(index, _)| index).collect()
    }

    /// All populations with their indices, in the policy's order.
    pub fn iter(&self) -> impl Iterator<Item = (PopulationIndex, &PopulationSpec)> {
        self.specs.iter().enumerate().map(|(i, spec)| (PopulationIndex(i as u16), spec))
    }

    /// A hash over names, prefixes, jurisdictions and resolvers, never zero: summaries over other populations do not merge.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

/// A prefix with its owner.
struct Declared<T> {
    first: T,
    last: T,
    index: PopulationIndex,
    prefix: IpNet,
}

/// Disjoint ranges in ascending order, each with its owner: nested prefixes are cut up once, at start.
#[derive(Clone, Debug)]
struct Ranges<T> {
    firsts: Vec<T>,
    lasts: Vec<(T, PopulationIndex)>,
}

/// An address as a number.
trait Number: Copy + Ord {
    fn next(self) -> Option<Self>;
    fn before(self) -> Self;
}

macro_rules! number {
    ($($ty:ty),*) => { $(impl Number for $ty {
        fn next(self) -> Option<Self> { self.checked_add(1) }
        fn before(self) -> Self { self.saturating_sub(1) }
    })* };
}
number!(u32, u128);

impl<T: Number> Ranges<T> {
    fn of(mut declared: Vec<Declared<T>>, specs: &[PopulationSpec]) -> Result<Self, PopulationsError> {
        // A parent comes before its children: same start, longer first.
        declared.sort_by(|a, b| a.first.cmp(&b.first).then(b.last.cmp(&a.last)).then(a.index.cmp(&b.index)));
        let twice = declared
            .windows(2)
            .find(|two| (two[0].first, two[0].last) == (two[1].first, two[1].last) && two[0].index != two[1].index);
        if let Some([first, second]) = twice {
            let name = |index: PopulationIndex| specs[usize::from(index.0)].name.clone();
            let (first_name, second_name) = (name(first.index), name(second.index));
            return Err(PopulationsError::SamePrefix { prefix: first.prefix, first: first_name, second: second_name });
        }
        let mut ranges = Self { firsts: Vec::new(), lasts: Vec::new() };
        let mut open: Vec<(T, PopulationIndex)> = Vec::new(); // enclosing prefixes: last address and owner
        let mut cursor: Option<T> = None; // first address of the innermost open prefix not yet given out
        for prefix in &declared {
            while let Some(&(last, owner)) = open.last().filter(|(last, _)| *last < prefix.first) {
                ranges.push(cursor, last, owner);
                cursor = last.next();
                open.pop();
            }
            if let Some(&(_, owner)) = open.last()
                && cursor.is_some_and(|c| c < prefix.first)
            {
                ranges.push(cursor, prefix.first.before(), owner);
            }
            cursor = Some(prefix.first);
            open.push((prefix.last, prefix.index));
        }
        while let Some((last, owner)) = open.pop() {
            ranges.push(cursor, last, owner);
            cursor = last.next();
        }
        Ok(ranges)
    }

    fn push(&mut self, first: Option<T>, last: T, owner: PopulationIndex) {
        let Some(first) = first.filter(|first| *first <= last) else { return };
        match self.lasts.last_mut() {
            Some((end, same)) if *same == owner && end.next() == Some(first) => *end = last,
            _ => {
                self.firsts.push(first);
                self.lasts.push((last, owner));
            }
        }
    }

    #[inline]
    fn find(&self, address: T) -> Option<PopulationIndex> {
        let after = self.firsts.partition_point(|first| *first <= address);
        let (last, owner) = *self.lasts.get(after.checked_sub(1)?)?;
        (address <= last).then_some(owner)
    }
}

fn check_names(specs: &[PopulationSpec]) -> Result<(), PopulationsError> {
    let mut names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
    names.sort_unstable();
    if let Some(two) = names.windows(2).find(|two| two[0] == two[1]) {
        return Err(PopulationsError::SameName { name: two[0].to_owned() });
    }
    if names.contains(&EVERYBODY) {
        return Err(PopulationsError::Everybody);
    }
    match specs.iter().find(|spec| spec.prefixes.is_empty()) {
        Some(spec) => Err(PopulationsError::NoPrefix { name: spec.name.clone() }),
        None => Ok(()),
    }
}

/// A prefix of mapped IPv4 (`::ffff:a.b.c.d/n` with n from 96) is the IPv4 prefix that it stands for.
fn unmapped(prefix: IpNet) -> IpNet {
    let IpNet::V6(net) = prefix else { return prefix };
    let mapped = net.network().to_ipv4_mapped().zip(net.prefix_len().checked_sub(96));
    match mapped.and_then(|(v4, len)| Ipv4Net::new(v4, len).ok()) {
        Some(v4) => IpNet::V4(v4),
        None => prefix,
    }
}

fn fingerprint(specs: &[PopulationSpec]) -> u64 {
    let mut hasher = SipHasher13::new_with_key(b"trawl.population");
    let mut word = |text: &str| {
        hasher.write(text.as_bytes());
        hasher.write_u8(0xff);
    };
    for spec in specs {
        word(&spec.name);
        let mut prefixes: Vec<IpNet> = spec.prefixes.iter().map(|p| unmapped(*p).trunc()).collect();
        prefixes.sort_unstable();
        prefixes.iter().for_each(|prefix| word(&prefix.to_string()));
        word(spec.jurisdiction.as_deref().unwrap_or(""));
        let mut resolvers = spec.resolvers.clone();
        resolvers.sort_unstable();
        resolvers.iter().for_each(|resolver| word(&resolver.to_string()));
        word("");
    }
    hasher.finish().max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spec(name: &str, prefixes: &[&str]) -> PopulationSpec {
        let prefixes = prefixes.iter().map(|text| text.parse().expect("a literal prefix")).collect();
        PopulationSpec { name: name.to_owned(), prefixes, jurisdiction: None, resolvers: Vec::new() }
    }

    fn address(text: &str) -> Address {
        text.parse::<IpAddr>().expect("a literal address").into()
    }

    #[test]
    fn a_resolver_behind_a_translator_is_the_one_that_is_meant() {
        let resolvers =
            ["192.0.2.53", "64:ff9b::c000:235", "2001:db8::53"].map(|text| text.parse().expect("a literal"));
        let spec = PopulationSpec { resolvers: resolvers.to_vec(), ..spec("residents", &[]) };
        let wanted = ["192.0.2.53", "192.0.2.53", "2001:db8::53"].map(address);
        assert_eq!(spec.resolver_addresses().collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn the_longest_prefix_counts() {
        let wide = spec("wide", &["10.0.0.0/8", "2001:db8::/32", "255.255.255.255/32", "0.0.0.0/32"]);
        let inner = spec("inner", &["10.20.0.0/16", "10.20.30.0/24", "2001:db8:1::/48", "::ffff:192.0.2.0/120"]);
        let hole = spec("hole", &["10.20.30.128/25"]);
        let populations = Populations::new(vec![wide, inner, hole]).expect("sound");
        let table = [
            ("10.0.0.0", Some(0)),
            ("10.19.255.255", Some(0)),
            ("10.20.0.0", Some(1)),
            ("10.20.30.127", Some(1)),
            ("10.20.30.128", Some(2)),
            ("10.20.30.255", Some(2)),
            ("10.20.31.0", Some(1)),
            ("10.21.0.0", Some(0)),
            ("11.0.0.0", None),
            ("9.255.255.255", None),
            ("255.255.255.255", Some(0)),
            ("0.0.0.0", Some(0)),
            ("0.0.0.1", None),
            ("192.0.2.7", Some(1)),
            ("2001:db8::1", Some(0)),
            ("2001:db8:1:ffff::", Some(1)),
            ("2001:db8:2::", Some(0)),
            ("2001:db9::", None),
        ];
        for (text, wanted) in table {
            assert_eq!(populations.of(address(text)), wanted.map(PopulationIndex), "{text}");
        }
    }

    #[test]
    fn united_they_are_one() {
        let several = [spec("a", &["10.0.0.0/8"]), spec("b", &["10.1.0.0/16", "2001:db8::/32"])];
        let united = Populations::new(several.to_vec()).expect("sound").united();
        for (text, wanted) in [("10.0.0.1", true), ("10.1.0.1", true), ("2001:db8::1", true), ("11.0.0.1", false)] {
            assert_eq!(united.of(address(text)), wanted.then_some(PopulationIndex(0)), "{text}");
        }
        let names: Vec<_> = united.iter().map(|(_, spec)| spec.name.as_str()).collect();
        assert_eq!(names, [EVERYBODY]);
        let several = Populations::new(several.to_vec()).expect("sound");
        assert_eq!(several.called("b"), [PopulationIndex(1)]);
        assert_eq!(several.called(EVERYBODY), [PopulationIndex(0), PopulationIndex(1)]);
    }

    #[test]
    fn private_space_is_the_default() {
        let populations = Populations::default_private();
        let table = [
            ("10.1.2.3", true),
            ("172.31.255.255", true),
            ("172.32.0.0", false),
            ("192.168.0.1", true),
            ("100.127.0.1", true),
            ("100.128.0.1", false),
            ("fd00::1", true),
            ("fe80::1", false),
            ("8.8.8.8", false),
        ];
        for (text, inside) in table {
            assert_eq!(populations.of(address(text)).is_some(), inside, "{text}");
        }
        assert_eq!(populations.subscriber_of(address("fd00:0:0:1:2:3:4:5")), address("fd00:0:0:1::"));
        assert_eq!(populations.subscriber_of(address("10.1.2.3")), address("10.1.2.3"));
        assert_eq!(populations.spec(PopulationIndex(0)).map(|s| s.name.as_str()), Some("private"));
        assert_eq!(populations.spec(PopulationIndex(1)), None);
    }

    #[test]
    fn unsound_populations_are_refused_by_name() {
        let table = [
            (vec![spec("a", &["10.0.0.0/8"]), spec("a", &["11.0.0.0/8"])], "\"a\" is declared twice"),
            (vec![spec("a", &[])], "no prefix"),
            (vec![spec(EVERYBODY, &["10.0.0.0/8"])], "may be called \"all populations\""),
            (vec![spec("a", &["10.0.0.0/8"]), spec("b", &["10.1.0.0/8"])], "both \"a\" and \"b\""),
        ];
        for (specs, wanted) in table {
            let error = Populations::new(specs).expect_err("refused").to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    proptest! {
        #[test]
        fn as_the_longest_match_by_hand(nets in prop::collection::vec((any::<u32>(), 0u8..=32, 0u16..4), 1..20),
                                        probes in prop::collection::vec(any::<u32>(), 50)) {
            let mut by_prefix = std::collections::BTreeMap::new();
            for (bits, len, owner) in nets {
                let net = Ipv4Net::new(bits.into(), len).expect("a length").trunc();
                by_prefix.entry(net).or_insert(owner);
            }
            let specs = (0..4u16).map(|owner| {
                let mine = by_prefix.iter().filter(|(_, o)| **o == owner).map(|(net, _)| IpNet::V4(*net));
                // IPv6, so that it is never empty and never in the way.
                let prefixes = mine.chain([format!("2001:db8:{owner}::/48").parse().expect("a prefix")]).collect();
                PopulationSpec { name: owner.to_string(), prefixes, jurisdiction: None, resolvers: vec![] }
            });
            let populations = Populations::new(specs.collect()).expect("sound");
            let borders = by_prefix.keys().flat_map(|n| {
                let (first, last) = (u32::from(n.network()), u32::from(n.broadcast()));
                [first, last, first.wrapping_sub(1), last.wrapping_add(1)]
            });
            for probe in probes.into_iter().chain(borders) {
                let ip = std::net::Ipv4Addr::from(probe);
                let by_hand = by_prefix.iter().filter(|(net, _)| net.contains(&ip)).max_by_key(|(net, _)| net.prefix_len());
                prop_assert_eq!(populations.of(IpAddr::from(ip).into()), by_hand.map(|(_, owner)| PopulationIndex(*owner)));
            }
        }
    }
}
