//! Who runs over a capture: the floors, this program, and the peers that are installed.
//! In: a capture. Out: processor time, wall time and memory of one whole process, and how many packets it says it saw.
//! The floors are this bench itself, started again: a bare libpcap loop, and a walk over the mapped records.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use trawlwatch::capture::{Captures, InputPath};

/// How often memory is looked at while a contender runs.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// One whole process.
pub struct Contender {
    pub name: &'static str,
    /// What is asked of it.
    pub about: &'static str,
    pub kind: Kind,
    command: fn(&Path, &Path) -> Command,
    /// How its output says how many packets it saw; none where it does not say.
    seen: Option<fn(&str) -> Option<u64>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Floor,
    Ours,
    Peer,
}

/// What one run cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    pub cpu: Duration,
    pub wall: Duration,
    /// Most memory of its own that was seen, pages of mapped files left out; 0 where it was too short to look.
    pub bytes: u64,
}

/// In the order in which they run.
pub const CONTENDERS: &[Contender] = &[
    Contender {
        name: "libpcap",
        about: "a bare loop of pcap_next_ex: the floor",
        kind: Kind::Floor,
        command: |capture, _| again("floor-libpcap", capture),
        seen: Some(|text| text.trim().parse().ok()),
    },
    Contender {
        name: "walk",
        about: "a walk over the mapped records",
        kind: Kind::Floor,
        command: |capture, _| again("floor-walk", capture),
        seen: Some(|text| text.trim().parse().ok()),
    },
    Contender {
        name: "replay",
        about: "trawlwatch replay, all stages and detectors, JSON to a file",
        kind: Kind::Ours,
        command: |capture, out| replay(capture, out, None),
        seen: Some(packets_of_stats),
    },
    Contender {
        name: "replay-1",
        about: "the same with one worker",
        kind: Kind::Ours,
        command: |capture, out| replay(capture, out, Some("1")),
        seen: Some(packets_of_stats),
    },
    Contender {
        name: "flows",
        about: "trawlwatch flows --format parquet to a file",
        kind: Kind::Ours,
        command: |capture, out| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_trawlwatch"));
            command
                .arg("flows")
                .arg(capture)
                .args(["--quiet", "--format", "parquet", "--output"])
                .arg(out.join("flows.parquet"));
            command
        },
        seen: None,
    },
    Contender {
        name: "nfpcapd",
        about: "nfpcapd, a flow meter",
        kind: Kind::Peer,
        command: |capture, out| peer("nfpcapd", &["-r"], capture, &["-l"], out),
        seen: None,
    },
    Contender {
        name: "argus",
        about: "argus, flow records to a file",
        kind: Kind::Peer,
        command: |capture, out| {
            let mut command = Command::new("argus");
            command.arg("-X").arg("-r").arg(capture).arg("-w").arg(fresh(out, "flows.argus"));
            command
        },
        seen: None,
    },
    Contender {
        name: "softflowd",
        about: "softflowd, NetFlow to a closed port",
        kind: Kind::Peer,
        command: |capture, _| {
            let mut command = Command::new("softflowd");
            command.args(["-D", "-n", "127.0.0.1:9", "-v", "9", "-m", "1000000", "-r"]).arg(capture);
            command
        },
        seen: None,
    },
    Contender {
        name: "suricata",
        about: "suricata without rules, flow log only",
        kind: Kind::Peer,
        command: |capture, out| {
            let mut command = Command::new("suricata");
            command
                .args(["-S", "/dev/null", "--set", "outputs.1.eve-log.types.0=flow", "-r"])
                .arg(capture)
                .arg("-l")
                .arg(out);
            command
        },
        seen: None,
    },
    Contender {
        name: "nfstream",
        about: "NFStream with its statistics, flows to a file",
        kind: Kind::Peer,
        command: |capture, out| {
            let mut command = Command::new("python3");
            let program = "import sys; from nfstream import NFStreamer\n\
                           NFStreamer(source=sys.argv[1], statistical_analysis=True).to_csv(path=sys.argv[2])";
            command.args(["-c", program]).arg(capture).arg(fresh(out, "flows.csv"));
            command
        },
        seen: None,
    },
    Contender {
        name: "tshark",
        about: "tshark, conversations only",
        kind: Kind::Peer,
        command: |capture, _| {
            let mut command = Command::new("tshark");
            command.args(["-q", "-n", "-z", "conv,tcp", "-r"]).arg(capture);
            command
        },
        seen: None,
    },
];

impl Contender {
    /// Whether the machine has it.
    pub fn is_there(&self) -> bool {
        match self.kind {
            Kind::Floor | Kind::Ours => true,
            Kind::Peer if self.name == "nfstream" => {
                let import = Command::new("python3").args(["-c", "import nfstream"]).stderr(Stdio::null()).status();
                import.is_ok_and(|status| status.success())
            }
            Kind::Peer => {
                let paths = std::env::var_os("PATH").unwrap_or_default();
                std::env::split_paths(&paths).any(|folder| folder.join(self.name).is_file())
            }
        }
    }

