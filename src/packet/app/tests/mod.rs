//! The laws of the room: no bytes panic, no cutting into segments and no order changes the facts, one side is enough.

pub(super) mod samples;

use proptest::prelude::*;

use super::*;
use crate::packet::facts::{AppProtocol, SeldomFacts};
use samples::*;

const CTX: AppContext = AppContext { ts: TimestampNs(7), orig: Address([1; 16]), resp: Address([2; 16]) };

/// One side's bytes and the ports of its flow.
struct Sample {
    name: &'static str,
    ports: [u16; 2],
    sides: [Vec<u8>; 2],
    wanted: fn(&AppFacts) -> bool,
}

fn is_tls12(facts: &AppFacts) -> bool {
    let certificate = facts.certificate.as_deref();
    facts.protocol == Some(AppProtocol::Tls)
        && facts.server_name.as_deref() == Some("www.example.net")
        && facts.ja4.as_deref() == Some(CLIENT_HELLO_JA4)
        && facts.tls_version == Some(0x0303)
        && facts.tls_cipher == Some(0xc02f)
        && facts.alpn.as_deref() == Some("h2")
        && certificate.is_some_and(|c| {
            &*c.issuer == "CN=www.example.net,O=Example\\, Ltd.,C=NL"
                && c.subject == c.issuer
                && c.names.iter().map(|n| &**n).eq(["www.example.net", "*.example.net"])
                && c.key_hash == 0x7760_7e8a_3e81_6573
        })
}

fn samples() -> Vec<Sample> {
    let hello = || records(&client_hello("WWW.example.net."), 16384);
    let flight = || records(&server_flight_tls12(), 16384);
    let tail = |kind| record(kind, &[0x77; 40]);
    let sample = |name, ports, orig: &[&[u8]], resp: &[&[u8]], wanted| Sample {
        name,
        ports,
        sides: [orig.concat(), resp.concat()],
        wanted,
    };
    let text = |t: &'static str| t.as_bytes();
    vec![
        sample("TLS 1.2", [50000, 443], &[&hello(), &tail(20)], &[&flight(), &tail(20)], is_tls12),
        sample(
            "TLS 1.2 in small records",
            [50000, 8443],
            &[&records(&client_hello("www.example.net"), 50), &tail(23)],
            &[&records(&server_flight_tls12(), 91), &tail(23)],
            is_tls12,
        ),
        sample(
            "TLS 1.3 with a second hello",
            [50000, 443],
            &[&hello(), &tail(20), &hello(), &tail(23)],
            &[&records(&hello_retry_request(), 999), &tail(20), &records(&server_hello_tls13(), 999), &tail(23)],
            |f| {
                f.tls_version == Some(0x0304)
                    && f.tls_cipher == Some(0x1301)
                    && f.ja4.is_some()
                    && f.ja4 == f.seldom().ja4_retry
            },
        ),
        sample(
            "CONNECT",
            [50000, 8080],
            &[text("CONNECT proxied.example:443 HTTP/1.1\r\nHost: proxied.example:443\r\n\r\n"), &hello(), &tail(23)],
            &[text("HTTP/1.1 200 Connection established\r\n\r\n"), &flight(), &tail(23)],
            |f| {
                is_tls12(f)
                    && f.seldom().http_status == Some(200)
                    && f.seldom().http_path.as_deref() == Some("proxied.example:443")
            },
        ),
        sample(
            "SOCKS 5 with a password",
            [50000, 1080],
            &[b"\x05\x02\x00\x02\x01\x04user\x04pass\x05\x01\x00\x03\x0fwww.example.net\x01\xbb", &hello(), &tail(23)],
            &[b"\x05\x02\x01\x00\x05\x00\x00\x01\x0a\x00\x00\x01\x01\xbb", &flight(), &tail(23)],
            is_tls12,
        ),
        sample(
            "SOCKS 4A",
            [50000, 1080],
            &[b"\x04\x01\x01\xbb\x00\x00\x00\x01user\x00www.example.net\x00", &hello(), &tail(23)],
            &[b"\x00\x5a\x01\xbb\x0a\x00\x00\x01", &flight(), &tail(23)],
            is_tls12,
        ),
        sample(
            "STARTTLS",
            [50000, 25],
            &[text("EHLO a\r\nSTARTTLS\r\n"), &hello(), &tail(23)],
            &[text("220 mail ESMTP\r\n250-mail\r\n250 STARTTLS\r\n220 go on\r\n"), &flight(), &tail(23)],
            is_tls12,
        ),
        sample(
            "PostgreSQL",
            [50000, 5432],
            &[&[0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f], &hello(), &tail(23)],
            &[b"S", &flight(), &tail(23)],
            is_tls12,
        ),
        sample(
            "HTTP",
            [50000, 80],
            &[text("POST /a/b?c=d HTTP/1.1\r\nA: b\r\nhost: H.example:80\r\n\r\nbody\r\n\r\n")],
            &[text("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc")],
            |f| {
                f.protocol == Some(AppProtocol::Http)
                    && f.seldom().http_method.as_deref() == Some("POST")
                    && f.seldom().http_path.as_deref() == Some("/a/b")
                    && f.server_name.as_deref() == Some("h.example")
                    && f.seldom().http_status == Some(404)
            },
        ),
        sample(
            "SSH",
            [50000, 2222],
            &[text("SSH-2.0-Client_1 x\r\n"), &[0, 0, 1, 2]],
            &[text("SSH-2.0-Server\n"), &[0, 0, 1, 2]],
            |f| {
                f.protocol == Some(AppProtocol::Ssh)
                    && f.seldom().ssh_banners == [Some("SSH-2.0-Client_1 x".into()), Some("SSH-2.0-Server".into())]
            },
        ),
        sample(
            "DNS",
            [50000, 53],
            &[&dns_over_tcp(&[dns(1, 0x0100, [1, 0, 0, 0], &[QUESTION]), dns(2, 0x0100, [1, 0, 0, 0], &[QUESTION])])],
            &[&dns_over_tcp(&[dns_answer(1), dns_answer(2)])],
            |f| {
                f.protocol == Some(AppProtocol::Dns)
                    && (f.dns_queries, f.dns_answers) == (2, 2)
                    && f.server_name.as_deref() == Some("www.example.net")
            },
        ),
    ]
}

