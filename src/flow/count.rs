//! Counting: what one packet adds to its flow.
//! In: an arrival and its flow's slot. Out: totals, clocks, TCP states, deadlines, evidence; conflicts as observations.

use super::app::{Appetite, Passage};
use super::arrival::Arrival;
use super::emit::Sink;
use super::forgery::{Ends, Sight};
use super::history::Scaled;
use super::observation::{Observation, SegmentConflict};
use super::orient::{TCP, UDP};
use super::pace::{PACED_FROM, Pace};
use super::record::{ColdFlow, HotFlow, Phase};
use super::row::CarrierRow;
use super::segments::{Conflict, Ground, Sighting};
use super::table::FlowTable;
use super::tcp::{self, End, Endpoint, Order, Segment, Step};
use super::totals::Counted;
use crate::packet::app::AppContext;
use crate::packet::columns::{PacketRow, TunnelRef};
use crate::units::{DurationNs, Side, TimestampNs};

/// Packets of a flow less than this apart are one burst.
const BURST_GAP: DurationNs = DurationNs::from_secs(1);

/// The flow of the packet that is counted.
struct Here {
    slot: u32,
    side: Side,
    /// Both sides, unpacked.
    sides: [Endpoint; 2],
    /// What was usual of the packet's sender before it.
    ttl_usual: Option<u8>,
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
        let row = &arrival.row;
        let (hot, cold) = (self.hot.at_mut(slot), self.cold.at_mut(slot));
        let side = hot.side_of(row);
        let mut here = Here { slot, side, sides: [Endpoint::default(); 2], ttl_usual: None };
        hot.sides.unpack(hot.ts_last, &cold.history, &mut here.sides);
        let gap = count_time(hot, &mut here, row.ts);
        here.ttl_usual = here.own().note_ttl(row.ttl);
        here.own().note_spoken();
        let is_opening = row.payload_bytes > 0 && hot.note_talker(side);
        if let Some(tunnel) = arrival.tunnel {
            count_carrier(cold, side, row, tunnel);
        }
        if row.checksum_wrong {
            cold.history.note_scaled(side, Scaled::Checksum);
        }
        let (ip_bytes, payload_bytes, ttl) = (row.ip_bytes, row.payload_bytes, row.ttl);
        let counted = Counted { gap, ip_bytes, payload_bytes, ttl, is_opening, ..Counted::default() };
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
        let packets = self.ledger.add(&mut self.hot.at_mut(slot).account, row.from, counted);
        if packets > PACED_FROM {
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
        hot.ts_open_last = hot.ts_last;
        hot.deadline = hot.ts_last.after(idle);
    }

    fn count_tcp(&mut self, here: &mut Here, row: &PacketRow) -> Step {
        let timeouts = self.config.timeouts;
        let (hot, cold) = (self.hot.at_mut(here.slot), self.cold.at_mut(here.slot));
        match (here.side, row.tcp_flags & (tcp::SYN | tcp::ACK)) {
            (Side::Orig, tcp::SYN) => cold.handshake.syn(row.ts),
            (Side::Resp, flags) if flags == tcp::SYN | tcp::ACK => cold.handshake.syn_ack(row.ts),
            _ => {}
        }
        if tcp::is_any_side_open(&here.sides) {
            hot.ts_open_last = hot.ts_open_last.max(row.ts);
        }
        let step = tcp::advance(&mut here.sides, here.side, &Segment::of(row), &mut cold.history);
        if hot.phase == Phase::Over {
            return step;
        }
        hot.deadline = if step.over {
            hot.phase = Phase::Over;
            hot.ts_open_last.after(timeouts.tcp_close)
        } else if tcp::is_attempt(&here.sides) {
            hot.flow_start.after(timeouts.tcp_attempt)
        } else if tcp::is_past_handshake(&here.sides) {
            hot.ts_last.after(timeouts.tcp_idle)
        } else {
            hot.ts_last.after(timeouts.tcp_handshake)
        };
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
            self.witness(here, arrival, step, sink);
            // The first payload byte has relative number 1; what lies before is no part of the stream.
            if step.payload_at > 0 {
                self.read_app(slot, side, arrival, (step.payload_at - 1) as u32, sink);
            }
        }
    }

    /// Compares a TCP payload with what its side sent before. What follows a RST of its sender, lies before its stream or
    /// is known to be damaged proves nothing.
    fn witness(&mut self, here: &mut Here, arrival: &Arrival<'_>, step: &Step, sink: &mut Sink<'_>) {
        let (row, Some(frame)) = (&arrival.row, arrival.frame) else { return };
        let ttl_usual = here.ttl_usual;
        let own = here.own();
        let payload = arrival.payload();
        let at = match u64::try_from(step.payload_at) {
            Ok(at) if at > 0 && own.state() != End::Reset && !row.checksum_wrong && !payload.is_empty() => at,
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
        self.evidence.take(&mut own.evidence, &seen, ground, |conflict| found.push(conflict));
        if !found.is_empty() {
            self.tell_conflicts(own, arrival, frame.file, &found, sink);
        }
    }

    /// Remembers a reset of a connection on which something was said: it may be forged.
    fn note_reset(&mut self, here: &Here, arrival: &Arrival<'_>, step: &Step) {
        let slot = here.slot;
        if self.hot.at(slot).talker.is_some() && arrival.row.payload_bytes == 0 && !arrival.row.checksum_wrong {
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
        if payload.is_empty() || self.hot.at(slot).appetite == Appetite::Sated {
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
        self.hot.at_mut(slot).appetite = appetite;
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
        own: &mut Endpoint,
        arrival: &Arrival<'_>,
        file: u16,
        found: &[Conflict],
        sink: &mut Sink<'_>,
    ) {
        let row = &arrival.row;
        let (from, to) = (usize::from(row.from & 1), usize::from(row.from & 1 ^ 1));
        for conflict in found {
            self.counters.conflicts += 1;
            if own.marks.conflicts >= self.config.segments.conflicts_per_side_max {
                self.counters.conflicts_untold += 1;
                continue;
            }
            own.marks.conflicts += 1;
            let offset = u32::try_from(conflict.at - 1).ok().filter(|_| own.is_anchored());
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

/// Moves the flow's clocks: bursts and silence of both sides together. Returns the time since the side's packet before.
fn count_time(hot: &mut HotFlow, here: &mut Here, ts: TimestampNs) -> Option<DurationNs> {
    if !here.sides.iter().any(Endpoint::has_spoken) {
        hot.bursts = 1;
    } else {
        match ts.since(hot.ts_last) {
            gap if gap < BURST_GAP => hot.active = DurationNs(hot.active.0.saturating_add(gap.0)),
            _ => hot.bursts = hot.bursts.saturating_add(1),
        }
    }
    let own = here.own();
    let gap = own.has_spoken().then(|| ts.since(own.ts_last));
    own.ts_last = own.ts_last.max(ts);
    hot.ts_last = hot.ts_last.max(ts);
    gap
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
