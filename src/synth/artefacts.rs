//! Artefacts: whether anything but what an operation does tells its packets from everybody else's.
//! In: every operation of the register beside its twins: harmless programs on the same kinds of devices, or the town's own
//! traffic of the kind. Out: for each the AUC of a classifier that sees only header fields and clocks (TTL, IP
//! identification, source port, checksum, the time within its second and its microsecond). Chance is 0.5.
//! Like is compared with like: the first packet with payload that one side of a flow sends, by the same protocol, at the same
//! port of the server. What a host's flows share is one draw, and a collector is one host a capture, so many small captures
//! are played: with [`SEEDS`] of them, and [`FLOWS_MAX`] flows of each, chance stays within a few hundredths of a half.
//! Cross-validated: each capture is judged by a classifier that was trained on captures of the other folds.
#![cfg(test)]

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::dice::Seeds;
use super::programs::{PROGRAMS, Role};
use super::scenario::{Scenario, ScenarioWords};
use super::town::Town;
use super::town::catalogue::{Catalogue, Kind};
use super::town::stack::IdHabit;
use crate::units::Address;

/// Captures, and folds into which they fall.
const SEEDS: u64 = 160;
/// Times that each operation and each twin stands in a capture, where it may stand more than once: so many collectors are drawn.
const COPIES: usize = 3;
/// Of these a scenario has one at most.
const SINGLE: [&str; 2] = ["packet-injection", "tls-interception"];
const FOLDS: u64 = 5;
/// Flows kept of one operation, or of its twins, one way in one capture.
const FLOWS_MAX: usize = 30;
/// Captures that must show an operation.
const CAPTURES_MIN: usize = 70;
const BINS: usize = 12;
const AUC_OF_CHANCE: std::ops::RangeInclusive<f64> = 0.45..=0.55;
const FEATURES: [&str; 6] = ["TTL", "IP id", "source port", "checksum", "in its second", "in its microsecond"];

/// The first packet with payload that one side of a TCP connection sends; elsewhere any packet.
#[derive(Clone, Copy)]
struct Sample {
    /// Whether an insider sent it.
    up: bool,
    /// Whether the server sent it: the one with the lower port.
    is_answer: bool,
    protocol: u8,
    /// The server's port, where it is a well-known one.
    service_port: u16,
    values: [f64; 6],
    /// The end that is no insider's.
    far: Address,
    seed: u64,
    /// Number of the program among operations and then twins, from 1; 0 for the town itself.
    program: usize,
}

/// Operations at a pace that shows them within a minute, each with the harmless programs that do alike on alike devices; none
/// where the town's own traffic is what it must not be told from.
const TWINS: &[(&str, &str, &[&str])] = &[
    ("population-fan-in", "period=20s,subscribers=0.3", &["telemetry:period=20s,subscribers=0.3"]),
    ("shadow-upload", "every=10s,part=0.05,subscribers=0.3", &["page-counter:every=10s,subscribers=0.3"]),
    (
        "bulk-exfiltration",
        "hosts=4,bytes=64KiB,mode=slow,every=20s",
        &["allowed-transfer:subscribers=0.3,bytes=1MiB,every=20s"],
    ),
    ("record-scraping", "records=3000,a_call=4,addresses=4", &["crawler", "monitor:period=10s"]),
    ("traffic-mirroring", "wrap=gre,subscribers=0.3", &["site-overlay:calls=600"]),
    ("tap-correlation", "subscribers=0.5", &["branch-tunnel"]),
    ("packet-injection", "subscribers=0.8,visits=120,shots=0.7", &[]),
    ("tls-interception", "subscribers=0.5,services=0.5", &[]),
    ("dns-hijack", "subscribers=0.3,onset=before", &["chosen-resolvers:subscribers=0.4"]),
    ("dns-tunnel", "subscribers=0.3,period=6s", &["name-lists:subscribers=0.3,period=8s", "long-names:period=8s"]),
    (
        "cross-border-transfer",
        "subscribers=0.3,bytes=1MiB,every=20s",
        &["allowed-transfer:subscribers=0.3,bytes=1MiB,every=20s"],
    ),
    (
        "beaconing-implant",
        "subscribers=0.3,period=15s",
        &["telemetry:period=20s,subscribers=0.3", "analytics:visits=60"],
    ),
    ("unattributed-cluster", "subscribers=0.4,period=15s", &["remote-management:subscribers=0.4,period=15s"]),
];

