//! `record-scraping`: an outside party, one address or a fleet, pulls very many like records out of an inside service.
//! In: what services inside gave to whom, by asker, by network, by system and by the client's fingerprint. Out: a finding for
//! each asker that stands out at the level that explains it.
//! What it weighs: how many answers, against the service's other askers; how alike they are; how evenly they are asked for
//! (people come in bursts and go); how much larger answers are than questions; whose the service's answers are.
//! What tells a crowd behind one address from a scraper is likeness and evenness, not number; a search engine's robot, likeness
//! and pace.
//! The trivial baseline that it must beat: bytes out of an inside service per outside party.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use super::beaconing::is_kept_open;
use super::finding::{CollectorIdentity, Finding, Severity, Technique};
use super::ports::{is_database, is_directory};
use super::scene::Scene;
use super::weigh::{Reason, log_ramp, ramp, severity_of, weigh};
use super::words;
use crate::population::SpanClass;
use crate::population::conflict::network_of;
use crate::population::quartiles::Quartiles;
use crate::population::served::{Served, ServedKey};
use crate::population::sketch::Merge;
use crate::population::texts::TextId;
use crate::units::{Address, DurationNs, TimestampNs};

/// Connections up to which what is asked over them is one session.
const ONE_SESSION_FLOWS: u64 = 2;
/// IP protocol numbers.
const TCP: u8 = 6;
const UDP: u8 = 17;
/// Answers below which nothing is many.
const EXCHANGES_MIN: u64 = 50;
/// Answers from which on they are very many, whoever else asks.
const EXCHANGES_MANY: f64 = 450.0;
/// Bytes below which nothing was pulled out.
const BYTES_MIN: u64 = 48 << 10;
/// Mean answer from which on it is a file and no record.
const RECORD_BYTES_MAX: f64 = 512.0 * 1024.0;
/// Rows that likeness must rest on.
const ROWS_MIN: u64 = 4;
/// Askers whose rank means something.
const ASKERS_MIN: usize = 8;
/// Addresses from which on one fingerprint is a fleet.
const FLEET_MIN: usize = 3;

/// Share of a group's answers from which on one member is judged instead of the group.
const ALONE_SHARE: f64 = 0.6;
/// How many times the median asker each member of a fleet of one client's fingerprint must ask, between which opinion turns.
/// A browser that every third visitor has asks much as well, each of them no more than others do.
const EACH_OVER_USUAL: (f64, f64) = (1.0, 3.0);
/// Share of a service's askers from which on a client's fingerprint is the browser that people have: it is no fleet by what each of
/// them asks, for the others that are left to compare with are monitors and machines.
const COMMON_CLIENT_SHARE: f64 = 0.3;
/// Likeness of the answers that needs no such excess: people do not each read pages of one size.
const ALIKE_WITHOUT_EXCESS: (f64, f64) = (0.25, 0.12);
/// Answers a minute, of the time that it was there, between which a pace stops being one that a site's robots keep: they leave ten
/// seconds between pages, and even a busy one five. Who reads pages of all sizes no faster walks the site and pulls no records.
const POLITE_A_MINUTE: (f64, f64) = (6.0, 12.0);
/// What fewer answers than many may differ by, and fewer than a couple of hundred, to be records: somebody who works with a service
/// for an hour, a partner's programme or a monitor with its dozen pages gets as many that differ by more. A fleet is no session.
const FEW_ALIKE: [(f64, f64); 2] = [(200.0, 0.12), (EXCHANGES_MANY, 0.2)];
const FLEET_LARGE: usize = 20;
/// Dispersion of the answers between which opinion turns.
const ALIKE_TURNS: (f64, f64) = (0.45, 0.12);
/// Ports of UDP at which records are asked for one by one (IANA): zones that are walked name by name (DNS; RFC 5155, section 1),
/// tables of devices (SNMP), and the web over QUIC.
const RECORDS_OVER_UDP: [u16; 3] = [53, 161, 443];
/// Where mail servers hand mail to each other (RFC 5321).
const SMTP_PORT: u16 = 25;
/// How many times as many an answer of a database or a directory counts, given to a stranger.
const STORE_TIMES: f64 = 4.0;
/// Gap from which on a clock is a monitor's; scrapers that wait so long vary it.
const MONITOR_GAP_MS: f64 = 9_000.0;
/// Half a minute, and how well a gap is known from its histogram.
const HALF_MINUTE_MS: f64 = 30_000.0;
const GAP_KNOWN: f64 = 0.04;

