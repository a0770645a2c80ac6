//! `dns-tunnel`: a program on a few devices carries data out in the names that it asks for, and takes orders from the answers.
//!
//! Detectable by: names that carry many bytes below one domain, each asked once and by one. Not by: the resolver, ports, TTLs,
//! EDNS or message ids, which are those of the home's other look-ups; nor by an alphabet, which a knob turns.

use super::knobs::{Knob, KnobUnit, Knobs};
use super::{Install, Program, Role, Variant};
use crate::detect::finding::Technique;
use crate::synth::dice::{Dice, secs};
use crate::synth::stage::{Actor, Cx, Wake};
use crate::synth::town::homes::DeviceKind;
use crate::synth::town::resolver::Resolver;
use crate::synth::town::{DeviceNumber, Town};
use crate::synth::wire::dns;
use crate::units::TimestampNs;

/// The operation.
pub(super) const OPERATION: Program = Program {
    kind: "dns-tunnel",
    role: Role::Operation(Technique::DnsTunnel),
    about: "a program on a few devices carries data out in the names that it asks for",
    fact: "distinct names that carry many bytes below one domain, each asked once; names that lead somewhere repeat",
    knobs: &[
        Knob {
            name: "subscribers",
            default: "0.01",
            unit: KnobUnit::Share,
            about: "share of the homes that it runs in",
        },
        Knob { name: "period", default: "5s", unit: KnobUnit::Seconds, about: "time between two names" },
        Knob { name: "jitter", default: "0.6", unit: KnobUnit::Share, about: "how far a period may stray" },
        Knob { name: "label", default: "70B", unit: KnobUnit::Bytes, about: "bytes in the labels of a name" },
        Knob { name: "domains", default: "1", unit: KnobUnit::Count, about: "domains that it goes round" },
        Knob {
            name: "type",
            default: "TXT",
            unit: KnobUnit::Word(&["A", "TXT", "NULL", "CNAME"]),
            about: "query type: how much comes back",
        },
        Knob {
            name: "alphabet",
            default: "base32",
            unit: KnobUnit::Word(&["base32", "hex", "words"]),
            about: "how the data is written",
        },
        Knob {
            name: "through",
            default: "resolver",
            unit: KnobUnit::Word(&["resolver", "server"]),
            about: "through the home's resolver, or straight to a server of its own",
        },
    ],
    variants: &[
        Variant {
            name: "slow",
            settings: "period=40s,label=44B,type=A",
            about: "a name every forty seconds, no answer data",
        },
        Variant {
            name: "evasive",
            settings: "period=25s,label=24B,type=A,domains=4,alphabet=words",
            about: "short names of words below four domains in turn",
        },
        Variant { name: "direct", settings: "through=server,type=NULL", about: "straight to a server on port 53" },
    ],
    install: |knobs, install| {
        let mut dice = install.dice("tunnel");
        let own = install.cx.town.catalogue.add_own("ns1.verzendnet.example".to_owned(), 1);
        let address = install.cx.town.catalogue.get(own).addresses.first().copied().unwrap_or_default();
        let is_direct = knobs.word("through") == "server";
        let resolver = if is_direct { Resolver::at(address, &mut dice) } else { Town::usual_resolver() };
        install.cx.stage.tallies[usize::from(install.label)].parties.insert(resolver.end.address);
        let words =
            ["verzendnet", "statdienst", "pakketnl", "meetpuntje", "wolkbeeld", "kanaalzes", "opslagje", "lijnvier"];
        let domains = (0..knobs.number("domains") as usize).map(|i| match i / words.len() {
            0 => format!("{}.example", words[i % words.len()]),
            round => format!("{}{round}.example", words[i % words.len()]),
        });
        let domains: Vec<String> = domains.collect();
        let kinds = [DeviceKind::Laptop, DeviceKind::Phone];
        let period_s = knobs.number("period").max(0.05);
        for device in install.cx.town.members(&kinds, knobs.number("subscribers"), &mut dice) {
            let tunnel = Tunnel {
                device,
                resolver,
                domains: domains.clone(),
                asked: 0,
                period_s,
                jitter: knobs.number("jitter"),
                label_bytes: knobs.number("label").clamp(4.0, 180.0) as usize,
                qtype: match knobs.word("type") {
                    "A" => dns::TYPE_A,
                    "NULL" => dns::TYPE_NULL,
                    "CNAME" => dns::TYPE_CNAME,
                    _ => dns::TYPE_TXT,
                },
                alphabet: knobs.word("alphabet"),
                label: install.label,
                dice: dice.fork(),
            };
            let first = install.cx.stage.start.after(dice.secs_between(5.0, 65.0));
            install.cx.stage.spawn(first, Box::new(tunnel));
        }
    },
};

