//! Words from the wire made harmless: no name may move a terminal's cursor, hide text or turn its direction.
//! In: any text. Out: for people, the same with every such character written out; for JSON, the same value with those
//! characters as `\u` escapes, so that `cat` of a report is safe too.
//! Bounds: [`WORDS_CHARS_MAX`] characters a text for people.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::Formatter;

/// Longest text from the wire that is printed for people, in characters; what is cut ends in `…`.
pub const WORDS_CHARS_MAX: usize = 200;

/// Whether a character does something else than to stand in its place: C0 and C1 controls, direction marks and overrides,
/// zero-width and invisible ones, line and paragraph separators, tags and private use.
pub fn is_unruly(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{10ffff}')
}

/// Text for people: unruly characters written as `\u{1b}`, and no longer than [`WORDS_CHARS_MAX`].
pub fn words(text: &str) -> Cow<'_, str> {
    let long = text.char_indices().nth(WORDS_CHARS_MAX).map(|(at, _)| at);
    let kept = &text[..long.unwrap_or(text.len())];
    if long.is_none() && !kept.contains(is_unruly) {
        return Cow::Borrowed(text);
    }
    let mut out = ruly(kept).into_owned();
    if long.is_some() {
        out.push('…');
    }
    Cow::Owned(out)
}

/// As [`words`], of any length.
pub fn ruly(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unruly) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match is_unruly(c) {
            true => out.extend(c.escape_unicode()),
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Writes `value` as one line of JSON, unruly characters escaped. Errors are the writer's own, so that a broken pipe can be
/// told from everything else.
pub fn write_json_line(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    let mut line = Vec::with_capacity(1024);
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut line, Ruly)).map_err(io::Error::from)?;
    line.push(b'\n');
    out.write_all(&line)
}

/// Compact JSON in which unruly characters are escapes.
struct Ruly;

impl Formatter for Ruly {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut written = 0;
        for (at, c) in fragment.char_indices().filter(|&(_, c)| is_unruly(c)) {
            writer.write_all(&fragment.as_bytes()[written..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            written = at + c.len_utf8();
        }
        writer.write_all(&fragment.as_bytes()[written..])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn unruly_characters_are_written_out() {
        let table = [
            ("plain", "c.example", "c.example"),
            ("clear the screen", "\u{1b}[2Jx", "\\u{1b}[2Jx"),
            ("C1 introducer", "\u{9b}31m", "\\u{9b}31m"),
            ("new line", "a\nb", "a\\u{a}b"),
            ("right to left", "a\u{202e}b", "a\\u{202e}b"),
            ("invisible", "a\u{200b}b", "a\\u{200b}b"),
            ("honest letters", "bücher.example", "bücher.example"),
        ];
        for (name, text, wanted) in table {
            assert_eq!(words(text), wanted, "{name}");
        }
        let long = words(&"x".repeat(5000)).into_owned();
        assert_eq!((long.chars().count(), long.ends_with('…')), (WORDS_CHARS_MAX + 1, true));
    }

    proptest! {
        #[test]
        fn json_keeps_the_value_and_tames_the_line(text: String) {
            let mut line = Vec::new();
            write_json_line(&mut line, &text).expect("a vector takes all");
            let line = String::from_utf8(line).expect("JSON is UTF-8");
            prop_assert_eq!(&serde_json::from_str::<String>(&line).expect("valid JSON"), &text);
            prop_assert!(!line.trim_end_matches('\n').contains(is_unruly));
        }

        #[test]
        fn words_never_hold_an_unruly_character(text: String) {
            prop_assert!(!words(&text).contains(is_unruly));
        }
    }
}
