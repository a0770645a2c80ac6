//! Public resolvers, which people choose: by network.
//! In: an address. Out: whether it is one of them. Not here: whether it lies.

use crate::units::Address;

/// Public resolvers that people choose, by their networks (/24 or /48): operators' own documentation, 2026.
const PUBLIC_V4: [[u8; 3]; 36] = [
    [1, 0, 0],
    [1, 1, 1],
    [4, 2, 2],
    [8, 8, 4],
    [8, 8, 8],
    [8, 20, 247],
    [8, 26, 56],
    [9, 9, 9],
    [45, 11, 45],
    [45, 90, 28],
    [45, 90, 30],
    [64, 6, 64],
    [64, 6, 65],
    [74, 82, 42],
    [76, 76, 2],
    [76, 76, 10],
    [77, 88, 8],
    [80, 80, 80],
    [84, 200, 69],
    [84, 200, 70],
    [86, 54, 11],
    [94, 140, 14],
    [94, 140, 15],
    [104, 16, 248],
    [104, 16, 249],
    [114, 114, 114],
    [114, 114, 115],
    [119, 29, 29],
    [149, 112, 112],
    [185, 222, 222],
    [185, 228, 168],
    [185, 228, 169],
    [193, 110, 81],
    [194, 242, 2],
    [208, 67, 220],
    [208, 67, 222],
];
/// The same for IPv6, by /32: Google, Cloudflare, Quad9, OpenDNS, AdGuard.
const PUBLIC_V6: [[u8; 4]; 5] = [
    [0x20, 0x01, 0x48, 0x60],
    [0x26, 0x06, 0x47, 0x00],
    [0x26, 0x20, 0x00, 0xfe],
    [0x26, 0x20, 0x01, 0x19],
    [0x2a, 0x10, 0x50, 0xc0],
];

/// Networks of a CDN, in which its customers are, too.
const SHARED_V4: [[u8; 3]; 2] = [[104, 16, 248], [104, 16, 249]];
/// Networks of those, by /48, in which nothing but resolvers is.
const RESOLVERS_V6: [[u8; 6]; 6] = [
    [0x20, 0x01, 0x48, 0x60, 0x48, 0x60],
    [0x26, 0x06, 0x47, 0x00, 0x47, 0x00],
    [0x26, 0x20, 0x00, 0xfe, 0x00, 0x00],
    [0x26, 0x20, 0x01, 0x19, 0x00, 0x35],
    [0x26, 0x20, 0x01, 0x19, 0x00, 0x53],
    [0x2a, 0x10, 0x50, 0xc0, 0x00, 0x00],
];

/// Whether whatever goes there is a question to a resolver that everybody knows.
pub(in crate::detect) fn is_known_resolver(address: Address) -> bool {
    match address.is_v4() {
        true => {
            is_public(address)
                && !SHARED_V4.iter().any(|network| address.as_v4().is_some_and(|ip| ip[..3] == network[..]))
        }
        false => RESOLVERS_V6.iter().any(|prefix| address.0.starts_with(prefix)),
    }
}

/// Whether people are known to choose this resolver.
pub(in crate::detect) fn is_public(address: Address) -> bool {
    match address.as_v4() {
        Some([a, b, c, _]) => PUBLIC_V4.contains(&[a, b, c]),
        None => PUBLIC_V6.iter().any(|prefix| address.0.starts_with(prefix)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_large_network_only_the_resolvers_are_known() {
        // Whether people choose it, and whether nothing else is there.
        for (text, chosen, alone) in [
            ("9.9.9.9", true, true),
            ("104.16.249.249", true, false),
            ("198.51.100.9", false, false),
            ("2620:fe::fe", true, true),
            ("2606:4700:4700::1111", true, true),
            ("2606:4700:3033::ac43:1", true, false),
            ("2001:db8::53", false, false),
        ] {
            let address = text.parse::<std::net::IpAddr>().expect("a literal").into();
            assert_eq!((is_public(address), is_known_resolver(address)), (chosen, alone), "{text}");
        }
    }
}
