//! A small reader of captures for these tests only: classic pcap and pcapng, Ethernet, cooked, raw and loopback frames,
//! IPv4 and IPv6 without fragments; it feeds each flow's application state as the flow table does.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use trawlwatch::packet::app::{AppContext, AppCounters, AppState, Progress};
use trawlwatch::packet::facts::{AppFacts, NameLookup};
use trawlwatch::units::{Address, Side, TimestampNs};

/// Where the captures lie; none (and a word about it) where they are not on this machine.
pub fn captures(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("TRAWLWATCH_CAPTURES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures"), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("not run: {test}: no captures at {}", folder.display());
    None
}

/// (orig address, orig port, resp address, resp port, IP protocol).
pub type Tuple = (IpAddr, u16, IpAddr, u16, u8);

/// What a capture's flows said.
#[derive(Default)]
pub struct Walk {
    /// Facts of each flow that has any state, in the order of their tuples.
    pub flows: BTreeMap<Tuple, Vec<AppFacts>>,
    pub lookups: Vec<NameLookup>,
    pub counters: AppCounters,
}

struct Flow {
    tuple: Tuple,
    base: [Option<u32>; 2],
    state: Option<Box<AppState>>,
    met: bool,
}

/// Walks a capture file.
pub fn walk(path: &Path) -> Walk {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut walk = Walk::default();
    let mut flows: BTreeMap<Tuple, Flow> = BTreeMap::new();
    frames(&bytes, |ts, link, frame| {
        if let Some(packet) = packet(link, frame) {
            feed(&mut walk, &mut flows, TimestampNs(ts), &packet);
        }
    });
    for flow in flows.into_values() {
        end(&mut walk, flow);
    }
    walk
}

fn end(walk: &mut Walk, flow: Flow) {
    if let Some(mut state) = flow.state {
        let facts = state.take_facts();
        state.count_into(&mut walk.counters);
        walk.flows.entry(flow.tuple).or_default().push(facts);
    }
}

fn feed(walk: &mut Walk, flows: &mut BTreeMap<Tuple, Flow>, ts: TimestampNs, packet: &Packet<'_>) {
    let forward = (packet.source, packet.ports[0], packet.destination, packet.ports[1], packet.protocol);
    let backward = (packet.destination, packet.ports[1], packet.source, packet.ports[0], packet.protocol);
    let key = forward.min(backward);
    let syn_only = packet.protocol == 6 && packet.flags & 0x12 == 2;
    // A new SYN with another sequence number is a new connection on the same ports.
    let renewed = syn_only
        && flows.get(&key).is_some_and(|f| {
            f.tuple == forward && f.base[0].is_some_and(|base| base != packet.sequence.wrapping_add(1))
        });
    if renewed {
        if let Some(flow) = flows.remove(&key) {
            end(walk, flow);
        }
    }
    let orig = if packet.protocol == 6 && packet.flags & 0x12 == 0x12 { backward } else { forward };
    let flow = flows.entry(key).or_insert_with(|| Flow { tuple: orig, base: [None; 2], state: None, met: false });
    let side = if flow.tuple == forward { Side::Orig } else { Side::Resp };
    let syn = u32::from(packet.flags & 2 != 0);
    let base = *flow.base[side.index()].get_or_insert(packet.sequence.wrapping_add(syn));
    if packet.payload.is_empty() {
        return;
    }
    let ctx = AppContext { ts, orig: Address::from(flow.tuple.0), resp: Address::from(flow.tuple.2) };
    let ports = [flow.tuple.1, flow.tuple.3];
    let offset = packet.sequence.wrapping_add(syn).wrapping_sub(base);
    if !flow.met {
        flow.met = true;
        flow.state = match packet.protocol {
            6 => AppState::start_at(6, ports, offset, packet.payload),
            _ => AppState::start(packet.protocol, ports, packet.payload),
        };
    }
    let Some(state) = &mut flow.state else { return };
    let progress = match packet.protocol {
        6 => state.stream(side, offset, packet.payload, &ctx, &mut walk.lookups),
        _ => state.datagram(side, packet.payload, &ctx, &mut walk.lookups),
    };
    if progress == Progress::Done {
        let facts = state.take_facts();
        state.count_into(&mut walk.counters);
        walk.flows.entry(flow.tuple).or_default().push(facts);
        flow.state = None;
    }
}

