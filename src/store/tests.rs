//! Promises of the store: versions, keys, and what coarser summaries keep.

use rusqlite::Connection;

use super::captures::{CaptureAccount, Content, ReadTo, Reading};
use super::retention::Retention;
use super::runs::RunStart;
use super::windows::{Day, StoredWindow};
use super::*;
use crate::population::SummaryLimits;
use crate::population::summary::tests::{populations, row, summary_of};
use crate::units::{Address, DurationNs};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

#[test]
fn an_earlier_store_is_copied_and_brought_up_and_a_later_one_refused() {
    let folder = folder();
    let path = folder.path().join("s.db");
    let old = Connection::open(&path).expect("opens");
    old.execute_batch(schema::MIGRATIONS[0]).expect("version 1");
    old.execute_batch("PRAGMA user_version = 1; INSERT INTO sensors (name) VALUES ('west')").expect("version 1");
    old.pragma_update(None, "application_id", schema::APPLICATION_ID).expect("ours");
    drop(old);
    let refused = Store::open(&path, Access::Read, "").expect_err("not brought up by who only reads");
    assert!(matches!(refused, StoreError::Earlier { found: 1, .. }), "{refused}");
    let store = Store::open(&path, Access::Alone, "").expect("brought up");
    assert_eq!(store.sensors().expect("sensors"), [(1, "west".to_owned())]);
    let copy = store.copied_to().expect("a copy").to_owned();
    drop(store);
    let version = |path: &Path| -> i32 {
        Connection::open(path).and_then(|db| db.query_row("PRAGMA user_version", [], |row| row.get(0))).expect("asked")
    };
    assert_eq!((version(&copy), version(&path)), (1, VERSION));
    let later = Connection::open(&path).expect("opens");
    later.pragma_update(None, "user_version", VERSION + 1).expect("later");
    drop(later);
    let refused = Store::open(&path, Access::Sweep, "").expect_err("later").to_string();
    assert!(refused.contains(&format!("version {}", VERSION + 1)), "{refused}");
}

#[test]
fn what_is_no_store_is_left_alone() {
    let folder = folder();
    let path = folder.path().join("other.db");
    let other = Connection::open(&path).expect("opens");
    other.execute_batch("CREATE TABLE mine (x)").expect("made");
    drop(other);
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "no database, and longer than the header of one ".repeat(20)).expect("written");
    for path in [&path, &text] {
        let before = std::fs::read(path).expect("read");
        let refused = Store::open(path, Access::Sweep, "").expect_err("no store");
        assert!(matches!(refused, StoreError::Stranger { .. }), "{}: {refused}", path.display());
        assert_eq!(std::fs::read(path).expect("read"), before, "{}", path.display());
    }
    let refused = Store::open(&folder.path().join("none.db"), Access::Read, "").expect_err("none");
    assert!(matches!(refused, StoreError::Missing { .. }), "{refused}");
}

#[test]
fn one_key_for_life_and_one_sweep_at_a_time() {
    let folder = folder();
    let path = folder.path().join("s.db");
    let store = Store::open(&path, Access::Sweep, "noon").expect("made");
    store.bind_key(7).expect("first");
    store.bind_key(7).expect("the same");
    assert!(matches!(store.bind_key(8), Err(StoreError::Key { .. })));
    match Store::open(&path, Access::Alone, "later") {
        Err(StoreError::Held { holder, .. }) => assert!(holder.contains("since noon"), "{holder}"),
        other => panic!("{other:?}"),
    }
    assert!(Store::open(&path, Access::Mark, "").is_ok());
    drop(store);
    assert!(Store::open(&path, Access::Alone, "").is_ok());
}

/// The wall clock of these tests, in 2026.
const NOW: TimestampNs = TimestampNs(1_770_000_000_000_000_000);

/// A store with one capture of three windows of one hour, swept.
fn filled(path: &Path) -> (Store, Day) {
    let mut store = Store::open(path, Access::Sweep, "").expect("made");
    let start = RunStart { kind: "sweep", program: "0", policy: "", model: "", now: NOW };
    let run = store.begin_run(&start).expect("begun");
    let sensor = store.sensor("west").expect("a sensor");
    let content = Content { size: 10, head: [1; 32], mark: [2; 32] };
    let reading = Reading { run, sensor, path: "a.pcap", content, frames_from: 0 };
    let capture = store.begin_capture(&reading).expect("begun");
    let far = Address::v4([203, 0, 113, 7]);
    let windows: Vec<StoredWindow> = (0..3u8)
        .map(|n| {
            let rows = [row(Address::v4([10, 0, 0, n]), far, u64::from(n), 500, 50)];
            StoredWindow::of(&summary_of(&rows, &SummaryLimits::default()))
        })
        .collect();
    store.add_windows(sensor, capture, &windows[..2]).expect("kept");
    let day = Day { sensor, start: TimestampNs(1_000_000_000_000_000_000).slot_start(captures::DAY) };
    assert_eq!(seen(&store, day), (0, 0), "windows of a capture that is being read do not count");
    let end = TimestampNs(day.start.0 + 1);
    let read = ReadTo { frames: 9, span: Some((day.start, end)), account: CaptureAccount::default() };
    store.finish_capture(sensor, capture, &windows[2..], &read).expect("done");
    assert_eq!(store.stale_days().expect("days"), [day]);
    (store, day)
}

