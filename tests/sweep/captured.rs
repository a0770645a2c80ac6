//! A sweep over the folder of real captures: what cannot be read is told of and passed over, the rest is remembered.
//! A part of the folder in the usual run; all of it where `TRAWLWATCH_SWEEP_ALL` is set (some minutes).

use std::time::{Duration, Instant};

use crate::archive::text;
use crate::captures;
use crate::run::trawlwatch;

/// Folders of the usual run: the small and the broken ones.
const PARTS: &[&str] = &["injection", "robustness"];

#[test]
fn real_captures_are_swept_once() {
    let Some(root) = captures::folder() else {
        println!("not run: no real captures beside this checkout (TRAWLWATCH_CAPTURES names another place)");
        return;
    };
    let parts: Vec<_> = match std::env::var_os("TRAWLWATCH_SWEEP_ALL") {
        Some(_) => vec![root],
        None => PARTS.iter().map(|part| root.join(part)).filter(|part| part.exists()).collect(),
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = folder.path().join("s.db");
    let mut args = vec!["sweep", "--store", text(&store)];
    args.extend(parts.iter().map(|part| text(part)));
    let began = Instant::now();
    let first = trawlwatch(&args, Duration::from_secs(1_200));
    println!("{:.1?}\n{}", began.elapsed(), first.stdout);
    assert!(matches!(first.status, Some(0 | 1 | 4)), "{}", first.stderr);
    assert!(!first.stderr.contains("panicked"), "{}", first.stderr);
    assert!(first.stdout.lines().count() <= 40, "a digest fits a mail");
    let began = Instant::now();
    let again = trawlwatch(&args, Duration::from_secs(1_200));
    println!("again: {:.1?}", began.elapsed());
    assert!(again.stdout.contains("swept      0 captures"), "{}", again.stdout);
    assert_eq!(again.status, Some(0), "{}", again.stderr);
}
