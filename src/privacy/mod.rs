//! Keyed, prefix-preserving pseudonyms; the one place that can reveal.
//! In: real addresses and a 32-byte key. Out: pseudonyms under which subscribers leave the worker, and, only for who holds
//! the key, the way back.
//! Bounds: a pseudonym costs 32 (IPv4) or 128 (IPv6) AES blocks at most; the cache of a thread has a fixed size.
//! Not here: who is a subscriber (`population`), where pseudonyms are printed (`report`).
//!
//! # What a pseudonym hides, and what not
//! Crypto-PAn keeps prefixes: two addresses that share their first n bits have pseudonyms that share exactly n. That is what
//! makes subnets countable after the fact, and it is also the weakness: who knows the pseudonyms of some real addresses
//! (because he sent their packets himself) learns the prefixes of all that share bits with them. Pseudonyms protect a
//! report that leaves the house; they do not make it fit for publication.

pub mod cryptopan;
pub mod key;
pub mod redact;
pub mod reveal;

pub use cryptopan::{PseudonymCache, Pseudonymiser};
pub use key::{Key, KeyError, KeyWarning};
pub use reveal::{Reveal, Shown};