type Segment = (Side, usize, usize);

/// Feeds segments as the flow table does; the state begins with the first of them.
fn feed(sample: &Sample, segments: &[Segment]) -> (AppFacts, Vec<NameLookup>) {
    let mut state: Option<Box<AppState>> = None;
    let mut lookups = Vec::new();
    let mut facts = None;
    for (side, start, end) in segments {
        let payload = &sample.sides[side.index()][*start..*end];
        if state.is_none() && facts.is_none() {
            state = AppState::start_at(6, sample.ports, *start as u32, payload);
            assert!(state.is_some(), "{}: no state for {payload:02x?}", sample.name);
        }
        let Some(running) = &mut state else { continue };
        if running.stream(*side, *start as u32, payload, &CTX, &mut lookups) == Progress::Done {
            facts = Some(running.take_facts());
            state = None;
        }
    }
    let facts = facts.unwrap_or_else(|| state.map(|mut s| s.take_facts()).unwrap_or_default());
    (facts, lookups)
}

fn whole(sample: &Sample) -> [Segment; 2] {
    Side::BOTH.map(|side| (side, 0, sample.sides[side.index()].len()))
}

#[test]
fn each_sample_says_what_it_should() {
    for sample in samples() {
        let (facts, _) = feed(&sample, &whole(&sample));
        assert!((sample.wanted)(&facts), "{}: {facts:#?}", sample.name);
    }
}

#[test]
fn a_split_at_any_boundary_changes_nothing() {
    for sample in samples() {
        let [orig, resp] = whole(&sample);
        let (wanted, lookups) = feed(&sample, &[orig, resp]);
        for (split, other) in [(orig, resp), (resp, orig)] {
            for at in 1..split.2 {
                for second_first in [false, true] {
                    let mut halves = [(split.0, 0, at), (split.0, at, split.2)];
                    if second_first {
                        halves.reverse();
                    }
                    let (facts, found) = feed(&sample, &[halves[0], halves[1], other]);
                    assert_eq!(facts, wanted, "{} split at {at} of {:?}", sample.name, split.0);
                    assert_eq!(found.len(), lookups.len(), "{} split at {at}", sample.name);
                }
            }
        }
    }
}

