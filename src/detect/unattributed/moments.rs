//! Moments: devices that deal with one stranger all in the same moments, at times that no clock knows.
//! In: collectors of a scene, their followed subscribers in time, what the others found. Out: few findings.
//! What it weighs: how many of the others act beside one (`in_step`), how often, how many they are; and that nobody knows a name or a
//! protocol of the party. Whoever has a mind or a clock of its own acts at times of its own: these act on one order, whatever they do
//! then. Volleys that all answer, work that is given to all at once, helpers that are sent out together are so, and what goes from hand to
//! hand, a few seconds with each.
//! A promise about rates, as the rest of the room: never above `medium`.
//! Not here: those that begin together and then keep a clock (`beaconing`).

use super::dialogue::{
    BULK_SUBSCRIBERS_MIN, is_answered, is_explained, is_nameless, is_said_both_ways, is_seen_to_begin,
};
use crate::detect::finding::{Finding, Severity, Technique};
use crate::detect::in_step::InStep;
use crate::detect::scene::{Group, Scene};
use crate::detect::weigh::{Reason, log_ramp, ramp, weigh};
use crate::detect::words;
use crate::population::collector::{CollectorKey, CollectorSummary};

/// Fewest subscribers: the k of privacy, and more than a household's or a game's.
const SUBSCRIBERS_MIN: u64 = 6;
/// Share of the others beside one between which opinion turns, moments, and subscribers.
const SHARE: (f64, f64) = (0.05, 0.5);
const MOMENTS: (f64, f64) = (3.0, 8.0);
const SUBSCRIBERS: (f64, f64) = (3.0, 10.0);
/// Upper quartile of the rows' durations, seconds, above which some of them may have met there: players, callers.
const STAY_S_MAX: f64 = 12.0;
/// Parties that are moved so, and share of those that several deal with, up to which they are rare.
const RARE_MAX: usize = 2;
const P_VALUE_MAX: f64 = 0.05;

/// See the file's header. `found` is what the others said.
pub(super) fn moved(scene: &Scene<'_>, found: &mut Vec<Finding>) {
    let deals = |key: &CollectorKey, one: &CollectorSummary| {
        is_nameless(scene, key, one)
            && (is_answered(scene, key, one) || is_said_both_ways(scene, key))
            && is_seen_to_begin(scene, key, one)
    };
    let strangers =
        scene.collectors().iter().filter(|(key, one)| one.subscribers.count() >= SUBSCRIBERS_MIN && deals(key, one));
    let stays = |one: &CollectorSummary| one.durations_ms.quantile(0.75).unwrap_or(0.0) / 1e3 > STAY_S_MAX;
    let moved_at_once = |one: &CollectorSummary| {
        InStep::of(&one.sample()).filter(|step| step.is_moved() || step.is_moved_in_part() && !stays(one))
    };
    let moved_in_turn = |one: &CollectorSummary| {
        InStep::one_by_one(&one.sample()).filter(|step| step.is_moved_in_turn() && !stays(one))
    };
    let step = |one: &CollectorSummary| moved_at_once(one).or_else(|| moved_in_turn(one));
    let moved: Vec<_> = strangers.filter_map(|member| Some((member, step(member.1)?))).collect();
    if moved.is_empty() {
        return;
    }
    let bulk = scene.collectors().iter().filter(|(_, one)| one.subscribers.count() >= BULK_SUBSCRIBERS_MIN).count();
    let p_value = moved.len() as f64 / (1 + bulk) as f64;
    // Where more are moved than are rare, an hour in which lines fail may move them.
    let most = if moved.len() > RARE_MAX && p_value > P_VALUE_MAX { Severity::Low } else { Severity::Medium };
    let mut told = Vec::new();
    for ((key, _), step) in &moved {
        if is_explained(found, key.address) {
            continue;
        }
        let same = |other: &CollectorKey| other == *key;
        let group = scene.alone(|(other, _)| same(other)).into_iter().next();
        told.extend(group.and_then(|group| finding(scene, &group, step, (p_value, most))));
    }
    found.extend(told);
}

