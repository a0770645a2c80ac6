//! JA4: a client hello as 36 characters.
//! In: a whole client hello. Out: `a_b_c` as FoxIO's public specification of JA4 has it (technical_details/JA4.md,
//! BSD-3-Clause): transport, version, SNI, counts, ALPN; a hash of the sorted cipher suites; a hash of the sorted
//! extensions and the signature algorithms in their order. GREASE (RFC 8701) is left out everywhere.
//! Bounds: the hello's own; a thread remembers the hashes of [`REMEMBERED`] lists. Not here: the other fingerprints of that
//! family, whose licence is another.

use std::cell::RefCell;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use sha2::{Digest, Sha256};
use smallvec::SmallVec;

use super::client_hello::{ClientHello, EXT_ALPN, EXT_SERVER_NAME};
use super::{Transport, is_grease};
use crate::packet::facts::Ja4;

/// What stands for the hash of an empty list.
const NO_HASH: &Digits = b"000000000000";
/// Lists whose hash a thread remembers. A population has few kinds of clients, and once sorted even those that shuffle their
/// extensions show the same lists; writing one down and hashing it is half of what a hello costs.
const REMEMBERED: usize = 64;
/// Stands between extensions and algorithms in a remembered list: no number of either, as GREASE is left out.
const BETWEEN: u16 = 0x0a0a;

/// Numbers of a list that need no memory of their own: real hellos have some twenty.
type Numbers = SmallVec<[u16; 64]>;
/// The text of such a list.
type ListText = SmallVec<[u8; 512]>;
/// The first twelve digits of a hash.
type Digits = [u8; 12];
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
    text.push(b'_');
    text.extend_from_slice(&digits_of(&ciphers));
    extensions.retain(|e| !matches!(*e, EXT_SERVER_NAME | EXT_ALPN));
    extensions.sort_unstable();
    let mut algorithms = hello.signature_algorithms().filter(|a| !is_grease(*a)).peekable();
    if !extensions.is_empty() && algorithms.peek().is_some() {
        extensions.push(BETWEEN);
        extensions.extend(algorithms);
    }
    text.push(b'_');
    text.extend_from_slice(&digits_of(&extensions));
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

/// The hash of a list, remembered from the last time.
fn digits_of(numbers: &Numbers) -> Digits {
    type Known = [Option<Box<(Numbers, Digits)>>; REMEMBERED];
    thread_local! {
        static KNOWN: RefCell<Known> = const { RefCell::new([const { None }; REMEMBERED]) };
    }
    // Longer lists than real hellos have are nobody's habit, and would take memory.
    if numbers.spilled() {
        return hash(numbers);
    }
    let place = FixedState::default().hash_one(numbers.as_slice()) as usize % REMEMBERED;
    KNOWN.with_borrow_mut(|known| match &known[place] {
        Some(entry) if entry.0 == *numbers => entry.1,
        _ => {
            let digits = hash(numbers);
            known[place] = Some(Box::new((numbers.clone(), digits)));
            digits
        }
    })
}

/// The first twelve hexadecimal digits of SHA-256 of a list written down.
fn hash(numbers: &[u16]) -> Digits {
    let mut list = ListText::new();
    push_list(&mut list, numbers);
    if list.is_empty() {
        return *NO_HASH;
    }
    let digest = Sha256::digest(&list);
    std::array::from_fn(|i| hex(digest[i / 2])[i % 2])
}

/// Four lower-case hexadecimal digits each, commas between, and an underscore before the algorithms.
fn push_list(list: &mut ListText, numbers: &[u16]) {
    let mut separator = None;
    for number in numbers {
        if *number == BETWEEN {
            separator = Some(b'_');
            continue;
        }
        list.extend(separator);
        let [high, low] = number.to_be_bytes();
        list.extend_from_slice(&hex(high));
        list.extend_from_slice(&hex(low));
        separator = Some(b',');
    }
}

/// Two lower-case digits. By table: formatting was half of what a hello cost.
fn hex(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
        let ciphers = [
            0x002f, 0x0035, 0x009c, 0x009d, 0x1301, 0x1302, 0x1303, 0xc013, 0xc014, 0xc02b, 0xc02c, 0xc02f, 0xc030,
            0xcca8, 0xcca9,
        ];
        let extensions = [
            0x0005, 0x000a, 0x000b, 0x000d, 0x0012, 0x0015, 0x0017, 0x001b, 0x0023, 0x002b, 0x002d, 0x0033, 0x4469,
            0xff01,
        ];
        let algorithms = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];
        assert_eq!(hash(&ciphers), *b"8daaf6152771");
        assert_eq!(hash(&extensions), *b"6d807ffa2a79");
        assert_eq!(hash(&[extensions.as_slice(), &[BETWEEN], &algorithms].concat()), *b"e5627efa2ab1");
        assert_eq!(hash(&[]), *NO_HASH);
    }

    proptest! {
        /// More lists than are remembered, some longer than is remembered, each of them again and again.
        #[test]
        fn a_remembered_hash_is_the_hash_of_that_list(
            lists in prop::collection::vec(prop::collection::vec(0u16..9, 0..80), 1..200),
            asked in prop::collection::vec(any::<prop::sample::Index>(), 1..400),
        ) {
            for index in asked {
                let list = index.get(&lists);
                prop_assert_eq!(digits_of(&Numbers::from_slice(list)), hash(list));
            }
        }
    }
}
