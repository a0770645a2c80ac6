//! Captures: all inputs of a run as one sequence of frames in time order.
//! In: paths. Out: one frame after the other; per file a report.
//! Bounds: one open input a path. One file costs nothing for order; several cost a heap of their number.
//! Time: frames of different files by timestamp, then by the order of the command line; inside a file as they stand,
//! even where its clock steps back. Not here: what a file is made of (`savefile`), how bytes come in (`input`).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::sync::Arc;

use memmap2::Mmap;
use sha2::{Digest, Sha256};

use crate::units::TimestampNs;

use super::blocks::{BLOCK_FILES_MAX, Blocks};
use super::error::OpenError;
use super::fault::{FaultKind, FileReport, Tally};
use super::frame::{Frame, Lent, MappedPlace};
use super::input::{Input, InputPath, Mapped, Opened, Stream};
use super::savefile::{Head, Reader, Step};
use super::sniff::{self, Compression, Format, SNIFF_BYTES};

/// Most inputs of one run: a frame has 16 bits for its file, and one value stands for "no map".
pub const INPUTS_MAX: usize = u16::MAX as usize;

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the files that were read, compressed as they are.
    pub bytes_read: u64,
    /// Bytes of all files; none where one is a pipe.
    pub bytes_total: Option<u64>,
}

/// The inputs of a run. Plain files are read in blocks and mapped beside, for what is looked at again; of more than
/// [`BLOCK_FILES_MAX`] at once the maps are walked. A mapped file that another process cuts ends this process with SIGBUS where
/// its lost part is looked at, as it does every reader of maps; one that grows is read to its new end.
pub struct Captures {
    sources: Vec<Source>,
    maps: Arc<[Mmap]>,
    refused: Vec<OpenError>,
    fingerprint: [u8; 32],
    merge: Merge,
}

/// Whose frame comes next.
enum Merge {
    /// There is one source.
    Single,
    /// The earliest head of each source that has one; the source on top has been read if `Turn::Taken`.
    Heap(BinaryHeap<Reverse<(TimestampNs, usize)>>, Turn),
    /// Heads are not read yet.
    Unread,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Waiting,
    Taken,
}

impl Captures {
    /// Opens all inputs. Those that cannot be read are kept aside in [`Captures::refused`].
    ///
    /// # Errors
    /// When no input can be read, or none is named.
    pub fn open(paths: &[InputPath]) -> Result<Self, OpenError> {
        if paths.is_empty() {
            return Err(OpenError::NoInput);
        }
        if paths.len() > INPUTS_MAX {
            return Err(OpenError::TooManyInputs { count: paths.len(), max: INPUTS_MAX });
        }
        let mut refused = Vec::new();
        let mut pending = Vec::new();
        for (file, path) in paths.iter().enumerate() {
            match Pending::open(file as u16, path, paths.len() <= BLOCK_FILES_MAX) {
                Ok(source) => pending.push(source),
                Err(error) => refused.push(error),
            }
        }
        if pending.is_empty() {
            return Err(match refused.len() {
                1 => refused.remove(0),
                _ => OpenError::NoneReadable { errors: refused },
            });
        }
        let fingerprint = combine(pending.iter().map(|source| source.fingerprint).collect());
        let (maps, sources) = assemble(pending);
        let merge = if sources.len() == 1 { Merge::Single } else { Merge::Unread };
        Ok(Self { sources, maps, refused, fingerprint, merge })
    }

    /// The next frame in time order; none at the end of all inputs.
    #[inline]
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        match &mut self.merge {
            Merge::Single => {
                let source = &mut self.sources[0];
                let head = source.advance()?;
                Some(source.frame(&head))
            }
            _ => self.next_of_several(),
        }
    }

    /// The mapped files that frames of this source refer to.
    pub fn maps(&self) -> Arc<[Mmap]> {
        Arc::clone(&self.maps)
    }

    /// How far the run has come.
    pub fn progress(&self) -> Progress {
        let each = self.sources.iter().map(Source::progress);
        each.fold(Progress { bytes_read: 0, bytes_total: Some(0) }, |sum, (read, total)| Progress {
            bytes_read: sum.bytes_read + read,
            bytes_total: sum.bytes_total.zip(total).map(|(sum, total)| sum + total),
        })
    }

    /// What was read of each file, in the order of the command line; final after the last frame.
    pub fn reports(&self) -> Vec<FileReport> {
        self.sources.iter().map(Source::report).collect()
    }

    /// The inputs that could not be read, in the order of the command line.
    pub fn refused(&self) -> &[OpenError] {
        &self.refused
    }

    /// SHA-256 over the sorted hashes of the first [`super::input::FINGERPRINT_BYTES`] of each capture, decompressed:
    /// equal for equal captures, in whatever order, place or compression they come.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    fn next_of_several(&mut self) -> Option<Frame<'_>> {
        let sources = &mut self.sources;
        if let Merge::Unread = self.merge {
            let heads = sources.iter_mut().enumerate().filter_map(|(i, source)| Some((source.read_head()?, i)));
            self.merge = Merge::Heap(heads.map(Reverse).collect(), Turn::Waiting);
        }
        let Merge::Heap(heap, turn) = &mut self.merge else { return None };
        if *turn == Turn::Taken {
            let mut top = heap.peek_mut()?;
            match sources[top.0.1].read_head() {
                Some(ts) => top.0.0 = ts,
                None => drop(PeekMut::pop(top)),
            }
        }
        *turn = Turn::Taken;
        let Reverse((_, first)) = heap.peek()?;
        let source = &sources[*first];
        source.head.as_ref().map(|head| source.frame(head))
    }
}

