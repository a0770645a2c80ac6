//! `tls-interception`: one server identity answers for many unrelated names across unrelated networks.
//! In: keys and issuers of certificates with the domains, networks and subjects behind each; client hellos. Out: a finding
//! for each identity that cannot belong to all whom it answers for, and for hellos that interception products are known to send.
//! What it weighs: a key that stands in certificates of several subjects (one certificate for many names is a CDN's, one key in
//! many certificates is a mint's); an issuer for names that other subscribers see under other issuers, of several of them
//! (an honest issuer's only rival is the interceptor); names that it shows a certificate for to clients that offer TLS 1.3,
//! where others who ask for the same name agree on TLS 1.3 (an honest server takes the best that both know); networks of
//! different operators, or one place to which names are led (`doors`); certificates made hours ago. Of TLS 1.3, which seals the
//! certificates: see `hellos`.
//! Not seen: an interceptor in everybody's path that makes a key for each leaf, or that speaks TLS 1.3; what an endpoint's own
//! product does unless its hello is known. Source of the hellos: Durumeric et al., "The Security Impact of HTTPS
//! Interception", 2017; mitmengine.
//! The trivial baseline that it must beat: domains an issuer.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use super::finding::{CollectorIdentity, Evidence, EvidenceValue, Finding, PopulationShare, Severity, Technique};
use super::scene::Scene;
use super::weigh::{Reason, log_ramp, ramp, severity_of, weigh};
use super::words;
use crate::population::PopulationIndex;
use crate::population::conflict::network_of;
use crate::population::servers::{ADDRESSES_KEPT, ServerKey, ServerMark, ServerSummary};
use crate::population::sketch::Merge;
use crate::population::texts::TextId;
use crate::units::Address;

mod authorities;
mod doors;
mod fleet;
mod hellos;
mod identities;
mod rivals;

use authorities::{are_mostly_public, is_owners, is_public};
use doors::{Door, Homes};
use fleet::{Fleet, Programs};
use identities::{Identity, active, identities, issuer_name};
use rivals::{Lowered, Rivalry, Rivals};

/// Fewer unrelated domains are one owner's.
const DOMAINS_MIN: f64 = 3.0;
/// Subjects of one key from which on /24 or /48 networks count, and not operators alone.
const SUBJECTS_MANY: f64 = 3.0;
/// Subscribers among whom an issuer can be seen by some and its rivals by others.
const SUBSCRIBERS_MIN: u64 = 8;
/// Domains whose issuers, names whose versions must be comparable.
const COMPARED_MIN: usize = 3;
/// Names lowered; names contested, or contested and lowered together, from which on they speak.
const LOWERED_MIN: f64 = 2.0;
/// Names lowered between which that alone speaks: of an authority's many customers two or three answer now so and now so.
const NAMES_LOWERED: (f64, f64) = (3.0, 6.0);
const CONTESTED_MIN: f64 = 3.0;
/// Domains and subjects, and networks, from which on an issuer that is no public authority has no business there.
const OF_NOBODY_MIN: f64 = 8.0;
const OF_NOBODY_NETWORKS_MIN: f64 = 4.0;
/// Names contested or lowered by what calls itself a public authority below which it may be one that renews some customers' certificates.
const RENEWED_MAX: f64 = 16.0;
/// What the one network of an issuer is worth that so many contradict.
const ONE_DOOR: f64 = 0.5;
/// Subjects, share of certificates made hours ago, and share and number of domains that others reach sealed, from which on one key of
/// one network is a mint's.
const DOOR_SUBJECTS_MIN: f64 = 6.0;
const DOOR_YOUNG_MIN: f64 = 0.3;
const DOOR_SEALED: (f64, f64) = (0.1, 3.0);

/// JA4 of hellos that interception products send in a browser's place, by product; none is a browser's. Programs built on the
/// same library with the same settings send the same, so this alone is no more than a hint.
const KNOWN_HELLOS: &[(&str, &str)] = &[
    ("t12d910700_383454ac02f4_4446390ac224", "Avast for macOS, 2016"),
    ("t10d230200_6a57a6f57151_e78b541c01a9", "Dr.Web for macOS, 2016"),
    ("t10d300200_7dad62de1b2b_96851be4b138", "Net Nanny for macOS, 2016"),
    ("t10d300300_7dad62de1b2b_0c100452564e", "Net Nanny 7 for Windows"),
    ("t10d300200_08e797855dd3_e78b541c01a9", "Bitdefender Antivirus Plus 2013"),
    ("t12d270600_dbd9a0e86b57_3eafcbe19126", "CYBERsitter 11"),
];

