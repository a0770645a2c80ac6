//! Talk over plain UDP: calls, games, clocks, neighbours' chatter.
//! In: a device, a service, how long. Out: planned datagrams. Bounds: [`SLICE`] of time ahead.

use super::DeviceNumber;
use crate::synth::dice::{Dice, secs};
use crate::synth::stage::{Actor, Cx, Wake};
use crate::synth::wire::packet::{Endpoint, IpId, Piece, Plan, Transport};
use crate::synth::wire::payload::Source;
use crate::synth::wire::{dns, media};
use crate::units::{Address, DurationNs, Side, TimestampNs};

/// How far ahead a talk is planned.
const SLICE: DurationNs = DurationNs::from_millis(100);
/// Samples a second of a voice's clock (RFC 7587) and ticks of a picture's (RFC 3550).
const VOICE_HZ: u64 = 48_000;
const PICTURE_HZ: u64 = 90_000;

/// What is talked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum TalkKind {
    /// A packet of voice every 20 ms, and pictures at this rate, both ways alike.
    Call { pictures_bps: f64 },
    /// State and input, many times a second, small, both ways.
    Game { ticks_hz: f64 },
}

/// A call or a game with a server.
pub(crate) struct Talk {
    device: DeviceNumber,
    ends: [Endpoint; 2],
    ttls: [u8; 2],
    turn: DurationNs,
    kind: TalkKind,
    until: TimestampNs,
    next_voice: [TimestampNs; 2],
    next_picture: [TimestampNs; 2],
    numbers: [u16; 4],
    sources: [u32; 4],
    label: u16,
    dice: Dice,
    opened: bool,
}

impl Talk {
    /// A talk that begins when the device knows the server's address.
    #[expect(clippy::too_many_arguments, reason = "each is a different thing")]
    pub(crate) fn open(
        device: DeviceNumber,
        service: u32,
        kind: TalkKind,
        lasts: DurationNs,
        label: u16,
        at: TimestampNs,
        dice: &mut Dice,
        cx: &mut Cx,
    ) {
        let mut dice = dice.fork();
        let at = cx.town.look_up(device, service, at, label, &mut dice, cx.stage);
        let server = cx.town.catalogue.get(service);
        let (delay, ttl) = (server.delay, server.stack.ttl - server.hops);
        let address = *dice.pick(&server.addresses);
        if label != 0 {
            cx.stage.tallies[usize::from(label)].parties.insert(address);
        }
        let port = if matches!(kind, TalkKind::Call { .. }) { 3478 } else { 27_015 };
        let own = Endpoint { address: cx.town.address_of(device, false), port: cx.town.take_port(device, &mut dice) };
        let talk = Self {
            ends: [own, Endpoint { address, port }],
            ttls: [cx.town.ttl_of(device), ttl],
            turn: DurationNs(2 * delay.0),
            until: at.after(lasts),
            next_voice: [at; 2],
            next_picture: [at; 2],
            numbers: [dice.short(), dice.short(), dice.short(), dice.short()],
            sources: [dice.int(), dice.int(), dice.int(), dice.int()],
            device,
            kind,
            label,
            dice,
            opened: false,
        };
        cx.stage.spawn(at, Box::new(talk));
    }

    fn send(&mut self, at: TimestampNs, side: Side, source: Source, bytes: usize, cx: &mut Cx) {
        let own = side.index();
        let mut plan = Plan::udp(self.ends[own], self.ends[1 - own], self.ttls[own], source, bytes);
        plan.id = match side {
            Side::Orig => cx.town.datagram_id(self.device, &mut self.dice),
            Side::Resp => IpId::Fixed(self.dice.short()),
        };
        plan.label = self.label;
        if matches!(self.kind, TalkKind::Call { .. }) {
            plan.class = 0xb8 * u8::from(side == Side::Orig); // expedited forwarding, bleached on the way in
        }
        cx.stage.send(at, plan);
    }

