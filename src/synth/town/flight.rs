//! Flights: how the bytes of one side become segments, how the other side acknowledges them, and what happens when one is
//! lost or overtaken. In: a connection whose first leg has bytes left. Out: drafts, then packets in the order of their times.
//! Bounds: [`FLIGHT_SEGMENTS_MAX`] segments are planned at once.
//! A receiver acknowledges every second segment, at once when something is missing (RFC 5681, RFC 2018); a sender begins with
//! ten segments (RFC 6928), doubles, halves on loss, and sends again after three duplicates or its timer (RFC 6298).

use super::stack::later_options;
use super::tcp::{Connection, Ids};
use crate::synth::dice::secs;
use crate::synth::stage::Stage;
use crate::synth::wire::packet::{ACK, IpId, PSH, Piece, Plan, RST, SYN, Transport};
use crate::synth::wire::payload::Source;
use crate::units::{DurationNs, Side, TimestampNs};

/// Segments planned at once.
const FLIGHT_SEGMENTS_MAX: u64 = 40;
/// A sender that was silent for this long begins again with ten segments (RFC 5681 section 4.1).
const IDLE: DurationNs = DurationNs::from_secs(1);
/// Smallest time after which a sender sends again.
const RETRANSMIT_MIN: DurationNs = DurationNs::from_millis(220);
/// Share of flights in which one segment overtakes another.
const OVERTAKEN: f64 = 0.002;

/// A segment that has its place in time, but not yet its header.
pub(crate) struct Draft {
    at: TimestampNs,
    side: Side,
    flags: u8,
    seq: u32,
    ack: u32,
    block: Option<[u32; 2]>,
    piece: Option<(Source, u64, u16)>,
}

/// How far a flight came.
pub(super) struct Progress {
    /// When the next flight of the same leg begins.
    pub(super) next_at: TimestampNs,
    /// When the leg's last byte passes, where it is under way.
    pub(super) done_at: Option<TimestampNs>,
}

impl Connection {
    /// A segment without payload, with the numbers as they stand.
    pub(super) fn draft(&mut self, at: TimestampNs, side: Side, flags: u8, ack_back: u32) {
        let at = self.in_order(at, side);
        let seq = self.halves[side.index()].next;
        let ack = self.halves[side.other().index()].next.wrapping_sub(ack_back);
        let ack = if flags & ACK == 0 { 0 } else { ack };
        self.drafts.push(Draft { at, side, flags, seq, ack, block: None, piece: None });
    }

    /// A segment with payload, with the numbers as they stand.
    pub(super) fn draft_bytes(&mut self, at: TimestampNs, side: Side, flags: u8, piece: (Source, u64, u16)) {
        self.draft(at, side, flags, 0);
        if let Some(draft) = self.drafts.last_mut() {
            draft.piece = Some(piece);
        }
        self.half(side).unacked = 0;
    }

    /// A segment in a side's name that it never sent: its numbers are right, everything else is the forger's.
    pub(crate) fn forged(&self, side: Side, piece: Piece) -> Plan {
        let [own, other] = [side.index(), side.other().index()];
        let transport = Transport::Tcp {
            seq: self.halves[own].next,
            ack: self.halves[other].next,
            flags: PSH | ACK,
            window: self.halves[own].party.stack.window,
            options: later_options(self.agreed, self.halves[own].clock_last, self.halves[other].clock_last, None),
        };
        let ttl = self.halves[own].party.ttl;
        Plan { payload: Some(piece), ..Plan::new(self.ends[own], self.ends[other], ttl, transport) }
    }

    /// The client acknowledges bytes that it takes for the server's.
    pub(crate) fn acknowledge_forged(&mut self, at: TimestampNs, bytes: u32) {
        self.draft(at, Side::Orig, ACK, bytes.wrapping_neg());
    }

    /// Packets of one side pass in the order in which it sends them.
    fn in_order(&mut self, at: TimestampNs, side: Side) -> TimestampNs {
        let half = self.half(side);
        let at = at.max(half.last_at.after(DurationNs(1_200)));
        half.last_at = at;
        at
    }