impl std::fmt::Debug for Captures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Captures").field("reports", &self.reports()).field("refused", &self.refused).finish()
    }
}

/// An input whose header was read, before all maps are known.
struct Pending {
    file: u16,
    path: InputPath,
    format: Format,
    reader: Reader,
    opened: Opened,
    fingerprint: [u8; 32],
}

impl Pending {
    fn open(file: u16, path: &InputPath, is_kept_open: bool) -> Result<Self, OpenError> {
        let (mut opened, compression) = Opened::open(path, is_kept_open)?;
        let head = opened.head(4);
        let container = match sniff::container(head) {
            Ok(container) => container,
            Err(_) => return Err(refusal(&mut opened, compression, path)),
        };
        let reader = Reader::open(container, opened.head(Reader::header_bytes(container)), path)?;
        let fingerprint = opened.fingerprint(path);
        Ok(Self { file, path: path.clone(), format: Format { container, compression }, reader, opened, fingerprint })
    }
}

/// Why an input whose first bytes are no capture's is refused.
fn refusal(opened: &mut Opened, compression: Compression, path: &InputPath) -> OpenError {
    let path = path.clone();
    let head = opened.head(SNIFF_BYTES);
    let head = &head[..head.len().min(SNIFF_BYTES)];
    let (is_empty, is_short, stranger) = (head.is_empty(), head.len() < SNIFF_BYTES, sniff::container(head).err());
    match (opened.failure(), stranger) {
        (Some(source), _) if is_short => OpenError::Unreadable { path, source },
        (_, Some(stranger)) if !is_empty => {
            let what = match compression {
                Compression::Plain => stranger.what.to_owned(),
                Compression::Gzip => format!("{}, compressed with gzip", stranger.what),
                Compression::Zstd => format!("{}, compressed with zstd", stranger.what),
            };
            OpenError::NotACapture { path, what, cure: stranger.cure }
        }
        _ => OpenError::Empty { path },
    }
}

fn combine(mut hashes: Vec<[u8; 32]>) -> [u8; 32] {
    hashes.sort_unstable();
    Sha256::digest(hashes.as_flattened()).into()
}

fn assemble(pending: Vec<Pending>) -> (Arc<[Mmap]>, Vec<Source>) {
    let mut maps = Vec::new();
    let mut parts = Vec::new();
    for Pending { file, path, format, reader, opened, .. } in pending {
        let unready = match opened {
            Opened::Mapped(map, identity, file) => {
                maps.push(map);
                Err((maps.len() as u16 - 1, identity, file))
            }
            Opened::Stream(stream) => Ok(stream),
        };
        parts.push((file, path, format, reader, unready));
    }
    let maps: Arc<[Mmap]> = maps.into();
    let sources = parts.into_iter().map(|(file, path, format, reader, unready)| {
        let input = match unready {
            Ok(stream) => SourceInput::Stream(stream),
            Err((map, identity, file)) => {
                let mapped = Mapped::new(Arc::clone(&maps), map, identity);
                match file {
                    Some(file) => SourceInput::Blocks(Blocks::new(file, mapped.bytes_total()), mapped),
                    None => SourceInput::Mapped(mapped),
                }
            }
        };
        Source { file, path, format, reader, input, tally: Tally::new(), state: State::Open, head: None }
    });
    let sources = sources.collect();
    (maps, sources)
}

/// One input.
struct Source {
    file: u16,
    path: InputPath,
    format: Format,
    reader: Reader,
    input: SourceInput,
    tally: Tally,
    state: State,
    /// The frame that waits for its turn; used where there are several sources.
    head: Option<Head>,
}

