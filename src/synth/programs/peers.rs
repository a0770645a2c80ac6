//! Peer-to-peer exchange: many strangers, both ways, and some who give far more than they take.

use super::knobs::{Knob, KnobUnit};
use super::{Program, Role};
use crate::synth::dice::{Dice, secs};
use crate::synth::stage::{Actor, Cx, Wake};
use crate::synth::town::DeviceNumber;
use crate::synth::town::homes::DeviceKind;
use crate::synth::town::machines::Distance;
use crate::synth::wire::packet::{Endpoint, IpId, Plan};
use crate::synth::wire::payload::Source;
use crate::units::{DurationNs, TimestampNs};

/// Largest datagram of uTP, header and all (BEP 29).
const DATAGRAM_BYTES: u64 = 1_400;
const HEADER_BYTES: u64 = 20;
/// Segments between two acknowledgements.
const ACK_EVERY: u64 = 3;

/// Sharing of files between strangers.
pub(super) const PEER_TO_PEER: Program = Program {
    kind: "peer-to-peer",
    role: Role::Negative,
    about: "some homes share files with strangers over uTP; seeders among them give far more than they take",
    fact: "uploads far more than it downloads, for hours, to strangers without names; but to many of them, and they give as well",
    knobs: &[
        Knob { name: "subscribers", default: "0.05", unit: KnobUnit::Share, about: "share of the homes that share" },
        Knob { name: "peers", default: "24", unit: KnobUnit::Count, about: "strangers that each exchanges with" },
        Knob { name: "bytes", default: "256KiB", unit: KnobUnit::Bytes, about: "bytes of one exchange (median)" },
        Knob { name: "every", default: "45s", unit: KnobUnit::Seconds, about: "time between two exchanges (mean)" },
    ],
    variants: &[],
    install: |knobs, install| {
        let mut dice = install.dice("peers");
        let kinds = [DeviceKind::Laptop, DeviceKind::Console];
        let members = install.cx.town.members(&kinds, knobs.number("subscribers"), &mut dice);
        let count = knobs.number("peers") as usize;
        // Strangers are few of many: two who share may know the same one.
        let strangers: Vec<Stranger> = (0..count * 2)
            .map(|i| {
                let address = install.cx.town.outside_address(&format!("peer{i}.dynamic.example"));
                let distance = Distance::abroad(&mut dice);
                Stranger {
                    end: Endpoint { address, port: 6_881 + dice.below(50_000) as u16 },
                    ttl: *dice.pick(&[64, 64, 128]) - distance.hops,
                    delay: distance.delay,
                }
            })
            .collect();
        let parties = strangers.iter().map(|stranger| stranger.end.address);
        install.cx.stage.tallies[usize::from(install.label)].parties.extend(parties);
        for device in members {
            let mut own = dice.fork();
            let peers = (0..count).map(|_| *own.pick(&strangers)).collect();
            let port = install.cx.town.take_port(device, &mut own);
            let sharer = Sharer {
                device,
                port,
                peers,
                piece: knobs.number("bytes").max(1.0),
                every_s: knobs.number("every").max(0.1),
                gives: if own.chance(0.4) { 0.9 } else { 0.35 },
                label: install.label,
                dice: own,
            };
            let first = install.cx.stage.start.after(dice.secs_exponential(sharer.every_s));
            install.cx.stage.spawn(first, Box::new(sharer));
        }
    },
};

#[derive(Clone, Copy)]
struct Stranger {
    end: Endpoint,
    ttl: u8,
    delay: DurationNs,
}

struct Sharer {
    device: DeviceNumber,
    port: u16,
    peers: Vec<Stranger>,
    piece: f64,
    every_s: f64,
    /// Share of its exchanges in which it is the one that gives.
    gives: f64,
    label: u16,
    dice: Dice,
}

/// What one exchange keeps count of.
struct Exchange {
    connection: u16,
    numbers: [u16; 2],
}

impl Sharer {
    fn exchange(&mut self, now: TimestampNs, cx: &mut Cx) {
        let peer = *self.dice.pick(&self.peers);
        let gives = self.dice.chance(self.gives);
        let home = cx.town.home_of(self.device);
        let bps = if gives { home.up_bps } else { home.down_bps }.min(12e6);
        let delays = [home.delay, peer.delay];
        let mut exchange = Exchange { connection: self.dice.short(), numbers: [self.dice.short(), self.dice.short()] };
        let mut left = self.dice.lognormal(self.piece, 0.9).min(64e6) as u64;
        let (giver, mut at) = (usize::from(!gives), now);
        // A request first, from whoever takes.
        self.send(at, 1 - giver, 17, &peer, &mut exchange, cx);
        at = at.after(DurationNs(2 * delays[giver].0)).after(self.dice.secs_between(0.001, 0.03));
        let (gap, mut since_ack) = (secs(DATAGRAM_BYTES as f64 * 8.0 / bps), 0);
        while left > 0 {
            let bytes = left.min(DATAGRAM_BYTES - HEADER_BYTES);
            left -= bytes;
            self.send(at, giver, bytes, &peer, &mut exchange, cx);
            since_ack += 1;
            if since_ack == ACK_EVERY || left == 0 {
                let back = at.after(DurationNs(2 * delays[1 - giver].0)).after(self.dice.secs_between(0.0002, 0.002));
                self.send(back, 1 - giver, 0, &peer, &mut exchange, cx);
                since_ack = 0;
            }
            at = at.after(self.dice.about(gap, 0.4));
        }
    }

    /// One datagram of uTP; side 0 is the home.
    fn send(
        &mut self,
        at: TimestampNs,
        side: usize,
        bytes: u64,
        peer: &Stranger,
        exchange: &mut Exchange,
        cx: &mut Cx,
    ) {
        let own = Endpoint { address: cx.town.address_of(self.device, false), port: self.port };
        let (from, to) = if side == 0 { (own, peer.end) } else { (peer.end, own) };
        let ttl = if side == 0 { cx.town.ttl_of(self.device) } else { peer.ttl };
        if bytes > 0 {
            exchange.numbers[side] = exchange.numbers[side].wrapping_add(1);
        }
        let mut head = [0; HEADER_BYTES as usize];
        head[0] = if bytes > 0 { 0x01 } else { 0x21 };
        head[2..4].copy_from_slice(&exchange.connection.wrapping_add(side as u16).to_be_bytes());
        head[4..8].copy_from_slice(&((at.0 / 1_000) as u32).to_be_bytes());
        head[8..12].copy_from_slice(&(10_000 + self.dice.below(60_000) as u32).to_be_bytes());
        head[12..16].copy_from_slice(&1_048_576u32.to_be_bytes());
        head[16..18].copy_from_slice(&exchange.numbers[side].to_be_bytes());
        head[18..20].copy_from_slice(&exchange.numbers[1 - side].to_be_bytes());
        let source = Source::Framed { head, head_bytes: HEADER_BYTES as u8, base: self.dice.below(1 << 16) };
        let mut plan = Plan::udp(from, to, ttl, source, (HEADER_BYTES + bytes) as usize);
        plan.id = match side {
            0 => cx.town.datagram_id(self.device, &mut self.dice),
            _ => IpId::Fixed(self.dice.short()),
        };
        plan.label = self.label;
        cx.stage.send(at, plan);
    }
}

impl Actor for Sharer {
    fn wake(&mut self, now: TimestampNs, cx: &mut Cx) -> Wake {
        self.exchange(now, cx);
        Wake::At(now.after(self.dice.secs_exponential(self.every_s)))
    }
}
