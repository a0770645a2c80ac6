//! Dialling: a device calls a service. Name first, then address, port and stack, then the connection comes to life.
//! In: who, whom, how, about what. Out: an actor on the stage.

use super::quic::QuicTalk;
use super::script::Script;
use super::stack::{Agreed, IdHabit};
use super::tcp::{Carrier, Connection, Ids, Opening, Party};
use super::{DeviceNumber, Town};
use crate::synth::dice::Dice;
use crate::synth::stage::Cx;
use crate::synth::wire::hello::HelloStack;
use crate::synth::wire::packet::Endpoint;
use crate::units::{Address, TimestampNs};

/// Sessions that a device can resume.
const SESSIONS_MAX: usize = 48;

/// How the client says whom it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// By a name, looked up and sent along.
    Name,
    /// By an address that it knows: no look-up, no server name.
    Address,
    /// By a name that it has long known: sent along, but looked up out of sight.
    Known,
}

/// What carries the conversation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    Tls {
        hello: &'static HelloStack,
        naming: Naming,
    },
    Quic,
    /// Files of a Windows server, sealed (MS-SMB2 version 3).
    Smb,
    Http {
        method: &'static str,
        path: &'static str,
        kind: &'static str,
    },
}

/// A call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dial {
    pub(crate) device: DeviceNumber,
    pub(crate) service: u32,
    pub(crate) port: u16,
    pub(crate) way: Way,
    pub(crate) script: Script,
    pub(crate) opening: Opening,
    pub(crate) label: u16,
    /// Number of the tunnel that carries it; 0 for none.
    pub(crate) carried: u8,
}

impl Dial {
    /// A call over TLS by the device's main program.
    pub(crate) fn browser(device: DeviceNumber, service: u32, script: Script, town: &Town) -> Self {
        let way = Way::Tls { hello: town.device(device).browser, naming: Naming::Name };
        Self { device, service, port: 443, way, script, opening: Opening::Handshake, label: 0, carried: 0 }
    }

    /// A call over TLS by another of the device's programs.
    pub(crate) fn program(device: DeviceNumber, service: u32, script: Script, town: &Town) -> Self {
        let way = Way::Tls { hello: town.device(device).program, naming: Naming::Name };
        Self { device, service, port: 443, way, script, opening: Opening::Handshake, label: 0, carried: 0 }
    }

    /// Makes the call.
    pub(crate) fn open(mut self, at: TimestampNs, dice: &mut Dice, cx: &mut Cx) {
        if let Some((_, account)) = cx.town.intercepted(self.device, self.service) {
            // Who opens TLS lets no QUIC through: programs fall back.
            if matches!(self.way, Way::Quic) {
                self.way = Way::Tls { hello: cx.town.device(self.device).browser, naming: Naming::Name };
            }
            if self.label == 0 && matches!(self.way, Way::Tls { .. }) {
                self.label = account;
            }
        }
        let mut dice = dice.fork();
        let named = !matches!(self.way, Way::Smb | Way::Tls { naming: Naming::Address | Naming::Known, .. })
            && self.opening != Opening::Midway;
        let begins = match named {
            true => cx.town.look_up(self.device, self.service, at, self.label, &mut dice, cx.stage),
            false => at,
        };
        let address = self.pick_address(cx.town, &mut dice);
        if self.label != 0 {
            cx.stage.tallies[usize::from(self.label)].parties.insert(address);
        }
        let port = cx.town.take_port(self.device, &mut dice);
        let ends = [
            Endpoint { address: cx.town.address_of(self.device, !address.is_v4()), port },
            Endpoint { address, port: self.port },
        ];
        match self.way {
            Way::Quic => {
                let talk = QuicTalk::new(&self, ends, dice, cx.town);
                cx.stage.spawn(begins, Box::new(talk));
            }
            _ => {
                let connection = self.connection(ends, dice, cx.town);
                cx.stage.spawn(begins, Box::new(connection));
            }
        }
    }

    fn pick_address(&self, town: &Town, dice: &mut Dice) -> Address {
        if let Some(led) = town.led.get(&(town.device(self.device).home, self.service)) {
            return *led;
        }
        let service = town.catalogue.get(self.service);
        let v6 = town.home_of(self.device).v6.is_some() && dice.chance(0.9);
        let of_version = |v6: bool| service.addresses.iter().filter(move |address| address.is_v4() != v6);
        let count = of_version(v6).count();
        let picked = if count > 0 { of_version(v6).nth(dice.index(count)) } else { service.addresses.first() };
        picked.copied().unwrap_or_default()
    }

    fn connection(&self, ends: [Endpoint; 2], mut dice: Dice, town: &mut Town) -> Connection {
        let service = town.catalogue.get(self.service);
        let (device, home) = (town.device(self.device), town.home_of(self.device));
        let agreed = Agreed::between(device.stack, service.stack);
        let v6 = u16::from(!ends[0].address.is_v4()) * 20;
        let ids = |habit, host, dice: &mut Dice| match habit {
            IdHabit::Connection => Ids::Connection(dice.short()),
            IdHabit::Host => Ids::Host(host),
            IdHabit::Zero => Ids::Zero,
        };
        // A server's host counter moves with the packets of all its clients, of which these are few.
        let server_ids = match service.stack.ids {
            IdHabit::Host => Ids::Connection(dice.short()),
            habit => ids(habit, device.counter, &mut dice),
        };
        let client = Party {
            stack: device.stack,
            ttl: device.stack.ttl - home.hops,
            delay: home.delay,
            bps: home.up_bps,
            ids: ids(device.stack.ids, device.counter, &mut dice),
        };
        let server = Party {
            stack: service.stack,
            ttl: service.stack.ttl - service.hops,
            delay: service.delay,
            bps: home.down_bps,
            ids: server_ids,
        };
        let (loss, mss) = (home.loss.unwrap_or(town.loss) + service.loss, home.mss - v6);
        let carrier = match self.way {
            Way::Http { method, path, kind } => {
                Carrier::Http { method, path, kind, service: self.service, agent: device.agent }
            }
            Way::Smb => Carrier::Smb { session: dice.word() },
            Way::Tls { hello, naming } => {
                let service = self.service;
                let resumes = town.remembers_session(self.device, service) && dice.chance(0.85);
                Carrier::Tls { hello, naming, service, resumes }
            }
            Way::Quic => {
                Carrier::Tls { hello: device.browser, naming: Naming::Name, service: self.service, resumes: false }
            }
        };
        Connection::new(self, ends, [client, server], agreed, carrier, loss, mss, dice)
    }
}

impl Town {
    /// Whether the device has talked to the service before, and notes that it has now.
    pub(crate) fn remembers_session(&mut self, device: DeviceNumber, service: u32) -> bool {
        let sessions = &mut self.devices[device as usize].sessions;
        if sessions.contains(&service) {
            return true;
        }
        if sessions.len() >= SESSIONS_MAX {
            sessions.remove(0);
        }
        sessions.push(service);
        false
    }
}
