//! Laws of the sketches, and how exact they are.

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::counted_set::SLACK;
use super::volume_series::SlotRange;
use super::*;
use crate::population::span::{Seen, Span, SpanClass};
use crate::units::TimestampNs;

/// SplitMix64: numbers that look random, from a counter.
fn mixed(n: u64) -> u64 {
    SketchKey::rank(&n)
}

fn bytes<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(value).expect("to memory")
}

fn merged<T: Merge + Clone>(a: &T, b: &T) -> T {
    let mut sum = a.clone();
    sum.merge(b.clone());
    sum
}

/// Associative, commutative, identity, round trip; and the same whether put in at once or in three parts.
fn laws<T, V>(parts: [&[V]; 3], add: impl Fn(&mut T, &V)) -> Result<(), TestCaseError>
where
    T: Merge + Clone + Default + PartialEq + std::fmt::Debug + Serialize + DeserializeOwned,
{
    let filled = |values: &[V]| {
        let mut sketch = T::default();
        values.iter().for_each(|value| add(&mut sketch, value));
        sketch
    };
    let [a, b, c] = parts.map(filled);
    prop_assert_eq!(bytes(&merged(&merged(&a, &b), &c)), bytes(&merged(&a, &merged(&b, &c))), "associative");
    prop_assert_eq!(bytes(&merged(&a, &b)), bytes(&merged(&b, &a)), "commutative");
    prop_assert_eq!(bytes(&merged(&a, &T::default())), bytes(&a), "identity");
    let mut whole = T::default();
    parts.iter().flat_map(|part| part.iter()).for_each(|value| add(&mut whole, value));
    prop_assert_eq!(bytes(&merged(&merged(&b, &c), &a)), bytes(&whole), "split");
    prop_assert_eq!(postcard::from_bytes::<T>(&bytes(&whole)).expect("its own form"), whole, "round trip");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn all_merge_exactly(values in prop::collection::vec(prop_oneof![0u64..40, any::<u64>()], 0..600), i in 0usize..600,
                         j in 0usize..600) {
        let (i, j) = (i.min(values.len()), j.min(values.len()));
        let parts = [&values[..i.min(j)], &values[i.min(j)..i.max(j)], &values[i.max(j)..]];
        laws::<Distinct, _>(parts, |s, v| s.add(mixed(*v)))?;
        laws::<Kmv<64>, _>(parts, |s, v| s.add(mixed(*v)))?;
        laws::<LogHistogram<2>, _>(parts, |s, v| s.add(*v))?;
        laws::<LogHistogram<4>, _>(parts, |s, v| s.add(*v))?;
        laws::<CountedSet<u64, 4>, _>(parts, |s, v| s.add(*v))?;
        laws::<CountedSet<u16, 8>, _>(parts, |s, v| s.add(*v as u16))?;
        let range = SlotRange::of(Span::new(TimestampNs(7_000_000_000), TimestampNs(400_000_000_000)), SpanClass::Window);
        laws::<VolumeSeries, _>(parts, |s, v| {
            let first = TimestampNs(v % 500_000_000_000);
            let when = Seen::between(first, TimestampNs(first.0 + (v % 7) * 10_000_000_000));
            s.add(Volume { bytes_up: *v, bytes_down: v % 1000, flows: 1 }, when, &range);
        })?;
    }

    #[test]
    fn sets_forget_repeats(values in prop::collection::vec(any::<u64>(), 0..300)) {
        let (mut distinct, mut kmv) = (Distinct::default(), Kmv::<50>::default());
        values.iter().for_each(|v| { distinct.add(*v); kmv.add(*v); });
        prop_assert_eq!(merged(&distinct, &distinct), distinct);
        prop_assert_eq!(merged(&kmv, &kmv), kmv);
    }

    #[test]
    fn rolling_up_and_merging_commute(values in prop::collection::vec((0u64..4_000, 0u64..50, any::<u32>()), 0..100), at in 0usize..100) {
        let span = Span::new(TimestampNs::ZERO, TimestampNs(3_600_000_000_000));
        let range = SlotRange::of(span, SpanClass::Window);
        let series = |part: &[(u64, u64, u32)]| {
            let mut series = VolumeSeries::default();
            for (second, length, bytes) in part {
                let first = TimestampNs(second * 1_000_000_000);
                let volume = Volume { bytes_up: u64::from(*bytes), bytes_down: 1, flows: 1 };
                series.add(volume, Seen::between(first, TimestampNs((second + length) * 1_000_000_000)), &range);
            }
            series
        };
        let at = at.min(values.len());
        let (a, b) = (series(&values[..at]), series(&values[at..]));
        for (from, to) in [(SpanClass::Window, SpanClass::Hour), (SpanClass::Window, SpanClass::Day)] {
            let rolled = |s: &VolumeSeries| { let mut s = s.clone(); s.rollup(from, to); s };
            prop_assert_eq!(rolled(&merged(&a, &b)), merged(&rolled(&a), &rolled(&b)));
        }
        let moved = |s: &VolumeSeries| s.slots().iter().map(|(_, v)| v.bytes_up).sum::<u64>() + s.outside().bytes_up;
        prop_assert_eq!(moved(&merged(&a, &b)), values.iter().map(|v| u64::from(v.2)).sum::<u64>());
    }

    #[test]
    fn a_value_lies_in_its_bin(value in any::<u64>()) {
        for bits in [2, 4] {
            let (bin, lower, width) = match bits {
                2 => { let b = LogHistogram::<2>::bin_of(value); (b, LogHistogram::<2>::lower(b), LogHistogram::<2>::width(b)) }
                _ => { let b = LogHistogram::<4>::bin_of(value); (b, LogHistogram::<4>::lower(b), LogHistogram::<4>::width(b)) }
            };
            prop_assert!(lower <= value && value - lower < width, "bin {bin} of {value}");
            prop_assert!(width == 1 || width << bits <= lower, "bin {bin} is too wide");
        }
    }
}

