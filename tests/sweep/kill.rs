//! Kill −9 at any moment, then rerun: the findings of an undisturbed run, none lost, none told twice.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use trawlwatch::store::{Access, Store};

use crate::archive::{Archive, quiet_town};

/// Stores that are disturbed, and how often each is.
const STORES: u32 = 10;
const KILLS: u32 = 5;

#[test]
fn killed_at_fifty_random_moments_a_sweep_comes_to_the_same() {
    let archive = Archive::cut(quiet_town(16, 2.0, "population-fan-in:subscribers=0.8,period=300s", 3), 600);
    let began = Instant::now();
    let undisturbed = archive.sweep("whole.db", &[]);
    let takes = began.elapsed();
    assert_eq!(undisturbed.status, Some(1), "{}", undisturbed.stderr);
    // What was told is open afterwards, in whichever run it was told.
    archive.sweep("whole.db", &[]);
    let wanted = (archive.findings("whole.db"), archive.swept("whole.db"));
    assert!(!wanted.0.is_empty() && wanted.1.len() == 12, "{} captures", wanted.1.len());

    let mut dice = 0x9e37_79b9_u64;
    let mut killed = 0;
    for store in (0..STORES).map(|n| format!("killed{n}.db")) {
        for _ in 0..KILLS {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let moment = takes.mul_f64((dice >> 33) as f64 / (1_u64 << 31) as f64);
            killed += u32::from(kill_after(&archive, &store, moment));
        }
        archive.sweep(&store, &[]);
        archive.sweep(&store, &[]);
        let found = (archive.findings(&store), archive.swept(&store));
        assert_eq!(found, wanted, "{store}");
        let check = archive.ask(&store, &["store", "check"]);
        assert_eq!(check.status, Some(0), "{}", check.stdout);
        assert!(told(&archive, &store).values().all(|times| *times == 1), "{store}: told twice");
        assert_eq!(told(&archive, &store).len(), wanted.0.len(), "{store}: never told");
    }
    println!("{killed} of {} sweeps were killed before their end", STORES * KILLS);
}

/// Begins a sweep and kills it after a while; whether it was still at work.
fn kill_after(archive: &Archive, store: &str, moment: Duration) -> bool {
    let mut child = Command::new(env!("CARGO_BIN_EXE_trawlwatch"))
        .args(archive.sweep_args(store, &["--jobs", "2"]))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the built program starts");
    std::thread::sleep(moment);
    let at_work = child.try_wait().expect("a child of ours").is_none();
    // SIGKILL: no handler runs, no destructor.
    let _ = child.kill();
    child.wait().expect("a child of ours");
    at_work
}

/// By finding, how often the store noted that it was told as new.
fn told(archive: &Archive, store: &str) -> BTreeMap<i64, u32> {
    let store = Store::open(&archive.at(store), Access::Read, "").expect("a store");
    let mut told = BTreeMap::new();
    for run in store.runs(1000).expect("runs") {
        for event in store.events(run.id - 1, run.id).expect("events") {
            if event.kind == "new" {
                *told.entry(event.finding).or_default() += 1;
            }
        }
    }
    told
}
