//! Laws of the whole summary, under rows that hostile hands might have sent.

use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::flow::observation::{Forgery, ForgeryKind, ForgeryVersion, Observation, SegmentConflict, SegmentVersion};
use crate::flow::pace::Pace;
use crate::flow::row::{CarrierRow, ConnState, FlowColumns, FlowRow, SideRow};
use crate::packet::columns::{ExportDatagram, ExportKind, FlowKey, TunnelKind};
use crate::packet::facts::{AppFacts, AppProtocol, CertificateFacts, Ja4, NameLookup};
use crate::population::collector::CODEWORDS_MAX;
use crate::population::populations::PopulationSpec;
use crate::population::sketch::SketchKey;
use crate::units::{Address, DurationNs, Side};

/// Turns addresses over, so that a real one that slips through shows.
#[derive(Debug)]
pub(crate) struct TurnedOver(pub u64);

impl SubscriberIdentity for TurnedOver {
    fn pseudonym(&mut self, real: Address) -> Address {
        match real.as_v4() {
            Some(octets) => Address::v4(octets.map(|o| !o)),
            None => Address(real.0.map(|o| !o)),
        }
    }

    fn hash64(&mut self, real: Address) -> u64 {
        let halves = u128::from_be_bytes(real.0);
        ((halves as u64).rank() ^ ((halves >> 64) as u64 ^ self.0).rank()).rank()
    }
}

pub(crate) fn populations() -> Populations {
    let spec = |name: &str, prefixes: &[&str]| PopulationSpec {
        name: name.to_owned(),
        prefixes: prefixes.iter().map(|p| p.parse().expect("a literal prefix")).collect(),
        jurisdiction: None,
        resolvers: Vec::new(),
    };
    let specs = vec![spec("residents", &["10.0.0.0/8", "2001:db8:20::/48"]), spec("ministry", &["10.9.0.0/16"])];
    Populations::new(specs).expect("sound")
}

const START_S: u64 = 1_000_000_000;

fn window() -> Span {
    let at = |s: u64| TimestampNs(DurationNs::from_secs(START_S + s).0);
    Span::new(at(0), at(300))
}

/// A row between two addresses; `orig` begins it.
pub(crate) fn row(orig: Address, resp: Address, second: u64, up: u64, down: u64) -> FlowRow {
    let first = TimestampNs(DurationNs::from_secs(START_S + second).0);
    let swapped = resp < orig;
    let addresses = if swapped { [resp, orig] } else { [orig, resp] };
    let ports = if swapped { [443, 50_000] } else { [50_000, 443] };
    let side = |bytes: u64| SideRow {
        packets: 4,
        ip_bytes: bytes + 160,
        payload_bytes: bytes,
        payload_packets: 3,
        size_bins: [1, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0],
        gap_sum_ns: 3_000_000_000,
        gap_square_sum_s2: 3.5,
        ..SideRow::default()
    };
    FlowRow {
        key: FlowKey { addresses, ports, context: 0, protocol: 6, version: 4 },
        orig_end: u8::from(swapped),
        tuple_hash: (u128::from_be_bytes(orig.0) ^ u128::from_be_bytes(resp.0)) as u64,
        ts_first: first,
        ts_last: first.after(DurationNs::from_secs(15)),
        state: ConnState::SF,
        pair_gap: DurationNs::from_secs(60),
        turns: 2,
        sides: [side(up), side(down)],
        ..FlowRow::default()
    }
}

fn any_address() -> impl Strategy<Value = Address> {
    prop_oneof![
        4 => (0u8..3, any::<u8>()).prop_map(|(a, b)| Address::v4([10, 9 + a, 0, b])),
        4 => (0u8..40).prop_map(|b| Address::v4([203, 0, 113, b])),
        1 => any::<[u8; 4]>().prop_map(Address::v4),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(a, b)| {
            Address([0x20, 1, 0x0d, 0xb8, 0, 0x20, 0, a % 4, 0, 0, 0, 0, 0, 0, 0, b])
        }),
    ]
}

