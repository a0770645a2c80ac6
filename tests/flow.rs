//! The flow table's promises, on packets made by hand and by proptest.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use trawlwatch::capture::frame::{Frame, FrameBatch, LinkType};
use trawlwatch::flow::observation::Observation;
use trawlwatch::flow::row::{ConnState, FlowColumns, FlowRow, OrigBy, RowEnd, SideRow};
use trawlwatch::flow::{ChecksumPolicy, FlowConfig, FlowCounters, FlowTable};
use trawlwatch::packet::columns::{FlowKey, NO_TUNNEL, PacketColumns, PacketRow, PayloadPlace};
use trawlwatch::packet::facts::AppProtocol;
use trawlwatch::units::{Address, DurationNs, TimestampNs};

#[path = "flow/slots.rs"]
mod slots;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;
const TCP: u8 = 6;
const UDP: u8 = 17;
const SECOND: u64 = 1_000_000_000;

fn key(host: u8, ports: [u16; 2], protocol: u8) -> FlowKey {
    let addresses = [Address::v4([10, 0, 0, host]), Address::v4([192, 0, 2, 1])];
    FlowKey { addresses, ports, context: 0, protocol, version: 4 }
}

fn packet(ts: u64, key: FlowKey, from: u8, payload: u32) -> PacketRow {
    PacketRow {
        ts: TimestampNs(ts),
        key,
        from,
        ip_bytes: 40 + payload,
        payload_bytes: payload,
        tcp_flags: if key.protocol == TCP { ACK } else { 0 },
        ttl: 64,
        tunnel: NO_TUNNEL,
        ..PacketRow::default()
    }
}

fn tcp(ts: u64, from: u8, flags: u8, seq: u32, ack: u32, payload: u32) -> PacketRow {
    let base = packet(ts, key(1, [40_000, 80], TCP), from, payload);
    PacketRow { tcp_flags: flags, tcp_seq: seq, tcp_ack: ack, tcp_window: 1000, ..base }
}

/// A frame for every packet, so that rows can name one.
fn frames() -> FrameBatch {
    let mut batch = FrameBatch::new(Arc::from([]));
    for number in 1..=4 {
        batch.push(&Frame {
            ts: TimestampNs(number),
            link: LinkType(1),
            wire_bytes: 64,
            number,
            file: 0,
            bytes: &[7; 64],
            lent: None,
        });
    }
    batch
}

struct Outcome {
    rows: Vec<FlowRow>,
    observations: Vec<Observation>,
    counters: FlowCounters,
}

/// Runs packets in batches of the given sizes (the last takes the rest) and ends the input.
fn run(config: &FlowConfig, packets: &[PacketRow], batches: &[usize]) -> Outcome {
    let mut table = FlowTable::new(config.clone());
    let (mut rows, mut observations, frames) = (FlowColumns::default(), Vec::new(), frames());
    let mut rest = packets;
    for size in batches.iter().copied().chain([usize::MAX]) {
        let (now, later) = rest.split_at(size.min(rest.len()));
        rest = later;
        let mut columns = PacketColumns::default();
        now.iter().for_each(|row| columns.push(*row));
        table.apply(&columns, &frames, &mut rows, &mut observations);
    }
    table.finish(&mut rows, &mut observations);
    assert!(table.is_empty());
    Outcome { rows: (0..rows.len()).map(|i| rows.row(i)).collect(), observations, counters: table.counters() }
}

fn whole() -> FlowConfig {
    FlowConfig { window: DurationNs::ZERO, ..FlowConfig::default() }
}

fn history(row: &FlowRow) -> String {
    String::from_utf8_lossy(&row.history).trim_end_matches('\0').to_owned()
}

/// A whole connection: handshake, request of 100 bytes, answer of 3000 in three segments, both FINs, the last ACK.
fn connection(start: u64) -> Vec<PacketRow> {
    let ms = |n: u64| start + n * 1_000_000;
    vec![
        tcp(ms(0), 0, SYN, 1000, 0, 0),
        tcp(ms(20), 1, SYN | ACK, 5000, 1001, 0),
        tcp(ms(21), 0, ACK, 1001, 5001, 0),
        tcp(ms(22), 0, ACK, 1001, 5001, 100),
        tcp(ms(40), 1, ACK, 5001, 1101, 1000),
        tcp(ms(41), 1, ACK, 6001, 1101, 1000),
        tcp(ms(42), 1, ACK, 7001, 1101, 1000),
        tcp(ms(43), 0, ACK, 1101, 8001, 0),
        tcp(ms(50), 1, FIN | ACK, 8001, 1101, 0),
        tcp(ms(51), 0, FIN | ACK, 1101, 8002, 0),
        tcp(ms(70), 1, ACK, 8002, 1102, 0),
    ]
}

