//! Relays: hosts inside that take mail in from others, as mail servers do.
//! In: services that outsiders ask. Out: whether what a host sends a party is post, from server to server.
//! A client that carries data off through a mail server of a stranger's is asked by nobody at that port.
//! Bounds: one entry a host that serves.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use crate::detect::scene::{Group, Scene, service_of};
use crate::population::PopulationIndex;
use crate::population::collector::{Service, ServiceAt};
use crate::units::Address;

/// SMTP between servers (RFC 5321): TCP port 25. Clients hand mail in at others (RFC 6409, RFC 8314).
const POST: (u8, u16) = (6, 25);

/// Hosts that outsiders bring mail to, now or before; looked for when somebody is seen to send much of it.
pub(super) struct Relays<'a> {
    scene: &'a Scene<'a>,
    hosts: OnceCell<BTreeSet<(PopulationIndex, Address)>>,
}

impl<'a> Relays<'a> {
    pub(super) fn of(scene: &'a Scene<'a>) -> Self {
        Self { scene, hosts: OnceCell::new() }
    }

    fn hosts(&self) -> &BTreeSet<(PopulationIndex, Address)> {
        self.hosts.get_or_init(|| {
            let spans = std::iter::once(self.scene.summary).chain(self.scene.before());
            let served = spans.flat_map(|span| span.served.sorted());
            let post = served.filter(|(key, _)| (key.protocol, key.port) == POST);
            post.map(|(key, _)| (key.population, key.server)).collect()
        })
    }

    /// Whether a host's dealings with a service are one mail server's with another.
    pub(super) fn is_post_at(&self, population: PopulationIndex, host: Address, service: Service) -> bool {
        service.at == ServiceAt::Collector
            && (service.protocol, service.port) == POST
            && self.hosts().contains(&(population, host))
    }

    /// The same of a group, by what it mostly is asked for.
    pub(super) fn is_post(&self, group: &Group<'_>, host: Address) -> bool {
        let service = service_of(&group.whole);
        service.is_some_and(|service| {
            let asked = Service { at: ServiceAt::Collector, ..service };
            self.is_post_at(group.of.population, host, asked)
        })
    }
}
