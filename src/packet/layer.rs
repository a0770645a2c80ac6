//! Layer: a view of the bytes from one header on, that knows where they lie and how long they were on the wire.
//! In: captured bytes. Out: checked big-endian reads and ever smaller views.
//! Bounds: a view only shrinks; `wire` is never less than what is captured, because `trim` cuts both.
//! Not here: what any byte means.

/// What lies from some header on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layer<'a> {
    /// The captured bytes.
    pub bytes: &'a [u8],
    /// Where the first one lies, in the frame or in the scratch of reassembled datagrams.
    pub offset: u32,
    /// How many there were on the wire, captured or not.
    pub wire: u32,
}

impl<'a> Layer<'a> {
    /// A view of a whole frame.
    pub fn new(bytes: &'a [u8], offset: u32, wire: u32) -> Self {
        Self { bytes, offset, wire: wire.max(clamp_u32(bytes.len())) }
    }

    /// Without its first `by` bytes; none where they were not all captured.
    #[inline]
    pub fn skip(self, by: usize) -> Option<Self> {
        let bytes = self.bytes.get(by..)?;
        let by = clamp_u32(by);
        Some(Self { bytes, offset: self.offset.saturating_add(by), wire: self.wire.saturating_sub(by) })
    }

    /// The first `wire` bytes and no more: what follows is padding or a trailer.
    #[inline]
    pub fn trim(self, wire: u32) -> Self {
        let captured = self.bytes.len().min(wire as usize);
        Self { bytes: &self.bytes[..captured], offset: self.offset, wire: self.wire.min(wire) }
    }

    /// Whether fewer bytes were captured than were on the wire.
    pub fn is_cut(&self) -> bool {
        (self.bytes.len() as u64) < u64::from(self.wire)
    }

    /// One byte.
    #[inline]
    pub fn u8(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    /// Two bytes in network order.
    #[inline]
    pub fn be16(&self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_be_bytes)
    }

    /// Three bytes in network order.
    pub fn be24(&self, at: usize) -> Option<u32> {
        let [a, b, c] = self.array(at)?;
        Some(u32::from_be_bytes([0, a, b, c]))
    }

    /// Four bytes in network order.
    #[inline]
    pub fn be32(&self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_be_bytes)
    }

    /// The `N` bytes at an offset.
    #[inline]
    pub fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.bytes.get(at..)?.first_chunk::<N>().copied()
    }
}

/// A length as 32 bits. Frames are far below 4 GiB; one that is not counts as 4 GiB.
#[inline]
pub(crate) fn clamp_u32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_only_shrinks() {
        let layer = Layer::new(&[1, 2, 3, 4, 5], 100, 9);
        let inner = layer.skip(2).expect("within");
        assert_eq!(
            (inner.offset, inner.wire, inner.be16(0), inner.be24(0), inner.be32(0)),
            (102, 7, Some(0x304), Some(0x30405), None)
        );
        assert!(inner.is_cut());
        let trimmed = inner.trim(2);
        assert_eq!((trimmed.bytes, trimmed.wire), (&[3, 4][..], 2));
        assert!(!trimmed.is_cut());
        assert!(layer.skip(6).is_none());
        assert_eq!(Layer::new(&[0; 4], 0, 1).wire, 4, "a wire length below the captured one is not believed");
    }
}
