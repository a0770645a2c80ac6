//! The highest rate without loss, of each listener, on one veth pair in one run.
//! By halving between what is held and what is not, everyone in turn step by step, so that what the machine does meanwhile
//! falls on all alike. A rate is held when two of three tries lose nothing: a neighbour's burst decides none. One sender a
//! core, so that the sender is not at its end before the listeners are; what they take, the listeners lack.

use std::path::Path;
use std::time::Duration;

use crate::contenders::{Heard, Who};
use crate::net::{Net, Pace, Sent};

/// Where the search begins, packets a second.
const LOWEST: f64 = 5_000.0;
/// It ends once what is not held is so little over what is.
const CLOSE: f64 = 1.08;
/// Tries at one rate, and how many of them decide.
const TRIES: u32 = 3;
const DECIDE: u32 = 2;

/// What one of them came to.
#[derive(Clone, Debug)]
pub struct Highest {
    pub who: Who,
    /// The highest rate held, as it was sent; nothing where even the lowest was not.
    pub held: Option<Heard>,
    /// The lowest rate tried above it that was not, with the loss; nothing where the sender is at its end.
    pub not_held: Option<Heard>,
    low: f64,
    high: f64,
}

/// The fastest that the sender can, with nobody listening.
pub fn of_the_sender(net: &Net, capture: &Path, lasts: Duration) -> Sent {
    net.send(capture, Pace::Top, lasts, senders())
}

fn senders() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32)
}

pub fn search(net: &Net, folder: &Path, capture: &Path, lasts: Duration, top: Sent) -> Vec<Highest> {
    let there = crate::contenders::ALL.into_iter().filter(|who| who.is_there());
    let begin = |who| Highest { who, held: None, not_held: None, low: LOWEST, high: top.pps() };
    let mut all: Vec<Highest> = there.map(begin).collect();
    // The sender's end first: whoever holds that needs no search.
    for one in &mut all {
        one.step(net, folder, capture, lasts, Pace::Top);
    }
    while all.iter().any(Highest::is_open) {
        for one in all.iter_mut().filter(|one| one.is_open()) {
            let middle = (one.low * one.high).sqrt();
            one.step(net, folder, capture, lasts, Pace::PacketsPerSecond(middle as u32));
        }
    }
    all
}

impl Highest {
    fn is_open(&self) -> bool {
        self.high / self.low > CLOSE
    }

    fn step(&mut self, net: &Net, folder: &Path, capture: &Path, lasts: Duration, pace: Pace) {
        let (mut without_loss, mut with_loss) = (0, 0);
        for _ in 0..TRIES {
            let heard = self.who.hear(net, folder, || net.send(capture, pace, lasts, senders()));
            println!(
                "live/try   {:<10} {pace:?}  sent={} at {:.0} pkt/s  lost={}  cpu={:.2} s",
                self.who.name(),
                heard.sent.packets,
                heard.sent.pps(),
                heard.lost,
                heard.cpu_s
            );
            let counted = if heard.lost == 0 { &mut without_loss } else { &mut with_loss };
            *counted += 1;
            if without_loss == DECIDE {
                self.held = Some(heard);
                break;
            }
            if with_loss == DECIDE {
                self.not_held = Some(heard);
                break;
            }
        }
        match (pace, without_loss == DECIDE) {
            // There is nothing above it to look at.
            (Pace::Top, true) => self.low = self.high,
            (Pace::Top, false) => {}
            (Pace::PacketsPerSecond(pps), true) => self.low = f64::from(pps),
            (Pace::PacketsPerSecond(pps), false) => self.high = f64::from(pps),
        }
    }

    /// Packets a second that it held.
    pub fn pps(&self) -> f64 {
        self.held.map_or(0.0, |heard| heard.sent.pps())
    }
}
