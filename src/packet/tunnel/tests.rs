//! Wrapped packets that the captures do not have, and look-alikes that must stay payload.

use etherparse::PacketBuilder;

use crate::packet::columns::{NO_TUNNEL, PacketColumns, TunnelKind};
use crate::packet::parser::tests::{batch_of, parse};
use crate::packet::{Parser, ParserLimits, Reject};
use crate::units::Address;

/// The inner packet: UDP from 10.0.0.9 to 10.0.0.5, five bytes of payload.
fn inner() -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ipv4([10, 0, 0, 9], [10, 0, 0, 5], 64).udp(1000, 2000).write(&mut bytes, b"inner").expect("memory");
    bytes
}

fn inner_ethernet() -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0], inner().as_slice()].concat()
}

fn udp(port: u16, payload: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let builder = PacketBuilder::ipv4([192, 0, 2, 1], [198, 51, 100, 1], 60).udp(40000, port);
    builder.write(&mut bytes, &payload.concat()).expect("memory");
    bytes
}

fn tcp(port: u16, payload: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let builder = PacketBuilder::ipv4([192, 0, 2, 1], [198, 51, 100, 1], 60).tcp(40000, port, 1, 1000).ack(1);
    builder.write(&mut bytes, &payload.concat()).expect("memory");
    bytes
}

fn over(protocol: u8, payload: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let builder = PacketBuilder::ipv4([192, 0, 2, 1], [198, 51, 100, 1], 60);
    builder.write(&mut bytes, etherparse::IpNumber(protocol), &payload.concat()).expect("memory");
    bytes
}

fn six(length: u16, next: u8) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend(length.to_be_bytes());
    bytes.extend([next, 64]);
    bytes.extend([[0x20, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]; 2].concat());
    bytes
}

fn rpcap(frame: &[u8]) -> Vec<u8> {
    let captured = frame.len() as u32;
    let mut bytes = vec![0, 7, 0, 0];
    bytes.extend((captured + 20).to_be_bytes());
    bytes.extend([0x60, 0, 0, 0, 0, 0, 0, 5]);
    bytes.extend(captured.to_be_bytes());
    bytes.extend((captured + 100).to_be_bytes());
    bytes.extend([0, 0, 0, 1]);
    bytes.extend(frame);
    bytes
}

fn hep3(protocol: u8) -> Vec<u8> {
    let chunk = |kind: u8, value: &[u8]| [&[0, 0, 0, kind, 0, value.len() as u8 + 6], value].concat();
    let chunks = [
        chunk(1, &[2]),
        chunk(2, &[protocol]),
        chunk(3, &[10, 0, 0, 9]),
        chunk(4, &[10, 0, 0, 5]),
        chunk(7, &1000u16.to_be_bytes()),
        chunk(8, &2000u16.to_be_bytes()),
        chunk(12, &77u32.to_be_bytes()),
        chunk(15, b"inner"),
    ]
    .concat();
    [b"HEP3", &(chunks.len() as u16 + 6).to_be_bytes()[..], &chunks].concat()
}