#[test]
fn a_client_of_chat_is_told_from_those_of_files_and_mail() {
    let long = [b"NICK ".as_slice(), &[b'a'; 512]].concat();
    let table: [(&[u8], Option<AppProtocol>); 8] = [
        (b"NICK a\r\nUSER a 0 * :A B\r\n", Some(AppProtocol::Irc)),
        (b"PASS x\r\nUSER a 0 * :A B\r\n", Some(AppProtocol::Irc)),
        (b"CAP LS 302\r\n", Some(AppProtocol::Irc)),
        (b"USER a\r\nPASS b\r\nNICK a\r\n", None),
        (b"PASS x\r\nPASS y\r\nNICK a\r\n", None),
        (b"PASS x\r\nUSER a\r\n", None),
        (b"NICK a", None),
        (&long, None),
    ];
    for (line, wanted) in table {
        let one = Sample { name: "chat", ports: [50000, 6667], sides: [line.to_vec(), Vec::new()], wanted: |_| true };
        let whole = (Side::Orig, 0, line.len());
        assert_eq!(feed(&one, &[whole]).0.protocol, wanted, "{}", line.escape_ascii());
        let bytes: Vec<Segment> = (0..line.len()).map(|at| (Side::Orig, at, at + 1)).collect();
        let cut = feed(&one, &[&[(Side::Orig, 0, 8.min(line.len()))], &bytes[8.min(line.len())..]].concat());
        assert_eq!(cut.0.protocol, wanted, "byte by byte: {}", line.escape_ascii());
    }
}

#[test]
fn one_side_is_enough() {
    for sample in samples() {
        let [orig, resp] = whole(&sample);
        let (both, _) = feed(&sample, &[orig, resp]);
        let (client, _) = feed(&sample, &[orig]);
        let (server, _) = feed(&sample, &[resp]);
        assert_eq!(client.protocol, both.protocol, "{}", sample.name);
        assert_eq!(server.protocol, both.protocol, "{}", sample.name);
        assert_eq!(client.server_name, both.server_name, "{}", sample.name);
        assert_eq!((client.ja4, client.seldom().ja4_retry), (both.ja4, both.seldom().ja4_retry), "{}", sample.name);
        assert_eq!(server.certificate, both.certificate, "{}", sample.name);
        assert_eq!(server.tls_cipher, both.tls_cipher, "{}", sample.name);
        assert_eq!(server.seldom().http_status, both.seldom().http_status, "{}", sample.name);
    }
}

#[test]
fn a_stream_cut_at_any_length_is_used_as_far_as_it_goes() {
    for sample in samples() {
        let [orig, resp] = whole(&sample);
        let mut named = false;
        for end in 1..=orig.2 {
            let (facts, _) = feed(&sample, &[(orig.0, 0, end), resp]);
            // What more bytes said can only be added to, never taken back.
            assert!(!named || facts.server_name.is_some(), "{} cut at {end}", sample.name);
            named |= facts.server_name.is_some();
        }
        for end in 1..=resp.2 {
            feed(&sample, &[orig, (resp.0, 0, end)]);
        }
    }
}

