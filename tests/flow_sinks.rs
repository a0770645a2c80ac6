//! Real captures through the flow formats: no subscriber's address may be in what is written.
//! In: the captures beside the project, where they are. Out: pass, or the file and the address that got through.
#![allow(clippy::print_stdout, reason = "a test says what it did not run")]

#[allow(dead_code, reason = "shared with tests that read more of it")]
mod captured;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use parquet::file::reader::{FileReader, SerializedFileReader};
use trawlwatch::flow::FlowConfig;
use trawlwatch::flow::row::FlowColumns;
use trawlwatch::packet::ParserLimits;
use trawlwatch::privacy::{Key, Pseudonymiser, redact};
use trawlwatch::report::flows::{Destination, FLOW_FORMATS, FlowFormat};
use trawlwatch::units::{Address, Side};

/// Larger files are left to the tests of the whole program.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The robustness files are many and alike: the first of a folder say enough here.
const FILES_MAX_OF_FOLDER: usize = 80;

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The default population: RFC 1918, RFC 6598 and RFC 4193 space.
fn is_subscriber(address: Address) -> bool {
    match address.to_ip() {
        IpAddr::V4(v4) => v4.is_private() || (v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

fn written(format: FlowFormat, rows: &FlowColumns, pseudonymiser: &Pseudonymiser) -> String {
    let out = Shared::default();
    let show = |real| if is_subscriber(real) { pseudonymiser.pseudonym(real) } else { real };
    let mut sink = format.open(Destination::stream(out.clone()), &[], Box::new(show)).expect("a sink");
    sink.write(rows, &[]).expect("written");
    sink.finish().expect("finished");
    let bytes = std::mem::take(&mut *out.0.lock().expect("not poisoned"));
    if format != FlowFormat::Parquet {
        return String::from_utf8(bytes).expect("text");
    }
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(&bytes).expect("written");
    let reader = SerializedFileReader::new(file).expect("Parquet");
    reader.get_row_iter(None).expect("rows").map(|row| format!("{}\n", row.expect("a row"))).collect()
}

/// Checks one capture's rows in every format; says how many rows and subscribers it had.
fn check(name: &str, rows: &FlowColumns, pseudonymiser: &Pseudonymiser) -> (usize, usize) {
    let mut subscribers = BTreeSet::new();
    for i in 0..rows.len() {
        let outer = rows.carrier[i].as_ref().map(|carrier| carrier.outer);
        let ends = Side::BOTH.map(|side| rows.address(i, side));
        subscribers.extend(ends.into_iter().chain(outer.into_iter().flatten()).filter(|one| is_subscriber(*one)));
    }
    // A pseudonym may happen to be another subscriber's address.
    let pseudonyms: BTreeSet<Address> = subscribers.iter().map(|real| pseudonymiser.pseudonym(*real)).collect();
    for &(format_name, format, _) in FLOW_FORMATS {
        let text = written(format, rows, pseudonymiser);
        redact::redact(&text, |found| {
            assert!(!subscribers.contains(&found) || pseudonyms.contains(&found), "{name}, {format_name}: {found}");
            found
        });
        for real in subscribers.difference(&pseudonyms).map(ToString::to_string).filter(|real| real.len() > 8) {
            let is_whole = |(at, _): (usize, &str)| {
                let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_hexdigit());
                !digit(text[..at].chars().next_back()) && !digit(text[at + real.len()..].chars().next())
            };
            assert!(!text.match_indices(&real).any(is_whole), "{name}, {format_name}: {real}");
        }
        assert!(!text.contains('\u{1b}'), "{name}, {format_name}: an escape got through");
    }
    (rows.len(), subscribers.len())
}

#[test]
fn no_subscriber_of_a_real_capture_is_written() {
    let Some(folder) = captured::folder() else {
        println!("not run: no folder of captures");
        return;
    };
    let pseudonymiser = Pseudonymiser::new(&Key::derive(b"the captures"));
    let (mut files, mut rows_seen, mut subscribers_seen) = (0, 0, 0);
    let mut of_folder = std::collections::BTreeMap::<_, usize>::new();
    for path in captured::files_under(&folder) {
        let taken = of_folder.entry(path.parent().map(ToOwned::to_owned)).or_default();
        let is_small = std::fs::metadata(&path).is_ok_and(|meta| meta.len() <= FILE_BYTES_MAX);
        if !is_small || *taken >= FILES_MAX_OF_FOLDER {
            continue;
        }
        let Some(outcome) = captured::run(&path, ParserLimits::default(), FlowConfig::default(), |_| {}) else {
            continue;
        };
        *taken += 1;
        let mut rows = FlowColumns::default();
        for row in outcome.0 {
            rows.push(row);
        }
        let (rows, subscribers) = check(&path.display().to_string(), &rows, &pseudonymiser);
        (files, rows_seen, subscribers_seen) = (files + 1, rows_seen + rows, subscribers_seen + subscribers);
    }
    println!("{files} files, {rows_seen} rows, {subscribers_seen} subscribers: none written");
    assert!(files == 0 || subscribers_seen > 0, "the captures hold subscribers");
}
