//! Floods and scans: many to one, and one to many, of which nothing is collection.

use super::knobs::{Knob, KnobUnit};
use super::{Program, Role};
use crate::synth::dice::{Dice, secs};
use crate::synth::stage::{Actor, Cx, Wake};
use crate::synth::wire::packet::{ACK, Endpoint, IpId, Plan, RST, SYN, TcpOptions, Transport};
use crate::synth::wire::payload::Source;
use crate::units::{Address, DurationNs, TimestampNs};

/// How far ahead a flood is planned.
const SLICE: DurationNs = DurationNs::from_millis(50);

/// Answers that nobody asked for, from everywhere, to one subscriber.
pub(super) const DDOS: Program = Program {
    kind: "ddos",
    role: Role::Negative,
    about: "reflected answers from thousands of sources flood one subscriber",
    fact: "very many sources send alike packets to one address, but one way, unanswered, and from outside",
    knobs: &[
        Knob { name: "rate", default: "400", unit: KnobUnit::Count, about: "packets a second" },
        Knob { name: "lasts", default: "20s", unit: KnobUnit::Seconds, about: "how long it lasts" },
        Knob {
            name: "after",
            default: "0.5",
            unit: KnobUnit::Share,
            about: "when it begins, as a share of the capture",
        },
    ],
    variants: &[],
    install: |knobs, install| {
        let mut dice = install.dice("ddos");
        let victim = Address::v4(install.cx.town.someone(&mut dice));
        let lasts_s = install.cx.stage.end.since(install.cx.stage.start).as_secs_f64();
        let at = install.cx.stage.start.after(secs(lasts_s * knobs.number("after")));
        let flood = Flood {
            victim,
            port: 1024 + dice.below(60_000) as u16,
            gap_s: 1.0 / knobs.number("rate"),
            until: at.after(secs(knobs.number("lasts"))),
            next: at,
            label: install.label,
            dice,
        };
        install.cx.stage.tallies[usize::from(install.label)].parties.insert(victim);
        install.cx.stage.spawn(at, Box::new(flood));
    },
};

struct Flood {
    victim: Address,
    port: u16,
    gap_s: f64,
    until: TimestampNs,
    next: TimestampNs,
    label: u16,
    dice: Dice,
}

impl Actor for Flood {
    fn wake(&mut self, now: TimestampNs, cx: &mut Cx) -> Wake {
        let until = now.after(SLICE).min(self.until);
        while self.next < until {
            let [b, c, d] = self.dice.bytes::<3>();
            let source = Endpoint { address: reflector([b, c, d]), port: 123 };
            let target = Endpoint { address: self.victim, port: self.port };
            // The answer to an NTP monlist query: mode 7, opaque items.
            let mut head = [0; 20];
            head[..8].copy_from_slice(&[0xd7, 0x00, 0x03, 0x2a, 0x00, 0x06, 0x00, 0x48]);
            let payload = Source::Framed { head, head_bytes: 8, base: self.dice.below(1 << 16) };
            let ttl = 40 + self.dice.below(20) as u8;
            let mut plan = Plan::udp(source, target, ttl, payload, 440);
            plan.id = IpId::Fixed(self.dice.short());
            plan.label = self.label;
            cx.stage.send(self.next, plan);
            self.next = self.next.after(self.dice.secs_exponential(self.gap_s)).after(DurationNs(1));
        }
        if until >= self.until { Wake::Gone } else { Wake::At(until) }
    }
}

/// An address of the world beyond; the middle of 198.18.0.0/16 may be a population's.
fn reflector([b, c, d]: [u8; 3]) -> Address {
    Address::v4(if b & 1 == 0 { [198, 19, c, d] } else { [198, 18, c & 0x7f, d] })
}

/// One outsider knocks at every door.
pub(super) const SCAN: Program = Program {
    kind: "scan",
    role: Role::Negative,
    about: "one outside address knocks at ports of the whole population",
    fact: "one outside party exchanges alike packets with very many subscribers, but it is the one who calls, and gets nothing",
    knobs: &[
        Knob { name: "rate", default: "20", unit: KnobUnit::Count, about: "knocks a second" },
        Knob { name: "knocks", default: "600", unit: KnobUnit::Count, about: "knocks in all" },
    ],
    variants: &[],
    install: |knobs, install| {
        let mut dice = install.dice("scan");
        let service = install.cx.town.catalogue.add_own("scan-17.research-probe.example".to_owned(), 1);
        install.note_party(service);
        let source = install.cx.town.catalogue.get(service).addresses.first().copied().unwrap_or_default();
        let lasts_s = install.cx.stage.end.since(install.cx.stage.start).as_secs_f64();
        let at = install.cx.stage.start.after(secs(lasts_s * dice.between(0.05, 0.4)));
        let gap_s = 1.0 / knobs.number("rate");
        let left = knobs.number("knocks") as u32;
        let scan = Scan { source, gap_s, left, label: install.label, dice };
        install.cx.stage.spawn(at, Box::new(scan));
    },
};

struct Scan {
    source: Address,
    gap_s: f64,
    left: u32,
    label: u16,
    dice: Dice,
}

impl Actor for Scan {
    fn wake(&mut self, now: TimestampNs, cx: &mut Cx) -> Wake {
        let v4 = cx.town.someone(&mut self.dice);
        let delay = cx.town.homes.iter().find(|home| home.v4 == v4).map_or(DurationNs::ZERO, |home| home.delay);
        let target =
            Endpoint { address: Address::v4(v4), port: *self.dice.pick(&[23, 22, 80, 443, 445, 7547, 8080, 5555]) };
        let source = Endpoint { address: self.source, port: 32_768 + self.dice.below(28_000) as u16 };
        let seq = self.dice.int();
        let mut options = TcpOptions::default();
        options.push(&[2, 4, 5, 0xb4]);
        let mut knock = Plan::new(source, target, 238, tcp(seq, 0, SYN, 1024, options));
        knock.id = IpId::Fixed(self.dice.short());
        knock.label = self.label;
        cx.stage.send(now, knock);
        // Routers of some homes refuse; those of others say nothing.
        if self.dice.chance(0.4) {
            let refusal = tcp(0, seq.wrapping_add(1), RST | ACK, 0, TcpOptions::default());
            let mut refused = Plan::new(target, source, 64, refusal);
            refused.label = self.label;
            cx.stage.send(now.after(DurationNs(2 * delay.0)), refused);
        }
        self.left -= 1;
        if self.left == 0 { Wake::Gone } else { Wake::At(now.after(self.dice.secs_exponential(self.gap_s))) }
    }
}

fn tcp(seq: u32, ack: u32, flags: u8, window: u16, options: TcpOptions) -> Transport {
    Transport::Tcp { seq, ack, flags, window, options }
}