    /// The two ends find out how they see each other (STUN), before the first word.
    fn bind(&mut self, at: TimestampNs, cx: &mut Cx) {
        if !matches!(self.kind, TalkKind::Call { .. }) {
            return;
        }
        let transaction = self.dice.bytes();
        let Some(mapped) = self.ends[0].address.as_v4() else { return };
        let request = media::stun(transaction, None);
        let answer = media::stun(transaction, Some((mapped, self.ends[0].port)));
        let (request_bytes, answer_bytes) = (request.len(), answer.len());
        self.send(at, Side::Orig, Source::bytes(request), request_bytes, cx);
        let back = at.after(self.turn).after(DurationNs(200_000));
        self.send(back, Side::Resp, Source::bytes(answer), answer_bytes, cx);
        let begins = back.after(self.dice.secs_between(0.03, 0.2));
        self.next_voice = [begins, begins.after(self.dice.secs_between(0.02, 0.3))];
        self.next_picture = self.next_voice;
    }

    fn call(&mut self, side: Side, until: TimestampNs, pictures_bps: f64, cx: &mut Cx) {
        let i = side.index();
        while self.next_voice[i] < until {
            let at = self.next_voice[i];
            let clock = (u128::from(at.0) * u128::from(VOICE_HZ) / 1_000_000_000) as u32;
            self.numbers[i] = self.numbers[i].wrapping_add(1);
            let source = media::rtp(111, self.numbers[i], clock, self.sources[i], &mut self.dice);
            let bytes = self.dice.lognormal(95.0, 0.25).clamp(40.0, 220.0) as usize;
            let jitter = self.dice.secs_exponential(0.0008);
            self.send(at.after(jitter), side, source, 12 + bytes, cx);
            self.next_voice[i] = at.after(DurationNs::from_millis(20));
        }
        while pictures_bps > 0.0 && self.next_picture[i] < until {
            let at = self.next_picture[i];
            let clock = (u128::from(at.0) * u128::from(PICTURE_HZ) / 1_000_000_000) as u32;
            let frame = self.dice.lognormal(pictures_bps / 8.0 / 25.0, 0.35);
            let packets = (frame / 1100.0).ceil().clamp(1.0, 12.0) as u64;
            for packet in 0..packets {
                self.numbers[2 + i] = self.numbers[2 + i].wrapping_add(1);
                let last = if packet + 1 == packets { 0x80 } else { 0 };
                let source = media::rtp(96 | last, self.numbers[2 + i], clock, self.sources[2 + i], &mut self.dice);
                let bytes = (frame / packets as f64).clamp(60.0, 1180.0) as usize;
                self.send(at.after(DurationNs(packet * 300_000)), side, source, 12 + bytes, cx);
            }
            self.next_picture[i] = at.after(DurationNs::from_millis(40));
        }
    }

    fn game(&mut self, side: Side, until: TimestampNs, ticks_hz: f64, cx: &mut Cx) {
        let i = side.index();
        let median = if side == Side::Orig { 58.0 } else { 140.0 };
        while self.next_voice[i] < until {
            let at = self.next_voice[i];
            self.numbers[i] = self.numbers[i].wrapping_add(1);
            let mut head = [0; 20];
            head[..4].copy_from_slice(&self.sources[0].to_be_bytes());
            head[4..6].copy_from_slice(&self.numbers[i].to_be_bytes());
            let source = Source::Framed { head, head_bytes: 6, base: self.dice.below(1 << 16) };
            let bytes = self.dice.lognormal(median, 0.4).clamp(20.0, 900.0) as usize;
            self.send(at, side, source, bytes, cx);
            self.next_voice[i] = at.after(self.dice.about(secs(1.0 / ticks_hz), 0.08));
        }
    }
}

impl Actor for Talk {
    fn wake(&mut self, now: TimestampNs, cx: &mut Cx) -> Wake {
        if now >= self.until {
            cx.town.release_port(self.device, self.ends[0].port);
            return Wake::Gone;
        }
        if !self.opened {
            self.opened = true;
            self.bind(now, cx);
        }
        let until = now.after(SLICE).min(self.until);
        for side in Side::BOTH {
            match self.kind {
                TalkKind::Call { pictures_bps } => self.call(side, until, pictures_bps, cx),
                TalkKind::Game { ticks_hz } => self.game(side, until, ticks_hz, cx),
            }
        }
        Wake::At(until)
    }
}