/// Networks from which on unrelated names under one key are no host's customers, whose certificates may be old.
const NETWORKS_OF_HOST: f64 = 4.0;
/// Subjects from which on that is so wherever they are: a network of IPv4 and one of IPv6 for each place are soon four.
const SUBJECTS_OF_HOST: f64 = 3.5;
/// Share of an issuer's names that must be contested where only two others contest them; and the most that is said of fewer.
const CONTESTED_BY_TWO_MIN: f64 = 0.75;
const OF_TWO_HOSTS: f64 = 0.55;
/// The most that is said where no address showed both an issuer and a rival.
const APART: f64 = 0.55;

/// See the file's header.
pub fn detect(scene: &Scene<'_>, findings: &mut Vec<Finding>) {
    let identities = identities(scene);
    let mut issuers: BTreeMap<PopulationIndex, Vec<&Identity<'_>>> = BTreeMap::new();
    let mut sealed: BTreeMap<PopulationIndex, &ServerSummary> = BTreeMap::new();
    for one in identities.iter().filter(|one| one.key.mark == ServerMark::Sealed) {
        sealed.insert(one.key.population, &one.server);
    }
    let programs = LazyCell::new(|| Programs::of(scene));
    for one in &identities {
        match one.key.mark {
            ServerMark::Key if one.is_shown => {
                let sealed = sealed.get(&one.key.population).copied();
                findings.extend(minted(scene, &one.key, &one.server, (sealed, &programs)));
            }
            ServerMark::Issuer => issuers.entry(one.key.population).or_default().push(one),
            ServerMark::Key | ServerMark::Hello | ServerMark::Sealed => {}
        }
    }
    for (population, issuers) in issuers {
        let sealed = sealed.get(&population).copied();
        let rivals = Rivals::of(scene, issuers, sealed);
        let shown = || (0..rivals.issuers.len()).filter(|at| rivals.issuers[*at].is_shown);
        let against: Vec<(usize, BTreeSet<u64>)> = shown().map(|at| (at, rivals.names_against(at, sealed))).collect();
        let homes = Homes::of(scene, population, &against.iter().flat_map(|(_, names)| names).copied().collect());
        for (at, names) in against {
            let door = Door::of(scene, (population, &homes), &rivals.issuers[at].server, &names);
            findings.extend(contested(scene, population, &rivals, (at, door), sealed));
        }
    }
    hellos::detect(scene, findings);
    known_hellos(scene, findings);
}

