//! Captures of the whole bench, made once from fixed seeds under the target folder and kept for the next run.
//! In: how many packets. Out: files, and how many packets each holds.
//! The mixes: 64-byte packets over 200,000 flows; an IMIX with heavy tails over 500,000 flows, TLS, HTTP, QUIC-like and DNS
//! in it; a flood of SYNs; nothing but a tunnel; and for each bound of the program the capture that reaches it first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::path::{Path, PathBuf};

use crate::frames::{ACK, Ends, FIN, PSH, Pcap, SYN, Segment, TCP, UDP, client_hello, dns, mix, server_hello};

/// A capture and what the report says of it.
pub struct Mix {
    pub name: &'static str,
    pub about: &'static str,
    /// Share of the packets asked for, in percent.
    pub percent: u64,
    write: fn(&mut Pcap, u64) -> io::Result<()>,
}

/// In the order of the report.
pub const MIXES: &[Mix] = &[
    Mix { name: "imix", about: "heavy-tailed flows, TLS, HTTP, DNS, UDP; 7 packets a flow", percent: 100, write: imix },
    Mix { name: "min64", about: "64-byte packets, 50 a flow", percent: 300, write: min64 },
    Mix { name: "synflood", about: "every packet a SYN of a flow of its own", percent: 300, write: syn_flood },
    Mix { name: "tunnel", about: "imix, every packet inside GRE", percent: 50, write: tunnel },
    Mix { name: "hellos", about: "every packet a ClientHello of a flow of its own", percent: 30, write: hellos },
    Mix { name: "names", about: "every packet a DNS message, every name new", percent: 50, write: names },
    Mix { name: "overlaps", about: "every segment sent twice, with different bytes", percent: 50, write: overlaps },
    Mix { name: "parties", about: "every flow to a party never seen before", percent: 50, write: parties },
    Mix { name: "pieces", about: "every packet a fragment", percent: 50, write: pieces },
    Mix { name: "oneflow", about: "all packets in one flow", percent: 100, write: one_flow },
    // Of the million packets that the report is made of, a million flows.
    Mix { name: "living", about: "flows that all live at once, five packets each", percent: 500, write: living },
];

/// The capture's place; made where it is not there yet.
pub fn make(folder: &Path, mix: &Mix, packets: u64) -> io::Result<(PathBuf, u64)> {
    let wanted = packets * mix.percent / 100;
    let place = folder.join(format!("{}-{wanted}.pcap", mix.name));
    let counted = place.with_extension("count");
    if let Ok(text) = std::fs::read_to_string(&counted)
        && let (Ok(count), true) = (text.trim().parse(), place.exists())
    {
        return Ok((place, count));
    }
    std::fs::create_dir_all(folder)?;
    let mut pcap = Pcap::create(&place)?;
    (mix.write)(&mut pcap, wanted)?;
    let count = pcap.finish()?;
    std::fs::write(counted, count.to_string())?;
    Ok((place, count))
}

/// A subscriber of 10.20.0.0/15 (20,000 of them).
fn subscriber(n: u64) -> [u8; 4] {
    let n = n % 20_000;
    [10, 20 + (n >> 16) as u8, (n >> 8) as u8, n as u8]
}

/// A far party: few are popular, many are rare (Zipf-like, 30,000 of them).
fn party(random: u64) -> u64 {
    let u = (random >> 11) as f64 / (1u64 << 53) as f64;
    ((30_000_f64.powf(u) - 1.0) as u64).min(29_999)
}

fn party_address(n: u64) -> [u8; 4] {
    let word = mix(n ^ 0x5eed);
    [
        [23, 34, 52, 104, 142, 151, 185, 199][(word & 7) as usize],
        (word >> 8) as u8,
        (word >> 16) as u8,
        (word >> 24) as u8,
    ]
}

fn party_name(n: u64) -> String {
    format!("w{}.site{}.example", n % 5, n / 5)
}

/// What a flow of the mix does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tls,
    Http,
    Dns,
    Udp,
}

struct Flow {
    ends: Ends,
    kind: Kind,
    party: u64,
    /// Packets already sent.
    step: u32,
    /// Packets between opening and closing.
    body: u32,
    gap_ns: u64,
    seq: [u32; 2],
    random: u64,
}

/// Bodies are Pareto-distributed (shape 1.1): most flows have a handful of packets, some have thousands.
fn pareto(random: u64, least: f64, most: f64) -> f64 {
    let u = ((random >> 11) as f64 + 1.0) / (1u64 << 53) as f64;
    (least / u.powf(1.0 / 1.1)).min(most)
}

