//! Verdicts: what the register says of a finding.
//! In: a finding with its collector's addresses, names and system. Out: its verdict, and severity `info` where an entry
//! allows it.
//!
//! All or nothing: an entry covers a collector when it holds *every* address, or every name, or the system of the finding.
//! One that merely touches it is named in the verdict, and excuses nothing; but an interceptor is the one who holds the key or signs
//! the certificates, and the addresses are those of the servers as which it poses: an entry for `tls-interception` that holds most of
//! these means it, and the rest is told at `low`. Of several entries the one that comes nearest
//! to an authorisation is taken, and among equals the first in the file.

use super::size;
use super::{Entry, Policy};
use crate::detect::finding::{CollectorIdentity, Finding, PopulationShare, Severity, Technique, Verdict};
use crate::detect::register::Register;
use crate::population::span::Seen;
use crate::units::TimestampNs;

/// What one entry says.
#[derive(Clone, Debug)]
enum Opinion {
    Authorises,
    /// The interceptor that an entry means poses as more servers than it names.
    MostOfInterceptor {
        covered: usize,
        of: usize,
    },
    OverLimit {
        measured: u64,
        limit: u64,
    },
    Expired {
        on: TimestampNs,
    },
    /// Collects by injection, which only an entry that names it excuses.
    UnnamedInjection,
    OtherTechnique,
    OtherPopulation,
    PartOfCollector {
        covered: usize,
        of: usize,
        what: &'static str,
    },
    Nothing,
}

impl Policy {
    /// Fills in the finding's verdict. Judging again changes nothing.
    pub fn judge(&self, finding: &mut Finding) {
        let mut is_meant = false;
        let opinions = self.entries.iter().enumerate().map(|(place, entry)| (opinion(entry, finding), place));
        let nearest = opinions.min_by_key(|(opinion, place)| (rank(opinion), *place));
        finding.verdict = match nearest {
            None | Some((Opinion::Nothing, _)) => Verdict::Unregistered,
            Some((opinion, place)) => {
                let entry = &self.entries[place];
                let (name, reference) = (entry.name.clone(), entry.reference.clone());
                is_meant = matches!(opinion, Opinion::MostOfInterceptor { .. });
                match reason(&opinion, entry, finding) {
                    None => Verdict::Authorised { name, reference },
                    Some(reason) => Verdict::Refused { name, reference, reason },
                }
            }
        };
        if matches!(finding.verdict, Verdict::Authorised { .. }) {
            finding.severity = Severity::Info;
        }
        if is_meant {
            finding.severity = finding.severity.min(Severity::Low);
        }
    }
}

