//! Wire: bytes of every header that a synthetic packet carries.
//! In: meant values. Out: bytes in a buffer that is reused. Checksums are those of RFC 1071 and always right.
//! Bounds: a frame holds at most [`FRAME_BYTES_MAX`]; no allocation per packet. Not here: which packet follows which.

pub(crate) mod certificate;
pub(crate) mod dns;
pub(crate) mod export;
pub(crate) mod hello;
pub(crate) mod http;
pub(crate) mod media;
pub(crate) mod packet;
pub(crate) mod payload;
pub(crate) mod quic;
pub(crate) mod tls;
pub(crate) mod wrap;

/// Longest frame written: an Ethernet frame of 1,500 bytes with 114 bytes of wrapping to spare.
pub(crate) const FRAME_BYTES_MAX: usize = 1_628;

/// Adds the 16-bit words of `bytes` (RFC 1071) to a sum that is not folded yet; an odd last byte counts as high byte.
pub(crate) fn sum(bytes: &[u8], seed: u64) -> u64 {
    let mut sum = seed;
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        sum += u64::from(u32::from_be_bytes(*word));
    }
    let mut tail = [0; 4];
    tail[..rest.len()].copy_from_slice(rest);
    sum + u64::from(u32::from_be_bytes(tail))
}

/// The checksum field for a sum.
pub(crate) fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// A length field in front of what a closure writes.
pub(crate) fn prefixed(out: &mut Vec<u8>, length_bytes: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.resize(at + length_bytes, 0);
    write(out);
    let length = (out.len() - at - length_bytes) as u64;
    out[at..at + length_bytes].copy_from_slice(&length.to_be_bytes()[8 - length_bytes..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_of_rfc_1071() {
        assert_eq!(fold(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7], 0)), !0xddf2);
        assert_eq!(fold(sum(&[0x01], 0)), !0x0100, "an odd byte is the high one");
    }

    #[test]
    fn a_prefix_counts_what_follows() {
        let mut out = vec![9];
        prefixed(&mut out, 3, |out| out.extend([1, 2]));
        assert_eq!(out, [9, 0, 0, 2, 1, 2]);
    }
}
