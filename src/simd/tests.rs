//! The law of the room: every level gives the bits of the scalar one, and those of the one-element functions.

use proptest::prelude::*;

use super::arithmetic::*;
use super::centroid::*;
use super::histogram::*;
use super::logarithm::*;
use super::sequence::*;
use super::*;
use crate::units::{DurationNs, TimestampNs};

fn bits(xs: &[f32]) -> Vec<u32> {
    xs.iter().map(|x| x.to_bits()).collect()
}

/// Runs a kernel at every available level and wants the bits of `truth` from each.
fn same_at_all(what: &str, truth: &[f32], run: impl Fn(Level, &mut [f32])) -> Result<(), TestCaseError> {
    for level in Level::ALL.into_iter().filter(|level| level.is_available()) {
        let mut out = vec![7.0f32; truth.len()];
        run(level, &mut out);
        prop_assert_eq!(bits(&out), bits(truth), "{} at {}", what, level.name());
    }
    Ok(())
}

/// Any f32 but the not-a-numbers' own bits: which of them comes out is not promised.
fn any_f32() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => 0.0f32..1e6,
        2 => proptest::num::f32::ANY.prop_map(|x| if x.is_nan() { f32::INFINITY } else { x }),
        1 => Just(0.0),
        1 => Just(-0.0),
        1 => (0u32..4000).prop_map(|n| n as f32),
    ]
}

