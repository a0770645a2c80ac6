//! `bulk-exfiltration`: one inside host sends out far more than it takes in.
//!
//! Detectable by: bytes out against bytes in of one host towards a party that it does not usually feed, in one burst or summed
//! over hours. Not by: stack, port, name or time; backups and photographs go the same way through the same code.

use super::knobs::{Knob, KnobUnit};
use super::{Install, Program, Role, Variant};
use crate::detect::finding::Technique;
use crate::synth::dice::{Dice, secs};
use crate::synth::stage::{Actor, Cx, Wake};
use crate::synth::town::DeviceNumber;
use crate::synth::town::dial::Naming;
use crate::synth::town::habits::by_program;
use crate::synth::town::homes::DeviceKind;
use crate::synth::town::script::{Amount, Gap, Script};
use crate::units::TimestampNs;

/// Bytes of one request of a burst.
const REQUEST_BYTES: f64 = 1_048_576.0;

/// The operation.
pub(super) const OPERATION: Program = Program {
    kind: "bulk-exfiltration",
    role: Role::Operation(Technique::BulkExfiltration),
    about: "one inside host sends out far more than it takes in, in one burst or low and slow",
    fact: "bytes out far over bytes in, by one host, to a party that it has not fed before",
    knobs: &[
        Knob { name: "hosts", default: "1", unit: KnobUnit::Count, about: "how many hosts do it" },
        Knob { name: "bytes", default: "24MiB", unit: KnobUnit::Bytes, about: "plain bytes that each sends in all" },
        Knob {
            name: "mode",
            default: "burst",
            unit: KnobUnit::Word(&["burst", "slow"]),
            about: "at once, or in pieces over the whole capture",
        },
        Knob { name: "every", default: "240s", unit: KnobUnit::Seconds, about: "time between two pieces, where slow" },
        Knob {
            name: "after",
            default: "0.3",
            unit: KnobUnit::Share,
            about: "when a burst begins, as a share of the capture",
        },
        Knob { name: "addresses", default: "1", unit: KnobUnit::Count, about: "addresses of the receiver" },
        Knob {
            name: "uneven",
            default: "0.3",
            unit: KnobUnit::Share,
            about: "how uneven the time between two pieces is, where slow",
        },
        Knob { name: "port", default: "443", unit: KnobUnit::Port, about: "port of the receiver" },
        Knob {
            name: "naming",
            default: "name",
            unit: KnobUnit::Word(&["name", "address"]),
            about: "whether it calls by a name or a bare address",
        },
    ],
    variants: &[
        Variant { name: "slow", settings: "mode=slow,every=150s", about: "in pieces over the whole capture" },
        Variant {
            name: "evasive",
            settings: "mode=slow,bytes=14MiB,every=45s,uneven=0.9,naming=address",
            about: "less, in small pieces at uneven times, to a bare address",
        },
        Variant {
            name: "spread",
            settings: "addresses=48,mode=slow,every=20s",
            about: "over 48 addresses of one name",
        },
    ],
    install: |knobs, install| {
        let service = install
            .cx
            .town
            .catalogue
            .add_own(format!("files{}.quantor-hosting.example", install.label), knobs.number("addresses") as usize);
        install.note_party(service);
        let mut dice = install.dice("exfiltration");
        let share = knobs.number("hosts") / install.cx.town.homes.len().max(1) as f64;
        let lasts_s = install.cx.stage.end.since(install.cx.stage.start).as_secs_f64();
        let slow = knobs.word("mode") == "slow";
        let every_s = knobs.number("every").max(1.0);
        let pieces = if slow { (lasts_s / every_s).ceil().max(1.0) } else { 1.0 };
        for device in install.cx.town.members(&[DeviceKind::Laptop, DeviceKind::Phone], share.min(1.0), &mut dice) {
            let sender = Sender {
                device,
                service,
                port: knobs.number("port") as u16,
                naming: if knobs.word("naming") == "name" { Naming::Name } else { Naming::Address },
                piece: knobs.number("bytes").max(1.0) / pieces,
                every_s: slow.then_some(every_s),
                uneven: knobs.number("uneven"),
                label: install.label,
                dice: dice.fork(),
            };
            let first_s = if slow { dice.between(0.0, every_s) } else { lasts_s * knobs.number("after") };
            spawn(install, first_s, sender);
        }
    },
};

fn spawn(install: &mut Install, first_s: f64, sender: Sender) {
    let at = install.cx.stage.start.after(secs(first_s));
    install.cx.stage.spawn(at, Box::new(sender));
}

struct Sender {
    device: DeviceNumber,
    service: u32,
    port: u16,
    naming: Naming,
    piece: f64,
    every_s: Option<f64>,
    uneven: f64,
    label: u16,
    dice: Dice,
}

impl Actor for Sender {
    fn wake(&mut self, now: TimestampNs, cx: &mut Cx) -> Wake {
        let rounds = (self.piece / REQUEST_BYTES).ceil().max(1.0);
        let mut script =
            Script::once(Amount::Fixed(self.piece / rounds), Amount::LogNormal { median: 140.0, sigma: 0.2 });
        script.rounds = rounds as u32;
        script.wait = Gap::Exponential { mean_s: 0.05 };
        if self.every_s.is_some() {
            script.up = Amount::LogNormal { median: self.piece / rounds, sigma: 0.25 };
        }
        let mut dial = by_program(self.device, self.service, script, self.naming, cx);
        dial.port = self.port;
        dial.label = self.label;
        dial.open(now, &mut self.dice, cx);
        match self.every_s {
            Some(every_s) => {
                Wake::At(now.after(secs(every_s * self.dice.between(1.0 - self.uneven, 1.0 + self.uneven))))
            }
            None => Wake::Gone,
        }
    }
}
