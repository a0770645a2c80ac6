//! Words: services and clusters as people name them.
//! In: ports, centroids, counts. Out: short text. Nothing here decides anything.

use std::collections::BTreeMap;

use crate::population::collector::{Service, ServiceAt};

/// Stands where no port answers.
pub(super) const SERVICE_UNKNOWN: Service = Service { protocol: 0, port: 0, at: ServiceAt::Collector };

/// Services that have a name of their own, by protocol number and port.
const NAMED: &[(u8, u16, &str)] = &[
    (6, 22, "ssh"),
    (6, 25, "mail (smtp)"),
    (6, 53, "dns over tcp"),
    (17, 53, "dns"),
    (6, 80, "web (http)"),
    (17, 123, "time (ntp)"),
    (6, 143, "mail (imap)"),
    (6, 443, "web (https)"),
    (17, 443, "web (quic)"),
    (17, 500, "vpn (ike)"),
    (6, 587, "mail (submission)"),
    (6, 853, "dns over tls"),
    (6, 993, "mail (imaps)"),
    (17, 1194, "vpn (openvpn)"),
    (17, 2055, "flow export"),
    (17, 2152, "mobile user plane (gtp-u)"),
    (17, 3478, "calls (stun)"),
    (17, 4500, "vpn (ipsec)"),
    (17, 4739, "flow export"),
    (17, 4789, "overlay (vxlan)"),
    (6, 5060, "calls (sip)"),
    (17, 5060, "calls (sip)"),
    (6, 5223, "push messages"),
    (6, 5228, "push messages"),
    (17, 5353, "names at home (mdns)"),
    (17, 51820, "vpn (wireguard)"),
    (6, 8883, "things (mqtt)"),
];

/// The name of a service: `web (https)`, `tcp/8443`, `asked at the subscriber: ssh`.
pub fn service(service: Service) -> String {
    let Service { protocol, port, at } = service;
    let named = NAMED.iter().find(|(p, n, _)| (*p, *n) == (protocol, port)).map(|(_, _, name)| (*name).to_owned());
    let name = named.unwrap_or_else(|| match (protocol, port) {
        (0, 0) => "no port".to_owned(),
        (1, _) | (58, _) => "icmp".to_owned(),
        (6, port) => format!("tcp/{port}"),
        (17, port) => format!("udp/{port}"),
        (protocol, _) => format!("ip protocol {protocol}"),
    });
    match at {
        ServiceAt::Collector => name,
        ServiceAt::Subscriber => format!("asked at the subscriber: {name}"),
    }
}

/// The three commonest of some services, each with its share: `web (https) 81 %, web (quic) 12 %`.
pub fn services(of: impl Iterator<Item = Service>) -> String {
    let mut counts: BTreeMap<Service, u64> = BTreeMap::new();
    of.for_each(|service| *counts.entry(service).or_default() += 1);
    let all: u64 = counts.values().sum();
    let mut order: Vec<(Service, u64)> = counts.into_iter().collect();
    order.sort_by_key(|(service, count)| (std::cmp::Reverse(*count), *service));
    let shown = order
        .into_iter()
        .take(3)
        .map(|(of, count)| format!("{} {:.0} %", service(of), 100.0 * count as f64 / all.max(1) as f64));
    shown.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_have_names() {
        let at = |protocol, port, at| Service { protocol, port, at };
        for (of, wanted) in [
            (at(6, 443, ServiceAt::Collector), "web (https)"),
            (at(17, 9999, ServiceAt::Collector), "udp/9999"),
            (at(6, 22, ServiceAt::Subscriber), "asked at the subscriber: ssh"),
            (at(47, 0, ServiceAt::Collector), "ip protocol 47"),
            (SERVICE_UNKNOWN, "no port"),
        ] {
            assert_eq!(service(of), wanted);
        }
        let many =
            [at(17, 53, ServiceAt::Collector), at(6, 443, ServiceAt::Collector), at(6, 443, ServiceAt::Collector)];
        assert_eq!(services(many.into_iter()), "web (https) 67 %, dns 33 %");
        assert_eq!(services(std::iter::empty()), "");
    }
}
