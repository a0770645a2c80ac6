//! Flow records: what the table keeps of a living flow, the parts that every packet touches apart from the rest.
//! Bounds: [`HotFlow`] is two cache lines, [`ColdFlow`] one; what a row's packets add up to lies in the ledger. What few flows
//! have, and numbers that outgrow their place, hang off [`ColdFlow`] by pointer.

use super::app::{Appetite, Reading};
use super::forgery::Resets;
use super::handshake::Handshake;
use super::history::{Further, History};
use super::key::NearKey;
use super::ledger::Account;
use super::orient::Orientation;
use super::pace::Pace;
use super::row::{CarrierRow, OrigBy};
use super::tcp::{Endpoint, Sides};
use super::totals::Beginnings;
use crate::packet::columns::{EndIndex, PacketRow};
use crate::simd::prefetch;
use crate::units::{DurationNs, Side, TimestampNs};

/// Whether TCP has closed the flow and only trailing packets may still come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Open,
    Over,
}

/// Packets of a flow less than this apart are one burst.
const BURST_GAP: DurationNs = DurationNs::from_secs(1);
/// Turns that are a flow's opening: one of each side.
const OPENING_TURNS: u8 = 2;

/// What every packet of a flow reads or writes, whatever its side.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct HotFlow {
    pub(super) key: NearKey,
    pub(super) orig_end: EndIndex,
    marks: Marks,
    /// Where the row's totals by side lie.
    pub(super) account: Account,
    /// Runs of packets within the row; the count's 65,536th begins it anew and is noted in [`Spilled`].
    bursts: u16,
    /// Times the slot was used, by its last byte: tells a victim list which flow it meant, and a wrong answer costs it time alone.
    pub(super) generation: u8,
    talk: Talk,
    /// A packet at this time or later belongs to the next flow of the tuple.
    pub(super) deadline: TimestampNs,
    /// Latest packet of either side.
    pub(super) ts_last: TimestampNs,
    /// First packet of the row, or of the flow while it has none.
    pub(super) row_start: TimestampNs,
    /// Time of the row that lay inside bursts.
    pub(super) active: DurationNs,
    /// Both sides.
    pub(super) sides: Sides,
}

const _: () = assert!(size_of::<HotFlow>() == 128);

/// What of a flow takes a bit or two.
#[derive(Clone, Copy, Debug, Default)]
struct Marks(u8);

/// The slot holds a flow.
const LIVE: u8 = 1;
/// [`Phase::Over`].
const OVER: u8 = 2;
/// A row is open: the flow has had a packet since its row before was handed on.
const IN_ROW: u8 = 4;
/// [`Appetite::Sated`].
const SATED: u8 = 8;
/// The latest packet while a side was open lies by the linger time before the deadline, as it does once TCP has closed the flow.
const OPEN_BY_DEADLINE: u8 = 16;
/// That time lies in [`Spilled`]. With neither it is the flow's latest packet.
const OPEN_SPILLED: u8 = 32;
/// How the originator was told lies from this bit on.
const BY_SHIFT: u32 = 6;

impl Marks {
    fn has(self, mark: u8) -> bool {
        self.0 & mark != 0
    }

    /// Sets or clears.
    fn put(&mut self, mark: u8, is_set: bool) {
        self.0 = if is_set { self.0 | mark } else { self.0 & !mark };
    }
}

/// Who sends payload: in the lower two bits the side that last did, one more than its number, and none for zero; above them
/// turns since the flow began, as far as [`OPENING_TURNS`] and one more.
#[derive(Clone, Copy, Debug, Default)]
struct Talk(u8);

/// Bits of the talker.
const TALKER_BITS: u32 = 2;
const TALKER: u8 = (1 << TALKER_BITS) - 1;

impl HotFlow {
    /// A slot that holds no flow yet.
    pub(super) fn vacant() -> Self {
        Self {
            key: NearKey::default(),
            orig_end: 0,
            marks: Marks::default(),
            account: Account::default(),
            bursts: 0,
            generation: 0,
            talk: Talk::default(),
            deadline: TimestampNs::ZERO,
            ts_last: TimestampNs::ZERO,
            row_start: TimestampNs::ZERO,
            active: DurationNs::ZERO,
            sides: Sides::default(),
        }
    }

