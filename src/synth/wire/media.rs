//! Payloads of UDP's regulars: NTP (RFC 5905), STUN (RFC 8489), RTP under SRTP (RFC 3550, RFC 3711).
//! In: times, identities. Out: short heads; voices and pictures are opaque.

use super::payload::Source;
use crate::synth::dice::Dice;
use crate::units::TimestampNs;

/// Seconds from 1900 to 1970.
const NTP_EPOCH_S: u64 = 2_208_988_800;
/// RFC 8489 section 5.
const STUN_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

fn ntp_time(at: TimestampNs) -> [u8; 8] {
    let fraction = ((at.0 % 1_000_000_000) << 32) / 1_000_000_000;
    ((at.0 / 1_000_000_000 + NTP_EPOCH_S) << 32 | fraction).to_be_bytes()
}

/// A client's question: version 4, mode 3.
pub(crate) fn ntp_request(at: TimestampNs) -> Vec<u8> {
    let mut out = vec![0; 48];
    out[0] = 0x23;
    out[2] = 6;
    out[40..].copy_from_slice(&ntp_time(at));
    out
}

/// A server's answer: stratum 2, and the client's own time back.
pub(crate) fn ntp_response(asked: TimestampNs, at: TimestampNs) -> Vec<u8> {
    let mut out = vec![0; 48];
    out[..4].copy_from_slice(&[0x24, 2, 6, 0xe9]);
    out[4..12].copy_from_slice(&[0, 0, 0x04, 0x10, 0, 0, 0x02, 0x30]);
    out[12..16].copy_from_slice(&[192, 0, 2, 1]);
    out[16..24].copy_from_slice(&ntp_time(TimestampNs(at.0.saturating_sub(411_000_000_000))));
    out[24..32].copy_from_slice(&ntp_time(asked));
    out[32..40].copy_from_slice(&ntp_time(at));
    out[40..48].copy_from_slice(&ntp_time(TimestampNs(at.0 + 23_000)));
    out
}

/// A STUN binding request or success; the answer holds where the request came from.
pub(crate) fn stun(transaction: [u8; 12], mapped: Option<([u8; 4], u16)>) -> Vec<u8> {
    let mut attributes = Vec::new();
    if let Some((address, port)) = mapped {
        attributes.extend([0x00, 0x20, 0, 8, 0, 1]);
        attributes.extend((port ^ 0x2112).to_be_bytes());
        attributes.extend(address.iter().zip(STUN_COOKIE).map(|(byte, cookie)| byte ^ cookie));
    }
    let mut out = if mapped.is_some() { vec![0x01, 0x01] } else { vec![0x00, 0x01] };
    out.extend((attributes.len() as u16).to_be_bytes());
    out.extend(STUN_COOKIE);
    out.extend(transaction);
    out.extend(attributes);
    out
}

/// The head of one RTP packet.
pub(crate) fn rtp(kind: u8, number: u16, clock: u32, source: u32, dice: &mut Dice) -> Source {
    let mut head = [0; 20];
    head[0] = 0x80;
    head[1] = kind;
    head[2..4].copy_from_slice(&number.to_be_bytes());
    head[4..8].copy_from_slice(&clock.to_be_bytes());
    head[8..12].copy_from_slice(&source.to_be_bytes());
    Source::Framed { head, head_bytes: 12, base: dice.below(1 << 16) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ntp_time_of_a_known_day() {
        // 2026-03-01T00:00:00Z is 1,772,323,200 s after 1970, 3,981,312,000 s (0xed4e_0000) after 1900.
        assert_eq!(ntp_time(TimestampNs(1_772_323_200_500_000_000)), [0xed, 0x4e, 0x00, 0x00, 0x80, 0, 0, 0]);
    }

    #[test]
    fn stun_hides_the_address_behind_the_cookie() {
        let bytes = stun([7; 12], Some(([192, 0, 2, 1], 0x1234)));
        assert_eq!(bytes.len(), 32);
        assert_eq!(bytes[26..], [0x12 ^ 0x21, 0x34 ^ 0x12, 192 ^ 0x21, 0x12, 2 ^ 0xa4, 1 ^ 0x42]);
    }
}
