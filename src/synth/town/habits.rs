//! Habits: what devices and the people who hold them do, how often, with whom.
//! In: the table below. Out: an actor for each device and habit, which wakes when it is time and sleeps again.
//! Bounds: one small actor a device and habit. Figures start from the real captures of devices and browsing: over half of the
//! connections carry under 1.2 kB up and 0.8 kB down, one in ten lives for more than half a minute.

use super::DeviceNumber;
use super::catalogue::Kind;
use super::dial::{Dial, Naming, Way};
use super::homes::DeviceKind::{self, Console, Laptop, Phone, Television, Thing};
use super::pages::Browsing;
use super::script::{Amount, Close, Gap, Script};
use super::talk::{self, Talk, TalkKind};
use super::tcp::Opening;
use super::world::WorldKind;
use crate::synth::dice::{Dice, scaled, secs};
use crate::synth::stage::{Actor, Cx, Wake};
use crate::units::{DurationNs, TimestampNs};

/// Who decides when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clock {
    /// People: random, with the rhythm of the day.
    People,
    /// A program's timer.
    Machine,
    /// It is there all the time, from before the capture.
    Standing,
}

#[derive(Clone, Copy, Debug)]
enum Deed {
    Browse,
    Call,
    Game,
    AskTime,
    Ping,
    Chatter,
    /// On a file server inside.
    Files {
        script: Script,
    },
    /// By the device's other programs, over TLS.
    Program {
        with: Kind,
        port: u16,
        script: Script,
        heavy: Heavy,
    },
    /// In the clear.
    Plain {
        with: Kind,
        path: &'static str,
        kind: &'static str,
        down: Amount,
    },
}

/// Whether the scenario's volume scales the deed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heavy {
    Yes,
    No,
}

struct Habit {
    kinds: &'static [DeviceKind],
    per_hour: f64,
    clock: Clock,
    deed: Deed,
}

const fn lognormal(median: f64, sigma: f64) -> Amount {
    Amount::LogNormal { median, sigma }
}

const fn program(with: Kind, script: Script) -> Deed {
    Deed::Program { with, port: 443, script, heavy: Heavy::No }
}

const fn heavy(with: Kind, script: Script) -> Deed {
    Deed::Program { with, port: 443, script, heavy: Heavy::Yes }
}

const fn rounds(rounds: u32, wait: Gap, up: Amount, down: Amount) -> Script {
    Script { rounds, first: Gap::None, wait, up, down, think_s: 0.025, close: Close::ClientFin }
}

