//! `record-scraping`: an outsider pulls the records of an inside service one after the other; and those who ask it honestly.
//!
//! Detectable by: very many answers of like size to one asker (or to a fleet with one program), asked for as evenly as no
//! person does. Not by: address, port, name or program; the honest askers go the same way through the same code.

use super::knobs::{Knob, KnobUnit};
use super::{Install, Program, Role, Variant};
use crate::detect::finding::Technique;
use crate::synth::dice::{Dice, secs};
use crate::synth::stage::{Actor, Cx, Wake};
use crate::synth::town::DeviceNumber;
use crate::synth::town::dial::{Dial, Naming, Way};
use crate::synth::town::machines::Distance;
use crate::synth::town::script::{Amount, Gap, Script};
use crate::synth::town::stack::{self, Stack};
use crate::synth::town::tcp::Opening;
use crate::synth::wire::hello::{self, HelloStack};
use crate::units::{Address, TimestampNs};

/// The machine that answers; scraper and honest askers of one scenario share it.
const SERVER: [u8; 2] = [254, 80];
/// Stacks and programs of people who visit.
const VISITORS: [(&Stack, &HelloStack); 4] = [
    (&stack::WINDOWS, &hello::CHROME),
    (&stack::APPLE, &hello::SAFARI),
    (&stack::WINDOWS, &hello::FIREFOX),
    (&stack::ANDROID, &hello::CHROME),
];

/// The operation.
pub(super) const OPERATION: Program = Program {
    kind: "record-scraping",
    role: Role::Operation(Technique::RecordScraping),
    about: "an outsider, one address or a fleet, pulls the records of an inside service one after the other",
    fact: "very many answers of like size to one party, evenly, beside people who come in bursts and look at unlike pages",
    knobs: &[
        Knob { name: "records", default: "1500", unit: KnobUnit::Count, about: "records an hour" },
        Knob { name: "record", default: "2KiB", unit: KnobUnit::Bytes, about: "plain bytes of a record (median)" },
        Knob {
            name: "unlike",
            default: "0.12",
            unit: KnobUnit::Share,
            about: "how much records differ (sigma of their logarithm)",
        },
        Knob { name: "addresses", default: "1", unit: KnobUnit::Count, about: "addresses that take turns" },
        Knob { name: "a_call", default: "25", unit: KnobUnit::Count, about: "records pulled over one connection" },
        Knob { name: "jitter", default: "0.2", unit: KnobUnit::Share, about: "how uneven its pace is" },
        Knob {
            name: "visitors",
            default: "60",
            unit: KnobUnit::Count,
            about: "people who visit the same service an hour",
        },
    ],
    variants: &[
        Variant { name: "slow", settings: "records=240,a_call=4", about: "a record every fifteen seconds" },
        Variant {
            name: "evasive",
            settings: "unlike=0.35,jitter=0.9,records=700,a_call=8",
            about: "unlike sizes at an uneven pace",
        },
        Variant {
            name: "spread",
            settings: "addresses=24,records=1500,a_call=10",
            about: "over 24 addresses with one program",
        },
    ],
    install: |knobs, install| {
        let service = add_server(install);
        let mut dice = install.dice("scraping");
        let addresses = knobs.number("addresses") as usize;
        let fleet: Vec<DeviceNumber> = (0..addresses)
            .map(|i| add_caller(install, &format!("pull{i}"), &stack::LINUX, &hello::OPENSSL, &mut dice))
            .collect();
        let script = |rounds: f64, wait: Gap| Script {
            rounds: rounds as u32,
            wait,
            ..Script::once(
                Amount::LogNormal { median: 260.0, sigma: 0.08 },
                Amount::LogNormal { median: knobs.number("record").max(1.0), sigma: knobs.number("unlike") },
            )
        };
        let every_s = 3600.0 / knobs.number("records");
        let a_call = knobs.number("a_call");
        let wait = Gap::Regular { every_s, jitter: knobs.number("jitter") };
        let pull = Pull {
            service,
            script: script(a_call, wait),
            every_s: every_s * a_call,
            jitter: knobs.number("jitter"),
            fleet,
        };
        spawn(install, pull);
        visitors(install, service, knobs.number("visitors"));
    },
};

