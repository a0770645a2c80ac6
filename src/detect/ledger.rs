//! Ledger: findings of many windows and horizons folded into one record each.
//! In: what the detectors say of a window, of the hour so far, of the day so far. Out: one finding per technique,
//! collector and population, worst first, the same for the same input.
//! An early look speaks of little, and of many early looks at many parties one is loud by chance. So each claim at `medium` or
//! above is kept with the stretch and the packets that it rests on, and a later look that measures the same party takes it back
//! where it saw clearly more of it and is not convinced. A party of which no more came keeps its claim: an operation that is
//! over is not made undone by the quiet after it.
//! Bounds: [`FINDINGS_MAX`] records of [`CLAIMS_MAX`] claims; what does not fit is counted, the mildest are left out first.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::dns_hijack::contradicted;
use super::finding::{EvidenceValue, Finding, Severity, Technique};
use super::looks::{Doubt, DoubtGround, Look};
use super::{united, words};
use crate::population::Span;
use crate::units::{Address, TimestampNs};

/// Most findings kept: more than anyone reads, few enough to never matter for memory.
pub const FINDINGS_MAX: usize = 10_000;

/// Claims of one finding that are kept, the strongest.
pub const CLAIMS_MAX: usize = 8;

/// How many times the packets of a claim a longer look must have seen before it knows better. With less it is the same evidence,
/// thinned by time in which nothing happened.
const SAW_MORE: f64 = 1.5;

/// Share of a claim's packets from which on another hour is one in which it could have been said again.
const COMPARABLE: f64 = 0.5;

/// Hours in which a claim could have been said again and was not, before it was chance.
const UNREPEATED_MAX: u32 = 3;

/// How many times the subscribers of its largest part a wide finding must have to be the better explanation.
const WIDER: f64 = 1.5;

/// Share of the data that goes up below which whoever sends it is told something each time: a record is acknowledged with a few
/// bytes, or with a page's head, and a program that asks for orders is given a third as much as it says or more, if only that there
/// are none.
const TOLD_UPLOAD_SHARE: f64 = 0.7;
/// Bytes from which on what is sent is more than a record.
const RECORD_MAX: f64 = 8_192.0;

/// Addresses of a fan-in from which on it is a fleet, and how many times the subscribers of a few devices must feed it for these to be
/// some of them.
const FLEET_MIN: usize = 8;
const FLEET_WIDER: u64 = 4;

/// Share of a finding's addresses that another must hold to speak of the same party.
const SAME_SHARE: f64 = 0.7;

/// Evidence that only a resolver that was turned to has; and domains that it must be proved to lead elsewhere.
const TURNED: &str = "subscribers_turned";
const LED_MIN: f64 = 2.0;

/// Addresses up to which who opens connections stands where names are led, rather than in everybody's path.
const DOORS_MAX: usize = 8;

/// What makes two reports the same finding: technique, collector, population.
type Identity = (Technique, String, String);

/// The findings so far.
#[derive(Debug, Default)]
pub struct Ledger {
    open: BTreeMap<Identity, Record>,
    first_seen: FirstSeen,
    left_out: u64,
}

/// When each finding was first at `medium` or above: the end of the horizon that showed it, in capture time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirstSeen(BTreeMap<Identity, TimestampNs>);

impl FirstSeen {
    /// When a finding first reached `medium`; none where it never did.
    pub fn of(&self, finding: &Finding) -> Option<TimestampNs> {
        self.0.get(&identity(finding)).copied()
    }

    /// Notes that a finding was seen; the earliest time stays.
    fn note(&mut self, identity: Identity, at: TimestampNs) {
        let known = self.0.entry(identity).or_insert(at);
        *known = at.min(*known);
    }
}

fn identity(finding: &Finding) -> Identity {
    (finding.technique, finding.collector.collector_key.clone(), finding.population.name.clone())
}

/// What is known of one finding.
#[derive(Clone, Debug)]
struct Record {
    /// The strongest that was said.
    finding: Finding,
    /// What was said at `medium` or above and holds.
    claims: Vec<Claim>,
    /// The doubt that took the last claim back.
    taken_back: Option<Doubt>,
}

/// One look that said `medium` or above.
#[derive(Clone, Copy, Debug)]
struct Claim {
    span: Span,
    /// First packet of what was claimed.
    start: TimestampNs,
    packets: u64,
    severity: Severity,
    score: f64,
    p_value: f64,
    /// Whole hours since in which as much was seen, that said it again, and that did not.
    repeated: u32,
    unrepeated: u32,
    /// Whether it is of the rate of many uploads together: who asks whether each is a part of what had moved knows nothing of that.
    is_of_rates: bool,
}