fn any_facts() -> impl Strategy<Value = AppFacts> {
    let name =
        prop_oneof!["[a-c]\\.[a-z]\\.example\\.(com|org)", "[a-z]{1,8}", Just("10.20.30.40".to_owned()), ".{0,300}"];
    (name, 0u8..4, any::<bool>(), any::<u64>()).prop_map(|(name, kind, certified, choice)| AppFacts {
        protocol: [None, Some(AppProtocol::Tls), Some(AppProtocol::Dns), Some(AppProtocol::Http)][usize::from(kind)],
        ja4: Ja4::of(format!("t13d1516h2_8daaf6152771_{:012x}", name.len())),
        server_name: Some(name.into()),
        hello_offer: NonZeroU64::new(1 + u64::from(kind) / 2).filter(|_| certified),
        server_choice: NonZeroU64::new(choice % 11).filter(|_| kind == 2),
        server_fingerprint: Some(u64::from(kind)),
        tls_version: [None, Some(0x0303), Some(0x0304), None][usize::from(kind)],
        certificate: certified.then(|| {
            Box::new(CertificateFacts {
                issuer: "CN=x".into(),
                issuer_hash: 5,
                valid_from_s: START_S - 50,
                key_hash: 6,
                ..CertificateFacts::default()
            })
        }),
        ..AppFacts::default()
    })
}

fn any_carrier() -> impl Strategy<Value = CarrierRow> {
    let kind = prop_oneof![Just(TunnelKind::Gre), Just(TunnelKind::ErspanII), Just(TunnelKind::GtpU)];
    (kind, any_address(), any_address(), any::<[[bool; 2]; 2]>(), any::<u32>()).prop_map(|(kind, a, b, ways, id)| {
        CarrierRow {
            kind,
            outer: [a.min(b), a.max(b)],
            port: 2152,
            id: id % 200,
            depth: 1,
            packets: ways.map(|side| side.map(|seen| u32::from(seen) * 3)),
            bytes: ways.map(|side| side.map(|seen| u64::from(seen) * u64::from(id))),
        }
    })
}

fn any_row() -> impl Strategy<Value = FlowRow> {
    let numbers = (0u64..310, prop_oneof![0u64..2000, any::<u64>()], 0u64..100_000, any::<u16>(), any::<u64>());
    let rare = (prop::option::weighted(0.3, any_facts()), prop::option::weighted(0.2, any_carrier()), any::<bool>());
    (any_address(), any_address(), numbers, rare).prop_map(
        |(a, b, (second, up, down, port, odd), (facts, carrier, first))| {
            let mut row = row(a, b, second, up, down);
            row.key.ports[usize::from(row.orig_end) ^ 1] = port;
            row.key.protocol = [6, 17, 1, 50][(odd % 4) as usize];
            row.row_number = u32::from(!first);
            row.tuple_hash = odd;
            row.pair_gap = DurationNs(odd >> 10);
            row.turns = odd as u32;
            row.state = if odd % 3 == 0 { ConnState::OTH } else { ConnState::SF };
            row.sides[0].gap_square_sum_s2 = f32::from_bits(odd as u32);
            row.sides[1].packets = (odd % 5) as u32;
            if odd % 50 == 0 {
                row.ts_last = TimestampNs(odd);
            }
            if odd % 4 == 0 {
                let mut pace = Pace::new(row.ts_first);
                (0..odd % 7).for_each(|n| {
                    pace.add(Side::BOTH[(n % 2) as usize], row.ts_first.after(DurationNs(odd >> n)), odd as u32);
                });
                row.pace = Some(Box::new(pace));
            }
            row.facts = facts.map(Arc::new);
            row.carrier = carrier;
            row
        },
    )
}

