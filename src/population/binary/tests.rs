//! Damage is refused by name, and the size stays below what is promised.

use super::*;
use crate::population::limits::SummaryLimits;
use crate::population::summary::tests::{row, summary_of};
use crate::units::Address;

fn one() -> Vec<u8> {
    let rows = [row(Address::v4([10, 0, 0, 7]), Address::v4([203, 0, 113, 7]), 10, 1000, 200)];
    summary_of(&rows, &SummaryLimits::default()).to_bytes()
}

#[test]
fn damage_is_refused_by_name() {
    let good = one();
    let changed = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let table = [
        (b"GIF89a".to_vec(), "not a summary"),
        (Vec::new(), "not a summary"),
        (changed(0), "not a summary"),
        (changed(8), "version"),
        (changed(10), "copy it again"),
        (changed(20), "checksum"),
        (changed(good.len() - 1), "checksum"),
        (good[..20].to_vec(), "copy it again"),
        (good[..good.len() - 1].to_vec(), "copy it again"),
        ([&good[..], b"x"].concat(), "copy it again"),
    ];
    for (bytes, wanted) in table {
        let error = Summary::from_bytes(&bytes).expect_err(wanted).to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn a_body_that_lies_never_panics() {
    // A right checksum over wrong bytes: what malice, not damage, would write.
    let good = one();
    for at in HEADER_BYTES..good.len() {
        for flip in [1, 0x80, 0xff] {
            let mut bytes = good.clone();
            bytes[at] ^= flip;
            let sum = checksum(&bytes[HEADER_BYTES..]);
            bytes[18..26].copy_from_slice(&sum.to_le_bytes());
            if let Ok(mut summary) = Summary::from_bytes(&bytes) {
                summary.rollup(crate::population::SpanClass::Day);
                summary.bound(&SummaryLimits::default());
                let _ = summary.to_bytes();
            }
        }
    }
}

#[test]
fn hostile_traffic_stays_within_the_bound() {
    let limits = SummaryLimits {
        collectors_max: 200,
        pairs_max: 1000,
        subscribers_max: 300,
        texts_max: 100,
        ..SummaryLimits::default()
    };
    // Unique collectors, then unique subscribers to one collector, of sizes over the whole range.
    let mut rows: Vec<_> = (0..5_000u32)
        .map(|n| row(Address::v4([10, 0, 0, 1]), Address::v4([198, (n >> 16) as u8, (n >> 8) as u8, n as u8]), 1, 1, 1))
        .collect();
    rows.extend((0..20_000u32).map(|n| {
        let [_, b, c, d] = n.to_be_bytes();
        row(
            Address::v4([10, b, c, d]),
            Address::v4([203, 0, 113, 7]),
            u64::from(n % 300),
            1u64 << (n % 63),
            u64::from(n),
        )
    }));
    let mut summary = summary_of(&rows, &limits);
    summary.bound(&limits);
    let bytes = summary.to_bytes().len();
    assert!(bytes <= limits.bytes_max(2));
    assert!(bytes < 1_000_000, "{bytes}");
    assert!((1..=limits.pairs_max).contains(&summary.pairs.len()));
}

#[test]
fn the_documented_bound_is_the_computed_one() {
    let defaults = SummaryLimits::default().bytes_max(1);
    assert!((6_200_000_000..6_400_000_000).contains(&defaults), "{defaults}");
}