/// Ports that mean something; two ends of a tunnel agree on any other.
fn meant(port: u16) -> u16 {
    if port < 1_024 || [5_223, 37_215].contains(&port) { port } else { 0 }
}

/// Harmless programs of all twins, once each, in order.
fn beside() -> Vec<&'static str> {
    let mut all: Vec<&str> = Vec::new();
    for text in TWINS.iter().flat_map(|(.., twins)| *twins) {
        if !all.contains(text) {
            all.push(text);
        }
    }
    all
}

fn samples(seed: u64, folder: &std::path::Path) -> Vec<Sample> {
    // What stands where in the scenario, by the numbers of operations and then twins.
    let mut kinds = vec![0];
    let mut written = |texts: Vec<String>, from: usize| -> Vec<String> {
        let times = |text: &str| if SINGLE.iter().any(|kind| text.starts_with(kind)) { 1 } else { COPIES };
        let all = texts.into_iter().enumerate().flat_map(|(i, text)| vec![(from + i, text.clone()); times(&text)]);
        let (numbers, texts): (Vec<usize>, Vec<String>) = all.unzip();
        kinds.extend(numbers);
        texts
    };
    let operations = written(TWINS.iter().map(|(kind, paced, _)| format!("{kind}:{paced}")).collect(), 1);
    let negatives = written(beside().into_iter().map(str::to_owned).collect(), TWINS.len() + 1);
    let words = ScenarioWords {
        subscribers: 24,
        hours: 0.017,
        activity: 0.5,
        volume: 0.001,
        operations,
        negatives,
        seed,
        ..ScenarioWords::default()
    };
    let frames = Scenario::try_from(words).expect("a good scenario").witness(folder);
    let mut seen = BTreeSet::new();
    let mut samples = Vec::new();
    for (at, label, frame) in frames {
        let Some((key, from, protocol, [ttl, id, port, checksum])) = header(&frame) else { continue };
        if protocol == 6 && !seen.insert((key, label)) {
            continue;
        }
        let ports = [8, 10].map(|at| u16::from_be_bytes([key[at], key[at + 1]]));
        let values = [ttl, id, port, checksum, (at.0 % 1_000_000_000) as f64, (at.0 % 1_000) as f64];
        let (service_port, is_answer) = (meant(ports[0].min(ports[1])), ports[0] < ports[1]);
        let (up, program) = (Town::is_inside(from), kinds[usize::from(label)]);
        let far = if up { Address::v4([key[4], key[5], key[6], key[7]]) } else { from };
        samples.push(Sample { up, is_answer, protocol, service_port, values, far, seed, program });
    }
    // In no order of time: a few of them are kept.
    let mut dice = Seeds::new(seed).dice("which are kept", 0);
    for i in (1..samples.len()).rev() {
        samples.swap(i, dice.index(i + 1));
    }
    samples
}

/// Addresses and ports; the sender; the protocol; TTL, identification, source port, checksum.
type Header = ([u8; 12], Address, u8, [f64; 4]);

/// The header of an IPv4 packet that carries something.
fn header(frame: &[u8]) -> Option<Header> {
    let ip = frame.get(14..).filter(|ip| ip.len() >= 28 && ip[0] == 0x45)?;
    let word = |bytes: &[u8], at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let transport = ip.get(20..usize::from(word(ip, 2)))?;
    let (port, checksum) = match ip[9] {
        6 if transport.len() <= usize::from(transport.get(12)? >> 4) * 4 => return None,
        6 => (word(transport, 0), word(transport, 16)),
        17 => (word(transport, 0), word(transport, 6)),
        _ => (0, word(ip, 10)),
    };
    let mut key = [0; 12];
    key[..8].copy_from_slice(&ip[12..20]);
    if matches!(ip[9], 6 | 17) {
        key[8..].copy_from_slice(&transport[..4]);
    }
    let from = Address::v4([ip[12], ip[13], ip[14], ip[15]]);
    Some((key, from, ip[9], [f64::from(ip[8]), f64::from(word(ip, 4)), f64::from(port), f64::from(checksum)]))
}

/// Naive Bayes over quantile bins: for each feature, bin borders and log-odds.
struct Classifier(Vec<(Vec<f64>, Vec<f64>)>);

