//! WireGuard (J. A. Donenfeld, "WireGuard: Next Generation Kernel Network Tunnel", NDSS 2017, section 5.4): a tunnel over UDP that
//! says nothing of whom it serves, but what it is.
//! In: a datagram. Out: whether it is one of its messages. Nothing is kept: one of them tells, and none tells more.

/// A message's first byte; three zeros follow.
const INITIATION: u8 = 1;
const RESPONSE: u8 = 2;
const COOKIE: u8 = 3;
const TRANSPORT: u8 = 4;
/// Whole lengths of the messages that have one, bytes.
const INITIATION_BYTES: usize = 148;
const RESPONSE_BYTES: usize = 92;
const COOKIE_BYTES: usize = 64;
/// A transport message without data: header and tag. Data comes in blocks of sixteen bytes.
const TRANSPORT_BYTES_MIN: usize = 32;
const BLOCK: usize = 16;
/// Where a transport message's counter ends. It is little-endian and never reaches 2⁶⁰, and no capture lives to see 2⁵⁶.
const COUNTER_LAST: usize = 15;

/// Whether a datagram, seen whole, is a message of WireGuard.
pub(super) fn is_message(payload: &[u8]) -> bool {
    let [kind, 0, 0, 0, ..] = payload else { return false };
    match (*kind, payload.len()) {
        (INITIATION, INITIATION_BYTES) | (RESPONSE, RESPONSE_BYTES) | (COOKIE, COOKIE_BYTES) => true,
        (TRANSPORT, length) if length >= TRANSPORT_BYTES_MIN && length % BLOCK == 0 => payload[COUNTER_LAST] == 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_by_their_type_and_length() {
        let message = |kind: u8, length: usize, last: u8| {
            let mut bytes = vec![0x5a; length];
            bytes[..4].copy_from_slice(&[kind, 0, 0, 0]);
            bytes[COUNTER_LAST] = last;
            bytes
        };
        let table = [
            ("initiation", message(1, 148, 0x5a), true),
            ("response", message(2, 92, 0x5a), true),
            ("cookie", message(3, 64, 0x5a), true),
            ("sign of life", message(4, 32, 0), true),
            ("data", message(4, 1392, 0), true),
            ("data that ends within a block", message(4, 1390, 0), false),
            ("a counter that no tunnel reaches", message(4, 32, 0x80), false),
            ("initiation cut by the capture", message(1, 118, 0x5a), false),
            ("another type", message(5, 148, 0), false),
        ];
        for (name, bytes, wanted) in table {
            assert_eq!(is_message(&bytes), wanted, "{name}");
        }
        assert!(!is_message(&[]), "nothing");
        assert!(!is_message(&[4, 0, 0, 1].repeat(8)), "bytes that are reserved");
    }
}
