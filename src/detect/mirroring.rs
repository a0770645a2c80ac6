//! `traffic-mirroring`: copies of a population's traffic, or records of it, sent to a stranger.
//! In: carriers (tunnels with population flows inside) and flow exports of a scene. Out: a finding for each that goes to a
//! receiver outside every population.
//! What tells a copy from an honest tunnel: in a tunnel the two sides of an inner conversation travel in opposite outer
//! directions, in a copy both travel the same way; and a copy's flows are also seen natively. Either proves it. ERSPAN, TZSP,
//! HEP and rpcap carry nothing but copies. Sources: ATT&CK T1020.001, CISA AA25-239A (GRE, SPAN and ERSPAN on routers, 2025).

use super::finding::{CollectorIdentity, Evidence, EvidenceValue, Finding, PopulationShare, Severity, Technique};
use super::scene::Scene;
use super::words;
use crate::packet::columns::TunnelKind;
use crate::population::PopulationIndex;
use crate::population::carrier::{CarrierKey, CarrierSummary, ExportKey, ExportSummary};
use crate::population::identity::Party;
use crate::population::span::Seen;
use crate::units::Address;

/// Share of the two-sided inner rows that must travel one way.
const COPIED_SHARE_MIN: f64 = 0.5;
/// Share of the inner flows that must also be seen natively.
const NATIVE_SHARE_MIN: f64 = 0.5;
/// Inner flows that the native share must rest on.
const NATIVE_FLOWS_MIN: f64 = 4.0;
/// Inner flows and packets from which on a one-sided tunnel is more than a glimpse of one.
const ONE_SIDED_FLOWS: u64 = 4;
const ONE_SIDED_PACKETS: u64 = 16;
/// Tunnels of the real captures in `tests/program` in which nothing was to be found and nothing was: bound of the p-value.
const BENIGN_CARRIERS_TRIED: f64 = 250.0;

/// Why we think it is a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ground {
    /// Both sides of inner conversations travel the same way, or the flows are also seen natively.
    Proved,
    /// The protocol is made for copies or for telling about traffic.
    Nature,
    /// Only one side of the conversations is seen, and nothing natively; over many flows or few.
    OneSided(Weight),
    /// Both ways: traffic of the population goes through a stranger's tunnel, which an office's may do rightly.
    Carried,
    /// The tunnel is how people get to the network at all.
    Access,
}

/// How much a one-sided tunnel rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    Few,
    Many,
}

/// See the file's header.
pub fn detect(scene: &Scene<'_>, findings: &mut Vec<Finding>) {
    for (key, carrier) in scene.summary.carriers.sorted() {
        for sender in 0..2 {
            let Some(receiver) = stranger(&key.outer[1 - sender]) else { continue };
            let Some((ground, native)) = ground(scene, key, carrier, sender) else { continue };
            for (&population, subscribers) in &carrier.subscribers {
                findings.push(copied(
                    scene,
                    (key, carrier),
                    sender,
                    receiver,
                    population,
                    subscribers.count(),
                    ground,
                    native,
                ));
            }
        }
    }
    for (key, export) in scene.summary.exports.sorted() {
        let Some(receiver) = stranger(&key.receiver) else { continue };
        for (&population, subscribers) in &export.subscribers {
            findings.push(told(scene, key, export, receiver, population, subscribers.count()));
        }
    }
}

