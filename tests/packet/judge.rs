//! `etherparse` as the judge of the parser's own header reading, over every frame of the shared captures.
//! Wherever both read an IP packet with a transport header, they must say the same of it.

use std::collections::BTreeMap;

use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use proptest::prelude::*;
use trawlwatch::capture::{Frame, FrameBatch, FrameRef, LinkType};
use trawlwatch::packet::columns::{PacketColumns, PacketRow};
use trawlwatch::packet::{Parser, shard_addresses};
use trawlwatch::units::{Address, TimestampNs};

use super::{ParserLimits, all_files, captures_dir, parse};

/// What both say of a frame's outermost packet.
#[derive(Debug, PartialEq, Eq)]
struct Saying {
    source: Address,
    destination: Address,
    protocol: u8,
    ports: Option<[u16; 2]>,
    payload_captured: usize,
}

fn ours(row: &PacketRow) -> Saying {
    let (from, to) = (usize::from(row.from), 1 - usize::from(row.from));
    let with_ports = matches!(row.key.protocol, 6 | 17);
    Saying {
        source: row.key.addresses[from],
        destination: row.key.addresses[to],
        protocol: row.key.protocol,
        ports: with_ports.then(|| [row.key.ports[from], row.key.ports[to]]),
        payload_captured: row.payload.captured as usize,
    }
}

/// None where it reads no IP packet with a transport header that we know.
fn theirs(frame: &FrameRef, bytes: &[u8]) -> Option<Saying> {
    let packet = match frame.link.0 {
        1 => LaxSlicedPacket::from_ethernet(bytes).ok()?,
        12 | 101 | 228 | 229 => LaxSlicedPacket::from_ip(bytes).ok()?,
        _ => return None,
    };
    let (source, destination) = match packet.net.as_ref()? {
        LaxNetSlice::Ipv4(ip) => (Address::v4(ip.header().source()), Address::v4(ip.header().destination())),
        LaxNetSlice::Ipv6(ip) => (Address::v6(ip.header().source()), Address::v6(ip.header().destination())),
        LaxNetSlice::Arp(_) => return None,
    };
    let payload = packet.net.as_ref()?.ip_payload_ref()?;
    let (ports, payload_captured) = match packet.transport.as_ref()? {
        TransportSlice::Tcp(tcp) => (Some([tcp.source_port(), tcp.destination_port()]), tcp.payload().len()),
        TransportSlice::Udp(udp) => (Some([udp.source_port(), udp.destination_port()]), udp.payload().len()),
        // Timestamp messages have a longer header there; here every ICMP payload begins after eight bytes.
        TransportSlice::Icmpv4(_) | TransportSlice::Icmpv6(_) => (None, payload.payload.len().saturating_sub(8)),
        TransportSlice::Igmp(_) => return None,
    };
    Some(Saying { source, destination, protocol: payload.ip_number.0, ports, payload_captured })
}

/// The outermost row of each frame that has one; rows of datagrams put together from fragments left out.
fn outermost(columns: &PacketColumns) -> BTreeMap<u32, PacketRow> {
    let mut rows = BTreeMap::new();
    for i in 0..columns.len() {
        rows.entry(columns.frame[i]).or_insert_with(|| columns.row(i));
    }
    rows
}

#[test]
fn etherparse_agrees_on_every_frame() {
    let Some(dir) = captures_dir("etherparse") else { return };
    let (mut agreed, mut differ) = (0u64, Vec::new());
    for file in all_files(&dir) {
        let name = file.strip_prefix(&dir).expect("inside").to_string_lossy().into_owned();
        parse(&file, ParserLimits::default(), |batch, columns| {
            let rows = outermost(columns);
            for (index, frame) in batch.frames().iter().enumerate() {
                let Some(theirs) = theirs(frame, batch.bytes(frame)) else { continue };
                match rows.get(&(index as u32)) {
                    Some(row) if row.payload.reassembled => {}
                    Some(row) if ours(row) == theirs => agreed += 1,
                    row => differ.push((name.clone(), frame.number, row.map(ours), theirs)),
                }
            }
        });
    }
    assert!(differ.is_empty(), "{differ:#?}");
    println!("{agreed} frames agree");
    assert!(agreed > 50_000, "{agreed}");
}