impl Ledger {
    /// Takes in what was found in one look.
    pub fn absorb(&mut self, found: Vec<Finding>, look: &Look) {
        for doubt in &look.doubts {
            let identity = (doubt.technique, doubt.collector_key.clone(), doubt.population.clone());
            let Some(record) = self.open.get_mut(&identity) else { continue };
            if record.doubt(doubt, look) {
                self.first_seen.0.remove(&identity);
            }
        }
        for finding in found {
            let identity = identity(&finding);
            let is_full = self.open.len() >= FINDINGS_MAX;
            if finding.severity >= Severity::Medium && (!is_full || self.open.contains_key(&identity)) {
                self.first_seen.note(identity.clone(), look.span.end);
            }
            match self.open.entry(identity) {
                Entry::Occupied(mut known) => known.get_mut().add(finding, look),
                Entry::Vacant(_) if is_full => self.left_out += 1,
                Entry::Vacant(free) => {
                    free.insert(Record::of(finding, look));
                }
            }
        }
    }

    /// Technique and collector of what is claimed: a look at one of these is worth noting whatever it says.
    pub fn claimed(&self) -> BTreeSet<(Technique, String)> {
        let loud = self.open.iter().filter(|(_, record)| !record.claims.is_empty());
        loud.map(|((technique, key, _), _)| (*technique, key.clone())).collect()
    }

    /// Findings that did not fit.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// All findings, worst first. Where one collector was judged at several levels (an address and its prefix, say) the
    /// one that explains most stays, and counts as seen when the first of them was; where two techniques say the same of
    /// one collector, the one that says more of it stays.
    pub fn close(self) -> (Vec<Finding>, FirstSeen) {
        told(self.open.values().map(Record::told).collect(), self.first_seen)
    }

    /// The same while the ledger stays open.
    pub fn told(&self) -> Vec<Finding> {
        told(self.every().collect(), self.first_seen.clone()).0
    }

    /// All records as they stand.
    pub fn every(&self) -> impl Iterator<Item = Finding> {
        self.open.values().map(Record::told)
    }

    /// Forgets what ended before `ts`.
    pub fn retire(&mut self, ts: TimestampNs) {
        self.open.retain(|_, record| record.finding.end >= ts);
        let open = &self.open;
        self.first_seen.0.retain(|identity, _| open.contains_key(identity));
    }
}

impl Record {
    fn of(finding: Finding, look: &Look) -> Self {
        let claims = Claim::of(&finding, look).into_iter().collect();
        Self { finding, claims, taken_back: None }
    }

    fn add(&mut self, finding: Finding, look: &Look) {
        if let Some(claim) = Claim::of(&finding, look) {
            if look.is_whole_hour {
                let earlier = self.claims.iter_mut().filter(|known| known.span.end <= look.span.start);
                earlier.for_each(|known| known.repeated += 1);
            }
            self.claims.push(claim);
            self.claims.sort_by(|a, b| b.severity.cmp(&a.severity).then(b.score.total_cmp(&a.score)));
            self.claims.truncate(CLAIMS_MAX);
        }
        fold(&mut self.finding, finding);
    }

    /// Holds the claims against a look that was not convinced; whether the last of them fell.
    fn doubt(&mut self, doubt: &Doubt, look: &Look) -> bool {
        let before = self.claims.len();
        self.claims.retain_mut(|claim| !claim.is_outdone(doubt, look));
        let fell = before > 0 && self.claims.is_empty();
        if fell {
            self.taken_back = Some(doubt.clone());
        }
        fell
    }

    /// The finding as it stands: as loud as the loudest claim that holds, and said why where none does.
    fn told(&self) -> Finding {
        let mut finding = self.finding.clone();
        if let Some(claim) = self.claims.first() {
            (finding.severity, finding.score, finding.p_value) = (claim.severity, claim.score, claim.p_value);
            return finding;
        }
        if let Some(doubt) = self.taken_back.as_ref().filter(|_| finding.severity >= Severity::Medium) {
            finding.severity = Severity::Low;
            finding.score = doubt.score.min(finding.score);
            finding.p_value = 1.0;
            finding.explanation += &format!(
                " This was {} when {} packets had been seen, and is taken back: over {} and {} packets it does not hold.",
                self.finding.severity.name(),
                self.finding.packets,
                words::seconds(doubt.length.as_secs_f64()),
                doubt.packets,
            );
        }
        finding
    }
}

