//! Flow table: packets in, ended flows and observations out.
//! Bounds: `flows_max` living flows, taken as needed; a full table ends its least recently active flow and counts it.
//! Time: moves by packet timestamps and `close_window` only. A flow's ending and its rows' borders depend on its own packets
//! alone; noticing them earlier or later changes nothing that a row says.
//! Not here: which worker owns a flow (`pipeline`), what a packet adds to its record (`record`, `tcp`).

use super::app::Desk;
use super::arrival::Arrival;
use super::border::Borders;
use super::config::{ChecksumPolicy, FlowConfig};
use super::counters::FlowCounters;
use super::emit::{Sink, take_row};
use super::forgery::Questions;
use super::history::{History, Scaled};
use super::index::Index;
use super::key::{NearKey, WideKeys};
use super::ledger::Ledger;
use super::observation::Observation;
use super::orient::{self, ICMP, ICMPV6, TCP, UDP};
use super::pairs::Pairs;
use super::record::{ColdFlow, HotFlow, Phase};
use super::row::{FlowColumns, RowEnd};
use super::segments::Evidence;
use super::slab::Slab;
use super::tcp::{self, Segment};
use super::victims::Victims;
use crate::capture::frame::{FrameBatch, FrameRef};
use crate::packet::app::AppCounters;
use crate::packet::columns::{FlowKey, PacketColumns, PacketRow};
use crate::packet::facts::NameLookup;
use crate::units::{DurationNs, Side, TimestampNs};

/// Packets looked up together: 16 to 128 differ by under 10 %, one by one costs four times as much (`benches/table.rs`).
const LOOKAHEAD: usize = 32;
/// Packets between a closer look and the packet itself: long enough for two lines to come.
const CLOSER: usize = 8;
/// Flows between asking for what the end of one needs and that end.
const ENDS_AHEAD: usize = 4;
/// A full table looks for flows that are over before it ends a living one, once in this share of `flows_max` flows.
const SWEEP_SHARE: u32 = 16;

/// The living flows of one worker.
#[derive(Debug)]
pub struct FlowTable {
    pub(super) config: FlowConfig,
    borders: Borders,
    index: Index,
    wide: WideKeys,
    pub(super) hot: Slab<HotFlow>,
    pub(super) cold: Slab<ColdFlow>,
    pub(super) ledger: Ledger,
    free: Vec<u32>,
    live: u32,
    pairs: Pairs,
    pub(super) evidence: Evidence,
    pub(super) desk: Desk,
    /// DNS messages of the packet at hand.
    pub(super) lookups: Vec<NameLookup>,
    /// DNS questions and their first answers.
    pub(super) questions: Questions,
    victims: Option<Victims>,
    /// Flows that may begin before a full table is swept again.
    sweep_credit: u32,
    observations_left: u64,
    pub(super) counters: FlowCounters,
}

/// What the next packets are looked for by, and the slots they most likely belong to.
struct Lookahead {
    keys: [NearKey; LOOKAHEAD],
    tags: [u32; LOOKAHEAD],
    slots: [Option<u32>; LOOKAHEAD],
}

impl FlowTable {
    /// An empty table.
    pub fn new(config: FlowConfig) -> Self {
        Self {
            borders: Borders::new(&config),
            index: Index::new(),
            wide: WideKeys::new(),
            hot: Slab::new(),
            cold: Slab::new(),
            ledger: Ledger::new(),
            free: Vec::new(),
            live: 0,
            pairs: Pairs::new(config.pairs_max, config.hash_key),
            evidence: Evidence::new(config.segments),
            desk: Desk::new(config.app),
            lookups: Vec::new(),
            questions: Questions::new(config.hash_key[1]),
            victims: None,
            sweep_credit: 0,
            observations_left: config.observations_max,
            counters: FlowCounters::default(),
            config,
        }
    }

    /// Takes a batch of packets in their order. Rows that they end are appended to `rows`, what they prove to `observations`.
    pub fn apply(
        &mut self,
        packets: &PacketColumns,
        frames: &FrameBatch,
        rows: &mut FlowColumns,
        observations: &mut Vec<Observation>,
    ) {
        let mut sink = Sink { rows, observations };
        for export in &packets.exports {
            self.observe(Observation::Export(Box::new(export.clone())), &mut sink);
        }
        for start in (0..packets.len()).step_by(LOOKAHEAD) {
            let end = packets.len().min(start + LOOKAHEAD);
            let ahead = self.look_ahead(&packets.key[start..end]);
            (start..end.min(start + CLOSER)).for_each(|i| self.look_closer(packets, &ahead, start, i));
            for i in start..end {
                self.look_closer(packets, &ahead, start, i + CLOSER);
                let arrival = Arrival::of(packets, frames, i);
                let sought = (ahead.keys[i - start], ahead.tags[i - start]);
                self.packet(&arrival, sought, ahead.slots[i - start], &mut sink);
            }
        }
    }

