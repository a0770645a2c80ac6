//! `beaconing-implant`: a device, or a group of devices, calls one party at machine-regular times, unasked by any user.
//! In: collectors of a scene, alone, by service and by domain. Out: a finding for each that calls home.
//! What it weighs: how regular the times between calls are, each against its device's own period (median absolute deviation
//! and Bowley's skew, as RITA); how many calls there were, and over what part of the span; how constant the sizes are both
//! ways (an implant that has nothing to do says the same every time); whether anybody looked the party up or named it; how few
//! of the population know it. RITA lowers the score of what many share; here periods that agree over a group of devices raise
//! it, as long as the group is a small part of the population: a service for everybody is in the register, or in use.
//! Things that do nothing but report to a party that they name are said at `low` (`fleet`): behaviour alone cannot tell them.
//! A group whose clock strays on purpose counts though what it says is padded; look-ups, clocks and echoes are `plumbing`.
//! The trivial baseline that it must beat: the variation of the gaps alone.

mod fleet;
mod harmless;
mod held;
mod in_turn;
mod plumbing;
mod refused;

use std::cell::OnceCell;
use std::collections::BTreeSet;

use fleet::Lives;
use harmless::{Harmless, Meetings};
pub(super) use harmless::{is_at_telemetry, is_telephony};
use plumbing::{CALL_BYTES_MAX, is_echo, is_part_of_plumbing, is_plumbing, is_plumbing_of_networks, is_watch};
pub(super) use plumbing::{is_asked_over_tls, is_clock, is_kept_open, is_opaque_echo, is_registrar};

use super::finding::{Finding, Severity, Technique};
use super::levels;
use super::rhythm::Rhythm;
use super::scene::{Group, Scene, service_of};
use super::weigh::{Reason, log_ramp, ramp, severity_of, weigh};
use super::words;
use crate::population::PopulationIndex;
use crate::population::collector::SIZE_BITS;
use crate::population::groups::Level;
use crate::population::identity::Party;
use crate::population::sketch::LogHistogram;
use crate::units::{Address, DurationNs};