/// A key in certificates of several subjects, for unrelated domains in unrelated networks. Each of many subjects under a
/// name of its own is enough in several networks of one operator too: a host that shares one key among customers does so
/// on one server.
fn minted(
    scene: &Scene<'_>,
    key: &ServerKey,
    server: &ServerSummary,
    (sealed, programs): (Option<&ServerSummary>, &impl Deref<Target = Programs>),
) -> Option<Finding> {
    let domains = server.domains.estimate();
    let subjects = server.subjects.estimate();
    let near = near(server);
    let networks = match subjects >= SUBJECTS_MANY {
        true => server.networks.estimate().max(near.len() as f64),
        false => server.networks.estimate(),
    };
    let young = server.rows_young as f64 / server.rows.max(1) as f64;
    let is_door = networks < 2.0 && is_mint_at_a_door(server, subjects, young, sealed);
    if domains < DOMAINS_MIN || subjects < 2.0 || networks < 2.0 && !is_door {
        return None;
    }
    let fleet = Fleet::of(programs, key.population, server);
    if fleet == Some(Fleet::Sure) {
        return None;
    }
    // A CDN that makes its customers' certificates has its hundred domains in one place, and one stray address of a proxy
    // somewhere else; whoever sits in the path has them where their owners have them.
    let strewn = near.len() as f64 / domains.min(ADDRESSES_KEPT as f64);
    let baseline = baseline(scene, key.population, ServerMark::Key, |one| one.subjects.estimate());
    let (score, evidence) = weigh(vec![
        Reason::number("subjects_of_key", subjects, "subjects", log_ramp(subjects, 1.3, 4.0), 0.4).beside(baseline),
        Reason::number("domains", domains, "domains", log_ramp(domains, 2.0, 6.0), 0.3),
        Reason::number(
            "networks",
            networks,
            "networks",
            if is_door { ONE_DOOR } else { log_ramp(networks, 1.0, 3.0) },
            0.25,
        ),
        Reason::number(
            "networks_a_domain",
            strewn,
            "ratio",
            if is_door { ONE_DOOR } else { log_ramp(strewn, 0.04, 0.16) },
            0.2,
        ),
        Reason::number("young_certificates", young, "ratio", ramp(young, -0.5, 0.5), 0.05),
    ]);
    // A host has one key for its customers in the two or three networks that it has, and has made their certificates long ago.
    let is_few = networks < NETWORKS_OF_HOST || subjects < SUBJECTS_OF_HOST;
    let is_hosts = !is_door && is_few && young < DOOR_YOUNG_MIN;
    let is_low = is_hosts || fleet.is_some();
    let severity = severity_of(score, 0.01).map(|found| if is_low { found.min(Severity::Low) } else { found })?;
    let what = format!(
        "The same key stands in certificates of {} different subjects: whoever holds it makes certificates as they are needed. ",
        subjects.round()
    );
    let finding = described(scene, key.population, server, &format!("key:{:016x}", key.id), "One key", &what);
    Some(Finding { severity, score, p_value: 0.01, evidence, ..finding })
}

/// Whether one place makes certificates for domains that others reach elsewhere, sealed: a proxy to which names are led, or that is
/// set on the devices. A host with one key for its customers has made their certificates long ago, and is where they are.
fn is_mint_at_a_door(server: &ServerSummary, subjects: f64, young: f64, sealed: Option<&ServerSummary>) -> bool {
    let elsewhere = sealed.and_then(|sealed| server.domains.contained_in(&sealed.domains));
    let is_elsewhere = elsewhere
        .is_some_and(|known| known.share >= DOOR_SEALED.0 && known.share * known.compared as f64 >= DOOR_SEALED.1);
    subjects >= DOOR_SUBJECTS_MIN && young >= DOOR_YOUNG_MIN && is_elsewhere
}

/// The /24 or /48 networks that it was seen in.
fn near(server: &ServerSummary) -> BTreeSet<Address> {
    server.addresses.iter().map(network_of).collect()
}

/// What speaks for a contest: weighed, and in words.
struct Contest {
    score: f64,
    evidence: Vec<Evidence>,
    what: String,
}

