//! The room as a whole: fit, score, write, read back, refuse.

use std::path::Path;

use proptest::prelude::*;
use rand_xoshiro::Xoshiro256Plus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

use super::file::card_path;
use super::*;
use crate::features::{FEATURE_COUNT, FEATURES};

/// Rows of standard normal numbers, one after the other (Box and Muller).
pub(super) fn normals(rows: usize, width: usize, seed: u64) -> Vec<f32> {
    let mut rng = Xoshiro256Plus::seed_from_u64(seed);
    let mut uniform = move || ((rng.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    (0..rows * width)
        .map(|_| ((-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()) as f32)
        .collect()
}

/// Flow rows around `kinds` centres, inside the features' ranges.
pub(super) fn blobs(rows: usize, kinds: usize, seed: u64) -> FeatureMatrix {
    let mut rng = Xoshiro256Plus::seed_from_u64(seed);
    let mut uniform = move || (rng.next_u64() >> 40) as f32 / (1u64 << 24) as f32;
    let centres: Vec<f32> = (0..kinds * FEATURE_COUNT).map(|_| uniform()).collect();
    let mut matrix = FeatureMatrix::new();
    for i in 0..rows {
        let centre = &centres[i % kinds * FEATURE_COUNT..];
        matrix.push_row(&std::array::from_fn(|f| {
            let (low, high) = FEATURES[f].range;
            let share = (centre[f] + 0.03 * (uniform() - 0.5)).clamp(0.0, 1.0);
            low + (high - low) * share
        }));
    }
    matrix
}

const NAMES: [&str; 6] = ["subscribers", "upload_share", "alike", "regular", "novel", "named"];
const PROFILE_SET: u32 = 0x5eed;

fn profiles(rows: usize, seed: u64) -> Vec<Vec<f32>> {
    normals(rows, NAMES.len(), seed).chunks_exact(NAMES.len()).map(<[f32]>::to_vec).collect()
}

fn fitted(rows: &[Vec<f32>]) -> Model {
    let matrix = blobs(400, 8, 1);
    let config = FitConfig { seed: 3, codewords: 12, ..FitConfig::default() };
    Model::fit(flow_rows(&matrix), profile_rows(rows), "rows of a test", config).expect("fits")
}

fn flow_rows(matrix: &FeatureMatrix) -> FlowRows<'_> {
    FlowRows { matrix, services: &[], seen: matrix.rows() as u64 }
}

/// Rows for hours; windows and days have none.
fn profile_rows(rows: &[Vec<f32>]) -> ProfileRows<'_> {
    ProfileRows { names: &NAMES, set_hash: PROFILE_SET, rows: [&[], rows, &[]], services: [&[]; 3] }
}

#[test]
fn a_stranger_is_told_from_the_ordinary() {
    let model = fitted(&profiles(600, 2));
    let ordinary: Vec<ProfileScore> =
        profiles(400, 77).iter().map(|row| model.score_profile(SpanClass::Hour, row)).collect();
    for level in [0.2, 0.05, 0.01] {
        let rate = ordinary.iter().filter(|score| score.p_value <= level).count() as f64 / 400.0;
        assert!(rate <= level * 1.8 + 0.01, "{level}: {rate}");
    }
    assert!(ordinary.iter().filter(|score| score.cluster.is_some()).count() > 380);
    let stranger = model.score_profile(SpanClass::Hour, &[7.0, 7.0, -6.0, 6.0, 0.0, 7.0]);
    assert!(stranger.p_value < 0.002 && stranger.outlier > 3.0 && stranger.cluster.is_none(), "{stranger:?}");
    assert!(model.score_profile(SpanClass::Hour, &[f32::NAN; 6]).p_value > 0.05);
}

#[test]
fn fits_of_few_or_equal_profiles_score_honestly() {
    let same = vec![vec![1.0; 6]; 60];
    let cases = [("none", vec![]), ("one", profiles(1, 1)), ("seven", profiles(7, 1)), ("the same", same)];
    for (name, rows) in cases {
        let model = fitted(&rows);
        let score = model.score_profile(SpanClass::Hour, &[9.0; 6]);
        let floor = 1.0 / (rows.len() + 1) as f64;
        assert!(score.p_value >= floor && score.p_value <= 1.0 && score.outlier.is_finite(), "{name}: {score:?}");
        assert_eq!(model.feature_baselines(SpanClass::Day).len(), 6, "{name}");
        assert_eq!(Model::from_bytes(Path::new(name), &model.to_bytes(), PROFILE_SET).expect(name), model, "{name}");
    }
}

#[test]
fn drift_is_nothing_for_the_same_and_much_for_other_traffic() {
    let matrix = blobs(1000, 8, 1);
    let rows = profiles(200, 2);
    let config = FitConfig { seed: 3, codewords: 12, ..FitConfig::default() };
    let model = Model::fit(flow_rows(&matrix), profile_rows(&rows), "x", config).expect("fits");
    let again = profiles(200, 91);
    let same = model.drift(&blobs(1000, 8, 1), &[&again[..]; 3]);
    assert_eq!(same.moved(), Moved::Little, "{same}");
    let shifted: Vec<Vec<f32>> = again.iter().map(|row| row.iter().map(|x| x + 4.0).collect()).collect();
    let other = model.drift(&blobs(1000, 2, 1), &[&shifted[..]; 3]);
    assert!(other.moved() == Moved::Much && other.flow_index.is_some_and(|index| index > 0.25), "{other}");
    assert!(other.features.iter().all(|(_, then, now, deviations)| now > then && *deviations > 2.0), "{other}");
    assert!(other.to_string().contains("train again"), "{other}");
    assert_eq!(model.drift(&FeatureMatrix::new(), &[&[]; 3]).moved(), Moved::Little);
}

#[test]
fn one_seed_one_model_and_the_card_says_what_was_left_out() {
    let rows = profiles(300, 4);
    assert_eq!(fitted(&rows).to_bytes(), fitted(&rows).to_bytes());
    let flows = blobs(400, 8, 1);
    let config = FitConfig { flow_rows_max: 100, profile_rows_max: 50, codewords: 4, seed: 1 };
    let model = Model::fit(flow_rows(&flows), profile_rows(&rows), "x", config).expect("fits");
    let card = model.card().to_string();
    for wanted in ["Only 100 of 400 flow rows", "Only 50 of 300 profiles by hour", "25 were held back", "upload_share"]
    {
        assert!(card.contains(wanted), "{wanted} in\n{card}");
    }
}

#[test]
fn what_cannot_be_fitted_is_said() {
    let (flows, none) = (blobs(5, 2, 1), FeatureMatrix::new());
    let good = vec![vec![0.0; 6]];
    let (narrow, infinite) = (vec![vec![0.0; 5]], vec![vec![0.0, f32::INFINITY, 0.0, 0.0, 0.0, 0.0]]);
    let cases = [
        ("no flows", &none, &good, 4, "no flow to fit on"),
        ("no codewords", &flows, &good, 0, "from 1 to 256"),
        ("too many codewords", &flows, &good, 257, "from 1 to 256"),
        ("narrow", &flows, &narrow, 4, "row 0 has 5 values"),
        ("infinite", &flows, &infinite, 4, "upload_share is inf"),
    ];
    for (name, flow_features, rows, codewords, wanted) in cases {
        let config = FitConfig { codewords, ..FitConfig::default() };
        let fitted = Model::fit(flow_rows(flow_features), profile_rows(rows), "x", config);
        let error = fitted.expect_err(name).to_string();
        assert!(error.contains(wanted), "{name}: {error}");
    }
}

#[test]
fn a_model_survives_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mine.trwl");
    let model = fitted(&profiles(120, 6));
    model.save(&path).expect("saved");
    model.save(&path).expect("saved over itself");
    assert_eq!(Model::load(&path, PROFILE_SET).expect("loads"), model);
    let card = std::fs::read_to_string(card_path(&path)).expect("a card beside it");
    assert!(card.starts_with("# Model card") && card.contains("rows of a test"), "{card}");
    let names: Vec<_> =
        std::fs::read_dir(folder.path()).expect("lists").map(|e| e.expect("entry").file_name()).collect();
    assert_eq!(names.len(), 2, "nothing else is left: {names:?}");
    let nowhere = folder.path().join("no/such/folder.trwl");
    let error = model.save(&nowhere).expect_err("no folder").to_string();
    assert!(error.contains("no/such") && error.contains("choose a folder"), "{error}");
    let error = Model::load(&nowhere, PROFILE_SET).expect_err("no file").to_string();
    assert!(error.contains("cannot be read"), "{error}");
}