#[test]
fn a_connection_from_handshake_to_close() {
    let out = run(&whole(), &connection(SECOND), &[]);
    assert_eq!(out.rows.len(), 1);
    let row = &out.rows[0];
    assert_eq!((row.state, row.end, row.orig_by, row.orig_end), (ConnState::SF, RowEnd::Closed, OrigBy::Handshake, 0));
    assert_eq!(history(row), "ShADdfFa");
    assert_eq!((row.sides[0].stream_bytes, row.sides[1].stream_bytes), (100, 3000));
    assert_eq!((row.sides[0].packets, row.sides[1].packets), (5, 6));
    assert_eq!(row.rtt_syn_ack, DurationNs::from_millis(20));
    assert_eq!((row.turns, row.bursts, row.active), (2, 1, DurationNs::from_millis(70)));
    assert_eq!(row.ts_last.since(row.flow_start), DurationNs::from_millis(70));
    assert_eq!(row.ts_open_last.since(row.flow_start), DurationNs::from_millis(51), "the last ACK trails the close");
    assert_eq!(row.sides[1].first_sizes[..4], [1000, 1000, 1000, 0]);
    assert_eq!(row.sides[1].first_gaps_us[1..4], [20_000, 1_000, 1_000]);
    assert_eq!((row.sides[0].pure_acks, row.sides[1].fin, row.sides[0].syn), (2, 1, 1));
    assert!(out.observations.is_empty());
}

#[test]
fn states_and_histories() {
    let syn = tcp(0, 0, SYN, 10, 0, 0);
    let answer = tcp(1, 1, SYN | ACK, 50, 11, 0);
    let cases: [(&str, Vec<PacketRow>, ConnState, &str); 11] = [
        ("no answer", vec![syn], ConnState::S0, "S"),
        ("refused", vec![syn, tcp(1, 1, RST | ACK, 0, 11, 0)], ConnState::REJ, "Sr"),
        ("open", vec![syn, answer, tcp(2, 0, ACK, 11, 51, 0)], ConnState::S1, "ShA"),
        ("closed by the originator only", vec![syn, answer, tcp(2, 0, FIN | ACK, 11, 51, 0)], ConnState::S2, "ShF"),
        ("closed by the responder only", vec![syn, answer, tcp(2, 1, FIN | ACK, 51, 11, 0)], ConnState::S3, "Shf"),
        ("originator aborts", vec![syn, answer, tcp(2, 0, RST, 11, 0, 0)], ConnState::RSTO, "ShR"),
        ("responder aborts", vec![syn, answer, tcp(2, 1, RST, 51, 0, 0)], ConnState::RSTR, "Shr"),
        ("half open, reset", vec![syn, tcp(1, 0, RST, 11, 0, 0)], ConnState::RSTOS0, "SR"),
        ("half open, FIN", vec![syn, tcp(1, 0, FIN, 11, 0, 0)], ConnState::SH, "SF"),
        ("answer alone", vec![answer, tcp(2, 0, ACK, 11, 51, 0)], ConnState::S1, "^hA"),
        ("midway", vec![tcp(0, 0, ACK, 11, 51, 5), tcp(1, 1, ACK, 51, 16, 9)], ConnState::OTH, "Dd"),
    ];
    for (name, packets, state, letters) in cases {
        let out = run(&whole(), &packets, &[]);
        assert_eq!(out.rows.len(), 1, "{name}");
        assert_eq!(
            (out.rows[0].state, history(&out.rows[0]).as_str(), out.rows[0].orig_end),
            (state, letters, 0),
            "{name}"
        );
    }
}

