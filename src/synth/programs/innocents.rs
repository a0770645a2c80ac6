//! Innocents: what popular, harmless services look like when a whole town uses them. Each resembles an operation in one way.

use super::knobs::{Knob, KnobUnit, Knobs};
use super::{Install, Program, Role};
use crate::synth::dice::{Dice, secs};
use crate::synth::stage::{Actor, Cx, Wake};
use crate::synth::town::dial::{Dial, Naming, Way};
use crate::synth::town::habits::by_program;
use crate::synth::town::homes::DeviceKind::{self, Laptop, Phone, Television, Thing};
use crate::synth::town::script::{Amount, Gap, Script};
use crate::synth::town::talk::{self, Talk, TalkKind};
use crate::synth::town::tcp::Opening;
use crate::synth::town::{DeviceNumber, rhythm};
use crate::units::TimestampNs;

const SUBSCRIBERS: Knob =
    Knob { name: "subscribers", default: "0.2", unit: KnobUnit::Share, about: "share of the homes that take part" };
const SUBSCRIBERS_MOST: Knob = Knob { default: "0.7", ..SUBSCRIBERS };
const SIZE: Knob =
    Knob { name: "bytes", default: "6MiB", unit: KnobUnit::Bytes, about: "plain bytes of one transfer (median)" };

/// What a member does each time.
#[derive(Clone, Copy)]
enum Deed {
    Call(Script, Opening),
    Talk(TalkKind, Amount),
    AskTime,
    /// A request in the clear, to see whether the world is there.
    Check,
}

/// When a member does it.
#[derive(Clone, Copy)]
enum When {
    /// Once, somewhere in the capture.
    Once,
    /// So many times an hour, with the rhythm of the day.
    People { per_hour: f64 },
    /// By a timer of this many seconds.
    Timer { every_s: f64 },
    /// From before the start.
    Standing,
}

/// One device that takes part.
struct Member {
    device: DeviceNumber,
    services: Vec<u32>,
    port: u16,
    deed: Deed,
    when: When,
    label: u16,
    dice: Dice,
}

impl Actor for Member {
    fn wake(&mut self, now: TimestampNs, cx: &mut Cx) -> Wake {
        let service = *self.dice.pick(&self.services);
        match self.deed {
            Deed::Call(script, opening) => {
                let mut dial = by_program(self.device, service, script, Naming::Name, cx);
                (dial.port, dial.opening, dial.label) = (self.port, opening, self.label);
                dial.open(now, &mut self.dice, cx);
            }
            Deed::Talk(kind, lasts) => {
                let lasts = secs(lasts.draw(&mut self.dice) as f64);
                Talk::open(self.device, service, kind, lasts, self.label, now, &mut self.dice, cx);
            }
            Deed::Check => {
                let script = Script::once(Amount::Nothing, Amount::Fixed(8.0));
                let way = Way::Http { method: "GET", path: "/generate_204", kind: "text/plain" };
                let (device, opening) = (self.device, Opening::Handshake);
                let dial =
                    Dial { device, service, port: self.port, way, script, opening, label: self.label, carried: 0 };
                dial.open(now, &mut self.dice, cx);
            }
            Deed::AskTime => talk::ask_time(self.device, service, now, self.label, &mut self.dice, cx),
        }
        match self.when {
            When::Once | When::Standing => Wake::Gone,
            When::People { per_hour } => Wake::At(rhythm::next(now, per_hour, &mut self.dice)),
            When::Timer { every_s } => Wake::At(now.after(secs(every_s * self.dice.between(0.95, 1.05)))),
        }
    }
}

