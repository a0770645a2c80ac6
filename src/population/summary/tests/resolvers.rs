//! Resolvers inside: when their addresses stand in clear.

use super::*;

#[test]
fn a_resolver_inside_shows_its_address_once_it_answers_several() {
    let inside = |n: u8| Address::v4([10, 0, 0, n]);
    // Two of one /64, which are one party.
    let of_v6 = |n: u8| Address([0x20, 0x01, 0x0d, 0xb8, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, n]);
    // How many ask which, what comes back, and what stands in clear.
    type Case<'a> = (&'a str, u8, &'a [Address], Option<u8>, Option<Address>);
    let table: [Case<'_>; 6] = [
        ("three ask", 3, &[inside(250)], Some(0), None),
        ("four ask", 4, &[inside(250)], Some(0), Some(inside(250))),
        ("a name error is an answer", 4, &[inside(250)], Some(3), Some(inside(250))),
        ("it never answers", 40, &[inside(250)], None, None),
        ("one of IPv6", 4, &[of_v6(53)], Some(0), Some(of_v6(53))),
        ("two of one network of IPv6", 8, &[of_v6(53), of_v6(54)], Some(0), None),
    ];
    for (name, clients, resolvers, rcode, wanted) in table {
        let asked = (0..clients).map(|client| {
            Fact::Observed(Observation::Lookup(Box::new(NameLookup {
                ts: window().start,
                client: inside(client),
                resolver: resolvers[usize::from(client) % resolvers.len()],
                name: "www.a.example".into(),
                qtype: 1,
                rcode,
                id: 1,
                answers: Vec::new(),
                ttl_s: 60,
                message_bytes: 90,
                aliases: 0,
                free_bytes: 0,
                leads: 0,
            })))
        });
        let mut summary = filled(&asked.collect::<Vec<_>>(), &SummaryLimits::default());
        summary.bound(&SummaryLimits::default());
        let shown = summary.resolvers.sorted().into_iter().find_map(|(_, one)| one.address_inside());
        assert_eq!(shown, wanted, "{name}");
        let stands = |real: &Address| summary.to_bytes().windows(16).any(|w| w == real.0);
        assert!(resolvers.iter().all(|real| stands(real) == (wanted == Some(*real))), "{name}");
    }
}
