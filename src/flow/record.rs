//! Flow records: what the table keeps of a living flow, the parts that every packet touches apart from the rest.
//! Bounds: [`HotFlow`] is ten cache lines of which a packet touches six: four that belong to both sides and two of its
//! sender's totals, a third while its side is young. They lie together because a second page costs more than a second line.
//! A new flow writes four; a side's totals are cleared when it sends its first packet of a row. Side tables hang off
//! [`ColdFlow`] by pointer and exist only where something was seen.

use super::app::{Appetite, Reading};
use super::emit::NO_ROW;
use super::forgery::Resets;
use super::history::History;
use super::orient::Orientation;
use super::pace::{PACED_FROM, Pace};
use super::row::{CarrierRow, FIRST_PACKETS, GAP_BINS, OrigBy, SIZE_BINS, SideRow};
use super::tcp::Endpoint;
use crate::packet::columns::{EndIndex, FlowKey, PacketRow};
use crate::simd::prefetch;
use crate::units::{DurationNs, Side, TimestampNs};

/// Whether a slot holds a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Slot {
    #[default]
    Free,
    Live,
}

/// Whether TCP has closed the flow and only trailing packets may still come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Open,
    Over,
}

/// Turns that are a flow's opening: one of each side.
pub(super) const OPENING_TURNS: u8 = 2;

/// What every packet of a flow reads or writes, whatever its side.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct HotFlow {
    pub(super) key: FlowKey,
    pub(super) tag: u32,
    /// A packet at this time or later belongs to the next flow of the tuple.
    pub(super) deadline: TimestampNs,
    /// Latest packet of either side.
    pub(super) ts_last: TimestampNs,
    pub(super) flow_start: TimestampNs,
    /// Latest packet while a side was open.
    pub(super) ts_open_last: TimestampNs,
    pub(super) row_start: TimestampNs,
    /// A packet at this time or later belongs to the next row; zero while the row has no packet.
    pub(super) row_end: TimestampNs,
    /// Row totals that belong to no side.
    pub(super) active: DurationNs,
    pub(super) turns: u32,
    pub(super) bursts: u32,
    pub(super) row_number: u32,
    /// Times the slot was used: tells a victim list which flow it meant.
    pub(super) generation: u32,
    pub(super) orig_end: EndIndex,
    pub(super) orig_by: OrigBy,
    pub(super) slot: Slot,
    pub(super) phase: Phase,
    /// The side that last sent payload.
    pub(super) talker: Option<Side>,
    /// Turns since the flow began, as far as [`OPENING_TURNS`] and one more.
    pub(super) opening: u8,
    /// Whether the application parser still wants payload.
    pub(super) appetite: Appetite,
    /// Ends that sent a packet in this row, a bit each: the others' totals are left from an earlier row or flow.
    counted: u8,
    /// By side.
    pub(super) sides: [Endpoint; 2],
    /// By end of the key, so that a packet knows its own before the flow has been looked at.
    totals: [SideTotals; 2],
}

impl HotFlow {
    /// A slot that holds no flow yet.
    pub(super) fn vacant() -> Self {
        Self {
            key: FlowKey::default(),
            tag: 0,
            deadline: TimestampNs::ZERO,
            ts_last: TimestampNs::ZERO,
            flow_start: TimestampNs::ZERO,
            ts_open_last: TimestampNs::ZERO,
            row_start: TimestampNs::ZERO,
            row_end: NO_ROW,
            active: DurationNs::ZERO,
            turns: 0,
            bursts: 0,
            row_number: 0,
            generation: 0,
            orig_end: 0,
            orig_by: OrigBy::First,
            slot: Slot::Free,
            phase: Phase::Open,
            talker: None,
            opening: 0,
            appetite: Appetite::Open,
            counted: 0,
            sides: [Endpoint::default(); 2],
            totals: [SideTotals::default(); 2],
        }
    }

    /// Makes the slot the flow of its first packet. In place and without the totals: a copy of ten lines, most of them zero,
    /// was a third of what a new flow cost.
    pub(super) fn begin(&mut self, row: &PacketRow, tag: u32, orientation: Orientation, deadline: TimestampNs) {
        self.generation = self.generation.wrapping_add(1);
        self.key = row.key;
        self.tag = tag;
        self.deadline = deadline;
        self.ts_last = row.ts;
        self.flow_start = row.ts;
        self.ts_open_last = row.ts;
        self.row_start = row.ts;
        self.row_end = NO_ROW;
        self.active = DurationNs::ZERO;
        (self.turns, self.bursts, self.row_number) = (0, 0, 0);
        self.orig_end = orientation.orig_end;
        self.orig_by = orientation.by;
        self.slot = Slot::Live;
        self.phase = Phase::Open;
        self.talker = None;
        self.opening = 0;
        self.appetite = Appetite::Open;
        self.counted = 0;
        self.sides = [Endpoint::default(); 2];
    }

    /// Starts bringing near what a packet from `end` of the key touches.
    pub(super) fn prefetch(&self, end: EndIndex) {
        prefetch::lines(self, 4);
        prefetch::lines(&self.totals[usize::from(end & 1)], 2);
    }

