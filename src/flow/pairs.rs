//! Pairs: when two addresses last began a flow with each other, whatever their ports.
//! In: the start of each flow. Out: the start before it. One entry a pair of addresses and tunnel context.
//! Bounds: two generations of half of `pairs_max`, which grow by doubling; when the younger is full it becomes the older and the
//! older is forgotten.
//! Not here: which worker sees a pair (all flows of a pair must go to one, or gaps depend on the number of workers).

use super::index::fold;
use crate::packet::columns::FlowKey;
use crate::simd::prefetch;
use crate::units::{DurationNs, TimestampNs};

/// The latest flow start of each pair.
#[derive(Debug)]
pub(super) struct Pairs {
    young: Generation,
    old: Generation,
    half: usize,
    secret: [u64; 2],
}

/// Places at the start: one page.
const PLACES_MIN: usize = 256;
/// A place that holds nothing; not zero, see the index of flows.
const FREE: [u64; 2] = [u64::MAX; 2];

/// Keyed hashes of pairs with the pair's latest start, open addressing. The hash stands for the pair: two of 100,000 pairs
/// share one once in four billion runs, and a gap would be wrong then.
#[derive(Debug)]
struct Generation {
    /// Hash and start, at most half of them in use, so that a search is short.
    places: Vec<[u64; 2]>,
    /// Pairs that are in no younger generation.
    len: usize,
}

impl Pairs {
    /// A map of at most `pairs_max` pairs, hashed under `secret`.
    pub(super) fn new(pairs_max: usize, secret: [u64; 2]) -> Self {
        let half = pairs_max / 2;
        Self { young: Generation::new(), old: Generation::new(), half, secret }
    }

    /// Starts bringing near where a pair is looked for.
    pub(super) fn prefetch(&self, key: &FlowKey) {
        let hash = hash_of(key, self.secret);
        self.young.prefetch(hash);
        self.old.prefetch(hash);
    }

    /// Files a flow's start; returns the time since the pair's flow before it, and how many pairs had to be forgotten.
    pub(super) fn begin(&mut self, key: &FlowKey, start: TimestampNs) -> (DurationNs, u64) {
        if self.half == 0 {
            return (DurationNs::ZERO, 0);
        }
        let hash = hash_of(key, self.secret);
        self.young.make_room();
        let at = self.young.place_of(hash);
        let is_known = self.young.places[at][0] == hash;
        let before = match is_known {
            true => Some(self.young.places[at][1]),
            false => self.old.take(hash),
        };
        self.young.places[at] = [hash, start.0];
        self.young.len += usize::from(!is_known);
        let mut forgotten = 0;
        if self.young.len >= self.half {
            std::mem::swap(&mut self.young, &mut self.old);
            forgotten = self.young.len as u64;
            self.young.places.fill(FREE);
            self.young.len = 0;
        }
        (before.map_or(DurationNs::ZERO, |last| start.since(TimestampNs(last))), forgotten)
    }
}

impl Generation {
    fn new() -> Self {
        Self { places: vec![FREE; PLACES_MIN], len: 0 }
    }

    /// Makes room for one more.
    fn make_room(&mut self) {
        if (self.len + 1) * 2 > self.places.len() {
            let doubled = vec![FREE; self.places.len() * 2];
            let old = std::mem::replace(&mut self.places, doubled);
            for place in old.into_iter().filter(|place| *place != FREE) {
                let at = self.place_of(place[0]);
                self.places[at] = place;
            }
        }
    }

    fn home(&self, hash: u64) -> usize {
        (hash >> 32) as usize & (self.places.len() - 1)
    }

    fn prefetch(&self, hash: u64) {
        prefetch::line(&self.places, self.home(hash));
    }

    /// Where a hash stands, or where it would.
    fn place_of(&self, hash: u64) -> usize {
        let mut at = self.home(hash);
        while self.places[at][0] != hash && self.places[at] != FREE {
            at = (at + 1) & (self.places.len() - 1);
        }
        at
    }

    /// The start of a pair that goes to the younger generation. It keeps its place, so that what it pushed aside is found.
    fn take(&mut self, hash: u64) -> Option<u64> {
        let [found, start] = self.places[self.place_of(hash)];
        let is_known = found == hash;
        self.len -= usize::from(is_known);
        is_known.then_some(start)
    }
}

/// A hash of a pair of addresses and its tunnel context, never that of a free place. Equal for both directions, because the key's order is.
fn hash_of(key: &FlowKey, secret: [u64; 2]) -> u64 {
    let [low, high] = key.addresses.map(|address| u128::from_le_bytes(address.0));
    let first = fold(low as u64 ^ secret[0], (low >> 64) as u64 ^ secret[1]);
    let second = fold(high as u64 ^ secret[1], (high >> 64) as u64 ^ secret[0].rotate_left(23));
    fold(first ^ u64::from(key.context), second ^ secret[0]).min(u64::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Address;

    fn key(host: u8, port: u16) -> FlowKey {
        FlowKey {
            addresses: [Address::v4([10, 0, 0, host]), Address::v4([192, 0, 2, 1])],
            ports: [port, 443],
            context: 0,
            protocol: 6,
            version: 4,
        }
    }

    #[test]
    fn gaps_are_between_flows_of_any_ports() {
        let mut pairs = Pairs::new(10, [1, 2]);
        assert_eq!(pairs.begin(&key(1, 1000), TimestampNs(100)), (DurationNs::ZERO, 0));
        assert_eq!(pairs.begin(&key(2, 1000), TimestampNs(150)), (DurationNs::ZERO, 0));
        assert_eq!(pairs.begin(&key(1, 2000), TimestampNs(400)), (DurationNs(300), 0));
    }

    #[test]
    fn a_map_that_grew_knows_what_it_knew() {
        let far = |n: u64| FlowKey {
            addresses: [Address::v4([10, 0, (n >> 8) as u8, n as u8]), Address::v4([192, 0, 2, 1])],
            ..key(0, 1)
        };
        // Twelve times as many as there are places for at first.
        let (many, mut pairs) = (12 * PLACES_MIN as u64, Pairs::new(100_000, [1, 2]));
        for n in 0..many {
            assert_eq!(pairs.begin(&far(n), TimestampNs(n)), (DurationNs::ZERO, 0), "pair {n} is new");
        }
        for n in 0..many {
            assert_eq!(pairs.begin(&far(n), TimestampNs(many)), (DurationNs(many - n), 0), "pair {n} is known");
        }
        assert_eq!(pairs.young.len as u64, many);
        assert!(2 * pairs.young.len <= pairs.young.places.len(), "at most half of the places are in use");
    }

    #[test]
    fn a_full_map_forgets_the_older_half_and_counts_it() {
        let mut pairs = Pairs::new(4, [1, 2]);
        let forgotten: u64 = (0..6).map(|host| pairs.begin(&key(host, 1), TimestampNs(u64::from(host))).1).sum();
        assert_eq!(forgotten, 4);
        assert_eq!(pairs.begin(&key(5, 1), TimestampNs(9)).0, DurationNs(4), "the young half is still known");
        assert_eq!(pairs.begin(&key(0, 1), TimestampNs(9)).0, DurationNs::ZERO);
    }
}
