//! State: what outlives a restart: the analyst's hour and day, the findings, what was told of them.
//! In: `--state FILE`. Out: the same, written beside it and moved into its place, so that a kill leaves the old or the new.
//! Bounds: the analyst's. A file that cannot be read is set aside under a name of its own, and said; the run begins anew.

use std::fs::File;
use std::hash::Hasher;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

use super::announcer::Announcer;
use crate::detect::memory::Memory;

/// What every state file begins with.
const MAGIC: [u8; 8] = *b"TRAWLST\n";
/// Version of the body.
const VERSION: u16 = 2;
/// Most bytes that are read: a day of the largest summaries and every finding stay below.
const BYTES_MAX: u64 = 4 << 30;
/// Writing takes at most one part in so many of the time.
const COST_SHARE: u32 = 50;

/// What is kept.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Kept {
    /// What the analyst knows.
    pub memory: Memory,
    /// What was told, in JSON.
    announcer: String,
}

impl Kept {
    /// Of a run.
    pub fn of(memory: Memory, announcer: &Announcer) -> Self {
        let announcer = serde_json::to_string(announcer).unwrap_or_default();
        Self { memory, announcer }
    }

    /// What was told.
    pub fn announcer(&self) -> Announcer {
        serde_json::from_str(&self.announcer).unwrap_or_default()
    }
}

/// What was found at the path.
#[derive(Debug)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// What another run kept.
    Kept(Box<Kept>),
    /// Something that cannot be used; it was moved out of the way.
    SetAside {
        /// What is wrong with it.
        why: String,
        /// Where it is now.
        to: PathBuf,
    },
}

/// The state file of a run.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    written: Instant,
    cost: Duration,
}

impl StateFile {
    /// At a path.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), written: Instant::now(), cost: Duration::ZERO }
    }

    /// What is there.
    pub fn read(&self) -> io::Result<Found> {
        let bytes = match std::fs::metadata(&self.path) {
            Ok(metadata) if metadata.len() > BYTES_MAX => Err(format!("it has {} bytes", metadata.len())),
            Ok(_) => Ok(std::fs::read(&self.path)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) => return Err(error),
        };
        match bytes.and_then(|bytes| parse(&bytes)) {
            Ok(kept) => Ok(Found::Kept(Box::new(kept))),
            Err(why) => Ok(Found::SetAside { why, to: self.set_aside()? }),
        }
    }

    /// Moves what is there out of the way.
    pub fn set_aside(&self) -> io::Result<PathBuf> {
        let free = (0_u32..).map(|n| {
            let mut name = self.path.clone().into_os_string();
            name.push(if n == 0 { ".unreadable".to_owned() } else { format!(".unreadable-{n}") });
            PathBuf::from(name)
        });
        let to = free.into_iter().find(|to| !to.exists()).unwrap_or_else(|| self.path.with_extension("unreadable"));
        std::fs::rename(&self.path, &to)?;
        Ok(to)
    }

    /// Whether enough time has passed since it was last written, measured by how long that took.
    pub fn is_due(&self) -> bool {
        self.written.elapsed() >= self.cost * COST_SHARE
    }

    /// Writes it, whole or not at all.
    pub fn write(&mut self, kept: &Kept) -> io::Result<()> {
        let began = Instant::now();
        let mut name = self.path.clone().into_os_string();
        name.push(".part");
        let part = PathBuf::from(name);
        let done = write_to(&part, &to_bytes(kept)?).and_then(|()| std::fs::rename(&part, &self.path));
        if done.is_err() {
            let _ = std::fs::remove_file(&part);
        }
        (self.written, self.cost) = (Instant::now(), began.elapsed());
        done
    }
}

fn write_to(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn to_bytes(kept: &Kept) -> io::Result<Vec<u8>> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend([0; 8]);
    let mut bytes = postcard::to_extend(kept, bytes).map_err(io::Error::other)?;
    let sum = checksum(&bytes[18..]);
    bytes[10..18].copy_from_slice(&sum.to_le_bytes());
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> Result<Kept, String> {
    let rest = bytes.strip_prefix(&MAGIC).ok_or("it is no state of trawlwatch")?;
    let (version, rest) = rest.split_first_chunk::<2>().ok_or("it is cut short")?;
    match u16::from_le_bytes(*version) {
        VERSION => {}
        other => return Err(format!("it has version {other}, this build reads version {VERSION}")),
    }
    let (sum, body) = rest.split_first_chunk::<8>().ok_or("it is cut short")?;
    if u64::from_le_bytes(*sum) != checksum(body) {
        return Err("its checksum does not hold".to_owned());
    }
    postcard::from_bytes(body).map_err(|error| format!("its body cannot be read ({error})"))
}

fn checksum(bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(u64::from_le_bytes(MAGIC), u64::from(VERSION));
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_set_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state");
        let mut file = StateFile::at(&path);
        assert!(matches!(file.read(), Ok(Found::Nothing)));
        file.write(&Kept::of(Memory { findings: "[]".into(), ..Memory::default() }, &Announcer::default()))
            .expect("writes");
        let good = std::fs::read(&path).expect("reads");
        assert!(matches!(file.read(), Ok(Found::Kept(kept)) if kept.memory.findings == "[]"));
        let flipped: Vec<u8> = good.iter().enumerate().map(|(i, b)| if i == 20 { b ^ 1 } else { *b }).collect();
        for (name, bytes, wanted) in [
            ("empty", vec![], "no state"),
            ("something else", b"hello, world".to_vec(), "no state"),
            ("cut", good[..14].to_vec(), "cut short"),
            ("changed", flipped, "checksum"),
            ("of another version", [&good[..8], &[9, 0], &good[10..]].concat(), "version 9"),
        ] {
            std::fs::write(&path, &bytes).expect("writes");
            let Ok(Found::SetAside { why, to }) = file.read() else { panic!("{name}: taken") };
            assert!(why.contains(wanted), "{name}: {why}");
            assert_eq!(std::fs::read(&to).expect("kept"), bytes, "{name}");
            assert!(!path.exists(), "{name}");
        }
    }
}