/// How many summaries a day has, and how many flows are in them.
fn seen(store: &Store, day: Day) -> (u64, u64) {
    let (mut windows, mut flows) = (0, 0);
    let each = |window: windows::KeptWindow| -> Result<(), StoreError> {
        windows += 1;
        flows += window.summary.roles.all().flows;
        Ok(())
    };
    assert_eq!(store.windows_of(day, populations().fingerprint(), each).expect("read"), 0);
    (windows, flows)
}

#[test]
fn half_read_captures_go_and_done_ones_stay() {
    let folder = folder();
    let (store, day) = filled(&folder.path().join("s.db"));
    let known = store.captures_of_head(&[1; 32]).expect("asked");
    assert_eq!((known.len(), known[0].frames, known[0].size), (1, 9, 10));
    let content = Content { size: 20, head: [1; 32], mark: [3; 32] };
    let reading = Reading { run: 1, sensor: day.sensor, path: "a.pcap", content, frames_from: 9 };
    store.begin_capture(&reading).expect("begun");
    assert_eq!(store.captures_of_head(&[1; 32]).expect("asked").len(), 1);
    assert_eq!(store.drop_half_read().expect("dropped"), 1);
    assert_eq!(seen(&store, day), (3, 3));
    // Windows of other populations are left out, and counted.
    let other = |_: windows::KeptWindow| -> Result<(), StoreError> { panic!("rests on other populations") };
    assert_eq!(store.windows_of(day, 1, other).expect("read"), 3);
}

#[test]
fn coarser_summaries_keep_the_sums() {
    let folder = folder();
    let (mut store, day) = filled(&folder.path().join("s.db"));
    // A later day, so that the first one is old.
    let later = Day { start: day.start.after(DurationNs::from_secs(10 * 86_400)), ..day };
    let content = Content { size: 11, head: [4; 32], mark: [4; 32] };
    let reading = Reading { run: 1, sensor: day.sensor, path: "b.pcap", content, frames_from: 0 };
    let capture = store.begin_capture(&reading).expect("begun");
    let read = ReadTo { frames: 1, span: Some((later.start, later.start)), account: CaptureAccount::default() };
    store.finish_capture(day.sensor, capture, &[], &read).expect("done");
    let limits = SummaryLimits::default();
    let keep = |windows: u64, hours: u64, days: u64| Retention {
        windows: DurationNs::from_secs(windows * 86_400),
        hours: DurationNs::from_secs(hours * 86_400),
        days: DurationNs::from_secs(days * 86_400),
        bytes_max: None,
    };
    let table = [
        (keep(30, 30, 30), (3, 3), (0, 0, 0)),
        (keep(5, 30, 30), (1, 3), (1, 0, 0)),
        (keep(5, 5, 30), (1, 3), (0, 1, 0)),
        (keep(5, 5, 5), (0, 0), (0, 0, 1)),
    ];
    for (retention, wanted, steps) in table {
        let done = store.retain(&retention, &limits).expect("retained");
        assert_eq!((done.to_hours, done.to_days, done.dropped), steps, "{retention:?}");
        assert_eq!(seen(&store, day), wanted, "{retention:?}");
        assert!(store.check().expect("checked").problems.is_empty());
    }
}

#[test]
fn one_broken_clock_makes_nothing_old() {
    let folder = folder();
    let (mut store, day) = filled(&folder.path().join("s.db"));
    let content = Content { size: 11, head: [4; 32], mark: [4; 32] };
    let reading = Reading { run: 1, sensor: day.sensor, path: "b.pcap", content, frames_from: 0 };
    let capture = store.begin_capture(&reading).expect("begun");
    // 2106, where the clock of a pcap ends.
    let ahead = TimestampNs(u64::from(u32::MAX) * 1_000_000_000);
    let read = ReadTo { frames: 1, span: Some((ahead, ahead)), account: CaptureAccount::default() };
    store.finish_capture(day.sensor, capture, &[], &read).expect("done");
    assert!(store.latest_of(day.sensor).expect("asked") < Some(NOW));
    store.retain(&Retention::default(), &SummaryLimits::default()).expect("retained");
    assert_eq!(seen(&store, day), (3, 3));
}

#[test]
fn a_damaged_window_is_told_of() {
    let folder = folder();
    let path = folder.path().join("s.db");
    drop(filled(&path));
    let db = Connection::open(&path).expect("opens");
    db.execute("UPDATE windows SET form = x'00' WHERE id = 2", []).expect("damaged");
    drop(db);
    let store = Store::open(&path, Access::Alone, "").expect("opens");
    let problems = store.check().expect("checked").problems;
    assert!(problems.len() == 1 && problems[0].starts_with("window 2: "), "{problems:?}");
}
