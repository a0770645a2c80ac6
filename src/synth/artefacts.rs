//! Artefacts: whether anything but what an operation does tells its packets from everybody else's.
//! In: every operation of the register, played over seeds in two halves. Out: for each the AUC of a classifier that sees only
//! header fields and clocks (TTL, IP identification, source port, checksum, the time within its second and its microsecond),
//! trained on one half and judged on the other. Chance is 0.5, give or take what so few draws leave to chance (a deviation of
//! 0.289 over the root of their number); below it the half that was trained on had its own accidents, which is chance as well.
//! Like is compared with like: the first packet with payload that one side of a flow sends, by the same protocol, at the same
//! port of the server. It plays a dozen small captures, which takes seconds: fewer leave more noise than what it looks for.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};

use super::dice::Seeds;
use super::programs::{PROGRAMS, Role};
use super::scenario::{Scenario, ScenarioWords};
use super::town::Town;
use super::town::catalogue::{Catalogue, Kind};
use super::town::stack::IdHabit;
use crate::units::Address;

/// Seeds of each half.
const SEEDS: u64 = 6;
const BINS: usize = 12;
const AUC_OF_CHANCE: std::ops::RangeInclusive<f64> = 0.45..=0.55;
const FEATURES: [&str; 6] = ["TTL", "IP id", "source port", "checksum", "in its second", "in its microsecond"];

/// How many of them, the first ones, depend on the server alone where a server sends.
const PER_SERVER: usize = 2;

/// The first packet with payload that one side of a flow sends.
struct Sample {
    /// Whether an insider sent it.
    up: bool,
    /// Whether the server sent it: the one with the lower port.
    is_answer: bool,
    protocol: u8,
    /// The lower of the ports: the server's, nearly always.
    service_port: u16,
    values: [f64; 6],
    /// Whose it is: the capture and the address.
    sender: (u64, Address),
    /// Number of the operation, from 1; 0 for everything else.
    operation: usize,
}

/// Operations, each at a pace that shows it often in minutes.
fn operations() -> Vec<(&'static str, String)> {
    let kinds =
        PROGRAMS.iter().filter(|program| matches!(program.role, Role::Operation(_))).map(|program| program.kind);
    let paced = |kind| match kind {
        "population-fan-in" => ":period=60s,subscribers=0.4",
        "bulk-exfiltration" => ":hosts=12,bytes=64KiB,mode=slow,every=40s",
        "packet-injection" => ":subscribers=0.6,visits=60,shots=0.8",
        "traffic-mirroring" => ":subscribers=0.2",
        _ => "",
    };
    kinds.map(|kind| (kind, format!("{kind}{}", paced(kind)))).collect()
}

/// Harmless traffic of every kind that some operation resembles: to be told from by what it does, not by how it looks.
fn beside() -> Vec<String> {
    let wanted = [
        "backup:subscribers=0.1,bytes=32KiB",
        "analytics",
        "portal",
        "chosen-resolvers:subscribers=0.3",
        "remote-management:subscribers=0.4",
    ];
    let there = |text: &&&str| PROGRAMS.iter().any(|program| text.split(':').next() == Some(program.kind));
    wanted.iter().filter(there).map(|text| (*text).to_owned()).collect()
}

