//! `population-fan-in`: many subscribers each upload small, alike, machine-timed records to one collector.
//! In: collectors of a scene: addresses, single services of them, domains, like addresses of one prefix, system, server
//! fingerprint or certificate key, and such as have nothing in common but what they are sent (`alike`). Out: a finding for each
//! that speaks up; at `low` what makers of systems are documented to be told (`documented`).
//! What it weighs: how many subscribers; how much more goes up than down once handshakes are left out
//! (producer-consumer ratio, Bullard and Gerth 2014); how alike the records are over subscribers; how machine-like the time
//! between them is, or how evenly they come where several devices stand behind one address, or how even what each sends over
//! time is where a connection stays open; who calls. Records padded to all
//! sizes are still a fan-in where they leave by the clock. Unanswered records count where they keep time: a flood with forged
//! senders is no collection.
//! The trivial baseline that it must beat: the plain count of distinct sources.

mod alike;
mod asked;
mod bulk;
mod parts;

use std::collections::BTreeSet;

use self::bulk::{Bulk, Usual};
use self::parts::coherent;
use super::counts::Counts;
use super::finding::{Evidence, EvidenceValue, Finding, Severity, Technique};
use super::in_step::are_moved;
use super::levels;
use super::rhythm::{LASTING_MIN, Rhythm, chance_of_half_near, spread_so_far};
use super::scene::{Group, Scene};
use super::weigh::{Reason, log_ramp, ramp, severity_of, weigh};
use super::{beaconing, documented, steady, words};
use crate::model::ProfileScore;
use crate::packet::facts::AppProtocol;
use crate::population::collector::{CollectorSummary, SIZE_BITS};
use crate::population::facet::{DomainKey, Facet, Sample};
use crate::population::groups::Level;
use crate::population::sketch::LogHistogram;
use crate::population::totals::Totals;
use crate::units::{Address, DurationNs};

