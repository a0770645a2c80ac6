//! Resolvers: whom a home's router asks for names, since when, and whether it is told the truth.
//! In: what programs have arranged. Out: for a question, the resolver, its distance and what it will say.
//! Bounds: an entry for each home that a program has turned, and for each of its names that was answered falsely.

use std::collections::BTreeMap;

use super::{DeviceNumber, Town};
use crate::synth::dice::{Dice, scaled};
use crate::synth::stage::Stage;
use crate::synth::wire::dns::{self, Answer, Edns};
use crate::synth::wire::packet::{Endpoint, IpId, Plan};
use crate::synth::wire::payload::Source;
use crate::units::{Address, TimestampNs};

/// A resolver and how far it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resolver {
    pub(crate) end: Endpoint,
    /// One way between the capture point and the resolver.
    pub(crate) delay_s: f64,
    /// Routers between the two.
    pub(crate) hops: u8,
}

impl Resolver {
    /// A host outside that answers DNS, as far as any hoster.
    pub(crate) fn at(address: Address, dice: &mut Dice) -> Self {
        let end = Endpoint { address, port: 53 };
        Self { end, delay_s: dice.lognormal(0.011, 0.5), hops: 7 + dice.below(7) as u8 }
    }
}

/// Names that a resolver leads elsewhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lies {
    /// Share of the services.
    pub(crate) share: f64,
    /// Where it leads them.
    pub(crate) to: Address,
    /// Which services those are.
    pub(crate) salt: u64,
}

impl Lies {
    /// Whether it lies about this service: about the same ones to everybody.
    fn about(&self, service: u32) -> bool {
        let mixed = (u64::from(service) ^ self.salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        (mixed as f64) < self.share * (1u64 << 24) as f64
    }
}

/// Homes that ask another resolver than the town's.
#[derive(Debug)]
pub(crate) struct Turned {
    /// Home, since when, and whether all of its devices do or every second one.
    pub(crate) homes: BTreeMap<u32, (TimestampNs, Reach)>,
    pub(crate) resolver: Resolver,
    pub(crate) lies: Option<Lies>,
    pub(crate) label: u16,
}

/// Which devices of a home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The router is set: all of them.
    Router,
    /// Somebody has set it on some.
    Devices,
}

/// Somebody beside the path to the resolver, who answers first.
#[derive(Debug)]
pub(crate) struct NameForger {
    /// Homes in his sight, ascending.
    pub(crate) homes: Vec<u32>,
    pub(crate) lies: Lies,
    /// TTL of his answers; none: that of the true ones.
    pub(crate) ttl: Option<u8>,
    pub(crate) label: u16,
    pub(crate) dice: Dice,
}

impl Town {
    /// Whom a device asks, on whose account (0: nobody's), and where that leads it instead of to the service.
    pub(crate) fn asks(&self, device: DeviceNumber, service: u32, at: TimestampNs) -> (Resolver, u16, Option<Address>) {
        let home = self.device(device).home;
        let found = self.turned.iter().find(|turned| {
            turned
                .homes
                .get(&home)
                .is_some_and(|(since, reach)| at >= *since && (*reach == Reach::Router || device.is_multiple_of(2)))
        });
        match found {
            Some(turned) => {
                let lie = turned.lies.filter(|lies| lies.about(service)).map(|lies| lies.to);
                (turned.resolver, turned.label, lie)
            }
            None => (Self::usual_resolver(), 0, None),
        }
    }
}

impl NameForger {
    /// Answers a question that passes at `at` and is answered at `answered`, where he cares; gives where that leads.
    pub(crate) fn answer(
        &mut self,
        home: u32,
        service: u32,
        (id, name, edns): (u16, &str, Edns),
        [at, answered]: [TimestampNs; 2],
        client: Endpoint,
        stage: &mut Stage,
    ) -> Option<Address> {
        if self.homes.binary_search(&home).is_err() || !self.lies.about(service) {
            return None;
        }
        let addresses = [self.lies.to];
        let answer = Answer { alias: None, addresses: &addresses, ttl_s: 60 + self.dice.below(240) as u32 };
        let response = dns::response(id, name, dns::TYPE_A, edns, &answer);
        let resolver = Town::usual_resolver();
        let ttl = self.ttl.unwrap_or(64 - resolver.hops);
        let bytes = response.len();
        let mut plan = Plan::udp(resolver.end, client, ttl, Source::bytes(response), bytes);
        plan.id = IpId::Fixed(self.dice.short());
        plan.label = self.label;
        stage.tallies[usize::from(self.label)].parties.extend([self.lies.to, resolver.end.address]);
        let share = self.dice.between(0.15, 0.8);
        stage.send(at.after(scaled(answered.since(at), share)), plan);
        Some(self.lies.to)
    }
}
