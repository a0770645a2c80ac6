//! Sides: both ends of a flow as its record keeps them, one cache line.
//! In: what TCP knows of either end once a packet is counted. Out: the same, for the next packet.
//! Bounds: numbers of 32 bits, which hold streams of 4 GiB, no hole, and no stream that was begun anew before its length was
//! told. A flow that has more is kept whole with what few flows have.

use super::{Closing, End, Endpoint, Spoke, SynSeen};
use crate::flow::history::{History, Seen};
use crate::units::TimestampNs;

/// Both ends, packed.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub(in crate::flow) struct Sides {
    /// The latest packet of the end that was silent for longer; that of the other is the flow's. Above it [`RESP_LAST`].
    ts_other: u64,
    ends: [Packed; 2],
}

const _: () = assert!(size_of::<Sides>() == 64);

/// Set where the responder sent the flow's latest packet; times of capture reach it in the year 2262.
const RESP_LAST: u64 = 1 << 63;
/// `states` of the originator where the flow is kept whole elsewhere.
const ELSEWHERE: u8 = u8::MAX;

/// One end.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
struct Packed {
    sent: u32,
    acked: u32,
    /// The stream's length is the greater of this and what `sent` and `acked` say.
    stream_told: u32,
    isn: u32,
    evidence: u32,
    evidence_high: u16,
    /// From below: state, the one before, whether its close was told, whether its SYN was seen; three, three, one and one bits.
    states: u8,
    /// What it has shown, and whether it spoke.
    seen: u8,
    fins: u8,
    ttl_usual: u8,
    ttl_lead: u8,
    conflicts: u8,
}

impl Sides {
    /// Both ends; `ts_last` is the flow's latest packet.
    #[inline]
    pub(in crate::flow) fn whole(&self, ts_last: TimestampNs, history: &History) -> [Endpoint; 2] {
        if self.ends[0].states == ELSEWHERE {
            let elsewhere = history.rare.as_ref().and_then(|rare| rare.sides.as_deref());
            return *elsewhere.expect("it was put there when it did not fit");
        }
        let last = usize::from(self.ts_other & RESP_LAST != 0);
        let other = TimestampNs(self.ts_other & !RESP_LAST);
        std::array::from_fn(|at| self.ends[at].whole(if at == last { ts_last } else { other }))
    }

    /// Keeps both ends.
    #[inline]
    pub(in crate::flow) fn keep(&mut self, whole: &[Endpoint; 2], ts_last: TimestampNs, history: &mut History) {
        match Self::of(whole, ts_last) {
            Some(sides) => *self = sides,
            None => {
                self.ends[0].states = ELSEWHERE;
                match &mut history.rare_mut().sides {
                    Some(sides) => **sides = *whole,
                    none => *none = Some(Box::new(*whole)),
                }
            }
        }
    }

    /// None where something does not fit.
    fn of(whole: &[Endpoint; 2], ts_last: TimestampNs) -> Option<Self> {
        let [orig, resp] = whole;
        let (mark, other) = match (orig.ts_last == ts_last, resp.ts_last == ts_last) {
            (true, _) => (0, resp.ts_last.0),
            (false, true) => (RESP_LAST, orig.ts_last.0),
            (false, false) => return None,
        };
        if other & RESP_LAST != 0 {
            return None;
        }
        Some(Self { ts_other: other | mark, ends: [Packed::of(orig)?, Packed::of(resp)?] })
    }
}

/// Bits of a state.
const STATE_BITS: u32 = 3;
const STATE: u8 = (1 << STATE_BITS) - 1;
const REPORTED: u8 = 1 << (2 * STATE_BITS);
const SYN_SEEN: u8 = REPORTED << 1;
/// In `seen`, above what [`Seen`] needs.
const SPOKE: u8 = 1 << 7;

impl Packed {
    #[inline]
    fn of(end: &Endpoint) -> Option<Self> {
        let mark = |mark: u8, is_set: bool| if is_set { mark } else { 0 };
        let is_whole = end.hole[0] == end.hole[1];
        let wide = end.sent | end.acked | end.stream_told;
        // Of an end that was silent so far, whoever was later, no time is kept.
        let is_timed = end.spoke == Spoke::Yes || end.ts_last == TimestampNs::ZERO;
        let is_told = end.stream_bytes == end.length().max(end.stream_told);
        if wide > u64::from(u32::MAX)
            || end.evidence >> (u32::BITS + u16::BITS) > 0
            || !is_whole
            || !is_told
            || !is_timed
        {
            return None;
        }
        Some(Self {
            sent: end.sent as u32,
            acked: end.acked as u32,
            stream_told: end.stream_told as u32,
            isn: end.isn,
            evidence: end.evidence as u32,
            evidence_high: (end.evidence >> u32::BITS) as u16,
            states: end.state as u8
                | (end.before as u8) << STATE_BITS
                | mark(REPORTED, end.closed == Closing::Reported)
                | mark(SYN_SEEN, end.syn == SynSeen::Yes),
            seen: end.seen.0 | mark(SPOKE, end.spoke == Spoke::Yes),
            fins: end.fins,
            ttl_usual: end.ttl_usual,
            ttl_lead: end.ttl_lead,
            conflicts: end.conflicts,
        })
    }

