//! Stacks: how each operating system fills the headers that an application never sees.
//! In: nothing. Out: constants. Source: what SYN packets of such systems show in public captures (option order, windows,
//! first TTLs, identification, source ports); p0f and Zeek's documentation describe the same.

use crate::synth::wire::packet::TcpOptions;

/// How a stack orders the options of its SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SynShape {
    Linux,
    Windows,
    Apple,
    /// Segment size and nothing else.
    Small,
}

/// How a stack numbers its IPv4 packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdHabit {
    /// Each connection counts from a random number (Linux).
    Connection,
    /// The host counts all its packets (Windows, small stacks).
    Host,
    /// Zero where DF is set (Apple, RFC 6864).
    Zero,
}

/// How a stack picks source ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PortHabit {
    /// Anywhere in a range (RFC 6056).
    Random { low: u16, high: u16 },
    /// The next one in a range, from a random one on.
    Next { low: u16, high: u16 },
}

/// One stack.
#[derive(Debug)]
pub(crate) struct Stack {
    pub(crate) ttl: u8,
    pub(crate) shape: SynShape,
    pub(crate) ids: IdHabit,
    pub(crate) ports: PortHabit,
    /// Window of the SYN.
    pub(crate) first_window: u16,
    /// Window scale; without one the window is what it says.
    pub(crate) scale: u8,
    /// Window of later packets, as the header has it.
    pub(crate) window: u16,
    pub(crate) timestamps: bool,
}

const DYNAMIC: PortHabit = PortHabit::Next { low: 49_152, high: 65_535 };

pub(crate) const WINDOWS: Stack = Stack {
    ttl: 128,
    shape: SynShape::Windows,
    ids: IdHabit::Host,
    ports: DYNAMIC,
    first_window: 64_240,
    scale: 8,
    window: 1_026,
    timestamps: false,
};

pub(crate) const LINUX: Stack = Stack {
    ttl: 64,
    shape: SynShape::Linux,
    ids: IdHabit::Connection,
    ports: PortHabit::Random { low: 32_768, high: 60_999 },
    first_window: 64_240,
    scale: 7,
    window: 501,
    timestamps: true,
};

pub(crate) const ANDROID: Stack = Stack {
    first_window: 65_535,
    scale: 9,
    window: 343,
    ports: PortHabit::Random { low: 32_768, high: 60_999 },
    ..LINUX
};

pub(crate) const APPLE: Stack = Stack {
    ttl: 64,
    shape: SynShape::Apple,
    ids: IdHabit::Zero,
    ports: DYNAMIC,
    first_window: 65_535,
    scale: 6,
    window: 2_058,
    timestamps: true,
};

/// Linux of the kind that lives in televisions and bridges.
pub(crate) const OLD_LINUX: Stack = Stack { first_window: 14_600, window: 229, ..LINUX };

/// lwIP and its like.
pub(crate) const SMALL: Stack = Stack {
    ttl: 64,
    shape: SynShape::Small,
    ids: IdHabit::Host,
    ports: DYNAMIC,
    first_window: 5_840,
    scale: 0,
    window: 5_840,
    timestamps: false,
};

pub(crate) const SERVER: Stack = Stack { first_window: 65_160, window: 508, ..LINUX };
pub(crate) const WINDOWS_SERVER: Stack = Stack { first_window: 65_535, ..WINDOWS };
pub(crate) const CDN_SERVER: Stack = Stack { first_window: 65_535, scale: 13, window: 32, ids: IdHabit::Zero, ..LINUX };

/// What two ends agreed on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Agreed {
    pub(crate) timestamps: bool,
    pub(crate) sack: bool,
    pub(crate) scaled: bool,
}

impl Agreed {
    pub(crate) fn between(client: &Stack, server: &Stack) -> Self {
        let large = client.shape != SynShape::Small && server.shape != SynShape::Small;
        Self { timestamps: client.timestamps && server.timestamps, sack: large, scaled: large }
    }
}

impl Stack {
    /// Options of a SYN.
    pub(crate) fn syn_options(&self, mss: u16, clock: u32) -> TcpOptions {
        let mut options = TcpOptions::default();
        let [a, b] = mss.to_be_bytes();
        options.push(&[2, 4, a, b]);
        match self.shape {
            SynShape::Linux => {
                options.push(&[4, 2]);
                push_clock(clock, 0, &mut options);
                options.push(&[1, 3, 3, self.scale]);
            }
            SynShape::Windows => options.push(&[1, 3, 3, self.scale, 1, 1, 4, 2]),
            SynShape::Apple => {
                options.push(&[1, 3, 3, self.scale, 1, 1]);
                push_clock(clock, 0, &mut options);
                options.push(&[4, 2, 0, 0]);
            }
            SynShape::Small => {}
        }
        options
    }

    /// Options of the answer to a SYN.
    pub(crate) fn syn_ack_options(&self, mss: u16, agreed: Agreed, clock: u32, echo: u32) -> TcpOptions {
        let mut options = TcpOptions::default();
        let [a, b] = mss.to_be_bytes();
        options.push(&[2, 4, a, b]);
        match (agreed.sack, agreed.timestamps) {
            (true, true) => {
                options.push(&[4, 2]);
                push_clock(clock, echo, &mut options);
            }
            (true, false) => options.push(&[1, 1, 4, 2]),
            _ => {}
        }
        if agreed.scaled {
            options.push(&[1, 3, 3, self.scale]);
        }
        options
    }

    /// Window of a packet behind the handshake; it breathes a little as bytes come in, and stays while none do (a repeated
    /// acknowledgement with another window would be no duplicate, RFC 5681).
    pub(crate) fn window(&self, agreed: Agreed, ack: u32) -> u16 {
        let full = if agreed.scaled { self.window } else { self.first_window };
        full - (u32::from(full) * (ack.wrapping_mul(0x9e37_79b9) >> 30) / 64) as u16
    }
}

impl Stack {
    /// Segments of this size that it always has room for.
    pub(crate) fn room(&self, agreed: Agreed, segment: u16) -> u64 {
        let full = if agreed.scaled { u64::from(self.window) << self.scale } else { u64::from(self.first_window) };
        (full * 60 / 64 / u64::from(segment.max(1))).max(1)
    }
}

/// Timestamps (RFC 7323 section 3.2), ten bytes.
fn push_clock(clock: u32, echo: u32, options: &mut TcpOptions) {
    options.push(&[8, 10]);
    options.push(&clock.to_be_bytes());
    options.push(&echo.to_be_bytes());
}

/// Options of a packet behind the handshake; `block` is what the receiver holds out of order.
pub(crate) fn later_options(agreed: Agreed, clock: u32, echo: u32, block: Option<[u32; 2]>) -> TcpOptions {
    let mut options = TcpOptions::default();
    if agreed.timestamps {
        options.push(&[1, 1]);
        push_clock(clock, echo, &mut options);
    }
    if let (true, Some([left, right])) = (agreed.sack, block) {
        options.push(&[1, 1, 5, 10]);
        options.push(&left.to_be_bytes());
        options.push(&right.to_be_bytes());
    }
    options
}
