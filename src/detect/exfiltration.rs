//! `bulk-exfiltration`: one inside host sends a stranger far more than it takes in, in one burst or low and slow.
//! In: pairs of a scene, taken together by subscriber and far party (address, /24 or /48, domain). Out: a finding for each
//! that stands out. Parties to which one host alone uploads are taken together as well (`scattered`).
//! What it weighs: how much, against what other subscribers send to any one party; how one-sided (producer-consumer ratio,
//! Bullard and Gerth 2014); how few others send to that party; how much of all that the host sends goes there (a peer of a
//! file-sharing swarm sends to hundreds); who began the flows (a server that is asked is no thief).
//! In a window and an hour what went before them is known as well: a burst is not cut in two, and who else sends there is
//! not forgotten (`earlier`).
//! What a mail server sends other mail servers is post (`relays`). A database is no server that strangers ask (`stores`).
//! A single stream that stood when the looking began and still stands is said at `low`: nothing shows that it is new (`standing`).
//! The trivial baseline that it must beat: plain bytes out.

mod earlier;
mod modest;
mod peers;
mod relays;
mod scattered;
mod standing;
mod stores;

use std::cell::LazyCell;
use std::cell::OnceCell;
use std::collections::BTreeMap;

use earlier::Earlier;
use peers::{Peers, There};
use relays::Relays;

use super::finding::{CollectorIdentity, Finding, Severity, Technique};
use super::scene::{Group, Scene, app_of, proto_of};
use super::weigh::{Reason, log_ramp, ramp, severity_of, weigh};
use super::{documented, words};
use crate::packet::facts::AppProtocol;
use crate::population::collector::{CollectorKey, CollectorSummary};
use crate::population::groups::{CollectorGroup, GroupName, Level, Member};
use crate::population::sketch::Merge;
use crate::population::span::Seen;
use crate::population::{Minutes, PairSummary, PopulationIndex, SpanClass, SubscriberKey, Summary};
use crate::units::{Address, DurationNs};

/// Data up that is worth a look: below it, mail and photographs are no bulk.
const BYTES_UP_MIN: u64 = 1 << 20;
/// One address of several counts when it takes at least one part in so many of what the group was sent.
const RECEIVER_SHARE_MIN: u64 = 50;
/// Pairs with any upload that the capture's own bulk needs before its quantiles mean anything.
const BULK_PAIRS_MIN: usize = 20;
/// What one subscriber sends one party in a day where there is no bulk to compare with: some photographs.
const USUAL_BYTES_UP: f64 = (5 << 20) as f64;
/// The same as long as too little time was seen to know who else sends there: a whole backup of a telephone.
const USUAL_BYTES_UP_EARLY: f64 = (32 << 20) as f64;
/// The same of a service that says its name, which took it on a few occasions: an album, a film of a birthday. Of more, nothing
/// tells such a film from a store of records that somebody carried off, and that is said.
const USUAL_BYTES_UP_NAMED: f64 = (10 << 20) as f64;
/// The same where nobody else of at least so many subscribers has to do with the service: albums are kept where others keep theirs.
const USUAL_BYTES_UP_NAMED_ALONE: f64 = (6 << 20) as f64;
const ALONE_ACTIVE_MIN: u64 = 100;
/// What goes bit by bit, on many occasions, to a party with which nobody else has to do.
const USUAL_BYTES_UP_OFTEN: f64 = 2.5 * 1_048_576.0;
const OWN_ACTIVE_MIN: u64 = 60;
/// What goes to several that have nothing in common but the host; and bit by bit.
const USUAL_BYTES_UP_STREWN: f64 = (4 << 20) as f64;
const USUAL_BYTES_UP_STREWN_OFTEN: f64 = (3 << 20) as f64;
/// Occasions that are few: rows (a flow has one a window), minutes of an hour, half hours of a day. What is carried off bit by
/// bit has more of each.
const FEW_ROWS: u64 = 12;
const FEW_MINUTES: u32 = 10;
const FEW_HALF_HOURS: u32 = 3;
/// Time from which on it can be known who else sends there. Backups of several homes lie minutes apart, not seconds.
const PEERS_KNOWN_AFTER: DurationNs = DurationNs::from_secs(900);
/// Subscribers that deal with a party at all between which it turns from a stranger into a service that people use.
const CALLERS: (f64, f64) = (24.0, 6.0);
/// What is left of its strangeness where all use it: thieves rent there, too, and what is by far the most is said at `medium`.
const USED_BY_ALL: f64 = 0.1;
/// How much more than the largest of its peers a host sends before it stands out of them.
const OVER_PEERS: f64 = 2.0;
/// The most that a stream scores that always stood: what it is, only its owner knows.
const STANDING_SCORE_MAX: f64 = 0.55;
/// Data down over data up from which on a stream that STUN has led to is a call.
const CALL_ANSWERED_MIN: f64 = 0.1;
/// What one subscriber sent one group of addresses.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    up: u64,
    down: u64,
    flows: u64,
    packets: u64,
}

