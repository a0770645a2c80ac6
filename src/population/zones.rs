//! Zones: what was asked below each registrable domain, by whom, and how much the names themselves can carry.
//! In: DNS messages of subscribers. Out: counts by domain, and a sample of the distinct names by length, form and asker.
//! Bounds: `zones_max` domains with [`NAMES_SAMPLED`] names each. A sampled name is kept as its hash only.
//! Reverse names of IPv6 (RFC 3596 section 2.5) of strangers, whose last 80 bits one site writes as it likes, are filed by its /48.
//! Not kept: names below the domain, other reverse names (`….arpa`), names that no public resolver knows (`….local`, RFC 6762).

use serde::{Deserialize, Serialize};

use super::conflict::Count;
use super::identity::Party;
use super::populations::PopulationIndex;
use super::sketch::{CountedSet, Distinct, Least, Merge, ascending};
use super::span::Seen;
use super::table::Weighed;
use super::texts::TextId;
use super::totals::count;
use crate::units::Address;

/// Distinct names sampled of a domain: below this all are known, above their number has a standard error of 1/√62 = 13 %.
pub const NAMES_SAMPLED: usize = 64;
/// Resolvers and askers kept of a domain.
const PARTIES_KEPT: usize = 8;
/// Longest label that is not [`NameForm::Packed`]: that of a UUID.
const LABEL_BYTES_USUAL: usize = 36;
/// Letters of a SHA-256 digest in Base32 (RFC 4648 section 6) without padding, as lists of hashes are asked.
const DIGEST_IN_BASE32: usize = 52;
/// Hexadecimal digits from which on a label is no word.
const HEX_MIN: usize = 16;
/// What stands for the domain of names that have none: their last label can be no top-level domain (RFC 3696 section 2).
pub const NO_DOMAIN: &str = "names without a domain, asked of ";
/// What stands for the domain of reverse names, before the site's prefix.
pub const REVERSE: &str = "the reverse zone of ";
/// Last labels that end in a network of one's own (RFC 6761, RFC 6762 appendix G, RFC 8375) or a protocol of its own.
const LOCAL_ENDINGS: [&str; 14] = [
    "arpa",
    "local",
    "localhost",
    "localdomain",
    "lan",
    "home",
    "internal",
    "intranet",
    "private",
    "corp",
    "invalid",
    "onion",
    "domain",
    "workgroup",
];

/// Which domain, asked for by which population.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ZoneKey {
    /// The population.
    pub population: PopulationIndex,
    /// The domain's text.
    pub zone: TextId,
}

/// What the labels below a domain look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NameForm {
    /// Anything else.
    Plain,
    /// An address, its parts in reverse order: block lists (RFC 5782).
    Reversed,
    /// A digest (MD5, SHA-1, SHA-256 in hexadecimal, SHA-256 in Base32): reputation services.
    Digest,
    /// A label longer than a digest, a UUID or a readable one mostly is.
    Packed,
    /// Hexadecimal digits as long as half a digest or more, and no digest: reputation services have shortened ones, tunnels have
    /// what they carry.
    Hex,
}

/// The part of a name below its domain, measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Below {
    /// Bytes that it can carry: label bytes; of an address written in reverse, the address' own.
    pub bytes: u16,
    /// What it looks like.
    pub form: NameForm,
}

impl Below {
    /// What the 80 bits behind a site's prefix carry.
    pub const OF_REVERSE: Self = Self { bytes: 10, form: NameForm::Plain };