fn column(len: usize) -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(any_f32(), len)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn elementwise_kernels_agree_at_every_level(a in column(77), b in column(77), median in -50.0f32..50.0, inverse in 0.0f32..9.0) {
        let truth = |f: &dyn Fn(f32, f32) -> f32| a.iter().zip(&b).map(|(&a, &b)| f(a, b)).collect::<Vec<_>>();
        let finite = |x: f32| if x.is_finite() { x } else { 1.0 };
        same_at_all("log1p", &truth(&|a, _| log1p_one(a * 0.5)), |level, out| log1p::at(level, &a, 0.5, out))?;
        // inf − inf and inf / inf are not numbers, whose sign bit is not promised: features never make them.
        let (fa, fb): (Vec<_>, Vec<_>) = (a.iter().map(|&x| finite(x) * 1e-3).collect(), b.iter().map(|&x| finite(x) * 1e-3).collect());
        let truth2 = |f: &dyn Fn(f32, f32) -> f32| fa.iter().zip(&fb).map(|(&a, &b)| f(a, b)).collect::<Vec<_>>();
        same_at_all("ratio", &truth2(&|a, b| ratio_one(a, b, 0.25)), |level, out| ratio::at(level, &fa, &fb, 0.25, out))?;
        same_at_all("balance", &truth2(&balance_one), |level, out| balance::at(level, &fa, &fb, out))?;
        same_at_all("sum", &truth2(&|a, b| a + b), |level, out| sum::at(level, &fa, &fb, out))?;
        same_at_all("rest", &truth2(&|a, b| 1.0 - ratio_one(a, b, 1.0)), |level, out| rest::at(level, &fa, &fb, out))?;
        let scaled = truth(&|a, _| scale_one(a, median, inverse, 8.0));
        same_at_all("scale", &scaled, |level, out| scale::at(level, &a, median, inverse, 8.0, out))?;
        same_at_all("clamp", &truth(&|a, _| clamp_one(a, -1.0, 44.5)), |level, out| {
            out.copy_from_slice(&a);
            clamp::at(level, out, -1.0, 44.5);
        })?;
    }

    #[test]
    fn conversions_and_spreads_agree_at_every_level(
        n in prop::collection::vec(any::<u32>(), 77), sum in prop::collection::vec(any::<u64>(), 77),
        squares in prop::collection::vec(any::<u64>(), 77), s2 in prop::collection::vec(0.0f32..1e20, 77),
    ) {
        let truth: Vec<f32> = (0..77).map(|i| spread_one(f64::from(n[i]), sum[i] as f64, squares[i] as f64)).collect();
        same_at_all("spread", &truth, |level, out| spread::at(level, &n, &sum, &squares, out))?;
        let nf: Vec<f32> = n.iter().map(|&n| n as f32).collect();
        let truth: Vec<f32> = (0..77).map(|i| spread_one(f64::from(nf[i]), sum[i] as f64 * 1e-9, f64::from(s2[i]))).collect();
        same_at_all("spread_of_gaps", &truth, |level, out| spread_of_gaps::at(level, &nf, &sum, &s2, out))?;
        same_at_all("from_u32", &nf, |level, out| convert::from_u32::at(level, &n, out))?;
        let truth: Vec<f32> = sum.iter().map(|&x| x as f32).collect();
        same_at_all("from_u64", &truth, |level, out| convert::from_u64::at(level, &sum, out))?;
        let short: Vec<u16> = n.iter().map(|&n| n as u16).collect();
        let truth: Vec<f32> = short.iter().map(|&x| f32::from(x)).collect();
        same_at_all("from_u16", &truth, |level, out| convert::from_u16::at(level, &short, out))?;
        let durations: Vec<DurationNs> = sum.iter().map(|&x| DurationNs(x)).collect();
        let truth: Vec<f32> = sum.iter().map(|&x| x as f32 * 1e-9).collect();
        same_at_all("from_durations", &truth, |level, out| convert::from_durations::at(level, &durations, 1e-9, out))?;
        let times = |xs: &[u64]| xs.iter().map(|&x| TimestampNs(x)).collect::<Vec<_>>();
        let (earlier, later) = (times(&squares), times(&sum));
        let truth: Vec<f32> = earlier.iter().zip(&later).map(|(&earlier, later)| later.since(earlier).0 as f32).collect();
        same_at_all("from_between", &truth, |level, out| convert::from_between::at(level, &earlier, &later, out))?;
    }

    #[test]
    fn histogram_kernels_agree_at_every_level_and_stay_in_range(
        rows in prop::collection::vec(
            prop_oneof![any::<[u16; 16]>(), prop::array::uniform16(prop_oneof![4 => Just(0u16), 1 => 0u16..4])], 1..150,
        ),
        sparse in prop::collection::vec(prop::array::uniform12(prop_oneof![Just(0u16), 0u16..4, any::<u16>()]), 1..150),
    ) {
        let resp: Vec<_> = sparse.iter().cycle().skip(1).take(sparse.len()).copied().collect();
        fn each<T>(rows: &[T], f: impl Fn(&T) -> f32) -> Vec<f32> {
            rows.iter().map(f).collect()
        }
        let (entropies, modes) = (each(&rows, |r| entropy_one(r, 0)), each(&rows, |r| mode_share_one(r, 0)));
        let one = [each(&rows, total_one), entropies, modes, each(&rows, bowley_one)];
        let both = [&sparse, &resp].map(|rows| [each(rows, |r| entropy_one(r, 1)), each(rows, |r| upper_share_one(r, 1, 8))]);
        let overlaps: Vec<f32> = sparse.iter().zip(&resp).map(|(a, b)| overlap_one(a, b, 1)).collect();
        for x in one[1..3].iter().chain(both.iter().flatten()).flatten().chain(&overlaps) {
            prop_assert!((0.0..=1.000_01).contains(x), "{x}");
        }
        for x in &one[3] { prop_assert!((-1.000_1..=1.000_1).contains(x), "{x}"); }
        for level in Level::ALL.into_iter().filter(|level| level.is_available()) {
            let n = rows.len();
            let mut out: [_; 4] = std::array::from_fn(|_| vec![7.0f32; n]);
            let [total, entropy, mode_share, skew] = &mut out;
            shape16::at(level, &rows, total, entropy, mode_share, skew);
            for (i, name) in ["total", "entropy", "mode share", "skew"].into_iter().enumerate() {
                prop_assert_eq!(bits(&out[i]), bits(&one[i]), "{} at {}", name, level.name());
            }
            let n = sparse.len();
            let mut out: [_; 5] = std::array::from_fn(|_| vec![7.0f32; n]);
            let [entropy, other_entropy, upper, other_upper, overlap] = &mut out;
            pair12::at(level, [&sparse, &resp], 1, 8, [entropy, other_entropy], [upper, other_upper], overlap);
            let truth = [&both[0][0], &both[1][0], &both[0][1], &both[1][1], &overlaps];
            for (i, (got, wanted)) in out.iter().zip(truth).enumerate() {
                prop_assert_eq!(bits(got), bits(wanted), "column {} of a pair at {}", i, level.name());
            }
        }
    }

    #[test]
    fn sequences_agree_at_every_level(
        rows in prop::collection::vec(
            (prop::array::uniform8(prop_oneof![0u16..3, any::<u16>()]), prop_oneof![0u32..12, any::<u32>()]), 1..150,
        ),
    ) {
        let (rows, met): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        let n = rows.len();
        let first: Vec<f32> = rows.iter().map(|row| f32::from(row[0])).collect();
        let sum: Vec<f32> = rows.iter().map(sum_one).collect();
        let share: Vec<f32> = rows.iter().zip(&met).map(|(row, &met)| equal_share_one(row, met)).collect();
        for level in Level::ALL.into_iter().filter(|level| level.is_available()) {
            let mut out: [_; 3] = std::array::from_fn(|_| vec![7.0f32; n]);
            let [a, b, c] = &mut out;
            outline8::at(level, &rows, &met, a, b, c);
            for (got, wanted) in out.iter().zip([&first, &sum, &share]) {
                prop_assert_eq!(bits(got), bits(wanted), "at {}", level.name());
            }
        }
    }

    #[test]
    fn nearest_agrees_at_every_level(
        width in 1usize..9, count in 1usize..40, rows in 1usize..150, seed in any::<u64>(), grid in 1u32..6,
    ) {
        // Values on a coarse grid, so that exact ties happen; a few not-a-numbers and infinities among them.
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            match state >> 56 {
                0 => f32::NAN,
                1 => f32::INFINITY,
                _ => ((state >> 33) as u32 % (grid * 3)) as f32 / grid as f32,
            }
        };
        let stride = 208;
        let values: Vec<f32> = (0..width * stride).map(|_| next()).collect();
        let centroids: Vec<f32> = (0..width * count).map(|_| { let x = next(); if x.is_finite() { x } else { 0.5 } }).collect();
        let (block, centroids) = (ColumnBlock { values: &values, stride, width }, Centroids { values: &centroids, width });
        let truth: Vec<(u16, u32)> = (0..rows).map(|i| nearest_one(block, i, centroids)).map(|(k, d)| (k, d.to_bits())).collect();
        for level in Level::ALL.into_iter().filter(|level| level.is_available()) {
            let (mut indices, mut distances) = (vec![9u16; rows], vec![9.0f32; rows]);
            nearest::at(level, block, centroids, &mut indices, &mut distances);
            let got: Vec<(u16, u32)> = indices.into_iter().zip(distances).map(|(k, d)| (k, d.to_bits())).collect();
            prop_assert_eq!(&got, &truth, "at {}", level.name());
        }
    }

    #[test]
    fn log1p_keeps_its_error_bound(x in prop_oneof![0.0f32..2.0, 0.0f32..1e6, (0u32..0x7f7f_ffff).prop_map(f32::from_bits)]) {
        let truth = f64::from(x).ln_1p();
        let error = (f64::from(log1p_one(x)) - truth).abs();
        prop_assert!(error <= truth * LOG1P_RELATIVE_ERROR + f64::from(f32::MIN_POSITIVE), "{x}: {error} of {truth}");
    }
}

