//! Sides: both ends of a flow as its record keeps them, one cache line.
//! In: what TCP knows of either end once a packet is counted. Out: the same, for the next packet.
//! Bounds: numbers of 32 bits, which hold streams of 4 GiB, no hole, and no stream that was begun anew before its length was
//! told. A flow that has more is kept whole with what few flows have.

use super::{Endpoint, Marks};
use crate::flow::history::History;
use crate::units::{Side, TimestampNs};

/// Both ends, packed.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub(in crate::flow) struct Sides {
    /// The latest packet of the end that was silent for longer; that of the other is the flow's. Above it [`RESP_LAST`].
    pub(super) ts_other: u64,
    pub(super) ends: [Packed; 2],
}

const _: () = assert!(size_of::<Sides>() == 64);

/// Set where the responder sent the flow's latest packet; times of capture reach it in the year 2262.
pub(super) const RESP_LAST: u64 = 1 << 63;
/// `states` of the originator where the flow is kept whole elsewhere.
const ELSEWHERE: u8 = u8::MAX;

/// One end.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct Packed {
    pub(super) sent: u32,
    pub(super) acked: u32,
    /// The stream's length is the greater of this and what `sent` and `acked` say.
    stream_told: u32,
    pub(super) isn: u32,
    evidence: u32,
    evidence_high: u16,
    pub(super) marks: Marks,
}

impl Sides {
    /// Whether there was no room for both ends here.
    #[inline(always)]
    pub(super) fn is_elsewhere(&self) -> bool {
        self.ends[0].marks.states == ELSEWHERE
    }

    /// The newest segment in the evidence pool of an end that is kept here, and the end's marks.
    #[inline]
    pub(in crate::flow) fn evidence(&self, side: Side) -> (u64, Marks) {
        let end = &self.ends[side.index()];
        (u64::from(end.evidence_high) << u32::BITS | u64::from(end.evidence), end.marks)
    }

    /// Keeps both.
    #[inline]
    pub(in crate::flow) fn keep_evidence(
        &mut self,
        side: Side,
        (evidence, marks): (u64, Marks),
        ts_last: TimestampNs,
        history: &mut History,
    ) {
        if evidence >> (u32::BITS + u16::BITS) > 0 {
            let mut whole = self.whole(ts_last, history);
            (whole[side.index()].evidence, whole[side.index()].marks) = (evidence, marks);
            return self.keep(&whole, ts_last, history);
        }
        let end = &mut self.ends[side.index()];
        (end.evidence, end.evidence_high) = (evidence as u32, (evidence >> u32::BITS) as u16);
        end.marks = marks;
    }

    /// Both ends; `ts_last` is the flow's latest packet.
    pub(in crate::flow) fn whole(&self, ts_last: TimestampNs, history: &History) -> [Endpoint; 2] {
        let mut whole = [Endpoint::default(); 2];
        self.unpack(ts_last, history, &mut whole);
        whole
    }

    /// The same where it is wanted: a copy of both ends took a twentieth of the time of 64-byte packets.
    #[inline(always)]
    pub(in crate::flow) fn unpack(&self, ts_last: TimestampNs, history: &History, whole: &mut [Endpoint; 2]) {
        if self.is_elsewhere() {
            return fetch_elsewhere(history, whole);
        }
        let other = TimestampNs(self.ts_other & !RESP_LAST);
        let [orig, resp] = if self.ts_other & RESP_LAST == 0 { [ts_last, other] } else { [other, ts_last] };
        self.ends[0].unpack(orig, &mut whole[0]);
        self.ends[1].unpack(resp, &mut whole[1]);
    }

    /// Keeps both ends.
    #[inline(always)]
    pub(in crate::flow) fn keep(&mut self, whole: &[Endpoint; 2], ts_last: TimestampNs, history: &mut History) {
        let [orig, resp] = whole;
        let (mark, other) = if orig.ts_last == ts_last { (0, resp.ts_last.0) } else { (RESP_LAST, orig.ts_last.0) };
        let is_timed = (mark == 0 || resp.ts_last == ts_last) && other & RESP_LAST == 0;
        if !is_timed || !Packed::holds(orig) || !Packed::holds(resp) {
            return self.keep_elsewhere(whole, history);
        }
        self.ts_other = other | mark;
        self.ends[0] = Packed::of(orig);
        self.ends[1] = Packed::of(resp);
    }

    #[cold]
    fn keep_elsewhere(&mut self, whole: &[Endpoint; 2], history: &mut History) {
        self.ends[0].marks.states = ELSEWHERE;
        match &mut history.rare_mut().sides {
            Some(sides) => **sides = *whole,
            none => *none = Some(Box::new(*whole)),
        }
    }
}