/// Fewest subscribers that make a fan-in; also keeps groups above the k of privacy.
pub const SUBSCRIBERS_MIN: u64 = 8;
/// Collectors with at least this many subscribers are the bulk that others are compared with.
const BULK_SUBSCRIBERS_MIN: u64 = 3;
/// Gaps needed before their regularity says anything.
const GAPS_MIN: u64 = 8;
/// Probability of such times without a clock from which on they say nothing. A busy collector is looked at some 270 times a
/// day: at one in a thousand a page counter was regular by chance on every fourth day, at this on every fortieth. A clock with
/// a fifth of jitter needs four gaps more for it, of all its subscribers together.
const CHANCE_MAX: f64 = 1e-4;
/// How long people stay before they call again, as a share of the mean of what follows: a page is looked at, and few gaps of
/// twelve homes that do so look like a clock fifty times as often as those of homes that do not.
const PAUSE: f64 = 0.3;
/// Clockwork between which opinion turns: a service that people use for long shows a third of it, a clock that strays by half its
/// period seven tenths.
const CLOCKWORK_TURNS: (f64, f64) = (0.35, 0.75);
/// Spread of gaps from which on they are people's, however many there are: chance has 1.6.
const UNTIMED_SPREAD: f64 = 1.0;
/// Clockwork below which times that could be told are people's.
const UNTIMED_CLOCKWORK: f64 = 0.5;
/// Records a subscriber below which nothing is said to repeat.
const RECORDS_REPEATED_MIN: f64 = 1.5;
/// Records a subscriber from which on a clock shows where there is one.
const RECORDS_TOLD: f64 = 4.0;
/// Gaps from which on their spread says that people set the pace, and that spread: before any period can be told, the middle half
/// of the gaps of a clock that strays by half its period lies within half of their median; chance alone has 1.6, people more.
const EARLY_GAPS_MIN: usize = 6;
const EARLY_SPREAD: f64 = 1.0;
/// Unevenness of what each sends between which opinion turns (see [`steady`]).
const UNEVEN_TURNS: (f64, f64) = (0.75, 0.45);
/// Upload share between which opinion turns: what devices ask to see whether the network is there brings nearly as much back
/// (0.55 to 0.59). And the same where nothing but evenness over a connection that stays open speaks of a machine: whoever waits
/// for news over one (a drive's, a mailbox') asks anew by the clock as well, some 350 bytes for some 180: a third of the data
/// comes back, where a collector says no more than that it has the record.
const SHARE_TURNS: (f64, f64) = (0.58, 0.75);
const SHARE_TURNS_OPEN: (f64, f64) = (0.68, 0.88);
/// Dispersion of the records between which opinion turns; and before any time could be told, when likeness is all there is: by
/// chance a score of people's records (reports of crashes, events of a page) lies twice as close together as such records do.
const ALIKE_TURNS: (f64, f64) = (0.55, 0.2);
const ALIKE_TURNS_UNTIMED: (f64, f64) = (0.35, 0.12);
/// Gaps a subscriber from which those of all pairs stand for their rhythm.
const GAPS_A_SUBSCRIBER: u64 = 1;
/// Share of the followed subscribers whose own period must be told before the times of a few of them stand for all.
const TOLD_SHARE_MIN: f64 = 0.4;
/// Upload share from which on one address among several may be part of a spread-out collector.
const MEMBER_UPLOAD_SHARE_MIN: f64 = 0.55;
/// Levels at which like addresses are taken together; domains come from their own facets.
const SPREAD: [Level; 4] = [Level::Prefix, Level::Asn, Level::Fingerprint, Level::CertificateKey];
/// What likeness of sizes is worth where records are padded to all sizes but leave by the clock.
const PADDED: f64 = 0.35;
/// What timing is worth where people set the pace: a popular sink of alike records is worth a `low`.
const BY_PEOPLE: f64 = 0.03;
/// What it is worth that nobody answers, where each sender keeps time.
const ONE_WAY: f64 = 0.4;
/// Share of the flows, and of the data up, from which on they are one subscriber's doing, and the most that such is worth.
const OF_ONE_SHARE: f64 = 0.6;
const OF_ONE: f64 = 0.55;
/// Data of each subscriber below which nobody is collected from yet, whatever the clock: a thermostat on a connection that stays
/// open tells its maker two kilobytes an hour.
const COLLECTED_BYTES_MIN: f64 = 3_000.0;
/// Records of each from which on they repeat, or as many an hour: printers and managed telephones send their makers three or
/// four small reports in an hour, apps one whenever they are used.
const REPEATED_MIN: f64 = 4.5;
const REPEATED_AN_HOUR_MIN: f64 = 12.0;
/// Subscribers and their share of the active from which on this part of the bytes and of the records is enough.
const WIDE: (u64, f64) = (40, 0.15);
const WIDE_PART: f64 = 0.66;
/// Spans over which a few are enough: what leaves by the clock thrice a day is told by that.
const SHORT: DurationNs = DurationNs::from_secs(5_400);
/// Share of the data up below which, and share of the active below which, what is sent by the clock is as much asked as told.
const TOLD_BACK_SHARE: f64 = 0.69;
const TOLD_BACK_COVERAGE: f64 = 0.25;
/// Bytes of a record below which, and share of the active below which, it says no more than that somebody is there.
const BRIEF_BYTES: f64 = 310.0;
const BRIEF_COVERAGE: f64 = 0.15;
/// The most that less than that is worth.
const SELDOM: f64 = 0.55;
/// Subscribers, and share of the active ones, below which a party that they name is the maker of one product: a dozen printers,
/// cameras or badges that tell their cloud what they do are found in every place, and a person shrugs.
const PRODUCT: (u64, f64) = (36, 0.08);
/// Domains from which on it is none.
const PRODUCT_DOMAINS: usize = 3;
/// Share of a population below which so few devices may be a product's whose party has no name.
const NAMELESS_PRODUCT: f64 = 0.03;
/// The same, however many they are, where they report at the port of CoAP (RFC 7252).
const TELEMETRY_COVERAGE: f64 = 0.08;

