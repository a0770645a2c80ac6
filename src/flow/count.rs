//! Counting: what one packet adds to its flow.
//! In: an arrival and its flow's slot. Out: totals, clocks, TCP states, deadlines, evidence; conflicts as observations.

use super::app::{Appetite, Passage};
use super::arrival::Arrival;
use super::emit::Sink;
use super::forgery::{Ends, Sight};
use super::history::{Once, Scaled};
use super::observation::{Observation, SegmentConflict};
use super::orient::{TCP, UDP};
use super::pace::Pace;
use super::record::{ColdFlow, HotFlow, Phase};
use super::row::CarrierRow;
use super::segments::{Conflict, Ground, Sighting};
use super::table::FlowTable;
use super::tcp::{self, End, Endpoint, Marks, Order, Plain, Segment, Sighted, Step};
use super::totals::Counted;
use crate::packet::app::AppContext;
use crate::packet::columns::{PacketRow, TunnelRef};
use crate::units::{DurationNs, Side, TimestampNs};

/// The flow of the packet that is counted.
struct Here {
    slot: u32,
    side: Side,
    /// Both sides, unpacked.
    sides: [Endpoint; 2],
    /// What was usual of the packet's sender before it.
    ttl_usual: Option<u8>,
    /// The latest packet while a side was open, before this one.
    ts_open_last: TimestampNs,
}

impl Here {
    /// The packet's sender.
    fn own(&mut self) -> &mut Endpoint {
        &mut self.sides[self.side.index()]
    }
}

impl FlowTable {
    /// Adds a packet to its flow.
    pub(super) fn count(&mut self, slot: u32, arrival: &Arrival<'_>, sink: &mut Sink<'_>) {
        let (row, hot) = (&arrival.row, self.hot.at_mut(slot));
        let side = hot.side_of(row);
        let at = Sighted { side, ts: row.ts, ttl: row.ttl, ts_last: hot.ts_last };
        let plain = match row.key.protocol {
            TCP if row.is_fragment => hot.sides.datagram(&at, None),
            TCP if hot.is_settled() => hot.sides.segment(&at, &Segment::of(row)),
            TCP => None,
            UDP => hot.sides.datagram(&at, Some(Once::Payload)),
            _ => hot.sides.datagram(&at, None),
        };
        match plain {
            Some(plain) => self.count_plain(slot, side, arrival, &plain, sink),
            None => self.count_any(slot, side, arrival, sink),
        }
    }

    /// A packet that both ends have taken where they are kept.
    fn count_plain(&mut self, slot: u32, side: Side, arrival: &Arrival<'_>, plain: &Plain, sink: &mut Sink<'_>) {
        let row = &arrival.row;
        let is_segment = row.key.protocol == TCP && !row.is_fragment;
        let idle = match is_segment {
            true if plain.is_past_handshake => self.config.timeouts.tcp_idle,
            // The handshake's, for a segment.
            _ => self.idle_timeout(row.key.protocol),
        };
        let (hot, cold) = (self.hot.at_mut(slot), self.cold.at_mut(slot));
        hot.note_time(row.ts, plain.is_first, &mut cold.history);
        hot.deadline = hot.ts_last.after(idle);
        hot.keep_open_last(hot.ts_last, self.config.timeouts.tcp_close, &mut cold.history);
        let mut counted = note_packet((hot, cold), side, arrival, plain.gap);
        if let Some(letter) = plain.letter {
            cold.history.note(side, letter);
        }
        if !is_segment {
            self.enter(slot, side, row, &counted);
            if row.key.protocol == UDP && !row.is_fragment {
                self.read_app(slot, side, arrival, 0, sink);
            }
            return;
        }
        (counted.flags, counted.window, counted.order) = (row.tcp_flags, row.tcp_window, plain.order);
        self.enter(slot, side, row, &counted);
        if row.payload_bytes > 0 {
            let step = Step { payload_at: plain.payload_at, order: plain.order, ..Step::default() };
            let (mut evidence, mut marks) = self.hot.at(slot).sides.evidence(side);
            self.witness((&mut evidence, &mut marks), plain.ttl_usual, arrival, &step, sink);
            let (hot, cold) = (self.hot.at_mut(slot), self.cold.at_mut(slot));
            hot.sides.keep_evidence(side, (evidence, marks), hot.ts_last, &mut cold.history);
            self.read_stream(slot, side, arrival, &step, sink);
        }
    }

