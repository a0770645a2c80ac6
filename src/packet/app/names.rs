//! Names: what a peer wrote, made fit for a terminal, a log and a comparison.
//! In: raw bytes of a name, host, path or banner. Out: bounded printable ASCII.
//! Bounds: [`NAME_BYTES_MAX`] bytes each. Not here: who asked for the name.

use std::net::IpAddr;

use crate::packet::facts::NAME_BYTES_MAX;

/// Which end of a text survives when it is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// The beginning: paths and banners say most there.
    Head,
    /// The end: a name's registrable domain stands there.
    Tail,
}

/// Which bytes stand as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plain {
    /// Printable ASCII without space.
    Graphic,
    /// Printable ASCII with space.
    GraphicAndSpace,
}

/// A host name: lower case, no trailing dot, anything unprintable as `\xNN`; none where nothing is left.
pub(super) fn host_name(raw: &[u8]) -> Option<Box<str>> {
    let raw = raw.strip_suffix(b".").unwrap_or(raw);
    (!raw.is_empty()).then(|| {
        let mut text = escape(raw, Plain::Graphic, Keep::Tail);
        text.make_ascii_lowercase();
        text.into_boxed_str()
    })
}

/// A DNS name from its labels: lower case, dots between, a dot within a label as `\x2e`; the root is `.`.
pub(super) fn dns_name<'a>(labels: impl Iterator<Item = &'a [u8]> + Clone) -> Box<str> {
    // Exact where nothing has to be escaped, so that the text is neither moved nor cut to size.
    let plain = labels.clone().map(|label| label.len() + 1).sum::<usize>().saturating_sub(1);
    let mut text = String::with_capacity(plain.max(1));
    for label in labels {
        if !text.is_empty() {
            text.push('.');
        }
        for byte in label {
            match byte {
                b'.' => text.push_str("\\x2e"),
                _ => push_escaped(&mut text, *byte, Plain::Graphic),
            }
        }
    }
    if text.is_empty() {
        text.push('.');
    }
    text.make_ascii_lowercase();
    bound(text, Keep::Tail).into_boxed_str()
}

/// A line of text such as a banner: spaces stay, case stays.
pub(super) fn line(raw: &[u8]) -> Box<str> {
    escape(raw, Plain::GraphicAndSpace, Keep::Head).into_boxed_str()
}

/// A token such as a path or an ALPN id: case stays, spaces are escaped.
pub(super) fn token(raw: &[u8]) -> Box<str> {
    escape(raw, Plain::Graphic, Keep::Head).into_boxed_str()
}

/// The registrable domain of a name (the public suffix and one label more): `www.example.co.uk` gives `example.co.uk`.
/// None for an IP literal, a single label, or a name that is itself a public suffix.
pub fn registrable_domain(name: &str) -> Option<&str> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
    if bare.parse::<IpAddr>().is_ok() {
        return None;
    }
    psl::domain_str(name)
}

fn escape(raw: &[u8], plain: Plain, keep: Keep) -> String {
    // Only as much is read as can be kept, so that a long field costs no more than a short one.
    let raw = match keep {
        Keep::Head => raw.get(..NAME_BYTES_MAX).unwrap_or(raw),
        Keep::Tail => &raw[raw.len().saturating_sub(NAME_BYTES_MAX)..],
    };
    let mut text = String::with_capacity(raw.len());
    raw.iter().for_each(|byte| push_escaped(&mut text, *byte, plain));
    bound(text, keep)
}

fn push_escaped(text: &mut String, byte: u8, plain: Plain) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        // The backslash itself too: so every `\xNN` in a report stands for one byte.
        b'\\' => text.push_str("\\x5c"),
        b' ' if plain == Plain::GraphicAndSpace => text.push(' '),
        0x21..=0x7e => text.push(char::from(byte)),
        _ => {
            text.push_str("\\x");
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

/// Cuts to [`NAME_BYTES_MAX`], never inside an escape.
fn bound(mut text: String, keep: Keep) -> String {
    if text.len() <= NAME_BYTES_MAX {
        return text;
    }
    // A backslash only ever begins an escape of four characters.
    let splits_escape = |at: usize| (1..4).any(|back| text.as_bytes().get(at.wrapping_sub(back)) == Some(&b'\\'));
    match keep {
        Keep::Head => {
            let at = (0..=NAME_BYTES_MAX).rev().find(|at| !splits_escape(*at)).unwrap_or(0);
            text.truncate(at);
        }
        Keep::Tail => {
            let first = text.len() - NAME_BYTES_MAX;
            let at = (first..text.len()).find(|at| !splits_escape(*at)).unwrap_or(text.len());
            text.drain(..at);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_made_printable() {
        let table: &[(&str, &[u8], Option<&str>)] = &[
            ("plain", b"WWW.Example.COM", Some("www.example.com")),
            ("trailing dot", b"example.com.", Some("example.com")),
            ("empty", b"", None),
            ("only a dot", b".", None),
            ("terminal escape", b"a\x1b[31mb", Some("a\\x1b[31mb")),
            ("not ASCII", b"caf\xc3\xa9.fr", Some("caf\\xc3\\xa9.fr")),
            ("space and backslash", b"a b\\c", Some("a\\x20b\\x5cc")),
        ];
        for (name, raw, wanted) in table {
            assert_eq!(host_name(raw).as_deref(), *wanted, "{name}");
        }
        assert_eq!(&*dns_name([].into_iter()), ".");
        assert_eq!(&*dns_name([&b"My.Host"[..], b"Example"].into_iter()), "my\\x2ehost.example");
        assert_eq!(&*line(b"SSH-2.0-x y\x07"), "SSH-2.0-x y\\x07");
    }

    #[test]
    fn registrable_domains() {
        let table = [
            ("www.example.co.uk", Some("example.co.uk")),
            ("a.b.c.example.com", Some("example.com")),
            ("example.com.", Some("example.com")),
            ("com", None),
            ("localhost", None),
            ("192.0.2.1", None),
            ("2001:db8::1", None),
            ("[2001:db8::1]", None),
            ("user.github.io", Some("user.github.io")),
            ("", None),
            (".", None),
        ];
        for (name, wanted) in table {
            assert_eq!(registrable_domain(name), wanted, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_become_bounded_and_printable(raw in proptest::collection::vec(any::<u8>(), 0..700)) {
            for text in [host_name(&raw).unwrap_or_default(), line(&raw), token(&raw), dns_name(raw.chunks(63))] {
                prop_assert!(text.len() <= NAME_BYTES_MAX);
                prop_assert!(text.bytes().all(|b| (0x20..=0x7e).contains(&b)));
                // Every backslash begins a whole escape.
                for (at, _) in text.match_indices('\\') {
                    prop_assert!(text[at..].len() >= 4 && text[at + 1..].starts_with('x'));
                }
                let _ = registrable_domain(&text);
            }
        }

        #[test]
        fn a_long_name_keeps_its_domain(front in proptest::collection::vec(any::<u8>(), 250..400)) {
            let mut raw = front;
            raw.extend_from_slice(b".tunnel.example.com");
            let text = host_name(&raw).unwrap_or_default();
            prop_assert_eq!(registrable_domain(&text), Some("example.com"));
        }
    }
}
