//! Worker: batches of frames to rows to its share of a window's summary.
//! In: tasks from the reader, in order. Out: its share of each window, then its totals.
//! Bounds: those of its parser, table and summary; all buffers are reused.
//! Time: closes windows where the reader says so; the wall clock only measures.

use std::time::Instant;

use crossbeam::channel::{Receiver, Sender};

use super::bundle::Bundle;
use super::timings::Timings;
use super::{Config, Quantiser, Reply, RowsWanted, Shared};
use crate::capture::frame::FrameBatch;
use crate::features::{self, FeatureMatrix};
use crate::flow::observation::Observation;
use crate::flow::row::FlowColumns;
use crate::flow::{FlowCounters, FlowTable};
use crate::packet::columns::PacketColumns;
use crate::packet::{Parser, RejectCounts};
use crate::population::{AddContext, Room, Span, Summary};
use crate::privacy::PseudonymCache;
use crate::units::TimestampNs;

/// Rows at which features are computed: one block of the matrix.
const ROWS_PER_BLOCK: usize = 512;
/// Observations at which they are filed.
const OBSERVATIONS_PER_BLOCK: usize = 256;

/// What the reader asks of a worker.
pub(super) enum Task {
    /// Take these frames in.
    Frames { bundle: Bundle, read_at: Instant },
    /// A window begins.
    Open { span: Span },
    /// Hand on the rows that have ended.
    HandOnRows,
    /// Hand on the window that ends here.
    CloseWindow { end: TimestampNs },
    /// End every flow and hand on what is open.
    CloseAll,
}

impl Task {
    /// The same mark for the next worker; frames belong to one worker and are never sent twice.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::Open { span } => Self::Open { span: *span },
            Self::HandOnRows => Self::HandOnRows,
            Self::CloseWindow { end } => Self::CloseWindow { end: *end },
            Self::Frames { .. } | Self::CloseAll => Self::CloseAll,
        }
    }
}

/// What a worker has counted since it began.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Frames and packets that were not used, by cause.
    pub rejects: RejectCounts,
    /// What the flow tables counted.
    pub flows: FlowCounters,
    /// Flows alive.
    pub flows_open: u64,
    /// Where the time went.
    pub timings: Timings,
}

impl Totals {
    /// Adds another worker's.
    pub fn merge(&mut self, other: &Self) {
        self.rejects.merge(&other.rejects);
        self.flows.merge(&other.flows);
        self.flows_open += other.flows_open;
        self.timings.merge(&other.timings);
    }
}

/// One worker: its own parser, table, buffers and summary; nothing of it is shared.
pub(super) struct Worker<'a, Q> {
    index: usize,
    config: &'a Config,
    shared: Shared<'a, Q>,
    identity: PseudonymCache,
    parser: Parser,
    table: FlowTable,
    packets: PacketColumns,
    rows: FlowColumns,
    observations: Vec<Observation>,
    matrix: FeatureMatrix,
    codewords: Vec<u16>,
    summary: Summary,
    rows_kept: FlowColumns,
    windows: u64,
    parts: u64,
    timings: Timings,
    /// Summaries whose memory may be used again.
    spare: Receiver<Box<Summary>>,
    /// What the window before took.
    room: Room,
}

impl<'a, Q: Quantiser> Worker<'a, Q> {
    pub(super) fn new(index: usize, config: &'a Config, shared: Shared<'a, Q>, spare: Receiver<Box<Summary>>) -> Self {
        Self {
            index,
            config,
            shared,
            identity: PseudonymCache::new(shared.pseudonymiser.clone()),
            parser: Parser::new(config.parser.clone()),
            table: FlowTable::new(config.flow.clone()),
            packets: PacketColumns::default(),
            rows: FlowColumns::default(),
            observations: Vec::new(),
            matrix: FeatureMatrix::default(),
            codewords: Vec::new(),
            summary: Summary::empty(),
            rows_kept: FlowColumns::default(),
            windows: 0,
            parts: 0,
            timings: Timings::default(),
            spare,
            room: Room::default(),
        }
    }