impl Sent {
    fn add(&mut self, other: Self) {
        self.up = self.up.saturating_add(other.up);
        self.down = self.down.saturating_add(other.down);
        self.flows = self.flows.saturating_add(other.flows);
        self.packets = self.packets.saturating_add(other.packets);
    }

    fn by(pair: &PairSummary) -> Self {
        let [up, down] = pair.totals.data_bytes;
        Self { up, down, flows: pair.totals.flows, packets: pair.totals.packets_both() }
    }
}

/// See the file's header.
pub fn detect(scene: &Scene<'_>, findings: &mut Vec<Finding>) {
    // Nothing that large in the span: no need to put groups together.
    let heavy = |population, subscriber| {
        let key = SubscriberKey { population, subscriber };
        scene.summary.subscribers.of(&key).is_none_or(|all| all.totals.bytes_up() >= BYTES_UP_MIN)
    };
    if !scene.pairs().iter().any(|(key, _)| heavy(key.population, key.subscriber)) {
        return;
    }
    // Only for whoever is judged: it sorts every pair.
    let bulk = LazyCell::new(|| Bulk::of(scene));
    let tunnels = scene.tunnel_ends();
    let relays = Relays::of(scene);
    let uploads = uploads_by_party(scene);
    let sent_to = |(key, _): &Member<'_>| {
        let at = uploads.binary_search_by_key(&(key.population, key.address), |(party, _)| *party);
        at.map_or(0, |at| uploads[at].1)
    };
    let is_heavy = |members: &[Member<'_>]| members.iter().map(sent_to).fold(0, u64::saturating_add) >= BYTES_UP_MIN;
    for group in scene.groups(Technique::BulkExfiltration, is_heavy) {
        // What goes into a tunnel is its inner flows' upload, or a copy of them: `traffic-mirroring` speaks of those.
        if group.of.addresses.iter().any(|address| tunnels.contains(address)) {
            continue;
        }
        let before = findings.len();
        // Of all who send there: that others do is what a later look may know better.
        let (mut packets, mut by_others) = (0u64, false);
        for (subscriber, sent) in senders(scene, &group) {
            packets = packets.saturating_add(sent.packets);
            if sent.up < BYTES_UP_MIN || sent.up <= sent.down || relays.is_post(&group, subscriber) {
                continue;
            }
            if let Some(group) = receivers(scene, &group, subscriber, sent.up) {
                let (found, peers) = judge(scene, &group, subscriber, sent, &bulk);
                findings.extend(found);
                by_others |= peers.are_users();
            }
        }
        let said = &findings[before..];
        if said.iter().all(|finding| finding.severity < Severity::Medium) {
            let score = said.iter().map(|finding| finding.score).fold(0.0, f64::max);
            let party = (group.of.population, group.key.as_str());
            match by_others {
                true => scene.doubt_by_others(Technique::BulkExfiltration, party, packets, score),
                false => scene.doubt(Technique::BulkExfiltration, party, packets, score),
            }
        }
    }
    for (group, subscriber, sent) in scattered::receivers(scene, &tunnels, &relays) {
        let (found, _) = judge(scene, &group, subscriber, sent, &bulk);
        if found.as_ref().is_none_or(|finding| finding.severity < Severity::Medium) {
            let score = found.as_ref().map_or(0.0, |finding| finding.score);
            scene.doubt(Technique::BulkExfiltration, (group.of.population, &group.key), sent.packets, score);
        }
        findings.extend(found);
    }
}

