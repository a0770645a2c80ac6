//! What capture points and bad lines do to honest traffic: packets seen twice, packets sent again.

use std::collections::BTreeSet;

use super::knobs::{Knob, KnobUnit};
use super::{Program, Role};
use crate::synth::dice::Dice;
use crate::synth::stage::{Stage, Tap};
use crate::synth::town::Town;
use crate::synth::wire::packet::Plan;
use crate::units::{Address, TimestampNs};

/// Lines that lose a lot.
pub(super) const RETRANSMISSIONS: Program = Program {
    kind: "retransmissions",
    role: Role::Negative,
    about: "homes whose lines lose segments, so that much is sent twice",
    fact: "the same range of a stream passes twice, as in an injection, but with the same bytes",
    knobs: &[
        Knob {
            name: "subscribers",
            default: "0.1",
            unit: KnobUnit::Share,
            about: "share of the homes with such a line",
        },
        Knob { name: "loss", default: "0.03", unit: KnobUnit::Share, about: "share of segments that they lose" },
    ],
    variants: &[],
    install: |knobs, install| {
        let mut dice = install.dice("loss");
        for home in &mut install.cx.town.homes {
            if dice.chance(knobs.number("subscribers")) {
                home.loss = Some(knobs.number("loss"));
            }
        }
    },
};

/// A span port that shows packets on their way in and on their way out.
pub(super) const DUPLICATED_PACKETS: Program = Program {
    kind: "duplicated-packets",
    role: Role::Negative,
    about: "a span port shows the packets of some homes twice, a moment apart",
    fact: "every packet has a twin, as under a mirror, but bare and to the same receiver",
    knobs: &[Knob {
        name: "subscribers",
        default: "0.08",
        unit: KnobUnit::Share,
        about: "share of the homes seen twice",
    }],
    variants: &[],
    install: |knobs, install| {
        let mut dice = install.dice("twins");
        let homes = install.cx.town.homes.iter().filter(|_| dice.chance(knobs.number("subscribers")));
        let subscribers = homes.filter_map(|home| Town::subscriber_of(Address::v4(home.v4))).collect();
        install.taps.push(Box::new(Twins { subscribers, label: install.label, dice }));
    },
};

struct Twins {
    subscribers: BTreeSet<u32>,
    label: u16,
    dice: Dice,
}

impl Tap for Twins {
    fn see(&mut self, at: TimestampNs, plan: &Plan, frame: &[u8], stage: &mut Stage) {
        let of = |address| Town::subscriber_of(address).filter(|subscriber| self.subscribers.contains(subscriber));
        let Some(subscriber) = of(plan.source.address).or(of(plan.destination.address)) else { return };
        stage.tallies[usize::from(self.label)].subscribers.insert(subscriber);
        let at = at.after(self.dice.secs_between(0.000_002, 0.000_04));
        stage.send_twin(at, plan, frame, self.label);
    }
}
