//! The one place that turns pseudonyms back.
//! In: a pseudonym as findings and stores carry it. Out: what a report prints for it.
//! Bounds: none of its own. Without the key that the user named there is no way back, and reports print the pseudonym.

use std::fmt;

use super::cryptopan::Pseudonymiser;
use super::key::Key;
use crate::units::Address;

/// Whether a report may print the real addresses of subscribers.
#[derive(Clone, Debug, Default)]
pub enum Reveal {
    /// The default: pseudonyms stay pseudonyms.
    #[default]
    Nothing,
    /// The user named the key file (`--reveal`): pseudonyms made under that key are turned back.
    With(Box<Pseudonymiser>),
}

impl Reveal {
    /// Turns back what was made under this key.
    pub fn with_key(key: &Key) -> Self {
        Self::With(Box::new(Pseudonymiser::new(key)))
    }

    /// What to print for a subscriber whose pseudonym is given.
    pub fn shown(&self, pseudonym: Address) -> Shown {
        match self {
            Self::Nothing => Shown::Pseudonym(pseudonym),
            Self::With(pseudonymiser) => Shown::Real(pseudonymiser.reveal(pseudonym)),
        }
    }

    /// Whether real addresses are printed: then hashes over them may be printed too.
    pub fn is_real(&self) -> bool {
        matches!(self, Self::With(_))
    }
}

/// A subscriber as a report prints it. Its `Display` is the only one that a report should use for a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Made under a key that this report does not have.
    Pseudonym(Address),
    /// The real address.
    Real(Address),
}

impl Shown {
    /// The address that is printed.
    pub fn address(self) -> Address {
        match self {
            Self::Pseudonym(address) | Self::Real(address) => address,
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_key_reveals() {
        let (right, wrong) = (Key::derive(b"right"), Key::derive(b"wrong"));
        let real = Address::v4([10, 20, 1, 9]);
        let pseudonym = Pseudonymiser::new(&right).pseudonym(real);
        assert_ne!(pseudonym, real);
        assert_eq!(Reveal::default().shown(pseudonym), Shown::Pseudonym(pseudonym));
        assert_eq!(Reveal::with_key(&right).shown(pseudonym), Shown::Real(real));
        assert_eq!(Reveal::with_key(&right).shown(pseudonym).to_string(), "10.20.1.9");
        assert_ne!(Reveal::with_key(&wrong).shown(pseudonym), Shown::Real(real));
    }
}
