//! Reassembly: segments of one side's stream in any order, its contiguous bytes out.
//! In: (offset, bytes) pairs: TCP payloads, QUIC CRYPTO frames, DTLS handshake fragments. Out: the unread contiguous front.
//! Bounds: [`APP_BYTES_MAX`] bytes and [`RANGES_MAX`] separate ranges a side; what exceeds them is a [`Overflow`].
//! The first bytes seen for a place stay: which of two versions is true is `flow`'s question, not ours.

/// Bytes held for one side at most. Certificate chains of 10 KiB are usual; 32 KiB holds all but the oddest.
pub const APP_BYTES_MAX: usize = 32 << 10;
/// Separate pieces behind holes that are held for one side at most.
pub const RANGES_MAX: usize = 1024;

/// The hole is too wide, or the holes too many, to be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overflow;

/// One side's bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Reassembly {
    /// Stream offset of `bytes[0]`: everything before has been read.
    base: u32,
    /// Unread bytes; holes are zero until filled.
    bytes: Vec<u8>,
    /// How many of `bytes` are contiguous from the front.
    ready: usize,
    /// What lies behind holes: sorted, disjoint, not touching `[start, end)` in `bytes`.
    held: Vec<(usize, usize)>,
}

impl Reassembly {
    /// Files a segment. Offsets compare as TCP sequence numbers do (RFC 9293 section 3.4), so that a wrap is no hole.
    pub(super) fn offer(&mut self, offset: u32, segment: &[u8]) -> Result<(), Overflow> {
        let ahead = offset.wrapping_sub(self.base) as i32;
        let (start, segment) = match usize::try_from(ahead) {
            Ok(start) => (start, segment),
            // Begins before what is unread: only what reaches past `base` counts.
            Err(_) => (0, segment.get(ahead.unsigned_abs() as usize..).unwrap_or_default()),
        };
        if segment.is_empty() {
            return Ok(());
        }
        // Offloading gives segments of 64 KiB: what of them is within the bound is kept, and often enough.
        let room = APP_BYTES_MAX.checked_sub(start).filter(|room| *room > 0).ok_or(Overflow)?;
        let segment = segment.get(..room).unwrap_or(segment);
        let end = start + segment.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.fill(start, segment);
        self.note(start.max(self.ready), end)
    }

    /// The contiguous unread bytes.
    pub(super) fn ready(&self) -> &[u8] {
        &self.bytes[..self.ready]
    }

    /// Whether an in-order segment at `offset` could be read from where it lies, without filing it here first.
    pub(super) fn is_next(&self, offset: u32) -> bool {
        self.bytes.is_empty() && offset == self.base
    }

    /// Passes over bytes that were read from where they lay; the rest is filed.
    pub(super) fn pass(&mut self, read: usize, segment: &[u8]) -> Result<(), Overflow> {
        self.base = self.base.wrapping_add(read as u32);
        self.offer(self.base, segment.get(read..).unwrap_or_default())
    }

    /// Drops bytes from the front, which must be ready.
    pub(super) fn consume(&mut self, count: usize) {
        let count = count.min(self.ready);
        self.base = self.base.wrapping_add(count as u32);
        self.bytes.drain(..count);
        self.ready -= count;
        for range in &mut self.held {
            *range = (range.0 - count, range.1 - count);
        }
        if self.bytes.is_empty() {
            // Nothing waits between messages: a long-lived flow keeps no buffer.
            self.bytes = Vec::new();
        }
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        *self = Self { base: self.base, ..Self::default() };
    }

    /// Writes only where nothing was written before.
    fn fill(&mut self, start: usize, segment: &[u8]) {
        let end = start + segment.len();
        let mut at = start.max(self.ready);
        for (held_start, held_end) in self.held.iter().copied().chain([(usize::MAX, usize::MAX)]) {
            let until = held_start.min(end);
            if at < until {
                self.bytes[at..until].copy_from_slice(&segment[at - start..until - start]);
            }
            at = at.max(held_end);
            if at >= end {
                break;
            }
        }
    }

    /// Adds `[start, end)` to what is there and moves `ready` as far as it goes.
    fn note(&mut self, mut start: usize, mut end: usize) -> Result<(), Overflow> {
        if start >= end {
            return Ok(());
        }
        let first = self.held.partition_point(|range| range.1 < start);
        let last = self.held.partition_point(|range| range.0 <= end);
        if let Some(touching) = self.held.get(first..last).filter(|touching| !touching.is_empty()) {
            start = start.min(touching[0].0);
            end = end.max(touching[touching.len() - 1].1);
        }
        self.held.splice(first..last, [(start, end)]);
        if self.held[0].0 <= self.ready {
            self.ready = self.held.remove(0).1;
        }
        if self.held.len() > RANGES_MAX { Err(Overflow) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stream(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * 7 + i / 256) as u8).collect()
    }

    #[test]
    fn holes_repeats_and_limits() {
        let mut side = Reassembly::default();
        assert_eq!(side.offer(4, b"efgh"), Ok(()));
        assert_eq!(side.ready(), b"");
        assert_eq!(side.offer(2, b"XXXXXX"), Ok(()), "the first bytes for a place stay");
        assert_eq!(side.offer(0, b"ab"), Ok(()));
        assert_eq!(side.ready(), b"abXXefgh");
        side.consume(3);
        assert_eq!(side.offer(1, b"zz"), Ok(()), "already read");
        assert_eq!(side.ready(), b"Xefgh");
        assert_eq!(side.offer(3 + APP_BYTES_MAX as u32, b"!"), Err(Overflow), "a hole too wide");
        assert_eq!(side.offer(8, &[7; 2 * APP_BYTES_MAX]), Ok(()), "a segment too long is cut");
        assert_eq!(side.ready().len(), APP_BYTES_MAX);
    }

    #[test]
    fn offsets_wrap_as_sequence_numbers_do() {
        let mut side = Reassembly { base: u32::MAX - 1, ..Reassembly::default() };
        assert_eq!(side.offer(u32::MAX - 1, b"abcd"), Ok(()));
        side.consume(4);
        assert_eq!(side.offer(2, b"ef"), Ok(()));
        assert_eq!(side.ready(), b"ef");
    }

    proptest! {
        #[test]
        fn any_order_and_overlap_gives_the_stream(
            pieces in proptest::collection::vec((0usize..900, 1usize..300), 0..60),
            cuts in proptest::collection::vec(1usize..40, 1..20),
            seed in any::<u64>(),
        ) {
            let whole = stream(900);
            // Pieces at random, then a full cover in shuffled order.
            let mut segments: Vec<(usize, usize)> =
                pieces.iter().map(|(at, len)| (*at, (at + len).min(whole.len()))).collect();
            let (mut at, mut i) = (0, 0);
            while at < whole.len() {
                let end = (at + cuts[i % cuts.len()]).min(whole.len());
                segments.push((at, end));
                (at, i) = (end, i + 1);
            }
            let mut state = seed | 1;
            for i in (1..segments.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                segments.swap(i, (state >> 33) as usize % (i + 1));
            }
            let mut side = Reassembly::default();
            let mut read = Vec::new();
            for (n, (start, end)) in segments.iter().enumerate() {
                prop_assert_eq!(side.offer(*start as u32, &whole[*start..*end]), Ok(()));
                if n % 3 == 0 {
                    read.extend_from_slice(side.ready());
                    side.consume(side.ready().len());
                }
            }
            read.extend_from_slice(side.ready());
            prop_assert_eq!(read, whole);
        }
    }
}