/// On which ground traffic from this outer sender is a copy, if it is; and the share that was also seen natively.
fn ground(
    scene: &Scene<'_>,
    key: &CarrierKey,
    carrier: &CarrierSummary,
    sender: usize,
) -> Option<(Ground, Option<f64>)> {
    // What an address sends itself goes to nobody.
    if carrier.packets[sender] == 0 || key.outer[0] == key.outer[1] {
        return None;
    }
    let native = (carrier.tuples.contained_in(&scene.summary.native.tuples))
        .filter(|found| found.compared as f64 >= NATIVE_FLOWS_MIN)
        .map(|found| found.share);
    let copied = carrier.rows_copied[sender] as f64;
    let two_sided =
        (carrier.rows_copied[0] + carrier.rows_copied[1] + carrier.rows_opposite + carrier.rows_mixed) as f64;
    let one_way = carrier.packets[1 - sender] == 0;
    let is_copy = copied > 0.0 && copied / two_sided.max(1.0) >= COPIED_SHARE_MIN;
    let is_native = one_way && native.is_some_and(|share| share >= NATIVE_SHARE_MIN);
    if is_copy || is_native {
        return Some((Ground::Proved, native));
    }
    match key.kind {
        TunnelKind::ErspanI | TunnelKind::ErspanII | TunnelKind::ErspanIII => Some((Ground::Nature, native)),
        TunnelKind::Tzsp | TunnelKind::Hep | TunnelKind::Rpcap => Some((Ground::Nature, native)),
        // What gives a population its access, or was made to cross networks, is one-sided on every asymmetric path.
        TunnelKind::GtpU | TunnelKind::L2tp => {
            let to_a_stranger = key.outer[1 - sender].outside().is_some_and(is_far);
            (to_a_stranger && is_main_way(key, carrier, sender)).then_some((Ground::Access, native))
        }
        TunnelKind::Pptp | TunnelKind::Teredo | TunnelKind::SixInFour | TunnelKind::Ayiya => {
            is_main_way(key, carrier, sender).then_some((Ground::Access, native))
        }
        _ if one_way && carrier.rows_one_sided[sender] > 0 => {
            let many = carrier.flows >= ONE_SIDED_FLOWS && carrier.packets[sender] >= ONE_SIDED_PACKETS;
            Some((Ground::OneSided(if many { Weight::Many } else { Weight::Few }), native))
        }
        _ if is_main_way(key, carrier, sender) => Some((Ground::Carried, native)),
        _ => None,
    }
}

/// A party that can be told of: outside every population, and an address that is one host's.
fn stranger(party: &Party) -> Option<Address> {
    party.outside().filter(|address| !address.is_special())
}

/// Whether this is the way to tell of where both ends are strangers: the one that carries more. Where one is, the way to it
/// always is, be the other inside the population or a group's address.
fn is_main_way(key: &CarrierKey, carrier: &CarrierSummary, sender: usize) -> bool {
    let both_strangers = key.outer.iter().all(|party| stranger(party).is_some());
    !both_strangers || (carrier.bytes[sender], sender) > (carrier.bytes[1 - sender], 1 - sender)
}

/// Whether an address is of the wide network: what carriers use among themselves (RFC 1918, 6598, 2544, 4193) is none of a
/// stranger's.
fn is_far(address: Address) -> bool {
    match address.as_v4() {
        Some([10, ..] | [192, 168, ..] | [127, ..] | [169, 254, ..] | [198, 18 | 19, ..]) => false,
        Some([172, b, ..]) => !(16..32).contains(&b),
        Some([100, b, ..]) => !(64..128).contains(&b),
        Some(_) => true,
        None => address.0[0] & 0xfe != 0xfc && address.0[..2] != [0xfe, 0x80],
    }
}

