//! The real captures: where they lie, and which files are captures.

use std::path::{Path, PathBuf};

/// The folder of real captures, where there is one.
pub fn folder() -> Option<PathBuf> {
    let at = match std::env::var_os("TRAWLWATCH_CAPTURES") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures"),
    };
    at.join("INDEX.tsv").is_file().then_some(at)
}

/// Every capture below a part of the folder, sorted; says "not run" and gives none where the folder is missing.
pub fn below(part: &str) -> Vec<PathBuf> {
    let Some(root) = folder() else {
        println!("not run: no real captures beside this checkout (TRAWLWATCH_CAPTURES names another place)");
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut open = vec![root.join(part)];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
            let path = entry.expect("a readable entry").path();
            match path.is_dir() {
                true => open.push(path),
                false if is_capture(&path) => found.push(path),
                false => {}
            }
        }
    }
    found.sort();
    found
}

fn is_capture(path: &Path) -> bool {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    !["log", "json", "out", "tsv", "md"].contains(&ending)
}