/// People behind one address.
pub(super) const PORTAL: Program = Program {
    kind: "portal",
    role: Role::Negative,
    about: "people visit a service inside; hundreds of them share the address of one office",
    fact: "very many answers to one address, as to a scraper, but of all sizes and in people's bursts",
    knobs: &[
        Knob { name: "visitors", default: "60", unit: KnobUnit::Count, about: "people an hour, each from an address" },
        Knob { name: "office", default: "200", unit: KnobUnit::Count, about: "visits an hour from the one office" },
    ],
    variants: &[],
    install: |knobs, install| {
        let service = add_server(install);
        visitors(install, service, knobs.number("visitors"));
        let mut dice = install.dice("office");
        let office = add_caller(install, "office", &stack::WINDOWS, &hello::CHROME, &mut dice);
        let per_hour = knobs.number("office");
        let crowd = Crowd { service, callers: vec![office], per_hour, label: install.label, dice };
        let start = install.cx.stage.start;
        install.cx.stage.spawn(start, Box::new(crowd));
    },
};

/// A monitor that asks once a minute.
pub(super) const MONITOR: Program = Program {
    kind: "monitor",
    role: Role::Negative,
    about: "a monitoring service asks an inside service every half minute whether it is there",
    fact: "alike answers by the clock to one stranger, for ever; but few, and always the same one",
    knobs: &[Knob { name: "period", default: "30s", unit: KnobUnit::Seconds, about: "time between two questions" }],
    variants: &[],
    install: |knobs, install| {
        let service = add_server(install);
        visitors(install, service, 30.0);
        let mut dice = install.dice("monitor");
        let fleet = vec![add_caller(install, "uptime", &stack::LINUX, &hello::OPENSSL, &mut dice)];
        let script = Script::once(Amount::Fixed(180.0), Amount::Fixed(420.0));
        spawn(install, Pull { service, script, every_s: knobs.number("period").max(1.0), jitter: 0.02, fleet });
    },
};

/// A search engine that is in the register.
pub(super) const CRAWLER: Program = Program {
    kind: "crawler",
    role: Role::Negative,
    about: "a search engine reads the pages of an inside service; the register knows it",
    fact: "very many answers to one stranger at a machine's pace, and allowed",
    knobs: &[Knob { name: "pages", default: "900", unit: KnobUnit::Count, about: "pages an hour" }],
    variants: &[],
    install: |knobs, install| {
        let service = add_server(install);
        visitors(install, service, 30.0);
        let mut dice = install.dice("crawler");
        let device = add_caller(install, "spider", &stack::LINUX, &hello::OPENSSL, &mut dice);
        let address = install.cx.town.address_of(device, false);
        let script = Script::once(
            Amount::LogNormal { median: 300.0, sigma: 0.1 },
            Amount::LogNormal { median: 9_000.0, sigma: 0.3 },
        );
        let every_s = 3600.0 / knobs.number("pages");
        spawn(install, Pull { service, script, every_s, jitter: 0.3, fleet: vec![device] });
        install.policy(&format!(
            "[[authorised]]\nname = \"Search engine {}\"\ncollectors = [\"{address}\"]\npopulations = [\"residents\"]\n\
             techniques = [\"record-scraping\"]\nlegal_basis = \"public task\"\nreference = \"ROBOTS-{}\"\nexpires = 2031-01-01",
            install.label, install.label
        ));
    },
};

fn add_server(install: &mut Install) -> u32 {
    let address = install.cx.town.machine_at(SERVER[0], SERVER[1]);
    let name = "mijn.gemeenteloket.example".to_owned();
    install.cx.town.catalogue.add_machine(name, address)
}

