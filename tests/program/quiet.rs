//! Traffic in which a careful human finds nothing: nothing at `medium` or above.

use std::path::Path;

use crate::captures;
use crate::every_file::in_parallel;
use crate::run::replay;

#[test]
fn nothing_in_benign_captures() {
    let files = captures::below("benign");
    let wrong = in_parallel(&files, |file| loud(file, |_| true));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn near_misses_are_not_collection() {
    let files = captures::below("near-miss");
    let wrong = in_parallel(&files, |file| {
        loud(file, |technique| ["population-fan-in", "bulk-exfiltration"].contains(&technique))
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn loud(file: &Path, counts: impl Fn(&str) -> bool) -> Option<String> {
    let found: Vec<String> = (replay(file, &[]).loud().iter())
        .filter(|finding| counts(finding["trawl"]["technique"].as_str().unwrap_or_default()))
        .map(|finding| finding["alert"]["signature"].to_string())
        .collect();
    (!found.is_empty()).then(|| format!("{}: {}", file.display(), found.join("; ")))
}
