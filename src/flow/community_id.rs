//! Community ID v1: one short text for a flow that every tool computes alike.
//! In: a flow key. Out: "1:" and the SHA-1 of seed, addresses, protocol and ports. Source: the Community ID specification
//! (corelight/community-id-spec), version 1. Not here: the key's canonical order, which `packet` makes the same way.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use crate::packet::columns::{EndIndex, FlowKey};

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const SCTP: u8 = 132;

/// How the hash is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spelling {
    /// Base64 with padding, as everyone does.
    #[default]
    Base64,
    /// Lower-case hexadecimal.
    Hex,
}

/// The Community ID of a flow in its usual spelling.
///
/// ```
/// use trawlwatch::flow::community_id;
/// use trawlwatch::packet::columns::FlowKey;
/// use trawlwatch::units::Address;
///
/// let key = FlowKey {
///     addresses: [Address::v4([1, 2, 3, 4]), Address::v4([5, 6, 7, 8])],
///     ports: [1122, 3344],
///     context: 0,
///     protocol: 6,
///     version: 4,
/// };
/// assert_eq!(community_id(&key, 0), "1:wCb3OG7yAFWelaUydu0D+125CLM=");
/// ```
pub fn community_id(key: &FlowKey, seed: u16) -> String {
    spelled(key, icmp_sender(key), seed, Spelling::Base64)
}

/// The same, for a caller who knows the originator's end and may want another spelling. The end matters only for ICMP
/// messages that have no answer, whose ID keeps the direction: from the key alone it is guessed by which port is a type.
pub fn spelled(key: &FlowKey, orig_end: EndIndex, seed: u16, spelling: Spelling) -> String {
    let one_way = matches!(key.protocol, ICMP | ICMPV6) && !is_answered_pair(key);
    let first = usize::from(one_way && orig_end == 1);
    let ends = [first, first ^ 1];
    let mut sha1 = Sha1::new();
    sha1.update(seed.to_be_bytes());
    for end in ends {
        match key.addresses[end].as_v4().filter(|_| key.version == 4) {
            Some(octets) => sha1.update(octets),
            None => sha1.update(key.addresses[end].0),
        }
    }
    sha1.update([key.protocol, 0]);
    if matches!(key.protocol, ICMP | TCP | UDP | ICMPV6 | SCTP) {
        for end in ends {
            sha1.update(key.ports[end].to_be_bytes());
        }
    }
    let digest = sha1.finalize();
    match spelling {
        Spelling::Base64 => format!("1:{}", STANDARD.encode(digest)),
        Spelling::Hex => digest.iter().fold(String::from("1:"), |text, byte| text + &format!("{byte:02x}")),
    }
}

/// Which end sent a one-way ICMP message, told by which port is its type: "unreachable" where the other can be its code,
/// being by far the commonest, else the greater number, because codes are small.
fn icmp_sender(key: &FlowKey) -> EndIndex {
    let (unreachable, codes_max) = if key.protocol == ICMP { (3, 15) } else { (1, 7) };
    match key.ports {
        [a, b] if a == unreachable && b <= codes_max => 0,
        [a, b] if b == unreachable && a <= codes_max => 1,
        [a, b] => EndIndex::from(b > a),
    }
}

/// Whether the two ports are a message type and the type that answers it.
fn is_answered_pair(key: &FlowKey) -> bool {
    let [own, far] = key.ports;
    let answer = match (key.protocol, own) {
        (ICMP, 0) => 8,
        (ICMP, 8) => 0,
        (ICMP, 9 | 13 | 15 | 17) | (ICMPV6, 128 | 130 | 133 | 135 | 139 | 144) => own + 1,
        (ICMP, 10 | 14 | 16 | 18) | (ICMPV6, 129 | 131 | 134 | 136 | 140 | 145) => own - 1,
        _ => return false,
    };
    answer == far
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::*;
    use crate::units::Address;

    /// A key as `packet` makes it: types paired for ICMP, lower end first; with the sender's end.
    fn key_of(source: IpAddr, destination: IpAddr, ports: [u16; 2], protocol: u8) -> (FlowKey, EndIndex) {
        let v = |address: IpAddr| Address::from(address);
        let version = if source.is_ipv4() { 4 } else { 6 };
        let key = FlowKey { addresses: [v(source), v(destination)], ports, context: 0, protocol, version };
        let swapped = FlowKey { addresses: [key.addresses[1], key.addresses[0]], ports: [ports[1], ports[0]], ..key };
        match (key.addresses[0], key.ports[0]) <= (swapped.addresses[0], swapped.ports[0]) {
            true => (key, 0),
            false => (swapped, 1),
        }
    }

    #[test]
    fn the_specifications_baselines_hold() {
        let captures = std::env::var_os("TRAWLWATCH_CAPTURES")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/captures"), PathBuf::from);
        for (name, seed, spelling) in
            [("deflt", 0, Spelling::Base64), ("nob64", 0, Spelling::Hex), ("seed1", 1, Spelling::Base64)]
        {
            let path = captures.join(format!("conformance/community-id/baseline_{name}.json"));
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            let entries: serde_json::Value = serde_json::from_str(&text).expect("a JSON baseline");
            let entries = entries.as_array().expect("a list");
            assert!(!entries.is_empty(), "{name}");
            for entry in entries {
                let address =
                    |field: &str| -> IpAddr { entry[field].as_str().expect("text").parse().expect("an address") };
                let number = |field: &str| entry[field].as_u64().unwrap_or(0) as u16;
                let (source, destination) = (address("saddr"), address("daddr"));
                let (key, sender) =
                    key_of(source, destination, [number("sport"), number("dport")], number("proto") as u8);
                assert_eq!(
                    spelled(&key, sender, seed, spelling),
                    entry["communityid"].as_str().expect("text"),
                    "{entry}"
                );
                if spelling == Spelling::Base64 {
                    assert_eq!(
                        community_id(&key, seed),
                        entry["communityid"].as_str().expect("text"),
                        "from the key: {entry}"
                    );
                }
            }
        }
    }

    proptest! {
        #[test]
        fn another_implementation_agrees(
            addresses in any::<([u8; 16], [u8; 16])>(), v4: bool, near: bool, ports: [u16; 2], seed: u16,
            protocol in prop::sample::select(vec![1u8, 6, 17, 46, 47, 50, 58, 132]),
        ) {
            prop_assume!(if v4 { protocol != 58 } else { protocol != 1 });
            let ip = |bytes: [u8; 16]| if v4 { IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]]) } else { IpAddr::from(bytes) };
            let source = ip(addresses.0);
            let destination = if near { source } else { ip(addresses.1) };
            let has_ports = matches!(protocol, 6 | 17 | 132);
            let judge_ports = if has_ports { Some((ports[0], ports[1])) } else { None };
            // ICMP: a type of every kind, paired here as the packet room pairs it.
            let (mtype, code) = (ports[0] % 150, ports[1] % 16);
            let (given, paired) = match protocol {
                1 | 58 => {
                    let answered = (0..256).find(|&far| is_answered_pair(&FlowKey { ports: [mtype, far], protocol, ..FlowKey::default() }));
                    (Some((mtype, code)), [mtype, answered.unwrap_or(code)])
                }
                _ => (judge_ports, if has_ports { ports } else { [0, 0] }),
            };
            let wanted = community_id::calculate_community_id(
                seed, source, destination, given.map(|p| p.0), given.map(|p| p.1), protocol, false,
            );
            let (key, sender) = key_of(source, destination, paired, protocol);
            prop_assert_eq!(spelled(&key, sender, seed, Spelling::Base64), wanted.expect("the judge answers"));
        }
    }
}
