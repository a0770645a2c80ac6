//! `unattributed-cluster`: behaviour that lies far from every known cluster, and that no technique explains.
//! In: collectors of a scene with their profiles, and what the other detectors found in it. Out: few findings.
//! What it weighs: how far the collector's profile lies from the ordinary ones (the trained model's where there is one, and
//! always the capture's own bulk as well, so that a model from elsewhere cannot make everything strange); that data leaves many
//! subscribers; that none of them asked for it: the collector calls, or the flows begin by the clock. The last is what tells a
//! stranger from a popular service that merely is unusual: people use that.
//! A promise about rates: never above `medium`, and that only where people do not ask for it as well, no more than one in twenty
//! ordinary collectors would lie as far out and be as unasked, and this one lies at least twice as far as the median one.
//! What another technique finds of the same collector, here or at any other time, takes its place (see `ledger`).
//! Beside these stand parties that devices keep talking with in a protocol that nothing knows (`dialogue`): no profile is needed
//! to find that strange. And parties that a good part of the population deals with though nobody
//! knows them (`crowd`), and that devices talk with in an IP protocol that nobody runs (`protocols`).

mod crowd;
mod dialogue;
mod protocols;
mod visits;

use super::beaconing::{is_clock, is_registrar};
use super::finding::{EvidenceValue, Finding, Severity, Technique};
use super::levels;
use super::rhythm::Rhythm;
use super::scene::{Group, Scene, service_of};
use super::weigh::{Reason, log_ramp, ramp, weigh};
use super::words;
use crate::model::{Baseline, ProfileScore};
use crate::packet::facts::AppProtocol;
use crate::population::collector::{CollectorSummary, ServiceAt};
use crate::population::groups::Level;
use crate::population::profile::{PROFILE_LEN, profile_of};
use crate::units::{Address, DurationNs};

/// Fewest subscribers; also keeps groups above the k of privacy.
const SUBSCRIBERS_MIN: u64 = 8;
/// Collectors with at least so many subscribers are the bulk; where they are too few, those with fewer as well.
const BULK_SUBSCRIBERS_MIN: [u64; 3] = [3, 2, 1];
/// Collectors that the bulk needs before far means anything.
const BULK_MIN: usize = 20;
/// Shorter spans show no behaviour.
const SPAN_MIN: DurationNs = DurationNs::from_secs(600);
/// Data up over all data from which on something leaves.
const UPLOAD_SHARE_MIN: f64 = 0.55;
/// The same between which opinion turns: what devices ask to see whether the network is there brings nearly as much back.
const UPLOAD_TURNS: (f64, f64) = (0.55, 0.75);
/// Most that may lie as far out, and how far that must be, for a `medium`.
const P_VALUE_MAX: f64 = 0.05;
const OUTLIER_MIN: f64 = 2.0;
/// How far out one must lie who calls most of its subscribers, at one port, and whom hardly any calls: that is strange by itself, and
/// twelve harmless days hold nobody else who does. No clock comes to that much of what is unasked.
const POLLS_MIN: f64 = 0.95;
const POLLER_OUTLIER_MIN: f64 = 1.5;
/// Share of such calls that must be answered, calls to each subscriber between which it turns from a survey, which comes by once,
/// into one who polls devices whatever its profile is, and what that is worth of the farthest one.
const POLLED_ANSWERED_MIN: f64 = 0.9;
const POLLS_EACH: (f64, f64) = (2.0, 4.0);
const POLLS: f64 = 0.9;
/// How unasked for a `medium`: a mail server that half of its callers poll is people's, and a peer that calls them as often as
/// they call it is one of theirs.
const UNASKED_MIN: f64 = 0.6;
/// Share of its flows from which on a collector is the one who calls, and nobody else.
const CALLER_SHARE_MIN: f64 = 0.8;
/// Subscribers to each address of several from which on they can be one party's: who polls a fleet from some addresses has more
/// devices than these. Strangers who stand side by side and each call somebody have not.
const SUBSCRIBERS_AN_ADDRESS: f64 = 1.5;
/// Share of its flows that a collector begins from which on it is the one who calls.
const CALLS_SHARE_MIN: f64 = 0.5;
/// Share of its subscribers that it must call to be the one who calls.
const CALLED_SHARE_MIN: f64 = 0.5;
/// Share of the followed subscribers that must have a period: the device of one household that checks a site by the clock does not
/// make the site anybody else's stranger.
const TOLD_SHARE_MIN: f64 = 0.4;
/// Quartile coefficient of dispersion of what goes up, and of what comes down, up to which all is one question and its answer.
const ALIKE_MAX: f64 = 0.15;
/// Share of what is unasked of a collector that another must have to be as unasked.
const AS_UNASKED: f64 = 0.7;