/// Share of the devices that look a party up below which it is said that nobody was seen to.
const LOOKED_UP: f64 = 0.2;
/// Fewest gaps between calls, over all devices.
const GAPS_MIN: usize = 8;
/// Share of a population from which on a party is a service for everybody.
const COVERAGE_MAX: f64 = 0.35;
/// The same of a party whose name is looked up or asked for, where it is called as seldom as services for everybody are.
const NAMED_COVERAGE_MAX: f64 = 0.14;
/// Periods, seconds, between which such a party stops being like one without a name. Who serves very many pays for every call:
/// checks of the network come every five or ten minutes, those for updates every half hour or day, and what must hear at once
/// keeps its connection open. Nobody's product has a tenth of a population begin a new one every minute or two for nothing.
const SELDOM_S: (f64, f64) = (120.0, 300.0);
/// What the rarity of a named party is worth at most where more than a seventh call it: `medium` and no more, as it may be the
/// agent of an employer that the policy does not name.
const COMMON_AND_OFTEN: f64 = 0.3;
/// Active subscribers below which a share of the population says nothing.
const ACTIVE_MIN: u64 = 32;
/// The same for a party without a name: all of one office may have the same guest.
const ACTIVE_UNNAMED_MIN: u64 = 64;
/// Share of calls that must be answered.
const ANSWERED_MIN: f64 = 0.5;
/// Share of the flows that the party may begin: who is called has little to call for, and two that talk have no clock between them.
const BEGUN_BY_COLLECTOR_MAX: f64 = 0.3;
/// Silence after which datagrams are another flow (the default of the flow table), seconds; and what TCP is among IP protocols.
const DATAGRAMS_PAUSE_S: f64 = 60.0;
const TCP: u8 = 6;
/// Devices from which on agreeing periods speak of one program on all of them.
const GROUP_MIN: usize = 3;
/// What a name that was looked up leaves of a single device's calls: a bridge that asks its maker every two seconds does
/// just that.
const NAMED_ALONE: f64 = 0.01;
/// What padded sizes leave where nobody looked the party up.
const PADDED: f64 = 0.3;
/// Period from which on a widget may ask for the weather, or for news, and each device at its own moment.
const SELDOM_CHECKS_S: f64 = 840.0;
/// Devices and gaps from which on a clock is seen to be made to stray, and how far, of its period at the median; and the share of
/// the span that it must run.
const JITTERED: (usize, usize) = (5, 40);
const JITTERED_TURNS: [(f64, f64); 2] = [(0.09, 0.13), (0.32, 0.25)];
const JITTERED_PERSISTENCE: f64 = 0.6;
/// Most that chance may say a day, over all parties and looks, for one to be loud: calls without a clock look regular now and
/// then, and a population has many pairs.
const CHANCE_A_DAY_MAX: f64 = 0.05;
/// The most that a group scores whose party has no name: who is behind the address, or would be, is not known. And what chance has of it.
const NAMELESS_SCORE_MAX: f64 = 0.74;
const NAMELESS_P_VALUE: f64 = 0.05;
/// Devices from which on what comes by the clock may be the records that the register lets a party have.
const REPORTING_MIN: u64 = 8;
/// A day, for how often spans like this are looked at.
const DAY: DurationNs = DurationNs::from_secs(86_400);
/// What is measured of one party.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measures {
    /// When it is called.
    pub rhythm: Rhythm,
    /// Largest share of calls whose data lie within half of each other, up or down, whichever is less. By the mode, because
    /// the rest of a handshake makes some calls of one size larger than others.
    pub same_size_share: f64,
    /// Share of the span, first packet to last, that the calls of a device cover.
    pub persistence: f64,
    /// Share of the devices for which the party's name was looked up or asked for, 0 to 1.
    pub named: f64,
    /// Share of the active subscribers that call it; none where too few are active.
    pub coverage: Option<f64>,
    /// Share of rows that the party answered.
    pub answered: f64,
    /// Share of the flows that the party began.
    pub begun_by_collector: f64,
}

impl Measures {
    /// Of one group; none where nothing repeats.
    pub fn of(scene: &Scene<'_>, group: &Group<'_>) -> Option<Self> {
        let whole = &group.whole;
        let rhythm = Rhythm::of(&whole.sample()).filter(|rhythm| rhythm.gaps >= GAPS_MIN)?;
        let is_of_segments = service_of(whole).is_none_or(|service| service.protocol == TCP);
        let rhythm = if is_of_segments { rhythm } else { rhythm.after_pause(DATAGRAMS_PAUSE_S) };
        let subscribers = whole.subscribers.count();
        let active = scene.active(group.of.population);
        let span_s = scene.summary.seen.length().as_secs_f64();
        let named = named(scene, group);
        Some(Self {
            rhythm,
            same_size_share: same_size(&whole.upload_sizes).min(same_size(&whole.download_sizes)),
            persistence: (rhythm.lasts_s / span_s.max(1.0)).min(1.0),
            named,
            coverage: says_how_rare(active, named).then(|| scene.coverage(group.of.population, subscribers)),
            answered: whole.rows_answered as f64 / whole.totals.rows.max(1) as f64,
            begun_by_collector: whole.flows_by_collector as f64 / whole.totals.flows.max(1) as f64,
        })
    }

    /// Whether devices call and are answered.
    fn is_call(&self) -> bool {
        self.answered >= ANSWERED_MIN && self.begun_by_collector < BEGUN_BY_COLLECTOR_MAX
    }

    /// How plainly a group's clock is made to stray, by a share of its period on both sides: what a product's does, it does exactly,
    /// or by the seconds that its work takes.
    fn jittered(&self) -> f64 {
        let rhythm = &self.rhythm;
        let is_group =
            rhythm.subscribers >= JITTERED.0 && rhythm.gaps >= JITTERED.1 && rhythm.period_s < SELDOM_CHECKS_S;
        let is_rare = self.coverage.is_some_and(|coverage| coverage < NAMED_COVERAGE_MAX);
        let [from, to] = JITTERED_TURNS.map(|(outside, inside)| ramp(rhythm.deviation, outside, inside));
        if is_group && is_rare && self.persistence >= JITTERED_PERSISTENCE { from.min(to) } else { 0.0 }
    }