fn any_observation() -> impl Strategy<Value = Observation> {
    let lookup = (any_address(), any_address(), any_address(), "[a-d]\\.example\\.net", prop::option::of(0u8..4))
        .prop_map(|(client, resolver, answer, name, rcode)| {
            Observation::Lookup(Box::new(NameLookup {
                ts: window().start,
                client,
                resolver,
                name: name.into(),
                qtype: 1,
                rcode,
                id: 1,
                answers: vec![answer; 2],
                ttl_s: 60,
                message_bytes: 80,
                aliases: 0,
                free_bytes: 0,
                leads: 0,
            }))
        });
    let export = (any_address(), any_address(), prop::collection::vec((any_address(), any_address()), 0..5)).prop_map(
        |(exporter, receiver, endpoints)| {
            Observation::Export(Box::new(ExportDatagram {
                ts: window().start,
                kind: ExportKind::Ipfix,
                exporter,
                receiver,
                port: 4739,
                bytes: 1400,
                records: 5,
                endpoints,
            }))
        },
    );
    let conflict = (any_address(), any_address(), 0u64..50, any::<u8>()).prop_map(|(sender, receiver, frame, ttl)| {
        let version = |frame: u64| SegmentVersion {
            frame,
            ts: TimestampNs(window().start.0 + frame),
            ttl,
            payload_bytes: 100,
            payload_hash: frame % 3,
        };
        Observation::SegmentConflict(Box::new(SegmentConflict {
            key: FlowKey { protocol: 6, ..FlowKey::default() },
            file: 0,
            sender,
            sender_port: 80,
            receiver,
            receiver_port: 50_000,
            versions: [version(frame), version(frame + 1)],
            delta: DurationNs(1),
            overlap_bytes: 100,
            differing_bytes: 90,
            stream_offset: Some(0),
            ttl_difference: 3,
            sender_ttl_usual: Some(60),
        }))
    });
    let forgery = (any_address(), any_address(), any_address(), 0u64..50, any::<u8>());
    let forgery = forgery.prop_map(|(sender, receiver, place, frame, ttl)| {
        let ts = |frame: u64| TimestampNs(window().start.0 + frame);
        let version = |frame: u64| ForgeryVersion { frame, ts: ts(frame), ttl, leads_to: (ttl > 9).then_some(place) };
        Observation::Forgery(Box::new(Forgery {
            kind: if ttl % 2 == 0 { ForgeryKind::Answer } else { ForgeryKind::Reset },
            file: 0,
            sender,
            sender_port: 53,
            receiver,
            protocol: 17,
            versions: [version(frame), version(frame + 1)],
            delta: DurationNs(1),
            sender_ttl_usual: None,
            copies: 1,
            name: "www.example.net".into(),
        }))
    });
    prop_oneof![lookup, export, conflict, forgery]
}

#[derive(Clone, Debug)]
enum Fact {
    Row(Box<FlowRow>, u16),
    Observed(Observation),
}

fn facts(most: usize) -> impl Strategy<Value = Vec<Fact>> {
    let fact = prop_oneof![
        4 => (any_row(), 0u16..400).prop_map(|(row, codeword)| Fact::Row(Box::new(row), codeword)),
        1 => any_observation().prop_map(Fact::Observed),
    ];
    prop::collection::vec(fact, 0..most)
}

pub(crate) fn summary_of(rows: &[FlowRow], limits: &SummaryLimits) -> Summary {
    let facts: Vec<Fact> = rows.iter().map(|row| Fact::Row(Box::new(row.clone()), 3)).collect();
    filled(&facts, limits)
}

/// Summaries of anything at all.
pub(crate) fn any_summary(most: usize) -> impl Strategy<Value = Summary> {
    facts(most).prop_map(|facts| filled(&facts, &SummaryLimits::default()))
}

fn filled(facts: &[Fact], limits: &SummaryLimits) -> Summary {
    filled_for(&populations(), facts, limits)
}

fn filled_for(populations: &Populations, facts: &[Fact], limits: &SummaryLimits) -> Summary {
    let mut identity = TurnedOver(1);
    let mut cx = AddContext { populations, identity: &mut identity, limits };
    let mut summary = Summary::new(window()).with_codebook(7);
    let (mut columns, mut codewords, mut observed) = (FlowColumns::default(), Vec::new(), Vec::new());
    for fact in facts {
        match fact.clone() {
            Fact::Row(row, codeword) => {
                columns.push(*row);
                codewords.push(codeword);
            }
            Fact::Observed(observation) => observed.push(observation),
        }
    }
    summary.add_rows(&columns, &codewords, &mut cx);
    summary.add_observations(&observed, &mut cx);
    summary
}