/// One end of the tunnel.
struct Tunnel {
    device: DeviceNumber,
    resolver: Resolver,
    domains: Vec<String>,
    asked: usize,
    period_s: f64,
    jitter: f64,
    label_bytes: usize,
    qtype: u16,
    alphabet: &'static str,
    label: u16,
    dice: Dice,
}

impl Tunnel {
    fn name(&mut self) -> String {
        let bytes = (self.label_bytes as f64 * self.dice.between(0.8, 1.2)) as usize;
        let labels = written(self.alphabet, bytes.max(4), &mut self.dice);
        let domain = &self.domains[self.asked % self.domains.len()];
        format!("{labels}.{domain}")
    }
}

impl Actor for Tunnel {
    fn wake(&mut self, now: TimestampNs, cx: &mut Cx) -> Wake {
        let name = self.name();
        self.asked += 1;
        let id = self.dice.short();
        let back = self.dice.bytes::<96>();
        let free = &back[..24 + self.dice.index(72)];
        let query = dns::query(id, &name, self.qtype, dns::Edns::Offered);
        let response = dns::free_response(id, &name, self.qtype, free);
        let recursion = self.dice.secs_exponential(0.03);
        let asked = (self.resolver, self.label);
        cx.town.exchange_dns(self.device, now, [query, response], recursion, asked, &mut self.dice, cx.stage);
        Wake::At(now.after(secs(self.period_s * self.dice.between(1.0 - self.jitter, 1.0 + self.jitter))))
    }
}

/// Labels that hold `bytes` bytes of data, written in an alphabet.
pub(super) fn written(alphabet: &str, bytes: usize, dice: &mut Dice) -> String {
    const WORDS: [&str; 16] = [
        "red", "stone", "apple", "north", "winter", "cloud", "river", "seven", "paper", "green", "market", "light",
        "horse", "salt", "garden", "metal",
    ];
    let digits: &[u8] = if alphabet == "hex" { b"0123456789abcdef" } else { b"abcdefghijklmnopqrstuvwxyz234567" };
    let mut text = String::new();
    let mut in_label = 0;
    while text.len() < bytes {
        let piece = match alphabet {
            "words" => dice.pick::<&str>(&WORDS).to_string(),
            _ => char::from(*dice.pick(digits)).to_string(),
        };
        let limit = if alphabet == "words" { 20 } else { 60 };
        if in_label + piece.len() > limit {
            text.push('.');
            in_label = 0;
        } else if alphabet == "words" && in_label > 0 {
            text.push('-');
        }
        in_label += piece.len();
        text += &piece;
    }
    text
}

/// Settings of who asks lists and reputation services: harmless names that carry digests and addresses.
pub(super) const NAME_LISTS: Program = Program {
    kind: "name-lists",
    role: Role::Negative,
    about: "security programs ask reputation services by digest, mail servers ask block lists by address and keys by domain",
    fact: "long names that look random, many of them, below one domain; but each says which file or host was met, and many ask alike",
    knobs: &[
        Knob {
            name: "subscribers",
            default: "0.15",
            unit: KnobUnit::Share,
            about: "share of the homes with such a program",
        },
        Knob {
            name: "period",
            default: "45s",
            unit: KnobUnit::Seconds,
            about: "time between two questions of a device",
        },
    ],
    variants: &[],
    install: |knobs, install| asking(knobs, install, false),
};

/// Long names of CDNs and of things that count in names.
pub(super) const LONG_NAMES: Program = Program {
    kind: "long-names",
    role: Role::Negative,
    about: "pages load from hosts with long generated names, and measurements write a number into each name",
    fact: "names long and many below one domain, and never heard before; but others ask for the same ones, or there are few each",
    knobs: &[
        Knob { name: "subscribers", default: "0.3", unit: KnobUnit::Share, about: "share of the homes that meet them" },
        Knob { name: "period", default: "90s", unit: KnobUnit::Seconds, about: "time between two of them" },
    ],
    variants: &[],
    install: |knobs, install| asking(knobs, install, true),
};

