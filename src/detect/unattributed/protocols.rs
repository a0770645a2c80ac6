//! Protocols: devices that talk with a stranger in an IP protocol that nobody runs, or that hardly any device does.
//! In: collectors of a scene. Out: a finding for each that a group of devices exchanges such packets with.
//! What it weighs: that the number is none that hosts or networks use (IANA's assignments of the last forty years are mostly
//! history), that it goes both ways, and how many do it. A party's name, if it has one, excuses nothing: no service is offered so.
//! Bounds: those of the collectors; [`PARTIES_MAX`] parties are one.

use std::collections::BTreeMap;

use crate::detect::finding::{Finding, Severity, Technique};
use crate::detect::scene::{Group, Scene};
use crate::detect::weigh::{Reason, log_ramp, ramp, weigh};
use crate::detect::words;
use crate::population::PopulationIndex;
use crate::population::collector::{CollectorSummary, Service, ServiceAt};
use crate::population::groups::{CollectorGroup, GroupName, Level, Member};
use crate::population::sketch::Merge;
use crate::units::Address;

/// Fewest subscribers: the k of privacy.
const SUBSCRIBERS_MIN: u64 = 5;
/// Most parties of one program: more are a flood's forged senders, or a swarm.
const PARTIES_MAX: usize = 64;
/// Share of a party's rows that are of such a protocol from which on that is what it is there for.
const SHARE_MIN: f64 = 0.5;
/// Rows a subscriber from which on it is no scan.
const ROWS_MIN: f64 = 2.0;
/// IP protocols that are in use: of hosts (ICMP, IGMP, TCP, UDP, DCCP, SCTP, UDP-Lite, HIP, SHIM6), of networks (routing, reservations,
/// redundancy, multicast, link tests), and of tunnels, of which others speak.
const IN_USE: [u8; 28] =
    [0, 1, 2, 3, 4, 6, 8, 17, 33, 41, 43, 44, 46, 47, 50, 51, 55, 58, 88, 89, 94, 97, 103, 108, 112, 115, 132, 136];

/// Of these, transports that nodes of a network speak with each other and hardly any device does: DCCP, SCTP, UDP-Lite; devices from
/// which on it is a program's, and the ports of SCTP at which the stations of a mobile network call their core (IANA).
const OF_NODES: [u8; 3] = [33, 132, 136];
const OF_NODES_SUBSCRIBERS_MIN: u64 = 8;
const OF_RADIO: [u16; 4] = [36_412, 36_422, 38_412, 38_472];

/// See the file's header. `found` is what the others said.
pub(super) fn strange(scene: &Scene<'_>, found: &mut Vec<Finding>) {
    let mut told: Vec<Finding> = Vec::new();
    let alone = scene.alone(|(_, one)| one.subscribers.count() >= SUBSCRIBERS_MIN);
    for group in alone.into_iter().chain(together(scene)) {
        if told.iter().any(|one| group.of.addresses.iter().any(|at| one.collector.addresses.contains(at))) {
            continue;
        }
        let whole = &group.whole;
        let by_count = whole.protocols.by_count();
        let (rows, most) = by_count
            .iter()
            .filter(|(protocol, _)| is_strange(*protocol) || is_of_nodes(&group.whole, *protocol))
            .fold((0, None), |(sum, most), (protocol, rows)| (sum + rows, most.or(Some(*protocol))));
        let Some(protocol) = most else { continue };
        let [all, subscribers] = [whole.totals.rows, whole.subscribers.count()].map(|n| n.max(1) as f64);
        let is_explained = found.iter().any(|one| {
            one.severity >= Severity::Medium
                && one.technique != Technique::BeaconingImplant
                && group.of.addresses.iter().all(|at| one.collector.addresses.contains(at))
        });
        let is_one_way = whole.totals.packets.contains(&0);
        if is_explained || is_one_way || (rows as f64) < SHARE_MIN * all || (rows as f64) < ROWS_MIN * subscribers {
            continue;
        }
        let per_subscriber = rows as f64 / subscribers;
        // What lies in headers alone (59, no next header) is no data, and no row of it an answer.
        let [up, down] = whole.totals.packets.map(|packets| packets as f64);
        let by_packets = if whole.totals.data_bytes == [0, 0] { up.min(down) / up.max(down) } else { 0.0 };
        let answered = (whole.rows_answered as f64 / all).max(by_packets);
        let (score, evidence) = weigh(vec![
            Reason::number("ip_protocol", f64::from(protocol), "", 1.0, 0.4),
            Reason::number("rows_per_subscriber", per_subscriber, "rows", log_ramp(per_subscriber, 1.0, 6.0), 0.2),
            Reason::number("subscribers_distinct", subscribers, "subscribers", log_ramp(subscribers, 2.0, 10.0), 0.2),
            Reason::number("answered_share", answered, "ratio", ramp(answered, 0.2, 0.6), 0.2),
        ]);
        let severity = match score {
            0.6.. => Severity::Medium,
            0.45.. => Severity::Low,
            _ => continue,
        };
        let blank = scene.blank(Technique::UnattributedCluster, &group);
        let who = group.spoken(&blank.collector.names);
        let counted = words::counted(whole.subscribers.count(), "subscriber");
        let runs = if is_strange(protocol) { "nobody runs" } else { "hardly any device runs" };
        told.push(Finding {
            severity,
            score,
            p_value: 0.05,
            evidence,
            headline: format!("{counted} talk with {who} in IP protocol {protocol}, which {runs}"),
            explanation: format!(
                "{counted} exchange packets of IP protocol {protocol} with {who}: {per_subscriber:.0} rows each. That is neither \
                 TCP nor UDP, nor anything that devices of people use, so firewalls and meters that know those see nothing of it. \
                 Find the devices and the program, and drop the protocol at the border.",
            ),
            ..blank
        });
    }
    found.extend(told);
}