/// Bytes of a record below which it renews an association that STUN keeps.
const ASSOCIATION_BYTES_MAX: f64 = 150.0;

/// What is measured of one collector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measures {
    /// Distinct subscribers.
    pub subscribers: u64,
    /// Share of the active subscribers, 0 to 1.
    pub coverage: f64,
    /// Data up over data both ways, handshakes left out, 0 to 1: over all of it, or over the median row each way, whichever
    /// is less. A few large uploads among many balanced keep-alives make no collector, nor does the reverse.
    pub upload_share: f64,
    /// Share of rows that were answered, 0 to 1.
    pub answered_share: f64,
    /// Median data up of a row that carries any, bytes.
    pub record_bytes: f64,
    /// Quartile coefficient of dispersion of that, 0 (all equal) to 1.
    pub record_dispersion: f64,
    /// Median time between two flows of one subscriber, seconds; none where too few repeat.
    pub gap_s: Option<f64>,
    /// Interquartile range of that time over its median.
    pub gap_spread: Option<f64>,
    /// How machine-like the times are, 0 to 1; none where too few repeat.
    pub clockwork: Option<f64>,
    /// Share of the time in which the collector was called that a subscriber's calls cover; none where no rhythm could be told.
    pub lasting: Option<f64>,
    /// Spread of the gaps so far, where no rhythm can be told yet.
    pub early_spread: Option<f64>,
    /// How uneven what each subscriber sends is over time, 1 for chance; none where that cannot be told.
    pub unevenness: Option<f64>,
    /// Records a subscriber.
    pub records_per_subscriber: f64,
    /// Data up a subscriber, bytes.
    pub bytes_per_subscriber: f64,
    /// Share of the flows that the collector began, 0 to 1.
    pub begun_by_collector: f64,
}

impl Measures {
    /// Of one collector.
    pub fn of(whole: &CollectorSummary, active: u64) -> Self {
        let subscribers = whole.subscribers.count();
        let rows = whole.totals.rows.max(1) as f64;
        let (up, down) = (whole.totals.data_bytes[0] as f64, whole.totals.data_bytes[1] as f64);
        let quartile = |q: f64| whole.upload_sizes.quantile(q);
        let sample = whole.sample();
        let times = Times::of(whole, &sample);
        let by_gaps = times.map(|times| times.clockwork);
        // Behind shared addresses gaps are those between one device and the next: calls that are counted say what they cannot.
        let is_asked = subscribers >= SUBSCRIBERS_MIN && by_gaps < Some(CLOCKWORK_TURNS.1);
        let counts = Some(&*sample).filter(|_| is_asked).and_then(Counts::of);
        let by_counts = counts.filter(|counts| counts.chance <= CHANCE_MAX).map(|counts| counts.clockwork());
        let times = times.filter(|_| by_counts.is_none_or(|by_counts| by_gaps >= Some(by_counts)));
        let dispersion = |(low, high): (f64, f64)| (high - low) / (high + low).max(1e-9);
        Self {
            subscribers,
            coverage: (subscribers as f64 / active.max(1) as f64).min(1.0),
            upload_share: share(up, down).min(typical_share(whole)),
            answered_share: whole.rows_answered as f64 / rows,
            record_bytes: quartile(0.5).unwrap_or(0.0),
            record_dispersion: quartile(0.25).zip(quartile(0.75)).map_or(1.0, dispersion),
            gap_s: times.map(|times| times.gap_s),
            gap_spread: times.map(|times| times.spread),
            lasting: times
                .and_then(|times| times.lasts_s)
                .map(|lasts_s| lasts_s / whole.seen.length().as_secs_f64().max(1.0)),
            clockwork: by_gaps.into_iter().chain(by_counts).reduce(f64::max),
            early_spread: spread_so_far(&sample, EARLY_GAPS_MIN).filter(|_| by_gaps.is_none() && by_counts.is_none()),
            unevenness: steady::unevenness(&sample),
            begun_by_collector: whole.flows_by_collector as f64 / whole.totals.flows.max(1) as f64,
            records_per_subscriber: whole.upload_sizes.total() as f64 / subscribers.max(1) as f64,
            bytes_per_subscriber: up / subscribers.max(1) as f64,
        }
    }

