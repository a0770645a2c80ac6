//! A VXLAN overlay between two racks of the town itself: machines inside talk to machines inside, wrapped on the way.

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
        let device = add_machine(install);
        let (service, carried) = add_server(install);
        let dice = install.dice("overlay");
        let label = install.label;
        let per_hour = knobs.number("calls");
        let machine = Machine { device, service, carried, per_hour, label, dice };
        let start = install.cx.stage.start;
        install.cx.stage.spawn(start, Box::new(machine));
        let [a, b] = RACKS.map(|[c, d]| install.cx.town.machine_at(c, d));
        install.cx.stage.tallies[usize::from(label)].parties.extend([a, b]);
    },
};

/// A machine that calls; it has no people and no router in front of it.
fn add_machine(install: &mut Install) -> DeviceNumber {
    let mut dice = install.dice("machine");
    let address = install.cx.town.machine_at(CLIENT[0], CLIENT[1]).as_v4().unwrap_or_default();
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
