//! QUIC conversations (RFC 9000): an Initial that shows the name, and rounds of a script behind it.
//! In: a call. Out: planned datagrams. Bounds: one flight of [`FLIGHT_MAX`] datagrams ahead.
//! Loss does not show on the wire of QUIC (packet numbers are hidden, repeats look new), so none is played.

use super::dial::Dial;
use super::script::{Round, Script};
use super::{DeviceNumber, Town};
use crate::synth::dice::{Dice, secs};
use crate::synth::stage::{Actor, Cx, Wake};
use crate::synth::wire::hello::{Ask, CHROME_QUIC};
use crate::synth::wire::packet::{Endpoint, IpId, Plan};
use crate::synth::wire::payload::Source;
use crate::synth::wire::quic::{self, DATAGRAM_BYTES, Ids};
use crate::synth::wire::tls;
use crate::units::{DurationNs, Side, TimestampNs};

const FLIGHT_MAX: u64 = 32;
/// Datagrams that a receiver lets pass before it acknowledges, and what that costs in bytes.
const ACK_EVERY: u64 = 6;
const ACK_BYTES: u64 = 33;
/// What a packet adds to the bytes it carries: header, tag, frame header.
const OVERHEAD: u64 = 32;

/// What comes next.
enum Next {
    Hello,
    /// `bytes` of `side` of the round are still to go.
    Send {
        side: Side,
        left: u64,
        round: Round,
    },
    Close,
    Closed,
}

/// One conversation.
pub(crate) struct QuicTalk {
    ends: [Endpoint; 2],
    ttls: [u8; 2],
    delays: [DurationNs; 2],
    gaps: [DurationNs; 2],
    last_at: [TimestampNs; 2],
    ids: Ids,
    device: DeviceNumber,
    service: u32,
    script: Script,
    rounds: u32,
    cwnd: u64,
    cwnd_max: u64,
    label: u16,
    flow_label: u32,
    dice: Dice,
    next: Next,
}

impl QuicTalk {
    pub(crate) fn new(dial: &Dial, ends: [Endpoint; 2], mut dice: Dice, town: &Town) -> Self {
        let (home, service) = (town.home_of(dial.device), town.catalogue.get(dial.service));
        let gap = |bps: f64| secs(DATAGRAM_BYTES as f64 * 8.0 / bps);
        let rtt_s = 2.0 * (home.delay.as_secs_f64() + service.delay.as_secs_f64());
        Self {
            ends,
            ttls: [town.ttl_of(dial.device), service.stack.ttl - service.hops],
            delays: [home.delay, service.delay],
            gaps: [gap(home.up_bps), gap(home.down_bps)],
            last_at: [TimestampNs::ZERO; 2],
            ids: Ids { first: dice.bytes(), server: dice.bytes() },
            device: dial.device,
            service: dial.service,
            script: dial.script,
            rounds: 0,
            cwnd: 10,
            cwnd_max: ((rtt_s * home.down_bps / (8.0 * DATAGRAM_BYTES as f64)) as u64).clamp(10, 400),
            label: dial.label,
            flow_label: dice.int() & 0xf_ffff,
            dice,
            next: Next::Hello,
        }
    }

    fn turn(&self, side: Side) -> DurationNs {
        DurationNs(2 * self.delays[side.index()].0)
    }

    fn send(&mut self, at: TimestampNs, side: Side, source: Source, bytes: usize, cx: &mut Cx) -> TimestampNs {
        let own = side.index();
        let at = at.max(self.last_at[own].after(DurationNs(1_500)));
        self.last_at[own] = at;
        let mut plan = Plan::udp(self.ends[own], self.ends[1 - own], self.ttls[own], source, bytes);
        plan.id = match side {
            Side::Orig => cx.town.datagram_id(self.device, &mut self.dice),
            Side::Resp => IpId::Fixed(0),
        };
        plan.dont_fragment = true;
        plan.label = self.label;
        plan.flow_label = self.flow_label;
        cx.stage.send(at, plan);
        at
    }

    fn send_sealed(&mut self, at: TimestampNs, side: Side, bytes: u64, cx: &mut Cx) -> TimestampNs {
        let source = quic::short_packet(&self.ids, side, &mut self.dice);
        self.send(at, side, source, bytes.max(28) as usize, cx)
    }

