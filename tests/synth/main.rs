//! Promises of `synth`: same seed, same bytes; every packet valid; labels that say what is there; every world whole.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use trawlwatch::synth::{Overwrite, PROGRAMS, Role, Scenario, ScenarioWords, WORLDS};

mod frames;
mod judged;
mod realism;
mod shipped;
mod totals;

use frames::{Way, checksum_error, everything, frames, tcp, words, write};

#[test]
fn same_seed_same_bytes_and_another_seed_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let scenario = || words(20, 0.1, &["population-fan-in:period=60s"], &["scan:knocks=20"]);
    let sum = |name: &str, words| write(words, &folder.path().join(name)).sha256().expect("a capture");
    let first = sum("a.pcap.zst", scenario());
    assert_eq!(first, sum("b.pcap.zst", scenario()));
    assert_ne!(first, sum("c.pcap.zst", ScenarioWords { seed: 6, ..scenario() }));
    let again =
        Scenario::try_from(scenario()).expect("good").write(&folder.path().join("a.pcap.zst"), Overwrite::Never);
    assert!(again.expect_err("it exists").to_string().contains("--force"));
}

#[test]
fn an_operation_moves_no_packet_of_homes_that_it_does_not_touch() {
    let (quiet, _) = frames(words(30, 0.2, &[], &[]));
    let (noisy, _) = frames(words(30, 0.2, &["traffic-mirroring:subscribers=0.2"], &["scan"]));
    let noisy: BTreeSet<_> = noisy.into_iter().collect();
    let lost = quiet.iter().filter(|frame| !noisy.contains(*frame)).count();
    assert_eq!(lost, 0, "of {}", quiet.len());
}

#[test]
fn every_packet_is_in_order_and_has_valid_checksums() {
    let (frames, _) = frames(everything());
    assert!(frames.len() > 20_000, "{}", frames.len());
    for (i, pair) in frames.windows(2).enumerate() {
        assert!(pair[0].0 <= pair[1].0, "frame {} goes back in time", i + 2);
    }
    for (i, (_, frame)) in frames.iter().enumerate() {
        if let Some(error) = checksum_error(frame) {
            panic!("frame {}: {error}", i + 1);
        }
    }
}

/// What one side of a connection has sent so far.
#[derive(Default)]
struct Stream {
    first: Option<u32>,
    /// Highest byte sent, as an offset.
    end: u32,
    /// Offsets below `end` that nobody has seen yet.
    missing: BTreeSet<u32>,
    bytes: Vec<u8>,
}

#[test]
fn sequence_numbers_add_up() {
    // Without an injector, and without stations that make anew what was lost: nothing may conflict, nothing may be acknowledged
    // that was never sent.
    let mut words = everything();
    words.operations.retain(|operation| !operation.starts_with("packet-injection"));
    words.negatives.retain(|negative| !negative.starts_with("duplicated") && !negative.starts_with("stations"));
    let (frames, _) = frames(words);
    let mut streams: BTreeMap<Way, Stream> = BTreeMap::new();
    let (mut checked, mut holes) = (0, 0);
    for (i, (_, frame)) in frames.iter().enumerate() {
        let Some(segment) = tcp(frame) else { continue };
        let (own, other) = ((segment.from, segment.to), (segment.to, segment.from));
        if segment.syn {
            let stream = streams.entry(own).or_default();
            if stream.first != Some(segment.seq.wrapping_add(1)) {
                *stream = Stream { first: Some(segment.seq.wrapping_add(1)), ..Stream::default() };
                if !segment.acks {
                    streams.remove(&other);
                }
            }
            continue;
        }
        if let Some(stream) = streams.get(&other).filter(|_| segment.acks && !segment.rst)
            && let Some(first) = stream.first
        {
            let acked = segment.ack.wrapping_sub(first);
            assert!(acked <= stream.end, "frame {}: acknowledges {acked} of {}", i + 1, stream.end);
            assert!(stream.missing.range(..acked).next().is_none(), "frame {}: acknowledges what never came", i + 1);
            checked += 1;
        }
        let Some(stream) = streams.get_mut(&own) else { continue };
        let Some(first) = stream.first else { continue };
        let at = segment.seq.wrapping_sub(first);
        assert!(at <= stream.end.saturating_add(200_000), "frame {}: offset {at} after {}", i + 1, stream.end);
        if at > stream.end {
            holes += 1;
            stream.missing.extend(stream.end..at);
        }
        let to = at as usize + segment.payload.len();
        if stream.bytes.len() < to {
            stream.bytes.resize(to, 0);
        }
        for (byte, offset) in segment.payload.iter().zip(at..) {
            let place = &mut stream.bytes[offset as usize];
            let known = offset < stream.end && !stream.missing.contains(&offset);
            assert!(!known || *place == *byte, "frame {}: two versions of byte {offset}", i + 1);
            *place = *byte;
            stream.missing.remove(&offset);
        }
        stream.end = stream.end.max(to as u32 + u32::from(segment.fin));
    }
    assert!(checked > 5_000, "{checked}");
    assert!(holes > 0, "some segments get lost before the capture point");
}

