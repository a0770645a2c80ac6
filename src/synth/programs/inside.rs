//! What a network tells itself and its own other sites: flow records to a collector inside, a tunnel between two offices.

use std::collections::BTreeMap;

use super::knobs::{Knob, KnobUnit};
use super::{Program, Role};
use crate::synth::dice::{Dice, secs};
use crate::synth::stage::{Actor, Cx, Stage, Tap, Wake};
use crate::synth::town::Town;
use crate::synth::wire::export::{self, RECORDS_MAX, Record};
use crate::synth::wire::packet::{Endpoint, IpId, Plan, Transport};
use crate::synth::wire::payload::Source;
use crate::units::{DurationNs, TimestampNs};

/// Flows that the exporting router keeps.
const FLOWS_MAX: usize = 4_096;
/// A flow is told of after this long without a packet, or after that long in all.
const IDLE: DurationNs = DurationNs::from_secs(15);
const ACTIVE: DurationNs = DurationNs::from_secs(60);
const EXPORT_EVERY: DurationNs = DurationNs::from_secs(1);
/// IPsec through translators (RFC 3948).
const ESP_PORT: u16 = 4_500;
/// How far ahead the tunnel is planned, and how long one mood of it lasts.
const SLICE: DurationNs = DurationNs::from_secs(1);

/// Flow records that stay at home.
pub(super) const FLOW_EXPORT_INSIDE: Program = Program {
    kind: "flow-export-inside",
    role: Role::Negative,
    about: "the network's own router sends NetFlow records to the network's own collector",
    fact: "records of the population's flows leave a router, as for a stranger, but the receiver is one of the network's own",
    knobs: &[Knob {
        name: "subscribers",
        default: "0.3",
        unit: KnobUnit::Share,
        about: "share of the subscribers whose flows are told of",
    }],
    variants: &[],
    install: |knobs, install| {
        let mut dice = install.dice("exporter");
        let ends = [install.cx.town.machine_at(255, 2), install.cx.town.machine_at(252, 90)];
        install.cx.stage.tallies[usize::from(install.label)].parties.extend(ends);
        let port = 49_152 + dice.below(16_000) as u16;
        let exporter = Exporter {
            ends: [Endpoint { address: ends[0], port }, Endpoint { address: ends[1], port: 2_055 }],
            share: knobs.number("subscribers"),
            booted: install.cx.stage.start.before(secs(dice.between(2e5, 4e6))),
            flows: BTreeMap::new(),
            due: None,
            sequence: dice.int() >> 8,
            label: install.label,
            salt: dice.word(),
            dice,
        };
        install.taps.push(Box::new(exporter));
    },
};

/// Addresses, ports and protocol of a record.
type Tuple = ([u8; 4], [u8; 4], [u16; 2], u8);

struct Exporter {
    ends: [Endpoint; 2],
    share: f64,
    booted: TimestampNs,
    flows: BTreeMap<Tuple, Record>,
    due: Option<TimestampNs>,
    sequence: u32,
    label: u16,
    salt: u64,
    dice: Dice,
}