impl Classifier {
    /// `operation` against its twins.
    fn train(samples: &[&Sample], operation: usize) -> Self {
        Self((0..FEATURES.len()).map(|feature| Self::feature(samples, feature, operation)).collect())
    }

    fn feature(samples: &[&Sample], feature: usize, operation: usize) -> (Vec<f64>, Vec<f64>) {
        let mut values: Vec<f64> = samples.iter().map(|sample| sample.values[feature]).collect();
        values.sort_by(f64::total_cmp);
        let mut borders: Vec<f64> = (1..BINS).filter_map(|i| values.get(i * values.len() / BINS).copied()).collect();
        borders.dedup();
        let mut counts = vec![[1.0f64; 2]; borders.len() + 1];
        for sample in samples {
            let bin = borders.partition_point(|border| *border <= sample.values[feature]);
            counts[bin][usize::from(sample.program == operation)] += 1.0;
        }
        let total = [0, 1].map(|class| counts.iter().map(|count| count[class]).sum::<f64>());
        let odds = counts.iter().map(|count| (count[1] / total[1] / (count[0] / total[0])).ln()).collect();
        (borders, odds)
    }

    fn score(&self, sample: &Sample, only: Option<usize>) -> f64 {
        let features = self.0.iter().enumerate();
        features
            .filter(|(feature, _)| only.is_none_or(|only| only == *feature))
            .map(|(feature, (borders, odds))| odds[borders.partition_point(|b| *b <= sample.values[feature])])
            .sum()
    }
}

/// Probability that one of the operation scores higher than another, ties counting half; none where there are too few.
fn auc(scored: &[(f64, bool)]) -> Option<f64> {
    let mut all = scored.to_vec();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut sum, mut i) = (0.0, 0);
    while i < all.len() {
        let to = i + all[i..].iter().take_while(|(x, _)| *x == all[i].0).count();
        sum += (i + to + 1) as f64 / 2.0 * all[i..to].iter().filter(|(_, is_op)| *is_op).count() as f64;
        i = to;
    }
    let n = all.iter().filter(|(_, is_op)| *is_op).count() as f64;
    let m = all.len() as f64 - n;
    (n >= 30.0 && m >= 30.0).then(|| (sum - n * (n + 1.0) / 2.0) / (n * m))
}

/// What an operation and its twins send one way, of the kind that the operation mostly sends (its look-ups before are look-ups
/// as any), a few of each capture. Against the town itself: by or to the same far ends, as many of each.
fn alike(samples: &[Sample], operation: usize, twins: &[usize], up: bool) -> Vec<Sample> {
    let kind = |sample: &Sample| (sample.protocol, sample.service_port, sample.is_answer);
    let mut counts = BTreeMap::new();
    let own = samples.iter().filter(|sample| sample.program == operation && sample.up == up);
    own.for_each(|sample| *counts.entry(kind(sample)).or_insert(0) += 1);
    let Some((&mostly, _)) = counts.iter().max_by_key(|(_, count)| **count) else { return Vec::new() };
    let fits = |sample: &&Sample| {
        sample.up == up && kind(sample) == mostly && (sample.program == operation || twins.contains(&sample.program))
    };
    let fitting: Vec<&Sample> = samples.iter().filter(fits).collect();
    let mut by_far: BTreeMap<(u64, Address), [usize; 2]> = BTreeMap::new();
    fitting.iter().for_each(|s| by_far.entry((s.seed, s.far)).or_default()[usize::from(s.program == operation)] += 1);
    let (mut kept, mut kept_far) = (BTreeMap::new(), BTreeMap::new());
    let is_kept = |sample: &&&Sample| {
        let is_own = sample.program == operation;
        let place = kept.entry((sample.seed, is_own)).or_insert(0);
        let place_far = kept_far.entry((sample.seed, sample.far, is_own)).or_insert(0);
        let pairs = by_far[&(sample.seed, sample.far)];
        let is_paired = twins != [0] || *place_far < pairs[0].min(pairs[1]);
        let is_kept = is_paired && *place < FLOWS_MAX;
        (*place, *place_far) = (*place + usize::from(is_kept), *place_far + usize::from(is_kept));
        is_kept
    };
    fitting.iter().filter(is_kept).map(|sample| **sample).collect()
}

