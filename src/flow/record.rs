//! Flow records: what the table keeps of a living flow, the parts that every packet touches apart from the rest.
//! Bounds: [`HotFlow`] is three cache lines; what a row's packets add up to lies in the ledger. Side tables hang off
//! [`ColdFlow`] by pointer and exist only where something was seen.

use super::app::{Appetite, Reading};
use super::emit::NO_ROW;
use super::forgery::Resets;
use super::handshake::Handshake;
use super::history::{Further, History};
use super::ledger::Account;
use super::orient::Orientation;
use super::pace::Pace;
use super::row::{CarrierRow, OrigBy};
use super::tcp::{Endpoint, Sides};
use super::totals::Beginnings;
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
const OPENING_TURNS: u8 = 2;

/// What every packet of a flow reads or writes, whatever its side.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct HotFlow {
    pub(super) key: FlowKey,
    /// Where the row's totals by side lie.
    pub(super) account: Account,
    /// A packet at this time or later belongs to the next flow of the tuple.
    pub(super) deadline: TimestampNs,
    /// Latest packet of either side.
    pub(super) ts_last: TimestampNs,
    pub(super) flow_start: TimestampNs,
    /// Latest packet while a side was open.
    pub(super) ts_open_last: TimestampNs,
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
    /// Both sides.
    pub(super) sides: Sides,
}

impl HotFlow {
    /// A slot that holds no flow yet.
    pub(super) fn vacant() -> Self {
        Self {
            key: FlowKey::default(),
            deadline: TimestampNs::ZERO,
            ts_last: TimestampNs::ZERO,
            flow_start: TimestampNs::ZERO,
            ts_open_last: TimestampNs::ZERO,
            row_end: NO_ROW,
            account: Account::default(),
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
            sides: Sides::default(),
        }
    }

    /// Makes the slot the flow of its first packet, in place: copies of records were a third of what a new flow cost.
    pub(super) fn begin(&mut self, row: &PacketRow, orientation: Orientation, deadline: TimestampNs) {
        self.generation = self.generation.wrapping_add(1);
        self.key = row.key;
        self.deadline = deadline;
        self.ts_last = row.ts;
        self.flow_start = row.ts;
        self.ts_open_last = row.ts;
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
        self.sides = Sides::default();
    }

    /// Whether it is a flow that is over at this time.
    pub(super) fn ends_by(&self, now: TimestampNs) -> bool {
        self.deadline <= now && self.slot == Slot::Live
    }

    /// Starts bringing near what every packet touches.
    pub(super) fn prefetch(&self) {
        prefetch::lines(self, size_of::<Self>() / prefetch::LINE_BYTES);
    }

    /// Likewise what only some packets from `end` of the key touch of `rest`; looks at what [`Self::prefetch`] has brought near.
    pub(super) fn prefetch_rest(&self, end: EndIndex, rest: &ColdFlow) {
        if self.account.beginnings(end) == Beginnings::Open || self.account.is_paced(end) {
            rest.prefetch();
        }
    }

    /// Notes who sends payload; tells whether that payload belongs to the side's first turn.
    pub(super) fn note_talker(&mut self, side: Side) -> bool {
        if self.talker != Some(side) {
            self.talker = Some(side);
            self.turns = self.turns.saturating_add(1);
            self.opening = self.opening.saturating_add(1).min(OPENING_TURNS + 1);
        }
        self.opening <= OPENING_TURNS
    }

    /// The side that sent a packet of this flow.
    pub(super) fn side_of(&self, row: &PacketRow) -> Side {
        if row.from & 1 == self.orig_end { Side::Orig } else { Side::Resp }
    }
}

const _: () = assert!(size_of::<HotFlow>() == 192);

/// The rest of a flow: one cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct ColdFlow {
    /// The letters, and beside them what few flows have.
    pub(super) history: History,
    pub(super) handshake: Handshake,
    pub(super) pair_gap: DurationNs,
    pub(super) row_start: TimestampNs,
    first_frame: u64,
    pub(super) reading: Reading,
}

/// What few flows have.
#[derive(Debug, Default)]
pub(super) struct Rare {
    /// Letters past the first, and what thins them out.
    pub(super) history: Further,
    /// The tunnel that carries it.
    pub(super) carrier: Option<Box<CarrierRow>>,
    /// Where a side sends much within the row.
    pub(super) pace: Option<Box<Pace>>,
    /// Resets, where there were any.
    pub(super) resets: Option<Box<Resets>>,
    /// Both sides, where the record has no room for what they hold.
    pub(super) sides: Option<Box<[Endpoint; 2]>>,
}

/// Lines of [`ColdFlow`].
const COLD_LINES: usize = size_of::<ColdFlow>() / prefetch::LINE_BYTES;
const _: () = assert!(COLD_LINES == 1);

/// Bits of a frame's number: at a hundred million frames a second, a month of one file.
const FRAME_BITS: u32 = 48;

impl ColdFlow {
    /// Makes it the rest of a new flow.
    pub(super) fn begin(&mut self, ts: TimestampNs, history: History, pair_gap: DurationNs) {
        *self = Self { history, pair_gap, row_start: ts, ..Self::default() };
    }

    /// Lets go of what hangs off it: the flow is over.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }

    /// Starts bringing all of it near.
    pub(super) fn prefetch(&self) {
        prefetch::lines(self, COLD_LINES);
    }

    /// A row begins.
    pub(super) fn open_row(&mut self, ts: TimestampNs, (file, number): (u16, u64)) {
        self.row_start = ts;
        self.first_frame = u64::from(file) << FRAME_BITS | number & ((1 << FRAME_BITS) - 1);
    }

    /// File and number of the row's first frame.
    pub(super) fn first_frame(&self) -> (u16, u64) {
        ((self.first_frame >> FRAME_BITS) as u16, self.first_frame & ((1 << FRAME_BITS) - 1))
    }

    /// The carrier as the row has it; its counts begin anew.
    pub(super) fn take_carrier(&mut self) -> Option<CarrierRow> {
        let carrier = self.history.rare.as_mut()?.carrier.as_mut()?;
        let row = **carrier;
        (carrier.packets, carrier.bytes) = ([[0; 2]; 2], [[0; 2]; 2]);
        Some(row)
    }

    /// The pace as the row has it.
    pub(super) fn take_pace(&mut self) -> Option<Box<Pace>> {
        self.history.rare.as_mut()?.pace.take()
    }
}
