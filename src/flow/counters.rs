//! What the flow table did and what it had to leave out.
//! In: events of one worker's table. Out: integers that add up over workers in any order.

macro_rules! flow_counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters of one table; `merge` adds another worker's.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct FlowCounters { $($(#[$doc])* pub $name: u64,)* }

        impl FlowCounters {
            /// Adds the counters of another table.
            pub fn merge(&mut self, other: &Self) {
                $(self.$name = self.$name.saturating_add(other.$name);)*
            }

            /// Every counter with its name, in a fixed order.
            pub fn named(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

flow_counters! {
    /// Packets given to the table.
    packets,
    /// IP bytes of those.
    ip_bytes,
    /// Flows begun.
    flows,
    /// Rows handed on.
    rows,
    /// Flows that ended because nothing came.
    ended_idle,
    /// Flows that TCP closed, or whose tuple began anew.
    ended_closed,
    /// Flows that ended with the input.
    ended_input,
    /// Flows ended early because the table was full: raise `flows_max`.
    evicted,
    /// Times the table took more memory.
    table_grown,
    /// Packets left out for a wrong checksum (only under `ChecksumPolicy::Drop`).
    checksum_dropped,
    /// IP bytes of those.
    checksum_dropped_bytes,
    /// Fragments that could not be put together, filed under ports 0.
    fragments,
    /// Address pairs forgotten because their map was full: `pair_gap` is zero for their next flow.
    pairs_forgotten,
    /// Segments kept as evidence.
    segments_kept,
    /// Kept segments that made room for newer ones before they were too old to matter.
    segments_overwritten,
    /// Conflicts seen between two segments.
    conflicts,
    /// Conflicts of a segment with its own copy, damaged on the way: one checksum is right, the other wrong.
    conflicts_damaged,
    /// Conflicts not told because their flow had told enough.
    conflicts_untold,
    /// Observations handed on.
    observations,
    /// Observations left out because the window had too many.
    observations_dropped,
    /// Flows whose application was not read because too many were being read.
    app_refused,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_adds_every_counter() {
        let mut one = FlowCounters { packets: 2, app_refused: 3, ..FlowCounters::default() };
        let other = FlowCounters { packets: 5, evicted: 1, ..FlowCounters::default() };
        one.merge(&other);
        assert_eq!(one, FlowCounters { packets: 7, evicted: 1, app_refused: 3, ..FlowCounters::default() });
        assert_eq!(one.named()[0], ("packets", 7));
    }
}