    /// Plans the next segments of the first leg.
    pub(super) fn plan_flight(&mut self, start: TimestampNs) -> Progress {
        let Some(leg) = self.legs.front() else { return Progress { next_at: start, done_at: Some(start) } };
        let (side, source, total) = (leg.flight.side, leg.flight.source.clone(), leg.flight.bytes);
        let receiver = side.other();
        if start.since(self.halves[side.index()].last_at) > IDLE {
            let half = self.half(side);
            half.cwnd = 10.min(half.cwnd_max);
        }
        self.half(side).unacked = 0;
        let left = total - self.sent;
        let count = left.div_ceil(self.segment).min(self.halves[side.index()].cwnd).clamp(1, FLIGHT_SEGMENTS_MAX);
        let bytes = left.min(count * self.segment);
        let times = self.send_times(start, side, count as usize);
        let lost = self.dice.chance(self.loss * count as f64).then(|| self.dice.index(count as usize));
        let seen = self.dice.chance(0.5);
        let base = self.halves[side.index()].next;
        let (from, segment, ends) = (self.sent, self.segment, left == bytes);
        let piece = |i: usize| {
            let at = i as u64 * segment;
            (source.clone(), from + at, segment.min(bytes - at) as u16)
        };
        for (i, at) in times.iter().enumerate() {
            if lost != Some(i) || seen {
                let last = i + 1 == times.len();
                self.draft_segment(*at, side, base, i as u64 * segment, piece(i), last && ends);
            }
        }
        let last_at = times.iter().copied().max().unwrap_or(start);
        let mut arrivals: Vec<(TimestampNs, usize)> =
            times.iter().enumerate().filter(|(i, _)| lost != Some(*i)).map(|(i, at)| (*at, i)).collect();
        arrivals.sort();
        let again = self.receive(receiver, base, bytes, &mut arrivals, lost.map(|i| (i, last_at)));
        if let (Some(at), Some(i)) = (again, lost) {
            let sent_at = times.get(i).copied().unwrap_or(start);
            let piece = self.made_anew(piece(i), side, at.since(sent_at));
            self.draft_segment(at, side, base, i as u64 * segment, piece, false);
        }
        let arrived = arrivals.last().map_or(last_at, |(at, _)| *at).max(last_at);
        let half = self.half(side);
        half.next = base.wrapping_add(bytes as u32);
        half.last_at = half.last_at.max(arrived);
        half.cwnd = if again.is_some() {
            (half.cwnd / 2).max(4).min(half.cwnd_max)
        } else {
            (half.cwnd + count).min(half.cwnd_max)
        };
        let gap = half.gap;
        self.sent += bytes;
        let rtt = DurationNs(self.turn(Side::Orig).0 + self.turn(Side::Resp).0);
        let round = if again.is_some() { arrived } else { times.first().copied().unwrap_or(start) };
        Progress { next_at: round.after(rtt).max(arrived.after(gap)), done_at: ends.then_some(arrived) }
    }

    /// What a sender that keeps nothing sends instead of what was lost: the same, but for its clock.
    fn made_anew(&self, piece: (Source, u64, u16), side: Side, later: DurationNs) -> (Source, u64, u16) {
        let (Some(rebuilt), Side::Resp, (Source::HeadThenOpaque { head, base }, ..)) = (&self.rebuilt, side, &piece)
        else {
            return piece;
        };
        let (digits, mut anew) = (rebuilt.digits_at as usize, head.to_vec());
        let said = format!("{:08}", rebuilt.up_ms + later.0 / 1_000_000);
        anew[digits..digits + said.len()].copy_from_slice(said.as_bytes());
        (Source::HeadThenOpaque { head: anew.into(), base: *base }, piece.1, piece.2)
    }

