//! History: a flow's events as letters, with Zeek's meanings (upper case for the originator, lower for the responder).
//! In: events. Out: at most [`HISTORY_BYTES`] letters. Source: the `history` field of Zeek's conn.log.
//! Bounds: eight letters in place, as many as an ordinary connection has (ShADadFf); what follows them, and what thins them
//! out, lies with what few flows have: a connection that is closed takes such a place for as long as it lingers.
//! S SYN, H SYN+ACK, A pure ACK, D payload, F FIN, R RST, I FIN+RST, Q SYN with FIN or RST: once a side, and S, H, F, R
//! again when their sequence number is new. C wrong checksum, G gap, T retransmission, W zero window: at the 1st, 10th,
//! 100th … time. ^ direction turned round.

use super::record::Rare;
use super::row::HISTORY_BYTES;
use crate::units::Side;

/// Events that are noted once a side: bits of [`Seen`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Once {
    Syn = 1,
    Fin = 2,
    Rst = 4,
    FinRst = 8,
    Payload = 16,
    Ack = 32,
    ManyFlags = 64,
}

/// Events that are noted at every power of ten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Scaled {
    Checksum = 0,
    Gap = 1,
    Retransmission = 2,
    ZeroWindow = 3,
}

const SCALED_LETTERS: [u8; 4] = *b"CGTW";

/// Which of [`Once`] a side has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen(pub(super) u8);

impl Seen {
    /// Marks an event; true the first time.
    pub(super) fn first(&mut self, event: Once) -> bool {
        let bit = event as u8;
        let first = self.0 & bit == 0;
        self.0 |= bit;
        first
    }
}

/// Letters in place.
const LETTERS_NEAR: usize = 8;

/// The letters, and what few flows have.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The first ones; zero past the last.
    near: [u8; LETTERS_NEAR],
    /// What few flows have, of letters and of all else.
    pub(super) rare: Option<Box<Rare>>,
}

/// What history needs past its first letters.
#[derive(Debug, Default)]
pub(super) struct Further {
    /// Those that follow the first ones; zero past the last.
    letters: [u8; HISTORY_BYTES - LETTERS_NEAR],
    /// How often each of [`Scaled`] was met, by side.
    scaled: [[u32; 4]; 2],
    /// Relative sequence number of the last SYN, FIN and RST of each side; a SYN's is zero.
    control: [[u32; 3]; 2],
}

impl History {
    /// All of them; zero past the last one.
    pub(super) fn letters(&self) -> [u8; HISTORY_BYTES] {
        let mut letters = [0; HISTORY_BYTES];
        letters[..LETTERS_NEAR].copy_from_slice(&self.near);
        if let Some(rare) = &self.rare {
            letters[LETTERS_NEAR..].copy_from_slice(&rare.history.letters);
        }
        letters
    }

    /// What few flows have, made where there is none.
    pub(super) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Writes a letter for a side; past the end nothing is written.
    pub(super) fn note(&mut self, side: Side, letter: u8) {
        let letter = match side {
            Side::Orig => letter,
            Side::Resp => letter.to_ascii_lowercase(),
        };
        let place = match self.near.iter_mut().find(|place| **place == 0) {
            Some(place) => Some(place),
            None => self.rare.get_or_insert_default().history.letters.iter_mut().find(|place| **place == 0),
        };
        if let Some(place) = place {
            *place = letter;
        }
    }

    /// Writes the letter of a scaled event where its count has reached a power of ten.
    pub(super) fn note_scaled(&mut self, side: Side, event: Scaled) {
        let count = &mut self.rare_mut().history.scaled[side.index()][event as usize];
        *count = count.saturating_add(1);
        if count.is_power_of_ten() {
            self.note(side, SCALED_LETTERS[event as usize]);
        }
    }

    /// Notes SYN (0), FIN (1) or RST (2): the first time, and again at a new sequence number.
    pub(super) fn note_control(&mut self, side: Side, which: usize, letter: u8, first: bool, at: u32) {
        let last = self.rare.as_ref().map_or(0, |rare| rare.history.control[side.index()][which]);
        if last != at {
            self.rare_mut().history.control[side.index()][which] = at;
        }
        if first || last != at {
            self.note(side, letter);
        }
    }

    /// Whether the letters say: a SYN, then a RST of the originator, and in between nothing that a handshake leaves.
    pub(super) fn is_syn_then_reset(&self) -> bool {
        let mut letters = self.letters().into_iter().skip_while(|&l| l == b'^');
        letters.next() == Some(b'S') && letters.find(|l| b"HAFGIQR".contains(l)) == Some(b'R')
    }
}

trait PowerOfTen {
    fn is_power_of_ten(&self) -> bool;
}

impl PowerOfTen for u32 {
    fn is_power_of_ten(&self) -> bool {
        matches!(*self, 1 | 10 | 100 | 1_000 | 10_000 | 100_000 | 1_000_000 | 10_000_000 | 100_000_000 | 1_000_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(history: &History) -> String {
        String::from_utf8_lossy(&history.letters()).trim_end_matches('\0').to_owned()
    }

    #[test]
    fn scaled_letters_thin_out_and_the_end_holds() {
        let mut history = History::default();
        for _ in 0..100 {
            history.note_scaled(Side::Resp, Scaled::Retransmission);
        }
        assert_eq!(text(&history), "ttt");
        for _ in 0..100 {
            history.note(Side::Orig, b'R');
        }
        assert_eq!(text(&history).len(), HISTORY_BYTES);
    }

    #[test]
    fn an_ordinary_connection_needs_no_place_of_its_own_for_letters() {
        let mut history = History::default();
        history.note_control(Side::Orig, 0, b'S', true, 0);
        for letter in "hADadFf".bytes() {
            let side = if letter.is_ascii_uppercase() { Side::Orig } else { Side::Resp };
            history.note(side, letter.to_ascii_uppercase());
        }
        assert_eq!((text(&history).as_str(), history.rare.is_none()), ("ShADadFf", true));
        history.note_control(Side::Orig, 2, b'R', true, 7);
        history.note_control(Side::Orig, 2, b'R', false, 7);
        history.note_control(Side::Orig, 2, b'R', false, 8);
        assert_eq!(text(&history), "ShADadFfRR", "again at a new number only");
    }

    #[test]
    fn a_refused_half_open_connection_is_told() {
        for (letters, wanted) in
            [("SR", true), ("^SDR", true), ("SAR", false), ("ShR", true), ("R", false), ("S", false)]
        {
            let mut history = History::default();
            // Responder's letters are in lower case.
            history.near[..letters.len()].copy_from_slice(letters.as_bytes());
            assert_eq!(history.is_syn_then_reset(), wanted, "{letters}");
        }
    }
}
