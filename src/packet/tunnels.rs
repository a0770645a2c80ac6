//! Tunnels of a batch: each distinct one once, and the context hash that keeps inner flows apart from native ones.
//! In: tunnel references. Out: indexes that rows carry.
//! Bounds: fewer than 65,535 distinct tunnels between two `clear`s of the columns. Time: none.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use siphasher::sip::SipHasher13;
use std::hash::Hasher;

use super::columns::{NO_TUNNEL, TunnelKind, TunnelRef};
use crate::units::Address;

/// Fixed, so that a context is the same in every run and on every machine.
const CONTEXT_KEYS: (u64, u64) = (0x7472_6177_6c77_6174, 0x6368_2063_6f6e_7465);

/// Where each tunnel of the batch stands in the columns.
#[derive(Debug)]
pub(super) struct Tunnels {
    by_tunnel: HashMap<TunnelRef, u16, FixedState>,
    last: Option<(TunnelRef, u16)>,
}

impl Default for Tunnels {
    fn default() -> Self {
        Self { by_tunnel: HashMap::with_hasher(FixedState::with_seed(0)), last: None }
    }
}

impl Tunnels {
    /// Begins a batch whose columns hold these tunnels already.
    pub fn begin(&mut self, known: &[TunnelRef]) {
        self.by_tunnel.clear();
        self.last = None;
        for (tunnel, index) in known.iter().zip(0..NO_TUNNEL) {
            self.by_tunnel.insert(*tunnel, index);
        }
    }

    /// The index of a tunnel, new or known; none where the columns can hold no more.
    pub fn index_of(&mut self, tunnel: TunnelRef, tunnels: &mut Vec<TunnelRef>) -> Option<u16> {
        // Mirrors send trains of packets through one tunnel.
        if let Some((last, index)) = self.last
            && last == tunnel
        {
            return Some(index);
        }
        let index = match self.by_tunnel.get(&tunnel) {
            Some(index) => *index,
            None => {
                let index = u16::try_from(tunnels.len()).ok().filter(|index| *index != NO_TUNNEL)?;
                tunnels.push(tunnel);
                self.by_tunnel.insert(tunnel, index);
                index
            }
        };
        self.last = Some((tunnel, index));
        Some(index)
    }
}

/// The context inside one more tunnel: kinds and unordered outer address pairs from outside in. Never 0.
pub(super) fn context_of(outside: u32, kind: TunnelKind, a: Address, b: Address) -> u32 {
    let mut hasher = SipHasher13::new_with_keys(CONTEXT_KEYS.0, CONTEXT_KEYS.1);
    hasher.write(&outside.to_le_bytes());
    hasher.write(&[kind as u8]);
    hasher.write(&a.min(b).0);
    hasher.write(&a.max(b).0);
    let hash = hasher.finish();
    ((hash >> 32) as u32 ^ hash as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_has_no_direction_and_keeps_kinds_and_levels_apart() {
        let (a, b) = (Address::v4([192, 0, 2, 1]), Address::v4([198, 51, 100, 1]));
        let gre = context_of(0, TunnelKind::Gre, a, b);
        assert_eq!(gre, context_of(0, TunnelKind::Gre, b, a));
        assert_ne!(gre, context_of(0, TunnelKind::ErspanII, a, b));
        assert_ne!(gre, context_of(gre, TunnelKind::Gre, a, b));
    }

    #[test]
    fn tunnels_are_numbered_once_and_bounded() {
        let tunnel = |id| TunnelRef {
            kind: TunnelKind::Vxlan,
            outer_source: Address::UNSPECIFIED,
            outer_destination: Address::UNSPECIFIED,
            outer_port: 4789,
            id,
            depth: 1,
        };
        let (mut tunnels, mut list) = (Tunnels::default(), Vec::new());
        for id in 0..u32::from(NO_TUNNEL) {
            assert_eq!(tunnels.index_of(tunnel(id), &mut list), Some(id as u16));
        }
        assert_eq!(tunnels.index_of(tunnel(70_000), &mut list), None);
        assert_eq!(tunnels.index_of(tunnel(3), &mut list), Some(3));
        assert_eq!(list.len(), usize::from(NO_TUNNEL));
        let mut again = Tunnels::default();
        again.begin(&list);
        assert_eq!(again.index_of(tunnel(7), &mut list), Some(7));
    }
}
