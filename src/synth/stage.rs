//! Stage: what happens next. Actors wake, plan packets a little ahead, and sleep; packets leave in the order of their times.
//! In: plans and wake-up times. Out: frames, one at a time, to the sink.
//! Bounds: what is planned and not yet sent, which is a flight for each live connection; nothing grows with the capture's
//! length. Time: simulated. Ties go to what was planned first, so the order is one for all machines.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use super::faults::CapturePoint;
use super::town::Town;
use super::town::plane::UserPlane;
use super::wire::packet::{ETHERNET_BYTES, IpId, Plan};
use super::wire::wrap::Outer;
use super::write::WriteError;
use crate::units::{Address, DurationNs, TimestampNs};

/// What an actor does after it has acted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    At(TimestampNs),
    Gone,
}

/// Something that lives in the world: a connection, a habit, an operation.
pub(crate) trait Actor {
    fn wake(&mut self, now: TimestampNs, cx: &mut Cx) -> Wake;
}

/// Something that sees each packet as it passes the capture point, and may send copies of it.
pub(crate) trait Tap {
    fn see(&mut self, at: TimestampNs, plan: &Plan, frame: &[u8], stage: &mut Stage);
}

/// What an actor can reach.
pub(crate) struct Cx<'a> {
    pub(crate) stage: &'a mut Stage,
    pub(crate) town: &'a mut Town,
}

/// What one generator has put into the capture.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) packets: u64,
    pub(crate) first: Option<TimestampNs>,
    pub(crate) last: TimestampNs,
    /// Subscribers whose packets it counted, by their number.
    pub(crate) subscribers: BTreeSet<u32>,
    /// Addresses on the far side.
    pub(crate) parties: BTreeSet<Address>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Packet(u32),
    Frame(u32),
    Wake(u32),
}

/// Things with numbers; a number is used again once its thing has gone.
struct Slab<T> {
    things: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    fn new() -> Self {
        Self { things: Vec::new(), free: Vec::new() }
    }

    fn put(&mut self, thing: T) -> u32 {
        if let Some(number) = self.free.pop() {
            self.things[number as usize] = Some(thing);
            return number;
        }
        self.things.push(Some(thing));
        (self.things.len() - 1) as u32
    }

    /// Takes a thing out; its number stays taken until [`Self::release`].
    fn take(&mut self, number: u32) -> Option<T> {
        self.things.get_mut(number as usize)?.take()
    }

    fn release(&mut self, number: u32) {
        self.free.push(number);
    }
}

struct CopiedFrame {
    bytes: Box<[u8]>,
    label: u16,
}

/// One end of a tunnel that carries conversations.
pub(crate) struct CarrierEnd {
    /// The inner address behind the first end.
    pub(crate) inner_of_first: Address,
    pub(crate) outer: Outer,
}

/// A frame, when it was sent, and the label of who sent it.
#[cfg(test)]
pub(crate) type Witnessed = (TimestampNs, u16, Box<[u8]>);

/// The schedule.
pub(crate) struct Stage {
    due: BinaryHeap<Reverse<(TimestampNs, u64, What)>>,
    planned: u64,
    plans: Slab<Plan>,
    frames: Slab<CopiedFrame>,
    actors: Slab<Box<dyn Actor>>,
    /// Identification counters of hosts that share one among all their packets.
    host_ids: Vec<u16>,
    pub(crate) tallies: Vec<Tally>,
    /// Tunnels that carry whole conversations, by number from 1, one way and the other.
    pub(crate) carriers: Vec<[CarrierEnd; 2]>,
    /// In which everything travels, where the world is a mobile one.
    pub(crate) plane: Option<UserPlane>,
    pub(crate) start: TimestampNs,
    pub(crate) end: TimestampNs,
    /// How many packets a run may still send before it pauses.
    pub(crate) packets_left: u64,
    /// Every frame and the label of who sent it, where a test looks on.
    #[cfg(test)]
    pub(crate) witnessed: Option<Vec<Witnessed>>,
}

impl Stage {
    pub(crate) fn new(start: TimestampNs, end: TimestampNs) -> Self {
        Self {
            due: BinaryHeap::new(),
            planned: 0,
            plans: Slab::new(),
            frames: Slab::new(),
            actors: Slab::new(),
            host_ids: Vec::new(),
            tallies: vec![Tally::default()],
            carriers: Vec::new(),
            plane: None,
            start,
            end,
            packets_left: u64::MAX,
            #[cfg(test)]
            witnessed: None,
        }
    }

    /// Plans a packet. What lies before the start or after the end of the capture is not seen.
    pub(crate) fn send(&mut self, at: TimestampNs, plan: Plan) {
        if self.sees(at) {
            let number = self.plans.put(plan);
            self.push(at, What::Packet(number));
        }
    }

    /// Plans a frame that is written as it is.
    pub(crate) fn send_frame(&mut self, at: TimestampNs, bytes: Box<[u8]>, label: u16) {
        if self.sees(at) {
            let number = self.frames.put(CopiedFrame { bytes, label });
            self.push(at, What::Frame(number));
        }
    }

    /// Plans what the capture point would see of a copy of this packet.
    pub(crate) fn send_twin(&mut self, at: TimestampNs, plan: &Plan, frame: &[u8], label: u16) {
        match self.plane.as_mut().and_then(|plane| plane.wrap(plan, frame)) {
            Some(frames) => frames.into_iter().for_each(|frame| self.send_frame(at, frame, label)),
            None => self.send_frame(at, frame.into(), label),
        }
    }

