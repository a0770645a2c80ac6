//! JA4: a client hello as 36 characters.
//! In: a whole client hello. Out: `a_b_c` as FoxIO's public specification of JA4 has it (technical_details/JA4.md,
//! BSD-3-Clause): transport, version, SNI, counts, ALPN; a hash of the sorted cipher suites; a hash of the sorted
//! extensions and the signature algorithms in their order. GREASE (RFC 8701) is left out everywhere.
//! Bounds: the hello's own. Not here: the other fingerprints of that family, whose licence is another.

use sha2::{Digest, Sha256};
use smallvec::SmallVec;

use super::client_hello::{ClientHello, EXT_ALPN, EXT_SERVER_NAME};
use super::{Transport, is_grease};
use crate::packet::facts::Ja4;

/// What stands for the hash of an empty list.
const NO_HASH: &[u8] = b"000000000000";

/// Numbers of a list that need no memory of their own: real hellos have some twenty.
type Numbers = SmallVec<[u16; 64]>;
/// The text of such a list.
type ListText = SmallVec<[u8; 512]>;
/// The text of a fingerprint while it is put together.
type Text = SmallVec<[u8; Ja4::BYTES]>;

/// The fingerprint of a hello.
pub(super) fn ja4(hello: &ClientHello<'_>, transport: Transport) -> Option<Ja4> {
    let mut ciphers: Numbers = hello.ciphers().filter(|c| !is_grease(*c)).collect();
    let mut extensions: Numbers = hello.extension_types().filter(|e| !is_grease(*e)).collect();
    let letter = match transport {
        Transport::Tls => b't',
        Transport::Quic => b'q',
        Transport::Dtls => b'd',
    };
    let mut text = Text::new();
    text.push(letter);
    text.extend_from_slice(version_code(hello.version(transport)));
    text.push(if extensions.contains(&EXT_SERVER_NAME) { b'd' } else { b'i' });
    for count in [ciphers.len(), extensions.len()] {
        let count = count.min(99) as u8;
        text.extend_from_slice(&[b'0' + count / 10, b'0' + count % 10]);
    }
    text.extend_from_slice(&alpn_characters(hello.alpn_first()).map(|character| character as u8));
    ciphers.sort_unstable();
    let mut list = ListText::new();
    push_list(&mut list, ciphers.into_iter());
    text.push(b'_');
    push_hash(&mut text, &list);
    extensions.retain(|e| !matches!(*e, EXT_SERVER_NAME | EXT_ALPN));
    extensions.sort_unstable();
    list.clear();
    push_list(&mut list, extensions.into_iter());
    let mut algorithms = hello.signature_algorithms().filter(|a| !is_grease(*a)).peekable();
    if !list.is_empty() && algorithms.peek().is_some() {
        list.push(b'_');
        push_list(&mut list, algorithms);
    }
    text.push(b'_');
    push_hash(&mut text, &list);
    Ja4::of(text)
}

fn version_code(version: u16) -> &'static [u8; 2] {
    match version {
        0x0304 => b"13",
        0x0303 => b"12",
        0x0302 => b"11",
        0x0301 => b"10",
        0x0300 => b"s3",
        0x0002 => b"s2",
        0xfeff => b"d1",
        0xfefd => b"d2",
        0xfefc => b"d3",
        _ => b"00",
    }
}

/// First and last character of the first ALPN id; of its hexadecimal form where either is not alphanumeric.
fn alpn_characters(id: Option<&[u8]>) -> [char; 2] {
    let Some((first, last)) = id.and_then(|id| Some((*id.first()?, *id.last()?))) else { return ['0', '0'] };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [char::from(first), char::from(last)];
    }
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    [digit(first >> 4), digit(last & 15)]
}

/// Four lower-case hexadecimal digits each, commas between.
fn push_list(list: &mut ListText, numbers: impl Iterator<Item = u16>) {
    for (n, number) in numbers.enumerate() {
        if n > 0 {
            list.push(b',');
        }
        let [high, low] = number.to_be_bytes();
        list.extend(hex(high).into_iter().chain(hex(low)));
    }
}

/// The first twelve hexadecimal digits of SHA-256.
fn push_hash(text: &mut Text, list: &[u8]) {
    if list.is_empty() {
        return text.extend_from_slice(NO_HASH);
    }
    text.extend(Sha256::digest(list)[..6].iter().flat_map(|byte| hex(*byte)));
}

/// Two lower-case digits. By table: formatting was half of what a hello cost.
fn hex(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpn_by_the_specification() {
        type Row = (&'static str, Option<&'static [u8]>, [char; 2]);
        let table: &[Row] = &[
            ("none", None, ['0', '0']),
            ("empty", Some(b""), ['0', '0']),
            ("h2", Some(b"h2"), ['h', '2']),
            ("http/1.1", Some(b"http/1.1"), ['h', '1']),
            ("one character", Some(b"x"), ['x', 'x']),
            ("AB", Some(&[0xab]), ['a', 'b']),
            ("AB CD", Some(&[0xab, 0xcd]), ['a', 'd']),
            ("30 AB", Some(&[0x30, 0xab]), ['3', 'b']),
            ("30 31 AB CD", Some(&[0x30, 0x31, 0xab, 0xcd]), ['3', 'd']),
            ("30 AB CD 31", Some(&[0x30, 0xab, 0xcd, 0x31]), ['0', '1']),
        ];
        for (name, id, wanted) in table {
            assert_eq!(alpn_characters(*id), *wanted, "{name}");
        }
    }

    #[test]
    fn the_lists_of_the_specification_hash_as_it_says() {
        let mut text = Text::new();
        push_hash(&mut text, b"002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9");
        push_hash(&mut text, b"0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01");
        push_hash(&mut text, b"");
        assert_eq!(text.as_slice(), b"8daaf61527716d807ffa2a79000000000000");
    }
}
