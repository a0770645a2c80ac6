//! Network: what a world has beside its people: an enterprise's servers and who calls them, the user plane of a mobile network,
//! the platforms of a fleet. In: a world. Out: services, machines, their habits, entries of the register.
//! Bounds: a dozen machines. Capture point of an enterprise: its core switch, so that inside talk shows.

use super::DeviceNumber;
use super::catalogue::Kind;
use super::dial::{Dial, Naming, Way};
use super::machines::Distance;
use super::script::{Amount, Gap, Script};
use super::stack::{SERVER, WINDOWS};
use super::tcp::Opening;
use super::world::WorldKind;
use crate::synth::dice::{Dice, secs};
use crate::synth::labels::Registered;
use crate::synth::stage::{Actor, Cx, Wake};
use crate::synth::town::plane::UserPlane;
use crate::synth::wire::hello::{CHROME, OPENSSL, SCHANNEL};
use crate::units::TimestampNs;

/// Where an enterprise's servers stand: kind, name, last two bytes of the address.
const SERVERS: &[(Kind, &str, [u8; 2])] = &[
    (Kind::Files, "files1.intern.example", [252, 10]),
    (Kind::Files, "files2.intern.example", [252, 11]),
    (Kind::Database, "db.intern.example", [252, 20]),
    (Kind::WebApplication, "erp.intern.example", [252, 30]),
    (Kind::WebApplication, "portal.intern.example", [252, 31]),
    (Kind::Directory, "dc1.intern.example", [252, 40]),
    (Kind::Directory, "dc2.intern.example", [252, 41]),
    (Kind::Collector, "log.intern.example", [252, 50]),
];
const BACKUP: ([u8; 2], &str) = ([252, 60], "backup.intern.example");
/// Oracle's port for TLS; WinRM's; that of syslog over TLS (RFC 5425).
const DATABASE_PORT: u16 = 2_484;
const MONITORING_PORT: u16 = 5_986;
pub(super) const SYSLOG_PORT: u16 = 6_514;
/// Outsiders who use the web application.
const VISITORS: u32 = 14;
/// Makers of a fleet's things.
const MAKERS: [&str; 3] = ["iot.meterwerk.example", "hub.camerahuis.example", "track.volgbaken.example"];
const STATIONS: u8 = 24;

/// Sets up what the world has.
pub(crate) fn install(cx: &mut Cx, registered: &mut Vec<Registered>) {
    match cx.town.world.kind {
        WorldKind::Enterprise => enterprise(cx),
        WorldKind::Mobile => {
            let stations = (0..STATIONS).map(|i| cx.town.machine_at(251, 10 + i)).collect();
            let gateway = cx.town.machine_at(250, 1);
            cx.stage.plane = Some(UserPlane::new(stations, gateway, &mut cx.town.seeds.dice("user plane", 0)));
        }
        WorldKind::Fleet => fleet(cx, registered),
        WorldKind::Town | WorldKind::SharedTown | WorldKind::Campus => {}
    }
}

fn fleet(cx: &mut Cx, registered: &mut Vec<Registered>) {
    for (i, name) in MAKERS.into_iter().enumerate() {
        let service = cx.town.catalogue.add_platform(name.to_owned());
        let addresses = &cx.town.catalogue.get(service).addresses;
        registered.push(Registered {
            name: format!("Platform of maker {}", i + 1),
            collectors: addresses.iter().map(ToString::to_string).chain([format!("sni:{name}")]).collect(),
            reference: format!("DPIA-2025-{:03}", 30 + i),
        });
    }
}

