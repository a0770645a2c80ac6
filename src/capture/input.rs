//! Inputs: bytes of a capture, mapped, streamed or in blocks (`blocks`), behind one small trait that the savefile readers are generic over.
//! In: paths, standard input. Out: windows of bytes at a position that only moves forward.
//! Bounds: a stream's buffer never exceeds [`WINDOW_BYTES_MAX`], whatever the compression promises.
//! Not here: what the bytes mean (`savefile`), which file comes first (`captures`).

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{Advice, Mmap};
use sha2::{Digest, Sha256};

use super::error::OpenError;
use super::fault::FaultKind;
use super::sniff::{self, Compression};
use crate::simd::prefetch;

/// Longest frame believed, in captured bytes: twice what Linux lets segmentation offload build (`GSO_MAX_SIZE`, 524,280).
/// The longest in the wild so far is 80,156 (BIG TCP). A record that claims more is taken for damage.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// Longest pcapng block believed; libpcap has the same bound.
pub const BLOCK_BYTES_MAX: u32 = 16 << 20;
/// Most bytes that a stream keeps at a time.
pub const WINDOW_BYTES_MAX: usize = 2 * FRAME_BYTES_MAX;
/// Bytes of each capture, decompressed, that the fingerprint covers.
pub const FINGERPRINT_BYTES: usize = 1 << 20;
/// Buffer of a stream that never needs more: most do not.
const STREAM_BUFFER_BYTES: usize = 256 << 10;
/// How far ahead of the position a mapped file is asked for. A record says where the next one begins, so that each step waits
/// for memory where none of it is near: 114 ns a record on a mix of sizes, 40 with this distance; 1 KiB gave 60, 4 KiB 45.
const AHEAD_BYTES: usize = 2048;

/// Where a capture is read from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum InputPath {
    /// Standard input, written `-`.
    Stdin,
    /// A file, fifo or device.
    File(PathBuf),
}

impl InputPath {
    /// `-` is standard input, all else a path.
    pub fn parse(text: impl AsRef<OsStr>) -> Self {
        match text.as_ref() {
            dash if dash == "-" => Self::Stdin,
            path => Self::File(PathBuf::from(path)),
        }
    }
}

impl fmt::Display for InputPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// Bytes at a position that moves forward.
pub(super) trait Input {
    /// The bytes from the position on: at least `want` of them unless fewer are left. `want` is at most
    /// [`WINDOW_BYTES_MAX`].
    fn window(&mut self, want: usize) -> &[u8];
    /// Moves on by `bytes`, which the last window held.
    fn advance(&mut self, bytes: usize);
    /// Moves on by up to `bytes`, fewer where the input ends first; returns by how many.
    fn skip(&mut self, bytes: u64) -> u64;
    /// The position, in bytes of the decompressed capture.
    fn offset(&self) -> u64;
}

/// A mapped file.
#[derive(Debug)]
pub(super) struct Mapped {
    maps: Arc<[Mmap]>,
    map: u16,
    position: usize,
    /// Up to where the processor was asked to bring the file near.
    asked: usize,
    identity: FileIdentity,
}

/// What tells that a path still names the file that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileIdentity {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Mapped {
    pub fn new(maps: Arc<[Mmap]>, map: u16, identity: FileIdentity) -> Self {
        Self { maps, map, position: 0, asked: 0, identity }
    }

    pub fn map(&self) -> u16 {
        self.map
    }

    #[inline]
    pub fn whole(&self) -> &[u8] {
        &self.maps[usize::from(self.map)]
    }

    pub fn bytes_total(&self) -> u64 {
        self.whole().len() as u64
    }

    /// What was appended since the file was mapped, from the position on, as a stream.
    pub fn grown(&self) -> Option<Stream> {
        let file = File::open(&self.identity.path).ok()?;
        let metadata = file.metadata().ok()?;
        let same = metadata.dev() == self.identity.device && metadata.ino() == self.identity.inode;
        if !same || metadata.len() <= self.bytes_total() {
            return None;
        }
        let position = self.position as u64;
        let mut file = file;
        file.seek(SeekFrom::Start(position)).ok()?;
        let mut stream = Stream::new(Compression::Plain, Box::new(file), Arc::new(AtomicU64::new(position)));
        stream.base = position;
        stream.bytes_total = Some(metadata.len());
        Some(stream)
    }
}

