//! TCP connections: handshake, rounds of a script, close, as the capture point sees them.
//! In: two parties, a carrier, a script. Out: planned packets. Bounds: one flight ahead; see `flight` for how bytes become
//! segments. Time: simulated; the capture point lies between the parties, each a delay away.

use std::collections::VecDeque;

use super::dial::{Dial, Naming};
use super::flight::Draft;
use super::script::{Close, Script};
use super::stack::{Agreed, Stack};
use super::{DeviceNumber, Town};
use crate::synth::dice::{Dice, secs};
use crate::synth::stage::{Actor, Cx, Wake};
use crate::synth::wire::hello::{Ask, HelloStack};
use crate::synth::wire::packet::{ACK, Endpoint, FIN, PSH, RST, SYN};
use crate::synth::wire::payload::Source;
use crate::synth::wire::tls::{self, Flight};
use crate::synth::wire::{http, packet::IpId};
use crate::units::{DurationNs, Side, TimestampNs};

/// Plain bytes up to which a sender uses records of about a segment; above, it fills them.
const SMALL_RECORDS_BELOW: u64 = 8_192;
/// How long a stack waits for data that an acknowledgement could ride on.
pub(super) const DELAYED_ACK: DurationNs = DurationNs::from_millis(40);

/// How a connection begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    Handshake,
    /// It lives already when the capture starts.
    Midway,
    /// Nobody listens there.
    Refused,
    /// Nobody is there.
    Unanswered,
}

/// How a side numbers the packets of this connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ids {
    Connection(u16),
    Host(IpId),
    Zero,
}

/// One side.
pub(crate) struct Party {
    pub(crate) stack: &'static Stack,
    pub(crate) ttl: u8,
    /// One way from the capture point.
    pub(crate) delay: DurationNs,
    /// What the path carries from here, bits a second.
    pub(crate) bps: f64,
    pub(crate) ids: Ids,
}

/// What the conversation looks like on the wire.
pub(crate) enum Carrier {
    Tls { hello: &'static HelloStack, naming: Naming, service: u32, resumes: bool },
    Smb { session: u64 },
    Http { method: &'static str, path: &'static str, kind: &'static str, service: u32, agent: &'static str },
}

/// What one side does next.
pub(super) struct Leg {
    pub(super) flight: Flight,
    /// After it has got what came before (or sent it, where the side stays the same).
    pub(super) after: DurationNs,
}

/// One side's half of the state.
pub(super) struct Half {
    pub(super) party: Party,
    /// Sequence number of its next byte.
    pub(super) next: u32,
    pub(super) clock_base: u32,
    pub(super) clock_last: u32,
    /// When its last packet passes.
    pub(super) last_at: TimestampNs,
    /// Segments that it got and has not acknowledged.
    pub(super) unacked: u32,
    pub(super) cwnd: u64,
    pub(super) cwnd_max: u64,
    pub(super) gap: DurationNs,
}

enum Phase {
    Opening,
    Talking,
    Closed,
}

/// Digits of a station's clock.
pub(super) const UP_DIGITS: u64 = 8;

/// Where an answer that is made anew tells the time, and what it said.
pub(super) struct Rebuilt {
    /// Offset of the first digit.
    pub(super) digits_at: u64,
    pub(super) up_ms: u64,
}

/// One connection.
pub(crate) struct Connection {
    pub(super) ends: [Endpoint; 2],
    pub(super) halves: [Half; 2],
    pub(super) agreed: Agreed,
    /// Payload bytes of a full segment.
    pub(super) segment: u64,
    mss: u16,
    pub(super) loss: f64,
    pub(super) label: u16,
    pub(super) carried: u8,
    pub(super) flow_label: u32,
    pub(super) dice: Dice,
    pub(super) legs: VecDeque<Leg>,
    /// Bytes of the first leg that are under way.
    pub(super) sent: u64,
    pub(super) drafts: Vec<Draft>,
    /// The answer under way, where its sender keeps nothing.
    pub(super) rebuilt: Option<Rebuilt>,
    device: DeviceNumber,
    opening: Opening,
    carrier: Carrier,
    script: Script,
    rounds: u32,
    tickets_due: bool,
    phase: Phase,
}

impl Connection {
    #[expect(clippy::too_many_arguments, reason = "each is a different thing, and there is one caller")]
    pub(crate) fn new(
        dial: &Dial,
        ends: [Endpoint; 2],
        [client, server]: [Party; 2],
        agreed: Agreed,
        carrier: Carrier,
        loss: f64,
        mss: u16,
        mut dice: Dice,
    ) -> Self {
        let rtt_s = 2.0 * (client.delay.as_secs_f64() + server.delay.as_secs_f64());
        // Nobody sends more than the other side has room for.
        let rooms = [server.stack.room(agreed, mss), client.stack.room(agreed, mss)];
        let half = |party: Party, room: u64, dice: &mut Dice| {
            let segment_s = f64::from(mss) * 8.0 / party.bps;
            Half {
                next: dice.int(),
                clock_base: dice.int(),
                clock_last: 0,
                last_at: TimestampNs::ZERO,
                unacked: 0,
                cwnd: 10.min(room),
                cwnd_max: ((rtt_s / segment_s) as u64).clamp(10, 400).min(room),
                gap: secs(segment_s * 0.9),
                party,
            }
        };
        Self {
            halves: [half(client, rooms[0], &mut dice), half(server, rooms[1], &mut dice)],
            ends,
            agreed,
            segment: u64::from(mss) - if agreed.timestamps { 12 } else { 0 },
            mss,
            loss,
            label: dial.label,
            carried: dial.carried,
            flow_label: dice.int() & 0xf_ffff,
            dice,
            legs: VecDeque::new(),
            sent: 0,
            drafts: Vec::new(),
            rebuilt: None,
            device: dial.device,
            opening: dial.opening,
            carrier,
            script: dial.script,
            rounds: 0,
            tickets_due: false,
            phase: Phase::Opening,
        }
    }

