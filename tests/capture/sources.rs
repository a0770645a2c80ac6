//! Where captures come from: several files in one order, files that grow, fifos, standard input, and what is refused.
//! In: files and pipes made here. Out: frames in time order, errors that name the place and the cure.

use std::io::Write;

use trawlwatch::capture::{Captures, InputPath, OpenError};
use trawlwatch::units::{DurationNs, TimestampNs};

use super::written::*;

#[test]
fn several_files_are_merged_by_time_and_keep_their_own_order() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str, seconds: &[u32]| {
        let records = seconds.iter().flat_map(|&s| plain(s, 0, name.as_bytes()));
        write(folder.path(), name, &ethernet().into_iter().chain(records).collect::<Vec<u8>>())
    };
    let packed = gzip(&[ethernet(), plain(2, 0, b"d"), plain(7, 0, b"d")].concat());
    let paths = [
        file("a", &[1, 4, 9]),
        file("b", &[3, 2, 10]),
        write(folder.path(), "text", b"hello\n"),
        file("c", &[]),
        write(folder.path(), "d", &packed),
    ];
    let mut captures = Captures::open(&paths).expect("readable ones among them");
    assert!(matches!(captures.refused(), [OpenError::NotACapture { .. }]));
    let mut order = Vec::new();
    while let Some(frame) = captures.next_frame() {
        order.push((frame.ts.0 / S, frame.file, frame.number));
    }
    assert!(captures.next_frame().is_none());
    let wanted = [(1, 0, 1), (2, 4, 1), (3, 1, 1), (2, 1, 2), (4, 0, 2), (7, 4, 2), (9, 0, 3), (10, 1, 3)];
    assert_eq!(order, wanted);
    assert_eq!(
        captures.reports().iter().map(|r| (r.file, r.frames)).collect::<Vec<_>>(),
        [(0, 3), (1, 3), (3, 0), (4, 2)]
    );
    assert_eq!(captures.reports()[1].clock_step_max, DurationNs::from_secs(1));
    assert_eq!(captures.reports()[3].ts_max, Some(TimestampNs(7 * S)));
}

#[test]
fn equal_times_go_by_the_order_of_the_command_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bytes = [ethernet(), plain(1, 0, b"x"), plain(1, 0, b"y")].concat();
    let paths = ["a", "b", "c"].map(|name| write(folder.path(), name, &bytes));
    let mut captures = Captures::open(&paths).expect("captures");
    let mut files = Vec::new();
    while let Some(frame) = captures.next_frame() {
        files.push(frame.file);
    }
    assert_eq!(files, [0, 0, 1, 1, 2, 2]);
}

