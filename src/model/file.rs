//! The model file: bytes that say what they are before they say anything else.
//!
//! | offset | bytes | field |
//! | --- | --- | --- |
//! | 0 | 8 | magic `TRWLMDL\n` |
//! | 8 | 4 | format version, little-endian as all numbers here |
//! | 12 | 4 | hash of the flow features' register |
//! | 16 | 4 | hash of the profile features' register |
//! | 20 | 8 | length of the body |
//! | 28 | 32 | SHA-256 over bytes 0 to 27 and the body |
//! | 60 | … | body, postcard |
//!
//! Bounds: [`MODEL_BYTES_MAX`]; nothing is allocated for a length that the file does not have. A file is data: nothing in it is
//! executed, and what it says is checked before it is believed.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::Model;
use crate::features::SET_HASH;

/// First bytes of every model file.
const MAGIC: [u8; 8] = *b"TRWLMDL\n";
/// Version of the form of body and header.
pub const FORMAT_VERSION: u32 = 2;
/// Bytes before the body.
const HEADER_BYTES: usize = 60;
/// Bytes of the header that the checksum covers.
const SUMMED_BYTES: usize = 28;
/// Largest file read: a model of 256 codewords and 2,000 kept profiles of 100 features takes 2 MB, and a forged one unfolds to
/// some forty times its size in memory.
pub const MODEL_BYTES_MAX: u64 = 8 << 20;

/// Why a model file was not taken.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum LoadError {
    #[error("{}: cannot be read: {source}; check the path given to --model", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "{}: {found} bytes, more than the {max} of any model; give a file that `trawlwatch train` \
         wrote",
        .path.display(), max = MODEL_BYTES_MAX
    )]
    TooLong { path: PathBuf, found: u64 },
    #[error(
        "{}: not a model: begins with {found:?}, a model with \"TRWLMDL\\n\"; give a file that `trawlwatch train` \
         wrote",
        .path.display()
    )]
    Magic { path: PathBuf, found: String },
    #[error(
        "{}: model format {found}, this build reads {built}; run `trawlwatch train` again, or use the build that \
         wrote it",
        .path.display(), built = FORMAT_VERSION
    )]
    Version { path: PathBuf, found: u32 },
    #[error("{}: {found} bytes, its header says {expected}: cut short or appended to; copy it again", .path.display())]
    Length { path: PathBuf, found: u64, expected: u64 },
    #[error(
        "{}: checksum does not match: expected {expected}, found {found}; the file was damaged or changed, copy \
         it again",
        .path.display()
    )]
    Checksum { path: PathBuf, expected: String, found: String },
    #[error(
        "{}: trained on feature set {found:08x}, this build computes {built:08x}; run `trawlwatch train` \
         again",
        .path.display(), built = SET_HASH
    )]
    FeatureSet { path: PathBuf, found: u32 },
    #[error(
        "{}: trained on profile set {found:08x}, this build computes {built:08x}; run `trawlwatch train` \
         again",
        .path.display()
    )]
    ProfileSet { path: PathBuf, found: u32, built: u32 },
    #[error("{}: body cannot be decoded ({reason}); run `trawlwatch train` again", .path.display())]
    Body { path: PathBuf, reason: String },
}

/// Why a model was not written.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum SaveError {
    #[error("{}: cannot be written: {source}; choose a folder that exists and that you may write to", .path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error(
        "{}: the model takes {found} bytes, more than the {max} that would be read back; ask for fewer codewords \
         or rows",
        .path.display(), max = MODEL_BYTES_MAX
    )]
    TooLong { path: PathBuf, found: u64 },
}