    /// Any other packet: both ends are unpacked and packed again.
    fn count_any(&mut self, slot: u32, side: Side, arrival: &Arrival<'_>, sink: &mut Sink<'_>) {
        let row = &arrival.row;
        let (hot, cold) = (self.hot.at_mut(slot), self.cold.at_mut(slot));
        let ts_open_last = hot.ts_open_last(hot.ts_last, self.config.timeouts.tcp_close, &cold.history);
        let mut here = Here { slot, side, sides: [Endpoint::default(); 2], ttl_usual: None, ts_open_last };
        hot.sides.unpack(hot.ts_last, &cold.history, &mut here.sides);
        let is_first = !here.sides.iter().any(Endpoint::has_spoken);
        hot.note_time(row.ts, is_first, &mut cold.history);
        let own = here.own();
        let gap = own.has_spoken().then(|| row.ts.since(own.ts_last));
        own.ts_last = own.ts_last.max(row.ts);
        here.ttl_usual = here.own().note_ttl(row.ttl);
        here.own().note_spoken();
        let counted = note_packet((hot, cold), side, arrival, gap);
        if row.key.protocol == TCP && !row.is_fragment {
            let step = self.count_tcp(&mut here, row);
            let (order, zero_window) = (step.order, step.zero_window);
            let (flags, window) = (row.tcp_flags, row.tcp_window);
            self.enter(slot, side, row, &Counted { flags, window, order, zero_window, ..counted });
            self.look_into_segment(&mut here, arrival, &step, sink);
        } else {
            self.count_datagram(&mut here, row.key.protocol);
            self.enter(slot, side, row, &counted);
            if row.key.protocol == UDP && !row.is_fragment {
                self.read_app(slot, side, arrival, 0, sink);
            }
        }
        let (hot, cold) = (self.hot.at_mut(slot), self.cold.at_mut(slot));
        hot.sides.keep(&here.sides, hot.ts_last, &mut cold.history);
    }

    /// Adds a packet to its row's totals, and to its pace where the side sends much.
    fn enter(&mut self, slot: u32, side: Side, row: &PacketRow, counted: &Counted) {
        if self.ledger.add(&mut self.hot.at_mut(slot).account, row.from, counted) {
            let rare = self.cold.at_mut(slot).history.rare_mut();
            // One allocation a heavy row, none a packet.
            rare.pace.get_or_insert_with(|| Box::new(Pace::new(row.ts))).add(side, row.ts, row.ip_bytes);
        }
    }

    fn count_datagram(&mut self, here: &mut Here, protocol: u8) {
        let idle = self.idle_timeout(protocol);
        let hot = self.hot.at_mut(here.slot);
        if protocol == UDP {
            let (slot, side) = (here.slot, here.side);
            tcp::note_datagram(here.own(), side, &mut self.cold.at_mut(slot).history);
        }
        hot.deadline = hot.ts_last.after(idle);
        hot.keep_open_last(hot.ts_last, self.config.timeouts.tcp_close, &mut self.cold.at_mut(here.slot).history);
    }

    fn count_tcp(&mut self, here: &mut Here, row: &PacketRow) -> Step {
        let timeouts = self.config.timeouts;
        let (hot, cold) = (self.hot.at_mut(here.slot), self.cold.at_mut(here.slot));
        match (here.side, row.tcp_flags & (tcp::SYN | tcp::ACK)) {
            (Side::Orig, tcp::SYN) => cold.handshake.syn(row.ts),
            (Side::Resp, flags) if flags == tcp::SYN | tcp::ACK => cold.handshake.syn_ack(row.ts),
            _ => {}
        }
        let mut ts_open_last = here.ts_open_last;
        if tcp::is_any_side_open(&here.sides) {
            ts_open_last = ts_open_last.max(row.ts);
        }
        let step = tcp::advance(&mut here.sides, here.side, &Segment::of(row), &mut cold.history);
        if hot.phase() == Phase::Open {
            hot.deadline = if step.over {
                hot.close();
                ts_open_last.after(timeouts.tcp_close)
            } else if tcp::is_attempt(&here.sides) {
                cold.flow_start.after(timeouts.tcp_attempt)
            } else if tcp::is_past_handshake(&here.sides) {
                hot.ts_last.after(timeouts.tcp_idle)
            } else {
                hot.ts_last.after(timeouts.tcp_handshake)
            };
        }
        hot.keep_open_last(ts_open_last, timeouts.tcp_close, &mut cold.history);
        step
    }