const HABITS: &[Habit] = &[
    Habit { kinds: &[Phone], per_hour: 0.9, clock: Clock::People, deed: Deed::Browse },
    Habit { kinds: &[Laptop], per_hour: 1.3, clock: Clock::People, deed: Deed::Browse },
    // Feeds: pictures and text, heavy-tailed.
    Habit {
        kinds: &[Phone],
        per_hour: 1.6,
        clock: Clock::People,
        deed: heavy(
            Kind::Social,
            rounds(
                14,
                Gap::LogNormal { median_s: 5.0, sigma: 1.1 },
                lognormal(620.0, 0.5),
                Amount::Pareto { low: 6e3, alpha: 0.9, high: 4e6 },
            ),
        ),
    },
    // Messages: as much goes as comes.
    Habit {
        kinds: &[Phone, Laptop],
        per_hour: 1.8,
        clock: Clock::People,
        deed: program(
            Kind::Messages,
            rounds(9, Gap::LogNormal { median_s: 7.0, sigma: 1.2 }, lognormal(340.0, 0.8), lognormal(380.0, 0.9)),
        ),
    },
    // Films in pieces of some seconds.
    Habit {
        kinds: &[Television],
        per_hour: 0.45,
        clock: Clock::People,
        deed: heavy(
            Kind::Video,
            rounds(160, Gap::Regular { every_s: 6.0, jitter: 0.2 }, lognormal(720.0, 0.2), lognormal(2.4e6, 0.5)),
        ),
    },
    Habit {
        kinds: &[Phone, Laptop],
        per_hour: 0.4,
        clock: Clock::People,
        deed: heavy(
            Kind::Video,
            rounds(30, Gap::Regular { every_s: 5.0, jitter: 0.3 }, lognormal(720.0, 0.2), lognormal(9e5, 0.6)),
        ),
    },
    // Programs that tell advertisers what was looked at: small up, rather more down.
    Habit {
        kinds: &[Phone, Laptop, Television],
        per_hour: 2.6,
        clock: Clock::People,
        deed: program(
            Kind::Adverts,
            rounds(2, Gap::Exponential { mean_s: 12.0 }, lognormal(880.0, 0.7), lognormal(1_500.0, 1.0)),
        ),
    },
    Habit {
        kinds: &[Phone, Laptop],
        per_hour: 2.0,
        clock: Clock::Machine,
        deed: Deed::Program {
            with: Kind::Mail,
            port: 993,
            script: rounds(5, Gap::Exponential { mean_s: 0.15 }, lognormal(70.0, 0.5), lognormal(420.0, 1.3)),
            heavy: Heavy::No,
        },
    },
    Habit {
        kinds: &[Phone, Laptop, Television, Console],
        per_hour: 0.8,
        clock: Clock::Machine,
        deed: program(Kind::OsTelemetry, rounds(1, Gap::None, lognormal(760.0, 0.5), lognormal(2_400.0, 1.0))),
    },
    // Small things ask their maker whether there is something to do.
    Habit {
        kinds: &[Thing],
        per_hour: 3.0,
        clock: Clock::Machine,
        deed: program(Kind::Things, rounds(1, Gap::None, lognormal(430.0, 0.4), lognormal(610.0, 0.6))),
    },
    Habit {
        kinds: &[Thing],
        per_hour: 0.0,
        clock: Clock::Standing,
        deed: Deed::Program {
            with: Kind::Things,
            port: 8883,
            script: rounds(
                u32::MAX,
                Gap::Regular { every_s: 120.0, jitter: 0.02 },
                lognormal(36.0, 0.3),
                lognormal(33.0, 0.1),
            ),
            heavy: Heavy::No,
        },
    },
    // The line that wakes a telephone up.
    Habit {
        kinds: &[Phone, Laptop],
        per_hour: 0.0,
        clock: Clock::Standing,
        deed: Deed::Program {
            with: Kind::Push,
            port: 5228,
            script: rounds(
                u32::MAX,
                Gap::LogNormal { median_s: 420.0, sigma: 0.8 },
                lognormal(34.0, 0.3),
                lognormal(52.0, 1.1),
            ),
            heavy: Heavy::No,
        },
    },
    // Photographs and documents on their way to a cloud.
    Habit {
        kinds: &[Phone, Laptop],
        per_hour: 0.2,
        clock: Clock::People,
        deed: heavy(
            Kind::Cloud,
            rounds(3, Gap::Exponential { mean_s: 3.0 }, lognormal(9e5, 1.2), lognormal(620.0, 0.4)),
        ),
    },
    Habit {
        kinds: &[Laptop, Phone, Console, Television],
        per_hour: 0.06,
        clock: Clock::People,
        deed: heavy(
            Kind::Updates,
            rounds(8, Gap::Exponential { mean_s: 1.0 }, lognormal(640.0, 0.2), lognormal(9e6, 1.0)),
        ),
    },
    Habit { kinds: &[Thing, Television, Laptop, Console], per_hour: 1.1, clock: Clock::Machine, deed: Deed::AskTime },
    Habit { kinds: &[Thing], per_hour: 1.5, clock: Clock::Machine, deed: Deed::Ping },
    Habit { kinds: &[Phone, Television, Laptop], per_hour: 0.5, clock: Clock::People, deed: Deed::Chatter },
    Habit {
        kinds: &[Phone, Laptop, Television],
        per_hour: 0.9,
        clock: Clock::Machine,
        deed: Deed::Plain { with: Kind::Check, path: "/generate_204", kind: "text/plain", down: Amount::Fixed(8.0) },
    },
    Habit {
        kinds: &[Laptop, Phone],
        per_hour: 0.5,
        clock: Clock::People,
        deed: Deed::Plain {
            with: Kind::PlainWeb,
            path: "/index.html",
            kind: "text/html",
            down: lognormal(6_500.0, 1.3),
        },
    },
    // Small things still talk in the clear.
    Habit {
        kinds: &[Thing, Television],
        per_hour: 3.0,
        clock: Clock::Machine,
        deed: Deed::Plain {
            with: Kind::PlainWeb,
            path: "/api/status",
            kind: "application/json",
            down: lognormal(260.0, 0.9),
        },
    },
    Habit { kinds: &[Console, Laptop], per_hour: 0.2, clock: Clock::People, deed: Deed::Game },
    Habit { kinds: &[Phone, Laptop], per_hour: 0.12, clock: Clock::People, deed: Deed::Call },
];

