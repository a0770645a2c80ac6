//! `beaconing-implant`: a program that nobody asked for calls home from some devices, by the clock; and innocents that keep
//! time as well.
//!
//! Detectable by: gaps between calls that keep a period, sizes that hardly vary both ways, few devices of the population, the
//! same period on all of them, through idle hours. Not by: stacks, look-ups, ports, TTLs or times of day, which are those of
//! the device's other programs.

use super::fan_in::{Calls, Reporter};
use super::knobs::{Knob, KnobUnit, Knobs};
use super::{Install, Program, Role, Variant};
use crate::detect::finding::Technique;
use crate::synth::town::dial::Naming;
use crate::synth::town::homes::DeviceKind::{self, Console, Laptop, Phone, Television, Thing};
use crate::synth::town::script::Amount;

const KNOBS: &[Knob] = &[
    Knob { name: "subscribers", default: "0.04", unit: KnobUnit::Share, about: "share of the homes that call" },
    Knob { name: "period", default: "90s", unit: KnobUnit::Seconds, about: "time between two calls of a device" },
    Knob { name: "jitter", default: "0.1", unit: KnobUnit::Share, about: "how far a period may stray, as a share" },
    Knob { name: "up", default: "240B", unit: KnobUnit::Bytes, about: "plain bytes of a call (median)" },
    Knob { name: "down", default: "330B", unit: KnobUnit::Bytes, about: "plain bytes of its answer (median)" },
    Knob { name: "spread", default: "0.02", unit: KnobUnit::Share, about: "deviation of these sizes, as a share" },
    Knob { name: "collectors", default: "1", unit: KnobUnit::Count, about: "addresses that are called in turn" },
    Knob { name: "port", default: "443", unit: KnobUnit::Port, about: "port of the party that is called" },
    Knob {
        name: "naming",
        default: "name",
        unit: KnobUnit::Word(&["name", "address"]),
        about: "whether it is called by a name, looked up before, or by its bare address",
    },
];

/// The operation.
pub(super) const OPERATION: Program = Program {
    kind: "beaconing-implant",
    role: Role::Operation(Technique::BeaconingImplant),
    about: "an implant on some devices calls one party by the clock and is told that there is nothing to do",
    fact: "calls of constant size both ways that keep a period through idle hours, the same on a few devices of many",
    knobs: KNOBS,
    variants: &[
        Variant { name: "slow", settings: "period=20m", about: "three calls an hour" },
        Variant {
            name: "evasive",
            settings: "jitter=0.4,spread=0.3,naming=address",
            about: "periods stray by four tenths, sizes are padded",
        },
        Variant { name: "spread", settings: "collectors=16", about: "sixteen addresses in turn, behind one name" },
    ],
    install: |knobs, install| calls(knobs, install, "c2.harbour-lights.example", &[Phone, Laptop]),
};

/// Programs that look for updates.
pub(super) const UPDATE_CHECK: Program = Program {
    kind: "update-check",
    role: Role::Negative,
    about: "most devices ask one service, by a timer, whether there is a new version",
    fact: "calls of constant size by the clock, unasked; but nearly everybody's devices make them, by a name that is looked up",
    knobs: &[
        Knob { default: "0.6", ..KNOBS[0] },
        Knob { default: "30m", ..KNOBS[1] },
        KNOBS[2],
        Knob { default: "310B", ..KNOBS[3] },
        Knob { default: "520B", ..KNOBS[4] },
        KNOBS[5],
        KNOBS[6],
        KNOBS[7],
        KNOBS[8],
    ],
    variants: &[],
    install: |knobs, install| {
        calls(knobs, install, "versions.os-update.example", &[Laptop, Phone, Television, Console])
    },
};

/// Small things and their maker.
pub(super) const THINGS_CLOUD: Program = Program {
    kind: "things-cloud",
    role: Role::Negative,
    about: "small things of one make ask their maker's cloud whether there is something to do",
    fact: "calls by the clock through idle hours from a few homes to one party; but what is asked and answered changes with what \
        the thing does",
    knobs: &[
        Knob { default: "0.08", ..KNOBS[0] },
        Knob { default: "5m", ..KNOBS[1] },
        KNOBS[2],
        Knob { default: "430B", ..KNOBS[3] },
        Knob { default: "700B", ..KNOBS[4] },
        Knob { default: "0.6", ..KNOBS[5] },
        KNOBS[6],
        KNOBS[7],
        KNOBS[8],
    ],
    variants: &[],
    install: |knobs, install| calls(knobs, install, "cloud.slimme-lamp.example", &[Thing]),
};

fn calls(knobs: &Knobs, install: &mut Install, name: &str, kinds: &[DeviceKind]) {
    let service = install.cx.town.catalogue.add_own(name.to_owned(), knobs.number("collectors") as usize);
    install.note_party(service);
    let mut dice = install.dice("beacon");
    let size = |knob| Amount::LogNormal { median: knobs.number(knob).max(1.0), sigma: knobs.number("spread") };
    let calls = Calls {
        port: knobs.number("port") as u16,
        naming: if knobs.word("naming") == "name" { Naming::Name } else { Naming::Address },
        period_s: knobs.number("period").max(1.0),
        jitter: knobs.number("jitter"),
        record: size("up"),
        answer: size("down"),
        label: install.label,
    };
    for device in install.cx.town.members(kinds, knobs.number("subscribers"), &mut dice) {
        Reporter::begin(device, service, calls, dice.fork(), install, &mut dice);
    }
}
