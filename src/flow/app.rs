//! Application hand-over: a flow's opening goes to `packet::app` until that has read all it wants.
//! In: payloads with their place in the stream. Out: facts for rows, messages for observations.
//! Bounds: [`AppBounds`]: flows read at once, and bytes given to those that are read as streams (which is no less than what
//! they hold). A flow that would exceed them is not read and counted. Not here: what the bytes mean (`packet::app`).

use std::sync::Arc;

use super::config::AppBounds;
use super::orient::TCP;
use super::told::Told;
use crate::packet::app::{APP_BYTES_MAX, AppContext, AppCounters, AppState, Opening, Progress, RestingDns};
use crate::packet::facts::{AppFacts, NameLookup};
use crate::units::Side;

/// How far one flow's application has been read. Sixteen bytes: most flows are read in a packet or two.
#[derive(Debug, Default)]
pub(super) enum Reading {
    /// No payload yet.
    #[default]
    Unasked,
    /// Being read.
    Open(Box<Open>),
    /// Read as far as it came; what comes next is read by itself. Holds no state and counts against no bound.
    Resting(RestingDns, Option<Arc<AppFacts>>),
    /// Read, or nothing that can be read.
    Over(Option<Arc<AppFacts>>),
}

const _: () = assert!(size_of::<Reading>() == 16);

/// A reading that holds a parser.
#[derive(Debug)]
pub(super) struct Open {
    state: AppState,
    /// What rows carry: the facts as of `revision`.
    told: Option<Arc<AppFacts>>,
    revision: u32,
    /// Stream bytes given to the parser.
    fed_bytes: u32,
}

impl Reading {
    /// What a row carries; brought up to date by [`Desk::refresh`] and [`Desk::close`].
    pub(super) fn facts(&self) -> Option<&Arc<AppFacts>> {
        match self {
            Self::Unasked => None,
            Self::Open(open) => open.told.as_ref(),
            Self::Resting(_, facts) | Self::Over(facts) => facts.as_ref(),
        }
    }
}

/// Whether a flow's parser can still use payload: kept where every packet looks anyway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Appetite {
    #[default]
    Open,
    Sated,
}

/// A payload and where it belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passage<'a> {
    pub(super) protocol: u8,
    /// The originator's and the responder's.
    pub(super) ports: [u16; 2],
    pub(super) side: Side,
    /// Bytes after the side's first one, modulo 2³²; 0 for datagrams.
    pub(super) offset: u32,
    pub(super) payload: &'a [u8],
    pub(super) context: AppContext,
}

/// What all flows of a worker share.
#[derive(Debug)]
pub(super) struct Desk {
    bounds: AppBounds,
    open: u32,
    fed_bytes: usize,
    refused: u64,
    counters: AppCounters,
    told: Told,
}

impl Desk {
    pub(super) fn new(bounds: AppBounds) -> Self {
        Self { bounds, open: 0, fed_bytes: 0, refused: 0, counters: AppCounters::default(), told: Told::new() }
    }

    /// Flows that were not read for want of room.
    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    /// What became of the messages of flows that are over, and of DNS datagrams.
    pub(super) fn counters(&self) -> &AppCounters {
        &self.counters
    }

    /// Gives a payload to the flow's parser; tells whether it wants more.
    pub(super) fn read(
        &mut self,
        reading: &mut Reading,
        passage: &Passage<'_>,
        lookups: &mut Vec<NameLookup>,
    ) -> Appetite {
        if matches!(reading, Reading::Unasked) {
            *reading = self.open(passage);
        }
        let Passage { side, payload, context, .. } = passage;
        let open = match reading {
            Reading::Open(open) => open,
            Reading::Resting(resting, told) => {
                let facts = Arc::make_mut(told.get_or_insert_default());
                resting.datagram(*side, payload, context, (facts, &mut self.counters), lookups);
                if *facts == AppFacts::default() {
                    *told = None;
                }
                return Appetite::Open;
            }
            Reading::Unasked | Reading::Over(_) => return Appetite::Sated,
        };
        let state = &mut open.state;
        if !state.wants(*side) {
            return Appetite::Open;
        }
        let progress = match passage.protocol {
            TCP => {
                let room = 2 * APP_BYTES_MAX as u32 - open.fed_bytes;
                let fed = room.min(u32::try_from(payload.len()).unwrap_or(u32::MAX));
                open.fed_bytes += fed;
                self.fed_bytes += fed as usize;
                state.stream(*side, passage.offset, payload, context, lookups)
            }
            _ => state.datagram(*side, payload, context, lookups),
        };
        match progress {
            Progress::More => Appetite::Open,
            Progress::Done => {
                self.close(reading);
                Appetite::Sated
            }
        }
    }