/// Answers are known by their mean a row, and a few means lie near each other by chance: what so many rows leave open.
const ROWS_IN_DOUBT: f64 = 3.0;
/// Minutes in each of which it must have asked, and always been given what no person reads one after the other, before as many
/// answers again are expected of as many minutes: who pulls records at an even pace is told before he has many, and who looks at
/// like pages for a moment is not.
const PACE_MINUTES_MIN: u32 = 3;
/// The same where it asks faster than people turn pages, as long as it does: so many answers in each of these minutes, in rows of
/// two connections one of which lasted over both, and it is expected to go on for so many times as long.
const FAST_MINUTES_MIN: u32 = 2;
const FAST_A_MINUTE: u64 = 12;
const FAST_ROWS_MIN: u64 = 3;
const FAST_GOES_ON: f64 = 4.0;
/// Likeness of the answers from which on it is sure there. Of 108 harmless hours one visitor's 63 answers in four minutes came to 0.19.
const SURELY_ALIKE: (f64, f64) = (0.19, 0.12);
/// Others from which on the one of them who got most like answers is a measure.
const OTHERS_MIN: usize = 3;

/// Minutes that one person stays at a service without a pause, and what steadiness over less is worth.
const SESSION_MINUTES: f64 = 15.0;
const STEADY_SESSION: f64 = 0.6;

/// Ports of SSH, Telnet, remote desktops and screens (IANA): nobody's records are asked for there one by one.
const GUESSED_PORTS: [u16; 4] = [22, 23, 3389, 5900];

/// By what askers are taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fleet {
    Address(Address),
    Prefix(Address),
    Asn(u32),
    Client(TextId),
}

/// One service inside.
type Service = (crate::population::PopulationIndex, Address, u8, u16);

struct Pull<'a> {
    key: String,
    addresses: Vec<Address>,
    whole: Served,
    service: Service,
    client: Option<&'a str>,
}

/// See the file's header.
pub fn detect(scene: &Scene<'_>, findings: &mut Vec<Finding>) {
    let served = scene.summary.served.sorted();
    let before: OnceCell<AllServed<'_>> = OnceCell::new();
    let stretch = Stretch { class: scene.summary.class(), end: scene.summary.span().end };
    for askers in served.chunk_by(|a, b| service_of(a.0) == service_of(b.0)) {
        // Datagrams have no questions and answers to count, but QUIC's: a tunnel's turns ask for nothing.
        let service @ (_, _, protocol, port) = service_of(askers[0].0);
        // Mail servers are handed mail by many others with a handful of programs.
        if protocol != TCP && (protocol != UDP || !RECORDS_OVER_UDP.contains(&port)) || port == SMTP_PORT {
            continue;
        }
        // A tunnel at the port of the web is not asked for records.
        let is_tunnel = |asker: Address| scene.collector(service.0, asker).is_some_and(is_kept_open);
        let mut all: Vec<(Address, &Served)> = askers.iter().map(|(key, one)| (key.asker, &***one)).collect();
        all.retain(|(asker, _)| protocol == TCP || !is_tunnel(*asker));
        if all.iter().map(|(_, one)| one.exchanges).sum::<u64>() >= u64::from(FAST_MINUTES_MIN) * FAST_A_MINUTE {
            let pulls = pulls(scene, stretch, service, &all);
            findings.extend(pulls.iter().filter_map(|pull| judge(scene, stretch, pull, &all)));
        }
        // Who is fast is told in the minute in which that shows, not when the hour is next looked at.
        if let Some(hour) = scene.hour_before()
            && all.iter().any(|(_, one)| one.exchanges >= FAST_A_MINUTE)
        {
            let all = with_before(before.get_or_init(|| hour.served.sorted()), service, &all);
            let all: Vec<(Address, &Served)> = all.iter().map(|(address, one)| (*address, one)).collect();
            let stretch = Stretch { class: SpanClass::Hour, ..stretch };
            let pulls = pulls(scene, stretch, service, &all).into_iter();
            let is_fast = |pull: &Pull<'_>| pull.addresses.len() == 1 && stretch.pace(&pull.whole) == Pace::Fast;
            findings.extend(pulls.filter(is_fast).filter_map(|pull| judge(scene, stretch, &pull, &all)));
        }
    }
}

