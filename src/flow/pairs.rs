//! Pairs: when two addresses last began a flow with each other, whatever their ports.
//! In: the start of each flow. Out: the start before it. One entry a pair of addresses and tunnel context.
//! Bounds: two generations of half of `pairs_max`; when the younger is full it becomes the older and the older is forgotten.
//! Not here: which worker sees a pair (all flows of a pair must go to one, or gaps depend on the number of workers).

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::packet::columns::FlowKey;
use crate::units::{Address, DurationNs, TimestampNs};

type Generation = HashMap<([Address; 2], u32), TimestampNs, FixedState>;

/// The latest flow start of each pair.
#[derive(Debug)]
pub(super) struct Pairs {
    young: Generation,
    old: Generation,
    half: usize,
}

impl Pairs {
    /// A map of at most `pairs_max` pairs, hashed under `seed`.
    pub(super) fn new(pairs_max: usize, seed: u64) -> Self {
        let empty = || HashMap::with_hasher(FixedState::with_seed(seed));
        Self { young: empty(), old: empty(), half: pairs_max / 2 }
    }

    /// Files a flow's start; returns the time since the pair's flow before it, and how many pairs had to be forgotten.
    pub(super) fn begin(&mut self, key: &FlowKey, start: TimestampNs) -> (DurationNs, u64) {
        if self.half == 0 {
            return (DurationNs::ZERO, 0);
        }
        let pair = (key.addresses, key.context);
        let before = match self.young.get_mut(&pair) {
            Some(last) => Some(std::mem::replace(last, start)),
            None => {
                let before = self.old.remove(&pair);
                self.young.insert(pair, start);
                before
            }
        };
        let mut forgotten = 0;
        if self.young.len() >= self.half {
            std::mem::swap(&mut self.young, &mut self.old);
            forgotten = self.young.len() as u64;
            self.young.clear();
        }
        (before.map_or(DurationNs::ZERO, |last| start.since(last)), forgotten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let mut pairs = Pairs::new(10, 1);
        assert_eq!(pairs.begin(&key(1, 1000), TimestampNs(100)), (DurationNs::ZERO, 0));
        assert_eq!(pairs.begin(&key(2, 1000), TimestampNs(150)), (DurationNs::ZERO, 0));
        assert_eq!(pairs.begin(&key(1, 2000), TimestampNs(400)), (DurationNs(300), 0));
    }

    #[test]
    fn a_full_map_forgets_the_older_half_and_counts_it() {
        let mut pairs = Pairs::new(4, 1);
        let forgotten: u64 = (0..6).map(|host| pairs.begin(&key(host, 1), TimestampNs(u64::from(host))).1).sum();
        assert_eq!(forgotten, 4);
        assert_eq!(pairs.begin(&key(5, 1), TimestampNs(9)).0, DurationNs(4), "the young half is still known");
        assert_eq!(pairs.begin(&key(0, 1), TimestampNs(9)).0, DurationNs::ZERO);
    }
}