/// What is measured of one collector.
struct Measures {
    subscribers: u64,
    upload_share: f64,
    answered_share: f64,
    /// How little the subscribers asked for it: the collector begins, or a clock does.
    unasked: f64,
    begun_by_collector: f64,
    /// Calls of the collector to each subscriber.
    calls_each: f64,
    outlier: f64,
    p_value: f64,
}

impl Measures {
    /// Whether the collector, which nobody calls, calls again and again and is answered.
    fn is_poller(&self) -> bool {
        self.unasked >= POLLS_MIN && self.begun_by_collector >= POLLS_MIN && self.answered_share >= POLLED_ANSWERED_MIN
    }

    /// How loud a score is told.
    fn severity(&self, score: f64) -> Option<Severity> {
        let outlier_min = match self.unasked {
            _ if self.is_poller() && self.calls_each >= POLLS_EACH.1 => 0.0,
            unasked if unasked >= POLLS_MIN => POLLER_OUTLIER_MIN,
            _ => OUTLIER_MIN,
        };
        let is_far = self.p_value <= P_VALUE_MAX && self.outlier >= outlier_min;
        // Who begins nearly all of it is not asked, however seldom it calls.
        let is_unasked = self.unasked >= UNASKED_MIN || self.begun_by_collector >= CALLER_SHARE_MIN;
        match score {
            score if score >= 0.6 && is_far && is_unasked => Some(Severity::Medium),
            score if score >= 0.45 => Some(Severity::Low),
            _ => None,
        }
    }

    fn of(whole: &CollectorSummary, scores: [Option<ProfileScore>; 2]) -> Self {
        let known = || scores.iter().flatten();
        Self {
            subscribers: whole.subscribers.count(),
            upload_share: upload_share(whole),
            answered_share: whole.rows_answered as f64 / whole.totals.rows.max(1) as f64,
            unasked: unasked(whole),
            begun_by_collector: begun_by_collector(whole),
            calls_each: whole.flows_by_collector as f64 / whole.subscribers.count().max(1) as f64,
            outlier: known().map(|score| score.outlier).fold(f64::INFINITY, f64::min),
            p_value: known().map(|score| score.p_value).fold(0.0, f64::max),
        }
    }

    fn reasons(&self) -> Vec<Reason> {
        // The bulk of a small town is too small to tell how far out one lies.
        let polls = if self.is_poller() { ramp(self.calls_each, POLLS_EACH.0, POLLS_EACH.1) } else { 0.0 };
        let far = log_ramp(self.outlier, 1.0, 2.5).max(POLLS * polls);
        vec![
            Reason::number("profile_outlier", self.outlier, "times median", far, 0.3),
            Reason::number("unasked", self.unasked, "ratio", self.unasked, 0.25),
            Reason::number(
                "upload_share",
                self.upload_share,
                "ratio",
                ramp(self.upload_share, UPLOAD_TURNS.0, UPLOAD_TURNS.1),
                0.15,
            ),
            Reason::number(
                "subscribers_distinct",
                self.subscribers as f64,
                "subscribers",
                log_ramp(self.subscribers as f64, 4.0, 16.0),
                0.15,
            ),
            Reason::number("answered_share", self.answered_share, "ratio", ramp(self.answered_share, 0.3, 0.7), 0.15),
        ]
    }
}

/// Share of the flows that the collector began, as far as it calls those it deals with. One that calls a single server inside again
/// and again, and that everybody else calls as the page that it also is, is no stranger to them.
fn begun_by_collector(whole: &CollectorSummary) -> f64 {
    let share = whole.flows_by_collector as f64 / whole.totals.flows.max(1) as f64;
    if called_share(whole) >= CALLED_SHARE_MIN { share } else { 0.0 }
}