fn flow(n: u64) -> Flow {
    let random = mix(n ^ 0xf10);
    let party = party(mix(random));
    let (kind, protocol, port) = match random % 100 {
        0..45 => (Kind::Tls, TCP, 443),
        45..55 => (Kind::Http, TCP, 80),
        55..85 => (Kind::Dns, UDP, 53),
        85..92 => (Kind::Udp, UDP, 443),
        _ => (Kind::Udp, UDP, 3478 + (random >> 40) as u16 % 9),
    };
    let address = if kind == Kind::Dns { [9, 9, 9, 9 + (random >> 50) as u8 % 3] } else { party_address(party) };
    Flow {
        ends: Ends {
            addresses: [subscriber(mix(random ^ 1)), address],
            ports: [1024 + (mix(random ^ 2) % 64_000) as u16, port],
            protocol,
        },
        kind,
        party,
        step: 0,
        body: pareto(mix(random ^ 3), 1.0, 20_000.0) as u32,
        gap_ns: 100_000 + (mix(random ^ 4) % 40_000_000),
        seq: [mix(random ^ 5) as u32, mix(random ^ 6) as u32],
        random,
    }
}

impl Flow {
    /// Sends the next packet; false when it was the last.
    fn send(&mut self, pcap: &mut Pcap, ns: u64, buffer: &mut Vec<u8>) -> io::Result<bool> {
        let (step, body) = (self.step, self.body);
        self.step += 1;
        match self.kind {
            Kind::Dns => {
                let answer = (step == 1).then(|| party_address(self.party));
                dns(buffer, self.random as u16, &party_name(self.party), answer);
                pcap.packet(ns, &self.ends, step as usize & 1, Segment::default(), buffer)?;
                Ok(step == 0)
            }
            Kind::Udp => {
                self.filler(buffer, step);
                pcap.packet(
                    ns,
                    &self.ends,
                    usize::from(!mix(self.random ^ u64::from(step)).is_multiple_of(3)),
                    Segment::default(),
                    buffer,
                )?;
                Ok(step < body)
            }
            Kind::Tls | Kind::Http => self.segment(pcap, ns, buffer, step, body),
        }
    }

