//! The terminal view on a pseudo-terminal that `script` makes: drawn, resized, left clean.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::net::{Net, folder, shipped};

const ENTERS: &str = "\u{1b}[?1049h";
const LEAVES: &str = "\u{1b}[?1049l";

/// The program on a terminal of its own.
struct OnTerminal {
    script: Child,
    screen: PathBuf,
}

impl OnTerminal {
    fn start(net: &Net, folder: &std::path::Path, more: &str) -> Self {
        let screen = folder.join("screen");
        let _none_yet = std::fs::remove_file(&screen);
        let command = format!(
            "stty rows 24 cols 80; exec {} watch -i vb --window 1s --tui {more}",
            env!("CARGO_BIN_EXE_trawlwatch")
        );
        let script = net
            .command("script")
            .args(["-qfec", &command])
            .arg(&screen)
            .env("TERM", "xterm-256color")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("script starts");
        Self { script, screen }
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.screen).unwrap_or_default()).into_owned()
    }

    fn wait_for(&self, what: &str, is_so: impl Fn() -> bool) {
        let until = Instant::now() + Duration::from_secs(60);
        while !is_so() {
            assert!(Instant::now() < until, "waited in vain for {what}: {}", self.shown());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The program's process id: `script` starts one shell, which becomes the program.
    fn pid(&self) -> String {
        let children = format!("/proc/{0}/task/{0}/children", self.script.id());
        std::fs::read_to_string(children).unwrap_or_default().split_whitespace().next().unwrap_or_default().to_owned()
    }

    fn ended(&mut self) {
        let until = Instant::now() + Duration::from_secs(60);
        while self.script.try_wait().expect("a child of ours").is_none() {
            assert!(Instant::now() < until, "does not end: {}", self.shown());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ended = self.script.kill();
        let _reaped = self.script.wait();
    }
}

#[test]
fn the_view_draws_follows_a_resize_and_leaves_the_terminal_clean() {
    let Some(net) = Net::new(&["script", "stty", "tcpreplay"]) else { return };
    let folder = folder();
    let (capture, policy) = shipped("mirroring", folder.path());
    let policy = format!("--policy {}", policy.display());
    for end in ["key", "-TERM", "-INT"] {
        let mut view = OnTerminal::start(&net, folder.path(), &policy);
        view.wait_for("a screen", || view.shown().contains("findings"));
        if end == "key" {
            net.send(&capture, &["--multiplier", "600"]);
            view.wait_for("a finding", || view.shown().contains("traffic-mirroring"));
            let terminal = std::fs::read_link(format!("/proc/{}/fd/0", view.pid())).expect("a terminal");
            let resized = Command::new("stty").arg("-F").arg(&terminal).args(["rows", "40", "cols", "120"]).status();
            assert!(resized.expect("stty starts").success());
            // The bottom line is drawn again, on row 40.
            view.wait_for("a taller screen", || view.shown().contains("\u{1b}[40;"));
            let mut keys = view.script.stdin.take().expect("piped");
            keys.write_all(b"\r").expect("types");
            view.wait_for("an opened finding", || view.shown().contains("Esc back"));
            keys.write_all(b"\x1b").expect("types");
            std::thread::sleep(Duration::from_millis(200));
            keys.write_all(b"q").expect("types");
            view.ended();
        } else {
            let sent = Command::new("kill").args([end, &view.pid()]).status().expect("kill starts");
            assert!(sent.success());
            view.ended();
        }
        let shown = view.shown();
        let (enters, leaves) = (shown.rfind(ENTERS), shown.rfind(LEAVES));
        assert!(enters.is_some() && leaves > enters, "{end}: {shown}");
        assert!(shown.contains("\u{1b}[?25h"), "{end}: the cursor is shown again");
    }
}

#[test]
fn a_terminal_that_vanishes_ends_the_run() {
    let Some(net) = Net::new(&["script", "stty"]) else { return };
    let folder = folder();
    let output = folder.path().join("out.jsonl");
    let more = format!("--format json --output {}", output.display());
    let mut view = OnTerminal::start(&net, folder.path(), &more);
    view.wait_for("a screen", || view.shown().contains("findings"));
    let pid = view.pid();
    // One that has ended stays in the list until somebody asks after it, which nobody here can.
    let alive = || std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    assert!(alive());
    view.script.kill().expect("a child of ours");
    view.script.wait().expect("ends");
    view.wait_for("the end of the run", || !alive());
    // It ended as on any other wish: with its account.
    let written = std::fs::read_to_string(&output).expect("reads");
    assert!(written.lines().any(|line| line.contains("\"looked_for\"")), "{written}");
}