    /// Of the labels below a domain; a byte written as `\xNN` is one.
    pub fn of(labels: &str) -> Self {
        let escapes = labels.matches('\\').count();
        let bytes = labels.bytes().filter(|byte| *byte != b'.').count() - 3 * escapes;
        let parts = || labels.split('.');
        let octets = parts().take(4).filter(|part| part.parse::<u8>().is_ok()).count();
        let nibbles = parts().take(32).filter(|part| matches!(part.as_bytes(), [d] if d.is_ascii_hexdigit())).count();
        let is_digest = |part: &str| match part.len() {
            32 | 40 | 64 => part.bytes().all(|byte| byte.is_ascii_hexdigit()),
            DIGEST_IN_BASE32 => part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7')),
            _ => false,
        };
        let is_hex = |part: &str| part.len() >= HEX_MIN && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        let hex = parts().find(|part| is_hex(part)).map_or(0, str::len);
        let digest = parts().find(|part| is_digest(part)).map_or(0, str::len);
        let longest = parts().map(|part| part.len() - 3 * part.matches('\\').count()).max().unwrap_or(0);
        let (bytes, form) = match () {
            () if nibbles == 32 => (16, NameForm::Reversed),
            () if octets == 4 => (4, NameForm::Reversed),
            () if digest > 0 && bytes <= digest + 16 => (bytes, NameForm::Digest),
            () if longest > LABEL_BYTES_USUAL => (bytes, NameForm::Packed),
            () if hex > 0 && bytes <= hex + 16 => (bytes, NameForm::Hex),
            () => (bytes, NameForm::Plain),
        };
        Self { bytes: u16::try_from(bytes).unwrap_or(u16::MAX), form }
    }
}

/// The address that a whole reverse name of IPv6 spells (RFC 3596 section 2.5).
pub fn reversed(name: &str) -> Option<[u8; 16]> {
    let digits = name.trim_end_matches('.').strip_suffix(".ip6.arpa").filter(|digits| digits.len() == 63)?;
    let mut address = [0u8; 16];
    for (at, label) in digits.split('.').enumerate() {
        let mut letters = label.chars();
        let digit = letters.next().and_then(|letter| letter.to_digit(16))?;
        if at >= 32 || letters.next().is_some() {
            return None;
        }
        address[15 - at / 2] |= (digit as u8) << (4 * (at % 2));
    }
    Some(address)
}

/// The site whose reverse name one is, to be filed under; none for neighbours and networks of one's own (RFC 4193, RFC 4291).
pub fn reverse_zone(address: [u8; 16]) -> Option<String> {
    let is_global = matches!(address[0], 0x20..=0x3f);
    let mut site = [0; 16];
    site[..6].copy_from_slice(&address[..6]);
    is_global.then(|| format!("{REVERSE}{}/48", std::net::Ipv6Addr::from(site)))
}

/// Where a name belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone<'a> {
    /// Below this registrable domain, with these labels (none: the domain itself).
    Domain(&'a str, &'a str),
    /// Below no domain at all.
    Stray,
    /// In a network of one's own, or a reverse name.
    Local,
}

impl<'a> Zone<'a> {
    /// Of a name as DNS messages have it.
    pub fn of(name: &'a str) -> Self {
        let last = name.rsplit('.').next().unwrap_or_default();
        if LOCAL_ENDINGS.contains(&last) || last.is_empty() {
            return Self::Local;
        }
        let is_known = psl::suffix(name.as_bytes()).is_some_and(|suffix| suffix.is_known());
        if !is_known && (last.len() > 24 || !last.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-')) {
            return if name.contains('.') { Self::Stray } else { Self::Local };
        }
        let Some(domain) = psl::domain_str(name) else { return Self::Local };
        let labels = name[..name.len() - domain.len()].trim_end_matches('.');
        Self::Domain(domain, labels)
    }
}

/// One sampled name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampledName {
    /// Bytes that it can carry.
    pub bytes: u16,
    /// What it looks like.
    pub form: NameForm,
    /// Pseudonym of who asked for it; of several the lowest.
    pub asker: Address,
    /// Whether several did.
    pub shared: bool,
    /// Whether it was asked of a resolver of the population, which asks outside in its turn: askers are then those who asked it,
    /// and no others.
    pub within: bool,
}