fn merged(a: &Summary, b: &Summary) -> Summary {
    let mut sum = a.clone();
    sum.merge(b.clone()).expect("one basis");
    sum
}

fn rolled(summary: &Summary, to: SpanClass) -> Summary {
    let mut summary = summary.clone();
    summary.rollup(to);
    summary
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn merging_is_associative_and_commutative_and_has_an_identity(a in facts(60), b in facts(60), c in facts(60)) {
        let limits = SummaryLimits::default();
        let [a, b, c] = [a, b, c].map(|facts| filled(&facts, &limits));
        let b = rolled(&b, SpanClass::Hour); // another class on the way
        prop_assert_eq!(merged(&merged(&a, &b), &c).to_bytes(), merged(&a, &merged(&b, &c)).to_bytes());
        prop_assert_eq!(merged(&a, &b).to_bytes(), merged(&b, &a).to_bytes());
        prop_assert_eq!(merged(&a, &Summary::empty()).to_bytes(), a.to_bytes());
        prop_assert_eq!(merged(&Summary::empty(), &a).to_bytes(), a.to_bytes());
    }

    #[test]
    fn united_is_what_one_population_would_have_shown(all in facts(200)) {
        let (limits, apart) = (SummaryLimits::default(), populations());
        let (mut one, several) = (filled_for(&apart.united(), &all, &limits), filled(&all, &limits));
        let active = several.populations.values().filter(|population| population.active.count() > 0).count();
        let Some(mut united) = several.united() else {
            prop_assert!(active < 2);
            return Ok(());
        };
        prop_assert!(active > 1);
        one.bound(&limits);
        united.bound(&limits);
        let parts = |summary: &Summary| {
            let Summary { populations, collectors, domains, pairs, subscribers, .. } = summary;
            format!("{populations:?} {:?} {:?} {:?} {:?}", collectors.sorted(), domains.sorted(), pairs.sorted(), subscribers.sorted())
        };
        prop_assert_eq!(parts(&united), parts(&one));
    }

    #[test]
    fn workers_change_nothing(all in facts(200), deal in prop::collection::vec(0usize..8, 200)) {
        let limits = SummaryLimits::default();
        let whole = filled(&all, &limits);
        for workers in [1, 2, 8] {
            let hand = |worker: usize| -> Vec<Fact> {
                let mine = all.iter().zip(&deal).filter(|(_, to)| **to % workers == worker);
                mine.map(|(fact, _)| fact.clone()).collect()
            };
            let sum = (0..workers).map(|w| filled(&hand(w), &limits)).reduce(|a, b| merged(&b, &a)).expect("workers");
            prop_assert_eq!(sum.to_bytes(), whole.to_bytes(), "{} workers", workers);
            let (mut sum, mut whole) = (sum, whole.clone());
            sum.bound(&limits);
            whole.bound(&limits);
            prop_assert_eq!(sum.to_bytes(), whole.to_bytes(), "{} workers, bounded", workers);
        }
    }

    #[test]
    fn rolling_up_and_merging_commute(a in facts(80), b in facts(80)) {
        let limits = SummaryLimits::default();
        let [a, b] = [a, b].map(|facts| filled(&facts, &limits));
        for to in SpanClass::ALL {
            let (left, right) = (rolled(&merged(&a, &b), to), merged(&rolled(&a, to), &rolled(&b, to)));
            prop_assert_eq!(left.to_bytes(), right.to_bytes());
            prop_assert_eq!(rolled(&rolled(&a, SpanClass::Hour), to.max(SpanClass::Hour)).to_bytes(),
                            rolled(&a, to.max(SpanClass::Hour)).to_bytes());
        }
    }

    #[test]
    fn the_binary_form_comes_back(all in facts(100)) {
        let mut summary = filled(&all, &SummaryLimits::default());
        for _ in 0..2 {
            let bytes = summary.to_bytes();
            prop_assert_eq!(Summary::from_bytes(&bytes).expect("its own form").to_bytes(), bytes);
            summary.bound(&SummaryLimits::default());
        }
    }

    #[test]
    fn totals_survive_every_limit(all in facts(150), most in 1usize..6) {
        let limits = small(most);
        let mut summary = filled(&all, &limits);
        summary.bound(&limits);
        let rows = all.iter().filter(|fact| matches!(fact, Fact::Row(..))).count() as u64;
        prop_assert_eq!(summary.roles.all().rows, rows);
        let mut collectors = *summary.collectors.others();
        summary.collectors.sorted().iter().for_each(|(_, c)| collectors.merge(c.totals));
        prop_assert_eq!(collectors, summary.roles.collect);
        let mut pairs = *summary.pairs.others();
        summary.pairs.sorted().iter().for_each(|(_, p)| pairs.merge(p.totals));
        prop_assert_eq!(pairs, summary.roles.collect);
        let mut subscribers = *summary.subscribers.others();
        summary.subscribers.sorted().iter().for_each(|(_, s)| subscribers.merge(s.totals));
        prop_assert_eq!(subscribers, summary.roles.collect);
        prop_assert!(summary.collectors.len() <= most && summary.pairs.len() <= most);
        prop_assert!(summary.to_bytes().len() <= limits.bytes_max(2));
    }

    #[test]
    fn no_subscriber_stands_in_clear(all in facts(60)) {
        let mut summary = filled(&all, &SummaryLimits::default());
        summary.bound(&SummaryLimits::default());
        let bytes = summary.to_bytes();
        let inside = populations();
        // But for resolvers that several ask.
        let mut asked: BTreeMap<Address, BTreeSet<Address>> = BTreeMap::new();
        for fact in &all {
            if let Fact::Observed(Observation::Lookup(lookup)) = fact {
                asked.entry(lookup.resolver).or_default().insert(inside.subscriber_of(lookup.client));
            }
        }
        let is_asked = |real: &Address| asked.get(real).is_some_and(|clients| clients.len() > 3);
        for fact in &all {
            let Fact::Row(row, _) = fact else { continue };
            for real in row.key.addresses.iter().filter(|a| inside.of(**a).is_some() && !is_asked(a)) {
                let subscriber = inside.subscriber_of(*real).0;
                prop_assert!(!bytes.windows(16).any(|w| w == subscriber || w == real.0), "{} shows", real);
            }
        }
        prop_assert!(!bytes.windows(11).any(|w| w == b"10.20.30.40"), "a Host header with an address is no name");
    }
}

