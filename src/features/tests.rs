//! Laws of the room, and known rows.

use proptest::prelude::*;

use super::*;
use crate::flow::row::{ConnState, FlowRow, SideRow};
use crate::packet::columns::FlowKey;
use crate::units::{DurationNs, TimestampNs};

/// A number that is often 0, small or the largest.
fn extreme(max: u64) -> BoxedStrategy<u64> {
    // Boxed, here and below: a tree of hundreds of unions would not fit a test's stack.
    prop_oneof![Just(0), Just(1), 0..=max.min(2000), Just(max), 0..=max].boxed()
}

fn small(max: u64) -> impl Strategy<Value = u16> {
    extreme(max).prop_map(|x| x as u16)
}

fn side() -> BoxedStrategy<SideRow> {
    let wide = prop::array::uniform8(extreme(u64::MAX));
    let middle = prop::array::uniform12(extreme(u64::from(u32::MAX)));
    let bins = (
        prop::array::uniform12(small(0xffff)),
        prop::array::uniform16(small(0xffff)),
        prop::array::uniform8(small(0xffff)),
    );
    let narrow = prop::array::uniform8(small(0xffff));
    (wide, middle, bins, narrow, proptest::num::f32::ANY)
        .prop_map(|(wide, middle, (size_bins, gap_bins, first_sizes), narrow, squares)| {
            let m = middle.map(|x| x as u32);
            SideRow {
                packets: m[0],
                ip_bytes: wide[0],
                payload_bytes: wide[1],
                payload_packets: m[1],
                stream_bytes: wide[2],
                size_square_sum: wide[3],
                size_min: narrow[0],
                size_max: narrow[1],
                first_sizes,
                first_gaps_us: std::array::from_fn(|i| m[i]),
                size_bins,
                gap_bins,
                gap_sum_ns: wide[4],
                gap_square_sum_s2: squares,
                gap_min_us: m[2],
                gap_max_us: m[3],
                syn: narrow[2],
                fin: narrow[3],
                rst: narrow[4],
                psh: narrow[5],
                pure_acks: m[4],
                retransmissions: m[5],
                out_of_order: m[6],
                zero_windows: narrow[6],
                window_max: narrow[7],
                ..SideRow::default()
            }
        })
        .boxed()
}

fn row() -> BoxedStrategy<FlowRow> {
    let times = prop::array::uniform8(extreme(u64::MAX));
    (side(), side(), times, any::<[u32; 3]>(), any::<u8>())
        .prop_map(|(orig, resp, times, counts, protocol)| FlowRow {
            key: FlowKey { protocol, ..FlowKey::default() },
            flow_start: TimestampNs(times[0]),
            ts_first: TimestampNs(times[1]),
            ts_last: TimestampNs(times[2]),
            pair_gap: DurationNs(times[3]),
            rtt_syn_ack: DurationNs(times[4]),
            active: DurationNs(times[5]),
            turns: counts[0],
            bursts: counts[1],
            row_number: counts[2],
            state: if protocol & 1 == 0 { ConnState::SF } else { ConnState::S0 },
            sides: [orig, resp],
            ..FlowRow::default()
        })
        .boxed()
}

fn columns(rows: &[FlowRow]) -> FlowColumns {
    let mut columns = FlowColumns::default();
    rows.iter().cloned().for_each(|row| columns.push(row));
    columns
}

fn computed(rows: &[FlowRow]) -> Vec<[f32; FEATURE_COUNT]> {
    let mut matrix = FeatureMatrix::new();
    compute(&columns(rows), &mut matrix);
    rows_of(&matrix)
}

fn rows_of(matrix: &FeatureMatrix) -> Vec<[f32; FEATURE_COUNT]> {
    let mut row = [0.0; FEATURE_COUNT];
    (0..matrix.rows())
        .map(|i| {
            matrix.copy_row(i, &mut row);
            row
        })
        .collect()
}

proptest! {
    #[test]
    fn every_value_is_finite_and_in_its_range(rows in prop::collection::vec(row(), 1..20)) {
        for (i, row) in computed(&rows).iter().enumerate() {
            for (x, feature) in row.iter().zip(FEATURES) {
                let (low, high) = feature.range;
                prop_assert!(x.is_finite() && (low..=high).contains(x), "row {i}: {} = {x}", feature.name);
            }
        }
    }

    #[test]
    fn swapping_the_sides_swaps_their_columns_and_the_sign_of_balances(row in row()) {
        let mut mirrored = row.clone();
        mirrored.sides.swap(0, 1);
        let (one, other) = (computed(&[row])[0], computed(&[mirrored])[0]);
        for (i, feature) in FEATURES.iter().enumerate() {
            let partner = match feature.name.split_once('_') {
                Some(("orig", rest)) => index_of(&format!("resp_{rest}")).expect("sides come in pairs"),
                Some(("resp", rest)) => index_of(&format!("orig_{rest}")).expect("sides come in pairs"),
                _ => i,
            };
            let wanted = if feature.name.ends_with("_balance") { -other[partner] } else { other[partner] };
            prop_assert_eq!(one[i], wanted, "{}", feature.name);
        }
    }

    #[test]
    fn a_row_does_not_depend_on_its_place_nor_on_what_was_there_before(rows in prop::collection::vec(row(), 1..4), before in 0usize..1100) {
        let mut matrix = FeatureMatrix::new();
        let mut flows = columns(&vec![FlowRow::default(); before]);
        flows.append(&mut columns(&rows));
        compute(&flows, &mut matrix);
        let there = rows_of(&matrix);
        let alone = computed(&rows);
        prop_assert_eq!(&there[before..], &alone[..]);
        compute(&columns(&rows), &mut matrix);
        prop_assert_eq!(rows_of(&matrix), alone);
    }
}

