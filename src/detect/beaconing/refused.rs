//! Refused: devices that knock at a stranger's port by the clock and are turned away each time.
//! In: collectors of a scene. Out: a finding for each at which a group of devices knocks so.
//! Who commands implants moves on or is taken down, and the implants go on calling: no data ever moves, and yet nothing tells an infected
//! device more plainly. Programs that people use look a name up and give up; here nobody knows a name for the party.
//! Bounds: those of the samples.

use std::collections::BTreeSet;

use super::harmless::Harmless;
use super::{
    ACTIVE_MIN, BEGUN_BY_COLLECTOR_MAX, GAPS_MIN, NAMELESS_P_VALUE, is_named, of_a_group, severity_without_a_name,
};
use crate::detect::finding::{Finding, Technique};
use crate::detect::rhythm::Rhythm;
use crate::detect::scene::{Group, Scene, service_of};
use crate::detect::weigh::{Reason, log_ramp, ramp, weigh};
use crate::detect::words;
use crate::population::collector::ServiceAt;
use crate::units::Address;

/// What TCP is among IP protocols.
const TCP: u8 = 6;
/// Fewest devices: the k of privacy, and more than a household's.
const DEVICES_MIN: u64 = 5;
/// Share of the rows that may be answered, and of those to which nothing at all comes back.
const ANSWERED_MAX: f64 = 0.05;
const SILENT_MAX: f64 = 0.3;
/// Deviation from the clock between which opinion turns, calls a device, and share of the span that they cover.
const DEVIATION: (f64, f64) = (0.3, 0.1);
const CALLS: (f64, f64) = (4.0, 16.0);
const PERSISTENCE: (f64, f64) = (0.2, 0.6);
/// Share of the active between which opinion turns: what everybody's device tries is somebody's product.
const COVERAGE_TURNS: (f64, f64) = (0.6, 0.3);

/// Whether all that a group did is be turned away.
fn is_refused(scene: &Scene<'_>, group: &Group<'_>) -> bool {
    let (whole, rows) = (&group.whole, group.whole.totals.rows.max(1) as f64);
    whole.totals.data_bytes == [0, 0]
        && whole.totals.flows > GAPS_MIN as u64
        && whole.rows_answered as f64 <= ANSWERED_MAX * rows
        && whole.rows_one_way as f64 <= SILENT_MAX * rows
        && whole.flows_by_collector as f64 <= BEGUN_BY_COLLECTOR_MAX * whole.totals.flows.max(1) as f64
        && service_of(whole).is_some_and(|service| service.protocol == TCP && service.at == ServiceAt::Collector)
        && !is_named(scene, group)
}