#[test]
fn names_and_hellos_parse() {
    let (frames, _) = frames(words(40, 0.3, &["population-fan-in:period=60s"], &["cdn"]));
    let (mut dns, mut hellos, mut answers, mut certificates) = (0u32, 0u32, 0u32, 0u32);
    let mut flights: BTreeMap<Way, (u32, Vec<u8>)> = BTreeMap::new();
    for (_, frame) in &frames {
        let sliced = SlicedPacket::from_ethernet(frame).expect("a packet");
        if let Some(TransportSlice::Udp(udp)) = &sliced.transport
            && [udp.source_port(), udp.destination_port()].iter().any(|port| [53, 5353].contains(port))
        {
            simple_dns::Packet::parse(udp.payload()).expect("a DNS message");
            dns += 1;
        }
        let Some(segment) = tcp(frame) else { continue };
        if segment.from.1 != 443 && segment.to.1 != 443 {
            continue;
        }
        let key = (segment.from, segment.to);
        if segment.syn {
            flights.insert(key, (segment.seq.wrapping_add(1), Vec::new()));
        } else if let Some((next, bytes)) = flights.get_mut(&key)
            && segment.seq == *next
            && bytes.len() < 6_000
        {
            bytes.extend(&segment.payload);
            *next = next.wrapping_add(segment.payload.len() as u32);
        }
    }
    for (_, bytes) in flights.values() {
        let mut rest = bytes.as_slice();
        while rest.first() == Some(&22) {
            let Ok((after, record)) = tls_parser::parse_tls_plaintext(rest) else { break };
            rest = after;
            for message in &record.msg {
                match message {
                    tls_parser::TlsMessage::Handshake(tls_parser::TlsMessageHandshake::ClientHello(hello)) => {
                        let (left, _) = tls_parser::parse_tls_extensions(hello.ext.unwrap_or(&[])).expect("extensions");
                        assert!(left.is_empty());
                        hellos += 1;
                    }
                    tls_parser::TlsMessage::Handshake(tls_parser::TlsMessageHandshake::ServerHello(_)) => answers += 1,
                    tls_parser::TlsMessage::Handshake(tls_parser::TlsMessageHandshake::Certificate(chain)) => {
                        for certificate in &chain.cert_chain {
                            x509_parser::parse_x509_certificate(certificate.data).expect("a certificate");
                            certificates += 1;
                        }
                    }
                    _ => {}
                }
            }
        }
    }
    let found = format!("{dns} DNS messages, {hellos} and {answers} hellos, {certificates} certificates");
    assert!(dns > 200 && hellos > 150 && answers > 150 && certificates > 10, "{found}");
    assert!(hellos.abs_diff(answers) * 20 < hellos, "{hellos} hellos, {answers} answers");
}

#[test]
fn labels_say_what_is_there() {
    let (frames, labels) = frames(everything());
    let (first, last) = (frames.first().expect("frames").0, frames.last().expect("frames").0);
    let techniques: BTreeSet<_> = labels.operations.iter().map(|operation| operation.technique.id()).collect();
    let known: BTreeSet<_> =
        PROGRAMS.iter().filter(|p| matches!(p.role, Role::Operation(_))).map(|program| program.kind).collect();
    assert_eq!(techniques, known);
    for operation in &labels.operations {
        let name = operation.technique.id();
        assert!(operation.start.0 >= first && operation.end.0 <= last && operation.start <= operation.end, "{name}");
        assert!(operation.subscribers >= 1 || name == "record-scraping", "{name}");
        assert!(!operation.collectors.is_empty(), "{name}");
        for collector in &operation.collectors {
            let text = collector.to_ip();
            let seen = frames.iter().any(|(_, frame)| {
                SlicedPacket::from_ethernet(frame).is_ok_and(|sliced| match &sliced.net {
                    Some(NetSlice::Ipv4(ip)) => {
                        [ip.header().source_addr(), ip.header().destination_addr()].contains(&match text {
                            IpAddr::V4(v4) => v4,
                            IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
                        })
                    }
                    Some(NetSlice::Ipv6(ip)) => {
                        [IpAddr::from(ip.header().source_addr()), IpAddr::from(ip.header().destination_addr())]
                            .contains(&text)
                    }
                    _ => false,
                })
            });
            assert!(seen, "{name}: no packet of {text}");
        }
    }
    let negatives = PROGRAMS.iter().filter(|program| program.role == Role::Negative).count();
    assert_eq!(labels.benign.len(), negatives);
}

#[test]
fn every_world_is_whole_with_everything_in_it() {
    for world in WORLDS {
        let mut words = everything();
        (words.world, words.subscribers, words.hours) = (world.name.to_owned(), 30, 0.08);
        let (frames, labels) = frames(words);
        assert!(frames.len() > 1_000, "{}: {} frames", world.name, frames.len());
        for (i, (_, frame)) in frames.iter().enumerate() {
            if let Some(error) = checksum_error(frame) {
                panic!("{}: frame {}: {error}", world.name, i + 1);
            }
        }
        let seen: BTreeSet<_> = labels.operations.iter().map(|operation| operation.technique.id()).collect();
        let there = |id: &str| seen.contains(id);
        for technique in ["population-fan-in", "bulk-exfiltration", "traffic-mirroring"] {
            assert!(there(technique), "{}: no {technique} in {seen:?}", world.name);
        }
        for operation in &labels.operations {
            let who = format!("{}: {}", world.name, operation.technique.id());
            assert!(!operation.collectors.is_empty(), "{who}");
        }
    }
}
