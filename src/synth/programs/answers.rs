//! Answers that come twice and differ, though nobody forged one: stations that keep nothing of what they sent, and a resolver
//! that turns its list from one answer to the next.

use super::knobs::{Knob, KnobUnit};
use super::{Program, Role};
use crate::synth::dice::{Dice, secs};
use crate::synth::stage::{Actor, Cx, Wake};
use crate::synth::town::dial::{Dial, Way};
use crate::synth::town::homes::DeviceKind::{Laptop, Phone, Television, Thing};
use crate::synth::town::script::{Amount, Script};
use crate::synth::town::tcp::Opening;
use crate::synth::town::{DeviceNumber, Town, stack};
use crate::synth::wire::dns::{self, Answer, Edns};
use crate::synth::wire::packet::{Endpoint, IpId, Plan};
use crate::synth::wire::payload::Source;
use crate::units::{Address, TimestampNs};

/// Small stations behind radio links.
pub(super) const STATIONS: Program = Program {
    kind: "stations",
    role: Role::Negative,
    about: "people ask a small station behind a radio link, in the clear, for the weather; what is lost it makes anew",
    fact: "two versions of one range of a stream, often; but alike save for some digits of a clock, a retransmission apart, \
        from one distance",
    knobs: &[
        Knob { name: "subscribers", default: "0.35", unit: KnobUnit::Share, about: "share of the homes that ask" },
        Knob {
            name: "visits",
            default: "16",
            unit: KnobUnit::Count,
            about: "questions an hour of each home, at the busiest",
        },
        Knob { name: "loss", default: "0.2", unit: KnobUnit::Share, about: "share of segments lost on the radio link" },
        Knob { name: "stations", default: "1", unit: KnobUnit::Count, about: "stations, each at an address" },
    ],
    variants: &[],
    install: |knobs, install| {
        let mut stations = Vec::new();
        for i in 0..knobs.number("stations") as usize {
            let station = install.cx.town.catalogue.add_own(format!("station{i}.weerpaal.example"), 1);
            let service = &mut install.cx.town.catalogue.services[station as usize];
            (service.stack, service.loss, service.rebuilds) = (&stack::SMALL, knobs.number("loss"), true);
            service.delay = secs(service.delay.as_secs_f64() + 0.06);
            install.note_party(station);
            stations.push(station);
        }
        let mut dice = install.dice("stations");
        let per_hour = knobs.number("visits");
        let kinds = [Phone, Laptop, Television, Thing];
        for device in install.cx.town.members(&kinds, knobs.number("subscribers"), &mut dice) {
            let station = *dice.pick(&stations);
            let first = install.cx.town.next_time(install.cx.stage.start, per_hour, &mut dice);
            let asker = Asker { device, station, per_hour, label: install.label, dice: dice.fork() };
            install.cx.stage.spawn(first, Box::new(asker));
        }
    },
};

/// Somebody who wants to know the weather.
struct Asker {
    device: DeviceNumber,
    station: u32,
    per_hour: f64,
    label: u16,
    dice: Dice,
}

impl Actor for Asker {
    fn wake(&mut self, now: TimestampNs, cx: &mut Cx) -> Wake {
        let script = Script::once(Amount::Nothing, Amount::LogNormal { median: 260.0, sigma: 0.2 });
        let way = Way::Http { method: "GET", path: "/now.json", kind: "application/json" };
        let (device, service, opening) = (self.device, self.station, Opening::Handshake);
        let dial = Dial { device, service, port: 80, way, script, opening, label: self.label, carried: 0 };
        dial.open(now, &mut self.dice, cx);
        Wake::At(cx.town.next_time(now, self.per_hour, &mut self.dice))
    }
}

