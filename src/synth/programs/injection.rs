//! `packet-injection`: a man on the side sees requests in the clear and answers in the server's name before the server does.
//!
//! Detectable by: two different payloads for the same bytes of one stream. A TTL that jumps is a sign, not a proof, and can be
//! turned off. Not by: identification (random, as the servers' own), window, options or timestamps, which are copied from what
//! the side man sees; nor by a payload of its own kind, since servers redirect too.

use super::knobs::{Knob, KnobUnit, Knobs};
use super::{Install, Program, Role, Variant};
use crate::detect::finding::Technique;
use crate::synth::dice::{Dice, secs};
use crate::synth::stage::{Actor, Cx, Wake};
use crate::synth::town::catalogue::Kind;
use crate::synth::town::dial::Dial;
use crate::synth::town::homes::DeviceKind;
use crate::synth::town::resolver::{Lies, NameForger};
use crate::synth::town::script::{Amount, Script};
use crate::synth::town::tcp::Connection;
use crate::synth::town::{DeviceNumber, habits, rhythm};
use crate::synth::wire::http;
use crate::synth::wire::packet::{IpId, Piece};
use crate::synth::wire::payload::Source;
use crate::units::{DurationNs, Side, TimestampNs};

/// The operation.
pub(super) const OPERATION: Program = Program {
    kind: "packet-injection",
    role: Role::Operation(Technique::PacketInjection),
    about: "a man on the side answers HTTP requests in the server's name, faster than the server",
    fact: "two different payloads for one range of a stream's bytes; servers never send both",
    knobs: &[
        Knob {
            name: "subscribers",
            default: "0.2",
            unit: KnobUnit::Share,
            about: "share of the homes that are shot at",
        },
        Knob {
            name: "shots",
            default: "0.5",
            unit: KnobUnit::Share,
            about: "share of their requests that are answered",
        },
        Knob {
            name: "visits",
            default: "2",
            unit: KnobUnit::Count,
            about: "requests an hour in the clear that each of them adds",
        },
        Knob {
            name: "ttl",
            default: "differs",
            unit: KnobUnit::Word(&["differs", "equal"]),
            about: "whether the shot's TTL gives another distance away",
        },
        Knob {
            name: "payload",
            default: "redirect",
            unit: KnobUnit::Word(&["redirect", "script"]),
            about: "what the shot holds: a redirection, or a page with a script",
        },
        Knob {
            name: "of",
            default: "answers",
            unit: KnobUnit::Word(&["answers", "names"]),
            about: "shots at requests for pages, or at questions for names",
        },
    ],
    variants: &[
        Variant { name: "slow", settings: "subscribers=0.08,shots=0.15", about: "few homes, few shots" },
        Variant {
            name: "evasive",
            settings: "ttl=equal,payload=script",
            about: "from the server's own distance, without a redirection",
        },
        Variant { name: "names", settings: "of=names,shots=0.08", about: "forged answers to questions for some names" },
        Variant {
            name: "names-evasive",
            settings: "of=names,shots=0.04,ttl=equal",
            about: "the same for few names, from the resolver's own distance",
        },
    ],
    install: |knobs, install| {
        if knobs.word("of") == "names" {
            return forge_names(knobs, install);
        }
        let lure = install.cx.town.catalogue.add_own("assets.brightedge-net.example".to_owned(), 1);
        let mut dice = install.dice("injection");
        let kinds = [DeviceKind::Laptop, DeviceKind::Phone];
        let victims = install.cx.town.members(&kinds, knobs.number("subscribers"), &mut dice);
        for device in &victims {
            let per_hour = knobs.number("visits");
            let visitor = Visitor { device: *device, per_hour, dice: dice.fork() };
            let first = rhythm::next(install.cx.stage.start, per_hour, &mut dice);
            install.cx.stage.spawn(first, Box::new(visitor));
        }
        let mut homes: Vec<u32> = victims.iter().map(|device| install.cx.town.device(*device).home).collect();
        homes.sort_unstable();
        // He stands as far away as servers do, and begins to count where they do.
        let like = install.cx.town.catalogue.draw(Kind::PlainWeb, &mut dice);
        let like = install.cx.town.catalogue.get(like);
        let own_ttl = like.stack.ttl - like.hops;
        install.cx.town.injector = Some(Injector {
            homes,
            shots: knobs.number("shots"),
            ttl: (knobs.word("ttl") == "differs").then_some(own_ttl),
            redirects: knobs.word("payload") == "redirect",
            lure,
            label: install.label,
            dice: dice.fork(),
        });
    },
};

