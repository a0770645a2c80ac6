//! Application hand-over: a flow's opening goes to `packet::app` until that has read all it wants.
//! In: payloads with their place in the stream. Out: facts for rows, messages for observations.
//! Bounds: [`AppBounds`]: flows read at once, and bytes given to those that are read as streams (which is no less than what
//! they hold). A flow that would exceed them is not read and counted. Not here: what the bytes mean (`packet::app`).

use std::sync::Arc;

use super::config::AppBounds;
use super::orient::TCP;
use crate::packet::app::{APP_BYTES_MAX, AppContext, AppCounters, AppState, Progress};
use crate::packet::facts::{AppFacts, NameLookup};
use crate::units::Side;

/// How far one flow's application has been read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    stage: Stage,
    /// What rows carry: the facts as of `revision`.
    pub(super) facts: Option<Arc<AppFacts>>,
    revision: u32,
    /// Stream bytes given to the parser.
    fed_bytes: u32,
}

#[derive(Debug, Default)]
enum Stage {
    /// No payload yet.
    #[default]
    Unasked,
    /// Being read.
    Open(Box<AppState>),
    /// Read, or nothing that can be read.
    Over,
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
}

impl Desk {
    pub(super) fn new(bounds: AppBounds) -> Self {
        Self { bounds, open: 0, fed_bytes: 0, refused: 0, counters: AppCounters::default() }
    }

    /// Flows that were not read for want of room.
    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    /// What became of the messages of flows that are over.
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
        if matches!(reading.stage, Stage::Unasked) {
            reading.stage = self.open(passage);
        }
        let Stage::Open(state) = &mut reading.stage else { return Appetite::Sated };
        let Passage { side, payload, context, .. } = passage;
        if !state.wants(*side) {
            return Appetite::Open;
        }
        let progress = match passage.protocol {
            TCP => {
                let room = 2 * APP_BYTES_MAX as u32 - reading.fed_bytes;
                let fed = room.min(u32::try_from(payload.len()).unwrap_or(u32::MAX));
                reading.fed_bytes += fed;
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
    pub(super) fn refresh(reading: &mut Reading) {
        if let Stage::Open(state) = &reading.stage
            && state.revision() != reading.revision
        {
            reading.revision = state.revision();
            reading.facts = worth_telling(state.facts().clone());
        }
    }

    /// Ends the reading: nothing more comes, or nothing more is wanted.
    pub(super) fn close(&mut self, reading: &mut Reading) {
        if let Stage::Open(mut state) = std::mem::replace(&mut reading.stage, Stage::Over) {
            reading.facts = worth_telling(state.take_facts());
            state.count_into(&mut self.counters);
            self.open -= 1;
            self.fed_bytes -= reading.fed_bytes as usize;
            reading.fed_bytes = 0;
        }
    }

    fn open(&mut self, passage: &Passage<'_>) -> Stage {
        if self.bounds.states_max == 0 {
            return Stage::Over;
        }
        match AppState::start_at(passage.protocol, passage.ports, passage.offset, passage.payload) {
            None => Stage::Over,
            Some(_) if self.open >= self.bounds.states_max || self.fed_bytes >= self.bounds.bytes_max => {
                self.refused += 1;
                Stage::Over
            }
            Some(state) => {
                self.open += 1;
                Stage::Open(state)
            }
        }
    }
}

/// Facts in which nothing is said are none.
fn worth_telling(facts: AppFacts) -> Option<Arc<AppFacts>> {
    (facts != AppFacts::default()).then(|| Arc::new(facts))
}
