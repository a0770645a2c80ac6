//! Harmless: what keeps time as an implant does and most likely is none.
//! In: a group that calls by the clock, and what is measured of it. Out: whether it is said at `low` at the most: products that say
//! their names, telemetry at the ports that are made for it, associations that datagrams keep open, tunnels between sites, sessions,
//! and, where names do not show, whoever has none.
//! An implant that takes the ways of such a product is told at `low` too: behaviour alone does not tell it.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use super::fleet;
use super::{Measures, is_named};
use crate::detect::documented;
use crate::detect::names::Names;
use crate::detect::rhythm::LASTING_MIN;
use crate::detect::scene::{Group, Scene, service_of};
use crate::packet::facts::AppProtocol;
use crate::population::PopulationIndex;
use crate::population::collector::{CollectorSummary, Service};
use crate::units::Address;

/// What UDP and TCP are among IP protocols.
const UDP: u8 = 17;
const TCP: u8 = 6;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
/// Parties from which on one device that calls all of them at one port and at one pace tells them where it is, and how far, of the period,
/// their paces lie apart.
const MEETINGS_MIN: usize = 3;
const MEETING_APART: f64 = 0.05;
/// Share of the rows at such a port whose handshake must be seen for them to be calls.
const BEGUN_MIN: f64 = 0.5;
/// Devices below which, and period from which on, and seconds by which gaps stray up to which a party that says its name is the maker
/// of a product, of which every town has some (weather stations, meters of a hobby): nothing is gained by telling them. The period is
/// shorter where they speak HTTP in clear, which orders to an implant seldom do.
const PRODUCTS_DEVICES: u64 = 8;
const PRODUCTS_DEVICES_IN_CLEAR: u64 = 5;
const PRODUCTS_PERIOD_S: f64 = 240.0;
const PRODUCTS_PERIOD_IN_CLEAR_S: f64 = 110.0;
const PRODUCTS_STRAY_S: f64 = 8.0;
/// The same of a station that seals what it says, and calls every eight minutes or less often.
const SEALED_STATIONS_DEVICES: u64 = 12;
const SEALED_STATIONS_PERIOD_S: f64 = 480.0;
const SEALED_STATIONS_STRAY_S: f64 = 15.0;
/// Devices below which, and period from which on, that is so whatever strays, where no large part of the calls is of one size.
const CHECKS: [(u64, f64); 2] = [(5, PRODUCTS_PERIOD_S), (16, SEALED_STATIONS_PERIOD_S)];
const CHECKS_SAME_SIZE: f64 = 0.6;
/// The same of more devices, a small part of the active: so seldom that a printer or a till says how it is, whatever strays, or, in
/// clear HTTP, a little less seldom and exactly.
const MAKERS: (u64, f64) = (36, 0.06);
const MAKERS_PERIOD_S: f64 = 840.0;
const MAKERS_PERIOD_IN_CLEAR_S: f64 = 400.0;
/// Time, and calls of each device in it, from which on what is as steady is told whoever it may be: once a day somebody can look a name up.
const WATCHED_S: f64 = 8.0 * 3_600.0;
const WATCHED_GAPS: f64 = 24.0;
/// Periods of such pieces, and rows to each, from which on they are not calls: a flow of datagrams is given up after a minute's
/// silence.
const KEPT_PERIOD_S: std::ops::RangeInclusive<f64> = 55.0..=130.0;
const KEPT_ROWS_A_FLOW: f64 = 1.25;
/// Share of calls of one size below which, and deviation from the clock above which, what one device sends is a tunnel.
const TUNNELS_SAME_SIZE: f64 = 0.4;
const TUNNELS_DEVIATION: f64 = 0.05;
/// Ports of protocols that are made to be kept open and to say little (IANA): MQTT, XMPP, push of mobile systems' makers, CoAP, SIP.
pub(super) const KEPT_OPEN: [u16; 13] = [1883, 8883, 5222, 5223, 5228, 5229, 5230, 5269, 2195, 2197, 5683, 5684, 5060];
/// Ports at which mail is asked for (IANA): POP and IMAP, in clear and sealed.
const POST: [u16; 4] = [110, 143, 993, 995];
/// Devices below which those that call a party of which somebody knows the name at ports of the former are things with their hub.
const HUBS_DEVICES: u64 = 12;
/// Those of SIP.
const TELEPHONY: [u16; 2] = [5060, 5061];
/// Seconds between calls below which there is no clock to see.
const TALK_S: f64 = 4.5;
/// Devices from which on datagrams by the clock are a group's, and the same where somebody looked the party up.
const DATAGRAMS_MIN: u64 = 5;
const DATAGRAMS_NAMED_MIN: u64 = 16;
/// Those of them at which things report over datagrams, call by call (CoAP, RFC 7252).
const TELEMETRY: [u16; 2] = [5683, 5684];
/// Period from which on such a report costs its maker little: what comes every minute from a fleet is paid for by somebody.
const REPORTS_PERIOD_S: f64 = 75.0;
/// Devices, and share of the active, below which that is so of a party without a name, too: trackers, and cameras that keep a way to
/// themselves open, have the address of their maker built in.
const TRACKERS: (u64, f64) = (24, 0.04);

