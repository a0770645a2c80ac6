//! Patterns that say which collectors an entry means.
//! In: `198.51.100.0/24`, `198.51.100.9`, `sni:*.telemetry.acme.example`, `asn:64500`. Out: a [`CollectorPattern`].
//! A name is what a client asked for; whoever runs the far end did not have to prove it. Where an entry matters, name
//! prefixes as well and let the technique be found on any other address.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv6Net};

use super::Wrong;
use crate::packet::facts::NAME_BYTES_MAX;
use crate::units::Address;

/// Whom an entry means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CollectorPattern {
    /// Addresses of a prefix.
    Prefix(IpNet),
    /// One name, in lower case.
    Name(Box<str>),
    /// All names below this one, by one or more labels; the name itself not.
    NamesBelow(Box<str>),
    /// An autonomous system.
    Asn(u32),
}

impl CollectorPattern {
    /// What was written.
    pub fn parse(written: &str) -> Result<Self, Wrong> {
        let wrong = |why| Wrong::Collector { written: written.to_owned(), why };
        if let Some(name) = written.strip_prefix("sni:") {
            return match name.strip_prefix("*.") {
                Some(base) => host_name(base).map(Self::NamesBelow),
                None => host_name(name).map(Self::Name),
            }
            .ok_or_else(|| wrong("not a name, or `*` elsewhere than for the first label"));
        }
        if let Some(number) = written.strip_prefix("asn:") {
            let is_plain = number.bytes().all(|b| b.is_ascii_digit());
            return number
                .parse()
                .ok()
                .filter(|_| is_plain)
                .map(Self::Asn)
                .ok_or_else(|| wrong("not the number of a system"));
        }
        match prefix(written) {
            Err(Wrong::Prefix(_)) => Err(wrong("neither prefix nor address")),
            other => other.map(Self::Prefix),
        }
    }

    /// Whether an address is meant: itself, or the IPv4 address that a translator's well-known prefix holds, whichever way round.
    pub fn holds_address(&self, address: Address) -> bool {
        let Self::Prefix(net) = self else { return false };
        let holds = |address: Address| net.contains(&address.to_ip());
        let meant = address.untranslated();
        // A wide IPv6 prefix means no IPv4 address.
        let is_translators = matches!(net, IpNet::V6(net) if is_translators(net));
        holds(address) || holds(meant) || is_translators && meant.translated().is_some_and(holds)
    }

    /// Whether a name is meant.
    pub fn holds_name(&self, name: &str) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name);
        match self {
            Self::Name(own) => name.eq_ignore_ascii_case(own),
            Self::NamesBelow(base) => {
                let Some(labels) = name.len().checked_sub(base.len()) else { return false };
                // At least one label, a dot, and then the base.
                labels >= 2
                    && name.is_char_boundary(labels)
                    && name[labels..].eq_ignore_ascii_case(base)
                    && name.as_bytes()[labels - 1] == b'.'
            }
            _ => false,
        }
    }

    /// Whether an autonomous system is meant.
    pub fn holds_asn(&self, asn: u32) -> bool {
        *self == Self::Asn(asn)
    }

    /// Why the pattern excuses almost anyone, where it does.
    pub fn too_wide(&self) -> Option<&'static str> {
        match self {
            Self::Prefix(IpNet::V4(net)) if net.prefix_len() < 8 => Some("more than 16 million addresses"),
            Self::Prefix(IpNet::V6(net)) if is_translators(net) && net.prefix_len() < 96 + 8 => {
                Some("more than 16 million addresses")
            }
            Self::Prefix(IpNet::V6(net)) if net.prefix_len() < 20 => Some("more than any network operator has"),
            Self::NamesBelow(base) if psl::suffix(base.as_bytes()).is_some_and(|s| s.as_bytes() == base.as_bytes()) => {
                Some("everyone below a public suffix")
            }
            _ => None,
        }
    }
}

/// Whether all of it lies in a translator's well-known prefix, where each stands for an IPv4 address.
fn is_translators(net: &Ipv6Net) -> bool {
    let first = Address::from(IpAddr::V6(net.network()));
    net.prefix_len() >= 96 && first.untranslated() != first
}

