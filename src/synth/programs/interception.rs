//! `tls-interception`: somebody in the path of a share of the homes opens their TLS and answers in the servers' names.
//!
//! Detectable by: one issuer, and often one key, for names and networks that have nothing in common, where other homes see
//! others; where he speaks TLS 1.3, which seals both, by one hello in place of the servers' own. Not by: addresses,
//! distances, hellos of clients or times, which are those of the calls as they would be.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::knobs::{Knob, KnobUnit};
use super::{Program, Role, Variant, innocents};
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
        Knob {
            name: "speaks",
            default: "tls12",
            unit: KnobUnit::Word(&["tls12", "tls13"]),
            about: "the version that he answers with where the client knows it",
        },
    ],
    variants: &[
        Variant { name: "slow", settings: "subscribers=0.05,services=0.3", about: "few homes, few services" },
        Variant { name: "evasive", settings: "keys=each,services=0.5", about: "a key of its own for each certificate" },
        Variant {
            name: "tls13",
            settings: "speaks=tls13,keys=each,subscribers=0.35",
            about: "TLS 1.3 towards a third of the homes, which seals his certificates",
        },
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
        let version = match knobs.word("speaks") {
            "tls13" => ServerVersion::Tls13,
            _ => ServerVersion::Tls12,
        };
        let mut shown = BTreeMap::new();
        for (number, service) in install.cx.town.catalogue.services.iter().enumerate() {
            if !dice.chance(knobs.number("services")) {
                continue;
            }
            let mut leaf = if knobs.word("keys") == "one" { mint.clone() } else { dice.fork() };
            let chain = Rc::new(issuer.chain(std::slice::from_ref(&service.name), &mut leaf));
            // One library, one taste: OpenSSL's own, which some of the servers have too.
            let stack = ServerStack { version, hybrid: false, suite_13: 0x1302, suite_12, chain };
            shown.insert(number as u32, stack);
        }
        let label = install.label;
        install.cx.town.interceptor = Some(Interceptor { homes, shown, label });
    },
};

/// Names that a CDN's own certificates name.
const CDN_NAMES: usize = 180;

/// A CDN that mints the certificates of all its customers itself.
pub(super) const CDN_ISSUER: Program = Program {
    kind: "cdn-issuer",
    role: Role::Negative,
    about: "a CDN mints certificates for all names that it serves, and answers for them from its own addresses",
    fact: "one issuer, one key and one server for very many unrelated names; but on the CDN's own prefixes, and the same for everybody",
    knobs: &[
        Knob { name: "subscribers", default: "0.5", unit: KnobUnit::Share, about: "share of the homes that visit" },
        Knob { name: "visits", default: "10", unit: KnobUnit::Count, about: "visits an hour of each, at the busiest" },
    ],
    variants: &[],
    install: |knobs, install| {
        let mut dice = install.dice("cdn issuer");
        let issuer = Issuer::new("US", "Kastanet Inc", "Kastanet Edge CA 4", &mut dice);
        let mint = dice.fork();
        let shared = install.cx.town.catalogue.add_on_cdn("edge.kastanet.example".to_owned());
        let shared = install.cx.town.catalogue.get(shared).addresses.clone();
        let words = ["bakker", "fiets", "school", "kapper", "museum", "camping", "drukker", "tuin", "klus", "zwembad"];
        let mut services = Vec::with_capacity(CDN_NAMES);
        for i in 0..CDN_NAMES {
            let name = format!("www.{}{}.example", words[i % words.len()], 1 + i / words.len());
            let number = install.cx.town.catalogue.add_on_cdn(name.clone());
            let service = &mut install.cx.town.catalogue.services[number as usize];
            service.addresses.clone_from(&shared);
            service.tls.chain = Rc::new(issuer.chain(&[name], &mut mint.clone()));
            // Half of its customers have not turned the new version on.
            let new = dice.chance(0.5);
            service.tls.version = if new { ServerVersion::Tls13 } else { ServerVersion::Tls12 };
            services.push(number);
        }
        services.iter().for_each(|service| install.note_party(*service));
        innocents::visit(install, knobs, &services);
    },
};
