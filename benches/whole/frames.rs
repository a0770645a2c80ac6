//! Frames of the whole bench's captures: Ethernet, IPv4, TCP or UDP, and what goes into them.
//! In: meant values. Out: bytes in a reused buffer, and a pcap file of them. Checksums are left zero but for IPv4's: no
//! contender of the bench checks them by default.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const GRE: u8 = 47;
pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const PSH: u8 = 8;
pub const ACK: u8 = 16;

/// Where captures begin: a full hour of capture time, so that no window is cut short.
const START_NS: u64 = 1_772_359_200_000_000_000;

/// A fixed sequence of numbers without pattern (splitmix64).
pub fn mix(n: u64) -> u64 {
    let z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// Two ends of a flow: the caller first.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    pub addresses: [[u8; 4]; 2],
    pub ports: [u16; 2],
    pub protocol: u8,
}

/// A segment's own numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Segment {
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
}

/// Writes frames and counts them.
pub struct Pcap {
    out: BufWriter<File>,
    frame: Vec<u8>,
    /// Wraps every packet in GRE between these two.
    pub mirror: Option<[[u8; 4]; 2]>,
    pub frames: u64,
}

impl Pcap {
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
        // Nanosecond resolution, version 2.4, Ethernet.
        out.write_all(&0xa1b2_3c4d_u32.to_le_bytes())?;
        out.write_all(&[2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0])?;
        Ok(Self { out, frame: Vec::with_capacity(2048), mirror: None, frames: 0 })
    }

    /// One packet from an end of a flow, `ns` after the start.
    pub fn packet(&mut self, ns: u64, ends: &Ends, from: usize, segment: Segment, payload: &[u8]) -> io::Result<()> {
        self.head(ends, from, payload.len(), 0);
        let ports = [ends.ports[from], ends.ports[from ^ 1]];
        self.frame.extend(ports.iter().flat_map(|port| port.to_be_bytes()));
        match ends.protocol {
            TCP => {
                self.frame.extend(segment.seq.to_be_bytes());
                self.frame.extend(segment.ack.to_be_bytes());
                self.frame.extend([0x50, segment.flags, 0x40, 0, 0, 0, 0, 0]);
            }
            _ => {
                self.frame.extend((payload.len() as u16 + 8).to_be_bytes());
                self.frame.extend([0, 0]);
            }
        }
        self.frame.extend_from_slice(payload);
        self.put(ns)
    }

    /// A piece of a datagram: `offset` in units of eight bytes, more to come or not.
    pub fn fragment(&mut self, ns: u64, ends: &Ends, id: u16, place: u16, payload: &[u8]) -> io::Result<()> {
        self.head(ends, 0, payload.len(), place);
        let at = self.frame.len() - 16;
        self.frame[at..at + 2].copy_from_slice(&id.to_be_bytes());
        let total = (20 + payload.len() as u16).to_be_bytes();
        self.frame[at - 2..at].copy_from_slice(&total);
        self.frame.extend_from_slice(payload);
        self.put(ns)
    }

    pub fn finish(mut self) -> io::Result<u64> {
        self.out.flush()?;
        Ok(self.frames)
    }

    fn head(&mut self, ends: &Ends, from: usize, payload: usize, place: u16) {
        self.frame.clear();
        self.frame.extend([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0]);
        let inner = 20 + payload + if ends.protocol == TCP { 20 } else { 8 };
        if let Some([from, to]) = self.mirror {
            self.ip(GRE, from, to, inner + 24, 0);
            self.frame.extend([0, 0, 8, 0]);
        }
        self.ip(ends.protocol, ends.addresses[from], ends.addresses[from ^ 1], inner, place);
    }

    fn ip(&mut self, protocol: u8, from: [u8; 4], to: [u8; 4], total: usize, place: u16) {
        let [hi, lo] = (total as u16).to_be_bytes();
        let [p, q] = place.to_be_bytes();
        self.frame.extend([0x45, 0, hi, lo, 0, 0, p, q, 60, protocol, 0, 0]);
        self.frame.extend(from);
        self.frame.extend(to);
    }

    fn put(&mut self, ns: u64) -> io::Result<()> {
        // Shorter frames are padded on the wire.
        if self.frame.len() < 60 {
            self.frame.resize(60, 0);
        }
        let at = START_NS + ns;
        let len = (self.frame.len() as u32).to_le_bytes();
        self.out.write_all(&((at / 1_000_000_000) as u32).to_le_bytes())?;
        self.out.write_all(&((at % 1_000_000_000) as u32).to_le_bytes())?;
        self.out.write_all(&len)?;
        self.out.write_all(&len)?;
        self.frames += 1;
        self.out.write_all(&self.frame)
    }
}