/// Share of its subscribers that the collector calls: 1 where its services were too many to be kept apart.
fn called_share(whole: &CollectorSummary) -> f64 {
    let parts = whole.services_apart.apart();
    if parts.is_empty() {
        return whole.services_apart.only().map_or(1.0, |only| f64::from(u8::from(only.at == ServiceAt::Subscriber)));
    }
    let called = parts.iter().find(|(service, _)| service.at == ServiceAt::Subscriber);
    called.map_or(0, |(_, facet)| facet.subscribers.count()) as f64 / whole.subscribers.count().max(1) as f64
}

/// 1 where the collector begins or the flows go by the clock, 0 where subscribers call when they like.
fn unasked(whole: &CollectorSummary) -> f64 {
    let rhythm = Rhythm::of(&whole.sample()).filter(|rhythm| rhythm.told_share() >= TOLD_SHARE_MIN);
    let clockwork = rhythm.map_or(0.0, |rhythm| rhythm.clockwork());
    let calls = if calls_one_service(whole) || is_answered_alike(whole) {
        ramp(begun_by_collector(whole), 0.3, 0.8)
    } else {
        0.0
    };
    calls.max(0.8 * clockwork)
}

fn upload_share(whole: &CollectorSummary) -> f64 {
    let [up, down] = whole.totals.data_bytes.map(|bytes| bytes as f64);
    up / (up + down).max(1.0)
}

/// Whether data leaves many, by something that is no plumbing of the network.
fn is_candidate(whole: &CollectorSummary) -> bool {
    let is_dns = whole.apps.by_count().first().is_some_and(|(app, _)| *app == AppProtocol::Dns)
        || service_of(whole).is_some_and(|service| service.port == 53);
    !is_dns && !is_clock(whole) && !is_registrar(whole) && upload_share(whole) >= UPLOAD_SHARE_MIN
}

/// Whether so many subscribers are reached that the addresses can be one party's.
fn reaches_many(whole: &CollectorSummary, addresses: usize) -> bool {
    let subscribers = whole.subscribers.count();
    subscribers >= SUBSCRIBERS_MIN && subscribers as f64 >= SUBSCRIBERS_AN_ADDRESS * addresses as f64
}

/// Whether whoever calls asks for the same everywhere: most of its calls go to one port. Peers call each other at a port that
/// each chose, and in a day one of them calls as many homes as a stranger does who polls devices.
fn calls_one_service(whole: &CollectorSummary) -> bool {
    let services = whole.services.by_count().into_iter();
    let called = services.filter(|(service, _)| service.at == ServiceAt::Subscriber).map(|(_, rows)| rows);
    let (most, all) = called.fold((0, 0), |(most, all): (u64, u64), rows| (most.max(rows), all + rows));
    2 * most >= all
}

/// Whether whoever calls asks the same of all and is told as much by each. A carrier's translator gives every home ports of its own,
/// so the port at which devices are polled is another one for each; peers exchange pieces of all sizes.
fn is_answered_alike(whole: &CollectorSummary) -> bool {
    let sizes = [&whole.upload_sizes, &whole.download_sizes];
    sizes.into_iter().all(|sizes| {
        let quartiles = sizes.quantile(0.25).zip(sizes.quantile(0.75));
        quartiles.is_some_and(|(low, high)| high - low <= ALIKE_MAX * (high + low))
    })
}

/// Whether most rows of neighbours are of one service, and those of them whose own most rows are of it reach enough: a visitor who
/// asks one server all day is no fleet with the peers that stand beside it.
fn ask_for_the_same(scene: &Scene<'_>, group: &Group<'_>) -> bool {
    let services = &group.whole.services;
    let Some((service, most)) = services.by_count().first().copied() else { return false };
    let members = group.of.addresses.iter().filter_map(|address| scene.collector(group.of.population, *address));
    let ask = members.filter(|one| service_of(one) == Some(service)).map(|one| one.subscribers.count());
    let (count, reach) = ask.fold((0, 0), |(count, reach), subscribers| (count + 1, reach + subscribers));
    2 * most > services.total() && count > 1 && reach >= SUBSCRIBERS_MIN
}

/// See the file's header. Stands last in the register: it looks at what the others found.
pub fn detect(scene: &Scene<'_>, findings: &mut Vec<Finding>) {
    outliers(scene, findings);
    // Shorter spans show no behaviour, and cut packets no protocol of anybody.
    if scene.summary.span().length() >= SPAN_MIN && scene.shows_applications() {
        dialogue::strangers(scene, findings);
        crowd::crowds(scene, findings);
    }
    protocols::strange(scene, findings);
}

