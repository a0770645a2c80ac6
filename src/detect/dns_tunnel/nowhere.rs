//! Nowhere: domains whose names are answered with addresses that nobody can have.
//! In: what was answered to each name. Out: the domains whose answers carry data in place of addresses.
//! An address record holds 4 or 16 bytes, and whoever writes data into them meets the whole space: of IPv6 seven eighths are not handed
//! out (IANA: global unicast is 2000::/3), of IPv4 a ninth (0.0.0.0/8, 224.0.0.0/3). Services that answer about digests give verdicts in
//! 127.0.0.0/8, the same few for all; a sinkhole gives one address for all.
//! Bounds: those of the answers that a summary keeps.

use std::collections::{BTreeMap, BTreeSet};

use crate::detect::scene::Scene;
use crate::population::PopulationIndex;
use crate::population::identity::Party;
use crate::population::zones::Zone;
use crate::units::Address;

/// Different addresses that nobody can have, and their share of all that are given below a domain: a twelfth of IPv4 by chance is left
/// of a ninth.
const NOWHERE_MIN: usize = 4;
const NOWHERE_SHARE_MIN: f64 = 0.08;

/// Domains whose answers are no addresses.
pub(super) fn domains<'a>(scene: &Scene<'a>, population: PopulationIndex) -> BTreeSet<&'a str> {
    let mut given: BTreeMap<&str, BTreeSet<Address>> = BTreeMap::new();
    for (key, answered) in scene.summary.answered.sorted() {
        if key.population != population {
            continue;
        }
        let Some(Zone::Domain(domain, _)) = scene.summary.texts.of(key.name).map(Zone::of) else { continue };
        given.entry(domain).or_default().extend(answered.given.iter().filter_map(|one| Party::outside(&one.address)));
    }
    let is_free = |addresses: &BTreeSet<Address>| {
        let nowhere = addresses.iter().filter(|address| is_nowhere(**address)).count();
        nowhere >= NOWHERE_MIN && nowhere as f64 >= NOWHERE_SHARE_MIN * addresses.len() as f64
    };
    given.into_iter().filter(|(_, addresses)| is_free(addresses)).map(|(domain, _)| domain).collect()
}

/// Whether nobody can be reached there: neither handed out nor kept for networks of one's own, translators, or nothing at all.
fn is_nowhere(address: Address) -> bool {
    match address.as_v4() {
        Some([0, rest @ ..]) => rest != [0, 0, 0],
        Some(octets) => octets[0] >= 224 && octets != [255; 4],
        None => {
            let first = address.0[0];
            let is_own = first & 0xfe == 0xfc || first == 0xfe || first == 0xff;
            // ::, ::1, mapped and translated addresses (RFC 4291, RFC 6052, RFC 8215), discard only (RFC 6666).
            let is_reserved = first <= 1;
            !is_own && !is_reserved && first & 0xe0 != 0x20
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_these() {
        let v6 = |text: &str| Address::from(text.parse::<std::net::IpAddr>().expect("an address"));
        let table = [
            ("0.0.0.0", false),
            ("0.12.9.1", true),
            ("10.0.0.1", false),
            ("127.0.0.2", false),
            ("198.51.100.7", false),
            ("224.0.0.251", true),
            ("247.9.1.3", true),
            ("255.255.255.255", false),
            ("::", false),
            ("::1", false),
            ("64:ff9b::a00:1", false),
            ("2001:db8::1", false),
            ("3fff::1", false),
            ("fd00::1", false),
            ("fe80::1", false),
            ("a4ec:d410:b54b:d0d4:5d6e:9510:ff4c:14a8", true),
            ("1e3d:84e0:b4e6:6624:2e11:2c7d:45fe:9f9f", true),
        ];
        for (text, wanted) in table {
            assert_eq!(is_nowhere(v6(text)), wanted, "{text}");
        }
    }
}
