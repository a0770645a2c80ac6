//! `dns-tunnel`: data carried out in names, or in by answers that a zone's owner writes as he likes.
//! In: registrable domains of a scene with a sample of the distinct names below each. Out: a finding for each domain, and for
//! several domains of one asker together, whose names carry more than names do.
//! What it weighs: bytes of distinct labels of the heaviest asker (Nadler 2019; information-based heavy hitters, NDSS 2024);
//! how many distinct names; how long they are; whether each is asked once (a tunnel must get past every cache), by one asker
//! only (a name that two ask for carries nothing of either), and how free the answers are; and whether the askers are few, or
//! many who each ask their share: then it takes more of each. Entropy is left out: words can
//! carry data and CDN names look random.
//! Look-ups of addresses and digests (RFC 5782, reputation) are told apart by form and by answers in 127.0.0.0/8; the answer
//! alone, which a tunnel's owner is free to choose, excuses no names of labels longer than a digest's; nor do answers that are
//! addresses which nobody can have (`nowhere`).
//! Besides: what speaks on port 53 and is no DNS. The trivial baseline that it must beat: plain DNS bytes of a subscriber.

mod legs;
mod nowhere;

use std::collections::{BTreeMap, BTreeSet};

use legs::{Legs, Told};

use super::finding::{CollectorIdentity, EvidenceValue, Finding, PopulationShare, Severity, Technique};
use super::scene::Scene;
use super::weigh::{Reason, log_ramp, ramp, severity_of, weigh};
use super::words;
use crate::packet::facts::AppProtocol;
use crate::population::collector::ServiceAt;
use crate::population::sketch::Merge;
use crate::population::span::Seen;
use crate::population::zones::{NO_DOMAIN, NameForm, REVERSE, ZoneKey, ZoneSummary};
use crate::population::{PopulationIndex, SpanClass};
use crate::units::Address;

/// Fewer distinct names carry no data.
const NAMES_MIN: f64 = 8.0;
/// Of one of several domains that one asker spreads over.
const NAMES_OF_PART_MIN: f64 = 3.0;
/// Bytes that the names of such a part carry on average.
const NAME_BYTES_OF_PART_MIN: f64 = 16.0;
/// Fewest such parts.
const PARTS_MIN: usize = 3;
/// Share of such a domain's names that are one asker's: a few devices may carry data out below the same domains.
const OWNED_SHARE_MIN: f64 = 0.2;
/// Most of its names that several ask for.
const SHARED_OF_PART_MAX: f64 = 0.1;
/// Domains beside which the baseline means anything.
const BASELINE_MIN: usize = 5;
/// Free bytes of answers a name up to which they are verdicts about digests.
const DIGEST_ANSWER_BYTES_MAX: f64 = 16.0;
/// Share of the names that must be hexadecimal for a domain to be one of digests, and how much more these may carry: a scanner asks
/// about some sixty to a hundred and fifty files in an hour, and a capture of one direction does not show the verdicts.
const DIGESTS_SHARE_MIN: f64 = 0.9;
const DIGESTS_TURNS: f64 = 5.0;
/// Share of the names with such labels from which on no number of askers excuses them.
const PACKED_SHARE_MIN: f64 = 0.9;
/// Who asks at most, and of how many resolvers outside at least, where what is asked is a survey of these.
const SURVEYORS_MAX: u64 = 2;
const SURVEYED_MIN: usize = 8;
/// Bytes of each subscriber on port 53 that are no DNS, from which on they are worth a word: less is a sign of life, and no tunnel.
const FOREIGN_BYTES_MIN: u64 = 20 << 10;

/// Bytes of labels and numbers of names between which opinion turns: few minutes, an hour, a day. Names of what people use
/// are looked up again and again, so they grow much slower than time.
fn turns(class: SpanClass) -> [(f64, f64); 2] {
    match class {
        SpanClass::Window => [(350.0, 2_500.0), (8.0, 30.0)],
        SpanClass::Hour => [(800.0, 4_000.0), (16.0, 60.0)],
        SpanClass::Day => [(2_500.0, 12_000.0), (50.0, 200.0)],
    }
}