/// Parties whose profile lies far from all others.
fn outliers(scene: &Scene<'_>, findings: &mut Vec<Finding>) {
    if scene.summary.span().length() < SPAN_MIN {
        return;
    }
    let is_many = |one: &CollectorSummary| one.subscribers.count() >= SUBSCRIBERS_MIN && is_candidate(one);
    let mut groups = scene.alone(|(_, one)| is_many(one));
    // Neighbours belong together only where all of them call: a popular service beside a stranger is none of it.
    let calls = |one: &CollectorSummary| is_candidate(one) && 2 * one.flows_by_collector > one.totals.flows;
    groups.extend(levels::together(
        scene,
        Technique::UnattributedCluster,
        &[Level::Prefix, Level::Asn],
        SUBSCRIBERS_MIN,
        calls,
    ));
    // And only where they ask for the same: who polls a fleet asks every device at one port, peers each at its own.
    groups.retain(|group| group.level == Level::Address || ask_for_the_same(scene, group));
    let is_explained = |group: &Group<'_>| {
        let named = findings.iter().filter(|found| found.severity >= Severity::Low);
        let mut held = named.map(|found| &found.collector.addresses);
        held.any(|held| group.of.addresses.iter().all(|address| held.binary_search(address).is_ok()))
    };
    // Peers that stand side by side share their few partners: together they reach no more people than each alone.
    groups.retain(|group| reaches_many(&group.whole, group.of.addresses.len()) && !is_explained(group));
    if groups.is_empty() {
        return;
    }
    let Some(bulk) = Bulk::of(scene) else { return };
    let by_model = match scene.model {
        Some(_) => scene.profile_scores(&groups, SUBSCRIBERS_MIN, |_| true),
        None => vec![None; groups.len()],
    };
    for (group, by_model) in groups.iter().zip(by_model) {
        let by_bulk = bulk.score(scene, group);
        let measures = Measures::of(&group.whole, [Some(by_bulk), by_model]);
        let (score, _) = weigh(measures.reasons());
        // Who calls servers as everybody does most likely is a visitor: what they gave it is for `record-scraping` to say.
        let is_visitor = || measures.begun_by_collector >= CALLS_SHARE_MIN && visits::is_visitor(scene, group);
        let severity = measures.severity(score).map(|found| match found {
            Severity::Medium if is_visitor() => Severity::Low,
            found => found,
        });
        if severity < Some(Severity::Medium) {
            let party = (group.of.population, group.key.as_str());
            scene.doubt(Technique::UnattributedCluster, party, group.whole.totals.packets_both(), score);
        }
        let Some(severity) = severity else { continue };
        findings.push(finding(scene, group, &measures, severity, score));
    }
}

/// The capture's own ordinary collectors.
struct Bulk<'a> {
    groups: Vec<Group<'a>>,
    baseline: Baseline,
    outliers: Vec<f64>,
}

impl<'a> Bulk<'a> {
    /// None where they are too few.
    fn of(scene: &Scene<'a>) -> Option<Self> {
        let popular = |least: u64| scene.alone(|(_, one)| one.subscribers.count() >= least);
        let groups = BULK_SUBSCRIBERS_MIN.into_iter().map(popular).find(|groups| groups.len() >= BULK_MIN)?;
        let profiles: Vec<[f32; PROFILE_LEN]> =
            groups.iter().map(|group| profile_of(&group.of, &group.whole, scene.profiles())).collect();
        let baseline = Baseline::of_bulk(&profiles);
        let outliers = profiles.iter().map(|profile| baseline.score(profile).outlier).collect();
        Some(Self { groups, baseline, outliers })
    }

