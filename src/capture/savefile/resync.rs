//! Resynchronisation: finding the next believable record after damage.
//! In: an input at a record that makes no sense. Out: the input at the next one that does, the bytes between counted.
//! Bounds: a search ends after [`RESYNC_BYTES_MAX`]; it costs a few nanoseconds a byte and never looks back.

use crate::capture::fault::Tally;
use crate::capture::input::{Input, WINDOW_BYTES_MAX};

use super::pcap::{PcapReader, RECORD_FIELDS_BYTES, Record};
use super::pcapng;

/// Longest stretch that is searched for the next record, in bytes; a file with a larger hole is given up there.
pub const RESYNC_BYTES_MAX: u64 = 256 << 20;
/// Longest frame that is believed right after damage; what capture programs take at most by default.
pub(super) const CAPTURED_BYTES_MAX: u32 = 262_144;
/// Longest block that is believed right after damage.
const BLOCK_BYTES_MAX: u32 = 512 << 10;
/// Records that must follow each other before a place in a pcap file is believed. A pcapng block carries its own proof.
const CHAIN: usize = 3;
/// Seconds that neighbouring records may lie apart to be believed: 30 days.
const APART_S_MAX: u32 = 30 * 86_400;
/// Bytes looked at in one piece.
const PIECE_BYTES: usize = 64 << 10;

// Half a buffer at most, or a stream would move its buffer for every byte of a hostile search.
const _: () = assert!(CHAIN * (CAPTURED_BYTES_MAX as usize + 24) <= WINDOW_BYTES_MAX / 2);
const _: () = assert!(BLOCK_BYTES_MAX as usize <= WINDOW_BYTES_MAX / 2);

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The input stands at a record that is believed.
    Record,
    /// Nothing within the bound; the input is at its end or at the bound.
    Nothing,
}

/// What a look at one place says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guess {
    No,
    Yes,
    /// Yes if the input ends before this many bytes, else look again with that many.
    YesAtEnd(usize),
    /// No if the input ends before this many bytes, else look again with that many.
    NoAtEnd(usize),
}

/// Searches a pcap file from the byte after the input's position on.
pub(super) fn pcap<I: Input>(reader: &PcapReader, input: &mut I, tally: &mut Tally) -> Found {
    let near = (tally.frames > 0).then_some((tally.ts_last.0 / 1_000_000_000) as u32);
    search(input, tally, RECORD_FIELDS_BYTES, |window, at| {
        let near_enough = |record: &Record| near.is_none_or(|near| near.abs_diff(record.seconds) <= APART_S_MAX);
        match record_at(reader, window, at) {
            Some(record) if reader.is_plausible(&record) && near_enough(&record) => chain(reader, window, at),
            _ => Guess::No,
        }
    })
}

/// Searches a pcapng file from the byte after the input's position on.
pub(super) fn pcapng<I: Input>(order: super::Order, input: &mut I, tally: &mut Tally) -> Found {
    search(input, tally, pcapng::BLOCK_BYTES_MIN, |window, at| block(order, window, at))
}

/// Whether a believable block stands `ahead` bytes behind the position, or the input ends there.
pub(super) fn block_follows<I: Input>(order: super::Order, input: &mut I, ahead: usize) -> bool {
    let mut wanted = ahead + pcapng::BLOCK_BYTES_MIN;
    loop {
        let window = input.window(wanted.min(WINDOW_BYTES_MAX));
        let ended = window.len() < wanted;
        match block(order, window, ahead) {
            Guess::Yes => return true,
            Guess::No => return window.len() == ahead,
            Guess::YesAtEnd(_) | Guess::NoAtEnd(_) if ended => return false,
            Guess::YesAtEnd(bytes) | Guess::NoAtEnd(bytes) => wanted = ahead + bytes,
        }
    }
}

/// Steps byte by byte until `look` believes a place. `look` gets a window and an offset in it, at which at least
/// `fields` bytes stand.
fn search<I: Input>(input: &mut I, tally: &mut Tally, fields: usize, look: impl Fn(&[u8], usize) -> Guess) -> Found {
    let start = input.offset();
    let mut from = 1;
    let found = loop {
        let window = input.window(PIECE_BYTES);
        let piece = window.len().min(PIECE_BYTES);
        let places = from..(piece + 1).saturating_sub(fields);
        if let Some(place) = places.clone().find(|&at| look(window, at) != Guess::No) {
            input.advance(place);
            if confirm(input, fields, &look) {
                break Found::Record;
            }
            from = 1;
        } else if piece < PIECE_BYTES {
            input.skip(u64::MAX);
            break Found::Nothing;
        } else {
            input.advance(places.end);
            from = 0;
        }
        if input.offset() - start > RESYNC_BYTES_MAX {
            break Found::Nothing;
        }
    };
    tally.bytes_skipped += input.offset() - start;
    found
}

/// Looks again at the place at the input's position, with windows as long as the look wants them.
fn confirm<I: Input>(input: &mut I, fields: usize, look: &impl Fn(&[u8], usize) -> Guess) -> bool {
    let mut wanted = fields;
    loop {
        let window = input.window(wanted);
        let ended = window.len() < wanted;
        match look(window, 0) {
            Guess::Yes => return true,
            Guess::No => return false,
            Guess::YesAtEnd(_) if ended => return true,
            Guess::NoAtEnd(_) if ended => return false,
            Guess::YesAtEnd(bytes) | Guess::NoAtEnd(bytes) => wanted = bytes,
        }
    }
}

fn record_at(reader: &PcapReader, window: &[u8], at: usize) -> Option<Record> {
    Some(reader.record(window.get(at..)?.first_chunk()?))
}

/// Whether believable records follow each other from `at` on. Before the end of the file one whole record will do that
/// ends with it, or two whole ones and a cut one.
fn chain(reader: &PcapReader, window: &[u8], at: usize) -> Guess {
    let mut next = at;
    let mut before: Option<u32> = None;
    for whole in 0..CHAIN {
        let wanted = next - at + RECORD_FIELDS_BYTES;
        let Some(record) = record_at(reader, window, next) else {
            return match next == window.len() || (whole > 1 && next < window.len()) {
                true => Guess::YesAtEnd(wanted),
                false => Guess::NoAtEnd(wanted),
            };
        };
        let near = before.is_none_or(|before| before.abs_diff(record.seconds) <= APART_S_MAX);
        if !near || !reader.is_plausible(&record) {
            return Guess::No;
        }
        before = Some(record.seconds);
        next += reader.header_bytes() + record.captured as usize;
    }
    Guess::Yes
}

/// Whether a block stands at `at`: a type that writers use, a possible length, and the same length at its end.
fn block(order: super::Order, window: &[u8], at: usize) -> Guess {
    let Some(bytes) = window.get(at..).filter(|bytes| bytes.len() >= pcapng::BLOCK_BYTES_MIN) else { return Guess::No };
    let section = pcapng::section_order(bytes);
    let order = section.unwrap_or(order);
    let (Some(kind), Some(total)) = (order.u32_at(bytes, 0), order.u32_at(bytes, 4)) else { return Guess::No };
    let is_known = section.is_some() || pcapng::KINDS_BELIEVED.contains(&kind);
    if !is_known || !pcapng::is_block_length(total) || total > BLOCK_BYTES_MAX {
        return Guess::No;
    }
    match order.u32_at(bytes, total as usize - 4) {
        None => Guess::NoAtEnd(total as usize),
        Some(trailer) if trailer == total => Guess::Yes,
        Some(_) => Guess::No,
    }
}
