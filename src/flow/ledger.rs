//! Ledger: where the totals of living rows lie.
//! In: what each packet adds to its row. Out: both sides' totals, and room for the next row.
//! A row's first packets, of both ends, are logged in twelve bytes each; a row that has more is summed up, three cache lines
//! for each end that sent. Most rows never get that far: three packets take 36 bytes where sums would take 384, ten take
//! 120. A log is summed up by the same steps, so that nobody can tell from a row which way it was kept.
//! Bounds: one account a living row; what a row leaves is used again by the next.

use super::pace::{PACED_BYTES, PACED_FROM};
use super::row::{FIRST_PACKETS, SideRow};
use super::slab::{Pool, Slab};
use super::tcp::Order;
use super::totals::{Beginnings, Counted, SideTotals};
use crate::packet::columns::{EndIndex, TcpFlags};
use crate::simd::prefetch;
use crate::units::DurationNs;

/// Packets of a log's first page: a look-up, a refused or forged call, a silent connection's sign of life take no more.
const FIRST_ENTRIES: usize = 3;
/// Packets of its second.
const SECOND_ENTRIES: usize = 7;
/// Packets that are logged before a row is summed up.
const LOGGED_MAX: usize = FIRST_ENTRIES + SECOND_ENTRIES;
/// `logged` of a row that is summed up.
const SUMMED: u8 = u8::MAX;
/// The place of an end that has sent nothing.
const NOWHERE: u32 = u32::MAX;

const _: () = assert!(LOGGED_MAX < PACED_FROM as usize, "pace is kept of rows that are summed up");

/// Where one flow's row is kept; empty between two rows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Account {
    /// Pages of the log, or sums by end of the key.
    places: [u32; 2],
    /// Turns of the row, of whose sides none has them alone; here, because there is room.
    pub(super) turns: u16,
    /// Packets in the log, or [`SUMMED`].
    logged: u8,
    /// By end, a bit each: its beginnings are over; its pace is kept.
    marks: u8,
}

impl Account {
    /// Whether an end still sends what only a row's first packets touch.
    pub(super) fn beginnings(&self, end: EndIndex) -> Beginnings {
        if self.marks & 1 << (end & 1) == 0 { Beginnings::Open } else { Beginnings::Over }
    }

    /// Whether the pace of an end is kept.
    pub(super) fn is_paced(&self, end: EndIndex) -> bool {
        self.marks & 4 << (end & 1) != 0
    }
}

/// The totals of all living rows.
#[derive(Debug)]
pub(super) struct Ledger {
    first_pages: Pages<FIRST_ENTRIES>,
    second_pages: Pages<SECOND_ENTRIES>,
    sums: Pool<SideTotals>,
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self { first_pages: Pages::new(), second_pages: Pages::new(), sums: Pool::new() }
    }

    /// Adds a packet from an end of the key; tells whether that end has sent so much in this row that its pace is kept.
    #[inline]
    pub(super) fn add(&mut self, account: &mut Account, end: EndIndex, counted: &Counted) -> bool {
        let logged = usize::from(account.logged);
        if logged < LOGGED_MAX
            && let Some(entry) = Entry::of(end, counted)
        {
            let [first, second] = &mut account.places;
            match logged.checked_sub(FIRST_ENTRIES) {
                None => self.first_pages.put(first, logged, entry),
                Some(at) => self.second_pages.put(second, at, entry),
            }
            account.logged += 1;
            return false;
        }
        if account.logged != SUMMED {
            self.sum_up(account);
        }
        let totals = self.side(account, end);
        totals.add(counted);
        let packets = totals.packets;
        let is_paced = packets >= PACED_FROM && totals.ip_bytes >= PACED_BYTES;
        let begun = u8::from(packets >= FIRST_PACKETS as u32) | u8::from(is_paced) << 2;
        account.marks |= begun << (end & 1);
        is_paced
    }

    /// Takes the row's totals out, by end of the key; `streams` where sequence numbers tell the stream bytes.
    #[inline]
    pub(super) fn take(&mut self, account: &mut Account, streams: [Option<u64>; 2]) -> [SideRow; 2] {
        let account = std::mem::take(account);
        if account.logged == SUMMED {
            return std::array::from_fn(|end| match account.places[end] {
                NOWHERE => SideTotals::default().row(streams[end]),
                place => {
                    self.sums.free.push(place);
                    self.sums.slab.at(place).row(streams[end])
                }
            });
        }
        let mut sides = [SideTotals::default(); 2];
        for entry in &self.take_log(&account)[..usize::from(account.logged)] {
            sides[entry.end()].add(&entry.counted());
        }
        std::array::from_fn(|end| sides[end].row(streams[end]))
    }

    /// Bytes of all that was ever in use at once.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.first_pages.slab.bytes() + self.second_pages.slab.bytes() + self.sums.slab.bytes()
    }

    /// Starts bringing near what the next packet from an end touches.
    #[inline]
    pub(super) fn prefetch(&self, account: &Account, end: EndIndex) {
        match account.logged {
            SUMMED => match account.places[usize::from(end & 1)] {
                NOWHERE => {}
                place => self.sums.slab.at(place).prefetch(account.beginnings(end)),
            },
            0 => {}
            logged => match usize::from(logged).checked_sub(FIRST_ENTRIES) {
                None => self.first_pages.fetch(account.places[0], usize::from(logged)),
                // The second page begins with its first packet.
                Some(0) => {}
                Some(at) => self.second_pages.fetch(account.places[1], at),
            },
        }
    }

    #[cold]
    fn sum_up(&mut self, account: &mut Account) {
        let log = self.take_log(account);
        let logged = usize::from(account.logged);
        *account = Account { places: [NOWHERE; 2], logged: SUMMED, marks: 0, ..*account };
        for entry in &log[..logged] {
            self.side(account, entry.end() as EndIndex).add(&entry.counted());
        }
    }

    /// The entries of a log, of which the first `logged` mean something; its pages are free.
    fn take_log(&mut self, account: &Account) -> [Entry; LOGGED_MAX] {
        let mut log = [Entry::default(); LOGGED_MAX];
        let ([first, second], logged) = (account.places, usize::from(account.logged));
        let (in_first, in_second) = log.split_at_mut(FIRST_ENTRIES);
        if logged > 0 {
            in_first.copy_from_slice(&self.first_pages.give_back(first));
        }
        if logged > FIRST_ENTRIES {
            in_second.copy_from_slice(&self.second_pages.give_back(second));
        }
        log
    }

    /// The sums of an end, empty where it sends its first packet of the row.
    #[inline]
    fn side(&mut self, account: &mut Account, end: EndIndex) -> &mut SideTotals {
        let place = &mut account.places[usize::from(end & 1)];
        if *place == NOWHERE {
            *place = self.sums.take(SideTotals::default);
            *self.sums.slab.at_mut(*place) = SideTotals::default();
        }
        self.sums.slab.at_mut(*place)
    }
}

