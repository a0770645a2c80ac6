//! `tap-correlation`: an opaque stream to a stranger whose rate over time is a copy of the population's rate.
//! In: paces of a scene: of populations, of their busiest subscribers, of what streams out; of a window also together with the one
//! before it, by the second. Out: a finding for each far end whose stream follows.
//! What it weighs: the correlation of what is left once slow change is taken out (a shared daily rhythm is not a tap), at a
//! few lags; how far it stands out of the same with one series shifted around a circle, and still does without the part of the
//! span that says most for it; whether it holds in every part (two bursts that meet once are chance); the ratio of volumes (a
//! copy is no many times larger than what it copies), and how constant it is. A stream's own part of the population's traffic
//! is taken out first, and only what is hardly answered counts: a tunnel that serves people carries both ways.
//! What several subscribers send that is so is told as `shadow-upload`: each tells of itself.
//! Bounds: shifted copies and subsets are looked at only for streams that follow already, or are among the heaviest.
//! The trivial baseline that it must beat: bytes to one far end.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::{CollectorIdentity, EvidenceValue, Finding, Severity, Technique};
use super::scene::{Scene, service_of};
use super::series::{High, blocks_that_agree, correlation, deviations, high_pass, shifted, without_best_part};
use super::weigh::{Reason, log_ramp, ramp, severity_of, weigh};
use super::words;
use crate::population::collector::ServiceAt;
use crate::population::conflict::network_of;
use crate::population::identity::Party;
use crate::population::pace::{PaceSeries, Paces, Stream, StreamKey, slot_length};
use crate::population::sketch::Merge;
use crate::population::{PopulationIndex, SpanClass};
use crate::units::{Address, DurationNs};
use members::{WithoutHeavy, contained};

mod members;

/// Slots that a comparison must rest on.
const SLOTS_MIN: usize = 40;
/// Slots in which the stream must have sent.
const SLOTS_SENDING_MIN: usize = 24;
/// Bytes below which a stream is no copy of anything worth copying.
const BYTES_MIN: u64 = 64 << 10;
/// A copy sends at least this many times what comes back.
const ONE_SIDED_MIN: f64 = 5.0;
/// Lags tried, in slots: the copy comes later, or a slot earlier where clocks differ.
const LAGS: std::ops::RangeInclusive<isize> = -1..=6;
/// Correlation from which on shifted copies are looked at.
const FOLLOWS_MIN: f64 = 0.2;
/// Shifted copies looked at.
const SHIFTS: usize = 160;
/// Streams for which subsets of subscribers are tried, the heaviest ones.
const SUBSETS_MAX: usize = 8;
/// Devices that may send the copies: they stand where everybody's traffic passes, and such places are few. Where many send, each
/// tells of itself, which is `shadow-upload`'s.
const SENDERS_MAX: usize = 8;
/// Subscribers among them from which on each tells of itself.
const OF_THEMSELVES_MIN: usize = 4;
/// Equal parts of the span that are looked at one by one.
const PARTS: usize = 6;
/// Bytes for each that it follows between which a stream becomes too large to be its copy: padding, headers and chaff make up to
/// 4 of 1 where little moves (tuning seeds), and a backup beside the one home that moves as it does is 10 to 70 times that.
const LARGER: (f64, f64) = (3.0, 8.0);
/// Deviations over the shifted copies that must be left without the other streams.
const PLAIN_Z_MIN: f64 = 2.5;
/// Probability of a match of two windows from which on it may be chance: a day has 1,440 such looks, at some streams each.
const CHANCE_OF_TWO_MAX: f64 = 1e-5;
/// Share of the parts of two windows that must agree: of nine harmless days two had bursts in common that no shift of a circle
/// has (6.5 and 7.9 deviations), which fill two parts in three.
const AGREEMENT_OF_TWO_MIN: f64 = 0.8;
/// Streams that are one collector's.
struct Candidate<'a> {
    key: String,
    addresses: Vec<Address>,
    senders: BTreeSet<Party>,
    stream: Stream,
    level: &'a str,
}