impl Input for Mapped {
    #[inline]
    fn window(&mut self, _want: usize) -> &[u8] {
        self.whole().get(self.position..).unwrap_or_default()
    }

    #[inline]
    fn advance(&mut self, bytes: usize) {
        self.position += bytes;
        let (from, to) = (self.asked.max(self.position), self.position + AHEAD_BYTES);
        // A frame longer than the distance is not asked for: its bytes may never be looked at.
        prefetch::stretch(self.whole(), from, to);
        self.asked = from + to.saturating_sub(from).next_multiple_of(prefetch::LINE_BYTES);
    }

    fn skip(&mut self, bytes: u64) -> u64 {
        let left = self.bytes_total().saturating_sub(self.position as u64);
        let step = bytes.min(left);
        self.position += step as usize;
        step
    }

    #[inline]
    fn offset(&self) -> u64 {
        self.position as u64
    }
}

/// A stream, decompressed where need be.
pub(super) struct Stream {
    reader: Box<dyn Read + Send>,
    compression: Compression,
    /// Its whole length is in use; the valid part is `start..end`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset in the capture of the buffer's first byte.
    base: u64,
    ended: bool,
    failure: Option<io::Error>,
    bytes_read: Arc<AtomicU64>,
    bytes_total: Option<u64>,
}

impl Stream {
    fn new(compression: Compression, reader: Box<dyn Read + Send>, bytes_read: Arc<AtomicU64>) -> Self {
        let reader = Box::new(Counted { reader, bytes_read: Arc::clone(&bytes_read) });
        Self {
            reader,
            compression,
            buffer: vec![0; STREAM_BUFFER_BYTES],
            start: 0,
            end: 0,
            base: 0,
            ended: false,
            failure: None,
            bytes_read,
            bytes_total: None,
        }
    }

    /// Bytes taken from the operating system, compressed as they may be, and how many there are.
    pub fn progress(&self) -> (u64, Option<u64>) {
        (self.bytes_read.load(Ordering::Relaxed), self.bytes_total)
    }

    /// The bytes at an offset that the last window covered.
    #[inline]
    pub fn slice(&self, offset: u64, len: usize) -> &[u8] {
        let from = offset.saturating_sub(self.base) as usize;
        self.buffer.get(from..from.saturating_add(len)).unwrap_or_default()
    }

    /// What ended the stream before its time.
    pub fn failure(&mut self) -> Option<(FaultKind, io::Error)> {
        let error = self.failure.take()?;
        let kind = match (self.compression, error.kind()) {
            (Compression::Plain, _) => FaultKind::ReadFailed,
            _ if error.raw_os_error().is_some() => FaultKind::ReadFailed,
            (_, io::ErrorKind::UnexpectedEof) => FaultKind::StreamCut,
            _ => FaultKind::StreamCorrupt,
        };
        Some((kind, error))
    }

    #[cold]
    fn fill(&mut self, want: usize) {
        assert!(want <= WINDOW_BYTES_MAX, "a reader wants a window of {want} bytes");
        if self.start + want > self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            self.base += self.start as u64;
            self.end -= self.start;
            self.start = 0;
            // Twice the window, so that bytes move once a window's length and not once a record.
            if 2 * want > self.buffer.len() {
                self.buffer.resize((2 * want).next_power_of_two().min(WINDOW_BYTES_MAX), 0);
            }
        }
        while !self.ended && self.end - self.start < want {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(n) => self.end += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.ended = true;
                    self.failure = Some(error);
                }
            }
        }
    }
}

impl Input for Stream {
    #[inline]
    fn window(&mut self, want: usize) -> &[u8] {
        if self.end - self.start < want && !self.ended {
            self.fill(want);
        }
        &self.buffer[self.start..self.end]
    }

    #[inline]
    fn advance(&mut self, bytes: usize) {
        self.start += bytes;
        assert!(self.start <= self.end, "a reader advances beyond its window");
    }

