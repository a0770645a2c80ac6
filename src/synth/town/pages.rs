//! Browsing: a person opens pages, each page calls many services, and the person reads.
//! In: a device. Out: calls. Bounds: [`PARTIES_MAX`] services a page.

use super::catalogue::Kind;
use super::dial::{Dial, Way};
use super::script::{Amount, Close, Gap, Script};
use super::tcp::Opening;
use super::{DeviceNumber, Town};
use crate::synth::dice::Dice;
use crate::synth::stage::{Actor, Cx, Wake};
use crate::synth::wire::hello::CHROME;
use crate::units::{DurationNs, TimestampNs};

/// Services that one page calls, besides its own.
const PARTIES_MAX: usize = 9;

/// A person with a browser.
pub(crate) struct Browsing {
    device: DeviceNumber,
    pages: u32,
    dice: Dice,
}

impl Browsing {
    pub(crate) fn open(device: DeviceNumber, at: TimestampNs, dice: &mut Dice, cx: &mut Cx) {
        let mut dice = dice.fork();
        let pages = dice.lognormal(4.0, 0.8).clamp(1.0, 40.0) as u32;
        cx.stage.spawn(at, Box::new(Self { device, pages, dice }));
    }

    fn page(&mut self, now: TimestampNs, cx: &mut Cx) {
        if self.dice.chance(0.06) {
            cx.town.look_up_in_vain(self.device, now, &mut self.dice, cx.stage);
        }
        let site = cx.town.catalogue.draw(Kind::Web, &mut self.dice);
        self.call(site, now, 1.0, cx);
        let parties = self.dice.lognormal(2.6, 0.7).min(PARTIES_MAX as f64) as usize;
        let mut at = now;
        for _ in 0..parties {
            at = at.after(self.dice.secs_between(0.08, 0.5));
            let kind = [Kind::Assets, Kind::Adverts, Kind::Social][self.dice.weighted(&[5.0, 4.0, 1.0])];
            let service = cx.town.catalogue.draw(kind, &mut self.dice);
            self.call(service, at, if kind == Kind::Adverts { 0.25 } else { 0.8 }, cx);
        }
    }

    fn call(&mut self, service: u32, at: TimestampNs, weight: f64, cx: &mut Cx) {
        let script = page_script(&mut self.dice, weight, cx.town);
        let mut dial = Dial::browser(self.device, service, script, cx.town);
        let talks_quic = *cx.town.device(self.device).browser == CHROME && cx.town.catalogue.get(service).quic;
        if talks_quic && self.dice.chance(0.5) {
            dial.way = Way::Quic;
        }
        if self.dice.chance(0.004) {
            dial.opening = if self.dice.chance(0.5) { Opening::Refused } else { Opening::Unanswered };
        }
        dial.open(at, &mut self.dice, cx);
    }
}

/// Requests of about half a kilobyte, answers that are heavy-tailed. The constants give the sizes that the real captures of
/// people's browsing and devices show: half of the answers under 4 kB, one in a hundred over 400 kB.
fn page_script(dice: &mut Dice, weight: f64, town: &Town) -> Script {
    let close = match dice.weighted(&[5.0, 3.0, 1.0, 1.0]) {
        0 => Close::ClientFin,
        1 => Close::ServerFin,
        2 => Close::ClientReset,
        _ => Close::Never,
    };
    let down = Amount::LogNormal { median: 4_500.0 * weight, sigma: 1.9 }.scaled(town.volume.sqrt().max(0.2));
    Script {
        rounds: 1 + dice.lognormal(1.6, 0.9).min(30.0) as u32,
        first: Gap::None,
        wait: Gap::LogNormal { median_s: 0.25, sigma: 1.6 },
        up: Amount::LogNormal { median: 460.0, sigma: 0.7 },
        down,
        think_s: 0.02,
        close,
    }
}

impl Actor for Browsing {
    fn wake(&mut self, now: TimestampNs, cx: &mut Cx) -> Wake {
        self.page(now, cx);
        self.pages -= 1;
        match self.pages {
            0 => Wake::Gone,
            _ => Wake::At(now.after(secs_reading(&mut self.dice))),
        }
    }
}

fn secs_reading(dice: &mut Dice) -> DurationNs {
    crate::synth::dice::secs(dice.lognormal(22.0, 1.0).clamp(2.0, 600.0))
}