    /// Likewise what only the first packets of a side touch, and how much of `rest` they do; looks at what [`Self::prefetch`]
    /// has brought near.
    pub(super) fn prefetch_more(&self, end: EndIndex, rest: &ColdFlow) {
        let totals = &self.totals[usize::from(end & 1)];
        if self.counted & bit_of(end) == 0 || totals.packets < FIRST_PACKETS as u32 {
            totals.prefetch_beginnings();
            prefetch::lines(rest, COLD_LINES);
        } else if totals.packets >= PACED_FROM {
            prefetch::lines(&rest.pace, 1);
        }
    }

    /// The totals of an end of the key, empty where it sends its first packet of the row.
    #[inline]
    pub(super) fn totals_mut(&mut self, end: EndIndex) -> &mut SideTotals {
        let totals = &mut self.totals[usize::from(end & 1)];
        if self.counted & bit_of(end) == 0 {
            self.counted |= bit_of(end);
            *totals = SideTotals::default();
        }
        totals
    }

    /// Takes an end's totals out as the row has them; `stream_bytes` where sequence numbers tell it.
    #[inline]
    pub(super) fn take_totals(&mut self, end: EndIndex, stream_bytes: Option<u64>) -> SideRow {
        let counted = self.counted & bit_of(end) != 0;
        self.counted &= !bit_of(end);
        match counted {
            true => self.totals[usize::from(end & 1)].row(stream_bytes),
            false => SideRow { stream_bytes: stream_bytes.unwrap_or(0), ..SideRow::default() },
        }
    }

    /// The side that sent a packet of this flow.
    pub(super) fn side_of(&self, row: &PacketRow) -> Side {
        if row.from & 1 == self.orig_end { Side::Orig } else { Side::Resp }
    }
}

fn bit_of(end: EndIndex) -> u8 {
    1 << (end & 1)
}

/// The rest of a flow.
#[derive(Debug, Default)]
pub(super) struct ColdFlow {
    /// Stream bytes told in earlier rows.
    pub(super) stream_told: [u64; 2],
    pub(super) history: History,
    pub(super) syn_ts: Option<TimestampNs>,
    pub(super) rtt_syn_ack: DurationNs,
    pub(super) pair_gap: DurationNs,
    pub(super) first_frame: (u16, u64),
    pub(super) carrier: Option<Box<CarrierRow>>,
    /// Where a side sends much within the row.
    pub(super) pace: Option<Box<Pace>>,
    pub(super) reading: Reading,
    /// Resets, where there were any.
    pub(super) resets: Option<Box<Resets>>,
}

/// Lines of [`ColdFlow`].
const COLD_LINES: usize = size_of::<ColdFlow>() / prefetch::LINE_BYTES;

impl ColdFlow {
    /// Makes it the rest of a new flow.
    pub(super) fn begin(&mut self, history: History, pair_gap: DurationNs) {
        self.stream_told = [0; 2];
        self.history = history;
        self.syn_ts = None;
        self.rtt_syn_ack = DurationNs::ZERO;
        self.pair_gap = pair_gap;
        self.first_frame = (0, 0);
        self.end();
    }

    /// Lets go of what hangs off it: the flow is over.
    pub(super) fn end(&mut self) {
        self.carrier = None;
        self.pace = None;
        self.reading = Reading::default();
        self.resets = None;
    }
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

const _: () = assert!(size_of::<HotFlow>() == 640 && std::mem::offset_of!(HotFlow, totals) == 256);

impl SideTotals {
    /// A packet's header.
    pub(super) fn packet(&mut self, ip_bytes: u32, ttl: u8) {
        (self.ttl_min, self.ttl_max) = match self.packets {
            0 => (ttl, ttl),
            _ => (self.ttl_min.min(ttl), self.ttl_max.max(ttl)),
        };
        self.packets = self.packets.saturating_add(1);
        self.ip_bytes = self.ip_bytes.saturating_add(u64::from(ip_bytes));
    }

    /// A packet's payload, empty or not.
    pub(super) fn payload(&mut self, bytes: u32) {
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

    /// Starts bringing the third line near.
    fn prefetch_beginnings(&self) {
        prefetch::lines(&self.first_gaps_us, 1);
    }

    /// Payload that belongs to the side's first turn.
    pub(super) fn opening(&mut self, bytes: u32) {
        self.opening_bytes = self.opening_bytes.saturating_add(bytes);
    }

    /// The time since the side's packet before; called before [`Self::packet`] counts this one.
    pub(super) fn gap(&mut self, gap: DurationNs) {
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
    pub(super) fn tcp(&mut self, flags: u8, window: u16, payload_bytes: u32) {
        const CONTROL: u8 = super::tcp::SYN | super::tcp::FIN | super::tcp::RST;
        self.window_max = self.window_max.max(window);
        if flags & super::tcp::ACK != 0 && payload_bytes == 0 && flags & CONTROL == 0 {
            self.pure_acks = self.pure_acks.saturating_add(1);
        }
        for (count, flag) in
            self.flags.iter_mut().zip([super::tcp::SYN, super::tcp::FIN, super::tcp::RST, super::tcp::PSH])
        {
            *count = count.saturating_add(u16::from(flags & flag != 0));
        }
    }

    /// What the sequence numbers told.
    pub(super) fn step(&mut self, step: &super::tcp::Step) {
        match step.order {
            super::tcp::Order::Repeat => self.retransmissions = self.retransmissions.saturating_add(1),
            super::tcp::Order::Ahead => self.out_of_order = self.out_of_order.saturating_add(1),
            super::tcp::Order::Next | super::tcp::Order::Late => {}
        }
        if step.zero_window {
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