/// The distinct names of a domain: those with the smallest hashes stand for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameSample {
    #[serde(deserialize_with = "ascending")]
    names: Vec<(u64, SampledName)>,
}

impl NameSample {
    /// Puts a name in.
    pub fn add(&mut self, hash: u64, name: SampledName) {
        match self.names.binary_search_by_key(&hash, |(known, _)| *known) {
            Ok(at) => join(&mut self.names[at].1, name),
            Err(at) if at < NAMES_SAMPLED => {
                self.names.insert(at, (hash, name));
                self.names.truncate(NAMES_SAMPLED);
            }
            Err(_) => {}
        }
    }

    /// The sampled names.
    pub fn iter(&self) -> impl Iterator<Item = &SampledName> {
        self.names.iter().map(|(_, name)| name)
    }

    /// Share of the sampled names that are among those of another sample, 0 to 1.
    pub fn share_in(&self, other: &Self) -> f64 {
        let is_there = |hash: &u64| other.names.binary_search_by_key(hash, |(known, _)| *known).is_ok();
        self.names.iter().filter(|(hash, _)| is_there(hash)).count() as f64 / self.names.len().max(1) as f64
    }

    /// How many are sampled.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Distinct names, exact below [`NAMES_SAMPLED`].
    pub fn distinct(&self) -> f64 {
        match self.names.last() {
            Some((greatest, _)) if self.names.len() >= NAMES_SAMPLED => {
                (NAMES_SAMPLED - 1) as f64 / ((*greatest as f64 + 1.0) / 2f64.powi(64))
            }
            _ => self.names.len() as f64,
        }
    }
}

/// Two looks at one name. Where both legs of a query are seen, the second is the resolver's and no second asker's.
fn join(known: &mut SampledName, again: SampledName) {
    match (known.within, again.within) {
        (true, false) => {}
        (false, true) => (known.asker, known.shared, known.within) = (again.asker, again.shared, true),
        _ => {
            known.shared |= again.shared || known.asker != again.asker;
            known.asker = known.asker.min(again.asker);
        }
    }
    // One hash, two names: whatever is greater stays, whoever came first.
    known.bytes = known.bytes.max(again.bytes);
    known.form = known.form.max(again.form);
}

impl Merge for NameSample {
    fn merge(&mut self, other: Self) {
        other.names.into_iter().for_each(|(hash, name)| self.add(hash, name));
    }
}

/// What a summary knows of one domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneSummary {
    /// Queries.
    pub queries: u64,
    /// Responses.
    pub responses: u64,
    /// Responses that carried an address.
    pub responses_with_address: u64,
    /// Of those, all of whose addresses lie in 127.0.0.0/8: verdicts of lists (RFC 5782), no places.
    pub responses_loopback: u64,
    /// Responses that say that there is no such name.
    pub responses_no_name: u64,
    /// Bytes of queries and of responses.
    pub bytes: [u64; 2],
    /// Bytes of answers that the zone's owner is free to choose.
    pub free_bytes: u64,
    /// Messages to and from resolvers of the population.
    pub messages_within: u64,
    /// The distinct names below the domain.
    pub names: NameSample,
    /// Who asked, by keyed hash.
    pub clients: Distinct,
    /// Some of them, by pseudonym.
    pub client_sample: Least<Address, PARTIES_KEPT>,
    /// Whom they asked.
    pub resolvers: Least<Party, PARTIES_KEPT>,
    /// Messages by query type.
    pub qtypes: CountedSet<u16, 8>,
    /// First and last message.
    pub seen: Seen,
}

impl ZoneSummary {
    /// How often the usual message was seen: twice where both legs of a query are, to the population's resolver and from there.
    pub fn legs(&self) -> f64 {
        let all = self.queries.saturating_add(self.responses);
        let most = self.messages_within.max(all.saturating_sub(self.messages_within));
        all as f64 / most.max(1) as f64
    }