enum SourceInput {
    Mapped(Mapped),
    /// Read in blocks, and the map for what is looked at again.
    Blocks(Blocks, Mapped),
    Stream(Box<Stream>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Ended,
}

impl Source {
    #[inline]
    fn advance(&mut self) -> Option<Head> {
        while self.state == State::Open {
            let step = match &mut self.input {
                SourceInput::Blocks(input, _) => self.reader.step(input, &mut self.tally),
                SourceInput::Mapped(input) => self.reader.step(input, &mut self.tally),
                SourceInput::Stream(input) => self.reader.step(&mut **input, &mut self.tally),
            };
            match step {
                Step::Frame(head) => return Some(head),
                Step::Dry => self.dry(),
                Step::Stopped => self.stopped(),
            }
        }
        None
    }

    fn read_head(&mut self) -> Option<TimestampNs> {
        self.head = self.advance();
        self.head.map(|head| head.ts)
    }

    #[inline]
    fn frame(&self, head: &Head) -> Frame<'_> {
        let len = head.captured_bytes as usize;
        let (bytes, lent) = match &self.input {
            SourceInput::Blocks(input, mapped) => {
                let place = MappedPlace { map: mapped.map(), offset: head.offset };
                let (block, at) = input.place(head.offset);
                let from = at as usize;
                (
                    block.bytes().get(from..from + len).unwrap_or_default(),
                    Some(Lent { place, block: Some((block, at)) }),
                )
            }
            SourceInput::Mapped(input) => {
                let from = head.offset as usize;
                let place = MappedPlace { map: input.map(), offset: head.offset };
                (input.whole().get(from..from + len).unwrap_or_default(), Some(Lent { place, block: None }))
            }
            SourceInput::Stream(input) => (input.slice(head.offset, len), None),
        };
        Frame {
            ts: head.ts,
            link: head.link,
            wire_bytes: head.wire_bytes,
            number: head.number,
            file: self.file,
            bytes,
            lent,
        }
    }

    /// The input holds no whole record any more: it may have grown, else this is its end.
    #[cold]
    fn dry(&mut self) {
        match &mut self.input {
            SourceInput::Blocks(blocks, mapped) => {
                if let Some(error) = blocks.failure() {
                    self.tally.fault(FaultKind::ReadFailed, blocks.offset(), || format!("reading stops ({error})"));
                }
                mapped.skip(blocks.offset());
                match mapped.grown() {
                    Some(stream) => self.input = SourceInput::Stream(Box::new(stream)),
                    None => {
                        self.reader.close(blocks, &mut self.tally);
                        self.state = State::Ended;
                    }
                }
            }
            SourceInput::Mapped(mapped) => match mapped.grown() {
                Some(stream) => self.input = SourceInput::Stream(Box::new(stream)),
                None => {
                    self.reader.close(mapped, &mut self.tally);
                    self.state = State::Ended;
                }
            },
            SourceInput::Stream(stream) => {
                if let Some((kind, error)) = stream.failure() {
                    self.tally.fault(kind, stream.offset(), || format!("reading stops ({error})"));
                }
                self.reader.close(&mut **stream, &mut self.tally);
                self.state = State::Ended;
            }
        }
    }

    /// The reader has given up: what is left of a mapped file is counted, a stream is not read on.
    #[cold]
    fn stopped(&mut self) {
        self.state = State::Ended;
        match &mut self.input {
            SourceInput::Blocks(blocks, _) => {
                if let Some(error) = blocks.failure() {
                    self.tally.fault(FaultKind::ReadFailed, blocks.offset(), || format!("reading stops ({error})"));
                }
                self.tally.bytes_skipped += blocks.skip(u64::MAX);
            }
            SourceInput::Mapped(mapped) => self.tally.bytes_skipped += mapped.skip(u64::MAX),
            SourceInput::Stream(stream) => {
                if let Some((kind, error)) = stream.failure() {
                    self.tally.fault(kind, stream.offset(), || format!("reading stops ({error})"));
                }
            }
        }
    }

    fn progress(&self) -> (u64, Option<u64>) {
        match &self.input {
            SourceInput::Blocks(blocks, mapped) => (blocks.offset(), Some(mapped.bytes_total())),
            SourceInput::Mapped(mapped) => (mapped.offset(), Some(mapped.bytes_total())),
            SourceInput::Stream(stream) => stream.progress(),
        }
    }

    fn report(&self) -> FileReport {
        self.tally.report(self.file, self.path.clone(), self.format)
    }
}