/// A prefix as written, a plain address as the prefix that holds only it.
pub(super) fn prefix(written: &str) -> Result<IpNet, Wrong> {
    if let Ok(address) = written.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let net: IpNet = written.parse().map_err(|_| Wrong::Prefix(written.to_owned()))?;
    match net.trunc() {
        meant if meant == net => Ok(net),
        meant => Err(Wrong::HostBits { written: written.to_owned(), meant }),
    }
}

/// A host name in lower case (RFC 1123 section 2.1, and the underscore that is met in practice).
fn host_name(written: &str) -> Option<Box<str>> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let is_name = written.len() <= NAME_BYTES_MAX && written.split('.').all(is_label);
    is_name.then(|| written.to_ascii_lowercase().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_hold_what_they_say() {
        let address = |text: &str| Address::from(text.parse::<IpAddr>().expect("a literal address"));
        let below = CollectorPattern::parse("sni:*.Acme.example").expect("a pattern");
        let exact = CollectorPattern::parse("sni:acme.example").expect("a pattern");
        let names = [
            ("a.acme.example", true, false),
            ("a.b.ACME.example", true, false),
            ("a.acme.example.", true, false),
            ("acme.example", false, true),
            ("notacme.example", false, false),
            (".acme.example", false, false),
            ("a.acme.example.evil.example", false, false),
            ("éacme.example", false, false),
            ("", false, false),
        ];
        for (name, wanted_below, wanted_exact) in names {
            assert_eq!((below.holds_name(name), exact.holds_name(name)), (wanted_below, wanted_exact), "{name}");
        }
        let prefix = CollectorPattern::parse("198.51.100.0/24").expect("a pattern");
        for (text, wanted) in
            [("198.51.100.255", true), ("198.51.101.0", false), ("::ffff:198.51.100.9", true), ("2001:db8::", false)]
        {
            assert_eq!(prefix.holds_address(address(text)), wanted, "{text}");
        }
        // One party, called by IPv4 and through a translator.
        for (text, wanted) in [("64:ff9b::c633:6409", true), ("64:ff9b::c633:6509", false)] {
            assert_eq!(prefix.holds_address(address(text)), wanted, "{text}");
        }
        let translated = CollectorPattern::parse("64:ff9b::c633:6400/120").expect("a pattern");
        assert!(
            translated.holds_address(address("198.51.100.9"))
                && translated.holds_address(address("64:ff9b::c633:6409"))
        );
        assert!(!translated.holds_address(address("198.51.101.9")));
        assert!(!CollectorPattern::parse("::/0").expect("a pattern").holds_address(address("198.51.100.9")));
        assert!(CollectorPattern::parse("2001:db8::7").expect("a pattern").holds_address(address("2001:db8::7")));
        assert!(CollectorPattern::parse("asn:64500").expect("a pattern").holds_asn(64500));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let table = [
            "",
            "acme.example",
            "sni:",
            "sni:*",
            "sni:a.*.b",
            "sni:*acme.example",
            "sni:a..b",
            "sni:a b",
            "asn:",
            "asn:AS1",
            "asn:+1",
            "asn:4294967296",
            "198.51.100.0/33",
            "198.51.100.9/24",
            "dns:acme.example",
            "2001:db8::/129",
        ];
        for written in table {
            assert!(CollectorPattern::parse(written).is_err(), "{written:?}");
        }
    }

    #[test]
    fn wide_patterns_are_known() {
        let table = [
            ("0.0.0.0/0", true),
            ("10.0.0.0/8", false),
            ("::/0", true),
            ("2000::/3", true),
            ("64:ff9b::/96", true),
            ("64:ff9b::a00:0/104", false),
            ("2001:db8::/32", false),
            ("sni:*.com", true),
            ("sni:*.co.uk", true),
            ("sni:*.acme.com", false),
            ("sni:com", false),
        ];
        for (written, wanted) in table {
            assert_eq!(CollectorPattern::parse(written).expect(written).too_wide().is_some(), wanted, "{written}");
        }
    }
}