impl Claim {
    fn of(finding: &Finding, look: &Look) -> Option<Self> {
        let Finding { severity, score, p_value, packets, start, .. } = *finding;
        let is_of_rates = finding.technique == Technique::ShadowUpload && tells(finding, "rate_correlation");
        let claim =
            Self { span: look.span, start, packets, severity, score, p_value, repeated: 0, unrepeated: 0, is_of_rates };
        (severity >= Severity::Medium).then_some(claim)
    }

    /// Whether the look knows better: it holds the claim's stretch and saw clearly more, or others who do the same, or is one of
    /// several whole hours in which as much was seen and the same could not be said.
    fn is_outdone(&mut self, doubt: &Doubt, look: &Look) -> bool {
        if self.is_of_rates || doubt.since.is_some_and(|since| since >= self.start) {
            return false;
        }
        let (known, seen) = (self.packets as f64, doubt.packets as f64);
        let holds = look.span.start <= self.span.start && self.span.end <= look.span.end && look.span != self.span;
        if holds {
            let more = match doubt.ground {
                DoubtGround::MoreOfTheSame => SAW_MORE,
                DoubtGround::Others => 1.0,
            };
            return seen >= more * known;
        }
        let is_later = self.span.end <= look.span.start;
        self.unrepeated += u32::from(look.is_whole_hour && is_later && seen >= COMPARABLE * known);
        self.unrepeated >= UNREPEATED_MAX && self.unrepeated > 2 * self.repeated
    }
}

fn told(mut findings: Vec<Finding>, mut first_seen: FirstSeen) -> (Vec<Finding>, FirstSeen) {
    let is_outdone = |finding| findings.iter().any(|by| outdoes(by, finding) || united::is_told_apart(finding, by));
    let outdone: Vec<bool> = findings.iter().map(is_outdone).collect();
    let mut outdone = outdone.into_iter();
    findings.retain(|_| !outdone.next().unwrap_or_default());
    promote(&mut findings);
    findings.sort_by(worst_first);
    let mut kept: Vec<Finding> = Vec::with_capacity(findings.len());
    for finding in findings {
        match kept.iter().find(|other| explains(other, &finding)) {
            Some(other) => {
                if let Some(at) = first_seen.of(&finding) {
                    first_seen.note(identity(other), at);
                }
            }
            None => kept.push(finding),
        }
    }
    (kept, first_seen)
}

/// Order of a report: severity, then score, then breadth, then names, so that it never depends on chance.
pub(super) fn worst_first(a: &Finding, b: &Finding) -> std::cmp::Ordering {
    (b.severity.cmp(&a.severity))
        .then(b.score.total_cmp(&a.score))
        .then(b.population.subscribers.cmp(&a.population.subscribers))
        .then(a.technique.cmp(&b.technique))
        .then_with(|| a.collector.collector_key.cmp(&b.collector.collector_key))
        .then_with(|| a.population.name.cmp(&b.population.name))
}

/// A wide finding takes over the severity of the narrower ones that it holds where it explains more than any of them: two or
/// more of them, or half as many subscribers again as the largest.
fn promote(findings: &mut [Finding]) {
    let taken: Vec<Option<(Severity, f64, f64)>> = findings
        .iter()
        .map(|wide| {
            let is_part = |part: &&Finding| {
                part.collector.addresses.len() < wide.collector.addresses.len() && explains(wide, part)
            };
            let parts: Vec<&Finding> = findings.iter().filter(is_part).collect();
            let largest = parts.iter().map(|part| part.population.subscribers).max()?;
            let is_more = parts.len() > 1 || wide.population.subscribers as f64 >= WIDER * largest as f64;
            let worst = parts.into_iter().min_by(|a, b| worst_first(a, b)).filter(|_| is_more)?;
            let is_worse = (worst.severity, worst.score) > (wide.severity, wide.score);
            is_worse.then_some((worst.severity, worst.score, worst.p_value))
        })
        .collect();
    for (finding, taken) in findings.iter_mut().zip(taken) {
        if let Some((severity, score, p_value)) = taken {
            (finding.severity, finding.score, finding.p_value) = (severity, score, p_value);
        }
    }
}

