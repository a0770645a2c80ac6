//! The register is sound, profiles are finite, and they tell the cases apart that they are for.

use std::collections::BTreeSet;

use super::*;
use crate::flow::row::FlowRow;
use crate::population::groups::{Level, roll_up};
use crate::population::limits::SummaryLimits;
use crate::population::sketch::SketchKey;
use crate::population::summary::tests::{any_summary, row, summary_of};
use proptest::prelude::*;

#[test]
fn every_feature_is_described_once() {
    let names: BTreeSet<_> = PROFILE_FEATURES.iter().map(|f| f.name).collect();
    assert_eq!(names.len(), PROFILE_LEN);
    for feature in &PROFILE_FEATURES {
        let (least, most) = feature.range;
        assert!(least < most && !feature.unit.is_empty() && !feature.source.is_empty(), "{feature:?}");
        assert!(feature.doc.ends_with('.') && feature.doc.len() > 15, "{feature:?}");
        assert_eq!(feature.name.ends_with("_log2"), feature.unit.starts_with("log2(1+"), "{feature:?}");
    }
    assert_eq!(profile_set_hash(), profile_set_hash());
}

fn profile(summary: &Summary, last: u8) -> impl Fn(&str) -> f32 + use<> {
    let cx = ProfileContext::new(summary);
    let groups = roll_up(summary, Level::Address, |_| None);
    let far = Address::v4([203, 0, 113, last]);
    let (group, collector) = groups.iter().find(|(group, _)| group.addresses == [far]).expect("the collector");
    let values = profile_of(group, collector, &cx);
    move |name: &str| values[PROFILE_FEATURES.iter().position(|f| f.name == name).expect("a feature")]
}

#[test]
fn a_fan_in_differs_from_a_web_site() {
    let inside = |n: u64| Address::v4([10, 0, 0, n as u8]);
    let mut rows: Vec<FlowRow> = Vec::new();
    for n in 0..40u64 {
        // Everyone, every minute, 300 bytes up; and a web site by chance, with much down.
        for minute in 0..4 {
            let mut beacon = row(inside(n), Address::v4([203, 0, 113, 1]), minute * 60 + 3, 300 + n % 3, 40);
            beacon.pair_gap = DurationNs::from_secs(if minute == 0 { 0 } else { 60 });
            rows.push(beacon);
        }
        if n % 4 == 0 {
            let mut seconds: Vec<u64> = (0..3 + n % 5).map(|visit| (n * 100 + visit).rank() % 280).collect();
            seconds.sort_unstable();
            for (visit, second) in seconds.iter().enumerate() {
                let chance = (n * 1000 + visit as u64).rank();
                let site = Address::v4([203, 0, 113, 2]);
                let mut visited = row(inside(n), site, *second, 100 << (chance % 6), 90_000 + chance % 400_000);
                let before = visit.checked_sub(1).map_or(*second, |before| seconds[before]);
                visited.pair_gap = DurationNs::from_secs(second - before);
                rows.push(visited);
            }
        }
    }
    let summary = summary_of(&rows, &SummaryLimits::default());
    let (fan_in, site) = (profile(&summary, 1), profile(&summary, 2));
    assert_eq!(fan_in("coverage"), 1.0);
    assert!((site("coverage") - 0.25).abs() < 1e-6);
    for (name, least) in
        [("upload_share", 0.8), ("upload_likeness", 0.9), ("gap_regular_share", 0.99), ("period_agreement", 0.99)]
    {
        assert!(fan_in(name) >= least, "{name}: {}", fan_in(name));
        assert!(site(name) < fan_in(name) - 0.2, "{name}: {} against {}", site(name), fan_in(name));
    }
    assert_eq!(fan_in("gap_deviation"), 0.0);
    assert!(fan_in("synchrony") > 0.8 && fan_in("synchrony") > site("synchrony"));
    assert!((fan_in("subscribers_log2") - 41f32.log2()).abs() < 1e-5);
    assert_eq!((fan_in("answered_share"), fan_in("begun_by_collector_share")), (1.0, 0.0));
}

#[test]
fn shares_of_one_subscriber_are_joined_over_addresses() {
    let rows: Vec<FlowRow> =
        (0..30u8).map(|n| row(Address::v4([10, 0, 0, n % 5]), Address::v4([203, 0, 113, n % 6]), 1, 100, 1)).collect();
    let summary = summary_of(&rows, &SummaryLimits::default());
    let cx = ProfileContext::new(&summary);
    let groups = roll_up(&summary, Level::Prefix, |_| None);
    let [(group, collector)] = &groups[..] else { panic!("one prefix") };
    let shares = cx.shares(group);
    assert_eq!(shares.len(), 5);
    assert!(shares.iter().all(|share| share.pair.totals.bytes_up() == 600));
    assert_eq!((cx.uploads(group).total(), collector.totals.bytes_up()), (5, 3000));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_number_is_finite_and_in_its_range(mut summary in any_summary(80), bounded in any::<bool>()) {
        if bounded {
            summary.bound(&SummaryLimits { pairs_max: 3, ..SummaryLimits::default() });
        }
        let cx = ProfileContext::new(&summary);
        for level in Level::ALL {
            for (group, collector) in roll_up(&summary, level, |address| Some(u32::from(address.0[15]))) {
                for (value, feature) in profile_of(&group, &collector, &cx).iter().zip(&PROFILE_FEATURES) {
                    let (least, most) = feature.range;
                    prop_assert!((least..=most).contains(value), "{}: {value}", feature.name);
                }
            }
        }
    }
}