/// An issuer whose domains others see under other issuers, or whose names others reach sealed.
fn contested(
    scene: &Scene<'_>,
    population: PopulationIndex,
    rivals: &Rivals<'_, '_>,
    (at, door): (usize, Option<Door>),
    sealed: Option<&ServerSummary>,
) -> Option<Finding> {
    let (id, server) = (rivals.issuers[at].key.id, &*rivals.issuers[at].server);
    let rivalry = rivals.against(at);
    let domains = server.domains.estimate();
    let networks = match rivalry.is_some_and(Rivalry::is_broad) {
        true => server.networks.estimate().max(near(server).len() as f64),
        false => server.networks.estimate(),
    };
    let lowered = rivals.lowered(at, sealed);
    if door.as_ref().is_some_and(Door::is_of_many) {
        return None;
    }
    let is_at_one = door.is_some() || networks < 2.0;
    let is_door = is_at_one
        && (rivalry.is_some_and(|rivalry| rivalry.is_of_one_door(lowered))
            || door.as_ref().is_some_and(Door::is_led_to));
    // What one device sees under two issuers is a site with two certificates: others must see the other one.
    if domains < DOMAINS_MIN || is_at_one && !is_door || active(scene, population) < SUBSCRIBERS_MIN {
        return None;
    }
    let baseline = baseline(scene, population, ServerMark::Issuer, |one| one.domains.estimate());
    let young = server.rows_young as f64 / server.rows.max(1) as f64;
    let reach = || {
        vec![
            Reason::number("domains", domains, "domains", log_ramp(domains, 2.0, 6.0), 0.15).beside(baseline),
            Reason::number(
                "networks",
                networks,
                "networks",
                if is_door { ONE_DOOR } else { log_ramp(networks, 1.0, 3.0) },
                0.15,
            ),
            Reason::number("young_certificates", young, "ratio", ramp(young, -0.5, 0.5), 0.05),
        ]
    };
    let by_rivals = [
        rivalry.and_then(|rivalry| by_rivals(rivalry, reach())),
        rivalry.zip(lowered).and_then(|(rivalry, lowered)| by_both(rivalry, lowered, reach())),
    ];
    let mut by_rivals = by_rivals.into_iter().flatten().max_by(|a, b| a.score.total_cmp(&b.score));
    // Somebody in the path answers where the others are answered; a site that two hosts serve has each one's issuer at each one's.
    if !is_door && by_rivals.as_ref().is_some_and(|best| best.score > APART) && !rivals.meets(scene, population, at) {
        by_rivals = by_rivals.map(|best| Contest { score: APART, ..best });
    }
    let by_version = lowered.and_then(|lowered| by_version(lowered, reach()));
    let issuer = issuer_name(scene, id);
    let is_nobody = |name: &str| !is_public(name) && !is_owners(scene, name, server);
    let is_stranger = issuer.is_some_and(is_nobody) && are_mostly_public(scene, &rivals.issuers, at);
    let by_nobody = if is_stranger { by_nobody(domains, networks, server.subjects.estimate()) } else { None };
    let all = by_rivals.into_iter().chain(by_version).chain(by_nobody);
    let best = all.max_by(|a, b| a.score.total_cmp(&b.score))?;
    let severity = severity_of(best.score, 0.02)?;
    // An authority renews its customers' certificates in many places, some of them on other machines.
    let names = lowered.map_or(0.0, Lowered::names).max(rivalry.map_or(0.0, |rivalry| rivalry.names()));
    let is_renewal = issuer.is_some_and(is_public) && names < RENEWED_MAX;
    let severity = if is_renewal { severity.min(Severity::Low) } else { severity };
    let issuer = issuer.unwrap_or("an issuer whose name did not fit");
    let what = format!("The issuer calls itself {issuer}. {}", best.what);
    let finding = described(scene, population, server, &format!("issuer:{id:016x}"), "One issuer", &what);
    let addresses = door.map_or_else(|| finding.collector.addresses.clone(), |door| door.addresses);
    let collector = CollectorIdentity { addresses, ..finding.collector.clone() };
    Some(Finding { severity, score: best.score, p_value: 0.02, evidence: best.evidence, collector, ..finding })
}

/// What so many kinds of rivals are worth: one is what an honest issuer has, whose domains the interceptor answers for.
fn worth_of_rivals(rivals: u32) -> f64 {
    match rivals {
        0 | 1 => 0.05,
        2 => 0.7,
        _ => 1.0,
    }
}

/// Whether a part of an issuer's names may be served by two hosts as well, each of which has its certificates from one issuer: names
/// that are everybody's own have theirs from many.
fn is_of_two_hosts(rivals: u32, contested_share: f64) -> bool {
    rivals <= 2 && contested_share < CONTESTED_BY_TWO_MIN
}

fn by_rivals(rivalry: Rivalry, reach: Vec<Reason>) -> Option<Contest> {
    let Rivalry { contest, rivals } = rivalry;
    // Fewer names are a site with two certificates, or one that two hosts serve.
    if rivalry.names() < CONTESTED_MIN {
        return None;
    }
    let reasons = vec![
        Reason::number("contested_share", contest.share, "ratio", ramp(contest.share, 0.12, 0.4), 0.35),
        Reason::number("rival_issuers", f64::from(rivals), "issuers", worth_of_rivals(rivals), 0.3),
    ];
    let (score, evidence) = weigh(reasons.into_iter().chain(reach).collect());
    let score = if is_of_two_hosts(rivals, contest.share) { score.min(OF_TWO_HOSTS) } else { score };
    let what = format!(
        "Of the names that it answers for, {:.0} % are seen under other issuers too, of {rivals} different ones: their own. ",
        100.0 * contest.share,
    );
    Some(Contest { score, evidence, what })
}