/// Devices that each tell of itself from which on nobody else's traffic is told.
const SHADOWS_MIN: u64 = 3;

/// Share of the flows that a party began from which on it fetched what it got.
const FETCHED_MIN: f64 = 0.5;

/// Whether `by`, of another technique, says more of the same collector: uploads that follow their subscribers' activity are
/// more than a fan-in, all is more than a behaviour without a name, and of a fan-in and a beacon the stronger one stays: many
/// who send much and get little are a fan-in, few who say the same both ways a beacon, and each is weakly the other.
fn outdoes(by: &Finding, finding: &Finding) -> bool {
    use Technique::{
        BeaconingImplant, BulkExfiltration, PopulationFanIn, ShadowUpload, TapCorrelation, TrafficMirroring,
    };
    let says_more = match (finding.technique, by.technique) {
        (PopulationFanIn, ShadowUpload) => by.severity >= Severity::Medium,
        (PopulationFanIn, BeaconingImplant) => {
            let is_stronger = by.severity > finding.severity || by.severity == finding.severity && is_told(finding);
            by.severity >= Severity::Medium && is_stronger
        }
        (BeaconingImplant, ShadowUpload) => by.severity >= Severity::Low,
        (BeaconingImplant, PopulationFanIn) => {
            by.severity > finding.severity || by.severity == finding.severity && !is_told(by)
        }
        // A stream of copies is an upload too, and one that a device batches goes out by the clock.
        (BulkExfiltration | BeaconingImplant, TrafficMirroring | TapCorrelation) => by.severity >= Severity::Medium,
        // A replica abroad is one thing, and where it stands says more than that it was taken.
        (BulkExfiltration, Technique::CrossBorderTransfer) => {
            let is_fetched = number(finding, "begun_by_collector_share").is_some_and(|share| share > FETCHED_MIN);
            is_fetched && by.severity >= finding.severity
        }
        // Copies that each device wraps by itself are no records of it.
        (PopulationFanIn, TrafficMirroring) => by.severity >= Severity::Medium,
        // What can be read is no longer opaque: copies and flow records follow the traffic that they tell of.
        (TapCorrelation | ShadowUpload, TrafficMirroring) => by.severity >= finding.severity,
        // Several devices that each tell of itself are together as busy as the population.
        (TapCorrelation, ShadowUpload) => by.severity >= Severity::Medium && by.population.subscribers >= SHADOWS_MIN,
        // Who sends names to a server of his own has turned to no other resolver: all who ask it carry data.
        (Technique::DnsHijack, Technique::DnsTunnel) => {
            by.severity >= Severity::Medium && by.population.subscribers >= finding.population.subscribers
        }
        (Technique::UnattributedCluster, Technique::UnattributedCluster) => false,
        // Who comes back to talk comes by a clock now and then, by chance; and that a twentieth of a population deals with a
        // stranger is more than that what it says may be records.
        (Technique::UnattributedCluster, BeaconingImplant) if tells(finding, "turns_per_row") => {
            by.severity >= Severity::Medium
        }
        // What nobody runs is no report and no call, however it looks.
        (BeaconingImplant | PopulationFanIn, Technique::UnattributedCluster) => {
            by.severity >= Severity::Medium && tells(by, "ip_protocol")
        }
        (Technique::UnattributedCluster, BeaconingImplant | PopulationFanIn) if tells(finding, "ip_protocol") => {
            finding.severity < Severity::Medium && by.severity >= Severity::Medium
        }
        // What is said under the breath explains none of what stands without a profile.
        (Technique::UnattributedCluster, _)
            if ["share_of_active", "ip_protocol", "in_step_share"].iter().any(|feature| tells(finding, feature)) =>
        {
            by.severity >= Severity::Medium
        }
        (Technique::UnattributedCluster, _) => by.severity >= Severity::Low,
        _ => false,
    };
    // Names that are led to a place which opens what comes there are one party's doing: told by the resolver that leads them, where it is
    // a stranger and as many ask it as were seen there; else by who opens.
    let shares = || finding.collector.addresses.iter().any(|one| by.collector.addresses.binary_search(one).is_ok());
    let is_led = by.severity >= Severity::Medium
        && by.population.name == finding.population.name
        && match (finding.technique, by.technique) {
            (Technique::TlsInterception, Technique::DnsHijack) => {
                number(by, "domains_led_elsewhere") >= Some(LED_MIN)
                    && tells(by, TURNED)
                    && by.population.subscribers >= finding.population.subscribers
                    && finding.collector.addresses.len() > DOORS_MAX
                    && shares()
            }
            (Technique::DnsHijack, Technique::TlsInterception) => {
                let is_door = |one: &Address| finding.collector.collector_key == contradicted::key_of(*one);
                by.collector.addresses.len() <= DOORS_MAX && by.collector.addresses.iter().any(is_door)
            }
            _ => false,
        };
    // What is no record but a picture, a backup, goes where it should not: that it is sent by many is a part of that.
    let is_moved = matches!((finding.technique, by.technique), (PopulationFanIn, Technique::CrossBorderTransfer))
        && by.severity >= Severity::Medium
        && by.population.name == finding.population.name
        && number(finding, "record_bytes") >= Some(RECORD_MAX)
        && shares();
    if is_led || is_moved {
        return true;
    }
    // What is copied may be another population's than the one that the sender stands in; what goes to the same party besides is not.
    let is_copied = matches!((finding.technique, by.technique), (BulkExfiltration, TrafficMirroring | TapCorrelation))
        && finding.bytes_up <= by.bytes_up.saturating_add(by.bytes_up / 4);
    // A few devices keep time with some doors of a fleet that many feed.
    let is_of_a_fleet = matches!((finding.technique, by.technique), (BeaconingImplant, PopulationFanIn))
        && by.population.subscribers >= FLEET_WIDER * finding.population.subscribers
        && by.collector.addresses.len() >= FLEET_MIN;
    let held = finding.collector.addresses.iter().filter(|a| by.collector.addresses.binary_search(a).is_ok()).count();
    says_more
        && (is_copied || by.population.name == finding.population.name)
        && !finding.collector.addresses.is_empty()
        && (held == finding.collector.addresses.len()
            || is_of_a_fleet && 2 * held > finding.collector.addresses.len()
            // A pair of addresses that nothing else explains is explained by what one of them does.
            || finding.technique == Technique::UnattributedCluster && by.severity >= Severity::Medium && shares())
}