#[test]
fn log1p_of_counts_keeps_its_error_bound_and_rises() {
    let mut before = -1.0;
    for n in (0..200_000u32).chain((200_000..u32::MAX - 9_999).step_by(9_973)) {
        let y = log1p_one(n as f32);
        let truth = f64::from(n as f32).ln_1p();
        assert!((f64::from(y) - truth).abs() <= truth * LOG1P_RELATIVE_ERROR, "{n}: {y} for {truth}");
        assert!(y >= before, "{n}: falls");
        before = y;
    }
    for (x, wanted) in [(f32::NAN, 0.0), (-3.0, 0.0), (f32::NEG_INFINITY, 0.0)] {
        assert_eq!(log1p_one(x), wanted, "{x}");
    }
    assert!(log1p_one(f32::INFINITY).is_finite());
}

#[test]
fn histogram_measures_of_known_rows() {
    let mut one_bin = [0u16; 16];
    one_bin[5] = 9;
    let even = [3u16; 16];
    let cases: [(&str, f32, f32); 8] = [
        ("entropy of one bin", entropy_one(&one_bin, 0), 0.0),
        ("entropy of an even row", entropy_one(&even, 0), 1.0),
        ("entropy of nothing", entropy_one(&[0u16; 12], 1), 0.0),
        ("skew of an even row", bowley_one(&even), 0.0),
        ("skew of nothing", bowley_one(&[0u16; 16]), 0.0),
        ("mode of one bin", mode_share_one(&one_bin, 0), 1.0),
        ("overlap with itself", overlap_one(&even, &even, 0), 1.0),
        ("overlap of strangers", overlap_one(&one_bin, &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0), 0.0),
    ];
    for (name, got, wanted) in cases {
        assert!((got - wanted).abs() < 1e-5, "{name}: {got}, wanted {wanted}");
    }
}

#[test]
fn dispatch_names_an_available_level() {
    assert!(level().is_available());
    assert!(Level::Scalar.is_available());
}
