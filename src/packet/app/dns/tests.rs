//! DNS messages by table, and against `simple-dns`.

use proptest::prelude::*;

use super::*;
use crate::packet::app::tests::samples::{QUESTION, dns, dns_answer, dns_record};
use crate::units::TimestampNs;

const CTX: AppContext = AppContext { ts: TimestampNs(7), orig: Address([1; 16]), resp: Address([2; 16]) };

fn lookup(message: &[u8], sender: Side) -> Option<NameLookup> {
    let mut lookups = Vec::new();
    read_message(message, message.len(), DnsKind::Unicast, sender, &CTX, &mut Notes::default(), &mut lookups);
    lookups.pop()
}

#[test]
fn a_query_and_its_answer() {
    let query = lookup(&dns(7, 0x0100, [1, 0, 0, 0], &[QUESTION]), Side::Orig).expect("a query is told");
    assert_eq!((&*query.name, query.qtype, query.rcode, query.id), ("www.example.net", 1, None, 7));
    assert_eq!((query.client, query.resolver), (CTX.orig, CTX.resp));
    let answer = lookup(&dns_answer(7), Side::Resp).expect("an answer is told");
    assert_eq!((&*answer.name, answer.rcode, answer.ttl_s), ("www.example.net", Some(0), 60));
    assert_eq!((answer.client, answer.resolver), (CTX.orig, CTX.resp));
    let addresses: Vec<String> = answer.answers.iter().map(|a| a.to_string()).collect();
    assert_eq!(addresses, ["192.0.2.7", "2001:db8::1"]);
}

#[test]
fn odd_messages() {
    let loop_to_itself = dns(1, 0x0100, [1, 0, 0, 0], &[b"\xc0\x0c\x00\x01\x00\x01"]);
    let loop_of_two = dns(1, 0x0100, [1, 0, 0, 0], &[b"\x01a\xc0\x10\xc0\x0c\x00\x01\x00\x01"]);
    let forwards = dns(1, 0x0100, [1, 0, 0, 0], &[b"\xc0\x12\x00\x01\x00\x01\x01a\x00"]);
    let reserved = dns(1, 0x0100, [1, 0, 0, 0], &[b"\x41a\x00\x00\x01\x00\x01"]);
    let long = dns(1, 0x0100, [1, 0, 0, 0], &[&[&[63][..], &[b'a'; 63]].concat().repeat(4), b"\x00\x00\x01\x00\x01"]);
    let short_address = dns(1, 0x8180, [1, 1, 0, 0], &[QUESTION, &dns_record(1, 5, &[1, 2, 3])]);
    let table: &[(&str, &[u8], Option<&str>)] = &[
        ("compression loop", &loop_to_itself, None),
        ("compression loop of two", &loop_of_two, None),
        ("pointer forwards", &forwards, None),
        ("reserved label type", &reserved, None),
        ("name over 255 bytes", &long, None),
        ("A record of three bytes", &short_address, Some("www.example.net")),
        ("empty", &[], None),
        ("header only", &dns(1, 0x8183, [0; 4], &[]), None),
        ("root", &dns(1, 0x0100, [1, 0, 0, 0], &[b"\x00\x00\x02\x00\x01"]), Some(".")),
        ("escape to a terminal", &dns(1, 0x0100, [1, 0, 0, 0], &[b"\x02\x1bc\x00\x00\x01\x00\x01"]), Some("\\x1bc")),
        (
            "answer without question",
            &dns(1, 0x8180, [0, 1, 0, 0], &[b"\x01a\x00\x00\x01\x00\x01\0\0\0\x05\x00\x04\x01\x02\x03\x04"]),
            Some("a"),
        ),
        (
            "counts that promise more",
            &dns(1, 0x8180, [1, 9, 0, 0], &[QUESTION, &dns_record(1, 5, &[1, 2, 3, 4])]),
            Some("www.example.net"),
        ),
        ("update", &dns(1, 0x2800, [1, 0, 0, 0], &[QUESTION]), None),
    ];
    for (name, message, wanted) in table {
        let found = lookup(message, Side::Orig);
        assert_eq!(found.as_ref().map(|l| &*l.name), *wanted, "{name}");
    }
}

#[test]
fn extended_response_codes() {
    let badvers = dns(1, 0x8180, [1, 0, 0, 1], &[QUESTION, b"\x00\x00\x29\x04\xd0\x01\x00\x00\x00\x00\x00"]);
    assert_eq!(lookup(&badvers, Side::Resp).and_then(|l| l.rcode), Some(16));
}

