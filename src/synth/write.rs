//! Writing a capture: nanosecond pcap (magic 0xa1b23c4d), packed with zstd where the name ends in `.zst`.
//! In: frames in time order. Out: a file whose bytes depend on the frames alone: fixed level, one thread, no wall clock.
//! Bounds: one buffer and the compressor's window.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::units::TimestampNs;

/// Longest frame that the file says it may hold.
const SNAP_BYTES: u32 = 65_535;
const LINK_ETHERNET: u32 = 1;
/// zstd's level for captures: higher ones gain under 3 % on such traffic and take several times as long.
const ZSTD_LEVEL: i32 = 9;
/// Window of 2^23 bytes: what every decoder takes without being asked, and enough to see a pool slice again.
const ZSTD_WINDOW_LOG: u32 = 23;
const BUFFER_BYTES: usize = 1 << 18;

/// Why a capture could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// It exists and nobody said that it may go.
    #[error("{}: exists already; use --force to write over it, or another name", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A capture needs labels and a policy beside it.
    #[error("{}: a capture's name ends in .pcap or .pcap.zst, so that labels and policy can stand beside it", .path.display())]
    Name {
        /// What was asked for.
        path: PathBuf,
    },
    /// The system refused.
    #[error("{}: cannot write: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A file that also knows its length.
struct Counted {
    file: File,
    bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

enum Out {
    /// Frames are counted and forgotten.
    Nowhere,
    Plain(BufWriter<Counted>),
    Packed(Box<BufWriter<zstd::Encoder<'static, Counted>>>),
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Nowhere => Ok(bytes.len()),
            Self::Plain(out) => out.write(bytes),
            Self::Packed(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Nowhere => Ok(()),
            Self::Plain(out) => out.flush(),
            Self::Packed(out) => out.flush(),
        }
    }
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Frames.
    pub packets: u64,
    /// Bytes of the frames.
    pub frame_bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Time of the first frame and the last.
    pub span: Option<(TimestampNs, TimestampNs)>,
}

/// An open capture.
pub(crate) struct CaptureWriter {
    out: Out,
    path: PathBuf,
    packets: u64,
    frame_bytes: u64,
    span: Option<(TimestampNs, TimestampNs)>,
}

impl CaptureWriter {
    /// A capture that is counted and not kept.
    pub(crate) fn nowhere() -> Self {
        Self { out: Out::Nowhere, path: PathBuf::new(), packets: 0, frame_bytes: 0, span: None }
    }

    pub(crate) fn create(path: &Path) -> Result<Self, WriteError> {
        let failed = |source| WriteError::Io { path: path.to_owned(), source };
        let file = Counted { file: File::create(path).map_err(failed)?, bytes: 0 };
        let packed = path.extension().is_some_and(|ending| ending == "zst");
        let out = match packed {
            false => Out::Plain(BufWriter::with_capacity(BUFFER_BYTES, file)),
            true => {
                let mut encoder = zstd::Encoder::new(file, ZSTD_LEVEL).map_err(failed)?;
                encoder.window_log(ZSTD_WINDOW_LOG).map_err(failed)?;
                encoder.include_checksum(true).map_err(failed)?;
                Out::Packed(Box::new(BufWriter::with_capacity(BUFFER_BYTES, encoder)))
            }
        };
        let mut writer = Self { out, path: path.to_owned(), packets: 0, frame_bytes: 0, span: None };
        let mut head = Vec::with_capacity(24);
        head.extend(0xa1b2_3c4d_u32.to_le_bytes());
        head.extend([2, 0, 4, 0]);
        head.extend([0; 8]);
        head.extend(SNAP_BYTES.to_le_bytes());
        head.extend(LINK_ETHERNET.to_le_bytes());
        writer.put(&head)?;
        Ok(writer)
    }

    /// Writes what is kept of a frame of `whole` bytes.
    pub(crate) fn write(&mut self, at: TimestampNs, frame: &[u8], whole: usize) -> Result<(), WriteError> {
        let mut head = [0; 16];
        head[..4].copy_from_slice(&((at.0 / 1_000_000_000) as u32).to_le_bytes());
        head[4..8].copy_from_slice(&((at.0 % 1_000_000_000) as u32).to_le_bytes());
        head[8..12].copy_from_slice(&(frame.len() as u32).to_le_bytes());
        head[12..].copy_from_slice(&(whole as u32).to_le_bytes());
        self.put(&head)?;
        self.put(frame)?;
        self.packets += 1;
        self.frame_bytes += frame.len() as u64;
        self.span.get_or_insert((at, at)).1 = at;
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<Written, WriteError> {
        let path = self.path;
        let failed = |source| WriteError::Io { path: path.clone(), source };
        let into_inner = |error: io::Error| WriteError::Io { path: path.clone(), source: error };
        let mut file = match self.out {
            Out::Nowhere => {
                return Ok(Written {
                    packets: self.packets,
                    frame_bytes: self.frame_bytes,
                    file_bytes: 0,
                    span: self.span,
                });
            }
            Out::Plain(out) => out.into_inner().map_err(|e| into_inner(e.into_error()))?,
            Out::Packed(out) => out.into_inner().map_err(|e| into_inner(e.into_error()))?.finish().map_err(failed)?,
        };
        file.flush().map_err(failed)?;
        Ok(Written { packets: self.packets, frame_bytes: self.frame_bytes, file_bytes: file.bytes, span: self.span })
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.out.write_all(bytes).map_err(|source| WriteError::Io { path: self.path.clone(), source })
    }
}
