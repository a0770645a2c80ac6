//! TCP as a bystander sees it: what each side has sent, what was acknowledged, how far the connection has come.
//! In: segments in the order of capture. Out: states with Zeek's meanings and where each segment lies in its stream.
//! Bounds: 64 bytes a side; no reassembly: one hole is remembered to tell late segments from repeated ones.
//! Sequence numbers: relative to the ISN (the SYN is 0, the first byte 1), in 64 bits, so that nothing wraps (RFC 9293
//! section 3.4). A side met midway is treated as if its SYN had come just before.

pub(super) use self::plain::{Plain, Sighted};
pub(super) use self::sides::Sides;
use super::history::{History, Once, Scaled, Seen};
use super::row::ConnState;
use crate::packet::columns::{PacketRow, TcpFlags};
use crate::units::{Side, TimestampNs};

mod plain;
mod sides;

pub(super) const FIN: TcpFlags = 1;
pub(super) const SYN: TcpFlags = 2;
pub(super) const RST: TcpFlags = 4;
pub(super) const PSH: TcpFlags = 8;
pub(super) const ACK: TcpFlags = 16;

/// A SYN or RST whose number lies further from the last one than this is not believed (1 MiB, as Zeek has it).
const JUMP_MAX: i32 = 1 << 20;

/// How far one side has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum End {
    /// Nothing sent yet.
    #[default]
    Inactive,
    /// Sent a SYN.
    SynSent,
    /// Sent payload or ACKs, but no SYN was seen.
    Partial,
    /// Handshake done, as far as this side goes.
    Established,
    /// Sent a FIN.
    Closed,
    /// Sent a RST.
    Reset,
}

/// One side of a connection, as a packet is counted with it; between packets it is packed ([`Sides`]). Other protocols use the
/// first and last fields only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Its latest packet.
    pub(super) ts_last: TimestampNs,
    /// One past the highest sequence number sent.
    sent: u64,
    /// The highest that the other side acknowledged.
    acked: u64,
    /// Largest stream length seen so far: Zeek's `orig_bytes`.
    pub(super) stream_bytes: u64,
    /// As much of it as earlier rows told.
    pub(super) stream_told: u64,
    /// The newest of its segments in the evidence pool, plus one; zero for none.
    pub(super) evidence: u64,
    isn: u32,
    /// Sequence numbers skipped and not yet filled: the latest hole, empty where both are equal.
    hole: [u32; 2],
    pub(super) marks: Marks,
}

/// What of a side takes a byte or less. It is kept between packets as it is here: to take it apart at every packet cost a tenth
/// of the time of 64-byte packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Marks {
    /// From below: state, the one before, whether its close was told, whether its SYN fixed the ISN; three, three, one and one
    /// bits.
    states: u8,
    /// What it has shown, and above that whether it has sent any packet that counts.
    seen: Seen,
    fins: u8,
    /// The TTL that most of its packets so far carried (majority vote of Boyer and Moore), and its lead.
    ttl_usual: u8,
    ttl_lead: u8,
    /// Conflicts told of this side.
    pub(super) conflicts: u8,
}

impl Marks {
    /// Whether the side has sent anything that counts.
    #[inline]
    fn has_spoken(self) -> bool {
        self.seen.0 & SPOKE != 0
    }

    /// It sends a packet that counts.
    fn note_spoken(&mut self) {
        self.seen.0 |= SPOKE;
    }

    /// Counts a packet's TTL; returns what was usual before it.
    #[inline]
    fn note_ttl(&mut self, ttl: u8) -> Option<u8> {
        let usual = self.has_spoken().then_some(self.ttl_usual);
        match self.ttl_lead {
            0 => (self.ttl_usual, self.ttl_lead) = (ttl, 1),
            _ if self.ttl_usual == ttl => self.ttl_lead = self.ttl_lead.saturating_add(1),
            lead => self.ttl_lead = lead - 1,
        }
        usual
    }

    /// Whether its SYN was seen, so that stream offsets are exact.
    pub(super) fn is_anchored(self) -> bool {
        self.states & ANCHORED != 0
    }
}

