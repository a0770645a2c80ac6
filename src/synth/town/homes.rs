//! Homes: who lives behind an address, and with which devices.
//! In: a home's number and its dice. Out: a home, its devices. Shares follow what surveys of households say, roughly: two
//! telephones, a laptop in two homes of three, a television in two of three, two or three small things.

use std::ops::Range;

use super::stack::{self, IdHabit, PortHabit, Stack};
use super::world::WorldKind;
use super::{DeviceNumber, Town};
use crate::synth::dice::{Dice, secs};
use crate::synth::stage::Stage;
use crate::synth::wire::hello::{self, HelloStack};
use crate::synth::wire::packet::IpId;
use crate::units::{DurationNs, TimestampNs};

/// One home.
pub(crate) struct Home {
    pub(crate) v4: [u8; 4],
    /// First eight bytes of its IPv6 addresses.
    pub(crate) v6: Option<[u8; 8]>,
    /// One way from the capture point.
    pub(crate) delay: DurationNs,
    /// Routers between its devices and the capture point.
    pub(crate) hops: u8,
    pub(crate) down_bps: f64,
    pub(crate) up_bps: f64,
    /// Largest segment over IPv4 (PPPoE takes eight bytes).
    pub(crate) mss: u16,
    /// Share of segments lost; none: the town's.
    pub(crate) loss: Option<f64>,
    pub(crate) devices: Range<DeviceNumber>,
    /// Where a carrier's translator gives it a part of an address: the first of its ports, and how many.
    pub(crate) ports_own: Option<[u16; 2]>,
    /// Translated ports in use.
    pub(crate) ports_live: Vec<u16>,
    /// Names that the home's router remembers: service, until when.
    pub(crate) names: Vec<(u32, TimestampNs)>,
}

/// What a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DeviceKind {
    Phone,
    Laptop,
    Television,
    Console,
    Thing,
    /// A server of the town's own, without people.
    Machine,
}

/// One device.
pub(crate) struct Device {
    pub(crate) home: u32,
    pub(crate) kind: DeviceKind,
    pub(crate) stack: &'static Stack,
    /// What its browser or main program speaks.
    pub(crate) browser: &'static HelloStack,
    /// What its other programs speak.
    pub(crate) program: &'static HelloStack,
    pub(crate) agent: &'static str,
    pub(crate) interface: [u8; 8],
    pub(crate) port: u16,
    pub(crate) counter: IpId,
    /// How much more or less than others it does.
    pub(crate) zeal: f64,
    /// Services with which it can resume a session.
    pub(crate) sessions: Vec<u32>,
}

/// Kind, system, programs.
struct Model {
    kind: DeviceKind,
    stack: &'static Stack,
    browser: &'static HelloStack,
    program: &'static HelloStack,
    agent: &'static str,
}

const fn model(
    kind: DeviceKind,
    stack: &'static Stack,
    browser: &'static HelloStack,
    program: &'static HelloStack,
    agent: &'static str,
) -> Model {
    Model { kind, stack, browser, program, agent }
}

const PHONES: [(f64, Model); 2] = [
    (
        0.6,
        model(
            DeviceKind::Phone,
            &stack::ANDROID,
            &hello::CHROME,
            &hello::ANDROID,
            "Dalvik/2.1.0 (Linux; U; Android 15)",
        ),
    ),
    (
        0.4,
        model(DeviceKind::Phone, &stack::APPLE, &hello::SAFARI, &hello::SAFARI, "CFNetwork/1568.200.51 Darwin/24.1.0"),
    ),
];
const LAPTOPS: [(f64, Model); 4] = [
    (0.5, model(DeviceKind::Laptop, &stack::WINDOWS, &hello::CHROME, &hello::SCHANNEL, "Microsoft NCSI")),
    (
        0.2,
        model(DeviceKind::Laptop, &stack::WINDOWS, &hello::FIREFOX, &hello::SCHANNEL, "Mozilla/5.0 (Windows NT 10.0)"),
    ),
    (0.22, model(DeviceKind::Laptop, &stack::APPLE, &hello::SAFARI, &hello::SAFARI, "CaptiveNetworkSupport-481 wispr")),
    (0.08, model(DeviceKind::Laptop, &stack::LINUX, &hello::FIREFOX, &hello::OPENSSL, "curl/8.5.0")),
];
const TELEVISIONS: [(f64, Model); 2] = [
    (
        0.7,
        model(
            DeviceKind::Television,
            &stack::OLD_LINUX,
            &hello::OPENSSL,
            &hello::OPENSSL,
            "SmartTV/7.0 (Linux armv7l)",
        ),
    ),
    (
        0.3,
        model(
            DeviceKind::Television,
            &stack::ANDROID,
            &hello::CHROME,
            &hello::ANDROID,
            "Dalvik/2.1.0 (Linux; U; Android 12; TV)",
        ),
    ),
];
const CONSOLES: [(f64, Model); 1] =
    [(1.0, model(DeviceKind::Console, &stack::LINUX, &hello::OPENSSL, &hello::OPENSSL, "libhttp/11.00"))];
const THINGS: [(f64, Model); 2] = [
    (0.55, model(DeviceKind::Thing, &stack::SMALL, &hello::MBEDTLS, &hello::MBEDTLS, "esp-idf/5.1")),
    (0.45, model(DeviceKind::Thing, &stack::OLD_LINUX, &hello::OPENSSL, &hello::OPENSSL, "thing-agent/2.3")),
];

/// How many devices of each sort a subscriber has: weights of none, one, two ….
struct Household {
    phones: &'static [f64],
    laptops: &'static [f64],
    televisions: &'static [f64],
    consoles: &'static [f64],
    things: &'static [f64],
    /// Lines to draw from, bits a second; and the share of one that goes up.
    lines_bps: &'static [f64],
    up_share: [f64; 2],
    /// One way to the capture point: median in seconds, spread.
    delay: [f64; 2],
    hops: u8,
    /// Segment sizes to draw from.
    mss: &'static [u16],
    loss: Option<f64>,
}