/// What is looked at: how long such a stretch is, and when it ends.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    class: SpanClass,
    end: TimestampNs,
}

fn service_of(key: &ServedKey) -> Service {
    (key.population, key.server, key.protocol, key.port)
}

/// Who asked which service, ascending.
type AllServed<'a> = Vec<(&'a ServedKey, &'a Box<Served>)>;

/// The askers of a service in a window, and everybody who asked it in the hour before.
fn with_before(before: &AllServed<'_>, service: Service, here: &[(Address, &Served)]) -> BTreeMap<Address, Served> {
    let from = before.partition_point(|(key, _)| service_of(key) < service);
    let of_service = before[from..].iter().take_while(|(key, _)| service_of(key) == service);
    let mut all: BTreeMap<Address, Served> = of_service.map(|(key, one)| (key.asker, (***one).clone())).collect();
    for (address, one) in here {
        all.entry(*address).or_default().merge((*one).clone());
    }
    all
}

/// Every asker alone, and those of a network, a system or a fingerprint together.
fn pulls<'a>(scene: &Scene<'a>, stretch: Stretch, service: Service, all: &[(Address, &Served)]) -> Vec<Pull<'a>> {
    let mut fleets: BTreeMap<Fleet, Vec<usize>> = BTreeMap::new();
    for (i, (address, one)) in all.iter().enumerate() {
        fleets.entry(Fleet::Address(*address)).or_default().push(i);
        // A monitor is no fleet with whoever stands beside it, nor is who may.
        if is_monitor(one, dispersion(one)) || scene.is_registered(Technique::RecordScraping, service.0, *address) {
            continue;
        }
        fleets.entry(Fleet::Prefix(network_of(*address))).or_default().push(i);
        if let Some(asn) = scene.places.of(*address).asn {
            fleets.entry(Fleet::Asn(asn)).or_default().push(i);
        }
        if let Some((ja4, _)) = one.ja4.by_count().first() {
            fleets.entry(Fleet::Client(*ja4)).or_default().push(i);
        }
    }
    let mut found = Vec::new();
    for (fleet, members) in fleets {
        let least = match fleet {
            Fleet::Address(_) => 1,
            Fleet::Prefix(_) | Fleet::Asn(_) => 2,
            Fleet::Client(_) => FLEET_MIN,
        };
        if members.len() < least {
            continue;
        }
        let mut whole = Served::default();
        members.iter().for_each(|i| whole.merge(all[*i].1.clone()));
        let least = match stretch.pace(&whole) {
            Pace::Fast => u64::from(FAST_MINUTES_MIN) * FAST_A_MINUTE,
            Pace::Even | Pace::Untold => EXCHANGES_MIN,
        };
        if whole.exchanges < least || whole.totals.data_bytes[0] < BYTES_MIN {
            continue;
        }
        let addresses: Vec<Address> = members.iter().map(|i| all[*i].0).collect();
        let client = match fleet {
            Fleet::Client(id) => scene.summary.texts.of(id),
            _ => None,
        };
        let key = match fleet {
            Fleet::Address(address) => address.to_string(),
            Fleet::Prefix(network) => words::prefix(network),
            Fleet::Asn(number) => format!("AS{number}"),
            Fleet::Client(id) => client.map_or_else(|| format!("ja4:{:016x}", id.0), |ja4| format!("ja4:{ja4}")),
        };
        // What one of them does nearly alone is its own doing, not that of whoever stands beside it.
        let most = members.iter().map(|i| all[*i].1.exchanges).max().unwrap_or(0);
        if members.len() > 1 && most as f64 > ALONE_SHARE * whole.exchanges as f64 {
            continue;
        }
        found.push(Pull { key, addresses, whole, service, client });
    }
    found
}