/// Whether two talk who found each other by STUN (RFC 8489), one of them far more: what is shown to an audience comes with the other's
/// sound, and what is carried off under that guise brings nothing back.
fn is_call(group: &Group<'_>, sent: &Sent) -> bool {
    group.whole.apps.iter().any(|(app, _)| app == AppProtocol::Stun)
        && sent.down as f64 >= CALL_ANSWERED_MIN * sent.up as f64
}

/// What all subscribers together sent each party, ascending.
fn uploads_by_party(scene: &Scene<'_>) -> Vec<((PopulationIndex, Address), u64)> {
    let mut uploads: Vec<((PopulationIndex, Address), u64)> = Vec::new();
    for (key, pair) in scene.pairs() {
        let party = (key.population, key.collector);
        match uploads.last_mut().filter(|(last, _)| *last == party) {
            Some((_, sum)) => *sum = sum.saturating_add(pair.totals.data_bytes[0]),
            None => uploads.push((party, pair.totals.data_bytes[0])),
        }
    }
    uploads
}

/// The group without the addresses that this subscriber hardly sends to: what else stands in a /24 is not part of it. None
/// where a single one is left of several, which is judged alone.
fn receivers<'a>(scene: &Scene<'a>, group: &Group<'a>, subscriber: Address, up: u64) -> Option<Group<'a>> {
    let population = group.of.population;
    // Over many addresses each takes little: then a quarter of an even share counts.
    let least = up / RECEIVER_SHARE_MIN.max(4 * group.of.addresses.len() as u64);
    let sent_to = |address: &Address| {
        let pairs = scene.pairs_of(population, *address);
        pairs.iter().any(|(key, pair)| key.subscriber == subscriber && pair.totals.data_bytes[0] >= least)
    };
    let addresses: Vec<Address> = group.of.addresses.iter().copied().filter(sent_to).collect();
    if group.level != Level::Address && addresses.len() < 2 {
        return None;
    }
    let mut whole = CollectorSummary::default();
    addresses.iter().filter_map(|a| scene.collector(population, *a)).for_each(|one| whole.merge(one.clone()));
    let of = CollectorGroup { addresses, ..group.of.clone() };
    Some(Group { key: group.key.clone(), level: group.level, of, whole: whole.into() })
}

/// Who sent how much to the group.
fn senders(scene: &Scene<'_>, group: &Group<'_>) -> BTreeMap<Address, Sent> {
    let mut senders: BTreeMap<Address, Sent> = BTreeMap::new();
    for address in &group.of.addresses {
        for (key, pair) in scene.pairs_of(group.of.population, *address) {
            senders.entry(key.subscriber).or_default().add(Sent::by(pair));
        }
    }
    senders
}

/// What subscribers send one party, over all pairs of the span.
struct Bulk<'a> {
    uploads: Vec<f64>,
    /// What went before the span, sorted out when the first host is held against it.
    earlier: OnceCell<Vec<Earlier<'a>>>,
}

impl<'a> Bulk<'a> {
    fn of(scene: &Scene<'_>) -> Self {
        Self::of_pairs(scene.pairs().iter().map(|(_, pair)| *pair))
    }

    fn earlier(&self, scene: &Scene<'a>) -> &[Earlier<'a>] {
        self.earlier.get_or_init(|| scene.before().map(Earlier::of).collect())
    }

