//! Live capture: frames of a network interface, as libpcap hands them on.
//! In: the name of an interface and how to listen there. Out: bursts of frames, and what the kernel counted.
//! Bounds: the kernel's ring ([`LiveConfig::buffer_bytes`]); a burst is at most [`BURST_FRAMES`] frames.
//! Time: the kernel's timestamps, to the nanosecond where offered. Not here: when a window closes (`pipeline`).
//!
//! How it listens, and why: immediate mode is off, so that the kernel hands over blocks (256 KiB each in libpcap's third
//! packet-mmap version) instead of waking us for every packet; a block that does not fill is handed over after
//! [`BLOCK_RETIRE_MS`]. The ring holds 64 MiB unless told otherwise: half a second of a full gigabit, where libpcap's own
//! 2 MiB lose every burst. Packets are kept whole (up to 256 KiB: what a card has merged is longer than any MTU); blocks
//! hold packets of any length one behind the other, so a large snap length costs no memory.

mod devices;
mod socket;

use std::time::Duration;

use pcap::{Active, Capture, Precision};

use super::filter::Filter;
use super::frame::{Frame, LinkType};
use crate::units::TimestampNs;

pub use devices::{Interface, interfaces};

/// Frames handed on between two looks at the clock.
pub const BURST_FRAMES: usize = 256;
/// Milliseconds after which the kernel hands over a block that is not full: short beside the two seconds of an alarm.
pub const BLOCK_RETIRE_MS: i32 = 100;
/// Bytes kept of a packet unless told otherwise: the most that libpcap can.
pub const SNAP_BYTES: u32 = 262_144;
/// Bytes of the kernel's ring unless told otherwise.
pub const BUFFER_BYTES: u32 = 64 << 20;

/// Whether the interface is asked for packets that are not addressed to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promiscuous {
    /// Everything that passes: what a mirror port is for.
    Yes,
    /// Only what is meant for this machine.
    No,
}

/// How to listen on an interface.
#[derive(Clone, Debug)]
pub struct LiveConfig {
    /// Its name; `any` for all of them.
    pub interface: String,
    /// Bytes kept of a packet.
    pub snap_bytes: u32,
    /// Bytes of the kernel's ring.
    pub buffer_bytes: u32,
    /// Whose packets.
    pub promiscuous: Promiscuous,
    /// What the kernel passes on (pcap-filter(7)).
    pub filter: Option<String>,
    /// The fanout group that this queue belongs to; none for a queue of its own.
    pub fanout_group: Option<u16>,
}

/// Why an interface could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The system refuses.
    #[error("{interface}: this process may not capture ({words})")]
    Permission {
        /// The interface.
        interface: String,
        /// libpcap's own words.
        words: String,
    },
    /// There is no such interface.
    #[error("{interface}: no such interface; there are {known}", known = known.join(", "))]
    Unknown {
        /// The interface.
        interface: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// It exists and is switched off.
    #[error("{interface}: is down; switch it on: `ip link set {interface} up`")]
    Down {
        /// The interface.
        interface: String,
    },
    /// The filter does not fit its link type.
    #[error("{interface}: filter {expression:?}: {words}; the language is described in `man pcap-filter`")]
    Filter {
        /// The interface.
        interface: String,
        /// What was written.
        expression: String,
        /// libpcap's own words.
        words: String,
    },
    /// Queues of one interface cannot be joined.
    #[error("{interface}: the kernel does not spread it over several queues ({source}); leave --fanout out")]
    Fanout {
        /// The interface.
        interface: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Anything else.
    #[error("{interface}: cannot capture: {words}")]
    Other {
        /// The interface.
        interface: String,
        /// libpcap's own words.
        words: String,
    },
}

/// What the kernel counted since the source was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelCounts {
    /// Packets that passed the filter, lost ones included.
    pub received: u64,
    /// Of those, lost because the ring was full.
    pub ring_full: u64,
    /// Lost by the interface or its driver before the kernel saw them, as far as it tells.
    pub interface: u64,
}

