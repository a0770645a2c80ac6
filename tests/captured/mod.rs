//! Captured files through capture, packet and flow, as the promises of the flow room need them.

use std::path::{Path, PathBuf};

use trawlwatch::capture::{Captures, FrameBatch, InputPath};
use trawlwatch::flow::observation::Observation;
use trawlwatch::flow::row::{FlowColumns, FlowRow};
use trawlwatch::flow::{FlowConfig, FlowTable};
use trawlwatch::packet::columns::PacketColumns;
use trawlwatch::packet::{Parser, ParserLimits};

/// The folder of captures, where it exists.
pub fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("TRAWLWATCH_CAPTURES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures"), PathBuf::from);
    folder.is_dir().then_some(folder)
}

/// All files under a folder, sorted.
pub fn files_under(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

/// The rows and observations of one file; `adjust` may change each batch's packets before the table sees them. None where
/// it is no capture.
pub fn run(
    path: &Path,
    limits: ParserLimits,
    config: FlowConfig,
    adjust: impl Fn(&mut PacketColumns),
) -> Option<(Vec<FlowRow>, Vec<Observation>)> {
    let mut captures = Captures::open(&[InputPath::parse(path)]).ok()?;
    let (mut parser, mut table) = (Parser::new(limits), FlowTable::new(config));
    let (mut frames, mut packets) = (FrameBatch::new(captures.maps()), PacketColumns::default());
    let (mut rows, mut observations) = (FlowColumns::default(), Vec::new());
    loop {
        let more = captures.next_frame().map(|frame| frames.push(&frame)).is_some();
        if frames.is_full() || !more {
            parser.parse_batch(&frames, &mut packets);
            adjust(&mut packets);
            table.apply(&packets, &frames, &mut rows, &mut observations);
            packets.clear();
            frames.clear();
        }
        if !more {
            break;
        }
    }
    table.finish(&mut rows, &mut observations);
    let rows = (0..rows.len()).map(|i| rows.row(i)).collect();
    Some((rows, observations))
}
