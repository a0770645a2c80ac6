//! One hello for whatever they ask: where TLS 1.3 seals the certificates, the server's hello still tells who answers.
//! In: questions to TLS servers (name, network, offer) that were answered in several ways, and who got which answer.
//! Out: a finding for each hello that answers the same few subscribers wherever it answers anybody in a server's place.
//! One hello for many names is no evidence: most of the world runs a handful of softwares. Nor are two hellos for one name:
//! a fleet half of which was renewed answers so. What an honest fleet does not do is to know its callers across owners: who
//! drew the one half of one site draws either half of the next. Whoever sits in a subscriber's path answers that subscriber
//! at every site that he opens, and nobody else at any.
//! What it weighs: that agreement, beyond what chance gives; how many different hellos others get at the same sites for the
//! same offer (one operator's roll-out has one rival, its own older version; an interceptor has whatever the world runs);
//! domains and networks.
//! Or, whoever gets it, that it came to many owners' servers at one moment (`onset`).
//! Not seen: sites that nobody else asked in the same way; an interceptor before everybody since the beginning; one who imitates
//! each server.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Contest, Finding, Merge, PopulationIndex, Reason, Scene, ServerSummary, described, log_ramp, ramp, severity_of,
};
use super::{TextId, weigh};
use crate::population::conflict::wide_network_of;
use crate::population::hellos::{HelloMark, Listener, Question, QuestionKey, TOLD_KEPT, Told};
use crate::population::sketch::SketchKey;
use crate::units::Address;

mod onset;

/// TLS 1.3, as the hello's negotiated version.
const TLS13: u16 = 0x0304;
/// Contested domains below which several sites are one owner's, and fewer agreements are chance.
const DOMAINS_MIN: usize = 3;
/// Kinds of hello that others get for one offer, below which it may be one operator's roll-out: an honest hello has one rival,
/// whose sites the interceptor answers for.
const RIVALS_MIN: usize = 2;
/// Domains at which one subscriber must have got the hello to tell anything by agreement.
const OWN_DOMAINS_MIN: i32 = 2;

type Asked<'a> = (&'a QuestionKey, &'a Question);

/// Findings for every population.
pub(super) fn detect(scene: &Scene<'_>, findings: &mut Vec<Finding>) {
    let mut contested: BTreeMap<(PopulationIndex, HelloMark), Vec<Asked<'_>>> = BTreeMap::new();
    for (key, question) in scene.summary.hellos.sorted() {
        for (mark, _) in question.told().iter().filter(|(mark, _)| question.told().len() > 1 && mark.version == TLS13) {
            contested.entry((key.population, *mark)).or_default().push((key, &**question));
        }
    }
    let mut hellos: BTreeMap<PopulationIndex, usize> = BTreeMap::new();
    contested.keys().for_each(|(population, _)| *hellos.entry(*population).or_default() += 1);
    for ((population, mark), asked) in contested {
        findings.extend(told_alike(scene, population, mark, &asked, hellos[&population]));
    }
}

/// Which hello a subscriber got at the contested questions of one domain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// The one that is looked at, always.
    Alike,
    /// Another one, at least once.
    Other,
}

/// Subscribers' sides, by domain.
type Sides = BTreeMap<Listener, BTreeMap<TextId, Side>>;