#[test]
fn where_an_answer_leads_by_names_is_one_number_whatever_their_order() {
    let leads = |records: &[&Vec<u8>]| {
        let records: Vec<Vec<u8>> = records.iter().map(|record| (*record).clone()).collect();
        let counts = [1, records.len() as u16, 0, 0];
        lookup(&dns(1, 0x8180, counts, &[QUESTION, &records.concat()]), Side::Resp).expect("an answer").leads
    };
    let mail = |name: &[u8]| dns_record(15, 60, &[b"\x00\x0a", name].concat());
    let [one, other] = [mail(b"\x02mx\x00"), mail(b"\x02my\x00")];
    assert_eq!(leads(&[&one, &other]), leads(&[&other, &one]));
    assert_eq!(leads(&[&one]), leads(&[&mail(b"\x02MX\x00")]));
    let long = |last: u8| dns_record(65, 60, &[&[b'A'; 150][..], &[last]].concat());
    assert_eq!(leads(&[&long(b'A')]), leads(&[&long(b'a')]));
    assert_ne!(leads(&[&long(b'A')]), leads(&[&long(b'B')]));
    assert_ne!(leads(&[&one]), leads(&[&other]));
    assert_ne!(leads(&[&one]), 0);
    assert_eq!(leads(&[&dns_record(1, 60, &[192, 0, 2, 7]), &dns_record(16, 60, b"\x01a")]), 0);
}

#[test]
fn multicast_is_no_lookup() {
    let query = dns(0, 0, [1, 0, 0, 0], &[QUESTION]);
    for (port, kind) in [(5353, DnsKind::Mdns), (5355, DnsKind::Llmnr)] {
        let mut state = crate::packet::app::AppState::start(17, [40000, port], &query).expect("it is DNS in form");
        let mut lookups = Vec::new();
        state.datagram(Side::Orig, &query, &CTX, &mut lookups);
        assert!(lookups.is_empty(), "{port}");
        assert_eq!((state.facts().dns_kind, state.facts().dns_queries), (kind, 1), "{port}");
    }
}

#[test]
fn other_ports_need_the_whole_message_to_be_sound() {
    let query = dns(7, 0x0100, [1, 0, 0, 0], &[QUESTION]);
    assert!(plausible(&query, None));
    assert!(!plausible(&[&query[..], &[0]].concat(), None), "a byte too many");
    assert!(!plausible(&query[..query.len() - 1], None), "a byte too few");
}

fn wire_name() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..20), 0..5).prop_map(|labels| {
        let mut name: Vec<u8> = labels.iter().flat_map(|l| [&[l.len() as u8][..], l].concat()).collect();
        name.push(0);
        name
    })
}

proptest! {
    /// Where `simple-dns` reads a message, this reads the same names and addresses.
    #[test]
    fn agrees_with_simple_dns(
        name in wire_name(),
        records in proptest::collection::vec((any::<u32>(), prop_oneof![Just(4usize), Just(16)], any::<[u8; 16]>()), 0..24),
        cut in proptest::option::of(0usize..300),
    ) {
        let question = [&name[..], &[0, 1, 0, 1]].concat();
        let body: Vec<u8> = records
            .iter()
            .flat_map(|(ttl, len, value)| dns_record(if *len == 4 { 1 } else { 28 }, *ttl, &value[..*len]))
            .collect();
        let mut message = dns(3, 0x8180, [1, records.len() as u16, 0, 0], &[&question, &body]);
        if let Some(cut) = cut {
            message.truncate(cut);
        }
        let ours = lookup(&message, Side::Resp);
        if let Ok(theirs) = simple_dns::Packet::parse(&message) {
            let ours = ours.expect("what they read, we read");
            let labels: Vec<&[u8]> = theirs.questions[0].qname.as_bytes().collect();
            prop_assert_eq!(&*ours.name, &*names::dns_name(labels.into_iter()));
            prop_assert_eq!(ours.answers.len(), theirs.answers.len().min(DNS_ANSWERS_MAX));
            for (ours, theirs) in ours.answers.iter().zip(&theirs.answers) {
                let theirs = match &theirs.rdata {
                    simple_dns::rdata::RData::A(a) => Address::v4(a.address.to_be_bytes()),
                    simple_dns::rdata::RData::AAAA(a) => Address::v6(a.address.to_be_bytes()),
                    other => panic!("neither A nor AAAA: {other:?}"),
                };
                prop_assert_eq!(*ours, theirs);
            }
            prop_assert_eq!(ours.ttl_s, theirs.answers.iter().map(|a| a.ttl).min().unwrap_or(0));
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = lookup(&bytes, Side::Orig);
        let counts = dns(1, 0x8180, [1, 0xffff, 0xffff, 0xffff], &[&bytes]);
        let _ = lookup(&counts, Side::Orig);
    }
}
