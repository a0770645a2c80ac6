//! Paces: rates over fine slots of time, of a population, of its busiest subscribers, and of what streams out.
//! In: flow rows. Out: series of IP bytes by slot, by which a stream that copies a population's traffic is recognised.
//! Bounds: [`STREAMS_MAX`] streams, [`BUSY_MAX`] subscribers, [`PACE_SLOTS_MAX`] slots a series.
//! Time: packet timestamps; slots are counted from 1970. Not here: what is a copy (`detect`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::identity::{Party, SubscriberIdentity};
use super::pair::SubscriberKey;
use super::populations::{PopulationIndex, Populations};
use super::role::Role;
use super::sketch::{CountedSet, Merge, ascending, merge_ascending};
use super::span::{Seen, Span, SpanClass};
use super::table::{Bounded, Weighed};
use super::totals::count;
use crate::flow::pace::PACE_SECONDS;
use crate::flow::row::FlowColumns;
use crate::units::{Address, DurationNs, Side, TimestampNs};

/// Most slots of a series: an hour of the finest ones.
pub const PACE_SLOTS_MAX: usize = 3600;
/// Streams kept, the heaviest ones.
pub const STREAMS_MAX: usize = 256;
/// Subscribers kept by pace, the heaviest ones.
pub const BUSY_MAX: usize = 128;
/// The same while a window is filled: so many that the choice is made at its end, whoever saw which row first.
const OPEN_MAX: usize = 8192;
/// A stream sends at least this many times what comes back: a copy is asked for nothing.
const ONE_SIDED_MIN: u64 = 3;
/// Bytes of a light row of a stream: keep-alives are fewer, and would only fill the table.
const LIVES_ON_BYTES_MIN: u64 = 2 << 10;
/// Pieces into which a row without a pace of its own is cut: it has few packets, so finer would say more than it knows.
const PIECES_MAX: u64 = 8;

/// Bytes by slot, ascending: up from the population (or from the stream's sender), down to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaceSeries {
    #[serde(deserialize_with = "ascending")]
    slots: Vec<(u64, [u64; 2])>,
}

impl PaceSeries {
    /// Slots in which anything moved.
    pub fn slots(&self) -> &[(u64, [u64; 2])] {
        &self.slots
    }

    /// IP bytes over all slots.
    pub fn total(&self) -> [u64; 2] {
        self.slots.iter().fold([0, 0], |sum, (_, bytes)| join(sum, *bytes))
    }

    fn put(&mut self, slot: u64, bytes: [u64; 2]) {
        match self.slots.last_mut() {
            Some((last, known)) if *last == slot => *known = join(*known, bytes),
            Some((last, _)) if *last > slot => match self.slots.binary_search_by_key(&slot, |(s, _)| *s) {
                Ok(at) => self.slots[at].1 = join(self.slots[at].1, bytes),
                Err(at) => self.slots.insert(at, (slot, bytes)),
            },
            _ => self.slots.push((slot, bytes)),
        }
    }

    fn rollup(&mut self, from: SpanClass, to: SpanClass) {
        let factor = (slot_length(to).0 / slot_length(from).0).max(1);
        let mut coarse: Vec<(u64, [u64; 2])> = Vec::with_capacity(self.slots.len() / factor as usize + 1);
        for (slot, bytes) in self.slots.drain(..) {
            match coarse.last_mut() {
                Some((known, sum)) if *known == slot / factor => *sum = join(*sum, bytes),
                _ => coarse.push((slot / factor, bytes)),
            }
        }
        self.slots = coarse;
    }
}

impl Merge for PaceSeries {
    fn merge(&mut self, other: Self) {
        merge_ascending(&mut self.slots, other.slots, |mine, theirs| *mine = join(*mine, theirs));
    }
}

fn join(a: [u64; 2], b: [u64; 2]) -> [u64; 2] {
    [a[0].saturating_add(b[0]), a[1].saturating_add(b[1])]
}

/// Length of a slot. Each one's slots nest in the next one's.
pub fn slot_length(class: SpanClass) -> DurationNs {
    match class {
        SpanClass::Window => DurationNs::from_secs(1),
        SpanClass::Hour => DurationNs::from_secs(4),
        SpanClass::Day => DurationNs::from_secs(60),
    }
}

/// Who streams to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamKey {
    /// The far end, outside every population.
    pub to: Address,
    /// Who sends.
    pub from: Party,
}

/// What streams out, one-sidedly.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// Bytes by slot: sent, and sent back.
    pub series: PaceSeries,
    /// IP bytes, in the same order.
    pub bytes: [u64; 2],
    /// Packets, in the same order.
    pub packets: [u64; 2],
    /// Flows that began here.
    pub flows: u64,
    /// First and last packet.
    pub seen: Seen,
    /// Rows by IP protocol (times 2¹⁶) and the receiver's port.
    pub services: CountedSet<u32, 4>,
}