    fn reasons(&self) -> Vec<Reason> {
        let rhythm = &self.rhythm;
        let regular = ramp(rhythm.deviation, 0.35, 0.12).max(0.9 * ramp(rhythm.floor, 0.3, 0.6));
        let calls = rhythm.gaps as f64 / rhythm.subscribers.max(1) as f64;
        // One device of a home network: nobody knows how rare its party is.
        // A party that says its name and that a seventh of the population calls is a product's: checks of the network, of
        // updates, of the time are just so. Without a name it is not.
        let is_named = self.named >= 0.5 && rhythm.subscribers >= GROUP_MIN;
        let often = COMMON_AND_OFTEN * ramp(rhythm.period_s, SELDOM_S.1, SELDOM_S.0);
        let (rare, rare_weight) = match self.coverage {
            None => (0.6, if is_named { 0.25 } else { 0.1 }),
            Some(coverage) if is_named => {
                let common = often * ramp(coverage, COVERAGE_MAX, COVERAGE_MAX - 0.05);
                (ramp(coverage, NAMED_COVERAGE_MAX, 0.02).max(common), 0.25)
            }
            Some(coverage) => (ramp(coverage, COVERAGE_MAX, 0.1), 0.1),
        };
        let agreed = match rhythm.agreement {
            Some(agreement) if rhythm.subscribers >= GROUP_MIN => 0.6 + 0.4 * ramp(agreement, 0.8, 0.95),
            _ => 0.6,
        };
        // A group that keeps one time is suspect whatever the name; one device with a named service is a product at work.
        let unasked = match rhythm.subscribers >= GROUP_MIN {
            true => ramp(self.named, 2.2, 0.0),
            false => ramp(self.named, 0.9, 0.2).max(NAMED_ALONE),
        };
        let hidden = ramp(self.named, 0.5, 0.1).max(self.jittered());
        let constant = ramp(self.same_size_share, 0.4, 0.75).max(PADDED * hidden);
        vec![
            Reason::number("gap_deviation", rhythm.deviation, "ratio", regular, 0.25),
            Reason::number("gap_skew", rhythm.skew, "ratio", ramp(rhythm.skew.abs(), 1.0, 0.3), 0.03),
            Reason::number("calls_per_device", calls, "calls", log_ramp(calls, 3.0, 16.0), 0.15),
            Reason::number("same_size_share", self.same_size_share, "ratio", constant, 0.2),
            Reason::number("persistence", self.persistence, "ratio", ramp(self.persistence, 0.15, 0.6), 0.1),
            Reason::number("named_share", self.named, "ratio", unasked, 0.12),
            Reason::number("coverage", self.coverage.unwrap_or(f64::NAN), "ratio", rare, rare_weight),
            Reason::number("period_agreement", rhythm.agreement.unwrap_or(f64::NAN), "ratio", agreed, 0.05),
        ]
    }
}

/// Whether the share of so many active subscribers that calls a party says anything of it.
fn says_how_rare(active: u64, named: f64) -> bool {
    active >= if named < LOOKED_UP { ACTIVE_UNNAMED_MIN } else { ACTIVE_MIN }
}

/// Share of the commonest size, two neighbouring quarter octaves wide; 1 where nothing is carried.
fn same_size(sizes: &LogHistogram<SIZE_BITS>) -> f64 {
    sizes.mode().map_or(1.0, |mode| mode.share)
}