struct Packet<'a> {
    source: IpAddr,
    destination: IpAddr,
    ports: [u16; 2],
    protocol: u8,
    sequence: u32,
    flags: u8,
    payload: &'a [u8],
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn packet(link: u16, frame: &[u8]) -> Option<Packet<'_>> {
    let ip = match link {
        1 => {
            let mut at = 12;
            while matches!(be16(frame, at)?, 0x8100 | 0x88a8) {
                at += 4;
            }
            match be16(frame, at)? {
                0x0800 | 0x86dd => frame.get(at + 2..)?,
                // PPPoE session: PPP's IPv4 or IPv6.
                0x8864 => frame.get(at + 10..)?,
                _ => return None,
            }
        }
        0 | 108 => frame.get(4..)?,
        113 => frame.get(16..)?,
        276 => frame.get(20..)?,
        12 | 14 | 101 | 228 | 229 => frame,
        9 => frame.get(if frame.first() == Some(&0xff) { 4 } else { 2 }..)?,
        _ => return None,
    };
    let (source, destination, protocol, rest): (IpAddr, IpAddr, u8, &[u8]) = match ip.first()? >> 4 {
        4 => {
            let header = usize::from(ip[0] & 15) * 4;
            let total = usize::from(be16(ip, 2)?);
            if be16(ip, 6)? & 0x3fff != 0 {
                return None;
            }
            let address = |at: usize| ip.get(at..at + 4).and_then(|b| <[u8; 4]>::try_from(b).ok());
            let end = if total == 0 { ip.len() } else { total.min(ip.len()) };
            (address(12)?.into(), address(16)?.into(), *ip.get(9)?, ip.get(header..end)?)
        }
        6 => {
            let address = |at: usize| ip.get(at..at + 16).and_then(|b| <[u8; 16]>::try_from(b).ok());
            let end = (40 + usize::from(be16(ip, 4)?)).min(ip.len());
            (address(8)?.into(), address(24)?.into(), *ip.get(6)?, ip.get(40..end)?)
        }
        _ => return None,
    };
    let ports = [be16(rest, 0)?, be16(rest, 2)?];
    match protocol {
        6 => {
            let sequence = u32::from_be_bytes(rest.get(4..8)?.try_into().ok()?);
            let payload = rest.get(usize::from(rest.get(12)? >> 4) * 4..).unwrap_or_default();
            Some(Packet { source, destination, ports, protocol, sequence, flags: *rest.get(13)?, payload })
        }
        17 => {
            let payload = rest.get(8..usize::from(be16(rest, 4)?).clamp(8, rest.len().max(8)))?;
            Some(Packet { source, destination, ports, protocol, sequence: 0, flags: 0, payload })
        }
        _ => None,
    }
}

fn frames(file: &[u8], mut each: impl FnMut(u64, u16, &[u8])) {
    let Some(magic) = file.first_chunk::<4>() else { return };
    match magic {
        [0x0a, 0x0d, 0x0d, 0x0a] => pcapng(file, &mut each),
        _ => pcap(file, &mut each),
    }
}

/// A 32-bit number of either byte order.
fn number(file: &[u8], at: usize, little: bool) -> Option<u32> {
    let bytes = file.get(at..at + 4)?.try_into().ok()?;
    Some(if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
}

fn pcap(file: &[u8], each: &mut impl FnMut(u64, u16, &[u8])) {
    let little = matches!(file[0], 0xd4 | 0x4d);
    let nano = matches!(file[0], 0x4d) || file.starts_with(&[0xa1, 0xb2, 0x3c, 0x4d]);
    let link = number(file, 20, little).unwrap_or(0) as u16;
    let mut at = 24;
    while let (Some(seconds), Some(fraction), Some(captured)) =
        (number(file, at, little), number(file, at + 4, little), number(file, at + 8, little))
    {
        let Some(frame) = file.get(at + 16..at + 16 + captured as usize) else { return };
        each(u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * if nano { 1 } else { 1000 }, link, frame);
        at += 16 + captured as usize;
    }
}

fn pcapng(file: &[u8], each: &mut impl FnMut(u64, u16, &[u8])) {
    let (mut at, mut little) = (0, true);
    let mut links: Vec<u16> = Vec::new();
    loop {
        if number(file, at, true) == Some(0x0a0d_0d0a) {
            little = number(file, at + 8, true) == Some(0x1a2b_3c4d);
            links.clear();
        }
        let (Some(kind), Some(length)) = (number(file, at, little), number(file, at + 4, little)) else { return };
        let Some(body) = file.get(at + 8..at + length as usize) else { return };
        match kind {
            1 => links.push(number(body, 0, little).map_or(0, |n| if little { n as u16 } else { (n >> 16) as u16 })),
            6 => {
                let interface = number(body, 0, little).unwrap_or(0) as usize;
                let high = u64::from(number(body, 4, little).unwrap_or(0));
                let low = u64::from(number(body, 8, little).unwrap_or(0));
                let captured = number(body, 12, little).unwrap_or(0) as usize;
                if let (Some(link), Some(frame)) = (links.get(interface), body.get(20..20 + captured)) {
                    each((high << 32 | low).wrapping_mul(1000), *link, frame);
                }
            }
            3 => {
                if let (Some(link), Some(frame)) = (links.first(), body.get(4..body.len().saturating_sub(4))) {
                    each(0, *link, frame);
                }
            }
            _ => {}
        }
        if length < 12 {
            return;
        }
        at += length as usize;
    }
}