fn small(most: usize) -> SummaryLimits {
    SummaryLimits {
        collectors_max: most,
        domains_max: most,
        pairs_max: most,
        subscribers_max: most,
        carriers_max: most,
        exports_max: most,
        injections_max: most,
        answers_max: most,
        resolvers_max: most,
        answered_max: most,
        zones_max: most,
        servers_max: most,
        hellos_max: most,
        texts_max: most,
    }
}

#[test]
fn one_exchange_is_counted_in_full() {
    let (subscriber, far) = (Address::v4([10, 0, 0, 7]), Address::v4([203, 0, 113, 7]));
    let summary = summary_of(
        &[row(subscriber, far, 10, 1000, 200), row(far, subscriber, 70, 5, 9000)],
        &SummaryLimits::default(),
    );
    let key = CollectorKey { population: PopulationIndex(0), address: far };
    let collector = summary.collectors.of(&key).expect("the far party");
    assert_eq!((collector.totals.bytes_up(), collector.totals.bytes_down()), (10_000, 205));
    assert_eq!((collector.totals.rows, collector.flows_by_collector, collector.rows_answered), (2, 1, 2));
    assert_eq!((collector.subscribers.count(), collector.codewords.of(3)), (1, 2));
    assert_eq!(collector.services.len(), 2, "one at each end");
    let pseudonym = Address::v4([245, 255, 255, 248]);
    let pair = PairKey { population: PopulationIndex(0), collector: far, subscriber: pseudonym };
    let pair = summary.pairs.of(&pair).expect("the pair");
    assert_eq!((pair.totals.flows, pair.upload_row_max, pair.mean_gap()), (2, 9000, Some(DurationNs::from_secs(60))));
    assert_eq!(pair.active_minutes.count(), 2);
    let population = &summary.populations[&PopulationIndex(0)];
    assert_eq!((population.active.count(), population.collectors.count()), (1, 1));
    assert_eq!(summary.native.rows, 2);
    assert!(!summary.limit_hits().any());
}