    fn of_pairs<'p>(pairs: impl Iterator<Item = &'p PairSummary>) -> Self {
        let mut uploads: Vec<f64> = pairs.map(|pair| pair.totals.data_bytes[0] as f64).filter(|up| *up > 0.0).collect();
        uploads.sort_by(f64::total_cmp);
        Self { uploads, earlier: OnceCell::new() }
    }

    fn quantile(&self, q: f64) -> Option<f64> {
        let enough = self.uploads.len() >= BULK_PAIRS_MIN;
        enough.then(|| self.uploads[((self.uploads.len() - 1) as f64 * q).floor() as usize])
    }

    /// Conformal p-value: how many other pairs send as much.
    fn p_value(&self, up: f64) -> f64 {
        let as_much = self.uploads.len() - self.uploads.partition_point(|other| *other < up);
        // The pair itself is one of them.
        as_much.max(1) as f64 / self.uploads.len().max(1) as f64
    }
}

fn judge<'a>(
    scene: &Scene<'a>,
    group: &Group<'_>,
    subscriber: Address,
    sent: Sent,
    bulk: &Bulk<'a>,
) -> (Option<Finding>, Peers) {
    let mut case = Case::of(scene, group, subscriber, sent, bulk);
    let (mut score, mut evidence) = weigh(case.reasons(bulk));
    // Before it is said aloud: who sent there before the span began.
    if severity_of(score, 1.0) >= Some(Severity::Medium)
        && case.hold_against(bulk.earlier(scene), scene, group, subscriber)
    {
        (score, evidence) = weigh(case.reasons(bulk));
    }
    let is_standing = standing::is_standing(scene, group, subscriber, &case);
    let score = if is_standing { score.min(STANDING_SCORE_MAX) } else { score };
    let is_loud = score > STANDING_SCORE_MAX;
    let is_shown = is_loud && documented::PICTURES.is_all_of(scene, group);
    let is_call = is_loud && is_call(group, &case.sent);
    let score = if is_shown || is_call { score.min(STANDING_SCORE_MAX) } else { score };
    let p_value = bulk.p_value(case.sent.up as f64);
    let Some(severity) = severity_of(score, p_value) else { return (None, case.peers) };
    let mut finding = described(scene, group, subscriber, &case, severity);
    if is_standing {
        finding.explanation += " It is one stream that stood when this began and when it ended, as a camera's \
             does: nothing here shows that it is new.";
    }
    if is_shown {
        finding.explanation += " By its name it is where people send films and live pictures to be shown.";
    }
    if is_call {
        finding.explanation +=
            " STUN led there and some of it comes back, as in a call in which one shows and the others listen.";
    }
    (Some(Finding { score, p_value, evidence, ..finding }), case.peers)
}

/// What is weighed of one host and one party.
struct Case {
    /// What it sent there: in a short span together with what went there just before.
    sent: Sent,
    /// When.
    seen: Seen,
    /// What it sent anybody in that time, bytes.
    sent_to_all: f64,
    /// Share of the flows that the party began.
    by_collector: f64,
    /// Whether it is what a stranger has a database give him.
    is_poured_out: bool,
    peers: Peers,
    /// What subscribers send one party, bytes.
    usual: f64,
}