    /// Makes the slot the flow of its first packet, in place: copies of records were a third of what a new flow cost.
    pub(super) fn begin(&mut self, key: NearKey, ts: TimestampNs, orientation: Orientation, deadline: TimestampNs) {
        self.generation = self.generation.wrapping_add(1);
        self.key = key;
        self.orig_end = orientation.orig_end;
        self.marks = Marks(LIVE | (orientation.by as u8) << BY_SHIFT);
        self.bursts = 0;
        self.talk = Talk::default();
        self.deadline = deadline;
        self.ts_last = ts;
        self.row_start = ts;
        self.active = DurationNs::ZERO;
        self.sides = Sides::default();
    }

    /// Whether the slot holds a flow.
    pub(super) fn is_live(&self) -> bool {
        self.marks.has(LIVE)
    }

    /// The slot holds none any longer.
    pub(super) fn end(&mut self) {
        self.marks.put(LIVE, false);
    }

    /// Whether it is a flow that is over at this time.
    pub(super) fn ends_by(&self, now: TimestampNs) -> bool {
        self.deadline <= now && self.is_live()
    }

    pub(super) fn phase(&self) -> Phase {
        if self.marks.has(OVER) { Phase::Over } else { Phase::Open }
    }

    /// Whether TCP has not closed it and a side was open at its latest packet.
    #[inline]
    pub(super) fn is_settled(&self) -> bool {
        self.marks.0 & (OVER | OPEN_BY_DEADLINE | OPEN_SPILLED) == 0
    }

    /// TCP has closed it.
    pub(super) fn close(&mut self) {
        self.marks.put(OVER, true);
    }

    /// How its originator was told.
    pub(super) fn orig_by(&self) -> OrigBy {
        const BY: [OrigBy; 4] = [OrigBy::Handshake, OrigBy::Ports, OrigBy::First, OrigBy::First];
        BY[usize::from(self.marks.0 >> BY_SHIFT)]
    }

    /// Whether a row is open.
    pub(super) fn is_in_row(&self) -> bool {
        self.marks.has(IN_ROW)
    }

    /// A row begins.
    pub(super) fn open_row(&mut self, ts: TimestampNs) {
        self.row_start = ts;
        self.marks.put(IN_ROW, true);
    }

    /// The next packet opens a row.
    pub(super) fn close_row(&mut self) {
        self.marks.put(IN_ROW, false);
    }

    /// Whether the application parser still wants payload.
    pub(super) fn appetite(&self) -> Appetite {
        if self.marks.has(SATED) { Appetite::Sated } else { Appetite::Open }
    }

