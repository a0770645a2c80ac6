//! Scenarios written to memory: frames, labels, and what the headers of a frame say.

use std::net::IpAddr;
use std::path::Path;

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use trawlwatch::evaluate::labels::Labels;
use trawlwatch::synth::{Overwrite, PROGRAMS, Role, Scenario, ScenarioWords, SynthReport};

/// From one end to the other.
pub type Way = ((IpAddr, u16), (IpAddr, u16));

/// A capture in memory: nanoseconds and frame.
pub type Frames = Vec<(u64, Vec<u8>)>;

pub fn words(subscribers: u32, hours: f64, operations: &[&str], negatives: &[&str]) -> ScenarioWords {
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

pub fn write(words: ScenarioWords, path: &Path) -> SynthReport {
    let scenario = Scenario::try_from(words).expect("a good scenario");
    scenario.write(path, Overwrite::Never).expect("a capture")
}

pub fn frames_of(bytes: &[u8]) -> Frames {
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

pub fn frames(words: ScenarioWords) -> (Frames, Labels) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.pcap");
    let report = write(words, &path);
    let labels = Labels::load(&report.labels).expect("labels");
    (frames_of(&std::fs::read(&path).expect("the capture")), labels)
}

/// Every kind of operation and negative at once.
pub fn everything() -> ScenarioWords {
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
    let mut words = words(50, 0.3, &[], &[]);
    words.operations = of(true).map(shorter).collect();
    words.negatives = of(false).map(shorter).collect();
    words
}

pub struct Segment {
    pub from: (IpAddr, u16),
    pub to: (IpAddr, u16),
    pub seq: u32,
    pub ack: u32,
    pub syn: bool,
    pub fin: bool,
    pub rst: bool,
    pub acks: bool,
    pub payload: Vec<u8>,
}

pub fn tcp(frame: &[u8]) -> Option<Segment> {
    let sliced = SlicedPacket::from_ethernet(frame).ok()?;
    let (source, destination): (IpAddr, IpAddr) = match sliced.net.as_ref()? {
        NetSlice::Ipv4(ip) => {
            let header = ip.header();
            (header.source_addr().into(), header.destination_addr().into())
        }
        NetSlice::Ipv6(ip) => {
            let header = ip.header();
            (header.source_addr().into(), header.destination_addr().into())
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
    })
}

pub fn checksum_error(frame: &[u8]) -> Option<String> {
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
