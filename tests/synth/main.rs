//! Promises of `synth`: same seed, same bytes; every packet valid; labels that say what is there; no artefact that gives an
//! operation away.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use trawlwatch::evaluate::labels::Labels;
use trawlwatch::synth::suite::{Part, Suite};
use trawlwatch::synth::{Overwrite, PROGRAMS, Role, Scenario, ScenarioWords, SynthReport};

/// From one end to the other.
type Way = ((IpAddr, u16), (IpAddr, u16));

/// A capture in memory: nanoseconds and frame.
type Frames = Vec<(u64, Vec<u8>)>;

fn words(subscribers: u32, hours: f64, operations: &[&str], negatives: &[&str]) -> ScenarioWords {
    let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    ScenarioWords {
        subscribers,
        hours,
        activity: 0.3,
        volume: 0.004,
        operations: owned(operations),
        negatives: owned(negatives),
        seed: 5,
        ..ScenarioWords::default()
    }
}

fn write(words: ScenarioWords, path: &Path) -> SynthReport {
    let scenario = Scenario::try_from(words).expect("a good scenario");
    scenario.write(path, Overwrite::Never).expect("a capture")
}

fn frames_of(bytes: &[u8]) -> Frames {
    assert_eq!(bytes[..4], 0xa1b2_3c4d_u32.to_le_bytes(), "nanosecond pcap");
    let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let (mut at, mut frames) = (24, Frames::new());
    while at < bytes.len() {
        let length = word(at + 8) as usize;
        frames.push((
            u64::from(word(at)) * 1_000_000_000 + u64::from(word(at + 4)),
            bytes[at + 16..at + 16 + length].to_vec(),
        ));
        at += 16 + length;
    }
    frames
}

fn frames(words: ScenarioWords) -> (Frames, Labels) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.pcap");
    let report = write(words, &path);
    let labels = Labels::load(&report.labels).expect("labels");
    (frames_of(&std::fs::read(&path).expect("the capture")), labels)
}

/// Every kind of operation and negative at once.
fn everything() -> ScenarioWords {
    let of = |operation: bool| {
        PROGRAMS
            .iter()
            .filter(move |program| matches!(program.role, Role::Operation(_)) == operation)
            .map(|program| program.kind)
    };
    let shorter = |kind: &str| match kind {
        "population-fan-in" => format!("{kind}:period=120s"),
        "bulk-exfiltration" => format!("{kind}:bytes=1MiB"),
        "packet-injection" => format!("{kind}:visits=8,subscribers=0.5"),
        "backup" | "updates" => format!("{kind}:bytes=64KiB"),
        "video-call" => format!("{kind}:lasts=3s,subscribers=0.1"),
        "site-tunnel" => format!("{kind}:rate=5"),
        "photo-upload" | "peer-to-peer" => format!("{kind}:bytes=64KiB,subscribers=0.05"),
        "ddos" => format!("{kind}:lasts=2s"),
        other => other.to_owned(),
    };
    let mut words = words(60, 0.4, &[], &[]);
    words.operations = of(true).map(shorter).collect();
    words.negatives = of(false).map(shorter).collect();
    words
}

struct Segment {
    from: (IpAddr, u16),
    to: (IpAddr, u16),
    seq: u32,
    ack: u32,
    syn: bool,
    fin: bool,
    rst: bool,
    acks: bool,
    payload: Vec<u8>,
    ttl: u8,
    ip_id: u16,
}

fn tcp(frame: &[u8]) -> Option<Segment> {
    let sliced = SlicedPacket::from_ethernet(frame).ok()?;
    let (source, destination, ttl, ip_id): (IpAddr, IpAddr, u8, u16) = match sliced.net.as_ref()? {
        NetSlice::Ipv4(ip) => {
            let header = ip.header();
            (header.source_addr().into(), header.destination_addr().into(), header.ttl(), header.identification())
        }
        NetSlice::Ipv6(ip) => {
            let header = ip.header();
            (header.source_addr().into(), header.destination_addr().into(), header.hop_limit(), 0)
        }
        _ => return None,
    };
    let Some(TransportSlice::Tcp(tcp)) = sliced.transport.as_ref() else { return None };
    Some(Segment {
        from: (source, tcp.source_port()),
        to: (destination, tcp.destination_port()),
        seq: tcp.sequence_number(),
        ack: tcp.acknowledgment_number(),
        syn: tcp.syn(),
        fin: tcp.fin(),
        rst: tcp.rst(),
        acks: tcp.ack(),
        payload: tcp.payload().to_vec(),
        ttl,
        ip_id,
    })
}