/// See the file's header.
pub(super) struct Harmless<'a, 'b> {
    scene: &'b Scene<'a>,
    names: OnceCell<Names>,
}

impl<'a, 'b> Harmless<'a, 'b> {
    pub(super) fn of(scene: &'b Scene<'a>) -> Self {
        Self { scene, names: OnceCell::new() }
    }

    /// Whether a group most likely is harmless.
    pub(super) fn is(&self, group: &Group<'_>, measures: &Measures) -> bool {
        let is_named = is_named(self.scene, group);
        let hides_names = self.hides_names(group);
        is_product(group, measures, is_named && hides_names)
            || is_telemetry(group, is_named || is_of_few(group, measures, TRACKERS), measures.rhythm.period_s)
            || is_one_tunnel(measures)
            || is_talk(measures)
            || is_job(group, measures)
            || is_kept_alive(self.scene, group)
            || is_telephony(&group.whole)
            || is_named && is_hub(group)
            || is_of_a_household(group, is_named)
            || is_of_sessions(group, measures)
            || is_named && is_association(group, measures)
            || !is_named && hides_names
            || is_resolver(self.scene, group)
            || documented::STATIONS.is_all_of(self.scene, group)
    }

    /// Whether names do not show of what is called as a group is.
    pub(super) fn hides_names(&self, group: &Group<'_>) -> bool {
        let names = || self.names.get_or_init(|| Names::of(self.scene));
        service_of(&group.whole).is_some_and(|service| names().are_hidden(service.protocol))
    }
}

/// Whether addresses that say their name answer questions for names as well, openly: what is called there besides is the same service,
/// sealed.
fn is_resolver(scene: &Scene<'_>, group: &Group<'_>) -> bool {
    let answers = |one: &CollectorSummary| {
        let asked: u64 = one.apps.iter().filter(|(app, _)| *app == AppProtocol::Dns).map(|(_, rows)| rows).sum();
        asked > 0 && 2 * one.rows_answered > one.totals.rows && !one.names.is_empty()
    };
    let is_one = |at: &Address| scene.collector(group.of.population, *at).is_some_and(answers);
    group.of.addresses.iter().all(is_one)
}

/// Whether a named party is called by the clock for a part of the time only.
fn is_of_sessions(group: &Group<'_>, measures: &Measures) -> bool {
    let lasting = measures.rhythm.lasts_s / group.whole.seen.length().as_secs_f64().max(1.0);
    measures.named >= fleet::NAMED_MIN && lasting < LASTING_MIN
}

/// Whether a party is called over datagrams at the port of CoAP.
pub(in crate::detect) fn is_at_telemetry(whole: &CollectorSummary) -> bool {
    service_of(whole).is_some_and(|service| service.protocol == UDP && TELEMETRY.contains(&service.port))
}

/// Whether fewer devices call than so many, and than that share of the active.
fn is_of_few(group: &Group<'_>, measures: &Measures, (devices, coverage): (u64, f64)) -> bool {
    group.whole.subscribers.count() < devices && measures.coverage.is_some_and(|part| part < coverage)
}