    /// Runs once; `packets` are in the capture.
    pub fn run(&self, capture: &Path, out: &Path, packets: u64) -> io::Result<Cost> {
        let text = out.join("stdout");
        let mut command = (self.command)(capture, out);
        command.stdin(Stdio::null()).stdout(std::fs::File::create(&text)?).stderr(Stdio::null());
        let began = Instant::now();
        let child = command.spawn()?;
        let (status, cpu, bytes) = watch(child.id())?;
        let wall = began.elapsed();
        // Findings are no failure; a signal, a usage error and an unreadable input are.
        let is_failed = !matches!(status.code(), Some(0 | 1));
        if self.kind != Kind::Peer {
            assert!(!is_failed, "{} ended with {status} on {}", self.name, capture.display());
        }
        if let Some(seen) = self.seen {
            let said = std::fs::read_to_string(&text)?;
            let counted = match self.kind {
                Kind::Ours => std::fs::read_to_string(out.join("findings.json")).ok().as_deref().and_then(seen),
                _ => seen(&said),
            };
            assert_eq!(counted, Some(packets), "{} on {}", self.name, capture.display());
        }
        Ok(Cost { cpu, wall, bytes })
    }
}

/// A floor, in the process that was started for it; tells how many frames there were.
pub fn floor(which: &str, capture: &Path) -> u64 {
    match which {
        "floor-libpcap" => {
            let mut source = pcap::Capture::from_file(capture).expect("a capture of this bench");
            let (mut frames, mut check) = (0_u64, 0_u8);
            while let Ok(packet) = source.next_packet() {
                frames += 1;
                check ^= packet.data.first().copied().unwrap_or(0);
            }
            std::hint::black_box(check);
            frames
        }
        "floor-walk" => {
            let mut source = Captures::open(&[InputPath::parse(capture)]).expect("a capture of this bench");
            let (mut frames, mut check) = (0_u64, 0_u8);
            while let Some(frame) = source.next_frame() {
                frames += 1;
                check ^= frame.bytes.first().copied().unwrap_or(0);
            }
            std::hint::black_box(check);
            frames
        }
        other => panic!("{other}: no floor of this bench"),
    }
}

fn again(which: &str, capture: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this bench is running"));
    command.arg(which).arg(capture);
    command
}

fn replay(capture: &Path, out: &Path, workers: Option<&str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trawlwatch"));
    command
        .arg("replay")
        .arg(capture)
        .args(["--quiet", "--format", "json", "--output"])
        .arg(fresh(out, "findings.json"));
    if let Some(workers) = workers {
        command.args(["--workers", workers]);
    }
    command
}

fn peer(program: &str, before: &[&str], capture: &Path, after: &[&str], out: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(before).arg(capture).args(after).arg(out);
    command
}

fn fresh(out: &Path, name: &str) -> PathBuf {
    let place = out.join(name);
    let _absent = std::fs::remove_file(&place);
    place
}

/// Packets by the line that closes the findings.
fn packets_of_stats(text: &str) -> Option<u64> {
    let last = text.lines().last()?;
    let stats: serde_json::Value = serde_json::from_str(last).ok()?;
    find_packets(&stats)
}

fn find_packets(value: &serde_json::Value) -> Option<u64> {
    let object = value.as_object()?;
    let own = ["frames", "packets"].iter().find_map(|key| object.get(*key)?.as_u64());
    own.or_else(|| object.values().find_map(find_packets))
}

/// Waits for a process; its processor time, and the most memory of its own that was seen.
#[expect(unsafe_code, reason = "only wait4 tells what one child used")]
fn watch(pid: u32) -> io::Result<(ExitStatus, Duration, u64)> {
    use std::os::unix::process::ExitStatusExt;
    let mut bytes = 0;
    loop {
        let mut status = 0;
        // SAFETY: rusage is plain numbers, for which zeros are a value; both pointers are to locals that outlive the call.
        let (ended, usage) = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            (libc::wait4(pid as libc::pid_t, &mut status, libc::WNOHANG, &mut usage), usage)
        };
        match ended {
            0 => {
                bytes = bytes.max(own_bytes(pid));
                std::thread::sleep(LOOK_EVERY);
            }
            -1 => return Err(io::Error::last_os_error()),
            _ => {
                let time = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1_000);
                return Ok((ExitStatus::from_raw(status), time(usage.ru_utime) + time(usage.ru_stime), bytes));
            }
        }
    }
}

/// Anonymous memory of a process, as Linux tells it.
fn own_bytes(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|rest| rest.trim().split(' ').next()?.parse::<u64>().ok()).map_or(0, |kib| kib << 10)
}
