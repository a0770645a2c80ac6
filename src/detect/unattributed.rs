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
//! knows them (`crowd`), that devices talk with in an IP protocol that nobody runs (`protocols`), and that they deal with all in
//! the same moments (`moments`).

mod crowd;
mod dialogue;
mod moments;
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
#[derive(Clone, Copy)]
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
    let shows = scene.summary.span().length() >= SPAN_MIN && scene.shows_applications();
    if shows {
        dialogue::strangers(scene, findings);
        crowd::crowds(scene, findings);
    }
    protocols::strange(scene, findings);
    if shows {
        moments::moved(scene, findings);
    }
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
mod tests;
