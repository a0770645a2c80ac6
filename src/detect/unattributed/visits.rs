//! Visits: who calls many servers inside, as everybody else does who wants what they serve.
//! In: what services inside gave to whom. Out: whether a caller's calls go to such services.
//! A search engine's crawler, a survey, a monitor call each server that a hosting hall has, and most of what moves leaves it: that is
//! what servers are for. They ask small sites by their names, and large ones are asked by many. A device that a stranger polls is asked
//! by nobody else, and has no name.
//! Bounds: one pass over the served of a span, for a caller that would be told. Not here: what visitors carry off (`scraping`).

use std::collections::BTreeSet;

use crate::detect::scene::{Group, Scene};
use crate::population::conflict::network_of;
use crate::population::served::ServedKey;
use crate::population::texts::TextId;
use crate::units::Address;

/// Networks besides the caller's own that ask a service which is everybody's. More than scanners that an open port answers on a day.
const ASKING_MIN: usize = 8;

/// Whether most services at which a caller was served serve many others, or were asked by their name (which JA4 says: `d` for domain).
pub(super) fn is_visitor(scene: &Scene<'_>, group: &Group<'_>) -> bool {
    let own: BTreeSet<Address> = group.of.addresses.iter().map(|address| network_of(*address)).collect();
    let served = scene.summary.served.sorted_by_key();
    let service = |key: &ServedKey| (key.population, key.server, key.protocol, key.port);
    let (mut visited, mut open) = (0, 0);
    for askers in served.chunk_by(|(a, _), (b, _)| service(a) == service(b)) {
        let is_own = |key: &ServedKey| {
            key.population == group.of.population && group.of.addresses.binary_search(&key.asker).is_ok()
        };
        let mut visits = askers.iter().filter(|(key, _)| is_own(key)).peekable();
        if visits.peek().is_none() {
            continue;
        }
        visited += 1;
        let names_it =
            |ja4: &TextId| scene.summary.texts.of(*ja4).is_some_and(|ja4| ja4.as_bytes().get(3) == Some(&b'd'));
        let is_named = visits.all(|(_, one)| one.ja4.by_count().first().is_some_and(|(ja4, _)| names_it(ja4)));
        let mut others: BTreeSet<Address> = askers.iter().map(|(key, _)| network_of(key.asker)).collect();
        others.retain(|network| !own.contains(network));
        open += usize::from(is_named || others.len() >= ASKING_MIN);
    }
    2 * open > visited
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::flow::row::FlowRow;
    use crate::packet::facts::{AppFacts, Ja4};
    use crate::population::limits::SummaryLimits;
    use crate::population::places::Places;
    use crate::population::summary::tests::{populations, row, summary_of};

    #[test]
    fn who_calls_what_everybody_calls_is_a_visitor() {
        let caller = Address::v4([203, 0, 113, 7]);
        let visitor = |n: u64| Address::v4([198, 51, n as u8, 7]);
        let inside = |n: u64| Address::v4([10, 0, 0, n as u8]);
        // How many of nine services are called by how many others, how many networks these stand in, and with which hello.
        type Case<'a> = (&'a str, u64, u64, u64, Option<&'a str>, bool);
        let table: [Case<'_>; 7] = [
            ("sites", 9, 12, 12, None, true),
            ("devices", 0, 0, 0, None, false),
            ("small sites that are asked by their names", 0, 0, 0, Some("t13d1516h2_8daaf6152771_02713d6af862"), true),
            ("devices that are asked by their addresses", 0, 0, 0, Some("t13i1516h2_8daaf6152771_02713d6af862"), false),
            ("devices, three of which are a site as well", 3, 12, 12, None, false),
            ("devices that a few scanners found", 9, 4, 4, None, false),
            ("devices that their maker's cloud calls", 9, 12, 1, None, false),
        ];
        for (name, sites, others, networks, ja4, wanted) in table {
            let calls = (0..9).map(|n| {
                let facts = AppFacts { ja4: ja4.and_then(Ja4::of), ..AppFacts::default() };
                FlowRow { facts: Some(Arc::new(facts)), ..row(caller, inside(n), n, 300, 900) }
            });
            let rest = (0..sites * others).map(|i| {
                let (server, n) = (i % sites, i / sites);
                let from = if networks == 1 { Address::v4([198, 51, 0, n as u8]) } else { visitor(n) };
                row(from, inside(server), i, 300, 900)
            });
            let summary = summary_of(&calls.chain(rest).collect::<Vec<_>>(), &SummaryLimits::default());
            let (populations, places) = (populations(), Places::default());
            let scene = Scene::new(&summary, &populations, &places, None);
            assert_eq!(is_visitor(&scene, &scene.alone(|(key, _)| key.address == caller)[0]), wanted, "{name}");
        }
    }
}