/// Bits of a state.
const STATE_BITS: u32 = 3;
const STATE: u8 = (1 << STATE_BITS) - 1;
const REPORTED: u8 = 1 << (2 * STATE_BITS);
const ANCHORED: u8 = REPORTED << 1;
/// In `seen`, above what [`Once`] needs.
const SPOKE: u8 = 1 << 7;

/// States by their numbers; the last two are nobody's, so that looking one up needs no check.
const END_OF: [End; 1 << STATE_BITS] = [
    End::Inactive,
    End::SynSent,
    End::Partial,
    End::Established,
    End::Closed,
    End::Reset,
    End::Inactive,
    End::Inactive,
];

/// What the TCP header and the IP length say of one segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) window: u16,
    pub(super) flags: TcpFlags,
    pub(super) payload_bytes: u32,
}

impl Segment {
    /// From a packet's columns.
    pub(super) fn of(row: &PacketRow) -> Self {
        Self {
            seq: row.tcp_seq,
            ack: row.tcp_ack,
            window: row.tcp_window,
            flags: row.tcp_flags,
            payload_bytes: row.payload_bytes,
        }
    }

    fn has(&self, flag: TcpFlags) -> bool {
        self.flags & flag != 0
    }

    /// Sequence numbers it takes: SYN and FIN count one each, payload of a RST counts nothing.
    fn length(&self) -> u32 {
        let control = u32::from(self.has(SYN)) + u32::from(self.has(FIN));
        match self.has(RST) {
            true => control,
            false => control.saturating_add(self.payload_bytes),
        }
    }
}

/// Where a segment lies relative to what its sender sent before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// It begins where the last one ended, or takes no room.
    #[default]
    Next,
    /// It skips bytes that are still missing.
    Ahead,
    /// It fills a hole.
    Late,
    /// It repeats bytes sent before.
    Repeat,
}

impl Order {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [Self; 4] = [Self::Next, Self::Ahead, Self::Late, Self::Repeat];
}

/// What one segment meant.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Step {
    /// Relative sequence number of the first payload byte; below 1 is before the stream.
    pub(super) payload_at: i64,
    /// Where it lies.
    pub(super) order: Order,
    /// Whether it says window zero while that means something.
    pub(super) zero_window: bool,
    /// Whether the connection is now over: both sides closed, or one reset, or the only one known closed.
    pub(super) over: bool,
}

impl Endpoint {
    /// Distance from one past the highest sequence number sent to `seq`, the short way round.
    fn ahead(&self, seq: u32) -> i32 {
        seq.wrapping_sub(self.isn.wrapping_add(self.sent as u32)) as i32
    }

    fn relative(&self, seq: u32) -> i64 {
        (self.sent as i64).wrapping_add(i64::from(self.ahead(seq)))
    }

    fn move_to(&mut self, state: End) {
        let states = &mut self.marks.states;
        if *states & STATE != state as u8 {
            *states = *states & !(STATE | STATE << STATE_BITS) | (*states & STATE) << STATE_BITS | state as u8;
        }
    }

    /// How far it has come.
    #[inline]
    pub(super) fn state(&self) -> End {
        END_OF[usize::from(self.marks.states & STATE)]
    }

    /// How far it had come before that.
    fn before(&self) -> End {
        END_OF[usize::from(self.marks.states >> STATE_BITS & STATE)]
    }

    /// Whether its close was told.
    fn is_reported(&self) -> bool {
        self.marks.states & REPORTED != 0
    }

    /// Whether it has sent anything that counts.
    #[inline]
    pub(super) fn has_spoken(&self) -> bool {
        self.marks.has_spoken()
    }

    /// It sends a packet that counts.
    pub(super) fn note_spoken(&mut self) {
        self.marks.note_spoken();
    }

    /// Whether it got past its handshake.
    fn is_past_handshake(&self) -> bool {
        !matches!(self.state(), End::Inactive | End::SynSent)
    }

    /// Counts a packet's TTL; returns what was usual before it.
    pub(super) fn note_ttl(&mut self, ttl: u8) -> Option<u8> {
        self.marks.note_ttl(ttl)
    }

    /// The sequence number that would follow what it sent.
    #[cfg(test)]
    fn next(&self) -> u32 {
        self.isn.wrapping_add(self.sent as u32)
    }

