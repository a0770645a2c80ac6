//! `population-fan-in`, and its innocent twin, registered telemetry: a program on many subscribers' devices reports to one
//! collector, small and alike, by the clock.
//!
//! Detectable by: many distinct subscribers whose uploads to one far party are alike in size and spacing, and go up far more
//! than they come down. Not by: stacks, names, look-ups, ports, TTLs or times, which are those of the device's other programs;
//! the calls go the same way through the same code (`town::dial`).

use super::knobs::{Knob, KnobUnit, Knobs};
use super::{Install, Program, Role, Variant};
use crate::detect::finding::Technique;
use crate::synth::dice::{Dice, secs};
use crate::synth::labels::Registered;
use crate::synth::stage::{Actor, Cx, Wake};
use crate::synth::town::DeviceNumber;
use crate::synth::town::dial::Naming;
use crate::synth::town::habits::by_program;
use crate::synth::town::homes::DeviceKind;
use crate::synth::town::script::{Amount, Script};
use crate::units::TimestampNs;

const KNOBS: &[Knob] = &[
    Knob { name: "subscribers", default: "0.15", unit: KnobUnit::Share, about: "share of the homes that report" },
    Knob { name: "period", default: "600s", unit: KnobUnit::Seconds, about: "time between two reports of a device" },
    Knob {
        name: "jitter",
        default: "0.2",
        unit: KnobUnit::Share,
        about: "how far a period may stray, as a share of it",
    },
    Knob { name: "record", default: "1800B", unit: KnobUnit::Bytes, about: "plain bytes of a report (median)" },
    Knob { name: "spread", default: "0.06", unit: KnobUnit::Share, about: "deviation of a report's size, as a share" },
    Knob {
        name: "collectors",
        default: "1",
        unit: KnobUnit::Count,
        about: "addresses that the collector hides behind",
    },
    Knob { name: "port", default: "443", unit: KnobUnit::Port, about: "port of the collector" },
    Knob {
        name: "naming",
        default: "name",
        unit: KnobUnit::Word(&["name", "address"]),
        about: "whether reports carry a server name, looked up before, or go to a bare address",
    },
    Knob {
        name: "behind",
        default: "own",
        unit: KnobUnit::Word(&["own", "cdn"]),
        about: "own addresses, or those of a CDN that many names share",
    },
    Knob {
        name: "names",
        default: "1",
        unit: KnobUnit::Count,
        about: "names, each with addresses of its own, that the same server answers under",
    },
];

/// Ways to hide it.
const VARIANTS: &[Variant] = &[
    Variant { name: "slow", settings: "period=45m", about: "a record every three quarters of an hour" },
    Variant {
        name: "evasive",
        settings: "spread=0.5,jitter=0.45,behind=cdn",
        about: "padded sizes, jittered times, behind CDN addresses that many names share",
    },
    Variant { name: "spread", settings: "collectors=64", about: "64 addresses behind one name" },
    Variant {
        name: "fleet",
        settings: "collectors=2,names=24",
        about: "24 names of two addresses each, one server behind all",
    },
];

/// The operation.
pub(super) const OPERATION: Program = Program {
    kind: "population-fan-in",
    role: Role::Operation(Technique::PopulationFanIn),
    about: "a share of the subscribers uploads small, alike records to one collector, by the clock",
    fact: "many distinct subscribers, alike in size and spacing of what they send one party, which answers almost nothing",
    knobs: KNOBS,
    variants: VARIANTS,
    install: |knobs, install| {
        let name = format!("{}.{}.example", ["metrics", "in", "c", "sdk"][own_word(install)], "venta-data");
        reporters(knobs, install, &name);
    },
};