    pub(super) fn half(&mut self, side: Side) -> &mut Half {
        &mut self.halves[side.index()]
    }

    pub(super) fn delay(&self, side: Side) -> DurationNs {
        self.halves[side.index()].party.delay
    }

    /// From a packet that passes towards `side` to its answer that passes back.
    pub(super) fn turn(&self, side: Side) -> DurationNs {
        DurationNs(2 * self.delay(side).0)
    }

    fn open(&mut self, now: TimestampNs, cx: &mut Cx) -> Wake {
        self.phase = Phase::Talking;
        match self.opening {
            Opening::Midway => {
                self.refill(cx.town);
                return match self.legs.front() {
                    Some(leg) => Wake::At(now.after(leg.after)),
                    None => Wake::Gone,
                };
            }
            Opening::Unanswered => {
                for wait in [0, 1, 3] {
                    self.draft_syn(now.after(DurationNs::from_secs(wait)));
                }
                self.phase = Phase::Closed;
                return Wake::At(now.after(DurationNs::from_secs(7)));
            }
            Opening::Handshake | Opening::Refused => {}
        }
        let mut at = now;
        self.draft_syn(at);
        if self.dice.chance(self.loss) {
            at = at.after(DurationNs::from_secs(1)).after(self.dice.secs_between(0.0, 0.004));
            self.draft_syn(at);
        }
        let answered = at.after(self.turn(Side::Resp)).after(self.dice.secs_between(0.00002, 0.0002));
        self.half(Side::Orig).next = self.halves[0].next.wrapping_add(1);
        if self.opening == Opening::Refused {
            self.half(Side::Resp).next = 0;
            self.draft(answered, Side::Resp, RST | ACK, 0);
            self.phase = Phase::Closed;
            return Wake::At(answered.after(DurationNs::from_millis(10)));
        }
        self.draft(answered, Side::Resp, SYN | ACK, 0);
        self.half(Side::Resp).next = self.halves[1].next.wrapping_add(1);
        let ready = answered.after(self.turn(Side::Orig)).after(self.dice.secs_between(0.00002, 0.0003));
        self.draft(ready, Side::Orig, ACK, 0);
        self.begin(cx.town);
        self.refill(cx.town);
        let first = self.dice.secs_between(0.00005, 0.002);
        match (&self.carrier, self.legs.front()) {
            (Carrier::Http { .. }, Some(leg)) => Wake::At(ready.after(leg.after).after(first)),
            (_, Some(_)) => Wake::At(ready.after(first)),
            (_, None) => Wake::At(ready),
        }
    }

    fn draft_syn(&mut self, at: TimestampNs) {
        self.draft(at, Side::Orig, SYN, 0);
    }

    /// Queues the flights of the carrier's own handshake.
    fn begin(&mut self, town: &Town) {
        let Carrier::Tls { hello, naming, service, resumes } = self.carrier else { return };
        let server = town.catalogue.get(service);
        let shown = town.intercepted(self.device, service).map_or(&server.tls, |(shown, _)| shown);
        let name = (naming != Naming::Address).then_some(server.name.as_str());
        let ask = Ask { name, resumes, quic_source_id: None };
        // Sums with keys take small devices long.
        let effort_s = if hello.speaks_tls_13() { 0.0015 } else { 0.006 };
        for flight in tls::handshake(hello, shown, &ask, &mut self.dice, &town.pool) {
            let after = match flight.side {
                Side::Orig => secs(self.dice.exponential(effort_s) + 0.0003),
                Side::Resp => secs(self.dice.exponential(0.001) + 0.0002),
            };
            self.legs.push_back(Leg { flight, after });
        }
        self.tickets_due = hello.speaks_tls_13() && shown.version == tls::ServerVersion::Tls13;
    }