#[test]
fn stream_bytes_go_by_sequence_numbers() {
    let syn = |isn: u32| [tcp(0, 0, SYN, isn, 0, 0), tcp(1, 1, SYN | ACK, 50, isn.wrapping_add(1), 0)];
    let sent = |isn: u32, list: &[(u32, u32)]| {
        let mut packets = syn(isn).to_vec();
        for (n, &(at, len)) in list.iter().enumerate() {
            packets.push(tcp(2 + n as u64, 0, ACK, isn.wrapping_add(1).wrapping_add(at), 51, len));
        }
        let out = run(&whole(), &packets, &[]);
        assert_eq!(out.rows.len(), 1);
        let side = out.rows[0].sides[0];
        (side.stream_bytes, side.payload_bytes, side.retransmissions, side.out_of_order)
    };
    /// Offset and length of each segment; stream and payload bytes, retransmissions, out of order.
    type Case<'a> = (&'a str, u32, &'a [(u32, u32)], (u64, u64, u32, u32));
    let cases: [Case; 6] = [
        ("in order", 100, &[(0, 10), (10, 10)], (20, 20, 0, 0)),
        ("a repetition", 100, &[(0, 10), (0, 10)], (10, 20, 1, 0)),
        ("a repetition that goes further", 100, &[(0, 10), (5, 10)], (15, 20, 1, 0)),
        ("overtaken", 100, &[(10, 10), (0, 10)], (20, 20, 0, 1)),
        ("overtaken, then repeated", 100, &[(10, 10), (0, 10), (0, 10)], (20, 30, 1, 1)),
        ("over the end of sequence space", u32::MAX - 12, &[(0, 10), (10, 10), (20, 10)], (30, 30, 0, 0)),
    ];
    for (name, isn, list, wanted) in cases {
        assert_eq!(sent(isn, list), wanted, "{name}");
    }
}

#[test]
fn a_tuple_begins_anew() {
    let again = |gap: u64, isn: u32| {
        let mut packets = connection(0);
        let last = packets[packets.len() - 1].ts.0;
        packets.push(tcp(last + gap, 0, SYN, isn, 0, 0));
        run(&whole(), &packets, &[]).rows
    };
    let rows = again(1, 9_000);
    assert_eq!(rows.len(), 2, "a SYN after the close");
    assert_eq!((rows[0].end, rows[0].state, rows[1].state), (RowEnd::Closed, ConnState::SF, ConnState::S0));
    assert_eq!(rows[1].pair_gap, rows[1].flow_start.since(rows[0].flow_start));
    assert_eq!(again(1, 1000).len(), 2, "even with the old number");

    let retried = [tcp(0, 0, SYN, 10, 0, 0), tcp(SECOND, 0, SYN, 10, 0, 0), tcp(3 * SECOND, 0, SYN, 10, 0, 0)];
    assert_eq!(run(&whole(), &retried, &[]).rows.len(), 1, "a repeated SYN is the same attempt");
    let retried = [tcp(0, 0, SYN, 10, 0, 0), tcp(SECOND, 0, SYN, 10, 0, 0), tcp(5 * SECOND, 0, SYN, 10, 0, 0)];
    assert_eq!(run(&whole(), &retried, &[]).rows.len(), 2, "until the attempt's time is up");
    let other = [tcp(0, 0, SYN, 10, 0, 0), tcp(SECOND, 0, SYN, 77, 0, 0)];
    assert_eq!(run(&whole(), &other, &[]).rows.len(), 2, "another ISN is another attempt");
}

#[test]
fn flows_end_when_nothing_comes() {
    let udp = key(1, [5000, 53], UDP);
    let cases = [
        ("UDP", packet(0, udp, 0, 30), 60),
        ("ICMP", packet(0, key(1, [8, 0], 1), 0, 30), 60),
        ("GRE", packet(0, key(1, [0, 0], 47), 0, 30), 60),
        ("TCP midway", packet(0, key(1, [5000, 443], TCP), 0, 30), 300),
    ];
    for (name, first, secs) in cases {
        for (wait, flows) in [(secs * SECOND - 1, 1), (secs * SECOND, 2)] {
            let second = PacketRow { ts: TimestampNs(wait), ..first };
            let out = run(&whole(), &[first, second], &[]);
            assert_eq!(out.rows.len(), flows, "{name} after {wait} ns");
            let end = if flows == 2 { RowEnd::Idle } else { RowEnd::EndOfInput };
            assert_eq!(out.rows[0].end, end, "{name}");
        }
    }
}