#[allow(clippy::too_many_arguments, reason = "one call, and each is a word of the finding")]
fn copied(
    scene: &Scene<'_>,
    (key, carrier): (&CarrierKey, &CarrierSummary),
    sender: usize,
    receiver: Address,
    population: PopulationIndex,
    subscribers: u64,
    ground: Ground,
    native: Option<f64>,
) -> Finding {
    let (severity, score) = match ground {
        Ground::Proved => (Severity::Critical, 1.0),
        Ground::Nature => (Severity::High, 0.9),
        Ground::OneSided(Weight::Many) => (Severity::Medium, 0.6),
        Ground::OneSided(Weight::Few) => (Severity::Low, 0.45),
        Ground::Carried => (Severity::Low, 0.3),
        Ground::Access => (Severity::Info, 0.1),
    };
    let kind = kind_word(key.kind);
    let two_sided = carrier.rows_copied[0] + carrier.rows_copied[1] + carrier.rows_opposite + carrier.rows_mixed;
    let mut evidence = vec![
        words::evidence("wrapping", EvidenceValue::Text(kind.to_owned()), "protocol", 0.2),
        number("inner_flows", carrier.flows as f64, "flows", 0.1),
        number("inner_packets", carrier.packets[sender] as f64, "packets", 0.1),
        number("inner_packets_back", carrier.packets[1 - sender] as f64, "packets", 0.1),
        number("rows_copied_share", carrier.rows_copied[sender] as f64 / two_sided.max(1) as f64, "ratio", 0.3),
    ];
    if let Some(share) = native {
        evidence.push(number("also_seen_natively", share, "ratio", 0.2));
    }
    let ground_words = match ground {
        Ground::Proved if carrier.rows_copied[sender] > 0 => {
            "Both directions of the inner conversations travel the same way, which only a copy does: proved."
        }
        Ground::Proved => "The same flows are also seen outside the tunnel, and nothing comes back through it: proved.",
        Ground::Nature => {
            "The protocol carries nothing but copies of traffic: inferred from that, and not proved packet by packet."
        }
        Ground::OneSided(_) => {
            "Only one direction of the inner conversations is seen, so it is inferred and not proved."
        }
        Ground::Carried => {
            "Both directions travel through the tunnel, each its own way, as in an honest one: that it is a stranger's is \
             inferred from the policy alone."
        }
        Ground::Access => {
            "This kind of tunnel is how people reach a network, so it says who carries them and no more: not proved."
        }
    };
    let ports: Vec<u16> = carrier.ports.by_count().into_iter().map(|(port, _)| port).filter(|p| *p != 0).collect();
    let source = key.outer[sender];
    finish(
        scene,
        receiver,
        population,
        subscribers,
        carrier.seen,
        Finding {
            severity,
            score,
            p_value: match ground {
                Ground::OneSided(_) => 0.1,
                Ground::Carried | Ground::Access => 1.0,
                _ => 1.0 / (BENIGN_CARRIERS_TRIED + 1.0),
            },
            proto: if ports.is_empty() { kind_proto(key.kind) } else { "UDP" },
            flows: carrier.flows,
            packets: carrier.packets[sender],
            bytes_up: carrier.bytes[sender],
            bytes_down: carrier.bytes[1 - sender],
            evidence,
            headline: format!(
                "Traffic of {} {} {receiver} inside {kind}",
                words::counted(subscribers, "subscriber"),
                if matches!(ground, Ground::Carried | Ground::Access) { "is carried to" } else { "is copied to" },
            ),
            explanation: format!(
                "{} sends {} of the population's packets ({} inner flows) wrapped in {kind} to {receiver}. \
                 {ground_words} Look at the sender's configuration for a monitor session, a packet capture or \
             a tunnel to {receiver}, find out who set it up and when, save the configuration, and remove it.",
                device(source.outside()),
                words::bytes(carrier.bytes[sender]),
                carrier.flows,
            ),
            ..blank(ports)
        },
    )
}