#[test]
fn inputs_that_cannot_be_read_are_named_with_what_they_are_and_the_cure() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pcap9 = header(Little, MICRO, (9, 1), 1);
    let mut section9 = section(Little, 9);
    let table: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("empty", vec![], &["is empty"]),
        ("empty.gz", gzip(b""), &["is empty"]),
        ("page.pcap", b"<!DOCTYPE html><html></html>".to_vec(), &["an HTML page", "download"]),
        ("notes.txt", b"12:00 IP a > b\n".to_vec(), &["is text", "tcpdump -w"]),
        ("notes.gz", gzip(b"12:00 IP a > b\n"), &["text, compressed with gzip"]),
        ("twice.gz", gzip(&gzip(&ethernet())), &["a gzip stream inside a compressed stream"]),
        ("prog", b"\x7fELF\x02".to_vec(), &["an ELF program"]),
        ("a.zip", b"PK\x03\x04".to_vec(), &["a zip archive", "unpack"]),
        ("doc.pdf", b"%PDF-1.4".to_vec(), &["a PDF document"]),
        ("short.pcap", ethernet()[..20].to_vec(), &["ends after 20 bytes", "header of 24"]),
        ("short.pcapng", section(Little, 1)[..20].to_vec(), &["ends after 20 bytes", "header of 28"]),
        ("broken.gz", gzip(&ethernet())[..12].to_vec(), &["cannot be read", "copy it again"]),
        ("v9.pcap", pcap9, &["pcap version 9.1", "2.0 to 2.4"]),
        ("v9.pcapng", std::mem::take(&mut section9), &["pcapng version 9.0", "editcap"]),
        (
            "broken.pcapng",
            [&section(Little, 1)[..8], &[0; 20]].concat(),
            &["first block is broken", "byte-order magic"],
        ),
    ];
    for (name, bytes, wanted) in table {
        let path = write(folder.path(), name, &bytes);
        let error = Captures::open(std::slice::from_ref(&path)).expect_err(name).to_string();
        for part in wanted.iter().copied().chain([path.to_string().as_str()]) {
            assert!(error.contains(part), "{name}: {error:?} does not say {part:?}");
        }
    }
    let missing = InputPath::File(folder.path().join("missing"));
    let places: [(&[InputPath], &str); 4] = [
        (&[], "no capture named"),
        (&[InputPath::parse(folder.path())], "is a directory"),
        (std::slice::from_ref(&missing), "check the path"),
        (&[missing.clone(), InputPath::parse(folder.path())], "none of the 2 inputs"),
    ];
    for (paths, wanted) in places {
        let error = Captures::open(paths).expect_err(wanted).to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn the_fingerprint_is_of_the_captures_and_not_of_how_they_come() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let long: Vec<u8> = (0..3000).flat_map(|n| plain(n, 0, &[n as u8; 500])).collect();
    let bytes = [ethernet(), long].concat();
    let other = [ethernet(), plain(1, 0, b"other")].concat();
    let of = |files: &[&[u8]]| {
        let each = files.iter().enumerate();
        let paths: Vec<_> = each.map(|(i, bytes)| write(folder.path(), &i.to_string(), bytes)).collect();
        Captures::open(&paths).expect("captures").fingerprint()
    };
    let first = of(&[&bytes, &other]);
    assert_eq!(first, of(&[&other, &bytes]), "order");
    assert_eq!(first, of(&[&gzip(&bytes), &zstd(&other)]), "compression");
    assert_ne!(first, of(&[&bytes]), "fewer files");
    assert_ne!(first, of(&[&bytes, &bytes]), "other files");
    let mut tail = bytes.clone();
    *tail.last_mut().expect("not empty") ^= 1;
    assert_eq!(of(&[&bytes]), of(&[&tail]), "beyond the first MiB");
}

#[test]
fn a_file_that_grows_is_read_to_its_new_end() {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    let half = plain(2, 0, b"second");
    file.write_all(&[ethernet(), plain(1, 0, b"first"), half[..18].to_vec()].concat()).expect("room");
    let mut captures = Captures::open(&[InputPath::parse(file.path())]).expect("a capture");
    assert_eq!(captures.next_frame().map(|f| f.bytes.to_vec()).as_deref(), Some(&b"first"[..]));
    file.write_all(&[&half[18..], &plain(3, 0, b"third")].concat()).expect("room");
    for wanted in [b"second".to_vec(), b"third".to_vec()] {
        assert_eq!(captures.next_frame().map(|f| f.bytes.to_vec()), Some(wanted));
    }
    assert!(captures.next_frame().is_none());
    assert_eq!(captures.reports()[0].first_fault, None);
}

#[test]
fn a_fifo_is_a_stream() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    if !made.is_ok_and(|status| status.success()) {
        println!("not run: no mkfifo here");
        return;
    }
    let bytes = gzip(&[ethernet(), plain(1, 0, b"abcd")].concat());
    let writer = std::thread::spawn({
        let path = path.clone();
        move || std::fs::write(path, bytes)
    });
    let (frames, report) = read_file(&path);
    writer.join().expect("the writer lives").expect("the fifo was read");
    assert_eq!((frames.len(), report.first_fault), (1, None));
}

/// Set for the child of the next test.
const CHILD: &str = "TRAWLWATCH_TEST_STDIN";

#[test]
fn standard_input_is_a_stream() {
    if std::env::var_os(CHILD).is_some() {
        let mut captures = Captures::open(&[InputPath::parse("-")]).expect("a capture");
        let mut frames = 0;
        while captures.next_frame().is_some() {
            frames += 1;
        }
        assert_eq!((frames, captures.reports()[0].path.to_string().as_str()), (2, "standard input"));
        assert_eq!(captures.progress().bytes_total, None);
        return;
    }
    let bytes = [ethernet(), plain(1, 0, b"abcd"), plain(2, 0, b"abcd")].concat();
    for bytes in [bytes.clone(), gzip(&bytes), zstd(&bytes)] {
        let mut child = std::process::Command::new(std::env::current_exe().expect("this test's own path"))
            .args(["--exact", "sources::standard_input_is_a_stream"])
            .env(CHILD, "1")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("this test starts itself");
        child.stdin.take().expect("piped").write_all(&bytes).expect("the child reads");
        assert!(child.wait().expect("the child ends").success());
    }
}