impl Case {
    fn of<'a>(scene: &Scene<'a>, group: &Group<'_>, subscriber: Address, sent: Sent, bulk: &Bulk<'a>) -> Self {
        let population = group.of.population;
        let all = |of: &Summary| {
            let one = of.subscribers.of(&SubscriberKey { population, subscriber });
            one.map_or(0, |one| one.totals.data_bytes[0])
        };
        let mut case = Self {
            sent,
            seen: span_of(scene, group, subscriber),
            sent_to_all: all(scene.summary) as f64,
            by_collector: 0.0,
            is_poured_out: false,
            peers: There::of(scene, group, subscriber).peers(),
            usual: 0.0,
        };
        // A burst does not end with a window, and who began what goes on is known from before.
        let mut begun = (group.whole.flows_by_collector, group.whole.totals.flows);
        if scene.summary.span().length() < PEERS_KNOWN_AFTER {
            for before in scene.before() {
                for &address in &group.of.addresses {
                    let one = before.collectors.of(&CollectorKey { population, address });
                    let (by_it, flows) = one.map_or((0, 0), |one| (one.flows_by_collector, one.totals.flows));
                    begun = (begun.0 + by_it, begun.1 + flows);
                }
                let (sent, seen) = earlier::sent(before, group, subscriber);
                case.sent.add(sent);
                case.seen.merge(seen);
                case.sent_to_all += all(before) as f64;
            }
        }
        case.by_collector = begun.0 as f64 / begun.1.max(1) as f64;
        case.is_poured_out = stores::is_poured_out(group, &case.sent);
        // 98 % of what is usual: with few pairs the largest is the one that is judged, so it does not stand in its own light.
        let usual = bulk.quantile(0.98).filter(|usual| *usual < case.sent.up as f64).unwrap_or(0.0);
        let habit = Habit {
            is_named: 2 * group.whole.rows_named > group.whole.totals.rows || scene.domain_of(&group.whole).is_some(),
            is_seldom: is_of_few_occasions(scene, group, subscriber),
            is_strewn: matches!(group.of.name, GroupName::Service(..)),
            is_alone: case.peers.callers == 0 && scene.active(population) >= ALONE_ACTIVE_MIN,
            is_own: case.peers.callers == 0 && scene.active(population) >= OWN_ACTIVE_MIN,
        };
        let at_least = habit.usual_at_least(scene.known_for());
        let modest = modest::usual(scene, group, bulk, case.sent.up, case.peers);
        case.usual = usual.max(modest.map_or(at_least, |modest| modest.min(at_least)));
        case
    }

    /// Takes in who dealt with the party before the span, and what was usual then; whether there was any such time.
    fn hold_against(
        &mut self,
        earlier: &[Earlier<'_>],
        scene: &Scene<'_>,
        group: &Group<'_>,
        subscriber: Address,
    ) -> bool {
        let mut there = There::of(scene, group, subscriber);
        for before in earlier {
            before.add_others(scene, group, &mut there);
            self.usual = before.usual.filter(|usual| *usual < self.sent.up as f64).unwrap_or(0.0).max(self.usual);
        }
        self.peers = there.peers();
        !earlier.is_empty()
    }

    fn reasons(&self, bulk: &Bulk<'_>) -> Vec<Reason> {
        let (up, down) = (self.sent.up as f64, self.sent.down as f64);
        // Where others upload as well it is a service: then the host must stand out of what they send there.
        let usual = self.usual.max(OVER_PEERS * self.peers.largest_up as f64);
        let concentration = if self.sent_to_all > 0.0 { (up / self.sent_to_all).min(1.0) } else { 1.0 };
        let upload_share = up / (up + down);
        let baseline = bulk.quantile(0.5).zip(bulk.quantile(0.99));
        let senders = ramp(self.peers.senders as f64, 4.0, 0.0);
        let callers = ramp(self.peers.callers as f64, CALLERS.0, CALLERS.1).max(USED_BY_ALL);
        vec![
            Reason::number("data_bytes_up", up, "bytes", log_ramp(up, usual * 0.75, usual * 4.0), 0.35)
                .beside(baseline),
            Reason::number("upload_share", upload_share, "ratio", ramp(upload_share, 0.7, 0.95), 0.2),
            Reason::number("other_senders", self.peers.senders as f64, "subscribers", senders.min(callers), 0.2),
            Reason::number("share_of_host_uploads", concentration, "ratio", ramp(concentration, 0.2, 0.7), 0.15),
            Reason::number(
                "begun_by_collector_share",
                self.by_collector,
                "ratio",
                // No stranger has anything to do with a database: that he came by himself makes it no visit.
                if self.is_poured_out { 1.0 } else { ramp(self.by_collector, 0.9, 0.3) },
                0.1,
            ),
        ]
    }
}

