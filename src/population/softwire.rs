//! Softwires: homes whose private IPv4 travels inside IPv6 (DS-Lite, RFC 6333).
//! In: one end of an inner flow, how its tunnel ran. Out: the subscriber whom that end stands behind.
//! Every such home may number its devices alike, so the private address names nobody: what does is the tunnel's end beside it.
//! Not here: shared public addresses (MAP-E, lightweight 4over6), which a policy can name; mirrors, which say nothing of who stands
//! where.

use super::carrier::Travel;
use super::populations::Populations;
use crate::flow::row::CarrierRow;
use crate::packet::columns::TunnelKind;
use crate::units::{Address, Side};

/// The tunnel's end beside an inner end that is private, in no population and travels in IPv6, where that end of the tunnel is a
/// subscriber; otherwise the inner end itself.
pub fn holder(end: Address, side: Side, carrier: Option<&CarrierRow>, populations: &Populations) -> Address {
    let Some(carrier) = carrier.filter(|carrier| carrier.kind == TunnelKind::IpInIp) else { return end };
    if !end.as_v4().is_some_and(is_private) || populations.of(end).is_some() {
        return end;
    }
    let beside = match Travel::of(carrier) {
        Travel::Opposite | Travel::OneSided(_) => {
            let [mine, other] = [side, side.other()].map(|side| carrier.packets[side.index()]);
            // What this side sends enters the tunnel beside it; what the other sends leaves it here.
            carrier.outer[usize::from(mine[1] > 0 || other[0] > 0)]
        }
        Travel::Copy(_) | Travel::Mixed => return end,
    };
    let is_softwire = !beside.is_v4() && populations.of(beside).is_some();
    if is_softwire { beside } else { end }
}

/// Private (RFC 1918), shared by a carrier (RFC 6598), or of a softwire's own ends (RFC 6333 section 5.7).
fn is_private(octets: [u8; 4]) -> bool {
    matches!(octets, [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] | [192, 0, 0, 0..=7])
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::population::populations::PopulationSpec;

    fn address(text: &str) -> Address {
        text.parse::<IpAddr>().expect("a literal address").into()
    }

    #[test]
    fn a_private_end_is_the_subscriber_whose_tunnel_it_is_in() {
        let (home, exit) = (address("2001:db8:1::2"), address("2001:db8:ffff::1"));
        let spec = PopulationSpec {
            name: "homes".to_owned(),
            prefixes: vec!["2001:db8:1::/48".parse().expect("a literal prefix")],
            jurisdiction: None,
            resolvers: Vec::new(),
        };
        let populations = Populations::new(vec![spec]).expect("sound prefixes");
        let (both, up, down) = ([[3, 0], [0, 4]], [[3, 0], [0, 0]], [[0, 0], [0, 4]]);
        type Case<'a> = (&'a str, &'a str, TunnelKind, [Address; 2], [[u32; 2]; 2], Address);
        let table: [Case<'_>; 10] = [
            ("both ways", "192.168.1.7", TunnelKind::IpInIp, [home, exit], both, home),
            ("only what it sends", "192.168.1.7", TunnelKind::IpInIp, [home, exit], up, home),
            ("only what it is sent", "192.168.1.7", TunnelKind::IpInIp, [home, exit], down, home),
            ("ends the other way round", "10.0.0.7", TunnelKind::IpInIp, [exit, home], [[0, 3], [4, 0]], home),
            ("a mirror", "192.168.1.7", TunnelKind::IpInIp, [home, exit], [[3, 0], [4, 0]], address("192.168.1.7")),
            (
                "a path that changed",
                "192.168.1.7",
                TunnelKind::IpInIp,
                [home, exit],
                [[3, 1], [0, 4]],
                address("192.168.1.7"),
            ),
            ("a mobile network's", "10.0.0.7", TunnelKind::GtpU, [home, exit], both, address("10.0.0.7")),
            ("public", "203.0.113.7", TunnelKind::IpInIp, [home, exit], both, address("203.0.113.7")),
            ("beside no subscriber", "10.0.0.7", TunnelKind::IpInIp, [exit, home], both, address("10.0.0.7")),
            ("in IPv4", "10.0.0.7", TunnelKind::IpInIp, [address("198.51.100.1"), exit], both, address("10.0.0.7")),
        ];
        for (name, end, kind, outer, packets, wanted) in table {
            let carrier = CarrierRow { kind, outer, port: 0, id: 0, depth: 1, packets, bytes: [[0; 2]; 2] };
            assert_eq!(holder(address(end), Side::Orig, Some(&carrier), &populations), wanted, "{name}");
            let turned = CarrierRow { packets: [packets[1], packets[0]], ..carrier };
            assert_eq!(
                holder(address(end), Side::Resp, Some(&turned), &populations),
                wanted,
                "{name}, as the responder"
            );
        }
        let native = address("192.168.1.7");
        assert_eq!(holder(native, Side::Orig, None, &populations), native);
    }
}
