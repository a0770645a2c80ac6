//! Roles: what a flow is to the populations.
//! In: its two ends. Out: who is subscriber and who collector, or that no one is.
//! Not here: tunnels; an inner flow has the role of its inner ends.

use super::populations::{PopulationIndex, Populations};
use crate::units::{Address, Side};

/// What a flow is to the populations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A subscriber and a party outside: the outside party may be collecting.
    Collect {
        /// The subscriber's population.
        population: PopulationIndex,
        /// The subscriber's side of the flow.
        subscriber: Side,
    },
    /// Both ends belong to populations.
    Internal,
    /// Neither does.
    Transit,
    /// An end is no party of its own: multicast, broadcast, unspecified, loopback or link-local.
    Special,
}

impl Role {
    /// The role of a flow between these two addresses, indexed by [`Side`].
    #[inline]
    pub fn of(addresses: [Address; 2], populations: &Populations) -> Self {
        if addresses.iter().any(is_no_party) {
            return Self::Special;
        }
        match addresses.map(|address| populations.of(address)) {
            [Some(_), Some(_)] => Self::Internal,
            [Some(population), None] => Self::Collect { population, subscriber: Side::Orig },
            [None, Some(population)] => Self::Collect { population, subscriber: Side::Resp },
            [None, None] => Self::Transit,
        }
    }
}

/// Whether an address stands for no single party that could collect or be collected from.
pub fn is_no_party(address: &Address) -> bool {
    let link_local = match address.as_v4() {
        Some([169, 254, ..]) => true,
        Some(_) => false,
        None => address.0[0] == 0xfe && address.0[1] & 0xc0 == 0x80,
    };
    link_local || address.is_special()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn roles_by_both_ends() {
        let populations = Populations::default_private();
        let collect = |subscriber| Role::Collect { population: PopulationIndex(0), subscriber };
        let table = [
            ("10.0.0.1", "203.0.113.7", collect(Side::Orig)),
            ("203.0.113.7", "10.0.0.1", collect(Side::Resp)),
            ("10.0.0.1", "192.168.0.1", Role::Internal),
            ("203.0.113.7", "198.51.100.1", Role::Transit),
            ("10.0.0.1", "224.0.0.251", Role::Special),
            ("10.0.0.1", "255.255.255.255", Role::Special),
            ("10.0.0.1", "169.254.1.1", Role::Special),
            ("fd00::1", "fe80::1", Role::Special),
            ("fd00::1", "ff02::fb", Role::Special),
            ("0.0.0.0", "10.0.0.1", Role::Special),
            ("fd00::1", "2001:db8::1", collect(Side::Orig)),
        ];
        for (orig, resp, wanted) in table {
            let ends = [orig, resp].map(|text| text.parse::<IpAddr>().expect("a literal address").into());
            assert_eq!(Role::of(ends, &populations), wanted, "{orig} {resp}");
        }
    }
}