    #[inline]
    fn whole(&self, ts_last: TimestampNs) -> Endpoint {
        let spoke = if self.seen & SPOKE == 0 { Spoke::No } else { Spoke::Yes };
        let end = Endpoint {
            ts_last: if spoke == Spoke::Yes { ts_last } else { TimestampNs::ZERO },
            sent: self.sent.into(),
            acked: self.acked.into(),
            stream_bytes: 0,
            stream_told: self.stream_told.into(),
            evidence: u64::from(self.evidence_high) << u32::BITS | u64::from(self.evidence),
            isn: self.isn,
            hole: [0; 2],
            state: END_OF[usize::from(self.states & STATE)],
            before: END_OF[usize::from(self.states >> STATE_BITS & STATE)],
            closed: if self.states & REPORTED == 0 { Closing::Open } else { Closing::Reported },
            seen: Seen(self.seen & !SPOKE),
            syn: if self.states & SYN_SEEN == 0 { SynSeen::No } else { SynSeen::Yes },
            fins: self.fins,
            ttl_usual: self.ttl_usual,
            ttl_lead: self.ttl_lead,
            conflicts: self.conflicts,
            spoke,
        };
        Endpoint { stream_bytes: end.length().max(end.stream_told), ..end }
    }
}

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![8 => 0u64..1 << 32, 1 => (1u64 << 32) - 1..(1 << 32) + 1, 1 => any::<u64>()]
    }

    fn end() -> impl Strategy<Value = Endpoint> {
        let numbers = (number(), number(), number(), prop_oneof![9 => number(), 1 => 1u64 << 47..1 << 49]);
        let hole = prop_oneof![9 => Just([0u32; 2]), 1 => any::<[u32; 2]>()];
        let times = prop_oneof![9 => 0u64..3, 1 => any::<u64>()];
        let stream = prop_oneof![9 => Just(None), 1 => number().prop_map(Some)];
        (times, numbers, stream, any::<[u8; 7]>(), any::<[bool; 3]>(), any::<u32>(), hole).prop_map(
            |(ts, (sent, acked, stream_told, evidence), stream, bytes, marks, isn, hole)| {
                let length = sent.max(acked).saturating_sub(1 + u64::from(bytes[3] > 0)).max(stream_told);
                Endpoint {
                    ts_last: TimestampNs(if marks[2] || ts > 2 { ts } else { 0 }),
                    sent,
                    acked,
                    stream_bytes: stream.unwrap_or(length),
                    stream_told,
                    evidence,
                    isn,
                    hole,
                    state: END_OF[usize::from(bytes[0] % 6)],
                    before: END_OF[usize::from(bytes[1] % 6)],
                    closed: if marks[0] { Closing::Reported } else { Closing::Open },
                    seen: Seen(bytes[2] & !SPOKE),
                    syn: if marks[1] { SynSeen::Yes } else { SynSeen::No },
                    fins: bytes[3],
                    ttl_usual: bytes[4],
                    ttl_lead: bytes[5],
                    conflicts: bytes[6],
                    spoke: if marks[2] { Spoke::Yes } else { Spoke::No },
                }
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_kept_is_what_was_there(steps in prop::collection::vec((end(), end(), 0u64..4), 1..6)) {
            // One record over several packets: what did not fit once must not come back later.
            let (mut sides, mut history) = (Sides::default(), History::default());
            for (orig, resp, ahead) in steps {
                let whole = [orig, resp];
                let ts_last = match ahead {
                    0 => orig.ts_last.max(resp.ts_last).max(TimestampNs(1)),
                    _ => orig.ts_last.max(resp.ts_last),
                };
                sides.keep(&whole, ts_last, &mut history);
                prop_assert_eq!(sides.whole(ts_last, &history), whole);
            }
        }
    }

    #[test]
    fn a_side_that_was_silent_so_far_has_no_time_of_the_other() {
        // The responder was met first; what the originator sends then may bear an earlier time, and has no gap before it.
        let sides = Sides::default();
        let [orig, resp] = sides.whole(TimestampNs(7), &History::default());
        assert_eq!([orig.ts_last, resp.ts_last], [TimestampNs::ZERO; 2]);
    }

    #[test]
    fn an_ordinary_end_takes_nothing_beside_the_record() {
        let (mut sides, mut history) = (Sides::default(), History::default());
        let end = Endpoint {
            sent: u32::MAX.into(),
            stream_bytes: u64::from(u32::MAX) - 1,
            stream_told: 77,
            evidence: 1 << 47,
            seen: Seen(127),
            state: End::Reset,
            ..Endpoint::default()
        };
        sides.keep(&[end, Endpoint::default()], TimestampNs::ZERO, &mut history);
        assert!(history.rare.is_none());
        let hole = Endpoint { hole: [1, 2], ..end };
        sides.keep(&[end, hole], TimestampNs::ZERO, &mut history);
        assert!(history.rare.is_some(), "else nothing above could fail");
    }
}