#[test]
fn each_wrong_file_is_refused_by_name_value_and_cure() {
    let model = fitted(&profiles(50, 6));
    let good = model.to_bytes();
    let edited = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let mut resummed = model.clone();
    resummed.feature_set ^= 1;
    let cases: [(&str, Vec<u8>, u32, &str); 10] = [
        ("empty", vec![], PROFILE_SET, "not a model"),
        ("text", b"hello, world".to_vec(), PROFILE_SET, "begins with \"hello, w\""),
        ("magic alone", good[..8].to_vec(), PROFILE_SET, "8 bytes, its header says 60"),
        ("newer", edited(8, 9), PROFILE_SET, "model format 9, this build reads 2"),
        ("cut", good[..good.len() - 1].to_vec(), PROFILE_SET, "copy it again"),
        ("appended", [good.clone(), vec![0]].concat(), PROFILE_SET, "copy it again"),
        ("flipped", edited(good.len() - 3, good[good.len() - 3] ^ 4), PROFILE_SET, "checksum does not match"),
        ("flipped set", edited(12, good[12] ^ 4), PROFILE_SET, "checksum does not match"),
        ("other features", resummed.to_bytes(), PROFILE_SET, "run `trawlwatch train` again"),
        ("other profiles", good.clone(), 0xbad, "trained on profile set 00005eed, this build computes 00000bad"),
    ];
    for (name, bytes, set, wanted) in cases {
        let error = Model::from_bytes(Path::new("dir/m.trwl"), &bytes, set).expect_err(name).to_string();
        assert!(error.starts_with("dir/m.trwl: ") && error.contains(wanted), "{name}: {error}");
    }
}