/// Whether so many devices speak a transport of nodes with somebody that is not a mobile network's core.
fn is_of_nodes(whole: &CollectorSummary, protocol: u8) -> bool {
    OF_NODES.contains(&protocol)
        && whole.subscribers.count() >= OF_NODES_SUBSCRIBERS_MIN
        && !whole.services.iter().any(|(service, _)| OF_RADIO.contains(&service.port))
}

fn is_strange(protocol: u8) -> bool {
    !IN_USE.contains(&protocol)
}

/// Parties that are talked with in the same strange protocol, which is a sign of one program.
fn together<'a>(scene: &Scene<'a>) -> Vec<Group<'a>> {
    let mut by_protocol: BTreeMap<(PopulationIndex, u8), Vec<&Member<'a>>> = BTreeMap::new();
    for member @ (key, one) in scene.collectors() {
        let most = one.protocols.by_count().first().map(|(protocol, _)| *protocol);
        if let Some(protocol) = most.filter(|protocol| is_strange(*protocol)) {
            by_protocol.entry((key.population, protocol)).or_default().push(member);
        }
    }
    by_protocol.retain(|_, members| (2..=PARTIES_MAX).contains(&members.len()));
    let groups = by_protocol.into_iter().map(|((population, protocol), members)| {
        let may = |at: &Address| scene.is_registered(Technique::UnattributedCluster, population, *at);
        let members = members.into_iter().filter(|(key, _)| !may(&key.address));
        let (mut addresses, mut whole) = (Vec::new(), CollectorSummary::default());
        members.for_each(|(key, one)| {
            addresses.push(key.address);
            whole.merge((*one).clone());
        });
        let first = addresses.first().copied().unwrap_or_default();
        let name = GroupName::Service(first, Service { protocol, port: 0, at: ServiceAt::Collector });
        let of = CollectorGroup { population, name, addresses };
        Group { key: format!("IP protocol {protocol}"), level: Level::Prefix, of, whole: whole.into() }
    });
    groups.filter(|group| group.of.addresses.len() > 1 && group.whole.subscribers.count() >= SUBSCRIBERS_MIN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::limits::SummaryLimits;
    use crate::population::places::Places;
    use crate::population::summary::tests::{populations, row, summary_of};
    use crate::units::Address;

    #[test]
    fn nobody_runs_these_and_networks_run_those() {
        // Protocol, devices, rows of each, whether answers come.
        let table = [
            ("an unassigned number", 253, 10, 6u8, true, Some(Severity::Medium)),
            ("history", 66, 10, 6u8, true, Some(Severity::Medium)),
            ("a tunnel", 47, 10, 6u8, true, None),
            ("TCP", 6, 10, 6u8, true, None),
            ("a transport of nodes", 132, 10, 6u8, true, Some(Severity::Medium)),
            ("of a few nodes", 132, 6, 6u8, true, None),
            ("a household's", 253, 3, 6u8, true, None),
            ("a scan", 253, 10, 1u8, true, None),
            ("nobody answers", 253, 10, 6u8, false, None),
            ("all in headers, to no data", 59, 10, 6u8, true, Some(Severity::Medium)),
            ("of two parties, to each its own", 253, 100 + 8, 6u8, true, Some(Severity::Medium)),
        ];
        for (name, protocol, devices, each, is_answered, wanted) in table {
            // A hundred more: two parties share them.
            let (parties, devices) = if devices > 100 { (2, devices - 100) } else { (1, devices) };
            let rows = (0..devices).flat_map(|n| (0..each).map(move |k| (n, k))).map(|(n, k)| {
                let (from, to) = (Address::v4([10, 0, 0, n]), Address::v4([203, 0, 113, 7 + n % parties]));
                let mut one = row(from, to, 7 * u64::from(k) + u64::from(n), 300, 200);
                (one.key.protocol, one.key.ports) = (protocol, [0, 0]);
                if protocol == 59 {
                    one.sides.iter_mut().for_each(|side| side.payload_bytes = 0);
                }
                if !is_answered {
                    one.sides[1] = Default::default();
                }
                one
            });
            let summary = summary_of(&rows.collect::<Vec<_>>(), &SummaryLimits::default());
            let (populations, places, mut found) = (populations(), Places::default(), Vec::new());
            strange(&Scene::new(&summary, &populations, &places, None), &mut found);
            assert_eq!(found.iter().map(|one| one.severity).max(), wanted, "{name}");
        }
    }
}