    fn skip(&mut self, bytes: u64) -> u64 {
        let mut left = bytes;
        while left > 0 {
            let have = self.window(1).len();
            if have == 0 {
                break;
            }
            let step = left.min(have as u64);
            self.advance(step as usize);
            left -= step;
        }
        bytes - left
    }

    #[inline]
    fn offset(&self) -> u64 {
        self.base + self.start as u64
    }
}

/// A reader that says how far it is.
struct Counted<R> {
    reader: R,
    bytes_read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(buffer)?;
        self.bytes_read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// An input that is open, before all maps are known.
pub(super) enum Opened {
    Mapped(Mmap, FileIdentity, Option<File>),
    Stream(Box<Stream>),
}

impl Opened {
    /// Opens an input and tells its compression. A file that is mapped stays open only where it `is_kept_open`.
    pub fn open(path: &InputPath, is_kept_open: bool) -> Result<(Self, Compression), OpenError> {
        let unreadable = |source| OpenError::Unreadable { path: path.clone(), source };
        let file = match path {
            InputPath::Stdin => io::stdin().as_fd().try_clone_to_owned().map(File::from),
            InputPath::File(path) => File::open(path),
        };
        let file = file.map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(OpenError::Directory { path: path.clone() });
        }
        if file.is_terminal() {
            return Err(OpenError::Terminal { path: path.clone() });
        }
        let InputPath::File(name) = path else { return Self::stream(file, None).map_err(unreadable) };
        if !metadata.is_file() || metadata.len() == 0 {
            return Self::stream(file, None).map_err(unreadable);
        }
        // A file system that cannot map is read as a stream.
        let Ok(map) = map_file(&file) else { return Self::stream(file, Some(metadata.len())).map_err(unreadable) };
        match sniff::compression(&map) {
            Compression::Plain => {
                let identity = FileIdentity { path: name.clone(), device: metadata.dev(), inode: metadata.ino() };
                Ok((Self::Mapped(map, identity, is_kept_open.then_some(file)), Compression::Plain))
            }
            _ => Self::stream(file, Some(metadata.len())).map_err(unreadable),
        }
    }

    fn stream(mut file: File, bytes_total: Option<u64>) -> io::Result<(Self, Compression)> {
        let mut head = [0; 4];
        let mut have = 0;
        while have < head.len() {
            match file.read(&mut head[have..]) {
                Ok(0) => break,
                Ok(n) => have += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let compression = sniff::compression(&head[..have]);
        let bytes_read = Arc::new(AtomicU64::new(0));
        let raw = io::Cursor::new(head).take(have as u64).chain(file);
        let mut stream = match compression {
            Compression::Plain => Stream::new(compression, Box::new(raw), Arc::clone(&bytes_read)),
            // The count is of compressed bytes: it is what the total is known of.
            Compression::Gzip => {
                let counted = Counted { reader: raw, bytes_read: Arc::clone(&bytes_read) };
                Stream::new(compression, Box::new(flate2::read::MultiGzDecoder::new(counted)), Arc::default())
            }
            Compression::Zstd => {
                let counted = Counted { reader: raw, bytes_read: Arc::clone(&bytes_read) };
                Stream::new(compression, Box::new(zstd::Decoder::new(counted)?), Arc::default())
            }
        };
        stream.bytes_read = bytes_read;
        stream.bytes_total = bytes_total;
        Ok((Self::Stream(Box::new(stream)), compression))
    }

    /// SHA-256 over the first [`FINGERPRINT_BYTES`] of the capture, the same for a file and its compressed copy.
    pub fn fingerprint(&mut self, path: &InputPath) -> [u8; 32] {
        if let (Self::Stream(stream), InputPath::File(name)) = (&*self, path)
            && stream.bytes_total.is_some()
        {
            // A file can be read twice, so that its stream keeps a small buffer; of an archive there may be thousands.
            if let Ok(digest) = File::open(name).and_then(hash_of_file) {
                return digest;
            }
        }
        let head = self.head(FINGERPRINT_BYTES);
        Sha256::digest(&head[..head.len().min(FINGERPRINT_BYTES)]).into()
    }

    /// The first bytes: at least `want` unless there are fewer.
    pub fn head(&mut self, want: usize) -> &[u8] {
        match self {
            Self::Mapped(map, ..) => map,
            Self::Stream(stream) => stream.window(want),
        }
    }

    /// What ended the stream, where it failed before `head` could be filled.
    pub fn failure(&mut self) -> Option<io::Error> {
        match self {
            Self::Mapped(..) => None,
            Self::Stream(stream) => stream.failure.take(),
        }
    }
}

fn hash_of_file(file: File) -> io::Result<[u8; 32]> {
    let (Opened::Stream(mut stream), _) = Opened::stream(file, None)? else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    let mut hash = Sha256::new();
    let mut left = FINGERPRINT_BYTES;
    while left > 0 {
        let window = stream.window(1);
        let part = window.len().min(left);
        if part == 0 {
            break;
        }
        hash.update(&window[..part]);
        stream.advance(part);
        left -= part;
    }
    Ok(hash.finalize().into())
}

fn map_file(file: &File) -> io::Result<Mmap> {
    #[expect(unsafe_code, reason = "a mapped file spares a copy of every frame")]
    // SAFETY: the map is private to this process and read-only, and every access is checked against its length. What
    // the type system cannot rule out is another process cutting the file while it is read (SIGBUS) or writing into it
    // (bytes that change); every parser here reads a byte once per decision and checks all bounds, so that changed
    // bytes give a wrong count and never an access out of bounds.
    let map = unsafe { Mmap::map(file) }?;
    // Only a hint: read ahead further, and drop the pages behind first.
    let _ = map.advise(Advice::Sequential);
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that gives one byte at a time and then fails.
    struct Drip(Vec<u8>, Option<io::ErrorKind>);

    impl Read for Drip {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return self.1.take().map_or(Ok(0), |kind| Err(kind.into()));
            }
            buffer[0] = self.0.remove(0);
            Ok(1)
        }
    }

