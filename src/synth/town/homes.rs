//! Homes: who lives behind an address, and with which devices.
//! In: a home's number and its dice. Out: a home, its devices. Shares follow what surveys of households say, roughly: two
//! telephones, a laptop in two homes of three, a television in two of three, two or three small things.

use std::ops::Range;

use super::stack::{self, IdHabit, PortHabit, Stack};
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
    pub(crate) down_bps: f64,
    pub(crate) up_bps: f64,
    /// Largest segment over IPv4 (PPPoE takes eight bytes).
    pub(crate) mss: u16,
    /// Share of segments lost; none: the town's.
    pub(crate) loss: Option<f64>,
    pub(crate) devices: Range<DeviceNumber>,
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

/// Builds one home and its devices.
pub(super) fn build(number: u32, dice: &mut Dice, town: &mut Town, stage: &mut Stage) {
    let (c, d) = ((1 + number / 250) as u8, (2 + number % 250) as u8);
    let first = town.devices.len() as DeviceNumber;
    let mut add = |models: &'static [(f64, Model)], count: usize, dice: &mut Dice| {
        for _ in 0..count {
            let weights: Vec<f64> = models.iter().map(|(share, _)| *share).collect();
            let device = device(number, &models[dice.weighted(&weights)].1, dice, stage);
            town.devices.push(device);
        }
    };
    add(&PHONES, 1 + dice.weighted(&[3.0, 4.0, 2.0, 1.0]), dice);
    add(&LAPTOPS, dice.weighted(&[3.3, 4.5, 2.2]), dice);
    add(&TELEVISIONS, dice.weighted(&[3.5, 5.0, 1.5]), dice);
    add(&CONSOLES, dice.weighted(&[8.0, 2.0]), dice);
    add(&THINGS, dice.weighted(&[2.0, 2.0, 2.5, 2.0, 1.5]), dice);
    let devices = first..town.devices.len() as DeviceNumber;
    let fast = *dice.pick(&[30e6, 50e6, 100e6, 100e6, 250e6, 500e6]);
    town.homes.push(Home {
        v4: [10, 20, c, d],
        v6: dice.chance(0.45).then_some([0x20, 0x01, 0x0d, 0xb8, 0x00, 0x20, c, d]),
        delay: secs(dice.lognormal(0.005, 0.45).clamp(0.001, 0.04)),
        down_bps: fast,
        up_bps: fast * dice.between(0.1, 0.5),
        mss: if dice.chance(0.3) { 1452 } else { 1460 },
        loss: None,
        devices,
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