impl Model {
    /// Reads a model file; `profile_set` is the hash of the profile register that this build computes.
    pub fn load(path: &Path, profile_set: u32) -> Result<Self, LoadError> {
        let failed = |source| LoadError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let mut bytes = Vec::new();
        // The limit holds while reading too: a pipe or a growing file has no length to ask for.
        file.take(MODEL_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
        Self::from_bytes(path, &bytes, profile_set)
    }

    /// The same from bytes at hand; `path` names them in errors.
    pub fn from_bytes(path: &Path, bytes: &[u8], profile_set: u32) -> Result<Self, LoadError> {
        let path = || path.to_owned();
        let found = bytes.len() as u64;
        if found > MODEL_BYTES_MAX {
            return Err(LoadError::TooLong { path: path(), found });
        }
        if !bytes.starts_with(&MAGIC) {
            let found = String::from_utf8_lossy(&bytes[..bytes.len().min(MAGIC.len())]).into_owned();
            return Err(LoadError::Magic { path: path(), found });
        }
        let Some((header, body)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err(LoadError::Length { path: path(), found, expected: HEADER_BYTES as u64 });
        };
        let header = Header::read(header);
        if header.version != FORMAT_VERSION {
            return Err(LoadError::Version { path: path(), found: header.version });
        }
        let expected = header.body_bytes.saturating_add(HEADER_BYTES as u64);
        if expected != found {
            return Err(LoadError::Length { path: path(), found, expected });
        }
        let sum = checksum(&bytes[..SUMMED_BYTES], body);
        if sum != header.checksum {
            return Err(LoadError::Checksum { path: path(), expected: hex(&header.checksum), found: hex(&sum) });
        }
        if header.feature_set != SET_HASH {
            return Err(LoadError::FeatureSet { path: path(), found: header.feature_set });
        }
        if header.profile_set != profile_set {
            return Err(LoadError::ProfileSet { path: path(), found: header.profile_set, built: profile_set });
        }
        let refused = |reason: String| LoadError::Body { path: path(), reason };
        let (model, rest) = postcard::take_from_bytes::<Self>(body).map_err(|error| refused(error.to_string()))?;
        if !rest.is_empty() {
            return Err(refused(format!("{} bytes after its end", rest.len())));
        }
        if (model.feature_set, model.profile_set) != (header.feature_set, header.profile_set) {
            return Err(refused("header and body name different registers".to_owned()));
        }
        model.check().map_err(|reason| refused(reason.to_owned()))?;
        Ok(model)
    }

    /// As the bytes of a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Only a type that postcard has no form for can fail here, and it would in every test.
        let body = postcard::to_stdvec(self).unwrap_or_else(|error| panic!("a model has a binary form: {error}"));
        let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
        bytes.extend_from_slice(&MAGIC);
        for number in [FORMAT_VERSION, self.feature_set, self.profile_set] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
        let sum = checksum(&bytes, &body);
        bytes.extend_from_slice(&sum);
        bytes.extend_from_slice(&body);
        bytes
    }

    /// Writes the model file and, beside it, `NAME.card.md`. Each appears whole or not at all.
    pub fn save(&self, path: &Path) -> Result<(), SaveError> {
        let bytes = self.to_bytes();
        if bytes.len() as u64 > MODEL_BYTES_MAX {
            return Err(SaveError::TooLong { path: path.to_owned(), found: bytes.len() as u64 });
        }
        write_whole(path, &bytes)?;
        write_whole(&card_path(path), self.card().to_string().as_bytes())
    }
}

/// `NAME.card.md` beside `NAME.anything`.
pub(super) fn card_path(model: &Path) -> PathBuf {
    model.with_extension("card.md")
}

/// Writes beside the place, then moves: a reader sees the old file or the new one.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), SaveError> {
    let failed = |source| SaveError::Write { path: path.to_owned(), source };
    let mut name = path.file_name().map(ToOwned::to_owned).ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let written = File::create(&part).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&part, path)).map_err(|source| {
        // What is left of the attempt helps nobody; that it cannot be removed is not the news.
        let _ = fs::remove_file(&part);
        failed(source)
    })
}

/// The header's fields after the magic.
struct Header {
    version: u32,
    feature_set: u32,
    profile_set: u32,
    body_bytes: u64,
    checksum: [u8; 32],
}

impl Header {
    fn read(bytes: &[u8; HEADER_BYTES]) -> Self {
        let number = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        Self {
            version: number(8),
            feature_set: number(12),
            profile_set: number(16),
            body_bytes: u64::from_le_bytes(std::array::from_fn(|i| bytes[20 + i])),
            checksum: std::array::from_fn(|i| bytes[SUMMED_BYTES + i]),
        }
    }
}

fn checksum(header: &[u8], body: &[u8]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(header);
    hasher.update(body);
    hasher.finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
