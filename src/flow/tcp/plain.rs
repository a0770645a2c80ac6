//! Plain packets: datagrams, and segments that only carry on.
//! In: what nearly all packets of a capture are, and both ends as they are kept. Out: the ends changed where they are, and what
//! [`advance`](super::advance) would have told of the packet.
//! Bounds: whatever is not plain is left alone and taken the long way, both ends unpacked: SYN, FIN, RST, a window of zero, a
//! hole or what fills one, a repetition, an end that has not begun or has closed, numbers that do not fit.

use super::sides::{Packed, RESP_LAST, Sides};
use super::{ACK, End, FIN, JUMP_MAX, Marks, Order, REPORTED, RST, STATE, SYN, Segment};
use crate::flow::history::Once;
use crate::units::{DurationNs, Side, TimestampNs};

/// What a plain packet meant.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::flow) struct Plain {
    /// Time since its side's packet before; none for the side's first.
    pub(in crate::flow) gap: Option<DurationNs>,
    /// What was usual of its sender before it.
    pub(in crate::flow) ttl_usual: Option<u8>,
    /// A letter for the history.
    pub(in crate::flow) letter: Option<u8>,
    /// Relative sequence number of the first payload byte, and where it lies.
    pub(in crate::flow) payload_at: i64,
    pub(in crate::flow) order: Order,
    /// Whether it is the flow's first packet.
    pub(in crate::flow) is_first: bool,
    /// Whether the handshake is behind at least one side.
    pub(in crate::flow) is_past_handshake: bool,
}

/// When a packet came and how far it had come, to whichever protocol it belongs.
#[derive(Clone, Copy, Debug)]
pub(in crate::flow) struct Sighted {
    pub(in crate::flow) side: Side,
    pub(in crate::flow) ts: TimestampNs,
    pub(in crate::flow) ttl: u8,
    /// The flow's latest packet before it.
    pub(in crate::flow) ts_last: TimestampNs,
}

/// What a packet does to the clocks of both ends.
struct Tick {
    gap: Option<DurationNs>,
    is_first: bool,
    ts_other: u64,
}

impl Sides {
    /// Takes a datagram; `once` is what its side shows with it. None where it is not plain, and then nothing has changed.
    #[inline]
    pub(in crate::flow) fn datagram(&mut self, at: &Sighted, once: Option<Once>) -> Option<Plain> {
        let tick = self.tick(at)?;
        let marks = &mut self.ends[at.side.index()].marks;
        let letter = once.filter(|&once| marks.seen.first(once)).map(|_| b'D');
        let ttl_usual = marks.note_ttl(at.ttl);
        marks.note_spoken();
        self.ts_other = tick.ts_other;
        Some(Plain { gap: tick.gap, ttl_usual, letter, is_first: tick.is_first, ..Plain::default() })
    }

    /// Takes a segment, likewise.
    #[inline]
    pub(in crate::flow) fn segment(&mut self, at: &Sighted, seg: &Segment) -> Option<Plain> {
        let tick = self.tick(at)?;
        let [own, peer] = self.both(at.side);
        let is_plain = seg.flags & (SYN | FIN | RST) == 0 && seg.window > 0;
        if !is_plain || !own.marks.is_running() || !peer.marks.is_running() {
            return None;
        }
        let acked = match seg.flags & ACK {
            0 => peer.acked,
            _ => peer.acked_by(seg.ack)?,
        };
        let next = own.isn.wrapping_add(own.sent);
        let start = seg.seq.wrapping_sub(next) as i32;
        let end = seg.seq.wrapping_add(seg.payload_bytes).wrapping_sub(next) as i32;
        let payload_at = i64::from(own.sent) + i64::from(start);
        let is_gap = end > 0 && start > 0;
        let is_repeat = end <= 0 && seg.payload_bytes > 0;
        if is_gap || is_repeat {
            return None;
        }
        let sent = own.sent.checked_add(end.max(0) as u32)?;
        let overlaps = end > 0 && start < 0 && seg.payload_bytes > 1;
        // Nothing has changed so far, and all of it does now.
        (peer.acked, own.sent) = (acked, sent);
        let letter = match seg.payload_bytes {
            0 if seg.flags & ACK == 0 => None,
            0 => own.marks.seen.first(Once::Ack).then_some(b'A'),
            _ => own.marks.seen.first(Once::Payload).then_some(b'D'),
        };
        let ttl_usual = own.marks.note_ttl(at.ttl);
        own.marks.note_spoken();
        let is_past_handshake = own.marks.is_past_handshake() || peer.marks.is_past_handshake();
        self.ts_other = tick.ts_other;
        Some(Plain {
            gap: tick.gap,
            ttl_usual,
            letter,
            payload_at,
            order: if overlaps { Order::Repeat } else { Order::Next },
            is_first: tick.is_first,
            is_past_handshake,
        })
    }