/// Whether things report over datagrams: at the port of CoAP, or, less often than every minute, to a party that is a maker's, in a
/// protocol that is not the web's.
fn is_telemetry(group: &Group<'_>, is_makers: bool, period_s: f64) -> bool {
    is_at_telemetry(&group.whole) || is_makers && period_s >= REPORTS_PERIOD_S && is_plain_datagrams(group)
}

/// Whether a few devices call a party that they name, or would where names show, as seldom and as exactly as a product's clock does it.
fn is_product(group: &Group<'_>, measures: &Measures, would_name: bool) -> bool {
    let rhythm = &measures.rhythm;
    // Of a part of an address only its ports are known.
    let is_http = group.whole.apps.by_count().first().is_some_and(|(app, _)| *app == AppProtocol::Http)
        || service_of(&group.whole).is_some_and(|service| (service.protocol, service.port) == (6, 80));
    let is_exact = rhythm.deviation * rhythm.period_s <= PRODUCTS_STRAY_S;
    let devices = group.whole.subscribers.count();
    let is_few = |few: u64, period_s: f64| devices < few && rhythm.period_s >= period_s;
    let is_station = is_few(PRODUCTS_DEVICES, PRODUCTS_PERIOD_S)
        || is_http && is_few(PRODUCTS_DEVICES_IN_CLEAR, PRODUCTS_PERIOD_IN_CLEAR_S);
    let is_sealed_station = devices < SEALED_STATIONS_DEVICES
        && rhythm.period_s >= SEALED_STATIONS_PERIOD_S
        && rhythm.deviation * rhythm.period_s <= SEALED_STATIONS_STRAY_S;
    let is_hobbys = is_sealed_station || is_exact && is_station;
    // A day of what strays is worth a look, whoever it is.
    let is_watched = rhythm.lasts_s >= WATCHED_S && rhythm.gaps as f64 >= WATCHED_GAPS * rhythm.subscribers as f64;
    let is_seldom =
        rhythm.period_s >= MAKERS_PERIOD_S || is_http && is_exact && rhythm.period_s >= MAKERS_PERIOD_IN_CLEAR_S;
    // What says how it is has now more and now less to say; who asks for orders mostly the same.
    let is_unlike =
        CHECKS.into_iter().any(|(few, period_s)| is_few(few, period_s)) && measures.same_size_share < CHECKS_SAME_SIZE;
    (measures.named >= fleet::NAMED_MIN || would_name)
        && (is_hobbys || !is_watched && (is_unlike || is_seldom && is_of_few(group, measures, MAKERS)))
}

/// Whether one device alone sends now more and now less, and not quite by the clock: a tunnel between two sites is renewed every
/// other minute and is never idle for long.
fn is_one_tunnel(measures: &Measures) -> bool {
    measures.rhythm.subscribers == 1
        && measures.same_size_share < TUNNELS_SAME_SIZE
        && measures.rhythm.deviation > TUNNELS_DEVIATION
}

/// Whether what comes by the second is a stream or an exchange that somebody set off, and no call now and then.
fn is_talk(measures: &Measures) -> bool {
    measures.rhythm.period_s < TALK_S
}

/// Whether telephones say that they are there, at the port of SIP: registrations and what keeps a translator's mapping come by the clock
/// (RFC 3261 10.2, RFC 5626 4.4).
pub(in crate::detect) fn is_telephony(whole: &CollectorSummary) -> bool {
    service_of(whole).is_some_and(|service| TELEPHONY.contains(&service.port))
}

/// Whether datagrams outside the web come from no more devices than a household or two have: a camera, a game or a tunnel keeps the way
/// back to itself open so, by a clock as exact as any; of a party that somebody looked up from a few more.
fn is_of_a_household(group: &Group<'_>, is_named: bool) -> bool {
    let devices = group.whole.subscribers.count();
    is_plain_datagrams(group) && devices < if is_named { DATAGRAMS_NAMED_MIN } else { DATAGRAMS_MIN }
}