/// Askers from which on a domain whose names are spread over them is asked by a product that each of them has; the most of its
/// names, and how many times an even share, the heaviest may have then (eight homes may share its address); and how much more
/// such a product may carry before it is more than a measurement's number.
const CROWD_MIN: u64 = 8;
const CROWD_OWNED_MAX: f64 = 0.25;
const CROWD_SHARE_MAX: f64 = 8.0;
const CROWD_TURNS: f64 = 6.0;

/// Domains, and their share of all that are asked for, from which on who asks most of them below asks for others; in a population of
/// at least so many; and how much more the names below one domain may carry then: each guest of a CDN with a number in its names
/// adds one.
const RELAYED_DOMAINS_MIN: usize = 40;
const RELAYED_SHARE_MIN: f64 = 0.25;
const RELAYED_ACTIVE_MIN: u64 = 20;
const RELAYED_TURNS: f64 = 4.0;

/// What is measured of one domain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measures {
    /// Bytes that the distinct names of the heaviest asker can carry.
    pub label_bytes: f64,
    /// Distinct names of that asker.
    pub names: f64,
    /// Bytes a name.
    pub bytes_per_name: f64,
    /// Share of the distinct names that several asked for.
    pub shared: f64,
    /// Messages that ask, over distinct names.
    pub asks_per_name: f64,
    /// Bytes of freely written answers, over distinct names.
    pub free_bytes_per_name: f64,
    /// Who that asker is, by pseudonym.
    pub asker: Address,
    /// Share of the names that are that asker's.
    pub owned: f64,
    /// Whether many ask below it, each his share: a product on many devices that writes a number into a name.
    pub is_crowd: bool,
    /// Whether its heaviest asker asks for many others, as a resolver of the house does.
    pub is_relayed: bool,
    /// Whether nearly all names are digests or shortened ones, and nothing comes back: so much may be a product that asks about files.
    pub is_digests: bool,
    /// Whether nearly all names have labels longer than a digest is.
    pub is_packed: bool,
    /// Whether all that is asked for are addresses or digests, and the answers verdicts.
    pub is_reputation: bool,
}

impl Measures {
    /// Of one domain as its heaviest asker uses it, or as all do where its names are texts; none where no name below it is one asker's.
    pub fn of(zone: &ZoneSummary) -> Option<Self> {
        let by_asker = by_asker(zone);
        // The lowest of those that lead: a rule that knows no order.
        let (asker, own) = by_asker.iter().max_by_key(|(asker, own)| (own.bytes, std::cmp::Reverse(**asker)))?;
        let of_heaviest = Self::of_asker(zone, *asker, *own);
        let sum = |of: fn(&Own) -> u64| by_asker.values().map(of).sum();
        let of_all = Own { names: sum(|own| own.names), bytes: sum(|own| own.bytes) };
        Some(if of_heaviest.is_packed { Self::of_asker(zone, *asker, of_all) } else { of_heaviest })
    }

    /// Of one domain as one of its askers uses it.
    fn of_asker(zone: &ZoneSummary, asker: Address, Own { names, bytes }: Own) -> Self {
        let sampled = zone.names.len() as f64;
        let distinct = zone.names.distinct();
        let scale = distinct / sampled;
        let of_form = |form| zone.names.iter().filter(|name| name.form == form).count() as f64 / sampled;
        let verdicts = zone.responses_loopback as f64 / zone.responses_with_address.max(1) as f64;
        let is_packed = of_form(NameForm::Packed) >= 0.5;
        let gives_verdicts = zone.responses_loopback > 0 && verdicts >= 0.9 && !is_packed;
        let legs = zone.legs();
        let free_bytes = zone.free_bytes as f64 / legs;
        let is_digests = of_form(NameForm::Digest) + of_form(NameForm::Hex) >= DIGESTS_SHARE_MIN
            && free_bytes <= DIGEST_ANSWER_BYTES_MAX * distinct;
        // One owner keeps lists of addresses and lists of digests.
        let of_lists = of_form(NameForm::Digest) + of_form(NameForm::Reversed);
        let is_listed = of_lists >= 0.95 && free_bytes <= DIGEST_ANSWER_BYTES_MAX * distinct;
        Self {
            label_bytes: bytes as f64 * scale,
            names: names as f64 * scale,
            bytes_per_name: bytes as f64 / names as f64,
            shared: zone.names.iter().filter(|name| name.shared).count() as f64 / sampled,
            asks_per_name: zone.queries.max(zone.responses) as f64 / legs / distinct,
            free_bytes_per_name: free_bytes / distinct,
            asker,
            owned: names as f64 / sampled,
            is_crowd: is_crowd(names as f64 / sampled, zone.clients.count()),
            is_relayed: false,
            is_digests,
            is_packed: of_form(NameForm::Packed) >= PACKED_SHARE_MIN,
            is_reputation: gives_verdicts || is_listed || of_form(NameForm::Reversed) >= 0.9,
        }
    }

