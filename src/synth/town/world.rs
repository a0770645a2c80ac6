//! Worlds: which networks there are to look at, and what differs between them: addresses, people, lines, rhythm.
//! In: nothing. Out: one register. A world's population is one IPv4 prefix and one IPv6 prefix of its own; everything outside
//! them is the same in all worlds, so that any operation can run in any of them.
//! Addresses are private ones (RFC 1918), those of carriers' translators (RFC 6598) or those set aside for benchmarks (RFC 2544).

use super::rhythm::Shape;
use crate::units::Address;

/// What kind of network the capture point looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WorldKind {
    /// Homes, one address each.
    Town,
    /// Homes, several of which share an address and take turns at its ports (RFC 6888).
    SharedTown,
    /// Desks, and the servers that serve them.
    Enterprise,
    /// Students and staff, an address for each of their devices.
    Campus,
    /// Telephones, behind base stations: everything travels in GTP-U.
    Mobile,
    /// Meters, cameras and trackers without people.
    Fleet,
}

/// One world.
#[derive(Debug)]
pub struct World {
    /// Its name on the command line.
    pub name: &'static str,
    /// What lives there.
    pub about: &'static str,
    pub(crate) kind: WorldKind,
    /// Prefixes of its people and machines, as policy and labels name them.
    pub(crate) prefixes: [&'static str; 2],
    v4: [u8; 2],
    /// Third byte of the first subscriber's address, of the first machine's, and of the last machine's.
    thirds: [u8; 3],
    v6: [u8; 6],
    /// Share of the subscribers that have IPv6 as well.
    pub(crate) v6_share: f64,
    /// When its people are busy.
    pub(crate) rhythm: Shape,
    /// Harmless programs that belong to it, as they would be written.
    pub(crate) beside: &'static [&'static str],
}

/// Homes that share an address, where they do.
const HOMES_AN_ADDRESS: u32 = 8;
/// First port that a translator gives out, and how many each of those homes has.
const BLOCKS_FROM: u16 = 1_024;
const BLOCK_PORTS: u16 = 8_064;
/// Subscribers whose addresses have the same third byte.
const HOMES_A_THIRD: u32 = 250;

/// All of them, in the order in which `--list` prints them.
pub const WORLDS: &[World] = &[
    World {
        name: "town",
        about: "homes behind an access network: telephones, laptops, televisions, consoles and small things",
        kind: WorldKind::Town,
        prefixes: ["10.20.0.0/16", "2001:db8:20::/48"],
        v4: [10, 20],
        thirds: [1, 250, 255],
        v6: [0x20, 0x01, 0x0d, 0xb8, 0x00, 0x20],
        v6_share: 0.45,
        rhythm: Shape::Homes,
        beside: &[],
    },
    World {
        name: "cgnat",
        about: "the same homes beyond a carrier's translator: eight homes share an IPv4 address, each with ports of its own",
        kind: WorldKind::SharedTown,
        prefixes: ["198.18.128.0/18", "2001:db8:21::/48"],
        v4: [198, 18],
        thirds: [128, 188, 191],
        v6: [0x20, 0x01, 0x0d, 0xb8, 0x00, 0x21],
        v6_share: 0.7,
        rhythm: Shape::Homes,
        beside: &[],
    },
    World {
        name: "enterprise",
        about: "desks and inside servers: files, database, web application, directory, backup, monitoring, log collection, \
            an overlay between racks and a tunnel to another site",
        kind: WorldKind::Enterprise,
        prefixes: ["10.30.0.0/16", "2001:db8:22::/48"],
        v4: [10, 30],
        thirds: [1, 250, 255],
        v6: [0x20, 0x01, 0x0d, 0xb8, 0x00, 0x22],
        v6_share: 0.2,
        rhythm: Shape::Offices,
        beside: &["vxlan-overlay:calls=30", "site-tunnel:rate=2", "flow-export-inside"],
    },
    World {
        name: "campus",
        about: "students and staff of a university: an address for each person's devices, fast lines, much IPv6",
        kind: WorldKind::Campus,
        prefixes: ["10.40.0.0/16", "2001:db8:23::/48"],
        v4: [10, 40],
        thirds: [1, 250, 255],
        v6: [0x20, 0x01, 0x0d, 0xb8, 0x00, 0x23],
        v6_share: 0.8,
        rhythm: Shape::Campus,
        beside: &[],
    },
    World {
        name: "mobile",
        about: "telephones and mobile routers behind base stations; everything travels in GTP-U on the user plane",
        kind: WorldKind::Mobile,
        prefixes: ["100.72.0.0/16", "2001:db8:24::/48"],
        v4: [100, 72],
        thirds: [1, 250, 255],
        v6: [0x20, 0x01, 0x0d, 0xb8, 0x00, 0x24],
        v6_share: 0.6,
        rhythm: Shape::Homes,
        beside: &[],
    },
    World {
        name: "iot",
        about: "a fleet of meters, cameras and trackers that report to the platforms of three makers, all registered",
        kind: WorldKind::Fleet,
        prefixes: ["10.50.0.0/16", "2001:db8:25::/48"],
        v4: [10, 50],
        thirds: [1, 250, 255],
        v6: [0x20, 0x01, 0x0d, 0xb8, 0x00, 0x25],
        v6_share: 0.1,
        rhythm: Shape::Homes,
        beside: &[],
    },
];