impl Register for Policy {
    fn allows(&self, technique: Technique, party: &CollectorIdentity, population: &str, at: TimestampNs) -> bool {
        let whose = PopulationShare { name: population.to_owned(), ..PopulationShare::default() };
        let probe = Finding::blank(technique, party.clone(), whose, Seen { first: at, last: at });
        self.entries.iter().any(|entry| matches!(opinion(entry, &probe), Opinion::Authorises))
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn opinion(entry: &Entry, finding: &Finding) -> Opinion {
    let mut most = None;
    match coverage(entry, &finding.collector) {
        Coverage::Whole => {}
        Coverage::Part { covered, of, what: ADDRESSES } if 2 * covered > of && names_interception(entry, finding) => {
            most = Some((covered, of));
        }
        Coverage::Part { covered, of, what } => return Opinion::PartOfCollector { covered, of, what },
        Coverage::None => return Opinion::Nothing,
    }
    if entry.populations.as_ref().is_some_and(|names| !names.contains(&finding.population.name)) {
        return Opinion::OtherPopulation;
    }
    match &entry.techniques {
        // Whom the register knows is no stranger of whom nothing explains what he does.
        Some(_) if finding.technique == Technique::UnattributedCluster => {}
        Some(techniques) if !techniques.contains(&finding.technique) => return Opinion::OtherTechnique,
        None if finding.technique == Technique::PacketInjection => return Opinion::UnnamedInjection,
        _ => {}
    }
    // By its end: what went on after the last day was not authorised.
    if let Some(on) = entry.expires.filter(|on| finding.end >= *on) {
        return Opinion::Expired { on };
    }
    let measured = subscriber_day_bytes(finding);
    match entry.subscriber_day_bytes_max {
        Some(limit) if measured > limit => Opinion::OverLimit { measured, limit },
        _ => most.map_or(Opinion::Authorises, |(covered, of)| Opinion::MostOfInterceptor { covered, of }),
    }
}

/// Whether a finding is of an interception, and an entry is for those by name.
fn names_interception(entry: &Entry, finding: &Finding) -> bool {
    let is_named = |techniques: &[Technique]| techniques.contains(&Technique::TlsInterception);
    finding.technique == Technique::TlsInterception && entry.techniques.as_deref().is_some_and(is_named)
}

/// The nearer to an authorisation, the smaller.
fn rank(opinion: &Opinion) -> u8 {
    match opinion {
        Opinion::Authorises => 0,
        Opinion::MostOfInterceptor { .. } => 1,
        Opinion::OverLimit { .. } => 2,
        Opinion::Expired { .. } => 3,
        Opinion::UnnamedInjection => 4,
        Opinion::OtherTechnique => 5,
        Opinion::OtherPopulation => 6,
        Opinion::PartOfCollector { .. } => 7,
        Opinion::Nothing => 8,
    }
}

/// Why not, in words; none for an authorisation.
fn reason(opinion: &Opinion, entry: &Entry, finding: &Finding) -> Option<String> {
    Some(match opinion {
        Opinion::Authorises => return None,
        Opinion::MostOfInterceptor { covered, of } => {
            format!("it names {covered} of the {of} servers as which this interceptor poses; name the others as well")
        }
        Opinion::OverLimit { measured, limit } => {
            format!("{} a subscriber and day, limit {}", size::show(*measured), size::show(*limit))
        }
        Opinion::Expired { on } => format!("expired on {}", day(*on)),
        Opinion::UnnamedInjection => {
            format!("{} is excused only by an entry that names the technique", finding.technique.id())
        }
        Opinion::OtherTechnique => {
            let named: Vec<&str> = entry.techniques.iter().flatten().map(|technique| technique.id()).collect();
            format!("it is for the technique {}, not for {}", named.join(", "), finding.technique.id())
        }
        Opinion::OtherPopulation => {
            let named = entry.populations.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(", ");
            format!("it is for the population {named}, not for {}", finding.population.name)
        }
        Opinion::PartOfCollector { covered, of, what } => format!("it covers {covered} of the collector's {of} {what}"),
        Opinion::Nothing => "it covers nothing of the collector".to_owned(),
    })
}

/// What a coverage counts.
const ADDRESSES: &str = "addresses";

enum Coverage {
    Whole,
    Part { covered: usize, of: usize, what: &'static str },
    None,
}

fn coverage(entry: &Entry, collector: &CollectorIdentity) -> Coverage {
    let patterns = &entry.collectors;
    if collector.asn.is_some_and(|asn| patterns.iter().any(|pattern| pattern.holds_asn(asn))) {
        return Coverage::Whole;
    }
    let addresses = collector.addresses.iter().filter(|address| patterns.iter().any(|p| p.holds_address(**address)));
    let names = collector.names.iter().filter(|name| patterns.iter().any(|p| p.holds_name(name)));
    let counts =
        [(addresses.count(), collector.addresses.len(), ADDRESSES), (names.count(), collector.names.len(), "names")];
    if counts.iter().any(|(covered, of, _)| *of > 0 && covered == of) {
        return Coverage::Whole;
    }
    match counts.into_iter().find(|(covered, ..)| *covered > 0) {
        Some((covered, of, what)) => Coverage::Part { covered, of, what },
        None => Coverage::None,
    }
}

/// Bytes from each subscriber of the finding on each of its days, on average; rounded up, so that a limit is never passed
/// unseen.
fn subscriber_day_bytes(finding: &Finding) -> u64 {
    let days = if finding.days > 1.0 { finding.days } else { 1.0 };
    let subscribers = finding.population.subscribers.max(1);
    (finding.bytes_up as f64 / subscribers as f64 / days).ceil() as u64
}

fn day(ts: TimestampNs) -> String {
    let instant = jiff::Timestamp::from_nanosecond(i128::from(ts.0)).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    instant.strftime("%Y-%m-%d").to_string()
}