/// Captures that show both, and the AUC over all features and for each alone.
fn judged(samples: &[Sample], operation: usize) -> (usize, Vec<Option<f64>>) {
    let of = |is_own: bool| -> BTreeSet<u64> {
        samples.iter().filter(|s| (s.program == operation) == is_own).map(|s| s.seed).collect()
    };
    let both: BTreeSet<u64> = of(true).intersection(&of(false)).copied().collect();
    let samples: Vec<&Sample> = samples.iter().filter(|sample| both.contains(&sample.seed)).collect();
    let classifiers: Vec<Classifier> = (0..FOLDS)
        .map(|fold| {
            let others: Vec<&Sample> = samples.iter().filter(|s| s.seed % FOLDS != fold).copied().collect();
            Classifier::train(&others, operation)
        })
        .collect();
    let judge = |only| {
        let scored = samples.iter().map(|sample| {
            (classifiers[(sample.seed % FOLDS) as usize].score(sample, only), sample.program == operation)
        });
        auc(&scored.collect::<Vec<_>>())
    };
    (both.len(), std::iter::once(None).chain((0..FEATURES.len()).map(Some)).map(judge).collect())
}

#[test]
fn collectors_stand_where_servers_do() {
    let mut scored = [Vec::new(), Vec::new()];
    for seed in 0..150 {
        let seeds = Seeds::new(seed);
        let mut catalogue = Catalogue::new(&seeds);
        let mut dice = seeds.dice("where servers stand", 0);
        // Of a hundred calls over TLS that people make, about so many go to services of these kinds.
        let kinds = [(Kind::Web, 24), (Kind::Assets, 22), (Kind::Adverts, 22), (Kind::Social, 14), (Kind::Cloud, 18)];
        let mut others = Vec::new();
        for (kind, count) in kinds {
            others.extend((0..count).map(|_| catalogue.draw(kind, &mut dice)));
        }
        let own = [catalogue.add_own("c.example".to_owned(), 1), catalogue.add_own("d.example".to_owned(), 3)];
        for (numbers, is_own) in [(others.as_slice(), false), (own.as_slice(), true)] {
            for service in numbers.iter().map(|number| catalogue.get(*number)) {
                scored[0].push((f64::from(service.stack.ttl - service.hops), is_own));
                scored[1].push((f64::from(u8::from(service.stack.ids == IdHabit::Zero)), is_own));
            }
        }
    }
    for (name, scored) in ["TTL", "identification"].into_iter().zip(scored) {
        let auc = auc(&scored).expect("many");
        assert!(AUC_OF_CHANCE.contains(&auc), "{name} tells collectors from servers: AUC {auc:.3}");
    }
}

#[test]
fn every_operation_has_its_twins() {
    let operations: Vec<&str> = PROGRAMS.iter().filter(|p| p.role != Role::Negative).map(|p| p.kind).collect();
    assert_eq!(TWINS.iter().map(|(kind, ..)| *kind).collect::<Vec<_>>(), operations);
}

#[test]
fn no_header_and_no_clock_gives_an_operation_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let samples: Vec<Sample> = (5_000..5_000 + SEEDS).flat_map(|seed| samples(seed, folder.path())).collect();
    let harmless = beside();
    let number = |text: &&str| harmless.iter().position(|one| one == text).map(|at| TWINS.len() + 1 + at);
    let mut broken = Vec::new();
    let mut table = format!("operation, way, captures: AUC of all, of {}\n", FEATURES.join(", "));
    for (i, (kind, _, twins)) in TWINS.iter().enumerate() {
        let twins: Vec<usize> = if twins.is_empty() { vec![0] } else { twins.iter().filter_map(&number).collect() };
        let ways = [true, false].map(|up| (up, judged(&alike(&samples, i + 1, &twins, up), i + 1)));
        if ways.iter().all(|(_, (captures, _))| *captures < CAPTURES_MIN) {
            broken.push(format!("{kind} is hardly seen"));
        }
        for (up, (captures, aucs)) in ways {
            let said: Vec<String> =
                aucs.iter().map(|auc| auc.map_or("-".to_owned(), |auc| format!("{auc:.3}"))).collect();
            let line = format!("{kind} {} {captures}: {}", if up { "up" } else { "down" }, said.join("  "));
            if captures >= CAPTURES_MIN && aucs[0].is_some_and(|auc| !AUC_OF_CHANCE.contains(&auc)) {
                broken.push(line.clone());
            }
            table += &(line + "\n");
        }
    }
    assert!(broken.is_empty(), "given away by artefacts: {}\n{table}", broken.join("\n"));
}