/// One question about the time, and its answer.
pub(crate) fn ask_time(device: DeviceNumber, service: u32, at: TimestampNs, label: u16, dice: &mut Dice, cx: &mut Cx) {
    let at = cx.town.look_up(device, service, at, label, dice, cx.stage);
    let server = cx.town.catalogue.get(service);
    let (turn, ttl) = (DurationNs(2 * server.delay.0), server.stack.ttl - server.hops);
    let far = Endpoint { address: *dice.pick(&server.addresses), port: 123 };
    let port = if dice.chance(0.5) { 123 } else { 1024 + dice.below(64_000) as u16 };
    let port = cx.town.translate(device, port);
    let own = Endpoint { address: cx.town.address_of(device, false), port };
    if label != 0 {
        cx.stage.tallies[usize::from(label)].parties.insert(far.address);
    }
    let asked = at.before(DurationNs(cx.town.home_of(device).delay.0));
    let request = media::ntp_request(asked);
    let mut plan = Plan::udp(own, far, cx.town.ttl_of(device), Source::bytes(request), 48);
    plan.id = cx.town.datagram_id(device, dice);
    plan.label = label;
    cx.stage.send(at, plan);
    let answered = at.after(turn).after(dice.secs_between(0.00002, 0.0001));
    let answer = media::ntp_response(asked, at.after(DurationNs(turn.0 / 2)));
    let mut plan = Plan::udp(far, own, ttl, Source::bytes(answer), 48);
    plan.id = IpId::Fixed(dice.short());
    plan.label = label;
    cx.stage.send(answered, plan);
}

/// One echo request and its answer (RFC 792): how small devices find out whether the world is still there.
pub(crate) fn ping(device: DeviceNumber, service: u32, at: TimestampNs, dice: &mut Dice, cx: &mut Cx) {
    const DATA_BYTES: usize = 56;
    let server = cx.town.catalogue.get(service);
    let (turn, ttl) = (DurationNs(2 * server.delay.0), server.stack.ttl - server.hops);
    let Some(address) = server.addresses.iter().find(|address| address.is_v4()) else { return };
    let far = Endpoint { address: *address, port: 0 };
    let own = Endpoint { address: cx.town.address_of(device, false), port: 0 };
    let [a, b] = dice.bytes();
    let data: Vec<u8> = (0..DATA_BYTES as u8).map(|i| 0x08 + i).collect();
    let piece = Piece { source: Source::bytes(data), from: 0, length: DATA_BYTES as u16 };
    let echo = |kind| Transport::Icmp { kind, code: 0, rest: [a, b, 0, 1] };
    let mut request = Plan::new(own, far, cx.town.ttl_of(device), echo(8));
    request.id = cx.town.datagram_id(device, dice);
    request.payload = Some(piece.clone());
    cx.stage.send(at, request);
    let mut answer = Plan::new(far, own, ttl, echo(0));
    answer.id = IpId::Fixed(dice.short());
    answer.dont_fragment = false;
    answer.payload = Some(piece);
    cx.stage.send(at.after(turn).after(dice.secs_between(0.00002, 0.0001)), answer);
}

/// What a device says to its neighbours (multicast DNS); on a bridged access line the capture point hears it.
pub(crate) fn chatter(device: DeviceNumber, at: TimestampNs, dice: &mut Dice, cx: &mut Cx) {
    const SERVICES: [&str; 4] =
        ["_googlecast._tcp.local", "_airplay._tcp.local", "_spotify-connect._tcp.local", "_hap._tcp.local"];
    let group = Endpoint { address: Address::v4([224, 0, 0, 251]), port: 5353 };
    let own = Endpoint { address: cx.town.address_of(device, false), port: 5353 };
    let message = match dice.chance(0.6) {
        true => dns::multicast_query(&SERVICES[..1 + dice.index(SERVICES.len())]),
        false => dns::multicast_announcement(dice.pick::<&str>(&SERVICES), &format!("Device {}", dice.below(1000))),
    };
    let bytes = message.len();
    let mut plan = Plan::udp(own, group, 255, Source::bytes(message), bytes);
    plan.id = cx.town.datagram_id(device, dice);
    cx.stage.send(at, plan);
}