/// Whether a finding weighs something.
fn tells(finding: &Finding, feature: &str) -> bool {
    finding.evidence.iter().any(|one| one.feature == feature)
}

/// Whether a fan-in brings so much back that each record is as much a question: with both as strong, it is a beacon.
fn is_told(fan_in: &Finding) -> bool {
    number(fan_in, "upload_share").is_some_and(|share| share < TOLD_UPLOAD_SHARE)
}

/// What a finding measured.
fn number(finding: &Finding, feature: &str) -> Option<f64> {
    finding.evidence.iter().filter(|one| one.feature == feature).find_map(|one| match one.value {
        EvidenceValue::Number(value) => Some(value),
        EvidenceValue::Text(_) => None,
    })
}

/// Whether `other` already says what `finding` says: same technique and population, and the addresses of one hold most of
/// the other's.
fn explains(other: &Finding, finding: &Finding) -> bool {
    let holds = |outer: &[Address], inner: &[Address]| {
        let shared = inner.iter().filter(|a| outer.binary_search(a).is_ok()).count();
        shared as f64 >= SAME_SHARE * inner.len() as f64
    };
    let (a, b) = (&other.collector.addresses, &finding.collector.addresses);
    // Whoever carries data in names has the resolver's address in common with everybody: there the domain tells.
    let is_one_party = |a: &Finding, b: &Finding| {
        !matches!(a.technique, Technique::DnsTunnel)
            || a.collector.names.iter().any(|name| b.collector.names.contains(name))
    };
    other.technique == finding.technique
        && is_one_party(other, finding)
        && other.population.name == finding.population.name
        && !b.is_empty()
        && (holds(a, b) || holds(b, a))
}

/// Lays a later or longer look at the same finding over the known one: the span grows, the stronger evidence stays.
fn fold(known: &mut Finding, again: Finding) {
    let (start, end) = (known.start.min(again.start), known.end.max(again.end));
    let mut addresses = known.collector.addresses.clone();
    addresses.extend(&again.collector.addresses);
    addresses.sort();
    addresses.dedup();
    if (again.severity, again.score) > (known.severity, known.score)
        || ((again.severity, again.score) == (known.severity, known.score) && again.flows >= known.flows)
    {
        *known = again;
    }
    (known.start, known.end) = (start, end);
    known.collector.addresses = addresses;
}

#[cfg(test)]
mod tests;
