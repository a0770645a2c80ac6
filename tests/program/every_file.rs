//! Every real capture: no panic, no hang, bounded memory, an exit status as promised, no subscriber in clear.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::captures;
use crate::run::replay;

/// The bound on resident memory for any of the real captures.
const MEMORY_BYTES_MAX: u64 = 300 << 20;

#[test]
fn every_real_capture_ends_as_promised() {
    let files = captures::below("");
    let wrong = in_parallel(&files, check);
    println!("{} files, {} wrong", files.len(), wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with a run over this file; none when all is as promised.
fn check(file: &Path) -> Option<String> {
    let ran = replay(file, &[]);
    let say = |what: String| Some(format!("{}: {what}\n{}", file.display(), ran.stderr));
    if ran.stderr.contains("panicked") {
        return say("panicked".to_owned());
    }
    match ran.status {
        Some(0 | 1 | 4) => {}
        Some(3) if ran.stdout.is_empty() && ran.stderr.contains(file.to_str().expect("UTF-8")) => return None,
        other => return say(format!("exit status {other:?}")),
    }
    let Some(stats) = ran.stats() else { return say("no closing stats line".to_owned()) };
    let memory = stats["stats"]["timings"]["peak_memory_bytes"].as_f64().unwrap_or(f64::MAX) as u64;
    if memory > MEMORY_BYTES_MAX {
        return say(format!("{memory} bytes of memory"));
    }
    None
}

/// Runs `check` over the files on two threads; what it says, in the files' order.
pub fn in_parallel(files: &[PathBuf], check: impl Fn(&Path) -> Option<String> + Sync) -> Vec<String> {
    let (next, said) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((at, file)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, files.get(at)?)))
                {
                    if let Some(wrong) = check(file) {
                        said.lock().expect("no panic while held").push((at, wrong));
                    }
                }
            });
        }
    });
    let mut said = said.into_inner().expect("no panic while held");
    said.sort();
    said.into_iter().map(|(_, wrong)| wrong).collect()
}
