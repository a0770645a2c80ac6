//! Time: a clock that steps stops no capture; an alarm comes within a window and two seconds of its end.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::net::{Net, folder, shipped};
use super::program::{Watch, accounted};
use super::stamped::{self, Stamped};

const SECOND: u64 = 1_000_000_000;
const HOUR: u64 = 3_600 * SECOND;

/// An end of a window as nanoseconds since 1970.
fn window_end(line: &Value) -> Option<u64> {
    let end = line["stats"]["window"]["end"].as_str()?;
    let end = jiff::fmt::strtime::parse("%Y-%m-%dT%H:%M:%S%.f%z", end).expect("a time").to_timestamp().expect("a time");
    Some(end.as_nanosecond() as u64)
}

#[test]
fn a_clock_that_steps_stops_no_capture() {
    let Some(net) = Net::new(&[]) else { return };
    let folder = folder();
    let (capture, policy) = shipped("mirroring", folder.path());
    let frames = stamped::frames(&capture);
    let part = |from: usize, shift: &dyn Fn(u64) -> u64| -> Vec<Stamped> {
        frames[from..from + 4_000].iter().map(|(ts, frame)| (shift(*ts), frame.clone())).collect()
    };
    // As it is; a day back, as when a clock is set; two days on; a few seconds back, as when it is corrected.
    let steps: [(&str, Vec<Stamped>); 4] = [
        ("as it is", part(0, &|ts| ts)),
        ("a day back", part(4_000, &|ts| ts - 24 * HOUR)),
        ("two days on", part(8_000, &|ts| ts + 24 * HOUR)),
        ("seconds back", part(11_990, &|ts| ts + 24 * HOUR - 3 * SECOND)),
    ];
    let policy = policy.to_str().expect("UTF-8");
    let watch = Watch::start(&net, &["--format", "json", "--policy", policy]);
    let mut sent = 0;
    for (name, frames) in &steps {
        match stamped::send(net.name(), "va", frames) {
            Ok(n) => sent += n,
            Err(error) => return println!("not run: this kernel lets no frame have a time of its own ({error})"),
        }
        let first = frames[0].0;
        let is_there = |watch: &Watch| {
            let near = |end: u64| end > first && end < first + HOUR;
            watch.told().iter().filter_map(|(_, line)| window_end(line)).any(near)
        };
        if *name == "as it is" {
            watch.wait_for("a window", |watch| watch.told().iter().any(|(_, line)| window_end(line).is_some()));
            if !is_there(&watch) {
                return println!("not run: this kernel stamps packets anew on their way through a veth pair");
            }
        }
        watch.wait_for(name, is_there);
    }
    let ended = watch.stop();
    let stats = ended.stats();
    assert_eq!(accounted(&stats), sent, "{stats}");
    assert_eq!(stats["drops"], serde_json::json!({}), "{stats}");
    let said = ended.stderr.matches("the capture clock stepped back").count();
    assert_eq!(said, 1, "one step back of more than an hour: {}", ended.stderr);
    assert!(!ended.news().is_empty(), "what is collected is found all the same");
}

/// How late this machine wakes those who sleep, at worst: what a test of time has to allow for.
fn oversleep_while<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let (nap, mut worst) = (Duration::from_millis(10), Duration::ZERO);
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                let began = Instant::now();
                std::thread::sleep(nap);
                worst = worst.max(began.elapsed().saturating_sub(nap));
            }
            worst
        });
        let done = work();
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        (done, watching.join().expect("no panic"))
    })
}

#[test]
fn an_alarm_comes_within_a_window_and_two_seconds_of_its_end() {
    let Some(net) = Net::new(&["tcpreplay"]) else { return };
    let folder = folder();
    let (capture, policy) = shipped("mirroring", folder.path());
    let policy = policy.to_str().expect("UTF-8");
    let watch = Watch::start(&net, &["--format", "json", "--window", "3s", "--policy", policy]);
    let (_, oversleep) = oversleep_while(|| {
        net.send(&capture, &["--multiplier", "400"]);
        watch.wait_for("a finding in a window that has closed", |watch| {
            let told = watch.told();
            let alert = told.iter().position(|(_, line)| line["event_type"] == "alert");
            alert.is_some_and(|at| told[at..].iter().any(|(_, line)| window_end(line).is_some()))
        });
    });
    let told = watch.told();
    // A window's findings come before the line that says how well it was seen.
    let (mut pending, mut worst) = (Vec::new(), Duration::ZERO);
    for (came, line) in &told {
        if line["event_type"] == "alert" {
            pending.push(*came);
        } else if let Some(end) = window_end(line) {
            let end: SystemTime = UNIX_EPOCH + Duration::from_nanos(end);
            for came in pending.drain(..).chain([*came]) {
                worst = worst.max(came.duration_since(end).unwrap_or_default());
            }
        }
    }
    println!("at worst {worst:?} after a window's end; this machine wakes up to {oversleep:?} late");
    // A thread is woken some four times on the way of a window: lane, worker, analysis, outlet.
    assert!(worst < Duration::from_secs(2) + oversleep * 4, "{worst:?}, oversleep {oversleep:?}");
    // It ends within three seconds of being asked to.
    let (ended, oversleep) = oversleep_while(|| watch.stop());
    println!("ended {:?} after the signal; this machine wakes up to {oversleep:?} late", ended.took);
    assert!(ended.took < Duration::from_secs(3) + oversleep * 4, "{:?}, oversleep {oversleep:?}", ended.took);
    // By packet time: the first word of an operation comes with the first window that ends after it can be told.
    let first = told.iter().position(|(_, line)| line["event_type"] == "alert").expect("a finding");
    let closed = told[first..].iter().find_map(|(_, line)| window_end(line)).expect("its window");
    let began = told[first].1["trawl"]["window"]["end"].as_str().expect("a time").to_owned();
    let began =
        jiff::fmt::strtime::parse("%Y-%m-%dT%H:%M:%S%.f%z", &began).expect("a time").to_timestamp().expect("a time");
    let waited = closed.saturating_sub(began.as_nanosecond() as u64);
    assert!(waited <= 3 * SECOND, "told {waited} ns of packet time after the packet that it rests on");
}
