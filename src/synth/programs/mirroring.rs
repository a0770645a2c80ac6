//! `traffic-mirroring`: a router sends copies of what passes it to a stranger, wrapped, or tells the stranger of every flow.
//!
//! Detectable by: packets of the population inside packets to somebody outside; the best proof is the same packet seen without
//! its wrapping a moment before. Not by: who sends them (routers send wrapped traffic for good reasons), nor by the wrapping
//! itself, which overlays of racks and offices use every day.

use std::collections::{BTreeMap, BTreeSet};

use super::knobs::{Knob, KnobUnit};
use super::{Program, Role};
use crate::detect::finding::Technique;
use crate::synth::dice::{Dice, secs};
use crate::synth::stage::{Stage, Tap};
use crate::synth::town::Town;
use crate::synth::wire::export::{self, RECORDS_MAX, Record};
use crate::synth::wire::packet::{Endpoint, IpId, Plan, Transport};
use crate::synth::wire::payload::Source;
use crate::synth::wire::wrap::{Outer, Wrapping};
use crate::units::{Address, DurationNs, TimestampNs};

/// Flows that the exporting router keeps.
const FLOWS_MAX: usize = 8_192;
/// A flow is told of after this long without a packet, or after that long in all (defaults of such routers).
const IDLE: DurationNs = DurationNs::from_secs(15);
const ACTIVE: DurationNs = DurationNs::from_secs(60);
const EXPORT_EVERY: DurationNs = DurationNs::from_secs(1);

/// The operation.
pub(super) const OPERATION: Program = Program {
    kind: "traffic-mirroring",
    role: Role::Operation(Technique::TrafficMirroring),
    about: "a router sends wrapped copies of the population's packets, or records of its flows, to a stranger",
    fact: "packets of the population inside packets to an outsider, each seen without its wrapping just before",
    knobs: &[
        Knob {
            name: "subscribers",
            default: "0.1",
            unit: KnobUnit::Share,
            about: "share of the homes whose traffic is copied",
        },
        Knob {
            name: "wrap",
            default: "erspan",
            unit: KnobUnit::Word(&["erspan", "gre", "vxlan", "tzsp", "netflow"]),
            about: "how copies travel; netflow sends flow records instead",
        },
        Knob {
            name: "truncate",
            default: "64KiB",
            unit: KnobUnit::Bytes,
            about: "bytes of each frame that are copied, where the router cuts them",
        },
        Knob {
            name: "router",
            default: "inside",
            unit: KnobUnit::Word(&["inside", "outside"]),
            about: "whether the copying router has an address of the town or one beyond it",
        },
    ],
    variants: &[],
    install: |knobs, install| {
        let service = install.cx.town.catalogue.add_own(format!("peer{}.transit-lab.example", install.label), 1);
        install.note_party(service);
        let far = install.cx.town.catalogue.get(service).addresses.first().copied().unwrap_or_default();
        let mut dice = install.dice("mirroring");
        let homes = (0..install.cx.town.homes.len()).filter(|_| dice.chance(knobs.number("subscribers")));
        let subscribers: BTreeSet<u32> =
            homes.filter_map(|i| Town::subscriber_of(Address::v4(install.cx.town.homes[i].v4))).collect();
        let router = match knobs.word("router") {
            "inside" => install.cx.town.machine_at(255, 1),
            _ => Address::v4([198, 18, 255, 1]),
        };
        let port = 49_152 + dice.below(16_000) as u16;
        let chosen = Chosen { subscribers, label: install.label };
        let ends = [Endpoint { address: router, port }, Endpoint { address: far, port: 0 }];
        let wrapping = match knobs.word("wrap") {
            "erspan" => Wrapping::ErspanII,
            "gre" => Wrapping::Gre,
            "vxlan" => Wrapping::Vxlan,
            "tzsp" => Wrapping::Tzsp,
            _ => {
                let booted = install.cx.stage.start.before(secs(dice.between(2e5, 4e6)));
                let tap = Exporter {
                    chosen,
                    ends,
                    booted,
                    flows: BTreeMap::new(),
                    due: None,
                    sequence: dice.int() >> 8,
                    dice,
                };
                install.taps.push(Box::new(tap));
                return;
            }
        };
        let ttl = if wrapping == Wrapping::ErspanII || wrapping == Wrapping::Gre { 255 } else { 64 };
        let outer = Outer { wrapping, ends, ttl, session: 1 + dice.below(900) as u32, number: 0, id: dice.short() };
        let truncate = knobs.number("truncate").max(64.0) as usize;
        install.taps.push(Box::new(Mirror { chosen, outer, truncate, dice }));
    },
};