/// What desks do beside: files, applications, the directory, and the log that is collected of everybody.
const AT_DESKS: &[Habit] = &[
    Habit {
        kinds: &[Laptop],
        per_hour: 3.0,
        clock: Clock::People,
        deed: Deed::Files {
            script: rounds(
                6,
                Gap::LogNormal { median_s: 0.8, sigma: 1.4 },
                Amount::Pareto { low: 180.0, alpha: 0.7, high: 3e6 },
                Amount::Pareto { low: 220.0, alpha: 0.6, high: 8e6 },
            ),
        },
    },
    Habit {
        kinds: &[Laptop],
        per_hour: 4.0,
        clock: Clock::People,
        deed: program(
            Kind::WebApplication,
            rounds(
                9,
                Gap::LogNormal { median_s: 5.0, sigma: 1.3 },
                lognormal(780.0, 0.6),
                Amount::Pareto { low: 900.0, alpha: 1.0, high: 9e5 },
            ),
        ),
    },
    Habit {
        kinds: &[Laptop],
        per_hour: 2.0,
        clock: Clock::Machine,
        deed: Deed::Program {
            with: Kind::Directory,
            port: 636,
            script: rounds(4, Gap::Exponential { mean_s: 0.1 }, lognormal(210.0, 0.4), lognormal(900.0, 1.0)),
            heavy: Heavy::No,
        },
    },
    Habit {
        kinds: &[Laptop, Thing],
        per_hour: 0.0,
        clock: Clock::Standing,
        deed: Deed::Program {
            with: Kind::Collector,
            port: super::network::SYSLOG_PORT,
            script: rounds(u32::MAX, Gap::Exponential { mean_s: 45.0 }, lognormal(410.0, 0.8), Amount::Nothing),
            heavy: Heavy::No,
        },
    },
];

/// What the things of a fleet do beside: readings by the clock, and clips when something moves.
const IN_FLEETS: &[Habit] = &[
    Habit {
        kinds: &[Thing],
        per_hour: 4.0,
        clock: Clock::Machine,
        deed: Deed::Program {
            with: Kind::Platform,
            port: 8883,
            script: rounds(2, Gap::Exponential { mean_s: 0.3 }, lognormal(620.0, 0.25), lognormal(60.0, 0.3)),
            heavy: Heavy::No,
        },
    },
    Habit {
        kinds: &[Thing],
        per_hour: 0.25,
        clock: Clock::People,
        deed: heavy(
            Kind::Platform,
            rounds(5, Gap::Exponential { mean_s: 1.5 }, lognormal(2.5e5, 0.9), lognormal(120.0, 0.3)),
        ),
    },
];

/// The habits of a world, each with its number.
fn of_world(kind: WorldKind) -> impl Iterator<Item = (u64, &'static Habit)> {
    let beside = match kind {
        WorldKind::Enterprise => AT_DESKS,
        WorldKind::Fleet => IN_FLEETS,
        WorldKind::Town | WorldKind::SharedTown | WorldKind::Campus | WorldKind::Mobile => &[],
    };
    // Nobody plays at the office, and neighbours' chatter passes no translator and no base station.
    let fits = move |habit: &&Habit| match habit.deed {
        Deed::Game => kind != WorldKind::Enterprise,
        Deed::Chatter => !matches!(kind, WorldKind::SharedTown | WorldKind::Mobile),
        _ => true,
    };
    HABITS.iter().chain(beside).enumerate().map(|(i, habit)| (i as u64, habit)).filter(move |(_, habit)| fits(habit))
}

