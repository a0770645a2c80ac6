//! A network namespace with a veth pair: what is sent into `va` comes out of `vb`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// The namespace; removed when dropped.
pub struct Net {
    name: String,
}

impl Net {
    /// A new one; none, aloud, where that is not permitted or `tools` are missing.
    pub fn new(tools: &[&str]) -> Option<Self> {
        for tool in tools.iter().chain(&["ip"]) {
            if find(tool).is_none() {
                println!("not run: {tool} is missing; `make live-tools` installs it");
                return None;
            }
        }
        let name = format!("trawl{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        if !ran(&mut ip(&["netns", "add", &name])) {
            println!("not run: this user may not make network namespaces");
            return None;
        }
        let net = Self { name };
        // Without IPv6 the kernel sends nothing of its own accord, and counts are exact.
        let quiet = net.run("sh", &["-c", "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6"]);
        if !quiet || !net.plug() {
            println!("not run: no veth pair can be made here");
            return None;
        }
        Some(net)
    }

    /// Its name, as `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes the pair and switches it on.
    pub fn plug(&self) -> bool {
        self.ip(&["link", "add", "va", "mtu", "9000", "type", "veth", "peer", "name", "vb", "mtu", "9000"])
            && self.ip(&["link", "set", "va", "up"])
            && self.ip(&["link", "set", "vb", "up"])
    }

    /// `ip` inside.
    pub fn ip(&self, args: &[&str]) -> bool {
        ran(ip(&["-n", &self.name]).args(args))
    }

    /// A command inside, to be started; its process id is the program's.
    pub fn command(&self, program: &str) -> Command {
        ip(&["netns", "exec", &self.name, program])
    }

    /// Runs a command inside; whether it succeeded.
    pub fn run(&self, program: &str, args: &[&str]) -> bool {
        ran(self.command(program).args(args))
    }

    /// Sends a capture into `va`; how many packets went.
    pub fn send(&self, capture: &Path, args: &[&str]) -> u64 {
        let out =
            self.command("tcpreplay").args(["-i", "va"]).args(args).arg(capture).output().expect("tcpreplay starts");
        let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        let number = |label: &str| {
            let line = said.lines().find_map(|line| line.trim().strip_prefix(label))?;
            line.trim().parse::<u64>().ok()
        };
        number("Successful packets:").unwrap_or_else(|| panic!("tcpreplay: {said}"))
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        ran(&mut ip(&["netns", "del", &self.name]));
    }
}

/// The folder that `make validators` and `make promtool` fill, beside the build's own.
pub fn validators() -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_trawlwatch")).ancestors().nth(2).expect("TARGET/PROFILE/trawlwatch");
    target.join("validators/bin")
}

/// Where a tool lies: in the path, where tools of root lie, or among the validators.
pub fn find(tool: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/sbin".into(), "/sbin".into(), validators()];
    std::env::split_paths(&path).chain(more).map(|folder| folder.join(tool)).find(|place| place.is_file())
}

fn ip(args: &[&str]) -> Command {
    let mut command = Command::new("ip");
    command.args(args).stdin(Stdio::null());
    command
}

fn ran(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// A shipped capture, unpacked into `folder`, and its policy.
pub fn shipped(name: &str, folder: &Path) -> (PathBuf, PathBuf) {
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let packed = std::fs::File::open(captures.join(format!("{name}.pcap.zst"))).expect("a shipped capture");
    let to = folder.join(format!("{name}.pcap"));
    zstd::stream::copy_decode(packed, std::fs::File::create(&to).expect("a folder of ours")).expect("unpacks");
    let policy = folder.join(format!("{name}.policy.toml"));
    std::fs::copy(captures.join(format!("{name}.policy.toml")), &policy).expect("copies");
    (to, policy)
}

/// A folder that the unprivileged user may write into.
pub fn folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).expect("ours");
    folder
}