/// How well a stream follows something.
#[derive(Clone, Copy, Debug)]
struct Match {
    correlation: f64,
    /// Standard deviations above the shifted copies.
    z: f64,
    /// Share of the parts of the span in which it holds.
    agreement: f64,
    lag: isize,
    /// Bytes of the stream for each byte of what it follows.
    ratio: f64,
    /// How much that varies between parts, over its mean.
    ratio_spread: f64,
    slots: usize,
    /// Comparisons made, for the p-value.
    tries: f64,
}

/// What it follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Whole(&'static str),
    Subset(usize),
    /// Everybody but so many.
    Rest(usize),
}

/// See the file's header.
pub fn detect(scene: &Scene<'_>, findings: &mut Vec<Finding>) {
    let paces = &scene.summary.paces;
    if paces.streams.is_empty() || paces.whole.is_empty() {
        return;
    }
    let length = match scene.summary.class() {
        SpanClass::Window => Length::Window,
        SpanClass::Hour | SpanClass::Day => Length::Longer,
    };
    follow(scene, paces, length, findings);
    // Two windows by the second tell what the hour so far, by four seconds, tells when it has twice as many.
    if let Some(before) = scene.paces_before() {
        let mut both = before.clone();
        both.merge(paces.clone());
        follow(scene, &both, Length::TwoWindows, findings);
    }
}

/// How long the paces are that are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Window,
    TwoWindows,
    Longer,
}

impl Length {
    /// Two windows in one of which a stream is silent are one; their slots are seconds.
    fn of_slots(self, slots: usize, window: DurationNs) -> Self {
        let is_one = self == Self::TwoWindows && slots as f64 <= window.as_secs_f64();
        if is_one { Self::Window } else { self }
    }

    /// Whether more of it may look otherwise. A minute has few parts: where one of them does not follow, one burst that two have
    /// in common is behind it, and of the minutes and streams of a day some have that.
    fn may_be_chance(self, agreement: f64, p_value: f64) -> bool {
        match self {
            Self::Window => agreement < 1.0,
            Self::TwoWindows => p_value > CHANCE_OF_TWO_MAX || agreement < AGREEMENT_OF_TWO_MIN,
            Self::Longer => false,
        }
    }
}

/// Streams that follow, by these paces.
fn follow(scene: &Scene<'_>, paces: &Paces, length: Length, findings: &mut Vec<Finding>) {
    // What is decoded inside, and records of flows, are for `traffic-mirroring`.
    let mut tunnels = scene.tunnel_ends();
    let told = scene.summary.exports.sorted().into_iter().filter(|(_, export)| !export.subscribers.is_empty());
    tunnels.extend(told.filter_map(|(key, _)| key.receiver.outside()));
    let receivers: BTreeSet<Address> = paces.streams.sorted().into_iter().map(|(key, _)| key.to).collect();
    for (&population, whole) in &paces.whole {
        let may = |address: &&Address| scene.is_registered(Technique::TapCorrelation, population, **address);
        let registered: BTreeSet<Address> = receivers.iter().filter(may).copied().collect();
        let candidates = candidates(paces, &tunnels, &registered);
        let streams = streams_of(paces, population);
        for (rank, candidate) in candidates.iter().enumerate() {
            if let Some((best, of)) = follows(paces, (population, whole, &streams), candidate, rank < SUBSETS_MAX) {
                findings.extend(judge(scene, length, population, candidate, best, of));
            }
        }
    }
}

impl Candidate<'_> {
    /// The finding as it is, or as that of the technique that uploads of several are which together follow what they do: no place that
    /// everybody's traffic passes is behind them.
    fn of_themselves(&self, scene: &Scene<'_>, population: PopulationIndex, who: &str, found: Finding) -> Finding {
        let is_own = |sender: &&Party| matches!(sender, Party::Subscriber(of, _) if *of == population);
        let senders = self.senders.iter().filter(is_own).count();
        // Who may have copies by the register has them.
        let may = |address: &Address| scene.is_registered(Technique::TapCorrelation, population, *address);
        if senders < OF_THEMSELVES_MIN || self.addresses.iter().any(may) {
            return found;
        }
        let counted = words::counted(senders as u64, "subscriber");
        Finding {
            technique: Technique::ShadowUpload,
            severity: found.severity.min(Severity::Medium),
            population: scene.share(population, senders as u64, Vec::new()),
            headline: format!("Uploads of {counted} to {who} rise and fall with what they do"),
            explanation: format!(
                "{counted} send {} to {who} and get hardly anything back, and the rate of it follows the traffic of all: each tells of \
                 itself, as no device in everybody's path is behind it. Find the program on these devices that watches what they do, ask \
                 its maker for the legal basis, and either register the collector in the policy or block it.",
                words::bytes(self.stream.bytes[0]),
            ),
            ..found
        }
    }
}