    pub(super) fn set_appetite(&mut self, appetite: Appetite) {
        self.marks.put(SATED, appetite == Appetite::Sated);
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

    /// The latest packet while a side was open, where the flow's latest is `ts_last`; TCP's linger time is `close`.
    #[inline]
    pub(super) fn ts_open_last(&self, ts_last: TimestampNs, close: DurationNs, history: &History) -> TimestampNs {
        match self.marks.0 & (OPEN_BY_DEADLINE | OPEN_SPILLED) {
            0 => ts_last,
            OPEN_BY_DEADLINE => self.deadline.before(close),
            _ => history.rare.as_ref().map_or(ts_last, |rare| rare.spilled.ts_open_last),
        }
    }

    /// Keeps that time; the flow's latest packet and its deadline are set.
    #[inline]
    pub(super) fn keep_open_last(&mut self, ts: TimestampNs, close: DurationNs, history: &mut History) {
        self.marks.0 &= !(OPEN_BY_DEADLINE | OPEN_SPILLED);
        if ts != self.ts_last {
            self.keep_open_last_apart(ts, close, history);
        }
    }

    fn keep_open_last_apart(&mut self, ts: TimestampNs, close: DurationNs, history: &mut History) {
        if self.deadline.before(close) == ts {
            self.marks.put(OPEN_BY_DEADLINE, true);
        } else {
            self.marks.put(OPEN_SPILLED, true);
            history.rare_mut().spilled.ts_open_last = ts;
        }
    }

    /// Whether a side has sent payload.
    pub(super) fn has_talked(&self) -> bool {
        self.talk.0 & TALKER != 0
    }

    /// Notes who sends payload; tells whether that payload belongs to the side's first turn.
    #[inline]
    pub(super) fn note_talker(&mut self, side: Side, history: &mut History) -> bool {
        let (talker, turns) = (1 + side.index() as u8, self.talk.0 >> TALKER_BITS);
        if self.talk.0 & TALKER != talker {
            add_one(&mut self.account.turns, history, |spilled| &mut spilled.turns);
            self.talk = Talk(talker | (turns + 1).min(OPENING_TURNS + 1) << TALKER_BITS);
        }
        self.talk.0 >> TALKER_BITS <= OPENING_TURNS
    }

    /// Moves the flow's clocks: bursts and silence of both sides together.
    #[inline]
    pub(super) fn note_time(&mut self, ts: TimestampNs, is_first: bool, history: &mut History) {
        match ts.since(self.ts_last) {
            _ if is_first => self.bursts = 1,
            gap if gap < BURST_GAP => self.active = DurationNs(self.active.0.saturating_add(gap.0)),
            _ => self.note_burst(history),
        }
        self.ts_last = self.ts_last.max(ts);
    }

    fn note_burst(&mut self, history: &mut History) {
        add_one(&mut self.bursts, history, |spilled| &mut spilled.bursts);
    }

    /// Turns and bursts as the row has them; their counts begin anew.
    pub(super) fn take_counts(&mut self, history: &mut History) -> [u32; 2] {
        let near = [std::mem::take(&mut self.account.turns), std::mem::take(&mut self.bursts)].map(u32::from);
        let Some(rare) = &mut history.rare else { return near };
        let spilled = [&mut rare.spilled.turns, &mut rare.spilled.bursts].map(std::mem::take);
        [near[0].saturating_add(spilled[0]), near[1].saturating_add(spilled[1])]
    }

    /// The side that sent a packet of this flow.
    pub(super) fn side_of(&self, row: &PacketRow) -> Side {
        if row.from & 1 == self.orig_end { Side::Orig } else { Side::Resp }
    }
}

/// Counts one more; what outgrows the place is counted with what few flows have.
#[inline]
fn add_one(near: &mut u16, history: &mut History, spilled: impl Fn(&mut Spilled) -> &mut u32) {
    *near = near.wrapping_add(1);
    if *near == 0 {
        let spilled = spilled(&mut history.rare_mut().spilled);
        *spilled = spilled.saturating_add(1 << u16::BITS);
    }
}

/// The rest of a flow: one cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct ColdFlow {
    /// The letters, and beside them what few flows have.
    pub(super) history: History,
    pub(super) handshake: Handshake,
    pub(super) flow_start: TimestampNs,
    first_frame: u64,
    pub(super) reading: Reading,
    /// Nanoseconds, the lower bits first: 78 hours, and more in [`Spilled`].
    pair_gap: [u16; 3],
    /// Rows handed on so far, as `bursts` are counted.
    rows: u16,
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
    pub(super) spilled: Spilled,
}

/// What outgrew its place in the record: of counts by how much the place falls short.
#[derive(Debug, Default)]
pub(super) struct Spilled {
    turns: u32,
    bursts: u32,
    rows: u32,
    pair_gap: DurationNs,
    ts_open_last: TimestampNs,
}

/// Lines of [`ColdFlow`].
const COLD_LINES: usize = size_of::<ColdFlow>() / prefetch::LINE_BYTES;
const _: () = assert!(COLD_LINES == 1);

/// Bits of a frame's number: at a hundred million frames a second, a month of one file.
const FRAME_BITS: u32 = 48;

impl ColdFlow {
    /// Makes it the rest of a new flow.
    pub(super) fn begin(&mut self, ts: TimestampNs, history: History, pair_gap: DurationNs) {
        *self = Self { history, flow_start: ts, ..Self::default() };
        match pair_gap.0 >> (3 * u16::BITS) {
            0 => self.pair_gap = [0, 1, 2].map(|part| (pair_gap.0 >> (part * u16::BITS)) as u16),
            _ => self.history.rare_mut().spilled.pair_gap = pair_gap,
        }
    }

