//! Payload: where the bytes after a transport header come from.
//! In: a source and a range of it. Out: those bytes, the same each time they are asked for, so that a retransmission repeats
//! what was sent. What lies behind a handshake is opaque: slices of one pseudo-random pool in records with right headers.
//! Bounds: the pool is [`POOL_BYTES`] whatever is sent; a repeated slice is what lets zstd pack a capture.

use std::rc::Rc;

use crate::synth::dice::{Dice, Seeds};

/// Distinct opaque bytes of a world. 64 KiB: far more than a segment, and within the reach of any zstd window.
const POOL_BYTES: usize = 1 << 16;
/// Longest slice asked for at once.
const SLICE_BYTES_MAX: usize = 1 << 12;
/// TLS record header (RFC 8446 section 5.1).
pub(crate) const RECORD_HEADER_BYTES: u64 = 5;

/// Opaque bytes.
#[derive(Debug)]
pub(crate) struct Pool(Vec<u8>);

impl Pool {
    pub(crate) fn new(seeds: &Seeds) -> Self {
        let mut bytes = seeds.pool(POOL_BYTES);
        bytes.extend_from_within(..SLICE_BYTES_MAX);
        Self(bytes)
    }

    /// Fills `out` with the pool from `at` on, round and round.
    fn fill(&self, at: u64, out: &mut [u8]) {
        let mut at = (at % POOL_BYTES as u64) as usize;
        for piece in out.chunks_mut(SLICE_BYTES_MAX) {
            piece.copy_from_slice(&self.0[at..at + piece.len()]);
            at = (at + piece.len()) % POOL_BYTES;
        }
    }
}

/// A stream of bytes of known length, any range of which can be had at any time.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// Written out.
    Bytes(Rc<[u8]>),
    /// TLS application data: records of `record` bytes each, the last one shorter, over opaque bytes from `base` on.
    Records { base: u64, total: u64, record: u32 },
    /// A head written out, opaque bytes from `base` on behind it.
    HeadThenOpaque { head: Rc<[u8]>, base: u64 },
    /// Nothing but opaque bytes behind a short head.
    Framed { head: [u8; 20], head_bytes: u8, base: u64 },
}

/// Most ciphertext of a record: 2^14 and what TLS 1.3 adds (RFC 8446 section 5.2).
const RECORD_BYTES_MAX: u64 = 16_384 + 17;

impl Source {
    pub(crate) fn bytes(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }

    /// TLS application data that carries `plain` bytes; gives the stream's length too. `record_plain` is how much the
    /// sender puts in a record: stacks that care for latency send about a segment, others as much as is allowed.
    pub(crate) fn records(plain: u64, record_plain: u64, dice: &mut Dice) -> (Self, u64) {
        let record = (record_plain + 17).min(RECORD_BYTES_MAX) + RECORD_HEADER_BYTES;
        let overhead = 17 + RECORD_HEADER_BYTES;
        let count = plain.div_ceil(record - overhead).max(1);
        let total = plain.max(1) + count * overhead;
        (Self::Records { base: dice.below(POOL_BYTES as u64), total, record: record as u32 }, total)
    }

    /// The bytes from `from` on.
    pub(crate) fn fill(&self, from: u64, out: &mut [u8], pool: &Pool) {
        match self {
            Self::Bytes(bytes) => {
                let from = from as usize;
                out.copy_from_slice(&bytes[from..from + out.len()]);
            }
            Self::Records { base, total, record } => {
                pool.fill(base + from, out);
                write_record_headers(from, *total, u64::from(*record), out);
            }
            Self::HeadThenOpaque { head, base } => fill_behind(head, *base, from, out, pool),
            Self::Framed { head, head_bytes, base } => {
                fill_behind(&head[..usize::from(*head_bytes)], *base, from, out, pool);
            }
        }
    }
}

fn fill_behind(head: &[u8], base: u64, from: u64, out: &mut [u8], pool: &Pool) {
    let head = head.get(from as usize..).unwrap_or(&[]);
    let own = head.len().min(out.len());
    out[..own].copy_from_slice(&head[..own]);
    pool.fill(base + from + own as u64, &mut out[own..]);
}

/// Writes the record headers that fall into a range of the stream.
fn write_record_headers(from: u64, total: u64, record: u64, out: &mut [u8]) {
    let end = from + out.len() as u64;
    let mut at = from - from % record;
    while at < end {
        let length = record.min(total - at) - RECORD_HEADER_BYTES;
        let header = [23, 3, 3, (length >> 8) as u8, length as u8];
        for (i, byte) in header.into_iter().enumerate() {
            if let Some(place) = (at + i as u64).checked_sub(from).and_then(|i| out.get_mut(i as usize)) {
                *place = byte;
            }
        }
        at += record;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cut_of_a_stream_gives_the_same_bytes() {
        let seeds = Seeds::new(1);
        let pool = Pool::new(&seeds);
        let mut dice = seeds.dice("cut", 0);
        let (source, total) = Source::records(40_000, 16_384, &mut dice);
        let mut whole = vec![0; total as usize];
        source.fill(0, &mut whole, &pool);
        for cut in [1, 3, 536, 1448] {
            let mut pieces = vec![0; total as usize];
            for (i, piece) in pieces.chunks_mut(cut).enumerate() {
                source.fill((i * cut) as u64, piece, &pool);
            }
            assert!(pieces == whole, "cut into {cut}");
        }
    }

    #[test]
    fn records_follow_one_another_to_the_end() {
        let seeds = Seeds::new(1);
        let pool = Pool::new(&seeds);
        for plain in [1, 100, 16_384, 16_385, 100_000] {
            let (source, total) = Source::records(plain, 16_384, &mut seeds.dice("records", plain));
            let mut bytes = vec![0; total as usize];
            source.fill(0, &mut bytes, &pool);
            let mut at = 0;
            while at < bytes.len() {
                assert_eq!(bytes[at..at + 3], [23, 3, 3], "{plain} at {at}");
                at += 5 + usize::from(u16::from_be_bytes([bytes[at + 3], bytes[at + 4]]));
            }
            assert_eq!(at, bytes.len(), "{plain}");
        }
    }
}