    /// The same of one of the addresses behind a name: the gaps of the whole name say better who sets the pace. People who are
    /// led to another address each time come back to one of them once or twice, and then look like nobody's.
    fn as_part(self, scene: &Scene<'_>, group: &Group<'_>) -> Self {
        let (population, whole) = (group.of.population, &group.whole);
        if self.clockwork.is_some() || !matches!(group.level, Level::Address | Level::Service) {
            return self;
        }
        let domain =
            scene.main_domain(whole).and_then(|domain| scene.summary.domains.of(&DomainKey { population, domain }));
        let spread = domain.and_then(|domain| spread_so_far(&domain.facet.sample, EARLY_GAPS_MIN));
        Self { early_spread: spread.or(self.early_spread), ..self }
    }

    /// Whether its times could be measured, whatever they say: a rhythm, or gaps as unlike as people's. An early claim rests on
    /// gaps that are short because the span is, and falls when they are seen to spread.
    fn tells_times(&self) -> bool {
        self.clockwork.is_some() || self.early_spread.is_some_and(|spread| spread > EARLY_SPREAD)
    }

    /// Whether each subscriber gave more than once in a while, and more than a sign of life.
    fn is_collected(&self, span: DurationNs) -> bool {
        let an_hour = self.records_per_subscriber * 3_600.0 / span.as_secs_f64().max(1.0);
        // Of so many and so large a part of them two thirds as much says it: no sign of life is so wide.
        let is_wide = self.subscribers >= WIDE.0 && self.coverage >= WIDE.1;
        let part = if is_wide { WIDE_PART } else { 1.0 };
        let is_repeated = self.records_per_subscriber >= part * REPEATED_MIN || an_hour >= REPEATED_AN_HOUR_MIN;
        self.bytes_per_subscriber >= part * COLLECTED_BYTES_MIN && (is_repeated || span > SHORT)
    }

    /// Whether no more call than have one product.
    fn is_of_few(&self) -> bool {
        let (subscribers, coverage) = PRODUCT;
        self.subscribers < subscribers && self.coverage < coverage
    }

    /// Whether its clock runs only while somebody uses something, here and there, as a player's does that tells how it plays.
    fn is_of_sessions(&self) -> bool {
        self.lasting.is_some_and(|lasting| lasting < LASTING_MIN)
    }

    /// Whether it gets so much back that each record is as much a question, of no large part of the active: signs of life of a maker's
    /// things, or orders to an implant; or says so little, of even fewer, that it is no more than that.
    fn is_sign_of_life(&self) -> bool {
        self.upload_share < TOLD_BACK_SHARE && self.coverage < TOLD_BACK_COVERAGE
            || self.record_bytes < BRIEF_BYTES && self.coverage < BRIEF_COVERAGE
    }

    /// How strongly its times speak of a machine: a clock, or as much in every stretch of time.
    fn timed(&self, small: f64) -> f64 {
        self.by_clock(small).max(self.steady())
    }

    /// How even what is sent is over time.
    fn steady(&self) -> f64 {
        self.unevenness.map_or(0.0, |uneven| ramp(uneven, UNEVEN_TURNS.0, UNEVEN_TURNS.1))
    }

    /// How strongly the times between its flows speak of a clock.
    fn by_clock(&self, small: f64) -> f64 {
        match self.clockwork {
            Some(clockwork) => ramp(clockwork, CLOCKWORK_TURNS.0, CLOCKWORK_TURNS.1).max(BY_PEOPLE),
            // Nothing repeats yet, and being machine-timed is half of what a fan-in is: at most `medium`, and that only
            // for records that are small, of very many, and more than one of each: one call of many is a popular page.
            // Nor for what repeats often enough for a clock to show, and none shows, nor where the few gaps so far are as
            // unlike as people's: they set its pace.
            None if !(RECORDS_REPEATED_MIN..RECORDS_TOLD).contains(&self.records_per_subscriber)
                || self.early_spread.is_some_and(|spread| spread > EARLY_SPREAD) =>
            {
                BY_PEOPLE * small
            }
            None => 0.08 * small,
        }
    }

