//! A network namespace with a veth pair, and what is sent through it: into `va`, out of `vb`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use etherparse::PacketBuilder;

/// Flows that never end, half of them TCP.
const ENDLESS_FLOWS: u16 = 400;

/// The namespace; removed when dropped.
pub struct Net(String);

/// What a sender said at its end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent {
    pub packets: u64,
    pub seconds: f64,
}

impl Sent {
    pub fn pps(&self) -> f64 {
        self.packets as f64 / self.seconds.max(1e-9)
    }
}

/// How fast a capture is sent.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    Top,
    PacketsPerSecond(u32),
}

impl Net {
    /// None where this user may not make one.
    pub fn new() -> Option<Self> {
        let net = Self(format!("trawlbench{}", std::process::id()));
        let quiet = "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6";
        let made = ran(Command::new("ip").args(["netns", "add", &net.0]))
            && ran(net.command("sh").args(["-c", quiet]))
            && net.ip("link add va mtu 9000 type veth peer name vb mtu 9000")
            && net.ip("link set va up")
            && net.ip("link set vb up");
        made.then_some(net)
    }

    fn ip(&self, words: &str) -> bool {
        ran(Command::new("ip").args(["-n", &self.0]).args(words.split(' ')))
    }

    /// A command inside, to be started; its process id is the program's.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0, program]).stdin(Stdio::null());
        command
    }

    /// Sends a capture, over and over, for a while, by so many senders at once.
    pub fn send(&self, capture: &Path, pace: Pace, lasts: Duration, senders: u32) -> Sent {
        let each = match pace {
            Pace::Top => Pace::Top,
            Pace::PacketsPerSecond(pps) => Pace::PacketsPerSecond((pps / senders.max(1)).max(1)),
        };
        std::thread::scope(|scope| {
            let sending: Vec<_> =
                (0..senders.max(1)).map(|_| scope.spawn(|| self.send_one(capture, each, lasts))).collect();
            sending.into_iter().map(|one| one.join().expect("sends")).fold(Sent::default(), |all, one| Sent {
                packets: all.packets + one.packets,
                seconds: all.seconds.max(one.seconds),
            })
        })
    }

    fn send_one(&self, capture: &Path, pace: Pace, lasts: Duration) -> Sent {
        // Its own way of waiting turns round and round, and takes the listener's core.
        let pace = match pace {
            Pace::Top => vec!["--topspeed".to_owned()],
            Pace::PacketsPerSecond(pps) => {
                let at_once = format!("--pps-multi={}", (pps / 1_000).max(1));
                vec!["--timer=nano".to_owned(), format!("--pps={pps}"), at_once]
            }
        };
        let seconds = format!("--duration={}", lasts.as_secs().max(1));
        let mut command = self.command("tcpreplay");
        let out = command.args(["-i", "va", "-K", "--loop=0", &seconds]).args(pace).arg(capture).output();
        let out = out.expect("tcpreplay starts");
        let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        let number = |label: &str| -> f64 {
            let rest = said.split(label).nth(1).unwrap_or_else(|| panic!("tcpreplay: {said}")).trim_start();
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(0);
            rest[..end].parse().expect("a number")
        };
        Sent { packets: number("Successful packets:") as u64, seconds: number(" bytes) sent in") }
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        ran(Command::new("ip").args(["netns", "del", &self.0]));
    }
}

/// Whether a command succeeded, unheard.
pub fn ran(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Six minutes of a town, and what is collected there.
pub fn town(program: &str, folder: &Path, name: &str, seed: u32, operations: &str) -> PathBuf {
    let to = folder.join(name).with_extension("pcap");
    let options = format!(
        "synth --world town --subscribers 60 --hours 0.1 --start 2026-03-02T19:00:00Z --activity 0.05 --volume 0.003 \
         --seed {seed} {operations} --negative push-keepalive:subscribers=0.5 --force --output"
    );
    assert!(ran(Command::new(program).args(options.split_whitespace()).arg(&to)), "synth writes {}", to.display());
    to
}

/// A capture of flows that, sent round and round, never end: no handshake, no end, never silent for long.
pub fn endless(folder: &Path) -> PathBuf {
    let to = folder.join("endless.pcap");
    // Classic pcap, microseconds, Ethernet.
    let mut file: Vec<u8> =
        [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 0x0004_0000, 1].iter().flat_map(|w| w.to_le_bytes()).collect();
    for turn in 0..4_u32 {
        for flow in 0..ENDLESS_FLOWS {
            let [high, low] = flow.to_be_bytes();
            let (home, far) = ([10, 20, 200 + high, low], [198, 18, 7 + high, low]);
            let (from, to, ports, macs) = match turn % 2 {
                0 => (home, far, (40_000 + flow, 443), ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])),
                _ => (far, home, (443, 40_000 + flow), ([2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1])),
            };
            let builder = PacketBuilder::ethernet2(macs.0, macs.1).ipv4(from, to, 60);
            let payload = [turn as u8; 64];
            let mut frame = Vec::new();
            let written = match flow % 2 {
                0 => {
                    builder.tcp(ports.0, ports.1, 1_000 + turn / 2 * 64, 64_000).ack(1_000).write(&mut frame, &payload)
                }
                _ => builder.udp(ports.0, ports.1).write(&mut frame, &payload),
            };
            written.expect("writes to memory");
            let length = frame.len() as u32;
            file.extend([turn, u32::from(flow), length, length].iter().flat_map(|word| word.to_le_bytes()));
            file.extend(frame);
        }
    }
    std::fs::write(&to, file).unwrap_or_else(|error| panic!("{}: {error}", to.display()));
    to
}