    /// What a segment proves and says: resets, conflicts, the application's words.
    fn look_into_segment(&mut self, here: &mut Here, arrival: &Arrival<'_>, step: &Step, sink: &mut Sink<'_>) {
        let (row, slot, side) = (&arrival.row, here.slot, here.side);
        if row.tcp_flags & tcp::RST != 0 {
            self.note_reset(here, arrival, step);
        } else if row.payload_bytes > 0 && here.own().state() == End::Reset {
            // The state is at hand; the resets are not.
            self.after_reset(slot, side, arrival, step, sink);
        }
        if row.payload_bytes > 0 {
            let ttl_usual = here.ttl_usual;
            let own = here.own();
            // What follows a RST of its sender proves nothing.
            if own.state() != End::Reset {
                self.witness((&mut own.evidence, &mut own.marks), ttl_usual, arrival, step, sink);
            }
            self.read_stream(slot, side, arrival, step, sink);
        }
    }

    /// Lets the application parser see a segment's payload.
    fn read_stream(&mut self, slot: u32, side: Side, arrival: &Arrival<'_>, step: &Step, sink: &mut Sink<'_>) {
        // The first payload byte has relative number 1; what lies before is no part of the stream.
        if step.payload_at > 0 {
            self.read_app(slot, side, arrival, (step.payload_at - 1) as u32, sink);
        }
    }

    /// Compares a TCP payload with what its side sent before. What lies before its stream or is known to be damaged proves nothing.
    fn witness(
        &mut self,
        (evidence, marks): (&mut u64, &mut Marks),
        ttl_usual: Option<u8>,
        arrival: &Arrival<'_>,
        step: &Step,
        sink: &mut Sink<'_>,
    ) {
        let (row, Some(frame)) = (&arrival.row, arrival.frame) else { return };
        let payload = arrival.payload();
        let at = match u64::try_from(step.payload_at) {
            Ok(at) if at > 0 && !row.checksum_wrong && !payload.is_empty() => at,
            _ => return,
        };
        let seen = Sighting {
            at,
            payload,
            payload_bytes: row.payload_bytes,
            ts: row.ts,
            ttl: row.ttl,
            ttl_usual,
            header_sum: arrival.header_sum(),
            frame: frame.number,
            place: arrival.place(),
            frames: Some(arrival.frames),
        };
        let ground = match step.order {
            Order::Next | Order::Ahead => Ground::New,
            Order::Late | Order::Repeat => Ground::Trodden,
        };
        let mut found = Vec::new();
        self.evidence.take(evidence, &seen, ground, |conflict| found.push(conflict));
        if !found.is_empty() {
            self.tell_conflicts(marks, arrival, frame.file, &found, sink);
        }
    }

    /// Remembers a reset of a connection on which something was said: it may be forged.
    fn note_reset(&mut self, here: &Here, arrival: &Arrival<'_>, step: &Step) {
        let slot = here.slot;
        if self.hot.at(slot).has_talked() && arrival.row.payload_bytes == 0 && !arrival.row.checksum_wrong {
            let resets = self.cold.at_mut(slot).history.rare_mut().resets.get_or_insert_default();
            resets.take(here.side.index(), step.payload_at, sight_of(arrival), here.ttl_usual);
        }
    }

    /// What a side sends after its own reset shows that the reset was somebody else's.
    fn after_reset(&mut self, slot: u32, side: Side, arrival: &Arrival<'_>, step: &Step, sink: &mut Sink<'_>) {
        let rare = self.cold.at_mut(slot).history.rare.as_deref_mut();
        let Some(resets) = rare.and_then(|rare| rare.resets.as_deref_mut()) else { return };
        let forgery = resets.segment(side.index(), step.payload_at, sight_of(arrival), ends_of(&arrival.row));
        if let Some(forgery) = forgery {
            self.observe(Observation::Forgery(Box::new(forgery)), sink);
        }
    }

    /// Lets the application parser see a payload, and hands on the DNS messages in it.
    fn read_app(&mut self, slot: u32, side: Side, arrival: &Arrival<'_>, offset: u32, sink: &mut Sink<'_>) {
        let payload = arrival.payload();
        if payload.is_empty() || self.hot.at(slot).appetite() == Appetite::Sated {
            return;
        }
        let (key, orig) = (&arrival.row.key, usize::from(self.hot.at(slot).orig_end & 1));
        let passage = Passage {
            protocol: key.protocol,
            ports: [key.ports[orig], key.ports[orig ^ 1]],
            side,
            offset,
            payload,
            context: AppContext { ts: arrival.row.ts, orig: key.addresses[orig], resp: key.addresses[orig ^ 1] },
        };
        let mut lookups = std::mem::take(&mut self.lookups);
        let appetite = self.desk.read(&mut self.cold.at_mut(slot).reading, &passage, &mut lookups);
        self.hot.at_mut(slot).set_appetite(appetite);
        for lookup in lookups.drain(..) {
            let forgery = self.questions.take(key, &lookup, sight_of(arrival), ends_of(&arrival.row));
            if let Some(forgery) = forgery {
                self.observe(Observation::Forgery(Box::new(forgery)), sink);
            }
            self.observe(Observation::Lookup(Box::new(lookup)), sink);
        }
        self.lookups = lookups;
    }