    /// Reasons for a fan-in.
    fn reasons(&self, usual: &Usual) -> Vec<Reason> {
        let small = log_ramp(self.record_bytes, 1_048_576.0, 65_536.0).min(log_ramp(self.record_bytes, 64.0, 256.0));
        let timed = self.timed(small);
        // What forged senders make of a flood keeps no time: records by the clock may go one way, as log lines do.
        let answered = ramp(self.answered_share, 0.3, 0.7).max(ONE_WAY * ramp(timed, 0.5, 1.0));
        let padded = PADDED * self.clockwork.unwrap_or(0.0);
        let alike_turns = if self.tells_times() || self.steady() > 0.0 { ALIKE_TURNS } else { ALIKE_TURNS_UNTIMED };
        let alike = ramp(self.record_dispersion, alike_turns.0, alike_turns.1).max(padded);
        let share_turns = if self.steady() > self.by_clock(small) { SHARE_TURNS_OPEN } else { SHARE_TURNS };
        let fed = ramp(self.upload_share, share_turns.0, share_turns.1);
        vec![
            Reason::number(
                "subscribers_distinct",
                self.subscribers as f64,
                "subscribers",
                log_ramp(self.subscribers as f64, 4.0, 24.0),
                0.15,
            )
            .beside(usual.subscribers),
            Reason::number("upload_share", self.upload_share, "ratio", fed, 0.25).beside(usual.upload_share),
            Reason::number("record_dispersion", self.record_dispersion, "ratio", alike, 0.25)
                .beside(usual.record_dispersion),
            Reason::number("gap_spread", self.gap_spread.unwrap_or(f64::NAN), "ratio", timed, 0.2)
                .beside(usual.gap_spread),
            Reason::number("record_bytes", self.record_bytes, "bytes", small, 0.1).beside(usual.record_bytes),
            Reason::number("answered_share", self.answered_share, "ratio", answered, 0.05).beside(usual.answered_share),
            Reason::number(
                "begun_by_collector_share",
                self.begun_by_collector,
                "ratio",
                ramp(self.begun_by_collector, 0.9, 0.4),
                0.15,
            )
            .beside(usual.begun_by_collector),
        ]
    }
}

/// Times between the flows of one subscriber, over subscribers.
#[derive(Clone, Copy)]
struct Times {
    gap_s: f64,
    spread: f64,
    clockwork: f64,
    lasts_s: Option<f64>,
}

impl Times {
    /// By the followed subscribers, each against its own period; where too few of them repeat, by the gaps of all pairs.
    fn of(whole: &CollectorSummary, sample: &Sample) -> Option<Self> {
        let rhythm = Rhythm::of(sample).filter(|rhythm| rhythm.gaps as u64 >= GAPS_MIN);
        if rhythm.is_some_and(|rhythm| rhythm.told_share() < TOLD_SHARE_MIN) {
            return None;
        }
        if let Some(rhythm) = rhythm {
            // Few gaps that look regular are no clock yet; what is irregular is none, however few.
            if rhythm.chance_after(PAUSE) > CHANCE_MAX && rhythm.spread < UNTIMED_SPREAD {
                return None;
            }
            return Some(Self {
                gap_s: rhythm.period_s,
                spread: rhythm.spread,
                clockwork: rhythm.clockwork(),
                lasts_s: Some(rhythm.lasts_s),
            });
        }
        // Gaps of all pairs together: with fewer than one a subscriber they are those of the few that came back soon.
        let gaps = &whole.pair_gaps_ms;
        if gaps.total() < GAPS_A_SUBSCRIBER * whole.subscribers.count() {
            return None;
        }
        let at = |q: f64| (gaps.total() >= GAPS_MIN).then(|| gaps.quantile(q)).flatten().map(|ms| ms / 1e3);
        let (low, middle, high) = (at(0.25)?, at(0.5)?, at(0.75)?);
        let spread = (high - low) / middle.max(1e-9);
        if chance_of_half_near(gaps.total() as f64, spread / 2.0) > CHANCE_MAX {
            return (spread > UNTIMED_SPREAD).then_some(Self { gap_s: middle, spread, clockwork: 0.0, lasts_s: None });
        }
        Some(Self { gap_s: middle, spread, clockwork: ramp(spread, 1.0, 0.35), lasts_s: None })
    }
}