#[test]
fn foreign_streams_get_no_state() {
    let table: &[(&str, [u16; 2], &[u8])] = &[
        ("TLS application data", [1, 443], &[23, 3, 3, 0, 40, 1, 2, 3]),
        ("TLS record with another message", [1, 443], &[22, 3, 3, 0, 40, 16, 2, 3]),
        ("zeros", [1, 443], &[0; 20]),
        ("text", [1, 4444], b"hello world\n"),
        ("lower-case method", [1, 80], b"get / HTTP/1.1\r\n"),
        ("BitTorrent", [1, 6881], b"\x13BitTorrent protocol"),
        ("nothing", [1, 443], b""),
    ];
    for (name, ports, payload) in table {
        assert!(AppState::start(6, *ports, payload).is_none(), "{name}");
    }
    let table: &[(&str, [u16; 2], &[u8])] = &[
        ("RTP", [4000, 4002], &[0x80, 0x60, 0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3]),
        ("NTP", [123, 123], &[0x23; 48]),
        ("WireGuard", [51820, 51820], &[1, 0, 0, 0, 9, 9, 9, 9]),
        ("NetBIOS name", [137, 137], &dns(1, 0x0110, [1, 0, 0, 0], &[&[32], &[b'A'; 32], &[0, 0, 0x20, 0, 1]])),
        ("no DNS on its port", [4000, 53], b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
    ];
    for (name, ports, payload) in table {
        assert!(AppState::start(17, *ports, payload).is_none(), "{name}");
    }
    assert!(AppState::start(1, [0, 0], b"SSH-2.0-x\r\n").is_none(), "neither TCP nor UDP");
}

#[test]
fn bounds_end_a_side_and_are_counted() {
    let count = |state: &mut AppState, protocol, event| {
        state.take_facts();
        let mut counters = AppCounters::default();
        state.count_into(&mut counters);
        counters.of(protocol, event)
    };
    let hello = records(&client_hello("www.example.net"), 999);
    let mut lookups = Vec::new();
    // A hole that no bound can bridge.
    let mut state = AppState::start(6, [1, 443], &hello).expect("a hello begins a state");
    state.stream(Side::Orig, 0, &hello[..100], &CTX, &mut lookups);
    state.stream(Side::Orig, 100 + APP_BYTES_MAX as u32, &[0; 10], &CTX, &mut lookups);
    assert!(!state.wants(Side::Orig) && state.wants(Side::Resp));
    assert_eq!(state.facts().server_name.as_deref(), Some("www.example.net"), "the part before the hole is used");
    assert_eq!(count(&mut state, Some(AppProtocol::Tls), AppEvent::BufferFull), 1);
    // A hello that is longer than any.
    let mut state = AppState::start(6, [1, 443], &record(22, &[1, 0, 0x80, 0, 3, 3])).expect("a hello begins a state");
    state.stream(Side::Orig, 0, &record(22, &[1, 0, 0x80, 0, 3, 3]), &CTX, &mut lookups);
    assert!(!state.wants(Side::Orig));
    assert_eq!(count(&mut state, Some(AppProtocol::Tls), AppEvent::BufferFull), 1);
}

#[test]
fn a_client_that_was_answered_is_waited_for_no_longer() {
    let hello = records(&client_hello("www.example.net"), 999);
    let retry = records(&hello_retry_request(), 999);
    let answer = records(&server_hello_tls13(), 999);
    let second = hello.len() as u32;
    type Steps<'a> = &'a [(Side, u32, &'a [u8], Progress)];
    let table: [(&str, Steps<'_>); 3] = [
        ("answered at once", &[(Side::Orig, 0, &hello, Progress::More), (Side::Resp, 0, &answer, Progress::Done)]),
        ("the answer first", &[(Side::Resp, 0, &answer, Progress::More), (Side::Orig, 0, &hello, Progress::Done)]),
        (
            "asked for a second hello, which comes last",
            &[
                (Side::Orig, 0, &hello, Progress::More),
                (Side::Resp, 0, &retry, Progress::More),
                (Side::Resp, retry.len() as u32, &answer, Progress::More),
                (Side::Orig, second, &hello, Progress::Done),
            ],
        ),
    ];
    for (name, steps) in table {
        let mut state = AppState::start(6, [50000, 443], steps[0].2).expect("a hello begins a state");
        let mut lookups = Vec::new();
        for (step, (side, offset, payload, wanted)) in steps.iter().enumerate() {
            let progress = state.stream(*side, *offset, payload, &CTX, &mut lookups);
            assert_eq!(progress, *wanted, "{name}: step {step}");
        }
        let facts = state.take_facts();
        assert!(facts.ja4.is_some() && facts.tls_cipher == Some(0x1301), "{name}");
        assert_eq!(facts.seldom().ja4_retry.is_some(), steps.len() > 2, "{name}");
    }
}

#[test]
fn a_dns_flow_never_ends_and_keeps_nothing() {
    let query = dns_over_tcp(&[dns(1, 0x0100, [1, 0, 0, 0], &[QUESTION])]);
    let mut state = AppState::start(6, [50000, 53], &query).expect("DNS begins a state");
    let mut lookups = Vec::new();
    for turn in 0..3000 {
        let progress = state.stream(Side::Orig, (turn * query.len()) as u32, &query, &CTX, &mut lookups);
        assert_eq!(progress, Progress::More);
    }
    assert_eq!((lookups.len(), state.facts().dns_queries), (3000, 3000));
}

fn shuffled<T>(items: &mut [T], seed: u64) {
    let mut state = seed | 1;
    for i in (1..items.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        items.swap(i, (state >> 33) as usize % (i + 1));
    }
}

#[test]
fn stun_is_proved_by_its_cookie_and_yields_to_what_follows() {
    let request = |cookie: [u8; 4]| [&[0, 1, 0, 0][..], &cookie, &[7; 12]].concat();
    let stun = request([0x21, 0x12, 0xa4, 0x42]);
    let mut state = AppState::start(17, [50_000, 3_478], &stun).expect("may be read");
    state.datagram(Side::Orig, &stun, &CTX, &mut Vec::new());
    assert_eq!(state.facts().protocol, Some(AppProtocol::Stun));
    // Not without it: that may be anything.
    let other = request([0; 4]);
    let told = AppState::start(17, [50_000, 3_478], &other).map(|mut state| {
        state.datagram(Side::Orig, &other, &CTX, &mut Vec::new());
        state.take_facts().protocol
    });
    assert!(!matches!(told, Some(Some(AppProtocol::Stun))));
}

#[test]
fn one_message_of_wireguard_tells_all_there_is() {
    let mut initiation = vec![9; 148];
    initiation[..4].copy_from_slice(&[1, 0, 0, 0]);
    let mut state = AppState::start(17, [51_820, 51_820], &initiation).expect("may be read");
    assert!(state.wants(Side::Orig));
    assert_eq!(state.datagram(Side::Orig, &initiation, &CTX, &mut Vec::new()), Progress::Done);
    assert!(Side::BOTH.iter().all(|side| !state.wants(*side)));
    assert_eq!(state.take_facts().protocol, Some(AppProtocol::WireGuard));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Cut anywhere, in any order, some twice: the facts stay.
    #[test]
    fn segments_in_any_order_give_the_same_facts(
        cuts in proptest::collection::vec(1usize..120, 1..12),
        repeat in 1usize..7,
        seed in any::<u64>(),
    ) {
        for sample in samples() {
            let (wanted, lookups) = feed(&sample, &whole(&sample));
            let mut segments = Vec::new();
            for (side, _, len) in whole(&sample) {
                let (mut at, mut i) = (0, 0);
                while at < len {
                    let end = (at + cuts[i % cuts.len()]).min(len);
                    segments.push((side, at, end));
                    if i % repeat == 0 {
                        segments.push((side, at.saturating_sub(3), end));
                    }
                    (at, i) = (end, i + 1);
                }
            }
            shuffled(&mut segments, seed);
            let (facts, found) = feed(&sample, &segments);
            prop_assert_eq!(&facts, &wanted, "{}", sample.name);
            prop_assert_eq!(found.len(), lookups.len(), "{}", sample.name);
        }
    }

    /// Any bytes at all, over any transport.
    #[test]
    fn byte_soup_never_panics(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        head in 0usize..12,
        cut in 1usize..200,
        port in prop_oneof![Just(53u16), Just(5353), Just(443), any::<u16>()],
    ) {
        const HEADS: [&[u8]; 12] = [
            b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x16\x03\x03\x00\x5a\x02\x00\x00\x56\x03\x03", b"SSH-",
            b"GET /", b"HTTP/1.1 200 ", b"\x05\x01", b"\x04\x01", b"\xc3\x00\x00\x00\x01\x08abcdefgh\x00\x00\x41\x00",
            b"\x16\xfe\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01\x00\x01\xf0\x00\x00\x00\x00\x00\x00\x01\xf0\xfe\xfd",
            b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", b"220 x\r\n",
        ];
        let bytes = [HEADS[head], &bytes].concat();
        let mut lookups = Vec::new();
        for protocol in [6, 17] {
            if let Some(mut state) = AppState::start(protocol, [port, 40000], &bytes) {
                for (i, chunk) in bytes.chunks(cut).enumerate() {
                    for side in Side::BOTH {
                        state.stream(side, (i * cut) as u32, chunk, &CTX, &mut lookups);
                        state.datagram(side, chunk, &CTX, &mut lookups);
                        state.datagram(side, &bytes, &CTX, &mut lookups);
                    }
                }
                let facts = state.take_facts();
                let SeldomFacts { http_path, ssh_banners, .. } = facts.seldom();
                for text in [&facts.server_name, &facts.alpn, http_path, &ssh_banners[0]].into_iter().flatten() {
                    prop_assert!(text.bytes().all(|b| (0x20..0x7f).contains(&b)));
                }
            }
        }
    }

    /// One bit of a good stream wrong.
    #[test]
    fn a_flipped_bit_never_panics(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        for mut sample in samples() {
            for side in 0..2 {
                let place = at.index(sample.sides[side].len());
                sample.sides[side][place] ^= 1 << bit;
            }
            let mut lookups = Vec::new();
            let first = &sample.sides[0];
            if let Some(mut state) = AppState::start(6, sample.ports, first) {
                for side in Side::BOTH {
                    state.stream(side, 0, &sample.sides[side.index()], &CTX, &mut lookups);
                }
                state.take_facts();
            }
        }
    }
}
