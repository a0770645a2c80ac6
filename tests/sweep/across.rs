//! What no file shows alone: an operation so slow that each hour holds a few of its records.

use std::time::Duration;

use crate::archive::{Archive, quiet_town, text};
use crate::run::trawlwatch;

#[test]
fn an_operation_is_found_that_is_visible_only_across_files() {
    // Of twenty callers two or three fall into an hour; at half the period it would be an hour's luck to hold eight.
    let operation = "population-fan-in:subscribers=0.5,period=28800s,jitter=0.02";
    let archive = Archive::cut(quiet_town(40, 24.0, operation, 7), 3_600);
    let is_of = |finding: &serde_json::Value| {
        finding["trawl"]["technique"] == "population-fan-in"
            && ["medium", "high"].iter().any(|severity| finding["trawl"]["severity"] == *severity)
    };
    let files: Vec<_> =
        std::fs::read_dir(archive.captures()).expect("captures").map(|e| e.expect("one").path()).collect();
    assert_eq!(files.len(), 24);
    for file in &files {
        let args = ["replay", "--format", "json", "--policy", text(&archive.policy), text(file)];
        let alone = trawlwatch(&args, Duration::from_secs(60));
        assert!(!alone.findings().iter().any(is_of), "{}: visible alone", file.display());
    }
    let swept = archive.sweep("s.db", &["--jobs", "2", "--fail-on", "medium"]);
    let found: Vec<_> = swept.findings().into_iter().filter(is_of).collect();
    assert_eq!(found.len(), 1, "{}{}", swept.stdout, swept.stderr);
    assert_eq!(found[0]["store"]["state"], "new");
    assert_eq!(swept.status, Some(1), "--fail-on is medium");
    let stats = swept.stats().expect("a closing line");
    assert!(stats["stats"]["frames"].as_u64() > Some(1_000));

    // The same traffic in one piece is the same finding.
    let whole = ["replay", "--format", "json", "--policy", text(&archive.policy), text(&archive.at("whole.pcap"))]
        .map(str::to_owned);
    let whole = trawlwatch(&whole.each_ref().map(String::as_str), Duration::from_secs(60));
    let of_whole = whole.findings().into_iter().find(is_of).expect("visible in one piece");
    for field in ["finding_id", "severity", "flows", "bytes_up"] {
        assert_eq!(found[0]["trawl"][field], of_whole["trawl"][field], "{field}");
    }

    // Nothing new: nothing told, exit status 0, and the digest says so in few lines.
    let again = archive.sweep("s.db", &[]);
    assert_eq!((again.status, again.findings().len()), (Some(0), 0), "{}", again.stderr);
    let digest = archive.sweep("s.db", &["--format", "text"]);
    assert!(
        digest.stdout.contains("24 known from before") && digest.stdout.contains("Nothing new."),
        "{}",
        digest.stdout
    );

    // How many at once, and with how many workers, changes nothing.
    let other = archive.sweep("other.db", &["--jobs", "3", "--workers", "8"]);
    assert_eq!(other.findings(), swept.findings());
}
