//! `tap-correlation`: a device copies what passes it into an opaque tunnel to a stranger; and tunnels that carry something else.
//!
//! Detectable by: the tunnel's rate over time, which is the copied subscribers' rate a moment later. Not by: what is inside,
//! its ports, its protocol, or who sends it; tunnels of offices and cameras' streams look the same on the wire.

use std::collections::BTreeSet;

use super::knobs::{Knob, KnobUnit};
use super::{Install, Program, Role, Variant};
use crate::detect::finding::Technique;
use crate::synth::dice::{Dice, secs};
use crate::synth::stage::{Actor, Cx, Stage, Tap, Wake};
use crate::synth::town::Town;
use crate::synth::wire::packet::{Endpoint, IpId, Ipv4Header, Plan, write_ipv4_header};
use crate::synth::wire::payload::Source;
use crate::units::{Address, DurationNs, TimestampNs};

/// Most payload of one tunnel packet: what an MTU of 1,500 leaves after wrapping.
const PAYLOAD_BYTES_MAX: usize = 1_420;
/// What the tunnel adds to each packet: a header with a counter, and a tag of 16 bytes.
const OVERHEAD_BYTES: usize = 32;
const ESP: u8 = 50;
/// Sizes are padded up to the next of these, where they are.
const BLOCK_BYTES: usize = 512;
/// The far end says that it is there.
const KEEPALIVE: DurationNs = DurationNs::from_secs(25);

const CARRIER: Knob = Knob {
    name: "carrier",
    default: "udp",
    unit: KnobUnit::Word(&["udp", "esp"]),
    about: "what the tunnel looks like: datagrams like WireGuard's, or IPsec ESP",
};

/// The operation.
pub(super) const OPERATION: Program = Program {
    kind: "tap-correlation",
    role: Role::Operation(Technique::TapCorrelation),
    about: "a device copies the population's packets into an encrypted tunnel to a stranger",
    fact: "the tunnel's rate over time is the rate of what it copies, whatever the time of day",
    knobs: &[
        Knob { name: "subscribers", default: "1", unit: KnobUnit::Share, about: "share of the homes that are copied" },
        CARRIER,
        Knob { name: "ends", default: "1", unit: KnobUnit::Count, about: "far ends over which homes are spread" },
        Knob {
            name: "batch",
            default: "0s",
            unit: KnobUnit::Seconds,
            about: "copies are collected so long and sent together",
        },
        Knob {
            name: "kept",
            default: "1",
            unit: KnobUnit::Share,
            about: "share of the bytes that is left after compression",
        },
        Knob {
            name: "padding",
            default: "none",
            unit: KnobUnit::Word(&["none", "blocks"]),
            about: "whether sizes are padded to blocks of 512 bytes",
        },
        Knob {
            name: "chaff",
            default: "0",
            unit: KnobUnit::Bytes,
            about: "bytes a second that mean nothing, all the time",
        },
        Knob {
            name: "device",
            default: "inside",
            unit: KnobUnit::Word(&["inside", "outside"]),
            about: "whether the copying device has an address of the network or one beyond it",
        },
    ],
    variants: &[
        Variant {
            name: "slow",
            settings: "subscribers=0.4,batch=3s,kept=0.5",
            about: "four homes of ten, compressed, sent every three seconds",
        },
        Variant {
            name: "evasive",
            settings: "padding=blocks,chaff=400,batch=500ms,subscribers=0.7,device=outside",
            about: "padded, delayed, with chaff, from a device beyond the network",
        },
        Variant { name: "spread", settings: "ends=4", about: "over four far ends" },
    ],
    install: |knobs, install| {
        let ends = knobs.number("ends") as usize;
        let name = format!("vpn{}.transit-lab.example", install.label);
        let service = install.cx.town.catalogue.add_own(name, ends);
        install.note_party(service);
        let fars = install.cx.town.catalogue.get(service).addresses.clone();
        let mut dice = install.dice("tap");
        let chosen: BTreeSet<u32> = (install.cx.town.homes.iter())
            .filter(|_| dice.chance(knobs.number("subscribers")))
            .filter_map(|home| Town::subscriber_of(Address::v4(home.v4)))
            .collect();
        let device = match knobs.word("device") {
            "inside" => install.cx.town.machine_at(255, 9),
            _ => Address::v4([198, 18, 255, 9]),
        };
        let port = tunnel_port(&mut dice);
        let far_ttl = far_ttl(install, service);
        let tunnels = fars
            .iter()
            .map(|far| Tunnel {
                ends: [Endpoint { address: device, port }, Endpoint { address: *far, port }],
                ttls: [64, far_ttl],
                is_esp: knobs.word("carrier") == "esp",
                spi: dice.int(),
                number: 0,
                waiting: 0,
                since: None,
                keepalive: install.cx.stage.start.after(dice.about(KEEPALIVE, 0.5)),
                chaffed: install.cx.stage.start,
                dice: dice.fork(),
            })
            .collect();
        install.taps.push(Box::new(Copier {
            chosen,
            tunnels,
            batch: secs(knobs.number("batch")),
            kept: knobs.number("kept").max(0.01),
            in_blocks: knobs.word("padding") == "blocks",
            chaff_bps: knobs.number("chaff"),
            label: install.label,
        }));
    },
};