/// Whether one address among several behaves like part of a spread-out collector. Asked of every address, so what is cheap
/// to tell comes first.
fn is_member_like(one: &CollectorSummary) -> bool {
    let (up, down) = (one.totals.data_bytes[0] as f64, one.totals.data_bytes[1] as f64);
    one.rows_answered as f64 >= 0.5 * one.totals.rows.max(1) as f64
        && share(up, down) >= MEMBER_UPLOAD_SHARE_MIN
        && typical_share(one) >= MEMBER_UPLOAD_SHARE_MIN
}

/// Whether enough of the times could be told for a clock to show, and none did. A chance claim of one hour is held against
/// the hours after it by this: few gaps of people look regular once, and not again.
fn is_untimed(whole: &CollectorSummary) -> bool {
    let told = |rhythm: &Rhythm| rhythm.gaps as u64 >= GAPS_MIN && rhythm.told_share() >= TOLD_SHARE_MIN;
    Rhythm::of(&whole.sample()).is_some_and(|rhythm| told(&rhythm) && rhythm.clockwork() < UNTIMED_CLOCKWORK)
}

fn share(up: f64, down: f64) -> f64 {
    if up + down > 0.0 { up / (up + down) } else { 0.0 }
}

/// The share of the median row up beside the median row down, each as often as it occurs.
fn typical_share(whole: &CollectorSummary) -> f64 {
    let typical = |sizes: &LogHistogram<SIZE_BITS>| sizes.quantile(0.5).unwrap_or(0.0) * sizes.total() as f64;
    share(typical(&whole.upload_sizes), typical(&whole.download_sizes))
}

