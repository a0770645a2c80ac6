//! The built program, watching `vb` of a namespace; everything it says is collected.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use super::net::Net;

/// Longest wait for anything: a busy machine is slow, and no test is decided by time.
const PATIENCE: Duration = Duration::from_secs(60);

/// A run under way.
pub struct Watch {
    child: Child,
    stdout: Arc<Mutex<Lines>>,
    stderr: Arc<Mutex<Lines>>,
}

/// What was said, and when each line came.
#[derive(Default)]
struct Lines {
    text: String,
    came: Vec<SystemTime>,
}

/// What a run came to.
pub struct Ended {
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Watch {
    /// Starts it, and waits until it listens.
    pub fn start(net: &Net, args: &[&str]) -> Self {
        Self::start_with(net, &[], args)
    }

    /// The same, with variables in its environment.
    pub fn start_with(net: &Net, variables: &[(&str, &str)], args: &[&str]) -> Self {
        let program = env!("CARGO_BIN_EXE_trawlwatch");
        let mut child = net
            .command(program)
            .envs(variables.iter().copied())
            .args(["watch", "-i", "vb"])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the built program starts");
        let stdout = collect(child.stdout.take().expect("piped"));
        let stderr = collect(child.stderr.take().expect("piped"));
        let watch = Self { child, stdout, stderr };
        let ready = if args.contains(&"--no-sandbox") { "--no-sandbox:" } else { "confined:" };
        watch.wait_for("the start", |watch| watch.stderr().contains(ready));
        // Sources were open before that line: what is sent from now on is seen.
        watch
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn stdout(&self) -> String {
        self.stdout.lock().expect("no panic").text.clone()
    }

    /// Lines of standard output so far, each with the moment at which it came.
    pub fn told(&self) -> Vec<(SystemTime, Value)> {
        let stdout = self.stdout.lock().expect("no panic");
        stdout.came.iter().copied().zip(lines(&stdout.text)).collect()
    }

    pub fn stderr(&self) -> String {
        self.stderr.lock().expect("no panic").text.clone()
    }

    /// Waits until something is so; panics with all that was said when it never is.
    pub fn wait_for(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(Instant::now() < until, "waited in vain for {what}; said:\n{}\n{}", self.stderr(), self.stdout());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = std::process::Command::new("kill").args([signal, &pid]).status().expect("kill starts");
        assert!(sent.success(), "kill {signal} {pid}");
    }

    /// Waits for the end.
    pub fn ended(mut self) -> Ended {
        let began = Instant::now();
        let status = loop {
            match self.child.try_wait().expect("a child of ours") {
                Some(status) => break status.code(),
                None if began.elapsed() > PATIENCE => panic!("does not end; said:\n{}", self.stderr()),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        let took = began.elapsed();
        // The pipes close with the process; their readers need a moment for the last lines.
        let until = Instant::now() + Duration::from_secs(5);
        while Arc::strong_count(&self.stdout) + Arc::strong_count(&self.stderr) > 2 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ended { status, stdout: self.stdout(), stderr: self.stderr(), took }
    }

    /// SIGTERM, and what it came to.
    pub fn stop(self) -> Ended {
        self.signal("-TERM");
        self.ended()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Ended {
    /// The findings told on standard output.
    pub fn news(&self) -> Vec<Value> {
        news(&self.stdout)
    }

    /// The closing account.
    pub fn stats(&self) -> Value {
        stats(&self.stdout)
    }
}

/// Lines with a finding.
pub fn news(text: &str) -> Vec<Value> {
    lines(text).into_iter().filter(|line| line["event_type"] == "alert").collect()
}

/// The closing account among lines.
pub fn stats(text: &str) -> Value {
    let last = lines(text).into_iter().rfind(|line| line["stats"]["files"].is_array());
    last.unwrap_or_else(|| panic!("no closing account in {text}"))["stats"].clone()
}

/// Packets that the account knows of, seen or lost.
pub fn accounted(stats: &Value) -> u64 {
    let lost = |cause: &str| stats["drops"][cause].as_u64().unwrap_or(0);
    stats["frames"].as_u64().expect("a number") + lost("kernel-ring-full") + lost("unread-at-the-end")
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))).collect()
}

fn collect(from: impl Read + Send + 'static) -> Arc<Mutex<Lines>> {
    let text = Arc::new(Mutex::new(Lines::default()));
    let to = Arc::clone(&text);
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let mut to = to.lock().expect("no panic");
            to.came.push(SystemTime::now());
            to.text.push_str(&line);
            to.text.push('\n');
        }
    });
    text
}