    fn reasons(&self, class: SpanClass, baseline: &Baseline) -> Vec<Reason> {
        let more = match (self.is_crowd, self.is_relayed) {
            // Guests have numbers in their names, and no texts.
            _ if self.is_packed => 1.0,
            (true, _) => CROWD_TURNS,
            (_, true) => RELAYED_TURNS,
            _ if self.is_digests => DIGESTS_TURNS,
            _ => 1.0,
        };
        let [bytes, names] = turns(class).map(|(from, to)| (from * more, to * more));
        // What comes down in answers counts beside what goes up in names.
        let carried = self.label_bytes + self.names * self.free_bytes_per_name.min(200.0) / 2.0;
        let long = ramp(self.bytes_per_name, 7.0, 22.0).max(ramp(self.free_bytes_per_name, 40.0, 120.0));
        let once = ramp(self.asks_per_name, 4.0, 1.6);
        vec![
            Reason::number("carried_bytes", carried, "bytes", log_ramp(carried, bytes.0, bytes.1), 0.35)
                .beside(baseline.beside(|m| m.label_bytes)),
            Reason::number("names_distinct", self.names, "names", log_ramp(self.names, names.0, names.1), 0.2)
                .beside(baseline.beside(|m| m.names)),
            Reason::number("bytes_per_name", self.bytes_per_name, "bytes", long, 0.15)
                .beside(baseline.beside(|m| m.bytes_per_name)),
            Reason::number("asks_per_name", self.asks_per_name, "messages", once.max(0.02), 0.15)
                .beside(baseline.beside(|m| m.asks_per_name)),
            Reason::number("names_shared", self.shared, "ratio", ramp(self.shared, 0.3, 0.03).max(0.01), 0.15)
                .beside(baseline.beside(|m| m.shared)),
        ]
    }
}

/// Whether so many askers, the heaviest with this share of the names, are a product's.
fn is_crowd(owned: f64, askers: u64) -> bool {
    askers >= CROWD_MIN && owned <= CROWD_OWNED_MAX && owned * askers as f64 <= CROWD_SHARE_MAX
}

/// Names of one asker that nobody else asked for, as far as they are sampled.
#[derive(Clone, Copy, Default)]
struct Own {
    names: u64,
    bytes: u64,
}

/// The sampled names of a domain that are one asker's, by asker.
fn by_asker(zone: &ZoneSummary) -> BTreeMap<Address, Own> {
    let mut all: BTreeMap<Address, Own> = BTreeMap::new();
    for name in zone.names.iter().filter(|name| !name.shared) {
        let own = all.entry(name.asker).or_default();
        (own.names, own.bytes) = (own.names + 1, own.bytes + u64::from(name.bytes));
    }
    all
}

/// The other domains of the population: what is usual here.
struct Baseline(Vec<Measures>);

impl Baseline {
    fn beside(&self, of: fn(&Measures) -> f64) -> Option<(f64, f64)> {
        let mut values: Vec<f64> = self.0.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        let at = |q: f64| values[((values.len() - 1) as f64 * q).round() as usize];
        (values.len() >= BASELINE_MIN).then(|| (at(0.5), at(0.99)))
    }

    /// Conformal p-value: how many domains carry as much. The one that is judged is one of them.
    fn p_value(&self, label_bytes: f64) -> f64 {
        let as_much = self.0.iter().filter(|other| other.label_bytes >= label_bytes).count();
        as_much.max(1) as f64 / self.0.len().max(1) as f64
    }
}

/// A domain with its measures.
type Measured<'a> = (&'a ZoneKey, &'a ZoneSummary, Measures);