    /// How far a group lies out. Where it is the one who calls, the p-value is conformal over both facts that make a
    /// stranger: it counts whoever of the others lies as far out and is as unasked. Time servers and resolvers lie far out,
    /// but people's devices call them.
    fn score(&self, scene: &Scene<'_>, group: &Group<'_>) -> ProfileScore {
        let score = self.baseline.score(&profile_of(&group.of, &group.whole, scene.profiles()));
        if begun_by_collector(&group.whole) < CALLS_SHARE_MIN {
            return score;
        }
        let own = unasked(&group.whole);
        let others = || {
            let all = self.groups.iter().zip(&self.outliers);
            all.filter(|(other, _)| !other.of.addresses.iter().any(|a| group.of.addresses.binary_search(a).is_ok()))
        };
        // Whoever polls devices by leave of the register is no ordinary collector: beside one of them every other would be one
        // of two, and of thirty collectors that is more than one in twenty.
        let is_registered = |other: &Group<'_>| {
            let may = |at: &Address| scene.is_registered(Technique::UnattributedCluster, other.of.population, *at);
            other.of.addresses.iter().all(may)
        };
        let is_as_strange = |other: &Group<'_>, outlier: f64| {
            outlier >= score.outlier
                && is_candidate(&other.whole)
                && unasked(&other.whole) >= AS_UNASKED * own
                && !is_registered(other)
        };
        let as_strange = others().filter(|(other, outlier)| is_as_strange(other, **outlier)).count();
        ProfileScore { p_value: (1 + as_strange) as f64 / (1 + others().count()) as f64, ..score }
    }
}

