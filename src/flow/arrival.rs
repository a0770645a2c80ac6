//! Arrival: one packet with what belongs to it, while its bytes are at hand.
//! In: columns and frames. Out: the row, its frame, its tunnel, its payload. An index that leads nowhere gives nothing.

use super::segments::add_sum;
use crate::capture::frame::{FrameBatch, FrameRef, MappedPlace};
use crate::packet::columns::{NO_TUNNEL, PacketColumns, PacketRow, TunnelRef};

/// TCP header lengths in 32-bit words (RFC 9293 section 3.1).
const TCP_WORDS: std::ops::RangeInclusive<usize> = 5..=15;

/// One packet of a batch.
pub(super) struct Arrival<'a> {
    pub(super) row: PacketRow,
    pub(super) frame: Option<&'a FrameRef>,
    pub(super) tunnel: Option<&'a TunnelRef>,
    /// The frame's bytes, or the reassembled ones: what the payload's place refers to.
    bytes: &'a [u8],
    /// The batch that the packet came in, by which the source's maps are reached.
    pub(super) frames: &'a FrameBatch,
}

impl<'a> Arrival<'a> {
    pub(super) fn of(packets: &'a PacketColumns, frames: &'a FrameBatch, i: usize) -> Self {
        let row = packets.row(i);
        let frame = frames.frames().get(row.frame as usize);
        let tunnel = (row.tunnel != NO_TUNNEL).then(|| packets.tunnels.get(usize::from(row.tunnel))).flatten();
        let bytes = match row.payload.reassembled {
            true => packets.scratch.as_slice(),
            false => frame.map_or(&[][..], |frame| frames.bytes(frame)),
        };
        Self { row, frame, tunnel, bytes, frames }
    }

    /// The captured payload.
    pub(super) fn payload(&self) -> &'a [u8] {
        let place = self.row.payload;
        let len = place.captured.min(self.row.payload_bytes) as usize;
        let start = place.offset as usize;
        start.checked_add(len).and_then(|end| self.bytes.get(start..end)).unwrap_or_default()
    }

    /// Where the payload lies in the source's maps; none where it was put together, streamed or captured live.
    pub(super) fn place(&self) -> Option<MappedPlace> {
        let frame = self.frame.filter(|_| !self.row.payload.reassembled)?;
        self.frames.place(frame, self.row.payload.offset)
    }

    /// The checksum of TCP pseudo-header and header: with the payload it makes 0xffff (RFC 9293 section 3.1). The header is
    /// found backwards from the payload, by its length field and its sequence number.
    pub(super) fn header_sum(&self) -> Option<u16> {
        let (row, end) = (&self.row, self.row.payload.offset as usize);
        let header = TCP_WORDS.filter_map(|words| self.bytes.get(end.checked_sub(words * 4)?..end)).find(|header| {
            usize::from(header[12] >> 4) * 4 == header.len() && header[4..8] == row.tcp_seq.to_be_bytes()
        })?;
        let length = row.payload_bytes.saturating_add(header.len() as u32);
        let mut sum = add_sum(0, header);
        for address in &row.key.addresses {
            sum = match address.as_v4().filter(|_| row.key.version == 4) {
                Some(octets) => add_sum(sum, &octets),
                None => add_sum(sum, &address.0),
            };
        }
        sum = add_sum(sum, &length.to_be_bytes());
        Some(add_sum(sum, &[0, row.key.protocol]))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use etherparse::PacketBuilder;

    use super::*;
    use crate::capture::frame::{Frame, LinkType};
    use crate::packet::{Parser, ParserLimits};
    use crate::units::TimestampNs;

    #[test]
    fn header_and_payload_sum_to_ones() {
        let ethernet = || PacketBuilder::ethernet2([2; 6], [4; 6]);
        let mut frames = [Vec::new(), Vec::new()];
        let four = ethernet().ipv4([10, 0, 0, 1], [192, 0, 2, 1], 64).tcp(40_000, 80, 7, 500).ack(9);
        four.write(&mut frames[0], b"an odd payload.").expect("memory");
        let options = etherparse::TcpOptionElement::MaximumSegmentSize(1460);
        let six =
            ethernet().ipv6([0x20; 16], [0x21; 16], 64).tcp(40_000, 80, 7, 500).options(&[options]).expect("room");
        six.write(&mut frames[1], b"an even payload.").expect("memory");
        for (name, bytes) in ["IPv4", "IPv6 with an option"].into_iter().zip(&frames) {
            let mut batch = FrameBatch::new(Arc::from([]));
            let wire_bytes = bytes.len() as u32;
            let (ts, link) = (TimestampNs(1), LinkType(1));
            batch.push(&Frame { ts, link, wire_bytes, number: 1, file: 0, bytes, lent: None });
            let mut packets = PacketColumns::default();
            Parser::new(ParserLimits::default()).parse_batch(&batch, &mut packets);
            let arrival = Arrival::of(&packets, &batch, 0);
            let sum = arrival.header_sum().expect("the header was captured");
            assert_eq!(add_sum(sum, arrival.payload()), 0xffff, "{name}");
        }
    }
}