    fn begin_at(&mut self, seg: &Segment) {
        self.marks.states = self.marks.states & !ANCHORED | if seg.has(SYN) { ANCHORED } else { 0 };
        self.acked = 0;
        self.hole = [0; 2];
        // Met midway: one before its first byte, as if the SYN had stood there.
        self.isn = if seg.has(SYN) { seg.seq } else { seg.seq.wrapping_sub(1) };
        self.sent = 1;
    }

    /// Sets or corrects the ISN before anything else is made of the segment.
    fn anchor(&mut self, seg: &Segment) {
        match self.state() {
            End::Inactive => self.begin_at(seg),
            End::SynSent | End::Established | End::Partial if seg.has(SYN) && seg.seq != self.isn => self.begin_at(seg),
            // A forged RST may have come before the first SYN.
            End::Reset if seg.has(SYN) && self.before() == End::Inactive => self.begin_at(seg),
            _ => {}
        }
    }

    /// Takes an acknowledgement by the other side.
    fn take_ack(&mut self, seg: &Segment) -> Option<u64> {
        let delta = seg.ack.wrapping_sub(self.isn.wrapping_add(self.acked as u32)) as i32;
        let acked = (self.acked as i64).wrapping_add(i64::from(delta));
        let broken = seg.ack == 0 && delta > JUMP_MAX;
        if acked < 0 || seg.has(RST) || broken {
            return None;
        }
        self.acked = self.acked.max(acked as u64);
        Some(acked as u64)
    }

    /// Moves the end of what was sent and tells where the segment lies.
    fn take_sequence(&mut self, seg: &Segment) -> Order {
        let start = self.ahead(seg.seq.wrapping_add(u32::from(seg.has(SYN))));
        let end = self.ahead(seg.seq.wrapping_add(seg.length()));
        let far = !(-JUMP_MAX..=JUMP_MAX).contains(&end);
        if (seg.has(SYN) || seg.has(RST)) && far {
            return Order::Next;
        }
        let sent_before = self.sent as u32;
        if seg.has(FIN) && self.sent == 1 {
            // Only SYN and FIN of a large transfer were captured: the distance may exceed 2 GiB.
            self.sent = self.sent.saturating_add(u64::from(end as u32));
        } else if self.state() == End::Reset {
            return Order::Next;
        } else if end > 0 {
            self.sent = self.sent.saturating_add(end as u64);
        } else if seg.payload_bytes > 0 {
            return self.late_or_repeat(seg);
        } else {
            return Order::Next;
        }
        if start > 0 {
            let missing_from = if self.hole[0] == self.hole[1] { sent_before } else { self.hole[0] };
            self.hole = [missing_from, sent_before.wrapping_add(start as u32)];
            return Order::Ahead;
        }
        if start < 0 && seg.payload_bytes > 1 { Order::Repeat } else { Order::Next }
    }

    /// A segment that ends inside what was sent: does it fill the hole, or say again what was said?
    fn late_or_repeat(&mut self, seg: &Segment) -> Order {
        let from = seg.seq.wrapping_sub(self.isn);
        let to = from.wrapping_add(seg.payload_bytes);
        let [hole_from, hole_to] = self.hole;
        let inside = |at: u32| at.wrapping_sub(hole_from) <= hole_to.wrapping_sub(hole_from);
        if hole_from == hole_to || !inside(from) || !inside(to) {
            return Order::Repeat;
        }
        if from == hole_from {
            self.hole[0] = to;
        } else if to == hole_to {
            self.hole[1] = from;
        }
        Order::Late
    }

    /// Stream length by sequence numbers, SYN and FIN taken off.
    fn note_stream_bytes(&mut self) {
        self.stream_bytes = self.stream_bytes.max(self.length());
    }

    /// The length by what was sent and acknowledged of late: less than before only where a SYN began it anew.
    #[inline]
    fn length(&self) -> u64 {
        let syn_and_fin = 1 + u64::from(self.marks.fins > 0);
        self.sent.max(self.acked).saturating_sub(syn_and_fin)
    }
}

/// Notes a datagram of a protocol without states.
pub(super) fn note_datagram(own: &mut Endpoint, side: Side, history: &mut History) {
    if own.marks.seen.first(Once::Payload) {
        history.note(side, b'D');
    }
}