/// What streams have in common: in which respect, and the sender, the receiving address or network, the service.
type Common = (&'static str, Option<Party>, Option<Address>, Option<u32>);

/// Every stream alone, and those of one sender, all or at one service, or to one network together; heaviest first. Who may have it by
/// the register stands for himself.
fn candidates(paces: &Paces, tunnels: &BTreeSet<Address>, registered: &BTreeSet<Address>) -> Vec<Candidate<'static>> {
    let streams: Vec<(&StreamKey, &Stream)> =
        paces.streams.sorted().into_iter().filter(|(key, _)| !tunnels.contains(&key.to)).collect();
    let mut groups: BTreeMap<Common, Vec<usize>> = BTreeMap::new();
    for (i, (key, stream)) in streams.iter().enumerate() {
        groups.entry(("address", None, Some(key.to), None)).or_default().push(i);
        if registered.contains(&key.to) {
            continue;
        }
        groups.entry(("prefix", None, Some(network_of(key.to)), None)).or_default().push(i);
        groups.entry(("sender", Some(key.from), None, None)).or_default().push(i);
        let service = stream.services.by_count().first().map(|(service, _)| *service);
        groups.entry(("service", Some(key.from), None, service)).or_default().push(i);
    }
    // At its one service a sender is what it is at all.
    let of_sender = |from: Option<Party>| groups.get(&("sender", from, None, None)).map_or(0, Vec::len);
    let all = |common: &Common, members: &[usize]| common.0 == "service" && members.len() == of_sender(common.1);
    let twice: Vec<Common> = groups.iter().filter(|(of, members)| all(of, members)).map(|(of, _)| *of).collect();
    twice.iter().for_each(|of| drop(groups.remove(of)));
    let mut found = Vec::new();
    for ((level, ..), members) in groups {
        let addresses: BTreeSet<Address> = members.iter().map(|i| streams[*i].0.to).collect();
        if level != "address" && addresses.len() < 2 {
            continue;
        }
        let mut stream = Stream::default();
        members.iter().for_each(|i| stream.merge(streams[*i].1.clone()));
        let [sent, back] = stream.bytes.map(|bytes| bytes as f64);
        let sending = stream.series.slots().iter().filter(|(_, bytes)| bytes[0] > 0).count();
        if stream.bytes[0] < BYTES_MIN || sent < back * ONE_SIDED_MIN || sending < SLOTS_SENDING_MIN {
            continue;
        }
        let first = addresses.first().copied().unwrap_or_default();
        let key = match level {
            "address" => first.to_string(),
            "prefix" => words::prefix(first),
            _ => addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        };
        let senders: BTreeSet<Party> = members.iter().map(|i| streams[*i].0.from).collect();
        if senders.len() > SENDERS_MAX {
            continue;
        }
        found.push(Candidate { key, addresses: addresses.into_iter().collect(), senders, stream, level });
    }
    found.sort_by(|a, b| b.stream.bytes[0].cmp(&a.stream.bytes[0]).then_with(|| a.key.cmp(&b.key)));
    found
}

