//! Running the built program: with a time limit, its streams collected, its lines parsed.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// What a run left behind.
pub struct Ran {
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// The findings, one JSON object each.
    pub fn findings(&self) -> Vec<Value> {
        self.lines().filter(|line| line["event_type"] == "alert").collect()
    }

    /// Findings whose severity is `medium` or worse.
    pub fn loud(&self) -> Vec<Value> {
        let loud = |line: &Value| ["medium", "high", "critical"].iter().any(|s| line["trawl"]["severity"] == *s);
        self.findings().into_iter().filter(loud).collect()
    }

    /// The closing line.
    pub fn stats(&self) -> Option<Value> {
        self.lines().last().filter(|line| line["event_type"] == "stats")
    }

    fn lines(&self) -> impl Iterator<Item = Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in {line}")))
    }
}

/// Runs `trawlwatch` with these arguments; panics when it has not ended after `limit`.
pub fn trawlwatch(args: &[&str], limit: Duration) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_trawlwatch"))
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the built program starts");
    let (mut out, mut err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let out = std::thread::spawn(move || read_all(&mut out));
    let err = std::thread::spawn(move || read_all(&mut err));
    let deadline = Instant::now() + limit;
    let status = loop {
        match child.try_wait().expect("a child of ours") {
            Some(status) => break status,
            None if Instant::now() > deadline => {
                child.kill().expect("a child of ours");
                panic!("{args:?}: still running after {limit:?}");
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    Ran { status: status.code(), stdout: out.join().expect("read"), stderr: err.join().expect("read") }
}

/// `replay --format json` over one file.
pub fn replay(file: &Path, more: &[&str]) -> Ran {
    let file = file.to_str().expect("a UTF-8 path");
    let mut args = vec!["replay", "--format", "json", file];
    args.extend(more);
    trawlwatch(&args, Duration::from_secs(20))
}

fn read_all(from: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).expect("a pipe");
    String::from_utf8_lossy(&bytes).into_owned()
}