/// The port on which both ends of a tunnel meet: WireGuard's own, or any.
fn tunnel_port(dice: &mut Dice) -> u16 {
    if dice.chance(0.5) { 51_820 } else { 1_024 + dice.below(60_000) as u16 }
}

/// TTL of the far end's packets at the capture point.
fn far_ttl(install: &Install, service: u32) -> u8 {
    let far = install.cx.town.catalogue.get(service);
    far.stack.ttl - far.hops
}

/// One tunnel to one far end.
struct Tunnel {
    ends: [Endpoint; 2],
    /// Of the device here and of the far end, at the capture point.
    ttls: [u8; 2],
    is_esp: bool,
    spi: u32,
    number: u64,
    /// Bytes that wait for the batch to be full of time.
    waiting: u64,
    since: Option<TimestampNs>,
    keepalive: TimestampNs,
    chaffed: TimestampNs,
    dice: Dice,
}

impl Tunnel {
    /// Sends so many bytes of ciphertext, in as many packets as that takes.
    fn send(&mut self, at: TimestampNs, bytes: usize, label: u16, stage: &mut Stage) {
        let mut left = bytes;
        let mut at = at;
        while left > 0 {
            let now = left.min(PAYLOAD_BYTES_MAX);
            self.packet(at, now + OVERHEAD_BYTES, false, label, stage);
            left -= now;
            at = at.after(DurationNs(11_000));
        }
    }

    fn packet(&mut self, at: TimestampNs, bytes: usize, back: bool, label: u16, stage: &mut Stage) {
        self.number += 1;
        let [from, to] = if back { [self.ends[1], self.ends[0]] } else { self.ends };
        let ttl = self.ttls[usize::from(back)];
        match (self.is_esp, from.address.as_v4(), to.address.as_v4()) {
            (true, Some(source), Some(destination)) => {
                let mut frame = Vec::with_capacity(bytes + 34);
                frame.extend(Town::link(from.address));
                frame.extend([0x08, 0x00]);
                let id = self.dice.short();
                let header = Ipv4Header { source, destination, class: 0, id, fragment: 0, ttl, protocol: ESP };
                let bytes = bytes.next_multiple_of(4).max(24);
                write_ipv4_header(&header, bytes, &mut frame);
                frame.extend(self.spi.to_be_bytes());
                frame.extend((self.number as u32).to_be_bytes());
                let opaque = frame.len();
                frame.resize(opaque + bytes - 8, 0);
                self.dice.fill(&mut frame[opaque..]);
                stage.send_frame(at, frame.into_boxed_slice(), label);
            }
            _ => {
                let mut head = [0; 20];
                head[0] = 4;
                head[4..8].copy_from_slice(&self.spi.to_le_bytes());
                head[8..16].copy_from_slice(&self.number.to_le_bytes());
                let source = Source::Framed { head, head_bytes: 16, base: self.dice.below(1 << 16) };
                let mut plan = Plan::udp(from, to, ttl, source, bytes.next_multiple_of(16).max(32));
                plan.id = IpId::Fixed(self.dice.short());
                plan.label = label;
                stage.send(at, plan);
            }
        }
    }
}

/// Copies packets of chosen homes into tunnels.
struct Copier {
    chosen: BTreeSet<u32>,
    tunnels: Vec<Tunnel>,
    batch: DurationNs,
    kept: f64,
    in_blocks: bool,
    chaff_bps: f64,
    label: u16,
}

