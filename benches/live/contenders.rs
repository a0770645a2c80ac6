//! Those who listen on `vb`: this program, tcpdump that writes to nowhere, Suricata without rules. Each with 64 MiB of ring.
//! In: a namespace. Out: how much of what was sent each lost, and the processor time that it took.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::net::{Net, Sent, ran};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_trawlwatch");
/// Of the ring that each is given, in KiB.
const RING_KIB: u32 = 65_536;
/// Clock ticks a second in /proc/PID/stat: what Linux tells user space on every machine.
const TICKS: f64 = 100.0;

/// Somebody who listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Trawlwatch,
    Tcpdump,
    Suricata,
}

pub const ALL: [Who; 3] = [Who::Trawlwatch, Who::Tcpdump, Who::Suricata];

/// What a listener made of what was sent.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    pub sent: Sent,
    pub lost: u64,
    /// Processor time, start and end included.
    pub cpu_s: f64,
}

impl Who {
    pub fn name(self) -> &'static str {
        match self {
            Self::Trawlwatch => "trawlwatch",
            Self::Tcpdump => "tcpdump",
            Self::Suricata => "suricata",
        }
    }

    pub fn about(self) -> &'static str {
        match self {
            Self::Trawlwatch => "`trawlwatch watch --window 5s`, all stages and detectors, findings in JSON",
            Self::Tcpdump => "`tcpdump -w /dev/null`: takes packets from the ring and does nothing with them",
            Self::Suricata => "Suricata, AF_PACKET, no rules, flows and application records to eve.json",
        }
    }

    pub fn is_there(self) -> bool {
        match self {
            Self::Trawlwatch => true,
            Self::Tcpdump => ran(Command::new("tcpdump").arg("--version")),
            Self::Suricata => {
                ran(Command::new("suricata").arg("-V")) && Path::new("/etc/suricata/suricata.yaml").is_file()
            }
        }
    }

    pub fn version(self) -> String {
        let (program, flag) = match self {
            Self::Trawlwatch => return env!("CARGO_PKG_VERSION").to_owned(),
            Self::Tcpdump => ("tcpdump", "--version"),
            Self::Suricata => ("suricata", "-V"),
        };
        let said =
            Command::new(program).arg(flag).output().map(|out| [out.stdout, out.stderr].concat()).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).into_owned();
        let is_number = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.');
        said.split_whitespace().find(is_number).unwrap_or("version not told").to_owned()
    }

    /// Listens while `send` sends.
    pub fn hear(self, net: &Net, folder: &Path, send: impl FnOnce() -> Sent) -> Heard {
        match self {
            Self::Trawlwatch => {
                let watch = Watch::start(net, &[]);
                let sent = send();
                let cpu_s = cpu_seconds(watch.child.id());
                let account = account(&watch.stop());
                let drops = |cause: &str| account["drops"][cause].as_u64().unwrap_or(0);
                let seen = account["frames"].as_u64().expect("a number");
                let known = seen + drops("kernel-ring-full") + drops("unread-at-the-end");
                assert_eq!(known, sent.packets, "seen and lost are what was sent");
                Heard { sent, lost: lost(&account), cpu_s }
            }
            Self::Tcpdump => {
                let mut command = net.command("tcpdump");
                command.args(["-i", "vb", "-Z", "root", "-B", &RING_KIB.to_string(), "-w", "/dev/null"]);
                let words = |line: &str| line.strip_suffix(" packets captured")?.trim().parse().ok();
                other(command, "listening on", "-INT", words, send)
            }
            Self::Suricata => {
                let mut command = net.command("suricata");
                // Blocks as large as tcpdump's; a ring of so many of the largest frames is 32 MiB, and there are two threads.
                command.args([
                    "-c",
                    "/etc/suricata/suricata.yaml",
                    "-S",
                    "/dev/null",
                    "--af-packet=vb",
                    "-v",
                    "-k",
                    "none",
                    "-l",
                ]);
                command.arg(folder);
                let settings = ["interface=vb", "tpacket-v3=yes", "defrag=no", "block-size=262144", "ring-size=3584"];
                settings.iter().for_each(|setting| _ = command.args(["--set", &format!("af-packet.0.{setting}")]));
                // "… vb: packets: 12, drops: 0 (0.00%), …": the first counts the second.
                let words = |line: &str| {
                    let after = |label: &str| {
                        let rest = line.split(label).nth(1)?;
                        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
                    };
                    Some(after("vb: packets: ")?.saturating_sub(after("drops: ")?))
                };
                other(command, "Engine started", "-INT", words, send)
            }
        }
    }
}

