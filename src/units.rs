//! Units: numbers that may not be swapped.
//! In: raw integers at the borders. Out: newtypes that every other room passes on.
//! Bounds: arithmetic saturates, because capture clocks step backwards and counters come from hostile packets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// Nanoseconds since 1970-01-01T00:00:00Z, as the capture's own clock had it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TimestampNs(pub u64);

impl TimestampNs {
    /// The earliest representable time.
    pub const ZERO: Self = Self(0);
    /// The latest representable time (year 2554).
    pub const MAX: Self = Self(u64::MAX);

    /// Time from `earlier` to `self`; zero where the clock stepped back.
    pub fn since(self, earlier: Self) -> DurationNs {
        DurationNs(self.0.saturating_sub(earlier.0))
    }

    /// The time `by` later; stays at [`Self::MAX`] past the end.
    pub fn after(self, by: DurationNs) -> Self {
        Self(self.0.saturating_add(by.0))
    }

    /// The time `by` earlier; stays at [`Self::ZERO`] before the start.
    pub fn before(self, by: DurationNs) -> Self {
        Self(self.0.saturating_sub(by.0))
    }

    /// The start of the slot of length `slot` that holds this time (slots are aligned to 1970); a slot of zero
    /// length is the whole of time and starts at [`Self::ZERO`].
    pub fn slot_start(self, slot: DurationNs) -> Self {
        match slot.0 {
            0 => Self::ZERO,
            len => Self(self.0 - self.0 % len),
        }
    }
}

/// A length of time in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DurationNs(pub u64);

impl DurationNs {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// Whole seconds as nanoseconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// Whole milliseconds as nanoseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Seconds as a float, for people and features.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

/// A side of a flow: `Orig` began it, `Resp` answers. Indexes every two-element array of side totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Side {
    /// The side that began the flow.
    Orig = 0,
    /// The side that was called.
    Resp = 1,
}

impl Side {
    /// Both sides, originator first.
    pub const BOTH: [Self; 2] = [Self::Orig, Self::Resp];

    /// The opposite side.
    pub fn other(self) -> Self {
        match self {
            Self::Orig => Self::Resp,
            Self::Resp => Self::Orig,
        }
    }

    /// The index into a two-element array.
    pub fn index(self) -> usize {
        self as usize
    }
}

/// An IPv4 or IPv6 address in 16 bytes of network order; IPv4 stands in its mapped form `::ffff:a.b.c.d` (RFC 4291
/// section 2.5.5.2), so that one code handles both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[repr(transparent)]
pub struct Address(pub [u8; 16]);

/// By bytes, as a derived order would be; compared as one number, because tables of pairs are sorted by two addresses each and
/// a call that compares bytes in a loop was a third of that.
impl Ord for Address {
    #[inline]
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        u128::from_be_bytes(self.0).cmp(&u128::from_be_bytes(other.0))
    }
}

impl PartialOrd for Address {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// One number: sixteen bytes with their length before them take a hasher twice as long.
impl std::hash::Hash for Address {
    #[inline]
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from_ne_bytes(self.0));
    }
}

impl Address {
    /// The all-zero IPv6 address.
    pub const UNSPECIFIED: Self = Self([0; 16]);

    /// From four bytes in network order.
    pub fn v4(octets: [u8; 4]) -> Self {
        Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, octets[0], octets[1], octets[2], octets[3]])
    }

    /// From sixteen bytes in network order.
    pub fn v6(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// The four bytes where this is an IPv4 address.
    pub fn as_v4(&self) -> Option<[u8; 4]> {
        let [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d] = self.0 else { return None };
        Some([a, b, c, d])
    }

    /// How an IPv4 address is called through a translator's well-known prefix.
    pub fn translated(self) -> Option<Self> {
        let [a, b, c, d] = self.as_v4()?;
        Some(Self([0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]))
    }

    /// Who is meant: behind a translator's well-known prefix (NAT64, `64:ff9b::/96`, RFC 6052 section 2.1) the IPv4 address that it
    /// holds, so that one party is one whichever family its callers have; else the same.
    pub fn untranslated(self) -> Self {
        match self.0 {
            [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, octets @ ..] => Self::v4(octets),
            _ => self,
        }
    }

    /// Whether this is an IPv4 address in its mapped form.
    pub fn is_v4(&self) -> bool {
        self.as_v4().is_some()
    }

    /// As the standard library has it.
    pub fn to_ip(self) -> IpAddr {
        match self.as_v4() {
            Some(octets) => IpAddr::V4(Ipv4Addr::from(octets)),
            None => IpAddr::V6(Ipv6Addr::from(self.0)),
        }
    }

    /// Multicast, broadcast, unspecified or loopback: never a party of its own, so neither subscriber nor collector.
    pub fn is_special(&self) -> bool {
        match self.to_ip() {
            IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast() || v4.is_unspecified() || v4.is_loopback(),
            IpAddr::V6(v6) => v6.is_multicast() || v6.is_unspecified() || v6.is_loopback(),
        }
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => Self::v4(v4.octets()),
            IpAddr::V6(v6) => Self::v6(v6.octets()),
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.to_ip().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_saturates() {
        assert_eq!(TimestampNs(5).since(TimestampNs(9)), DurationNs::ZERO);
        assert_eq!(TimestampNs::MAX.after(DurationNs(1)), TimestampNs::MAX);
        assert_eq!(TimestampNs(61_000_000_000).slot_start(DurationNs::from_secs(60)), TimestampNs(60_000_000_000));
        assert_eq!(TimestampNs(7).slot_start(DurationNs::ZERO), TimestampNs::ZERO);
    }

    #[test]
    fn a_translators_prefix_is_seen_through() {
        let address = |text: &str| Address::from(text.parse::<IpAddr>().expect("a literal address"));
        for (text, wanted) in [
            ("64:ff9b::cb00:7107", "203.0.113.7"),
            ("64:ff9b:1::cb00:7107", "64:ff9b:1::cb00:7107"),
            ("2001:db8::cb00:7107", "2001:db8::cb00:7107"),
            ("203.0.113.7", "203.0.113.7"),
        ] {
            assert_eq!(address(text).untranslated(), address(wanted), "{text}");
            let again = address(wanted).translated();
            assert_eq!(again.map(Address::untranslated), again.map(|_| address(wanted)), "{text}");
        }
    }

    #[test]
    fn an_address_survives_its_mapped_form() {
        for text in ["10.20.0.1", "2001:db8::1", "::", "255.255.255.255"] {
            let ip: IpAddr = text.parse().expect("a literal address");
            assert_eq!(Address::from(ip).to_ip(), ip, "{text}");
        }
    }
}