/// One logged packet: payload bytes and window; from [`TTL`] to [`GAP_HIGH`] what is told below; the low half of the gap.
#[derive(Clone, Copy, Debug, Default)]
struct Entry([u32; 3]);

/// Where a part of an entry's second word lies: its lowest bit, and how many there are.
#[derive(Clone, Copy)]
struct Part(u32, u32);

const TTL: Part = Part(0, 8);
/// IP bytes less payload; [`APART`] where that does not fit.
const HEADER: Part = Part(8, 7);
/// The flags that are counted: FIN, SYN, RST, PSH, ACK.
const FLAGS: Part = Part(15, 5);
const ORDER: Part = Part(20, 2);
const IS_OPENING: Part = Part(22, 1);
const ZERO_WINDOW: Part = Part(23, 1);
const END: Part = Part(24, 1);
/// What of the gap the third word does not hold: with it nine minutes fit, longer than a connection may be silent.
const GAP_HIGH: Part = Part(25, 7);

/// `HEADER` where the IP bytes stand in the place of the window, which is zero: the last piece of a datagram, for one, has less
/// than the payload that it completes. IPv4's and TCP's longest headers together are 120.
const APART: u32 = HEADER.most();
/// The gap of an end's first packet.
const NO_GAP: u64 = (1 << (u32::BITS + GAP_HIGH.1)) - 1;

impl Part {
    const fn most(self) -> u32 {
        (1 << self.1) - 1
    }

    const fn of(self, word: u32) -> u32 {
        word >> self.0 & self.most()
    }

    const fn put(self, value: u32) -> u32 {
        (value & self.most()) << self.0
    }
}

impl Entry {
    /// None where something does not fit: a giant packet, a gap of many minutes.
    #[inline]
    fn of(end: EndIndex, counted: &Counted) -> Option<Self> {
        let gap = match counted.gap {
            None => NO_GAP,
            Some(gap) if gap.0 < NO_GAP => gap.0,
            Some(_) => return None,
        };
        let payload = u16::try_from(counted.payload_bytes).ok()?;
        let (header, beside) = match counted.ip_bytes.checked_sub(counted.payload_bytes) {
            Some(header) if header < APART => (header, counted.window),
            _ if counted.window == 0 => (APART, u16::try_from(counted.ip_bytes).ok()?),
            _ => return None,
        };
        let marks = TTL.put(counted.ttl.into())
            | HEADER.put(header)
            | FLAGS.put(counted.flags.into())
            | ORDER.put(counted.order as u32)
            | IS_OPENING.put(counted.is_opening.into())
            | ZERO_WINDOW.put(counted.zero_window.into())
            | END.put(end.into())
            | GAP_HIGH.put((gap >> u32::BITS) as u32);
        Some(Self([u32::from(payload) | u32::from(beside) << 16, marks, gap as u32]))
    }

    fn end(&self) -> usize {
        END.of(self.0[1]) as usize
    }