fn checksum_error(frame: &[u8]) -> Option<String> {
    let sliced = match SlicedPacket::from_ethernet(frame) {
        Ok(sliced) => sliced,
        Err(error) => return Some(error.to_string()),
    };
    let text = |e: etherparse::err::ValueTooBigError<usize>| e.to_string();
    let fits = |said: u16, right: Result<u16, String>| match right {
        Ok(right) if right == said => None,
        other => Some(format!("checksum {said:04x}, should be {other:04x?}")),
    };
    match (sliced.net.as_ref()?, sliced.transport.as_ref()) {
        (NetSlice::Ipv4(ip), transport) => {
            let header = ip.header().to_header();
            if header.calc_header_checksum() != header.header_checksum {
                return Some("IPv4 header checksum".to_owned());
            }
            let (source, destination) = (header.source, header.destination);
            match transport? {
                TransportSlice::Tcp(tcp) => {
                    fits(tcp.checksum(), tcp.calc_checksum_ipv4(source, destination).map_err(text))
                }
                TransportSlice::Udp(udp) if udp.checksum() == 0 => None,
                TransportSlice::Udp(udp) => {
                    let right = udp.to_header().calc_checksum_ipv4_raw(source, destination, udp.payload());
                    fits(udp.checksum(), right.map_err(text))
                }
                TransportSlice::Icmpv4(icmp) => {
                    fits(icmp.checksum(), Ok(icmp.icmp_type().calc_checksum(icmp.payload())))
                }
                _ => None,
            }
        }
        (NetSlice::Ipv6(ip), transport) => {
            let (source, destination) = (ip.header().source(), ip.header().destination());
            match transport? {
                TransportSlice::Tcp(tcp) => {
                    fits(tcp.checksum(), tcp.calc_checksum_ipv6(source, destination).map_err(text))
                }
                TransportSlice::Udp(udp) => {
                    let right = udp.to_header().calc_checksum_ipv6_raw(source, destination, udp.payload());
                    fits(udp.checksum(), right.map_err(text))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

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
    // Without an injector: nothing may conflict, nothing may be acknowledged that was never sent.
    let mut words = everything();
    words.operations.retain(|operation| !operation.starts_with("packet-injection"));
    words.negatives.retain(|negative| !negative.starts_with("duplicated"));
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
    assert_eq!(techniques.len(), 4, "{techniques:?}");
    for operation in &labels.operations {
        let name = operation.technique.id();
        assert!(operation.start.0 >= first && operation.end.0 <= last && operation.start <= operation.end, "{name}");
        assert!(operation.subscribers >= 1 && !operation.collectors.is_empty(), "{name}");
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

/// Probability that a number of the first kind is larger than one of the second, ties counting half.
fn auc(ones: &[f64], others: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> = ones.iter().map(|x| (*x, true)).chain(others.iter().map(|x| (*x, false))).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut sum, mut i) = (0.0, 0);
    while i < all.len() {
        let to = all[i..].iter().take_while(|(x, _)| *x == all[i].0).count() + i;
        let rank = (i + to + 1) as f64 / 2.0;
        sum += rank * all[i..to].iter().filter(|(_, one)| *one).count() as f64;
        i = to;
    }
    let (n, m) = (ones.len() as f64, others.len() as f64);
    (sum - n * (n + 1.0) / 2.0) / (n * m)
}

#[test]
fn no_header_field_gives_a_fan_in_away() {
    let scenario = words(500, 0.5, &["population-fan-in:period=120s,subscribers=0.5"], &[]);
    let (frames, labels) = frames(scenario);
    let collectors: BTreeSet<IpAddr> = labels.operations[0].collectors.iter().map(|address| address.to_ip()).collect();
    let mut columns: BTreeMap<&str, [Vec<f64>; 2]> = BTreeMap::new();
    for (at, frame) in &frames {
        let Some(segment) = tcp(frame) else { continue };
        let from_town = matches!(segment.from.0, IpAddr::V4(v4) if v4.octets()[..2] == [10, 20]);
        if !segment.syn || segment.acks || !from_town {
            continue;
        }
        let kind = usize::from(!collectors.contains(&segment.to.0));
        for (name, value) in [
            ("TTL", f64::from(segment.ttl)),
            ("IP id", f64::from(segment.ip_id)),
            ("source port", f64::from(segment.from.1)),
            ("sequence number", f64::from(segment.seq)),
            ("timestamp within its second", (at % 1_000_000_000) as f64),
            ("timestamp within its microsecond", (at % 1_000) as f64),
        ] {
            columns.entry(name).or_default()[kind].push(value);
        }
    }
    for (name, [operation, benign]) in &columns {
        assert!(operation.len() > 1_000 && benign.len() > 1_000, "{name}: {} and {}", operation.len(), benign.len());
        let auc = auc(operation, benign);
        assert!((0.40..0.60).contains(&auc), "{name} gives the operation away: AUC {auc:.3}");
    }
}

fn shipped() -> Vec<Part> {
    Suite::named("shipped").expect("a suite").parts()
}

fn captures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures")
}

#[test]
fn shipped_captures_are_made_again_byte_for_byte() {
    let folder = tempfile::tempdir().expect("a folder");
    for part in &shipped() {
        let report = part.write(folder.path(), Overwrite::Never).unwrap_or_else(|e| panic!("{}: {e}", part.name));
        for made in [&report.capture, &report.labels, &report.policy] {
            let shipped = captures().join(made.file_name().expect("a name"));
            let (made, shipped_bytes) =
                (std::fs::read(made).expect("made"), std::fs::read(&shipped).unwrap_or_default());
            assert!(made == shipped_bytes, "{} differs from what `synth --suite shipped` makes", shipped.display());
        }
        assert!(report.written.file_bytes < 4 << 20, "{} is too large to ship", part.name);
    }
}

#[test]
fn every_shipped_capture_has_its_row() {
    let readme = std::fs::read_to_string(captures().join("README.md")).expect("captures/README.md");
    for part in &shipped() {
        // One that is not there yet is the other test's to miss.
        let Ok(bytes) = std::fs::read(captures().join(&part.name)) else { continue };
        let sum: String =
            <sha2::Sha256 as sha2::Digest>::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        for wanted in [part.name.as_str(), &sum, &part.command()] {
            assert!(readme.contains(wanted), "captures/README.md lacks {wanted}");
        }
    }
}

fn trawlwatch(arguments: &[&str]) -> (i32, String, String) {
    let run = assert_cmd::Command::cargo_bin("trawlwatch").expect("the program").arg("synth").args(arguments).output();
    let run = run.expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (run.status.code().unwrap_or(-1), text(&run.stdout), text(&run.stderr))
}

#[test]
fn the_list_names_everything() {
    let (status, out, _) = trawlwatch(&["--list"]);
    assert_eq!(status, 0);
    for program in PROGRAMS {
        assert!(out.contains(program.kind), "{} is missing", program.kind);
    }
}

#[test]
fn what_cannot_be_written_is_refused_by_name() {
    for (arguments, wanted) in [
        (&["--output", "-"][..], "needs a file's name"),
        (&[][..], "--output"),
        (&["--output", "a.txt"][..], "ends in .pcap or .pcap.zst"),
        (&["--world", "moon", "--output", "a.pcap"][..], "unknown world \"moon\"; known: town"),
        (
            &["--operation", "spying", "--output", "a.pcap"][..],
            "unknown operation \"spying\"; known: population-fan-in",
        ),
        (
            &["--negative", "ntp:speed=9", "--output", "a.pcap"][..],
            "ntp: unknown knob \"speed\"; known: subscribers, period",
        ),
        (&["--start", "noon", "--output", "a.pcap"][..], "start \"noon\" is not a time"),
        (&["--hours", "0", "--output", "a.pcap"][..], "hours is 0, must lie between"),
        (&["--suite", "grand", "somewhere"][..], "unknown suite \"grand\"; known: shipped"),
        (&["--suite", "small", "--only", "nothing", "somewhere"][..], "no capture of the suite small is chosen"),
        (&["--suite", "small", "--seeds", "9-1", "somewhere"][..], "--seeds 9-1: not a range"),
        (&["--fault", "fire=1", "--output", "a.pcap"][..], "fault \"fire=1\": unknown; known: loss"),
    ] {
        let (status, out, talk) = trawlwatch(arguments);
        assert_eq!((status, out.as_str()), (2, ""), "{arguments:?}: {talk}");
        assert!(talk.contains(wanted), "{arguments:?}: {talk}");
    }
}