/// What a burst came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Burst {
    /// So many frames; zero when none came in time.
    Frames(usize),
    /// The interface has gone; the source waits for it.
    Gone(String),
    /// It is back, and frames come again.
    Back,
}

/// An interface that is being listened to.
pub struct LiveSource {
    config: LiveConfig,
    capture: Capture<Active>,
    link: LinkType,
    ns_per_tick: u64,
    file: u16,
    number: u64,
    presence: Presence,
    counts: KernelCounts,
    last: Option<(u32, u32, u32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Here,
    Gone,
}

impl LiveSource {
    /// Opens an interface; `file` is its number among the sources of the run.
    pub fn open(config: LiveConfig, file: u16) -> Result<Self, LiveError> {
        let mut capture = activate(&config)?;
        if let Some(expression) = &config.filter {
            capture.filter(expression, true).map_err(|error| LiveError::Filter {
                interface: config.interface.clone(),
                expression: expression.clone(),
                words: words(error),
            })?;
        }
        let mut capture = capture.setnonblock().map_err(|error| refused(&config.interface, error))?;
        if let Some(group) = config.fanout_group {
            socket::join_fanout(&capture, group)
                .map_err(|source| LiveError::Fanout { interface: config.interface.clone(), source })?;
        }
        let link = link_of(capture.get_datalink());
        let ns_per_tick = if socket::is_nanosecond(&mut capture) { 1 } else { 1_000 };
        let (presence, counts) = (Presence::Here, KernelCounts::default());
        Ok(Self { config, capture, link, ns_per_tick, file, number: 0, presence, counts, last: None })
    }

    /// How it listens.
    pub fn config(&self) -> &LiveConfig {
        &self.config
    }

    /// How its frames begin.
    pub fn link(&self) -> LinkType {
        self.link
    }

    /// Whether its timestamps are told to the nanosecond.
    pub fn is_nanosecond(&self) -> bool {
        self.ns_per_tick == 1
    }

    /// Frames handed on so far.
    pub fn frames(&self) -> u64 {
        self.number
    }