#[test]
fn closing_a_window_hands_on_and_ends() {
    let config = FlowConfig { window: DurationNs::from_secs(60), ..FlowConfig::default() };
    let mut table = FlowTable::new(config.clone());
    let (mut rows, mut observations, frames) = (FlowColumns::default(), Vec::new(), frames());
    let mut columns = PacketColumns::default();
    columns.push(packet(59 * SECOND, key(1, [5000, 443], TCP), 0, 30));
    columns.push(packet(10 * SECOND, key(2, [5000, 53], UDP), 0, 30));
    table.apply(&columns, &frames, &mut rows, &mut observations);
    table.close_window(TimestampNs(59 * SECOND), &mut rows, &mut observations);
    assert_eq!((rows.len(), table.len()), (0, 2), "no window has ended");
    table.close_window(TimestampNs(60 * SECOND), &mut rows, &mut observations);
    assert_eq!((rows.len(), table.len()), (2, 2), "both told, both alive");
    assert_eq!((rows.end[0], rows.end[1]), (RowEnd::Window, RowEnd::Window));
    table.close_window(TimestampNs(120 * SECOND), &mut rows, &mut observations);
    assert_eq!((rows.len(), table.len()), (2, 1), "the datagram's flow is over and has nothing more to tell");
    assert_eq!(table.counters().ended_idle, 1);

    let mut table = FlowTable::new(config);
    rows.clear();
    table.apply(&columns, &frames, &mut rows, &mut observations);
    let end = TimestampNs(60 * SECOND);
    let next = table.close_window_from(0, end, 1, &mut rows, &mut observations);
    assert_eq!((rows.len(), next), (1, Some(1)), "a block of one row");
    assert_eq!(table.close_window_from(1, end, 9, &mut rows, &mut observations), None, "the rest");
    assert_eq!((rows.len(), table.len()), (2, 2));
}

#[test]
fn rows_end_at_the_active_timeout() {
    let mut config = whole();
    config.timeouts.active = DurationNs::from_secs(10);
    let udp = key(1, [5000, 53], UDP);
    let packets: Vec<_> = [0, 4, 9, 10, 19, 25].map(|s| packet(s * SECOND, udp, 0, 1)).to_vec();
    let rows = run(&config, &packets, &[]).rows;
    let seen: Vec<_> = rows.iter().map(|row| (row.sides[0].packets, row.end, row.row_number)).collect();
    assert_eq!(seen, [(3, RowEnd::Active, 0), (2, RowEnd::Active, 1), (1, RowEnd::EndOfInput, 2)]);
}

#[test]
fn a_full_table_ends_its_oldest_flow() {
    let config = FlowConfig { flows_max: 3, ..whole() };
    let udp = |host: u8, ts: u64| packet(ts, key(host, [5000, 53], UDP), 0, 1);
    let packets = [udp(1, 0), udp(2, 1), udp(3, 2), udp(1, 3), udp(4, 4), udp(5, 5)];
    let out = run(&config, &packets, &[]);
    let evicted: Vec<_> = out.rows.iter().filter(|r| r.end == RowEnd::Evicted).map(|r| r.key.addresses[0]).collect();
    assert_eq!(evicted, [Address::v4([10, 0, 0, 2]), Address::v4([10, 0, 0, 3])]);
    assert_eq!((out.counters.evicted, out.counters.flows, out.rows.len()), (2, 5, 5));

    let late = [udp(1, 0), udp(2, 1), udp(3, 30 * SECOND), udp(4, 61 * SECOND)];
    let out = run(&config, &late, &[]);
    assert_eq!((out.counters.evicted, out.counters.ended_idle), (0, 2), "what is over makes room first");
}

