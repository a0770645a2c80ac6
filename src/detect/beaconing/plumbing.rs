//! Plumbing: what repeats by its nature and carries no orders.
//! In: what a summary knows of a party, or of a part of it. Out: whether it tells the time, answers for names, registers telephones,
//! answers echoes, keeps connections open. What `ping` never sends is told apart, and so is who is only pinged from who is asked as well.

use super::named;
use crate::detect::dns_hijack::DNS_OVER_TLS;
use crate::detect::dns_hijack::public::{is_known_resolver, is_public};
use crate::detect::scene::{Group, Scene, service_of};
use crate::packet::facts::AppProtocol;
use crate::population::collector::{CollectorSummary, SIZE_BITS, Service};
use crate::population::groups::Level;
use crate::population::sketch::LogHistogram;
use crate::units::Address;

/// Share of the rows at the port of DNS over TLS from which on a party is a resolver.
const ASKED_OVER_TLS: f64 = 0.2;
/// The same at the ports of DNS of a party that is pinged: a ping is a row each time, and a connection carries many questions.
const PINGED_ASKED: f64 = 0.03;
/// Data of an echo that `ping` sends by itself: Windows 32 bytes, others 56, some devices 40, 48 or 64; and the least that tells
/// anything.
const PINGS: [f64; 5] = [32.0, 40.0, 48.0, 56.0, 64.0];
const OPAQUE_ECHO_MIN: f64 = 16.0;
/// Share of the rows that are echoes from which on they are all that there is.
const ECHOES_ALONE: f64 = 0.95;
/// How far the mean of many may lie from that for the few of another size among them.
const ECHO_STRAY: f64 = 0.5;
/// Devices that must send one party plain echoes for these to be a group's, and share of them from which on its name is known.
const ECHOING_MIN: u64 = 5;
const ECHO_NAMED: f64 = 0.2;
/// Bytes of an NTP message without extensions (RFC 5905).
const NTP_BYTES: f64 = 48.0;
/// SIP's port; the least that its messages come to, for the headers that each must have; how unlike both ways may be.
const SIP_PORT: u16 = 5060;
const SIP_BYTES_MIN: f64 = 200.0;
const SIP_LIKENESS: f64 = 2.5;
/// Calls that carry more than this at the median, either way, do more than calling home.
pub(super) const CALL_BYTES_MAX: f64 = 16_384.0;

/// Whether a party tells the time: UDP port 123, and messages as NTP has them.
pub(in crate::detect) fn is_clock(whole: &CollectorSummary) -> bool {
    // By the packet: a flow may hold several, and a span port shows each twice. Unanswered, there is none to measure.
    // Of an address that does other things as well, those of that service.
    let apart = whole.services_apart.apart().iter().find(|(service, _)| (service.protocol, service.port) == (17, 123));
    let totals = apart.map_or(&whole.totals, |(_, facet)| &facet.totals);
    let is_message = |side: usize| {
        let [packets, bytes] = [totals.packets[side], totals.data_bytes[side]].map(|n| n as f64);
        packets == 0.0 || (bytes / packets / NTP_BYTES - 1.0).abs() < 0.25
    };
    service_of(whole).is_some_and(|service| service.protocol == 17 && service.port == 123)
        && [0, 1].into_iter().all(is_message)
}

/// Whether a party is where telephones register: UDP port 5060, and messages of text both ways that are much alike in size
/// (RFC 3261: a response repeats most of its request). They do so by the clock, and devices that people own do it.
pub(in crate::detect) fn is_registrar(whole: &CollectorSummary) -> bool {
    let middle = |sizes: &LogHistogram<SIZE_BITS>| sizes.quantile(0.5).unwrap_or(0.0);
    let (up, down) = (middle(&whole.upload_sizes), middle(&whole.download_sizes));
    service_of(whole).is_some_and(|service| service.protocol == 17 && service.port == SIP_PORT)
        && up.min(down) >= SIP_BYTES_MIN
        && up.max(down) <= SIP_LIKENESS * up.min(down)
}

/// Look-ups, clocks, echoes and telephones repeat by their nature, and carry no orders; nor does what carries much.
pub(super) fn is_plumbing(whole: &CollectorSummary) -> bool {
    let middle = |sizes: &LogHistogram<SIZE_BITS>| sizes.quantile(0.5).unwrap_or(0.0);
    let (up, down) = (middle(&whole.upload_sizes), middle(&whole.download_sizes));
    is_plumbing_of_networks(whole) || is_registrar(whole) || up.max(down) > CALL_BYTES_MAX
}