    /// The packet's sender, and its peer.
    fn both(&mut self, side: Side) -> [&mut Packed; 2] {
        let [orig, resp] = &mut self.ends;
        match side {
            Side::Orig => [orig, resp],
            Side::Resp => [resp, orig],
        }
    }

    /// None where the ends are kept elsewhere, or their times do not fit.
    #[inline]
    fn tick(&self, at: &Sighted) -> Option<Tick> {
        if self.is_elsewhere() {
            return None;
        }
        let spoke = self.ends.each_ref().map(|end| end.marks.has_spoken());
        let (latest, other) = (at.ts_last.0, self.ts_other & !RESP_LAST);
        let [orig, resp] = if self.ts_other & RESP_LAST == 0 { [latest, other] } else { [other, latest] };
        let mut last = [if spoke[0] { orig } else { 0 }, if spoke[1] { resp } else { 0 }];
        let own = &mut last[at.side.index()];
        let gap = spoke[at.side.index()].then(|| at.ts.since(TimestampNs(*own)));
        *own = (*own).max(at.ts.0);
        let latest = latest.max(at.ts.0);
        let ts_other = match last {
            [orig, resp] if orig == latest && resp & RESP_LAST == 0 => resp,
            [orig, resp] if orig != latest && resp == latest && orig & RESP_LAST == 0 => orig | RESP_LAST,
            _ => return None,
        };
        Some(Tick { gap, is_first: spoke == [false; 2], ts_other })
    }
}

impl Packed {
    /// The highest number acknowledged once the peer acknowledges `ack`; none where it does not fit.
    #[inline]
    fn acked_by(&self, ack: u32) -> Option<u32> {
        let delta = ack.wrapping_sub(self.isn.wrapping_add(self.acked)) as i32;
        let is_broken = ack == 0 && delta > JUMP_MAX;
        match i64::from(self.acked) + i64::from(delta) {
            to if to < 0 || is_broken => Some(self.acked),
            to => u32::try_from(to).ok().map(|to| to.max(self.acked)),
        }
    }
}

impl Marks {
    /// Whether the end has begun and not closed, so that a segment without SYN, FIN and RST leaves its state.
    #[inline]
    fn is_running(self) -> bool {
        let state = self.states & STATE;
        (End::SynSent as u8..=End::Established as u8).contains(&state) && self.states & REPORTED == 0
    }

    /// Whether an end that runs got past its handshake.
    fn is_past_handshake(self) -> bool {
        self.states & STATE > End::SynSent as u8
    }
}