/// What is measured of one pull.
#[derive(Clone, Copy, Debug)]
struct Measures {
    exchanges: f64,
    /// What so short a time tells of its pace.
    pace: Pace,
    /// Rows, each of which gives a mean answer.
    rows: f64,
    /// What an asker of the service usually takes: the median and the ninth decile of the others.
    usual: Option<(f64, f64)>,
    /// The same of answers that are alike: the ninth decile, of a few others the most.
    usual_alike: Option<f64>,
    answer_bytes: f64,
    /// Quartile coefficient of dispersion of the answers, 0 (all equal) to 1.
    dispersion: f64,
    /// Share of the minutes (or half hours) of its span in which it asked.
    steadiness: f64,
    /// Answers a minute from the first question to the last.
    a_minute: f64,
    /// Answers over answers and questions.
    answer_share: f64,
    /// Share of the service's answers.
    of_service: f64,
    askers: usize,
    /// Addresses that are taken together, and how many answers the median one of them got.
    members: usize,
    each: f64,
    /// Whether they are taken together by a client's fingerprint, and whether many of all askers have that.
    is_client: bool,
    is_common_client: bool,
    /// Whether it is no service that strangers have to do with.
    is_store: bool,
    /// Whether it asks by the clock, seldom, and always gets the same: is it there?
    is_monitor: bool,
}

impl Measures {
    fn of(stretch: Stretch, pull: &Pull<'_>, all: &[(Address, &Served)]) -> Self {
        let whole = &pull.whole;
        let mut others: Vec<f64> = all
            .iter()
            .filter(|(address, _)| pull.addresses.binary_search(address).is_err())
            // What a monitor asks is no measure of what people with one browser ask.
            .filter(|(_, one)| pull.client.is_none() || !is_monitor(one, self::dispersion(one)))
            .map(|(_, one)| one.exchanges as f64)
            .collect();
        others.sort_by(f64::total_cmp);
        let mut alike: Vec<f64> = all
            .iter()
            .filter(|(address, _)| pull.addresses.binary_search(address).is_err())
            .map(|(_, one)| {
                one.exchanges as f64 * alike(self::dispersion(one), one.totals.rows as f64, ALIKE_WITHOUT_EXCESS)
            })
            .collect();
        alike.sort_by(f64::total_cmp);
        let usual_alike = match alike.len() {
            ..OTHERS_MIN => None,
            n @ OTHERS_MIN..ASKERS_MIN => Some(alike[n - 1]),
            n => Some(alike[((n - 1) as f64 * 0.9) as usize]),
        };
        let members = all.iter().filter(|(address, _)| pull.addresses.binary_search(address).is_ok());
        let each = Quartiles::of(members.map(|(_, one)| one.exchanges as f64).collect());
        let at = |q: f64| others[((others.len() - 1) as f64 * q) as usize];
        let usual = (others.len() >= ASKERS_MIN).then(|| (at(0.5), at(0.9)));
        let total: u64 = all.iter().map(|(_, one)| one.exchanges).sum();
        let [up, down] = whole.totals.data_bytes.map(|bytes| bytes as f64);
        let dispersion = dispersion(whole);
        Self {
            exchanges: whole.exchanges as f64,
            pace: stretch.pace(whole),
            rows: whole.totals.rows as f64,
            usual,
            usual_alike,
            answer_bytes: up / whole.exchanges.max(1) as f64,
            dispersion,
            steadiness: steadiness(whole, stretch.class),
            a_minute: whole.exchanges as f64 / (whole.seen.length().as_secs_f64() / 60.0).max(1.0),
            answer_share: up / (up + down).max(1.0),
            of_service: whole.exchanges as f64 / total.max(1) as f64,
            askers: all.len(),
            members: pull.addresses.len(),
            each: each.map_or(0.0, |each| each.median),
            is_client: pull.client.is_some(),
            is_common_client: pull.client.is_some()
                && pull.addresses.len() as f64 >= COMMON_CLIENT_SHARE * all.len() as f64,
            is_store: is_store(pull.service),
            is_monitor: is_monitor(whole, dispersion),
        }
    }

    /// How alike the answers are, as far as so few rows tell.
    fn alike(&self, turns: (f64, f64)) -> f64 {
        alike(self.dispersion, self.rows, turns)
    }