impl Merge for Stream {
    fn merge(&mut self, other: Self) {
        let Self { series, bytes, packets, flows, seen, services } = other;
        self.series.merge(series);
        self.bytes = join(self.bytes, bytes);
        self.packets = join(self.packets, packets);
        count(&mut self.flows, flows);
        self.seen.merge(seen);
        self.services.merge(services);
    }
}

impl Weighed for Stream {
    type Others = StreamedBytes;

    fn weight(&self) -> u64 {
        self.bytes[0]
    }

    fn to_others(&self) -> StreamedBytes {
        StreamedBytes(self.bytes[0])
    }
}

/// What is kept of streams and busy subscribers that did not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamedBytes(pub u64);

impl Merge for StreamedBytes {
    fn merge(&mut self, other: Self) {
        count(&mut self.0, other.0);
    }
}

/// The heavy rows of one subscriber.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Busy {
    /// Bytes by slot.
    pub series: PaceSeries,
    /// IP bytes both ways.
    pub bytes: u64,
}

impl Merge for Busy {
    fn merge(&mut self, other: Self) {
        self.series.merge(other.series);
        count(&mut self.bytes, other.bytes);
    }
}

impl Weighed for Busy {
    type Others = StreamedBytes;

    fn weight(&self) -> u64 {
        self.bytes
    }

    fn to_others(&self) -> StreamedBytes {
        StreamedBytes(self.bytes)
    }
}

/// All paces of a summary.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Paces {
    /// Everything between each population and parties outside.
    pub whole: BTreeMap<PopulationIndex, PaceSeries>,
    /// What streams out.
    pub streams: Bounded<StreamKey, Stream>,
    /// The busiest subscribers.
    pub busy: Bounded<SubscriberKey, Busy>,
}

/// Slots that rows of a span may count in: a hostile clock cannot make a series long.
#[derive(Clone, Copy, Debug)]
pub(super) struct PaceRange {
    length: DurationNs,
    first: u64,
    last: u64,
}

impl PaceRange {
    pub(super) fn of(span: Span, class: SpanClass) -> Self {
        let length = slot_length(class);
        let slot = |ts: TimestampNs| ts.0 / length.0;
        match span.is_empty() {
            true => Self { length, first: 1, last: 0 },
            false => {
                let first = slot(span.start);
                Self {
                    length,
                    first,
                    last: slot(span.end.before(DurationNs(1))).min(first + PACE_SLOTS_MAX as u64 - 1),
                }
            }
        }
    }
}

impl Paces {
    /// Adds one row that is no copy inside a tunnel.
    pub(super) fn add<I: SubscriberIdentity>(
        &mut self,
        (rows, i): (&FlowColumns, usize),
        ends: [Address; 2],
        role: Role,
        range: &PaceRange,
        (populations, identity): (&Populations, &mut I),
    ) {
        if let Role::Collect { population, subscriber } = role {
            let whole = self.whole.entry(population).or_default();
            each_slot(rows, i, range, subscriber, |slot, bytes| whole.put(slot, bytes));
        }
        if rows.pace[i].is_none() {
            if lives_on(rows, i) {
                self.add_stream((rows, i), ends, range, (populations, identity));
            }
            return;
        }
        if let Role::Collect { population, subscriber } = role {
            let real = populations.subscriber_of(ends[subscriber.index()]);
            let key = SubscriberKey { population, subscriber: identity.pseudonym(real) };
            let busy = self.busy.entry(key, OPEN_MAX);
            each_slot(rows, i, range, subscriber, |slot, bytes| busy.series.put(slot, bytes));
            let sum = rows.sides[0].ip_bytes[i].saturating_add(rows.sides[1].ip_bytes[i]);
            count(&mut busy.bytes, sum);
        }
        self.add_stream((rows, i), ends, range, (populations, identity));
    }

    fn add_stream<I: SubscriberIdentity>(
        &mut self,
        (rows, i): (&FlowColumns, usize),
        ends: [Address; 2],
        range: &PaceRange,
        (populations, identity): (&Populations, &mut I),
    ) {
        let bytes = [rows.sides[0].ip_bytes[i], rows.sides[1].ip_bytes[i]];
        let from = if bytes[0] >= bytes[1] { Side::Orig } else { Side::Resp };
        let (sent, back) = (bytes[from.index()], bytes[from.other().index()]);
        let Party::Outside(to) = Party::of(ends[from.other().index()], populations, identity) else { return };
        if sent < back.saturating_mul(ONE_SIDED_MIN) || super::role::is_no_party(&to) {
            return;
        }
        let from_party = Party::of(ends[from.index()], populations, identity);
        // What two strangers say inside somebody's tunnel (a home cell, a broker of IPv6) is no device's here.
        if rows.carrier[i].is_some() && matches!(from_party, Party::Outside(_)) {
            return;
        }
        let stream = self.streams.entry(StreamKey { to, from: from_party }, OPEN_MAX);
        each_slot(rows, i, range, from, |slot, bytes| stream.series.put(slot, bytes));
        stream.bytes = join(stream.bytes, [sent, back]);
        let packets = |side: Side| u64::from(rows.sides[side.index()].packets[i]);
        stream.packets = join(stream.packets, [packets(from), packets(from.other())]);
        count(&mut stream.flows, u64::from(rows.row_number[i] == 0));
        stream.seen.merge(Seen::between(rows.ts_first[i], rows.ts_last[i]));
        stream.services.add(u32::from(rows.key[i].protocol) << 16 | u32::from(rows.port(i, from.other())));
    }

