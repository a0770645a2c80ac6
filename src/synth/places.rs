//! Places: a country and ASN database in MaxMind's format (version 2.0), so that captures of invented addresses have a
//! geography too. In: networks and where they are. Out: the bytes of an `.mmdb` file that `--geo` reads.
//! Bounds: a node for each bit of each prefix. Source: the published format (maxmind.github.io/MaxMind-DB).

use std::collections::BTreeMap;

use crate::units::Address;

/// Where some addresses are; the longest prefix that holds an address says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) network: Address,
    /// Bits of the network, counted as IPv6 does: 96 more for IPv4.
    pub(crate) bits: u8,
    /// ISO 3166-1 alpha-2.
    pub(crate) country: String,
    pub(crate) asn: u32,
    /// Whose autonomous system it is.
    pub(crate) org: String,
}

impl Placed {
    pub(crate) fn new(network: Address, bits: u8, country: &str, asn: u32, org: &str) -> Self {
        let bits = if network.is_v4() { bits.min(32) + 96 } else { bits.min(128) };
        Self { network, bits, country: country.to_owned(), asn, org: org.to_owned() }
    }

    /// The 128 bits that the tree is walked by: IPv4 lies under ::/96.
    fn path(&self) -> u128 {
        match self.network.as_v4() {
            Some(v4) => u128::from(u32::from_be_bytes(v4)),
            None => u128::from_be_bytes(self.network.0),
        }
    }
}

/// What a branch of the tree leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Branch {
    Nothing,
    Node(u32),
    Place(u32),
}

/// The separator between tree and data.
const SEPARATOR: [u8; 16] = [0; 16];
const METADATA_MARK: &[u8] = b"\xab\xcd\xefMaxMind.com";
const RECORD_BITS: u32 = 32;

/// The whole file; `epoch_s` is when it says that it was built.
pub(crate) fn database(placed: &[Placed], epoch_s: u64) -> Vec<u8> {
    // Short prefixes first: longer ones then split what these have filled. Of two alike the later one says.
    let mut sorted: Vec<&Placed> = placed.iter().collect();
    sorted.sort_by_key(|placed| placed.bits);
    let (mut nodes, mut offsets, mut records) = (vec![[Branch::Nothing; 2]], BTreeMap::new(), Vec::new());
    for place in sorted {
        let bytes = record(place);
        let offset = *offsets.entry(bytes.clone()).or_insert_with(|| {
            records.extend(&bytes);
            (records.len() - bytes.len()) as u32
        });
        insert(&mut nodes, place.path(), u32::from(place.bits), offset);
    }
    let count = nodes.len() as u32;
    let mut out = Vec::with_capacity(nodes.len() * 8 + records.len() + 300);
    for branch in nodes.iter().flatten() {
        let value = match branch {
            Branch::Nothing => count,
            Branch::Node(number) => *number,
            Branch::Place(offset) => count + SEPARATOR.len() as u32 + offset,
        };
        out.extend(value.to_be_bytes());
    }
    out.extend(SEPARATOR);
    out.extend(&records);
    out.extend(METADATA_MARK);
    out.extend(metadata(count, epoch_s));
    out
}

fn insert(nodes: &mut Vec<[Branch; 2]>, path: u128, bits: u32, offset: u32) {
    let mut node = 0;
    for depth in 0..bits {
        let side = (path >> (127 - depth) & 1) as usize;
        if depth + 1 == bits {
            nodes[node][side] = Branch::Place(offset);
            return;
        }
        node = match nodes[node][side] {
            Branch::Node(next) => next as usize,
            leaf => {
                nodes.push([leaf; 2]);
                nodes[node][side] = Branch::Node((nodes.len() - 1) as u32);
                nodes.len() - 1
            }
        };
    }
}

