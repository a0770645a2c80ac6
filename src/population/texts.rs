//! Texts: names, fingerprints and issuers, each kept once and referred to by its hash.
//! In: strings of flows. Out: [`TextId`]s, and the strings behind them.
//! Bounds: `texts_max` texts of [`TEXT_BYTES_MAX`] bytes; a text that finds the table full is counted and has an id only.
//! Not kept: addresses written as names, and reverse names (`….arpa`), which spell a subscriber's address.

use std::hash::Hasher;
use std::net::IpAddr;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

use super::sketch::{Merge, SketchKey, ascending};
use super::totals::count;

/// Longest text kept, in bytes; longer ones are cut at a character.
pub const TEXT_BYTES_MAX: usize = 255;

/// Hash of a text (SipHash-1-3, fixed key): the same in every summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TextId(pub u64);

impl TextId {
    /// The id of a text.
    pub fn of(text: &str) -> Self {
        let mut hasher = SipHasher13::new_with_key(b"trawl text ident");
        hasher.write(text.as_bytes());
        Self(hasher.finish())
    }
}

impl SketchKey for TextId {
    fn code(&self) -> u64 {
        self.0
    }
}

/// A text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Text {
    /// The text.
    pub text: Box<str>,
    /// Of a host name its registrable domain (public suffix list), a text of its own; the name itself where the list knows
    /// none. None for texts that are no names.
    pub domain: Option<TextId>,
}

/// The texts of a summary.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    map: HashMap<TextId, Text, RandomState>,
    missed: u64,
}

impl Texts {
    /// Files a host name and its registrable domain, and gives both ids. None where it is no name: an address, a reverse
    /// name, nothing at all.
    pub fn add_name(&mut self, name: &str, most: usize) -> Option<(TextId, TextId)> {
        self.add_name_under(Self::id_of(name), name, most)
    }

    /// The id that a name is filed under.
    pub fn id_of(name: &str) -> TextId {
        TextId::of(cut(name))
    }

    /// As [`Self::add_name`] where [`Self::id_of`] the name is at hand.
    pub fn add_name_under(&mut self, id: TextId, name: &str, most: usize) -> Option<(TextId, TextId)> {
        let name = cut(name);
        if let Some(domain) = self.map.get(&id).and_then(|known| known.domain) {
            return Some((id, domain));
        }
        if !is_name(name) {
            return None;
        }
        // A name that is a public suffix itself, or has none that the list knows, stands for itself.
        let text = psl::domain_str(name).unwrap_or(name);
        let domain = TextId::of(text);
        if domain != id {
            self.add(domain, text, Some(domain), most);
        }
        self.add(id, name, Some(domain), most);
        Some((id, domain))
    }

    /// Files any other text.
    pub fn add_text(&mut self, text: &str, most: usize) -> TextId {
        let text = cut(text);
        self.add(TextId::of(text), text, None, most)
    }

    /// Files a text under an id that its source gave.
    pub fn add_under(&mut self, id: TextId, text: &str, most: usize) -> TextId {
        self.add(id, cut(text), None, most)
    }

    fn add(&mut self, id: TextId, text: &str, domain: Option<TextId>, most: usize) -> TextId {
        let full = self.map.len() >= most;
        match self.map.get_mut(&id) {
            Some(known) if *known.text == *text && known.domain >= domain => {}
            Some(known) => join(known, Text { text: text.into(), domain }),
            None if full => count(&mut self.missed, 1),
            None => {
                self.map.insert(id, Text { text: text.into(), domain });
            }
        }
        id
    }

    /// The registrable domain of a name that is filed.
    pub(super) fn domain_of(&self, name: TextId) -> Option<TextId> {
        self.map.get(&name).and_then(|known| known.domain)
    }

    /// The text behind an id; none where it did not fit.
    pub fn of(&self, id: TextId) -> Option<&str> {
        self.map.get(&id).map(|known| &*known.text)
    }

    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Texts that did not fit.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// Takes another's texts in, and leaves it empty but for its memory.
    pub(super) fn take_in(&mut self, other: &mut Self) {
        count(&mut self.missed, std::mem::take(&mut other.missed));
        if other.map.len() > self.map.len() {
            std::mem::swap(&mut self.map, &mut other.map);
        }
        for (id, text) in other.map.drain() {
            match self.map.get_mut(&id) {
                Some(known) => join(known, text),
                None => {
                    self.map.insert(id, text);
                }
            }
        }
    }

    /// The same table, empty but for its memory.
    pub(super) fn cleared(mut self) -> Self {
        self.map.clear();
        Self { map: self.map, missed: 0 }
    }

    /// Keeps the texts that `wanted` (ascending) names, at most `most` of them, lowest ids first.
    pub fn bound(&mut self, wanted: &[TextId], most: usize) {
        self.map.retain(|id, _| wanted.binary_search(id).is_ok());
        if self.map.len() > most {
            let mut ids: Vec<TextId> = self.map.keys().copied().collect();
            ids.sort_unstable();
            for id in ids.drain(most..) {
                self.map.remove(&id);
                count(&mut self.missed, 1);
            }
        }
    }
}

impl Merge for Texts {
    fn merge(&mut self, mut other: Self) {
        self.take_in(&mut other);
    }
}

/// Two looks at one id. A domain may have been filed both as itself and as a name; and if two texts ever share a hash,
/// the lower one stays, whoever came first.
fn join(known: &mut Text, again: Text) {
    known.domain = known.domain.max(again.domain);
    if again.text < known.text {
        known.text = again.text;
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}

fn is_name(name: &str) -> bool {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    !bare.is_empty() && bare.parse::<IpAddr>().is_err() && !name.trim_end_matches('.').ends_with(".arpa")
}

impl Serialize for Texts {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut list: Vec<_> = self.map.iter().collect();
        list.sort_unstable_by_key(|(id, _)| **id);
        (self.missed, list).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Form {
            missed: u64,
            #[serde(deserialize_with = "ascending")]
            list: Vec<(TextId, Text)>,
        }
        let Form { missed, list } = Form::deserialize(from)?;
        Ok(Self { map: list.into_iter().collect(), missed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_domains_and_addresses_are_no_names() {
        let table = [
            ("a.b.example.com", Some("example.com")),
            ("example.com", Some("example.com")),
            ("x.example.co.uk", Some("example.co.uk")),
            ("router", Some("router")),
            ("com", Some("com")),
            ("10.20.0.1", None),
            ("[fd00::1]", None),
            ("fd00::1", None),
            ("1.0.20.10.in-addr.arpa", None),
            ("", None),
        ];
        for (name, wanted) in table {
            let mut texts = Texts::default();
            let found = texts.add_name(name, 10);
            assert_eq!(found.and_then(|(_, domain)| texts.of(domain)), wanted, "{name}");
            assert_eq!(texts.add_name(name, 10), found, "{name} again");
        }
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut texts = Texts::default();
        texts.add_text("one", 1);
        let two = texts.add_text("two", 1);
        assert_eq!((texts.of(two), texts.missed(), texts.len()), (None, 1, 1));
        let long = "é".repeat(200);
        let mut texts = Texts::default();
        let id = texts.add_text(&long, 1);
        assert_eq!(texts.of(id).map(str::len), Some(254));
        texts.bound(&[], 5);
        assert!(texts.is_empty());
    }
}