/// See the file's header.
pub(super) fn detect(
    scene: &Scene<'_>,
    harmless: &Harmless<'_, '_>,
    tunnels: &BTreeSet<Address>,
    findings: &mut Vec<Finding>,
) {
    let groups = scene.alone(|(_, one)| one.subscribers.count() >= DEVICES_MIN);
    for group in groups.into_iter().filter(|group| is_refused(scene, group) && !group.is_at(tunnels)) {
        let Some(rhythm) = Rhythm::of(&group.whole.sample()).filter(|rhythm| rhythm.gaps >= GAPS_MIN) else { continue };
        let (devices, population) = (group.whole.subscribers.count(), group.of.population);
        let coverage = (scene.active(population) >= ACTIVE_MIN).then(|| scene.coverage(population, devices));
        let calls = rhythm.gaps as f64 / rhythm.subscribers.max(1) as f64;
        let span_s = scene.summary.seen.length().as_secs_f64();
        let persistence = (rhythm.lasts_s / span_s.max(1.0)).min(1.0);
        let mut reasons = vec![
            Reason::number(
                "gap_deviation",
                rhythm.deviation,
                "ratio",
                ramp(rhythm.deviation, DEVIATION.0, DEVIATION.1),
                0.35,
            ),
            Reason::number("calls_per_device", calls, "calls", log_ramp(calls, CALLS.0, CALLS.1), 0.2),
            Reason::number("persistence", persistence, "ratio", ramp(persistence, PERSISTENCE.0, PERSISTENCE.1), 0.15),
        ];
        reasons.extend(of_a_group(devices, coverage, COVERAGE_TURNS, [0.15, 0.15]));
        let (score, evidence) = weigh(reasons);
        let Some((severity, score)) = severity_without_a_name(harmless, &group, score) else { continue };
        let blank = scene.blank(Technique::BeaconingImplant, &group);
        let who = group.spoken(&blank.collector.names);
        let (counted, every) = (words::counted(devices, "subscriber"), words::seconds(rhythm.period_s));
        findings.push(Finding {
            severity,
            score,
            p_value: NAMELESS_P_VALUE,
            evidence,
            headline: format!("{counted} knock at {who} every {every}, by the clock, and are turned away"),
            explanation: format!(
                "{counted} try to connect to {who} every {every} or so: half of the times lie within {:.0} % of the period, {} gaps in \
                 all. It refuses each time, nobody looked its name up, and they go on. Programs that people use give up; an \
                 implant whose master has moved or was taken down does not. Find the devices (`--reveal` with the key, or the \
                 DHCP and NAT logs) and what they have in common.",
                100.0 * rhythm.deviation,
                rhythm.gaps,
            ),
            ..blank
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::finding::Severity;
    use crate::flow::row::{ConnState, FlowColumns, FlowRow};
    use crate::packet::facts::{AppFacts, AppProtocol};
    use crate::population::places::Places;
    use crate::population::summary::tests::{hour_of, populations, row};

    /// So many devices of eighty that try a port at `at(device, n)` seconds of an hour and are turned away.
    fn told(devices: u8, at: &dyn Fn(u64, u64) -> u64, change: &dyn Fn(&mut FlowRow)) -> Option<Severity> {
        let mut rows = FlowColumns::default();
        for device in 0..80u8 {
            let home = Address::v4([10, 0, 0, device]);
            let mut page = row(home, Address::v4([198, 51, 100, device % 25]), 29 * u64::from(device), 800, 9_000);
            let facts = AppFacts {
                protocol: Some(AppProtocol::Tls),
                server_name: Some("www.page.example".into()),
                ..AppFacts::default()
            };
            page.facts = Some(std::sync::Arc::new(facts));
            rows.push(page);
            for n in 0..if device < devices { 30 } else { 0 } {
                let mut one = row(home, Address::v4([203, 0, 113, 7]), at(device.into(), n), 0, 0);
                (one.key.ports[1], one.state, one.ts_last) = (7_547, ConnState::REJ, one.ts_first);
                for side in &mut one.sides {
                    (side.packets, side.payload_packets) = (1, 0);
                }
                one.sides[0].syn = 1;
                change(&mut one);
                rows.push(one);
            }
        }
        let (summary, populations, places) = (hour_of(&rows), populations(), Places::default());
        let mut findings = Vec::new();
        let scene = Scene::new(&summary, &populations, &places, None);
        detect(&scene, &Harmless::of(&scene), &BTreeSet::new(), &mut findings);
        findings.iter().map(|finding| finding.severity).max()
    }

    #[test]
    fn who_knocks_by_the_clock_and_is_turned_away_is_told() {
        let clock = |device: u64, n: u64| 115 * n + device % 90;
        let any = |device: u64, n: u64| 115 * n + (device * 53 + n * n * 37) % 113;
        let nothing = |_: &mut FlowRow| {};
        let unheard = |one: &mut FlowRow| (one.state, one.sides[1].packets) = (ConnState::S0, 0);
        let answered = |one: &mut FlowRow| {
            one.state = ConnState::SF;
            one.sides.iter_mut().for_each(|side| (side.payload_bytes, side.payload_packets) = (40, 1));
        };
        let opened = |one: &mut FlowRow| one.state = ConnState::SF;
        let named = |one: &mut FlowRow| {
            let facts = AppFacts { server_name: Some("cloud.maker.example".into()), ..AppFacts::default() };
            one.facts = Some(std::sync::Arc::new(facts));
        };
        type Case<'a> = (&'a str, u8, &'a dyn Fn(u64, u64) -> u64, &'a dyn Fn(&mut FlowRow), Option<Severity>);
        let table: [Case<'_>; 8] = [
            ("eight by the clock", 8, &clock, &nothing, Some(Severity::Medium)),
            ("a household's", 4, &clock, &nothing, None),
            ("everybody's", 80, &clock, &nothing, None),
            ("at any time", 8, &any, &nothing, None),
            ("nothing comes back", 8, &clock, &unheard, None),
            ("calls that are answered", 8, &clock, &answered, None),
            ("connections over which nothing is said", 8, &clock, &opened, None),
            ("a party with a name", 8, &clock, &named, None),
        ];
        for (name, devices, at, change, wanted) in table {
            assert_eq!(told(devices, at, change), wanted, "{name}");
        }
    }
}