/// What is said of a place, under the names that MaxMind's country and ASN databases use.
fn record(place: &Placed) -> Vec<u8> {
    let mut out = Vec::new();
    map(3, &mut out);
    text("autonomous_system_number", &mut out);
    unsigned(6, &place.asn.to_be_bytes(), &mut out);
    text("autonomous_system_organization", &mut out);
    text(&place.org, &mut out);
    text("country", &mut out);
    map(1, &mut out);
    text("iso_code", &mut out);
    text(&place.country, &mut out);
    out
}

fn metadata(nodes: u32, epoch_s: u64) -> Vec<u8> {
    let mut out = Vec::new();
    map(9, &mut out);
    text("node_count", &mut out);
    unsigned(6, &nodes.to_be_bytes(), &mut out);
    text("record_size", &mut out);
    unsigned(5, &(RECORD_BITS as u16).to_be_bytes(), &mut out);
    text("ip_version", &mut out);
    unsigned(5, &6u16.to_be_bytes(), &mut out);
    text("database_type", &mut out);
    text("Trawlwatch-Synth-Country-ASN", &mut out);
    text("languages", &mut out);
    out.extend([1, 4]); // an array (extended type 4 + 7) of one
    text("en", &mut out);
    text("binary_format_major_version", &mut out);
    unsigned(5, &2u16.to_be_bytes(), &mut out);
    text("binary_format_minor_version", &mut out);
    unsigned(5, &0u16.to_be_bytes(), &mut out);
    text("build_epoch", &mut out);
    unsigned(9, &epoch_s.to_be_bytes(), &mut out);
    text("description", &mut out);
    map(1, &mut out);
    text("en", &mut out);
    text("Invented places of a synthetic capture", &mut out);
    out
}

fn map(pairs: u8, out: &mut Vec<u8>) {
    out.push(7 << 5 | pairs);
}

/// A string of up to 284 bytes.
fn text(text: &str, out: &mut Vec<u8>) {
    let mut bytes = text.as_bytes();
    bytes = &bytes[..bytes.len().min(284)];
    match bytes.len() {
        length @ 0..29 => out.push(2 << 5 | length as u8),
        length => out.extend([2 << 5 | 29, (length - 29) as u8]),
    }
    out.extend(bytes);
}

/// An unsigned number of this type: 5, 6 or (extended) 9; without its leading zeros.
fn unsigned(kind: u8, bytes: &[u8], out: &mut Vec<u8>) {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let length = (bytes.len() - zeros) as u8;
    match kind {
        0..8 => out.push(kind << 5 | length),
        _ => out.extend([length, kind - 7]),
    }
    out.extend(&bytes[zeros..]);
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::population::places::Places;

    #[test]
    fn what_is_written_is_read_again_longest_prefix_first() {
        let address = |text: &str| Address::from(text.parse::<IpAddr>().expect("an address"));
        let placed = [
            Placed::new(address("198.51.100.0"), 24, "NL", 64_500, "Kastanet"),
            Placed::new(address("198.51.100.7"), 32, "US", 4_200_000_001, "A firm with a name of more than 29 letters"),
            Placed::new(address("198.0.0.0"), 8, "DE", 64_501, "Muster"),
            Placed::new(address("2001:db8:10::"), 48, "SG", 64_502, "Wolke"),
        ];
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.mmdb");
        std::fs::write(&path, database(&placed, 1_772_000_000)).expect("written");
        let places = Places::open(&[path]).expect("a sound database");
        for (asked, wanted) in [
            ("198.51.100.8", Some((64_500, "NL"))),
            ("198.51.100.7", Some((4_200_000_001, "US"))),
            ("198.51.101.1", Some((64_501, "DE"))),
            ("2001:db8:10::9", Some((64_502, "SG"))),
            ("203.0.113.1", None),
            ("2001:db8:11::9", None),
        ] {
            let place = places.of(address(asked));
            let found = place.asn.zip(place.country.as_deref());
            assert_eq!(found, wanted, "{asked}");
        }
    }
}