    fn counted(&self) -> Counted {
        let Self([sizes, marks, gap_low]) = *self;
        let (payload_bytes, beside) = (sizes & 0xffff, sizes >> 16);
        let (ip_bytes, window) = match HEADER.of(marks) {
            APART => (beside, 0),
            header => (payload_bytes + header, beside as u16),
        };
        let gap = u64::from(GAP_HIGH.of(marks)) << u32::BITS | u64::from(gap_low);
        Counted {
            gap: (gap != NO_GAP).then_some(DurationNs(gap)),
            ip_bytes,
            payload_bytes,
            ttl: TTL.of(marks) as u8,
            is_opening: IS_OPENING.of(marks) > 0,
            flags: FLAGS.of(marks) as TcpFlags,
            window,
            order: Order::ALL[ORDER.of(marks) as usize],
            zero_window: ZERO_WINDOW.of(marks) > 0,
        }
    }
}

/// Pages of a log. Of those that are free each names the next in its first entry: all rows of a window leave theirs at once, and a
/// list of a million places would be four megabytes, and eight while it grows.
#[derive(Debug)]
struct Pages<const N: usize> {
    slab: Slab<[Entry; N]>,
    /// The one given back last; [`NOWHERE`] where none is free.
    free: u32,
}

impl<const N: usize> Pages<N> {
    fn new() -> Self {
        Self { slab: Slab::new(), free: NOWHERE }
    }

    /// Writes an entry; the first one begins the page.
    #[inline]
    fn put(&mut self, place: &mut u32, at: usize, entry: Entry) {
        if at == 0 {
            *place = self.take();
        }
        self.slab.at_mut(*place)[at] = entry;
    }

    /// Starts bringing near where an entry will be written, and where the page begins.
    #[inline]
    fn fetch(&self, place: u32, at: usize) {
        let page = self.slab.at(place);
        prefetch::line(page, 0);
        prefetch::line(page, at);
    }

    /// A page; what it held before is still in it.
    #[inline]
    fn take(&mut self) -> u32 {
        let place = self.free;
        if place == NOWHERE {
            self.slab.push([Entry::default(); N]);
            return self.slab.len() as u32 - 1;
        }
        self.free = self.slab.at(place)[0].0[0];
        place
    }

    /// The entries of a page that is free from now on.
    fn give_back(&mut self, place: u32) -> [Entry; N] {
        let page = self.slab.at_mut(place);
        let entries = *page;
        page[0].0[0] = std::mem::replace(&mut self.free, place);
        entries
    }

    #[cfg(test)]
    fn free(&self) -> usize {
        let next = |place: u32| Some(place).filter(|&place| place != NOWHERE);
        std::iter::successors(next(self.free), |&place| next(self.slab.at(place)[0].0[0])).count()
    }
}

const _: () = assert!(size_of::<Entry>() == 12);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(n: u64, gap: Option<u64>, bytes: u32) -> Counted {
        // Headers of every length; of a datagram's last piece less than the payload, and no window.
        let (ip_bytes, is_piece) =
            if n.is_multiple_of(5) { (bytes / 2, true) } else { (bytes + (n % 140) as u32, false) };
        Counted {
            gap: gap.map(DurationNs),
            ip_bytes,
            payload_bytes: bytes,
            ttl: (n % 250) as u8,
            is_opening: n.is_multiple_of(3),
            flags: n as u8,
            window: if is_piece { 0 } else { (n * 77) as u16 },
            order: Order::ALL[(n >> 3) as usize & 3],
            zero_window: n.is_multiple_of(7),
        }
    }

    /// Of any length, and at the border of what an entry holds.
    fn gap() -> impl Strategy<Value = Option<u64>> {
        prop::option::of(prop_oneof![0u64..1 << 50, 0u64..1 << 30, NO_GAP - 2..NO_GAP + 2])
    }

    proptest! {
        #[test]
        fn a_log_says_what_sums_say(
            rows in prop::collection::vec(
                prop::collection::vec((0u8..2, any::<u64>(), gap(), 0u32..70_000), 0..20),
                1..4,
            ),
        ) {
            // The same account over several rows: nothing of one row may be left in the next.
            let (mut ledger, mut account) = (Ledger::new(), Account::default());
            for row in rows {
                let mut wanted = [SideTotals::default(); 2];
                for (end, n, gap, bytes) in row {
                    let counted = packet(n & 0xffff, gap, bytes);
                    wanted[usize::from(end)].add(&counted);
                    ledger.add(&mut account, end, &counted);
                }
                prop_assert_eq!(ledger.take(&mut account, [None, Some(7)]), [wanted[0].row(None), wanted[1].row(Some(7))]);
            }
            prop_assert_eq!(ledger.first_pages.free(), ledger.first_pages.slab.len(), "every first page came back");
            prop_assert_eq!(ledger.second_pages.free(), ledger.second_pages.slab.len(), "every second page too");
            prop_assert_eq!(ledger.sums.free.len(), ledger.sums.slab.len(), "every sum came back");
        }
    }
}
