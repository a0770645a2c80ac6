//! Totals of one side within a row: what its packets add up to.
//! In: what each packet adds, in order. Out: a [`SideRow`].
//! Bounds: three cache lines, of which the third is written by the first packets only. Not here: where totals lie (`ledger`).

use super::row::{FIRST_PACKETS, GAP_BINS, SIZE_BINS, SideRow};
use super::tcp::{ACK, FIN, Order, PSH, RST, SYN};
use crate::packet::columns::TcpFlags;
use crate::simd::prefetch;
use crate::units::DurationNs;

/// What one packet adds to its side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// Since the side's packet before; none for the side's first.
    pub(super) gap: Option<DurationNs>,
    pub(super) ip_bytes: u32,
    pub(super) payload_bytes: u32,
    pub(super) ttl: u8,
    /// Whether its payload belongs to the side's first turn.
    pub(super) is_opening: bool,
    /// TCP flags and window, zero for what is no TCP segment.
    pub(super) flags: TcpFlags,
    pub(super) window: u16,
    pub(super) order: Order,
    pub(super) zero_window: bool,
}

/// One side's totals within a row, in the order in which packets need them.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub(super) struct SideTotals {
    pub(super) packets: u32,
    payload_packets: u32,
    pub(super) ip_bytes: u64,
    payload_bytes: u64,
    size_square_sum: u64,
    gap_sum_ns: u64,
    gap_square_sum_s2: f32,
    gap_min_us: u32,
    gap_max_us: u32,
    pure_acks: u32,
    ttl_min: u8,
    ttl_max: u8,
    window_max: u16,
    size_min: u16,
    size_max: u16,
    // second line
    size_bins: [u16; SIZE_BINS],
    gap_bins: [u16; GAP_BINS],
    flags: [u16; 4],
    // third line: beginnings and what is rare
    first_gaps_us: [u32; FIRST_PACKETS],
    first_sizes: [u16; FIRST_PACKETS],
    retransmissions: u32,
    out_of_order: u32,
    opening_bytes: u32,
    zero_windows: u16,
}

/// Whether a side still sends what its row keeps of beginnings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginnings {
    Open,
    Over,
}

impl SideTotals {
    /// Adds a packet.
    #[inline]
    pub(super) fn add(&mut self, counted: &Counted) {
        if let Some(gap) = counted.gap {
            self.gap(gap);
        }
        self.packet(counted.ip_bytes, counted.ttl);
        self.payload(counted.payload_bytes);
        if counted.is_opening {
            self.opening_bytes = self.opening_bytes.saturating_add(counted.payload_bytes);
        }
        self.tcp(counted.flags, counted.window, counted.payload_bytes);
        self.step(counted.order, counted.zero_window);
    }

    /// A packet's header.
    fn packet(&mut self, ip_bytes: u32, ttl: u8) {
        (self.ttl_min, self.ttl_max) = match self.packets {
            0 => (ttl, ttl),
            _ => (self.ttl_min.min(ttl), self.ttl_max.max(ttl)),
        };
        self.packets = self.packets.saturating_add(1);
        self.ip_bytes = self.ip_bytes.saturating_add(u64::from(ip_bytes));
    }

    /// A packet's payload, empty or not.
    fn payload(&mut self, bytes: u32) {
        let bin = (u32::BITS - bytes.leading_zeros()) as usize;
        add_one(&mut self.size_bins[bin.min(SIZE_BINS - 1)]);
        if bytes == 0 {
            return;
        }
        let size = u16::try_from(bytes).unwrap_or(u16::MAX);
        (self.size_min, self.size_max) = match self.payload_packets {
            0 => (size, size),
            _ => (self.size_min.min(size), self.size_max.max(size)),
        };
        if let Some(first) = self.first_sizes.get_mut(self.payload_packets as usize) {
            *first = size;
        }
        self.payload_packets = self.payload_packets.saturating_add(1);
        self.payload_bytes = self.payload_bytes.saturating_add(u64::from(bytes));
        self.size_square_sum = self.size_square_sum.saturating_add(u64::from(bytes).pow(2));
    }

    /// Starts bringing near what every packet of a side touches, and what its first ones do.
    pub(super) fn prefetch(&self, beginnings: Beginnings) {
        prefetch::lines(self, if beginnings == Beginnings::Open { 3 } else { 2 });
    }