/// Whether a SYN begins a new connection on a tuple that has one: any once both sides closed; before, one with another ISN.
pub(super) fn begins_anew(sides: &[Endpoint; 2], seg: &Segment) -> bool {
    if !seg.has(SYN) {
        return false;
    }
    let [orig, resp] = sides;
    let claimed = match seg.has(ACK) {
        true if orig.state() != End::Inactive => return false,
        true => resp,
        false => orig,
    };
    let both_closed = sides.iter().all(Endpoint::is_reported);
    both_closed || claimed.isn != seg.seq
}

/// Whether one side still has to close: until then the connection's time runs.
pub(super) fn is_any_side_open(sides: &[Endpoint; 2]) -> bool {
    sides.iter().any(|side| !side.is_reported())
}

/// Whether a SYN waits for any answer at all.
pub(super) fn is_attempt(sides: &[Endpoint; 2]) -> bool {
    sides[0].state() == End::SynSent && sides[1].state() == End::Inactive
}

/// Whether the handshake is behind at least one side.
pub(super) fn is_past_handshake(sides: &[Endpoint; 2]) -> bool {
    sides.iter().any(Endpoint::is_past_handshake)
}

/// Takes one segment.
pub(super) fn advance(sides: &mut [Endpoint; 2], side: Side, seg: &Segment, history: &mut History) -> Step {
    let [orig, resp] = sides;
    let (own, peer) = match side {
        Side::Orig => (orig, resp),
        Side::Resp => (resp, orig),
    };
    own.anchor(seg);
    let at = own.relative(seg.seq);
    note_flags(own, side, seg, at, history);
    let zero_window = seg.window == 0 && !seg.has(RST) && peer.state() != End::Closed && own.state() != End::Reset;
    if zero_window {
        history.note_scaled(side, Scaled::ZeroWindow);
    }
    if seg.has(FIN) {
        own.marks.fins = own.marks.fins.saturating_add(1);
    }
    let mut acked = None;
    if seg.has(ACK) {
        if peer.state() == End::Inactive {
            peer.isn = seg.ack.wrapping_sub(1);
            (peer.sent, peer.acked) = (0, 0);
        } else {
            acked = peer.take_ack(seg);
        }
    }
    let ended_before = own.ahead(seg.seq.wrapping_add(seg.length())) <= 0;
    let order = own.take_sequence(seg);
    if ended_before && matches!(order, Order::Late | Order::Repeat) {
        history.note_scaled(side, Scaled::Retransmission);
    }
    let closes = next_state(own, peer, side, seg);
    if let Some(acked) = acked {
        note_gap(peer, side.other(), acked, history);
    }
    own.note_stream_bytes();
    peer.note_stream_bytes();
    let over = closes && close(own, peer);
    Step { payload_at: at + i64::from(seg.has(SYN)), order, zero_window, over }
}

fn note_flags(own: &mut Endpoint, side: Side, seg: &Segment, at: i64, history: &mut History) {
    match (seg.has(SYN), seg.has(FIN), seg.has(RST)) {
        (false, false, false) => {
            if seg.payload_bytes > 0 {
                if own.marks.seen.first(Once::Payload) {
                    history.note(side, b'D');
                }
            } else if seg.has(ACK) && own.marks.seen.first(Once::Ack) {
                history.note(side, b'A');
            }
        }
        (true, false, false) => {
            let letter = if seg.has(ACK) { b'H' } else { b'S' };
            history.note_control(side, 0, letter, own.marks.seen.first(Once::Syn), at as u32);
        }
        (false, true, false) => {
            let end = (at as u32).wrapping_add(seg.payload_bytes);
            history.note_control(side, 1, b'F', own.marks.seen.first(Once::Fin), end);
        }
        (false, false, true) => history.note_control(side, 2, b'R', own.marks.seen.first(Once::Rst), at as u32),
        (_, true, true) => {
            if own.marks.seen.first(Once::FinRst) {
                history.note(side, b'I');
            }
        }
        (true, _, _) => {
            if own.marks.seen.first(Once::ManyFlags) {
                history.note(side, b'Q');
            }
        }
    }
}