fn asking(knobs: &Knobs, install: &mut Install, is_long: bool) {
    let mut dice = install.dice("lists");
    let kinds = [DeviceKind::Laptop, DeviceKind::Phone];
    install.cx.stage.tallies[usize::from(install.label)].parties.insert(Town::usual_resolver().end.address);
    // What everybody meets: files and hosts of the day.
    let known: Vec<String> = (0..400).map(|_| written("hex", 32, &mut dice)).collect();
    for device in install.cx.town.members(&kinds, knobs.number("subscribers"), &mut dice) {
        let period_s = knobs.number("period").max(1.0);
        let asker = Asker {
            device,
            known: known.clone(),
            is_long,
            period_s,
            label: install.label,
            dice: dice.fork(),
            count: 0,
        };
        let first = install.cx.stage.start.after(dice.secs_between(0.0, period_s));
        install.cx.stage.spawn(first, Box::new(asker));
    }
}

/// A device that asks for such names.
struct Asker {
    device: DeviceNumber,
    known: Vec<String>,
    is_long: bool,
    period_s: f64,
    label: u16,
    dice: Dice,
    count: u64,
}

impl Asker {
    /// A name, its type, and the last byte of 127.0.0.0/8 where there is a verdict.
    fn question(&mut self) -> (String, u16, Option<u8>) {
        self.count += 1;
        let popular = self.dice.pareto(1.0, 0.7, 400.0) as usize - 1;
        let known = self.known[popular.min(self.known.len() - 1)].clone();
        let dice = &mut self.dice;
        match (self.is_long, dice.below(10)) {
            (false, 0..=4) => (format!("{known}.hash.veiligscan.example"), dns::TYPE_A, Some(2)),
            (false, 5..=7) => {
                let [a, b, c, d] = dice.bytes::<4>();
                let listed = dice.chance(0.2).then_some(4);
                (format!("{a}.{b}.{c}.{d}.zen.spamlijst.example"), dns::TYPE_A, listed)
            }
            (false, _) => {
                let sender = dice.below(60);
                (format!("s{}._domainkey.afzender{sender}.example", 1 + sender % 3), dns::TYPE_TXT, None)
            }
            (true, 0..=6) => {
                (format!("r{}---sn-{}.videostroom.example", 1 + popular % 9, &known[..12]), dns::TYPE_A, Some(0))
            }
            (true, 7..=8) => (format!("{}.edge-{}.beeldnet.example", &known[..20], popular % 5), dns::TYPE_A, Some(0)),
            // A number of its own in each name, now and then.
            (true, _) => (format!("{}.meting.example", written("hex", 18, dice)), dns::TYPE_A, Some(0)),
        }
    }
}

impl Actor for Asker {
    fn wake(&mut self, now: TimestampNs, cx: &mut Cx) -> Wake {
        let (name, qtype, verdict) = self.question();
        let id = self.dice.short();
        let query = dns::query(id, &name, qtype, dns::Edns::Offered);
        let response = match (qtype, verdict) {
            (dns::TYPE_TXT, _) => {
                let key = format!("v=DKIM1; k=rsa; p={}", written("base32", 216, &mut self.dice).replace('.', ""));
                dns::free_response(id, &name, qtype, key.as_bytes())
            }
            (_, None) => dns::no_such_name(id, &name, qtype, dns::Edns::Offered),
            (_, Some(last)) => {
                let address = match last {
                    0 => crate::units::Address::v4([198, 51, 100, 60 + self.dice.below(24) as u8]),
                    last => crate::units::Address::v4([127, 0, 0, last]),
                };
                let addresses = [address];
                let answer = dns::Answer { alias: None, addresses: &addresses, ttl_s: 300 };
                dns::response(id, &name, qtype, dns::Edns::Offered, &answer)
            }
        };
        let recursion = self.dice.secs_exponential(0.02);
        let asked = (Town::usual_resolver(), self.label);
        cx.town.exchange_dns(self.device, now, [query, response], recursion, asked, &mut self.dice, cx.stage);
        Wake::At(now.after(secs(self.period_s * self.dice.between(0.3, 1.7))))
    }
}