    /// Works until the reader has no more, or nobody listens any longer.
    pub(super) fn run(mut self, tasks: &Receiver<Task>, free: &Sender<Bundle>, replies: &Sender<Reply>) {
        for task in tasks {
            let listening = match task {
                Task::Frames { mut bundle, read_at } => {
                    bundle.drain(|frames| {
                        self.batch(frames);
                        self.timings.batch(read_at.elapsed());
                    });
                    // A full free list means enough bundles are about: this one's memory goes back to the system.
                    let _enough = free.try_send(bundle);
                    true
                }
                Task::Open { span } => {
                    self.summary = match self.spare.try_recv() {
                        Ok(spare) => spare.renewed(span),
                        Err(_) => Summary::new(span),
                    };
                    self.summary.make_room(self.room);
                    true
                }
                Task::HandOnRows => {
                    self.summarise();
                    self.hand_on_rows(replies)
                }
                Task::CloseWindow { end } => {
                    let mut next = Some(0);
                    while let Some(from) = next {
                        let (rows, observations) = (&mut self.rows, &mut self.observations);
                        next = self.table.close_window_from(from, end, ROWS_PER_BLOCK, rows, observations);
                        self.summarise();
                    }
                    self.hand_on(replies)
                }
                Task::CloseAll => {
                    let mut next = Some(0);
                    while let Some(from) = next {
                        next = self.table.finish_from(from, ROWS_PER_BLOCK, &mut self.rows, &mut self.observations);
                        self.summarise();
                    }
                    self.hand_on(replies)
                }
            };
            if !listening {
                return;
            }
        }
        self.parser.finish();
        let _gone = replies.send(Reply::End(Box::new(self.counted())));
    }

    /// The hot loop: frames → packets → rows and observations, a block of rows at a time → summary.
    fn batch(&mut self, frames: &FrameBatch) {
        let start = Instant::now();
        self.packets.clear();
        self.parser.parse_batch(frames, &mut self.packets);
        let parsed = Instant::now();
        self.table.apply(&self.packets, frames, &mut self.rows, &mut self.observations);
        self.timings.parsed(parsed - start, parsed.elapsed());
        if self.rows.len() >= ROWS_PER_BLOCK || self.observations.len() >= OBSERVATIONS_PER_BLOCK {
            self.summarise();
        }
    }

    fn summarise(&mut self) {
        let start = Instant::now();
        let Shared { populations, quantiser, .. } = self.shared;
        features::compute(&self.rows, &mut self.matrix);
        quantiser.assign(&self.matrix, &mut self.codewords);
        let mut cx = AddContext { populations, identity: &mut self.identity, limits: &self.config.summary };
        self.summary.add_rows(&self.rows, &self.codewords, &mut cx);
        self.summary.add_observations(&self.observations, &mut cx);
        self.observations.clear();
        match self.config.rows {
            RowsWanted::All => self.rows_kept.append(&mut self.rows),
            RowsWanted::None => self.rows.clear(),
        }
        self.timings.summarised(start.elapsed());
    }

    fn counted(&self) -> Totals {
        Totals {
            rejects: self.parser.rejects().clone(),
            flows: self.table.counters(),
            flows_open: self.table.len() as u64,
            timings: self.timings.clone(),
        }
    }

    /// Sends the rows that have ended, where they are wanted; false when nobody listens.
    fn hand_on_rows(&mut self, replies: &Sender<Reply>) -> bool {
        if self.config.rows == RowsWanted::None {
            return true;
        }
        let rows = Box::new(std::mem::take(&mut self.rows_kept));
        let number = self.parts;
        self.parts += 1;
        replies.send(Reply::Rows { worker: self.index, number, rows }).is_ok()
    }

    /// Sends this worker's share of the window; false when nobody listens.
    fn hand_on(&mut self, replies: &Sender<Reply>) -> bool {
        self.summarise();
        if !self.hand_on_rows(replies) {
            return false;
        }
        self.room = self.summary.room();
        let summary = Box::new(std::mem::replace(&mut self.summary, Summary::empty()));
        let number = self.windows;
        self.windows += 1;
        let so_far = Box::new(self.counted());
        replies.send(Reply::Window { worker: self.index, number, summary, so_far }).is_ok()
    }
}