    fn segment(&mut self, pcap: &mut Pcap, ns: u64, buffer: &mut Vec<u8>, step: u32, body: u32) -> io::Result<bool> {
        buffer.clear();
        let (from, flags) = match step {
            0 => (0, SYN),
            1 => (1, SYN | ACK),
            2 => (0, ACK),
            3 if self.kind == Kind::Tls => {
                client_hello(buffer, &party_name(self.party), self.random);
                (0, ACK | PSH)
            }
            3 => {
                let name = party_name(self.party);
                buffer.extend(
                    format!("GET /{:x} HTTP/1.1\r\nHost: {name}\r\nUser-Agent: bench\r\n\r\n", self.random).bytes(),
                );
                (0, ACK | PSH)
            }
            4 if self.kind == Kind::Tls => {
                server_hello(buffer, self.random);
                (1, ACK | PSH)
            }
            4 => {
                buffer.extend(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 100000\r\n\r\n");
                (1, ACK | PSH)
            }
            n if n - 5 < body => {
                self.filler(buffer, n);
                // Two full segments down, one acknowledgement up, as downloads are.
                match n % 3 {
                    0 => {
                        buffer.truncate(if mix(self.random ^ u64::from(n)).is_multiple_of(8) { 300 } else { 0 });
                        (0, ACK)
                    }
                    _ => (1, ACK),
                }
            }
            n if n - 5 == body => (0, FIN | ACK),
            n if n - 5 == body + 1 => (1, FIN | ACK),
            _ => (0, ACK),
        };
        let segment = Segment { seq: self.seq[from], ack: self.seq[from ^ 1], flags };
        pcap.packet(ns, &self.ends, from, segment, buffer)?;
        let counted = buffer.len() as u32 + u32::from(flags & (SYN | FIN) != 0);
        self.seq[from] = self.seq[from].wrapping_add(counted);
        Ok(step < body + 7)
    }

    fn filler(&self, buffer: &mut Vec<u8>, step: u32) {
        let random = mix(self.random ^ u64::from(step) << 20);
        let len = match random % 4 {
            0 => 40 + (random >> 8) as usize % 400,
            _ if self.kind == Kind::Udp => 1200,
            _ => 1440,
        };
        buffer.clear();
        // TLS application data, or what nobody can read.
        buffer.extend([23, 3, 3, (len >> 8) as u8, len as u8, 1, 2, 3]);
        buffer.resize(len, random as u8 | 0x80);
    }
}

fn imix(pcap: &mut Pcap, packets: u64) -> io::Result<()> {
    // Some seven packets a flow, spread over four minutes.
    let flows = packets / 7;
    let span_ns = 240_000_000_000;
    let mut next_flow = 0;
    let mut waiting: BinaryHeap<Reverse<(u64, u32)>> = BinaryHeap::new();
    let mut live: Vec<Flow> = Vec::new();
    let mut free: Vec<u32> = Vec::new();
    let mut buffer = Vec::new();
    while pcap.frames < packets {
        let start = next_flow * span_ns / flows.max(1);
        if waiting.peek().is_none_or(|Reverse((ns, _))| *ns > start) {
            let slot = free.pop().unwrap_or(live.len() as u32);
            match live.get_mut(slot as usize) {
                Some(place) => *place = flow(next_flow),
                None => live.push(flow(next_flow)),
            }
            waiting.push(Reverse((start, slot)));
            next_flow += 1;
            continue;
        }
        let Some(Reverse((ns, slot))) = waiting.pop() else { break };
        let flow = &mut live[slot as usize];
        match flow.send(pcap, ns, &mut buffer)? {
            true => waiting.push(Reverse((ns + flow.gap_ns / 2 + mix(ns ^ flow.random) % flow.gap_ns, slot))),
            false => free.push(slot),
        }
    }
    Ok(())
}

fn tunnel(pcap: &mut Pcap, packets: u64) -> io::Result<()> {
    pcap.mirror = Some([[192, 0, 2, 1], [203, 0, 113, 9]]);
    imix(pcap, packets)
}

fn min64(pcap: &mut Pcap, packets: u64) -> io::Result<()> {
    let flows = (packets / 50).max(1);
    let mut seq = vec![[0_u32; 2]; flows as usize];
    for n in 0..packets {
        let ns = n * 5_000;
        // Every flow begins in the first fiftieth of the capture; after that its packets come in no order.
        let id = if n < flows { n } else { mix(n) % flows };
        let random = mix(id ^ 0xabc);
        let protocol = if random.is_multiple_of(5) { UDP } else { TCP };
        let ends = Ends {
            addresses: [subscriber(mix(random)), party_address(party(mix(random ^ 1)))],
            ports: [1024 + (random >> 20) as u16 % 60_000, if protocol == TCP { 443 } else { 5000 }],
            protocol,
        };
        let from = usize::from(n >= flows && mix(n ^ 7).is_multiple_of(2));
        let payload: &[u8] = if n >= flows && mix(n ^ 9).is_multiple_of(2) { &[0x81; 6] } else { &[] };
        let [own, peer] = [seq[id as usize][from], seq[id as usize][from ^ 1]];
        let flags = if n < flows { SYN } else { ACK };
        let counted = payload.len() as u32 + u32::from(n < flows);
        seq[id as usize][from] = own.wrapping_add(counted);
        let payload = if protocol == UDP { &[0x81; 18][..] } else { payload };
        pcap.packet(ns, &ends, from, Segment { seq: own, ack: peer, flags }, payload)?;
    }
    Ok(())
}

fn syn_flood(pcap: &mut Pcap, packets: u64) -> io::Result<()> {
    for n in 0..packets {
        let random = mix(n ^ 0xf100d);
        let from = [64 + (random & 63) as u8, (random >> 8) as u8, (random >> 16) as u8, (random >> 24) as u8];
        let ports = [1024 + (random >> 32) as u16 % 60_000, 80];
        let ends = Ends { addresses: [from, [10, 20, 0, 1]], ports, protocol: TCP };
        pcap.packet(n * 1_000, &ends, 0, Segment { seq: random as u32, ack: 0, flags: SYN }, &[])?;
    }
    Ok(())
}

fn hellos(pcap: &mut Pcap, packets: u64) -> io::Result<()> {
    let mut buffer = Vec::new();
    for n in 0..packets {
        let party = party(mix(n ^ 4));
        let ends = Ends {
            addresses: [subscriber(mix(n)), party_address(party)],
            ports: [1024 + (mix(n ^ 1) % 60_000) as u16, 443],
            protocol: TCP,
        };
        client_hello(&mut buffer, &party_name(mix(n) % 1_000_000), n);
        pcap.packet(n * 20_000, &ends, 0, Segment { seq: 1, ack: 1, flags: ACK | PSH }, &buffer)?;
    }
    Ok(())
}

fn names(pcap: &mut Pcap, packets: u64) -> io::Result<()> {
    let mut buffer = Vec::new();
    for n in 0..packets {
        let question = n / 2;
        let ends = Ends {
            addresses: [subscriber(mix(question)), [9, 9, 9, 9]],
            ports: [1024 + (mix(question ^ 1) % 60_000) as u16, 53],
            protocol: UDP,
        };
        let name = format!("{:x}.site{}.example", mix(question), question % 1_000);
        dns(&mut buffer, question as u16, &name, (n % 2 == 1).then(|| party_address(question)));
        pcap.packet(n * 20_000, &ends, (n % 2) as usize, Segment::default(), &buffer)?;
    }
    Ok(())
}

fn overlaps(pcap: &mut Pcap, packets: u64) -> io::Result<()> {
    let mut buffer = vec![0; 400];
    for n in 0..packets {
        let (id, segment) = (n / 16, n % 16 / 2);
        let ends = Ends {
            addresses: [subscriber(mix(id)), party_address(party(mix(id ^ 1)))],
            ports: [1024 + (mix(id ^ 2) % 60_000) as u16, 8080],
            protocol: TCP,
        };
        buffer.fill(mix(n) as u8);
        let seq = 1 + segment as u32 * 400;
        pcap.packet(n * 20_000, &ends, 1, Segment { seq, ack: 1, flags: ACK | PSH }, &buffer)?;
    }
    Ok(())
}

fn parties(pcap: &mut Pcap, packets: u64) -> io::Result<()> {
    for n in 0..packets {
        let id = n / 2;
        let word = mix(id);
        let far = [64 + (word & 63) as u8, (word >> 8) as u8, (word >> 16) as u8, (word >> 24) as u8];
        let ends = Ends { addresses: [subscriber(mix(id ^ 1)), far], ports: [40_000, 5_000], protocol: UDP };
        pcap.packet(n * 20_000, &ends, (n % 2) as usize, Segment::default(), &[0x81; 64])?;
    }
    Ok(())
}

fn pieces(pcap: &mut Pcap, packets: u64) -> io::Result<()> {
    const MORE: u16 = 0x2000;
    for n in 0..packets {
        let id = n / 2;
        let addresses = [subscriber(mix(id)), party_address(party(mix(id ^ 1)))];
        let ends = Ends { addresses, ports: [40_000, 5_000], protocol: UDP };
        let mut payload = [0x81; 512];
        if n % 2 == 0 {
            payload[..8].copy_from_slice(&[0x9c, 0x40, 0x13, 0x88, 4, 0, 0, 0]);
        }
        let place = if n % 2 == 0 { MORE } else { 64 };
        pcap.fragment(n * 20_000, &ends, id as u16, place, &payload)?;
    }
    Ok(())
}

fn one_flow(pcap: &mut Pcap, packets: u64) -> io::Result<()> {
    let ends = Ends { addresses: [subscriber(7), party_address(7)], ports: [40_000, 5_001], protocol: TCP };
    for n in 0..packets {
        let seq = n as u32;
        pcap.packet(n * 10_000, &ends, 0, Segment { seq, ack: 1, flags: ACK }, &[n as u8])?;
    }
    Ok(())
}

/// Every flow begins within a minute, three packets each, says two more in the next, and none ends: TLS, what nobody can read
/// over TCP, and datagrams. A minute and a half in all, so that nobody is idle for long enough to be over.
fn living(pcap: &mut Pcap, packets: u64) -> io::Result<()> {
    const STEPS: u64 = 5;
    let flows = packets / STEPS;
    let mut buffer = Vec::new();
    for n in 0..flows * STEPS {
        let (step, id) = match n.checked_sub(3 * flows) {
            None => (n % 3, n / 3),
            Some(n) => (3 + n % 2, n / 2),
        };
        let random = mix(id ^ 0x11f3);
        let party = party(mix(random));
        let (protocol, port) = match random % 10 {
            0..4 => (TCP, 443),
            4..6 => (TCP, 5_223),
            _ => (UDP, 3_478),
        };
        let ends = Ends {
            addresses: [subscriber(mix(random ^ 1)), party_address(party)],
            ports: [1024 + (id / 20_000 % 60_000) as u16 + (random >> 40) as u16 % 64, port],
            protocol,
        };
        buffer.clear();
        let (from, flags) = match (step, protocol, port) {
            (step, UDP, _) => {
                buffer.resize(40 + (random >> 8) as usize % 100, 0x81);
                ((step % 2) as usize, 0)
            }
            (0, ..) => (0, SYN),
            (1, ..) => (1, SYN | ACK),
            (2, ..) => (0, ACK),
            (3, _, 443) => {
                client_hello(&mut buffer, &party_name(party), random);
                (0, ACK | PSH)
            }
            (_, _, 443) => {
                server_hello(&mut buffer, random);
                buffer.truncate(200);
                (1, ACK | PSH)
            }
            _ => {
                buffer.resize(40 + (random >> 8) as usize % 100, 0x81);
                ((step % 2 == 0).into(), ACK | PSH)
            }
        };
        let own_first = u32::from(step > 1);
        let segment = Segment { seq: (random >> 16) as u32 + own_first, ack: (random >> 16) as u32 + 1, flags };
        pcap.packet(n * 95_000_000_000 / packets.max(1), &ends, from, segment, &buffer)?;
    }
    Ok(())
}
