//! Look-ups: names before connections, as home routers and stub resolvers ask for them, with caching and lives.
//! In: a device and a service. Out: the messages between the home and its resolver, and when the answer is there.
//! Bounds: a home remembers [`NAMES_MAX`] names.

use super::catalogue::Service;
use super::resolver::Resolver;
use super::{DeviceNumber, Town};
use crate::synth::dice::{Dice, secs};
use crate::synth::stage::Stage;
use crate::synth::wire::dns::{self, Answer, Edns};
use crate::synth::wire::packet::{Endpoint, Plan};
use crate::synth::wire::payload::Source;
use crate::units::{DurationNs, TimestampNs};

/// Names that a home's router remembers.
const NAMES_MAX: usize = 64;
/// One way between the capture point and the town's resolver.
const RESOLVER_DELAY_S: f64 = 0.0006;
/// Routers between the two.
const RESOLVER_HOPS: u8 = 2;

impl Town {
    /// Looks a service's name up where the home does not remember it; gives the time at which the device knows.
    pub(crate) fn look_up(
        &mut self,
        device: DeviceNumber,
        service: u32,
        at: TimestampNs,
        label: u16,
        dice: &mut Dice,
        stage: &mut Stage,
    ) -> TimestampNs {
        let home = self.device(device).home as usize;
        let names = &mut self.homes[home].names;
        names.retain(|(_, until)| *until > at);
        if names.iter().any(|(known, _)| *known == service) {
            return at;
        }
        if names.len() >= NAMES_MAX {
            names.remove(0);
        }
        let mut forger = self.name_forger.take();
        let Service { name, addresses, alias, ttl_s, .. } = self.catalogue.get(service);
        // The resolver has most names already, some way into their lives.
        let left_s = 1 + dice.below(u64::from(*ttl_s)) as u32;
        let aliased = alias.as_deref().map(|alias| (alias, 300 + dice.below(3300) as u32));
        let (resolver, account, lie) = self.asks(device, service, at);
        let label = if label == 0 { account } else { label };
        let led: Vec<_> = lie.into_iter().collect();
        let answer = match led.is_empty() {
            true => Answer { alias: aliased, addresses, ttl_s: left_s },
            false => Answer { alias: None, addresses: &led, ttl_s: left_s },
        };
        let edns = if dice.chance(0.4) { Edns::Offered } else { Edns::Absent };
        let browser = self.device(device).browser;
        let mut types = vec![dns::TYPE_A];
        if self.homes[home].v6.is_some() || dice.chance(0.5) {
            types.push(dns::TYPE_AAAA);
        }
        if browser.first_alpn() == Some("h2") && dice.chance(0.5) {
            types.push(dns::TYPE_HTTPS);
        }
        let recursion = if dice.chance(0.3) { dice.secs_exponential(0.03) } else { DurationNs::ZERO };
        let (mut asked, mut known) = (at, at);
        let mut forged = None;
        for qtype in types {
            let id = dice.short();
            let query = dns::query(id, name, qtype, edns);
            let response = dns::response(id, name, qtype, edns, &answer);
            let (client, answered) =
                self.exchange_dns(device, asked, [query, response], recursion, (resolver, label), dice, stage);
            if let Some(forger) = forger.as_mut().filter(|_| qtype == dns::TYPE_A && account == 0) {
                let question = (id, name.as_str(), edns);
                forged = forger.answer(home as u32, service, question, [asked, answered], client, stage);
            }
            known = known.max(answered);
            asked = asked.after(dice.secs_between(0.00005, 0.0004));
        }
        self.name_forger = forger;
        match lie.or(forged) {
            Some(to) => drop(self.led.insert((home as u32, service), to)),
            None => drop(self.led.remove(&(home as u32, service))),
        }
        self.homes[home].names.push((service, at.after(DurationNs::from_secs(u64::from(left_s)))));
        known.after(self.homes[home].delay).after(self.homes[home].delay).after(dice.secs_between(0.0001, 0.0015))
    }

    /// A name that nobody has: a typo, a search suffix.
    pub(crate) fn look_up_in_vain(
        &mut self,
        device: DeviceNumber,
        at: TimestampNs,
        dice: &mut Dice,
        stage: &mut Stage,
    ) {
        let service = self.catalogue.draw(super::catalogue::Kind::Web, dice);
        let name = format!("{}.home.{}", dice.below(100), self.catalogue.get(service).name);
        let id = dice.short();
        let query = dns::query(id, &name, dns::TYPE_A, Edns::Absent);
        let response = dns::no_such_name(id, &name, dns::TYPE_A, Edns::Absent);
        let recursion = dice.secs_exponential(0.03);
        let (resolver, account, _) = self.asks(device, service, at);
        self.exchange_dns(device, at, [query, response], recursion, (resolver, account), dice, stage);
    }

    /// The resolver that the town's homes are meant to ask.
    pub(crate) fn usual_resolver() -> Resolver {
        Resolver { end: Self::resolver(), delay_s: RESOLVER_DELAY_S, hops: RESOLVER_HOPS }
    }

    /// One question and its answer, asked of a resolver under a label; gives who asked, and when the answer passes the
    /// capture point.
    #[expect(clippy::too_many_arguments, reason = "each is a different thing, and there is one way to call it")]
    pub(crate) fn exchange_dns(
        &self,
        device: DeviceNumber,
        at: TimestampNs,
        [query, response]: [Vec<u8>; 2],
        recursion: DurationNs,
        (asked, label): (Resolver, u16),
        dice: &mut Dice,
        stage: &mut Stage,
    ) -> (Endpoint, TimestampNs) {
        let port = self.translate(device, 1024 + dice.below(64_000) as u16);
        let client = Endpoint { address: self.address_of(device, false), port };
        let resolver = asked.end;
        let bytes = query.len();
        let mut plan = Plan::udp(client, resolver, self.ttl_of(device), Source::bytes(query), bytes);
        plan.id = self.datagram_id(device, dice);
        plan.label = label;
        stage.send(at, plan);
        let answered = at.after(secs(2.0 * asked.delay_s)).after(recursion).after(dice.secs_between(0.0001, 0.0006));
        let bytes = response.len();
        let mut plan = Plan::udp(resolver, client, 64 - asked.hops, Source::bytes(response), bytes);
        plan.id = crate::synth::wire::packet::IpId::Fixed(dice.short());
        plan.label = label;
        stage.send(answered, plan);
        (client, answered)
    }
}