/// The best match of a candidate with a population, if there is one.
fn follows(
    paces: &Paces,
    (population, whole, streams): (PopulationIndex, &PaceSeries, &PaceSeries),
    candidate: &Candidate<'_>,
    try_subsets: bool,
) -> Option<(Match, Of)> {
    let (first, last) = bounds(&candidate.stream.series)?;
    let own = candidate.senders.iter().any(|sender| matches!(sender, Party::Subscriber(p, _) if *p == population));
    let sent = dense(&candidate.stream.series, first, last);
    let all = dense(whole, first, last);
    // The stream is itself part of the traffic of a population that it starts in.
    let rest: Vec<[f64; 2]> = all
        .iter()
        .zip(&sent)
        .map(|(all, mine)| if own { [(all[0] - mine[0]).max(0.0), (all[1] - mine[1]).max(0.0)] } else { *all })
        .collect();
    // Where nothing at all was captured, nothing is compared.
    let kept: Vec<usize> = (0..rest.len()).filter(|t| rest[*t] != [0.0, 0.0] || sent[*t][0] > 0.0).collect();
    if kept.len() < SLOTS_MIN {
        return None;
    }
    let y: Vec<f64> = kept.iter().map(|t| sent[*t][0]).collect();
    let High { series: y_high, .. } = high_pass(&y);
    let mut best: Option<(Match, Of)> = None;
    let mut offer = |found: Option<Match>, of: Of| {
        if let Some(found) = found
            && best.as_ref().is_none_or(|(known, _)| found.z * found.correlation > known.z * known.correlation)
        {
            best = Some((found, of));
        }
    };
    for (words, [up, down]) in [("both ways", [1.0, 1.0]), ("sent", [1.0, 0.0]), ("received", [0.0, 1.0])] {
        let x: Vec<f64> = kept.iter().map(|t| up * rest[*t][0] + down * rest[*t][1]).collect();
        offer(compare(&x, &y, &y_high, 3.0), Of::Whole(words));
    }
    // Another stream may be the copy, and this one what it copies: then nothing is left of it without the other streams.
    let others = dense(streams, first, last);
    let plain: Vec<f64> = kept
        .iter()
        .map(|t| {
            let mine = if own { sent[*t] } else { [0.0, 0.0] };
            (0..2).map(|way| (rest[*t][way] - (others[*t][way] - mine[way]).max(0.0)).max(0.0)).sum()
        })
        .collect();
    let is_plain = compare(&plain, &y, &y_high, 1.0).is_some_and(|found| found.z >= PLAIN_Z_MIN);
    if try_subsets {
        let rate_of = |series: &PaceSeries| -> Vec<f64> {
            let series = dense(series, first, last);
            kept.iter().map(|t| series[*t][0] + series[*t][1]).collect()
        };
        let less = |all: Vec<f64>, part: &PaceSeries| -> Vec<f64> {
            all.iter().zip(rate_of(part)).map(|(all, part)| (all - part).max(0.0)).collect()
        };
        let busy = busy(paces, population, candidate);
        let apart: Vec<Vec<f64>> = busy.iter().map(|one| less(rate_of(one.moved), &one.copy)).collect();
        let base = kept.iter().map(|t| rest[*t][0] + rest[*t][1]).collect();
        let base = busy.iter().fold(base, |base, one| less(base, &one.copy));
        if let Some(rest) = WithoutHeavy::of(&base, &apart, &y) {
            // The choice itself makes series agree: what it brings for a turned stream is no match.
            let (by_choice, deviation) = WithoutHeavy::by_choice(&base, &apart, &y);
            let found = compare(&rest.series, &y, &y_high, 1.0 + apart.len() as f64)
                .map(|found| Match { z: found.z.min((found.correlation - by_choice) / deviation), ..found });
            offer(found, Of::Rest(rest.left_out));
        }
        // Whoever streams out as well is no one to be copied for sure: it may be the copier of another.
        let others: Vec<Vec<f64>> =
            busy.iter().zip(apart).filter(|(one, _)| !one.streams).map(|(_, rate)| rate).collect();
        if let Some((x, members)) = contained(&others, &y) {
            // Choosing the members was a try for each of them.
            offer(compare(&x, &y, &y_high, 3.0 + others.len() as f64), Of::Subset(members));
        }
    }
    best.filter(|(_, of)| is_plain || matches!(of, Of::Subset(_) | Of::Rest(_)))
}

/// A busy subscriber.
struct BusyOne<'a> {
    /// What it moved.
    moved: &'a PaceSeries,
    /// What of that streams out and may be a copy of the candidate, being as large.
    copy: PaceSeries,
    /// Whether anything streams out.
    streams: bool,
}

