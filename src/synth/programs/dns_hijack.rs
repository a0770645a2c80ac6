//! `dns-hijack`, and what looks like it: homes whose router asks a resolver that is not theirs.
//!
//! Detectable by: subscribers who asked one resolver turn to another, all at once and for good; names that this one leads
//! elsewhere than the town's does. Not by: messages, ports, TTLs or times, which are those of every look-up (`town::lookup`).

use std::collections::BTreeMap;

use super::knobs::{Knob, KnobUnit, Knobs};
use super::{Install, Program, Role, Variant};
use crate::detect::finding::Technique;
use crate::synth::dice::scaled;
use crate::synth::town::homes::DeviceKind;
use crate::synth::town::resolver::{Lies, Reach, Resolver, Turned};

const KINDS: [DeviceKind; 5] =
    [DeviceKind::Phone, DeviceKind::Laptop, DeviceKind::Television, DeviceKind::Console, DeviceKind::Thing];

/// The operation.
pub(super) const OPERATION: Program = Program {
    kind: "dns-hijack",
    role: Role::Operation(Technique::DnsHijack),
    about: "the routers of a share of the homes are set to a stranger's resolver, which leads some names elsewhere",
    fact: "homes turn from their resolver to one that nobody chose and do not turn back; it contradicts theirs",
    knobs: &[
        Knob {
            name: "subscribers",
            default: "0.12",
            unit: KnobUnit::Share,
            about: "share of the homes that are turned",
        },
        Knob {
            name: "lies",
            default: "0.06",
            unit: KnobUnit::Share,
            about: "share of the services that are led elsewhere; 0 only listens",
        },
        Knob {
            name: "onset",
            default: "midway",
            unit: KnobUnit::Word(&["midway", "creeping", "before"]),
            about: "all within minutes, one after the other over the capture, or before it began",
        },
        Knob { name: "resolvers", default: "1", unit: KnobUnit::Count, about: "resolvers among which they are spread" },
    ],
    variants: &[
        Variant {
            name: "slow",
            settings: "subscribers=0.08,onset=creeping,lies=0.03",
            about: "a home now and then, over the whole capture; few names are led elsewhere",
        },
        Variant {
            name: "evasive",
            settings: "subscribers=0.12,lies=0,resolvers=2",
            about: "every answer is true: it only listens; two resolvers share the homes",
        },
    ],
    install: |knobs, install| {
        let lies = knobs.number("lies");
        let count = knobs.number("resolvers") as usize;
        turn(knobs, install, count, (lies > 0.0).then_some(lies), Reach::Router);
    },
};

/// People who chose their resolver themselves.
pub(super) const CHOSEN_RESOLVERS: Program = Program {
    kind: "chosen-resolvers",
    role: Role::Negative,
    about: "in some homes somebody has set another resolver on his own devices, long ago; there are several to choose from",
    fact: "subscribers ask resolvers that the policy does not list; but few each, since ever, and the rest of the home as before",
    knobs: &[
        Knob {
            name: "subscribers",
            default: "0.08",
            unit: KnobUnit::Share,
            about: "share of the homes with such a device",
        },
        Knob { name: "resolvers", default: "4", unit: KnobUnit::Count, about: "resolvers among which they chose" },
    ],
    variants: &[],
    install: |knobs, install| turn(knobs, install, knobs.number("resolvers") as usize, None, Reach::Devices),
};

/// Sets a share of the homes to other resolvers.
fn turn(knobs: &Knobs, install: &mut Install, resolvers: usize, lies: Option<f64>, reach: Reach) {
    let mut dice = install.dice("resolvers");
    let (start, end) = (install.cx.stage.start, install.cx.stage.end);
    let lasts = end.since(start);
    let onset = if reach == Reach::Router { knobs.word("onset") } else { "before" };
    let devices = install.cx.town.members(&KINDS, knobs.number("subscribers"), &mut dice);
    let mut homes: Vec<u32> = devices.iter().map(|device| install.cx.town.device(*device).home).collect();
    homes.sort_unstable();
    let resolvers = resolvers.max(1);
    for number in 0..resolvers {
        let name = format!("ns{number}.{}.example", if lies.is_some() { "snelnaam" } else { "naamwijzer" });
        let service = install.cx.town.catalogue.add_own(name, 1);
        let lure = lies.map(|share| {
            let lure = install.cx.town.catalogue.add_own("portaal.snelnaam.example".to_owned(), 1);
            install.note_party(lure);
            let to = install.cx.town.catalogue.get(lure).addresses.first().copied().unwrap_or_default();
            Lies { share, to, salt: dice.word() }
        });
        install.note_party(service);
        let address = install.cx.town.catalogue.get(service).addresses.first().copied().unwrap_or_default();
        let mut own = BTreeMap::new();
        for home in homes.iter().skip(number).step_by(resolvers) {
            let since = match onset {
                "before" => start,
                "creeping" => start.after(scaled(lasts, dice.between(0.15, 0.85))),
                _ => start.after(scaled(lasts, 0.35)).after(dice.secs_between(0.0, 90.0)),
            };
            own.insert(*home, (since, reach));
        }
        let resolver = Resolver::at(address, &mut dice);
        install.cx.town.turned.push(Turned { homes: own, resolver, lies: lure, label: install.label });
    }
}
