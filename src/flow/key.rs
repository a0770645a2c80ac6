//! Keys as the table keeps them: fourteen bytes for two IPv4 addresses outside of tunnels, which is what nearly all flows have.
//! In: flow keys. Out: what they are looked for by, what a record keeps of them, and the keys again.
//! Bounds: of a key that is wider (IPv6, or inside a tunnel) addresses and context lie in a pool, 40 bytes a living flow.

use super::index::fold;
use super::slab::Pool;
use crate::packet::columns::FlowKey;
use crate::simd::prefetch;
use crate::units::Address;

/// Whether a record holds all of its key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
enum Form {
    #[default]
    Narrow,
    Wide,
}

/// A key in a record. Packed, because two bytes of padding would be two bytes of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, packed(2))]
pub(super) struct NearKey {
    /// IPv4 addresses, in the order of the key. Of a wide key a hash, and its place in the pool; where it is looked for, the other
    /// half of the hash in the place of the place.
    words: [u32; 2],
    ports: [u16; 2],
    protocol: u8,
    form: Form,
}

const _: () = assert!(size_of::<NearKey>() == 14);

impl NearKey {
    /// What a key is looked for by; what is no address of IPv4 is hashed under `secret`.
    #[inline]
    pub(super) fn sought(key: &FlowKey, secret: [u64; 2]) -> Self {
        let [low, high] = &key.addresses;
        let (words, form) = match (low.as_v4(), high.as_v4()) {
            (Some(low), Some(high)) if key.version == 4 && key.context == 0 => {
                ([u32::from_be_bytes(low), u32::from_be_bytes(high)], Form::Narrow)
            }
            _ => {
                let hash = hash_of_wide(key, secret);
                ([hash as u32, (hash >> 32) as u32], Form::Wide)
            }
        };
        Self { words, ports: key.ports, protocol: key.protocol, form }
    }

    /// A keyed tag of what is sought: two folded multiplications. Equal for both directions, because the key is.
    #[inline]
    pub(super) fn tag(&self, secret: [u64; 2]) -> u32 {
        let ([low, high], [first, second]) = (self.words, self.ports);
        let ends = u64::from(low) | u64::from(high) << 32;
        let kind = u64::from(self.protocol) << 32 | (self.form as u64) << 40;
        let rest = u64::from(first) | u64::from(second) << 16 | kind;
        let mixed = fold(fold(ends ^ secret[0], rest ^ secret[1]) ^ secret[1].rotate_left(23), secret[0] | 1);
        (mixed ^ mixed >> 32) as u32
    }
}

/// The keyed hash of what of a key only the pool holds.
fn hash_of_wide(key: &FlowKey, secret: [u64; 2]) -> u64 {
    let [low, high] = key.addresses.map(|address| u128::from_le_bytes(address.0));
    let first = fold(low as u64 ^ secret[0], (low >> 64) as u64 ^ secret[1]);
    let second = fold(high as u64 ^ secret[1], (high >> 64) as u64 ^ secret[0].rotate_left(23));
    fold(first ^ (u64::from(key.context) | u64::from(key.version) << 32), second ^ secret[0])
}

/// What of a wide key its record does not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Beside {
    addresses: [Address; 2],
    context: u32,
    version: u8,
}

impl Beside {
    fn of(key: &FlowKey) -> Self {
        Self { addresses: key.addresses, context: key.context, version: key.version }
    }
}

/// The wide keys of living flows.
#[derive(Debug)]
pub(super) struct WideKeys(Pool<Beside>);

impl WideKeys {
    pub(super) fn new() -> Self {
        Self(Pool::new())
    }

    /// What a record keeps of a key that is sought and not there yet.
    #[inline]
    pub(super) fn keep(&mut self, sought: NearKey, key: &FlowKey) -> NearKey {
        match sought.form {
            Form::Narrow => sought,
            Form::Wide => {
                let place = self.0.take(Beside::default);
                *self.0.slab.at_mut(place) = Beside::of(key);
                NearKey { words: [sought.words[0], place], ..sought }
            }
        }
    }

    /// Whether a record's key is the one that is sought.
    #[inline]
    pub(super) fn is(&self, kept: &NearKey, sought: &NearKey, key: &FlowKey) -> bool {
        match sought.form {
            Form::Narrow => kept == sought,
            Form::Wide => {
                let place = kept.words[1];
                *kept == NearKey { words: [sought.words[0], place], ..*sought }
                    && *self.0.slab.at(place) == Beside::of(key)
            }
        }
    }