/// Whether a party is dealt with over datagrams in a protocol that is not the web's.
fn is_plain_datagrams(group: &Group<'_>) -> bool {
    let is_web = group.whole.apps.by_count().first().is_some_and(|(app, _)| *app == AppProtocol::Quic);
    service_of(&group.whole).is_some_and(|service| service.protocol == UDP && service.port != 443) && !is_web
}

/// Whether what looks like calls at a port that is made to be kept open are signs of life of connections that nobody saw begin: one
/// that is silent for long is another flow each time.
fn is_kept_alive(scene: &Scene<'_>, group: &Group<'_>) -> bool {
    let is_kept = |service: Service| service.protocol == TCP && KEPT_OPEN.contains(&service.port);
    let pairs = group.of.addresses.iter().flat_map(|address| scene.pairs_of(group.of.population, *address));
    let (established, rows) = pairs.fold((0u64, 0u64), |(established, rows), (_, pair)| {
        (established.saturating_add(pair.rows_established), rows.saturating_add(pair.totals.rows))
    });
    service_of(&group.whole).is_some_and(is_kept) && (established as f64) < BEGUN_MIN * rows as f64
}

/// Whether a few devices call at a port of things or of push services, or any number at one of post: hubs ask what there is by the
/// clock, and so do readers of mail where the server does not tell them.
fn is_hub(group: &Group<'_>) -> bool {
    let is_few = group.whole.subscribers.count() < HUBS_DEVICES;
    let is_made_for_it = |port: u16| POST.contains(&port) || KEPT_OPEN.contains(&port) && is_few;
    service_of(&group.whole).is_some_and(|service| service.protocol == TCP && is_made_for_it(service.port))
}

/// What single devices call over datagrams, each at a service: how often, and whom, by pace.
pub(super) struct Meetings(BTreeMap<(PopulationIndex, Address, Service), Vec<(f64, Address)>>);

impl Meetings {
    pub(super) fn of<'g, 'a: 'g>(judged: impl Iterator<Item = (&'g Group<'a>, &'g Measures)>) -> Self {
        let mut all: BTreeMap<_, Vec<(f64, Address)>> = BTreeMap::new();
        for (group, measures) in judged {
            if let Some((device, party)) = meeting(group) {
                all.entry(device).or_default().push((measures.rhythm.period_s, party));
            }
        }
        all.values_mut().for_each(|parties| parties.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))));
        Self(all)
    }

    /// Whether a group is one of several parties that its device calls at one port in one rhythm: the servers at which a camera says by
    /// which way it can be reached, all of them at a time. An implant that has several to call turns to one after the other.
    pub(super) fn are_many(&self, group: &Group<'_>, measures: &Measures) -> bool {
        let parties = meeting(group).and_then(|(device, _)| self.0.get(&device));
        let Some(parties) = parties else { return false };
        let (low, high) = [1.0 - MEETING_APART, 1.0 + MEETING_APART].map(|part| part * measures.rhythm.period_s).into();
        let from = parties.partition_point(|(period_s, _)| *period_s < low);
        let alike = parties[from..].iter().take_while(|(period_s, _)| *period_s <= high).map(|(_, party)| *party);
        // An address may be there as a whole and as a service.
        alike.take(2 * MEETINGS_MIN).collect::<BTreeSet<Address>>().len() >= MEETINGS_MIN
    }
}

/// The device that alone calls a party over datagrams, at which service, and the party.
fn meeting(group: &Group<'_>) -> Option<((PopulationIndex, Address, Service), Address)> {
    let [party] = *group.of.addresses.as_slice() else { return None };
    let service = service_of(&group.whole).filter(|service| [UDP, ICMP, ICMPV6].contains(&service.protocol))?;
    let sample = group.whole.sample();
    let mut devices = sample.iter().map(|one| one.subscriber);
    let device = devices.next()?;
    devices.next().is_none().then_some(((group.of.population, device, service), party))
}

/// Whether one device fetches or brings something over SSH by the clock, now more and now less: a job that its owner set up.
fn is_job(group: &Group<'_>, measures: &Measures) -> bool {
    let is_ssh = group.whole.apps.by_count().first().is_some_and(|(app, _)| *app == AppProtocol::Ssh);
    is_ssh && measures.rhythm.subscribers == 1 && measures.same_size_share < TUNNELS_SAME_SIZE
}