impl Tap for Copier {
    fn see(&mut self, at: TimestampNs, plan: &Plan, _: &[u8], stage: &mut Stage) {
        let of = |address| Town::subscriber_of(address).filter(|subscriber| self.chosen.contains(subscriber));
        let Some(subscriber) = of(plan.source.address).or(of(plan.destination.address)) else { return };
        if plan.label == self.label {
            return;
        }
        stage.tallies[usize::from(self.label)].subscribers.insert(subscriber);
        let which = subscriber as usize % self.tunnels.len().max(1);
        let Some(tunnel) = self.tunnels.get_mut(which) else { return };
        let mut bytes = (plan.ip_bytes() as f64 * self.kept) as usize;
        if self.in_blocks {
            bytes = bytes.next_multiple_of(BLOCK_BYTES);
        }
        if self.batch == DurationNs::ZERO {
            let later = tunnel.dice.secs_between(0.000_05, 0.000_4);
            tunnel.send(at.after(later), bytes, self.label, stage);
        } else {
            tunnel.waiting += bytes as u64;
            let since = *tunnel.since.get_or_insert(at);
            if at.since(since) >= self.batch {
                tunnel.since = None;
                let bytes = std::mem::take(&mut tunnel.waiting) as usize;
                let later = tunnel.dice.secs_between(0.01, 0.2);
                tunnel.send(at.after(later), bytes, self.label, stage);
            }
        }
        if self.chaff_bps > 0.0 && at.since(tunnel.chaffed).as_secs_f64() > 0.5 {
            let bytes = (self.chaff_bps * at.since(tunnel.chaffed).as_secs_f64()).min(64_000.0) as usize;
            tunnel.chaffed = at;
            tunnel.send(at, bytes, self.label, stage);
        }
        if at >= tunnel.keepalive {
            tunnel.keepalive = at.after(KEEPALIVE);
            tunnel.packet(at.after(DurationNs(9_000_000)), 32, true, self.label, stage);
        }
    }
}

/// A tunnel of an office: both ways, with a rhythm of its own.
pub(super) const BRANCH_TUNNEL: Program = Program {
    kind: "branch-tunnel",
    role: Role::Negative,
    about: "an encrypted tunnel between the network and another site carries that site's work",
    fact: "an opaque stream to one stranger for hours, as under a tap, but both ways and by its own rhythm",
    knobs: &[
        CARRIER,
        Knob { name: "rate", default: "6KiB", unit: KnobUnit::Bytes, about: "bytes a second while somebody works" },
    ],
    variants: &[],
    install: |knobs, install| stream(install, "site", knobs.word("carrier") == "esp", knobs.number("rate"), 0.7),
};

/// A camera, or a backup that trickles: one way, with a rhythm of its own.
pub(super) const OPAQUE_UPLOAD: Program = Program {
    kind: "opaque-upload",
    role: Role::Negative,
    about: "a machine streams something encrypted to one place: a camera's pictures, a backup that trickles",
    fact: "an opaque one-sided stream to one stranger with bursts of its own, which are not the population's",
    knobs: &[
        CARRIER,
        Knob { name: "rate", default: "4KiB", unit: KnobUnit::Bytes, about: "bytes a second while something moves" },
    ],
    variants: &[],
    install: |knobs, install| stream(install, "cam", knobs.word("carrier") == "esp", knobs.number("rate"), 0.01),
};

fn stream(install: &mut Install, name: &str, is_esp: bool, bytes_s: f64, back: f64) {
    let service = install.cx.town.catalogue.add_own(format!("{name}{}.branch-office.example", install.label), 1);
    install.note_party(service);
    let far = install.cx.town.catalogue.get(service).addresses.first().copied().unwrap_or_default();
    let mut dice = install.dice("stream");
    let device = install.cx.town.machine_at(255, 20 + (install.label % 200) as u8);
    let (port, far_ttl) = (tunnel_port(&mut dice), far_ttl(install, service));
    let start = install.cx.stage.start;
    let tunnel = Tunnel {
        ends: [Endpoint { address: device, port }, Endpoint { address: far, port }],
        ttls: [64, far_ttl],
        is_esp,
        spi: dice.int(),
        number: 0,
        waiting: 0,
        since: None,
        keepalive: start,
        chaffed: start,
        dice: dice.fork(),
    };
    let first = start.after(dice.secs_between(0.0, 1.0));
    let actor = Streamer { tunnel, bytes_s, back, until: start, level: 0.2, label: install.label, dice };
    install.cx.stage.spawn(first, Box::new(actor));
}

struct Streamer {
    tunnel: Tunnel,
    bytes_s: f64,
    /// Share that comes back.
    back: f64,
    /// When the level changes.
    until: TimestampNs,
    level: f64,
    label: u16,
    dice: Dice,
}

impl Actor for Streamer {
    fn wake(&mut self, now: TimestampNs, cx: &mut Cx) -> Wake {
        if now >= self.until {
            self.level =
                if self.dice.chance(0.35) { self.dice.lognormal(1.0, 0.5) } else { self.dice.between(0.05, 0.3) };
            self.until = now.after(secs(self.dice.lognormal(12.0, 0.9)));
        }
        let bytes = (self.bytes_s * 0.25 * self.level * self.dice.lognormal(1.0, 0.3)).min(200_000.0) as usize;
        self.tunnel.send(now, bytes.max(60), self.label, cx.stage);
        let back = (bytes as f64 * self.back * self.dice.lognormal(1.0, 0.5)) as usize;
        if back > 40 {
            self.tunnel.packet(now.after(secs(0.02)), back.min(PAYLOAD_BYTES_MAX), true, self.label, cx.stage);
        }
        Wake::At(now.after(secs(self.dice.between(0.2, 0.3))))
    }
}
