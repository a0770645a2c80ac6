//! A store of thirty nights: its size, and how long questions take. Printed, never asserted: timing decides no test.

use std::time::{Duration, Instant};

use trawlwatch::synth::{Overwrite, Scenario};

use crate::archive::{quiet_town, text};
use crate::run::trawlwatch;

const NIGHTS: u64 = 30;

#[test]
fn thirty_nights_and_their_questions() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (captures, store) = (folder.path().join("captures"), folder.path().join("s.db"));
    std::fs::create_dir(&captures).expect("made");
    for night in 0..NIGHTS {
        let mut words = quiet_town(14, 0.25, "population-fan-in:subscribers=0.9,period=60s,jitter=0.05", night);
        words.start = format!("2026-03-{:02}T01:00:00Z", night + 1);
        // One program for all nights would call at one address; each town has a catalogue of its own.
        let capture = captures.join(format!("{night:02}.pcap"));
        Scenario::try_from(words).expect("a scenario").write(&capture, Overwrite::Never).expect("written");
    }
    let ask = |args: &[&str]| {
        let began = Instant::now();
        let ran = trawlwatch(&[args, &["--store", text(&store)]].concat(), Duration::from_secs(300));
        (ran, began.elapsed())
    };
    let sweep = ["sweep", "--settle", "0", "--fail-on", "never", "--population", "10.20.0.0/16", text(&captures)];
    let all = [&sweep[..], &["--keep-windows", "40d"]].concat();
    let (swept, took) = ask(&all);
    assert_eq!(swept.status, Some(0), "{}", swept.stderr);
    let size = || std::fs::metadata(&store).expect("a store").len();
    let fine = size();
    println!("{NIGHTS} nights swept in {took:.1?}: {} KiB of windows by the minute", fine >> 10);
    for question in
        [&["findings"][..], &["findings", "--since", "yesterday"], &["findings", "diff"], &["findings", "runs"]]
    {
        let (ran, took) = ask(question);
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        println!("{question:?}: {took:.1?}, {} lines", ran.stdout.lines().count());
    }
    let loud = || ask(&["findings", "--format", "csv", "--severity", "medium"]).0.stdout.lines().count() - 1;
    let before = loud();
    assert!(before >= NIGHTS as usize, "{before} findings, and each town has a fan-in");
    // By the hour and by the day it is smaller, still whole, and judged again it finds as many collectors.
    let (vacuumed, _) = ask(&["store", "vacuum", "--keep-windows", "7d", "--keep-hours", "20d"]);
    assert_eq!(vacuumed.status, Some(0), "{}", vacuumed.stderr);
    assert!(size() < fine, "{} KiB after {} KiB", size() >> 10, fine >> 10);
    println!("7 days by the minute, 13 by the hour, the rest by the day: {} KiB", size() >> 10);
    assert_eq!(ask(&["store", "check"]).0.status, Some(0));
    let (judged, took) = ask(&["sweep", "--rejudge", "--fail-on", "never", "--population", "10.20.0.0/16"]);
    assert_eq!(judged.status, Some(0), "{}", judged.stderr);
    println!("judged again in {took:.1?}");
    assert_eq!(loud(), before, "what fine windows showed stays when they are coarse");
    // A size that must be kept is kept, the oldest first; findings stay.
    let (vacuumed, _) = ask(&["store", "vacuum", "--size-max", "600 KiB"]);
    assert_eq!(vacuumed.status, Some(0), "{}", vacuumed.stderr);
    assert!(size() <= 600 << 10 || vacuumed.stderr.contains("0 gone"), "{} KiB: {}", size() >> 10, vacuumed.stderr);
    assert_eq!(loud(), before);
}