/// A fleet whose servers are not all renewed lowers a name or two, an issuer's names together do not.
fn by_version(lowered: Lowered, reach: Vec<Reason>) -> Option<Contest> {
    let Lowered(found) = lowered;
    if found.compared < COMPARED_MIN {
        return None;
    }
    let names = lowered.names();
    let reasons = vec![
        Reason::number("lowered_share", found.share, "ratio", ramp(found.share, 0.05, 0.25), 0.35),
        Reason::number("names_lowered", names, "names", log_ramp(names, NAMES_LOWERED.0, NAMES_LOWERED.1), 0.3),
    ];
    let (score, evidence) = weigh(reasons.into_iter().chain(reach).collect());
    let what = format!(
        "For {names} of {} names that can be compared, clients that offer TLS 1.3 get an older version and this issuer's \
         certificate, while others who ask for the same name get TLS 1.3: an honest server takes the best that both know. ",
        found.compared,
    );
    Some(Contest { score, evidence, what })
}

/// An issuer that is no public authority, between such, for the names of many owners.
fn by_nobody(domains: f64, networks: f64, subjects: f64) -> Option<Contest> {
    if domains < OF_NOBODY_MIN || networks < OF_NOBODY_NETWORKS_MIN || subjects < OF_NOBODY_MIN {
        return None;
    }
    let reasons = vec![
        Reason::number("domains", domains, "domains", log_ramp(domains, 4.0, 12.0), 0.4),
        Reason::number("networks", networks, "networks", log_ramp(networks, 2.0, 8.0), 0.4),
        Reason::number("subjects_of_issuer", subjects, "subjects", log_ramp(subjects, 4.0, 12.0), 0.2),
    ];
    let (score, evidence) = weigh(reasons);
    let what = "It is no authority that devices trust by themselves, and nearly all else in this traffic is certified by such: \
                so many owners do not all buy from one that nobody knows. "
        .to_owned();
    Some(Contest { score, evidence, what })
}

/// Few names of each kind, and together most of what it answers for: honest issuers have a site with two certificates, or a
/// fleet half renewed, and not all their sites are one or the other.
fn by_both(rivalry: Rivalry, lowered: Lowered, reach: Vec<Reason>) -> Option<Contest> {
    let (contested, names) = (rivalry.names(), lowered.names());
    if contested < 1.0 || names < LOWERED_MIN || contested + names < CONTESTED_MIN {
        return None;
    }
    // Mostly the same names can be compared in both ways.
    let share = (contested + names) / rivalry.contest.compared.max(lowered.0.compared) as f64;
    // What seals its certificates is a rival like another.
    let rivals = rivalry.rivals + 1;
    let reasons = vec![
        Reason::number("contested_share", share, "ratio", ramp(share, 0.4, 0.75), 0.35),
        Reason::number("rival_issuers", f64::from(rivals), "issuers", worth_of_rivals(rivals), 0.3),
    ];
    let (score, evidence) = weigh(reasons.into_iter().chain(reach).collect());
    let what = format!(
        "Of the names that it answers for, {contested} are seen under other issuers too, and for {names} clients that offer \
         TLS 1.3 get an older version and its certificate, while others get TLS 1.3. ",
    );
    Some(Contest { score, evidence, what })
}

/// Median and 99th percentile of what other identities of the kind reach.
fn baseline(
    scene: &Scene<'_>,
    population: PopulationIndex,
    mark: ServerMark,
    of: fn(&ServerSummary) -> f64,
) -> Option<(f64, f64)> {
    let all = scene.summary.servers.sorted().into_iter();
    let mut values: Vec<f64> =
        all.filter(|(key, _)| key.population == population && key.mark == mark).map(|(_, server)| of(server)).collect();
    values.sort_by(f64::total_cmp);
    let at = |q: f64| values[((values.len() - 1) as f64 * q).round() as usize];
    (values.len() >= 3).then(|| (at(0.5), at(0.99)))
}

