//! The published vectors, and the laws of a prefix-preserving permutation.

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

/// The sample key of the original distribution.
const SAMPLE_KEY: [u8; 32] = [
    21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16, 216, 152, 143, 131, 121, 121, 101, 39, 98,
    87, 76, 45, 42, 132, 34, 2,
];

/// The distinct addresses of the original distribution's sample trace and what its reference output makes of them.
const IPV4_VECTORS: &[(&str, &str)] = &[
    ("4.3.88.225", "124.60.155.63"),
    ("10.185.25.118", "117.161.29.118"),
    ("24.0.250.221", "100.15.198.226"),
    ("24.5.0.80", "100.9.15.210"),
    ("24.94.26.44", "100.88.228.35"),
    ("38.15.67.68", "64.3.66.187"),
    ("63.14.55.111", "95.9.215.7"),
    ("63.195.241.44", "95.179.238.44"),
    ("64.14.118.196", "0.255.183.58"),
    ("64.39.15.238", "0.219.7.41"),
    ("128.11.68.132", "135.242.180.132"),
    ("129.118.74.4", "134.136.186.123"),
    ("130.132.252.244", "133.68.164.234"),
    ("141.223.7.43", "141.167.8.160"),
    ("141.233.145.108", "141.129.237.235"),
    ("152.163.225.39", "151.140.114.167"),
    ("156.29.3.236", "147.225.12.42"),
    ("165.247.96.84", "162.9.99.234"),
    ("166.107.77.190", "160.132.178.185"),
    ("192.102.249.13", "252.138.62.131"),
    ("192.215.32.125", "252.43.47.189"),
    ("192.233.80.103", "252.25.108.8"),
    ("192.41.57.43", "252.222.221.184"),
    ("193.150.244.223", "253.169.52.216"),
    ("195.205.63.100", "255.186.223.5"),
    ("198.26.132.101", "249.36.123.202"),
    ("205.188.147.153", "242.96.16.101"),
    ("205.188.248.25", "242.96.88.27"),
    ("207.188.7.45", "241.255.249.220"),
    ("208.147.89.59", "227.237.98.191"),
    ("209.85.249.6", "226.170.70.6"),
    ("212.120.124.31", "228.135.163.231"),
    ("216.148.237.145", "235.84.194.111"),
    ("216.35.217.178", "235.195.157.81"),
];

/// Published with the Go implementation, under the same key; the original distribution knows IPv4 only.
const IPV6_VECTORS: &[(&str, &str)] = &[
    ("::1", "78ff:f001:9fc0:20df:8380:b1f1:704:ed"),
    ("::2", "78ff:f001:9fc0:20df:8380:b1f1:704:ef"),
    ("::ffff", "78ff:f001:9fc0:20df:8380:b1f1:704:f838"),
    ("2001:db8::1", "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1e"),
    ("2001:db8::2", "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1c"),
];

fn sample() -> Pseudonymiser {
    Pseudonymiser::new(&Key::from_bytes(SAMPLE_KEY))
}

fn address(text: &str) -> Address {
    Address::from(text.parse::<IpAddr>().expect("a literal address"))
}

#[test]
fn the_published_vectors_hold_both_ways() {
    let pseudonymiser = sample();
    for (real, wanted) in IPV4_VECTORS.iter().chain(IPV6_VECTORS) {
        assert_eq!(pseudonymiser.pseudonym(address(real)), address(wanted), "{real}");
        assert_eq!(pseudonymiser.reveal(address(wanted)), address(real), "{wanted}");
    }
}

#[test]
fn ipv6_never_becomes_ipv4_and_still_comes_back() {
    // The one /96 whose image under the bare permutation is the mapped form of IPv4.
    let pseudonymiser = sample();
    let mapped = u128::from_be_bytes(address("::ffff:0:0").0) | 0xc0a8_0001;
    assert!(Address(mapped.to_be_bytes()).is_v4());
    let real = Address(pseudonymiser.unflip(mapped, 128).to_be_bytes());
    let pseudonym = pseudonymiser.pseudonym(real);
    assert!(!real.is_v4() && !pseudonym.is_v4());
    assert_eq!(pseudonymiser.reveal(pseudonym), real);
}

#[test]
fn secrets_do_not_print() {
    let shown = format!("{:?} {:?}", sample(), PseudonymCache::new(sample()));
    assert_eq!(shown, "Pseudonymiser(secret key) PseudonymCache(secret pairs)");
}

#[test]
fn hashes_differ_by_key_and_by_address() {
    let (one, other) = (sample(), Pseudonymiser::new(&Key::derive(b"another")));
    let (a, b) = (address("10.0.0.1"), address("10.0.0.2"));
    assert_eq!(one.hash64(a), sample().hash64(a));
    assert_ne!(one.hash64(a), one.hash64(b));
    assert_ne!(one.hash64(a), other.hash64(a));
}

fn any_address() -> impl Strategy<Value = Address> {
    prop_oneof![any::<[u8; 4]>().prop_map(Address::v4), any::<[u8; 16]>().prop_map(Address::v6)]
}

proptest! {
    #[test]
    fn a_pseudonym_can_be_revealed(key: [u8; 32], real in any_address()) {
        let pseudonymiser = Pseudonymiser::new(&Key::from_bytes(key));
        let pseudonym = pseudonymiser.pseudonym(real);
        prop_assert_eq!(pseudonym.is_v4(), real.is_v4());
        prop_assert_eq!(pseudonymiser.reveal(pseudonym), real);
    }

    #[test]
    fn exactly_the_shared_prefix_is_shared(key: [u8; 32], a: [u8; 16], shared in 0u32..128, noise: [u8; 16]) {
        let pseudonymiser = Pseudonymiser::new(&Key::from_bytes(key));
        let a = u128::from_be_bytes(a);
        let b = a ^ (u128::from_be_bytes(noise) | 1 << 127) >> shared;
        let pseudonyms = [a, b].map(|bits| u128::from_be_bytes(pseudonymiser.pseudonym(Address(bits.to_be_bytes())).0));
        prop_assert_eq!((pseudonyms[0] ^ pseudonyms[1]).leading_zeros(), shared);
    }

    #[test]
    fn exactly_the_shared_prefix_is_shared_by_ipv4(key: [u8; 32], a: u32, shared in 0u32..32, noise: u32) {
        let pseudonymiser = Pseudonymiser::new(&Key::from_bytes(key));
        let b = a ^ (noise | 1 << 31) >> shared;
        let pseudonyms = [a, b].map(|bits| {
            let made = pseudonymiser.pseudonym(Address::v4(bits.to_be_bytes()));
            u32::from_be_bytes(made.as_v4().expect("IPv4 stays IPv4"))
        });
        prop_assert_eq!((pseudonyms[0] ^ pseudonyms[1]).leading_zeros(), shared);
    }

    #[test]
    fn a_cache_changes_nothing(reals in prop::collection::vec(any_address(), 1..40)) {
        let pseudonymiser = sample();
        let mut cache = PseudonymCache::new(pseudonymiser.clone());
        for &real in reals.iter().chain(&reals) {
            prop_assert_eq!(cache.pseudonym(real), pseudonymiser.pseudonym(real));
        }
    }
}