#[test]
fn a_flood_of_light_keys_cannot_keep_a_heavy_one_out() {
    let limits = SummaryLimits { collectors_max: 100, pairs_max: 100, ..SummaryLimits::default() };
    let scanner = Address::v4([10, 0, 0, 1]);
    let mut rows: Vec<FlowRow> = (0..2000u32)
        .map(|n| row(scanner, Address::v4([198, 51, (n >> 8) as u8, n as u8]), u64::from(n) / 10, 40, 0))
        .collect();
    let heavy = Address::v4([203, 0, 113, 7]);
    rows.push(row(Address::v4([10, 0, 0, 2]), heavy, 205, 50_000_000, 1000));
    let fan_in = Address::v4([203, 0, 113, 8]);
    rows.extend((0..50u8).map(|n| row(Address::v4([10, 0, 1, n]), fan_in, 206, 300, 100)));
    rows.extend((0..2000u32).map(|n| row(scanner, Address::v4([198, 52, (n >> 8) as u8, n as u8]), 207, 40, 0)));
    let mut summary = summary_of(&rows, &limits);
    assert!(summary.limit_hits().collectors > 3000);
    summary.bound(&limits);
    for (address, subscribers) in [(heavy, 1), (fan_in, 50)] {
        let collector = summary.collectors.of(&CollectorKey { population: PopulationIndex(0), address });
        assert_eq!(collector.map(|c| c.subscribers.count()), Some(subscribers), "{address}");
    }
    assert_eq!(summary.subscribers.len(), 52);
}

#[test]
fn copies_are_nobodys_volume() {
    let (subscriber, far) = (Address::v4([10, 0, 0, 7]), Address::v4([203, 0, 113, 7]));
    let (router, sink) = (Address::v4([10, 0, 0, 254]), Address::v4([198, 51, 100, 9]));
    let native = row(subscriber, far, 10, 1000, 200);
    let mut copy = native.clone();
    copy.key.context = 9;
    let carrier = |packets| CarrierRow {
        kind: TunnelKind::Gre,
        outer: [router, sink],
        port: 0,
        id: 1,
        depth: 1,
        packets,
        bytes: [[500, 0], [100, 0]],
    };
    copy.carrier = Some(carrier([[4, 0], [4, 0]]));
    let mirrored = copy.clone();
    let mut honest = native.clone();
    honest.carrier = Some(carrier([[4, 0], [0, 4]]));
    let summary = summary_of(&[native, copy, honest], &SummaryLimits::default());
    assert_eq!((summary.roles.collect.rows, summary.roles.copies.rows), (2, 1));
    let carriers = summary.carriers.sorted();
    let [(key, carrier)] = carriers[..] else { panic!("one tunnel: {carriers:?}") };
    let hidden = Party::Subscriber(PopulationIndex(0), Address::v4([245, 255, 255, 1]));
    assert_eq!(key.outer, [hidden, Party::Outside(sink)]);
    assert_eq!((carrier.rows_copied, carrier.rows_opposite, carrier.packets_copied), ([1, 0], 1, [8, 0]));
    assert_eq!(carrier.subscribers[&PopulationIndex(0)].count(), 1);
    let contained = carrier.tuples.contained_in(&summary.native.tuples).expect("one flow");
    assert_eq!(contained.share, 1.0, "the inner flow is also seen natively");

    // A sensor that is fed by a mirror has nothing else to see.
    let (populations, mut identity, limits) = (populations(), TurnedOver(1), SummaryLimits::default());
    let mut cx = AddContext { populations: &populations, identity: &mut identity, limits: &limits };
    let (mut fed, mut columns) = (Summary::new(window()).with_copies(Copies::Count), FlowColumns::default());
    columns.push(mirrored);
    fed.add_rows(&columns, &[], &mut cx);
    assert_eq!((fed.roles.collect.rows, fed.roles.copies.rows, fed.collectors.len()), (1, 0, 1));
}