    /// The key of a record.
    #[inline]
    pub(super) fn whole(&self, kept: &NearKey) -> FlowKey {
        let NearKey { words, ports, protocol, form } = *kept;
        let Beside { addresses, context, version } = match form {
            Form::Narrow => {
                Beside { addresses: words.map(|word| Address::v4(word.to_be_bytes())), context: 0, version: 4 }
            }
            Form::Wide => *self.0.slab.at(words[1]),
        };
        FlowKey { addresses, ports, context, protocol, version }
    }

    /// The tag of a record's key.
    #[inline]
    pub(super) fn tag(&self, kept: &NearKey, secret: [u64; 2]) -> u32 {
        match kept.form {
            Form::Narrow => kept.tag(secret),
            Form::Wide => NearKey::sought(&self.whole(kept), secret).tag(secret),
        }
    }

    /// Nobody asks for a record's key again.
    #[inline]
    pub(super) fn forget(&mut self, kept: &NearKey) {
        if kept.form == Form::Wide {
            self.0.free.push(kept.words[1]);
        }
    }

    /// Starts bringing near what of a key its record does not hold.
    #[inline]
    pub(super) fn prefetch(&self, kept: &NearKey) {
        if kept.form == Form::Wide {
            prefetch::lines(self.0.slab.at(kept.words[1]), 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u64; 2] = [3, 5];

    fn narrow() -> FlowKey {
        FlowKey {
            addresses: [Address::v4([10, 0, 0, 1]), Address::v4([10, 0, 0, 2])],
            ports: [1, 2],
            context: 0,
            protocol: 6,
            version: 4,
        }
    }

    /// Keys that differ from a first one in one part each; the first is narrow, and the same inside a tunnel.
    fn keys() -> Vec<FlowKey> {
        let mut keys = Vec::new();
        for key in [narrow(), FlowKey { context: 9, ..narrow() }] {
            let six = Address::v6([0x20; 16]);
            let [low, high] = key.addresses;
            keys.extend([
                key,
                FlowKey { addresses: [high, low], ..key },
                FlowKey { addresses: [low, six], ..key },
                FlowKey { addresses: [six, high], ..key },
                FlowKey { ports: [2, 1], ..key },
                FlowKey { context: key.context + 1, ..key },
                FlowKey { protocol: 17, ..key },
                // Mapped addresses in an IPv6 header are no IPv4 flow.
                FlowKey { version: 6, ..key },
            ]);
        }
        keys
    }

    #[test]
    fn the_tag_depends_on_every_part_of_the_key() {
        let keys = keys();
        let tags: Vec<u32> = keys.iter().map(|key| NearKey::sought(key, SECRET).tag(SECRET)).collect();
        for (i, tag) in tags.iter().enumerate() {
            assert!(!tags[..i].contains(tag), "{:?}", keys[i]);
            assert_ne!(*tag, NearKey::sought(&keys[i], [3, 6]).tag([3, 6]), "and on the secret: {:?}", keys[i]);
        }
    }

    #[test]
    fn a_kept_key_is_the_key_and_no_other() {
        let (keys, mut wide) = (keys(), WideKeys::new());
        let kept: Vec<NearKey> = keys.iter().map(|key| wide.keep(NearKey::sought(key, SECRET), key)).collect();
        for (kept, of) in kept.iter().zip(&keys) {
            assert_eq!(wide.whole(kept), *of);
            assert_eq!(wide.tag(kept, SECRET), NearKey::sought(of, SECRET).tag(SECRET));
            for key in &keys {
                assert_eq!(wide.is(kept, &NearKey::sought(key, SECRET), key), key == of, "{of:?} and {key:?}");
            }
        }
        let taken = wide.0.slab.len();
        kept.iter().for_each(|kept| wide.forget(kept));
        for key in &keys {
            wide.keep(NearKey::sought(key, SECRET), key);
        }
        assert_eq!((wide.0.slab.len(), wide.0.free.len()), (taken, 0), "places are used again");
    }

    #[test]
    fn two_wide_keys_of_one_hash_are_two_keys() {
        let (first, second) = (FlowKey { context: 1, ..narrow() }, FlowKey { context: 2, ..narrow() });
        let (mut wide, sought) = (WideKeys::new(), NearKey::sought(&first, SECRET));
        let kept = wide.keep(sought, &first);
        assert!(wide.is(&kept, &sought, &first) && !wide.is(&kept, &sought, &second));
    }
}