/// The busy subscribers of a population but for those who send the candidate.
fn busy<'a>(paces: &'a Paces, population: PopulationIndex, candidate: &Candidate<'_>) -> Vec<BusyOne<'a>> {
    let mut streamed: BTreeMap<Party, Stream> = BTreeMap::new();
    for (key, stream) in paces.streams.sorted() {
        streamed.entry(key.from).or_default().merge(stream.clone());
    }
    let copy_bytes_min = members::COMPRESSED_MIN * candidate.stream.bytes[0] as f64;
    let busy = paces.busy.sorted().into_iter().filter(|(key, _)| key.population == population);
    let parties = busy.map(|(key, one)| (Party::Subscriber(population, key.subscriber), one));
    let others = parties.filter(|(party, _)| !candidate.senders.contains(party));
    let known = others.map(|(party, one)| {
        let stream = streamed.remove(&party);
        let streams = stream.is_some();
        let copy = stream.filter(|stream| stream.bytes[0] as f64 >= copy_bytes_min).unwrap_or_default().series;
        BusyOne { moved: &one.series, copy, streams }
    });
    known.collect()
}

/// Everything that streams out of a population.
fn streams_of(paces: &Paces, population: PopulationIndex) -> PaceSeries {
    let mut sum = PaceSeries::default();
    for (key, stream) in paces.streams.sorted() {
        if matches!(key.from, Party::Subscriber(of, _) if of == population) {
            sum.merge(stream.series.clone());
        }
    }
    sum
}

fn compare(x: &[f64], y: &[f64], y_high: &[f64], tries: f64) -> Option<Match> {
    let x_high = high_pass(x).series;
    let (lag, best) =
        LAGS.map(|lag| (lag, correlation(&x_high, &shifted(y_high, lag)))).max_by(|a, b| a.1.total_cmp(&b.1))?;
    if best < FOLLOWS_MIN {
        return None;
    }
    let n = x.len();
    let margin = *LAGS.end() as usize + 8;
    let stride = (n.saturating_sub(2 * margin) / SHIFTS).max(1);
    let null: Vec<f64> = (margin..n.saturating_sub(margin))
        .step_by(stride)
        .map(|by| correlation(&x_high, &shifted(y_high, by as isize)))
        .collect();
    if null.len() < 8 {
        return None;
    }
    let mean = null.iter().sum::<f64>() / null.len() as f64;
    let variance = null.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / null.len() as f64;
    let (ratio, ratio_spread) = ratio(x, &shifted(y, lag));
    let y_there = shifted(y_high, lag);
    // Over what the slots are worth, over what those without the loudest part are, and over the shifted copies themselves: the
    // most doubtful one counts.
    let [x_rest, y_rest] = without_best_part(&x_high, &y_there, PARTS);
    let by_worth = deviations(&x_high, &y_there).min(deviations(&x_rest, &y_rest));
    let by_shifts = (best - mean) / variance.sqrt().max(1.0 / (n as f64).sqrt());
    Some(Match {
        correlation: best,
        z: by_worth.min(by_shifts),
        agreement: blocks_that_agree(&x_high, &y_there, PARTS, 0.5 * best),
        lag,
        ratio,
        ratio_spread,
        slots: n,
        tries: tries * LAGS.count() as f64,
    })
}

/// Bytes of `y` for each of `x`, and how much that varies over the parts, over its mean.
fn ratio(x: &[f64], y: &[f64]) -> (f64, f64) {
    let part = (x.len() / PARTS).max(1);
    let of = |x: &[f64], y: &[f64]| y.iter().sum::<f64>() / x.iter().sum::<f64>().max(1.0);
    let ratios: Vec<f64> =
        x.chunks(part).zip(y.chunks(part)).filter(|(x, _)| x.len() == part).map(|(x, y)| of(x, y)).collect();
    let mean = ratios.iter().sum::<f64>() / ratios.len().max(1) as f64;
    let variance = ratios.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / ratios.len().max(1) as f64;
    (of(x, y), variance.sqrt() / mean.max(1e-9))
}

fn bounds(series: &PaceSeries) -> Option<(u64, u64)> {
    let sending = |(slot, bytes): &(u64, [u64; 2])| (bytes[0] > 0).then_some(*slot);
    let first = series.slots().iter().find_map(sending)?;
    Some((first, series.slots().iter().rev().find_map(sending)?))
}

/// Slots `first` to `last`, one entry each. A series has a bounded number of slots, but a hostile clock may set them far
/// apart: past the bound nothing is compared.
fn dense(series: &PaceSeries, first: u64, last: u64) -> Vec<[f64; 2]> {
    let len = (last - first).min(crate::population::pace::PACE_SLOTS_MAX as u64) as usize + 1;
    let mut dense = vec![[0.0; 2]; len];
    for (slot, bytes) in series.slots() {
        if let Some(at) = slot.checked_sub(first).and_then(|at| dense.get_mut(at as usize)) {
            *at = bytes.map(|bytes| bytes as f64);
        }
    }
    dense
}