    /// The time since the pair's flow before, for the first row; there is none for the next.
    pub(super) fn take_pair_gap(&mut self) -> DurationNs {
        let [low, middle, high] = std::mem::take(&mut self.pair_gap).map(u64::from);
        let near = low | middle << u16::BITS | high << (2 * u16::BITS);
        let spilled = self.history.rare.as_mut().map(|rare| std::mem::take(&mut rare.spilled.pair_gap));
        DurationNs(near | spilled.map_or(0, |gap| gap.0))
    }

    /// Rows handed on so far.
    pub(super) fn rows(&self) -> u32 {
        let spilled = self.history.rare.as_ref().map_or(0, |rare| rare.spilled.rows);
        u32::from(self.rows).saturating_add(spilled)
    }

    /// One more was handed on.
    pub(super) fn note_row(&mut self) {
        add_one(&mut self.rows, &mut self.history, |spilled| &mut spilled.rows);
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
    pub(super) fn open_row(&mut self, (file, number): (u16, u64)) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_outgrow_their_place_stay_whole() {
        let (mut hot, mut cold) = (HotFlow::vacant(), ColdFlow::default());
        for (gap, is_near) in [(0, true), (1, true), (0x1234_5678_9abc, true), (1 << 48, false), (u64::MAX, false)] {
            cold.begin(TimestampNs(1), History::default(), DurationNs(gap));
            assert_eq!(cold.history.rare.is_none(), is_near, "{gap}");
            assert_eq!([cold.take_pair_gap(), cold.take_pair_gap()].map(|gap| gap.0), [gap, 0]);
        }
        for wanted in [[3u32, 2], [65_535, 65_536], [200_000, 131_072], [1, 0]] {
            for n in 0..wanted[0] as usize {
                hot.note_talker(Side::BOTH[n % 2], &mut cold.history);
            }
            (0..wanted[1]).for_each(|_| hot.note_burst(&mut cold.history));
            assert_eq!(hot.take_counts(&mut cold.history), wanted);
            hot.talk = Talk::default();
        }
        (0..70_000).for_each(|_| cold.note_row());
        assert_eq!(cold.rows(), 70_000);
    }

    #[test]
    fn the_time_while_a_side_was_open_is_what_was_kept() {
        let (mut hot, mut history, close) = (HotFlow::vacant(), History::default(), DurationNs(5));
        // Latest packet, deadline, what is kept, whether the record has room for it.
        let cases = [(9, 20, 9, true), (12, 14, 9, true), (12, 300, 9, false), (13, 15, 10, true), (13, 15, 13, true)];
        for (ts_last, deadline, kept, is_near) in cases {
            (hot.ts_last, hot.deadline, history.rare) = (TimestampNs(ts_last), TimestampNs(deadline), None);
            hot.keep_open_last(TimestampNs(kept), close, &mut history);
            assert_eq!(hot.ts_open_last(hot.ts_last, close, &history).0, kept, "{ts_last}, {deadline}");
            assert_eq!(history.rare.is_none(), is_near, "{ts_last}, {deadline}");
        }
    }

    #[test]
    fn marks_are_told_apart() {
        for by in [OrigBy::Handshake, OrigBy::Ports, OrigBy::First] {
            let mut hot = HotFlow::vacant();
            hot.begin(NearKey::default(), TimestampNs(1), Orientation { orig_end: 1, by }, TimestampNs(9));
            let told = |hot: &HotFlow| (hot.is_live(), hot.phase(), hot.is_in_row(), hot.appetite(), hot.orig_by());
            assert_eq!(told(&hot), (true, Phase::Open, false, Appetite::Open, by));
            hot.open_row(TimestampNs(2));
            hot.set_appetite(Appetite::Sated);
            assert_eq!(told(&hot), (true, Phase::Open, true, Appetite::Sated, by));
            hot.close();
            hot.close_row();
            hot.end();
            assert_eq!(told(&hot), (false, Phase::Over, false, Appetite::Sated, by));
        }
    }
}