/// The same, but told to the people and in the register.
pub(super) const TELEMETRY: Program = Program {
    kind: "telemetry",
    role: Role::Negative,
    about: "telemetry of an operating system that the policy's register names",
    fact: "behaves as a population-fan-in does; only the register tells them apart",
    knobs: KNOBS,
    variants: &[],
    install: |knobs, install| {
        let service = reporters(knobs, install, "v20.telemetry.acme.example");
        let addresses = install.cx.town.catalogue.get(service).addresses.clone();
        install.registered.push(Registered {
            name: "Acme OS telemetry".to_owned(),
            collectors: addresses
                .iter()
                .map(ToString::to_string)
                .chain(["sni:*.telemetry.acme.example".to_owned()])
                .collect(),
            reference: "DPIA-2026-014".to_owned(),
        });
    },
};

fn own_word(install: &Install) -> usize {
    install.dice("word").index(4)
}

/// Sets the reporters up; gives the collector's service.
fn reporters(knobs: &Knobs, install: &mut Install, name: &str) -> u32 {
    let catalogue = &mut install.cx.town.catalogue;
    let addresses = knobs.number("collectors") as usize;
    let service = match knobs.word("behind") {
        "cdn" => catalogue.add_on_cdn(name.to_owned()),
        _ => catalogue.add_own(name.to_owned(), addresses),
    };
    let mut services = vec![service];
    for i in 1..knobs.number("names") as usize {
        // Domains that have nothing in common, in front of one server: it speaks TLS in its own way.
        let name = format!("{}.{}{}.example", ["a", "app", "img", "s"][i % 4], ["nova", "lumen", "orbit"][i % 3], i);
        let other = catalogue.add_own(name, addresses);
        catalogue.services[service as usize].tls.suite_13 = 0x1303;
        catalogue.services[other as usize].tls = catalogue.services[service as usize].tls.clone();
        services.push(other);
    }
    services.iter().for_each(|service| install.note_party(*service));
    let mut dice = install.dice("fan-in");
    let kinds = [DeviceKind::Phone, DeviceKind::Laptop];
    let calls = Calls {
        port: knobs.number("port") as u16,
        naming: if knobs.word("naming") == "name" { Naming::Name } else { Naming::Address },
        period_s: knobs.number("period").max(1.0),
        jitter: knobs.number("jitter"),
        record: Amount::LogNormal { median: knobs.number("record").max(1.0), sigma: knobs.number("spread") },
        answer: Amount::LogNormal { median: 90.0, sigma: 0.2 },
        label: install.label,
    };
    for (i, device) in install.cx.town.members(&kinds, knobs.number("subscribers"), &mut dice).into_iter().enumerate() {
        let own = dice.fork();
        Reporter::begin(device, services[i % services.len()], calls, own, install, &mut dice);
    }
    service
}

/// How a program calls.
#[derive(Clone, Copy)]
pub(super) struct Calls {
    pub(super) port: u16,
    pub(super) naming: Naming,
    pub(super) period_s: f64,
    pub(super) jitter: f64,
    pub(super) record: Amount,
    pub(super) answer: Amount,
    pub(super) label: u16,
}

/// A program on one device that calls by the clock.
pub(super) struct Reporter {
    device: DeviceNumber,
    service: u32,
    calls: Calls,
    dice: Dice,
}

impl Reporter {
    /// Lets a device begin, somewhere in the first period.
    pub(super) fn begin(
        device: DeviceNumber,
        service: u32,
        calls: Calls,
        own: Dice,
        install: &mut Install,
        dice: &mut Dice,
    ) {
        let first = install.cx.stage.start.after(dice.secs_between(0.0, calls.period_s));
        install.cx.stage.spawn(first, Box::new(Self { device, service, calls, dice: own }));
    }
}

impl Actor for Reporter {
    fn wake(&mut self, now: TimestampNs, cx: &mut Cx) -> Wake {
        let Calls { port, naming, period_s, jitter, record, answer, label } = self.calls;
        let script = Script::once(record, answer);
        let mut dial = by_program(self.device, self.service, script, naming, cx);
        dial.port = port;
        dial.label = label;
        dial.open(now, &mut self.dice, cx);
        Wake::At(now.after(secs(period_s * self.dice.between(1.0 - jitter, 1.0 + jitter))))
    }
}