fn finding(scene: &Scene<'_>, group: &Group<'_>, measures: &Measures, severity: Severity, score: f64) -> Finding {
    let blank = scene.blank(Technique::UnattributedCluster, group);
    let who = group.spoken(&blank.collector.names);
    let (_, mut evidence) = weigh(measures.reasons());
    let begun =
        words::evidence("begun_by_collector_share", EvidenceValue::Number(measures.begun_by_collector), "ratio", 0.0);
    evidence.push(begun);
    if measures.is_poller() {
        let calls = EvidenceValue::Number(measures.calls_each);
        evidence.push(words::evidence("calls_per_subscriber", calls, "calls", 0.0));
    }
    let caller = match measures.begun_by_collector {
        share if share >= CALLS_SHARE_MIN => "It is the one who calls: these devices answer strangers",
        _ => "The calls go by the clock: nobody's hand is behind them",
    };
    Finding {
        severity,
        score,
        p_value: measures.p_value,
        evidence,
        headline: format!(
            "{who} behaves towards {} as no ordinary service does",
            words::counted(measures.subscribers, "subscriber")
        ),
        explanation: format!(
            "{} exchange data with {who}, most of which leaves them, and its profile lies {:.1} times as far from the ordinary \
             collectors of this traffic as the median one. No technique that is looked for describes it. {caller}. Look at one \
             of these exchanges in the capture, find out which device takes part and what it gives away, and register the \
             party in the policy if it may.",
            words::counted(measures.subscribers, "subscriber"),
            measures.outlier,
        ),
        ..blank
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::collector::Service;

    #[test]
    fn a_peer_that_calls_many_homes_polls_no_devices() {
        const APART: [u16; 8] = [20_001, 31_000, 45_120, 6_881, 51_413, 27_001, 33_333, 60_100];
        // Ports at which the party calls, how often it is called itself, how many bytes of an answer are one more than the last.
        type Case<'a> = (&'a str, &'a [u16], u64, u64, f64);
        let table: [Case<'_>; 5] = [
            ("one who polls a port of eight devices", &[7_547; 8], 0, 400, 1.0),
            ("one who polls eight behind a translator", &APART, 0, 10, 1.0),
            ("a peer of eight homes", &APART, 0, 400, 0.0),
            ("such a peer that is called as well", &APART[..6], 2, 400, 0.0),
            ("a service that people call", &[], 8, 10, 0.0),
        ];
        for (name, calls, called, unlike, wanted) in table {
            let mut whole = CollectorSummary::default();
            for n in 0..calls.len() as u64 + called {
                whole.upload_sizes.add(1_400 + unlike * n);
                whole.download_sizes.add(120);
            }
            for port in calls {
                whole.services.add(Service { protocol: 17, port: *port, at: ServiceAt::Subscriber });
            }
            (0..called).for_each(|_| whole.services.add(Service { protocol: 6, port: 443, at: ServiceAt::Collector }));
            whole.flows_by_collector = calls.len() as u64;
            whole.totals.flows = calls.len() as u64 + called;
            assert_eq!(unasked(&whole), wanted, "{name}");
        }
    }

    #[test]
    fn who_polls_again_and_again_is_strange_whatever_the_bulk_is() {
        let poller = Measures {
            subscribers: 14,
            upload_share: 0.6,
            answered_share: 1.0,
            unasked: 1.0,
            begun_by_collector: 1.0,
            calls_each: 6.0,
            outlier: 0.9,
            p_value: 0.04,
        };
        let table: [(&str, Measures, Option<Severity>); 4] = [
            ("a poller", Measures { ..poller }, Some(Severity::Medium)),
            ("a survey", Measures { calls_each: 1.2, ..poller }, None),
            ("one whom few answer", Measures { answered_share: 0.5, ..poller }, None),
            ("one of several", Measures { p_value: 0.1, ..poller }, Some(Severity::Low)),
        ];
        for (name, measures, wanted) in table {
            let (score, _) = weigh(measures.reasons());
            assert_eq!(measures.severity(score), wanted, "{name}: {score}");
        }
    }

    #[test]
    fn who_calls_one_server_is_no_stranger_to_those_who_call_it() {
        use crate::population::limits::SummaryLimits;
        use crate::population::summary::tests::{row, summary_of};
        let far = Address::v4([203, 0, 113, 7]);
        let home = |n: u64| Address::v4([10, 0, 0, n as u8]);
        // Calls of the party, and of subscribers to it, each to or from the n-th home.
        let table: [(&str, Vec<u64>, Vec<u64>, f64); 4] = [
            ("a page whose machine visits a server inside", vec![0; 20], (1..9).collect(), 0.0),
            ("one who polls nine, two of which call it as well", (0..9).collect(), vec![3, 4], 9.0 / 11.0),
            ("one who polls nine", (0..9).collect(), Vec::new(), 1.0),
            ("a page", Vec::new(), (1..9).collect(), 0.0),
        ];
        for (name, calls, called, wanted) in table {
            let call = |from: Address, to: Address, n: usize| row(from, to, n as u64, 300, 900);
            let out = calls.iter().enumerate().map(|(n, to)| call(far, home(*to), n));
            let rows: Vec<_> =
                out.chain(called.iter().enumerate().map(|(n, from)| call(home(*from), far, n))).collect();
            let summary = summary_of(&rows, &SummaryLimits::default());
            let (_, whole) = summary.collectors.sorted()[0];
            let share = begun_by_collector(whole);
            assert!((share - wanted).abs() < 1e-9, "{name}: {share}");
        }
    }

    #[test]
    fn a_visitor_is_no_fleet_with_peers_beside_it() {
        use crate::population::limits::SummaryLimits;
        use crate::population::places::Places;
        use crate::population::summary::tests::{populations, row, summary_of};
        let far = |last: u64| Address::v4([203, 0, 113, last as u8]);
        let call = |from: Address, home: u64, n: u64, port: u16| {
            let mut one = row(from, Address::v4([10, 0, 0, home as u8]), n, 300, 900);
            // The home's address is the lower one of the two.
            one.key.ports[0] = port;
            one
        };
        let visits = (0..40).map(|n| call(far(1), 99, n, 443));
        let peers = (0..9).map(|n| call(far(2 + n % 3), n, n, 20_000 + n as u16));
        let polls = (0..24).map(|n| call(far(1 + n % 3), n, n, 7_547));
        for (name, rows, wanted) in [
            ("a visitor and peers", visits.chain(peers).collect::<Vec<_>>(), false),
            ("a fleet", polls.collect(), true),
        ] {
            let summary = summary_of(&rows, &SummaryLimits::default());
            let (populations, places) = (populations(), Places::default());
            let scene = Scene::new(&summary, &populations, &places, None);
            let groups = levels::together(&scene, Technique::UnattributedCluster, &[Level::Prefix], 8, |_| true);
            assert_eq!(groups.len(), 1, "{name}");
            assert_eq!(ask_for_the_same(&scene, &groups[0]), wanted, "{name}");
        }
    }

    #[test]
    fn strangers_side_by_side_are_no_fleet() {
        let table = [
            ("one who polls eight", 8, 1, true),
            ("seven are no group", 7, 1, false),
            ("a fleet of twelve and its devices", 24, 12, true),
            ("twelve visitors of nine servers", 9, 12, false),
        ];
        for (name, subscribers, addresses, wanted) in table {
            let mut whole = CollectorSummary::default();
            (0..subscribers).for_each(|n: u64| whole.subscribers.add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            assert_eq!(reaches_many(&whole, addresses), wanted, "{name}");
        }
    }

    #[test]
    fn who_is_asked_as_often_as_not_is_no_stranger() {
        let nearer = Measures {
            subscribers: 8,
            upload_share: 0.96,
            answered_share: 1.0,
            unasked: 1.0,
            begun_by_collector: 1.0,
            outlier: 1.64,
            p_value: 0.048,
        };
        assert_eq!(nearer.severity(0.75), Some(Severity::Medium), "one who polls eight at one port");
        assert_eq!(Measures { unasked: 0.8, ..nearer }.severity(0.75), Some(Severity::Low), "as near, by the clock");
        let table = [
            ("calls all of them", 1.0, 1.0, 0.9, Some(Severity::Medium)),
            ("calls all of them now and then", 0.39, 1.0, 0.79, Some(Severity::Medium)),
            ("is called by the clock", 0.8, 0.0, 0.79, Some(Severity::Medium)),
            ("a mail server that half of its callers poll", 0.49, 0.54, 0.83, Some(Severity::Low)),
            ("unasked and ordinary", 1.0, 1.0, 0.3, None),
        ];
        for (name, unasked, begun_by_collector, score, wanted) in table {
            let measures = Measures {
                subscribers: 17,
                upload_share: 0.95,
                answered_share: 1.0,
                unasked,
                begun_by_collector,
                outlier: 3.4,
                p_value: 0.015,
            };
            assert_eq!(measures.severity(score), wanted, "{name}");
        }
    }

    #[test]
    fn what_brings_as_much_back_is_no_stranger() {
        let table = [
            ("a site that is asked whether the network is there", 0.552, false),
            ("a register that is fed", 0.9, true),
        ];
        for (name, upload_share, wanted) in table {
            let measures = Measures {
                subscribers: 47,
                upload_share,
                answered_share: 1.0,
                unasked: 0.8,
                begun_by_collector: 0.0,
                outlier: 2.47,
                p_value: 0.02,
            };
            let (score, _) = weigh(measures.reasons());
            assert_eq!(measures.severity(score) >= Some(Severity::Medium), wanted, "{name}: {score}");
        }
    }

    #[test]
    fn one_households_clock_speaks_for_nobody_else() {
        use crate::population::facet::{Moment, Sample};
        use crate::population::span::Seen;
        use crate::units::TimestampNs;
        // Sixteen homes, so many of which call every five minutes; the others call twice.
        for (by_clock, wanted) in [(1, false), (3, false), (14, true)] {
            let mut sample = Sample::default();
            for home in 0..16u8 {
                let calls = if home < by_clock { 12 } else { 2 };
                for n in 0..calls {
                    let at = 1e6 + 300.0 * f64::from(n) + 17.0 * f64::from(home);
                    let (hash, subscriber) = (u64::from(home), Address::v4([10, 0, 0, home]));
                    let ts = TimestampNs((at * 1e9) as u64);
                    sample.add(&Moment { hash, subscriber, seen: Seen::between(ts, ts), flows: 1, moved: [300, 200] });
                }
            }
            let whole = CollectorSummary::following(sample);
            assert_eq!(unasked(&whole) >= UNASKED_MIN, wanted, "{by_clock} of 16: {}", unasked(&whole));
        }
    }

    #[test]
    fn a_time_server_that_leaves_some_unanswered_is_no_stranger() {
        let party = |port: u16, bytes: u64| {
            let mut whole = CollectorSummary::default();
            whole.services.add(Service { protocol: 17, port, at: ServiceAt::Collector });
            (whole.totals.packets, whole.totals.data_bytes) = ([10, 5], [10 * bytes, 5 * bytes]);
            (0..10).for_each(|_| whole.upload_sizes.add(bytes));
            (0..5).for_each(|_| whole.download_sizes.add(bytes));
            whole
        };
        for (name, port, bytes, wanted) in
            [("a clock", 123, 48, false), ("what hides on its port", 123, 600, true), ("another", 4_123, 48, true)]
        {
            assert_eq!(is_candidate(&party(port, bytes)), wanted, "{name}");
        }
    }
}