fn samples(seed: u64, folder: &std::path::Path) -> Vec<Sample> {
    let words = ScenarioWords {
        subscribers: 50,
        hours: 0.06,
        activity: 0.6,
        volume: 0.001,
        operations: operations().into_iter().map(|(_, text)| text).collect(),
        negatives: beside(),
        seed,
        ..ScenarioWords::default()
    };
    let count = words.operations.len();
    let frames = Scenario::try_from(words).expect("a good scenario").witness(folder);
    let mut seen = BTreeSet::new();
    let mut samples = Vec::new();
    for (at, label, frame) in frames {
        let Some((key, from, protocol, [ttl, id, port, checksum])) = header(&frame) else { continue };
        let operation = if usize::from(label) <= count { usize::from(label) } else { 0 };
        if !seen.insert((key, operation)) {
            continue;
        }
        let ports = [8, 10].map(|at| u16::from_be_bytes([key[at], key[at + 1]]));
        let values = [ttl, id, port, checksum, (at.0 % 1_000_000_000) as f64, (at.0 % 1_000) as f64];
        let (service_port, is_answer) = (ports[0].min(ports[1]), ports[0] < ports[1]);
        samples.push(Sample {
            up: Town::is_inside(from),
            is_answer,
            protocol,
            service_port,
            values,
            sender: (seed, from),
            operation,
        });
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
    /// `operation` against what is none.
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
            counts[bin][usize::from(sample.operation == operation)] += 1.0;
        }
        let total = [0, 1].map(|class| counts.iter().map(|count| count[class]).sum::<f64>());
        let odds = counts.iter().map(|count| (count[1] / total[1] / (count[0] / total[0])).ln()).collect();
        (borders, odds)
    }

    /// A server's TTL and identification are one draw a capture, too few to learn from here: `collectors_stand_where_servers_do`
    /// draws many.
    fn score(&self, sample: &Sample, only: Option<usize>) -> f64 {
        let features = self.0.iter().enumerate();
        features
            .filter(|(feature, _)| only.map_or(sample.up || *feature >= PER_SERVER, |only| only == *feature))
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

/// AUC over all features and for each alone, of what one operation sends one way.
fn judged([trained, tested]: [&[Sample]; 2], operation: usize, up: bool) -> (usize, usize, Vec<Option<f64>>) {
    let is_of = |sample: &&Sample| sample.operation == operation && sample.up == up;
    // What it mostly does: its look-ups before are look-ups as any.
    let mut counts = BTreeMap::new();
    trained
        .iter()
        .filter(is_of)
        .for_each(|s| *counts.entry((s.protocol, s.service_port, s.is_answer)).or_insert(0) += 1);
    let Some((&own, _)) = counts.iter().max_by_key(|(_, count)| **count) else { return (0, 1, vec![None; 7]) };
    let others = || trained.iter().filter(|sample| sample.operation == 0 && sample.up == up);
    let of = |sample: &Sample| (sample.protocol, sample.service_port, sample.is_answer);
    let shares_port = others().any(|sample| of(sample) == own);
    let shares_protocol = others().any(|sample| (sample.protocol, sample.is_answer) == (own.0, own.2));
    let alike = |sample: &&Sample| {
        let like = match (shares_port, shares_protocol) {
            (true, _) => of(sample) == own,
            (false, true) => (sample.protocol, sample.is_answer) == (own.0, own.2),
            (false, false) => true,
        };
        sample.up == up && [0, operation].contains(&sample.operation) && like
    };
    let classifier = Classifier::train(&trained.iter().filter(alike).collect::<Vec<_>>(), operation);
    let tested: Vec<&Sample> = tested.iter().filter(alike).collect();
    let judge = |only| {
        let scored = tested.iter().map(|sample| (classifier.score(sample, only), sample.operation == operation));
        auc(&scored.collect::<Vec<_>>())
    };
    let own = || tested.iter().filter(|sample| sample.operation == operation);
    let flows = own().count();
    // What a host's flows share, its TTL and its habits, is one draw.
    let hosts = own().map(|sample| sample.sender).collect::<BTreeSet<_>>().len();
    let draws = if up { hosts } else { flows };
    (flows, draws, std::iter::once(None).chain((0..FEATURES.len()).map(Some)).map(judge).collect())
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
fn no_header_and_no_clock_gives_an_operation_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let half =
        |from: u64| -> Vec<Sample> { (from..from + SEEDS).flat_map(|seed| samples(seed, folder.path())).collect() };
    let (trained, tested) = (half(500), half(600));
    let mut broken = Vec::new();
    let mut table = format!("operation, way, flows: AUC of all, of {}\n", FEATURES.join(", "));
    for (i, (kind, _)) in operations().into_iter().enumerate() {
        for up in [true, false] {
            let (flows, draws, aucs) = judged([&trained, &tested], i + 1, up);
            let said: Vec<String> =
                aucs.iter().map(|auc| auc.map_or("-".to_owned(), |auc| format!("{auc:.3}"))).collect();
            let way = if up { "up" } else { "down" };
            table += &format!("{kind} {way} {flows}: {}\n", said.join("  "));
            if let Some(Some(all)) = aucs.first()
                && *all > 0.55 + 2.0 * 0.289 / (draws as f64).sqrt()
            {
                broken.push(format!("{kind} {way}: {}", said.join("  ")));
            }
        }
    }
    assert!(broken.is_empty(), "given away by artefacts: {}\n{table}", broken.join("; "));
}
