//! GTP-U, the user plane of mobile networks (3GPP TS 29.281).
//! In: a UDP payload. Out: a wrapping. Bounds: [`EXTENSIONS_MAX`] extension headers. Not here: GTP-C, GTP prime.

use super::{Cargo, Port, Wrapping, is_certain};
use crate::packet::columns::TunnelKind;
use crate::packet::layer::Layer;
use crate::packet::link::Step;

/// Message type of a carried user packet.
const G_PDU: u8 = 255;
/// Extension headers followed; 5G sends one or two.
const EXTENSIONS_MAX: usize = 8;
/// Flags: extension, sequence number, N-PDU number.
const OPTIONAL: u8 = 0x07;
const EXTENSION: u8 = 0x04;

pub(super) fn gtp_u(layer: Layer<'_>, port: Port) -> Option<Wrapping<'_>> {
    let [flags, kind, high, low]: [u8; 4] = layer.array(0)?;
    let length = u32::from(u16::from_be_bytes([high, low]));
    let id = layer.be32(4)?;
    // Version 1, protocol type GTP; the spare bit (0x08) is to be ignored.
    if flags >> 4 != 3 || kind != G_PDU {
        return None;
    }
    let rest = layer.skip(8)?;
    if length > rest.wire || port == Port::Foreign && length != rest.wire {
        return None;
    }
    let mut rest = rest.trim(length);
    if flags & OPTIONAL != 0 {
        let mut next = if flags & EXTENSION != 0 { rest.u8(3)? } else { 0 };
        rest = rest.skip(4)?;
        for _ in 0..EXTENSIONS_MAX {
            if next == 0 {
                break;
            }
            let bytes = usize::from(rest.u8(0)?) * 4;
            if bytes == 0 {
                return None;
            }
            next = rest.u8(bytes - 1)?;
            rest = rest.skip(bytes)?;
        }
        if next != 0 {
            return None;
        }
    }
    let step = Step::Ip(rest);
    if port == Port::Foreign && !is_certain(step) {
        return None;
    }
    Some(Wrapping { kind: TunnelKind::GtpU, id, cargo: Cargo::Whole(step) })
}