impl Tap for Exporter {
    fn see(&mut self, at: TimestampNs, plan: &Plan, _: &[u8], stage: &mut Stage) {
        let (Some(source), Some(destination)) = (plan.source.address.as_v4(), plan.destination.address.as_v4()) else {
            return;
        };
        let of = |address| Town::subscriber_of(address);
        let Some(subscriber) = of(plan.source.address).or(of(plan.destination.address)) else { return };
        let hashed = (u64::from(subscriber) ^ self.salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11;
        if hashed as f64 >= self.share * (1u64 << 53) as f64 || plan.carried != 0 {
            return;
        }
        stage.tallies[usize::from(self.label)].subscribers.insert(subscriber);
        let (protocol, tcp_flags) = match plan.transport {
            Transport::Tcp { flags, .. } => (6, flags),
            Transport::Udp => (17, 0),
            Transport::Icmp { .. } => (1, 0),
        };
        let ports = [plan.source.port, plan.destination.port];
        let new = Record { source, destination, ports, protocol, tcp_flags, packets: 0, bytes: 0, first: at, last: at };
        let record = self.flows.entry((source, destination, ports, protocol)).or_insert(new);
        record.packets += 1;
        record.bytes = record.bytes.saturating_add(plan.ip_bytes() as u32);
        record.tcp_flags |= tcp_flags;
        record.last = at;
        if *self.due.get_or_insert(at.after(EXPORT_EVERY)) <= at || self.flows.len() >= FLOWS_MAX {
            self.due = Some(at.after(EXPORT_EVERY));
            self.export(at, stage);
        }
    }
}

impl Exporter {
    fn export(&mut self, at: TimestampNs, stage: &mut Stage) {
        let full = self.flows.len() >= FLOWS_MAX;
        let over = |record: &Record| full || at.since(record.last) > IDLE || at.since(record.first) > ACTIVE;
        let finished: Vec<Record> = self.flows.values().filter(|record| over(record)).copied().collect();
        self.flows.retain(|_, record| !over(record));
        for (i, records) in finished.chunks(RECORDS_MAX).enumerate() {
            let at = at.after(DurationNs(200_000 + 15_000 * i as u64));
            let payload = export::datagram(records, at, self.booted, self.sequence);
            self.sequence = self.sequence.wrapping_add(records.len() as u32);
            let bytes = payload.len();
            let mut plan = Plan::udp(self.ends[0], self.ends[1], 254, Source::bytes(payload), bytes);
            plan.id = IpId::Fixed(self.dice.short());
            plan.label = self.label;
            stage.send(at, plan);
        }
    }
}

/// Two offices of one firm.
pub(super) const SITE_TUNNEL: Program = Program {
    kind: "site-tunnel",
    role: Role::Negative,
    about: "a gateway of the network holds an IPsec tunnel to another site of the same owner, busy both ways in its own rhythm",
    fact: "a sealed tunnel carries much to one outside address all day, as under a tap, but its rate follows nobody's traffic here",
    knobs: &[
        Knob { name: "rate", default: "40", unit: KnobUnit::Count, about: "packets a second, both ways together" },
        Knob { name: "up", default: "0.5", unit: KnobUnit::Share, about: "share of its bytes that leave" },
    ],
    variants: &[],
    install: |knobs, install| {
        let service = install.cx.town.catalogue.add_own("gw.filiaal-zuid.example".to_owned(), 1);
        install.note_party(service);
        let far = install.cx.town.catalogue.get(service);
        let (address, ttl, delay) =
            (far.addresses.first().copied().unwrap_or_default(), far.stack.ttl - far.hops, far.delay);
        install.place(&[address], "NL", 64_591, "Own network, site south");
        let mut dice = install.dice("tunnel");
        let ends = [install.cx.town.machine_at(254, 1), address].map(|address| Endpoint { address, port: ESP_PORT });
        let tunnel = SiteTunnel {
            ends,
            ttls: [64, ttl],
            rate: knobs.number("rate"),
            up: knobs.number("up"),
            mood: 0.0,
            spis: [dice.int(), dice.int()],
            numbers: [dice.int() >> 12, dice.int() >> 12],
            ids: [dice.short(), dice.short()],
            delay,
            due: Vec::new(),
            label: install.label,
            dice,
        };
        let start = install.cx.stage.start;
        install.cx.stage.spawn(start, Box::new(tunnel));
    },
};

struct SiteTunnel {
    ends: [Endpoint; 2],
    ttls: [u8; 2],
    rate: f64,
    up: f64,
    /// Logarithm of its rate against usual: wanders, and is drawn back.
    mood: f64,
    spis: [u32; 2],
    numbers: [u32; 2],
    ids: [u16; 2],
    delay: DurationNs,
    /// When, which side, how many bytes: what is decided and not yet sent.
    due: Vec<(TimestampNs, usize, usize)>,
    label: u16,
    dice: Dice,
}

impl SiteTunnel {
    fn send(&mut self, at: TimestampNs, side: usize, bytes: usize, cx: &mut Cx) {
        self.numbers[side] = self.numbers[side].wrapping_add(1);
        self.ids[side] = self.ids[side].wrapping_add(1);
        let mut head = [0; 20];
        head[..4].copy_from_slice(&self.spis[side].to_be_bytes());
        head[4..8].copy_from_slice(&self.numbers[side].to_be_bytes());
        let source = Source::Framed { head, head_bytes: 8, base: self.dice.below(1 << 16) };
        let mut plan = Plan::udp(self.ends[side], self.ends[1 - side], self.ttls[side], source, bytes);
        plan.id = IpId::Fixed(self.ids[side]);
        plan.label = self.label;
        cx.stage.send(at, plan);
    }
}

impl Actor for SiteTunnel {
    fn wake(&mut self, now: TimestampNs, cx: &mut Cx) -> Wake {
        self.mood = 0.97 * self.mood + 0.22 * self.dice.normal();
        let rate = self.rate * libm::exp(self.mood).min(20.0);
        let mut at_s = self.dice.exponential(1.0 / rate);
        // Sealed in blocks of sixteen, with nonce, padding and check value.
        let sealed = |plain: f64| 24 + (plain / 16.0).ceil() as usize * 16 + 16;
        while at_s < SLICE.as_secs_f64() {
            // Large ones one way are answered by small ones the other way.
            let side = usize::from(!self.dice.chance(self.up));
            let large = self.dice.chance(0.5);
            let plain = if large { self.dice.between(900.0, 1_360.0) } else { self.dice.between(40.0, 300.0) };
            let at = now.after(secs(at_s));
            self.due.push((at, side, sealed(plain)));
            if large {
                let turn = DurationNs(if side == 0 { 2 * self.delay.0 } else { 400_000 });
                let back = at.after(turn).after(self.dice.secs_between(0.0002, 0.002));
                self.due.push((back, 1 - side, sealed(40.0)));
            }
            at_s += self.dice.exponential(1.0 / rate);
        }
        // Numbers follow the order in which packets pass; what passes later waits for its turn.
        let until = now.after(SLICE);
        self.due.sort_unstable();
        let ready = self.due.partition_point(|(at, ..)| *at < until);
        let ready: Vec<_> = self.due.drain(..ready).collect();
        for (at, side, bytes) in ready {
            self.send(at, side, bytes, cx);
        }
        Wake::At(now.after(SLICE))
    }
}