const _: () = assert!(
    End::SynSent as u8 + 1 == End::Partial as u8 && End::Partial as u8 + 1 == End::Established as u8,
    "what runs stands side by side"
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sides::tests::end;
    use super::*;
    use crate::flow::history::History;
    use crate::flow::tcp::{self, Endpoint};

    /// What the long way makes of a packet: both ends, what it told, and the letters.
    fn long_way(mut ends: [Endpoint; 2], at: &Sighted, seg: Option<&Segment>) -> ([Endpoint; 2], Plain, History) {
        let (mut history, is_first) = (History::default(), !ends.iter().any(Endpoint::has_spoken));
        let own = &mut ends[at.side.index()];
        let gap = own.has_spoken().then(|| at.ts.since(own.ts_last));
        own.ts_last = own.ts_last.max(at.ts);
        let ttl_usual = own.note_ttl(at.ttl);
        own.note_spoken();
        let mut plain = Plain { gap, ttl_usual, is_first, ..Plain::default() };
        match seg {
            None => tcp::note_datagram(own, at.side, &mut history),
            Some(seg) => {
                let step = tcp::advance(&mut ends, at.side, seg, &mut history);
                assert!(!step.over && !step.zero_window && tcp::is_any_side_open(&ends) && !tcp::is_attempt(&ends));
                (plain.payload_at, plain.order) = (step.payload_at, step.order);
                plain.is_past_handshake = tcp::is_past_handshake(&ends);
            }
        }
        (ends, plain, history)
    }

    /// Numbers near an end's own, so that segments follow, overlap and skip.
    fn near() -> impl Strategy<Value = u32> {
        prop_oneof![6 => Just(0u32), 2 => 0u32..4, 2 => (0u32..4).prop_map(|n| n.wrapping_neg()), 1 => any::<u32>()]
    }

    fn check(ends: [Endpoint; 2], at: &Sighted, seg: Option<&Segment>) -> Result<bool, TestCaseError> {
        let (mut sides, mut history) = (Sides::default(), History::default());
        sides.keep(&ends, at.ts_last, &mut history);
        let before = sides.whole(at.ts_last, &history);
        let told = match seg {
            None => sides.datagram(at, Some(Once::Payload)),
            Some(seg) => sides.segment(at, seg),
        };
        let Some(told) = told else {
            prop_assert_eq!(sides.whole(at.ts_last, &history), before, "what is not plain changes nothing");
            return Ok(false);
        };
        let (wanted_ends, wanted, letters) = long_way(before, at, seg);
        prop_assert_eq!(sides.whole(at.ts_last.max(at.ts), &history), wanted_ends);
        let all = |plain: &Plain| {
            (plain.gap, plain.ttl_usual, plain.payload_at, plain.order, plain.is_first, plain.is_past_handshake)
        };
        prop_assert_eq!(all(&told), all(&wanted));
        if let Some(letter) = told.letter {
            history.note(at.side, letter);
        }
        prop_assert_eq!(history.letters(), letters.letters());
        Ok(true)
    }

    proptest! {
        #[test]
        fn the_short_way_is_the_long_way(
            (orig, resp) in (end(), end()),
            (seq, ack) in (near(), near()),
            payload_bytes in prop_oneof![0u32..3, 0u32..2000],
            flags in prop_oneof![4 => Just(ACK), 1 => any::<u8>()],
            window in 0u16..4,
            (by_resp, late, ttl) in (any::<bool>(), any::<bool>(), 60u8..64),
        ) {
            let side = if by_resp { Side::Resp } else { Side::Orig };
            let ts_last = orig.ts_last.max(resp.ts_last);
            let ts = TimestampNs(if late { ts_last.0 / 2 } else { ts_last.0.saturating_add(3) });
            let at = Sighted { side, ts, ttl, ts_last };
            let [own, peer] = if by_resp { [&resp, &orig] } else { [&orig, &resp] };
            let (seq, ack) = (own.next().wrapping_add(seq), peer.next().wrapping_add(ack));
            check([orig, resp], &at, Some(&Segment { seq, ack, window, flags, payload_bytes }))?;
            check([orig, resp], &at, None)?;
        }
    }

    #[test]
    fn what_nearly_all_packets_are_is_plain() {
        let (mut ends, mut history) = ([Endpoint::default(); 2], History::default());
        let packet = |seq, ack, flags, payload_bytes| Segment { seq, ack, window: 9, flags, payload_bytes };
        let steps = [
            (Side::Orig, packet(100, 0, SYN, 0), false),
            (Side::Resp, packet(900, 101, SYN | ACK, 0), false),
            (Side::Orig, packet(101, 901, ACK, 0), true),
            (Side::Orig, packet(101, 901, ACK, 50), true),
            (Side::Resp, packet(901, 151, ACK, 0), true),
            (Side::Resp, packet(901, 151, ACK, 10), true),
            (Side::Orig, packet(101, 911, ACK, 50), false),
            (Side::Orig, packet(161, 911, ACK, 50), false),
            (Side::Orig, packet(151, 911, ACK | FIN, 0), false),
        ];
        for (n, (side, seg, wanted)) in (1..).zip(steps) {
            let at = Sighted { side, ts: TimestampNs(n), ttl: 64, ts_last: TimestampNs(n - 1) };
            assert_eq!(check(ends, &at, Some(&seg)).expect("the same"), wanted, "packet {n}");
            if n <= 6 {
                let own = &mut ends[side.index()];
                own.ts_last = at.ts;
                own.note_ttl(64);
                own.note_spoken();
                tcp::advance(&mut ends, side, &seg, &mut history);
            }
        }
    }
}