/// How a host deals with a party.
#[derive(Clone, Copy, Debug, Default)]
struct Habit {
    /// The party says its name.
    is_named: bool,
    /// On few occasions.
    is_seldom: bool,
    /// It is several that have nothing in common but the host.
    is_strewn: bool,
    /// Nobody else of many has to do with the party.
    is_alone: bool,
    /// Nobody else of some.
    is_own: bool,
}

impl Habit {
    /// What one subscriber may send one party, whatever the bulk is, where so much time was looked at.
    fn usual_at_least(self, seen_for: DurationNs) -> f64 {
        match self {
            _ if seen_for < PEERS_KNOWN_AFTER => USUAL_BYTES_UP_EARLY,
            Self { is_strewn: true, is_seldom: false, is_own: true, .. } => USUAL_BYTES_UP_STREWN_OFTEN,
            Self { is_strewn: true, .. } => USUAL_BYTES_UP_STREWN,
            Self { is_named: true, is_seldom: true, is_alone: true, .. } => USUAL_BYTES_UP_NAMED_ALONE,
            Self { is_named: true, is_seldom: true, .. } => USUAL_BYTES_UP_NAMED,
            Self { is_seldom: false, is_own: true, .. } => USUAL_BYTES_UP_OFTEN,
            _ => USUAL_BYTES_UP,
        }
    }
}

/// Whether the host dealt with the group a few times only.
fn is_of_few_occasions(scene: &Scene<'_>, group: &Group<'_>, subscriber: Address) -> bool {
    let (mut rows, mut minutes, mut half_hours) = (0u64, Minutes::default(), 0u64);
    for address in &group.of.addresses {
        let pairs = scene.pairs_of(group.of.population, *address).iter();
        for (_, pair) in pairs.filter(|(key, _)| key.subscriber == subscriber) {
            rows = rows.saturating_add(pair.totals.rows);
            minutes.merge(pair.active_minutes);
            half_hours |= pair.active_half_hours;
        }
    }
    match scene.summary.class() {
        _ if rows <= FEW_ROWS => true,
        SpanClass::Day => half_hours.count_ones() <= FEW_HALF_HOURS,
        _ => minutes.count() <= FEW_MINUTES,
    }
}

fn described(scene: &Scene<'_>, group: &Group<'_>, subscriber: Address, case: &Case, severity: Severity) -> Finding {
    let (whole, sent, seen) = (&group.whole, case.sent, case.seen);
    let collector: CollectorIdentity = scene.identity(group);
    let share = scene.share(group.of.population, 1, vec![subscriber]);
    let who = group.spoken(&collector.names);
    let hours = seen.length().as_secs_f64();
    let headline = format!("One inside host sent {} to {who}", words::bytes(sent.up));
    let explanation = format!(
        "One subscriber (the pseudonym in the sample) sent {} to {who} and took {} from it, over {}. What subscribers send \
         one party in this capture stays below {} for 98 of 100. Hardly anyone else sends there. Find the host (`--reveal` \
         with the key, or the DHCP and NAT logs of that time), see which program and which person sent, and what; if \
         it is a backup or a transfer that should be, register the collector in the policy.",
        words::bytes(sent.up),
        words::bytes(sent.down),
        words::seconds(hours),
        words::bytes(case.usual as u64),
    );
    Finding {
        severity,
        flows: sent.flows,
        packets: sent.packets,
        bytes_up: sent.up,
        bytes_down: sent.down,
        headline,
        explanation,
        proto: proto_of(whole),
        app_proto: app_of(whole),
        ..Finding::blank(Technique::BulkExfiltration, collector, share, seen)
    }
}

/// First and last packet between the host and the group.
fn span_of(scene: &Scene<'_>, group: &Group<'_>, subscriber: Address) -> Seen {
    let mut seen = Seen::default();
    for address in &group.of.addresses {
        for (key, pair) in scene.pairs_of(group.of.population, *address) {
            if key.subscriber == subscriber {
                seen.merge(pair.seen);
            }
        }
    }
    seen
}

#[cfg(test)]
mod tests;