/// Lets a share of the homes take part.
fn take_part(
    install: &mut Install,
    knobs: &Knobs,
    kinds: &[DeviceKind],
    services: &[u32],
    port: u16,
    deed: Deed,
    when: When,
) {
    services.iter().for_each(|service| install.note_party(*service));
    let mut dice = install.dice("members");
    let (start, end) = (install.cx.stage.start, install.cx.stage.end);
    let lasts_s = end.since(start).as_secs_f64();
    for device in install.cx.town.members(kinds, knobs.number("subscribers"), &mut dice) {
        let mut own = dice.fork();
        let first = match when {
            When::Once => start.after(own.secs_between(0.02 * lasts_s, 0.9 * lasts_s)),
            When::People { per_hour } => rhythm::next(start, per_hour, &mut own),
            When::Timer { every_s } => start.after(own.secs_between(0.0, every_s)),
            When::Standing => start,
        };
        let label = install.label;
        let member = Member { device, services: services.to_vec(), port, deed, when, label, dice: own };
        install.cx.stage.spawn(first, Box::new(member));
    }
}

/// People look at pages of these services.
pub(super) fn visit(install: &mut Install, knobs: &Knobs, services: &[u32]) {
    let script = rounds(3, Gap::LogNormal { median_s: 0.5, sigma: 1.4 }, around(480.0, 0.5), around(9_000.0, 1.6));
    let (deed, when) = (Deed::Call(script, Opening::Handshake), When::People { per_hour: knobs.number("visits") });
    take_part(install, knobs, &[Phone, Laptop], services, 443, deed, when);
}

fn own_service(install: &mut Install, name: &str, addresses: usize) -> u32 {
    install.cx.town.catalogue.add_own(name.to_owned(), addresses)
}

fn rounds(rounds: u32, wait: Gap, up: Amount, down: Amount) -> Script {
    Script { rounds, wait, ..Script::once(up, down) }
}

const fn around(median: f64, sigma: f64) -> Amount {
    Amount::LogNormal { median, sigma }
}

/// A popular sink of small uploads that nobody registered, and that gives as much as it takes.
pub(super) const ANALYTICS: Program = Program {
    kind: "analytics",
    role: Role::Negative,
    about: "programs on many devices send small events to one popular service, which answers with as much or more",
    fact: "many subscribers send one unregistered party small records; but people set the pace, sizes differ and answers are larger",
    knobs: &[
        SUBSCRIBERS,
        Knob {
            name: "visits",
            default: "5",
            unit: KnobUnit::Count,
            about: "events an hour of each device, at the busiest",
        },
    ],
    variants: &[],
    install: |knobs, install| {
        let service = own_service(install, "events.appmeter.example", 3);
        let script = rounds(2, Gap::Exponential { mean_s: 8.0 }, around(1_100.0, 0.7), around(2_100.0, 0.9));
        let when = When::People { per_hour: knobs.number("visits") };
        take_part(install, knobs, &[Phone, Laptop], &[service], 443, Deed::Call(script, Opening::Handshake), when);
    },
};

/// A harmless service whose entry in the register nobody renewed.
pub(super) const LAPSED_ENTRY: Program = Program {
    kind: "lapsed-entry",
    role: Role::Negative,
    about: "most homes use a service for maps and timetables whose entry in the register ran out last year",
    fact: "nearly everybody sends one party small questions, and the register allows it no more; but people ask, and get far more back",
    knobs: &[
        SUBSCRIBERS_MOST,
        Knob {
            name: "visits",
            default: "3",
            unit: KnobUnit::Count,
            about: "questions an hour of each, at the busiest",
        },
    ],
    variants: &[],
    install: |knobs, install| {
        let service = own_service(install, "plan.reiswijzer.example", 3);
        let script = rounds(3, Gap::Exponential { mean_s: 12.0 }, around(700.0, 0.5), around(6_500.0, 1.0));
        let when = When::People { per_hour: knobs.number("visits") };
        take_part(install, knobs, &[Phone, Laptop], &[service], 443, Deed::Call(script, Opening::Handshake), when);
        install.policy(
            "[[authorised]]\nname = \"Travel planner\"\ncollectors = [\"sni:*.reiswijzer.example\"]\n\
             populations = [\"residents\"]\nlegal_basis = \"contract\"\nreference = \"DPIA-2024-003\"\nexpires = 2025-12-31",
        );
    },
};