#[test]
fn every_wrapping_gives_its_inner_packet() {
    let (ip, ethernet) = (inner(), inner_ethernet());
    let wifi = [&[0x08, 1, 0, 0], &[1u8; 18][..], &[0x10, 0, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0]].concat();
    let hep2: &[u8] = &[2, 16, 2, 17, 3, 232, 7, 208, 10, 0, 0, 9, 10, 0, 0, 5, 1, 0, 0, 0, 2, 0, 0, 0, 9, 0, 0, 0];
    let platform: &[u8] =
        &[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 1, 0, 100, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    let l2tp: &[u8] = &[0x0a, 2, 0, 1, 0, 2, 0, 0, 0, 0, 0, 2, 9, 9, 0x21];
    let hep1: &[u8] = &[1, 16, 2, 17, 3, 232, 7, 208, 10, 0, 0, 9, 10, 0, 0, 5];
    #[rustfmt::skip]
    let table: &[(&str, TunnelKind, u32, Vec<u8>)] = &[
        ("VXLAN", TunnelKind::Vxlan, 66, udp(4789, &[&[8, 0, 0, 0, 0, 0, 66, 0], &ethernet])),
        ("VXLAN on a port of no meaning", TunnelKind::Vxlan, 66, udp(33000, &[&[8, 0, 0, 0, 0, 0, 66, 0], &ethernet])),
        ("VXLAN-GPE with IPv4", TunnelKind::Vxlan, 66, udp(4790, &[&[0x0c, 0, 0, 1, 0, 0, 66, 0], &ip])),
        ("GENEVE with options", TunnelKind::Geneve, 5, udp(6081, &[&[1, 0, 0x65, 0x58, 0, 0, 5, 0, 1, 1, 1, 0], &ethernet])),
        ("GENEVE on a port of no meaning", TunnelKind::Geneve, 5, udp(99, &[&[0, 0, 0x65, 0x58, 0, 0, 5, 0], &ethernet])),
        ("GTP-U", TunnelKind::GtpU, 9, udp(2152, &[&[0x30, 255, 0, 33, 0, 0, 0, 9], &ip])),
        ("GTP-U with an extension", TunnelKind::GtpU, 9, udp(2152, &[&[0x34, 255, 0, 41, 0, 0, 0, 9, 0, 0, 0, 0x85, 1, 0, 1, 0], &ip])),
        ("GTP-U on a port of no meaning", TunnelKind::GtpU, 9, udp(5000, &[&[0x30, 255, 0, 33, 0, 0, 0, 9], &ip])),
        ("TZSP", TunnelKind::Tzsp, 0, udp(37008, &[&[1, 0, 0, 1, 0, 0, 10, 1, 200, 1], &ethernet])),
        ("TZSP on a port of another's", TunnelKind::Tzsp, 0, udp(9555, &[&[1, 0, 0, 1, 1], &ethernet])),
        ("TZSP with 802.11", TunnelKind::Tzsp, 0, udp(37008, &[&[1, 0, 0, 18, 1], &wifi, &ip])),
        ("L2TPv2", TunnelKind::L2tp, 0x0001_0002, udp(1701, &[&[0x40, 2, 0, 45, 0, 1, 0, 2, 0xff, 3, 0, 0x21], &ip])),
        ("L2TPv2 with sequence and offset", TunnelKind::L2tp, 0x0001_0002, udp(1701, &[l2tp, &ip])),
        ("L2TPv3 over UDP", TunnelKind::L2tp, 7, udp(1701, &[&[0, 3, 0, 0, 0, 0, 0, 7], &ethernet])),
        ("L2TPv3 over IP with a cookie", TunnelKind::L2tp, 7, over(115, &[&[0, 0, 0, 7, 9, 9, 9, 9], &ethernet])),
        ("MPLS in UDP", TunnelKind::MplsInUdp, 16, udp(6635, &[&[0, 1, 0x01, 64], &ip])),
        ("MPLS in IP", TunnelKind::MplsInUdp, 16, over(137, &[&[0, 1, 0x01, 64], &ip])),
        ("GRE with checksum, key and sequence", TunnelKind::Gre, 3, over(47, &[&[0xb0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1], &ip])),
        ("NVGRE", TunnelKind::Gre, 0x0123, over(47, &[&[0x20, 0, 0x65, 0x58, 0, 1, 0x23, 7], &ethernet])),
        ("GRE in UDP", TunnelKind::Gre, 0, udp(4754, &[&[0, 0, 8, 0], &ip])),
        ("ERSPAN I", TunnelKind::ErspanI, 0, over(47, &[&[0, 0, 0x88, 0xbe], &ethernet])),
        ("ERSPAN II", TunnelKind::ErspanII, 100, over(47, &[&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 1, 0, 100, 0, 0, 0, 0], &ethernet])),
        ("ERSPAN III with a platform header", TunnelKind::ErspanIII, 100, over(47, &[platform, &ethernet])),
        ("PPTP", TunnelKind::Pptp, 8, over(47, &[&[0x30, 0x81, 0x88, 0x0b, 0, 37, 0, 8, 0, 0, 0, 1, 0, 0, 0, 1, 0xff, 3, 0, 0x21], &ip])),
        ("HEP 3", TunnelKind::Hep, 77, udp(9060, &[&hep3(17)])),
        ("HEP 3 on a port of no meaning", TunnelKind::Hep, 77, udp(5000, &[&hep3(17)])),
        ("HEP 3 over TCP", TunnelKind::Hep, 77, tcp(9061, &[&hep3(17)])),
        ("HEP 2", TunnelKind::Hep, 9, udp(9060, &[hep2, b"inner"])),
        ("HEP 1", TunnelKind::Hep, 0, udp(9060, &[hep1, b"inner bytes"])),
        ("rpcap", TunnelKind::Rpcap, 0, tcp(2002, &[&rpcap(&ethernet)])),
        ("IP in IP", TunnelKind::IpInIp, 0, over(4, &[&ip])),
    ];
    for (name, kind, id, bytes) in table {
        let (batch, columns, parser) = parse(101, &[bytes]);
        assert_eq!(columns.len(), 2, "{name}: {:?}", parser.rejects());
        let (outer, row) = (columns.row(0), columns.row(1));
        assert_eq!((outer.tunnel, outer.key.context), (NO_TUNNEL, 0), "{name}");
        let tunnel = columns.tunnels[usize::from(row.tunnel)];
        assert_eq!((tunnel.kind, tunnel.id, tunnel.depth), (*kind, *id, 1), "{name}");
        assert_eq!(tunnel.outer_source, Address::v4([192, 0, 2, 1]), "{name}");
        assert_eq!(tunnel.outer_destination, Address::v4([198, 51, 100, 1]), "{name}");
        assert_eq!(row.key.addresses, [Address::v4([10, 0, 0, 5]), Address::v4([10, 0, 0, 9])], "{name}");
        assert_eq!((row.key.ports, row.from, row.key.protocol), ([2000, 1000], 1, 17), "{name}");
        assert!(columns.payload_of(1, &batch).starts_with(b"inner"), "{name}");
        assert_ne!(row.key.context, 0, "{name}");
    }
}