/// Somebody who answers questions for names before the resolver does.
fn forge_names(knobs: &Knobs, install: &mut Install) {
    let lure = install.cx.town.catalogue.add_own("assets.brightedge-net.example".to_owned(), 1);
    let to = install.cx.town.catalogue.get(lure).addresses.first().copied().unwrap_or_default();
    let mut dice = install.dice("injection");
    let kinds = [DeviceKind::Laptop, DeviceKind::Phone];
    let victims = install.cx.town.members(&kinds, knobs.number("subscribers"), &mut dice);
    let mut homes: Vec<u32> = victims.iter().map(|device| install.cx.town.device(*device).home).collect();
    homes.sort_unstable();
    let hops = 4 + dice.below(4) as u8;
    install.cx.town.name_forger = Some(NameForger {
        homes,
        lies: Lies { share: knobs.number("shots"), to, salt: dice.word() },
        ttl: (knobs.word("ttl") == "differs").then_some(64 - hops),
        label: install.label,
        dice: dice.fork(),
    });
}

/// Somebody who still visits sites in the clear.
struct Visitor {
    device: DeviceNumber,
    per_hour: f64,
    dice: Dice,
}

impl Actor for Visitor {
    fn wake(&mut self, now: TimestampNs, cx: &mut Cx) -> Wake {
        let service = cx.town.catalogue.draw(Kind::PlainWeb, &mut self.dice);
        let down = Amount::LogNormal { median: 6_500.0, sigma: 1.3 };
        habits::plain(self.device, service, "/index.html", "text/html", down, now, &mut self.dice, cx);
        Wake::At(rhythm::next(now, self.per_hour, &mut self.dice))
    }
}

/// The man on the side.
pub(crate) struct Injector {
    homes: Vec<u32>,
    shots: f64,
    ttl: Option<u8>,
    redirects: bool,
    lure: u32,
    label: u16,
    dice: Dice,
}

impl Injector {
    /// Sees a request pass at `seen` and knows when the server's answer of `answer_bytes` would pass: shoots or lets it be.
    pub(crate) fn answer(
        &mut self,
        connection: &mut Connection,
        device: DeviceNumber,
        [seen, real_at]: [TimestampNs; 2],
        answer_bytes: u64,
        cx: &mut Cx,
    ) {
        let home = cx.town.device(device).home;
        if self.homes.binary_search(&home).is_err() || !self.dice.chance(self.shots) {
            return;
        }
        let payload = self.payload(cx);
        let bytes = payload.len() as u64;
        // A shot that is longer than the answer would leave bytes that the server never sends: clients then hang.
        if bytes >= answer_bytes.min(1_300) {
            return;
        }
        let race = real_at.since(seen);
        let at = seen.after(crate::synth::dice::scaled(race, self.dice.between(0.15, 0.75)));
        let piece = Piece { source: Source::bytes(payload), from: 0, length: bytes as u16 };
        let mut plan = connection.forged(Side::Resp, piece);
        plan.id = IpId::Fixed(self.dice.short());
        plan.ttl = self.ttl.unwrap_or(plan.ttl);
        plan.label = self.label;
        let server = plan.source.address;
        cx.stage.tallies[usize::from(self.label)].parties.insert(server);
        cx.stage.send(at, plan);
        let turn = DurationNs(2 * cx.town.home_of(device).delay.0);
        connection.acknowledge_forged(at.after(turn).after(self.dice.secs_between(0.00002, 0.0003)), bytes as u32);
        if self.redirects {
            self.follow(device, at.after(turn).after(secs(0.02)), cx);
        }
    }

    fn payload(&mut self, cx: &Cx) -> Vec<u8> {
        let lure = &cx.town.catalogue.get(self.lure).name;
        let token = self.dice.int();
        match self.redirects {
            true => http::redirect(&format!("https://{lure}/l/{token:08x}")),
            false => {
                let body = format!("<html><script src=\"https://{lure}/{token:08x}.js\"></script></html>");
                let mut head = http::response("200 OK", "nginx", "text/html", body.len() as u64);
                head.extend(body.as_bytes());
                head
            }
        }
    }

    /// The browser goes where it was sent.
    fn follow(&mut self, device: DeviceNumber, at: TimestampNs, cx: &mut Cx) {
        let up = Amount::LogNormal { median: 520.0, sigma: 0.2 };
        let script = Script::once(up, Amount::LogNormal { median: 38_000.0, sigma: 0.3 });
        Dial::browser(device, self.lure, script, cx.town).open(at, &mut self.dice, cx);
    }
}
