//! The pseudonym key: 32 bytes that must neither leak nor be lost.
//! In: a key file, the system's random source, or material to derive from. Out: a [`Key`], wiped when dropped.
//! Bounds: at most [`FILE_BYTES_MAX`] bytes of a key file are read. A `Key` never prints its bytes.
//!
//! # Keys derived from the capture
//! With no key file the key is derived from a fingerprint of the captures themselves. So a rerun over the same files gives
//! the same pseudonyms, and two findings about one subscriber can be joined. Only who already holds the very same capture
//! can compute that key, and who holds the capture has the real addresses anyway: the pseudonyms tell him nothing new.
//! The limits of that reasoning:
//! - a *public* capture has a public key: pseudonyms made from it are no protection at all;
//! - who may read the report today and gets the capture tomorrow can then reveal it;
//! - other files give other pseudonyms, so reports over different captures cannot be joined by subscriber;
//! - live capture has no file to take a fingerprint of, and needs a key file (or a random key that dies with the process).

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// The most that is read of a key file: 64 hexadecimal digits with room for white space around them.
pub const FILE_BYTES_MAX: usize = 256;

/// Separates this use of SHA-256 from every other one in the program.
const DERIVE_DOMAIN: &[u8] = b"trawlwatch pseudonym key v1\0";
/// The same for what is derived of a key in turn.
const SUBKEY_DOMAIN: &[u8] = b"trawlwatch subkey v1\0";

/// A pseudonym key: 16 bytes of AES-128 key, then 16 bytes from which the pad is made (Xu, Fan, Ammar, Moon 2002).
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Key([u8; KEY_BYTES]);

impl Key {
    /// Reads a key file: 32 raw bytes, or 64 hexadecimal digits. A file that others than its owner can read still works
    /// (secrets mounted into containers often are), but the warning is to be printed.
    pub fn from_file(path: &Path) -> Result<(Self, Option<KeyWarning>), KeyError> {
        let world = |source| KeyError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(world)?;
        let warning = file.metadata().map_err(world).map(|meta| readable_by_others(path, &meta))?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX + 1));
        file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(world)?;
        match parse(&bytes) {
            Some(key) => Ok((key, warning)),
            None => Err(KeyError::Form { path: path.to_owned(), bytes: bytes.len() }),
        }
    }

    /// Makes a new random key and writes it, in hexadecimal, to a file that only its owner can read. Never overwrites: a
    /// lost key can never reveal again what was written under it.
    pub fn create_file(path: &Path) -> Result<Self, KeyError> {
        let mut key = Self([0; KEY_BYTES]);
        getrandom::fill(&mut key.0).map_err(|source| KeyError::Random { source })?;
        let mut text = Zeroizing::new(String::with_capacity(2 * KEY_BYTES + 1));
        for byte in key.0 {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(nibble), 16).expect("a nibble is a hexadecimal digit"));
            }
        }
        text.push('\n');
        let mut file = create_private(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::AlreadyExists => KeyError::Exists { path: path.to_owned() },
            _ => KeyError::Write { path: path.to_owned(), source },
        })?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|source| {
            // Half a key is no key: leave nothing that the next run would refuse to overwrite.
            let _ = std::fs::remove_file(path);
            KeyError::Write { path: path.to_owned(), source }
        })?;
        Ok(key)
    }

    /// The key that belongs to `material`, such as the fingerprint of the captures; see above for when that is enough.
    pub fn derive(material: &[u8]) -> Self {
        Self(Sha256::new().chain_update(DERIVE_DOMAIN).chain_update(material).finalize().into())
    }

    /// From 32 bytes as they are.
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// The AES-128 key and the secret half of the pad.
    pub(super) fn halves(&self) -> (&[u8; 16], &[u8; 16]) {
        let (cipher, pad) = self.0.split_at(KEY_BYTES / 2);
        (cipher.try_into().expect("16 of 32 bytes"), pad.try_into().expect("16 of 32 bytes"))
    }

    /// 16 bytes for another purpose; they say nothing about the key.
    pub(super) fn subkey(&self, purpose: &[u8]) -> [u8; 16] {
        let hash =
            Sha256::new().chain_update(SUBKEY_DOMAIN).chain_update(purpose).chain_update([0]).chain_update(self.0);
        let whole: [u8; 32] = hash.finalize().into();
        std::array::from_fn(|i| whole[i])
    }
}