/// See the file's header.
pub fn detect(scene: &Scene<'_>, findings: &mut Vec<Finding>) {
    let zones = scene.summary.zones.sorted();
    let measured: Vec<Measured<'_>> =
        zones.into_iter().filter_map(|(key, zone)| Some((key, &**zone, Measures::of(zone)?))).collect();
    let class = scene.summary.class();
    let legs = Legs::of(scene);
    let mut told: Vec<Told> = Vec::new();
    for population in scene.summary.populations_of_zones() {
        let here = || measured.iter().filter(move |(key, ..)| key.population == population);
        let baseline = Baseline(here().map(|(.., measures)| *measures).collect());
        let relay = relay(scene, population, &baseline);
        let free = match here().any(|(.., measures)| measures.is_digests && measures.names >= NAMES_MIN) {
            true => nowhere::domains(scene, population),
            false => BTreeSet::new(),
        };
        let mut parts: BTreeMap<Address, Vec<Measured<'_>>> = BTreeMap::new();
        for one in here() {
            let (key, zone, measures) = one;
            let is_free = || scene.summary.texts.of(key.zone).is_some_and(|domain| free.contains(domain));
            let is_digests = measures.is_digests && !is_free();
            let measures = &Measures { is_relayed: relay == Some(measures.asker), is_digests, ..*measures };
            let found = (measures.names >= NAMES_MIN)
                .then(|| judge((scene, &legs), population, &[one], measures, class, &baseline))
                .flatten();
            if found.as_ref().is_none_or(|found| found.finding.severity < Severity::Medium) {
                let own = by_asker(zone).into_iter().map(|(asker, own)| Measures::of_asker(zone, asker, own));
                own.filter(is_part).for_each(|own| parts.entry(own.asker).or_default().push((*key, *zone, own)));
            }
            told.extend(found);
        }
        for parts in parts.into_values().filter(|parts| parts.len() >= PARTS_MIN) {
            let parts: Vec<&Measured<'_>> = parts.iter().collect();
            let together = Measures { is_relayed: relay == Some(parts[0].2.asker), ..together(&parts) };
            told.extend(judge((scene, &legs), population, &parts, &together, class, &baseline));
        }
    }
    findings.extend(legs::once(scene.summary, told));
    foreign(scene, findings);
}

/// Who asks for a good part of the population, if anybody does: a resolver inside, behind which its clients are not seen.
fn relay(scene: &Scene<'_>, population: PopulationIndex, baseline: &Baseline) -> Option<Address> {
    let mut domains: BTreeMap<Address, usize> = BTreeMap::new();
    baseline.0.iter().for_each(|one| *domains.entry(one.asker).or_default() += 1);
    let (asker, most) = domains.into_iter().max_by_key(|(asker, domains)| (*domains, std::cmp::Reverse(*asker)))?;
    let is_relay = most >= RELAYED_DOMAINS_MIN
        && most as f64 >= RELAYED_SHARE_MIN * baseline.0.len() as f64
        && scene.active(population) >= RELAYED_ACTIVE_MIN;
    is_relay.then_some(asker)
}

/// Whether a domain can be one of several that one asker spreads its data over.
fn is_part(measures: &Measures) -> bool {
    measures.names >= NAMES_OF_PART_MIN
        && measures.bytes_per_name >= NAME_BYTES_OF_PART_MIN
        && measures.owned >= OWNED_SHARE_MIN
        && measures.shared <= SHARED_OF_PART_MAX
        && measures.asks_per_name <= 2.0
        && !measures.is_reputation
}

