//! TLS records: the layer that carries a handshake over TCP (RFC 8446 section 5.1).
//! In: one side's contiguous bytes. Out: handshake bytes to [`Handshake`].
//! Bounds: nothing is kept here but a record's remaining length.

use super::{Handshake, Transport};
use crate::packet::app::Step;
use crate::packet::app::notes::{AppEvent, Notes};
use crate::packet::app::reader::Reader;
use crate::packet::facts::AppProtocol;

const HEADER_BYTES: usize = 5;
/// Longest ciphertext of any version (RFC 5246 section 6.2.3).
const RECORD_BYTES_MAX: u16 = (1 << 14) + 2048;

const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const HEARTBEAT: u8 = 24;

/// One side's records.
#[derive(Clone, Debug)]
pub(in crate::packet::app) struct Records {
    handshake: Handshake,
    kind: u8,
    left: u16,
}

impl Records {
    pub(in crate::packet::app) fn new() -> Self {
        Self { handshake: Handshake::new(Transport::Tls), kind: 0, left: 0 }
    }

    /// Whether a stream can begin like this: a handshake record that holds a client or server hello; short bytes may.
    pub(in crate::packet::app) fn can_begin(bytes: &[u8]) -> bool {
        let wanted: [fn(u8) -> bool; 6] =
            [|b| b == HANDSHAKE, |b| b == 3, |b| b <= 4, |_| true, |_| true, |b| matches!(b, 1 | 2)];
        bytes.iter().zip(wanted).all(|(byte, holds)| holds(*byte))
    }

    /// How many bytes [`Self::can_begin`] needs to be sure.
    pub(in crate::packet::app) const SURE_BYTES: usize = HEADER_BYTES + 1;

    /// Whether a client's first hello was read, and a second one may follow.
    pub(in crate::packet::app) fn awaits_second_hello(&self) -> bool {
        self.handshake.awaits_second_hello()
    }

    /// Reads on; gives how many bytes are done with.
    pub(in crate::packet::app) fn advance(&mut self, ready: &[u8], notes: &mut Notes) -> (usize, Step) {
        let mut reader = Reader::new(ready);
        loop {
            while self.left == 0 {
                let mut ahead = reader;
                let (Some(kind), Some(major), Some(_), Some(length)) =
                    (ahead.u8(), ahead.u8(), ahead.u8(), ahead.u16())
                else {
                    return (ready.len() - reader.rest().len(), Step::More);
                };
                if !(CHANGE_CIPHER_SPEC..=HEARTBEAT).contains(&kind) || major != 3 || length > RECORD_BYTES_MAX {
                    notes.count(Some(AppProtocol::Tls), AppEvent::Malformed);
                    return (ready.len(), Step::Done);
                }
                // A change of cipher or data ends what can be read; in TLS 1.3 the former is only for show (appendix D.4).
                let ends = match kind {
                    APPLICATION_DATA => true,
                    CHANGE_CIPHER_SPEC => !self.handshake.awaits_retry(),
                    _ => false,
                };
                if ends {
                    return (ready.len(), Step::Done);
                }
                (self.kind, self.left, reader) = (kind, length, ahead);
            }
            let body = reader.take_at_most(usize::from(self.left));
            self.left -= body.len() as u16;
            let is_handshake = self.kind == HANDSHAKE && !body.is_empty();
            if is_handshake && self.handshake.push(body, notes) == Step::Done {
                return (ready.len(), Step::Done);
            }
            if self.left > 0 {
                return (ready.len(), Step::More);
            }
        }
    }

    /// The flow ends: uses what there is.
    pub(in crate::packet::app) fn finish(&mut self, notes: &mut Notes) {
        self.handshake.finish(notes);
    }
}