/// Share of the subscribers that asked for the party by name, or rows that did, whichever is more.
fn named(scene: &Scene<'_>, group: &Group<'_>) -> f64 {
    let by_name = group.whole.rows_named as f64 / group.whole.totals.rows.max(1) as f64;
    let asked = group.of.addresses.iter().filter_map(|a| scene.summary.answers.of(&Party::Outside(*a)));
    let looked_up = asked.map(|answer| answer.clients.count()).max().unwrap_or(0);
    let by_look_up = looked_up as f64 / group.whole.subscribers.count().max(1) as f64;
    by_name.max(by_look_up).max(if group.whole.domains.is_empty() { 0.0 } else { by_name }).min(1.0)
}

/// Whether anybody called it by a name or looked one up, here or before: what is held open says its name once.
pub(super) fn is_named(scene: &Scene<'_>, group: &Group<'_>) -> bool {
    group.whole.rows_named > 0
        || !group.whole.domains.is_empty()
        || group.of.addresses.iter().any(|address| scene.is_looked_up(*address))
}

/// See the file's header.
pub fn detect(scene: &Scene<'_>, findings: &mut Vec<Finding>) {
    let repeats = |flows: u64| flows > GAPS_MIN as u64;
    let alone = scene.alone(|(_, one)| repeats(one.totals.flows));
    let candidates = alone
        .into_iter()
        .chain(levels::facets(scene, Technique::BeaconingImplant, |facet| repeats(facet.totals.flows)))
        .chain(in_turn::groups(scene));
    let tunnels = scene.tunnel_ends();
    let candidates = candidates.filter(|group| !group.is_at(&tunnels));
    let mut scores: Vec<f64> = Vec::new();
    let mut judged: Vec<(Group<'_>, Measures, f64)> = Vec::new();
    for group in candidates
        .filter(|group| !is_plumbing(&group.whole) && !is_watch(scene, group) && !is_part_of_plumbing(scene, group))
    {
        let Some(measures) = Measures::of(scene, &group) else { continue };
        let (score, _) = weigh(measures.reasons());
        scores.push(score);
        judged.push((group, measures, score));
    }
    let looks_a_day = DAY.as_secs_f64() / scene.summary.span().length().as_secs_f64().max(1.0);
    let tries_a_day = judged.len() as f64 * looks_a_day.max(1.0);
    let lives = OnceCell::new();
    let harmless = Harmless::of(scene);
    // The addresses of a product's name are no more than the name is.
    let of_names =
        judged.iter().filter(|(group, measures, _)| group.level == Level::Name && harmless.is(group, measures));
    let products: BTreeSet<(PopulationIndex, Address)> = of_names
        .flat_map(|(group, ..)| group.of.addresses.iter().map(|address| (group.of.population, *address)))
        .collect();
    let is_part = |group: &Group<'_>| {
        let mut all = group.of.addresses.iter().map(|address| (group.of.population, *address));
        group.level != Level::Name && is_named(scene, group) && all.all(|one| products.contains(&one))
    };
    let meetings = Meetings::of(judged.iter().map(|(group, measures, _)| (group, measures)));
    for (group, measures, score) in judged {
        let p_value = p_value(&scores, score, scene.collectors().len());
        // What comes to a port that nobody asked from, as reflectors' floods do, is not called.
        let is_spoken_to = group.whole.totals.packets[0] >= group.whole.totals.flows.div_ceil(2);
        let is_call = measures.is_call() && is_spoken_to;
        let by_chance_a_day = tries_a_day * measures.rhythm.chance();
        let most = if by_chance_a_day > CHANCE_A_DAY_MAX { Severity::Low } else { Severity::High };
        let severity = severity_of(score, p_value).filter(|_| is_call).map(|severity| severity.min(most));
        let is_loud = severity >= Some(Severity::Medium);
        let is_harmless = || {
            let is_told = harmless.is(&group, &measures) || is_part(&group) || meetings.are_many(&group, &measures);
            is_told || is_reported_to(scene, &group)
        };
        let severity = if is_loud && is_harmless() { Some(Severity::Low) } else { severity };
        let is_loud = severity >= Some(Severity::Medium) && measures.named >= fleet::NAMED_MIN;
        let share = || lives.get_or_init(|| Lives::of(scene)).otherwise_share(scene, &group);
        let otherwise = is_loud.then(share).flatten().filter(|share| fleet::is_fleet(*share));
        let severity = if otherwise.is_some() { Some(Severity::Low) } else { severity };
        if severity < Some(Severity::Medium) && !measures.rhythm.is_blurred() {
            let party = (group.of.population, group.key.as_str());
            scene.doubt(Technique::BeaconingImplant, party, group.whole.totals.packets_both(), score);
        }
        let Some(severity) = severity else { continue };
        let mut found = finding(scene, &group, &measures, severity, score, p_value);
        if measures.named < LOOKED_UP && harmless.hides_names(&group) {
            found.explanation += " Few names show in this traffic, so that it has none says little.";
        }
        otherwise.iter().for_each(|share| fleet::add_to(&mut found, *share));
        findings.push(found);
    }
    held::detect(scene, &harmless, &tunnels, findings);
    refused::detect(scene, &harmless, &tunnels, findings);
}