/// Whether a stream goes to where calls are relayed (TURN, RFC 8656): what one of us says to another comes back to the other there, at
/// the same moment and as much.
fn is_relay(service: u32) -> bool {
    matches!((service >> 16, service & 0xffff), (6 | 17, 3478 | 5349))
}

fn judge(
    scene: &Scene<'_>,
    length: Length,
    population: PopulationIndex,
    candidate: &Candidate<'_>,
    found: Match,
    of: Of,
) -> Option<Finding> {
    let [sent, back] = candidate.stream.bytes.map(|bytes| bytes as f64);
    let one_sided = sent / (sent + back).max(1.0);
    let reasons = vec![
        Reason::number("rate_correlation", found.correlation, "ratio", ramp(found.correlation, 0.15, 0.5), 0.25),
        Reason::number("deviations_over_shifted", found.z, "ratio", ramp(found.z, 3.5, 7.0), 0.3),
        Reason::number("parts_that_agree", found.agreement, "ratio", ramp(found.agreement, 0.5, 0.95), 0.25),
        Reason::number("volume_ratio_spread", found.ratio_spread, "ratio", ramp(found.ratio_spread, 1.5, 0.5), 0.1),
        Reason::number("sent_share", one_sided, "ratio", ramp(one_sided, 0.8, 0.95), 0.1),
        Reason::number("volume_ratio", found.ratio, "ratio", is_of_a_copy(found.ratio, found.correlation, of), 0.15),
    ];
    let (score, mut evidence) = weigh(reasons);
    let p_value = (tail(found.z) * found.tries).clamp(1e-9, 1.0);
    let length = length.of_slots(found.slots, scene.summary.span().length());
    let at = candidate.stream.services.by_count().first().map(|(service, _)| *service);
    let is_low = length.may_be_chance(found.agreement, p_value) || at.is_some_and(is_relay);
    let most = if is_low { Severity::Low } else { Severity::High };
    let severity = severity_of(score, p_value)?.min(most);
    let slot_s = slot_length(scene.summary.class()).as_secs_f64();
    evidence.push(words::evidence("lag", EvidenceValue::Number(found.lag as f64 * slot_s), "seconds", 0.0));
    let class = match scene.summary.class() {
        SpanClass::Window => "second by second",
        SpanClass::Hour => "every four seconds",
        SpanClass::Day => "minute by minute",
    };
    let (what, subscribers) = match of {
        Of::Whole("both ways") => {
            ("everything that the population sends and receives".to_owned(), scene.active(population))
        }
        Of::Whole(words) => (
            format!("what the population {}", if words == "sent" { "sends" } else { "receives" }),
            scene.active(population),
        ),
        Of::Subset(members) => {
            (format!("the traffic of {}", words::counted(members as u64, "busy subscriber")), members as u64)
        }
        Of::Rest(left_out) => {
            let left_out = left_out as u64;
            let few = words::counted(left_out, "heavy subscriber");
            (format!("the population's traffic but that of {few}"), scene.active(population).saturating_sub(left_out))
        }
    };
    let addresses = with_light_ends(scene, candidate);
    let names = scene.names_of(&addresses);
    let who = match addresses.as_slice() {
        [one] => words::party(*one, &names),
        several => format!(
            "{} addresses ({})",
            several.len(),
            if candidate.level == "prefix" { &candidate.key } else { "one sender" }
        ),
    };
    let sender = match candidate.senders.iter().next() {
        Some(Party::Outside(address)) if candidate.senders.len() == 1 => format!("The device {address}"),
        _ if candidate.senders.len() == 1 => "A device inside the population".to_owned(),
        _ => words::counted(candidate.senders.len() as u64, "device"),
    };
    let place = addresses.first().map(|a| scene.places.of(*a)).unwrap_or_default();
    let services = candidate.stream.services.by_count();
    let protocol = services.first().map_or(0, |(service, _)| service >> 16);
    let prefix = words::prefix(addresses.first().copied().unwrap_or_default());
    let one_prefix = addresses.iter().all(|a| words::prefix(*a) == prefix);
    let collector = CollectorIdentity {
        collector_key: candidate.key.clone(),
        addresses,
        ports: services.iter().map(|(service, _)| (service & 0xffff) as u16).filter(|port| *port != 0).collect(),
        prefix: one_prefix.then_some(prefix),
        asn: place.asn,
        country: place.country,
        names,
    };
    let share = scene.share(population, subscribers, Vec::new());
    let found = Finding {
        severity,
        score,
        p_value,
        proto: match protocol {
            6 => "TCP",
            17 => "UDP",
            47 => "GRE",
            50 => "ESP",
            132 => "SCTP",
            _ => "IP",
        },
        flows: candidate.stream.flows,
        packets: candidate.stream.packets[0].saturating_add(candidate.stream.packets[1]),
        bytes_up: candidate.stream.bytes[0],
        bytes_down: candidate.stream.bytes[1],
        evidence,
        headline: format!("An opaque stream to {who} rises and falls with the population's traffic"),
        explanation: format!(
            "{sender} {} {} to {who} and hardly gets anything back. Its rate follows {what}, {class} over {} slots, once \
             slow change is taken out: correlation {:.2}, {:.0} standard deviations over the same series shifted in time, \
             and it holds in {:.0} % of the parts of the span. That is what a tunnel with copies of the traffic inside looks \
             like; what is inside cannot be seen, so it is inferred and not proved. Find the device that sends, look for a \
             capture, a monitor session or a tunnel that nobody knows of, and ask who runs {who}.",
            if candidate.senders.len() == 1 { "sends" } else { "send" },
            words::bytes(candidate.stream.bytes[0]),
            found.slots,
            found.correlation,
            found.z,
            100.0 * found.agreement,
        ),
        ..Finding::blank(Technique::TapCorrelation, collector, share, candidate.stream.seen)
    };
    Some(candidate.of_themselves(scene, population, &who, found))
}