/// Nightly backups.
pub(super) const BACKUP: Program = Program {
    kind: "backup",
    role: Role::Negative,
    about: "computers send their backups to one cloud",
    fact: "uploads far more than it downloads, from many homes to one party; but large, unlike each other and seldom",
    knobs: &[SUBSCRIBERS, SIZE],
    variants: &[],
    install: |knobs, install| {
        let service = own_service(install, "vault.kluiscloud.example", 2);
        let piece = around((knobs.number("bytes") / 6.0).max(1.0), 1.1);
        let script = rounds(6, Gap::Exponential { mean_s: 2.0 }, piece, around(450.0, 0.3));
        take_part(install, knobs, &[Laptop], &[service], 443, Deed::Call(script, Opening::Handshake), When::Once);
    },
};

/// Video calls.
pub(super) const VIDEO_CALL: Program = Program {
    kind: "video-call",
    role: Role::Negative,
    about: "people call each other with pictures through one relay",
    fact: "uploads as heavy as downloads, from many homes to one party, for minutes; but both ways alike",
    knobs: &[
        SUBSCRIBERS,
        Knob { name: "lasts", default: "180s", unit: KnobUnit::Seconds, about: "length of a call (median)" },
        Knob { name: "pictures", default: "600000", unit: KnobUnit::Count, about: "bits a second of the pictures" },
    ],
    variants: &[],
    install: |knobs, install| {
        let service = own_service(install, "sfu3.praatmee.example", 2);
        let kind = TalkKind::Call { pictures_bps: knobs.number("pictures") };
        let deed = Deed::Talk(kind, around(knobs.number("lasts").max(1.0), 0.5));
        take_part(install, knobs, &[Phone, Laptop], &[service], 3478, deed, When::Once);
    },
};

/// Clocks.
pub(super) const NTP: Program = Program {
    kind: "ntp",
    role: Role::Negative,
    about: "devices ask one time server, by the clock",
    fact: "many subscribers send one party alike packets at regular times; but each gets as many bytes back",
    knobs: &[
        SUBSCRIBERS,
        Knob {
            name: "period",
            default: "256s",
            unit: KnobUnit::Seconds,
            about: "time between two questions of a device",
        },
    ],
    variants: &[],
    install: |knobs, install| {
        let service = own_service(install, "tijd.klokkenhuis.example", 1);
        let when = When::Timer { every_s: knobs.number("period").max(1.0) };
        take_part(install, knobs, &[Thing, Television, Laptop, Phone], &[service], 123, Deed::AskTime, when);
    },
};

/// Software updates.
pub(super) const UPDATES: Program = Program {
    kind: "updates",
    role: Role::Negative,
    about: "devices load an update that came out today",
    fact: "many subscribers call one party within hours, all alike; but they download",
    knobs: &[SUBSCRIBERS, SIZE],
    variants: &[],
    install: |knobs, install| {
        let service = install.cx.town.catalogue.add_on_cdn("dl.os-update.example".to_owned());
        let piece = around((knobs.number("bytes") / 4.0).max(1.0), 0.05);
        let script = rounds(4, Gap::Exponential { mean_s: 0.6 }, around(610.0, 0.1), piece);
        let deed = Deed::Call(script, Opening::Handshake);
        take_part(install, knobs, &[Laptop, Phone, Television], &[service], 443, deed, When::Once);
    },
};

