//! `etherparse` as the judge of the parser's own header reading, over every frame of the shared captures.
//! Wherever both read an IP packet with a transport header, they must say the same of it.

use std::collections::BTreeMap;

use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use trawlwatch::capture::FrameRef;
use trawlwatch::packet::columns::{PacketColumns, PacketRow};
use trawlwatch::packet::shard_addresses;
use trawlwatch::units::Address;

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
