//! Addresses that hide in words: a host asked for by its number, a reverse lookup, a banner that names its machine.
//! In: text from the wire and what to show for an address. Out: the same text with every address replaced that is shown
//! as another one.
//! Bounds: one pass; looks at most 63 bytes ahead. Finds dotted and dashed quads (`10.0.0.9`, `ip-10-0-0-9`), reverse
//! names (`9.0.0.10.in-addr.arpa`, `….ip6.arpa`) and IPv6 literals. Not found: addresses written as one number, in words,
//! or encoded.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use crate::units::Address;

/// Nibbles of an IPv6 reverse name, with the dots between them (RFC 3596 section 2.5).
const REVERSE_IPV6_BYTES: usize = 63;
/// Longest textual form of an IPv6 address (with an IPv4 tail).
const IPV6_TEXT_BYTES_MAX: usize = 45;

/// `text` with every address in it replaced for which `shown` gives another one; borrowed where nothing changes.
pub fn redact<'a>(text: &'a str, mut shown: impl FnMut(Address) -> Address) -> Cow<'a, str> {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while at < bytes.len() {
        match starts_token(bytes, at).then(|| replacement(&bytes[at..], &mut shown)).flatten() {
            Some((length, with)) => {
                out.push_str(&text[copied..at]);
                out.push_str(&with);
                at += length;
                copied = at;
            }
            None => at += 1,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// Whether an address may begin at `at`: a digit of a number that does not begin earlier.
fn starts_token(bytes: &[u8], at: usize) -> bool {
    let here = bytes[at];
    let before = at.checked_sub(1).map(|i| bytes[i]);
    match here {
        b'0'..=b'9' => !before.is_some_and(|b| b.is_ascii_digit()),
        b'a'..=b'f' | b'A'..=b'F' => !before.is_some_and(|b| b.is_ascii_alphanumeric()),
        b':' => before != Some(b':'),
        _ => false,
    }
}

/// The address at the start of `rest`, where it is shown as another one: its length in bytes, and what to write.
fn replacement(rest: &[u8], shown: &mut impl FnMut(Address) -> Address) -> Option<(usize, String)> {
    [reverse_ipv6, ipv6, quad].into_iter().find_map(|form| {
        let found = form(rest)?;
        let with = shown(found.address);
        (with != found.address).then(|| (found.length, (found.write)(with)))
    })
}

/// An address found in a text.
struct Found {
    address: Address,
    length: usize,
    /// Writes an address of the same version in the form in which this one was found.
    write: fn(Address) -> String,
}

/// Four numbers below 256 with the same sign between them: `.` or `-`.
fn quad(rest: &[u8]) -> Option<Found> {
    let mut octets = [0u8; 4];
    let mut length = 0;
    let mut sign = None;
    for (i, octet) in octets.iter_mut().enumerate() {
        if i > 0 {
            let here = *rest.get(length)?;
            if !matches!(here, b'.' | b'-') || *sign.get_or_insert(here) != here {
                return None;
            }
            length += 1;
        }
        let digits = rest[length..].iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 || digits > 3 {
            return None;
        }
        *octet = std::str::from_utf8(&rest[length..length + digits]).ok()?.parse().ok()?;
        length += digits;
    }
    if starts_with_word(&rest[length..], b".in-addr.arpa") {
        octets.reverse();
        return Some(Found { address: Address::v4(octets), length, write: |a| joined(a, ".", true) });
    }
    let write = if sign == Some(b'-') { |a| joined(a, "-", false) } else { |a: Address| a.to_string() };
    Some(Found { address: Address::v4(octets), length, write })
}

/// The longest run of hexadecimal digits, colons and dots that is an IPv6 address.
fn ipv6(rest: &[u8]) -> Option<Found> {
    let run = rest.iter().take_while(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.')).count();
    let text = std::str::from_utf8(&rest[..run.min(IPV6_TEXT_BYTES_MAX)]).ok()?;
    // A sentence's own full stop or colon may follow.
    for text in [text, text.trim_end_matches('.'), text.trim_end_matches([':', '.'])] {
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Some(Found {
                address: Address::v6(address.octets()),
                length: text.len(),
                write: |a| a.to_string(),
            });
        }
    }
    None
}

/// 32 nibbles, last first, as reverse lookups write an IPv6 address.
fn reverse_ipv6(rest: &[u8]) -> Option<Found> {
    let (name, after) = rest.split_at_checked(REVERSE_IPV6_BYTES)?;
    if !starts_with_word(after, b".ip6.arpa") {
        return None;
    }
    let mut bits = 0u128;
    for (i, &byte) in name.iter().enumerate() {
        match i % 2 {
            0 => bits |= u128::from(char::from(byte).to_digit(16)?) << (2 * i),
            _ if byte != b'.' => return None,
            _ => {}
        }
    }
    Some(Found { address: Address(bits.to_be_bytes()), length: REVERSE_IPV6_BYTES, write: reversed_nibbles })
}

fn reversed_nibbles(address: Address) -> String {
    let bits = u128::from_be_bytes(address.0);
    let nibbles: Vec<String> = (0..32).map(|i| format!("{:x}", bits >> (4 * i) & 15)).collect();
    nibbles.join(".")
}

fn joined(address: Address, sign: &str, reversed: bool) -> String {
    let mut octets = address.as_v4().unwrap_or_default();
    if reversed {
        octets.reverse();
    }
    octets.map(|octet| octet.to_string()).join(sign)
}

fn starts_with_word(bytes: &[u8], word: &[u8]) -> bool {
    bytes.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;

    /// Shows 10.0.0.0/8 and 2001:db8::/32 as something else.
    fn shown(address: Address) -> Address {
        match address.to_ip() {
            IpAddr::V4(v4) if v4.octets()[0] == 10 => Address::v4([99, 1, 2, 3]),
            IpAddr::V6(v6) if v6.segments()[..2] == [0x2001, 0xdb8] => {
                Address::from("fd00::7".parse::<IpAddr>().expect("a literal address"))
            }
            _ => address,
        }
    }

    #[test]
    fn addresses_in_words_are_replaced() {
        let nibbles = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        let other = "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa";
        let table = [
            ("plain name", "www.example.org", "www.example.org"),
            ("the whole text", "10.20.0.5", "99.1.2.3"),
            ("a stranger", "192.0.2.10", "192.0.2.10"),
            ("with a port", "10.20.0.5:8080", "99.1.2.3:8080"),
            ("in a name", "10.20.0.5.nip.example", "99.1.2.3.nip.example"),
            ("dashed", "ip-10-20-0-5.internal", "ip-99-1-2-3.internal"),
            ("mixed signs", "10-20.0.5", "10-20.0.5"),
            ("reverse name", "5.0.20.10.in-addr.arpa", "3.2.1.99.in-addr.arpa"),
            ("reverse name of a stranger", "10.2.0.192.IN-ADDR.ARPA", "10.2.0.192.IN-ADDR.ARPA"),
            ("after another number", "7.10.20.0.5", "7.99.1.2.3"),
            ("too large", "10.20.0.256", "10.20.0.256"),
            ("too short", "10.20.0", "10.20.0"),
            ("IPv6", "[2001:db8::5]:443", "[fd00::7]:443"),
            ("IPv6 at a sentence's end", "asked 2001:db8::5.", "asked fd00::7."),
            ("IPv6 of a stranger", "2001:470::5", "2001:470::5"),
            ("mapped", "::ffff:10.0.0.1", "99.1.2.3"),
            ("reverse IPv6", nibbles, other),
            ("two of them", "from 10.0.0.1 to 10.0.0.2", "from 99.1.2.3 to 99.1.2.3"),
            ("a time", "12:30:15", "12:30:15"),
            ("beyond ASCII", "é10.0.0.1ü", "é99.1.2.3ü"),
        ];
        for (name, text, wanted) in table {
            assert_eq!(redact(text, shown), wanted, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "[0-9a-f:.\\-é ]{0,80}") {
            redact(&text, shown);
            prop_assert_eq!(redact(&text, |address| address), text.as_str());
        }

        #[test]
        fn no_subscriber_survives(a: [u8; 3], b: [u8; 3], before in "[a-z .:-]{0,6}", between in "[a-z ,/-]{1,4}") {
            let [a, b] = [a, b].map(|[x, y, z]| format!("10.{x}.{y}.{z}"));
            let redacted = redact(&format!("{before}{a}{between}{b}"), shown).into_owned();
            prop_assert!(!redacted.contains(&a) && !redacted.contains(&b), "{}", redacted);
        }
    }
}