/// An acknowledgement of bytes that were never captured shows a gap.
fn note_gap(peer: &mut Endpoint, side: Side, acked: u64, history: &mut History) {
    let acked = acked as u32;
    let [from, to] = peer.hole;
    if from != to && acked.wrapping_sub(from) as i32 > 0 {
        peer.hole = [to; 2];
        history.note_scaled(side, Scaled::Gap);
    }
}

/// Moves the sender's state; true where the segment closes its side.
fn next_state(own: &mut Endpoint, peer: &mut Endpoint, side: Side, seg: &Segment) -> bool {
    match own.state() {
        End::Inactive => leave_inactive(own, peer, side, seg),
        End::SynSent => {
            if seg.has(FIN) {
                own.move_to(End::Closed);
            }
            if seg.has(RST) {
                own.move_to(End::Reset);
            }
            seg.has(FIN) || seg.has(RST)
        }
        End::Established | End::Partial => {
            let late_syn = own.state() == End::Partial && peer.state() == End::Inactive;
            if late_syn && seg.has(SYN) && !seg.has(ACK) {
                own.move_to(End::SynSent);
            }
            if seg.has(RST) {
                own.move_to(End::Reset);
            } else if seg.has(FIN) {
                own.move_to(End::Closed);
                // FIN and then RST of the other side was a normal close after all.
                if peer.state() == End::Reset && peer.before() == End::Closed {
                    peer.move_to(End::Closed);
                }
            }
            seg.has(FIN) || seg.has(RST)
        }
        End::Closed => {
            let reset = seg.has(RST) && peer.state() != End::Closed;
            if reset {
                own.move_to(End::Reset);
            }
            reset && !own.is_reported()
        }
        End::Reset => false,
    }
}

fn leave_inactive(own: &mut Endpoint, peer: &mut Endpoint, side: Side, seg: &Segment) -> bool {
    if seg.has(SYN) {
        match side {
            Side::Orig => own.move_to(End::SynSent),
            Side::Resp => {
                if peer.state() == End::SynSent {
                    peer.move_to(End::Established);
                }
                own.move_to(End::Established);
            }
        }
    }
    if seg.has(FIN) {
        own.move_to(End::Closed);
    }
    if seg.has(RST) {
        own.move_to(End::Reset);
    }
    if own.state() == End::Inactive {
        let early_ack = side == Side::Resp && seg.payload_bytes == 0 && peer.state() == End::SynSent;
        if seg.has(ACK) && peer.state() == End::Established {
            // Its SYN was missed, but the answer to it was not.
            own.move_to(End::Established);
        } else if !early_ack {
            own.move_to(End::Partial);
        }
    }
    seg.has(FIN) || seg.has(RST)
}

/// Reports a side closed; true where that ends the connection.
fn close(own: &mut Endpoint, peer: &Endpoint) -> bool {
    own.marks.states |= REPORTED;
    own.state() == End::Reset || peer.is_reported() || peer.state() == End::Inactive
}

/// The connection's state, as Zeek names it.
pub(super) fn conn_state(sides: &[Endpoint; 2], history: &History) -> ConnState {
    let [orig, resp] = sides;
    let is_vague = |end: End| matches!(end, End::Inactive | End::Partial);
    match (orig.state(), resp.state()) {
        (End::SynSent, End::Reset) => ConnState::REJ,
        (End::Reset, End::Reset) if orig.stream_bytes == 0 && resp.stream_bytes == 0 => ConnState::REJ,
        (o, End::Reset) if is_vague(o) => ConnState::RSTRH,
        (_, End::Reset) => ConnState::RSTR,
        (End::Reset, r) if is_vague(r) && history.is_syn_then_reset() => ConnState::RSTOS0,
        (End::Reset, r) if is_vague(r) => ConnState::OTH,
        (End::Reset, _) => ConnState::RSTO,
        (End::Closed, End::Closed) => ConnState::SF,
        (End::Closed, r) if is_vague(r) => ConnState::SH,
        (End::Closed, _) => ConnState::S2,
        (o, End::Closed) if is_vague(o) => ConnState::SHR,
        (_, End::Closed) => ConnState::S3,
        (End::SynSent, End::Inactive) => ConnState::S0,
        (End::Established, End::Established) => ConnState::S1,
        _ => ConnState::OTH,
    }
}