fn described(
    scene: &Scene<'_>,
    population: PopulationIndex,
    server: &ServerSummary,
    key: &str,
    who: &str,
    what: &str,
) -> Finding {
    let names: Vec<String> =
        server.domain_sample.iter().filter_map(|id| scene.summary.texts.of(id)).map(str::to_owned).collect();
    let addresses: Vec<Address> = server.addresses.iter().collect();
    let subscribers = server.subscribers.count();
    let shown = names.iter().take(4).cloned().collect::<Vec<_>>().join(", ");
    let domains = server.domains.estimate().round() as u64;
    let networks = server.networks.estimate().round() as u64;
    let where_they_are = match networks {
        1 => "one network".to_owned(),
        _ => format!("{networks} unrelated networks"),
    };
    let place = addresses.first().map(|address| scene.places.of(*address)).unwrap_or_default();
    let collector = CollectorIdentity {
        collector_key: key.to_owned(),
        addresses,
        ports: vec![443],
        asn: place.asn.filter(|_| networks == 1),
        country: place.country.filter(|_| networks == 1),
        names,
        ..CollectorIdentity::default()
    };
    let share = scene.share(population, subscribers, server.subscriber_sample.iter().take(5).collect());
    Finding {
        proto: "TCP",
        app_proto: Some("tls"),
        flows: server.rows,
        headline: format!(
            "{who} answers for {domains} unrelated domains in {} towards {}",
            words::counted(networks, "network"),
            words::counted(subscribers, "subscriber"),
        ),
        explanation: format!(
            "{} of {} reached what calls itself {shown} and more, {domains} domains in {where_they_are}, and \
             found one and the same behind all of them. {what}Somebody in the path opens these connections and reads them. \
             Look at the certificate on a victim's device, find whose root it chains to and who put it there (an employer's \
             proxy, a security product, malware), and at which hop it begins.",
            words::counted(server.rows, "connection"),
            words::counted(subscribers, "subscriber"),
        ),
        ..Finding::blank(Technique::TlsInterception, collector, share, server.seen)
    }
}

/// Subscribers whose hellos are those of an interception product.
fn known_hellos(scene: &Scene<'_>, findings: &mut Vec<Finding>) {
    for (ja4, product) in KNOWN_HELLOS {
        let id = TextId::of(ja4);
        let mut met: BTreeMap<PopulationIndex, (Vec<Address>, Vec<Address>, u64)> = BTreeMap::new();
        let mut seen = crate::population::span::Seen::default();
        for (key, one) in scene.collectors() {
            let Some((_, rows)) = one.ja4.iter().find(|(known, _)| *known == id) else { continue };
            let (addresses, sample, all) = met.entry(key.population).or_default();
            addresses.push(key.address);
            sample.extend(scene.pairs_of(key.population, key.address).iter().map(|(pair, _)| pair.subscriber));
            *all += rows;
            seen.merge(one.seen);
        }
        for (population, (addresses, mut sample, rows)) in met {
            sample.sort_unstable();
            sample.dedup();
            let server = ServerSummary { rows, seen, ..ServerSummary::default() };
            let what = String::new();
            let finding = described(scene, population, &server, &format!("hello:{ja4}"), "One hello", &what);
            let subscribers = sample.len() as u64;
            let names = scene.names_of(&addresses);
            sample.truncate(5);
            findings.push(Finding {
                severity: Severity::Low,
                score: 0.45,
                p_value: 0.1,
                evidence: vec![
                    words::evidence("ja4", EvidenceValue::Text((*ja4).to_owned()), "", 0.8),
                    number("hellos", rows as f64, "rows", 0.2),
                ],
                collector: CollectorIdentity { addresses, names, ..finding.collector.clone() },
                population: PopulationShare {
                    subscribers,
                    coverage: scene.coverage(population, subscribers),
                    sample,
                    ..finding.population.clone()
                },
                headline: format!("A TLS hello that is no browser's, as {product} sends it in a browser's place"),
                explanation: format!(
                    "{} began TLS connections with a hello (JA4 {ja4}) that {product} is known to send when it opens a \
                     browser's connections and reads them. Another program built on the same library sends the same, so this \
                     is a hint. See on the device whether such a product is there, whether its owner knows, and that it \
                     still checks certificates.",
                    words::counted(subscribers, "subscriber"),
                ),
                ..finding
            });
        }
    }
}

fn number(feature: &'static str, value: f64, unit: &'static str, weight: f64) -> Evidence {
    words::evidence(feature, EvidenceValue::Number(value), unit, weight)
}

#[cfg(test)]
mod tests;
