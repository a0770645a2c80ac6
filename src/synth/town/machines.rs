//! Machines: ends of conversations that no person sits at: servers of the network's own, and outsiders who call in.
//! In: an address, a distance. Out: a device that can dial, or a service that answers. None of them counts as a subscriber.

use super::homes::{Device, DeviceKind, Home};
use super::stack::{IdHabit, Stack};
use super::{DeviceNumber, Town};
use crate::synth::dice::Dice;
use crate::synth::stage::Stage;
use crate::synth::wire::hello::HelloStack;
use crate::synth::wire::packet::IpId;
use crate::units::{Address, DurationNs};

/// How far a machine is, and how fast.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Distance {
    /// One way from the capture point.
    pub(crate) delay: DurationNs,
    /// Routers in between.
    pub(crate) hops: u8,
    pub(crate) bps: f64,
    /// Share of segments lost; none: the town's.
    pub(crate) loss: Option<f64>,
}

impl Distance {
    /// In the same building.
    pub(crate) const NEAR: Self = Self { delay: DurationNs(60_000), hops: 0, bps: 1e9, loss: Some(0.0) };

    /// Somewhere in the world, as far as its servers are.
    pub(crate) fn abroad(dice: &mut Dice) -> Self {
        let delay = crate::synth::dice::secs(dice.lognormal(0.02, 0.8).clamp(0.002, 0.16));
        Self { delay, hops: 7 + dice.below(12) as u8, bps: *dice.pick(&[20e6, 50e6, 100e6, 1e9]), loss: None }
    }
}

impl Town {
    /// A machine that can dial, from an address of its own.
    pub(crate) fn add_machine(
        &mut self,
        address: [u8; 4],
        distance: Distance,
        stack: &'static Stack,
        hello: &'static HelloStack,
        dice: &mut Dice,
        stage: &mut Stage,
    ) -> DeviceNumber {
        let number = self.devices.len() as DeviceNumber;
        let home = self.homes.len() as u32;
        let first = dice.short();
        let counter = match stack.ids {
            IdHabit::Host => stage.host_counter(first),
            IdHabit::Connection | IdHabit::Zero => IpId::Fixed(0),
        };
        self.devices.push(Device {
            home,
            kind: DeviceKind::Machine,
            stack,
            browser: hello,
            program: hello,
            agent: "curl/8.5.0",
            interface: dice.bytes(),
            port: 49_152 + dice.below(16_000) as u16,
            counter,
            zeal: 1.0,
            sessions: Vec::new(),
        });
        self.homes.push(Home {
            v4: address,
            v6: None,
            delay: distance.delay,
            hops: distance.hops,
            down_bps: distance.bps,
            up_bps: distance.bps,
            mss: 1_460,
            loss: distance.loss,
            devices: number..number + 1,
            ports_own: None,
            ports_live: Vec::new(),
            names: Vec::new(),
        });
        number
    }

    /// Addresses that belong to nobody else: of ordinary hosters and access networks abroad.
    pub(crate) fn outside_address(&mut self, name: &str) -> Address {
        let service = self.catalogue.add_own(name.to_owned(), 1);
        self.catalogue.get(service).addresses.first().copied().unwrap_or_default()
    }
}
