//! `cross-border-transfer`: the population's data goes in bulk to a country that the policy does not allow; and data that goes
//! to one that it does.
//!
//! Detectable by: where the receiver's addresses are (a database beside the capture says so), and how much goes there. Not by:
//! stack, port, name or time; photographs and backups that stay in the country go the same way through the same code.

use super::knobs::{Knob, KnobUnit};
use super::{Install, Program, Role, Variant};
use crate::detect::finding::Technique;
use crate::synth::dice::{Dice, secs};
use crate::synth::stage::{Actor, Cx, Wake};
use crate::synth::town::DeviceNumber;
use crate::synth::town::dial::Naming;
use crate::synth::town::habits::by_program;
use crate::synth::town::homes::DeviceKind::{Laptop, Phone};
use crate::synth::town::script::{Amount, Gap, Script};
use crate::units::TimestampNs;

const SUBSCRIBERS: Knob =
    Knob { name: "subscribers", default: "0.1", unit: KnobUnit::Share, about: "share of the homes that take part" };
const BYTES: Knob = Knob {
    name: "bytes",
    default: "12MiB",
    unit: KnobUnit::Bytes,
    about: "plain bytes that all of them send in an hour",
};
const EVERY: Knob =
    Knob { name: "every", default: "180s", unit: KnobUnit::Seconds, about: "time between two transfers of a home" };
/// Where the worlds' own services stand: their use is no transfer of the operation.
const ALLOWED_COUNTRIES: &str = r#""NL", "DE", "BE", "FR", "GB", "IE", "US", "SG", "BR", "IN", "JP""#;
/// Seconds of a day.
const DAY_S: f64 = 86_400.0;

/// The operation.
pub(super) const OPERATION: Program = Program {
    kind: "cross-border-transfer",
    role: Role::Operation(Technique::CrossBorderTransfer),
    about: "programs on many devices send the population's data to a country that the policy does not allow",
    fact: "more bytes a day to addresses in a country than the policy's rule bears",
    knobs: &[
        SUBSCRIBERS,
        BYTES,
        EVERY,
        Knob { name: "addresses", default: "2", unit: KnobUnit::Count, about: "addresses of the receiver" },
        Knob {
            name: "country",
            default: "CN",
            unit: KnobUnit::Word(&["CN", "RU", "TR", "ZA"]),
            about: "where the receiver is",
        },
    ],
    variants: &[
        Variant {
            name: "slow",
            settings: "bytes=3MiB,every=900s",
            about: "a quarter as much, every quarter of an hour",
        },
        Variant {
            name: "evasive",
            settings: "subscribers=0.3,bytes=6MiB,every=400s",
            about: "half as much, from three times as many homes",
        },
        Variant { name: "spread", settings: "addresses=40", about: "over 40 addresses of one system" },
    ],
    install: |knobs, install| {
        let country = knobs.word("country");
        // Half of what it sends in a day at that pace: what is slow must still pass the rule.
        let hours = install.cx.stage.end.since(install.cx.stage.start).as_secs_f64() / 3_600.0;
        let day_bytes = knobs.number("bytes") * hours.clamp(1.0, DAY_S / 3_600.0) / 2.0;
        let name = format!("ingest{}.overseas-data.example", install.label);
        let addresses = knobs.number("addresses") as usize;
        let each = knobs.number("bytes") * knobs.number("every") / 3_600.0;
        move_data(install, name, addresses, knobs.number("subscribers"), each, knobs.number("every"), Some(country));
        rule(install, day_bytes);
    },
};

/// The same within the law.
pub(super) const ALLOWED: Program = Program {
    kind: "allowed-transfer",
    role: Role::Negative,
    about: "programs on many devices send data to a country that the policy allows",
    fact: "as many bytes as a forbidden transfer, by the same programs, to a country that the rule names",
    knobs: &[SUBSCRIBERS, BYTES, EVERY],
    variants: &[],
    install: |knobs, install| {
        let name = format!("opslag{}.nabij.example", install.label);
        let each = knobs.number("bytes") * knobs.number("every") / 3_600.0;
        move_data(install, name, 2, knobs.number("subscribers"), each, knobs.number("every"), Some("DE"));
        rule(install, 8.0 * 1_048_576.0);
    },
};

/// A rule that bears so many bytes a day. The town's own services stand in many countries, and people use them: the rule
/// bears what people's own use comes to, and never less than what CONTRACT.md's example would call small.
fn rule(install: &mut Install, day_bytes: f64) {
    if install.cx.town.policy_more.iter().any(|table| table.contains("[[transfer]]")) {
        return;
    }
    install.policy(&format!(
        "[[transfer]]\nfrom = \"NL\"\nallow = [{ALLOWED_COUNTRIES}]\nmin_bytes_per_day = \"{} KiB\"",
        (day_bytes / 1024.0).ceil().max(1.0) as u64
    ));
}

/// `each` is what all homes together send in one turn.
fn move_data(
    install: &mut Install,
    name: String,
    addresses: usize,
    share: f64,
    each: f64,
    every_s: f64,
    country: Option<&str>,
) {
    let service = install.cx.town.catalogue.add_own(name, addresses);
    install.note_party(service);
    let all = install.cx.town.catalogue.get(service).addresses.clone();
    if let Some(country) = country {
        let asn = 64_600 + u32::from(install.label);
        install.place(&all, country, asn, "Overseas Data Holding");
    }
    let mut dice = install.dice("transfer");
    let members = install.cx.town.members(&[Laptop, Phone], share, &mut dice);
    let bytes = each / members.len().max(1) as f64;
    let start = install.cx.stage.start;
    for device in members {
        let mut own = dice.fork();
        let first = start.after(own.secs_between(0.0, every_s));
        let bytes = bytes * own.lognormal(0.7, 0.9);
        let sender = Sender { device, service, bytes, every_s, label: install.label, dice: own };
        install.cx.stage.spawn(first, Box::new(sender));
    }
}

struct Sender {
    device: DeviceNumber,
    service: u32,
    bytes: f64,
    every_s: f64,
    label: u16,
    dice: Dice,
}

impl Actor for Sender {
    fn wake(&mut self, now: TimestampNs, cx: &mut Cx) -> Wake {
        // Whatever people save, when they save it: photographs, documents, drafts.
        let script = Script {
            rounds: 1 + self.dice.below(5) as u32,
            wait: Gap::Exponential { mean_s: 0.4 },
            ..Script::once(
                Amount::LogNormal { median: (self.bytes / 6.5).max(1.0), sigma: 1.5 },
                Amount::LogNormal { median: 320.0, sigma: 0.3 },
            )
        };
        let mut dial = by_program(self.device, self.service, script, Naming::Name, cx);
        dial.label = self.label;
        dial.open(now, &mut self.dice, cx);
        Wake::At(now.after(secs(self.dice.exponential(self.every_s))))
    }
}
