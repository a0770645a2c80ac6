//! Town: homes behind an access network, the devices in them, and the world that they talk to.
//! In: how many homes, dice. Out: addresses, delays, stacks, ports, what each home remembers of names and sessions.
//! The capture point is where the access network meets the core: a home is one IPv4 address (its router translates) and,
//! for some, an IPv6 /64. Bounds: a fixed size for each home and device.

pub(crate) mod catalogue;
pub(crate) mod dial;
pub(crate) mod flight;
pub(crate) mod habits;
pub(crate) mod homes;
pub(crate) mod lookup;
pub(crate) mod pages;
pub(crate) mod quic;
pub(crate) mod rhythm;
pub(crate) mod script;
pub(crate) mod stack;
pub(crate) mod talk;
pub(crate) mod tcp;

use self::catalogue::Catalogue;
use self::homes::{Device, DeviceKind, Home};
use self::stack::{IdHabit, PortHabit};
use super::dice::{Dice, Seeds};
use super::stage::Stage;
use super::wire::packet::{Endpoint, IpId};
use super::wire::payload::Pool;
use crate::units::Address;

/// The resolver that the homes are meant to use.
pub(crate) const RESOLVER: [u8; 4] = [192, 0, 2, 53];
/// Most homes: addresses 10.20.1.2 to 10.20.240.251.
pub(crate) const HOMES_MAX: u32 = 60_000;
/// The town's own machines (routers, racks) live from 10.20.250.0 on.
const MACHINES: u8 = 250;
const ACCESS_MAC: [u8; 6] = [0x02, 0x1a, 0x5c, 0x10, 0x00, 0x01];
const CORE_MAC: [u8; 6] = [0x02, 0x1a, 0x5c, 0x20, 0x00, 0x01];
/// Ports that a home's router keeps track of.
const PORTS_LIVE_MAX: usize = 4096;

/// Number of a device.
pub(crate) type DeviceNumber = u32;

/// The world.
pub(crate) struct Town {
    pub(crate) pool: Pool,
    pub(crate) catalogue: Catalogue,
    pub(crate) homes: Vec<Home>,
    pub(crate) devices: Vec<Device>,
    pub(crate) seeds: Seeds,
    /// How busy people are, against usual: scales every rate.
    pub(crate) activity: f64,
    /// How much heavy transfers carry, against usual: scales pictures, films, backups and updates.
    pub(crate) volume: f64,
    /// Man-on-the-side, where the scenario has one.
    pub(crate) injector: Option<super::programs::injection::Injector>,
    /// Share of segments lost on the way; programs may give single homes more.
    pub(crate) loss: f64,
}

impl Town {
    pub(crate) fn new(seeds: &Seeds, homes: u32, activity: f64, volume: f64, stage: &mut Stage) -> Self {
        let mut town = Self {
            pool: Pool::new(seeds),
            catalogue: Catalogue::new(seeds),
            homes: Vec::with_capacity(homes as usize),
            devices: Vec::new(),
            seeds: seeds.clone(),
            activity,
            volume,
            injector: None,
            loss: 0.0008,
        };
        for number in 0..homes.min(HOMES_MAX) {
            let mut dice = seeds.dice("home", u64::from(number));
            homes::build(number, &mut dice, &mut town, stage);
        }
        town
    }

    /// The subscriber that an address belongs to.
    pub(crate) fn subscriber_of(address: Address) -> Option<u32> {
        match (address.as_v4(), address.0) {
            (Some([10, 20, c, d]), _) if c < MACHINES => Some(u32::from(c) << 8 | u32::from(d)),
            (None, [0x20, 0x01, 0x0d, 0xb8, 0x00, 0x20, c, d, ..]) if c < MACHINES => {
                Some(u32::from(c) << 8 | u32::from(d))
            }
            _ => None,
        }
    }

    /// Whether an address lies on the town's side of the capture point.
    pub(crate) fn is_inside(address: Address) -> bool {
        matches!(
            (address.as_v4(), address.0),
            (Some([10, 20, ..]), _) | (None, [0x20, 0x01, 0x0d, 0xb8, 0x00, 0x20, ..])
        )
    }

