//! Programs: operations, and the innocent traffic that resembles them. One file a family, one register.
//! In: a kind and its knobs. Out: actors and taps in the world, and what the labels and the policy will say of them.

pub(crate) mod answers;
pub(crate) mod beaconing;
pub(crate) mod copies;
pub(crate) mod dns_hijack;
pub(crate) mod dns_tunnel;
pub(crate) mod exfiltration;
pub(crate) mod fan_in;
pub(crate) mod floods;
pub(crate) mod injection;
pub(crate) mod innocents;
pub(crate) mod inside;
pub(crate) mod interception;
pub(crate) mod knobs;
pub(crate) mod mirroring;
pub(crate) mod overlay;
pub(crate) mod peers;
pub(crate) mod polling;
pub(crate) mod scraping;
pub(crate) mod shadow;
pub(crate) mod tap;
pub(crate) mod transfer;

use knobs::{Knob, Knobs};

use super::labels::Registered;
use super::places::Placed;
use super::stage::{Cx, Tap};
use crate::detect::finding::Technique;
use crate::units::Address;

/// What a program is to a detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// To be found, as this technique.
    Operation(Technique),
    /// Not to be found.
    Negative,
}

/// One kind of traffic that `synth` can add to a town.
pub struct Program {
    /// Its name on the command line.
    pub kind: &'static str,
    /// Operation or innocent.
    pub role: Role,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// For an operation: the physical fact that makes it detectable. For an innocent one: why it is hard.
    pub fact: &'static str,
    /// What can be turned.
    pub knobs: &'static [Knob],
    /// Ways to run it that have a name, beside the standard one.
    pub variants: &'static [Variant],
    pub(crate) install: fn(&Knobs, &mut Install),
}

/// A way to run a program that has a name: `KIND:variant=NAME`; further settings may follow and win.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// Its name: `slow`, `evasive`, `spread` …
    pub name: &'static str,
    /// Its settings, as they would be written.
    pub settings: &'static str,
    /// What makes it harder.
    pub about: &'static str,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").field("kind", &self.kind).field("role", &self.role).finish_non_exhaustive()
    }
}

/// Where a program puts itself.
pub(crate) struct Install<'a, 'b> {
    pub(crate) cx: &'a mut Cx<'b>,
    pub(crate) taps: &'a mut Vec<Box<dyn Tap>>,
    pub(crate) registered: &'a mut Vec<Registered>,
    /// Its tally, and the label of its packets.
    pub(crate) label: u16,
}

impl Install<'_, '_> {
    pub(crate) fn dice(&self, purpose: &str) -> super::dice::Dice {
        self.cx.town.seeds.dice(purpose, u64::from(self.label))
    }

    /// Says where addresses are: country (ISO 3166-1), autonomous system and whose it is. A database of places then stands
    /// beside the capture (`NAME.mmdb`, named in the labels), which also knows every other service of the world.
    pub(crate) fn place(&mut self, addresses: &[Address], country: &str, asn: u32, org: &str) {
        let bits = |address: &Address| if address.is_v4() { 32 } else { 128 };
        let placed = addresses.iter().map(|address| Placed::new(*address, bits(address), country, asn, org));
        self.cx.town.places.extend(placed);
    }

    /// Adds a whole TOML table to the policy, such as a `[[transfer]]` or an `[[authorised]]` of its own kind.
    pub(crate) fn policy(&mut self, table: &str) {
        self.cx.town.policy_more.push(table.to_owned());
    }

    /// Notes who is on the far side.
    pub(crate) fn note_party(&mut self, service: u32) {
        let addresses = self.cx.town.catalogue.get(service).addresses.clone();
        self.cx.stage.tallies[usize::from(self.label)].parties.extend(addresses);
    }
}

/// All of them: operations first, then innocents, in the order in which `--list` prints them.
pub const PROGRAMS: &[Program] = &[
    fan_in::OPERATION,
    shadow::OPERATION,
    exfiltration::OPERATION,
    scraping::OPERATION,
    mirroring::OPERATION,
    tap::OPERATION,
    injection::OPERATION,
    interception::OPERATION,
    dns_hijack::OPERATION,
    dns_tunnel::OPERATION,
    transfer::OPERATION,
    beaconing::OPERATION,
    polling::OPERATION,
    fan_in::TELEMETRY,
    polling::REMOTE_MANAGEMENT,
    shadow::PAGE_COUNTER,
    beaconing::UPDATE_CHECK,
    beaconing::THINGS_CLOUD,
    innocents::ANALYTICS,
    innocents::BACKUP,
    innocents::VIDEO_CALL,
    innocents::NTP,
    innocents::UPDATES,
    innocents::CDN,
    innocents::PUSH_KEEPALIVE,
    innocents::PHOTO_UPLOAD,
    innocents::SITE_CHECK,
    innocents::LAPSED_ENTRY,
    interception::CDN_ISSUER,
    answers::STATIONS,
    answers::ROUND_ROBIN,
    floods::DDOS,
    floods::SCAN,
    dns_hijack::CHOSEN_RESOLVERS,
    dns_tunnel::NAME_LISTS,
    dns_tunnel::LONG_NAMES,
    copies::RETRANSMISSIONS,
    copies::DUPLICATED_PACKETS,
    overlay::VXLAN_OVERLAY,
    overlay::SITE_OVERLAY,
    inside::FLOW_EXPORT_INSIDE,
    inside::SITE_TUNNEL,
    peers::PEER_TO_PEER,
    scraping::PORTAL,
    scraping::MONITOR,
    scraping::CRAWLER,
    tap::BRANCH_TUNNEL,
    tap::OPAQUE_UPLOAD,
    transfer::ALLOWED,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_register_is_in_order() {
        for (i, program) in PROGRAMS.iter().enumerate() {
            assert!(PROGRAMS[i + 1..].iter().all(|other| other.kind != program.kind), "{} stands twice", program.kind);
            assert!(!program.about.is_empty() && program.fact.len() > 20, "{} says too little", program.kind);
            Knobs::parse(program, "").unwrap_or_else(|e| panic!("{}: a default is wrong: {e}", program.kind));
            for variant in program.variants {
                let text = format!("variant={}", variant.name);
                let knobs = Knobs::parse(program, &text).unwrap_or_else(|e| panic!("{}: {text}: {e}", program.kind));
                assert_eq!(knobs.variant(), Some(variant.name));
                assert!(!variant.about.is_empty() && !variant.settings.is_empty(), "{} {text}", program.kind);
            }
        }
    }
}