/// Whether the register lets the party have records of many: they come by the clock.
fn is_reported_to(scene: &Scene<'_>, group: &Group<'_>) -> bool {
    let may = |address: &Address| scene.is_registered(Technique::PopulationFanIn, group.of.population, *address);
    group.whole.subscribers.count() >= REPORTING_MIN && group.of.addresses.iter().all(may)
}

/// Reasons that a group gives which deals with a party without a name: how many devices they are, and what share of the active, with
/// where opinion turns on that.
fn of_a_group(devices: u64, coverage: Option<f64>, turns: (f64, f64), [many, rare]: [f64; 2]) -> [Reason; 2] {
    let devices = devices as f64;
    let worth = coverage.map_or(0.6, |share| ramp(share, turns.0, turns.1));
    [
        Reason::number("subscribers_distinct", devices, "subscribers", log_ramp(devices, 3.0, 10.0), many),
        Reason::number("coverage", coverage.unwrap_or(f64::NAN), "ratio", worth, rare),
    ]
}

/// How bad that is: no more than `medium`, and `low` where names do not show.
fn severity_without_a_name(harmless: &Harmless<'_, '_>, group: &Group<'_>, score: f64) -> Option<(Severity, f64)> {
    let score = score.min(NAMELESS_SCORE_MAX);
    let most = if harmless.hides_names(group) { Severity::Low } else { Severity::Medium };
    Some((severity_of(score, NAMELESS_P_VALUE)?.min(most), score))
}

/// Conformal: how many parties of this scene score as high, those without any rhythm among them.
fn p_value(scores: &[f64], score: f64, parties: usize) -> f64 {
    let as_high = scores.iter().filter(|other| **other >= score).count();
    (as_high.max(1) as f64 / (parties.max(scores.len()) + 1) as f64).min(1.0)
}

