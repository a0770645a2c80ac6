//! The register of profile features; its order is the order of every profile and model.
//! In: a view of one collector. Out: numbers; `profile_of` makes them finite and keeps them in their range.

use super::{ProfileFeature, Quartiles, View, entropy, log2_1p, ratio};
use crate::population::span::SLOTS_MAX;

/// How many features a profile has.
pub const PROFILE_LEN: usize = 35;

const OURS: &str = "this project";
const GIROIRE: &str = "Giroire et al., RAID 2009";
const RITA: &str = "RITA's beacon score (Active Countermeasures)";

macro_rules! feature {
    ($name:literal, $unit:literal, $least:literal..=$most:literal, $source:expr, $doc:literal, $value:expr) => {
        ProfileFeature { name: $name, unit: $unit, range: ($least, $most), doc: $doc, source: $source, value: $value }
    };
}

/// All features.
pub const PROFILE_FEATURES: [ProfileFeature; PROFILE_LEN] = [
    // Breadth
    feature!("subscribers_log2", "log2(1+subscribers)", 0.0..=64.0, GIROIRE, "Distinct subscribers.", |v| log2_1p(
        v.subscribers
    )),
    feature!(
        "coverage",
        "ratio",
        0.0..=1.0,
        GIROIRE,
        "Share of the population's active subscribers that it reaches.",
        |v| ratio(v.subscribers, v.active as f64)
    ),
    // Direction
    feature!("upload_share", "ratio", 0.0..=1.0, OURS, "Payload up of all payload; 0 without payload.", |v| ratio(
        v.collector.totals.bytes_up() as f64,
        v.collector.totals.bytes() as f64
    )),
    feature!(
        "producer_consumer_ratio",
        "ratio",
        -1.0..=1.0,
        "Bullard and Gerth, FloCon 2014",
        "(up − down)/(up + down) over IP bytes: 1 where subscribers only send, −1 where they only receive.",
        |v| {
            let [up, down] = v.collector.totals.ip_bytes.map(|bytes| bytes as f64);
            ratio(up - down, up + down)
        }
    ),
    feature!("answered_share", "ratio", 0.0..=1.0, OURS, "Rows in which the called side took part.", |v| v
        .of_rows(v.collector.rows_answered)),
    feature!(
        "one_way_share",
        "ratio",
        0.0..=1.0,
        OURS,
        "Rows in which one side only sent packets: floods, scans, spoofed sources.",
        |v| v.of_rows(v.collector.rows_one_way)
    ),
    feature!("begun_by_collector_share", "ratio", 0.0..=1.0, OURS, "Flows that the far party began.", |v| ratio(
        v.collector.flows_by_collector as f64,
        v.collector.totals.flows as f64
    )),
    // Sizes
    feature!(
        "upload_row_median_log2",
        "log2(1+bytes)",
        0.0..=64.0,
        OURS,
        "Median payload up of rows that have any.",
        |v| log2_1p(v.collector.upload_sizes.quantile(0.5).unwrap_or(0.0))
    ),
    feature!(
        "download_row_median_log2",
        "log2(1+bytes)",
        0.0..=64.0,
        OURS,
        "Median payload down of rows that have any.",
        |v| log2_1p(v.collector.download_sizes.quantile(0.5).unwrap_or(0.0))
    ),
    feature!(
        "upload_concentration",
        "ratio",
        0.0..=1.0,
        OURS,
        "Largest share of rows whose payload up lies in two neighbouring quarter octaves; 0 without payload up.",
        |v| v.collector.upload_sizes.mode().map_or(0.0, |mode| mode.share)
    ),
    feature!("download_concentration", "ratio", 0.0..=1.0, OURS, "The same of payload down.", |v| v
        .collector
        .download_sizes
        .mode()
        .map_or(0.0, |mode| mode.share)),
    feature!(
        "upload_likeness",
        "ratio",
        0.0..=1.0,
        "Bonett 2006 (coefficient of quartile dispersion)",
        "One less the quartile dispersion, over subscribers, of payload up by row: 1 where all give alike. 0 with fewer than two who give.",
        |v| v.uploads.map_or(0.0, |q| 1.0 - q.dispersion())
    ),
    feature!(
        "upload_size_entropy",
        "bits",
        0.0..=4.0,
        OURS,
        "Mean entropy of the packet sizes that a subscriber sends within a row.",
        |v| v.collector.upload_size_entropy.value().unwrap_or(0.0)
    ),
    // Time
    feature!(
        "gap_median_log2",
        "log2(1+ms)",
        0.0..=28.0,
        RITA,
        "Median time between two flows of one pair; 0 where none repeats.",
        |v| log2_1p(v.gaps().map_or(0.0, |q| q.median))
    ),
    feature!("gap_skew", "ratio", -1.0..=1.0, RITA, "Bowley's skew of those times: near 0 for machines.", |v| v
        .gaps()
        .map_or(0.0, |q| q.skew())),
    feature!(
        "gap_deviation",
        "ratio",
        0.0..=1.0,
        RITA,
        "Median absolute deviation over median of those times; 1 where none repeats.",
        |v| {
            let gaps = &v.collector.pair_gaps_ms;
            gaps.median_deviation()
                .zip(gaps.quantile(0.5))
                .map_or(1.0, |(mad, median)| if median > 0.0 { mad / median } else { 1.0 })
        }
    ),
    feature!(
        "gap_regular_share",
        "ratio",
        0.0..=1.0,
        OURS,
        "Largest share of those times in two neighbouring bins, so within some 6 % of the mode; 0 where none repeats.",
        |v| v.collector.pair_gaps_ms.mode().map_or(0.0, |mode| mode.share)
    ),
    feature!(
        "period_agreement",
        "ratio",
        0.0..=1.0,
        OURS,
        "One less the quartile dispersion, over subscribers with at least three flows, of their mean time between \
            flows. 0 with fewer than two such.",
        |v| v.periods.map_or(0.0, |q: Quartiles| 1.0 - q.dispersion())
    ),
    feature!(
        "upload_gap_cv_log2",
        "log2(1+ratio)",
        0.0..=21.0,
        OURS,
        "Mean coefficient of variation of the gaps between a subscriber's packets.",
        |v| log2_1p(v.collector.upload_gap_cv.value().unwrap_or(0.0))
    ),
    feature!("duration_median_log2", "log2(1+ms)", 0.0..=64.0, OURS, "Median duration of rows.", |v| log2_1p(
        v.collector.durations_ms.quantile(0.5).unwrap_or(0.0)
    )),
    feature!(
        "turns_log2",
        "log2(1+turns)",
        0.0..=21.0,
        OURS,
        "Mean number of changes of the talking side: a record handed over has few.",
        |v| log2_1p(v.collector.turns.value().unwrap_or(0.0))
    ),
    feature!(
        "synchrony",
        "ratio",
        -1.0..=1.0,
        "Fano factor",
        "(F − 1)/(F + 1), F the variance over the mean of flow starts by slot: 0 as by chance, towards 1 in bursts, \
            towards −1 as evenly as a clock.",
        synchrony
    ),
    feature!(
        "persistence",
        "ratio",
        0.0..=1.0,
        GIROIRE,
        "Slots in which it takes part, of those in which its population does.",
        |v| ratio(v.collector.series.slots().len() as f64, v.population.map_or(0, |p| p.series.slots().len()) as f64)
    ),
    // Volume
    feature!(
        "upload_per_subscriber_log2",
        "log2(1+bytes)",
        0.0..=64.0,
        OURS,
        "Mean payload up of a subscriber.",
        |v| log2_1p(v.per_subscriber(v.collector.totals.bytes_up()))
    ),
    feature!(
        "flows_per_subscriber_log2",
        "log2(1+flows)",
        0.0..=64.0,
        OURS,
        "Mean number of flows that a subscriber has with it.",
        |v| { log2_1p(v.per_subscriber(v.collector.totals.flows)) }
    ),
    feature!(
        "packets_per_row_log2",
        "log2(1+packets)",
        0.0..=64.0,
        OURS,
        "Mean number of packets of a row, both sides.",
        |v| log2_1p(v.of_rows(v.collector.totals.packets_both()))
    ),
    // Identity
    feature!("named_share", "ratio", 0.0..=1.0, OURS, "Rows that ask for it by name (SNI, Host).", |v| v
        .of_rows(v.collector.rows_named)),
    feature!(
        "looked_up_share",
        "ratio",
        0.0..=1.0,
        OURS,
        "Clients that were answered with its address, by subscriber; 0 also where the summary holds no answers at all.",
        |v| ratio(v.lookers.unwrap_or(0) as f64, v.subscribers)
    ),
    feature!(
        "names_log2",
        "log2(1+names)",
        0.0..=64.0,
        OURS,
        "Distinct names that it is asked for by, as far as they are kept.",
        |v| log2_1p(v.collector.names.len() as f64)
    ),
    feature!(
        "domains_log2",
        "log2(1+domains)",
        0.0..=64.0,
        OURS,
        "Distinct registrable domains, likewise: an interceptor answers for many.",
        |v| log2_1p(v.collector.domains.len() as f64)
    ),
    feature!(
        "fingerprints_log2",
        "log2(1+fingerprints)",
        0.0..=64.0,
        OURS,
        "Distinct JA4 of clients: one program, or many.",
        |v| log2_1p(v.collector.ja4.len() as f64)
    ),
    feature!("service_entropy", "bits", 0.0..=8.0, OURS, "Entropy over the ports that answer, others as one.", |v| {
        entropy(v.collector.services.iter().map(|(_, n)| n).chain([v.collector.services.others()]))
    }),
    feature!("protocol_entropy", "bits", 0.0..=8.0, OURS, "Entropy over IP protocols.", |v| entropy(
        v.collector.protocols.iter().map(|(_, n)| n).chain([v.collector.protocols.others()])
    )),
    feature!("codeword_entropy", "bits", 0.0..=9.0, OURS, "Entropy over flow codewords; 0 without a codebook.", |v| {
        entropy(v.collector.codewords.iter().map(|(_, n)| n.into()).chain([v.collector.codewords_other]))
    }),
    feature!("carried_share", "ratio", 0.0..=1.0, OURS, "Rows that were seen inside a tunnel.", |v| v
        .of_rows(v.collector.rows_carried)),
];

/// Over the slots between the first and the last in which the population took part.
fn synchrony(v: &View<'_>) -> f64 {
    let slots = v.population.map_or(&[][..], |p| p.series.slots());
    let ends = slots.first().zip(slots.last());
    let n = ends.map_or(0, |(first, last)| (last.0 - first.0).saturating_add(1).min(SLOTS_MAX)) as f64;
    let starts = || v.collector.series.slots().iter().map(|(_, volume)| f64::from(volume.flows));
    let mean = ratio(starts().sum(), n);
    if n < 2.0 || mean <= 0.0 {
        return 0.0;
    }
    let square = ratio(starts().map(|flows| flows * flows).sum(), n);
    let fano = ((square - mean * mean) / mean).max(0.0);
    (fano - 1.0) / (fano + 1.0)
}