#[test]
fn the_register_is_sound() {
    assert!(FEATURES.len() >= 48, "{}", FEATURES.len());
    for (i, feature) in FEATURES.iter().enumerate() {
        assert_eq!(index_of(feature.name), Some(i), "{} stands twice", feature.name);
        assert!(feature.range.0 < feature.range.1, "{}", feature.name);
        assert!(feature.doc.len() > 9 && !feature.source.is_empty() && !feature.unit.is_empty(), "{}", feature.name);
        assert!(
            feature.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit()),
            "{}",
            feature.name
        );
    }
}

/// A TCP upload of ten equal records of 500 bytes, one each second, each acknowledged.
fn upload() -> FlowRow {
    let mut row = FlowRow { state: ConnState::SF, turns: 1, bursts: 10, ..FlowRow::default() };
    row.key.protocol = 6;
    row.ts_last = TimestampNs(9_000_000_000);
    let mut bins = [0; 12];
    bins[9] = 10;
    let mut gaps = [0; 16];
    gaps[9] = 9;
    row.sides[0] = SideRow {
        packets: 10,
        ip_bytes: 5400,
        payload_bytes: 5000,
        payload_packets: 10,
        stream_bytes: 5000,
        size_square_sum: 2_500_000,
        size_min: 500,
        size_max: 500,
        first_sizes: [500; 8],
        size_bins: bins,
        gap_bins: gaps,
        gap_sum_ns: 9_000_000_000,
        gap_square_sum_s2: 9.0,
        gap_min_us: 1_000_000,
        gap_max_us: 1_000_000,
        ..SideRow::default()
    };
    row.sides[1] = SideRow { packets: 10, ip_bytes: 400, gap_bins: gaps, ..SideRow::default() };
    row
}

#[test]
fn a_known_upload() {
    let row = computed(&[upload()])[0];
    let cases: &[(&str, f64)] = &[
        ("orig_packets_log", 11f64.ln()),
        ("orig_ip_bytes_log", 5401f64.ln()),
        ("orig_byte_rate_log", 601f64.ln()),
        ("payload_balance", 1.0),
        ("packet_balance", 0.0),
        ("orig_payload_packet_share", 1.0),
        ("resp_payload_packet_share", 0.0),
        ("orig_header_share", 400.0 / 5400.0),
        ("orig_size_mean_log", 501f64.ln()),
        ("orig_size_spread", 0.0),
        ("orig_first_share", 0.8),
        ("orig_first_equal_share", 1.0),
        ("size_balance", 1.0),
        ("duration_log", 9001f64.ln()),
        ("orig_gap_mean_log", 1_000_001f64.ln()),
        ("orig_gap_spread", 0.0),
        ("orig_gap_skew", 0.0),
        ("is_tcp", 1.0),
        ("established", 1.0),
        ("orig_resent_share", 0.0),
        ("turn_share", 0.1),
        ("burst_packets_log", 3f64.ln()),
        ("orig_size_entropy", 0.0),
        ("orig_large_share", 0.0),
        ("orig_gap_mode_share", 1.0),
        ("size_overlap", 0.0),
        ("active_share", 0.0),
    ];
    for (name, wanted) in cases {
        let got = f64::from(row[index_of(name).unwrap_or_else(|| panic!("no feature {name}"))]);
        assert!((got - wanted).abs() < 1e-5, "{name}: {got}, wanted {wanted}");
    }
}

/// The same bits in every run, at every level (`TRAWLWATCH_SIMD`) and on every machine.
#[test]
fn bits_are_pinned() {
    let mut state = 7u64;
    let mut next = move |max: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % (max + 1)
    };
    let rows: Vec<FlowRow> = (0..700)
        .map(|_| {
            let mut row = upload();
            for side in &mut row.sides {
                side.packets = next(5000) as u32;
                side.payload_packets = next(u64::from(side.packets)) as u32;
                side.payload_bytes = next(1400) * u64::from(side.payload_packets);
                side.ip_bytes = side.payload_bytes + 40 * u64::from(side.packets);
                side.size_square_sum = side.payload_bytes * next(1400);
                side.gap_sum_ns = next(1 << 40);
                side.gap_square_sum_s2 = next(1 << 20) as f32 * 0.37;
                side.size_bins = std::array::from_fn(|_| next(300) as u16);
                side.gap_bins = std::array::from_fn(|_| next(9) as u16);
            }
            row
        })
        .collect();
    let hash = computed(&rows).iter().flatten().fold(0x811c_9dc5, |hash, x| fnv1a(hash, &x.to_bits().to_le_bytes()));
    assert_eq!(format!("{hash:08x} {SET_HASH:08x}"), "c5c55e27 a12a7a4a");
}