fn finding(
    scene: &Scene<'_>,
    group: &Group<'_>,
    measures: &Measures,
    severity: Severity,
    score: f64,
    p_value: f64,
) -> Finding {
    let (subscribers, rhythm) = (group.whole.subscribers.count(), &measures.rhythm);
    let blank = scene.blank(Technique::BeaconingImplant, group);
    let who = group.spoken(&blank.collector.names);
    let (_, evidence) = weigh(measures.reasons());
    let every = words::seconds(rhythm.period_s);
    let group_words = match rhythm.agreement {
        Some(agreement) if agreement > 0.9 => " The devices keep the same period, as one program on all of them would.",
        _ => "",
    };
    let name_words = match measures.named {
        named if named < LOOKED_UP => " Nobody was seen to look its name up.",
        _ => "",
    };
    Finding {
        severity,
        score,
        p_value,
        evidence,
        headline: format!("{} call {who} every {every}, by the clock", words::counted(subscribers, "subscriber")),
        explanation: format!(
            "{} call {who} again and again, every {every} or so: half of the times lie within {:.0} % of the period, {} gaps \
             in all, over {}. People and the programs that they use do not keep such time, and what each call carries is \
             nearly the same.{group_words}{name_words} Find the device (`--reveal` with the key, or the DHCP and NAT logs), \
             see which program calls, and whether anybody installed it; if it is a service that should be there, register \
             the collector in the policy.",
            words::counted(subscribers, "subscriber"),
            100.0 * rhythm.deviation,
            rhythm.gaps,
            words::seconds(rhythm.lasts_s),
        ),
        ..blank
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::detect::finding::CollectorIdentity;
    use crate::flow::row::{FlowColumns, FlowRow};
    use crate::packet::facts::{AppFacts, AppProtocol};
    use crate::population::places::Places;
    use crate::population::summary::tests::{hour_with, looked_up, populations, row};
    use crate::units::TimestampNs;

    /// A clock of three devices, or of one.
    pub(super) fn measures(
        subscribers: usize,
        named: f64,
        deviation: f64,
        same_size_share: f64,
        coverage: f64,
    ) -> Measures {
        let rhythm = Rhythm {
            subscribers,
            followed: subscribers,
            coarse: 0,
            gaps: 30 * subscribers,
            period_s: 600.0,
            deviation,
            spread: 2.0 * deviation,
            floor: 1.0 - 2.0 * deviation,
            skew: 0.0,
            agreement: (subscribers > 1).then_some(0.99),
            lasts_s: 1_800.0,
        };
        Measures {
            rhythm,
            same_size_share,
            persistence: 0.95,
            named,
            coverage: Some(coverage),
            answered: 1.0,
            begun_by_collector: 0.0,
        }
    }

    #[test]
    fn what_a_careful_human_would_say() {
        use Severity::{High, Low, Medium};
        let often = |period_s: f64, one: Measures| Measures { rhythm: Rhythm { period_s, ..one.rhythm }, ..one };
        let table = [
            ("a group by name", measures(6, 1.0, 0.05, 1.0, 0.03), Some(High)),
            ("a group by address, jittered and padded", measures(6, 0.0, 0.2, 0.5, 0.03), Some(High)),
            ("one device by address", measures(1, 0.0, 0.05, 1.0, 0.01), Some(High)),
            ("a bridge that asks its maker", measures(1, 1.0, 0.0, 1.0, 0.01), Some(Low)),
            ("a check of the network", measures(24, 1.0, 0.02, 1.0, 0.145), None),
            ("half a dozen of fifty, by name", measures(6, 1.0, 0.05, 1.0, 0.115), Some(Medium)),
            (
                "nothing every minute, by name, from a quarter",
                often(60.0, measures(40, 1.0, 0.02, 1.0, 0.25)),
                Some(Medium),
            ),
            ("nothing every minute, from half of all", often(60.0, measures(60, 1.0, 0.02, 1.0, 0.5)), None),
            ("a service for everybody", measures(60, 1.0, 0.05, 1.0, 0.6), None),
            ("things whose answers vary", measures(10, 1.0, 0.05, 0.3, 0.08), None),
            ("people", measures(6, 1.0, 0.6, 0.9, 0.03), None),
            ("a group that strays on purpose and pads, by name", measures(6, 1.0, 0.12, 0.3, 0.03), Some(Medium)),
            ("the same exactly by the clock", measures(6, 1.0, 0.01, 0.3, 0.03), None),
            ("the same as irregular as people", measures(6, 1.0, 0.33, 0.3, 0.03), None),
            ("the same of a seventh", measures(28, 1.0, 0.12, 0.3, 0.14), None),
            (
                "half of an office, without a name",
                Measures { coverage: None, ..often(30.0, measures(16, 0.0, 0.0, 0.88, 0.5)) },
                Some(High),
            ),
            ("half of a town, without a name", often(30.0, measures(16, 0.0, 0.0, 0.88, 0.5)), None),
            ("a widget that asks for the weather", often(900.0, measures(49, 1.0, 0.12, 0.3, 0.04)), None),
        ];
        for (name, measures, wanted) in table {
            let (score, _) = weigh(measures.reasons());
            assert_eq!(severity_of(score, 0.01), wanted, "{name}: {score}");
        }
    }

    #[test]
    fn of_few_a_share_says_little() {
        let table = [(31, 1.0, false), (32, 1.0, true), (32, 0.0, false), (63, 0.1, false), (64, 0.0, true)];
        for (active, named, wanted) in table {
            assert_eq!(says_how_rare(active, named), wanted, "{active} active, {named} named");
        }
    }

    #[test]
    fn two_that_call_each_other_and_calls_into_the_void_are_no_calls() {
        let one = measures(12, 0.0, 0.02, 1.0, 0.05);
        let table = [
            ("calls", one, true),
            ("the party calls as well", Measures { begun_by_collector: 0.45, ..one }, false),
            ("most are not answered", Measures { answered: 0.4, ..one }, false),
        ];
        for (name, measures, wanted) in table {
            assert_eq!(measures.is_call(), wanted, "{name}");
        }
    }

    /// Lets one party have the records of many.
    #[derive(Debug)]
    struct Allows(Option<Address>);

    impl crate::detect::register::Register for Allows {
        fn allows(&self, technique: Technique, party: &CollectorIdentity, _: &str, _: TimestampNs) -> bool {
            technique == Technique::PopulationFanIn && self.0.is_some_and(|address| party.addresses == [address])
        }

        fn is_empty(&self) -> bool {
            self.0.is_none()
        }
    }

    /// So many devices call a party every three minutes for an hour, under a name, and browse as three hundred do.
    fn worst(devices: u8, name: &str, allowed: Option<Address>) -> Option<Severity> {
        let party = Address::v4([203, 0, 113, 7]);
        let mut rows = FlowColumns::default();
        let facts = |name: &str| {
            let name = Some(name.into());
            Some(Arc::new(AppFacts { protocol: Some(AppProtocol::Tls), server_name: name, ..AppFacts::default() }))
        };
        for n in 0..180u8 {
            let far = Address::v4([198, 51, 100, n % 25]);
            for third in [0, 1] {
                let home = Address::v4([10, 0, third, n]);
                let page = row(home, far, 19 * u64::from(n) + 97 * u64::from(third), 800, 9_000);
                rows.push(FlowRow { facts: facts("www.a.example"), ..page });
            }
        }
        for (device, n) in (0..devices).flat_map(|device| (0..20u64).map(move |n| (device, n))) {
            let second = 170 * n + 7 * u64::from(device) + n % 2;
            let mut call = row(Address::v4([10, 0, 0, device]), party, second, 300, 300);
            call.sides[0].syn = 1;
            rows.push(FlowRow { facts: facts(name), ..call });
        }
        let asked = looked_up(Address::v4([10, 0, 0, 0]), name, party, rows.ts_first[0]);
        let (summary, populations, places) = (hour_with(&rows, &[asked]), populations(), Places::default());
        let (register, mut findings) = (Allows(allowed), Vec::new());
        detect(&Scene::new(&summary, &populations, &places, None).under(&register), &mut findings);
        findings.iter().map(|finding| finding.severity).max()
    }

    #[test]
    fn what_the_register_lets_have_records_and_where_stations_report_is_said_at_low() {
        let party = Address::v4([203, 0, 113, 7]);
        let [other, station] = ["c.b.example", "rtupdate.wunderground.com"];
        let table = [
            ("a stranger", 9, other, None, Some(Severity::High)),
            ("a grid's operator, whose meters report", 9, other, Some(party), Some(Severity::Low)),
            ("the same of too few for records", 7, other, Some(party), Some(Severity::High)),
            ("another is allowed to", 9, other, Some(Address::v4([203, 0, 113, 8])), Some(Severity::High)),
            ("stations", 9, station, None, Some(Severity::Low)),
        ];
        for (name, devices, asked, allowed, wanted) in table {
            assert_eq!(worst(devices, asked, allowed), wanted, "{name}");
        }
    }
}