/// Whose packets are copied.
struct Chosen {
    subscribers: BTreeSet<u32>,
    label: u16,
}

impl Chosen {
    /// The chosen subscriber whose packet this is.
    fn of(&self, plan: &Plan) -> Option<u32> {
        let of = |address| Town::subscriber_of(address).filter(|subscriber| self.subscribers.contains(subscriber));
        if plan.carried != 0 {
            return None;
        }
        of(plan.source.address).or(of(plan.destination.address))
    }

    fn count(&self, subscriber: u32, stage: &mut Stage) {
        stage.tallies[usize::from(self.label)].subscribers.insert(subscriber);
    }
}

struct Mirror {
    chosen: Chosen,
    outer: Outer,
    truncate: usize,
    dice: Dice,
}

impl Tap for Mirror {
    fn see(&mut self, at: TimestampNs, plan: &Plan, frame: &[u8], stage: &mut Stage) {
        let Some(subscriber) = self.chosen.of(plan) else { return };
        self.chosen.count(subscriber, stage);
        let bytes = frame.len().min(14 + plan.ip_bytes()).min(self.truncate);
        let at = at.after(self.dice.secs_between(0.00003, 0.00025));
        for (i, frame) in self.outer.frames(&frame[..bytes]).into_iter().enumerate() {
            stage.send_frame(at.after(DurationNs(1_200 * i as u64)), frame, self.chosen.label);
        }
    }
}

/// Addresses, ports, protocol.
type FlowTuple = ([u8; 4], [u8; 4], [u16; 2], u8);

struct Exporter {
    chosen: Chosen,
    ends: [Endpoint; 2],
    booted: TimestampNs,
    flows: BTreeMap<FlowTuple, Record>,
    due: Option<TimestampNs>,
    sequence: u32,
    dice: Dice,
}

impl Tap for Exporter {
    fn see(&mut self, at: TimestampNs, plan: &Plan, _: &[u8], stage: &mut Stage) {
        let Some(subscriber) = self.chosen.of(plan) else { return };
        let (Some(source), Some(destination)) = (plan.source.address.as_v4(), plan.destination.address.as_v4()) else {
            return;
        };
        let (protocol, tcp_flags) = match plan.transport {
            Transport::Tcp { flags, .. } => (6, flags),
            Transport::Udp => (17, 0),
            Transport::Icmp { .. } => (1, 0),
        };
        self.chosen.count(subscriber, stage);
        let ports = [plan.source.port, plan.destination.port];
        let new = Record { source, destination, ports, protocol, tcp_flags, packets: 0, bytes: 0, first: at, last: at };
        let record = self.flows.entry((source, destination, ports, protocol)).or_insert(new);
        record.packets += 1;
        record.bytes = record.bytes.saturating_add(plan.ip_bytes() as u32);
        record.tcp_flags |= tcp_flags;
        record.last = at;
        if *self.due.get_or_insert(at.after(EXPORT_EVERY)) <= at || self.flows.len() >= FLOWS_MAX {
            self.due = Some(at.after(EXPORT_EVERY));
            self.export(at, stage);
        }
    }
}

impl Exporter {
    fn export(&mut self, at: TimestampNs, stage: &mut Stage) {
        let full = self.flows.len() >= FLOWS_MAX;
        let over = |record: &Record| full || at.since(record.last) > IDLE || at.since(record.first) > ACTIVE;
        let finished: Vec<Record> = self.flows.values().filter(|record| over(record)).copied().collect();
        self.flows.retain(|_, record| !over(record));
        for (i, records) in finished.chunks(RECORDS_MAX).enumerate() {
            let at = at.after(DurationNs(200_000 + 15_000 * i as u64));
            let payload = export::datagram(records, at, self.booted, self.sequence);
            self.sequence = self.sequence.wrapping_add(records.len() as u32);
            let far = Endpoint { port: 2055, ..self.ends[1] };
            let bytes = payload.len();
            let mut plan = Plan::udp(self.ends[0], far, 254, Source::bytes(payload), bytes);
            plan.id = IpId::Fixed(self.dice.short());
            plan.label = self.chosen.label;
            stage.send(at, plan);
        }
    }
}