    fn tell_conflicts(
        &mut self,
        marks: &mut Marks,
        arrival: &Arrival<'_>,
        file: u16,
        found: &[Conflict],
        sink: &mut Sink<'_>,
    ) {
        let row = &arrival.row;
        let (from, to) = (usize::from(row.from & 1), usize::from(row.from & 1 ^ 1));
        for conflict in found {
            self.counters.conflicts += 1;
            if marks.conflicts >= self.config.segments.conflicts_per_side_max {
                self.counters.conflicts_untold += 1;
                continue;
            }
            marks.conflicts += 1;
            let offset = u32::try_from(conflict.at - 1).ok().filter(|_| marks.is_anchored());
            let [first, second] = conflict.versions;
            let told = SegmentConflict {
                key: row.key,
                file,
                sender: row.key.addresses[from],
                sender_port: row.key.ports[from],
                receiver: row.key.addresses[to],
                receiver_port: row.key.ports[to],
                versions: conflict.versions,
                delta: conflict.delta,
                overlap_bytes: conflict.overlap_bytes,
                differing_bytes: conflict.differing_bytes,
                stream_offset: offset,
                ttl_difference: first.ttl.abs_diff(second.ttl),
                sender_ttl_usual: conflict.ttl_usual,
            };
            self.observe(Observation::SegmentConflict(Box::new(told)), sink);
        }
    }
}

fn sight_of(arrival: &Arrival<'_>) -> Sight {
    let (file, frame) = arrival.frame.map_or((0, 0), |frame| (frame.file, frame.number));
    Sight { file, frame, ts: arrival.row.ts, ttl: arrival.row.ttl }
}

fn ends_of(row: &PacketRow) -> Ends {
    let (from, to) = (usize::from(row.from & 1), usize::from(row.from & 1 ^ 1));
    Ends {
        sender: row.key.addresses[from],
        sender_port: row.key.ports[from],
        receiver: row.key.addresses[to],
        protocol: row.key.protocol,
    }
}

/// What a packet tells of its flow whatever its protocol, and of what adds to its row what is known by then.
#[inline]
fn note_packet(
    (hot, cold): (&mut HotFlow, &mut ColdFlow),
    side: Side,
    arrival: &Arrival<'_>,
    gap: Option<DurationNs>,
) -> Counted {
    let row = &arrival.row;
    let is_opening = row.payload_bytes > 0 && hot.note_talker(side, &mut cold.history);
    if let Some(tunnel) = arrival.tunnel {
        count_carrier(cold, side, row, tunnel);
    }
    if row.checksum_wrong {
        cold.history.note_scaled(side, Scaled::Checksum);
    }
    let (ip_bytes, payload_bytes, ttl) = (row.ip_bytes, row.payload_bytes, row.ttl);
    Counted { gap, ip_bytes, payload_bytes, ttl, is_opening, ..Counted::default() }
}

fn count_carrier(cold: &mut ColdFlow, side: Side, row: &PacketRow, tunnel: &TunnelRef) {
    let carrier = cold.history.rare_mut().carrier.get_or_insert_with(|| {
        let mut outer = [tunnel.outer_source, tunnel.outer_destination];
        outer.sort_unstable();
        Box::new(CarrierRow {
            kind: tunnel.kind,
            outer,
            port: tunnel.outer_port,
            id: tunnel.id,
            depth: tunnel.depth,
            packets: [[0; 2]; 2],
            bytes: [[0; 2]; 2],
        })
    });
    let outer_sender = usize::from(tunnel.outer_source == carrier.outer[1]);
    let packets = &mut carrier.packets[side.index()][outer_sender];
    *packets = packets.saturating_add(1);
    let bytes = &mut carrier.bytes[side.index()][outer_sender];
    *bytes = bytes.saturating_add(u64::from(row.ip_bytes));
}