    /// Brings a flow's facts up to date for a row.
    pub(super) fn refresh(&mut self, reading: &mut Reading) {
        if let Reading::Open(open) = reading
            && open.state.revision() != open.revision
        {
            open.revision = open.state.revision();
            open.told = self.worth_telling(open.state.facts().clone());
        }
    }

    /// Ends the reading: nothing more comes, or nothing more is wanted.
    pub(super) fn close(&mut self, reading: &mut Reading) {
        if let Reading::Open(open) = reading {
            let facts = self.worth_telling(open.state.take_facts());
            open.state.count_into(&mut self.counters);
            self.open -= 1;
            self.fed_bytes -= open.fed_bytes as usize;
            *reading = Reading::Over(facts);
        }
    }

    /// Facts in which nothing is said are none.
    fn worth_telling(&mut self, facts: AppFacts) -> Option<Arc<AppFacts>> {
        (facts != AppFacts::default()).then(|| self.told.share(facts))
    }

    fn is_full(&self) -> bool {
        self.open >= self.bounds.states_max || self.fed_bytes >= self.bounds.bytes_max
    }

    fn open(&mut self, passage: &Passage<'_>) -> Reading {
        if self.bounds.states_max == 0 {
            return Reading::Over(None);
        }
        match AppState::open_at(passage.protocol, passage.ports, passage.offset, passage.payload) {
            None => Reading::Over(None),
            Some(Opening::Resting(resting)) => Reading::Resting(resting, None),
            Some(Opening::State(_)) if self.is_full() => {
                self.refused += 1;
                Reading::Over(None)
            }
            Some(Opening::State(state)) => {
                self.open += 1;
                Reading::Open(Box::new(Open { state, told: None, revision: 0, fed_bytes: 0 }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::orient::UDP;
    use super::*;
    use crate::packet::app::AppEvent;
    use crate::packet::facts::AppProtocol;
    use crate::units::{Address, TimestampNs};

    const QUERY: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03org\x00\x00\x01\x00\x01";
    const OTHER: &[u8] = b"\x12\x35\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07another\x03org\x00\x00\x01\x00\x01";
    const ANSWER: &[u8] = b"\x12\x34\x81\x80\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03org\x00\x00\x01\x00\x01";
    const BROKEN: &[u8] = b"\x12\x36\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x7fexa";
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: www.exam";

    fn passage(protocol: u8, port: u16, side: Side, payload: &[u8]) -> Passage<'_> {
        let ends = [Address::v4([10, 0, 0, 1]), Address::v4([192, 0, 2, 53])];
        let context = AppContext { ts: TimestampNs(1), orig: ends[0], resp: ends[1] };
        Passage { protocol, ports: [5000, port], side, offset: 0, payload, context }
    }

    #[test]
    fn flows_of_dns_take_up_no_room_of_others() {
        let mut desk = Desk::new(AppBounds { states_max: 1, bytes_max: 1 << 20 });
        let mut flows: [Reading; 3] = Default::default();
        let mut lookups = Vec::new();
        let messages = [
            (Side::Orig, QUERY),
            (Side::Resp, ANSWER),
            (Side::Orig, BROKEN),
            (Side::Orig, OTHER),
            (Side::Resp, ANSWER),
        ];
        for (side, payload) in messages {
            for flow in &mut flows {
                let appetite = desk.read(flow, &passage(UDP, 53, side, payload), &mut lookups);
                assert_eq!((appetite, desk.open), (Appetite::Open, 0));
            }
        }
        assert_eq!(lookups.len(), 4 * flows.len(), "every message is told, the broken one is not");
        for flow in &mut flows {
            desk.close(flow);
            let facts = flow.facts().expect("facts");
            assert_eq!(facts.server_name.as_deref(), Some("example.org"), "the first query's");
            assert_eq!((facts.protocol, facts.dns_queries, facts.dns_answers), (Some(AppProtocol::Dns), 2, 2));
        }
        let of_dns = |event| desk.counters.of(Some(AppProtocol::Dns), event);
        assert_eq!((of_dns(AppEvent::Parsed), of_dns(AppEvent::Malformed) + of_dns(AppEvent::Cut)), (12, 3));
        for (refused, mut flow) in [(0, Reading::default()), (1, Reading::default())] {
            desk.read(&mut flow, &passage(TCP, 80, Side::Orig, REQUEST), &mut lookups);
            assert_eq!((desk.open, desk.refused), (1, refused), "a stream is held, a second one finds no room");
        }
    }
}