/// A program that says on its standard error or output when it listens, and at its end what it took in.
fn other(
    mut command: Command,
    ready: &str,
    signal: &str,
    taken_in: impl Fn(&str) -> Option<u64>,
    send: impl FnOnce() -> Sent,
) -> Heard {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let (to, said) = channel();
    let (out, err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let also = to.clone();
    std::thread::spawn(move || BufReader::new(out).lines().map_while(Result::ok).try_for_each(|line| also.send(line)));
    std::thread::spawn(move || BufReader::new(err).lines().map_while(Result::ok).try_for_each(|line| to.send(line)));
    let mut before = String::new();
    while !before.contains(ready) {
        before.push('\n');
        before.push_str(
            &said.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|_| panic!("does not start: {before}")),
        );
    }
    let sent = send();
    // Blocks that are not full are handed over after a second.
    std::thread::sleep(Duration::from_millis(1_500));
    let cpu_s = cpu_seconds(child.id());
    ran(Command::new("kill").args([signal, &child.id().to_string()]));
    child.wait().expect("ends");
    let heard = said.iter().filter_map(|line| taken_in(&line)).last().expect("says what it took in");
    Heard { sent, lost: sent.packets.saturating_sub(heard), cpu_s }
}

/// The program under way: its lines with the moment at which each came.
pub struct Watch {
    pub child: Child,
    lines: Receiver<(SystemTime, String)>,
}

impl Watch {
    pub fn start(net: &Net, more: &[&str]) -> Self {
        let mut command = net.command(PROGRAM);
        command.args(["watch", "-i", "vb", "--format", "json", "--window", "5s"]).args(more);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut said = BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        while !line.contains("confined:") {
            assert!(said.read_line(&mut line).expect("speaks") > 0, "trawlwatch: {line}");
        }
        // What it says later is not wanted, and must not block it.
        std::thread::spawn(move || said.lines().map_while(Result::ok).for_each(drop));
        let (to, lines) = channel();
        let out = BufReader::new(child.stdout.take().expect("piped"));
        std::thread::spawn(move || {
            out.lines().map_while(Result::ok).try_for_each(|line| to.send((SystemTime::now(), line)))
        });
        Self { child, lines }
    }

    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0)
    }

    /// Ends it: its lines, the closing account among them.
    pub fn stop(mut self) -> Vec<(SystemTime, Value)> {
        ran(Command::new("kill").args(["-TERM", &self.child.id().to_string()]));
        self.child.wait().expect("ends");
        let lines = self.lines.iter();
        lines.filter_map(|(at, line)| Some((at, serde_json::from_str(&line).ok()?))).collect()
    }
}

pub fn account(lines: &[(SystemTime, Value)]) -> Value {
    let closing = lines.iter().rfind(|(_, line)| line["stats"]["files"].is_array());
    closing.expect("a closing account").1["stats"].clone()
}

pub fn lost(account: &Value) -> u64 {
    account["drops"].as_object().into_iter().flatten().filter_map(|(_, n)| n.as_u64()).sum()
}

/// User and system time of a process so far.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Fields 14 and 15; the name before them may hold spaces, and ends with the last parenthesis.
    let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}