#[test]
fn wrong_checksums_count_or_do_not() {
    let udp = key(1, [5000, 53], UDP);
    let wrong = PacketRow { checksum_wrong: true, ..packet(0, udp, 0, 10) };
    let row = &run(&whole(), &[wrong], &[]).rows[0];
    assert_eq!((row.sides[0].packets, history(row).as_str()), (1, "CD"));
    let out = run(&FlowConfig { checksums: ChecksumPolicy::Drop, ..whole() }, &[wrong], &[]);
    assert_eq!(
        (out.rows[0].sides[0].packets, history(&out.rows[0]).as_str(), out.rows[0].state),
        (0, "C", ConnState::OTH)
    );
    assert_eq!((out.counters.checksum_dropped, out.counters.checksum_dropped_bytes), (1, 50));
}

/// A packet and its payload.
type Sent<'a> = (PacketRow, &'a [u8]);

/// Runs TCP and UDP packets whose payloads are given, each in a frame of its own.
fn run_payloads(config: FlowConfig, list: &[Sent]) -> Outcome {
    let mut batch = FrameBatch::new(Arc::from([]));
    let mut columns = PacketColumns::default();
    for (n, (row, payload)) in list.iter().enumerate() {
        let number = n as u64 + 1;
        let wire_bytes = payload.len() as u32;
        batch.push(&Frame { ts: row.ts, link: LinkType(1), wire_bytes, number, file: 0, bytes: payload, lent: None });
        let payload = PayloadPlace { offset: 0, captured: wire_bytes, reassembled: false };
        columns.push(PacketRow { frame: n as u32, payload, payload_bytes: wire_bytes, ..*row });
    }
    let mut table = FlowTable::new(config);
    let (mut rows, mut observations) = (FlowColumns::default(), Vec::new());
    table.apply(&columns, &batch, &mut rows, &mut observations);
    table.finish(&mut rows, &mut observations);
    Outcome { rows: (0..rows.len()).map(|i| rows.row(i)).collect(), observations, counters: table.counters() }
}

/// An established connection whose next segments come from the responder.
fn opened() -> Vec<Sent<'static>> {
    vec![
        (tcp(1, 0, SYN, 1000, 0, 0), b""),
        (tcp(2, 1, SYN | ACK, 5000, 1001, 0), b""),
        (tcp(3, 0, ACK, 1001, 5001, 0), b"GET / HTTP/1.1\r\nHost: www.example.org\r\n\r\n"),
    ]
}

#[test]
fn facts_and_lookups_leave_with_the_rows() {
    let out = run_payloads(whole(), &opened());
    let facts = out.rows[0].facts.as_ref().expect("facts");
    assert_eq!((facts.protocol, facts.server_name.as_deref()), (Some(AppProtocol::Http), Some("www.example.org")));

    let udp = packet(5, key(1, [5000, 53], UDP), 0, 0);
    let query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03org\x00\x00\x01\x00\x01";
    let out = run_payloads(whole(), &[(udp, query)]);
    let [Observation::Lookup(lookup)] = out.observations.as_slice() else { panic!("{:?}", out.observations) };
    assert_eq!((&*lookup.name, lookup.client, lookup.rcode), ("example.org", Address::v4([10, 0, 0, 1]), None));

    let mut none = whole();
    none.app.states_max = 0;
    assert_eq!(run_payloads(none, &opened()).rows[0].facts, None);
    let few = FlowConfig { observations_max: 0, ..whole() };
    let out = run_payloads(few, &[(udp, query)]);
    assert_eq!((out.observations.len(), out.counters.observations_dropped), (0, 1));
}