/// A device's habit.
struct Habitual {
    device: DeviceNumber,
    habit: &'static Habit,
    /// The one service of its kind that a standing or timed program keeps to.
    loyal_to: Option<u32>,
    dice: Dice,
}

/// Gives every device its habits.
pub(crate) fn install(cx: &mut Cx) {
    for number in 0..cx.town.devices.len() as DeviceNumber {
        if crate::synth::town::Town::subscriber_of(cx.town.address_of(number, false)).is_none() {
            continue;
        }
        for (i, habit) in of_world(cx.town.world.kind) {
            if !habit.kinds.contains(&cx.town.device(number).kind) {
                continue;
            }
            let mut dice = cx.town.seeds.dice("habit", u64::from(number) << 8 | i);
            let loyal_to = match (&habit.deed, habit.clock) {
                (Deed::Program { with, .. }, Clock::Machine | Clock::Standing) => {
                    Some(cx.town.catalogue.draw(*with, &mut dice))
                }
                _ => None,
            };
            let mut habitual = Habitual { device: number, habit, loyal_to, dice };
            if let Some(first) = habitual.first(cx) {
                cx.stage.spawn(first, Box::new(habitual));
            }
        }
    }
}

impl Habitual {
    fn rate(&self, cx: &Cx) -> f64 {
        self.habit.per_hour * cx.town.activity * cx.town.device(self.device).zeal
    }

    fn first(&mut self, cx: &mut Cx) -> Option<TimestampNs> {
        match self.habit.clock {
            Clock::People => Some(cx.town.next_time(cx.stage.start, self.rate(cx), &mut self.dice)),
            Clock::Machine => {
                let every = 3600.0 / (self.habit.per_hour * cx.town.activity).max(1e-6);
                Some(cx.stage.start.after(self.dice.secs_between(0.0, every)))
            }
            // Eight in ten have their line up already; the others are off. Thin worlds have fewer lines, not slower ones.
            Clock::Standing => self.dice.chance(0.8 * (5.0 * cx.town.activity).min(1.0)).then_some(cx.stage.start),
        }
    }

    fn next(&mut self, now: TimestampNs, cx: &Cx) -> Wake {
        match self.habit.clock {
            Clock::People => Wake::At(cx.town.next_time(now, self.rate(cx), &mut self.dice)),
            Clock::Machine => {
                let every = secs(3600.0 / (self.habit.per_hour * cx.town.activity).max(1e-6));
                Wake::At(now.after(self.dice.about(every, 0.12)))
            }
            Clock::Standing => Wake::Gone,
        }
    }

    fn act(&mut self, now: TimestampNs, cx: &mut Cx) {
        let device = self.device;
        match self.habit.deed {
            Deed::Browse => Browsing::open(device, now, &mut self.dice, cx),
            Deed::Call => {
                let pictures_bps = if self.dice.chance(0.6) { 900e3 } else { 0.0 };
                let lasts = scaled(secs(self.dice.lognormal(260.0, 1.1)), cx.town.volume);
                self.talk(Kind::Call, TalkKind::Call { pictures_bps }, lasts, now, cx);
            }
            Deed::Game => {
                let lasts = scaled(secs(self.dice.lognormal(1_500.0, 0.7)), cx.town.volume);
                self.talk(Kind::Game, TalkKind::Game { ticks_hz: 30.0 }, lasts, now, cx);
            }
            Deed::AskTime => {
                let service = cx.town.catalogue.draw(Kind::Ntp, &mut self.dice);
                talk::ask_time(device, service, now, 0, &mut self.dice, cx);
            }
            Deed::Ping => {
                let service = cx.town.catalogue.draw(Kind::Check, &mut self.dice);
                talk::ping(device, service, now, &mut self.dice, cx);
            }
            Deed::Files { script } => self.files(now, script, cx),
            Deed::Chatter => talk::chatter(device, now, &mut self.dice, cx),
            Deed::Program { with, port, script, heavy } => self.program(now, with, port, script, heavy, cx),
            Deed::Plain { with, path, kind, down } => {
                let service = cx.town.catalogue.draw(with, &mut self.dice);
                plain(device, service, path, kind, down, now, &mut self.dice, cx);
            }
        }
    }