/// Whether a party is there for echoes (ICMP, ICMPv6).
pub(super) fn is_echo(whole: &CollectorSummary) -> bool {
    service_of(whole).is_some_and(|service| matches!(service.protocol, 1 | 58))
}

/// Whether echoes carry what no system's `ping` sends: something is told in them. Of a party that does other things as well its
/// services tell, one by one: packets of all of them have no one size.
pub(in crate::detect) fn is_opaque_echo(whole: &CollectorSummary) -> bool {
    let echoes = whole.services.iter().filter(|(service, _)| matches!(service.protocol, 1 | 58)).map(|(_, rows)| rows);
    if (echoes.sum::<u64>() as f64) < ECHOES_ALONE * whole.services.total() as f64 {
        return false;
    }
    let [packets, bytes] = [whole.totals.packets[0], whole.totals.data_bytes[0]].map(|n| n as f64);
    let each = bytes / packets.max(1.0);
    is_echo(whole) && each >= OPAQUE_ECHO_MIN && PINGS.iter().all(|usual| (each - usual).abs() >= ECHO_STRAY)
}

/// Whether a party is there for look-ups, the time, echoes, or to say how it sees who calls.
pub(super) fn is_plumbing_of_networks(whole: &CollectorSummary) -> bool {
    let service = service_of(whole);
    // What speaks at its port and is proved to be nothing that is known is no DNS.
    let is_dns = whole.apps.by_count().first().is_some_and(|(app, _)| *app == AppProtocol::Dns)
        || service.is_some_and(|service| service.port == 53) && whole.apps.total() > 0
        || is_asked_over_tls(whole);
    let is_other = service.is_none_or(|service| !matches!(service.protocol, 6 | 17 | 132));
    let is_of_many = whole.subscribers.count() >= ECHOING_MIN && !is_pinged_resolver(whole);
    let is_told_by_echoes = is_opaque_echo(whole) || is_echo(whole) && is_of_many;
    is_clock(whole) || is_dns || is_kept_open(whole) || is_other && !is_told_by_echoes
}

/// Whether questions to a resolver, proved to be some, are beside the echoes by which one sees whether the network is there.
fn is_pinged_resolver(whole: &CollectorSummary) -> bool {
    let at_resolvers = |service: &Service| matches!(service.port, 53 | DNS_OVER_TLS);
    let asked: u64 = whole.services.iter().filter(|(service, _)| at_resolvers(service)).map(|(_, rows)| rows).sum();
    asked as f64 >= PINGED_ASKED * whole.services.total() as f64 && 2 * whole.apps.total() >= asked && asked > 0
}

/// Whether a good part of it is questions to a resolver over TLS (RFC 7858): the rest are questions over HTTPS then.
pub(in crate::detect) fn is_asked_over_tls(whole: &CollectorSummary) -> bool {
    let asked = whole.services.iter().filter(|(service, _)| service.port == DNS_OVER_TLS).map(|(_, rows)| rows);
    asked.sum::<u64>() as f64 >= ASKED_OVER_TLS * whole.services.total() as f64 && whole.apps.total() > 0
}

/// Whether it is what an address that does other things as well is asked at the port of DNS, or what it mostly does to keep
/// connections open: of such a part no protocol is known.
pub(super) fn is_part_of_plumbing(scene: &Scene<'_>, group: &Group<'_>) -> bool {
    let mut whole = group.of.addresses.iter().filter_map(|address| scene.collector(group.of.population, *address));
    // A resolver is asked over HTTPS at other addresses of its name as well.
    if group.level != Level::Address && whole.clone().any(is_asked_over_tls) {
        return true;
    }
    if group.of.addresses.iter().all(|address| is_known_resolver(*address)) {
        return true;
    }
    // Of packets cut before the end of a long name none is proved to be DNS, but the policy knows whom it lists.
    let is_listed = |address: &Address| scene.populations.is_resolver(*address);
    if service_of(&group.whole).is_some_and(|at| at.port == 53) && group.of.addresses.iter().all(is_listed) {
        return true;
    }
    let Some(service) = service_of(&group.whole).filter(|_| group.level == Level::Service) else { return false };
    // Two sites call each other at their own ports: neither part is more of the tunnel than the other.
    matches!(service.port, 53 | DNS_OVER_TLS) || service.protocol == 17 && whole.all(is_kept_open)
}