fn enterprise(cx: &mut Cx) {
    let mut dice = cx.town.seeds.dice("servers", 0);
    for &(kind, name, [c, d]) in SERVERS {
        let address = cx.town.machine_at(c, d);
        cx.town.catalogue.add_inside(kind, name.to_owned(), address);
    }
    let ([c, d], name) = BACKUP;
    let address = cx.town.machine_at(c, d);
    let backup = cx.town.catalogue.add_machine(name.to_owned(), address);
    // The web application asks the database, the monitor asks everybody, everybody saves itself at night.
    let database = cx.town.catalogue.all(Kind::Database);
    let ask = Script {
        rounds: u32::MAX,
        first: Gap::Exponential { mean_s: 3.0 },
        wait: Gap::LogNormal { median_s: 2.5, sigma: 1.2 },
        ..Script::once(
            Amount::LogNormal { median: 420.0, sigma: 0.7 },
            Amount::Pareto { low: 300.0, alpha: 1.1, high: 6e5 },
        )
    };
    let poll = Script::once(
        Amount::LogNormal { median: 900.0, sigma: 0.2 },
        Amount::LogNormal { median: 4_200.0, sigma: 0.5 },
    );
    let piece = Amount::LogNormal { median: 6e6, sigma: 0.8 }.scaled(cx.town.volume);
    let save = Script {
        rounds: 12,
        wait: Gap::Exponential { mean_s: 1.0 },
        ..Script::once(piece, Amount::LogNormal { median: 300.0, sigma: 0.2 })
    };
    for (i, d) in [30u8, 31].into_iter().enumerate() {
        let device = machine(cx, [252, d], &mut dice);
        let opening = Opening::Midway;
        let port = DATABASE_PORT;
        let at = cx.stage.start.after(dice.secs_between(0.0, 2.0 + i as f64));
        spawn(
            cx,
            at,
            Caller { device, services: database.clone(), port, script: ask, opening, when: When::Once },
            &mut dice,
        );
    }
    let watched: Vec<u32> = SERVERS.iter().flat_map(|(kind, ..)| cx.town.catalogue.all(*kind)).collect();
    let monitor = machine(cx, [252, 70], &mut dice);
    for service in watched {
        let when = When::Every { every_s: 60.0, share: 0.01 };
        let opening = Opening::Handshake;
        let at = cx.stage.start.after(dice.secs_between(0.0, 60.0));
        let caller =
            Caller { device: monitor, services: vec![service], port: MONITORING_PORT, script: poll, opening, when };
        spawn(cx, at, caller, &mut dice);
    }
    for d in [10u8, 11, 20, 30] {
        let device = machine(cx, [252, d], &mut dice);
        let at = next_night(cx.stage.start, &mut dice);
        let when = When::Every { every_s: 86_400.0, share: 0.02 };
        let opening = Opening::Handshake;
        spawn(cx, at, Caller { device, services: vec![backup], port: 8_443, script: save, opening, when }, &mut dice);
    }
    visitors(cx, &mut dice);
}

/// Outsiders who call the portal from home and on the way.
fn visitors(cx: &mut Cx, dice: &mut Dice) {
    let portal = cx.town.catalogue.all(Kind::WebApplication).last().copied().unwrap_or_default();
    let visit = Script {
        rounds: 8,
        wait: Gap::LogNormal { median_s: 4.0, sigma: 1.3 },
        ..Script::once(
            Amount::LogNormal { median: 700.0, sigma: 0.6 },
            Amount::Pareto { low: 1_500.0, alpha: 1.1, high: 2e6 },
        )
    };
    for i in 0..VISITORS {
        let address = cx.town.outside_address(&format!("guest{i}.breedband.example")).as_v4().unwrap_or_default();
        let distance = Distance::abroad(dice);
        let device = cx.town.add_machine(address, distance, &WINDOWS, &CHROME, dice, cx.stage);
        let at = cx.town.next_time(cx.stage.start, 1.5 * cx.town.activity, dice);
        let opening = Opening::Handshake;
        let when = When::People { per_hour: 1.5 };
        spawn(cx, at, Caller { device, services: vec![portal], port: 443, script: visit, opening, when }, dice);
    }
}

fn machine(cx: &mut Cx, [c, d]: [u8; 2], dice: &mut Dice) -> DeviceNumber {
    let address = cx.town.machine_at(c, d).as_v4().unwrap_or_default();
    let (stack, hello) = if d < 30 { (&WINDOWS, &SCHANNEL) } else { (&SERVER, &OPENSSL) };
    cx.town.add_machine(address, Distance::NEAR, stack, hello, dice, cx.stage)
}

/// Two in the morning, give or take half an hour.
fn next_night(start: TimestampNs, dice: &mut Dice) -> TimestampNs {
    let second = start.0 / 1_000_000_000 % 86_400;
    start.after(secs(((86_400 + 7_200 - second) % 86_400) as f64)).after(dice.secs_between(0.0, 1_800.0))
}

fn spawn(cx: &mut Cx, at: TimestampNs, caller: Caller, dice: &mut Dice) {
    cx.stage.spawn(at, Box::new(Calling { caller, dice: dice.fork() }));
}

enum When {
    Once,
    Every { every_s: f64, share: f64 },
    People { per_hour: f64 },
}

/// A machine's habit.
struct Caller {
    device: DeviceNumber,
    services: Vec<u32>,
    port: u16,
    script: Script,
    opening: Opening,
    when: When,
}

struct Calling {
    caller: Caller,
    dice: Dice,
}

impl Actor for Calling {
    fn wake(&mut self, now: TimestampNs, cx: &mut Cx) -> Wake {
        let Caller { device, port, script, opening, .. } = self.caller;
        let service = *self.dice.pick(&self.caller.services);
        let hello = cx.town.device(device).program;
        // Machines inside know their names; a visitor's resolver is not seen from here.
        let naming = Naming::Known;
        let way = Way::Tls { hello, naming };
        Dial { device, service, port, way, script, opening, label: 0, carried: 0 }.open(now, &mut self.dice, cx);
        match self.caller.when {
            When::Once => Wake::Gone,
            When::Every { every_s, share } => Wake::At(now.after(self.dice.about(secs(every_s), share))),
            When::People { per_hour } => Wake::At(cx.town.next_time(now, per_hour * cx.town.activity, &mut self.dice)),
        }
    }
}