    /// Hands on what is there, at most [`BURST_FRAMES`]; where nothing is, waits for it no longer than `wait`.
    pub fn burst(&mut self, wait: Duration, mut each: impl FnMut(&Frame<'_>)) -> Burst {
        if self.presence == Presence::Gone {
            return self.look_for_it(wait);
        }
        let mut read = self.read(&mut each);
        if read == Ok(0) {
            // A failed wait is told by the read behind it.
            let _woken = socket::wait_readable(&self.capture, wait);
            read = self.read(&mut each);
        }
        match read {
            Ok(frames) => Burst::Frames(frames),
            Err(words) => {
                self.presence = Presence::Gone;
                Burst::Gone(words)
            }
        }
    }

    /// What the kernel has counted by now.
    pub fn counts(&mut self) -> KernelCounts {
        let Ok(now) = self.capture.stats() else { return self.counts };
        let now = (now.received, now.dropped, now.if_dropped);
        let before = self.last.replace(now).unwrap_or_default();
        self.counts.received += grown(before.0, now.0);
        self.counts.ring_full += grown(before.1, now.1);
        self.counts.interface += grown(before.2, now.2);
        self.counts
    }

    fn read(&mut self, each: &mut impl FnMut(&Frame<'_>)) -> Result<usize, String> {
        let Self { capture, link, ns_per_tick, file, number, .. } = self;
        let read = capture.dispatch(Some(BURST_FRAMES), |packet| {
            *number += 1;
            let header = packet.header;
            let seconds = u64::try_from(header.ts.tv_sec).unwrap_or(0);
            let ticks = u64::try_from(header.ts.tv_usec).unwrap_or(0);
            let ts = TimestampNs(seconds.saturating_mul(1_000_000_000).saturating_add(ticks * *ns_per_tick));
            let wire_bytes = header.len.max(header.caplen);
            let frame =
                Frame { ts, link: *link, wire_bytes, number: *number, file: *file, bytes: packet.data, lent: None };
            each(&frame);
        });
        read.map_err(words)
    }

    /// Binds the socket to the interface of that name anew, which needs no privilege: the ring and the filter stay. What is
    /// in a fanout group cannot be bound again and is opened anew, which does need one.
    fn look_for_it(&mut self, wait: Duration) -> Burst {
        std::thread::sleep(wait);
        let is_back = match self.config.fanout_group {
            None => {
                let LiveConfig { interface, promiscuous, .. } = &self.config;
                socket::bind_again(&self.capture, interface, *promiscuous).is_ok()
            }
            Some(_) => match Self::open(self.config.clone(), self.file) {
                Ok(again) => {
                    (self.capture, self.link, self.last) = (again.capture, again.link, None);
                    true
                }
                Err(_) => false,
            },
        };
        if !is_back {
            return Burst::Frames(0);
        }
        self.presence = Presence::Here;
        Burst::Back
    }
}

impl std::fmt::Debug for LiveSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveSource").field("config", &self.config).field("link", &self.link).finish_non_exhaustive()
    }
}

fn activate(config: &LiveConfig) -> Result<Capture<Active>, LiveError> {
    let inactive = Capture::from_device(config.interface.as_str()).map_err(|e| refused(&config.interface, e))?;
    let signed = |bytes: u32| i32::try_from(bytes).unwrap_or(i32::MAX);
    inactive
        .promisc(config.promiscuous == Promiscuous::Yes)
        .immediate_mode(false)
        .timeout(BLOCK_RETIRE_MS)
        .snaplen(signed(config.snap_bytes))
        .buffer_size(signed(config.buffer_bytes))
        .precision(Precision::Nano)
        .open()
        .map_err(|error| refused(&config.interface, error))
}

/// Sorts libpcap's words into what can be done about them: the binding hands on no code.
fn refused(interface: &str, error: pcap::Error) -> LiveError {
    let (interface, words) = (interface.to_owned(), words(error));
    let says = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    if says(&["permission", "Permission", "not permitted"]) {
        LiveError::Permission { interface, words }
    } else if says(&["No such device", "doesn't exist"]) {
        LiveError::Unknown { interface, known: devices::names() }
    } else if says(&["not up", "is down"]) {
        LiveError::Down { interface }
    } else {
        LiveError::Other { interface, words }
    }
}

fn words(error: pcap::Error) -> String {
    match error {
        pcap::Error::PcapError(words) => words,
        other => other.to_string(),
    }
}

/// Growth of a 32-bit counter that wraps; one that an interface began anew did not grow.
fn grown(before: u32, now: u32) -> u64 {
    let by = now.wrapping_sub(before);
    if by > u32::MAX / 2 { 0 } else { u64::from(by) }
}

/// The inverse of [`Filter::dead_link`].
fn link_of(dlt: pcap::Linktype) -> LinkType {
    let renumbered = [100, 101, 102, 103, 106].map(LinkType);
    let known = renumbered.into_iter().find(|link| Filter::dead_link(*link) == dlt);
    known.unwrap_or(LinkType(u16::try_from(dlt.0).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_wrap_and_begin_anew() {
        for (name, before, now, wanted) in
            [("grown", 5, 9, 4), ("still", 7, 7, 0), ("wrapped", u32::MAX - 1, 3, 5), ("begun anew", 1000, 2, 0)]
        {
            assert_eq!(grown(before, now), wanted, "{name}");
        }
    }

    #[test]
    fn what_libpcap_says_becomes_what_can_be_done() {
        let table = [
            ("socket: Operation not permitted", "may not capture"),
            ("You don't have permission to perform this capture on that device", "may not capture"),
            ("x9: No such device exists (No such device exists)", "no such interface"),
            ("That device is not up", "ip link set x9 up"),
            ("something new", "cannot capture: something new"),
        ];
        for (words, wanted) in table {
            let said = refused("x9", pcap::Error::PcapError(words.to_owned())).to_string();
            assert!(said.contains(wanted), "{words}: {said}");
        }
    }

    #[test]
    fn link_types_survive_libpcaps_numbering() {
        for link in [0, 1, 101, 113, 276, 105].map(LinkType) {
            assert_eq!(link_of(Filter::dead_link(link)), link);
        }
    }
}