#[test]
fn different_grounds_do_not_merge() {
    let limits = SummaryLimits::default();
    let rows = [row(Address::v4([10, 0, 0, 7]), Address::v4([203, 0, 113, 7]), 10, 1, 1)];
    let mine = summary_of(&rows, &limits);
    let mut columns = FlowColumns::default();
    columns.push(rows[0].clone());
    let (own, private, mut other_key, mut same_key) =
        (populations(), Populations::default_private(), TurnedOver(2), TurnedOver(1));
    let mut keyed = Summary::new(window());
    keyed.add_rows(&columns, &[], &mut AddContext { populations: &own, identity: &mut other_key, limits: &limits });
    let mut elsewhere = Summary::new(window());
    let mut cx = AddContext { populations: &private, identity: &mut same_key, limits: &limits };
    elsewhere.add_rows(&columns, &[], &mut cx);
    let table =
        [(keyed, "pseudonym keys"), (elsewhere, "populations"), (Summary::new(window()).with_codebook(8), "codebooks")];
    for (theirs, what) in table {
        let mut sum = mine.clone();
        let error = sum.merge(theirs).expect_err("refused");
        assert_eq!(error.what, what);
        assert_eq!(sum.to_bytes(), mine.to_bytes(), "nothing changed");
    }
}

#[test]
fn every_codeword_is_counted_somewhere() {
    let (populations, mut identity, limits) = (populations(), TurnedOver(1), SummaryLimits::default());
    let mut cx = AddContext { populations: &populations, identity: &mut identity, limits: &limits };
    let mut columns = FlowColumns::default();
    let far = Address::v4([203, 0, 113, 7]);
    (0..3).for_each(|n| columns.push(row(Address::v4([10, 0, 0, n]), far, 10, 1, 1)));
    let mut summary = Summary::new(window());
    summary.add_rows(&columns, &[0, CODEWORDS_MAX, u16::MAX], &mut cx);
    let (_, collector) = summary.collectors.sorted()[0];
    assert_eq!((collector.codewords.total(), collector.codewords_other), (1, 2));
}

#[test]
fn memory_that_is_used_again_remembers_nothing() {
    let limits = SummaryLimits { collectors_max: 6, pairs_max: 6, ..SummaryLimits::default() };
    let rows = |third: u8, count: u8| {
        (0..count).map(move |n| row(Address::v4([10, 0, 0, n % 7]), Address::v4([203, 0, third, n]), 10, 500, 50))
    };
    let (first, second): (Vec<_>, Vec<_>) = (rows(1, 30).collect(), rows(2, 20).collect());
    let refilled = |used: Summary| {
        let (populations, mut identity, mut columns) = (populations(), TurnedOver(1), FlowColumns::default());
        let mut cx = AddContext { populations: &populations, identity: &mut identity, limits: &limits };
        second.iter().for_each(|row| columns.push(row.clone()));
        let mut summary = used.renewed(window());
        summary.add_rows(&columns, &[], &mut cx);
        summary.to_bytes()
    };
    let wanted = refilled(Summary::empty());
    assert!(refilled(summary_of(&first, &limits)) == wanted, "forgotten");
    let (mut hour, mut taken) = (summary_of(&second[..3], &limits), summary_of(&first, &limits));
    let sum = {
        let mut sum = hour.clone();
        sum.merge(taken.clone()).expect("one basis");
        sum.to_bytes()
    };
    hour.take_in(&mut taken).expect("one basis");
    assert!(hour.to_bytes() == sum, "taken in is merged");
    assert!(refilled(taken) == wanted, "left behind by a merge");
}

mod resolvers;
mod spans;

pub(crate) use spans::{hour_of, hour_with, looked_up};