    pub(super) fn rollup(&mut self, from: SpanClass, to: SpanClass) {
        self.whole.values_mut().for_each(|series| series.rollup(from, to));
        self.streams.each(|stream| stream.series.rollup(from, to));
        self.busy.each(|busy| busy.series.rollup(from, to));
    }

    pub(super) fn bound(&mut self) {
        self.streams.bound(STREAMS_MAX);
        self.busy.bound(BUSY_MAX);
        self.whole.values_mut().for_each(|series| series.slots.truncate(PACE_SLOTS_MAX));
        self.streams.each(|stream| {
            stream.series.slots.truncate(PACE_SLOTS_MAX);
            stream.services.bound();
        });
        self.busy.each(|busy| busy.series.slots.truncate(PACE_SLOTS_MAX));
    }
}

impl Merge for Paces {
    fn merge(&mut self, other: Self) {
        let Self { whole, streams, busy } = other;
        for (population, series) in whole {
            self.whole.entry(population).or_default().merge(series);
        }
        self.streams.merge(streams);
        self.busy.merge(busy);
    }
}

/// Whether a light row belongs to a stream none the less: a flow that has lasted for a window sends on. Without such rows a slow
/// stream is silent whenever it is not loud, which is no copy of anything.
fn lives_on(rows: &FlowColumns, i: usize) -> bool {
    let sent = rows.sides[0].ip_bytes[i].max(rows.sides[1].ip_bytes[i]);
    rows.row_number[i] > 0 && sent >= LIVES_ON_BYTES_MIN
}

/// Gives the row's IP bytes to the slots that they fall in, `[up's, the other side's]`.
fn each_slot(rows: &FlowColumns, i: usize, range: &PaceRange, up: Side, mut give: impl FnMut(u64, [u64; 2])) {
    let oriented = |bytes: [u64; 2]| [bytes[up.index()], bytes[up.other().index()]];
    let mut put = |ts: TimestampNs, bytes: [u64; 2]| {
        let slot = ts.0 / range.length.0;
        if (range.first..=range.last).contains(&slot) && bytes != [0, 0] {
            give(slot, oriented(bytes));
        }
    };
    let (first, last) = (rows.ts_first[i], rows.ts_last[i]);
    let mut rest = [rows.sides[0].ip_bytes[i], rows.sides[1].ip_bytes[i]];
    let Some(pace) = &rows.pace[i] else {
        return spread(rest, (first, last), PIECES_MAX, range, put);
    };
    let mut told = [0u64; 2];
    for (ts, bytes) in pace.seconds() {
        put(ts.max(first), bytes);
        told = join(told, bytes);
    }
    rest = [rest[0].saturating_sub(told[0]), rest[1].saturating_sub(told[1])];
    // What a side sent before it was told by second came before that; of a side that never was, all over the row. Lumps
    // would look like bursts here, and like each other's.
    let early = pace.start().max(first).min(last);
    for (side, &told) in told.iter().enumerate() {
        let until = if told > 0 { early } else { last };
        let mine = std::array::from_fn(|s| if s == side { rest[s] } else { 0 });
        spread(mine, (first, until), PACE_SECONDS as u64, range, &mut put);
    }
}