/// The measures of several domains of one asker.
fn together(parts: &[&Measured<'_>]) -> Measures {
    let sum = |of: fn(&Measures) -> f64| parts.iter().map(|(.., m)| of(m)).sum::<f64>();
    let (names, label_bytes) = (sum(|m| m.names), sum(|m| m.label_bytes));
    let mean = |of: fn(&Measures) -> f64| sum(of) / parts.len() as f64;
    Measures {
        label_bytes,
        names,
        bytes_per_name: label_bytes / names.max(1.0),
        shared: mean(|m| m.shared),
        asks_per_name: mean(|m| m.asks_per_name),
        free_bytes_per_name: mean(|m| m.free_bytes_per_name),
        asker: parts[0].2.asker,
        owned: 1.0,
        is_crowd: false,
        is_relayed: false,
        is_digests: false,
        is_packed: false,
        is_reputation: false,
    }
}

fn judge(
    (scene, legs): (&Scene<'_>, &Legs<'_, '_>),
    population: PopulationIndex,
    parts: &[&Measured<'_>],
    measures: &Measures,
    class: SpanClass,
    baseline: &Baseline,
) -> Option<Told> {
    let (score, mut evidence) = weigh(measures.reasons(class, baseline));
    let p_value = baseline.p_value(measures.label_bytes);
    // Few other domains are no bulk to be rare among: then the thresholds alone speak.
    let p_for_severity = if baseline.0.len() < 20 { 0.05 } else { p_value };
    let severity = severity_of(score, p_for_severity)?;
    // A digest or an address says which file or whom a host met, and no more; it is told, and lowest.
    let severity = if measures.is_reputation { Severity::Info } else { severity };
    let mut all = ZoneSummary::default();
    parts.iter().for_each(|(_, zone, _)| all.merge((*zone).clone()));
    // Who has something to hand over has somebody to hand it to: one who asks all the world surveys it.
    let is_survey = all.clients.count() <= SURVEYORS_MAX && legs.asked_outside(&all) >= SURVEYED_MIN;
    let severity = if is_survey { severity.min(Severity::Low) } else { severity };
    let qtypes: Vec<String> = all.qtypes.by_count().into_iter().take(4).map(|(qtype, _)| type_word(qtype)).collect();
    evidence.push(words::evidence("query_types", EvidenceValue::Text(qtypes.join(", ")), "", 0.0));
    evidence.push(words::evidence(
        "free_bytes_per_name",
        EvidenceValue::Number(measures.free_bytes_per_name),
        "bytes",
        0.0,
    ));
    let zones: Vec<ZoneKey> = parts.iter().map(|(key, ..)| **key).collect();
    let finding = described(scene, population, parts, measures, &all);
    let collector = CollectorIdentity { addresses: legs.addresses(&zones, &all), ..finding.collector };
    let finding = Finding { severity, score, p_value, evidence, collector, ..finding };
    Some(Told { finding, zones, is_within: all.messages_within > 0, clients: all.clients.count() })
}

fn described(
    scene: &Scene<'_>,
    population: PopulationIndex,
    parts: &[&Measured<'_>],
    measures: &Measures,
    all: &ZoneSummary,
) -> Finding {
    let texts: Vec<&str> = parts.iter().filter_map(|(key, ..)| scene.summary.texts.of(key.zone)).collect();
    let is_domain = |text: &&&str| !text.starts_with(NO_DOMAIN) && !text.starts_with(REVERSE);
    let names: Vec<String> = texts.iter().filter(is_domain).take(8).map(|text| (*text).to_owned()).collect();
    let first = texts.first().copied().unwrap_or("a domain whose name did not fit");
    let below = match texts.len() {
        _ if first.starts_with(NO_DOMAIN) => "no domain at all".to_owned(),
        0 | 1 => first.to_owned(),
        more => format!("{first} and {} more", words::counted(more as u64 - 1, "domain")),
    };
    let mut sample: Vec<Address> = all.client_sample.iter().collect();
    if let Err(at) = sample.binary_search(&measures.asker) {
        sample.insert(at, measures.asker);
    }
    sample.truncate(5);
    let subscribers = all.clients.count();
    let back = match measures.free_bytes_per_name {
        free if free >= 8.0 => format!(", and each answer brings {} back", words::bytes(free as u64)),
        _ => String::new(),
    };
    let who =
        if measures.is_packed { words::counted(subscribers.max(1), "subscriber") } else { "one subscriber".to_owned() };
    let others = match subscribers {
        _ if measures.is_packed => String::new(),
        0 | 1 => String::new(),
        all => format!(" {} ask below this domain in all.", words::counted(all, "subscriber")),
    };
    Finding {
        headline: format!(
            "Names below {below} carry data: {} in {} distinct names of {who}",
            words::bytes(measures.label_bytes as u64),
            measures.names.round(),
        ),
        explanation: format!(
            "{} asked for {} different names below {below} in {}, {} each, nearly every one once only: together \
             they can carry {}{back}. Names that lead somewhere are asked for again and again and are short.{others} Find the \
             device (`--reveal` with the key, then the resolver's own log), see which program asks, and who owns the domain; \
             a security product that asks for digests is registered in the policy, anything else is cut off at the \
             resolver.",
            if measures.is_packed { who.as_str() } else { "One subscriber" },
            measures.names.round(),
            words::seconds(all.seen.length().as_secs_f64()),
            words::bytes(measures.bytes_per_name as u64),
            words::bytes(measures.label_bytes as u64),
        ),
        flows: all.queries.max(all.responses),
        packets: all.queries + all.responses,
        bytes_up: all.bytes[0],
        bytes_down: all.bytes[1],
        ..blank(
            scene,
            population,
            CollectorIdentity { collector_key: format!("dns:{first}"), names, ..Default::default() },
            PopulationShare { subscribers, sample, ..PopulationShare::default() },
            all.seen,
        )
    }
}

/// What speaks on port 53 and is no DNS.
fn foreign(scene: &Scene<'_>, findings: &mut Vec<Finding>) {
    for (key, one) in scene.collectors() {
        let at_53: u64 = (one.services.iter())
            .filter(|(service, _)| service.port == 53 && service.at == ServiceAt::Collector)
            .map(|(_, rows)| rows)
            .sum();
        let dns: u64 = one.apps.iter().filter(|(app, _)| *app == AppProtocol::Dns).map(|(_, rows)| rows).sum();
        let bytes = one.totals.data_bytes[0] + one.totals.data_bytes[1];
        let is_foreign = at_53 * 2 > one.totals.rows && dns * 4 < at_53;
        let subscribers = one.subscribers.count();
        let is_little = bytes < FOREIGN_BYTES_MIN.saturating_mul(subscribers.max(1));
        if !is_foreign || one.rows_answered * 2 < one.totals.rows || is_little {
            continue;
        }
        let names = scene.names_of(&[key.address]);
        let who = words::party(key.address, &names);
        let sample = scene.pairs_of(key.population, key.address).iter().take(5).map(|(pair, _)| pair.subscriber);
        let collector = CollectorIdentity {
            collector_key: format!("port53:{}", key.address),
            addresses: vec![key.address],
            ports: vec![53],
            names,
            ..Default::default()
        };
        let share = PopulationShare { subscribers, sample: sample.collect(), ..PopulationShare::default() };
        let number = |value: f64| EvidenceValue::Number(value);
        findings.push(Finding {
            severity: Severity::Medium,
            score: 0.65,
            p_value: 0.05,
            evidence: vec![
                words::evidence("rows_on_port_53", number(at_53 as f64), "rows", 0.3),
                words::evidence("rows_of_dns", number(dns as f64), "rows", 0.4),
                words::evidence("data_bytes", number(bytes as f64), "bytes", 0.3),
            ],
            headline: format!("Something that is not DNS speaks with {who} on DNS's port"),
            explanation: format!(
                "{} exchanged {} with {who} on port 53, and it is no DNS. Port 53 is open in nearly every firewall, so \
                 tunnels use it. Find the device and the program; allow port 53 only to the resolvers of the population.",
                words::counted(subscribers, "subscriber"),
                words::bytes(bytes),
            ),
            flows: one.totals.flows,
            packets: one.totals.packets_both(),
            bytes_up: one.totals.bytes_up(),
            bytes_down: one.totals.bytes_down(),
            ..blank(scene, key.population, collector, share, one.seen)
        });
    }
}

/// What every finding of this technique has.
fn blank(
    scene: &Scene<'_>,
    population: PopulationIndex,
    collector: CollectorIdentity,
    share: PopulationShare,
    seen: Seen,
) -> Finding {
    let place = collector.addresses.first().map(|address| scene.places.of(*address)).unwrap_or_default();
    let collector = CollectorIdentity { ports: vec![53], asn: place.asn, country: place.country, ..collector };
    let population = scene.share(population, share.subscribers, share.sample);
    Finding {
        proto: "UDP",
        app_proto: Some("dns"),
        ..Finding::blank(Technique::DnsTunnel, collector, population, seen)
    }
}

fn type_word(qtype: u16) -> String {
    let known = [
        (1, "A"),
        (5, "CNAME"),
        (10, "NULL"),
        (15, "MX"),
        (16, "TXT"),
        (28, "AAAA"),
        (33, "SRV"),
        (65, "HTTPS"),
        (65399, "PRIVATE"),
    ];
    known.iter().find(|(number, _)| *number == qtype).map_or(format!("TYPE{qtype}"), |(_, word)| (*word).to_owned())
}

#[cfg(test)]
mod tests;