impl World {
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        WORLDS.iter().find(|world| world.name == name)
    }

    /// The world whose people or machines an address belongs to; each address belongs to one at most.
    fn of(address: Address) -> Option<(&'static Self, [u8; 2])> {
        match (address.as_v4(), address.0) {
            (Some([a, b, c, d]), _) => {
                let world = WORLDS.iter().find(|world| world.v4 == [a, b])?;
                // The low subscriber bytes of a whole /16 are free; those of a part of one begin where it begins.
                let first = if world.thirds[0] == 1 { 0 } else { world.thirds[0] };
                (first..=world.thirds[2]).contains(&c).then_some((world, [c, d]))
            }
            (None, bytes) => {
                let world = WORLDS.iter().find(|world| world.v6 == bytes[..6])?;
                Some((world, [bytes[6], bytes[7]]))
            }
        }
    }

    /// The subscriber that an address belongs to, in whichever world.
    pub(crate) fn subscriber_of(address: Address) -> Option<u32> {
        let (world, [c, d]) = Self::of(address)?;
        let third = if address.is_v4() { world.thirds[1] } else { 250 };
        (c < third).then_some(u32::from(c) << 8 | u32::from(d))
    }

    /// Whether an address lies on the population's side of the capture point.
    pub(crate) fn is_inside(address: Address) -> bool {
        Self::of(address).is_some()
    }

    /// IPv4 address and IPv6 /64 of the `number`-th subscriber, and which ports of the address are its own.
    pub(crate) fn line(&self, number: u32) -> ([u8; 4], [u8; 8], Option<[u16; 2]>) {
        let place =
            |number: u32, first: u8| [first + (number / HOMES_A_THIRD) as u8, (2 + number % HOMES_A_THIRD) as u8];
        let [a, b] = self.v4;
        let shared = self.kind == WorldKind::SharedTown;
        let [c, d] =
            if shared { place(number / HOMES_AN_ADDRESS, self.thirds[0]) } else { place(number, self.thirds[0]) };
        let block = (number % HOMES_AN_ADDRESS) as u16;
        let ports = shared.then(|| [BLOCKS_FROM + block * BLOCK_PORTS, BLOCK_PORTS]);
        let mut v6 = [0; 8];
        v6[..6].copy_from_slice(&self.v6);
        v6[6..].copy_from_slice(&place(number, 1));
        ([a, b, c, d], v6, ports)
    }

    /// A machine of the network's own: `c` from 250 on, as in a town.
    pub(crate) fn machine(&self, c: u8, d: u8) -> Address {
        let [a, b] = self.v4;
        let [_, first, last] = self.thirds;
        Address::v4([a, b, first + c.saturating_sub(250) % (last - first + 1), d])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subscriber_and_machine_lies_in_its_world_and_in_no_other() {
        for world in WORLDS {
            let prefixes: Vec<ipnet::IpNet> = world.prefixes.iter().map(|p| p.parse().expect("a prefix")).collect();
            let within = |address: Address| prefixes.iter().any(|prefix| prefix.contains(&address.to_ip()));
            for number in [0, 1, 249, 250, 59_999] {
                let (v4, v6, ports) = world.line(number);
                let mut bytes = [0; 16];
                bytes[..8].copy_from_slice(&v6);
                for address in [Address::v4(v4), Address::v6(bytes)] {
                    assert!(within(address), "{} {number}: {address}", world.name);
                    assert!(World::subscriber_of(address).is_some(), "{} {number}: {address}", world.name);
                    let others = WORLDS.iter().filter(|other| other.name != world.name);
                    let elsewhere = |other: &World| {
                        other
                            .prefixes
                            .iter()
                            .any(|p| p.parse::<ipnet::IpNet>().is_ok_and(|prefix| prefix.contains(&address.to_ip())))
                    };
                    assert!(!others.into_iter().any(elsewhere), "{} {number}: {address}", world.name);
                }
                assert!(ports.is_none_or(|[first, count]| u32::from(first) + u32::from(count) <= 65_536));
            }
            for c in 250..=255 {
                let machine = world.machine(c, 9);
                assert!(within(machine) && World::is_inside(machine), "{}: {machine}", world.name);
                assert_eq!(World::subscriber_of(machine), None, "{}: {machine}", world.name);
            }
        }
        assert!(!World::is_inside(Address::v4([198, 18, 9, 1])) && !World::is_inside(Address::v4([192, 0, 2, 53])));
    }
}