    /// How far the number of answers stands out. Where there are others to compare with, five times their ninth decile is
    /// the least that anyone need explain.
    fn many(&self) -> f64 {
        let alike = self.alike(ALIKE_WITHOUT_EXCESS);
        let goes_on = match self.pace {
            Pace::Untold => 1.0,
            Pace::Even => 1.0 + alike,
            Pace::Fast => 1.0 + alike.max((FAST_GOES_ON - 1.0) * self.alike(SURELY_ALIKE)),
        };
        let times = if self.is_store { STORE_TIMES } else { 1.0 };
        let alone = log_ramp(self.exchanges * goes_on * times, EXCHANGES_MIN as f64, EXCHANGES_MANY);
        let over_usual = match self.usual {
            Some((median, _)) if !self.is_common_client => {
                ramp(self.each, EACH_OVER_USUAL.0 * median, EACH_OVER_USUAL.1 * median)
            }
            // Nobody is left to compare the members of a fleet with but what all of them do.
            _ if self.is_client => 0.0,
            _ => 1.0,
        };
        let of_members = if self.members > 1 { over_usual.max(alike) } else { 1.0 };
        // A search engine's robot asks a site more than anybody else does, where few visit it many times more: there its pace and
        // likeness must say it, two pages a connection being known by their mean, which varies less than they do. Among many askers a
        // slow scraper with padded records has no other sign than its number.
        let no_walk = match self.members {
            1 => self.alike(SURELY_ALIKE).max(ramp(self.a_minute, POLITE_A_MINUTE.0, POLITE_A_MINUTE.1)),
            _ => 1.0,
        };
        let over = |high: f64| log_ramp(self.exchanges, high.max(1.0) * 1.5, high.max(1.0) * 6.0);
        // Who asks as much and gets pages of all sizes does not make like answers at an even pace usual.
        let by_likeness = match self.usual_alike.filter(|_| self.pace == Pace::Fast) {
            Some(high) => alike * alone.min(over(high)),
            None => 0.0,
        };
        let by_number = match self.usual {
            Some((_, high)) => alone.min(over(high)).min(of_members),
            // A few askers: its share of what the service gave must say it.
            None if self.askers > 1 => (alone * ramp(self.of_service, 0.3, 0.7)).min(of_members).min(no_walk),
            None => (alone * 0.8).min(no_walk),
        };
        by_number.max(by_likeness)
    }

    /// Whether so few answers that differ so much may be what one person, partner or monitor takes.
    fn is_somebodys(&self) -> bool {
        let most = FEW_ALIKE.iter().find(|(answers, _)| self.exchanges < *answers);
        self.members < FLEET_LARGE && most.is_some_and(|(_, dispersion)| self.dispersion > *dispersion)
    }

    fn rows_min(&self) -> u64 {
        if self.pace == Pace::Fast { FAST_ROWS_MIN } else { ROWS_MIN }
    }

    fn reasons(&self) -> Vec<Reason> {
        vec![
            Reason::number("answers", self.exchanges, "answers", self.many(), 0.35).beside(self.usual),
            Reason::number("answer_size_dispersion", self.dispersion, "ratio", self.alike(ALIKE_TURNS), 0.25),
            Reason::number("steadiness", self.steadiness, "ratio", ramp(self.steadiness, 0.25, 0.8), 0.2),
            Reason::number("answer_share", self.answer_share, "ratio", ramp(self.answer_share, 0.35, 0.7), 0.1),
            Reason::number("share_of_service", self.of_service, "ratio", log_ramp(self.of_service, 0.01, 0.3), 0.1),
        ]
    }
}

/// What so short a time tells of a pace that is still to show whether it is more than a person's session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// Nothing, or it has shown it.
    Untold,
    /// It asked in every minute so far.
    Even,
    /// It did, faster than people do, and does.
    Fast,
}