    /// When each segment of a flight passes.
    fn send_times(&mut self, start: TimestampNs, side: Side, count: usize) -> Vec<TimestampNs> {
        let gap = self.halves[side.index()].gap;
        let mut at = self.in_order(start, side);
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            times.push(at);
            at = at.after(DurationNs(1_200)).after(self.dice.about(gap, 0.3));
        }
        if count > 2 && self.dice.chance(OVERTAKEN) {
            let i = 1 + self.dice.index(count - 2);
            times.swap(i, i + 1);
        }
        times
    }

    fn draft_segment(
        &mut self,
        at: TimestampNs,
        side: Side,
        base: u32,
        offset: u64,
        piece: (Source, u64, u16),
        push: bool,
    ) {
        let ack = self.halves[side.other().index()].next;
        let flags = if push { PSH | ACK } else { ACK };
        let seq = base.wrapping_add(offset as u32);
        self.drafts.push(Draft { at, side, flags, seq, ack, block: None, piece: Some(piece) });
    }

    /// Plays the receiver of a flight: acknowledgements, duplicates where something is missing, and when the sender
    /// therefore sends the missing segment again.
    fn receive(
        &mut self,
        receiver: Side,
        base: u32,
        bytes: u64,
        arrivals: &mut Vec<(TimestampNs, usize)>,
        lost: Option<(usize, TimestampNs)>,
    ) -> Option<TimestampNs> {
        let rtt = DurationNs(self.turn(Side::Orig).0 + self.turn(Side::Resp).0);
        let number = |segment: u64, this: &Self| base.wrapping_add((segment * this.segment).min(bytes) as u32);
        let (mut expected, mut held, mut duplicates, mut again) = (0u64, 0u64, 0, None);
        let mut i = 0;
        while i < arrivals.len() || (lost.is_some() && again.is_none()) {
            if i == arrivals.len() {
                // Too few duplicates: the sender's timer.
                let at =
                    lost.map_or(TimestampNs::ZERO, |(_, last_at)| last_at).after(RETRANSMIT_MIN.max(rtt)).after(rtt);
                again = Some(at);
                arrivals.push((at, lost.map_or(0, |(i, _)| i)));
            }
            let (at, segment) = arrivals[i];
            i += 1;
            held |= 1 << segment;
            let back = at.after(self.turn(receiver)).after(self.dice.secs_between(0.000_01, 0.000_1));
            if segment as u64 != expected {
                let top = 63 - u64::from(held.leading_zeros());
                let mut bottom = top;
                while bottom > expected + 1 && held & (1 << (bottom - 1)) != 0 {
                    bottom -= 1;
                }
                let block = [number(bottom, self), number(top + 1, self)];
                self.draft_ack(back, receiver, number(expected, self), Some(block));
                duplicates += 1;
                if duplicates == 3 && again.is_none() && lost.is_some() {
                    let resent = at.after(rtt).after(secs(0.0001));
                    again = Some(resent);
                    arrivals.push((resent, lost.map_or(0, |(i, _)| i)));
                    arrivals[i..].sort();
                }
                continue;
            }
            while held & (1 << expected) != 0 {
                expected += 1;
            }
            self.half(receiver).unacked += 1;
            let all = number(expected, self) == base.wrapping_add(bytes as u32);
            let waits = self.halves[receiver.index()].unacked < 2 && duplicates == 0;
            if !waits || (all && i == arrivals.len() && duplicates > 0) {
                self.draft_ack(back, receiver, number(expected, self), None);
                self.half(receiver).unacked = 0;
            }
        }
        again
    }

    fn draft_ack(&mut self, at: TimestampNs, side: Side, ack: u32, block: Option<[u32; 2]>) {
        let at = self.in_order(at, side);
        let seq = self.halves[side.index()].next;
        self.drafts.push(Draft { at, side, flags: ACK, seq, ack, block, piece: None });
    }

    /// Turns drafts into packets: clocks and identifications run in the order in which packets pass.
    pub(super) fn flush(&mut self, stage: &mut Stage) {
        let mut drafts = std::mem::take(&mut self.drafts);
        drafts.sort_by_key(|draft| draft.at);
        for draft in drafts.drain(..) {
            let plan = self.header(&draft);
            stage.send(draft.at, plan);
        }
        self.drafts = drafts;
    }

    fn header(&mut self, draft: &Draft) -> Plan {
        let [own, other] = [draft.side.index(), draft.side.other().index()];
        let sent_at = draft.at.before(self.halves[own].party.delay);
        let heard_at = sent_at.before(self.halves[own].party.delay);
        let clock = self.halves[own].clock_base.wrapping_add((sent_at.0 / 1_000_000) as u32);
        self.halves[own].clock_last = clock;
        // What this side last heard of the other's clock: never later than what could have arrived.
        let heard = self.halves[other]
            .clock_base
            .wrapping_add((heard_at.before(self.halves[other].party.delay).0 / 1_000_000) as u32);
        let last = self.halves[other].clock_last;
        let echo = if last != 0 && (last.wrapping_sub(heard) as i32) < 0 { last } else { heard };
        let (agreed, mss) = (self.agreed, self.mss());
        let stack = self.halves[own].party.stack;
        let (options, window) = match (draft.flags & (SYN | ACK), draft.flags & RST) {
            (SYN, _) => (stack.syn_options(mss, clock), stack.first_window),
            (both, _) if both == SYN | ACK => (stack.syn_ack_options(mss, agreed, clock, echo), stack.first_window),
            (_, RST) => (Default::default(), 0),
            _ => (later_options(agreed, clock, echo, draft.block), stack.window(agreed, draft.ack)),
        };
        let transport = Transport::Tcp { seq: draft.seq, ack: draft.ack, flags: draft.flags, window, options };
        let ttl = self.halves[own].party.ttl;
        let mut plan = Plan::new(self.ends[own], self.ends[other], ttl, transport);
        plan.id = match &mut self.halves[own].party.ids {
            // Linux answers a SYN with zero, and counts from there on its own.
            Ids::Connection(_) if draft.flags & (SYN | ACK) == SYN | ACK || draft.flags & RST != 0 => IpId::Fixed(0),
            Ids::Connection(id) => {
                *id = id.wrapping_add(1);
                IpId::Fixed(*id)
            }
            Ids::Host(counter) => *counter,
            Ids::Zero => IpId::Fixed(0),
        };
        plan.flow_label = self.flow_label;
        plan.label = self.label;
        plan.carried = self.carried;
        plan.payload = draft.piece.clone().map(|(source, from, length)| Piece { source, from, length });
        plan
    }
}
