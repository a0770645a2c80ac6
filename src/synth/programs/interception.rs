//! `tls-interception`: somebody in the path of a share of the homes opens their TLS and answers in the servers' names.
//!
//! Detectable by: one issuer, and often one key, for names and networks that have nothing in common, where other homes see
//! others. Not by: addresses, distances, hellos of clients or times, which are those of the calls as they would be.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::knobs::{Knob, KnobUnit};
use super::{Program, Role, Variant};
use crate::detect::finding::Technique;
use crate::synth::town::homes::DeviceKind;
use crate::synth::town::intercept::Interceptor;
use crate::synth::wire::certificate::Issuer;
use crate::synth::wire::tls::{ServerStack, ServerVersion};

/// The operation.
pub(super) const OPERATION: Program = Program {
    kind: "tls-interception",
    role: Role::Operation(Technique::TlsInterception),
    about: "somebody in the path of a share of the homes opens their TLS connections and shows certificates of his own",
    fact: "one issuer and key for unrelated names in unrelated networks, where other subscribers see the servers' own",
    knobs: &[
        Knob { name: "subscribers", default: "0.15", unit: KnobUnit::Share, about: "share of the homes in his path" },
        Knob { name: "services", default: "0.9", unit: KnobUnit::Share, about: "share of the services that he opens" },
        Knob {
            name: "keys",
            default: "one",
            unit: KnobUnit::Word(&["one", "each"]),
            about: "one key for all certificates, or one for each",
        },
    ],
    variants: &[
        Variant { name: "slow", settings: "subscribers=0.05,services=0.3", about: "few homes, few services" },
        Variant { name: "evasive", settings: "keys=each,services=0.5", about: "a key of its own for each certificate" },
    ],
    install: |knobs, install| {
        let mut dice = install.dice("interception");
        let kinds = [DeviceKind::Phone, DeviceKind::Laptop, DeviceKind::Television, DeviceKind::Thing];
        let devices = install.cx.town.members(&kinds, knobs.number("subscribers"), &mut dice);
        let mut homes: Vec<u32> = devices.iter().map(|device| install.cx.town.device(*device).home).collect();
        homes.sort_unstable();
        homes.dedup();
        let issuer = Issuer::new("NL", "Netbeheer Veilig", "Netbeheer Veilig Web CA", &mut dice);
        // The same dice for each leaf give the same key.
        let mint = dice.fork();
        let suite_12 = *dice.pick(&[0xc02b, 0xc02c]);
        let mut shown = BTreeMap::new();
        for (number, service) in install.cx.town.catalogue.services.iter().enumerate() {
            if !dice.chance(knobs.number("services")) {
                continue;
            }
            let mut leaf = if knobs.word("keys") == "one" { mint.clone() } else { dice.fork() };
            let chain = Rc::new(issuer.chain(std::slice::from_ref(&service.name), &mut leaf));
            let stack =
                ServerStack { version: ServerVersion::Tls12, hybrid: false, suite_12, chain, ..service.tls.clone() };
            shown.insert(number as u32, stack);
        }
        let label = install.label;
        install.cx.town.interceptor = Some(Interceptor { homes, shown, label });
    },
};