#[test]
fn a_shot_from_the_side_and_what_only_looks_like_one() {
    let forged: &[u8] = b"HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\n\r\n";
    let honest: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello";
    let answer =
        |ts: u64, ttl: u8, payload: &'static [u8]| (PacketRow { ttl, ..tcp(ts, 1, ACK, 5001, 1045, 0) }, payload);
    let garbage = |at: u32, payload: &'static [u8]| (tcp(30, 1, ACK, at, 1045, 0), payload);
    let reset = (tcp(20, 1, RST, 5001, 0, 0), &b""[..]);
    let new_syn = (tcp(20, 0, SYN, 900, 0, 0), &b""[..]);
    let new_answer = (tcp(21, 1, SYN | ACK, 5000, 901, 0), &b""[..]);
    let wrong = |(row, payload): (PacketRow, &'static [u8])| (PacketRow { checksum_wrong: true, ..row }, payload);
    let cases: [(&str, Vec<Sent>, usize); 10] = [
        ("the forgery first", vec![answer(10, 64, forged), answer(30, 51, honest)], 1),
        ("the forgery last", vec![answer(10, 51, honest), answer(30, 64, forged)], 1),
        ("and the true one again", vec![answer(10, 64, forged), answer(30, 51, honest), answer(40, 51, honest)], 1),
        ("every packet twice", vec![answer(10, 64, honest), answer(11, 63, honest)], 0),
        ("cut otherwise", vec![answer(10, 64, honest), answer(30, 64, &honest[..20]), garbage(5021, &honest[20..])], 0),
        ("a keep-alive of one made-up byte", vec![answer(10, 64, honest), garbage(5001, b"X")], 0),
        ("before the stream", vec![answer(10, 64, honest), garbage(4000, forged)], 0),
        ("after a reset", vec![answer(10, 64, honest), reset, answer(30, 51, forged)], 0),
        ("another connection", vec![answer(10, 64, honest), new_syn, new_answer, answer(30, 51, forged)], 0),
        ("damage", vec![answer(10, 64, honest), wrong(answer(30, 64, forged))], 0),
    ];
    for (name, segments, wanted) in cases {
        let packets: Vec<_> = opened().into_iter().chain(segments).collect();
        let out = run_payloads(whole(), &packets);
        let shots: Vec<_> = out.observations.iter().filter(|o| matches!(o, Observation::SegmentConflict(_))).collect();
        assert_eq!(shots.len(), wanted, "{name}: {shots:?}");
        for shot in shots {
            let Observation::SegmentConflict(shot) = shot else { continue };
            assert!(shot.is_injection_like(), "{name}: {shot:?}");
            assert_eq!(
                (shot.stream_offset, shot.ttl_difference, shot.overlap_bytes),
                (Some(0), 13, forged.len() as u32),
                "{name}"
            );
        }
    }
}

#[test]
fn data_in_the_syn_is_no_conflict() {
    // TCP Fast Open: the server took none of it, so the client sends it again after the handshake.
    let packets = [
        (tcp(1, 0, SYN, 1000, 0, 0), &b"GET / HTTP/1.1"[..]),
        (tcp(2, 1, SYN | ACK, 5000, 1001, 0), &b""[..]),
        (tcp(3, 0, ACK, 1001, 5001, 0), &b"GET / HTTP/1.1"[..]),
    ];
    let out = run_payloads(whole(), &packets);
    assert!(out.observations.is_empty(), "{:?}", out.observations);
    assert_eq!((out.rows[0].sides[0].stream_bytes, out.rows[0].sides[0].retransmissions), (14, 1));
}

// Laws.

fn any_packet() -> impl Strategy<Value = PacketRow> {
    let flags =
        prop::sample::select(vec![SYN, SYN | ACK, ACK, ACK, ACK, ACK | 8, FIN | ACK, RST, RST | ACK, FIN | SYN, 0]);
    let protocol = prop::sample::select(vec![TCP, TCP, TCP, UDP, 1]);
    (
        (0u8..3, 0u8..2, protocol, flags, prop::sample::select(vec![0u32, 0, 1, 10, 700, 1448])),
        (
            0u32..4,
            0u32..3000,
            prop::sample::select(vec![0u64, 1, 1_000, 30_000_000, 900_000_000, 3_000_000_000, 40_000_000_000]),
        ),
        (any::<bool>(), any::<u8>()),
    )
        .prop_map(|((host, from, protocol, flags, payload), (window, offset, gap), (high, ttl))| {
            let base = packet(gap, key(host, [40_000, 80], protocol), from, payload);
            let isn = if high { u32::MAX - 1500 } else { 1000 };
            PacketRow {
                tcp_flags: if protocol == TCP { flags } else { 0 },
                tcp_seq: u32::wrapping_add(isn, offset),
                tcp_ack: u32::wrapping_add(isn, offset / 2),
                tcp_window: window as u16,
                ttl,
                frame: u32::from(from),
                ..base
            }
        })
}

/// Packets whose `ts` is a step: now and then the clock steps back.
fn timeline() -> impl Strategy<Value = Vec<PacketRow>> {
    prop::collection::vec((any_packet(), 0u8..20), 1..120).prop_map(|steps| {
        let mut now = 1_700_000_000 * SECOND;
        steps
            .into_iter()
            .map(|(row, dice)| {
                now = if dice == 0 { now - row.ts.0.min(2 * SECOND) } else { now + row.ts.0 };
                PacketRow { ts: TimestampNs(now), ..row }
            })
            .collect()
    })
}

/// Sums of what adds up over rows.
fn sum(rows: &[&FlowRow]) -> ([[u64; 14]; 2], [u64; 3]) {
    let of_side = |side: &SideRow| {
        let bins = side.size_bins.iter().chain(&side.gap_bins).enumerate();
        [
            u64::from(side.packets),
            side.ip_bytes,
            side.payload_bytes,
            u64::from(side.payload_packets),
            side.stream_bytes,
            side.size_square_sum,
            side.gap_sum_ns,
            bins.map(|(n, &count)| (n as u64 + 1) * u64::from(count)).sum(),
            u64::from(side.syn) + (u64::from(side.fin) << 20) + (u64::from(side.rst) << 40),
            u64::from(side.psh),
            u64::from(side.pure_acks),
            u64::from(side.retransmissions),
            u64::from(side.out_of_order),
            u64::from(side.zero_windows),
        ]
    };
    let mut sides = [[0; 14]; 2];
    let mut flow = [0; 3];
    for row in rows {
        for (total, side) in sides.iter_mut().zip(&row.sides) {
            total.iter_mut().zip(of_side(side)).for_each(|(t, v)| *t += v);
        }
        let own = [u64::from(row.turns), u64::from(row.bursts), row.active.0];
        flow.iter_mut().zip(own).for_each(|(t, v)| *t += v);
    }
    (sides, flow)
}

/// Rows by key, and within a key by flow, in the order of beginning.
fn by_flow(rows: &[FlowRow]) -> BTreeMap<FlowKey, Vec<Vec<&FlowRow>>> {
    let mut flows: BTreeMap<FlowKey, Vec<Vec<&FlowRow>>> = BTreeMap::new();
    for row in rows {
        let of_key = flows.entry(row.key).or_default();
        if row.row_number == 0 {
            of_key.push(Vec::new());
        }
        let Some(flow) = of_key.last_mut() else { panic!("a first row comes first") };
        assert_eq!(flow.len(), row.row_number as usize);
        flow.push(row);
    }
    flows
}

proptest! {
    #[test]
    fn bytes_of_rows_are_bytes_of_packets(packets in timeline(), flows_max in 1u32..5) {
        let out = run(&FlowConfig { flows_max, ..FlowConfig::default() }, &packets, &[]);
        let rows: Vec<&FlowRow> = out.rows.iter().collect();
        let (sides, _) = sum(&rows);
        let bytes: u64 = packets.iter().map(|row| u64::from(row.ip_bytes)).sum();
        prop_assert_eq!(sides[0][1] + sides[1][1] + out.counters.checksum_dropped_bytes, bytes);
        prop_assert_eq!(sides[0][0] + sides[1][0], packets.len() as u64);
        prop_assert_eq!(out.counters.rows, out.rows.len() as u64);
        let ended = out.counters.ended_idle + out.counters.ended_closed + out.counters.ended_input + out.counters.evicted;
        prop_assert_eq!(ended, out.counters.flows);
    }

    #[test]
    fn splitting_batches_changes_nothing(packets in timeline(), batches in prop::collection::vec(0usize..40, 0..8)) {
        let config = FlowConfig::default();
        let (one, many) = (run(&config, &packets, &[]), run(&config, &packets, &batches));
        prop_assert_eq!(one.rows, many.rows);
        prop_assert_eq!(one.observations, many.observations);
        prop_assert_eq!(one.counters, many.counters);
    }

    #[test]
    fn the_hash_key_changes_nothing(packets in timeline(), hash_key in any::<[u64; 2]>()) {
        let other = FlowConfig { hash_key, ..FlowConfig::default() };
        prop_assert_eq!(run(&FlowConfig::default(), &packets, &[]).rows, run(&other, &packets, &[]).rows);
    }

    #[test]
    fn windows_sum_to_the_whole(packets in timeline(), window_ms in 1u64..100_000, active_ms in 0u64..50_000) {
        let mut config = FlowConfig { window: DurationNs::from_millis(window_ms), ..FlowConfig::default() };
        config.timeouts.active = DurationNs::from_millis(active_ms);
        let (cut, uncut) = (run(&config, &packets, &[]).rows, run(&whole(), &packets, &[]).rows);
        let (cut, uncut) = (by_flow(&cut), by_flow(&uncut));
        prop_assert_eq!(cut.keys().collect::<Vec<_>>(), uncut.keys().collect::<Vec<_>>());
        for (key, flows) in &cut {
            prop_assert_eq!(flows.len(), uncut[key].len());
            for (rows, whole) in flows.iter().zip(&uncut[key]) {
                prop_assert_eq!(sum(rows), sum(whole));
                let last = rows[rows.len() - 1];
                prop_assert_eq!((last.state, last.history, last.ts_open_last), (whole[0].state, whole[0].history, whole[0].ts_open_last));
                prop_assert_eq!(rows[0].pair_gap, whole[0].pair_gap);
                prop_assert!(rows[1..].iter().all(|row| row.pair_gap == DurationNs::ZERO));
            }
        }
    }

    #[test]
    fn swapping_ends_swaps_sides_and_not_the_key(packets in timeline()) {
        let swapped: Vec<_> = packets.iter().map(|row| PacketRow { from: row.from ^ 1, ..*row }).collect();
        let of_end = |row: &FlowRow, end: usize| {
            let side = row.sides[usize::from(row.orig_end) ^ end];
            (side.packets, side.ip_bytes, side.payload_bytes, side.syn, side.size_bins, side.gap_sum_ns)
        };
        // No timeouts and no reuse: a flow is all packets of a key, whoever began it.
        let mut config = whole();
        let long = DurationNs::from_secs(1_000_000_000);
        let timeouts = &mut config.timeouts;
        (timeouts.tcp_idle, timeouts.tcp_handshake, timeouts.tcp_attempt, timeouts.tcp_close) = (long, long, long, long);
        (timeouts.udp_idle, timeouts.icmp_idle) = (long, long);
        let strip = |rows: &[PacketRow]| rows.iter().filter(|row| row.tcp_flags & SYN == 0).copied().collect::<Vec<_>>();
        let (one, other) = (run(&config, &strip(&packets), &[]).rows, run(&config, &strip(&swapped), &[]).rows);
        prop_assert_eq!(one.len(), other.len());
        for (a, b) in one.iter().zip(&other) {
            prop_assert_eq!((a.key, a.tuple_hash), (b.key, b.tuple_hash));
            prop_assert_eq!((of_end(a, 0), of_end(a, 1)), (of_end(b, 1), of_end(b, 0)));
        }
    }

    #[test]
    fn arbitrary_columns_never_panic(
        rows in prop::collection::vec(any::<([u8; 4], [u16; 2], u8, [u32; 6], [u8; 4], u16, u64, [bool; 3])>(), 0..80),
        flows_max in 0u32..4,
    ) {
        let rows: Vec<_> = rows.into_iter().map(|(hosts, ports, protocol, n, b, tunnel, ts, flags)| PacketRow {
            ts: TimestampNs(ts),
            key: FlowKey {
                addresses: [Address::v4([10, 0, 0, hosts[0] & 1]), Address::v6([hosts[1]; 16])],
                ports, context: u32::from(hosts[2] & 1), protocol: protocol % 18, version: hosts[3],
            },
            from: b[0],
            frame: n[0] % 6,
            ip_bytes: n[1],
            payload_bytes: n[2],
            payload: PayloadPlace { offset: n[3] % 100, captured: n[4] % 100, reassembled: flags[0] },
            tcp_seq: n[3],
            tcp_ack: n[5],
            tcp_window: tunnel,
            tcp_flags: b[1],
            ttl: b[2],
            ip_id: 0,
            tunnel,
            is_fragment: flags[1],
            checksum_wrong: flags[2],
        }).collect();
        let out = run(&FlowConfig { flows_max, ..FlowConfig::default() }, &rows, &[7]);
        let packets: u64 = out.rows.iter().flat_map(|row| row.sides).map(|side| u64::from(side.packets)).sum();
        prop_assert_eq!(packets, rows.len() as u64);
    }
}
