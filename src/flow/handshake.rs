//! Handshake: the time from a SYN to the SYN+ACK that answers it.
//! In: the originator's SYNs and the responder's SYN+ACKs. Out: the time between the latest of the former and the first of the
//! latter. Bounds: eight bytes, since a flow waits for an answer or has one, and never both.

use crate::units::{DurationNs, TimestampNs};

/// A SYN that waits for its answer, or the time that the answer took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handshake(u64);

/// No SYN yet.
const NO_SYN: u64 = u64::MAX;
/// Set where the rest is the time that the answer took; times of capture reach it in the year 2262.
const ANSWERED: u64 = 1 << 63;

impl Default for Handshake {
    fn default() -> Self {
        Self(NO_SYN)
    }
}

impl Handshake {
    /// The originator sends a SYN; once one was answered others change nothing.
    pub(super) fn syn(&mut self, ts: TimestampNs) {
        if self.0 == NO_SYN || self.0 & ANSWERED == 0 {
            self.0 = ts.0 & !ANSWERED;
        }
    }

    /// The responder sends a SYN+ACK. One of the same nanosecond tells no time, and the next may.
    pub(super) fn syn_ack(&mut self, ts: TimestampNs) {
        if self.0 & ANSWERED != 0 {
            return;
        }
        let took = ts.since(TimestampNs(self.0)).0 & !ANSWERED;
        if took > 0 {
            self.0 = took | ANSWERED;
        }
    }

    /// The time that the answer took; zero where there was none.
    pub(super) fn took(self) -> DurationNs {
        match self.0 {
            NO_SYN => DurationNs::ZERO,
            answered if answered & ANSWERED != 0 => DurationNs(answered & !ANSWERED),
            _ => DurationNs::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_syn_and_the_first_answer_count() {
        /// SYNs as (true, ns), answers as (false, ns).
        type Steps = &'static [(bool, u64)];
        let table: [(&str, Steps, u64); 6] = [
            ("none", &[], 0),
            ("an answer to nothing", &[(false, 9)], 0),
            ("sent again", &[(true, 1), (true, 5), (false, 9)], 4),
            ("answered twice", &[(true, 1), (false, 9), (false, 20)], 8),
            ("again after the answer", &[(true, 1), (false, 9), (true, 15), (false, 20)], 8),
            ("at once, and then later", &[(true, 0), (false, 0), (false, 20)], 20),
        ];
        for (name, steps, wanted) in table {
            let mut handshake = Handshake::default();
            for &(is_syn, ns) in steps {
                match is_syn {
                    true => handshake.syn(TimestampNs(ns)),
                    false => handshake.syn_ack(TimestampNs(ns)),
                }
            }
            assert_eq!(handshake.took(), DurationNs(wanted), "{name}");
        }
    }
}