    /// Says that every packet before `end` has come. Rows of windows that end by then are handed on, flows whose time is
    /// up by then are ended. `end` is a window border; rows of a window that `end` cuts stay.
    pub fn close_window(&mut self, end: TimestampNs, rows: &mut FlowColumns, observations: &mut Vec<Observation>) {
        let whole = self.close_window_from(0, end, usize::MAX, rows, observations);
        assert!(whole.is_none(), "without a bound there is nothing left");
    }

    /// The same a block at a time: from a slot (0 at first) until `rows` holds at least `rows_max`; then the slot to go on
    /// from, once the rows were taken away. All rows of a window at once are hundreds of megabytes, a block stays near.
    pub fn close_window_from(
        &mut self,
        from: u32,
        end: TimestampNs,
        rows_max: usize,
        rows: &mut FlowColumns,
        observations: &mut Vec<Observation>,
    ) -> Option<u32> {
        let mut sink = Sink { rows, observations };
        if from == 0 {
            self.observations_left = self.config.observations_max;
        }
        for slot in from..self.hot.len() as u32 {
            if sink.rows.len() >= rows_max {
                return Some(slot);
            }
            let next = slot + ENDS_AHEAD as u32;
            if (next as usize) < self.hot.len() && self.hot.at(next).ends_by(end) {
                self.look_to_the_end(next);
            }
            let hot = self.hot.at(slot);
            if !hot.is_live() {
                continue;
            }
            if hot.deadline <= end {
                self.end_flow(slot, self.timeout_reason(slot), &mut sink);
            } else if hot.is_in_row() && self.borders.row_end(hot.row_start).is_some_and(|row_end| row_end <= end) {
                self.hand_on_living(slot, &mut sink);
            }
        }
        if self.live < self.config.flows_max / 2 {
            self.victims = None;
        }
        None
    }

    /// Ends every flow: the input is over.
    pub fn finish(&mut self, rows: &mut FlowColumns, observations: &mut Vec<Observation>) {
        let whole = self.finish_from(0, usize::MAX, rows, observations);
        assert!(whole.is_none(), "without a bound there is nothing left");
    }

    /// The same a block at a time, as [`Self::close_window_from`].
    pub fn finish_from(
        &mut self,
        from: u32,
        rows_max: usize,
        rows: &mut FlowColumns,
        observations: &mut Vec<Observation>,
    ) -> Option<u32> {
        let mut sink = Sink { rows, observations };
        if from == 0 {
            self.observations_left = self.config.observations_max;
        }
        for slot in from..self.hot.len() as u32 {
            if sink.rows.len() >= rows_max {
                // What is behind makes room for what the rows become.
                self.hot.let_go_before(slot);
                self.cold.let_go_before(slot);
                return Some(slot);
            }
            let hot = self.hot.at(slot);
            if hot.is_live() {
                let end = if hot.phase() == Phase::Over { RowEnd::Closed } else { RowEnd::EndOfInput };
                self.hand_on_last(slot, end, &mut sink);
            }
        }
        // Nobody is left, so that places need not be given back one by one.
        (self.index, self.wide, self.hot, self.cold) = (Index::new(), WideKeys::new(), Slab::new(), Slab::new());
        (self.ledger, self.free, self.victims) = (Ledger::new(), Vec::new(), None);
        None
    }

    /// What was done so far.
    pub fn counters(&self) -> FlowCounters {
        let [segments_kept, segments_overwritten, conflicts_damaged] = self.evidence.counts();
        let app_refused = self.desk.refused();
        FlowCounters { segments_kept, segments_overwritten, conflicts_damaged, app_refused, ..self.counters }
    }

    /// What became of the application messages of flows that are over.
    pub fn app_counters(&self) -> &AppCounters {
        self.desk.counters()
    }

    /// Flows alive.
    pub fn len(&self) -> usize {
        self.live as usize
    }