/// A ClientHello for a name, in a TLS record.
pub fn client_hello(out: &mut Vec<u8>, name: &str, random: u64) {
    out.clear();
    let mut body = vec![3, 3];
    (0..4).for_each(|i| body.extend(mix(random + i).to_be_bytes()));
    body.push(0);
    let ciphers = [0x1301_u16, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030];
    body.extend((ciphers.len() as u16 * 2).to_be_bytes());
    body.extend(ciphers.iter().flat_map(|cipher| cipher.to_be_bytes()));
    body.extend([1, 0]);
    let mut extensions = Vec::new();
    extension(
        &mut extensions,
        0,
        &[&(name.len() as u16 + 3).to_be_bytes()[..], &[0], &sized(name.as_bytes())].concat(),
    );
    extension(&mut extensions, 10, &[0, 4, 0, 29, 0, 23]);
    extension(&mut extensions, 13, &[0, 4, 4, 3, 8, 4]);
    extension(&mut extensions, 16, &[0, 12, 2, b'h', b'2', 8, b'h', b't', b't', b'p', b'/', b'1', b'.', b'1']);
    extension(&mut extensions, 43, &[4, 3, 4, 3, 3]);
    extension(&mut extensions, 51, &[&[0, 36, 0, 29, 0, 32][..], &[7; 32]].concat());
    let padding = 440_usize.saturating_sub(body.len() + extensions.len());
    extension(&mut extensions, 21, &vec![0; padding]);
    body.extend(sized(&extensions));
    record(out, 1, &body);
}

/// A ServerHello of TLS 1.3, in a TLS record, and application data after it.
pub fn server_hello(out: &mut Vec<u8>, random: u64) {
    out.clear();
    let mut body = vec![3, 3];
    (0..4).for_each(|i| body.extend(mix(random + i).to_be_bytes()));
    body.extend([0, 0x13, 0x01, 0]);
    let mut extensions = Vec::new();
    extension(&mut extensions, 43, &[3, 4]);
    extension(&mut extensions, 51, &[&[0, 29, 0, 32][..], &[9; 32]].concat());
    body.extend(sized(&extensions));
    record(out, 2, &body);
    out.extend([23, 3, 3, 0x04, 0x00]);
    out.resize(out.len() + 1024, 0x5a);
}

/// A query for a name's address, or its answer.
pub fn dns(out: &mut Vec<u8>, id: u16, name: &str, answer: Option<[u8; 4]>) {
    out.clear();
    out.extend(id.to_be_bytes());
    out.extend(if answer.is_some() { [0x81, 0x80] } else { [1, 0] });
    out.extend([0, 1, 0, u8::from(answer.is_some()), 0, 0, 0, 0]);
    for label in name.split('.') {
        out.push(label.len() as u8);
        out.extend(label.as_bytes());
    }
    out.extend([0, 0, 1, 0, 1]);
    if let Some(address) = answer {
        out.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4]);
        out.extend(address);
    }
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}

fn extension(out: &mut Vec<u8>, kind: u16, bytes: &[u8]) {
    out.extend(kind.to_be_bytes());
    out.extend(sized(bytes));
}

fn record(out: &mut Vec<u8>, kind: u8, body: &[u8]) {
    out.extend([22, 3, 1]);
    out.extend((body.len() as u16 + 4).to_be_bytes());
    out.extend([kind, 0]);
    out.extend((body.len() as u16).to_be_bytes());
    out.extend_from_slice(body);
}
