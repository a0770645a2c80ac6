//! What ships is what the generator writes, and what the command line says of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use trawlwatch::synth::suite::{Part, Suite};
use trawlwatch::synth::{Overwrite, PROGRAMS};

fn shipped() -> Vec<Part> {
    Suite::named("shipped").expect("a suite").parts()
}

fn captures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures")
}

/// Most bytes of one shipped file, and of all of them.
const FILE_BYTES_MAX: usize = 4_000_000;
const ALL_BYTES_MAX: usize = 25_000_000;

/// The files of a folder that are no prose.
fn files(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    entries.map(|name| name.into_string().expect("UTF-8")).filter(|name| !name.ends_with(".md")).collect()
}

#[test]
fn shipped_captures_are_made_again_byte_for_byte() {
    let folder = tempfile::tempdir().expect("a folder");
    for part in &shipped() {
        part.write(folder.path(), Overwrite::Never).unwrap_or_else(|e| panic!("{}: {e}", part.name));
    }
    let made = files(folder.path());
    assert_eq!(files(&captures()), made, "captures/ holds what `synth --suite shipped` makes, and nothing else");
    let mut all_bytes = 0;
    for name in &made {
        let bytes = std::fs::read(folder.path().join(name)).expect("made");
        assert!(bytes == std::fs::read(captures().join(name)).expect("ships"), "{name} differs from what is made");
        assert!(bytes.len() < FILE_BYTES_MAX, "{name} is too large to ship");
        all_bytes += bytes.len();
    }
    assert!(all_bytes < ALL_BYTES_MAX, "{all_bytes} bytes are too many to ship");
}

#[test]
fn every_shipped_capture_has_its_row() {
    let readme = std::fs::read_to_string(captures().join("README.md")).expect("captures/README.md");
    for part in &shipped() {
        // One that is not there yet is the other test's to miss.
        let Ok(bytes) = std::fs::read(captures().join(&part.name)) else { continue };
        let sum: String =
            <sha2::Sha256 as sha2::Digest>::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        for wanted in [part.name.as_str(), &sum, &part.command()] {
            assert!(readme.contains(wanted), "captures/README.md lacks {wanted}");
        }
    }
}

fn trawlwatch(arguments: &[&str]) -> (i32, String, String) {
    let run = assert_cmd::Command::cargo_bin("trawlwatch").expect("the program").arg("synth").args(arguments).output();
    let run = run.expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (run.status.code().unwrap_or(-1), text(&run.stdout), text(&run.stderr))
}

#[test]
fn the_list_names_everything() {
    let (status, out, _) = trawlwatch(&["--list"]);
    assert_eq!(status, 0);
    for program in PROGRAMS {
        assert!(out.contains(program.kind), "{} is missing", program.kind);
    }
}

#[test]
fn what_cannot_be_written_is_refused_by_name() {
    for (arguments, wanted) in [
        (&["--output", "-"][..], "needs a file's name"),
        (&[][..], "--output"),
        (&["--output", "a.txt"][..], "ends in .pcap or .pcap.zst"),
        (&["--world", "moon", "--output", "a.pcap"][..], "unknown world \"moon\"; known: town"),
        (
            &["--operation", "spying", "--output", "a.pcap"][..],
            "unknown operation \"spying\"; known: population-fan-in",
        ),
        (
            &["--negative", "ntp:speed=9", "--output", "a.pcap"][..],
            "ntp: unknown knob \"speed\"; known: subscribers, period",
        ),
        (&["--start", "noon", "--output", "a.pcap"][..], "start \"noon\" is not a time"),
        (&["--hours", "0", "--output", "a.pcap"][..], "hours is 0, must lie between"),
        (&["--suite", "grand", "somewhere"][..], "unknown suite \"grand\"; known: shipped"),
        (&["--suite", "small", "--only", "nothing", "somewhere"][..], "no capture of the suite small is chosen"),
        (&["--suite", "small", "--seeds", "9-1", "somewhere"][..], "--seeds 9-1: not a range"),
        (&["--fault", "fire=1", "--output", "a.pcap"][..], "fault \"fire=1\": unknown; known: loss"),
    ] {
        let (status, out, talk) = trawlwatch(arguments);
        assert_eq!((status, out.as_str()), (2, ""), "{arguments:?}: {talk}");
        assert!(talk.contains(wanted), "{arguments:?}: {talk}");
    }
}