/// Whether what looks like calls are pieces of an association that datagrams keep open through a translator, cut where one of them
/// came a little late: then many a row goes on with the flow before it. RFC 4787 (REQ-5) lets translators forget after two minutes, so
/// products keep theirs open twice in that time, about when a flow is given up here.
fn is_association(group: &Group<'_>, measures: &Measures) -> bool {
    let totals = &group.whole.totals;
    service_of(&group.whole).is_some_and(|service| service.protocol == UDP)
        && KEPT_PERIOD_S.contains(&measures.rhythm.period_s)
        && totals.rows as f64 >= KEPT_ROWS_A_FLOW * totals.flows as f64
}

#[cfg(test)]
mod tests {
    use super::super::tests::measures;
    use super::*;
    use crate::detect::rhythm::Rhythm;
    use crate::flow::row::ConnState;
    use crate::population::limits::SummaryLimits;
    use crate::population::places::Places;
    use crate::population::summary::tests::{populations, row, summary_of};
    use crate::units::Address;

    /// What is told of so many devices that deal with one party by an IP protocol at a port.
    fn of_devices<T>(devices: u8, (protocol, port): (u8, u16), told: impl FnOnce(&Group<'_>) -> T) -> T {
        let rows = (0..devices).map(|n| {
            let mut one = row(Address::v4([10, 0, 0, n]), Address::v4([203, 0, 113, 7]), n.into(), 80, 45);
            (one.key.protocol, one.key.ports[1]) = (protocol, port);
            one
        });
        let summary = summary_of(&rows.collect::<Vec<_>>(), &SummaryLimits::default());
        let (populations, places) = (populations(), Places::default());
        let scene = Scene::new(&summary, &populations, &places, None);
        told(&scene.alone(|_| true)[0])
    }

    #[test]
    fn who_answers_for_names_and_says_its_own_is_a_resolver() {
        use crate::packet::facts::AppFacts;
        let party = Address::v4([203, 0, 113, 7]);
        for (name, own_name, asks, wanted) in [
            ("a resolver that is asked in both ways", Some("dns.a.example"), true, true),
            ("one without a name", None, true, false),
            ("a site", Some("www.a.example"), false, false),
        ] {
            let rows = (0..12u8).map(|n| {
                let is_question = asks && n % 3 == 0;
                let protocol = Some(if is_question { AppProtocol::Dns } else { AppProtocol::Tls });
                let server_name = own_name.filter(|_| !is_question).map(Into::into);
                let facts = AppFacts { protocol, server_name, ..AppFacts::default() };
                let one = row(Address::v4([10, 0, 0, n]), party, n.into(), 80, 45);
                crate::flow::row::FlowRow { facts: Some(std::sync::Arc::new(facts)), ..one }
            });
            let summary = summary_of(&rows.collect::<Vec<_>>(), &SummaryLimits::default());
            let (populations, places) = (populations(), Places::default());
            let scene = Scene::new(&summary, &populations, &places, None);
            assert_eq!(is_resolver(&scene, &scene.alone(|_| true)[0]), wanted, "{name}");
        }
    }

    #[test]
    fn a_few_things_ask_their_hub() {
        let table = [
            ("a hub", 4, 8883, true),
            ("post", 1, 993, true),
            ("everybody's post", 40, 993, true),
            ("the web", 4, 443, false),
            ("a fleet", 12, 8883, false),
        ];
        for (name, devices, port, wanted) in table {
            assert_eq!(of_devices(devices, (TCP, port), is_hub), wanted, "{name}");
        }
    }

    #[test]
    fn a_products_clock_is_exact_and_seldom_and_says_its_name() {
        let is_product_of = |devices: u8, port: u16, measures: Measures, would_name: bool| {
            of_devices(devices, (TCP, port), |group| is_product(group, &measures, would_name))
        };
        let exact = measures(4, 1.0, 0.001, 1.0, 0.01);
        let every = |period_s: f64| Measures { rhythm: Rhythm { period_s, ..exact.rhythm }, ..exact };
        let strays = |lasts_s: f64| {
            let one = measures(4, 1.0, 0.05, 0.9, 0.03);
            Measures { rhythm: Rhythm { period_s: 1_200.0, lasts_s, ..one.rhythm }, ..one }
        };
        let of_all_sizes = |period_s: f64| {
            let strays = measures(4, 1.0, 0.05, 0.4, 0.03);
            Measures { rhythm: Rhythm { period_s, ..strays.rhythm }, ..strays }
        };
        let table = [
            ("four stations", 4, 443, exact, false, true),
            ("a fleet", 30, 443, exact, false, false),
            ("four that stray", 4, 443, measures(4, 1.0, 0.05, 1.0, 0.01), false, false),
            ("four without a name", 4, 443, measures(4, 0.0, 0.001, 1.0, 0.01), false, false),
            ("four where names do not show", 4, 443, measures(4, 0.0, 0.001, 1.0, 0.01), true, true),
            ("four every other minute", 4, 443, every(120.0), false, false),
            ("four every other minute, in clear", 4, 80, every(120.0), false, true),
            ("five every other minute, in clear", 5, 80, every(120.0), false, false),
            ("thirty tills every quarter of an hour", 30, 443, every(900.0), false, true),
            ("the same without a name", 30, 443, Measures { named: 0.0, ..every(900.0) }, false, false),
            ("the same of a good part", 30, 443, Measures { coverage: Some(0.07), ..every(900.0) }, false, false),
            ("forty", 40, 443, every(900.0), false, false),
            ("four every twenty minutes", 4, 443, strays(3_600.0), false, true),
            ("four every twenty minutes, for a day", 4, 443, strays(86_400.0), false, false),
            ("four every five minutes, of all sizes", 4, 443, of_all_sizes(300.0), false, true),
            ("five every five minutes, of all sizes", 5, 443, of_all_sizes(300.0), false, false),
            ("four every three minutes, of all sizes", 4, 443, of_all_sizes(180.0), false, false),
            ("fifteen every ten minutes, of all sizes", 15, 443, of_all_sizes(600.0), false, true),
            ("sixteen every ten minutes, of all sizes", 16, 443, of_all_sizes(600.0), false, false),
            ("eleven every ten minutes", 11, 443, every(600.0), false, true),
            ("eleven every ten minutes that stray", 11, 443, measures(4, 1.0, 0.05, 1.0, 0.01), false, false),
            ("twelve every ten minutes", 12, 443, every(600.0), false, false),
            ("sixteen every four minutes", 16, 443, every(250.0), false, false),
            ("seven every four minutes, in clear", 7, 80, every(250.0), false, true),
            ("sixteen every other minute, in clear", 16, 80, every(120.0), false, false),
            ("eight every four minutes, in clear", 8, 80, every(250.0), false, false),
            ("thirty stations in clear", 30, 80, exact, false, true),
            ("thirty that stray in clear", 30, 80, measures(4, 1.0, 0.05, 1.0, 0.01), false, false),
        ];
        for (name, devices, port, measures, would_name, wanted) in table {
            assert_eq!(is_product_of(devices, port, measures, would_name), wanted, "{name}");
        }
    }

    #[test]
    fn what_is_kept_open_is_not_called() {
        let minutely = |period_s: f64, one: Measures| Measures { rhythm: Rhythm { period_s, ..one.rhythm }, ..one };
        let exact = measures(6, 1.0, 0.05, 1.0, 0.03);
        // IP protocol, rows that go on with the flow before them for each that begins one, period.
        let table = [
            ("kept open", 17, 1, 65.0, true),
            ("calls", 17, 0, 65.0, false),
            ("calls every ten minutes", 17, 1, 600.0, false),
            ("connections", 6, 1, 65.0, false),
        ];
        for (name, protocol, going_on, period_s, wanted) in table {
            let rows = (0..24u8).map(|n| {
                let mut one = row(Address::v4([10, 0, 0, n]), Address::v4([203, 0, 113, 7]), n.into(), 80, 45);
                one.key.protocol = protocol;
                one.row_number = if going_on > 0 { u32::from(n % 2) } else { 0 };
                one
            });
            let summary = summary_of(&rows.collect::<Vec<_>>(), &SummaryLimits::default());
            let (populations, places) = (populations(), Places::default());
            let scene = Scene::new(&summary, &populations, &places, None);
            let told = is_association(&scene.alone(|_| true)[0], &minutely(period_s, exact));
            assert_eq!(told, wanted, "{name}");
        }
    }

    #[test]
    fn a_households_datagrams_and_telephones_are_no_implants() {
        // Devices, IP protocol, port, whether somebody looked the party up; whether it is a household's, and a telephone's.
        let table = [
            (4, 17, 32_100, false, true, false),
            (5, 17, 32_100, false, false, false),
            (15, 17, 32_100, true, true, false),
            (16, 17, 32_100, true, false, false),
            (4, 17, 443, true, false, false),
            (4, 6, 32_100, true, false, false),
            (40, 17, 5_060, false, false, true),
            (40, 6, 5_061, true, false, true),
        ];
        for (devices, protocol, port, is_named, household, telephone) in table {
            let told = of_devices(devices, (protocol, port), |group| {
                (is_of_a_household(group, is_named), is_telephony(&group.whole))
            });
            assert_eq!(told, (household, telephone), "{devices} at {port}/{protocol}, named {is_named}");
        }
    }

    #[test]
    fn a_tunnel_between_two_sites_is_no_implant() {
        let table = [
            ("a tunnel that is renewed", measures(1, 0.0, 0.155, 0.22, 0.01), true),
            ("an implant", measures(1, 0.0, 0.02, 0.22, 0.01), false),
            ("one that says as much each time", measures(1, 0.0, 0.155, 0.8, 0.01), false),
            ("several", measures(3, 0.0, 0.155, 0.22, 0.01), false),
        ];
        for (name, measures, wanted) in table {
            assert_eq!(is_one_tunnel(&measures), wanted, "{name}");
        }
    }

    #[test]
    fn what_comes_by_the_second_is_talk() {
        let every = |period_s: f64| {
            let one = measures(40, 0.0, 0.0, 1.0, 0.1);
            Measures { rhythm: Rhythm { period_s, ..one.rhythm }, ..one }
        };
        assert_eq!([1.0, 5.0].map(|period_s| is_talk(&every(period_s))), [true, false]);
    }

    #[test]
    fn few_devices_are_one_product_whether_it_has_a_name_or_not() {
        let party = Address::v4([203, 0, 113, 7]);
        for (name, devices, coverage, wanted) in [
            ("nine trackers", 9u8, Some(0.01), true),
            ("twenty-three trackers", 23, Some(0.039), true),
            ("nine of few", 9, Some(0.05), false),
            ("nine where nobody counts", 9, None, false),
            ("twenty-four", 24, Some(0.01), false),
        ] {
            let rows: Vec<_> = (0..devices).map(|n| row(Address::v4([10, 0, 0, n]), party, n.into(), 80, 45)).collect();
            let summary = summary_of(&rows, &SummaryLimits::default());
            let (populations, places) = (populations(), Places::default());
            let scene = Scene::new(&summary, &populations, &places, None);
            let measures = Measures { coverage, ..measures(4, 0.0, 0.001, 1.0, 0.01) };
            assert_eq!(is_of_few(&scene.alone(|_| true)[0], &measures, TRACKERS), wanted, "{name}");
        }
    }

    #[test]
    fn things_that_report_over_datagrams_are_no_implants() {
        let table = [
            ("CoAP without a name", 17, 5_684, false, 60.0, true),
            ("a named party", 17, 5_004, true, 180.0, true),
            ("a named party every minute", 17, 5_004, true, 60.0, false),
            ("a stranger", 17, 36_963, false, 180.0, false),
            ("the port of the web", 17, 443, true, 180.0, false),
            ("connections", 6, 5_684, false, 180.0, false),
        ];
        for (name, protocol, port, named, period_s, wanted) in table {
            let told = of_devices(9, (protocol, port), |group| is_telemetry(group, named, period_s));
            assert_eq!(told, wanted, "{name}");
        }
    }

    #[test]
    fn a_job_over_ssh_is_its_owners() {
        let party = Address::v4([203, 0, 113, 7]);
        // Devices, how alike the calls are, and whether it is SSH.
        for (name, devices, same_size, is_ssh, wanted) in [
            ("files to a partner", 1, 0.25, true, true),
            ("always the same", 1, 0.9, true, false),
            ("of several devices", 6, 0.25, true, false),
            ("of another protocol", 1, 0.25, false, false),
        ] {
            let summary = summary_of(&[row(Address::v4([10, 0, 0, 1]), party, 1, 80, 45)], &SummaryLimits::default());
            let (populations, places) = (populations(), Places::default());
            let scene = Scene::new(&summary, &populations, &places, None);
            let mut group = scene.alone(|_| true).remove(0);
            let mut whole = (*group.whole).clone();
            whole.apps.add(if is_ssh { AppProtocol::Ssh } else { AppProtocol::Tls });
            group.whole = whole.into();
            assert_eq!(is_job(&group, &measures(devices, 0.0, 0.0, same_size, 0.01)), wanted, "{name}");
        }
    }

    #[test]
    fn signs_of_life_of_connections_that_nobody_saw_begin_are_no_calls() {
        let party = Address::v4([203, 0, 113, 7]);
        // The port, and how many of twenty flows were seen to begin.
        for (name, port, begun, wanted) in [
            ("a push service met midway", 5223, 2, true),
            ("calls at its port", 5223, 18, false),
            ("pieces at another port", 4_444, 2, false),
        ] {
            let rows = (0..20u8).map(|n| {
                let mut one = row(Address::v4([10, 0, 0, n]), party, n.into(), 80, 45);
                one.key.ports[1] = port;
                one.state = if n < begun { ConnState::SF } else { ConnState::OTH };
                one
            });
            let summary = summary_of(&rows.collect::<Vec<_>>(), &SummaryLimits::default());
            let (populations, places) = (populations(), Places::default());
            let scene = Scene::new(&summary, &populations, &places, None);
            assert_eq!(is_kept_alive(&scene, &scene.alone(|_| true)[0]), wanted, "{name}");
        }
    }

    #[test]
    fn a_camera_that_says_where_it_is_calls_all_its_servers_at_a_time() {
        let at = |last: u8| Address::v4([203, 0, 113, last]);
        // Ports of the parties, periods, and devices that call them; whether the first is one of several alike.
        for (name, parties, wanted) in [
            ("three at one port", vec![(32_100, 60.0, 1), (32_100, 60.5, 1), (32_100, 59.0, 1)], true),
            ("a probe that measures three paths", vec![(0, 240.0, 1), (0, 240.0, 1), (0, 240.0, 1)], true),
            ("two", vec![(32_100, 60.0, 1), (32_100, 60.0, 1)], false),
            ("one of them at another pace", vec![(32_100, 60.0, 1), (32_100, 60.0, 1), (32_100, 90.0, 1)], false),
            ("each at a port of its own", vec![(4_000, 60.0, 1), (5_000, 60.0, 1), (6_000, 60.0, 1)], false),
            ("three devices, each its own", vec![(32_100, 60.0, 1), (32_100, 60.0, 2), (32_100, 60.0, 3)], false),
        ] {
            let rows = parties.iter().enumerate().map(|(n, (port, _, device))| {
                let mut one = row(Address::v4([10, 0, 0, *device]), at(n as u8), n as u64, 80, 45);
                (one.key.protocol, one.key.ports[1]) = (if *port == 0 { ICMP } else { UDP }, *port);
                one
            });
            let summary = summary_of(&rows.collect::<Vec<_>>(), &SummaryLimits::default());
            let (populations, places) = (populations(), Places::default());
            let scene = Scene::new(&summary, &populations, &places, None);
            let groups = scene.alone(|_| true);
            let each: Vec<Measures> = (parties.iter())
                .map(|(_, period_s, _)| {
                    let one = measures(1, 0.0, 0.0, 1.0, 0.01);
                    Measures { rhythm: Rhythm { period_s: *period_s, ..one.rhythm }, ..one }
                })
                .collect();
            let meetings = Meetings::of(groups.iter().zip(&each));
            assert_eq!(meetings.are_many(&groups[0], &each[0]), wanted, "{name}");
        }
    }
}
