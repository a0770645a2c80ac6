//! Kill −9 at any moment, then rerun: the findings of an undisturbed run, none lost, none told twice.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use trawlwatch::store::{Access, Store};

use crate::archive::{Archive, quiet_town};

/// Sweeps that must have been killed while they were at work.
const KILLS: u32 = 50;
/// Kills of one store before it is left in peace.
const KILLS_OF_STORE: u32 = 5;
/// Stores tried at most: on a machine that others use, many a kill comes too late.
const STORES_MAX: u32 = 60;

#[test]
fn killed_at_fifty_random_moments_a_sweep_comes_to_the_same() {
    let archive = Archive::cut(quiet_town(14, 1.0, "population-fan-in:subscribers=0.8,period=200s", 3), 450);
    let began = Instant::now();
    let undisturbed = archive.sweep("whole.db", &[]);
    let takes = began.elapsed();
    assert_eq!(undisturbed.status, Some(0), "{}", undisturbed.stderr);
    // What was told is open afterwards, in whichever run it was told.
    archive.sweep("whole.db", &[]);
    let wanted = (archive.findings("whole.db"), archive.swept("whole.db"));
    assert!(!wanted.0.is_empty() && wanted.1.len() == 8, "{} captures", wanted.1.len());

    let mut dice = 0x9e37_79b9_u64;
    let mut killed = 0;
    for store in (0..STORES_MAX).map(|n| format!("killed{n}.db")) {
        if killed >= KILLS {
            break;
        }
        for _ in 0..KILLS_OF_STORE {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let moment = takes.mul_f64((dice >> 33) as f64 / (1_u64 << 31) as f64);
            match kill_after(&archive, &store, moment) {
                true => killed += 1,
                false => break,
            }
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
    println!("{killed} sweeps were killed at work");
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
