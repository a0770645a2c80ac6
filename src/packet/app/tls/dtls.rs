//! DTLS (RFC 6347, RFC 9147): the same handshake in datagrams, its messages cut into numbered fragments.
//! In: datagrams of both sides. Out: handshake bytes to [`Handshake`].
//! Bounds: one message a side is put together at a time, within `APP_BYTES_MAX`; [`DATAGRAMS_MAX`] datagrams a side are
//! looked at. STUN (RFC 8489), which shares the flow in WebRTC (RFC 7983), is proved by its cookie and passed over.

use super::{Handshake, Transport};
use crate::packet::app::Step;
use crate::packet::app::notes::{AppEvent, Notes};
use crate::packet::app::reader::Reader;
use crate::packet::app::reassembly::Reassembly;
use crate::packet::facts::AppProtocol;
use crate::units::Side;

/// Datagrams of one side that are looked at.
const DATAGRAMS_MAX: u8 = 48;
const HANDSHAKE: u8 = 22;
/// RFC 8489 section 5.
const STUN_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// One flow's handshakes.
#[derive(Clone, Debug, Default)]
pub(in crate::packet::app) struct Association {
    sides: [Half; 2],
}

#[derive(Clone, Debug)]
struct Half {
    handshake: Handshake,
    /// The message that is being put together: its header, and its fragments.
    message: Option<(Header, Reassembly)>,
    datagrams: u8,
    step: Step,
}

/// What the fragments of one message share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    kind: u8,
    length: u32,
    sequence: u16,
}

impl Default for Half {
    fn default() -> Self {
        Self { handshake: Handshake::new(Transport::Dtls), message: None, datagrams: 0, step: Step::More }
    }
}

/// Whether a flow can begin with this datagram: a handshake record of epoch zero that holds a hello, or STUN.
pub(in crate::packet::app) fn can_begin(payload: &[u8]) -> bool {
    match payload {
        [HANDSHAKE, 0xfe, 0xff | 0xfd | 0xfc, 0, 0, ..] => matches!(payload.get(13), Some(1..=3)),
        _ => is_stun(payload),
    }
}

/// Whether a datagram is a STUN message: two zero bits, a method of the base or of TURN, the magic cookie (RFC 8489 section 5).
fn is_stun(payload: &[u8]) -> bool {
    matches!(payload, [0 | 1, _, _, _, cookie @ ..] if cookie.starts_with(&STUN_COOKIE))
}

impl Association {
    pub(in crate::packet::app) fn is_done(&self, side: Side) -> bool {
        self.sides[side.index()].step == Step::Done
    }

    pub(in crate::packet::app) fn datagram(&mut self, side: Side, payload: &[u8], notes: &mut Notes) {
        let half = &mut self.sides[side.index()];
        half.datagrams = half.datagrams.saturating_add(1);
        if half.step == Step::Done {
            return;
        }
        if is_stun(payload) {
            notes.prove(AppProtocol::Stun);
        } else {
            half.records(payload, notes);
        }
        if half.datagrams >= DATAGRAMS_MAX {
            half.step = Step::Done;
        }
        if half.step == Step::Done {
            half.message = None;
        }
    }

    pub(in crate::packet::app) fn finish(&mut self, notes: &mut Notes) {
        for half in &mut self.sides {
            half.handshake.finish(notes);
            half.step = Step::Done;
            half.message = None;
        }
    }
}

impl Half {
    fn records(&mut self, payload: &[u8], notes: &mut Notes) {
        let mut reader = Reader::new(payload);
        while self.step == Step::More {
            let (Some(kind), Some(0xfe), Some(_), Some(epoch)) = (reader.u8(), reader.u8(), reader.u8(), reader.u16())
            else {
                return;
            };
            if epoch != 0 {
                // Encrypted from here on.
                self.step = Step::Done;
                return;
            }
            let (Some(_), Some(length)) = (reader.take(6), reader.u16()) else { return };
            // The last record may be cut by the capture.
            let body = reader.take_at_most(usize::from(length));
            if kind == HANDSHAKE {
                self.fragments(body, notes);
            }
        }
    }

    fn fragments(&mut self, body: &[u8], notes: &mut Notes) {
        let mut reader = Reader::new(body);
        while self.step == Step::More {
            let (Some(kind), Some(length), Some(sequence)) = (reader.u8(), reader.u24(), reader.u16()) else { return };
            let (Some(offset), Some(bytes)) = (reader.u24(), reader.u24()) else { return };
            if offset.saturating_add(bytes) > length {
                notes.count(Some(AppProtocol::Tls), AppEvent::Malformed);
                self.step = Step::Done;
                return;
            }
            let fragment = reader.take_at_most(bytes as usize);
            self.fragment(Header { kind, length, sequence }, offset, fragment, notes);
        }
    }

    fn fragment(&mut self, header: Header, offset: u32, fragment: &[u8], notes: &mut Notes) {
        let newer = self.message.as_ref().is_none_or(|(current, _)| header.sequence > current.sequence);
        if newer {
            self.handshake.abandon_message();
            let [_, high, middle, low] = header.length.to_be_bytes();
            self.step = self.handshake.push(&[header.kind, high, middle, low], notes);
            self.message = Some((header, Reassembly::default()));
        }
        let Some((current, bytes)) = self.message.as_mut().filter(|_| self.step == Step::More) else { return };
        if *current != header {
            return;
        }
        if bytes.offer(offset, fragment).is_err() {
            notes.count(Some(AppProtocol::Tls), AppEvent::BufferFull);
            self.step = Step::Done;
            return;
        }
        let ready = bytes.ready().len();
        if ready > 0 {
            self.step = self.handshake.push(bytes.ready(), notes);
            bytes.consume(ready);
        }
    }
}