    fn hello(&mut self, now: TimestampNs, cx: &mut Cx) -> TimestampNs {
        let (hello, answer, sealed) = {
            let town = &*cx.town;
            let service = town.catalogue.get(self.service);
            let ask = Ask { name: Some(&service.name), resumes: false, quic_source_id: Some(&[]) };
            let (hello, _) = CHROME_QUIC.client_hello(&ask, &mut self.dice, &town.pool);
            let answer = tls::server_hello_13(&service.tls, false, false, &[], &mut self.dice, &town.pool);
            (hello, answer, service.tls.chain.iter().map(Vec::len).sum::<usize>() + 220)
        };
        let sent =
            self.send(now, Side::Orig, Source::bytes(quic::client_initial(&self.ids, &hello)), DATAGRAM_BYTES, cx);
        let mut at = sent.after(self.turn(Side::Resp)).after(self.dice.secs_between(0.0003, 0.003));
        for datagram in quic::server_flight(&self.ids, &answer, sealed, &mut self.dice, &cx.town.pool) {
            let bytes = datagram.len();
            at = self.send(at, Side::Resp, Source::bytes(datagram), bytes, cx).after(DurationNs(20_000));
        }
        let at = at.after(self.turn(Side::Orig)).after(self.dice.secs_between(0.0005, 0.003));
        let finished = quic::client_finished(&self.ids, &mut self.dice, &cx.town.pool);
        let bytes = finished.len();
        self.send(at, Side::Orig, Source::bytes(finished), bytes, cx)
    }

    /// Turns to the next round; gives when it begins.
    fn turn_round(&mut self, after: TimestampNs) -> TimestampNs {
        match self.script.next(self.rounds, &mut self.dice) {
            Some(round) => {
                self.rounds += 1;
                let (side, left) = if round.up > 0 { (Side::Orig, round.up) } else { (Side::Resp, round.down) };
                self.next = Next::Send { side, left, round };
                after.after(self.turn(Side::Orig)).after(round.wait)
            }
            None => {
                self.next = Next::Close;
                after.after(self.dice.secs_between(0.05, 30.0))
            }
        }
    }

    fn flight(&mut self, now: TimestampNs, side: Side, left: u64, round: Round, cx: &mut Cx) -> TimestampNs {
        let full = DATAGRAM_BYTES as u64 - OVERHEAD;
        let (mut at, mut left, mut unacked) = (now, left, 0);
        let mut first = None;
        for _ in 0..self.cwnd.min(FLIGHT_MAX) {
            let bytes = left.min(full);
            at = self.send_sealed(at, side, bytes + OVERHEAD, cx);
            first.get_or_insert(at);
            left -= bytes;
            unacked += 1;
            if unacked == ACK_EVERY || (left == 0 && side == Side::Resp) {
                let back = at.after(self.turn(side.other())).after(self.dice.secs_between(0.0001, 0.002));
                let bytes = ACK_BYTES + self.dice.below(6);
                self.send_sealed(back, side.other(), bytes, cx);
                unacked = 0;
            }
            if left == 0 {
                break;
            }
            at = at.after(self.dice.about(self.gaps[side.index()], 0.3));
        }
        self.cwnd = (self.cwnd * 2).min(self.cwnd_max);
        if left > 0 {
            self.next = Next::Send { side, left, round };
            let rtt = DurationNs(self.turn(Side::Orig).0 + self.turn(Side::Resp).0);
            return first.unwrap_or(now).after(rtt).max(at.after(self.gaps[side.index()]));
        }
        match side {
            Side::Orig if round.down > 0 => {
                self.next = Next::Send { side: Side::Resp, left: round.down, round };
                at.after(self.turn(Side::Resp)).after(round.think)
            }
            _ => self.turn_round(at),
        }
    }
}

impl Actor for QuicTalk {
    fn wake(&mut self, now: TimestampNs, cx: &mut Cx) -> Wake {
        match std::mem::replace(&mut self.next, Next::Closed) {
            Next::Hello => {
                let ready = self.hello(now, cx);
                Wake::At(self.turn_round(ready))
            }
            Next::Send { side, left, round } => Wake::At(self.flight(now, side, left, round, cx)),
            Next::Close => {
                self.send_sealed(now, Side::Orig, 40, cx);
                Wake::At(now.after(DurationNs::from_secs(1)))
            }
            Next::Closed => {
                cx.town.release_port(self.device, self.ends[0].port);
                Wake::Gone
            }
        }
    }
}