fn told(
    scene: &Scene<'_>,
    key: &ExportKey,
    export: &ExportSummary,
    receiver: Address,
    population: PopulationIndex,
    subscribers: u64,
) -> Finding {
    let kind = match key.kind {
        crate::packet::columns::ExportKind::NetflowV5 => "NetFlow v5",
        crate::packet::columns::ExportKind::NetflowV9 => "NetFlow v9",
        crate::packet::columns::ExportKind::Ipfix => "IPFIX",
        crate::packet::columns::ExportKind::Sflow => "sFlow",
    };
    let totals = export.totals;
    finish(
        scene,
        receiver,
        population,
        subscribers,
        export.seen,
        Finding {
            severity: Severity::High,
            score: 0.9,
            p_value: 1.0 / (BENIGN_CARRIERS_TRIED + 1.0),
            proto: "UDP",
            flows: 1,
            packets: totals.datagrams,
            bytes_up: totals.bytes,
            bytes_down: 0,
            evidence: vec![
                words::evidence("export", EvidenceValue::Text(kind.to_owned()), "protocol", 0.3),
                number("records", totals.records as f64, "records", 0.3),
                number("datagrams", totals.datagrams as f64, "datagrams", 0.2),
                number("ends_distinct", export.ends.count() as f64, "addresses", 0.2),
            ],
            headline: format!(
                "{kind} tells {receiver} whom {} {}",
                words::counted(subscribers, "subscriber"),
                if subscribers == 1 { "talks to" } else { "talk to" },
            ),
            explanation: format!(
                "{} exports flow records of the population ({} records in {} datagrams) to {receiver}: who talked \
                 to whom, when and how much. Look at the exporter's configuration for the collector \
             {receiver}, find out who set it up, and remove it or register the receiver in the policy.",
                device(key.exporter.outside()),
                totals.records,
                totals.datagrams,
            ),
            ..blank(vec![key.port])
        },
    )
}

/// What every finding of this technique has.
fn blank(ports: Vec<u16>) -> Finding {
    let collector = CollectorIdentity { ports, ..CollectorIdentity::default() };
    Finding::blank(Technique::TrafficMirroring, collector, PopulationShare::default(), Seen::default())
}

fn finish(
    scene: &Scene<'_>,
    receiver: Address,
    population: PopulationIndex,
    subscribers: u64,
    seen: Seen,
    mut finding: Finding,
) -> Finding {
    let place = scene.places.of(receiver);
    finding.collector = CollectorIdentity {
        collector_key: receiver.to_string(),
        addresses: vec![receiver],
        prefix: Some(words::prefix(receiver)),
        asn: place.asn,
        country: place.country,
        names: scene.names_of(&[receiver]),
        ..finding.collector
    };
    finding.population = PopulationShare {
        subscribers,
        coverage: scene.coverage(population, subscribers),
        ..scene.population(population)
    };
    (finding.start, finding.end) = (seen.first, seen.last);
    finding.days = words::days(seen.first, seen.last);
    finding
}

/// The sender, named only where it is no subscriber.
fn device(sender: Option<Address>) -> String {
    sender.map_or_else(|| "A device inside the population".to_owned(), |address| format!("The device {address}"))
}

fn kind_word(kind: TunnelKind) -> &'static str {
    match kind {
        TunnelKind::Gre => "GRE",
        TunnelKind::ErspanI => "ERSPAN type I",
        TunnelKind::ErspanII => "ERSPAN type II",
        TunnelKind::ErspanIII => "ERSPAN type III",
        TunnelKind::IpInIp => "IP-in-IP",
        TunnelKind::SixInFour => "6in4",
        TunnelKind::Vxlan => "VXLAN",
        TunnelKind::Geneve => "GENEVE",
        TunnelKind::GtpU => "GTP-U",
        TunnelKind::Tzsp => "TZSP",
        TunnelKind::L2tp => "L2TP",
        TunnelKind::Teredo => "Teredo",
        TunnelKind::MplsInUdp => "MPLS-in-UDP",
        TunnelKind::Hep => "HEP",
        TunnelKind::Rpcap => "rpcap",
        TunnelKind::Ayiya => "AYIYA",
        TunnelKind::Pptp => "PPTP",
    }
}

fn kind_proto(kind: TunnelKind) -> &'static str {
    match kind {
        TunnelKind::Gre | TunnelKind::ErspanI | TunnelKind::ErspanII | TunnelKind::ErspanIII | TunnelKind::Pptp => {
            "GRE"
        }
        TunnelKind::Rpcap => "TCP",
        _ => "IP",
    }
}

fn number(feature: &'static str, value: f64, unit: &'static str, weight: f64) -> Evidence {
    words::evidence(feature, EvidenceValue::Number(value), unit, weight)
}
