//! Documented: names whose owners say in public what is sent there.
//! In: a group, a kind of names. Out: whether nearly all that is asked for there are such names, and devices looked them up here.
//! A duty officer knows these by name and shrugs, so they are told at `low`: the register says who may, and this list only that it is no
//! stranger. Whoever takes such a name must have it looked up and be what is answered; that can be staged, and is told at `low` then.
//! Source: the owners' own pages on what is sent where, 2026: what systems and browsers report and how to turn it off (Microsoft:
//! diagnostic data endpoints of Windows and Office; Apple: hosts used on enterprise networks; Google: Chrome enterprise; Mozilla:
//! telemetry; Canonical: ubuntu-report); where films and live pictures are sent (Twitch and Amazon IVS: ingest
//! endpoints; YouTube: uploads and RTMP; Facebook: live API); where weather stations report (upload protocols of Weather Underground,
//! Weathercloud, PWSWeather, Windy, AWEKAS, Sensor.Community, openSenseMap, Met Office WOW).

use crate::detect::scene::{Group, Scene};
use crate::units::Address;

/// Names, and all below them.
#[derive(Clone, Copy, Debug)]
pub struct Documented(&'static [&'static str]);

/// What systems and browsers report to their makers.
pub const TELEMETRY: Documented = Documented(&[
    "events.data.microsoft.com",
    "telemetry.microsoft.com",
    "settings-win.data.microsoft.com",
    "watson.microsoft.com",
    "wdcp.microsoft.com",
    "xp.apple.com",
    "metrics.apple.com",
    "metrics.icloud.com",
    "crashlyticsreports-pa.googleapis.com",
    "firebaselogging-pa.googleapis.com",
    "update.googleapis.com",
    "incoming.telemetry.mozilla.org",
    "metrics.ubuntu.com",
    "daisy.ubuntu.com",
]);
/// Where people send films and live pictures to be shown.
pub const PICTURES: Documented = Documented(&[
    "contribute.live-video.net",
    "global-contribute.live-video.net",
    "youtube.com",
    "live-api-s.facebook.com",
]);
/// Where weather stations of hobbyists report.
pub const STATIONS: Documented = Documented(&[
    "weatherstation.wunderground.com",
    "rtupdate.wunderground.com",
    "api.weathercloud.net",
    "pwsupdate.pwsweather.com",
    "stations.windy.com",
    "data.awekas.at",
    "api.sensor.community",
    "ingress.opensensemap.org",
    "wow.metoffice.gov.uk",
]);
/// Share of what is asked for by name that must be such.
const NEARLY_ALL: f64 = 0.9;
/// Share of the rows that must say a name.
const NAMED_MIN: f64 = 0.5;

impl Documented {
    /// Whether a name is one of them.
    fn has(self, name: &str) -> bool {
        let is_below =
            |known: &&str| name.strip_suffix(known).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        self.0.iter().any(is_below)
    }

    /// See the file's header.
    pub fn is_all_of(self, scene: &Scene<'_>, group: &Group<'_>) -> bool {
        let whole = &group.whole;
        let is_known = |id| scene.summary.texts.of(id).is_some_and(|name| self.has(name));
        let documented: u64 = whole.names.iter().filter(|(id, _)| is_known(*id)).map(|(_, rows)| rows).sum();
        let names = || scene.names_of(&group.of.addresses);
        // Of a domain the addresses know which of its names are asked for.
        let is_all = match whole.names.total() {
            0 => whole.rows_named > 0 && !names().is_empty() && names().iter().all(|name| self.has(name)),
            all => documented as f64 >= NEARLY_ALL * all as f64,
        };
        let is_looked_up = |address: &Address| scene.is_looked_up_as(*address, |name| self.has(name));
        is_all
            && whole.rows_named as f64 >= NAMED_MIN * whole.totals.rows as f64
            && group.of.addresses.iter().all(is_looked_up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_documented_with_all_below_it_and_nothing_beside_it() {
        for (name, wanted) in [
            ("v10.events.data.microsoft.com", true),
            ("events.data.microsoft.com", true),
            ("myevents.data.microsoft.com", false),
            ("events.data.microsoft.com.stranger.example", false),
            ("data.microsoft.com", false),
            ("ams02.contribute.live-video.net", false),
        ] {
            assert_eq!(TELEMETRY.has(name), wanted, "{name}");
            assert_eq!(PICTURES.has(name), name.ends_with("live-video.net"), "{name}");
            assert!(!STATIONS.has(name), "{name}");
        }
    }

    #[test]
    fn a_stations_name_is_where_it_reports_and_not_its_makers_site() {
        for (name, wanted) in [("rtupdate.wunderground.com", true), ("www.wunderground.com", false)] {
            assert_eq!(STATIONS.has(name), wanted, "{name}");
        }
    }

    #[test]
    fn a_name_counts_where_it_was_looked_up_and_stands_for_nearly_all() {
        use crate::flow::row::FlowRow;
        use crate::packet::facts::AppFacts;
        use crate::population::limits::SummaryLimits;
        use crate::population::places::Places;
        use crate::population::summary::tests::{TurnedOver, looked_up, populations, row, summary_of};
        use crate::population::{AddContext, Populations};

        let (party, known) = (Address::v4([203, 0, 113, 7]), "v10.events.data.microsoft.com");
        let populations: Populations = populations();
        // What each of ten rows asks for, and for which name it was looked up.
        for (name, asked, other, known_as, wanted) in [
            ("a maker's", known, known, Some(known), true),
            ("who takes the name without being it", known, known, None, false),
            ("who is looked up by another name", known, known, Some("a.stranger.example"), false),
            ("who serves other names as well", known, "a.stranger.example", Some(known), false),
        ] {
            let rows = (0..10u8).map(|n| {
                let server_name = Some(if n < 7 { asked } else { other }.into());
                let facts = Some(std::sync::Arc::new(AppFacts { server_name, ..AppFacts::default() }));
                FlowRow { facts, ..row(Address::v4([10, 0, 0, n]), party, n.into(), 800, 90) }
            });
            let rows: Vec<FlowRow> = rows.collect();
            let limits = SummaryLimits::default();
            let mut summary = summary_of(&rows, &limits);
            let lookup = known_as.map(|name| looked_up(Address::v4([10, 0, 0, 1]), name, party, rows[0].ts_first));
            let mut cx = AddContext { populations: &populations, identity: &mut TurnedOver(1), limits: &limits };
            summary.add_observations(&lookup.into_iter().collect::<Vec<_>>(), &mut cx);
            let places = Places::default();
            let scene = Scene::new(&summary, &populations, &places, None);
            assert_eq!(TELEMETRY.is_all_of(&scene, &scene.alone(|(key, _)| key.address == party)[0]), wanted, "{name}");
        }
    }
}