    /// Queues the next round where nothing is queued; afterwards an empty queue means that all is said.
    pub(super) fn refill(&mut self, town: &Town) {
        if self.legs.len() > 1 {
            return;
        }
        let Some(round) = self.script.next(self.rounds, &mut self.dice) else { return };
        self.rounds += 1;
        let tickets_now = self.tickets_due && round.wait > DELAYED_ACK;
        if tickets_now {
            self.push_tickets(DurationNs(400_000), town);
        }
        let mut wait = DurationNs(round.wait.0 + 100_000);
        if round.up > 0 || matches!(self.carrier, Carrier::Http { .. }) {
            let flight = self.request(round.up, town);
            self.legs.push_back(Leg { flight, after: wait });
            wait = round.think;
        }
        if self.tickets_due {
            self.push_tickets(DurationNs(300_000), town);
        }
        if round.down > 0 {
            let flight = self.response(round.down, town);
            self.legs.push_back(Leg { flight, after: wait });
        }
    }

    fn push_tickets(&mut self, after: DurationNs, town: &Town) {
        self.tickets_due = false;
        let flight = tls::tickets(2, &mut self.dice, &town.pool);
        self.legs.push_back(Leg { flight, after });
    }

    fn request(&mut self, bytes: u64, town: &Town) -> Flight {
        match self.carrier {
            Carrier::Tls { .. } => self.records(Side::Orig, bytes),
            Carrier::Smb { session } => self.sealed(Side::Orig, session, bytes),
            Carrier::Http { method, path, service, agent, .. } => {
                let host = &town.catalogue.get(service).name;
                let head = http::request(method, host, path, agent, bytes);
                self.with_head(Side::Orig, head, bytes)
            }
        }
    }

    fn response(&mut self, bytes: u64, town: &Town) -> Flight {
        match self.carrier {
            Carrier::Tls { .. } => self.records(Side::Resp, bytes),
            Carrier::Smb { session } => self.sealed(Side::Resp, session, bytes),
            Carrier::Http { kind, service, .. } if town.catalogue.get(service).rebuilds => {
                // A page of few lines that says how long the station has been up, in milliseconds.
                let mut head = http::response("200 OK", "station", kind, bytes);
                let up_ms = 10_000_000 + self.dice.below(80_000_000);
                head.extend(format!("{{\"up\":{up_ms:08}").as_bytes());
                let own = head.len() as u64;
                self.rebuilt = Some(Rebuilt { digits_at: own - UP_DIGITS, up_ms });
                let Flight { side, source, .. } = self.with_head(Side::Resp, head, 0);
                Flight { side, source, bytes: own + bytes.saturating_sub(6 + UP_DIGITS) }
            }
            Carrier::Http { kind, .. } => {
                let head = http::response("200 OK", "nginx", kind, bytes);
                self.with_head(Side::Resp, head, bytes)
            }
        }
    }

    fn records(&mut self, side: Side, bytes: u64) -> Flight {
        let record = if bytes < SMALL_RECORDS_BELOW { 1_370 } else { 16_384 };
        let (source, bytes) = Source::records(bytes, record, &mut self.dice);
        Flight { side, source, bytes }
    }

    /// One sealed message of SMB 3 (MS-SMB2 section 2.2.41) in a NetBIOS session message.
    fn sealed(&mut self, side: Side, session: u64, bytes: u64) -> Flight {
        const HEAD_BYTES: u64 = 52;
        let bytes = bytes.clamp(64, (1 << 23) - HEAD_BYTES);
        let mut head = Vec::with_capacity(4 + HEAD_BYTES as usize);
        head.extend(((bytes + HEAD_BYTES) as u32).to_be_bytes());
        head.extend(b"\xfdSMB");
        head.extend(self.dice.bytes::<16>());
        head.extend(self.dice.bytes::<11>());
        head.extend([0; 5]);
        head.extend((bytes as u32).to_le_bytes());
        head.extend([0, 0, 1, 0]);
        head.extend(session.to_le_bytes());
        self.with_head(side, head, bytes)
    }

    fn with_head(&mut self, side: Side, head: Vec<u8>, body: u64) -> Flight {
        let bytes = head.len() as u64 + body;
        Flight { side, source: Source::HeadThenOpaque { head: head.into(), base: self.dice.below(1 << 16) }, bytes }
    }