impl Stretch {
    fn pace(self, whole: &Served) -> Pace {
        let (minutes, active) = (whole.seen.length().as_secs_f64() / 60.0, whole.active_minutes.count_ones());
        if self.class != SpanClass::Hour || minutes >= SESSION_MINUTES || f64::from(active) < minutes.floor() {
            return Pace::Untold;
        }
        let goes_on = self.end.since(whole.seen.last) < DurationNs::from_secs(60);
        let is_fast = whole.exchanges >= u64::from(active) * FAST_A_MINUTE;
        match active {
            FAST_MINUTES_MIN.. if goes_on && is_fast => Pace::Fast,
            PACE_MINUTES_MIN.. => Pace::Even,
            _ => Pace::Untold,
        }
    }
}

/// Whether a database or a directory answers there.
fn is_store(service: Service) -> bool {
    let (.., protocol, port) = service;
    is_database(protocol, port) || is_directory(protocol, port)
}

/// How alike answers are, as far as so many rows tell.
fn alike(dispersion: f64, rows: f64, (from, to): (f64, f64)) -> f64 {
    ramp(dispersion * (1.0 + ROWS_IN_DOUBT / rows.max(1.0)), from, to)
}

/// Quartile coefficient of dispersion of the answers.
fn dispersion(whole: &Served) -> f64 {
    let quartile = |q: f64| whole.answer_sizes.quantile(q);
    quartile(0.25).zip(quartile(0.75)).map_or(1.0, |(a, b)| (b - a) / (a + b).max(1e-9))
}

/// A monitor's questions: seldom, by the clock, and always the same answer. Where sessions are resumed now and then an answer has two
/// sizes, with a certificate before it and without: there the clock must be the better one, and seldom twice as seldom.
fn is_monitor(whole: &Served, dispersion: f64) -> bool {
    let gap = |q: f64| whole.gaps_ms.quantile(q);
    let Some(((low, middle), high)) = gap(0.25).zip(gap(0.5)).zip(gap(0.75)) else { return false };
    let spread = (high - low) / middle.max(1.0);
    let is_same = spread < 0.15 && middle >= MONITOR_GAP_MS && dispersion < 0.04;
    let is_resumed = spread < 0.05 && middle >= 2.0 * MONITOR_GAP_MS && dispersion < ALIKE_WITHOUT_EXCESS.0;
    // One of several posts from which it asks in turn.
    let is_turn = [low, middle, high].iter().all(|gap| is_on_the_half_minute(*gap));
    let is_turn = is_turn && dispersion < ALIKE_WITHOUT_EXCESS.0;
    (is_same || is_resumed || is_turn) && whole.exchanges <= 3 * whole.totals.flows
}

/// Whether a gap is some half minutes long, as far as it is known.
fn is_on_the_half_minute(gap_ms: f64) -> bool {
    let off = gap_ms - HALF_MINUTE_MS * (gap_ms / HALF_MINUTE_MS).round();
    gap_ms >= 0.9 * HALF_MINUTE_MS && off.abs() <= GAP_KNOWN * gap_ms
}

/// The share of the slots between first and last question in which it asked at all; short spans say nothing for it.
fn steadiness(whole: &Served, class: SpanClass) -> f64 {
    let minutes = whole.seen.length().as_secs_f64() / 60.0;
    let (active, of) = match class {
        SpanClass::Day if minutes > 90.0 => (whole.active_half_hours.count_ones(), (minutes / 30.0).min(48.0)),
        SpanClass::Day => return 0.7,
        _ => (whole.active_minutes.count_ones(), minutes.min(60.0)),
    };
    match class {
        // Within a window there are no minutes to tell apart: the rate alone speaks, less surely.
        SpanClass::Window => 0.7,
        // A person reads for some minutes without a pause, too.
        SpanClass::Hour if of < SESSION_MINUTES => STEADY_SESSION,
        _ => (f64::from(active) / of.max(1.0)).min(1.0),
    }
}

/// Whether all was asked over a connection or two at the port of HTTPS that show no TLS: met midway, or a way in for somebody who works
/// elsewhere, whose keep-alives are as like as records.
fn is_one_session(pull: &Pull<'_>) -> bool {
    let (.., port) = pull.service;
    port == 443 && pull.whole.totals.flows <= ONE_SESSION_FLOWS && pull.whole.ja4.total() == 0
}

/// Whether it is a service that lets people in, where whoever guesses names and passwords is refused in like words all day.
fn is_guessed(pull: &Pull<'_>) -> bool {
    let (.., port) = pull.service;
    GUESSED_PORTS.contains(&port)
}