#[test]
fn teredo_follows_its_indications() {
    let packet = six(0, 59);
    let origin: &[u8] = &[0, 0, 1, 2, 3, 4, 5, 6];
    let authentication: &[u8] = &[0, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0];
    for (name, head) in [("bare", vec![]), ("origin", origin.to_vec()), ("both", [authentication, origin].concat())] {
        let (_, columns, _) = parse(101, &[&udp(3544, &[&head, &packet])]);
        assert_eq!(columns.len(), 2, "{name}");
        assert_eq!(columns.tunnels[0].kind, TunnelKind::Teredo, "{name}");
    }
}

#[test]
fn a_port_whose_content_disagrees_stays_payload() {
    let (ip, ethernet) = (inner(), inner_ethernet());
    let mut wrong_sum = ethernet.clone();
    wrong_sum[24] ^= 1;
    let longer = [&ip[..2], &[0x40, 0], &ip[4..]].concat();
    let question =
        [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 7, b'e', b'x', b'a', b'm', b'p', b'l', b'e', 0, 0, 1, 0, 1];
    #[rustfmt::skip]
    let table: &[(&str, Vec<u8>)] = &[
        ("DNS from a tunnel's port", udp(4789, &[&question])),
        ("DNS from GTP's port", udp(2152, &[&question])),
        ("VXLAN without its flag", udp(4789, &[&[0, 0, 0, 0, 0, 0, 66, 0], &ethernet])),
        ("a wrong inner checksum on a foreign port", udp(33000, &[&[8, 0, 0, 0, 0, 0, 66, 0], &wrong_sum])),
        ("GTP-U longer than its datagram", udp(2152, &[&[0x30, 255, 1, 33, 0, 0, 0, 9], &ip])),
        ("GTP-U with an inner packet too long", udp(2152, &[&[0x30, 255, 0, 33, 0, 0, 0, 9], &longer])),
        ("GTP-U version 2", udp(2152, &[&[0x50, 255, 0, 33, 0, 0, 0, 9], &ip])),
        ("L2TP control", udp(1701, &[&[0xc8, 2, 0, 45, 0, 1, 0, 2, 0, 0, 0, 0], &ip])),
        ("TZSP with a wrong inner checksum on another's", udp(9555, &[&[1, 0, 0, 1, 1], &wrong_sum])),
        ("TZSP without an end", udp(37008, &[&[1, 0, 0, 1], &[0; 70]])),
        ("TZSP of a version to come", udp(37008, &[&[2, 0, 0, 1, 1], &ethernet])),
        ("rpcap whose lengths differ", tcp(2002, &[&[0, 7, 0, 0, 0, 0, 9, 9], &rpcap(&ethernet)[8..]])),
        ("HEP about ICMP", udp(9060, &[&hep3(1)])),
        ("HEP cut off", udp(9060, &[&hep3(17)[..40]])),
        ("IP in IP that is not", over(4, &[b"certainly no packet at all"])),
        ("ERSPAN II of version 3", over(47, &[&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x30, 1, 0, 100, 0, 0, 0, 0], &ethernet])),
        ("a GRE keep-alive", over(47, &[&[0, 0, 0, 0], &ip])),
    ];
    for (name, bytes) in table {
        let (batch, columns, parser) = parse(101, &[bytes]);
        assert_eq!(columns.len(), 1, "{name}");
        assert_eq!(columns.row(0).payload_bytes as usize, columns.payload_of(0, &batch).len(), "{name}");
        assert_eq!(parser.rejects().of_class(crate::packet::RejectClass::Damaged), 0, "{name}");
    }
}