/// See the file's header.
pub fn detect(scene: &Scene<'_>, findings: &mut Vec<Finding>) {
    let mut groups: Vec<Group<'_>> = scene.alone(|(_, one)| one.subscribers.count() >= BULK_SUBSCRIBERS_MIN);
    let is_enough = |facet: &Facet| facet.subscribers.count() >= SUBSCRIBERS_MIN;
    let mut facets = levels::facets(scene, Technique::PopulationFanIn, is_enough).peekable();
    let spread = levels::together(scene, Technique::PopulationFanIn, &SPREAD, SUBSCRIBERS_MIN, is_member_like);
    let census = levels::census(scene, &[Level::Fingerprint, Level::CertificateKey]);
    let mut spread: Vec<Group<'_>> = spread.into_iter().filter_map(|group| coherent(scene, group, &census)).collect();
    // What is wrapped and sent to one receiver is a copy: `traffic-mirroring` speaks of that.
    let tunnels = scene.tunnel_ends();
    groups.retain(|group| !group.is_at(&tunnels));
    spread.retain(|group| !group.is_at(&tunnels));
    let is_few = |group: &Group<'_>| group.whole.subscribers.count() < SUBSCRIBERS_MIN;
    if facets.peek().is_none() && groups.iter().chain(&spread).all(is_few) {
        return;
    }
    let measured =
        |group: &Group<'_>| Measures::of(&group.whole, scene.active(group.of.population)).as_part(scene, group);
    let measures: Vec<Measures> = groups.iter().map(measured).collect();
    let bulk = Bulk::of(&groups, &measures);
    let mut judged: Vec<(usize, Measures, f64, Vec<Evidence>)> = Vec::new();
    for (at, measures) in measures.iter().enumerate() {
        let weighed = judge(scene, &groups[at], measures, &bulk);
        judged.extend(weighed.map(|(score, evidence)| (at, *measures, score, evidence)));
    }
    // Of parts, and of what was put together, only those are kept that come to anything.
    let alike = alike::groups(scene, &groups, &measures);
    for group in facets.chain(spread).chain(alike) {
        let measures = measured(&group);
        if let Some((score, evidence)) = judge(scene, &group, &measures, &bulk) {
            judged.push((groups.len(), measures, score, evidence));
            groups.push(group);
        }
    }
    if judged.is_empty() {
        return;
    }
    let is_judged = |place: usize| judged.binary_search_by_key(&place, |(at, ..)| *at).is_ok();
    let profiles = scene.profile_scores(&groups, BULK_SUBSCRIBERS_MIN, is_judged);
    for (at, measures, score, mut evidence) in judged {
        let (group, profile) = (&groups[at], profiles[at]);
        let p_value = p_value(&bulk, score, group, profile, scene.model.is_some());
        evidence.extend(
            profile.map(|p| words::evidence("profile_outlier", EvidenceValue::Number(p.outlier), "times median", 0.0)),
        );
        let Some(severity) = severity_of(score, p_value) else { continue };
        let found = Finding { severity, score, p_value, evidence, ..scene.blank(Technique::PopulationFanIn, group) };
        // Who may have records by the register has them, however much he says to each.
        let may = |address: &Address| scene.is_registered(Technique::PopulationFanIn, group.of.population, *address);
        let is_call = severity >= Severity::Medium && asked::is_asked(&measures) && !group.of.addresses.iter().any(may);
        findings.push(match is_call {
            true => asked::retold(found, group, &measures),
            false => finding(scene, group, &measures, found),
        });
    }
}

/// The score of a group and what it rests on, where that comes to any severity; what comes to less than `medium` is noted.
fn judge(scene: &Scene<'_>, group: &Group<'_>, measures: &Measures, bulk: &Bulk) -> Option<(f64, Vec<Evidence>)> {
    if measures.subscribers < SUBSCRIBERS_MIN || beaconing::is_registrar(&group.whole) {
        return None;
    }
    let (mut score, evidence) = weigh(measures.reasons(&bulk.usual));
    if severity_of(score, 0.0) >= Some(Severity::Medium) && is_of_one(scene, group) {
        score = score.min(OF_ONE);
    }
    if !measures.is_collected(scene.summary.span().length())
        || measures.is_of_sessions()
        || measures.is_sign_of_life()
        || measures.record_bytes < ASSOCIATION_BYTES_MAX && is_led_by_stun(&group.whole)
        || is_product(scene, group, measures)
        || score > SELDOM && (documented::TELEMETRY.is_all_of(scene, group) || is_on_order(scene, group))
    {
        score = score.min(SELDOM);
    }
    // No p-value lifts a score that is too low for any severity.
    let severity = severity_of(score, 0.0);
    // Where no rhythm could be told, a claim that rests on one is neither held nor shaken.
    if severity < Some(Severity::Medium) && (measures.tells_times() || is_untimed(&group.whole)) {
        let party = (group.of.population, group.key.as_str());
        scene.doubt(Technique::PopulationFanIn, party, group.whole.totals.packets_both(), score);
    }
    severity.map(|_| (score, evidence))
}

/// Whether one order moves all who report to a party without a name: `unattributed` speaks of those.
fn is_on_order(scene: &Scene<'_>, group: &Group<'_>) -> bool {
    !beaconing::is_named(scene, group) && are_moved(&group.whole.sample())
}

/// Whether most of it is associations that STUN leads to and keeps (RFC 8489, RFC 8656): what is small and regular there renews them.
fn is_led_by_stun(whole: &CollectorSummary) -> bool {
    whole.apps.by_count().first().is_some_and(|(app, rows)| *app == AppProtocol::Stun && 2 * rows > whole.totals.rows)
}