    /// Ethernet source and destination of a packet from this address.
    pub(crate) fn macs(source: Address) -> [[u8; 6]; 2] {
        match Self::is_inside(source) {
            true => [ACCESS_MAC, CORE_MAC],
            false => [CORE_MAC, ACCESS_MAC],
        }
    }

    /// The same as a header has them: destination first.
    pub(crate) fn link(source: Address) -> [u8; 12] {
        let [from, to] = Self::macs(source);
        let mut link = [0; 12];
        link[..6].copy_from_slice(&to);
        link[6..].copy_from_slice(&from);
        link
    }

    pub(crate) fn device(&self, number: DeviceNumber) -> &Device {
        &self.devices[number as usize]
    }

    pub(crate) fn home_of(&self, number: DeviceNumber) -> &Home {
        &self.homes[self.device(number).home as usize]
    }

    /// A source port as the device's stack picks it and the home's router leaves it.
    pub(crate) fn take_port(&mut self, number: DeviceNumber, dice: &mut Dice) -> u16 {
        let device = &mut self.devices[number as usize];
        let live = &mut self.homes[device.home as usize].ports_live;
        let habit = device.stack.ports;
        let mut port = 0;
        for _ in 0..64 {
            port = match habit {
                PortHabit::Random { low, high } => low + dice.below(u64::from(high - low) + 1) as u16,
                PortHabit::Next { low, high } => {
                    device.port = if device.port >= high || device.port < low { low } else { device.port + 1 };
                    device.port
                }
            };
            if !live.contains(&port) {
                break;
            }
        }
        if live.len() < PORTS_LIVE_MAX {
            live.push(port);
        }
        port
    }

    pub(crate) fn release_port(&mut self, number: DeviceNumber, port: u16) {
        let home = self.device(number).home as usize;
        let live = &mut self.homes[home].ports_live;
        if let Some(at) = live.iter().position(|live| *live == port) {
            live.swap_remove(at);
        }
    }

    /// The identification of a datagram of this device.
    pub(crate) fn datagram_id(&self, number: DeviceNumber, dice: &mut Dice) -> IpId {
        let device = self.device(number);
        match device.stack.ids {
            IdHabit::Host => device.counter,
            IdHabit::Connection | IdHabit::Zero => IpId::Fixed(dice.short()),
        }
    }

    /// The device's address of this version, as the capture point sees it.
    pub(crate) fn address_of(&self, number: DeviceNumber, v6: bool) -> Address {
        let (device, home) = (self.device(number), self.home_of(number));
        match home.v6.filter(|_| v6) {
            Some(prefix) => {
                let mut bytes = [0; 16];
                bytes[..8].copy_from_slice(&prefix);
                bytes[8..].copy_from_slice(&device.interface);
                Address::v6(bytes)
            }
            None => Address::v4(home.v4),
        }
    }

    /// TTL of the device's packets at the capture point: its router has taken one.
    pub(crate) fn ttl_of(&self, number: DeviceNumber) -> u8 {
        self.device(number).stack.ttl - 1
    }

    pub(crate) fn resolver() -> Endpoint {
        Endpoint { address: Address::v4(RESOLVER), port: 53 }
    }

    /// Devices of these kinds, one a home at most, in `share` of the homes.
    pub(crate) fn members(&self, kinds: &[DeviceKind], share: f64, dice: &mut Dice) -> Vec<DeviceNumber> {
        let mut homes: Vec<Vec<DeviceNumber>> = Vec::new();
        for home in self.homes.iter().filter(|home| Self::subscriber_of(Address::v4(home.v4)).is_some()) {
            let fitting = home.devices.clone().filter(|number| kinds.contains(&self.device(*number).kind));
            homes.push(fitting.collect());
        }
        homes.retain(|fitting| !fitting.is_empty());
        let wanted = ((self.homes.len() as f64 * share).ceil() as usize).min(homes.len());
        for i in 0..wanted {
            let with = i + dice.index(homes.len() - i);
            homes.swap(i, with);
        }
        homes[..wanted].iter().map(|fitting| *dice.pick(fitting)).collect()
    }
}