/// Bytes evenly over a stretch of time, in so many pieces at most.
fn spread(
    bytes: [u64; 2],
    (first, last): (TimestampNs, TimestampNs),
    most: u64,
    range: &PaceRange,
    mut put: impl FnMut(TimestampNs, [u64; 2]),
) {
    let length = last.since(first).0;
    let pieces = (length / range.length.0 + 1).min(most);
    for piece in 0..pieces {
        let part = |bytes: u64, n: u64| match bytes.checked_mul(n) {
            Some(product) => product / pieces,
            None => (u128::from(bytes) * u128::from(n) / u128::from(pieces)) as u64,
        };
        let at = first.after(DurationNs(length / pieces * piece + length / pieces / 2));
        put(at, bytes.map(|bytes| part(bytes, piece + 1) - part(bytes, piece)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::pace::Pace;
    use crate::flow::row::CarrierRow;
    use crate::packet::columns::TunnelKind;
    use crate::population::limits::SummaryLimits;
    use crate::population::summary::tests::{row, summary_of};

    fn second(s: u64) -> TimestampNs {
        TimestampNs(DurationNs::from_secs(1_000_000_000 + s).0)
    }

    #[test]
    fn a_heavy_row_is_told_by_second_and_a_light_one_spread() {
        let far = Address::v4([203, 0, 113, 7]);
        let mut heavy = row(Address::v4([10, 0, 0, 1]), far, 10, 40_000, 100);
        let mut pace = Pace::new(second(12));
        pace.add(Side::Orig, second(12), 10_000);
        pace.add(Side::Orig, second(20), 30_000);
        heavy.pace = Some(Box::new(pace));
        let light = row(Address::v4([10, 0, 0, 2]), far, 100, 0, 1_440);
        let summary = summary_of(&[heavy, light], &SummaryLimits::default());

        let whole = &summary.paces.whole[&PopulationIndex(0)];
        let bytes = |s: u64| {
            let slot = 1_000_000_000 + s;
            whole.slots().iter().find(|(at, _)| *at == slot).map_or([0, 0], |(_, bytes)| *bytes)
        };
        assert_eq!((bytes(12)[0], bytes(20)), (10_000, [30_000, 17]));
        assert_eq!(whole.total(), [40_160 + 160, 260 + 1_600], "nothing is lost");
        assert_eq!(summary.paces.streams.len(), 1, "light rows make no stream");
        let (key, stream) = summary.paces.streams.sorted()[0];
        assert_eq!((key.to, stream.bytes, stream.series.total()), (far, [40_160, 260], [40_160, 260]));
        assert_eq!(summary.paces.busy.len(), 1);
    }

    #[test]
    fn what_strangers_say_inside_a_tunnel_is_no_stream_of_a_device_here() {
        let (phone, shop) = (Address::v4([100, 127, 0, 9]), Address::v4([203, 0, 113, 7]));
        let home = Address::v4([10, 0, 0, 1]);
        let outer = [home, Address::v4([198, 51, 100, 9])];
        let carrier =
            |kind| CarrierRow { kind, outer, port: 0, id: 0, depth: 1, packets: [[9, 0], [0, 9]], bytes: [[0; 2]; 2] };
        // From, to, the tunnel, streams.
        let table = [
            (shop, Address::v4([198, 51, 100, 7]), Some(TunnelKind::GtpU), 0),
            (shop, Address::v4([198, 51, 100, 7]), None, 1),
            (home, shop, Some(TunnelKind::GtpU), 1),
            (phone, shop, Some(TunnelKind::IpInIp), 0),
        ];
        for (from, to, tunnel, wanted) in table {
            let mut heavy = row(from, to, 10, 40_000, 0);
            let mut pace = Pace::new(second(12));
            pace.add(Side::Orig, second(12), 40_000);
            heavy.pace = Some(Box::new(pace));
            heavy.carrier = tunnel.map(carrier);
            let summary = summary_of(&[heavy], &SummaryLimits::default());
            assert_eq!(summary.paces.streams.len(), wanted, "{from} to {to}, {tunnel:?}");
        }
    }

    #[test]
    fn a_slow_stream_that_lives_on_is_not_silent_between_its_loud_windows() {
        let far = Address::v4([203, 0, 113, 7]);
        let mut light = row(Address::v4([10, 0, 0, 1]), far, 70, 3_000, 0);
        let first = summary_of(&[light.clone()], &SummaryLimits::default());
        assert_eq!(first.paces.streams.len(), 0, "a short flow is no stream");
        light.row_number = 1;
        let on = summary_of(&[light.clone()], &SummaryLimits::default());
        assert_eq!(on.paces.streams.sorted()[0].1.bytes, [3_160, 160], "{:?}", on.paces.streams);
        (light.sides[0].ip_bytes, light.sides[0].payload_bytes) = (500, 400);
        let keepalive = summary_of(&[light], &SummaryLimits::default());
        assert_eq!(keepalive.paces.streams.len(), 0);
    }

    #[test]
    fn slots_nest() {
        for two in SpanClass::ALL.windows(2) {
            assert_eq!(slot_length(two[1]).0 % slot_length(two[0]).0, 0);
        }
        let mut fine = PaceSeries::default();
        for slot in [3, 4, 7, 8, 5] {
            fine.put(slot, [slot, 1]);
        }
        fine.rollup(SpanClass::Window, SpanClass::Hour);
        assert_eq!(fine.slots(), [(0, [3, 1]), (1, [16, 3]), (2, [8, 1])]);
    }
}
