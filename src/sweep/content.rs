//! Content: what tells a capture from another whatever its name is, and knows it again after more was written to it.
//! In: a file. Out: a hash of its head, and one over samples of its first so many bytes.
//! Bounds: at most [`SAMPLED_BYTES`] bytes are read of a file, however long it is.
//! What is not noticed: a file of the same length that differs only between the samples.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};

/// Bytes of the head.
pub const HEAD_BYTES: u64 = 4096;
/// Samples, the head and the tail among them.
const SAMPLES: u64 = 10;
/// Most bytes that are read.
pub const SAMPLED_BYTES: u64 = SAMPLES * HEAD_BYTES;

/// Hash of the first `size` bytes, at most [`HEAD_BYTES`].
pub fn head_of(file: &File, size: u64) -> io::Result<[u8; 32]> {
    let mut bytes = vec![0; size.min(HEAD_BYTES) as usize];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(Sha256::digest(&bytes).into())
}

/// Hash over the length `size` and samples of the first `size` bytes, evenly spread from the first to the last.
pub fn mark_of(file: &File, size: u64) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new_with_prefix(b"trawlwatch content v1\0");
    hash.update(size.to_be_bytes());
    let mut sample = |from: u64, len: u64| -> io::Result<()> {
        let mut bytes = vec![0; len as usize];
        file.read_exact_at(&mut bytes, from)?;
        hash.update(&bytes);
        Ok(())
    };
    if size <= SAMPLED_BYTES {
        sample(0, size)?;
    } else {
        for i in 0..SAMPLES {
            let at = u128::from(size - HEAD_BYTES) * u128::from(i) / u128::from(SAMPLES - 1);
            sample(at as u64, HEAD_BYTES)?;
        }
    }
    Ok(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_beginning_after_it_grew() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for size in [0, 10, 5_000, 100_000] {
            let bytes: Vec<u8> =
                (0..size as u32 + 9_000).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
            let path = folder.path().join(format!("{size}"));
            std::fs::write(&path, &bytes[..size]).expect("written");
            let file = File::open(&path).expect("opened");
            let (head, mark) = (head_of(&file, size as u64).expect("read"), mark_of(&file, size as u64).expect("read"));
            std::fs::write(&path, &bytes).expect("written");
            let grown = File::open(&path).expect("opened");
            assert_eq!(head_of(&grown, size as u64).expect("read"), head, "{size}");
            assert_eq!(mark_of(&grown, size as u64).expect("read"), mark, "{size}");
            assert_ne!(mark_of(&grown, bytes.len() as u64).expect("read"), mark, "{size}");
            assert!(mark_of(&grown, bytes.len() as u64 + 1).is_err(), "{size}: shorter than it should be");
        }
    }
}
