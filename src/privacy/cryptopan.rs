//! Crypto-PAn: an address becomes another one that keeps exactly its shared prefixes.
//! In: an address and a key. Out: its pseudonym, of the same IP version; with the same key, back.
//! Bounds: 32 AES-128 blocks for IPv4, 128 for IPv6; [`PseudonymCache`] has [`CACHE_SLOTS`] slots, fixed at start.
//! Source: Xu, Fan, Ammar, Moon, "Prefix-Preserving IP Address Anonymization", ICNP 2002; IPv6 over all 128 bits in the
//! same way, as the later implementations do. Special addresses are treated like all others.

use std::hash::Hasher;

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use siphasher::sip::SipHasher13;
use zeroize::Zeroize;

use super::key::Key;
use crate::units::Address;

/// Slots of a thread's cache: 16,384 × 32 bytes are half of a second-level cache. A miss costs 32 blocks of AES, so that a
/// worker with more active subscribers than slots pays more for names than for counting.
pub const CACHE_SLOTS: usize = 16_384;

/// Blocks encrypted at once: enough to fill the AES pipeline, and IPv4 needs exactly these.
const BLOCKS: usize = 32;

/// Makes pseudonyms, and undoes them. Shared by threads; each keeps a [`PseudonymCache`] of its own.
#[derive(Clone)]
pub struct Pseudonymiser {
    cipher: Aes128,
    pad: u128,
    sketch_key: [u8; 16],
}

impl Pseudonymiser {
    /// Pseudonyms under this key.
    pub fn new(key: &Key) -> Self {
        let (cipher_key, pad_key) = key.halves();
        let cipher = Aes128::new(&Array::from(*cipher_key));
        let mut pad = Array::from(*pad_key);
        cipher.encrypt_block(&mut pad);
        Self { cipher, pad: u128::from_be_bytes(pad.into()), sketch_key: key.subkey(b"sketch hash") }
    }

    /// The pseudonym of a real address. IPv4 stays IPv4, IPv6 stays IPv6.
    pub fn pseudonym(&self, real: Address) -> Address {
        if let Some(octets) = real.as_v4() {
            let bits = u128::from(u32::from_be_bytes(octets)) << 96;
            return v4(bits ^ self.flips(bits, 32));
        }
        // One /96 of IPv6 would land on the mapped form that stands for IPv4: walk on along the permutation's cycle, which
        // must leave that /96 again because it began outside.
        let mut bits = u128::from_be_bytes(real.0);
        loop {
            bits ^= self.flips(bits, 128);
            let address = Address(bits.to_be_bytes());
            if !address.is_v4() {
                return address;
            }
        }
    }

    /// The real address behind a pseudonym made under the same key. Callers outside `privacy` go through
    /// [`Reveal`](super::Reveal), so that there is one place to look at.
    pub fn reveal(&self, pseudonym: Address) -> Address {
        if let Some(octets) = pseudonym.as_v4() {
            return v4(self.unflip(u128::from(u32::from_be_bytes(octets)) << 96, 32));
        }
        let mut bits = u128::from_be_bytes(pseudonym.0);
        loop {
            bits = self.unflip(bits, 128);
            let address = Address(bits.to_be_bytes());
            if !address.is_v4() {
                return address;
            }
        }
    }

    /// A keyed 64-bit hash for sketches: equal addresses hash alike under one key, and no one without it can choose
    /// addresses that collide, or test a guess.
    pub fn hash64(&self, address: Address) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.sketch_key);
        hasher.write(&address.0);
        hasher.finish()
    }

    /// Which of the first `width` bits of `bits` flip: bit i by the first bit of AES(first i bits, then the pad). All
    /// inputs are known beforehand, so the blocks go through the cipher side by side.
    fn flips(&self, bits: u128, width: u32) -> u128 {
        let mut flips = 0u128;
        for first in (0..width).step_by(BLOCKS) {
            let mut blocks: [aes::Block; BLOCKS] = std::array::from_fn(|i| self.input(bits, first + i as u32));
            self.cipher.encrypt_blocks(&mut blocks);
            for (i, block) in blocks.iter().enumerate() {
                flips |= u128::from(block[0] >> 7) << (127 - first - i as u32);
            }
        }
        flips
    }

    /// Bit by bit: the flip of bit i depends on the real bits before it only, and those are known by then.
    fn unflip(&self, pseudonym: u128, width: u32) -> u128 {
        let mut real = pseudonym;
        for i in 0..width {
            let mut block = self.input(real, i);
            self.cipher.encrypt_block(&mut block);
            real ^= u128::from(block[0] >> 7) << (127 - i);
        }
        real
    }

    /// The cipher's input for bit `i`: the `i` bits before it, then the pad's.
    fn input(&self, bits: u128, i: u32) -> aes::Block {
        let from_address = !(u128::MAX >> i);
        Array::from(((bits & from_address) | (self.pad & !from_address)).to_be_bytes())
    }
}

impl Drop for Pseudonymiser {
    fn drop(&mut self) {
        // The cipher wipes its own key schedule.
        self.pad.zeroize();
        self.sketch_key.zeroize();
    }
}

/// Says that there is a key, never which.
impl std::fmt::Debug for Pseudonymiser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pseudonymiser(secret key)")
    }
}

/// A thread's memory of pseudonyms: flows of one subscriber come in runs, and a hit costs a hash and a compare.
#[derive(Clone)]
pub struct PseudonymCache {
    pseudonymiser: Pseudonymiser,
    slots: Box<[(Address, Address)]>,
}

impl PseudonymCache {
    /// An empty cache; takes its memory now and never more.
    pub fn new(pseudonymiser: Pseudonymiser) -> Self {
        // Every slot starts with a true pair, so that there is no empty state to ask for on each hit.
        let true_pair = (Address::UNSPECIFIED, pseudonymiser.pseudonym(Address::UNSPECIFIED));
        Self { pseudonymiser, slots: vec![true_pair; CACHE_SLOTS].into_boxed_slice() }
    }

    /// As [`Pseudonymiser::pseudonym`].
    pub fn pseudonym(&mut self, real: Address) -> Address {
        self.both(real).0
    }

    /// The pseudonym, and the hash of [`Pseudonymiser::hash64`], which the cache needs anyway.
    pub fn both(&mut self, real: Address) -> (Address, u64) {
        // Keyed, so that no one can choose addresses that evict each other.
        let hash = self.pseudonymiser.hash64(real);
        let slot = &mut self.slots[hash as usize % CACHE_SLOTS];
        if slot.0 != real {
            *slot = (real, self.pseudonymiser.pseudonym(real));
        }
        (slot.1, hash)
    }

    /// What makes the pseudonyms.
    pub fn pseudonymiser(&self) -> &Pseudonymiser {
        &self.pseudonymiser
    }
}

/// Its slots pair real addresses with pseudonyms, so it prints none of them.
impl std::fmt::Debug for PseudonymCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PseudonymCache(secret pairs)")
    }
}

/// The IPv4 address in the first 32 of 128 bits.
fn v4(bits: u128) -> Address {
    Address::v4(((bits >> 96) as u32).to_be_bytes())
}

#[cfg(test)]
mod tests;