/// Many names on shared addresses.
pub(super) const CDN: Program = Program {
    kind: "cdn",
    role: Role::Negative,
    about: "a dozen unrelated names share the addresses of one CDN",
    fact: "nearly everybody talks to a few addresses; but under many names, and to download",
    knobs: &[
        SUBSCRIBERS,
        Knob {
            name: "visits",
            default: "6",
            unit: KnobUnit::Count,
            about: "calls an hour of each device, at the busiest",
        },
    ],
    variants: &[],
    install: |knobs, install| {
        let names =
            ["www.krantje", "img.bakkerij", "static.voetbal", "cdn.weerbericht", "www.recepten", "media.omroep"];
        let services: Vec<u32> = (0..12)
            .map(|i| {
                let name = format!("{}{}.example", names[i % names.len()], ["", "-plus"][i / names.len()]);
                install.cx.town.catalogue.add_on_cdn(name)
            })
            .collect();
        let shared = install.cx.town.catalogue.get(services[0]).addresses.clone();
        for service in &services {
            install.cx.town.catalogue.services[*service as usize].addresses.clone_from(&shared);
        }
        let script = rounds(3, Gap::LogNormal { median_s: 0.4, sigma: 1.4 }, around(480.0, 0.5), around(9_000.0, 1.6));
        let when = When::People { per_hour: knobs.number("visits") };
        take_part(install, knobs, &[Phone, Laptop], &services, 443, Deed::Call(script, Opening::Handshake), when);
    },
};

/// Photographs on their way to a cloud.
pub(super) const PHOTO_UPLOAD: Program = Program {
    kind: "photo-upload",
    role: Role::Negative,
    about: "telephones send the photographs of the day to one cloud",
    fact: "many subscribers upload far more than they download to one unregistered party; but when people take pictures, and of all sizes",
    knobs: &[
        SUBSCRIBERS,
        SIZE,
        Knob {
            name: "visits",
            default: "2",
            unit: KnobUnit::Count,
            about: "uploads an hour of each device, at the busiest",
        },
    ],
    variants: &[],
    install: |knobs, install| {
        let service = own_service(install, "up.fotowolk.example", 3);
        let picture = around((knobs.number("bytes") / 3.0).max(1.0), 1.0);
        let script = rounds(3, Gap::LogNormal { median_s: 1.5, sigma: 1.2 }, picture, around(520.0, 0.4));
        let when = When::People { per_hour: knobs.number("visits") };
        take_part(install, knobs, &[Phone], &[service], 443, Deed::Call(script, Opening::Handshake), when);
    },
};

/// Is the world still there?
pub(super) const SITE_CHECK: Program = Program {
    kind: "site-check",
    role: Role::Negative,
    about: "devices ask one site in the clear, by the clock, whether they are connected",
    fact: "nearly all subscribers send one party alike requests at regular times; but as much comes back, and nothing of theirs goes",
    knobs: &[
        SUBSCRIBERS,
        Knob { name: "period", default: "300s", unit: KnobUnit::Seconds, about: "time between two questions" },
    ],
    variants: &[],
    install: |knobs, install| {
        let service = own_service(install, "connect.netcheck.example", 2);
        let when = When::Timer { every_s: knobs.number("period").max(1.0) };
        take_part(install, knobs, &[Phone, Laptop, Television, Thing], &[service], 80, Deed::Check, when);
    },
};

/// Lines that wake telephones.
pub(super) const PUSH_KEEPALIVE: Program = Program {
    kind: "push-keepalive",
    role: Role::Negative,
    about: "telephones hold a line to one push service and say now and then that they are there",
    fact: "many subscribers send one party tiny alike records by the clock, for hours; but each is answered in kind",
    knobs: &[
        SUBSCRIBERS,
        Knob { name: "period", default: "300s", unit: KnobUnit::Seconds, about: "time between two signs of life" },
    ],
    variants: &[],
    install: |knobs, install| {
        let service = own_service(install, "push.berichtdienst.example", 4);
        let every_s = knobs.number("period").max(1.0);
        let mut script =
            rounds(u32::MAX, Gap::Regular { every_s, jitter: 0.03 }, around(31.0, 0.05), around(31.0, 0.4));
        script.first = Gap::Exponential { mean_s: every_s };
        take_part(install, knobs, &[Phone], &[service], 5223, Deed::Call(script, Opening::Midway), When::Standing);
    },
};