    fn stream(bytes: &[u8], failure: Option<io::ErrorKind>) -> Stream {
        Stream::new(Compression::Gzip, Box::new(Drip(bytes.to_vec(), failure)), Arc::default())
    }

    #[test]
    fn a_window_holds_what_was_asked_for_and_offsets_go_on() {
        let bytes: Vec<u8> = (0..200).collect();
        let mut stream = stream(&bytes, None);
        assert_eq!(&stream.window(3)[..3], &[0, 1, 2]);
        stream.advance(3);
        assert_eq!(stream.skip(97), 97);
        assert_eq!((stream.offset(), stream.window(1)[0]), (100, 100));
        assert_eq!(stream.window(1000).len(), 100);
        assert_eq!(stream.slice(150, 2), &[150, 151]);
        assert_eq!(stream.skip(1000), 100);
        assert!(stream.window(1).is_empty());
    }

    #[test]
    fn a_failure_comes_after_the_bytes_before_it() {
        let table = [
            (io::ErrorKind::UnexpectedEof, FaultKind::StreamCut),
            (io::ErrorKind::InvalidData, FaultKind::StreamCorrupt),
        ];
        for (failure, wanted) in table {
            let mut stream = stream(&[1, 2, 3], Some(failure));
            assert_eq!(stream.window(10), &[1, 2, 3]);
            assert_eq!(stream.failure().map(|(kind, _)| kind), Some(wanted));
        }
    }

    #[test]
    fn a_buffer_moves_and_grows_within_its_bound() {
        let bytes = vec![7; STREAM_BUFFER_BYTES * 3];
        let mut stream = Stream::new(Compression::Plain, Box::new(io::Cursor::new(bytes)), Arc::default());
        stream.window(STREAM_BUFFER_BYTES);
        stream.advance(STREAM_BUFFER_BYTES - 10);
        assert!(stream.window(STREAM_BUFFER_BYTES + 1).len() > STREAM_BUFFER_BYTES);
        assert!(stream.buffer.len() <= WINDOW_BYTES_MAX);
        assert_eq!(stream.offset(), STREAM_BUFFER_BYTES as u64 - 10);
    }
}