/// Whether a few devices of one make report to a party that they name, or fewer to one that they do not, or things at the port that
/// is made for it.
fn is_product(scene: &Scene<'_>, group: &Group<'_>, measures: &Measures) -> bool {
    // One fleet under many names is nobody's product.
    let domain = |address: &Address| scene.domain_of(scene.collector(group.of.population, *address)?);
    let domains = || group.of.addresses.iter().filter_map(domain).collect::<BTreeSet<&str>>().len();
    let is_under = |share: f64| measures.coverage < share;
    let is_of_maker = measures.is_of_few() && (beaconing::is_named(scene, group) || is_under(NAMELESS_PRODUCT));
    let is_telemetry = is_under(TELEMETRY_COVERAGE) && beaconing::is_at_telemetry(&group.whole);
    (is_of_maker || is_telemetry) && domains() < PRODUCT_DOMAINS
}

/// Whether one subscriber makes nearly all of it at an address that others use too: a monitor that asks a server inside every half
/// minute, at a machine that tells homes the time besides, has its rhythm and its likeness from that server alone. One device
/// that calls anew all day beside connections that stay open has the flows, and not the data.
fn is_of_one(scene: &Scene<'_>, group: &Group<'_>) -> bool {
    let [address] = group.of.addresses.as_slice() else { return false };
    if group.level != Level::Address {
        return false;
    }
    let pairs = scene.pairs_of(group.of.population, *address).iter().map(|(_, pair)| &pair.totals);
    let is_most = |of: fn(&Totals) -> u64| {
        let (most, all) = pairs.clone().map(of).fold((0, 0), |(most, all): (u64, u64), n| (most.max(n), all + n));
        most as f64 > OF_ONE_SHARE * all as f64
    };
    is_most(|totals| totals.flows) && is_most(|totals| totals.data_bytes[0])
}

/// By the trained model's calibration where there is one, else by how many of the capture's own popular collectors score
/// as high.
fn p_value(bulk: &Bulk, score: f64, group: &Group<'_>, profile: Option<ProfileScore>, is_trained: bool) -> f64 {
    match profile.filter(|_| is_trained) {
        Some(profile) => profile.p_value,
        None => bulk.p_value(score, group.of.addresses.len()).min(1.0),
    }
}

fn finding(scene: &Scene<'_>, group: &Group<'_>, measures: &Measures, mut finding: Finding) -> Finding {
    let who = group.spoken(&finding.collector.names);
    finding.headline =
        format!("{} each send small, alike records to {who}", words::counted(measures.subscribers, "subscriber"));
    let rhythm = match (measures.gap_s, measures.clockwork) {
        (Some(gap), Some(clockwork)) if clockwork > 0.5 => {
            format!("again every {} or so, a rhythm that no person has", words::seconds(gap))
        }
        (None, Some(clockwork)) if clockwork > 0.5 => {
            "as often in one stretch of time as in the next, as people never do".to_owned()
        }
        _ if measures.unevenness.is_some_and(|uneven| uneven < UNEVEN_TURNS.1) => {
            "as much in one stretch of time as in the next, as no person does".to_owned()
        }
        (Some(gap), _) => format!("about every {}, at no fixed time", words::seconds(gap)),
        _ => "too few times in this span to tell a rhythm".to_owned(),
    };
    finding.explanation = format!(
        "{} of the {} subscribers seen ({:.0} %) send data to {who}: {} a time at the median, {rhythm}. {:.0} % of the data, \
         handshakes left out, goes to the collector. Find out which product or page on \
         these devices does this (the names and ports tell), ask its maker for the legal basis, and either register the \
         collector in the policy or block it.",
        measures.subscribers,
        scene.active(group.of.population),
        100.0 * measures.coverage,
        words::bytes(measures.record_bytes as u64),
        100.0 * measures.upload_share,
    );
    finding
}

#[cfg(test)]
mod tests;