    /// The time since the side's packet before; called before [`Self::packet`] counts this one.
    fn gap(&mut self, gap: DurationNs) {
        let us = gap.0 / 1_000;
        let short = u32::try_from(us).unwrap_or(u32::MAX);
        let bin = us.checked_ilog2().unwrap_or(0) as usize / 2;
        // Read before it is counted: a counter of its own lies on a third line, and fetching that was half the cost of a packet.
        (self.gap_min_us, self.gap_max_us) = match self.gap_bins == [0; GAP_BINS] {
            true => (short, short),
            false => (self.gap_min_us.min(short), self.gap_max_us.max(short)),
        };
        add_one(&mut self.gap_bins[bin.min(GAP_BINS - 1)]);
        if let Some(first) = self.first_gaps_us.get_mut(self.packets as usize) {
            *first = short;
        }
        self.gap_sum_ns = self.gap_sum_ns.saturating_add(gap.0);
        self.gap_square_sum_s2 += (gap.as_secs_f64() as f32).powi(2);
    }

    /// TCP flags and window.
    fn tcp(&mut self, flags: TcpFlags, window: u16, payload_bytes: u32) {
        const CONTROL: u8 = SYN | FIN | RST;
        self.window_max = self.window_max.max(window);
        if flags & ACK != 0 && payload_bytes == 0 && flags & CONTROL == 0 {
            self.pure_acks = self.pure_acks.saturating_add(1);
        }
        for (count, flag) in self.flags.iter_mut().zip([SYN, FIN, RST, PSH]) {
            *count = count.saturating_add(u16::from(flags & flag != 0));
        }
    }

    /// What the sequence numbers told.
    fn step(&mut self, order: Order, zero_window: bool) {
        match order {
            Order::Repeat => self.retransmissions = self.retransmissions.saturating_add(1),
            Order::Ahead => self.out_of_order = self.out_of_order.saturating_add(1),
            Order::Next | Order::Late => {}
        }
        if zero_window {
            add_one(&mut self.zero_windows);
        }
    }

    /// As the row has it; `stream_bytes` where sequence numbers tell it.
    #[inline]
    pub(super) fn row(&self, stream_bytes: Option<u64>) -> SideRow {
        let [syn, fin, rst, psh] = self.flags;
        SideRow {
            packets: self.packets,
            ip_bytes: self.ip_bytes,
            payload_bytes: self.payload_bytes,
            payload_packets: self.payload_packets,
            stream_bytes: stream_bytes.unwrap_or(self.payload_bytes),
            opening_bytes: self.opening_bytes,
            size_square_sum: self.size_square_sum,
            size_min: self.size_min,
            size_max: self.size_max,
            first_sizes: self.first_sizes,
            first_gaps_us: self.first_gaps_us,
            size_bins: self.size_bins,
            gap_bins: self.gap_bins,
            gap_sum_ns: self.gap_sum_ns,
            gap_square_sum_s2: self.gap_square_sum_s2,
            gap_min_us: self.gap_min_us,
            gap_max_us: self.gap_max_us,
            syn,
            fin,
            rst,
            psh,
            pure_acks: self.pure_acks,
            retransmissions: self.retransmissions,
            out_of_order: self.out_of_order,
            zero_windows: self.zero_windows,
            ttl_min: self.ttl_min,
            ttl_max: self.ttl_max,
            window_max: self.window_max,
        }
    }
}

fn add_one(count: &mut u16) {
    *count = count.saturating_add(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_where_the_row_says() {
        let mut totals = SideTotals::default();
        for bytes in [0, 1, 2, 3, 4, 1023, 1024, 65_535] {
            totals.payload(bytes);
        }
        let row = totals.row(None);
        assert_eq!(row.size_bins, [1, 1, 2, 1, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!((row.size_min, row.size_max, row.payload_packets), (1, 65_535, 7));
        assert_eq!(row.first_sizes[..3], [1, 2, 3]);

        let mut totals = SideTotals::default();
        for us in [0, 3, 4, 15, 16, 1_000_000, u64::MAX / 1_000] {
            totals.gap(DurationNs(us * 1_000));
        }
        let row = totals.row(None);
        assert_eq!(
            (row.gap_bins[0], row.gap_bins[1], row.gap_bins[2], row.gap_bins[9], row.gap_bins[15]),
            (2, 2, 1, 1, 1)
        );
        assert_eq!((row.gap_min_us, row.gap_max_us), (0, u32::MAX));
    }
}