/// A well-formed file around a body of someone else's making: right sums, wrong content.
fn forged(good: &[u8], body: &[u8]) -> Vec<u8> {
    use sha2::{Digest, Sha256};
    let mut bytes = good[..20].to_vec();
    bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
    let mut hasher = Sha256::new();
    hasher.update(&bytes);
    hasher.update(body);
    bytes.extend_from_slice(&hasher.finalize());
    bytes.extend_from_slice(body);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_and_forged_files_never_panic(
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        forge in any::<bool>(),
    ) {
        static GOOD: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        let good = GOOD.get_or_init(|| fitted(&profiles(50, 6)).to_bytes());
        let mut bytes = good.clone();
        for (at, byte) in hits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if forge {
            bytes = forged(good, &bytes[60..]);
        } else {
            bytes.truncate(cut.index(bytes.len()) + 1);
        }
        if let Ok(model) = Model::from_bytes(Path::new("x"), &bytes, PROFILE_SET) {
            // What was let through can be used.
            let score = model.score_profile(SpanClass::Hour, &vec![1.0; model.profile_width()]);
            prop_assert!(score.p_value > 0.0 && score.p_value <= 1.0, "{score:?}");
            let mut codewords = Vec::new();
            model.assign(&blobs(20, 3, 1), &mut codewords);
            prop_assert!(codewords.iter().all(|&k| usize::from(k) < model.codebook().len()));
        }
    }
}