    /// Whether no flow is alive.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Finds where the next packets will look, in two passes: the second touches what the first has brought near.
    fn look_ahead(&self, keys: &[FlowKey]) -> Lookahead {
        let mut ahead =
            Lookahead { keys: [NearKey::default(); LOOKAHEAD], tags: [0; LOOKAHEAD], slots: [None; LOOKAHEAD] };
        for ((sought, tag), key) in ahead.keys.iter_mut().zip(&mut ahead.tags).zip(keys) {
            *sought = NearKey::sought(key, self.config.hash_key);
            *tag = sought.tag(self.config.hash_key);
            self.index.prefetch(*tag);
        }
        for (slot, &tag) in ahead.slots.iter_mut().zip(&ahead.tags) {
            *slot = self.index.first(tag);
            if let Some(slot) = *slot {
                self.hot.at(slot).prefetch();
            }
        }
        // Whose flow is not known begins one.
        for (key, _) in keys.iter().zip(&ahead.slots).filter(|(_, slot)| slot.is_none()) {
            self.pairs.prefetch(key);
        }
        ahead
    }

    /// Asks for what a packet needs beside what every packet needs, once the latter has come near.
    fn look_closer(&self, packets: &PacketColumns, ahead: &Lookahead, start: usize, i: usize) {
        let slot = ahead.slots.get(i - start).copied().flatten();
        if let Some((slot, &end)) = slot.zip(packets.from.get(i)) {
            let hot = self.hot.at(slot);
            self.ledger.prefetch(&hot.account, end);
            hot.prefetch_rest(end, self.cold.at(slot));
            self.wide.prefetch(&hot.key);
        }
    }

    fn packet(&mut self, arrival: &Arrival<'_>, sought: (NearKey, u32), guess: Option<u32>, sink: &mut Sink<'_>) {
        let row = &arrival.row;
        self.counters.packets += 1;
        self.counters.ip_bytes += u64::from(row.ip_bytes);
        self.counters.fragments += u64::from(row.is_fragment);
        let slot = match self.locate(&row.key, sought, guess) {
            None => self.begin(row, sought, sink),
            Some(slot) => match self.ended_by(slot, row) {
                None => slot,
                Some(end) => {
                    self.end_flow(slot, end, sink);
                    self.begin(row, sought, sink)
                }
            },
        };
        if row.checksum_wrong && self.config.checksums == ChecksumPolicy::Drop {
            return self.drop_packet(slot, row);
        }
        let hot = self.hot.at(slot);
        if !hot.is_in_row() {
            self.open_row(slot, row.ts, arrival.frame);
        } else if self.borders.row_end(hot.row_start).is_some_and(|end| row.ts >= end) {
            self.hand_on_living(slot, sink);
            self.open_row(slot, row.ts, arrival.frame);
        }
        self.count(slot, arrival, sink);
    }

    fn locate(&self, key: &FlowKey, (sought, tag): (NearKey, u32), guess: Option<u32>) -> Option<u32> {
        let is_it = |slot: u32| {
            let hot = self.hot.at(slot);
            hot.is_live() && self.wide.is(&hot.key, &sought, key)
        };
        match guess {
            Some(slot) if is_it(slot) => Some(slot),
            _ => self.index.find(tag, is_it),
        }
    }

    /// Why the flow in the slot is over before this packet, if it is.
    fn ended_by(&self, slot: u32, row: &PacketRow) -> Option<RowEnd> {
        let hot = self.hot.at(slot);
        if row.ts >= hot.deadline {
            return Some(self.timeout_reason(slot));
        }
        let anew = row.tcp_flags & tcp::SYN != 0
            && row.key.protocol == TCP
            && !row.is_fragment
            && tcp::begins_anew(&hot.sides.whole(hot.ts_last, &self.cold.at(slot).history), &Segment::of(row));
        anew.then_some(RowEnd::Closed)
    }

    fn timeout_reason(&self, slot: u32) -> RowEnd {
        match self.hot.at(slot).phase() {
            Phase::Over => RowEnd::Closed,
            Phase::Open => RowEnd::Idle,
        }
    }