    fn talk(&mut self, now: TimestampNs, cx: &mut Cx) -> Wake {
        if self.legs.is_empty() {
            return self.close(now, cx.town);
        }
        let progress = self.plan_flight(now);
        let Some(done) = progress.done_at else { return Wake::At(progress.next_at) };
        let Some(leg) = self.legs.pop_front() else { return Wake::Gone };
        self.sent = 0;
        self.refill(cx.town);
        self.acknowledge(&leg, done);
        self.offer_to_injector(&leg, done, cx);
        let side = leg.flight.side;
        match self.legs.front() {
            Some(next) if next.flight.side == side => Wake::At(done.after(next.after)),
            Some(next) => Wake::At(done.after(self.turn(next.flight.side)).after(next.after)),
            None => Wake::At(done.after(self.turn(side.other())).after(self.dice.secs_between(0.05, 0.3))),
        }
    }

    /// What the receiver of a whole leg does when its own next words take a while.
    fn acknowledge(&mut self, leg: &Leg, done: TimestampNs) {
        let receiver = leg.flight.side.other();
        let speaks_soon = self.legs.front().is_some_and(|next| next.after < DELAYED_ACK);
        if self.half(receiver).unacked == 0 || speaks_soon {
            return;
        }
        let at = done.after(self.turn(receiver)).after(scaled_ack(&mut self.dice));
        self.draft(at, receiver, ACK, 0);
        self.half(receiver).unacked = 0;
    }

    /// A man on the side sees requests in the clear and may answer before the server does.
    fn offer_to_injector(&mut self, leg: &Leg, done: TimestampNs, cx: &mut Cx) {
        let (Carrier::Http { .. }, Side::Orig) = (&self.carrier, leg.flight.side) else { return };
        // What the labels call harmless stays so: he shoots at people's own visits.
        if self.label != 0 {
            return;
        }
        let device = self.device;
        let Some(mut injector) = cx.town.injector.take() else { return };
        if let Some(answer) = self.legs.front().filter(|next| next.flight.side == Side::Resp) {
            let real_at = done.after(self.turn(Side::Resp)).after(answer.after);
            injector.answer(self, device, [done, real_at], answer.flight.bytes, cx);
        }
        cx.town.injector = Some(injector);
    }

    fn close(&mut self, now: TimestampNs, town: &Town) -> Wake {
        self.phase = Phase::Closed;
        let (first, flags) = match self.script.close {
            Close::Never => return Wake::At(now.after(DurationNs::from_secs(60))),
            Close::ClientFin => (Side::Orig, FIN | ACK),
            Close::ServerFin => (Side::Resp, FIN | ACK),
            Close::ClientReset => (Side::Orig, RST | ACK),
        };
        let mut at = now;
        let says_goodbye = matches!(self.carrier, Carrier::Tls { .. });
        if says_goodbye {
            self.say_goodbye(at, first, town);
            at = at.after(self.dice.secs_between(0.00005, 0.0006));
        }
        self.draft(at, first, flags, 0);
        if flags & FIN != 0 {
            self.half(first).next = self.halves[first.index()].next.wrapping_add(1);
            let other = first.other();
            at = at.after(self.turn(other)).after(self.dice.secs_between(0.0001, 0.002));
            self.draft(at, other, FIN | ACK, 0);
            self.half(other).next = self.halves[other.index()].next.wrapping_add(1);
            at = at.after(self.turn(first)).after(self.dice.secs_between(0.00002, 0.0002));
            self.draft(at, first, ACK, 0);
        }
        Wake::At(at.after(DurationNs::from_secs(1)))
    }

    fn say_goodbye(&mut self, at: TimestampNs, side: Side, town: &Town) {
        let alert = tls::close_notify(&mut self.dice, &town.pool);
        let bytes = alert.len() as u64;
        self.draft_bytes(at, side, PSH | ACK, (Source::bytes(alert), 0, bytes as u16));
        self.half(side).next = self.halves[side.index()].next.wrapping_add(bytes as u32);
    }

    pub(super) fn mss(&self) -> u16 {
        self.mss
    }
}

/// When a delayed acknowledgement goes: some stacks wait their whole time, many acknowledge early bytes at once.
fn scaled_ack(dice: &mut Dice) -> DurationNs {
    if dice.chance(0.5) { dice.secs_between(0.00002, 0.0004) } else { DELAYED_ACK }
}

impl Actor for Connection {
    fn wake(&mut self, now: TimestampNs, cx: &mut Cx) -> Wake {
        let wake = match self.phase {
            Phase::Opening => self.open(now, cx),
            Phase::Talking => self.talk(now, cx),
            Phase::Closed => {
                cx.town.release_port(self.device, self.ends[0].port);
                Wake::Gone
            }
        };
        self.flush(cx.stage);
        wake
    }
}