    /// Brings an actor to life, to wake at this time.
    pub(crate) fn spawn(&mut self, at: TimestampNs, actor: Box<dyn Actor>) {
        if at < self.end {
            let number = self.actors.put(actor);
            self.push(at, What::Wake(number));
        }
    }

    /// A counter for a host that numbers its packets one after the other.
    pub(crate) fn host_counter(&mut self, first: u16) -> IpId {
        self.host_ids.push(first);
        IpId::Host((self.host_ids.len() - 1) as u32)
    }

    fn sees(&self, at: TimestampNs) -> bool {
        at >= self.start && at < self.end
    }

    fn push(&mut self, at: TimestampNs, what: What) {
        self.planned += 1;
        self.due.push(Reverse((at, self.planned, what)));
    }

    /// When the next thing happens; the end where nothing will.
    pub(crate) fn now(&self) -> TimestampNs {
        self.due.peek().map_or(self.end, |Reverse((at, ..))| *at)
    }

    /// Whether nothing will happen any more.
    pub(crate) fn is_over(&self) -> bool {
        self.due.is_empty()
    }

    /// Runs the world to its end, or until it has sent as much as it may; another run goes on from there.
    pub(crate) fn run(
        &mut self,
        town: &mut Town,
        taps: &mut [Box<dyn Tap>],
        out: &mut CapturePoint,
    ) -> Result<(), WriteError> {
        let mut frame = Vec::with_capacity(super::wire::FRAME_BYTES_MAX);
        while self.packets_left > 0
            && let Some(Reverse((at, _, what))) = self.due.pop()
        {
            self.packets_left -= u64::from(!matches!(what, What::Wake(_)));
            match what {
                What::Wake(number) => self.wake(at, number, town),
                What::Packet(number) => {
                    let Some(plan) = self.plans.take(number) else { continue };
                    self.plans.release(number);
                    let id = self.resolve(plan.id);
                    plan.write(id, Town::macs(plan.source.address), &town.pool, &mut frame);
                    if plan.carried != 0 {
                        self.write_carried(at, &plan, &frame, out)?;
                        continue;
                    }
                    match self.plane.as_mut().and_then(|plane| plane.wrap(&plan, &frame)) {
                        Some(frames) => frames.iter().try_for_each(|frame| out.write(at, frame))?,
                        None => out.write(at, &frame)?,
                    }
                    self.count(at, &plan);
                    #[cfg(test)]
                    self.witness(at, plan.label, &frame);
                    for tap in taps.iter_mut() {
                        tap.see(at, &plan, &frame, self);
                    }
                }
                What::Frame(number) => {
                    let Some(copy) = self.frames.take(number) else { continue };
                    self.frames.release(number);
                    out.write(at, &copy.bytes)?;
                    #[cfg(test)]
                    self.witness(at, copy.label, &copy.bytes);
                    self.tally(at, copy.label);
                }
            }
        }
        Ok(())
    }

    /// Writes the wrapping around a packet that never travels bare.
    fn write_carried(
        &mut self,
        at: TimestampNs,
        plan: &Plan,
        frame: &[u8],
        out: &mut CapturePoint,
    ) -> Result<(), WriteError> {
        self.count(at, plan);
        let inner = &frame[..frame.len().min(ETHERNET_BYTES + plan.ip_bytes())];
        let Some([forth, back]) = self.carriers.get_mut(usize::from(plan.carried) - 1) else { return Ok(()) };
        let from_first = plan.source.address == forth.inner_of_first;
        let outer = if from_first { &mut forth.outer } else { &mut back.outer };
        let frames = outer.frames(inner);
        for frame in frames {
            out.write(at, &frame)?;
            #[cfg(test)]
            self.witness(at, plan.label, &frame);
        }
        Ok(())
    }

    fn wake(&mut self, at: TimestampNs, number: u32, town: &mut Town) {
        let Some(mut actor) = self.actors.take(number) else { return };
        match actor.wake(at, &mut Cx { stage: self, town }) {
            Wake::At(next) if next < self.end => {
                // Time never stands still: an actor that asks for now again gets the next nanosecond.
                let next = next.max(at.after(DurationNs(1)));
                self.actors.things[number as usize] = Some(actor);
                self.push(next, What::Wake(number));
            }
            _ => self.actors.release(number),
        }
    }

    fn resolve(&mut self, id: IpId) -> u16 {
        match id {
            IpId::Fixed(id) => id,
            IpId::Host(counter) => {
                let id = &mut self.host_ids[counter as usize];
                *id = id.wrapping_add(1);
                *id
            }
        }
    }

    fn count(&mut self, at: TimestampNs, plan: &Plan) {
        self.tally(at, plan.label);
        if plan.label == 0 {
            return;
        }
        let subscriber = Town::subscriber_of(plan.source.address).or(Town::subscriber_of(plan.destination.address));
        let tally = &mut self.tallies[usize::from(plan.label)];
        if let Some(subscriber) = subscriber {
            tally.subscribers.insert(subscriber);
        }
    }

    #[cfg(test)]
    fn witness(&mut self, at: TimestampNs, label: u16, frame: &[u8]) {
        if let Some(witnessed) = &mut self.witnessed {
            witnessed.push((at, label, frame.into()));
        }
    }

    fn tally(&mut self, at: TimestampNs, label: u16) {
        let tally = &mut self.tallies[usize::from(label)];
        tally.packets += 1;
        tally.first.get_or_insert(at);
        tally.last = at;
    }
}
