//! Town: homes behind an access network, the devices in them, and the world that they talk to.
//! In: how many homes, dice. Out: addresses, delays, stacks, ports, what each home remembers of names and sessions.
//! The capture point is where the access network meets the core: a home is one IPv4 address (its router translates) and,
//! for some, an IPv6 /64. Bounds: a fixed size for each home and device.

pub(crate) mod catalogue;
pub(crate) mod dial;
pub(crate) mod flight;
pub(crate) mod habits;
pub(crate) mod homes;
pub(crate) mod intercept;
pub(crate) mod lookup;
pub(crate) mod machines;
pub(crate) mod network;
pub(crate) mod pages;
pub(crate) mod plane;
pub(crate) mod quic;
pub(crate) mod resolver;
pub(crate) mod rhythm;
pub(crate) mod script;
pub(crate) mod stack;
pub(crate) mod talk;
pub(crate) mod tcp;
pub(crate) mod world;

use self::catalogue::Catalogue;
use self::homes::{Device, DeviceKind, Home};
use self::stack::{IdHabit, PortHabit};
use self::world::World;
use super::dice::{Dice, Seeds};
use super::places::Placed;
use super::stage::Stage;
use super::wire::packet::{Endpoint, IpId};
use super::wire::payload::Pool;
use crate::units::{Address, TimestampNs};

/// The resolver that the homes are meant to use.
pub(crate) const RESOLVER: [u8; 4] = [192, 0, 2, 53];
/// Most homes: addresses 10.20.1.2 to 10.20.240.251 in a town.
pub(crate) const HOMES_MAX: u32 = 60_000;
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
    /// Subscribers first, machines and outsiders behind them.
    pub(crate) homes: Vec<Home>,
    subscribers: usize,
    pub(crate) devices: Vec<Device>,
    pub(crate) seeds: Seeds,
    /// How busy people are, against usual: scales every rate.
    pub(crate) activity: f64,
    /// How much heavy transfers carry, against usual: scales pictures, films, backups and updates.
    pub(crate) volume: f64,
    /// Man-on-the-side, where the scenario has one.
    pub(crate) injector: Option<super::programs::injection::Injector>,
    /// Homes that ask other resolvers.
    pub(crate) turned: Vec<resolver::Turned>,
    /// Somebody who answers before the resolver, where the scenario has one.
    pub(crate) name_forger: Option<resolver::NameForger>,
    /// Somebody who opens TLS, where the scenario has one.
    pub(crate) interceptor: Option<intercept::Interceptor>,
    /// Where homes were led instead of to a service.
    pub(crate) led: std::collections::BTreeMap<(u32, u32), Address>,
    /// Share of segments lost on the way; programs may give single homes more.
    pub(crate) loss: f64,
    /// Which world it is.
    pub(crate) world: &'static World,
    /// Where addresses are, where a program says so.
    pub(crate) places: Vec<Placed>,
    /// Tables that programs add to the policy.
    pub(crate) policy_more: Vec<String>,
}

impl Town {
    pub(crate) fn new(
        world: &'static World,
        seeds: &Seeds,
        homes: u32,
        activity: f64,
        volume: f64,
        stage: &mut Stage,
    ) -> Self {
        let mut town = Self {
            pool: Pool::new(seeds),
            catalogue: Catalogue::new(seeds),
            homes: Vec::with_capacity(homes as usize),
            subscribers: homes.min(HOMES_MAX) as usize,
            devices: Vec::new(),
            seeds: seeds.clone(),
            activity,
            volume,
            injector: None,
            turned: Vec::new(),
            name_forger: None,
            interceptor: None,
            led: std::collections::BTreeMap::new(),
            loss: 0.0008,
            world,
            places: Vec::new(),
            policy_more: Vec::new(),
        };
        for number in 0..homes.min(HOMES_MAX) {
            let mut dice = seeds.dice("home", u64::from(number));
            homes::build(number, &mut dice, &mut town, stage);
        }
        town
    }

    /// The subscriber that an address belongs to.
    pub(crate) fn subscriber_of(address: Address) -> Option<u32> {
        World::subscriber_of(address)
    }

    /// Whether an address lies on the town's side of the capture point.
    pub(crate) fn is_inside(address: Address) -> bool {
        World::is_inside(address)
    }

    /// The address of a machine of the network's own: routers, racks, servers; `c` from 250 on.
    pub(crate) fn machine_at(&self, c: u8, d: u8) -> Address {
        self.world.machine(c, d)
    }

    /// When a person of this world next does something that they do `per_hour` times an hour at the busiest.
    pub(crate) fn next_time(&self, at: TimestampNs, per_hour: f64, dice: &mut Dice) -> TimestampNs {
        rhythm::next_of(self.world.rhythm, at, per_hour, dice)
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
        let home = &mut self.homes[device.home as usize];
        let (live, block) = (&mut home.ports_live, home.ports_own);
        let habit = device.stack.ports;
        let mut port = 0;
        for _ in 0..64 {
            let asked = match habit {
                PortHabit::Random { low, high } => low + dice.below(u64::from(high - low) + 1) as u16,
                PortHabit::Next { low, high } => {
                    device.port = if device.port >= high || device.port < low { low } else { device.port + 1 };
                    device.port
                }
            };
            port = translated(asked, block);
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

    /// A port that a device picked itself, as the carrier's translator leaves it.
    pub(crate) fn translate(&self, number: DeviceNumber, port: u16) -> u16 {
        translated(port, self.home_of(number).ports_own)
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

    /// TTL of the device's packets at the capture point: the routers between have taken one each.
    pub(crate) fn ttl_of(&self, number: DeviceNumber) -> u8 {
        self.device(number).stack.ttl - self.home_of(number).hops
    }

    pub(crate) fn resolver() -> Endpoint {
        Endpoint { address: Address::v4(RESOLVER), port: 53 }
    }

    /// The IPv4 address of one of the subscribers.
    pub(crate) fn someone(&self, dice: &mut Dice) -> [u8; 4] {
        self.homes[dice.index(self.subscribers.clamp(1, self.homes.len()))].v4
    }

    /// Devices of these kinds, one a home at most, in `share` of the homes; of any kind where the world has none of these.
    pub(crate) fn members(&self, kinds: &[DeviceKind], share: f64, dice: &mut Dice) -> Vec<DeviceNumber> {
        let fitting = |fits: &dyn Fn(DeviceKind) -> bool| -> Vec<Vec<DeviceNumber>> {
            let people = self.homes.iter().filter(|home| Self::subscriber_of(Address::v4(home.v4)).is_some());
            let devices =
                people.map(|home| home.devices.clone().filter(|number| fits(self.device(*number).kind)).collect());
            devices.filter(|fitting: &Vec<_>| !fitting.is_empty()).collect()
        };
        let mut homes = fitting(&|kind| kinds.contains(&kind));
        if homes.is_empty() {
            homes = fitting(&|kind| kind != DeviceKind::Machine);
        }
        let wanted = ((self.subscribers as f64 * share).ceil() as usize).min(homes.len());
        for i in 0..wanted {
            let with = i + dice.index(homes.len() - i);
            homes.swap(i, with);
        }
        homes[..wanted].iter().map(|fitting| *dice.pick(fitting)).collect()
    }
}

/// Maps a port into a block of them, where there is one: first port, how many.
fn translated(port: u16, block: Option<[u16; 2]>) -> u16 {
    block.map_or(port, |[first, count]| first + port % count)
}