const LINES: &[f64] = &[30e6, 50e6, 100e6, 100e6, 250e6, 500e6];
const NONE: &[f64] = &[1.0];

const HOME: Household = Household {
    phones: &[0.0, 3.0, 4.0, 2.0, 1.0],
    laptops: &[3.3, 4.5, 2.2],
    televisions: &[3.5, 5.0, 1.5],
    consoles: &[8.0, 2.0],
    things: &[2.0, 2.0, 2.5, 2.0, 1.5],
    lines_bps: LINES,
    up_share: [0.1, 0.5],
    delay: [0.005, 0.45],
    hops: 1,
    mss: &[1460, 1460, 1460, 1460, 1460, 1460, 1460, 1452, 1452, 1452],
    loss: None,
};
/// Beyond the translator: one more router, a little farther away.
const SHARED_HOME: Household = Household { hops: 3, delay: [0.007, 0.4], ..HOME };
/// A desk has an address for each machine: mostly a laptop, some telephones, some printers and the like.
const DESK: Household = Household {
    phones: &[9.0, 1.0],
    laptops: &[1.0, 9.0],
    televisions: NONE,
    consoles: NONE,
    things: &[8.5, 1.5],
    lines_bps: &[1e9],
    up_share: [0.9, 1.0],
    delay: [0.0003, 0.3],
    hops: 1,
    mss: &[1460],
    loss: Some(0.0001),
};
const STUDENT: Household = Household {
    phones: &[2.0, 8.0],
    laptops: &[3.0, 7.0],
    televisions: NONE,
    consoles: &[19.0, 1.0],
    things: NONE,
    lines_bps: &[50e6, 200e6, 200e6, 1e9],
    up_share: [0.7, 1.0],
    delay: [0.002, 0.6],
    hops: 2,
    ..HOME
};
/// The air carries segments late, seldom, and small enough for the tunnel around them.
const HANDSET: Household = Household {
    phones: &[0.5, 9.5],
    laptops: &[9.0, 1.0],
    televisions: NONE,
    consoles: NONE,
    things: NONE,
    lines_bps: &[8e6, 20e6, 40e6, 80e6, 150e6],
    up_share: [0.15, 0.4],
    delay: [0.022, 0.4],
    hops: 0,
    mss: &[1360, 1400],
    loss: Some(0.002),
};
const GADGET: Household = Household {
    phones: NONE,
    laptops: NONE,
    televisions: NONE,
    consoles: NONE,
    things: &[0.0, 1.0],
    lines_bps: &[0.3e6, 1e6, 5e6, 20e6],
    up_share: [0.4, 1.0],
    delay: [0.035, 0.5],
    hops: 1,
    mss: &[1360, 1460],
    loss: Some(0.002),
};

/// Builds one subscriber's line and devices.
pub(super) fn build(number: u32, dice: &mut Dice, town: &mut Town, stage: &mut Stage) {
    let household = match town.world.kind {
        WorldKind::Town => &HOME,
        WorldKind::SharedTown => &SHARED_HOME,
        WorldKind::Enterprise => &DESK,
        WorldKind::Campus => &STUDENT,
        WorldKind::Mobile => &HANDSET,
        WorldKind::Fleet => &GADGET,
    };
    let (v4, v6, ports_own) = town.world.line(number);
    let first = town.devices.len() as DeviceNumber;
    let mut add = |models: &'static [(f64, Model)], counts: &[f64], dice: &mut Dice| {
        let count = if counts.len() > 1 { dice.weighted(counts) } else { 0 };
        for _ in 0..count {
            let weights: Vec<f64> = models.iter().map(|(share, _)| *share).collect();
            let device = device(number, &models[dice.weighted(&weights)].1, dice, stage);
            town.devices.push(device);
        }
    };
    add(&PHONES, household.phones, dice);
    add(&LAPTOPS, household.laptops, dice);
    add(&TELEVISIONS, household.televisions, dice);
    add(&CONSOLES, household.consoles, dice);
    add(&THINGS, household.things, dice);
    let devices = first..town.devices.len() as DeviceNumber;
    let fast = *dice.pick(household.lines_bps);
    let [median_s, spread] = household.delay;
    town.homes.push(Home {
        v4,
        v6: dice.chance(town.world.v6_share).then_some(v6),
        delay: secs(dice.lognormal(median_s, spread).clamp(median_s / 5.0, median_s * 8.0)),
        hops: household.hops,
        down_bps: fast,
        up_bps: fast * dice.between(household.up_share[0], household.up_share[1]),
        mss: *dice.pick(household.mss),
        loss: household.loss,
        devices,
        ports_own,
        ports_live: Vec::new(),
        names: Vec::new(),
    });
}

fn device(home: u32, model: &'static Model, dice: &mut Dice, stage: &mut Stage) -> Device {
    let first = dice.short();
    let counter = match model.stack.ids {
        IdHabit::Host => stage.host_counter(first),
        IdHabit::Connection | IdHabit::Zero => IpId::Fixed(0),
    };
    let port = match model.stack.ports {
        PortHabit::Next { low, high } | PortHabit::Random { low, high } => {
            low + dice.below(u64::from(high - low)) as u16
        }
    };
    Device {
        home,
        kind: model.kind,
        stack: model.stack,
        browser: model.browser,
        program: model.program,
        agent: model.agent,
        interface: dice.bytes(),
        port,
        counter,
        zeal: dice.lognormal(1.0, 0.6).clamp(0.1, 6.0),
        sessions: Vec::new(),
    }
}