/// Says that there is a key, never which.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(secret)")
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key file cannot be read.
    #[error("key file {}: cannot be read: {source}", .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The key file does not hold a key.
    #[error("key file {}: holds {bytes} bytes that are no key; wanted: 32 raw bytes or 64 hexadecimal digits", .path.display())]
    Form {
        /// Which file.
        path: PathBuf,
        /// How many bytes were read.
        bytes: usize,
    },
    /// A key file is there already.
    #[error("key file {}: exists and is never overwritten; name another file, or move it away first", .path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// The key file cannot be written.
    #[error("key file {}: cannot be written: {source}", .path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The system gives no random bytes.
    #[error("no random bytes from the system: {source}")]
    Random {
        /// What the system says.
        source: getrandom::Error,
    },
}

/// A key that works but is not safe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key file {}: mode {mode:03o} lets others than its owner read it; run `chmod 600 {}`", .path.display(), .path.display())]
pub struct KeyWarning {
    /// Which file.
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u32,
}

/// 32 raw bytes, or 64 hexadecimal digits with white space around them.
fn parse(bytes: &[u8]) -> Option<Key> {
    if let Ok(raw) = <[u8; KEY_BYTES]>::try_from(bytes) {
        return Some(Key(raw));
    }
    let text = bytes.trim_ascii();
    if text.len() != 2 * KEY_BYTES {
        return None;
    }
    let mut key = Key([0; KEY_BYTES]);
    for (to, pair) in key.0.iter_mut().zip(text.chunks_exact(2)) {
        let mut value = 0;
        for &digit in pair {
            value = value << 4 | char::from(digit).to_digit(16)? as u8;
        }
        *to = value;
    }
    Some(key)
}

#[cfg(unix)]
fn readable_by_others(path: &Path, meta: &std::fs::Metadata) -> Option<KeyWarning> {
    use std::os::unix::fs::PermissionsExt;
    let mode = meta.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then(|| KeyWarning { path: path.to_owned(), mode })
}

#[cfg(not(unix))]
fn readable_by_others(_path: &Path, _meta: &std::fs::Metadata) -> Option<KeyWarning> {
    None
}

fn create_private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "15221 78d33a4cf80130a5b1649907d10d8988f8379796527 62574c2d2a842202";

    #[test]
    fn a_key_file_is_raw_or_hexadecimal() {
        let hex = HEX.replace(' ', "");
        let upper = hex.to_uppercase();
        let table: &[(&str, &[u8], bool)] = &[
            ("raw", &[7; 32], true),
            ("hexadecimal", hex.as_bytes(), true),
            ("upper case", upper.as_bytes(), true),
            ("a line", &[hex.as_bytes(), b"\r\n"].concat(), true),
            ("empty", b"", false),
            ("31 raw bytes", &[7; 31], false),
            ("63 digits", &hex.as_bytes()[1..], false),
            ("a letter that is no digit", &[&hex.as_bytes()[1..], b"g"].concat(), false),
            ("blank inside", HEX.as_bytes(), false),
            ("far too long", &[b'a'; 4096], false),
        ];
        let dir = tempfile::tempdir().expect("a temporary directory");
        for (name, bytes, wanted) in table {
            let path = dir.path().join("key");
            std::fs::write(&path, bytes).expect("a written file");
            assert_eq!(Key::from_file(&path).is_ok(), *wanted, "{name}");
        }
        assert_eq!(parse(hex.as_bytes()).expect("a key").0[..4], [0x15, 0x22, 0x17, 0x8d]);
    }

    #[test]
    fn a_created_key_is_private_and_never_overwritten() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("new.key");
        let key = Key::create_file(&path).expect("a new key");
        let (read, warning) = Key::from_file(&path).expect("the key again");
        assert_eq!((read.0, warning), (key.0, None));
        assert!(matches!(Key::create_file(&path), Err(KeyError::Exists { .. })));
        assert_eq!(Key::from_file(&path).expect("still the key").0.0, key.0);
        assert!(matches!(Key::from_file(&dir.path().join("none")), Err(KeyError::Read { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_warned_about() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("open.key");
        Key::create_file(&path).expect("a new key");
        for (mode, wanted) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
            let (_, warning) = Key::from_file(&path).expect("a key");
            assert_eq!(warning.is_some(), wanted, "{mode:o}");
        }
    }

    #[test]
    fn a_key_never_prints_itself() {
        assert_eq!(format!("{:?}", Key::from_bytes([7; 32])), "Key(secret)");
        assert_ne!(Key::derive(b"a").0, Key::derive(b"b").0);
        assert_eq!(Key::derive(b"a").0, Key::derive(b"a").0);
    }
}