#[test]
fn distinct_counts_within_its_error() {
    // Five standard errors: 1.04 / √2048 = 2.3 % each. The keys are fixed, so this never fails by chance.
    for (keys, seed) in [(1_000u64, 1u64), (10_000, 2), (100_000, 3), (1_000_000, 4), (1_000_000, 5)] {
        let mut distinct = Distinct::default();
        (0..keys).for_each(|n| distinct.add(mixed(n ^ seed << 40)));
        let error = distinct.count() as f64 / keys as f64 - 1.0;
        assert!(error.abs() < 5.0 * 1.04 / 2048f64.sqrt(), "{keys}: {error}");
    }
    for keys in [0u64, 1, 127, 128] {
        let mut distinct = Distinct::default();
        (0..keys).for_each(|n| distinct.add(mixed(n)));
        assert_eq!((distinct.count(), distinct.is_exact()), (keys, true));
    }
}

#[test]
fn distinct_errs_as_published() {
    // Root mean square over 40 sets, against 1.04/√m, at sizes from where it begins to be dense.
    for keys in [150u64, 500, 2_000, 5_000, 20_000] {
        let square: f64 = (0..40u64)
            .map(|seed| {
                let mut distinct = Distinct::default();
                (0..keys).for_each(|n| distinct.add(mixed(n ^ (seed + 9) << 32)));
                (distinct.count() as f64 / keys as f64 - 1.0).powi(2)
            })
            .sum();
        let rms = (square / 40.0).sqrt();
        assert!(rms < 1.35 * 1.04 / 2048f64.sqrt(), "{keys}: {rms}");
    }
}

proptest! {
    #[test]
    fn many_at_once_are_as_many_one_by_one(blocks in prop::collection::vec(prop::collection::vec(0u64..60, 0..12), 0..8)) {
        let (mut at_once, mut one_by_one) = (Kmv::<16>::default(), Kmv::<16>::default());
        for block in blocks {
            block.iter().for_each(|n| one_by_one.add(mixed(*n)));
            at_once.add_all(&mut block.iter().map(|n| mixed(*n)).collect());
            prop_assert_eq!(&at_once, &one_by_one);
        }
    }
}