/// The far ends of a stream, with those that carry too little to be followed by second: whom its one sender alone calls, at
/// the same service.
fn with_light_ends(scene: &Scene<'_>, candidate: &Candidate<'_>) -> Vec<Address> {
    let mut ends: BTreeSet<Address> = candidate.addresses.iter().copied().collect();
    let services = candidate.stream.services.by_count();
    if let (Some(&(service, _)), [Party::Subscriber(population, sender)]) =
        (services.first(), Vec::from_iter(&candidate.senders).as_slice())
    {
        let is_its_own = |address: Address| {
            let end = scene.collector(*population, address).filter(|end| end.subscribers.count() == 1);
            let called = end.and_then(service_of).filter(|called| called.at == ServiceAt::Collector);
            called.is_some_and(|called| (u32::from(called.protocol) << 16 | u32::from(called.port)) == service)
        };
        let called = scene.pairs().iter().map(|(key, _)| key);
        let called = called.filter(|key| key.population == *population && key.subscriber == *sender);
        ends.extend(called.map(|key| key.collector).filter(|address| is_its_own(*address)));
    }
    ends.into_iter().collect()
}

/// Whether so many bytes for each that it follows can be a copy, 0 to 1: compression leaves a third, headers alone a fifteenth,
/// and a fiftieth that goes along roughly is a copy of nothing. One that goes along exactly is a log of everything. Nor is one
/// that is many times as large; but of what is sent, where most is received, a copy of both is.
fn is_of_a_copy(ratio: f64, correlation: f64, of: Of) -> f64 {
    let small = log_ramp(ratio, 0.03, 0.2).max(ramp(correlation, 0.8, 0.9));
    let large = if of == Of::Whole("sent") { 1.0 } else { log_ramp(ratio, LARGER.1, LARGER.0) };
    small.min(large)
}

/// Upper tail of the normal distribution (Abramowitz and Stegun 7.1.26, error below 1.5e-7; past six deviations its
/// asymptotic form).
fn tail(z: f64) -> f64 {
    if z > 5.0 {
        return (-z * z / 2.0).exp() / (z * (2.0 * std::f64::consts::PI).sqrt());
    }
    let x = z.max(0.0) / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let poly =
        t * (0.254_829_592 + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    0.5 * poly * (-x * x).exp()
}

#[cfg(test)]
mod tests;