/// Whether STUN is what is mostly spoken, or WireGuard: a connection through translators is kept open by the one every half minute or
/// two, whoever is at the other end (RFC 8445 section 11), and a tunnel renews its keys every other minute while anything goes through.
pub(in crate::detect) fn is_kept_open(whole: &CollectorSummary) -> bool {
    let most = whole.apps.by_count().first().map(|(app, _)| *app);
    matches!(most, Some(AppProtocol::Stun | AppProtocol::WireGuard))
}

/// Whether it is echoes with a resolver that everybody knows, or plain ones with a party that has a name: so devices see whether the
/// network is there.
pub(super) fn is_watch(scene: &Scene<'_>, group: &Group<'_>) -> bool {
    let is_plain = !is_opaque_echo(&group.whole);
    is_echo(&group.whole)
        && (group.of.addresses.iter().all(|address| is_public(*address))
            || is_plain && named(scene, group) >= ECHO_NAMED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::collector::ServiceAt;

    #[test]
    fn echoes_that_no_ping_sends_tell_something() {
        for (bytes, packets, protocol, wanted) in [
            (56, 1, 1, false),
            (32, 1, 1, false),
            (90, 1, 1, true),
            (47, 1, 1, true),
            (4_810, 100, 1, false),
            (90, 1, 17, false),
            (360, 4, 58, true),
            (8, 1, 1, false),
        ] {
            let mut whole = CollectorSummary::default();
            whole.services.add(Service { protocol, port: 0, at: ServiceAt::Collector });
            (whole.totals.packets, whole.totals.data_bytes) = ([packets, 0], [bytes, 0]);
            assert_eq!(is_opaque_echo(&whole), wanted, "{bytes} bytes in {packets} of protocol {protocol}");
        }
    }

    #[test]
    fn pings_of_a_group_are_a_groups() {
        for (devices, wanted) in [(4u64, true), (5, false)] {
            let mut whole = CollectorSummary::default();
            (0..devices).for_each(|n| whole.subscribers.add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            whole.services.add(Service { protocol: 1, port: 0, at: ServiceAt::Collector });
            (whole.totals.packets, whole.totals.data_bytes) = ([40, 40], [40 * 56; 2]);
            assert_eq!(is_plumbing_of_networks(&whole), wanted, "{devices} devices");
        }
    }

    #[test]
    fn pings_beside_questions_are_no_echoes_of_another_size() {
        // Pings, questions over TLS, and whether what is left over says that something is told in echoes.
        for (name, pings, asked, wanted) in [
            ("echoes alone", 40, 0, true),
            ("one connection among many echoes", 40, 1, true),
            ("a resolver that is pinged", 40, 10, false),
        ] {
            let mut whole = CollectorSummary::default();
            (0..pings).for_each(|_| whole.services.add(Service { protocol: 1, port: 0, at: ServiceAt::Collector }));
            (0..asked).for_each(|_| whole.services.add(Service { protocol: 6, port: 853, at: ServiceAt::Collector }));
            (whole.totals.packets, whole.totals.data_bytes) = ([100, 0], [9_000, 0]);
            assert_eq!(is_opaque_echo(&whole), wanted, "{name}");
        }
    }

    #[test]
    fn a_resolver_that_is_pinged_is_asked_as_well() {
        use crate::packet::facts::AppProtocol;
        // Pings, rows at a port, and how many of these are proved to be of a protocol.
        let table = [
            ("asked in the clear", 90, 53, 9, 9, true),
            ("asked over TLS", 75, 853, 3, 3, true),
            ("one question among many pings", 90, 53, 1, 1, false),
            ("what speaks there is nothing known", 90, 53, 9, 0, false),
            ("asked for pages", 90, 443, 9, 9, false),
            ("never asked", 90, 53, 0, 0, false),
        ];
        for (name, pings, port, asked, proved, wanted) in table {
            let mut whole = CollectorSummary::default();
            (0..pings).for_each(|_| whole.services.add(Service { protocol: 1, port: 0, at: ServiceAt::Collector }));
            (0..asked).for_each(|_| whole.services.add(Service { protocol: 17, port, at: ServiceAt::Collector }));
            (0..proved).for_each(|_| whole.apps.add(AppProtocol::Dns));
            assert_eq!(is_pinged_resolver(&whole), wanted, "{name}");
        }
    }

    #[test]
    fn a_resolver_of_the_policy_is_plumbing_whatever_is_proved_of_it() {
        use crate::population::limits::SummaryLimits;
        use crate::population::places::Places;
        use crate::population::summary::tests::{populations, row, summary_of};
        use crate::population::{PopulationSpec, Populations};
        let address = Address::v4([203, 0, 113, 53]);
        let named = populations().iter().next().map(|(_, spec)| spec.clone()).expect("a population");
        let listed = PopulationSpec { resolvers: vec![std::net::IpAddr::from([203, 0, 113, 53])], ..named.clone() };
        for (name, spec, port, wanted) in [
            ("listed", listed.clone(), 53, true),
            ("listed, at another port", listed, 8_053, false),
            ("a stranger", named, 53, false),
        ] {
            let populations = Populations::new(vec![spec]).expect("sound prefixes");
            let rows = (0..9u8).map(|n| {
                let mut one = row(Address::v4([10, 0, 0, n]), address, n.into(), 80, 45);
                (one.key.protocol, one.key.ports[1]) = (17, port);
                one
            });
            let summary = summary_of(&rows.collect::<Vec<_>>(), &SummaryLimits::default());
            let places = Places::default();
            let scene = Scene::new(&summary, &populations, &places, None);
            assert_eq!(is_part_of_plumbing(&scene, &scene.alone(|_| true)[0]), wanted, "{name}");
        }
    }

    #[test]
    fn who_tells_the_time_does_so_whatever_else_it_does() {
        use crate::population::limits::SummaryLimits;
        use crate::population::summary::tests::{row, summary_of};
        let party = Address::v4([203, 0, 113, 7]);
        // Bytes of a message, four a flow, and flows of something else.
        for (name, bytes, others, wanted) in
            [("the time alone", 48, 0, true), ("and pages", 48, 3, true), ("something at its port", 300, 3, false)]
        {
            let rows = (0..20u64).map(|n| {
                let is_time = n >= others;
                let mut one =
                    row(Address::v4([10, 0, 0, n as u8]), party, n, 4 * if is_time { bytes } else { 900 }, 4 * bytes);
                (one.key.protocol, one.key.ports[1]) = (17, if is_time { 123 } else { 443 });
                one
            });
            let summary = summary_of(&rows.collect::<Vec<_>>(), &SummaryLimits::default());
            let (_, whole) = summary.collectors.sorted()[0];
            assert_eq!(is_clock(whole), wanted, "{name}");
        }
    }

    #[test]
    fn what_keeps_connections_open_is_plumbing() {
        use crate::packet::facts::AppProtocol;
        for (protocol, wanted) in [(AppProtocol::Stun, true), (AppProtocol::WireGuard, true), (AppProtocol::Tls, false)]
        {
            let mut whole = CollectorSummary::default();
            whole.services.add(Service { protocol: 17, port: 3478, at: ServiceAt::Collector });
            whole.apps.add(protocol);
            assert_eq!(is_plumbing_of_networks(&whole), wanted, "{protocol:?}");
        }
    }

    #[test]
    fn telephones_that_register_are_no_beacons() {
        use crate::population::limits::SummaryLimits;
        use crate::population::summary::tests::{row, summary_of};
        use crate::units::Address;
        let registrar = Address::v4([203, 0, 113, 7]);
        // Port, bytes up and down of a call.
        let table = [
            ("a registration and its answers", 5060, 840, 790, true),
            ("what only takes its port", 5060, 900, 40, false),
            ("a few bytes", 5060, 30, 30, false),
            ("another port", 5061, 840, 790, false),
        ];
        for (name, port, up, down, wanted) in table {
            let calls = (0..20u64).map(|n| {
                let mut one = row(Address::v4([10, 0, 0, n as u8]), registrar, n, up, down);
                (one.key.protocol, one.key.ports[1]) = (17, port);
                one
            });
            let summary = summary_of(&calls.collect::<Vec<_>>(), &SummaryLimits::default());
            let (_, whole) = summary.collectors.sorted()[0];
            assert_eq!(is_registrar(whole), wanted, "{name}");
        }
    }
}
