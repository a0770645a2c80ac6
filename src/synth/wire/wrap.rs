//! Wrapping: how a copy of a packet travels to whoever asked for copies.
//! In: a whole Ethernet frame. Out: the payload of the outer packet, and which protocol or port announces it.

use super::packet::{ETHERNET_BYTES, Endpoint, Ipv4Header, write_ipv4_header};
use crate::synth::town::Town;

/// How copies are wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrapping {
    /// GRE (RFC 2784) around the IP packet.
    Gre,
    /// ERSPAN II (draft-foschiano-erspan) in GRE, around the frame.
    ErspanII,
    /// VXLAN (RFC 7348), around the frame.
    Vxlan,
    /// TZSP, around the frame.
    Tzsp,
    /// GTP-U (3GPP TS 29.281), around the IP packet.
    GtpU,
}

/// How the outer packet says what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Announced {
    /// IP protocol number.
    Protocol(u8),
    /// UDP destination port.
    Port(u16),
}

const GRE_PROTOCOL: u8 = 47;

impl Wrapping {
    pub(crate) fn announced(self) -> Announced {
        match self {
            Self::Gre | Self::ErspanII => Announced::Protocol(GRE_PROTOCOL),
            Self::Vxlan => Announced::Port(4789),
            Self::Tzsp => Announced::Port(37008),
            Self::GtpU => Announced::Port(2152),
        }
    }

    /// Appends the wrapped frame. `session` is the ERSPAN session or the VNI; `number` counts the copies.
    pub(crate) fn write(self, frame: &[u8], session: u32, number: u32, out: &mut Vec<u8>) {
        match self {
            Self::Gre => {
                out.extend([0, 0]);
                out.extend(&frame[ETHERNET_BYTES - 2..]);
            }
            Self::ErspanII => {
                out.extend([0x10, 0x00, 0x88, 0xbe]);
                out.extend(number.to_be_bytes());
                // Version 1, VLAN 0; class of service 0, trunk bits 3, session; index 0.
                out.extend([0x10, 0x00, 0x18 | ((session >> 8) as u8 & 3), session as u8, 0, 0, 0, 0]);
                out.extend(frame);
            }
            Self::Vxlan => {
                out.extend([0x08, 0, 0, 0]);
                out.extend((session << 8).to_be_bytes());
                out.extend(frame);
            }
            Self::GtpU => {
                let packet = &frame[ETHERNET_BYTES..];
                out.extend([0x30, 0xff]);
                out.extend((packet.len() as u16).to_be_bytes());
                out.extend(session.to_be_bytes());
                out.extend(packet);
            }
            Self::Tzsp => {
                // Version 1, received packet, Ethernet; no tags but the end.
                out.extend([0x01, 0x00, 0x00, 0x01, 0x01]);
                out.extend(frame);
            }
        }
    }
}

/// Largest IP packet on the way out.
const MTU_BYTES: usize = 1_500;
/// Payload bytes of a fragment: a multiple of eight (RFC 791).
const FRAGMENT_BYTES: usize = 1_480;

/// One end of a tunnel at work.
#[derive(Clone, Debug)]
pub(crate) struct Outer {
    pub(crate) wrapping: Wrapping,
    /// From, to; the port of the far end is the wrapping's.
    pub(crate) ends: [Endpoint; 2],
    pub(crate) ttl: u8,
    pub(crate) session: u32,
    /// Copies sent.
    pub(crate) number: u32,
    /// IPv4 identification of the last one.
    pub(crate) id: u16,
}

impl Outer {
    /// Wraps a frame; what does not fit into one packet goes out in fragments. Nothing between IPv6 ends.
    pub(crate) fn frames(&mut self, frame: &[u8]) -> Vec<Box<[u8]>> {
        let (Some(source), Some(destination)) = (self.ends[0].address.as_v4(), self.ends[1].address.as_v4()) else {
            return Vec::new();
        };
        self.number = self.number.wrapping_add(1);
        self.id = self.id.wrapping_add(1);
        let mut body = Vec::with_capacity(frame.len() + 64);
        let protocol = match self.wrapping.announced() {
            Announced::Protocol(protocol) => protocol,
            Announced::Port(port) => {
                // The source port spreads flows over paths (RFC 7348 section 5); the checksum is left out.
                let spread =
                    frame.iter().skip(26).take(12).fold(0u16, |sum, byte| sum.wrapping_mul(31) ^ u16::from(*byte));
                let from = if self.wrapping == Wrapping::Vxlan { 49_152 | spread >> 2 } else { self.ends[0].port };
                body.extend(from.to_be_bytes());
                body.extend(port.to_be_bytes());
                body.extend([0; 4]);
                17
            }
        };
        self.wrapping.write(frame, self.session, self.number, &mut body);
        if protocol == 17 {
            let length = (body.len() as u16).to_be_bytes();
            body[4..6].copy_from_slice(&length);
        }
        let room = if body.len() + 20 <= MTU_BYTES { body.len() } else { FRAGMENT_BYTES };
        let pieces = body.len().div_ceil(room);
        let mut frames = Vec::with_capacity(pieces);
        for (i, piece) in body.chunks(room).enumerate() {
            let more = if i + 1 < pieces { 0x2000 } else { 0 };
            let fragment = more | (i * FRAGMENT_BYTES / 8) as u16;
            let mut out = Vec::with_capacity(piece.len() + 34);
            out.extend(Town::link(self.ends[0].address));
            out.extend([0x08, 0x00]);
            let header = Ipv4Header { source, destination, class: 0, id: self.id, fragment, ttl: self.ttl, protocol };
            write_ipv4_header(&header, piece.len(), &mut out);
            out.extend(piece);
            out.resize(out.len().max(60), 0);
            frames.push(out.into_boxed_slice());
        }
        frames
    }
}
