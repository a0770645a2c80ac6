//! Overlays: machines of one owner that talk to each other wrapped on the way: between two racks inside, and to another site.

use super::knobs::{Knob, KnobUnit};
use super::{Install, Program, Role};
use crate::synth::dice::{Dice, secs};
use crate::synth::stage::{Actor, CarrierEnd, Cx, Wake};
use crate::synth::town::DeviceNumber;
use crate::synth::town::dial::{Dial, Naming, Way};
use crate::synth::town::machines::Distance;
use crate::synth::town::script::{Amount, Gap, Script};
use crate::synth::town::stack::LINUX;
use crate::synth::town::tcp::Opening;
use crate::synth::wire::hello::OPENSSL;
use crate::synth::wire::packet::Endpoint;
use crate::synth::wire::wrap::{Outer, Wrapping};
use crate::units::TimestampNs;

const RACKS: [[u8; 2]; 2] = [[250, 10], [250, 11]];
const CLIENT: [u8; 2] = [251, 20];
const SERVER: [u8; 2] = [251, 30];
/// Of the other site: its gateway stands outside, its servers have addresses of the owner's own space.
const GATEWAY: [u8; 2] = [250, 20];
const DESK: [u8; 2] = [251, 40];
const FAR_SERVER: [u8; 2] = [251, 50];

/// The overlay.
pub(super) const VXLAN_OVERLAY: Program = Program {
    kind: "vxlan-overlay",
    role: Role::Negative,
    about: "machines of the town talk to each other through a VXLAN overlay between two racks",
    fact: "addresses of the population inside wrapped packets, as under a mirror, but between insiders and both ways",
    knobs: &[Knob {
        name: "calls",
        default: "120",
        unit: KnobUnit::Count,
        about: "calls an hour between the machines",
    }],
    variants: &[],
    install: |knobs, install| {
        let device = add_machine(install, CLIENT);
        let (service, carried) = add_server(install);
        let dice = install.dice("overlay");
        let label = install.label;
        let per_hour = knobs.number("calls");
        begin(install, Machine { device, service, carried, per_hour, label, dice });
        let [a, b] = RACKS.map(|[c, d]| install.cx.town.machine_at(c, d));
        install.cx.stage.tallies[usize::from(label)].parties.extend([a, b]);
    },
};

/// A GRE tunnel to another site of the same owner, whose gateway is an ordinary address of the wide network.
pub(super) const SITE_OVERLAY: Program = Program {
    kind: "site-overlay",
    role: Role::Negative,
    about: "desks of the network work on servers of the owner's other site, through a GRE tunnel between the two gateways",
    fact: "wrapped packets of inside addresses go to an outsider, more than a mirror sends; but both ways, and seen nowhere else",
    knobs: &[Knob { name: "calls", default: "700", unit: KnobUnit::Count, about: "calls an hour between the sites" }],
    variants: &[],
    install: |knobs, install| {
        let device = add_machine(install, DESK);
        let gateway = install.cx.town.catalogue.add_own("gw.filiaal-noord.example".to_owned(), 1);
        install.note_party(gateway);
        let far = install.cx.town.catalogue.get(gateway);
        let (address, delay) = (far.addresses.first().copied().unwrap_or_default(), far.delay);
        let (ttl, hops) = (255 - far.hops, far.hops);
        install.place(&[address], "NL", 64_592, "Own network, site north");
        let [desk, server, own] = [DESK, FAR_SERVER, GATEWAY].map(|[c, d]| install.cx.town.machine_at(c, d));
        let name = "files.filiaal-noord.example".to_owned();
        let service = install.cx.town.catalogue.add_machine(name, server);
        install.cx.town.catalogue.services[service as usize].delay = delay;
        // Wrapped on the way, the inner packet passes no router of the wide network.
        install.cx.town.catalogue.services[service as usize].hops = u8::from(hops > 0);
        let ends = [own, address].map(|address| Endpoint { address, port: 0 });
        let mut dice = install.dice("site overlay");
        let mut end = |ends, ttl| CarrierEnd {
            inner_of_first: desk,
            outer: Outer { wrapping: Wrapping::Gre, ends, ttl, session: 0, number: 0, id: dice.short() },
        };
        let pair = [end(ends, 255), end([ends[1], ends[0]], ttl)];
        install.cx.stage.carriers.push(pair);
        let carried = install.cx.stage.carriers.len() as u8;
        let (per_hour, label) = (knobs.number("calls"), install.label);
        let dice = install.dice("desk");
        begin(install, Machine { device, service, carried, per_hour, label, dice });
    },
};

/// A machine that calls; it has no people and no router in front of it.
fn add_machine(install: &mut Install, [c, d]: [u8; 2]) -> DeviceNumber {
    let mut dice = install.dice("machine");
    let address = install.cx.town.machine_at(c, d).as_v4().unwrap_or_default();
    let number = install.cx.town.add_machine(address, Distance::NEAR, &LINUX, &OPENSSL, &mut dice, install.cx.stage);
    let home = install.cx.town.device(number).home as usize;
    install.cx.town.homes[home].mss = 1_410;
    number
}

/// The machine that answers, and the tunnel between the two racks.
fn add_server(install: &mut Install) -> (u32, u8) {
    let [client, server] = [CLIENT, SERVER].map(|[c, d]| install.cx.town.machine_at(c, d));
    let [a, b] = RACKS.map(|[c, d]| Endpoint { address: install.cx.town.machine_at(c, d), port: 0 });
    let service = install.cx.town.catalogue.add_machine("store.rack2.town.example".to_owned(), server);
    let outer = |ends| Outer { wrapping: Wrapping::Vxlan, ends, ttl: 63, session: 4_211, number: 0, id: 0 };
    let end = |ends| CarrierEnd { inner_of_first: client, outer: outer(ends) };
    install.cx.stage.carriers.push([end([a, b]), end([b, a])]);
    (service, install.cx.stage.carriers.len() as u8)
}

/// Lets a machine call from some time on.
fn begin(install: &mut Install, mut machine: Machine) {
    let first = install.cx.stage.start.after(machine.dice.secs_exponential(3600.0 / machine.per_hour));
    install.cx.stage.spawn(first, Box::new(machine));
}

struct Machine {
    device: DeviceNumber,
    service: u32,
    carried: u8,
    per_hour: f64,
    label: u16,
    dice: Dice,
}

impl Actor for Machine {
    fn wake(&mut self, now: TimestampNs, cx: &mut Cx) -> Wake {
        let mut script = Script::once(
            Amount::LogNormal { median: 900.0, sigma: 1.0 },
            Amount::LogNormal { median: 3_000.0, sigma: 1.2 },
        );
        script.rounds = 1 + self.dice.below(6) as u32;
        script.wait = Gap::Exponential { mean_s: 0.3 };
        let way = Way::Tls { hello: &OPENSSL, naming: Naming::Address };
        let (device, service, carried) = (self.device, self.service, self.carried);
        let dial =
            Dial { device, service, port: 8443, way, script, opening: Opening::Handshake, label: self.label, carried };
        dial.open(now, &mut self.dice, cx);
        Wake::At(now.after(secs(self.dice.exponential(3600.0 / self.per_hour))))
    }
}