#[test]
fn samples_tell_a_copy_from_a_stranger() {
    // Share of the small set that lies in the large one, and what may be wrong with it.
    let cases = [(0.0, 0.05), (0.5, 0.15), (1.0, 1e-9)];
    for (share, tolerance) in cases {
        let (mut native, mut carried) = (Kmv::<16_384>::default(), Kmv::<1024>::default());
        (0..300_000u64).for_each(|n| native.add(mixed(n)));
        (0..5_000u64).for_each(|n| {
            let known = (n as f64) < share * 5_000.0;
            carried.add(mixed(if known { n * 7 } else { n + (1 << 40) }));
        });
        let found = carried.contained_in(&native).expect("enough to compare");
        assert!((found.share - share).abs() <= tolerance && found.compared > 100, "{share}: {found:?}");
        assert!((native.estimate() / 300_000.0 - 1.0).abs() < 0.03);
        assert_eq!(native.jaccard(&native), Some(1.0));
    }
    assert_eq!(Kmv::<4>::default().contained_in(&Kmv::<4>::default()), None);
    assert_eq!(Kmv::<4>::default().jaccard(&Kmv::default()), None);
}

#[test]
fn quantiles_of_a_histogram() {
    let of = |values: &[u64]| {
        let mut histogram = LogHistogram::<4>::default();
        values.iter().for_each(|v| histogram.add(*v));
        histogram
    };
    assert_eq!(of(&[]).quantile(0.5), None);
    assert_eq!(of(&[]).mode(), None);
    assert_eq!(of(&[]).median_deviation(), None);
    assert_eq!(of(&[0, 0, 0]).quantile(0.5), Some(0.0));
    let regular = of(&[60_000; 50]);
    assert_eq!(regular.mode().map(|m| m.share), Some(1.0));
    assert_eq!(regular.median_deviation(), Some(0.0));
    assert!((regular.quantile(0.5).expect("values") / 60_000.0 - 1.0).abs() < 0.07);
    let spread: Vec<u64> = (1..=1000).map(|n| n * 100).collect();
    for q in [0.1, 0.25, 0.5, 0.75, 0.9] {
        let found = of(&spread).quantile(q).expect("values");
        assert!((found / (q * 100_000.0) - 1.0).abs() < 0.07, "{q}: {found}");
    }
    assert!(of(&spread).median_deviation().is_some_and(|mad| (mad / 25_000.0 - 1.0).abs() < 0.1));
    assert!(of(&[u64::MAX, u64::MAX]).quantile(1.0).is_some_and(|v| v > 1e19));
}

#[test]
fn a_counted_set_keeps_totals_and_the_most_frequent() {
    let mut set = CountedSet::<u16, 8>::default();
    for n in 0..1000u16 {
        set.add(n % 30);
        set.add(7);
    }
    assert_eq!((set.len(), set.others(), set.total()), (30, 0, 2000));
    set.bound();
    assert_eq!((set.len(), set.total(), set.by_count()[0]), (8, 2000, (7, 1034)));
    let mut many = CountedSet::<u16, 8>::default();
    (0..5000).for_each(|n| many.add(n));
    assert_eq!((many.len(), many.total()), (SLACK * 8, 5000));
}

#[test]
fn a_flow_is_spread_over_its_slots() {
    let at = |s: u64| TimestampNs(s * 1_000_000_000);
    let range = SlotRange::of(Span::new(at(100), at(200)), SpanClass::Window);
    let mut series = VolumeSeries::default();
    series.add(Volume { bytes_up: 1000, bytes_down: 3, flows: 1 }, Seen::between(at(105), at(125)), &range);
    let up: Vec<_> = series.slots().iter().map(|(slot, v)| (*slot, v.bytes_up, v.flows)).collect();
    assert_eq!(up, [(10, 250, 1), (11, 500, 0), (12, 250, 0)]);
    // A clock from another age goes outside and takes no time.
    series.add(Volume { bytes_up: 10, bytes_down: 0, flows: 1 }, Seen::between(at(0), TimestampNs::MAX), &range);
    series.add(Volume { bytes_up: 10, bytes_down: 0, flows: 1 }, Seen::between(at(9), at(9)), &range);
    let inside: u64 = series.slots().iter().map(|(_, v)| v.bytes_up).sum();
    assert_eq!((inside + series.outside().bytes_up, series.outside().flows), (1020, 2));
}