#[test]
fn the_sharding_peek_agrees_with_the_outermost_row() {
    let Some(dir) = captures_dir("sharding") else { return };
    let mut agreed = 0u64;
    for file in all_files(&dir) {
        parse(&file, ParserLimits::default(), |batch, columns| {
            for (index, row) in outermost(columns) {
                let frame = &batch.frames()[index as usize];
                let says = ours(&row);
                let peek = shard_addresses(frame.link, batch.bytes(frame));
                assert_eq!(peek, Some((says.source, says.destination)), "{}: {}", file.display(), frame.number);
                agreed += 1;
            }
        });
    }
    assert!(agreed > 50_000, "{agreed}");
}

/// A frame from the builder: what is drawn decides tags, version, options, transport, payload and padding.
fn built(
    tags: u8,
    six: bool,
    options: usize,
    transport: u8,
    ends: [u16; 2],
    payload: &[u8],
    padding: usize,
) -> Vec<u8> {
    use etherparse::{
        IpHeaders, Ipv4Extensions, Ipv4Header, Ipv6Extensions, Ipv6Header, PacketBuilder, VlanId, ip_number,
    };
    let (mut frame, vlan) = (Vec::new(), VlanId::try_new(7).expect("twelve bits"));
    let ip = match six {
        true => {
            let header = Ipv6Header { source: [3; 16], destination: [2; 16], hop_limit: 9, ..Ipv6Header::default() };
            IpHeaders::Ipv6(header, Ipv6Extensions::default())
        }
        false => {
            let mut header = Ipv4Header::new(0, 9, ip_number::UDP, [10, 0, 0, 1], [10, 0, 0, 2]).expect("sound");
            header.options = vec![1; options / 4 * 4].as_slice().try_into().expect("up to forty bytes");
            IpHeaders::Ipv4(header, Ipv4Extensions::default())
        }
    };
    let ethernet = PacketBuilder::ethernet2([1; 6], [2; 6]);
    let network = match tags {
        0 => ethernet.ip(ip),
        1 => ethernet.single_vlan(vlan).ip(ip),
        _ => ethernet.double_vlan(vlan, vlan).ip(ip),
    };
    let written = match transport {
        0 => network.udp(ends[0], ends[1]).write(&mut frame, payload),
        1 => network.tcp(ends[0], ends[1], 5, 6).ack(7).write(&mut frame, payload),
        2 => {
            let raw = vec![1; options / 4 * 4];
            network.tcp(ends[0], ends[1], 5, 6).syn().options_raw(&raw).expect("up to forty").write(&mut frame, payload)
        }
        _ if six => network.icmpv6_echo_request(1, 2).write(&mut frame, payload),
        _ => network.icmpv4_echo_request(1, 2).write(&mut frame, payload),
    };
    written.expect("memory");
    frame.resize(frame.len() + padding, 0);
    frame
}

proptest! {
    /// The straight line of the hot path, the general one, and etherparse say the same, whole or cut.
    #[test]
    fn etherparse_agrees_on_whatever_it_builds(
        tags in 0u8..3, six in any::<bool>(), options in 0usize..41, transport in 0u8..4, ends in any::<[u16; 2]>(),
        payload in prop::collection::vec(any::<u8>(), 0..200), padding in 0usize..20, cut in 0usize..260,
    ) {
        let whole = built(tags, six, options, transport, ends, &payload, padding);
        let bytes = &whole[..whole.len().saturating_sub(cut / 4 * usize::from(cut % 4 == 0))];
        let mut batch = FrameBatch::new(std::sync::Arc::from(Vec::new()));
        let (ts, wire_bytes) = (TimestampNs(1), whole.len() as u32);
        batch.push(&Frame { ts, link: LinkType(1), wire_bytes, number: 1, file: 0, bytes, lent: None });
        let (mut parser, mut columns) = (Parser::new(ParserLimits::default()), PacketColumns::default());
        parser.parse_batch(&batch, &mut columns);
        if let Some(theirs) = theirs(&batch.frames()[0], bytes) {
            prop_assert!(!columns.is_empty(), "{:?}", parser.rejects());
            prop_assert_eq!(ours(&columns.row(0)), theirs);
        }
        if bytes.len() == whole.len() {
            prop_assert!(!columns.is_empty());
            prop_assert_eq!(columns.payload_bytes[0] as usize, payload.len());
        }
    }
}
