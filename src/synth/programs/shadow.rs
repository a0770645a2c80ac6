//! `shadow-upload`: a program on some devices sends a collector a part of whatever their home does; and an innocent that also
//! speaks up whenever people do something.
//!
//! Detectable by: uploads that rise and fall with the home's other traffic, slot by slot and in proportion, and stay away while
//! it is idle. Not by: stacks, names, look-ups, ports or TTLs, which are those of the device's other programs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::knobs::{Knob, KnobUnit, Knobs};
use super::{Install, Program, Role, Variant};
use crate::detect::finding::Technique;
use crate::synth::dice::{Dice, secs};
use crate::synth::stage::{Actor, Cx, Stage, Tap, Wake};
use crate::synth::town::dial::Naming;
use crate::synth::town::habits::by_program;
use crate::synth::town::homes::DeviceKind::{Laptop, Phone};
use crate::synth::town::script::{Amount, Script};
use crate::synth::town::{DeviceNumber, Town};
use crate::synth::wire::packet::Plan;
use crate::units::{DurationNs, TimestampNs};

const SUBSCRIBERS: Knob = Knob {
    name: "subscribers",
    default: "0.12",
    unit: KnobUnit::Share,
    about: "share of the homes that have the program",
};
const EVERY: Knob =
    Knob { name: "every", default: "25s", unit: KnobUnit::Seconds, about: "time between two looks at what was done" };

/// The operation.
pub(super) const OPERATION: Program = Program {
    kind: "shadow-upload",
    role: Role::Operation(Technique::ShadowUpload),
    about: "a program sends one party a part of whatever its home does, soon after it did it",
    fact: "uploads to one party that follow each home's other traffic slot by slot and in proportion, and stop while it is idle",
    knobs: &[
        SUBSCRIBERS,
        EVERY,
        Knob { name: "part", default: "0.03", unit: KnobUnit::Share, about: "how much of what was moved is sent on" },
        Knob { name: "noise", default: "0.2", unit: KnobUnit::Share, about: "deviation of that part, as a share" },
        Knob { name: "misses", default: "0.05", unit: KnobUnit::Share, about: "looks after which nothing is sent" },
        Knob { name: "collectors", default: "1", unit: KnobUnit::Count, about: "addresses that receive in turn" },
    ],
    variants: &[
        Variant {
            name: "slow",
            settings: "every=240s,part=0.01",
            about: "gathers for four minutes, sends a hundredth",
        },
        Variant { name: "evasive", settings: "noise=0.6,misses=0.3", about: "padded, and silent three times in ten" },
        Variant { name: "spread", settings: "collectors=32", about: "32 addresses in turn, behind one name" },
    ],
    install: |knobs, install| {
        let setting = Setting {
            part: Some(knobs.number("part")),
            noise: knobs.number("noise"),
            misses: knobs.number("misses"),
            every_s: knobs.number("every").max(1.0),
        };
        let service = (install.cx.town.catalogue)
            .add_own("assist.smart-keys.example".to_owned(), knobs.number("collectors") as usize);
        watch(knobs, install, service, setting);
    },
};

/// Adverts and counters that load with pages.
pub(super) const PAGE_COUNTER: Program = Program {
    kind: "page-counter",
    role: Role::Negative,
    about: "a counter on many pages sends one service a small event whenever people do something",
    fact: "uploads follow activity, from many homes to one party, and hardly anything comes back; but an event is as large \
        whatever was done",
    knobs: &[SUBSCRIBERS, Knob { default: "60s", ..EVERY }],
    variants: &[],
    install: |knobs, install| {
        let every_s = knobs.number("every").max(1.0);
        let setting = Setting { part: None, noise: 0.35, misses: 0.5, every_s };
        let service = install.cx.town.catalogue.add_own("count.bezoekmeter.example".to_owned(), 1);
        watch(knobs, install, service, setting);
    },
};

/// Bytes that moved since the last look, by subscriber.
type Moved = Rc<RefCell<BTreeMap<u32, u64>>>;

#[derive(Clone, Copy)]
struct Setting {
    /// What is sent of what moved; none for an event of its own size.
    part: Option<f64>,
    noise: f64,
    misses: f64,
    every_s: f64,
}

fn watch(knobs: &Knobs, install: &mut Install, service: u32, setting: Setting) {
    install.note_party(service);
    let moved = Moved::default();
    let mut dice = install.dice("shadow");
    for device in install.cx.town.members(&[Phone, Laptop], knobs.number("subscribers"), &mut dice) {
        let own = dice.fork();
        let Some(home) = Town::subscriber_of(install.cx.town.address_of(device, false)) else { continue };
        moved.borrow_mut().insert(home, 0);
        let watcher = Watcher { device, home, service, setting, moved: moved.clone(), label: install.label, dice: own };
        let first = install.cx.stage.start.after(dice.secs_between(0.0, setting.every_s));
        install.cx.stage.spawn(first, Box::new(watcher));
    }
    install.taps.push(Box::new(Meter { moved, label: install.label }));
}

/// Counts what moves at the homes that are watched, its own packets left out.
struct Meter {
    moved: Moved,
    label: u16,
}

impl Tap for Meter {
    fn see(&mut self, _: TimestampNs, plan: &Plan, _: &[u8], _: &mut Stage) {
        let home = Town::subscriber_of(plan.source.address).or(Town::subscriber_of(plan.destination.address));
        let mut moved = self.moved.borrow_mut();
        if let Some(bytes) = home.filter(|_| plan.label != self.label).and_then(|home| moved.get_mut(&home)) {
            *bytes += plan.ip_bytes() as u64;
        }
    }
}

/// The program on one device.
struct Watcher {
    device: DeviceNumber,
    home: u32,
    service: u32,
    setting: Setting,
    moved: Moved,
    label: u16,
    dice: Dice,
}

/// Below this a home does nothing: clocks and keep-alives.
const IDLE_BYTES: u64 = 4_000;

impl Actor for Watcher {
    fn wake(&mut self, now: TimestampNs, cx: &mut Cx) -> Wake {
        // A program looks by its timer; a page counts when somebody opens it.
        let next = match self.setting.part {
            Some(_) => self.dice.about(secs(self.setting.every_s), 0.2),
            None => self.dice.secs_exponential(self.setting.every_s),
        };
        let next = next.max(DurationNs(1));
        let bytes = self.moved.borrow().get(&self.home).copied().unwrap_or_default();
        if bytes >= IDLE_BYTES {
            self.moved.borrow_mut().insert(self.home, 0);
            if !self.dice.chance(self.setting.misses) {
                let median = self.setting.part.map_or(700.0, |part| (bytes as f64 * part).max(120.0));
                let size = Amount::LogNormal { median, sigma: self.setting.noise };
                let script = Script::once(size, Amount::LogNormal { median: 80.0, sigma: 0.2 });
                let mut dial = by_program(self.device, self.service, script, Naming::Name, cx);
                dial.label = self.label;
                dial.open(now, &mut self.dice, cx);
            }
        }
        Wake::At(now.after(next))
    }
}