#[test]
fn a_mirrored_packet_that_was_cut_keeps_its_true_lengths() {
    let mut ethernet = inner_ethernet();
    ethernet[16..18].copy_from_slice(&1028u16.to_be_bytes());
    ethernet[38..40].copy_from_slice(&1008u16.to_be_bytes());
    let bytes = over(47, &[&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 1, 4, 100, 0, 0, 0, 0], &ethernet]);
    let (batch, columns, _) = parse(101, &[&bytes]);
    let row = columns.row(1);
    assert_eq!((row.ip_bytes, row.payload_bytes, row.payload.captured), (1028, 1000, 5));
    assert_eq!(columns.payload_of(1, &batch), b"inner");
}

#[test]
fn one_segment_may_hold_many_messages_and_a_batch_names_a_tunnel_once() {
    let message = rpcap(&inner_ethernet());
    let bytes = tcp(2003, &[&message, &message, &message[..50]]);
    let (_, columns, _) = parse(101, &[&bytes, &bytes]);
    assert_eq!(columns.len(), 6);
    assert_eq!(columns.tunnels.len(), 1);
}

#[test]
fn nesting_ends_at_the_limit_and_contexts_differ_by_level() {
    let mut bytes = inner();
    for level in 0..12u8 {
        let mut outer = Vec::new();
        let builder = PacketBuilder::ipv4([192, 0, 2, level], [198, 51, 100, 1], 60);
        builder.write(&mut outer, etherparse::IpNumber(4), &bytes).expect("memory");
        bytes = outer;
    }
    let batch = batch_of(101, &[&bytes]);
    for (depth_max, rows) in [(0, 1), (3, 4), (8, 9), (20, 13)] {
        let mut parser = Parser::new(ParserLimits { depth_max, ..ParserLimits::default() });
        let mut columns = PacketColumns::default();
        parser.parse_batch(&batch, &mut columns);
        assert_eq!(columns.len(), rows, "{depth_max}");
        assert_eq!(parser.rejects().of(Reject::DepthExceeded), u64::from(rows < 13), "{depth_max}");
        let contexts: std::collections::BTreeSet<_> = columns.key.iter().map(|k| k.context).collect();
        assert_eq!(contexts.len(), rows, "{depth_max}");
    }
}

#[test]
fn both_directions_of_a_tunnel_share_a_context() {
    let there = over(4, &[&inner()]);
    let mut back_inner = Vec::new();
    PacketBuilder::ipv4([10, 0, 0, 5], [10, 0, 0, 9], 64).udp(2000, 1000).write(&mut back_inner, b"x").expect("memory");
    let mut back = Vec::new();
    let builder = PacketBuilder::ipv4([198, 51, 100, 1], [192, 0, 2, 1], 60);
    builder.write(&mut back, etherparse::IpNumber(4), &back_inner).expect("memory");
    let (_, columns, _) = parse(101, &[&there, &back]);
    assert_eq!(columns.key[1], columns.key[3]);
    assert_ne!(columns.tunnel[1], columns.tunnel[3], "the tunnels have a direction");
}