fn finding(scene: &Scene<'_>, group: &Group<'_>, step: &InStep, (p_value, most): (f64, Severity)) -> Option<Finding> {
    let (subscribers, moments) = (group.whole.subscribers.count() as f64, step.moments as f64);
    let (score, evidence) = weigh(vec![
        Reason::number("in_step_share", step.share, "ratio", ramp(step.share, SHARE.0, SHARE.1), 0.4),
        Reason::number("moments_per_subscriber", moments, "moments", log_ramp(moments, MOMENTS.0, MOMENTS.1), 0.3),
        Reason::number(
            "subscribers_distinct",
            subscribers,
            "subscribers",
            log_ramp(subscribers, SUBSCRIBERS.0, SUBSCRIBERS.1),
            0.3,
        ),
    ]);
    let severity = match score {
        0.5.. => Severity::Medium,
        0.35.. => Severity::Low,
        _ => return None,
    };
    let blank = scene.blank(Technique::UnattributedCluster, group);
    let who = group.spoken(&blank.collector.names);
    let counted = words::counted(group.whole.subscribers.count(), "subscriber");
    Some(Finding {
        severity: severity.min(most),
        score,
        p_value,
        evidence,
        headline: format!("{counted} deal with {who} all in the same moments, as on one order"),
        explanation: format!(
            "{counted} deal with {who} in the same moments: when one does, {:.0} % of the others do within seconds, where {:.0} % \
             would by chance; {} moments of each, at no regular times. Nobody looked a name up for it, and no bytes prove a protocol that \
             is known. One order moves these devices, and it is not their people's. Find the program (`--reveal` with the key, or \
             the DHCP and NAT logs) and who gives the orders.",
            100.0 * step.share,
            100.0 * step.by_chance,
            step.moments,
        ),
        ..blank
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::row::{ConnState, FlowColumns, FlowRow};
    use crate::packet::facts::{AppFacts, AppProtocol};
    use crate::population::places::Places;
    use crate::population::summary::tests::{hour_of, populations, row};
    use crate::units::{Address, DurationNs};

    /// Devices of a hundred and twenty that deal with so many parties a score of times in an hour, at `at(device, n)` seconds.
    fn told(
        devices: u8,
        parties: u8,
        at: &dyn Fn(u64, u64) -> Option<u64>,
        change: &dyn Fn(&mut FlowRow),
    ) -> Option<Severity> {
        let mut rows = FlowColumns::default();
        let facts = |protocol| Some(std::sync::Arc::new(AppFacts { protocol: Some(protocol), ..AppFacts::default() }));
        for device in 0..120u8 {
            let home = Address::v4([10, 0, 0, device]);
            let mut page = row(home, Address::v4([198, 51, 100, device % 25]), 29 * u64::from(device), 800, 9_000);
            page.facts = facts(AppProtocol::Tls);
            rows.push(page);
            for (party, n) in (0..parties).flat_map(|party| (0..20).map(move |n| (party, n))) {
                let Some(second) = at(device.into(), n).filter(|_| device < devices) else { continue };
                let mut one = row(home, Address::v4([203, 0, party, 7]), second, 300, 300);
                (one.key.protocol, one.key.ports[1]) = (17, 41_411);
                one.ts_last = one.ts_first.after(DurationNs::from_secs(2));
                change(&mut one);
                rows.push(one);
            }
        }
        let (summary, populations, places) = (hour_of(&rows), populations(), Places::default());
        let mut found = Vec::new();
        moved(&Scene::new(&summary, &populations, &places, None), &mut found);
        found.iter().map(|one| one.severity).max()
    }

    #[test]
    fn whom_one_order_moves_is_told() {
        use Severity::Medium;
        let order = |_: u64, n: u64| Some((n * n * n * 37 + n * 911) % 3_400);
        let own = |device: u64, n: u64| Some(170 * n + (device * 53 + n * n * 37) % 167);
        let clock = |_: u64, n: u64| Some(170 * n);
        let some = |device: u64, n: u64| order(device, n).filter(|_| (device * 7 + n * 5).is_multiple_of(3));
        let hands = |device: u64, n: u64| {
            let second = order(device, n).filter(|_| n < 6)?;
            Some(second + 3 * ((device * 7 + n * 5) % 12))
        };
        let nothing = |_: &mut FlowRow| {};
        let named = |one: &mut FlowRow| {
            let facts = AppFacts { server_name: Some("push.maker.example".into()), ..AppFacts::default() };
            one.facts = Some(std::sync::Arc::new(facts));
        };
        let unheard = |one: &mut FlowRow| {
            (one.state, one.sides[1].payload_bytes, one.sides[1].packets) = (ConnState::S0, 0, 0);
        };
        let midway = |one: &mut FlowRow| (one.key.protocol, one.state) = (6, ConnState::OTH);
        let stays = |one: &mut FlowRow| one.ts_last = one.ts_first.after(DurationNs::from_secs(58));
        type At<'a> = &'a dyn Fn(u64, u64) -> Option<u64>;
        type Case<'a> = (&'a str, u8, u8, At<'a>, &'a dyn Fn(&mut FlowRow), Option<Severity>);
        let table: [Case<'_>; 13] = [
            ("a dozen on one order", 12, 1, &order, &nothing, Some(Medium)),
            ("some of a dozen on each", 12, 1, &some, &nothing, Some(Medium)),
            ("the same that stay, as players do", 12, 1, &some, &stays, None),
            ("all of them, however long they stay", 12, 1, &order, &stays, Some(Medium)),
            ("from hand to hand", 12, 1, &hands, &nothing, Some(Medium)),
            ("the same that stay", 12, 1, &hands, &stays, None),
            ("each when it likes", 12, 1, &own, &nothing, None),
            ("by one clock", 12, 1, &clock, &nothing, None),
            ("a household's", 5, 1, &order, &nothing, None),
            ("a service with a name", 12, 1, &order, &named, None),
            ("who is never answered", 12, 1, &order, &unheard, None),
            ("connections that began before the capture", 12, 1, &order, &midway, None),
            ("three such parties", 12, 3, &order, &nothing, Some(Severity::Low)),
        ];
        for (name, devices, parties, at, change, wanted) in table {
            assert_eq!(told(devices, parties, at, change), wanted, "{name}");
        }
    }
}
