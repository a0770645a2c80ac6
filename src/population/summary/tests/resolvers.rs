//! Resolvers inside: when their addresses stand in clear.

use super::*;

#[test]
fn a_resolver_inside_shows_its_address_once_several_ask_it() {
    let resolver = Address::v4([10, 0, 0, 250]);
    for (clients, wanted) in [(3, None), (4, Some(resolver))] {
        let asked = (0..clients).map(|client| {
            Fact::Observed(Observation::Lookup(Box::new(NameLookup {
                ts: window().start,
                client: Address::v4([10, 0, 0, client]),
                resolver,
                name: "www.a.example".into(),
                qtype: 1,
                rcode: Some(0),
                id: 1,
                answers: Vec::new(),
                ttl_s: 60,
                message_bytes: 90,
                aliases: 0,
                free_bytes: 0,
            })))
        });
        let mut summary = filled(&asked.collect::<Vec<_>>(), &SummaryLimits::default());
        summary.bound(&SummaryLimits::default());
        let shown = summary.resolvers.sorted().into_iter().find_map(|(_, one)| one.inside);
        assert_eq!(shown, wanted, "{clients} clients");
        assert_eq!(summary.to_bytes().windows(16).any(|w| w == resolver.0), wanted.is_some(), "{clients} clients");
    }
}