    pub(super) fn bound(&mut self) {
        self.qtypes.bound();
    }

    /// Takes a subscriber out.
    pub(super) fn forget(&mut self, pseudonym: Address, hash: Option<u64>) {
        self.names.names.retain(|(_, name)| name.asker != pseudonym);
        self.client_sample.retain(|asker| *asker != pseudonym);
        self.resolvers.retain(|party| !matches!(party, Party::Subscriber(_, who) if *who == pseudonym));
        if let Some(hash) = hash {
            self.clients.forget(hash);
        }
    }
}

impl Merge for ZoneSummary {
    fn merge(&mut self, other: Self) {
        let Self {
            queries,
            responses,
            responses_with_address,
            responses_loopback,
            responses_no_name,
            bytes,
            free_bytes,
            messages_within,
            names,
            clients,
            client_sample,
            resolvers,
            qtypes,
            seen,
        } = other;
        count(&mut self.queries, queries);
        count(&mut self.responses, responses);
        count(&mut self.responses_with_address, responses_with_address);
        count(&mut self.responses_loopback, responses_loopback);
        count(&mut self.responses_no_name, responses_no_name);
        self.bytes.iter_mut().zip(bytes).for_each(|(mine, theirs)| count(mine, theirs));
        count(&mut self.free_bytes, free_bytes);
        count(&mut self.messages_within, messages_within);
        self.names.merge(names);
        self.clients.merge(clients);
        self.client_sample.merge(client_sample);
        self.resolvers.merge(resolvers);
        self.qtypes.merge(qtypes);
        self.seen.merge(seen);
    }
}

impl Weighed for ZoneSummary {
    type Others = Count;

    /// Many distinct names first: a domain that is asked for by one name is no loss.
    fn weight(&self) -> u64 {
        let bytes: u64 = self.names.iter().map(|name| u64::from(name.bytes)).sum();
        bytes.saturating_mul(64).saturating_add(self.queries.saturating_add(self.responses))
    }