    /// A new flow, in a slot of its own.
    fn begin(&mut self, row: &PacketRow, (sought, tag): (NearKey, u32), sink: &mut Sink<'_>) -> u32 {
        if self.live >= self.config.flows_max.max(1) {
            self.make_room(row.ts, sink);
        }
        let orientation = orient::of_first(row);
        let (pair_gap, forgotten) = self.pairs.begin(&row.key, row.ts);
        self.counters.pairs_forgotten += forgotten;
        self.counters.flows += 1;
        let mut history = History::default();
        if orientation.orig_end != row.from & 1 {
            history.note(Side::Orig, b'^');
        }
        let deadline = row.ts.after(self.idle_timeout(row.key.protocol));
        let slot = self.vacant_slot();
        let key = self.wide.keep(sought, &row.key);
        self.hot.at_mut(slot).begin(key, row.ts, orientation, deadline);
        self.cold.at_mut(slot).begin(row.ts, history, pair_gap);
        self.counters.table_grown += u64::from(self.index.insert(tag, slot));
        self.live += 1;
        if let Some(victims) = &mut self.victims {
            victims.add((row.ts, slot, self.hot.at(slot).generation));
        }
        slot
    }

    /// A slot for a new flow: the one given back last, which is the nearest, or one never used.
    fn vacant_slot(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            let slot = self.hot.len() as u32;
            self.counters.table_grown += u64::from(self.hot.push(HotFlow::vacant()));
            self.cold.push(ColdFlow::default());
            slot
        })
    }

    pub(super) fn idle_timeout(&self, protocol: u8) -> DurationNs {
        let timeouts = &self.config.timeouts;
        match protocol {
            TCP => timeouts.tcp_handshake,
            UDP => timeouts.udp_idle,
            ICMP | ICMPV6 => timeouts.icmp_idle,
            _ => timeouts.other_idle,
        }
    }

    /// Ends one flow of a full table: all that are over by now, now and then; else the least recently active.
    fn make_room(&mut self, now: TimestampNs, sink: &mut Sink<'_>) {
        if self.sweep_credit == 0 {
            self.sweep_credit = (self.config.flows_max / SWEEP_SHARE).max(1);
            for slot in 0..self.hot.len() as u32 {
                let hot = self.hot.at(slot);
                if hot.ends_by(now) {
                    self.end_flow(slot, self.timeout_reason(slot), sink);
                }
            }
        }
        self.sweep_credit -= 1;
        if self.live < self.config.flows_max {
            return;
        }
        let hot = &self.hot;
        let living = |slot: u32| Some(hot.at(slot)).filter(|hot| hot.is_live());
        let mut victims = match self.victims.take() {
            Some(victims) if !victims.is_stale(hot.len()) => victims,
            _ => {
                let slots = (0..hot.len() as u32).filter_map(|s| living(s).map(|hot| (hot.ts_last, s, hot.generation)));
                Victims::of(slots)
            }
        };
        let victim = victims.take(|s, generation| living(s).filter(|h| h.generation == generation).map(|h| h.ts_last));
        // The next ones' records, and of those that were asked for before what they lead to.
        if let Some(slot) = victims.ahead(2 * ENDS_AHEAD) {
            self.hot.at(slot).prefetch();
        }
        if let Some(slot) = victims.ahead(ENDS_AHEAD) {
            self.look_to_the_end(slot);
        }
        self.victims = Some(victims);
        if let Some(slot) = victim {
            self.end_flow(slot, RowEnd::Evicted, sink);
        }
    }

    /// Ends a flow and frees its slot.
    fn end_flow(&mut self, slot: u32, end: RowEnd, sink: &mut Sink<'_>) {
        self.hand_on_last(slot, end, sink);
        let key = &self.hot.at(slot).key;
        self.index.remove(self.wide.tag(key, self.config.hash_key), slot);
        self.wide.forget(key);
        self.free.push(slot);
    }

    /// Asks for what ending a flow needs beside its record, which is near.
    fn look_to_the_end(&self, slot: u32) {
        let hot = self.hot.at(slot);
        self.index.prefetch(self.wide.tag(&hot.key, self.config.hash_key));
        self.cold.at(slot).prefetch();
        [0, 1].into_iter().for_each(|end| self.ledger.prefetch(&hot.account, end));
    }

    /// Hands on the last row of a flow. One whose packets have all been told leaves no further row.
    fn hand_on_last(&mut self, slot: u32, end: RowEnd, sink: &mut Sink<'_>) {
        let (hot, cold) = (self.hot.at_mut(slot), self.cold.at_mut(slot));
        self.desk.close(&mut cold.reading);
        if hot.is_in_row() || cold.rows() == 0 {
            let (key, close) = (self.wide.whole(&hot.key), self.config.timeouts.tcp_close);
            sink.rows.push(take_row(&mut self.ledger, key, (hot, cold), end, close));
            self.counters.rows += 1;
        }
        hot.end();
        cold.end();
        self.live -= 1;
        match end {
            RowEnd::Idle => self.counters.ended_idle += 1,
            RowEnd::Closed => self.counters.ended_closed += 1,
            RowEnd::Evicted => self.counters.evicted += 1,
            RowEnd::EndOfInput => self.counters.ended_input += 1,
            RowEnd::Window | RowEnd::Active => {}
        }
    }

    /// Hands on a row of a flow that lives on.
    fn hand_on_living(&mut self, slot: u32, sink: &mut Sink<'_>) {
        let (hot, cold) = (self.hot.at_mut(slot), self.cold.at_mut(slot));
        let window_end = self.borders.window_end(hot.row_start);
        let is_cut = self.borders.row_end(hot.row_start).is_some_and(|row_end| row_end < window_end);
        let end = if is_cut { RowEnd::Active } else { RowEnd::Window };
        self.desk.refresh(&mut cold.reading);
        let (key, close) = (self.wide.whole(&hot.key), self.config.timeouts.tcp_close);
        sink.rows.push(take_row(&mut self.ledger, key, (hot, cold), end, close));
        self.counters.rows += 1;
    }

    fn open_row(&mut self, slot: u32, ts: TimestampNs, frame: Option<&FrameRef>) {
        self.hot.at_mut(slot).open_row(ts);
        let first_frame = frame.map_or((0, 0), |frame| (frame.file, frame.number));
        self.cold.at_mut(slot).open_row(first_frame);
    }

    fn drop_packet(&mut self, slot: u32, row: &PacketRow) {
        let side = self.hot.at(slot).side_of(row);
        self.cold.at_mut(slot).history.note_scaled(side, Scaled::Checksum);
        self.counters.checksum_dropped += 1;
        self.counters.checksum_dropped_bytes += u64::from(row.ip_bytes);
    }

    /// Hands on an observation, as long as the window's share lasts.
    pub(super) fn observe(&mut self, observation: Observation, sink: &mut Sink<'_>) {
        match self.observations_left.checked_sub(1) {
            Some(left) => {
                self.observations_left = left;
                self.counters.observations += 1;
                sink.observations.push(observation);
            }
            None => self.counters.observations_dropped += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::units::Address;

    /// Flows that fill the index to its half.
    const FLOWS: u32 = 1 << 13;

    /// Bytes a living flow takes after so many packets of both ends in turn.
    fn bytes_a_flow(packets: u32) -> usize {
        let mut table = FlowTable::new(FlowConfig { window: DurationNs::ZERO, ..FlowConfig::default() });
        let (mut rows, mut observations, frames) = (FlowColumns::default(), Vec::new(), FrameBatch::new(Arc::from([])));
        for n in 0..packets {
            let mut columns = PacketColumns::default();
            for flow in 0..FLOWS {
                let [_, b, c, d] = flow.to_be_bytes();
                let addresses = [Address::v4([10, b, c, d]), Address::v4([192, 0, 2, 1])];
                let key = FlowKey { addresses, ports: [5000, 5001], context: 0, protocol: UDP, version: 4 };
                let (ts, from) = (TimestampNs(1 + u64::from(n)), (n % 2) as u8);
                columns.push(PacketRow { ts, key, from, ip_bytes: 60, payload_bytes: 32, ..PacketRow::default() });
            }
            table.apply(&columns, &frames, &mut rows, &mut observations);
        }
        assert_eq!((table.len(), rows.len()), (FLOWS as usize, 0));
        let records = table.hot.bytes() + table.cold.bytes() + table.ledger.bytes();
        (records + table.index.bytes()) / FLOWS as usize
    }

    #[test]
    fn a_living_flow_takes_no_more_than_its_packets_need() {
        // Three lines of record, two words of index; 36 bytes for three packets and 84 for the next seven, and after that three lines
        // for each end, what the log took being others' by then.
        for (packets, wanted) in [(1, 244), (3, 244), (4, 328), (10, 328), (11, 592 + 120), (100, 592 + 120)] {
            assert_eq!(bytes_a_flow(packets), wanted, "{packets} packets");
        }
    }
}