fn sides(mark: HelloMark, asked: &[Asked<'_>]) -> Sides {
    let mut sides = Sides::new();
    for (_, question) in asked {
        let Some(domain) = question.domain else { continue };
        // Beyond the last one that a full list keeps nobody knows who else was in it.
        let full = question.told().iter().filter(|(_, told)| told.subscribers.len() >= TOLD_KEPT);
        let known_to = full.filter_map(|(_, told)| told.subscribers.iter().last()).min();
        for (hello, told) in question.told() {
            let side = if *hello == mark { Side::Alike } else { Side::Other };
            let known = told.subscribers.iter().filter(|subscriber| known_to.is_none_or(|last| *subscriber <= last));
            for subscriber in known {
                let known = sides.entry(subscriber).or_default().entry(domain).or_insert(side);
                if side == Side::Other {
                    *known = side;
                }
            }
        }
    }
    sides
}

/// How far the subscribers' sides at one site foretell those at the next.
struct Agreement {
    /// Logarithm of how much likelier the sides are if each subscriber stays on its own than if they are drawn anew at each
    /// site, with the same share of the hello in both: a Bayes factor in nats.
    surprise: f64,
    /// Share of the sides at which somebody who got the hello twice or more got it.
    share: f64,
    /// Who always got it, at two sites or more.
    alike: BTreeSet<Listener>,
}

/// How surely a subscriber in the path of an interceptor gets his hello, and one who is not does not.
const STEADY: f64 = 0.95;

impl Agreement {
    fn of(sides: &Sides) -> Option<Self> {
        let counted: Vec<(Listener, i32, i32)> = (sides.iter())
            .map(|(listener, domains)| {
                let got = domains.values().filter(|side| **side == Side::Alike).count() as i32;
                (*listener, got, domains.len() as i32 - got)
            })
            .collect();
        let sum = |of: fn(&(Listener, i32, i32)) -> i32| f64::from(counted.iter().map(of).sum::<i32>());
        // One more of each: a share of 0 or 1 would make anything certain.
        let share = (sum(|one| one.1) + 1.0) / (sum(|one| one.1 + one.2) + 2.0);
        let stays = |got: i32, others: i32| STEADY.powi(got) * (1.0 - STEADY).powi(others);
        let surprise = counted.iter().map(|&(_, got, others)| {
            let steady = share * stays(got, others) + (1.0 - share) * stays(others, got);
            steady.ln() - f64::from(got) * share.ln() - f64::from(others) * (1.0 - share).ln()
        });
        let surprise = surprise.sum();
        let repeated = counted.iter().filter(|one| one.1 >= OWN_DOMAINS_MIN);
        let (got, all) = repeated.fold((0, 0), |(got, all), one| (got + one.1, all + one.1 + one.2));
        let alike = counted.iter().filter(|one| one.1 >= OWN_DOMAINS_MIN && one.2 == 0).map(|one| one.0).collect();
        (all > 0).then(|| Self { surprise, share: f64::from(got) / f64::from(all), alike })
    }
}

/// Most different hellos that others got for one offer.
fn rivals(mark: HelloMark, asked: &[Asked<'_>]) -> usize {
    let mut by_offer: BTreeMap<u64, BTreeSet<HelloMark>> = BTreeMap::new();
    for (key, question) in asked {
        let others = question.told().iter().map(|(hello, _)| *hello).filter(|hello| *hello != mark);
        by_offer.entry(key.offer).or_default().extend(others);
    }
    by_offer.values().map(BTreeSet::len).max().unwrap_or(0)
}

/// `hellos` are contested in all: each may agree by chance.
fn told_alike(
    scene: &Scene<'_>,
    population: PopulationIndex,
    mark: HelloMark,
    asked: &[Asked<'_>],
    hellos: usize,
) -> Option<Finding> {
    let rivals = rivals(mark, asked);
    // Told first: it costs a fraction of what who agrees with whom does.
    if rivals < RIVALS_MIN {
        return None;
    }
    let by_onset = onset::begun_at_once(scene, mark, asked, rivals);
    let by_onset = by_onset.and_then(|contest| told_since(scene, population, mark, asked, contest));
    let by_callers = told_by_callers(scene, population, mark, asked, [rivals, hellos]);
    by_onset.into_iter().chain(by_callers).max_by(|a, b| a.score.total_cmp(&b.score))
}

/// What everybody got since the moment.
fn told_since(
    scene: &Scene<'_>,
    population: PopulationIndex,
    mark: HelloMark,
    asked: &[Asked<'_>],
    contest: Contest,
) -> Option<Finding> {
    let told = |question: &Question| Some(question.told().iter().find(|(hello, _)| *hello == mark)?.1.clone());
    let all: Vec<(Asked<'_>, Told)> = asked.iter().filter_map(|one| Some((*one, told(one.1)?))).collect();
    let listeners = all.iter().flat_map(|(_, told)| told.subscribers.iter()).collect();
    finding(scene, population, mark, &gathered(&all, &listeners), contest)
}

fn finding(
    scene: &Scene<'_>,
    population: PopulationIndex,
    mark: HelloMark,
    server: &ServerSummary,
    contest: Contest,
) -> Option<Finding> {
    let severity = severity_of(contest.score, 0.02)?;
    let key = format!("server-hello:{:016x}", mark.choice);
    let finding = described(scene, population, server, &key, "One server hello", &contest.what);
    Some(Finding { severity, score: contest.score, p_value: 0.02, evidence: contest.evidence, ..finding })
}

/// What the same callers got wherever they called.
fn told_by_callers(
    scene: &Scene<'_>,
    population: PopulationIndex,
    mark: HelloMark,
    asked: &[Asked<'_>],
    [rivals, hellos]: [usize; 2],
) -> Option<Finding> {
    let mut agreement = Agreement::of(&sides(mark, asked))?;
    // Of so many the luckiest is looked at.
    agreement.surprise -= (hellos.max(1) as f64).ln();
    let told_to_alike = |question: &Question| {
        let (_, told) = question.told().iter().find(|(hello, _)| *hello == mark)?;
        let is_theirs = told.subscribers.iter().any(|one| agreement.alike.contains(&one));
        is_theirs.then(|| told.clone())
    };
    let theirs: Vec<(Asked<'_>, Told)> = asked.iter().filter_map(|one| Some((*one, told_to_alike(one.1)?))).collect();
    let domains: BTreeSet<TextId> = theirs.iter().filter_map(|((_, question), _)| question.domain).collect();
    let operators: BTreeSet<Operator> = theirs.iter().map(|((key, _), _)| Operator::of(scene, key.network)).collect();
    if domains.len() < DOMAINS_MIN || operators.len() < 2 {
        return None;
    }
    let contest = weighed(&agreement, rivals, domains.len(), operators.len());
    finding(scene, population, mark, &gathered(&theirs, &agreement.alike), contest)
}

/// Who runs a network, as far as that is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Operator {
    Asn(u32),
    Network(Address),
}

impl Operator {
    fn of(scene: &Scene<'_>, network: Address) -> Self {
        scene.places.of(network).asn.map_or_else(|| Self::Network(wide_network_of(network)), Self::Asn)
    }
}

fn weighed(agreement: &Agreement, rivals: usize, domains: usize, networks: usize) -> Contest {
    let [rivals_f, domains_f, networks_f] = [rivals, domains, networks].map(|n| n as f64);
    let many = if rivals > RIVALS_MIN { 1.0 } else { 0.8 };
    let (score, evidence) = weigh(vec![
        Reason::number("hello_surprise", agreement.surprise, "nats", ramp(agreement.surprise, 1.0, 7.0), 0.25),
        Reason::number("hello_agreement", agreement.share, "ratio", ramp(agreement.share, 0.6, 0.9), 0.2),
        Reason::number("rival_hellos", rivals_f, "hellos", many, 0.25),
        Reason::number("domains", domains_f, "domains", log_ramp(domains_f, 2.5, 8.0), 0.15),
        Reason::number("networks", networks_f, "networks", log_ramp(networks_f, 1.0, 3.0), 0.15),
    ]);
    let what = format!(
        "The certificates are sealed (TLS 1.3), so this is told from the servers' hellos: at {domains} domains in {networks} \
         networks these subscribers get one hello, while others who ask the same servers for the same names in the same way \
         get others, up to {rivals} different ones for one kind of client. Fleets whose servers differ do that too, but not \
         for the same callers at one owner after the other. ",
    );
    Contest { score, evidence, what }
}

/// What is known of the hello where it is contested, as of an identity.
fn gathered(theirs: &[(Asked<'_>, Told)], alike: &BTreeSet<Listener>) -> ServerSummary {
    let mut server = ServerSummary::default();
    for ((key, question), told) in theirs {
        server.rows = server.rows.saturating_add(told.rows);
        server.seen.merge(told.seen);
        question.places.iter().for_each(|place| server.addresses.add(place));
        server
            .networks
            .add(wide_network_of(key.network).0.iter().fold(0, |hash, byte| (hash ^ u64::from(*byte)).rank()));
        if let Some(domain) = question.domain {
            server.domains.add(domain.0);
            server.domain_sample.add(domain);
        }
    }
    for listener in alike {
        server.subscribers.add(listener.hash);
        server.subscriber_sample.add(listener.subscriber);
    }
    server
}

#[cfg(test)]
mod tests;
