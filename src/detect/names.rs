//! Names: whether the parties of this traffic say their names in what is sent to them.
//! In: the collectors of a scene. Out: whether a party without a name is anything strange here.
//! Where packets are cut before the name, only one direction is seen, or names are sealed (RFC 9849), most parties that are called over
//! TCP say none, whatever they are. Over UDP names are rarely said at all, so that nothing is told of it.
//! Bounds: one pass over the collectors.

use super::scene::{Scene, service_of};
use crate::packet::facts::AppProtocol;
use crate::population::collector::{CollectorKey, CollectorSummary, ServiceAt};

/// What TCP is among IP protocols.
const TCP: u8 = 6;
/// Fewest subscribers of a party that counts: peers and mistakes have fewer.
const SUBSCRIBERS_MIN: u64 = 3;
/// Parties below which nothing is said.
const PARTIES_MIN: usize = 16;
/// Share of the parties called over TCP below which it is no rule that they say their names in the flow: of whole packets nine in ten
/// do, and of packets cut to 128 or 160 bytes one in six.
const SAID_MIN: f64 = 0.6;

/// See the file's header.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names {
    /// Parties called over TCP, and how many of them say names in their flows.
    all: usize,
    said: usize,
}

impl Names {
    /// Of the parties that subscribers of a scene call.
    pub fn of(scene: &Scene<'_>) -> Self {
        let called = scene.collectors().iter().filter(|(key, one)| is_called(one) && begins(scene, key));
        called.fold(Self::default(), |Self { all, said }, (_, one)| Self {
            all: all + 1,
            said: said + usize::from(one.rows_named > 0),
        })
    }

    /// Whether parties called over an IP protocol mostly have no name to be seen, so that having none is no sign of anything.
    pub fn are_hidden(&self, protocol: u8) -> bool {
        protocol == TCP && self.all >= PARTIES_MIN && (self.said as f64) < SAID_MIN * self.all as f64
    }
}

/// Whether a connection to it was seen from its beginning: one that is met midway has said its name before.
fn begins(scene: &Scene<'_>, key: &CollectorKey) -> bool {
    scene.pairs_of(key.population, key.address).iter().any(|(_, pair)| pair.rows_established > 0)
}

/// Whether several subscribers call it over TCP, it answers, and it is none of the plumbing that nobody asks for by name.
fn is_called(one: &CollectorSummary) -> bool {
    let is_dns = one.apps.by_count().first().is_some_and(|(app, _)| *app == AppProtocol::Dns);
    let is_service = service_of(one).is_some_and(|service| {
        (service.protocol, service.at) == (TCP, ServiceAt::Collector) && !matches!(service.port, 53 | 853)
    });
    one.subscribers.count() >= SUBSCRIBERS_MIN
        && is_service
        && !is_dns
        && 2 * one.flows_by_collector <= one.totals.flows
        && 2 * one.rows_answered >= one.totals.rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_most_have_no_name_none_is_strange_for_it() {
        let table = [
            ("whole packets", 150, 140, TCP, false),
            ("packets cut before the names", 250, 46, TCP, true),
            ("few parties", 10, 1, TCP, false),
            ("datagrams", 250, 46, 17, false),
        ];
        for (name, all, said, protocol, wanted) in table {
            assert_eq!(Names { all, said }.are_hidden(protocol), wanted, "{name}");
        }
    }

    #[test]
    fn what_is_met_midway_has_said_its_name_before() {
        use std::sync::Arc;

        use crate::flow::row::ConnState;
        use crate::packet::facts::AppFacts;
        use crate::population::limits::SummaryLimits;
        use crate::population::places::Places;
        use crate::population::summary::tests::{populations, row, summary_of};
        use crate::units::Address;
        // How twenty parties are met that three devices call, what one more that all call is proved to speak, whether names are hidden
        // and whether applications show.
        let table = [
            ("midway, beside one from its beginning", ConnState::OTH, Some(AppProtocol::Tls), false, true),
            ("from their beginning", ConnState::SF, Some(AppProtocol::Tls), true, false),
            ("midway, beside one that is cut", ConnState::OTH, None, false, false),
        ];
        for (name, state, proved, hidden, shows) in table {
            let device = |n: u64| Address::v4([10, 0, 0, n as u8]);
            let silent = (0..60u64).map(|n| {
                let mut one = row(device(n / 20), Address::v4([198, 51, 100, n as u8 % 20]), n, 300, 900);
                one.state = state;
                one
            });
            let said = (0..20u64).map(|n| {
                let mut one = row(device(n), Address::v4([203, 0, 113, 7]), n, 300, 900);
                one.facts = proved.map(|protocol| {
                    let protocol = Some(protocol);
                    Arc::new(AppFacts { protocol, server_name: Some("a.example".into()), ..AppFacts::default() })
                });
                one
            });
            let summary = summary_of(&silent.chain(said).collect::<Vec<_>>(), &SummaryLimits::default());
            let (populations, places) = (populations(), Places::default());
            let scene = Scene::new(&summary, &populations, &places, None);
            assert_eq!(Names::of(&scene).are_hidden(TCP), hidden, "{name}");
            assert_eq!(scene.shows_applications(), shows, "{name}");
        }
    }
}