    fn to_others(&self) -> Count {
        Count(self.queries.saturating_add(self.responses))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reverse_name_is_its_sites() {
        let nibbles = |address: &str| {
            let address: std::net::Ipv6Addr = address.parse().expect("an address");
            let digits: Vec<String> =
                address.octets().iter().rev().flat_map(|b| [b & 15, b >> 4]).map(|d| format!("{d:x}")).collect();
            format!("{}.ip6.arpa", digits.join("."))
        };
        let zone = |name: &str| reversed(name).and_then(reverse_zone);
        let of_site = nibbles("2001:db8:1:2:3:4:5:6");
        assert_eq!(zone(&of_site), Some(format!("{REVERSE}2001:db8:1::/48")));
        assert_eq!(
            reversed(&of_site),
            Some("2001:db8:1:2:3:4:5:6".parse::<std::net::Ipv6Addr>().expect("one").octets())
        );
        for other in [&of_site[2..], &nibbles("fd00::1"), &nibbles("fe80::1"), "1.0.0.10.in-addr.arpa", "ip6.arpa"] {
            assert_eq!(zone(other), None, "{other}");
        }
        assert_eq!(zone(&of_site.replace("6.0", "60.")), None, "labels of two");
    }

    #[test]
    fn names_fall_into_their_zones() {
        let table = [
            ("www.example.com", Zone::Domain("example.com", "www")),
            ("example.com", Zone::Domain("example.com", "")),
            ("a.b.example.co.uk", Zone::Domain("example.co.uk", "a.b")),
            ("vaaaakardli.pirate.sea", Zone::Domain("pirate.sea", "vaaaakardli")),
            ("dnscat.45bf01f5001ffd0fac50f5000e77518991", Zone::Stray),
            ("printer.local", Zone::Local),
            ("7.0.20.10.in-addr.arpa", Zone::Local),
            ("com", Zone::Local),
            ("x1", Zone::Local),
            (".", Zone::Local),
        ];
        for (name, wanted) in table {
            assert_eq!(Zone::of(name), wanted, "{name}");
        }
    }

    #[test]
    fn labels_carry_what_they_can() {
        let md5 = "d41d8cd98f00b204e9800998ecf8427e";
        let nibbles = ["1"; 32].join(".");
        let table = [
            ("", 0, NameForm::Plain),
            ("www", 3, NameForm::Plain),
            ("a\\xff.\\x00b", 4, NameForm::Plain),
            ("4.3.2.1.zen", 4, NameForm::Reversed),
            ("4.3.2.300", 6, NameForm::Plain),
            (&nibbles, 16, NameForm::Reversed),
            (md5, 32, NameForm::Digest),
            ("mzxw6ytboi4dqmzxmfrggzdfmztwq2lknnwg23tpobyxe43uov3a", 52, NameForm::Digest),
            ("mzxw6ytboi4dqmzxmfrggzdfmztwq2lknnwg23tpobyxe43uov31", 52, NameForm::Packed),
            (&format!("{md5}.{md5}"), 64, NameForm::Plain),
            (&format!("{md5}{md5}"), 64, NameForm::Digest),
            (&format!("{md5}abcdefg.t"), 40, NameForm::Packed),
            (&md5[..26], 26, NameForm::Hex),
            (&"\\xff".repeat(30), 30, NameForm::Plain),
            (&"\\xff".repeat(60), 60, NameForm::Packed),
            ("0c5b7ea0-6c5c-4d1e-9f0f-5d0b8b9b2f6e", 36, NameForm::Plain),
        ];
        for (labels, bytes, form) in table {
            assert_eq!(Below::of(labels), Below { bytes, form }, "{labels}");
        }
    }

    #[test]
    fn a_sample_counts_names_and_knows_the_shared_ones() {
        let mut sample = NameSample::default();
        let asker = |host: u8| Address::v4([10, 0, 0, host]);
        let name =
            |host| SampledName { bytes: 20, form: NameForm::Plain, asker: asker(host), shared: false, within: false };
        let hash = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ n << 40;
        (0..40).for_each(|n| sample.add(hash(n), name(1)));
        sample.add(hash(7), name(2));
        assert_eq!((sample.distinct(), sample.iter().filter(|name| name.shared).count()), (40.0, 1));
        let mut parts = (NameSample::default(), NameSample::default());
        (0..2000).for_each(|n| if n % 2 == 0 { parts.0.add(hash(n), name(1)) } else { parts.1.add(hash(n), name(2)) });
        let (mut one, mut other) = (parts.0.clone(), parts.1.clone());
        one.merge(parts.1);
        other.merge(parts.0);
        assert_eq!(one, other);
        assert!((one.distinct() / 2000.0 - 1.0).abs() < 0.4, "{}", one.distinct());
    }

    #[test]
    fn a_resolver_that_asks_in_its_turn_is_no_second_asker() {
        let name = |host, within| {
            let asker = Address::v4([10, 0, 0, host]);
            SampledName { bytes: 40, form: NameForm::Packed, asker, shared: false, within }
        };
        let joined = |looks: &[SampledName]| {
            let mut sample = NameSample::default();
            looks.iter().for_each(|look| sample.add(7, *look));
            sample.iter().map(|name| (name.asker.as_v4().unwrap()[3], name.shared)).next().unwrap()
        };
        // Asked by 9 of the resolvers 1 and 2, which ask outside.
        let legs = [name(1, false), name(9, true), name(2, false)];
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [0, 2, 1]] {
            assert_eq!(joined(&order.map(|n| legs[n])), (9, false));
        }
        assert_eq!(joined(&[name(9, true), name(1, false), name(8, true)]), (8, true), "two ask the resolver");
        assert_eq!(joined(&[name(1, false), name(2, false)]), (1, true), "only the second leg is seen");
    }
}