/// Round robin (RFC 1794), and stubs that ask again before the answer is there.
pub(super) const ROUND_ROBIN: Program = Program {
    kind: "round-robin",
    role: Role::Negative,
    about: "a busy name has many addresses, of which each answer holds some; homes whose question waits ask it again",
    fact: "one question, two answers with other addresses, as under a forger; but it was asked twice, and all are the name's",
    knobs: &[
        Knob { name: "subscribers", default: "0.4", unit: KnobUnit::Share, about: "share of the homes that use it" },
        Knob {
            name: "period",
            default: "200s",
            unit: KnobUnit::Seconds,
            about: "time between two questions of a home",
        },
        Knob {
            name: "again",
            default: "0.25",
            unit: KnobUnit::Share,
            about: "share of questions that are asked again",
        },
        Knob { name: "addresses", default: "24", unit: KnobUnit::Count, about: "addresses of the name" },
    ],
    variants: &[],
    install: |knobs, install| {
        let count = knobs.number("addresses") as usize;
        let service = install.cx.town.catalogue.add_own("a.wereldnet-cache.example".to_owned(), count);
        install.note_party(service);
        install.cx.stage.tallies[usize::from(install.label)].parties.insert(Town::resolver().address);
        let mut dice = install.dice("round robin");
        let period_s = knobs.number("period").max(1.0);
        for device in install.cx.town.members(&[Phone, Laptop, Television], knobs.number("subscribers"), &mut dice) {
            let first = install.cx.stage.start.after(dice.secs_between(0.0, period_s));
            let again = knobs.number("again");
            let stub = Stub { device, service, period_s, again, label: install.label, dice: dice.fork() };
            install.cx.stage.spawn(first, Box::new(stub));
        }
    },
};

/// Addresses in one answer.
const IN_AN_ANSWER: usize = 4;

/// A home that asks for the name, and asks again where it has to wait.
struct Stub {
    device: DeviceNumber,
    service: u32,
    period_s: f64,
    again: f64,
    label: u16,
    dice: Dice,
}

impl Stub {
    /// The next few addresses of the list, from a place that moves with every answer.
    fn answer(&mut self, id: u16, edns: Edns, cx: &Cx) -> Vec<u8> {
        let service = cx.town.catalogue.get(self.service);
        let v4: Vec<Address> = service.addresses.iter().copied().filter(Address::is_v4).collect();
        let from = self.dice.index(v4.len().max(1));
        let some: Vec<Address> = v4.iter().cycle().skip(from).take(IN_AN_ANSWER.min(v4.len())).copied().collect();
        let answer = Answer { alias: None, addresses: &some, ttl_s: 1 + self.dice.below(30) as u32 };
        dns::response(id, &service.name, dns::TYPE_A, edns, &answer)
    }
}

impl Actor for Stub {
    fn wake(&mut self, now: TimestampNs, cx: &mut Cx) -> Wake {
        let (id, edns) = (self.dice.short(), if self.dice.chance(0.4) { Edns::Offered } else { Edns::Absent });
        let client = Endpoint {
            address: cx.town.address_of(self.device, false),
            port: cx.town.translate(self.device, 1_024 + self.dice.below(64_000) as u16),
        };
        let usual = Town::usual_resolver();
        let waits = self.dice.chance(self.again);
        // A stub waits a second, or two, before it asks again (RFC 1123 section 6.1.3.3 leaves it to the stub).
        let patience = secs(*self.dice.pick(&[1.0, 1.0, 2.0]));
        let recursion_s =
            if waits { patience.as_secs_f64() + self.dice.between(0.02, 0.4) } else { self.dice.between(0.0003, 0.04) };
        let asked = [Some(now), waits.then(|| now.after(patience))];
        for at in asked.into_iter().flatten() {
            let query = dns::query(id, &cx.town.catalogue.get(self.service).name, dns::TYPE_A, edns);
            let bytes = query.len();
            let ttl = cx.town.ttl_of(self.device);
            let mut plan = Plan::udp(client, usual.end, ttl, Source::bytes(query), bytes);
            plan.id = cx.town.datagram_id(self.device, &mut self.dice);
            plan.label = self.label;
            cx.stage.send(at, plan);
        }
        // Both wait for the same answer from afar; the second comes right behind the first, from the list turned on.
        let mut answered = now.after(secs(2.0 * usual.delay_s + recursion_s));
        for _ in asked.into_iter().flatten() {
            let response = self.answer(id, edns, cx);
            let bytes = response.len();
            let mut plan = Plan::udp(usual.end, client, 64 - usual.hops, Source::bytes(response), bytes);
            plan.id = IpId::Fixed(self.dice.short());
            plan.label = self.label;
            cx.stage.send(answered, plan);
            answered = answered.after(self.dice.secs_between(0.00005, 0.004));
        }
        Wake::At(now.after(self.dice.about(secs(self.period_s), 0.3)))
    }
}