/// An outsider that calls in.
fn add_caller(
    install: &mut Install,
    name: &str,
    stack: &'static Stack,
    hello: &'static HelloStack,
    dice: &mut Dice,
) -> DeviceNumber {
    let label = install.label;
    let town = &mut install.cx.town;
    let address = town.outside_address(&format!("{name}-{label}.caller.example"));
    let distance = Distance::abroad(dice);
    town.add_machine(address.as_v4().unwrap_or_default(), distance, stack, hello, dice, install.cx.stage)
}

fn visitors(install: &mut Install, service: u32, per_hour: f64) {
    let mut dice = install.dice("visitors");
    let callers = (0..40)
        .map(|i| {
            let (stack, hello) = *dice.pick(&VISITORS);
            add_caller(install, &format!("visitor{i}"), stack, hello, &mut dice)
        })
        .collect();
    // The visitors are nobody's operation.
    let crowd = Crowd { service, callers, per_hour, label: 0, dice };
    let start = install.cx.stage.start;
    install.cx.stage.spawn(start, Box::new(crowd));
}

fn spawn(install: &mut Install, pull: Pull) {
    let mut dice = install.dice("pull");
    let town = &install.cx.town;
    let fleet: Vec<Address> = pull.fleet.iter().map(|device| town.address_of(*device, false)).collect();
    let label = install.label;
    install.cx.stage.tallies[usize::from(label)].parties.extend(fleet);
    let first = install.cx.stage.start.after(dice.secs_between(0.0, pull.every_s));
    install.cx.stage.spawn(first, Box::new(Puller { pull, turn: 0, label, dice }));
}

/// What is pulled, how often, by whom.
struct Pull {
    service: u32,
    script: Script,
    every_s: f64,
    jitter: f64,
    fleet: Vec<DeviceNumber>,
}

struct Puller {
    pull: Pull,
    turn: usize,
    label: u16,
    dice: Dice,
}

impl Actor for Puller {
    fn wake(&mut self, now: TimestampNs, cx: &mut Cx) -> Wake {
        let device = self.pull.fleet[self.turn % self.pull.fleet.len()];
        self.turn += 1;
        call(device, self.pull.service, self.pull.script, self.label, now, &mut self.dice, cx);
        let jitter = self.pull.jitter.min(0.95);
        Wake::At(now.after(secs(self.pull.every_s * self.dice.between(1.0 - jitter, 1.0 + jitter))))
    }
}

/// People: each looks at a few pages of all sizes, and leaves.
struct Crowd {
    service: u32,
    callers: Vec<DeviceNumber>,
    per_hour: f64,
    label: u16,
    dice: Dice,
}

impl Actor for Crowd {
    fn wake(&mut self, now: TimestampNs, cx: &mut Cx) -> Wake {
        let mut script = Script::once(
            Amount::LogNormal { median: 520.0, sigma: 0.5 },
            Amount::LogNormal { median: 6_000.0, sigma: 1.5 },
        );
        script.rounds = self.dice.lognormal(5.0, 0.8).clamp(1.0, 60.0) as u32;
        script.wait = Gap::LogNormal { median_s: 4.0, sigma: 1.4 };
        let device = *self.dice.pick(&self.callers);
        call(device, self.service, script, self.label, now, &mut self.dice, cx);
        Wake::At(cx.town.next_time(now, self.per_hour, &mut self.dice))
    }
}

fn call(
    device: DeviceNumber,
    service: u32,
    script: Script,
    label: u16,
    now: TimestampNs,
    dice: &mut Dice,
    cx: &mut Cx,
) {
    let way = Way::Tls { hello: cx.town.device(device).program, naming: Naming::Address };
    let dial = Dial { device, service, port: 443, way, script, opening: Opening::Handshake, label, carried: 0 };
    dial.open(now, dice, cx);
    // The caller is the party here, not the server that it calls.
    let servers = cx.town.catalogue.get(service).addresses.clone();
    let tally = &mut cx.stage.tallies[usize::from(label)];
    servers.iter().for_each(|server| {
        tally.parties.remove(server);
    });
}