#[cold]
fn fetch_elsewhere(history: &History, whole: &mut [Endpoint; 2]) {
    let sides = history.rare.as_ref().and_then(|rare| rare.sides.as_deref());
    *whole = *sides.expect("they were put there when they did not fit");
}

impl Packed {
    /// Whether an end fits.
    #[inline(always)]
    fn holds(end: &Endpoint) -> bool {
        let wide = end.sent | end.acked | end.stream_told;
        // Of an end that was silent so far, whoever was later, no time is kept.
        wide <= u64::from(u32::MAX)
            && end.evidence >> (u32::BITS + u16::BITS) == 0
            && end.hole[0] == end.hole[1]
            && end.stream_bytes == end.length().max(end.stream_told)
            && (end.has_spoken() || end.ts_last == TimestampNs::ZERO)
    }

    /// One that fits.
    #[inline(always)]
    fn of(end: &Endpoint) -> Self {
        Self {
            sent: end.sent as u32,
            acked: end.acked as u32,
            stream_told: end.stream_told as u32,
            isn: end.isn,
            evidence: end.evidence as u32,
            evidence_high: (end.evidence >> u32::BITS) as u16,
            marks: end.marks,
        }
    }

    #[inline(always)]
    fn unpack(&self, ts_last: TimestampNs, end: &mut Endpoint) {
        end.sent = self.sent.into();
        end.acked = self.acked.into();
        end.stream_told = self.stream_told.into();
        end.evidence = u64::from(self.evidence_high) << u32::BITS | u64::from(self.evidence);
        end.isn = self.isn;
        end.hole = [0; 2];
        end.marks = self.marks;
        end.stream_bytes = end.length().max(end.stream_told);
        end.ts_last = if end.has_spoken() { ts_last } else { TimestampNs::ZERO };
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::flow::history::Seen;
    use crate::flow::tcp::{ANCHORED, End, REPORTED, SPOKE, STATE_BITS};

    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![8 => 0u64..1 << 32, 1 => (1u64 << 32) - 1..(1 << 32) + 1, 1 => any::<u64>()]
    }

    fn mark(mark: u8, is_set: bool) -> u8 {
        if is_set { mark } else { 0 }
    }

    /// Any end.
    pub(in crate::flow::tcp) fn end() -> impl Strategy<Value = Endpoint> {
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
                    marks: Marks {
                        states: (bytes[0] % 6)
                            | ((bytes[1] % 6) << STATE_BITS)
                            | mark(REPORTED, marks[0])
                            | mark(ANCHORED, marks[1]),
                        seen: Seen(bytes[2] & !SPOKE | mark(SPOKE, marks[2])),
                        fins: bytes[3],
                        ttl_usual: bytes[4],
                        ttl_lead: bytes[5],
                        conflicts: bytes[6],
                    },
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
    fn evidence_is_kept_whatever_its_number() {
        let (mut sides, mut history, ts) = (Sides::default(), History::default(), TimestampNs(5));
        let end =
            Endpoint { marks: Marks { seen: Seen(SPOKE), ..Marks::default() }, ts_last: ts, ..Endpoint::default() };
        sides.keep(&[end, Endpoint::default()], ts, &mut history);
        for evidence in [1, 1 << 40, (1 << 48) - 1, 1 << 48] {
            let (_, marks) = sides.evidence(Side::Resp);
            let marks = Marks { conflicts: 3, ..marks };
            sides.keep_evidence(Side::Resp, (evidence, marks), ts, &mut history);
            let [orig, resp] = sides.whole(ts, &history);
            assert_eq!((orig, resp.evidence, resp.marks.conflicts), (end, evidence, 3));
        }
    }

    #[test]
    fn an_ordinary_end_takes_nothing_beside_the_record() {
        let (mut sides, mut history) = (Sides::default(), History::default());
        let end = Endpoint {
            sent: u32::MAX.into(),
            stream_bytes: u64::from(u32::MAX) - 1,
            stream_told: 77,
            evidence: 1 << 47,
            marks: Marks { seen: Seen(127), states: End::Reset as u8, ..Marks::default() },
            ..Endpoint::default()
        };
        sides.keep(&[end, Endpoint::default()], TimestampNs::ZERO, &mut history);
        assert!(history.rare.is_none());
        let hole = Endpoint { hole: [1, 2], ..end };
        sides.keep(&[end, hole], TimestampNs::ZERO, &mut history);
        assert!(history.rare.is_some(), "else nothing above could fail");
    }
}
