//! Feeds each flow of a capture to its application state, as the flow table does but with nothing else around it.
//! In: a capture file, through `capture` and `packet`. Out: facts by flow, look-ups, counts.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use trawlwatch::capture::frame::FrameBatch;
use trawlwatch::capture::{Captures, InputPath};
use trawlwatch::packet::app::{AppContext, AppCounters, AppState, Progress};
use trawlwatch::packet::columns::{FlowKey, PacketColumns, PacketRow};
use trawlwatch::packet::facts::{AppFacts, NameLookup};
use trawlwatch::packet::{Parser, ParserLimits};
use trawlwatch::units::Side;

const TCP: u8 = 6;
const SYN: u8 = 2;
const ACK: u8 = 16;

/// Where the captures lie; none (and a word about it) where they are not on this machine.
pub fn captures(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("TRAWLWATCH_CAPTURES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures"), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("not run: {test}: no captures at {}", folder.display());
    None
}

/// (orig address, orig port, resp address, resp port, IP protocol).
pub type Tuple = (IpAddr, u16, IpAddr, u16, u8);

/// What a capture's flows said.
#[derive(Default)]
pub struct Walk {
    /// Facts of each flow that had a state, by its tuple; more than one where the tuple came again.
    pub flows: BTreeMap<Tuple, Vec<AppFacts>>,
    pub lookups: Vec<NameLookup>,
    pub counters: AppCounters,
}

/// Walks a capture file; none where it cannot be opened.
pub fn walk(path: &Path) -> Option<Walk> {
    let mut captures = Captures::open(&[InputPath::parse(path)]).ok()?;
    let mut batch = FrameBatch::new(captures.maps());
    let mut parser = Parser::new(ParserLimits::default());
    let mut columns = PacketColumns::default();
    let mut walk = Walk::default();
    let mut flows: BTreeMap<FlowKey, Flow> = BTreeMap::new();
    loop {
        while !batch.is_full()
            && let Some(frame) = captures.next_frame()
        {
            batch.push(&frame);
        }
        if batch.is_empty() {
            break;
        }
        columns.clear();
        parser.parse_batch(&batch, &mut columns);
        for i in 0..columns.len() {
            let row = columns.row(i);
            if matches!(row.key.protocol, TCP | 17) && !row.is_fragment {
                walk.packet(&mut flows, &row, columns.payload_of(i, &batch));
            }
        }
        batch.clear();
    }
    for flow in flows.into_values() {
        walk.end(flow);
    }
    Some(walk)
}

struct Flow {
    key: FlowKey,
    /// Index into the key's ends.
    orig: usize,
    /// Sequence number of each side's first byte.
    base: [Option<u32>; 2],
    state: Option<Box<AppState>>,
    met: bool,
}

impl Flow {
    fn tuple(&self) -> Tuple {
        let (orig, resp) = (self.orig, self.orig ^ 1);
        let address = |end: usize| self.key.addresses[end].to_ip();
        (address(orig), self.key.ports[orig], address(resp), self.key.ports[resp], self.key.protocol)
    }
}

impl Walk {
    fn end(&mut self, mut flow: Flow) {
        if let Some(mut state) = flow.state.take() {
            let facts = state.take_facts();
            state.count_into(&mut self.counters);
            self.flows.entry(flow.tuple()).or_default().push(facts);
        }
    }

    fn packet(&mut self, flows: &mut BTreeMap<FlowKey, Flow>, row: &PacketRow, payload: &[u8]) {
        let from = usize::from(row.from);
        let first_byte = row.tcp_seq.wrapping_add(u32::from(row.tcp_flags & SYN != 0));
        // A new SYN with another sequence number is a new connection on the same ports.
        let renewed = row.tcp_flags & (SYN | ACK) == SYN
            && flows.get(&row.key).is_some_and(|f| f.orig == from && f.base[0].is_some_and(|base| base != first_byte));
        if renewed && let Some(flow) = flows.remove(&row.key) {
            self.end(flow);
        }
        let orig = if row.tcp_flags & (SYN | ACK) == SYN | ACK { from ^ 1 } else { from };
        let new = || Flow { key: row.key, orig, base: [None; 2], state: None, met: false };
        let flow = flows.entry(row.key).or_insert_with(new);
        let side = Side::BOTH[from ^ flow.orig];
        let base = *flow.base[side.index()].get_or_insert(first_byte);
        if payload.is_empty() {
            return;
        }
        let offset = first_byte.wrapping_sub(base);
        let ends = [flow.orig, flow.orig ^ 1];
        if !flow.met {
            flow.met = true;
            let offset = if row.key.protocol == TCP { offset } else { 0 };
            flow.state = AppState::start_at(row.key.protocol, ends.map(|end| row.key.ports[end]), offset, payload);
        }
        let Some(state) = &mut flow.state else { return };
        let [orig, resp] = ends.map(|end| row.key.addresses[end]);
        let ctx = AppContext { ts: row.ts, orig, resp };
        let progress = match row.key.protocol {
            TCP => state.stream(side, offset, payload, &ctx, &mut self.lookups),
            _ => state.datagram(side, payload, &ctx, &mut self.lookups),
        };
        if progress == Progress::Done {
            let facts = state.take_facts();
            state.count_into(&mut self.counters);
            self.flows.entry(flow.tuple()).or_default().push(facts);
            flow.state = None;
        }
    }
}
