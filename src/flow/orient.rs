//! Orientation: which end of a key began the flow.
//! In: the first packet. Out: the originator's end and how that was told.
//! A SYN begins; a SYN+ACK answers; for a flow met midway the port that services use is the responder's; else who sends
//! first. Where the first sender turns out to be the responder the history begins with `^`, as Zeek writes it.

use super::row::OrigBy;
use super::tcp::{ACK, SYN};
use crate::packet::columns::{EndIndex, PacketRow};
use crate::units::Address;

/// IP protocol numbers (IANA).
pub(super) const ICMP: u8 = 1;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const ICMPV6: u8 = 58;
const SCTP: u8 = 132;

/// Ports that services listen on, sorted: IANA's well-known names that are met in practice, with what analysers such as
/// Zeek take for likely servers. Ports below 1024 that are not here rank between these and the rest.
const SERVICE_PORTS: [u16; 110] = [
    20, 21, 22, 23, 25, 37, 43, 49, 53, 67, 69, 70, 79, 80, 81, 88, 102, 110, 111, 113, 119, 123, 135, 137, 138, 139,
    143, 161, 162, 179, 194, 389, 427, 443, 445, 464, 465, 500, 502, 514, 515, 524, 543, 546, 547, 548, 554, 563, 585,
    587, 593, 614, 631, 636, 853, 873, 989, 990, 992, 993, 995, 1080, 1194, 1433, 1434, 1521, 1701, 1723, 1812, 1813,
    1883, 1900, 2049, 2055, 2123, 2152, 2811, 3128, 3268, 3306, 3389, 3478, 3544, 4500, 4739, 4789, 5060, 5061, 5072,
    5222, 5223, 5269, 5353, 5355, 5432, 5671, 5672, 5900, 6081, 6343, 6379, 6667, 8000, 8080, 8443, 8883, 8888, 9100,
    9200, 20000,
];

/// The originator of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Orientation {
    pub(super) orig_end: EndIndex,
    pub(super) by: OrigBy,
}

/// Tells it from the flow's first packet.
pub(super) fn of_first(row: &PacketRow) -> Orientation {
    let sender = row.from & 1;
    let other = sender ^ 1;
    let receiver_is_one = is_one_party(&row.key.addresses[usize::from(other)]);
    if row.key.protocol == TCP && !row.is_fragment && row.tcp_flags & SYN != 0 {
        let orig_end = if row.tcp_flags & ACK == 0 { sender } else { other };
        return Orientation { orig_end, by: OrigBy::Handshake };
    }
    if row.is_fragment || !matches!(row.key.protocol, TCP | UDP | SCTP) {
        return Orientation { orig_end: sender, by: OrigBy::First };
    }
    let [own, far] = [sender, other].map(|end| row.key.ports[usize::from(end)]);
    match (rank(own), rank(far)) {
        (o, f) if f > o => Orientation { orig_end: sender, by: OrigBy::Ports },
        // What goes to a group or to all is not an answer.
        (o, f) if o > f && receiver_is_one => Orientation { orig_end: other, by: OrigBy::Ports },
        // Two services: among TCP ports the lower is the likelier server.
        (o, f) if o == f && o > 0 && own < far && row.key.protocol == TCP => {
            Orientation { orig_end: other, by: OrigBy::Ports }
        }
        _ => Orientation { orig_end: sender, by: OrigBy::First },
    }
}

fn rank(port: u16) -> u8 {
    match SERVICE_PORTS.binary_search(&port) {
        Ok(_) => 2,
        Err(_) if (1..1024).contains(&port) => 1,
        Err(_) => 0,
    }
}

fn is_one_party(address: &Address) -> bool {
    match address.as_v4() {
        Some(octets) => octets[0] < 224,
        None => address.0[0] != 0xff,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::columns::FlowKey;

    #[test]
    fn service_ports_are_sorted_and_single() {
        assert!(SERVICE_PORTS.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn who_began() {
        let cases = [
            ("SYN", TCP, 40_000, 80, SYN, 0, OrigBy::Handshake),
            ("SYN+ACK alone", TCP, 80, 40_000, SYN | ACK, 1, OrigBy::Handshake),
            ("SYN from a low port", TCP, 80, 40_000, SYN, 0, OrigBy::Handshake),
            ("midway, from the client", TCP, 40_000, 443, ACK, 0, OrigBy::Ports),
            ("midway, from the server", TCP, 443, 40_000, ACK, 1, OrigBy::Ports),
            ("midway, two services", TCP, 80, 8080, ACK, 1, OrigBy::Ports),
            ("midway, nothing known", TCP, 40_000, 40_001, ACK, 0, OrigBy::First),
            ("an answer alone", UDP, 53, 40_000, 0, 1, OrigBy::Ports),
            ("peers", UDP, 5353, 5353, 0, 0, OrigBy::First),
            ("port below 1024 against none", UDP, 1000, 40_000, 0, 1, OrigBy::Ports),
            ("no ports", 47, 0, 0, 0, 0, OrigBy::First),
        ];
        for (name, protocol, from_port, to_port, flags, wanted, by) in cases {
            let key = FlowKey {
                addresses: [Address::v4([10, 0, 0, 1]), Address::v4([10, 0, 0, 2])],
                ports: [from_port, to_port],
                context: 0,
                protocol,
                version: 4,
            };
            let row = PacketRow { key, tcp_flags: flags, ..PacketRow::default() };
            assert_eq!(of_first(&row), Orientation { orig_end: wanted, by }, "{name}");
        }
    }

    #[test]
    fn a_datagram_to_a_group_is_never_an_answer() {
        let key = FlowKey {
            addresses: [Address::v4([10, 0, 0, 1]), Address::v4([224, 0, 0, 251])],
            ports: [53, 40_000],
            context: 0,
            protocol: UDP,
            version: 4,
        };
        let row = PacketRow { key, ..PacketRow::default() };
        assert_eq!(of_first(&row), Orientation { orig_end: 0, by: OrigBy::First });
    }
}
