//! `unattributed-cluster`: strangers outside ask devices of many homes, one after the other, and are answered; and an innocent
//! twin, the remote management of a provider, which the policy's register names.
//!
//! Detectable by: an outside party that begins exchanges with many homes by its own clock, and takes more than it gives. No
//! technique of the contract says this: the homes upload, but nothing on them decides to; no inside service is drained. Not by:
//! ports, TTLs or times, which are drawn as everywhere.

use super::knobs::{Knob, KnobUnit, Knobs};
use super::{Install, Program, Role, Variant};
use crate::detect::finding::Technique;
use crate::synth::dice::{Dice, secs};
use crate::synth::stage::{Actor, Cx, Wake};
use crate::synth::town::DeviceNumber;
use crate::synth::town::homes::DeviceKind::{Console, Laptop, Television, Thing};
use crate::synth::wire::packet::{Endpoint, IpId, Plan};
use crate::synth::wire::payload::Source;
use crate::units::{Address, DurationNs, TimestampNs};

const KNOBS: &[Knob] = &[
    Knob { name: "subscribers", default: "0.25", unit: KnobUnit::Share, about: "share of the homes that are asked" },
    Knob { name: "period", default: "240s", unit: KnobUnit::Seconds, about: "time between two questions to a home" },
    Knob { name: "jitter", default: "0.1", unit: KnobUnit::Share, about: "how far a period may stray, as a share" },
    Knob { name: "record", default: "1400B", unit: KnobUnit::Bytes, about: "bytes of an answer (median)" },
    Knob { name: "spread", default: "0.1", unit: KnobUnit::Share, about: "deviation of an answer's size, as a share" },
    Knob { name: "pollers", default: "1", unit: KnobUnit::Count, about: "addresses that ask" },
    Knob { name: "port", default: "37215", unit: KnobUnit::Port, about: "port that answers in the homes" },
];

/// The operation.
pub(super) const OPERATION: Program = Program {
    kind: "unattributed-cluster",
    role: Role::Operation(Technique::UnattributedCluster),
    about: "strangers ask devices in many homes by the clock, and are answered",
    fact: "an outside party begins exchanges with many homes by its own clock and takes more than it gives",
    knobs: KNOBS,
    variants: &[
        Variant { name: "slow", settings: "period=30m", about: "two questions an hour" },
        Variant { name: "evasive", settings: "jitter=0.5,spread=0.5", about: "irregular, answers of all sizes" },
        Variant { name: "spread", settings: "pollers=12", about: "twelve addresses ask in turn" },
    ],
    install: |knobs, install| {
        poll(knobs, install, "node.census-lab.example");
    },
};

/// The same by a provider that may.
pub(super) const REMOTE_MANAGEMENT: Program = Program {
    kind: "remote-management",
    role: Role::Negative,
    about: "the provider's management asks the devices that it lent to homes how they are",
    fact: "behaves as an unattributed-cluster does; only the register tells them apart",
    knobs: KNOBS,
    variants: &[],
    install: |knobs, install| {
        let addresses = poll(knobs, install, "acs.provider.example");
        let list: Vec<String> = addresses.iter().map(|address| format!("\"{address}\"")).collect();
        install.policy(&format!(
            "[[authorised]]\nname = \"Remote management\"\ncollectors = [{}]\nlegal_basis = \"contract\"\n\
             reference = \"DPIA-2026-021\"\nexpires = 2031-01-01\n",
            list.join(", ")
        ));
    },
};

/// Sets the pollers up; gives their addresses.
fn poll(knobs: &Knobs, install: &mut Install, name: &str) -> Vec<Address> {
    let service = install.cx.town.catalogue.add_own(name.to_owned(), knobs.number("pollers") as usize);
    install.note_party(service);
    let addresses = install.cx.town.catalogue.get(service).addresses.clone();
    let mut dice = install.dice("polling");
    let period_s = knobs.number("period").max(1.0);
    let kinds = [Thing, Television, Console, Laptop];
    for device in install.cx.town.members(&kinds, knobs.number("subscribers"), &mut dice) {
        let asked = Asked {
            device,
            service,
            port: knobs.number("port") as u16,
            period_s,
            jitter: knobs.number("jitter"),
            record: knobs.number("record").max(1.0),
            spread: knobs.number("spread"),
            label: install.label,
            dice: dice.fork(),
        };
        let first = install.cx.stage.start.after(dice.secs_between(0.0, period_s));
        install.cx.stage.spawn(first, Box::new(asked));
    }
    addresses
}

/// Largest payload of a datagram that no path cuts.
const DATAGRAM_BYTES_MAX: f64 = 1_200.0;

/// A device that is asked.
struct Asked {
    device: DeviceNumber,
    service: u32,
    port: u16,
    period_s: f64,
    jitter: f64,
    record: f64,
    spread: f64,
    label: u16,
    dice: Dice,
}

impl Actor for Asked {
    fn wake(&mut self, now: TimestampNs, cx: &mut Cx) -> Wake {
        let server = cx.town.catalogue.get(self.service);
        let ttl = server.stack.ttl - server.hops;
        let far =
            Endpoint { address: *self.dice.pick(&server.addresses), port: 32_768 + self.dice.below(28_000) as u16 };
        let port = cx.town.translate(self.device, self.port);
        let own = Endpoint { address: cx.town.address_of(self.device, false), port };
        let question = 40 + self.dice.index(24);
        let mut plan = Plan::udp(far, own, ttl, self.opaque(), question);
        plan.id = IpId::Fixed(self.dice.short());
        plan.label = self.label;
        cx.stage.send(now, plan);
        let delay = cx.town.home_of(self.device).delay;
        let mut at = now.after(DurationNs(2 * delay.0)).after(self.dice.secs_between(0.002, 0.02));
        let mut left = self.dice.lognormal(self.record, self.spread).clamp(60.0, 60_000.0);
        while left > 0.0 {
            let bytes = left.min(DATAGRAM_BYTES_MAX);
            let mut plan = Plan::udp(own, far, cx.town.ttl_of(self.device), self.opaque(), bytes as usize);
            plan.id = cx.town.datagram_id(self.device, &mut self.dice);
            plan.label = self.label;
            cx.stage.send(at, plan);
            at = at.after(self.dice.secs_between(0.0002, 0.001));
            left -= bytes;
        }
        Wake::At(now.after(secs(self.period_s * self.dice.between(1.0 - self.jitter, 1.0 + self.jitter))))
    }
}

impl Asked {
    fn opaque(&mut self) -> Source {
        Source::Framed { head: self.dice.bytes(), head_bytes: 6, base: self.dice.below(1 << 16) }
    }
}