    fn files(&mut self, now: TimestampNs, mut script: Script, cx: &mut Cx) {
        let service = cx.town.catalogue.draw(Kind::Files, &mut self.dice);
        (script.up, script.down) = (script.up.limited(cx.town.volume), script.down.limited(cx.town.volume));
        let (device, opening) = (self.device, Opening::Handshake);
        let dial = Dial { device, service, port: 445, way: Way::Smb, script, opening, label: 0, carried: 0 };
        dial.open(now, &mut self.dice, cx);
    }

    fn talk(&mut self, with: Kind, kind: TalkKind, lasts: DurationNs, now: TimestampNs, cx: &mut Cx) {
        let service = cx.town.catalogue.draw(with, &mut self.dice);
        Talk::open(self.device, service, kind, lasts, 0, now, &mut self.dice, cx);
    }

    fn program(&mut self, now: TimestampNs, with: Kind, port: u16, script: Script, heavy: Heavy, cx: &mut Cx) {
        let service = self.loyal_to.unwrap_or_else(|| cx.town.catalogue.draw(with, &mut self.dice));
        let mut script = script;
        if heavy == Heavy::Yes {
            let large = |amount: Amount| match amount {
                Amount::LogNormal { median, .. } if median < 2e3 => amount,
                amount => amount.scaled(cx.town.volume),
            };
            (script.up, script.down) = (large(script.up), large(script.down));
        }
        if script.rounds > 1 && script.rounds < u32::MAX {
            script.rounds = self.dice.lognormal(f64::from(script.rounds), 0.5).clamp(1.0, 2_000.0) as u32;
            script.close = *self.dice.pick(&[Close::ClientFin, Close::ClientFin, Close::ServerFin, Close::ClientReset]);
        }
        let mut dial = Dial::program(self.device, service, script, cx.town);
        dial.port = port;
        if self.habit.clock == Clock::Standing {
            dial.opening = Opening::Midway;
            if let Gap::Regular { every_s, .. } | Gap::LogNormal { median_s: every_s, .. } = script.wait {
                dial.script.first = Gap::Exponential { mean_s: every_s };
            }
        }
        dial.open(now, &mut self.dice, cx);
    }
}

/// A request in the clear.
#[expect(clippy::too_many_arguments, reason = "each is a different thing")]
pub(crate) fn plain(
    device: DeviceNumber,
    service: u32,
    path: &'static str,
    kind: &'static str,
    down: Amount,
    at: TimestampNs,
    dice: &mut Dice,
    cx: &mut Cx,
) {
    let mut script = Script::once(Amount::Nothing, down);
    script.rounds = 1 + dice.below(2) as u32;
    script.wait = Gap::Exponential { mean_s: 0.4 };
    let way = Way::Http { method: "GET", path, kind };
    let opening = Opening::Handshake;
    Dial { device, service, port: 80, way, script, opening, label: 0, carried: 0 }.open(at, dice, cx);
}

impl Actor for Habitual {
    fn wake(&mut self, now: TimestampNs, cx: &mut Cx) -> Wake {
        self.act(now, cx);
        self.next(now, cx)
    }
}

/// A call by one of the device's programs that names whom it wants by this naming.
pub(crate) fn by_program(device: DeviceNumber, service: u32, script: Script, naming: Naming, cx: &Cx) -> Dial {
    let mut dial = Dial::program(device, service, script, cx.town);
    if let Way::Tls { naming: own, .. } = &mut dial.way {
        *own = naming;
    }
    dial
}