fn judge(scene: &Scene<'_>, stretch: Stretch, pull: &Pull<'_>, all: &[(Address, &Served)]) -> Option<Finding> {
    let measures = Measures::of(stretch, pull, all);
    if measures.is_monitor
        || measures.answer_bytes > RECORD_BYTES_MAX
        || pull.whole.totals.rows < measures.rows_min() && pull.whole.exchanges < 1_000
    {
        return None;
    }
    let (score, evidence) = weigh(measures.reasons());
    let as_many = all.iter().filter(|(_, one)| one.exchanges as f64 >= measures.exchanges).count().max(1);
    // Among few askers a rank says little: then twenty is what stands for "nobody else does".
    let p_value = (as_many as f64 / all.len().max(20) as f64).min(1.0);
    let severity = severity_of(score, p_value);
    if severity < Some(Severity::Medium) && measures.alike(ALIKE_WITHOUT_EXCESS) < 0.5 {
        // What was like records for some minutes was a person's like pages.
        scene.doubt(Technique::RecordScraping, (pull.service.0, &pull.key), pull.whole.totals.packets_both(), score);
    }
    let severity = severity?;
    let severity = match is_one_session(pull) || is_guessed(pull) || measures.is_somebodys() {
        true => severity.min(Severity::Low),
        false => severity,
    };
    Some(Finding { severity, score, p_value, evidence, ..described(scene, pull, &measures) })
}

fn described(scene: &Scene<'_>, pull: &Pull<'_>, measures: &Measures) -> Finding {
    let (population, server, protocol, port) = pull.service;
    let whole = &pull.whole;
    let names = scene.names_of(&pull.addresses);
    let who = match pull.addresses.as_slice() {
        [one] => words::party(*one, &names),
        several => match pull.client {
            Some(ja4) => format!("{} addresses with one client fingerprint ({ja4})", several.len()),
            None => format!("{} ({} addresses)", pull.key, several.len()),
        },
    };
    let place = pull.addresses.first().map(|address| scene.places.of(*address)).unwrap_or_default();
    let prefixes: BTreeSet<String> = pull.addresses.iter().map(|address| words::prefix(*address)).collect();
    let usual = match measures.usual {
        Some((median, high)) => {
            format!("Others ask {median:.0} times at the median, nine of ten at most {high:.0} times.")
        }
        None => "Too few others ask this service to compare with.".to_owned(),
    };
    let hours = (whole.seen.length().as_secs_f64() / 3600.0).max(1.0 / 60.0);
    let collector = CollectorIdentity {
        collector_key: pull.key.clone(),
        addresses: pull.addresses.clone(),
        ports: vec![port],
        prefix: (prefixes.len() == 1).then(|| prefixes.into_iter().next()).flatten(),
        asn: place.asn,
        country: place.country,
        names,
    };
    Finding {
        proto: match protocol {
            6 => "TCP",
            17 => "UDP",
            _ => "IP",
        },
        flows: whole.totals.flows,
        packets: whole.totals.packets_both(),
        bytes_up: whole.totals.bytes_up(),
        bytes_down: whole.totals.bytes_down(),
        headline: format!("{who} pulls {} like records out of an inside service", measures.exchanges as u64),
        explanation: format!(
            "{who} asked one service inside (port {port}; the pseudonym in the sample) {} times in {}, about {:.0} an hour, \
             and got {}: {} an answer, with little between the smaller and the larger quarter ({:.0} %). {usual} It asked in \
             {:.0} % of the time, as machines do. Look at the service's log for that time: which account, which records, in \
             which order; limit what one party may ask for, and register the party in the policy if it is a partner, a \
             monitor or a search engine that may.",
            measures.exchanges as u64,
            words::seconds(whole.seen.length().as_secs_f64()),
            measures.exchanges / hours,
            words::bytes(whole.totals.data_bytes[0]),
            words::bytes(measures.answer_bytes as u64),
            100.0 * measures.dispersion,
            100.0 * measures.steadiness,
        ),
        ..Finding::blank(Technique::RecordScraping, collector, scene.share(population, 1, vec![server]), whole.seen)
    }
}

#[cfg(test)]
mod tests;
